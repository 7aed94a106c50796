#!/usr/bin/env bash
#
# root.sh VERSION
#
# Make sure that there is a root directory holding PostgreSQL VERSION with
# its development files, and print it.  15 is the host itself (Debian 12);
# 17 and 18 come from newer Debian releases and live in a cache, because
# building them takes about a minute each and they hardly ever change.
#
# Exit code 2: this version cannot be had here (no network, no debootstrap).
set -euo pipefail

version=${1:?usage: root.sh VERSION}
cache=${MIGSPEC_CACHE:-/var/cache/migspec}

packages=(
	"postgresql-$version" "postgresql-server-dev-$version"
	"postgresql-$version-pgtap" libtap-parser-sourcehandler-pgtap-perl
	libipc-run-perl libdbd-pg-perl make gcc libc6-dev
)
static_packages=(
	debootstrap cppcheck clang-tidy shellcheck pg-bsd-indent binutils
)

export DEBIAN_FRONTEND=noninteractive

unavailable() {
	echo "PostgreSQL $version is not available: $*" >&2
	exit 2
}

# Write stdin to a file, unless it exists: the host's configuration is not ours.
write_new() {
	[ -e "$1" ] || { mkdir -p "$(dirname "$1")" && cat >"$1"; }
}

# The packages must not create and start a cluster of their own: it would
# only take time, and a chroot has no init to stop it again.
no_default_cluster() {
	echo "create_main_cluster = false" |
		write_new "$1/etc/postgresql-common/createcluster.conf"
}

# The Debian mirror this machine is configured to use.
mirror() {
	# shellcheck disable=SC2016  # apt's own variables
	apt-get indextargets --format '$(ORIGIN) $(LABEL) $(SITE)' |
		awk '$1 == "Debian" && $2 == "Debian" { print $3; exit }'
}

host_root() {
	local missing=() p
	for p in "${packages[@]}" "${static_packages[@]}"; do
		dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null |
			grep -q '^ii' || missing+=("$p")
	done
	if ((${#missing[@]})); then
		no_default_cluster ""
		{ apt-get update -q &&
			apt-get install -qy --no-install-recommends "${missing[@]}"; } \
			>"$log" 2>&1 || { tail -n 20 "$log" >&2; unavailable "apt failed"; }
	fi
	echo /
}

# Install Debian release $2 with the packages in directory $1.
build_root() {
	local root=$1 release=$2 site
	site=$(mirror)
	[ -n "$site" ] || { apt-get update -q && site=$(mirror); }
	[ -n "$site" ] || { echo "no Debian mirror configured"; return 1; }

	# A cache that died half-way may still have something mounted in it;
	# --one-file-system keeps rm from emptying what is mounted.
	rm -rf --one-file-system "$root"
	mkdir -p "$root"
	local extra=()
	[[ $site != https:* ]] || extra=(--include=ca-certificates)
	debootstrap --variant=minbase "${extra[@]}" "$release" "$root" "$site" || return 1

	no_default_cluster "$root"
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod 755 "$root/usr/sbin/policy-rc.d"
	# It insists on a mounted /proc, and nothing it sets up is needed here.
	chroot "$root" dpkg-divert --local --rename --add /usr/bin/systemd-tmpfiles
	ln -s /bin/true "$root/usr/bin/systemd-tmpfiles"
	# Nothing here is precious: skip dpkg's fsyncs and the documentation.
	echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/migspec"
	echo 'path-exclude=/usr/share/doc/*' >>"$root/etc/dpkg/dpkg.cfg.d/migspec"
	# The host's way to the network (proxies) is the chroot's as well.
	{ apt-config dump | grep -E '^Acquire::https?::.*Proxy'; } \
		>"$root/etc/apt/apt.conf.d/50host" || true
	# Lists of the unstable release may be past their date on a mirror.
	echo 'Acquire::Check-Valid-Until "false";' >>"$root/etc/apt/apt.conf.d/50host"
	cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true

	chroot "$root" apt-get update -q || return 1
	chroot "$root" apt-get install -qy --no-install-recommends "${packages[@]}" ||
		return 1
	chroot "$root" apt-get clean
}

chroot_root() {
	local release=$1 root=$cache/$1
	local marker=$root/.migspec-complete stamp="${packages[*]}"
	if [ "$(cat "$marker" 2>/dev/null)" != "$stamp" ]; then
		command -v debootstrap >/dev/null || bash "$0" 15 >/dev/null ||
			unavailable "no debootstrap"
		build_root "$root" "$release" >"$log" 2>&1 ||
			{ tail -n 20 "$log" >&2; unavailable "chroot of $release failed"; }
		echo "$stamp" >"$marker"
	fi
	echo "$root"
}

mkdir -p "$cache"
log=$cache/root-$version.log

# Two runs at once must not build the same root, nor run apt together.
exec 9>"$cache/root-$version.lock"
flock 9

case $version in
	15) host_root ;;
	17) chroot_root trixie ;;
	18) chroot_root sid ;;
	*) unavailable "only 15, 17 and 18 are tested" ;;
esac
