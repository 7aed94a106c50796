--
-- migspec_check(): every rule once where it applies, and once where a fact of
-- the catalog makes the same statement harmless; each safe way is checked, too.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA ck;
SET search_path = ck, public;
SET timezone = 'UTC';
SET lock_timeout = '5s';
\set VERBOSITY terse

CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE DOMAIN plain AS integer;
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE ck_space LOCATION '';
CREATE ACCESS METHOD other_heap TYPE TABLE HANDLER heap_tableam_handler;
CREATE TYPE mood AS ENUM ('sad', 'happy');

CREATE TABLE customers (id bigint PRIMARY KEY, email text NOT NULL, level positive,
	nick varchar(20), feeling mood, UNIQUE (email));
CREATE TABLE orders (id integer PRIMARY KEY, customer_id bigint, total numeric(10,2), note varchar(20),
	state text, code text NOT NULL, created timestamp, doc json,
	double numeric GENERATED ALWAYS AS (total * 2) STORED,
	CONSTRAINT note_filled CHECK (note <> ''),
	CONSTRAINT state_known CHECK (state IS NOT NULL AND state <> ''),
	CONSTRAINT code_later CHECK (code <> '') NOT VALID);
CREATE INDEX orders_note_lower ON orders (lower(note));
CREATE INDEX orders_total ON orders (total, id);
CREATE UNIQUE INDEX orders_code ON orders (code);
CREATE TABLE items (id bigint NOT NULL, order_id integer REFERENCES orders, customer_id bigint, qty integer,
	slot int4range);
