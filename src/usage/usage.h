/*-------------------------------------------------------------------------
 *
 * usage.h
 *		Who still reads or writes the old shape of a table that migrates.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_USAGE_H
#define MIGSPEC_USAGE_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"

#include "catalog/migration.h"

#define MIGSPEC_USAGE_QUERY_SIZE	256

/* who used which column: what the counts are kept by */
typedef struct MigspecUsageKey
{
	Oid			dboid;
	Oid			relid;			/* the topmost table, never a partition */
	char		column[NAMEDATALEN];	/* the old one, as applications know
										 * it */
	Oid			roleid;
	char		application[NAMEDATALEN];
} MigspecUsageKey;

/* counts, copied out of shared memory */
typedef struct MigspecUsage
{
	MigspecUsageKey key;
	uint64		number;			/* of the key there */
	uint64		reads;			/* not yet in the catalog */
	uint64		writes;
	TimestampTz last_read;		/* 0: never */
	TimestampTz last_write;
	uint64		query_id;		/* of the last statement that had one */
	int			pid;			/* of the last statement */
	char		query[MIGSPEC_USAGE_QUERY_SIZE];	/* the first statement */
} MigspecUsage;

/*
 * Shared memory (store.c).  Ask for it from _PG_init; is it there?
 */
extern void migspec_usage_shmem_init(void);
extern bool migspec_usage_ready(void);

/*
 * Count one use.  "number" is what this returned for the key the last time, 0
 * at first; the result is 0 if there is no room.  Raises no error.
 */
extern uint64 migspec_usage_count(const MigspecUsageKey *key, uint64 number,
								  bool read, bool write, TimestampTz at,
								  uint64 query_id, const char *query);

/* What this database has (List of MigspecUsage *), also if it is not news */
extern List *migspec_usage_snapshot(void);

/* These counts are in the catalog now, or nobody wants to know */
extern void migspec_usage_stored(const MigspecUsage *usage);

/* Make room for another key, unless there is news of this one */
extern void migspec_usage_retire(const MigspecUsage *usage);

/* The database, or the extension in it, is gone */
extern void migspec_usage_forget_database(Oid dboid);

/*
 * Hooks (hook.c), from _PG_init.  Processes of our own set the flag: what
 * they read is nobody's use.
 */
extern void migspec_usage_hooks_init(void);
extern bool migspec_usage_off;

/*
 * Catalog (persist.c).  store: bring the table migspec.usage up to date; in a
 * scheduler, outside a transaction.  Costs nothing if there is nothing new.
 */
extern void migspec_usage_store(void);

/*
 * Who used what "contract" takes away within migspec.contract_quiet, a line
 * each, as the detail of an error; NULL if nobody did.  In a transaction.
 */
extern char *migspec_usage_recent(const MigspecMigration *migration);

#endif							/* MIGSPEC_USAGE_H */
