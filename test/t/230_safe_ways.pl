# Every safe way that migspec_check() writes runs as it stands, to its end, in a
# database like the one it was written for, and rewrites no table under a lock.
#
# The databases and the scripts are those of the regression test sql/check.sql.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What the safe way leaves to a person, and has to be done before.
my %before = (
	'attach-scans-default' => 'CREATE TABLE events_2 (LIKE events INCLUDING ALL)',
	'drop-cascade' => 'DROP VIEW order_totals; ALTER TABLE items DROP CONSTRAINT items_order_id_fkey;'
	  . ' ALTER TABLE visits DROP CONSTRAINT visits_order_id_fkey',
	'add-required-column' => 'DELETE FROM visits; DELETE FROM items; DELETE FROM orders');

my $source = slurp_file("$FindBin::RealBin/../../sql/check.sql");
my ($setup, $cases) =
  $source =~ /^(.*?)(^CREATE TEMP TABLE test_case.*?^SELECT check_cases\(\);)/ms
  or die "sql/check.sql is not what this test expects";

my $node = new_node('safe_ways', 'migspec.naptime' => 50, 'max_worker_processes' => 64);
my $path = '-c search_path=ck,public';

# psql reads statement by statement, as a person would send them.
sub run_psql
{
	my ($dbname, $sql) = @_;
	local $ENV{PGOPTIONS} = "$path -c client_min_messages=debug1";

	my $rc = $node->psql(
		$dbname, $sql,
		stdout => \my $stdout,
		stderr => \my $stderr);
	return ($rc, $stdout, $stderr);
}

$node->safe_psql('postgres', 'CREATE DATABASE ask');
my (undef, $answer, $errors) = run_psql('ask',
	"$setup$cases\n\\pset format unaligned\n\\pset tuples_only on\n"
	  . "SELECT 'ways: ' || jsonb_agg(jsonb_build_object('n', n, 'rule', rule, 'work', work, 'way', safe_way) ORDER BY n)::text\n"
	  . "FROM result WHERE safe_way IS NOT NULL;\n");
my ($json) = $answer =~ /^ways: (.*)/m or die "no safe ways: $errors";
my $ways = decode_json($json);
cmp_ok(scalar @$ways, '>', 70, 'there are safe ways');

# The same without the extension, whose workers would be connected to it, and
# without what all databases share.
$setup =~ s/^(?:CREATE EXTENSION|CREATE TABLESPACE|SET allow_in_place).*\n//mg;
$node->safe_psql('postgres', 'CREATE DATABASE base');
my ($rc, undef, $stderr) = run_psql('base', $setup);
is($rc, 0, 'a database like it') or diag($stderr);

foreach my $way (@$ways)
{
	my $dbname = "way_$way->{n}";
	my $name = "$way->{rule} ($way->{n})";

	$node->safe_psql('postgres', "CREATE DATABASE $dbname TEMPLATE base");
	$node->safe_psql($dbname, 'CREATE EXTENSION migspec') if $way->{way} =~ /migspec_/;
	if ($before{ $way->{rule} })
	{
		($rc, undef, $stderr) = run_psql($dbname, $before{ $way->{rule} });
		is($rc, 0, "$name: what comes before") or diag($stderr);
	}
	($rc, undef, $stderr) = run_psql($dbname, $way->{way});
	is($rc, 0, "$name: runs") or diag("$way->{way}\n$stderr");
	unlike($stderr, qr/rewriting table/, "$name: rewrites nothing")
	  unless $way->{rule} =~ /^(?:set-tablespace|refresh-matview-blocking)$/;
	$node->safe_psql('postgres', "DROP DATABASE $dbname") unless $way->{way} =~ /migspec_/;
}

$node->stop;
done_testing();
