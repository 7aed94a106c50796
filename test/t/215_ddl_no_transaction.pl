# Statements that cannot run in a transaction: what migspec_ddl_effects() says
# about them against what they lock while others are in their way.
#
# Others hold locks that the statement has to wait for, one after the other is
# let go; meanwhile a watcher writes down what the statement has, or wants.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DBD::Pg ':async';
use DdlTools;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = new_node('no_transaction', autovacuum => 'off');
my $dbh = connect_ddl($node);
my $runner = connect_ddl($node);
my $watcher = connect_to($node);
my $version = int($dbh->{pg_server_version} / 10000);
my $pid = $runner->selectrow_array('SELECT pg_backend_pid()');

my $world = <<'SQL';
CREATE TABLE ref (id int PRIMARY KEY);
CREATE TABLE t (id int PRIMARY KEY, a int REFERENCES ref (id), b text);
CREATE INDEX t_b ON t (b);
CREATE TABLE prt (id int NOT NULL, k int REFERENCES ref (id)) PARTITION BY RANGE (id);
CREATE TABLE prt1 PARTITION OF prt FOR VALUES FROM (0) TO (1000);
CREATE TABLE prt2 PARTITION OF prt FOR VALUES FROM (1000) TO (2000);
CREATE INDEX prt_k ON prt (k);
CREATE TABLE withdef (id int) PARTITION BY RANGE (id);
CREATE TABLE withdef1 PARTITION OF withdef FOR VALUES FROM (0) TO (1000);
CREATE TABLE withdef_def PARTITION OF withdef DEFAULT;
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS id;
CREATE VIEW vw AS SELECT * FROM t;
INSERT INTO ref SELECT generate_series(1, 100);
INSERT INTO t SELECT g, g, 'b' || g FROM generate_series(1, 100) AS g;
INSERT INTO prt SELECT g, g FROM generate_series(1, 50) AS g UNION ALL SELECT 1000 + g, g FROM generate_series(1, 50) AS g;
SQL

# LOCK TABLE is for tables only.
my %lock_by = (
	'mv ACCESS SHARE' => 'SELECT FROM m.mv',
	'mv SHARE UPDATE EXCLUSIVE' => q(COMMENT ON MATERIALIZED VIEW m.mv IS 'x'),
);

# What the process has, or waits for
sub sample
{
	my ($locks) = @_;
	my $rows = $watcher->selectall_arrayref(<<'SQL', undef, $pid);
SELECT relation, mode FROM pg_locks WHERE pid = ? AND locktype = 'relation'
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
SQL

	raise_lock($locks, @$_) foreach @$rows;
	return;
}

# The processes that the statement is waiting for
sub blockers
{
	return @{
		$watcher->selectcol_arrayref('SELECT unnest(pg_blocking_pids(?))', undef, $pid) };
}

# Run a statement while others hold locks, e.g. "t ROW EXCLUSIVE"
sub measure_waiting
{
	my ($sql, @holders) = @_;
	my %locks;
	my $before = relations($dbh);
	my %others;

	foreach my $holder (@holders)
	{
		my ($table, $mode) = split / /, $holder, 2;
		my $other = connect_to($node);

		$other->begin_work;
		$other->do($lock_by{$holder} || "LOCK TABLE ONLY m.$table IN $mode MODE");
		$others{ $other->{pg_pid} } = $other;
	}

	clear_notices();
	$runner->do('SET client_min_messages = debug1');
	$runner->do($sql, { pg_async => PG_ASYNC });
	my $deadline = time() + 60;

	until ($runner->pg_ready)
	{
		die "$sql hangs" if time() > $deadline;
		sample(\%locks);
		my ($blocker) = blockers() or next;
		sample(\%locks);
		my $other = delete $others{$blocker} or next;

		$other->rollback;
		$other->disconnect;
	}

	my $ok = eval { $runner->pg_result; 1 };
	my ($sqlstate, $error) = ($runner->state, $runner->errstr);

	$runner->do('SET client_min_messages = error');
	$_->disconnect foreach values %others;
	return { failed => 1, sqlstate => $sqlstate, error => $error } unless $ok;

	my %result = (first => $before, relations => [$before], effects => {});
	my $after = relations($dbh);

	read_notices($dbh, \%result, $result{effects}, $before, $after);
	foreach my $oid (keys %$before)
	{
		$result{effects}{$oid}{lock} = $locks{$oid}
		  if $locks{$oid} && $locks{$oid} ne 'AccessShareLock';
		$result{effects}{$oid}{rewrite} = 1
		  if $after->{$oid} && $before->{$oid}{kind} =~ /^[rm]$/ && $before->{$oid}{node} != $after->{$oid}{node};
	}
	delete $result{effects}{$_} foreach grep { !$before->{$_} } keys %{ $result{effects} };
	return \%result;
}

