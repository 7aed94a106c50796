/*-------------------------------------------------------------------------
 *
 * drop.c
 *		DROP of everything, DROP OWNED, and TRUNCATE.
 *
 * See RemoveRelations() and ExecuteTruncate() in commands/tablecmds.c,
 * RemoveObjects() in commands/dropcmds.c.  What goes with an object is found
 * out by deletion.c.
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
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_trigger.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "commands/user.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#include "check/check.h"
#include "check/deletion.h"
#include "check/statements.h"

/*
 * Does this command drop relations of that kind?
 */
static bool
kind_fits(ObjectType type, char kind)
{
	switch (type)
	{
		case OBJECT_TABLE:
			return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_VIEW:
			return kind == RELKIND_VIEW;
		case OBJECT_MATVIEW:
			return kind == RELKIND_MATVIEW;
		case OBJECT_SEQUENCE:
			return kind == RELKIND_SEQUENCE;
		default:
			return kind == RELKIND_FOREIGN_TABLE;
	}
}

static const char *
kind_name(ObjectType type)
{
	switch (type)
	{
		case OBJECT_TABLE:
			return "a table";
		case OBJECT_VIEW:
			return "a view";
		case OBJECT_MATVIEW:
			return "a materialized view";
		case OBJECT_SEQUENCE:
			return "a sequence";
		default:
			return "a foreign table";
	}
}

/*
 * The table whose rows get lost; NULL if no rows are.
 */
static void
add_loss(MigspecStatement *stmt, MigspecWorldTable *table)
{
	if (table->kind == RELKIND_RELATION || table->kind == RELKIND_PARTITIONED_TABLE)
		migspec_check_fact(stmt, RULE_NO_REVERSE, table,
						   psprintf("table %s", migspec_world_table_name(table)));
}

/*
 * Foreign keys between something that goes and something that stays.
 */
static void
tell_partners(MigspecDeletion *deletion)
{
	ListCell   *cell;
	List	   *gone = NIL;

	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);

		if (victim->table != NULL && victim->index == NULL && victim->constraint == NULL &&
			victim->address.objectSubId == 0 &&
			(!OidIsValid(victim->address.classId) ||
			 victim->address.classId == RelationRelationId))
			gone = lappend(gone, victim->table);
	}
	foreach(cell, gone)
	{
		MigspecWorldTable *table = lfirst(cell);
		ListCell   *lc;

		foreach(lc, table->constraints)
		{
			MigspecWorldConstraint *constraint = lfirst(lc);

			if (constraint->dropped || constraint->type != CONSTRAINT_FOREIGN ||
				constraint->referenced == NULL ||
				list_member_ptr(gone, constraint->referenced))
				continue;
			migspec_check_fact(deletion->stmt, RULE_DROP_FK_LOCKS_REFERENCED, table,
							   constraint->name)->other = constraint->referenced;
		}
		foreach(lc, migspec_world_referencing(table))
		{
			MigspecWorldConstraint *constraint = lfirst(lc);

			if (list_member_ptr(gone, constraint->table))
				continue;
			migspec_check_fact(deletion->stmt, RULE_DROP_FK_LOCKS_REFERENCED, table,
							   constraint->name)->other = constraint->table;
		}
	}
}

/*
 * The rules that all forms of DROP share; then do it.
 */
static void
finish(MigspecDeletion *deletion, DropBehavior behavior)
{
	MigspecStatement *stmt = deletion->stmt;
	char	   *cascaded;
	ListCell   *cell;

	migspec_deletion_collect(deletion, behavior == DROP_CASCADE);
	migspec_deletion_lock(deletion);
	tell_partners(deletion);

	cascaded = migspec_deletion_cascaded(deletion);
	if (cascaded != NULL)
	{
		MigspecVictim *first = linitial(deletion->victims);
		MigspecFact *fact;

		fact = migspec_check_fact(stmt, RULE_DROP_CASCADE,
								  first->index == NULL ? first->table : NULL,
								  migspec_victim_name(first));
		fact->detail = cascaded;
	}
	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);

		if (victim->wanted || victim->table == NULL ||
			victim->address.classId != RelationRelationId || victim->index != NULL)
			continue;
		if (victim->address.objectSubId != 0)
		{
			MigspecWorldColumn *column =
			migspec_world_column_no(victim->table, victim->address.objectSubId);

			if (column != NULL)
				migspec_check_fact(stmt, RULE_DROP_COLUMN, victim->table, column->name);
		}
		else if (!victim->automatic)
			add_loss(stmt, victim->table);
	}
	migspec_deletion_apply(deletion);
}

