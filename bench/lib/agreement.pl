# agreement.pl DIRECTORY
#
# Prints where migspec_check() agrees with other tools about the SQL texts of
# DIRECTORY/corpus.jsonl, as Markdown; run by agreement-inside.sh.
#
# Tools are compared by topic: rules of theirs and of ours that are about the
# same thing.  A disagreement about work under a lock is decided by the server,
# where the text can be run; the others have a class and a reason here.

use strict;
use warnings;
use open qw(:std :encoding(UTF-8));

use DBI;
use DdlTools;
use DdlWorld qw(split_script needs_no_transaction in_transaction world_for);

my $data = shift @ARGV or die "usage: agreement.pl DIRECTORY\n";
my @peers = qw(squawk pgfence strong_migrations);

# Does a statement do some kind of work on rows that were there, while nobody
# can write?
my %blocking = map { $_ => 1 } qw(ShareLock ShareRowExclusiveLock ExclusiveLock AccessExclusiveLock);

sub works
{
	my @kinds = @_;

	return sub {
		my ($effects) = @_;

		return scalar grep {
			my $effect = $_;

			$blocking{ $effect->{lock} || '' } && grep { $effect->{$_} } @kinds
		} values %$effects;
	};
}

sub locks
{
	my ($mode) = @_;

	return sub {
		my ($effects) = @_;

		return scalar grep { ($_->{lock} || '') eq $mode } values %$effects;
	};
}

# Does it lock what others use so that they wait?
sub blocks
{
	my ($effects) = @_;

	return scalar grep { $blocking{ $_->{lock} || '' } } values %$effects;
}

my $any_work = works(qw(rewrite scan index_build fk_validation));

