# What the tests of the DDL analysis share: worlds to try statements in, what
# migspec_ddl_effects() predicts, what the server really does, and how the two
# are compared.
#
# A server tells what it does by messages of level DEBUG1 (rewriting, verifying,
# building, validating), by pg_locks, by new file nodes, and by its counts of
# scans.  Statements are run in a transaction that is rolled back.

package DdlTools;

use strict;
use warnings;

use Exporter 'import';
use JSON::PP ();

our @EXPORT = qw(
  read_cases read_text connect_ddl build_world predict measure compare
  compare_recorded relations raise_lock read_notices clear_notices keep_notices
);

# Weakest first; what is not named, or is the first, is not told.
my @modes = qw(AccessShareLock RowShareLock RowExclusiveLock
  ShareUpdateExclusiveLock ShareLock ShareRowExclusiveLock ExclusiveLock
  AccessExclusiveLock);
my %strength = map { $modes[$_] => $_ } 0 .. $#modes;

my @work = qw(rewrite scan index_build fk_validation);

# Relations that statements are about: tables, partitioned and foreign ones,
# views and materialized views.  Sequences and indexes are compared only where
# the prediction names them.
my $is_table = qr/^[rpfvm]$/;

# Messages of the server while a statement runs
my @notices;

# One JSON object per line
sub read_cases
{
	my ($file) = @_;

	open my $fh, '<', $file or die "$file: $!";
	my @cases = map { JSON::PP::decode_json($_) } grep { /\S/ } <$fh>;
	close $fh;
	return @cases;
}

sub read_text
{
	my ($file) = @_;

	open my $fh, '<', $file or die "$file: $!";
	local $/;
	my $text = <$fh>;
	close $fh;
	return $text;
}

# A connection that has the schema m first, and whose messages are kept.
sub connect_ddl
{
	my ($node) = @_;
	my $dbh = MigspecTest::connect_to($node, 'postgres', PrintWarn => 1);

	keep_notices();
	$dbh->do('SET search_path = m, public');
	return $dbh;
}

# Keep what connections with PrintWarn say, instead of printing it.
sub keep_notices
{
	## no critic (RequireLocalizedPunctuationVars)
	$SIG{__WARN__} = sub {
		my ($message) = @_;

		if ($message =~ /^(?:DEBUG|LOG|INFO|NOTICE|WARNING):/)
		{
			push @notices, $message;
		}
		else
		{
			print STDERR $message;
		}
	};
	return;
}

# The schema m anew: the scripts run in it, each in a transaction.  Returns the
# error, or undef.
sub build_world
{
	my ($dbh, @scripts) = @_;

	$dbh->do('RESET ALL');
	$dbh->do(q(SET client_min_messages = error; SET lc_messages = 'C';
		SET search_path = m, public));
	foreach my $script ('DROP SCHEMA IF EXISTS m CASCADE; CREATE SCHEMA m', @scripts)
	{
		next if !defined $script || $script !~ /\S/;
		eval { $dbh->do($script); 1 } or return $dbh->errstr;
	}
	return;
}

# oid -> { name (as regclass prints it), relname, kind, node }
sub relations
{
	my ($dbh) = @_;

	return $dbh->selectall_hashref(<<'SQL', 'oid');
SELECT c.oid, c.oid::regclass::text AS name, relname, relkind AS kind,
	CASE WHEN relkind IN ('r', 'm', 'i', 'S', 't') THEN relfilenode ELSE 0 END AS node,
	coalesce(pg_stat_get_xact_numscans(c.oid), 0) AS scans
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'migspec')
SQL
}

# Our own locks: oid -> mode, the strongest
sub own_locks
{
	my ($dbh) = @_;
	my %locks;

	foreach my $row (
		@{
			$dbh->selectall_arrayref(<<'SQL')
SELECT relation, mode FROM pg_locks
WHERE locktype = 'relation' AND pid = pg_backend_pid() AND granted
	AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
SQL
		})
	{
		raise_lock(\%locks, @$row);
	}
	return \%locks;
}

