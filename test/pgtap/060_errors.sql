-- Each error by its SQLSTATE, which clients may rely on.
BEGIN;
SET LOCAL client_min_messages = error;
SELECT no_plan();

CREATE TABLE memo (id int PRIMARY KEY, content text, n int, gen int GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO memo VALUES (1, 'one', 1);
CREATE VIEW of_content AS SELECT content FROM memo;
CREATE FUNCTION plan_sql(operations jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT format('SELECT migspec_plan(''errors'', %L)', operations)
$$;

-- the document
SELECT throws_ok(plan_sql('{}'), 'MG001', 'malformed operations at $.operations: is missing');
SELECT throws_ok(plan_sql('[{"rename_column": {"table": "memo"}}]'), 'MG001', 'malformed operations at $[0].rename_column.from: is missing');
SELECT throws_ok(plan_sql('[{"nosuch": {}}]'), 'MG002', 'unknown operation "nosuch"');
SELECT throws_ok(plan_sql('[{"drop_table": {"name": "memo"}}]'), 'MG003', 'operation "drop_table" is not supported by this version of migspec');
-- what it names
SELECT throws_ok(plan_sql(migspec_rename_column('nosuch', 'a', 'b')), 'MG101', 'table "nosuch" does not exist');
SELECT throws_ok(plan_sql(migspec_rename_column('memo', 'a', 'b')), 'MG102', 'column "a" of table "memo" does not exist');
SELECT throws_ok(plan_sql(migspec_rename_column('memo', 'n', 'id')), 'MG103', 'column "id" of table "memo" already exists');
SELECT throws_ok(plan_sql(migspec_change_type('memo', 'id', 'nosuch')), 'MG104', NULL, 'type');
SELECT throws_ok(plan_sql(migspec_rename_column('of_content', 'content', 'b')), 'MG105', '"of_content" is not a table');
SELECT throws_ok(plan_sql(migspec_rename_column('memo', 'content', 'b')), 'MG106', NULL, 'a view depends on the column');
SELECT throws_ok(plan_sql(migspec_rename_column('memo', 'n', 'b')), 'MG106', NULL, 'a generated column depends on the column');
CREATE ROLE nobody_special;
GRANT ALL ON memo TO nobody_special;
SET ROLE nobody_special;
SELECT throws_ok(format('SELECT migspec_plan(''errors'', %L)', migspec_rename_column('memo', 'id', 'b')), 'MG107', 'must be owner of table "memo"');
RESET ROLE;
DROP VIEW of_content;
-- expressions
SELECT throws_ok(plan_sql(migspec_change_type('memo', 'content', 'int', 'content +')), 'MG201', NULL, 'syntax');
SELECT throws_ok(plan_sql(migspec_change_type('memo', 'content', 'int', 'content')), 'MG202', NULL, 'type');
SELECT throws_ok(plan_sql(migspec_change_type('memo', 'content', 'int', 'nosuch')), 'MG202', NULL, 'name');
SELECT throws_ok(plan_sql(migspec_change_type('memo', 'content', 'int', 'content::int')), 'MG203', NULL, 'a row that fails');
SELECT throws_ok(plan_sql(migspec_change_type('memo', 'content', 'int', 'count(*)::int')), 'MG204', NULL, 'aggregates');
SELECT is_empty('SELECT * FROM migspec.migration', 'nothing of all this is stored');

-- phases
SELECT throws_ok(format('SELECT migspec_%s(''nosuch'')', call), 'MG301', 'migration "nosuch" does not exist', 'migspec_' || call || ' of what is not there')
	FROM unnest('{expand,migrate,pause,resume,verify,switch,contract,finish,rollback}'::text[]) AS call;
SELECT lives_ok(plan_sql(migspec_rename_column('memo', 'content', 'content_text')), 'plan');
SELECT throws_ok(format('SELECT migspec_%s(''errors'')', call), 'MG303', 'migration "errors" is in phase "planned"', 'migspec_' || call || ' too early')
	FROM unnest('{migrate,pause,resume,verify,switch,contract,finish}'::text[]) AS call;
SELECT lives_ok('SELECT migspec_expand(''errors'')', 'expand');
SELECT throws_ok('SELECT migspec_expand(''errors'')', 'MG303', 'migration "errors" is in phase "expanded"', 'twice');
SELECT throws_ok(plan_sql(migspec_rename_column('memo', 'content', 'content_text')), 'MG302', 'migration "errors" already exists', 'planned again');
SELECT throws_ok(format('SELECT migspec_plan(''another'', %L)', migspec_rename_column('memo', 'id', 'key')), 'MG304',
	'table "memo" is held by another migration', 'another migration');
SELECT throws_ok('SELECT migspec_wait(''errors'', ''migrated'', ''0 s'')', '25001', NULL, 'waiting for a worker that cannot see it');
SELECT lives_ok('SELECT migspec_rollback(''errors'')', 'rollback');
SELECT throws_ok('SELECT migspec_rollback(''errors'')', 'MG303', 'migration "errors" is in phase "rolled_back"', 'twice');
SELECT lives_ok(plan_sql(migspec_rename_column('memo', 'content', 'content_text')), 'planned once more');
CREATE INDEX memo_content ON memo (content);
SELECT throws_ok('SELECT migspec_expand(''errors'')', 'MG305', NULL, 'the table has changed since');
DROP INDEX memo_content;
SELECT lives_ok('SELECT migspec_rollback(''errors'')', 'rollback of a plan');
-- running
SELECT lives_ok(format('SELECT migspec_expand(''errors'', %L, conflict_policy => ''error'')',
	migspec_rename_column('memo', 'content', 'content_text')), 'expand');
SELECT throws_ok('UPDATE memo SET content = ''a'', content_text = ''b''', 'MG406',
	'columns "content" and "content_text" of table "memo" were given values that disagree', 'a conflict');

SELECT finish();
ROLLBACK;
