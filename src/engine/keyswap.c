/*-------------------------------------------------------------------------
 *
 * keyswap.c
 *		Changes to the catalogs that have no SQL command: handing keys,
 *		identity and grants from one column of a table to another.
 *
 * A primary key or unique constraint is a row of pg_constraint that belongs
 * to an index.  swap_key() makes it belong to another index, and gives that
 * index its name; the constraint keeps its OID, name, comment and everything
 * that depends on it.  The index that it belonged to stays behind as a plain
 * unique index (or as that of the other constraint, if there was one), so
 * that foreign keys that refer to the old column keep their index.  Called
 * once more, it undoes what it did.
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
 * - VACUUM or ANALYZE update pg_class in place: names are changed only by the
 *   server's own function, which takes care of that.
 * - REINDEX CONCURRENTLY of one of the indexes: its lock conflicts with ours.
 * - A deferred check of the old key is pending in another session: it holds
 *   ROW EXCLUSIVE on the table until it has been made.
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
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"

PG_FUNCTION_INFO_V1(migspec_swap_key);
PG_FUNCTION_INFO_V1(migspec_make_deferrable_key);
PG_FUNCTION_INFO_V1(migspec_move_identity);
PG_FUNCTION_INFO_V1(migspec_copy_column_grants);

/* An index and the constraint it belongs to (0 if none) */
typedef struct KeySide
{
	Relation	index;
	Oid			constraint;
} KeySide;

/*
 * The name that one index bears while it has given up its own and the other
 * has not.
 */
static char *
interim_name(Oid object)
{
	return psprintf("_migspec_swap_%u", object);
}

static Form_pg_index
index_form(const KeySide *side)
{
	return side->index->rd_index;
}

/*
 * Could the constraint of "from" belong to "to" as well?  Both are unique
 * indexes of the table, on as many plain columns, in the same order.
 */
static void
check_key_sides(Relation rel, const KeySide *from, const KeySide *to,
				bool deferrable)
{
	const char *name = RelationGetRelationName(to->index);
	Form_pg_index new = index_form(to);
	Form_pg_index old = index_form(from);
	const char *problem = NULL;
	int			i;

	if (new->indrelid != RelationGetRelid(rel))
		problem = "It belongs to another table.";
	else if (new->indexrelid == old->indexrelid)
		problem = "It is the constraint's index already.";
	else if (!new->indisunique || !new->indisvalid || !new->indisready)
		problem = "It is not a valid unique index.";
	else if (to->index->rd_rel->relam != from->index->rd_rel->relam ||
			 new->indnatts != old->indnatts ||
			 new->indnkeyatts != old->indnkeyatts ||
			 new->indnullsnotdistinct != old->indnullsnotdistinct)
		problem = "It is not of the same form as the constraint's index.";
	else if (RelationGetIndexExpressions(to->index) != NIL ||
			 RelationGetIndexPredicate(to->index) != NIL)
		problem = "It has expressions or a predicate.";
	else if (deferrable ? !OidIsValid(to->constraint) || new->indimmediate :
			 OidIsValid(to->constraint) || !new->indimmediate)
		problem = "Only one of the two is deferrable, or has a constraint.";
	for (i = 0; problem == NULL && old->indisprimary && i < new->indnkeyatts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel),
											  new->indkey.values[i] - 1);

		if (!att->attnotnull)
			problem = "A column of a primary key must be NOT NULL.";
	}
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" cannot take over the constraint", name),
				 errdetail("%s", problem)));
}

/*
 * Exchange the names of the two indexes.  Constraints bear the names of their
 * indexes before and after.
 */
static void
swap_names(const KeySide *from, const KeySide *to)
{
	char	   *from_name = pstrdup(RelationGetRelationName(from->index));
	char	   *to_name = pstrdup(RelationGetRelationName(to->index));
	Oid			from_oid = RelationGetRelid(from->index);
	Oid			to_oid = RelationGetRelid(to->index);

	RenameRelationInternal(from_oid, interim_name(from_oid), true, true);
	CommandCounterIncrement();
	RenameRelationInternal(to_oid, from_name, true, true);
	CommandCounterIncrement();
	RenameRelationInternal(from_oid, to_name, true, true);
	CommandCounterIncrement();
}

/*
 * The flags that belong to the key, not to the index.
 */
