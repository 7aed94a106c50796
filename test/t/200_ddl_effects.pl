# migspec_ddl_effects() against the cases of test/ddl/ground-truth-open.jsonl:
# each is predicted, then run for real and undone.  With the versions that the
# cases were recorded with, what the server does must be what was recorded.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DdlTools;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $data = "$FindBin::RealBin/../ddl";
my $node = new_node('effects', autovacuum => 'off');

$node->safe_psql('postgres', 'CREATE ROLE other_role; CREATE EXTENSION citext');

my $dbh = connect_ddl($node);
my $version = int($dbh->{pg_server_version} / 10000);

foreach my $case (read_cases("$data/ground-truth-open.jsonl"))
{
	my $recorded = $case->{"pg$version"};
	my $id = $case->{id};
	my $error = build_world($dbh, read_text("$data/$case->{base}"), $case->{setup});

	if ($error)
	{
		ok(!$recorded || $recorded->{setup_error} || $recorded->{sqlstate}, "$id: cannot be set up")
		  or diag $error;
		next;
	}
	$dbh->do($case->{session}) if $case->{session};

	my $predicted = eval { predict($dbh, $case->{sql}) };

	if (!$predicted)
	{
		fail("$id: no prediction");
		diag "$case->{sql}: " . $dbh->errstr;
	}

	my $measured = measure($dbh, $case->{sql});

	if ($predicted)
	{
		my @differences = compare($dbh, $predicted, $measured);

		is(scalar @differences, 0, "$id is predicted")
		  or diag join "\n", "MISMATCH $id: $case->{sql}", @differences;
	}
	next unless $recorded;

	my @differences = compare_recorded($measured, $recorded);

	is(scalar @differences, 0, "$id is as recorded")
	  or diag join "\n", "RECORDED $id: $case->{sql}", @differences;
}

$dbh->disconnect;
$node->stop;
done_testing();
