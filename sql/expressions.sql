--
-- up and down: what they may be, and what the sync trigger and the backfill
-- make of them.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA expr;
SET search_path = expr, public;
SET timezone = 'UTC';
SET datestyle = 'ISO';
\set SHOW_CONTEXT never

-- The names that columns of a migration bear now
CREATE FUNCTION names(migration text, OUT old text, OUT new text) LANGUAGE sql AS $$
	SELECT quote_ident(old_column), quote_ident(new_column)
	FROM migspec.operation o JOIN migspec.migration m ON m.id = o.migration_id
	WHERE m.name = migration ORDER BY o.ordinal LIMIT 1
$$;
-- verify; only what is not ok is shown
CREATE FUNCTION failed_checks(name text) RETURNS TABLE (failed text, detail text) LANGUAGE sql AS $$
	SELECT "check", detail FROM migspec_verify(name) WHERE NOT ok
$$;

--
-- Both directions by a cast
--
CREATE TABLE casts (id int PRIMARY KEY, v text);
INSERT INTO casts VALUES (1, '1'), (2, NULL), (3, '-30');
SELECT migspec_expand('expr_cast', migspec_change_type('casts', 'v', 'int', 'v::int'));
SELECT * FROM names('expr_cast') \gset
INSERT INTO casts (id, v) VALUES (4, ' 4 '), (5, NULL);
INSERT INTO casts (id, :new) VALUES (6, 60), (7, NULL);
SELECT id, v, :new AS new FROM casts ORDER BY id;
-- " 4 " and 4 agree in one direction, so that touching the row changes nothing
UPDATE casts SET id = 40 WHERE id = 4 RETURNING v, :new AS new;
UPDATE casts SET :new = :new WHERE id = 40 RETURNING v, :new AS new;
UPDATE casts SET :new = 5 WHERE id = 40 RETURNING v, :new AS new;
INSERT INTO casts (id, v) VALUES (8, 'x');
UPDATE casts SET v = 'y' WHERE id = 1;
CALL migspec_run('expr_cast', 'migrated');
SELECT * FROM failed_checks('expr_cast');
SELECT migspec_switch('expr_cast');
SELECT id, v, pg_typeof(v) FROM casts ORDER BY id;
UPDATE casts SET v = v + 1 WHERE id IN (1, 2);
SELECT migspec_rollback('expr_cast');
SELECT * FROM casts ORDER BY id;
DROP TABLE casts;

--
-- Directions that lose something
--
CREATE TABLE lossy (id int PRIMARY KEY, v numeric);
INSERT INTO lossy VALUES (1, 1.4), (2, 2), (3, -3.5), (4, NULL);
SELECT migspec_expand('expr_lossy', migspec_change_type('lossy', 'v', 'int', 'round(v)::int', 'v::numeric'));
SELECT * FROM names('expr_lossy') \gset
CALL migspec_run('expr_lossy', 'migrated');
SELECT id, v, :new AS new FROM lossy ORDER BY id;
UPDATE lossy SET :new = 1 WHERE id = 1 RETURNING v, :new AS new;
UPDATE lossy SET v = 1.45 WHERE id = 1 RETURNING v, :new AS new;
UPDATE lossy SET :new = 5 WHERE id = 2 RETURNING v, :new AS new;
UPDATE lossy SET v = 1.3, :new = 1 WHERE id = 1 RETURNING v, :new AS new;
SELECT * FROM failed_checks('expr_lossy');
SELECT migspec_rollback('expr_lossy');
SELECT * FROM lossy ORDER BY id;
-- in both directions at once
SELECT migspec_expand('expr_lossy', migspec_change_type('lossy', 'v', 'int', '(v / 10)::int * 10', '(v / 100) * 100'));
SELECT * FROM names('expr_lossy') \gset
INSERT INTO lossy (id, v) VALUES (11, 17), (12, 120);
INSERT INTO lossy (id, :new) VALUES (13, 155), (14, 7);
CALL migspec_run('expr_lossy', 'migrated');
UPDATE lossy SET id = id + 100;
SELECT id, v, :new AS new FROM lossy ORDER BY id;
SELECT * FROM failed_checks('expr_lossy');
SELECT migspec_rollback('expr_lossy');
DROP TABLE lossy;

