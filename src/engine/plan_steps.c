/*-------------------------------------------------------------------------
 *
 * plan_steps.c
 *		The steps of a plan: every statement of every phase, with its undo.
 *
 * All operations are column pairs, so the outline is the same for all:
 *
 *		expanded	add the new column (and marker), functions, sync trigger
 *		migrating	backfill; indexes, constraints; ANALYZE
 *		switched	defaults, NOT NULL, keys, identity ...; names; trigger
 *		contracted	hide the old names; trigger
 *		finished	drop trigger, functions, old column; names of indexes ...
 *
 * Column, functions and trigger come in one transaction, so no writer ever
 * meets a new column that nothing keeps in sync.  The strong lock of that
 * transaction waits for every statement that could have missed them, hence
 * nothing has to wait for old transactions before the backfill starts.
 *
 * The undo of a step need not mention what disappears with the new column.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "engine/carry.h"
#include "engine/plan.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "trigger/pairs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "migspec.h"

/* rough figures for the estimates, rows per second */
#define BACKFILL_RATE	50000.0
#define ANALYZE_SECONDS 2.0

/*
 * migspec_plan_add -- see plan.h.
 */
MigspecStep *
migspec_plan_add(MigspecPlan *plan, MigspecPhase phase, Oid relid,
				 LOCKMODE lockmode, char *statement, char *undo)
{
	MigspecStep *step = palloc0(sizeof(MigspecStep));

	step->phase = phase;
	step->kind = MIGSPEC_STEP_SQL;
	step->relid = relid;
	step->locked = list_make1_oid(relid);
	step->lockmode = lockmode;
	step->statement = statement;
	step->undo = undo;
	step->est_rows = -1;
	step->est_seconds = 0.01;
	plan->steps = lappend(plan->steps, step);
	return step;
}

/*
 * Does the sync trigger keep this operation's columns in this phase?  Once
 * the old applications are gone, an added column has a default of its own.
 */
bool
migspec_plan_is_synchronised(const MigspecOperation *op, MigspecPhase phase)
{
	if (op->up == NULL || phase == MIGSPEC_PLANNED || phase == MIGSPEC_FINISHED)
		return false;
	return op->old_name != NULL || phase < MIGSPEC_CONTRACTED;
}

/*
 * What a column of a plan is called in a phase: those of the operations
 * change their names.
 */
static char *
column_at(const MigspecPlan *plan, Oid relid, char *name, MigspecPhase phase)
{
	ListCell   *lc;

	foreach(lc, plan->migration->operations)
	{
		MigspecOperation planned = *(MigspecOperation *) lfirst(lc);
		MigspecOperation now = planned;

		if (planned.relid != relid)
			continue;
		migspec_op_columns_at(&planned, MIGSPEC_PLANNED);
		migspec_op_columns_at(&now, phase);
		if (planned.old_column && strcmp(planned.old_column, name) == 0)
			return now.old_column;
		if (strcmp(planned.new_column, name) == 0)
			return now.new_column;
	}
	return name;
}

/*
 * Names of columns as one argument of the trigger.
 */
static char *
columns_argument(const MigspecPlan *plan, Oid relid, List *columns, MigspecPhase phase)
{
	StringInfoData list;
	ListCell   *lc;

	initStringInfo(&list);
	foreach(lc, columns)
		appendStringInfo(&list, "%s%s", list.len ? "," : "",
						 quote_identifier(column_at(plan, relid, lfirst(lc), phase)));
	return list.data;
}

/*
 * The trigger's arguments for one operation.
 */
static void
append_pair(StringInfo sql, const MigspecPlan *plan, const MigspecOperation *stored,
			MigspecPhase phase)
{
	MigspecOperation op = *stored;
	const char *args[SYNC_ARGS_PER_PAIR];

	migspec_op_columns_at(&op, phase);
	args[SYNC_ARG_OLD] = op.old_column ? op.old_column : "";
	args[SYNC_ARG_NEW] = op.new_column;
	args[SYNC_ARG_MARKER] = op.marker_column ? op.marker_column : "";
	args[SYNC_ARG_UP] = psprintf("up_" INT64_FORMAT, op.id);
	args[SYNC_ARG_UP_COLUMNS] = columns_argument(plan, op.relid, op.up_columns, phase);
	args[SYNC_ARG_DOWN] = op.down ? psprintf("down_" INT64_FORMAT, op.id) : "";
	args[SYNC_ARG_DOWN_COLUMNS] = columns_argument(plan, op.relid, op.down_columns, phase);
	args[SYNC_ARG_PRIMARY] = phase < MIGSPEC_SWITCHED ? "old" : "new";
	args[SYNC_ARG_VOLATILE] = op.is_volatile ? "volatile" : "";
	for (int i = 0; i < SYNC_ARGS_PER_PAIR; i++)
		appendStringInfo(sql, ", %s", migspec_literal(args[i]));
}

