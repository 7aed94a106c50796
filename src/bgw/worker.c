/*-------------------------------------------------------------------------
 *
 * worker.c
 *		What launcher, schedulers and job workers have in common.
 *
 * Exactly one level restarts another: the postmaster the launcher, the
 * launcher the schedulers, and a scheduler its job workers.  That is why
 * dynamic workers are registered with BGW_NEVER_RESTART.
 *
 * Interleavings that must be survived:
 *
 * - A worker is registered but never starts, or starts and ends before its
 *	 starter looks: see shmem.c; the starter gives the slot back.
 * - The database is dropped between start and connection: the slot is taken
 *	 away or the connection fails, and the worker ends.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/guc.h"

#include "base/sqlutil.h"
#include "bgw/worker.h"
#include "migspec.h"
#include "usage/usage.h"

/* Roles and databases can have settings, which apply to workers as well. */
static const char *const pinned_settings[][2] = {
	{"default_transaction_deferrable", "off"},
	{"default_transaction_isolation", "read committed"},
	{"default_transaction_read_only", "off"},
	{"idle_in_transaction_session_timeout", "0"},
	{"jit", "off"},
	{"lock_timeout", "0"},
	{"row_security", "off"},
	{"search_path", "pg_catalog, pg_temp"},
	{"session_replication_role", "origin"},
	{"statement_timeout", "0"},
	{"transaction_timeout", "0"},	/* since 17 */
};

/* see worker.h */
void
migspec_worker_pin_settings(const char *application_name)
{
	for (size_t i = 0; i < lengthof(pinned_settings); i++)
	{
		const char *name = pinned_settings[i][0];

		if (GetConfigOption(name, true, false) != NULL)
			SetConfigOption(name, pinned_settings[i][1],
							PGC_SUSET, PGC_S_OVERRIDE);
	}
	SetConfigOption("application_name", application_name,
					PGC_SUSET, PGC_S_OVERRIDE);
	migspec_usage_off = true;
}

/* see worker.h; the default handler for SIGTERM exits from where it is */
void
migspec_worker_signals(void)
{
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	pqsignal(SIGINT, StatementCancelHandler);
	BackgroundWorkerUnblockSignals();
}

/* Fields that all our workers share */
static void
describe_worker(BackgroundWorker *worker, const char *type,
				const char *function)
{
	memset(worker, 0, sizeof(BackgroundWorker));
	worker->bgw_flags = BGWORKER_SHMEM_ACCESS |
		BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker->bgw_start_time = BgWorkerStart_RecoveryFinished;
	strlcpy(worker->bgw_library_name, MIGSPEC_LIBRARY,
			sizeof(worker->bgw_library_name));
	strlcpy(worker->bgw_function_name, function,
			sizeof(worker->bgw_function_name));
	strlcpy(worker->bgw_type, type, sizeof(worker->bgw_type));
}

/*
 * Register the launcher.  It starts when the server is no standby (any more),
 * and again whenever it has ended.
 */
void
migspec_launcher_register(void)
{
	BackgroundWorker worker;

	describe_worker(&worker, MIGSPEC_LAUNCHER_TYPE, "migspec_launcher_main");
	worker.bgw_restart_time = MIGSPEC_RESTART_DELAY / 1000;
	strlcpy(worker.bgw_name, MIGSPEC_LAUNCHER_TYPE, sizeof(worker.bgw_name));
	RegisterBackgroundWorker(&worker);
}

