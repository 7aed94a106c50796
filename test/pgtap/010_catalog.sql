-- What the extension brings: names that are fixed, rights, comments.
BEGIN;
SELECT no_plan();

SELECT has_schema('migspec');
SELECT has_table('migspec'::name, t) FROM unnest(ARRAY['transition', 'migration', 'target', 'operation', 'step', 'backfill',
	'failed_row', 'difference', 'event']::name[]) AS t;
SELECT has_view('migspec'::name, v, 'view ' || v || ' is there') FROM unnest(ARRAY['migrations', 'progress', 'events']::name[]) AS v;
SELECT has_column('migspec', 'migrations', c, 'migspec.migrations has ' || c)
	FROM unnest(ARRAY['name', 'owner', 'phase', 'phase_since', 'last_error']::name[]) AS c;
SELECT has_column('migspec', 'progress', c, 'migspec.progress has ' || c)
	FROM unnest(ARRAY['migration', 'relation', 'state', 'rows_done', 'rows_total', 'percent', 'bar', 'rows_per_second',
		'eta', 'throttle', 'workers']::name[]) AS c;
SELECT has_column('migspec', 'events', c, 'migspec.events has ' || c)
	FROM unnest(ARRAY['at', 'migration', 'event', 'detail', 'by_role']::name[]) AS c;

-- What people call: leading arguments, and what comes back
SELECT has_function(f, a) FROM (VALUES
	('migspec_plan'::name, '{text,jsonb,text,interval,boolean,text}'::name[]),
	('migspec_expand', '{text,jsonb,text,interval,boolean,text}'),
	('migspec_pause', '{text}'), ('migspec_resume', '{text}'), ('migspec_verify', '{text}'), ('migspec_switch', '{text}'),
	('migspec_contract', '{text,bool}'), ('migspec_finish', '{text}'), ('migspec_rollback', '{text}'),
	('migspec_wait', '{text,text,interval}'), ('migspec_run', '{text,text}'),
	('migspec_rename_column', '{text,text,text}')) AS v (f, a);
SELECT ok(pg_get_function_result(oid) = 'TABLE(step integer, phase text, statement text, lock_mode text, rewrites boolean, rows bigint, estimated_seconds double precision)',
	'columns of migspec_plan') FROM pg_proc WHERE proname = 'migspec_plan';
SELECT ok(pg_get_function_result(oid) = 'TABLE("check" text, ok boolean, detail text)', 'columns of migspec_verify')
	FROM pg_proc WHERE proname = 'migspec_verify';
SELECT ok(pronargs - pronargdefaults <= 2, proname || ' needs at most two arguments') FROM pg_proc
	WHERE proname IN ('migspec_expand', 'migspec_plan', 'migspec_migrate', 'migspec_wait', 'migspec_run');
SELECT is(prokind, 'p', 'migspec_run is a procedure') FROM pg_proc WHERE proname = 'migspec_run';

-- Everything of ours has a comment
CREATE TEMP VIEW ours AS SELECT classid, objid FROM pg_depend
	WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'migspec');
SELECT is_empty($$SELECT objid::regproc FROM ours WHERE classid = 'pg_proc'::regclass
	AND obj_description(objid, 'pg_proc') IS NULL$$, 'functions have comments');
SELECT is_empty($$SELECT objid::regclass FROM ours JOIN pg_class c ON c.oid = objid WHERE classid = 'pg_class'::regclass
	AND relkind IN ('r', 'v') AND obj_description(objid, 'pg_class') IS NULL$$, 'tables and views have comments');
-- Search paths cannot lead ours astray
SELECT is_empty($$SELECT objid::regprocedure FROM ours JOIN pg_proc p ON p.oid = objid JOIN pg_language l ON l.oid = prolang
	WHERE classid = 'pg_proc'::regclass AND lanname <> 'c' AND prosqlbody IS NULL$$, 'functions in SQL are parsed');
