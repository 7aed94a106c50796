-- Who still uses the old shape of a table that migrates.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE ROLE usage_app;
CREATE ROLE usage_other;
CREATE TABLE usage_t (id integer PRIMARY KEY, content text, kind text);
CREATE TABLE usage_unrelated (id integer, content text);
INSERT INTO usage_t SELECT g, 'c' || g, 'k' FROM generate_series(1, 10) AS g;
CREATE VIEW usage_v AS SELECT id, kind FROM usage_t;
CREATE VIEW usage_star AS SELECT * FROM usage_unrelated;
CREATE TABLE usage_child (t_id integer REFERENCES usage_t);
GRANT ALL ON usage_t, usage_v TO usage_app, usage_other;
SELECT count(*) > 0 AS planned FROM migspec_plan('usage_rename', migspec_rename_column('usage_t', 'content', 'content_text'));
PREPARE old_plan AS SELECT content FROM usage_t WHERE id = $1;
EXECUTE old_plan(1);
SELECT migspec_expand('usage_rename');

-- nothing so far: what happened before expand does not count
SELECT * FROM migspec_usage('usage_rename');

-- the kinds of statements, each under an application name of its own
SET application_name = 'star';
SELECT * FROM usage_t WHERE id = 1;
SET application_name = 'where';
SELECT id FROM usage_t WHERE content = 'c2';
SET application_name = 'returning';
UPDATE usage_t SET kind = 'x' WHERE id = 3 RETURNING content;
SET application_name = 'whole row';
SELECT usage_t IS NOT NULL AS row FROM usage_t WHERE id = 1;
SET application_name = 'prepared';
EXECUTE old_plan(1);
EXECUTE old_plan(2);
SET application_name = 'insert';
INSERT INTO usage_t (id, content) VALUES (11, 'c11');
SET application_name = 'update';
UPDATE usage_t SET content = 'c11' WHERE id = 11;
SET application_name = 'copy to';
COPY usage_t (content) TO '/dev/null';
SET application_name = 'copy from';
COPY usage_t (id, content) FROM stdin;
12	c12
\.
SET application_name = 'function';
CREATE FUNCTION usage_f() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(content) FROM usage_t); END';
SELECT usage_f();
SET application_name = 'cursor';
BEGIN;
DECLARE c CURSOR FOR SELECT content FROM usage_t ORDER BY id;
FETCH 1 FROM c;
COMMIT;
SET application_name = 'merge';
MERGE INTO usage_t USING (VALUES (12)) AS v(id) ON usage_t.id = v.id
	WHEN MATCHED THEN UPDATE SET content = 'm12';
SET application_name = 'long statement';
DO $$
BEGIN
	PERFORM pg_sleep(0.1);
	PERFORM content FROM usage_t;
	RAISE WARNING 'now: %', (SELECT last_read >= statement_timestamp() + '0.1 s'
		FROM migspec_usage('usage_rename') WHERE application = 'long statement');
END $$;

-- these use nothing of the old shape
SET application_name = 'new';
SELECT id, content_text FROM usage_t WHERE content_text = 'c2';
INSERT INTO usage_t (id, content_text) VALUES (13, 'c13');
UPDATE usage_t SET content_text = 'n13' WHERE id = 13 RETURNING content_text;
DELETE FROM usage_t WHERE id = 13;
SELECT count(*) FROM usage_t;
SELECT count(*) FROM usage_v;
SELECT count(*) FROM usage_star;
INSERT INTO usage_child VALUES (1);
EXPLAIN (COSTS OFF) SELECT content FROM usage_t;
COPY usage_t (id, content_text) TO '/dev/null';
COPY usage_unrelated TO '/dev/null';
-- and this is an application that adapts itself
SET application_name = 'pg_dump';
COPY usage_t TO '/dev/null';

-- so is, as soon as somebody says so, one with a blank in its name
SET application_name = 'my reports';
SELECT count(content) FROM usage_t;
SET migspec.usage_ignore = 'my reports, pg_dump';
SELECT count(content) FROM usage_t;
SET application_name = 'pg_dump';
SELECT count(content) FROM usage_t;
RESET migspec.usage_ignore;

