# The guard and those whom it never hinders: restores, dumps, extensions,
# replication; and what it writes into the server's log.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir;
my $node = new_node('guard', 'wal_level' => 'logical', 'max_wal_senders' => 5, 'max_replication_slots' => 5,
	'autovacuum' => 'off');
my $psql_failed = qr/migspec\.guard refuses/;

# Settings that come with a connection
sub guarded_database
{
	my ($name) = @_;

	$node->safe_psql('postgres', <<"SQL");
CREATE DATABASE $name;
ALTER DATABASE $name SET migspec.guard = enforce;
ALTER DATABASE $name SET migspec.guard_max_bytes = '64kB';
SQL
	return;
}

sub refused
{
	my ($dbname, $sql, $what) = @_;
	my ($rc, $stdout, $stderr) = $node->psql($dbname, $sql);

	isnt($rc, 0, "$what: refused");
	like($stderr, $psql_failed, "$what: by the guard");
	return;
}

# What is in the log since a position, and the position
sub log_position { return -s $node->logfile; }

# A database with everything that a restore builds
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source', <<'SQL');
CREATE EXTENSION migspec;
CREATE EXTENSION hstore;
CREATE TABLE big (id int PRIMARY KEY, a int NOT NULL CHECK (a > 0), b text UNIQUE);
INSERT INTO big SELECT i, i, 'row ' || i FROM generate_series(1, 5000) AS i;
CREATE INDEX big_a ON big (a);
CREATE TABLE child (big_id int REFERENCES big, a int);
INSERT INTO child SELECT i, i FROM generate_series(1, 5000) AS i;
CREATE TABLE parts (id int, a int) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10000);
CREATE INDEX ON parts (a);
INSERT INTO parts SELECT i, i FROM generate_series(1, 5000) AS i;
CREATE MATERIALIZED VIEW matview AS SELECT * FROM big;
CREATE INDEX ON matview (a);
SQL

subtest 'dump and restore' => sub {
	my %dump;

	$node->safe_psql('postgres', 'ALTER DATABASE source SET migspec.guard = enforce');
	foreach my $format ('plain', 'custom', 'directory')
	{
		$dump{$format} = "$dir/dump.$format";
		$node->command_ok(
			[ 'pg_dump', "--format=$format", '--file', $dump{$format}, '--dbname', $node->connstr('source') ],
			"pg_dump, $format");
	}
	my %restore = (
		psql => [ 'psql', '--no-psqlrc', '--quiet', '--output=/dev/null', '--set=ON_ERROR_STOP=1', '--file', $dump{plain}, '--dbname' ],
		custom => [ 'pg_restore', '--exit-on-error', $dump{custom}, '--dbname' ],
		single => [ 'pg_restore', '--single-transaction', $dump{custom}, '--dbname' ],
		parallel => [ 'pg_restore', '--exit-on-error', '--jobs=3', $dump{directory}, '--dbname' ]);
	foreach my $way (sort keys %restore)
	{
		my $offset = log_position();

		guarded_database("restored_$way");
		$node->command_ok([ @{ $restore{$way} }, $node->connstr("restored_$way") ], "restore, $way");
		is($node->safe_psql("restored_$way", q{SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid >= 16384}),
			$node->safe_psql('source', q{SELECT count(*) FROM pg_index WHERE indisvalid AND indrelid >= 16384}),
			"all indexes are there, $way");
		ok($node->log_contains(qr/the guards of migspec let this session restore a dump/, $offset),
			"the log tells, $way");
		refused("restored_$way", 'CREATE INDEX ON big (a)', "an index in $way");
	}
	return;
};

guarded_database('guarded');
$node->safe_psql('guarded', <<'SQL');
CREATE EXTENSION migspec;
CREATE TABLE big (id int PRIMARY KEY, a int, b text);
INSERT INTO big SELECT i, i, 'row ' || i FROM generate_series(1, 5000) AS i;
SQL

subtest 'extensions' => sub {
	$node->safe_psql('guarded', 'CREATE EXTENSION hstore');
	$node->safe_psql('guarded', 'CREATE EXTENSION citext VERSION \'1.4\'; ALTER EXTENSION citext UPDATE;');
	$node->safe_psql('guarded', 'DROP EXTENSION hstore; DROP EXTENSION citext;');
	pass('come, change and go');
	return;
};

