# Writers that the regression tests cannot play: logical replication, COPY of
# files, and clients with prepared statements of the extended protocol.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

#
# Clients with prepared statements, whose plans are older than the migration
#
my $node = new_node('node', 'plan_cache_mode' => 'force_generic_plan');
my $dbh = connect_to($node);
my $old = connect_to($node, 'postgres', pg_server_prepare => 1);

$dbh->do('CREATE TABLE memo (id int PRIMARY KEY, content text, n int)');
$dbh->do("INSERT INTO memo SELECT i, 'row ' || i, i FROM generate_series(1, 100) AS i");

my ($insert, $upsert, $update, $select);

sub prepare_all
{
	$insert = $old->prepare('INSERT INTO memo (id, content, n) VALUES (?, ?, ?)');
	$upsert = $old->prepare('INSERT INTO memo (id, content, n) VALUES (?, ?, ?)'
		  . ' ON CONFLICT (id) DO UPDATE SET content = excluded.content, n = excluded.n RETURNING content, n');
	$update = $old->prepare('UPDATE memo SET content = ?, n = n + 1 WHERE id = ?');
	$select = $old->prepare('SELECT content, n FROM memo WHERE id = ?');
	return;
}

# All of them once, with keys from $base; what the client reads is what it
# wrote.
sub old_client
{
	my ($what, $base) = @_;
	my @seen;

	$insert->execute($base, "insert $base", $base);
	$upsert->execute($base, "upsert $base", 1);
	push @seen, @{ $upsert->fetchall_arrayref };
	$upsert->execute($base + 1, "upsert $base", 2);
	push @seen, @{ $upsert->fetchall_arrayref };
	$update->execute("update $base", $base + 1);
	$update->execute("update $base", $base % 100 + 1);
	$select->execute($base + 1);
	push @seen, @{ $select->fetchall_arrayref };
	is_deeply(\@seen,
		[ [ "upsert $base", 1 ], [ "upsert $base", 2 ], [ "update $base", 3 ] ],
		"$what: the client reads what it wrote");
	return;
}

# How many rows have columns that do not agree?  Those that nobody has touched
# are none before the backfill.
sub differing
{
	my ($handle, $table, @pairs) = @_;

	return $handle->selectrow_array("SELECT count(*) FROM $table WHERE "
		  . join(' OR ', map { "$_->[0] IS DISTINCT FROM $_->[1]" } @pairs));
}

$old->do('LISTEN migspec');
prepare_all();
old_client('planned', 1000);
$dbh->do(<<'SQL');
SELECT migspec_expand('m', migspec_rename_column('memo', 'content', 'content_text') ||
	migspec_change_type('memo', 'n', 'bigint'))
SQL
my ($hidden) = $dbh->selectrow_array(
	"SELECT new_column FROM migspec.operation WHERE old_name = 'n' ORDER BY id DESC LIMIT 1");
old_client('expanded', 1010);
is($dbh->selectrow_array("SELECT count(*) FROM memo WHERE id > 1009 AND content = content_text AND n = $hidden"),
	2, 'expanded: what it wrote is in both columns');

#
# COPY of files, in text and binary, of old and of new columns
#
my $file = PostgreSQL::Test::Utils::tempdir . '/copy';

foreach my $format ('text', 'csv', 'binary')
{
	$dbh->do("COPY (SELECT 2000 + i, 'copied ' || i, i FROM generate_series(1, 500) AS i)"
		  . " TO '$file' (FORMAT $format)");
	$dbh->do("COPY memo (id, content, n) FROM '$file' (FORMAT $format)");
	is($dbh->selectrow_array("SELECT count(*) FROM memo WHERE id > 2000"
			  . " AND content = 'copied ' || id - 2000 AND content = content_text AND n = $hidden"),
		500, "COPY of the old columns as $format");
	$dbh->do('DELETE FROM memo WHERE id > 2000');
	$dbh->do("COPY (SELECT 2000 + i, 'copied ' || i, i::bigint FROM generate_series(1, 500) AS i)"
		  . " TO '$file' (FORMAT $format)");
	$dbh->do("COPY memo (id, content_text, $hidden) FROM '$file' (FORMAT $format)");
	is($dbh->selectrow_array("SELECT count(*) FROM memo WHERE id > 2000"
			  . " AND content = 'copied ' || id - 2000 AND content = content_text AND n = $hidden"),
		500, "COPY of the new columns as $format");
	$dbh->do('DELETE FROM memo WHERE id > 2000');
}
my $dump;
$node->run_log([ 'pg_dump', '--data-only', '--table', 'memo', $node->connstr('postgres') ],
	'>', \$dump);
