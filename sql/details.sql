--
-- Smaller things: what plan says, and what rollback leaves.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
-- what the phase guard refuses, a superuser can do all the same
SET migspec.phase_guard = off;
CREATE SCHEMA details;
SET search_path = details, public;

-- An error with everything that it says
CREATE FUNCTION err(operations jsonb, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM migspec_plan('details', operations);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
CREATE FUNCTION wait_stopped() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		IF (SELECT last_step LIKE 'backfill%' FROM migspec.migrations WHERE name = 'details') THEN
			RETURN 'stopped';
		END IF;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN 'not stopped';
END $$;

CREATE FUNCTION picky(v text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
	IF v = 'bad' THEN
		RAISE 'I do not like it' USING DETAIL = 'It is bad.', HINT = 'Give me another one.';
	END IF;
	RETURN length(v);
END $$;
CREATE TABLE memo (id int PRIMARY KEY, a text, b text);

-- A default is tried, also if there is no row, and with an up.
SELECT * FROM err(migspec_add_column('memo', 'c', 'int', "default" => '1/0'));
SELECT * FROM err(migspec_add_column('memo', 'c', 'int', "default" => '(random() * 0)::int / 0'));
SELECT * FROM err(migspec_add_column('memo', 'c', 'int', up => '1', "default" => 'details.picky(''bad'')'));
SELECT * FROM err(migspec_add_column('memo', 'c', 'int', "default" => '7'));

-- What a function of the user says is not lost.
INSERT INTO memo VALUES (1, 'good', 'bad');
SELECT * FROM err(migspec_add_column('memo', 'c', 'int', 'picky(a) + picky(b)'));
SELECT * FROM err(migspec_change_type('memo', 'b', 'int', 'picky(b)', 'b::text'));

-- The column that two operations share
SELECT * FROM err(migspec_rename_column('memo', 'a', 'x') || migspec_change_type('memo', 'a', 'varchar'));
SELECT * FROM err(migspec_rename_column('memo', 'a', 'x') || migspec_rename_column('memo', 'b', 'x'));
SELECT * FROM err(migspec_rename_column('memo', 'a', 'x') || migspec_rename_column('memo', 'a', 'y'));

-- Options of operator classes, and all dependencies, are as they were after a
-- rollback; so are the options after the switch.
ALTER TABLE memo ADD ts tsvector, ADD n int DEFAULT 1 UNIQUE;
CREATE INDEX memo_ts ON memo USING gist (ts tsvector_ops(siglen = 100));
CREATE INDEX memo_ts_more ON memo USING gist (ts tsvector_ops(siglen = 200), (to_tsvector('simple', a)) tsvector_ops(siglen = 300));
CREATE INDEX memo_n ON memo ((n + id)) WHERE n > 1;
CREATE TABLE refers (n int REFERENCES memo (n));
CREATE VIEW options AS SELECT attrelid::regclass::text, attnum, attoptions FROM pg_attribute
	WHERE attrelid IN ('memo_ts'::regclass, 'memo_ts_more'::regclass);
CREATE TABLE options_before AS TABLE options;
CREATE VIEW dependencies AS SELECT pg_describe_object(classid, objid, objsubid) AS object,
	pg_describe_object(refclassid, refobjid, refobjsubid) AS needs, deptype, count(*) AS n
	FROM pg_depend WHERE (classid = 'pg_class'::regclass AND objid IN (SELECT oid FROM pg_class WHERE relnamespace = 'details'::regnamespace)
		OR refclassid = 'pg_class'::regclass AND refobjid IN ('memo'::regclass, 'refers'::regclass))
		AND (classid <> 'pg_trigger'::regclass) GROUP BY 1, 2, 3;
CREATE TABLE dependencies_before AS SELECT * FROM dependencies;
INSERT INTO dependencies_before SELECT * FROM dependencies EXCEPT TABLE dependencies_before;
SELECT migspec_expand('details', migspec_change_type('memo', 'ts', 'tsvector', 'ts', 'ts')
	|| migspec_rename_column('memo', 'a', 'x') || migspec_change_type('memo', 'n', 'bigint'));
CALL migspec_run('details', 'contracted');
TABLE options ORDER BY 1, 2;
TABLE options EXCEPT TABLE options_before;
SELECT migspec_rollback('details');
TABLE options EXCEPT TABLE options_before;
TABLE dependencies EXCEPT TABLE dependencies_before;
TABLE dependencies_before EXCEPT TABLE dependencies;

-- Rows that could not be converted hold values of the table: they go with it.
ALTER TABLE memo DROP n CASCADE;
DELETE FROM memo;
SELECT migspec_expand('details', migspec_add_column('memo', 'c', 'int', 'picky(b)'));
BEGIN;
ALTER TABLE memo DISABLE TRIGGER ALL;
INSERT INTO memo (id, a, b) SELECT i, 'good', CASE i WHEN 3 THEN 'bad' ELSE 'good' END FROM generate_series(1, 5) AS i;
ALTER TABLE memo ENABLE TRIGGER ALL;
ALTER TABLE memo ENABLE ALWAYS TRIGGER "~migspec_sync";
COMMIT;
SELECT migspec_migrate('details');
SELECT wait_stopped();
SELECT key, message, detail FROM migspec.failed_row AS f JOIN migspec.migration AS m ON m.id = migration_id WHERE name = 'details';
SELECT migspec_rollback('details');
SELECT count(*) FROM migspec.failed_row AS f JOIN migspec.migration AS m ON m.id = migration_id WHERE name = 'details';

DROP SCHEMA details CASCADE;
