/*-------------------------------------------------------------------------
 *
 * alter_table.h
 *		What the files that analyse ALTER TABLE share.
 *
 * The server works in three phases (commands/tablecmds.c): it looks at all
 * subcommands and finds the tables they reach; then changes the catalog, pass
 * by pass, so that for instance everything is dropped before anything is
 * added; then scans or rewrites each table once.  The analysis does the same
 * with the world in place of the catalog, because which rows are read depends
 * on what earlier passes have done.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_CHECK_ALTER_TABLE_H
#define MIGSPEC_CHECK_ALTER_TABLE_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"

#include "check/check.h"
#include "check/deletion.h"
#include "check/world.h"

/* in the order of enum AlterTablePass */
typedef enum MigspecAlterPass
{
	MIGSPEC_PASS_DROP,
	MIGSPEC_PASS_ALTER_TYPE,
	MIGSPEC_PASS_ADD_COLUMN,
	MIGSPEC_PASS_SET_EXPRESSION,
	MIGSPEC_PASS_OLD_INDEX,		/* made anew after a change of type */
	MIGSPEC_PASS_OLD_CONSTRAINT,
	MIGSPEC_PASS_CONSTRAINT,	/* sorts constraints into the following */
	MIGSPEC_PASS_COLUMN,		/* NOT NULL */
	MIGSPEC_PASS_INDEX_CONSTRAINT,	/* USING INDEX */
	MIGSPEC_PASS_INDEX,
	MIGSPEC_PASS_OTHER_CONSTRAINT,	/* and defaults */
	MIGSPEC_PASS_MISC,
	MIGSPEC_PASSES
} MigspecAlterPass;

/* kinds of relations that a subcommand may be applied to; a bit mask */
#define MIGSPEC_ON_TABLE		0x01
#define MIGSPEC_ON_PARTITIONED	0x02
#define MIGSPEC_ON_VIEW			0x04
#define MIGSPEC_ON_MATVIEW		0x08
#define MIGSPEC_ON_INDEX		0x10
#define MIGSPEC_ON_COMPOSITE	0x20
#define MIGSPEC_ON_FOREIGN		0x40
#define MIGSPEC_ON_SEQUENCE		0x80

typedef struct MigspecAlter MigspecAlter;
typedef struct MigspecAltered MigspecAltered;
typedef struct MigspecAlterStep MigspecAlterStep;

typedef void (*MigspecAlterExec) (MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);

/* one subcommand for one table, to be done in a pass */
struct MigspecAlterStep
{
	MigspecAlterExec exec;
	AlterTableCmd *cmd;
	bool		recurse;		/* not ONLY */
	bool		recursing;		/* for a child, because of its parent */
	Constraint *constraint;		/* one that is added */
	MigspecWorldColumn *column; /* the new column that it was written at */
	struct MigspecRemade *remade;	/* what is made anew, */
	MigspecAltered *cause;		/* and the table whose change makes it so */
};

/* an index or constraint that is dropped and made anew */
typedef struct MigspecRemade
{
	MigspecWorldConstraint *constraint; /* this ... */
	MigspecWorldIndex *index;	/* ... or this */
	char	   *check;			/* text of its expression, before the change */
	char	   *predicate;		/* of the index, or NULL */
	List	   *expressions;	/* of char * */
	List	   *matches;		/* of MigspecKeyMatch *: of the foreign key */
} MigspecRemade;

/* a table that the statement reaches: its own, a child, ... */
struct MigspecAltered
{
	MigspecWorldTable *table;
	List	   *steps[MIGSPEC_PASSES];	/* of MigspecAlterStep * */
	bool		rewrite;
	bool		scan;
	bool		new_values;		/* columns get values: users of its row type
								 * are in the way */
	char		persistence;	/* to be, or 0 */
	bool		sets_method;	/* SET ACCESS METHOD has been seen */
	Oid			method;			/* to be, or InvalidOid */
	bool		sets_tablespace;	/* SET TABLESPACE has been seen */
	Oid			tablespace;		/* to be, or InvalidOid */
	List	   *old_columns;	/* of MigspecWorldColumn *: copies of those
								 * whose type has changed */
	List	   *remade;			/* of MigspecRemade *: depend on them */
};

