#!/usr/bin/env bash
#
# The demo itself; run by run.sh as an unprivileged user, in a directory of
# its own.
#
# Three kinds of applications write to "memories" all the time: one that knows
# only the old column, one that knows only the new one, and one that writes
# both.  pgbench_accounts has pgbench's own "simple update".  Each application
# is a pgbench process which logs every transaction; a statement that fails
# ends its client, and shows up in the exit code.  What the tables must contain
# in the end is known from pgbench_history and from "book", which the
# applications write in the same transactions.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

apps=$here/../apps
scale=$DEMO_SCALE seconds=$DEMO_SECONDS
rows=$((scale * 20000))
[ -n "$DEMO_KEEP" ] && mkdir keep
logs=$PWD/${DEMO_KEEP:+keep/}logs
mkdir "$logs"

declare -A app_pid=()
cleanup() {
	local rc=$? pid
	((rc == 0)) || grep -hE -A3 'ERROR|FATAL|PANIC|by signal' server.log | tail -n 20 >&2
	for pid in "${app_pid[@]}"; do
		kill -KILL "$pid" || continue
		wait "$pid" || true
	done 2>/dev/null
	stop_server
	exit "$rc"
}
trap 'exit 1' INT TERM
trap cleanup EXIT

bold=$'\e[1m' plain=$'\e[0m' tty=true
[ -t 1 ] || bold='' plain='' tty=false

say() {
	echo "$bold$*$plain"
}

# start_app NAME [pgbench's arguments ...]
start_app() {
	local name=$1
	shift
	PGAPPNAME=$name pgbench --no-vacuum --time=86400 --log --log-prefix="$logs/$name" \
		--failures-detailed --max-tries=1 \
		-D "rows=$rows" -D "scale=$scale" "$@" >"$logs/$name.out" 2>&1 &
	app_pid[$name]=$!
}

# Have an application end after its present transaction: to pgbench, SIGALRM
# means that its time is over.
stop_app() {
	local name
	for name in "$@"; do
		kill -ALRM "${app_pid[$name]}" 2>/dev/null || true
	done
	for name in "$@"; do
		wait "${app_pid[$name]}" || true
		unset "app_pid[$name]"
	done
}

# call MIGRATION PHASE: one move, with its time.  migspec_verify has a result.
call() {
	local migration=$1 move=$2 from until ms
	from=$(now)
	sql "SELECT migspec_$move('$migration')" >last_result
	until=$(now)
	if [ "$move" = verify ] && grep -q ',f,' last_result; then
		cat last_result
		return 1
	fi
	sql "INSERT INTO demo_call VALUES ('$migration', '$move', $from, $until)"
	ms=$(awk "BEGIN { printf \"%.0f\", ($until - $from) * 1000 }")
	printf '  %-15s %-10s %6s ms\n' "$migration" "$move" "$ms"
}

