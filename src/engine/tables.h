/*-------------------------------------------------------------------------
 *
 * tables.h
 *		The physical tables of a migration, as its workers scan them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_TABLES_H
#define MIGSPEC_TABLES_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "storage/itemptr.h"
#include "utils/rel.h"
#include "catalog/migration.h"

/* A table with rows: a target of the migration, or a leaf partition of one */
typedef struct MigspecTable
{
	Oid			relid;
	Oid			root;			/* the target; the same if it is no partition */
} MigspecTable;

/*
 * Has this table of the migration a sync trigger?  A column that is only
 * added, with a constant default, needs none.
 */
extern bool migspec_table_is_synchronised(const MigspecMigration *migration,
										  Oid relid);

/*
 * The tables of a migration whose rows it changes, as a List of MigspecTable *,
 * ascending by OID within each target.  Needs a transaction; takes ACCESS SHARE locks.  Error
 * MG101 if a target does not exist any more.
 */
extern List *migspec_tables(const MigspecMigration *migration);

/*
 * Open a table for a worker.  NULL if it does not exist any more or is no
 * partition any more; error MG403, which is transient, if its sync trigger is
 * missing, disabled or overruled.
 * "pairs" becomes a List of MigspecPair *.
 */
extern Relation migspec_table_open(const MigspecMigration *migration, Oid relid,
								   LOCKMODE lockmode, List **pairs);

/*
 * SQL expression for the primary key of the row "alias" as jsonb, a null if
 * the table has none.
 */
extern char *migspec_table_key_sql(Relation rel, const char *alias);

/*
 * The expression of a column's default in this table, NULL if it has none.
 * The caller has a lock on the table.
 */
extern Node *migspec_column_default(Oid relid, const char *column);

/*
 * Settings under which a statement over a range of ctid is planned as a TID
 * range scan, and a join on ctid as a nested loop.  Until the end of the
 * caller's GUC nest level.
 */
extern void migspec_pin_tid_plans(void);

/* the tuple ID as a palloc'd Datum */
extern Datum migspec_tid_datum(BlockNumber block, OffsetNumber offset);

#endif							/* MIGSPEC_TABLES_H */