subtest 'clients' => sub {
	refused('guarded', 'CREATE INDEX ON big (a)', 'a simple query');
	refused('guarded', 'BEGIN; CREATE INDEX ON big (a); COMMIT', 'a string of several');
	$node->command_fails_like([ 'reindexdb', '--table=big', '--dbname', $node->connstr('guarded') ],
		$psql_failed, 'reindexdb');
	$node->command_ok([ 'reindexdb', '--concurrently', '--table=big', '--dbname', $node->connstr('guarded') ],
		'reindexdb --concurrently');
	$node->command_fails_like([ 'vacuumdb', '--full', '--table=big', '--dbname', $node->connstr('guarded') ],
		$psql_failed, 'vacuumdb --full');
	$node->command_ok([ 'vacuumdb', '--analyze', '--dbname', $node->connstr('guarded') ], 'vacuumdb --analyze');
	$node->command_ok([ 'vacuumdb', '--full', '--dbname', $node->connstr('postgres') ],
		'vacuumdb --full where nothing is guarded');

	# the extended protocol
	my $dbh = connect_to($node, 'guarded');
	my $sth = $dbh->prepare('CREATE INDEX ON big (a)', { pg_prepare_now => 1 });

	ok(!eval { $sth->execute; 1 }, 'prepared by the protocol: refused');
	is($sth->state, 'MG502', 'prepared by the protocol: by the guard');
	$dbh->disconnect;
	return;
};

subtest 'overrides' => sub {
	my $offset = log_position();

	$node->safe_psql('guarded', <<'SQL');
BEGIN;
SELECT migspec_guard_override('ticket 4711');
CREATE INDEX big_a ON big (a);
COMMIT;
DROP INDEX big_a;
SQL
	ok($node->log_contains(qr/overrides migspec\.guard for a transaction: ticket 4711/, $offset), 'the log tells of the call');
	ok($node->log_contains(qr/migspec\.guard was overridden: ticket 4711.*CREATE INDEX big_a ON big/s, $offset),
		'and of the statement');
	is($node->safe_psql('guarded', q{SELECT detail->>'reason' FROM migspec.events WHERE event = 'guard_overridden'}),
		'ticket 4711', 'so does migspec.events');

	# per role; the role's settings come with its sessions
	$node->safe_psql('guarded', <<'SQL');
CREATE ROLE deploy LOGIN SUPERUSER;
ALTER ROLE deploy SET migspec.guard = off;
SQL
	$node->safe_psql('guarded', 'CREATE INDEX big_a ON big (a); DROP INDEX big_a;', extra_params => [ '-U', 'deploy' ]);
	pass('a role for which the guard is off');
	return;
};

subtest 'logical replication' => sub {
	guarded_database('subscriber');
	$node->safe_psql('guarded', 'CREATE PUBLICATION p FOR TABLE big');
	$node->safe_psql('subscriber', 'CREATE EXTENSION migspec; CREATE TABLE big (id int PRIMARY KEY, a int, b text)');
	$node->safe_psql('guarded', q{SELECT pg_create_logical_replication_slot('s', 'pgoutput')});
	my $connstr = $node->connstr . ' dbname=guarded';
	$node->safe_psql('subscriber',
		"CREATE SUBSCRIPTION s CONNECTION '$connstr' PUBLICATION p WITH (create_slot = false)");
	wait_for('the copy', sub { $node->safe_psql('subscriber', 'SELECT count(*) FROM big') == 5000 });
	$node->safe_psql('guarded', q{TRUNCATE big; INSERT INTO big VALUES (1, 1, 'x')});
	wait_for('TRUNCATE', sub { $node->safe_psql('subscriber', 'SELECT count(*) FROM big') == 1 });
	pass('rows and TRUNCATE arrive');
	$node->safe_psql('subscriber', 'DROP SUBSCRIPTION s');
	return;
};

