--
-- What migspec_plan refuses, and that it leaves nothing behind when it does.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA perr;
SET search_path = perr, public;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
\pset format unaligned
\pset tuples_only on

-- The error of a statement, with all that a client gets to see of it
CREATE FUNCTION err(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	EXECUTE statement;
	RAISE 'no error';		-- and no trace of the statement
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN NEXT sqlstate || ': ' || message;
	IF detail <> '' THEN RETURN NEXT '  ' || replace(detail, E'\n', E'\n  '); END IF;
	IF hint <> '' THEN RETURN NEXT '  -> ' || hint; END IF;
END $$;
CREATE FUNCTION plan(operations jsonb) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC
	SELECT err(format('SELECT migspec_plan(''perr'', %L)', operations));
END;
-- one operation
CREATE FUNCTION alter_column(fields jsonb) RETURNS SETOF text LANGUAGE sql BEGIN ATOMIC
	SELECT plan(jsonb_build_array(jsonb_build_object('alter_column',
	'{"table": "t", "column": "v", "type": "text"}'::jsonb || fields)));
END;

CREATE TABLE t (id int PRIMARY KEY, v int, w text, at timestamp, doc jsonb);
INSERT INTO t VALUES (1, 10, 'ten', '2020-01-01', '{}'), (2, 20, NULL, NULL, NULL), (3, NULL, '30x', NULL, NULL);
CREATE TABLE before AS
	SELECT (SELECT count(*) FROM migspec.migration) AS migrations, (SELECT count(*) FROM migspec.operation) AS operations,
		(SELECT count(*) FROM migspec.step) AS steps, (SELECT count(*) FROM migspec.event) AS events,
		(SELECT count(*) FROM migspec.target) AS targets;

--
-- The document
--
SELECT plan('{}');
SELECT plan('[]');
SELECT plan('1');
SELECT plan('"rename_column"');
SELECT plan('null');
SELECT plan('{"operations": {}}');
SELECT plan('{"operations": []}');
SELECT plan('{"operations": null}');
SELECT plan('{"operations": [], "x y": 1}');
SELECT plan('{"name": 1, "operations": []}');
SELECT plan('[1]');
SELECT plan('[[]]');
SELECT plan('[{}]');
SELECT plan('[{"rename_column": {}, "alter_column": {}}]');
SELECT plan('[{"rename_column": []}]');
SELECT plan('[{"rename_column": null}]');
SELECT plan('[{"rename_column": {}}]');
SELECT plan('[{"rename_column": {"table": "t", "from": "v"}}]');
SELECT plan('[{"rename_column": {"table": "t", "from": "v", "to": null}}]');
SELECT plan('[{"rename_column": {"table": "t", "from": ["v"], "to": "x"}}]');
SELECT plan('[{"rename_column": {"table": "t", "from": "v", "to": "x", "To": "y"}}]');
SELECT plan('[{"rename_column": {"table": "t", "from": "v", "to": "x"}}, {"rename_column": {"table": 5}}]');
SELECT plan('{"operations": [{"rename_column": {"table": "t", "from": "v", "to": "x"}}, {"drop": {"table": "t"}}]}');
SELECT plan('[{"renaim_column": {"table": "t"}}]');
SELECT plan('[{"drop_column": {"table": "t", "column": "v", "down": "0"}}]');
SELECT plan('[{"sql": {"up": "SELECT 1"}}]');
SELECT plan('[{"alter_column": {"table": "t", "column": "v"}}]');
SELECT plan('[{"alter_column": {"table": "t", "column": "v", "type": "text", "nullable": false}}]');
SELECT plan('[{"add_column": {"table": "t", "column": "x"}}]');
SELECT plan('[{"add_column": {"table": "t", "column": {"name": "x"}}}]');
SELECT plan('[{"add_column": {"table": "t", "column": {"name": "x", "type": "int"}}}]');
SELECT plan('[{"add_column": {"table": "t", "column": {"name": "x", "type": "int", "nullable": "yes"}}}]');
SELECT plan('[{"add_column": {"table": "t", "column": {"name": "x", "type": "int", "nullable": true, "pk": true}}}]');
SELECT plan('[{"add_column": {"table": "t", "column": {"name": "x", "type": "int", "nullable": true, "size": 3}}}]');

--
-- Arguments
--
SELECT err($$SELECT migspec_plan('', migspec_rename_column('t', 'v', 'x'))$$);
SELECT err($$SELECT migspec_plan(NULL, migspec_rename_column('t', 'v', 'x'))$$);
SELECT err($$SELECT migspec_plan('perr', NULL)$$);
SELECT err($$SELECT migspec_plan('perr', migspec_rename_column('t', 'v', 'x'), conflict_policy => 'old_wins')$$);
SELECT err($$SELECT migspec_plan('perr', migspec_rename_column('t', 'v', 'x'), contract_grace => '-1 s')$$);
SELECT err($$SELECT migspec_plan('perr', migspec_rename_column('t', 'v', 'x'), version_schema => 'v2')$$);
SELECT plan('{"version_schema": "v2", "operations": [{"rename_column": {"table": "t", "from": "v", "to": "x"}}]}');

--
-- Tables and columns
--
SELECT plan(migspec_rename_column('nosuch', 'v', 'x'));
SELECT plan(migspec_rename_column('nosuch.t', 'v', 'x'));
SELECT plan(migspec_rename_column('T', 'v', 'x'));
SELECT plan(migspec_rename_column('"T"', 'v', 'x'));
SELECT plan(migspec_rename_column('', 'v', 'x'));
SELECT plan(migspec_rename_column('a b', 'v', 'x'));
SELECT plan(migspec_rename_column('t', 'nosuch', 'x'));
SELECT plan(migspec_rename_column('t', 'V', 'x'));
SELECT plan(migspec_rename_column('t', 'ctid', 'x'));
SELECT plan(migspec_rename_column('t', '', 'x'));
SELECT plan(migspec_rename_column('t', 'v', 'w'));
SELECT plan(migspec_rename_column('t', 'v', 'v'));
SELECT plan(migspec_rename_column('t', 'v', 'xmin'));
SELECT plan(migspec_rename_column('t', 'v', ''));
SELECT plan(migspec_rename_column('t', 'v', repeat('x', 64)));
SELECT plan(migspec_change_type('t', 'nosuch', 'text'));
SELECT plan(migspec_change_type('t', 'v', 'nosuch'));
SELECT plan(migspec_change_type('t', 'v', 'nosuch.x'));
SELECT plan(migspec_change_type('t', 'v', 'serial'));
SELECT plan(migspec_change_type('t', 'v', 'not a type('));
SELECT plan(migspec_change_type('t', 'v', ''));
SELECT plan(migspec_change_type('t', 'v', 'setof int'));
SELECT plan(migspec_change_type('t', 'v', 'anyelement'));
SELECT plan(migspec_change_type('t', 'v', 't'));
SELECT plan(migspec_add_column('t', 'v', 'int'));
SELECT plan(migspec_add_column('t', 'x', 'nosuch'));
SELECT plan(migspec_rename_column('t', 'v', 'x') || migspec_rename_column('t', 'v', 'y'));
SELECT plan(migspec_rename_column('t', 'v', 'x') || migspec_rename_column('t', 'w', 'x'));
SELECT plan(migspec_rename_column('t', 'v', 'x') || migspec_add_column('t', 'x', 'int'));
SELECT plan(migspec_rename_column('t', 'v', 'x') || migspec_change_type('t', 'v', 'text'));
-- kinds of relations
CREATE VIEW a_view AS SELECT id AS v FROM t;
CREATE MATERIALIZED VIEW a_matview AS SELECT 1 AS v;
CREATE SEQUENCE a_sequence;
CREATE TYPE a_type AS (v int);
CREATE TEMP TABLE a_temp (v int);
CREATE FOREIGN DATA WRAPPER perr_fdw;
CREATE SERVER perr_server FOREIGN DATA WRAPPER perr_fdw;
CREATE FOREIGN TABLE a_foreign (v int) SERVER perr_server;
SELECT plan(migspec_rename_column('a_view', 'v', 'x'));
SELECT plan(migspec_rename_column('a_matview', 'v', 'x'));
SELECT plan(migspec_rename_column('a_sequence', 'last_value', 'x'));
SELECT plan(migspec_rename_column('a_type', 'v', 'x'));
SELECT plan(migspec_rename_column('a_temp', 'v', 'x'));
SELECT plan(migspec_rename_column('a_foreign', 'v', 'x'));
SELECT plan(migspec_rename_column('t_pkey', 'id', 'x'));
SELECT plan(migspec_rename_column('pg_catalog.pg_class', 'relname', 'x'));
SELECT plan(migspec_rename_column('migspec.event', 'detail', 'x'));

--
-- Expressions: syntax
--
SELECT alter_column('{"up": ""}');
SELECT alter_column('{"up": " "}');
SELECT alter_column('{"up": "v +"}');
SELECT alter_column('{"up": "v; DROP TABLE t"}');
SELECT alter_column('{"up": "v, w"}');
SELECT alter_column('{"up": "v AS x"}');
SELECT alter_column('{"up": "v FROM t"}');
SELECT alter_column('{"up": "v)::text || (w"}');
SELECT alter_column('{"up": "v -- comment"}');
SELECT alter_column('{"up": "DELETE FROM t RETURNING v"}');
SELECT alter_column('{"up": "SELECT 1; SELECT 2"}');
SELECT alter_column('{"up": "WITH d AS (DELETE FROM t RETURNING v) SELECT v FROM d"}');
SELECT alter_column('{"down": "v::"}');
--
-- Expressions: names and types
--
SELECT alter_column('{"up": "nosuch"}');
SELECT alter_column('{"up": "u.v"}');
SELECT alter_column('{"up": "nosuch(v)"}');
SELECT alter_column('{"up": "upper(v)"}');
SELECT alter_column('{"up": "v + w"}');
SELECT alter_column('{"up": "$1"}');
SELECT alter_column('{"up": "(SELECT v, w)"}');
SELECT alter_column('{"type": "int", "column": "w", "up": "w"}');
SELECT alter_column('{"type": "int", "column": "w"}');
SELECT alter_column('{"type": "date", "up": "v"}');
SELECT alter_column('{"type": "int[]"}');
SELECT alter_column('{"down": "v"}');
SELECT alter_column('{"down": "upper(v)"}');
SELECT alter_column('{"column": "w", "type": "int", "up": "1", "down": "upper(v)"}');
--
-- Expressions: not one value for each row
--
SELECT alter_column('{"up": "max(v)"}');
SELECT alter_column('{"up": "lag(v) OVER ()"}');
SELECT alter_column('{"up": "generate_series(1, v)"}');
SELECT alter_column('{"up": "(SELECT max(v))"}');
SELECT alter_column('{"up": "t::text"}');
SELECT alter_column('{"up": "to_jsonb(t)"}');
SELECT alter_column('{"up": "count(*)"}');
SELECT alter_column('{"up": "DEFAULT"}');
SELECT alter_column('{"up": "ctid"}');
SELECT alter_column('{"up": "tableoid::text"}');
--
-- Expressions that fail on rows that exist
--
SELECT alter_column('{"up": "1 / (v - 20)", "down": "1"}');
SELECT alter_column('{"column": "w", "type": "int", "up": "w::int", "down": "w"}');
SELECT alter_column('{"up": "v::text", "down": "(v || ''x'')::int"}');
SELECT alter_column('{"up": "(SELECT v FROM t)"}');
CREATE DOMAIN positive AS int CHECK (VALUE > 15);
SELECT alter_column('{"type": "positive"}');
SELECT alter_column('{"type": "varchar(1)"}');
CREATE FUNCTION fail(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RAISE 'no %', $1 USING DETAIL = 'the detail', HINT = 'the hint'; END $$;
SELECT alter_column('{"up": "fail(v)"}');
SELECT plan(migspec_add_column('t', 'x', 'int', 'length(w) / (id - 3)'));
SELECT plan(migspec_add_column('t', 'x', 'int', NULL, true, 'v'));
SELECT plan(migspec_add_column('t', 'x', 'int', NULL, true, '''x'''));
SELECT plan(migspec_add_column('t', 'x', 'int', NULL, true, '(SELECT 1)'));
-- user functions run with the rights of the table's owner, and change nothing
CREATE FUNCTION writes(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN DELETE FROM perr.t; RETURN 'x'; END $$;
SELECT alter_column('{"up": "writes(v)", "down": "1"}');
SELECT count(*) FROM t;

--
-- What hangs on the column
--
DROP VIEW a_view;
CREATE VIEW a_view AS SELECT v FROM t;
CREATE VIEW another_view AS SELECT id FROM t WHERE v > 1;
SELECT plan(migspec_rename_column('t', 'v', 'x'));
DROP VIEW a_view, another_view;
ALTER TABLE t ADD g int GENERATED ALWAYS AS (v * 2) STORED;
SELECT plan(migspec_rename_column('t', 'v', 'x'));
SELECT plan(migspec_change_type('t', 'g', 'bigint'));
ALTER TABLE t DROP g;
CREATE RULE r AS ON UPDATE TO t WHERE NEW.v = 0 DO INSTEAD NOTHING;
SELECT plan(migspec_rename_column('t', 'v', 'x'));
DROP RULE r ON t;
CREATE FUNCTION body() RETURNS bigint LANGUAGE sql RETURN (SELECT sum(v) FROM t);
SELECT plan(migspec_rename_column('t', 'v', 'x'));
DROP FUNCTION body();
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER of_column BEFORE UPDATE OF v ON t FOR EACH ROW EXECUTE FUNCTION tf();
SELECT plan(migspec_rename_column('t', 'v', 'x'));
DROP TRIGGER of_column ON t;
CREATE TRIGGER "~~" BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tf();
SELECT plan(migspec_rename_column('t', 'v', 'x'));
DROP TRIGGER "~~" ON t;
-- only a warning
CREATE FUNCTION mentions() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT v FROM t LIMIT 1); END';
BEGIN;
SELECT count(*) > 0 FROM migspec_plan('perr', migspec_rename_column('t', 'v', 'x'));
ROLLBACK;
DROP FUNCTION mentions();

--
-- Rights
--
CREATE ROLE regress_perr_owner;
CREATE ROLE regress_perr_other;
GRANT USAGE, CREATE ON SCHEMA perr TO regress_perr_owner;
GRANT USAGE ON SCHEMA perr TO regress_perr_other;
ALTER TABLE t OWNER TO regress_perr_owner;
SET ROLE regress_perr_other;
SELECT plan(migspec_rename_column('t', 'v', 'x'));
RESET ROLE;
GRANT ALL ON t TO regress_perr_other;
SET ROLE regress_perr_other;
SELECT plan(migspec_rename_column('t', 'v', 'x'));
SELECT err($$INSERT INTO migspec.target VALUES ('t', 1)$$);
SELECT err($$SELECT * FROM migspec.migration$$);
SELECT err($$SELECT migspec.move_identity('t', 'id', 'v')$$);
SELECT err($$SELECT migspec.protect_columns('t')$$);
RESET ROLE;
-- an expression can do no more than the table's owner
CREATE TABLE secret (v text);
INSERT INTO secret VALUES ('secret');
CREATE FUNCTION reveal(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT v FROM perr.secret); END $$;
SET ROLE regress_perr_owner;
CREATE TABLE owned (id int PRIMARY KEY, v int);
INSERT INTO owned VALUES (1, 1);
SELECT plan(migspec_change_type('owned', 'v', 'text', 'reveal(v)', '1'));
SELECT plan(migspec_change_type('owned', 'v', 'text', '(SELECT v FROM secret)', '1'));
RESET ROLE;
-- also if a superuser plans it
SELECT plan(migspec_change_type('owned', 'v', 'text', 'reveal(v)', '1'));
SELECT plan(migspec_change_type('owned', 'v', 'text', '(SELECT v FROM secret)', '1'));

-- what others than the owner of the extension may call in our schema
SELECT p.oid::regprocedure FROM pg_proc p WHERE pronamespace = 'migspec'::regnamespace
	AND has_function_privilege('regress_perr_other', oid, 'EXECUTE') ORDER BY p.oid::regprocedure::text COLLATE "C";
SELECT relname, relkind FROM pg_class WHERE relnamespace = 'migspec'::regnamespace AND relkind IN ('r', 'v', 'S')
	AND has_table_privilege('regress_perr_other', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER, REFERENCES')
	ORDER BY relname;

--
-- Nothing of all this has left a trace
--
DROP FUNCTION tf, fail, writes, reveal;
SELECT (SELECT count(*) FROM migspec.migration) - migrations, (SELECT count(*) FROM migspec.operation) - operations,
	(SELECT count(*) FROM migspec.step) - steps, (SELECT count(*) FROM migspec.event) - events,
	(SELECT count(*) FROM migspec.target) - targets FROM before;
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass;
SELECT count(*) FROM pg_proc WHERE pronamespace = 'migspec'::regnamespace AND proname ~ '^(up|down)_'
	AND proowner IN ('regress_perr_owner'::regrole, 'regress_perr_other'::regrole);
SELECT count(*) FROM migspec.migrations WHERE name = 'perr';

DROP FOREIGN DATA WRAPPER perr_fdw CASCADE;
DROP OWNED BY regress_perr_owner, regress_perr_other;
DROP ROLE regress_perr_owner, regress_perr_other;
DROP SCHEMA perr CASCADE;
