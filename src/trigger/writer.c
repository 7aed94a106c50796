/*-------------------------------------------------------------------------
 *
 * writer.c
 *		Which statement is running a row trigger, and what it names.
 *
 * A row trigger learns from the executor which columns an UPDATE sets, but
 * not which columns an INSERT or a COPY names.  The executor knows (they are
 * part of the permission check), so this module keeps a stack of the running
 * statements: hooks around ExecutorRun and ExecutorFinish push and pop the
 * QueryDesc, a utility hook does the same for COPY FROM.  An entry lives on
 * the C stack of its hook and is popped also when an error passes through.
 * A statement without a table to write fires no row trigger and has no entry.
 *
 * The statement that fires a trigger is always the innermost one: whatever a
 * trigger or a function runs in turn pushes an entry of its own and has
 * popped it before the outer statement goes on to its next row.
 *
 * Data-modifying CTEs run in ExecutorFinish, hence the second hook.  Logical
 * replication applies rows without the executor, so it has no entry.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "tcop/utility.h"
#include "trigger/writer.h"
#include "utils/rel.h"

#include "base/compat.h"

/* A statement that is being executed; exactly one of the two is set */
typedef struct Writer
{
	struct Writer *outer;
	QueryDesc  *query;
	CopyStmt   *copy;
} Writer;

static Writer *innermost = NULL;

static ExecutorRun_hook_type prev_ExecutorRun = NULL;
static ExecutorFinish_hook_type prev_ExecutorFinish = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/*
 * Can row triggers fire for the statement itself?  The executor knows: a SELECT
 * may have inlined a function with a data-modifying CTE, of which neither its
 * kind nor plannedstmt->hasModifyingCTE tells.
 */
static inline bool
writes_rows(const QueryDesc *query)
{
	return query->estate->es_opened_result_relations != NIL;
}

static inline void
call_run(MIGSPEC_EXECUTOR_RUN_PARAMS)
{
	if (prev_ExecutorRun)
		prev_ExecutorRun(MIGSPEC_EXECUTOR_RUN_ARGS);
	else
		standard_ExecutorRun(MIGSPEC_EXECUTOR_RUN_ARGS);
}

static inline void
call_finish(QueryDesc *queryDesc)
{
	if (prev_ExecutorFinish)
		prev_ExecutorFinish(queryDesc);
	else
		standard_ExecutorFinish(queryDesc);
}

static void
run_pushed(MIGSPEC_EXECUTOR_RUN_PARAMS)
{
	Writer		self = {innermost, queryDesc, NULL};

	innermost = &self;
	PG_TRY();
	{
		call_run(MIGSPEC_EXECUTOR_RUN_ARGS);
	}
	PG_FINALLY();
	{
		innermost = self.outer;
	}
	PG_END_TRY();
}

static void
finish_pushed(QueryDesc *queryDesc)
{
	Writer		self = {innermost, queryDesc, NULL};

	innermost = &self;
	PG_TRY();
	{
		call_finish(queryDesc);
	}
	PG_FINALLY();
	{
		innermost = self.outer;
	}
	PG_END_TRY();
}

static pg_attribute_hot void
writer_ExecutorRun(MIGSPEC_EXECUTOR_RUN_PARAMS)
{
	if (writes_rows(queryDesc))
		run_pushed(MIGSPEC_EXECUTOR_RUN_ARGS);
	else
		call_run(MIGSPEC_EXECUTOR_RUN_ARGS);
}

static pg_attribute_hot void
writer_ExecutorFinish(QueryDesc *queryDesc)
{
	if (writes_rows(queryDesc))
		finish_pushed(queryDesc);
	else
		call_finish(queryDesc);
}

static void
call_utility(MIGSPEC_UTILITY_PARAMS)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(MIGSPEC_UTILITY_ARGS);
	else
		standard_ProcessUtility(MIGSPEC_UTILITY_ARGS);
}

static pg_attribute_hot void
writer_ProcessUtility(MIGSPEC_UTILITY_PARAMS)
{
	Node	   *stmt = pstmt->utilityStmt;

	if (IsA(stmt, CopyStmt) && ((CopyStmt *) stmt)->is_from)
	{
		Writer		self = {innermost, NULL, (CopyStmt *) stmt};

		innermost = &self;
		PG_TRY();
		{
			call_utility(MIGSPEC_UTILITY_ARGS);
		}
		PG_FINALLY();
		{
			innermost = self.outer;
		}
		PG_END_TRY();
	}
	else
		call_utility(MIGSPEC_UTILITY_ARGS);
}