# Our rules, theirs, and for which statements the server can decide what is true
my @topics = (
	{
		name => 'ADD COLUMN that rewrites',
		ours => [
			qw(add-column-volatile-default add-column-serial-identity add-column-stored-generated
			  add-column-constrained-domain)
		],
		squawk => ['adding-field-with-default'],
		pgfence => [qw(add-column-non-constant-default add-column-stored-generated add-column-serial)],
		statement => qr/^ALTER TABLE.*\bADD\b(?! (?:CONSTRAINT|PRIMARY|UNIQUE|CHECK|FOREIGN|EXCLUDE))/i,
		truth => works('rewrite')
	},
	{
		name => 'ALTER COLUMN TYPE',
		ours => [qw(alter-type-rewrite alter-type-index-rebuild alter-type-recheck)],
		squawk => ['changing-column-type'],
		pgfence => ['alter-column-type'],
		statement => qr/^ALTER TABLE.*\bTYPE\b/i,
		truth => $any_work
	},
	{
		name => 'SET NOT NULL',
		ours => [qw(set-not-null-scan add-not-null-constraint)],
		squawk => ['adding-not-nullable-field'],
		pgfence => ['alter-column-set-not-null'],
		statement => qr/^ALTER TABLE.*\bSET NOT NULL\b/i,
		truth => works('scan')
	},
	{
		name => 'constraints that are checked or built at once',
		ours => [
			qw(add-check-validated add-fk-validated add-unique add-primary-key add-exclusion pk-nullable-scan)
		],
		squawk => [
			qw(constraint-missing-not-valid adding-foreign-key-constraint disallowed-unique-constraint
			  adding-serial-primary-key-field)
		],
		pgfence => [
			qw(add-constraint-fk-no-not-valid add-constraint-check-no-not-valid add-column-inline-foreign-key
			  add-constraint-unique add-pk-without-using-index add-constraint-exclude)
		],
		statement => qr/^ALTER TABLE.*\bADD\b.*\b(?:CHECK|REFERENCES|UNIQUE|PRIMARY KEY|EXCLUDE)\b/i,
		truth => works(qw(scan fk_validation index_build))
	},
	{
		name => 'CREATE INDEX',
		ours => [qw(create-index-blocking create-index-partitioned)],
		squawk => ['require-concurrent-index-creation'],
		pgfence => ['create-index-not-concurrent'],
		statement => qr/^CREATE (?:UNIQUE )?INDEX\b/i,
		truth => works('index_build')
	},
	{
		name => 'DROP INDEX',
		ours => ['drop-index-blocking'],
		squawk => ['require-concurrent-index-deletion'],
		pgfence => ['drop-index-not-concurrent'],
		statement => qr/^DROP INDEX\b/i,
		truth => locks('AccessExclusiveLock')
	},
	{
		name => 'REINDEX',
		ours => ['reindex-blocking'],
		squawk => ['require-concurrent-reindex'],
		pgfence => ['reindex-non-concurrent'],
		statement => qr/^REINDEX\b/i,
		truth => works('index_build')
	},
	{
		name => 'VACUUM FULL, CLUSTER',
		ours => ['vacuum-full-cluster'],
		squawk => ['prefer-repack'],
		pgfence => ['vacuum-full']
	},
	{
		name => 'REFRESH MATERIALIZED VIEW',
		ours => ['refresh-matview-blocking'],
		pgfence => ['refresh-matview-blocking']
	},
	{
		name => 'SET LOGGED, UNLOGGED',
		ours => ['set-logged-unlogged'],
		pgfence => ['set-logged-unlogged'],
		statement => qr/\bSET (?:UN)?LOGGED\b/i,
		truth => works('rewrite')
	},
	{
		name => 'DETACH PARTITION',
		ours => ['detach-blocking'],
		squawk => ['require-concurrent-partition-detach'],
		pgfence => ['detach-partition'],
		statement => qr/\bDETACH PARTITION\b/i,
		truth => locks('AccessExclusiveLock')
	},
	{
		name => 'ATTACH PARTITION',
		ours => [qw(attach-partition-scan attach-scans-default attach-builds-index attach-validates-fk)],
		pgfence => ['attach-partition'],
		statement => qr/\bATTACH PARTITION\b/i,
		truth => $any_work
	},
	{
		name => 'constraint of a domain',
		ours => ['domain-constraint'],
		squawk => ['ban-alter-domain-with-add-constraint'],
		pgfence => ['ban-alter-domain-add-constraint']
	},
	{
		name => 'CONCURRENTLY in a transaction',
		ours => ['index-concurrently-in-txn'],
		squawk => ['ban-concurrent-index-creation-in-transaction'],
		pgfence => ['concurrent-in-transaction']
	},
	{
		name => 'NOT VALID and VALIDATE in one transaction',
		ours => ['not-valid-validate-same-txn'],
		pgfence => ['not-valid-validate-same-tx']
	},
	{
		name => 'lock_timeout',
		ours => ['no-lock-timeout'],
		squawk => ['require-lock-timeout'],
		pgfence => [qw(missing-lock-timeout lock-timeout-zero)],
		statement => qr/./,
		truth => \&blocks
	},
	{
		name => 'statements after ACCESS EXCLUSIVE',
		ours => [qw(statement-after-ae big-bang)],
		pgfence => [qw(statement-after-access-exclusive wide-lock-window)]
	},
	{
		name => 'UPDATE, DELETE of all rows',
		ours => [qw(backfill-in-migration dml-with-ddl)],
		pgfence => [qw(update-in-migration delete-without-where)]
	},
	{
		name => 'ADD COLUMN NOT NULL without default',
		ours => ['add-required-column'],
		squawk => ['adding-required-field'],
		pgfence => ['add-column-not-null-no-default']
	},
	{
		name => 'DROP COLUMN',
		ours => ['drop-column'],
		squawk => ['ban-drop-column'],
		pgfence => ['drop-column']
	},
	{
		name => 'DROP TABLE',
		ours => ['drop-table'],
		squawk => ['ban-drop-table'],
		pgfence => ['drop-table']
	},
	{
		name => 'DROP SCHEMA, DATABASE',
		ours => ['drop-schema'],
		squawk => ['ban-drop-database'],
		pgfence => [qw(drop-database drop-schema drop-schema-cascade)]
	},
	{
		name => 'TRUNCATE',
		ours => [qw(truncate truncate-cascade)],
		pgfence => [qw(truncate truncate-cascade)]
	},
	{ name => 'TRUNCATE CASCADE', ours => ['truncate-cascade'], squawk => ['ban-truncate-cascade'] },
	{
		name => 'rename of a table',
		ours => ['rename-table'],
		squawk => ['renaming-table'],
		pgfence => ['rename-table']
	},
	{
		name => 'rename of a column',
		ours => ['rename-column'],
		squawk => ['renaming-column'],
		pgfence => ['rename-column']
	},
	{
		name => 'DROP NOT NULL',
		ours => ['drop-not-null'],
		squawk => ['ban-drop-not-null'],
		pgfence => ['drop-not-null']
	},
	{ name => 'DROP CONSTRAINT', ours => ['drop-constraint'], pgfence => ['drop-constraint'] },
	{
		name => 'ADD VALUE of an enum',
		ours => ['enum-add-value'],
		pgfence => ['alter-enum-add-value']
	},
	{
		name => 'triggers',
		ours => ['trigger-ddl'],
		pgfence => [qw(create-trigger drop-trigger enable-disable-trigger)]
	},
	{
		name => 'foreign key without index',
		ours => ['fk-missing-index'],
		pgfence => ['fk-missing-index']
	},
	{
		name => 'integer keys',
		ours => ['int-primary-key'],
		squawk => [qw(prefer-bigint-over-int prefer-bigint-over-smallint)],
		pgfence => ['prefer-bigint-over-int']
	},
	{
		name => 'char(n), varchar(n)',
		ours => ['prefer-text'],
		squawk => [qw(ban-char-field prefer-text-field)],
		pgfence => [qw(ban-char-field prefer-text-field)]
	},
	{
		name => 'timestamp',
		ours => ['prefer-timestamptz'],
		squawk => ['prefer-timestamp-tz'],
		pgfence => ['prefer-timestamptz']
	},
	{ name => 'json', ours => ['prefer-jsonb'], pgfence => ['add-column-json'] },
	{
		name => 'identifiers that are cut off',
		ours => ['identifier-too-long'],
		squawk => ['identifier-too-long']
	},
	{
		name => 'SQL that cannot run',
		ours => ['would-fail'],
		squawk => [qw(syntax-error ban-duplicate-column-assignments)]
	},
);

