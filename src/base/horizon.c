/*-------------------------------------------------------------------------
 *
 * horizon.c
 *		Waiting in a function without holding back everybody else.
 *
 * "SELECT migspec_wait(...)" has a snapshot like any other statement, for as
 * long as it waits.  That is bad twice: no row version that dies meanwhile
 * can be removed, so the backfill's updates cannot stay on their pages; and
 * CREATE INDEX CONCURRENTLY waits for all older snapshots, so the worker
 * would wait for the session that waits for the worker.
 *
 * A statement that reads no table does not need its snapshot.  In that case,
 * the advertised xmin is cleared, as the end of the last snapshot does it;
 * each look at the catalog takes a new snapshot, which advertises anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "executor/execdesc.h"
#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "storage/proc.h"
#include "tcop/pquery.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "base/horizon.h"

/*
 * Does the client's statement read nothing but results of functions?
 */
static bool
reads_no_table(const PlannedStmt *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->rtable)
	{
		RangeTblEntry *rte = lfirst(lc);

		if (rte->rtekind != RTE_RESULT && rte->rtekind != RTE_FUNCTION)
			return false;
	}
	return stmt->commandType == CMD_SELECT && stmt->subplans == NIL;
}

/*
 * migspec_horizon_release -- see horizon.h.
 *
 * Safe if there is no snapshot but that of the client's own statement: a
 * single statement (no transaction block, so no cursors), which calls us
 * directly (the active snapshot is the statement's, not one of a function in
 * between), and reads no table.
 */
void
migspec_horizon_release(void)
{
	QueryDesc  *query = ActivePortal ? ActivePortal->queryDesc : NULL;

	if (query == NULL || IsTransactionBlock() || IsSubTransaction() ||
		XactIsoLevel != XACT_READ_COMMITTED ||
		!ActiveSnapshotSet() || GetActiveSnapshot() != query->snapshot ||
		!reads_no_table(query->plannedstmt))
		return;
	InvalidateCatalogSnapshot();
	MyProc->xmin = InvalidTransactionId;
}
