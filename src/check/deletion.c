/*-------------------------------------------------------------------------
 *
 * deletion.c
 *		What goes with an object that is dropped.
 *
 * Runs in the process that analyses a script, in a transaction; reads
 * catalogs under the transaction's snapshot rules for them, and locks nothing
 * else.  What somebody else drops meanwhile may be told or not.
 *
 * The rules are those of findDependentObjects() and of the functions that
 * doDeletion() calls (catalog/dependency.c).  A difference: the order in which
 * objects go does not matter here, only which they are, so there is no
 * recursion, but a list that grows while it is walked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "check/deletion.h"
#include "check/statements.h"

/* by address, of what the catalog has */
typedef struct VictimEntry
{
	ObjectAddress address;
	MigspecVictim *victim;
} VictimEntry;

/* see deletion.h */
MigspecDeletion *
migspec_deletion_create(MigspecStatement *stmt)
{
	MigspecDeletion *deletion = palloc0(sizeof(MigspecDeletion));

	HASHCTL		control = {
		.keysize = sizeof(ObjectAddress),
		.entrysize = sizeof(VictimEntry),
		.hcxt = CurrentMemoryContext,
	};

	deletion->stmt = stmt;
	deletion->by_address = hash_create("migspec deletion", 64, &control,
									   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return deletion;
}

/*
 * The one in the list that is the same object, or the table of this column.
 */
static MigspecVictim *
find_victim(const MigspecDeletion *deletion, const MigspecVictim *victim)
{
	ObjectAddress address = victim->address;
	VictimEntry *entry;
	ListCell   *cell;

	if (OidIsValid(address.classId))
	{
		entry = hash_search(deletion->by_address, &address, HASH_FIND, NULL);
		if (entry == NULL && address.objectSubId != 0)
		{
			address.objectSubId = 0;
			entry = hash_search(deletion->by_address, &address, HASH_FIND, NULL);
		}
		return entry == NULL ? NULL : entry->victim;
	}
	foreach(cell, deletion->victims)
	{
		MigspecVictim *other = lfirst(cell);

		if (!OidIsValid(other->address.classId) && other->table == victim->table &&
			other->index == victim->index && other->constraint == victim->constraint &&
			other->column == victim->column && other->is_default == victim->is_default)
			return other;
	}

	return NULL;
}

/*
 * Find the victim in the world.  False: the script has dropped it already, or
 * it is of no interest (a TOAST table).
 */
static bool
locate(MigspecWorld *world, MigspecVictim *victim)
{
	const ObjectAddress *address = &victim->address;
	ListCell   *cell;

	if (address->classId == RelationRelationId)
	{
		char		kind = get_rel_relkind(address->objectId);

		victim->lock = AccessExclusiveLock;
		if (kind == RELKIND_INDEX || kind == RELKIND_PARTITIONED_INDEX)
		{
			victim->table =
				migspec_world_find_oid(world, IndexGetRelation(address->objectId, true));
			foreach(cell, victim->table == NULL ? NIL : victim->table->indexes)
			{
				MigspecWorldIndex *index = lfirst(cell);

				if (index->oid == address->objectId && !index->dropped)
					victim->index = index;
			}
			return victim->index != NULL;
		}
		if (kind == RELKIND_TOASTVALUE)
			return false;
		victim->table = migspec_world_find_oid(world, address->objectId);
		if (victim->table != NULL && address->objectSubId != 0)
			victim->column = migspec_world_column_no(victim->table, address->objectSubId);
		return victim->table != NULL &&
			(address->objectSubId == 0 || victim->column != NULL);
	}

	foreach(cell, world->dropped_objects)
	{
		ObjectAddress *dropped = lfirst(cell);

		if (dropped->classId == address->classId &&
			dropped->objectId == address->objectId)
			return false;
	}

	{
		Oid			relation = migspec_object_relation(address->classId, address->objectId,
													   &victim->lock);

		if (OidIsValid(relation))
		{
			victim->table = migspec_world_find_oid(world, relation);
			if (victim->table == NULL)
				return false;
		}
	}

	if (address->classId == AttrDefaultRelationId)
	{
		ObjectAddress owner = GetAttrDefaultColumnAddress(address->objectId);
		MigspecWorldTable *table = migspec_world_find_oid(world, owner.objectId);
		MigspecWorldColumn *column =
		table == NULL ? NULL : migspec_world_column_no(table, owner.objectSubId);

		if (column == NULL ||
			(column->default_changed &&
			 (!column->has_default ||
			  (column->default_expr != NULL && IsA(column->default_expr, Const)))))
			return false;
	}

	if (address->classId == ConstraintRelationId && victim->table != NULL)
	{
		foreach(cell, victim->table->constraints)
		{
			MigspecWorldConstraint *constraint = lfirst(cell);

			if (constraint->oid == address->objectId)
				victim->constraint = constraint;
		}
		return !victim->table->loaded ||
			(victim->constraint != NULL && !victim->constraint->dropped);
	}
	return true;
}

/*
 * Add it to the list unless it is there.  Returns the one in the list; NULL if
 * there is no such object any more.
 */
static MigspecVictim *
add_victim(MigspecDeletion *deletion, const MigspecVictim *victim)
{
	MigspecVictim *result = find_victim(deletion, victim);

	if (result == NULL)
	{
		result = palloc(sizeof(MigspecVictim));
		*result = *victim;
		if (OidIsValid(victim->address.classId) &&
			!locate(deletion->stmt->world, result))
			return NULL;
		deletion->victims = lappend(deletion->victims, result);
		if (OidIsValid(victim->address.classId))
		{
			VictimEntry *entry = hash_search(deletion->by_address, &victim->address,
											 HASH_ENTER, NULL);

			entry->victim = result;
		}
	}
	result->wanted |= victim->wanted;
	result->automatic |= victim->automatic;
	result->with_partition |= victim->with_partition;
	return result;
}

/* see deletion.h */
void
migspec_deletion_add(MigspecDeletion *deletion, Oid class, Oid object)
{
	MigspecVictim victim = {.wanted = true};

	ObjectAddressSet(victim.address, class, object);
	add_victim(deletion, &victim);
}

/*
 * A relation, with its address if it has one.
 */
static MigspecVictim
table_victim(MigspecWorldTable *table)
{
	MigspecVictim victim = {.table = table,.lock = AccessExclusiveLock};

	if (OidIsValid(table->oid))
		ObjectAddressSet(victim.address, RelationRelationId, table->oid);
	return victim;
}

/* see deletion.h */
void
migspec_deletion_add_table(MigspecDeletion *deletion, MigspecWorldTable *table)
{
	MigspecVictim victim = table_victim(table);

	victim.wanted = true;
	add_victim(deletion, &victim);
}

/* see deletion.h */
void
migspec_deletion_add_made(MigspecDeletion *deletion, const char *schema)
{
	ListCell   *cell;

	foreach(cell, deletion->stmt->world->tables)
	{
		MigspecWorldTable *table = lfirst(cell);
		MigspecVictim victim = table_victim(table);

		if (!table->dropped && !OidIsValid(table->oid) && strcmp(table->schema, schema) == 0)
			add_victim(deletion, &victim);
	}
}

/* see deletion.h */
void
migspec_deletion_add_index(MigspecDeletion *deletion, MigspecWorldIndex *index)
{
	MigspecVictim victim = {.table = index->table,.index = index,.lock = AccessExclusiveLock};

	victim.wanted = true;
	if (OidIsValid(index->oid))
		ObjectAddressSet(victim.address, RelationRelationId, index->oid);
	add_victim(deletion, &victim);
}

/* see deletion.h */
void
migspec_deletion_add_column(MigspecDeletion *deletion, MigspecWorldTable *table,
							MigspecWorldColumn *column)
{
	MigspecVictim victim = {.table = table,.column = column,.lock = AccessExclusiveLock};

	victim.wanted = true;
	if (OidIsValid(table->oid) && !column->is_new)
		ObjectAddressSubSet(victim.address, RelationRelationId, table->oid,
							column->attno);
	add_victim(deletion, &victim);
}

/* see deletion.h */
void
migspec_deletion_add_constraint(MigspecDeletion *deletion,
								MigspecWorldConstraint *constraint)
{
	MigspecVictim victim = {.table = constraint->table,.constraint = constraint,
	.lock = AccessExclusiveLock};

	victim.wanted = true;
	if (OidIsValid(constraint->oid))
		ObjectAddressSet(victim.address, ConstraintRelationId, constraint->oid);
	add_victim(deletion, &victim);
}

/*
 * Call "what" for each row of pg_depend where this object is the one that
 * depends, or the one that others depend on.
 */
static void
scan_depend(const ObjectAddress *address, bool depender,
			void (*what) (MigspecDeletion *deletion, MigspecVictim *victim,
						  Form_pg_depend depend),
			MigspecDeletion *deletion, MigspecVictim *victim)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], depender ? Anum_pg_depend_classid : Anum_pg_depend_refclassid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(address->classId));
	ScanKeyInit(&key[1], depender ? Anum_pg_depend_objid : Anum_pg_depend_refobjid,
				BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(address->objectId));
	ScanKeyInit(&key[2], depender ? Anum_pg_depend_objsubid : Anum_pg_depend_refobjsubid,
				BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(address->objectSubId));
	scan = systable_beginscan(catalog,
							  depender ? DependDependerIndexId : DependReferenceIndexId,
							  true, NULL, address->objectSubId == 0 ? 2 : 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);

		/* a column and its own table */
		if (depend->classid == depend->refclassid &&
			depend->objid == depend->refobjid && address->objectSubId == 0)
			continue;
		what(deletion, victim, depend);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * What the victim belongs to.  It can go only together with that.
 */
