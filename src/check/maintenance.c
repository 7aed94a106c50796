/*-------------------------------------------------------------------------
 *
 * maintenance.c
 *		CLUSTER, VACUUM, ANALYZE, REFRESH MATERIALIZED VIEW, LOCK.
 *
 * See cluster() in commands/cluster.c, ExecVacuum() in commands/vacuum.c,
 * ExecRefreshMatView() in commands/matview.c, LockTableCommand() in
 * commands/lockcmds.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/check.h"
#include "check/statements.h"

/*
 * A new heap, and all indexes anew.
 */
static void
rewrite_table(MigspecStatement *stmt, MigspecWorldTable *table, bool tell)
{
	migspec_check_lock(stmt, table, AccessExclusiveLock);
	migspec_check_work(stmt, table, MIGSPEC_WORK_REWRITE);
	migspec_build_all(stmt, table);
	if (tell)
		migspec_check_fact(stmt, RULE_VACUUM_FULL_CLUSTER, table, NULL);
}

/*
 * Is there an index that the table has been clustered by?
 */
static bool
has_clustered(const MigspecWorldTable *table)
{
	ListCell   *cell;

	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);

		if (!index->dropped && index->clustered)
			return true;
	}

	return false;
}

/* see statements.h */
void
migspec_mark_clustered(MigspecWorldTable *table, const MigspecWorldIndex *index)
{
	ListCell   *cell;

	foreach(cell, table->indexes)
		((MigspecWorldIndex *) lfirst(cell))->clustered = lfirst(cell) == index;
}

/* see statements.h */
void
migspec_check_clusterable(const MigspecWorldIndex *index)
{
	if (!GetIndexAmRoutineByAmId(index->am, false)->amclusterable)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot cluster on index \"%s\" because access method does not support clustering",
						index->name)));
	if (index->predicate != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot cluster on partial index \"%s\"", index->name)));
	if (!index->valid)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot cluster on invalid index \"%s\"", index->name)));
}

static bool
is_clustered(const FormData_pg_class * form, void *arg)
{
	return form->relkind == RELKIND_RELATION && form->relhasindex;
}

/*
 * Parts of a partitioned index, each in a transaction of its own.
 */
static void
cluster_parts(MigspecStatement *stmt, MigspecWorldIndex *index)
{
	ListCell   *cell;

	migspec_refuse_in_transaction(stmt, "CLUSTER");
	foreach(cell, OidIsValid(index->oid) ? find_all_inheritors(index->oid, NoLock, NULL) : NIL)
	{
		Oid			part = lfirst_oid(cell);
		MigspecWorldTable *table;

		if (get_rel_relkind(part) != RELKIND_INDEX)
			continue;
		table = migspec_world_find_oid(stmt->world, IndexGetRelation(part, true));
		if (table != NULL)
			rewrite_table(stmt, table, true);
	}
}

/* see statements.h */
void
migspec_analyse_cluster(MigspecStatement *stmt)
{
	ClusterStmt *cluster = (ClusterStmt *) stmt->tree;
	MigspecWorldTable *table;
	MigspecWorldIndex *index = NULL;
	ListCell   *cell;

	if (cluster->relation == NULL)
	{
		migspec_refuse_in_transaction(stmt, "CLUSTER");
		foreach(cell, migspec_relations(stmt->world, is_clustered, NULL))
		{
			if (has_clustered(lfirst(cell)))
				rewrite_table(stmt, lfirst(cell), true);
		}
		return;
	}

	table = migspec_check_table(stmt, cluster->relation, false);
	migspec_lock_target(stmt, table, AccessExclusiveLock);
	if (cluster->indexname == NULL && !has_clustered(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("there is no previously clustered index for table \"%s\"",
						table->name)));
	if (cluster->indexname != NULL)
	{
		index = migspec_world_index(table, cluster->indexname);
		if (index == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("index \"%s\" for table \"%s\" does not exist",
							cluster->indexname, table->name)));
		migspec_check_clusterable(index);
		migspec_check_lock_index(stmt, index, AccessExclusiveLock);
	}
	if (table->kind == RELKIND_PARTITIONED_TABLE && index != NULL)
	{
		cluster_parts(stmt, index);
		return;
	}
	if (index != NULL)
		migspec_mark_clustered(table, index);
	rewrite_table(stmt, table, true);
}

/*
 * One table, and its partitions (since 18 its children, too).
 */
static void
vacuum_family(MigspecStatement *stmt, MigspecWorldTable *table, bool inherit,
			  bool full)
{
	List	   *tables = list_make1(table);
	ListCell   *cell;

	if (inherit && (table->kind == RELKIND_PARTITIONED_TABLE || MIGSPEC_VACUUM_CHILDREN))
		tables = list_concat(tables, migspec_world_descendants(table));
	foreach(cell, tables)
	{
		MigspecWorldTable *one = lfirst(cell);

		if (full && (one->kind == RELKIND_RELATION || one->kind == RELKIND_MATVIEW))
			rewrite_table(stmt, one, true);
		/* there is nothing to do, which is seen under the lock */
		else if (full && one->kind == RELKIND_PARTITIONED_TABLE)
			migspec_check_lock(stmt, one, AccessExclusiveLock);
		else if (!full && one->kind != RELKIND_VIEW && one->kind != RELKIND_SEQUENCE)
			migspec_check_lock(stmt, one, ShareUpdateExclusiveLock);
	}
}

