# Crashes: the server, or a worker of it, is killed in each phase and at points
# where it has done half of something.  It goes on from there by itself, and
# what clients have committed is what is there.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rows = 3000;
my $node = new_node(
	'node',
	'synchronous_commit' => 'on',
	'restart_after_crash' => 'on',
	'migspec.naptime' => 50,
	'migspec.batch_rows' => 100,
	'migspec.window_pages' => 5);
my $dbh = connect_to($node);
my $write = 0;

$dbh->do(<<"SQL");
CREATE TABLE memo (id int PRIMARY KEY, content text NOT NULL DEFAULT 'd', n int CHECK (n >= 0));
CREATE INDEX memo_n ON memo (n);
CREATE TABLE truth (id int PRIMARY KEY, content text, n bigint);
INSERT INTO memo SELECT i, 'row ' || i, i FROM generate_series(1, $rows) AS i;
INSERT INTO truth SELECT * FROM memo;
SQL
$dbh->do('VACUUM ANALYZE memo');
my $definition = definition_of($node, 'postgres', 'memo');
my $operations = "migspec_rename_column('memo', 'content', 'content_text') ||"
  . " migspec_change_type('memo', 'n', 'bigint') ||"
  . " migspec_add_column('memo', 'size', 'int', 'length(content)', false)";

# A client's transaction on some rows, in the columns that are there, and in
# the table of what must be.
sub write_rows
{
	my ($phase) = @_;
	my $new = $phase =~ /^(?:contracted|finished)$/;
	my $column = $new ? 'content_text' : 'content';
	my $size = $new ? ', size' : '';
	my $value = $new ? ', 1' : '';

	$write++;
	$dbh->begin_work;
	foreach my $table ('memo', 'truth')
	{
		my $name = $table eq 'memo' ? $column : 'content';

		$dbh->do("UPDATE $table SET $name = ?, n = n + 1 WHERE id % 100 = ?", undef, "write $write", $write);
		$dbh->do("INSERT INTO $table (id, $name, n" . ($table eq 'memo' ? $size : '') . ')'
			  . " VALUES (?, ?, ?" . ($table eq 'memo' ? $value : '') . ')',
			undef, 10000 + $write, 'inserted', $write);
		$dbh->do("DELETE FROM $table WHERE id = ?", undef, $write * 7);
	}
	$dbh->commit;
	return;
}

# Is in the table what must be there?
sub check_rows
{
	my ($what) = @_;
	my $phase = phase_of($dbh, 'm') || 'planned';
	my $column = $phase =~ /^(?:contracted|finished)$/ ? 'content_text' : 'content';
	my ($differences) = $dbh->selectrow_array(<<"SQL");
SELECT count(*) FROM memo FULL JOIN truth USING (id)
WHERE (memo.$column, memo.n) IS DISTINCT FROM (truth.content, truth.n)
SQL
	is($differences, 0, "$what: the rows are what clients have committed");

	# all that were written while there was a trigger agree
	if ($phase =~ /^(?:migrated|verified|switched)$/)
	{
		($differences) = $dbh->selectrow_array('SELECT count(*) FROM memo WHERE content IS DISTINCT FROM content_text');
		is($differences, 0, "$what: the columns agree");
	}
	return;
}

sub reconnect
{
	# while the server recovers, connections fail
	wait_for('the server',
		sub { $dbh = eval { connect_to($node) }; return defined $dbh; });
	return;
}

sub crash
{
	# still connected: what this session holds must not be let go before
	$node->stop('immediate');
	eval { $dbh->disconnect };
	$node->start;
	reconnect();
	return;
}

# Crash while a move is made, before it commits: it has not happened.
sub crash_during
{
	my ($call, $phase) = @_;
	my $other = connect_to($node);

	$other->begin_work;
	$other->do("SELECT $call('m')");
	crash();
	eval { $other->disconnect };
	is(phase_of($dbh, 'm'), $phase, "crash during $call: it is still in phase $phase");
	check_rows("crash during $call");
	return;
}

# Crash right after a move: it has happened.
sub crash_after
{
	my ($phase) = @_;

	crash();
	is(phase_of($dbh, 'm'), $phase, "crash after the move to $phase: it is still there");
	write_rows($phase);
	check_rows("crash in phase $phase");
	return;
}

sub worker_pid
{
	return $dbh->selectrow_array("SELECT pid FROM pg_stat_activity WHERE backend_type = 'migspec worker'");
}

# Workers stop at a debug point while this session holds its lock.
sub hold
{
	my ($point) = @_;

	$dbh->do("ALTER DATABASE postgres SET migspec.debug_point = '$point:wait'");
	$dbh->do('SELECT pg_advisory_lock(19783, hashtext(?))', undef, $point);
	return;
}

sub wait_for_hold
{
	my ($point) = @_;

	wait_for("a worker at $point",
		sub {
			return $dbh->selectrow_array("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
				  . " AND classid = 19783 AND NOT granted");
		});
	return;
}

sub kill_worker
{
	my $pid = worker_pid();

	is(PostgreSQL::Test::Utils::system_log('pg_ctl', 'kill', 'KILL', $pid), 0, 'killed the worker');
	wait_for('the server to notice', sub { return !eval { $dbh->do('SELECT 1'); }; });
	eval { $dbh->disconnect };
	reconnect();
	return;
}

# The rows that are filled
sub backfilled
{
	return $dbh->selectrow_array('SELECT count(*) FROM memo WHERE content_text IS NOT NULL');
}

