# migspec_ddl_effects() against the server that runs, for ALTER TABLE where the
# matrix of 210_ddl_selfcheck.pl does not reach: types with their indexes and
# foreign keys, inheritance from several parents, row types, tables that the
# script itself creates, and what versions 17 and 18 have brought.
#
# Each case of test/ddl/alter-cases.txt is predicted, then run for real and
# undone.  A statement that fails on the server must be predicted to fail, unless
# its rows are the reason.  MIGSPEC_DDL_ONLY is a pattern of those to try.

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
my $node = new_node('alter', autovacuum => 'off', allow_in_place_tablespaces => 'on');
my $dbh = connect_ddl($node);
my $version = int($dbh->{pg_server_version} / 10000);
my $only = setting('MIGSPEC_DDL_ONLY', '.');

$dbh->do($_)
  foreach 'CREATE EXTENSION citext', q(CREATE TABLESPACE other_space LOCATION ''),
  'CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler';

# Not the foreign tables, and not what has one: nothing is behind them
my $analyze_tables = <<'END';
DO $$ DECLARE name regclass; BEGIN
	FOR name IN SELECT oid FROM pg_class WHERE relkind IN ('r', 'p')
		AND relname <> 'fpar' AND relnamespace = 'public'::regnamespace
	LOOP EXECUTE format('ANALYZE %s', name); END LOOP;
END $$;
END

my $error = build_world($dbh, read_text("$data/base-alter.sql"),
	$version >= 18 ? read_text("$data/base-alter-18.sql") : (),
	$analyze_tables);

BAIL_OUT("cannot build the world: $error") if $error;

foreach my $case (split /\n/, read_text("$data/alter-cases.txt"))
{
	next if $case !~ /\S/ || $case =~ /^#/;
	next if $case =~ s/^(\d\d): // && $version < $1;
	next if $case !~ /$only/;

	my @statements = split / ; /, $case;
	my $predicted = eval { predict($dbh, join '; ', @statements) };
	my $why = $@;

	$dbh = connect_ddl($node) if !$dbh->ping;

	my $measured = measure($dbh, @statements);
	my @differences =
	  $predicted ? compare($dbh, $predicted, $measured, $case) : ("no prediction: $why");

	is(scalar @differences, 0, $case)
	  or diag join "\n", "MISMATCH $case", @differences;
}

$dbh->disconnect;
$node->stop;
done_testing();
