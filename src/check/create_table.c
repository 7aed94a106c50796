/*-------------------------------------------------------------------------
 *
 * create_table.c
 *		CREATE TABLE and CREATE FOREIGN TABLE.
 *
 * Nobody sees the new table, so what matters is the locks on others (parents,
 * a default partition, what foreign keys refer to), and that later statements
 * find the table.  See DefineRelation() in commands/tablecmds.c and
 * transformCreateStmt() in parser/parse_utilcmd.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/check.h"
#include "check/statements.h"

/* a default or generation expression, to be looked at when all columns exist */
typedef struct RawDefault
{
	MigspecWorldColumn *column;
	Node	   *raw;
} RawDefault;

/* a constraint, likewise */
typedef struct RawConstraint
{
	Constraint *constraint;
	MigspecWorldColumn *column; /* that it is written at; or NULL */
} RawConstraint;

typedef struct Creation
{
	MigspecStatement *stmt;
	MigspecWorldTable *table;
	List	   *defaults;		/* of RawDefault * */
	List	   *constraints;	/* of RawConstraint * */
	List	   *likes;			/* of TableLikeClause * */
} Creation;

/*
 * Raises the server's error if the parent cannot be one.
 */
static void
check_parent(const MigspecWorldTable *parent, bool is_partition)
{
	if (is_partition && parent->kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not partitioned", parent->name)));
	if (!is_partition && parent->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot inherit from partitioned table \"%s\"", parent->name)));
	if (!is_partition && parent->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot inherit from partition \"%s\"", parent->name)));
	if (parent->kind != RELKIND_RELATION && parent->kind != RELKIND_FOREIGN_TABLE &&
		parent->kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("inherited relation \"%s\" is not a table or foreign table",
						parent->name)));
}

/*
 * Temporary and permanent tables do not mix, except for temporary children of
 * a permanent table.
 */
static void
check_persistence(const MigspecWorldTable *parent, const CreateStmt *create)
{
	bool		is_temp = create->relation->relpersistence == RELPERSISTENCE_TEMP;

	if (is_temp && create->partbound != NULL && parent->persistence != RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot create a temporary relation as partition of permanent relation \"%s\"",
						parent->name)));
	if (!is_temp && parent->persistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 create->partbound != NULL ?
				 errmsg("cannot create a permanent relation as partition of temporary relation \"%s\"",
						parent->name) :
				 errmsg("cannot inherit from temporary relation \"%s\"", parent->name)));
}

/*
 * The parents, locked as the server locks them.
 */
static List *
find_parents(MigspecStatement *stmt, CreateStmt *create)
{
	List	   *parents = NIL;
	ListCell   *cell;

	foreach(cell, create->inhRelations)
	{
		MigspecWorldTable *parent = migspec_other_table(stmt, lfirst(cell));

		migspec_check_lock(stmt, parent, create->partbound != NULL ?
						   AccessExclusiveLock : ShareUpdateExclusiveLock);
		check_parent(parent, create->partbound != NULL);
		check_persistence(parent, create);
		if (list_member_ptr(parents, parent))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("relation \"%s\" would be inherited from more than once",
							parent->name)));
		parents = lappend(parents, parent);
	}

	return parents;
}

/*
 * NOT NULL, which is a constraint with a name since 18.
 */
static void
set_not_null(MigspecWorldTable *table, MigspecWorldColumn *column, const char *name,
			 bool is_local, bool no_inherit)
{
	MemoryContext oldcontext;
	MigspecWorldConstraint *constraint;

	if (column->not_null)
		return;
	column->not_null = column->not_null_valid = true;
	if (!MIGSPEC_NOT_NULL_CONSTRAINTS)
		return;
	if (name == NULL)
		name = migspec_alter_choose_name(table, column->name, "not_null", false);
	constraint = migspec_world_add_constraint(table, name, CONSTRAINT_NOTNULL);
	constraint->is_local = is_local;
	constraint->no_inherit = no_inherit;
	oldcontext = MemoryContextSwitchTo(table->world->context);
	constraint->columns = list_make1_int(column->attno);
	MemoryContextSwitchTo(oldcontext);
}

