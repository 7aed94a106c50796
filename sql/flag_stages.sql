-- Migration flags: stages, what a phase supports, and what is refused.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE ROLE flag_stages_owner;
CREATE ROLE flag_stages_other;
CREATE SCHEMA flag_stages;
GRANT ALL ON SCHEMA flag_stages TO PUBLIC;
SET search_path = flag_stages, public;
-- an error without the name and line of the source file
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
CREATE FUNCTION sides(flag text) RETURNS TABLE (user_id text, stage text, reads_new boolean, writes text[])
LANGUAGE sql AS $$
	SELECT u, migspec_flag_stage($1, u), migspec_flag_reads_new($1, u), migspec_flag_writes($1, u)
	FROM unnest(ARRAY['13', '1', NULL]) AS u
$$;
CREATE FUNCTION state(flag text) RETURNS text LANGUAGE sql AS $$
	SELECT concat_ws(' ', stage, 'to ' || next_stage, 'of ' || migration) FROM migspec.flags WHERE name = $1
$$;
\set QUIET off
\pset format unaligned
\pset tuples_only on

SET ROLE flag_stages_owner;
CREATE TABLE memories (id integer PRIMARY KEY, content text);
INSERT INTO memories SELECT g, 'memory ' || g FROM generate_series(1, 100) AS g;
SELECT count(*) > 0 FROM migspec_plan('flag_stages_m', migspec_rename_column('memories', 'content', 'body'));
RESET ROLE;

-- a flag that is no migration's is off or complete; what is not there is off
SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [
	{"name": "gradualRollout", "parameters": {"percentage": "1", "groupId": "new_memory_store"}}]}');
SELECT * FROM sides('flag_stages_f');
SELECT * FROM sides('flag_stages_none');
SELECT migspec_flag_stage('flag_stages_f', 13), migspec_flag_reads_new('flag_stages_f', 13),
	migspec_flag_writes('flag_stages_f', 13),
	migspec_flag_stage('flag_stages_f', '550e8400-e29b-41d4-a716-446655440000'::uuid);
SELECT migspec_flag_stage(NULL, NULL::text), migspec_flag_reads_new(NULL, NULL::text), migspec_flag_writes(NULL, NULL::text);

-- attach: both must be yours; then the flag is the migration owner's
SET ROLE flag_stages_other;
SELECT refused($$SELECT migspec_flag_attach('flag_stages_f', 'flag_stages_m')$$);
SET ROLE flag_stages_owner;
SELECT refused($$SELECT migspec_flag_attach('flag_stages_f', 'flag_stages_m')$$);
RESET ROLE;
SELECT refused($$SELECT migspec_flag_attach('flag_stages_none', 'flag_stages_m')$$);
SELECT refused($$SELECT migspec_flag_attach('flag_stages_f', 'flag_stages_none')$$);
SELECT refused($$SELECT migspec_flag_attach('flag_stages_f', 'flag_stages_m', 3)$$);
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f')$$);
SELECT migspec_flag_attach('flag_stages_f', 'flag_stages_m');
SELECT owner, state(name) FROM migspec.flags WHERE name = 'flag_stages_f';
SET ROLE flag_stages_other;
SELECT refused($$SELECT migspec_flag_rollout('flag_stages_f', 100)$$);
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f')$$);
SET ROLE flag_stages_owner;
SELECT refused($$SELECT migspec_flag_attach('flag_stages_f', 'flag_stages_m')$$);
SELECT refused($$SELECT migspec_flag_drop('flag_stages_f')$$);
SELECT refused($$SELECT migspec_flag_import('{"version": 2, "events": [{"type": "feature-removed", "featureName": "flag_stages_f"}]}')$$);
-- at rest the document does not matter
SELECT * FROM sides('flag_stages_f');

-- nothing but "off" before there is a new column
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f', 1)$$);
SELECT refused($$SELECT migspec_flag_retreat('flag_stages_f')$$);
SELECT migspec_expand('flag_stages_m');

-- dualwrite for 1 %: user 13 is among them, who has no id never is
SELECT migspec_flag_advance('flag_stages_f', 1);
SELECT state('flag_stages_f');
SELECT * FROM sides('flag_stages_f');
SELECT migspec_flag_stage('flag_stages_f', '{"userId": "13"}'::jsonb ->> 'userId');
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f')$$);
-- the buckets are frozen now, and nothing may be random
SELECT refused($$SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [
	{"name": "gradualRollout", "parameters": {"percentage": "1", "groupId": "another"}}]}')$$);
SELECT refused($$SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [
	{"name": "gradualRollout", "parameters": {"percentage": "1", "groupId": "new_memory_store", "stickiness": "sessionId"}}]}')$$);
SELECT refused($$SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [{"name": "default"}]}')$$);
SELECT refused($$SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [
	{"name": "flexibleRollout", "parameters": {"rollout": "1", "groupId": "new_memory_store", "stickiness": "random"}}]}')$$);
