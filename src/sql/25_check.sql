
/* What a script of DDL would do, and what is wrong with it.  Nothing runs. */

CREATE FUNCTION @extschema@.migspec_ddl_effects(sql text)
RETURNS TABLE (statement integer, relation text, lock_mode text, rewrite boolean,
	scan boolean, index_build boolean, fk_validation boolean)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_ddl_effects';
COMMENT ON FUNCTION @extschema@.migspec_ddl_effects(text)
	IS 'what each statement of a script would lock, and the work it would do on existing rows; runs nothing';

CREATE FUNCTION @extschema@.migspec_check(sql text)
RETURNS TABLE (statement integer, rule text, severity text, object text, lock_mode text,
	other_locks text[], work text, work_bytes bigint, est_seconds float8, waits_for text,
	why text, safe_way text)
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_check';
COMMENT ON FUNCTION @extschema@.migspec_check(text)
	IS 'what would hurt in a script on this database, and the safe way of doing it; runs nothing';

CREATE FUNCTION @extschema@.migspec_check_report(sql text, format text DEFAULT 'text',
	uri text DEFAULT 'script.sql', before text DEFAULT NULL)
RETURNS SETOF text
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_check_report';
COMMENT ON FUNCTION @extschema@.migspec_check_report(text, text, text, text)
	IS 'what migspec_check() finds, as text to read, json or sarif; "before" is a script that would have run by then';