static void
follow_owner(MigspecDeletion *deletion, MigspecVictim *victim, Form_pg_depend depend)
{
	MigspecVictim owner = {0};

	ObjectAddressSubSet(owner.address, depend->refclassid, depend->refobjid,
						depend->refobjsubid);
	switch (depend->deptype)
	{
		case DEPENDENCY_PARTITION_PRI:
		case DEPENDENCY_PARTITION_SEC:
			victim->of_partition = true;
			return;
		case DEPENDENCY_EXTENSION:
			if (creating_extension && depend->refobjid == CurrentExtensionObject)
				return;
			break;
		case DEPENDENCY_INTERNAL:
			break;
		default:
			return;
	}

	if (find_victim(deletion, &owner) != NULL)
		return;
	if (victim->wanted)
	{
		char	   *name = getObjectDescription(&owner.address, false);

		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop %s because %s requires it",
						migspec_victim_name(victim), name),
				 errhint("You can drop %s instead.", name)));
	}
	if (add_victim(deletion, &owner) != NULL)
		victim->automatic = true;
}

/*
 * What depends on the victim.
 */
static void
follow_dependent(MigspecDeletion *deletion, MigspecVictim *victim, Form_pg_depend depend)
{
	MigspecVictim dependent = {0};

	ObjectAddressSubSet(dependent.address, depend->classid, depend->objid,
						depend->objsubid);
	switch (depend->deptype)
	{
		case DEPENDENCY_PARTITION_PRI:
		case DEPENDENCY_PARTITION_SEC:
			dependent.with_partition = true;
			/* FALLTHROUGH */
		case DEPENDENCY_AUTO:
		case DEPENDENCY_AUTO_EXTENSION:
		case DEPENDENCY_INTERNAL:
		case DEPENDENCY_EXTENSION:
			dependent.automatic = true;
			break;
		default:
			break;
	}
	add_victim(deletion, &dependent);
}

