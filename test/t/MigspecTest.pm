# What the TAP tests share: servers with the extension, connections, moving a
# migration to a phase, and looking at what it has left behind.

package MigspecTest;

use strict;
use warnings;

use DBI;
use Exporter 'import';
use Time::HiRes qw(sleep time);

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  new_node connect_to phase_of next_call drive_to verify wait_for
  definition_of leftovers amcheck_ok events_of setting
);

# The phases in their order, each with the call that leads there.
my @phases = (
	[ 'planned', undef ],
	[ 'expanded', 'migspec_expand' ],
	[ 'migrating', 'migspec_migrate' ],
	[ 'migrated', undef ],
	[ 'verified', 'migspec_verify' ],
	[ 'switched', 'migspec_switch' ],
	[ 'contracted', 'migspec_contract' ],
	[ 'finished', 'migspec_finish' ],
);
my %rank = map { $phases[$_][0] => $_ } 0 .. $#phases;

my $patience = $PostgreSQL::Test::Utils::timeout_default || 120;

# A number that may be set from outside.
sub setting
{
	my ($name, $default) = @_;

	return $ENV{$name} if defined $ENV{$name} && $ENV{$name} ne '';
	return $default;
}

# A running server whose database postgres has the extension.
sub new_node
{
	my ($name, %conf) = @_;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init;
	$node->append_conf('postgresql.conf', "$_ = $conf{$_}")
	  foreach sort keys %conf;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION migspec');
	return $node;
}

# A connection that dies of errors.
sub connect_to
{
	my ($node, $dbname, %options) = @_;
	my $name = delete $options{application_name} || 'test';

	return DBI->connect(
		sprintf('dbi:Pg:host=%s;port=%s;dbname=%s;application_name=\'%s\'',
			$node->host, $node->port, $dbname || 'postgres', $name),
		'', '',
		{
			RaiseError => 1,
			PrintError => 0,
			PrintWarn => 0,
			AutoCommit => 1,
			AutoInactiveDestroy => 1,
			%options
		});
}

sub phase_of
{
	my ($dbh, $migration) = @_;

	return $dbh->selectrow_array(
		'SELECT phase FROM migspec.migrations WHERE name = ?',
		undef, $migration);
}

# The call that leads on from a phase, undef if a worker does it.
sub next_call
{
	my ($phase) = @_;

	return $phases[ $rank{$phase} + 1 ][1];
}

# Wait until a condition holds, or die.
sub wait_for
{
	my ($what, $condition, $timeout) = @_;
	my $deadline = time() + ($timeout || $patience);

	until ($condition->())
	{
		die "timed out waiting for $what" if time() > $deadline;
		sleep 0.02;
	}
	return;
}

# migspec_verify(), whose checks must all be ok.
sub verify
{
	my ($dbh, $migration) = @_;
	my $checks = $dbh->selectall_arrayref(
		'SELECT "check", ok, detail FROM migspec_verify(?)',
		undef, $migration);
	my @failed = grep { !$_->[1] } @$checks;

	die "verification failed: " . join('; ', map { "$_->[0]: $_->[2]" } @failed)
	  if @failed || !@$checks;
	return;
}

# Move a migration on to a phase.  In phase migrating it stops paused, so that
# it stays there.
sub drive_to
{
	my ($dbh, $migration, $to) = @_;

	while ((my $phase = phase_of($dbh, $migration)) ne $to)
	{
		my $call = next_call($phase);

		die "migration is in phase $phase" if $phase eq 'rolled_back';
		if ($call && $call eq 'migspec_verify')
		{
			verify($dbh, $migration);
		}
		elsif ($call)
		{
			my $pause = $to eq 'migrating' && $call eq 'migspec_migrate';

			$dbh->begin_work if $pause;
			$dbh->do("SELECT $call(?)", undef, $migration);
			$dbh->do('SELECT migspec_pause(?)', undef, $migration) if $pause;
			$dbh->commit if $pause;
		}
		else
		{
			$dbh->do('SELECT migspec_resume(?)', undef, $migration)
			  if $dbh->selectrow_array(
				'SELECT paused FROM migspec.migration WHERE name = ?',
				undef, $migration);
			$dbh->do("SELECT migspec_wait(?, 'migrated', ?)",
				undef, $migration, "$patience s");
		}
	}
	return;
}

# The definition of tables, as text that can be compared.
sub definition_of
{
	my ($node, $dbname, @tables) = @_;
	my ($stdout, $stderr);

	$node->run_log(
		[
			'pg_dump', '--schema-only', '--dbname', $node->connstr($dbname),
			map { ('--table', $_) } @tables
		],
		'>', \$stdout, '2>', \$stderr)
	  or die "pg_dump failed: $stderr";

	# a random key of its own in each dump
	$stdout =~ s/^\\(?:un)?restrict .*\n//mg;
	return $stdout;
}

# Everything of ours that is left outside of our schema, and in it what should
# not outlive a migration.
sub leftovers
{
	my ($dbh) = @_;
	my $rows = $dbh->selectcol_arrayref(<<'SQL');
WITH object (class, id, name, namespace) AS (
	SELECT 'pg_class'::regclass, oid, relname, relnamespace FROM pg_class
	UNION ALL
	SELECT 'pg_class'::regclass, attrelid, attname, relnamespace
		FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE NOT attisdropped
	UNION ALL
	SELECT 'pg_trigger'::regclass, t.oid, tgname, relnamespace
		FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
	UNION ALL
	SELECT 'pg_constraint'::regclass, oid, conname, connamespace FROM pg_constraint
	UNION ALL
	SELECT 'pg_proc'::regclass, oid, proname, pronamespace FROM pg_proc
	UNION ALL
	SELECT 'pg_type'::regclass, oid, typname, typnamespace FROM pg_type
	UNION ALL
	SELECT 'pg_statistic_ext'::regclass, oid, stxname, stxnamespace FROM pg_statistic_ext
	UNION ALL
	SELECT 'pg_policy'::regclass, p.oid, polname, relnamespace
		FROM pg_policy p JOIN pg_class c ON c.oid = polrelid
)
SELECT class || ' ' || n.nspname || '.' || name
FROM object o JOIN pg_namespace n ON n.oid = o.namespace
WHERE NOT EXISTS (SELECT FROM pg_depend
	WHERE classid = o.class AND objid = o.id AND deptype = 'e')
	AND (name LIKE '%migspec%' AND nspname <> 'migspec'
		OR name ~ '^(up|down)_' AND nspname = 'migspec')
ORDER BY 1
SQL
	return @$rows;
}

# Are the indexes of a table what its heap says?  Dies if not.
sub amcheck_ok
{
	my ($dbh, $table) = @_;

	$dbh->do('CREATE EXTENSION IF NOT EXISTS amcheck');
	$dbh->do(<<'SQL', undef, $table);
SELECT bt_index_check(indexrelid, true)
FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_am a ON a.oid = relam
WHERE indrelid = ?::regclass AND amname = 'btree'
SQL
	my $bad = $dbh->selectall_arrayref(
		'SELECT * FROM verify_heapam(?::regclass)', undef, $table);
	die "verify_heapam: @{$bad->[0]}" if @$bad;
	return 1;
}

# The details of all events of one kind.
sub events_of
{
	my ($dbh, $migration, $event) = @_;

	return @{
		$dbh->selectall_arrayref(
			'SELECT at, detail::text FROM migspec.events'
			  . ' WHERE migration = ? AND event = ? ORDER BY at',
			{ Slice => {} }, $migration, $event)
	};
}

1;
