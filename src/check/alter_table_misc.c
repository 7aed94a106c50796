/*-------------------------------------------------------------------------
 *
 * alter_table_misc.c
 *		Subcommands of ALTER TABLE about the table as a whole, and ALTER INDEX.
 *
 * Where rows are rewritten (persistence, access method, tablespace) it depends
 * on what the table is now: asking for what is there already costs nothing.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/statements.h"

/* see alter_table.h: SET LOGGED, SET UNLOGGED */
void
migspec_alter_persistence(MigspecAlter *alter, MigspecAltered *altered,
						  MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	bool		logged = step->cmd->subtype == AT_SetLogged;
	char		wanted = logged ? RELPERSISTENCE_PERMANENT : RELPERSISTENCE_UNLOGGED;
	List	   *keys = NIL;
	ListCell   *cell;

	if (altered->persistence != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change persistence setting twice")));
	if (table->persistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot change logged status of table \"%s\" because it is temporary",
						table->name)));
	if (table->persistence == wanted)
		return;
	if (!logged && OidIsValid(table->oid) && GetRelationPublications(table->oid) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change table \"%s\" to unlogged because it is part of a publication",
						table->name),
				 errdetail("Unlogged relations cannot be replicated.")));

	/* what is logged may refer only to what is logged, too */
	keys = logged ? table->constraints : migspec_world_referencing(table);
	foreach(cell, keys)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		MigspecWorldTable *other = logged ? constraint->referenced : constraint->table;

		if (constraint->dropped || constraint->type != CONSTRAINT_FOREIGN ||
			other == NULL || other == table)
			continue;
		if (logged && other->persistence != RELPERSISTENCE_PERMANENT)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("could not change table \"%s\" to logged because it references unlogged table \"%s\"",
							table->name, other->name)));
		if (!logged && other->persistence == RELPERSISTENCE_PERMANENT)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("could not change table \"%s\" to unlogged because it references logged table \"%s\"",
							table->name, other->name)));
	}

	altered->rewrite = true;
	altered->persistence = wanted;
	if (migspec_has_storage(table) && table->kind != RELKIND_SEQUENCE)
		migspec_check_fact(alter->stmt, RULE_SET_LOGGED_UNLOGGED, table,
						   NULL)->node = (Node *) step->cmd;
}

/* see alter_table.h: SET ACCESS METHOD */
void
migspec_alter_method(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	bool		partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	Oid			method;

	if (partitioned && !MIGSPEC_PARTITIONED_METHOD)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change access method of a partitioned table")));
	if (altered->sets_method)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot have multiple SET ACCESS METHOD subcommands")));

	if (step->cmd->name != NULL)
		method = get_table_am_oid(step->cmd->name, false);
	else if (partitioned)
		method = InvalidOid;
	else
		method = get_table_am_oid(default_table_access_method, false);
	if (method == table->am)
		return;

	altered->sets_method = true;
	if (partitioned)
	{
		table->am = method;
		return;
	}
	altered->method = method;
	altered->rewrite = true;
	migspec_check_fact(alter->stmt, RULE_SET_ACCESS_METHOD, table,
					   NULL)->detail = step->cmd->name;
}

/*
 * Would it be moved, or is it there?  The database's own tablespace is known
 * as 0.
 */
static bool
moves(Oid from, Oid to)
{
	if (to == from || (to == MyDatabaseTableSpace && !OidIsValid(from)))
		return false;
	if (to == GLOBALTABLESPACE_OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only shared relations can be placed in pg_global tablespace")));
	return true;
}

/* see alter_table.h: SET TABLESPACE */
void
migspec_alter_tablespace(MigspecAlter *alter, MigspecAltered *altered,
						 MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	Oid			tablespace = get_tablespace_oid(step->cmd->name, false);

	if (altered->sets_tablespace)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("cannot have multiple SET TABLESPACE subcommands")));
	altered->sets_tablespace = true;
	if (!moves(table->tablespace, tablespace))
		return;
	if (!migspec_has_storage(table))
	{
		table->tablespace = tablespace;
		return;
	}
	altered->tablespace = tablespace;
	migspec_check_fact(alter->stmt, RULE_SET_TABLESPACE, table,
					   NULL)->detail = step->cmd->name;
}

