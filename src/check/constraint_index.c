/*-------------------------------------------------------------------------
 *
 * constraint_index.c
 *		Indexes of partitioned tables and of their partitions.
 *
 * An index of a partitioned table has a part in each partition.  One that is
 * there already and fits becomes that part; else it is built.  See
 * DefineIndex() and CompareIndexInfo() in commands/indexcmds.c and
 * catalog/index.c.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/attmap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteManip.h"
#include "utils/lsyscache.h"

#include "check/alter_table.h"

/* see alter_table.h */
AttrNumber
migspec_map_attno(const MigspecWorldTable *from, const MigspecWorldTable *to,
				  AttrNumber attno)
{
	MigspecWorldColumn *column = migspec_world_column_no(from, attno);

	if (column != NULL)
		column = migspec_world_column(to, column->name);
	return column == NULL ? 0 : column->attno;
}

/* see alter_table.h */
Node *
migspec_map_expr(const MigspecWorldTable *from, const MigspecWorldTable *to, Node *expr)
{
	AttrMap    *map;
	bool		whole_row;

	if (expr == NULL || from == to)
		return expr;
	map = make_attrmap(list_length(from->columns));
	for (int i = 0; i < map->maplen; i++)
		map->attnums[i] = migspec_map_attno(from, to, i + 1);
	return map_variable_attnos(expr, 1, 0, map, to->row_type, &whole_row);
}

/* see alter_table.h */
MigspecWorldConstraint *
migspec_constraint_of(const MigspecWorldIndex *index)
{
	ListCell   *cell;

	foreach(cell, index->table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->index == index)
			return constraint;
	}
	return NULL;
}

/*
 * Do the two keep the same order of the same values?
 */
static bool
is_same_key(const MigspecWorldIndex *a, const MigspecWorldIndex *b)
{
	if (a->am != b->am || a->unique != b->unique || a->exclusion != b->exclusion ||
		a->nkeys != b->nkeys || a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		AttrNumber	attno = a->attnos[i] == 0 ? 0 :
		migspec_map_attno(a->table, b->table, a->attnos[i]);

		if (attno != b->attnos[i])
			return false;
	}
	for (int i = 0; i < a->nkeys; i++)
	{
		if (a->collations[i] != b->collations[i] ||
			(a->opclasses[i] != b->opclasses[i] &&
			 get_opclass_family(a->opclasses[i]) != get_opclass_family(b->opclasses[i])))
			return false;
	}
	return equal(migspec_map_expr(a->table, b->table, (Node *) a->expressions),
				 b->expressions) &&
		equal(migspec_map_expr(a->table, b->table, a->predicate), b->predicate);
}

/* see alter_table.h */
MigspecWorldIndex *
migspec_index_part(const MigspecWorldIndex *parent, const MigspecWorldTable *child)
{
	MigspecWorldConstraint *of_parent = migspec_constraint_of(parent);
	ListCell   *cell;

	foreach(cell, child->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);
		MigspecWorldConstraint *constraint;

		if (index->dropped || !index->valid || index->exclusion ||
			(child->is_partition && OidIsValid(index->oid) &&
			 get_rel_relispartition(index->oid)) ||
			!is_same_key(parent, index))
			continue;
		constraint = migspec_constraint_of(index);
		if (of_parent == NULL ||
			(constraint != NULL && constraint->type == of_parent->type))
			return index;
	}
	return NULL;
}

/* see alter_table.h */
char *
migspec_index_name_for(MigspecWorldTable *table, const MigspecWorldIndex *like)
{
	MigspecWorldConstraint *constraint = migspec_constraint_of(like);
	List	   *attnos = NIL;

	if (like->primary)
		return migspec_alter_choose_name(table, NULL, "pkey", true);
	for (int i = 0; i < like->natts; i++)
		attnos = lappend_int(attnos, migspec_map_attno(like->table, table,
													   like->attnos[i]));
	return migspec_alter_choose_name(table, migspec_alter_join_names(table, attnos),
									 like->exclusion ? "excl" :
									 constraint != NULL ? "key" : "idx", true);
}

