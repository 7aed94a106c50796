/*-------------------------------------------------------------------------
 *
 * alter_column.c
 *		Columns come, go, and change their default, identity or expression.
 *
 * A new column costs nothing if every row has the same value in it, which is
 * then kept in the catalog; else the table is rewritten.  What decides is the
 * default as the planner leaves it, see ATExecAddColumn() in
 * commands/tablecmds.c.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/reloptions.h"
#include "access/transam.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/statements.h"

/* what a ColumnDef means */
typedef struct NewColumn
{
	ColumnDef  *def;
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		serial;
	char		identity;
	char		generated;
	bool		not_null;
	const char *not_null_name;	/* if it is given */
	bool		is_null;		/* in all rows that there are */
	Node	   *default_raw;
	List	   *constraints;	/* of Constraint *: copies */
} NewColumn;

/* parse analysis that may fail because of what only the script creates */
typedef struct CookArgs
{
	MigspecWorldTable *table;
	Node	   *raw;
	ParseExprKind kind;
	Oid			type;
	int32		typmod;
	Node	   *result;
} CookArgs;

static void
call_cook(void *arg)
{
	CookArgs   *args = arg;

	args->result = migspec_world_cook(args->table->world, args->table, args->raw,
									  args->kind, args->type, args->typmod);
}

/* see alter_table.h */
Node *
migspec_alter_cook(MigspecWorldTable *table, Node *raw, ParseExprKind kind, Oid type,
				   int32 typmod)
{
	CookArgs	args = {.table = table,.raw = raw,.kind = kind,.type = type,
	.typmod = typmod};
	ErrorData  *error;

	if (table->world->new_types == NIL)
	{
		call_cook(&args);
		return args.result;
	}

	/* what is missing may be what the script creates */
	error = migspec_check_try(call_cook, &args);
	if (error == NULL)
		return args.result;
	if (error->sqlerrcode != ERRCODE_UNDEFINED_TABLE &&
		error->sqlerrcode != ERRCODE_UNDEFINED_OBJECT &&
		error->sqlerrcode != ERRCODE_DATATYPE_MISMATCH &&
		(error->sqlerrcode != ERRCODE_UNDEFINED_FUNCTION ||
		 !migspec_check_is_expected(table->world, error)))
		ThrowErrorData(error);
	return NULL;
}

static bool
is_serial(const TypeName *name)
{
	static const char *const names[] = {"smallserial", "serial2", "serial",
	"serial4", "bigserial", "serial8"};

	if (name == NULL || list_length(name->names) != 1 || name->pct_type)
		return false;
	for (size_t i = 0; i < lengthof(names); i++)
	{
		if (strcmp(strVal(linitial(name->names)), names[i]) == 0)
			return true;
	}
	return false;
}

/*
 * Take a constraint that is written at the column for what it is.  Those that
 * follow a constraint to say how it is meant (NOT ENFORCED) are added to it.
 */
static void
take_constraint(NewColumn *column, const Constraint *constraint)
{
	Constraint *last = column->constraints == NIL ? NULL : llast(column->constraints);

	switch (constraint->contype)
	{
		case CONSTR_NULL:
			break;
		case CONSTR_NOTNULL:
			column->not_null = true;
			column->not_null_name = constraint->conname;
			break;
		case CONSTR_DEFAULT:
			column->default_raw = constraint->raw_expr;
			break;
		case CONSTR_IDENTITY:
			column->identity = constraint->generated_when;
			column->not_null = true;
			break;
		case CONSTR_GENERATED:
			column->generated = MIGSPEC_RAW_GENERATED_KIND(constraint);
			column->default_raw = constraint->raw_expr;
			break;
		case CONSTR_PRIMARY:
			column->not_null = true;
			/* FALLTHROUGH */
		case CONSTR_CHECK:
		case CONSTR_UNIQUE:
		case CONSTR_FOREIGN:
		case CONSTR_EXCLUSION:
			column->constraints = lappend(column->constraints,
										  copyObject(unconstify(Constraint *, constraint)));
			break;
		default:
			if (last != NULL && MIGSPEC_IS_NOT_ENFORCED(constraint))
			{
				last->skip_validation = true;
				last->initially_valid = false;
				MIGSPEC_RAW_SET_NOT_ENFORCED(last);
			}
			break;
	}
}

