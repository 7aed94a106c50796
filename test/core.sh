#!/usr/bin/env bash
#
# core.sh VERSION [TEST ...]
#
# PostgreSQL's own regression tests (all of parallel_schedule, or test_setup
# and those named) on two servers: one as it comes, and one with migspec
# loaded, the guard on "warn" and the extension installed.  What they print
# must be the same, but for the guard's warnings.
#
# The tests are fetched from Debian's source package, once, into
# $MIGSPEC_CACHE; they are no part of migspec.  Exit code 2: they cannot be
# had here.  All tests take some minutes.
set -euo pipefail

cd "$(dirname "$0")/.."
version=${1:?usage: core.sh VERSION [TEST ...]}
shift
cache=${MIGSPEC_CACHE:-/var/cache/migspec}

unavailable() {
	echo "The regression tests of PostgreSQL $version are not available: $*" >&2
	exit 2
}

case $version in
	15) release=bookworm ;;
	17) release=trixie ;;
	18) release=sid ;;
	*) unavailable "only 15, 17 and 18 are tested" ;;
esac
root=$(bash test/lib/root.sh "$version")

# Download the source package, and unpack the tests into directory $1.  The
# one that the server was made of is best, the newest of the release will do:
# what has changed since fails on both servers alike.
fetch() {
	local target=$1 work site wanted line
	work=$(mktemp -d)
	# shellcheck disable=SC2016  # apt's own variables
	site=$(apt-get indextargets --format '$(ORIGIN) $(LABEL) $(SITE)' |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }')
	[ -n "$site" ] || return 1
	# shellcheck disable=SC2016  # dpkg's own
	wanted=$(chroot "$root" dpkg-query -W -f '${source:Version}' "postgresql-$version")
	chmod a+rwx "$work"
	cd "$work"
	for line in "${site}-security $release-security main" "$site $release main"; do
		[[ $release != sid || $line != *-security* ]] || continue
		echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $line" \
			>sources.list
		rm -rf lists
		mkdir -p lists/partial
		chmod -R a+rwX lists
		local options=(
			-q -o "Dir::Etc::sourcelist=$work/sources.list" -o Dir::Etc::sourceparts=/dev/null
			-o "Dir::State::lists=$work/lists" -o Acquire::Check-Valid-Until=false
		)
		apt-get "${options[@]}" update || continue
		apt-get "${options[@]}" source --download-only "postgresql-$version=$wanted" ||
			apt-get "${options[@]}" source --download-only "postgresql-$version" || continue
		rm -rf "$target"
		mkdir -p "$target"
		tar -C "$target" --strip-components=1 --wildcards -xf ./*.orig.tar.* \
			'*/src/test/regress' && touch "$target/.complete" && break
	done
	cd /
	rm -rf "$work"
	[ -e "$target/.complete" ]
}

source=$cache/source-$version
mkdir -p "$cache"
if [ ! -e "$source/.complete" ]; then
	(fetch "$source") >"$cache/source-$version.log" 2>&1 || {
		tail -n 20 "$cache/source-$version.log" >&2
		unavailable "the source package could not be fetched"
	}
fi

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
