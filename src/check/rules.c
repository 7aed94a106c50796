/*-------------------------------------------------------------------------
 *
 * rules.c
 *		The rules: what a fact means to the people who run the script.
 *
 * A rule is here once, whoever finds it: its public name, which never changes,
 * how bad it is, one sentence on why, and who writes the safe way.  What
 * depends on the moment (sizes, seconds, sessions in the way) is added by
 * findings.c.  The texts are those of doc/rules.md, where each has a section.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/rules.h"

#define DANGER		MIGSPEC_DANGER
#define WARN		MIGSPEC_WARNING
#define INFO_		MIGSPEC_INFO

/* about work of a kind; about waiting; about neither */
#define REWRITES	MIGSPEC_AXIS_WORK, MIGSPEC_WORK_REWRITE
#define SCANS		MIGSPEC_AXIS_WORK, MIGSPEC_WORK_SCAN | MIGSPEC_WORK_QUIET_SCAN
#define BUILDS		MIGSPEC_AXIS_WORK, MIGSPEC_WORK_INDEX_BUILD
#define VALIDATES	MIGSPEC_AXIS_WORK, MIGSPEC_WORK_FK_VALIDATION
#define WAITS		MIGSPEC_AXIS_WAIT, 0
#define OTHER		MIGSPEC_AXIS_NONE, 0

