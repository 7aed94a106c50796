# The analysis of DDL against the server that runs: each statement is
# predicted, then run for real and undone, and the two must agree.  So another
# version of the server is checked by itself.
#
# The statements are made from lists (DdlCases.pm): subcommands of ALTER TABLE
# times kinds of tables, changes of types, partitions, other statements,
# scripts.  Of the large lists a part is tried, which is always the same;
# MIGSPEC_DDL_EVERY=1 tries all, MIGSPEC_DDL_ONLY is a pattern of those to try.
# MIGSPEC_DDL_RANDOM is the number of combinations of them, MIGSPEC_DDL_SEED
# leads to others.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DdlCases;
use DdlTools;
use Digest::MD5 qw(md5_hex);
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $data = "$FindBin::RealBin/../ddl";
my $node = new_node('selfcheck', autovacuum => 'off', allow_in_place_tablespaces => 'on',
	max_locks_per_transaction => 256);
my $dbh = connect_ddl($node);
my $version = int($dbh->{pg_server_version} / 10000);

$dbh->do('CREATE EXTENSION citext');
$dbh->do(q(CREATE TABLESPACE other_space LOCATION ''));
$dbh->do($_)
  foreach 'CREATE ROLE other_role', 'CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler',
  'CREATE FOREIGN DATA WRAPPER nothing', 'CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing';

my $error = build_world($dbh, read_text("$data/base-matrix.sql"), type_world(),
	'CREATE FOREIGN TABLE ft (a int) SERVER nowhere; CREATE PUBLICATION pub FOR TABLE published');

BAIL_OUT("cannot build the world: $error") if $error;

my $only = setting('MIGSPEC_DDL_ONLY', '.');
my $every = setting('MIGSPEC_DDL_EVERY', 5);
my $large = qr/^(?:alter table|type|two statements)$/;
my (%count, %agreed, %failed);
my $predicting = 0;

# Is it one of those to try?
sub is_wanted
{
	my ($case) = @_;

	return 0 if $case->{sql} !~ /$only/ && $case->{group} !~ /$only/;
	return 1 if $case->{group} !~ $large;

	return hex(substr md5_hex($case->{sql}), 0, 6) % $every == 0;
}

# Statements that the server runs, for combinations of them
my @runnable;

sub try_case
{
	my ($case) = @_;
	my ($group, $sql) = @{$case}{qw(group sql)};
	my $start = time();
	my $predicted = eval { predict($dbh, join '; ', @{ $case->{statements} }) };
	my $why = $@;

	$dbh = connect_ddl($node) if !$dbh->ping;
	$predicting += time() - $start;
	$count{$group}++;

	my $measured = measure($dbh, @{ $case->{statements} });
	my @differences =
	  $predicted ? compare($dbh, $predicted, $measured, $sql) : ("no prediction: $why");

	push @runnable, $sql if !$measured->{failed} && $group ne 'type' && @{ $case->{statements} } == 1;
	$failed{$group}++ if $measured->{failed};
	$agreed{$group}++ unless @differences;
	is(scalar @differences, 0, $sql)
	  or diag join "\n", "MISMATCH $group: $sql", @differences;
	return;
}

try_case($_) foreach grep { is_wanted($_) } all_cases($version);
try_case($_)
  foreach random_cases(setting('MIGSPEC_DDL_RANDOM', 300), setting('MIGSPEC_DDL_SEED', 1), @runnable);

diag sprintf '%s: %d of %d cases agree, %d of them fail on the server', $_, $agreed{$_} || 0, $count{$_},
  $failed{$_} || 0
  foreach sort keys %count;
diag sprintf 'predicting took %.1f s', $predicting;

$dbh->disconnect;
$node->stop;
done_testing();
