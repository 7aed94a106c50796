/*-------------------------------------------------------------------------
 *
 * pairs.h
 *		The column pairs of a table, compiled and cached for the trigger.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PAIRS_H
#define MIGSPEC_PAIRS_H

#include "postgres.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "trigger/sync.h"

/*
 * The trigger's arguments: the conflict policy, then these for each pair.
 * Columns are comma-separated lists of names, as quote_identifier() writes
 * them, for the parameters of the function before them.
 */
#define SYNC_ARG_OLD			0
#define SYNC_ARG_NEW			1
#define SYNC_ARG_MARKER			2
#define SYNC_ARG_UP				3
#define SYNC_ARG_UP_COLUMNS		4
#define SYNC_ARG_DOWN			5
#define SYNC_ARG_DOWN_COLUMNS	6
#define SYNC_ARG_PRIMARY		7	/* "old" or "new" */
#define SYNC_ARG_VOLATILE		8	/* "volatile" or "" */
#define SYNC_ARGS_PER_PAIR		9

/* An up or a down, ready to run */
typedef struct SyncExpr
{
	MigspecExpr expr;			/* funcid is InvalidOid if there is none */
	ExprState  *state;			/* NULL: has sub-queries, call the function */
	Node	   *tree;			/* planned expression behind the state */
	bool		trusted;		/* runs nothing but immutable built-in
								 * functions */
	AttrNumber	target;			/* the column it computes */
	const char *what;			/* "up" or "down", for messages */
} SyncExpr;

typedef struct SyncPair
{
	MigspecPair pair;
	SyncExpr	up;
	SyncExpr	down;
	int			tally;			/* where it counts; see tally.h */
} SyncPair;

/*
 * All pairs of a relation.  Lives in a context of its own; "valid" is cleared
 * by invalidation messages and looked at before each use.
 */
typedef struct SyncRelation
{
	Oid			relid;			/* hash key */
	Oid			root;			/* the topmost table, if it is a partition */
	MemoryContext context;
	TupleDesc	tupdesc;		/* a copy */
	Oid			owner;
	bool		conflict_is_error;
	bool		overruled;		/* another trigger fires after ours */
	int			npairs;
	SyncPair   *pairs;
	ExprContext *econtext;
	TupleTableSlot *slot;		/* virtual: the row an expression sees */
	bool		runs_sql;		/* some expression may run SQL, so may
								 * re-enter */
	int			depth;			/* trigger calls that use it right now */
	bool		orphan;			/* no longer in the cache: last user frees it */
} SyncRelation;

/* Changes whenever a cached SyncRelation may have gone or become stale */
extern uint64 sync_generation;

extern SyncRelation *sync_relation_lookup(Relation rel, const Trigger *trigger);
extern void sync_relation_acquire(SyncRelation *relation);
extern void sync_relation_release(SyncRelation *relation);
extern void sync_pairs_init(void);

#endif							/* MIGSPEC_PAIRS_H */