/*
 * A column that exists elsewhere: a parent's, or one of LIKE.
 */
static MigspecWorldColumn *
copy_column(MigspecWorldTable *table, const MigspecWorldColumn *from)
{
	MigspecWorldColumn *column = migspec_world_add_column(table, from->name);

	column->type = from->type;
	column->typmod = from->typmod;
	column->collation = from->collation;
	return column;
}

/*
 * Columns and checks of a parent.
 */
static void
inherit(MigspecWorldTable *table, MigspecWorldTable *parent, bool is_partition)
{
	ListCell   *cell;

	foreach(cell, parent->columns)
	{
		MigspecWorldColumn *from = lfirst(cell);
		MigspecWorldColumn *column;

		if (from->dropped)
			continue;
		column = migspec_world_column(table, from->name);
		if (column == NULL)
		{
			column = copy_column(table, from);
			column->is_local = false;
			column->generated = from->generated;
			column->has_default = from->has_default;
			if (is_partition && MIGSPEC_PARTITIONED_IDENTITY)
				column->identity = from->identity;
		}
		else if (column->type != from->type || column->typmod != from->typmod)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("inherited column \"%s\" has a type conflict", from->name)));
		column->inherited++;
		if (from->not_null)
		{
			MigspecWorldConstraint *constraint = migspec_not_null_constraint(parent,
																			 from->attno);

			set_not_null(table, column, constraint == NULL ? NULL : constraint->name, false,
						 false);
		}
	}
	foreach(cell, parent->constraints)
	{
		MigspecWorldConstraint *from = lfirst(cell);
		MigspecWorldConstraint *constraint;
		MemoryContext oldcontext;
		ListCell   *lc;

		if (from->dropped || from->type != CONSTRAINT_CHECK || from->no_inherit)
			continue;
		constraint = migspec_world_constraint(table, from->name);
		if (constraint != NULL)
		{
			constraint->inherited++;
			continue;
		}
		constraint = migspec_world_add_constraint(table, from->name, CONSTRAINT_CHECK);
		constraint->inherited = 1;
		constraint->is_local = false;
		constraint->validated = constraint->enforced = from->enforced;
		oldcontext = MemoryContextSwitchTo(table->world->context);
		constraint->expr = migspec_map_expr(parent, table, from->expr);
		foreach(lc, from->columns)
			constraint->columns = lappend_int(constraint->columns,
											  migspec_child_attno(parent, table,
																  lfirst_int(lc)));
		MemoryContextSwitchTo(oldcontext);
	}
	if (table->parent == NULL && !is_partition)
	{
		table->parent = parent;
		table->parent_oid = parent->oid;
	}
}

/*
 * The sequence of a serial or identity column.
 */
static void
add_sequence(MigspecWorldTable *table, const MigspecWorldColumn *column)
{
	char	   *name = migspec_alter_choose_name(table, column->name, "seq", true);
	RangeVar   *full = makeRangeVar(table->schema, name, -1);

	full->relpersistence = table->persistence;
	migspec_world_add_table(table->world, full, RELKIND_SEQUENCE)->owned_by = table;
}

/*
 * What is written at a column.
 */
