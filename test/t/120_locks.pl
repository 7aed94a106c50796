# How long locks are held, and who waits for them.
#
# One process samples pg_locks, two others run a short statement every
# millisecond; what they met in each phase is reported.  Then somebody is in
# the way: a move must not wait for him while others queue behind it.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DBD::Pg ':async';
use List::Util qw(max min);
use MigspecTest;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rows = setting('MIGSPEC_ROWS', 100_000);
my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = new_node('locks', 'migspec.naptime' => 50, 'shared_buffers' => "'256MB'",
	'log_lock_waits' => 'off');

$node->safe_psql('postgres', <<"SQL");
CREATE TABLE t (
	id int PRIMARY KEY,
	content text NOT NULL CHECK (content <> ''),
	n int NOT NULL DEFAULT 0 CHECK (n >= 0)
);
CREATE TABLE r (t_n int);
INSERT INTO t SELECT i, 'row ' || i, i FROM generate_series(1, $rows) AS i;
CREATE INDEX ON t (content);
CREATE UNIQUE INDEX t_n ON t (n);
ALTER TABLE r ADD FOREIGN KEY (t_n) REFERENCES t (n);
VACUUM ANALYZE;
SQL

my $operations = <<'JSON';
[{"rename_column": {"table": "t", "from": "content", "to": "content_text"}},
 {"alter_column": {"table": "t", "column": "n", "type": "bigint"}}]
JSON

#
# Observers: processes that write down what they see
#

my @children;

sub observe
{
	my ($name, $code) = @_;
	my $pid = fork;

	die "fork: $!" unless defined $pid;
	if ($pid)
	{
		push @children, $pid;
		return;
	}
	open my $fh, '>', "$dir/$name" or die "$name: $!";
	eval {
		my $dbh = connect_to($node, 'postgres', application_name => $name);

		$code->($dbh, $fh) until -e "$dir/stop";
		1;
	} or print $fh "error $@";
	close $fh;
	POSIX::_exit(0);
}

# One statement, every millisecond; written down are start and duration.
sub probe
{
	my ($name, $sql) = @_;

	observe(
		$name,
		sub {
			my ($dbh, $fh) = @_;
			my $start = time();

			$dbh->do(sprintf $sql, 1 + int rand $rows);
			printf $fh "%.6f %.6f\n", $start, time() - $start;
			sleep 0.001;
		});
	return;
}

# Strong locks on the table; written down are the time, the process, the mode,
# and whether it has the lock.
sub sample
{
	observe(
		'sampler',
		sub {
			my ($dbh, $fh) = @_;
			my $now = time();
			my $sth = $dbh->prepare_cached(<<'SQL');
SELECT pid, mode, granted, left(translate(query, E'\n\t', '  '), 150)
FROM pg_locks LEFT JOIN pg_stat_activity USING (pid) WHERE locktype = 'relation' AND relation = 't'::regclass
	AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
SQL
			$sth->execute;
			while (my ($pid, $mode, $granted, $query) = $sth->fetchrow_array)
			{
				printf $fh "%.6f %d %s %d %s\n", $now, $pid, $mode, $granted, $query;
			}
			sleep 0.0005;
		});
	return;
}

sub lines_of
{
	my ($name) = @_;

	open my $fh, '<', "$dir/$name" or die "$name: $!";
	my @lines = <$fh>;
	my ($error) = grep { $lines[$_] =~ /^error/ } 0 .. $#lines;

	die "$name: @lines[$error .. $#lines]" if defined $error;
	return map { [ split ' ', $_, 5 ] } @lines;
}

sub stop_observers
{
	append_to_file("$dir/stop", '');
	waitpid $_, 0 foreach @children;
	@children = ();
	unlink "$dir/stop";
	return;
}

# The longest wait (ms) of a statement that ran at some time in an interval
sub longest
{
	my ($from, $to, @lines) = @_;

	return 1000 * max(0, map { $_->[1] } grep { $_->[0] <= $to && $_->[0] + $_->[1] >= $from } @lines);
}

