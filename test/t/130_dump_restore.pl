# A dump that is taken in the middle of a migration, in any phase, can be
# restored into another database, where the migration goes on.  And what
# happens if the extension in a database is not of the library's version.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $rows = 2000;
my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = new_node('dump_restore', 'migspec.naptime' => 50, 'migspec.batch_rows' => 100,
	'migspec.window_pages' => 2, 'max_worker_processes' => 64);

my $operations = <<'JSON';
{"operations": [
	{"rename_column": {"table": "memos", "from": "content", "to": "Content text"}},
	{"alter_column": {"table": "things", "column": "id", "type": "bigint"}}
]}
JSON

# A database with a migration in some phase
sub prepare
{
	my ($dbname) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	$node->safe_psql($dbname, <<"SQL");
CREATE EXTENSION migspec;
CREATE TABLE things (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name text NOT NULL
);
CREATE TABLE memos (
	id int PRIMARY KEY,
	thing_id int REFERENCES things ON DELETE CASCADE,
	content text NOT NULL DEFAULT 'empty' CHECK (length(content) < 100)
);
CREATE INDEX memos_content ON memos (lower(content));
INSERT INTO things (name) SELECT 'thing ' || i FROM generate_series(1, $rows) AS i;
INSERT INTO memos SELECT i, i, 'memo ' || i FROM generate_series(1, $rows) AS i;
SQL
	my $dbh = connect_to($node, $dbname);

	$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, 'm', $operations);
	return $dbh;
}

# Restore those parts of a dump.
sub restore
{
	my ($dump, $to, $name, @parts) = @_;

	open(my $list, '>', "$dump.list") or die "$dump.list: $!";
	print $list "$_\n" foreach @parts;
	close($list);
	$node->command_ok(
		[ 'pg_restore', '--exit-on-error', '--use-list', "$dump.list", '--dbname', $node->connstr($to), $dump ],
		$name);
	return;
}

