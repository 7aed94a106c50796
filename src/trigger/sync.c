/*-------------------------------------------------------------------------
 *
 * sync.c
 *		The sync trigger: keeps old and new columns in agreement.
 *
 * One BEFORE ROW trigger on INSERT and UPDATE, ENABLE ALWAYS, named so that
 * it fires after every other one.  For each column pair of the table it
 * decides which side the statement wrote, and computes the other side.
 *
 * Which side was written (see decide_insert() and decide_update()):
 *
 * - from the columns that the statement names.  If it names columns of one
 *   side only, that side was written, also when the value is NULL or the same
 *   as before;
 * - if it names both or none, from the values that changed;
 * - if both sides were written and disagree, by the conflict policy.
 *
 * If neither was written, the row still has to be in agreement afterwards:
 * an unrelated update of a row that the backfill has not reached yet
 * synchronises it as well.  So every row version that is written while the
 * trigger exists agrees, which is what backfill and verify rest on: a row
 * that changes under their feet needs no second look.
 *
 * "Agree" means that the new column is what up gives for the row, or the old
 * column what down gives: one of the two directions may lose information.
 *
 * A marker column exists where values alone cannot tell a row that was never
 * synchronised from one whose new column was set to NULL on purpose (an up
 * that turns NULL into something, a new column without an old one).  It is
 * true in rows from before, and false in every row that went through here.
 *
 * Interleavings this has to survive:
 * - Old, new and dual writers on one row: the row lock orders them; the later
 *   one sees (EvalPlanQual) and synchronises the earlier one's version.
 * - A statement that started before the trigger existed: cannot be, the
 *   trigger is made under a lock that waits for such statements.
 * - A plan that is older than the migration: the relcache invalidation makes
 *   it be planned again before it runs.
 * - The backfill's own update: migspec_in_backfill, neither side is written.
 * - A row that an UPDATE moves between partitions: UPDATE trigger on the
 *   source, then INSERT trigger on the target, which finds agreement.
 *
 * The trigger reads and writes no table, takes no lock (it counts in shared
 * memory, tally.c), and needs none of the writer's rights; expressions of
 * users run with those of the table's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "trigger/arbiter.h"
#include "trigger/pairs.h"
#include "trigger/sync.h"
#include "trigger/tally.h"
#include "trigger/writer.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "migspec.h"

PG_FUNCTION_INFO_V1(migspec_sync);
PG_FUNCTION_INFO_V1(migspec_identical);

bool		migspec_in_backfill = false;

/* Which side of a pair a statement wrote */
typedef enum Side
{
	SIDE_NONE,
	SIDE_OLD,
	SIDE_NEW,
	SIDE_BOTH
} Side;

/*
 * What a statement names, kept in fn_extra: one statement fires the trigger
 * of one result relation with the same FmgrInfo for all its rows.
 */
typedef struct SyncStatement
{
	uint64		generation;		/* of sync_generation, for "relation" */
	SyncRelation *relation;
	bool		inserted_looked_up;
	bool		inserted_known;
	bool		inserted_exact;
	Bitmapset  *inserted;
} SyncStatement;

/* One row on its way through the trigger */
typedef struct SyncRow
{
	TriggerData *trigdata;
	SyncStatement *statement;
	SyncRelation *relation;
	bool		is_update;
	Datum	   *values;			/* the row to be written */
	bool	   *nulls;
	TupleTableSlot *before;		/* UPDATE: the row as it was */
	bool		changed;		/* values differ from the tuple we were given */
} SyncRow;

/*
 * Tells which expression of which table an error is about.
 */
static void
expression_error_context(void *arg)
{
	const SyncExpr *expr = arg;

	errcontext("migspec sync trigger, expression \"%s\" of %s", expr->what,
			   get_func_name(expr->expr.funcid));
}

/*
 * Call the expression's function with values of the row, for expressions that
 * have sub-queries.
 */
static Datum
call_function(SyncRow *row, const MigspecExpr *expr, bool *isnull)
{
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);
	FmgrInfo	flinfo;
	Datum		result;

	fmgr_info(expr->funcid, &flinfo);
	InitFunctionCallInfoData(*fcinfo, &flinfo, expr->ninputs, InvalidOid, NULL, NULL);
	for (int i = 0; i < expr->ninputs; i++)
	{
		fcinfo->args[i].value = row->values[expr->inputs[i] - 1];
		fcinfo->args[i].isnull = row->nulls[expr->inputs[i] - 1];
	}
	result = FunctionCallInvoke(fcinfo);
	*isnull = fcinfo->isnull;
	return result;
}

