-- How migspec_check() and migspec_ddl_effects() read a script: transactions,
-- settings, and what later statements see of earlier ones.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
RESET client_min_messages;

CREATE SCHEMA app;
CREATE TABLE t (id int PRIMARY KEY, a int, b text);
CREATE TABLE app.t (id int PRIMARY KEY, a int NOT NULL, "Odd name" text);
CREATE TABLE app.u (id int PRIMARY KEY, t_id int REFERENCES app.t);
CREATE TABLE v (id int PRIMARY KEY, a int);
INSERT INTO t SELECT g, g, g FROM generate_series(1, 10) g;
INSERT INTO app.t SELECT g, g, g FROM generate_series(1, 10) g;
INSERT INTO v SELECT g, g FROM generate_series(1, 10) g;


CREATE FUNCTION effects(script text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s%s%s%s%s', statement, relation, lock_mode,
		CASE WHEN rewrite THEN ' rewrite' END, CASE WHEN scan THEN ' scan' END,
		CASE WHEN index_build THEN ' index' END, CASE WHEN fk_validation THEN ' fk' END)
	FROM migspec_ddl_effects(script) ORDER BY statement, relation
$$;
-- only rules about the script and its transactions, and errors
CREATE FUNCTION findings(script text) RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('%s %s %s%s', statement, rule, coalesce(object, '-'),
		CASE WHEN rule IN ('would-fail', 'big-bang', 'statement-after-ae') THEN ': ' || why END)
	FROM migspec_check(script)
	WHERE rule IN ('would-fail', 'no-lock-timeout', 'statement-after-ae', 'big-bang',
		'not-valid-validate-same-txn', 'dml-with-ddl', 'multiple-alter-same-table',
		'index-concurrently-in-txn', 'unknown-relation-state')
	ORDER BY statement, rule, object
$$;

-- later statements see columns, constraints and names of earlier ones
SELECT effects($$
	ALTER TABLE t ADD c int;
	ALTER TABLE t ADD CONSTRAINT c_there CHECK (c IS NOT NULL) NOT VALID;
	ALTER TABLE t VALIDATE CONSTRAINT c_there;
	ALTER TABLE t ALTER c SET NOT NULL;
	ALTER TABLE t RENAME c TO d;
	ALTER TABLE t ALTER d SET NOT NULL;
	ALTER TABLE t RENAME TO t2;
	ALTER TABLE t2 ALTER a SET NOT NULL;
	DROP TABLE t2;
$$);
SELECT findings($$
	SET lock_timeout = '1s';
	ALTER TABLE t RENAME TO t2;
	ALTER TABLE t ADD x int;
	ALTER TABLE t2 RENAME a TO a2;
	ALTER TABLE t2 DROP a;
	DROP TABLE t2;
	ALTER TABLE t2 ADD x int;
	DROP TABLE IF EXISTS t2;
$$);

-- what the script creates is nobody else's, but is there for it
SELECT effects($$
	CREATE TABLE n (id int PRIMARY KEY, a int);
	ALTER TABLE n ALTER a TYPE bigint;
	CREATE INDEX n_a ON n (a);
	ALTER TABLE n ADD FOREIGN KEY (a) REFERENCES t;
	DROP INDEX n_a;
	ALTER TABLE n RENAME TO m;
	DROP TABLE m;
$$);
SELECT findings($$
	SET lock_timeout = '1s';
	CREATE TABLE n (id int PRIMARY KEY, a int);
	CREATE TABLE n (id int);
	ALTER TABLE n ADD b int DEFAULT a;
	DROP TABLE n;
	ALTER TABLE n ADD b int;
	CREATE TABLE n (id int);
	CREATE SCHEMA fresh;
	CREATE TABLE fresh.n (id int);
	CREATE TABLE stale.n (id int);
	ALTER TABLE fresh.n ADD a int;
	ALTER TABLE fresh.m ADD a int;
	ALTER TABLE stale.n ADD a int;
$$);
-- of functions and types that the script creates, only the names are known
SELECT findings($$
	SET lock_timeout = '1s';
	ALTER TABLE t ADD g int DEFAULT stale();
	CREATE FUNCTION fresh() RETURNS int LANGUAGE sql AS 'SELECT 1';
	ALTER TABLE t ADD f int DEFAULT fresh();
	ALTER TABLE t ALTER f SET NOT NULL;
	CREATE TYPE mood AS ENUM ('good', 'bad');
	ALTER TABLE t ADD m mood DEFAULT 'good';
	ALTER TABLE t ADD o temper;
$$);