# The longest time (ms) that one process had, or waited for, a strong lock:
# samples of it without a gap of more than 20 ms; and what it did then
sub longest_hold
{
	my ($from, $to, $granted, @lines) = @_;
	my (%since, %last);
	my ($longest, $query) = (0, '');

	foreach my $line (grep { $_->[0] >= $from && $_->[0] <= $to && $_->[3] == $granted } @lines)
	{
		my ($at, $key) = ($line->[0], "$line->[1] $line->[2]");

		$since{$key} = $at if !exists $last{$key} || $at - $last{$key} > 0.02;
		$last{$key} = $at;
		($longest, $query) = ($at - $since{$key}, "$line->[2] by $line->[4]")
		  if $at - $since{$key} > $longest;
	}
	chomp $query;
	return (1000 * $longest, $query);
}

#
# An undisturbed migration, and one that is rolled back
#

my $dbh = connect_to($node);
my @windows;

sub timed
{
	my ($what, $code) = @_;
	my $start = time();

	$code->();
	push @windows, [ $what, $start, time() ];
	return;
}

sample();
probe('writer', 'UPDATE t SET n = n WHERE id = %d');
probe('reader', 'SELECT id FROM t WHERE id = %d');
sleep 0.5;

$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, 'back', $operations);
timed('expand', sub { drive_to($dbh, 'back', 'expanded') });
timed('rollback from expanded', sub { $dbh->do(q(SELECT migspec_rollback('back'))) });
foreach my $phase (qw(switched contracted))
{
	$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, "back $phase", $operations);
	drive_to($dbh, "back $phase", $phase);
	timed("rollback from $phase", sub { $dbh->do('SELECT migspec_rollback(?)', undef, "back $phase") });
}
$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, 'forth', $operations);
timed('expand', sub { drive_to($dbh, 'forth', 'expanded') });
timed(
	'migrate',
	sub {
		$dbh->do(q(SELECT migspec_migrate('forth')));
		drive_to($dbh, 'forth', 'migrated');
	});
timed('verify', sub { drive_to($dbh, 'forth', 'verified') });
timed('switch', sub { drive_to($dbh, 'forth', 'switched') });
timed('contract', sub { drive_to($dbh, 'forth', 'contracted') });
timed('finish', sub { drive_to($dbh, 'forth', 'finished') });
stop_observers();

my @writer = lines_of('writer');
my @reader = lines_of('reader');
my @locks = lines_of('sampler');

diag sprintf '%d rows: writes %d, reads %d; longest per phase:', $rows, scalar @writer, scalar @reader;
foreach my $window (@windows)
{
	my ($what, $from, $to) = @$window;
	my ($write, $read) = (longest($from, $to, @writer), longest($from, $to, @reader));

	my ($held, $by) = longest_hold($from, $to, 1, @locks);
	my ($awaited) = longest_hold($from, $to, 0, @locks);

	diag sprintf '%-24s %7.1f ms: write %5.1f ms, read %5.1f ms, strong lock held %5.1f ms, awaited %5.1f ms',
	  $what, 1000 * ($to - $from), $write, $read, $held, $awaited;
	diag "  $by" if $held > 20;
	cmp_ok(max($write, $read), '<', 2000, "nobody waited long during $what");
}

#
# Somebody is in the way
#

# What the observers of an interval saw
sub while_observed
{
	my ($code) = @_;
	my $from = time();

	probe('writer', 'UPDATE t SET n = n WHERE id = 1 + %d %% 1000');
	probe('reader', 'SELECT id FROM t WHERE id = %d');
	sample();
	sleep 0.3;
	$code->();
	stop_observers();
	return longest($from, time(), lines_of('writer'), lines_of('reader'));
}

# Run a statement while another session holds a lock, for so many seconds.
sub with_blocker
{
	my ($lock, $seconds, $call, $migration) = @_;
	my $statement = sprintf 'SELECT %s(%s)', $call, $dbh->quote($migration);
	my $blocker = connect_to($node, 'postgres', application_name => 'blocker');
	my $pid = $blocker->selectrow_array('SELECT pg_backend_pid()');
	my $caller = connect_to($node);

	$blocker->begin_work;
	$blocker->do($lock);
	$caller->do($statement, { pg_async => PG_ASYNC });
	sleep $seconds;
	ok(!$caller->pg_ready, "$call waits");
	$blocker->commit;

	my $start = time();

	$caller->pg_result;
	note sprintf '%s came to its end %.0f ms after the blocker', $call, 1000 * (time() - $start);
	$caller->disconnect;
	$blocker->disconnect;
	return $pid;
}

