#!/usr/bin/env bash
#
# source.sh VERSION
#
# Make sure that there is a directory with the source of PostgreSQL VERSION,
# and print it.  It is fetched from Debian's source package, once, into
# $MIGSPEC_CACHE.  Exit code 2: it cannot be had here.
set -euo pipefail

version=${1:?usage: source.sh VERSION}
cache=${MIGSPEC_CACHE:-/var/cache/migspec}
source=$cache/source-$version

unavailable() {
	echo "The source of PostgreSQL $version is not available: $*" >&2
	exit 2
}

case $version in
	15) release=bookworm ;;
	17) release=trixie ;;
	18) release=sid ;;
	*) unavailable "only 15, 17 and 18 are tested" ;;
esac

# Download the source package, and unpack it into directory $1.  The one that
# the server was made of is best, the newest of the release will do.
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
		tar -C "$target" --strip-components=1 -xf ./*.orig.tar.* &&
			touch "$target/.complete" && break
	done
	cd /
	rm -rf "$work"
	[ -e "$target/.complete" ]
}

mkdir -p "$cache"
exec 9>"$source.lock"
flock 9
if [ ! -e "$source/.complete" ]; then
	root=$(bash "$(dirname "$0")/root.sh" "$version")
	(fetch "$source") >"$source.log" 2>&1 || {
		tail -n 20 "$source.log" >&2
		unavailable "the source package could not be fetched"
	}
fi
echo "$source"
