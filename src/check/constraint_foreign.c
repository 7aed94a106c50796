/*-------------------------------------------------------------------------
 *
 * constraint_foreign.c
 *		Foreign keys are added and validated.
 *
 * Both tables get triggers, so both are locked against writers; rows are read
 * unless they are known to be right.  If a table is partitioned, so is its end
 * of the foreign key.  See ATAddForeignKeyConstraint() in commands/tablecmds.c.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_opclass.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/statements.h"

/* of a foreign key, what decides whether another is the same */
typedef struct Behaviour
{
	bool		deferrable;
	bool		deferred;
	char		on_update;
	char		on_delete;
	char		match;
} Behaviour;

/*
 * Is it one of a B-tree?  Others have no fixed operators for equality.
 */
static bool
is_btree(Oid opclass)
{
	HeapTuple	tuple = SearchSysCache1(CLAOID, ObjectIdGetDatum(opclass));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_opclass) GETSTRUCT(tuple))->opcmethod == BTREE_AM_OID;
	ReleaseSysCache(tuple);
	return result;
}

/* see alter_table.h */
bool
migspec_match_keys(Oid opclass, Oid referenced, Oid referencing, MigspecKeyMatch *match)
{
	Oid			family;
	Oid			input;
	Oid			base = getBaseType(referencing);
	Oid			types[2] = {referenced, referencing};
	Oid			targets[2];

	memset(match, 0, sizeof(MigspecKeyMatch));
	if (!is_btree(opclass))
		return true;

	family = get_opclass_family(opclass);
	input = get_opclass_input_type(opclass);
	match->operator = get_opfamily_member(family, input, base, BTEqualStrategyNumber);
	match->input = base;
	if (!OidIsValid(match->operator) ||
		!OidIsValid(get_opfamily_member(family, base, base, BTEqualStrategyNumber)))
	{
		targets[0] = targets[1] = input;
		if (!can_coerce_type(2, types, targets, COERCION_IMPLICIT))
			return false;
		match->operator = get_opfamily_member(family, input, input, BTEqualStrategyNumber);
		match->input = input;
	}

	match->path = COERCION_PATH_RELABELTYPE;
	if (match->input != referencing)
		match->path = find_coercion_pathway(match->input, referencing, COERCION_IMPLICIT,
											&match->cast);
	return true;
}

/* see alter_table.h */
void
migspec_check_collations(const char *constraint, Oid referenced, Oid referencing)
{
	if (!MIGSPEC_FK_COMPARES_COLLATIONS || referenced == referencing ||
		!OidIsValid(referenced) || !OidIsValid(referencing) ||
		(get_collation_isdeterministic(referenced) &&
		 get_collation_isdeterministic(referencing)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_COLLATION_MISMATCH),
			 errmsg("foreign key constraint \"%s\" cannot be implemented", constraint),
			 errdetail("If either collation is nondeterministic, then both collations have to be the same.")));
}

/* see alter_table.h */
void
migspec_lock_referenced(MigspecAlter *alter, MigspecWorldTable *referenced, LOCKMODE lock)
{
	ListCell   *cell;

	migspec_check_lock(alter->stmt, referenced, lock);
	if (referenced->kind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(cell, migspec_world_descendants(referenced))
		migspec_check_lock(alter->stmt, lfirst(cell), lock);
}

/*
 * The row of pg_constraint that it is a part of, or InvalidOid.
 */
static Oid
parent_oid(const MigspecWorldConstraint *constraint)
{
	HeapTuple	tuple;
	Oid			parent;

	if (!OidIsValid(constraint->oid))
		return InvalidOid;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->oid));
	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	parent = ((Form_pg_constraint) GETSTRUCT(tuple))->conparentid;
	ReleaseSysCache(tuple);
	return parent;
}

/* see alter_table.h */
bool
migspec_is_action_only(const MigspecWorldConstraint *constraint)
{
	Oid			parent = parent_oid(constraint);
	HeapTuple	tuple;
	bool		result;

	if (!OidIsValid(parent))
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(parent));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid == constraint->table->oid;
	ReleaseSysCache(tuple);
	return result;
}