/*
 * The value of an expression for the row as it stands now.
 */
static Datum
evaluate(SyncRow *row, const SyncExpr *expr, bool *isnull)
{
	SyncRelation *relation = row->relation;
	ErrorContextCallback callback;
	MigspecIdentity identity;
	Datum		result;

	callback.callback = expression_error_context;
	callback.arg = (void *) expr;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	if (!expr->trusted)
		migspec_become_owner(relation->owner, &identity);
	if (expr->state)
	{
		TupleTableSlot *slot = relation->slot;

		ExecClearTuple(slot);
		memcpy(slot->tts_values, row->values, sizeof(Datum) * slot->tts_tupleDescriptor->natts);
		memcpy(slot->tts_isnull, row->nulls, sizeof(bool) * slot->tts_tupleDescriptor->natts);
		ExecStoreVirtualTuple(slot);
		result = ExecEvalExpr(expr->state, relation->econtext, isnull);
	}
	else
		result = call_function(row, &expr->expr, isnull);
	if (!expr->trusted)
		migspec_restore_identity(&identity);

	error_context_stack = callback.previous;
	return result;
}

/*
 * Are two values of a column the same, bit by bit?
 */
static bool
same_value(TupleDesc tupdesc, AttrNumber attno, Datum a, bool a_null,
		   Datum b, bool b_null)
{
	Form_pg_attribute att = TupleDescAttr(tupdesc, attno - 1);

	if (a_null || b_null)
		return a_null && b_null;
	return datum_image_eq(a, b, att->attbyval, att->attlen);
}

/*
 * Would the expression give what its column holds already?
 */
static bool
holds(SyncRow *row, const SyncExpr *expr)
{
	bool		isnull;
	Datum		value = evaluate(row, expr, &isnull);

	return same_value(row->relation->tupdesc, expr->target, value, isnull,
					  row->values[expr->target - 1], row->nulls[expr->target - 1]);
}

/*
 * Set the expression's column to what the expression gives.
 */
static void
assign(SyncRow *row, const SyncExpr *expr)
{
	bool		isnull;
	Datum		value;

	if (!OidIsValid(expr->expr.funcid))
		return;
	value = evaluate(row, expr, &isnull);
	row->values[expr->target - 1] = value;
	row->nulls[expr->target - 1] = isnull;
	row->changed = true;
}

/*
 * Do the two columns of the pair agree?  agree_sql() in pairs.c is the same
 * as SQL.
 */
static bool
agree(SyncRow *row, const SyncPair *pair)
{
	const MigspecPair *p = &pair->pair;

	if (p->old_attno == 0 || p->is_volatile)
		return true;
	if (holds(row, &pair->up))
		return true;

	/* never filled, perhaps: then down proves nothing */
	if (p->marker_attno == 0 && row->nulls[p->new_attno - 1])
		return false;
	return OidIsValid(pair->down.expr.funcid) && holds(row, &pair->down);
}

/*
 * Is the row one that was never synchronised, as far as a marker tells?
 */
static bool
marked(SyncRow *row, const SyncPair *pair)
{
	AttrNumber	marker = pair->pair.marker_attno;

	return marker != 0 && !row->nulls[marker - 1] &&
		DatumGetBool(row->values[marker - 1]);
}

/*
 * Does the UPDATE change the value of this column?
 */
static bool
column_changes(SyncRow *row, AttrNumber attno)
{
	bool		isnull;
	Datum		before;

	if (attno == 0)
		return false;
	before = slot_getattr(row->before, attno, &isnull);
	return !same_value(row->relation->tupdesc, attno, before, isnull,
					   row->values[attno - 1], row->nulls[attno - 1]);
}

/*
 * Does the UPDATE change any column that the expression reads?
 */
static bool
inputs_change(SyncRow *row, const SyncExpr *expr)
{
	for (int i = 0; i < expr->expr.ninputs; i++)
	{
		if (column_changes(row, expr->expr.inputs[i]))
			return true;
	}
	return false;
}

/*
 * What the INSERT names; looked up once for the statement.
 */
static bool
inserted_columns(SyncRow *row)
{
	SyncStatement *statement = row->statement;

	if (!statement->inserted_looked_up)
	{
		MemoryContext oldcontext;

		oldcontext = MemoryContextSwitchTo(GetMemoryChunkContext(statement));
		statement->inserted_known =
			migspec_writer_inserted(row->trigdata, &statement->inserted,
									&statement->inserted_exact);
		MemoryContextSwitchTo(oldcontext);
		statement->inserted_looked_up = true;
	}
	return statement->inserted_known;
}

