/*-------------------------------------------------------------------------
 *
 * collect.c
 *		What the sync triggers have counted, on its way into the catalog.
 *
 * Runs in the scheduler of a database, at each look.  A transaction for each
 * operation; no lock but that of the migration's row, for which it does not
 * wait: a session that moves a migration may take its time.
 *
 * Interleavings:
 * - More is counted meanwhile: what was stored is subtracted after the commit.
 * - The row is locked: the next look is soon enough.
 * - The migration has ended: nobody counts any more, so the last counts are
 *	 stored and the place is free for others.
 * - It is not there (any more, or yet: a transaction that makes it has not
 *	 committed), or is about another table, because somebody has made such a
 *	 trigger on a table of his own: what was counted so far is forgotten.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "bgw/collect.h"
#include "catalog/migration.h"
#include "engine/retry.h"
#include "trigger/tally.h"

/*
 * Take the counts of one operation.
 */
static void
collect(const MigspecTallied *tallied, MemoryContext cxt)
{
	MigspecAdded added;

	migspec_worker_begin_xact();
	added = migspec_migration_add_counts(tallied->relid, tallied->operation_id,
										 (int64) tallied->counts[MIGSPEC_TALLY_CONFLICTS],
										 (int64) tallied->counts[MIGSPEC_TALLY_OVERRULED]);
	migspec_worker_commit_xact(cxt);

	if (added == MIGSPEC_ADDED)
		migspec_tally_stored(tallied);
	else if (added == MIGSPEC_ADDED_ENDED)
		migspec_tally_forget(tallied);
}

/* see collect.h */
void
migspec_collect(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *all = migspec_tally_read();
	ListCell   *lc;

	foreach(lc, all)
		collect(lfirst(lc), cxt);
}
