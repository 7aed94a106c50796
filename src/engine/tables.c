/*-------------------------------------------------------------------------
 *
 * tables.c
 *		The physical tables of a migration, as its workers scan them.
 *
 * Runs in workers, in a transaction.  Partitions come and go while a
 * migration runs, so nobody may rely on a list from an earlier transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "engine/partitions.h"
#include "engine/retry.h"
#include "engine/tables.h"
#include "trigger/sync.h"

PG_FUNCTION_INFO_V1(migspec_tid_block);
PG_FUNCTION_INFO_V1(migspec_tid_offset);

/* migspec.tid_block(tid) */
Datum
migspec_tid_block(PG_FUNCTION_ARGS)
{
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(0);

	PG_RETURN_INT64(ItemPointerGetBlockNumberNoCheck(tid));
}

/* migspec.tid_offset(tid) */
Datum
migspec_tid_offset(PG_FUNCTION_ARGS)
{
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(0);

	PG_RETURN_INT32(ItemPointerGetOffsetNumberNoCheck(tid));
}

/* see tables.h */
Datum
migspec_tid_datum(BlockNumber block, OffsetNumber offset)
{
	ItemPointer tid = palloc(sizeof(ItemPointerData));

	ItemPointerSet(tid, block, offset);
	return PointerGetDatum(tid);
}

static List *
append_table(List *tables, Oid relid, Oid root)
{
	MigspecTable *table = palloc(sizeof(MigspecTable));

	table->relid = relid;
	table->root = root;
	return lappend(tables, table);
}

static List *
append_leaves(List *tables, Oid root)
{
	List	   *members = find_all_inheritors(root, AccessShareLock, NULL);
	ListCell   *lc;

	list_sort(members, list_oid_cmp);
	foreach(lc, members)
	{
		Oid			relid = lfirst_oid(lc);

		if (get_rel_relkind(relid) == RELKIND_RELATION)
			tables = append_table(tables, relid, root);
	}
	return tables;
}

/* see tables.h */
bool
migspec_table_is_synchronised(const MigspecMigration *migration, Oid relid)
{
	ListCell   *lc;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid == relid && op->up != NULL)
			return true;
	}
	return false;
}

/* see tables.h */
List *
migspec_tables(const MigspecMigration *migration)
{
	List	   *tables = NIL;
	ListCell   *lc;

	foreach(lc, migration->relids)
	{
		Oid			relid = lfirst_oid(lc);

		if (!migspec_table_is_synchronised(migration, relid))
			continue;
		LockRelationOid(relid, AccessShareLock);
		switch (get_rel_relkind(relid))
		{
			case RELKIND_PARTITIONED_TABLE:
				tables = append_leaves(tables, relid);
				break;
			case '\0':
				ereport(ERROR,
						(errcode(ERRCODE_MIGSPEC_UNDEFINED_TABLE),
						 errmsg("table with OID %u of the migration no longer exists",
								relid),
						 errhint("Roll the migration back.")));
				break;
			default:
				tables = append_table(tables, relid, relid);
				break;
		}
	}
	return tables;
}

/* see tables.h */
Relation
migspec_table_open(const MigspecMigration *migration, Oid relid,
				   LOCKMODE lockmode, List **pairs)
{
	Relation	rel = try_table_open(relid, lockmode);

	if (rel == NULL)
		return NULL;
	if (!migspec_is_migrated(migration, relid))
	{
		table_close(rel, lockmode);
		return NULL;
	}
	*pairs = migspec_sync_pairs(rel);
	if (*pairs == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING),
				 errmsg("the sync trigger of table \"%s\" %s",
						RelationGetRelationName(rel), migspec_sync_trouble(rel)),
				 errdetail("Without it, rows that are written meanwhile would be missed."),
				 errhint("Enable it (ALTER TABLE ... ENABLE ALWAYS TRIGGER), rename the trigger that follows it, or roll the migration back.")));
	return rel;
}

/* The columns of the primary key's index as arguments of jsonb_build_object */
static void
append_key_columns(StringInfo sql, Relation rel, HeapTuple index,
				   const char *alias)
{
	Form_pg_index form = (Form_pg_index) GETSTRUCT(index);

	for (int i = 0; i < form->indnkeyatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  form->indkey.values[i] - 1);
		const char *name = NameStr(att->attname);

		appendStringInfo(sql, "%s%s, %s.%s", i > 0 ? ", " : "",
						 migspec_literal(name), alias, quote_identifier(name));
	}
}

/* see tables.h */
char *
migspec_table_key_sql(Relation rel, const char *alias)
{
	StringInfoData sql;
	HeapTuple	index;

	/* this is what fills in rd_pkindex */
	list_free(RelationGetIndexList(rel));
	if (!OidIsValid(rel->rd_pkindex))
		return pstrdup("NULL::pg_catalog.jsonb");

	index = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(rel->rd_pkindex));
	if (!HeapTupleIsValid(index))
		return pstrdup("NULL::pg_catalog.jsonb");
	initStringInfo(&sql);
	appendStringInfoString(&sql, "pg_catalog.jsonb_build_object(");
	append_key_columns(&sql, rel, index, alias);
	appendStringInfoChar(&sql, ')');
	ReleaseSysCache(index);
	return sql.data;
}

/* see tables.h */
Node *
migspec_column_default(Oid relid, const char *column)
{
	Relation	rel = table_open(relid, NoLock);
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	AttrNumber	attno = get_attnum(relid, column);
	Node	   *tree = NULL;

	for (int i = 0; constr != NULL && i < constr->num_defval; i++)
	{
		if (constr->defval[i].adnum == attno)
			tree = stringToNode(constr->defval[i].adbin);
	}
	table_close(rel, NoLock);
	return tree;
}

/* see tables.h */
void
migspec_pin_tid_plans(void)
{
	static const char *const off[] = {
		"enable_bitmapscan", "enable_hashjoin", "enable_indexonlyscan",
		"enable_indexscan", "enable_material", "enable_memoize",
		"enable_mergejoin", "enable_seqscan"
	};

	for (size_t i = 0; i < lengthof(off); i++)
		migspec_set_local(off[i], "off");
	migspec_set_local("enable_nestloop", "on");
	migspec_set_local("enable_tidscan", "on");
	migspec_set_local("max_parallel_workers_per_gather", "0");
	migspec_set_local("plan_cache_mode", "force_generic_plan");
}
