#!/usr/bin/env bash
#
# core.sh VERSION [TEST ...]
#
# PostgreSQL's own regression tests (all of parallel_schedule, or test_setup
# and those named) on two servers: one as it comes, and one with migspec
# loaded, the guard on "warn" and the extension installed.  What they print
# must be the same, but for the guard's warnings.
#
# The tests come from PostgreSQL's source (source.sh), they are no part of
# migspec.  Exit code 2: they cannot be had here.  What has changed since the
# server was made fails on both servers alike.  All tests take some minutes.
set -euo pipefail

cd "$(dirname "$0")/.."
version=${1:?usage: core.sh VERSION [TEST ...]}
shift

root=$(bash test/lib/root.sh "$version")
source=$(bash test/lib/source.sh "$version")

dir=${root%/}/tmp/migspec-core-$(pwd | cksum | cut -d' ' -f1)
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
bash test/lib/tree.sh "$dir"
rm -rf "$dir/regress" "$dir/results"
cp -a "$source/src/test/regress" "$dir/regress"

echo "in $dir"
# shellcheck disable=SC2016  # expanded inside
exec bash test/lib/enter.sh "$root" "$dir" bash -c '
	version=$1
	shift
	bash "$MIGSPEC_DIR/source/test/lib/suites.sh" "$version" "$MIGSPEC_DIR/source" build &&
		bash "$MIGSPEC_DIR/source/test/lib/core.sh" "$version" "$@"' core "$version" "$@"
