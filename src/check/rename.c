/*-------------------------------------------------------------------------
 *
 * rename.c
 *		ALTER ... RENAME and ALTER ... SET SCHEMA.
 *
 * ALTER TABLE has both too; they are statements of their own for the server.
 * No work is done on any row, but all of it waits for ACCESS EXCLUSIVE, except
 * for names of indexes, and whoever uses the old name fails from then on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "check/alter_table.h"
#include "check/check.h"
#include "check/deletion.h"
#include "check/statements.h"

/*
 * A string that lives as long as the world.
 */
static char *
world_string(MigspecStatement *stmt, const char *s)
{
	return MemoryContextStrdup(stmt->world->context, s);
}

static RangeVar *
in_schema_of(const MigspecWorldTable *table, const char *name)
{
	return makeRangeVar(table->schema, pstrdup(name), -1);
}

/*
 * Rename an index, and the constraint that it belongs to.  ALTER TABLE takes
 * the stronger lock on it.
 */
static void
rename_index(MigspecStatement *stmt, RenameStmt *rename, MigspecWorldIndex *index)
{
	LOCKMODE	lock = rename->renameType == OBJECT_INDEX ?
	ShareUpdateExclusiveLock : AccessExclusiveLock;
	MigspecFact *fact;
	ListCell   *cell;

	migspec_world_remember(index->table);
	migspec_refuse_duplicate(stmt, in_schema_of(index->table, rename->newname));
	migspec_check_lock_index(stmt, index, lock)->is_target = true;
	fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, index->table,
							  psprintf("index %s", migspec_world_index_name(index)));
	fact->detail = rename->newname;

	foreach(cell, index->table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (constraint->index == index && !constraint->dropped)
			constraint->name = world_string(stmt, rename->newname);
	}
	index->name = world_string(stmt, rename->newname);
	migspec_world_note_name(index->table, index->name);
}

/*
 * ALTER TABLE goes for anything, other commands only for what they name.  See
 * RangeVarCallbackForAlterRelation() in commands/tablecmds.c.
 */
static void
check_kind(const MigspecWorldTable *table, ObjectType type)
{
	static const struct
	{
		ObjectType	type;
		char		kind;
		const char *name;
	}			kinds[] = {
		{OBJECT_VIEW, RELKIND_VIEW, "a view"},
		{OBJECT_MATVIEW, RELKIND_MATVIEW, "a materialized view"},
		{OBJECT_SEQUENCE, RELKIND_SEQUENCE, "a sequence"},
		{OBJECT_FOREIGN_TABLE, RELKIND_FOREIGN_TABLE, "a foreign table"},
	};

	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		if (kinds[i].type == type && kinds[i].kind != table->kind)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not %s", table->name, kinds[i].name)));
	}
	if (table->kind == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a composite type", table->name),
				 errhint("Use %s instead.", "ALTER TYPE")));
}

/*
 * Tables, views, sequences, ..., and indexes by any of their commands.
 */
static void
rename_relation(MigspecStatement *stmt, RenameStmt *rename)
{
	MigspecWorldIndex *index = migspec_world_find_index(stmt->world, rename->relation);
	MigspecWorldTable *table;
	MigspecFact *fact;

	if (index != NULL)
	{
		rename_index(stmt, rename, index);
		return;
	}
	table = migspec_check_table(stmt, rename->relation, rename->missing_ok);
	if (table == NULL)
		return;
	check_kind(table, rename->renameType);
	migspec_refuse_duplicate(stmt, in_schema_of(table, rename->newname));
	migspec_lock_target(stmt, table, AccessExclusiveLock);
	fact = migspec_check_fact(stmt, RULE_RENAME_TABLE, table, NULL);
	fact->detail = rename->newname;
	if (OidIsValid(table->row_type))
		migspec_script_creates(stmt, rename->newname);
	table->name = world_string(stmt, rename->newname);
	migspec_world_note_name(table, table->name);
}

/*
 * The column has a new name in this table and its descendants.
 */