# Note a lock (oid -> mode), unless a stronger one is known.
sub raise_lock
{
	my ($locks, $oid, $mode) = @_;

	$locks->{$oid} = $mode
	  if !$locks->{$oid} || $strength{ $locks->{$oid} } < $strength{$mode};
	return;
}

sub clear_notices
{
	@notices = ();
	return;
}

# What is predicted: the rows of migspec_ddl_effects(), by statement, and the
# statements that would fail (number -> reason).
sub predict
{
	my ($dbh, $sql) = @_;
	my $rows = $dbh->selectall_arrayref('SELECT * FROM migspec_ddl_effects(?)',
		{ Slice => {} }, $sql);
	my $failures = $dbh->selectall_arrayref(
		q(SELECT statement, rule || ': ' || why FROM migspec_check(?) WHERE severity = 'error'),
		undef, $sql);

	return { rows => $rows, fails => { map { $_->[0] => $_->[1] } @$failures } };
}

# Foreign keys that need no validation
sub validated_keys
{
	my ($dbh) = @_;

	return $dbh->selectcol_arrayref(
		q(SELECT oid FROM pg_constraint WHERE contype = 'f' AND convalidated));
}

# What the messages of one statement say, added to what it did.  Names in them
# lack the schema; $after and $before tell which relation it is.  The names
# are kept as well, as they are.  $validated are foreign keys that were valid.
sub read_notices
{
	my ($dbh, $result, $effects, $before, $after, $validated) = @_;
	my %oid;

	foreach my $set ($before, $after)
	{
		$oid{ $set->{$_}{relname} } = $_ foreach keys %$set;
	}
	my $note = sub {
		my ($name, $what) = @_;

		$effects->{ $oid{$name} }{$what} = 1 if $oid{$name};
	};

	foreach my $notice (@notices)
	{
		$note->($1, 'rewrite') if $notice =~ /^DEBUG: +rewriting table "(.*?)"/;
		if ($notice =~ /^DEBUG: +verifying table "(.*?)"/)
		{
			$note->($1, 'scan');
			push @{ $result->{scans} }, $1;
		}
		if ($notice =~ /^DEBUG: +building index "(.*?)" on table "(.*?)"/)
		{
			$note->($2, 'index_build');
			push @{ $result->{index_builds} }, $1 unless $1 =~ /^pg_/;
		}
		next unless $notice =~ /^DEBUG: +validating foreign key constraint "(.*?)"/;

		# Constraints of partitions may have the same name: those were looked at
		# whose rows were read.
		my $constraint = $1;
		my @tables = @{
			$dbh->selectcol_arrayref(<<'SQL', undef, $constraint, $validated || []) };
SELECT DISTINCT conrelid FROM pg_constraint JOIN pg_class c ON c.oid = conrelid
WHERE contype = 'f' AND conname = ? AND convalidated AND relkind <> 'p'
	AND pg_constraint.oid <> ALL (?)
SQL

		push @{ $result->{fk_validations} }, $constraint;
		my @read = grep { $after->{$_}{scans} > ($before->{$_} ? $before->{$_}{scans} : 0) } @tables;

		$effects->{$_}{fk_validation} = 1 foreach @tables > 1 && @read ? @read : @tables;
	}
	return;
}

