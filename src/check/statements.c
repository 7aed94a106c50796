/*-------------------------------------------------------------------------
 *
 * statements.c
 *		What the analysers of statements other than ALTER TABLE share.
 *
 * Runs in the process that analyses the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/defrem.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "check/deletion.h"
#include "check/statements.h"

/* objects that are parts of a table and locked with it when dropped */
typedef struct PartClass
{
	Oid			class;
	AttrNumber	oid;
	Oid			index;			/* on that */
	AttrNumber	relation;
	LOCKMODE	lock;
} PartClass;

static const PartClass part_classes[] = {
	{AttrDefaultRelationId, Anum_pg_attrdef_oid, AttrDefaultOidIndexId, Anum_pg_attrdef_adrelid,
	AccessExclusiveLock},
	{ConstraintRelationId, Anum_pg_constraint_oid, ConstraintOidIndexId, Anum_pg_constraint_conrelid,
	AccessExclusiveLock},
	{PolicyRelationId, Anum_pg_policy_oid, PolicyOidIndexId, Anum_pg_policy_polrelid,
	AccessExclusiveLock},
	{RewriteRelationId, Anum_pg_rewrite_oid, RewriteOidIndexId, Anum_pg_rewrite_ev_class,
	AccessExclusiveLock},
	{StatisticExtRelationId, Anum_pg_statistic_ext_oid, StatisticExtOidIndexId,
	Anum_pg_statistic_ext_stxrelid, ShareUpdateExclusiveLock},
	{TriggerRelationId, Anum_pg_trigger_oid, TriggerOidIndexId, Anum_pg_trigger_tgrelid,
	AccessExclusiveLock},
};

/* see deletion.h */
Oid
migspec_object_relation(Oid class, Oid object, LOCKMODE *lock)
{
	for (int i = 0; i < (int) lengthof(part_classes); i++)
	{
		const PartClass *part = &part_classes[i];
		Relation	catalog;
		ScanKeyData key[1];
		SysScanDesc scan;
		HeapTuple	tuple;
		Oid			result = InvalidOid;

		if (part->class != class)
			continue;
		catalog = table_open(class, AccessShareLock);
		ScanKeyInit(&key[0], part->oid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(object));
		scan = systable_beginscan(catalog, part->index, true, NULL, 1, key);
		tuple = systable_getnext(scan);
		if (HeapTupleIsValid(tuple))
		{
			bool		isnull;

			result = DatumGetObjectId(heap_getattr(tuple, part->relation,
												   RelationGetDescr(catalog),
												   &isnull));
		}
		systable_endscan(scan);
		table_close(catalog, AccessShareLock);
		*lock = part->lock;
		return result;
	}

	*lock = NoLock;
	return InvalidOid;
}

/* see statements.h */
MigspecEffect *
migspec_lock_target(MigspecStatement *stmt, MigspecWorldTable *table, LOCKMODE lock)
{
	MigspecEffect *effect = migspec_check_lock(stmt, table, lock);

	effect->is_target = true;
	return effect;
}

/* see statements.h */
void
migspec_lock_family(MigspecStatement *stmt, MigspecWorldTable *table, LOCKMODE lock,
					bool inherit)
{
	ListCell   *cell;

	foreach(cell, inherit ? migspec_world_descendants(table) : NIL)
		migspec_check_lock(stmt, lfirst(cell), lock);
}

/* see statements.h */
void
migspec_refuse_in_transaction(const MigspecStatement *stmt, const char *what)
{
	if (stmt->world->in_transaction)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("%s cannot run inside a transaction block", what)));
}

/* see statements.h */
bool
migspec_name_exists(MigspecStatement *stmt, const RangeVar *name)
{
	RangeVar	full = *name;

	if (full.schemaname == NULL && full.relpersistence != RELPERSISTENCE_TEMP)
		full.schemaname = unconstify(char *, migspec_world_creation_schema(stmt->world));
	return migspec_world_find(stmt->world, &full) != NULL ||
		migspec_world_find_index(stmt->world, &full) != NULL;
}

