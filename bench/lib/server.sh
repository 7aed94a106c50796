# Sourced: a server of our own in the current directory, reachable through a
# socket there only.
# shellcheck shell=bash

export PGHOST=$PWD/socket PGDATABASE=bench PGOPTIONS=-cclient_min_messages=warning
unset PGPORT PGUSER PGSERVICE PGPASSWORD

# Durable as in production; memory and checkpoints as on a server that somebody
# has tuned.
start_server() {
	local memory
	memory=$(awk '/^MemTotal/ { m = int($2 / 4096); print (m > 4096 ? 4096 : m) }' /proc/meminfo)
	mkdir socket
	initdb --no-sync -A trust -E UTF8 --no-locale -D data >initdb.log
	cat >>data/postgresql.conf <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$PGHOST'
		shared_preload_libraries = 'migspec'
		shared_buffers = '${memory}MB'
		max_wal_size = '8GB'
		checkpoint_timeout = '15min'
		max_worker_processes = 16
		log_line_prefix = '%m [%p] %q%a '
	CONF
	pg_ctl -w -s -D data -l server.log start || { tail -n 5 server.log >&2 && return 1; }
	createdb bench
	sql "CREATE EXTENSION migspec"
}

stop_server() {
	[ ! -f data/postmaster.pid ] || pg_ctl -w -s -D data -m immediate stop
}

# Rows without decoration; the first error ends the script.
sql() {
	psql -XqAt -v ON_ERROR_STOP=1 -c "$1"
}

sql_file() {
	psql -Xq -v ON_ERROR_STOP=1 -f "$@"
}

# Seconds since the epoch, of the clock that server and pgbench use as well.
now() {
	date +%s.%N
}
