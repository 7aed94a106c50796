# The world that a script of DDL needs: tables, columns and other objects that
# it names but does not create.
#
# They are found by running the script, in a transaction that is rolled back:
# where the server misses something, that is added to the world, with the type
# and the shape that the statement suggests, until all of it runs.  A script
# that cannot be satisfied in this way has no world, and the reason is told.

package DdlWorld;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT_OK = qw(split_script needs_no_transaction in_transaction world_for);

my $name_re = qr/(?:"(?:[^"]|"")+"|[\w\$]+)/;
my $qualified_re = qr/(?:$name_re\.)?$name_re/;

my $vacuum_options_re = qr/(?:\s*\([^)]*\)|\s+(?:FULL|FREEZE|VERBOSE|ANALYZE)\b)*/i;

# What cannot run in a transaction, and needs no table
my $outside_re = qr/^(?:(?:CREATE|DROP|ALTER)\s+DATABASE|ALTER\s+SYSTEM
	|REINDEX\s+(?:\([^)]*\)\s*)?(?:SCHEMA|DATABASE|SYSTEM))\b/ix;

# The beginning of an ALTER TABLE, and of a CREATE TABLE
my $alter_re = qr/^ALTER\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?/i;
my $create_re = qr/^CREATE\s+(?:UNLOGGED\s+|TEMP\w*\s+)?TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?/i;

