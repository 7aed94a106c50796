-- :tables tables that look like an application's: keys, foreign keys, indexes,
-- CHECK constraints, one in a hundred partitioned.

SET synchronous_commit = off;

CREATE PROCEDURE make_tables(tables integer)
LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. tables LOOP
		IF i % 100 = 0 THEN
			EXECUTE format('CREATE TABLE t%s (id bigint NOT NULL, ref integer, note varchar(20),
				amount numeric(10,2), at timestamptz) PARTITION BY RANGE (id)', i);
			EXECUTE format('CREATE TABLE t%s_1 PARTITION OF t%s FOR VALUES FROM (1) TO (1000)', i, i);
			EXECUTE format('CREATE TABLE t%s_2 PARTITION OF t%s FOR VALUES FROM (1000) TO (2000)', i, i);
		ELSE
			EXECUTE format('CREATE TABLE t%s (id bigint PRIMARY KEY, ref bigint %s,
				note varchar(20), amount numeric(10,2) CHECK (amount >= 0), at timestamptz)', i,
				CASE WHEN i % 100 > 1 THEN format('REFERENCES t%s', i - 1) END);
			EXECUTE format('CREATE INDEX ON t%s (note)', i);
		END IF;
		IF i % 3 = 0 THEN
			EXECUTE format('INSERT INTO t%s (id, note, amount) SELECT g, g, g FROM generate_series(1, 100) g', i);
		END IF;
		IF i % 100 = 0 THEN
			COMMIT;
		END IF;
	END LOOP;
END $$;

CALL make_tables(:tables);
VACUUM ANALYZE;