--
-- NULL becomes something, and something NULL
--
CREATE TABLE nulls (id int PRIMARY KEY, v text, note text);
INSERT INTO nulls VALUES (1, 'a'), (2, NULL), (3, ''), (4, NULL), (5, 'e');
SELECT migspec_expand('expr_null', migspec_change_type('nulls', 'v', 'varchar(10)',
	'coalesce(v, ''none'')', 'nullif(v, ''none'')'));
SELECT * FROM names('expr_null') \gset
-- NULL is a value: a new writer's stays
UPDATE nulls SET :new = NULL WHERE id = 4 RETURNING v, :new AS new;
UPDATE nulls SET note = 'x' WHERE id = 4 RETURNING v, :new AS new;
UPDATE nulls SET note = 'x' WHERE id = 5 RETURNING v, :new AS new;
INSERT INTO nulls (id, v) VALUES (6, NULL) RETURNING v, :new AS new;
INSERT INTO nulls (id, :new) VALUES (7, NULL) RETURNING v, :new AS new;
INSERT INTO nulls (id, :new) VALUES (8, 'none') RETURNING v, :new AS new;
INSERT INTO nulls (id) VALUES (9) RETURNING v, :new AS new;
CALL migspec_run('expr_null', 'migrated');
SELECT id, v, :new AS new FROM nulls ORDER BY id;
SELECT * FROM failed_checks('expr_null');
SELECT migspec_rollback('expr_null');
SELECT * FROM nulls ORDER BY id;
\d nulls
DROP TABLE nulls;

--
-- A new column out of several, which any of them changes; some are generated
--
-- the server has virtual ones since version 18
SELECT CASE WHEN current_setting('server_version_num')::int >= 180000 THEN 'VIRTUAL' ELSE 'STORED' END AS kind \gset
CREATE TABLE person (id int PRIMARY KEY, first text, last text NOT NULL,
	initial text GENERATED ALWAYS AS (left(last, 1)) :kind,
	letters int GENERATED ALWAYS AS (length(last)) STORED);
INSERT INTO person VALUES (1, 'Ada', 'Lovelace'), (2, NULL, 'Turing'), (3, 'Alan', 'Kay'), (4, 'x', 'y');
SELECT migspec_expand('expr_add', migspec_add_column('person', 'full_name', 'text',
	'coalesce(first || '' '', '''') || last || '' ('' || initial || letters::text || '')''', false));
UPDATE person SET full_name = 'Mr Turing' WHERE id = 2 RETURNING full_name;
UPDATE person SET first = 'Alan C.' WHERE id = 3 RETURNING full_name;
UPDATE person SET first = first WHERE id = 4 RETURNING full_name;
UPDATE person SET full_name = full_name, first = 'z' WHERE id = 4 RETURNING full_name;
INSERT INTO person (id, first, last) VALUES (5, 'Grace', 'Hopper') RETURNING full_name;
INSERT INTO person (id, first, last, full_name) VALUES (6, 'Edsger', 'Dijkstra', 'EWD') RETURNING full_name;
UPDATE person SET first = 'E. W.' WHERE id = 6 RETURNING full_name;
UPDATE person SET first = 'Edsger', full_name = 'EWD' WHERE id = 6 RETURNING full_name;
CALL migspec_run('expr_add', 'migrated');
SELECT * FROM failed_checks('expr_add');
SELECT id, full_name FROM person ORDER BY id;
SELECT migspec_switch('expr_add');
-- old code still works
INSERT INTO person (id, first, last) VALUES (7, 'Barbara', 'Liskov') RETURNING full_name;
UPDATE person SET last = 'L.' WHERE id = 7 RETURNING full_name;
\set VERBOSITY terse
INSERT INTO person (id, first, last, full_name) VALUES (8, 'Tony', 'Hoare', NULL);
SELECT migspec_contract('expr_add');
INSERT INTO person (id, first, last) VALUES (8, 'Tony', 'Hoare');
\set VERBOSITY default
INSERT INTO person (id, first, last, full_name) VALUES (8, 'Tony', 'Hoare', 'C. A. R. Hoare');
SELECT migspec_finish('expr_add');
SELECT id, letters, full_name FROM person WHERE id > 6 ORDER BY id;
DROP TABLE person;