/*
 * Is the value of this column what this default gives?  A volatile default
 * could be anything but NULL.
 */
static bool
default_gives(SyncRow *row, AttrNumber attno, Node *tree)
{
	MigspecIdentity identity;
	ExprState  *state;
	Datum		value;
	bool		isnull;

	if (tree == NULL || contain_volatile_functions(tree))
		return row->nulls[attno - 1] == (tree == NULL);
	migspec_become_owner(row->relation->owner, &identity);
	state = ExecInitExpr(expression_planner((Expr *) tree), NULL);
	value = ExecEvalExpr(state, row->relation->econtext, &isnull);
	migspec_restore_identity(&identity);
	return same_value(row->relation->tupdesc, attno, value, isnull,
					  row->values[attno - 1], row->nulls[attno - 1]);
}

/*
 * Is the value of this column its default?  A partition may have one of its
 * own, but a row that was inserted through the root has the root's.
 */
static bool
is_default(SyncRow *row, AttrNumber attno)
{
	Relation	rel = row->trigdata->tg_relation;
	Relation	root;
	bool		result;

	if (default_gives(row, attno, build_column_default(rel, attno)))
		return true;
	if (!rel->rd_rel->relispartition)
		return false;
	root = table_open(llast_oid(get_partition_ancestors(RelationGetRelid(rel))),
					  AccessShareLock);
	result = default_gives(row, attno,
						   build_column_default(root, migspec_column(root,
																	 NameStr(TupleDescAttr(RelationGetDescr(rel), attno - 1)->attname))));
	table_close(root, NoLock);
	return result;
}

/*
 * An inserted row of which only the values are known: a side was given if its
 * value is not the default.
 */
static Side
decide_by_value(SyncRow *row, const SyncPair *pair)
{
	const MigspecPair *p = &pair->pair;
	bool		old_given;
	bool		new_given;

	/* a row that another partition's trigger has synchronised */
	if (p->marker_attno != 0 && !marked(row, pair))
		return SIDE_NONE;
	if (p->old_attno == 0)
		return row->nulls[p->new_attno - 1] ? SIDE_OLD : SIDE_NEW;
	old_given = !is_default(row, p->old_attno);
	new_given = !is_default(row, p->new_attno);
	if (old_given != new_given)
		return new_given ? SIDE_NEW : SIDE_OLD;
	if (old_given)
		return agree(row, pair) ? SIDE_NONE : SIDE_BOTH;
	return p->old_is_primary ? SIDE_OLD : SIDE_NEW;
}

/*
 * An INSERT that names neither column: the primary side, which has the
 * default, unless only the other one has a value, from another trigger.  A
 * writer who does not name an added column does not know it.
 */
static Side
decide_unnamed(SyncRow *row, const SyncPair *pair)
{
	const MigspecPair *p = &pair->pair;
	bool		new_null = row->nulls[p->new_attno - 1];

	if (p->old_attno == 0)
		return SIDE_OLD;
	if (new_null != row->nulls[p->old_attno - 1])
		return new_null ? SIDE_OLD : SIDE_NEW;
	return p->old_is_primary ? SIDE_OLD : SIDE_NEW;
}

/*
 * Which side does this INSERT (COPY, MERGE) write?
 */
static Side
decide_insert(SyncRow *row, const SyncPair *pair)
{
	const MigspecPair *p = &pair->pair;
	bool		old_named;
	bool		new_named;

	if (!inserted_columns(row))
		return decide_by_value(row, pair);
	old_named = p->old_attno != 0 && bms_is_member(p->old_attno, row->statement->inserted);
	new_named = bms_is_member(p->new_attno, row->statement->inserted);
	if (old_named && new_named)
		return row->statement->inserted_exact ? SIDE_BOTH : decide_by_value(row, pair);
	if (old_named)
		return SIDE_OLD;
	if (new_named)
		return SIDE_NEW;

	/* a row moved by another action of the same MERGE */
	if (!row->statement->inserted_exact &&
		!row->nulls[p->new_attno - 1] && agree(row, pair))
		return SIDE_NONE;
	return decide_unnamed(row, pair);
}

/*
 * Is this column in the SET list?
 */
static bool
updated(SyncRow *row, AttrNumber attno)
{
	return attno != 0 &&
		bms_is_member(attno - FirstLowInvalidHeapAttributeNumber,
					  row->trigdata->tg_updatedcols);
}

