# What seldom happens to a backfill: triggers of users that it is told to fire,
# expressions that are not what they claim to be, more locked pages than it can
# remember, and migrations in several databases at once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $node = new_node('rare', 'migspec.naptime' => 50, 'autovacuum' => 'off');
my $dbh = connect_to($node);

# Bring a migration to phase migrated.
sub migrate
{
	my ($handle, $name, $operations) = @_;

	$handle->do("SELECT migspec_expand(?, $operations)", undef, $name);
	drive_to($handle, $name, 'migrated');
	return;
}

#
# Triggers of users
#
$dbh->do(<<'SQL');
CREATE TABLE seen (id int);
CREATE TABLE fired (id int PRIMARY KEY, v text);
INSERT INTO fired SELECT i, i FROM generate_series(1, 2500) AS i;
CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO public.seen VALUES (new.id);
	RETURN NULL;
END $$;
CREATE TRIGGER see AFTER UPDATE ON fired FOR EACH ROW EXECUTE FUNCTION see();
SQL
migrate($dbh, 'silent', q{migspec_rename_column('fired', 'v', 'w')});
is($dbh->selectrow_array('SELECT count(*) FROM seen'), 0, 'the backfill fires no triggers of users');
$dbh->do(q(SELECT migspec_rollback('silent')));
$dbh->do(q(ALTER DATABASE postgres SET migspec.fire_user_triggers = on));
migrate($dbh, 'loud', q{migspec_rename_column('fired', 'v', 'w')});
is($dbh->selectrow_array(q(SELECT count(*) || ' ' || count(DISTINCT id) FROM seen)),
	'2500 2500', 'unless it is told to: then once for each row');
is($dbh->selectrow_array('SELECT count(*) FROM fired WHERE v IS DISTINCT FROM w'), 0, 'and still fills the column');
verify($dbh, 'loud');
$dbh->do(q(SELECT migspec_rollback('loud')));
$dbh->do(q(ALTER DATABASE postgres RESET migspec.fire_user_triggers));