/*
 * Views of this script's making.
 */
static void
follow_uses(MigspecDeletion *deletion, MigspecWorldTable *table, AttrNumber attno)
{
	ListCell   *cell;

	foreach(cell, migspec_new_users(table, attno))
	{
		MigspecVictim user = table_victim(lfirst(cell));

		if (lfirst(cell) != table)
			add_victim(deletion, &user);
	}
}

/*
 * Defaults of this script's making that take values from a sequence of its
 * making.
 */
static void
follow_sequence(MigspecDeletion *deletion, const MigspecWorldTable *sequence)
{
	ListCell   *cell;

	foreach(cell, sequence->world->tables)
	{
		MigspecWorldTable *table = lfirst(cell);
		ListCell   *lc;

		foreach(lc, table->dropped ? NIL : table->columns)
		{
			MigspecWorldColumn *column = lfirst(lc);
			MigspecVictim of_column = {.table = table,.column = column,
			.is_default = true,.lock = AccessExclusiveLock};

			if (!column->dropped && column->has_default &&
				column->default_sequence == sequence)
				add_victim(deletion, &of_column);
		}
	}
}

/*
 * Constraints of this script's making that need a column.
 */
static void
follow_column(MigspecDeletion *deletion, MigspecVictim *victim)
{
	ListCell   *cell;

	foreach(cell, victim->table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		MigspecVictim of_column = {.table = victim->table,.constraint = constraint,
		.lock = AccessExclusiveLock,.automatic = true};

		if (!constraint->dropped && !OidIsValid(constraint->oid) &&
			list_member_int(constraint->columns, victim->column->attno))
			add_victim(deletion, &of_column);
	}
	foreach(cell, victim->table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		MigspecVictim of_column = {.table = victim->table,.index = index,
		.lock = AccessExclusiveLock,.automatic = true};

		for (int i = 0; i < index->natts; i++)
		{
			if (!index->dropped && !OidIsValid(index->oid) &&
				index->attnos[i] == victim->column->attno)
				add_victim(deletion, &of_column);
		}
	}
}

