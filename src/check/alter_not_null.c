/*-------------------------------------------------------------------------
 *
 * alter_not_null.c
 *		Columns become NOT NULL, or nullable again.
 *
 * Rows are read unless valid constraints prove that no value is null.  Since
 * 18 there is a constraint behind it, which may be NOT VALID and is inherited
 * one by one; before, a mark on the column is all, and SET NOT NULL goes
 * straight to all descendants.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"

#include "base/compat.h"
#include "check/alter_table.h"

/* see alter_table.h */
MigspecWorldConstraint *
migspec_not_null_constraint(const MigspecWorldTable *table, AttrNumber attno)
{
	ListCell   *cell;

	foreach(cell, table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->type == CONSTRAINT_NOTNULL &&
			list_member_int(constraint->columns, attno))
			return constraint;
	}
	return NULL;
}

/* see alter_table.h */
MigspecWorldConstraint *
migspec_note_not_null(MigspecWorldTable *table, MigspecWorldColumn *column,
					  const char *name)
{
	MigspecWorldConstraint *constraint;
	MemoryContext old;

	if (name == NULL)
		name = migspec_alter_choose_name(table, column->name, "not_null", false);
	migspec_refuse_constraint(table, name);
	constraint = migspec_world_add_constraint(table, name, CONSTRAINT_NOTNULL);
	old = MemoryContextSwitchTo(table->world->context);
	constraint->columns = list_make1_int(column->attno);
	MemoryContextSwitchTo(old);
	return constraint;
}

/*
 * Mark the column; its rows are read, if they are to be, unless something
 * proves that they need not.  True: they are read.  See set_attnotnull().
 */
static bool
mark(MigspecAltered *altered, MigspecWorldColumn *column, bool validate)
{
	bool		proven;

	if (column->not_null)
		return false;
	migspec_world_remember(altered->table);
	proven = validate && migspec_world_proves_not_null(altered->table, column->attno);
	column->not_null = true;
	column->not_null_valid = validate;
	if (!validate || proven || !migspec_has_storage(altered->table))
		return false;
	altered->scan = true;
	return true;
}

/*
 * Before 18.  See ATPrepSetNotNull() and ATExecSetNotNull() there.
 */
static bool
set_mark(MigspecAlter *alter, MigspecAltered *altered, const char *name, bool recurse)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, name);
	bool		partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	bool		scans;
	ListCell   *cell;

	if (partitioned && column->not_null)
		return false;
	scans = mark(altered, column, true);
	if (!recurse && !partitioned)
		return scans;
	foreach(cell, migspec_world_descendants(table))
	{
		MigspecAltered *child = migspec_alter_child(alter, lfirst(cell));
		MigspecWorldColumn *own = migspec_alter_column(child->table, name);

		if (recurse)
			scans |= mark(child, own, true);
		else if (!own->not_null)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("constraint must be added to child tables too"),
					 errdetail("Column \"%s\" of relation \"%s\" is not already NOT NULL.",
							   name, child->table->name),
					 errhint("Do not specify the ONLY keyword.")));
	}
	return scans;
}

/*
 * Since 18: there is a constraint already.
 */
static bool
keep_constraint(MigspecAlter *alter, MigspecWorldConstraint *constraint, bool recurse,
				bool recursing)
{
	if (constraint->no_inherit && recurse)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change NO INHERIT status of NOT NULL constraint \"%s\" on relation \"%s\"",
						constraint->name, constraint->table->name)));
	if (recursing)
		return false;
	if (!constraint->is_local)
	{
		constraint->is_local = true;
		return false;
	}
	if (constraint->validated)
		return false;
	migspec_validate_not_null(alter, constraint, recurse);
	return true;
}

/*
 * Since 18.  See ATExecSetNotNull().
 */
static bool
set_constraint(MigspecAlter *alter, MigspecAltered *altered, const char *column_name,
			   const char *name, bool recurse, bool recursing)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, column_name);
	MigspecWorldConstraint *constraint = migspec_not_null_constraint(table, column->attno);
	List	   *children;
	bool		scans;
	ListCell   *cell;

	check_stack_depth();
	if (constraint != NULL)
		return keep_constraint(alter, constraint, recurse, recursing);

	children = migspec_world_children(table);
	if (!recurse && children != NIL && table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("constraint must be added to child tables too"),
				 errhint("Do not specify the ONLY keyword.")));
	constraint = migspec_note_not_null(table, column, name);
	constraint->no_inherit = !recurse && children != NIL;
	constraint->is_local = !recursing;
	scans = mark(altered, column, true);
	if (!recurse)
		return scans;
	foreach(cell, children)
	{
		MigspecAltered *child = migspec_alter_child(alter, lfirst(cell));

		scans |= set_constraint(alter, child, column_name, constraint->name, true, true);
	}
	return scans;
}

