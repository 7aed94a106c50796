/*-------------------------------------------------------------------------
 *
 * statements.h
 *		What the analysers of statements other than ALTER TABLE share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_STATEMENTS_H
#define MIGSPEC_STATEMENTS_H

#include "postgres.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"

#include "check/check.h"

/* The relation that is the object of the statement: found, locked, marked */
extern MigspecEffect *migspec_lock_target(MigspecStatement *stmt, MigspecWorldTable *table,
										  LOCKMODE lock);

/* The same for all its descendants, if "inherit" */
extern void migspec_lock_family(MigspecStatement *stmt, MigspecWorldTable *table,
								LOCKMODE lock, bool inherit);

/* Raises 25001 if the script is inside of a transaction block */
extern void migspec_refuse_in_transaction(const MigspecStatement *stmt, const char *what);

/* Raises 42P07 if there is a relation or index of this name */
extern void migspec_refuse_duplicate(MigspecStatement *stmt, const RangeVar *name);

/*
 * Objects that are neither relations nor parts of one.  "name" is what later
 * statements call it.  Types, schemas and functions go by their plain names,
 * others by "trigger t on r" and the like.
 */
extern void migspec_script_creates(MigspecStatement *stmt, const char *name);
extern bool migspec_script_has_dropped(const MigspecWorld *world, Oid class, Oid object);

/* the last part of a qualified name (List of String) */
extern char *migspec_last_name(List *names);

/* a.b.c as it was written, for messages */
extern char *migspec_shown_name(List *names);

/* DefElem of this name; NULL if there is none */
extern DefElem *migspec_option(List *options, const char *name);

/*
 * The relations of the catalog (not indexes or TOAST tables) for which the
 * function says so, as the world has them: List of MigspecWorldTable *.
 */
extern List *migspec_relations(MigspecWorld *world,
							   bool (*wanted) (const FormData_pg_class *form, void *arg),
							   void *arg);

/* The sequences that belong to columns of the table: MigspecWorldTable * */
extern List *migspec_owned_sequences(MigspecWorldTable *table);

/*
 * migspec_check_table() for a relation that is not the statement's object,
 * which must exist.
 */
extern MigspecWorldTable *migspec_other_table(MigspecStatement *stmt, const RangeVar *name);

/*
 * create_as.c: give a new table or view the columns of this raw query, with
 * these names (List of String) as far as they are given.  If they cannot be
 * found out, the table is marked as not loaded.
 */
extern void migspec_columns_of_query(MigspecStatement *stmt, MigspecWorldTable *table,
									 Node *query, List *names);

/*
 * dml.c: the locks of a query, of its WITH clauses and of whatever it calls
 * as far as it can be seen; and the facts about it.
 */
extern void migspec_analyse_query(MigspecStatement *stmt, Node *query);

/* index.c: the indexes that work on a table builds anew */
extern void migspec_build_all(MigspecStatement *stmt, MigspecWorldTable *table);

/* drop.c: DROP OWNED */
extern void migspec_analyse_drop_owned(MigspecStatement *stmt);

#endif							/* MIGSPEC_STATEMENTS_H */