static void
rename_in(MigspecStatement *stmt, MigspecWorldTable *table, const char *from,
		  const char *to)
{
	MigspecWorldColumn *column = migspec_world_column(table, from);

	if (column == NULL)
		return;
	if (migspec_world_column(table, to) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" already exists", to,
						table->name)));
	column->name = world_string(stmt, to);
}

static void
rename_column(MigspecStatement *stmt, RenameStmt *rename)
{
	MigspecWorldTable *table = migspec_check_table(stmt, rename->relation,
												   rename->missing_ok);
	List	   *descendants;
	List	   *family;
	MigspecWorldColumn *column;
	MigspecFact *fact;
	ListCell   *cell;

	if (table == NULL)
		return;
	if (!table->loaded)
	{
		migspec_lock_target(stmt, table, AccessExclusiveLock);
		return;
	}
	column = migspec_world_column(table, rename->subname);
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist", rename->subname)));
	descendants = migspec_world_descendants(table);
	family = lcons(table, list_copy(descendants));
	foreach(cell, family)
	{
		MigspecWorldColumn *own = migspec_world_column(lfirst(cell), rename->subname);

		if (own != NULL &&
			own->inherited > migspec_world_count_parents(lfirst(cell), family))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot rename inherited column \"%s\"", rename->subname)));
	}
	if (!rename->relation->inh && descendants != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("inherited column \"%s\" must be renamed in child tables too",
						rename->subname)));

	migspec_lock_target(stmt, table, AccessExclusiveLock);
	migspec_lock_family(stmt, table, AccessExclusiveLock, rename->relation->inh);
	if (table->kind == RELKIND_COMPOSITE_TYPE)
	{
		foreach(cell, migspec_alter_typed_tables(table, rename->behavior))
		{
			MigspecWorldTable *typed = lfirst(cell);

			migspec_check_lock(stmt, typed, AccessExclusiveLock);
			migspec_lock_family(stmt, typed, AccessExclusiveLock, true);
			descendants = lappend(list_concat(descendants, migspec_world_descendants(typed)),
								  typed);
		}
	}
	fact = migspec_check_fact(stmt, RULE_RENAME_COLUMN, table, rename->subname);
	fact->detail = rename->newname;

	rename_in(stmt, table, rename->subname, rename->newname);
	foreach(cell, descendants)
		rename_in(stmt, lfirst(cell), rename->subname, rename->newname);
}

/*
 * A constraint and its index; a check is inherited.
 */
static void
rename_constraint(MigspecStatement *stmt, RenameStmt *rename)
{
	MigspecWorldTable *table = migspec_check_table(stmt, rename->relation,
												   rename->missing_ok);
	MigspecWorldConstraint *constraint;
	MigspecFact *fact;
	ListCell   *cell;

	if (table == NULL)
		return;
	migspec_lock_target(stmt, table, AccessExclusiveLock);
	if (!table->loaded)
		return;
	constraint = migspec_world_constraint(table, rename->subname);
	if (constraint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint \"%s\" for table \"%s\" does not exist",
						rename->subname, table->name)));
	if (migspec_world_constraint(table, rename->newname) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("constraint \"%s\" for relation \"%s\" already exists",
						rename->newname, table->name)));
	if ((constraint->type == CONSTRAINT_CHECK || constraint->type == 'n') &&
		!constraint->no_inherit)
	{
		List	   *descendants = migspec_world_descendants(table);
		List	   *family = lcons(table, list_copy(descendants));

		foreach(cell, family)
		{
			MigspecWorldConstraint *own =
			migspec_world_constraint(lfirst(cell), rename->subname);

			if (own != NULL &&
				own->inherited > migspec_world_count_parents(lfirst(cell), family))
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						 errmsg("cannot rename inherited constraint \"%s\"",
								rename->subname)));
		}
		if (!rename->relation->inh && descendants != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("inherited constraint \"%s\" must be renamed in child tables too",
							rename->subname)));
		migspec_lock_family(stmt, table, AccessExclusiveLock, true);
		foreach(cell, descendants)
		{
			MigspecWorldConstraint *inherited =
			migspec_world_constraint(lfirst(cell), rename->subname);

			if (inherited == NULL)
				continue;
			inherited->name = world_string(stmt, rename->newname);
			migspec_world_note_name(inherited->table, inherited->name);
		}
	}
	fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, table,
							  psprintf("constraint %s", rename->subname));
	fact->detail = rename->newname;
	constraint->name = world_string(stmt, rename->newname);
	migspec_world_note_name(table, constraint->name);
	if (constraint->index != NULL)
		constraint->index->name = constraint->name;
}

