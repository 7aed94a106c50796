--
-- Partitions that come and go while a migration runs
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
-- what the phase guard refuses, a superuser can do all the same
SET migspec.phase_guard = off;
CREATE SCHEMA "part change";
SET search_path = "part change", public;
\set VERBOSITY terse
\set SHOW_CONTEXT never

-- What a partition looks like, but for names that the server made up for it
CREATE FUNCTION look(part regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(line, E'\n' ORDER BY line COLLATE "C") FROM (
		SELECT format('column %I %s %s %s', attname, format_type(atttypid, atttypmod),
			CASE WHEN attnotnull THEN 'not null' END, pg_get_expr(adbin, adrelid))
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = part AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX .* USING', 'INDEX USING')
			|| CASE WHEN indisprimary THEN ' primary' ELSE '' END
			|| CASE WHEN indisvalid AND relispartition THEN ' attached' ELSE ' on its own' END
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = part
		UNION ALL SELECT format('constraint %s %s', CASE WHEN contype IN ('c', 'n') THEN conname END,
			pg_get_constraintdef(oid))
		FROM pg_constraint WHERE conrelid = part
		UNION ALL SELECT 'trigger ' || tgname FROM pg_trigger WHERE tgrelid = part AND NOT tgisinternal
	) AS lines (line)
$$;
-- without those that only version 18 has
CREATE FUNCTION shown(look text) RETURNS text LANGUAGE sql
	RETURN regexp_replace(look, E'\nconstraint [^\n]* NOT NULL [^\n]*', '', 'g');
-- Ours that is left, but on tables that were detached
CREATE FUNCTION leftovers() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT format('relation %s', relname) FROM pg_class WHERE relname ~ '_migspec_'
		AND relnamespace = '"part change"'::regnamespace
		AND oid NOT IN (SELECT indexrelid FROM pg_index WHERE indrelid::regclass::text ~ 'away')
	UNION ALL SELECT format('column %s of %s', attname, attrelid::regclass) FROM pg_attribute
		WHERE attname ~ '_migspec_' AND attrelid IN (SELECT oid FROM pg_class
			WHERE relkind IN ('r', 'p') AND relnamespace = '"part change"'::regnamespace AND relname !~ 'away')
	UNION ALL SELECT format('constraint %s of %s', conname, conrelid::regclass) FROM pg_constraint
		WHERE conname ~ '_migspec_' AND conrelid::regclass::text !~ 'away'
			AND connamespace = '"part change"'::regnamespace
$$;
CREATE FUNCTION agree(m regclass) RETURNS TABLE (parts bigint, looks bigint) LANGUAGE sql AS $$
	SELECT count(*), count(DISTINCT look(relid)) FROM pg_partition_tree(m) WHERE isleaf
$$;
CREATE FUNCTION fill(tab text, first int, last int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('INSERT INTO %s (id, v) SELECT i, i + 1 FROM generate_series(%s, %s) AS i', tab, first, last);
END $$;

--
-- A type change and a rename, all the way
--
CREATE TABLE m (id int, v int NOT NULL DEFAULT 7 CHECK (v > 0), w text DEFAULT 'w', u int DEFAULT 1,
	PRIMARY KEY (id, v), CHECK (w <> u::text)) PARTITION BY RANGE (id);
CREATE INDEX m_v ON m (v, w);
CREATE INDEX m_half ON m ((w || 'x')) WHERE v > 10;
ALTER INDEX m_half ALTER COLUMN 1 SET STATISTICS 50;
CREATE UNIQUE INDEX m_u ON m (id, w);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (100);
CREATE TABLE m_2_away PARTITION OF m FOR VALUES FROM (100) TO (200);
CREATE TABLE m_3 PARTITION OF m FOR VALUES FROM (200) TO (300);
-- things of their own
CREATE INDEX m_1_own ON m_1 (v);
CREATE INDEX m_2_own ON m_2_away (w);
ALTER TABLE m_1 ALTER w SET DEFAULT 'own';
ALTER TABLE m_2_away ADD CHECK (v < 1000), ALTER v SET DEFAULT 8;
CREATE STATISTICS m_1_stat ON v, w FROM m_1;
COMMENT ON COLUMN m_1.v IS 'own';
SELECT fill('m', 0, 299);
SELECT count(*) > 0 FROM migspec_plan('part_come', migspec_change_type('m', 'v', 'bigint') || migspec_rename_column('m', 'w', 'x'));
-- not one that the plan does not know
CREATE TABLE m_4 PARTITION OF m FOR VALUES FROM (300) TO (400);
SELECT migspec_expand('part_come');
DROP TABLE m_4;
SELECT migspec_expand('part_come');
CREATE TABLE m_4 PARTITION OF m FOR VALUES FROM (300) TO (400);
SELECT fill('m', 300, 399);
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'm_4'::regclass AND tgname = '~migspec_sync';
SELECT migspec_migrate('part_come');
SELECT migspec_wait('part_come', 'migrated', '60 s');
CREATE TABLE m_5 PARTITION OF m FOR VALUES FROM (400) TO (500);
SELECT fill('m', 400, 499);
DROP TABLE m_1;
ALTER TABLE m DETACH PARTITION m_2_away;
SELECT "check", ok, regexp_replace(detail, ' of [0-9]+ (built|validated)', '') FROM migspec_verify('part_come');
CREATE TABLE m_6 PARTITION OF m FOR VALUES FROM (500) TO (600);
SELECT migspec_switch('part_come');
CREATE TABLE m_7 PARTITION OF m FOR VALUES FROM (600) TO (700);
INSERT INTO m (id, v) VALUES (550, 1), (650, 1);
INSERT INTO m (id) VALUES (551), (651);
SELECT id, v, w, x, pg_typeof(v) FROM m WHERE id >= 500 ORDER BY id;
DROP TABLE m_3;
SELECT agree('m');
SELECT migspec_contract('part_come');
CREATE TABLE m_8 PARTITION OF m FOR VALUES FROM (700) TO (800);
INSERT INTO m (id) VALUES (750);
-- steps for what has gone were left out
SELECT phase, count(*) > 0 AS skipped FROM migspec.steps WHERE migration = 'part_come' AND skipped GROUP BY 1 ORDER BY 1;
SELECT DISTINCT detail ->> 'reason' AS reason FROM migspec.events WHERE migration = 'part_come' AND event = 'step_skipped';
SET client_min_messages = notice;
SELECT migspec_finish('part_come');
SET client_min_messages = warning;
SELECT regexp_replace(detail ->> 'statement', '_migspec_[0-9]+', '_migspec_N', 'g') AS statement FROM migspec.events
	WHERE migration = 'part_come' AND event = 'detached_partition';
CREATE TABLE m_9 PARTITION OF m FOR VALUES FROM (800) TO (900);
SELECT agree('m');
SELECT shown(look('m_9'));
SELECT * FROM leftovers();
SELECT count(*), sum(v), count(x) FROM m;
-- the detached one, after what it was told
SELECT detail ->> 'statement' AS statement FROM migspec.events
	WHERE migration = 'part_come' AND event = 'detached_partition' \gset
:statement;
SELECT look('m_2_away') !~ 'migspec' AS clean;
DROP TABLE m, m_2_away;

--
-- And back, from each phase, with partitions that come and go before and after;
-- two levels, quoted names, another order of columns
--
CREATE FUNCTION make() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	CREATE TABLE "M m" (id int, "V v" int NOT NULL DEFAULT 7 CONSTRAINT positive CHECK ("V v" > 0), w text DEFAULT 'w', v int,
		UNIQUE (id, "V v")) PARTITION BY RANGE (id);
	CREATE INDEX "I v" ON "M m" ("V v", w);
	CREATE TABLE "M 1" PARTITION OF "M m" FOR VALUES FROM (0) TO (100);
	CREATE TABLE "M 2 away" (gone int, v int, w text DEFAULT 'other', "V v" int NOT NULL DEFAULT 7 CONSTRAINT positive CHECK ("V v" > 0), id int);
	ALTER TABLE "M 2 away" DROP gone;
	ALTER TABLE "M m" ATTACH PARTITION "M 2 away" FOR VALUES FROM (100) TO (200);
	CREATE TABLE "M 3" PARTITION OF "M m" FOR VALUES FROM (200) TO (300);
	CREATE TABLE "M s" PARTITION OF "M m" FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id);
	CREATE TABLE "M s 1" PARTITION OF "M s" FOR VALUES FROM (1000) TO (1100);
	CREATE TABLE "M s 2" PARTITION OF "M s" FOR VALUES FROM (1100) TO (1200);
	ALTER TABLE ONLY "M s" ALTER w SET DEFAULT 'sub';
	ALTER TABLE "M s 2" ALTER w SET DEFAULT 'sub';
	INSERT INTO "M m" (id, "V v") SELECT i, i + 1 FROM generate_series(0, 299, 7) AS i;
	INSERT INTO "M m" (id, "V v") SELECT i, i + 1 FROM generate_series(1000, 1199, 7) AS i;
END $$;
-- partitions come: one of the root, one of the sub-root, and a new sub-root
CREATE FUNCTION come(n int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I PARTITION OF "M m" FOR VALUES FROM (%s) TO (%s)', 'new ' || n, 2000 + n * 10, 2010 + n * 10);
	EXECUTE format('CREATE TABLE %I PARTITION OF "M s" FOR VALUES FROM (%s) TO (%s)', 'new s ' || n, 1200 + n * 10, 1210 + n * 10);
	EXECUTE format('CREATE TABLE %I PARTITION OF "M m" FOR VALUES FROM (%s) TO (%s) PARTITION BY RANGE (id)',
		'new t ' || n, 3000 + n * 10, 3010 + n * 10);
	EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)',
		'new t ' || n || ' 1', 'new t ' || n, 3000 + n * 10, 3005 + n * 10);
	EXECUTE format('INSERT INTO "M m" (id, "V v") VALUES (%s, 1), (%s, 2), (%s, 3)', 2000 + n * 10, 1200 + n * 10, 3000 + n * 10);
	EXECUTE format('INSERT INTO "M m" (id) VALUES (%s), (%s), (%s)', 2001 + n * 10, 1201 + n * 10, 3001 + n * 10);
