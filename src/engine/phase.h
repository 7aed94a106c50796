/*-------------------------------------------------------------------------
 *
 * phase.h
 *		The moves of the state machine.
 *
 * All need a transaction and leave it open: the move and its DDL commit
 * together.  All take migspec_migration_lock() and check the phase again
 * under it.  "Worker" marks what the background worker calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PHASE_H
#define MIGSPEC_PHASE_H

#include "postgres.h"
#include "catalog/migration.h"
#include "engine/ddl.h"

extern void migspec_phase_expand(const char *name);
extern void migspec_phase_migrate(const char *name);	/* start the worker's
														 * part */
extern void migspec_phase_migrated(int64 id);	/* worker */
extern void migspec_phase_verified(const char *name);
extern void migspec_phase_switch(const char *name);
extern void migspec_phase_contract(const char *name, bool force);	/* although the old
																	 * shape is in use */
extern void migspec_phase_finish(const char *name);
extern bool migspec_phase_try_finish(MigspecRetry *retry, MigspecMigration *migration); /* worker */
extern void migspec_phase_rollback(const char *name);

/*
 * What the engine needs of the processes above it; set by bgw when the
 * library was preloaded, NULL otherwise.
 */
extern void (*migspec_worker_cancel) (int64 migration_id);
extern void (*migspec_worker_wake) (void);
extern void (*migspec_worker_note_failure) (int64 migration_id, const char *migration,
											const char *call,
											const ErrorData *edata);

#endif							/* MIGSPEC_PHASE_H */
