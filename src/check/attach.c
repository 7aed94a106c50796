/*-------------------------------------------------------------------------
 *
 * attach.c
 *		ATTACH and DETACH PARTITION, INHERIT and NO INHERIT.
 *
 * A table that becomes a partition gets the indexes and foreign keys of its
 * parent that it lacks; its rows are read unless its constraints prove that
 * they belong there, and those of the default partition unless they cannot.
 * See ATExecAttachPartition() in commands/tablecmds.c.
 *
 * Runs in the process that analyses a script; changes the world only.  What
 * partitions must hold is asked in partition_quals.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/statements.h"

/*
 * Is the column of the child what the parent demands?
 */
static void
check_child_column(const MigspecWorldTable *child, const MigspecWorldTable *parent,
				   const MigspecWorldColumn *column)
{
	MigspecWorldColumn *own = migspec_world_column(child, column->name);
	MigspecWorldConstraint *not_null = migspec_not_null_constraint(parent, column->attno);

	if (own == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("child table is missing column \"%s\"", column->name)));
	if (own->type != column->type || own->typmod != column->typmod)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("child table \"%s\" has different type for column \"%s\"",
						child->name, column->name)));
	if (own->collation != column->collation)
		ereport(ERROR,
				(errcode(ERRCODE_COLLATION_MISMATCH),
				 errmsg("child table \"%s\" has different collation for column \"%s\"",
						child->name, column->name)));
	if (column->not_null && !own->not_null && (not_null == NULL || !not_null->no_inherit))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" in child table must be marked NOT NULL",
						column->name)));
	if (column->generated != own->generated)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 column->generated != '\0' && own->generated != '\0' ?
				 errmsg("column \"%s\" inherits from generated column of different kind",
						column->name) :
				 column->generated != '\0' ?
				 errmsg("column \"%s\" in child table must be a generated column",
						column->name) :
				 errmsg("column \"%s\" in child table must not be a generated column",
						column->name)));
}

/*
 * CHECK constraints of the parent must be there already.
 */
static void
check_child_constraint(MigspecWorldTable *child, const MigspecWorldTable *parent,
					   const MigspecWorldConstraint *constraint)
{
	MigspecWorldConstraint *own = migspec_world_constraint(child, constraint->name);

	if (own == NULL || own->type != CONSTRAINT_CHECK)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("child table is missing constraint \"%s\"", constraint->name)));
	if (constraint->expr != NULL && own->expr != NULL &&
		strcmp(migspec_world_deparse(parent, constraint->expr),
			   migspec_world_deparse(child, own->expr)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("child table \"%s\" has different definition for check constraint \"%s\"",
						child->name, constraint->name)));
	if (own->no_inherit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("constraint \"%s\" conflicts with non-inherited constraint on child table \"%s\"",
						own->name, child->name)));
	if (constraint->validated && own->enforced && !own->validated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("constraint \"%s\" conflicts with NOT VALID constraint on child table \"%s\"",
						own->name, child->name)));
	if (constraint->enforced && !own->enforced)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("constraint \"%s\" conflicts with NOT ENFORCED constraint on child table \"%s\"",
						own->name, child->name)));
}

/*
 * Make it a child in the world; raises the server's errors.  See
 * MergeAttributesIntoExisting() and MergeConstraintsIntoExisting().
 */
static void
merge(MigspecWorldTable *child, MigspecWorldTable *parent, bool partition)
{
	ListCell   *cell;

	foreach(cell, parent->columns)
	{
		MigspecWorldColumn *column = lfirst(cell);
		MigspecWorldColumn *own;

		if (column->dropped)
			continue;
		check_child_column(child, parent, column);
		own = migspec_world_column(child, column->name);
		own->is_local &= !partition;
		own->inherited++;
		if (partition && MIGSPEC_PARTITIONED_IDENTITY)
			own->identity = column->identity;
	}
	foreach(cell, parent->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		MigspecWorldConstraint *own;
		AttrNumber	attno;

		if (constraint->dropped || constraint->no_inherit)
			continue;
		if (constraint->type == CONSTRAINT_CHECK)
		{
			check_child_constraint(child, parent, constraint);
			own = migspec_world_constraint(child, constraint->name);
			own->is_local &= !partition;
			own->inherited++;
		}
		else if (constraint->type == CONSTRAINT_NOTNULL)
		{
			attno = migspec_map_attno(parent, child, linitial_int(constraint->columns));
			own = migspec_not_null_constraint(child, attno);
			if (own != NULL && constraint->validated && !own->validated)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
						 errmsg("constraint \"%s\" conflicts with NOT VALID constraint on child table \"%s\"",
								own->name, child->name)));
			if (own != NULL)
			{
				own->is_local &= !partition;
				own->inherited++;
			}
		}
	}
	child->parent = parent;
	child->parent_oid = parent->oid;
}

