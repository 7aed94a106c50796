#!/usr/bin/env bash
#
# The comparison itself; run by run.sh as an unprivileged user, in a directory
# of its own.  Everything runs alone on the server, one after the other.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

large=$COMPARE_ROWS runs=$COMPARE_RUNS
rows=$((large / 10)) trigger_rows=$((large / 25))

trap 'exit 1' INT TERM
trap stop_server EXIT

start_server
sql_file "$here/compare-tables.sql"

# ---- (a) the sync trigger, per row

# kind, way, table, columns of the INSERT, their values, SET list.  Without a
# trigger the statement itself writes both columns, so that all ways write the
# same rows.
ways=(
	"integer -> bigint|no trigger|int_none|id, v, w|i, i, i|v = v + 1, w = v + 1"
	"integer -> bigint|migspec (C)|int_c|id, v|i, i|v = v + 1"
	"integer -> bigint|PL/pgSQL, one way|int_plpgsql|id, v|i, i|v = v + 1"
	"integer -> bigint|PL/pgSQL, both ways|int_both|id, v|i, i|v = v + 1"
	"rename of text|no trigger|text_none|id, v, w|i, 'memory ' || i, 'memory ' || i|v = v || '.', w = v || '.'"
	"rename of text|migspec (C)|text_c|id, v|i, 'memory ' || i|v = v || '.'"
	"rename of text|PL/pgSQL, one way|text_plpgsql|id, v|i, 'memory ' || i|v = v || '.'"
	"rename of text|PL/pgSQL, both ways|text_both|id, v|i, 'memory ' || i|v = v || '.'"
)