/*
 * Raises the server's errors for options that there are not, or that cannot
 * have these values.
 */
static void
check_options(char relkind, Oid method, List *options, bool reset)
{
	static MigspecOptionNamespace namespaces[] = HEAP_RELOPT_NAMESPACES;
	bool		toasted = relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW;
	Datum		values = transformRelOptions((Datum) 0, options, NULL,
											 relkind == RELKIND_INDEX ? NULL : namespaces,
											 false, reset);

	switch (relkind)
	{
		case RELKIND_VIEW:
			(void) view_reloptions(values, true);
			break;
		case RELKIND_PARTITIONED_TABLE:
			(void) partitioned_table_reloptions(values, true);
			break;
		case RELKIND_INDEX:
			(void) index_reloptions(GetIndexAmRoutineByAmId(method, false)->amoptions,
									values, true);
			break;
		default:
			(void) heap_reloptions(relkind, values, true);
			break;
	}
	if (toasted)
		(void) heap_reloptions(RELKIND_TOASTVALUE,
							   transformRelOptions((Datum) 0, options, "toast", namespaces,
												   false, reset), true);
}

/* see alter_table.h: SET (...), RESET (...) */
void
migspec_alter_options(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	ListCell   *cell;

	check_options(altered->table->kind, InvalidOid, (List *) step->cmd->def,
				  step->cmd->subtype == AT_ResetRelOptions);
	foreach(cell, (List *) step->cmd->def)
	{
		DefElem    *option = lfirst(cell);

		if (option->defnamespace == NULL &&
			strcmp(option->defname, "user_catalog_table") == 0)
			altered->table->user_catalog =
				step->cmd->subtype == AT_SetRelOptions &&
				(option->arg == NULL || defGetBoolean(option)) ? 'y' : 'n';
	}
}

/* see alter_table.h */
void
migspec_alter_refuse_catalog(const MigspecWorldTable *table)
{
	bool		is_catalog = table->user_catalog == 'y';
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table->oid));

	if (HeapTupleIsValid(tuple) && table->user_catalog == '\0')
	{
		bool		isnull;
		Datum		datum = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_reloptions, &isnull);
		StdRdOptions *options = isnull ? NULL :
		(StdRdOptions *) heap_reloptions(RELKIND_RELATION, datum, false);

		is_catalog = options != NULL && options->user_catalog_table;
	}
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	if (is_catalog)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot rewrite table \"%s\" used as a catalog table",
						table->name)));
}

/*
 * The partitions' copies of a row trigger are enabled with it.  See
 * EnableDisableTrigger() in commands/trigger.c.
 */
static bool
visit_triggers(MigspecAlter *alter, MigspecWorldTable *table, const char *name,
			   Oid parent, bool user_only, bool recurse)
{
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	if (!OidIsValid(table->oid))
		return false;
	check_stack_depth();
	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table->oid));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		ListCell   *cell;

		if ((name != NULL && strcmp(NameStr(trigger->tgname), name) != 0) ||
			(OidIsValid(parent) && trigger->tgparentid != parent) ||
			(trigger->tgisinternal && user_only))
			continue;
		found = true;
		if (!recurse || table->kind != RELKIND_PARTITIONED_TABLE ||
			!TRIGGER_FOR_ROW(trigger->tgtype))
			continue;
		foreach(cell, migspec_world_children(table))
		{
			migspec_check_lock(alter->stmt, lfirst(cell), alter->lock);
			visit_triggers(alter, lfirst(cell), NULL, trigger->oid, user_only, true);
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/* see alter_table.h: ENABLE and DISABLE TRIGGER */
void
migspec_alter_trigger(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	AlterTableType type = step->cmd->subtype;
	bool		all = type == AT_EnableTrigAll || type == AT_DisableTrigAll;
	bool		user = type == AT_EnableTrigUser || type == AT_DisableTrigUser;
	const char *name = all || user ? NULL : step->cmd->name;
	bool		found;

	/* 15 takes triggers with ALL and USER from internal ones alike */
	found = visit_triggers(alter, altered->table, name, InvalidOid, user, step->recurse);
	if (name != NULL && !found && OidIsValid(altered->table->oid) &&
		!migspec_world_is_new_name(alter->stmt->world, name))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("trigger \"%s\" for table \"%s\" does not exist",
						name, altered->table->name)));
	migspec_check_fact(alter->stmt, RULE_TRIGGER_DDL, altered->table,
					   name == NULL ? NULL : pstrdup(name));
}

