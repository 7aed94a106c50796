--
-- Partitioned tables
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA part;
SET search_path = part, public;
\set VERBOSITY terse
\set SHOW_CONTEXT never

CREATE TABLE m (id int NOT NULL, region text NOT NULL, content text DEFAULT 'empty', n int)
	PARTITION BY LIST (region);
CREATE TABLE m_eu PARTITION OF m FOR VALUES IN ('eu');
-- other orders of columns, other columns dropped
CREATE TABLE m_us (n int, gone text, content text, region text NOT NULL, id int NOT NULL);
ALTER TABLE m_us DROP gone;
ALTER TABLE m ATTACH PARTITION m_us FOR VALUES IN ('us');
-- and one more level
CREATE TABLE m_rest (gone int, region text NOT NULL, id int NOT NULL, n int, content text)
	PARTITION BY RANGE (id);
ALTER TABLE m_rest DROP gone;
ALTER TABLE m ATTACH PARTITION m_rest DEFAULT;
CREATE TABLE m_rest_1 (content text, n int, id int NOT NULL, region text NOT NULL);
ALTER TABLE m_rest ATTACH PARTITION m_rest_1 FOR VALUES FROM (0) TO (1000);
CREATE TABLE m_rest_2 PARTITION OF m_rest FOR VALUES FROM (1000) TO (2000);
INSERT INTO m VALUES (1, 'eu', 'one', 1), (2, 'us', 'two', 2), (3, 'asia', 'three', 3),
	(1004, 'asia', 'four', 4), (5, 'eu', NULL, 5);
PREPARE ins(int, text, text) AS INSERT INTO m (id, region, content) VALUES ($1, $2, $3);
PREPARE upd(int, text) AS UPDATE m SET content = $2 WHERE id = $1;
PREPARE move(int, text) AS UPDATE m SET region = $2 WHERE id = $1;
SET plan_cache_mode = force_generic_plan;
EXECUTE ins(6, 'us', 'six');
EXECUTE upd(6, 'SIX');
EXECUTE move(6, 'eu');
CREATE TEMP TABLE before AS
	SELECT attrelid::regclass::text AS rel, attname, attnum FROM pg_attribute
	WHERE attrelid IN (SELECT relid FROM pg_partition_tree('m')) AND attnum > 0 AND NOT attisdropped;

--
-- Rename, and a change of type
--
SELECT count(*) > 0 FROM migspec_plan('part', '[
	{"rename_column": {"table": "m", "from": "content", "to": "content_text"}},
	{"alter_column": {"table": "m", "column": "n", "type": "text",
		"up": "''n'' || n::text", "down": "substr(n, 2)::int"}}]');
SELECT migspec_expand('part');
SELECT new_column AS new FROM migspec.operation o JOIN migspec.migration m ON m.id = migration_id
	WHERE m.name = 'part' AND o.ordinal = 2 \gset
SELECT tgrelid::regclass, tgenabled FROM pg_trigger WHERE tgfoid = 'migspec.sync'::regproc ORDER BY 1;
EXECUTE ins(7, 'us', 'seven');
EXECUTE ins(8, 'asia', 'eight');
EXECUTE upd(7, 'SEVEN');
EXECUTE upd(1004, 'FOUR');
EXECUTE move(7, 'eu');
-- a row that the backfill has not seen, into another partition
EXECUTE move(2, 'asia');
EXECUTE move(3, 'eu');
UPDATE m SET id = 1005, content_text = 'five' WHERE id = 5;
UPDATE m SET region = 'asia', n = 55 WHERE id = 1005;
UPDATE m SET region = 'us', :"new" = 'n66' WHERE id = 6;
UPDATE m SET id = 6006 % 1000 + 1000, content_text = NULL, region = 'x' WHERE id = 6;
SELECT tableoid::regclass AS rel, id, region, content, content_text, n, :"new" AS new FROM m ORDER BY id;
-- written through the root, and to the leaves
INSERT INTO m (id, region, content_text, n) VALUES (20, 'eu', 'new', 20), (21, 'us', 'new', 21), (22, 'y', 'new', 22);
INSERT INTO m (id, region, content, :"new") VALUES (23, 'us', 'old', 'n23');
INSERT INTO m_us (id, region, content) VALUES (24, 'us', 'leaf');
INSERT INTO m_us (id, region, content_text, n) VALUES (25, 'us', 'leaf', 25);
INSERT INTO m_rest (id, region, content) VALUES (26, 'y', 'middle');
INSERT INTO m_rest_1 VALUES ('positional', 27, 27, 'y');
INSERT INTO m (id, region) VALUES (28, 'us');
INSERT INTO m_us (id, region) VALUES (29, 'us');
COPY m (id, region, content) FROM STDIN;
30	eu	copied
31	us	copied
32	y	copied
\.
COPY m_us (content_text, region, id) FROM STDIN;
copied	us	33
\.
UPDATE m_us SET content = 'LEAF' WHERE id = 25;
UPDATE m SET content_text = content_text || '!' WHERE id IN (20, 21, 22);
MERGE INTO m USING (VALUES (20, 'us', 'merged'), (34, 'us', 'merged'), (35, 'y', 'merged')) AS v (id, region, c) ON m.id = v.id
	WHEN MATCHED THEN UPDATE SET content = v.c, region = v.region
	WHEN NOT MATCHED AND v.id = 34 THEN INSERT (id, region, content_text) VALUES (v.id, v.region, v.c)
	WHEN NOT MATCHED THEN INSERT (id, region, content) VALUES (v.id, v.region, v.c);