# Run statements for real and undo them.  Returns what they did to relations
# that existed before: effects, by oid; the relations as they were before each
# statement; the error, if there was one, with the number of its statement.
sub measure
{
	my ($dbh, @statements) = @_;
	my %result = (effects => {}, relations => [], map { $_ => [] } qw(scans index_builds fk_validations));
	my $number = 0;

	$dbh->do('BEGIN');
	my $first = relations($dbh);

	$result{first} = $first;
	foreach my $sql (@statements)
	{
		my $before = $number++ ? relations($dbh) : $first;

		my $validated = validated_keys($dbh);

		push @{ $result{relations} }, $before;
		@notices = ();
		$dbh->do('SET LOCAL client_min_messages = debug1');
		if (!eval { $dbh->do($sql); 1 })
		{
			@result{qw(sqlstate error failed)} = ($dbh->state, $dbh->errstr, $number);
			last;
		}
		$dbh->do('SET LOCAL client_min_messages = error');

		my %effects;
		my $after = relations($dbh);

		read_notices($dbh, \%result, \%effects, $before, $after, $validated);
		foreach my $oid (keys %$after)
		{
			next unless $before->{$oid};
			$effects{$oid}{read} = 1 if $after->{$oid}{scans} > $before->{$oid}{scans};

			# a new file for what was there
			$effects{$oid}{rewrite} = 1
			  if $after->{$oid}{kind} =~ /^[rmS]$/ && $after->{$oid}{node} != $before->{$oid}{node}
			  && $before->{$oid}{node};
		}
		delete $effects{$_} foreach grep { !$first->{$_} } keys %effects;
		foreach my $oid (keys %effects)
		{
			$result{effects}{$oid}{$_} = 1 foreach keys %{ $effects{$oid} };
		}

		# what this one did, under the locks that are held by then
		my $locks = own_locks($dbh);

		$effects{$_}{lock} = $locks->{$_} foreach grep { $first->{$_} } keys %$locks;
		push @{ $result{steps} }, \%effects;
	}

	if (!$result{failed})
	{
		my $locks = own_locks($dbh);

		foreach my $oid (grep { $first->{$_} && $locks->{$_} ne 'AccessShareLock' } keys %$locks)
		{
			$result{effects}{$oid}{lock} = $locks->{$oid};
		}
	}
	$dbh->do('ROLLBACK');
	return \%result;
}

# Predicted rows by oid, all statements taken together; $names are the
# relations as they are before each statement (the last one stands for those
# that never ran).  A name that is not known is returned as it is.
sub by_oid
{
	my ($predicted, $names) = @_;
	my %effects;

	foreach my $row (@{ $predicted->{rows} })
	{
		my $known = $names->[ $row->{statement} - 1 ] || $names->[-1];
		my ($oid) = grep { $known->{$_}{name} eq $row->{relation} } keys %$known;
		my $effect = $effects{ $oid || $row->{relation} } ||= {};

		$effect->{lock} = $row->{lock_mode}
		  if $row->{lock_mode} ne 'AccessShareLock'
		  && (!$effect->{lock} || $strength{ $effect->{lock} } < $strength{ $row->{lock_mode} });
		foreach my $what (@work)
		{
			$effect->{$what} = 1 if $row->{$what};
		}
	}
	return \%effects;
}

# Statements that fail because of the rows, or of values in an expression, can
# not be told from the catalog; nor can defects of the server.
sub is_about_data
{
	my ($sqlstate) = @_;

	return $sqlstate =~ /^(?:2[1-3]...|P0...|38...|XX...)$/;
}

# For a foreign key of a partitioned table its leaves are read.
sub leaves_of
{
	my ($dbh, $oid) = @_;

	return @{
		$dbh->selectcol_arrayref(<<'SQL', undef, $oid)
SELECT relid::oid FROM pg_partition_tree(?::oid::regclass) WHERE isleaf
SQL
	};
}