/* see alter_table.h: ENABLE and DISABLE RULE */
void
migspec_alter_rule(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	if (OidIsValid(altered->table->oid) &&
		!migspec_world_is_new_name(alter->stmt->world, step->cmd->name) &&
		!SearchSysCacheExists2(RULERELNAME, ObjectIdGetDatum(altered->table->oid),
							   CStringGetDatum(step->cmd->name)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("rule \"%s\" for relation \"%s\" does not exist",
						step->cmd->name, altered->table->name)));
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, altered->table, step->cmd->name);
}

/*
 * The index of the table by its name; raises the server's errors.
 */
static MigspecWorldIndex *
find_index(MigspecWorldTable *table, const char *name)
{
	MigspecWorldIndex *index = migspec_world_index(table, name);

	if (index == NULL &&
		migspec_world_find_index(table->world,
								 makeRangeVar(table->schema, pstrdup(name), -1)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index for table \"%s\"", name, table->name)));
	if (index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index \"%s\" for table \"%s\" does not exist",
						name, table->name)));
	return index;
}

/*
 * Can this index tell rows apart?  See ATExecReplicaIdentity().
 */
static void
check_identity_index(const MigspecWorldTable *table, const MigspecWorldIndex *index)
{
	if (!index->unique)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot use non-unique index \"%s\" as replica identity",
						index->name)));
	if (!index->immediate)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use non-immediate index \"%s\" as replica identity",
						index->name)));
	if (index->expressions != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use expression index \"%s\" as replica identity",
						index->name)));
	if (index->predicate != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot use partial index \"%s\" as replica identity",
						index->name)));
	for (int i = 0; i < index->nkeys; i++)
	{
		MigspecWorldColumn *column = migspec_world_column_no(table, index->attnos[i]);

		if (column != NULL && !column->not_null)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("index \"%s\" cannot be used as replica identity because column \"%s\" is nullable",
							index->name, column->name)));
	}
}

/* see alter_table.h: REPLICA IDENTITY */
void
migspec_alter_replica_identity(MigspecAlter *alter, MigspecAltered *altered,
							   MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	ReplicaIdentityStmt *node = (ReplicaIdentityStmt *) step->cmd->def;
	MigspecWorldIndex *index = NULL;
	ListCell   *cell;

	if (node->identity_type == REPLICA_IDENTITY_INDEX)
	{
		index = find_index(table, node->name);
		check_identity_index(table, index);
	}
	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *other = lfirst(cell);

		other->replica_identity = false;
	}
	if (index != NULL)
		index->replica_identity = true;
	table->replica_identity = node->identity_type;
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, table, "replica identity");
}

/* see alter_table.h: ROW LEVEL SECURITY */
void
migspec_alter_row_security(MigspecAlter *alter, MigspecAltered *altered,
						   MigspecAlterStep *step)
{
	if (step->cmd->subtype == AT_EnableRowSecurity)
		altered->table->row_security = true;
	else if (step->cmd->subtype == AT_DisableRowSecurity)
		altered->table->row_security = false;
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, altered->table, "row level security");
}