my $step = 0;
my @last;

$operations =~ s/"content", "to": "content_text"/"content_text", "to": "content"/;
$operations =~ s/bigint/int/;
foreach my $lock (
	'UPDATE t SET n = n WHERE id > ' . ($rows - 10),
	'SELECT count(*) FROM t WHERE id < 10')
{
	my $name = 'blocked ' . ++$step;
	my $mode = $lock =~ /^UPDATE/ ? 'RowExclusiveLock' : 'AccessShareLock';
	my %pids;
	my $stall = while_observed(
		sub {
			$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, $name, $operations);
			$pids{expand} = with_blocker($lock, 1.5, 'migspec_expand', $name);
			drive_to($dbh, $name, 'verified');
			$pids{switch} = with_blocker($lock, 0.7, 'migspec_switch', $name);
			$pids{contract} = with_blocker($lock, 0.7, 'migspec_contract', $name);
			$pids{'roll back'} = with_blocker($lock, 0.7, 'migspec_rollback', $name);
		});

	is(phase_of($dbh, $name), 'rolled_back', "with $mode in the way, all moves succeed in the end");
	my @events = events_of($dbh, $name, 'lock_retry');

	foreach my $what (sort keys %pids)
	{
		my @mine = grep { $_->{detail} =~ /"for": "$what"/ } @events;

		cmp_ok(scalar @mine, '>=', 2, "$what was tried again");

		# the last time, he may have just gone
		pop @mine;
		is(scalar(grep { $_->{detail} !~ /pid $pids{$what} \(.*holds $mode on (?:public\.)?t\b/ } @mine),
			0, 'each time the blocker was named')
		  or diag join "\n", map { $_->{detail} } @mine;
	}
	diag sprintf 'with %s in the way, %d retries: nobody else waited longer than %.0f ms',
	  $mode, scalar @events, $stall;
	cmp_ok($stall, '<', 2000, 'nobody queued behind them for long');
}

# A worker is in the same situation.
my $name = 'blocked worker';
my $pid;
my $stall = while_observed(
	sub {
		my $blocker = connect_to($node, 'postgres', application_name => 'blocker');

		$pid = $blocker->selectrow_array('SELECT pg_backend_pid()');
		$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, $name, $operations);
		drive_to($dbh, $name, 'migrating');
		$blocker->begin_work;
		$blocker->do("UPDATE t SET n = n WHERE id = $rows");
		$dbh->do('SELECT migspec_resume(?)', undef, $name);
		sleep 2;
		is(phase_of($dbh, $name), 'migrating', 'a worker waits as well');
		$blocker->commit;
		drive_to($dbh, $name, 'migrated');
	});

diag sprintf 'behind a worker, nobody waited longer than %.0f ms', $stall;
cmp_ok($stall, '<', 2000, 'nobody queued behind it for long');
is($dbh->selectrow_array('SELECT last_error FROM migspec.migrations WHERE name = ?', undef, $name),
	undef, 'it had no error');
$dbh->do('SELECT migspec_rollback(?)', undef, $name);

# Rows that others have locked: the worker waits for them in the end, but while
# it does, nobody may have to wait for it, let alone be the victim of a deadlock.
$name = 'locked rows';
$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, $name, $operations);
drive_to($dbh, $name, 'migrating');

my $start;
my ($first, $second) = map { connect_to($node, 'postgres', application_name => "client $_") } 1, 2;

# two rows of one page
my ($one, $two) = @{
	$dbh->selectcol_arrayref(
		q(SELECT id FROM t WHERE ctid >= '(10,1)' AND ctid < '(11,1)' ORDER BY ctid LIMIT 2)) };

