/*-------------------------------------------------------------------------
 *
 * cost.c
 *		How much a statement's work reads and writes, and how long it takes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/check.h"

uint64
migspec_cost_bytes(const MigspecEffect *effect)
{
	uint64		bytes = 0;

	if (effect->index != NULL)
		return effect->work ? migspec_world_one_index_bytes(effect->index) : 0;
	if (effect->work)
		bytes = migspec_world_heap_bytes(effect->table, false);
	if (effect->work & MIGSPEC_WORK_REWRITE)
		bytes += migspec_world_index_bytes(effect->table, false);
	return bytes;
}

double
migspec_cost_seconds(const MigspecEffect *effect)
{
	return migspec_cost_bytes(effect) / 100e6;
}
