/*-------------------------------------------------------------------------
 *
 * worker.h
 *		What launcher, schedulers and job workers have in common.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_WORKER_H
#define MIGSPEC_WORKER_H

#include "postgres.h"
#include "postmaster/bgworker.h"

#include "bgw/shmem.h"

#define MIGSPEC_LAUNCHER_TYPE	"migspec launcher"
#define MIGSPEC_SCHEDULER_TYPE	"migspec scheduler"
#define MIGSPEC_JOB_TYPE		"migspec worker"
#define MIGSPEC_ROLLOUT_TYPE	"migspec rollout"

/* what became of an attempt to start a worker */
typedef enum MigspecStart
{
	MIGSPEC_START_DONE,			/* it started (and may have ended since) */
	MIGSPEC_START_RUNNING,		/* there was such a worker already */
	MIGSPEC_START_NOT_NOW,		/* not allowed at present */
	MIGSPEC_START_LIMIT,		/* as many as migspec.max_workers run */
	MIGSPEC_START_NO_SLOT		/* the server has no worker slot left */
} MigspecStart;

/* from _PG_init */
extern void migspec_launcher_register(void);
extern void migspec_dbhook_init(void);

/*
 * Start a dynamic worker of this kind, and wait until it runs.  Fills in the
 * reference and, if not NULL, the handle.
 */
extern MigspecStart migspec_worker_start(MigspecSlotRef *ref,
										 BackgroundWorkerHandle **handle);

/* first thing in a static worker: signal handlers */
extern void migspec_worker_signals(void);

/*
 * First thing in a dynamic worker: take the slot, connect to the database,
 * and pin all settings that somebody could have set otherwise for it.  Does
 * not return if the worker is not wanted any more.
 */
extern void migspec_worker_begin(MigspecSlotRef *ref);

/* the settings that every worker pins */
extern void migspec_worker_pin_settings(const char *application_name);

/*
 * Version of the extension in this database, NULL if it is not there.  Needs
 * a transaction.
 */
extern char *migspec_worker_extension_version(void);

/* say in pg_stat_activity and in the log what this process does; NULL: idle */
extern void migspec_worker_activity(const char *what);

/* main functions, looked up by name */
extern PGDLLEXPORT void migspec_launcher_main(Datum arg);
extern PGDLLEXPORT void migspec_scheduler_main(Datum arg);
extern PGDLLEXPORT void migspec_job_main(Datum arg);
extern PGDLLEXPORT void migspec_rollout_main(Datum arg);

#endif							/* MIGSPEC_WORKER_H */
