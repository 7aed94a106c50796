/*
 * Rollout plans: how a flag goes from some users to all of them by itself.  A
 * plan is a row; whichever process looks at it takes it from there.
 */

CREATE TABLE migspec.flag_plan (
	flag		text COLLATE "C" PRIMARY KEY REFERENCES migspec.flag (name) ON UPDATE CASCADE ON DELETE CASCADE,
	plan		jsonb NOT NULL,
	author_search_path text NOT NULL,
	state		text NOT NULL DEFAULT 'running'
		CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['running', 'halted', 'done']::text[])),
	/* 0: before the first one */
	step		integer NOT NULL DEFAULT 0,
	step_since	timestamptz NOT NULL DEFAULT pg_catalog.now(),
	samples_before bigint NOT NULL DEFAULT 0,
	failures	integer NOT NULL DEFAULT 0,
	/* of the flag, as the plan has left it */
	stamp		bigint NOT NULL DEFAULT 0,
	verdict		text
		CHECK (verdict OPERATOR(pg_catalog.=) ANY (ARRAY['success', 'failure', 'inconclusive']::text[])),
	reason		text,
	message		text,
	looked_at	timestamptz,
	frozen		text
) WITH (fillfactor = 20);
COMMENT ON TABLE migspec.flag_plan IS 'rollout plans: where each stands, and why it waits';

/* No row: not frozen. */
CREATE TABLE migspec.flag_freeze (
	one_row		boolean PRIMARY KEY DEFAULT true CHECK (one_row),
	reason		text NOT NULL,
	at			timestamptz NOT NULL DEFAULT pg_catalog.now(),
	by_role		name NOT NULL DEFAULT SESSION_USER
);
COMMENT ON TABLE migspec.flag_freeze IS 'while there is a row, no rollout plan of this database takes in more users';

SELECT pg_catalog.pg_extension_config_dump('migspec.flag_plan', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.flag_freeze', '');

CREATE VIEW migspec.flag_plans AS
SELECT p.flag, p.state, p.step, jsonb_array_length(p.plan -> 'steps') AS steps,
	s.step ->> 'percent' AS percent, p.step_since,
	coalesce(s.step ->> 'min_time', p.plan ->> 'min_time', '0')::interval AS min_time,
	greatest(coalesce(c.evaluations_on, 0) - p.samples_before, 0) AS samples,
	coalesce(s.step ->> 'min_samples', p.plan ->> 'min_samples', '0')::numeric::bigint AS min_samples,
	p.failures, coalesce(p.plan ->> 'failure_limit', '1')::numeric::integer AS failure_limit, p.verdict,
	coalesce('frozen: ' || p.frozen, 'frozen: ' || z.reason) AS frozen,
	CASE WHEN p.state <> 'done' THEN p.reason END AS waits_for,
	CASE WHEN pg_has_role(f.owner, 'USAGE') THEN p.message END AS message,
	p.looked_at,
	CASE WHEN pg_has_role(f.owner, 'USAGE') THEN p.plan END AS plan
FROM migspec.flag_plan AS p
JOIN migspec.flag AS f ON f.name = p.flag
LEFT JOIN migspec.flag_count AS c ON c.flag = p.flag
LEFT JOIN migspec.flag_freeze AS z ON true
CROSS JOIN LATERAL (SELECT p.plan -> 'steps' -> greatest(p.step - 1, 0) AS step) AS s;
COMMENT ON VIEW migspec.flag_plans IS 'one row per rollout plan: which step it is in, with its numbers, and why it waits';
REVOKE ALL ON migspec.flag_plan, migspec.flag_freeze FROM PUBLIC;
GRANT SELECT ON migspec.flag_plans TO PUBLIC;

CREATE FUNCTION @extschema@.migspec_flag_plan(flag text, plan jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_plan';
COMMENT ON FUNCTION @extschema@.migspec_flag_plan(text, jsonb)
	IS 'start a rollout plan: steps with percent, users, segments or constraints, min_time, min_samples and check';

CREATE FUNCTION @extschema@.migspec_flag_plan_resume(flag text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_plan_resume';
COMMENT ON FUNCTION @extschema@.migspec_flag_plan_resume(text)
	IS 'let a plan that has halted go on: its step begins anew';

CREATE FUNCTION @extschema@.migspec_flag_plan_drop(flag text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_plan_drop';
COMMENT ON FUNCTION @extschema@.migspec_flag_plan_drop(text)
	IS 'forget a plan; the flag stays as it is';

CREATE FUNCTION @extschema@.migspec_flag_freeze(frozen boolean, reason text DEFAULT NULL, flag text DEFAULT NULL) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_freeze';
COMMENT ON FUNCTION @extschema@.migspec_flag_freeze(boolean, text, text)
	IS 'have all rollout plans of this database, or one, take in no more users; a failing check still halts them';
