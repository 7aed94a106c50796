--
-- The guard: DDL that would block others is told of, or refused.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA gd;
SET search_path = gd, public;
\set SHOW_CONTEXT never

CREATE TABLE big (id int PRIMARY KEY, a int, b text);
INSERT INTO big SELECT i, i, repeat('x', 100) FROM generate_series(1, 5000) AS i;
CREATE TABLE small (id int PRIMARY KEY, a int, b text);
INSERT INTO small VALUES (1, 1, 'x');
CREATE TABLE empty (id int, a int);
CREATE TABLE referring (big_id int);
INSERT INTO referring SELECT generate_series(1, 5000);
CREATE MATERIALIZED VIEW matview AS SELECT id, b FROM big;
CREATE UNIQUE INDEX ON matview (id);
ALTER TABLE big SET (autovacuum_enabled = off);
VACUUM ANALYZE big, small, empty, referring, matview;

-- off by default
SHOW migspec.guard;
BEGIN;
ALTER TABLE big ALTER a TYPE bigint;
ROLLBACK;

SET migspec.guard_max_bytes = '64kB';

-- what a statement leads to; nothing of it stays
CREATE FUNCTION try(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION SQLSTATE 'UNDO1';
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
	RETURN 'passed';
WHEN OTHERS THEN
	RETURN sqlstate || ': ' || regexp_replace(sqlerrm, '\d+ kB', 'N kB');
END $$;
CREATE TABLE statement (no serial PRIMARY KEY, text text);
COPY statement (text) FROM stdin;
ALTER TABLE big ALTER a TYPE bigint
ALTER TABLE big ALTER a TYPE int
ALTER TABLE big ALTER b TYPE varchar
ALTER TABLE small ALTER a TYPE bigint
ALTER TABLE empty ALTER a TYPE bigint
ALTER TABLE big ADD COLUMN c int DEFAULT 7
ALTER TABLE big ADD COLUMN c float8 DEFAULT random()
ALTER TABLE big ALTER a SET NOT NULL
ALTER TABLE big ADD CHECK (a > 0)
ALTER TABLE big ADD CHECK (a > 0) NOT VALID
ALTER TABLE big ADD UNIQUE (a)
CREATE INDEX ON big (a)
CREATE INDEX ON small (a)
ALTER TABLE referring ADD FOREIGN KEY (big_id) REFERENCES big
ALTER TABLE referring ADD FOREIGN KEY (big_id) REFERENCES big NOT VALID
ALTER TABLE big SET UNLOGGED
CLUSTER big USING big_pkey
REINDEX TABLE big
REINDEX INDEX big_pkey
REFRESH MATERIALIZED VIEW matview
REFRESH MATERIALIZED VIEW CONCURRENTLY matview
TRUNCATE big
DROP TABLE big CASCADE
ALTER TABLE big DROP COLUMN a
ALTER TABLE big RENAME TO huge
ALTER TABLE big ALTER nothing TYPE bigint
ALTER TABLE nothing ALTER a TYPE bigint
\.

\set VERBOSITY terse
SET migspec.guard = warn;
SELECT text, try(text) FROM statement WHERE no IN (1, 2, 9) ORDER BY no;
SET migspec.guard = enforce;
SELECT text, try(text) FROM statement ORDER BY no;
-- not in a transaction block or function
VACUUM FULL big;
VACUUM FULL small;
VACUUM big;
VACUUM ANALYZE big;
CREATE INDEX CONCURRENTLY big_a ON big (a);
REINDEX INDEX CONCURRENTLY big_a;
DROP INDEX CONCURRENTLY big_a;
REINDEX SCHEMA gd;

-- the elements of CREATE SCHEMA
CREATE TABLE parts (id int) PARTITION BY RANGE (id);
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT generate_series(1001, 6000);
CREATE SCHEMA gd_new CREATE TABLE parts_1 PARTITION OF gd.parts FOR VALUES FROM (1) TO (1000);
CREATE SCHEMA gd_new CREATE TABLE parts_1 (id int) CREATE INDEX ON parts_1 (id);
DROP SCHEMA gd_new CASCADE;

-- with the safe way
CREATE FUNCTION explain(statement text) RETURNS TABLE (error text, detail text, hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
EXCEPTION WHEN SQLSTATE 'MG502' THEN
	GET STACKED DIAGNOSTICS error = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN NEXT;
END $$;
SELECT statement, detail LIKE '%migspec.guard_max_bytes is 64 kB%' AS limit, hint LIKE '%' || way || '%' AS way,
	hint LIKE '%migspec_guard_override%' AS override
FROM (VALUES ('CREATE INDEX big_a ON big (a)', 'CREATE INDEX CONCURRENTLY big_a ON big (a);'),
	('ALTER TABLE big ALTER b SET NOT NULL', 'VALIDATE CONSTRAINT'),
	('ALTER TABLE big ALTER a TYPE bigint', 'migspec_change_type(''big'', ''a'', ''bigint'')')) AS v (statement, way),
	explain(statement) AS e;

-- a column that the same statement adds has no safe way yet, but is no reason to fall
DO $$
BEGIN
	IF current_setting('server_version_num')::int >= 170000 THEN
		EXECUTE 'ALTER TABLE big ADD COLUMN d int GENERATED ALWAYS AS (a) STORED, ALTER d SET EXPRESSION AS (a + 1)';
	ELSE
		EXECUTE 'ALTER TABLE big ADD COLUMN d int GENERATED ALWAYS AS (a) STORED';
	END IF;
END $$;

-- everywhere: DO blocks, functions, dynamic SQL, multi-statement strings
DO $$ BEGIN CREATE INDEX ON big (a); END $$;
DO $$ BEGIN EXECUTE 'CREATE INDEX ON big (a)'; END $$;
CREATE FUNCTION index_it() RETURNS void LANGUAGE sql AS 'CREATE INDEX ON gd.big (a)';
SELECT index_it();
CREATE PROCEDURE index_it_too() LANGUAGE plpgsql AS 'BEGIN COMMIT; CREATE INDEX ON gd.big (a); END';
CALL index_it_too();
CREATE INDEX ON big (b)\; CREATE INDEX ON big (a);
SELECT 1 \; CREATE INDEX ON big (a);
CREATE FUNCTION index_in_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN CREATE INDEX ON gd.big (a); RETURN NULL; END';
CREATE TRIGGER t AFTER INSERT ON empty EXECUTE FUNCTION index_in_trigger();
INSERT INTO empty VALUES (1);
DROP TRIGGER t ON empty;
-- the transaction goes on after an error in a subtransaction
BEGIN;
SAVEPOINT s;
CREATE INDEX ON big (a);
ROLLBACK TO s;
CREATE INDEX small_a ON small (a);
SAVEPOINT s;
CREATE INDEX ON big (a);
ROLLBACK TO s;
COMMIT;
DROP INDEX small_a;

-- what nobody else can see
BEGIN;
CREATE TABLE mine AS SELECT * FROM big;
CREATE INDEX ON mine (a);
ALTER TABLE mine ALTER a TYPE bigint;
ROLLBACK;
CREATE TEMP TABLE mine AS SELECT * FROM big;
CREATE INDEX ON mine (a);
ALTER TABLE mine ALTER a TYPE bigint;
CLUSTER mine USING mine_a_idx;
DROP TABLE mine;
BEGIN;
TRUNCATE big CASCADE;
INSERT INTO big SELECT i, i, repeat('x', 100) FROM generate_series(1, 5000) AS i;
CREATE INDEX ON big (a);
ROLLBACK;

--
-- Who is let pass
--
CREATE ROLE gd_deploy;
CREATE ROLE gd_member IN ROLE gd_deploy;
CREATE ROLE gd_other;
GRANT ALL ON SCHEMA gd TO gd_deploy, gd_member, gd_other;
GRANT gd_deploy TO gd_other;
ALTER TABLE big OWNER TO gd_deploy;
REVOKE gd_deploy FROM gd_other;
SET migspec.guard_allow_roles = gd_deploy, "nobody here";
CREATE INDEX ON big (a);
SET ROLE gd_member;
CREATE INDEX big_a ON big (a);
DROP INDEX big_a;
SET migspec.guard = off;
SET migspec.guard_allow_roles = gd_other;
SET migspec.guard_max_bytes = -1;
SELECT migspec_guard_override('because');
RESET ROLE;
RESET migspec.guard_allow_roles;
SET migspec.guard_allow_tags = 'create index, REINDEX';
CREATE INDEX big_a ON big (a);
REINDEX TABLE big;
ALTER TABLE big ALTER a TYPE bigint;
SET migspec.guard_allow_tags = 'CREATE INDEX, CREATE NONSENSE';
RESET migspec.guard_allow_tags;
DROP INDEX big_a;
SET migspec.guard_max_bytes = -1;
CREATE INDEX big_a ON big (a);
DROP INDEX big_a;
SET migspec.guard_max_bytes = '64kB';

-- for one transaction, with a reason
SELECT migspec_guard_override('');
SELECT migspec_guard_override(NULL);
SELECT migspec_guard_override('too late');
CREATE INDEX ON big (a);
BEGIN;
SELECT migspec_guard_override('index for the report');
CREATE INDEX big_a ON big (a);
COMMIT;
DROP INDEX big_a;
CREATE INDEX ON big (a);
BEGIN;
SAVEPOINT s;
SELECT migspec_guard_override('in a subtransaction');
SAVEPOINT t;
CREATE INDEX ON big (a);
ROLLBACK TO t;
CREATE INDEX ON big (a);
ROLLBACK TO s;
CREATE INDEX ON big (a);
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT migspec_guard_override('in a subtransaction that stays');
RELEASE s;
CREATE INDEX ON big (a);
SAVEPOINT s;
SELECT migspec_guard_override('once more');
ROLLBACK TO s;
CREATE INDEX ON big (a);
ROLLBACK;
CREATE INDEX ON big (a);
DO $$ BEGIN PERFORM migspec_guard_override('in a DO block'); CREATE INDEX big_a ON gd.big (a); END $$;
DROP INDEX big_a;
GRANT EXECUTE ON FUNCTION migspec_guard_override TO gd_deploy;
SET ROLE gd_member;
BEGIN;
SELECT migspec_guard_override('by one who may');
CREATE INDEX big_a ON big (a);
COMMIT;
DROP INDEX big_a;
RESET ROLE;
SELECT event, detail->>'reason' AS reason, detail->>'role' = 'gd_member' AS by_member FROM migspec.events
WHERE event = 'guard_overridden' AND detail->>'reason' <> 'too late' ORDER BY id;

-- a restore
BEGIN;
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
CREATE INDEX ON gd.big (a);
ROLLBACK;
BEGIN;
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SELECT pg_catalog.set_config('search_path', '', true);
CREATE INDEX ON gd.big (a);
ALTER TABLE gd.big ADD UNIQUE (a);
ROLLBACK;

-- migspec itself
SELECT migspec_expand('gd', migspec_change_type('big', 'a', 'bigint'));
CREATE INDEX ON big (b);
CALL migspec_run('gd', 'finished');
\d big

--
-- lock_timeout
--
CREATE FUNCTION timeout_now() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE WARNING 'lock_timeout is %', current_setting('lock_timeout');
	RETURN NULL;
END $$;
CREATE FUNCTION timeout_event() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
	IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE schema_name = 'gd') THEN
		RAISE WARNING '%: lock_timeout is %', tg_tag, current_setting('lock_timeout');
	END IF;
END $$;
CREATE EVENT TRIGGER timeout_event ON ddl_command_end WHEN TAG IN ('ALTER TABLE', 'CREATE TABLE') EXECUTE FUNCTION timeout_event();
SHOW migspec.guard_lock_timeout;
ALTER TABLE big ADD COLUMN c int;
SHOW lock_timeout;
-- weak locks and what nobody sees do without
ALTER TABLE big ALTER c SET STATISTICS 10;
CREATE TABLE fresh (id int);
-- who has one keeps it
SET lock_timeout = '7s';
ALTER TABLE big DROP COLUMN c;
RESET lock_timeout;
BEGIN;
ALTER TABLE big ADD COLUMN c int;
SHOW lock_timeout;
SAVEPOINT s;
ALTER TABLE big ADD COLUMN c int;
ROLLBACK TO s;
SHOW lock_timeout;
COMMIT;
ALTER TABLE big ADD COLUMN c int;
SHOW lock_timeout;
DO $$
BEGIN
	BEGIN
		ALTER TABLE gd.big ADD COLUMN c int;
	EXCEPTION WHEN duplicate_column THEN
		RAISE WARNING 'lock_timeout is %', current_setting('lock_timeout');
	END;
	ALTER TABLE gd.big DROP COLUMN c;
	RAISE WARNING 'lock_timeout is %', current_setting('lock_timeout');
END $$;
-- commits on its way
VACUUM FULL small, empty;
SHOW lock_timeout;
REINDEX TABLE CONCURRENTLY small;
SHOW lock_timeout;
SET migspec.guard_lock_timeout = 0;
ALTER TABLE big ADD COLUMN c int;
RESET migspec.guard_lock_timeout;
SET migspec.guard = warn;
ALTER TABLE big DROP COLUMN c;
DROP EVENT TRIGGER timeout_event;

RESET migspec.guard;
SET client_min_messages = error;
DROP SCHEMA gd CASCADE;
DROP OWNED BY gd_deploy, gd_member, gd_other;
DROP ROLE gd_member, gd_deploy, gd_other;