/* see alter_table.h */
void
migspec_inherit_not_null(MigspecAlter *alter, MigspecAltered *altered, const char *column,
						 const char *name)
{
	(void) set_constraint(alter, altered, column, name, true, true);
}

/* see alter_table.h */
void
migspec_alter_set_not_null_prepare(MigspecAlter *alter, MigspecAltered *altered,
								   MigspecAlterStep *step)
{
	/* before 18, children are looked for before a column could be added */
	if (!MIGSPEC_NOT_NULL_CONSTRAINTS &&
		altered->table->kind == RELKIND_PARTITIONED_TABLE &&
		migspec_world_children(altered->table) != NIL)
		(void) migspec_alter_column(altered->table, step->cmd->name);
}

/* see alter_table.h: SET NOT NULL */
void
migspec_alter_set_not_null(MigspecAlter *alter, MigspecAltered *altered,
						   MigspecAlterStep *step)
{
	bool		scans;

	if (MIGSPEC_NOT_NULL_CONSTRAINTS)
		scans = set_constraint(alter, altered, step->cmd->name, NULL, step->recurse, false);
	else
		scans = set_mark(alter, altered, step->cmd->name, step->recurse);
	if (scans && !altered->rewrite)
		migspec_check_fact(alter->stmt, RULE_SET_NOT_NULL_SCAN, altered->table,
						   step->cmd->name);
}

/*
 * A constraint for one table.  False: it has one, and its children as well.
 */
static bool
add_constraint(MigspecAltered *altered, const Constraint *constraint,
			   MigspecWorldColumn *column, const char *name, bool recursing, bool *scans)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldConstraint *old = migspec_not_null_constraint(table, column->attno);
	MigspecWorldConstraint *new;

	if (old == NULL)
	{
		new = migspec_note_not_null(table, column, name);
		new->validated = !constraint->skip_validation;
		new->no_inherit = constraint->is_no_inherit;
		new->is_local = !recursing;
		*scans |= mark(altered, column, !constraint->skip_validation);
		return true;
	}

	/* see AdjustNotNullInheritance() in catalog/pg_constraint.c */
	if (constraint->is_no_inherit != old->no_inherit)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change NO INHERIT status of NOT NULL constraint \"%s\" on relation \"%s\"",
						old->name, table->name)));
	if (!constraint->skip_validation && !old->validated)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("incompatible NOT VALID constraint \"%s\" on relation \"%s\"",
						old->name, table->name),
				 errhint("You might need to validate it using %s.",
						 "ALTER TABLE ... VALIDATE CONSTRAINT")));
	if (!recursing && name != NULL && strcmp(name, old->name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create not-null constraint \"%s\" on column \"%s\" of table \"%s\"",
						name, column->name, table->name),
				 errdetail("A not-null constraint named \"%s\" already exists for this column.",
						   old->name)));
	if (!recursing)
		old->is_local = true;
	return false;
}

static bool
add_to_children(MigspecAlter *alter, MigspecAltered *altered, const Constraint *constraint,
				const char *column_name, const char *name, bool recurse, bool recursing)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, column_name);
	List	   *children;
	bool		scans = false;
	ListCell   *cell;

	check_stack_depth();
	if (!add_constraint(altered, constraint, column, name, recursing, &scans) ||
		constraint->is_no_inherit)
		return scans;
	children = migspec_world_children(table);
	if (!recurse && children != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("constraint must be added to child tables too")));
	name = migspec_not_null_constraint(table, column->attno)->name;
	foreach(cell, children)
	{
		MigspecAltered *child = migspec_alter_child(alter, lfirst(cell));

		scans |= add_to_children(alter, child, constraint, column_name, name, true, true);
	}
	return scans;
}

