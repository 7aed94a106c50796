/*-------------------------------------------------------------------------
 *
 * alter_table.c
 *		What ALTER TABLE, and its like for other relations, would do.
 *
 * Has the table of all subcommands and the machinery that walks through the
 * passes (alter_table.h); what each subcommand does is in the files alter_*.c,
 * constraint*.c and attach.c.
 *
 * Runs in the process that analyses a script.  Changes the world only, so an
 * error half way needs no cleaning up here: the caller undoes the statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/alter_table.h"

/* how a subcommand reaches children */
#define CHILDREN	0x01		/* it is scheduled for each of them */
#define IS_TYPED	0x02		/* not for a typed table */

/* a subcommand */
typedef struct Action
{
	AlterTableType type;
	const char *name;			/* in the server's messages */
	int			targets;
	MigspecAlterPass pass;
	int			flags;
	MigspecAlterExec prepare;	/* at once; or NULL */
	MigspecAlterExec exec;		/* in its pass; or NULL */
} Action;

#define TABLES (MIGSPEC_ON_TABLE | MIGSPEC_ON_PARTITIONED)
#define FOREIGN (TABLES | MIGSPEC_ON_FOREIGN)
#define HEAPS (TABLES | MIGSPEC_ON_MATVIEW)
#define LOGGED (MIGSPEC_ON_TABLE | MIGSPEC_ON_SEQUENCE | \
				(MIGSPEC_PARTITIONED_LOGGED ? MIGSPEC_ON_PARTITIONED : 0))