/* see alter_table.h */
void
migspec_check_virtual_type(const char *column, Oid type)
{
	if (OidIsValid(type) && get_typtype(type) == TYPTYPE_DOMAIN)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("virtual generated column \"%s\" cannot have a domain type", column)));
	if (type >= FirstUnpinnedObjectId)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("virtual generated column \"%s\" cannot have a user-defined type",
						column),
				 errdetail("Virtual generated columns that make use of user-defined types are not yet supported.")));
}

static NewColumn
read_column(MigspecStatement *stmt, ColumnDef *def)
{
	NewColumn	column = {.def = def,.not_null = def->is_not_null,
		.default_raw = def->raw_default,.identity = def->identity,
	.generated = def->generated};
	ListCell   *cell;

	column.type = migspec_check_type(stmt, def->typeName, &column.typmod);
	if (OidIsValid(column.type) && !is_serial(def->typeName))
		column.collation = GetColumnDefCollation(NULL, def, column.type);
	if (is_serial(def->typeName))
	{
		column.serial = true;
		column.not_null = true;
	}
	foreach(cell, def->constraints)
		take_constraint(&column, lfirst(cell));

	if (OidIsValid(column.type) && get_typtype(column.type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" has pseudo-type %s", def->colname,
						format_type_be(column.type))));
	if (column.generated == ATTRIBUTE_GENERATED_VIRTUAL)
		migspec_check_virtual_type(def->colname, column.type);
	return column;
}

/*
 * The default of the type itself, that of a domain for instance.
 */
static Node *
default_of_type(const NewColumn *column)
{
	return OidIsValid(column->type) ? get_typdefault(column->type) : NULL;
}

/*
 * Does a raw expression that cannot be analysed, because of what only the
 * script creates, call a volatile function?
 */
static bool
is_volatile(Node *raw, void *arg)
{
	MigspecWorld *world = arg;
	FuncCall   *call = (FuncCall *) raw;

	if (raw == NULL)
		return false;
	if (IsA(raw, FuncCall))
	{
		char	   *name = strVal(llast(call->funcname));
		bool		created = migspec_world_is_new_name(world, name);
		FuncCandidateList candidate;

		if (created &&
			!migspec_world_is_new_name(world, psprintf("stable function %s", name)))
			return true;
		candidate = created ? NULL :
			FuncnameGetCandidates(call->funcname, -1, NIL, false, false, false, true);
		for (; candidate != NULL; candidate = candidate->next)
		{
			if (func_volatile(candidate->oid) == PROVOLATILE_VOLATILE)
				return true;
		}
	}
	return raw_expression_tree_walker(raw, is_volatile, arg);
}

/*
 * How the rows get their values.
 */
static void
fill_column(MigspecAlter *alter, MigspecAltered *altered, NewColumn *column,
			bool recursing)
{
	MigspecWorldTable *table = altered->table;
	bool		constrained = migspec_is_constrained(table->world, column->type,
													 column->def->typeName);
	bool		volatile_default = column->serial || column->identity != '\0';
	bool		has_value = volatile_default;
	bool		null_value = false;
	Node	   *cooked = NULL;
	MigspecRuleId rule = RULE_ADD_COLUMN_VOLATILE_DEFAULT;

	if (column->default_raw != NULL)
	{
		cooked = migspec_alter_cook(table, copyObject(column->default_raw),
									column->generated != '\0' ?
									EXPR_KIND_GENERATED_COLUMN : EXPR_KIND_COLUMN_DEFAULT,
									column->type, column->typmod);
		has_value = true;
		if (cooked != NULL && column->generated != '\0' &&
			contain_mutable_functions(migspec_world_plan(cooked)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("generation expression is not immutable")));
	}
	else if (!has_value)
		cooked = default_of_type(column);
	if (cooked != NULL)
	{
		Node	   *planned = migspec_world_plan(cooked);

		has_value = true;
		volatile_default |= migspec_world_is_volatile(table->world, cooked);
		null_value = IsA(planned, Const) && ((Const *) planned)->constisnull;
	}
	else if (column->default_raw != NULL)
		volatile_default = is_volatile(column->default_raw, table->world);

	column->is_null = !has_value || null_value;

	/* a partitioned table has nothing to rewrite, but its partitions have */
	if (migspec_has_storage(table))
		altered->new_values |= has_value || constrained;
	if (column->generated == ATTRIBUTE_GENERATED_VIRTUAL)
	{
		altered->scan |= column->not_null && migspec_has_storage(table);
		return;
	}

	if (column->generated != '\0')
		rule = RULE_ADD_COLUMN_STORED_GENERATED;
	else if (column->serial || column->identity != '\0')
		rule = RULE_ADD_COLUMN_SERIAL_IDENTITY;
	else if (constrained)
		rule = RULE_ADD_COLUMN_CONSTRAINED_DOMAIN;
	if (column->generated != '\0' || constrained || (has_value && volatile_default))
	{
		altered->rewrite |= migspec_has_storage(table);
		if (!recursing)
			migspec_check_fact(alter->stmt, rule, table,
							   column->def->colname)->node = (Node *) column->def;
	}
	else if (column->not_null && column->is_null && migspec_has_storage(table))
		altered->scan = true;
}

