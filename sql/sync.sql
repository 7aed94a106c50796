--
-- The sync trigger: every kind of writer, in every phase.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA sync;
SET search_path = sync, public;
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- Run statements one by one; what is shown after each is the row "id" of t.
CREATE FUNCTION try(statements text[], show text)
RETURNS TABLE (statement text, "row" text) LANGUAGE plpgsql AS $$
BEGIN
	FOREACH statement IN ARRAY statements LOOP
		BEGIN
			EXECUTE statement;
			EXECUTE show INTO "row";
		EXCEPTION WHEN OTHERS THEN
			"row" := sqlstate || ' ' || sqlerrm;
		END;
		RETURN NEXT;
	END LOOP;
END $$;

--
-- A rename: both names work from expand to contract.
--
CREATE TABLE memo (id int PRIMARY KEY, content text DEFAULT 'empty', note text);
INSERT INTO memo VALUES (1, 'one'), (2, 'two'), (3, NULL), (4, 'four'),
	(5, 'five'), (6, 'six'), (7, 'seven'), (8, 'eight'), (9, 'nine');

-- Plans and functions that are older than the migration
PREPARE old_insert(int, text) AS INSERT INTO memo (id, content) VALUES ($1, $2);
PREPARE old_update(int, text) AS UPDATE memo SET content = $2 WHERE id = $1;
PREPARE old_all(int, text, text) AS INSERT INTO memo VALUES ($1, $2, $3);
SET plan_cache_mode = force_generic_plan;
EXECUTE old_insert(10, 'ten');
EXECUTE old_update(10, 'TEN');
EXECUTE old_all(11, 'eleven', 'n');
CREATE FUNCTION old_code(key int, value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
	INSERT INTO memo (id, content) VALUES (key, value)
		ON CONFLICT (id) DO UPDATE SET content = excluded.content || '!'
		RETURNING content INTO result;
	RETURN result;
END $$;
SELECT old_code(10, 'ten'), old_code(12, 'twelve');

SELECT migspec_expand('sync_rename', migspec_rename_column('memo', 'content', 'content_text'));
SELECT * FROM memo ORDER BY id;

EXECUTE old_insert(13, 'thirteen');
EXECUTE old_update(10, 'ten');
EXECUTE old_all(14, 'fourteen', 'n');
SELECT old_code(11, 'eleven'), old_code(15, 'fifteen');
SELECT * FROM memo WHERE id >= 10 ORDER BY id;
RESET plan_cache_mode;

-- Updates of rows that the backfill has not seen
UPDATE memo SET note = 'unrelated' WHERE id = 1 RETURNING *;
UPDATE memo SET content = 'TWO' WHERE id = 2 RETURNING *;
UPDATE memo SET content_text = 'THREE' WHERE id = 3 RETURNING *;
UPDATE memo SET content_text = NULL WHERE id = 4 RETURNING *;
UPDATE memo SET content = content WHERE id = 5 RETURNING *;
UPDATE memo SET content_text = content_text WHERE id = 6 RETURNING *;
UPDATE memo SET content = 'old', content_text = 'new' WHERE id = 7 RETURNING *;
UPDATE memo SET content = NULL WHERE id = 8 RETURNING *;
UPDATE memo SET content = DEFAULT WHERE id = 9 RETURNING *;

-- Which side a statement writes is told by what it names, not by NULL
CREATE FUNCTION battery() RETURNS TABLE (statement text, "row" text)
LANGUAGE sql AS $$
	SELECT * FROM try(ARRAY[
		'INSERT INTO memo (id, content) VALUES (100, ''a'')',
		'UPDATE memo SET content = ''b'' WHERE id = 100',
		'UPDATE memo SET content = NULL WHERE id = 100',
		'UPDATE memo SET content = ''c'' WHERE id = 100',
		'UPDATE memo SET content_text = ''d'' WHERE id = 100',
		'UPDATE memo SET content_text = NULL WHERE id = 100',
		'UPDATE memo SET content_text = ''e'', note = ''x'' WHERE id = 100',
		'UPDATE memo SET note = ''y'' WHERE id = 100',
		'UPDATE memo SET content = ''f'', content_text = ''f'' WHERE id = 100',
		'UPDATE memo SET content = ''g'', content_text = ''f'' WHERE id = 100',
		'UPDATE memo SET content = ''g'', content_text = ''h'' WHERE id = 100',
		'UPDATE memo SET content = ''i'', content_text = NULL WHERE id = 100',
		'UPDATE memo SET content = ''j'', content_text = content || ''k'' WHERE id = 100',
		'UPDATE memo SET (content, note) = (''l'', ''m'') WHERE id = 100',
		'UPDATE memo SET content = content_text, content_text = content WHERE id = 100',
		'UPDATE memo SET content_text = DEFAULT WHERE id = 100',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content_text) VALUES (100, ''a'')',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content, content_text) VALUES (100, ''a'', ''a'')',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content, content_text) VALUES (100, ''a'', ''b'')',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content, content_text) VALUES (100, ''a'', NULL)',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content, content_text) VALUES (100, NULL, ''b'')',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id) VALUES (100)',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content) VALUES (100, NULL)',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content_text) VALUES (100, NULL)',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo VALUES (100, ''positional'')',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo VALUES (100, ''positional'', ''n'', ''both'')',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (id, content) SELECT 100, ''select''',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo SELECT 100, ''select''',
		'DELETE FROM memo WHERE id = 100',
		'INSERT INTO memo (content_text, id) VALUES (''a'', 100), (''b'', 101)',
		'DELETE FROM memo WHERE id IN (100, 101)'
	], 'SELECT content || '' | '' || content_text || coalesce('' | '' || note, '''')
		FROM (SELECT coalesce(content, ''-'') AS content,
			coalesce(content_text, ''-'') AS content_text, note
			FROM memo WHERE id = 100) AS m')
$$;
SELECT * FROM battery();

-- Both sides in one statement, by several routes
CREATE FUNCTION conflicts() RETURNS TABLE (statement text, "row" text)
LANGUAGE sql AS $$
	SELECT * FROM try(ARRAY[
		'INSERT INTO memo (id, content) VALUES (200, ''a'')
			ON CONFLICT (id) DO UPDATE SET content = excluded.content',
		'INSERT INTO memo (id, content) VALUES (200, ''b'')
			ON CONFLICT (id) DO UPDATE SET content = excluded.content',
		'INSERT INTO memo (id, content) VALUES (200, ''c'')
			ON CONFLICT (id) DO UPDATE SET content_text = excluded.content_text',
		'INSERT INTO memo (id, content_text) VALUES (200, ''d'')
			ON CONFLICT (id) DO UPDATE SET content_text = excluded.content_text',
		'INSERT INTO memo (id, content_text) VALUES (200, ''e'')
			ON CONFLICT (id) DO UPDATE SET content = excluded.content',
		'INSERT INTO memo (id, content_text) VALUES (200, ''f'')
			ON CONFLICT (id) DO UPDATE SET content = memo.content_text || ''+'' || excluded.content',
		'INSERT INTO memo (id, content) VALUES (200, ''g'') ON CONFLICT (id) DO NOTHING',
		'INSERT INTO memo (id, content) VALUES (200, ''h'')
			ON CONFLICT (id) DO UPDATE SET note = excluded.content',
		'INSERT INTO memo (id, content) VALUES (200, ''i'')
			ON CONFLICT (id) DO UPDATE SET content = excluded.content,
				content_text = excluded.content_text',
		'INSERT INTO memo (id, content) VALUES (200, ''j'')
			ON CONFLICT (id) DO UPDATE SET content = NULL WHERE memo.content = ''i''',
		'MERGE INTO memo USING (VALUES (200, ''k'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED THEN UPDATE SET content = v.c',
		'MERGE INTO memo USING (VALUES (200, ''l'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED THEN UPDATE SET content_text = v.c',
		'MERGE INTO memo USING (VALUES (200, ''m'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED AND c = ''x'' THEN UPDATE SET content = v.c
			WHEN MATCHED THEN UPDATE SET content_text = v.c
			WHEN NOT MATCHED THEN INSERT (id, content) VALUES (v.id, v.c)',
		'MERGE INTO memo USING (VALUES (200, ''n'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED AND c = ''n'' THEN UPDATE SET content = v.c
			WHEN MATCHED THEN UPDATE SET content_text = v.c
			WHEN NOT MATCHED THEN INSERT (id, content_text) VALUES (v.id, v.c)',
		'MERGE INTO memo USING (VALUES (200, ''o'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED THEN DELETE',
		'MERGE INTO memo USING (VALUES (200, ''p'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED THEN UPDATE SET content_text = v.c
			WHEN NOT MATCHED THEN INSERT (id, content) VALUES (v.id, v.c)',
		'DELETE FROM memo WHERE id = 200',
		'MERGE INTO memo USING (VALUES (200, ''q'')) AS v (id, c) ON memo.id = v.id
			WHEN MATCHED THEN UPDATE SET content = v.c
			WHEN NOT MATCHED THEN INSERT (id, content_text) VALUES (v.id, v.c)',
		'DELETE FROM memo WHERE id = 200',
		'MERGE INTO memo USING (VALUES (200, ''old''), (201, ''new''), (202, ''none'')) AS v (id, c)
			ON memo.id = v.id
			WHEN NOT MATCHED AND c = ''old'' THEN INSERT (id, content) VALUES (v.id, v.c)
			WHEN NOT MATCHED AND c = ''new'' THEN INSERT (id, content_text) VALUES (v.id, v.c)
			WHEN NOT MATCHED THEN INSERT (id) VALUES (v.id)',
		'DELETE FROM memo WHERE id BETWEEN 200 AND 202',
		'WITH i AS (INSERT INTO memo (id, content) VALUES (200, ''r'') RETURNING content_text)
			INSERT INTO memo (id, content_text) SELECT 201, content_text || ''2'' FROM i',
		'WITH u AS (UPDATE memo SET content = ''s'' WHERE id = 200 RETURNING *)
			UPDATE memo SET content_text = u.content_text || ''t'' FROM u WHERE memo.id = 201',
		'WITH u AS (UPDATE memo SET content = ''u'' WHERE id = 200),
			d AS (DELETE FROM memo WHERE id = 201 RETURNING content_text)
			INSERT INTO memo (id, content_text) SELECT 202, content_text FROM d',
		'WITH a AS (INSERT INTO memo (id, content) VALUES (203, ''v'')),
			b AS (INSERT INTO memo (id, content_text) VALUES (204, ''w''))
			INSERT INTO memo (id) VALUES (205)',
		'WITH a AS (UPDATE memo SET content = ''x'' WHERE id = 200),
			b AS (UPDATE memo SET content_text = ''y'' WHERE id = 202) SELECT 1'
	], 'SELECT string_agg(concat_ws('' | '', id, coalesce(content, ''-''), coalesce(content_text, ''-''), note), ''; '' ORDER BY id)
		FROM memo WHERE id BETWEEN 200 AND 205')