static const Action actions[] = {
	{AT_AddColumn, "ADD COLUMN", FOREIGN | MIGSPEC_ON_COMPOSITE,
		MIGSPEC_PASS_ADD_COLUMN, IS_TYPED, NULL,
	migspec_alter_add_column},
	{AT_ColumnDefault, "ALTER COLUMN ... SET DEFAULT", FOREIGN | MIGSPEC_ON_VIEW,
		MIGSPEC_PASS_OTHER_CONSTRAINT, CHILDREN, NULL,
	migspec_alter_default},
	{AT_DropNotNull, "ALTER COLUMN ... DROP NOT NULL", FOREIGN,
		MIGSPEC_PASS_DROP, 0, NULL,
	migspec_alter_drop_not_null},
	{AT_SetNotNull, "ALTER COLUMN ... SET NOT NULL", FOREIGN,
		MIGSPEC_PASS_COLUMN, 0, migspec_alter_set_not_null_prepare,
	migspec_alter_set_not_null},
#ifdef MIGSPEC_SET_EXPRESSION
	{AT_SetExpression, "ALTER COLUMN ... SET EXPRESSION", FOREIGN,
		MIGSPEC_PASS_SET_EXPRESSION, CHILDREN, NULL,
	migspec_alter_set_expression},
#endif
	{AT_DropExpression, "ALTER COLUMN ... DROP EXPRESSION", FOREIGN,
		MIGSPEC_PASS_DROP, CHILDREN, NULL,
	migspec_alter_drop_expression},
	{AT_SetStatistics, "ALTER COLUMN ... SET STATISTICS",
		HEAPS | MIGSPEC_ON_FOREIGN | MIGSPEC_ON_INDEX,
		MIGSPEC_PASS_MISC, CHILDREN, NULL,
	migspec_alter_statistics},
	{AT_SetOptions, "ALTER COLUMN ... SET", HEAPS | MIGSPEC_ON_FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_statistics},
	{AT_ResetOptions, "ALTER COLUMN ... RESET", HEAPS | MIGSPEC_ON_FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_statistics},
	{AT_SetStorage, "ALTER COLUMN ... SET STORAGE", HEAPS | MIGSPEC_ON_FOREIGN,
		MIGSPEC_PASS_MISC, CHILDREN, NULL,
	migspec_alter_storage},
	{AT_SetCompression, "ALTER COLUMN ... SET COMPRESSION", HEAPS,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_storage},
	{AT_DropColumn, "DROP COLUMN", FOREIGN | MIGSPEC_ON_COMPOSITE,
		MIGSPEC_PASS_DROP, IS_TYPED, NULL,
	migspec_alter_drop_column},
	{AT_AddConstraint, "ADD CONSTRAINT", FOREIGN,
		MIGSPEC_PASS_CONSTRAINT, 0, NULL,
	migspec_alter_add_constraint},
	{AT_AlterConstraint, "ALTER CONSTRAINT", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_constraint},
	{AT_ValidateConstraint, "VALIDATE CONSTRAINT", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_validate_constraint},
	{AT_DropConstraint, "DROP CONSTRAINT", FOREIGN,
		MIGSPEC_PASS_DROP, 0, NULL,
	migspec_alter_drop_constraint},
	{AT_AlterColumnType, "ALTER COLUMN ... SET DATA TYPE",
		FOREIGN | MIGSPEC_ON_COMPOSITE,
		MIGSPEC_PASS_ALTER_TYPE, IS_TYPED, migspec_alter_type_prepare,
	migspec_alter_type},
	{AT_AlterColumnGenericOptions, "ALTER COLUMN ... OPTIONS", MIGSPEC_ON_FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_statistics},
	{AT_ChangeOwner, "OWNER TO", ~0,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_owner},
	{AT_ClusterOn, "CLUSTER ON", HEAPS,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_cluster_on},
	{AT_DropCluster, "SET WITHOUT CLUSTER", HEAPS,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_cluster_on},
	{AT_SetLogged, "SET LOGGED", LOGGED,
	MIGSPEC_PASS_MISC, 0, migspec_alter_persistence, NULL},
	{AT_SetUnLogged, "SET UNLOGGED", LOGGED,
	MIGSPEC_PASS_MISC, 0, migspec_alter_persistence, NULL},
	{AT_DropOids, "SET WITHOUT OIDS", FOREIGN,
	MIGSPEC_PASS_DROP, 0, NULL, NULL},
	{AT_SetAccessMethod, "SET ACCESS METHOD", HEAPS,
	MIGSPEC_PASS_MISC, 0, migspec_alter_method, NULL},
	{AT_SetTableSpace, "SET TABLESPACE", HEAPS | MIGSPEC_ON_INDEX,
	MIGSPEC_PASS_MISC, 0, migspec_alter_tablespace, NULL},
	{AT_SetRelOptions, "SET", HEAPS | MIGSPEC_ON_VIEW | MIGSPEC_ON_INDEX,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_options},
	{AT_ResetRelOptions, "RESET", HEAPS | MIGSPEC_ON_VIEW | MIGSPEC_ON_INDEX,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_options},
	{AT_EnableTrig, "ENABLE TRIGGER", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_EnableAlwaysTrig, "ENABLE ALWAYS TRIGGER", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_EnableReplicaTrig, "ENABLE REPLICA TRIGGER", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_DisableTrig, "DISABLE TRIGGER", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_EnableTrigAll, "ENABLE TRIGGER ALL", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_DisableTrigAll, "DISABLE TRIGGER ALL", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_EnableTrigUser, "ENABLE TRIGGER USER", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_DisableTrigUser, "DISABLE TRIGGER USER", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_trigger},
	{AT_EnableRule, "ENABLE RULE", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_rule},
	{AT_EnableAlwaysRule, "ENABLE ALWAYS RULE", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_rule},
	{AT_EnableReplicaRule, "ENABLE REPLICA RULE", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_rule},
	{AT_DisableRule, "DISABLE RULE", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_rule},
	{AT_AddInherit, "INHERIT", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_inherit},
	{AT_DropInherit, "NO INHERIT", FOREIGN,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_no_inherit},
	{AT_AddOf, "OF", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_of},
	{AT_DropOf, "NOT OF", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_of},
	{AT_ReplicaIdentity, "REPLICA IDENTITY", HEAPS,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_replica_identity},
	{AT_EnableRowSecurity, "ENABLE ROW SECURITY", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_row_security},
	{AT_DisableRowSecurity, "DISABLE ROW SECURITY", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_row_security},
	{AT_ForceRowSecurity, "FORCE ROW SECURITY", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_row_security},
	{AT_NoForceRowSecurity, "NO FORCE ROW SECURITY", TABLES,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_row_security},
	{AT_GenericOptions, "OPTIONS", MIGSPEC_ON_FOREIGN,
	MIGSPEC_PASS_MISC, 0, NULL, NULL},
	{AT_AttachPartition, "ATTACH PARTITION",
		MIGSPEC_ON_PARTITIONED | MIGSPEC_ON_INDEX,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_attach},
	{AT_DetachPartition, "DETACH PARTITION", MIGSPEC_ON_PARTITIONED,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_detach},
	{AT_DetachPartitionFinalize, "DETACH PARTITION ... FINALIZE",
		MIGSPEC_ON_PARTITIONED,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_detach},
	{AT_AddIdentity, "ALTER COLUMN ... ADD IDENTITY", FOREIGN | MIGSPEC_ON_VIEW,
		MIGSPEC_PASS_OTHER_CONSTRAINT, 0, NULL,
	migspec_alter_add_identity},
	{AT_SetIdentity, "ALTER COLUMN ... SET", FOREIGN | MIGSPEC_ON_VIEW,
		MIGSPEC_PASS_MISC, 0, NULL,
	migspec_alter_set_identity},
	{AT_DropIdentity, "ALTER COLUMN ... DROP IDENTITY", FOREIGN | MIGSPEC_ON_VIEW,
		MIGSPEC_PASS_DROP, 0, NULL,
	migspec_alter_drop_identity},
};