-- the search path: the session's, then the script's
SELECT effects('ALTER TABLE t ADD c int; ALTER TABLE app.t ADD c int');
SELECT effects($$
	SET search_path = app, public;
	ALTER TABLE t ADD c int;
	ALTER TABLE v ADD c int;
	RESET search_path;
	ALTER TABLE t ADD c int;
	SET search_path = '';
	ALTER TABLE app.t RENAME TO "Ä t";
	ALTER TABLE app."Ä t" ADD d int;
$$);
SELECT effects($$
	SELECT pg_catalog.set_config('search_path', 'app', false);
	ALTER TABLE u ADD c int;
$$);
SET search_path = app, public;
SELECT effects('ALTER TABLE t ADD c int; ALTER TABLE public.t ADD c int; ALTER TABLE u ADD c int');
SHOW search_path;
RESET search_path;
SELECT findings($$
	SET lock_timeout = '1s';
	SET search_path = app;
	ALTER TABLE v ADD c int;
	BEGIN;
	SET LOCAL search_path = public;
	ALTER TABLE v ADD c int;
	COMMIT;
	ALTER TABLE v ADD c2 int;
	BEGIN;
	SET search_path = public;
	ALTER TABLE v ADD d int;
	ROLLBACK;
	ALTER TABLE v ADD d2 int;
	BEGIN;
	SET search_path = public;
	COMMIT;
	ALTER TABLE v ADD e int;
	SET timezone = 'Nowhere/Land';
	SET LOCAL search_path = app;
	ALTER TABLE v ADD f int;
$$);
SHOW search_path;

-- transactions, rolled back as a whole or in part
SELECT findings($$
	SET lock_timeout = '1s';
	BEGIN;
	ALTER TABLE t ADD c int;
	CREATE TABLE n (id int);
	ROLLBACK;
	ALTER TABLE t DROP c;
	ALTER TABLE n ADD a int;
	BEGIN;
	ALTER TABLE t RENAME TO t2;
	SAVEPOINT one;
	ALTER TABLE t2 RENAME TO t3;
	SAVEPOINT two;
	ALTER TABLE t3 RENAME TO t4;
	ROLLBACK TO one;
	ALTER TABLE t2 ADD c int;
	ROLLBACK TO two;
	RELEASE one;
	COMMIT;
	ALTER TABLE t2 ADD d int;
	ALTER TABLE t ADD d int;
	SAVEPOINT nowhere;
$$);
-- a statement that fails half-way leaves nothing
SELECT findings($$
	SET lock_timeout = '1s';
	ALTER TABLE t ADD c int, ADD d int, ADD c int;
	ALTER TABLE t ADD d int;
	ALTER TABLE t ADD d int;
$$);
SELECT effects($$
	ALTER TABLE t ADD c int, ADD d int, ADD c int;
	ALTER TABLE t ADD d int;
	ALTER TABLE t ADD d int;
$$);

-- timeouts
SELECT findings($$
	ALTER TABLE t ADD c int;
	SET lock_timeout = '2s';
	ALTER TABLE t ADD d int;
	BEGIN;
	SET LOCAL lock_timeout = 0;
	ALTER TABLE t ADD e int;
	ALTER TABLE t ADD f int;
	COMMIT;
	ALTER TABLE t ADD g int;
	SET lock_timeout TO DEFAULT;
	ALTER TABLE t ADD h int;
	SET lock_timeout = 'soon';
	CREATE INDEX CONCURRENTLY ON t (a);
$$);
SET lock_timeout = '1s';
SELECT findings('ALTER TABLE t ADD c int');

-- the shape of transactions
SELECT findings($$
	BEGIN;
	ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
	ALTER TABLE t VALIDATE CONSTRAINT positive;
	COMMIT;
	ALTER TABLE v ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
	ALTER TABLE v VALIDATE CONSTRAINT positive;
	ALTER TABLE t ADD CONSTRAINT small CHECK (a < 100) NOT VALID, VALIDATE CONSTRAINT small;
$$);
SELECT findings($$
	BEGIN;
	ALTER TABLE t ADD c int;
	INSERT INTO v VALUES (11, 1);
	UPDATE v SET a = 1;
	ALTER TABLE v ADD c int;
	ALTER TABLE app.t ADD c int;
	ALTER TABLE app.u ADD c int;
	COMMIT;
	BEGIN;
	CREATE TABLE n (id int);
	INSERT INTO n SELECT g FROM generate_series(1, 10) g;
	ALTER TABLE n ADD a int;
	COMMIT;
$$);
SELECT findings($$
	ALTER TABLE t ALTER a SET NOT NULL;
	ALTER TABLE t ALTER b SET NOT NULL;
	ALTER TABLE v ADD c int;
	ALTER TABLE v ADD d int;
	BEGIN;
	ALTER TABLE v ADD e int;
	ALTER TABLE v ADD f int;
	COMMIT;
	BEGIN;
	CREATE INDEX CONCURRENTLY ON v (a);
	DROP INDEX CONCURRENTLY v_pkey;
	COMMIT;
$$);

