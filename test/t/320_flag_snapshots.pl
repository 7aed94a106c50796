# A cached flag must be what the statement's snapshot sees, under every mix of
# isolation levels, savepoints, rollbacks, cursors, prepared statements and
# changes by others.  Three sessions do random things; each evaluation is
# compared with the table in the same statement, so there is one right answer.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $steps = setting('MIGSPEC_FLAG_STEPS', 6000);
my $seed = setting('MIGSPEC_FLAG_SEED', int(rand(1_000_000)));
srand($seed);
diag("seed $seed");

my $node = new_node('flag_snapshots');
$node->safe_psql('postgres', <<'SQL');
CREATE TABLE touched (i integer);
CREATE TABLE users AS SELECT g::text AS id FROM generate_series(1, 40) AS g;
SELECT migspec_flag_put('{"name": "f", "enabled": true, "strategies": [{"name": "flexibleRollout",
	"parameters": {"rollout": "10", "groupId": "f", "stickiness": "userId"}}]}');
SELECT migspec_flag_put('{"name": "other", "enabled": true, "strategies": []}');
SELECT migspec_flag_import('{"segments": [{"id": 1, "constraints":
	[{"contextName": "userId", "operator": "IN", "values": ["7"]}]}], "features": []}', false);
SELECT migspec_flag_put('{"name": "s", "enabled": true, "strategies": [{"name": "default", "segments": [1]}]}');
-- the number of users for whom an answer is not the one that the table gives
CREATE VIEW wrong AS
SELECT count(*) FILTER (WHERE migspec_flag_enabled('f', u.id) IS DISTINCT FROM
		(coalesce((SELECT (document ->> 'enabled')::boolean AND
			migspec_flag_bucket('f', u.id) <= (document #>> '{strategies,0,parameters,rollout}')::numeric
			FROM migspec.flag WHERE name = 'f'), false)))
	+ count(*) FILTER (WHERE migspec_flag_enabled('s', u.id) IS DISTINCT FROM
		coalesce((SELECT document #> '{constraints,0,values}' ? u.id FROM migspec.flag_segment WHERE id = 1), false))
	AS n
FROM users AS u;
CREATE FUNCTION wrong_in_plpgsql() RETURNS bigint LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT n FROM wrong); END';
-- without any table
CREATE FUNCTION answers() RETURNS text LANGUAGE sql STABLE
RETURN (SELECT string_agg(migspec_flag_enabled('f', g::text)::text, ',') FROM generate_series(1, 40) AS g);
CREATE FUNCTION truth() RETURNS text LANGUAGE sql STABLE
RETURN (SELECT string_agg(coalesce((SELECT (document ->> 'enabled')::boolean AND migspec_flag_bucket('f', g::text) <=
	(document #>> '{strategies,0,parameters,rollout}')::numeric FROM migspec.flag WHERE name = 'f'), false)::text, ',')
	FROM generate_series(1, 40) AS g);
SQL

my @sessions;
foreach my $i (0 .. 2)
{
	my $db = connect_to($node);
	$db->{PrintError} = 0;
	$db->do("SET lock_timeout = '20ms'");
	$db->do('PREPARE check_prepared AS SELECT n FROM wrong');
	push @sessions, { db => $db, level => undef, savepoints => [], cursors => [], i => $i };
}

my ($evaluations, $wrong, $changes, $failures, $cursors) = (0, 0, 0, 0, 0);

sub forget
{
	my ($s) = @_;
	@$s{qw(level savepoints cursors)} = (undef, [], []);
}

# Run a statement; if it fails (a lock, a serialization failure), the session's
# transaction ends.
sub try_do
{
	my ($s, $sql) = @_;
	my @row = eval {
		$sql =~ /^(SELECT|EXECUTE|FETCH)/ ? $s->{db}->selectrow_array($sql) : $s->{db}->do($sql);
	};
	if ($@)
	{
		$failures++;
		eval { $s->{db}->do('ROLLBACK') } if defined $s->{level};
		forget($s);
		return;
	}
	return @row;
}

sub compare
{
	my ($s, $sql) = @_;
	my ($n) = try_do($s, $sql);
	return unless defined $n;
	$evaluations++;
	return if $n eq '0' || $n eq 't';
	$wrong++;
	diag("session $s->{i}, " . ($s->{level} // 'no transaction') . ": $sql gave $n");
}

sub do_it { my ($s, $sql) = @_; eval { $s->{db}->do($sql) }; }

my $names = 0;
my @actions = (
	[ 8, sub { compare($_[0], 'SELECT n FROM wrong') } ],
	[ 4, sub { compare($_[0], 'EXECUTE check_prepared') } ],
	[ 3, sub { compare($_[0], 'SELECT wrong_in_plpgsql()') } ],
	# without a table, so that no lock brings news; comparable only where the
	# next statement has the same snapshot
	[
		4,
		sub {
			my ($s) = @_;
			my ($answers) = try_do($s, 'SELECT answers()');
			return unless defined $answers && ($s->{level} // '') =~ /REPEATABLE|SERIAL/;
			my ($truth) = try_do($s, 'SELECT truth()');
			return unless defined $truth;
			$evaluations++;
			return if $answers eq $truth;
			$wrong++;
			diag("session $s->{i}: answers without a table are wrong");
		}
	],
	[
		3,
		sub {
			my ($s) = @_;
			my $percent = int(rand(101));
			$changes++ if defined((try_do($s, "SELECT true FROM migspec_flag_rollout('f', $percent)"))[0]);
		}
	],
	[
		1,
		sub {
			my ($s) = @_;
			my $id = int(rand(40)) + 1;
			try_do($s, "SELECT migspec_flag_import('{\"features\": [], \"segments\": [{\"id\": 1, \"constraints\":"
				. " [{\"contextName\": \"userId\", \"operator\": \"IN\", \"values\": [\"$id\"]}]}]}', false)");
		}
	],
	[ 1, sub { try_do($_[0], "SELECT migspec_flag_rollout('other', 5)") } ],
	[ 2, sub { try_do($_[0], 'SELECT count(*) FROM touched') } ],
	[
		1,
		sub {
			my ($s) = @_;
			try_do($s, 'CREATE TEMP TABLE IF NOT EXISTS fresh (i integer)');
			try_do($s, 'INSERT INTO touched VALUES (1)');
		}
	],
	[
		5,
		sub {
			my ($s) = @_;
			return if defined $s->{level};
			my $level = (undef, 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')[ rand(4) ] or return;
			do_it($s, "BEGIN ISOLATION LEVEL $level");
			$s->{level} = $level;
		}
	],
	[
		2,
		sub {
			my ($s) = @_;
			return unless defined $s->{level};
			my $name = 's' . ++$names;
			try_do($s, "SAVEPOINT $name") ;
			push @{ $s->{savepoints} }, $name if defined $s->{level};
		}
	],
	[
		2,
		sub {
			my ($s) = @_;
			return unless @{ $s->{savepoints} };
			my $name = $s->{savepoints}[ rand(@{ $s->{savepoints} }) ];
			try_do($s, (rand() < 0.7 ? 'ROLLBACK TO ' : 'RELEASE ') . $name);
			# which savepoints and cursors are left is not tracked further
			@{ $s->{savepoints} } = ();
			@{ $s->{cursors} } = ();
		}
	],
	[
		2,
		sub {
			my ($s) = @_;
			return unless defined $s->{level};
			my $name = 'c' . ++$names;
			try_do($s, "DECLARE $name CURSOR FOR SELECT n FROM wrong, generate_series(1, 3)");
			push @{ $s->{cursors} }, $name if defined $s->{level};
		}
	],
	[
		3,
		sub {
			my ($s) = @_;
			return unless @{ $s->{cursors} };
			my $name = shift @{ $s->{cursors} };
			$cursors++;
			compare($s, "FETCH 1 FROM $name");
		}
	],
	[
		3,
		sub {
			my ($s) = @_;
			return unless defined $s->{level};
			do_it($s, rand() < 0.6 ? 'COMMIT' : 'ROLLBACK');
			forget($s);
		}
	],
);
my $weight = 0;
$weight += $_->[0] foreach @actions;

for (1 .. $steps)
{
	my $pick = rand($weight);
	my $session = $sessions[ rand(@sessions) ];
	foreach my $action (@actions)
	{
		$pick -= $action->[0];
		next if $pick >= 0;
		$action->[1]->($session);
		last;
	}
}

note("$evaluations evaluations, $changes changes, $cursors cursors, $failures failed statements");
cmp_ok($evaluations, '>', $steps / 4, 'enough was compared');
cmp_ok($changes, '>', $steps / 100, 'enough was changed');
cmp_ok($cursors, '>', $steps / 1000, 'cursors were read');
is($wrong, 0, "no answer was wrong (seed $seed)");

$_->{db}->disconnect foreach @sessions;

# The case in which a cache that follows invalidation messages is stale for
# ever: an old snapshot fills it after the message has come.
my ($a, $b) = map { connect_to($node) } 1 .. 2;
$b->do("SELECT migspec_flag_rollout('f', 10)");
$a->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
$a->do('SELECT 1 FROM users');
$b->do("SELECT migspec_flag_rollout('f', 25)");
$a->do('CREATE TEMP TABLE any_lock (i integer)');
is($a->selectrow_array('SELECT n FROM wrong'), 0, 'an old snapshot sees the old percentage');
$a->do('COMMIT');
is($a->selectrow_array('SELECT n FROM wrong'), 0, 'and the next one the new percentage');
is($a->selectrow_array('SELECT answers() = truth()'), 1, 'also without a table');

# A change is not seen before the statement ends that makes it.
is( $a->selectrow_array(<<'SQL'), 1, 'a statement does not see what it changes');
SELECT migspec_flag_enabled('f', '1') = before FROM (SELECT migspec_flag_enabled('f', '1') AS before) AS x,
	LATERAL (SELECT migspec_flag_rollout('f', CASE WHEN before THEN 0 ELSE 100 END)) AS y
SQL

# A flag that goes, and comes back
$a->do("SELECT migspec_flag_drop('f')");
is($a->selectrow_array("SELECT migspec_flag_enabled('f', '1')"), 0, 'a flag that was dropped is off');
is($a->selectrow_array('SELECT n FROM wrong'), 0, 'for everybody');

# Another extension of the same name: its stamps are the same ones again.
$node->safe_psql('postgres', 'CREATE DATABASE again');
my $again = connect_to($node, 'again');
$again->do('CREATE EXTENSION migspec');
$again->do(q{SELECT migspec_flag_put('{"name": "f"}')});
is($again->selectrow_array("SELECT migspec_flag_enabled('f', '1')"), 1, 'a flag is on');
$again->do('DROP EXTENSION migspec CASCADE');
$again->do('CREATE EXTENSION migspec');
$again->do(q{SELECT migspec_flag_put('{"name": "f", "enabled": false}')});
is($again->selectrow_array("SELECT migspec_flag_enabled('f', '1')"), 0, 'another one of its name is off');
$again->disconnect;

# A dump brings rows without a change.
my $dump = $node->basedir . '/flags.dump';
my $restored = connect_to($node, 'postgres');
$restored->do('CREATE DATABASE restored');
$restored->disconnect;
$a->do(q{SELECT migspec_flag_put('{"name": "f", "strategies": [{"name": "default", "segments": [1]}]}')});
$node->command_ok([ 'pg_dump', '--format=custom', '--file', $dump, '--dbname', $node->connstr('postgres') ], 'dump');
$node->command_ok([ 'pg_restore', '--section=pre-data', '--dbname', $node->connstr('restored'), $dump ], 'restore');
$restored = connect_to($node, 'restored');
sub all_answers
{
	my ($db) = @_;
	return $db->selectrow_array("SELECT string_agg(g::text, ',') FROM generate_series(1, 40) AS g WHERE migspec_flag_enabled('f', g::text)");
}
is(all_answers($restored), undef, 'a flag that is not there yet is off');
foreach my $table (qw(flag flag_segment))
{
	$node->command_ok([ 'pg_restore', '--section=data', "--table=$table", '--schema=migspec', '--dbname', $node->connstr('restored'), $dump ],
		"restore $table");
	is(all_answers($restored), $table eq 'flag' ? undef : all_answers($a), "the session sees what $table brings");
}
$restored->disconnect;

$_->disconnect foreach $a, $b;
$node->stop;
done_testing();