SELECT tableoid::regclass AS rel, id, content, content_text, n, :"new" AS new FROM m WHERE id BETWEEN 20 AND 40 ORDER BY id;
WITH moved AS (UPDATE m SET region = 'us', content_text = 'moved' WHERE id = 20 RETURNING id, content)
	INSERT INTO m (id, region, content) SELECT id + 20, 'eu', content FROM moved;
SELECT tableoid::regclass AS rel, id, content, content_text FROM m WHERE id IN (20, 40) ORDER BY id;

-- New partitions
CREATE TABLE m_new PARTITION OF m FOR VALUES IN ('new');
INSERT INTO m (id, region, content) VALUES (50, 'new', 'fifty');
INSERT INTO m_new (id, region, content_text) VALUES (51, 'new', 'fifty-one');
SELECT id, content, content_text FROM m_new ORDER BY id;
SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'm_new'::regclass;
DROP TABLE m_new;

SELECT migspec_migrate('part');
SELECT migspec_wait('part', 'migrated', '60 s');
SELECT * FROM migspec_verify('part');
SELECT tableoid::regclass AS rel, id, region, content, content_text, n, :"new" AS new FROM m WHERE id <= 5 OR id >= 1000 ORDER BY id;
SELECT count(*) FROM m WHERE content IS DISTINCT FROM content_text;
SELECT migspec_switch('part');
EXECUTE ins(60, 'us', 'switched');
EXECUTE move(60, 'y');
EXECUTE move(1, 'us');
INSERT INTO m (id, region) VALUES (61, 'us');
INSERT INTO m (id, region, n) VALUES (62, 'us', 'n62');
SELECT tableoid::regclass AS rel, id, content, content_text, n FROM m WHERE id IN (1, 60, 61, 62) ORDER BY id;
SELECT count(*) FROM m WHERE content IS DISTINCT FROM content_text;
SELECT migspec_contract('part');
INSERT INTO m (id, region, content_text, n) VALUES (63, 'y', 'contracted', 'n63');
UPDATE m SET region = 'us' WHERE id = 63;
SELECT migspec_rollback('part');
SELECT * FROM m WHERE id >= 60 ORDER BY id;
-- the same columns at the same places
SELECT attrelid::regclass::text AS rel, attname, attnum FROM pg_attribute
	WHERE attrelid IN (SELECT relid FROM pg_partition_tree('m'))
		AND attnum > 0 AND NOT attisdropped
EXCEPT SELECT * FROM before;
SELECT tgrelid::regclass FROM pg_trigger WHERE tgrelid IN (SELECT relid FROM pg_partition_tree('m'));

-- The whole way
SELECT migspec_expand('part', migspec_rename_column('m', 'content', 'content_text') ||
	migspec_change_type('m', 'n', 'bigint'));
SELECT migspec_migrate('part');
SELECT migspec_wait('part', 'migrated', '60 s');
SELECT bool_and(ok) FROM migspec_verify('part');
SELECT migspec_switch('part');
SELECT migspec_contract('part');
SELECT migspec_finish('part');
\d m
\d m_us
SELECT count(*), sum(n), md5(string_agg(content_text, ',' ORDER BY id)) FROM m;
DEALLOCATE ALL;
RESET plan_cache_mode;
DROP TABLE m;

--
-- Sub-queries and functions see the partition's row as the table's
--
CREATE TABLE m (id int, k int, v text) PARTITION BY RANGE (id);
CREATE TABLE m_1 (v text, gone int, k int, id int);
ALTER TABLE m_1 DROP gone;
ALTER TABLE m ATTACH PARTITION m_1 FOR VALUES FROM (0) TO (100);
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (100) TO (200);
CREATE TABLE names (k int, name text);
INSERT INTO names VALUES (1, 'one'), (2, 'two');
INSERT INTO m VALUES (1, 1, 'a'), (101, 2, 'b');
SELECT migspec_expand('part_query', migspec_add_column('m', 'full_name', 'text',
	'(SELECT name || v || id FROM names n WHERE n.k = m.k)'));
