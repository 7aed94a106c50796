/*-------------------------------------------------------------------------
 *
 * retry.h
 *		Surviving errors, and waiting, in background workers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_RETRY_H
#define MIGSPEC_RETRY_H

#include "postgres.h"

/*
 * Is this an error that may go away by itself (a deadlock, a lock not
 * granted, a full disk, a cancelled query ...)?
 */
extern bool migspec_error_is_transient(int sqlerrcode);

/*
 * For PG_CATCH() in a worker: end the transaction, and return the error, as
 * a copy in "cxt", which becomes the current memory context.  The error is
 * written to the server's log if "log" is set.
 */
extern ErrorData *migspec_error_caught(MemoryContext cxt, bool log);

/*
 * Wait, outside a transaction, and heed interrupts and changed settings.  May
 * return early when the process latch is set.
 */
extern void migspec_worker_wait(long milliseconds);

/* heed interrupts and changed settings, without waiting */
extern void migspec_worker_breathe(void);

/* begin a transaction with a snapshot */
extern void migspec_worker_begin_xact(void);

/* commit it, and go on in the memory context that the caller works in */
extern void migspec_worker_commit_xact(MemoryContext cxt);

/* set a setting until the end of the GUC nest level or of the transaction */
extern void migspec_set_local(const char *name, const char *value);

#endif							/* MIGSPEC_RETRY_H */
