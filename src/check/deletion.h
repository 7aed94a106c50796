/*-------------------------------------------------------------------------
 *
 * deletion.h
 *		What goes with an object that is dropped.
 *
 * The server follows pg_depend, locks all that it finds, and deletes it.  A
 * deletion does the same against the world and without locks: it collects the
 * objects, then tells the locks as effects of the statement, and then drops
 * them from the world.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_DELETION_H
#define MIGSPEC_DELETION_H

#include "postgres.h"
#include "catalog/objectaddress.h"
#include "utils/hsearch.h"

#include "check/check.h"

/* one object that goes */
typedef struct MigspecVictim
{
	ObjectAddress address;		/* classId is InvalidOid if only the world has
								 * the object */
	MigspecWorldTable *table;	/* that it is, or is a part of; or NULL */
	MigspecWorldIndex *index;	/* that it is; or NULL */
	MigspecWorldConstraint *constraint; /* that it is; or NULL */
	MigspecWorldColumn *column; /* that it is; or NULL */
	bool		is_default;		/* not the column, but its default */
	LOCKMODE	lock;			/* on the table */
	bool		wanted;			/* the statement names it */
	bool		automatic;		/* goes without CASCADE too */
	bool		of_partition;	/* belongs to an object of the parent */
	bool		with_partition; /* ... and goes with that or its table */
} MigspecVictim;

typedef struct MigspecDeletion
{
	MigspecStatement *stmt;
	List	   *victims;		/* of MigspecVictim * */
	HTAB	   *by_address;		/* those that the catalog has */
} MigspecDeletion;

extern MigspecDeletion *migspec_deletion_create(MigspecStatement *stmt);

/*
 * Add an object that the statement names.  An object that is not in the
 * catalog yet is added by its place in the world.
 */
extern void migspec_deletion_add(MigspecDeletion *deletion, Oid class, Oid object);
extern void migspec_deletion_add_table(MigspecDeletion *deletion, MigspecWorldTable *table);

/* what the script has made in a schema goes with it */
extern void migspec_deletion_add_made(MigspecDeletion *deletion, const char *schema);
extern void migspec_deletion_add_index(MigspecDeletion *deletion, MigspecWorldIndex *index);
extern void migspec_deletion_add_column(MigspecDeletion *deletion, MigspecWorldTable *table,
										MigspecWorldColumn *column);
extern void migspec_deletion_add_constraint(MigspecDeletion *deletion,
											MigspecWorldConstraint *constraint);

/*
 * Collect all that goes with them.  Raises the server's error if something
 * needs CASCADE that is not given, or must not be dropped.
 */
extern void migspec_deletion_collect(MigspecDeletion *deletion, bool cascade);

/* Tell the locks; then, drop them all from the world */
extern void migspec_deletion_lock(MigspecDeletion *deletion);
extern void migspec_deletion_apply(MigspecDeletion *deletion);

/* As in the server's messages: "view v", "constraint c on table t" */
extern char *migspec_victim_name(const MigspecVictim *victim);

/* The names of what goes only by CASCADE, with commas; NULL if nothing does */
extern char *migspec_deletion_cascaded(const MigspecDeletion *deletion);

/*
 * Which table is this object of another catalog a part of (triggers, rules,
 * policies, defaults, statistics, constraints), and what lock on it does it
 * take to drop it?  InvalidOid: of none.
 */
extern Oid	migspec_object_relation(Oid class, Oid object, LOCKMODE *lock);

#endif							/* MIGSPEC_DELETION_H */
