/* The guard. */

CREATE FUNCTION @extschema@.migspec_guard_override(reason text) RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_guard_override';
REVOKE ALL ON FUNCTION @extschema@.migspec_guard_override(text) FROM PUBLIC;
COMMENT ON FUNCTION @extschema@.migspec_guard_override(text)
	IS 'let the rest of this transaction pass the guard, whatever it does; the reason is recorded';
