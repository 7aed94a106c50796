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
 * A statement that is nothing but the call does not need its snapshot.  Then
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
 * Is this a call of one function with constants or parameters?  It is ours
 * then, since we are running it.
 */
static bool
is_plain_call(Node *node)
{
	ListCell   *lc;

	if (node == NULL || !IsA(node, FuncExpr))
		return false;
	foreach(lc, ((FuncExpr *) node)->args)
	{
		if (!IsA(lfirst(lc), Const) && !IsA(lfirst(lc), Param))
			return false;
	}
	return true;
}

/*
 * Is the client's statement nothing but that call, in its select list or in
 * its FROM clause?  Any other function would see the same snapshot.
 */
static bool
is_only_a_call(const PlannedStmt *stmt)
{
	Plan	   *plan = stmt->planTree;
	FunctionScan *scan = (FunctionScan *) plan;
	ListCell   *lc;

	if (stmt->commandType != CMD_SELECT || stmt->subplans != NIL ||
		plan->qual != NIL || plan->lefttree != NULL || plan->righttree != NULL)
		return false;
	if (IsA(plan, Result))
		return ((Result *) plan)->resconstantqual == NULL &&
			list_length(plan->targetlist) == 1 &&
			is_plain_call((Node *) linitial_node(TargetEntry, plan->targetlist)->expr);
	if (!IsA(plan, FunctionScan) || list_length(scan->functions) != 1)
		return false;
	foreach(lc, plan->targetlist)
	{
		if (!IsA(lfirst_node(TargetEntry, lc)->expr, Var))
			return false;
	}
	return is_plain_call(linitial_node(RangeTblFunction, scan->functions)->funcexpr);
}

/*
 * migspec_horizon_release -- see horizon.h.
 *
 * Safe if there is no snapshot but that of the client's own statement: a
 * single statement (no transaction block, so no cursors), which calls us
 * directly (the active snapshot is the statement's, not one of a function in
 * between), and does nothing else.
 */
void
migspec_horizon_release(void)
{
	QueryDesc  *query = ActivePortal ? ActivePortal->queryDesc : NULL;

	if (query == NULL || IsTransactionBlock() || IsSubTransaction() ||
		XactIsoLevel != XACT_READ_COMMITTED ||
		!ActiveSnapshotSet() || GetActiveSnapshot() != query->snapshot ||
		!is_only_a_call(query->plannedstmt))
		return;
	InvalidateCatalogSnapshot();
	MyProc->xmin = InvalidTransactionId;
}
