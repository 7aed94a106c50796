/*-------------------------------------------------------------------------
 *
 * world_load.c
 *		Copy a relation from the catalog into a world.
 *
 * The relation is locked ACCESS SHARE while it is copied, and let go at once.
 * If somebody holds it ACCESS EXCLUSIVE, or waits for that, its catalog rows
 * may be about to change; then only what pg_class has is copied, and the
 * table is marked as not loaded.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/catalog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodes.h"
#include "storage/bufmgr.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/world.h"
#include "check/world_internal.h"

/* how long to wait before looking again whether a lock can be had */
#define LOCK_PAUSE_MS		10

/*
 * migspec_world_lock_briefly -- see world_internal.h.
 */
bool
migspec_world_lock_briefly(MigspecWorld *world, Oid oid)
{
	static uint32 wait_event = 0;

	while (!ConditionalLockRelationOid(oid, AccessShareLock))
	{
		if (world->patience <= 0)
			return false;
		CHECK_FOR_INTERRUPTS();
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 LOCK_PAUSE_MS,
						 migspec_wait_event(&wait_event, "MigspecCheckLock"));
		ResetLatch(MyLatch);
		world->patience -= LOCK_PAUSE_MS;
	}
	return true;
}

/*
 * The rows of pg_class, which can be read without a lock.
 */
static MigspecWorldTable *
copy_class(MigspecWorld *world, HeapTuple tuple)
{
	Form_pg_class row = (Form_pg_class) GETSTRUCT(tuple);
	MigspecWorldTable *table = palloc0(sizeof(MigspecWorldTable));

	table->world = world;
	table->oid = row->oid;
	table->schema = migspec_world_schema_name(row->relnamespace);
	table->name = pstrdup(NameStr(row->relname));
	table->kind = row->relkind;
	table->persistence = row->relpersistence;
	table->owner = row->relowner;
	table->am = row->relam;
	table->tablespace = row->reltablespace;
	table->row_type = row->reltype;
	table->is_catalog = IsCatalogRelationOid(row->oid);
	table->replica_identity = row->relreplident;
	table->row_security = row->relrowsecurity;
	table->tuples = row->reltuples;
	table->is_partition = row->relispartition;
	return table;
}

static void
copy_columns(MigspecWorldTable *table, TupleDesc tupdesc)
{
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		MigspecWorldColumn *column = palloc0(sizeof(MigspecWorldColumn));

		column->name = pstrdup(NameStr(att->attname));
		column->attno = att->attnum;
		column->type = att->atttypid;
		column->typmod = att->atttypmod;
		column->collation = att->attcollation;
		column->not_null = att->attnotnull;
		column->not_null_valid = att->attnotnull;
		column->generated = att->attgenerated;
		column->identity = att->attidentity;
		column->has_default = att->atthasdef;
		column->dropped = att->attisdropped;
		column->is_local = att->attislocal;
		column->inherited = att->attinhcount;
		table->columns = lappend(table->columns, column);
	}
}

/*
 * Values of an oidvector column of pg_index.
 */
static Oid *
copy_oids(HeapTuple tuple, AttrNumber attno, int n)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(INDEXRELID, tuple, attno, &isnull);
	Oid		   *oids = palloc0(sizeof(Oid) * Max(n, 1));

	memcpy(oids, ((oidvector *) DatumGetPointer(datum))->values, sizeof(Oid) * n);
	return oids;
}

/*
 * An expression column of pg_index, or NULL.
 */
static Node *
copy_node(HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(INDEXRELID, tuple, attno, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(datum));
}

static MigspecWorldIndex *
copy_index(MigspecWorldTable *table, HeapTuple tuple, Form_pg_class class)
{
	Form_pg_index row = (Form_pg_index) GETSTRUCT(tuple);
	MigspecWorldIndex *index = palloc0(sizeof(MigspecWorldIndex));

	index->name = pstrdup(NameStr(class->relname));
	index->oid = row->indexrelid;
	index->table = table;
	index->am = class->relam;
	index->nkeys = row->indnkeyatts;
	index->natts = row->indnatts;
	index->attnos = palloc(sizeof(AttrNumber) * row->indnatts);
	for (int i = 0; i < row->indnatts; i++)
		index->attnos[i] = row->indkey.values[i];
	index->opclasses = copy_oids(tuple, Anum_pg_index_indclass, row->indnkeyatts);
	index->collations = copy_oids(tuple, Anum_pg_index_indcollation, row->indnkeyatts);
	index->expressions = (List *) copy_node(tuple, Anum_pg_index_indexprs);
	index->predicate = copy_node(tuple, Anum_pg_index_indpred);
	index->unique = row->indisunique;
	index->primary = row->indisprimary;
	index->exclusion = row->indisexclusion;
	index->immediate = row->indimmediate;
	index->valid = row->indisvalid;
	index->replica_identity = row->indisreplident;
	index->clustered = row->indisclustered;
	index->partitioned = class->relkind == RELKIND_PARTITIONED_INDEX;
	return index;
}

static void
copy_indexes(MigspecWorldTable *table, Relation rel)
{
	List	   *oids = RelationGetIndexList(rel);
	ListCell   *lc;

	foreach(lc, oids)
	{
		HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(lfirst_oid(lc)));
		HeapTuple	class = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (HeapTupleIsValid(tuple) && HeapTupleIsValid(class))
			table->indexes = lappend(table->indexes,
									 copy_index(table, tuple,
												(Form_pg_class) GETSTRUCT(class)));
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		if (HeapTupleIsValid(class))
			ReleaseSysCache(class);
	}
	list_free(oids);
}

/*
 * List of int of a column of pg_constraint with column numbers.
 */
