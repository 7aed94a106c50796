/*-------------------------------------------------------------------------
 *
 * require.c
 *		Arguments of the SQL-callable functions, and what calls require.
 *
 * Runs in the process of a session, inside a transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "api/api.h"
#include "base/errors.h"
#include "bgw/bgw.h"
#include "migspec.h"

/*
 * A text argument that must not be null.
 */
char *
migspec_arg_text(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * A text argument, NULL for null.
 */
char *
migspec_arg_text_or_null(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL :
		text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

/*
 * A percentage as text, which must not be null.
 */
char *
migspec_arg_percent(FunctionCallInfo fcinfo, int argno)
{
	char	   *percent;
	double		value;

	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", "percent")));
	percent = numeric_normalize(PG_GETARG_NUMERIC(argno));
	value = DatumGetFloat8(DirectFunctionCall1(numeric_float8, PG_GETARG_DATUM(argno)));
	if (!(value >= 0 && value <= 100))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("percent must be between 0 and 100, not %s", percent)));
	return percent;
}

/*
 * Error unless this is a CALL that may commit.
 */
void
migspec_require_nonatomic(FunctionCallInfo fcinfo, const char *call, const char *why)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s cannot run inside a transaction block or a function", call),
			 errdetail_internal("%s", why),
			 errhint("Call it as a statement of its own: CALL %s(...).", call)));
}

/*
 * Error MG402 unless there are background workers.
 */
void
migspec_require_workers(void)
{
	if (migspec_bgw_available())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_NOT_PRELOADED),
			 errmsg("the background workers of migspec are not running"),
			 errdetail("The library was not loaded when the server started."),
			 errhint("Add %s to shared_preload_libraries and restart the server.",
					 MIGSPEC_LIBRARY)));
}

/*
 * Error MG107 unless the current user is the migration's owner, a member of
 * it, or a superuser.
 */
void
migspec_require_owner(const MigspecMigration *migration)
{
	char	   *owner;

	if (has_privs_of_role(GetUserId(), migration->owner))
		return;
	owner = GetUserNameFromId(migration->owner, true);
	if (owner == NULL)
		owner = psprintf("%u", migration->owner);
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_NOT_OWNER),
			 errmsg("must be owner of migration \"%s\"", migration->name),
			 errdetail("The migration belongs to role \"%s\", and the current role is \"%s\".",
					   owner, GetUserNameFromId(GetUserId(), false)),
			 errhint("Do it as role \"%s\", as a member of that role, or as a superuser.",
					 owner)));
}

/*
 * Error unless statements of this transaction see what others commit
 * meanwhile.
 */
void
migspec_require_read_committed(const char *call)
{
	if (!IsolationUsesXactSnapshot())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s needs isolation level READ COMMITTED", call),
			 errdetail("At the present level it would never see what the worker does."),
			 errhint("Call it outside of a transaction block, or after SET TRANSACTION ISOLATION LEVEL READ COMMITTED.")));
}

/*
 * Error if the worker cannot see the migration as this transaction does, so
 * that waiting for it would be in vain.
 */
void
migspec_require_committed(const MigspecMigration *migration,
						  const MigspecStatus *status, const char *call)
{
	if (!status->own_change)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("migration \"%s\" has been changed in this transaction",
					migration->name),
			 errdetail("The worker cannot see that before it is committed."),
			 errhint("Commit, and call %s afterwards.", call)));
}

/*
 * Locks that a call takes for milliseconds last as long as the transaction
 * block around it.
 */
void
migspec_warn_in_block(const char *call)
{
	if (!IsTransactionBlock())
		return;
	ereport(WARNING,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("%s inside a transaction block keeps its locks until the transaction ends",
					call),
			 errdetail("Until then, applications cannot use the tables."),
			 errhint("Commit at once, or call it outside of a transaction block.")));
}