static void
swap_index_flags(Oid from, Oid to)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	from_tuple = SearchSysCacheCopy1(INDEXRELID,
												 ObjectIdGetDatum(from));
	HeapTuple	to_tuple = SearchSysCacheCopy1(INDEXRELID,
											   ObjectIdGetDatum(to));
	Form_pg_index a = (Form_pg_index) GETSTRUCT(from_tuple);
	Form_pg_index b = (Form_pg_index) GETSTRUCT(to_tuple);
	FormData_pg_index saved = *a;

	a->indisprimary = b->indisprimary;
	b->indisprimary = saved.indisprimary;
	a->indimmediate = b->indimmediate;
	b->indimmediate = saved.indimmediate;
	a->indisreplident = b->indisreplident;
	b->indisreplident = saved.indisreplident;
	a->indisclustered = b->indisclustered;
	b->indisclustered = saved.indisclustered;
	CatalogTupleUpdate(catalog, &from_tuple->t_self, from_tuple);
	CatalogTupleUpdate(catalog, &to_tuple->t_self, to_tuple);
	table_close(catalog, RowExclusiveLock);
}

static void
record_column_dependencies(const ObjectAddress *depender,
						   const KeySide *side)
{
	Form_pg_index form = index_form(side);
	ObjectAddresses *columns = new_object_addresses();
	int			i;

	for (i = 0; i < form->indnatts; i++)
	{
		ObjectAddress column;

		ObjectAddressSubSet(column, RelationRelationId, form->indrelid,
							form->indkey.values[i]);
		add_exact_object_address(&column, columns);
	}
	record_object_address_dependencies(unconstify(ObjectAddress *, depender),
									   columns, DEPENDENCY_AUTO);
	free_object_addresses(columns);
}

/*
 * An index depends on its constraint, which depends on the columns; or else
 * on the columns itself.
 */
static void
set_index_dependencies(const KeySide *side, Oid constraint)
{
	ObjectAddress index;
	ObjectAddress owner;

	ObjectAddressSet(index, RelationRelationId, RelationGetRelid(side->index));
	if (OidIsValid(side->constraint))
		deleteDependencyRecordsForSpecific(RelationRelationId, index.objectId,
										   DEPENDENCY_INTERNAL,
										   ConstraintRelationId,
										   side->constraint);
	else
		deleteDependencyRecordsForClass(RelationRelationId, index.objectId,
										RelationRelationId, DEPENDENCY_AUTO);
	if (OidIsValid(constraint))
	{
		ObjectAddressSet(owner, ConstraintRelationId, constraint);
		recordDependencyOn(&index, &owner, DEPENDENCY_INTERNAL);
	}
	else
		record_column_dependencies(&index, side);
}

/*
 * Point the triggers of the constraint that check it late to its new index.
 */