SELECT is_empty($$SELECT objid::regprocedure FROM ours JOIN pg_proc p ON p.oid = objid
	WHERE classid = 'pg_proc'::regclass AND prosecdef$$, 'no function has the rights of its owner');

-- Rights
CREATE ROLE nobody_special;
SELECT is_empty($$SELECT objid::regclass FROM ours JOIN pg_class c ON c.oid = objid WHERE classid = 'pg_class'::regclass
	AND relkind IN ('r', 'p', 'S') AND has_table_privilege('nobody_special', objid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
	$$, 'tables and sequences are for the extension only');
SELECT is_empty($$SELECT objid::regclass FROM ours JOIN pg_class c ON c.oid = objid WHERE classid = 'pg_class'::regclass
	AND relkind = 'v' AND (NOT has_table_privilege('nobody_special', objid, 'SELECT')
		OR has_table_privilege('nobody_special', objid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER'))$$,
	'views are for everybody to read');
SET ROLE nobody_special;
SELECT lives_ok('SELECT * FROM migspec.' || v, 'anybody may look at migspec.' || v) FROM unnest(ARRAY['migrations', 'progress', 'events']) AS v;
SELECT throws_ok('DELETE FROM migspec.' || t, '42501', NULL, 'nobody may change migspec.' || t)
	FROM unnest(ARRAY['migration', 'target', 'step', 'event']) AS t;
SELECT throws_ok('SELECT pg_catalog.setval(''migspec.migration_id_seq'', 1)', '42501', NULL, 'nor its sequences');
RESET ROLE;

-- The state machine
SELECT bag_eq('SELECT from_phase, to_phase, call FROM migspec.transition WHERE to_phase <> ''rolled_back''',
	$$VALUES ('planned', 'expanded', 'migspec_expand'), ('expanded', 'migrating', 'migspec_migrate'),
		('migrating', 'migrated', 'migspec_wait'), ('migrated', 'verified', 'migspec_verify'),
		('verified', 'switched', 'migspec_switch'), ('switched', 'contracted', 'migspec_contract'),
		('contracted', 'finished', 'migspec_finish')$$, 'the way forward');
SELECT bag_eq('SELECT from_phase, call FROM migspec.transition WHERE to_phase = ''rolled_back''',
	$$SELECT p, 'migspec_rollback' FROM unnest('{planned,expanded,migrating,migrated,verified,switched,contracted}'::text[]) AS p$$,
	'the way back, from every phase before finished');
SELECT bag_eq('SELECT to_phase FROM migspec.transition WHERE by_worker', $$VALUES ('migrated'), ('finished')$$, 'the moves that a worker makes');

-- Operations, as JSON and as functions
SELECT is(migspec_rename_column('a.b', 'c', 'd'), '[{"rename_column": {"table": "a.b", "from": "c", "to": "d"}}]', 'migspec_rename_column');
SELECT is(migspec_change_type('t', 'c', 'bigint'), '[{"alter_column": {"table": "t", "column": "c", "type": "bigint"}}]', 'migspec_change_type');
SELECT is(migspec_change_type('t', 'c', 'int', 'c::int', 'c::text'),
	'[{"alter_column": {"table": "t", "column": "c", "type": "int", "up": "c::int", "down": "c::text"}}]', 'migspec_change_type with expressions');
SELECT is(migspec_add_column('t', 'c', 'int'), '[{"add_column": {"table": "t", "column": {"name": "c", "type": "int", "nullable": true}}}]',
	'migspec_add_column');
SELECT is(migspec_add_column('t', 'c', 'int', '1', false, '2', 'three'),
	'[{"add_column": {"table": "t", "up": "1", "column": {"name": "c", "type": "int", "nullable": false, "default": "2", "comment": "three"}}}]',
	'migspec_add_column with everything');
SELECT is(migspec_rename_column('t', NULL, 'x'), NULL, 'no operation out of nothing');

SELECT finish();
ROLLBACK;
