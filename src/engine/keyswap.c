/*-------------------------------------------------------------------------
 *
 * keyswap.c
 *		Changes to the catalogs that have no SQL command: indexes of two
 *		columns trade places.
 *
 * swap_index() exchanges what two indexes of a table are about: files,
 * columns, expressions, predicates.  OIDs, names, comments, constraints and
 * marks (primary key, replica identity, CLUSTER) stay where they are.  So an
 * index, and the key that rests on it, passes from the old column to the new
 * one and keeps its name, and its place in the order in which indexes are
 * checked: a violation is reported under the name that applications know.
 * Foreign keys go on using the index of the columns that they refer to, and
 * that now is the other one.  Called once more, it undoes what it did.
 *
 * The server never changes the columns of an index, and a relcache entry of
 * an index that is in use would not notice.  Nobody can be using one while we
 * hold ACCESS EXCLUSIVE on the table, and entries not in use are thrown away
 * when they are invalidated; unless the index was created or got a new file in
 * this transaction, which is refused.
 *
 * The functions are for steps of a migration only: nobody but the
 * extension's owner may call them.  They check what would leave the catalogs
 * inconsistent, not whether the two columns agree.
 *
 * Process: any backend; all in the caller's transaction.  Locks: ACCESS
 * EXCLUSIVE on the table and its indexes, so that no plan and no row change is
 * under way that relies on what is changed here; SHARE ROW EXCLUSIVE is enough
 * to make an index a deferrable key.  Crash: the transaction never was.
 *
 * Interleavings:
 * - A backend that has the table's relcache entry takes note of the
 *   invalidation when it gets its next lock on the table, which it cannot
 *   have before we commit.
 * - VACUUM or ANALYZE update pg_class in place: they need a lock on the table
 *   that conflicts with ours.
 * - REINDEX CONCURRENTLY of one of the indexes: likewise.
 * - A deferred check of the old key is pending in another session: it holds
 *   ROW EXCLUSIVE on the table until it has been made.
 * - A serializable transaction has read through one of the indexes: its
 *   predicate locks become locks on the table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/predicate.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(migspec_swap_index);
PG_FUNCTION_INFO_V1(migspec_make_deferrable_key);

/* An index, as it was before; it is not kept open while it is changed */
typedef struct SwapSide
{
	Oid			oid;
	Oid			constraint;		/* it belongs to, 0 if none */
	List	   *references;		/* foreign keys that rest on it */
	bool		has_storage;
	int			natts;
	int			nkeyatts;
	AttrNumber	columns[INDEX_MAX_KEYS];
} SwapSide;

/*
 * What is in a catalog under one key, as copies.
 */
static List *
catalog_rows(Relation catalog, Oid index, ScanKeyData *key, int nkeys)
{
	SysScanDesc scan = systable_beginscan(catalog, index, true, NULL, nkeys,
										  key);
	List	   *rows = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		rows = lappend(rows, heap_copytuple(tuple));
	systable_endscan(scan);
	return rows;
}

/* A copy of the one row that a cache has for the OID */
static HeapTuple
cached_row(int cache, Oid oid)
{
	HeapTuple	tuple = SearchSysCacheCopy1(cache, ObjectIdGetDatum(oid));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("object with OID %u does not exist", oid)));
	return tuple;
}

/*
 * Are the two indexes of the same table and the same form, and in use?
 */
static void
check_indexes(Relation rel, Relation a, Relation b)
{
	Form_pg_index x = a->rd_index;
	Form_pg_index y = b->rd_index;
	const char *problem = NULL;

	if (x->indrelid != RelationGetRelid(rel) || y->indrelid != x->indrelid ||
		x->indexrelid == y->indexrelid)
		problem = "They are not two indexes of the table.";
	else if (!x->indisvalid || !x->indisready || !y->indisvalid ||
			 !y->indisready)
		problem = "One of them is not valid.";
	else if (a->rd_rel->relkind != b->rd_rel->relkind ||
			 a->rd_rel->relam != b->rd_rel->relam ||
			 x->indnatts != y->indnatts ||
			 x->indnkeyatts != y->indnkeyatts ||
			 x->indisunique != y->indisunique ||
			 x->indimmediate != y->indimmediate ||
			 x->indisexclusion || y->indisexclusion ||
			 x->indnullsnotdistinct != y->indnullsnotdistinct)
		problem = "They are not of the same form.";
	else if (a->rd_createSubid != InvalidSubTransactionId ||
			 b->rd_createSubid != InvalidSubTransactionId ||
			 a->rd_firstRelfilelocatorSubid != InvalidSubTransactionId ||
			 b->rd_firstRelfilelocatorSubid != InvalidSubTransactionId)
		problem = "One of them was created or rewritten in this transaction.";
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("indexes \"%s\" and \"%s\" cannot trade places",
						RelationGetRelationName(a),
						RelationGetRelationName(b)),
				 errdetail("%s", problem)));
}