require 'agreement_reasons.pl';
our @reasons;

#
# Our verdicts, and what the server does
#

my $admin = connection('bench');

$admin->do('CREATE DATABASE corpus TEMPLATE template0');
$admin->disconnect;
my $dbh = connection('corpus');

# out of the way of what the texts create and drop
$dbh->do('CREATE SCHEMA ours; CREATE EXTENSION migspec SCHEMA ours');

sub connection
{
	my ($database) = @_;

	return DBI->connect("dbi:Pg:dbname=$database", '', '',
		{ RaiseError => 1, PrintError => 0, PrintWarn => 1, AutoCommit => 1 });
}

sub empty_database
{
	$dbh->do('RESET ALL');
	$dbh->do(q(SET client_min_messages = error; SET lc_messages = 'C'; SET search_path = public, ours));
	$dbh->do("DROP SCHEMA \"$_\" CASCADE") foreach @{
		$dbh->selectcol_arrayref(<<'SQL') };
SELECT nspname FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'migspec', 'ours')
SQL
	$dbh->do('CREATE SCHEMA public');
	return;
}

# Rules that we raise: rule -> severity
sub our_rules
{
	my ($sql) = @_;
	my $rows = eval { $dbh->selectall_arrayref('SELECT rule, severity FROM migspec_check(?)', undef, $sql) };

	return { 'would-fail' => 'error' } if !$rows;
	return { map { $_->[0] => $_->[1] } @$rows };
}