const MigspecRule migspec_rules[MIGSPEC_RULES] = {
	/* rewrites of the heap */
	[RULE_ADD_COLUMN_VOLATILE_DEFAULT] = {
		"add-column-volatile-default", DANGER, REWRITES,
		"the default of column \"%o\" is volatile, so every row of %t gets a value of its own",
		"a new column with a volatile default rewrites the table",
	migspec_way_volatile_default},
	[RULE_ADD_COLUMN_SERIAL_IDENTITY] = {
		"add-column-serial-identity", DANGER, REWRITES,
		"column \"%o\" takes its values from a sequence, so every row of %t gets a number",
		"a new serial or identity column rewrites the table",
	migspec_way_serial},
	[RULE_ADD_COLUMN_STORED_GENERATED] = {
		"add-column-stored-generated", DANGER, REWRITES,
		"the stored generated column \"%o\" is computed for every row of %t",
		"a new stored generated column rewrites the table",
	migspec_way_generated},
	[RULE_ADD_COLUMN_CONSTRAINED_DOMAIN] = {
		"add-column-constrained-domain", DANGER, REWRITES,
		"the type of column \"%o\" is a domain with constraints, which the server tests by writing every row of %t anew, even without a default",
		"a new column of a domain with constraints rewrites the table",
	migspec_way_domain_column},
	[RULE_ALTER_TYPE_REWRITE] = {
		"alter-type-rewrite", DANGER, REWRITES,
		"the new type stores the values of column \"%o\" differently, or limits them, so all rows of %t and all of its indexes are written anew",
		"a change of type that rewrites the table",
	migspec_way_change_type},
	[RULE_SET_EXPRESSION_STORED] = {
		"set-expression-stored", DANGER, REWRITES,
		"the stored generated column \"%o\" is computed anew for every row of %t, and loses its statistics",
		"a new expression of a stored generated column rewrites the table",
	migspec_way_set_expression},
	[RULE_SET_LOGGED_UNLOGGED] = {
		"set-logged-unlogged", DANGER, REWRITES,
		"%t becomes logged or unlogged by writing all of it and of its indexes anew",
		"SET LOGGED and SET UNLOGGED rewrite the table",
	migspec_way_set_logged},
	[RULE_SET_ACCESS_METHOD] = {
		"set-access-method", DANGER, REWRITES,
		"another access method means that all rows of %t are written anew",
		"SET ACCESS METHOD rewrites the table",
	migspec_way_window},
	[RULE_SET_TABLESPACE] = {
		"set-tablespace", DANGER, REWRITES,
		"all blocks of %t are copied to the other tablespace",
		"SET TABLESPACE copies the table",
	migspec_way_repack},
	[RULE_VACUUM_FULL_CLUSTER] = {
		"vacuum-full-cluster", DANGER, REWRITES,
		"%t and all of its indexes are written anew",
		"VACUUM FULL and CLUSTER rewrite the table",
	migspec_way_vacuum},

	/* scans under a strong lock */
	[RULE_SET_NOT_NULL_SCAN] = {
		"set-not-null-scan", DANGER, SCANS,
		"nothing proves yet that column \"%o\" has no NULL, so all rows of %t are read",
		"SET NOT NULL reads the whole table",
	migspec_way_set_not_null},
	[RULE_ADD_CHECK_VALIDATED] = {
		"add-check-validated", DANGER, SCANS,
		"the CHECK constraint \"%o\" is tested on all rows of %t",
		"a CHECK constraint without NOT VALID reads the whole table",
	migspec_way_add_check},
	[RULE_ADD_NOT_NULL_CONSTRAINT] = {
		"add-not-null-constraint", DANGER, SCANS,
		"nothing proves yet that column \"%o\" has no NULL, so all rows of %t are read",
		"a NOT NULL constraint without NOT VALID reads the whole table",
	migspec_way_set_not_null},
	[RULE_ALTER_TYPE_RECHECK] = {
		"alter-type-recheck", DANGER, SCANS,
		"the type changes without a rewrite, but CHECK constraint \"%o\" reads the column and is tested on all rows of %t again",
		"a change of type tests CHECK constraints again",
	migspec_way_recheck},
	[RULE_PK_NULLABLE_SCAN] = {
		"pk-nullable-scan", DANGER, SCANS,
		"column \"%o\" of the primary key may be NULL so far, and all rows of %t are read to make sure",
		"a primary key over a nullable column reads the whole table",
	migspec_way_pk_nullable},
	[RULE_ATTACH_PARTITION_SCAN] = {
		"attach-partition-scan", DANGER, SCANS,
		"nothing proves that the rows of %t fit the bounds, so all of them are read while it is locked",
		"ATTACH PARTITION reads the whole new partition",
	migspec_way_attach_scan},
	[RULE_ATTACH_SCANS_DEFAULT] = {
		"attach-scans-default", DANGER, SCANS,
		"the default partition %t is read completely: none of its rows may belong to the new partition",
		"a new partition makes the server read the default partition",
	migspec_way_attach_default},
	[RULE_ATTACH_BUILDS_INDEX] = {
		"attach-builds-index", DANGER, BUILDS,
		"%t has no index that matches \"%o\" of the partitioned table, so one is built while it is locked",
		"ATTACH PARTITION builds missing indexes",
	migspec_way_attach_index},
	[RULE_ATTACH_VALIDATES_FK] = {
		"attach-validates-fk", DANGER, VALIDATES,
		"%t has no foreign key that matches \"%o\" of the partitioned table, so one is added, and tested on all rows, while it is locked",
		"ATTACH PARTITION validates missing foreign keys",
	migspec_way_attach_fk},
	[RULE_CREATE_PARTITION_OF] = {
		"create-partition-of", WARN, WAITS,
		"CREATE TABLE ... PARTITION OF locks %t and all queries on it, where ATTACH PARTITION lets them go on",
		"PARTITION OF locks the partitioned table more than ATTACH PARTITION does",
	migspec_way_partition_of},

	/* index builds */
	[RULE_CREATE_INDEX_BLOCKING] = {
		"create-index-blocking", DANGER, BUILDS,
		"nobody can write to %t until the index is built",
		"CREATE INDEX without CONCURRENTLY blocks writes",
	migspec_way_create_index_concurrently},
	[RULE_CREATE_INDEX_PARTITIONED] = {
		"create-index-partitioned", DANGER, BUILDS,
		"nobody can write to any partition of %t until the indexes of all of them are built, and CONCURRENTLY is not allowed here",
		"CREATE INDEX on a partitioned table blocks writes to all partitions",
	migspec_way_create_index_partitioned},
	[RULE_ADD_UNIQUE] = {
		"add-unique", DANGER, BUILDS,
		"the index of constraint \"%o\" is built while %t is locked",
		"a UNIQUE constraint builds its index under the strongest lock",
	migspec_way_add_key},
	[RULE_ADD_PRIMARY_KEY] = {
		"add-primary-key", DANGER, BUILDS,
		"the index of primary key \"%o\" is built while %t is locked",
		"a PRIMARY KEY builds its index under the strongest lock",
	migspec_way_add_key},
	[RULE_ADD_EXCLUSION] = {
		"add-exclusion", DANGER, BUILDS,
		"the index of exclusion constraint \"%o\" is built while %t is locked; it can be built in no other way",
		"an exclusion constraint builds its index under the strongest lock",
	migspec_way_window},
	[RULE_ALTER_TYPE_INDEX_REBUILD] = {
		"alter-type-index-rebuild", DANGER, BUILDS,
		"the type changes without a rewrite of %t, but index \"%o\" cannot be kept and is built anew",
		"a change of type that builds indexes anew",
	migspec_way_change_type},
	[RULE_REINDEX_BLOCKING] = {
		"reindex-blocking", DANGER, BUILDS,
		"nobody can write to %t, or use the index, until it is built anew",
		"REINDEX without CONCURRENTLY blocks writes and the index",
	migspec_way_reindex},
	[RULE_REFRESH_MATVIEW_BLOCKING] = {
		"refresh-matview-blocking", DANGER, REWRITES,
		"nobody can read %t until it is filled anew",
		"REFRESH without CONCURRENTLY blocks readers",
	migspec_way_refresh},
	[RULE_INDEX_CONCURRENTLY_IN_TXN] = {
		"index-concurrently-in-txn", MIGSPEC_ERROR, OTHER,
		"CONCURRENTLY cannot run inside a transaction block",
		"CONCURRENTLY inside a transaction block fails",
	migspec_way_outside},
	[RULE_INVALID_INDEX_LEFTOVER] = {
		"invalid-index-leftover", DANGER, OTHER,
		"index \"%o\" exists, left invalid by a build that failed; IF NOT EXISTS skips it, and no query will use it",
		"IF NOT EXISTS accepts an invalid index",
	migspec_way_leftover},
	[RULE_DROP_INDEX_BLOCKING] = {
		"drop-index-blocking", WARN, WAITS,
		"DROP INDEX locks %t, so that all queries on it queue while it waits for those that run",
		"DROP INDEX without CONCURRENTLY locks the table",
	migspec_way_drop_index},
	[RULE_REPLACE_INDEX_ORDER] = {
		"replace-index-order", DANGER, OTHER,
		"index \"%o\" goes before the one that replaces it is there; queries on %t do without meanwhile",
		"an index is dropped before its replacement exists",
	migspec_way_replace_index},
	[RULE_REDUNDANT_INDEX] = {
		"redundant-index", INFO_, OTHER,
		"index \"%d\" of %t does already what \"%o\" would do",
		"an index that another one makes superfluous",
	migspec_way_redundant_index},
	[RULE_HASH_INDEX] = {
		"hash-index", INFO_, OTHER,
		"hash index \"%o\" finds equal values only: it cannot sort, be unique, or hold several columns, as a B-tree can",
		"a hash index where a B-tree would do more",
	migspec_way_btree_index},

	/* foreign keys */
	[RULE_ADD_FK_VALIDATED] = {
		"add-fk-validated", DANGER, VALIDATES,
		"nobody can write to %t or %r until foreign key \"%o\" is tested on all rows",
		"a foreign key without NOT VALID blocks writes to both tables",
	migspec_way_add_fk},
	[RULE_FK_LOCKS_REFERENCED] = {
		"fk-locks-referenced", WARN, WAITS,
		"a foreign key gives %r triggers as well: writes to it queue while the statement waits for its locks",
		"a foreign key locks the referenced table, too",
	migspec_way_alone},
	[RULE_DROP_FK_LOCKS_REFERENCED] = {
		"drop-fk-locks-referenced", WARN, WAITS,
		"foreign key \"%o\" has triggers on %r as well: that table is locked with the strongest lock, too",
		"dropping a foreign key locks the other table, too",
	migspec_way_drop_fk},
	[RULE_ALTER_CONSTRAINT_ENFORCED] = {
		"alter-constraint-enforced", DANGER, VALIDATES,
		"foreign key \"%o\" is tested on all rows of %t while it is locked",
		"ALTER CONSTRAINT ... ENFORCED tests all rows under the strongest lock",
	migspec_way_enforce},
	[RULE_FK_PARTITIONED_NOT_VALID] = {
		"fk-partitioned-not-valid", MIGSPEC_ERROR, OTHER,
		"this version of the server has no NOT VALID foreign keys on partitioned tables such as %t",
		"NOT VALID foreign keys on partitioned tables need version 18",
	migspec_way_add_fk},
	[RULE_FK_MISSING_INDEX] = {
		"fk-missing-index", WARN, OTHER,
		"no index of %t leads with the columns of foreign key \"%o\" (%d): each delete of a referenced row reads all of %t",
		"a foreign key without an index on its columns",
	migspec_way_fk_index},
	[RULE_FK_TYPE_MISMATCH] = {
		"fk-type-mismatch", WARN, OTHER,
		"the columns of foreign key \"%o\" differ in type: %d",
		"a foreign key between columns of different types",
	migspec_way_fk_type},

	/* waiting, and the shape of the transaction */
	[RULE_NO_LOCK_TIMEOUT] = {
		"no-lock-timeout", WARN, OTHER,
		"no lock_timeout is set: if one long transaction uses %t, this waits for it, and all that come later queue behind",
		"a strong lock is asked for without a lock_timeout",
	migspec_way_timeout},
	[RULE_LOCK_WAIT_NOW] = {
		"lock-wait-now", DANGER, OTHER,
		"other sessions hold locks now that this has to wait for, and all that come later queue behind",
		"somebody is in the way now",
	migspec_way_wait_now},
	[RULE_STATEMENT_AFTER_AE] = {
		"statement-after-ae", WARN, OTHER,
		"%t has been locked since statement %d and stays so, against all queries, until the transaction ends",
		"more is done while a table is locked",
	migspec_way_split},
	[RULE_NOT_VALID_VALIDATE_SAME_TXN] = {
		"not-valid-validate-same-txn", DANGER, SCANS | MIGSPEC_WORK_FK_VALIDATION,
		"constraint \"%o\" was added in the same transaction, whose strong lock on %t lasts through the scan; NOT VALID gains nothing",
		"NOT VALID and VALIDATE in one transaction",
	migspec_way_split},
	[RULE_DML_WITH_DDL] = {
		"dml-with-ddl", WARN, OTHER,
		"rows are changed in a transaction that also holds strong locks; they last until all is done",
		"rows are changed in the same transaction as the schema",
	migspec_way_split},
	[RULE_BACKFILL_IN_MIGRATION] = {
		"backfill-in-migration", WARN, OTHER,
		"one statement changes all rows of %t: it locks every one of them until its end, bloats the table, and holds back VACUUM",
		"one statement changes all rows of a table",
	migspec_way_backfill},
	[RULE_MULTIPLE_ALTER_SAME_TABLE] = {
		"multiple-alter-same-table", INFO_, OTHER,
		"%t is altered by another statement just before; one ALTER TABLE would lock it, and read or write it, only once",
		"several ALTER TABLE of one table in a row",
	migspec_way_merge_alter},
	[RULE_BIG_BANG] = {
		"big-bang", WARN, OTHER,
		"one transaction locks several tables (%d): each stays locked until the last is done, and two such transactions deadlock",
		"many tables are locked by one transaction",
	migspec_way_split},
	[RULE_TRIGGER_DDL] = {
		"trigger-ddl", INFO_, WAITS,
		"writes to %t queue while this waits for those that run",
		"creating, enabling or dropping a trigger locks the table",
	migspec_way_alone},
	[RULE_POLICY_DDL] = {
		"policy-ddl", INFO_, WAITS,
		"quick, but all queries on %t queue while this waits for those that run",
		"quick DDL that locks the table against all queries",
	migspec_way_alone},
	[RULE_DETACH_BLOCKING] = {
		"detach-blocking", WARN, WAITS,
		"DETACH PARTITION locks %r and all queries on it, not only %t",
		"DETACH PARTITION without CONCURRENTLY locks the partitioned table",
	migspec_way_detach},
	[RULE_DOMAIN_CONSTRAINT] = {
		"domain-constraint", DANGER, SCANS,
		"%t has a column of domain \"%o\": nobody can write to it until all of its rows are tested",
		"a constraint of a domain reads every table that uses it",
	migspec_way_domain},
	[RULE_OPAQUE_SQL] = {
		"opaque-sql", INFO_, OTHER,
		"what this code does cannot be told without running it",
		"code whose effects cannot be told",
	NULL},
	[RULE_DROPS_COLUMN_STATISTICS] = {
		"drops-column-statistics", WARN, OTHER,
		"any ALTER COLUMN TYPE deletes the statistics of column \"%o\"; until ANALYZE, queries on %t are planned without",
		"a change of type deletes the column's statistics",
	migspec_way_analyze},

	/* compatibility and destruction */
	[RULE_ADD_REQUIRED_COLUMN] = {
		"add-required-column", DANGER, OTHER,
		"column \"%o\" is NOT NULL without a default: this fails if %t has rows, and every INSERT that does not know the column fails afterwards",
		"a new column that is NOT NULL without a default",
	migspec_way_required_column},
	[RULE_DROP_COLUMN] = {
		"drop-column", WARN, OTHER,
		"code that still names column \"%o\" of %t fails at once, and its values are lost",
		"a column is dropped",
	migspec_way_drop_column},
	[RULE_DROP_TABLE] = {
		"drop-table", DANGER, OTHER,
		"code that still uses %t fails at once, and its rows are lost",
		"a table is dropped",
	migspec_way_drop_table},
	[RULE_DROP_SCHEMA] = {
		"drop-schema", DANGER, OTHER,
		"everything in \"%o\" is lost",
		"a schema or database is dropped",
	migspec_way_drop_schema},
	[RULE_DROP_CASCADE] = {
		"drop-cascade", DANGER, OTHER,
		"CASCADE drops more than is named: %d",
		"DROP ... CASCADE drops more than it names",
	migspec_way_cascade},
	[RULE_TRUNCATE] = {
		"truncate", WARN, OTHER,
		"all rows of %t are lost, and all queries on it queue while this waits for those that run",
		"TRUNCATE removes all rows under the strongest lock",
	migspec_way_truncate},
	[RULE_TRUNCATE_CASCADE] = {
		"truncate-cascade", DANGER, OTHER,
		"CASCADE empties other tables as well: %d",
		"TRUNCATE ... CASCADE empties other tables",
	migspec_way_truncate_cascade},
	[RULE_RENAME_TABLE] = {
		"rename-table", DANGER, OTHER,
		"code that uses the name %t fails at once, until all of it has been deployed anew",
		"a table gets another name",
	migspec_way_rename_table},
	[RULE_RENAME_COLUMN] = {
		"rename-column", DANGER, OTHER,
		"code that uses the name \"%o\" of %t fails at once, until all of it has been deployed anew",
		"a column gets another name",
	migspec_way_rename_column},
	[RULE_RENAME_OTHER] = {
		"rename-other", INFO_, OTHER,
		"whatever refers to \"%o\" by its name has to follow",
		"something gets another name",
	NULL},
	[RULE_DROP_NOT_NULL] = {
		"drop-not-null", INFO_, OTHER,
		"code that reads column \"%o\" of %t has to expect NULL from now on",
		"a column may become NULL",
	NULL},
	[RULE_CHANGE_DEFAULT] = {
		"change-default", INFO_, OTHER,
		"rows that exist keep their value of column \"%o\"; clients that send all columns, as ORMs do, keep sending the old default",
		"the default of a column changes",
	NULL},
	[RULE_DROP_CONSTRAINT] = {
		"drop-constraint", INFO_, OTHER,
		"nothing keeps \"%o\" of %t true afterwards, and adding it again means testing all rows",
		"a constraint is dropped",
	migspec_way_drop_constraint},
	[RULE_ENUM_ADD_VALUE] = {
		"enum-add-value", INFO_, OTHER,
		"the value cannot be removed from \"%o\" again; readers have to know it before anybody writes it",
		"a value is added to an enum",
	NULL},
	[RULE_ENUM_VALUE_IN_TXN] = {
		"enum-value-in-txn", MIGSPEC_ERROR, OTHER,
		"the value \"%d\" is added by this transaction and cannot be used before it commits",
		"a new enum value is used in the same transaction",
	migspec_way_split},
	[RULE_REPLICA_IDENTITY_LOST] = {
		"replica-identity-lost", DANGER, OTHER,
		"publication \"%o\" needs the replica identity of %t: every UPDATE and DELETE of it fails without",
		"a published table loses its replica identity",
	migspec_way_replica_identity},
	[RULE_ROW_TYPE_USED] = {
		"row-type-used", MIGSPEC_ERROR, OTHER,
		"column %o stores whole rows of %t, which the server does not convert",
		"the row type of the table is stored elsewhere",
	NULL},
	[RULE_DEPENDENT_OBJECTS] = {
		"dependent-objects", MIGSPEC_ERROR, OTHER,
		"column \"%o\" of %t cannot be changed while others depend on it: %d",
		"other objects depend on the column",
	NULL},
	[RULE_COLUMN_IN_USE] = {
		"column-in-use", DANGER, OTHER,
		"\"%o\" is used in this database: %d",
		"what is dropped or renamed is used by others",
	migspec_way_in_use},
	[RULE_NO_REVERSE] = {
		"no-reverse", INFO_, OTHER,
		"there is no way back: %o is lost",
		"a statement that cannot be undone",
	NULL},
	[RULE_FUNCTION_VOLATILITY_CHANGE] = {
		"function-volatility-change", WARN, OTHER,
		"function \"%o\" changes its volatility: indexes and generated columns that use it are not computed anew, and plans change",
		"a function changes its volatility",
	NULL},

	/* hygiene */
	[RULE_INT_PRIMARY_KEY] = {
		"int-primary-key", INFO_, OTHER,
		"column \"%o\" ends at 2,147,483,647, or at 32,767; bigint does not",
		"a primary key that is no bigint",
	migspec_way_bigint},
	[RULE_PREFER_TEXT] = {
		"prefer-text", INFO_, OTHER,
		"column \"%o\" is %d: text is as fast, and a CHECK on the length can be changed without touching the rows",
		"char(n) or varchar(n) where text would do",
	migspec_way_text},
	[RULE_PREFER_TIMESTAMPTZ] = {
		"prefer-timestamptz", INFO_, OTHER,
		"column \"%o\" has no time zone: it says a time of day somewhere, not a moment",
		"timestamp without time zone",
	migspec_way_timestamptz},
	[RULE_PREFER_JSONB] = {
		"prefer-jsonb", INFO_, OTHER,
		"column \"%o\" is json: it has no equality, so that DISTINCT and GROUP BY fail, and no index helps",
		"json where jsonb would do",
	migspec_way_jsonb},
	[RULE_AVOID_MONEY] = {
		"avoid-money", INFO_, OTHER,
		"column \"%o\" is money: what it says depends on the setting lc_monetary",
		"the type money",
	migspec_way_numeric},
	[RULE_TABLE_REQUIRES_PK] = {
		"table-requires-pk", INFO_, OTHER,
		"%t has no primary key: logical replication cannot update it, and rows cannot be told apart",
		"a table without a primary key",
	migspec_way_primary_key},
	[RULE_IDENTIFIER_TOO_LONG] = {
		"identifier-too-long", WARN, OTHER,
		"the name \"%o\" is cut off after 63 bytes",
		"a name that is cut off",
	NULL},

	/* it would fail */
	[RULE_WOULD_FAIL] = {
		"would-fail", MIGSPEC_ERROR, OTHER,
		"it would fail: %d",
		"a statement that would fail",
	NULL},
	[RULE_UNKNOWN_RELATION_STATE] = {
		"unknown-relation-state", WARN, OTHER,
		"%t is locked by another session, so it is not known what this would do",
		"a relation that cannot be looked at",
	NULL},
};