#
# An expression that says it is immutable, and gives another value each time
#
$dbh->do(<<'SQL');
CREATE SEQUENCE liar;
CREATE FUNCTION lie(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	RETURN v || nextval('public.liar');
END $$;
CREATE TABLE lied (id int PRIMARY KEY, v text);
INSERT INTO lied SELECT i, i FROM generate_series(1, 10) AS i;
SQL
$dbh->{PrintWarn} = 0;
$dbh->do(q{SELECT migspec_expand('liar', migspec_change_type('lied', 'v', 'text', 'lie(v)', 'lie(v)'))});
$dbh->do(q{SELECT migspec_migrate('liar')});
wait_for(
	'the worker to give up',
	sub {
		$dbh->selectrow_array(
			q(SELECT last_sqlstate IS NOT NULL FROM migspec.migrations WHERE name = 'liar'));
	});
is_deeply(
	$dbh->selectrow_arrayref(
		q(SELECT last_sqlstate, phase, last_hint FROM migspec.migrations WHERE name = 'liar')),
	[
		'MG405', 'migrating',
		'The expressions may give another value each time, or another trigger may change the columns.'
	],
	'rows that do not come into sync are an error, not an endless loop');
like(
	$dbh->selectrow_array(q(SELECT last_detail FROM migspec.migrations WHERE name = 'liar')),
	qr/Rows on page 0 have been updated/, 'that says where they are');
$dbh->do(q(SELECT migspec_rollback('liar')));
is($dbh->selectrow_array(q(SELECT string_agg(v, ',' ORDER BY id) FROM lied)),
	'1,2,3,4,5,6,7,8,9,10', 'rollback brings everything back');

#
# One that writes other rows that migrate, while the backfill looks at rows
#
$dbh->do(<<'SQL');
CREATE TABLE calls (old int);
INSERT INTO calls VALUES (0);
CREATE TABLE lost (n int);
SQL
migrate($dbh, 'calls', q(migspec_rename_column('calls', 'old', 'new')));
$dbh->do(<<'SQL');
CREATE FUNCTION count_call() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
	n int := new FROM public.calls;
BEGIN
	UPDATE public.calls SET new = n + 1;
	INSERT INTO public.lost SELECT n FROM public.calls WHERE new <> n + 1 OR old <> n + 1;
END $$;
CREATE FUNCTION counted(v text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
	PERFORM public.count_call();
	RETURN 'x' || v;
END $$;
CREATE TABLE noisy (id int PRIMARY KEY, v text);
INSERT INTO noisy SELECT i, i FROM generate_series(1, 10) AS i;
SQL
migrate($dbh, 'noisy', q{migspec_change_type('noisy', 'v', 'text', 'counted(v)', 'substr(v, 2)')});
cmp_ok($dbh->selectrow_array('SELECT new FROM calls'), '>', 20, 'the function is called');
is($dbh->selectrow_array('SELECT count(*) FROM lost'), 0, 'what it writes is not taken for the update of the backfill');

#
# More pages with locked rows than fit into the list of those to visit again
#
$dbh->do(<<'SQL');
CREATE TABLE wide (id int PRIMARY KEY, v text, filler text);
ALTER TABLE wide ALTER filler SET STORAGE plain;
INSERT INTO wide SELECT i, i, repeat('x', 5000) FROM generate_series(1, 1300) AS i;
ANALYZE wide;
SQL
is($dbh->selectrow_array(q(SELECT pg_relation_size('wide') / 8192)), 1300, 'a row a page');
my $locker = connect_to($node, 'postgres', application_name => 'locker');

$dbh->do(q{SELECT migspec_expand('wide', migspec_rename_column('wide', 'v', 'w'))});
$locker->begin_work;
$locker->do('SELECT FROM wide FOR UPDATE');
$dbh->do(q(SELECT migspec_migrate('wide')));
wait_for(
	'the list to be full',
	sub {
		$dbh->selectrow_array(
			q(SELECT cardinality(skipped) = 1000 FROM migspec.backfill WHERE relation = 'wide'::regclass));
	});
is($dbh->selectrow_array(q(SELECT count(*) FROM wide WHERE w IS NOT NULL)), 0, 'all rows are locked');
ok( $dbh->selectrow_array(
		q(SELECT bool_and(rows_skipped = 1000) FROM migspec.progress WHERE migration = 'wide')),
	'progress tells');
$locker->rollback;
drive_to($dbh, 'wide', 'migrated');
is($dbh->selectrow_array('SELECT count(*) FROM wide WHERE v IS DISTINCT FROM w'),
	0, 'those that did not fit into it are found as well');
verify($dbh, 'wide');
$dbh->do(q(SELECT migspec_rollback('wide')));
$locker->disconnect;

#
# Migrations of one name in two databases, at once, one with a conflict
#
my %handles;

foreach my $dbname ('one', 'two')
{
	$dbh->do("CREATE DATABASE $dbname");
	my $handle = $handles{$dbname} = connect_to($node, $dbname);

	$handle->do('CREATE EXTENSION migspec');
	$handle->do('CREATE TABLE t (id int PRIMARY KEY, v text)');
	$handle->do(q(INSERT INTO t SELECT i, i FROM generate_series(1, 5000) AS i));
	$handle->do(q{SELECT migspec_expand('same', migspec_rename_column('t', 'v', 'w'))});
	$handle->do(q(SELECT migspec_migrate('same', 500)));
}
wait_for(
	'both to run at the same time',
	sub {
		$dbh->selectrow_array(
			q(SELECT count(DISTINCT datname) = 2 FROM pg_stat_activity WHERE backend_type = 'migspec worker'));
	});
pass('workers of two databases run at the same time');
is($handles{one}->selectrow_array(q(SELECT id FROM migspec.migration WHERE name = 'same')),
	$handles{two}->selectrow_array(q(SELECT id FROM migspec.migration WHERE name = 'same')),
	'for migrations with the same id');
$handles{one}->do(q(UPDATE t SET v = 'a', w = 'b' WHERE id <= 3));
$handles{two}->do(q(SELECT migspec_pause('same')));
$handles{one}->do(q(SELECT migspec_tune('same', 0)));
drive_to($handles{one}, 'same', 'migrated');
is(phase_of($handles{two}, 'same'), 'migrating', 'steering one leaves the other one alone');
wait_for(
	'conflicts in the catalog',
	sub { $handles{one}->selectrow_array('SELECT conflicts = 3 FROM migspec.migration') });
is($handles{two}->selectrow_array('SELECT conflicts FROM migspec.migrations'), 0, 'and so do its conflicts');
$handles{two}->do(q(SELECT migspec_tune('same', 0)));
drive_to($handles{two}, 'same', 'migrated');
foreach my $dbname ('one', 'two')
{
	my $handle = $handles{$dbname};

	is($handle->selectrow_array('SELECT count(*) FROM t WHERE v IS DISTINCT FROM w'), 0, "$dbname is in sync");
	drive_to($handle, 'same', 'finished');
	is(join(' ', leftovers($handle)), '', "nothing is left in $dbname");
	$handle->disconnect;
}

# A database that goes takes its counters with it.
my $gone = connect_to($node, 'one');
$gone->do(q{SELECT migspec_expand('last', migspec_rename_column('t', 'w', 'x'))});
$gone->do(q(UPDATE t SET w = 'a', x = 'b' WHERE id = 1));
$gone->disconnect;
$dbh->do('DROP DATABASE one');
is($dbh->selectrow_array(q(SELECT count(*) FROM pg_database WHERE datname = 'one')), 0, 'a database can be dropped meanwhile');

$dbh->disconnect;
$node->stop;
done_testing();