# { rules, and for topics that can be decided: truth } of a text, or why not
sub examine
{
	my ($text) = @_;

	my $sql = $text->{sql};
	my @given = $text->{base} ? (read_text("$data/$text->{base}"), $text->{setup} || ()) : ();

	empty_database();
	my ($first, @more) = world_for($dbh, $sql, @given);
	my $result = {};

	if (!defined $first && @more)
	{
		# What is wrong with the text itself needs no world.
		$result->{why} = $more[0];
		$result->{rules} = { map { $_ => 'error' } grep { our_rules($sql)->{$_} } 'would-fail' }
		  if $more[0] =~ /^syntax error|appears twice|specified more than once|multiple assignments/;
		return $result;
	}
	$dbh->do($_) foreach grep { defined } $first, @more;
	$dbh->do($text->{session}) if $text->{session};
	$result->{rules} = our_rules($sql);
	$result->{rules_in_transaction} = our_rules("BEGIN;\n$sql;\nCOMMIT") 
	  if $text->{verdicts}{strong_migrations}
	  || grep { $_->{settings}{assume_in_transaction} } values %{ $text->{verdicts} };

	my @statements = split_script($sql);
	my @run = grep { in_transaction($_) ne '' } @statements;
	my $measured = measure($dbh, map { in_transaction($_) } @run);

	if (!$measured->{failed})
	{
		foreach my $topic (grep { $_->{truth} } @topics)
		{
			my $truth = 0;

			foreach my $i (0 .. $#run)
			{
				next if ($run[$i] =~ s/\s+/ /gr) !~ $topic->{statement} || needs_no_transaction($run[$i]);
				$truth = 1 if $topic->{truth}->($measured->{steps}[$i]);
			}

			# what cannot run in a transaction was not measured
			undef $truth
			  if !$truth && grep { needs_no_transaction($_) && s/\s+/ /gr =~ $topic->{statement} } @statements;
			$result->{truth}{ $topic->{name} } = $truth;
		}
		$result->{work} = scalar grep { $any_work->($_) } @{ $measured->{steps} };
	}
	return $result;
}

#
# Comparison
#

my (%count, %disagreement, %unbuilt);
my ($texts, $compared) = (0, 0);
my @hazards = map { @{ $_->{ours} } } grep { $_->{truth} && $_->{name} ne 'lock_timeout' } @topics;

push @hazards, qw(vacuum-full-cluster refresh-matview-blocking domain-constraint rename-table rename-column
  rename-other drop-column drop-table add-required-column change-default not-valid-validate-same-txn
  fk-locks-referenced backfill-in-migration);

# strong_migrations has one verdict for all its rules.
my $overall = { name => 'unsafe', ours => \@hazards, strong_migrations => ['unsafe'] };

sub class_of
{
	my ($topic, $peer, $who, $sql) = @_;

	foreach my $reason (@reasons)
	{
		my ($topic_re, $peer_re, $side, $sql_re, $class, $why) = @$reason;

		next if $topic->{name} !~ $topic_re || $peer !~ $peer_re || $side ne $who || $sql !~ $sql_re;
		return ($class, $why);
	}
	return ('not classed', '');
}

sub compare_text
{
	my ($text, $result) = @_;

	foreach my $peer (@peers)
	{
		my $verdict = $text->{verdicts}{$peer} or next;

		# about one rule only, or about another version
		next if $verdict->{scope} || ($verdict->{settings} && $verdict->{settings}{pg_version});
		my %theirs = map { $_ => 1 } @{ $verdict->{rules} };

		# Rails runs a migration in a transaction; pgfence has no such setting
		my $in_transaction =
		  $peer eq 'strong_migrations' || $peer eq 'squawk' && $verdict->{settings}{assume_in_transaction};
		my $rules = $in_transaction && $result->{rules_in_transaction} || $result->{rules};

		foreach my $topic (@topics, $overall)
		{
			next unless $topic->{$peer};
			next if $result->{why} && $topic->{name} ne 'SQL that cannot run';
			my $they = scalar grep { $theirs{$_} } @{ $topic->{$peer} };
			my $informs = !$topic->{truth} && $topic != $overall;
			my $we = scalar grep { $rules->{$_} && ($rules->{$_} ne 'info' || $informs) } @{ $topic->{ours} };
			my $cell = $count{$peer}{ $topic->{name} } ||= {};

			next if !$they && !$we;
			$cell->{both}++ if $they && $we;
			next if $they && $we;

			my $who = $they ? 'theirs' : 'ours';
			my $truth = $result->{truth} ? $result->{truth}{ $topic->{name} } : undef;
			my ($class, $why);

			# it was not measured what is not reached; nor can other hazards than
			# work be
			undef $truth if $rules->{'index-concurrently-in-txn'};
			$truth = 1 if $topic == $overall && $result->{work};
			if (defined $truth)
			{
				$class = ($truth xor $we) ? 'theirs right' : 'ours right';
				$why = $truth ? 'measured: there is such work under such a lock' : 'measured: there is none';
			}
			($class, $why) = class_of($topic, $peer, $who, $text->{sql}) if !defined $truth;
			$cell->{$who}++;
			$cell->{$class}++;
			push @{ $disagreement{$peer}{ $topic->{name} }{$who}{"$class\t$why"} }, $text;
		}
	}
	return;
}

my $version = $dbh->{pg_server_version} =~ s/\d{4}$//r;

keep_notices();
foreach my $text (read_cases("$data/corpus.jsonl"))
{
	$texts++;
	my $result = examine($text);

	if ($result->{rules})
	{
		$compared++;
		compare_text($text, $result);
	}
	else
	{
		push @{ $unbuilt{ $result->{why} } }, $text->{source};
	}
}
$dbh->disconnect;

#
# The page
#

my $head = do { local $/; open my $fh, '<', $0 =~ s/agreement\.pl$/agreement-head.md/r or die; <$fh> };

$head =~ s/\{TEXTS\}/$texts/g;
$head =~ s/\{COMPARED\}/$compared/g;
$head =~ s/\{VERSION\}/$version/g;
print $head;

foreach my $peer (@peers)
{
	print "\n## $peer\n\n";
	print "| topic | both | only $peer | only migspec | ours right | theirs right | opinion |\n";
	print "|---|--:|--:|--:|--:|--:|--:|\n";
	my %sum;

	foreach my $topic (@topics, $overall)
	{
		my $cell = $count{$peer}{ $topic->{name} } or next;
		my @figures = map { $cell->{$_} || 0 } 'both', 'theirs', 'ours', 'ours right', 'theirs right', 'opinion';

		next unless grep { $_ } @figures;
		printf "| %s | %s |\n", $topic->{name}, join ' | ', @figures;
		$sum{$_} += $figures[$_] foreach 0 .. $#figures;
	}
	printf "| **all** | %s |\n", join ' | ', map { $sum{$_} || 0 } 0 .. 5;

	print "\n| topic | who says it | texts | class | reason | one of them |\n|---|---|--:|---|---|---|\n";
	foreach my $topic (@topics, $overall)
	{
		foreach my $who ('theirs', 'ours')
		{
			my $list = $disagreement{$peer}{ $topic->{name} }{$who} or next;

			foreach my $key (sort { @{ $list->{$b} } <=> @{ $list->{$a} } || $a cmp $b } keys %$list)
			{
				my ($class, $why) = split /\t/, $key, 2;
				my $source = $list->{$key}[0]{source};

				$source =~ s/\|/\\|/g;
				printf "| %s | %s | %d | %s | %s | %s |\n", $topic->{name}, $who eq 'ours' ? 'migspec' : $peer,
				  scalar @{ $list->{$key} }, $class, $why, $source;
			}
		}
	}
}

print "\n## Texts that were not compared\n\n| texts | why | one of them |\n|--:|---|---|\n";
foreach my $why (sort { @{ $unbuilt{$b} } <=> @{ $unbuilt{$a} } || $a cmp $b } keys %unbuilt)
{
	my $shown = $why =~ s/\|/\\|/gr;

	printf "| %d | %s | %s |\n", scalar @{ $unbuilt{$why} }, $shown, $unbuilt{$why}[0];
}

if ($ENV{AGREEMENT_LIST})
{
	foreach my $peer (@peers)
	{
		foreach my $topic (sort keys %{ $disagreement{$peer} })
		{
			foreach my $who (sort keys %{ $disagreement{$peer}{$topic} })
			{
				foreach my $key (sort keys %{ $disagreement{$peer}{$topic}{$who} })
				{
					foreach my $text (@{ $disagreement{$peer}{$topic}{$who}{$key} })
					{
						printf STDERR "%s / %s / %s / %s / %s\n    %s\n", $peer, $topic, $who, $key,
						  $text->{source}, substr($text->{sql} =~ s/\s+/ /gr, 0, 600);
					}
				}
			}
		}
	}
}
