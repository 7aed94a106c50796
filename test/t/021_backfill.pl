# The backfill and the verification: what happens to rows while everything
# else happens to their table and to the worker.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
restart_after_crash = on
shared_preload_libraries = 'migspec, auto_explain'
autovacuum = off
migspec.naptime = '50ms'
migspec.batch_rows = 500
migspec.window_pages = 20
});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION migspec');

# Settings of the database, to which no worker may fall victim; sessions of
# this test have others.
$ENV{PGOPTIONS} = '-c default_transaction_read_only=off -c lock_timeout=0'
  . ' -c search_path=public -c default_transaction_isolation=read\ committed';
$node->safe_psql('postgres', "ALTER DATABASE postgres SET $_")
  foreach 'default_transaction_read_only = on', 'lock_timeout = 1',
  "search_path = 'nowhere'", "default_transaction_isolation = 'serializable'";

sub query
{
	return $node->safe_psql('postgres', $_[0]);
}

sub poll
{
	my ($what, $sql) = @_;

	return ok($node->poll_query_until('postgres', $sql), $what);
}

# A table of 5000 rows, about 75 a page
sub make_table
{
	my ($name) = @_;

	query("CREATE TABLE $name (id int PRIMARY KEY, v text, n int)");
	query("INSERT INTO $name SELECT i, i::text, 0 FROM generate_series(1, 5000) i");
	query("VACUUM ANALYZE $name");
	return;
}

sub expand_rename
{
	my ($name) = @_;

	query("SELECT migspec_expand('$name', migspec_rename_column('$name', 'v', 'w'))");
	return;
}

# Rename column v of a table to w, up to phase migrating, at some rows/s
sub start_rename
{
	my ($name, $pace) = @_;

	expand_rename($name);
	query("SELECT migspec_tune('$name', max_rows_per_second => $pace)")
	  if $pace;
	query("SELECT migspec_migrate('$name')");
	return;
}

sub wait_for_phase
{
	my ($name, $phase) = @_;

	return poll("migration $name reaches phase $phase",
		"SELECT phase = '$phase' FROM migspec.migrations WHERE name = '$name'");
}

sub full_speed
{
	my ($name) = @_;

	query("SELECT migspec_tune('$name', max_rows_per_second => 0)");
	return;
}

sub in_sync
{
	my ($name) = @_;

	return is(query("SELECT count(*) FROM $name WHERE v IS DISTINCT FROM w"),
		0, "all rows of $name are in sync");
}

my $worker = 'SELECT pid FROM pg_stat_activity'
  . " WHERE backend_type = 'migspec worker'";

# Wait until the worker of the only migration has done some rows; its pid.
sub wait_for_rows
{
	my ($name) = @_;

	$node->poll_query_until('postgres',
		"SELECT sum(rows_done) > 0 AND EXISTS ($worker) FROM migspec.progress"
		  . " WHERE migration = '$name'")
	  or die "no progress of $name";
	return query($worker);
}

#
# How rows are found
#
make_table('plan');
my $offset = -s $node->logfile;
query("ALTER SYSTEM SET auto_explain.log_min_duration = 0");
query("ALTER SYSTEM SET auto_explain.log_nested_statements = on");
query('SELECT pg_reload_conf()');
start_rename('plan');
wait_for_phase('plan', 'migrated');
in_sync('plan');
query("ALTER SYSTEM RESET ALL");
query('SELECT pg_reload_conf()');
my $log = slurp_file($node->logfile, $offset);
my ($plan) = $log =~ /Query Text: (WITH pending.*?)(?=^\d{4}-)/ms;
like($plan, qr/Nested Loop.*Tid Scan on plan/s, 'rows are updated by address');
like($plan, qr/LockRows.*Tid Range Scan on plan/s, 'and found by a range scan');
unlike($log, qr/Query Text: WITH pending.{1,900}Seq Scan/s, 'not by any other');
cmp_ok(query("SELECT rows_hot FROM migspec.backfill WHERE relation = 'plan'::regclass"),
	'>', 2500, 'most updates are heap-only');