/* see statements.h */
void
migspec_lock_referencing(MigspecStatement *stmt, MigspecWorldTable *parent)
{
	List	   *keys = migspec_world_referencing(parent);
	List	   *oids = NIL;
	ListCell   *cell;

	foreach(cell, keys)
		oids = lappend_oid(oids, ((MigspecWorldConstraint *) lfirst(cell))->oid);
	foreach(cell, keys)
	{
		MigspecWorldConstraint *key = lfirst(cell);
		Oid			whole = parent_oid(key);

		if (OidIsValid(key->oid) ? !OidIsValid(whole) || !list_member_oid(oids, whole) :
			key->is_local || !key->table->is_partition)
			migspec_check_lock(stmt, key->table, ShareRowExclusiveLock);
	}

	/* those of the script are known where they were made, not below */
	for (MigspecWorldTable *table = parent->parent; parent->is_partition && table != NULL;
		 table = table->is_partition ? table->parent : NULL)
	{
		foreach(cell, migspec_world_referencing(table))
		{
			MigspecWorldConstraint *key = lfirst(cell);

			if (!OidIsValid(key->oid) && (key->is_local || !key->table->is_partition))
				migspec_check_lock(stmt, key->table, ShareRowExclusiveLock);
		}
	}
}

/* see alter_table.h */
MigspecWorldIndex *
migspec_referenced_index(const MigspecWorldConstraint *constraint)
{
	MigspecWorldTable *table =
	migspec_world_find_oid(constraint->table->world, constraint->referenced_oid);
	HeapTuple	tuple = OidIsValid(constraint->oid) ?
	SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->oid)) : NULL;
	Oid			oid = InvalidOid;
	ListCell   *cell;

	if (HeapTupleIsValid(tuple))
	{
		oid = ((Form_pg_constraint) GETSTRUCT(tuple))->conindid;
		ReleaseSysCache(tuple);
	}
	if (table == NULL)
		table = constraint->referenced;
	foreach(cell, table == NULL ? NIL : table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		bool		fits = index->unique &&
		index->nkeys == list_length(constraint->referenced_columns);

		if (index->dropped)
			continue;
		if (OidIsValid(oid) && index->oid == oid)
			return index;
		for (int i = 0; i < index->nkeys; i++)
			fits &= list_member_int(constraint->referenced_columns, index->attnos[i]);
		if (fits && !OidIsValid(oid))
			return index;
	}
	return NULL;
}

static Behaviour
behaviour_of(const MigspecWorldConstraint *constraint, const Constraint *new)
{
	Behaviour	result = {.on_update = FKCONSTR_ACTION_NOACTION,
	.on_delete = FKCONSTR_ACTION_NOACTION,.match = FKCONSTR_MATCH_SIMPLE};
	HeapTuple	tuple;

	if (new != NULL)
	{
		result.deferrable = new->deferrable;
		result.deferred = new->initdeferred;
		result.on_update = new->fk_upd_action;
		result.on_delete = new->fk_del_action;
		result.match = new->fk_matchtype;
		return result;
	}
	tuple = OidIsValid(constraint->oid) ?
		SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->oid)) : NULL;
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint row = (Form_pg_constraint) GETSTRUCT(tuple);

		result.deferrable = row->condeferrable;
		result.deferred = row->condeferred;
		result.on_update = row->confupdtype;
		result.on_delete = row->confdeltype;
		result.match = row->confmatchtype;
		ReleaseSysCache(tuple);
	}
	return result;
}

/* see alter_table.h */
bool
migspec_changes_deferrability(const MigspecWorldConstraint *constraint, bool deferrable,
							  bool deferred)
{
	Behaviour	present = behaviour_of(constraint, NULL);

	return !OidIsValid(constraint->oid) || present.deferrable != deferrable ||
		present.deferred != deferred;
}

/*
 * Do they compare the same columns with the same table?
 */
