-- Runs work for real and compares it with what migspec_check() says before.

CREATE TABLE parent (id bigint PRIMARY KEY);
CREATE TABLE work (id bigint PRIMARY KEY, ref bigint, note text, amount numeric, at timestamptz);
INSERT INTO parent SELECT g FROM generate_series(1, 1000) g;
INSERT INTO work SELECT g, 1 + g % 1000, md5(g::text), g, now() FROM generate_series(1, :rows) g;
VACUUM (ANALYZE) work, parent;
CHECKPOINT;

CREATE TABLE measured (n serial, kind text, bytes bigint, estimated float8, seconds float8);

CREATE PROCEDURE measure(what text, statement text)
LANGUAGE plpgsql AS $$
DECLARE
	begin_at timestamptz;
	work_bytes bigint;
	estimated float8;
BEGIN
	SELECT max(c.work_bytes), max(c.est_seconds) INTO work_bytes, estimated
	FROM migspec_check(statement) AS c;
	begin_at := clock_timestamp();
	EXECUTE statement;
	INSERT INTO measured (kind, bytes, estimated, seconds)
	VALUES (what, work_bytes, estimated, extract(epoch FROM clock_timestamp() - begin_at));
END $$;

CALL measure('scan: CHECK', 'ALTER TABLE work ADD CHECK (amount > 0)');
CALL measure('scan: SET NOT NULL', 'ALTER TABLE work ALTER COLUMN note SET NOT NULL');
CALL measure('index build: bigint', 'CREATE INDEX ON work (ref)');
CALL measure('index build: text', 'CREATE INDEX ON work (note)');
CALL measure('foreign key', 'ALTER TABLE work ADD FOREIGN KEY (ref) REFERENCES parent');
CALL measure('rewrite: volatile default', 'ALTER TABLE work ADD COLUMN u uuid DEFAULT gen_random_uuid()');
CALL measure('rewrite: change of type', 'ALTER TABLE work ALTER COLUMN amount TYPE float8');

SELECT kind AS "work", pg_size_pretty(bytes) AS bytes,
	round((bytes / seconds / 1e6)::numeric) AS "MB/s", round(seconds::numeric, 2) AS seconds,
	round(estimated::numeric, 2) AS estimated
FROM measured ORDER BY n;