/*
 * Is this the update of the backfill itself, and not of a trigger or function
 * that it calls?
 */
static bool
is_backfill(void)
{
	return migspec_in_backfill && migspec_writer_is_outermost();
}

/*
 * Which side does this UPDATE write?
 */
static Side
decide_update(SyncRow *row, const SyncPair *pair)
{
	bool		old_named = updated(row, pair->pair.old_attno);
	bool		new_named = updated(row, pair->pair.new_attno);
	bool		old_changes = column_changes(row, pair->pair.old_attno);
	bool		new_changes = column_changes(row, pair->pair.new_attno);

	if (is_backfill())
		return SIDE_NONE;

	/*
	 * One side named: that one, unless it stays as it was and another trigger
	 * changed the other side.
	 */
	if (old_named && !new_named)
		return new_changes && !old_changes ? SIDE_NEW : SIDE_OLD;
	if (new_named && !old_named)
		return old_changes && !new_changes ? SIDE_OLD : SIDE_NEW;
	if (old_changes && new_changes)
		return SIDE_BOTH;
	if (old_changes)
		return SIDE_OLD;
	return new_changes ? SIDE_NEW : SIDE_NONE;
}

/*
 * Both sides were written: nothing to do if they agree, else by policy, and
 * the case is counted.
 */
static void
resolve_conflict(SyncRow *row, SyncPair *pair)
{
	TupleDesc	tupdesc = row->relation->tupdesc;

	if (agree(row, pair))
		return;
	migspec_tally_add(row->relation->root, pair->pair.operation_id,
					  MIGSPEC_TALLY_CONFLICTS, &pair->tally);
	if (row->relation->conflict_is_error)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_SYNC_CONFLICT),
				 errmsg("columns \"%s\" and \"%s\" of table \"%s\" were given values that disagree",
						NameStr(TupleDescAttr(tupdesc, pair->pair.old_attno - 1)->attname),
						NameStr(TupleDescAttr(tupdesc, pair->pair.new_attno - 1)->attname),
						RelationGetRelationName(row->trigdata->tg_relation)),
				 errdetail("A running migration keeps the two columns equal."),
				 errhint("Write one of the two columns, or give both the same value.")));
	assign(row, &pair->down);
}

/*
 * An UPDATE that wrote neither side: the row has to agree all the same, and
 * the other side follows when a further column that its expression reads has
 * changed.
 */
static void
settle(SyncRow *row, const SyncPair *pair)
{
	bool		backfill = is_backfill();
	bool		from_old = pair->pair.old_attno == 0 ||
	pair->pair.old_is_primary || backfill;
	const SyncExpr *expr = from_old ? &pair->up : &pair->down;

	if (marked(row, pair))
		assign(row, &pair->up);
	else if (!backfill && inputs_change(row, expr))
		assign(row, expr);
	else if (!agree(row, pair))
		assign(row, expr);
}

/*
 * One side was written: compute the other.  An UPDATE that names a column
 * without changing anything must not touch the other side, unless the row was
 * not in agreement before.
 */
static void
follow(SyncRow *row, const SyncPair *pair, const SyncExpr *expr)
{
	if (!row->is_update || inputs_change(row, expr) ||
		marked(row, pair) || !agree(row, pair))
		assign(row, expr);
}

/*
 * Bring one pair of the row into agreement.
 */
static void
synchronise_pair(SyncRow *row, SyncPair *pair)
{
	switch (row->is_update ? decide_update(row, pair) : decide_insert(row, pair))
	{
		case SIDE_OLD:
			follow(row, pair, &pair->up);
			break;
		case SIDE_NEW:
			follow(row, pair, &pair->down);
			break;
		case SIDE_BOTH:
			resolve_conflict(row, pair);
			break;
		case SIDE_NONE:
			if (row->is_update)
				settle(row, pair);
			break;
	}
	if (marked(row, pair))
	{
		row->values[pair->pair.marker_attno - 1] = BoolGetDatum(false);
		row->changed = true;
	}
}

/*
 * Has the tuple a bitmap of NULLs if, and only if, it says so?  One that has
 * not cannot be read, and whoever tries crashes.
 */
static pg_attribute_unused()
bool
is_well_formed(HeapTuple tuple)
{
	int			bitmap = HeapTupleHasNulls(tuple) ?
	BITMAPLEN(HeapTupleHeaderGetNatts(tuple->t_data)) : 0;

	return tuple->t_data->t_hoff == MAXALIGN(SizeofHeapTupleHeader + bitmap) &&
		tuple->t_len >= tuple->t_data->t_hoff;
}