my @checks = split /\n/, query("SELECT \"check\" || ' ' || ok FROM migspec_verify('plan')");
is(scalar(grep { !/ true$/ } @checks), 0, 'verification finds nothing');
is(query("SELECT rows_compared || ' ' || rows_differing FROM migspec.migrations WHERE name = 'plan'"),
	'5000 0', 'it has compared all rows');

#
# Rows that are locked
#
make_table('locked');
expand_rename('locked');
my $session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('SELECT FROM locked WHERE id IN (1, 2500, 5000) FOR UPDATE');
query("SELECT migspec_migrate('locked')");
poll('a lock that is held for long is noted',
	"SELECT count(*) > 0 FROM migspec.events WHERE migration = 'locked' AND event = 'backfill_waits'");
is(query("SELECT count(*) FROM locked WHERE v IS DISTINCT FROM w"),
	3, 'all other rows are in sync');
is(query("SELECT phase FROM migspec.migrations WHERE name = 'locked'"),
	'migrating', 'the locked ones are waited for');
$session->query_safe('COMMIT');
$session->quit;
wait_for_phase('locked', 'migrated');
in_sync('locked');

#
# The table gets another file.
#
make_table('moved');
start_rename('moved', 1000);
wait_for_rows('moved');
query('VACUUM FULL moved');
poll('a table with a new file is scanned anew',
	"SELECT restarts = 1 FROM migspec.progress WHERE migration = 'moved'");
full_speed('moved');
wait_for_phase('moved', 'migrated');
in_sync('moved');

make_table('emptied');
start_rename('emptied', 1000);
wait_for_rows('emptied');
query('TRUNCATE emptied');
wait_for_phase('emptied', 'migrated');

#
# Rows that cannot be converted
#
make_table('bad');
make_table('good');
query("UPDATE bad SET v = 'bad' WHERE id IN (3, 4, 4000)");
query("SELECT migspec_expand('bad', migspec_change_type('bad', 'v', 'int', 'v::int', 'v::text'))");
query("SELECT migspec_migrate('bad')");
start_rename('good');
wait_for_phase('good', 'migrated');
poll('rows that cannot be converted are an error',
	"SELECT last_sqlstate = 'MG404' AND last_hint LIKE '%migspec_resume(%'"
	  . " FROM migspec.migrations WHERE name = 'bad'");
is(query("SELECT string_agg(key::text || ' ' || sqlstate, ', ' ORDER BY key->'id') FROM migspec.failed_row"),
	'{"id": 3} 22P02, {"id": 4} 22P02, {"id": 4000} 22P02',
	'they are set aside with their keys');
is(query("SELECT rows_done FROM migspec.progress WHERE migration = 'bad'"),
	4997, 'all others are converted');
query("UPDATE bad SET v = id WHERE v = 'bad'");
query("SELECT migspec_resume('bad')");
wait_for_phase('bad', 'migrated');
is(query('SELECT count(*) FROM migspec.failed_row'), 0, 'nothing is set aside');
@checks = split /\n/, query("SELECT \"check\" || ' ' || ok FROM migspec_verify('bad')");
is(scalar(grep { !/ true$/ } @checks), 0, 'verification finds nothing');

make_table('worse');
query("UPDATE worse SET v = 'bad' WHERE id % 7 = 3");
query("SELECT migspec_expand('worse', migspec_change_type('worse', 'v', 'int', 'v::int', 'v::text'))");
query("SELECT migspec_migrate('worse')");
poll('there is a limit to that',
	"SELECT last_error LIKE 'more than 100 rows%' FROM migspec.migrations WHERE name = 'worse'");
query("SELECT migspec_rollback('worse')");

#
# Steering
#
make_table('steered');
start_rename('steered', 1000);
wait_for_rows('steered');
query("SELECT migspec_pause('steered')");
poll('a worker that is paused ends', "SELECT NOT EXISTS ($worker)");
my $done = query("SELECT rows_done FROM migspec.progress WHERE migration = 'steered'");
cmp_ok($done, '<', 5000, 'before it is through');
full_speed('steered');
query("SELECT migspec_resume('steered')");
wait_for_phase('steered', 'migrated');
in_sync('steered');

make_table('undone');
my $before = query("SELECT string_agg(attname || ' ' || attnum, ', ') FROM pg_attribute"
	  . " WHERE attrelid = 'undone'::regclass AND attnum > 0");