echo
echo "(a) sync trigger: INSERT ... SELECT and UPDATE of $trigger_rows rows, $runs times each, medians"
for ((run = 0; run < runs; run++)); do
	# another one is first each time
	for ((i = 0; i < ${#ways[@]}; i++)); do
		IFS='|' read -r kind way table rest <<<"${ways[(i + 3 * run) % ${#ways[@]}]//||/@@}"
		IFS='|' read -r columns source set_list <<<"$rest"
		psql -Xq -v ON_ERROR_STOP=1 -v kind="$kind" -v way="$way" -v table="$table" \
			-v rows="$trigger_rows" -v columns="$columns" -v source="${source//@@/||}" \
			-v set_list="${set_list//@@/||}" <<<"
				CALL measure_trigger(:'kind', :'way', :'table', :rows, :'columns', :'source', :'set_list')"
	done
done
psql -Xq -v ON_ERROR_STOP=1 -v rows="$trigger_rows" -P footer=off -P null=- <<'SQL'
SELECT kind, way, round(ins) AS "INSERT ms", round(upd) AS "UPDATE ms",
	round(1000 * (ins - base_ins) / :rows, 2) AS "us/row, INSERT",
	round(1000 * (upd - base_upd) / :rows, 2) AS "us/row, UPDATE",
	CASE WHEN way LIKE 'PL%' THEN round((ins - base_ins) / nullif(c_ins - base_ins, 0), 1) END
		AS "times C, INSERT",
	CASE WHEN way LIKE 'PL%' THEN round((upd - base_upd) / nullif(c_upd - base_upd, 0), 1) END
		AS "times C, UPDATE"
FROM (
	SELECT *, max(ins) FILTER (WHERE way = 'no trigger') OVER (PARTITION BY kind) AS base_ins,
		max(upd) FILTER (WHERE way = 'no trigger') OVER (PARTITION BY kind) AS base_upd,
		max(ins) FILTER (WHERE way LIKE '%(C)') OVER (PARTITION BY kind) AS c_ins,
		max(upd) FILTER (WHERE way LIKE '%(C)') OVER (PARTITION BY kind) AS c_upd
	FROM (
		SELECT kind, way, percentile_cont(0.5) WITHIN GROUP (ORDER BY ins)::numeric AS ins,
			percentile_cont(0.5) WITHIN GROUP (ORDER BY upd)::numeric AS upd
		FROM trigger_run GROUP BY kind, way
	) AS median
) AS t
ORDER BY kind, way LIKE 'PL%', way DESC;
SQL

# ---- (b) the backfill

# measure_backfill TABLE WAY COMMAND ...: the command fills column w of a fresh table.
# Counters of the statistics come when the process that counted is idle.
measure_backfill() {
	local table=$1 way=$2 t0 t1 before
	shift 2
	sql "CALL fresh_table('$table', $rows)"
	sql "VACUUM (FREEZE, ANALYZE) $table"
	sql "CHECKPOINT"
	before=$(sql "SELECT pg_current_wal_insert_lsn() || ' ' || pg_relation_size('$table')")
	t0=$(now)
	"$@" "$table"
	t1=$(now)
	sql "SELECT finish_measuring('$way', '$table', $rows, ($t1 - $t0)::float8,
		'${before% *}', ${before#* })" >/dev/null
	[[ $way != migspec* ]] || sql "SELECT migspec_rollback('fill_$table')" >/dev/null
	sql "DROP TABLE $table"
}

one_update() {
	sql "ALTER TABLE $1 ADD COLUMN w bigint"
	sql "UPDATE $1 SET w = v"
}

keyed_batches() {
	sql "ALTER TABLE $1 ADD COLUMN w bigint"
	sql "CALL fill_by_key('$1', 1000)"
}

# Until the backfill is done; the steps after it are not part of the comparison.
by_migspec() {
	local strategy=$1 table=$2
	sql "SELECT migspec_expand('fill_$table', migspec_change_type('$table', 'v', 'bigint'))" >/dev/null
	sql "SELECT migspec_migrate('fill_$table', NULL, '$strategy')" >/dev/null
	sql "CALL wait_for_backfill('fill_$table')"
}

echo
echo "(b) backfill of $rows rows, integer -> bigint, three indexes, fresh tables, $(((runs + 1) / 2)) times, medians"
for ((run = 1; run <= (runs + 1) / 2; run++)); do
	measure_backfill "update_$run" 'one UPDATE' one_update
	measure_backfill "keyed_$run" 'batches by key' keyed_batches
	PGOPTIONS+=' -csynchronous_commit=off' measure_backfill "async_$run" \
		'batches by key, async. commit' keyed_batches
	measure_backfill "window_$run" 'migspec, window' by_migspec window
	measure_backfill "one_pass_$run" 'migspec, one_pass' by_migspec one_pass
done
psql -Xq -v ON_ERROR_STOP=1 -P footer=off <<'SQL'
SELECT way, round(seconds::numeric, 1) AS seconds, round(rows / seconds) AS "rows/s",
	round((first_value(seconds) OVER w / seconds)::numeric, 2) AS "speed, times one UPDATE",
	round(wal_bytes) AS "WAL bytes/row", round(growth::numeric, 1) AS "heap growth %",
	round(hot::numeric, 1) AS "HOT %"
FROM (
	SELECT way, rows, min(number) AS number,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY wal_bytes / rows) AS wal_bytes,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY 100.0 * growth_bytes / size_bytes) AS growth,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY 100.0 * hot / nullif(updated, 0)) AS hot
	FROM backfill_run GROUP BY way, rows
) AS median
WINDOW w AS (ORDER BY number) ORDER BY number;
SQL

# ---- (c) flat cost

echo
echo "(c) one backfill of $large rows: time of a batch at the start and at the end"
sql "CALL fresh_table('fill_large', $large)"
sql "VACUUM (FREEZE, ANALYZE) fill_large"
sql "CHECKPOINT"
sql "SELECT migspec_expand('fill_large', migspec_change_type('fill_large', 'v', 'bigint'))" >/dev/null
sql "SELECT migspec_migrate('fill_large')" >/dev/null
sql "CALL watch_backfill('fill_large')"
psql -Xq -v ON_ERROR_STOP=1 -P footer=off -c "SELECT * FROM batch_times"
