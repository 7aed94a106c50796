/*-------------------------------------------------------------------------
 *
 * rollout.c
 *		The rollout worker: looks at the rollout plans of its database.
 *
 * A dynamic worker, started by the scheduler of the database while there is a
 * plan that runs; it looks at each of them once a naptime, and ends some time
 * after the last.  It is a process of its own because it runs queries of
 * users, which must be in nobody's way, however long they take.
 *
 * A check runs in a transaction of its own, as the flag's owner, read-only,
 * security-restricted, with a timeout.  A look at a plan (flags/rollout.c) is
 * another transaction, which waits for no lock for long.
 *
 * Crash behaviour: it keeps nothing.  Where a plan stands is a row.
 *
 * Interleavings that must be survived:
 * - A check fails in any way: the plan holds, and the others go on.
 * - The extension is dropped or updated, or the database is to be dropped: it
 *	 ends, or is terminated.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "bgw/worker.h"
#include "engine/retry.h"
#include "flags/rollout.h"
#include "migspec.h"

/* looks without a running plan after which the worker ends */
#define IDLE_LOOKS		10

/* how long a check may wait for a lock */
#define CHECK_LOCK_TIMEOUT	"1s"

/*
 * The same for a look, which sessions that change flags can meet the other way
 * round: it gives up before they are chosen as victims of a deadlock.
 */
#define LOOK_LOCK_TIMEOUT	"50ms"

/* The answer of a check whose query has run */
static MigspecVerdict
verdict_of_result(int result)
{
	Datum		datum;
	bool		isnull;

	if (result != SPI_OK_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a check must be a query")));
	if (SPI_tuptable->tupdesc->natts != 1 ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 1) != BOOLOID || SPI_processed > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a check must return one boolean")));
	if (SPI_processed == 0)
		return MIGSPEC_VERDICT_INCONCLUSIVE;
	datum = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	if (isnull)
		return MIGSPEC_VERDICT_INCONCLUSIVE;
	return DatumGetBool(datum) ? MIGSPEC_VERDICT_SUCCESS : MIGSPEC_VERDICT_FAILURE;
}

/*
 * Run the check, in a transaction of its own.
 */
static void
run_check(MigspecCheckQuery *check, MemoryContext cxt)
{
	MigspecIdentity saved;

	migspec_worker_activity(check->query);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	XactReadOnly = true;
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(check->role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the role that owns the flag does not exist any more")));
	SPI_connect();
	migspec_become_owner_for_ddl(check->role, &saved);
	migspec_set_local("search_path", check->search_path);
	migspec_set_local("lock_timeout", CHECK_LOCK_TIMEOUT);
	if (check->timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, check->timeout);
	check->verdict = verdict_of_result(SPI_execute(check->query, false, 2));
	disable_timeout(STATEMENT_TIMEOUT, false);
	migspec_restore_identity(&saved);
	SPI_finish();
	migspec_worker_commit_xact(cxt);
}

/* The same; an error is no answer. */
static void
run_check_safely(MigspecCheckQuery *check, MemoryContext cxt)
{
	if (check->query == NULL)
		return;
	PG_TRY();
	{
		run_check(check, cxt);
	}
	PG_CATCH();
	{
		check->message = migspec_error_caught(cxt, false)->message;
		check->verdict = MIGSPEC_VERDICT_INCONCLUSIVE;
	}
	PG_END_TRY();
	migspec_worker_activity(NULL);
}

/*
 * Look at one plan.  What goes wrong is logged, unless it was only a lock.
 */
static void
look(MigspecCheckQuery *check, MemoryContext cxt)
{
	run_check_safely(check, cxt);
	PG_TRY();
	{
		migspec_worker_begin_xact();
		migspec_set_local("lock_timeout", LOOK_LOCK_TIMEOUT);
		migspec_rollout_look(check);
		migspec_worker_commit_xact(cxt);
	}
	PG_CATCH();
	{
		(void) migspec_error_caught(cxt, !migspec_error_is_transient(geterrcode()));
	}
	PG_END_TRY();
}

/*
 * The running plans, NIL if there is none.  Ends the process if there is no
 * extension of our version.
 */
static List *
running_plans(MemoryContext cxt)
{
	List	   *checks = NIL;
	char	   *version;
	MemoryContext old;

	migspec_worker_begin_xact();
	version = migspec_worker_extension_version();
	if (version == NULL || strcmp(version, MIGSPEC_VERSION) != 0)
	{
		migspec_worker_commit_xact(cxt);
		migspec_slot_set_outcome(MIGSPEC_OUTCOME_OK, NULL);
		proc_exit(0);
	}
	old = MemoryContextSwitchTo(cxt);
	checks = migspec_rollout_checks();
	MemoryContextSwitchTo(old);
	migspec_worker_commit_xact(cxt);
	return checks;
}

/* Look at all plans; how many there were */
static int
turn(MemoryContext cxt)
{
	List	   *checks = running_plans(cxt);
	ListCell   *lc;

	foreach(lc, checks)
	{
		migspec_worker_breathe();
		look(lfirst(lc), cxt);
	}
	return list_length(checks);
}

/* Main function of a rollout worker; an error ends it, and it is started again */
void
migspec_rollout_main(Datum arg)
{
	MigspecSlotRef ref;
	MemoryContext cxt;
	int			idle = 0;

	migspec_worker_begin(&ref);
	cxt = AllocSetContextCreate(TopMemoryContext, "migspec rollout", ALLOCSET_DEFAULT_SIZES);
	while (idle < IDLE_LOOKS)
	{
		MemoryContextSwitchTo(cxt);
		idle = turn(cxt) > 0 ? 0 : idle + 1;
		migspec_worker_wait(migspec_naptime);
		MemoryContextReset(cxt);
	}
	migspec_slot_set_outcome(MIGSPEC_OUTCOME_OK, NULL);
	proc_exit(0);
}
