--
-- The operations document: every way to get it wrong, and where.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA json;
SET search_path = json, public;
\set SHOW_CONTEXT never

CREATE TABLE t (id int PRIMARY KEY, a text, b int);

-- Plan a document and show the error, if there is one
CREATE FUNCTION try(document jsonb) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	state text;
	message text;
	detail text;
	hint text;
BEGIN
	PERFORM migspec_plan('json', document);
	RETURN 'planned';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN concat_ws(E'\n', state || ': ' || message,
		'detail: ' || nullif(detail, ''), 'hint: ' || nullif(hint, ''));
END
$$;
CREATE FUNCTION try_op(operation jsonb) RETURNS text
LANGUAGE sql AS $$ SELECT try(jsonb_build_array(operation)) $$;
\pset tuples_only on
\pset format unaligned

-- the document
SELECT try('null');
SELECT try('"text"');
SELECT try('42');
SELECT try('true');
SELECT try('{}');
SELECT try('[]');
SELECT try('{"operations": []}');
SELECT try('{"operations": null}');
SELECT try('{"operations": {}}');
SELECT try('{"operations": "text"}');
SELECT try('{"operation": []}');
SELECT try('{"name": 1, "operations": []}');
SELECT try('{"version_schema": ["v"], "operations": []}');
SELECT try('{"a \"weird\" key": 1, "operations": []}');
SELECT try('{"": 1, "operations": []}');

-- an operation
SELECT try('[1]');
SELECT try('[null]');
SELECT try('[[]]');
SELECT try('["rename_column"]');
SELECT try('[{}]');
SELECT try('[{"rename_column": {}, "add_column": {}}]');
SELECT try('[{"rename_column": null}]');
SELECT try('[{"rename_column": []}]');
SELECT try('[{"rename_column": "t"}]');
SELECT try('[{"rename_table": {"from": "a", "to": "b"}}]');
SELECT try('[{"renam_column": {}}]');
SELECT try('{"operations": [{"rename_column": {"table": "t", "from": "a", "to": "c"}}, {}]}');

-- the fields of rename_column
SELECT try_op('{"rename_column": {}}');
SELECT try_op('{"rename_column": {"table": null, "from": "a", "to": "c"}}');
SELECT try_op('{"rename_column": {"table": 7, "from": "a", "to": "c"}}');
SELECT try_op('{"rename_column": {"table": "t", "to": "c"}}');
SELECT try_op('{"rename_column": {"table": "t", "from": "a"}}');
SELECT try_op('{"rename_column": {"table": "t", "from": "a", "to": ["c"]}}');
SELECT try_op('{"rename_column": {"table": "t", "from": "a", "to": {"name": "c"}}}');
SELECT try_op('{"rename_column": {"table": "t", "from": "a", "to": true}}');
SELECT try_op('{"rename_column": {"table": "t", "from": "a", "to": "a"}}');
SELECT try_op('{"rename_column": {"table": "t", "from": "a", "to": "c", "up": "a"}}');

-- those of alter_column
SELECT try_op('{"alter_column": {"table": "t", "column": "b"}}');
SELECT try_op('{"alter_column": {"table": "t", "type": "bigint"}}');
SELECT try_op('{"alter_column": {"table": "t", "column": "b", "type": 8}}');
SELECT try_op('{"alter_column": {"table": "t", "column": "b", "type": "bigint", "up": 1}}');
SELECT try_op('{"alter_column": {"table": "t", "column": "b", "type": "bigint", "typ": "x"}}');

-- those of add_column, with an object inside
SELECT try_op('{"add_column": {"table": "t"}}');
SELECT try_op('{"add_column": {"table": "t", "column": "c"}}');
SELECT try_op('{"add_column": {"table": "t", "column": {"name": "c"}}}');
SELECT try_op('{"add_column": {"table": "t", "column": {"type": "int"}}}');
SELECT try_op('{"add_column": {"table": "t", "column": {"name": "c", "type": "int", "nullable": "yes"}}}');
SELECT try_op('{"add_column": {"table": "t", "column": {"name": "c", "type": "int", "size": 4}}}');

-- the same error in a bare array and in a document
SELECT try('[{"rename_column": {"table": "t", "from": "a", "to": "c"}}, {"alter_column": {"table": 1}}]');
SELECT try('{"operations": [{"rename_column": {"table": "t", "from": "a", "to": "c"}}, {"alter_column": {"table": 1}}]}');

-- what is right: both forms, with a name that is ignored
SELECT try('[{"rename_column": {"table": "t", "from": "a", "to": "c"}}]');
SELECT try('{"name": "01_rename", "operations": [{"rename_column": {"table": "t", "from": "a", "to": "c"}}]}');

-- what the builder functions return
SELECT migspec_rename_column('t', 'a', 'c');
SELECT migspec_rename_column('t', 'a', NULL) IS NULL;
SELECT migspec_change_type('t', 'b', 'bigint');
SELECT migspec_change_type('t', 'b', 'text', up => 'b::text', down => 'b::int');
SELECT migspec_add_column('t', 'c', 'int');
SELECT migspec_add_column('t', 'c', 'int', 'b + 1', nullable => false, "default" => '0', comment => 'it''s c');
SELECT try(migspec_rename_column('t', 'a', 'c'));
SELECT try(migspec_change_type('t', 'b', 'bigint'));
SELECT try(migspec_add_column('t', 'c', 'int', 'b + 1'));

-- arguments
SELECT migspec_plan(NULL, '[]');
SELECT migspec_plan('json', NULL);
SELECT migspec_plan('', migspec_rename_column('t', 'a', 'c'));
SELECT migspec_plan('json', migspec_rename_column('t', 'a', 'c'), conflict_policy => 'old_wins');
SELECT migspec_plan('json', migspec_rename_column('t', 'a', 'c'), contract_grace => '-1 s');

DROP SCHEMA json CASCADE;
SELECT migspec_rollback('json');
