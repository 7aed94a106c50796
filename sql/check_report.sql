--
-- migspec_check_report(): text for people, JSON and SARIF for programs.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA cr;
SET search_path = cr, public;
SET lock_timeout = '5s';
\set VERBOSITY terse

CREATE TABLE "Orders" (id bigint PRIMARY KEY, note varchar(20));
CREATE TABLE items (id bigint PRIMARY KEY, order_id bigint);
INSERT INTO "Orders" SELECT g, g FROM generate_series(1, 100) AS g;
INSERT INTO items SELECT g, g FROM generate_series(1, 100) AS g;

\set script '-- Größe\nALTER TABLE "Orders"\n\tADD COLUMN size integer; /* ä */ CREATE INDEX ON items (order_id); -- migspec:ignore create-index-blocking small table\n\nALTER TABLE nowhere\n\tADD COLUMN x integer;\n-- migspec:ignore drop-table,no-reverse,column-in-use nobody needs it\nDROP TABLE items;\nCREATE TABLE log (id bigint PRIMARY KEY,\n\tat timestamp -- migspec:ignore prefer-timestamptz\n);\nCREATE INDEX ON "Orders"\n\t(note)\n'

\pset format unaligned
\pset tuples_only on

-- text: sizes, times and the length of blocks are those of the machine
SELECT regexp_replace(line, '\d+ (kB|ms|bytes)', 'N \1', 'g') FROM migspec_check_report(:'script') AS line;
SELECT * FROM migspec_check_report('CREATE TABLE n (id bigint PRIMARY KEY)');
SELECT * FROM migspec_check_report('');

-- JSON says the same
SELECT finding ->> 'line', finding ->> 'column', finding ->> 'statement', finding ->> 'rule', finding ->> 'severity',
	finding ->> 'object', finding ->> 'lock_mode', finding -> 'other_locks', finding ->> 'work',
	(finding ->> 'work_bytes')::bigint > 0, finding ->> 'ignored'
FROM jsonb_array_elements((SELECT migspec_check_report(:'script', 'json'))::jsonb -> 'findings') AS finding;
SELECT (SELECT migspec_check_report('', 'json'))::jsonb;

-- so does SARIF, with a place and a fingerprint for each, and the reason of those that are ignored
CREATE TEMP TABLE sarif AS
	SELECT migspec_check_report(:'script', 'sarif', 'db/001 first.sql')::jsonb AS doc;
SELECT doc ->> 'version', doc ->> '$schema', jsonb_array_length(doc -> 'runs'),
	doc #>> '{runs,0,tool,driver,name}', doc #>> '{runs,0,columnKind}'
FROM sarif;
SELECT result ->> 'ruleId', result ->> 'level',
	result #>> '{locations,0,physicalLocation,artifactLocation,uri}',
	result #> '{locations,0,physicalLocation,region}',
	result ->> 'ruleId' = doc #>> ARRAY['runs', '0', 'tool', 'driver', 'rules', result ->> 'ruleIndex', 'id'] AS index_ok,
	length(result #>> '{partialFingerprints,migspec/v1}'), result -> 'suppressions'
FROM sarif, jsonb_array_elements(doc #> '{runs,0,results}') AS result;
-- each rule tells what it is about
SELECT count(*) > 80, count(DISTINCT rule ->> 'id') = count(*),
	bool_and(length(rule #>> '{shortDescription,text}') > 10 AND length(rule #>> '{help,text}') > 20),
	bool_and(rule #>> '{help,text}' !~ '[%?]'),
	array_agg(DISTINCT rule #>> '{defaultConfiguration,level}')
FROM sarif, jsonb_array_elements(doc #> '{runs,0,tool,driver,rules}') AS rule;
-- the fingerprint does not depend on the place
SELECT count(DISTINCT r #>> '{results,0,partialFingerprints,migspec/v1}')
FROM (VALUES ('CREATE INDEX ON items (order_id)'), (E'SELECT 1;\n\nCREATE INDEX ON items (order_id)')) AS v (s),
	LATERAL (SELECT migspec_check_report(s, 'sarif')::jsonb #> '{runs,0}') AS t (r);

-- a script after another
SELECT * FROM migspec_check_report('ALTER TABLE n ADD COLUMN a integer', before => 'CREATE TABLE n (id bigint PRIMARY KEY)');
SELECT * FROM migspec_check_report(E'ALTER TABLE n ADD COLUMN a integer;\nALTER TABLE n ADD COLUMN a integer',
	before => 'CREATE TABLE n (id bigint PRIMARY KEY) -- done');

-- mistakes
SELECT migspec_check_report('SELECT 1', 'xml');
SELECT migspec_check_report('SELECT 1', NULL);
SELECT count(*) FROM migspec_check_report(NULL);
SELECT count(*) FROM migspec_check(NULL);

-- anybody may ask, of any table
\pset format aligned
\pset tuples_only off
CREATE ROLE migspec_guest;
GRANT USAGE ON SCHEMA cr TO migspec_guest;
SET ROLE migspec_guest;
SELECT rule, severity, object, lock_mode FROM migspec_check('CREATE INDEX ON items (order_id)');
SELECT * FROM migspec_ddl_effects('CREATE INDEX ON items (order_id)');
RESET ROLE;

DROP SCHEMA cr CASCADE;
DROP ROLE migspec_guest;