static void
take_constraint(Creation *creation, MigspecWorldColumn *column, Constraint *constraint)
{
	RawDefault *raw_default;
	RawConstraint *raw_constraint;

	switch (constraint->contype)
	{
		case CONSTR_NULL:
			break;
		case CONSTR_NOTNULL:
			if (MIGSPEC_NOT_NULL_CONSTRAINTS && constraint->conname != NULL &&
				!column->not_null)
				migspec_refuse_constraint(creation->table, constraint->conname);
			set_not_null(creation->table, column, constraint->conname, true,
						 constraint->is_no_inherit);
			break;
		case CONSTR_IDENTITY:
			column->identity = constraint->generated_when;
			set_not_null(creation->table, column, NULL, true, false);
			add_sequence(creation->table, column);
			break;
		case CONSTR_GENERATED:
			column->generated = MIGSPEC_RAW_GENERATED_KIND(constraint);
			/* FALLTHROUGH */
		case CONSTR_DEFAULT:
			column->has_default = true;
			raw_default = palloc(sizeof(RawDefault));
			raw_default->column = column;
			raw_default->raw = constraint->raw_expr;
			creation->defaults = lappend(creation->defaults, raw_default);
			break;
		case CONSTR_CHECK:
		case CONSTR_PRIMARY:
		case CONSTR_UNIQUE:
		case CONSTR_EXCLUSION:
		case CONSTR_FOREIGN:
			raw_constraint = palloc(sizeof(RawConstraint));
			raw_constraint->constraint = constraint;
			raw_constraint->column = column;
			creation->constraints = lappend(creation->constraints, raw_constraint);
			break;
		default:
			/* attributes of the constraint before it */
			if (creation->constraints != NIL && MIGSPEC_IS_NOT_ENFORCED(constraint))
			{
				raw_constraint = llast(creation->constraints);
				MIGSPEC_RAW_SET_NOT_ENFORCED(raw_constraint->constraint);
				raw_constraint->constraint->skip_validation = true;
			}
			break;
	}
}

static bool
is_serial(const TypeName *name)
{
	return name->names != NIL && list_length(name->names) == 1 && !name->pct_type &&
		strstr(strVal(linitial(name->names)), "serial") != NULL;
}

/*
 * An inherited column is given a type again: it must be the same.
 */
static void
merge_type(MigspecStatement *stmt, const MigspecWorldColumn *column, const ColumnDef *def)
{
	int32		typmod;
	Oid			type = migspec_check_type(stmt, def->typeName, &typmod);

	if (OidIsValid(type) && OidIsValid(column->type) &&
		(type != column->type || typmod != column->typmod))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" has a type conflict", def->colname),
				 errdetail("%s versus %s",
						   format_type_with_typemod(column->type, column->typmod),
						   format_type_with_typemod(type, typmod))));
}

/*
 * A column of the statement; one that is inherited may be given options.
 */
static void
add_column(Creation *creation, ColumnDef *def)
{
	MigspecWorldTable *table = creation->table;
	MigspecWorldColumn *column = migspec_world_column(table, def->colname);
	ListCell   *cell;

	if (column != NULL && column->is_local && def->typeName != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" specified more than once", def->colname)));
	if (column == NULL && def->typeName == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist", def->colname)));
	if (column == NULL)
	{
		int32		typmod;
		Oid			type = migspec_check_type(creation->stmt, def->typeName, &typmod);

		migspec_refuse_pseudo_type(def->colname, type);
		column = migspec_world_add_column(table, def->colname);
		column->type = type;
		column->typmod = typmod;
		column->collation = OidIsValid(type) ? get_typcollation(type) : InvalidOid;
	}
	else
	{
		if (def->typeName != NULL)
			merge_type(creation->stmt, column, def);
		column->is_local = true;
	}
	if (def->collClause != NULL)
		column->collation = get_collation_oid(def->collClause->collname, false);
	if (def->typeName != NULL && is_serial(def->typeName) && OidIsValid(column->type))
	{
		set_not_null(table, column, NULL, true, false);
		column->has_default = true;
		add_sequence(table, column);
	}
	foreach(cell, def->constraints)
		take_constraint(creation, column, lfirst(cell));
	migspec_check_column_type(creation->stmt, table, def);
}

/*
 * LIKE: columns now; the rest when all columns exist.
 */