$dbh->do('TRUNCATE memo');
$node->safe_psql('postgres', $dump);
is($dbh->selectrow_array("SELECT count(*) FROM memo WHERE id > 1009 AND content = content_text AND n = $hidden"),
	2, 'a dump of all columns comes back as it was');
is($dbh->selectrow_array('SELECT count(*) FROM memo'), 104, 'with all rows');

drive_to($dbh, 'm', 'migrated');
is(differing($dbh, 'memo', [ 'content', 'content_text' ], [ 'n', $hidden ]), 0, 'migrated: no row differs');
old_client('migrated', 1020);
is(differing($dbh, 'memo', [ 'content', 'content_text' ], [ 'n', $hidden ]), 0, 'nor afterwards');
drive_to($dbh, 'm', 'switched');
($hidden) = $dbh->selectrow_array(
	"SELECT old_column FROM migspec.operation WHERE old_name = 'n' ORDER BY id DESC LIMIT 1");
# The server never lets a prepared statement return another type than the one
# that it was prepared with: after a change of type, clients prepare anew.
$insert->execute(1029, 'insert', 1);
$update->execute('update', 1029);
eval { $select->execute(1029); };
like($@, qr/cached plan must not change result type/, 'switched: statements that return the column have to be prepared anew');
prepare_all();
old_client('switched', 1030);
is(differing($dbh, 'memo', [ 'content', 'content_text' ], [ 'n', $hidden ]), 0, 'switched: no row differs');
$dbh->do("SELECT migspec_rollback('m')");

# who listens hears of each move
my @moves;
wait_for('six notifications',
	sub {
		while (my $notify = $old->pg_notifies)
		{
			push @moves, $1 if $notify->[2] =~ /"migration": "m", "event": "phase".*"to": "(\w+)"/;
		}
		return @moves >= 6;
	});
is("@moves", 'expanded migrating migrated verified switched rolled_back', 'notifications');
prepare_all();
old_client('rolled back', 1040);
$_->finish foreach $insert, $upsert, $update, $select;
$old->disconnect;
$dbh->disconnect;
$node->stop;

#
# Logical replication: rows come without a statement
#
my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');

# the position that is waited for has to be that of what was committed
$publisher->append_conf('postgresql.conf', 'synchronous_commit = on');
$publisher->start;
my $subscriber = new_node('subscriber');
my $pub = connect_to($publisher);
my $sub = connect_to($subscriber);
my $connection = $publisher->connstr . ' dbname=postgres';

$pub->do('CREATE EXTENSION migspec');
$pub->do('CREATE TABLE memo (id int PRIMARY KEY, content text, note text)');
$pub->do("INSERT INTO memo SELECT i, 'row ' || i, 'n' FROM generate_series(1, 10) AS i");
$pub->do('CREATE PUBLICATION old_shape FOR TABLE memo (id, content, note)');
$sub->do("CREATE TABLE memo (id int PRIMARY KEY, content text DEFAULT 'default', note text)");
$sub->do("SELECT migspec_expand('s', migspec_rename_column('memo', 'content', 'content_text'))");

# What the subscriber has, as text
sub subscriber_rows
{
	my ($where) = @_;

	$publisher->wait_for_catchup('sub');
	return join ' ', @{
		$sub->selectcol_arrayref("SELECT concat_ws('/', id, coalesce(content, '-'), coalesce(content_text, '-'))"
			  . " FROM memo WHERE $where ORDER BY id")
	};
}

# the first copy of the table
$sub->do("CREATE SUBSCRIPTION sub CONNECTION '$connection' PUBLICATION old_shape");
$subscriber->wait_for_subscription_sync($publisher, 'sub');
is($sub->selectrow_array('SELECT count(*) FROM memo WHERE content = content_text'),
	10, 'initial copy of a table whose subscriber has expanded');
is(differing($sub, 'memo', [ 'content', 'content_text' ]), 0, 'no row differs');

# and then row by row
$pub->do("INSERT INTO memo VALUES (11, 'inserted', 'n'), (12, NULL, 'n')");
$pub->do("UPDATE memo SET content = 'updated' WHERE id = 1");
$pub->do("UPDATE memo SET note = 'unrelated' WHERE id = 2");
$pub->do("UPDATE memo SET content = NULL WHERE id = 3");
$pub->do('UPDATE memo SET id = 104 WHERE id = 4');
$pub->do('DELETE FROM memo WHERE id = 5');
$pub->do("INSERT INTO memo (id, note) VALUES (13, 'n')");
is(subscriber_rows('id <= 5 OR id > 10'),
	'1/updated/updated 2/row 2/row 2 3/-/- 11/inserted/inserted 12/-/- 13/-/- 104/row 4/row 4',
	'INSERT, UPDATE and DELETE by replication');

