#!/usr/bin/env bash
#
# agreement.sh [VERSION]
#
# Runs migspec_check() on the SQL texts of test/ddl/corpus.jsonl, each on a
# database that has the tables it needs, and prints where it agrees with what
# other tools said about them; from its first heading on, the output is
# doc/agreement.md.  Where the statements can be run, what the server does
# decides who is right.  Takes two minutes; installs what is missing (see
# lib/run.sh) and leaves nothing behind.
set -euo pipefail

exec bash "$(dirname "$0")/lib/run.sh" agreement "${1:-18}"