/*
 * Can the table be attached at all?
 */
static void
check_attached(MigspecWorldTable *table, const MigspecWorldTable *parent)
{
	ListCell   *cell;

	if (table->kind != RELKIND_RELATION && table->kind != RELKIND_PARTITIONED_TABLE &&
		table->kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("ALTER action %s cannot be performed on relation \"%s\"",
						"ATTACH PARTITION", table->name)));
	if (table->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is already a partition", table->name)));
	if (table->parent != NULL || OidIsValid(table->parent_oid))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot attach inheritance child as partition")));
	if (table->kind == RELKIND_RELATION && migspec_world_children(table) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot attach inheritance parent as partition")));
	if (table == parent || list_member_ptr(migspec_world_descendants(table), parent))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("circular inheritance not allowed"),
				 errdetail("\"%s\" is already a child of \"%s\".",
						   parent->name, table->name)));
	if ((parent->persistence == RELPERSISTENCE_TEMP) !=
		(table->persistence == RELPERSISTENCE_TEMP))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 parent->persistence == RELPERSISTENCE_TEMP ?
				 errmsg("cannot attach a permanent relation as partition of temporary relation \"%s\"",
						parent->name) :
				 errmsg("cannot attach a temporary relation as partition of permanent relation \"%s\"",
						parent->name)));

	foreach(cell, table->columns)
	{
		MigspecWorldColumn *column = lfirst(cell);

		if (column->dropped)
			continue;
		if (column->identity != '\0' && MIGSPEC_PARTITIONED_IDENTITY)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("table \"%s\" being attached contains an identity column \"%s\"",
							table->name, column->name),
					 errdetail("The new partition may not contain an identity column.")));
		if (migspec_world_column(parent, column->name) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("table \"%s\" contains column \"%s\" not found in parent \"%s\"",
							table->name, column->name, parent->name),
					 errdetail("The new partition may contain only the columns present in parent.")));
	}
}

/*
 * Indexes of the parent that the table lacks are built.
 */
static void
attach_indexes(MigspecAlter *alter, MigspecWorldTable *table, MigspecWorldTable *parent)
{
	ListCell   *cell;

	foreach(cell, parent->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		MigspecWorldConstraint *constraint;
		MigspecWorldConstraint *own;
		MigspecWorldIndex *part;

		if (index->dropped || !index->partitioned)
			continue;
		if (table->kind == RELKIND_FOREIGN_TABLE)
		{
			if (index->unique)
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("cannot attach foreign table \"%s\" as partition of partitioned table \"%s\"",
								table->name, parent->name),
						 errdetail("Partitioned table \"%s\" contains unique indexes.",
								   parent->name)));
			continue;
		}
		constraint = migspec_constraint_of(index);
		part = migspec_index_part(index, table);
		if (part != NULL)
		{
			own = migspec_constraint_of(part);
			if (constraint != NULL && own != NULL)
				own->is_local = false;
			continue;
		}
		if (index->primary && migspec_world_primary_key(table) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("multiple primary keys for table \"%s\" are not allowed",
							table->name)));
		part = migspec_add_index_like(table, index, migspec_index_name_for(table, index));
		if (constraint != NULL)
			migspec_add_key_constraint(part, constraint->type)->is_local = false;
		migspec_build_index(alter, part);
		migspec_build_parts(alter, part, ShareLock);
		migspec_check_fact(alter->stmt, RULE_ATTACH_BUILDS_INDEX, table,
						   index->name)->other = parent;
	}
}

/*
 * Foreign keys of the parent, in both directions.
 */
