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
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "nodes/primnodes.h"

#include "check/check.h"

/* The relation that is the object of the statement: found, locked, marked */
extern MigspecEffect *migspec_lock_target(MigspecStatement *stmt, MigspecWorldTable *table,
										  LOCKMODE lock);

/* The same for all its descendants, if "inherit" */
extern void migspec_lock_family(MigspecStatement *stmt, MigspecWorldTable *table,
								LOCKMODE lock, bool inherit);

/* Raises 25001 if the script is inside of a transaction block */
extern void migspec_refuse_in_transaction(const MigspecStatement *stmt, const char *what);

/* Is there a relation or index where one of this name would be created? */
extern bool migspec_name_exists(MigspecStatement *stmt, const RangeVar *name);

/* Raises 42P07 if so */
extern void migspec_refuse_duplicate(MigspecStatement *stmt, const RangeVar *name);

/* Raises 42P16 if a column cannot be of this type */
extern void migspec_refuse_pseudo_type(const char *column, Oid type);

/*
 * Raises 42710 if there is a type of this name where it would be created
 * (schema NULL: where that is decided by the search path).
 */
extern void migspec_refuse_duplicate_type(MigspecStatement *stmt, const char *schema,
										  const char *name);

/*
 * Look up an object that is no relation, raising the server's error if there is
 * none (or, if missing_ok, returning an invalid address).  What only the script
 * creates has an invalid address as well.
 */
extern ObjectAddress migspec_find_object(MigspecStatement *stmt, ObjectType type,
										 Node *object, bool missing_ok);

/*
 * A partition is added to this table: lock the tables whose foreign keys refer
 * to it, those of partitions excepted, which their parents stand for.
 */
extern void migspec_lock_referencing(MigspecStatement *stmt, MigspecWorldTable *parent);

/* Raises the server's error if a table cannot be clustered by the index. */
extern void migspec_check_clusterable(const MigspecWorldIndex *index);

/*
 * Objects that are neither relations nor parts of one.  "name" is what later
 * statements call it.  Types, schemas and functions go by their plain names,
 * others by "trigger t on r" and the like.  The empty name stands for
 * anything: the statement is opaque.
 */
extern void migspec_script_creates(MigspecStatement *stmt, const char *name);
extern void migspec_script_drops(MigspecStatement *stmt, Oid class, Oid object);
extern bool migspec_script_has_dropped(const MigspecWorld *world, Oid class, Oid object);

/* The statement may do anything, which cannot be seen from here */
extern void migspec_opaque(MigspecStatement *stmt);

/* types.c: a fact if this string is a value that the transaction has just added */
extern void migspec_tell_new_value(MigspecStatement *stmt, const char *value);

/* the last part of a qualified name (List of String) */
extern char *migspec_last_name(List *names);

/* a.b.c as it was written, for messages */
extern char *migspec_shown_name(List *names);

/* DefElem of this name; NULL if there is none */
extern DefElem *migspec_option(List *options, const char *name);
extern bool migspec_option_is_on(List *options, const char *name);

/*
 * The relations of the catalog (not indexes or TOAST tables) for which the
 * function says so, as the world has them: List of MigspecWorldTable *.
 */
extern List *migspec_relations(MigspecWorld *world,
							   bool (*wanted) (const FormData_pg_class * form, void *arg),
							   void *arg);

/* The sequences that belong to columns of the table: MigspecWorldTable * */
extern List *migspec_owned_sequences(MigspecWorldTable *table);

/*
 * migspec_check_table() for a relation that is not the statement's object,
 * which must exist.
 */
extern MigspecWorldTable *migspec_other_table(MigspecStatement *stmt, const RangeVar *name);

/*
 * dml.c: the locks of a query or a statement that changes rows, and of its
 * WITH clauses; the facts about it.  False if it is about something that the
 * script has changed or that cannot be seen, so that the catalog does not tell
 * whether it is right.
 */
extern bool migspec_analyse_query(MigspecStatement *stmt, Node *query);

/*
 * dml.c: the locks that a query takes when it is parsed or (planned) planned,
 * but not run.
 */
extern void migspec_parse_query(MigspecStatement *stmt, Node *query, bool planned);

/* dml.c: the target of COPY ... FROM and the like gets new rows */
extern void migspec_lock_written(MigspecStatement *stmt, MigspecWorldTable *table);

/* index.c: the indexes that work on a table builds anew */
extern void migspec_build_all(MigspecStatement *stmt, MigspecWorldTable *table);

/*
 * index.c: an index like that one for a table with the same columns, which is
 * built.
 */
extern MigspecWorldIndex *migspec_clone_index(MigspecStatement *stmt,
											  const MigspecWorldIndex *index,
											  MigspecWorldTable *table);

/*
 * A column of one table (0: an expression) in a table whose columns have the
 * same names.
 */
extern AttrNumber migspec_child_attno(const MigspecWorldTable *parent,
									  const MigspecWorldTable *child, AttrNumber attno);

/* create_as.c */
extern void migspec_analyse_create_as(MigspecStatement *stmt);
extern void migspec_analyse_create_view(MigspecStatement *stmt);

/* create_as.c: SELECT ... INTO */
extern void migspec_analyse_select_into(MigspecStatement *stmt, IntoClause *into);

/* function.c */
extern void migspec_analyse_function(MigspecStatement *stmt);
extern void migspec_analyse_alter_function(MigspecStatement *stmt);

/* maintenance.c */
extern void migspec_analyse_cluster(MigspecStatement *stmt);
extern void migspec_analyse_vacuum(MigspecStatement *stmt);
extern void migspec_analyse_refresh(MigspecStatement *stmt);
extern void migspec_analyse_lock(MigspecStatement *stmt);

/* maintenance.c: CLUSTER of the table takes this index from now on; NULL: none */
extern void migspec_mark_clustered(MigspecWorldTable *table, const MigspecWorldIndex *index);

/* dml.c: the relations that a view reads, MigspecWorldTable * */
extern List *migspec_base_relations(MigspecWorldTable *view);

/* drop.c: DROP OWNED */
extern void migspec_analyse_drop_owned(MigspecStatement *stmt);

/*
 * view_uses.c: note what a new view is made of; the views of the script's
 * making (List of MigspecWorldTable *) that use a column, or the table if
 * attno is 0.
 */
extern void migspec_note_uses(MigspecWorldTable *view, Node *query);
extern List *migspec_new_users(const MigspecWorldTable *table, AttrNumber attno);

/*
 * types.c: is it a domain with constraints, in the catalog or by the script?
 * "name" is what it is called in the statement.
 */
extern bool migspec_is_constrained(const MigspecWorld *world, Oid type,
								   const TypeName *name);

#endif							/* MIGSPEC_STATEMENTS_H */