/*
 * The new name must be free.
 */
static void
refuse_part(MigspecStatement *stmt, const RenameStmt *rename,
			const MigspecWorldTable *table, const char *kind)
{
	ObjectAddress address = InvalidObjectAddress;

	if (!OidIsValid(table->oid))
		return;
	if (rename->renameType == OBJECT_TRIGGER)
		ObjectAddressSet(address, TriggerRelationId,
						 get_trigger_oid(table->oid, rename->newname, true));
	else if (rename->renameType == OBJECT_RULE)
		ObjectAddressSet(address, RewriteRelationId,
						 get_rewrite_oid(table->oid, rename->newname, true));
	else
		ObjectAddressSet(address, PolicyRelationId,
						 get_relation_policy_oid(table->oid, rename->newname, true));
	if (OidIsValid(address.objectId) &&
		!migspec_script_has_dropped(stmt->world, address.classId, address.objectId) &&
		!migspec_world_is_new_name(stmt->world, psprintf("renamed %s %s on %s", kind,
														 rename->newname, table->name)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s \"%s\" for table \"%s\" already exists", kind,
						rename->newname, table->name)));
	migspec_script_creates(stmt, psprintf("renamed %s %s on %s", kind, rename->subname,
										  table->name));
}

/*
 * Triggers, rules and policies: the table is locked, and for triggers its
 * partitions are.
 */
static void
rename_part(MigspecStatement *stmt, RenameStmt *rename)
{
	MigspecWorldTable *table = migspec_check_table(stmt, rename->relation, false);
	Oid			object = InvalidOid;
	const char *kind;
	MigspecFact *fact;

	switch (rename->renameType)
	{
		case OBJECT_TRIGGER:
			kind = "trigger";
			object = OidIsValid(table->oid) ?
				get_trigger_oid(table->oid, rename->subname, true) : InvalidOid;
			break;
		case OBJECT_RULE:
			kind = "rule";
			object = OidIsValid(table->oid) ?
				get_rewrite_oid(table->oid, rename->subname, true) : InvalidOid;
			break;
		default:
			kind = "policy";
			object = OidIsValid(table->oid) ?
				get_relation_policy_oid(table->oid, rename->subname, true) : InvalidOid;
			break;
	}
	if (!OidIsValid(object) &&
		!migspec_world_is_new_name(stmt->world, psprintf("%s %s on %s", kind,
														 rename->subname, table->name)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s \"%s\" for table \"%s\" does not exist", kind,
						rename->subname, table->name)));

	refuse_part(stmt, rename, table, kind);
	migspec_lock_target(stmt, table, AccessExclusiveLock);
	migspec_lock_family(stmt, table, AccessExclusiveLock,
						rename->renameType == OBJECT_TRIGGER &&
						table->kind == RELKIND_PARTITIONED_TABLE);
	fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, table,
							  psprintf("%s %s", kind, rename->subname));
	fact->detail = rename->newname;
	migspec_script_creates(stmt, psprintf("%s %s on %s", kind, rename->newname,
										  table->name));
}

static bool
is_in_schema(const FormData_pg_class * form, void *arg)
{
	return form->relnamespace == *(Oid *) arg;
}