/*
 * Columns of a primary key, or of a replica identity, must be NOT NULL: those
 * that "to" has are about to become such columns.
 */
static void
check_not_null(Relation rel, Relation from, Relation to)
{
	int			i;

	if (!from->rd_index->indisprimary && !from->rd_index->indisreplident)
		return;
	for (i = 0; i < to->rd_index->indnkeyatts; i++)
	{
		AttrNumber	attno = to->rd_index->indkey.values[i];

		if (attno > 0 &&
			!TupleDescAttr(RelationGetDescr(rel), attno - 1)->attnotnull)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("column \"%s\" must be NOT NULL to be part of index \"%s\"",
							get_attname(RelationGetRelid(rel), attno, false),
							RelationGetRelationName(from))));
	}
}

static void
note_side(Relation index, SwapSide *side)
{
	Form_pg_index form = index->rd_index;
	int			i;

	side->oid = RelationGetRelid(index);
	side->constraint = get_index_constraint(side->oid);
	side->references = get_index_ref_constraints(side->oid);
	side->has_storage = index->rd_rel->relkind == RELKIND_INDEX;
	side->natts = form->indnatts;
	side->nkeyatts = form->indnkeyatts;
	for (i = 0; i < form->indnatts; i++)
		side->columns[i] = form->indkey.values[i];
}

#define SWAP(type, x, y) \
	do { \
		type		swap_ = (x); \
		(x) = (y); \
		(y) = swap_; \
	} while (0)

/*
 * pg_class: the file, and what is known of its size.
 */
static void
swap_files(const SwapSide *a, const SwapSide *b)
{
	Relation	catalog = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple	x_tuple = cached_row(RELOID, a->oid);
	HeapTuple	y_tuple = cached_row(RELOID, b->oid);
	Form_pg_class x = (Form_pg_class) GETSTRUCT(x_tuple);
	Form_pg_class y = (Form_pg_class) GETSTRUCT(y_tuple);

	SWAP(Oid, x->relfilenode, y->relfilenode);
	SWAP(Oid, x->reltablespace, y->reltablespace);
	SWAP(int32, x->relpages, y->relpages);
	SWAP(float4, x->reltuples, y->reltuples);
	SWAP(int32, x->relallvisible, y->relallvisible);
	CatalogTupleUpdate(catalog, &x_tuple->t_self, x_tuple);
	CatalogTupleUpdate(catalog, &y_tuple->t_self, y_tuple);
	table_close(catalog, RowExclusiveLock);
}

/*
 * pg_index: all but what the index is for the table.
 */
static void
swap_definitions(const SwapSide *a, const SwapSide *b)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	x_tuple = cached_row(INDEXRELID, a->oid);
	HeapTuple	y_tuple = cached_row(INDEXRELID, b->oid);
	Form_pg_index x = (Form_pg_index) GETSTRUCT(x_tuple);
	Form_pg_index y = (Form_pg_index) GETSTRUCT(y_tuple);

	SWAP(Oid, x->indexrelid, y->indexrelid);
	SWAP(bool, x->indisprimary, y->indisprimary);
	SWAP(bool, x->indisclustered, y->indisclustered);
	SWAP(bool, x->indisreplident, y->indisreplident);

	/* each row has become the other index's */
	SWAP(ItemPointerData, x_tuple->t_self, y_tuple->t_self);
	CatalogTupleUpdate(catalog, &x_tuple->t_self, x_tuple);
	CatalogTupleUpdate(catalog, &y_tuple->t_self, y_tuple);
	table_close(catalog, RowExclusiveLock);
}

/*
 * pg_attribute: types of the index's columns.
 */