$$;
SELECT "row" FROM conflicts();
DELETE FROM memo WHERE id >= 200;

-- One in a function that becomes a part of the query that calls it
CREATE TABLE ticket (id int PRIMARY KEY, code text DEFAULT 'none');
SELECT migspec_expand('ticket', migspec_add_column('ticket', 'size', 'int', 'length(code)', false));
CREATE FUNCTION put_ticket() RETURNS SETOF int LANGUAGE sql STABLE
	AS $$ WITH i AS (INSERT INTO ticket (id, size) VALUES (1, NULL) RETURNING id) SELECT id FROM i $$;
SELECT * FROM put_ticket();
SELECT id, code, size FROM ticket;
SELECT migspec_rollback('ticket');
DROP FUNCTION put_ticket;
DROP TABLE ticket;

-- COPY
COPY memo (id, content) FROM STDIN;
300	copied
301	\N
\.
COPY memo (id, content_text) FROM STDIN (FORMAT csv);
302,copied
303,
\.
COPY memo (id, note) FROM STDIN;
304	neither
\.
COPY memo (id, content, content_text) FROM STDIN;
305	same	same
306	old	new
\.
COPY memo FROM STDIN;
307	all	n	all
308	old	n	new
\.
COPY memo (id, content) FROM STDIN WHERE content <> 'no';
309	no
310	yes
\.
SELECT * FROM memo WHERE id >= 300 ORDER BY id;
COPY (SELECT id, content, content_text FROM memo WHERE id = 300) TO STDOUT;
DELETE FROM memo WHERE id >= 300;