$first->begin_work;
$first->do('SELECT FROM t WHERE id = ? FOR UPDATE', undef, $one);
$second->begin_work;
$second->do('SELECT FROM t WHERE id = ? FOR UPDATE', undef, $two);
$dbh->do('SELECT migspec_resume(?)', undef, $name);
wait_for(
	'the worker to wait for a row',
	sub {
		$dbh->selectrow_array(q(SELECT count(*) FROM pg_stat_activity
			WHERE backend_type = 'migspec worker' AND wait_event_type = 'Lock'));
	});

# The worker gets one of the rows, and waits for the other.  A while later,
# deadlock_timeout has passed for it, so that it would be the client who is hit.
$first->rollback;
sleep 0.5;
$start = time();
ok(eval { $second->do('UPDATE t SET n = n WHERE id = ?', undef, $one); 1 },
	'a client can write a row that the worker has waited for') or diag $@;
diag sprintf 'that took it %.0f ms', 1000 * (time() - $start);
cmp_ok(time() - $start, '<', 0.4, 'without a wait for the worker');
$second->rollback;
drive_to($dbh, $name, 'migrated');
verify($dbh, $name);
$dbh->do('SELECT migspec_rollback(?)', undef, $name);
$_->disconnect foreach $first, $second;

# A foreign key that cannot be validated for now: while the worker tries again
# and again, nobody's index has to wait for its snapshot.
$name = 'tried again';
$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, $name, $operations);
drive_to($dbh, $name, 'migrating');
$first = connect_to($node, 'postgres', application_name => 'client 1');
$first->begin_work;
$first->do('LOCK TABLE r IN SHARE UPDATE EXCLUSIVE MODE');
$dbh->do('SELECT migspec_resume(?)', undef, $name);
wait_for(
	'the worker to try again',
	sub {
		$dbh->selectrow_array(q(SELECT count(*) > 1 FROM migspec.event e
			JOIN migspec.migration m ON m.id = e.migration_id
			WHERE m.name = ? AND e.event = 'lock_retry'), undef, $name);
	});
$dbh->do('CREATE TABLE other (id int)');
$dbh->do(q(SET statement_timeout = '20s'));
ok(eval { $dbh->do('CREATE INDEX CONCURRENTLY ON other (id)'); 1 },
	'the index of another table can be built meanwhile') or diag $@;
$dbh->do('RESET statement_timeout');

# it heeds a pause before the next attempt, and makes none until it may go on
my $attempts = q(SELECT count(*) FROM migspec.event e JOIN migspec.migration m ON m.id = e.migration_id
	WHERE m.name = ? AND e.event = 'lock_retry');
$dbh->do('SELECT migspec_pause(?)', undef, $name);
wait_for(
	'the worker to go',
	sub {
		!$dbh->selectrow_array(
			q(SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'migspec worker'));
	});
my $before_pause = $dbh->selectrow_array($attempts, undef, $name);
sleep 1;
is($dbh->selectrow_array($attempts, undef, $name), $before_pause, 'a paused migration asks for no lock');
$first->rollback;
$dbh->do('SELECT migspec_resume(?)', undef, $name);
drive_to($dbh, $name, 'migrated');
$dbh->do('SELECT migspec_rollback(?)', undef, $name);

# nor for that of the worker that finishes after the grace period
$name = 'finished later';
$dbh->do('CREATE TABLE s (id int PRIMARY KEY, a text)');
$dbh->do(q(SELECT migspec_expand(?, migspec_rename_column('s', 'a', 'b'))), undef, $name);
drive_to($dbh, $name, 'contracted');
$first->begin_work;
$first->do('LOCK TABLE s IN ACCESS SHARE MODE');
$dbh->do('UPDATE migspec.migration SET finish_after = now() WHERE name = ?', undef, $name);
wait_for('the worker to try to finish again',
	sub { $dbh->selectrow_array($attempts, undef, $name) > 1; });
$dbh->do(q(SET statement_timeout = '20s'));
ok(eval { $dbh->do('CREATE INDEX CONCURRENTLY ON other (id)'); 1 },
	'it can be built while a worker tries to finish') or diag $@;
$dbh->do('RESET statement_timeout');

