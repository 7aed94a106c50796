# Everything that hangs on the old column is there for the new one, under its
# old name: after a rollback the definitions are what they were, to the byte,
# and after finish they are what they would be had the column always been the
# new one, down to the rows of the system catalogs.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use MigspecTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('carry', 'migspec.naptime' => 50);
my $dbh = connect_to($node);
my $version = $dbh->{pg_server_version};

# What the catalogs say about user's objects, without OIDs.
my $catalogs = <<'SQL';
WITH member AS (SELECT classid, objid FROM pg_depend WHERE deptype = 'e'),
line (t) AS (
	SELECT concat_ws(' | ', 'depend', pg_describe_object(classid, objid, objsubid),
		deptype, pg_describe_object(refclassid, refobjid, refobjsubid))
	FROM pg_depend d WHERE objid >= 16384 AND deptype <> 'e'
		AND NOT EXISTS (SELECT FROM member m WHERE (m.classid, m.objid) = (d.classid, d.objid))
	UNION ALL
	SELECT concat_ws(' | ', 'index', indexrelid::regclass, indrelid::regclass, indisunique,
		indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid,
		indisready, indislive, indisreplident, pg_get_indexdef(indexrelid),
		(SELECT string_agg(attname, ',' ORDER BY n) FROM unnest(indkey) WITH ORDINALITY k (c, n)
			JOIN pg_attribute ON attrelid = indrelid AND attnum = c))
	FROM pg_index WHERE indexrelid >= 16384
	UNION ALL
	SELECT concat_ws(' | ', 'index column', attrelid::regclass, attnum, atttypid::regtype,
		atttypmod, attlen, attbyval, attalign, attstorage, attcollation::regcollation)
	FROM pg_attribute JOIN pg_index ON indexrelid = attrelid WHERE indexrelid >= 16384
	UNION ALL
	SELECT concat_ws(' | ', 'constraint', conrelid::regclass, conname, contype, condeferrable,
		condeferred, convalidated, conindid::regclass, confrelid::regclass,
		pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint'))
	FROM pg_constraint WHERE oid >= 16384 AND conparentid = 0
	UNION ALL
	SELECT concat_ws(' | ', 'trigger', tgrelid::regclass, tgfoid::regproc, tgtype, tgenabled,
		tgconstrrelid::regclass, tgconstrindid::regclass, conname, tgdeferrable, tginitdeferred)
	FROM pg_trigger t LEFT JOIN pg_constraint c ON c.oid = tgconstraint
	UNION ALL
	SELECT concat_ws(' | ', 'column', attrelid::regclass, attname, atttypid::regtype, attnotnull,
		attidentity, attstorage, attcompression, attcollation::regcollation, attacl,
		col_description(attrelid, attnum))
	FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
	WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped AND relkind IN ('r', 'p')
)
SELECT regexp_replace(t, '\d{5,}|(?<=_fkey)\d*', 'N', 'g') COLLATE "C" AS t FROM line
WHERE t !~ 'migspec|pg_toast' ORDER BY 1
SQL

my $copies = 0;

# Two texts are the same; if not, show the lines that differ.
sub same_text
{
	my ($got, $expected, $what) = @_;
	my %count;

	$count{$_}++ foreach split /\n/, $got;
	$count{$_}-- foreach split /\n/, $expected;
	# with the same lines in another order, one has to see all of it
	return is($got, $expected, $what) unless grep { $_ } values %count;
	ok(0, $what);
	diag(map { ($count{$_} > 0 ? 'unexpected: ' : 'missing: ') . "$_\n" }
		  grep { $count{$_} } sort keys %count);
	return;
}

# The same definitions in a fresh database must give the same catalogs.
sub same_catalogs
{
	my ($what, $schema) = @_;
	my $copy = 'copy_' . ++$copies;
	my $file = PostgreSQL::Test::Utils::tempdir . '/schema.sql';

	$dbh->do("CREATE DATABASE $copy");
	$node->command_ok(
		[ 'pg_dump', '-s', '-n', $schema, '-d', $node->connstr('postgres'), '-f', $file ],
		"$what: dump");
	$node->command_ok(
		[ 'psql', '-qXo', '/dev/null', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr($copy), '-f', $file ],
		"$what: restore");
	my $there = connect_to($node, $copy);
	my ($ours, $theirs) = map {
		$_->do('SET search_path = pg_catalog');
		join("\n", @{ $_->selectcol_arrayref($catalogs) }) . "\n"
	} connect_to($node), $there;
	$there->disconnect;
	$dbh->do("DROP DATABASE $copy");
	foreach my $side (\$ours, \$theirs)
	{
		# other schemas, and what a copy cannot have
		$$side = join('', grep { /\b\Q$schema\E\b/ && !/publication/ } $$side =~ /^.*\n/mg);
	}
	same_text($ours, $theirs, "$what: the catalogs are those of a table made like this");
	return;
}

# Through all phases up to contracted and back, then to the end.
#
#	operations		jsonb
#	tables			of which the first is the migrated one
#	as				role that calls
#	switched		called in phase switched
#	expected		makes the expected definition from the one before
#	check_catalogs	unless false
sub round_trip
{
	my ($what, %o) = @_;
	my $caller = connect_to($node);
	my @tables = @{ $o{tables} };
	my ($schema) = $tables[0] =~ /^(\w+)\./;
	my $before = definition_of($node, 'postgres', @tables);

	$caller->do("SET ROLE $o{as}") if $o{as};
	foreach my $migration ("${what} back", "${what} on")
	{
		my $on = $migration =~ /on$/;

		$caller->do('SELECT migspec_expand(?, ?)', undef, $migration, $o{operations});
		drive_to($dbh, $migration, 'migrated');
		amcheck_ok($dbh, $tables[0]) unless $o{partitioned};
		drive_to($dbh, $migration, 'switched');
		amcheck_ok($dbh, $tables[0]) unless $o{partitioned};
		$o{switched}->($migration) if $o{switched};
		drive_to($dbh, $migration, 'contracted');
		if ($on)
		{
			drive_to($dbh, $migration, 'finished');
			my $expected = $before;
			local $_ = $expected;
			$o{expected}->();
			same_text(definition_of($node, 'postgres', @tables), $_,
				"$what: finished, definitions are as they should be");
		}
		else
		{
			$caller->do('SELECT migspec_rollback(?)', undef, $migration);
			same_text(definition_of($node, 'postgres', @tables), $before,
				"$what: rolled back, definitions are what they were");
		}
		amcheck_ok($dbh, $tables[0]) unless $o{partitioned};
		is_deeply([ leftovers($dbh) ], [], "$what: nothing is left");
		same_catalogs($migration, $schema) if $o{check_catalogs} // 1;
	}
	$caller->disconnect;
	return;
}

sub fails
{
	my ($sql, $state, $pattern, $what) = @_;
	my $dbh = connect_to($node);

	ok(!eval { $dbh->do($sql); 1 }, "$what: refused");
	is($dbh->state, $state, "$what: SQLSTATE");
	like($dbh->errstr, $pattern, "$what: message");
	$dbh->disconnect;
	return;
}

# ---------------------------------------------------------------------------
# A primary key with an identity, referred to by three foreign keys, one of
# them its own table's; and all that can hang on a column.

$dbh->do(<<'SQL');
CREATE ROLE owner_of_all;
CREATE ROLE reader;
CREATE ROLE granter;
CREATE SCHEMA keys AUTHORIZATION owner_of_all;
SET ROLE owner_of_all;
CREATE TABLE keys.parent (
	v text,
	boss int,
	id int GENERATED BY DEFAULT AS IDENTITY (START 7 INCREMENT 3),
	CONSTRAINT parent_key PRIMARY KEY (id) INCLUDE (v) WITH (fillfactor = 80),
	CONSTRAINT positive CHECK (id > 0),
	CONSTRAINT two_columns CHECK (id <> 5 OR v IS NOT NULL) NO INHERIT,
	CONSTRAINT own_boss FOREIGN KEY (boss) REFERENCES keys.parent
);
CREATE TABLE keys.child (
	id int PRIMARY KEY,
	parent_id int CONSTRAINT of_parent REFERENCES keys.parent ON DELETE CASCADE
);
CREATE TABLE keys.late (
	id int PRIMARY KEY,
	parent_id int REFERENCES keys.parent (id) MATCH FULL ON UPDATE CASCADE
		DEFERRABLE INITIALLY DEFERRED
);
ALTER TABLE keys.parent ADD CONSTRAINT unchecked CHECK (id <> 123456) NOT VALID;
CREATE INDEX parent_some ON keys.parent (v text_pattern_ops DESC, id)
	INCLUDE (boss) WITH (fillfactor = 70) WHERE id > 10;
CREATE UNIQUE INDEX parent_twice ON keys.parent ((id * 2));
ALTER INDEX keys.parent_twice ALTER COLUMN 1 SET STATISTICS 33;
CREATE STATISTICS keys.parent_stat (ndistinct, mcv) ON v, id FROM keys.parent;
ALTER STATISTICS keys.parent_stat SET STATISTICS 55;
ALTER TABLE keys.parent ALTER id SET STATISTICS 250, ALTER id SET (n_distinct = -1);
ALTER TABLE keys.parent REPLICA IDENTITY USING INDEX parent_key;
ALTER TABLE keys.parent CLUSTER ON parent_key;
ALTER TABLE keys.parent ENABLE ROW LEVEL SECURITY;
CREATE POLICY with_subquery ON keys.parent
	USING (id > 0 AND EXISTS (SELECT 1 FROM keys.child AS c WHERE c.parent_id = parent.id))
	WITH CHECK (id < 1000000);
CREATE POLICY for_reader ON keys.parent FOR SELECT TO reader USING (id > 7);
COMMENT ON COLUMN keys.parent.id IS 'the "column''s" comment';
COMMENT ON CONSTRAINT parent_key ON keys.parent IS 'key';
COMMENT ON INDEX keys.parent_key IS 'index of key';
COMMENT ON INDEX keys.parent_some IS 'some';
COMMENT ON CONSTRAINT positive ON keys.parent IS 'positive';
COMMENT ON CONSTRAINT of_parent ON keys.child IS 'of parent';
COMMENT ON STATISTICS keys.parent_stat IS 'stat';
COMMENT ON POLICY for_reader ON keys.parent IS 'for reader';
GRANT USAGE ON SCHEMA keys TO granter;
GRANT SELECT (id), UPDATE (id) ON keys.parent TO granter WITH GRANT OPTION;
GRANT SELECT (id), REFERENCES (id) ON keys.parent TO PUBLIC;
RESET ROLE;
SET ROLE granter;
GRANT SELECT (id) ON keys.parent TO reader;
RESET ROLE;
CREATE PUBLICATION columns FOR TABLE keys.parent (v, id) WHERE (id > 3);
INSERT INTO keys.parent (v) SELECT 'v' || g FROM generate_series(1, 500) g;
INSERT INTO keys.child SELECT g, g FROM generate_series(7, 300, 3) g;
INSERT INTO keys.late SELECT g, g FROM generate_series(7, 300, 3) g;
SQL

my ($key_oid) = $dbh->selectrow_array(
	q(SELECT oid FROM pg_constraint WHERE conname = 'parent_key'));
my $last = 7 + 3 * 499;

round_trip(
	'key',
	as => 'owner_of_all',
	tables => [qw(keys.parent keys.child keys.late)],
	operations =>
	  '[{"alter_column": {"table": "keys.parent", "column": "id", "type": "bigint"}}]',
	switched => sub {
		my $c = connect_to($node);

		is_deeply(
			$c->selectrow_arrayref(
				'SELECT oid, conindid::regclass::text, conkey FROM pg_constraint WHERE conname = ?',
				undef, 'parent_key')->[0],
			$key_oid, 'key: it is the same constraint');
		$last += 3;
		is($c->selectrow_array(q(INSERT INTO keys.parent (v) VALUES ('new') RETURNING id)),
			$last, 'key: identity goes on');
		is( $c->selectrow_array(
				q(INSERT INTO keys.parent (id, v) VALUES (100, 'again')
				ON CONFLICT ON CONSTRAINT parent_key DO UPDATE SET v = excluded.v RETURNING v)),
			'again', 'key: ON CONFLICT ON CONSTRAINT');
		is( $c->selectrow_array(
				q(INSERT INTO keys.parent (id, v) VALUES (100, 'once more')
				ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING v)),
			'once more', 'key: ON CONFLICT (column)');
		$c->disconnect;
		fails(q(INSERT INTO keys.parent (id) VALUES (100)),
			'23505', qr/unique constraint "parent_key"/, 'duplicate');
		fails(q(INSERT INTO keys.child VALUES (-1, 99999)),
			'23503', qr/constraint "of_parent"/, 'missing parent');
		fails(q(INSERT INTO keys.late VALUES (-1, 99999)),
			'23503', qr/constraint "late_parent_id_fkey"/, 'missing parent, deferred');
		fails(q(INSERT INTO keys.parent (id, v) VALUES (-1, 'x')),
			'23514', qr/constraint "positive"/, 'CHECK');
		$c = connect_to($node);
		$c->do('UPDATE keys.late SET parent_id = 10 WHERE id = 7');
		$c->do('DELETE FROM keys.late WHERE parent_id = 10');
		$c->do('DELETE FROM keys.parent WHERE id = 10');
		is($c->selectrow_array('SELECT count(*) FROM keys.child WHERE parent_id = 10'),
			0, 'key: ON DELETE CASCADE');
		$c->do(q(INSERT INTO keys.parent (id, v) VALUES (10, 'back')));
		$c->do('REINDEX TABLE keys.parent');
		$c->do('CLUSTER keys.parent');
		$c->do('VACUUM ANALYZE keys.parent');
		is_deeply(
			$c->selectall_arrayref(
				q(SELECT attnames::text, rowfilter FROM pg_publication_tables WHERE pubname = 'columns')),
			[ [ '{v,id}', '(id > 3)' ] ],
			'key: the publication has the new column');
		$c->disconnect;
	},
	expected => sub {
		s/(TABLE keys\.parent \(.*?)id integer/$1id bigint/s;
	});
is($dbh->selectrow_array(q(SELECT oid FROM pg_constraint WHERE conname = 'parent_key')),
	$key_oid, 'key: it still is the same constraint');
is($dbh->selectrow_array(q(INSERT INTO keys.parent (v) VALUES ('end') RETURNING id)),
	$last + 3, 'key: identity has lost no value');
is($dbh->selectrow_array(q(SELECT seqtypid::regtype FROM pg_sequence
	WHERE seqrelid = 'keys.parent_id_seq'::regclass)), 'bigint', 'key: type of the sequence');

# ---------------------------------------------------------------------------
# A rename: names that need quotes, a default, a serial column, an index as
# replica identity; several operations that meet in one index and one foreign
# key.

$dbh->do(<<'SQL');
CREATE SCHEMA names;
CREATE TABLE names.list (
	"the key" int PRIMARY KEY,
	name varchar(20) COLLATE "C" DEFAULT 'it''s $1 of "x"'::varchar NOT NULL
		CONSTRAINT list_name_short CHECK (length(name) < 20 AND name <> 'name'),
	place smallserial
);
ALTER TABLE names.list ALTER name SET STORAGE EXTERNAL, ALTER name SET COMPRESSION pglz;
CREATE UNIQUE INDEX by_name_and_place ON names.list
	(name COLLATE "POSIX" DESC NULLS LAST, place, lower(name) text_pattern_ops);
CREATE UNIQUE INDEX by_name ON names.list (name);
ALTER TABLE names.list REPLICA IDENTITY USING INDEX by_name;
ALTER TABLE names.list CLUSTER ON by_name;
CREATE INDEX by_hash ON names.list USING hash (name);
CREATE TABLE names.pairs (
	a int, b int, UNIQUE NULLS NOT DISTINCT (b, a),
	parent_a int, parent_b int,
	FOREIGN KEY (parent_b, parent_a) REFERENCES names.pairs (b, a) ON DELETE SET NULL (parent_a)
);
INSERT INTO names.list ("the key", name) SELECT g, 'n' || g FROM generate_series(1, 100) g;
INSERT INTO names.pairs SELECT g, g, g, g FROM generate_series(1, 100) g;
SQL

round_trip(
	'names',
	tables => ['names.list'],
	operations => '[{"rename_column": {"table": "names.list", "from": "name", "to": "Na\"me 2"}},'
	  . ' {"rename_column": {"table": "names.list", "from": "place", "to": "where"}}]',
	switched => sub {
		my $c = connect_to($node);

		is_deeply(
			$c->selectrow_arrayref(
				q(INSERT INTO names.list ("the key") VALUES (1000) RETURNING name, "Na""me 2")),
			[ ('it\'s $1 of "x"') x 2 ],
			'names: default for both');
		$c->do('DELETE FROM names.list WHERE "the key" = 1000');
		fails(q(INSERT INTO names.list ("the key", name) VALUES (2000, 'n1')),
			'23505', qr/"by_name"/, 'duplicate of the old name');
		fails(q(INSERT INTO names.list ("the key", "Na""me 2") VALUES (2000, 'n1')),
			'23505', qr/"by_name"/, 'duplicate of the new name');
		$c->do(q(INSERT INTO names.list ("the key", name) VALUES (2000, 'n1')
			ON CONFLICT (name) DO NOTHING));
		$c->do(q(INSERT INTO names.list ("the key", "Na""me 2") VALUES (2000, 'n1')
			ON CONFLICT ("Na""me 2") DO NOTHING));
		$c->disconnect;
	},
	expected => sub {
		s/\bname\b(?!'|\()/"Na""me 2"/g;
		s/\bplace\b/"where"/g;
		s/list "where"; Type/list where; Type/;
		return if $version < 180000;
		# a constraint of its own, which keeps its name
		s/(Na""me 2".*?) NOT NULL/$1 CONSTRAINT list_name_not_null NOT NULL/;
		s/("where" smallint) NOT NULL/$1 CONSTRAINT list_place_not_null NOT NULL/;
	});

round_trip(
	'pairs',
	tables => ['names.pairs'],
	operations => '[{"rename_column": {"table": "names.pairs", "from": "parent_a", "to": "pa"}},'
	  . ' {"alter_column": {"table": "names.pairs", "column": "parent_b", "type": "bigint"}}]',
	expected => sub {
		s/^    parent_a integer,\n    parent_b integer\n/    pa integer,\n    parent_b bigint\n/m;
		s/\bparent_a\b/pa/g;
	});
round_trip(
	'pairs too',
	tables => ['names.pairs'],
	operations => '[{"alter_column": {"table": "names.pairs", "column": "a", "type": "bigint"}},'
	  . ' {"rename_column": {"table": "names.pairs", "from": "b", "to": "c"}}]',
	expected => sub {
		s/^    a integer,\n    b integer,\n(.*?)\n\)/$1,\n    a bigint,\n    c integer\n)/ms;
		s/\(b, a\)/(c, a)/g;
	});

# Both ends of a foreign key in one migration, with values that change.
$dbh->do(<<'SQL');
CREATE SCHEMA ends;
CREATE TABLE ends.a (id int PRIMARY KEY);
CREATE TABLE ends.b (id int PRIMARY KEY, a_id int REFERENCES ends.a);
INSERT INTO ends.a SELECT g FROM generate_series(1, 100) g;
INSERT INTO ends.b SELECT g, g FROM generate_series(1, 100) g;
SQL
fails(q(SELECT migspec_plan('one end', '[{"alter_column": {"table": "ends.a", "column": "id",
	"type": "text", "up": "''a'' || id", "down": "substr(id, 2)::int"}}]')),
	'MG106', qr/b_a_id_fkey.*"up" changes the values of only one side/, 'one end');
round_trip(
	'ends',
	tables => [qw(ends.a ends.b)],
	operations => q([{"alter_column": {"table": "ends.b", "column": "a_id", "type": "text",
			"up": "'a' || a_id", "down": "substr(a_id, 2)::int"}},
		{"alter_column": {"table": "ends.a", "column": "id", "type": "text",
			"up": "'a' || id", "down": "substr(id, 2)::int"}}]),
	expected => sub {
		s/^    a_id integer$/    a_id text/m;
		s/TABLE ends\.a \(\n    id integer/TABLE ends.a (\n    id text/;
	});

# ---------------------------------------------------------------------------
# A deferrable key never rejects what it used to accept.

$dbh->do(<<'SQL');
CREATE SCHEMA deferred;
CREATE TABLE deferred.t (
	id serial PRIMARY KEY,
	place int CONSTRAINT one_place UNIQUE DEFERRABLE
);
COMMENT ON CONSTRAINT one_place ON deferred.t IS 'one';
INSERT INTO deferred.t (place) SELECT g FROM generate_series(1, 200) g;
SQL
my $shift = sub { $dbh->do('UPDATE deferred.t SET place = place + 1') };

round_trip(
	'late',
	tables => ['deferred.t'],
	operations =>
	  '[{"alter_column": {"table": "deferred.t", "column": "place", "type": "bigint"}}]',
	switched => sub {
		$shift->();
		fails('UPDATE deferred.t SET place = 100 WHERE place < 50',
			'23505', qr/"one_place"/, 'duplicate, late');
	},
	expected => sub { s/^    place integer$/    place bigint/m });
$shift->();
fails('UPDATE deferred.t SET place = 100 WHERE place < 50',
	'23505', qr/"one_place"/, 'duplicate after finish');

# ---------------------------------------------------------------------------
# Partitions, with columns in another order, and things of their own.

$dbh->do(<<'SQL');
CREATE SCHEMA parts;
CREATE TABLE parts.p (
	created date NOT NULL,
	v text COLLATE "C" DEFAULT 'x',
	id int NOT NULL,
	CONSTRAINT p_key PRIMARY KEY (id, created),
	CONSTRAINT p_short CHECK (length(v) < 100 AND id > 0)
) PARTITION BY RANGE (created);
CREATE TABLE parts.p1 PARTITION OF parts.p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE parts.p2 (v text COLLATE "C", junk int, created date NOT NULL, id int NOT NULL);
ALTER TABLE parts.p2 DROP COLUMN junk;
ALTER TABLE parts.p2 ADD CONSTRAINT p_short CHECK (length(v) < 100 AND id > 0);
ALTER TABLE parts.p ATTACH PARTITION parts.p2 FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE TABLE parts.p3 PARTITION OF parts.p FOR VALUES FROM ('2022-01-01') TO ('2024-01-01')
	PARTITION BY RANGE (created);
CREATE TABLE parts.p3a PARTITION OF parts.p3 FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
CREATE INDEX p_lower ON parts.p (lower(v), created DESC) INCLUDE (id) WHERE id <> 77;
CREATE INDEX p1_own ON parts.p1 (id);
ALTER TABLE parts.p2 ADD CONSTRAINT p2_own CHECK (id <> 88);
ALTER TABLE parts.p1 REPLICA IDENTITY USING INDEX p1_pkey;
COMMENT ON COLUMN parts.p3a.id IS 'leaf';
COMMENT ON INDEX parts.p_lower IS 'lower';
GRANT SELECT (id) ON parts.p1 TO reader;
CREATE TABLE parts.child (
	p_id int, p_created date,
	CONSTRAINT of_p FOREIGN KEY (p_id, p_created) REFERENCES parts.p
);
INSERT INTO parts.p (id, created, v)
	SELECT g, '2020-01-01'::date + g, 'v' || g FROM generate_series(1, 1000) g;
INSERT INTO parts.child SELECT id, created FROM parts.p1 WHERE id % 10 = 0;
SQL

round_trip(
	'parts',
	partitioned => 1,
	tables => [qw(parts.p parts.p1 parts.p2 parts.p3 parts.p3a parts.child)],
	operations => '[{"alter_column": {"table": "parts.p", "column": "id", "type": "bigint"}}]',
	switched => sub {
		my $c = connect_to($node);

		$c->do(q(INSERT INTO parts.p (id, created) VALUES (1, '2020-01-02')
			ON CONFLICT (id, created) DO NOTHING));
		$c->disconnect;
		fails(q(INSERT INTO parts.p (id, created) VALUES (1, '2020-01-02')),
			'23505', qr/"p1_pkey"/, 'duplicate in a partition');
		fails(q(INSERT INTO parts.child VALUES (1, '2020-01-03')),
			'23503', qr/"of_p"/, 'missing row in a partition');
		fails(q(DELETE FROM parts.p WHERE id = 10), '23503', qr/violates foreign key constraint/, 'referred to');
	},
	expected => sub { s/^    id integer /    id bigint /mg });
$dbh->do('ALTER TABLE parts.p DETACH PARTITION parts.p2');
$dbh->do(q(ALTER TABLE parts.p ATTACH PARTITION parts.p2
	FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')));
pass('partitions can be detached and attached again');

# While not all partitions have the new key, ON CONFLICT goes by the old one.
my $rename_id = '[{"rename_column": {"table": "parts.p", "from": "id", "to": "number"}}]';
$dbh->do('SELECT migspec_expand(?, ?)', undef, 'half', $rename_id);
$dbh->do('CREATE UNIQUE INDEX half ON ONLY parts.p (number, created)');
$dbh->do(q(INSERT INTO parts.p (id, created) VALUES (1, '2020-01-02')
	ON CONFLICT (id, created) DO NOTHING));
pass('ON CONFLICT while the new key is being built');
$dbh->do('DROP INDEX parts.half');
$dbh->do('SELECT migspec_rollback(?)', undef, 'half');

# ---------------------------------------------------------------------------
# What would change its meaning.

$dbh->do(<<'SQL');
CREATE SCHEMA money;
CREATE TABLE money.t (
	id int PRIMARY KEY,
	cents int DEFAULT 100 NOT NULL CONSTRAINT some_cents CHECK (cents >= 100)
);
INSERT INTO money.t SELECT g, 100 + g FROM generate_series(1, 100) g;
SQL
my $to_units = '[{"alter_column": {"table": "money.t", "column": "cents", "type": "numeric",'
  . ' "up": "cents / 100.0", "down": "(cents * 100)::int"}}]';
$dbh->do('SELECT migspec_expand(?, ?)', undef, 'money', $to_units);
$dbh->do('SELECT migspec_migrate(?)', undef, 'money');
wait_for(
	'the rows to be found',
	sub {
		($dbh->selectrow_array(
				q(SELECT last_error FROM migspec.migrations WHERE name = 'money')) // '') =~
		  /would violate a constraint/;
	});
$dbh->do('INSERT INTO money.t VALUES (1000, 100)');
pass('a CHECK that the new values do not satisfy harms no writer');
$dbh->do('SELECT migspec_rollback(?)', undef, 'money');
$dbh->do('ALTER TABLE money.t DROP CONSTRAINT some_cents');
round_trip(
	'money',
	tables => ['money.t'],
	operations => $to_units,
	switched => sub {
		is($dbh->selectrow_array('INSERT INTO money.t VALUES (2000) RETURNING cents::float'),
			1, 'the default is converted, too');
		$dbh->do('DELETE FROM money.t WHERE id = 2000');
	},
	expected => sub {
		s/cents integer DEFAULT 100 NOT NULL/cents numeric DEFAULT ((100)::numeric \/ 100.0) NOT NULL/;
	});

# ---------------------------------------------------------------------------
# What comes after the plan is noticed.

$dbh->do(<<'SQL');
CREATE SCHEMA drift;
CREATE TABLE drift.t (id int PRIMARY KEY, v text);
SQL
my $rename = '[{"rename_column": {"table": "drift.t", "from": "v", "to": "w"}}]';
foreach my $object (
	'INDEX i ON drift.t (v)',
	'VIEW drift.i AS SELECT v FROM drift.t')
{
	my ($kind) = $object =~ /^(\w+)/;

	$dbh->do('SELECT migspec_expand(?, ?)', undef, 'drift', $rename);
	drive_to($dbh, 'drift', 'verified');
	$dbh->do('SET migspec.phase_guard = off');
	$dbh->do("CREATE $object");
	$dbh->do('RESET migspec.phase_guard');
	fails(q(SELECT migspec_switch('drift')), 'MG305', qr/has come or changed/, "new $kind");
	$dbh->do("DROP $kind drift.i");
	drive_to($dbh, 'drift', 'contracted');
	$dbh->do('SELECT migspec_rollback(?)', undef, 'drift');
}

# ---------------------------------------------------------------------------
# Rights.

$dbh->do(<<'SQL');
CREATE SCHEMA rights;
CREATE TABLE rights.t (id int PRIMARY KEY);
ALTER TABLE rights.t OWNER TO owner_of_all;
GRANT USAGE ON SCHEMA rights TO owner_of_all;
SQL
my $widen = '[{"alter_column": {"table": "rights.t", "column": "id", "type": "bigint"}}]';
my $owner = connect_to($node);
$owner->do('SET ROLE owner_of_all');
ok(!eval { $owner->do('SELECT migspec_plan(?, ?)', undef, 'rights', $widen); 1 },
	'an owner who may not create indexes');
is($owner->state, '42501', 'is told so when planning');
$dbh->do('GRANT CREATE ON SCHEMA rights TO owner_of_all');
$dbh->do('CREATE TABLE rights.child (t_id int REFERENCES rights.t)');
ok(!eval { $owner->do('SELECT migspec_plan(?, ?)', undef, 'rights', $widen); 1 },
	'an owner who does not own a referring table');
is($owner->state, 'MG107', 'is told so when planning');
foreach my $call (
	q(swap_index('rights.t', 'rights.t_pkey', 'rights.t_pkey')),
	q(make_deferrable_key('rights.t', 't_pkey', 'rights.t_pkey')),
	q(check_unique('rights.t', 'rights.t_pkey')),
	q(check_rows('rights.t', 'true')),
	q(move_identity('rights.t', 'id', 'id')),
	q(copy_column_grants('rights.t', 'id', 'id')),
	q(rename_constraint('rights.child', 'child_t_id_fkey', 'x')))
{
	ok(!eval { $owner->do("SELECT migspec.$call"); 1 } && $owner->state eq '42501',
		"migspec.$call is not for users");
}

$owner->disconnect;
$dbh->disconnect;
$node->stop;
done_testing();