static void
attach_foreign_keys(MigspecAlter *alter, MigspecWorldTable *table,
					MigspecWorldTable *parent)
{
	ListCell   *cell;

	foreach(cell, parent->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		bool		reads;
		MigspecFact *fact;

		if (constraint->dropped || constraint->type != CONSTRAINT_FOREIGN ||
			constraint->referenced == NULL || migspec_is_action_only(constraint))
			continue;
		if (constraint->referenced == table)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot attach table \"%s\" as a partition because it is referenced by foreign key \"%s\"",
							table->name, constraint->name)));
		migspec_lock_referenced(alter, constraint->referenced, ShareRowExclusiveLock);
		reads = migspec_clone_foreign_key(alter, constraint, table, AccessExclusiveLock,
										  constraint->enforced, NULL);
		fact = migspec_check_fact(alter->stmt, reads ? RULE_ATTACH_VALIDATES_FK :
								  RULE_FK_LOCKS_REFERENCED, table, constraint->name);
		fact->other = constraint->referenced;
	}
	migspec_lock_referencing(alter->stmt, parent);
}

/*
 * Read the rows of the table, or of its partitions, where nothing proves what
 * they must be; "quals" is over the columns of "parent".  True: some are read.
 */
static bool
read_unproven(MigspecAlter *alter, MigspecWorldTable *table,
			  const MigspecWorldTable *parent, List *quals, bool provable)
{
	List	   *own = (List *) migspec_map_expr(parent, table, (Node *) quals);
	bool		reads = false;
	ListCell   *cell;

	if (provable && migspec_world_proves(table, own))
		return false;
	if (table->kind == RELKIND_RELATION)
	{
		migspec_altered(alter, table)->scan = true;
		return true;
	}
	foreach(cell, table->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_children(table) : NIL)
	{
		migspec_check_lock(alter->stmt, lfirst(cell), AccessExclusiveLock);
		reads |= read_unproven(alter, lfirst(cell), parent, quals, provable);
	}
	return reads;
}

static char *
condition(const MigspecWorldTable *parent, MigspecWorldTable *table, List *quals)
{
	if (quals == NIL)
		return NULL;
	return migspec_world_deparse(table,
								 migspec_map_expr(parent, table,
												  (Node *) make_ands_explicit(quals)));
}

/*
 * The rows of the table and of the default partition.
 */
static void
attach_rows(MigspecAlter *alter, MigspecWorldTable *table, MigspecWorldTable *parent,
			MigspecWorldTable *other, List *own, bool provable)
{
	List	   *quals = list_concat_copy(own, migspec_ancestor_quals(parent, &provable));
	MigspecFact *fact;

	if ((quals != NIL || !provable) &&
		read_unproven(alter, table, parent, quals, provable))
	{
		fact = migspec_check_fact(alter->stmt, RULE_ATTACH_PARTITION_SCAN, table, NULL);
		fact->other = parent;
		fact->detail = condition(parent, table, quals);
	}
	if (other == NULL)
		return;
	quals = migspec_default_quals(own);
	if (read_unproven(alter, other, parent, quals, provable))
	{
		fact = migspec_check_fact(alter->stmt, RULE_ATTACH_SCANS_DEFAULT, other, NULL);
		fact->other = parent;
		fact->detail = condition(parent, other, quals);
	}
}

/* see alter_table.h: ATTACH PARTITION */
void
migspec_alter_attach(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *parent = altered->table;
	PartitionCmd *cmd = castNode(PartitionCmd, step->cmd->def);
	MigspecWorldTable *other = migspec_world_default_partition(parent);
	MigspecWorldTable *table;
	MemoryContext old;
	bool		provable = true;
	List	   *quals;
	ListCell   *cell;

	if (other != NULL)
		migspec_check_lock(alter->stmt, other, AccessExclusiveLock);
	table = migspec_other_table(alter->stmt, cmd->name);
	migspec_check_lock(alter->stmt, table, AccessExclusiveLock);
	foreach(cell, migspec_world_descendants(table))
		migspec_check_lock(alter->stmt, lfirst(cell), AccessExclusiveLock);

	check_attached(table, parent);
	if (cmd->bound->is_default && other != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("partition \"%s\" conflicts with existing default partition \"%s\"",
						table->name, other->name)));
	migspec_check_bound(parent, table->name, cmd->bound);
	quals = migspec_partition_quals(parent, cmd->bound, &provable);
	merge(table, parent, true);
	attach_indexes(alter, table, parent);
	attach_foreign_keys(alter, table, parent);
	attach_rows(alter, table, parent, other, quals, provable);

	old = MemoryContextSwitchTo(table->world->context);
	table->bound = copyObject(cmd->bound);
	MemoryContextSwitchTo(old);
	table->is_partition = true;
	table->is_default_partition = cmd->bound->is_default;
}

