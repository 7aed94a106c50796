#!/usr/bin/env bash
#
# tree.sh DIR
#
# Copy the work tree into DIR/source, as it is now: what git tracks or would
# add.  Times of files are kept, so that make can tell what has changed.
set -euo pipefail

dir=$1
cd "$(dirname "$0")/../.."
rm -rf "$dir/source"
mkdir -p "$dir/source"

# The clone may belong to another user than the one who runs this.
git() {
	command git -c safe.directory='*' "$@"
}

if git rev-parse --git-dir >/dev/null 2>&1; then
	git ls-files -z --cached --others --exclude-standard
else
	find . -name .git -prune -o -type f -print0
fi |
	while IFS= read -r -d '' file; do
		# Tracked files may have been deleted.
		[ ! -e "$file" ] || printf '%s\0' "$file"
	done |
	tar --null --files-from=- --owner=0 --group=0 -cf - |
	tar -C "$dir/source" -xf -
chmod -R go+rX "$dir"