# Compare a prediction with what happened; returns the differences as texts.
sub compare
{
	my ($dbh, $predicted, $measured, $sql) = @_;
	my @differences;

	if ($measured->{failed})
	{
		return () if is_about_data($measured->{sqlstate});
		return () if $predicted->{fails}{ $measured->{failed} };
		return ("fails with $measured->{sqlstate} ($measured->{error}), not predicted");
	}
	push @differences, map { "statement $_ would fail: $predicted->{fails}{$_}" }
	  sort keys %{ $predicted->{fails} };
	return @differences if @differences;

	my $relations = $measured->{first};
	my $expected = by_oid($predicted, $measured->{relations});
	my $found = $measured->{effects};

	foreach my $oid (keys %$expected)
	{
		my $effect = $expected->{$oid};

		next unless $relations->{$oid} && $relations->{$oid}{kind} eq 'p' && $effect->{fk_validation};
		delete $effect->{fk_validation};
		$expected->{$_}{fk_validation} = 1 foreach leaves_of($dbh, $oid);
	}

	my %all = (%$expected, %$found);

	foreach my $oid (sort keys %all)
	{
		my $relation = $relations->{$oid};

		if (!$relation)
		{
			my ($made) = map { $_->{$oid}{name} } grep { $_->{$oid} } @{ $measured->{relations} };

			push @differences,
			  defined $made ? "predicted for '$made', which the script itself makes"
			  : "predicted for '$oid', which is not there";
			next;
		}
		my ($want, $have) = ($expected->{$oid} || {}, $found->{$oid} || {});

		# an earlier statement may have locked the index, unnamed
		$want = { %$want, lock => $have->{lock} }
		  if $relation->{kind} =~ /^[iI]$/ && @{ $measured->{relations} } > 1 && $have->{lock};

		next if $relation->{kind} !~ $is_table && !$expected->{$oid};
		push @differences, differences_of($relation, $want, $have, $sql);
	}
	return @differences;
}

# Differences for one relation
sub differences_of
{
	my ($relation, $predicted, $measured, $sql) = @_;
	my @differences;
	my $say = sub {
		push @differences,
		  sprintf '%s: %s predicted %s, measured %s', $relation->{name}, @_;
	};
	my ($p, $m) = map { $_->{lock} || 'none' } $predicted, $measured;

	$say->('lock', $p, $m) if $p ne $m;
	foreach my $what (@work)
	{
		($p, $m) = map { $_->{$what} ? 'yes' : 'no' } $predicted, $measured;
		next if $p eq $m;

		# No message tells of the scan of a default partition, or for a domain.
		next if $what eq 'scan' && $p eq 'yes' && $measured->{read};

		# what is built is told for the table
		next if $relation->{kind} =~ /^[iI]$/;
		$say->($what, $p, $m);
	}
	return @differences;
}

# Compare what was measured with what was recorded elsewhere, where relations
# are known by their names: of the tables, strongest locks; of indexes and
# constraints, those that were built and validated.
sub compare_recorded
{
	my ($measured, $recorded) = @_;
	my @differences;
	my $say = sub {
		push @differences, sprintf '%s: measured %s, recorded %s', @_ if $_[1] ne $_[2];
	};

	$say->('error', $measured->{sqlstate} || 'none', $recorded->{sqlstate} || 'none');
	return @differences if $recorded->{sqlstate} || @differences;

	my ($relations, $effects) = @{$measured}{qw(first effects)};
	my @tables = grep { $relations->{$_}{kind} =~ /^[rpmf]$/ } keys %$effects;
	my %locks = map { $relations->{$_}{relname} => $effects->{$_}{lock} }
	  grep { $effects->{$_}{lock} } @tables;

	# sequences count for rewrites only
	my $rewritten = join ' ', sort map { $relations->{$_}{relname} }
	  grep { $effects->{$_}{rewrite} && $relations->{$_}{kind} =~ /^[rpmS]$/ } keys %$effects;
	my $show = sub { my ($h) = @_; return join ' ', map { "$_=$h->{$_}" } sort keys %$h; };

	$say->('locks', $show->(\%locks), $show->($recorded->{table_locks}));
	$say->('rewrites', $rewritten, join ' ', sort @{ $recorded->{rewrites} });
	foreach my $what (qw(scans index_builds fk_validations))
	{
		my %seen = map { $_ => 1 } @{ $measured->{$what} };

		$say->($what, join(' ', sort keys %seen), join(' ', sort @{ $recorded->{$what} }));
	}
	return @differences;
}

1;
