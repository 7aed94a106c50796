/*-------------------------------------------------------------------------
 *
 * control.c
 *		SQL functions that steer a running backfill.
 *
 * Runs in the process of a session, inside its transaction.  The worker reads
 * what is set here before every batch, so a change works within a batch's
 * time once it is committed.  No lock is taken that a move of the migration,
 * which can wait long for its table locks, would hold.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "api/api.h"
#include "bgw/bgw.h"
#include "engine/strategy.h"

PG_FUNCTION_INFO_V1(migspec_sql_pause);
PG_FUNCTION_INFO_V1(migspec_sql_resume);
PG_FUNCTION_INFO_V1(migspec_sql_tune);

/*
 * The migration that the call is for.  Error MG303 if its phase is past
 * "last": there is no worker to steer any more.
 */
static MigspecMigration *
load_for_steering(FunctionCallInfo fcinfo, MigspecPhase first,
				  MigspecPhase last, const char *call)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");
	MigspecMigration *migration = migspec_migration_load(name, false);

	migspec_require_owner(migration);
	if (migration->phase < first || migration->phase > last)
		migspec_wrong_phase(migration, call);
	return migration;
}

/*
 * Arguments 1 and 2, max_rows_per_second (0: no limit) and strategy; null
 * leaves either as it is.
 */
void
migspec_api_tune(MigspecMigration *migration, FunctionCallInfo fcinfo)
{
	int			limit = PG_ARGISNULL(1) ? -1 : PG_GETARG_INT32(1);
	char	   *strategy = migspec_arg_text_or_null(fcinfo, 2);

	if (!PG_ARGISNULL(1) && limit < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows_per_second must not be negative"),
				 errhint("0 removes the limit.")));
	if (strategy != NULL && migspec_strategy(strategy) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no strategy \"%s\"", strategy),
				 errhint("Strategies are window and one_pass.")));
	migspec_migration_tune(migration, limit, strategy);
}

/*
 * migspec_pause(migration): the worker stops after its present batch.
 */
Datum
migspec_sql_pause(PG_FUNCTION_ARGS)
{
	MigspecMigration *migration;

	migration = load_for_steering(fcinfo, MIGSPEC_MIGRATING, MIGSPEC_MIGRATING,
								  "migspec_pause");
	if (!migration->paused)
		migspec_migration_set_paused(migration, true);

	PG_RETURN_VOID();
}

/*
 * migspec_resume(migration): the worker goes on, also if it has given up.
 */
Datum
migspec_sql_resume(PG_FUNCTION_ARGS)
{
	MigspecMigration *migration;

	migspec_require_workers();
	migration = load_for_steering(fcinfo, MIGSPEC_MIGRATING,
								  MIGSPEC_CONTRACTED, "migspec_resume");
	migspec_migration_set_paused(migration, false);
	migspec_bgw_wake_at_commit();

	PG_RETURN_VOID();
}

/*
 * migspec_tune(migration, max_rows_per_second, strategy)
 */
Datum
migspec_sql_tune(PG_FUNCTION_ARGS)
{
	MigspecMigration *migration;

	migration = load_for_steering(fcinfo, MIGSPEC_PLANNED, MIGSPEC_MIGRATING,
								  "migspec_tune");
	migspec_api_tune(migration, fcinfo);
	migspec_bgw_wake_at_commit();

	PG_RETURN_VOID();
}