static void
describe_dynamic_worker(BackgroundWorker *worker, const MigspecSlotRef *ref)
{
	if (ref->kind == MIGSPEC_WORKER_SCHEDULER)
	{
		describe_worker(worker, MIGSPEC_SCHEDULER_TYPE,
						"migspec_scheduler_main");
		snprintf(worker->bgw_name, sizeof(worker->bgw_name),
				 MIGSPEC_SCHEDULER_TYPE " for database %u", ref->dboid);
	}
	else if (ref->kind == MIGSPEC_WORKER_ROLLOUT)
	{
		describe_worker(worker, MIGSPEC_ROLLOUT_TYPE, "migspec_rollout_main");
		snprintf(worker->bgw_name, sizeof(worker->bgw_name),
				 MIGSPEC_ROLLOUT_TYPE " for database %u", ref->dboid);
	}
	else
	{
		describe_worker(worker, MIGSPEC_JOB_TYPE, "migspec_job_main");
		snprintf(worker->bgw_name, sizeof(worker->bgw_name),
				 MIGSPEC_JOB_TYPE " for database %u, migration " INT64_FORMAT,
				 ref->dboid, ref->migration_id);
	}
	worker->bgw_restart_time = BGW_NEVER_RESTART;
	worker->bgw_notify_pid = MyProcPid;
	StaticAssertStmt(sizeof(*ref) <= BGW_EXTRALEN, "reference is too large");
	memcpy(worker->bgw_extra, ref, sizeof(*ref));
}

static MigspecStart
start_of_claim(MigspecClaim claim)
{
	switch (claim)
	{
		case MIGSPEC_CLAIM_OK:
			break;
		case MIGSPEC_CLAIM_RUNNING:
			return MIGSPEC_START_RUNNING;
		case MIGSPEC_CLAIM_BLOCKED:
		case MIGSPEC_CLAIM_TOO_SOON:
			return MIGSPEC_START_NOT_NOW;
		case MIGSPEC_CLAIM_LIMIT:
			return MIGSPEC_START_LIMIT;
	}
	return MIGSPEC_START_DONE;
}

/* see worker.h */
MigspecStart
migspec_worker_start(MigspecSlotRef *ref, BackgroundWorkerHandle **handle)
{
	MigspecClaim claim = migspec_slot_claim(ref);
	BackgroundWorkerHandle *new_handle;
	BackgroundWorker worker;
	pid_t		pid;

	if (claim != MIGSPEC_CLAIM_OK)
		return start_of_claim(claim);

	describe_dynamic_worker(&worker, ref);
	if (!RegisterDynamicBackgroundWorker(&worker, &new_handle))
	{
		migspec_slot_give_back(ref);
		return MIGSPEC_START_NO_SLOT;
	}
	if (handle != NULL)
		*handle = new_handle;

	/*
	 * One that has ended by now leaves an outcome behind; one that never came
	 * up leaves the slot as it was.
	 */
	if (WaitForBackgroundWorkerStartup(new_handle, &pid) == BGWH_STOPPED)
	{
		MigspecOutcome outcome;
		char		message[MIGSPEC_MESSAGE_SIZE];

		if (!migspec_slot_outcome(ref, &outcome, message))
			migspec_slot_give_back(ref);
	}
	return MIGSPEC_START_DONE;
}

/* see worker.h */
void
migspec_worker_begin(MigspecSlotRef *ref)
{
	const char *type = MyBgworkerEntry->bgw_type;

	migspec_worker_signals();
	memcpy(ref, MyBgworkerEntry->bgw_extra, sizeof(*ref));
	if (!migspec_slot_attach(ref))
		proc_exit(0);
	BackgroundWorkerInitializeConnectionByOid(ref->dboid, InvalidOid, 0);
	migspec_worker_pin_settings(type);
	migspec_worker_activity(NULL);
}

/* see worker.h */
char *
migspec_worker_extension_version(void)
{
	MigspecParam name = MIGSPEC_TEXT(MIGSPEC_EXTENSION);
	char	   *version = NULL;

	SPI_connect();
	if (migspec_sql("SELECT extversion FROM pg_catalog.pg_extension"
					" WHERE extname = $1", 1, &name) > 0)
		version = migspec_spi_text(0, "extversion");
	SPI_finish();
	return version;
}

/* see worker.h */
void
migspec_worker_activity(const char *what)
{
	debug_query_string = what;
	pgstat_report_activity(what != NULL ? STATE_RUNNING : STATE_IDLE, what);
}
