# Why migspec_check() and another tool disagree, where no measurement decides:
# [ topic, tool, who says it (theirs, ours), text, class, reason ]; the first
# that fits counts.

use strict;
use warnings;

my $any = qr/./s;

our @reasons = (
	[ $any, $any, 'ours', qr/-ignore|: ignore/, 'opinion', 'the text tells the other tool to be quiet' ],
	[
		qr/^ADD COLUMN NOT NULL/, $any, 'theirs', qr/INSERT INTO fresh_table/, 'theirs right',
		'the script makes the table and gives it a row, so that it fails'
	],
	[
		qr/^(?:ADD COLUMN NOT NULL|DROP|TRUNCATE|rename)/, $any, 'theirs', qr/CREATE TABLE/i, 'ours right',
		'the table is made by the same script, so that nobody uses it yet'
	],
	[ qr/^constraints/, $any, 'ours', $any, 'ours right', 'an index is built' ],
	[ qr/^REINDEX/, $any, 'theirs', qr/SCHEMA|DATABASE|SYSTEM/i, 'ours right', 'there is no index to build in it' ],
	[
		qr/^lock_timeout/, $any, 'theirs', qr/\b(?:DATABASE|SCHEMA|SYSTEM)\b/i, 'opinion',
		'no table is locked, or none that anybody uses here'
	],
	[
		qr/^lock_timeout/, $any, 'theirs', qr/DETACH PARTITION \w+ CONCURRENTLY/i, 'opinion',
		'a timeout while it waits leaves the partition half detached, and the next one has to be FINALIZE'
	],
	[
		qr/^lock_timeout/, $any, 'theirs', qr/\A(?!.*\bBEGIN\b).*(?:CONCURRENTLY|VACUUM)/is, 'opinion',
		'it may wait for long, but reads and writes need not wait behind it'
	],
	[
		qr/^lock_timeout/, $any, 'theirs', qr/CONCURRENTLY/, 'ours right',
		'it fails in a transaction, before it waits for a lock'
	],
	[
		qr/^SQL that/, $any, 'theirs', qr/create type/i, 'theirs right',
		'an UPDATE of a type that the script makes is not looked at'
	],
	[
		qr/^UPDATE/, $any, 'theirs', qr/CREATE TABLE/i, 'ours right', 'the table is made by the same script'
	],
	[
		qr/^UPDATE/, $any, 'ours', qr/BEGIN/i, 'opinion', 'rows of another table are changed while the lock is held'
	],
	[
		qr/^CONCURRENTLY in/, qr/squawk/, 'ours', qr/BEGIN/i, 'ours right',
		'DROP INDEX, REINDEX and DETACH PARTITION CONCURRENTLY fail in a transaction as well'
	],
	[
		qr/^CONCURRENTLY in/, qr/squawk/, 'ours', $any, 'opinion',
		'whether the runner wraps a file that has one statement'
	],
	[
		qr/^(?:DROP SCHEMA|json|rename of|timestamp)/, $any, 'ours', $any, 'ours right',
		'the other tool does not look at this statement'
	],
	[
		qr/^VACUUM FULL/, qr/squawk/, 'ours', $any, 'ours right',
		'its rule is for version 19 and later; VACUUM FULL locks and rewrites in all'
	],
	[ qr/^SQL that/, $any, 'ours', qr/\brepack\b/, 'ours right', 'the command is of version 19' ],
	[
		qr/^SQL that/, qr/squawk/, 'ours', $any, 'ours right',
		'the server refuses it: a type, a table or a column does not fit, or it may not run where it is'
	],
	[ qr/^TRUNCATE CASCADE/, $any, 'theirs', $any, 'ours right', 'no table refers to it here, so CASCADE reaches nothing' ],
	[ qr/domain/, $any, 'theirs', $any, 'ours right', 'no table uses the domain here' ],
	[
		qr/^char/, $any, 'theirs', qr/\bTYPE\b/i, 'opinion',
		'migspec says it of new columns, not of a type that somebody widens'
	],
	[ qr/^integer keys/, $any, 'theirs', $any, 'opinion', 'they mean all integer columns, migspec those of keys' ],
	[
		qr/^integer keys/, $any, 'ours', qr/USING INDEX/i, 'ours right',
		'the column of the index is an integer, as the catalog knows'
	],
	[ qr/^integer keys/, $any, 'ours', $any, 'ours right', 'serial makes an integer' ],
	[ qr/^foreign key without/, $any, 'ours', $any, 'ours right', 'no index of the table begins with the columns' ],
	[
		qr/^statements after/, $any, 'theirs', qr/\bBEGIN\b/i, 'opinion',
		'migspec says it if the later statement does some work; that there are several is told by another rule'
	],
	[
		qr/^statements after/, $any, 'theirs', $any, 'opinion',
		'it assumes one transaction; without BEGIN each statement is its own'
	],
	[ qr/^statements after/, $any, 'ours', $any, 'ours right', 'the lock is held while the later statement works' ],
	[
		qr/^timestamp/, $any, 'theirs', qr/\bTYPE\b/i, 'opinion',
		'migspec says it of new columns, not of a type that somebody changes'
	],
	[ qr/^timestamp/, qr/squawk/, 'theirs', qr/pg_catalog\.varchar/, 'ours right', 'there is no timestamp in it' ],
	[
		qr/^unsafe/, $any, 'theirs', qr/json/, 'opinion', 'json lacks an operator for equality; migspec only recommends jsonb'
	],
	[ qr/^unsafe/, $any, 'theirs', qr/SELECT 1/, 'opinion', 'the gem cannot look at SQL; migspec can' ],
	[
		qr/^unsafe/, $any, 'theirs', qr/\bRENAME\b/i, 'opinion', 'migspec tells such a rename as an information only'
	],
	[
		qr/^unsafe/, $any, 'ours', qr/FOREIGN KEY/i, 'opinion',
		'adding it locks the referenced table as well, for a moment; how much of a hazard that is'
	],
);

1;