/*
 * The statements that (re-)create the sync trigger as a phase needs it; NULL
 * if it needs none.
 *
 * Added columns come last: their up may read an old column that another pair
 * fills from its new one.
 */
static char *
trigger_sql(const MigspecPlan *plan, Oid relid, MigspecPhase phase, bool exists)
{
	StringInfoData sql;
	char	   *table = migspec_relation_name(relid);
	const char *trigger = quote_identifier(MIGSPEC_SYNC_TRIGGER);
	bool		any = false;
	ListCell   *lc;

	initStringInfo(&sql);
	if (exists)
		appendStringInfo(&sql, "DROP TRIGGER %s ON %s; ", trigger, table);
	appendStringInfo(&sql, "CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s"
					 " FOR EACH ROW EXECUTE FUNCTION migspec.sync(%s",
					 trigger, table, migspec_literal(plan->migration->conflict_policy));
	for (int added = 0; added < 2; added++)
	{
		foreach(lc, plan->migration->operations)
		{
			MigspecOperation *op = lfirst(lc);

			if (op->relid != relid || !migspec_plan_is_synchronised(op, phase) ||
				(op->old_name == NULL) != (added == 1))
				continue;
			any = true;
			append_pair(&sql, plan, op, phase);
		}
	}
	if (!any)
		return NULL;
	appendStringInfo(&sql, "); ALTER TABLE %s ENABLE ALWAYS TRIGGER %s;"
					 " SELECT migspec.protect_columns(%s)",
					 table, trigger, migspec_literal(table));
	return sql.data;
}

/*
 * Step: the trigger as "phase" needs it, from what "before" had.
 *
 * Rollback undoes everything in one transaction, so only the first step has
 * something to undo: the trigger goes, whatever it looks like by then.
 */
static void
trigger_step(MigspecPlan *plan, Oid relid, MigspecPhase before, MigspecPhase phase)
{
	char	   *table = migspec_relation_name(relid);
	char	   *old = trigger_sql(plan, relid, before, true);
	char	   *new = trigger_sql(plan, relid, phase, true);
	const char *trigger = quote_identifier(MIGSPEC_SYNC_TRIGGER);

	if (old == NULL && new != NULL)
		migspec_plan_add(plan, phase, relid, AccessExclusiveLock,
						 trigger_sql(plan, relid, phase, false),
						 psprintf("DROP TRIGGER IF EXISTS %s ON %s", trigger, table));
	else if (old != NULL && new == NULL)
		migspec_plan_add(plan, phase, relid, AccessExclusiveLock,
						 psprintf("DROP TRIGGER %s ON %s", trigger, table), NULL);
	else if (old != NULL && strcmp(old, new) != 0)
		migspec_plan_add(plan, phase, relid, AccessExclusiveLock, new, NULL);
}

/*
 * Step: add the new column, and the marker if there is one.
 */
static void
add_column_step(MigspecPlan *plan, MigspecChange *change)
{
	MigspecOperation *op = change->op;
	char	   *table = migspec_relation_name(op->relid);
	StringInfoData sql;
	StringInfoData undo;

	initStringInfo(&sql);
	initStringInfo(&undo);
	appendStringInfo(&sql, "ALTER TABLE %s ADD COLUMN %s %s", table,
					 quote_identifier(op->new_column), op->new_type);
	appendStringInfo(&undo, "ALTER TABLE %s DROP COLUMN %s", table,
					 quote_identifier(op->new_column));
	if (OidIsValid(change->collation) && change->collation != get_typcollation(change->type))
		appendStringInfo(&sql, " COLLATE %s", generate_collation_name(change->collation));

	/* a constant default fills the existing rows without a rewrite */
	if (op->up == NULL && change->default_sql)
		appendStringInfo(&sql, " DEFAULT %s", change->default_sql);
	if (op->marker_column)
	{
		appendStringInfo(&sql, ", ADD COLUMN %s boolean DEFAULT true",
						 quote_identifier(op->marker_column));
		appendStringInfo(&undo, ", DROP COLUMN %s", quote_identifier(op->marker_column));
	}
	migspec_plan_add(plan, MIGSPEC_EXPANDED, op->relid, AccessExclusiveLock,
					 sql.data, undo.data);
}