static bool
is_same_key(const MigspecWorldConstraint *a, const MigspecWorldConstraint *b)
{
	ListCell   *of_a;
	ListCell   *of_b;

	if (a->referenced != b->referenced ||
		!equal(a->referenced_columns, b->referenced_columns) ||
		list_length(a->columns) != list_length(b->columns))
		return false;
	forboth(of_a, a->columns, of_b, b->columns)
	{
		if (migspec_map_attno(a->table, b->table, lfirst_int(of_a)) != lfirst_int(of_b))
			return false;
	}
	return true;
}

/* see alter_table.h */
MigspecWorldConstraint *
migspec_foreign_key_part(const MigspecWorldConstraint *constraint,
						 const MigspecWorldTable *child)
{
	ListCell   *cell;

	foreach(cell, child->constraints)
	{
		MigspecWorldConstraint *own = lfirst(cell);

		if (own->dropped || own->type != CONSTRAINT_FOREIGN)
			continue;
		if (OidIsValid(constraint->oid) && parent_oid(own) == constraint->oid)
			return own;
		if ((!OidIsValid(constraint->oid) || !OidIsValid(own->oid)) && !own->is_local &&
			is_same_key(constraint, own))
			return own;
	}
	return NULL;
}

/*
 * A foreign key of the child that can become a part of the parent's.  See
 * tryAttachPartitionForeignKey().
 */
static MigspecWorldConstraint *
find_twin(const MigspecWorldConstraint *constraint, const MigspecWorldTable *child,
		  const Constraint *new)
{
	Behaviour	wanted = behaviour_of(constraint, new);
	ListCell   *cell;

	foreach(cell, child->constraints)
	{
		MigspecWorldConstraint *own = lfirst(cell);
		Behaviour	present;

		if (own->dropped || own->type != CONSTRAINT_FOREIGN ||
			!is_same_key(constraint, own) ||
			(!own->validated && own->enforced && !MIGSPEC_PARTITIONED_FK_NOT_VALID))
			continue;
		if (own->enforced != constraint->enforced)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("constraint \"%s\" enforceability conflicts with constraint \"%s\" on relation \"%s\"",
							constraint->name, own->name, child->name)));
		if (migspec_is_action_only(own) ||
			(!own->is_local && (child->is_partition || !OidIsValid(own->oid))))
			continue;
		present = behaviour_of(own, NULL);
		if (present.deferrable == wanted.deferrable && present.deferred == wanted.deferred &&
			present.on_update == wanted.on_update && present.on_delete == wanted.on_delete &&
			present.match == wanted.match)
			return own;
	}
	return NULL;
}

static MigspecWorldConstraint *
add_like(MigspecWorldTable *table, const MigspecWorldConstraint *like)
{
	MigspecWorldConstraint *constraint;
	MemoryContext old;
	ListCell   *cell;
	char	   *name = like->name;

	if (migspec_world_constraint(table, name) != NULL)
		name = migspec_alter_choose_name(table, migspec_alter_join_names(like->table,
																		 like->columns),
										 "fkey", false);
	constraint = migspec_world_add_constraint(table, name, CONSTRAINT_FOREIGN);
	old = MemoryContextSwitchTo(table->world->context);
	foreach(cell, like->columns)
		constraint->columns = lappend_int(constraint->columns,
										  migspec_map_attno(like->table, table,
															lfirst_int(cell)));
	constraint->referenced_columns = list_copy(like->referenced_columns);
	MemoryContextSwitchTo(old);
	constraint->referenced = like->referenced;
	constraint->referenced_oid = like->referenced_oid;
	constraint->validated = like->validated;
	constraint->enforced = like->enforced;
	constraint->is_local = false;
	return constraint;
}

/*
 * Read the rows of a table for a foreign key.
 */
static void
read_rows(MigspecAlter *alter, const MigspecWorldConstraint *constraint)
{
	migspec_check_work(alter->stmt, constraint->table, MIGSPEC_WORK_FK_VALIDATION);
	migspec_check_lock(alter->stmt, constraint->referenced, RowShareLock);
}

