# An oracle: writers that know what must be in the table, while migrations go
# forth and back under them, workers are killed and the server crashes.
#
# Each writer is a process of its own, and owns some of the keys: what it has
# committed is exactly what must be there, in every phase.  It names old
# columns, new ones, or both.  Other keys are for all of them, where only old
# and new must agree.  A further process kills; this one drives migrations.
#
# Old and new applications are deployed as one should do it: this process
# announces a change of the table's shape before it makes it, and waits until
# no writer uses anymore what is going to disappear.
#
# MIGSPEC_ORACLE_SECONDS says how long it takes, MIGSPEC_ORACLE_SEED repeats
# the choices of an earlier run, MIGSPEC_ORACLE_WRITERS says how many there
# are.  To narrow down a failure, MIGSPEC_ORACLE_OPERATIONS names the operations
# to choose from (rename type flag add key), MIGSPEC_ORACLE_MOST how many of them a
# migration may have, and MIGSPEC_ORACLE_CHAOS=0 lets nothing crash.
#
# With every other seed, or if MIGSPEC_ORACLE_PARTITIONS is 1, the table is
# partitioned, and one more process lets partitions come and go, with rows that
# it knows.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use JSON::PP;
use List::Util qw(max min shuffle);
use MigspecTest;
use OracleTools;
use OracleWriter;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $seconds = setting('MIGSPEC_ORACLE_SECONDS', 60);
my $seed = setting('MIGSPEC_ORACLE_SEED', int(rand(1 << 31)));
my $writers = setting('MIGSPEC_ORACLE_WRITERS', 6);

my $fillers = 5000;
my %operations = map { $_ => 1 }
  split ' ', setting('MIGSPEC_ORACLE_OPERATIONS', 'rename type flag add key');
my $most = setting('MIGSPEC_ORACLE_MOST', 4);
my $partitioned = setting('MIGSPEC_ORACLE_PARTITIONS', $seed % 2);

# the partition key, which cannot be migrated
delete $operations{key} if $partitioned;

note "MIGSPEC_ORACLE_SEED=$seed";
diag "MIGSPEC_ORACLE_SEED=$seed";

my $node = new_node(
	'oracle',
	'synchronous_commit' => 'on',
	'restart_after_crash' => 'on',
	'max_connections' => 40,
	'autovacuum_naptime' => "'2s'",

	# DROP TABLE of a partition locks its parent, waits for an index that is being
	# built, and that for writers who wait for the parent.  The one with a
	# lock_timeout has to give up, as in practice, and not a writer.
	'deadlock_timeout' => "'1s'",
	'migspec.naptime' => 50,
	'migspec.batch_rows' => 100,
	'migspec.window_pages' => 5);

set_directory(PostgreSQL::Test::Utils::tempdir);
set_server($node);

#
# What goes wrong
#

sub pids_of
{
	my ($dbh, $type) = @_;

	return @{ $dbh->selectcol_arrayref(
			'SELECT pid FROM pg_stat_activity WHERE backend_type = ?', undef, $type) };
}

# Wait for a worker, for it lives shortly as a rule.
sub some_pid
{
	my ($dbh, @types) = @_;

	for (1 .. 300)
	{
		my @pids = map { pids_of($dbh, $_) } @types;

		return pick(@pids) if @pids;
		last if get_file('quiet');
		sleep 0.005;
	}
	return;
}

sub crash
{
	my ($how, $code) = @_;
	my $start = time();

	append_file('chaos', sprintf('%.3f %s', $start, $how));
	$code->();
	reconnect('chaos')->disconnect;
	append_file('crashes', sprintf('%.3f %.3f %s', $start, time(), $how));
	return;
}

sub immediate_stop
{
	my @pg_ctl = ($node->installed_command('pg_ctl'), '-s', '-D', $node->data_dir);

	system(@pg_ctl, '-m', 'immediate', 'stop');
	system(@pg_ctl, '-w', '-l', $node->logfile, '-o', '--cluster-name=oracle', 'start') == 0
	  or append_file('complaints', 'the server did not start again');
	return;
}

