/*-------------------------------------------------------------------------
 *
 * step.h
 *		migspec.step: the plan as data.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_STEP_H
#define MIGSPEC_STEP_H

#include "postgres.h"
#include "storage/lockdefs.h"
#include "catalog/migration.h"

typedef enum MigspecStepKind
{
	MIGSPEC_STEP_SQL,			/* in the transaction of its phase */
	MIGSPEC_STEP_CONCURRENTLY,	/* needs a top-level transaction: worker only */
	MIGSPEC_STEP_BACKFILL		/* the worker's batches */
} MigspecStepKind;

/*
 * A step.  "phase" is the phase that running it leads to; for the worker's
 * steps that is MIGSPEC_MIGRATING, and each of those is a transaction of its
 * own.  For every other phase all steps run in one transaction.
 */
typedef struct MigspecStep
{
	int			ordinal;		/* assigned when the plan is stored */
	MigspecPhase phase;
	MigspecStepKind kind;
	bool		as_extension;	/* run as the extension's owner, not the
								 * table's */
	Oid			relid;			/* its owner runs the statement */
	Oid			partition;		/* the partition that the step is for; 0 if it
								 * is for the whole table */
	List	   *locked;			/* OIDs of all tables it locks (relid if NIL) */
	LOCKMODE	lockmode;
	char	   *statement;		/* fully qualified SQL text */
	char	   *undo;			/* NULL: nothing to undo */
	bool		rewrites;		/* the whole table, under the lock */
	char	   *carries;		/* identity of the object carried over, or
								 * NULL */
	int64		est_rows;		/* -1: not applicable */
	double		est_seconds;
	bool		done;
	bool		skipped;		/* its table has gone: it is never run */
} MigspecStep;

extern void migspec_step_store(int64 migration_id, List *steps);
extern List *migspec_step_load(int64 migration_id);
extern void migspec_step_set_done(int64 migration_id, int ordinal, bool done);
extern void migspec_step_skip(int64 migration_id, const MigspecStep *step);

#endif							/* MIGSPEC_STEP_H */
