-- The changes to the catalogs that have no SQL command.  They are for steps of
-- migrations; here they are called one by one.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
RESET client_min_messages;
CREATE SCHEMA carry;
SET search_path = carry;

CREATE FUNCTION indexes(tab regclass) RETURNS TABLE (index name, definition text, marks text)
LANGUAGE sql AS $$
	SELECT c.relname, regexp_replace(pg_get_indexdef(c.oid), '.* USING ', ''),
		concat_ws(' ', CASE WHEN indisunique THEN 'unique' END,
			CASE WHEN indisprimary THEN 'primary' END,
			CASE WHEN NOT indimmediate THEN 'deferrable' END,
			CASE WHEN indisclustered THEN 'clustered' END,
			CASE WHEN indisreplident THEN 'identity' END)
	FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
	WHERE indrelid = tab ORDER BY c.oid
$$;

CREATE FUNCTION dependencies(tab regclass) RETURNS TABLE (object text, kind "char", on_object text)
LANGUAGE sql AS $$
	SELECT pg_describe_object(classid, objid, objsubid) COLLATE "C", deptype,
		pg_describe_object(refclassid, refobjid, refobjsubid) COLLATE "C"
	FROM pg_depend
	WHERE classid = 'pg_class'::regclass
			AND objid IN (SELECT indexrelid FROM pg_index WHERE indrelid = tab)
		OR classid = 'pg_constraint'::regclass
			AND objid IN (SELECT oid FROM pg_constraint
				WHERE tab IN (conrelid, confrelid) AND contype <> 'n')
	ORDER BY 1, 3
$$;

-- a primary key
CREATE TABLE parent (id int PRIMARY KEY, new_id bigint NOT NULL, note text);
CREATE TABLE child (parent_id int REFERENCES parent);
CREATE UNIQUE INDEX parent_new ON parent (new_id);
CREATE TABLE new_child (parent_id int REFERENCES parent (new_id) ON DELETE CASCADE);
ALTER TABLE parent REPLICA IDENTITY USING INDEX parent_pkey;
ALTER TABLE parent CLUSTER ON parent_pkey;
INSERT INTO parent SELECT g, g * 10, 'note ' || g FROM generate_series(1, 1000) g;
INSERT INTO child VALUES (1);
INSERT INTO new_child VALUES (20);
VACUUM ANALYZE parent;

SELECT migspec.swap_index('parent', 'parent_pkey', 'parent_new');
SELECT * FROM indexes('parent');
SELECT * FROM dependencies('parent');
SELECT conrelid::regclass, conname, conindid::regclass, pg_get_constraintdef(oid)
FROM pg_constraint WHERE 'parent'::regclass IN (conrelid, confrelid)
	AND contype <> 'n' ORDER BY conrelid::regclass::text, conname;
SELECT conname, tgfoid::regproc, tgconstrindid::regclass
FROM pg_trigger t JOIN pg_constraint c ON c.oid = tgconstraint
WHERE tgrelid = 'parent'::regclass ORDER BY conname, tgfoid::regproc::text;

-- the server finds rows by both, and keeps the rows unique
SET enable_seqscan = off;
SELECT note FROM parent WHERE id = 500;
SELECT note FROM parent WHERE new_id = 5000;
RESET enable_seqscan;
INSERT INTO parent VALUES (1001, 5000);
INSERT INTO parent VALUES (500, 10010);
INSERT INTO parent VALUES (1001, 5000) ON CONFLICT (new_id) DO UPDATE SET note = 'other';
INSERT INTO parent VALUES (1001, 5000) ON CONFLICT ON CONSTRAINT parent_pkey DO NOTHING;
SELECT * FROM parent WHERE note = 'other';
INSERT INTO child VALUES (0);
INSERT INTO new_child VALUES (1);
DELETE FROM parent WHERE id = 1;
DELETE FROM parent WHERE id = 2;
SELECT count(*) FROM new_child;
REINDEX TABLE parent;
CLUSTER parent;
SELECT count(*), sum(new_id) FROM parent;

