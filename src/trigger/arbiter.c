/*-------------------------------------------------------------------------
 *
 * arbiter.c
 *		INSERT ... ON CONFLICT while two unique indexes stand for one key.
 *
 * While a key column is migrated, the table has a unique index on the old
 * column and one on the new column.  ON CONFLICT (old column) names only the
 * first as its arbiter.  Two sessions that insert the same new key at the same
 * time both find no conflict at first; the arbiter then sends the loser to DO
 * UPDATE, but the other index knows nothing of that and raises a unique
 * violation, which the application would never see without us.
 *
 * The two indexes are one key, since the sync trigger keeps the columns in
 * agreement.  So a planner hook adds the twin of each arbiter to the list of
 * arbiters: the executor treats a conflict in either as the same conflict.
 *
 * Interleavings:
 * - The twin is being built: it enforces uniqueness before it is valid.  It
 *	 counts from the moment it exists; the executor leaves it aside until it is
 *	 ready for inserts.
 * - A plan that is older than the twin: its creation invalidates the table's
 *	 plans, and CREATE INDEX CONCURRENTLY waits for statements that run.
 *
 * Takes no lock: the planner holds one on every table of the statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/plannodes.h"
#include "optimizer/planner.h"
#include "parser/parsetree.h"
#include "trigger/arbiter.h"
#include "trigger/sync.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "base/compat.h"

static planner_hook_type prev_planner = NULL;

/*
 * The old column for a new one, any other column for itself.
 */
static AttrNumber
old_column_of(AttrNumber attno, List *pairs)
{
	ListCell   *lc;

	foreach(lc, pairs)
	{
		MigspecPair *pair = lfirst(lc);

		if (attno != 0 && attno == pair->new_attno && pair->old_attno != 0)
			return pair->old_attno;
	}
	return attno;
}

static Node *
to_old_columns(Node *node, List *pairs)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = copyObject((Var *) node);

		var->varattno = old_column_of(var->varattno, pairs);
		return (Node *) var;
	}
	return expression_tree_mutator(node, to_old_columns, pairs);
}

/*
 * Are the two indexes the same key, one on old columns, one on new ones?
 */
static bool
are_twins(Relation a, Relation b, List *pairs)
{
	Form_pg_index x = a->rd_index;
	Form_pg_index y = b->rd_index;

	if (!y->indisunique || !y->indimmediate || y->indisexclusion ||
		x->indnkeyatts != y->indnkeyatts)
		return false;

	/* the executor wants to find an arbiter in every partition */
	if (b->rd_rel->relkind == RELKIND_PARTITIONED_INDEX && !y->indisvalid)
		return false;
	for (int i = 0; i < x->indnkeyatts; i++)
	{
		if (old_column_of(x->indkey.values[i], pairs) !=
			old_column_of(y->indkey.values[i], pairs))
			return false;
	}
	return equal(to_old_columns((Node *) RelationGetIndexExpressions(a), pairs),
				 to_old_columns((Node *) RelationGetIndexExpressions(b), pairs)) &&
		equal(to_old_columns((Node *) RelationGetIndexPredicate(a), pairs),
			  to_old_columns((Node *) RelationGetIndexPredicate(b), pairs));
}

/*
 * The arbiters, with the twin of each.
 */
static List *
with_twins(Relation rel, List *arbiters, List *pairs)
{
	List	   *result = list_copy(arbiters);
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, arbiters)
	{
		Relation	arbiter = index_open(lfirst_oid(lc), NoLock);

		foreach(lc2, RelationGetIndexList(rel))
		{
			Relation	other;

			if (list_member_oid(result, lfirst_oid(lc2)))
				continue;
			other = index_open(lfirst_oid(lc2), AccessShareLock);
			if (are_twins(arbiter, other, pairs))
				result = lappend_oid(result, RelationGetRelid(other));
			index_close(other, NoLock);
		}
		index_close(arbiter, NoLock);
	}
	return result;
}

/*
 * Complete the arbiters of one plan tree, if it is an INSERT with some.
 */
static void
complete_arbiters(PlannedStmt *stmt, Plan *plan)
{
	ModifyTable *node = (ModifyTable *) plan;
	Relation	rel;
	List	   *pairs;

	if (plan == NULL || !IsA(plan, ModifyTable) || node->arbiterIndexes == NIL)
		return;
	rel = table_open(rt_fetch(linitial_int(node->resultRelations), stmt->rtable)->relid,
					 NoLock);
	pairs = migspec_sync_pairs(rel);
	if (pairs != NIL)
		node->arbiterIndexes = with_twins(rel, node->arbiterIndexes, pairs);
	table_close(rel, NoLock);
}

static pg_attribute_hot PlannedStmt *
arbiter_planner(Query *parse, const char *query_string, int cursorOptions,
				ParamListInfo boundParams)
{
	PlannedStmt *stmt;
	ListCell   *lc;

	stmt = prev_planner ?
		prev_planner(parse, query_string, cursorOptions, boundParams) :
		standard_planner(parse, query_string, cursorOptions, boundParams);
	if (stmt->commandType != CMD_INSERT && !stmt->hasModifyingCTE)
		return stmt;
	complete_arbiters(stmt, stmt->planTree);
	foreach(lc, stmt->subplans)
		complete_arbiters(stmt, lfirst(lc));
	return stmt;
}

/*
 * Install the hook; from _PG_init.
 */
void
migspec_arbiter_init(void)
{
	prev_planner = planner_hook;
	planner_hook = arbiter_planner;
}
