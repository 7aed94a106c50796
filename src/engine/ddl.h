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
#include "datatype/timestamp.h"
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

/* How often something was tried; {0} at first */
typedef struct MigspecRetry
{
	TimestampTz start;
	int			tries;
	int			pause_ms;		/* to wait before the next one */
} MigspecRetry;

/*
 * Lock all targets (ascending OID, together within migspec.lock_timeout),
 * then call work(arg), in one subtransaction.  If a lock is not granted, or
 * on a deadlock, the subtransaction is rolled back (which releases its
 * locks), the blockers are noted in migspec.event, and the result is false:
 * to be called again after a pause, best in another transaction.  The pause
 * grows (exponential, with jitter), until migspec.lock_retry_deadline: then
 * error MG401 names the blockers.  Needs a transaction; does not commit.
 */
extern bool migspec_ddl_try(MigspecRetry *retry, const MigspecMigration *migration,
							const char *what, List *targets,
							void (*work) (void *arg), void *arg);

/*
 * The same, again and again, with pauses, in one transaction: for a caller who
 * cannot commit.  The transaction's snapshot stays.
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