/* see alter_table.h: ADD CONSTRAINT ... NOT NULL */
void
migspec_alter_add_not_null(MigspecAlter *alter, MigspecAltered *altered,
						   MigspecAlterStep *step)
{
	Constraint *constraint = step->constraint;
	char	   *column = strVal(linitial(constraint->keys));
	bool		of_key = step->cmd == NULL;

	if (constraint->is_no_inherit && altered->table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("not-null constraints on partitioned tables cannot be NO INHERIT")));
	if (add_to_children(alter, altered, constraint, column, constraint->conname,
						step->recurse, false) && !altered->rewrite)
		migspec_check_fact(alter->stmt,
						   of_key ? RULE_PK_NULLABLE_SCAN : RULE_ADD_NOT_NULL_CONSTRAINT,
						   altered->table, column)->detail = constraint->conname;
}

/*
 * Before 18, for a primary key.
 */
static void
set_key_not_null(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	char	   *column = strVal(linitial(step->constraint->keys));

	if (set_mark(alter, altered, column, step->recurse) && !altered->rewrite)
		migspec_check_fact(alter->stmt, RULE_PK_NULLABLE_SCAN, altered->table, column);
}

/*
 * See verifyNotNullPKCompatible().
 */
static void
check_key_constraint(const MigspecWorldConstraint *constraint, const char *column)
{
	if (constraint->no_inherit || !constraint->validated)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot create primary key on column \"%s\"", column),
				 errdetail("The constraint \"%s\" on column \"%s\" of table \"%s\", marked %s, is incompatible with a primary key.",
						   constraint->name, column, constraint->table->name,
						   constraint->no_inherit ? "NO INHERIT" : "NOT VALID")));
}

/* see alter_table.h */
void
migspec_alter_key_not_null(MigspecAlter *alter, MigspecAltered *altered, List *columns,
						   bool recurse)
{
	MigspecWorldTable *table = altered->table;
	ListCell   *cell;

	foreach(cell, columns)
	{
		MigspecWorldColumn *column = migspec_world_column(table, lfirst(cell));
		MigspecWorldConstraint *old;
		MigspecAlterStep *step;
		ListCell   *lc;

		if (column == NULL)
			continue;			/* that error comes later */
		old = migspec_not_null_constraint(table, column->attno);
		if (old != NULL)
		{
			check_key_constraint(old, column->name);
			continue;
		}
		foreach(lc, !recurse && MIGSPEC_NOT_NULL_CONSTRAINTS ?
				migspec_world_children(table) : NIL)
		{
			MigspecWorldTable *child = lfirst(lc);
			MigspecWorldColumn *own = migspec_alter_column(child, column->name);

			migspec_check_lock(alter->stmt, child, alter->lock);
			old = migspec_not_null_constraint(child, own->attno);
			if (old == NULL)
				ereport(ERROR,
						(errmsg("column \"%s\" of table \"%s\" is not marked NOT NULL",
								column->name, child->name)));
			check_key_constraint(old, column->name);
		}

		step = migspec_alter_schedule(altered, MIGSPEC_PASS_COLUMN,
									  MIGSPEC_NOT_NULL_CONSTRAINTS ?
									  migspec_alter_add_not_null : set_key_not_null, NULL);
		step->constraint = makeNode(Constraint);
		step->constraint->contype = CONSTR_NOTNULL;
		step->constraint->keys = list_make1(makeString(pstrdup(column->name)));
		step->constraint->initially_valid = true;
		step->recurse = recurse || MIGSPEC_NOT_NULL_CONSTRAINTS;
	}
}

/* see alter_table.h */
void
migspec_validate_not_null(MigspecAlter *alter, MigspecWorldConstraint *constraint,
						  bool recurse)
{
	MigspecWorldTable *table = constraint->table;
	MigspecWorldColumn *column =
	migspec_world_column_no(table, linitial_int(constraint->columns));
	MigspecAltered *altered = migspec_altered(alter, table);
	ListCell   *cell;

	foreach(cell, constraint->no_inherit ? NIL : migspec_world_descendants(table))
	{
		MigspecAltered *child;
		MigspecWorldColumn *own;
		MigspecWorldConstraint *other;

		if (!recurse)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("constraint must be validated on child tables too")));
		child = migspec_alter_child(alter, lfirst(cell));
		own = migspec_alter_column(child->table, column->name);
		other = migspec_not_null_constraint(child->table, own->attno);
		if (other == NULL || other->validated)
			continue;
		other->validated = true;
		own->not_null_valid = true;
		child->scan = true;
	}
	constraint->validated = true;
	column->not_null_valid = true;
	altered->scan = true;
}

/*
 * Something else needs it.
 */
