#!/usr/bin/env bash
#
# enter.sh ROOT DIR COMMAND [ARG ...]
#
# Run COMMAND as root inside the root directory ROOT (see root.sh), where the
# directory DIR, which must lie below ROOT, is the only thing that lasts.
#
# Everything else is written to an overlay which is gone afterwards: runs that
# install different builds of the extension can neither see each other nor
# leave anything behind.  A PID namespace ends all servers with the command.
# Where namespaces or mounts are not permitted, a plain chroot has to do.
set -euo pipefail

root=$(realpath "$1") dir=$(realpath "$2")
shift 2
inside=${dir#"${root%/}"}

environment=(
	env -i "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	HOME=/nonexistent LANG=C.UTF-8 TZ=UTC "MIGSPEC_DIR=$inside"
)
# Sizes and seeds of tests, which a person may set.
while IFS= read -r setting; do
	environment+=("$setting")
done < <(env | grep -E '^MIGSPEC_(ROWS|(ORACLE|DDL)_[A-Z]+)=' || true)

if ! unshare --mount --pid --fork mount -t tmpfs none /mnt 2>/dev/null; then
	exec chroot "$root" "${environment[@]}" "$@"
fi

# shellcheck disable=SC2016  # expanded by the inner shell
exec unshare --mount --pid --fork --kill-child bash -euc '
	root=$1 dir=$2 inside=$3
	shift 3
	# As the first process of its namespace this is deaf without a handler.
	trap "exit 130" INT TERM
	# The upper layer is small, what is built lies in DIR; it is on a tmpfs
	# because it may not be on the lower file system when that is / itself.
	mount -t tmpfs none /mnt
	mkdir /mnt/upper /mnt/work /mnt/root
	if mount -t overlay none /mnt/root \
		-o "lowerdir=$root,upperdir=/mnt/upper,workdir=/mnt/work" 2>/dev/null
	then
		mkdir -p "/mnt/root$inside"
		mount --bind "$dir" "/mnt/root$inside"
		root=/mnt/root
	fi
	mount -t proc none "${root%/}/proc"
	mount --rbind /dev "${root%/}/dev"
	mkdir -p /dev/shm
	mount -t tmpfs -o mode=1777 none "${root%/}/dev/shm"
	chroot "$root" "$@"
' enter "$root" "$dir" "$inside" "${environment[@]}" "$@"