#
# There and back, with a crash on the way back
#
$dbh->do("SELECT migspec_plan('m', $operations)");
crash_during('migspec_expand', 'planned');
is(definition_of($node, 'postgres', 'memo'), $definition, 'the table is as it was');
foreach my $phase ('expanded', 'migrated', 'switched', 'contracted')
{
	$dbh->do("SELECT migspec_expand('m', $operations)") if phase_of($dbh, 'm') eq 'rolled_back';
	drive_to($dbh, 'm', $phase);
	write_rows($phase);
	crash_during('migspec_rollback', $phase);
	write_rows($phase);
	$dbh->do("SELECT migspec_rollback('m')");
	crash();
	is(phase_of($dbh, 'm'), 'rolled_back', "crash after the rollback from $phase");
	is(definition_of($node, 'postgres', 'memo'), $definition, "rolled back from $phase, the table is as it was");
	is_deeply([ leftovers($dbh) ], [], 'nothing is left behind');
	check_rows("rollback from $phase");
}

#
# All the way, with crashes at every step
#
$dbh->do("SELECT migspec_expand('m', $operations)");
crash_after('expanded');

# the worker is killed, terminated and cancelled; the server is killed
$dbh->do("SELECT migspec_migrate('m', 2000)");
wait_for('some batches', sub { my $n = backfilled(); return $n > 200; });
kill_worker();
my ($done) = $dbh->selectrow_array("SELECT rows_done FROM migspec.progress WHERE migration = 'm'");
cmp_ok(backfilled(), '>=', $done, 'what the worker says it has done is done');
is(phase_of($dbh, 'm'), 'migrating', 'the migration goes on');
write_rows('migrating');
wait_for('the next worker', sub { return worker_pid(); });
wait_for('more batches', sub { my $n = backfilled(); return $n > 500; });
my $pid = worker_pid();
if ($pid)
{
	$dbh->do('SELECT pg_cancel_backend(?)', undef, $pid);
	wait_for('the record of the error',
		sub {
			return $dbh->selectrow_array("SELECT last_sqlstate = '57014' FROM migspec.migrations WHERE name = 'm'")
			  || phase_of($dbh, 'm') ne 'migrating';
		});
	pass('a worker that is cancelled says so');
}
write_rows('migrating');
crash();
$dbh->do("SELECT migspec_tune('m', 0)") if phase_of($dbh, 'm') eq 'migrating';

# Between a batch and its commit, before a step, before an index is built.  The
# migration is paused when it crashes, so that its worker comes back only when
# the next trap is set.
$dbh->do("SELECT migspec_rollback('m')");
check_rows('rollback of a migration that has crashed twice');
$dbh->do("SELECT migspec_expand('m', $operations)");
hold('backfill_commit');
$dbh->do("SELECT migspec_migrate('m')");
wait_for_hold('backfill_commit');
write_rows('migrating');
$dbh->do("SELECT migspec_pause('m')");
crash();
is($dbh->selectrow_array("SELECT paused FROM migspec.migrations WHERE name = 'm'"), 1, 'a pause survives a crash');
check_rows('crash before the commit of a batch');
hold('job_step');
$dbh->do("SELECT migspec_resume('m')");
wait_for_hold('job_step');
$dbh->do("SELECT migspec_pause('m')");
kill_worker();
check_rows('crash before a step');
hold('job_concurrently');
$dbh->do("SELECT migspec_resume('m')");
wait_for_hold('job_concurrently');
$dbh->do("SELECT migspec_pause('m')");
crash();
check_rows('crash before an index is built');
$dbh->do('ALTER DATABASE postgres RESET migspec.debug_point');

# while it is built: an old snapshot makes CREATE INDEX CONCURRENTLY wait
my $half = "SELECT count(*) FROM pg_index WHERE indrelid = 'memo'::regclass AND NOT indisvalid";
my $other = connect_to($node);

$other->begin_work;
$other->do('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
$other->selectrow_array('SELECT count(*) FROM truth');
$dbh->do("SELECT migspec_resume('m')");
wait_for('half an index', sub { return $dbh->selectrow_array($half); });
$dbh->do("SELECT migspec_pause('m')");
crash();
eval { $other->disconnect };
is($dbh->selectrow_array($half), 1, 'a crash leaves half an index behind');
$dbh->do("SELECT migspec_resume('m')");
write_rows('migrating');
$dbh->do("SELECT migspec_wait('m', 'migrated', '60 s')");
is($dbh->selectrow_array($half), 0, 'the worker removes it and builds it again');
crash_after('migrated');

crash_during('migspec_verify', 'migrated');
verify($dbh, 'm');
crash_after('verified');
crash_during('migspec_switch', 'verified');
$dbh->do("SELECT migspec_switch('m')");
crash_after('switched');
crash_during('migspec_contract', 'switched');
$dbh->do("SELECT migspec_contract('m')");
crash_after('contracted');
crash_during('migspec_finish', 'contracted');
$dbh->do("SELECT migspec_finish('m')");
crash_after('finished');
is_deeply([ leftovers($dbh) ], [], 'nothing is left behind');
ok(amcheck_ok($dbh, 'memo'), 'table and indexes are sound');
is($dbh->selectrow_array("SELECT count(*) FROM memo WHERE size <> length(content_text) AND id <= $rows AND content_text LIKE 'row%'"),
	0, 'and so is the column that was added');

#
# The worker finishes by itself when the grace period is over, also if the
# server was down when it ended
#
$dbh->do("SELECT migspec_expand('m2', migspec_rename_column('memo', 'size', 'length'), contract_grace => '2 s')");
drive_to($dbh, 'm2', 'contracted');
$dbh->disconnect;
$node->stop('immediate');
sleep 2.5;
$node->start;
reconnect();
wait_for('the end of the grace period', sub { return phase_of($dbh, 'm2') eq 'finished'; });
is_deeply([ leftovers($dbh) ], [], 'the grace period ended while the server was down');

done_testing();
