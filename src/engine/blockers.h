/*-------------------------------------------------------------------------
 *
 * blockers.h
 *		Who is in the way of a table lock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_BLOCKERS_H
#define MIGSPEC_BLOCKERS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/*
 * Who holds a lock on the table that conflicts with "mode", and, with
 * "queued", who waits for one; an opaque List, NIL if nobody does.  Reads the
 * lock manager only: no lock, no catalog, so it can be called while an error
 * is handled, before the subtransaction is rolled back.
 */
extern List *migspec_blockers(Oid relid, LOCKMODE mode, bool queued);

/*
 * Those who were in the way at the end of a wait, and those who were ahead of
 * us in the queue at its begin; if nobody is left, those of the begin.
 */
extern List *migspec_blockers_merge(List *begin, List *end);

/*
 * The same for people: process, user, application, state, age, and the query
 * if both the migration's owner and the caller may see it.  Needs a
 * transaction that is not aborted.
 */
extern char *migspec_blockers_text(List *blockers, Oid owner);

#endif							/* MIGSPEC_BLOCKERS_H */