static void
add_like(Creation *creation, TableLikeClause *like)
{
	MigspecWorldTable *from = migspec_other_table(creation->stmt, like->relation);
	ListCell   *cell;

	foreach(cell, from->columns)
	{
		MigspecWorldColumn *column = lfirst(cell);
		MigspecWorldColumn *copy;

		if (column->dropped)
			continue;
		copy = migspec_world_column(creation->table, column->name);
		if (copy != NULL && copy->is_local)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" specified more than once", column->name)));
		if (copy == NULL)
			copy = copy_column(creation->table, column);
		copy->is_local = true;
		if (column->not_null)
		{
			MigspecWorldConstraint *constraint = migspec_not_null_constraint(from,
																			 column->attno);

			set_not_null(creation->table, copy, constraint == NULL ? NULL : constraint->name,
						 true, false);
		}
		if (column->generated != '\0' && (like->options & CREATE_TABLE_LIKE_GENERATED))
		{
			copy->generated = column->generated;
			copy->has_default = true;
		}
		if (column->generated == '\0' && (like->options & CREATE_TABLE_LIKE_DEFAULTS))
			copy->has_default = column->has_default;
		if (column->identity != '\0' && (like->options & CREATE_TABLE_LIKE_IDENTITY))
		{
			copy->identity = column->identity;
			add_sequence(creation->table, copy);
		}
	}
	creation->likes = lappend(creation->likes, like);
}

/*
 * A constraint of another table, for a key whose index has been made.
 */
static void
copy_key(MigspecWorldTable *table, const MigspecWorldConstraint *from,
		 MigspecWorldIndex *index, bool is_local)
{
	MigspecWorldConstraint *constraint;
	MemoryContext oldcontext;
	ListCell   *cell;

	constraint = migspec_world_add_constraint(table, index->name, from->type);
	constraint->is_local = is_local;
	constraint->index = index;
	oldcontext = MemoryContextSwitchTo(table->world->context);
	foreach(cell, from->columns)
		constraint->columns = lappend_int(constraint->columns,
										  migspec_child_attno(from->table, table,
															  lfirst_int(cell)));
	MemoryContextSwitchTo(oldcontext);
}

/*
 * All indexes of another table, and the constraints that they belong to.
 */
static void
copy_indexes(MigspecStatement *stmt, MigspecWorldTable *table, MigspecWorldTable *from,
			 bool is_local)
{
	ListCell   *cell;

	foreach(cell, from->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		MigspecWorldIndex *clone;
		ListCell   *lc;

		if (index->dropped)
			continue;
		if (table->kind == RELKIND_FOREIGN_TABLE)
		{
			if (index->unique && !is_local)
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("cannot create foreign partition of partitioned table \"%s\"",
								from->name),
						 errdetail("Table \"%s\" contains indexes that are unique.",
								   from->name)));
			continue;
		}
		clone = migspec_clone_index(stmt, index, table);
		foreach(lc, from->constraints)
		{
			MigspecWorldConstraint *constraint = lfirst(lc);

			if (constraint->dropped || constraint->index != index ||
				constraint->type == CONSTRAINT_FOREIGN)
				continue;
			if (constraint->type == CONSTRAINT_PRIMARY &&
				migspec_world_primary_key(table) != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						 errmsg("multiple primary keys for table \"%s\" are not allowed",
								table->name)));
			copy_key(table, constraint, clone, is_local);
		}
	}
}

/*
 * INCLUDING CONSTRAINTS and INDEXES.
 */
static void
finish_like(Creation *creation, TableLikeClause *like)
{
	MigspecWorldTable *from = migspec_other_table(creation->stmt, like->relation);
	MigspecWorldTable *table = creation->table;
	ListCell   *cell;

	foreach(cell, (like->options & CREATE_TABLE_LIKE_CONSTRAINTS) ? from->constraints : NIL)
	{
		MigspecWorldConstraint *check = lfirst(cell);
		MigspecWorldConstraint *constraint;
		MemoryContext oldcontext;

		if (check->dropped || check->type != CONSTRAINT_CHECK ||
			migspec_world_constraint(table, check->name) != NULL)
			continue;
		constraint = migspec_world_add_constraint(table, check->name, CONSTRAINT_CHECK);
		constraint->enforced = constraint->validated = check->enforced;
		oldcontext = MemoryContextSwitchTo(table->world->context);
		constraint->expr = migspec_map_expr(from, table, check->expr);
		constraint->columns = migspec_world_mentions(table, constraint->expr);
		MemoryContextSwitchTo(oldcontext);
	}
	if (like->options & CREATE_TABLE_LIKE_INDEXES)
		copy_indexes(creation->stmt, table, from, true);
}