/* the statement at work */
struct MigspecAlter
{
	MigspecStatement *stmt;
	MigspecWorldTable *target;
	LOCKMODE	lock;
	bool		creating;		/* CREATE TABLE: the table has no rows */
	List	   *queue;			/* of MigspecAltered * */
};

/* alter_table.c */
extern MigspecAltered *migspec_altered(MigspecAlter *alter, MigspecWorldTable *table);
extern MigspecAlterStep *migspec_alter_schedule(MigspecAltered *altered,
												MigspecAlterPass pass,
												MigspecAlterExec exec,
												AlterTableCmd *cmd);

/* do what has been scheduled, and tell what it costs */
extern void migspec_alter_run(MigspecAlter *alter);

/* lock a child (or another table) as the statement does; the entry for it */
extern MigspecAltered *migspec_alter_child(MigspecAlter *alter, MigspecWorldTable *table);
extern bool migspec_has_storage(const MigspecWorldTable *table);

/* the column of this name; raises the server's errors */
extern MigspecWorldColumn *migspec_alter_column(const MigspecWorldTable *table,
												const char *name);

/* is it the parent's too? */
extern bool migspec_is_inherited(const MigspecWorldTable *table, const char *column);

/* a name for a constraint or an index that nothing has yet */
extern char *migspec_alter_choose_name(MigspecWorldTable *table, const char *column,
									   const char *label, bool relation);

/* names of the columns with these attnos, joined by "_" */
extern char *migspec_alter_join_names(const MigspecWorldTable *table, List *attnos);

/* raises the server's error if a column somewhere is of the table's row type */
extern void migspec_alter_check_row_type(MigspecAlter *alter, MigspecWorldTable *table);

/* alter_table_misc.c */
extern void migspec_alter_persistence(MigspecAlter *alter, MigspecAltered *altered,
									  MigspecAlterStep *step);
extern void migspec_alter_method(MigspecAlter *alter, MigspecAltered *altered,
								 MigspecAlterStep *step);
extern void migspec_alter_tablespace(MigspecAlter *alter, MigspecAltered *altered,
									 MigspecAlterStep *step);
extern void migspec_alter_options(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);
extern void migspec_alter_trigger(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);
extern void migspec_alter_rule(MigspecAlter *alter, MigspecAltered *altered,
							   MigspecAlterStep *step);
extern void migspec_alter_replica_identity(MigspecAlter *alter, MigspecAltered *altered,
										   MigspecAlterStep *step);
extern void migspec_alter_row_security(MigspecAlter *alter, MigspecAltered *altered,
									   MigspecAlterStep *step);
extern void migspec_alter_owner(MigspecAlter *alter, MigspecAltered *altered,
								MigspecAlterStep *step);
extern void migspec_alter_cluster_on(MigspecAlter *alter, MigspecAltered *altered,
									 MigspecAlterStep *step);
extern void migspec_alter_of(MigspecAlter *alter, MigspecAltered *altered,
							 MigspecAlterStep *step);
extern void migspec_alter_move_all(MigspecStatement *stmt, AlterTableMoveAllStmt *tree);

/* raises an error if logical decoding looks into the table */
extern void migspec_alter_refuse_catalog(const MigspecWorldTable *table);

/* raises an error if the table is OF a type */
extern void migspec_alter_refuse_typed(const MigspecWorldTable *table, AlterTableType type);

/* the tables OF a composite type; raises an error unless CASCADE */
extern List *migspec_alter_typed_tables(MigspecWorldTable *type, DropBehavior behavior);

