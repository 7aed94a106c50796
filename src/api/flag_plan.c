/*-------------------------------------------------------------------------
 *
 * flag_plan.c
 *		SQL functions of rollout plans.
 *
 * Runs in the process of a session, inside its transaction.  The plan goes on
 * in the rollout worker, once that has committed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "api/api.h"
#include "base/errors.h"
#include "bgw/bgw.h"
#include "flags/rollout.h"

PG_FUNCTION_INFO_V1(migspec_sql_flag_plan);
PG_FUNCTION_INFO_V1(migspec_sql_flag_plan_resume);
PG_FUNCTION_INFO_V1(migspec_sql_flag_plan_drop);
PG_FUNCTION_INFO_V1(migspec_sql_flag_freeze);

/*
 * migspec_flag_plan(flag, plan)
 */
Datum
migspec_sql_flag_plan(PG_FUNCTION_ARGS)
{
	char	   *flag = migspec_arg_text(fcinfo, 0, "flag");

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "plan")));
	migspec_require_workers();
	migspec_rollout_start(flag, PG_GETARG_JSONB_P(1));
	migspec_bgw_wake_at_commit();
	PG_RETURN_VOID();
}

/*
 * migspec_flag_plan_resume(flag)
 */
Datum
migspec_sql_flag_plan_resume(PG_FUNCTION_ARGS)
{
	migspec_require_workers();
	migspec_rollout_resume(migspec_arg_text(fcinfo, 0, "flag"));
	migspec_bgw_wake_at_commit();
	PG_RETURN_VOID();
}

/*
 * migspec_flag_plan_drop(flag)
 */
Datum
migspec_sql_flag_plan_drop(PG_FUNCTION_ARGS)
{
	migspec_rollout_drop(migspec_arg_text(fcinfo, 0, "flag"));
	PG_RETURN_VOID();
}

/*
 * migspec_flag_freeze(frozen, reason, flag)
 */
Datum
migspec_sql_flag_freeze(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "frozen")));
	migspec_rollout_freeze(migspec_arg_text_or_null(fcinfo, 2), PG_GETARG_BOOL(0),
						   migspec_arg_text_or_null(fcinfo, 1));
	PG_RETURN_VOID();
}