static void
swap_types(const SwapSide *a, const SwapSide *b)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	int			attno;

	for (attno = 1; attno <= a->natts; attno++)
	{
		HeapTuple	x_tuple = SearchSysCacheCopyAttNum(a->oid, attno);
		HeapTuple	y_tuple = SearchSysCacheCopyAttNum(b->oid, attno);
		Form_pg_attribute x = (Form_pg_attribute) GETSTRUCT(x_tuple);
		Form_pg_attribute y = (Form_pg_attribute) GETSTRUCT(y_tuple);

		SWAP(Oid, x->atttypid, y->atttypid);
		SWAP(int32, x->atttypmod, y->atttypmod);
		SWAP(int16, x->attlen, y->attlen);
		SWAP(bool, x->attbyval, y->attbyval);
		SWAP(char, x->attalign, y->attalign);
		SWAP(char, x->attstorage, y->attstorage);
		SWAP(char, x->attcompression, y->attcompression);
		SWAP(int, x->attndims, y->attndims);
		SWAP(Oid, x->attcollation, y->attcollation);
		CatalogTupleUpdate(catalog, &x_tuple->t_self, x_tuple);
		CatalogTupleUpdate(catalog, &y_tuple->t_self, y_tuple);
	}
	table_close(catalog, RowExclusiveLock);
}

static List *
statistics_of(Relation catalog, Oid index)
{
	ScanKeyData key;

	ScanKeyInit(&key, Anum_pg_statistic_starelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(index));
	return catalog_rows(catalog, StatisticRelidAttnumInhIndexId, &key, 1);
}

static void
insert_statistics(Relation catalog, List *rows, Oid index)
{
	ListCell   *lc;

	foreach(lc, rows)
	{
		HeapTuple	row = lfirst(lc);

		((Form_pg_statistic) GETSTRUCT(row))->starelid = index;
		CatalogTupleInsert(catalog, row);
	}
}

/*
 * pg_statistic: what ANALYZE has found out about expressions.
 */
static void
swap_statistics(const SwapSide *a, const SwapSide *b)
{
	Relation	catalog = table_open(StatisticRelationId, RowExclusiveLock);
	List	   *x = statistics_of(catalog, a->oid);
	List	   *y = statistics_of(catalog, b->oid);
	ListCell   *lc;

	foreach(lc, x)
		CatalogTupleDelete(catalog, &((HeapTuple) lfirst(lc))->t_self);
	foreach(lc, y)
		CatalogTupleDelete(catalog, &((HeapTuple) lfirst(lc))->t_self);
	CommandCounterIncrement();
	insert_statistics(catalog, x, b->oid);
	insert_statistics(catalog, y, a->oid);
	table_close(catalog, RowExclusiveLock);
}

/* What the object depends on, as rows of pg_depend */
static List *
dependencies_of(Relation catalog, Oid index)
{
	ScanKeyData key[2];

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(index));
	return catalog_rows(catalog, DependDependerIndexId, key, 2);
}

static void
move_dependencies(Relation catalog, List *rows, Oid to, bool columns)
{
	ListCell   *lc;

	foreach(lc, rows)
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(row);

		if (form->deptype != DEPENDENCY_NORMAL &&
			!(columns && form->deptype == DEPENDENCY_AUTO))
			continue;
		form->objid = to;
		CatalogTupleUpdate(catalog, &row->t_self, row);
	}
}

static void
record_columns(Oid classid, Oid object, Oid relid, const SwapSide *source)
{
	ObjectAddress depender;
	ObjectAddresses *columns = new_object_addresses();
	int			i;

	ObjectAddressSet(depender, classid, object);
	for (i = 0; i < source->natts; i++)
	{
		ObjectAddress column;

		ObjectAddressSubSet(column, RelationRelationId, relid,
							source->columns[i]);
		add_exact_object_address(&column, columns);
	}
	record_object_address_dependencies(&depender, columns, DEPENDENCY_AUTO);
	free_object_addresses(columns);
}

/*
 * An index depends on its columns unless it belongs to a constraint, which
 * then depends on them.  "source" had the columns before.
 */
static void
reset_columns(Oid relid, const SwapSide *side, const SwapSide *source)
{
	if (OidIsValid(side->constraint))
	{
		deleteDependencyRecordsForClass(ConstraintRelationId, side->constraint,
										RelationRelationId, DEPENDENCY_AUTO);
		record_columns(ConstraintRelationId, side->constraint, relid, source);
	}
	else
	{
		deleteDependencyRecordsForClass(RelationRelationId, side->oid,
										RelationRelationId, DEPENDENCY_AUTO);
		record_columns(RelationRelationId, side->oid, relid, source);
	}
}