# rows that nobody has synchronised: the table was filled before it expanded
$sub->do("SELECT migspec_rollback('s')");
$sub->do("SELECT migspec_expand('s', migspec_rename_column('memo', 'content', 'content_text'))");
$pub->do("UPDATE memo SET note = 'again' WHERE id = 1");
$pub->do("UPDATE memo SET content = 'changed' WHERE id = 2");
is(subscriber_rows('id <= 3'), '1/updated/updated 2/changed/changed 3/-/-',
	'UPDATE by replication of rows that the backfill has not seen');

# large values that are not sent again
$pub->do("UPDATE memo SET content = (SELECT string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i) WHERE id = 1");
$pub->do("UPDATE memo SET note = 'toast' WHERE id = 1");
$publisher->wait_for_catchup('sub');
is_deeply(
	$sub->selectrow_arrayref('SELECT length(content), content = content_text, note FROM memo WHERE id = 1'),
	[ 32000, 1, 'toast' ], 'a large value that an UPDATE does not send');

# old writers by replication, new ones on the subscriber itself
$sub->do("UPDATE memo SET content_text = 'here' WHERE id = 6");
$sub->do("INSERT INTO memo (id, content_text) VALUES (200, 'here')");
$pub->do("UPDATE memo SET note = 'there' WHERE id = 6");
$pub->do("UPDATE memo SET content = 'there' WHERE id = 7");
is(subscriber_rows('id IN (6, 7, 200)'), '6/row 6/row 6 7/there/there 200/here/here',
	'the publisher sends whole rows, and these are in both columns');

# through the phases of the subscriber
drive_to($sub, 's', 'migrated');
is(differing($sub, 'memo', [ 'content', 'content_text' ]), 0, 'the backfill of the subscriber');
drive_to($sub, 's', 'switched');
$pub->do("INSERT INTO memo VALUES (14, 'switched', 'n'), (15, NULL, 'n')");
$pub->do("UPDATE memo SET content = 'switched' WHERE id = 8");
is(subscriber_rows('id IN (8, 14)'), '8/switched/switched 14/switched/switched',
	'the publisher still has the old shape when the subscriber has switched');
is(differing($sub, 'memo', [ 'content', 'content_text' ]), 0, 'no row differs');

# the publisher expands, and publishes the new column instead
$pub->do("SELECT migspec_expand('p', migspec_rename_column('memo', 'content', 'content_text'))");
$pub->do("INSERT INTO memo (id, content_text) VALUES (16, 'by a new writer')");
is(subscriber_rows('id = 16'), '16/by a new writer/by a new writer', 'the publisher has expanded');
drive_to($pub, 'p', 'verified');
is(subscriber_rows('id > 15 AND id < 100'), '16/by a new writer/by a new writer', 'its backfill is replicated');
drive_to($pub, 'p', 'switched');
is($pub->selectrow_array("SELECT attnames::text FROM pg_publication_tables WHERE pubname = 'old_shape'"),
	'{id,note,content_text}', 'the publication has the new column in place of the old one');
$pub->do("INSERT INTO memo (id, content) VALUES (17, 'by an old writer')");
$pub->do("UPDATE memo SET content_text = 'new' WHERE id = 9");
$pub->do("UPDATE memo SET content_text = NULL WHERE id = 10");
is(subscriber_rows('id IN (9, 10, 17)'), '9/new/new 10/-/- 17/by an old writer/by an old writer',
	'the publisher sends the new column only');
drive_to($sub, 's', 'contracted');
$pub->do("INSERT INTO memo (id, content) VALUES (18, 'contracted')");
$publisher->wait_for_catchup('sub');
is($sub->selectrow_array('SELECT content_text FROM memo WHERE id = 18'), 'contracted', 'the subscriber has contracted');
drive_to($sub, 's', 'finished');
drive_to($pub, 'p', 'finished');
$pub->do("INSERT INTO memo (id, content_text) VALUES (19, 'finished')");
$publisher->wait_for_catchup('sub');
is($sub->selectrow_array('SELECT content_text FROM memo WHERE id = 19'), 'finished', 'both have finished');
my $all = 'SELECT id, content_text, note FROM memo WHERE id <> 200 ORDER BY id';
is_deeply($sub->selectall_arrayref($all), $pub->selectall_arrayref($all), 'both have the same rows');
is_deeply([ leftovers($sub) ], [], 'nothing is left behind on the subscriber');
is_deeply([ leftovers($pub) ], [], 'nothing is left behind on the publisher');

done_testing();
