# The command migspec-check: files and directories, formats, exit codes,
# comments that accept a finding, files that depend on each other.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP;
use IPC::Run;
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $command = "$FindBin::RealBin/../../bin/migspec-check";
my $node = new_node('migspec_check');
my $dir = PostgreSQL::Test::Utils::tempdir;

$node->safe_psql('postgres', <<'SQL');
CREATE TABLE orders (id bigint PRIMARY KEY, note varchar(20));
INSERT INTO orders SELECT g, g FROM generate_series(1, 100) AS g;
SQL

# Where migspec-check is to find its server, as for psql
local $ENV{PGHOST} = $node->host;
local $ENV{PGPORT} = $node->port;
local $ENV{PGDATABASE} = 'postgres';
local $ENV{PGOPTIONS} = '-c lock_timeout=5s';

sub write_file
{
	my ($name, $text) = @_;

	append_to_file("$dir/$name", $text);
	return "$dir/$name";
}

sub check
{
	my @args = @_;
	my ($stdout, $stderr) = ('', '');

	IPC::Run::run([ 'sh', $command, @args ], '>', \$stdout, '2>', \$stderr);
	return ($? >> 8, $stdout, $stderr);
}

mkdir "$dir/db";
mkdir "$dir/db/later";
my $good = write_file('db/001 good.sql', "CREATE TABLE notes (id bigint PRIMARY KEY);\n");
my $bad = write_file('db/002_bad.sql', "-- it's \$1 `id` :x \\\\ 100%\nALTER TABLE orders\n\tALTER COLUMN note SET NOT NULL;\n");
my $depends = write_file('db/later/003.sql', "ALTER TABLE notes ADD COLUMN body text");
my $accepted = write_file('accepted.sql',
	"-- migspec:ignore set-not-null-scan it is small\nALTER TABLE orders ALTER COLUMN note SET NOT NULL;\n");
my $empty = write_file('empty.sql', '');
write_file('db/readme.txt', 'DROP TABLE orders;');

my ($rc, $out, $err) = check($good);
is($rc, 0, 'nothing found');
like($out, qr/001 good\.sql\nstatements: 1, errors: 0/, 'and said so');
is($err, '', 'without noise');

($rc, $out, $err) = check('--fail-on=warning', $bad);
is($rc, 1, 'a finding') or diag($err);
like($out, qr/Statement 1, line 2: ALTER TABLE orders \.\.\.\n  warning: set-not-null-scan on orders\n.*VALIDATE/s, 'with its safe way');
is((check($bad))[0], 0, 'a warning is no danger');
is((check('--fail-on', 'info', $bad))[0], 1, 'but more than an info');
is((check('--fail-on=never', '--format=json', $bad))[0], 0, 'never');
is((check('--fail-on=info', $accepted))[0], 0, 'an accepted finding');
is((check('--fail-on=info', $empty))[0], 0, 'an empty file');

# A directory: by name, without the rest, each for itself or one after the other
($rc, $out, $err) = check('--format=json', "$dir/db");
is($rc, 1, 'a file that needs another') or diag($err);
my $json = decode_json($out);
is_deeply([ map { $_->{uri} } @$json ], [ $good, $bad, $depends ], 'files in order');
is($json->[2]{findings}[0]{rule}, 'would-fail', 'the table is not there yet');
($rc, $out, $err) = check('--together', '--format=json', '--fail-on=error', "$dir/db");
is($rc, 0, 'together') or diag($err);
is_deeply([ map { $_->{rule} } @{ decode_json($out)->[2]{findings} } ], [], 'it is');

# One SARIF document, whatever the number of files
($rc, $out, $err) = check('--format=sarif', "--output=$dir/out.sarif", "$dir/db", $accepted);
is($out, '', 'the report goes to a file');
my $sarif = decode_json(slurp_file("$dir/out.sarif"));
is(scalar @{ $sarif->{runs} }, 1, 'one run');
my @results = @{ $sarif->{runs}[0]{results} };
is_deeply([ map { $_->{ruleId} } @results ],
	[ 'set-not-null-scan', 'would-fail', 'set-not-null-scan' ], 'results of all files');
like($results[0]{locations}[0]{physicalLocation}{artifactLocation}{uri}, qr/002_bad\.sql$/, 'of which file');
is($results[2]{suppressions}[0]{justification}, 'it is small', 'why it is accepted');
($rc, $out, $err) = check('--format=sarif', $good);
is(scalar @{ decode_json($out)->{runs}[0]{results} }, 0, 'no results, but valid');

# The manual has the same rules, in the same order
my @ids = map { $_->{id} } @{ $sarif->{runs}[0]{tool}{driver}{rules} };
my @documented = slurp_file("$FindBin::RealBin/../../doc/rules.md") =~ /^### (\S+)$/mg;
is_deeply(\@documented, \@ids, 'all rules are documented');

# Mistakes are neither findings nor their absence
foreach my $case (
	[ [], qr/usage/ ],
	[ ['--format=xml', $good], qr/unknown format/ ],
	[ ['--fail-on=all', $good], qr/unknown severity/ ],
	[ ['--what', $good], qr/unknown option/ ],
	[ ["$dir/nowhere.sql"], qr/cannot read/ ],
	[ ["$dir/later"], qr/cannot read/ ],
	[ ['--dbname=template1', $good], qr/migspec_check_report/ ],
	[ ['--dbname=host=/nowhere', $good], qr/nowhere/ ])
{
	my ($args, $message) = @$case;

	($rc, $out, $err) = check(@$args);
	is($rc, 2, "exit code of: @$args");
	like($err, $message, 'with a message');
}
like((check('--help'))[1], qr/--fail-on/, 'help');

$node->stop;
done_testing();
