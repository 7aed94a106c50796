# Indexes that are built at the same time: ours and those of others.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DBD::Pg ':async';
use PostgreSQL::Test::Utils;
use Test::More;

use MigspecTest;

my $node = new_node('concurrently');
my $db = connect_to($node);
my $writer = connect_to($node);
my $builder = connect_to($node);

sub is_waiting
{
	my ($pid_of, $mode) = @_;

	return $db->selectrow_array(<<"SQL", undef, $mode);
SELECT count(*) FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid)
WHERE NOT l.granted AND l.mode = ? AND $pid_of
SQL
}

$db->do('CREATE TABLE t (id integer PRIMARY KEY, v integer)');
$db->do('INSERT INTO t SELECT g, g FROM generate_series(1, 100) AS g');
$db->do('CREATE INDEX t_v ON t (v)');
$db->do(q{SELECT migspec_expand('m', migspec_change_type('t', 'v', 'bigint'))});

# Somebody's index waits for a writer, and the worker for that index
$writer->begin_work;
$writer->do('INSERT INTO t VALUES (1000, 1000)');
$builder->do('CREATE INDEX CONCURRENTLY t_own ON t (id)',
	{ pg_async => PG_ASYNC });
wait_for('the builder to wait',
	sub { is_waiting(q{a.query LIKE 'CREATE INDEX CONCURRENTLY t_own%'}, 'ShareLock') });
$db->do(q{SELECT migspec_migrate('m')});
wait_for('the worker to wait',
	sub { is_waiting(q{a.backend_type = 'migspec worker'}, 'ShareUpdateExclusiveLock') });

# so it must not have a snapshot, which the other one would wait for; the one
# who looks for deadlocks last would have to give up
sleep 1;
$writer->commit;
ok(eval { $builder->pg_result; 1 }, 'the index of somebody else is built')
  or diag($@);
wait_for('the worker', sub { phase_of($db, 'm') eq 'migrated' });
is(scalar(events_of($db, 'm', 'error')),
	0, 'and the worker has not been disturbed');
is( $db->selectrow_array(
		q{SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass AND NOT indisvalid}),
	0, 'all indexes are valid');

$_->disconnect foreach $db, $writer, $builder;
$node->stop;
done_testing();