/*
 * Foreign keys that the partition has from its parent become its own: they
 * need triggers on the other table.
 */
static void
detach_foreign_keys(MigspecAlter *alter, MigspecWorldTable *table)
{
	ListCell   *cell;

	foreach(cell, table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (constraint->dropped || constraint->type != CONSTRAINT_FOREIGN ||
			constraint->is_local || constraint->referenced == NULL ||
			migspec_is_action_only(constraint))
			continue;
		migspec_lock_referenced(alter, constraint->referenced, ShareRowExclusiveLock);
		migspec_check_fact(alter->stmt, RULE_FK_LOCKS_REFERENCED, table,
						   constraint->name)->other = constraint->referenced;
	}

	/* others must not refer to rows that are to leave: theirs are read */
	foreach(cell, migspec_world_referencing(table))
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!migspec_is_action_only(constraint))
			continue;
		migspec_check_lock(alter->stmt, constraint->table, AccessExclusiveLock);
		migspec_check_work(alter->stmt, constraint->table, MIGSPEC_WORK_QUIET_SCAN);
		migspec_world_drop_constraint(constraint);
	}
}

/*
 * What the table has from this parent it has from one parent less.  See
 * RemoveInheritance().
 */
static void
disinherit(MigspecWorldTable *table, const MigspecWorldTable *parent)
{
	ListCell   *cell;

	foreach(cell, table->columns)
	{
		MigspecWorldColumn *column = lfirst(cell);

		if (column->dropped || migspec_world_column(parent, column->name) == NULL)
			continue;
		column->inherited -= column->inherited > 0;
		column->is_local |= column->inherited == 0;
	}
	foreach(cell, table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);
		MigspecWorldConstraint *of_parent = NULL;

		if (constraint->type == CONSTRAINT_CHECK)
			of_parent = migspec_world_constraint(parent, constraint->name);
		else if (constraint->type == CONSTRAINT_NOTNULL)
			of_parent =
				migspec_not_null_constraint(parent,
											migspec_map_attno(table, parent,
															  linitial_int(constraint->columns)));
		if (of_parent == NULL || of_parent->type != constraint->type || of_parent->no_inherit)
			continue;
		constraint->inherited -= constraint->inherited > 0;
		constraint->is_local |= constraint->inherited == 0;
	}
}

/*
 * Leave the parent, in the world.
 */
static void
leave(MigspecWorldTable *table)
{
	ListCell   *cell;

	migspec_world_remember(table);
	disinherit(table, table->parent);
	foreach(cell, table->is_partition && MIGSPEC_PARTITIONED_IDENTITY ? table->columns : NIL)
		((MigspecWorldColumn *) lfirst(cell))->identity = '\0';
	foreach(cell, table->is_partition ? table->constraints : NIL)
		((MigspecWorldConstraint *) lfirst(cell))->is_local = true;
	table->parent = NULL;
	table->parent_oid = InvalidOid;
	table->is_partition = false;
	table->is_default_partition = false;
	table->bound = NULL;
}

/*
 * A check takes the place of the bounds, so that they need not be proven again.
 */
static void
keep_bounds(MigspecWorldTable *table, MigspecWorldTable *parent)
{
	bool		provable = true;
	List	   *quals;
	MigspecWorldConstraint *constraint;
	MemoryContext old;

	if (table->bound == NULL || table->bound->strategy == PARTITION_STRATEGY_HASH)
		return;
	quals = list_concat_copy(migspec_partition_quals(parent, table->bound, &provable),
							 migspec_ancestor_quals(parent, &provable));
	quals = (List *) migspec_map_expr(parent, table, (Node *) quals);
	if (!provable || quals == NIL || migspec_world_proves(table, quals))
		return;
	constraint = migspec_world_add_constraint(table,
											  migspec_alter_choose_name(table, NULL, "check",
																		false),
											  CONSTRAINT_CHECK);
	old = MemoryContextSwitchTo(table->world->context);
	constraint->expr = copyObject((Node *) make_ands_explicit(quals));
	constraint->columns = list_copy(migspec_world_mentions(table, constraint->expr));
	MemoryContextSwitchTo(old);
}