-- and back
SELECT migspec.swap_index('parent', 'parent_pkey', 'parent_new');
SELECT * FROM indexes('parent');
SELECT conrelid::regclass, conname, conindid::regclass, pg_get_constraintdef(oid)
FROM pg_constraint WHERE 'parent'::regclass IN (conrelid, confrelid)
	AND contype <> 'n' ORDER BY conrelid::regclass::text, conname;
INSERT INTO parent VALUES (500, 10010);
DROP INDEX parent_new;
DROP INDEX parent_new CASCADE;

-- expressions, predicates, statistics
CREATE TABLE words (word text COLLATE "C", new_word varchar(50) COLLATE "POSIX");
INSERT INTO words SELECT 'w' || g % 7, 'w' || g % 7 FROM generate_series(1, 1000) g;
CREATE INDEX one ON words (upper(word), word text_pattern_ops DESC) INCLUDE (new_word) WHERE word <> 'w0';
CREATE INDEX other ON words (upper(new_word), new_word varchar_pattern_ops DESC) INCLUDE (word)
	WHERE new_word <> 'w0';
ALTER INDEX one ALTER COLUMN 1 SET STATISTICS 77;
ANALYZE words;
INSERT INTO words SELECT 'w', 'x' FROM generate_series(1, 3000);
ANALYZE words;
SELECT migspec.swap_index('words', 'one', 'other');
SELECT * FROM indexes('words');
SELECT * FROM dependencies('words');
SELECT tablename, most_common_vals FROM pg_stats WHERE tablename IN ('one', 'other') ORDER BY 1;
SET enable_seqscan = off;
SELECT count(*) FROM words WHERE upper(new_word) = 'W3' AND new_word <> 'w0';
SELECT count(*) FROM words WHERE upper(word) = 'W4' AND word <> 'w0';
RESET enable_seqscan;
ALTER TABLE words DROP COLUMN word;
SELECT * FROM indexes('words');

-- a deferrable key
CREATE TABLE places (
	place int CONSTRAINT one_place UNIQUE DEFERRABLE,
	new_place bigint
);
INSERT INTO places SELECT g, g FROM generate_series(1, 100) g;
CREATE INDEX new_one ON places (new_place);
SELECT migspec.make_deferrable_key('places', 'one_place', 'new_one');
SELECT migspec.check_unique('places', 'new_one');
UPDATE places SET place = place + 1, new_place = new_place + 1;
SELECT migspec.swap_index('places', 'one_place', 'new_one');
SELECT * FROM indexes('places');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'places'::regclass ORDER BY 1;
UPDATE places SET place = place + 1, new_place = new_place + 1;
UPDATE places SET new_place = 50 WHERE new_place = 51;
UPDATE places SET place = 50 WHERE new_place = 51;
ALTER TABLE places DROP COLUMN place;
SELECT * FROM indexes('places');
CREATE TABLE doubles (d int, CONSTRAINT none UNIQUE (d) DEFERRABLE, e int);
INSERT INTO doubles VALUES (1, 7), (2, 7), (3, NULL), (4, NULL);
CREATE INDEX doubles_e ON doubles (e);
SELECT migspec.make_deferrable_key('doubles', 'none', 'doubles_e');
SELECT migspec.check_unique('doubles', 'doubles_e');
DELETE FROM doubles WHERE d = 2;
SELECT migspec.check_unique('doubles', 'doubles_e');

