#!/usr/bin/env bash
#
# suites.sh VERSION SOURCE [SUITE[:NAME ...] ...]
#
# Build, install and test the extension with PostgreSQL VERSION.  Runs as root
# inside the directory that enter.sh set up; all but "make install" is done as
# an unprivileged user, since a server refuses to run as root.
#
#   build-release  build in the source tree, as a user does, and install
#   build          build out of tree with assertions enabled, and install
#   regress, isolation, pgtap, tap
#                  run the tests against the build that was installed last,
#                  all of them or only those named
#
# Prints a line for each suite, the logs of those that failed, and appends
# "SUITE PASSED FAILED" to $MIGSPEC_DIR/results.
set -euo pipefail

version=$1 source=$2
shift 2
dir=$MIGSPEC_DIR
bindir=/usr/lib/postgresql/$version/bin
PG_CONFIG=$bindir/pg_config
export PG_CONFIG

# A test that hangs must not take the whole run with it.
# an oracle by hand may take longer than all else
suite_timeout=$((1500 + ${MIGSPEC_ORACLE_SECONDS:-0}))
export PG_TEST_TIMEOUT_DEFAULT=120 PGISOLATIONTIMEOUT=120

user=postgres
id -u "$user" >/dev/null 2>&1 || {
	user=migspec-test
	id -u "$user" >/dev/null 2>&1 || useradd --system "$user"
}

as_user() {
	runuser -u "$user" -- "$@"
}

# The server's headers are system headers here: warnings are about our code.
# Hooks and functions called through fmgr rarely use all of their parameters.
warnings="-Wall -Wextra -Werror -Wno-unused-parameter"
warnings+=" -isystem $("$PG_CONFIG" --includedir-server)"

build_dir=$dir/build makefile=$source/Makefile

run_make() {
	as_user make -C "$build_dir" -f "$makefile" --no-print-directory "$@"
}

install_built() {
	make -C "$build_dir" -f "$makefile" --no-print-directory install
}

build() {
	mkdir -p "$build_dir"
	chown "$user:" "$build_dir"
	# Inlining into compiled queries needs an optimised build anyway.
	run_make -j"$(nproc)" with_llvm=no COPT="$warnings -DUSE_ASSERT_CHECKING" &&
		make -C "$build_dir" -f "$makefile" --no-print-directory with_llvm=no install
}

build_release() {
	rm -rf "$build_dir"
	cp -a "$source" "$build_dir"
	chown -R "$user:" "$build_dir"
	run_make -j"$(nproc)" COPT="$warnings" && install_built
}

# pg_regress starts a server of its own; UTF-8 whatever the environment is.
temp_instance() {
	echo "--temp-instance=$build_dir/$1 --temp-config=$source/test/migspec.conf \
--encoding=UTF8 --no-locale"
}

regress() {
	run_make installcheck ${1:+REGRESS="$*"} ISOLATION= TAP_TESTS= \
		EXTRA_REGRESS_OPTS="$(temp_instance tmp_check)"
}

isolation() {
	run_make installcheck ${1:+ISOLATION="$*"} REGRESS= TAP_TESTS= \
		EXTRA_REGRESS_OPTS="$(temp_instance tmp_check_iso)"
}

tap() {
	local files=() name
	for name in "$@"; do
		files+=("test/t/${name%.pl}.pl")
	done
	run_make installcheck REGRESS= ISOLATION= PROVE_FLAGS=--verbose \
		${1:+PROVE_TESTS="${files[*]}"}
}

pgtap() {
	local files=() name rc=0 data=$build_dir/tmp_pgtap
	for name in "$@"; do
		files+=("$source/test/pgtap/${name%.sql}.sql")
	done
	rm -rf "$data"
	as_user mkdir -p "$data/sock"
	as_user "$bindir/initdb" --no-sync -A trust -E UTF8 --no-locale -D "$data/data" \
		>"$data/initdb.log"
	as_user cat "$source/test/migspec.conf" >>"$data/data/postgresql.conf"
	export PGHOST=$data/sock PGDATABASE=pgtap
	as_user "$bindir/pg_ctl" -w -s -D "$data/data" -l "$data/server.log" start \
		-o "-c listen_addresses='' -c unix_socket_directories='$data/sock'"
	as_user "$bindir/createdb" pgtap
	as_user "$bindir/psql" -qX -v ON_ERROR_STOP=1 \
		-c "CREATE EXTENSION pgtap" -c "CREATE EXTENSION migspec" &&
		run_make pgtap PGTAP_OPTS=--verbose ${1:+pgtap_files="${files[*]}"} || rc=$?
	as_user "$bindir/pg_ctl" -w -s -D "$data/data" -m immediate stop
	unset PGHOST PGDATABASE
	return "$rc"
}