/*
 * The row as a new tuple, if anything of it has changed.
 */
static HeapTuple
synchronise_row(SyncRow *row)
{
	TriggerData *trigdata = row->trigdata;
	TupleTableSlot *slot = row->is_update ? trigdata->tg_newslot : trigdata->tg_trigslot;
	HeapTuple	given = row->is_update ? trigdata->tg_newtuple : trigdata->tg_trigtuple;
	HeapTuple	formed;
	int			natts = slot->tts_tupleDescriptor->natts;

	Assert(is_well_formed(given));
	if (natts != row->relation->tupdesc->natts ||
		natts != RelationGetDescr(trigdata->tg_relation)->natts)
		elog(ERROR, "sync trigger of table \"%s\" has seen %d columns instead of %d",
			 RelationGetRelationName(trigdata->tg_relation),
			 row->relation->tupdesc->natts, natts);
	slot_getallattrs(slot);
	row->values = palloc(sizeof(Datum) * natts);
	row->nulls = palloc(sizeof(bool) * natts);
	memcpy(row->values, slot->tts_values, sizeof(Datum) * natts);
	memcpy(row->nulls, slot->tts_isnull, sizeof(bool) * natts);
	row->before = row->is_update ? trigdata->tg_trigslot : NULL;

	for (int i = 0; i < row->relation->npairs; i++)
		synchronise_pair(row, &row->relation->pairs[i]);

	/* what comes after us may undo it: those who watch have to know */
	if (row->relation->overruled)
		migspec_tally_add(row->relation->root,
						  row->relation->pairs[0].pair.operation_id,
						  MIGSPEC_TALLY_OVERRULED, &row->relation->pairs[0].tally);

	if (!row->changed)
		return given;
	formed = heap_form_tuple(RelationGetDescr(trigdata->tg_relation),
							 row->values, row->nulls);
	Assert(is_well_formed(formed));
	return formed;
}

/*
 * The statement's memory, with the compiled pairs of the table.
 */
static SyncStatement *
statement_state(FunctionCallInfo fcinfo, TriggerData *trigdata)
{
	SyncStatement *statement = fcinfo->flinfo->fn_extra;

	if (statement == NULL)
	{
		statement = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(SyncStatement));
		fcinfo->flinfo->fn_extra = statement;
	}
	if (statement->relation == NULL || statement->generation != sync_generation ||
		statement->relation->depth > 0)
	{
		statement->relation = sync_relation_lookup(trigdata->tg_relation,
												   trigdata->tg_trigger);
		statement->generation = sync_generation;
	}
	return statement;
}

static void
check_call(FunctionCallInfo fcinfo)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migspec_sync was not called by the trigger manager")));
	if (!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("migspec_sync must be fired BEFORE INSERT OR UPDATE FOR EACH ROW")));
}

/*
 * migspec.sync() -- the trigger function.
 *
 * Runs inside the writer's statement.  Errors are those of the expressions,
 * MG406 (conflict, if the policy is "error"), and of a definition that no
 * longer fits the table.
 */
Datum
migspec_sync(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	SyncRow		row = {0};
	HeapTuple volatile result = NULL;

	check_call(fcinfo);
	row.trigdata = trigdata;
	row.is_update = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event);
	row.statement = statement_state(fcinfo, trigdata);
	row.relation = row.statement->relation;
	/* an expression or a default may bring us back here before it is done */
	sync_relation_acquire(row.relation);
	PG_TRY();
	{
		result = synchronise_row(&row);
	}
	PG_FINALLY();
	{
		sync_relation_release(row.relation);
	}
	PG_END_TRY();
	return PointerGetDatum(result);
}

/*
 * migspec.identical(anyelement, anyelement) -- are two values the same, bit
 * by bit?  NULL is identical to NULL.  Works for types without equality.
 */
Datum
migspec_identical(PG_FUNCTION_ARGS)
{
	TypeCacheEntry *type = fcinfo->flinfo->fn_extra;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(PG_ARGISNULL(0) && PG_ARGISNULL(1));
	if (type == NULL)
	{
		type = lookup_type_cache(get_fn_expr_argtype(fcinfo->flinfo, 0), 0);
		fcinfo->flinfo->fn_extra = type;
	}
	PG_RETURN_BOOL(datum_image_eq(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1),
								  type->typbyval, type->typlen));
}

/*
 * From _PG_init.
 */
void
migspec_sync_init(void)
{
	migspec_writer_init();
	migspec_arbiter_init();
	sync_pairs_init();
}
