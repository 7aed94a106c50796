#!/usr/bin/env bash
#
# All checks and tests, with all supported versions of PostgreSQL.
#
#   --version 15|17|18   only this version (may be repeated)
#   --only WHAT          only lint, build, regress, isolation, pgtap or tap
#                        (may be repeated)
#   --quick              one version (15) and one build of it
#   --jobs N             how many versions at a time (2)
#   --keep               leave the directories with builds and logs behind
#
# Runs as root on Debian 12, and installs what it needs.  The last line is the
# tally; the exit code is 0 if nothing failed.
set -euo pipefail

cd "$(dirname "$0")/.."

versions=() only=() quick=false keep=false jobs=2
while (($#)); do
	case $1 in
		--version) versions+=("$2") && shift ;;
		--only) only+=("$2") && shift ;;
		--jobs) jobs=$2 && shift ;;
		--quick) quick=true ;;
		--keep) keep=true ;;
		*) sed -n '3,/^$/s/^# \?//p' "$0" >&2 && exit 1 ;;
	esac
	shift
done
if ((${#versions[@]} == 0)); then
	versions=(15)
	$quick || versions+=(17 18)
fi

wanted() {
	((${#only[@]} == 0)) || [[ " ${only[*]} " == *" $1 "* ]]
}

# Assertions find more, so everything runs with them; the build that users
# get has to pass at least the tests of what users see.
suites=()
if ! $quick && wanted build; then
	suites+=(build-release)
	! wanted regress || suites+=(regress)
fi
suites+=(build)
for suite in regress isolation pgtap tap; do
	! wanted "$suite" || suites+=("$suite")
done

work=$(mktemp -d)
scratch=()
cleanup() {
	# Ends what still runs when this is interrupted.
	local job
	for job in $(jobs -p); do
		kill -KILL -- "-$job" 2>/dev/null || true
	done
	wait
	if $keep; then
		echo "kept: ${scratch[*]}"
	else
		rm -rf "$work" "${scratch[@]}"
	fi
}
trap 'exit 1' INT TERM
trap cleanup EXIT

passed=0 failed=0 skipped=0
add() {
	passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + ${3:-0}))
}

# Build and test one version in its root; the outcome is left in $work.
run_version() {
	local version=$1 root=$2 dir=$3 rc=0
	bash test/lib/enter.sh "$root" "$dir" bash -c \
		'exec bash "$MIGSPEC_DIR/source/test/lib/suites.sh" \
			"$1" "$MIGSPEC_DIR/source" "${@:2}"' suites "$version" "${suites[@]}" || rc=$?
	# A failure that no suite has recorded is one of the machinery.
	if ((rc)) && ! grep -qsE ' [1-9][0-9]*$' "$dir/results"; then
		echo "$version: stopped with code $rc"
		echo "machinery 0 1" >>"$dir/results"
	fi
}

# The checks need 15 and the tools, which are installed along with it.
if wanted lint; then
	if bash test/lib/root.sh 15 >/dev/null; then
		PG_CONFIG=/usr/lib/postgresql/15/bin/pg_config .ci/lint >"$work/lint" || true
		sed 's/^ok - \(.*\)/lint \1: ok/; s/^not ok - \(.*\)/lint \1: FAILED/' "$work/lint"
		add "$(grep -c '^ok - ' "$work/lint" || true)" \
			"$(grep -c '^not ok - ' "$work/lint" || true)"
	else
		echo "lint: skipped"
		add 0 0 1
	fi
fi

if ((${#only[@]})) && [[ ${only[*]} == lint ]]; then
	versions=()
fi
for version in "${versions[@]}"; do
	if ! root=$(bash test/lib/root.sh "$version"); then
		echo "$version: skipped"
		add 0 0 1
		continue
	fi
	dir=$(mktemp -d "${root%/}/tmp/migspec.XXXXXX")
	scratch+=("$dir")
	bash test/lib/tree.sh "$dir"
	touch "$dir/results"
	while (($(jobs -rp | wc -l) >= jobs)); do
		wait -n || true
	done
	# A process group of its own (set -m), so that all of it can be stopped.
	set -m
	run_version "$version" "$root" "$dir" </dev/null &
	set +m
done
wait

for dir in "${scratch[@]}"; do
	while read -r _ suite_passed suite_failed; do
		add "$suite_passed" "$suite_failed"
	done <"$dir/results"
done

tally="$passed passed, $failed failed"
((skipped == 0)) || tally+=", $skipped skipped"
$keep || { rm -rf "$work" "${scratch[@]}" && scratch=(); }
trap - EXIT
! $keep || cleanup
echo "$tally"
((failed == 0))