sub chaos_once
{
	my ($dbh) = @_;
	my $what = rand();
	my @worker = ('migspec worker');

	@worker = ('migspec worker', 'migspec scheduler', 'migspec launcher') if chance(0.3);
	if ($what < 0.25)
	{
		crash('immediate', \&immediate_stop);
		return;
	}
	my $pid = some_pid($dbh, @worker) or return;

	if ($what < 0.5)
	{
		crash('kill -9', sub {
			my $noticed = time() + 5;

			kill('KILL', $pid) or return;
			sleep 0.01 while $dbh->ping && time() < $noticed;
		});
		return;
	}
	my $function = $what < 0.75 ? 'pg_cancel_backend' : 'pg_terminate_backend';

	append_file('chaos', sprintf('%.3f %s', time(), $function));
	$dbh->do("SELECT $function(?)", undef, $pid);
	return;
}

sub chaos
{
	my $dbh;

	srand($seed * 100 + 99);
	until (get_file('quiet'))
	{
		my $next = time() + 1.5 + rand 3;

		sleep 0.1 until time() > $next || get_file('quiet');
		last if get_file('quiet');
		$dbh = reconnect('chaos') unless $dbh && $dbh->ping;
		eval { chaos_once($dbh) };
	}
	return;
}

#
# Partitions that come and go
#

my @partitions;    # of number, rows, sum of n
my $last_partition = 0;

sub create_partition
{
	my ($dbh) = @_;
	my $number = ++$last_partition;
	my ($name, $from) = ("p_$number", 2000000 + 100 * $number);
	my $bounds = sprintf('FOR VALUES FROM (%d) TO (%d)', $from, $from + 100);
	my $rows = int rand 20;
	my $created = eval {
		$dbh->begin_work;
		if (chance(0.3))
		{
			$dbh->do("CREATE TABLE $name (LIKE t INCLUDING ALL)");
			$dbh->do("ALTER TABLE t ATTACH PARTITION $name $bounds");
		}
		else
		{
			$dbh->do("CREATE TABLE $name PARTITION OF t $bounds");
		}
		$dbh->do("INSERT INTO t (id, n) SELECT $from + i, i FROM generate_series(1, $rows) AS i");
		$dbh->commit;
		1;
	};
	my $error = $@;
	my $state = $dbh->state // '';

	# if the connection was lost, it may be there all the same
	$dbh->ping > 0 ? eval { $dbh->rollback } : ($dbh = reconnect('partitions')) unless $created;
	push @partitions, [ $number, $rows, $rows * ($rows + 1) / 2 ]
	  if $created || $dbh->selectrow_array('SELECT to_regclass(?) IS NOT NULL', undef, $name);
	die "$state $error" unless $created;
	return;
}

sub drop_partition
{
	my ($dbh) = @_;
	my $i = int rand @partitions;
	my ($number, @known) = @{ $partitions[$i] };

	# gone, detached already, or still as it was: an earlier attempt may have got so far
	my ($attached) = $dbh->selectrow_array(
		'SELECT relispartition FROM pg_class WHERE oid = to_regclass(?)', undef, "p_$number");

	if (defined $attached)
	{
		my $id = sprintf('id BETWEEN %d AND %d', 2000000 + 100 * $number, 2000099 + 100 * $number);
		my @found = $dbh->selectrow_array("SELECT count(*), coalesce(sum(n), 0) FROM t WHERE $id");

		@known = (0, 0) if !$attached;
		append_file('complaints', "partition p_$number has (@found) instead of (@known)")
		  if "@found" ne "@known";
		$dbh->do("UPDATE t SET n = n WHERE $id");
		$dbh->do("ALTER TABLE t DETACH PARTITION p_$number") if $attached && chance(0.4);
		$dbh->do("DROP TABLE p_$number");
	}
	splice @partitions, $i, 1;
	return;
}

# One that was detached, and is not dropped because the server has crashed,
# is dropped by its number.
sub partitioner
{
	my $dbh;

	srand($seed * 100 + 98);
	until (get_file('quiet'))
	{
		sleep rand 0.3;
		$dbh = reconnect('partitions') unless $dbh && $dbh->ping > 0;
		eval {
			# an index may be being built, for which we would wait, and writers for us
			$dbh->do(q(SET lock_timeout = '200ms'));
			@partitions < 2 || @partitions < 6 && chance(0.5) ? create_partition($dbh) : drop_partition($dbh);
			1;
		} and next;
		my $error = $@;
		my $state = $error =~ /^(\w{5}) / ? $1 : $dbh->state // '';

		append_file('complaints', "partitions: $state $error")
		  unless $state =~ /^(55P03|40P01)$/ || is_lost($dbh, $error);
	}
	for (1 .. 100)
	{
		last unless @partitions;
		$dbh = reconnect('partitions') unless $dbh && $dbh->ping > 0;
		eval { drop_partition($dbh) };
	}
	return;
}