/*
 * The server evaluates what bounds are made of; we do not call anything.
 */
static bool
calls_function(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncCall) || IsA(node, SQLValueFunction))
		return true;
	return raw_expression_tree_walker(node, calls_function, context);
}

static List *
map_list(const MigspecWorldTable *from, const MigspecWorldTable *to, List *quals)
{
	return (List *) migspec_map_expr(from, to, (Node *) quals);
}

/*
 * The rows of the default partition must not be ones of the new partition:
 * they are read, without a word in the log.
 */
static void
check_default(MigspecStatement *stmt, MigspecWorldTable *parent, MigspecWorldTable *table,
			  PartitionBoundSpec *bound)
{
	MigspecWorldTable *other = migspec_world_default_partition(parent);
	bool		has_function = calls_function((Node *) list_make3(bound->listdatums,
																  bound->lowerdatums,
																  bound->upperdatums),
											  NULL);
	bool		provable = true;
	List	   *quals = NIL;
	MigspecFact *fact;
	ListCell   *cell;

	if (other != NULL)
		migspec_check_lock(stmt, other, AccessExclusiveLock);
	if (other != NULL && bound->is_default)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("partition \"%s\" conflicts with existing default partition \"%s\"",
						table->name, other->name)));
	if (has_function)
		provable = false;
	else
	{
		migspec_check_bound(parent, table->name, bound);
		quals = migspec_default_quals(migspec_partition_quals(parent, bound, &provable));
	}
	if (other == NULL)
		return;
	if (provable && migspec_world_proves(other, map_list(parent, other, quals)))
		return;
	migspec_lock_family(stmt, other, AccessExclusiveLock, true);
	foreach(cell, migspec_world_leaves(other))
	{
		MigspecWorldTable *leaf = lfirst(cell);

		if (leaf->kind == RELKIND_RELATION &&
			(leaf == other || !provable ||
			 !migspec_world_proves(leaf, map_list(parent, leaf, quals))))
			migspec_check_work(stmt, leaf, MIGSPEC_WORK_QUIET_SCAN);
	}
	fact = migspec_check_fact(stmt, RULE_ATTACH_SCANS_DEFAULT, other, NULL);
	fact->other = parent;
	if (quals != NIL)
		fact->detail = migspec_world_deparse(other, (Node *) make_ands_explicit(map_list(parent, other, quals)));
}

/*
 * A partition gets what the parent has: indexes, foreign keys in either
 * direction.
 */
static void
become_partition(MigspecStatement *stmt, MigspecWorldTable *table,
				 MigspecWorldTable *parent, PartitionBoundSpec *bound)
{
	MemoryContext old;
	ListCell   *cell;

	check_default(stmt, parent, table, bound);
	table->parent = parent;
	table->parent_oid = parent->oid;
	table->is_partition = true;
	table->is_default_partition = bound->is_default;
	old = MemoryContextSwitchTo(table->world->context);
	if (!calls_function((Node *) list_make3(bound->listdatums, bound->lowerdatums,
											bound->upperdatums), NULL))
		table->bound = copyObject(bound);
	MemoryContextSwitchTo(old);
	copy_indexes(stmt, table, parent, false);

	foreach(cell, parent->constraints)
	{
		MigspecWorldConstraint *from = lfirst(cell);
		MigspecWorldConstraint *constraint;
		MemoryContext oldcontext;
		ListCell   *lc;

		if (from->dropped || from->type != CONSTRAINT_FOREIGN || from->referenced == NULL)
			continue;
		migspec_check_lock(stmt, from->referenced, ShareRowExclusiveLock);
		migspec_lock_family(stmt, from->referenced, ShareRowExclusiveLock,
							from->referenced->kind == RELKIND_PARTITIONED_TABLE);
		migspec_check_fact(stmt, RULE_FK_LOCKS_REFERENCED, table, from->name)->other =
			from->referenced;
		constraint = migspec_world_add_constraint(table, from->name, CONSTRAINT_FOREIGN);
		constraint->is_local = false;
		constraint->enforced = from->enforced;
		constraint->referenced = from->referenced;
		constraint->referenced_oid = from->referenced_oid;
		oldcontext = MemoryContextSwitchTo(table->world->context);
		foreach(lc, from->columns)
			constraint->columns = lappend_int(constraint->columns,
											  migspec_child_attno(parent, table,
																  lfirst_int(lc)));
		constraint->referenced_columns = list_copy(from->referenced_columns);
		MemoryContextSwitchTo(oldcontext);
	}
	migspec_lock_referencing(stmt, parent);
	migspec_check_fact(stmt, RULE_CREATE_PARTITION_OF, parent,
					   migspec_world_table_name(table))->other = table;
}