/*
 * Step: one expression as a function of the columns that it reads.
 */
static void
function_step(MigspecPlan *plan, MigspecOperation *op, const char *what,
			  const MigspecResolved *resolved, Oid returns)
{
	char	   *name = psprintf("migspec.%s_" INT64_FORMAT, what, op->id);
	StringInfoData types;
	MigspecStep *step;
	ListCell   *lc;

	initStringInfo(&types);
	foreach(lc, resolved->params)
		appendStringInfo(&types, "%s%s", types.len ? ", " : "",
						 migspec_type_name(((MigspecShapeColumn *) lfirst(lc))->type, -1));
	step = migspec_plan_add(plan, MIGSPEC_EXPANDED, op->relid, AccessShareLock,
							psprintf("CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE sql RETURN %s; "
									 "ALTER FUNCTION %s OWNER TO %s",
									 name, types.data, migspec_type_name(returns, -1),
									 resolved->sql, name,
									 quote_identifier(GetUserNameFromId(migspec_relation_owner(op->relid), false))),
							psprintf("DROP FUNCTION %s", name));
	step->as_extension = true;
}

static void
drop_function_step(MigspecPlan *plan, MigspecOperation *op, const char *what)
{
	MigspecStep *step;

	step = migspec_plan_add(plan, MIGSPEC_FINISHED, op->relid, AccessShareLock,
							psprintf("DROP FUNCTION migspec.%s_" INT64_FORMAT, what, op->id),
							NULL);
	step->as_extension = true;
}

/*
 * Steps of expanded, but for the trigger.
 */
static void
expand_steps(MigspecPlan *plan, MigspecChange *change)
{
	MigspecOperation *op = change->op;

	add_column_step(plan, change);
	if (op->old_name)
		migspec_carry_plan_column(plan, op);
	if (change->comment)
		migspec_plan_add(plan, MIGSPEC_EXPANDED, op->relid, ShareUpdateExclusiveLock,
						 psprintf("COMMENT ON COLUMN %s.%s IS %s", migspec_relation_name(op->relid),
								  quote_identifier(op->new_column), migspec_literal(change->comment)),
						 NULL);
	if (change->up)
		function_step(plan, op, "up", change->up, change->type);
	if (change->down)
		function_step(plan, op, "down", change->down,
					  get_atttype(op->relid, get_attnum(op->relid, op->old_name)));
}

/*
 * Steps that the worker takes.
 */
static void
migrate_steps(MigspecPlan *plan, MigspecChange *change)
{
	if (change->op->old_name)
		migspec_carry_plan(plan, change->op);
	else if (change->not_null)
		migspec_carry_not_null(plan, change->op);
}

static void
backfill_step(MigspecPlan *plan, Oid relid, double rows)
{
	MigspecStep *step;

	step = migspec_plan_add(plan, MIGSPEC_MIGRATING, relid, RowExclusiveLock,
							psprintf("backfill of %s, in batches", migspec_relation_name(relid)),
							NULL);
	step->kind = MIGSPEC_STEP_BACKFILL;
	step->est_rows = (int64) rows;
	step->est_seconds = rows / BACKFILL_RATE;
}

/*
 * Step: a column gets another name, if it has to.
 */
static void
rename_step(MigspecPlan *plan, MigspecPhase phase, Oid relid, const char *from,
			const char *to)
{
	static const char *const rename = "ALTER TABLE %s RENAME COLUMN %s TO %s";
	char	   *table = migspec_relation_name(relid);
	char	   *quoted_from;
	char	   *quoted_to;

	if (from == NULL || strcmp(from, to) == 0)
		return;
	quoted_from = pstrdup(quote_identifier(from));
	quoted_to = pstrdup(quote_identifier(to));
	migspec_plan_add(plan, phase, relid, AccessExclusiveLock,
					 psprintf(rename, table, quoted_from, quoted_to),
					 psprintf(rename, table, quoted_to, quoted_from));
}

/*
 * Steps: the columns get their names of a phase.
 */
static void
name_steps(MigspecPlan *plan, const MigspecOperation *op, MigspecPhase from,
		   MigspecPhase to)
{
	MigspecOperation before = *op;
	MigspecOperation after = *op;

	migspec_op_columns_at(&before, from);
	migspec_op_columns_at(&after, to);
	rename_step(plan, to, op->relid, before.old_column, after.old_column);
	rename_step(plan, to, op->relid, before.new_column, after.new_column);
}

