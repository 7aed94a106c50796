/*-------------------------------------------------------------------------
 *
 * strategy.c
 *		In which order the backfill visits the rows of a table.
 *
 * Pure functions of a cursor.  A strategy need not be exact: rows that it
 * leaves out, because settings changed between two passes or because they
 * were locked, are found by the sweep that ends every backfill.
 *
 * "one_pass" takes as many pages as hold about migspec.batch_rows rows, and
 * all of their rows, in each transaction.
 *
 * "window" visits the same few pages several times, and each time changes
 * only every k-th row.  The row versions that one transaction leaves behind
 * are pruned by the next ones, which find room on the same page then, so that
 * most updates are heap-only: they touch no index, and the table hardly
 * grows.  The first pass has no room and moves 1/k of the rows elsewhere.
 * If some old snapshot keeps everything from being pruned, it costs about as
 * much as "one_pass".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "base/guc.h"
#include "engine/strategy.h"

/* Each pass of a window changes about ROOM rows on a page. */
#define ROOM			3
#define MIN_PASSES		4
#define MAX_PASSES		64

/* The batch of "pages" pages at the cursor */
static bool
batch_of_pages(const MigspecCursor *cursor, double pages, MigspecBatch *batch)
{
	BlockNumber left = cursor->end_block - cursor->next_block;

	if (cursor->next_block >= cursor->end_block)
		return false;
	batch->first = cursor->next_block;
	batch->last = cursor->next_block +
		(pages < left ? (BlockNumber) Max(pages, 1) : left);
	batch->pass = cursor->pass;
	batch->passes = cursor->passes;
	return true;
}

static void
one_pass_start(MigspecCursor *cursor, BlockNumber nblocks,
			   double rows_per_page)
{
	cursor->next_block = 0;
	cursor->end_block = nblocks;
	cursor->pass = 0;
	cursor->passes = 1;
}

static bool
one_pass_batch(const MigspecCursor *cursor, double rows_per_page,
			   MigspecBatch *batch)
{
	return batch_of_pages(cursor, migspec_batch_rows / rows_per_page, batch);
}

static void
one_pass_advance(MigspecCursor *cursor, const MigspecBatch *batch)
{
	cursor->next_block = batch->last;
}

static void
window_start(MigspecCursor *cursor, BlockNumber nblocks,
			 double rows_per_page)
{
	double		passes = floor(rows_per_page / ROOM);

	one_pass_start(cursor, nblocks, rows_per_page);
	cursor->passes = (int) Min(Max(passes, MIN_PASSES), MAX_PASSES);
}

static bool
window_batch(const MigspecCursor *cursor, double rows_per_page,
			 MigspecBatch *batch)
{
	double		most = (double) migspec_batch_rows * cursor->passes / rows_per_page;

	return batch_of_pages(cursor, Min(most, migspec_window_pages), batch);
}

static void
window_advance(MigspecCursor *cursor, const MigspecBatch *batch)
{
	if (++cursor->pass < cursor->passes)
		return;
	cursor->pass = 0;
	cursor->next_block = batch->last;
}

static const MigspecStrategy strategies[] = {
	{"one_pass", one_pass_start, one_pass_batch, one_pass_advance},
	{"window", window_start, window_batch, window_advance},
};

/* see strategy.h */
const MigspecStrategy *
migspec_strategy(const char *name)
{
	for (size_t i = 0; i < lengthof(strategies); i++)
	{
		if (strcmp(strategies[i].name, name) == 0)
			return &strategies[i];
	}
	return NULL;
}
