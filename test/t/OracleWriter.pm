# A writer of the oracle (100_oracle.pl): a process that knows what must be in
# its rows, because nobody else writes them.
#
# The model is a hash of rows by key; a row has c (content), n, f (flag),
# w (number of updates, as a trigger of the table counts them), s (shout), and
# fresh: the migration during which it was last written.  It changes when a
# transaction has committed.  When the connection is lost in a commit, either
# all of the transaction must be there afterwards, or nothing.
#
# What the table is like at the moment (the shape) is told by the driver; a
# writer heeds it between two transactions, and says so.

package OracleWriter;

use strict;
use warnings;

use JSON::PP;
use List::Util qw(shuffle);
use OracleTools;
use Time::HiRes qw(sleep time);

my @roles = qw(old new dual);

sub new
{
	my ($class, %options) = @_;
	my $number = $options{number};
	my $self = {
		number => $number,
		seed => $options{seed},
		writers => $options{writers},
		keys => $options{keys},
		shared_keys => $options{shared_keys},
		role => $roles[ $number % @roles ],
		model => {},
		shape => { v => 0 },
		count => {},
		errors => 0,
		token => 0
	};

	return bless $self, $class;
}

# Something that must not be
sub complain
{
	my ($self, $text) = @_;

	append_file('complaints',
		sprintf('%.3f writer %d (%s), shape %s: %s',
			time(), $self->{number}, $self->{role},
			$self->{raw_shape} // 'none', $text));
	die "too many complaints\n" if ++$self->{errors} > 10;
	return;
}

sub key_of { return ($_[1] + 1) * $_[0]{writers} + $_[0]{number}; }
sub any_key { return $_[0]->key_of(int rand $_[0]{keys}); }

# Which rows are ours
sub ours { return "id % $_[0]{writers} = $_[0]{number} AND id BETWEEN 0 AND 999999"; }

sub token
{
	my ($self) = @_;
	my $token = sprintf('w%d-%d-%x', $self->{number}, ++$self->{token}, rand 1 << 30);

	return $token x 300 if chance(0.03);
	return join '', map { chr(97 + rand 26) } 1 .. 4000 if chance(0.02);
	return $token;
}

# A value for content
sub content { return chance(0.1) ? undef : $_[0]->token; }

sub number { return chance(0.2) ? 2147480000 + int rand 3000 : int rand 1000; }

# Take note of a new shape of the table, between two transactions.
sub look_at_shape
{
	my ($self) = @_;
	my $raw = get_file('shape');
	my $shape;

	return if $self->{raw_shape} && $raw eq $self->{raw_shape};
	$shape = JSON::PP->new->decode($raw);
	if ($shape->{shout} ne ($self->{shape}{shout} // ''))
	{
		foreach my $row (values %{ $self->{model} })
		{
			$row->{s} = defined $row->{c} ? uc $row->{c} : undef if $shape->{shout} eq 'sync';
			$row->{s} = undef if $shape->{shout} eq '';
		}
	}
	$self->{shape} = $shape;
	$self->{raw_shape} = $raw;
	put_file("ack.$self->{number}", $shape->{v});
	return;
}

# Old and new name of the column with the content, each if it may be used
sub names { return grep { defined } @{ $_[0]{shape} }{qw(old new)}; }

# May content be read under its new name?
sub readable
{
	my ($self, $row) = @_;
	my $shape = $self->{shape};

	return $shape->{synced} || ($row && ($row->{fresh} // '') eq ($shape->{cycle} // ' '));
}

# The names that this writer would write
sub written_names
{
	my ($self) = @_;
	my ($old, $new) = @{ $self->{shape} }{qw(old new)};

	return $self->names unless defined $old && defined $new;
	return $old if $self->{role} eq 'old';
	return $new if $self->{role} eq 'new';
	return @{ pick([ $old, $new ], [ $new, $old ], [$old], [$new]) };
}

# Columns and values that write the content.  A dual writer may contradict
# himself, and then the new name wins; but not by a NULL, which the new column
# may hold already, so that it would be no change.  DEFAULT is the keyword.
sub content_columns
{
	my ($self, $value, $contradict) = @_;
	my $old = $self->{shape}{old} // '';
	my @names = $self->written_names;

	return map { [ $_, $value ] } @names
	  if @names < 2 || !$contradict || !defined $value || $value eq 'DEFAULT' || !chance(0.2);
	return map { [ $_, $_ eq $old ? $self->token : $value ] } @names;
}

# Must whoever writes content name shout as well?  Yes if that is about to be
# nobody's business but the writers'.
sub handing_over { return $_[0]{shape}{shout} eq 'explicit'; }

# What shout becomes if it is not named
sub follow_shout
{
	my ($self, $before, $after) = @_;

	return if $self->{shape}{shout} ne 'sync';
	return if $before && same($before->{c}, $after->{c});
	$after->{s} = defined $after->{c} ? uc $after->{c} : undef;
	return;
}

sub default_or { return ($_[0] // '') eq 'DEFAULT' ? $_[1] : $_[0]; }

# Is this column's value written out, instead of being a parameter?
sub is_literal { return $_[0][0] eq 'flag' || ($_[0][1] // '') eq 'DEFAULT'; }

# Columns and values of a new row, and the row
sub inserted
{
	my ($self, $no_conflict) = @_;
	my $shape = $self->{shape};
	my %row = (c => 'dflt', n => 7, f => 'false', w => 0, s => undef, fresh => $shape->{cycle});
	my @columns;

	if (chance(0.85))
	{
		my $value = chance(0.07) ? 'DEFAULT' : $self->content;

		push @columns, $self->content_columns($value, !$no_conflict);
		$row{c} = default_or($value, 'dflt') if @columns;
	}
	if (chance(0.7))
	{
		my $n = chance(0.07) ? 'DEFAULT' : $self->number;

		push @columns, [ n => $n ];
		$row{n} = default_or($n, 7);
	}
	push @columns, [ flag => $row{f} = pick('true', 'false') ] if chance(0.5);
	$self->follow_shout(undef, \%row);
	push @columns, [ shout => $row{s} = $self->token ]
	  if $shape->{shout} =~ /^(own|explicit)$/
	  || $shape->{shout} eq 'sync' && $self->{role} ne 'old' && chance(0.3);
	return (\%row, shuffle(@columns));
}

# The SET list of an update, its values, and the row that it makes
sub updated
{
	my ($self, $row) = @_;
	my $shape = $self->{shape};
	my %row = (%$row, fresh => $shape->{cycle}, w => $row->{w} + 1);
	my @set;

	if (chance(0.6))
	{
		my $value = pick($row->{c}, 'DEFAULT', map { $self->content } 1 .. 10);
		my @columns = $self->content_columns($value, !same($value, $row->{c}));

		push @set,
		  map { is_literal($_) ? ["$_->[0] = DEFAULT"] : [ "$_->[0] = ?", $_->[1] ] } @columns;
		$row{c} = default_or($value, 'dflt') if @columns;
	}
	if (chance(0.3))
	{
		my $n = $self->number;

		push @set, [ 'n = ?', $n ];
		$row{n} = $n;
	}
	elsif (chance(0.3) && $row{n} < 2147483000)
	{
		push @set, ['n = n + 1'];
		$row{n}++;
	}
	if (chance(0.3))
	{
		$row{f} = $row{f} eq 'true' ? 'false' : 'true';
		push @set, ["flag = '$row{f}'"];
	}
	$self->follow_shout($row, \%row);
	push @set, [ 'shout = ?', $row{s} = $self->token ]
	  if $self->handing_over
	  || $shape->{shout} ne '' && $self->{role} ne 'old' && chance(0.2);
	push @set, ['updated_at = now()'] if !@set || chance(0.5);
	return (\%row, shuffle(@set));
}

# Run a statement that must change so many rows.  Flags and constants are
# written out, so that neither needs a cast when the type of a column changes;
# everything else is a parameter of a prepared statement, as a rule.
sub run
{
	my ($self, $expected, $sql, @values) = @_;
	my $start = time();
	my $rows;

	if (chance(0.7))
	{
		my $sth = $self->{dbh}->prepare_cached($sql);

		$rows = $sth->execute(@values);
		$sth->finish;
	}
	else
	{
		my $dbh = $self->{dbh};

		$sql =~ s/\?/$dbh->quote(shift @values)/ge;
		$rows = $dbh->do($sql);
	}
	slow_at($start);
	$self->complain("$rows rows instead of $expected by: " . substr($sql, 0, 300))
	  if defined $expected && $rows != $expected;
	return;
}

sub slow_at
{
	my ($start) = @_;
	my $took = time() - $start;

	append_file('slow', sprintf('%.4f %.4f', $start, $took)) if $took > 0.05;
	return;
}

# Column list and value list of an INSERT; flags as constants
sub lists
{
	my (@columns) = @_;
	my @values = map { $_->[0] eq 'flag' ? "'$_->[1]'" : is_literal($_) ? $_->[1] : '?' } @columns;

	return (join(', ', map { $_->[0] } @columns), join(', ', @values));
}

sub params { return map { $_->[1] } grep { !is_literal($_) } @_; }

#
# Statements; each changes $view, a hash of rows by key that only this
# transaction sees so far (undef is a deleted row)
#

sub row
{
	my ($self, $view, $key) = @_;

	return exists $view->{$key} ? $view->{$key} : $self->{model}{$key};
}

sub do_insert
{
	my ($self, $view, $key) = @_;
	my ($row, @columns) = $self->inserted;
	my ($names, $values) = lists([ id => $key ], @columns);

	$view->{$key} = $row;
	return $self->run(1, "INSERT INTO t ($names) VALUES ($values)", $key, params(@columns));
}

# Several rows with the same columns, by VALUES or by COPY
sub do_load
{
	my ($self, $view) = @_;
	my @free = grep { !$self->row($view, $_) } map { $self->any_key } 1 .. 8;
	my %seen;

	@free = grep { !$seen{$_}++ } @free;
	return $self->do_touch($view) if !@free;

	my @names = chance(0.9) ? $self->written_names : ();
	my $own = $self->{shape}{shout} =~ /^(own|explicit)$/ || ($self->{shape}{shout} eq 'sync' && chance(0.2));
	my @lines;

	foreach my $key (@free)
	{
		my %row = (c => 'dflt', n => $self->number, f => 'false', w => 0, s => undef,
			fresh => $self->{shape}{cycle});

		$row{c} = $self->content if @names;
		$self->follow_shout(undef, \%row);
		$row{s} = $self->token if $own;
		$view->{$key} = \%row;
		push @lines, [ $key, (map { $row{c} } @names), $row{n}, $own ? $row{s} : () ];
	}
	my $list = join ', ', 'id', @names, 'n', $own ? 'shout' : ();

	if (chance(0.5))
	{
		my $tuple = '(' . join(', ', map { '?' } @{ $lines[0] }) . ')';

		return $self->run(scalar @lines,
			"INSERT INTO t ($list) VALUES " . join(', ', map { $tuple } @lines),
			map { @$_ } @lines);
	}
	my $start = time();

	$self->{dbh}->do("COPY t ($list) FROM STDIN");
	$self->{dbh}->pg_putcopydata(join("\t", map { $_ // '\N' } @$_) . "\n") foreach @lines;
	$self->{dbh}->pg_putcopyend;
	return slow_at($start);
}

sub do_update
{
	my ($self, $view, $key) = @_;
	my ($row, @set) = $self->updated($self->row($view, $key));
	my $sql = 'UPDATE t SET ' . join(', ', map { $_->[0] } @set) . ' WHERE id = ?';

	$view->{$key} = $row;
	return $self->run(1, $sql, (map { @$_ > 1 ? $_->[1] : () } @set), $key);
}

# Many of our rows, without naming the content
sub do_touch
{
	my ($self, $view) = @_;
	my $from = $self->key_of(int rand $self->{keys});
	my $to = $from + $self->{writers} * 15;
	my @hit = grep { $_ >= $from && $_ <= $to && $self->row($view, $_) }
	  map { $self->key_of($_) } 0 .. $self->{keys} - 1;

	foreach my $key (@hit)
	{
		my $row = $self->row($view, $key);

		$view->{$key} = {
			%$row,
			w => $row->{w} + 1,
			fresh => $self->{shape}{cycle}
		};
	}
	return $self->run(scalar @hit,
		'UPDATE t SET updated_at = now(), n = n'
		  . ' WHERE ' . $self->ours . ' AND id BETWEEN ? AND ?',
		$from, $to);
}

# Content from the content as it is
sub do_append
{
	my ($self, $view, $key) = @_;
	my $row = $self->row($view, $key);
	my ($name) = $self->written_names;

	return $self->do_touch($view)
	  if !defined $name || $self->handing_over || length($row->{c} // '') > 1000;
	return $self->do_touch($view)
	  if $name ne ($self->{shape}{old} // '') && !$self->readable($row);
	my %row = (%$row, w => $row->{w} + 1, fresh => $self->{shape}{cycle});

	$row{c} .= '+' if defined $row{c};
	$self->follow_shout($row, \%row);
	$view->{$key} = \%row;
	return $self->run(1, "UPDATE t SET $name = $name || '+' WHERE id = ?", $key);
}

sub do_delete
{
	my ($self, $view, $key) = @_;

	$view->{$key} = undef;
	return $self->run(1, 'DELETE FROM t WHERE id = ?', $key);
}

# INSERT ... ON CONFLICT DO UPDATE, whose update may use the other name
sub do_upsert
{
	my ($self, $view, $key) = @_;
	my $before = $self->row($view, $key);
	my ($row, @columns) = $self->inserted(1);
	my ($names, $values) = lists([ id => $key ], @columns);
	my %row = %$row;
	my @set = ('n = EXCLUDED.n', 'flag = EXCLUDED.flag');
	my ($name) = chance(0.9) ? $self->written_names : ();
	my ($from) = pick($self->names);

	push @set, "$name = EXCLUDED.$from" if defined $name;
	push @set, 'shout = EXCLUDED.shout' if $self->handing_over;
	if ($before)
	{
		%row = (%$before, n => $row->{n}, f => $row->{f}, w => $before->{w} + 1,
			fresh => $self->{shape}{cycle});
		$row{c} = $row->{c} if defined $name;
		$row{s} = $row->{s} if $self->handing_over;
		$self->follow_shout($before, \%row);
	}
	$view->{$key} = \%row;
	return $self->run(1,
		"INSERT INTO t ($names) VALUES ($values) ON CONFLICT (id) DO UPDATE SET "
		  . join(', ', @set),
		$key, params(@columns));
}

sub do_merge
{
	my ($self, $view, $key) = @_;
	my $before = $self->row($view, $key);
	my @names = $self->written_names;
	my $value = $self->token;
	my $n = int rand 1000;
	my %row = (c => @names ? $value : 'dflt', n => $n, f => 'false', w => 0, s => undef,
		fresh => $self->{shape}{cycle});
	my @shout = $self->{shape}{shout} =~ /^(own|explicit)$/ ? ('shout') : ();
	my $delete = $before && chance(0.15);
	my ($list, $from) = (join(', ', 'id', @names, 'n', @shout),
		join(', ', 's.id', (map { 's.c' } @names), 's.n', map { 's.c' } @shout));
	my $insert = "INSERT ($list) VALUES ($from)";
	my $set = join(', ', 'n = s.n', map { "$_ = s.c" } @names, $self->handing_over ? 'shout' : ());

	$self->follow_shout(undef, \%row);
	$row{s} = $value if @shout;
	if ($before)
	{
		%row = (%$before, n => $n, w => $before->{w} + 1, fresh => $self->{shape}{cycle});
		$row{c} = $value if @names;
		$row{s} = $value if $self->handing_over;
		$self->follow_shout($before, \%row);
	}
	elsif ($self->names == 2 && chance(0.3))
	{
		# an old and a new writer in one statement
		my ($old, $new) = $self->names;

		$insert = "INSERT (id, $old, n) VALUES (s.id, s.c, s.n)"
		  . " WHEN NOT MATCHED THEN INSERT (id, $new, n) VALUES (s.id, s.c, s.n)";
		$insert = ($n % 2 ? 'AND s.n >= 0 ' : 'AND s.n < 0 ') . "THEN $insert";
		$row{s} = undef;
		$self->follow_shout(undef, \%row);
	}
	$insert = "THEN $insert" unless $insert =~ /^AND/;
	$view->{$key} = $delete ? undef : \%row;

	# DBD::Pg knows no row count of MERGE
	return $self->run(undef,
		"MERGE INTO t USING (VALUES (?::int, ?::text, ?::int)) AS s (id, c, n) ON t.id = s.id"
		  . ' WHEN MATCHED THEN '
		  . ($delete ? 'DELETE' : "UPDATE SET $set")
		  . " WHEN NOT MATCHED $insert",
		$key, $value, $n);
}

# A row changes its key by way of a data-modifying CTE.
sub do_move
{
	my ($self, $view, $key) = @_;
	my $row = $self->row($view, $key);
	my $target = $self->any_key;
	my ($name) = $self->written_names;
	my %row = (%$row, w => 0, s => undef, fresh => $self->{shape}{cycle});

	return $self->do_touch($view)
	  if !defined $name || $self->row($view, $target) || $self->{shape}{shout} =~ /^(own|explicit)$/;
	return $self->do_touch($view)
	  if $name ne ($self->{shape}{old} // '') && !$self->readable($row);
	$self->follow_shout(undef, \%row);
	$view->{$key} = undef;
	$view->{$target} = \%row;
	return $self->run(1,
		"WITH gone AS (DELETE FROM t WHERE id = ? RETURNING $name, n, flag)"
		  . " INSERT INTO t (id, $name, n, flag) SELECT ?::int, $name, n, flag FROM gone",
		$key, $target);
}

sub do_something
{
	my ($self, $view) = @_;
	my $key = $self->any_key;
	my $there = $self->row($view, $key);
	my $what =
	  $there
	  ? pick(qw(update update update append delete upsert merge move touch))
	  : pick(qw(insert insert upsert merge load));
	my $method = "do_$what";

	$self->{count}{$what}++;
	$self->$method($view, $key);
	return;
}

#
# Looking at what is there
#

sub columns
{
	my ($self) = @_;

	return join ', ', 'id', 'n::bigint', 'flag::text', 'writes',
	  map { $_ // 'NULL' } @{ $self->{shape} }{qw(old new)},
	  $self->{shape}{shout} ne '' ? 'shout' : ();
}

# What is wrong with a row as it was read, if anything
sub difference
{
	my ($self, $got, $want) = @_;
	my $shape = $self->{shape};
	my ($n, $flag, $writes, $old, $new, $shout) = @$got[ 1 .. 6 ];
	my $ready = $self->readable($want);

	return 'there is no such row' if !$want;
	return "n is " . shown($n) . ", not $want->{n}" if $n != $want->{n};
	return "flag is $flag, not $want->{f}" if $flag ne $want->{f};
	return "it was updated $writes times, not $want->{w}" if $writes != $want->{w};
	return "$shape->{old} is " . shown($old) . ', not ' . shown($want->{c})
	  if defined $shape->{old} && !same($old, $want->{c});
	return "$shape->{new} is " . shown($new) . ', not ' . shown($want->{c})
	  if defined $shape->{new} && !same($new, $want->{c}) && ($ready || defined $new);
	return 'shout is ' . shown($shout) . ', not ' . shown($want->{s})
	  if $shape->{shout} ne '' && !same($shout, $want->{s}) && ($ready || defined $shout);
	return;
}

sub read_rows
{
	my ($self, $where, @values) = @_;
	my $columns = $self->columns;

	my $rows = $self->{dbh}->selectall_arrayref("SELECT $columns FROM t WHERE $where", undef, @values);

	return { map { $_->[0] => $_ } @$rows };
}

# All of our rows must be what we think.
sub check_all
{
	my ($self) = @_;
	my $rows = $self->read_rows($self->ours);
	my $model = $self->{model};
	my %keys = (%$rows, %$model);
	my $wrong = 0;

	foreach my $key (sort { $a <=> $b } keys %keys)
	{
		my $difference =
		  $rows->{$key}
		  ? $self->difference($rows->{$key}, $model->{$key})
		  : 'the row has gone';

		next if !defined $difference;
		$self->complain("key $key: $difference") if $wrong++ < 5;
	}
	$self->adopt($rows) if $wrong;
	$self->{count}{checks}++;
	return;
}

# After a complaint: what is there is the truth from now on.
sub adopt
{
	my ($self, $rows) = @_;

	$self->{model} = {};
	foreach my $got (values %$rows)
	{
		$self->{model}{ $got->[0] } = {
			n => $got->[1],
			f => $got->[2],
			w => $got->[3],
			c => defined $self->{shape}{old} ? $got->[4] : $got->[5],
			s => $got->[6]
		};
	}
	return;
}

# A row that this transaction has just written
sub check_one
{
	my ($self, $view) = @_;
	my ($key) = pick(keys %$view);

	return if !defined $key;
	my $rows = $self->read_rows('id = ?', $key);
	my $want = $view->{$key};
	my $difference =
	    $rows->{$key} ? $self->difference($rows->{$key}, $want)
	  : $want ? 'the row has gone'
	  : undef;

	$self->complain("inside the transaction, key $key: $difference") if defined $difference;
	return;
}

#
# Transactions
#

sub commit_model
{
	my ($self, $view) = @_;

	foreach my $key (keys %$view)
	{
		if ($view->{$key}) { $self->{model}{$key} = $view->{$key}; }
		else { delete $self->{model}{$key}; }
	}
	$self->{count}{commits}++;
	return;
}

# The statements of a transaction; returns the view, undef if rolled back.
sub statements
{
	my ($self) = @_;
	my $view = {};
	my @saved;

	for (1 .. 1 + int rand 6)
	{
		if (chance(0.2))
		{
			push @saved, {%$view};
			$self->{dbh}->do('SAVEPOINT s' . @saved);
		}
		$self->do_something($view);
		$self->check_one($view) if chance(0.3);
		if (@saved && chance(0.3))
		{
			$self->{dbh}->do('ROLLBACK TO SAVEPOINT s' . @saved);
			$view = {%{ $saved[-1] }};
		}
		elsif (@saved && chance(0.3))
		{
			$self->{dbh}->do('RELEASE SAVEPOINT s' . @saved);
			pop @saved;
		}
		sleep rand 0.01 if chance(0.1);
	}

	# locked rows and tables, for the backfill and for moves to meet
	sleep 0.05 + rand 0.4 if chance(0.02);
	return $view;
}

# Returns normally or dies; "unsure" is the view whose commit is not known.
sub transaction
{
	my ($self) = @_;
	my $view = {};

	if (chance(0.3))
	{
		# $view is complete before the statement is sent
		eval { $self->do_something($view); 1 } or do
		{
			my $error = $@;

			$self->{unsure} = $view;
			die $error;
		};
		return $self->commit_model($view);
	}
	$self->{dbh}->do('BEGIN');
	$view = $self->statements;
	if (chance(0.15))
	{
		$self->{dbh}->do('ROLLBACK');
		$self->{count}{rollbacks}++;
		return;
	}
	$self->{unsure} = $view;
	$self->{dbh}->do('COMMIT');
	delete $self->{unsure};
	return $self->commit_model($view);
}

# The connection was lost in a commit: either all of it is there, or nothing.
sub resolve
{
	my ($self) = @_;
	my $view = delete $self->{unsure} or return;
	my @keys = keys %$view or return;
	my $rows = $self->read_rows('id IN (' . join(', ', @keys) . ')');
	my ($done, $undone) = (1, 1);
	my @seen;

	foreach my $key (@keys)
	{
		my ($before, $after) = ($self->{model}{$key}, $view->{$key});
		my $got = $rows->{$key};
		my $not_before = $got ? $self->difference($got, $before) : $before && 'it has gone';
		my $not_after = $got ? $self->difference($got, $after) : $after && 'it has gone';

		$undone = 0 if $not_before;
		$done = 0 if $not_after;
		push @seen, "key $key: before: " . ($not_before // 'ok') . '; after: ' . ($not_after // 'ok');
	}
	$self->{count}{unsure}++;
	if ($done) { $self->commit_model($view); }
	elsif (!$undone)
	{
		$self->complain('neither committed nor rolled back: ' . join(' | ', @seen));
		$self->adopt($self->read_rows($self->ours));
	}
	return;
}

# A key that others write as well: one statement, so that no two of us can
# wait for each other.  Two may insert the same key at the same time, of which
# only ON CONFLICT makes no error.
sub contend
{
	my ($self) = @_;
	my $key = -1 - int rand $self->{shared_keys};
	my ($name) = $self->written_names;
	my $value = $self->token;
	my @names = defined $name ? ($name) : ();
	my $list = join ', ', 'id', @names, 'n';
	my $what = pick(qw(insert update update delete upsert merge));
	my ($sql, @values);

	if ($what eq 'insert' || $what eq 'upsert')
	{
		$sql = "INSERT INTO t ($list) VALUES (?, " . join('', map { '?, ' } @names) . '1)';
		@values = ($key, map { $value } @names);
		$sql .= ' ON CONFLICT (id) DO UPDATE SET '
		  . join(', ', 'n = EXCLUDED.n + 1', map { "$_ = EXCLUDED.$_" } @names)
		  if $what eq 'upsert';
	}
	elsif ($what eq 'update')
	{
		$sql = 'UPDATE t SET ' . join(', ', 'updated_at = now()', map { "$_ = ?" } @names) . ' WHERE id = ?';
		@values = ((map { $value } @names), $key);
	}
	elsif ($what eq 'delete')
	{
		($sql, @values) = ('DELETE FROM t WHERE id = ?', $key);
	}
	else
	{
		$sql = 'MERGE INTO t USING (VALUES (?::int, ?::text)) AS s (id, c) ON t.id = s.id'
		  . ' WHEN MATCHED THEN UPDATE SET ' . join(', ', 'n = 5', map { "$_ = s.c" } @names)
		  . " WHEN NOT MATCHED THEN INSERT ($list) VALUES (s.id, "
		  . join('', map { 's.c, ' } @names) . '6)';
		@values = ($key, $value);
	}
	$self->{count}{shared}++;
	eval { $self->run(undef, $sql, @values); 1 } and return;
	my $error = $@;

	die $error if ($self->{dbh}->state // '') ne '23505' || $what !~ /^(insert|merge)$/;
	return;
}

# The connection is gone, or the statement has failed.
sub survive
{
	my ($self, $error) = @_;

	if (is_lost($self->{dbh}, $error))
	{
		append_file('lost', sprintf('%.3f %d %s', time(), $self->{number}, $error =~ s/\n/ /gr));
		$self->{count}{lost}++;
		$self->{dbh} = reconnect("writer $self->{number}");
		return $self->resolve;
	}
	delete $self->{unsure};
	$self->complain(sprintf 'SQLSTATE %s: %s', $self->{dbh}->state // '', $error =~ s/\n/ /gr);
	eval { $self->{dbh}->do('ROLLBACK') };
	return;
}

sub step
{
	my ($self) = @_;
	my $what = rand();

	$self->look_at_shape;
	if ($self->{shape}{pause})
	{
		sleep 0.01;
		return;
	}
	eval {
		if ($what < 0.04) { $self->check_all; }
		elsif ($what < 0.15) { $self->contend for 1 .. 8; }
		else { $self->transaction; }
		1;
	} or $self->survive($@);
	sleep rand 0.01;
	return;
}

# Half of the keys are there when it begins.
sub preload
{
	my ($self) = @_;

	for my $i (0 .. $self->{keys} / 2)
	{
		my $key = $self->key_of($i);
		my %row = (c => $self->content, n => $self->number, f => 'false', w => 0);

		$self->run(1, 'INSERT INTO t (id, content, n) VALUES (?, ?, ?)', $key, $row{c}, $row{n});
		$self->{model}{$key} = \%row;
	}
	return;
}

sub main
{
	my ($self) = @_;

	srand($self->{seed} * 100 + $self->{number});
	$self->{dbh} = reconnect("writer $self->{number}");
	$self->look_at_shape;
	$self->preload;
	put_file("ready.$self->{number}", '');
	$self->step until $self->{shape}{stop};
	for (1 .. 3)
	{
		last if eval { $self->check_all; 1 };
		$self->survive($@);
	}
	$self->{count}{rows} = keys %{ $self->{model} };
	put_file("done.$self->{number}", JSON::PP->new->encode($self->{count}));
	return;
}

1;
