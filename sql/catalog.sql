--
-- Phases, what is stored of a migration, who may do what, and the views.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE ROLE regress_migspec_owner;
CREATE ROLE regress_migspec_member IN ROLE regress_migspec_owner;
CREATE ROLE regress_migspec_other;
CREATE SCHEMA cat;
GRANT ALL ON SCHEMA cat TO PUBLIC;
SET search_path = cat, public;
\set SHOW_CONTEXT never

SET ROLE regress_migspec_owner;
CREATE TABLE t (id int PRIMARY KEY, a text, b int);
CREATE TABLE u (id int PRIMARY KEY, a text);
INSERT INTO t SELECT i, 'row ' || i, i FROM generate_series(1, 1000) AS i;
RESET ROLE;

CREATE FUNCTION phase(migration text) RETURNS text LANGUAGE sql AS
	$$ SELECT phase FROM migspec.migrations WHERE name = $1 $$;
-- all calls but the one that is right now must fail, with the same hint
CREATE FUNCTION wrong_calls(migration text)
RETURNS TABLE (call text, state text, message text, detail text, hint text)
LANGUAGE plpgsql SET client_min_messages = error AS $$
BEGIN
	FOREACH call IN ARRAY ARRAY['migspec_expand', 'migspec_migrate', 'migspec_verify',
		'migspec_switch', 'migspec_contract', 'migspec_finish', 'migspec_rollback',
		'migspec_pause', 'migspec_resume', 'migspec_tune']
	LOOP
		BEGIN
			EXECUTE format('SELECT %s(%L)', call, migration);
			-- undo it
			RAISE EXCEPTION USING ERRCODE = '00R01';
		EXCEPTION
			WHEN SQLSTATE '00R01' THEN NULL;
			WHEN OTHERS THEN
				GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
					detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
				RETURN NEXT;
		END;
	END LOOP;
END
$$;

-- the state machine
SELECT from_phase, to_phase, call, by_worker FROM migspec.transition
WHERE to_phase <> 'rolled_back' ORDER BY array_position(ARRAY['planned', 'expanded', 'migrating',
	'migrated', 'verified', 'switched', 'contracted'], from_phase);
SELECT string_agg(from_phase, ' ' ORDER BY from_phase) FROM migspec.transition
WHERE to_phase = 'rolled_back';

-- no such migration
SELECT migspec_expand('none');
SELECT migspec_pause('none');
SELECT migspec_wait('none', 'finished');
CALL migspec_run('none');

-- a plan: who may make one, and what it stores
SET ROLE regress_migspec_other;
SELECT migspec_plan('cat_m', migspec_rename_column('t', 'a', 'c'));
SET ROLE regress_migspec_owner;
SELECT count(*) > 0 AS planned FROM migspec_plan('cat_m', migspec_rename_column('t', 'a', 'c'),
	contract_grace => '1 hour', conflict_policy => 'error');
RESET ROLE;
SELECT name, owner, phase, next_call, relations, paused, strategy, conflict_policy, contract_grace
FROM migspec.migrations WHERE name = 'cat_m';
SELECT kind, relation, old_name, new_name, old_column, new_column, new_type
FROM migspec.operation JOIN migspec.migration AS m ON m.id = migration_id WHERE m.name = 'cat_m';
SELECT bool_and(statement <> '' AND lock_mode ~ 'Lock$' AND done_at IS NULL) AS ok,
	min(step) = 1 AND max(step) = count(*) AS numbered
FROM migspec.steps WHERE migration = 'cat_m';
SELECT * FROM wrong_calls('cat_m');
-- a plan can be made anew
SET ROLE regress_migspec_owner;
SELECT count(*) > 0 AS planned FROM migspec_plan('cat_m', migspec_rename_column('t', 'a', 'c'));
-- but not by others
SET ROLE regress_migspec_other;
SELECT migspec_plan('cat_m', '[]');
SELECT migspec_expand('cat_m');
RESET ROLE;

