/*-------------------------------------------------------------------------
 *
 * alter_constraint.c
 *		ADD, DROP, VALIDATE and ALTER CONSTRAINT.
 *
 * Adding is sorted into the passes here; what it takes is in constraint.c and
 * its like.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_publication.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "check/alter_table.h"

/*
 * Columns of the key: List of char *.
 */
static List *
key_columns(MigspecWorldTable *table, const Constraint *constraint)
{
	List	   *names = NIL;
	ListCell   *cell;

	if (constraint->indexname != NULL)
	{
		MigspecWorldIndex *index = migspec_key_index(table, constraint);

		for (int i = 0; i < index->nkeys; i++)
			names = lappend(names,
							migspec_world_column_no(table, index->attnos[i])->name);
	}
	foreach(cell, constraint->keys)
		names = lappend(names, strVal(lfirst(cell)));
	return names;
}

/* see alter_table.h: ADD CONSTRAINT, or a constraint written at a new column */
void
migspec_alter_add_constraint(MigspecAlter *alter, MigspecAltered *altered,
							 MigspecAlterStep *step)
{
	Constraint *constraint = step->constraint != NULL ? step->constraint :
	castNode(Constraint, copyObject(step->cmd->def));
	MigspecAlterPass pass = MIGSPEC_PASS_OTHER_CONSTRAINT;
	MigspecAlterExec exec;
	MigspecAlterStep *scheduled;

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			exec = migspec_alter_add_check;
			break;
		case CONSTR_NOTNULL:
			pass = MIGSPEC_PASS_COLUMN;
			exec = migspec_alter_add_not_null;
			break;
		case CONSTR_FOREIGN:
			exec = migspec_alter_add_foreign_key;
			break;
		case CONSTR_PRIMARY:
			if (!alter->creating && step->column == NULL)
				migspec_alter_key_not_null(alter, altered,
										   key_columns(altered->table, constraint),
										   step->recurse);
			/* FALLTHROUGH */
		case CONSTR_UNIQUE:
		case CONSTR_EXCLUSION:
			pass = MIGSPEC_PASS_INDEX;
			exec = migspec_alter_add_key;
			if (constraint->indexname != NULL)
			{
				pass = MIGSPEC_PASS_INDEX_CONSTRAINT;
				exec = migspec_alter_add_key_using;
			}
			break;
		default:
			elog(ERROR, "unrecognized constraint type: %d", (int) constraint->contype);
	}

	scheduled = migspec_alter_schedule(altered, pass, exec, step->cmd);
	scheduled->constraint = constraint;
	scheduled->column = step->column;
	scheduled->recurse = step->recurse;
}

static MigspecWorldConstraint *
find_constraint(const MigspecWorldTable *table, const char *name)
{
	MigspecWorldConstraint *constraint = migspec_world_constraint(table, name);

	if (constraint == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint \"%s\" of relation \"%s\" does not exist",
						name, table->name)));
	return constraint;
}

/*
 * A publication that has the table, by name, or NULL.
 */
static char *
publication_of(const MigspecWorldTable *table)
{
	List	   *publications;
	Oid			nspoid = get_namespace_oid(table->schema, true);

	if (!OidIsValid(table->oid))
		return NULL;
	publications = GetRelationPublications(table->oid);
	if (OidIsValid(nspoid))
		publications = list_concat(publications, GetSchemaPublications(nspoid));
	publications = list_concat(publications, GetAllTablesPublications());
	return publications == NIL ? NULL :
		get_publication_name(linitial_oid(publications), true);
}

/* see alter_table.h */
void
migspec_alter_note_identity(MigspecAlter *alter, MigspecWorldIndex *index)
{
	MigspecWorldTable *table = index->table;
	char	   *publication;

	if (!index->replica_identity &&
		!(index->primary && table->replica_identity == REPLICA_IDENTITY_DEFAULT))
		return;
	publication = publication_of(table);
	if (publication != NULL)
		migspec_check_fact(alter->stmt, RULE_REPLICA_IDENTITY_LOST, table, publication);
}

