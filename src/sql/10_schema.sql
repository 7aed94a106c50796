/* Catalog tables of migspec. Written only by the extension, in C. */

\echo Use "CREATE EXTENSION migspec" to load this file. \quit

SET LOCAL search_path TO pg_catalog, pg_temp;

CREATE SCHEMA migspec;
GRANT USAGE ON SCHEMA migspec TO PUBLIC;
COMMENT ON SCHEMA migspec IS 'catalog tables and views of the migspec extension';

/*
 * The state machine.  A move that is not a row here cannot happen: the one
 * function that changes a phase looks it up.  "call" is what a person types
 * to make the move; moves with by_worker are made by a background worker.
 */
CREATE TABLE migspec.transition (
	from_phase	text NOT NULL,
	to_phase	text NOT NULL,
	call		text NOT NULL,
	by_worker	boolean NOT NULL DEFAULT false,
	PRIMARY KEY (from_phase, to_phase)
);
COMMENT ON TABLE migspec.transition IS 'the allowed moves between phases, and the call that makes each';

INSERT INTO migspec.transition (from_phase, to_phase, call, by_worker) VALUES
	('planned', 'expanded', 'migspec_expand', false),
	('expanded', 'migrating', 'migspec_migrate', false),
	('migrating', 'migrated', 'migspec_wait', true),
	('migrated', 'verified', 'migspec_verify', false),
	('verified', 'switched', 'migspec_switch', false),
	('switched', 'contracted', 'migspec_contract', false),
	('contracted', 'finished', 'migspec_finish', true),
	('planned', 'rolled_back', 'migspec_rollback', false),
	('expanded', 'rolled_back', 'migspec_rollback', false),
	('migrating', 'rolled_back', 'migspec_rollback', false),
	('migrated', 'rolled_back', 'migspec_rollback', false),
	('verified', 'rolled_back', 'migspec_rollback', false),
	('switched', 'rolled_back', 'migspec_rollback', false),
	('contracted', 'rolled_back', 'migspec_rollback', false);

/*
 * One row per migration.  The changing columns carry no index, so that the
 * updates of a running migration stay HOT.
 */
CREATE TABLE migspec.migration (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name		text NOT NULL UNIQUE,
	owner		regrole NOT NULL,
	phase		text NOT NULL DEFAULT 'planned'
		CHECK (phase OPERATOR(pg_catalog.=) ANY (ARRAY['planned', 'expanded', 'migrating', 'migrated',
			'verified', 'switched', 'contracted', 'finished', 'rolled_back']::text[])),
	phase_since	timestamptz NOT NULL DEFAULT pg_catalog.now(),
	operations	jsonb NOT NULL,
	author_search_path text NOT NULL,
	conflict_policy text NOT NULL DEFAULT 'new_wins'
		CHECK (conflict_policy OPERATOR(pg_catalog.=) ANY (ARRAY['new_wins', 'error']::text[])),
	allow_irreversible boolean NOT NULL DEFAULT false,
	contract_grace interval NOT NULL DEFAULT '24 hours',
	finish_after timestamptz,
	/* when somebody last did what the phase guard forbids */
	overridden_at timestamptz,
	/* steering of the worker */
	paused		boolean NOT NULL DEFAULT false,
	strategy	text NOT NULL DEFAULT 'window'
		CHECK (strategy OPERATOR(pg_catalog.=) ANY (ARRAY['window', 'one_pass']::text[])),
	max_rows_per_second integer CHECK (max_rows_per_second OPERATOR(pg_catalog.>) 0),
	/* the last failure, cleared by the next success */
	failures	integer NOT NULL DEFAULT 0,
	retry_at	timestamptz,
	last_error_at timestamptz,
	last_sqlstate text,
	last_error	text,
	last_detail	text,
	last_hint	text,
	last_step	text,
	/* writes of both columns with values that disagreed */
	conflicts	bigint NOT NULL DEFAULT 0,
	/* the last verification */
	verified_at	timestamptz,
	rows_compared bigint,
	rows_differing bigint
) WITH (fillfactor = 50);
COMMENT ON TABLE migspec.migration IS 'one row per migration: its phase, its options and its last error';

/*
 * At most one active migration per table: the unique index says so, whatever
 * the code does.  The row is removed when the migration finishes or is
 * rolled back.
 */
CREATE TABLE migspec.target (
	relation	regclass PRIMARY KEY,
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE
);
COMMENT ON TABLE migspec.target IS 'the tables that an active migration holds, each at most once';

/*
 * One row per operation.  Every operation of this version is a column pair:
 * an old column, a new column, and the expressions between them.
 *
 * old_name and new_name are what applications call the two; old_column and
 * new_column are the names that the physical columns bear right now, which
 * change with the phases.  planned_for is what the plan was made for: table
 * and columns, as text.  rows_compared is of the last verification.
 */
CREATE TABLE migspec.operation (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE,
	ordinal		integer NOT NULL,
	kind		text NOT NULL,
	relation	regclass NOT NULL,
	old_name	text,
	new_name	text NOT NULL,
	old_column	text,
	new_column	text NOT NULL,
	marker_column text,
	new_type	text NOT NULL,
	up			text,
	down		text,
	up_sql		text,
	up_columns	text[],
	down_sql	text,
	down_columns text[],
	volatile	boolean NOT NULL DEFAULT false,
	planned_for	text,
	rows_compared bigint,
	/* of the table, on all levels, when it was planned */
	partitions	regclass[] NOT NULL DEFAULT '{}',
	UNIQUE (migration_id, ordinal)
);
COMMENT ON TABLE migspec.operation IS 'the operations of a migration: old column, new column, and the expressions between them';

