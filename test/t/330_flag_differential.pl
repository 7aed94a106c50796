# What Unleash's own client says of random features and contexts
# (test/flags/differential.json, made by differential.js), we say, too.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $json = JSON::PP->new->canonical->allow_nonref;
my $file = $ENV{MIGSPEC_FLAG_CASES} || "$FindBin::RealBin/../flags/differential.json";
my $data = JSON::PP->new->utf8->decode(slurp_file($file));
my $node = new_node('flag_differential');
my $db = connect_to($node);

$db->do('SET client_min_messages = error');		# much in it never matches
$db->do('SELECT migspec_flag_import(?::jsonb)', undef,
	$json->encode({ features => $data->{features}, segments => $data->{segments} }));
my ($different, $enabled) = (0, 0);
foreach my $case (@{ $data->{cases} })
{
	my $context = $json->encode($data->{contexts}[ $case->{context} ]);
	my ($is_on, $variant) = $db->selectrow_array(
		'SELECT migspec_flag_enabled(?, ?::jsonb)::text, migspec_flag_variant(?, ?::jsonb)::text',
		undef, $case->{flag}, $context, $case->{flag}, $context);
	my $got = $json->encode([ $is_on, $json->decode($variant) ]);
	my $expected = $json->encode([ $case->{enabled} ? 'true' : 'false', $case->{variant} ]);
	$enabled++ if $case->{enabled};
	next if $got eq $expected;
	diag("$case->{flag} in $context: got $got, expected $expected") if ++$different <= 10;
	diag($json->encode((grep { $_->{name} eq $case->{flag} } @{ $data->{features} })[0])) if $different <= 10;
}
cmp_ok($enabled, '>', @{ $data->{cases} } / 5, 'many of the flags are on');
is($different, 0, 'none of ' . @{ $data->{cases} } . ' answers differs');

$db->disconnect;
$node->stop;
done_testing();
