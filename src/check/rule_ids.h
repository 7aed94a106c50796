/*-------------------------------------------------------------------------
 *
 * rule_ids.h
 *		The rules, in the order of doc/rules.md.
 *
 * rules.c has one entry for each: its public id, severity, reason and the
 * writer of its safe way.  The comment says what a fact of this rule carries
 * besides the table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_RULE_IDS_H
#define MIGSPEC_RULE_IDS_H

typedef enum MigspecRuleId
{
	/* rewrites of the heap */
	RULE_ADD_COLUMN_VOLATILE_DEFAULT,	/* object: column; node: ColumnDef */
	RULE_ADD_COLUMN_SERIAL_IDENTITY,	/* object: column; node: ColumnDef */
	RULE_ADD_COLUMN_STORED_GENERATED,	/* object: column; node: ColumnDef */
	RULE_ADD_COLUMN_CONSTRAINED_DOMAIN, /* object: column; node: ColumnDef */
	RULE_ALTER_TYPE_REWRITE,	/* object: column; detail: new type; node:
								 * AlterTableCmd */
	RULE_SET_EXPRESSION_STORED, /* object: column */
	RULE_SET_LOGGED_UNLOGGED,
	RULE_SET_ACCESS_METHOD,
	RULE_SET_TABLESPACE,
	RULE_VACUUM_FULL_CLUSTER,

	/* scans under a strong lock */
	RULE_SET_NOT_NULL_SCAN,		/* object: column */
	RULE_ADD_CHECK_VALIDATED,	/* object: constraint; detail: expression */
	RULE_ADD_NOT_NULL_CONSTRAINT,	/* object: column; detail: constraint name
									 * or NULL */
	RULE_ALTER_TYPE_RECHECK,	/* object: constraint */
	RULE_PK_NULLABLE_SCAN,		/* object: column */
	RULE_ATTACH_PARTITION_SCAN, /* table: the one attached; other: parent;
								 * detail: condition that proves it */
	RULE_ATTACH_SCANS_DEFAULT,	/* table: default partition; other: parent;
								 * detail: condition that proves it */
	RULE_ATTACH_BUILDS_INDEX,	/* table: the one attached; object: index of
								 * the parent */
	RULE_ATTACH_VALIDATES_FK,	/* table: the one attached; object: foreign
								 * key of the parent */
	RULE_CREATE_PARTITION_OF,	/* table: parent; object: new partition */

	/* index builds */
	RULE_CREATE_INDEX_BLOCKING, /* object: index; node: IndexStmt */
	RULE_CREATE_INDEX_PARTITIONED,	/* object: index; node: IndexStmt */
	RULE_ADD_UNIQUE,			/* object: constraint; node: Constraint */
	RULE_ADD_PRIMARY_KEY,		/* object: constraint; node: Constraint */
	RULE_ADD_EXCLUSION,			/* object: constraint */
	RULE_ALTER_TYPE_INDEX_REBUILD,	/* object: index */
	RULE_REINDEX_BLOCKING,		/* object: index, or NULL: all */
	RULE_REFRESH_MATVIEW_BLOCKING,
	RULE_INDEX_CONCURRENTLY_IN_TXN,
	RULE_INVALID_INDEX_LEFTOVER,	/* object: index */
	RULE_DROP_INDEX_BLOCKING,	/* object: index */
	RULE_REPLACE_INDEX_ORDER,	/* object: index */
	RULE_REDUNDANT_INDEX,		/* object: index; detail: the other */
	RULE_HASH_INDEX,			/* object: index */

	/* foreign keys */
	RULE_ADD_FK_VALIDATED,		/* object: constraint; other: referenced;
								 * node: Constraint */
	RULE_FK_LOCKS_REFERENCED,	/* object: constraint or NULL; other:
								 * referenced */
	RULE_DROP_FK_LOCKS_REFERENCED,	/* object: constraint; other: the other */
	RULE_ALTER_CONSTRAINT_ENFORCED, /* object: constraint */
	RULE_FK_PARTITIONED_NOT_VALID,	/* object: constraint */
	RULE_FK_MISSING_INDEX,		/* object: constraint; detail: columns */
	RULE_FK_TYPE_MISMATCH,		/* object: constraint; detail: which */

	/* waiting, and the shape of the transaction */
	RULE_NO_LOCK_TIMEOUT,
	RULE_LOCK_WAIT_NOW,
	RULE_STATEMENT_AFTER_AE,	/* table: held; detail: statement that took it */
	RULE_NOT_VALID_VALIDATE_SAME_TXN,	/* object: constraint */
	RULE_DML_WITH_DDL,
	RULE_BACKFILL_IN_MIGRATION,
	RULE_MULTIPLE_ALTER_SAME_TABLE,
	RULE_BIG_BANG,				/* detail: names of the tables */
	RULE_TRIGGER_DDL,			/* object: trigger */
	RULE_POLICY_DDL,			/* object: what */
	RULE_DETACH_BLOCKING,		/* table: partition; other: parent */
	RULE_DOMAIN_CONSTRAINT,		/* table: one that uses it; object: domain */
	RULE_OPAQUE_SQL,
	RULE_DROPS_COLUMN_STATISTICS,	/* object: column */

	/* compatibility and destruction */
	RULE_ADD_REQUIRED_COLUMN,	/* object: column; node: ColumnDef */
	RULE_DROP_COLUMN,			/* object: column */
	RULE_DROP_TABLE,
	RULE_DROP_SCHEMA,			/* object: schema or database */
	RULE_DROP_CASCADE,			/* object: what; detail: what goes with it */
	RULE_TRUNCATE,
	RULE_TRUNCATE_CASCADE,		/* detail: tables that go with it */
	RULE_RENAME_TABLE,			/* detail: new name */
	RULE_RENAME_COLUMN,			/* object: column; detail: new name */
	RULE_RENAME_OTHER,			/* object: what; detail: new name */
	RULE_DROP_NOT_NULL,			/* object: column */
	RULE_CHANGE_DEFAULT,		/* object: column */
	RULE_DROP_CONSTRAINT,		/* object: constraint */
	RULE_ENUM_ADD_VALUE,		/* object: type; detail: value */
	RULE_ENUM_VALUE_IN_TXN,		/* object: type; detail: value */
	RULE_REPLICA_IDENTITY_LOST, /* object: publication */
	RULE_ROW_TYPE_USED,			/* object: the column that uses it */
	RULE_DEPENDENT_OBJECTS,		/* object: column; detail: what depends */
	RULE_COLUMN_IN_USE,			/* object: column; detail: who uses it */
	RULE_NO_REVERSE,			/* object: what is lost */
	RULE_FUNCTION_VOLATILITY_CHANGE,	/* object: function */

	/* hygiene */
	RULE_INT_PRIMARY_KEY,		/* object: column */
	RULE_PREFER_TEXT,			/* object: column; detail: type: char(n),
								 * varchar(n) */
	RULE_PREFER_TIMESTAMPTZ,	/* object: column */
	RULE_PREFER_JSONB,			/* object: column */
	RULE_AVOID_MONEY,			/* object: column */
	RULE_TABLE_REQUIRES_PK,
	RULE_IDENTIFIER_TOO_LONG,	/* object: name */

	/* it would fail */
	RULE_WOULD_FAIL,			/* from stmt->error */
	RULE_UNKNOWN_RELATION_STATE,	/* somebody holds it; nothing is known */

	MIGSPEC_RULES				/* how many there are */
} MigspecRuleId;

#endif							/* MIGSPEC_RULE_IDS_H */
