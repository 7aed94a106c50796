/*-------------------------------------------------------------------------
 *
 * bgw.h
 *		Background workers: launcher, schedulers, job workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_BGW_H
#define MIGSPEC_BGW_H

#include "postgres.h"

/* from _PG_init: shared memory, hooks for DROP DATABASE, the launcher */
extern void migspec_bgw_init(void);

/* was the library preloaded, so that workers exist? */
extern bool migspec_bgw_available(void);

/* at commit of this transaction, make this database's scheduler look at its work */
extern void migspec_bgw_wake_at_commit(void);

/* make the worker of this migration stop what it does (SIGINT), and return at once */
extern void migspec_bgw_cancel_job(int64 migration_id);

/*
 * Run migspec_verify_run() for the migration in a worker and wait for its
 * end.  Errors MG407 if no worker can be had, MG410 if it failed.
 */
extern void migspec_bgw_verify(int64 migration_id);

#endif							/* MIGSPEC_BGW_H */
