#!/usr/bin/env bash
#
# demo.sh [VERSION]
#
# Two migrations and a rollback of a third on tables under live traffic; then
# what the applications noticed.  Takes about two minutes, as root, on
# Debian 12; installs what is missing (see lib/run.sh), uses PostgreSQL 15
# unless VERSION says 17 or 18, and leaves nothing behind.
#
#   DEMO_SCALE=N     N * 100,000 accounts and N * 20,000 memories (10)
#   DEMO_SECONDS=N   of traffic before the first and after the last phase (15)
#   DEMO_KEEP=1      keep the applications' logs
#
# The exit code is 0 if no statement failed, no row differs and the rollback
# left the table as it was.
set -euo pipefail

exec bash "$(dirname "$0")/lib/run.sh" demo "${1:-15}" \
	"DEMO_SCALE=${DEMO_SCALE:-10}" "DEMO_SECONDS=${DEMO_SECONDS:-15}" \
	"DEMO_KEEP=${DEMO_KEEP:-}"
