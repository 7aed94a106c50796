-- Feature flags: buckets, documents, rights, import and export.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS migspec;
CREATE SCHEMA flags_test;
SET search_path = flags_test, public;
CREATE FUNCTION err(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text; detail text; hint text;
BEGIN
	EXECUTE statement;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN replace(concat_ws(E'\n', sqlstate || ': ' || message, nullif(detail, ''), nullif(hint, '')),
		format('"%s"', session_user), '"<superuser>"');
END $$;

-- These buckets must never change: they say who sees which data.
SELECT group_id, id, migspec_flag_bucket(group_id, id), migspec_flag_variant_bucket(group_id, id, 1000)
FROM (VALUES
	('gr1', '123', 73, 796),
	('groupX', '999', 25, 260),
	('new_memory_store', '1', 23, 985),
	('new_memory_store', '2', 96, 192),
	('new_memory_store', '42', 9, 626),
	('new_memory_store', '12345', 29, 479),
	('new_memory_store', 'user-7', 13, 271),
	('new_memory_store', 'alice@example.com', 14, 751),
	('new_memory_store', '550e8400-e29b-41d4-a716-446655440000', 52, 376),
	('AB12A', '122', 23, 613),
	('default', '0', 95, 269),
	('', '', 31, 632),
	('', '1', 60, 285),
	('g', '', 64, 779),
	('a', 'a', 78, 295),
	('ab', 'c', 20, 867),
	('abc', 'd', 82, 799),
	('Feature.flexibleRollout.userId.55', '25', 55, 476),
	('orders_v2', '1000000007', 17, 167),
	('orders_v2', '-1', 53, 688),
	('toggleName:with:colon', 'x', 27, 92),
	('memory store', 'spaced id', 51, 896),
	('feature', '9223372036854775807', 70, 311),
	('payments.split', '00042', 42, 608),
	('grp', 'é', 61, 172),
	('café', '1', 51, 370),
	('Feature.UTF-8.Hellø_Wørld', '7', 49, 739),
	('你好', 'user-1', 62, 931),
	('flag', '😊', 28, 228),
	('grp', 'Ω42', 22, 772)
) AS v(group_id, id, bucket, variant)
WHERE migspec_flag_bucket(group_id, id) <> bucket OR migspec_flag_variant_bucket(group_id, id, 1000) <> variant;
SELECT percent, abs(100.0 * count(*) FILTER (WHERE migspec_flag_bucket('new_memory_store', g::text) <= percent) / count(*) - percent) < 0.5 AS close
FROM generate_series(1, 100000) AS g, unnest('{1,5,10,25,50}'::int[]) AS percent GROUP BY 1 ORDER BY 1;

-- the document of the issue
SELECT migspec_flag_put('{"name": "new_memory_store", "enabled": true, "strategies": [
	{"name": "userWithId", "parameters": {"userIds": "internal@company.com"}},
	{"name": "gradualRollout", "parameters": {"percentage": "10"}}]}');
SELECT migspec_flag_enabled('new_memory_store', 'internal@company.com') AS listed,
	migspec_flag_enabled('new_memory_store', 'nobody@company.com') AS not_listed;
