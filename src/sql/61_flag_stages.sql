/*
 * Migration flags: which side a user reads and writes, while a migration goes
 * from its old shape to the new one.
 */

CREATE FUNCTION @extschema@.migspec_flag_stage(flag text, user_id text, context jsonb DEFAULT NULL) RETURNS text
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'migspec_sql_flag_stage';
COMMENT ON FUNCTION @extschema@.migspec_flag_stage(text, text, jsonb)
	IS 'the stage of a migration flag that this user is in: off, dualwrite, shadow, live, rampdown or complete';

CREATE FUNCTION @extschema@.migspec_flag_stage(flag text, user_id bigint) RETURNS text
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN @extschema@.migspec_flag_stage(flag, user_id::text);
COMMENT ON FUNCTION @extschema@.migspec_flag_stage(text, bigint) IS 'the stage of a migration flag that this user is in';

CREATE FUNCTION @extschema@.migspec_flag_stage(flag text, user_id uuid) RETURNS text
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN @extschema@.migspec_flag_stage(flag, user_id::text);
COMMENT ON FUNCTION @extschema@.migspec_flag_stage(text, uuid) IS 'the stage of a migration flag that this user is in';

CREATE FUNCTION @extschema@.migspec_flag_reads_new(flag text, user_id text, context jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'migspec_sql_flag_reads_new';
COMMENT ON FUNCTION @extschema@.migspec_flag_reads_new(text, text, jsonb)
	IS 'shall this user read the new shape? From stage live on; never NULL';

CREATE FUNCTION @extschema@.migspec_flag_reads_new(flag text, user_id bigint) RETURNS boolean
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN @extschema@.migspec_flag_reads_new(flag, user_id::text);
COMMENT ON FUNCTION @extschema@.migspec_flag_reads_new(text, bigint) IS 'shall this user read the new shape?';

CREATE FUNCTION @extschema@.migspec_flag_reads_new(flag text, user_id uuid) RETURNS boolean
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN @extschema@.migspec_flag_reads_new(flag, user_id::text);
COMMENT ON FUNCTION @extschema@.migspec_flag_reads_new(text, uuid) IS 'shall this user read the new shape?';

CREATE FUNCTION @extschema@.migspec_flag_writes(flag text, user_id text, context jsonb DEFAULT NULL) RETURNS text[]
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 5
AS 'MODULE_PATHNAME', 'migspec_sql_flag_writes';
COMMENT ON FUNCTION @extschema@.migspec_flag_writes(text, text, jsonb)
	IS 'which shapes this user''s writes go to, the one that decides first: {old}, {old,new}, {new,old} or {new}';

CREATE FUNCTION @extschema@.migspec_flag_writes(flag text, user_id bigint) RETURNS text[]
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN @extschema@.migspec_flag_writes(flag, user_id::text);
COMMENT ON FUNCTION @extschema@.migspec_flag_writes(text, bigint) IS 'which shapes this user''s writes go to';

CREATE FUNCTION @extschema@.migspec_flag_writes(flag text, user_id uuid) RETURNS text[]
LANGUAGE sql STABLE CALLED ON NULL INPUT PARALLEL SAFE
RETURN @extschema@.migspec_flag_writes(flag, user_id::text);
COMMENT ON FUNCTION @extschema@.migspec_flag_writes(text, uuid) IS 'which shapes this user''s writes go to';

CREATE FUNCTION @extschema@.migspec_flag_attach(flag text, migration text, stages integer DEFAULT 6) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_attach';
COMMENT ON FUNCTION @extschema@.migspec_flag_attach(text, text, integer)
	IS 'make a flag a migration''s, in stage off; with 6, 4 (off, shadow, live, complete) or 2 (off, complete) stages';

CREATE FUNCTION @extschema@.migspec_flag_detach(flag text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_detach';
COMMENT ON FUNCTION @extschema@.migspec_flag_detach(text)
	IS 'a flag in stage off or complete is its migration''s no longer; it stays in that stage';

CREATE FUNCTION @extschema@.migspec_flag_advance(flag text, percent numeric DEFAULT 0) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_advance';
COMMENT ON FUNCTION @extschema@.migspec_flag_advance(text, numeric)
	IS 'open the next stage for a percentage of users; or, when 100 % are in it, come to rest there';

CREATE FUNCTION @extschema@.migspec_flag_retreat(flag text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_retreat';
COMMENT ON FUNCTION @extschema@.migspec_flag_retreat(text)
	IS 'take all users back: from between two stages to the first one, from rest in a stage to the one before';

CREATE PROCEDURE @extschema@.migspec_flag_move(flag text, stage text)
LANGUAGE c
AS 'MODULE_PATHNAME', 'migspec_sql_flag_move';
COMMENT ON PROCEDURE @extschema@.migspec_flag_move(text, text)
	IS 'move all users to a stage, one stage after the other; waits for transactions that still see an earlier one';

/*
 * What flags were asked, and what comparisons found; written by the scheduler,
 * and by those who compare.  No foreign keys: whoever adds here must not wait
 * for who drops the flag, nor fail because it is gone.
 */
CREATE TABLE migspec.flag_count (
	flag		text COLLATE "C" PRIMARY KEY,
	evaluations_on bigint NOT NULL DEFAULT 0,
	evaluations_off bigint NOT NULL DEFAULT 0,
	comparisons	bigint NOT NULL DEFAULT 0,
	mismatches	bigint NOT NULL DEFAULT 0,
	failures	bigint NOT NULL DEFAULT 0,
	updated_at	timestamptz NOT NULL DEFAULT pg_catalog.now()
) WITH (fillfactor = 20);
COMMENT ON TABLE migspec.flag_count IS 'what migration flags and flags with a plan were asked, and what comparisons found';

CREATE TABLE migspec.flag_mismatch (
	flag		text COLLATE "C" NOT NULL,
	at			timestamptz NOT NULL DEFAULT pg_catalog.now(),
	key			text,
	stage		text NOT NULL,
	old_value	text,
	new_value	text,
	sqlstate	text,
	message		text
);
CREATE INDEX ON migspec.flag_mismatch (flag);
COMMENT ON TABLE migspec.flag_mismatch IS 'answers of the old and the new shape that differ, the first of each flag';

SELECT pg_catalog.pg_extension_config_dump('migspec.flag_count', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.flag_mismatch', '');

CREATE VIEW migspec.flag_counts AS
SELECT c.flag, c.evaluations_on, c.evaluations_off, c.comparisons, c.mismatches, c.failures, c.updated_at
FROM migspec.flag_count AS c;
COMMENT ON VIEW migspec.flag_counts
	IS 'what migration flags and flags with a plan were asked, and what comparisons found, up to a naptime ago';

CREATE VIEW migspec.flag_mismatches AS
SELECT m.flag, m.at, m.key, m.stage, m.old_value, m.new_value, m.sqlstate, m.message
FROM migspec.flag_mismatch AS m JOIN migspec.flag AS f ON f.name = m.flag
WHERE pg_has_role(f.owner, 'USAGE');
COMMENT ON VIEW migspec.flag_mismatches IS 'answers of the old and the new shape that differ, for the flag''s owner';
REVOKE ALL ON migspec.flag_count, migspec.flag_mismatch FROM PUBLIC;
GRANT SELECT ON migspec.flag_counts, migspec.flag_mismatches TO PUBLIC;

CREATE FUNCTION @extschema@.migspec_flag_compare(flag text, key text, old_query text, new_query text,
	one_in integer DEFAULT 1, candidate_timeout interval DEFAULT '1 s') RETURNS jsonb
LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE COST 10000
AS 'MODULE_PATHNAME', 'migspec_sql_flag_compare';
COMMENT ON FUNCTION @extschema@.migspec_flag_compare(text, text, text, text, integer, interval)
	IS 'the rows of the query that decides in the stage of user "key"; in stages shadow and live the other one runs as well, and differences are recorded';

CREATE FUNCTION @extschema@.migspec_flag_forget(flag text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_forget';
COMMENT ON FUNCTION @extschema@.migspec_flag_forget(text) IS 'forget the comparisons of a flag so far';