/* kinds of relations */
typedef struct Kind
{
	char		relkind;
	int			target;
	int			object;			/* the ObjectType that ALTER must say, or -1:
								 * any but TYPE will do */
	const char *what;			/* "x" is not a ... */
	const char *plural;
} Kind;

static const Kind kinds[] = {
	{RELKIND_RELATION, MIGSPEC_ON_TABLE, OBJECT_TABLE, "table", "tables"},
	{RELKIND_PARTITIONED_TABLE, MIGSPEC_ON_PARTITIONED, OBJECT_TABLE, "table",
	"partitioned tables"},
	{RELKIND_VIEW, MIGSPEC_ON_VIEW, OBJECT_VIEW, "view", "views"},
	{RELKIND_MATVIEW, MIGSPEC_ON_MATVIEW, OBJECT_MATVIEW, "materialized view",
	"materialized views"},
	{RELKIND_FOREIGN_TABLE, MIGSPEC_ON_FOREIGN, OBJECT_FOREIGN_TABLE,
	"foreign table", "foreign tables"},
	{RELKIND_SEQUENCE, MIGSPEC_ON_SEQUENCE, OBJECT_SEQUENCE, "sequence",
	"sequences"},
	{RELKIND_COMPOSITE_TYPE, MIGSPEC_ON_COMPOSITE, OBJECT_TYPE,
	"composite type", "composite types"},
	{RELKIND_INDEX, MIGSPEC_ON_INDEX, OBJECT_INDEX, "index", "indexes"},
};

static const Kind *
find_kind(char relkind)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].relkind == relkind)
			return &kinds[i];
	}
	return NULL;
}

static const Action *
find_action(AlterTableType type)
{
	for (size_t i = 0; i < lengthof(actions); i++)
	{
		if (actions[i].type == type)
			return &actions[i];
	}
	elog(ERROR, "unrecognized alter table type: %d", (int) type);
	return NULL;
}

/*
 * Is the subcommand one for this kind of relation?  See ATSimplePermissions().
 */
static void
check_target(const Action *action, char relkind, const char *name)
{
	const Kind *kind = find_kind(relkind);

	if (kind == NULL || (kind->target & action->targets) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("ALTER action %s cannot be performed on relation \"%s\"",
						action->name, name),
				 kind == NULL ? 0 :
				 errdetail("This operation is not supported for %s.", kind->plural)));
}

/* see alter_table.h */
bool
migspec_has_storage(const MigspecWorldTable *table)
{
	return RELKIND_HAS_STORAGE(table->kind);
}

/* see alter_table.h */
MigspecAltered *
migspec_altered(MigspecAlter *alter, MigspecWorldTable *table)
{
	MigspecAltered *altered;
	ListCell   *cell;

	foreach(cell, alter->queue)
	{
		altered = lfirst(cell);
		if (altered->table == table)
			return altered;
	}

	migspec_world_remember(table);
	altered = palloc0(sizeof(MigspecAltered));
	altered->table = table;
	alter->queue = lappend(alter->queue, altered);
	return altered;
}

/* see alter_table.h */
MigspecAltered *
migspec_alter_child(MigspecAlter *alter, MigspecWorldTable *table)
{
	migspec_check_lock(alter->stmt, table, alter->lock);
	return migspec_altered(alter, table);
}