SELECT count(*), (array_agg(u ORDER BY u))[1:10] AS first FROM generate_series(1, 400) AS u WHERE migspec_flag_enabled('new_memory_store', u);
SELECT migspec_flag_rollout('new_memory_store', 1);
SELECT count(*), array_agg(u ORDER BY u) AS users FROM generate_series(1, 400) AS u WHERE migspec_flag_enabled('new_memory_store', u);
SELECT migspec_flag_rollout('new_memory_store', 25);
SELECT count(*) FROM generate_series(1, 400) AS u WHERE migspec_flag_enabled('new_memory_store', u);
SELECT migspec_flag_rollout('new_memory_store', 50);
SELECT count(*) FROM generate_series(1, 400) AS u WHERE migspec_flag_enabled('new_memory_store', u);
SELECT migspec_flag_rollout('new_memory_store', 0);
SELECT count(*) FROM generate_series(1, 400) AS u WHERE migspec_flag_enabled('new_memory_store', u);
SELECT migspec_flag_rollout('new_memory_store', 100);
SELECT count(*) FROM generate_series(1, 400) AS u WHERE migspec_flag_enabled('new_memory_store', u);
-- fractions: each set is part of the next, and a whole percent is Unleash's
CREATE TABLE seen (percent numeric, id integer);
DO $$
DECLARE p numeric;
BEGIN
	FOREACH p IN ARRAY '{0.01,0.1,0.5,1,1.5,2,12.345,13}'::numeric[] LOOP
		PERFORM migspec_flag_rollout('new_memory_store', p);
		INSERT INTO seen SELECT p, u FROM generate_series(1, 100000) AS u WHERE migspec_flag_enabled('new_memory_store', u);
	END LOOP;
END $$;
SELECT percent, abs(count(*) / 1000.0 - percent) < 0.2 AS close,
	(SELECT count(*) FROM seen AS b WHERE b.percent < s.percent AND NOT EXISTS (SELECT FROM seen AS c WHERE c.percent = s.percent AND c.id = b.id)) AS lost
FROM seen AS s GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM seen WHERE percent IN (1, 2, 13) AND migspec_flag_bucket('new_memory_store', id::text) > percent;

-- forms of the user
SELECT migspec_flag_rollout('new_memory_store', 50);
SELECT bool_and(migspec_flag_enabled('new_memory_store', u) = migspec_flag_enabled('new_memory_store', u::text)
	AND migspec_flag_enabled('new_memory_store', u::text) = migspec_flag_enabled('new_memory_store', jsonb_build_object('userId', u))
	AND migspec_flag_enabled('new_memory_store', u::text) = migspec_flag_enabled('new_memory_store', jsonb_build_object('userId', u::text)))
FROM generate_series(-100, 100) AS u;
SELECT bool_and(migspec_flag_enabled('new_memory_store', u) = migspec_flag_enabled('new_memory_store', u::text))
FROM (SELECT md5(g::text)::uuid AS u FROM generate_series(1, 100) AS g) AS x;
-- never null
SELECT migspec_flag_enabled(NULL, 'x') AS no_flag, migspec_flag_enabled('no such flag', 'x') AS unknown, migspec_flag_enabled('', '') AS empty,
	num_nonnulls(migspec_flag_enabled('new_memory_store', NULL::text), migspec_flag_enabled('new_memory_store', NULL::jsonb),
		migspec_flag_enabled('new_memory_store', '[1]'::jsonb), migspec_flag_enabled('new_memory_store', NULL::bigint),
		migspec_flag_enabled('new_memory_store', NULL::uuid)) AS of_5;
SELECT migspec_flag_variant('no such flag', 'x'), migspec_flag_variant(NULL, NULL::jsonb);
SELECT migspec_flag_explain('new_memory_store', '42') - 'generation';
SELECT migspec_flag_put('{"name": "sticky", "enabled": true, "strategies": [{"name": "flexibleRollout",
	"parameters": {"rollout": "100", "stickiness": "userId", "groupId": "g"}}]}');
SELECT migspec_flag_explain('sticky', '{}'::jsonb) - 'generation';
SELECT migspec_flag_explain('no such flag', '42') - 'generation';

-- a context may say more about the user
SELECT migspec_flag_put('{"name": "eu", "enabled": true, "strategies": [{"name": "userWithId", "parameters": {"userIds": "1, 2 ,3"},
	"constraints": [{"contextName": "region", "operator": "IN", "values": ["eu"]}]}]}');
SELECT u, migspec_flag_enabled('eu', u::text), migspec_flag_enabled('eu', u::text, '{"properties": {"region": "eu"}}'),
	migspec_flag_enabled('eu', u::text, '{"region": "us"}') FROM generate_series(1, 4) AS u;

