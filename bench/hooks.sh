#!/usr/bin/env bash
#
# hooks.sh [VERSION]
#
# Prints what the library costs statements that have nothing to do with it:
# pgbench -S against two servers, one with the library, the guard and an active
# migration, one without any, in turns; then with pgbench_accounts itself being
# the table that migrates.  What a busy machine does to these ratios, it does not
# to the number of instructions that a statement needs, which valgrind counts on
# 15.  Checks nothing, takes about five minutes.  Installs what is missing (see
# lib/run.sh) and leaves nothing behind.
#
#   HOOKS_PAIRS=N     pairs of runs of which the median ratio is printed (15)
#   HOOKS_SECONDS=N   length of a run (4)
set -euo pipefail

if [ "${1:-15}" = 15 ] && ! command -v valgrind >/dev/null; then
	apt-get install -qqy --no-install-recommends valgrind >/dev/null 2>&1 || true
fi
exec bash "$(dirname "$0")/lib/run.sh" hooks "${1:-15}" \
	"HOOKS_PAIRS=${HOOKS_PAIRS:-15}" "HOOKS_SECONDS=${HOOKS_SECONDS:-4}"