# How many tests there are, to tell "none" from "none was run".
available() {
	case $1 in
		regress) find "$source/sql" -name '*.sql' 2>/dev/null ;;
		isolation) find "$source/test/isolation/specs" -name '*.spec' 2>/dev/null ;;
		pgtap) find "$source/test/pgtap" -name '*.sql' 2>/dev/null ;;
		tap) find "$source/test/t" -name '*.pl' 2>/dev/null ;;
		*) echo build ;;
	esac | wc -l
}

# Logs of the servers (and TAP scripts) of the suite that ran last.
server_logs() {
	find "$build_dir"/tmp_* "$build_dir/log" "$build_dir/output_iso/log" \
		\( -name '*.log' -o -name 'regress_log_*' \) -newer "$dir/started" \
		2>/dev/null || true
}

# Set passed and failed from the log of a suite.  pg_regress writes
# "name ... ok" before version 16, and TAP since; subtests are indented.
count() {
	local suite=$1 rc=$2 log=$3
	if [[ $suite == build* ]]; then
		passed=$((rc == 0)) failed=$((rc != 0))
		return
	fi
	passed=$(grep -cE '^ok [0-9]+|^(test)? +[^ ]+ +\.\.\. ok' "$log") || true
	failed=$(grep -E '^not ok [0-9]+|^(test)? +[^ ]+ +\.\.\. (failed|FAILED)' "$log" |
		grep -cvE '# TODO') || true
	# A runner that died, or ran nothing, has to show up as well.
	if ((failed == 0)) && ((rc != 0 || passed == 0)); then
		failed=1
	fi
	# So does a server that crashed, even if no test took notice of it.
	local crashes='TRAP: |was terminated by signal (4|6|7|8|11):'
	if server_logs |
		xargs -r grep -lE "$crashes" >"$dir/crashed"; then
		failed=$((failed + 1))
		xargs grep -nE "$crashes" <"$dir/crashed" >>"$log" || true
	fi
}

# The part of a failed suite's output that tells what happened.
explain() {
	local suite=$1 log=$2 f
	echo "---- $version $suite: what failed"
	case $suite in
		build*) grep -vE '^[^ ]*(gcc|clang|mkdir|install)[^ :]* -' "$log" | tail -n 60 ;;
		tap | pgtap) grep -vE '^ *ok |^echo ' "$log" | tail -n 80 ;;
		*) grep -vE '^echo |^ALTER DATABASE' "$log" | tail -n 60 ;;
	esac
	for f in "$build_dir"/regression.diffs "$build_dir"/output_iso/regression.diffs; do
		[[ $suite == regress || $suite == isolation ]] && [ -s "$f" ] &&
			head -n 300 "$f"
	done
	server_logs |
		while read -r f; do
			grep -qE 'TRAP|terminated by signal|PANIC|FATAL|not ok' "$f" || continue
			echo "---- ${f#"$build_dir/"} (end)"
			tail -n 40 "$f"
		done
	echo "---- $version $suite: end"
}

set -m
total=0
for spec in "$@"; do
	suite=${spec%%:*}
	names=()
	[[ $spec != *:* ]] || read -ra names <<<"${spec#*:}"
	if (($(available "$suite") == 0)); then
		echo "$version $suite: no tests"
		continue
	fi

	case $suite in
		build-release) build_dir=$dir/release makefile=Makefile ;;
		build) build_dir=$dir/build makefile=$source/Makefile ;;
	esac
	log=$dir/$suite.log
	touch "$dir/started"
	rm -f "$build_dir"/regression.diffs "$build_dir"/output_iso/regression.diffs
	rc=0
	start=$SECONDS
	# A job of its own (set -m), so that all of it can be stopped.
	("${suite//-/_}" "${names[@]}") </dev/null >"$log" 2>&1 &
	job=$!
	(sleep "$suite_timeout" && kill -- "-$job" && sleep 10 && kill -9 -- "-$job") \
		>/dev/null 2>&1 &
	watchdog=$!
	wait "$job" || rc=$?
	{ kill -- "-$watchdog" && wait "$watchdog"; } 2>/dev/null || true

	count "$suite" "$rc" "$log"
	echo "$suite $passed $failed" >>"$dir/results"
	report=$(
		label=$suite
		[[ $build_dir != */release || $suite == build* ]] || label+=" (release)"
		echo "$version $label: $passed passed, $failed failed ($((SECONDS - start)) s)"
		((failed == 0)) || explain "$suite" "$log"
	)
	echo "$report"
	total=$((total + failed))
	# Without a build there is nothing to test.
	((failed == 0)) || [[ $suite != build* ]] || break
done
((total == 0))
