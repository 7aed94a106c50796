/*-------------------------------------------------------------------------
 *
 * tally.h
 *		What the sync trigger counts, in shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_TALLY_H
#define MIGSPEC_TALLY_H

#include "postgres.h"
#include "nodes/pg_list.h"

/* what is counted, for each operation */
typedef enum MigspecTally
{
	MIGSPEC_TALLY_CONFLICTS,	/* both columns written, and they disagreed */
	MIGSPEC_TALLY_OVERRULED		/* rows written while another trigger fired
								 * after the sync trigger */
} MigspecTally;

#define MIGSPEC_TALLIES		(MIGSPEC_TALLY_OVERRULED + 1)

/* the counts of one operation on one table of this database */
typedef struct MigspecTallied
{
	int			place;
	Oid			relid;
	int64		operation_id;
	uint64		counts[MIGSPEC_TALLIES];
} MigspecTallied;

/* ask for shared memory; only when the library is preloaded */
extern void migspec_tally_init(void);

/*
 * Count one more.  "relid" is the topmost table, never a partition: anybody can
 * make such a trigger on a table of his own, so who reads the counts has to
 * look whether the operation is about that table.  "place" is the caller's
 * memory of where the counters are, initially -1.  Takes no lock and raises no error; does nothing
 * without shared memory, for operation 0, or if all places are taken.
 */
extern void migspec_tally_add(Oid relid, int64 operation_id, MigspecTally what,
							  int *place);

/* this database's counters, as a List of MigspecTallied * */
extern List *migspec_tally_read(void);

/* what was counted for an operation on its table, and not stored yet */
extern uint64 migspec_tally_pending(Oid relid, int64 operation_id, MigspecTally what);

/* what was read is in the catalog now */
extern void migspec_tally_stored(const MigspecTallied *tallied);

/* give the place back: nobody counts for the operation any more */
extern void migspec_tally_forget(const MigspecTallied *tallied);

/* the database, or the extension in it, is gone */
extern void migspec_tally_forget_database(Oid dboid);

#endif							/* MIGSPEC_TALLY_H */