static void
set_trigger_index(Oid constraint, Oid from, Oid to)
{
	Relation	catalog = table_open(TriggerRelationId, RowExclusiveLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(catalog, TriggerConstraintIndexId, true, NULL,
							  1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		HeapTuple	copy;

		if (((Form_pg_trigger) GETSTRUCT(tuple))->tgconstrindid != from)
			continue;
		copy = heap_copytuple(tuple);
		((Form_pg_trigger) GETSTRUCT(copy))->tgconstrindid = to;
		CatalogTupleUpdate(catalog, &copy->t_self, copy);
		heap_freetuple(copy);
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
}

/* the key columns of the index, as they stand in pg_constraint.conkey */
static Datum
key_columns(const KeySide *side)
{
	Form_pg_index form = index_form(side);
	Datum	   *columns = palloc_array(Datum, form->indnkeyatts);
	int			i;

	for (i = 0; i < form->indnkeyatts; i++)
		columns[i] = Int16GetDatum(form->indkey.values[i]);
	return PointerGetDatum(construct_array(columns, form->indnkeyatts,
										   INT2OID, 2, true, TYPALIGN_SHORT));
}

/*
 * Make the constraint one of another index: its row, triggers and
 * dependencies.
 */
static void
set_constraint_index(Oid constraint, const KeySide *from, const KeySide *to)
{
	Relation	catalog = table_open(ConstraintRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(CONSTROID,
											ObjectIdGetDatum(constraint));
	Datum		values[Natts_pg_constraint] = {0};
	bool		nulls[Natts_pg_constraint] = {0};
	bool		replaces[Natts_pg_constraint] = {0};
	ObjectAddress address;

	values[Anum_pg_constraint_conindid - 1] =
		ObjectIdGetDatum(RelationGetRelid(to->index));
	replaces[Anum_pg_constraint_conindid - 1] = true;
	values[Anum_pg_constraint_conkey - 1] = key_columns(to);
	replaces[Anum_pg_constraint_conkey - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls,
							  replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	table_close(catalog, RowExclusiveLock);

	set_trigger_index(constraint, RelationGetRelid(from->index),
					  RelationGetRelid(to->index));
	ObjectAddressSet(address, ConstraintRelationId, constraint);
	deleteDependencyRecordsForClass(ConstraintRelationId, constraint,
									RelationRelationId, DEPENDENCY_AUTO);
	record_column_dependencies(&address, to);
}

/*
 * Both constraints have changed sides, but bear the names of the indexes that
 * they have left.
 */
static void
swap_constraint_names(Oid constraint, Oid other)
{
	char	   *name = get_constraint_name(constraint);
	char	   *other_name = get_constraint_name(other);

	RenameConstraintById(constraint, interim_name(constraint));
	CommandCounterIncrement();
	RenameConstraintById(other, name);
	CommandCounterIncrement();
	RenameConstraintById(constraint, other_name);
	CommandCounterIncrement();
}

static bool
constraint_is_deferrable(Oid constraint, bool *deferred)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));
	Form_pg_constraint con;
	bool		deferrable;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint with OID %u does not exist", constraint)));
	con = (Form_pg_constraint) GETSTRUCT(tuple);
	if (con->contype != CONSTRAINT_PRIMARY && con->contype != CONSTRAINT_UNIQUE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("constraint \"%s\" is neither a primary key nor a unique constraint",
						NameStr(con->conname))));
	deferrable = con->condeferrable;
	*deferred = con->condeferred;
	ReleaseSysCache(tuple);
	return deferrable;
}

/*
 * migspec.swap_key(tab, constraint, to_index): let the constraint belong to
 * the other index, and the two indexes exchange their names.
 */
Datum
migspec_swap_key(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessExclusiveLock);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Oid			constraint = get_relation_constraint_oid(RelationGetRelid(rel),
														 name, false);
	KeySide		from = {.constraint = constraint};
	KeySide		to;
	bool		deferred;
	bool		deferrable = constraint_is_deferrable(constraint, &deferred);

	CheckTableNotInUse(rel, "swap_key");
	from.index = index_open(get_constraint_index(constraint),
							AccessExclusiveLock);
	to.index = index_open(PG_GETARG_OID(2), AccessExclusiveLock);
	to.constraint = get_index_constraint(RelationGetRelid(to.index));
	check_key_sides(rel, &from, &to, deferrable);

	swap_names(&from, &to);
	swap_index_flags(RelationGetRelid(from.index), RelationGetRelid(to.index));
	set_constraint_index(constraint, &from, &to);
	if (OidIsValid(to.constraint))
		set_constraint_index(to.constraint, &to, &from);
	set_index_dependencies(&from, to.constraint);
	set_index_dependencies(&to, constraint);
	CommandCounterIncrement();
	if (OidIsValid(to.constraint))
		swap_constraint_names(constraint, to.constraint);
	else
		RenameConstraintById(constraint, name);

	CacheInvalidateRelcache(rel);
	index_close(to.index, NoLock);
	index_close(from.index, NoLock);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

static void
set_index_unique(Oid index)
{
	Relation	catalog = table_open(IndexRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(INDEXRELID,
											ObjectIdGetDatum(index));

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

/* A copy of the column's row of pg_attribute; error if there is none */
static HeapTuple
column_tuple(Oid relid, const char *name)
{
	HeapTuple	tuple = SearchSysCacheCopyAttName(relid, name);

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", name,
						get_rel_name(relid))));
	return tuple;
}

/*
 * Let the sequence of the identity column "from" be that of "to".  Returns
 * whether there was one.
 */