# Dump a database, and restore it under another name; slowly, so that our
# workers have time to see what is half restored.
sub copy_database
{
	my ($from, $to) = @_;

	$node->command_ok(
		[ 'pg_dump', '--format=custom', '--file', "$dir/$from.dump", '--dbname', $node->connstr($from) ],
		"$from: dump");
	$node->safe_psql('postgres', "CREATE DATABASE $to");
	my ($list) = run_command([ 'pg_restore', '--list', "$dir/$from.dump" ]);
	my @parts = grep { !/^;/ } split /\n/, $list;
	my ($start) = grep { $parts[$_] =~ /SEQUENCE SET/ } 0 .. $#parts;
	my @later = grep { /TABLE DATA migspec event / } @parts;
	restore("$dir/$from.dump", $to, "$from: restore of the first half",
		grep { !/TABLE DATA migspec event / } @parts[ 0 .. $start - 1 ]);
	sleep 1;
	restore("$dir/$from.dump", $to, "$from: restore of the rest", @later, @parts[ $start .. $#parts ]);
	return connect_to($node, $to);
}

# Old and new names that are there in a phase
sub writes_in
{
	my ($phase) = @_;

	return ('content', '"Content text"') if $phase ne 'contracted';
	return '"Content text"';
}

# The data at the end, whatever the phase was in which it was copied
sub check_finished
{
	my ($label, $dbh, $expected) = @_;

	is(phase_of($dbh, 'm'), 'finished', "$label: the migration has finished");
	is( $dbh->selectrow_array(
			q(SELECT string_agg(id || ' ' || thing_id || ' ' || "Content text", ',' ORDER BY id) FROM memos)),
		$expected,
		"$label: the data is right");
	is( $dbh->selectrow_array(q(SELECT format_type(atttypid, NULL) FROM pg_attribute
			WHERE attrelid = 'things'::regclass AND attname = 'id')),
		'bigint',
		"$label: the type has changed");
	is($dbh->selectrow_array(q(SELECT pg_get_serial_sequence('things', 'id'))),
		'public.things_id_seq', "$label: the sequence is the column's");
	is($dbh->selectrow_array(q(INSERT INTO things (name) VALUES ('next') RETURNING id)),
		$rows + 2, "$label: and goes on");
	is(join(' ', leftovers($dbh)), '', "$label: nothing is left");
	return;
}

sub expected_data
{
	my (@more) = @_;

	return join ',', (map { "$_ $_ memo $_" } 1 .. $rows), @more;
}

foreach my $phase (qw(expanded migrating running migrated switched contracted))
{
	my $source = prepare("from_$phase");
	my $in = $phase;

	if ($phase eq 'migrating' || $phase eq 'running')
	{
		# some of the rows are done
		$in = 'migrating';
		drive_to($source, 'm', 'expanded');
		$source->do('SELECT migspec_migrate(?, 500)', undef, 'm');
		wait_for('the first rows',
			sub { $source->selectrow_array('SELECT sum(rows_done) > 0 FROM migspec.backfill') });
		$source->do('SELECT migspec_pause(?)', undef, 'm') if $phase eq 'migrating';
	}
	else
	{
		drive_to($source, 'm', $phase);
	}

	my $copy = copy_database("from_$phase", "to_$phase");

	is(phase_of($copy, 'm'), $in, "$phase: the copy is in that phase")
	  unless $phase eq 'running';
	is( $copy->selectrow_array('SELECT paused FROM migspec.migrations') ? 1 : 0,
		$phase eq 'migrating' ? 1 : 0,
		"$phase: and paused if it was paused");

	# old and new writers go on in the copy
	my @more;
	my $id = $rows;

	is($copy->selectrow_array(q(INSERT INTO things (name) VALUES ('new') RETURNING id)),
		$rows + 1, "$phase: the sequence goes on");
	foreach my $name (writes_in($phase))
	{
		$id++;
		$copy->do("INSERT INTO memos (id, thing_id, $name) VALUES (?, 1, ?)", undef, $id, "by $name");
		push @more, "$id 1 by $name";
	}

	# a running one goes on by itself
	if ($phase eq 'running')
	{
		$copy->do('SELECT migspec_tune(?, 0)', undef, 'm');
		$copy->do(q(SELECT migspec_wait('m', 'migrated', '60 s')));
	}
	elsif ($phase eq 'migrating')
	{
		$copy->do('SELECT migspec_tune(?, 0)', undef, 'm');
	}
	drive_to($copy, 'm', 'finished');
	check_finished($phase, $copy, expected_data(@more));

	# the source does not know of all that
	is(phase_of($source, 'm'), $in, "$phase: the source is where it was") unless $phase eq 'running';
	$source->do('SELECT migspec_rollback(?)', undef, 'm');
	is(join(' ', leftovers($source)), '', "$phase: and rolls back");
	$copy->disconnect;
	$source->disconnect;
}

# What can be rolled back in the source can be rolled back in a copy.
my $source = prepare('from_back');
my $before = definition_of($node, 'from_back', 'things', 'memos');

drive_to($source, 'm', 'switched');
my $copy = copy_database('from_back', 'to_back');

$copy->do('SELECT migspec_rollback(?)', undef, 'm');
is(join(' ', leftovers($copy)), '', 'a copy can be rolled back');
is($copy->selectrow_array(q(SELECT string_agg(id || ' ' || thing_id || ' ' || content, ',' ORDER BY id) FROM memos)),
	expected_data(), 'with its data');
is(definition_of($node, 'to_back', 'things', 'memos'), $before, 'to what the tables were');
$copy->disconnect;

#
# The extension has another version than the library
#

$source->do('SELECT migspec_rollback(?)', undef, 'm');
$source->do('SELECT * FROM migspec_plan(?, ?)', undef, 'versions', $operations);
drive_to($source, 'versions', 'migrating');

my $offset = -s $node->logfile;

ok(!eval { $source->do(q(ALTER EXTENSION migspec UPDATE TO '99.0')); 1 },
	'no update to a version that is not installed');
like($source->errstr, qr/no update path/, 'says the server');
is($source->selectrow_array(q(SELECT extversion FROM pg_extension WHERE extname = 'migspec')),
	$source->selectrow_array(q(SELECT default_version FROM pg_available_extensions WHERE name = 'migspec')),
	'the version is what it was');

my $version = $source->selectrow_array(q(SELECT extversion FROM pg_extension WHERE extname = 'migspec'));

$source->do(q(UPDATE pg_extension SET extversion = '99.0' WHERE extname = 'migspec'));
$source->do('SELECT migspec_resume(?)', undef, 'versions');
wait_for('a warning',
	sub { slurp_file($node->logfile, $offset) =~ /migspec's workers do nothing in this database/ });
like(slurp_file($node->logfile, $offset), qr/has version 99\.0 here/, 'it names the version');
like(slurp_file($node->logfile, $offset), qr/ALTER EXTENSION migspec UPDATE/, 'and what to do');
sleep 1;
is(phase_of($source, 'versions'), 'migrating', 'no worker touches what it may not understand');
is($source->selectrow_array('SELECT sum(rows_done) FROM migspec.backfill b JOIN migspec.migration m'
		  . q( ON m.id = migration_id WHERE name = 'versions')) // 0,
	0, 'no row was migrated');
my @warnings = slurp_file($node->logfile, $offset) =~ /workers do nothing in this database/g;

is(scalar @warnings, 1, 'one warning is enough');

# the trigger works all the same
$source->do(q(INSERT INTO memos (id, thing_id, content) VALUES (-1, 1, 'meanwhile')));
is($source->selectrow_array('SELECT "Content text" FROM memos WHERE id = -1'),
	'meanwhile', 'writers do not notice');

$source->do('UPDATE pg_extension SET extversion = ? WHERE extname = ?', undef, $version, 'migspec');
$source->do(q(SELECT migspec_wait('versions', 'migrated', '60 s')));
drive_to($source, 'versions', 'finished');
is($source->selectrow_array('SELECT "Content text" FROM memos WHERE id = -1'),
	'meanwhile', 'it goes on when the versions agree again');
is(join(' ', leftovers($source)), '', 'and nothing is left');

$source->disconnect;
$node->stop;
done_testing();
