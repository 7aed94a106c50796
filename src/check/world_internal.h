/*-------------------------------------------------------------------------
 *
 * world_internal.h
 *		What the files world*.c share; nobody else includes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_WORLD_INTERNAL_H
#define MIGSPEC_WORLD_INTERNAL_H

#include "postgres.h"

#include "check/world.h"

/* the schema of all temporary relations of this session */
#define MIGSPEC_TEMP_SCHEMA "pg_temp"

/* functions that later statements may call with a frozen copy begin so */
static inline MigspecWorldTable *
migspec_world_live(const MigspecWorldTable *table)
{
	return table->live != NULL ? table->live : unconstify(MigspecWorldTable *, table);
}

/* world.c: what the relation is in this world, dropped or not; loads it */
extern MigspecWorldTable *migspec_world_by_oid(MigspecWorld *world, Oid oid);

/* world.c: the name of a schema, one for all temporary ones */
extern char *migspec_world_schema_name(Oid nspoid);

/*
 * world_load.c: copy a relation from the catalog.  NULL if there is none.  Its
 * parent and the tables that it refers to are not looked at; "complete" does
 * that.
 */
extern MigspecWorldTable *migspec_world_load(MigspecWorld *world, Oid oid);

/*
 * world_load.c: take ACCESS SHARE for a moment; false if it cannot be had now.
 * Good migrations hold ACCESS EXCLUSIVE for milliseconds, so a world that may
 * wait tries again for a second, all relations together.
 */
extern bool migspec_world_lock_briefly(MigspecWorld *world, Oid oid);

/* world_undo.c: the table has been made by the statement at work */
extern void migspec_world_created(MigspecWorldTable *table);

#endif							/* MIGSPEC_WORLD_INTERNAL_H */
