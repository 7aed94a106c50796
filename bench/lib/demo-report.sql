-- What the applications noticed.  All times are those of their own logs; a
-- transaction belongs to the stretch of time in which it ended.
\set QUIET on
\pset footer off
\pset null '-'

ALTER TABLE demo_transaction ADD rel text, ADD probe boolean, ADD statements integer;
UPDATE demo_transaction
SET rel = CASE WHEN app LIKE 'accounts%' THEN 'pgbench_accounts' ELSE 'memories' END,
	probe = app LIKE '%probe',
	-- the probe's pause is not the server's time
	us = us - CASE WHEN app LIKE '%probe' THEN 1000 ELSE 0 END,
	statements = CASE WHEN app IN ('accounts_old', 'accounts_new') THEN 5 ELSE 1 END;
CREATE INDEX ON demo_transaction (rel, finished);
ANALYZE demo_transaction;

CREATE TABLE demo_backfill AS
SELECT m.name AS migration, b.rows_done, b.rows_hot, b.finished_at,
	extract(epoch FROM b.finished_at - b.started_at) AS seconds
FROM migspec.migration AS m JOIN migspec.backfill AS b ON b.migration_id = m.id;

-- stretches of time, per table: from one call to the next
CREATE TABLE demo_stretch AS
SELECT rel, migration, what, started,
	lead(started, 1, 'infinity') OVER (PARTITION BY rel ORDER BY started) AS ended,
	call_ms
FROM (
	SELECT CASE migration WHEN 'widen_abalance' THEN 'pgbench_accounts' ELSE 'memories' END AS rel,
		migration, call AS what, started, 1000 * (ended - started) AS call_ms
	FROM demo_call
	UNION ALL
	SELECT rel, NULL, 'before', 0, NULL
	FROM (VALUES ('pgbench_accounts'), ('memories')) AS t (rel)
	UNION ALL
	-- half a second after finish, at the latest, begins "after"
	SELECT CASE migration WHEN 'widen_abalance' THEN 'pgbench_accounts' ELSE 'memories' END,
		NULL, 'after', ended + 0.5, NULL
	FROM demo_call WHERE call = 'finish'
	UNION ALL
	SELECT CASE migration WHEN 'widen_abalance' THEN 'pgbench_accounts' ELSE 'memories' END,
		migration, 'after the backfill', extract(epoch FROM finished_at), NULL
	FROM demo_backfill WHERE migration <> 'widen_user_id'
	UNION ALL
	SELECT CASE migration WHEN 'widen_abalance' THEN 'pgbench_accounts' ELSE 'memories' END,
		migration, 'migrated', extract(epoch FROM at), NULL
	FROM migspec.events
	WHERE event = 'phase' AND detail->>'to' = 'migrated' AND migration <> 'widen_user_id'
) AS t;

CREATE TABLE demo_stall AS
SELECT s.*, max(t.us) FILTER (WHERE NOT t.probe) / 1000.0 AS stall_ms,
	max(t.us) FILTER (WHERE t.probe) / 1000.0 AS probe_ms,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY t.us) FILTER (WHERE NOT t.probe) / 1000 AS p50_ms,
	percentile_cont(0.99) WITHIN GROUP (ORDER BY t.us) FILTER (WHERE NOT t.probe) / 1000 AS p99_ms
FROM demo_stretch AS s
	LEFT JOIN demo_transaction AS t
	ON t.rel = s.rel AND t.finished >= s.started AND t.finished < s.ended
GROUP BY s.rel, s.migration, s.what, s.started, s.ended, s.call_ms;

\echo
\echo 'Longest stall from each call to the next, in ms'
SELECT rel AS "table", migration, what, round(call_ms, 1) AS call_took,
	round(stall_ms, 1) AS applications, round(probe_ms, 1) AS "1 ms probe"
FROM demo_stall ORDER BY rel DESC, started;

\echo 'Latency of the applications'' transactions, in ms'
SELECT s.rel AS "table", s.during, count(*) AS transactions,
	round((percentile_cont(0.5) WITHIN GROUP (ORDER BY t.us) / 1000)::numeric, 2) AS p50,
	round((percentile_cont(0.99) WITHIN GROUP (ORDER BY t.us) / 1000)::numeric, 2) AS p99,
	round(max(t.us) / 1000.0, 1) AS longest
FROM (SELECT rel, started, ended,
		CASE WHEN what IN ('before', 'after') THEN what ELSE 'migration' END AS during
	FROM demo_stretch WHERE migration IS DISTINCT FROM 'widen_user_id') AS s
	JOIN demo_transaction AS t
	ON t.rel = s.rel AND t.finished >= s.started AND t.finished < s.ended AND NOT t.probe
GROUP BY s.rel, s.during ORDER BY s.rel DESC, min(s.started);

-- pgbench_accounts against pgbench_history, memories against the book
CREATE TABLE demo_result AS
SELECT
	(SELECT sum(statements) FROM demo_transaction) AS statements,
	(SELECT count(*) FROM demo_transaction WHERE us IS NULL) + :aborted AS failed,
	(SELECT count(*)
	 FROM pgbench_accounts AS a
		FULL JOIN (SELECT aid, sum(delta) AS delta FROM pgbench_history GROUP BY aid) AS h USING (aid)
	 WHERE a.abalance IS DISTINCT FROM coalesce(h.delta, 0))
	+
	(SELECT count(*)
	 FROM memories AS m
		FULL JOIN (
			SELECT id, coalesce(b.content, s.content) AS content,
				coalesce(b.user_id, s.user_id) AS user_id
			FROM book AS b
				FULL JOIN (
					SELECT id, 'memory ' || id || ' ' || md5(id::text) AS content,
						1 + id % 1000 AS user_id
					FROM generate_series(1, :rows) AS id
				) AS s USING (id)
			WHERE b.gone IS NOT TRUE
		) AS e USING (id)
	 WHERE (m.content_text, m.user_id) IS DISTINCT FROM (e.content, e.user_id)) AS differ,
	(SELECT max(stall_ms) FROM demo_stall WHERE what = 'before') AS stall_before,
	(SELECT max(stall_ms) FROM demo_stall WHERE what <> 'before') AS stall,
	(SELECT max(probe_ms) FROM demo_stall WHERE what <> 'before') AS probe;

\echo 'Result'
\pset tuples_only on
\pset format aligned
SELECT * FROM (
	SELECT 'statements run' AS what, to_char(statements, 'FM999,999,999') AS value FROM demo_result
	UNION ALL
	SELECT 'statements failed', failed::text FROM demo_result
	UNION ALL
	SELECT 'rows that differ from what was written', differ::text FROM demo_result
	UNION ALL
	SELECT 'longest stall before the migrations', round(stall_before, 1) || ' ms' FROM demo_result
	UNION ALL
	SELECT 'longest stall from the first expand on', round(stall, 1) || ' ms' FROM demo_result
	UNION ALL
	SELECT 'longest stall seen by a 1 ms probe', round(probe, 1) || ' ms' FROM demo_result
	UNION ALL
	SELECT format('backfill of %s', migration),
		format('%s rows, %s rows/s, %s %% HOT', to_char(rows_done, 'FM999,999,999'),
			to_char(rows_done / nullif(seconds, 0), 'FM999,999,999'),
			round(100.0 * rows_hot / nullif(rows_done, 0)))
	FROM demo_backfill
) AS t;