-- Savepoints
BEGIN;
INSERT INTO memo (id, content) VALUES (400, 'a');
SAVEPOINT s1;
UPDATE memo SET content_text = 'b' WHERE id = 400 RETURNING content, content_text;
ROLLBACK TO s1;
SELECT content, content_text FROM memo WHERE id = 400;
UPDATE memo SET content = 'c' WHERE id = 400;
SAVEPOINT s2;
SELECT 1 / 0;
ROLLBACK TO s2;
UPDATE memo SET content_text = content_text || 'd' WHERE id = 400;
RELEASE s1;
COMMIT;
SELECT content, content_text FROM memo WHERE id = 400;

-- Views: on other columns, on the new column, through both
CREATE VIEW memo_view AS SELECT id, note FROM memo WHERE id >= 500 WITH CHECK OPTION;
CREATE VIEW new_view AS SELECT id AS key, content_text AS value FROM memo;
INSERT INTO memo_view VALUES (500, 'through a view') RETURNING *;
INSERT INTO memo_view VALUES (1, 'through a view');
INSERT INTO new_view VALUES (501, 'new');
INSERT INTO new_view (key) VALUES (502);
UPDATE new_view SET value = value || '!' WHERE key >= 500;
SELECT * FROM memo WHERE id >= 500 ORDER BY id;
DELETE FROM new_view WHERE key >= 500;
DROP VIEW memo_view, new_view;

-- A cursor
BEGIN;
DECLARE c CURSOR FOR SELECT id, content FROM memo WHERE id = 400 FOR UPDATE;
FETCH c;
UPDATE memo SET content = 'by cursor' WHERE CURRENT OF c;
COMMIT;
SELECT content, content_text FROM memo WHERE id = 400;

-- No row is left in disagreement, but for the one that nobody has touched
SELECT * FROM memo WHERE content IS DISTINCT FROM content_text;

-- The same in every phase in which both names are there
SELECT migspec_migrate('sync_rename');
SELECT migspec_wait('sync_rename', 'migrated', '60 s');
SELECT * FROM memo WHERE content IS DISTINCT FROM content_text;
CREATE TEMP TABLE before_switch AS SELECT * FROM battery();
SELECT "check", ok FROM migspec_verify('sync_rename');
SELECT * FROM battery() EXCEPT ALL SELECT * FROM before_switch;
SELECT migspec_switch('sync_rename');