/* see alter_table.h */
bool
migspec_clone_foreign_key(MigspecAlter *alter, MigspecWorldConstraint *constraint,
						  MigspecWorldTable *child, LOCKMODE lock, bool validate,
						  const Constraint *new)
{
	MigspecWorldConstraint *own;
	bool		reads = false;
	ListCell   *cell;

	check_stack_depth();
	migspec_check_lock(alter->stmt, child, lock);
	if (child->kind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("foreign key constraints are not supported on foreign tables")));

	own = find_twin(constraint, child, new);
	if (own != NULL)
	{
		/* it no longer needs triggers of its own on the referenced table */
		if (constraint->enforced)
			migspec_lock_referenced(alter, constraint->referenced, AccessExclusiveLock);
		own->is_local = false;
		if (constraint->validated && !own->validated && own->enforced)
		{
			migspec_validate_foreign_key(alter, own);
			return true;
		}
		return false;
	}

	own = add_like(child, constraint);
	if (child->kind != RELKIND_PARTITIONED_TABLE && validate)
	{
		read_rows(alter, own);
		reads = true;
	}
	foreach(cell, child->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_children(child) : NIL)
		reads |= migspec_clone_foreign_key(alter, own, lfirst(cell), lock, validate, new);
	return reads;
}

/* see alter_table.h */
void
migspec_validate_foreign_key(MigspecAlter *alter, MigspecWorldConstraint *constraint)
{
	MigspecWorldTable *table = constraint->table;
	ListCell   *cell;

	check_stack_depth();
	if (constraint->validated)
		return;
	migspec_world_remember(table);
	constraint->validated = true;
	if (table->kind != RELKIND_PARTITIONED_TABLE)
	{
		read_rows(alter, constraint);
		return;
	}
	foreach(cell, migspec_world_children(table))
	{
		MigspecWorldConstraint *part = migspec_foreign_key_part(constraint, lfirst(cell));

		if (part == NULL || part->validated)
			continue;
		migspec_check_lock(alter->stmt, part->table, alter->lock);
		migspec_validate_foreign_key(alter, part);
	}
}

/*
 * See transformColumnNameList().
 */
static List *
find_columns(const MigspecWorldTable *table, List *names)
{
	List	   *attnos = NIL;
	ListCell   *cell;

	foreach(cell, names)
	{
		MigspecWorldColumn *column = migspec_world_column(table, strVal(lfirst(cell)));

		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" referenced in foreign key constraint does not exist",
							strVal(lfirst(cell)))));
		attnos = lappend_int(attnos, column->attno);
	}
	return attnos;
}

/*
 * The unique index over just these columns.  See transformFkeyCheckAttrs().
 */
static MigspecWorldIndex *
find_key(const MigspecWorldTable *table, List *attnos, bool period)
{
	bool		deferrable = false;
	ListCell   *cell;

	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		bool		fits = !index->dropped && index->nkeys == list_length(attnos) &&
		(period ? index->exclusion : index->unique) && index->valid &&
		index->expressions == NIL && index->predicate == NULL;

		for (int i = 0; fits && i < index->nkeys; i++)
			fits = list_member_int(attnos, index->attnos[i]);
		if (fits && index->immediate)
			return index;
		deferrable |= fits;
	}
	if (deferrable)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot use a deferrable unique constraint for referenced table \"%s\"",
						table->name)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_FOREIGN_KEY),
			 errmsg("there is no unique constraint matching given keys for referenced table \"%s\"",
					table->name)));
}

/*
 * Set what the foreign key refers to.
 */