-- what cannot be swapped
CREATE TABLE misfits (a int PRIMARY KEY, b int, c int NOT NULL, UNIQUE (c, a));
CREATE UNIQUE INDEX misfits_b ON misfits (b);
CREATE INDEX misfits_c ON misfits (c);
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_pkey');
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'parent_pkey');
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_c');
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_c_a_key');
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_b');
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits');
BEGIN;
CREATE UNIQUE INDEX misfits_new ON misfits (c);
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_new');
ROLLBACK;
BEGIN;
DECLARE cursor CURSOR FOR SELECT * FROM misfits;
FETCH cursor;
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_b');
ROLLBACK;
SELECT migspec.make_deferrable_key('misfits', 'misfits_pkey', 'misfits_c');

-- all of it is undone with its transaction
CREATE UNIQUE INDEX misfits_new ON misfits (c);
INSERT INTO misfits SELECT g, g, 2 * g FROM generate_series(1, 100) g;
BEGIN;
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_new');
INSERT INTO misfits VALUES (101, 101, 202);
SAVEPOINT s;
SELECT migspec.swap_index('misfits', 'misfits_pkey', 'misfits_new');
INSERT INTO misfits VALUES (102, 102, 204);
ROLLBACK TO s;
SELECT * FROM indexes('misfits');
INSERT INTO misfits VALUES (1, 102, 204);
ROLLBACK;
SELECT * FROM indexes('misfits');
INSERT INTO misfits VALUES (1, 102, 204);
SET enable_seqscan = off;
SELECT * FROM misfits WHERE c = 100;
SELECT * FROM misfits WHERE a = 100;
RESET enable_seqscan;

-- identity
CREATE TABLE numbers (
	id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT 5), new_id bigint, note text
);
INSERT INTO numbers (note) VALUES ('first');
SELECT migspec.move_identity('numbers', 'id', 'new_id');
UPDATE numbers SET new_id = id;
ALTER TABLE numbers ALTER new_id SET NOT NULL;
SELECT migspec.move_identity('numbers', 'id', 'note');
SELECT migspec.move_identity('numbers', 'id', 'nothing');
SELECT migspec.move_identity('numbers', 'id', 'new_id');
ALTER TABLE numbers ALTER id DROP NOT NULL;
INSERT INTO numbers (note) VALUES ('second') RETURNING *;
INSERT INTO numbers (new_id) VALUES (1);
SELECT attname, attidentity FROM pg_attribute
WHERE attrelid = 'numbers'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_serial_sequence('numbers', 'id'), pg_get_serial_sequence('numbers', 'new_id');
ALTER TABLE numbers DROP COLUMN id;
ALTER TABLE numbers ALTER new_id RESTART WITH 7;
INSERT INTO numbers (note) VALUES ('third') RETURNING *;

-- grants
CREATE ROLE regress_carry_a;
CREATE ROLE regress_carry_b;
CREATE TABLE granted (a int, b int);
GRANT USAGE ON SCHEMA carry TO regress_carry_a;
GRANT SELECT (a), UPDATE (a) ON granted TO regress_carry_a WITH GRANT OPTION;
SET ROLE regress_carry_a;
GRANT SELECT (a) ON granted TO regress_carry_b, PUBLIC;
RESET ROLE;
SELECT migspec.copy_column_grants('granted', 'a', 'b');
SELECT column_name, grantee, grantor = current_user AS by_us, privilege_type, is_grantable
FROM information_schema.column_privileges
WHERE table_name = 'granted' AND grantee <> current_user ORDER BY 1, 2, 4;
SELECT migspec.copy_column_grants('granted', 'a', 'b');
REVOKE ALL (a) ON granted FROM regress_carry_a CASCADE;
DROP ROLE regress_carry_b;
DROP TABLE granted;
REVOKE ALL ON SCHEMA carry FROM regress_carry_a;
DROP ROLE regress_carry_a;
DROP ROLE regress_carry_b;

-- rows
CREATE TABLE rows (a int);
INSERT INTO rows VALUES (1), (NULL);
SELECT migspec.check_rows('rows', 'a > 0');
SELECT migspec.check_rows('rows', 'a > 1');

SET client_min_messages = warning;
DROP SCHEMA carry CASCADE;