start_rename('undone', 1000);
wait_for_rows('undone');
query("SELECT migspec_rollback('undone')");
is(query("SELECT string_agg(attname || ' ' || attnum, ', ') FROM pg_attribute"
		  . " WHERE attrelid = 'undone'::regclass AND attnum > 0 AND NOT attisdropped"),
	$before, 'a rollback stops the worker');
is(query("SELECT failures FROM migspec.migrations WHERE name = 'undone'"),
	0, 'which is no failure');

#
# The worker ends early.
#
make_table('ended');
start_rename('ended', 1000);
my $pid = wait_for_rows('ended');
query("SELECT pg_cancel_backend($pid)");
poll('cancelling a worker is a failure that it tries again',
	"SELECT last_sqlstate = '57014' AND retry_at < now() + interval '10 s'"
	  . " FROM migspec.migrations WHERE name = 'ended'");
query("SELECT migspec_resume('ended')");
$pid = wait_for_rows('ended');
query("SELECT pg_terminate_backend($pid)");
poll('another worker takes over from one that was terminated',
	"SELECT count(*) = 1 AND bool_and(pid <> $pid) FROM ($worker) w");
$pid = wait_for_rows('ended');
kill 'KILL', $pid;
poll('and from one that was killed',
	"SELECT count(*) = 1 AND bool_and(pid <> $pid) FROM ($worker) w");
wait_for_rows('ended');
$node->stop('immediate');
$node->start;
wait_for_rows('ended');
full_speed('ended');
wait_for_phase('ended', 'migrated');
in_sync('ended');
is(query("SELECT rows_done FROM migspec.backfill WHERE relation = 'ended'::regclass"),
	5000, 'no row was counted twice');

#
# The trigger is disabled.
#
make_table('blind');
start_rename('blind', 1000);
wait_for_rows('blind');
query('SET migspec.phase_guard = off; ALTER TABLE blind DISABLE TRIGGER ALL');
poll('without the trigger nothing goes on',
	"SELECT last_sqlstate = 'MG403' FROM migspec.migrations WHERE name = 'blind'");
my ($trigger) = split /\n/,
  query("SELECT quote_ident(tgname) FROM pg_trigger WHERE tgrelid = 'blind'::regclass");
query("UPDATE blind SET v = 'x' WHERE id = 1");
query("ALTER TABLE blind ENABLE ALWAYS TRIGGER $trigger");
full_speed('blind');
query("SELECT migspec_resume('blind')");
wait_for_phase('blind', 'migrated');
query("SET migspec.phase_guard = off; ALTER TABLE blind DISABLE TRIGGER $trigger");
query("UPDATE blind SET v = 'x' WHERE id BETWEEN 2 AND 151");
query("ALTER TABLE blind ENABLE ALWAYS TRIGGER $trigger");
is(query("SELECT count(*) FROM migspec_verify('blind') WHERE NOT ok"),
	1, 'verification finds rows that differ');
is(query("SELECT rows_compared || ' ' || rows_differing FROM migspec.migrations WHERE name = 'blind'"),
	'5000 150', 'and counts them');
is(query("SELECT count(*) || ' ' || min((key->>'id')::int) FROM migspec.difference WHERE old_value = 'x' AND expected = 'x' AND new_value <> 'x'"),
	'100 2', 'and shows the first of them');

#
# Partitions
#
query(q{CREATE TABLE parted (id int PRIMARY KEY, v text, n int) PARTITION BY RANGE (id)});
query(q{CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (1) TO (2000)});
query(q{CREATE TABLE parted_2 (n int, v text, id int NOT NULL)});
query(q{ALTER TABLE parted ATTACH PARTITION parted_2 FOR VALUES FROM (2000) TO (4000)});
query(q{INSERT INTO parted SELECT i, i::text, 0 FROM generate_series(1, 3999) i});
start_rename('parted', 1000);
wait_for_rows('parted');
query('DROP TABLE parted_1');
full_speed('parted');
wait_for_phase('parted', 'migrated');
in_sync('parted');

