/*-------------------------------------------------------------------------
 *
 * retry.c
 *		Surviving errors, and waiting, in background workers.
 *
 * Runs in background workers only.  Takes no locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

#include "base/compat.h"
#include "base/errors.h"
#include "engine/retry.h"

/* may it go away by itself? */
bool
migspec_error_is_transient(int sqlerrcode)
{
	switch (sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_QUERY_CANCELED:
		case ERRCODE_ADMIN_SHUTDOWN:
		case ERRCODE_CRASH_SHUTDOWN:
		case ERRCODE_CANNOT_CONNECT_NOW:
		case ERRCODE_MIGSPEC_LOCK_NOT_GRANTED:
		case ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING:
			return true;
		default:
			break;
	}

	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_TRANSACTION_ROLLBACK:
		case ERRCODE_INSUFFICIENT_RESOURCES:
		case ERRCODE_CONNECTION_EXCEPTION:
			return true;
		default:
			return false;
	}
}

/*
 * See retry.h; nearly the same steps as in autovacuum's main loop.  A request
 * to cancel that has come in meanwhile stays, because whoever made it may
 * wait for us: it must not get lost with some other error.
 */
ErrorData *
migspec_error_caught(MemoryContext cxt, bool log)
{
	ErrorData  *edata;

	HOLD_INTERRUPTS();
	disable_all_timeouts(false);

	MemoryContextSwitchTo(cxt);
	edata = CopyErrorData();
	if (log)
		EmitErrorReport();
	AbortOutOfAnyTransaction();
	MemoryContextSwitchTo(cxt);
	FlushErrorState();
	RESUME_INTERRUPTS();
	return edata;
}

/* heed interrupts and changed settings */
void
migspec_worker_breathe(void)
{
	CHECK_FOR_INTERRUPTS();
	if (ConfigReloadPending)
	{
		ConfigReloadPending = false;
		ProcessConfigFile(PGC_SIGHUP);
	}
}

/* see retry.h */
void
migspec_worker_wait(long milliseconds)
{
	static uint32 wait_event = 0;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 milliseconds,
					 migspec_wait_event(&wait_event, "MigspecWorkerPause"));
	ResetLatch(MyLatch);
	migspec_worker_breathe();
}

/* see retry.h */
void
migspec_set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* see retry.h */
void
migspec_worker_begin_xact(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
}

/* see retry.h */
void
migspec_worker_commit_xact(MemoryContext cxt)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	(void) pgstat_report_stat(false);
}
