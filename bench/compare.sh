#!/usr/bin/env bash
#
# compare.sh [VERSION]
#
# Prints what the sync trigger and the backfill cost, next to the plain ways
# of doing the same: PL/pgSQL, one UPDATE, batches by key.  Checks nothing,
# takes about six minutes; what else the machine does shows in the figures.
# Installs what is missing (see lib/run.sh) and leaves nothing behind.
#
#   COMPARE_ROWS=N   rows of the table with which the time of a batch is
#                    watched (5,000,000); the others have a tenth, or a 25th
#   COMPARE_RUNS=N   repetitions of which the medians are printed (5; half as
#                    many of whole backfills)
set -euo pipefail

exec bash "$(dirname "$0")/lib/run.sh" compare "${1:-15}" \
	"COMPARE_ROWS=${COMPARE_ROWS:-5000000}" "COMPARE_RUNS=${COMPARE_RUNS:-5}"
