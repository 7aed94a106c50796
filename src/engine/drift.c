/*-------------------------------------------------------------------------
 *
 * drift.c
 *		Has the database changed since the migration was planned?
 *
 * A plan is text: it names the table and its columns as they were.  Between
 * plan and expand anybody may rename, retype or drop them, and later something
 * new may come to hang on an old column.  Both is found here, before a
 * statement of the plan fails, or does the wrong thing.
 *
 * Runs in sessions, before a move and again under the move's locks, which let
 * nothing come in between.  Takes no lock itself, but for those under which
 * the items that hang on a column are read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "engine/carry.h"
#include "engine/partitions.h"
#include "engine/plan.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/step.h"

/*
 * Append a column with its type, if it exists.
 */
static void
append_column(StringInfo text, Oid relid, const char *name, bool *first)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, name);
	Form_pg_attribute att;

	if (!HeapTupleIsValid(tuple))
		return;
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	appendStringInfo(text, "%s%s %s", *first ? "" : ", ", quote_identifier(name),
					 migspec_type_name(att->atttypid, att->atttypmod));
	if (OidIsValid(att->attcollation) && att->attcollation != get_typcollation(att->atttypid))
		appendStringInfo(text, " COLLATE %s",
						 quote_identifier(get_collation_name(att->attcollation)));
	ReleaseSysCache(tuple);
	*first = false;
}

static List *
add_name(List *names, char *name)
{
	return name == NULL ? names : list_append_unique(names, makeString(name));
}

/*
 * migspec_plan_subject -- see plan.h.
 */
char *
migspec_plan_subject(const MigspecOperation *op)
{
	StringInfoData text;
	List	   *names = NIL;
	bool		first = true;
	ListCell   *lc;

	if (!migspec_relation_exists(op->relid))
		return NULL;
	names = add_name(names, op->old_name);
	names = add_name(names, op->new_name);
	foreach(lc, op->up_columns)
		names = add_name(names, lfirst(lc));
	foreach(lc, op->down_columns)
		names = add_name(names, lfirst(lc));

	initStringInfo(&text);
	appendStringInfo(&text, "%s (", migspec_relation_name(op->relid));
	foreach(lc, names)
		append_column(&text, op->relid, strVal(lfirst(lc)), &first);
	appendStringInfoChar(&text, ')');
	return text.data;
}

/*
 * migspec_check_subjects -- see plan.h.
 */
void
migspec_check_subjects(const MigspecMigration *migration)
{
	ListCell   *lc;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);
		char	   *now = migspec_plan_subject(op);

		if (op->planned_for == NULL || (now && strcmp(now, op->planned_for) == 0))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN),
				 errmsg("a table of migration \"%s\" has changed since it was planned",
						migration->name),
				 now ? errdetail("It was planned for %s, which is now %s.", op->planned_for, now) :
				 errdetail("It was planned for %s, which has been dropped.", op->planned_for),
				 errhint("Call migspec_plan again.")));
	}
}

static bool
contains(List *strings, const char *string)
{
	ListCell   *lc;

	foreach(lc, strings)
	{
		if (strcmp(lfirst(lc), string) == 0)
			return true;
	}
	return false;
}

/*
 * Everything that the plan carries, as a List of char *, without what belongs
 * to the columns themselves (comment, settings), and without what belongs to
 * partitions that have gone, or were away when its turn came.
 */
static List *
planned_identities(const MigspecMigration *migration)
{
	List	   *steps = migspec_step_load(migration->id);
	List	   *given_up = NIL;
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, steps)
	{
		MigspecStep *step = lfirst(lc);

		if (step->carries && step->skipped && step->phase > MIGSPEC_MIGRATING)
			given_up = lappend(given_up, step->carries);
	}
	foreach(lc, steps)
	{
		MigspecStep *step = lfirst(lc);

		if (step->carries && strncmp(step->carries, "column ", 7) != 0 &&
			migspec_step_applies(migration, step) &&
			!contains(given_up, step->carries))
			result = lappend(result, step->carries);
	}
	return result;
}

/*
 * migspec_check_drift -- see plan.h.
 */
void
migspec_check_drift(const MigspecMigration *migration)
{
	List	   *planned = planned_identities(migration);
	List	   *present = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->old_name == NULL)
			continue;
		foreach(lc2, migspec_carry_identities(op))
		{
			present = lappend(present, lfirst(lc2));
			if (!contains(planned, lfirst(lc2)))
				ereport(ERROR,
						(errcode(ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN),
						 errmsg("%s of column \"%s\" has come or changed since migration \"%s\" was planned",
								(char *) lfirst(lc2), op->old_name, migration->name),
						 errdetail("The plan does not carry it to the new column, so it would be lost."),
						 migration->phase == MIGSPEC_PLANNED ?
						 errhint("Call migspec_plan again.") :
						 errhint("Drop it and create it again after finish, or roll back and plan again.")));
		}
	}

	/* once there are statements of ours, things bear other names */
	if (migration->phase != MIGSPEC_PLANNED)
		return;
	foreach(lc, planned)
	{
		if (!contains(present, lfirst(lc)))
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN),
					 errmsg("%s has gone or changed since migration \"%s\" was planned",
							(char *) lfirst(lc), migration->name),
					 errdetail("The plan carries it to the new column."),
					 errhint("Call migspec_plan again.")));
	}
}