static void *
copy_array(const void *array, int n, Size size)
{
	void	   *copy = palloc0(Max(n, 1) * size);

	if (n > 0)
		memcpy(copy, array, n * size);
	return copy;
}

/* see alter_table.h */
MigspecWorldIndex *
migspec_add_index_like(MigspecWorldTable *table, const MigspecWorldIndex *like,
					   const char *name)
{
	MigspecWorldIndex *index = migspec_world_add_index(table, name);
	MemoryContext old = MemoryContextSwitchTo(table->world->context);

	index->am = like->am;
	index->nkeys = like->nkeys;
	index->natts = like->natts;
	index->attnos = copy_array(like->attnos, like->natts, sizeof(AttrNumber));
	for (int i = 0; i < like->natts; i++)
		index->attnos[i] = like->attnos[i] == 0 ? 0 :
			migspec_map_attno(like->table, table, like->attnos[i]);
	index->opclasses = copy_array(like->opclasses, like->nkeys, sizeof(Oid));
	index->collations = copy_array(like->collations, like->nkeys, sizeof(Oid));
	index->expressions = (List *)
		copyObject(migspec_map_expr(like->table, table, (Node *) like->expressions));
	index->predicate = copyObject(migspec_map_expr(like->table, table, like->predicate));
	index->unique = like->unique;
	index->primary = like->primary;
	index->exclusion = like->exclusion;
	index->immediate = like->immediate;
	index->partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	MemoryContextSwitchTo(old);
	return index;
}

/* see alter_table.h */
MigspecWorldConstraint *
migspec_add_key_constraint(MigspecWorldIndex *index, char type)
{
	MigspecWorldConstraint *constraint =
	migspec_world_add_constraint(index->table, index->name, type);
	MemoryContext old = MemoryContextSwitchTo(index->table->world->context);

	constraint->index = index;
	constraint->no_inherit = true;
	for (int i = 0; i < index->nkeys; i++)
		constraint->columns = lappend_int(constraint->columns, index->attnos[i]);
	MemoryContextSwitchTo(old);
	return constraint;
}

/* see alter_table.h */
void
migspec_build_index(MigspecAlter *alter, MigspecWorldIndex *index)
{
	MigspecWorldTable *table = index->table;

	/* a rewrite builds them all */
	if (index->partitioned || migspec_altered(alter, table)->rewrite)
		return;
	migspec_check_build(alter->stmt, table, index->name);
}

/* see alter_table.h */
void
migspec_build_parts(MigspecAlter *alter, MigspecWorldIndex *index, LOCKMODE lock)
{
	MigspecWorldConstraint *constraint = migspec_constraint_of(index);
	ListCell   *cell;

	check_stack_depth();
	foreach(cell, migspec_world_children(index->table))
	{
		MigspecWorldTable *child = lfirst(cell);
		MigspecWorldIndex *part;

		if (child->kind == RELKIND_FOREIGN_TABLE)
		{
			if (index->unique || index->exclusion)
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("cannot create unique index on partitioned table \"%s\"",
								index->table->name),
						 errdetail("Table \"%s\" contains partitions that are foreign tables.",
								   index->table->name)));
			continue;
		}
		migspec_check_lock(alter->stmt, child, lock);
		part = migspec_index_part(index, child);
		if (part != NULL)
		{
			MigspecWorldConstraint *own = migspec_constraint_of(part);

			if (constraint != NULL && own != NULL)
				own->is_local = false;
			continue;
		}
		part = migspec_add_index_like(child, index, migspec_index_name_for(child, index));
		if (constraint != NULL)
			migspec_add_key_constraint(part, constraint->type)->is_local = false;
		migspec_build_index(alter, part);
		migspec_build_parts(alter, part, lock);
	}
}
