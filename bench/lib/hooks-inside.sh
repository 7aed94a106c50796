#!/usr/bin/env bash
#
# The measurement itself; run by run.sh as an unprivileged user, in a directory
# of its own.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

rounds=$HOOKS_ROUNDS transactions=$HOOKS_TRANSACTIONS clients=$HOOKS_CLIENTS
# the last one that we may use
processor=$(awk '/^Cpus_allowed_list/ { n = split($2, list, /[,-]/); print list[n] }' /proc/self/status)
directory=$PWD

# Use the server with the library, or the one without.
use() {
	cd "$directory/$1"
	export PGHOST=$PWD/socket
}

# with the library, without, and without once more: what two equal servers differ
# by says how far the ratio can be trusted
servers=(loaded plain equal)

trap 'exit 1' INT TERM
trap 'for server in "${servers[@]}"; do [ ! -d "$directory/$server" ] || { use "$server" && stop_server; }; done' EXIT

for server in "${servers[@]}"; do
	mkdir "$directory/$server"
	use "$server"
	start_server
	if [ "$server" != loaded ]; then
		sql "DROP EXTENSION migspec"
		echo "shared_preload_libraries = ''" >>data/postgresql.conf
		pg_ctl -w -s -D data -l server.log restart
	fi
	pgbench -q -i -s 10 >init.log 2>&1
	sql "CREATE TABLE other (id bigint PRIMARY KEY, a text);
		INSERT INTO other SELECT g, 'a' || g FROM generate_series(1, 1000) AS g"
	psql -Xq -c "VACUUM FREEZE ANALYZE" -c "CHECKPOINT"
done
use loaded
sql "SELECT FROM migspec_expand('on_other', migspec_rename_column('other', 'a', 'b'))"
if [ "$(sql "SELECT count(*) FROM pg_settings WHERE name = 'migspec.guard'")" = 1 ]; then
	sql "ALTER DATABASE bench SET migspec.guard = 'enforce'"
fi

# Everything on one processor: what is measured is the work for a statement, not
# where the scheduler puts the two processes that do it.
on_one() {
	taskset -c "$processor" "$@"
}

# Where the memory of a server lies changes with each start.
start_again() {
	local server
	for server in "${servers[@]}"; do
		use "$server"
		on_one pg_ctl -w -s -D data -l server.log restart
		sql "SET enable_seqscan = off; SET enable_bitmapscan = off;
			SELECT count(abalance) FROM pgbench_accounts WHERE aid > 0" >/dev/null
	done
}

# Transactions per second of one run on the server in use.
tps() {
	on_one pgbench -n -S -c "$clients" -t "$transactions" -M "$1" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}

# median TITLE RATE RATE: of the ratios of these two columns of the file "rates"
median() {
	awk -v a="$2" -v b="$3" '{ printf "%.6f %s %s\n", $a / $b, $a, $b }' rates | sort -n |
		awk -v title="$1" '
		{ ratio[NR] = $1; first += $2; second += $3 }
		END {
			printf "%-44s %9.0f %9.0f    %.3f (%.3f to %.3f)\n", title, first / NR, second / NR,
				NR % 2 ? ratio[(NR + 1) / 2] : (ratio[NR / 2] + ratio[NR / 2 + 1]) / 2,
				ratio[int((NR + 3) / 4)], ratio[int((3 * NR + 3) / 4)]
		}'
}

# measure TITLE MODE
measure() {
	local round server order
	local -A rate
	cd "$directory"
	: >rates
	for ((round = 0; round < rounds; round++)); do
		((round % 25)) || start_again
		order=$(shuf -e "${servers[@]}")
		for server in $order; do
			use "$server"
			rate[$server]=$(tps "$2")
		done
		cd "$directory"
		echo "${rate[loaded]} ${rate[plain]} ${rate[equal]}" >>rates
	done
	median "$1, $2 protocol" 1 2
	median "    the same, two servers without" 3 2
}

# Instructions that a server needs for one statement: read, planned and run in
# single-user mode, counted by valgrind.
instructions() {
	local n i
	use "$1"
	pg_ctl -w -s -D data -m fast stop
	for n in 1000 5000; do
		for ((i = 1; i <= n; i++)); do
			echo "SELECT abalance FROM pgbench_accounts WHERE aid = $((i % 1000 + 1));"
		done | valgrind --tool=callgrind --callgrind-out-file=/dev/null \
			postgres --single -D data bench 2>&1 >/dev/null | sed -n 's/.*Collected : //p'
	done | awk '{ count[NR] = $1 } END { printf "%.0f\n", (count[2] - count[1]) / 4000 }'
	pg_ctl -w -s -D data -l server.log start
}

# count TITLE
count() {
	command -v valgrind >/dev/null || return 0
	echo "$(instructions loaded) $(instructions plain)" |
		awk -v title="$1" '{ printf "%-44s %9d %9d    %.3f\n", title, $1, $2, $2 / $1 }'
}

echo
echo "pgbench -S, $rounds rounds of $transactions transactions of $clients clients"
echo "                                              tps with   without    median ratio (middle half)"
measure "a migration on another table" simple
measure "a migration on another table" prepared
count "instructions of one statement"
use loaded
sql "SELECT FROM migspec_expand('on_accounts', migspec_rename_column('pgbench_accounts', 'abalance', 'balance'))"
measure "a migration on pgbench_accounts" simple
measure "a migration on pgbench_accounts" prepared
count "instructions of one statement"
use loaded
echo
echo "counted on pgbench_accounts: $(sql "SELECT sum(reads) FROM migspec_usage('on_accounts')") reads of the old name"