-- What is different after switch: the new column has the default
SELECT "row" AS old FROM before_switch WHERE "row" LIKE 'empty%';
SELECT * FROM battery() EXCEPT ALL SELECT * FROM before_switch;
INSERT INTO memo (id, content) VALUES (600, DEFAULT), (601, 'x') RETURNING *;
INSERT INTO memo (id, content_text) VALUES (602, DEFAULT), (603, 'x') RETURNING *;
INSERT INTO memo (id, note) VALUES (604, 'y') RETURNING *;
INSERT INTO memo (id, note, content) VALUES (605, 'y', NULL) RETURNING *;
EXECUTE old_insert(606, 'prepared');
EXECUTE old_update(606, 'PREPARED');
EXECUTE old_all(607, 'positional', 'n');
SELECT old_code(606, 'code'), old_code(608, 'code');
COPY memo (id, content) FROM STDIN;
609	copied
\.
COPY memo (id, note) FROM STDIN;
610	default
\.
SELECT * FROM memo WHERE id >= 606 ORDER BY id;
SELECT count(*) FROM memo WHERE content IS DISTINCT FROM content_text;

-- After contract the old name is gone, the old column is not
SELECT migspec_contract('sync_rename');
SELECT content FROM memo;
INSERT INTO memo (id, content_text) VALUES (700, 'contracted');
INSERT INTO memo (id) VALUES (701);
UPDATE memo SET content_text = 'CONTRACTED' WHERE id = 606;
COPY memo (id, content_text) FROM STDIN;
702	copied
\.

-- Back at the start nothing is lost, and nothing of ours is left
SELECT migspec_rollback('sync_rename');
SELECT * FROM memo WHERE id IN (606, 700, 701, 702) ORDER BY id;
\d memo
EXECUTE old_update(606, 'prepared');
EXECUTE old_all(703, 'positional', 'n');
SELECT * FROM memo WHERE id IN (606, 703) ORDER BY id;

-- The whole way
SELECT migspec_expand('sync_rename', migspec_rename_column('memo', 'content', 'content_text'));
SELECT migspec_migrate('sync_rename');
SELECT migspec_wait('sync_rename', 'migrated', '60 s');
SELECT bool_and(ok) FROM migspec_verify('sync_rename');
SELECT migspec_switch('sync_rename');
SELECT migspec_contract('sync_rename');
SELECT migspec_finish('sync_rename');
\d memo
SELECT count(*), count(content_text), md5(string_agg(content_text, ',' ORDER BY id)) FROM memo
	WHERE id < 100;
SELECT * FROM memo WHERE id < 20 ORDER BY id;
EXECUTE old_insert(800, 'gone');
EXECUTE old_update(1, 'gone');
DEALLOCATE ALL;
DROP TABLE memo;

--
-- Defaults on either column: computed once, and the same for both
--
CREATE SEQUENCE counter;
CREATE TABLE memo (id int PRIMARY KEY, a text NOT NULL DEFAULT 'constant',
	b int NOT NULL DEFAULT nextval('counter'), c timestamptz NOT NULL DEFAULT clock_timestamp(), d text DEFAULT NULL);
INSERT INTO memo (id) VALUES (1);
SELECT migspec_expand('sync_default', migspec_rename_column('memo', 'a', 'new_a') || migspec_rename_column('memo', 'b', 'new_b') ||
	migspec_rename_column('memo', 'c', 'new_c') || migspec_rename_column('memo', 'd', 'new_d'));
CREATE FUNCTION show() RETURNS TABLE (id int, a text, b int, d text, same boolean) LANGUAGE sql AS $$
	SELECT id, a, b, d, (a, b, c, d) IS NOT DISTINCT FROM (new_a, new_b, new_c, new_d) FROM memo WHERE id > 1 ORDER BY id
