#!/usr/bin/env bash
#
# The comparison itself; run by run.sh as an unprivileged user, in a directory
# of its own.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
# shellcheck source=bench/lib/server.sh
. "$here/server.sh"

trap 'exit 1' INT TERM
trap stop_server EXIT

start_server
cat >>data/postgresql.conf <<-CONF
	shared_buffers = '64MB'
	fsync = off
	autovacuum = off
CONF
pg_ctl -w -s -D data restart -l server.log
perl -I "$here" -I "$here/../../test/t" "$here/agreement.pl" "$here/../../test/ddl"
