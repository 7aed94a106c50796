/*-------------------------------------------------------------------------
 *
 * world_relatives.c
 *		Children, descendants, referencing tables: who else is concerned.
 *
 * The catalog's answers come from indexed look-ups (pg_inherits by parent,
 * pg_depend by what is depended on), never from a scan; what the script has
 * changed since is laid over them.  Tables found are loaded, each under a
 * momentary ACCESS SHARE of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "check/world.h"
#include "check/world_internal.h"

/* one row of pg_depend: who depends, and with which column */
typedef void (*DependentVisit) (Oid classid, Oid objid, int32 subid, void *arg);

/*
 * Tables whose parent is not the one that the catalog has for them.
 */
static List *
moved_tables(const MigspecWorld *world)
{
	List	   *moved = NIL;
	ListCell   *lc;

	foreach(lc, world->tables)
	{
		MigspecWorldTable *table = lfirst(lc);

		if (!table->dropped && table->parent != NULL &&
			(!OidIsValid(table->loaded_parent) ||
			 table->parent->oid != table->loaded_parent))
			moved = lappend(moved, table);
	}
	return moved;
}

/*
 * Is this child, as the catalog has it, still one?  A table with several
 * parents is known by its first; if the script has not touched that, all of
 * them are there.
 */
static bool
still_child(const MigspecWorldTable *child, const MigspecWorldTable *parent)
{
	return child != NULL &&
		(child->parent == parent ||
		 (OidIsValid(child->loaded_parent) &&
		  (child->parent_oid == child->loaded_parent ||
		   (child->parent != NULL && child->parent->oid == child->loaded_parent))));
}

static List *
children_of(MigspecWorldTable *table, const List *moved)
{
	List	   *children = NIL;
	ListCell   *lc;

	if (!table->children_known && OidIsValid(table->oid) && table->loaded)
	{
		MemoryContext old = MemoryContextSwitchTo(table->world->context);

		table->loaded_children = has_subclass(table->oid) ?
			find_inheritance_children(table->oid, NoLock) : NIL;
		table->children_known = true;
		MemoryContextSwitchTo(old);
	}
	foreach(lc, table->loaded_children)
	{
		MigspecWorldTable *child = migspec_world_find_oid(table->world, lfirst_oid(lc));

		if (still_child(child, table))
			children = lappend(children, child);
	}
	foreach(lc, moved)
	{
		MigspecWorldTable *child = lfirst(lc);

		if (child->parent == table)
			children = list_append_unique_ptr(children, child);
	}
	return children;
}

List *
migspec_world_children(MigspecWorldTable *table)
{
	table = migspec_world_live(table);
	return children_of(table, moved_tables(table->world));
}

static List *
descend(MigspecWorldTable *table, const List *moved, List *found)
{
	ListCell   *lc;

	check_stack_depth();
	foreach(lc, children_of(table, moved))
	{
		MigspecWorldTable *child = lfirst(lc);

		/* with several parents it is met more than once */
		if (!child->is_partition && list_member_ptr(found, child))
			continue;
		found = lappend(found, child);
		found = descend(child, moved, found);
	}
	return found;
}

List *
migspec_world_descendants(MigspecWorldTable *table)
{
	table = migspec_world_live(table);
	return descend(table, moved_tables(table->world), NIL);
}

List *
migspec_world_leaves(MigspecWorldTable *table)
{
	List	   *moved;
	List	   *leaves = NIL;
	List	   *all;
	ListCell   *lc;

	table = migspec_world_live(table);
	moved = moved_tables(table->world);
	all = descend(table, moved, NIL);
	if (all == NIL)
		return list_make1(table);
	foreach(lc, all)
	{
		MigspecWorldTable *child = lfirst(lc);

		if (child->kind != RELKIND_PARTITIONED_TABLE &&
			children_of(child, moved) == NIL)
			leaves = lappend(leaves, child);
	}
	return leaves;
}

int
migspec_world_count_parents(MigspecWorldTable *table, const List *family)
{
	List	   *moved;
	int			n = 0;
	ListCell   *lc;

	table = migspec_world_live(table);
	moved = moved_tables(table->world);
	foreach(lc, family)
		n += list_member_ptr(children_of(migspec_world_live(lfirst(lc)), moved), table);
	return n;
}

