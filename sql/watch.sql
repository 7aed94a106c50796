--
-- Somebody meddles with the sync trigger: writers go on, and it is told soon.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
-- what the phase guard refuses, a superuser can do all the same
SET migspec.phase_guard = off;
CREATE SCHEMA watch;
SET search_path = watch, public;
\set VERBOSITY terse

-- The last error, once the scheduler has looked
CREATE FUNCTION told(expected text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	told text;
BEGIN
	FOR i IN 1 .. 600 LOOP
		told := (SELECT concat_ws(' ', last_sqlstate, last_error) FROM migspec.migrations WHERE name = 'watch');
		EXIT WHEN told LIKE '%' || expected || '%' AND (expected <> '' OR told = '');
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN told;
END $$;
CREATE FUNCTION voided() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		IF (SELECT verified_at IS NULL FROM migspec.migrations WHERE name = 'watch') THEN
			RETURN 'void';
		END IF;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN 'not void';
END $$;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	new.a := new.a || '!';
	RETURN new;
END $$;

CREATE TABLE memo (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
CREATE TABLE memo_low PARTITION OF memo FOR VALUES FROM (0) TO (10);
CREATE TABLE memo_high PARTITION OF memo FOR VALUES FROM (10) TO (20);
INSERT INTO memo VALUES (1, 'one'), (11, 'eleven');
SELECT migspec_expand('watch', migspec_rename_column('memo', 'a', 'b'));

-- disabled, on one partition only
ALTER TABLE memo_high DISABLE TRIGGER "~migspec_sync";
SELECT told('is disabled');
ALTER TABLE memo_high ENABLE ALWAYS TRIGGER "~migspec_sync";
SELECT told('');

-- gone
BEGIN;
SELECT pg_get_triggerdef(oid) AS trigger FROM pg_trigger WHERE tgrelid = 'memo'::regclass AND tgname = '~migspec_sync' \gset
DROP TRIGGER "~migspec_sync" ON memo;
COMMIT;
SELECT told('is missing');
BEGIN;
:trigger;
ALTER TABLE memo ENABLE ALWAYS TRIGGER "~migspec_sync";
COMMIT;
SELECT told('');

-- Triggers that do not change rows after it are none of our business.
CALL migspec_run('watch', 'verified');
CREATE TRIGGER "~of deletes" BEFORE DELETE ON memo FOR EACH ROW EXECUTE FUNCTION meddle();
CREATE TRIGGER "~afterwards" AFTER INSERT ON memo FOR EACH ROW EXECUTE FUNCTION meddle();
CREATE TRIGGER "before" BEFORE INSERT ON memo FOR EACH ROW EXECUTE FUNCTION meddle();
INSERT INTO memo (id, a) VALUES (2, 'two') RETURNING *;
SELECT ok, detail FROM migspec_verify('watch') WHERE "check" IN ('sync trigger', 'rows');

-- One that fires after it, for a moment that nobody else sees: the write
-- succeeds, but the verification is void, before and after the scheduler knows.
BEGIN;
CREATE TRIGGER "~zzz" BEFORE INSERT OR UPDATE ON memo FOR EACH ROW EXECUTE FUNCTION meddle();
INSERT INTO memo (id, a) VALUES (3, 'three'), (12, 'twelve') RETURNING *;
DROP TRIGGER "~zzz" ON memo;
COMMIT;
\set VERBOSITY sqlstate
SELECT migspec_switch('watch');
SELECT voided();
SELECT migspec_switch('watch');
\set VERBOSITY terse
SELECT ok, detail FROM migspec_verify('watch') WHERE "check" IN ('sync trigger', 'rows');
SELECT key, old_value, new_value FROM migspec.difference WHERE migration_id =
	(SELECT id FROM migspec.migration WHERE name = 'watch') ORDER BY key->>'id';
UPDATE memo SET a = a WHERE id IN (3, 12) RETURNING *;
SELECT ok, detail FROM migspec_verify('watch') WHERE "check" IN ('sync trigger', 'rows');

-- Nobody wrote, but it was seen: the same.
CREATE TRIGGER "~zzz" BEFORE INSERT OR UPDATE ON memo FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT told('is followed by');
SELECT migspec_switch('watch');
SELECT ok, detail FROM migspec_verify('watch') WHERE "check" IN ('sync trigger', 'rows');
DROP TRIGGER "~zzz" ON memo;
SELECT told('');
SELECT migspec_switch('watch');
SELECT bool_and(ok) FROM migspec_verify('watch');
SELECT migspec_switch('watch');

-- also after the switch
ALTER TABLE memo_low DISABLE TRIGGER "~migspec_sync";
SELECT told('is disabled');
ALTER TABLE memo_low ENABLE ALWAYS TRIGGER "~migspec_sync";
SELECT told('');
SELECT migspec_rollback('watch');
SELECT * FROM memo ORDER BY id;
SELECT event, detail->>'message' AS message, detail->>'reason' AS reason FROM migspec.events
	WHERE migration = 'watch' AND event IN ('sync_trigger', 'verification_void') ORDER BY id;

DROP SCHEMA watch CASCADE;