/*
 * Expressions, as the server would look at them.
 */
static void
check_defaults(Creation *creation)
{
	ListCell   *cell;

	foreach(cell, creation->defaults)
	{
		RawDefault *raw = lfirst(cell);
		bool		generated = raw->column->generated != '\0';

		if (OidIsValid(raw->column->type))
			(void) migspec_alter_cook(creation->table, copyObject(raw->raw),
									  generated ? EXPR_KIND_GENERATED_COLUMN :
									  EXPR_KIND_COLUMN_DEFAULT,
									  raw->column->type, raw->column->typmod);
	}
}

/*
 * Advice about the table's primary key.
 */
static void
check_key(Creation *creation, CreateStmt *create)
{
	MigspecWorldTable *table = creation->table;
	MigspecWorldConstraint *key = migspec_world_primary_key(table);

	if (key == NULL)
	{
		if (create->inhRelations == NIL && table->persistence != RELPERSISTENCE_TEMP &&
			table->kind != RELKIND_FOREIGN_TABLE)
			migspec_check_fact(creation->stmt, RULE_TABLE_REQUIRES_PK, table, NULL);
	}
	else if (list_length(key->columns) == 1 && create->partbound == NULL)
	{
		MigspecWorldColumn *column = migspec_world_column_no(table,
															 linitial_int(key->columns));

		if (column != NULL && (column->type == INT4OID || column->type == INT2OID))
			migspec_check_fact(creation->stmt, RULE_INT_PRIMARY_KEY, table, column->name);
	}
}

/*
 * All columns: of parents, of a type, of the statement.
 */
static void
add_columns(Creation *creation, CreateStmt *create, List *parents)
{
	ListCell   *cell;

	foreach(cell, parents)
		inherit(creation->table, lfirst(cell), create->partbound != NULL);
	if (create->ofTypename != NULL)
	{
		Oid			type = migspec_check_type(creation->stmt, create->ofTypename, NULL);
		MigspecWorldTable *composite;

		composite = OidIsValid(type) ?
			migspec_world_find_oid(creation->stmt->world, get_typ_typrelid(type)) :
			migspec_world_find(creation->stmt->world,
							   makeRangeVarFromNameList(create->ofTypename->names));
		foreach(cell, composite == NULL ? NIL : composite->columns)
		{
			MigspecWorldColumn *column = lfirst(cell);

			if (!column->dropped)
				copy_column(creation->table, column)->is_local = false;
		}
	}
	foreach(cell, create->tableElts)
	{
		Node	   *element = lfirst(cell);
		RawConstraint *raw;

		switch (nodeTag(element))
		{
			case T_ColumnDef:
				add_column(creation, (ColumnDef *) element);
				break;
			case T_TableLikeClause:
				add_like(creation, (TableLikeClause *) element);
				break;
			case T_Constraint:
				raw = palloc0(sizeof(RawConstraint));
				raw->constraint = (Constraint *) element;
				creation->constraints = lappend(creation->constraints, raw);
				break;
			default:
				break;
		}
	}
}

/*
 * Constraints, keys before foreign keys, which may refer to them.
 */
