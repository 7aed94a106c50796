--
-- Verification: what is compared, and what is wrong.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
-- what the phase guard refuses, a superuser can do all the same
SET migspec.phase_guard = off;
CREATE SCHEMA verify;
SET search_path = verify, public;
\set VERBOSITY terse

CREATE TABLE few (id int PRIMARY KEY, a text);
INSERT INTO few SELECT i, i FROM generate_series(1, 3) AS i;
CREATE TABLE many (id int PRIMARY KEY, a text, b text) PARTITION BY RANGE (id);
CREATE TABLE many_1 PARTITION OF many FOR VALUES FROM (0) TO (30);
CREATE TABLE many_2 PARTITION OF many FOR VALUES FROM (30) TO (100);
INSERT INTO many SELECT i, i FROM generate_series(1, 50) AS i;

-- Each operation has its own number of rows; a constant has nothing to compare.
SELECT migspec_expand('verify', migspec_rename_column('few', 'a', 'x')
	|| migspec_rename_column('many', 'a', 'x') || migspec_rename_column('many', 'b', 'y')
	|| migspec_add_column('few', 'c', 'int', "default" => '7'));
CALL migspec_run('verify', 'migrated');
SELECT * FROM migspec_verify('verify');
SELECT phase, rows_compared, rows_differing FROM migspec.migrations WHERE name = 'verify';

-- A trigger that is disabled is a result, and nothing else counts then.
ALTER TABLE many_2 DISABLE TRIGGER "~migspec_sync";
SELECT * FROM migspec_verify('verify');
SELECT phase, rows_compared, rows_differing FROM migspec.migrations WHERE name = 'verify';
SELECT migspec_switch('verify');
ALTER TABLE many_2 ENABLE ALWAYS TRIGGER "~migspec_sync";
SELECT migspec_switch('verify');
SELECT bool_and(ok) FROM migspec_verify('verify');
SELECT migspec_switch('verify');
SELECT migspec_rollback('verify');

-- Before that it keeps the migration where it is, as does one that is not there.
SELECT migspec_expand('verify', migspec_rename_column('few', 'a', 'x'));
CALL migspec_run('verify', 'migrated');
ALTER TABLE few ENABLE REPLICA TRIGGER "~migspec_sync";
SELECT * FROM migspec_verify('verify');
CALL migspec_run('verify', 'verified');
DROP TRIGGER "~migspec_sync" ON few;
SELECT * FROM migspec_verify('verify');
SELECT phase FROM migspec.migrations WHERE name = 'verify';
SELECT migspec_rollback('verify');

-- Nothing but a constant: no trigger, no backfill, all phases.
SELECT migspec_expand('verify', migspec_add_column('few', 'c', 'int', "default" => '7'));
CALL migspec_run('verify', 'migrated');
SELECT * FROM migspec_verify('verify');
CALL migspec_run('verify');
SELECT * FROM few ORDER BY id;
\d few

DROP SCHEMA verify CASCADE;
