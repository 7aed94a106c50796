/*-------------------------------------------------------------------------
 *
 * world_size.c
 *		How large are the tables of a world?
 *
 * Files are measured when somebody asks, once, under a momentary ACCESS SHARE;
 * what is locked by somebody else counts as nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "storage/lmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "check/world.h"
#include "check/world_internal.h"

/*
 * Bytes of a table (with its TOAST table) or of an index, all forks.
 */
static uint64
measure(MigspecWorld *world, Oid oid)
{
	uint64		bytes = 0;

	if (!OidIsValid(oid) || !migspec_world_lock_briefly(world, oid))
		return 0;
	if (get_rel_relkind(oid) != 0)
		bytes = DatumGetInt64(DirectFunctionCall1(pg_table_size, ObjectIdGetDatum(oid)));
	UnlockRelationOid(oid, AccessShareLock);
	return bytes;
}

static void
measure_table(MigspecWorldTable *table)
{
	ListCell   *lc;

	if (table->sized)
		return;
	table->sized = true;
	if (!table->loaded || !RELKIND_HAS_STORAGE(table->kind))
		return;
	table->heap_bytes = measure(table->world, table->oid);
	foreach(lc, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(lc);

		if (!index->partitioned)
			table->index_bytes += measure(table->world, index->oid);
	}
}

uint64
migspec_world_heap_bytes(MigspecWorldTable *table, bool all)
{
	uint64		bytes;
	ListCell   *lc;

	table = migspec_world_live(table);
	measure_table(table);
	bytes = table->heap_bytes;
	if (all)
	{
		foreach(lc, migspec_world_descendants(table))
		{
			MigspecWorldTable *child = lfirst(lc);

			measure_table(child);
			bytes += child->heap_bytes;
		}
	}
	return bytes;
}

uint64
migspec_world_index_bytes(MigspecWorldTable *table, bool all)
{
	uint64		bytes;
	ListCell   *lc;

	table = migspec_world_live(table);
	measure_table(table);
	bytes = table->index_bytes;
	if (all)
	{
		foreach(lc, migspec_world_descendants(table))
		{
			MigspecWorldTable *child = lfirst(lc);

			measure_table(child);
			bytes += child->index_bytes;
		}
	}
	return bytes;
}

uint64
migspec_world_one_index_bytes(const MigspecWorldIndex *index)
{
	return index->partitioned ? 0 : measure(index->table->world, index->oid);
}