static List *
copy_attnos(HeapTuple tuple, TupleDesc desc, AttrNumber attno)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, attno, desc, &isnull);
	ArrayType  *array;
	List	   *attnos = NIL;

	if (isnull)
		return NIL;
	array = DatumGetArrayTypeP(datum);
	for (int i = 0; i < ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)); i++)
		attnos = lappend_int(attnos, ((const int16 *) ARR_DATA_PTR(array))[i]);
	return attnos;
}

static MigspecWorldConstraint *
copy_constraint(MigspecWorldTable *table, HeapTuple tuple, TupleDesc desc)
{
	Form_pg_constraint row = (Form_pg_constraint) GETSTRUCT(tuple);
	MigspecWorldConstraint *con = palloc0(sizeof(MigspecWorldConstraint));
	ListCell   *lc;

	con->name = pstrdup(NameStr(row->conname));
	con->oid = row->oid;
	con->table = table;
	con->type = row->contype;
	con->validated = row->convalidated;
	con->enforced = MIGSPEC_CONSTRAINT_ENFORCED(row);
	con->no_inherit = row->connoinherit;
	con->is_local = row->conislocal;
	con->inherited = row->coninhcount;
	con->columns = copy_attnos(tuple, desc, Anum_pg_constraint_conkey);
	if (row->contype == CONSTRAINT_FOREIGN)
	{
		con->referenced_oid = row->confrelid;
		con->referenced_columns = copy_attnos(tuple, desc, Anum_pg_constraint_confkey);
	}
	else if (OidIsValid(row->conindid))
	{
		foreach(lc, table->indexes)
		{
			if (((MigspecWorldIndex *) lfirst(lc))->oid == row->conindid)
				con->index = lfirst(lc);
		}
	}
	if (row->contype == CONSTRAINT_CHECK)
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_constraint_conbin, desc, &isnull);

		if (!isnull)
			con->expr = stringToNode(TextDatumGetCString(datum));
	}
	return con;
}

/*
 * A column whose NOT NULL constraint is not valid (since 18) may have rows
 * that break it.
 */
static void
note_not_null(MigspecWorldTable *table, const MigspecWorldConstraint *con)
{
	MigspecWorldColumn *column;

	if (con->type != CONSTRAINT_NOTNULL || con->validated || con->columns == NIL)
		return;
	column = migspec_world_column_no(table, linitial_int(con->columns));
	if (column != NULL)
		column->not_null_valid = false;
}

static void
copy_constraints(MigspecWorldTable *table)
{
	Relation	constraints = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(table->oid));
	scan = systable_beginscan(constraints, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		MigspecWorldConstraint *con = copy_constraint(table, tuple,
													  RelationGetDescr(constraints));

		note_not_null(table, con);
		table->constraints = lappend(table->constraints, con);
	}
	systable_endscan(scan);
	table_close(constraints, AccessShareLock);
}

/*
 * The parent of a partition, or the first that the table inherits from.
 */
static Oid
catalog_parent(Oid oid)
{
	Relation	inherits = table_open(InheritsRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			parent = InvalidOid;

	ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(oid));
	scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;
	systable_endscan(scan);
	table_close(inherits, AccessShareLock);
	return parent;
}

static void
copy_parent(MigspecWorldTable *table, HeapTuple class)
{
	bool		isnull;
	Datum		datum;

	table->parent_oid = catalog_parent(table->oid);
	table->loaded_parent = table->parent_oid;
	if (!table->is_partition)
		return;
	datum = SysCacheGetAttr(RELOID, class, Anum_pg_class_relpartbound, &isnull);
	if (!isnull)
		table->bound = stringToNode(TextDatumGetCString(datum));
	table->is_default_partition = table->bound != NULL && table->bound->is_default;
}

static bool
may_inherit(char kind)
{
	return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE ||
		kind == RELKIND_FOREIGN_TABLE;
}

/*
 * Has it not a single block?  A standby has no files of unlogged tables, and
 * cannot know.
 */
static bool
is_empty(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION && rel->rd_rel->relkind != RELKIND_MATVIEW)
		return false;
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED && RecoveryInProgress())
		return false;
	return RelationGetNumberOfBlocks(rel) == 0;
}

/*
 * Everything that needs the lock.
 */
static void
copy_relation(MigspecWorldTable *table, Relation rel)
{
	HeapTuple	class;

	table->loaded = true;
	table->is_new = rel->rd_createSubid != InvalidSubTransactionId;
	table->is_empty = is_empty(rel);
	copy_columns(table, RelationGetDescr(rel));
	if (rel->rd_rel->relhasindex)
		copy_indexes(table, rel);
	if (may_inherit(table->kind))
	{
		copy_constraints(table);
		class = SearchSysCache1(RELOID, ObjectIdGetDatum(table->oid));
		if (HeapTupleIsValid(class))
		{
			copy_parent(table, class);
			ReleaseSysCache(class);
		}
	}
}

/*
 * migspec_world_load -- see world_internal.h.
 */
MigspecWorldTable *
migspec_world_load(MigspecWorld *world, Oid oid)
{
	bool		locked = migspec_world_lock_briefly(world, oid);
	Relation	rel = locked ? try_relation_open(oid, NoLock) : NULL;
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
	MigspecWorldTable *table = NULL;

	if (HeapTupleIsValid(tuple))
	{
		char		kind = ((Form_pg_class) GETSTRUCT(tuple))->relkind;

		if (kind != RELKIND_INDEX && kind != RELKIND_PARTITIONED_INDEX)
			table = copy_class(world, tuple);
		ReleaseSysCache(tuple);
	}
	if (table != NULL && rel != NULL)
		copy_relation(table, rel);
	if (rel != NULL)
		relation_close(rel, NoLock);
	if (locked)
		UnlockRelationOid(oid, AccessShareLock);
	return table;
}