/* ALTER INDEX, or ALTER TABLE of an index */
extern void migspec_alter_index(MigspecStatement *stmt, AlterTableStmt *tree,
								MigspecWorldIndex *index);

/* since 18: what a virtual generated column cannot be of; raises an error */
extern void migspec_check_virtual_type(const char *column, Oid type);

/* alter_column.c: parse analysis; NULL if it fails for what the script creates */
extern Node *migspec_alter_cook(MigspecWorldTable *table, Node *raw, ParseExprKind kind,
								Oid type, int32 typmod);

/* facts: foreign keys that go lock others; a replica identity goes */
extern void migspec_alter_note_foreign_keys(MigspecAlter *alter, MigspecDeletion *deletion);
extern void migspec_alter_note_identity(MigspecAlter *alter, MigspecWorldIndex *index);

extern void migspec_alter_add_column(MigspecAlter *alter, MigspecAltered *altered,
									 MigspecAlterStep *step);
extern void migspec_alter_drop_column(MigspecAlter *alter, MigspecAltered *altered,
									  MigspecAlterStep *step);
extern void migspec_alter_default(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);
extern void migspec_alter_add_identity(MigspecAlter *alter, MigspecAltered *altered,
									   MigspecAlterStep *step);
extern void migspec_alter_set_identity(MigspecAlter *alter, MigspecAltered *altered,
									   MigspecAlterStep *step);
extern void migspec_alter_drop_identity(MigspecAlter *alter, MigspecAltered *altered,
										MigspecAlterStep *step);
extern void migspec_alter_drop_expression(MigspecAlter *alter, MigspecAltered *altered,
										  MigspecAlterStep *step);
extern void migspec_alter_statistics(MigspecAlter *alter, MigspecAltered *altered,
									 MigspecAlterStep *step);
extern void migspec_alter_storage(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);

/* alter_not_null.c */
extern void migspec_alter_set_not_null_prepare(MigspecAlter *alter,
											   MigspecAltered *altered,
											   MigspecAlterStep *step);
extern void migspec_alter_set_not_null(MigspecAlter *alter, MigspecAltered *altered,
									   MigspecAlterStep *step);
extern void migspec_alter_drop_not_null(MigspecAlter *alter, MigspecAltered *altered,
										MigspecAlterStep *step);
extern void migspec_alter_add_not_null(MigspecAlter *alter, MigspecAltered *altered,
									   MigspecAlterStep *step);

/* the parent gets NOT NULL with a column that the child had before (18) */
extern void migspec_inherit_not_null(MigspecAlter *alter, MigspecAltered *altered,
									 const char *column, const char *name);

/* the NOT NULL constraint of a column (18), or NULL */
extern MigspecWorldConstraint *migspec_not_null_constraint(const MigspecWorldTable *table,
														   AttrNumber attno);

/* ALTER CONSTRAINT ... INHERIT, NO INHERIT of one */
extern void migspec_alter_not_null_inherit(MigspecAlter *alter,
										   MigspecWorldConstraint *constraint,
										   bool no_inherit);

/* add that to the world; "name" may be NULL */
extern MigspecWorldConstraint *migspec_note_not_null(MigspecWorldTable *table,
													 MigspecWorldColumn *column,
													 const char *name);

/*
 * The columns of a primary key become NOT NULL: schedules that.  "columns" is
 * a List of char *.
 */
extern void migspec_alter_key_not_null(MigspecAlter *alter, MigspecAltered *altered,
									   List *columns, bool recurse);

/* drop one; raises an error if a key or identity needs it */
extern void migspec_drop_not_null_constraint(MigspecWorldConstraint *constraint);

/* VALIDATE CONSTRAINT of a NOT NULL constraint */
extern void migspec_validate_not_null(MigspecAlter *alter,
									  MigspecWorldConstraint *constraint, bool recurse);

/* alter_type.c */
extern void migspec_alter_type_prepare(MigspecAlter *alter, MigspecAltered *altered,
									   MigspecAlterStep *step);
