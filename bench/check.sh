#!/usr/bin/env bash
#
# check.sh [VERSION]
#
# Prints how long migspec_check() takes, for a script of 1,000 statements
# against a database with 10,000 tables, and how fast this machine does the
# work that its estimates are about, next to what they assume (src/check/
# cost.c).  Checks nothing, takes about two minutes.  Installs what is missing
# (see lib/run.sh) and leaves nothing behind.
#
#   CHECK_TABLES=N      tables in the database (10,000)
#   CHECK_STATEMENTS=N  statements in the script (1,000)
#   CHECK_ROWS=N        rows of the table that is worked on (2,000,000)
set -euo pipefail

exec bash "$(dirname "$0")/lib/run.sh" check "${1:-15}" \
	"CHECK_TABLES=${CHECK_TABLES:-10000}" "CHECK_STATEMENTS=${CHECK_STATEMENTS:-1000}" \
	"CHECK_ROWS=${CHECK_ROWS:-2000000}" "CHECK_PERF=${CHECK_PERF:-}"