static void
drop_relations(MigspecStatement *stmt, DropStmt *drop)
{
	MigspecDeletion *deletion = migspec_deletion_create(stmt);
	ListCell   *cell;

	foreach(cell, drop->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst(cell));
		MigspecWorldTable *table = migspec_check_table(stmt, name, drop->missing_ok);

		if (table == NULL)
			continue;
		if (!kind_fits(drop->removeType, table->kind))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not %s", table->name, kind_name(drop->removeType))));
		if (drop->removeType == OBJECT_TABLE)
		{
			migspec_check_fact(stmt, RULE_DROP_TABLE, table, NULL);
			add_loss(stmt, table);
		}
		migspec_deletion_add_table(deletion, table);
	}
	if (deletion->victims != NIL)
		finish(deletion, drop->behavior);
}

/*
 * Publications lose what tells the old row of an UPDATE or DELETE.
 */
static void
tell_publications(MigspecStatement *stmt, MigspecWorldIndex *index)
{
	MigspecWorldTable *table = index->table;
	List	   *publications;
	ListCell   *cell;

	if (!OidIsValid(table->oid) || !index->replica_identity)
		return;
	publications = list_concat(list_concat(GetRelationPublications(table->oid),
										   GetAllTablesPublications()),
							   GetSchemaPublications(get_rel_namespace(table->oid)));
	foreach(cell, publications)
	{
		Publication *publication = GetPublication(lfirst_oid(cell));

		if (publication->pubactions.pubupdate || publication->pubactions.pubdelete)
			migspec_check_fact(stmt, RULE_REPLICA_IDENTITY_LOST, table, publication->name);
	}
}

/*
 * DROP INDEX CONCURRENTLY: one, and one that nothing depends on.
 */
static void
drop_concurrently(MigspecStatement *stmt, DropStmt *drop, MigspecWorldIndex *index)
{
	ListCell   *cell;

	if (index->partitioned)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot drop partitioned index \"%s\" concurrently", index->name)));
	foreach(cell, index->table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->index == index)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot drop index %s because constraint %s on table %s requires it",
							index->name, constraint->name, index->table->name),
					 errhint("You can drop constraint %s on table %s instead.",
							 constraint->name, index->table->name)));
	}
	migspec_check_lock(stmt, index->table, ShareUpdateExclusiveLock);
	migspec_check_lock_index(stmt, index, ShareUpdateExclusiveLock)->is_target = true;
	index->dropped = true;
}

