/*-------------------------------------------------------------------------
 *
 * index_tree.c
 *		Putting the hidden index of a partitioned table together.
 *
 * The parent's index exists since the new column does, so a partition that
 * comes later has its index from the beginning.  Those of the partitions that
 * were there are built one by one, and attached.
 *
 * The functions are for steps of a migration only: nobody but the extension's
 * owner may call them.
 *
 * Process: the worker's, one transaction each.  Locks: SHARE UPDATE EXCLUSIVE
 * on the table and its partitions, taken by the caller.  Crash: the
 * transaction never was, and the step is taken again.
 *
 * Interleavings:
 * - A partition is dropped or detached: its index goes along.  If it was the
 *   last one that was missing, nothing makes the parent's index valid but
 *   validate_index().
 * - A partition comes while we look: it comes with a valid index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/sqlutil.h"

PG_FUNCTION_INFO_V1(migspec_attach_index);
PG_FUNCTION_INFO_V1(migspec_validate_index);

/* The index of the partition that is part of its parent's; 0 if there is none */
static Oid
part_of_index(Oid partition, Oid index)
{
	Relation	rel = table_open(partition, AccessShareLock);
	Oid			part = index_get_partition(rel, index);

	table_close(rel, NoLock);
	return part;
}

/*
 * migspec.attach_index(index, partition, name): attach the partition's index
 * of that name, unless one is attached already; then the other one goes.
 */
Datum
migspec_attach_index(PG_FUNCTION_ARGS)
{
	Oid			index = PG_GETARG_OID(0);
	Oid			partition = PG_GETARG_OID(1);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Oid			nspoid = get_rel_namespace(partition);
	Oid			built = get_relname_relid(name, nspoid);
	Oid			attached = part_of_index(partition, index);
	char	   *quoted = quote_qualified_identifier(get_namespace_name(nspoid),
													name);
	char	   *statement = NULL;

	if (!OidIsValid(attached))
		statement = psprintf("ALTER INDEX %s ATTACH PARTITION %s",
							 migspec_relation_name(index), quoted);
	else if (OidIsValid(built) && built != attached)
		statement = psprintf("DROP INDEX %s", quoted);
	if (statement != NULL)
	{
		SPI_connect();
		migspec_sql(statement, 0, NULL);
		SPI_finish();
	}
	PG_RETURN_VOID();
}

static void
set_index_valid(Oid index)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(INDEXRELID, ObjectIdGetDatum(index));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for index %u", index);
	((Form_pg_index) GETSTRUCT(tuple))->indisvalid = true;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	CacheInvalidateRelcacheByRelid(((Form_pg_index) GETSTRUCT(tuple))->indrelid);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * The index is valid if those of all partitions are; foreign tables have none.
 */
static void
validate_tree(Oid index)
{
	Oid			relid = IndexGetRelation(index, false);
	ListCell   *lc;

	check_stack_depth();
	if (get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX)
	{
		foreach(lc, find_inheritance_children(relid, AccessShareLock))
		{
			Oid			partition = lfirst_oid(lc);
			Oid			part = part_of_index(partition, index);

			if (get_rel_relkind(partition) == RELKIND_FOREIGN_TABLE)
				continue;
			if (!OidIsValid(part))
				ereport(ERROR,
						(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						 errmsg("partition \"%s\" has no index that is part of \"%s\"",
								get_rel_name(partition), get_rel_name(index)),
						 errhint("Create it and attach it (ALTER INDEX ... ATTACH PARTITION), or roll the migration back.")));
			validate_tree(part);
		}
		if (!get_index_isvalid(index))
			set_index_valid(index);
	}
	else if (!get_index_isvalid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", get_rel_name(index)),
				 errhint("REINDEX it, or roll the migration back.")));
}

/*
 * migspec.validate_index(index): mark the index of a partitioned table as
 * valid, after a look at those of its partitions.
 */
Datum
migspec_validate_index(PG_FUNCTION_ARGS)
{
	validate_tree(PG_GETARG_OID(0));
	PG_RETURN_VOID();
}
