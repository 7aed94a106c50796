/* Functions that the engine's own statements call; not for people. */

CREATE FUNCTION migspec.sync() RETURNS trigger
	AS 'MODULE_PATHNAME', 'migspec_sync'
	LANGUAGE C;
COMMENT ON FUNCTION migspec.sync() IS
	'trigger function that keeps old and new columns in agreement while a migration runs';

CREATE FUNCTION migspec.identical(anyelement, anyelement) RETURNS boolean
	AS 'MODULE_PATHNAME', 'migspec_identical'
	LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION migspec.identical(anyelement, anyelement) IS
	'whether two values are the same bit by bit; NULL is identical to NULL';

CREATE FUNCTION migspec.create_expression(function_name name, relation regclass,
		expression text, columns text[], returns text) RETURNS void
	AS 'MODULE_PATHNAME', 'migspec_create_expression'
	LANGUAGE C STRICT;
REVOKE ALL ON FUNCTION migspec.create_expression(name, regclass, text, text[], text) FROM PUBLIC;
COMMENT ON FUNCTION migspec.create_expression(name, regclass, text, text[], text) IS
	'step of expand: keep an expression of a migration as a function of the table''s row';