END $$;
SELECT make();
SELECT look('"M 1"') AS before_1, look('"M 3"') AS before_3, look('"M s 1"') AS before_s_1, look('"M s 2"') AS before_s_2 \gset
CREATE FUNCTION operations() RETURNS jsonb LANGUAGE sql RETURN
	migspec_change_type('"M m"', 'V v', 'bigint') || migspec_rename_column('"M m"', 'w', 'X x')
	|| migspec_add_column('"M m"', 'z', 'int', 'id + 1');

-- expanded
SELECT migspec_expand('part_back_1', operations());
SELECT come(1);
DROP TABLE "M s 1";
ALTER TABLE "M m" DETACH PARTITION "M 2 away";
SELECT migspec_rollback('part_back_1');
SELECT look('"M 1"') = :'before_1' AS m_1, look('"M 3"') = :'before_3' AS m_3, look('"M s 2"') = :'before_s_2' AS m_s_2;
SELECT * FROM leftovers();
SELECT come(2);
SELECT relid FROM pg_partition_tree('"M m"') WHERE isleaf AND look(relid) NOT IN (look('"new 2"'), look('"new s 2"'));
SELECT (SELECT sum("V v") FROM "M m"), (SELECT string_agg(DISTINCT w, ',' ORDER BY w) FROM "M m");
DROP TABLE "M m", "M 2 away";

