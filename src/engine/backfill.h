/*-------------------------------------------------------------------------
 *
 * backfill.h
 *		The backfill: batches over block ranges, each its own transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_BACKFILL_H
#define MIGSPEC_BACKFILL_H

#include "postgres.h"
#include "catalog/migration.h"

/*
 * Run the backfill of every table of the migration to its end, or until it
 * is paused, cancelled (phase no longer migrating) or fails.  Called by the
 * job worker outside any transaction; starts and commits its own.  Returns
 * true if nothing is left to do, false if it stopped early.  Errors other
 * than those of single rows propagate to the caller.
 */
extern bool migspec_backfill_run(int64 migration_id);

#endif							/* MIGSPEC_BACKFILL_H */