SET application_name = 'psql';
SET ROLE usage_app;
SELECT content FROM usage_t WHERE id = 1;
RESET ROLE;
-- with row security, COPY is a query, and one use all the same
ALTER TABLE usage_t ENABLE ROW LEVEL SECURITY;
CREATE POLICY usage_policy ON usage_t USING (id = 1);
SET application_name = 'copy with policy';
SET ROLE usage_app;
COPY usage_t (content) TO stdout;
RESET ROLE;
DROP POLICY usage_policy ON usage_t;
ALTER TABLE usage_t DISABLE ROW LEVEL SECURITY;
SET application_name = 'psql';
SELECT role = session_user AS mine, application, reads, writes, last_read IS NOT NULL AS has_read,
	last_write IS NOT NULL AS has_write, relation, "column", pid = pg_backend_pid() AS this_session, query
FROM migspec_usage('usage_rename') ORDER BY application COLLATE "C", 1;

-- the text of a statement is for its role
SET ROLE usage_other;
SELECT application, query FROM migspec_usage('usage_rename') WHERE application = 'psql';
SET ROLE usage_app;
SELECT application, query FROM migspec_usage('usage_rename') WHERE application = 'psql';
RESET ROLE;

-- the old shape is in use, so it stays
CALL migspec_run('usage_rename', 'switched');
SET migspec.contract_quiet = '1h';
\set VERBOSITY terse
SELECT migspec_contract('usage_rename');
CALL migspec_run('usage_rename', 'contracted');
\set VERBOSITY default
SELECT phase FROM migspec.migrations WHERE name = 'usage_rename';
-- with a short enough time of quiet it may go
SET migspec.contract_quiet = '1s';
SELECT pg_sleep(1.5);
BEGIN;
SELECT migspec_contract('usage_rename');
SELECT phase FROM migspec.migrations WHERE name = 'usage_rename';
ROLLBACK;
-- or by force, which is remembered
SET migspec.contract_quiet = '1h';
SELECT migspec_contract('usage_rename', force => true);
SELECT event, detail ->> 'used_by' LIKE '%application "star"%' OR detail ->> 'used_by' LIKE '%more.' AS who
FROM migspec.events WHERE migration = 'usage_rename' AND event = 'contract_forced';
SELECT migspec_finish('usage_rename');
-- it is known under the name that they used
SELECT relation, "column", count(*) > 0 AS history FROM migspec_usage('usage_rename') GROUP BY 1, 2;

-- a type change has no name to leave: nothing holds it up
DROP VIEW usage_v;
SELECT count(*) > 0 AS planned FROM migspec_plan('usage_type', migspec_change_type('usage_t', 'id', 'bigint'));
CALL migspec_run('usage_type', 'switched');
SELECT id FROM usage_t WHERE id = 1;
SELECT count(*) FROM migspec_usage('usage_type');
SELECT migspec_contract('usage_type');
SELECT migspec_finish('usage_type');

-- partitions: the table that the migration knows is the topmost one
CREATE TABLE usage_p (id integer, content text) PARTITION BY RANGE (id);
CREATE TABLE usage_p1 (content text, id integer);
ALTER TABLE usage_p ATTACH PARTITION usage_p1 FOR VALUES FROM (0) TO (10);
INSERT INTO usage_p VALUES (1, 'a');
SELECT migspec_expand('usage_part', migspec_rename_column('usage_p', 'content', 'body'));
SET application_name = 'root';
SELECT content FROM usage_p;
SET application_name = 'leaf';
SELECT content FROM usage_p1;
SELECT id FROM usage_p1;
SELECT application, reads, relation, "column" FROM migspec_usage('usage_part') ORDER BY application COLLATE "C";
SELECT migspec_rollback('usage_part');

SELECT * FROM migspec_usage('no_such_migration');
RESET application_name;
RESET migspec.contract_quiet;
DEALLOCATE ALL;
DROP FUNCTION usage_f();
DROP VIEW usage_star;
DROP TABLE usage_child, usage_t, usage_unrelated, usage_p;
DROP ROLE usage_app;
DROP ROLE usage_other;