static void
refuse_needed(const MigspecWorldTable *table, const MigspecWorldColumn *column)
{
	ListCell   *cell;

	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);

		for (int i = 0; i < index->nkeys && !index->dropped; i++)
		{
			if (index->attnos[i] != column->attno)
				continue;
			if (index->primary)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						 errmsg("column \"%s\" is in a primary key", column->name)));
			if (index->replica_identity)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						 errmsg("column \"%s\" is in index used as replica identity",
								column->name)));
		}
	}
}

/*
 * Before 18, or if no constraint is known: the mark goes.
 */
static void
drop_mark(MigspecWorldTable *table, MigspecWorldColumn *column)
{
	refuse_needed(table, column);
	migspec_world_remember(table);
	column->not_null = false;
	column->not_null_valid = false;
}

/* see alter_table.h */
void
migspec_drop_not_null_constraint(MigspecWorldConstraint *constraint)
{
	MigspecWorldTable *table = constraint->table;
	MigspecWorldColumn *column =
	migspec_world_column_no(table, linitial_int(constraint->columns));

	if (column->identity != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" is an identity column",
						column->name, table->name)));
	drop_mark(table, column);
	migspec_world_drop_constraint(constraint);
}

/* see alter_table.h */
void
migspec_alter_not_null_inherit(MigspecAlter *alter, MigspecWorldConstraint *constraint,
							   bool no_inherit)
{
	MigspecWorldTable *table = constraint->table;
	MigspecWorldColumn *column =
	migspec_world_column_no(table, linitial_int(constraint->columns));
	ListCell   *cell;

	if (no_inherit && table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("not-null constraint \"%s\" on partitioned table \"%s\" cannot be NO INHERIT",
						constraint->name, table->name)));
	if (no_inherit && migspec_is_inherited(table, column->name) &&
		migspec_not_null_constraint(table->parent,
									migspec_map_attno(table, table->parent,
													  column->attno)) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot alter inherited constraint \"%s\" on relation \"%s\"",
						constraint->name, table->name)));
	if (no_inherit == constraint->no_inherit)
		return;
	migspec_world_remember(table);
	constraint->no_inherit = no_inherit;
	foreach(cell, migspec_world_children(table))
	{
		MigspecAltered *child = migspec_alter_child(alter, lfirst(cell));
		MigspecWorldColumn *own = migspec_alter_column(child->table, column->name);
		MigspecWorldConstraint *part = migspec_not_null_constraint(child->table, own->attno);

		if (!no_inherit)
		{
			if (set_constraint(alter, child, column->name, constraint->name, true, true) &&
				!child->rewrite)
				migspec_check_fact(alter->stmt, RULE_SET_NOT_NULL_SCAN, child->table,
								   column->name);
		}
		else if (part != NULL)
			part->is_local = true;
	}
}

/* see alter_table.h: DROP NOT NULL */
void
migspec_alter_drop_not_null(MigspecAlter *alter, MigspecAltered *altered,
							MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, step->cmd->name);
	MigspecWorldConstraint *constraint;
	ListCell   *cell;

	if (MIGSPEC_NOT_NULL_CONSTRAINTS && !column->not_null)
		return;
	if (!MIGSPEC_NOT_NULL_CONSTRAINTS && table->kind == RELKIND_PARTITIONED_TABLE &&
		!step->recurse && migspec_world_children(table) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot remove constraint from only the partitioned table when partitions exist"),
				 errhint("Do not specify the ONLY keyword.")));
	if (column->identity != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("column \"%s\" of relation \"%s\" is an identity column",
						column->name, table->name)));
	if (table->is_partition && table->parent != NULL)
	{
		MigspecWorldColumn *of_parent = migspec_world_column(table->parent, column->name);

		if (of_parent != NULL && of_parent->not_null)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("column \"%s\" is marked NOT NULL in parent table",
							column->name)));
	}

	constraint = migspec_not_null_constraint(table, column->attno);
	if (constraint != NULL)
		migspec_alter_drop_one(alter, constraint, DROP_RESTRICT, step->recurse, false);
	else
	{
		drop_mark(table, column);
		foreach(cell, step->recurse ? migspec_world_descendants(table) : NIL)
		{
			MigspecWorldTable *child = migspec_alter_child(alter, lfirst(cell))->table;

			drop_mark(child, migspec_alter_column(child, column->name));
		}
	}
	migspec_check_fact(alter->stmt, RULE_DROP_NOT_NULL, table, column->name);
}