static void
rename_schema(MigspecStatement *stmt, RenameStmt *rename)
{
	Oid			nspoid = get_namespace_oid(rename->subname, true);
	MigspecFact *fact;
	ListCell   *cell;

	if (!OidIsValid(nspoid) &&
		!migspec_world_is_new_name(stmt->world, rename->subname))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", rename->subname)));
	if (OidIsValid(get_namespace_oid(rename->newname, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", rename->newname)));

	fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, NULL,
							  psprintf("schema %s", rename->subname));
	fact->detail = rename->newname;
	/* so that all are in the world */
	(void) migspec_relations(stmt->world, is_in_schema, &nspoid);
	foreach(cell, stmt->world->tables)
	{
		MigspecWorldTable *table = lfirst(cell);

		if (table->dropped || strcmp(table->schema, rename->subname) != 0)
			continue;
		migspec_world_remember(table);
		table->schema = world_string(stmt, rename->newname);
	}
	migspec_script_creates(stmt, rename->newname);
}

/*
 * A type or domain; that of a composite type is a relation as well.
 */
static void
rename_type(MigspecStatement *stmt, RenameStmt *rename)
{
	List	   *names = (List *) rename->object;
	Oid			type = migspec_check_type(stmt, makeTypeNameFromNameList(names), NULL);
	Oid			relid = OidIsValid(type) ? get_typ_typrelid(type) : InvalidOid;
	MigspecFact *fact;

	if (OidIsValid(relid))
	{
		MigspecWorldTable *table = migspec_world_find_oid(stmt->world, relid);

		if (table != NULL && table->kind != RELKIND_COMPOSITE_TYPE)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("%s is a table's row type", migspec_shown_name(names)),
					 errhint("Use ALTER TABLE instead.")));
		if (table != NULL)
		{
			migspec_lock_target(stmt, table, AccessExclusiveLock);
			table->name = world_string(stmt, rename->newname);
			migspec_world_note_name(table, table->name);
		}
	}
	else if (OidIsValid(type))
		migspec_script_drops(stmt, TypeRelationId, type);
	fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, NULL,
							  psprintf("%s %s", rename->renameType == OBJECT_DOMAIN ?
									   "domain" : "type", migspec_shown_name(names)));
	fact->detail = rename->newname;
	migspec_script_creates(stmt, rename->newname);
}

/*
 * What has no rows: functions, roles, ...
 */
static void
rename_other(MigspecStatement *stmt, RenameStmt *rename)
{
	MigspecFact *fact;
	const char *name = rename->subname;

	if (rename->object != NULL)
	{
		/* of a constraint of a domain, this is the domain */
		if (rename->renameType == OBJECT_DOMCONSTRAINT)
			(void) migspec_check_type(stmt, makeTypeNameFromNameList((List *) rename->object),
									  NULL);
		else
		{
			ObjectAddress address = migspec_find_object(stmt, rename->renameType,
														rename->object, false);

			/* nothing has the old name any more */
			if (OidIsValid(address.objectId))
				migspec_script_drops(stmt, address.classId, address.objectId);
		}
		switch (nodeTag(rename->object))
		{
			case T_List:
				name = migspec_shown_name((List *) rename->object);
				break;
			case T_ObjectWithArgs:
				name = migspec_shown_name(((ObjectWithArgs *) rename->object)->objname);
				break;
			case T_String:
				name = strVal(rename->object);
				break;
			default:
				break;
		}
	}
	fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, NULL, name);
	fact->detail = rename->newname;
	migspec_script_creates(stmt, rename->newname);
	if (rename->renameType == OBJECT_DOMCONSTRAINT)
		migspec_script_creates(stmt, psprintf("constraint %s of %s", rename->newname,
											  migspec_last_name((List *) rename->object)));
}

/* see check.h */
void
migspec_analyse_rename(MigspecStatement *stmt)
{
	RenameStmt *rename = (RenameStmt *) stmt->tree;

	switch (rename->renameType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_INDEX:
		case OBJECT_FOREIGN_TABLE:
			rename_relation(stmt, rename);
			break;
		case OBJECT_COLUMN:
		case OBJECT_ATTRIBUTE:
			rename_column(stmt, rename);
			break;
		case OBJECT_TABCONSTRAINT:
			rename_constraint(stmt, rename);
			break;
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			rename_part(stmt, rename);
			break;
		case OBJECT_SCHEMA:
			rename_schema(stmt, rename);
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			rename_type(stmt, rename);
			break;
		default:
			rename_other(stmt, rename);
			break;
	}
}