# Show how far the workers are, until no migration is migrating any more.
show_progress() {
	local lines=0 line next=0
	while [ "$(sql "SELECT count(*) FROM migspec.migrations WHERE phase = 'migrating'")" != 0 ]; do
		if $tty || ((SECONDS >= next)); then
			((lines == 0)) || ! $tty || printf '\e[%dA' "$lines"
			lines=0
			while read -r line; do
				$tty && printf '\e[2K'
				echo "  $line"
				lines=$((lines + 1))
			done < <(sql "
				SELECT format('%-15s %s %5s %%  %9s of %s rows  %7s rows/s  %s', migration, bar,
					percent, rows_done, rows_total, coalesce(rows_per_second::text, '-'),
					CASE WHEN state = 'done' THEN left(step, 40) ELSE state END)
				FROM migspec.progress ORDER BY migration")
			next=$((SECONDS + 3))
		fi
		stuck=$(sql "SELECT format('%s has given up: %s (%s)', name, last_error, last_step)
			FROM migspec.migrations WHERE retry_at = 'infinity' LIMIT 1")
		if [ -n "$stuck" ]; then
			echo "$stuck" >&2
			return 1
		fi
		sleep 0.3
	done
}

# The table as pg_dump sees it, without the keys that newer ones make up.
definition() {
	pg_dump --schema-only --table="$1" | grep -vE '^(--|\\(un)?restrict|$)'
}

# ---------------------------------------------------------------------------

say "starting a server, filling $((scale * 100000)) accounts and $rows memories"
start_server
pgbench -q -i -s "$scale" >init.log 2>&1
sql_file "$here/demo-tables.sql" -v rows="$rows"

say "traffic: pgbench's own script on accounts, the old application on memories"
start_app accounts_probe -f "$apps/accounts_probe.sql"
start_app memories_probe -f "$apps/memories_probe.sql"
start_app accounts_old -b simple-update -c 2 -R 100
start_app memories_old -f "$apps/memories_old.sql" -R 100
sleep "$seconds"

say "abalance: integer -> bigint, and content -> content_text"
sql "SELECT FROM migspec_plan('widen_abalance',
		migspec_change_type('pgbench_accounts', 'abalance', 'bigint'));
	SELECT FROM migspec_plan('rename_content',
		migspec_rename_column('memories', 'content', 'content_text'))" >/dev/null
call widen_abalance expand
call rename_content expand
echo "  the new application starts, and one that writes both columns"
start_app memories_new -f "$apps/memories_new.sql" -R 100
start_app memories_dual -f "$apps/memories_dual.sql" -R 100
sleep 3

call widen_abalance migrate
call rename_content migrate
show_progress
echo "  the new application reads the new column as well"
start_app memories_reader -f "$apps/memories_reader.sql" -R 100
sleep 2

call widen_abalance verify
call rename_content verify
sleep 2
call widen_abalance switch
call rename_content switch
start_app accounts_new -f "$apps/accounts_new.sql" -c 2 -R 100
sleep 3

differ_between=$(sql "SELECT count(*) FROM memories WHERE content IS DISTINCT FROM content_text")
echo "  memories in which the two columns differ: $differ_between"
echo "  the old applications end, and the one that writes both columns"
stop_app accounts_old memories_old memories_dual
echo "  who used the old name (migspec_usage):"
sql "SELECT format('    %s: %s reads, %s writes', application, reads, writes)
	FROM migspec_usage('rename_content') ORDER BY application"
sql "ALTER DATABASE bench SET migspec.contract_quiet = '2s'"
sleep 3
call widen_abalance contract
call rename_content contract
sleep 3
call widen_abalance finish
call rename_content finish
echo "  an abalance that no integer holds: $(sql "BEGIN;
	UPDATE pgbench_accounts SET abalance = 5000000000 WHERE aid = 1 RETURNING abalance;
	ROLLBACK")"
sleep "$seconds"

say "user_id: integer -> bigint, as far as \"switched\", and back"
definition memories >before.sql
from=$(now)
sql "SELECT FROM migspec_plan('widen_user_id',
	migspec_change_type('memories', 'user_id', 'bigint'))" >/dev/null
PGOPTIONS='' psql -Xq -v ON_ERROR_STOP=1 -c "CALL migspec_run('widen_user_id', 'switched')" 2>&1 |
	sed 's/^NOTICE: */  /'
sql "INSERT INTO demo_call VALUES ('widen_user_id', 'up to switched', $from, $(now))"
echo "  user_id is $(sql "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
	WHERE attrelid = 'memories'::regclass AND attname = 'user_id'") now"
sleep 3
call widen_user_id rollback
sleep 3
definition memories >after.sql
stop_app "${!app_pid[@]}"

# ---------------------------------------------------------------------------

failed=0
for file in "$logs"/*.out; do
	if grep -hE 'aborted|error:' "$file" | sed "s/^/  $(basename "$file" .out): /"; then
		failed=$((failed + 1))
	fi
done

# client, number, latency or kind of failure, script, seconds, microseconds
for file in "$logs"/*[0-9]; do
	name=${file##*/}
	awk -v app="${name%%.*}" -v OFS='\t' '{
		print app, $5 "." sprintf("%06d", $6), ($3 ~ /^[0-9]+$/ ? $3 : "\\N")
	}' "$file"
done >transactions.tsv
sql "\copy demo_transaction (app, finished, us) FROM 'transactions.tsv'"

say "what the applications noticed"
sql_file "$here/demo-report.sql" -v rows="$rows" -v aborted="$failed"

bad=$(sql "SELECT failed + differ FROM demo_result")
if ((bad > 0 || differ_between > 0)); then
	say "NOT as it should be: statements failed or rows differ"
	exit 1
fi
if ! diff -u before.sql after.sql; then
	say "NOT as it should be: the rollback left another table"
	exit 1
fi
say "no statement failed, no row differs, and the rollback left the table as it was"