# The statement, and who is in its way
my @cases = (
	[ 'CREATE INDEX CONCURRENTLY ON t (a)', 't SHARE UPDATE EXCLUSIVE', 't ROW EXCLUSIVE' ],
	[ 'CREATE UNIQUE INDEX CONCURRENTLY u ON t (a)', 't ROW EXCLUSIVE' ],
	[ 'CREATE INDEX CONCURRENTLY IF NOT EXISTS t_b ON t (a)', 't SHARE UPDATE EXCLUSIVE' ],
	['CREATE INDEX CONCURRENTLY ON prt (id)'],
	[ 'CREATE INDEX CONCURRENTLY ON prt1 (id)', 'prt1 ROW EXCLUSIVE' ],
	[ 'CREATE INDEX CONCURRENTLY ON mv (id)', 'mv SHARE UPDATE EXCLUSIVE' ],
	['CREATE INDEX CONCURRENTLY ON vw (id)'],
	['CREATE INDEX CONCURRENTLY ON nosuch (id)'],
	[ 'DROP INDEX CONCURRENTLY t_b', 't SHARE UPDATE EXCLUSIVE', 't ROW EXCLUSIVE', 't ACCESS SHARE' ],
	['DROP INDEX CONCURRENTLY IF EXISTS nosuch'],
	['DROP INDEX CONCURRENTLY t_pkey'],
	['DROP INDEX CONCURRENTLY prt_k'],
	['DROP INDEX CONCURRENTLY t_b, t_pkey'],
	[ 'REINDEX INDEX CONCURRENTLY t_b', 't SHARE UPDATE EXCLUSIVE', 't ROW EXCLUSIVE', 't ACCESS SHARE' ],
	[ 'REINDEX TABLE CONCURRENTLY t', 't SHARE UPDATE EXCLUSIVE', 't ROW EXCLUSIVE', 't ACCESS SHARE' ],
	[ 'REINDEX TABLE CONCURRENTLY prt', 'prt ROW EXCLUSIVE', 'prt1 ROW EXCLUSIVE', 'prt2 ROW EXCLUSIVE' ],
	[ 'REINDEX TABLE prt', 'prt ROW EXCLUSIVE', 'prt1 ROW EXCLUSIVE', 'prt2 ROW EXCLUSIVE' ],
	[ 'REINDEX INDEX prt_k', 'prt ROW EXCLUSIVE', 'prt1 ROW EXCLUSIVE', 'prt2 ROW EXCLUSIVE' ],
	[ 'REINDEX INDEX CONCURRENTLY prt_k', 'prt SHARE UPDATE EXCLUSIVE', 'prt1 ROW EXCLUSIVE', 'prt2 ROW EXCLUSIVE' ],
	[ 'ALTER TABLE prt DETACH PARTITION prt1 CONCURRENTLY', 'prt SHARE UPDATE EXCLUSIVE', 'prt ACCESS SHARE',
		'prt1 ACCESS SHARE', 'ref ROW EXCLUSIVE' ],
	['ALTER TABLE withdef DETACH PARTITION withdef1 CONCURRENTLY'],
	['ALTER TABLE prt DETACH PARTITION t CONCURRENTLY'],
	[ 'VACUUM FULL t', 't ACCESS SHARE' ],
	[ 'VACUUM (FULL, ANALYZE) t', 't ACCESS SHARE' ],
	[ 'VACUUM t', 't SHARE UPDATE EXCLUSIVE' ],
	[ 'VACUUM (FULL false) t', 't SHARE UPDATE EXCLUSIVE' ],
	[ 'VACUUM FULL mv', 'mv ACCESS SHARE' ],
	[ 'VACUUM FULL prt', 'prt ACCESS SHARE', 'prt1 ACCESS SHARE', 'prt2 ACCESS SHARE' ],
	[ 'VACUUM prt', map { "$_ SHARE UPDATE EXCLUSIVE" } qw(prt prt1 prt2) ],
	[ 'VACUUM (ANALYZE) prt', map { "$_ SHARE UPDATE EXCLUSIVE" } qw(prt prt1 prt2) ],
	['VACUUM FULL nosuch'],
	[
		'REINDEX SCHEMA m',
		'mv SHARE UPDATE EXCLUSIVE',
		map { "$_ ROW EXCLUSIVE" } qw(ref t prt1 prt2 withdef1 withdef_def)
	],
);

foreach my $case (@cases)
{
	my ($sql, @holders) = @$case;
	my $error = build_world($dbh, $world);

	BAIL_OUT("cannot build the world: $error") if $error;

	my $predicted = eval { predict($dbh, $sql) };

	ok($predicted, "$sql: a prediction") or diag($@), next;

	my $measured = measure_waiting($sql, @holders);

	# locks of indexes are held too shortly to be met
	if (!$measured->{failed})
	{
		my %index = map { $_->{name} => 1 } grep { $_->{kind} =~ /^[iI]$/ } values %{ $measured->{first} };

		$predicted->{rows} = [ grep { !$index{ $_->{relation} } } @{ $predicted->{rows} } ];
	}
	my @differences = compare($dbh, $predicted, $measured, $sql);

	is(scalar @differences, 0, $sql) or diag join "\n", "MISMATCH: $sql", @differences;
}

# None of them can run in a transaction, and a script may start one.
foreach my $sql ('CREATE INDEX CONCURRENTLY ON t (a)', 'DROP INDEX CONCURRENTLY t_b',
	'REINDEX TABLE CONCURRENTLY t', 'ALTER TABLE prt DETACH PARTITION prt1 CONCURRENTLY', 'VACUUM t',
	'REINDEX SCHEMA m', 'REINDEX TABLE prt', 'CREATE DATABASE d', 'ALTER SYSTEM RESET work_mem')
{
	my $rules_of = sub {
		my ($script) = @_;

		return join ' ', grep { /^(?:would-fail|index-concurrently-in-txn)$/ } @{
			$dbh->selectcol_arrayref('SELECT rule FROM migspec_check(?)', undef, $script) };
	};

	is($rules_of->($sql), '', "$sql by itself");
	isnt($rules_of->("BEGIN; $sql; COMMIT"), '', "$sql in a transaction");
	is($rules_of->("BEGIN; COMMIT; $sql"), '', "$sql after a transaction");
}

$_->disconnect foreach $dbh, $runner, $watcher;
$node->stop;
done_testing();