/* see alter_table.h */
MigspecAlterStep *
migspec_alter_schedule(MigspecAltered *altered, MigspecAlterPass pass,
					   MigspecAlterExec exec, AlterTableCmd *cmd)
{
	MigspecAlterStep *step = palloc0(sizeof(MigspecAlterStep));

	step->exec = exec;
	step->cmd = cmd;
	altered->steps[pass] = lappend(altered->steps[pass], step);
	return step;
}

/* see alter_table.h */
MigspecWorldColumn *
migspec_alter_column(const MigspecWorldTable *table, const char *name)
{
	MigspecWorldColumn *column = migspec_world_column(table, name);

	if (column == NULL && SystemAttributeByName(name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter system column \"%s\"", name)));
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						name, table->name)));
	return column;
}

/* see alter_table.h */
bool
migspec_is_inherited(const MigspecWorldTable *table, const char *column)
{
	const MigspecWorldColumn *own = migspec_world_column(table, column);

	return (own != NULL && own->inherited > 0) ||
		(table->parent != NULL && migspec_world_column(table->parent, column) != NULL);
}

/* see alter_table.h */
char *
migspec_alter_join_names(const MigspecWorldTable *table, List *attnos)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, attnos)
	{
		MigspecWorldColumn *column = migspec_world_column_no(table, lfirst_int(cell));

		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "",
						 column == NULL ? "expr" : column->name);
		if (names.len >= NAMEDATALEN)
			break;
	}
	return names.data;
}

/*
 * Has a constraint of this schema that name?  One that the script has dropped
 * does not count.
 */
static bool
constraint_exists(MigspecWorldTable *table, const char *name)
{
	Oid			nspoid = get_namespace_oid(table->schema, true);
	bool		exists = OidIsValid(nspoid) && ConstraintNameExists(name, nspoid);
	ListCell   *cell;

	foreach(cell, migspec_world_named(table->world, name))
	{
		MigspecWorldTable *other = lfirst(cell);
		ListCell   *lc;

		if (strcmp(other->schema, table->schema) != 0)
			continue;
		foreach(lc, other->constraints)
		{
			MigspecWorldConstraint *constraint = lfirst(lc);

			if (strcmp(constraint->name, name) != 0)
				continue;
			if (!constraint->dropped && !other->dropped)
				return true;
			exists = false;
		}
	}
	return exists;
}

/* see alter_table.h */
char *
migspec_alter_choose_name(MigspecWorldTable *table, const char *column,
						  const char *label, bool relation)
{
	char		modified[NAMEDATALEN];

	strlcpy(modified, label, sizeof(modified));
	for (int pass = 1;; pass++)
	{
		char	   *name = makeObjectName(table->name, column, modified);
		RangeVar   *rv = makeRangeVar(table->schema, name, -1);

		if (!constraint_exists(table, name) &&
			(!relation || (migspec_world_find(table->world, rv) == NULL &&
						   migspec_world_find_index(table->world, rv) == NULL)))
			return name;
		snprintf(modified, sizeof(modified), "%s%d", label, pass);
	}
}

static void check_users(MigspecAlter *alter, MigspecWorldTable *table, Oid type);

/*
 * Is there a column of this type in that table, and are there rows with it?
 */
static void
check_user(MigspecAlter *alter, MigspecWorldTable *table, MigspecWorldTable *user, Oid type)
{
	ListCell   *cell;

	foreach(cell, user->columns)
	{
		MigspecWorldColumn *column = lfirst(cell);

		if (column->dropped || column->type != type)
			continue;
		if (!RELKIND_HAS_STORAGE(user->kind) && !RELKIND_HAS_PARTITIONS(user->kind))
		{
			if (OidIsValid(user->row_type))
				check_users(alter, table, user->row_type);
			return;
		}
		migspec_check_fact(alter->stmt, RULE_ROW_TYPE_USED, table,
						   column->name)->other = user;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 table->kind == RELKIND_COMPOSITE_TYPE ?
				 errmsg("cannot alter type \"%s\" because column \"%s.%s\" uses it",
						table->name, user->name, column->name) :
				 errmsg("cannot alter %s \"%s\" because column \"%s.%s\" uses its row type",
						table->kind == RELKIND_FOREIGN_TABLE ? "foreign table" : "table",
						table->name, user->name, column->name)));
	}
}

