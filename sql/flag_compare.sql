-- Shadow comparison: the same question to the old and to the new shape.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE ROLE flag_compare_app;
CREATE SCHEMA flag_compare;
GRANT ALL ON SCHEMA flag_compare TO PUBLIC;
SET search_path = flag_compare, public;
\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE TABLE notes (id integer PRIMARY KEY, content text);
INSERT INTO notes SELECT g, 'note ' || g FROM generate_series(1, 20) AS g;
GRANT SELECT ON notes TO flag_compare_app;
SELECT count(*) > 0 AS planned FROM migspec_plan('flag_compare_m', migspec_rename_column('notes', 'content', 'body'));
CALL migspec_run('flag_compare_m', 'switched');
SELECT migspec_flag_put('{"name": "flag_compare_f", "strategies": [{"name": "gradualRollout", "parameters": {"percentage": "0"}}]}');
-- how often did each side run? Sequences do not mind being rolled back
CREATE SEQUENCE old_runs;
CREATE SEQUENCE new_runs;
GRANT ALL ON SEQUENCE old_runs, new_runs TO flag_compare_app;
CREATE FUNCTION runs() RETURNS text LANGUAGE sql AS $$
	SELECT format('old %s, new %s', nextval('old_runs') - 1, nextval('new_runs') - 1)
		|| left(setval('old_runs', 1, false)::text || setval('new_runs', 1, false), 0)