extern void migspec_alter_type(MigspecAlter *alter, MigspecAltered *altered,
							   MigspecAlterStep *step);
extern void migspec_alter_set_expression(MigspecAlter *alter, MigspecAltered *altered,
										 MigspecAlterStep *step);

/* after either: what depends on the columns is made anew */
extern void migspec_alter_rebuild(MigspecAlter *alter, MigspecAltered *altered);

/* alter_depend.c: raise the server's errors if the type cannot be changed */
extern void migspec_alter_check_dependents(MigspecAlter *alter, MigspecWorldTable *table,
										   MigspecWorldColumn *column);
extern void migspec_alter_check_default(MigspecWorldTable *table,
										const MigspecWorldColumn *column,
										Oid type, int32 typmod);

/* alter_constraint.c */
extern void migspec_alter_add_constraint(MigspecAlter *alter, MigspecAltered *altered,
										 MigspecAlterStep *step);
extern void migspec_alter_drop_constraint(MigspecAlter *alter, MigspecAltered *altered,
										  MigspecAlterStep *step);
extern void migspec_alter_validate_constraint(MigspecAlter *alter, MigspecAltered *altered,
											  MigspecAlterStep *step);
extern void migspec_alter_constraint(MigspecAlter *alter, MigspecAltered *altered,
									 MigspecAlterStep *step);

/* drop one, from the table and its children */
extern void migspec_alter_drop_one(MigspecAlter *alter, MigspecWorldConstraint *constraint,
								   DropBehavior behavior, bool recurse, bool recursing);

/* constraint.c: raises the server's error if the table has one of this name */
extern void migspec_refuse_constraint(const MigspecWorldTable *table, const char *name);

/* constraint.c: steps for constraints of each type */
extern void migspec_alter_add_check(MigspecAlter *alter, MigspecAltered *altered,
									MigspecAlterStep *step);
extern void migspec_alter_add_key(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);
extern void migspec_alter_add_key_using(MigspecAlter *alter, MigspecAltered *altered,
										MigspecAlterStep *step);
extern void migspec_alter_add_foreign_key(MigspecAlter *alter, MigspecAltered *altered,
										  MigspecAlterStep *step);

/* index.c: what the name of an index calls this column or expression */
extern const char *migspec_index_column_name(const IndexElem *elem);

/* the index that USING INDEX names; raises an error if it will not do */
extern MigspecWorldIndex *migspec_key_index(MigspecWorldTable *table,
											const Constraint *new);

/* constraint_index.c: what a parent has, in terms of a child's columns */
extern AttrNumber migspec_map_attno(const MigspecWorldTable *from,
									const MigspecWorldTable *to, AttrNumber attno);
extern Node *migspec_map_expr(const MigspecWorldTable *from, const MigspecWorldTable *to,
							  Node *expr);

/* the constraint that an index belongs to, or NULL */
extern MigspecWorldConstraint *migspec_constraint_of(const MigspecWorldIndex *index);

/* the child's index that can be a part of the parent's, or NULL */
extern MigspecWorldIndex *migspec_index_part(const MigspecWorldIndex *parent,
											 const MigspecWorldTable *child);

/* changes of the world: an index like that of another table, its constraint */
extern char *migspec_index_name_for(MigspecWorldTable *table, const MigspecWorldIndex *like);
extern MigspecWorldIndex *migspec_add_index_like(MigspecWorldTable *table,
												 const MigspecWorldIndex *like,
												 const char *name);
extern MigspecWorldConstraint *migspec_add_key_constraint(MigspecWorldIndex *index, char type);

/* build it, if it has storage; and its parts in all partitions */
extern void migspec_build_index(MigspecAlter *alter, MigspecWorldIndex *index);
extern void migspec_build_parts(MigspecAlter *alter, MigspecWorldIndex *index,
								LOCKMODE lock);