/* see alter_table.h */
void
migspec_alter_note_foreign_keys(MigspecAlter *alter, MigspecDeletion *deletion)
{
	ListCell   *cell;

	foreach(cell, deletion->victims)
	{
		MigspecVictim *victim = lfirst(cell);
		MigspecWorldConstraint *constraint = victim->constraint;
		MigspecWorldTable *other;

		if (constraint == NULL || constraint->type != CONSTRAINT_FOREIGN ||
			constraint->referenced == NULL || constraint->referenced == constraint->table ||
			!constraint->enforced || migspec_is_action_only(constraint) ||
			(constraint->table->is_partition && !constraint->is_local))
			continue;
		other = constraint->table == alter->target ? constraint->referenced :
			constraint->table;
		migspec_check_fact(alter->stmt, RULE_DROP_FK_LOCKS_REFERENCED, alter->target,
						   constraint->name)->other = other;
	}
}

/*
 * The part of a CHECK or NOT NULL constraint in a child.
 */
static MigspecWorldConstraint *
find_part(const MigspecWorldConstraint *constraint, const MigspecWorldTable *child)
{
	if (constraint->type == CONSTRAINT_NOTNULL)
		return migspec_not_null_constraint(child,
										   migspec_map_attno(constraint->table, child,
															 linitial_int(constraint->columns)));
	return migspec_world_constraint(child, constraint->name);
}

/*
 * Parts of the script's making, of keys and foreign keys: of others the catalog
 * tells that they depend on those of their parent.
 */
static void
drop_parts(MigspecAlter *alter, const MigspecWorldConstraint *constraint)
{
	ListCell   *cell;

	foreach(cell, constraint->table->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_children(constraint->table) : NIL)
	{
		MigspecWorldTable *child = lfirst(cell);
		MigspecWorldConstraint *part = NULL;
		MigspecWorldIndex *index;

		if (constraint->type == CONSTRAINT_FOREIGN)
			part = migspec_foreign_key_part(constraint, child);
		else if (constraint->index != NULL &&
				 (index = migspec_index_part(constraint->index, child)) != NULL)
			part = migspec_constraint_of(index);
		if (part == NULL || part->dropped || part->is_local || OidIsValid(part->oid))
			continue;
		migspec_check_lock(alter->stmt, child, AccessExclusiveLock);
		migspec_world_drop_constraint(part);
		drop_parts(alter, part);
	}
}

