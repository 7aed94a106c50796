# What looking at DDL must not do: lock anything above ACCESS SHARE, keep a
# lock, run what the statements or the tables' expressions call, write, or need
# a server that can be written to.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DBD::Pg ':async';
use DdlCases;
use DdlTools;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $data = "$FindBin::RealBin/../ddl";
my $node = PostgreSQL::Test::Cluster->new('readonly');

$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', "autovacuum = off\nmax_locks_per_transaction = 256");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION migspec; CREATE EXTENSION citext; CREATE ROLE other_role');

my $dbh = connect_ddl($node);
my $version = int($dbh->{pg_server_version} / 10000);
my $error = build_world($dbh, read_text("$data/base-matrix.sql"));

BAIL_OUT("cannot build the world: $error") if $error;

# One statement of each kind, on each kind of table
my %seen;
my @statements = grep { !/nosuch|ft |pub |other_space|heap2|^SET |^ALTER SYSTEM/ && !$seen{$_}++ }
  map { @{ $_->{statements} } } grep { $_->{group} ne 'type' } all_cases($version);

# every ninth of what the tables are multiplied with
my $i = 0;
@statements = grep { !/^ALTER TABLE (?:ONLY )?\w+ / || $i++ % 9 == 0 } @statements;
my @calls = ('SELECT count(*) FROM migspec_check(?)', 'SELECT count(*) FROM migspec_ddl_effects(?)');

#
# Locks
#

# What a process has, or waits for, as "mode on relation"
my $locks_of = <<'SQL';
SELECT DISTINCT mode || ' on ' || relation::regclass FROM pg_locks
WHERE pid = ? AND locktype = 'relation'
SQL

my $pid = $dbh->selectrow_array('SELECT pg_backend_pid()');
my (@strong, @kept, @writing);

foreach my $sql (@statements)
{
	foreach my $call (@calls)
	{
		$dbh->begin_work;
		eval { $dbh->selectrow_array($call, undef, $sql); 1 } or note "$sql: $@";
		if ($dbh->ping == 3)
		{
			my $locks = $dbh->selectcol_arrayref($locks_of, undef, $pid);

			push @strong, grep { !/^AccessShareLock/ } @$locks;
			push @kept, map { "$sql: $_" } grep { !/ on (?:pg_|information_schema)/ } @$locks;
			push @writing, $sql
			  if defined $dbh->selectrow_array('SELECT pg_current_xact_id_if_assigned()');
		}
		$dbh->rollback;
	}
}
cmp_ok(scalar @statements, '>', 300, 'there are many statements');
is(join("\n", @strong), '', 'no lock above ACCESS SHARE is left');
is(join("\n", @kept), '', 'no lock on a table is left');
is(join("\n", @writing), '', 'no transaction writes');

# Nor is there one while it runs, all statements in one script.
my $watcher = connect_to($node);
my $script = join ";\n", @statements;
my %met;
my $samples = 0;

# Begin a call without waiting for it.
sub start_call
{
	my ($call, $sql) = @_;
	my $quoted = $dbh->quote($sql);

	$call =~ s/\?/$quoted/;
	$dbh->do($call, { pg_async => PG_ASYNC });
	return;
}

foreach my $call (@calls)
{
	start_call($call, $script);
	until ($dbh->pg_ready)
	{
		$met{$_} = 1 foreach @{ $watcher->selectcol_arrayref($locks_of, undef, $pid) };
		$samples++;
	}
	ok(eval { $dbh->pg_result; 1 }, "$call: the script of all statements") or diag $@;
}
note "$samples samples";
is(join("\n", grep { !/^AccessShareLock/ } sort keys %met), '', 'no lock above ACCESS SHARE while it runs');

# A table that somebody has: it waits with ACCESS SHARE, and gives up as other
# statements do.
my $holder = connect_to($node);

$holder->begin_work;
$holder->do('LOCK TABLE m.plain IN ACCESS EXCLUSIVE MODE');
start_call($calls[0], 'ALTER TABLE plain ADD COLUMN z int DEFAULT random()');
%met = ();
foreach (1 .. 30)
{
	$met{$_} = 1 foreach @{ $watcher->selectcol_arrayref($locks_of, undef, $pid) };
	sleep 0.01;
}
is(join("\n", grep { !/^AccessShareLock/ } sort keys %met),
	'', 'no lock above ACCESS SHARE while somebody has the table');
$holder->rollback;
ok(eval { $dbh->pg_result; 1 }, 'it goes on when the table is free') or diag $@;
$holder->disconnect;

#
# Nothing is run
#

$dbh->do(<<'SQL');
CREATE TABLE called (name text);
CREATE FUNCTION m.boom_volatile(x int DEFAULT 1) RETURNS int VOLATILE LANGUAGE plpgsql AS $$
	BEGIN RAISE WARNING 'boom volatile'; INSERT INTO m.called VALUES ('volatile'); NOTIFY boom; RETURN 1; END $$;
CREATE FUNCTION m.boom_stable(x int DEFAULT 1) RETURNS int STABLE LANGUAGE plpgsql AS $$
	BEGIN RAISE WARNING 'boom stable'; RETURN 1; END $$;
CREATE FUNCTION m.boom_immutable(x int DEFAULT 1) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
	BEGIN RAISE WARNING 'boom immutable'; RETURN 1; END $$;
