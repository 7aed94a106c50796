/*
 * Flags: Unleash feature documents.  The columns up to "migration" are read by
 * position in flags/cache.c.  The names sort by bytes, because the lookup
 * knows no other order.
 */
CREATE TABLE migspec.flag (
	name		text COLLATE "C" PRIMARY KEY,
	document	jsonb NOT NULL,
	stamp		bigint NOT NULL,
	owner		regrole NOT NULL,
	stage		text CHECK (stage OPERATOR(pg_catalog.=) ANY
		(ARRAY['off', 'dualwrite', 'shadow', 'live', 'rampdown', 'complete']::text[])),
	next_stage	text CHECK (next_stage OPERATOR(pg_catalog.=) ANY
		(ARRAY['off', 'dualwrite', 'shadow', 'live', 'rampdown', 'complete']::text[])),
	migration	text REFERENCES migspec.migration (name) ON UPDATE CASCADE ON DELETE SET NULL,
	stages		smallint NOT NULL DEFAULT 6
		CHECK (stages OPERATOR(pg_catalog.=) ANY (ARRAY[2, 4, 6]::smallint[])),
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.now(),
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE migspec.flag IS 'feature flags: Unleash documents, and the stages of migration flags';

CREATE TABLE migspec.flag_segment (
	id			integer PRIMARY KEY,
	document	jsonb NOT NULL,
	stamp		bigint NOT NULL
);
COMMENT ON TABLE migspec.flag_segment IS 'segments: constraints that flags share';

/* One row, which every change of a flag or a segment updates. */
CREATE TABLE migspec.flag_generation (
	stamp		bigint NOT NULL,
	segments	bigint NOT NULL,
	one_row		boolean NOT NULL DEFAULT true UNIQUE CHECK (one_row)
) WITH (fillfactor = 10);
COMMENT ON TABLE migspec.flag_generation IS 'which state the flags are in: the stamp of the last change';
INSERT INTO migspec.flag_generation (stamp, segments) VALUES (0, 0);

/* Never reused, not even by a transaction that was rolled back. */
CREATE SEQUENCE migspec.flag_stamp;
COMMENT ON SEQUENCE migspec.flag_stamp IS 'stamps of changes to flags';