/*
 * The same column in a child that has it already must be of the same type.
 */
static bool
merges(const MigspecWorldTable *table, const NewColumn *column)
{
	MigspecWorldColumn *old = migspec_world_column(table, column->def->colname);

	if (old == NULL)
		return false;
	if (old->type != column->type || old->typmod != column->typmod)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("child table \"%s\" has different type for column \"%s\"",
						table->name, old->name)));
	if (old->collation != column->collation)
		ereport(ERROR,
				(errcode(ERRCODE_COLLATION_MISMATCH),
				 errmsg("child table \"%s\" has different collation for column \"%s\"",
						table->name, old->name)));
	old->inherited++;
	return true;
}

static void
add_to_world(MigspecWorldTable *table, const NewColumn *new, bool recursing)
{
	MigspecWorldColumn *column = migspec_world_add_column(table, new->def->colname);

	column->type = new->type;
	column->typmod = new->typmod;
	column->collation = new->collation;
	column->not_null = new->not_null;
	column->not_null_valid = new->not_null;
	column->generated = new->generated;
	column->identity = new->identity;
	column->has_default = new->default_raw != NULL || new->serial;
	column->is_local = !recursing;
	column->inherited = recursing ? 1 : 0;
	if (MIGSPEC_NOT_NULL_CONSTRAINTS && new->not_null &&
		table->kind != RELKIND_COMPOSITE_TYPE)
		migspec_note_not_null(table, column, new->not_null_name)->is_local = !recursing;
}

static void
add_column(MigspecAlter *alter, MigspecAltered *altered, NewColumn *new,
		   bool recurse, bool recursing)
{
	MigspecWorldTable *table = altered->table;
	List	   *children;
	ListCell   *cell;

	check_stack_depth();
	children = migspec_world_children(table);
	if (new->identity != '\0' && recurse && children != NIL &&
		(table->kind != RELKIND_PARTITIONED_TABLE || !MIGSPEC_PARTITIONED_IDENTITY))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot recursively add identity column to table that has child tables")));

	add_to_world(table, new, recursing);
	fill_column(alter, altered, new, recursing);

	if (children != NIL && !recurse)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column must be added to child tables too")));
	foreach(cell, children)
	{
		MigspecAltered *child = migspec_alter_child(alter, lfirst(cell));

		if (!merges(child->table, new))
			add_column(alter, child, new, recurse, true);
		else if (MIGSPEC_NOT_NULL_CONSTRAINTS && new->not_null)
			migspec_inherit_not_null(alter, child, new->def->colname,
									 new->not_null_name);
	}
}

/*
 * Constraints that are written at the column wait for their passes.  Foreign
 * keys of a column that is null everywhere hold.
 */
static void
schedule_constraints(MigspecAltered *altered, const NewColumn *new,
					 MigspecWorldColumn *column, bool recurse)
{
	ListCell   *cell;

	foreach(cell, new->constraints)
	{
		Constraint *constraint = lfirst(cell);
		MigspecAlterStep *step;

		if (constraint->contype == CONSTR_FOREIGN)
		{
			constraint->fk_attrs = list_make1(makeString(column->name));
			if (new->default_raw == NULL && !new->serial)
				constraint->skip_validation = true;
		}
		else if (constraint->contype != CONSTR_CHECK && constraint->keys == NIL)
			constraint->keys = list_make1(makeString(column->name));
		step = migspec_alter_schedule(altered, MIGSPEC_PASS_CONSTRAINT,
									  migspec_alter_add_constraint, NULL);
		step->constraint = constraint;
		step->column = column;
		step->recurse = recurse;
	}
}