-- expand, and a transaction that is rolled back leaves nothing
BEGIN;
SELECT migspec_expand('cat_m');
SELECT phase('cat_m');
ROLLBACK;
SELECT phase('cat_m');
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 ORDER BY attnum;
SET ROLE regress_migspec_member;
SELECT migspec_expand('cat_m');
RESET ROLE;
SELECT phase('cat_m');
SELECT relation, name FROM migspec.target JOIN migspec.migration ON id = migration_id ORDER BY name;
SELECT bool_and((done_at IS NOT NULL) = (phase = 'expanded')) AS ok FROM migspec.steps WHERE migration = 'cat_m';
SELECT call, message, hint FROM wrong_calls('cat_m') LIMIT 1;
SELECT call, detail FROM wrong_calls('cat_m');

-- a name, and a table, only once
SELECT migspec_plan('cat_m', migspec_rename_column('u', 'a', 'c'));
SELECT migspec_plan('cat_n', migspec_change_type('t', 'b', 'bigint'));
-- planned by both, expanded by one
SELECT count(*) > 0 AS planned FROM migspec_plan('cat_u1', migspec_rename_column('u', 'a', 'x'));
SELECT count(*) > 0 AS planned FROM migspec_plan('cat_u2', migspec_rename_column('u', 'a', 'y'));
SELECT migspec_expand('cat_u1');
SELECT migspec_expand('cat_u2');
SELECT migspec_rollback('cat_u1');
SELECT migspec_rollback('cat_u2');

-- steering
SET ROLE regress_migspec_other;
SELECT migspec_migrate('cat_m');
SELECT migspec_tune('cat_m', 1000);
RESET ROLE;
SELECT migspec_tune('cat_m', -1);
SELECT migspec_tune('cat_m', strategy => 'sideways');
SELECT migspec_tune('cat_m', 1000000, 'one_pass');
SELECT strategy, max_rows_per_second FROM migspec.migrations WHERE name = 'cat_m';
SELECT migspec_tune('cat_m', 0);
SELECT strategy, max_rows_per_second FROM migspec.migrations WHERE name = 'cat_m';

-- the worker's part, paused before it starts
BEGIN;
SELECT migspec_migrate('cat_m');
SELECT migspec_pause('cat_m');
SELECT migspec_wait('cat_m', 'migrated');
ROLLBACK;
BEGIN;
SELECT migspec_migrate('cat_m');
SELECT migspec_pause('cat_m');
COMMIT;
SELECT migration, state, rows_done, percent, bar, throttle
FROM migspec.progress WHERE migration = 'cat_m';
SELECT call, detail, hint FROM wrong_calls('cat_m');
SELECT migspec_wait('cat_m', 'expanded');
SELECT migspec_wait('cat_m', 'migrated', '0.2 s');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migspec_wait('cat_m', 'migrated');
ROLLBACK;
SELECT migspec_resume('cat_m');
SELECT migspec_wait('cat_m', 'migrated', '2 min');
SELECT phase('cat_m');
SELECT count(*) AS running FROM migspec.progress WHERE migration = 'cat_m';

-- verify
SET ROLE regress_migspec_other;
SELECT migspec_verify('cat_m');
RESET ROLE;
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT migspec_verify('cat_m');
ROLLBACK;
SELECT "check", ok, detail FROM migspec_verify('cat_m');
SELECT phase, rows_compared, rows_differing, verified_at IS NOT NULL AS at FROM migspec.migrations WHERE name = 'cat_m';
-- once more
SELECT bool_and(ok) AS ok FROM migspec_verify('cat_m');

-- the rest of the way; the deadline is the grace period's end
SELECT migspec_switch('cat_m');
SELECT migspec_contract('cat_m');
SELECT phase, finish_after - phase_since AS grace, next_call FROM migspec.migrations WHERE name = 'cat_m';
SELECT migspec_finish('cat_m');
SELECT phase, finish_after, next_call FROM migspec.migrations WHERE name = 'cat_m';
SELECT count(*) AS targets FROM migspec.target WHERE relation = 't'::regclass;
SELECT call, message, hint FROM wrong_calls('cat_m') LIMIT 1;
SELECT migspec_wait('cat_m', 'rolled_back');
SELECT migspec_wait('cat_m', 'migrated');
SELECT migspec_wait('cat_m', 'over');
SELECT attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT event, detail FROM migspec.events
WHERE migration = 'cat_m' AND event = 'phase' ORDER BY id;

