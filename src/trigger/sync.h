/*-------------------------------------------------------------------------
 *
 * sync.h
 *		The sync trigger, as seen by the rest of migspec.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SYNC_H
#define MIGSPEC_SYNC_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "expr/expr.h"

/* One column pair, as the trigger of a relation has it now */
typedef struct MigspecPair
{
	int64		operation_id;	/* 0 if its functions have other names */
	AttrNumber	old_attno;		/* in this relation; 0 if none */
	AttrNumber	new_attno;
	AttrNumber	marker_attno;	/* 0 if none */
	MigspecExpr up;
	MigspecExpr down;
	bool		old_is_primary; /* decides when nothing else does */
	bool		is_volatile;	/* up or down cannot be compared */
} MigspecPair;

/*
 * The pairs that the sync trigger of this relation keeps, read from its
 * trigger (never from a table of ours); NIL if it has none, or if it is
 * disabled in any way (not ENABLE ALWAYS).  Palloc'd.
 */
extern List *migspec_sync_pairs(Relation rel);

/*
 * The table that a migration knows: the topmost one, if this is a partition.
 */
extern Oid	migspec_sync_root(Relation rel);

/*
 * The names (List of char *) of the old columns that the sync trigger keeps
 * and that applications are to leave: those that have a visible name, as the
 * new ones have.  Cheap; NIL for a relation without the trigger.
 */
extern List *migspec_sync_old_columns(Relation rel);

/*
 * What is wrong with the sync trigger of this relation, as the end of a
 * sentence that begins with it; NULL if it is at work.  Palloc'd.
 */
extern char *migspec_sync_trouble(Relation rel);

/*
 * While set, updates by this backend are the backfill's: the trigger only
 * synchronises rows that are not in sync, and takes no column as written.
 */
extern bool migspec_in_backfill;

/*
 * SQL predicate over "alias" that is true for a row which still needs the
 * backfill / for a row whose two columns do not agree (what verify reports).
 */
extern char *migspec_sync_pending_sql(Relation rel, const MigspecPair *pair,
									  const char *alias);
extern char *migspec_sync_differs_sql(Relation rel, const MigspecPair *pair,
									  const char *alias);

extern void migspec_sync_init(void);

#endif							/* MIGSPEC_SYNC_H */
