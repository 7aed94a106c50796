-- Rollout plans: what a plan may say, and how it starts; what runs by itself is
-- in test/t/310_rollout.pl.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
ALTER SYSTEM SET migspec.naptime = '50ms';
SELECT pg_reload_conf();
CREATE ROLE flag_plan_owner;
CREATE ROLE flag_plan_other;
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE SCHEMA flag_plan;
GRANT ALL ON SCHEMA flag_plan TO PUBLIC;
GRANT CREATE ON DATABASE :DBNAME TO flag_plan_owner;
SET search_path = flag_plan, public;
CREATE FUNCTION refused(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
	detail text;
	hint text;
BEGIN
	EXECUTE statement;
	RETURN 'not refused';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', sqlstate || ': ' || message, nullif(detail, ''), nullif(hint, ''));
END $$;
-- wait until a plan waits for something, or has ended
CREATE FUNCTION reach(want text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	got text;
BEGIN
	FOR i IN 1 .. 600 LOOP
		SELECT concat_ws(' ', state, step || '/' || steps, waits_for) INTO got
			FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
		EXIT WHEN got ~ want;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN got;
END $$;
CREATE FUNCTION strategies() RETURNS SETOF jsonb LANGUAGE sql AS $$
	SELECT jsonb_array_elements(document -> 'strategies') FROM migspec.flags WHERE name = 'flag_plan_f'
$$;
\pset format unaligned
\pset tuples_only on

SET ROLE flag_plan_owner;
SELECT migspec_flag_put('{"name": "flag_plan_f", "strategies": [{"name": "userWithId", "parameters": {"userIds": "internal@company.com"}}]}');
-- what a plan may not say
SELECT refused($$SELECT migspec_flag_plan('flag_plan_none', '{"steps": [{"percent": 1}]}')$$);
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '[]')$$);
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{}')$$);
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [], "when": 1, "percent": 1}')$$);
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [1, {}, {"percent": 10, "min_samples": -1, "check": 1}, {"percent": "5"},
	{"percent": 101, "steps": [], "segments": 1}], "on_failure": "panic", "failure_limit": 1.5}')$$);
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1, "min_time": "soon"}]}')$$);
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"constraints": [{"operator": 1}]}]}')$$);
SELECT refused(format($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1}], "%s": "%s"}')$$, key, value))
FROM (VALUES ('failure_limit', '1e1'), ('min_samples', '10000000000'), ('min_time', '-1 s'), ('min_time', '200 years'),
	('check_timeout', '0'), ('check_timeout', '1000 years')) AS v(key, value);
SELECT count(*) FROM migspec.flag_plans;
-- who may
SET ROLE flag_plan_other;
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1}]}')$$);
SELECT refused($$SELECT migspec_flag_freeze(true, 'incident')$$);
SET ROLE flag_plan_owner;

-- the first step is there at once; the next one when its time has come
SELECT migspec_flag_plan('flag_plan_f', '{"min_time": "1 day", "steps": [{"users": ["a@x", "b@x"]},
	{"percent": 1, "constraints": [{"contextName": "userId", "operator": "STR_ENDS_WITH", "values": ["@beta"]}]},
	{"percent": 10, "min_samples": 3, "min_time": "0"}, {"percent": 100}]}');
SELECT * FROM strategies();
SELECT reach('min_time');
SELECT flag, state, step, steps, percent, min_time, samples, min_samples, failures, failure_limit, frozen, waits_for
FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT u, migspec_flag_enabled('flag_plan_f', u) FROM unnest(ARRAY['internal@company.com', 'a@x', 'c@x', 'd@beta']) AS u;
-- others see no plan's text
SET ROLE flag_plan_other;
SELECT plan IS NULL, message IS NULL FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SET ROLE flag_plan_owner;
-- another plan takes its place
SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"users": ["a@x"]},
	{"percent": 1, "constraints": [{"contextName": "userId", "operator": "STR_ENDS_WITH", "values": ["@beta"]}]},
	{"percent": 10, "min_samples": 3}, {"percent": 100}]}');
SELECT reach('min_samples');
SELECT * FROM strategies();
SELECT u, migspec_flag_enabled('flag_plan_f', u) FROM unnest(ARRAY['internal@company.com', 'a@x', 'c@x', 'd@beta']) AS u;
SELECT reach('done');
SELECT * FROM strategies();
SELECT event, detail - 'elapsed' - 'samples' FROM migspec.events WHERE detail ->> 'flag' = 'flag_plan_f'
	AND event ~ 'plan' ORDER BY id;