/*
 * The result relation whose trigger this is.  Each result relation has its
 * own copy of the trigger descriptor, so the trigger's address tells even
 * two targets of one statement apart that are the same table.
 */
static ResultRelInfo *
find_result_relation(EState *estate, const Trigger *trigger)
{
	List	   *lists[2] = {estate->es_opened_result_relations,
	estate->es_tuple_routing_result_relations};

	for (int i = 0; i < 2; i++)
	{
		ListCell   *lc;

		foreach(lc, lists[i])
		{
			ResultRelInfo *rel = lfirst(lc);

			if (rel->ri_TrigDesc &&
				trigger >= rel->ri_TrigDesc->triggers &&
				trigger < rel->ri_TrigDesc->triggers + rel->ri_TrigDesc->numtriggers)
				return rel;
		}
	}
	return NULL;
}

/*
 * What the statement does to that relation: a statement with data-modifying
 * CTEs has several ModifyTable nodes, each the top of its own plan tree.
 */
static CmdType
operation_on(PlannedStmt *stmt, ResultRelInfo *rel)
{
	List	   *trees = lcons(stmt->planTree, list_copy(stmt->subplans));
	ListCell   *lc;
	Index		rti;

	if (rel->ri_RootResultRelInfo)
		rel = rel->ri_RootResultRelInfo;
	rti = rel->ri_RangeTableIndex;
	foreach(lc, trees)
	{
		ModifyTable *node = lfirst(lc);

		if (node != NULL && IsA(node, ModifyTable) &&
			(node->rootRelation == rti ||
			 list_member_int(node->resultRelations, rti)))
			return node->operation;
	}
	return CMD_UNKNOWN;
}

/*
 * The columns of a COPY's list, by name; all of them if it has no list.
 */
static Bitmapset *
copied_columns(Relation rel, const CopyStmt *copy)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);
	Bitmapset  *attnos = NULL;

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		bool		named = (copy->attlist == NIL);
		ListCell   *lc;

		if (att->attisdropped || att->attgenerated)
			continue;
		foreach(lc, copy->attlist)
			named = named || strcmp(strVal(lfirst(lc)), NameStr(att->attname)) == 0;
		if (named)
			attnos = bms_add_member(attnos, att->attnum);
	}
	return attnos;
}

/*
 * migspec_writer_inserted -- the columns that an INSERT, COPY or MERGE names.
 */
bool
migspec_writer_inserted(TriggerData *trigdata, Bitmapset **attnos, bool *exact)
{
	ResultRelInfo *rel;
	CmdType		operation;
	Bitmapset  *columns;
	int			member = -1;

	*attnos = NULL;
	*exact = true;
	if (innermost == NULL)
		return false;
	if (innermost->copy)
	{
		*attnos = copied_columns(trigdata->tg_relation, innermost->copy);
		return true;
	}

	rel = find_result_relation(innermost->query->estate, trigdata->tg_trigger);
	if (rel == NULL)
		return false;
	operation = operation_on(innermost->query->plannedstmt, rel);

	/* an INSERT trigger under an UPDATE: the row moves between partitions */
	if (operation != CMD_INSERT && operation != CMD_MERGE)
		return false;
	columns = ExecGetInsertedCols(rel, innermost->query->estate);
	while ((member = bms_next_member(columns, member)) >= 0)
		*attnos = bms_add_member(*attnos, member + FirstLowInvalidHeapAttributeNumber);
	*exact = (operation != CMD_MERGE);
	return true;
}

/*
 * migspec_writer_is_outermost -- is no other statement that writes waiting for
 * the running one?
 */
bool
migspec_writer_is_outermost(void)
{
	return innermost != NULL && innermost->outer == NULL;
}

/*
 * Install the hooks; from _PG_init.
 */
void
migspec_writer_init(void)
{
	prev_ExecutorRun = ExecutorRun_hook;
	ExecutorRun_hook = writer_ExecutorRun;
	prev_ExecutorFinish = ExecutorFinish_hook;
	ExecutorFinish_hook = writer_ExecutorFinish;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = writer_ProcessUtility;
}