#
# An index that was half built
#
make_table('indexed');
query('CREATE INDEX ON indexed (v)');
$session = $node->background_psql('postgres');
$session->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
$session->query_safe('SELECT FROM plan');
start_rename('indexed');
poll('an index build waits for old snapshots',
	"SELECT count(*) = 1 FROM pg_index i JOIN pg_stat_progress_create_index p"
	  . " ON p.index_relid = i.indexrelid WHERE NOT indisvalid AND p.phase LIKE 'waiting for old%'");
kill 'KILL', query($worker);
eval { $session->quit };
wait_for_phase('indexed', 'migrated');
is(query("SELECT count(*) || ' ' || count(*) FILTER (WHERE indisvalid)"
		  . " FROM pg_index WHERE indrelid = 'indexed'::regclass"),
	'3 3', 'a half-built index is built again');

#
# As many workers as are allowed
#
query("ALTER SYSTEM SET migspec.max_workers = 1");
query('SELECT pg_reload_conf()');
make_table($_), expand_rename($_), query("SELECT migspec_tune('$_', max_rows_per_second => 1000)")
  foreach 'first', 'second';
query("SELECT migspec_migrate('first')");
wait_for_rows('first');
query("SELECT migspec_migrate('second')");
$pid = wait_for_rows('first');
is(query("SELECT count(*) FROM ($worker) w"), 1, 'no more workers than allowed');
query("SELECT migspec_pause('first')");
wait_for_rows('second');
pass('the next one starts when there is room');
query("ALTER SYSTEM RESET migspec.max_workers");
query('SELECT pg_reload_conf()');
query("SELECT migspec_resume('first')");
poll('then both work', "SELECT count(*) = 2 FROM ($worker) w");
full_speed($_), wait_for_phase($_, 'migrated') foreach 'first', 'second';

#
# A verification that its caller gives up, or that loses its worker
#
$session = $node->background_psql('postgres');
$session->query_safe('BEGIN');
$session->query_safe('LOCK TABLE first');
my ($rc, $out, $err) = $node->psql('postgres',
	"SET statement_timeout = '500ms'; SELECT count(*) FROM migspec_verify('first')");
like($err, qr/statement timeout/, 'a verification can be cancelled');
poll('its worker ends with it', "SELECT NOT EXISTS ($worker)");
my $caller = $node->background_psql('postgres', on_error_stop => 0);
$caller->query_until(qr/started/,
	"\\echo started\nSELECT count(*) FROM migspec_verify('first');\n");
poll('a verification waits for a lock', "SELECT EXISTS ($worker)");
query("SELECT pg_terminate_backend(pid) FROM ($worker) w");
$caller->query('SELECT 1');
like($caller->{stderr}, qr/has ended too early/, 'its caller learns that the worker has ended');
$caller->quit;
$session->query_safe('COMMIT');
$session->quit;

#
# The whole database goes while a worker works.
#
query('CREATE DATABASE doomed');
$node->safe_psql('doomed', 'ALTER DATABASE doomed SET synchronous_commit = off');
$node->safe_psql('doomed', 'CREATE EXTENSION migspec');
$node->safe_psql('doomed', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
$node->safe_psql('doomed', "INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i");
$node->safe_psql('doomed', "SELECT migspec_expand('t', migspec_rename_column('t', 'v', 'w'))");
$node->safe_psql('doomed', "SELECT migspec_tune('t', max_rows_per_second => 500), migspec_migrate('t')");
$node->poll_query_until('doomed', "SELECT sum(rows_done) > 0 FROM migspec.progress")
  or die 'no progress';
query('DROP DATABASE doomed');
poll('DROP DATABASE ends its workers', "SELECT NOT EXISTS ($worker)");

#
# The extension goes while a worker works.
#
make_table('dropped');
start_rename('dropped', 1000);
wait_for_rows('dropped');
$offset = -s $node->logfile;
query('SET migspec.phase_guard = off; SET client_min_messages = warning; DROP EXTENSION migspec CASCADE');
poll('DROP EXTENSION ends all workers of the database',
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND backend_type LIKE 'migspec%'");
unlike(slurp_file($node->logfile, $offset), qr/PANIC|terminated by signal/, 'in peace');

$node->stop;
done_testing();
