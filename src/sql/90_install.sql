/* Last of all: at commit, tell the launcher that this database has the extension. */

CREATE FUNCTION migspec.extension_installed() RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_extension_installed';
REVOKE ALL ON FUNCTION migspec.extension_installed() FROM PUBLIC;
COMMENT ON FUNCTION migspec.extension_installed() IS 'at commit, have the launcher start a scheduler in this database';

SELECT migspec.extension_installed();