--
-- Added columns without up: a default, or nothing
--
CREATE TABLE dflt (id int PRIMARY KEY);
INSERT INTO dflt VALUES (1), (2);
SELECT migspec_expand('expr_default', '[
	{"add_column": {"table": "dflt", "column": {"name": "a", "type": "int", "nullable": true}}},
	{"add_column": {"table": "dflt", "column": {"name": "b", "type": "int", "default": "40 + 2"}}},
	{"add_column": {"table": "dflt", "column": {"name": "c", "type": "timestamptz", "default": "now()"}}},
	{"add_column": {"table": "dflt", "column": {"name": "d", "type": "uuid", "default": "gen_random_uuid()", "comment": "it''s d"}}},
	{"add_column": {"table": "dflt", "column": {"name": "e", "type": "text", "nullable": true, "default": "''e'' || 1"}, "up": "''row '' || id::text"}}]');
INSERT INTO dflt (id) VALUES (3);
INSERT INTO dflt (id, a, b) VALUES (4, 1, 1);
CALL migspec_run('expr_default', 'migrated');
SELECT * FROM failed_checks('expr_default');
SELECT migspec_switch('expr_default');
INSERT INTO dflt (id) VALUES (5);
SELECT id, a, b, c IS NOT NULL AS c, d IS NOT NULL AS d, e FROM dflt ORDER BY id;
SELECT count(DISTINCT d) FROM dflt;
SELECT migspec_contract('expr_default');
SELECT migspec_finish('expr_default');
INSERT INTO dflt (id) VALUES (6);
SELECT id, a, b, c IS NOT NULL AS c, d IS NOT NULL AS d, e FROM dflt WHERE id = 6;
\d dflt
SELECT col_description('dflt'::regclass, attnum) FROM pg_attribute WHERE attrelid = 'dflt'::regclass AND attname = 'd';
DROP TABLE dflt;

--
-- Several operations on one table; down reads the new shape
--
CREATE TABLE product (id int PRIMARY KEY, price numeric, currency text, sku text);
INSERT INTO product VALUES (1, 9.99, 'eur', 'a-1'), (2, 5, NULL, 'b-2'), (3, NULL, 'usd', NULL);
SELECT migspec_expand('expr_several', '[
	{"alter_column": {"table": "product", "column": "price", "type": "bigint",
		"up": "(price * 100)::bigint", "down": "round(price / 100.0, 2)"}},
	{"rename_column": {"table": "product", "from": "sku", "to": "article"}},
	{"alter_column": {"table": "product", "column": "currency", "type": "char(3)",
		"up": "upper(currency)", "down": "lower(currency)"}},
	{"add_column": {"table": "product", "column": {"name": "label", "type": "text", "nullable": true},
		"up": "sku || '': '' || price::text || '' '' || currency"}}]');
SELECT string_agg(quote_ident(new_column) || ' AS new_' || old_name, ', ' ORDER BY ordinal) AS new
FROM migspec.operation o JOIN migspec.migration m ON m.id = o.migration_id
WHERE m.name = 'expr_several' AND kind = 'alter_column' \gset
SELECT new_column AS new_price FROM migspec.operation o JOIN migspec.migration m ON m.id = o.migration_id
WHERE m.name = 'expr_several' AND old_name = 'price' \gset
INSERT INTO product (id, price, currency, article) VALUES (4, 0.5, 'gbp', 'd-4');
UPDATE product SET :"new_price" = 123, sku = 'A-1' WHERE id = 1;
UPDATE product SET article = 'c-3', price = 3 WHERE id = 3;
CALL migspec_run('expr_several', 'migrated');
SELECT *, NULL AS hidden FROM (SELECT id, price, currency, sku, article, label FROM product) AS t ORDER BY id;
SELECT id, :new FROM product ORDER BY id;
SELECT * FROM failed_checks('expr_several');
SELECT migspec_switch('expr_several');
SELECT id, price, currency, sku, article, label FROM product ORDER BY id;
UPDATE product SET price = 777 WHERE id = 2;
UPDATE product SET sku = 'b' WHERE id = 2;
SELECT migspec_contract('expr_several');
SELECT id, price, currency, article, label FROM product ORDER BY id;
SELECT migspec_finish('expr_several');
\d product
DROP TABLE product;
-- and two tables in one migration
CREATE TABLE two_a (id int PRIMARY KEY, v int);
CREATE TABLE two_b (id int PRIMARY KEY, v int);
INSERT INTO two_a VALUES (1, 1);
INSERT INTO two_b VALUES (1, 1);
SELECT migspec_expand('expr_tables', migspec_change_type('two_a', 'v', 'bigint') ||
	migspec_rename_column('two_b', 'v', 'w') || migspec_rename_column('two_a', 'id', 'key'));
