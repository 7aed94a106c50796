/* What people call. These functions are where CREATE EXTENSION is told. */

CREATE FUNCTION @extschema@.migspec_plan(migration text, operations jsonb,
	version_schema text DEFAULT NULL, contract_grace interval DEFAULT '24 hours',
	allow_irreversible boolean DEFAULT false, conflict_policy text DEFAULT 'new_wins')
RETURNS TABLE (step integer, phase text, statement text, lock_mode text,
	rewrites boolean, rows bigint, estimated_seconds float8)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_plan';
COMMENT ON FUNCTION @extschema@.migspec_plan(text, jsonb, text, interval, boolean, text)
	IS 'check the operations against the live tables, store the plan, and show its steps; changes nothing else';

CREATE FUNCTION @extschema@.migspec_expand(migration text, operations jsonb DEFAULT NULL,
	version_schema text DEFAULT NULL, contract_grace interval DEFAULT '24 hours',
	allow_irreversible boolean DEFAULT false, conflict_policy text DEFAULT 'new_wins')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_expand';
COMMENT ON FUNCTION @extschema@.migspec_expand(text, jsonb, text, interval, boolean, text)
	IS 'plan, if operations are given, and add the new columns and the sync trigger';

CREATE FUNCTION @extschema@.migspec_migrate(migration text,
	max_rows_per_second integer DEFAULT NULL, strategy text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_migrate';
COMMENT ON FUNCTION @extschema@.migspec_migrate(text, integer, text)
	IS 'start the backfill, which a background worker does; strategies are window (the default) and one_pass';

CREATE FUNCTION @extschema@.migspec_pause(migration text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_pause';
COMMENT ON FUNCTION @extschema@.migspec_pause(text)
	IS 'stop a running backfill after its present batch';

CREATE FUNCTION @extschema@.migspec_resume(migration text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_resume';
COMMENT ON FUNCTION @extschema@.migspec_resume(text)
	IS 'let a worker go on that was paused, or that has given up after errors';

CREATE FUNCTION @extschema@.migspec_tune(migration text,
	max_rows_per_second integer DEFAULT NULL, strategy text DEFAULT NULL)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_tune';
COMMENT ON FUNCTION @extschema@.migspec_tune(text, integer, text)
	IS 'change the speed (0: no limit) and the strategy of a backfill; NULL leaves either as it is';

CREATE FUNCTION @extschema@.migspec_verify(migration text)
RETURNS TABLE ("check" text, ok boolean, detail text)
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_verify';
COMMENT ON FUNCTION @extschema@.migspec_verify(text)
	IS 'compare old and new columns over the whole table, and check that everything is in place';

CREATE FUNCTION @extschema@.migspec_switch(migration text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_switch';
COMMENT ON FUNCTION @extschema@.migspec_switch(text)
	IS 'let the new columns carry the defaults, NOT NULL, keys, identity and foreign keys';

CREATE FUNCTION @extschema@.migspec_contract(migration text, force boolean DEFAULT false) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_contract';
COMMENT ON FUNCTION @extschema@.migspec_contract(text, boolean)
	IS 'hide the old columns from applications; they are kept in sync for the grace period';

CREATE FUNCTION @extschema@.migspec_finish(migration text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_finish';
COMMENT ON FUNCTION @extschema@.migspec_finish(text)
	IS 'drop the old columns and everything else of migspec from the tables; there is no way back';

CREATE FUNCTION @extschema@.migspec_rollback(migration text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_rollback';
COMMENT ON FUNCTION @extschema@.migspec_rollback(text)
	IS 'make the tables what they were before expand; possible from every phase before finished';

CREATE FUNCTION @extschema@.migspec_wait(migration text, phase text,
	timeout interval DEFAULT '1 day')
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_wait';
COMMENT ON FUNCTION @extschema@.migspec_wait(text, text, interval)
	IS 'wait until a migration has reached a phase; NULL waits without a limit';

CREATE PROCEDURE @extschema@.migspec_run(migration text, until text DEFAULT 'finished')
LANGUAGE c
AS 'MODULE_PATHNAME', 'migspec_sql_run';
COMMENT ON PROCEDURE @extschema@.migspec_run(text, text)
	IS 'drive a migration through all phases up to one, with a progress bar';

/* Operations, so that nobody has to write JSON. */

CREATE FUNCTION @extschema@.migspec_rename_column(table_name text, old_name text, new_name text)
RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('rename_column',
	pg_catalog.jsonb_build_object('table', table_name, 'from', old_name, 'to', new_name)));
COMMENT ON FUNCTION @extschema@.migspec_rename_column(text, text, text)
	IS 'operations that rename a column';

CREATE FUNCTION @extschema@.migspec_change_type(table_name text, column_name text, new_type text,
	up text DEFAULT NULL, down text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('alter_column',
	pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('table', table_name,
		'column', column_name, 'type', new_type, 'up', up, 'down', down))));
COMMENT ON FUNCTION @extschema@.migspec_change_type(text, text, text, text, text)
	IS 'operations that change the type of a column; up and down convert its values, if a cast does not';

CREATE FUNCTION @extschema@.migspec_add_column(table_name text, column_name text, type text,
	up text DEFAULT NULL, nullable boolean DEFAULT true, "default" text DEFAULT NULL,
	comment text DEFAULT NULL)
RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.jsonb_build_array(pg_catalog.jsonb_build_object('add_column',
	pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('table', table_name, 'up', up,
		'column', pg_catalog.jsonb_build_object('name', column_name, 'type', type,
			'nullable', nullable, 'default', "default", 'comment', comment)))));
COMMENT ON FUNCTION @extschema@.migspec_add_column(text, text, text, text, boolean, text, text)
	IS 'operations that add a column; up gives its values for the rows that exist';