-- nor may the parent be: who would get its variant by chance does not get it
BEGIN;
SET LOCAL ROLE NONE;
SELECT migspec_flag_put('{"name": "flag_stages_parent", "strategies": [{"name": "default"}], "variants":
	[{"name": "a", "weight": 500, "stickiness": "random"}, {"name": "b", "weight": 500, "stickiness": "random"}]}');
SELECT migspec_flag_put(jsonb_set(document, '{dependencies}', '[{"feature": "flag_stages_parent", "variants": ["a"]}]'))
FROM migspec.flags WHERE name = 'flag_stages_f';
SELECT migspec_flag_rollout('flag_stages_f', 100);
SELECT DISTINCT migspec_flag_stage('flag_stages_f', '13') FROM generate_series(1, 100);
SELECT migspec_flag_put(replace(document::text, '"random"', '"sessionId"')::jsonb) FROM migspec.flags WHERE name = 'flag_stages_parent';
SELECT DISTINCT migspec_flag_stage('flag_stages_f', '13') FROM generate_series(1, 100);
ROLLBACK;
-- another way to say the same, a list, and a constraint are no matter
SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [
	{"name": "userWithId", "parameters": {"userIds": "1"}},
	{"name": "flexibleRollout", "parameters": {"rollout": "0", "groupId": "new_memory_store", "stickiness": "default"}}]}');
SELECT * FROM sides('flag_stages_f');
-- switched off: all are in the first of the two stages
SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": false, "strategies": [
	{"name": "flexibleRollout", "parameters": {"rollout": "100", "groupId": "new_memory_store", "stickiness": "default"}}]}');
SELECT * FROM sides('flag_stages_f');
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f')$$);
SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": true, "strategies": [
	{"name": "flexibleRollout", "parameters": {"rollout": "1", "groupId": "new_memory_store", "stickiness": "default"}}]}');
-- all of them, and back in one call
SELECT migspec_flag_rollout('flag_stages_f', 100);
SELECT * FROM sides('flag_stages_f');
SELECT migspec_flag_retreat('flag_stages_f');
SELECT state('flag_stages_f');
SELECT migspec_flag_advance('flag_stages_f', 100);
SELECT migspec_flag_advance('flag_stages_f');
SELECT state('flag_stages_f');
SELECT * FROM sides('flag_stages_f');
-- shadow needs the rows
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f', 1)$$);
SELECT refused($$SELECT migspec_flag_detach('flag_stages_f')$$);
CALL migspec_run('flag_stages_m', 'verified');
SELECT migspec_flag_advance('flag_stages_f', 1);
SELECT * FROM sides('flag_stages_f');
SELECT migspec_flag_rollout('flag_stages_f', 100);
SELECT migspec_flag_advance('flag_stages_f');
-- a move and the next one in one transaction: others could miss one
BEGIN;
SELECT migspec_flag_advance('flag_stages_f', 10);
SELECT migspec_flag_rollout('flag_stages_f', 100);
SELECT migspec_flag_advance('flag_stages_f');
SELECT migspec_flag_retreat('flag_stages_f');
SELECT refused($$SELECT migspec_flag_retreat('flag_stages_f')$$);
ROLLBACK;
SELECT state('flag_stages_f');
SELECT migspec_flag_advance('flag_stages_f', 1);
SELECT * FROM sides('flag_stages_f');
SELECT migspec_flag_rollout('flag_stages_f', 100);
SELECT migspec_flag_advance('flag_stages_f');
SELECT * FROM sides('flag_stages_f');
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f', 1)$$);
SELECT migspec_switch('flag_stages_m');
SELECT migspec_flag_advance('flag_stages_f', 1);
SELECT * FROM sides('flag_stages_f');
-- the old column cannot go while somebody reads or writes it
SELECT refused($$SELECT migspec_contract('flag_stages_m')$$);
SELECT refused($$SELECT migspec_contract('flag_stages_m', force => true)$$);
BEGIN;
CALL migspec_flag_move('flag_stages_f', 'complete');
ROLLBACK;
CALL migspec_flag_move('flag_stages_f', 'sometime');
CALL migspec_flag_move('flag_stages_f', 'complete');
SELECT * FROM sides('flag_stages_f');
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f')$$);
CALL migspec_flag_move('flag_stages_f', 'shadow');
SELECT state('flag_stages_f');
CALL migspec_flag_move('flag_stages_f', 'rampdown');
BEGIN;
SELECT migspec_flag_advance('flag_stages_f', 100);
SELECT migspec_flag_advance('flag_stages_f');
SELECT refused($$SELECT migspec_contract('flag_stages_m', force => true)$$);
ROLLBACK;
CALL migspec_flag_move('flag_stages_f', 'complete');
SELECT migspec_contract('flag_stages_m', force => true);
SELECT refused($$SELECT migspec_flag_retreat('flag_stages_f')$$);
SELECT migspec_finish('flag_stages_m');
-- it keeps its stage: code that still asks goes on reading the new column
SELECT state('flag_stages_f');
SELECT * FROM sides('flag_stages_f');
SELECT migspec_flag_put('{"name": "flag_stages_f", "enabled": false, "strategies": [
	{"name": "flexibleRollout", "parameters": {"rollout": "1", "groupId": "new_memory_store", "stickiness": "default"}}]}');
