/*-------------------------------------------------------------------------
 *
 * cost.c
 *		How much a statement's work reads and writes, and how long it takes.
 *
 * Bytes are those of the files as they are now.  Seconds are bytes at a rate
 * for each kind of work: what bench/check.sh measures on tables of plain
 * columns that fit into memory, rounded down.  They are good to tell
 * milliseconds from seconds from hours, and no better: disks, wide rows,
 * collations and expressions all have a say.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/check.h"

/* bytes per second */
#define RATE_SCAN		500e6	/* of the heap */
#define RATE_INDEX		80e6	/* of the heap, for each index */
#define RATE_VALIDATE	300e6	/* of the heap, a hash join with the other */
#define RATE_REWRITE	50e6	/* of heap and indexes */

#define WORK_SCANS		(MIGSPEC_WORK_SCAN | MIGSPEC_WORK_QUIET_SCAN)

static uint64
heap_bytes(const MigspecEffect *effect)
{
	return migspec_world_heap_bytes(effect->table, false);
}

uint64
migspec_cost_bytes(const MigspecEffect *effect)
{
	uint64		bytes;

	if (effect->work == 0 || effect->no_data || effect->was_empty)
		return 0;
	if (effect->index != NULL && (effect->work & MIGSPEC_WORK_REWRITE))
		return migspec_world_one_index_bytes(effect->index);
	bytes = heap_bytes(effect);
	if (effect->work & MIGSPEC_WORK_REWRITE)
		bytes += migspec_world_index_bytes(effect->table, false);
	return bytes;
}

double
migspec_cost_seconds(const MigspecEffect *effect)
{
	double		bytes = migspec_cost_bytes(effect);
	double		seconds = 0;

	if (bytes == 0)
		return 0;
	/* a rewrite tests all constraints and builds all indexes as it goes */
	if (effect->work & MIGSPEC_WORK_REWRITE)
		seconds += bytes / RATE_REWRITE;
	else
	{
		if (effect->work & WORK_SCANS)
			seconds += bytes / RATE_SCAN;
		if (effect->work & MIGSPEC_WORK_INDEX_BUILD)
			seconds += bytes / RATE_INDEX * Max(1, list_length(effect->built));
	}
	if (effect->work & MIGSPEC_WORK_FK_VALIDATION)
		seconds += bytes / RATE_VALIDATE;
	return seconds;
}
