# The background workers: what brings them up, what sends them home, and what
# they have to survive.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $node = PostgreSQL::Test::Cluster->new('primary');
$node->init(allows_streaming => 1);
$node->append_conf(
	'postgresql.conf', q{
restart_after_crash = on
migspec.naptime = '100ms'
});
$node->start;

# pids of our workers of one type, ascending; in one database if it is named
sub pids_of
{
	my ($server, $type, $dbname) = @_;
	my $where = defined $dbname ? "datname = '$dbname'" : 'true';

	return split /\n/, $server->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity"
		  . " WHERE backend_type = 'migspec $type' AND $where ORDER BY pid");
}

# Wait until there is one scheduler in a database, and return its pid.  While
# the server restarts, connections fail.
sub wait_for_scheduler
{
	my ($server, $dbname) = @_;

	$server->poll_query_until('postgres',
		"SELECT count(*) = 1 FROM pg_stat_activity"
		  . " WHERE backend_type = 'migspec scheduler' AND datname = '$dbname'")
	  or die "no scheduler in database $dbname";
	return (pids_of($server, 'scheduler', $dbname))[0];
}

sub wait_until_gone
{
	my ($server, $pid) = @_;

	return $server->poll_query_until('postgres',
		"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
}

sub wait_for_log
{
	my ($server, $pattern, $offset) = @_;

	foreach my $try (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1 if slurp_file($server->logfile, $offset) =~ /$pattern/;
		usleep(100_000);
	}
	return 0;
}

#
# Where the extension is, there is a scheduler.
#
$node->poll_query_until('postgres',
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'migspec launcher'"
) or die 'no launcher';
pass('the launcher starts with the server');

$node->safe_psql('postgres', 'BEGIN; CREATE EXTENSION migspec; ROLLBACK');
$node->safe_psql('postgres', 'CREATE DATABASE without');
$node->safe_psql('postgres', 'CREATE DATABASE app');
$node->safe_psql('app', 'CREATE EXTENSION migspec');
wait_for_scheduler($node, 'app');
is(scalar(pids_of($node, 'scheduler')),
	1, 'a scheduler starts where the extension is created, and only there');

$node->safe_psql('postgres', 'CREATE EXTENSION migspec');
my $scheduler = wait_for_scheduler($node, 'postgres');

#
# Signals
#
my ($launcher) = pids_of($node, 'launcher');
my $offset = -s $node->logfile;
$node->safe_psql('postgres',
	"SELECT pg_cancel_backend($launcher), pg_cancel_backend($scheduler)");
ok(wait_for_log($node, qr/canceling statement/, $offset),
	'a scheduler notes that it was cancelled');
kill 'HUP', $launcher, $scheduler;
$node->safe_psql('without', 'CREATE EXTENSION migspec');
my $third = wait_for_scheduler($node, 'without');
is_deeply([ pids_of($node, 'launcher') ], [$launcher],
	'the launcher survives SIGINT and SIGHUP');
is_deeply([ pids_of($node, 'scheduler', 'postgres') ],
	[$scheduler], 'a scheduler survives SIGINT and SIGHUP');

$node->safe_psql('postgres', "SELECT pg_terminate_backend($scheduler)");
wait_until_gone($node, $scheduler);
isnt(wait_for_scheduler($node, 'postgres'),
	$scheduler, 'a scheduler that was terminated comes back');

kill 'TERM', $launcher;
wait_until_gone($node, $launcher);
$node->safe_psql('without', 'DROP EXTENSION migspec');
wait_until_gone($node, $third);
$node->safe_psql('without', 'CREATE EXTENSION migspec');
wait_for_scheduler($node, 'without');
isnt((pids_of($node, 'launcher'))[0],
	$launcher, 'so does the launcher, and it has missed nothing meanwhile');

#
# The extension goes and comes.
#
$third = wait_for_scheduler($node, 'without');
$node->safe_psql('without', 'DROP EXTENSION migspec');
ok(wait_until_gone($node, $third), 'DROP EXTENSION ends the scheduler');
$node->safe_psql('without', 'CREATE EXTENSION migspec; DROP EXTENSION migspec;'
	  . ' CREATE EXTENSION migspec');
ok(wait_for_scheduler($node, 'without'), 'CREATE EXTENSION brings it back');

$offset = -s $node->logfile;
$node->safe_psql('without',
	"UPDATE pg_extension SET extversion = '0.0' WHERE extname = 'migspec'");
ok(wait_for_log($node, qr/migspec's workers do nothing in this database/, $offset),
	'a scheduler notes that the extension is not of its version');
is(scalar(pids_of($node, 'scheduler', 'without')), 1, 'and stays');
$node->safe_psql('without', 'DROP EXTENSION migspec');

#
# Commands that need a database for themselves
#
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE app');
ok(wait_for_scheduler($node, 'copy'), 'a copied database has a scheduler');
ok(wait_for_scheduler($node, 'app'), 'so has the database it was copied from');
$node->safe_psql('postgres', 'ALTER DATABASE copy RENAME TO renamed');
$scheduler = wait_for_scheduler($node, 'renamed');

my $tablespace = PostgreSQL::Test::Utils::tempdir;
$node->safe_psql('postgres',
	"CREATE TABLESPACE elsewhere LOCATION '$tablespace'");
$node->safe_psql('postgres', 'ALTER DATABASE renamed SET TABLESPACE elsewhere');
isnt(wait_for_scheduler($node, 'renamed'),
	$scheduler, 'ALTER DATABASE finds the database empty');

$scheduler = wait_for_scheduler($node, 'renamed');
$node->safe_psql('postgres', 'CREATE ROLE nobody');
my ($rc, $stdout, $stderr) =
  $node->psql('postgres', 'SET ROLE nobody; DROP DATABASE renamed');
like($stderr, qr/must be owner of database/, 'a role must not drop the database');
is(wait_for_scheduler($node, 'renamed'),
	$scheduler, 'and cannot end its scheduler by trying');

my $session = $node->background_psql('renamed');
($rc, $stdout, $stderr) = $node->psql('postgres', 'DROP DATABASE renamed');
like($stderr, qr/is being accessed by other users/, 'DROP DATABASE may fail');
ok(wait_for_scheduler($node, 'renamed'), 'then the scheduler comes back');
defined $session->can('quit') ? $session->quit : $session->finish;

$node->safe_psql('postgres', 'DROP DATABASE renamed WITH (FORCE)');
$node->safe_psql('postgres', 'DROP DATABASE without');
pass('DROP DATABASE, and WITH (FORCE)');
$node->safe_psql('postgres', 'DROP TABLESPACE elsewhere');

#
# Crashes
#
$scheduler = wait_for_scheduler($node, 'app');
($launcher) = pids_of($node, 'launcher');
kill 'KILL', $scheduler;
ok( $node->poll_query_until(
		'postgres',
		"SELECT count(*) = 3 AND bool_and(pid NOT IN ($launcher, $scheduler))"
		  . " FROM pg_stat_activity WHERE backend_type LIKE 'migspec%'"),
	'all workers come back after one was killed');

$node->stop('immediate');
$node->start;
wait_for_scheduler($node, 'app');
wait_for_scheduler($node, 'postgres');
is(scalar(pids_of($node, 'scheduler')), 2,
	'all workers come back after an immediate shutdown');

foreach my $mode ('fast', 'smart')
{
	$node->stop($mode);
	$node->start;
	ok(wait_for_scheduler($node, 'app'), "the server stops in mode $mode");
}

#
# A standby has no workers, until it is promoted; then they carry on.
#
$node->safe_psql('app', 'CREATE TABLE t (id int PRIMARY KEY, v text)');
$node->safe_psql('app', 'INSERT INTO t SELECT i, i FROM generate_series(1, 5000) i');
$node->safe_psql('app',
	"SELECT migspec_expand('rename', migspec_rename_column('t', 'v', 'w'))");
$node->safe_psql('app',
	"SELECT migspec_tune('rename', max_rows_per_second => 500), migspec_migrate('rename')");
$node->poll_query_until('app', 'SELECT sum(rows_done) > 0 FROM migspec.progress')
  or die 'no progress';
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is( $standby->safe_psql(
		'postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'migspec%'"
	),
	0,
	'a standby has no workers');
$standby->promote;
wait_for_scheduler($standby, 'app');
wait_for_scheduler($standby, 'postgres');
is(scalar(pids_of($standby, 'launcher')), 1, 'they start at its promotion');
$standby->safe_psql('app', "SELECT migspec_tune('rename', max_rows_per_second => 0)");
ok( $standby->poll_query_until(
		'app', "SELECT phase = 'migrated' FROM migspec.migrations"),
	'and carry on');
is($standby->safe_psql('app', 'SELECT count(*) FROM t WHERE v IS DISTINCT FROM w'),
	0, 'to the end');
$standby->stop;

#
# No worker slot is left: it says so, and goes on when there is one.
#
my $small = PostgreSQL::Test::Cluster->new('small');
$small->init;
$small->append_conf('postgresql.conf', 'max_worker_processes = 2');
$small->start;
$small->safe_psql('postgres', 'CREATE EXTENSION migspec');
ok(wait_for_log($small, qr/could not start a migspec scheduler/, 0),
	'the launcher notes that there is no worker slot');
$small->append_conf('postgresql.conf', 'max_worker_processes = 8');
$small->restart;
ok(wait_for_scheduler($small, 'postgres'), 'with one, the scheduler starts');
$small->stop;

$node->stop;
done_testing();