INSERT INTO two_a (key, v) VALUES (2, 2);
INSERT INTO two_b (id, w) VALUES (2, 2);
CALL migspec_run('expr_tables', 'migrated');
SELECT * FROM failed_checks('expr_tables');
SELECT migspec_switch('expr_tables');
SELECT id, key, v, pg_typeof(v) FROM two_a ORDER BY id;
SELECT * FROM two_b ORDER BY id;
SELECT migspec_rollback('expr_tables');
SELECT * FROM two_a ORDER BY id;
SELECT * FROM two_b ORDER BY id;
DROP TABLE two_a, two_b;

--
-- An up that reads another column as well follows that one, too, whether the
-- backfill has seen the row or not; after switch, the new column stands alone
--
CREATE TABLE zoned (id int PRIMARY KEY, n int, region text);
INSERT INTO zoned VALUES (1, 1, 'eu'), (2, 1, 'eu'), (3, 3, 'eu');
SELECT migspec_expand('expr_other', migspec_change_type('zoned', 'n', 'text', 'n::text || ''/'' || region', 'split_part(n, ''/'', 1)::int'));
SELECT * FROM names('expr_other') \gset
UPDATE zoned SET region = 'us' WHERE id = 1;
CALL migspec_run('expr_other', 'migrated');
UPDATE zoned SET region = 'us' WHERE id = 2;
UPDATE zoned SET :new = '4/xx' WHERE id = 3;
SELECT id, n, region, :new AS new FROM zoned ORDER BY id;
SELECT * FROM failed_checks('expr_other');
SELECT migspec_switch('expr_other');
UPDATE zoned SET region = 'asia' WHERE id = 2;
UPDATE zoned SET n = '7/us' WHERE id = 1;
SELECT id, n, region FROM zoned ORDER BY id;
SELECT migspec_rollback('expr_other');
SELECT * FROM zoned ORDER BY id;
DROP TABLE zoned;

--
-- Volatile expressions are computed once
--
CREATE SEQUENCE numbers;
CREATE TABLE vola (id int PRIMARY KEY, v text);
INSERT INTO vola VALUES (1, 'a'), (2, 'b');
SELECT migspec_expand('expr_volatile', migspec_change_type('vola', 'v', 'text',
	'v || nextval(''expr.numbers'') * 0', 'left(v, 1)'));
SELECT * FROM names('expr_volatile') \gset
CALL migspec_run('expr_volatile', 'migrated');
SELECT setval('numbers', 100);
UPDATE vola SET id = id + 10;
UPDATE vola SET v = v;
SELECT currval('numbers');
UPDATE vola SET v = 'c' WHERE id = 11;
SELECT currval('numbers');
SELECT id, v, :new AS new FROM vola ORDER BY id;
SELECT * FROM failed_checks('expr_volatile');
SELECT migspec_rollback('expr_volatile');
DROP TABLE vola;

--
-- Sub-queries, in both directions
--
CREATE TABLE kinds (code int PRIMARY KEY, name text UNIQUE);
INSERT INTO kinds VALUES (1, 'one'), (2, 'two'), (3, 'three');
CREATE TABLE lookup (id int PRIMARY KEY, kind int, note text);
INSERT INTO lookup VALUES (1, 1), (2, 2), (3, NULL), (4, 99);
SELECT migspec_expand('expr_query', migspec_change_type('lookup', 'kind', 'text',
	'(SELECT name FROM kinds WHERE code = kind)', 'SELECT code FROM kinds k WHERE k.name = kind'));