/*
 * pg_depend: operator classes, collations, functions; and the columns.
 * (Indexes of constraints have nothing but plain columns.)
 */
static void
swap_dependencies(Oid relid, const SwapSide *a, const SwapSide *b)
{
	Relation	catalog = table_open(DependRelationId, RowExclusiveLock);
	List	   *x = dependencies_of(catalog, a->oid);
	List	   *y = dependencies_of(catalog, b->oid);
	bool		plain = !OidIsValid(a->constraint) && !OidIsValid(b->constraint);

	move_dependencies(catalog, x, b->oid, plain);
	move_dependencies(catalog, y, a->oid, plain);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
	if (plain)
		return;
	reset_columns(relid, a, b);
	reset_columns(relid, b, a);
}

/*
 * pg_constraint: the columns of the key.
 */
static void
set_key_columns(const SwapSide *side, const SwapSide *source)
{
	Relation	catalog;
	HeapTuple	tuple;
	Datum		columns[INDEX_MAX_KEYS];
	Datum		values[Natts_pg_constraint] = {0};
	bool		nulls[Natts_pg_constraint] = {0};
	bool		replaces[Natts_pg_constraint] = {0};
	int			i;

	if (!OidIsValid(side->constraint))
		return;
	catalog = table_open(ConstraintRelationId, RowExclusiveLock);
	tuple = cached_row(CONSTROID, side->constraint);
	for (i = 0; i < source->nkeyatts; i++)
		columns[i] = Int16GetDatum(source->columns[i]);
	values[Anum_pg_constraint_conkey - 1] =
		PointerGetDatum(construct_array(columns, source->nkeyatts, INT2OID, 2,
										true, TYPALIGN_SHORT));
	replaces[Anum_pg_constraint_conkey - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls,
							  replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, RowExclusiveLock);
}

/*
 * pg_trigger: the index that the triggers of a foreign key go by.
 */
static void
set_trigger_index(Oid constraint, Oid from, Oid to)
{
	Relation	catalog = table_open(TriggerRelationId, RowExclusiveLock);
	ScanKeyData key;
	ListCell   *lc;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(constraint));
	foreach(lc, catalog_rows(catalog, TriggerConstraintIndexId, &key, 1))
	{
		HeapTuple	row = lfirst(lc);
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(row);

		if (form->tgconstrindid != from)
			continue;
		form->tgconstrindid = to;
		CatalogTupleUpdate(catalog, &row->t_self, row);
	}
	table_close(catalog, RowExclusiveLock);
}

/*
 * Foreign keys that refer to the columns of "from", which are now those of
 * "to".
 */
static void
move_references(const SwapSide *from, const SwapSide *to)
{
	Relation	catalog = table_open(ConstraintRelationId, RowExclusiveLock);
	ListCell   *lc;

	foreach(lc, from->references)
	{
		Oid			constraint = lfirst_oid(lc);
		HeapTuple	tuple = cached_row(CONSTROID, constraint);

		((Form_pg_constraint) GETSTRUCT(tuple))->conindid = to->oid;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		changeDependencyFor(ConstraintRelationId, constraint,
							RelationRelationId, from->oid, to->oid);
		set_trigger_index(constraint, from->oid, to->oid);
	}
	table_close(catalog, RowExclusiveLock);
}

static void
swap_catalogs(Oid relid, const SwapSide *a, const SwapSide *b)
{
	if (a->has_storage)
		swap_files(a, b);
	swap_definitions(a, b);
	swap_types(a, b);
	swap_statistics(a, b);
	swap_dependencies(relid, a, b);
	set_key_columns(a, b);
	set_key_columns(b, a);
	move_references(a, b);
	move_references(b, a);
	CommandCounterIncrement();
}

