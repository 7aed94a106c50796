#!/usr/bin/env bash
#
# run.sh NAME VERSION [VARIABLE=VALUE ...]
#
# Build the extension as a user would, install it into PostgreSQL VERSION, and
# run NAME-inside.sh there as an unprivileged user with these variables.  What
# is missing is installed by test/lib/root.sh; builds, servers and their data
# live in a directory, and below an overlay, that are gone afterwards.
set -euo pipefail

cd "$(dirname "$0")/../.."
name=$1 version=$2
shift 2

echo "preparing PostgreSQL $version (the first time takes a minute or two)"
root=$(bash test/lib/root.sh "$version")
dir=$(mktemp -d "${root%/}/tmp/migspec-$name.XXXXXX")
child=
cleanup() {
	# Ends what still runs when this is interrupted.
	if [ -n "$child" ]; then
		kill -TERM -- "-$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	if [ -d "$dir/run/keep" ]; then
		rm -rf "$dir/source" "$dir/release" "$dir/run/data"
		echo "kept: $dir/run/keep"
	else
		rm -rf "$dir"
	fi
}
trap 'exit 1' INT TERM
trap cleanup EXIT
bash test/lib/tree.sh "$dir"

# A process group of its own (set -m), so that all of it can be stopped.
set -m
# shellcheck disable=SC2016  # expanded inside
bash test/lib/enter.sh "$root" "$dir" env "$@" "TERM=${TERM:-dumb}" bash -euc '
	name=$1 version=$2
	source=$MIGSPEC_DIR/source
	bash "$source/test/lib/suites.sh" "$version" "$source" build-release
	user=postgres
	id -u "$user" >/dev/null 2>&1 || user=migspec-test
	mkdir "$MIGSPEC_DIR/run"
	chown "$user:" "$MIGSPEC_DIR/run"
	cd "$MIGSPEC_DIR/run"
	PATH=/usr/lib/postgresql/$version/bin:$PATH
	runuser -u "$user" -- bash "$source/bench/lib/$name-inside.sh"
' run "$name" "$version" </dev/null &
set +m
child=$!
rc=0
wait "$child" || rc=$?
child=
((rc == 0))