/* see alter_table.h: OWNER TO */
void
migspec_alter_owner(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	const RoleSpec *role = step->cmd->newowner;
	Oid			owner = get_rolespec_oid(role, role->roletype == ROLESPEC_CSTRING);

	if (!OidIsValid(owner) && !migspec_world_is_new_name(table->world, role->rolename))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("role \"%s\" does not exist", role->rolename)));
	if (table->kind == RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a composite type", table->name)));
	table->owner = owner;
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, table, "owner");
}

/* see alter_table.h: CLUSTER ON, SET WITHOUT CLUSTER */
void
migspec_alter_cluster_on(MigspecAlter *alter, MigspecAltered *altered,
						 MigspecAlterStep *step)
{
	MigspecWorldIndex *index;

	if (altered->table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot mark index clustered in partitioned table")));
	if (step->cmd->subtype == AT_DropCluster)
	{
		migspec_mark_clustered(altered->table, NULL);
		return;
	}
	index = find_index(altered->table, step->cmd->name);
	migspec_check_clusterable(index);
	migspec_mark_clustered(altered->table, index);
}

/*
 * The columns of a typed table are those of its type, in that order.  See
 * ATExecAddOf().
 */
static void
compare_with_type(const MigspecWorldTable *table, const MigspecWorldTable *type)
{
	ListCell   *next = list_head(table->columns);
	ListCell   *cell;

	foreach(cell, type->columns)
	{
		MigspecWorldColumn *wanted = lfirst(cell);
		MigspecWorldColumn *column;

		if (wanted->dropped)
			continue;
		while (next != NULL && ((MigspecWorldColumn *) lfirst(next))->dropped)
			next = lnext(table->columns, next);
		if (next == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("table is missing column \"%s\"", wanted->name)));
		column = lfirst(next);
		next = lnext(table->columns, next);
		if (strcmp(column->name, wanted->name) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("table has column \"%s\" where type requires \"%s\"",
							column->name, wanted->name)));
		if (column->type != wanted->type || column->typmod != wanted->typmod ||
			column->collation != wanted->collation)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("table \"%s\" has different type for column \"%s\"",
							table->name, column->name)));
	}
	for (; next != NULL; next = lnext(table->columns, next))
	{
		MigspecWorldColumn *column = lfirst(next);

		if (!column->dropped)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("table has extra column \"%s\"", column->name)));
	}
}

static bool
is_typed(const MigspecWorldTable *table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table->oid));
	bool		typed;

	if (!HeapTupleIsValid(tuple))
		return false;
	typed = OidIsValid(((Form_pg_class) GETSTRUCT(tuple))->reloftype);
	ReleaseSysCache(tuple);
	return typed;
}

/* see alter_table.h: OF type, NOT OF */
void
migspec_alter_of(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldTable *composite;
	Oid			type;

	if (step->cmd->subtype == AT_DropOf)
	{
		if (OidIsValid(table->oid) && !is_typed(table))
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a typed table", table->name)));
		return;
	}
	type = migspec_check_type(alter->stmt, (TypeName *) step->cmd->def, NULL);
	if (!OidIsValid(type))
		return;
	if (get_typtype(type) != TYPTYPE_COMPOSITE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("type %s is not a composite type", format_type_be(type))));
	composite = migspec_world_find_oid(table->world, get_typ_typrelid(type));
	if (composite != NULL && composite->kind != RELKIND_COMPOSITE_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("type %s is the row type of another table", format_type_be(type)),
				 errdetail("A typed table must use a stand-alone composite type created with CREATE TYPE.")));
	if (table->parent != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("typed tables cannot inherit")));
	if (composite != NULL)
		compare_with_type(table, composite);
}

/*
 * ALTER INDEX name ATTACH PARTITION other.
 */