-- migrated
SELECT make();
SELECT migspec_expand('part_back_2', operations());
SELECT come(1);
DROP TABLE "M s 1";
CALL migspec_run('part_back_2', 'migrated');
SELECT come(2);
ALTER TABLE "M m" DETACH PARTITION "M 2 away";
DROP TABLE "new 1";
SELECT migspec_rollback('part_back_2');
SELECT look('"M 1"') = :'before_1' AS m_1, look('"M 3"') = :'before_3' AS m_3, look('"M s 2"') = :'before_s_2' AS m_s_2;
SELECT * FROM leftovers();
SELECT come(3);
SELECT relid FROM pg_partition_tree('"M m"') WHERE isleaf AND look(relid) NOT IN (look('"new 3"'), look('"new s 3"'));
SELECT regexp_replace(detail ->> 'statement', '_migspec_[0-9]+', '_migspec_N', 'g') AS statement FROM migspec.events
	WHERE migration = 'part_back_2' AND event = 'detached_partition';
DROP TABLE "M m", "M 2 away";

-- switched; the whole sub-tree goes
SELECT make();
SELECT migspec_expand('part_back_3', operations());
DROP TABLE "M s";
CALL migspec_run('part_back_3', 'verified');
SELECT "check", ok FROM migspec_verify('part_back_3') WHERE NOT ok;
CREATE TABLE "M s" PARTITION OF "M m" FOR VALUES FROM (1000) TO (2000) PARTITION BY RANGE (id);
SELECT come(1);
SELECT migspec_switch('part_back_3');
SELECT come(2);
DROP TABLE "M 1";
ALTER TABLE "M m" DETACH PARTITION "M 2 away";
SELECT count(DISTINCT look(relid)) FROM pg_partition_tree('"M m"') WHERE isleaf;
SELECT migspec_rollback('part_back_3');
SELECT look('"M 3"') = :'before_3' AS m_3;
SELECT * FROM leftovers();
SELECT come(3);
SELECT agree('"M m"');
DROP TABLE "M m", "M 2 away";