const char *
migspec_rule_name(MigspecRuleId rule)
{
	return migspec_rules[rule].id;
}

const char *
migspec_rule_title(MigspecRuleId rule)
{
	return migspec_rules[rule].title;
}

MigspecSeverity
migspec_rule_severity(MigspecRuleId rule)
{
	return migspec_rules[rule].severity;
}

/*
 * The rule's sentence with names filled in.
 */
char *
migspec_rule_why(const MigspecRule *rule, const char *table, const char *object,
				 const char *detail, const char *other)
{
	StringInfoData why;

	initStringInfo(&why);
	for (const char *p = rule->why; *p; p++)
	{
		const char *s = NULL;

		if (*p != '%')
		{
			appendStringInfoChar(&why, *p);
			continue;
		}
		switch (*++p)
		{
			case 't':
				s = table;
				break;
			case 'o':
				s = object;
				break;
			case 'd':
				s = detail;
				break;
			case 'r':
				s = other;
				break;
		}
		appendStringInfoString(&why, s ? s : "?");
	}
	return why.data;
}

/*
 * The rule, of any table.
 */
char *
migspec_rule_help(MigspecRuleId rule)
{
	char	   *why = migspec_rule_why(&migspec_rules[rule], "the table", "name", "...",
									   "the other table");
	const char *title = migspec_rules[rule].title;

	return psprintf("%c%s: %s.", pg_toupper((unsigned char) *title), title + 1, why);
}

const char *
migspec_severity_name(MigspecSeverity severity)
{
	static const char *const names[] = {
		[MIGSPEC_INFO] = "info",
		[MIGSPEC_WARNING] = "warning",
		[MIGSPEC_DANGER] = "danger",
		[MIGSPEC_ERROR] = "error",
	};

	return names[severity];
}