/* see statements.h */
void
migspec_refuse_duplicate(MigspecStatement *stmt, const RangeVar *name)
{
	if (migspec_name_exists(stmt, name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", name->relname)));
}

/* see statements.h */
void
migspec_script_creates(MigspecStatement *stmt, const char *name)
{
	MigspecWorld *world = stmt->world;
	MemoryContext oldcontext = MemoryContextSwitchTo(world->context);

	if (!migspec_world_is_new_name(world, name))
		world->new_types = lappend(world->new_types, pstrdup(name));
	MemoryContextSwitchTo(oldcontext);
}

/* see statements.h */
void
migspec_script_drops(MigspecStatement *stmt, Oid class, Oid object)
{
	MigspecWorld *world = stmt->world;
	MemoryContext oldcontext = MemoryContextSwitchTo(world->context);
	ObjectAddress *address = palloc(sizeof(ObjectAddress));

	ObjectAddressSet(*address, class, object);
	world->dropped_objects = lappend(world->dropped_objects, address);
	MemoryContextSwitchTo(oldcontext);
}

/* see statements.h */
void
migspec_opaque(MigspecStatement *stmt)
{
	migspec_check_fact(stmt, RULE_OPAQUE_SQL, NULL, NULL);
	migspec_script_creates(stmt, "");
}

/* see statements.h */
bool
migspec_script_has_dropped(const MigspecWorld *world, Oid class, Oid object)
{
	ListCell   *cell;

	foreach(cell, world->dropped_objects)
	{
		ObjectAddress *address = lfirst(cell);

		if (address->classId == class && address->objectId == object)
			return true;
	}

	return false;
}

/*
 * The last part of the name of an object of any kind.
 */
static const char *
object_name(Node *object)
{
	switch (nodeTag(object))
	{
		case T_String:
			return strVal(object);
		case T_TypeName:
			return migspec_last_name(((TypeName *) object)->names);
		case T_ObjectWithArgs:
			return migspec_last_name(((ObjectWithArgs *) object)->objname);
		case T_List:
			return IsA(llast((List *) object), String) ?
				migspec_last_name((List *) object) : "";
		default:
			return "";
	}
}

/*
 * As the server does it.  It locks the object meanwhile; we do not keep the
 * lock.
 */
static ObjectAddress
look_up(ObjectType type, Node *object, bool missing_ok)
{
	Relation	relation = NULL;
	ObjectAddress address = get_object_address(type, object, &relation, AccessShareLock,
											   missing_ok);

	if (relation != NULL)
		relation_close(relation, AccessShareLock);
	else if (OidIsValid(address.objectId) && IsSharedRelation(address.classId))
		UnlockSharedObject(address.classId, address.objectId, 0, AccessShareLock);
	else if (OidIsValid(address.objectId))
		UnlockDatabaseObject(address.classId, address.objectId, 0, AccessShareLock);
	return address;
}

/* see statements.h */
ObjectAddress
migspec_find_object(MigspecStatement *stmt, ObjectType type, Node *object, bool missing_ok)
{
	bool		is_new = migspec_world_is_new_name(stmt->world, object_name(object)) ||
	migspec_world_is_new_name(stmt->world, "");
	ObjectAddress address = look_up(type, object, missing_ok || is_new);

	if (!OidIsValid(address.objectId) ||
		!migspec_script_has_dropped(stmt->world, address.classId, address.objectId))
		return address;
	if (!missing_ok && !is_new)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s does not exist", getObjectDescription(&address, false))));
	return InvalidObjectAddress;
}

/* see statements.h */
char *
migspec_last_name(List *names)
{
	return strVal(llast(names));
}

/* see statements.h */
char *
migspec_shown_name(List *names)
{
	return NameListToQuotedString(names);
}

/* see statements.h */
DefElem *
migspec_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, name) == 0)
			return option;
	}

	return NULL;
}

bool
migspec_option_is_on(List *options, const char *name)
{
	DefElem    *option = migspec_option(options, name);

	return option != NULL && defGetBoolean(option);
}

/* see statements.h */
List *
migspec_relations(MigspecWorld *world,
				  bool (*wanted) (const FormData_pg_class * form, void *arg), void *arg)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(catalog, InvalidOid, false, NULL, 0, NULL);
	List	   *oids = NIL;
	List	   *tables = NIL;
	HeapTuple	tuple;
	ListCell   *cell;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->relkind != RELKIND_INDEX && form->relkind != RELKIND_PARTITIONED_INDEX &&
			form->relkind != RELKIND_TOASTVALUE && wanted(form, arg))
			oids = lappend_oid(oids, form->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(cell, oids)
	{
		MigspecWorldTable *table = migspec_world_find_oid(world, lfirst_oid(cell));

		if (table != NULL)
			tables = lappend(tables, table);
	}
	return tables;
}

/* see statements.h */
List *
migspec_owned_sequences(MigspecWorldTable *table)
{
	Relation	catalog;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *sequences = NIL;

	if (!OidIsValid(table->oid))
		return NIL;
	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table->oid));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		MigspecWorldTable *sequence;

		if (migspec_world_column_no(table, depend->refobjsubid) == NULL ||
			depend->classid != RelationRelationId || depend->objsubid != 0 ||
			(depend->deptype != DEPENDENCY_AUTO && depend->deptype != DEPENDENCY_INTERNAL) ||
			get_rel_relkind(depend->objid) != RELKIND_SEQUENCE)
			continue;
		sequence = migspec_world_find_oid(table->world, depend->objid);
		if (sequence != NULL)
			sequences = lappend(sequences, sequence);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return sequences;
}

/* see statements.h */
MigspecWorldTable *
migspec_other_table(MigspecStatement *stmt, const RangeVar *name)
{
	List	   *named = stmt->named;
	MigspecWorldTable *table;

	stmt->named = list_copy(named);
	table = migspec_check_table(stmt, name, false);
	stmt->named = named;
	return table;
}

/* see statements.h */
AttrNumber
migspec_child_attno(const MigspecWorldTable *parent, const MigspecWorldTable *child,
					AttrNumber attno)
{
	MigspecWorldColumn *column = migspec_world_column_no(parent, attno);

	if (column != NULL)
		column = migspec_world_column(child, column->name);
	return column == NULL ? 0 : column->attno;
}
