/*-------------------------------------------------------------------------
 *
 * scheduler.c
 *		The scheduler: starts workers for the migrations of its database.
 *
 * One dynamic worker in each database that has the extension, started by the
 * launcher.  Each naptime, and whenever its latch is set, it compares what
 * the catalog says is due with the workers that run, and starts what is
 * missing.  It holds no lock between two looks, so it is in nobody's way; it
 * ends when the extension is gone.
 *
 * Crash behaviour: it keeps nothing.  What is due is a matter of the catalog,
 * whether a worker is alive one of the lock that the worker holds.
 *
 * Interleavings that must be survived:
 *
 * - The extension is dropped, or created again, between two looks, or while
 *	 one is under way: a query fails, and the next look finds out why.
 * - The extension is updated while it looks: it waits for the new version's
 *	 tables like everybody else, or finds a version that is not its own, and
 *	 does nothing until that has changed.
 * - A dump is being restored: our tables come one by one, and triggers and
 *	 indexes at the end.  An event that we wrote meanwhile would have the number
 *	 of one that is to come, and the restore would fail.  Whoever has made a
 *	 migration has noted an event; so while the sequence of their numbers was
 *	 never used, the migrations are not looked at, here and in watch.c.
 * - A migration's worker ends after the look at the catalog and before that
 *	 at the slots: a second one starts, finds nothing to do, and ends.
 * - It is cancelled, or its transaction is chosen as a deadlock's victim: the
 *	 next look does the same work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "bgw/collect.h"
#include "bgw/outbox.h"
#include "bgw/watch.h"
#include "bgw/worker.h"
#include "engine/retry.h"
#include "flags/rollout.h"
#include "flags/sample.h"
#include "migspec.h"
#include "trigger/tally.h"
#include "usage/usage.h"

/* the error of the last look, 0 if there was none: logged once */
static int	last_error = 0;

/* what a look has complained of already */
static bool complained_of_version = false;
static bool complained_of_slots = false;

/* the one that has waited longest comes first */
static const char *const due_query =
"SELECT m.id FROM migspec.migration m"
" WHERE NOT m.paused"
"   AND (m.phase = 'migrating'"
"        OR (m.phase = 'contracted' AND m.finish_after <= now()))"
"   AND (m.retry_at IS NULL OR m.retry_at <= now())"
"   AND (SELECT s.is_called FROM migspec.event_id_seq AS s)"
" ORDER BY coalesce(m.retry_at, m.finish_after, m.phase_since), m.id";

/* IDs of the migrations that have work to do now, as a List of int64 * */
static List *
due_migrations(MemoryContext cxt)
{
	List	   *due = NIL;
	uint64		n;

	SPI_connect();
	n = migspec_sql(due_query, 0, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(cxt);
		int64	   *id = palloc(sizeof(int64));

		*id = migspec_spi_int8(i, "id");
		due = lappend(due, id);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return due;
}

static void
complain_of_version(const char *version)
{
	if (complained_of_version)
		return;
	complained_of_version = true;
	ereport(WARNING,
			(errcode(ERRCODE_MIGSPEC_VERSION_MISMATCH),
			 errmsg("migspec's workers do nothing in this database"),
			 errdetail("The extension has version %s here, the library is of version %s.",
					   version, MIGSPEC_VERSION),
			 errhint("Use ALTER EXTENSION migspec UPDATE.")));
}

/*
 * What is due, as a List of int64 * in "cxt", and whether there are rollout
 * plans that run.  Ends the process if there is no extension.
 */
static List *
look(MemoryContext cxt, bool *plans)
{
	List	   *due = NIL;
	char	   *version;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	version = migspec_worker_extension_version();
	if (version == NULL)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		migspec_tally_forget_database(MyDatabaseId);
		migspec_sample_forget_database(MyDatabaseId);
		migspec_usage_forget_database(MyDatabaseId);
		migspec_slot_set_outcome(MIGSPEC_OUTCOME_ABSENT, NULL);
		proc_exit(0);
	}
	migspec_slot_set_settled();
	if (strcmp(version, MIGSPEC_VERSION) != 0)
		complain_of_version(version);
	else
	{
		complained_of_version = false;
		due = due_migrations(cxt);
		*plans = migspec_rollout_any();
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(cxt);
	return due;
}

/* Not even migspec.max_workers can be had: say so once. */
static void
complain_of_slots(void)
{
	if (complained_of_slots)
		return;
	complained_of_slots = true;
	ereport(WARNING,
			(errcode(ERRCODE_MIGSPEC_WORKER),
			 errmsg("could not start a migspec worker"),
			 errdetail("All worker slots of the server are in use."),
			 errhint("Increase \"max_worker_processes\", or decrease \"migspec.max_workers\".")));
}

/* Start the job workers that are missing, as far as the limit allows. */
static void
start_jobs(List *due)
{
	ListCell   *lc;

	foreach(lc, due)
	{
		MigspecSlotRef ref = {0};
		MigspecStart start;

		ref.kind = MIGSPEC_WORKER_JOB;
		ref.dboid = MyDatabaseId;
		ref.migration_id = *(int64 *) lfirst(lc);
		start = migspec_worker_start(&ref, NULL);
		if (start == MIGSPEC_START_DONE)
			complained_of_slots = false;
		else if (start == MIGSPEC_START_NO_SLOT)
			complain_of_slots();
		if (start == MIGSPEC_START_NO_SLOT || start == MIGSPEC_START_LIMIT)
			break;
	}
}

/* One worker looks at all rollout plans. */
static void
start_rollout(void)
{
	MigspecSlotRef ref = {0};

	ref.kind = MIGSPEC_WORKER_ROLLOUT;
	ref.dboid = MyDatabaseId;
	if (migspec_worker_start(&ref, NULL) == MIGSPEC_START_NO_SLOT)
		complain_of_slots();
}

static void
turn(MemoryContext cxt)
{
	List	   *due;
	bool		plans = false;

	migspec_worker_breathe();
	migspec_worker_activity("looking for work");
	due = look(cxt, &plans);
	migspec_outbox_deliver();
	MemoryContextSwitchTo(cxt);
	start_jobs(due);
	if (plans)
		start_rollout();
	if (!complained_of_version)
	{
		migspec_usage_store();
		migspec_collect();
		migspec_watch_triggers();
	}
	migspec_worker_activity(NULL);
	(void) pgstat_report_stat(false);
	last_error = 0;
}

/* The same error again and again is one line in the log. */
static void
survive_error(MemoryContext cxt)
{
	bool		news = geterrcode() != last_error;

	last_error = migspec_error_caught(cxt, news)->sqlerrcode;
	migspec_worker_activity(NULL);
}

/* Main function of a scheduler */
void
migspec_scheduler_main(Datum arg)
{
	MigspecSlotRef ref;
	MemoryContext cxt;
	volatile long wait = 0;

	migspec_worker_begin(&ref);
	cxt = AllocSetContextCreate(TopMemoryContext, "migspec scheduler",
								ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		MemoryContextSwitchTo(cxt);
		PG_TRY();
		{
			migspec_worker_wait(wait);
			wait = migspec_naptime;
			turn(cxt);
		}
		PG_CATCH();
		{
			survive_error(cxt);
		}
		PG_END_TRY();
		MemoryContextReset(cxt);
	}
}