#
# The driver
#

my ($dbh, %pids, @complaints);
my %stats = map { $_ => 0 } qw(cycles finished rolled_back);
my %shape = (v => 1, old => 'content', new => undef, shout => '', synced => 0, cycle => '', stop => 0);

# What the table is like between two migrations
my %table = (content => 'content', n => 'integer', flag => 'boolean', id => 'integer', shout => 0);

sub fork_child
{
	my ($name, $code) = @_;
	my $pid = fork;

	die "fork: $!" unless defined $pid;
	if (!$pid)
	{
		# not the tests' own END blocks, which would stop the server
		eval { $code->(); 1 } or append_file('complaints', "$name died: $@");
		POSIX::_exit(0);
	}
	$pids{$name} = $pid;
	return;
}

sub complain
{
	push @complaints, $_[0];
	diag $_[0];
	return;
}

sub wait_until
{
	my ($what, $condition) = @_;
	my $deadline = time() + patience();

	until ($condition->())
	{
		die "timed out waiting for $what\n" if time() > $deadline;
		die "a writer has given up\n"
		  if !get_file('quiet') && grep { /died/ } lines_of('complaints');
		sleep 0.005;
	}
	return;
}

# Tell the writers what the table is like, and wait until all know.
sub announce
{
	my (%change) = @_;

	%shape = (%shape, %change, v => $shape{v} + 1);
	put_file('shape', JSON::PP->new->canonical->encode(\%shape));
	wait_until("the writers to know shape $shape{v}",
		sub { !grep { (get_file("ack.$_") // 0) < $shape{v} } 0 .. $writers - 1 });
	return;
}

# The same, unless they know already
sub announce_once
{
	my (%change) = @_;

	announce(%change) if grep { !same($shape{$_}, $change{$_}) } keys %change;
	return;
}

# Run something; false if the connection was lost, or a worker was killed, or
# with an error that is allowed.
sub try
{
	my ($code, $allowed) = @_;
	my $error;

	eval { $code->(); 1 } and return 1;
	$error = $@;
	if (is_lost($dbh, $error))
	{
		$dbh = reconnect('driver');
		return 0;
	}
	my $state = $dbh->state // '';

	eval { $dbh->do('ROLLBACK') } if !$dbh->{AutoCommit} || $dbh->ping > 1;

	# somebody has killed the verification's worker, or cancelled it
	return 0 if $state eq 'MG410' && $error =~ /ended too early|57014/;
	return 0 if $allowed && $state eq $allowed;
	die $error;
}

sub query
{
	my (@query) = @_;
	my @result;

	for (1 .. 20)
	{
		return wantarray ? @result : $result[0]
		  if try(sub { @result = $dbh->selectrow_array($query[0], undef, @query[ 1 .. $#query ]) });
	}
	die "the connection is lost again and again\n";
}

sub phase
{
	my ($name) = @_;

	return scalar query('SELECT phase FROM migspec.migrations WHERE name = ?', $name) // 'none';
}

# A definition, read while the server may crash
sub stable_definition
{
	my $text;

	for (1 .. 20)
	{
		$text = eval { definition_of($node, 'postgres', 't') };
		return $text if defined $text;
		reconnect('driver')->disconnect;
	}
	die "no dump: $@";
}

# The operations of the next migration, and what the table is like after it
sub choose_operations
{
	my %after = %table;
	my @operations;
	my @kinds = shuffle(grep { $_ ne 'add' || !$table{shout} } sort keys %operations);
	my %chosen = map { $_ => 1 } @kinds[ 0 .. min(pick(1, 1, 1, 2, 2, 3, 4), $most, scalar @kinds) - 1 ];

	if ($chosen{rename})
	{
		$after{content} = $table{content} eq 'content' ? 'content_text' : 'content';
		push @operations,
		  { rename_column => { table => 't', from => $table{content}, to => $after{content} } };
	}
	if ($chosen{type})
	{
		$after{n} = $table{n} eq 'integer' ? 'bigint' : 'integer';
		push @operations, { alter_column => { table => 't', column => 'n', type => $after{n} } };
	}
	if ($chosen{key})
	{
		$after{id} = $table{id} eq 'integer' ? 'bigint' : 'integer';
		push @operations, { alter_column => { table => 't', column => 'id', type => $after{id} } };
	}
	if ($chosen{flag})
	{
		$after{flag} = $table{flag} eq 'boolean' ? 'text' : 'boolean';
		push @operations,
		  { alter_column => { table => 't', column => 'flag', type => $after{flag} } };
	}
	if ($chosen{add})
	{
		$after{shout} = 1;
		push @operations,
		  {
			add_column => {
				table => 't',
				up => "upper($table{content})",
				column => { name => 'shout', type => 'text', nullable => JSON::PP::true }
			}
		  };
	}
	return (\%after, shuffle(@operations));
}

# While the rows that nobody touched have been reached, old and new agree,
# under whatever names.
sub check_agreement
{
	my ($name) = @_;
	my $rows;

	try(
		sub {
			$rows = $dbh->selectall_arrayref(
				'SELECT kind, old_column, new_column FROM migspec.operation o'
				  . ' JOIN migspec.migration m ON m.id = o.migration_id'
				  . ' WHERE m.name = ? AND old_column IS NOT NULL',
				undef, $name);
		}) or return;
	foreach my $operation (@$rows)
	{
		my ($old, $new) = map { $dbh->quote_identifier($_) } @$operation[ 1, 2 ];
		my $count = 0;

		# the worker may be finishing, and have dropped the column
		try(
			sub {
				($count) = $dbh->selectrow_array('SELECT count(*) FROM t'
					  . " WHERE $old\::text IS DISTINCT FROM $new\::text");
			},
			'42703');
		complain("$count rows differ in $operation->[0] of $old and $new, phase " . phase($name))
		  if $count;
	}
	my $content = $shape{old} // $shape{new};

	return if !defined $content;
	my $bad = query("SELECT count(*) FROM t WHERE id BETWEEN 1000001 AND 1999999"
		  . " AND ($content IS DISTINCT FROM 'filler ' || id OR n <> id OR writes <> 0)");

	complain("$bad rows that nobody wrote have changed") if $bad;
	return;
}

# The worker does its part; we steer it a little.
sub await_worker
{
	my ($name, $until) = @_;
	my $deadline = time() + patience();
	my $slow = 1;

	while ((my $phase = phase($name)) ne $until)
	{
		my ($failures, $state, $error, $step) = query(
			'SELECT failures, last_sqlstate, last_error, last_step'
			  . ' FROM migspec.migration WHERE name = ?', $name);

		die "$name does not get from $phase to $until: "
		  . join(' ', map { $_ // '' } $failures, $state, $error, $step) . "\n"
		  if time() > $deadline;
		if ($failures)
		{
			complain("worker of $name: $state $error ($step)")
			  unless $state =~ /^(57014|57P01|55P03|40P01|MG401)$/;
			try(sub { $dbh->do('SELECT migspec_resume(?)', undef, $name) }, 'MG303');
		}
		if ($phase eq 'migrating' && chance(0.05))
		{
			try(
				sub {
					$dbh->do('SELECT migspec_pause(?)', undef, $name);
					sleep rand 0.3;
					$dbh->do('SELECT migspec_resume(?)', undef, $name);
				},
				'MG303');

			# a crash may have come between the two
			try(sub { $dbh->do('SELECT migspec_resume(?)', undef, $name) }, 'MG303');
		}
		if ($phase eq 'migrating' && $slow && chance(0.05))
		{
			try(sub { $dbh->do('SELECT migspec_tune(?, 0, ?)', undef, $name,
						pick('window', 'one_pass')) }, 'MG303');
			$slow = 0;
		}
		sleep 0.02;
	}
	return;
}

# One move, with what has to be announced before and after it.  Crashes may
# come at any moment, so what was done is read from the catalog.
sub advance
{
	my ($name, $phase, $after, $worker_finishes) = @_;

	if ($phase eq 'expanded')
	{
		my $limit = pick(undef, undef, 3000, 10000);

		try(sub { $dbh->do('SELECT migspec_migrate(?, ?, ?)', undef, $name, $limit,
					pick(undef, 'window', 'one_pass')) });
	}
	elsif ($phase eq 'migrating')
	{
		await_worker($name, 'migrated');
		announce(synced => 1);
		check_agreement($name);
	}
	elsif ($phase eq 'migrated')
	{
		try(sub { verify($dbh, $name) });
	}
	elsif ($phase eq 'verified')
	{
		try(sub { $dbh->do('SELECT migspec_switch(?)', undef, $name) });
		check_agreement($name);
	}
	elsif ($phase eq 'switched')
	{
		announce_once(
			old => undef,
			new => $after->{content},
			shout => $table{shout} ? 'own' : $after->{shout} ? 'explicit' : '');
		try(sub { $dbh->do('SELECT migspec_contract(?)', undef, $name) });
		check_agreement($name);
	}
	elsif ($phase eq 'contracted')
	{
		announce_once(shout => $after->{shout} ? 'own' : '');
		if ($worker_finishes) { await_worker($name, 'finished'); }
		else { try(sub { $dbh->do('SELECT migspec_finish(?)', undef, $name) }); }
	}
	return;
}

# Back to the beginning.  Nobody may use what disappears; from contracted, no
# name of a renamed column lasts.
sub roll_back
{
	my ($name, $after) = @_;
	my $contracted = phase($name) eq 'contracted';
	my $renamed = $after->{content} ne $table{content};

	announce(
		old => $contracted && $renamed ? undef : $table{content},
		new => undef,
		shout => $table{shout} ? 'own' : '');
	until (phase($name) eq 'rolled_back')
	{
		try(sub { $dbh->do('SELECT migspec_rollback(?)', undef, $name) });
	}
	announce(old => $table{content}, cycle => '', synced => 0);
	$stats{rolled_back}++;
	return;
}

# shout was added for good: take it away again, as anybody would do it.
sub drop_shout
{
	announce(shout => '');
	while (query("SELECT count(*) FROM pg_attribute"
			  . " WHERE attrelid = 't'::regclass AND attname = 'shout'"))
	{
		try(
			sub {
				$dbh->do(q(SET lock_timeout = '100ms'));
				eval { $dbh->do('ALTER TABLE t DROP COLUMN shout') };
				die $@ if $@ && ($dbh->state // '') ne '55P03';
				$dbh->do('RESET lock_timeout');
			});
	}
	$table{shout} = 0;
	return;
}

# All partitions are alike, however old they are; known by what they were at
# one moment, for they come and go.
sub check_partitions
{
	my ($name) = @_;
	my $looks = eval {
		scalar $dbh->selectrow_array(<<'SQL')
SELECT count(DISTINCT look) FROM pg_partition_tree('t') AS p, LATERAL (
	SELECT string_agg(line, '; ' ORDER BY line COLLATE "C") FROM (
		SELECT format('%s %s %s %s', attname, atttypid, attnotnull, pg_get_expr(adbin, adrelid))
		FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid = p.relid AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT regexp_replace(pg_get_indexdef(indexrelid), 'INDEX .* USING', '')
			|| indisvalid || relispartition
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = p.relid
		UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = p.relid
	) AS lines (line)) AS l (look)
WHERE isleaf
SQL
	};

	complain("$name has left partitions that differ") if ($looks // 1) != 1;
	return;
}

# Columns that were dropped count towards the limit of 1600.
sub renew_table
{
	return if query("SELECT max(attnum) FROM pg_attribute WHERE attrelid = 't'::regclass") < 1200;
	announce(pause => 1);
	until (query("SELECT max(attnum) FROM pg_attribute WHERE attrelid = 't'::regclass") < 100)
	{
		try(
			sub {
				$dbh->begin_work;
				$dbh->do('LOCK TABLE t');
				$dbh->do('CREATE TABLE t2 (LIKE t INCLUDING ALL)' . partition_by());
				$dbh->do($_) for partitions_sql('t2', time() =~ s/\D/_/r);
				$dbh->do('INSERT INTO t2 TABLE t WHERE id < 2000000');
				$dbh->do('DROP TABLE t');
				$dbh->do('ALTER TABLE t2 RENAME TO t');
				$dbh->do('CREATE TRIGGER t_count BEFORE UPDATE ON t'
					  . ' FOR EACH ROW EXECUTE FUNCTION count_writes()');
				$dbh->commit;
			});
	}
	announce(pause => 0);
	return;
}

my @forward = qw(expanded migrating migrated verified switched contracted finished);

# One migration, from the plan to its end.
sub cycle
{
	my ($number) = @_;
	my $name = "m$number";
	my ($after, @operations) = choose_operations();
	my $document = JSON::PP->new->canonical->encode({ operations => \@operations });
	my $target = chance(0.45) ? 'finished' : pick(@forward[ 0 .. 5 ]);
	my $worker_finishes = $target eq 'finished' && chance(0.4);
	my $before = stable_definition();
	my $start = time();
	my $phase;

	note sprintf('%s to %s: %s', $name, $target, $document);
	while (phase($name) =~ /^(none|planned)$/)
	{
		try(
			sub {
				$dbh->do('SELECT * FROM migspec_plan(?, ?)', undef, $name, $document)
				  if chance(0.3);
				$dbh->do('SELECT migspec_expand(?, ?, contract_grace => ?)',
					undef, $name, $document, $worker_finishes ? '0' : '1 hour');
			},
			$partitioned ? 'MG305' : undef);
	}
	announce(
		old => $table{content},
		new => $after->{content} ne $table{content} ? $after->{content} : undef,
		shout => $after->{shout} ? $table{shout} ? 'own' : 'sync' : '',
		synced => 0,
		cycle => $name);

	while (($phase = phase($name)) ne $target)
	{
		# the worker may have been faster than we wanted
		last if $phase eq 'finished' || $target eq 'migrating' && $phase eq 'migrated';
		advance($name, $phase, $after, $worker_finishes);
	}
	sleep rand 0.5;
	if ($target ne 'finished')
	{
		roll_back($name, $after);
		my $now = stable_definition();

		if ($now ne $before)
		{
			complain("$name, rolled back from $phase, has left another definition");
			diag "before:\n$before\nafter:\n$now";
		}
	}
	else
	{
		announce(
			old => $after->{content},
			new => undef,
			shout => $after->{shout} ? 'own' : '',
			cycle => '',
			synced => 0);
		%table = %$after;
		$stats{finished}++;
		drop_shout() if $table{shout} && chance(0.6);
	}
	$stats{cycles}++;
	$stats{"to $target"}++;
	note sprintf('%s took %.1f s', $name, time() - $start);

	my @left = leftovers_now();

	complain("$name has left behind: @left") if @left;
	check_partitions($name) if $partitioned;
	renew_table();
	return;
}

sub leftovers_now
{
	my @left;

	for (1 .. 20)
	{
		last if try(sub { @left = leftovers($dbh) });
	}
	return @left;
}

sub partition_by { return $partitioned ? ' PARTITION BY RANGE (id)' : ''; }

# The partitions that stay: the writers' rows, and the others
sub partitions_sql
{
	my ($table, $suffix) = @_;

	return unless $partitioned;
	return (
		"CREATE TABLE low_$suffix PARTITION OF $table FOR VALUES FROM (MINVALUE) TO (1000000)",
		"CREATE TABLE high_$suffix PARTITION OF $table FOR VALUES FROM (1000000) TO (2000000)");
}

my ($partition_by, $partitions) = (partition_by(), join ";\n", partitions_sql('t', 0));

$node->safe_psql('postgres', <<"SQL");
CREATE FUNCTION count_writes() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
	NEW.writes := OLD.writes + 1;
	RETURN NEW;
END';
CREATE TABLE t (
	id int PRIMARY KEY,
	content text DEFAULT 'dflt',
	n int NOT NULL DEFAULT 7 CHECK (n >= 0),
	flag boolean NOT NULL DEFAULT false,
	writes int NOT NULL DEFAULT 0,
	updated_at timestamptz NOT NULL DEFAULT now()
)$partition_by;
$partitions;
COMMENT ON COLUMN t.content IS 'what it is about';
CREATE INDEX t_n ON t (n);
CREATE INDEX t_content ON t (left(content, 20), n);
CREATE TRIGGER t_count BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION count_writes();
INSERT INTO t (id, content, n)
	SELECT id, 'filler ' || id, id FROM generate_series(1000001, 1000000 + $fillers) AS id;
SQL

$dbh = reconnect('driver');
srand($seed);
put_file('shape', JSON::PP->new->canonical->encode(\%shape));
for my $number (0 .. $writers - 1)
{
	my $writer = OracleWriter->new(
		number => $number,
		seed => $seed,
		writers => $writers,
		keys => 300,
		shared_keys => 5);

	fork_child("writer $number", sub { $writer->main });
}

my $ran = eval {
	wait_until('the writers to be ready',
		sub { !grep { !defined get_file("ready.$_") } 0 .. $writers - 1 });
	fork_child('chaos', \&chaos) if setting('MIGSPEC_ORACLE_CHAOS', 1);
	fork_child('partitions', \&partitioner) if $partitioned;

	my $end = time() + $seconds;
	my $number = 0;

	cycle(++$number) until time() > $end;
	1;
};
complain("the driver gave up: $@") unless $ran;

put_file('quiet', 1);
waitpid($pids{$_}, 0) for grep { $pids{$_} } qw(chaos partitions);
$shape{stop} = 1;
eval { announce(); 1 } or complain("the writers did not stop: $@");
for my $number (0 .. $writers - 1)
{
	my $pid = $pids{"writer $number"};

	eval {
		wait_until("writer $number to end", sub { waitpid($pid, POSIX::WNOHANG()) != 0 });
		1;
	} or do { kill 'KILL', $pid; complain("writer $number hangs") };
}

#
# The outcome
#

push @complaints, lines_of('complaints');
diag $_ foreach (lines_of('complaints'))[ 0 .. min(30, scalar lines_of('complaints')) - 1 ];
is(scalar @complaints, 0, 'every acknowledged write is there, old and new agree, nobody saw an error');

my @done = map { get_file("done.$_") } 0 .. $writers - 1;
my %sum;

foreach my $count (map { defined $_ ? JSON::PP->new->decode($_) : () } @done)
{
	$sum{$_} += $count->{$_} foreach keys %$count;
}
is(scalar(grep { defined } @done), $writers, 'all writers came to their end');
note 'writers: ' . join(', ', map { "$_ $sum{$_}" } sort keys %sum);
note 'migrations: ' . join(', ', map { "$_ $stats{$_}" } sort keys %stats);
my @chaos = lines_of('chaos');
note 'interventions: ' . @chaos;
cmp_ok($sum{commits} // 0, '>', 100, 'writers have written');
cmp_ok($stats{cycles}, '>', 0, 'migrations have run');

# Connections are lost when the server crashes, and at no other time.
my @crashes = map { [split] } lines_of('crashes');
my @lost = grep {
	my ($at) = split;
	!grep { $at >= $_->[0] - 0.1 && $at <= $_->[1] + 2 } @crashes
} lines_of('lost');
is(scalar @lost, 0, 'no connection was lost without a crash') or diag join "\n", @lost;

# How long a statement took, those aside that met a crash
my @slow = grep {
	my ($start, $end) = ($_->[0], $_->[0] + $_->[1]);
	!grep { $start <= $_->[1] + 2 && $end >= $_->[0] } @crashes
} map { [split] } lines_of('slow');
my $slowest = max(0, map { $_->[1] } @slow);
diag sprintf('%d migrations (%d finished, %d rolled back), %d commits, %d crashes, slowest statement %.0f ms',
	@stats{qw(cycles finished rolled_back)}, $sum{commits} // 0, scalar @crashes, 1000 * $slowest);

my @left = leftovers($dbh = reconnect('driver'));
is("@left", '', 'nothing of ours is left');
is($dbh->selectrow_array('SELECT count(*) FROM migspec.target'), 0, 'no table is claimed');
is( $dbh->selectrow_array(
		q(SELECT string_agg(name || ' ' || phase, ' ') FROM migspec.migrations)
		  . q( WHERE phase NOT IN ('finished', 'rolled_back'))),
	undef,
	'all migrations are finished or rolled back');
my @leaves = @{ $dbh->selectcol_arrayref(q(SELECT relid::regclass FROM pg_partition_tree('t') WHERE isleaf)) };

@leaves = ('t') unless @leaves;
ok(eval { amcheck_ok($dbh, $_) for @leaves; 1 }, 'indexes and heap are right') or diag $@;
$dbh->disconnect;
$node->stop;

done_testing();