/* see alter_table.h */
void
migspec_alter_drop_one(MigspecAlter *alter, MigspecWorldConstraint *constraint,
					   DropBehavior behavior, bool recurse, bool recursing)
{
	MigspecWorldTable *table = constraint->table;
	MigspecDeletion *deletion = migspec_deletion_create(alter->stmt);
	bool		inherits = constraint->type == CONSTRAINT_CHECK ||
	constraint->type == CONSTRAINT_NOTNULL;
	MigspecWorldConstraint old = *constraint;
	char	   *cascaded;
	ListCell   *cell;

	check_stack_depth();
	if (!recursing && inherits)
	{
		MigspecWorldConstraint *of_parent =
		table->parent == NULL ? NULL : find_part(constraint, table->parent);

		if (constraint->inherited > 0 || (of_parent != NULL && !of_parent->no_inherit))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot drop inherited constraint \"%s\" of relation \"%s\"",
							constraint->name, table->name)));
	}
	if (!recursing && !inherits && !constraint->is_local && table->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot drop inherited constraint \"%s\" of relation \"%s\"",
						constraint->name, table->name)));

	if (!MIGSPEC_NOT_NULL_CONSTRAINTS && inherits && !recurse && !old.no_inherit &&
		table->kind == RELKIND_PARTITIONED_TABLE && migspec_world_children(table) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot remove constraint from only the partitioned table when partitions exist"),
				 errhint("Do not specify the ONLY keyword.")));

	if (constraint->type == CONSTRAINT_FOREIGN && constraint->referenced != NULL &&
		constraint->referenced != table)
		migspec_check_lock(alter->stmt, constraint->referenced, AccessExclusiveLock);
	if (constraint->type == CONSTRAINT_NOTNULL)
		migspec_drop_not_null_constraint(constraint);
	else
	{
		migspec_deletion_add_constraint(deletion, constraint);
		migspec_deletion_collect(deletion, behavior == DROP_CASCADE);
		cascaded = migspec_deletion_cascaded(deletion);
		if (cascaded != NULL)
			migspec_check_fact(alter->stmt, RULE_DROP_CASCADE, table,
							   constraint->name)->detail = cascaded;
		migspec_alter_note_foreign_keys(alter, deletion);
		if (constraint->index != NULL)
			migspec_alter_note_identity(alter, constraint->index);
		migspec_deletion_lock(deletion);
		migspec_deletion_apply(deletion);
		if (!constraint->dropped)
			migspec_world_drop_constraint(constraint);
	}

	/* other constraints of partitions depend on those of their parent */
	if (!inherits)
	{
		drop_parts(alter, &old);
		return;
	}
	foreach(cell, old.no_inherit ? NIL : migspec_world_children(table))
	{
		MigspecWorldTable *child = migspec_alter_child(alter, lfirst(cell))->table;
		MigspecWorldConstraint *part = find_part(&old, child);

		if (part == NULL)
			continue;
		if (recurse && !part->is_local && part->inherited <= 1)
		{
			migspec_alter_drop_one(alter, part, behavior, true, true);
			continue;
		}
		part->is_local |= !recurse;
		part->inherited -= part->inherited > 0;
	}
}

/* see alter_table.h: DROP CONSTRAINT */
void
migspec_alter_drop_constraint(MigspecAlter *alter, MigspecAltered *altered,
							  MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	char	   *name = step->cmd->name;
	ListCell   *cell;

	foreach(cell, table->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_descendants(table) : NIL)
		migspec_check_lock(alter->stmt, lfirst(cell), alter->lock);
	if (step->cmd->missing_ok && migspec_world_constraint(table, name) == NULL)
		return;
	migspec_alter_drop_one(alter, find_constraint(table, name), step->cmd->behavior,
						   step->recurse, false);
	migspec_check_fact(alter->stmt, RULE_DROP_CONSTRAINT, table, name);
	migspec_check_fact(alter->stmt, RULE_NO_REVERSE, table, name);
}

/*
 * See QueueCheckConstraintValidation().
 */
static void
validate_check(MigspecAlter *alter, MigspecWorldConstraint *constraint, bool recurse)
{
	MigspecWorldTable *table = constraint->table;
	ListCell   *cell;

	foreach(cell, constraint->no_inherit ? NIL : migspec_world_descendants(table))
	{
		MigspecAltered *child;
		MigspecWorldConstraint *part;

		if (!recurse)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("constraint must be validated on child tables too")));
		child = migspec_alter_child(alter, lfirst(cell));
		part = find_constraint(child->table, constraint->name);
		if (part->validated)
			continue;
		part->validated = true;
		child->scan = true;
	}
	constraint->validated = true;
	migspec_altered(alter, table)->scan = true;
}

/* see alter_table.h: VALIDATE CONSTRAINT */
void
migspec_alter_validate_constraint(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldConstraint *constraint = find_constraint(table, step->cmd->name);

	if (constraint->type != CONSTRAINT_CHECK && constraint->type != CONSTRAINT_FOREIGN &&
		(constraint->type != CONSTRAINT_NOTNULL || !MIGSPEC_NOT_NULL_CONSTRAINTS))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot validate constraint \"%s\" of relation \"%s\"",
						constraint->name, table->name),
				 errdetail("This operation is not supported for this type of constraint.")));
	if (!constraint->enforced)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot validate NOT ENFORCED constraint")));
	if (constraint->validated)
		return;

	if (constraint->type == CONSTRAINT_FOREIGN)
		migspec_validate_foreign_key(alter, constraint);
	else if (constraint->type == CONSTRAINT_CHECK)
		validate_check(alter, constraint, step->recurse);
	else
		migspec_validate_not_null(alter, constraint, step->recurse);
}