static MigspecWorldIndex *
find_referenced(MigspecWorldConstraint *key, const Constraint *new)
{
	MigspecWorldTable *table = key->referenced;
	MigspecWorldConstraint *primary = migspec_world_primary_key(table);
	MemoryContext old;
	List	   *attnos;

	if (new->pk_attrs == NIL)
	{
		if (primary == NULL || primary->index == NULL || !primary->index->valid)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("there is no primary key for referenced table \"%s\"",
							table->name)));
		if (!primary->index->immediate)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot use a deferrable primary key for referenced table \"%s\"",
							table->name)));
		attnos = primary->columns;
	}
	else
		attnos = find_columns(table, new->pk_attrs);
	old = MemoryContextSwitchTo(table->world->context);
	key->referenced_columns = list_copy(attnos);
	MemoryContextSwitchTo(old);
	if (list_length(attnos) != list_length(key->columns))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("number of referencing and referenced columns for foreign key disagree")));
	if (new->pk_attrs != NIL)
		return find_key(table, attnos, MIGSPEC_RAW_PERIOD(new));
	if (primary->index->exclusion && !MIGSPEC_RAW_PERIOD(new))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FOREIGN_KEY),
				 errmsg("foreign key uses PERIOD on the referenced table but not the referencing table")));
	return primary->index;
}

/*
 * Can the columns be compared?  Different types mean casts for each row.
 */
static void
check_types(MigspecAlter *alter, const MigspecWorldConstraint *key,
			const MigspecWorldIndex *index)
{
	ListCell   *referencing;
	ListCell   *referenced;

	forboth(referencing, key->columns, referenced, key->referenced_columns)
	{
		MigspecWorldColumn *from =
		migspec_world_column_no(key->table, lfirst_int(referencing));
		MigspecWorldColumn *to =
		migspec_world_column_no(key->referenced, lfirst_int(referenced));
		Oid			opclass = InvalidOid;
		MigspecKeyMatch match;

		if (from->generated == ATTRIBUTE_GENERATED_VIRTUAL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("foreign key constraints on virtual generated columns are not supported")));
		if (!OidIsValid(from->type) || !OidIsValid(to->type))
			continue;
		for (int i = 0; i < index->nkeys; i++)
		{
			if (index->attnos[i] == to->attno)
				opclass = index->opclasses[i];
		}
		if (!migspec_match_keys(opclass, to->type, from->type, &match))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("foreign key constraint \"%s\" cannot be implemented", key->name),
					 errdetail("Key columns \"%s\" of the referencing table and \"%s\" of the referenced table are of incompatible types: %s and %s.",
							   from->name, to->name, format_type_be(from->type),
							   format_type_be(to->type))));
		migspec_check_collations(key->name, to->collation, from->collation);
		if (getBaseType(from->type) != getBaseType(to->type))
			migspec_check_fact(alter->stmt, RULE_FK_TYPE_MISMATCH, key->table,
							   key->name)->detail =
				psprintf("%s %s, %s %s", from->name, format_type_be(from->type),
						 to->name, format_type_be(to->type));
	}
}

/*
 * Deletes from the referenced table look for rows here.
 */
static void
advise_index(MigspecAlter *alter, const MigspecWorldConstraint *key)
{
	ListCell   *cell;
	MigspecFact *fact;

	foreach(cell, key->table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		int			n = list_length(key->columns);
		bool		leads = !index->dropped && index->valid && index->predicate == NULL &&
		index->nkeys >= n;

		for (int i = 0; leads && i < n; i++)
			leads = list_member_int(key->columns, index->attnos[i]);
		if (leads)
			return;
	}
	fact = migspec_check_fact(alter->stmt, RULE_FK_MISSING_INDEX, key->table, key->name);
	fact->other = key->referenced;
	fact->detail = NULL;
	foreach(cell, key->columns)
	{
		char	   *name = migspec_world_column_no(key->table, lfirst_int(cell))->name;

		fact->detail = fact->detail == NULL ? pstrdup(quote_identifier(name)) :
			psprintf("%s, %s", fact->detail, quote_identifier(name));
	}
}

/*
 * What lives shorter cannot be referred to.
 */
static void
check_persistence(const MigspecWorldTable *table, const MigspecWorldTable *referenced)
{
	bool		temporary = table->persistence == RELPERSISTENCE_TEMP;

	if (referenced->kind != RELKIND_RELATION && referenced->kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("referenced relation \"%s\" is not a table", referenced->name)));
	if (table->persistence == RELPERSISTENCE_PERMANENT &&
		referenced->persistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("constraints on permanent tables may reference only permanent tables")));
	if (table->persistence == RELPERSISTENCE_UNLOGGED &&
		referenced->persistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("constraints on unlogged tables may reference only permanent or unlogged tables")));
	if (temporary && referenced->persistence != RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("constraints on temporary tables may reference only temporary tables")));
}

