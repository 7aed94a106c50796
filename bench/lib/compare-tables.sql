-- Tables, triggers and procedures of the comparison.

-- (a) One table for each way to keep w equal to v.  Unlogged and without
-- indexes, so that writing costs little besides the trigger.
CREATE UNLOGGED TABLE int_none (id bigint, v integer, w bigint);
CREATE UNLOGGED TABLE int_plpgsql (LIKE int_none);
CREATE UNLOGGED TABLE int_both (LIKE int_none);
CREATE UNLOGGED TABLE int_c (id bigint, v integer);
CREATE UNLOGGED TABLE text_none (id bigint, v text, w text);
CREATE UNLOGGED TABLE text_plpgsql (LIKE text_none);
CREATE UNLOGGED TABLE text_both (LIKE text_none);
CREATE UNLOGGED TABLE text_c (id bigint, v text);

DO $$
BEGIN
	PERFORM migspec_expand('int_c', migspec_change_type('int_c', 'v', 'bigint'));
	PERFORM migspec_expand('text_c', migspec_rename_column('text_c', 'v', 'w'));
END
$$;

-- The least that PL/pgSQL can do: copy the old column to the new one.
CREATE FUNCTION copy_column() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	NEW.w := NEW.v;
	RETURN NEW;
END
$$;
CREATE TRIGGER copy BEFORE INSERT OR UPDATE ON int_plpgsql
	FOR EACH ROW EXECUTE FUNCTION copy_column();
CREATE TRIGGER copy BEFORE INSERT OR UPDATE ON text_plpgsql
	FOR EACH ROW EXECUTE FUNCTION copy_column();

-- What it takes to follow writers of either side.  Unlike the trigger in C,
-- this one cannot see which columns a statement names, only which changed.
CREATE FUNCTION sync_columns() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF TG_OP = 'INSERT' THEN
		IF NEW.w IS NULL THEN
			NEW.w := NEW.v;
		ELSE
			NEW.v := NEW.w;
		END IF;
	ELSIF NEW.w IS DISTINCT FROM OLD.w THEN
		NEW.v := NEW.w;
	ELSE
		NEW.w := NEW.v;
	END IF;
	RETURN NEW;
END
$$;
CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON int_both
	FOR EACH ROW EXECUTE FUNCTION sync_columns();
CREATE TRIGGER sync BEFORE INSERT OR UPDATE ON text_both
	FOR EACH ROW EXECUTE FUNCTION sync_columns();

CREATE TABLE trigger_run (kind text, way text, ins float8, upd float8);

CREATE PROCEDURE measure_trigger(kind text, way text, name text, rows bigint,
	columns text, source text, set_list text) LANGUAGE plpgsql AS $$
DECLARE
	t0 timestamptz;
	t1 timestamptz;
	t2 timestamptz;
BEGIN
	EXECUTE format('TRUNCATE %I', name);
	COMMIT;
	t0 := clock_timestamp();
	EXECUTE format('INSERT INTO %I (%s) SELECT %s FROM generate_series(1, $1) AS i',
		name, columns, source) USING rows;
	COMMIT;
	t1 := clock_timestamp();
	EXECUTE format('UPDATE %I SET %s', name, set_list);
	COMMIT;
	t2 := clock_timestamp();
	INSERT INTO trigger_run VALUES (kind, way,
		1000 * extract(epoch FROM t1 - t0), 1000 * extract(epoch FROM t2 - t1));
END
$$;