/*
 * Foreign keys of this script's making that refer to a key.
 */
static void
follow_key(MigspecDeletion *deletion, MigspecVictim *victim)
{
	ListCell   *cell;

	if (victim->constraint->type != CONSTRAINT_PRIMARY &&
		victim->constraint->type != CONSTRAINT_UNIQUE)
		return;
	foreach(cell, migspec_world_referencing(victim->table))
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		MigspecVictim referencing = {.table = constraint->table,.constraint = constraint,
		.lock = AccessExclusiveLock};

		if (!OidIsValid(constraint->oid) &&
			list_difference_int(constraint->referenced_columns,
								victim->constraint->columns) == NIL &&
			list_difference_int(victim->constraint->columns,
								constraint->referenced_columns) == NIL)
			add_victim(deletion, &referencing);
	}
}

/*
 * The same for what only the world knows: constraints, indexes and children of
 * this script's making.
 */
static void
follow_world(MigspecDeletion *deletion, MigspecVictim *victim)
{
	ListCell   *cell;

	if (victim->is_default)
		return;
	if (victim->column != NULL)
	{
		follow_column(deletion, victim);
		follow_uses(deletion, victim->table, victim->column->attno);
	}
	if (victim->constraint != NULL)
		follow_key(deletion, victim);
	if (victim->column != NULL || victim->constraint != NULL)
		return;
	if (victim->index != NULL)
	{
		foreach(cell, victim->table->constraints)
		{
			MigspecWorldConstraint *constraint = lfirst(cell);
			MigspecVictim of_index = {.table = victim->table,.constraint = constraint,
			.lock = AccessExclusiveLock,.automatic = victim->automatic};

			if (constraint->dropped || constraint->index != victim->index ||
				OidIsValid(constraint->oid))
				continue;
			if (victim->wanted)
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot drop %s because %s requires it",
								migspec_victim_name(victim),
								migspec_victim_name(&of_index)),
						 errhint("You can drop %s instead.",
								 migspec_victim_name(&of_index))));
			add_victim(deletion, &of_index);
		}
		return;
	}
	if (victim->table == NULL || victim->constraint != NULL ||
		victim->lock != AccessExclusiveLock ||
		(OidIsValid(victim->address.classId) &&
		 (victim->address.classId != RelationRelationId ||
		  victim->address.objectSubId != 0)))
		return;

	follow_uses(deletion, victim->table, InvalidAttrNumber);
	if (victim->table->kind == RELKIND_SEQUENCE)
		follow_sequence(deletion, victim->table);
	foreach(cell, victim->table->world->tables)
	{
		MigspecWorldTable *sequence = lfirst(cell);
		MigspecVictim owned = table_victim(sequence);

		owned.automatic = true;
		if (sequence->owned_by == victim->table && !sequence->dropped)
			add_victim(deletion, &owned);
	}
	foreach(cell, migspec_world_referencing(victim->table))
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		MigspecVictim referencing = {.table = constraint->table,.constraint = constraint,
		.lock = AccessExclusiveLock};

		if (OidIsValid(constraint->oid) || constraint->table == victim->table)
			continue;
		add_victim(deletion, &referencing);
	}
	foreach(cell, migspec_world_children(victim->table))
	{
		MigspecWorldTable *child = lfirst(cell);
		MigspecVictim dependent = table_victim(child);

		dependent.automatic = child->is_partition;
		add_victim(deletion, &dependent);
	}
}

