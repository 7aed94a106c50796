# Counts of uses in shared memory: whose place is free again, and when.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;

use MigspecTest;

# as many as src/usage/store.c has
my $places = 2048;

my $node = new_node('usage', 'migspec.naptime' => '10min',
	autovacuum => 'off');

# A database with a column that is about to be left
sub prepare
{
	my ($dbname) = @_;

	$node->safe_psql($dbname, <<'SQL');
CREATE TABLE t (id integer PRIMARY KEY, old text);
SELECT migspec_expand('m', migspec_rename_column('t', 'old', 'new'));
SQL
	return;
}

sub use_as
{
	my ($db, $application) = @_;

	$db->do("SET application_name = '$application'");
	$db->do('SELECT old FROM t');
	return;
}

sub is_counted
{
	my ($db, $application) = @_;

	return $db->selectrow_array(
		"SELECT count(*) FROM migspec_usage('m') WHERE application = ?",
		undef, $application);
}

prepare('postgres');
my $db = connect_to($node);

sub wait_until_stored
{
	return wait_for(
		'the catalog',
		sub { $db->selectrow_array('SELECT count(*) FROM migspec.usage_pending()') == 0 },
		30);
}

# What a database had is free when it is dropped
$node->safe_psql('postgres', 'CREATE DATABASE other');
$node->safe_psql('other', 'CREATE EXTENSION migspec');
prepare('other');
my $other = connect_to($node, 'other');
# the scheduler may store some once more, and then they are free for others
my $late = 0;
do
{
	use_as($other, "other $_") foreach 1 .. $places;
	use_as($db, 'too late ' . ++$late);
} while (is_counted($db, "too late $late") && $late < 5);
is(is_counted($other, "other $places"), 1, 'all places are taken');
is(is_counted($db, "too late $late"), 0, 'one more is not counted');
like(slurp_file($node->logfile),
	qr/migspec counts the uses of old columns for $places roles/,
	'and that is told');
$other->disconnect;
$node->safe_psql('postgres', 'DROP DATABASE other');
use_as($db, 'after drop');
is(is_counted($db, 'after drop'), 1, 'there is room after DROP DATABASE');

# Applications that have a name for each session do not fill it for good
$node->append_conf('postgresql.conf', "migspec.naptime = '20ms'");
$node->reload;
use_as($db, "session $_") foreach 1 .. $places + 10;
wait_for(
	'room for others',
	sub {
		use_as($db, 'another');
		return is_counted($db, 'another');
	},
	30);
my ($reads) = $db->selectrow_array(<<'SQL');
SELECT sum(reads) FROM migspec_usage('m') WHERE application IN ('session 1', 'after drop')
SQL
is($reads, 2, 'what idle places had counted is not lost');
use_as($db, 'session 1');
($reads) = $db->selectrow_array(
	"SELECT reads FROM migspec_usage('m') WHERE application = 'session 1'");
is($reads, 2, 'who comes back is counted on');

# A place is another's as soon as nothing is lost by that, however long idle
# ones are kept
wait_until_stored();
$node->append_conf('postgresql.conf', "migspec.naptime = '2s'");
$node->reload;
use_as($db, "quick $_") foreach 1 .. $places;
wait_until_stored();
use_as($db, 'quick and new');
is(is_counted($db, 'quick and new'), 1, 'a place that is stored is given away at once');
($reads) = $db->selectrow_array(<<'SQL');
SELECT sum(reads) FROM migspec_usage('m') WHERE application LIKE 'quick %'
SQL
is($reads, $places + 1, 'nothing is lost');

# A session whose place has become another's notices that
$node->append_conf('postgresql.conf', "migspec.naptime = '10ms'");
$node->reload;
my $idle = connect_to($node);
use_as($idle, 'idle');
wait_until_stored();
foreach my $filler (1 .. $places)
{
	use_as($db, "filler $filler");
	wait_until_stored() if $filler % 500 == 0;
}
$idle->do('SELECT old FROM t');
$idle->disconnect;
wait_until_stored();
my $sums = $db->selectcol_arrayref(<<'SQL');
SELECT sum(reads) FROM migspec_usage('m') WHERE application = 'idle' OR application LIKE 'filler %'
GROUP BY application = 'idle' ORDER BY 1
SQL
is_deeply($sums, [ 2, $places ], 'who comes back later is not taken for another');

wait_until_stored();

# Nothing is lost or counted twice while many sessions count, each under many
# names, and the scheduler stores the counts and gives places away
my $script = $node->basedir . '/usage.sql';
append_to_file($script, <<'SQL');
\set name random(1, 200)
SET application_name = 'crowd :name';
SELECT old FROM t;
UPDATE t SET old = 'x' WHERE id = 0;
SQL
my $output;
IPC::Run::run(
	[
		$node->installed_command('pgbench'), '-n', '-c', '8', '-t', '1000', '-f', $script,
		'-h', $node->host, '-p', $node->port, 'postgres'
	],
	'>', \$output, '2>&1')
  or diag($output);
wait_until_stored();
my @sums = $db->selectrow_array(<<'SQL');
SELECT sum(reads), sum(writes), count(DISTINCT application) FROM migspec_usage('m') WHERE application LIKE 'crowd %'
SQL
is_deeply(\@sums, [ 8000, 8000, 200 ], 'each of 8,000 reads and writes is counted once');

# However the scheduler stores it meanwhile, contract sees a use
$db->do('CREATE TABLE u (id integer PRIMARY KEY, old text)');
$db->do(q(SELECT migspec_expand('c', migspec_rename_column('u', 'old', 'new'))));
drive_to($db, 'c', 'switched');
$db->do(q(SET migspec.contract_quiet = '1h'));
my $refused = 0;
foreach (1 .. 100)
{
	wait_until_stored();
	$db->do('DELETE FROM migspec.usage');
	$db->do('SELECT old FROM u');
	$refused++ if !eval { $db->do(q(SELECT migspec_contract('c'))); 1 };
}
is($refused, 100, 'contract sees each use, once it was counted');

# and however old the snapshot of its transaction is
wait_until_stored();
$db->do('DELETE FROM migspec.usage');
my $old = connect_to($node);
$old->begin_work;
$old->do(q(SET migspec.contract_quiet = '1h'));
$old->do('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ');
$old->do('SELECT');
$db->do('SELECT old FROM u');
wait_until_stored();
ok(!eval { $old->do(q(SELECT migspec_contract('c'))); 1 }, 'contract refuses under REPEATABLE READ as well');
like($old->errstr, qr/was used within the last/, 'because of that use');
$old->rollback;
$old->disconnect;

$db->disconnect;
$node->stop;
done_testing();