INSERT INTO m VALUES (2, 2, 'c'), (102, 1, 'd');
UPDATE m SET id = id + 100 WHERE id = 2;
UPDATE m SET k = 2 WHERE id = 1;
SELECT migspec_migrate('part_query');
SELECT migspec_wait('part_query', 'migrated', '60 s');
SELECT tableoid::regclass, id, k, v, full_name FROM m ORDER BY id, k;
SELECT bool_and(ok) FROM migspec_verify('part_query');
SELECT migspec_rollback('part_query');
DROP TABLE m, names;

--
-- A partition that is attached while a migration runs brings rows that nobody
-- has synchronised; verify finds them, if the backfill has not
--
CREATE TABLE m (id int, v int) PARTITION BY RANGE (id);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (100);
INSERT INTO m VALUES (1, 1);
SELECT migspec_expand('part_attach', migspec_rename_column('m', 'v', 'w'));
CREATE TABLE m_2 (id int, w int, v int);
INSERT INTO m_2 VALUES (101, NULL, 101);
ALTER TABLE m ATTACH PARTITION m_2 FOR VALUES FROM (100) TO (200);
SELECT migspec_migrate('part_attach');
SELECT migspec_wait('part_attach', 'migrated', '60 s');
SELECT * FROM m ORDER BY id;
CREATE TABLE m_3 (id int, w int, v int);
INSERT INTO m_3 VALUES (201, NULL, 201);
ALTER TABLE m ATTACH PARTITION m_3 FOR VALUES FROM (200) TO (300);
SELECT * FROM migspec_verify('part_attach');
SELECT relation, old_value, new_value, expected FROM migspec.difference d
	JOIN migspec.migration mi ON mi.id = migration_id WHERE mi.name = 'part_attach';
UPDATE m SET v = v WHERE id = 201 RETURNING *;
SELECT "check", ok FROM migspec_verify('part_attach');
-- detached, it stays as it is
ALTER TABLE m DETACH PARTITION m_3;
SELECT migspec_switch('part_attach');
INSERT INTO m (id, v) VALUES (102, 102) RETURNING *;
SELECT migspec_contract('part_attach');
SELECT migspec_finish('part_attach');
SELECT * FROM m ORDER BY id;
DROP TABLE m, m_3;

--
-- Indexes and constraints of partitioned tables
--
CREATE TABLE m (id int, v int, w text NOT NULL DEFAULT 'w', PRIMARY KEY (id), CHECK (v > 0)) PARTITION BY RANGE (id);
CREATE TABLE m_1 PARTITION OF m FOR VALUES FROM (0) TO (100);
CREATE TABLE m_2 PARTITION OF m FOR VALUES FROM (100) TO (200);
CREATE INDEX m_v ON m (v, w);
CREATE UNIQUE INDEX ON m (id, v);
CREATE INDEX only_m_2 ON m_2 (w);
INSERT INTO m SELECT i, i + 1 FROM generate_series(0, 199, 20) AS i;
SELECT migspec_expand('part_index', migspec_change_type('m', 'v', 'bigint') || migspec_rename_column('m', 'w', 'x'));
CALL migspec_run('part_index', 'switched');
CREATE TABLE m_3 PARTITION OF m FOR VALUES FROM (200) TO (300);
INSERT INTO m (id, v) VALUES (201, 1);
INSERT INTO m (id, v) VALUES (202, 0);
SELECT tableoid::regclass, id, v, w, x FROM m WHERE id >= 180 ORDER BY id;
CALL migspec_run('part_index', 'finished');
\d m
\d m_2
\d m_3
SELECT pg_typeof(v), count(*), sum(v) FROM m GROUP BY 1;
DROP TABLE m;

--
-- What is refused
--
CREATE TABLE m (id int, region text, v int, sub int) PARTITION BY LIST (region);
CREATE TABLE m_1 PARTITION OF m FOR VALUES IN ('a') PARTITION BY RANGE (sub);
CREATE FUNCTION plan(operations jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	PERFORM migspec_plan('part_no', operations);
	RAISE 'not refused';
END $$;
\set VERBOSITY default
SELECT plan(migspec_rename_column('m_1', 'v', 'w'));
SELECT plan(migspec_rename_column('m', 'region', 'area'));
SELECT plan(migspec_change_type('m', 'sub', 'bigint'));
CREATE TABLE parent (id int, v int);
CREATE TABLE child () INHERITS (parent);
SELECT plan(migspec_rename_column('parent', 'v', 'w'));
SELECT plan(migspec_rename_column('child', 'v', 'w'));
CREATE ROLE part_owner;
CREATE ROLE part_other;
GRANT ALL ON SCHEMA part TO part_owner;
ALTER TABLE m OWNER TO part_owner;
ALTER TABLE m_1 OWNER TO part_other;
SELECT plan(migspec_rename_column('m', 'v', 'w'));

DROP SCHEMA part CASCADE;
DROP ROLE part_owner, part_other;