static void
swap_pair(Oid relid, Oid index_oid, Oid other_oid)
{
	Relation	rel = table_open(relid, AccessExclusiveLock);
	Relation	index = index_open(index_oid, AccessExclusiveLock);
	Relation	other = index_open(other_oid, AccessExclusiveLock);
	SwapSide	a = {0};
	SwapSide	b = {0};

	check_indexes(rel, index, other);
	CheckTableNotInUse(rel, "swap_index");
	CheckTableNotInUse(index, "swap_index");
	CheckTableNotInUse(other, "swap_index");
	check_not_null(rel, index, other);
	check_not_null(rel, other, index);
	note_side(index, &a);
	note_side(other, &b);
	if (a.has_storage)
	{
		TransferPredicateLocksToHeapRelation(index);
		TransferPredicateLocksToHeapRelation(other);
	}

	/* an entry of the relcache that is open would keep the old columns */
	index_close(index, NoLock);
	index_close(other, NoLock);
	swap_catalogs(RelationGetRelid(rel), &a, &b);
	CacheInvalidateRelcache(rel);
	table_close(rel, NoLock);
}

/*
 * Those of partitions are pairs if the ones that they are attached to are.  A
 * foreign table has neither.
 */
static void
swap_tree(Oid relid, Oid index, Oid other)
{
	ListCell   *lc;

	check_stack_depth();
	swap_pair(relid, index, other);
	if (get_rel_relkind(index) != RELKIND_PARTITIONED_INDEX)
		return;
	foreach(lc, find_inheritance_children(relid, AccessExclusiveLock))
	{
		Relation	partition = table_open(lfirst_oid(lc), NoLock);
		Oid			a = index_get_partition(partition, index);
		Oid			b = index_get_partition(partition, other);

		if (OidIsValid(a) != OidIsValid(b))
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("indexes \"%s\" and \"%s\" cannot trade places",
							get_rel_name(index), get_rel_name(other)),
					 errdetail("Only one of them has an index on partition \"%s\".",
							   RelationGetRelationName(partition))));
		table_close(partition, NoLock);
		if (OidIsValid(a))
			swap_tree(lfirst_oid(lc), a, b);
	}
}

/*
 * migspec.swap_index(tab, index, other): let two indexes of the table trade
 * places, with those of its partitions.
 */
Datum
migspec_swap_index(PG_FUNCTION_ARGS)
{
	swap_tree(PG_GETARG_OID(0), PG_GETARG_OID(1), PG_GETARG_OID(2));
	PG_RETURN_VOID();
}

static bool
constraint_is_deferrable(Oid constraint, bool *deferred)
{
	HeapTuple	tuple = cached_row(CONSTROID, constraint);
	Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);

	*deferred = con->condeferred;
	return con->condeferrable && (con->contype == CONSTRAINT_PRIMARY ||
								  con->contype == CONSTRAINT_UNIQUE);
}

static void
set_index_unique(Oid index)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = cached_row(INDEXRELID, index);

	((Form_pg_index) GETSTRUCT(tuple))->indisunique = true;
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	heap_freetuple(tuple);
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * migspec.make_deferrable_key(tab, model, index): make an index that was built
 * without uniqueness that of a unique constraint, deferrable like the
 * constraint "model".  What is written from now on is checked; what is there
 * is for check_unique().
 */
Datum
migspec_make_deferrable_key(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), ShareRowExclusiveLock);
	char	   *model = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Relation	index = index_open(PG_GETARG_OID(2), ShareUpdateExclusiveLock);
	Form_pg_index form = index->rd_index;
	bool		deferred;
	bool		deferrable;
	bits16		flags = INDEX_CONSTR_CREATE_DEFERRABLE |
	INDEX_CONSTR_CREATE_UPDATE_INDEX | INDEX_CONSTR_CREATE_REMOVE_OLD_DEPS;

	deferrable = constraint_is_deferrable(get_relation_constraint_oid(RelationGetRelid(rel),
																	  model, false),
										  &deferred);
	if (form->indrelid != RelationGetRelid(rel) || !form->indisvalid ||
		form->indisunique || !deferrable || !index->rd_indam->amcanunique ||
		RelationGetIndexExpressions(index) != NIL ||
		RelationGetIndexPredicate(index) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" cannot become a deferrable key",
						RelationGetRelationName(index))));
	if (deferred)
		flags |= INDEX_CONSTR_CREATE_INIT_DEFERRED;
	set_index_unique(RelationGetRelid(index));
	index_constraint_create(rel, RelationGetRelid(index), InvalidOid,
							BuildIndexInfo(index),
							RelationGetRelationName(index), CONSTRAINT_UNIQUE,
							flags, false, true);
	CacheInvalidateRelcache(rel);
	index_close(index, NoLock);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}