-- errors of syntax are those of one statement; commands of psql and data of
-- COPY are skipped
SELECT findings($$
\set ON_ERROR_STOP 1
	-- a comment; with a semicolon
	ALTER TABLE t ADD c int;
	ALTER TABEL t ADD d int;
	/* another; /* nested */ one */ ALTER TABLE t ADD c int;
	CREATE FUNCTION f(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC
		SELECT CASE WHEN i > 0 THEN 1 END; SELECT 2; END;
	COPY t FROM stdin;
1	2	don't; parse
\.
	ALTER TABLE t ADD "semi;colon" text DEFAULT 'a;b';
	ALTER TABLE t DROP "semi;colon";
	ALTER TABLE t DROP "semi;colon"
$$);
SELECT findings($$ALTER TABLE t ADD c int; ALTER TABLE t ADD d text DEFAULT 'open$$);
SELECT findings('SELEC 1');
-- statements inside of statements
SELECT findings($$
	PREPARE p AS SELECT 1;
	EXPLAIN EXECUTE p;
	EXPLAIN CREATE TABLE n AS SELECT * FROM t;
	EXPLAIN CREATE MATERIALIZED VIEW n AS SELECT * FROM t;
	EXPLAIN DECLARE c CURSOR FOR SELECT * FROM t;
	EXPLAIN (ANALYZE) EXECUTE p;
	EXPLAIN (ANALYZE) CREATE TABLE n AS SELECT * FROM t;
	COPY (WITH w AS (SELECT * FROM t) SELECT * FROM w) TO stdout;
	CREATE RULE r AS ON UPDATE TO v DO ALSO NOTIFY r;
	CREATE SCHEMA s CREATE TABLE n (id int) CREATE VIEW w AS SELECT * FROM n;
	ALTER TABLE s.n ADD id int;
$$);
SELECT count(*) FROM migspec_ddl_effects('');

-- names with line ends, and comments at the end, in safe ways
CREATE TABLE "two
lines" (id int);
SELECT safe_way FROM migspec_check($$
	SET lock_timeout = 0;
	DROP TABLE "two
lines";
	ALTER TABLE t ADD c int -- why
	;
$$) WHERE rule IN ('drop-table', 'no-lock-timeout');
DROP TABLE "two
lines";

-- a temporary table lasts as long as its transaction
SELECT findings($$
	CREATE TEMP TABLE n (id int) ON COMMIT DROP;
	CREATE TEMP TABLE n (id int) ON COMMIT DROP;
	BEGIN;
	CREATE TEMP TABLE n ON COMMIT DROP AS SELECT 1 AS id;
	ALTER TABLE n ADD a int;
	COMMIT;
	DROP TABLE n;
	BEGIN;
	CREATE TEMP TABLE n (id int) ON COMMIT DROP;
	ROLLBACK;
	DROP TABLE n;
	BEGIN;
	CREATE TEMP TABLE n (id int) PARTITION BY LIST (id) ON COMMIT DROP;
	CREATE TEMP TABLE n1 PARTITION OF n DEFAULT;
	COMMIT;
	CREATE TEMP TABLE n1 (id int);
$$);

-- views that read each other
CREATE VIEW circle AS SELECT 1 AS id;
CREATE VIEW circle2 AS SELECT id FROM circle;
CREATE OR REPLACE VIEW circle AS SELECT id FROM circle2;
SELECT effects('BEGIN; LOCK TABLE circle; COMMIT');
SELECT findings('UPDATE circle SET id = 1; SELECT * FROM circle FOR UPDATE; ALTER TABLE t ADD c int');
DROP VIEW circle, circle2;

SELECT count(*) FROM migspec_ddl_effects(' ; -- nothing');

-- nothing has been done, and nothing stays locked
BEGIN;
SELECT effects('ALTER TABLE t ADD c int; DROP TABLE app.u; TRUNCATE v');
SELECT relation::regclass, mode FROM pg_locks
WHERE relation IN ('t'::regclass, 'app.u'::regclass, 'v'::regclass) AND pid = pg_backend_pid();
-- what this transaction has made is nobody else's
CREATE TABLE mine (id int);
SELECT effects('ALTER TABLE mine ADD c int');
COMMIT;
SELECT effects('ALTER TABLE mine ADD c int');
\d t
SHOW lock_timeout;

DROP TABLE mine, t, v;
DROP SCHEMA app CASCADE;
DROP FUNCTION effects, findings;
