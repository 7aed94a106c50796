/*
 * Flags: Unleash feature documents.  The columns up to "sample" are read by
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
	sample		bigint,
	/* of migration flags, see flags/stage_move.c */
	stages		smallint NOT NULL DEFAULT 6
		CHECK (stages OPERATOR(pg_catalog.=) ANY (ARRAY[2, 4, 6]::smallint[])),
	frozen		boolean NOT NULL DEFAULT false,
	moved		xid8,
	seen_low	smallint NOT NULL DEFAULT 0,
	seen_high	smallint NOT NULL DEFAULT 0,
	stage_since	timestamptz,
	created_at	timestamptz NOT NULL DEFAULT pg_catalog.now(),
	changed_at	timestamptz NOT NULL DEFAULT pg_catalog.now()
);
CREATE INDEX ON migspec.flag ((sample OPERATOR(pg_catalog.&) 4294967295)) WHERE sample IS NOT NULL;
COMMENT ON TABLE migspec.flag IS 'feature flags: Unleash documents, and the stages of migration flags';

CREATE TABLE migspec.flag_segment (
	id			integer PRIMARY KEY,
	document	jsonb NOT NULL,
	stamp		bigint NOT NULL,
	owner		regrole NOT NULL
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

SELECT pg_catalog.pg_extension_config_dump('migspec.flag', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.flag_segment', '');
SELECT pg_catalog.pg_extension_config_dump('migspec.flag_stamp', '');

CREATE VIEW migspec.flags AS
SELECT f.name, f.owner, coalesce((f.document ->> 'enabled')::boolean, true) AS enabled,
	f.stage, f.next_stage, f.migration, f.created_at, f.changed_at,
	CASE WHEN pg_has_role(f.owner, 'USAGE') THEN f.document END AS document
FROM migspec.flag AS f;
COMMENT ON VIEW migspec.flags IS 'one row per flag; its document is for its owner, because it can hold lists of users';
REVOKE ALL ON migspec.flag, migspec.flag_segment, migspec.flag_generation, migspec.flag_stamp FROM PUBLIC;
GRANT SELECT ON migspec.flags TO PUBLIC;

CREATE FUNCTION @extschema@.migspec_flag_enabled(flag text, user_id text, context jsonb DEFAULT NULL) RETURNS boolean
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'migspec_sql_flag_enabled';
COMMENT ON FUNCTION @extschema@.migspec_flag_enabled(text, text, jsonb)
	IS 'is the flag on for this user? never NULL';

CREATE FUNCTION @extschema@.migspec_flag_enabled(flag text, user_id bigint) RETURNS boolean
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'migspec_sql_flag_enabled_int8';
COMMENT ON FUNCTION @extschema@.migspec_flag_enabled(text, bigint)
	IS 'is the flag on for this user? never NULL';

CREATE FUNCTION @extschema@.migspec_flag_enabled(flag text, user_id uuid) RETURNS boolean
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 2
AS 'MODULE_PATHNAME', 'migspec_sql_flag_enabled_uuid';
COMMENT ON FUNCTION @extschema@.migspec_flag_enabled(text, uuid)
	IS 'is the flag on for this user? never NULL';

CREATE FUNCTION @extschema@.migspec_flag_enabled(flag text, context jsonb) RETURNS boolean
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 10
AS 'MODULE_PATHNAME', 'migspec_sql_flag_enabled_context';
COMMENT ON FUNCTION @extschema@.migspec_flag_enabled(text, jsonb)
	IS 'is the flag on in this Unleash context? never NULL';

CREATE FUNCTION @extschema@.migspec_flag_variant(flag text, context jsonb) RETURNS jsonb
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20
AS 'MODULE_PATHNAME', 'migspec_sql_flag_variant_context';
COMMENT ON FUNCTION @extschema@.migspec_flag_variant(text, jsonb)
	IS 'the variant of the flag in this Unleash context: name, enabled, feature_enabled, payload';

CREATE FUNCTION @extschema@.migspec_flag_variant(flag text, user_id text, context jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 20
AS 'MODULE_PATHNAME', 'migspec_sql_flag_variant';
COMMENT ON FUNCTION @extschema@.migspec_flag_variant(text, text, jsonb)
	IS 'the variant of the flag for this user: name, enabled, feature_enabled, payload';

CREATE FUNCTION @extschema@.migspec_flag_explain(flag text, context jsonb) RETURNS jsonb
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'migspec_sql_flag_explain_context';
COMMENT ON FUNCTION @extschema@.migspec_flag_explain(text, jsonb)
	IS 'why the flag is on or off in this context: reason, error, strategy, bucket, steps';

CREATE FUNCTION @extschema@.migspec_flag_explain(flag text, user_id text, context jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE COST 100
AS 'MODULE_PATHNAME', 'migspec_sql_flag_explain';
COMMENT ON FUNCTION @extschema@.migspec_flag_explain(text, text, jsonb)
	IS 'why the flag is on or off for this user: reason, error, strategy, bucket, steps';

CREATE FUNCTION @extschema@.migspec_flag_bucket(group_id text, id text) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_bucket';
COMMENT ON FUNCTION @extschema@.migspec_flag_bucket(text, text)
	IS 'the bucket from 1 to 100 that a percentage is compared with';

CREATE FUNCTION @extschema@.migspec_flag_variant_bucket(group_id text, id text, total integer) RETURNS integer
LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_variant_bucket';
COMMENT ON FUNCTION @extschema@.migspec_flag_variant_bucket(text, text, integer)
	IS 'the bucket from 1 to the sum of weights that chooses a variant';

CREATE FUNCTION @extschema@.migspec_flag_specification() RETURNS text
LANGUAGE c IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_specification';
COMMENT ON FUNCTION @extschema@.migspec_flag_specification()
	IS 'version of the Unleash client specification that evaluation follows';

CREATE FUNCTION @extschema@.migspec_flag_put(feature jsonb) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_put';
COMMENT ON FUNCTION @extschema@.migspec_flag_put(jsonb) IS 'create or change one flag, from an Unleash feature';

CREATE FUNCTION @extschema@.migspec_flag_drop(flag text) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_drop';
COMMENT ON FUNCTION @extschema@.migspec_flag_drop(text) IS 'drop a flag: from then on it is off';

CREATE FUNCTION @extschema@.migspec_flag_rollout(flag text, percent numeric) RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_rollout';
COMMENT ON FUNCTION @extschema@.migspec_flag_rollout(flag text, percent numeric)
	IS 'set the percentage of users of a flag''s rollout, to a thousandth of a percent';

CREATE FUNCTION @extschema@.migspec_flag_import(document jsonb, replace boolean DEFAULT true) RETURNS integer
LANGUAGE c VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_import';
COMMENT ON FUNCTION @extschema@.migspec_flag_import(jsonb, boolean)
	IS 'import an Unleash document: all features, or delta events; returns how many';

CREATE FUNCTION @extschema@.migspec_flag_export() RETURNS jsonb
LANGUAGE c STABLE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'migspec_sql_flag_export';
COMMENT ON FUNCTION @extschema@.migspec_flag_export()
	IS 'all flags and segments of yours as an Unleash client-features document';
