/*-------------------------------------------------------------------------
 *
 * world_undo.c
 *		What tables were like before the statement at work.
 *
 * Before a statement changes a table, a copy of it is made.  With that, a
 * statement that would fail half-way, or a transaction that the script rolls
 * back, is undone; and it is what effects and facts show, which are written
 * down long after later statements have changed the table again.
 *
 * Analysers change members of tables directly.  So a copy is taken of all
 * members, unless the last copy is still equal: of a table with a thousand
 * partitions, which every statement looks at, there is one copy, not one for
 * each statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "check/world.h"
#include "check/world_internal.h"

/*
 * A copy, or (without a table) the length of the world's lists when a
 * statement began.
 */
typedef struct MigspecWorldSnapshot
{
	MigspecWorldTable *table;
	MigspecWorldTable *frozen;	/* NULL: the table did not exist */
	/* the members themselves, in the order of the copies */
	List	   *columns;
	List	   *indexes;
	List	   *constraints;

	int			ntypes;
	int			ndropped;
	int			nforeign_keys;
} MigspecWorldSnapshot;

static void
push(MigspecWorld *world, MigspecWorldSnapshot *snapshot)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);

	world->changes = lappend(world->changes, snapshot);
	MemoryContextSwitchTo(old);
}

void
migspec_world_begin_statement(MigspecWorld *world, int number)
{
	MigspecWorldSnapshot *snapshot;

	snapshot = MemoryContextAllocZero(world->context, sizeof(MigspecWorldSnapshot));
	snapshot->ntypes = list_length(world->new_types);
	snapshot->ndropped = list_length(world->dropped_objects);
	snapshot->nforeign_keys = list_length(world->new_foreign_keys);
	world->statement = number;
	push(world, snapshot);
}

/*
 * migspec_world_created -- see world_internal.h.
 */
void
migspec_world_created(MigspecWorldTable *table)
{
	MigspecWorldSnapshot *snapshot = palloc0(sizeof(MigspecWorldSnapshot));

	snapshot->table = table;
	table->created_at = table->world->statement;
	table->world->names++;
	push(table->world, snapshot);
}

/*
 * Copies of the members, each of this size.
 */
static List *
copy_members(List *members, size_t size)
{
	List	   *copies = NIL;
	ListCell   *lc;

	foreach(lc, members)
	{
		void	   *copy = palloc(size);

		memcpy(copy, lfirst(lc), size);
		copies = lappend(copies, copy);
	}
	return copies;
}

/*
 * The copy of an index, by the index.
 */
static MigspecWorldIndex *
copied_index(const MigspecWorldSnapshot *snapshot, const MigspecWorldIndex *index)
{
	ListCell   *lc;
	ListCell   *lf;

	forboth(lc, snapshot->indexes, lf, snapshot->frozen->indexes)
	{
		if (lfirst(lc) == index)
			return lfirst(lf);
	}
	return unconstify(MigspecWorldIndex *, index);
}

/*
 * Make what belongs to the table itself only, and not to its state, equal to
 * that in another copy.
 */
static void
copy_private(MigspecWorldTable *to, const MigspecWorldTable *from)
{
	to->live = from->live;
	to->shown_name = from->shown_name;
	to->snapshot = from->snapshot;
	to->effect = from->effect;
	to->effect_at = from->effect_at;
	to->cached_name = from->cached_name;
	to->cached_for = from->cached_for;
	to->cached_at = from->cached_at;
	to->snapshot_at = from->snapshot_at;
	to->created_at = from->created_at;
	to->children_known = from->children_known;
	to->loaded_children = from->loaded_children;
	to->bound_quals = from->bound_quals;
	to->bound_quals_of = from->bound_quals_of;
	to->sized = from->sized;
	to->heap_bytes = from->heap_bytes;
	to->index_bytes = from->index_bytes;
	to->tuples = from->tuples;
	to->columns = from->columns;
	to->indexes = from->indexes;
	to->constraints = from->constraints;
}

static MigspecWorldSnapshot *
take(MigspecWorldTable *table)
{
	MemoryContext old = MemoryContextSwitchTo(table->world->context);
	MigspecWorldSnapshot *snapshot = palloc0(sizeof(MigspecWorldSnapshot));
	MigspecWorldTable *frozen = palloc(sizeof(MigspecWorldTable));
	ListCell   *lc;

	memcpy(frozen, table, sizeof(MigspecWorldTable));
	frozen->shown_name = migspec_world_table_name(table);
	frozen->live = table;
	frozen->snapshot = NULL;
	frozen->columns = copy_members(table->columns, sizeof(MigspecWorldColumn));
	frozen->indexes = copy_members(table->indexes, sizeof(MigspecWorldIndex));
	frozen->constraints = copy_members(table->constraints, sizeof(MigspecWorldConstraint));

	snapshot->table = table;
	snapshot->frozen = frozen;
	snapshot->columns = list_copy(table->columns);
	snapshot->indexes = list_copy(table->indexes);
	snapshot->constraints = list_copy(table->constraints);

	foreach(lc, frozen->indexes)
		((MigspecWorldIndex *) lfirst(lc))->table = frozen;
	foreach(lc, frozen->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		con->table = frozen;
		con->index = copied_index(snapshot, con->index);
	}
	MemoryContextSwitchTo(old);
	return snapshot;
}

static bool
same_elements(const List *a, const List *b)
{
	ListCell   *la;
	ListCell   *lb;

	if (list_length(a) != list_length(b))
		return false;
	forboth(la, a, lb, b)
	{
		if (lfirst(la) != lfirst(lb))
			return false;
	}
	return true;
}