/*
 * What must have been a reason to delete it is missing.
 */
static void
check_partition(const MigspecVictim *victim)
{
	if (victim->of_partition && !victim->with_partition)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop %s because another object requires it",
						migspec_victim_name(victim)),
				 errdetail("It belongs to an object of the partitioned table."),
				 errhint("You can drop that object of the partitioned table instead.")));
}

/*
 * What the statement names, if that is one object.
 */
static const MigspecVictim *
only_wanted(const MigspecDeletion *deletion)
{
	const MigspecVictim *wanted = NULL;
	ListCell   *cell;

	foreach(cell, deletion->victims)
	{
		const MigspecVictim *victim = lfirst(cell);

		if (victim->wanted && wanted != NULL)
			return NULL;
		if (victim->wanted)
			wanted = victim;
	}
	return wanted;
}

/*
 * What belongs to a table that goes, goes with it, whatever else it needs.  Of
 * the catalog's objects its dependencies tell that.
 */
static void
mark_parts(MigspecDeletion *deletion)
{
	ListCell   *cell;

	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);
		MigspecVictim table;

		if (OidIsValid(victim->address.classId) || victim->automatic ||
			(victim->constraint == NULL && victim->index == NULL && victim->column == NULL))
			continue;
		table = table_victim(victim->table);
		victim->automatic = find_victim(deletion, &table) != NULL;
	}
}

/* see deletion.h */
void
migspec_deletion_collect(MigspecDeletion *deletion, bool cascade)
{
	char	   *cascaded;

	/* the list grows while it is walked */
	for (int i = 0; i < list_length(deletion->victims); i++)
	{
		MigspecVictim *victim = list_nth(deletion->victims, i);

		CHECK_FOR_INTERRUPTS();
		if (OidIsValid(victim->address.classId))
		{
			if (IsPinnedObject(victim->address.classId, victim->address.objectId))
				ereport(ERROR,
						(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
						 errmsg("cannot drop %s because it is required by the database system",
								migspec_victim_name(victim))));
			scan_depend(&victim->address, true, follow_owner, deletion, victim);
			scan_depend(&victim->address, false, follow_dependent, deletion, victim);
		}
		follow_world(deletion, victim);
	}

	mark_parts(deletion);
	cascaded = cascade ? NULL : migspec_deletion_cascaded(deletion);
	if (cascaded != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 only_wanted(deletion) != NULL ?
				 errmsg("cannot drop %s because other objects depend on it",
						migspec_victim_name(only_wanted(deletion))) :
				 errmsg("cannot drop desired object(s) because other objects depend on them"),
				 errdetail("Depending on them: %s.", cascaded),
				 errhint("Use DROP ... CASCADE to drop the dependent objects too.")));
	for (int i = 0; i < list_length(deletion->victims); i++)
		check_partition(list_nth(deletion->victims, i));
}

/* see deletion.h */
char *
migspec_victim_name(const MigspecVictim *victim)
{
	if (victim->index != NULL)
		return psprintf("index %s", migspec_world_index_name(victim->index));
	if (victim->constraint != NULL)
		return psprintf("constraint %s on table %s", victim->constraint->name,
						migspec_world_table_name(victim->table));
	if (victim->column != NULL)
		return psprintf("%scolumn %s of table %s",
						victim->is_default ? "default value for " : "",
						victim->column->name, migspec_world_table_name(victim->table));
	if (OidIsValid(victim->address.classId))
	{
		char	   *name = getObjectDescription(&victim->address, true);

		if (name != NULL)
			return name;
	}
	return psprintf("%s %s", victim->table->kind == RELKIND_VIEW ? "view" :
					victim->table->kind == RELKIND_MATVIEW ? "materialized view" : "table",
					migspec_world_table_name(victim->table));
}

