#!/usr/bin/env bash
#
# The measurement itself; run by run.sh as an unprivileged user, in a directory
# of its own.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

rows=$FLAGS_ROWS runs=$FLAGS_RUNS

trap 'exit 1' INT TERM
trap stop_server EXIT

start_server
gcc -O2 -fPIC -shared -I"$(pg_config --includedir-server)" -o empty.so "$here/empty.c"
psql -Xq -v ON_ERROR_STOP=1 -v rows="$rows" -v library="$PWD/empty" -o /dev/null <<'SQL'
CREATE FUNCTION empty(text, text) RETURNS boolean STABLE PARALLEL SAFE LANGUAGE c AS :'library', 'empty';
CREATE TABLE users AS SELECT g AS id, g::text AS name, 'user-' || md5(g::text) AS long_name FROM generate_series(1, :rows) AS g;
-- the same by hand: a table of percentages, and a function that looks it up
CREATE TABLE by_hand (name text PRIMARY KEY, percent integer NOT NULL);
INSERT INTO by_hand SELECT 'flag_' || g, g % 101 FROM generate_series(1, 1000) AS g;
CREATE FUNCTION by_hand(flag text, user_id text) RETURNS boolean STABLE PARALLEL SAFE LANGUAGE plpgsql AS $$
DECLARE
	threshold integer;
BEGIN
	SELECT percent INTO threshold FROM by_hand WHERE name = flag;
	RETURN coalesce(abs(hashtext(flag || ':' || user_id) % 100) < threshold, false);
END $$;
SELECT count(*) AS flags FROM (
	SELECT migspec_flag_put(jsonb_build_object('name', 'flag_' || g, 'enabled', true, 'strategies',
		jsonb_build_array(jsonb_build_object('name', 'flexibleRollout', 'parameters',
			jsonb_build_object('rollout', (g % 101)::text, 'stickiness', 'default', 'groupId', 'flag_' || g)))))
	FROM generate_series(1, 1000) AS g) AS x \gset
-- 100 constraints, all of which hold
SELECT migspec_flag_put(jsonb_build_object('name', 'constraints', 'enabled', true, 'strategies',
	jsonb_build_array(jsonb_build_object('name', 'default', 'constraints', (SELECT jsonb_agg(jsonb_build_object(
		'contextName', 'userId', 'operator', 'NOT_IN', 'values', jsonb_build_array('nobody-' || g)))
		FROM generate_series(1, 100) AS g)))));
-- lists of one user and of 10,000
SELECT migspec_flag_put(jsonb_build_object('name', 'list_' || n, 'enabled', true, 'strategies',
	jsonb_build_array(jsonb_build_object('name', 'userWithId', 'parameters', jsonb_build_object('userIds',
		(SELECT string_agg((g * 7)::text, ',') FROM generate_series(1, n) AS g))))))
FROM (VALUES (1), (10000)) AS v(n);
VACUUM FREEZE ANALYZE users, by_hand;
CREATE TABLE measured (what text, ms float8);
CREATE PROCEDURE measure(what text, expression text) LANGUAGE plpgsql AS $$
DECLARE
	since timestamptz;
BEGIN
	SET LOCAL jit = off;
	SET LOCAL max_parallel_workers_per_gather = 0;
	since := clock_timestamp();
	EXECUTE format('SELECT count(*) FROM users WHERE %s', expression);
	INSERT INTO measured VALUES (what, 1000 * extract(epoch FROM clock_timestamp() - since));
END $$;
SQL

ways=(
	"scan|id < 0"
	"empty C function|empty('flag_42', name)"
	"migspec_flag_enabled(flag, text)|migspec_flag_enabled('flag_42', name)"
	"migspec_flag_enabled(flag, bigint)|migspec_flag_enabled('flag_42', id::bigint)"
	"of 37 characters|migspec_flag_enabled('flag_42', long_name)"
	"another flag for each row|migspec_flag_enabled('flag_' || (id % 1000), name)"
	"just the other flag's name|empty('flag_' || (id % 1000), name)"
	"100 constraints|migspec_flag_enabled('constraints', name)"
	"a list of 1 user|migspec_flag_enabled('list_1', name)"
	"a list of 10,000 users|migspec_flag_enabled('list_10000', name)"
	"a context|migspec_flag_enabled('flag_42', jsonb_build_object('userId', name))"
	"just the context|jsonb_build_object('userId', name) IS NOT NULL"
	"PL/pgSQL look-up|by_hand('flag_42', name)"
)
echo
echo "a scan of $rows rows, 1,000 flags, the smallest of $runs runs"
for ((run = 0; run < runs; run++)); do
	for way in "${ways[@]}"; do
		((run < 2)) || [[ $way != PL* ]] || continue
		psql -Xq -v ON_ERROR_STOP=1 -v what="${way%%|*}" -v expression="${way#*|}" <<<"CALL measure(:'what', :'expression')"
	done
done
psql -Xq -v ON_ERROR_STOP=1 -v rows="$rows" -P footer=off -P null=- <<'SQL'
SELECT what, round(ms::numeric) AS ms, round(((ms - base) * 1e6 / :rows)::numeric, 1) AS "ns/row added",
	round((ms / empty)::numeric, 2) AS "time / empty C",
	round(((by_hand - base) / nullif(ms - base, 0))::numeric, 1) AS "PL/pgSQL / this"
FROM (SELECT what, min(ms) AS ms FROM measured GROUP BY what) AS m,
	(SELECT min(ms) FILTER (WHERE what = 'scan') AS base, min(ms) FILTER (WHERE what LIKE 'empty%') AS empty,
		min(ms) FILTER (WHERE what LIKE 'PL%') AS by_hand FROM measured) AS b
ORDER BY m.ms;
SQL

echo
echo "memory of a backend that has evaluated every flag"
for flags in 1000 10000; do
	sql "SELECT count(*) FROM (SELECT migspec_flag_put(jsonb_build_object('name', 'more_' || g, 'enabled', true, 'strategies',
		jsonb_build_array(jsonb_build_object('name', 'flexibleRollout', 'parameters', jsonb_build_object('rollout', '50')))))
		FROM generate_series(1, $flags) AS g) AS x" >/dev/null
	sql "SELECT count(migspec_flag_enabled('more_' || g, 'somebody')) FROM generate_series(1, $flags) AS g;
		WITH RECURSIVE c AS (SELECT *, ARRAY[name, ident] AS path FROM pg_backend_memory_contexts
			WHERE name LIKE 'migspec flag%')
		SELECT format('  %s flags: %s kB, %s bytes a flag', $flags, sum(total_bytes) / 1024, sum(total_bytes) / $flags) FROM c" |
		tail -1
done
