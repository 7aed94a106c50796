/*-------------------------------------------------------------------------
 *
 * view_uses.c
 *		What the views that a script creates are made of.
 *
 * The catalog does not know them yet, so what they use is taken from the raw
 * query: tables by name, columns by theirs.  A name that could be a column of
 * several tables of the query counts for all of them.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "nodes/nodeFuncs.h"

#include "check/alter_table.h"
#include "check/statements.h"

/* a table of the query, under the name that it has there */
typedef struct Source
{
	MigspecWorldTable *table;
	const char *alias;
} Source;

typedef struct Collection
{
	MigspecWorld *world;
	List	   *sources;		/* of Source * */
	List	   *uses;			/* of MigspecWorldUse * */
} Collection;

static bool
collect_sources(Node *node, void *arg)
{
	Collection *collection = arg;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
	{
		RangeVar   *name = (RangeVar *) node;
		MigspecWorldTable *table = migspec_world_find(collection->world, name);
		Source	   *source;

		if (table == NULL)
			return false;
		source = palloc(sizeof(Source));
		source->table = table;
		source->alias = name->alias != NULL ? name->alias->aliasname : name->relname;
		collection->sources = lappend(collection->sources, source);
		return false;
	}
	return raw_expression_tree_walker(node, collect_sources, arg);
}

static void
add_use(Collection *collection, MigspecWorldTable *table, AttrNumber attno)
{
	MigspecWorldUse *use = palloc(sizeof(MigspecWorldUse));

	use->table = table;
	use->attno = attno;
	collection->uses = lappend(collection->uses, use);
}

/*
 * A reference is to all columns of this name, or to all columns.
 */
static void
add_reference(Collection *collection, const ColumnRef *ref)
{
	Node	   *last = llast(ref->fields);
	char	   *qualifier = list_length(ref->fields) == 2 &&
	IsA(linitial(ref->fields), String) ? strVal(linitial(ref->fields)) : NULL;
	ListCell   *cell;

	foreach(cell, collection->sources)
	{
		Source	   *source = lfirst(cell);
		ListCell   *lc;

		if (qualifier != NULL && strcmp(qualifier, source->alias) != 0)
			continue;
		foreach(lc, source->table->columns)
		{
			MigspecWorldColumn *column = lfirst(lc);

			if (!column->dropped &&
				(IsA(last, A_Star) || strcmp(strVal(last), column->name) == 0))
				add_use(collection, source->table, column->attno);
		}
	}
}

static bool
collect_references(Node *node, void *arg)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		add_reference(arg, (ColumnRef *) node);
		return false;
	}
	return raw_expression_tree_walker(node, collect_references, arg);
}

/* see statements.h */
void
migspec_note_uses(MigspecWorldTable *view, Node *query)
{
	MemoryContext old = MemoryContextSwitchTo(view->world->context);
	Collection	collection = {.world = view->world};
	ListCell   *cell;

	(void) collect_sources(query, &collection);
	foreach(cell, collection.sources)
		add_use(&collection, ((Source *) lfirst(cell))->table, InvalidAttrNumber);
	(void) collect_references(query, &collection);
	migspec_world_remember(view);
	view->uses = collection.uses;
	MemoryContextSwitchTo(old);
}

/* see statements.h */
List *
migspec_new_users(const MigspecWorldTable *table, AttrNumber attno)
{
	List	   *users = NIL;
	ListCell   *cell;

	foreach(cell, table->world->tables)
	{
		MigspecWorldTable *view = lfirst(cell);
		ListCell   *lc;

		foreach(lc, view->dropped ? NIL : view->uses)
		{
			MigspecWorldUse *use = lfirst(lc);

			if (use->table == table && use->attno == attno)
			{
				users = lappend(users, view);
				break;
			}
		}
	}
	return users;
}