/*
 * A column of the table's row type (or of a type that contains it) keeps its
 * rows from being changed.  "type" is the type at hand.  As
 * find_composite_type_dependencies(), without locks.
 */
static void
check_users(MigspecAlter *alter, MigspecWorldTable *table, Oid type)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	ListCell   *cell;

	check_stack_depth();
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		MigspecWorldTable *user;

		if (depend->classid == TypeRelationId)
			check_users(alter, table, depend->objid);
		if (depend->classid != RelationRelationId)
			continue;
		user = migspec_world_find_oid(table->world, depend->objid);
		if (user != NULL)
			check_user(alter, table, user, type);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);

	foreach(cell, table->world->tables)
	{
		MigspecWorldTable *user = lfirst(cell);

		if (!OidIsValid(user->oid) && !user->dropped)
			check_user(alter, table, user, type);
	}
}

/* see alter_table.h */
void
migspec_alter_check_row_type(MigspecAlter *alter, MigspecWorldTable *table)
{
	if (OidIsValid(table->row_type))
		check_users(alter, table, table->row_type);
}

/*
 * Find the steps that a subcommand stands for.
 */
static void
prepare(MigspecAlter *alter, MigspecWorldTable *table, AlterTableCmd *cmd,
		bool recurse, bool recursing)
{
	const Action *action = find_action(cmd->subtype);
	MigspecAltered *altered = migspec_altered(alter, table);
	MigspecAlterPass pass = action->pass;
	MigspecAlterStep step = {.cmd = cmd,.recurse = recurse,.recursing = recursing};
	ListCell   *cell;

	check_target(action, table->kind, table->name);
	if ((action->flags & IS_TYPED) != 0 && OidIsValid(table->oid) && !recursing)
		migspec_alter_refuse_typed(table, cmd->subtype);
	if ((action->flags & IS_TYPED) != 0 && table->kind == RELKIND_COMPOSITE_TYPE)
	{
		foreach(cell, migspec_alter_typed_tables(table, cmd->behavior))
		{
			migspec_alter_child(alter, lfirst(cell));
			prepare(alter, lfirst(cell), cmd, true, true);
		}
	}
	if (action->prepare != NULL)
		action->prepare(alter, altered, &step);

	if (cmd->subtype == AT_ColumnDefault && cmd->def == NULL)
		pass = MIGSPEC_PASS_DROP;
	if (action->exec != NULL)
	{
		MigspecAlterStep *scheduled = migspec_alter_schedule(altered, pass, action->exec, cmd);

		scheduled->recurse = recurse;
		scheduled->recursing = recursing;
	}

	if (!recurse)
		return;
	if ((action->flags & CHILDREN) != 0)
	{
		foreach(cell, migspec_world_descendants(table))
		{
			migspec_alter_child(alter, lfirst(cell));
			prepare(alter, lfirst(cell), cmd, false, true);
		}
	}
	if (cmd->subtype == AT_AddConstraint && MIGSPEC_ADD_CONSTRAINT_LOCKS_ALL)
	{
		foreach(cell, migspec_world_descendants(table))
			migspec_check_lock(alter->stmt, lfirst(cell), alter->lock);
	}
}

/*
 * Tell what is done to the rows of one table.  See ATRewriteTables().
 */
static void
tell_work(MigspecAlter *alter, MigspecAltered *altered)
{
	MigspecWorldTable *table = altered->table;
	ListCell   *cell;

	if (!migspec_has_storage(table))
		return;
	if (altered->new_values ||
		(altered->rewrite && MIGSPEC_REWRITE_NEEDS_ROW_TYPE))
		migspec_alter_check_row_type(alter, table);

	if (altered->rewrite)
	{
		migspec_alter_refuse_catalog(table);
		migspec_check_work(alter->stmt, table, MIGSPEC_WORK_REWRITE);
		foreach(cell, table->indexes)
		{
			MigspecWorldIndex *index = lfirst(cell);

			if (!index->dropped)
				migspec_check_build(alter->stmt, table, index->name);
		}
	}
	else if (altered->scan)
		migspec_check_work(alter->stmt, table, MIGSPEC_WORK_SCAN);

	if (altered->persistence != 0)
		table->persistence = altered->persistence;
	if (OidIsValid(altered->method))
		table->am = altered->method;
	if (OidIsValid(altered->tablespace))
	{
		/* block by block, if it need not be done row by row */
		if (!altered->rewrite)
			migspec_check_work(alter->stmt, table, MIGSPEC_WORK_REWRITE);
		table->tablespace = altered->tablespace;
	}
}

