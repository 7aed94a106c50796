/* Functions that the engine's own statements call; not for people. */

CREATE FUNCTION migspec.sync() RETURNS trigger
	AS 'MODULE_PATHNAME', 'migspec_sync'
	LANGUAGE C;
COMMENT ON FUNCTION migspec.sync() IS
	'trigger function that keeps old and new columns in agreement while a migration runs';

CREATE FUNCTION migspec.conflicts_pending(relation regclass, operation_id bigint) RETURNS bigint
	AS 'MODULE_PATHNAME', 'migspec_conflicts_pending'
	LANGUAGE C STRICT;
COMMENT ON FUNCTION migspec.conflicts_pending(regclass, bigint) IS
	'conflicts that the sync trigger has counted, but that are not in the catalog yet';

CREATE FUNCTION migspec.identical(anyelement, anyelement) RETURNS boolean
	AS 'MODULE_PATHNAME', 'migspec_identical'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION migspec.identical(anyelement, anyelement) IS
	'whether two values are the same bit by bit; NULL is identical to NULL';

CREATE FUNCTION migspec.protect_columns(relation regclass) RETURNS void
	AS 'MODULE_PATHNAME', 'migspec_protect_columns'
	LANGUAGE C STRICT;
COMMENT ON FUNCTION migspec.protect_columns(regclass) IS
	'step of several phases: columns that the sync trigger uses cannot be dropped, nor their types changed';