static bool
can_vacuum(const FormData_pg_class * form, void *arg)
{
	return form->relkind == RELKIND_RELATION || form->relkind == RELKIND_MATVIEW ||
		form->relkind == RELKIND_PARTITIONED_TABLE;
}

/* see statements.h */
void
migspec_analyse_vacuum(MigspecStatement *stmt)
{
	VacuumStmt *vacuum = (VacuumStmt *) stmt->tree;
	bool		full = vacuum->is_vacuumcmd && migspec_option_is_on(vacuum->options, "full");
	ListCell   *cell;

	if (vacuum->is_vacuumcmd)
		migspec_refuse_in_transaction(stmt, "VACUUM");
	foreach(cell, vacuum->rels)
	{
		VacuumRelation *relation = lfirst(cell);
		MigspecWorldTable *table = migspec_check_table(stmt, relation->relation, false);
		ListCell   *lc;

		foreach(lc, relation->va_cols)
		{
			if (migspec_world_column(table, strVal(lfirst(lc))) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("column \"%s\" of relation \"%s\" does not exist",
								strVal(lfirst(lc)), table->name)));
		}
		vacuum_family(stmt, table, relation->relation->inh, full);
	}
	if (vacuum->rels == NIL)
	{
		foreach(cell, migspec_relations(stmt->world, can_vacuum, NULL))
			vacuum_family(stmt, lfirst(cell), false, full);
	}
}

/*
 * Is it populated?  One that the script creates is taken to be.
 */
static bool
is_populated(const MigspecWorldTable *table)
{
	HeapTuple	tuple;
	bool		result = true;

	if (table->populated != '\0')
		return table->populated == 'y';
	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table->oid));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_class) GETSTRUCT(tuple))->relispopulated;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Is there an index that tells rows apart?  See is_usable_unique_index().
 */
static bool
has_row_identity(const MigspecWorldTable *table)
{
	ListCell   *cell;

	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);

		if (!index->dropped && index->unique && index->immediate && index->valid &&
			index->predicate == NULL && index->expressions == NIL && index->nkeys > 0)
			return true;
	}

	return false;
}

/* see statements.h */
void
migspec_analyse_refresh(MigspecStatement *stmt)
{
	RefreshMatViewStmt *refresh = (RefreshMatViewStmt *) stmt->tree;
	MigspecWorldTable *table = migspec_check_table(stmt, refresh->relation, false);

	if (table->kind != RELKIND_MATVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("\"%s\" is not a materialized view", table->name)));
	if (!refresh->concurrent)
	{
		migspec_lock_target(stmt, table, AccessExclusiveLock);
		rewrite_table(stmt, table, false);
		migspec_check_fact(stmt, RULE_REFRESH_MATVIEW_BLOCKING, table, NULL);
		table->is_empty = refresh->skipData;
		table->populated = refresh->skipData ? 'n' : 'y';
		return;
	}

	if (!is_populated(table))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("CONCURRENTLY cannot be used when the materialized view is not populated")));
	if (refresh->skipData)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("CONCURRENTLY and WITH NO DATA options cannot be used together")));
	if (!has_row_identity(table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot refresh materialized view \"%s\" concurrently",
						migspec_world_table_name(table)),
				 errhint("Create a unique index with no WHERE clause on one or more columns of the materialized view.")));
	migspec_lock_target(stmt, table, ExclusiveLock);
}

/*
 * A view takes all relations that it reads with it; "above" are the views that
 * led here, one of which it may read itself.
 */
static void
lock_one(MigspecStatement *stmt, MigspecWorldTable *table, LOCKMODE lock, bool inherit,
		 List *above)
{
	ListCell   *cell;

	migspec_check_lock(stmt, table, lock);
	if (table->kind != RELKIND_VIEW)
	{
		migspec_lock_family(stmt, table, lock, inherit);
		return;
	}
	check_stack_depth();
	above = lcons(table, list_copy(above));
	foreach(cell, migspec_base_relations(table))
	{
		MigspecWorldTable *base = lfirst(cell);

		if ((base->kind == RELKIND_RELATION || base->kind == RELKIND_PARTITIONED_TABLE ||
			 base->kind == RELKIND_VIEW) && !list_member_ptr(above, base))
			lock_one(stmt, base, lock, true, above);
	}
}

/* see statements.h */
void
migspec_analyse_lock(MigspecStatement *stmt)
{
	LockStmt   *lock = (LockStmt *) stmt->tree;
	ListCell   *cell;

	/* it needs a transaction block, which tools put around scripts */
	foreach(cell, lock->relations)
	{
		RangeVar   *name = lfirst(cell);
		MigspecWorldTable *table = migspec_check_table(stmt, name, false);

		if (table->kind != RELKIND_RELATION && table->kind != RELKIND_PARTITIONED_TABLE &&
			table->kind != RELKIND_VIEW)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot lock relation \"%s\"", table->name)));
		lock_one(stmt, table, lock->mode, name->inh, NIL);
	}
}