# a session may do that meanwhile, and the worker does not mind
my $worker = q(FROM pg_stat_activity WHERE backend_type = 'migspec worker');
$second = connect_to($node, 'postgres', application_name => 'client 2');
$second->do("SELECT migspec_finish('$name')", { pg_async => PG_ASYNC });
wait_for(
	'the call to get its turn',
	sub {
		$dbh->selectrow_array(q(SELECT count(*) FROM pg_locks
			WHERE locktype = 'advisory' AND granted AND pid = ?), undef, $second->{pg_pid});
	});
wait_for(
	'the worker to notice',
	sub {
		$dbh->selectrow_array(qq(SELECT NOT EXISTS (SELECT $worker)
			OR EXISTS (SELECT $worker AND wait_event = 'advisory')));
	});
$first->commit;
ok(eval { $second->pg_result; 1 }, 'a session can finish it while a worker tries to') or diag $@;
wait_for('the worker to go', sub { $dbh->selectrow_array("SELECT NOT EXISTS (SELECT $worker)") });
is_deeply(
	$dbh->selectrow_arrayref('SELECT phase, last_error FROM migspec.migrations WHERE name = ?', undef, $name),
	[ 'finished', undef ], 'and it is no error of the worker');
$second->disconnect;
$dbh->do('DROP TABLE other, s');
$first->disconnect;

# There is an end to patience.
my $before = definition_of($node, 'postgres', 't', 'r');
my $blocker = connect_to($node, 'postgres', application_name => 'blocker');

$pid = $blocker->selectrow_array('SELECT pg_backend_pid()');
$blocker->begin_work;
$blocker->do('SELECT FROM t LIMIT 1');
$dbh->do(q(SET migspec.lock_retry_deadline = '300ms'));

$start = time();
ok(!eval { $dbh->do('SELECT migspec_expand(?, ?)', undef, 'late', $operations); 1 },
	'it gives up at the deadline');
cmp_ok(time() - $start, '<', 5, 'not much later');
is($dbh->state, 'MG401', 'with an error of its own');
like($dbh->errstr, qr/Blocked by: pid $pid \(.*blocker.*holds AccessShareLock on (?:public\.)?t\b/,
	'that names the blocker');
like($dbh->errstr, qr/HINT: .*migspec\.lock_retry_deadline/, 'and says what to do');
$blocker->commit;
is(definition_of($node, 'postgres', 't', 'r'), $before, 'nothing has changed');
is(join(' ', leftovers($dbh)), '', 'nothing is left');
is(phase_of($dbh, 'late'), undef, 'there is no such migration');
is($dbh->selectrow_array('SELECT count(*) FROM migspec.target'), 0, 'the table is free');

# What failed is written down by the scheduler, which does not wait for a row
# that somebody has locked meanwhile.
my $holder = connect_to($node, 'postgres', application_name => 'holder');

$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, 'noted', $operations);
drive_to($dbh, 'noted', 'expanded');
$blocker->begin_work;
$blocker->do('SELECT FROM t LIMIT 1');
$holder->begin_work;
$holder->do(q(SELECT FROM migspec.migration WHERE name = 'noted' FOR UPDATE));
ok(!eval { $dbh->do(q(SELECT migspec_rollback('noted'))); 1 }, 'a call fails while its migration is locked');
is($dbh->state, 'MG401', 'at the deadline');
sleep 1;
is($holder->selectrow_array(q(SELECT count(*) FROM pg_stat_activity
	WHERE backend_type = 'migspec scheduler' AND wait_event_type = 'Lock')),
	0, 'the scheduler does not wait');
$holder->commit;
$blocker->commit;
wait_for('the note',
	sub { $dbh->selectrow_array(q(SELECT last_sqlstate = 'MG401' FROM migspec.migrations WHERE name = 'noted')) });
is($dbh->selectrow_array(q(SELECT count(*) FROM migspec.events WHERE migration = 'noted' AND event = 'call_failed')),
	1, 'it is recorded once');
$dbh->do('RESET migspec.lock_retry_deadline');
$dbh->do(q(SELECT migspec_rollback('noted')));

$dbh->disconnect;
$holder->disconnect;
$blocker->disconnect;
$node->stop;
done_testing();