CREATE TABLE bait (id int, a int);
INSERT INTO bait VALUES (1, 1);
CREATE DOMAIN dbait AS int;
SQL
$dbh->do(<<'SQL');
CREATE FUNCTION m.boom_sql() RETURNS int VOLATILE LANGUAGE sql AS 'SELECT m.boom_volatile()';
CREATE TABLE bait_expr (id int, a int DEFAULT boom_volatile(), CHECK (boom_immutable(a) > 0));
CREATE INDEX bait_expr_i ON bait_expr (boom_immutable(id)) WHERE boom_immutable(a) > 0;
CREATE TABLE bait_prt (id int, a int) PARTITION BY RANGE (boom_immutable(id));
CREATE TABLE bait_def PARTITION OF bait_prt DEFAULT;
SQL

my @bait = (
	(
		map {
			my $f = $_;
			(
				"ALTER TABLE bait ADD COLUMN z int DEFAULT $f",
				"ALTER TABLE bait ADD COLUMN z int NOT NULL DEFAULT $f CHECK ($f > 0)",
				"ALTER TABLE bait ALTER COLUMN a TYPE bigint USING $f",
				"ALTER TABLE bait ALTER COLUMN a SET DEFAULT $f",
				"ALTER TABLE bait ADD CONSTRAINT zz CHECK ($f > 0)",
				"CREATE INDEX ON bait (($f))",
				"CREATE INDEX ON bait (a) WHERE $f > 0",
				"ALTER DOMAIN dbait ADD CHECK ($f > 0)",
				"CREATE TABLE zz (a int DEFAULT $f, CHECK ($f > 0))",
				"CREATE TABLE zz AS SELECT $f",
				"CREATE VIEW zz AS SELECT $f",
				"CREATE MATERIALIZED VIEW zz AS SELECT $f",
				"CREATE POLICY zz ON bait USING ($f > 0)",
				"CREATE TABLE zz PARTITION OF bait_prt FOR VALUES FROM ($f) TO (9)",
				"SELECT $f", "INSERT INTO bait VALUES ($f)", "UPDATE bait SET a = $f WHERE $f > 0",
				"DELETE FROM bait WHERE $f > 0", "EXPLAIN ANALYZE SELECT $f",
				"PREPARE zz AS SELECT $f"
			)
		} 'boom_volatile()',
		'boom_stable()',
		'boom_immutable(id)',
		'boom_immutable(1)',
		'boom_sql()'
	),
	q(DO 'BEGIN PERFORM m.boom_volatile(); END'),
	'ALTER TABLE bait_expr ALTER COLUMN a TYPE bigint',
	'ALTER TABLE bait_expr ADD COLUMN z int DEFAULT 1',
	'ALTER TABLE bait_expr ALTER COLUMN a SET NOT NULL',
	'ALTER TABLE bait_prt ATTACH PARTITION bait FOR VALUES FROM (1) TO (9)',
	'CREATE TABLE zz PARTITION OF bait_prt FOR VALUES FROM (1) TO (9)',
	'TRUNCATE bait', 'DROP TABLE bait', 'DELETE FROM bait');
my @ran;

## no critic (RequireLocalizedPunctuationVars)
foreach my $sql (@bait)
{
	my @booms;

	local $SIG{__WARN__} = sub { push @booms, $_[0] if $_[0] =~ /boom/; };
	$dbh->do('SET client_min_messages = warning');
	foreach my $call (@calls)
	{
		eval { $dbh->selectrow_array($call, undef, $sql); 1 }
		  or ok(0, "$sql can be looked at") || diag $@;
	}
	push @ran, $sql if @booms;
}
is(join("\n", @ran), '', 'no function is called');
is($dbh->selectrow_array('SELECT count(*) FROM m.called'), 0, 'nothing was written');
is($dbh->selectrow_array('SELECT count(*) FROM m.bait'), 1, 'the rows are there');

#
# Where nothing can be written
#

my $rows_of = sub {
	my ($connection) = @_;

	$connection->do('SET search_path = m, public');
	return join "\n", map {
		my $sql = $_;

		map { join '|', $sql, map { defined $_ ? $_ : '' } @$_ } @{
			$connection->selectall_arrayref('SELECT * FROM migspec_ddl_effects(?)', undef, $sql) },
		  @{
			$connection->selectall_arrayref(
				q(SELECT statement, rule, severity, object, CASE WHEN rule = 'would-fail' THEN why END
					FROM migspec_check(?) WHERE rule <> 'lock-wait-now'),
				undef, $sql) };
	} @statements[ grep { $_ % 5 == 0 } 0 .. $#statements ];
};
my $expected = $rows_of->($dbh);

isnt($expected, '', 'there is something to compare');
$dbh->do('SET default_transaction_read_only = on');
is($rows_of->($dbh), $expected, 'a read-only transaction gives the same rows');
$dbh->do('RESET default_transaction_read_only');

$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');

$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);

my $reader = connect_to($standby);

my %here = map { $_ => 1 } split /\n/, $expected;
my %there = map { $_ => 1 } split /\n/, $rows_of->($reader);

is(join("\n", map({ "- $_" } grep { !$there{$_} } sort keys %here), map { "+ $_" } grep { !$here{$_} } sort keys %there),
	'', 'so does a standby');
$reader->disconnect;
$standby->stop;

$watcher->disconnect;
$dbh->disconnect;
$node->stop;
done_testing();
