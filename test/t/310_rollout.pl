# Rollout plans that run alone: one goes from 1 % to 100 % under traffic, with
# the server killed on the way; another one halts when the new side turns out
# to be wrong, and steps back.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use DBD::Pg ':async';
use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my @percents = (1, 5, 10, 25, 50, 100);
# the users of 1 .. 400 that are in at these percentages
my %users = (1 => 5, 5 => 29, 10 => 55, 25 => 113, 50 => 210, 100 => 400);

my $node = PostgreSQL::Test::Cluster->new('rollout');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', <<'CONF');
migspec.naptime = 100ms
restart_after_crash = on
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION migspec');
my $db = connect_to($node);

sub plan_of
{
	my ($flag) = @_;
	return $db->selectrow_hashref('SELECT * FROM migspec.flag_plans WHERE flag = ?', undef, $flag);
}

sub plan_events
{
	my ($flag) = @_;
	return @{
		$db->selectall_arrayref(
			q{SELECT event, detail->>'step' AS step, detail->>'to_step' AS to_step, detail->>'percent' AS percent,
				(detail->>'samples')::bigint AS samples, extract(epoch FROM (detail->>'elapsed')::interval) AS elapsed,
				detail->>'verdict' AS verdict, detail->>'reason' AS reason
			FROM migspec.events WHERE event ~ '^flag_plan' AND detail->>'flag' = ? ORDER BY id},
			{ Slice => {} }, $flag)
	};
}

# Traffic: every user again and again, each time writing where the flag says,
# and what it was; a connection that breaks is made anew.
sub traffic
{
	my ($seconds) = @_;
	my $pid = fork();

	die "fork: $!" unless defined $pid;
	return $pid if $pid;
	my $until = time() + $seconds;
	srand(42);
	while (time() < $until)
	{
		eval {
			my $mine = connect_to($node);
			while (time() < $until)
			{
				my $user = 1 + int(rand(400));
				$mine->do(q{INSERT INTO request (user_id, stage, wrong)
					SELECT u, migspec_flag_stage('store', u),
						migspec_flag_reads_new('store', u) <> (migspec_flag_stage('store', u) IN ('live', 'rampdown', 'complete'))
						OR ((migspec_flag_writes('store', u))[1] = 'new') <> migspec_flag_reads_new('store', u)
					FROM (SELECT ?::text AS u) AS v}, undef, $user);
				sleep 0.001;
			}
		};
		diag("traffic: $@") if $@ && $@ !~ /connect|terminat|shutting down|starting up|server closed/;
		sleep 0.05;
	}
	require POSIX;
	POSIX::_exit(0);
}

$db->do('CREATE TABLE request (at timestamptz DEFAULT clock_timestamp(), user_id text, stage text, wrong boolean)');
$db->do('CREATE TABLE memories (id integer PRIMARY KEY, content text)');
$db->do(q{INSERT INTO memories SELECT i, 'memory ' || i FROM generate_series(1, 1000) AS i});
$db->do(q{SELECT migspec_plan('m', migspec_rename_column('memories', 'content', 'body'))});
$db->do(q{CALL migspec_run('m', 'verified')});
$db->do(q{SELECT migspec_flag_put('{"name": "store", "strategies": [{"name": "gradualRollout",
	"parameters": {"percentage": "0", "groupId": "new_memory_store"}}]}')});
$db->do(q{SELECT migspec_flag_attach('store', 'm')});
$db->do(q{CALL migspec_flag_move('store', 'shadow')});
$db->do(q{SELECT migspec_flag_advance('store')});

