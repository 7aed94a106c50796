--
-- What has changed between plan and expand is an error of its own.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA changed;
SET search_path = changed, public;
\set VERBOSITY terse

-- Plan, change, expand; everything is undone.
CREATE FUNCTION attempt(change text, operations jsonb DEFAULT
	migspec_change_type('memo', 'n', 'bigint', 'n + extra', '(n - extra)::int')
	|| migspec_rename_column('memo', 'content', 'content_text'),
	OUT state text, OUT message text, OUT detail text, OUT hint text) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM migspec_plan('changed', operations);
	EXECUTE change;
	PERFORM migspec_expand('changed');
	RAISE EXCEPTION 'expanded';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	detail := regexp_replace(regexp_replace(detail, '_\d+', '_N', 'g'), ' LANGUAGE.*', ' ...');
END $$;

CREATE FUNCTION twice(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN $1 || $1;
CREATE TABLE memo (id int PRIMARY KEY, content varchar(10) NOT NULL, n int, extra int, other int);
CREATE INDEX memo_content ON memo (content);
INSERT INTO memo VALUES (1, 'one', 1, 1, 1);

\x on
SELECT * FROM attempt('SELECT 1');
SELECT * FROM attempt('ALTER TABLE memo ADD another int, DROP other');
SELECT * FROM attempt('ALTER TABLE memo RENAME TO memo2');
SELECT * FROM attempt('CREATE SCHEMA other_place; ALTER TABLE memo SET SCHEMA other_place');
SELECT * FROM attempt('DROP TABLE memo');
SELECT * FROM attempt('DROP TABLE memo; CREATE TABLE memo (id int PRIMARY KEY, content varchar(10) NOT NULL, n int, extra int, other int)');
SELECT * FROM attempt('ALTER TABLE memo RENAME TO memo2; CREATE TABLE memo (LIKE memo2)');
SELECT * FROM attempt('ALTER TABLE memo DROP content');
SELECT * FROM attempt('ALTER TABLE memo RENAME content TO contents');
SELECT * FROM attempt('ALTER TABLE memo ALTER content TYPE text');
SELECT * FROM attempt('ALTER TABLE memo ALTER content TYPE varchar(10) COLLATE "C"');
SELECT * FROM attempt('ALTER TABLE memo ADD content_text int');
SELECT * FROM attempt('ALTER TABLE memo DROP extra');
SELECT * FROM attempt('ALTER TABLE memo RENAME extra TO more');
SELECT * FROM attempt('ALTER TABLE memo ALTER extra TYPE numeric');
SELECT * FROM attempt('CREATE INDEX memo_later ON memo (content)');
SELECT * FROM attempt('DROP INDEX memo_content');
SELECT state, hint FROM attempt('ALTER TABLE memo ALTER content DROP NOT NULL');
SELECT * FROM attempt('DROP FUNCTION twice', migspec_add_column('memo', 'double', 'text', 'twice(content)'));
\x off

-- Nothing is left, and what was planned anew can be expanded.
SELECT count(*) FROM migspec.migrations WHERE name = 'changed';
SELECT count(*) > 0 FROM migspec_plan('changed', migspec_rename_column('memo', 'content', 'content_text'));
ALTER TABLE memo RENAME TO memo2;
SELECT migspec_expand('changed');
SELECT count(*) > 0 FROM migspec_plan('changed', migspec_rename_column('memo2', 'content', 'content_text'));
SELECT migspec_expand('changed');
SELECT migspec_rollback('changed');

DROP SCHEMA changed CASCADE;
