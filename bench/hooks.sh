#!/usr/bin/env bash
#
# hooks.sh [VERSION]
#
# Prints what the library costs statements that have nothing to do with it:
# pgbench -S against a server with the library, the guard and an active migration,
# one without any, and another one without any, in turns; then with
# pgbench_accounts itself being the table that migrates.  What the two equal
# servers differ by says how far a ratio can be trusted.  All runs are short, and
# on one processor: where the scheduler puts client and server is what differs most
# between runs.  The number of instructions of a statement, which valgrind counts
# on 15, is the same in every run.  Checks nothing, takes about six minutes.
# Installs what is missing (see lib/run.sh) and leaves nothing behind.
#
#   HOOKS_ROUNDS=N        rounds, of whose ratios the median is printed (150)
#   HOOKS_TRANSACTIONS=N  length of a run (3000)
#   HOOKS_CLIENTS=N       clients (1)
set -euo pipefail

if [ "${1:-15}" = 15 ] && ! command -v valgrind >/dev/null; then
	apt-get install -qqy --no-install-recommends valgrind >/dev/null 2>&1 || true
fi
exec bash "$(dirname "$0")/lib/run.sh" hooks "${1:-15}" \
	"HOOKS_ROUNDS=${HOOKS_ROUNDS:-150}" "HOOKS_TRANSACTIONS=${HOOKS_TRANSACTIONS:-3000}" \
	"HOOKS_CLIENTS=${HOOKS_CLIENTS:-1}"
