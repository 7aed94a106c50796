/*-------------------------------------------------------------------------
 *
 * bgw.c
 *		What sessions ask of the background workers.
 *
 * Runs in the process of a session.
 *
 * Interleavings that must be survived:
 *
 * - A transaction that wants the scheduler to look is rolled back: nothing
 *	 happens.  It is prepared: the scheduler looks at its next nap after the
 *	 commit, as it does anyway.
 * - The session that waits for a verification is cancelled or terminated: so
 *	 is the worker.
 * - The worker is terminated: the session gets an error.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/horizon.h"
#include "bgw/bgw.h"
#include "bgw/outbox.h"
#include "bgw/worker.h"
#include "trigger/tally.h"

/* while a worker runs, look whether it has ended at least so often (ms) */
#define LOOK_AFTER		1000

static bool registered = false; /* the callback of the next function */
static bool wake_wanted = false;
static bool poke_wanted = false;

PG_FUNCTION_INFO_V1(migspec_extension_installed);

static void
at_transaction_end(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			if (poke_wanted)
				migspec_poke_launcher(MyDatabaseId);
			if (wake_wanted)
				migspec_wake_database(MyDatabaseId);
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			break;
		default:
			return;
	}
	wake_wanted = false;
	poke_wanted = false;
}

/* see bgw.h; nothing but the wake-up calls works without being preloaded */
void
migspec_bgw_init(void)
{
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	migspec_shmem_init();
	migspec_outbox_init();
	migspec_tally_init();
	migspec_dbhook_init();
	migspec_launcher_register();
}

/*
 * Something is to be done when the transaction commits.  Sessions that never
 * want that do not pay for a callback at the end of each transaction.
 */
static void
want_at_commit(bool *wanted)
{
	if (!registered)
		RegisterXactCallback(at_transaction_end, NULL);
	registered = true;
	*wanted = true;
}

/* see bgw.h */
bool
migspec_bgw_available(void)
{
	return migspec_shmem_ready();
}

/* see bgw.h */
void
migspec_bgw_wake_at_commit(void)
{
	if (migspec_shmem_ready())
		want_at_commit(&wake_wanted);
}

/* see bgw.h */
void
migspec_bgw_cancel_job(int64 migration_id)
{
	if (migspec_shmem_ready())
		(void) migspec_slot_cancel_job(MyDatabaseId, migration_id);
}

/* A worker, and what is to be done with it if the session gives up */
typedef struct Wait
{
	MigspecSlotRef ref;
	BackgroundWorkerHandle *handle;
} Wait;

static void
give_up(int code, Datum arg)
{
	Wait	   *wait = (Wait *) DatumGetPointer(arg);

	TerminateBackgroundWorker(wait->handle);
}

static void
wait_for_end(Wait *wait)
{
	static uint32 wait_event = 0;
	pid_t		pid;

	for (;;)
	{
		BgwHandleStatus status;

		CHECK_FOR_INTERRUPTS();
		status = GetBackgroundWorkerPid(wait->handle, &pid);
		if (status == BGWH_STOPPED || status == BGWH_POSTMASTER_DIED)
			return;
		migspec_horizon_release();
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOOK_AFTER,
						 migspec_wait_event(&wait_event, "MigspecVerify"));
		ResetLatch(MyLatch);
	}
}

static void
report_outcome(const Wait *wait)
{
	MigspecOutcome outcome = MIGSPEC_OUTCOME_DIED;
	char		message[MIGSPEC_MESSAGE_SIZE];

	(void) migspec_slot_outcome(&wait->ref, &outcome, message);
	migspec_slot_give_back(&wait->ref);
	if (outcome == MIGSPEC_OUTCOME_OK)
		return;
	if (outcome == MIGSPEC_OUTCOME_FAILED)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WORKER_FAILED),
				 errmsg("the worker that compares old and new rows has failed"),
				 errdetail("%s", message),
				 errhint("The server's log tells more.")));
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WORKER_FAILED),
			 errmsg("the worker that compares old and new rows has ended too early"),
			 errdetail("It was terminated, or could not start."),
			 errhint("Try again.  The server's log may tell more.")));
}

/* No worker can be had: why? */
static void
report_no_worker(MigspecStart start)
{
	if (start == MIGSPEC_START_NOT_NOW)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WORKER),
				 errmsg("could not start a migspec worker"),
				 errdetail("Another session is about to drop, rename, move or copy this database."),
				 errhint("Try again.")));
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WORKER),
			 errmsg("could not start a migspec worker"),
			 errdetail("All worker slots of the server are in use."),
			 errhint("Try again later, or increase \"max_worker_processes\".")));
}

/* see bgw.h */
void
migspec_bgw_verify(int64 migration_id)
{
	Wait	   *wait = palloc0(sizeof(Wait));
	Datum		arg = PointerGetDatum(wait);
	MigspecStart start;

	if (!migspec_shmem_ready())
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_NOT_PRELOADED),
				 errmsg("migspec has no workers in this server"),
				 errhint("Add \"migspec\" to \"shared_preload_libraries\" and restart the server.")));

	wait->ref.kind = MIGSPEC_WORKER_VERIFY;
	wait->ref.dboid = MyDatabaseId;
	wait->ref.migration_id = migration_id;
	start = migspec_worker_start(&wait->ref, &wait->handle);
	if (start != MIGSPEC_START_DONE)
		report_no_worker(start);

	PG_ENSURE_ERROR_CLEANUP(give_up, arg);
	{
		wait_for_end(wait);
	}
	PG_END_ENSURE_ERROR_CLEANUP(give_up, arg);
	report_outcome(wait);
}

/*
 * migspec.extension_installed()
 *
 * Called at the end of the install script: at commit, have the launcher look
 * into this database.
 */
Datum
migspec_extension_installed(PG_FUNCTION_ARGS)
{
	if (migspec_shmem_ready())
		want_at_commit(&poke_wanted);
	else
		ereport(WARNING,
				(errcode(ERRCODE_MIGSPEC_NOT_PRELOADED),
				 errmsg("migspec has no workers in this server"),
				 errdetail("Migrations can be planned and expanded, but nothing migrates rows."),
				 errhint("Add \"migspec\" to \"shared_preload_libraries\" and restart the server.")));
	PG_RETURN_VOID();
}
