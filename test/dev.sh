#!/usr/bin/env bash
#
# dev.sh VERSION [SUITE[:NAME ...] ...]
#
# For the work on the code: build what has changed with PostgreSQL VERSION and
# run some tests, e.g.
#
#   test/dev.sh 15                        only build
#   test/dev.sh 18 regress isolation
#   test/dev.sh 17 "tap:003_crash" "regress:drop rename"
#   test/dev.sh 15 shell                  a shell in there, after the build
#   test/dev.sh 17-assert regress         with a server that has assertions
#
# The build, logs and servers' data stay in a directory that is shown.
set -euo pipefail

cd "$(dirname "$0")/.."
version=${1:?usage: dev.sh VERSION [SUITE[:NAME ...] ...]}
shift

case $version in
	*-assert) version=${version%-assert} root=$(bash test/lib/assert.sh "$version") ;;
	*) root=$(bash test/lib/root.sh "$version") ;;
esac
# One for each checkout.
dir=${root%/}/tmp/migspec-dev-$(pwd | cksum | cut -d' ' -f1)
mkdir -p "$dir"
exec 9>"$dir/lock"
flock 9
bash test/lib/tree.sh "$dir"
rm -f "$dir/results"

echo "in $dir"
# shellcheck disable=SC2016  # expanded inside
exec bash test/lib/enter.sh "$root" "$dir" bash -c '
	version=$1
	shift
	suites=() shell=false
	for suite in "$@"; do
		if [ "$suite" = shell ]; then shell=true; else suites+=("$suite"); fi
	done
	bash "$MIGSPEC_DIR/source/test/lib/suites.sh" \
		"$version" "$MIGSPEC_DIR/source" build "${suites[@]}" || $shell
	if $shell; then
		PATH=/usr/lib/postgresql/$version/bin:$PATH
		cd "$MIGSPEC_DIR" && runuser -u postgres -- bash -i
	fi' dev "$version" "$@"