# Nobody loses his own setting by an error, in whatever way it leaves
subtest 'lock_timeout' => sub {
	my $dbh = connect_to($node, 'guarded', PrintWarn => 0);
	my $holder = connect_to($node, 'guarded');

	$holder->do('BEGIN');
	$holder->do('LOCK TABLE big');
	$dbh->do(q{SET migspec.guard_max_wait = -1});
	$dbh->do(q{SET migspec.guard_lock_timeout = '50ms'});
	ok(!eval { $dbh->do('ALTER TABLE big ADD COLUMN c int'); 1 }, 'times out');
	like($dbh->errstr, qr/guard_lock_timeout has set lock_timeout to 50 ms/, 'tells whose timeout it was');
	is($dbh->selectrow_array('SHOW lock_timeout'), '0', 'and forgets it');

	# cancelled while it waits
	$dbh->do(q{SET statement_timeout = '100ms'});
	$dbh->do(q{SET migspec.guard_lock_timeout = '10s'});
	ok(!eval { $dbh->do('ALTER TABLE big ADD COLUMN c int'); 1 }, 'cancelled');
	$dbh->do('RESET statement_timeout');
	is($dbh->selectrow_array('SHOW lock_timeout'), '0', 'and forgets it again');

	# what begins transactions of its own, and what has a table in it only deep inside
	$dbh->do('CREATE ROLE leaver; CREATE TABLE left_table (id int); ALTER TABLE left_table OWNER TO leaver');
	$holder->do('LOCK TABLE left_table IN ACCESS SHARE MODE');
	$dbh->do(q{SET migspec.guard_lock_timeout = '50ms'; SET migspec.guard_max_bytes = -1});
	$dbh->do(q{SET statement_timeout = '20s'});
	foreach my $sql ('VACUUM FULL big', 'CLUSTER big USING big_pkey', 'REINDEX SCHEMA public',
		'REASSIGN OWNED BY leaver TO CURRENT_USER',
		'CREATE SCHEMA s CREATE TABLE r (id int REFERENCES public.big)')
	{
		ok(!eval { $dbh->do($sql); 1 }, "$sql: does not wait for ever");
		is($dbh->state, '55P03', "$sql: times out");
		is($dbh->selectrow_array('SHOW lock_timeout'), '0', "$sql: and forgets it");
	}
	$holder->do('ROLLBACK');
	$dbh->do('VACUUM FULL big');
	is($dbh->selectrow_array('SHOW lock_timeout'), '0', 'VACUUM FULL: and forgets it without an error');
	return;
};

# The server cancels an autovacuum for those who wait for it
subtest 'autovacuum' => sub {
	$node->safe_psql('guarded', <<'SQL');
CREATE TABLE vacuumed (id int, a text) WITH (autovacuum_vacuum_threshold = 0,
	autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_limit = 1, autovacuum_vacuum_cost_delay = 100);
INSERT INTO vacuumed SELECT i, repeat('x', 500) FROM generate_series(1, 2000) AS i;
DELETE FROM vacuumed WHERE id % 2 = 0;
ALTER SYSTEM SET autovacuum = on;
ALTER SYSTEM SET autovacuum_naptime = 1;
SELECT pg_reload_conf();
SQL
	wait_for('an autovacuum',
		sub
		{
			$node->safe_psql('guarded', q{SELECT count(*) FROM pg_stat_activity
				WHERE query LIKE 'autovacuum: VACUUM%vacuumed%' AND xact_start < clock_timestamp() - interval '1.5 s'}) > 0;
		});
	my ($rc, $stdout, $stderr) = $node->psql('guarded', 'ALTER TABLE vacuumed ADD COLUMN b int');
	is($stderr, '', 'is not reckoned as one that is waited for');
	is($rc, 0, 'and makes room');
	$node->safe_psql('guarded', 'ALTER SYSTEM RESET autovacuum');
	$node->reload;
	return;
};

# Nobody knows when a prepared transaction ends
subtest 'prepared transaction' => sub {
	$node->safe_psql('guarded', q{BEGIN; LOCK TABLE vacuumed IN ACCESS SHARE MODE; PREPARE TRANSACTION 'stays'; SELECT pg_sleep(1.1)});
	my ($rc, $stdout, $stderr) = $node->psql('guarded', 'ALTER TABLE vacuumed ADD COLUMN c int');
	like($stderr, qr/refuses to wait for AccessExclusiveLock on vacuumed.*a prepared transaction holds/s, 'is in the way');
	$node->safe_psql('guarded', q{ROLLBACK PREPARED 'stays'; ALTER TABLE vacuumed ADD COLUMN c int});
	return;
};

# Where the extension is not, a schema of its name is nothing special
subtest 'another schema migspec' => sub {
	guarded_database('plain');
	my ($rc, $stdout, $stderr) = $node->psql('plain', <<'SQL', on_error_stop => 1);
CREATE SCHEMA migspec;
CREATE TABLE migspec.target (relation regclass, migration_id bigint);
CREATE TABLE t (a int);
INSERT INTO migspec.target VALUES ('t', 1);
ALTER TABLE t RENAME a TO b;
DROP TABLE migspec.target;
CREATE TABLE migspec.target (a int);
INSERT INTO migspec.target VALUES (1);
ALTER TABLE t RENAME b TO c;
DROP SCHEMA migspec CASCADE;
CREATE EXTENSION migspec;
SQL
	is($rc, 0, 'DDL goes on');
	unlike($stderr, qr/ERROR/, 'without errors');
	return;
};

done_testing();