-- a check that says nothing, in several ways, holds
SELECT migspec_flag_plan('flag_plan_f', '{"check": "SELECT NULL::boolean", "steps": [{"percent": 1}, {"percent": 2}]}');
SELECT reach('check');
SELECT migspec_flag_plan('flag_plan_f', '{"check": "SELECT true WHERE false", "steps": [{"percent": 1}, {"percent": 2}]}');
SELECT reach('check');
SELECT migspec_flag_plan('flag_plan_f', '{"check": "SELECT 1 / 0 > 0", "steps": [{"percent": 1}, {"percent": 2}]}');
SELECT reach('check');
SELECT verdict, message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT migspec_flag_plan('flag_plan_f', '{"check": "SELECT pg_sleep(60) IS NOT NULL", "check_timeout": "100 ms",
	"steps": [{"percent": 1}, {"percent": 2}]}');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
-- it cannot write, become somebody else, or be no query
CREATE TABLE written (i integer);
CREATE FUNCTION write() RETURNS boolean LANGUAGE sql AS 'INSERT INTO written VALUES (1) RETURNING true';
CREATE FUNCTION message(a_check text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM migspec_flag_plan('flag_plan_f', jsonb_build_object('check', a_check, 'steps', '[{"percent": 1}]'::jsonb));
	RETURN NULL;
END $$;
SELECT message('SELECT flag_plan.write()');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT message('SET ROLE postgres');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT message('SELECT set_config(''role'', ''none'', false) = ''none''');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT message('SELECT 1');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT message('SELECT true FROM generate_series(1, 2)');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT message('COMMIT');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT count(*) FROM written;
-- it runs as the flag's owner, with the author's search_path
CREATE FUNCTION who() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	RAISE EXCEPTION 'I am %, %, %', current_user, current_setting('transaction_read_only'), current_setting('search_path');
END $$;
SELECT message('SELECT who()');
SELECT reach('check');
SELECT message FROM migspec.flag_plans WHERE flag = 'flag_plan_f';

-- a number is a number, also if it has a point
SELECT migspec_flag_plan('flag_plan_f', '{"failure_limit": 3.0, "steps": [{"percent": 1}, {"percent": 2, "min_samples": 0.0}, {"percent": 3}]}');
SELECT reach('done');
SELECT failure_limit, min_samples FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
-- a rollout whose parameters are null gets some
SELECT migspec_flag_put('{"name": "flag_plan_f", "strategies": [{"name": "flexibleRollout", "parameters": null}]}');
SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1}]}');
SELECT * FROM strategies();
SELECT reach('done');
SELECT migspec_flag_put('{"name": "flag_plan_f", "strategies": null}');
SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1}]}');
SELECT * FROM strategies();
SELECT reach('done');
SELECT migspec_flag_put('{"name": "flag_plan_f", "strategies": [{"name": "userWithId", "parameters": {"userIds": "internal@company.com"}}]}');

-- a failure, after as many as are allowed: halt
SELECT migspec_flag_plan('flag_plan_f', '{"failure_limit": 2, "steps": [{"percent": 1}, {"percent": 5, "check": "SELECT false"}, {"percent": 10}]}');
SELECT reach('halted');
SELECT verdict, failures, percent FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT * FROM strategies();
SELECT migspec_flag_plan_resume('flag_plan_f');
SELECT reach('halted');
-- or go back a step, and halt there
SELECT migspec_flag_plan('flag_plan_f', '{"on_failure": "step_back", "steps": [{"percent": 1}, {"percent": 5, "check": "SELECT false"}, {"percent": 10}]}');
SELECT reach('halted');
SELECT * FROM strategies();
SELECT migspec_flag_plan('flag_plan_f', '{"on_failure": "step_back", "steps": [{"percent": 1, "users": ["x"], "check": "SELECT false"}]}');
SELECT reach('halted');
SELECT * FROM strategies();
SELECT event, detail - 'elapsed' - 'samples' FROM migspec.events WHERE detail ->> 'flag' = 'flag_plan_f'
	AND event ~ 'plan_(halted|resumed)' ORDER BY id;

-- an answer that comes when another plan has begun is for nobody
SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1, "check": "SELECT pg_sleep(1) IS NULL"}]}');
RESET ROLE;
DO $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'migspec rollout' AND query ~ 'pg_sleep') LOOP
		PERFORM pg_sleep(0.01);
		PERFORM pg_stat_clear_snapshot();
	END LOOP;
