/*-------------------------------------------------------------------------
 *
 * wait.c
 *		migspec_wait(): wait for a migration to reach a phase.
 *
 * Runs in the process of a session, inside its transaction.  As a statement
 * of its own it holds no snapshot while it waits (base/horizon.c); inside a
 * transaction block or a function it does, and the worker's CREATE INDEX
 * CONCURRENTLY waits for that.  migspec_run() never holds one.
 *
 * Reads the catalog ten times a second, each time afresh; nothing is locked
 * in between.  It can be cancelled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "api/api.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/horizon.h"

#define POLL_MS		100

PG_FUNCTION_INFO_V1(migspec_sql_wait);

/*
 * Has a migration in phase "now" reached "wanted", perhaps long since?
 */
static bool
is_reached(MigspecPhase now, MigspecPhase wanted)
{
	if (now == MIGSPEC_ROLLED_BACK || wanted == MIGSPEC_ROLLED_BACK)
		return now == wanted;
	return now >= wanted;
}

/*
 * Error MG410: the worker does not try again by itself.  The text of its last
 * error can quote values of the table, so it is the owner's only.
 */
void
migspec_worker_stopped(const MigspecMigration *migration,
					   const MigspecStatus *status)
{
	const char *name = migration->name;

	if (!has_privs_of_role(GetUserId(), migration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WORKER_FAILED),
				 errmsg("the worker of migration \"%s\" has given up", name),
				 errdetail("Only the migration's owner may see its last error.")));
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WORKER_FAILED),
			 errmsg("the worker of migration \"%s\" has given up", name),
			 errdetail("Last error, in step \"%s\": %s%s%s",
					   status->step ? status->step : "unknown",
					   status->error ? status->error : "unknown",
					   status->detail ? "; " : "",
					   status->detail ? status->detail : ""),
			 status->hint ? errhint("%s", status->hint) :
			 errhint("Mend the cause, then SELECT migspec_resume(%s).",
					 quote_literal_cstr(name))));
}

/*
 * Errors if the phase cannot be reached, or not without somebody's help.
 */
static void
check_reachable(const MigspecMigration *migration, const MigspecStatus *status,
				MigspecPhase wanted)
{
	if (status->phase == MIGSPEC_FINISHED ||
		status->phase == MIGSPEC_ROLLED_BACK)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_PHASE),
				 errmsg("migration \"%s\" is in phase \"%s\" and will not reach phase \"%s\"",
						migration->name, migspec_phase_name(status->phase),
						migspec_phase_name(wanted))));
	if (status->stopped)
		migspec_worker_stopped(migration, status);
}

/*
 * When to stop waiting; never if the argument is null.
 */
static TimestampTz
deadline_from_argument(FunctionCallInfo fcinfo, int argno)
{
	if (PG_ARGISNULL(argno))
		return DT_NOEND;
	return DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												   TimestampTzGetDatum(GetCurrentTimestamp()),
												   PG_GETARG_DATUM(argno)));
}

static void
nap(void)
{
	static uint32 wait_event = 0;

	migspec_horizon_release();
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 POLL_MS, migspec_wait_event(&wait_event, "MigspecWait"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * migspec_wait(migration, phase, timeout)
 */
Datum
migspec_sql_wait(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");
	char	   *phase = migspec_arg_text(fcinfo, 1, "phase");
	TimestampTz deadline = deadline_from_argument(fcinfo, 2);
	MigspecPhase wanted = migspec_phase_from_name(phase);
	MigspecMigration *migration = migspec_migration_load(name, false);
	MemoryContext scratch;
	MemoryContext old;

	scratch = AllocSetContextCreate(CurrentMemoryContext, "migspec_wait",
									ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(scratch);
	for (;;)
	{
		MigspecStatus *status = migspec_migration_status(migration->id);

		if (is_reached(status->phase, wanted))
			break;
		migspec_require_read_committed("migspec_wait");
		migspec_require_committed(migration, status, "migspec_wait");
		check_reachable(migration, status, wanted);
		if (status->phase == MIGSPEC_MIGRATING)
			migspec_require_workers();
		if (GetCurrentTimestamp() >= deadline)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_TIMEOUT),
					 errmsg("migration \"%s\" did not reach phase \"%s\" in time",
							name, phase),
					 errdetail("It is in phase \"%s\"%s.",
							   migspec_phase_name(status->phase),
							   status->paused ? ", and paused" : ""),
					 errhint("The view migspec.progress shows what it is doing.")));
		nap();
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);

	PG_RETURN_VOID();
}
