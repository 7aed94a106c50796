/*
 * Views for everybody.  The texts of errors can quote values of a table's
 * rows: only who may act as the migration's owner sees those.
 */

CREATE FUNCTION migspec.progress_bar(percent numeric) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN '[' || repeat('#', floor(percent / 10)::integer)
	|| repeat('-', 10 - floor(percent / 10)::integer) || ']';
COMMENT ON FUNCTION migspec.progress_bar(numeric) IS 'a bar of ten characters';

CREATE VIEW migspec.migrations AS
SELECT m.name, m.owner, m.phase, m.phase_since,
	(SELECT CASE t.call WHEN 'migspec_wait' THEN format('SELECT %s(%L, %L)', t.call, m.name, t.to_phase)
			ELSE format('SELECT %s(%L)', t.call, m.name) END
		FROM migspec.transition AS t
		WHERE t.from_phase = m.phase AND t.to_phase <> 'rolled_back') AS next_call,
	ARRAY(SELECT DISTINCT o.relation FROM migspec.operation AS o
		WHERE o.migration_id = m.id ORDER BY o.relation) AS relations,
	m.operations, m.paused, m.strategy, m.max_rows_per_second, m.conflict_policy,
	m.conflicts + (SELECT coalesce(sum(migspec.conflicts_pending(o.relation, o.id)), 0)::bigint
		FROM migspec.operation AS o WHERE o.migration_id = m.id) AS conflicts,
	m.allow_irreversible, m.contract_grace, m.finish_after, m.overridden_at,
	m.verified_at, m.rows_compared, m.rows_differing,
	m.failures, m.retry_at, m.last_error_at, m.last_step, m.last_sqlstate,
	CASE WHEN p.allowed THEN m.last_error END AS last_error,
	CASE WHEN p.allowed THEN m.last_detail END AS last_detail,
	CASE WHEN p.allowed THEN m.last_hint END AS last_hint
FROM migspec.migration AS m
CROSS JOIN LATERAL (SELECT pg_has_role(m.owner, 'USAGE') AS allowed) AS p;
COMMENT ON VIEW migspec.migrations IS 'one row per migration: its phase, the call that comes next, its options and its last error';

/*
 * How far a backfill is, is counted in pages; looking once more for rows that
 * were locked does not count.  The number of rows is only an
 * estimate, at first the planner's, then from the pages done.  The rate is that of the batches themselves, without pauses, but
 * not more than the limit.  A worker is alive exactly while it holds its lock,
 * which pg_locks shows.
 */
CREATE VIEW migspec.progress AS
SELECT m.id AS migration_id, m.name AS migration, b.relation,
	CASE WHEN b.state = 'done' THEN 'done'
		WHEN m.paused THEN 'paused'
		WHEN m.retry_at = 'infinity' THEN 'failed'
		WHEN m.retry_at > clock_timestamp() THEN 'waiting'
		ELSE coalesce(b.state, 'pending') END AS state,
	coalesce(b.rows_done, 0) AS rows_done,
	coalesce(greatest(b.rows_done,
		CASE WHEN b.state = 'done' THEN b.rows_done
			WHEN p.percent >= 5 AND b.rows_done > 0 THEN round(b.rows_done * 100 / p.percent)::bigint
			ELSE b.rows_total END), 0) AS rows_total,
	p.percent, migspec.progress_bar(p.percent) AS bar,
	r.rows_per_second,
	CASE WHEN b.state <> 'done' AND r.rows_per_second > 0 THEN make_interval(secs => round(
		CASE WHEN p.percent > 0 THEN b.rows_done * (100 / p.percent - 1)
			ELSE b.rows_total END / r.rows_per_second)::float8) END AS eta,
	CASE WHEN b.state = 'done' THEN NULL
		WHEN m.paused THEN 'paused'
		WHEN m.retry_at = 'infinity' THEN 'given up after errors'
		WHEN m.retry_at > clock_timestamp() THEN 'waits after an error until ' || m.retry_at
		WHEN m.max_rows_per_second IS NOT NULL THEN 'at most ' || m.max_rows_per_second || ' rows/s'
		END AS throttle,
	w.workers,
	b.rows_hot, cardinality(b.skipped) AS rows_skipped, f.rows_failed, b.restarts,
	b.started_at, b.updated_at, b.finished_at, s.statement AS step
FROM migspec.migration AS m
LEFT JOIN migspec.backfill AS b ON b.migration_id = m.id
CROSS JOIN LATERAL (SELECT least(b.end_block - b.next_block,
		coalesce(current_setting('migspec.window_pages', true), '1000')::bigint) AS pages) AS batch
CROSS JOIN LATERAL (SELECT CASE
		WHEN b.state = 'done' THEN 100
		WHEN b.state = 'sweeping' THEN 99.9
		WHEN b.end_block > 0 THEN least(99.9, round(100.0 / b.end_block *
			(b.next_block + batch.pages * b.pass::numeric / greatest(b.passes, 1)), 1))
		ELSE 0 END AS percent) AS p