SELECT * FROM names('expr_query') \gset
INSERT INTO lookup (id, kind) VALUES (5, 3) RETURNING kind, :new AS new;
INSERT INTO lookup (id, :new) VALUES (6, 'two') RETURNING kind, :new AS new;
UPDATE lookup SET :new = 'three' WHERE id = 1 RETURNING kind, :new AS new;
UPDATE lookup SET kind = 2 WHERE id = 1 RETURNING kind, :new AS new;
UPDATE lookup SET note = 'x' WHERE id = 2 RETURNING kind, :new AS new;
CALL migspec_run('expr_query', 'migrated');
SELECT id, kind, :new AS new FROM lookup ORDER BY id;
SELECT * FROM failed_checks('expr_query');
SELECT migspec_switch('expr_query');
SELECT * FROM names('expr_query') \gset
INSERT INTO lookup (id, kind) VALUES (7, 'one') RETURNING kind, :old AS old;
SELECT migspec_rollback('expr_query');
SELECT * FROM lookup ORDER BY id;
DROP TABLE lookup;
-- sub-queries that name the row from inside, and aggregates there
CREATE TABLE lookup2 (id int PRIMARY KEY, v int[], "select" int);
INSERT INTO lookup2 VALUES (1, '{3,1,2}', 10), (2, '{}', 20), (3, NULL, 30);
SELECT migspec_expand('expr_query2', migspec_add_column('lookup2', 'best', 'int',
	'(SELECT max(x) FROM unnest(v) AS x WHERE x < "select" AND EXISTS (SELECT FROM kinds WHERE code = x AND lookup2.id > 0))'));
INSERT INTO lookup2 VALUES (4, '{1,2}', 2);
UPDATE lookup2 SET "select" = 3 WHERE id = 1 RETURNING best;
CALL migspec_run('expr_query2', 'migrated');
SELECT id, v, "select", best FROM lookup2 ORDER BY id;
SELECT migspec_rollback('expr_query2');
DROP TABLE lookup2, kinds;