/* see alter_table.h: DETACH PARTITION, CONCURRENTLY and FINALIZE as well */
void
migspec_alter_detach(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *parent = altered->table;
	PartitionCmd *cmd = castNode(PartitionCmd, step->cmd->def);
	bool		finalize = step->cmd->subtype == AT_DetachPartitionFinalize;
	MigspecWorldTable *other = finalize ? NULL : migspec_world_default_partition(parent);
	MigspecWorldTable *table;
	ListCell   *cell;

	if (cmd->concurrent)
	{
		alter->stmt->is_concurrent = true;
		migspec_refuse_in_transaction(alter->stmt, "ALTER TABLE ... DETACH CONCURRENTLY");
		if (other != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot detach partitions concurrently when a default partition exists")));
	}
	if (other != NULL)
		migspec_check_lock(alter->stmt, other, AccessExclusiveLock);
	table = migspec_other_table(alter->stmt, cmd->name);
	migspec_check_lock(alter->stmt, table, AccessExclusiveLock);
	if (table->parent != parent || !table->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" is not a partition of relation \"%s\"",
						table->name, parent->name)));
	if (finalize && OidIsValid(table->oid) && !migspec_is_detaching(table))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot complete detaching partition \"%s\"", table->name),
				 errdetail("There's no pending concurrent detach.")));

	foreach(cell, migspec_world_descendants(table))
		migspec_check_lock(alter->stmt, lfirst(cell), AccessExclusiveLock);
	detach_foreign_keys(alter, table);
	if (!cmd->concurrent && !finalize)
		migspec_check_fact(alter->stmt, RULE_DETACH_BLOCKING, table, NULL)->other = parent;
	else if (cmd->concurrent)
		keep_bounds(table, parent);
	leave(table);
}

/* see alter_table.h: INHERIT */
void
migspec_alter_inherit(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	RangeVar   *name = castNode(RangeVar, step->cmd->def);
	MigspecWorldTable *parent;
	MigspecWorldTable *first = table->parent;

	if (OidIsValid(table->oid))
		migspec_alter_refuse_typed(table, AT_AddInherit);
	if (table->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change inheritance of a partition")));
	if (table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change inheritance of partitioned table")));

	parent = migspec_other_table(alter->stmt, name);
	migspec_check_lock(alter->stmt, parent, ShareUpdateExclusiveLock);
	if (parent->persistence == RELPERSISTENCE_TEMP &&
		table->persistence != RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot inherit from temporary relation \"%s\"", parent->name)));
	if (parent->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot inherit from partitioned table \"%s\"", parent->name)));
	if (parent->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot inherit from a partition")));
	if (parent == table || list_member_ptr(migspec_world_descendants(table), parent))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("circular inheritance not allowed"),
				 errdetail("\"%s\" is already a child of \"%s\".",
						   parent->name, table->name)));
	if (first == parent)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" would be inherited from more than once",
						parent->name)));
	merge(table, parent, false);

	/* of several parents the world knows the first only */
	if (first != NULL)
	{
		table->parent = first;
		table->parent_oid = first->oid;
	}
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, table, "inheritance");
}

/* see alter_table.h: NO INHERIT */
void
migspec_alter_no_inherit(MigspecAlter *alter, MigspecAltered *altered,
						 MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	RangeVar   *name = castNode(RangeVar, step->cmd->def);
	MigspecWorldTable *parent;

	if (table->is_partition)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot change inheritance of a partition")));
	parent = migspec_other_table(alter->stmt, name);
	if (!list_member_ptr(migspec_world_children(parent), table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" is not a parent of relation \"%s\"",
						parent->name, table->name)));
	if (table->parent == parent)
		leave(table);
	else
	{
		migspec_world_remember(table);
		disinherit(table, parent);
	}
	migspec_check_fact(alter->stmt, RULE_POLICY_DDL, table, "inheritance");
}
