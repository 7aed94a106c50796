/*-------------------------------------------------------------------------
 *
 * outbox.h
 *		Failed calls, on their way into the catalog.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_OUTBOX_H
#define MIGSPEC_OUTBOX_H

#include "postgres.h"

/* from _PG_init, while shared_preload_libraries are loaded */
extern void migspec_outbox_init(void);

/* a session: the call is about to fail with this error */
extern void migspec_outbox_put(int64 migration_id, const char *migration,
							   const char *call, const ErrorData *edata);

/* scheduler, outside a transaction: write what has come into the catalog */
extern void migspec_outbox_deliver(void);

#endif							/* MIGSPEC_OUTBOX_H */