static void
attach_index(MigspecStatement *stmt, MigspecWorldIndex *index, PartitionCmd *cmd)
{
	MigspecWorldIndex *other = migspec_world_find_index(stmt->world, cmd->name);

	if (other == NULL && migspec_world_find(stmt->world, cmd->name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("\"%s\" is not an index", cmd->name->relname)));
	if (other == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", cmd->name->relname)));
	migspec_check_lock_index(stmt, other, AccessExclusiveLock);
	if (other->table->parent != index->table)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot attach index \"%s\" as a partition of index \"%s\"",
						other->name, index->name),
				 errdetail("Index \"%s\" is not an index on any partition of table \"%s\".",
						   other->name, index->table->name)));
}

/*
 * Statistics of an index are those of its expressions.
 */
static void
check_statistics(const MigspecWorldIndex *index, const AlterTableCmd *cmd)
{
	int			number = cmd->num;

	for (int i = 0; cmd->name != NULL && i < index->natts; i++)
	{
		MigspecWorldColumn *column =
		migspec_world_column_no(index->table, index->attnos[i]);

		if (column != NULL && strcmp(column->name, cmd->name) == 0)
			number = i + 1;
	}
	if (number <= 0 && cmd->name != NULL)
		return;					/* the name of an expression, which we do not
								 * know */
	if (number <= 0 || number > index->natts)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column number %d of relation \"%s\" does not exist",
						number, index->name)));
	if (number > index->nkeys)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter statistics on included column %d of index \"%s\"",
						number, index->name)));
	if (index->attnos[number - 1] != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter statistics on non-expression column %d of index \"%s\"",
						number, index->name),
				 errhint("Alter statistics on table column instead.")));
}

/* see alter_table.h */
void
migspec_alter_index(MigspecStatement *stmt, AlterTableStmt *tree, MigspecWorldIndex *index)
{
	LOCKMODE	lock = AlterTableGetLockLevel(tree->cmds);
	MigspecEffect *effect = migspec_check_lock_index(stmt, index, lock);
	ListCell   *cell;

	effect->is_target = true;
	foreach(cell, tree->cmds)
	{
		AlterTableCmd *cmd = lfirst(cell);

		if (cmd->subtype == AT_SetTableSpace)
		{
			Oid			tablespace = get_tablespace_oid(cmd->name, false);
			HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(index->oid));
			Oid			old = InvalidOid;

			if (HeapTupleIsValid(tuple))
			{
				old = ((Form_pg_class) GETSTRUCT(tuple))->reltablespace;
				ReleaseSysCache(tuple);
			}
			if (!moves(old, tablespace) || index->partitioned)
				continue;
			effect->work |= MIGSPEC_WORK_REWRITE;
			migspec_check_fact(stmt, RULE_SET_TABLESPACE, index->table,
							   index->name)->effect = effect;
		}
		else if (cmd->subtype == AT_SetStatistics)
			check_statistics(index, cmd);
		else if (cmd->subtype == AT_SetRelOptions || cmd->subtype == AT_ResetRelOptions)
			check_options(RELKIND_INDEX, index->am, (List *) cmd->def,
						  cmd->subtype == AT_ResetRelOptions);
		else if (cmd->subtype == AT_AttachPartition)
		{
			if (!index->partitioned)
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("ALTER action %s cannot be performed on relation \"%s\"",
								"ATTACH PARTITION", index->name),
						 errdetail("This operation is not supported for %s.", "indexes")));
			attach_index(stmt, index, (PartitionCmd *) cmd->def);
		}
	}
}

/*
 * Is this relation one of those that ALTER ... ALL IN TABLESPACE moves?
 */