/*
 * A relation moves to another schema, and with it what belongs to it.
 */
static void
move_relation(MigspecStatement *stmt, MigspecWorldTable *table, const char *schema)
{
	migspec_check_lock(stmt, table, AccessExclusiveLock);
	table->schema = world_string(stmt, schema);
}

/*
 * A sequence of a column stays with its table.
 */
static void
refuse_owned(const MigspecWorldTable *sequence)
{
	Oid			table;
	int32		column;

	if (OidIsValid(sequence->oid) &&
		(sequenceIsOwned(sequence->oid, DEPENDENCY_AUTO, &table, &column) ||
		 sequenceIsOwned(sequence->oid, DEPENDENCY_INTERNAL, &table, &column)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot move an owned sequence into another schema")));
}

/*
 * Everything that the extension has made moves, see AlterExtensionNamespace().
 */
static void
move_extension(MigspecStatement *stmt, const char *name, const char *schema)
{
	Oid			extension = get_extension_oid(name, false);
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		MigspecWorldTable *table;

		if (depend->deptype != DEPENDENCY_EXTENSION ||
			depend->classid != RelationRelationId)
			continue;
		table = migspec_world_find_oid(stmt->world, depend->objid);
		if (table != NULL)
			move_relation(stmt, table, schema);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* see check.h */
void
migspec_analyse_set_schema(MigspecStatement *stmt)
{
	AlterObjectSchemaStmt *alter = (AlterObjectSchemaStmt *) stmt->tree;
	MigspecWorldTable *table;
	MigspecFact *fact;
	ListCell   *cell;

	if (!OidIsValid(get_namespace_oid(alter->newschema, true)) &&
		!migspec_world_is_new_name(stmt->world, alter->newschema))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", alter->newschema)));

	switch (alter->objectType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			table = migspec_check_table(stmt, alter->relation, alter->missing_ok);
			if (table == NULL)
				return;
			check_kind(table, alter->objectType);
			if (table->kind == RELKIND_SEQUENCE)
				refuse_owned(table);
			if (strcmp(table->schema, alter->newschema) != 0)
				migspec_refuse_duplicate(stmt, makeRangeVar(alter->newschema,
															table->name, -1));
			migspec_lock_target(stmt, table, AccessExclusiveLock);
			fact = migspec_check_fact(stmt, RULE_RENAME_TABLE, table, NULL);
			fact->detail = quote_qualified_identifier(alter->newschema, table->name);
			foreach(cell, migspec_owned_sequences(table))
				move_relation(stmt, lfirst(cell), alter->newschema);
			foreach(cell, stmt->world->tables)
			{
				MigspecWorldTable *sequence = lfirst(cell);

				if (sequence->owned_by == table && !sequence->dropped)
					move_relation(stmt, sequence, alter->newschema);
			}
			move_relation(stmt, table, alter->newschema);
			break;
		case OBJECT_EXTENSION:
			move_extension(stmt, strVal(alter->object), alter->newschema);
			break;
		default:
			if (alter->objectType == OBJECT_TYPE || alter->objectType == OBJECT_DOMAIN)
			{
				(void) migspec_check_type(stmt,
										  makeTypeNameFromNameList((List *) alter->object),
										  NULL);
				/* a composite type is a relation as well */
				table = list_length((List *) alter->object) > 2 ? NULL :
					migspec_world_find(stmt->world,
									   makeRangeVarFromNameList((List *) alter->object));
				if (table != NULL && table->kind == RELKIND_COMPOSITE_TYPE)
				{
					migspec_world_remember(table);
					table->schema = world_string(stmt, alter->newschema);
				}
			}
			else
				(void) migspec_find_object(stmt, alter->objectType, alter->object, false);
			fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, NULL,
									  IsA(alter->object, List) ?
									  migspec_shown_name((List *) alter->object) :
									  IsA(alter->object, ObjectWithArgs) ?
									  migspec_shown_name(((ObjectWithArgs *) alter->object)->objname) :
									  NULL);
			fact->detail = psprintf("schema %s", quote_identifier(alter->newschema));
			break;
	}
}