-- all phases in one call, each a transaction of its own
CALL migspec_run('cat_m', 'expanded');
SELECT count(*) > 0 AS planned FROM migspec_plan('cat_r', migspec_change_type('t', 'b', 'bigint'));
BEGIN;
CALL migspec_run('cat_r', 'expanded');
ROLLBACK;
CREATE FUNCTION run() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL migspec_run('cat_r', 'expanded'); END $$;
SELECT run();
CALL migspec_run('cat_r', 'rolled_back');
CALL migspec_run('cat_r', 'sometime');
SET ROLE regress_migspec_other;
CALL migspec_run('cat_r', 'expanded');
RESET ROLE;
SET client_min_messages = notice;
CALL migspec_run('cat_r', 'expanded');
SET client_min_messages = warning;
CALL migspec_run('cat_r', 'verified');
SET client_min_messages = notice;
CALL migspec_run('cat_r');
SET client_min_messages = warning;
SELECT atttypid::regtype FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'b';

-- rolled back: the name can be used again
SELECT count(*) > 0 AS planned FROM migspec_plan('cat_b', migspec_rename_column('t', 'c', 'd'));
SELECT migspec_expand('cat_b');
SELECT migspec_rollback('cat_b');
SELECT migspec_rollback('cat_b');
CALL migspec_run('cat_b');
SELECT phase('cat_b'), attname FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT migspec_expand('cat_b', migspec_rename_column('t', 'c', 'd'));
SELECT migspec_rollback('cat_b');

-- what others see: the views, without what errors quote
INSERT INTO migspec.event (migration_id, migration, event, detail)
SELECT id, name, 'error', '{"sqlstate": "22P02", "message": "a secret", "detail": "of a row", "step": "backfill"}'
FROM migspec.migration WHERE name = 'cat_m';
UPDATE migspec.migration SET last_sqlstate = '22P02', last_error = 'a secret' WHERE name = 'cat_m';
SET ROLE regress_migspec_owner;
SELECT detail FROM migspec.events WHERE migration = 'cat_m' AND event = 'error';
SELECT last_sqlstate, last_error FROM migspec.migrations WHERE name = 'cat_m';
SET ROLE regress_migspec_other;
SELECT detail FROM migspec.events WHERE migration = 'cat_m' AND event = 'error';
SELECT last_sqlstate, last_error FROM migspec.migrations WHERE name = 'cat_m';
SELECT count(*) > 0 AS ok FROM migspec.steps WHERE migration = 'cat_m';
SELECT count(*) AS running FROM migspec.progress WHERE migration = 'cat_m';
SELECT relname, has_table_privilege(oid, 'SELECT') AS can_read,
	has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') AS can_write
FROM pg_class WHERE relnamespace = 'migspec'::regnamespace AND relkind IN ('r', 'v') ORDER BY relname;
SELECT relname, CASE WHEN relkind = 'S' THEN has_sequence_privilege(oid, 'USAGE, SELECT, UPDATE') END AS usable
FROM pg_class WHERE relnamespace = 'migspec'::regnamespace AND relkind = 'S' ORDER BY relname;
RESET ROLE;

-- settings
SELECT name, setting, unit, context FROM pg_settings WHERE name LIKE 'migspec.%' ORDER BY name;

-- every function tells what it is for
SELECT p.oid::regprocedure FROM pg_proc AS p
JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'migspec'
WHERE obj_description(p.oid, 'pg_proc') IS NULL;

DELETE FROM migspec.migration WHERE name LIKE 'cat\_%';
DROP SCHEMA cat CASCADE;
DROP ROLE regress_migspec_member, regress_migspec_owner, regress_migspec_other;