-- (b) and (c)  Rows as in an ordinary table, two indexes besides the key; full
-- pages.  No autovacuum, whose moment would be chance.
CREATE PROCEDURE fresh_table(name text, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %I (id bigint PRIMARY KEY, v integer NOT NULL,'
		' note text NOT NULL, created_at timestamptz NOT NULL)'
		' WITH (autovacuum_enabled = off)', name);
	EXECUTE format('INSERT INTO %I SELECT i, i %% 100000, ''note '' || md5(i::text),'
		' now() - i * interval ''1 second'' FROM generate_series(1, $1) AS i', name) USING rows;
	EXECUTE format('CREATE INDEX ON %I (created_at)', name);
	EXECUTE format('CREATE INDEX ON %I (note)', name);
END
$$;

CREATE PROCEDURE fill_by_key(name text, batch integer) LANGUAGE plpgsql AS $$
DECLARE
	last bigint := 0;
BEGIN
	LOOP
		EXECUTE format('WITH batch AS MATERIALIZED ('
			' SELECT id FROM %1$I WHERE id > $1 ORDER BY id LIMIT $2 FOR NO KEY UPDATE),'
			' done AS (UPDATE %1$I AS t SET w = t.v FROM batch WHERE t.id = batch.id RETURNING t.id)'
			' SELECT max(id) FROM done', name)
			INTO last USING last, batch;
		COMMIT;
		EXIT WHEN last IS NULL;
	END LOOP;
END
$$;

CREATE PROCEDURE wait_for_backfill(name text) LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		PERFORM FROM migspec.migration AS m
			LEFT JOIN migspec.backfill AS b ON b.migration_id = m.id
		WHERE m.name = wait_for_backfill.name
			AND m.phase = 'migrating' AND b.state IS DISTINCT FROM 'done';
		EXIT WHEN NOT FOUND;
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;

CREATE TABLE backfill_run (
	number		integer GENERATED ALWAYS AS IDENTITY,
	way			text,
	rows		bigint,
	seconds		float8,
	wal_bytes	numeric,
	size_bytes	bigint,
	growth_bytes bigint,
	updated		bigint,
	hot			bigint
);

CREATE FUNCTION finish_measuring(way text, name text, rows bigint, seconds float8,
	lsn pg_lsn, size_bytes bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	wal numeric := pg_current_wal_insert_lsn() - lsn;
	growth bigint := pg_relation_size(name) - size_bytes;
BEGIN
	-- the counters of another process come with some delay
	FOR i IN 1 .. 50 LOOP
		EXIT WHEN (SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = name) >= rows;
		PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
	END LOOP;
	INSERT INTO backfill_run (way, rows, seconds, wal_bytes, size_bytes, growth_bytes, updated, hot)
	SELECT way, rows, seconds, wal, size_bytes, growth, n_tup_upd, n_tup_hot_upd
	FROM pg_stat_user_tables WHERE relname = name;
END
$$;

-- (c)  Watch the progress row: rows done, and the time that batches took.
CREATE TABLE backfill_sample (at timestamptz, rows_done bigint, rows_total bigint, busy interval);

CREATE PROCEDURE watch_backfill(name text) LANGUAGE plpgsql AS $$
BEGIN
	LOOP
		INSERT INTO backfill_sample
		SELECT clock_timestamp(), b.rows_done, b.rows_total, b.busy
		FROM migspec.migration AS m JOIN migspec.backfill AS b ON b.migration_id = m.id
		WHERE m.name = watch_backfill.name;
		PERFORM FROM migspec.migration AS m
			LEFT JOIN migspec.backfill AS b ON b.migration_id = m.id
		WHERE m.name = watch_backfill.name
			AND m.phase = 'migrating' AND b.state IS DISTINCT FROM 'done';
		EXIT WHEN NOT FOUND;
		COMMIT;
		PERFORM pg_sleep(0.05);
	END LOOP;
END
$$;

CREATE VIEW batch_times AS
SELECT format('%s to %s %%', 10 * part, 10 * part + 10) AS "part of the rows",
	rows_done - lag(rows_done, 1, 0::bigint) OVER w AS rows,
	round((1000 * extract(epoch FROM busy - lag(busy, 1, '0'::interval) OVER w)
		/ nullif(rows_done - lag(rows_done, 1, 0::bigint) OVER w, 0))::numeric
		* 2000, 1) AS "ms per batch of 2,000 rows"
FROM (
	SELECT part, max(rows_done) AS rows_done, max(busy) AS busy
	FROM (
		SELECT *, least(9, 10 * rows_done / nullif(rows_total, 0)) AS part
		FROM backfill_sample
	) AS s
	WHERE part IS NOT NULL GROUP BY part
) AS t
WINDOW w AS (ORDER BY part);