/* see alter_table.h: ADD COLUMN */
void
migspec_alter_add_column(MigspecAlter *alter, MigspecAltered *altered,
						 MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	ColumnDef  *def = castNode(ColumnDef, step->cmd->def);
	MigspecWorldColumn *column;
	NewColumn	new;

	if (table->is_partition && !step->recursing)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot add column to a partition")));
	if (SystemAttributeByName(def->colname) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column name \"%s\" conflicts with a system column name",
						def->colname)));
	if (migspec_world_column(table, def->colname) != NULL)
	{
		if (step->cmd->missing_ok)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" already exists",
						def->colname, table->name)));
	}

	new = read_column(alter->stmt, def);
	add_column(alter, altered, &new, step->recurse, false);
	column = migspec_world_column(table, def->colname);
	schedule_constraints(altered, &new, column, step->recurse);

	if (table->kind == RELKIND_COMPOSITE_TYPE)
		return;
	migspec_check_column_type(alter->stmt, table, def);
	if (new.not_null && new.is_null && new.generated == '\0')
		migspec_check_fact(alter->stmt, RULE_ADD_REQUIRED_COLUMN, table,
						   def->colname)->node = (Node *) def;
}

/*
 * All columns of this name that go: those of children that have no other
 * reason to be there.
 */
static void
collect_column(MigspecAlter *alter, MigspecDeletion *deletion, MigspecWorldTable *table,
			   const char *name, bool recurse)
{
	MigspecWorldColumn *column = migspec_alter_column(table, name);
	List	   *children = migspec_world_children(table);
	ListCell   *cell;

	check_stack_depth();
	if (migspec_partitions_by(table, column->attno))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot drop column \"%s\" because it is part of the partition key of relation \"%s\"",
						name, table->name)));
	if (children != NIL && table->kind == RELKIND_PARTITIONED_TABLE && !recurse)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot drop column from only the partitioned table when partitions exist"),
				 errhint("Do not specify the ONLY keyword.")));
	migspec_deletion_add_column(deletion, table, column);
	foreach(cell, children)
	{
		MigspecWorldTable *child = lfirst(cell);
		MigspecWorldColumn *own = migspec_world_column(child, name);

		migspec_alter_child(alter, child);
		if (own == NULL)
			continue;
		if (recurse && !own->is_local && own->inherited <= 1)
		{
			collect_column(alter, deletion, child, name, true);
			continue;
		}
		own->is_local |= !recurse;
		own->inherited -= own->inherited > 0;
	}
}

/*
 * Subscribers need the replica identity of what they are sent.
 */
static void
note_replica_identity(MigspecAlter *alter, MigspecDeletion *deletion)
{
	ListCell   *cell;

	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);

		if (victim->constraint != NULL && victim->constraint->index != NULL)
			migspec_alter_note_identity(alter, victim->constraint->index);
		else if (victim->index != NULL)
			migspec_alter_note_identity(alter, victim->index);
	}
}

/* see alter_table.h: DROP COLUMN */
void
migspec_alter_drop_column(MigspecAlter *alter, MigspecAltered *altered,
						  MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	char	   *name = step->cmd->name;
	MigspecDeletion *deletion;
	char	   *cascaded;

	if (SystemAttributeByName(name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot drop system column \"%s\"", name)));
	if (migspec_world_column(table, name) == NULL && step->cmd->missing_ok)
		return;
	(void) migspec_alter_column(table, name);
	if (migspec_is_inherited(table, name) && !step->recursing)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot drop inherited column \"%s\"", name)));

	deletion = migspec_deletion_create(alter->stmt);
	collect_column(alter, deletion, table, name, step->recurse);
	migspec_deletion_collect(deletion, step->cmd->behavior == DROP_CASCADE);

	if (table->kind != RELKIND_COMPOSITE_TYPE)
	{
		migspec_check_fact(alter->stmt, RULE_DROP_COLUMN, table, name);
		migspec_check_fact(alter->stmt, RULE_NO_REVERSE, table, name);
	}
	cascaded = migspec_deletion_cascaded(deletion);
	if (cascaded != NULL)
		migspec_check_fact(alter->stmt, RULE_DROP_CASCADE, table, name)->detail = cascaded;
	migspec_alter_note_foreign_keys(alter, deletion);
	note_replica_identity(alter, deletion);
	migspec_deletion_lock(deletion);
	migspec_deletion_apply(deletion);
}

