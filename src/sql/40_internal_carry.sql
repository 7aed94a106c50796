/*
 * Changes to the catalogs that have no SQL command, for the steps of a
 * migration.  Only the extension's owner can call them.
 */

CREATE FUNCTION migspec.swap_index(tab regclass, index regclass, other regclass)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_swap_index';
REVOKE ALL ON FUNCTION migspec.swap_index(regclass, regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION migspec.swap_index(regclass, regclass, regclass) IS
	'internal: let two indexes of a table trade places, but not names and constraints';

CREATE FUNCTION migspec.attach_index(index regclass, partition regclass, name text)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_attach_index';
REVOKE ALL ON FUNCTION migspec.attach_index(regclass, regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION migspec.attach_index(regclass, regclass, text) IS
	'internal: attach the index of a partition to that of its parent, unless there is one';

CREATE FUNCTION migspec.validate_index(index regclass)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_validate_index';
REVOKE ALL ON FUNCTION migspec.validate_index(regclass) FROM PUBLIC;
COMMENT ON FUNCTION migspec.validate_index(regclass) IS
	'internal: mark the index of a partitioned table as valid if those of all partitions are';

CREATE FUNCTION migspec.pass_default(tab regclass, from_column text, to_column text, expression text, keep boolean)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_pass_default';
REVOKE ALL ON FUNCTION migspec.pass_default(regclass, text, text, text, boolean) FROM PUBLIC;
COMMENT ON FUNCTION migspec.pass_default(regclass, text, text, text, boolean) IS
	'internal: move a default to another column, in the table and in partitions that have the same one';

CREATE FUNCTION migspec.make_deferrable_key(tab regclass, model text, index regclass)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_make_deferrable_key';
REVOKE ALL ON FUNCTION migspec.make_deferrable_key(regclass, text, regclass) FROM PUBLIC;
COMMENT ON FUNCTION migspec.make_deferrable_key(regclass, text, regclass) IS
	'internal: make an index that of a unique constraint, deferrable like another one';

CREATE FUNCTION migspec.check_rows(tab regclass, condition text)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_check_rows';
REVOKE ALL ON FUNCTION migspec.check_rows(regclass, text) FROM PUBLIC;
COMMENT ON FUNCTION migspec.check_rows(regclass, text) IS
	'internal: error if a row of a table makes a condition false';

CREATE FUNCTION migspec.check_unique(tab regclass, index regclass)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_check_unique';
REVOKE ALL ON FUNCTION migspec.check_unique(regclass, regclass) FROM PUBLIC;
COMMENT ON FUNCTION migspec.check_unique(regclass, regclass) IS
	'internal: error if the rows of a table are not unique in the columns of an index';

CREATE FUNCTION migspec.move_identity(tab regclass, from_column text, to_column text)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_move_identity';
REVOKE ALL ON FUNCTION migspec.move_identity(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migspec.move_identity(regclass, text, text) IS
	'internal: let another column be the identity column, with the same sequence';

CREATE FUNCTION migspec.copy_column_grants(tab regclass, from_column text, to_column text)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_copy_column_grants';
REVOKE ALL ON FUNCTION migspec.copy_column_grants(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migspec.copy_column_grants(regclass, text, text) IS
	'internal: give a column the grants that another one has';

CREATE FUNCTION migspec.rename_constraint(tab regclass, from_name text, to_name text)
RETURNS void
LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_rename_constraint';
REVOKE ALL ON FUNCTION migspec.rename_constraint(regclass, text, text) FROM PUBLIC;
COMMENT ON FUNCTION migspec.rename_constraint(regclass, text, text) IS
	'internal: rename a constraint, be it inherited or a foreign key with parts';