$$;
INSERT INTO memo (id) VALUES (2);
INSERT INTO memo (id, a, b, d) VALUES (3, 'given', 333, 'given');
INSERT INTO memo (id, new_a, new_b, new_c, new_d) VALUES (4, 'given', 444, now(), 'given');
INSERT INTO memo (id, a, b, c, d) VALUES (5, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO memo (id, a, new_b) VALUES (6, 'mixed', 666);
INSERT INTO memo (id, new_a, b) VALUES (7, 'mixed', 777);
SELECT * FROM show();
UPDATE memo SET a = DEFAULT, new_d = DEFAULT WHERE id = 3;
SELECT * FROM show() WHERE id = 3;
CALL migspec_run('sync_default', 'switched');
INSERT INTO memo (id) VALUES (12);
INSERT INTO memo (id, a, b, d) VALUES (13, 'given', 1333, 'given');
INSERT INTO memo (id, new_a, new_b, new_c, new_d) VALUES (14, 'given', 1444, now(), 'given');
INSERT INTO memo (id, new_a, new_b, new_c, new_d) VALUES (15, DEFAULT, DEFAULT, DEFAULT, DEFAULT);
INSERT INTO memo (id, a, new_b) VALUES (16, 'mixed', 1666);
INSERT INTO memo (id, new_a, b) VALUES (17, 'mixed', 1777);
UPDATE memo SET new_a = DEFAULT, d = DEFAULT WHERE id = 13;
SELECT * FROM show() WHERE id > 10;
-- explicit NULLs are not defaults
INSERT INTO memo (id, a) VALUES (18, NULL);
INSERT INTO memo (id, new_a) VALUES (18, NULL);
UPDATE memo SET a = NULL WHERE id = 2;
CALL migspec_run('sync_default', 'contracted');
SELECT migspec_rollback('sync_default');
\d memo
DROP FUNCTION show;
DROP TABLE memo;
DROP SEQUENCE counter;

--
-- Other triggers
--
CREATE TABLE memo (id int PRIMARY KEY, content text, note text);
CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.note = 'fill' THEN
		NEW.content := 'filled';
	ELSIF NEW.note = 'upper' THEN
		NEW.content := upper(NEW.content);
	ELSIF NEW.note = 'skip' THEN
		RETURN NULL;
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER a_fill BEFORE INSERT OR UPDATE ON memo FOR EACH ROW EXECUTE FUNCTION fill();
CREATE TABLE audit (n serial, op text, old_content text, new_content text, new_text text);
SELECT migspec_expand('sync_triggers', migspec_rename_column('memo', 'content', 'content_text'));
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO audit (op, old_content, new_content, new_text)
		VALUES (TG_OP, CASE TG_OP WHEN 'UPDATE' THEN OLD.content END, NEW.content, NEW.content_text);
	RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON memo FOR EACH ROW EXECUTE FUNCTION audit();
INSERT INTO memo (id, content) VALUES (1, 'a'), (2, 'b');
INSERT INTO memo (id, content, note) VALUES (3, 'c', 'upper') RETURNING *;
INSERT INTO memo (id, content, note) VALUES (4, 'd', 'skip') RETURNING *;
INSERT INTO memo (id, note) VALUES (5, 'fill') RETURNING *;
UPDATE memo SET note = 'fill' WHERE id = 1 RETURNING *;
UPDATE memo SET content_text = 'x' WHERE id = 2 RETURNING *;
UPDATE memo SET note = 'upper' WHERE id = 2 RETURNING *;
UPDATE memo SET note = 'skip' WHERE id = 2 RETURNING *;
SELECT * FROM audit ORDER BY n;
-- The trigger is told of the new name before the application is, or after it
CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.content_text := coalesce(NEW.content_text, 'by trigger');
	RETURN NEW;
END $$;
INSERT INTO memo (id) VALUES (6) RETURNING *;
INSERT INTO memo (id, content_text) VALUES (7, 'named') RETURNING *;
CALL migspec_run('sync_triggers', 'switched');
CREATE OR REPLACE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.content := coalesce(NEW.content, 'by trigger');
	RETURN NEW;
END $$;
INSERT INTO memo (id) VALUES (8) RETURNING *;
INSERT INTO memo (id, content) VALUES (9, 'named') RETURNING *;
SELECT count(*) FROM memo WHERE content IS DISTINCT FROM content_text;
-- One that would fire after the sync trigger is refused at plan time
SELECT migspec_rollback('sync_triggers');
CREATE TRIGGER "~~late" BEFORE UPDATE ON memo FOR EACH ROW EXECUTE FUNCTION fill();
SELECT migspec_expand('sync_triggers', migspec_rename_column('memo', 'content', 'content_text'));
DROP TABLE memo;

--
-- Keys and references: cascades write the column, too, and ON CONFLICT finds
-- its key under either name once both are there
--
CREATE TABLE tag (name text PRIMARY KEY);
INSERT INTO tag SELECT unnest('{a,b,c,d,e,none}'::text[]);
CREATE TABLE tagged (id int PRIMARY KEY, tag text DEFAULT 'none' REFERENCES tag ON UPDATE CASCADE ON DELETE SET NULL,
	code text UNIQUE);
INSERT INTO tagged VALUES (1, 'a', 'one'), (2, 'b', 'two'), (3, 'c', 'three'), (4, 'd', 'four'), (5, 'e', 'five');
SELECT migspec_expand('sync_keys', migspec_rename_column('tagged', 'tag', 'label') || migspec_rename_column('tagged', 'code', 'sku'));
UPDATE tag SET name = 'A' WHERE name = 'a';
DELETE FROM tag WHERE name = 'b';
INSERT INTO tagged (id, code) VALUES (10, 'one') ON CONFLICT (code) DO UPDATE SET code = excluded.code || '!' RETURNING *;
INSERT INTO tagged (id, sku) VALUES (10, 'two') ON CONFLICT DO NOTHING RETURNING *;
INSERT INTO tagged (id, sku) VALUES (10, 'two') ON CONFLICT (id) DO NOTHING;
INSERT INTO tagged (id, label) VALUES (10, 'nosuch');
SELECT * FROM tagged ORDER BY id;
CALL migspec_run('sync_keys', 'migrated');
CREATE FUNCTION upserts(key int) RETURNS TABLE (statement text, "row" text) LANGUAGE sql AS $$
	SELECT * FROM try(ARRAY[
		format('INSERT INTO tagged (id, code) VALUES (%s, ''k%1$s'') ON CONFLICT (code) DO UPDATE SET code = ''not this''', key),
		format('INSERT INTO tagged (id, code) VALUES (-1, ''k%s'') ON CONFLICT (code) DO UPDATE SET code = excluded.code || ''+old''', key),
		format('INSERT INTO tagged (id, sku) VALUES (-1, ''k%s+old'') ON CONFLICT (sku) DO UPDATE SET sku = excluded.sku || ''+new''', key),
		format('INSERT INTO tagged (id, sku) VALUES (-1, ''k%s+old+new'') ON CONFLICT (code) DO UPDATE SET sku = ''k''', key),
		format('INSERT INTO tagged (id, code) VALUES (-1, ''k'') ON CONFLICT ON CONSTRAINT tagged_code_key DO UPDATE SET code = ''l%s''', key),
		format('INSERT INTO tagged (id, code) VALUES (-1, ''l%s'')', key),
		format('INSERT INTO tagged (id, sku) VALUES (-1, ''l%s'')', key),
		format('UPDATE tagged SET label = ''nosuch'' WHERE id = %s', key),
		format('UPDATE tagged SET tag = ''nosuch'' WHERE id = %s', key)
	], format('SELECT code || '' | '' || sku FROM tagged WHERE id = %s', key))
$$;
SELECT "row" FROM upserts(20);
CALL migspec_run('sync_keys', 'switched');
SELECT "row" FROM upserts(30);
UPDATE tag SET name = 'C' WHERE name = 'c';
DELETE FROM tag WHERE name = 'd';
SELECT * FROM tagged WHERE id < 10 ORDER BY id;
SELECT migspec_contract('sync_keys');
UPDATE tag SET name = 'E' WHERE name = 'e';
DELETE FROM tag WHERE name = 'C';
INSERT INTO tagged (id, sku) VALUES (-1, 'five') ON CONFLICT (sku) DO UPDATE SET sku = 'FIVE';
SELECT id, label, sku FROM tagged WHERE id < 10 ORDER BY id;
SELECT migspec_rollback('sync_keys');
UPDATE tag SET name = 'e' WHERE name = 'E';
SELECT * FROM tagged ORDER BY id;
\d tagged
DROP FUNCTION upserts;
DROP TABLE tagged, tag;

--
-- Rules and INSTEAD OF triggers of views
--
CREATE TABLE memo (id int PRIMARY KEY, content text DEFAULT 'empty', note text);
CREATE VIEW ruled AS SELECT id, note FROM memo;
CREATE RULE ruled_insert AS ON INSERT TO ruled DO INSTEAD INSERT INTO memo (id, note) VALUES (NEW.id, NEW.note);
CREATE RULE ruled_update AS ON UPDATE TO ruled DO INSTEAD UPDATE memo SET note = NEW.note WHERE id = OLD.id;
CREATE VIEW triggered AS SELECT id, note FROM memo;
SELECT migspec_expand('sync_views', migspec_rename_column('memo', 'content', 'content_text'));
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.note = 'old' THEN
		INSERT INTO memo (id, content) VALUES (NEW.id, NEW.note);
	ELSE
		INSERT INTO memo (id, content_text) VALUES (NEW.id, NEW.note);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER instead INSTEAD OF INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION instead();
INSERT INTO ruled VALUES (1, 'by rule'), (2, 'by rule');
UPDATE ruled SET note = 'updated by rule' WHERE id = 2;
INSERT INTO triggered VALUES (3, 'old'), (4, 'new');
COPY triggered FROM STDIN;
5	old
6	new
\.
SELECT * FROM memo ORDER BY id;
SELECT migspec_rollback('sync_views');
DROP TABLE memo CASCADE;

--
-- Conflicts as errors
--
CREATE TABLE memo (id int PRIMARY KEY, content text);
SELECT migspec_expand('sync_error', migspec_rename_column('memo', 'content', 'content_text'),
	conflict_policy => 'error');
INSERT INTO memo (id, content, content_text) VALUES (1, 'a', 'a') RETURNING *;
INSERT INTO memo (id, content, content_text) VALUES (2, 'a', 'b');
INSERT INTO memo (id, content, content_text) VALUES (2, 'a', NULL);
UPDATE memo SET content = 'b', content_text = 'c' WHERE id = 1;
UPDATE memo SET content = 'b' WHERE id = 1 RETURNING *;
UPDATE memo SET content = content, content_text = 'c' WHERE id = 1 RETURNING *;
UPDATE memo SET content = 'd', content_text = 'd' WHERE id = 1 RETURNING *;
\set VERBOSITY default
UPDATE memo SET content = 'b', content_text = NULL WHERE id = 1;
\set VERBOSITY terse
SELECT migspec_rollback('sync_error');
DROP TABLE memo;

--
-- A change of type: the new column has a hidden name until switch
--
CREATE TABLE orders (id int PRIMARY KEY, amount int NOT NULL DEFAULT 7, note text);
INSERT INTO orders VALUES (1, 10), (2, 20), (3, 30);
PREPARE pay(int, int) AS UPDATE orders SET amount = amount + $2 WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE pay(1, 1);
SELECT migspec_expand('sync_type', migspec_change_type('orders', 'amount', 'bigint'));
SELECT new_column AS new FROM migspec.operation o JOIN migspec.migration m ON m.id = migration_id
	WHERE m.name = 'sync_type' \gset
EXECUTE pay(1, 1);
INSERT INTO orders (id) VALUES (4);
INSERT INTO orders (id, amount) VALUES (5, 50);
INSERT INTO orders (id, :"new") VALUES (6, 60);
INSERT INTO orders VALUES (7, 70, 'positional');
COPY orders (id, amount) FROM STDIN;
8	80
\.
INSERT INTO orders (id, :"new") VALUES (9, 3000000000);
SELECT id, amount, :"new" AS new FROM orders ORDER BY id;
SELECT migspec_migrate('sync_type');
SELECT migspec_wait('sync_type', 'migrated', '60 s');
SELECT bool_and(ok) FROM migspec_verify('sync_type');
EXECUTE pay(2, 1);
SELECT id, amount, :"new" AS new FROM orders WHERE id < 4 ORDER BY id;
SELECT migspec_switch('sync_type');
-- the column that writers name is the other one now
SELECT old_column AS old FROM migspec.operation o JOIN migspec.migration m ON m.id = migration_id
	WHERE m.name = 'sync_type' \gset
EXECUTE pay(2, 1);
INSERT INTO orders (id) VALUES (10);
INSERT INTO orders (id, amount) VALUES (11, 110);
INSERT INTO orders (id, amount) VALUES (12, 3000000000);
SELECT id, amount, pg_typeof(amount), :"old" AS old, pg_typeof(:"old") FROM orders
	WHERE id IN (2, 10, 11) ORDER BY id;
SELECT count(*) FROM orders WHERE amount IS DISTINCT FROM :"old";
SELECT migspec_contract('sync_type');
EXECUTE pay(2, 1);
SELECT migspec_finish('sync_type');
EXECUTE pay(2, 1);
INSERT INTO orders (id, amount) VALUES (12, 3000000000);
SELECT id, amount, pg_typeof(amount) FROM orders WHERE id IN (2, 10, 11, 12) ORDER BY id;
\d orders
RESET plan_cache_mode;
DEALLOCATE pay;
DROP TABLE orders;

--
-- Rights: a writer needs none on the columns that the trigger writes
--
CREATE ROLE regress_sync_owner;
CREATE ROLE regress_sync_writer;
GRANT CREATE, USAGE ON SCHEMA sync TO regress_sync_owner;
GRANT USAGE ON SCHEMA sync TO regress_sync_writer;
SET ROLE regress_sync_owner;
CREATE TABLE memo (id int PRIMARY KEY, content text, note text, tenant name);
GRANT SELECT ON memo TO regress_sync_writer;
GRANT INSERT (id, content, tenant), UPDATE (content) ON memo TO regress_sync_writer;
INSERT INTO memo VALUES (1, 'a', 'n', 'regress_sync_writer'), (2, 'b', 'n', 'nobody');
CREATE POLICY p ON memo USING (tenant = current_user) WITH CHECK (tenant = current_user AND content <> 'forbidden');
-- functions in up and down run as the owner, with a safe search path
CREATE FUNCTION who(text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RETURN $1 || '/' || current_user || '/' || current_setting('search_path');
END $$;
REVOKE ALL ON FUNCTION who FROM PUBLIC;
SELECT migspec_expand('sync_rights', '[
	{"rename_column": {"table": "memo", "from": "content", "to": "content_text"}},
	{"add_column": {"table": "memo", "column": {"name": "who", "type": "text", "nullable": true},
		"up": "sync.who(content)"}}]');
SET ROLE regress_sync_writer;
INSERT INTO memo (id, content, tenant) VALUES (3, 'c', 'regress_sync_writer');
UPDATE memo SET content = 'A' WHERE id = 1;
UPDATE memo SET note = 'no' WHERE id = 1;
-- the new column has the grants of the old one
INSERT INTO memo (id, content_text) VALUES (4, 'd');
UPDATE memo SET content_text = 'AA' WHERE id = 1;
UPDATE memo SET who = 'no' WHERE id = 1;
SELECT id, content, content_text, who FROM memo ORDER BY id;
SELECT sync.who('x');
SELECT current_user, current_setting('search_path');
-- rights on the old column alone are enough
RESET ROLE;
REVOKE INSERT (content_text), UPDATE (content_text) ON memo FROM regress_sync_writer;
SET ROLE regress_sync_writer;
UPDATE memo SET content_text = 'B' WHERE id = 1;
UPDATE memo SET content = 'B' WHERE id = 1;
INSERT INTO memo (id, content, tenant) VALUES (5, 'e', 'regress_sync_writer')
	ON CONFLICT (id) DO UPDATE SET content = excluded.content;
SELECT id, content, content_text FROM memo WHERE id IN (1, 5) ORDER BY id;

-- Row-level security: policies see the row as the trigger leaves it
SET ROLE regress_sync_owner;
ALTER TABLE memo ENABLE ROW LEVEL SECURITY;
ALTER TABLE memo FORCE ROW LEVEL SECURITY;
GRANT INSERT (content_text), UPDATE (content_text) ON memo TO regress_sync_writer;
SET ROLE regress_sync_writer;
INSERT INTO memo (id, content, tenant) VALUES (6, 'f', 'nobody');
INSERT INTO memo (id, content, tenant) VALUES (6, 'forbidden', 'regress_sync_writer');
INSERT INTO memo (id, content_text, tenant) VALUES (6, 'forbidden', 'regress_sync_writer');
UPDATE memo SET content_text = 'forbidden';
WITH u AS (UPDATE memo SET content = 'x' RETURNING id, content, content_text)
	SELECT * FROM u ORDER BY id;
SET ROLE regress_sync_owner;
SELECT id FROM memo;
-- the backfill sees all rows nevertheless
SELECT migspec_migrate('sync_rights');
SELECT migspec_wait('sync_rights', 'migrated', '60 s');
SELECT "check", ok FROM migspec_verify('sync_rights');
SELECT migspec_switch('sync_rights');
RESET ROLE;
SELECT id, content, content_text, who FROM memo ORDER BY id;
SET ROLE regress_sync_writer;
INSERT INTO memo (id, content, tenant) VALUES (7, 'g', 'regress_sync_writer') RETURNING content_text, who;
INSERT INTO memo (id, content, tenant) VALUES (8, 'forbidden', 'regress_sync_writer');
SELECT id, content, content_text FROM memo ORDER BY id;
SET ROLE regress_sync_owner;
SELECT migspec_rollback('sync_rights');
RESET ROLE;
SELECT attname, attacl FROM pg_attribute WHERE attrelid = 'memo'::regclass AND attacl IS NOT NULL AND NOT attisdropped ORDER BY attnum;
SELECT polname, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid) FROM pg_policy
	WHERE polrelid = 'memo'::regclass;
DROP TABLE memo;
DROP FUNCTION who;

--
-- session_replication_role: the trigger fires for a replica, too
--
CREATE TABLE memo (id int PRIMARY KEY, content text);
SELECT migspec_expand('sync_replica', migspec_rename_column('memo', 'content', 'content_text'));
SET session_replication_role = replica;
INSERT INTO memo (id, content) VALUES (1, 'a') RETURNING *;
UPDATE memo SET content_text = 'b' RETURNING *;
SET session_replication_role = local;
UPDATE memo SET content = 'c' RETURNING *;
RESET session_replication_role;
SELECT tgname, tgenabled FROM pg_trigger WHERE tgrelid = 'memo'::regclass;
SELECT migspec_rollback('sync_replica');
DROP TABLE memo;

--
-- The functions of the trigger cannot be misused
--
CREATE TABLE memo (id int);
CREATE TRIGGER wrong AFTER INSERT ON memo FOR EACH ROW EXECUTE FUNCTION migspec.sync();
INSERT INTO memo VALUES (1);
DROP TRIGGER wrong ON memo;
CREATE TRIGGER wrong BEFORE INSERT ON memo FOR EACH STATEMENT EXECUTE FUNCTION migspec.sync();
INSERT INTO memo VALUES (1);
DROP TRIGGER wrong ON memo;
CREATE TRIGGER wrong BEFORE INSERT ON memo FOR EACH ROW EXECUTE FUNCTION migspec.sync();
INSERT INTO memo VALUES (1);
DROP TRIGGER wrong ON memo;
CREATE TRIGGER wrong BEFORE INSERT ON memo FOR EACH ROW EXECUTE FUNCTION migspec.sync('new_wins', 'a');
INSERT INTO memo VALUES (1);
DROP TABLE memo;
-- nor those of another table's expressions
CREATE TABLE theirs (id int PRIMARY KEY, n bigint);
SELECT migspec_expand('sync_theirs', migspec_rename_column('theirs', 'n', 'm'));
SELECT string_agg(quote_literal(CASE arg WHEN 'm' THEN 't' ELSE arg END), ', ' ORDER BY i) AS args
	FROM pg_trigger, unnest(string_to_array(encode(tgargs, 'escape'), '\000')) WITH ORDINALITY AS u (arg, i)
	WHERE tgrelid = 'theirs'::regclass AND i <= tgnargs \gset
CREATE TABLE memo (id int PRIMARY KEY, n bigint, m bigint, t text);
CREATE TRIGGER wrong BEFORE INSERT ON memo FOR EACH ROW EXECUTE FUNCTION migspec.sync(:args);
DO $$ BEGIN
	INSERT INTO memo (id, n) VALUES (1, 94000000000000);
EXCEPTION WHEN OTHERS THEN
	RAISE WARNING '% %', sqlstate, regexp_replace(sqlerrm, '\d+', 'N');
END $$;
SELECT migspec_rollback('sync_theirs');
DROP TABLE memo, theirs;
SELECT migspec.sync();
SELECT migspec.identical(NULL::int, NULL), migspec.identical(1, NULL), migspec.identical(1, 1),
	migspec.identical('a'::text, 'b'), migspec.identical('{"a": 1}'::json, '{"a": 1}'),
	migspec.identical('{"a":1}'::json, '{"a": 1}'), migspec.identical(ROW(1, 2), ROW(1, 2)),
	migspec.identical(1.0, 1.00), migspec.identical(repeat('x', 10000), repeat('x', 10000));

DROP SCHEMA sync CASCADE;
DROP ROLE regress_sync_owner, regress_sync_writer;
