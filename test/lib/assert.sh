#!/usr/bin/env bash
#
# assert.sh VERSION
#
# Make sure that there is a root directory holding a PostgreSQL VERSION which
# was built with assertions, and print it.  Such a server checks its callers:
# a relation that is used without a lock, memory that is used after it was
# freed (freed memory is overwritten), a resource that is not given back.  It
# is a copy of the one of root.sh with the server built from source on top,
# which takes some minutes, once.
#
# Exit code 2: it cannot be had here.
set -euo pipefail

version=${1:?usage: assert.sh VERSION}
lib=$(cd "$(dirname "$0")" && pwd)

unavailable() {
	echo "PostgreSQL $version with assertions is not available: $*" >&2
	exit 2
}

case $version in
	17 | 18) ;;
	*) unavailable "only 17 and 18, which do not replace what the host has" ;;
esac
plain=$(bash "$lib/root.sh" "$version")
root=$plain-assert log=$plain-assert.log

# Out of tree, as Debian does: only such a server builds extensions so, too.
# shellcheck disable=SC2016  # expanded inside
build_server='
	set -e
	version=$1
	export DEBIAN_FRONTEND=noninteractive
	apt-get install -qy --no-install-recommends bison flex pkg-config \
		libreadline-dev zlib1g-dev libicu-dev libssl-dev liblz4-dev libzstd-dev
	rm -rf "/usr/lib/postgresql/$version"
	mkdir -p /usr/src/postgresql/build
	cd /usr/src/postgresql/build
	../configure --prefix="/usr/lib/postgresql/$version" \
		--datadir="/usr/share/postgresql/$version" \
		--includedir=/usr/include/postgresql --sysconfdir=/etc/postgresql-common \
		--with-icu --with-openssl --with-lz4 --with-zstd --enable-tap-tests \
		--enable-cassert --enable-debug CFLAGS="-O2 -g -fno-omit-frame-pointer"
	for part in . contrib src/test/isolation src/test/regress; do
		make -s -C "$part" -j"$(nproc)"
		make -s -C "$part" install
	done'

build() {
	local source
	source=$(bash "$lib/source.sh" "$version") || return 1
	rm -rf --one-file-system "$root"
	cp -a "$plain" "$root"
	rm -rf "$root/tmp"/migspec-*
	mkdir -p "$root/usr/src"
	cp -a "$source" "$root/usr/src/postgresql"
	chroot "$root" bash -c "$build_server" build "$version"
}

exec 9>"$root.lock"
flock 9
stamp=$(cat "$plain/.migspec-complete")
if [ "$(cat "$root/.migspec-assert" 2>/dev/null)" != "$stamp" ]; then
	(build) >"$log" 2>&1 ||
		{ tail -n 20 "$log" >&2; unavailable "it could not be built"; }
	echo "$stamp" >"$root/.migspec-assert"
fi
echo "$root"