/*
 * Are they equal?  If only what is between members differs, the answer is no,
 * which costs a copy too many.
 */
static bool
same_bytes(const void *a, const void *b, size_t size)
{
	return memcmp(a, b, size) == 0;
}

/*
 * Is the table still as it was?
 */
static bool
is_current(const MigspecWorldSnapshot *snapshot)
{
	const MigspecWorldTable *table = snapshot->table;
	const MigspecWorldTable *frozen = snapshot->frozen;
	MigspecWorldTable state;
	ListCell   *la;
	ListCell   *lb;

	memcpy(&state, table, sizeof(state));
	copy_private(&state, frozen);
	if (!same_bytes(&state, frozen, sizeof(state)) ||
		!same_elements(table->columns, snapshot->columns) ||
		!same_elements(table->indexes, snapshot->indexes) ||
		!same_elements(table->constraints, snapshot->constraints))
		return false;
	forboth(la, snapshot->columns, lb, frozen->columns)
	{
		if (!same_bytes(lfirst(la), lfirst(lb), sizeof(MigspecWorldColumn)))
			return false;
	}
	forboth(la, snapshot->indexes, lb, frozen->indexes)
	{
		MigspecWorldIndex index;

		memcpy(&index, lfirst(la), sizeof(index));
		index.table = unconstify(MigspecWorldTable *, frozen);
		if (!same_bytes(&index, lfirst(lb), sizeof(index)))
			return false;
	}
	forboth(la, snapshot->constraints, lb, frozen->constraints)
	{
		MigspecWorldConstraint con;

		memcpy(&con, lfirst(la), sizeof(con));
		con.table = unconstify(MigspecWorldTable *, frozen);
		con.index = copied_index(snapshot, con.index);
		if (!same_bytes(&con, lfirst(lb), sizeof(con)))
			return false;
	}
	return true;
}

/*
 * The state of the table as a snapshot, the last one if that will do.
 */
static MigspecWorldSnapshot *
current_snapshot(MigspecWorldTable *table)
{
	if (table->snapshot == NULL || !is_current(table->snapshot))
		table->snapshot = take(table);
	return table->snapshot;
}

void
migspec_world_remember(MigspecWorldTable *table)
{
	MigspecWorld *world = table->world;

	if (world->statement == 0 || table->created_at == world->statement ||
		(table->snapshot != NULL && table->snapshot_at == world->statement))
		return;
	push(world, current_snapshot(table));
	table->snapshot_at = world->statement;
}

MigspecWorldTable *
migspec_world_frozen(MigspecWorldTable *table)
{
	MigspecWorld *world = table->world;

	if (table->live != NULL)
		return table;
	if (table->created_at == world->statement)
		return current_snapshot(table)->frozen;
	migspec_world_remember(table);
	return table->snapshot->frozen;
}

MigspecWorldIndex *
migspec_world_frozen_index(MigspecWorldIndex *index)
{
	if (index->table->live != NULL)
		return index;
	(void) migspec_world_frozen(index->table);
	return copied_index(index->table->snapshot, index);
}

int
migspec_world_mark(const MigspecWorld *world)
{
	return list_length(world->changes);
}

/*
 * Put the table back into the state of the snapshot.
 */
static void
restore(const MigspecWorldSnapshot *snapshot)
{
	MigspecWorldTable *table = snapshot->table;
	MigspecWorldTable state;
	ListCell   *la;
	ListCell   *lb;

	memcpy(&state, snapshot->frozen, sizeof(state));
	copy_private(&state, table);
	memcpy(table, &state, sizeof(state));
	table->columns = list_copy(snapshot->columns);
	table->indexes = list_copy(snapshot->indexes);
	table->constraints = list_copy(snapshot->constraints);
	forboth(la, snapshot->columns, lb, snapshot->frozen->columns)
		memcpy(lfirst(la), lfirst(lb), sizeof(MigspecWorldColumn));
	forboth(la, snapshot->indexes, lb, snapshot->frozen->indexes)
	{
		memcpy(lfirst(la), lfirst(lb), sizeof(MigspecWorldIndex));
		((MigspecWorldIndex *) lfirst(la))->table = table;
	}
	forboth(la, snapshot->constraints, lb, snapshot->frozen->constraints)
	{
		MigspecWorldConstraint *con = lfirst(la);
		int			i;

		memcpy(con, lfirst(lb), sizeof(MigspecWorldConstraint));
		con->table = table;
		for (i = 0; i < list_length(snapshot->indexes); i++)
		{
			if (con->index == list_nth(snapshot->frozen->indexes, i))
				con->index = list_nth(snapshot->indexes, i);
		}
	}
	/* the copy is what the table is like, but not of the statement at work */
	table->snapshot_at = 0;
}

void
migspec_world_undo(MigspecWorld *world, int mark)
{
	MemoryContext old = MemoryContextSwitchTo(world->context);

	world->names++;
	while (list_length(world->changes) > mark)
	{
		MigspecWorldSnapshot *change = llast(world->changes);

		if (change->frozen != NULL)
			restore(change);
		else if (change->table != NULL)
			change->table->dropped = true;
		else
		{
			world->new_types = list_truncate(world->new_types, change->ntypes);
			world->dropped_objects = list_truncate(world->dropped_objects,
												   change->ndropped);
			world->new_foreign_keys = list_truncate(world->new_foreign_keys,
													change->nforeign_keys);
		}
		world->changes = list_delete_last(world->changes);
	}
	MemoryContextSwitchTo(old);
}