static bool
is_moved(const AlterTableMoveAllStmt *tree, Form_pg_class row)
{
	ListCell   *cell;
	bool		owned = tree->roles == NIL;

	if (IsCatalogNamespace(row->relnamespace) || row->relisshared ||
		isAnyTempNamespace(row->relnamespace) || IsToastNamespace(row->relnamespace))
		return false;
	if (tree->objtype == OBJECT_MATVIEW ? row->relkind != RELKIND_MATVIEW :
		tree->objtype == OBJECT_INDEX ?
		row->relkind != RELKIND_INDEX && row->relkind != RELKIND_PARTITIONED_INDEX :
		row->relkind != RELKIND_RELATION && row->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	foreach(cell, tree->roles)
		owned |= get_rolespec_oid(lfirst(cell), false) == row->relowner;
	return owned;
}

/* see alter_table.h: ALTER TABLE ALL IN TABLESPACE */
void
migspec_alter_move_all(MigspecStatement *stmt, AlterTableMoveAllStmt *tree)
{
	Oid			from = get_tablespace_oid(tree->orig_tablespacename, false);
	Oid			to = get_tablespace_oid(tree->new_tablespacename, false);
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *tables = NIL;
	List	   *moved = NIL;
	ListCell   *cell;

	if (from == MyDatabaseTableSpace)
		from = InvalidOid;
	if (to == MyDatabaseTableSpace)
		to = InvalidOid;
	if (from == to)
		return;

	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_reltablespace, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(from));
	scan = systable_beginscan(catalog, ClassTblspcRelfilenodeIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class row = (Form_pg_class) GETSTRUCT(tuple);

		if (is_moved(tree, row) && tree->objtype != OBJECT_INDEX)
			tables = lappend_oid(tables, row->oid);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	/* and those that the script has moved or created there */
	foreach(cell, stmt->world->tables)
	{
		MigspecWorldTable *table = lfirst(cell);

		if (!table->dropped && table->tablespace == from &&
			!list_member_oid(tables, table->oid) && table->kind ==
			(tree->objtype == OBJECT_MATVIEW ? RELKIND_MATVIEW : RELKIND_RELATION) &&
			tree->objtype != OBJECT_INDEX && tree->roles == NIL && !table->is_catalog)
			moved = lappend(moved, table);
	}
	foreach(cell, tables)
	{
		MigspecWorldTable *table = migspec_world_find_oid(stmt->world, lfirst_oid(cell));

		if (table != NULL && table->tablespace == from)
			moved = lappend(moved, table);
	}
	foreach(cell, moved)
	{
		MigspecWorldTable *table = lfirst(cell);

		migspec_check_lock(stmt, table, AccessExclusiveLock)->is_target = true;
		if (migspec_has_storage(table))
			migspec_check_work(stmt, table, MIGSPEC_WORK_REWRITE);
		migspec_check_fact(stmt, RULE_SET_TABLESPACE, table,
						   NULL)->detail = tree->new_tablespacename;
		table->tablespace = to;
	}
}

/* see alter_table.h */
void
migspec_alter_refuse_typed(const MigspecWorldTable *table, AlterTableType type)
{
	if (!is_typed(table))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 type == AT_AddColumn ? errmsg("cannot add column to typed table") :
			 type == AT_DropColumn ? errmsg("cannot drop column from typed table") :
			 type == AT_AlterColumnType ? errmsg("cannot alter column type of typed table") :
			 errmsg("cannot change inheritance of typed table")));
}

/* see alter_table.h */
List *
migspec_alter_typed_tables(MigspecWorldTable *type, DropBehavior behavior)
{
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *tables = NIL;

	if (!OidIsValid(type->row_type))
		return NIL;
	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_class_reloftype, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type->row_type));
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		MigspecWorldTable *table =
		migspec_world_find_oid(type->world, ((Form_pg_class) GETSTRUCT(tuple))->oid);

		if (table != NULL && behavior == DROP_RESTRICT)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("cannot alter type \"%s\" because it is the type of a typed table",
							type->name),
					 errhint("Use ALTER ... CASCADE to alter the typed tables too.")));
		if (table != NULL)
			tables = lappend(tables, table);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}
