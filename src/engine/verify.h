/*-------------------------------------------------------------------------
 *
 * verify.h
 *		Comparing old and new over the whole table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_VERIFY_H
#define MIGSPEC_VERIFY_H

#include "postgres.h"

/*
 * Compare every row of every table of the migration, in chunks of short
 * transactions, and store the outcome: verified_at, rows_compared and
 * rows_differing in migspec.migration, and the rows in migspec.difference
 * (the first 100 of each operation).  Worker only, outside a transaction.
 */
extern void migspec_verify_run(int64 migration_id);

#endif							/* MIGSPEC_VERIFY_H */
