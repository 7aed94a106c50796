/*-------------------------------------------------------------------------
 *
 * flag_compare.c
 *		SQL functions of flags: comparing the two shapes.
 *
 * Runs in the process of a session, inside its transaction and as its role.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "api/api.h"
#include "base/errors.h"
#include "flags/compare.h"

PG_FUNCTION_INFO_V1(migspec_sql_flag_compare);
PG_FUNCTION_INFO_V1(migspec_sql_flag_forget);

/* an interval in milliseconds, months of 30 days; at least 0 */
static int
milliseconds(const Interval *interval)
{
	double		ms = interval->time / 1000.0 +
	(interval->day + 30.0 * interval->month) * 86400000.0;

	if (ms < 0 || ms > PG_INT32_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("candidate_timeout must be between 0 and 24 days")));
	return (int) ms;
}

/*
 * migspec_flag_compare(flag, key, old_query, new_query, one_in,
 * candidate_timeout)
 */
Datum
migspec_sql_flag_compare(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "flag");
	MigspecComparison comparison = {
		.key = migspec_arg_text_or_null(fcinfo, 1),
		.old_query = migspec_arg_text(fcinfo, 2, "old_query"),
		.new_query = migspec_arg_text(fcinfo, 3, "new_query"),
		.one_in = PG_ARGISNULL(4) ? 1 : PG_GETARG_INT32(4),
		.timeout = PG_ARGISNULL(5) ? 0 : milliseconds(PG_GETARG_INTERVAL_P(5)),
	};
	MigspecFlag *flag = migspec_flag_argument(fcinfo);

	if (flag == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_FLAG),
				 errmsg("flag \"%s\" does not exist", name)));
	if (comparison.one_in < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("one_in must be at least 1")));
	PG_RETURN_JSONB_P(migspec_flag_compare(flag, &comparison));
}

/*
 * migspec_flag_forget(flag)
 */
Datum
migspec_sql_flag_forget(PG_FUNCTION_ARGS)
{
	migspec_flag_forget_comparisons(migspec_arg_text(fcinfo, 0, "flag"));
	PG_RETURN_VOID();
}
