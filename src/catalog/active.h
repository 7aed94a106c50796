/*-------------------------------------------------------------------------
 *
 * active.h
 *		What the guards know about migrations that are under way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_ACTIVE_H
#define MIGSPEC_ACTIVE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "catalog/migration.h"

/* a row of migspec.target: a table that an active migration holds */
typedef struct MigspecTarget
{
	Oid			relid;
	int64		migration_id;
} MigspecTarget;

/* an active migration, with its plan */
typedef struct MigspecActive
{
	MigspecMigration *migration;
	List	   *steps;			/* of MigspecStep * */
	char	   *next_call;		/* SQL, as migspec.migrations shows it */
	bool		overridden;		/* its guard has been overridden before */
} MigspecActive;

/*
 * All targets (List of MigspecTarget *), as they are committed right now or
 * changed by ourselves, whatever snapshot the transaction uses.  NIL as well
 * if the extension is not installed here.  Runs no SQL.
 */
extern List *migspec_target_list(void);

/*
 * An active migration as it is committed right now or changed by ourselves;
 * NULL if it has just gone.  May be called in the middle of a command.
 */
extern MigspecActive *migspec_active_load(int64 id);

/*
 * Record that somebody has done "what" in spite of the phase guard: an event,
 * and the mark in migspec.migrations.
 */
extern void migspec_active_mark_overridden(const MigspecActive *active,
										   const char *what, const char *why);

#endif							/* MIGSPEC_ACTIVE_H */
