-- Whose rights, which search path, which memory: what must not be possible.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE ROLE regress_migspec_owner;
CREATE ROLE regress_migspec_writer;
CREATE SCHEMA hard AUTHORIZATION regress_migspec_owner;
GRANT USAGE ON SCHEMA hard TO PUBLIC;
SET search_path = hard, public;

-- an expression runs under the pinned search path, not under the writer's
SET ROLE regress_migspec_owner;
CREATE FUNCTION norm(x text) RETURNS text LANGUAGE sql AS $$ SELECT lower(x) $$;
CREATE TABLE a (id int PRIMARY KEY, v text);
GRANT SELECT, INSERT ON a TO regress_migspec_writer;
SELECT migspec_expand('hard_a', migspec_change_type('a', 'v', 'varchar', 'hard.norm(v)', 'v'));
RESET ROLE;
CREATE SCHEMA evil AUTHORIZATION regress_migspec_writer;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
SET ROLE regress_migspec_writer;
CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN RAISE WARNING 'evil.lower runs as %', current_user; RETURN 'wrong'; END $$;
SET search_path = evil, pg_catalog, hard;
INSERT INTO hard.a (id, v) VALUES (1, 'B');
RESET ROLE;
SET search_path = hard, public;
SELECT array_agg(value ORDER BY key) FROM a, jsonb_each_text(to_jsonb(a)) WHERE key <> 'id';
SELECT migspec_rollback('hard_a');

-- and as the table's owner, also where it can be computed beforehand
SET ROLE regress_migspec_owner;
CREATE FUNCTION secret(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS
	$$ BEGIN RAISE WARNING 'secret runs as %', current_user; RETURN 7; END $$;
REVOKE EXECUTE ON FUNCTION secret(int) FROM PUBLIC;
CREATE TABLE b (id int PRIMARY KEY, v int);
GRANT SELECT, INSERT ON b TO regress_migspec_writer;
SET client_min_messages = error;
SELECT migspec_expand('hard_b', migspec_change_type('b', 'v', 'bigint', 'v + hard.secret(1)', 'v::int - hard.secret(1)'));
SET client_min_messages = warning;
\c -
SET client_min_messages = warning;
SET ROLE regress_migspec_writer;
INSERT INTO hard.b (id, v) VALUES (1, 2);
RESET ROLE;
SET search_path = hard, public;
SELECT array_agg(value ORDER BY key) FROM b, jsonb_each_text(to_jsonb(b)) WHERE key <> 'id';
SELECT migspec_rollback('hard_b');

-- the trigger function believes nothing that its arguments say
SET ROLE regress_migspec_owner;
CREATE TABLE c (id int, n bigint, t text);
CREATE TRIGGER wrong BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION migspec.sync();
\set VERBOSITY sqlstate
INSERT INTO c (id) VALUES (1);
DROP TRIGGER wrong ON c;
CREATE TABLE d (id int PRIMARY KEY, n bigint);
SELECT migspec_expand('hard_d', migspec_rename_column('d', 'n', 'm'));
SELECT proname AS up FROM pg_proc WHERE pronamespace = 'migspec'::regnamespace AND proname LIKE 'up\_%' ORDER BY oid DESC LIMIT 1 \gset
CREATE TRIGGER wrong BEFORE INSERT ON c FOR EACH ROW
	EXECUTE FUNCTION migspec.sync('new_wins', 'n', 't', '', :'up', 'n', '', '', 'old', '');
INSERT INTO c (id, n) VALUES (1, 94000000000000);
\set VERBOSITY default
SELECT migspec_rollback('hard_d');
DROP TABLE c;

-- a domain that gets a constraint binds sessions that have used the trigger
CREATE DOMAIN posint AS bigint;
CREATE TABLE dom (id int PRIMARY KEY, v int);
SELECT migspec_expand('hard_dom', migspec_change_type('dom', 'v', 'posint', 'v::bigint', 'v::int'));
INSERT INTO dom (id, v) VALUES (1, 1);
ALTER DOMAIN posint ADD CONSTRAINT pos CHECK (value > 0);
\set VERBOSITY terse
INSERT INTO dom (id, v) VALUES (2, -5);
\set VERBOSITY default
SELECT migspec_rollback('hard_dom');

-- an index that has just got another file cannot trade places
RESET ROLE;
CREATE TABLE e (id int PRIMARY KEY, v int NOT NULL UNIQUE);
INSERT INTO e SELECT i, i FROM generate_series(1, 100) i;
SELECT migspec_expand('hard_e', migspec_change_type('e', 'v', 'bigint', 'v + 1000', 'v::int - 1000'));
CALL migspec_run('hard_e', 'verified');
BEGIN;
REINDEX TABLE e;
\set VERBOSITY sqlstate
SELECT migspec_switch('hard_e');
\set VERBOSITY default
ROLLBACK;
CALL migspec_run('hard_e', 'switched');
INSERT INTO e (id, v) VALUES (2001, 9999);
SET enable_seqscan = off;
SELECT id, v FROM e WHERE v = 9999;
RESET enable_seqscan;
SELECT migspec_rollback('hard_e');

-- what a trigger writes while another table is backfilled is no backfill
CREATE TABLE q (id int PRIMARY KEY, v int);
INSERT INTO q VALUES (1, 10);
SELECT migspec_expand('hard_q', migspec_change_type('q', 'v', 'bigint'));
CALL migspec_run('hard_q', 'switched');
CREATE TABLE p (id int PRIMARY KEY, w int);
INSERT INTO p VALUES (1, 1), (2, 2);
CREATE FUNCTION add_to_q() RETURNS trigger LANGUAGE plpgsql AS
	$$ BEGIN UPDATE hard.q SET v = v + 100 WHERE id = 1; RETURN NULL; END $$;
CREATE TRIGGER add_to_q AFTER UPDATE ON p FOR EACH ROW EXECUTE FUNCTION add_to_q();
ALTER TABLE p ENABLE ALWAYS TRIGGER add_to_q;
SELECT migspec_expand('hard_p', migspec_change_type('p', 'w', 'bigint'));
UPDATE q SET v = v + 1;
CALL migspec_run('hard_p', 'migrated');
SELECT v FROM q;
SELECT migspec_rollback('hard_p'), migspec_rollback('hard_q');

DROP SCHEMA hard, evil CASCADE;
DROP ROLE regress_migspec_owner, regress_migspec_writer;