$$;
CREATE FUNCTION ask(key text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT migspec_flag_compare('flag_compare_f', key,
		'WITH s AS MATERIALIZED (SELECT nextval(''old_runs'')) SELECT id, content FROM notes WHERE id = 1 AND (SELECT count(*) FROM s) = 1',
		'WITH s AS MATERIALIZED (SELECT nextval(''new_runs'')) SELECT id, body FROM notes WHERE id = 1 AND (SELECT count(*) FROM s) = 1',
		candidate_timeout => '1 min')
$$;
CREATE FUNCTION found() RETURNS TABLE (comparisons bigint, mismatches bigint, failures bigint) LANGUAGE plpgsql AS $$
DECLARE
	row record;
BEGIN
	-- the scheduler has looked when all are there
	FOR i IN 1 .. 300 LOOP
		SELECT c.comparisons, c.mismatches, c.failures INTO row FROM migspec.flag_counts AS c WHERE flag = 'flag_compare_f';
		EXIT WHEN row.comparisons + row.failures >= 16;
		PERFORM pg_sleep(0.1);
	END LOOP;
	RETURN QUERY SELECT row.comparisons, row.mismatches, row.failures;
END $$;

-- no migration's: the document decides which side is asked
SELECT ask('u'), runs();
SELECT migspec_flag_rollout('flag_compare_f', 100);
SELECT ask('u'), runs();
SELECT migspec_flag_attach('flag_compare_f', 'flag_compare_m');
-- off and dualwrite: only the old side is asked
SELECT ask('u'), runs();
CALL migspec_flag_move('flag_compare_f', 'dualwrite');
SELECT ask('u'), runs();
-- shadow: both, the old one decides; names and order do not matter
CALL migspec_flag_move('flag_compare_f', 'shadow');
SELECT ask('u'), runs();
SELECT ask(NULL), runs();
SELECT migspec_flag_compare('flag_compare_f', 'u', 'SELECT id, content FROM notes WHERE id <= 3 ORDER BY id DESC',
	'SELECT id, body FROM notes WHERE id <= 3 ORDER BY id');
SELECT migspec_flag_compare('flag_compare_f', 'u', 'SELECT content FROM notes WHERE id = 0', 'SELECT body FROM notes WHERE id = 0');
-- live: the new one decides
CALL migspec_flag_move('flag_compare_f', 'live');
SELECT ask('u'), runs();
SELECT * FROM migspec.flag_mismatches;
-- rampdown, complete: only the new side
CALL migspec_flag_move('flag_compare_f', 'rampdown');
SELECT ask('u'), runs();
CALL migspec_flag_move('flag_compare_f', 'shadow');

-- a difference, as a role that may read the table and nothing else; the first
-- one of its flag, in a transaction that is prepared
SET ROLE flag_compare_app;
BEGIN;
SELECT migspec_flag_compare('flag_compare_f', 'k0', 'SELECT 1 AS one', 'SELECT 2 AS one');
PREPARE TRANSACTION 'flag_compare';
COMMIT PREPARED 'flag_compare';
SELECT migspec_flag_compare('flag_compare_f', 'k1', 'SELECT id, content FROM notes WHERE id = 1',
	'SELECT id, upper(body) FROM notes WHERE id = 1');
SELECT migspec_flag_compare('flag_compare_f', 'k2', 'SELECT 1 AS one', 'SELECT 1 AS one WHERE false');
SELECT migspec_flag_compare('flag_compare_f', 'k3', 'SELECT 1.0 AS one', 'SELECT 1::bigint AS une');
-- the candidate fails, takes too long, writes: the caller does not notice
SELECT migspec_flag_compare('flag_compare_f', 'k4', 'SELECT 1 AS one', 'SELECT 1 / 0');
SELECT migspec_flag_compare('flag_compare_f', 'k5', 'SELECT 1 AS one', 'SELECT pg_sleep(60)', candidate_timeout => '50 ms');
SELECT migspec_flag_compare('flag_compare_f', 'k6', 'SELECT 1 AS one', 'SELECT body FROM no_such_table');
SELECT migspec_flag_compare('flag_compare_f', 'k7', 'SELECT 1 AS one', 'DELETE FROM notes RETURNING 1');
CREATE TABLE written (i integer);
CREATE FUNCTION write() RETURNS integer LANGUAGE sql AS 'INSERT INTO written VALUES (1) RETURNING 1';
SELECT migspec_flag_compare('flag_compare_f', 'k8', 'SELECT 1 AS one', 'SELECT write() AS one -- and a comment');
SELECT count(*) FROM written;
-- a syntax that gets out of the query is none
SELECT migspec_flag_compare('flag_compare_f', 'k9', 'SELECT 1 AS one', 'SELECT 1) SELECT (SELECT 1');
-- the caller sees nothing of what was found
SELECT count(*) FROM migspec.flag_mismatches;
-- errors of the side that decides are the caller's
SELECT migspec_flag_compare('flag_compare_f', 'k', 'SELECT 1 / 0', 'SELECT 1');
SELECT migspec_flag_compare('flag_compare_f', 'k', 'DELETE FROM notes', 'SELECT 1');
SELECT migspec_flag_compare('flag_compare_none', 'k', 'SELECT 1', 'SELECT 1');
SELECT migspec_flag_compare('flag_compare_f', 'k', 'SELECT 1', 'SELECT 1', one_in => 0);
-- a transaction that must not write
BEGIN READ ONLY;
SELECT migspec_flag_compare('flag_compare_f', 'k10', 'SELECT 1 AS one', 'SELECT 2 AS one');
COMMIT;
-- the caller's own limits hold
SET statement_timeout = '100ms';
SELECT migspec_flag_compare('flag_compare_f', 'k', 'SELECT 1 AS one', 'SELECT pg_sleep(60)', candidate_timeout => '1 min');
RESET statement_timeout;
SELECT 1 AS still_here;
RESET ROLE;
SELECT flag, key, stage, old_value, new_value, sqlstate, message FROM migspec.flag_mismatches ORDER BY key;
SELECT * FROM found();
SELECT event, detail FROM migspec.events WHERE event = 'flag_mismatch' AND detail ->> 'flag' = 'flag_compare_f';

-- one in ten, by key, always the same ones
SELECT migspec_flag_forget('flag_compare_f');
SELECT count(*) FROM migspec.flag_mismatches;
SELECT runs();
CREATE FUNCTION sampled(key text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('new_runs', 1, false);
	PERFORM migspec_flag_compare('flag_compare_f', key, 'SELECT 1', 'SELECT nextval(''new_runs'')', 10);
	RETURN (SELECT is_called FROM new_runs);
END $$;
CREATE TABLE first AS SELECT i FROM generate_series(1, 1000) AS i WHERE sampled('key ' || i);
CREATE TABLE again AS SELECT i FROM generate_series(1, 1000) AS i WHERE sampled('key ' || i);
SELECT count(*), count(*) BETWEEN 70 AND 130 AS about_a_tenth, (array_agg(i ORDER BY i))[:5] AS first,
	array_agg(i ORDER BY i) = (SELECT array_agg(i ORDER BY i) FROM again) AS same FROM first;

-- both sides in one snapshot: the new one sees what the old one saw
CREATE TABLE moving (side text, i integer);
INSERT INTO moving VALUES ('old', 1), ('new', 1);
CREATE FUNCTION bump() RETURNS integer LANGUAGE sql AS $$ UPDATE moving SET i = i + 1 WHERE side = 'new' RETURNING i $$;
SELECT migspec_flag_forget('flag_compare_f');
SELECT migspec_flag_compare('flag_compare_f', 'k', 'SELECT i FROM moving, (SELECT bump()) AS b WHERE side = ''old''',
	'SELECT i FROM moving WHERE side = ''new''');
SELECT * FROM migspec.flag_mismatches;

SET client_min_messages = error;
SELECT migspec_rollback('flag_compare_m');
SELECT migspec_flag_drop('flag_compare_f');
DELETE FROM migspec.migration WHERE name = 'flag_compare_m';
DROP SCHEMA flag_compare CASCADE;
DROP ROLE flag_compare_app;
