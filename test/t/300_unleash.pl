# The public conformance suite of Unleash (test/flags/specifications): every
# case, four times: in one transaction with a savepoint for each file (so the
# cache must follow what is rolled back), with a cold cache, in a parallel
# worker, and on a standby.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# characters, not bytes: the driver encodes them
my $json = JSON::PP->new->canonical->allow_nonref;
my @files = sort glob "$FindBin::RealBin/../flags/specifications/*.json";

my $node = PostgreSQL::Test::Cluster->new('unleash');
$node->init(allows_streaming => 1);
$node->start;
my $db = connect_to($node);
$db->do('CREATE EXTENSION migspec');
$db->do('CREATE TABLE one_row AS SELECT 1 AS i');

# The output of tests is bytes: names of flags can be anything.
sub name_of
{
	my ($way, $specification, $test) = @_;
	my $name = "$way: $specification->{name}: $test->{description}";
	$name =~ s/[^ -~]/?/g;
	return $name;
}

# Check the cases of a file with a function that evaluates; returns how many
# there are.
sub check_cases
{
	my ($way, $specification, $evaluate) = @_;
	my $n = 0;

	foreach my $test (@{ $specification->{tests} || [] })
	{
		my $got = $evaluate->('migspec_flag_enabled(?, ?::jsonb)::text', $test);
		is($got, $test->{expectedResult} ? 'true' : 'false',
			name_of($way, $specification, $test));
		$n++;
	}
	foreach my $test (@{ $specification->{variantTests} || [] })
	{
		my $got = $evaluate->('migspec_flag_variant(?, ?::jsonb)::text', $test);
		is($json->encode($json->decode($got)), $json->encode($test->{expectedResult}),
			name_of($way, $specification, $test));
		$n++;
	}
	return $n;
}

sub evaluate_with
{
	my ($handle, $from) = @_;

	return sub {
		my ($call, $test) = @_;
		my ($got) = $handle->selectrow_array("SELECT $call $from", undef,
			$test->{toggleName}, $json->encode($test->{context}));
		return $got;
	};
}

my @specifications = map { JSON::PP->new->utf8->decode(slurp_file($_)) } @files;

# One transaction; each file's flags are there only until its savepoint
my $cases = 0;
$db->begin_work;
foreach my $specification (@specifications)
{
	$db->do('SAVEPOINT file');
	$db->do('SELECT migspec_flag_import(?::jsonb)', undef, $json->encode($specification->{state}));
	$cases += check_cases('savepoint', $specification, evaluate_with($db, ''));
	$db->do('ROLLBACK TO SAVEPOINT file');
}
$db->rollback;
is($cases, 279, 'all cases of the suite were tried');
is($db->selectrow_array('SELECT count(*) FROM migspec.flags'), 0, 'nothing is left');

# All that follows needs flags that others can see.
$node->backup('start');
my $standby = PostgreSQL::Test::Cluster->new('unleash_standby');
$standby->init_from_backup($node, 'start', has_streaming => 1);
$standby->start;
my $there = connect_to($standby);
my $parallel = connect_to($node);
$parallel->do($_)
  foreach ($node->config_data('--version') =~ /PostgreSQL 15/
	? 'SET force_parallel_mode = on' : 'SET debug_parallel_query = on');
foreach my $specification (@specifications)
{
	$db->do('SELECT migspec_flag_import(?::jsonb)', undef, $json->encode($specification->{state}));
	$node->wait_for_catchup($standby);
	my $cold = connect_to($node);
	check_cases('cold cache', $specification, evaluate_with($cold, ''));
	$cold->disconnect;
	check_cases('parallel worker', $specification, evaluate_with($parallel, 'FROM one_row'));
	check_cases('standby', $specification, evaluate_with($there, ''));
}
is($db->selectrow_array('SELECT migspec_flag_specification()'), '6.1.0', 'the version is told');

# Buckets are those of UTF-8, whatever the encoding of the database is, unless
# nobody knows it.
foreach my $encoding (qw(UTF8 LATIN1 EUC_KR SQL_ASCII))
{
	my $name = lc $encoding;
	$db->do("CREATE DATABASE $name ENCODING '$encoding' LOCALE 'C' TEMPLATE template0");
	my $other = connect_to($node, $name);
	$other->do('CREATE EXTENSION migspec');
	my ($bucket, $variant) = $other->selectrow_array(
		$encoding eq 'EUC_KR'
		? q{SELECT migspec_flag_bucket('grp', U&'\03A942'), migspec_flag_variant_bucket('grp', U&'\03A942', 1000)}
		: $encoding eq 'SQL_ASCII'
		? q{SELECT migspec_flag_bucket('grp', E'\xC3\xA9'), migspec_flag_variant_bucket('grp', E'\xC3\xA9', 1000)}
		: q{SELECT migspec_flag_bucket('grp', U&'\00E9'), migspec_flag_variant_bucket('grp', U&'\00E9', 1000)});
	is("$bucket $variant", $encoding eq 'EUC_KR' ? '22 772' : '61 172', "buckets in $encoding");
	$other->disconnect;
}

$_->disconnect foreach $db, $there, $parallel;
$standby->stop;
$node->stop;
done_testing();