--
-- Functions of users, which may write; to the same table, too
--
CREATE TABLE counter (n int);
INSERT INTO counter VALUES (0);
CREATE TABLE func (id int PRIMARY KEY, v int);
INSERT INTO func VALUES (0, 0), (1, 1);
CREATE FUNCTION count_up(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE expr.counter SET n = n + 1;
	IF $1 > 0 THEN
		UPDATE expr.func SET v = v - 1 WHERE id = 0;
	END IF;
	RETURN 'v' || $1;
END $$;
CREATE FUNCTION back(text) RETURNS int IMMUTABLE LANGUAGE sql AS $$ SELECT substr($1, 2)::int $$;
SELECT migspec_expand('expr_function', migspec_change_type('func', 'v', 'text', 'count_up(v)', 'back(v)'));
SELECT * FROM names('expr_function') \gset
SELECT * FROM counter;
INSERT INTO func (id, v) VALUES (2, 2) RETURNING :new AS new;
SELECT * FROM counter;
INSERT INTO func (id, v) SELECT i, i FROM generate_series(3, 5) AS i;
UPDATE func SET :new = 'v20' WHERE id = 2;
SELECT id, v, :new AS new FROM func ORDER BY id;
SELECT * FROM counter;
-- an expression that changes the table while the trigger is using it
CREATE OR REPLACE FUNCTION count_up(int) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF $1 = 7 THEN
		EXECUTE 'COMMENT ON COLUMN expr.counter.n IS ''x''';
		EXECUTE 'CREATE OR REPLACE FUNCTION expr.other() RETURNS int LANGUAGE sql AS ''SELECT 1''';
		UPDATE expr.func SET v = 8 WHERE id = 0;
	END IF;
	RETURN 'w' || $1;
END $$;
INSERT INTO func (id, v) VALUES (6, 6), (7, 7), (8, 8);
SELECT id, v, :new AS new FROM func WHERE id IN (0, 6, 7, 8) ORDER BY id;
SELECT migspec_rollback('expr_function');
-- a function that an expression uses cannot be dropped unnoticed
SELECT migspec_expand('expr_function', migspec_change_type('func', 'v', 'text', '''v'' || v::text', 'back(v)'));
\set VERBOSITY terse
DROP FUNCTION back(text);
\set VERBOSITY default
ALTER FUNCTION back(text) RENAME TO forth;
SELECT * FROM names('expr_function') \gset
UPDATE func SET :new = 'v009' WHERE id = 1 RETURNING v, :new AS new;
SELECT migspec_rollback('expr_function');
DROP TABLE func, counter;

--
-- Session settings do not change what an expression means
--
CREATE SCHEMA evil;
CREATE FUNCTION evil.upper(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
CREATE FUNCTION evil.cat(text, text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$;
CREATE OPERATOR evil.|| (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.cat);
CREATE TABLE path (id int PRIMARY KEY, v text);
INSERT INTO path VALUES (1, 'a');
SELECT migspec_expand('expr_path', migspec_change_type('path', 'v', 'text', 'upper(v) || ''!''', 'lower(rtrim(v, ''!''))'));
SELECT * FROM names('expr_path') \gset
SET search_path = evil, pg_catalog, expr, public;
INSERT INTO path (id, v) VALUES (2, 'b') RETURNING :new AS new;
SET search_path = expr, public;
CALL migspec_run('expr_path', 'migrated');
SELECT id, v, :new AS new FROM path ORDER BY id;
SELECT migspec_rollback('expr_path');
-- but a function of the author's own search path may be meant
SET search_path = evil, pg_catalog, expr, public;
SELECT migspec_expand('expr_path', migspec_change_type('path', 'v', 'text', 'upper(v)', 'v'));
SET search_path = expr, public;
SELECT * FROM names('expr_path') \gset
INSERT INTO path (id, v) VALUES (3, 'c') RETURNING v, :new AS new;
SELECT migspec_rollback('expr_path');
DROP TABLE path;
DROP SCHEMA evil CASCADE;
-- what depends on settings is pointed out
CREATE TABLE zone (id int PRIMARY KEY, at timestamp);
INSERT INTO zone VALUES (1, '2020-02-02 02:02');
SELECT migspec_expand('expr_zone', migspec_change_type('zone', 'at', 'timestamptz'));
SELECT migspec_rollback('expr_zone');
SELECT migspec_expand('expr_zone', migspec_change_type('zone', 'at', 'timestamptz',
	'at AT TIME ZONE ''UTC''', 'at AT TIME ZONE ''UTC'''));
SELECT * FROM names('expr_zone') \gset
SET timezone = 'Asia/Tokyo';
INSERT INTO zone (id, at) VALUES (2, '2020-02-02 02:02');
SET timezone = 'UTC';
CALL migspec_run('expr_zone', 'migrated');
SELECT id, at, :new AS new FROM zone ORDER BY id;
SELECT * FROM failed_checks('expr_zone');
SELECT migspec_rollback('expr_zone');
DROP TABLE zone;

--
-- Types of all kinds
--
CREATE TYPE pair AS (a int, b text);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN short AS text CHECK (length(VALUE) < 5);
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE kinds_of (id int PRIMARY KEY, comp pair, arr text[], dom short, en mood, js json, jb jsonb,
	ci text COLLATE ci, nr int4range, by bytea, bt bit(3), fl float8, nu numeric, ch char(4),
	xarr pair[], nm name, iv interval);
INSERT INTO kinds_of VALUES (1, '(1,x)', '{a,b}', 'dom', 'ok', '{"a": 1}', '{"b": 2}', 'Case', '[1,4)',
	'\x00ff', B'101', '-0', 1.10, 'ch', '{"(1,a)","(2,b)"}', 'nm', '1 day');
INSERT INTO kinds_of (id) VALUES (2);
SELECT migspec_expand('expr_types', (SELECT jsonb_agg(jsonb_build_object('rename_column',
	jsonb_build_object('table', 'kinds_of', 'from', attname, 'to', 'n_' || attname)) ORDER BY attnum)
	FROM pg_attribute WHERE attrelid = 'kinds_of'::regclass AND attnum > 1));
INSERT INTO kinds_of (id, comp, arr, dom, en, js, jb, ci, nr, by, bt, fl, nu, ch, xarr, nm, iv)
	SELECT 3, comp, arr, dom, en, js, jb, ci, nr, by, bt, fl, nu, ch, xarr, nm, iv FROM kinds_of WHERE id = 1;
INSERT INTO kinds_of (id, n_comp, n_arr, n_dom, n_en, n_js, n_jb, n_ci, n_nr, n_by, n_bt, n_fl, n_nu, n_ch, n_xarr, n_nm, n_iv)
	SELECT 4, comp, arr, dom, en, js, jb, ci, nr, by, bt, fl, nu, ch, xarr, nm, iv FROM kinds_of WHERE id = 1;
UPDATE kinds_of SET comp.b = 'y', arr[2] = 'c', ci = 'cASE', nu = 1.1, js = '{"a":1}' WHERE id = 3;
UPDATE kinds_of SET n_comp.b = 'z', n_arr[3] = 'd', n_ci = 'CASE', n_dom = 'new', n_fl = 0 WHERE id = 4;
UPDATE kinds_of SET dom = 'too long' WHERE id = 2;
UPDATE kinds_of SET n_dom = 'too long' WHERE id = 2;
CALL migspec_run('expr_types', 'migrated');
SELECT * FROM failed_checks('expr_types');
\x
SELECT * FROM kinds_of ORDER BY id;
\x
SELECT migspec_rollback('expr_types');
DROP TABLE kinds_of;
-- from one to another
CREATE TABLE conv (id int PRIMARY KEY, comp text, en text, js text, arr text, dom text, ci text);
INSERT INTO conv VALUES (1, '(1,x)', 'ok', '{"a": [1]}', 'a,b', 'dom', 'Case');
INSERT INTO conv (id) VALUES (2);
SELECT migspec_expand('expr_convert', '[
	{"alter_column": {"table": "conv", "column": "comp", "type": "pair", "up": "comp::pair", "down": "comp::text"}},
	{"alter_column": {"table": "conv", "column": "en", "type": "mood", "up": "en::mood", "down": "en::text"}},
	{"alter_column": {"table": "conv", "column": "js", "type": "jsonb", "up": "js::jsonb", "down": "js::text"}},
	{"alter_column": {"table": "conv", "column": "arr", "type": "text[]", "up": "string_to_array(arr, '','')",
		"down": "array_to_string(arr, '','')"}},
	{"alter_column": {"table": "conv", "column": "dom", "type": "short"}}]');
INSERT INTO conv (id, comp, en, js, arr, dom) VALUES (3, '(2,"y z")', 'happy', '[1,   2]', 'x', 'new');
UPDATE conv SET en = 'wrong' WHERE id = 3;
UPDATE conv SET dom = 'too long' WHERE id = 3;
CALL migspec_run('expr_convert', 'migrated');
SELECT * FROM failed_checks('expr_convert');
SELECT migspec_switch('expr_convert');
SELECT id, comp, (comp).b, en, js, arr, dom FROM conv ORDER BY id;
UPDATE conv SET comp.a = 5, js['b'] = '3', arr = array_append(arr, 'c') WHERE id = 1;
SELECT migspec_rollback('expr_convert');
SELECT * FROM conv ORDER BY id;
DROP TABLE conv;

--
-- Large values
--
CREATE TABLE large (id int PRIMARY KEY, v text, note text);
ALTER TABLE large ALTER v SET STORAGE EXTERNAL;
INSERT INTO large VALUES (1, repeat('a', 10000)), (2, repeat('b', 3000)), (3, 'c');
SELECT migspec_expand('expr_toast', migspec_rename_column('large', 'v', 'w'));
UPDATE large SET note = 'x' WHERE id = 1;
UPDATE large SET w = repeat('d', 20000) WHERE id = 3;
INSERT INTO large (id, v) VALUES (4, repeat('e', 5000));
INSERT INTO large (id, v) SELECT 5, v FROM large WHERE id = 1;
UPDATE large SET note = 'y' WHERE id >= 3;
CALL migspec_run('expr_toast', 'migrated');
SELECT * FROM failed_checks('expr_toast');
UPDATE large SET note = 'z';
SELECT id, left(v, 1), length(v), length(w), v = w AS same, pg_column_size(w) FROM large ORDER BY id;
SELECT migspec_switch('expr_toast');
SELECT migspec_contract('expr_toast');
SELECT migspec_finish('expr_toast');
SELECT id, left(w, 1), length(w) FROM large ORDER BY id;
DROP TABLE large;

--
-- Names of all kinds; dropped columns
--
CREATE SCHEMA "Sch ema";
CREATE TABLE "Sch ema"."Ta""ble.x" (gone1 int, "Id" int PRIMARY KEY, gone2 text, "Old 'Col\umn" text,
	"order" int, "ÄÖÜ" text, gone3 int);
INSERT INTO "Sch ema"."Ta""ble.x" VALUES (1, 1, 'x', 'value', 3, 'ä', 4);
ALTER TABLE "Sch ema"."Ta""ble.x" DROP gone1, DROP gone2, DROP gone3;
SELECT migspec_expand('expr "names"; --', jsonb_build_array(
	jsonb_build_object('rename_column', jsonb_build_object('table', '"Sch ema"."Ta""ble.x"',
		'from', 'Old ''Col\umn', 'to', 'New "Col''umn')),
	jsonb_build_object('alter_column', jsonb_build_object('table', '"Sch ema"."Ta""ble.x"',
		'column', 'order', 'type', 'text', 'up', '"order"::text', 'down', '"order"::int')),
	jsonb_build_object('rename_column', jsonb_build_object('table', '"Sch ema"."Ta""ble.x"',
		'from', 'ÄÖÜ', 'to', rpad('ü', 31, 'ä')))));
INSERT INTO "Sch ema"."Ta""ble.x" ("Id", "Old 'Col\umn", "order") VALUES (2, 'old', 5);
INSERT INTO "Sch ema"."Ta""ble.x" ("Id", "New ""Col'umn") VALUES (3, 'new');
CALL migspec_run('expr "names"; --', 'migrated');
SELECT * FROM failed_checks('expr "names"; --');
SELECT migspec_switch('expr "names"; --');
SELECT migspec_contract('expr "names"; --');
INSERT INTO "Sch ema"."Ta""ble.x" ("Id", "New ""Col'umn", "order") VALUES (4, 'new', 'six');
INSERT INTO "Sch ema"."Ta""ble.x" ("Id", "New ""Col'umn", "order") VALUES (4, 'new', '6');
SELECT migspec_finish('expr "names"; --');
SELECT * FROM "Sch ema"."Ta""ble.x" ORDER BY 1;
DROP SCHEMA "Sch ema" CASCADE;
-- names as long as can be
CREATE TABLE t63456789012345678901234567890123456789012345678901234567890123 (
	c63456789012345678901234567890123456789012345678901234567890123 int PRIMARY KEY,
	d63456789012345678901234567890123456789012345678901234567890123 int);
INSERT INTO t63456789012345678901234567890123456789012345678901234567890123 VALUES (1, 2);
SELECT migspec_expand(repeat('long', 100), migspec_rename_column(
	't63456789012345678901234567890123456789012345678901234567890123',
	'd63456789012345678901234567890123456789012345678901234567890123',
	'e63456789012345678901234567890123456789012345678901234567890123') || migspec_change_type(
	't63456789012345678901234567890123456789012345678901234567890123',
	'c63456789012345678901234567890123456789012345678901234567890123', 'bigint'));
INSERT INTO t63456789012345678901234567890123456789012345678901234567890123 VALUES (2, 3);
CALL migspec_run(repeat('long', 100), 'migrated');
SELECT count(*) FROM failed_checks(repeat('long', 100));
SELECT migspec_switch(repeat('long', 100));
SELECT migspec_contract(repeat('long', 100));
SELECT migspec_finish(repeat('long', 100));
\d t63456789012345678901234567890123456789012345678901234567890123
SELECT * FROM t63456789012345678901234567890123456789012345678901234567890123 ORDER BY 1;
DROP TABLE t63456789012345678901234567890123456789012345678901234567890123;

--
-- Wide tables
--
DO $$ BEGIN
	EXECUTE (SELECT format('CREATE TABLE wide (id int PRIMARY KEY, %s)',
		string_agg(format('c%s int DEFAULT %s', i, i), ', ')) FROM generate_series(1, 250) AS i);
END $$;
INSERT INTO wide (id) SELECT i FROM generate_series(1, 3) AS i;
SELECT migspec_expand('expr_wide', migspec_rename_column('wide', 'c250', 'd250') ||
	migspec_change_type('wide', 'c1', 'bigint') || migspec_change_type('wide', 'c125', 'text'));
INSERT INTO wide (id, c250) VALUES (4, 1);
INSERT INTO wide (id, d250) VALUES (5, 2);
UPDATE wide SET c125 = 7, c200 = 8 WHERE id = 5;
CALL migspec_run('expr_wide', 'migrated');
SELECT * FROM failed_checks('expr_wide');
SELECT migspec_switch('expr_wide');
SELECT migspec_contract('expr_wide');
SELECT migspec_finish('expr_wide');
SELECT id, c1, c2, c125, c200, d250 FROM wide ORDER BY id;
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'wide'::regclass AND attname IN ('c1', 'c125', 'c250', 'd250') ORDER BY attname;
DROP TABLE wide;

DROP SCHEMA expr CASCADE;