/*
 * nextval('...') of a sequence that the script creates, or NULL.
 */
static MigspecWorldTable *
new_sequence(MigspecWorld *world, Node *raw)
{
	FuncCall   *call = (FuncCall *) raw;
	Node	   *name;
	MigspecWorldTable *sequence;

	if (raw == NULL || !IsA(raw, FuncCall) || list_length(call->args) != 1 ||
		strcmp(strVal(llast(call->funcname)), "nextval") != 0)
		return NULL;
	name = linitial(call->args);
	if (IsA(name, TypeCast))
		name = ((TypeCast *) name)->arg;
	if (!IsA(name, A_Const) || !IsA(&((A_Const *) name)->val, String))
		return NULL;
	sequence = migspec_world_find(world,
								  makeRangeVarFromNameList(migspec_stringToQualifiedNameList(strVal(&((A_Const *) name)->val))));
	return sequence != NULL && !OidIsValid(sequence->oid) &&
		sequence->kind == RELKIND_SEQUENCE ? sequence : NULL;
}

/*
 * Identity and generated columns have their default otherwise.
 */
static void
refuse_special(const MigspecWorldTable *table, const MigspecWorldColumn *column)
{
	if (column->identity != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("column \"%s\" of relation \"%s\" is an identity column",
						column->name, table->name)));
	if (column->generated != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("column \"%s\" of relation \"%s\" is a generated column",
						column->name, table->name)));
}

/* see alter_table.h: SET DEFAULT, DROP DEFAULT */
void
migspec_alter_default(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, step->cmd->name);

	MemoryContext old;
	Node	   *expr = NULL;

	refuse_special(table, column);
	if (step->cmd->def != NULL)
		expr = migspec_alter_cook(table, copyObject(step->cmd->def),
								  EXPR_KIND_COLUMN_DEFAULT, column->type, column->typmod);
	old = MemoryContextSwitchTo(table->world->context);
	column->default_expr = copyObject(expr);
	MemoryContextSwitchTo(old);
	column->default_sequence = new_sequence(table->world, step->cmd->def);
	column->has_default = step->cmd->def != NULL;
	column->default_changed = true;
	if (!step->recursing)
		migspec_check_fact(alter->stmt, RULE_CHANGE_DEFAULT, table, column->name);
}

/*
 * Identity goes for a partitioned table and all its partitions together, since
 * 17; before, only the table that is named is concerned.
 */
static void
set_identity(MigspecAlter *alter, MigspecWorldTable *table, const char *name,
			 char identity, bool recurse)
{
	ListCell   *cell;

	migspec_world_remember(table);
	migspec_alter_column(table, name)->identity = identity;
	if (!recurse || !MIGSPEC_PARTITIONED_IDENTITY ||
		table->kind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(cell, migspec_world_children(table))
	{
		migspec_check_lock(alter->stmt, lfirst(cell), alter->lock);
		set_identity(alter, lfirst(cell), name, identity, true);
	}
}

static void
check_identity_target(const MigspecWorldTable *table, bool recurse, const char *verb)
{
	if (!MIGSPEC_PARTITIONED_IDENTITY)
		return;
	if (table->kind == RELKIND_PARTITIONED_TABLE && !recurse)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot %s a column of only the partitioned table", verb),
				 errhint("Do not specify the ONLY keyword.")));
	if (table->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot %s a column of a partition", verb)));
}

/* see alter_table.h: ADD GENERATED ... AS IDENTITY */
void
migspec_alter_add_identity(MigspecAlter *alter, MigspecAltered *altered,
						   MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column;

	check_identity_target(table, step->recurse, "add identity to");
	column = migspec_alter_column(table, step->cmd->name);
	if (!column->not_null)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" must be declared NOT NULL before identity can be added",
						column->name, table->name)));
	if (!column->not_null_valid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("incompatible NOT VALID constraint on relation \"%s\"",
						table->name),
				 errhint("You might need to validate it using %s.",
						 "ALTER TABLE ... VALIDATE CONSTRAINT")));
	if (column->identity != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" is already an identity column",
						column->name, table->name)));
	if (column->has_default)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" already has a default value",
						column->name, table->name)));
	if (column->type != INT2OID && column->type != INT4OID && column->type != INT8OID &&
		OidIsValid(column->type))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("identity column type must be smallint, integer, or bigint")));
	set_identity(alter, table, column->name,
				 castNode(Constraint, step->cmd->def)->generated_when, step->recurse);
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, table, column->name);
}