static bool
move_sequence_dependency(Oid relid, AttrNumber from, AttrNumber to)
{
	Relation	catalog = table_open(DependRelationId, RowExclusiveLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(from));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 3,
							  key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid != RelationRelationId ||
			form->deptype != DEPENDENCY_INTERNAL ||
			get_rel_relkind(form->objid) != RELKIND_SEQUENCE)
			continue;
		tuple = heap_copytuple(tuple);
		((Form_pg_depend) GETSTRUCT(tuple))->refobjsubid = to;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		found = true;
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
	return found;
}

/*
 * Move the flag that makes a column an identity column, in one table.
 */
static void
move_identity_flag(Oid relid, const char *from, const char *to)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	from_tuple = column_tuple(relid, from);
	HeapTuple	to_tuple = column_tuple(relid, to);
	Form_pg_attribute a = (Form_pg_attribute) GETSTRUCT(from_tuple);
	Form_pg_attribute b = (Form_pg_attribute) GETSTRUCT(to_tuple);

	if (a->attidentity == '\0' || b->attidentity != '\0' || b->atthasdef ||
		!b->attnotnull || b->attgenerated != '\0' ||
		(b->atttypid != INT2OID && b->atttypid != INT4OID &&
		 b->atttypid != INT8OID))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" cannot take over the identity of column \"%s\"",
						to, from),
				 errdetail("It must be a NOT NULL integer column without default, and the other an identity column.")));
	b->attidentity = a->attidentity;
	a->attidentity = '\0';
	CatalogTupleUpdate(catalog, &from_tuple->t_self, from_tuple);
	CatalogTupleUpdate(catalog, &to_tuple->t_self, to_tuple);
	table_close(catalog, RowExclusiveLock);
}

/*
 * migspec.move_identity(tab, from_column, to_column): the other column becomes
 * GENERATED ... AS IDENTITY, with the same sequence.
 */
Datum
migspec_move_identity(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *from = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *to = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Relation	rel = table_open(relid, AccessExclusiveLock);
	ListCell   *lc;

	CheckTableNotInUse(rel, "move_identity");
	move_identity_flag(relid, from, to);
	if (!move_sequence_dependency(relid, get_attnum(relid, from),
								  get_attnum(relid, to)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of table \"%s\" has no sequence", from,
						RelationGetRelationName(rel))));
	/* since version 17 partitions share the identity of their parent */
	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		Oid			child = lfirst_oid(lc);
		HeapTuple	tuple;

		if (child == relid)
			continue;
		tuple = column_tuple(child, from);
		if (((Form_pg_attribute) GETSTRUCT(tuple))->attidentity != '\0')
			move_identity_flag(child, from, to);
	}
	CommandCounterIncrement();
	CacheInvalidateRelcache(rel);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * migspec.copy_column_grants(tab, from_column, to_column): give the other
 * column, which must have none, the same grants by the same grantors.
 */
Datum
migspec_copy_column_grants(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *to_name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Relation	rel = table_open(relid, ShareUpdateExclusiveLock);
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	from = column_tuple(relid,
									text_to_cstring(PG_GETARG_TEXT_PP(1)));
	HeapTuple	to = column_tuple(relid, to_name);
	Datum		values[Natts_pg_attribute] = {0};
	bool		nulls[Natts_pg_attribute] = {0};
	bool		replaces[Natts_pg_attribute] = {0};
	bool		isnull;
	Acl		   *acl;
	Oid		   *members;
	int			nmembers;

	if (!heap_attisnull(to, Anum_pg_attribute_attacl, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of table \"%s\" has grants already",
						to_name, RelationGetRelationName(rel))));
	acl = (Acl *) DatumGetPointer(SysCacheGetAttr(ATTNUM, from,
												  Anum_pg_attribute_attacl,
												  &isnull));
	if (!isnull)
	{
		acl = DatumGetAclPCopy(PointerGetDatum(acl));
		values[Anum_pg_attribute_attacl - 1] = PointerGetDatum(acl);
		replaces[Anum_pg_attribute_attacl - 1] = true;
		to = heap_modify_tuple(to, RelationGetDescr(catalog), values, nulls,
							   replaces);
		CatalogTupleUpdate(catalog, &to->t_self, to);
		nmembers = aclmembers(acl, &members);
		updateAclDependencies(RelationRelationId, relid,
							  ((Form_pg_attribute) GETSTRUCT(to))->attnum,
							  rel->rd_rel->relowner, 0, NULL, nmembers,
							  members);
	}
	table_close(catalog, RowExclusiveLock);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}