# The statements of a script, without comments around them
sub split_script
{
	my ($script) = @_;
	my @statements = ('');

	while ($script =~ /\G(
			--[^\n]* | \/\*.*?\*\/ |
			[eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" |
			(\$\w*\$).*?\g{2} | ; | .)/gsx)
	{
		my $token = $1;

		if ($token eq ';')
		{
			push @statements, '';
		}
		elsif ($token !~ /^(?:--|\/\*)/)
		{
			$statements[-1] .= $token;
		}
	}
	s/^\s+|\s+$//g foreach @statements;
	return grep { length } @statements;
}

# What the server refuses to run in a transaction
sub needs_no_transaction
{
	my ($sql) = @_;

	return $sql =~ /\bCONCURRENTLY\b(?!\s+(?:false|off|0)\b)/i && $sql !~ /^REFRESH/i
	  || $sql =~ $outside_re || $sql =~ /^(?:VACUUM|REPACK)\b/i;
}

# The same in a transaction, or nothing
sub in_transaction
{
	my ($sql) = @_;

	return '' if $sql =~ /^(?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT)\b(?!.*\bTO\b)/i;
	return "ANALYZE $1" if $sql =~ /^VACUUM\b$vacuum_options_re\s*($qualified_re)/i;
	return '' if $sql =~ /^VACUUM\b/i || $sql =~ $outside_re;
	$sql =~ s/\bCONCURRENTLY\b(?!\s+(?:false|off|0)\b)//i unless $sql =~ /^REFRESH/i;
	$sql =~ s/^(REINDEX)\s*\(\s*\)/$1/i;
	return $sql;
}

sub bare
{
	my ($name) = @_;

	$name =~ s/^.*\.(?=$name_re$)//;
	return $name =~ /^"(.*)"$/ ? $1 : lc $name;
}

# "schema.name" in the one spelling that tables are known by
sub key_of
{
	my ($name) = @_;

	return join '.', map { bare($_) } $name =~ /$name_re/g;
}

sub quoted
{
	my ($name) = @_;

	return join '.', map { "\"$_\"" } split /\./, $name;
}

# The table that a statement is about
sub table_of
{
	my ($sql) = @_;

	return key_of($1)
	  if $sql =~ /$alter_re($qualified_re)/
	  || $sql =~ /^(?:TRUNCATE|DROP|COMMENT\s+ON|LOCK)\s+TABLE\s+(?:IF\s+EXISTS\s+)?(?:ONLY\s+)?($qualified_re)/i
	  || $sql =~ /^CREATE\s+(?:UNIQUE\s+)?INDEX\b.*?\bON\s+(?:ONLY\s+)?($qualified_re)/is
	  || $sql =~ /^(?:UPDATE|DELETE\s+FROM|INSERT\s+INTO)\s+(?:ONLY\s+)?($qualified_re)/i
	  || $sql =~ /^(?:ALTER|CREATE|DROP)\s+(?:POLICY|(?:CONSTRAINT\s+)?TRIGGER|RULE)\b.*?\bON\s+($qualified_re)/is
	  || $sql =~ /\bFROM\s+($qualified_re)/i;
	return;
}

# A type for a column that has none yet, from what is done with it
sub type_of
{
	my ($column, $sql) = @_;
	my $c = qr/"?\Q$column\E"?/i;
	my %before = (
		bigint => 'int', int8 => 'int', integer => 'smallint', int => 'smallint', int4 => 'smallint',
		text => 'varchar(50)', timestamptz => 'timestamp', timestamp => 'timestamptz', jsonb => 'json', json => 'jsonb',
		numeric => 'int', decimal => 'int', date => 'timestamp', boolean => 'boolean', smallint => 'smallint',
	);

	if ($sql =~ /\bALTER\s+(?:COLUMN\s+)?$c\s+(?:SET\s+DATA\s+)?TYPE\s+("?\w+"?)/i)
	{
		return $before{ lc $1 } || 'text';
	}
	return 'bigint' if $column =~ /(?:^|_)id$/i;
	return 'timestamptz' if $column =~ /(?:_at|_ts|date|time)$/i;
	return 'int' if $sql =~ /$c\s*(?:[<>]=?|[-+*\/]|BETWEEN)\s*\S/i || $sql =~ /\w\s*[+*]\s*$c/;
	return 'int' if $sql =~ /$c\s*=\s*\d/ || $sql =~ /\bALTER\s+(?:COLUMN\s+)?$c\s+SET\s+DEFAULT\s+\d/i;
	return 'boolean' if $sql =~ /$c\s*=\s*(?:true|false)|SET\s+DEFAULT\s+(?:true|false)/i;
	return 'text';
}

# ---- the world: { tables => { key => { columns, ddl } }, order, before, after }

sub add_table
{
	my ($world, $key) = @_;

	return $world->{tables}{$key} if $world->{tables}{$key};
	push @{ $world->{order} }, $key;
	return $world->{tables}{$key} = { columns => {}, names => [] };
}

sub add_column
{
	my ($world, $key, $column, $type) = @_;
	my $table = add_table($world, $key);

	return 0 if ($table->{columns}{$column} || '') eq $type;
	push @{ $table->{names} }, $column unless $table->{columns}{$column};
	$table->{columns}{$column} = $type;
	return 1;
}

# A value of a type, another for each g
sub value_of
{
	my ($type) = @_;

	return 'g' if $type =~ /^(?:smallint|int|bigint|numeric)/;
	return q(now() + g * interval '1 s') if $type =~ /^timestamp/;
	return 'true' if $type eq 'boolean';
	return q('{}') if $type =~ /^json/;
	return q(md5(g::text)::uuid) if $type eq 'uuid';
	return q('v' || g) if $type =~ /^(?:text|varchar)/;
	return 'NULL';
}

# Each table has rows, so that what is done to it is some work.
sub sql_of
{
	my ($world) = @_;
	my @sql = @{ $world->{before} };

	foreach my $key (@{ $world->{order} })
	{
		my $table = $world->{tables}{$key};
		my $name = quoted($key);
		my @names = ('filler', @{ $table->{names} });
		my %types = (filler => 'int', %{ $table->{columns} });
		my $columns = join ', ', map { "\"$_\" $types{$_}" } @names;

		push @sql, "CREATE TABLE $name ($columns)" . ($table->{partitioned} ? ' PARTITION BY RANGE (filler)' : '');
		my $from = 0;

		foreach my $partition (map { quoted($_) } @{ $table->{partitions} || [] })
		{
			push @sql,
			  sprintf 'CREATE TABLE %s PARTITION OF %s FOR VALUES FROM (%d) TO (%d)', $partition, $name,
			  $from, $from + 10000;
			$from += 10000;
		}
		push @sql, "CREATE TABLE filled_$table->{number} PARTITION OF $name FOR VALUES FROM (0) TO (10000)"
		  if $table->{partitioned} && !@{ $table->{partitions} || [] };
		push @sql,
		  "INSERT INTO $name SELECT " . join(', ', map { value_of($types{$_}) } @names) . ' FROM generate_series(1, 3000) AS g';
	}
	return (@sql, @{ $world->{after} });
}

sub add_sql
{
	my ($world, $when, $sql) = @_;

	return 0 if grep { $_ eq $sql } @{ $world->{$when} };
	push @{ $world->{$when} }, $sql;
	return 1;
}

# What a script says about objects before it is run: partitions
sub foresee
{
	my ($world, @statements) = @_;
	my %created;

	foreach my $sql (@statements)
	{
		$created{ key_of($1) } = 1
		  if $sql =~ /$create_re($qualified_re)/;
		add_sql($world, 'before', 'CREATE SCHEMA IF NOT EXISTS ' . quoted(key_of($1)))
		  if $sql =~ /^REINDEX\s+(?:\([^)]*\)\s*)?SCHEMA\s+(?:CONCURRENTLY\s+)?($name_re)/i;
		if ($sql =~ /^REINDEX\s+(?:\([^)]*\)\s*)?TABLE\s+(?:CONCURRENTLY\s+)?($qualified_re)/i && !$created{ key_of($1) })
		{
			add_table($world, key_of($1));
			add_sql($world, 'after', 'CREATE INDEX ON ' . quoted(key_of($1)) . ' (filler)');
		}
		if ($sql =~ /\bPARTITION\s+OF\s+($qualified_re)/i && !$created{ key_of($1) }
			|| $sql =~ /$alter_re($qualified_re)\s+ATTACH\s+PARTITION/i && !$created{ key_of($1) })
		{
			my $table = add_table($world, key_of($1));

			$table->{partitioned} = 1;
			$table->{number} = scalar keys %{ $world->{tables} };
		}
		if ($sql =~ /$alter_re($qualified_re)\s+DETACH\s+PARTITION\s+($qualified_re)/i
			&& !$created{ key_of($1) })
		{
			my ($parent, $child) = map { key_of($_) } $1, $2;
			my $table = add_table($world, $parent);

			$table->{partitioned} = 1;
			push @{ $table->{partitions} }, $child unless grep { $_ eq $child } @{ $table->{partitions} || [] };
		}
	}
	return;
}

