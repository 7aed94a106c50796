--
-- The phase guard: what would break an active migration is refused in every
-- phase, everything else is not; and whatever was tried, the migration
-- finishes, and rolls back.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE ROLE pgd_owner;
CREATE SCHEMA pgd AUTHORIZATION pgd_owner;
GRANT ALL ON SCHEMA public TO pgd_owner;
CREATE SCHEMA pgt;
SET search_path = pgt, public;
\set SHOW_CONTEXT never

-- what a statement leads to; nothing of it stays
CREATE FUNCTION try(statement text, detail boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	d text; h text;
BEGIN
	EXECUTE statement;
	RAISE EXCEPTION SQLSTATE 'UNDO1';
EXCEPTION WHEN SQLSTATE 'UNDO1' THEN
	RETURN 'allowed';
WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
	RETURN regexp_replace(CASE WHEN detail AND sqlstate = 'MG501' THEN concat_ws(E'\n', sqlerrm, d, h)
		WHEN sqlstate = 'MG501' THEN 'refused' ELSE sqlstate || ' ' || sqlerrm END,
		'(_migspec_|up_|down_)\d+(_[a-z]\d+)?', '\1N', 'g');
END $$;

SET search_path = pgd, pgt, public;
CREATE TABLE owner_of (v int PRIMARY KEY);
INSERT INTO owner_of SELECT generate_series(1, 20);
CREATE TABLE item (
	id int PRIMARY KEY,
	v int NOT NULL DEFAULT 5 CHECK (v > 0) REFERENCES owner_of,
	name text UNIQUE,
	note text,
	other int);
CREATE INDEX item_both ON item (v, other);
CREATE STATISTICS item_stat ON v, note FROM item;
CREATE SEQUENCE item_seq OWNED BY item.v;
CREATE POLICY item_policy ON item USING (v > 0);
CREATE PUBLICATION item_pub FOR TABLE item (id, v);
CREATE TABLE child (item_name text REFERENCES item (name));
CREATE FUNCTION pgt.stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER stamp BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION pgt.stamp();
INSERT INTO item SELECT i, i, 'name ' || i, NULL, i FROM generate_series(1, 10) AS i;
CREATE TABLE unrelated (id int PRIMARY KEY, v int, name text);

-- {v} is the old column of the type change, {n} the new one; {old} and {new}
-- those of the rename; {up} a function of ours; {hidden} an index of ours, and
-- {key} one that a constraint needs
CREATE TABLE pgt.statement (no serial PRIMARY KEY, text text);
COPY pgt.statement (text) FROM stdin;
DROP TABLE item CASCADE
ALTER TABLE item RENAME TO thing
ALTER TABLE item SET SCHEMA public
ALTER SCHEMA pgd RENAME TO pgx
DROP SCHEMA pgd CASCADE
DROP OWNED BY pgd_owner CASCADE
ALTER TABLE item DROP COLUMN {v}
ALTER TABLE item DROP COLUMN {v} CASCADE
ALTER TABLE item DROP COLUMN {n} CASCADE
ALTER TABLE item DROP COLUMN {old} CASCADE
ALTER TABLE item DROP COLUMN {new} CASCADE
ALTER TABLE item DROP COLUMN {marker} CASCADE
ALTER TABLE item DROP COLUMN note CASCADE
ALTER TABLE item DROP COLUMN other
ALTER TABLE item RENAME COLUMN {v} TO x
ALTER TABLE item RENAME COLUMN {n} TO x
ALTER TABLE item RENAME COLUMN {old} TO x
ALTER TABLE item RENAME COLUMN {marker} TO x
ALTER TABLE item RENAME COLUMN note TO x
ALTER TABLE item RENAME COLUMN other TO x
ALTER TABLE item ALTER COLUMN {v} TYPE numeric
ALTER TABLE item ALTER COLUMN {n} TYPE numeric
ALTER TABLE item ALTER COLUMN {new} TYPE varchar(10)
ALTER TABLE item ALTER COLUMN size TYPE bigint
ALTER TABLE item ALTER COLUMN note TYPE varchar(10)
ALTER TABLE item ALTER COLUMN {v} SET DEFAULT 7
ALTER TABLE item ALTER COLUMN {v} DROP DEFAULT
ALTER TABLE item ALTER COLUMN {v} DROP NOT NULL
ALTER TABLE item ALTER COLUMN {old} SET NOT NULL
DROP TRIGGER "~migspec_sync" ON item
ALTER TRIGGER "~migspec_sync" ON item RENAME TO aaa
ALTER TABLE item DISABLE TRIGGER "~migspec_sync"
ALTER TABLE item DISABLE TRIGGER ALL
ALTER TABLE item DISABLE TRIGGER USER
ALTER TABLE item ENABLE TRIGGER ALL
ALTER TABLE item ENABLE REPLICA TRIGGER "~migspec_sync"
CREATE TRIGGER "~z" BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION pgt.stamp()
ALTER TRIGGER stamp ON item RENAME TO "~z"
CREATE RULE r AS ON UPDATE TO item DO INSTEAD NOTHING
DROP FUNCTION {up}
ALTER FUNCTION {up} RENAME TO x
ALTER FUNCTION {up} VOLATILE
DROP FUNCTION migspec.sync() CASCADE
DROP EXTENSION migspec
DROP EXTENSION migspec CASCADE
DROP SCHEMA migspec CASCADE
DROP INDEX item_both
ALTER INDEX item_both RENAME TO x
ALTER TABLE item DROP CONSTRAINT item_v_check
ALTER TABLE item DROP CONSTRAINT item_v_fkey
ALTER TABLE item RENAME CONSTRAINT item_v_fkey TO x
ALTER TABLE item ALTER CONSTRAINT item_v_fkey DEFERRABLE
ALTER TABLE item DROP CONSTRAINT item_name_key CASCADE
ALTER TABLE child DROP CONSTRAINT child_item_name_fkey
DROP TABLE child CASCADE
DROP TABLE owner_of CASCADE
DROP STATISTICS item_stat
ALTER STATISTICS item_stat RENAME TO x
ALTER SEQUENCE item_seq OWNED BY NONE
DROP SEQUENCE item_seq
DROP POLICY item_policy ON item
ALTER POLICY item_policy ON item USING (id > 0)
ALTER POLICY item_policy ON item RENAME TO x
DROP PUBLICATION item_pub
ALTER PUBLICATION item_pub RENAME TO x
ALTER PUBLICATION item_pub DROP TABLE item
DROP INDEX {hidden}
ALTER INDEX {hidden} RENAME TO x
DROP INDEX {key}
CREATE INDEX ON item ({v})
CREATE INDEX ON item ((lower({old})))
CREATE INDEX ON item (id) WHERE {v} > 3
ALTER TABLE item ADD CHECK ({v} < 100)
ALTER TABLE item ADD UNIQUE ({v}, id)
ALTER TABLE item ADD EXCLUDE ({v} WITH =)
CREATE VIEW item_view AS SELECT id, {v} FROM item
CREATE MATERIALIZED VIEW item_view AS SELECT id, {old} FROM item
CREATE FUNCTION item_function() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum({v}) FROM item; END
CREATE STATISTICS item_new ON id, {v} FROM item
CREATE POLICY item_new ON item USING ({v} > 1)
ALTER TABLE item ADD COLUMN twice int GENERATED ALWAYS AS ({v} * 2) STORED
CREATE TRIGGER item_of AFTER UPDATE OF {v} ON item FOR EACH ROW EXECUTE FUNCTION pgt.stamp()
CREATE TABLE heir () INHERITS (item)
ALTER TABLE item INHERIT ancestor
ALTER SEQUENCE unrelated_seq OWNED BY item.{v}
DO $d$ BEGIN EXECUTE 'ALTER TABLE item RENAME TO thing'; END $d$
TRUNCATE item CASCADE
ANALYZE item
GRANT SELECT ON item TO PUBLIC
GRANT SELECT ({v}) ON item TO PUBLIC
COMMENT ON COLUMN item.{v} IS 'x'
ALTER TABLE item ADD COLUMN more text DEFAULT 'x'
ALTER TABLE item ALTER COLUMN note SET DEFAULT 'x'
ALTER TABLE item ALTER COLUMN other TYPE bigint
ALTER TABLE item ALTER COLUMN other SET NOT NULL
ALTER TABLE item DISABLE TRIGGER stamp
ALTER TABLE item SET (fillfactor = 50)
ALTER TABLE item ALTER COLUMN {v} SET STATISTICS 77
CREATE INDEX ON item (note)
CREATE INDEX ON item ({new})
CREATE VIEW item_view AS SELECT id, note FROM item
CREATE TRIGGER a BEFORE UPDATE ON item FOR EACH ROW EXECUTE FUNCTION pgt.stamp()
DROP TRIGGER stamp ON item
ALTER INDEX item_both SET (fillfactor = 50)
REINDEX TABLE item
CREATE TABLE copy (LIKE item INCLUDING ALL)
CREATE TABLE copy AS SELECT * FROM item
CREATE TABLE another (v int REFERENCES owner_of, id int REFERENCES item)
ALTER TABLE unrelated DROP COLUMN v
ALTER TABLE unrelated RENAME TO something
DROP TABLE unrelated
\.
CREATE SEQUENCE unrelated_seq;
CREATE TABLE ancestor (other int);

CREATE FUNCTION pgt.phase(migration text) RETURNS text LANGUAGE sql AS $$
	SELECT phase FROM migspec.migrations WHERE name = migration
$$;
-- the statement with the names of the phase; NULL if it has none of them
CREATE FUNCTION pgt.filled(s text, migration text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	change migspec.operation; rename migspec.operation; added migspec.operation;
	hidden text; key text;
BEGIN
	SELECT o.* INTO change FROM migspec.operation o JOIN migspec.migration m ON m.id = migration_id WHERE name = migration AND ordinal = 1;
	SELECT o.* INTO rename FROM migspec.operation o JOIN migspec.migration m ON m.id = migration_id WHERE name = migration AND ordinal = 2;
	SELECT o.* INTO added FROM migspec.operation o JOIN migspec.migration m ON m.id = migration_id WHERE name = migration AND ordinal = 3;
	SELECT min(relname) FILTER (WHERE conindid IS NULL), min(relname) FILTER (WHERE conindid IS NOT NULL) INTO hidden, key
	FROM pg_class c LEFT JOIN pg_constraint ON conindid = c.oid
	WHERE c.relnamespace = 'pgd'::regnamespace AND relkind = 'i' AND relname LIKE '\_migspec\_%';
	RETURN replace(replace(replace(replace(replace(replace(replace(replace(s, '{v}', change.old_column), '{n}', change.new_column),
		'{old}', rename.old_column), '{new}', rename.new_column), '{marker}', coalesce(added.marker_column, 'none')), '{up}',
		(SELECT oid::regprocedure::text FROM pg_proc WHERE proname = 'up_' || change.id)), '{hidden}', coalesce(hidden, 'none')), '{key}', coalesce(key, 'none'));
END $$;
CREATE TABLE pgt.result (no int, phase text, result text);
CREATE PROCEDURE pgt.try_all(migration text) LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO result SELECT no, phase(migration), try(filled(text, migration)) FROM statement ORDER BY no;
END $$;

SELECT migspec_expand('pgd', migspec_change_type('item', 'v', 'bigint') || migspec_rename_column('item', 'name', 'title') ||
	migspec_add_column('item', 'size', 'int', 'coalesce(length(note), 0)'));
CALL try_all('pgd');
-- in full, once
SELECT text, try(filled(text, 'pgd'), true) FROM statement
WHERE text ~ 'RENAME TO thing|DROP COLUMN (\{v\}|other)$|DROP TABLE child|~z"|INDEX ON item \(\{v|VIEW item_view AS SELECT id, {v}|EXTENSION migspec$|ALTER INDEX item_both R'
ORDER BY no;
BEGIN;
SELECT migspec_migrate('pgd');
SELECT migspec_pause('pgd');
COMMIT;
CALL try_all('pgd');
SELECT migspec_resume('pgd');
SELECT migspec_wait('pgd', 'migrated', '60 s');
CALL try_all('pgd');
SELECT count(*) > 0 AS verified FROM migspec_verify('pgd') WHERE ok;
CALL try_all('pgd');
SELECT migspec_switch('pgd');
CALL try_all('pgd');
SELECT migspec_contract('pgd');
CALL try_all('pgd');

-- one line per statement: where each result was seen
SELECT s.text, r.result, CASE WHEN count(*) = 6 THEN 'all' ELSE string_agg(r.phase, ' ' ORDER BY array_position(
	ARRAY['expanded', 'migrating', 'migrated', 'verified', 'switched', 'contracted'], r.phase)) END AS phases
FROM statement s JOIN result r USING (no) GROUP BY s.no, s.text, r.result ORDER BY s.no, 3;
SELECT migspec_finish('pgd');
SELECT count(*), min(title), min(pg_typeof(v)::text) FROM item;

-- nothing is guarded any more
SELECT try('DROP TABLE item CASCADE'), try('ALTER TABLE item DROP COLUMN v');

--
-- An identity that is passed on must stay; that of another column need not
--
CREATE TABLE numbered (id int GENERATED BY DEFAULT AS IDENTITY, other int GENERATED ALWAYS AS IDENTITY);
INSERT INTO numbered SELECT FROM generate_series(1, 5);
SELECT migspec_expand('pgd_numbered', migspec_change_type('numbered', 'id', 'bigint', 'other'));
SELECT try('ALTER TABLE numbered ALTER id DROP IDENTITY', true);
SELECT try('ALTER TABLE numbered ALTER other DROP IDENTITY'), try('ALTER TABLE numbered ALTER id SET GENERATED ALWAYS');
CALL migspec_run('pgd_numbered', 'switched');
SELECT try('ALTER TABLE numbered ALTER id DROP IDENTITY');
SELECT migspec_rollback('pgd_numbered');
SELECT try('ALTER TABLE numbered ALTER id DROP IDENTITY');

--
-- Commands that commit on their way
--
\set VERBOSITY terse
CREATE TABLE big (id int PRIMARY KEY, a int, b int);
CREATE INDEX big_a ON big (a);
CREATE INDEX big_b ON big (b);
SELECT migspec_expand('pgd_two', migspec_change_type('big', 'a', 'bigint'));
CREATE INDEX CONCURRENTLY big_new ON big (a);
DROP INDEX CONCURRENTLY big_a;
REINDEX INDEX CONCURRENTLY big_a;
REINDEX TABLE CONCURRENTLY big;
DROP INDEX CONCURRENTLY big_b;
CREATE INDEX CONCURRENTLY big_b ON big (b);
VACUUM FULL big;
CLUSTER big USING big_b;
SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indrelid = 'big'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";

--
-- Nobody but a superuser can override, and that is recorded
--
GRANT USAGE ON SCHEMA pgd, pgt TO pgd_owner;
ALTER TABLE big OWNER TO pgd_owner;
SET ROLE pgd_owner;
SET migspec.phase_guard = off;
ALTER TABLE big DROP COLUMN a CASCADE;
ALTER TABLE big DISABLE TRIGGER USER;
ALTER TABLE big ADD COLUMN c int;
-- who looks like a restore may create what a dump has, but change nothing
BEGIN;
SET LOCAL check_function_bodies = off;
SET LOCAL row_security = off;
SET LOCAL search_path = '';
CREATE INDEX big_restored ON pgd.big (a);
SAVEPOINT s;
ALTER INDEX pgd.big_a RENAME TO x;
ROLLBACK TO s;
ALTER TABLE pgd.big DROP COLUMN a;
ROLLBACK;
RESET ROLE;
SET migspec.phase_guard = off;
ALTER TABLE big ADD COLUMN d int;
SELECT overridden_at FROM migspec.migrations WHERE name = 'pgd_two';
-- undone with its transaction
BEGIN;
ALTER TABLE big DISABLE TRIGGER USER;
SELECT overridden_at IS NOT NULL AS overridden FROM migspec.migrations WHERE name = 'pgd_two';
ROLLBACK;
SELECT overridden_at IS NOT NULL AS overridden FROM migspec.migrations WHERE name = 'pgd_two';
ALTER TABLE big DISABLE TRIGGER USER;
CREATE INDEX big_more ON big (a);
SET migspec.phase_guard = on;
SELECT overridden_at IS NOT NULL AS overridden FROM migspec.migrations WHERE name = 'pgd_two';
SELECT event, detail->>'what' AS what, detail->>'phase' AS phase, by_role = session_user AS by_me
FROM migspec.events WHERE migration = 'pgd_two' AND event LIKE 'phase_guard%' ORDER BY id;
-- what was broken before is nobody's fault now, but nothing more may break
ALTER TABLE big ADD COLUMN e int;
ALTER TABLE big DROP COLUMN a CASCADE;
DROP INDEX big_a;
ALTER TABLE big ENABLE ALWAYS TRIGGER "~migspec_sync";
ALTER TABLE big DISABLE TRIGGER "~migspec_sync";
DROP INDEX big_more;
CALL migspec_run('pgd_two', 'switched');
SELECT migspec_rollback('pgd_two');
\d big

--
-- Partitions come and go
--
CREATE TABLE part (id int, a int, b int) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
CREATE TABLE part_3 (id int NOT NULL, a int, b int);
CREATE INDEX part_a ON part (a);
CREATE INDEX part_2_own ON part_2 (a);
INSERT INTO part SELECT i, i, i FROM generate_series(1, 19) AS i;
SELECT migspec_expand('pgd_part', migspec_rename_column('part', 'a', 'c'));
TRUNCATE statement;
COPY statement (text) FROM stdin;
DROP TABLE part
DROP TABLE part_1
DROP TABLE part_2
ALTER TABLE part DETACH PARTITION part_1
ALTER TABLE part DETACH PARTITION part_2
CREATE TABLE part_4 PARTITION OF part FOR VALUES FROM (30) TO (40)
CREATE TABLE part_4 PARTITION OF part DEFAULT
TRUNCATE part_1
ALTER TABLE part_1 RENAME TO part_x
ALTER TABLE part_2 RENAME TO part_x
ALTER TABLE part_1 DISABLE TRIGGER "~migspec_sync"
ALTER TABLE part_1 DISABLE TRIGGER ALL
ALTER TABLE part_1 DISABLE TRIGGER USER
DROP TRIGGER "~migspec_sync" ON part_1
CREATE TRIGGER "~z" BEFORE INSERT ON part_1 FOR EACH ROW EXECUTE FUNCTION pgt.stamp()
DROP INDEX part_a
DROP INDEX part_2_own
ALTER INDEX part_2_own RENAME TO x
CREATE INDEX ON part (a)
CREATE INDEX ON part_1 (a)
CREATE VIEW part_view AS SELECT a FROM part_1
ALTER TABLE part_1 ALTER a SET DEFAULT 3
ALTER TABLE part_1 ADD CHECK (a > 0)
ALTER TABLE part RENAME a TO x
ALTER TABLE ONLY part ALTER a SET NOT NULL
ALTER TABLE part ADD COLUMN d int
CREATE INDEX ON part (b)
CREATE INDEX ON part_1 (b)
\.
SELECT text, try(text) FROM statement ORDER BY no;
ALTER TABLE part_3 ADD COLUMN c int;
ALTER TABLE part ATTACH PARTITION part_3 FOR VALUES FROM (20) TO (30);
ALTER TABLE part_3 DISABLE TRIGGER ALL;
ALTER TABLE part DETACH PARTITION part_3;
SELECT migspec_rollback('pgd_part');

--
-- The extension goes all the same
--
CREATE TABLE one (id int, a int);
CREATE TABLE two (id int, a int);
SELECT migspec_expand('pgd_1', migspec_rename_column('one', 'a', 'b'));
SELECT migspec_expand('pgd_2', migspec_rename_column('two', 'a', 'b'));
BEGIN;
SET LOCAL migspec.phase_guard = off;
SET LOCAL client_min_messages = error;
DROP EXTENSION migspec CASCADE;
SELECT tgname FROM pg_trigger WHERE tgrelid IN ('one'::regclass, 'two'::regclass);
ROLLBACK;
DROP EXTENSION migspec CASCADE;
SELECT migspec_rollback('pgd_1');
SELECT migspec_rollback('pgd_2');

SET client_min_messages = error;
DROP SCHEMA pgd CASCADE;
DROP SCHEMA pgt CASCADE;
DROP PUBLICATION IF EXISTS item_pub;
DROP OWNED BY pgd_owner CASCADE;
DROP ROLE pgd_owner;
