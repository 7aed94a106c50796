/*-------------------------------------------------------------------------
 *
 * world_change.c
 *		What a statement changes in the world.
 *
 * Nothing is ever taken out of the lists of tables, columns, indexes and
 * constraints: what is gone is marked as dropped, so that it hides what the
 * catalog has, and so that the change can be undone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "commands/defrem.h"
#include "access/tableam.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "check/world.h"
#include "check/world_internal.h"

/*
 * The schema that a new relation is put into.  Raises the server's errors.
 */
static const char *
schema_for(MigspecWorld *world, const RangeVar *name)
{
	const char *schema = name->schemaname;
	bool		is_temp = schema != NULL &&
	(strcmp(schema, MIGSPEC_TEMP_SCHEMA) == 0 ||
	 isTempNamespace(get_namespace_oid(schema, true)));

	/* see RangeVarAdjustRelationPersistence() in catalog/namespace.c */
	if (is_temp && name->relpersistence == RELPERSISTENCE_UNLOGGED)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("only temporary relations may be created in temporary schemas")));
	if (!is_temp && schema != NULL && name->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot create temporary relation in non-temporary schema")));
	if (is_temp || name->relpersistence == RELPERSISTENCE_TEMP)
		return MIGSPEC_TEMP_SCHEMA;
	if (schema == NULL)
	{
		schema = migspec_world_creation_schema(world);
		if (schema == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_SCHEMA),
					 errmsg("no schema has been selected to create in")));
		return schema;
	}
	if (!OidIsValid(get_namespace_oid(schema, true)) &&
		!migspec_world_is_new_name(world, schema))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", schema)));
	return schema;
}

MigspecWorldTable *
migspec_world_add_table(MigspecWorld *world, const RangeVar *name, char kind)
{
	const char *schema = schema_for(world, name);
	MemoryContext old = MemoryContextSwitchTo(world->context);
	MigspecWorldTable *table = palloc0(sizeof(MigspecWorldTable));

	table->world = world;
	table->schema = pstrdup(schema);
	table->name = pstrdup(name->relname);
	table->kind = kind;
	table->persistence = strcmp(schema, MIGSPEC_TEMP_SCHEMA) == 0 ?
		RELPERSISTENCE_TEMP : name->relpersistence;
	table->owner = GetUserId();
	if (kind == RELKIND_RELATION || kind == RELKIND_MATVIEW)
		table->am = get_table_am_oid(default_table_access_method, true);
	table->is_new = true;
	table->is_empty = true;
	table->loaded = true;
	table->complete = true;
	table->children_known = true;
	table->replica_identity = REPLICA_IDENTITY_DEFAULT;
	table->tuples = 0;
	world->tables = lappend(world->tables, table);
	migspec_world_note_name(table, table->name);
	migspec_world_created(table);
	MemoryContextSwitchTo(old);
	return table;
}

MigspecWorldColumn *
migspec_world_add_column(MigspecWorldTable *table, const char *name)
{
	MemoryContext old;
	MigspecWorldColumn *column;

	migspec_world_remember(table);
	old = MemoryContextSwitchTo(table->world->context);
	column = palloc0(sizeof(MigspecWorldColumn));
	column->name = pstrdup(name);
	column->attno = list_length(table->columns) + 1;
	column->typmod = -1;
	column->is_new = true;
	column->is_local = true;
	table->columns = lappend(table->columns, column);
	MemoryContextSwitchTo(old);
	return column;
}

MigspecWorldIndex *
migspec_world_add_index(MigspecWorldTable *table, const char *name)
{
	MemoryContext old;
	MigspecWorldIndex *index;

	migspec_world_remember(table);
	old = MemoryContextSwitchTo(table->world->context);
	index = palloc0(sizeof(MigspecWorldIndex));
	index->name = pstrdup(name);
	index->table = table;
	index->am = BTREE_AM_OID;
	index->immediate = true;
	index->valid = true;
	table->indexes = lappend(table->indexes, index);
	migspec_world_note_name(table, index->name);
	MemoryContextSwitchTo(old);
	return index;
}

MigspecWorldConstraint *
migspec_world_add_constraint(MigspecWorldTable *table, const char *name, char type)
{
	MigspecWorld *world = table->world;
	MemoryContext old;
	MigspecWorldConstraint *con;

	migspec_world_remember(table);
	old = MemoryContextSwitchTo(world->context);
	con = palloc0(sizeof(MigspecWorldConstraint));
	con->name = pstrdup(name);
	con->table = table;
	con->type = type;
	con->validated = true;
	con->enforced = true;
	con->is_local = true;
	table->constraints = lappend(table->constraints, con);
	migspec_world_note_name(table, con->name);
	if (type == CONSTRAINT_FOREIGN)
		world->new_foreign_keys = lappend(world->new_foreign_keys, con);
	MemoryContextSwitchTo(old);
	return con;
}

void
migspec_world_drop_table(MigspecWorldTable *table)
{
	migspec_world_remember(table);
	table->dropped = true;
	table->world->names++;
}

void
migspec_world_commit(MigspecWorld *world)
{
	ListCell   *lc;

	foreach(lc, world->drops_on_commit ? world->tables : NIL)
	{
		MigspecWorldTable *table = lfirst(lc);

		ListCell   *child;

		if (!table->drop_on_commit || table->dropped)
			continue;
		foreach(child, migspec_world_descendants(table))
			migspec_world_drop_table(lfirst(child));
		migspec_world_drop_table(table);
	}
	world->drops_on_commit = false;
}

static bool
index_needs(const MigspecWorldIndex *index, AttrNumber attno)
{
	for (int i = 0; i < index->natts; i++)
	{
		if (index->attnos[i] == attno)
			return true;
	}
	if (index->expressions != NIL &&
		list_member_int(migspec_world_mentions(index->table, (Node *) index->expressions),
						attno))
		return true;
	return index->predicate != NULL &&
		list_member_int(migspec_world_mentions(index->table, index->predicate), attno);
}

void
migspec_world_drop_column(MigspecWorldTable *table, MigspecWorldColumn *column)
{
	ListCell   *lc;

	migspec_world_remember(table);
	foreach(lc, table->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		if (!con->dropped && list_member_int(con->columns, column->attno))
			migspec_world_drop_constraint(con);
	}
	foreach(lc, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(lc);

		if (!index->dropped && index_needs(index, column->attno))
			index->dropped = true;
	}
	column->dropped = true;
}

void
migspec_world_drop_constraint(MigspecWorldConstraint *constraint)
{
	migspec_world_remember(constraint->table);
	constraint->dropped = true;
	if (constraint->index != NULL)
		constraint->index->dropped = true;
}