SELECT migspec_flag_reads_new('flag_stages_f', '13');
SELECT refused($$SELECT migspec_flag_advance('flag_stages_f')$$);
SELECT migspec_flag_drop('flag_stages_f');
SELECT event, detail - 'generation' FROM migspec.events WHERE migration = 'flag_stages_m' AND event ~ 'flag' ORDER BY id;
RESET ROLE;

-- the forms with 2 and 4 stages
SELECT migspec_flag_put('{"name": "flag_stages_2", "strategies": [{"name": "gradualRollout", "parameters": {"percentage": "0"}}]}');
SELECT migspec_flag_put('{"name": "flag_stages_4", "strategies": [{"name": "gradualRollout", "parameters": {"percentage": "0"}}]}');
SELECT migspec_flag_put('{"name": "flag_stages_r", "strategies": [{"name": "gradualRolloutRandom", "parameters": {"percentage": "0"}}]}');
SELECT count(*) > 0 FROM migspec_expand('flag_stages_n', migspec_rename_column('memories', 'body', 'content'));
SELECT migspec_flag_attach('flag_stages_2', 'flag_stages_n', 2), migspec_flag_attach('flag_stages_4', 'flag_stages_n', 4);
SELECT refused($$SELECT migspec_flag_attach('flag_stages_r', 'flag_stages_n')$$);
SELECT refused($$SELECT migspec_flag_advance('flag_stages_2', 1)$$);
SELECT refused($$SELECT migspec_flag_advance('flag_stages_4', 1)$$);
CALL migspec_run('flag_stages_n', 'switched');
SELECT migspec_flag_advance('flag_stages_2', 1), migspec_flag_advance('flag_stages_4', 1);
SELECT state('flag_stages_2'), state('flag_stages_4');
CALL migspec_flag_move('flag_stages_4', 'dualwrite');
CALL migspec_flag_move('flag_stages_4', 'live');
SELECT state('flag_stages_4');
SELECT * FROM sides('flag_stages_4');
SELECT refused($$SELECT migspec_contract('flag_stages_n')$$);
-- rolled back: all are in stage off at once, and the flags on their own
SELECT migspec_rollback('flag_stages_n');
SELECT state('flag_stages_2'), state('flag_stages_4');
SELECT * FROM sides('flag_stages_4');
SELECT event, detail FROM migspec.events WHERE migration = 'flag_stages_n' AND event ~ 'flag_roll' ORDER BY id;
-- and can be attached again
SELECT count(*) > 0 FROM migspec_plan('flag_stages_n', migspec_rename_column('memories', 'body', 'content'));
SELECT migspec_flag_attach('flag_stages_4', 'flag_stages_n');
SELECT migspec_flag_detach('flag_stages_4');
SELECT migspec_flag_drop('flag_stages_4'), migspec_flag_drop('flag_stages_2'), migspec_flag_drop('flag_stages_r');

-- a configuration that does not say "enabled" is decided by its strategies
SELECT migspec_flag_put('{"name":"new_memory_store","strategies":[{"name":"userWithId","parameters":{"userIds":"internal@company.com"}},{"name":"gradualRollout","parameters":{"percentage":"10"}}]}');
SELECT migspec_flag_enabled('new_memory_store', 'internal@company.com'), migspec_flag_enabled('new_memory_store', 'external@company.com');
DO $$
DECLARE
	p integer;
	users integer[];
	before integer[] := '{}';
BEGIN
	FOREACH p IN ARRAY ARRAY[0, 1, 5, 10, 25, 50, 100] LOOP
		PERFORM migspec_flag_rollout('new_memory_store', p);
		SELECT coalesce(array_agg(i ORDER BY i), '{}') INTO users FROM generate_series(1, 400) AS i
			WHERE migspec_flag_enabled('new_memory_store', i);
		RAISE WARNING USING ERRCODE = '01000', MESSAGE = format('%s %%: %s users, %s, contains those before: %s',
			p, cardinality(users), users[:10], users @> before);
		before := users;
	END LOOP;
END $$;
SELECT migspec_flag_drop('new_memory_store');

SET client_min_messages = error;
DROP SCHEMA flag_stages CASCADE;
DELETE FROM migspec.migration WHERE name IN ('flag_stages_m', 'flag_stages_n');
DROP ROLE flag_stages_owner, flag_stages_other;