/*
 * Steps of switched that come after all that is carried over: defaults of
 * added columns, and the swap of names.
 */
static void
switch_steps(MigspecPlan *plan, MigspecChange *change)
{
	MigspecOperation *op = change->op;

	if (op->old_name == NULL && change->default_sql)
		migspec_plan_add(plan, MIGSPEC_SWITCHED, op->relid, AccessExclusiveLock,
						 psprintf("ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
								  migspec_relation_name(op->relid),
								  quote_identifier(op->new_column), change->default_sql),
						 NULL);
	name_steps(plan, op, MIGSPEC_VERIFIED, MIGSPEC_SWITCHED);
}

/*
 * Steps of finished, after the trigger is gone.
 */
static void
finish_steps(MigspecPlan *plan, MigspecChange *change)
{
	MigspecOperation op = *change->op;
	char	   *table = migspec_relation_name(op.relid);
	StringInfoData sql;

	if (op.up)
		drop_function_step(plan, change->op, "up");
	if (op.down)
		drop_function_step(plan, change->op, "down");
	if (op.old_name)
		migspec_carry_plan_before_drop(plan, change->op);

	migspec_op_columns_at(&op, MIGSPEC_CONTRACTED);
	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s", table);
	if (op.old_column)
		appendStringInfo(&sql, " DROP COLUMN %s", quote_identifier(op.old_column));
	if (op.marker_column)
		appendStringInfo(&sql, "%s DROP COLUMN %s", op.old_column ? "," : "",
						 quote_identifier(op.marker_column));
	if (op.old_column || op.marker_column)
		migspec_plan_add(plan, MIGSPEC_FINISHED, op.relid, AccessExclusiveLock, sql.data, NULL);
	if (op.old_name)
		migspec_carry_plan_after_drop(plan, change->op);
}

static int
compare_phases(const ListCell *a, const ListCell *b)
{
	const MigspecStep *x = lfirst(a);
	const MigspecStep *y = lfirst(b);

	if (x->phase != y->phase)
		return x->phase < y->phase ? -1 : 1;
	return x->ordinal - y->ordinal;
}

/*
 * migspec_plan_steps -- the steps of all changes, in the order of running.
 *
 * The operations must have their ids; op->old_column and op->new_column are
 * those of phase planned.  The search path must be the pinned one, so that
 * names are printed in full.
 */
void
migspec_plan_steps(MigspecPlan *plan)
{
	List	   *relids = plan->migration->relids;
	ListCell   *lc;

	foreach(lc, plan->changes)
		expand_steps(plan, lfirst(lc));
	foreach(lc, relids)
	{
		Oid			relid = lfirst_oid(lc);

		trigger_step(plan, relid, MIGSPEC_PLANNED, MIGSPEC_EXPANDED);
		if (trigger_sql(plan, relid, MIGSPEC_EXPANDED, false) != NULL)
			backfill_step(plan, relid, migspec_table_rows(relid));
	}
	foreach(lc, plan->changes)
		migrate_steps(plan, lfirst(lc));
	foreach(lc, relids)
		migspec_plan_add(plan, MIGSPEC_MIGRATING, lfirst_oid(lc), ShareUpdateExclusiveLock,
						 psprintf("ANALYZE %s", migspec_relation_name(lfirst_oid(lc))),
						 NULL)->est_seconds = ANALYZE_SECONDS;
	foreach(lc, plan->changes)
		switch_steps(plan, lfirst(lc));
	foreach(lc, relids)
		trigger_step(plan, lfirst_oid(lc), MIGSPEC_EXPANDED, MIGSPEC_SWITCHED);
	foreach(lc, plan->changes)
		name_steps(plan, ((MigspecChange *) lfirst(lc))->op, MIGSPEC_SWITCHED,
				   MIGSPEC_CONTRACTED);
	foreach(lc, relids)
	{
		trigger_step(plan, lfirst_oid(lc), MIGSPEC_SWITCHED, MIGSPEC_CONTRACTED);
		trigger_step(plan, lfirst_oid(lc), MIGSPEC_CONTRACTED, MIGSPEC_FINISHED);
	}
	foreach(lc, plan->changes)
		finish_steps(plan, lfirst(lc));

	foreach(lc, plan->steps)
		((MigspecStep *) lfirst(lc))->ordinal = foreach_current_index(lc) + 1;
	list_sort(plan->steps, compare_phases);
	foreach(lc, plan->steps)
		((MigspecStep *) lfirst(lc))->ordinal = foreach_current_index(lc) + 1;
}