/* constraint_foreign.c: how values of a foreign key are compared */
typedef struct MigspecKeyMatch
{
	Oid			operator;		/* referenced = referencing; InvalidOid: it is
								 * not known */
	Oid			input;			/* type of its right operand */
	int			path;			/* CoercionPathType to that */
	Oid			cast;			/* function of the path */
} MigspecKeyMatch;

/*
 * "opclass" is that of the referenced index.  False: there is no such operator.
 */
extern bool migspec_match_keys(Oid opclass, Oid referenced, Oid referencing,
							   MigspecKeyMatch *match);

/* since 18, both collations must mean the same equality; raises if not */
extern void migspec_check_collations(const char *constraint, Oid referenced,
									 Oid referencing);

/* lock the table, and its partitions */
extern void migspec_lock_referenced(MigspecAlter *alter, MigspecWorldTable *referenced,
									LOCKMODE lock);

/* does it only serve a partition of the referenced table? */
extern bool migspec_is_action_only(const MigspecWorldConstraint *constraint);

/* is it not deferrable and deferred just so? */
extern bool migspec_changes_deferrability(const MigspecWorldConstraint *constraint,
										  bool deferrable, bool deferred);

/* the constraint of the child that is the part of this foreign key, or NULL */
extern MigspecWorldConstraint *migspec_foreign_key_part(const MigspecWorldConstraint *constraint,
														const MigspecWorldTable *child);

/*
 * Give a partition the foreign key of its parent.  "new" is its definition, if
 * it is not in the catalog; rows are read if "validate".  True: they are.
 */
extern bool migspec_clone_foreign_key(MigspecAlter *alter, MigspecWorldConstraint *constraint,
									  MigspecWorldTable *child, LOCKMODE lock,
									  bool validate, const Constraint *new);

/* VALIDATE CONSTRAINT, for the table and its partitions */
extern void migspec_validate_foreign_key(MigspecAlter *alter,
										 MigspecWorldConstraint *constraint);

/* the index that a foreign key relies on, or NULL */
extern MigspecWorldIndex *migspec_referenced_index(const MigspecWorldConstraint *constraint);

/* attach.c */
extern void migspec_alter_attach(MigspecAlter *alter, MigspecAltered *altered,
								 MigspecAlterStep *step);
extern void migspec_alter_detach(MigspecAlter *alter, MigspecAltered *altered,
								 MigspecAlterStep *step);
extern void migspec_alter_inherit(MigspecAlter *alter, MigspecAltered *altered,
								  MigspecAlterStep *step);
extern void migspec_alter_no_inherit(MigspecAlter *alter, MigspecAltered *altered,
									 MigspecAlterStep *step);

/* partition_quals.c: attnos of the partition key (0: an expression) */
extern List *migspec_partition_key(const MigspecWorldTable *table);

/* is the column in the key, or in an expression there? */
extern bool migspec_partitions_by(const MigspecWorldTable *table, AttrNumber attno);

/* raises the server's errors if these bounds cannot be those of a partition */
extern void migspec_check_bound(MigspecWorldTable *parent, const char *name,
								PartitionBoundSpec *bound);

/*
 * What rows of a partition with these bounds fulfil; and what all rows of the
 * partitioned table do, if that is a partition itself.  Lists with implicit AND
 * over its columns.  Sets *provable to false if that cannot be put in terms
 * that anything could prove.
 */
extern List *migspec_partition_quals(MigspecWorldTable *parent, PartitionBoundSpec *bound,
									 bool *provable);
extern List *migspec_ancestor_quals(MigspecWorldTable *parent, bool *provable);

/* what rows of the default partition fulfil when this one comes */
extern List *migspec_default_quals(List *quals);

/* has DETACH CONCURRENTLY been begun? */
extern bool migspec_is_detaching(const MigspecWorldTable *table);

#endif							/* MIGSPEC_CHECK_ALTER_TABLE_H */