static MigspecWorldColumn *
identity_column(const MigspecWorldTable *table, const char *name, bool missing_ok)
{
	MigspecWorldColumn *column = migspec_alter_column(table, name);

	if (column->identity != '\0')
		return column;
	if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" is not an identity column",
						column->name, table->name)));
	return NULL;
}

/* see alter_table.h: SET GENERATED, SET and RESTART of its sequence */
void
migspec_alter_set_identity(MigspecAlter *alter, MigspecAltered *altered,
						   MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column;
	ListCell   *cell;

	check_identity_target(table, step->recurse, "change identity column of");
	column = identity_column(table, step->cmd->name, false);
	foreach(cell, castNode(List, step->cmd->def))
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "generated") == 0)
			set_identity(alter, table, column->name, intVal(option->arg), step->recurse);
	}
}

/* see alter_table.h: DROP IDENTITY */
void
migspec_alter_drop_identity(MigspecAlter *alter, MigspecAltered *altered,
							MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column;

	check_identity_target(table, step->recurse, "drop identity from");
	column = identity_column(table, step->cmd->name, step->cmd->missing_ok);
	if (column == NULL)
		return;
	set_identity(alter, table, column->name, '\0', step->recurse);
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, table, column->name);
}

/* see alter_table.h: DROP EXPRESSION */
void
migspec_alter_drop_expression(MigspecAlter *alter, MigspecAltered *altered,
							  MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, step->cmd->name);

	if (!step->recurse && !step->recursing && migspec_world_children(table) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ALTER TABLE / DROP EXPRESSION must be applied to child tables too")));
	if (!step->recursing && migspec_is_inherited(table, column->name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot drop generation expression from inherited column")));
	if (column->generated == ATTRIBUTE_GENERATED_VIRTUAL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ALTER TABLE / DROP EXPRESSION is not supported for virtual generated columns"),
				 errdetail("Column \"%s\" of relation \"%s\" is a virtual generated column.",
						   column->name, table->name)));
	if (column->generated == '\0')
	{
		if (step->cmd->missing_ok)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" is not a generated column",
						column->name, table->name)));
	}
	column->generated = '\0';
	column->has_default = false;
	if (!step->recursing)
		migspec_check_fact(alter->stmt, RULE_CHANGE_DEFAULT, table, column->name);
}

/* see alter_table.h: SET STATISTICS, SET (...), OPTIONS (...) */
void
migspec_alter_statistics(MigspecAlter *alter, MigspecAltered *altered,
						 MigspecAlterStep *step)
{
	if (step->cmd->name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot refer to non-index column by number")));
	(void) migspec_alter_column(altered->table, step->cmd->name);
	if (step->cmd->subtype == AT_SetOptions || step->cmd->subtype == AT_ResetOptions)
		(void) attribute_reloptions(transformRelOptions((Datum) 0,
														(List *) step->cmd->def, NULL, NULL,
														false,
														step->cmd->subtype == AT_ResetOptions),
									true);
}

/* see alter_table.h: SET STORAGE, SET COMPRESSION */
void
migspec_alter_storage(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldColumn *column = migspec_alter_column(altered->table, step->cmd->name);
	const char *value = strVal(step->cmd->def);

	if (OidIsValid(column->type) && !TypeIsToastable(column->type) &&
		pg_strcasecmp(value, step->cmd->subtype == AT_SetStorage ? "plain" : "default") != 0 &&
		pg_strcasecmp(value, "default") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 step->cmd->subtype == AT_SetStorage ?
				 errmsg("column data type %s can only have storage PLAIN",
						format_type_be(column->type)) :
				 errmsg("column data type %s does not support compression",
						format_type_be(column->type))));
	if (!step->recursing)
		migspec_check_fact(alter->stmt, RULE_POLICY_DDL, altered->table, column->name);
}