static void
drop_indexes(MigspecStatement *stmt, DropStmt *drop)
{
	MigspecDeletion *deletion = migspec_deletion_create(stmt);
	ListCell   *cell;

	if (drop->concurrent)
	{
		stmt->is_concurrent = true;
		if (list_length(drop->objects) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("DROP INDEX CONCURRENTLY does not support dropping multiple objects")));
		if (drop->behavior == DROP_CASCADE)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("DROP INDEX CONCURRENTLY does not support CASCADE")));
	}
	foreach(cell, drop->objects)
	{
		RangeVar   *name = makeRangeVarFromNameList(lfirst(cell));
		MigspecWorldIndex *index = migspec_world_find_index(stmt->world, name);
		bool		concurrent = drop->concurrent;

		if (index == NULL && migspec_world_find(stmt->world, name) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not an index", name->relname)));
		if (index == NULL && !drop->missing_ok)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("index \"%s\" does not exist", name->relname)));
		if (concurrent && stmt->world->in_transaction)
			migspec_check_fact(stmt, RULE_INDEX_CONCURRENTLY_IN_TXN,
							   index == NULL ? NULL : index->table, name->relname);
		if (concurrent)
			migspec_refuse_in_transaction(stmt, "DROP INDEX CONCURRENTLY");
		if (index == NULL)
			continue;
		migspec_world_remember(index->table);
		tell_publications(stmt, index);
		if (concurrent && index->table->persistence != RELPERSISTENCE_TEMP)
		{
			drop_concurrently(stmt, drop, index);
			return;
		}
		migspec_check_fact(stmt, RULE_DROP_INDEX_BLOCKING, index->table, index->name);
		migspec_deletion_add_index(deletion, index);

		/* all partitions are locked, whether they have a part of it or not */
		migspec_lock_family(stmt, index->table, AccessExclusiveLock, index->partitioned);
	}
	if (deletion->victims != NIL)
		finish(deletion, drop->behavior);
}

/*
 * Triggers, rules and policies: names of a relation and of its part.
 */
static void
drop_parts(MigspecStatement *stmt, DropStmt *drop)
{
	MigspecDeletion *deletion = migspec_deletion_create(stmt);
	ListCell   *cell;

	foreach(cell, drop->objects)
	{
		List	   *names = list_copy(lfirst(cell));
		char	   *name = strVal(llast(names));
		RangeVar   *relation = makeRangeVarFromNameList(list_delete_last(names));
		MigspecWorldTable *table = migspec_check_table(stmt, relation, drop->missing_ok);
		Oid			class;
		Oid			object;
		const char *kind;

		if (table == NULL)
			continue;
		switch (drop->removeType)
		{
			case OBJECT_TRIGGER:
				kind = "trigger";
				class = TriggerRelationId;
				object = get_trigger_oid(table->oid, name, true);
				break;
			case OBJECT_RULE:
				kind = "rule";
				class = RewriteRelationId;
				object = get_rewrite_oid(table->oid, name, true);
				break;
			default:
				kind = "policy";
				class = PolicyRelationId;
				object = get_relation_policy_oid(table->oid, name, true);
				break;
		}
		if (!OidIsValid(object) || migspec_script_has_dropped(stmt->world, class, object))
		{
			if (migspec_world_is_new_name(stmt->world, psprintf("%s %s on %s", kind, name,
																table->name)))
				migspec_check_lock(stmt, table, AccessExclusiveLock);
			else if (!drop->missing_ok)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_OBJECT),
						 errmsg("%s \"%s\" for relation \"%s\" does not exist", kind, name,
								table->name)));
			continue;
		}
		migspec_check_fact(stmt, drop->removeType == OBJECT_TRIGGER ? RULE_TRIGGER_DDL :
						   RULE_POLICY_DDL, table,
						   drop->removeType == OBJECT_TRIGGER ? name :
						   psprintf("%s %s", kind, name));
		migspec_deletion_add(deletion, class, object);
	}
	if (deletion->victims != NIL)
		finish(deletion, drop->behavior);
}

/*
 * A composite type of the script's making, which is a relation.
 */
static void
add_composite(MigspecDeletion *deletion, ObjectType type, Node *object)
{
	MigspecWorldTable *table;

	if (type != OBJECT_TYPE || list_length(castNode(TypeName, object)->names) > 2)
		return;
	table = migspec_world_find(deletion->stmt->world,
							   makeRangeVarFromNameList(((TypeName *) object)->names));
	if (table != NULL && table->kind == RELKIND_COMPOSITE_TYPE)
		migspec_deletion_add_table(deletion, table);
}

/*
 * Schemas, types, functions, extensions, ...
 */