/*
 * The plan is data: every statement that a phase will run, with the one that
 * undoes it.
 */
CREATE TABLE migspec.step (
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE,
	ordinal		integer NOT NULL,
	phase		text NOT NULL,
	kind		text NOT NULL
		CHECK (kind OPERATOR(pg_catalog.=) ANY (ARRAY['sql', 'concurrently', 'backfill']::text[])),
	as_extension boolean NOT NULL DEFAULT false,
	relation	regclass,
	/* if the step is for one partition only: it is skipped if that has gone */
	partition	regclass,
	locked		regclass[] NOT NULL DEFAULT '{}',
	lock_mode	text NOT NULL,
	statement	text NOT NULL,
	undo		text,
	carries		text,
	rewrites	boolean NOT NULL DEFAULT false,
	est_rows	bigint,
	est_seconds	float8,
	done_at		timestamptz,
	skipped		boolean NOT NULL DEFAULT false,
	PRIMARY KEY (migration_id, ordinal)
);
COMMENT ON TABLE migspec.step IS 'the statements of each phase, each with its undo';

/*
 * Progress of the backfill, one row per table (leaf partition).  Updated in
 * the transaction of every batch; only the primary key is indexed, so the
 * updates are HOT.
 */
CREATE TABLE migspec.backfill (
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE,
	relation	regclass NOT NULL,
	state		text NOT NULL DEFAULT 'pending'
		CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['pending', 'running', 'sweeping', 'done']::text[])),
	relfilenode	oid NOT NULL DEFAULT 0,
	end_block	bigint NOT NULL DEFAULT 0,
	next_block	bigint NOT NULL DEFAULT 0,
	pass		integer NOT NULL DEFAULT 0,
	passes		integer NOT NULL DEFAULT 1,
	skipped		bigint[] NOT NULL DEFAULT '{}',
	rows_done	bigint NOT NULL DEFAULT 0,
	rows_total	bigint NOT NULL DEFAULT 0,
	rows_hot	bigint NOT NULL DEFAULT 0,
	restarts	integer NOT NULL DEFAULT 0,
	busy		interval NOT NULL DEFAULT '0',
	started_at	timestamptz,
	updated_at	timestamptz,
	finished_at	timestamptz,
	PRIMARY KEY (migration_id, relation)
) WITH (fillfactor = 20, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0);
COMMENT ON TABLE migspec.backfill IS 'progress of the backfill, one row per table; commits with the batch it describes';

/* Rows that the backfill could not convert. */
CREATE TABLE migspec.failed_row (
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE,
	relation	regclass NOT NULL,
	row_ctid	tid NOT NULL,
	key			jsonb,
	sqlstate	text NOT NULL,
	message		text NOT NULL,
	detail		text,
	failed_at	timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX ON migspec.failed_row (migration_id, relation);
COMMENT ON TABLE migspec.failed_row IS 'rows that the backfill could not convert, with the error of each';

/* Rows that the last verification found different. */
CREATE TABLE migspec.difference (
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE,
	relation	regclass NOT NULL,
	new_name	text NOT NULL,
	row_ctid	tid NOT NULL,
	key			jsonb,
	old_value	text,
	new_value	text,
	expected	text
);
CREATE INDEX ON migspec.difference (migration_id);
COMMENT ON TABLE migspec.difference IS 'rows whose old and new columns the last verification found different';

/*
 * Who used an old column while its migration was active.  Written by the
 * scheduler, from shared memory, about once a second; see
 * migspec.old_shape_usage for what has not come here yet as well.
 */
CREATE TABLE migspec.usage (
	migration_id bigint NOT NULL REFERENCES migspec.migration ON DELETE CASCADE,
	relation	regclass NOT NULL,
	"column"	text NOT NULL,
	role		oid NOT NULL,
	application	text NOT NULL,
	reads		bigint NOT NULL,
	writes		bigint NOT NULL,
	last_read	timestamptz,
	last_write	timestamptz,
	query_id	bigint,
	pid			integer NOT NULL,
	query		text NOT NULL,
	PRIMARY KEY (migration_id, relation, "column", role, application)
) WITH (fillfactor = 50);
COMMENT ON TABLE migspec.usage IS 'who used an old column while its migration was active';

CREATE TABLE migspec.event (
	id			bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at			timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	migration_id bigint,
	migration	text,
	event		text NOT NULL,
	detail		jsonb NOT NULL DEFAULT '{}',
	by_role		name NOT NULL DEFAULT SESSION_USER
);
CREATE INDEX ON migspec.event (migration_id, id);
COMMENT ON TABLE migspec.event IS 'the history: phase moves, retries, throttling and errors';

/* State that a dump must carry.  migspec.transition is ours alone. */
SELECT pg_catalog.pg_extension_config_dump('migspec.migration', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.target', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.operation', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.step', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.backfill', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.failed_row', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.difference', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.event', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.migration_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.operation_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.event_id_seq', '');
