/*-------------------------------------------------------------------------
 *
 * check.c
 *		migspec_ddl_effects() and migspec_check(): what a script would do.
 *
 * Runs in the process of a session, inside a transaction.  Nothing of the
 * script is executed.  Relations are locked ACCESS SHARE while they are read,
 * and let go at once; so what is found was true a moment ago, and the server
 * decides anew when the script runs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "base/sqlutil.h"
#include "check/check.h"

PG_FUNCTION_INFO_V1(migspec_sql_ddl_effects);
PG_FUNCTION_INFO_V1(migspec_sql_check);

/*
 * Is the effect one on something that is there?  What only the script would
 * make is not, nor does a lock count that conflicts with nothing but DROP and
 * the like.  What the caller's own transaction has made is there for the
 * caller, who asks.
 */
static bool
is_shown(const MigspecEffect *effect)
{
	return OidIsValid(effect->table->oid) &&
		(effect->index == NULL || OidIsValid(effect->index->oid)) &&
		(effect->lock > AccessShareLock || effect->work != 0);
}

/*
 * migspec_ddl_effects(sql): one row per statement and relation.  A statement
 * that would fail has none: all that it did would be undone.
 */
Datum
migspec_sql_ddl_effects(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	foreach(cell, migspec_check_script(text_to_cstring(PG_GETARG_TEXT_PP(0))))
	{
		MigspecStatement *stmt = lfirst(cell);
		ListCell   *lc;

		foreach(lc, stmt->error == NULL ? stmt->effects : NIL)
		{
			MigspecEffect *effect = lfirst(lc);
			Datum		values[7];
			bool		nulls[7] = {false};

			if (!is_shown(effect))
				continue;
			values[0] = Int32GetDatum(stmt->number);
			values[1] = CStringGetTextDatum(effect->name);
			values[2] = CStringGetTextDatum(GetLockmodeName(DEFAULT_LOCKMETHOD,
															effect->lock));
			values[3] = BoolGetDatum(effect->work & MIGSPEC_WORK_REWRITE);
			values[4] = BoolGetDatum(effect->work & MIGSPEC_WORK_SCAN);
			values[5] = BoolGetDatum(effect->work & MIGSPEC_WORK_INDEX_BUILD);
			values[6] = BoolGetDatum(effect->work & MIGSPEC_WORK_FK_VALIDATION);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
								 nulls);
		}
	}

	PG_RETURN_NULL();
}

/*
 * A text value, null for NULL.
 */
static void
set_text(Datum *values, bool *nulls, int column, const char *s)
{
	if (s == NULL)
		nulls[column] = true;
	else
		values[column] = CStringGetTextDatum(s);
}

/*
 * migspec_check(sql): one row per finding.
 */
Datum
migspec_sql_check(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *statements;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	statements = migspec_check_script(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	foreach(cell, migspec_check_findings(statements))
	{
		MigspecFinding *finding = lfirst(cell);
		Datum		values[12];
		bool		nulls[12] = {false};

		values[0] = Int32GetDatum(finding->statement);
		values[1] = CStringGetTextDatum(finding->rule);
		values[2] = CStringGetTextDatum(migspec_severity_name(finding->severity));
		set_text(values, nulls, 3, finding->object);
		set_text(values, nulls, 4, finding->lock == NoLock ? NULL :
				 GetLockmodeName(DEFAULT_LOCKMETHOD, finding->lock));
		values[5] = migspec_text_array(finding->other_locks);
		values[6] = CStringGetTextDatum(migspec_work_name(finding->work));
		values[7] = Int64GetDatum((int64) finding->bytes);
		values[8] = Float8GetDatum(finding->seconds);
		set_text(values, nulls, 9, finding->waits_for);
		values[10] = CStringGetTextDatum(finding->why);
		set_text(values, nulls, 11, finding->safe_way);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}

	PG_RETURN_NULL();
}