CROSS JOIN LATERAL (SELECT least(m.max_rows_per_second,
		round(b.rows_done / nullif(extract(epoch FROM b.busy), 0)))::bigint AS rows_per_second) AS r
CROSS JOIN LATERAL (SELECT count(*)::integer AS workers FROM pg_locks AS l
	WHERE l.locktype = 'advisory' AND l.objsubid = 19784 AND l.granted
		AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
		AND l.classid = (m.id >> 32)::oid AND l.objid = (m.id & 4294967295)::oid) AS w
CROSS JOIN LATERAL (SELECT count(*) AS rows_failed FROM migspec.failed_row AS e
	WHERE e.migration_id = m.id AND e.relation = b.relation) AS f
LEFT JOIN LATERAL (SELECT t.statement FROM migspec.step AS t
	WHERE t.migration_id = m.id AND t.phase = 'migrating' AND t.done_at IS NULL
		AND NOT t.skipped
	ORDER BY t.ordinal LIMIT 1) AS s ON true
WHERE m.phase = 'migrating';
COMMENT ON VIEW migspec.progress IS 'one row per table of every running backfill';

CREATE VIEW migspec.events AS
SELECT e.id, e.at, e.migration, e.event,
	CASE WHEN pg_has_role(m.owner, 'USAGE') THEN e.detail
		ELSE e.detail - ARRAY['message', 'detail', 'hint', 'blocked_by'] END AS detail,
	e.by_role
FROM migspec.event AS e
LEFT JOIN migspec.migration AS m ON m.id = e.migration_id;
COMMENT ON VIEW migspec.events IS 'the history: phase moves, retries, throttling and errors';

CREATE VIEW migspec.steps AS
SELECT m.name AS migration, s.ordinal AS step, s.phase, s.kind, s.relation, s.lock_mode, s.statement,
	s.undo, s.carries, s.rewrites, s.est_rows, s.est_seconds, s.done_at, s.skipped
FROM migspec.step AS s
JOIN migspec.migration AS m ON m.id = s.migration_id;
COMMENT ON VIEW migspec.steps IS 'the plan of every migration, statement by statement';

CREATE FUNCTION migspec.usage_pending(OUT relation regclass, OUT "column" text, OUT role oid,
	OUT application text, OUT reads bigint, OUT writes bigint, OUT last_read timestamptz,
	OUT last_write timestamptz, OUT query_id bigint, OUT pid integer, OUT query text)
RETURNS SETOF record LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'migspec_usage_pending';
COMMENT ON FUNCTION migspec.usage_pending() IS 'uses of old columns that are not yet in migspec.usage';

/*
 * The first statement's text may hold values: only who could see it in
 * pg_stat_activity sees it here.
 */
CREATE VIEW migspec.old_shape_usage AS
SELECT m.name AS migration, pg_get_userbyid(s.role)::text AS role, s.application,
	s.last_read, s.last_write, s.reads, s.writes, s.relation, s."column"::name AS "column", s.pid, s.query_id,
	CASE WHEN pg_has_role(s.role, 'USAGE') OR pg_has_role('pg_read_all_stats', 'USAGE')
		THEN s.query ELSE '<insufficient privilege>' END AS query
FROM (SELECT u.migration_id, u.relation, u."column", u.role, u.application,
		sum(u.reads)::bigint AS reads, sum(u.writes)::bigint AS writes,
		max(u.last_read) AS last_read, max(u.last_write) AS last_write,
		(array_agg(u.query_id ORDER BY u.pending DESC) FILTER (WHERE u.query_id IS NOT NULL))[1] AS query_id,
		(array_agg(u.pid ORDER BY u.pending DESC))[1] AS pid,
		(array_agg(u.query ORDER BY u.pending))[1] AS query
	FROM (SELECT false AS pending, * FROM migspec.usage
		UNION ALL
		SELECT true, t.migration_id, p.* FROM migspec.usage_pending() AS p
		JOIN migspec.target AS t ON t.relation = p.relation) AS u
	GROUP BY 1, 2, 3, 4, 5) AS s
JOIN migspec.migration AS m ON m.id = s.migration_id;
COMMENT ON VIEW migspec.old_shape_usage IS 'who used an old column of a migration: counts, and the last time';

/* Only the views are for everybody; the tables are the extension's. */
REVOKE ALL ON ALL TABLES IN SCHEMA migspec FROM PUBLIC;
GRANT SELECT ON migspec.migrations, migspec.progress, migspec.events, migspec.steps,
	migspec.old_shape_usage TO PUBLIC;

CREATE FUNCTION @extschema@.migspec_usage(migration text)
RETURNS TABLE (role text, application text, last_read timestamptz, last_write timestamptz,
	reads bigint, writes bigint, relation regclass, "column" name, pid integer, query_id bigint, query text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_usage';
COMMENT ON FUNCTION @extschema@.migspec_usage(text)
IS 'who still uses the old columns of a migration: role, application, last read, last write, counts';
