-- What expand makes of a table, and that rollback leaves nothing of it.
BEGIN;
SET LOCAL client_min_messages = error;
SELECT no_plan();

CREATE ROLE table_owner;
CREATE SCHEMA app AUTHORIZATION table_owner;
SET ROLE table_owner;
CREATE TABLE app.memo (id int PRIMARY KEY, content text, n int NOT NULL DEFAULT 1);
COMMENT ON COLUMN app.memo.content IS 'the content';
INSERT INTO app.memo VALUES (1, 'one', 1), (2, NULL, 2);
SELECT migspec_expand('trigger', migspec_rename_column('app.memo', 'content', 'content_text') ||
	migspec_change_type('app.memo', 'n', 'bigint') || migspec_add_column('app.memo', 'size', 'int', 'length(content)'));
RESET ROLE;
CREATE TEMP VIEW operation AS SELECT o.* FROM migspec.operation o JOIN migspec.migration m ON m.id = o.migration_id
	WHERE m.name = 'trigger';

SELECT has_column('app', 'memo', 'content', 'the old column is there');
SELECT has_column('app', 'memo', 'content_text', 'and the new one');
SELECT has_column('app', 'memo', 'size', 'and the one that is added');
SELECT has_column('app', 'memo', new_column::name, 'and the hidden one of the new type') FROM operation WHERE old_name = 'n';
SELECT col_type_is('app', 'memo', new_column::name, 'bigint', 'which has it') FROM operation WHERE old_name = 'n';
SELECT ok(new_column LIKE '\_migspec\_%' AND length(new_column) < 64, 'hidden names tell whose they are') FROM operation WHERE old_name = 'n';
SELECT col_is_null('app', 'memo', 'content_text', 'new columns take NULL, until they are filled');
SELECT is(col_description('app.memo'::regclass, attnum), 'the content', 'the comment is there')
	FROM pg_attribute WHERE attrelid = 'app.memo'::regclass AND attname = 'content_text';

SELECT is(count(*)::int, 1, 'one trigger') FROM pg_trigger WHERE tgrelid = 'app.memo'::regclass;
SELECT is(tgenabled, 'A', 'that fires for replicas, too') FROM pg_trigger WHERE tgrelid = 'app.memo'::regclass;
SELECT is(tgtype::int, 1 + 2 + 4 + 16, 'before INSERT and UPDATE of each row') FROM pg_trigger WHERE tgrelid = 'app.memo'::regclass;
SELECT ok(tgname > 'zzzz' COLLATE "C", 'after all others') FROM pg_trigger WHERE tgrelid = 'app.memo'::regclass;
SELECT is(count(*)::int, 5, 'a function for each expression') FROM pg_proc
	WHERE pronamespace = 'migspec'::regnamespace AND proname ~ '^(up|down)_\d+$';
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'migspec'::regnamespace AND proname ~ '^(up|down)_\d+$'
	AND proowner <> 'table_owner'::regrole$$, 'which belongs to the owner of the table');
SELECT is(m.owner, 'table_owner'::regrole, 'and so does the migration') FROM migspec.migration m WHERE name = 'trigger';
SELECT results_eq('SELECT relation FROM migspec.target', $$VALUES ('app.memo'::regclass)$$, 'the table is held');

-- columns that the trigger uses are safe from others, also where nobody guards them
SELECT throws_ok('ALTER TABLE app.memo DROP COLUMN content', 'MG501', NULL, 'the guard keeps the old column');
SET migspec.phase_guard = off;
SELECT throws_ok('ALTER TABLE app.memo DROP COLUMN content', '2BP01', NULL, 'the old column cannot be dropped');
SELECT throws_ok('ALTER TABLE app.memo DROP COLUMN content_text', '2BP01', NULL, 'nor the new one');
SELECT throws_ok('ALTER TABLE app.memo ALTER content TYPE varchar(3)', NULL, NULL, 'nor its type be changed');
RESET migspec.phase_guard;
SELECT lives_ok('ALTER TABLE app.memo ADD COLUMN other text DEFAULT ''x''', 'other columns come');
SELECT lives_ok('ALTER TABLE app.memo DROP COLUMN other', 'and go');

-- one row, all ways
PREPARE look AS SELECT content, content_text, size FROM app.memo WHERE id = 3;
INSERT INTO app.memo (id, content) VALUES (3, 'old');
SELECT results_eq('look', $$VALUES ('old', 'old', 3)$$, 'INSERT of the old column');
UPDATE app.memo SET content_text = 'newer' WHERE id = 3;
SELECT results_eq('look', $$VALUES ('newer', 'newer', 5)$$, 'UPDATE of the new one');
UPDATE app.memo SET content = NULL WHERE id = 3;
SELECT results_eq('look', $$VALUES (NULL::text, NULL::text, NULL::int)$$, 'NULL is a value');
UPDATE app.memo SET size = 7 WHERE id = 3;
SELECT results_eq('look', $$VALUES (NULL::text, NULL::text, 7)$$, 'an added column can be written');
UPDATE app.memo SET n = 7 WHERE id = 3;
SELECT results_eq('look', $$VALUES (NULL::text, NULL::text, 7)$$, 'and stays');
UPDATE app.memo SET content = 'more' WHERE id = 3;
SELECT results_eq('look', $$VALUES ('more', 'more', 4)$$, 'until what it is made of changes');

SELECT lives_ok('SELECT migspec_rollback(''trigger'')', 'rollback');
SELECT columns_are('app', 'memo', ARRAY['id', 'content', 'n'], 'the columns are those that were');
SELECT triggers_are('app', 'memo', ARRAY[]::name[], 'no trigger');
SELECT is_empty($$SELECT proname FROM pg_proc WHERE pronamespace = 'migspec'::regnamespace AND proname ~ '^(up|down)_\d+$'$$,
	'no function');
SELECT is_empty('SELECT * FROM migspec.target', 'the table is free');
SELECT results_eq('SELECT * FROM app.memo ORDER BY id', $$VALUES (1, 'one', 1), (2, NULL, 2), (3, 'more', 7)$$, 'the rows are there');

SELECT finish();
ROLLBACK;
