/*-------------------------------------------------------------------------
 *
 * ddl.h
 *		The DDL runner: short waits for strong locks, and steps as SQL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_DDL_H
#define MIGSPEC_DDL_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "catalog/step.h"

/* a table to be locked before anything is changed */
typedef struct MigspecLockTarget
{
	Oid			relid;
	LOCKMODE	mode;
	bool		may_go;			/* no error if it does not exist any more */
} MigspecLockTarget;

/*
 * Lock all targets (ascending OID, together within migspec.lock_timeout),
 * then call work(arg), in one subtransaction.  If a lock is not granted, or
 * on a deadlock, the subtransaction is rolled back (which releases its
 * locks), the blockers are noted in migspec.event, and after a pause that
 * grows (exponential, with jitter) all is tried again, until
 * migspec.lock_retry_deadline: then error MG401 names the blockers.
 * Needs a transaction; does not commit.
 */
extern void migspec_ddl_run(const MigspecMigration *migration, const char *what,
							List *targets, void (*work) (void *arg), void *arg);

/*
 * Is this process inside a statement that a migration runs?  The guards let
 * those pass.
 */
extern bool migspec_ddl_running(void);

/* Run one step's statement, or its undo, through SPI, with the right identity */
extern void migspec_ddl_step(const MigspecStep *step, bool undo);

/*
 * Run a statement that needs a top-level transaction (CREATE INDEX
 * CONCURRENTLY).  Only from a worker, outside a transaction.
 */
extern void migspec_ddl_toplevel(const char *statement);

#endif							/* MIGSPEC_DDL_H */