# Add what the error of a statement says is missing; false if it does not tell.
my @fixes = (
	[ qr/^schema "(.*?)" does not exist/, sub {
		my ($world, $sql, $name) = @_;
		return add_sql($world, 'before', "CREATE SCHEMA \"$name\"");
	} ],
	[ qr/^role "(.*?)" does not exist/, sub {
		my ($world, $sql, $name) = @_;
		return add_sql($world, 'before', <<"SQL");
DO \$\$ BEGIN CREATE ROLE "$name"; EXCEPTION WHEN duplicate_object THEN NULL; END \$\$
SQL
	} ],
	[ qr/^relation "([^"]*)" does not exist|^(?:table|index|view|materialized view|sequence) "([^"]*)" does not exist/, sub {
		my ($world, $sql, @names) = @_;
		my ($name) = grep { defined } @names;

		return missing_relation($world, $sql, $name);
	} ],
	[ qr/^index "([^"]*)" for table "([^"]*)" does not exist/, sub {
		my ($world, $sql, $index, $table) = @_;
		return add_sql($world, 'after', "CREATE UNIQUE INDEX \"$index\" ON \"$table\" (filler)");
	} ],
	[ qr/^column "(.*?)" of relation "(.*?)" does not exist/, sub {
		my ($world, $sql, $column, $table) = @_;
		my ($key) = grep { /(?:^|\.)\Q$table\E$/ } @{ $world->{order} };

		return 0 if !defined $key;
		add_sql($world, 'after', 'ALTER TABLE ' . quoted($key) . " ALTER COLUMN \"$column\" SET NOT NULL")
		  if $sql =~ /\bDROP\s+NOT\s+NULL\b/i;
		return add_column($world, $key, $column, type_of($column, $sql));
	} ],
	[ qr/^column "(.*?)" (?:named in key |referenced in (?:foreign key constraint|statistics) )?does not exist/, sub {
		my ($world, $sql, $column) = @_;
		my $key = table_of($sql);

		# the other end of a foreign key
		if ($sql =~ /\bREFERENCES\s+($qualified_re)\s*\(\s*"?\Q$column\E"?/i && $world->{tables}{ key_of($1) })
		{
			my $other = key_of($1);

			return 1 if !$world->{tables}{$other}{columns}{$column} && add_column($world, $other, $column, type_of($column, ''));
		}
		return defined $key && $world->{tables}{$key} && !$world->{tables}{$key}{columns}{$column}
		  && add_column($world, $key, $column, type_of($column, $sql));
	} ],
	[ qr/^column \w+\.(\w+) does not exist/, sub {
		my ($world, $sql, $column) = @_;
		my $key = table_of($sql);

		return defined $key && $world->{tables}{$key} && add_column($world, $key, $column, type_of($column, $sql));
	} ],
	[ qr/^type "(.*?)" does not exist/, sub {
		my ($world, $sql, $name) = @_;
		my $key = quoted($name);

		return add_sql($world, 'before', "CREATE DOMAIN $key AS int") if $sql =~ /^(?:ALTER|DROP)\s+DOMAIN/i;
		return 0 if $sql !~ /^(?:ALTER|DROP)\s+TYPE/i;
		return add_sql($world, 'before', "CREATE TYPE $key AS (a int)") if $sql =~ /\bATTRIBUTE\b/i;
		return add_sql($world, 'before', "CREATE TYPE $key AS ENUM ('a', 'active')");
	} ],
	[ qr/^domain "(.*?)" does not exist/, sub {
		my ($world, $sql, $name) = @_;
		return add_sql($world, 'before', 'CREATE DOMAIN ' . quoted($name) . ' AS int');
	} ],
	[ qr/^"?(.*?)"? is not an existing enum label/, sub {
		my ($world, $sql, $label) = @_;
		my ($type) = $sql =~ /^ALTER\s+TYPE\s+($qualified_re)/i or return 0;

		return add_sql($world, 'after', "ALTER TYPE $type ADD VALUE '$label'");
	} ],
	[ qr/^constraint "(.*?)" (?:of relation|for table|of domain) "(.*?)" does not exist/, sub {
		my ($world, $sql, $constraint, $table) = @_;

		return add_sql($world, 'after',
			"ALTER DOMAIN \"$table\" ADD CONSTRAINT \"$constraint\" CHECK (value > -1) NOT VALID")
		  if $sql =~ /^ALTER\s+DOMAIN/i;
		my ($key) = grep { /(?:^|\.)\Q$table\E$/ } @{ $world->{order} };

		return 0 if !defined $key;
		my $valid = $sql =~ /\bVALIDATE\b/i ? 'NOT VALID' : '';

		if ($constraint =~ /fk|foreign/i)
		{
			add_sql($world, 'before', 'CREATE TABLE fk_target (id int PRIMARY KEY)');
			add_sql($world, 'before', 'INSERT INTO fk_target SELECT generate_series(1, 3000)');
			return add_sql($world, 'after',
				'ALTER TABLE ' . quoted($key) . " ADD CONSTRAINT \"$constraint\" FOREIGN KEY (filler) REFERENCES fk_target (id) $valid");
		}
		return add_sql($world, 'after',
			'ALTER TABLE ' . quoted($key) . " ADD CONSTRAINT \"$constraint\" CHECK (filler > 0) $valid");
	} ],
	[ qr/^trigger "(.*?)" for table "(.*?)" does not exist/, sub {
		my ($world, $sql, $trigger, $table) = @_;

		add_sql($world, 'before', q(CREATE FUNCTION filler_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'));
		return add_sql($world, 'after', <<"SQL");
CREATE TRIGGER "$trigger" BEFORE INSERT ON "$table" FOR EACH ROW EXECUTE FUNCTION filler_trigger()
SQL
	} ],
	[ qr/^policy "(.*?)" for table "(.*?)" does not exist/, sub {
		my ($world, $sql, $policy, $table) = @_;
		return add_sql($world, 'after', "CREATE POLICY \"$policy\" ON \"$table\"");
	} ],
	[ qr/^function (.*?)\((.*?)\) does not exist/, sub {
		my ($world, $sql, $name, $arguments) = @_;

		$arguments =~ s/\bunknown\b/text/g;
		return add_sql($world, 'before',
			"CREATE FUNCTION $name($arguments) RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'")
		  if $sql =~ /\bTRIGGER\b/i;
		my $type = $name =~ /uuid/i ? 'uuid' : $sql =~ /^ALTER\s+TABLE.*\bADD\s+(?:COLUMN\s+)?$name_re\s+(\w+)/is ? $1 : 'int';

		$type = 'int' if lc $type eq 'constraint' || lc $type eq 'check';
		return add_sql($world, 'before',
			"CREATE FUNCTION $name($arguments) RETURNS $type LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'");
	} ],
	[ qr/^could not find a function named "(.*?)"/, sub {
		my ($world, $sql, $name) = @_;
		return add_sql($world, 'before', 'CREATE FUNCTION ' . quoted($name) . '() RETURNS int LANGUAGE sql AS \'SELECT 1\'');
	} ],
	[ qr/^there is no (?:unique constraint matching given keys|primary key) for referenced table "(.*?)"/, sub {
		my ($world, $sql, $table) = @_;
		my ($key) = grep { /(?:^|\.)\Q$table\E$/ } @{ $world->{order} };
		my ($columns) = $sql =~ /\bREFERENCES\s+(?:$name_re\.)?"?\Q$table\E"?\s*\(([^)]*)\)/i;

		return 0 if !defined $key;
		if (!defined $columns)
		{
			$columns = 'id';
			add_column($world, $key, 'id', 'bigint');
		}
		return add_sql($world, 'after', 'ALTER TABLE ' . quoted($key) . " ADD PRIMARY KEY ($columns)")
		  unless grep { /^ALTER TABLE \Q@{[quoted($key)]}\E ADD PRIMARY KEY/ } @{ $world->{after} };
		return add_sql($world, 'after', 'ALTER TABLE ' . quoted($key) . " ADD UNIQUE ($columns)");
	} ],
	[ qr/Key\ columns\ "(.*?)"\ (?:of\ the\ referencing\ table\ )?and\ "(.*?)"
		\ (?:of\ the\ referenced\ table\ )?are\ of\ incompatible\ types:\ (.*?)\ and\ (.*?)\./x, sub {
		my ($world, $sql, $column, $other_column, $type, $other_type) = @_;
		my $key = table_of($sql);
		my ($other) = $sql =~ /\bREFERENCES\s+($qualified_re)/i;

		return 1
		  if defined $key
		  && $world->{tables}{$key}
		  && $world->{tables}{$key}{columns}{$column}
		  && add_column($world, $key, $column, $other_type);
		return defined $other && $world->{tables}{ key_of($other) } && add_column($world, key_of($other), $other_column, $type);
	} ],
	[ qr/^operator\ does\ not\ exist:\ (?:
			(?:text|boolean|character\ varying)\ (?:[<>=]+|[-+*\/])\ (?:integer|numeric)
			| (?:text|bigint|integer)\ [-+*\/=]\ (?:text|bigint|integer))/x, sub {
		my ($world, $sql) = @_;
		my $key = table_of($sql);
		my $changed = 0;

		return 0 if !defined $key || !$world->{tables}{$key};
		foreach my $column (@{ $world->{tables}{$key}{names} })
		{
			$changed += add_column($world, $key, $column, 'int')
			  if $sql =~ /\b\Q$column\E\b/i && $world->{tables}{$key}{columns}{$column} eq 'text';
		}
		return $changed;
	} ],
);

sub missing_relation
{
	my ($world, $sql, $key) = @_;

	# the message may lack the schema
	$key = bare($1) . ".$key" if $key !~ /\./ && $sql =~ /($name_re)\."?\Q$key\E\b/;
	my $like = quoted($key);
	my ($bare) = $key =~ /([^.]+)$/;

	if ($sql =~ /\bUSING\s+INDEX\s+"?\Q$bare\E/i
		|| $sql =~ /^(?:DROP|ALTER|REINDEX)\s+(?:\([^)]*\)\s*)?INDEX/i
		|| $sql =~ /^CLUSTER\b.*\bUSING|^COMMENT\s+ON\s+INDEX/i)
	{
		my $table = table_of($sql);

		$table = key_of($1) if $sql =~ /^CLUSTER\s+($qualified_re)\s+USING/i;
		if (defined $table && $key eq $table)
		{
			add_table($world, $key);
			return 1;
		}
		if ($sql !~ /\bUSING\b/i)
		{
			$table = ($key =~ /^(.*\.)/ ? $1 : '') . "indexed_$bare";
			add_table($world, $table);
		}
		return 0 if !defined $table || !$world->{tables}{$table};
		my $columns = 'filler';

		add_sql($world, 'after', 'ALTER TABLE ' . quoted($table) . ' ALTER COLUMN filler SET NOT NULL')
		  if $sql =~ /\bPRIMARY\s+KEY\s+USING/i;
		return add_sql($world, 'after', "CREATE UNIQUE INDEX \"$bare\" ON " . quoted($table) . " ($columns)");
	}
	if ($sql =~ /\bMATERIALIZED\s+VIEW\b/i)
	{
		add_sql($world, 'after', "CREATE MATERIALIZED VIEW $like AS SELECT g AS id FROM generate_series(1, 1000) AS g");
		return add_sql($world, 'after', 'CREATE UNIQUE INDEX ON ' . "$like (id)");
	}
	return add_sql($world, 'after', "CREATE VIEW $like AS SELECT 1 AS id") if $sql =~ /^(?:ALTER|DROP|COMMENT\s+ON)\s+VIEW/i;
	return add_sql($world, 'after', "CREATE SEQUENCE $like") if $sql =~ /^(?:ALTER|DROP)\s+SEQUENCE|\bnextval\b/i;
	return 0 if $world->{tables}{$key};
	add_table($world, $key);
	return 1;
}

# The statements that make the world of a script; or (undef, why there is none).
# Runs in the connection's database, whose transaction is rolled back.
sub world_for
{
	my ($dbh, $script, @given) = @_;

	# With IF EXISTS nothing is missed, but what it names is meant to exist.
	my ($first, @more) = try_world($dbh, $script =~ s/\bIF\s+EXISTS\b//gir, @given);

	return ($first, @more) if defined $first || !@more;
	return try_world($dbh, $script, @given) if $script =~ /\bIF\s+EXISTS\b/i;
	return ($first, @more);
}

sub try_world
{
	my ($dbh, $script, @given) = @_;
	my @statements = split_script($script);
	my %world = (tables => {}, order => [], before => [@given], after => []);
	my $why;

	return (undef, 'it has no statement') if !@statements;
	foresee(\%world, @statements);
	foreach my $attempt (1 .. 40)
	{
		my $now;

		$why = undef;
		$dbh->do('BEGIN');
		foreach my $sql (sql_of(\%world))
		{
			next if eval { $dbh->do($sql); 1 };
			$why = 'the world itself: ' . $dbh->errstr;
			last;
		}
		foreach my $sql (defined $why ? () : @statements)
		{
			my $run = in_transaction($sql);

			next if $run eq '' || eval { $dbh->do($run); 1 };
			# rows that break a rule are nothing that a world could mend
			last if $dbh->state =~ /^23/;
			$why = $dbh->errstr;
			$now = $run;
			last;
		}
		$dbh->do('ROLLBACK');
		return sql_of(\%world) if !defined $why;
		$why =~ s/^ERROR:\s+//;
		last if !defined $now || !fix(\%world, $now, $why);
	}
	$why =~ s/\n.*//s;
	return (undef, $why);
}

sub fix
{
	my ($world, $sql, $error) = @_;

	foreach my $fix (@fixes)
	{
		my ($pattern, $add) = @$fix;

		next unless my @parts = $error =~ $pattern;
		return 1 if $add->($world, $sql, @parts);
	}
	return 0;
}

1;
