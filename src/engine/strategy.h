/*-------------------------------------------------------------------------
 *
 * strategy.h
 *		In which order the backfill visits the rows of a table.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_STRATEGY_H
#define MIGSPEC_STRATEGY_H

#include "postgres.h"
#include "storage/block.h"

/* Where a backfill stands; stored in migspec.backfill with every batch */
typedef struct MigspecCursor
{
	BlockNumber next_block;		/* first block of the next batch's window */
	BlockNumber end_block;		/* fixed when the scan starts */
	int			pass;			/* of "passes" over the same window */
	int			passes;
} MigspecCursor;

/* What one transaction does: tuples of [first, last) with line pointer % passes = pass */
typedef struct MigspecBatch
{
	BlockNumber first;
	BlockNumber last;
	int			pass;
	int			passes;
} MigspecBatch;

typedef struct MigspecStrategy
{
	const char *name;

	/* set up a cursor for a table of nblocks blocks with so many rows a page */
	void		(*start) (MigspecCursor *cursor, BlockNumber nblocks, double rows_per_page);

	/* the batch at the cursor; false: none left.  Must not change the cursor */
	bool		(*batch) (const MigspecCursor *cursor, double rows_per_page, MigspecBatch *batch);

	/* move the cursor past a batch that is done */
	void		(*advance) (MigspecCursor *cursor, const MigspecBatch *batch);
} MigspecStrategy;

/* NULL if there is none of that name */
extern const MigspecStrategy *migspec_strategy(const char *name);

#endif							/* MIGSPEC_STRATEGY_H */