END $$;
SELECT migspec_flag_plan('flag_plan_f', '{"min_time": "1 day", "steps": [{"percent": 1, "check": "SELECT true"}]}');
SELECT reach('min_time|halted');
SELECT failures FROM migspec.flag_plans WHERE flag = 'flag_plan_f';

-- a freeze: nothing goes up
SELECT migspec_flag_freeze(true, 'incident 42');
SET ROLE flag_plan_owner;
SELECT migspec_flag_plan('flag_plan_f', '{"on_failure": "step_back", "steps": [{"percent": 1}, {"percent": 2}]}');
SELECT reach('frozen');
SELECT frozen FROM migspec.flag_plans WHERE flag = 'flag_plan_f';
SELECT * FROM strategies();
RESET ROLE;
SELECT migspec_flag_freeze(false);
SELECT reach('done');
SET ROLE flag_plan_owner;
BEGIN;
SELECT migspec_flag_plan('flag_plan_f', '{"min_time": "0.3 s", "steps": [{"percent": 1}, {"percent": 2}]}');
SELECT migspec_flag_freeze(true, 'holidays', 'flag_plan_f');
COMMIT;
SELECT reach('frozen');
SELECT migspec_flag_freeze(false, flag => 'flag_plan_f');
SELECT reach('done');

-- somebody changes the flag: the step begins anew, or the plan halts
SELECT migspec_flag_plan('flag_plan_f', '{"min_time": "1 day", "steps": [{"percent": 1}, {"percent": 2}]}');
SELECT migspec_flag_put(jsonb_set(document, '{description}', '"new"')) FROM migspec.flags WHERE name = 'flag_plan_f';
DO $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM migspec.events WHERE event = 'flag_plan_restarted' AND detail ->> 'flag' = 'flag_plan_f') LOOP
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$;
SELECT reach('min_time');
SELECT migspec_flag_rollout('flag_plan_f', 0);
SELECT reach('halted');
SELECT migspec_flag_plan_resume('flag_plan_f');
SELECT * FROM strategies();
SELECT migspec_flag_put(jsonb_set(document, '{enabled}', 'false')) FROM migspec.flags WHERE name = 'flag_plan_f';
SELECT reach('switched off');
SELECT refused($$SELECT migspec_flag_plan_resume('flag_plan_f')$$);
SELECT migspec_flag_plan_drop('flag_plan_f');
SELECT refused($$SELECT migspec_flag_plan_resume('flag_plan_f')$$);
SELECT refused($$SELECT migspec_flag_freeze(true, 'x', 'flag_plan_f')$$);

-- of a migration flag: from one stage to the next, and nowhere else
CREATE TABLE memories (id integer PRIMARY KEY, content text);
SELECT migspec_flag_put('{"name": "flag_plan_f", "strategies": [{"name": "gradualRollout", "parameters": {"percentage": "0"}}]}');
SELECT count(*) > 0 FROM migspec_expand('flag_plan_m', migspec_rename_column('memories', 'content', 'body'));
-- a plan of the time before goes: its check would run as the migration's owner
SELECT migspec_flag_plan('flag_plan_f', '{"min_time": "1 day", "steps": [{"percent": 0}, {"percent": 1}]}');
SELECT migspec_flag_attach('flag_plan_f', 'flag_plan_m');
SELECT count(*) FROM migspec.flag_plans;
SELECT refused($$SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1}, {"percent": 100}]}')$$);
SELECT migspec_flag_advance('flag_plan_f');
SELECT migspec_flag_plan('flag_plan_f', '{"steps": [{"percent": 1}, {"percent": 100}]}');
SELECT reach('done');
SELECT migspec_flag_stage('flag_plan_f', '1');
SELECT migspec_flag_advance('flag_plan_f');
SELECT migspec_flag_retreat('flag_plan_f');
SELECT migspec_flag_advance('flag_plan_f');
SELECT migspec_flag_plan('flag_plan_f', '{"min_time": "1 day", "steps": [{"percent": 1}, {"percent": 100}]}');
SELECT migspec_flag_retreat('flag_plan_f');
SELECT reach('halted');

SELECT migspec_rollback('flag_plan_m');
SELECT migspec_flag_drop('flag_plan_f');
SELECT count(*) FROM migspec.flag_plans;
RESET ROLE;
SET client_min_messages = error;
DELETE FROM migspec.migration WHERE name = 'flag_plan_m';
DROP SCHEMA flag_plan CASCADE;
REVOKE CREATE ON DATABASE :DBNAME FROM flag_plan_owner;
DROP ROLE flag_plan_owner, flag_plan_other;
ALTER SYSTEM RESET migspec.naptime;
SELECT pg_reload_conf();