static void
drop_others(MigspecStatement *stmt, DropStmt *drop)
{
	MigspecDeletion *deletion = migspec_deletion_create(stmt);
	ListCell   *cell;

	foreach(cell, drop->objects)
	{
		Node	   *object = lfirst(cell);
		ObjectAddress address = migspec_find_object(stmt, drop->removeType, object,
													drop->missing_ok);

		if (!OidIsValid(address.objectId))
			add_composite(deletion, drop->removeType, object);
		if (drop->removeType == OBJECT_SCHEMA)
			migspec_deletion_add_made(deletion, strVal(object));
		if (!OidIsValid(address.objectId))
			continue;
		if (drop->removeType == OBJECT_SCHEMA)
			migspec_check_fact(stmt, RULE_DROP_SCHEMA, NULL, strVal(object));
		migspec_deletion_add(deletion, address.classId, address.objectId);
	}
	if (deletion->victims != NIL)
		finish(deletion, drop->behavior);
}

/* see check.h */
void
migspec_analyse_drop(MigspecStatement *stmt)
{
	DropStmt   *drop = (DropStmt *) stmt->tree;

	switch (drop->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			drop_relations(stmt, drop);
			break;
		case OBJECT_INDEX:
			drop_indexes(stmt, drop);
			break;
		case OBJECT_TRIGGER:
		case OBJECT_RULE:
		case OBJECT_POLICY:
			drop_parts(stmt, drop);
			break;
		default:
			drop_others(stmt, drop);
			break;
	}
}

/*
 * One object that the role owns, or a policy that names it.
 */
static void
drop_owned_one(MigspecDeletion *deletion, Form_pg_shdepend depend)
{
	MigspecWorldTable *table;
	LOCKMODE	lock;

	if (depend->dbid != MyDatabaseId)
		return;
	if (depend->deptype == SHARED_DEPENDENCY_OWNER && depend->objsubid == 0)
		migspec_deletion_add(deletion, depend->classid, depend->objid);
	else if (depend->deptype == SHARED_DEPENDENCY_POLICY)
	{
		table = migspec_world_find_oid(deletion->stmt->world,
									   migspec_object_relation(depend->classid,
															   depend->objid, &lock));
		if (table != NULL)
			migspec_check_lock(deletion->stmt, table, AccessExclusiveLock);
	}
}

/* see statements.h */
void
migspec_analyse_drop_owned(MigspecStatement *stmt)
{
	DropOwnedStmt *drop = (DropOwnedStmt *) stmt->tree;
	MigspecDeletion *deletion = migspec_deletion_create(stmt);
	Relation	catalog = table_open(SharedDependRelationId, AccessShareLock);
	ListCell   *cell;

	foreach(cell, roleSpecsToIds(drop->roles))
	{
		ScanKeyData key[2];
		SysScanDesc scan;
		HeapTuple	tuple;

		ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(AuthIdRelationId));
		ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
					ObjectIdGetDatum(lfirst_oid(cell)));
		scan = systable_beginscan(catalog, SharedDependReferenceIndexId, true, NULL, 2, key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			drop_owned_one(deletion, (Form_pg_shdepend) GETSTRUCT(tuple));
		systable_endscan(scan);
	}
	table_close(catalog, AccessShareLock);
	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);

		if (victim->address.classId != RelationRelationId || victim->index != NULL)
			continue;
		migspec_check_fact(stmt, RULE_DROP_TABLE, victim->table, NULL);
		add_loss(stmt, victim->table);
	}
	if (deletion->victims != NIL)
		finish(deletion, drop->behavior);
}

/*
 * One table becomes empty: it gets new files, and so do its indexes.
 */
static void
truncate_one(MigspecStatement *stmt, MigspecWorldTable *table, bool restart)
{
	MigspecEffect *effect = migspec_check_lock(stmt, table, AccessExclusiveLock);
	ListCell   *cell;

	if (restart)
	{
		foreach(cell, migspec_owned_sequences(table))
		{
			MigspecWorldTable *sequence = lfirst(cell);

			migspec_check_lock(stmt, sequence, AccessExclusiveLock)->no_data = true;
			migspec_check_work(stmt, sequence, MIGSPEC_WORK_REWRITE);
		}
	}
	effect->no_data = true;
	if (table->kind != RELKIND_RELATION)
		return;
	migspec_check_work(stmt, table, MIGSPEC_WORK_REWRITE);
	migspec_build_all(stmt, table);
	table->is_empty = true;
}