-- what is wrong is told, all of it, and nothing is stored
SELECT err($$SELECT migspec_flag_put('{"enabled": "yes", "strategies": [{"parameters": []}, 1,
	{"name": "flexibleRollout", "parameters": {"rollout": "101"}}], "variants": [{"weight": 1.5}], "dependencies": {}}')$$);
SELECT err($$SELECT migspec_flag_put('[]')$$);
SELECT err($$SELECT migspec_flag_put(NULL)$$);
SELECT err($$SELECT migspec_flag_import('{"a": 1}')$$);
SELECT err($$SELECT migspec_flag_import('{"events": [{"type": "feature-exploded"}]}')$$);
SELECT err($$SELECT migspec_flag_drop('no such flag')$$);
SELECT err($$SELECT migspec_flag_rollout('no such flag', 10)$$);
SELECT err($$SELECT migspec_flag_rollout('eu', 100.5)$$);
SELECT err($$SELECT migspec_flag_rollout('eu', 'NaN')$$);
SELECT err($$SELECT migspec_flag_variant_bucket('a', 'b', 0)$$);
SELECT err(format($$SELECT migspec_flag_import('{"features": [], "segments": [%s]}', false)$$, segment))
FROM unnest(ARRAY['{}', '{"id": null}', '{"id": [1]}', '{"id": -1}', '7']) AS segment;
-- what never matches is stored, with a warning
SELECT migspec_flag_put('{"name": "newer", "strategies": [{"name": "default", "segments": [null, [], {}, "x"]}]}');
SELECT migspec_flag_enabled('newer', 'aa');
SELECT migspec_flag_put('{"name": "newer", "enabled": true, "strategies": [{"name": "ofNextYear"},
	{"name": "default", "constraints": [{"contextName": "userId", "operator": "LIKES", "inverted": true, "values": []}]},
	{"name": "default", "constraints": [{"contextName": "userId", "operator": "REGEX", "value": "(a)\\1"}]}]}');
SELECT migspec_flag_enabled('newer', 'aa'), migspec_flag_explain('newer', 'aa') -> 'steps';

-- a flag without a rollout gets one
SELECT migspec_flag_put('{"name": "plain", "strategies": [{"name": "userWithId", "parameters": {"userIds": "7"}}], "enabled": true}');
SELECT migspec_flag_rollout('plain', 12.5);
SELECT document FROM migspec.flags WHERE name = 'plain';

-- a null is none
SELECT migspec_flag_put('{"name": "nulls", "enabled": null, "strategies": null, "variants": null}');
SELECT migspec_flag_rollout('nulls', 5);
SELECT document FROM migspec.flags WHERE name = 'nulls';
SELECT migspec_flag_put('{"name": "nulls", "strategies": [{"name": "gradualRollout", "parameters": null}]}');
SELECT migspec_flag_rollout('nulls', 100);
SELECT migspec_flag_enabled('nulls', '1');
-- a date without a time zone is one moment, whatever the session's time zone is
SELECT migspec_flag_put('{"name": "dated", "strategies": [{"name": "default", "constraints":
	[{"contextName": "currentTime", "operator": "DATE_AFTER", "value": "2022-01-29T13:00:00"}]}]}');
SET timezone = 'Asia/Tokyo';
SELECT migspec_flag_enabled('dated', jsonb_build_object('currentTime', t)) FROM unnest('{2022-01-29T12:59:59Z,
	2022-01-29T13:00:01Z, 2022-01-29T13:00:01, 2022-01-29T14:59:59+02:00, 2022-01-30}'::text[]) AS t;
RESET timezone;
-- an id of a segment is a number, however it is written
SELECT migspec_flag_import('{"features": [{"name": "segmented", "strategies": [{"name": "default", "segments": ["7"]}]}],
	"segments": [{"id": 7.0, "constraints": []}, {"id": "008", "constraints": []}]}', false);