/* see deletion.h */
char *
migspec_deletion_cascaded(const MigspecDeletion *deletion)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);

		if (victim->wanted || victim->automatic)
			continue;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
						 migspec_victim_name(victim));
	}

	return names.len > 0 ? names.data : NULL;
}

/*
 * A partition takes its parent, and the default partition, with it.  See
 * heap_drop_with_catalog() in catalog/heap.c.
 */
static void
lock_parent(MigspecStatement *stmt, MigspecWorldTable *table)
{
	MigspecWorldTable *other;

	if (!table->is_partition || table->parent == NULL)
		return;
	migspec_check_lock(stmt, table->parent, AccessExclusiveLock);
	other = migspec_world_default_partition(table->parent);
	if (other != NULL && other != table)
		migspec_check_lock(stmt, other, AccessExclusiveLock);
}

/* see deletion.h */
void
migspec_deletion_lock(MigspecDeletion *deletion)
{
	MigspecStatement *stmt = deletion->stmt;
	ListCell   *cell;

	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);
		MigspecEffect *effect;

		if (victim->table == NULL)
			continue;
		effect = migspec_check_lock(stmt, victim->table, victim->lock);
		if (victim->index != NULL && victim->wanted)
		{
			effect = migspec_check_lock_index(stmt, victim->index, victim->lock);
			effect->is_target = true;
		}
		else if (victim->index == NULL && victim->constraint == NULL &&
				 victim->column == NULL &&
				 (!OidIsValid(victim->address.classId) ||
				  victim->address.classId == RelationRelationId))
		{
			effect->is_target |= victim->wanted;
			lock_parent(stmt, victim->table);
		}
		/* its triggers on the other table; the catalog's are victims too */
		if (victim->constraint != NULL && !OidIsValid(victim->constraint->oid) &&
			victim->constraint->referenced != NULL && victim->constraint->enforced)
			migspec_check_lock(stmt, victim->constraint->referenced,
							   AccessExclusiveLock);
	}

	/* foreign keys of the script's making go with their table */
	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);
		ListCell   *lc;

		if (victim->table == NULL || victim->index != NULL || victim->constraint != NULL ||
			victim->column != NULL ||
			(OidIsValid(victim->address.classId) &&
			 victim->address.classId != RelationRelationId))
			continue;
		foreach(lc, victim->table->constraints)
		{
			MigspecWorldConstraint *constraint = lfirst(lc);

			if (!constraint->dropped && !OidIsValid(constraint->oid) &&
				constraint->referenced != NULL && constraint->enforced)
				migspec_check_lock(stmt, constraint->referenced, AccessExclusiveLock);
		}
	}
}

/*
 * The default of a column.
 */
static void
drop_default(MigspecVictim *victim)
{
	ObjectAddress column = GetAttrDefaultColumnAddress(victim->address.objectId);
	MigspecWorldColumn *world_column;

	if (victim->table == NULL || column.objectSubId == 0)
		return;
	world_column = migspec_world_column_no(victim->table, column.objectSubId);
	if (world_column != NULL)
		world_column->has_default = false;
}

/* see deletion.h */
void
migspec_deletion_apply(MigspecDeletion *deletion)
{
	MigspecWorld *world = deletion->stmt->world;
	MemoryContext oldcontext = MemoryContextSwitchTo(world->context);
	ListCell   *cell;

	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);

		if (victim->constraint != NULL)
		{
			if (!victim->constraint->dropped)
				migspec_world_drop_constraint(victim->constraint);
		}
		else if (victim->index != NULL)
			victim->index->dropped = true;
		else if (victim->is_default)
			victim->column->has_default = false;
		else if (victim->column != NULL)
			migspec_world_drop_column(victim->table, victim->column);
		else if (!OidIsValid(victim->address.classId))
			migspec_world_drop_table(victim->table);
		else if (victim->address.classId == AttrDefaultRelationId)
			drop_default(victim);
		else if (victim->address.classId == RelationRelationId)
			migspec_world_drop_table(victim->table);
		else
		{
			ObjectAddress *address = palloc(sizeof(ObjectAddress));

			*address = victim->address;
			world->dropped_objects = lappend(world->dropped_objects, address);
		}
	}
	MemoryContextSwitchTo(oldcontext);
}