static void
add_constraints(Creation *creation)
{
	ListCell   *cell;

	foreach(cell, creation->constraints)
	{
		RawConstraint *raw = lfirst(cell);

		if (raw->constraint->contype != CONSTR_FOREIGN)
			migspec_check_constraint(creation->stmt, creation->table, raw->constraint,
									 raw->column, true);
	}
	foreach(cell, creation->likes)
		finish_like(creation, lfirst(cell));
	foreach(cell, creation->constraints)
	{
		RawConstraint *raw = lfirst(cell);

		if (raw->constraint->contype == CONSTR_FOREIGN)
			migspec_check_constraint(creation->stmt, creation->table, raw->constraint,
									 raw->column, true);
	}
}

/*
 * See transformPartitionSpec() in commands/tablecmds.c.
 */
static void
check_partition_key(const Creation *creation)
{
	const PartitionSpec *spec = creation->table->partition_by;
	ListCell   *cell;

	foreach(cell, spec == NULL ? NIL : spec->partParams)
	{
		const char *name = ((PartitionElem *) lfirst(cell))->name;

		if (name != NULL && migspec_world_column(creation->table, name) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" named in partition key does not exist", name)));
	}
	if (spec != NULL && list_length(spec->partParams) > 1 &&
		MIGSPEC_PARTITION_STRATEGY(spec) == PARTITION_STRATEGY_LIST)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("cannot use \"list\" partition strategy with more than one column")));
}

static void
create_table(MigspecStatement *stmt, CreateStmt *create, char kind)
{
	Creation	creation = {.stmt = stmt};
	List	   *parents;

	if (create->if_not_exists && migspec_name_exists(stmt, create->relation))
		return;
	migspec_refuse_duplicate(stmt, create->relation);
	if (create->relation->relpersistence != RELPERSISTENCE_TEMP)
		migspec_refuse_duplicate_type(stmt, create->relation->schemaname,
									  create->relation->relname);
	if (create->oncommit != ONCOMMIT_NOOP &&
		create->relation->relpersistence != RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("ON COMMIT can only be used on temporary tables")));
	if (kind == RELKIND_PARTITIONED_TABLE && !MIGSPEC_PARTITIONED_LOGGED &&
		create->relation->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("partitioned tables cannot be unlogged")));
	parents = find_parents(stmt, create);
	creation.table = migspec_world_add_table(stmt->world, create->relation, kind);
	if (create->partspec != NULL)
	{
		MemoryContext oldcontext = MemoryContextSwitchTo(stmt->world->context);

		creation.table->partition_by = copyObject(create->partspec);
		MemoryContextSwitchTo(oldcontext);
	}
	creation.table->drop_on_commit = create->oncommit == ONCOMMIT_DROP;
	stmt->world->drops_on_commit |= creation.table->drop_on_commit;
	if (create->accessMethod != NULL && kind != RELKIND_FOREIGN_TABLE)
		creation.table->am = get_table_am_oid(create->accessMethod, false);
	if (create->tablespacename != NULL)
		creation.table->tablespace = get_tablespace_oid(create->tablespacename, false);

	add_columns(&creation, create, parents);
	check_partition_key(&creation);
	check_defaults(&creation);
	if (create->partbound != NULL)
		become_partition(stmt, creation.table, linitial(parents), create->partbound);
	add_constraints(&creation);
	check_key(&creation, create);
}

/* see check.h */
void
migspec_analyse_create_table(MigspecStatement *stmt)
{
	CreateStmt *create = (CreateStmt *) stmt->tree;

	switch (nodeTag(stmt->tree))
	{
		case T_CreateTableAsStmt:
			migspec_analyse_create_as(stmt);
			break;
		case T_CreateForeignTableStmt:
			create_table(stmt, &((CreateForeignTableStmt *) stmt->tree)->base,
						 RELKIND_FOREIGN_TABLE);
			break;
		default:
			create_table(stmt, create, create->partspec != NULL ?
						 RELKIND_PARTITIONED_TABLE : RELKIND_RELATION);
			break;
	}
}