SELECT migspec_flag_enabled('segmented', '1');
SELECT migspec_flag_import('{"events": [{"type": "segment-removed", "segmentId": 8.0}]}');
SELECT id FROM migspec.flag_segment;
-- what is as it was is not told
SELECT max(id) AS last FROM migspec.event \gset
SELECT migspec_flag_put(document) FROM migspec.flags WHERE name = 'segmented';
SELECT count(*) FROM migspec.event WHERE id > :last;

-- own changes are seen at once, and undone
BEGIN;
SELECT migspec_flag_rollout('plain', 100);
SELECT migspec_flag_enabled('plain', '1');
SAVEPOINT s;
SELECT migspec_flag_drop('plain');
SELECT migspec_flag_enabled('plain', '1');
ROLLBACK TO s;
SELECT migspec_flag_enabled('plain', '1');
ROLLBACK;
SELECT migspec_flag_enabled('plain', '1');

-- rights: everybody evaluates; who may create in the database creates; the owner changes
CREATE ROLE flags_owner;
CREATE ROLE flags_other;
GRANT USAGE ON SCHEMA flags_test TO flags_owner, flags_other;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO flags_owner', current_database()); END $$;
SET ROLE flags_other;
SELECT migspec_flag_enabled('eu', '1', '{"region": "eu"}'), migspec_flag_variant('eu', '1') ->> 'name';
SELECT err($$SELECT migspec_flag_put('{"name": "mine"}')$$);
SELECT err($$SELECT migspec_flag_rollout('eu', 1)$$);
SELECT err($$SELECT migspec_flag_drop('eu')$$);
SELECT err($$SELECT count(*) FROM migspec.flag$$);
SELECT name, document FROM migspec.flags WHERE name = 'eu';
SELECT migspec_flag_export();
-- nor may he keep others from their changes
SELECT err($$SELECT migspec_flag_import('{"features": []}', false)$$);
SELECT err($$SELECT migspec_flag_import('{"events": [{"type": "segment-removed", "segmentId": 77}]}')$$);
SET ROLE flags_owner;
SELECT migspec_flag_put('{"name": "mine", "enabled": true, "strategies": [{"name": "gradualRollout", "parameters": {"percentage": 5}}]}');
SELECT migspec_flag_rollout('mine', 7);
SELECT err($$SELECT migspec_flag_import('{"features": []}')$$);
SELECT migspec_flag_export();
SET ROLE flags_other;
SELECT err($$SELECT migspec_flag_rollout('mine', 1)$$);
RESET ROLE;

-- there and back again, but for the strategy that Unleash does not know
CREATE TABLE before AS SELECT migspec_flag_export() AS document;
SELECT migspec_flag_import('{"features": [], "segments": []}');
SELECT count(*) FROM migspec.flags;
SELECT migspec_flag_import(document) FROM before;
SELECT migspec_flag_export() = document AS same FROM before;
SELECT f ->> 'name', f #> '{strategies,1}' FROM before, jsonb_array_elements(document -> 'features') AS f WHERE f ->> 'name' = 'new_memory_store';

-- events tell who changed what
SELECT event, detail ->> 'flag' AS flag, detail ->> 'percent' AS percent FROM migspec.events
WHERE detail ->> 'flag' IN ('mine', 'plain') ORDER BY id;

-- the planner must not keep an answer
PREPARE is_on AS SELECT migspec_flag_enabled('mine', '1');
SET plan_cache_mode = force_generic_plan;
EXECUTE is_on;
SELECT migspec_flag_rollout('mine', 100);
EXECUTE is_on;
SELECT provolatile, proparallel, proisstrict FROM pg_proc WHERE proname = 'migspec_flag_enabled';

SELECT migspec_flag_import('{"features": [], "segments": []}');
DEALLOCATE is_on;
RESET plan_cache_mode;
RESET search_path;
DROP SCHEMA flags_test CASCADE;
DROP OWNED BY flags_owner;
DROP ROLE flags_owner, flags_other;
