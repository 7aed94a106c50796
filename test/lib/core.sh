#!/usr/bin/env bash
#
# core.sh VERSION [TEST ...]
#
# The part of test/core.sh that runs inside, as root: build what the tests need,
# run them twice, and compare.
set -euo pipefail

version=$1
shift
dir=$MIGSPEC_DIR
bindir=/usr/lib/postgresql/$version/bin
lib=$dir/core-lib
user=postgres

# Of contrib, the tests use two modules; they look for all in one place.
rm -rf "$lib"
mkdir -p "$lib"
gcc -shared -fPIC -O1 -w -I "$("$bindir/pg_config" --includedir-server)" \
	-o "$lib/regress.so" "$dir/regress/regress.c"
cp "$("$bindir/pg_config" --pkglibdir)"/{autoinc,refint}.so "$lib/"

cat >"$dir/core.conf" <<'CONF'
shared_preload_libraries = 'migspec'
migspec.guard = 'warn'
# tell of all work, however small
migspec.guard_max_bytes = 0
# our processes must not take those that parallel queries are waiting for
max_worker_processes = 16
CONF

selection=(--schedule="$dir/regress/parallel_schedule")
(($# == 0)) || selection=(test_setup "$@")

# run NAME [OPTION ...]
run() {
	local name=$1
	shift
	rm -rf "${dir:?}/$name"
	mkdir -p "$dir/$name"
	chown -R "$user:" "$dir/$name" "$dir/regress"
	(cd "$dir/$name" &&
		runuser -u "$user" -- env LC_ALL=C.UTF-8 TZ=UTC \
			"$("$bindir/pg_config" --pkglibdir)/pgxs/src/test/regress/pg_regress" \
			--bindir="$bindir" --inputdir="$dir/regress" --outputdir="$dir/$name" \
			--dlpath="$lib" --max-concurrent-tests=20 --temp-instance="$dir/$name/data" \
			--encoding=UTF8 --no-locale "$@" "${selection[@]}") >"$dir/$name.log" 2>&1 || true
	grep -hE '^(# )?(All|[0-9]+ of) [0-9]*.*tests? |^ (All|[0-9]+ of).*tests' "$dir/$name.log" |
		sed "s/^[ #]*/$name: /" || tail -n 20 "$dir/$name.log"
}

run as-it-comes
run with-migspec --temp-config="$dir/core.conf" --load-extension=migspec

# Take the guard's warnings out: the message, unless VERBOSITY is terse also the
# detail and the hint, whose last line is known, and where in a function it was.
strip() {
	perl -ne '
		if ($state eq "message") { $state = /^DETAIL:  / ? "detail" : "" }
		if ($state eq "detail") { $state = "end" if /migspec_guard_override/; next }
		if ($state eq "end") { $state = /^CONTEXT:  / ? "context" : "" }
		if ($state eq "context") { next if /^CONTEXT:  |^PL\/pgSQL function|^SQL (?:statement|function)/; $state = "" }
		if (/WARNING:  this is going to (?:rewrite|read all of|build indexes on|wait for) /) {
			$state = "message";
			$count++;
			next;
		}
		print;
		END { print STDERR "$count warnings of the guard in $ARGV\n" if $count }' "$1"
}

status=0
for file in "$dir"/as-it-comes/results/*.out; do
	name=$(basename "$file")
	[ -e "$dir/with-migspec/results/$name" ] || { echo "no $name" && status=1 && continue; }
	strip "$dir/with-migspec/results/$name" >"$dir/stripped"
	diff -U3 --label "as it comes: $name" --label "with migspec: $name" "$file" "$dir/stripped" || status=1
done
[ -n "$(find "$dir/as-it-comes/results" -name '*.out')" ] || status=1
((status == 0)) && echo "$version core: no difference"
exit "$status"