# A move waits for all together no longer than it may.
$db->do(q{SELECT migspec_flag_retreat('store')});
my @slow = map { connect_to($node) } 1 .. 2;
$slow[$_]->do("SELECT pg_sleep($_ + 1)", { pg_async => PG_ASYNC }) foreach 0, 1;
wait_for('two transactions', sub {
	$db->selectrow_array(q{SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'}) == 2 });
foreach my $deadline ('1500ms', '0')
{
	$db->do("SET migspec.lock_retry_deadline = '$deadline'");
	ok(!defined eval { $db->do(q{CALL migspec_flag_move('store', 'off')}); 1 }, "within $deadline a move cannot be made");
	is($db->state, 'MG401', 'and says so');
}
$db->do('RESET migspec.lock_retry_deadline');
foreach my $slow (@slow)
{
	$slow->pg_result;
	$slow->disconnect;
}
$db->do(q{CALL migspec_flag_move('store', 'shadow')});
$db->do(q{SELECT migspec_flag_advance('store')});

# A plan that nobody asks anything does not move, however long its time is over.
my $steps = join ', ', map {
	my $samples = $_ >= 25 ? 50 : 3;
	qq({"percent": $_, "min_samples": $samples})
} @percents;
my $plan = <<"JSON";
{"steps": [$steps], "min_time": "400 ms", "on_failure": "step_back", "failure_limit": 2,
 "check": "SELECT NOT coalesce(bool_or(wrong), false) FROM request"}
JSON
$db->do('SELECT migspec_flag_plan(?, ?)', undef, 'store', $plan);
sleep 1.5;
is(plan_of('store')->{step}, 1, 'a plan without traffic stays where it is');
like(plan_of('store')->{waits_for}, qr/min_samples: 3/, 'and says why');

# With traffic it goes on; the server is killed twice.
my @traffic = map { traffic(40) } 1 .. 2;
foreach my $step (2, 4)
{
	wait_for("step $step", sub { (plan_of('store')->{step} || 0) >= $step });
	$db->disconnect;
	$node->stop('immediate');
	$node->start;
	$db = connect_to($node);
	cmp_ok(plan_of('store')->{step}, '>=', $step, "step $step is still there after a crash");
}
wait_for('the end of the plan', sub { plan_of('store')->{state} eq 'done' });
is(plan_of('store')->{step}, scalar @percents, 'all steps were made');
my @events = grep { $_->{event} eq 'flag_plan_step' || $_->{event} eq 'flag_plan_done' } plan_events('store');
is(join(' ', map { $_->{percent} } @events), "@percents", 'each once, in order');
is(scalar(grep { $_->{elapsed} < 0.4 } @events), 0, 'none before its time');
is(scalar(grep { $_->{samples} < ($_->{percent} >= 25 ? 50 : 3) } @events),
	0, 'none before enough users had come');
is(scalar(grep { $_->{verdict} ne 'success' } @events), 0, 'none before its check had said yes');
is($db->selectrow_array(q{SELECT migspec_flag_stage('store', '1')}), 'live', 'user 1 is live');
is($db->selectrow_array(q{SELECT count(*) FROM request WHERE wrong OR stage NOT IN ('shadow', 'live')}),
	0, 'nobody was anywhere else');
# who has been live, stays live
is($db->selectrow_array(q{SELECT count(*) FROM (SELECT stage, lag(stage) OVER (PARTITION BY user_id ORDER BY at) AS before
	FROM request) AS r WHERE stage = 'shadow' AND before = 'live'}), 0, 'nobody went back');
foreach my $percent (grep { $_ < 100 } @percents)
{
	$db->do('SELECT migspec_flag_rollout(?, ?)', undef, 'store', $percent);
	is($db->selectrow_array(q{SELECT count(*) FROM generate_series(1, 400) AS u WHERE migspec_flag_stage('store', u) = 'live'}),
		$users{$percent}, "$percent % are $users{$percent} users");
}

# The new side turns out to be wrong at 10 %: two failed checks, and it is back
# at 5 %, halted, and stays there.
$db->do('TRUNCATE request');
$db->do(q{SELECT migspec_flag_plan('store', '{"steps": [{"percent": 1}, {"percent": 5}, {"percent": 10, "min_time": "1 h"}, {"percent": 100}],
	"min_time": "300 ms", "on_failure": "step_back", "failure_limit": 2,
	"check": "SELECT count(*) FILTER (WHERE stage = ''live'' AND user_id = ''16'') = 0 OR NULL FROM request"}')});
$db->do(q{SELECT migspec_flag_plan('store', '{"steps": [{"percent": 1}, {"percent": 5}, {"percent": 10, "min_time": "1 h",
	"check": "SELECT CASE WHEN count(*) > 20 THEN count(*) FILTER (WHERE stage = ''live'' AND user_id = ''17'') = 0 END FROM request"}, {"percent": 100}],
	"min_time": "300 ms", "on_failure": "step_back", "failure_limit": 2}')});
wait_for('the plan to halt', sub { plan_of('store')->{state} eq 'halted' });
my $halted = plan_of('store');
is($halted->{step}, 2, 'the plan has halted a step before');
like($halted->{waits_for}, qr/step 3 halted after 2 failed checks/, 'and says why');
is($db->selectrow_array(q{SELECT count(*) FROM generate_series(1, 400) AS u WHERE migspec_flag_stage('store', u) = 'live'}),
	$users{5}, 'the users of 5 % are left');
my ($event) = grep { $_->{event} eq 'flag_plan_halted' } plan_events('store');
is_deeply([ @$event{qw(step to_step percent verdict)} ], [ 3, 2, 10, 'failure' ], 'an event tells of it');
$node->restart;
$db = connect_to($node);
sleep 1;
is(plan_of('store')->{state}, 'halted', 'it stays halted');

# One plan whose check takes as long as it may does not stop the others.
$db->do('SELECT migspec_flag_put(?)', undef, qq({"name": "$_"})) foreach qw(aaa zzz);
$db->do(q{SELECT migspec_flag_plan('aaa', '{"check": "SELECT pg_sleep(1000) IS NULL", "check_timeout": "300 ms", "steps": [{"percent": 1}, {"percent": 2}]}')});
$db->do(q{SELECT migspec_flag_plan('zzz', '{"steps": [{"percent": 1}, {"percent": 2}, {"percent": 3}]}')});
wait_for('the other plan', sub { plan_of('zzz')->{state} eq 'done' });
is(plan_of('aaa')->{step}, 1, 'the plan whose check hangs holds');

# A flag that somebody is changing does not stop the others, either.
my $other = connect_to($node);
$db->do(q{SELECT migspec_flag_plan('zzz', '{"steps": [{"percent": 4, "min_time": "300 ms"}, {"percent": 5}]}')});
$other->begin_work;
$other->do(q{SELECT migspec_flag_rollout('aaa', 1)});
sleep 1;
is(plan_of('zzz')->{step}, 1, 'while somebody changes flags, no plan moves');
$other->commit;
wait_for('the plan to go on', sub { plan_of('zzz')->{state} eq 'done' });
pass('and goes on afterwards');

# A flag that is gone leaves its place to others, in the table of those that are
# counted: there are 1024.
foreach my $turn (1, 2)
{
	$db->do(q{DO $$ BEGIN FOR i IN 1 .. 700 LOOP
		PERFORM migspec_flag_put(jsonb_build_object('name', 'many' || i)); END LOOP; END $$});
	$db->do(q{UPDATE migspec.flag SET sample = stamp WHERE name ~ '^many'});
	$db->do(q{SELECT migspec_flag_enabled('many' || i, '1') FROM generate_series(1, 700) AS i});
	wait_for('the counts', sub {
		$db->selectrow_array(q{SELECT coalesce(sum(evaluations_on), 0) FROM migspec.flag_counts WHERE flag ~ '^many'}) == 700; });
	pass("700 flags are counted, turn $turn");
	$db->do(q{SELECT migspec_flag_drop('many' || i) FROM generate_series(1, 700) AS i});
	sleep 1;
}

# A dump is being restored: nothing moves before the numbers of events are there.
$db->do('CREATE DATABASE restored');
my $restored = connect_to($node, 'restored');
$restored->do('CREATE EXTENSION migspec');
$restored->do(q{INSERT INTO migspec.flag (name, document, stamp, owner) VALUES ('f', '{"name": "f"}', 1, current_user::regrole)});
$restored->do(q{INSERT INTO migspec.flag_plan (flag, plan, author_search_path, step, stamp)
	VALUES ('f', '{"steps": [{"percent": 1}, {"percent": 2}]}', '', 1, 1)});
sleep 1;
is($restored->selectrow_array('SELECT count(*) FROM migspec.event'), 0, 'no plan moves during a restore');
$restored->do(q{SELECT setval('migspec.event_id_seq', 1000)});
wait_for('the plan to go on', sub { $restored->selectrow_array(q{SELECT state FROM migspec.flag_plans}) eq 'done' });
is($restored->selectrow_array('SELECT min(id) FROM migspec.event'), 1001, 'it goes on afterwards');
$restored->disconnect;

# Promotion: the standby goes on where the primary was.
$node->backup('now');
my $standby = PostgreSQL::Test::Cluster->new('rollout_standby');
$standby->init_from_backup($node, 'now', has_streaming => 1);
$standby->start;
$db->do(q{SELECT migspec_flag_plan('zzz', '{"steps": [{"percent": 6, "min_time": "2 s"}, {"percent": 7}]}')});
$node->wait_for_catchup($standby);
$_->disconnect foreach $db, $other;
$node->stop('immediate');
$standby->promote;
$db = connect_to($standby);
wait_for('the plan on the new primary', sub { plan_of('zzz')->{state} eq 'done' });
pass('a plan goes on after a failover');

kill 'TERM', @traffic;
waitpid $_, 0 foreach @traffic;

# Without workers a plan does not go on, so it says so.
$db->disconnect;
$standby->append_conf('postgresql.conf', "shared_preload_libraries = ''");
$standby->restart;
$db = connect_to($standby);
ok(!defined eval { $db->do(q{SELECT migspec_flag_plan_resume('store')}); 1 } && $db->state eq 'MG402',
	'without workers no plan is resumed');
$db->disconnect;
$standby->stop;
done_testing();
