#!/usr/bin/env bash
#
# The measurement itself; run by run.sh as an unprivileged user, in a directory
# of its own.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

pairs=$HOOKS_PAIRS seconds=$HOOKS_SECONDS
directory=$PWD

# Use the server with the library, or the one without.
use() {
	cd "$directory/$1"
	export PGHOST=$PWD/socket
}

trap 'exit 1' INT TERM
trap 'for server in loaded plain; do [ ! -d "$directory/$server" ] || { use "$server" && stop_server; }; done' EXIT

for server in loaded plain; do
	mkdir "$directory/$server"
	use "$server"
	start_server
	if [ "$server" = plain ]; then
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

# Transactions per second of one run on the server in use.
tps() {
	pgbench -n -S -c 2 -j 2 -T "$seconds" -M "$1" | sed -n 's/^tps = \([0-9.]*\).*/\1/p'
}

# measure TITLE MODE
measure() {
	local pair loaded plain
	for ((pair = 0; pair < pairs; pair++)); do
		# another one is first each time
		if ((pair % 2)); then
			use loaded && loaded=$(tps "$2") && use plain && plain=$(tps "$2")
		else
			use plain && plain=$(tps "$2") && use loaded && loaded=$(tps "$2")
		fi
		echo "$loaded $plain"
	done | awk -v title="$1, $2 protocol" '
		{ ratio[NR] = $1 / $2; loaded += $1; plain += $2 }
		END {
			for (i = 2; i <= NR; i++)
				for (j = i; j > 1 && ratio[j] < ratio[j - 1]; j--) {
					t = ratio[j]; ratio[j] = ratio[j - 1]; ratio[j - 1] = t
				}
			printf "%-44s %9.0f %9.0f    %.3f (%.3f to %.3f)\n", title, loaded / NR, plain / NR,
				NR % 2 ? ratio[(NR + 1) / 2] : (ratio[NR / 2] + ratio[NR / 2 + 1]) / 2,
				ratio[int((NR + 3) / 4)], ratio[int((3 * NR + 3) / 4)]
		}'
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
echo "pgbench -S, $pairs pairs of runs of $seconds s"
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