/* see alter_table.h */
void
migspec_alter_run(MigspecAlter *alter)
{
	ListCell   *cell;

	for (MigspecAlterPass pass = 0; pass < MIGSPEC_PASSES; pass++)
	{
		/* both lists may grow meanwhile */
		for (int i = 0; i < list_length(alter->queue); i++)
		{
			MigspecAltered *altered = list_nth(alter->queue, i);

			if (altered->steps[pass] == NIL)
				continue;
			for (int j = 0; j < list_length(altered->steps[pass]); j++)
			{
				MigspecAlterStep *step = list_nth(altered->steps[pass], j);

				CHECK_FOR_INTERRUPTS();
				step->exec(alter, altered, step);
			}
			if (pass == MIGSPEC_PASS_ALTER_TYPE || pass == MIGSPEC_PASS_SET_EXPRESSION)
				migspec_alter_rebuild(alter, altered);
		}
	}

	foreach(cell, alter->queue)
		tell_work(alter, lfirst(cell));
}

/*
 * Does the word after ALTER fit the relation?  See
 * RangeVarCallbackForAlterRelation().
 */
static void
check_object_type(ObjectType objtype, char relkind, const char *name)
{
	const Kind *kind;

	if (relkind == RELKIND_COMPOSITE_TYPE && objtype != OBJECT_TYPE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a composite type", name),
				 errhint("Use %s instead.", "ALTER TYPE")));
	if (objtype == OBJECT_TABLE)
		return;
	kind = find_kind(relkind);
	if (kind != NULL && kind->object == (int) objtype)
		return;
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].object == (int) objtype)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 strchr("aeiou", kinds[i].what[0]) != NULL ?
					 errmsg("\"%s\" is not an %s", name, kinds[i].what) :
					 errmsg("\"%s\" is not a %s", name, kinds[i].what)));
	}
}

/*
 * ALTER INDEX, or ALTER TABLE of an index.
 */
static bool
analyse_index(MigspecStatement *stmt, AlterTableStmt *tree)
{
	MigspecWorldIndex *index;
	ListCell   *cell;

	if (migspec_world_find(stmt->world, tree->relation) != NULL)
		return false;
	index = migspec_world_find_index(stmt->world, tree->relation);
	if (index == NULL)
		return false;
	check_object_type(tree->objtype, RELKIND_INDEX, tree->relation->relname);
	foreach(cell, tree->cmds)
	{
		AlterTableCmd *cmd = lfirst(cell);

		check_target(find_action(cmd->subtype), RELKIND_INDEX, index->name);
	}
	migspec_alter_index(stmt, tree, index);
	return true;
}

/* see check.h */
void
migspec_analyse_alter_table(MigspecStatement *stmt)
{
	AlterTableStmt *tree = (AlterTableStmt *) stmt->tree;
	MigspecAlter alter = {.stmt = stmt};
	MigspecWorldTable *table;
	ListCell   *cell;

	if (IsA(stmt->tree, AlterTableMoveAllStmt))
	{
		migspec_alter_move_all(stmt, (AlterTableMoveAllStmt *) stmt->tree);
		return;
	}
	if (analyse_index(stmt, tree))
		return;
	table = migspec_check_table(stmt, tree->relation, tree->missing_ok);
	if (table == NULL)
		return;
	check_object_type(tree->objtype, table->kind, table->name);
	if (table->is_catalog && !allowSystemTableMods)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", table->name)));

	alter.target = table;
	alter.lock = AlterTableGetLockLevel(tree->cmds);

	/* nobody queues for the lock of a free-standing type */
	if (table->kind != RELKIND_COMPOSITE_TYPE)
		migspec_check_lock(stmt, table, alter.lock)->is_target = true;
	foreach(cell, tree->cmds)
		prepare(&alter, table, lfirst(cell), tree->relation->inh, false);
	migspec_alter_run(&alter);
}