/*
 * What a foreign key of a partitioned table must be.
 */
static void
check_partitioned(MigspecAlter *alter, const MigspecWorldTable *table,
				  const MigspecWorldTable *referenced, const Constraint *new, bool recurse)
{
	if (table->kind != RELKIND_PARTITIONED_TABLE)
		return;
	if (!recurse)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot use ONLY for foreign key on partitioned table \"%s\" referencing relation \"%s\"",
						table->name, referenced->name)));
	if (!MIGSPEC_PARTITIONED_FK_NOT_VALID && new->skip_validation && !new->initially_valid)
	{
		migspec_check_fact(alter->stmt, RULE_FK_PARTITIONED_NOT_VALID,
						   alter->target, new->conname);
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot add NOT VALID foreign key on partitioned table \"%s\" referencing relation \"%s\"",
						table->name, referenced->name),
				 errdetail("This feature is not yet supported on partitioned tables.")));
	}
}

static void
tell_facts(MigspecAlter *alter, const MigspecWorldConstraint *key, const Constraint *new,
		   bool reads)
{
	MigspecFact *fact;

	if (reads)
		fact = migspec_check_fact(alter->stmt, RULE_ADD_FK_VALIDATED, key->table, key->name);
	else if (key->referenced != key->table)
		fact = migspec_check_fact(alter->stmt, RULE_FK_LOCKS_REFERENCED, key->table,
								  key->name);
	else
		return;
	fact->other = key->referenced;
	fact->node = (Node *) unconstify(Constraint *, new);
}

/* see alter_table.h */
void
migspec_alter_add_foreign_key(MigspecAlter *alter, MigspecAltered *altered,
							  MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	const Constraint *new = step->constraint;
	MigspecWorldTable *referenced = migspec_other_table(alter->stmt, new->pktable);
	List	   *columns = NIL;
	MigspecWorldConstraint *key;
	MigspecWorldIndex *index;
	MemoryContext old;
	bool		validate;
	bool		reads = false;
	const char *name = new->conname;
	ListCell   *cell;

	migspec_check_lock(alter->stmt, referenced, ShareRowExclusiveLock);
	check_partitioned(alter, table, referenced, new, step->recurse);
	check_persistence(table, referenced);
	columns = find_columns(table, new->fk_attrs);
	if (name != NULL)
		migspec_refuse_constraint(table, name);
	if (name == NULL)
		name = migspec_alter_choose_name(table, migspec_alter_join_names(table, columns),
										 "fkey", false);
	if (table->kind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("foreign key constraints are not supported on foreign tables")));

	key = migspec_world_add_constraint(table, name, CONSTRAINT_FOREIGN);
	key->referenced = referenced;
	key->referenced_oid = referenced->oid;
	old = MemoryContextSwitchTo(table->world->context);
	key->columns = list_copy(columns);
	MemoryContextSwitchTo(old);
	key->enforced = MIGSPEC_RAW_ENFORCED(new);
	key->validated = new->initially_valid && key->enforced;
	key->no_inherit = table->kind != RELKIND_PARTITIONED_TABLE;
	index = find_referenced(key, new);
	check_types(alter, key, index);

	migspec_lock_referenced(alter, referenced, ShareRowExclusiveLock);
	validate = !new->skip_validation && key->enforced && !alter->creating;
	if (table->kind == RELKIND_RELATION && validate)
	{
		read_rows(alter, key);
		reads = true;
	}
	foreach(cell, table->kind == RELKIND_PARTITIONED_TABLE && !alter->creating ?
			migspec_world_children(table) : NIL)
		reads |= migspec_clone_foreign_key(alter, key, lfirst(cell), alter->lock, validate, new);
	tell_facts(alter, key, new, reads);
	advise_index(alter, key);
}