MigspecWorldTable *
migspec_world_default_partition(MigspecWorldTable *table)
{
	ListCell   *lc;
	MigspecWorldTable *found;

	table = migspec_world_live(table);
	if (table->kind != RELKIND_PARTITIONED_TABLE)
		return NULL;
	foreach(lc, moved_tables(table->world))
	{
		found = lfirst(lc);
		if (found->parent == table && found->is_default_partition)
			return found;
	}
	if (!OidIsValid(table->oid))
		return NULL;
	found = migspec_world_find_oid(table->world, get_default_partition_oid(table->oid));
	return still_child(found, table) ? found : NULL;
}

/*
 * Call "visit" for everything that depends on an object.
 */
static void
visit_dependents(Oid classid, Oid objid, DependentVisit visit, void *arg)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(classid));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(objid));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		visit(row->classid, row->objid, row->objsubid, arg);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

static void
collect_constraint(Oid classid, Oid objid, int32 subid, void *arg)
{
	List	  **oids = arg;

	if (classid == ConstraintRelationId)
		*oids = list_append_unique_oid(*oids, objid);
}

/*
 * The foreign key of this OID, if it is one that refers to the table.
 */
static MigspecWorldConstraint *
foreign_key_to(MigspecWorldTable *table, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(oid));
	Form_pg_constraint row;
	Oid			relid = InvalidOid;
	MigspecWorldTable *other;
	ListCell   *lc;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	row = (Form_pg_constraint) GETSTRUCT(tuple);
	if (row->contype == CONSTRAINT_FOREIGN && row->confrelid == table->oid &&
		row->conrelid != table->oid)
		relid = row->conrelid;
	ReleaseSysCache(tuple);

	other = migspec_world_find_oid(table->world, relid);
	if (other == NULL)
		return NULL;
	foreach(lc, other->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		if (con->oid == oid)
			return con->dropped ? NULL : con;
	}
	return NULL;
}

List *
migspec_world_referencing(MigspecWorldTable *table)
{
	List	   *oids = NIL;
	List	   *found = NIL;
	ListCell   *lc;

	table = migspec_world_live(table);
	if (OidIsValid(table->oid))
		visit_dependents(RelationRelationId, table->oid, collect_constraint, &oids);
	list_sort(oids, list_oid_cmp);
	foreach(lc, oids)
	{
		MigspecWorldConstraint *con = foreign_key_to(table, lfirst_oid(lc));

		if (con != NULL)
			found = lappend(found, con);
	}
	foreach(lc, table->world->new_foreign_keys)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		if (!con->dropped && !con->table->dropped && con->table != table &&
			con->referenced == table)
			found = lappend(found, con);
	}
	return found;
}

/* state of the search for users of a type */
typedef struct TypeUsers
{
	MigspecWorld *world;
	List	   *types;			/* of Oid: to be looked at, or looked at */
	List	   *relations;		/* of Oid */
} TypeUsers;

static void
collect_user(Oid classid, Oid objid, int32 subid, void *arg)
{
	TypeUsers  *users = arg;
	char		relkind;

	if (classid == TypeRelationId)
		users->types = list_append_unique_oid(users->types, objid);
	if (classid != RelationRelationId || subid <= 0)
		return;
	relkind = get_rel_relkind(objid);
	if (relkind != RELKIND_COMPOSITE_TYPE)
		users->relations = list_append_unique_oid(users->relations, objid);
	users->types = list_append_unique_oid(users->types, get_rel_type_id(objid));
}

static bool
has_column_of(const MigspecWorldTable *table, const List *types)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		MigspecWorldColumn *column = lfirst(lc);

		if (!column->dropped && OidIsValid(column->type) &&
			list_member_oid(types, column->type))
			return true;
	}
	return false;
}

List *
migspec_world_users_of_type(MigspecWorld *world, Oid type)
{
	TypeUsers	users = {.world = world,.types = list_make1_oid(type)};
	List	   *found = NIL;
	ListCell   *lc;

	/* the list grows while we go through it */
	for (int i = 0; i < list_length(users.types); i++)
	{
		Oid			one = list_nth_oid(users.types, i);
		Oid			array = get_array_type(one);

		if (OidIsValid(array))
			users.types = list_append_unique_oid(users.types, array);
		visit_dependents(TypeRelationId, one, collect_user, &users);
	}
	list_sort(users.relations, list_oid_cmp);
	foreach(lc, users.relations)
	{
		MigspecWorldTable *table = migspec_world_find_oid(world, lfirst_oid(lc));

		if (table != NULL &&
			(!table->loaded || has_column_of(table, users.types)))
			found = lappend(found, table);
	}
	foreach(lc, world->tables)
	{
		MigspecWorldTable *table = lfirst(lc);

		if (!table->dropped && has_column_of(table, users.types))
			found = list_append_unique_ptr(found, table);
	}
	return found;
}
