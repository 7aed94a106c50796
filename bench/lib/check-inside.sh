#!/usr/bin/env bash
#
# The measurement itself; run by run.sh as an unprivileged user, in a directory
# of its own.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

trap 'exit 1' INT TERM
trap stop_server EXIT

start_server
echo "creating $CHECK_TABLES tables"
psql -Xq -v ON_ERROR_STOP=1 -v tables="$CHECK_TABLES" -f "$here/check-tables.sql"

# A script that touches a different table with each statement, as seen by a
# session that has just connected; one word is read of what comes back.
time_check() {
	local what=$1 call=$2
	psql -Xq -v ON_ERROR_STOP=1 -v n="$CHECK_STATEMENTS" -v what="$what" -v call="$call" \
		-f "$here/check-time.sql"
}

echo
echo "(a) a script of $CHECK_STATEMENTS statements, $CHECK_TABLES tables"
for _ in 1 2 3; do
	time_check 'migspec_ddl_effects' 'migspec_ddl_effects(s)'
	time_check 'migspec_check' 'migspec_check(s)'
	time_check 'migspec_check_report, sarif' "migspec_check_report(s, 'sarif')"
done

echo
echo "(b) work on $CHECK_ROWS rows: measured and estimated seconds"
psql -Xq -v ON_ERROR_STOP=1 -v rows="$CHECK_ROWS" -P footer=off -f "$here/check-work.sql"
