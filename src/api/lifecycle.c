/*-------------------------------------------------------------------------
 *
 * lifecycle.c
 *		SQL functions that move a migration from phase to phase.
 *
 * Runs in the process of a session, inside its transaction: the move commits
 * with it.  Locks, rights and the phase are the engine's business.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "api/api.h"
#include "base/errors.h"
#include "engine/phase.h"
#include "engine/plan.h"

PG_FUNCTION_INFO_V1(migspec_sql_plan);
PG_FUNCTION_INFO_V1(migspec_sql_expand);
PG_FUNCTION_INFO_V1(migspec_sql_migrate);
PG_FUNCTION_INFO_V1(migspec_sql_switch);
PG_FUNCTION_INFO_V1(migspec_sql_contract);
PG_FUNCTION_INFO_V1(migspec_sql_finish);
PG_FUNCTION_INFO_V1(migspec_sql_rollback);

/*
 * Error if "value" is below zero: the grace period is in the future.
 */
static void
check_grace(const Interval *value)
{
	Interval	zero = {0};

	if (DatumGetInt32(DirectFunctionCall2(interval_cmp,
										  IntervalPGetDatum(value),
										  IntervalPGetDatum(&zero))) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("contract_grace must not be negative")));
}

static void
check_conflict_policy(const char *value)
{
	if (strcmp(value, "new_wins") != 0 && strcmp(value, "error") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no conflict_policy \"%s\"", value),
				 errhint("Policies are new_wins and error.")));
}

/*
 * Arguments 0 to 5: migration, operations, version_schema, contract_grace,
 * allow_irreversible, conflict_policy.  Makes and stores the plan.
 */
static int64
plan_from_arguments(FunctionCallInfo fcinfo)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");
	MigspecPlanOptions options = {0};

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "operations")));

	options.version_schema = migspec_arg_text_or_null(fcinfo, 2);
	if (!PG_ARGISNULL(3))
	{
		options.contract_grace = PG_GETARG_INTERVAL_P(3);
		check_grace(options.contract_grace);
	}
	options.allow_irreversible = !PG_ARGISNULL(4) && PG_GETARG_BOOL(4);
	options.conflict_policy = PG_ARGISNULL(5) ? pstrdup("new_wins") :
		migspec_arg_text(fcinfo, 5, "conflict_policy");
	check_conflict_policy(options.conflict_policy);

	return migspec_plan_create(name, PG_GETARG_JSONB_P(1), &options);
}

/*
 * One row of migspec_plan().
 */
static void
put_step(ReturnSetInfo *rsinfo, const MigspecStep *step)
{
	Datum		values[7];
	bool		nulls[7] = {false};

	values[0] = Int32GetDatum(step->ordinal);
	values[1] = CStringGetTextDatum(migspec_phase_name(step->phase));
	values[2] = CStringGetTextDatum(step->statement);
	if (step->lockmode == NoLock)
		nulls[3] = true;
	else
		values[3] = CStringGetTextDatum(GetLockmodeName(DEFAULT_LOCKMETHOD,
														step->lockmode));
	values[4] = BoolGetDatum(step->rewrites);
	nulls[5] = step->est_rows < 0;
	values[5] = Int64GetDatum(step->est_rows);
	nulls[6] = step->est_seconds < 0;
	values[6] = Float8GetDatum(step->est_seconds);

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * migspec_plan(migration, operations, version_schema, contract_grace,
 * allow_irreversible, conflict_policy): check and store; the steps that will
 * run.
 */
Datum
migspec_sql_plan(PG_FUNCTION_ARGS)
{
	ListCell   *cell;
	int64		id;

	InitMaterializedSRF(fcinfo, 0);
	id = plan_from_arguments(fcinfo);
	foreach(cell, migspec_step_load(id))
		put_step((ReturnSetInfo *) fcinfo->resultinfo, lfirst(cell));

	PG_RETURN_NULL();
}

/*
 * migspec_expand(migration, operations, ...): the same arguments; plans first
 * if there are operations.
 */
Datum
migspec_sql_expand(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");

	if (!PG_ARGISNULL(1))
		(void) plan_from_arguments(fcinfo);
	migspec_phase_expand(name);
	migspec_warn_in_block("migspec_expand");

	PG_RETURN_VOID();
}

/*
 * migspec_migrate(migration, max_rows_per_second, strategy): start the
 * worker's part.
 */
Datum
migspec_sql_migrate(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");

	migspec_require_workers();
	migspec_phase_migrate(name);
	if (!PG_ARGISNULL(1) || !PG_ARGISNULL(2))
		migspec_api_tune(migspec_migration_load(name, false), fcinfo);

	PG_RETURN_VOID();
}

/*
 * migspec_switch(migration): verified to switched.
 */
Datum
migspec_sql_switch(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");

	migspec_phase_switch(name);
	migspec_warn_in_block("migspec_switch");

	PG_RETURN_VOID();
}

/*
 * migspec_contract(migration, force): switched to contracted.
 */
Datum
migspec_sql_contract(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");

	migspec_phase_contract(name, !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	migspec_warn_in_block("migspec_contract");

	PG_RETURN_VOID();
}

/*
 * migspec_finish(migration): contracted to finished.
 */
Datum
migspec_sql_finish(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");

	migspec_phase_finish(name);
	migspec_warn_in_block("migspec_finish");

	PG_RETURN_VOID();
}

/*
 * migspec_rollback(migration): any phase before finished to rolled_back.
 */
Datum
migspec_sql_rollback(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");

	migspec_phase_rollback(name);
	migspec_warn_in_block("migspec_rollback");

	PG_RETURN_VOID();
}