/*
 * A foreign key is enforced, or is no more.  See
 * ATExecAlterConstrEnforceability().
 */
static bool
set_enforced(MigspecAlter *alter, MigspecWorldConstraint *constraint, bool enforced)
{
	MigspecWorldTable *table = constraint->table;
	bool		changes = constraint->enforced != enforced;
	bool		reads = false;
	ListCell   *cell;

	check_stack_depth();
	migspec_check_lock(alter->stmt, table, alter->lock);
	if (!enforced && constraint->enforced)
		migspec_lock_referenced(alter, constraint->referenced, AccessExclusiveLock);
	else if (changes)
		migspec_lock_referenced(alter, constraint->referenced, ShareRowExclusiveLock);
	if (enforced && !changes)
		return false;

	constraint->enforced = enforced;
	constraint->validated = enforced;
	if (enforced && table->kind != RELKIND_PARTITIONED_TABLE)
	{
		migspec_check_work(alter->stmt, table, MIGSPEC_WORK_FK_VALIDATION);
		reads = true;
	}
	foreach(cell, table->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_children(table) : NIL)
	{
		MigspecWorldConstraint *part = migspec_foreign_key_part(constraint, lfirst(cell));

		if (part != NULL)
			reads |= set_enforced(alter, part, enforced);
	}
	return reads;
}

/*
 * A foreign key becomes deferrable or not: so do its triggers everywhere,
 * though no lock is taken on the other table.
 */
static void
set_deferrable(MigspecAlter *alter, MigspecWorldConstraint *constraint)
{
	ListCell   *cell;

	if (constraint->table->kind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(cell, migspec_world_children(constraint->table))
	{
		MigspecWorldConstraint *part = migspec_foreign_key_part(constraint, lfirst(cell));

		if (part == NULL)
			continue;
		migspec_check_lock(alter->stmt, part->table, alter->lock);
		set_deferrable(alter, part);
	}
}

/* see alter_table.h: ALTER CONSTRAINT */
void
migspec_alter_constraint(MigspecAlter *alter, MigspecAltered *altered,
						 MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecAlterConstraint node = migspec_alter_constraint_node(step->cmd->def);
	MigspecWorldConstraint *constraint = find_constraint(table, node.name);

	if (node.deferrability && constraint->type != CONSTRAINT_FOREIGN)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("constraint \"%s\" of relation \"%s\" is not a foreign key constraint",
						node.name, table->name)));
	if (node.enforceability && constraint->type != CONSTRAINT_FOREIGN)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot alter enforceability of constraint \"%s\" of relation \"%s\"",
						node.name, table->name)));
	if (node.inheritability && constraint->type != CONSTRAINT_NOTNULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("constraint \"%s\" of relation \"%s\" is not a not-null constraint",
						node.name, table->name)));
	if (constraint->type == CONSTRAINT_FOREIGN && table->is_partition &&
		!constraint->is_local)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot alter constraint \"%s\" on relation \"%s\"",
						node.name, table->name),
				 errhint("You may alter the constraint it derives from instead.")));

	if (node.enforceability)
	{
		if (set_enforced(alter, constraint, node.enforced))
			migspec_check_fact(alter->stmt, RULE_ALTER_CONSTRAINT_ENFORCED, table,
							   constraint->name)->other = constraint->referenced;
	}
	else if (node.deferrability &&
			 (MIGSPEC_DEFERRABLE_ALWAYS_RECURSES ||
			  migspec_changes_deferrability(constraint, node.deferrable, node.deferred)))
		set_deferrable(alter, constraint);
	if (node.inheritability)
		migspec_alter_not_null_inherit(alter, constraint, node.no_inherit);
}