/*
 * A foreign table must have somebody who can do it.
 */
static void
require_handler(const MigspecWorldTable *table)
{
	ForeignDataWrapper *wrapper;

	if (!OidIsValid(table->oid))
		return;
	wrapper = GetForeignDataWrapper(GetForeignServer(GetForeignTable(table->oid)->serverid)->fdwid);
	if (!OidIsValid(wrapper->fdwhandler))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("foreign-data wrapper \"%s\" has no handler",
						wrapper->fdwname)));
}

/*
 * Add a table to those that are truncated, and its children.
 */
static List *
add_truncated(List *tables, MigspecWorldTable *table, bool inherit)
{
	ListCell   *cell;

	tables = list_append_unique_ptr(tables, table);
	foreach(cell, inherit ? migspec_world_descendants(table) : NIL)
		tables = list_append_unique_ptr(tables, lfirst(cell));
	return tables;
}

/* see check.h */
void
migspec_analyse_truncate(MigspecStatement *stmt)
{
	TruncateStmt *truncate = (TruncateStmt *) stmt->tree;
	List	   *tables = NIL;
	List	   *named;
	StringInfoData others;
	ListCell   *cell;

	foreach(cell, truncate->relations)
	{
		RangeVar   *name = lfirst(cell);
		MigspecWorldTable *table = migspec_check_table(stmt, name, false);

		if (table->kind != RELKIND_RELATION && table->kind != RELKIND_PARTITIONED_TABLE &&
			table->kind != RELKIND_FOREIGN_TABLE)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a table", table->name)));
		if (table->kind == RELKIND_PARTITIONED_TABLE && !name->inh)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot truncate only a partitioned table"),
					 errhint("Do not specify the ONLY keyword, or use TRUNCATE ONLY on the partitions directly.")));
		if (table->kind == RELKIND_FOREIGN_TABLE)
			require_handler(table);
		tables = add_truncated(tables, table, name->inh);
	}

	/* the list grows while it is walked */
	named = list_copy(tables);
	initStringInfo(&others);
	for (int i = 0; i < list_length(tables); i++)
	{
		foreach(cell, migspec_world_referencing(list_nth(tables, i)))
		{
			MigspecWorldConstraint *constraint = lfirst(cell);

			if (list_member_ptr(tables, constraint->table))
				continue;
			if (truncate->behavior != DROP_CASCADE)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot truncate a table referenced in a foreign key constraint"),
						 errdetail("Table \"%s\" references \"%s\".", constraint->table->name,
								   ((MigspecWorldTable *) list_nth(tables, i))->name),
						 errhint("Truncate table \"%s\" at the same time, or use TRUNCATE ... CASCADE.",
								 constraint->table->name)));
			tables = add_truncated(tables, constraint->table,
								   constraint->table->kind == RELKIND_PARTITIONED_TABLE);
			appendStringInfo(&others, "%s%s", others.len > 0 ? ", " : "",
							 migspec_world_table_name(constraint->table));
		}
	}

	foreach(cell, tables)
	{
		MigspecWorldTable *table = lfirst(cell);

		if (list_member_ptr(stmt->named, table))
			migspec_check_fact(stmt, RULE_TRUNCATE, table, NULL);
		if (!table->is_empty && table->kind == RELKIND_RELATION)
			migspec_check_fact(stmt, RULE_NO_REVERSE, table,
							   psprintf("rows of %s", migspec_world_table_name(table)));
		truncate_one(stmt, table, truncate->restart_seqs);
	}
	if (others.len > 0)
		migspec_check_fact(stmt, RULE_TRUNCATE_CASCADE, linitial(named), NULL)->detail =
			others.data;
}
