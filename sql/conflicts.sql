--
-- Writes of both columns that disagree are counted.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA conflicts;
SET search_path = conflicts, public;
\set VERBOSITY terse

-- The scheduler has taken what was counted into the catalog.
CREATE FUNCTION stored(migration text, expected bigint) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 600 LOOP
		IF (SELECT m.conflicts FROM migspec.migration AS m WHERE m.name = migration) = expected THEN
			RETURN 'stored';
		END IF;
		PERFORM pg_sleep(0.05);
	END LOOP;
	RETURN 'not stored';
END $$;

CREATE TABLE memo (id int PRIMARY KEY, content text, n int) PARTITION BY RANGE (id);
CREATE TABLE memo_1 PARTITION OF memo FOR VALUES FROM (0) TO (100);
CREATE TABLE memo_2 PARTITION OF memo FOR VALUES FROM (100) TO (200);
SELECT migspec_expand('conflicts', migspec_rename_column('memo', 'content', 'content_text')
	|| migspec_rename_column('memo', 'n', 'm'));

-- none of these
INSERT INTO memo (id, content) VALUES (1, 'a');
INSERT INTO memo (id, content_text) VALUES (2, 'a');
INSERT INTO memo (id, content, content_text, n, m) VALUES (3, 'a', 'a', 1, 1);
UPDATE memo SET content = 'b', content_text = 'b';
UPDATE memo SET content = content_text, content_text = content;
SELECT conflicts FROM migspec.migrations WHERE name = 'conflicts';

-- each of these, at once
INSERT INTO memo (id, content, content_text) VALUES (4, 'a', 'b'), (104, 'a', NULL);
SELECT conflicts FROM migspec.migrations WHERE name = 'conflicts';
UPDATE memo SET content = 'c', content_text = 'd', n = 1, m = 2 WHERE id = 4;
SELECT conflicts FROM migspec.migrations WHERE name = 'conflicts';

-- also what was rolled back
BEGIN;
UPDATE memo SET n = 3, m = 4 WHERE id = 1;
ROLLBACK;
SELECT stored('conflicts', 5);
SELECT conflicts FROM migspec.migrations WHERE name = 'conflicts';

-- The first one is an event, and so is each power of ten.
UPDATE memo SET n = id, m = id + 1 WHERE id = 2;
SELECT stored('conflicts', 6);
INSERT INTO memo (id, n, m) SELECT i, i, i + 1 FROM generate_series(11, 20) AS i;
SELECT stored('conflicts', 16);
SELECT count(*), max((detail->>'conflicts')::int) BETWEEN 10 AND 16 AS last, min(detail->>'relation') AS relation
	FROM migspec.events WHERE migration = 'conflicts' AND event = 'conflict';

-- They stay when the migration is over.
SELECT migspec_rollback('conflicts');
SELECT conflicts FROM migspec.migrations WHERE name = 'conflicts';

-- Those that are refused are counted as well.
SELECT migspec_expand('conflicts', migspec_rename_column('memo', 'content', 'content_text'),
	conflict_policy => 'error');
INSERT INTO memo (id, content, content_text) VALUES (5, 'a', 'b');
SELECT stored('conflicts', 1);
SELECT migspec_rollback('conflicts');

-- Such a trigger on a table of somebody else counts for nobody.
DELETE FROM memo;
INSERT INTO memo (id, content) VALUES (1, 'a');
SELECT migspec_expand('conflicts', migspec_rename_column('memo', 'content', 'content_text'));
CALL migspec_run('conflicts', 'verified');
SELECT format('up_%s', o.id) AS up, format('down_%s', o.id) AS down FROM migspec.operation AS o
	JOIN migspec.migration AS m ON m.id = o.migration_id WHERE m.name = 'conflicts' \gset
CREATE ROLE conflicts_other;
GRANT ALL ON SCHEMA conflicts TO conflicts_other;
SET ROLE conflicts_other;
CREATE TABLE other (a text, b text);
CREATE TRIGGER "~migspec_sync" BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION
	migspec.sync('new_wins', 'a', 'b', '', :'up', 'a', :'down', 'b', 'old', '');
CREATE FUNCTION pass() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER "~zzz" BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION pass();
INSERT INTO other VALUES ('1', '2') RETURNING *;
RESET ROLE;
SELECT migspec_switch('conflicts');
SELECT conflicts, rows_compared FROM migspec.migrations WHERE name = 'conflicts';
SELECT migspec_rollback('conflicts');
DROP OWNED BY conflicts_other;
DROP ROLE conflicts_other;

DROP SCHEMA conflicts CASCADE;
