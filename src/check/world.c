/*-------------------------------------------------------------------------
 *
 * world.c
 *		The database as the next statement of a script would find it.
 *
 * Names are looked for as the server would: schema by schema along the search
 * path, and in each schema among what the script has left there and what the
 * catalog has.  A relation is copied from the catalog (world_load.c) when it
 * is first asked for, and then known by its OID, so that one which the script
 * has renamed or dropped is not found under its old name again.
 *
 * Runs in the backend of whoever asks; changes nothing outside of the world.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "check/check.h"
#include "check/world_internal.h"

/* how long a world that may wait does so, all in all */
#define LOCK_PATIENCE_MS 1000

/* entry of MigspecWorld.by_oid */
typedef struct OidEntry
{
	Oid			oid;
	MigspecWorldTable *table;
} OidEntry;

/* entry of MigspecWorld.by_name */
typedef struct NameEntry
{
	char		name[NAMEDATALEN];
	List	   *tables;			/* of MigspecWorldTable * */
} NameEntry;

/*
 * migspec_world_create -- see world.h.
 */
MigspecWorld *
migspec_world_create(bool may_wait)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migspec world",
												  ALLOCSET_DEFAULT_SIZES);
	MigspecWorld *world = MemoryContextAllocZero(context, sizeof(MigspecWorld));
	HASHCTL		ctl = {0};

	world->context = context;
	world->may_wait = may_wait;
	world->patience = may_wait ? LOCK_PATIENCE_MS : 0;
	world->lock_timeout = LockTimeout;
	world->statement_timeout = StatementTimeout;
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(OidEntry);
	ctl.hcxt = context;
	world->by_oid = hash_create("migspec world", 128, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	ctl.keysize = NAMEDATALEN;
	ctl.entrysize = sizeof(NameEntry);
	world->by_name = hash_create("migspec world names", 256, &ctl,
								 HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	return world;
}

List *
migspec_world_named(const MigspecWorld *world, const char *name)
{
	NameEntry  *entry = hash_search(world->by_name, name, HASH_FIND, NULL);

	return entry == NULL ? NIL : entry->tables;
}

void
migspec_world_note_name(MigspecWorldTable *table, const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(table->world->context);
	bool		found;
	NameEntry  *entry = hash_search(table->world->by_name, name, HASH_ENTER, &found);

	if (!found)
		entry->tables = NIL;
	/* more than once does no harm */
	if (entry->tables == NIL || llast(entry->tables) != table)
		entry->tables = lappend(entry->tables, table);
	MemoryContextSwitchTo(old);
}

/*
 * Note the names of what has been copied from the catalog.
 */
static void
note_names(MigspecWorldTable *table)
{
	ListCell   *lc;

	migspec_world_note_name(table, table->name);
	foreach(lc, table->indexes)
		migspec_world_note_name(table, ((MigspecWorldIndex *) lfirst(lc))->name);
	foreach(lc, table->constraints)
		migspec_world_note_name(table, ((MigspecWorldConstraint *) lfirst(lc))->name);
}

/*
 * migspec_world_by_oid -- see world_internal.h.
 */
MigspecWorldTable *
migspec_world_by_oid(MigspecWorld *world, Oid oid)
{
	OidEntry   *entry = hash_search(world->by_oid, &oid, HASH_FIND, NULL);
	MigspecWorldTable *table;
	MemoryContext old;

	if (entry != NULL)
		return entry->table;
	old = MemoryContextSwitchTo(world->context);
	table = migspec_world_load(world, oid);
	if (table != NULL)
	{
		world->tables = lappend(world->tables, table);
		entry = hash_search(world->by_oid, &oid, HASH_ENTER, NULL);
		entry->table = table;
		note_names(table);
	}
	MemoryContextSwitchTo(old);
	return table;
}

/*
 * Set the pointers from a table to others: its ancestors, and what its foreign
 * keys refer to.  Not from those others in turn, or all of a database could
 * have to be loaded.
 */
static void
complete(MigspecWorldTable *table)
{
	while (table != NULL && !table->complete)
	{
		ListCell   *lc;

		table->complete = true;
		foreach(lc, table->constraints)
		{
			MigspecWorldConstraint *con = lfirst(lc);

			if (con->type == CONSTRAINT_FOREIGN && con->referenced == NULL)
				con->referenced = migspec_world_by_oid(table->world,
													   con->referenced_oid);
		}
		if (OidIsValid(table->parent_oid) && table->parent == NULL)
			table->parent = migspec_world_by_oid(table->world, table->parent_oid);
		table = table->parent;
	}
}

/*
 * The table as it is handed out: NULL if it is gone.
 */
static MigspecWorldTable *
hand_out(MigspecWorldTable *table)
{
	if (table == NULL || table->dropped)
		return NULL;
	if (!table->loaded)
		table->world->unknown++;
	complete(table);
	return table;
}

MigspecWorldTable *
migspec_world_find_oid(MigspecWorld *world, Oid oid)
{
	if (!OidIsValid(oid))
		return NULL;
	return hand_out(migspec_world_by_oid(world, oid));
}

/*
 * migspec_world_schema_name -- see world_internal.h.
 */
char *
migspec_world_schema_name(Oid nspoid)
{
	char	   *name;

	if (isTempNamespace(nspoid))
		return pstrdup(MIGSPEC_TEMP_SCHEMA);
	name = get_namespace_name(nspoid);
	return name != NULL ? name : pstrdup("");
}

/*
 * migspec_world_path -- see world.h.
 *
 * As recomputeNamespacePath() in catalog/namespace.c does it, but with names:
 * a schema may be one that only the script creates.
 */
List *
migspec_world_path(MigspecWorld *world)
{
	MemoryContext old;
	List	   *names;
	List	   *path = NIL;
	bool		has_catalog = false;
	bool		has_temp = false;
	ListCell   *lc;

	if (world->path_source != NULL &&
		strcmp(world->path_source, namespace_search_path) == 0)
		return world->path;

	old = MemoryContextSwitchTo(world->context);
	world->path_source = pstrdup(namespace_search_path);
	world->names++;
	if (!SplitIdentifierString(pstrdup(namespace_search_path), ',', &names))
		names = NIL;
	foreach(lc, names)
	{
		char	   *name = lfirst(lc);

		if (strcmp(name, "$user") == 0)
			name = GetUserNameFromId(GetUserId(), true);
		if (name == NULL)
			continue;
		has_catalog |= strcmp(name, "pg_catalog") == 0;
		has_temp |= strcmp(name, MIGSPEC_TEMP_SCHEMA) == 0;
		path = lappend(path, name);
	}
	if (!has_catalog)
		path = lcons("pg_catalog", path);
	if (!has_temp)
		path = lcons(MIGSPEC_TEMP_SCHEMA, path);
	world->implicit_schemas = (has_catalog ? 0 : 1) + (has_temp ? 0 : 1);
	world->path = path;
	MemoryContextSwitchTo(old);
	return path;
}

bool
migspec_world_is_new_name(const MigspecWorld *world, const char *name)
{
	ListCell   *lc;

	foreach(lc, world->new_types)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

/*
 * migspec_world_creation_schema -- see world.h.
 *
 * Nothing is created in the schemas that are searched though the path does not
 * name them.
 */
const char *
migspec_world_creation_schema(MigspecWorld *world)
{
	List	   *path = migspec_world_path(world);
	ListCell   *lc;

	for_each_from(lc, path, world->implicit_schemas)
	{
		const char *name = lfirst(lc);

		if (strcmp(name, MIGSPEC_TEMP_SCHEMA) == 0 ||
			OidIsValid(get_namespace_oid(name, true)) ||
			migspec_world_is_new_name(world, name))
			return name;
	}
	return NULL;
}

/*
 * OID of what the catalog has under a name; its relkind as well.
 */
static Oid
catalog_oid(const char *schema, const char *name, char *relkind)
{
	Oid			nspoid = LookupNamespaceNoError(schema);
	Oid			relid = OidIsValid(nspoid) ? get_relname_relid(name, nspoid) : InvalidOid;

	*relkind = OidIsValid(relid) ? get_rel_relkind(relid) : 0;
	return relid;
}

static inline bool
is_index(char relkind)
{
	return relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX;
}

static inline bool
is_called(const MigspecWorldTable *table, const char *schema, const char *name)
{
	return !table->dropped && strcmp(table->name, name) == 0 &&
		strcmp(table->schema, schema) == 0;
}

static MigspecWorldTable *
find_table_in(MigspecWorld *world, const char *schema, const char *name)
{
	char		relkind;
	Oid			relid = catalog_oid(schema, name, &relkind);
	ListCell   *lc;

	if (OidIsValid(relid) && !is_index(relkind))
	{
		MigspecWorldTable *table = migspec_world_by_oid(world, relid);

		if (table != NULL && is_called(table, schema, name))
			return table;
	}
	foreach(lc, migspec_world_named(world, name))
	{
		if (is_called(lfirst(lc), schema, name))
			return lfirst(lc);
	}
	return NULL;
}

/* a schema that has been given as it is known to the world */
static const char *
given_schema(const RangeVar *name)
{
	Oid			nspoid;

	if (name->schemaname == NULL)
		return name->relpersistence == RELPERSISTENCE_TEMP ? MIGSPEC_TEMP_SCHEMA : NULL;
	nspoid = get_namespace_oid(name->schemaname, true);
	if (OidIsValid(nspoid) && isTempNamespace(nspoid))
		return MIGSPEC_TEMP_SCHEMA;
	return name->schemaname;
}

MigspecWorldTable *
migspec_world_find(MigspecWorld *world, const RangeVar *name)
{
	const char *schema = given_schema(name);
	ListCell   *lc;

	if (schema != NULL)
		return hand_out(find_table_in(world, schema, name->relname));
	foreach(lc, migspec_world_path(world))
	{
		MigspecWorldTable *table = find_table_in(world, lfirst(lc), name->relname);

		if (table != NULL)
			return hand_out(table);
	}
	return NULL;
}

static MigspecWorldIndex *
find_index_in(MigspecWorld *world, const char *schema, const char *name)
{
	char		relkind;
	Oid			relid = catalog_oid(schema, name, &relkind);
	MigspecWorldTable *owner = NULL;
	ListCell   *lc;

	if (OidIsValid(relid) && is_index(relkind))
	{
		owner = migspec_world_find_oid(world, IndexGetRelation(relid, true));
		if (owner != NULL && !owner->loaded)
			migspec_check_give_up(world);
		if (owner != NULL && strcmp(owner->schema, schema) == 0)
		{
			MigspecWorldIndex *index = migspec_world_index(owner, name);

			if (index != NULL && index->oid == relid)
				return index;
		}
	}
	foreach(lc, migspec_world_named(world, name))
	{
		MigspecWorldTable *table = lfirst(lc);
		MigspecWorldIndex *index;

		if (table->dropped || strcmp(table->schema, schema) != 0)
			continue;
		index = migspec_world_index(table, name);
		if (index != NULL)
		{
			complete(table);
			return index;
		}
	}
	return NULL;
}

MigspecWorldIndex *
migspec_world_find_index(MigspecWorld *world, const RangeVar *name)
{
	const char *schema = given_schema(name);
	ListCell   *lc;

	if (schema != NULL)
		return find_index_in(world, schema, name->relname);
	foreach(lc, migspec_world_path(world))
	{
		MigspecWorldIndex *index = find_index_in(world, lfirst(lc), name->relname);

		if (index != NULL)
			return index;
	}
	return NULL;
}

MigspecWorldColumn *
migspec_world_column(const MigspecWorldTable *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		MigspecWorldColumn *column = lfirst(lc);

		if (!column->dropped && strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

MigspecWorldColumn *
migspec_world_column_no(const MigspecWorldTable *table, AttrNumber attno)
{
	MigspecWorldColumn *column;

	/* columns are in the list by number */
	if (attno <= 0 || attno > list_length(table->columns))
		return NULL;
	column = list_nth(table->columns, attno - 1);
	return column->dropped ? NULL : column;
}

MigspecWorldConstraint *
migspec_world_constraint(const MigspecWorldTable *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		if (!con->dropped && strcmp(con->name, name) == 0)
			return con;
	}
	return NULL;
}

MigspecWorldIndex *
migspec_world_index(const MigspecWorldTable *table, const char *name)
{
	ListCell   *lc;

	foreach(lc, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(lc);

		if (!index->dropped && strcmp(index->name, name) == 0)
			return index;
	}
	return NULL;
}

MigspecWorldConstraint *
migspec_world_primary_key(const MigspecWorldTable *table)
{
	ListCell   *lc;

	foreach(lc, table->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		if (!con->dropped && con->type == CONSTRAINT_PRIMARY)
			return con;
	}
	return NULL;
}

/*
 * Would the name alone find what is in this schema?
 */
static bool
is_visible(MigspecWorld *world, const char *schema, const char *name)
{
	ListCell   *lc;

	foreach(lc, migspec_world_path(world))
	{
		const char *searched = lfirst(lc);
		char		relkind;
		ListCell   *lt;

		if (strcmp(searched, schema) == 0)
			return true;
		if (OidIsValid(catalog_oid(searched, name, &relkind)))
			return false;
		foreach(lt, migspec_world_named(world, name))
		{
			if (is_called(lfirst(lt), searched, name))
				return false;
		}
	}
	return false;
}

/*
 * A name as it must be written now.  What the script sets the search path to
 * is not what its reader has, so then everything is qualified.
 */
static char *
shown_name(MigspecWorld *world, const char *schema, const char *name)
{
	if (world->search_path == NIL && is_visible(world, schema, name))
		return pstrdup(quote_identifier(name));
	return quote_qualified_identifier(schema, name);
}

char *
migspec_world_table_name(const MigspecWorldTable *table)
{
	MigspecWorldTable *live = migspec_world_live(table);
	MemoryContext old;

	if (table->shown_name != NULL)
		return pstrdup(table->shown_name);

	/* which tables may hide it need not be looked up again and again */
	(void) migspec_world_path(table->world);
	if (live->cached_name == NULL || live->cached_for != live->name ||
		live->cached_at != live->world->names)
	{
		old = MemoryContextSwitchTo(live->world->context);
		live->cached_name = shown_name(live->world, live->schema, live->name);
		live->cached_for = live->name;
		live->cached_at = live->world->names;
		MemoryContextSwitchTo(old);
	}
	return pstrdup(live->cached_name);
}

char *
migspec_world_index_name(const MigspecWorldIndex *index)
{
	return shown_name(index->table->world, index->table->schema, index->name);
}
