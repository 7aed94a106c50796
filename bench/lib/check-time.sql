-- Time of one call with a script of :n statements of ten kinds.

SELECT string_agg(format((ARRAY[
	'ALTER TABLE t%1$s ADD COLUMN extra uuid DEFAULT gen_random_uuid()',
	'ALTER TABLE t%1$s ALTER COLUMN note SET NOT NULL',
	'ALTER TABLE t%1$s ALTER COLUMN note TYPE text',
	'ALTER TABLE t%1$s ALTER COLUMN amount TYPE numeric(12,4)',
	'CREATE INDEX ON t%1$s (at)',
	'ALTER TABLE t%1$s ADD CONSTRAINT c CHECK (note <> '''')',
	'ALTER TABLE t%1$s ADD FOREIGN KEY (id) REFERENCES t1 (id)',
	'ALTER TABLE t%1$s DROP COLUMN amount',
	'ALTER TABLE t%1$s RENAME COLUMN note TO remark',
	'CREATE TABLE new%1$s (id integer PRIMARY KEY, ref bigint REFERENCES t%1$s)'])[1 + i % 10],
	1 + (i * 7) % tables), E';\n' ORDER BY i) AS s
FROM generate_series(1, :n) AS i,
	(SELECT count(*) - 300 AS tables FROM pg_class WHERE relname ~ '^t[0-9]+$') AS t \gset

\c -
CREATE TEMP TABLE script AS SELECT :'s'::text AS s;
SELECT clock_timestamp() AS begin \gset
SELECT count(*) AS rows FROM script, LATERAL :call \gset
SELECT format('%-28s %s ms, %s rows', :'what',
	round(1000 * extract(epoch FROM clock_timestamp() - :'begin')), :'rows') AS line \gset
\echo :line