-- contracted; and then the whole way, after which it is planned again
SELECT make();
SELECT migspec_expand('part_back_4', operations());
SELECT come(1);
CALL migspec_run('part_back_4', 'switched');
SELECT come(2);
DROP TABLE "M 1", "new s 1";
CALL migspec_run('part_back_4', 'contracted');
DROP TABLE "M 2 away", "M s 2";
SELECT come(3);
SELECT migspec_rollback('part_back_4');
SELECT look('"M 3"') = :'before_3' AS m_3, look('"M s 1"') = :'before_s_1' AS m_s_1;
SELECT * FROM leftovers();
SELECT come(4);
SELECT relid FROM pg_partition_tree('"M m"') WHERE isleaf AND look(relid) NOT IN (look('"new 4"'), look('"new s 4"'));
SELECT migspec_expand('part_back_4', operations());
CALL migspec_run('part_back_4', 'finished');
SELECT come(5);
SELECT relid FROM pg_partition_tree('"M m"') WHERE isleaf AND look(relid) NOT IN (look('"new 5"'), look('"new s 5"'));
SELECT shown(look('"M 3"'));
SELECT * FROM leftovers();
DROP TABLE "M m";

--
-- Attached, detached and attached again
--
CREATE TABLE m (id int, v int NOT NULL DEFAULT 7 CHECK (v > 0), UNIQUE (id, v)) PARTITION BY RANGE (id);
CREATE INDEX m_v ON m (v);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (100);
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (100) TO (200);
CREATE TABLE m_3_own PARTITION OF m FOR VALUES FROM (200) TO (300);
CREATE INDEX ON m_3_own (v DESC);
SELECT fill('m', 0, 299);
SELECT migspec_expand('part_again', migspec_change_type('m', 'v', 'bigint'));
-- nobody notices this one; the server has built its index by now
ALTER TABLE m DETACH PARTITION m_1;
ALTER TABLE m ATTACH PARTITION m_1 FOR VALUES FROM (0) TO (100);
-- as the README says, with everything that m has
CREATE TABLE m_4 (LIKE m INCLUDING ALL);
INSERT INTO m_4 (id, v) VALUES (301, 301);
ALTER TABLE m ATTACH PARTITION m_4 FOR VALUES FROM (300) TO (400);
-- without
CREATE TABLE m_5 (id int, v int NOT NULL DEFAULT 7 CHECK (v > 0));
\set VERBOSITY sqlstate
ALTER TABLE m ATTACH PARTITION m_5 FOR VALUES FROM (400) TO (500);
\set VERBOSITY terse
-- noticed, by the worker
ALTER TABLE m DETACH PARTITION m_3_own;
CALL migspec_run('part_again', 'verified');
SELECT count(*) FROM pg_index WHERE indrelid = 'm_1'::regclass;
CREATE TABLE m_6 (LIKE m INCLUDING ALL);
ALTER TABLE m ATTACH PARTITION m_6 FOR VALUES FROM (500) TO (600);
SELECT count(DISTINCT look(relid)) FROM pg_partition_tree('m') WHERE isleaf;
-- a default of its own that nobody has planned for
ALTER TABLE m_6 ALTER v SET DEFAULT 9;
SELECT migspec_switch('part_again');
ALTER TABLE m_6 ALTER v SET DEFAULT 7;
SELECT migspec_switch('part_again');
INSERT INTO m (id) VALUES (550), (350), (50);
CREATE TABLE m_7 (LIKE m INCLUDING ALL);
ALTER TABLE m ATTACH PARTITION m_7 FOR VALUES FROM (600) TO (700);
CALL migspec_run('part_again', 'finished');
SELECT agree('m');
SELECT shown(look('m_1'));
SELECT * FROM leftovers() WHERE leftovers !~ 'm_3_own';
SELECT count(*), sum(v) FROM m;
DROP TABLE m, m_3_own, m_5;