CREATE UNIQUE INDEX items_id ON items (id);
CREATE UNIQUE INDEX items_qty ON items (qty);
CREATE TABLE empty (id bigint, a integer, b text);
CREATE TABLE events (id bigint NOT NULL, at date, customer_id bigint, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (1000);
CREATE TABLE events_rest PARTITION OF events DEFAULT;
CREATE TABLE visits (id bigint NOT NULL, at date, order_id integer REFERENCES orders) PARTITION BY RANGE (id);
CREATE TABLE visits_1 PARTITION OF visits FOR VALUES FROM (0) TO (1000);
CREATE INDEX visits_at ON visits (at);
CREATE TABLE visits_2 (id bigint NOT NULL, at date, order_id integer);
CREATE TABLE log (id bigint, line text);
CREATE TABLE "Odd ""Table" ("Select" integer NOT NULL, "A b" text, "from" bigint, "Typ" varchar(10));
CREATE TABLE tree (id bigint NOT NULL, part integer NOT NULL, v text, n integer, order_id integer) PARTITION BY LIST (part);
CREATE TABLE tree_1 PARTITION OF tree FOR VALUES IN (1);
CREATE TABLE tree_2 PARTITION OF tree FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE "Tree 2 a" PARTITION OF tree_2 FOR VALUES FROM (0) TO (1000);
CREATE TABLE tree_2_rest PARTITION OF tree_2 DEFAULT;
CREATE TABLE loose (customer_id bigint);
CREATE TABLE rows (a integer, b text);
CREATE TABLE hooks (r rows);
CREATE VIEW order_totals AS SELECT id, total FROM orders;
CREATE MATERIALIZED VIEW totals AS SELECT customer_id, sum(total) AS total, 1 AS one
	FROM (VALUES (1, 2)) AS v (customer_id, total) GROUP BY 1;
CREATE UNIQUE INDEX totals_customer ON totals (customer_id);
CREATE FUNCTION notes() RETURNS bigint LANGUAGE plpgsql AS
	$$ BEGIN RETURN (SELECT count(note) FROM orders); END $$;
CREATE FUNCTION steady() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE PUBLICATION pub FOR TABLE orders;

INSERT INTO customers SELECT g, g, g, g FROM generate_series(1, 100) g;
INSERT INTO orders (id, customer_id, total, note, state, code)
	SELECT g, g, g, g, g, g FROM generate_series(1, 100) g;
INSERT INTO items SELECT g, g, g, g, int4range(g, g + 1) FROM generate_series(1, 100) g;
INSERT INTO events SELECT g FROM generate_series(950, 1050) g;
INSERT INTO visits SELECT g FROM generate_series(1, 100) g;
INSERT INTO visits_2 SELECT g FROM generate_series(1000, 1100) g;
INSERT INTO "Odd ""Table" SELECT g, g, g, g FROM generate_series(1, 100) g;
INSERT INTO tree SELECT g, 1 + g % 2, g, g, g FROM generate_series(1, 100) g;
INSERT INTO loose VALUES (1);
INSERT INTO log SELECT g, g FROM generate_series(1, 100) g;

DO $$
BEGIN
	IF current_setting('server_version_num')::integer >= 180000 THEN
		EXECUTE 'ALTER TABLE loose ADD CONSTRAINT loose_customer FOREIGN KEY (customer_id) REFERENCES customers NOT ENFORCED';
	END IF;
END $$;

-- what a build that failed leaves
CREATE INDEX leftover ON log (line);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'leftover'::regclass;

CREATE TEMP TABLE test_case (n serial, rule text, script text, since integer, until integer);
CREATE TEMP TABLE result (LIKE test_case, severity text, object text, lock_mode text, other_locks text[],
	work text, measured boolean, why text, safe_way text, safe text);

-- Check each case.  Findings of the same rule about the safe way, other than
-- of severity info, mean that it is not one; so does a statement that would
-- fail, unless something has to come first: migspec, or another statement.
CREATE FUNCTION check_cases() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	c test_case;
	f record;
	again text;
BEGIN
	FOR c IN SELECT * FROM test_case
		WHERE current_setting('server_version_num')::integer / 10000 BETWEEN coalesce(since, 0) AND coalesce(until, 99)
		ORDER BY n
	LOOP
		SELECT * INTO f FROM migspec_check(c.script) WHERE rule = c.rule ORDER BY statement LIMIT 1;
		IF NOT FOUND THEN
			RAISE WARNING '% not found in: % (but %)', c.rule, c.script,
				(SELECT string_agg(concat_ws(' ', rule, why), ', ') FROM migspec_check(c.script));
			CONTINUE;
		END IF;
		again := CASE WHEN f.safe_way IS NULL THEN '-' ELSE
			coalesce((SELECT string_agg(DISTINCT concat_ws(': ', rule, CASE WHEN rule = 'would-fail' THEN why END), '; ')
				FROM migspec_check(f.safe_way)
				WHERE (rule = c.rule OR (rule = 'would-fail' AND f.safe_way !~ 'migspec_' AND f.statement = 1
					AND c.rule <> 'drop-cascade')) AND severity <> 'info'), 'ok') END;
		INSERT INTO result VALUES (c.n, c.rule, c.script, c.since, c.until, f.severity, f.object, f.lock_mode,
			f.other_locks, f.work, f.work_bytes > 0 AND f.est_seconds > 0, f.why, f.safe_way, again);
	END LOOP;
END $$;

INSERT INTO test_case (rule, script, since, until) VALUES
	-- rewrites
	('add-column-volatile-default', 'ALTER TABLE orders ADD COLUMN token uuid DEFAULT gen_random_uuid()', NULL, NULL),
	('add-column-serial-identity', 'ALTER TABLE log ADD COLUMN n bigserial', NULL, NULL),
	('add-column-serial-identity', 'ALTER TABLE log ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY', NULL, NULL),
	('add-column-stored-generated', 'ALTER TABLE log ADD COLUMN upper_line text GENERATED ALWAYS AS (upper(line)) STORED', NULL, NULL),
	('add-column-constrained-domain', 'ALTER TABLE log ADD COLUMN level positive', NULL, NULL),
	('alter-type-rewrite', 'ALTER TABLE customers ALTER COLUMN nick TYPE char(30)', NULL, NULL),
	('alter-type-rewrite', 'ALTER TABLE log ALTER COLUMN line TYPE integer USING length(line)', NULL, NULL),
	('set-expression-stored', 'ALTER TABLE orders ALTER COLUMN double SET EXPRESSION AS (total * 3)', 17, NULL),
	('set-logged-unlogged', 'ALTER TABLE log SET UNLOGGED', NULL, NULL),
	('set-access-method', 'ALTER TABLE log SET ACCESS METHOD other_heap', NULL, NULL),
	('set-tablespace', 'ALTER TABLE log SET TABLESPACE ck_space', NULL, NULL),
	('vacuum-full-cluster', 'VACUUM FULL log', NULL, NULL),
	('vacuum-full-cluster', 'CLUSTER orders USING orders_total', NULL, NULL),
	-- scans
	('set-not-null-scan', 'ALTER TABLE orders ALTER COLUMN note SET NOT NULL', NULL, NULL),
	('add-check-validated', 'ALTER TABLE orders ADD CONSTRAINT total_known CHECK (total > 0)', NULL, NULL),
	('add-check-validated', 'ALTER TABLE orders ADD COLUMN extra integer DEFAULT 1 CHECK (extra > 0)', NULL, NULL),
	('add-not-null-constraint', 'ALTER TABLE orders ADD CONSTRAINT nn NOT NULL note', 18, NULL),
	('alter-type-recheck', 'ALTER TABLE orders ALTER COLUMN note TYPE varchar(30)', NULL, NULL),
	('pk-nullable-scan', 'ALTER TABLE log ADD PRIMARY KEY (id)', NULL, NULL),
	('pk-nullable-scan', 'ALTER TABLE items ADD PRIMARY KEY USING INDEX items_qty', NULL, NULL),
	('attach-partition-scan', 'ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (1000) TO (2000)', NULL, NULL),
	('attach-scans-default', 'CREATE TABLE events_2 (LIKE events INCLUDING ALL); ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (5000) TO (6000)', NULL, NULL),
	('attach-builds-index', 'ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (1000) TO (2000)', NULL, NULL),
	('attach-validates-fk', 'ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (1000) TO (2000)', NULL, NULL),
	('create-partition-of', 'CREATE TABLE visits_3 PARTITION OF visits FOR VALUES FROM (3000) TO (4000)', NULL, NULL),
	-- indexes
	('create-index-blocking', 'CREATE INDEX ON orders (created)', NULL, NULL),
	('create-index-blocking', 'CREATE UNIQUE INDEX IF NOT EXISTS by_state ON ck.orders USING btree (state, id) WHERE state <> ''x''', NULL, NULL),
	('create-index-partitioned', 'CREATE INDEX ON events (at)', NULL, NULL),
	('add-unique', 'ALTER TABLE orders ADD CONSTRAINT one_note UNIQUE (note, id)', NULL, NULL),
	('add-unique', 'ALTER TABLE visits ADD UNIQUE (id)', NULL, 17),
	('add-unique', 'ALTER TABLE visits ADD UNIQUE (id)', 18, NULL),
	('add-primary-key', 'ALTER TABLE items ADD PRIMARY KEY (id)', NULL, NULL),
	('add-exclusion', 'ALTER TABLE items ADD EXCLUDE USING gist (slot WITH &&)', NULL, NULL),
	('alter-type-index-rebuild', 'ALTER TABLE orders ALTER COLUMN note TYPE varchar(30)', NULL, NULL),
	('reindex-blocking', 'REINDEX INDEX orders_total', NULL, NULL),
	('reindex-blocking', 'REINDEX TABLE orders', NULL, NULL),
	('refresh-matview-blocking', 'REFRESH MATERIALIZED VIEW totals', NULL, NULL),
	('index-concurrently-in-txn', 'BEGIN; CREATE INDEX CONCURRENTLY i ON orders (created); COMMIT', NULL, NULL),
	('invalid-index-leftover', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS leftover ON log (line)', NULL, NULL),
	('drop-index-blocking', 'DROP INDEX orders_total', NULL, NULL),
	('replace-index-order', 'DROP INDEX orders_total; CREATE INDEX orders_total_2 ON orders (total, id, created)', NULL, NULL),
	('redundant-index', 'CREATE INDEX CONCURRENTLY again ON orders (total)', NULL, NULL),
	('hash-index', 'CREATE INDEX CONCURRENTLY h ON orders USING hash (state)', NULL, NULL),
	-- foreign keys
	('add-fk-validated', 'ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE', NULL, NULL),
	('add-fk-validated', 'ALTER TABLE events ADD FOREIGN KEY (customer_id) REFERENCES customers', NULL, 17),
	('add-fk-validated', 'ALTER TABLE events ADD FOREIGN KEY (customer_id) REFERENCES customers', 18, NULL),
	('fk-locks-referenced', 'ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID', NULL, NULL),
	('drop-fk-locks-referenced', 'ALTER TABLE items DROP CONSTRAINT items_order_id_fkey', NULL, NULL),
	('drop-fk-locks-referenced', 'DROP TABLE items', NULL, NULL),
	('alter-constraint-enforced', 'ALTER TABLE loose ALTER CONSTRAINT loose_customer ENFORCED', 18, NULL),
	('fk-partitioned-not-valid', 'ALTER TABLE events ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID', NULL, 17),
	('fk-missing-index', 'ALTER TABLE items ADD FOREIGN KEY (customer_id) REFERENCES customers', NULL, NULL),
	('fk-type-mismatch', 'ALTER TABLE items ADD FOREIGN KEY (order_id) REFERENCES customers', NULL, NULL),
	-- waiting and transactions
	('no-lock-timeout', 'SET lock_timeout = 0; ALTER TABLE orders ADD COLUMN x integer', NULL, NULL),
	('statement-after-ae', 'BEGIN; ALTER TABLE orders ADD COLUMN x integer; CREATE INDEX ON log (id); COMMIT', NULL, NULL),
	('not-valid-validate-same-txn', 'BEGIN; ALTER TABLE orders ADD CONSTRAINT total_known CHECK (total > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT total_known; COMMIT', NULL, NULL),
	('dml-with-ddl', 'BEGIN; ALTER TABLE orders ADD COLUMN x integer; UPDATE orders SET x = 1 WHERE id < 10; COMMIT', NULL, NULL),
	('backfill-in-migration', 'UPDATE orders SET note = ''?''', NULL, NULL),
	('multiple-alter-same-table', 'BEGIN; ALTER TABLE orders ADD COLUMN x integer; ALTER TABLE orders ADD COLUMN y integer; COMMIT', NULL, NULL),
	('big-bang', 'BEGIN; ALTER TABLE orders ADD COLUMN x integer; ALTER TABLE items ADD COLUMN x integer; ALTER TABLE customers ADD COLUMN x integer; ALTER TABLE log ADD COLUMN x integer; COMMIT', NULL, NULL),
	('trigger-ddl', 'CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touched()', NULL, NULL),
	('policy-ddl', 'ALTER TABLE orders ENABLE ROW LEVEL SECURITY', NULL, NULL),
	('detach-blocking', 'ALTER TABLE visits DETACH PARTITION visits_1', NULL, NULL),
	('detach-blocking', 'ALTER TABLE events DETACH PARTITION events_1', NULL, NULL),
	('domain-constraint', 'ALTER DOMAIN positive ADD CONSTRAINT small CHECK (VALUE < 1000)', NULL, NULL),
	('opaque-sql', 'DO $d$ BEGIN PERFORM 1; END $d$', NULL, NULL),
	('drops-column-statistics', 'ALTER TABLE customers ALTER COLUMN nick TYPE varchar(30)', NULL, NULL),
	-- compatibility
	('add-required-column', 'ALTER TABLE orders ADD COLUMN x integer NOT NULL', NULL, NULL),
	('drop-column', 'ALTER TABLE items DROP COLUMN qty', NULL, NULL),
	('drop-table', 'DROP TABLE log', NULL, NULL),
	('drop-schema', 'DROP SCHEMA ck CASCADE', NULL, NULL),
	('drop-cascade', 'DROP TABLE orders CASCADE', NULL, NULL),
	('truncate', 'TRUNCATE log', NULL, NULL),
	('truncate-cascade', 'TRUNCATE orders CASCADE', NULL, NULL),
	('rename-table', 'ALTER TABLE log RENAME TO lines', NULL, NULL),
	('rename-column', 'ALTER TABLE items RENAME COLUMN qty TO quantity', NULL, NULL),
	('rename-other', 'ALTER INDEX orders_total RENAME TO by_total', NULL, NULL),
	('drop-not-null', 'ALTER TABLE orders ALTER COLUMN code DROP NOT NULL', NULL, NULL),
	('change-default', 'ALTER TABLE orders ALTER COLUMN state SET DEFAULT ''new''', NULL, NULL),
	('drop-constraint', 'ALTER TABLE orders DROP CONSTRAINT note_filled', NULL, NULL),
	('enum-add-value', 'ALTER TYPE mood ADD VALUE ''angry''', NULL, NULL),
	('enum-value-in-txn', 'BEGIN; ALTER TYPE mood ADD VALUE ''angry''; UPDATE customers SET feeling = ''angry'' WHERE id = 1; COMMIT', NULL, NULL),
	('replica-identity-lost', 'ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE', NULL, NULL),
	('row-type-used', 'ALTER TABLE rows ALTER COLUMN b TYPE varchar(30)', NULL, NULL),
	('dependent-objects', 'ALTER TABLE orders ALTER COLUMN total TYPE numeric(12,2)', NULL, NULL),
	('column-in-use', 'ALTER TABLE orders RENAME COLUMN note TO remark', NULL, NULL),
	('no-reverse', 'ALTER TABLE items DROP COLUMN qty', NULL, NULL),
	('function-volatility-change', 'CREATE OR REPLACE FUNCTION steady() RETURNS integer LANGUAGE sql VOLATILE AS ''SELECT 1''', NULL, NULL),
	-- hygiene
	('int-primary-key', 'CREATE TABLE n (id integer PRIMARY KEY)', NULL, NULL),
	('int-primary-key', 'CREATE TABLE n (id serial PRIMARY KEY)', NULL, NULL),
	('prefer-text', 'CREATE TABLE n (id bigint PRIMARY KEY, a character varying(10) NOT NULL)', NULL, NULL),
	('prefer-timestamptz', 'ALTER TABLE log ADD COLUMN at timestamp without time zone', NULL, NULL),
	('prefer-jsonb', 'ALTER TABLE log ADD COLUMN doc json', NULL, NULL),
	('avoid-money', 'ALTER TABLE log ADD COLUMN price money', NULL, NULL),
	('table-requires-pk', 'CREATE TABLE n (a integer)', NULL, NULL),
	('identifier-too-long', 'CREATE TABLE a23456789b123456789c123456789d123456789e123456789f123456789g123456789 (id bigint PRIMARY KEY)', NULL, NULL),
	-- names that need quotes
	('add-column-volatile-default', 'ALTER TABLE "Odd ""Table" ADD COLUMN "New One" uuid NOT NULL DEFAULT gen_random_uuid()', NULL, NULL),
	('add-column-serial-identity', 'ALTER TABLE ck."Odd ""Table" ADD COLUMN "Serial" integer GENERATED BY DEFAULT AS IDENTITY', NULL, NULL),
	('add-column-constrained-domain', 'ALTER TABLE "Odd ""Table" ADD COLUMN "Level" positive DEFAULT 3', NULL, NULL),
	('alter-type-rewrite', 'ALTER TABLE "Odd ""Table" ALTER COLUMN "Select" TYPE bigint', NULL, NULL),
	('alter-type-rewrite', 'ALTER TABLE "Odd ""Table" ALTER COLUMN "A b" TYPE integer USING length("A b" || ''it''''s'')', NULL, NULL),
	('add-check-validated', 'ALTER TABLE "Odd ""Table" ADD CHECK ("A b" <> ''(("'')', NULL, NULL),
	('create-index-blocking', 'CREATE /* a ( */ INDEX "An Index" ON /* ; */ "ck" . "Odd ""Table" ("A b")', NULL, NULL),
	('create-index-blocking', 'CREATE UNIQUE INDEX ON ONLY "Odd ""Table" USING btree (lower("A b"), "Select" DESC)', NULL, NULL),
	('add-unique', 'ALTER TABLE "Odd ""Table" ADD UNIQUE ("Select") INCLUDE ("A b")', NULL, NULL),
	('add-primary-key', 'ALTER TABLE "Odd ""Table" ADD CONSTRAINT "The Key" PRIMARY KEY ("Select") DEFERRABLE', NULL, NULL),
	('add-fk-validated', 'ALTER TABLE "Odd ""Table" ADD FOREIGN KEY ("from") REFERENCES customers (id) MATCH FULL ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED', NULL, NULL),
	('fk-missing-index', 'ALTER TABLE "Odd ""Table" ADD FOREIGN KEY ("from") REFERENCES customers', NULL, NULL),
	('drop-column', 'ALTER TABLE "Odd ""Table" DROP COLUMN "Select"', NULL, NULL),
	('drop-table', 'DROP TABLE "Odd ""Table"', NULL, NULL),
	('rename-column', 'ALTER TABLE "Odd ""Table" RENAME COLUMN "A b" TO "C d"', NULL, NULL),
	('rename-table', 'ALTER TABLE "Odd ""Table" RENAME TO "Odd"', NULL, NULL),
	('int-primary-key', 'CREATE TABLE "N" (a text, "Id" /* small */ integer CHECK ("Id" > 0), PRIMARY KEY ("Id"))', NULL, NULL),
	('truncate', 'TRUNCATE "Odd ""Table"', NULL, NULL),
	('backfill-in-migration', 'UPDATE items SET qty = qty + 1', NULL, NULL),
	-- partitions of partitions
	('add-column-volatile-default', 'ALTER TABLE tree ADD COLUMN u uuid DEFAULT gen_random_uuid()', NULL, NULL),
	('alter-type-rewrite', 'ALTER TABLE tree ALTER COLUMN n TYPE bigint', NULL, NULL),
	('create-index-partitioned', 'CREATE INDEX tree_v ON tree (v)', NULL, NULL),
	('add-unique', 'ALTER TABLE tree ADD CONSTRAINT tree_unique UNIQUE (id, part)', NULL, 17),
	('add-unique', 'ALTER TABLE tree ADD CONSTRAINT tree_unique UNIQUE (id, part)', 18, NULL),
	('add-primary-key', 'ALTER TABLE tree ADD PRIMARY KEY (id, part)', NULL, 17),
	('add-primary-key', 'ALTER TABLE tree ADD PRIMARY KEY (id, part)', 18, NULL),
	('add-fk-validated', 'ALTER TABLE tree ADD FOREIGN KEY (order_id) REFERENCES orders', NULL, 17),
	('add-fk-validated', 'ALTER TABLE tree ADD FOREIGN KEY (order_id) REFERENCES orders', 18, NULL),
	('set-not-null-scan', 'ALTER TABLE tree ALTER COLUMN v SET NOT NULL', NULL, NULL),
	('add-check-validated', 'ALTER TABLE tree ADD CHECK (n > 0)', NULL, NULL),
	('backfill-in-migration', 'UPDATE tree SET v = n || ''!''', NULL, NULL),
	-- failures
	('would-fail', 'ALTER TABLE nowhere ADD COLUMN x integer', NULL, NULL),
	('would-fail', 'ALTER TABLE', NULL, NULL);

SELECT check_cases();

\pset format unaligned
\pset tuples_only on
-- rule, severity, object, locks, work (and whether it costs something), and
-- whether the safe way is one
SELECT rule, severity, object, lock_mode, other_locks, work, measured, safe
FROM result WHERE since IS NULL AND until IS NULL ORDER BY n;

-- those of one version only
SELECT rule, safe FROM result WHERE (since IS NOT NULL OR until IS NOT NULL) AND safe NOT IN ('ok', '-');

-- every rule has a case, but for those about other sessions
SELECT rule ->> 'id'
FROM jsonb_array_elements((SELECT migspec_check_report('', 'sarif'))::jsonb #> '{runs,0,tool,driver,rules}') AS rule
WHERE rule ->> 'id' NOT IN (SELECT rule FROM test_case);

-- NOT NULL has another way since 18, and so have generated columns
SELECT rule, safe_way FROM result
WHERE rule IN ('set-not-null-scan', 'add-required-column', 'add-not-null-constraint')
	AND (safe_way ~ 'ADD CONSTRAINT \w+ NOT NULL \w+ NOT VALID;\nALTER TABLE (orders|tree) VALIDATE CONSTRAINT')
		<> (current_setting('server_version_num')::integer >= 180000);
SELECT safe_way FROM result
WHERE rule = 'add-column-stored-generated'
	AND (safe_way ~ 'VIRTUAL') <> (current_setting('server_version_num')::integer >= 180000);

SELECT concat_ws(E'\n', rule || ': ' || why, safe_way, '')
FROM result
WHERE since IS NULL AND until IS NULL
	AND rule NOT IN ('set-not-null-scan', 'add-required-column', 'add-column-stored-generated', 'pk-nullable-scan')
ORDER BY n;
\pset format aligned
\pset tuples_only off

--
-- What makes it safe
--
ALTER TABLE orders ADD CONSTRAINT state_filled CHECK (state <> '' AND state IS NOT NULL);
ALTER TABLE visits_2 ADD CONSTRAINT bounds CHECK (id >= 1000 AND id < 2000);
ALTER TABLE events_rest ADD CONSTRAINT none_there CHECK (id < 5000 OR id >= 6000);
CREATE TEMP TABLE harmless (rule text, script text, since integer);
INSERT INTO harmless (rule, script, since) VALUES
	('add-column-volatile-default', 'ALTER TABLE orders ADD COLUMN at timestamptz DEFAULT now()', NULL),
	('add-column-volatile-default', 'ALTER TABLE orders ADD COLUMN n integer DEFAULT ck.steady()', NULL),
	('add-column-volatile-default', 'CREATE TABLE n (a integer); ALTER TABLE n ADD COLUMN u uuid DEFAULT gen_random_uuid()', NULL),
	('add-column-stored-generated', 'ALTER TABLE log ADD COLUMN u text GENERATED ALWAYS AS (upper(line)) VIRTUAL', 18),
	('add-column-constrained-domain', 'ALTER TABLE log ADD COLUMN level plain', NULL),
	('alter-type-rewrite', 'ALTER TABLE customers ALTER COLUMN nick TYPE varchar(30)', NULL),
	('alter-type-rewrite', 'ALTER TABLE customers ALTER COLUMN nick TYPE text', NULL),
	('alter-type-index-rebuild', 'ALTER TABLE customers ALTER COLUMN nick TYPE varchar(30)', NULL),
	('alter-type-recheck', 'ALTER TABLE customers ALTER COLUMN nick TYPE varchar(30)', NULL),
	('set-logged-unlogged', 'ALTER TABLE log SET LOGGED', NULL),
	('set-access-method', 'ALTER TABLE log SET ACCESS METHOD heap', NULL),
	('set-tablespace', 'ALTER TABLE log SET TABLESPACE pg_default', NULL),
	('set-not-null-scan', 'ALTER TABLE orders ALTER COLUMN state SET NOT NULL', NULL),
	('set-not-null-scan', 'ALTER TABLE orders ALTER COLUMN code SET NOT NULL', NULL),
	('set-not-null-scan', 'ALTER TABLE orders ADD CONSTRAINT c CHECK (note IS NOT NULL) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c; ALTER TABLE orders ALTER COLUMN note SET NOT NULL', NULL),
	('set-not-null-scan', 'ALTER TABLE test_case ALTER COLUMN rule SET NOT NULL', NULL),
	('add-check-validated', 'ALTER TABLE orders ADD CHECK (total > 0) NOT VALID', NULL),
	('add-check-validated', 'ALTER TABLE orders ADD CHECK (total > 0) NOT ENFORCED', 18),
	('add-not-null-constraint', 'ALTER TABLE orders ADD CONSTRAINT nn NOT NULL note NOT VALID', 18),
	('pk-nullable-scan', 'ALTER TABLE items ADD PRIMARY KEY USING INDEX items_id', NULL),
	('add-primary-key', 'ALTER TABLE items ADD PRIMARY KEY USING INDEX items_id', NULL),
	('attach-partition-scan', 'ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (1000) TO (2000)', NULL),
	('attach-scans-default', 'CREATE TABLE events_2 (LIKE events INCLUDING ALL); ALTER TABLE events ATTACH PARTITION events_2 FOR VALUES FROM (5000) TO (6000)', NULL),
	('attach-builds-index', 'CREATE INDEX CONCURRENTLY i ON visits_2 (at); ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (1000) TO (2000)', NULL),
	('attach-validates-fk', 'ALTER TABLE visits_2 ADD FOREIGN KEY (order_id) REFERENCES orders NOT VALID; ALTER TABLE visits_2 VALIDATE CONSTRAINT visits_2_order_id_fkey; ALTER TABLE visits ATTACH PARTITION visits_2 FOR VALUES FROM (1000) TO (2000)', NULL),
	('create-index-blocking', 'CREATE INDEX CONCURRENTLY i ON orders (created)', NULL),
	('create-index-partitioned', 'CREATE INDEX i ON ONLY events (at)', NULL),
	('add-unique', 'ALTER TABLE orders ADD UNIQUE USING INDEX orders_code', NULL),
	('reindex-blocking', 'REINDEX INDEX CONCURRENTLY orders_total', NULL),
	('refresh-matview-blocking', 'REFRESH MATERIALIZED VIEW CONCURRENTLY totals', NULL),
	('index-concurrently-in-txn', 'CREATE INDEX CONCURRENTLY i ON orders (created)', NULL),
	('invalid-index-leftover', 'CREATE INDEX CONCURRENTLY IF NOT EXISTS orders_total ON orders (total, id)', NULL),
	('drop-index-blocking', 'DROP INDEX CONCURRENTLY orders_total', NULL),
	('replace-index-order', 'CREATE INDEX CONCURRENTLY i ON orders (total, id, created); DROP INDEX CONCURRENTLY orders_total', NULL),
	('redundant-index', 'CREATE INDEX CONCURRENTLY i ON orders (total, created)', NULL),
	('add-fk-validated', 'ALTER TABLE orders ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID', NULL),
	('add-fk-validated', 'ALTER TABLE orders ADD COLUMN c bigint REFERENCES customers', NULL),
	('fk-missing-index', 'CREATE INDEX CONCURRENTLY i ON items (customer_id); ALTER TABLE items ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID', NULL),
	('fk-type-mismatch', 'ALTER TABLE items ADD FOREIGN KEY (customer_id) REFERENCES customers NOT VALID', NULL),
	('no-lock-timeout', 'ALTER TABLE orders ADD COLUMN x integer', NULL),
	('no-lock-timeout', 'SET lock_timeout = 0; ALTER TABLE orders VALIDATE CONSTRAINT code_later', NULL),
	('statement-after-ae', 'ALTER TABLE orders ADD COLUMN x integer; CREATE INDEX ON log (id)', NULL),
	('not-valid-validate-same-txn', 'ALTER TABLE orders ADD CONSTRAINT c CHECK (total > 0) NOT VALID; ALTER TABLE orders VALIDATE CONSTRAINT c', NULL),
	('dml-with-ddl', 'ALTER TABLE orders ADD COLUMN x integer; UPDATE orders SET x = 1 WHERE id < 10', NULL),
	('backfill-in-migration', 'UPDATE orders SET note = ''?'' WHERE id = 3', NULL),
	('big-bang', 'ALTER TABLE orders ADD COLUMN x integer; ALTER TABLE items ADD COLUMN x integer; ALTER TABLE customers ADD COLUMN x integer; ALTER TABLE log ADD COLUMN x integer', NULL),
	('detach-blocking', 'ALTER TABLE visits DETACH PARTITION visits_1 CONCURRENTLY', NULL),
	('domain-constraint', 'ALTER DOMAIN positive ADD CHECK (VALUE < 1000) NOT VALID', NULL),
	('domain-constraint', 'ALTER DOMAIN plain ADD CHECK (VALUE < 1000)', NULL),
	('drops-column-statistics', 'ALTER TABLE customers ALTER COLUMN nick TYPE varchar(30); ANALYZE customers (nick)', NULL),
	('add-required-column', 'ALTER TABLE orders ADD COLUMN x integer NOT NULL DEFAULT 0', NULL),
	('add-required-column', 'CREATE TABLE n (id bigint PRIMARY KEY); ALTER TABLE n ADD COLUMN x integer NOT NULL', NULL),
	('drop-constraint', 'CREATE TABLE n (id bigint PRIMARY KEY); ALTER TABLE n DROP CONSTRAINT n_pkey', NULL),
	('truncate', 'CREATE TABLE n (id bigint PRIMARY KEY); TRUNCATE n', NULL),
	('rename-table', 'BEGIN; ALTER TABLE log RENAME TO lines; CREATE VIEW log AS SELECT * FROM lines; COMMIT', NULL),
	('enum-value-in-txn', 'ALTER TYPE mood ADD VALUE ''angry''; UPDATE customers SET feeling = ''angry'' WHERE id = 1', NULL),
	('replica-identity-lost', 'ALTER TABLE orders REPLICA IDENTITY USING INDEX orders_code; ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE', NULL),
	('row-type-used', 'ALTER TABLE orders ALTER COLUMN state TYPE varchar', NULL),
	('column-in-use', 'ALTER TABLE items RENAME COLUMN qty TO quantity', NULL),
	('column-in-use', 'ALTER TABLE orders RENAME COLUMN total TO sum', NULL),
	('int-primary-key', 'CREATE TABLE n (id bigint PRIMARY KEY)', NULL),
	('table-requires-pk', 'CREATE TABLE n (id bigint); ALTER TABLE n ADD PRIMARY KEY (id)', NULL),
	('would-fail', 'ALTER TABLE IF EXISTS nowhere ADD COLUMN x integer', NULL);

SELECT h.rule, h.script, f.severity, f.why
FROM harmless AS h, migspec_check(script) AS f
WHERE f.rule IN (h.rule, 'would-fail')
	AND current_setting('server_version_num')::integer / 10000 >= coalesce(h.since, 0);

-- work on an empty table is none, but its locks are as strong
SELECT script, rule, severity, lock_mode, work, work_bytes, est_seconds
FROM (VALUES ('ALTER TABLE empty ADD COLUMN u uuid DEFAULT gen_random_uuid()'),
	('ALTER TABLE empty ALTER COLUMN a SET NOT NULL'), ('CREATE INDEX ON empty (a)'),
	('SET lock_timeout = 0; CREATE INDEX ON empty (a)')) AS v (script),
	migspec_check(script);

-- elements of arrays, conditions that are always true, columns that a query
-- makes twice, a new table that has rows
SELECT script, rule, object
FROM (VALUES ('CREATE TABLE n (id bigint PRIMARY KEY, a varchar(10)[], b char(3)[], c timestamp[], d text[])'),
	('DELETE FROM log WHERE 1 = 1'), ('UPDATE orders SET note = ''?'' WHERE NOT false'),
	('DELETE FROM log WHERE NULL'), ('DELETE FROM log WHERE id = id AND id = 1'),
	('CREATE VIEW v AS SELECT 1, 2'), ('CREATE VIEW v (a, a) AS SELECT 1, 2'),
	('CREATE TABLE n (id bigint PRIMARY KEY); INSERT INTO n VALUES (1); ALTER TABLE n ADD COLUMN x integer NOT NULL'),
	('SELECT 1 AS a, 2 AS a INTO n'), ('CREATE VIEW v AS SELECT 1 AS a, 2 AS b')) AS v (script),
	migspec_check(script);

DROP SCHEMA ck CASCADE;
DROP ACCESS METHOD other_heap;
DROP TABLESPACE ck_space;
