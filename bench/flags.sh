#!/usr/bin/env bash
#
# flags.sh [VERSION]
#
# Prints what evaluating a flag costs: per row of a large scan, next to an empty
# C function and to the look-up that people write in PL/pgSQL; with many flags,
# constraints and users; and the memory of a backend.  Checks nothing, takes
# about three minutes; what else the machine does shows in the figures.
#
#   FLAGS_ROWS=N   rows of the scan (1,000,000)
#   FLAGS_RUNS=N   repetitions of which the smallest is taken (7)
set -euo pipefail

exec bash "$(dirname "$0")/lib/run.sh" flags "${1:-15}" \
	"FLAGS_ROWS=${FLAGS_ROWS:-1000000}" "FLAGS_RUNS=${FLAGS_RUNS:-7}"