-- Back before the switch, although it came back
CREATE TABLE m (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (100);
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (100) TO (200);
CREATE INDEX m_1_own ON m_1 (v);
SELECT migspec_expand('part_back_again', migspec_change_type('m', 'v', 'bigint'));
ALTER TABLE m DETACH PARTITION m_1;
CALL migspec_run('part_back_again', 'migrated');
ALTER TABLE m ATTACH PARTITION m_1 FOR VALUES FROM (0) TO (100);
CALL migspec_run('part_back_again', 'verified');
SELECT migspec_switch('part_back_again');
DROP INDEX m_1_own;
SELECT migspec_switch('part_back_again');
SELECT migspec_rollback('part_back_again');
SELECT * FROM leftovers();
-- noticed when half of its steps were done: the worker is stopped by rows that
-- do not satisfy the constraint
CREATE INDEX m_1_own ON m_1 (v);
ALTER TABLE m_1 ADD CHECK (v > 0);
INSERT INTO m VALUES (1, 1);
SELECT migspec_expand('part_half', migspec_change_type('m', 'v', 'bigint', 'v - 1', 'v + 1'));
SELECT migspec_migrate('part_half');
SELECT migspec_wait('part_half', 'migrated', '3 s');
ALTER TABLE m DETACH PARTITION m_1;
SELECT migspec_resume('part_half');
SELECT migspec_wait('part_half', 'migrated', '60 s');
ALTER TABLE m ATTACH PARTITION m_1 FOR VALUES FROM (0) TO (100);
CALL migspec_run('part_half', 'verified');
SELECT migspec_switch('part_half');
SELECT migspec_rollback('part_half');
SELECT * FROM leftovers();
DROP TABLE m;

--
-- What is told about those that were detached: after the switch the old column
-- is the one too many, and a sub-tree is told once
--
CREATE TABLE m (id int, w text NOT NULL, v int) PARTITION BY RANGE (id);
CREATE INDEX ON m (w);
CREATE TABLE m_1_away PARTITION OF m FOR VALUES FROM (0) TO (100);
CREATE TABLE m_2_away PARTITION OF m FOR VALUES FROM (100) TO (200) PARTITION BY RANGE (id);
CREATE TABLE m_2_away_1 PARTITION OF m_2_away FOR VALUES FROM (100) TO (200);
CREATE TABLE m_3 PARTITION OF m FOR VALUES FROM (200) TO (300);
SELECT migspec_expand('part_told', migspec_rename_column('m', 'w', 'x') || migspec_change_type('m', 'v', 'bigint'));
CALL migspec_run('part_told', 'migrated');
ALTER TABLE m DETACH PARTITION m_2_away;
CALL migspec_run('part_told', 'switched');
ALTER TABLE m DETACH PARTITION m_1_away;
CALL migspec_run('part_told', 'finished');
SELECT regexp_replace(detail ->> 'statement', '_migspec_[0-9]+', '_migspec_N', 'g') AS statement FROM migspec.events
	WHERE migration = 'part_told' AND event = 'detached_partition' ORDER BY 1;
\set ECHO none
SELECT detail ->> 'statement' FROM migspec.events WHERE migration = 'part_told' AND event = 'detached_partition' \gexec
\set ECHO all
SELECT shown(look('m_1_away')) AS m_1, shown(look('m_2_away_1')) AS m_2;
SELECT agree('m');
DROP TABLE m, m_1_away, m_2_away;

--
-- Foreign keys that refer to the table, and an identity column
--
CREATE TABLE m (id int, v int GENERATED BY DEFAULT AS IDENTITY, UNIQUE (id, v)) PARTITION BY RANGE (id);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (100);
CREATE TABLE r (id int, v int, CONSTRAINT r_m FOREIGN KEY (id, v) REFERENCES m (id, v) ON DELETE CASCADE);
CREATE TABLE r_gone (id int, v int, FOREIGN KEY (id, v) REFERENCES m (id, v));
INSERT INTO m (id) VALUES (1), (2);
INSERT INTO r SELECT * FROM m;
SELECT migspec_expand('part_fk', migspec_change_type('m', 'v', 'bigint') || migspec_change_type('r', 'v', 'bigint'));
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (100) TO (200);
SET client_min_messages = error;
DROP TABLE r_gone;
SET client_min_messages = warning;
CALL migspec_run('part_fk', 'migrated');
CREATE TABLE m_3 PARTITION OF m FOR VALUES FROM (200) TO (300);
CALL migspec_run('part_fk', 'switched');
CREATE TABLE m_4 PARTITION OF m FOR VALUES FROM (300) TO (400);
INSERT INTO m (id) VALUES (150), (250), (350);
INSERT INTO r SELECT * FROM m WHERE id > 100;
INSERT INTO r VALUES (350, 1000);
DELETE FROM m WHERE id = 150;
SELECT id, v FROM r ORDER BY id;
SELECT DISTINCT detail ->> 'reason' AS reason FROM migspec.events WHERE migration = 'part_fk' AND event = 'step_skipped';
SELECT migspec_rollback('part_fk');
INSERT INTO m (id) VALUES (151), (251), (351);
INSERT INTO r VALUES (350, 1000);
SELECT conname, conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
	WHERE contype = 'f' AND connamespace = '"part change"'::regnamespace AND conparentid = 0 ORDER BY 1;
SELECT * FROM leftovers();
CREATE TABLE r_gone (id int, v int, FOREIGN KEY (id, v) REFERENCES m (id, v));
SELECT migspec_expand('part_fk', migspec_change_type('m', 'v', 'bigint') || migspec_change_type('r', 'v', 'bigint'));
CREATE TABLE m_5 PARTITION OF m FOR VALUES FROM (400) TO (500);
CALL migspec_run('part_fk', 'contracted');
CREATE TABLE m_6 PARTITION OF m FOR VALUES FROM (500) TO (600);
SET client_min_messages = error;
DROP TABLE r_gone;
SET client_min_messages = warning;
CALL migspec_run('part_fk', 'finished');
INSERT INTO m (id) VALUES (450), (550) RETURNING *;
INSERT INTO r VALUES (550, 1000);
SELECT agree('m');
SELECT * FROM leftovers();
DROP TABLE m, r;

--
-- What bears a name like ours on other tables is none of our business
--
CREATE TABLE m (id int, v int);
SELECT migspec_expand('part_names', migspec_change_type('m', 'v', 'bigint'));
SELECT format('_migspec_%s_', o.id) AS hidden, format('other_r__migspec_%s__fkey', o.id) AS generated FROM migspec.operation AS o
	JOIN migspec.migration AS m ON m.id = o.migration_id WHERE m.name = 'part_names' \gset
CREATE TABLE other (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE other_1 PARTITION OF other FOR VALUES FROM (0) TO (100);
CREATE TABLE other_r (:hidden int REFERENCES other) PARTITION BY RANGE (:hidden);
CREATE TABLE other_r_1 PARTITION OF other_r FOR VALUES FROM (0) TO (100);
ALTER TABLE other_r_1 RENAME CONSTRAINT :generated TO :hidden;
SELECT migspec_rollback('part_names');
SELECT count(*) FROM pg_constraint WHERE conrelid = 'other_r_1'::regclass AND conname = :'hidden';
DROP TABLE m, other_r, other;

DROP SCHEMA "part change" CASCADE;
