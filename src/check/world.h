/*-------------------------------------------------------------------------
 *
 * world.h
 *		The database as the next statement of a script would find it.
 *
 * A world starts as the catalog is; relations are copied into it when they are
 * first asked for.  Each statement that is analysed then changes the world, and
 * nothing else, so that later statements see what earlier ones would have done.
 *
 * Everything lives in the world's memory context and goes with it.  Only
 * ACCESS SHARE is ever taken, while a relation is copied, and let go at once:
 * a session that held it while its own statement asks for more would upgrade
 * its lock, and two that do so deadlock.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_WORLD_H
#define MIGSPEC_WORLD_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "parser/parse_node.h"
#include "storage/lockdefs.h"

typedef struct MigspecWorldTable MigspecWorldTable;

typedef struct MigspecWorldColumn
{
	char	   *name;
	AttrNumber	attno;			/* Vars of the table's expressions use it */
	Oid			type;			/* InvalidOid: only the script creates it */
	int32		typmod;
	Oid			collation;
	bool		not_null;
	bool		not_null_valid; /* no row breaks it (18 has NOT VALID ones) */
	char		generated;		/* as pg_attribute.attgenerated */
	char		identity;		/* as pg_attribute.attidentity */
	bool		has_default;
	bool		default_changed;	/* by the script; then this is it, */
	Node	   *default_expr;	/* or NULL: there is none, or not known */
	struct MigspecWorldTable *default_sequence; /* of the script, in that */
	bool		is_new;			/* added by the script */
	bool		dropped;
	bool		is_local;		/* as pg_attribute.attislocal */
	int			inherited;		/* as pg_attribute.attinhcount */
} MigspecWorldColumn;

typedef struct MigspecWorldIndex
{
	char	   *name;
	Oid			oid;			/* InvalidOid: created by the script */
	MigspecWorldTable *table;
	Oid			am;
	int			nkeys;			/* without INCLUDE columns */
	int			natts;
	AttrNumber *attnos;			/* 0: an expression */
	Oid		   *opclasses;		/* of keys */
	Oid		   *collations;		/* of keys */
	List	   *expressions;
	Node	   *predicate;
	bool		unique;
	bool		primary;
	bool		exclusion;
	bool		immediate;
	bool		valid;
	bool		replica_identity;
	bool		clustered;		/* CLUSTER without a name takes this one */
	bool		partitioned;	/* an empty shell */
	bool		dropped;
} MigspecWorldIndex;

typedef struct MigspecWorldConstraint
{
	char	   *name;
	Oid			oid;			/* InvalidOid: created by the script */
	MigspecWorldTable *table;
	char		type;			/* CONSTRAINT_CHECK, ... of pg_constraint.h */
	bool		validated;
	bool		enforced;
	bool		no_inherit;
	bool		is_local;
	int			inherited;		/* as pg_constraint.coninhcount; kept up to
								 * date for CHECK and NOT NULL only */
	Node	   *expr;			/* CHECK; NULL if it could not be read */
	List	   *columns;		/* of int: attnos it mentions, in key order */
	MigspecWorldIndex *index;	/* of a key or exclusion */
	MigspecWorldTable *referenced;	/* of a foreign key; NULL if the table was
									 * itself only reached as a referenced
									 * one: ask find_oid(referenced_oid) */
	Oid			referenced_oid;
	List	   *referenced_columns; /* of int */
	bool		dropped;
} MigspecWorldConstraint;

/* what a view of the script's making needs */
typedef struct MigspecWorldUse
{
	MigspecWorldTable *table;
	AttrNumber	attno;			/* 0: the table as such */
} MigspecWorldUse;

/* any relation but an index: table, partitioned table, view, sequence, ... */
struct MigspecWorldTable
{
	struct MigspecWorld *world;
	Oid			oid;			/* InvalidOid: created by the script */
	char	   *schema;
	char	   *name;
	char		kind;			/* as pg_class.relkind */
	char		persistence;	/* as pg_class.relpersistence */
	Oid			owner;
	Oid			am;
	Oid			tablespace;
	Oid			row_type;
	bool		is_new;			/* by the script or in this transaction: no
								 * other session can see it */
	bool		is_empty;		/* not a single block, or truncated by us */
	bool		dropped;
	bool		is_catalog;		/* of the system */
	bool		loaded;			/* false: it was locked by somebody (only if
								 * the world must not wait); no more is known
								 * than is above */
	char		replica_identity;
	bool		row_security;
	double		tuples;			/* pg_class.reltuples; -1: not known */
	List	   *columns;		/* of MigspecWorldColumn *, by attno, dropped
								 * ones included */
	List	   *indexes;		/* of MigspecWorldIndex * */
	List	   *constraints;	/* of MigspecWorldConstraint *; NOT NULL ones
								 * too where the server has them */
	Oid			parent_oid;		/* partition or (single) inheritance */
	MigspecWorldTable *parent;	/* if set in this world */
	bool		is_partition;
	PartitionBoundSpec *bound;	/* of a partition; may be NULL if unknown */
	bool		is_default_partition;
	bool		drop_on_commit; /* temporary, until the transaction ends */
	char		populated;		/* materialized view, 'y' or 'n', if the
								 * script fills or empties it */
	char		user_catalog;	/* the option user_catalog_table, 'y' or 'n',
								 * if the script sets it */
	MigspecWorldTable *owned_by;	/* of a sequence that the script makes:
									 * the table it goes with; or NULL */
	List	   *uses;			/* of MigspecWorldUse *; of a view that the
								 * script creates */
	PartitionSpec *partition_by;	/* raw; of a partitioned table that the
									 * script creates */

	/* private to world*.c */
	MigspecWorldTable *live;	/* of a frozen copy: the table itself */
	char	   *shown_name;		/* of a frozen copy: what it was called then */
	struct MigspecWorldSnapshot *snapshot;	/* the latest */
	int			snapshot_at;	/* statement it was taken in */
	int			created_at;		/* statement that creates it, or 0 */
	Oid			loaded_parent;	/* as in the catalog */
	bool		complete;		/* parent and referenced are set */
	struct MigspecEffect *effect;	/* of the statement ... */
	int			effect_at;		/* ... of this number */
	char	   *cached_name;	/* as it is shown ... */
	const char *cached_for;		/* ... when its name is this */
	int			cached_at;		/* ... and world->names was this */
	bool		children_known;
	List	   *loaded_children;	/* of Oid, as in the catalog */
	List	   *bound_quals;	/* what rows of the partition fulfil ... */
	PartitionBoundSpec *bound_quals_of; /* ... if it has these bounds */
	bool		sized;
	uint64		heap_bytes;
	uint64		index_bytes;
};

typedef struct MigspecWorld
{
	MemoryContext context;
	bool		may_wait;		/* for ACCESS SHARE */
	List	   *tables;			/* of MigspecWorldTable * */
	List	   *search_path;	/* of char *; what the script has set, NIL:
								 * the session's */
	/* what the script does around its statements */
	bool		in_transaction; /* BEGIN, or called in a block */
	int			lock_timeout;	/* ms, as it would be; 0: none */
	int			statement_timeout;
	List	   *new_types;		/* of char *: names of types, schemas and
								 * functions that the script creates */
	List	   *new_values;		/* of char *: values of enumerations that the
								 * transaction adds, and cannot use */
	bool		drops_on_commit;	/* a table may be dropped on commit */
	List	   *dropped_objects;	/* of ObjectAddress *: what else than
									 * relations and their parts the script
									 * has dropped; see deletion.h */

	/* private to world*.c and script*.c */
	int			patience;		/* ms: how long it may still wait for locks */
	struct HTAB *by_oid;
	struct HTAB *by_name;		/* see migspec_world_named() */
	List	   *new_foreign_keys;	/* of MigspecWorldConstraint *, made by
									 * the script */
	int			statement;		/* the one at work; 0: none */
	List	   *changes;		/* of MigspecWorldSnapshot *, by all
								 * statements that may still be undone */
	int			names;			/* changes whenever names may have come, gone
								 * or moved to another schema */
	char	   *path_source;	/* the search_path that "path" was made from */
	List	   *path;			/* of char *: schemas, implicit ones too */
	int			implicit_schemas;	/* how many these are; they come first */
	int			unknown;		/* times that something was met which cannot
								 * be known: a locked relation, a type that
								 * only the script creates */
	List	   *given_up;		/* of char *: texts of statements that could
								 * not be analysed because of that */
} MigspecWorld;

/*
 * A new world, in a child of the current memory context.  With may_wait false
 * a relation that somebody has locked ACCESS EXCLUSIVE is not waited for, but
 * known by its name only.
 */
extern MigspecWorld *migspec_world_create(bool may_wait);

/*
 * Find relations: by name as the script would, by OID, or NULL if there is
 * none (or the script has dropped it).  Loads them.  An index is no table.
 */
extern MigspecWorldTable *migspec_world_find(MigspecWorld *world, const RangeVar *name);
extern MigspecWorldTable *migspec_world_find_oid(MigspecWorld *world, Oid oid);
extern MigspecWorldIndex *migspec_world_find_index(MigspecWorld *world, const RangeVar *name);

/*
 * Tables (List of MigspecWorldTable *) that have, or have ever had, this name,
 * or an index or constraint of this name; so whoever gives something another
 * name must note that.
 */
extern List *migspec_world_named(const MigspecWorld *world, const char *name);
extern void migspec_world_note_name(MigspecWorldTable *table, const char *name);

/* Members, by name or attno; NULL if there is none or it is dropped */
extern MigspecWorldColumn *migspec_world_column(const MigspecWorldTable *table,
												const char *name);
extern MigspecWorldColumn *migspec_world_column_no(const MigspecWorldTable *table,
												   AttrNumber attno);
extern MigspecWorldConstraint *migspec_world_constraint(const MigspecWorldTable *table,
														const char *name);
extern MigspecWorldIndex *migspec_world_index(const MigspecWorldTable *table,
											  const char *name);
extern MigspecWorldConstraint *migspec_world_primary_key(const MigspecWorldTable *table);

/*
 * Relatives, as the script leaves them.  List of MigspecWorldTable *: direct
 * children; all descendants without the table itself; leaves (or the table
 * itself where it has no children).  How many of a family (a table and its
 * descendants) are parents of the table.  The foreign keys of others that refer to
 * the table, List of MigspecWorldConstraint * (their ->table is the other).
 */
extern List *migspec_world_children(MigspecWorldTable *table);
extern List *migspec_world_descendants(MigspecWorldTable *table);
extern List *migspec_world_leaves(MigspecWorldTable *table);
extern int	migspec_world_count_parents(MigspecWorldTable *table, const List *family);
extern MigspecWorldTable *migspec_world_default_partition(MigspecWorldTable *table);
extern List *migspec_world_referencing(MigspecWorldTable *table);

/*
 * Tables (MigspecWorldTable *) with a column of this type, a domain over it or
 * a row type that contains it, as ALTER DOMAIN would look for them.
 */
extern List *migspec_world_users_of_type(MigspecWorld *world, Oid type);

/*
 * Changes: everything is palloc'd in the world, linked in, and returned.
 *
 * What a statement is about to change in a table, in whatever way, must have
 * been announced before by migspec_world_remember(), so that it can be undone;
 * migspec_check_table(), _lock(), _work(), _build() and _fact() and all of the
 * functions here do that.
 */
extern void migspec_world_remember(MigspecWorldTable *table);

extern MigspecWorldTable *migspec_world_add_table(MigspecWorld *world, const RangeVar *name,
												  char kind);
extern MigspecWorldColumn *migspec_world_add_column(MigspecWorldTable *table, const char *name);
extern MigspecWorldIndex *migspec_world_add_index(MigspecWorldTable *table, const char *name);
extern MigspecWorldConstraint *migspec_world_add_constraint(MigspecWorldTable *table,
															const char *name, char type);
extern void migspec_world_drop_table(MigspecWorldTable *table);

/* at the end of a transaction: those that are dropped then */
extern void migspec_world_commit(MigspecWorld *world);

/* column, and the constraints and indexes that need it */
extern void migspec_world_drop_column(MigspecWorldTable *table, MigspecWorldColumn *column);

/* constraint, and its index */
extern void migspec_world_drop_constraint(MigspecWorldConstraint *constraint);

/*
 * Statements.  begin: what is changed from here on belongs to this statement.
 * frozen: a copy of the table as it was before the present statement (if that
 * creates it: as it is now), which later statements do not change; functions
 * of relatives and sizes take it as well.  mark and undo: back to the mark.
 */
extern void migspec_world_begin_statement(MigspecWorld *world, int number);
extern MigspecWorldTable *migspec_world_frozen(MigspecWorldTable *table);
extern MigspecWorldIndex *migspec_world_frozen_index(MigspecWorldIndex *index);
extern int	migspec_world_mark(const MigspecWorld *world);
extern void migspec_world_undo(MigspecWorld *world, int mark);

/*
 * The schemas that unqualified names are looked for in (List of char *), those
 * included that do not exist; and the one that they are created in, or NULL.
 */
extern List *migspec_world_path(MigspecWorld *world);
extern const char *migspec_world_creation_schema(MigspecWorld *world);

/* does the script create a type, schema or function of this name? */
extern bool migspec_world_is_new_name(const MigspecWorld *world, const char *name);

/* As a person would write it: qualified only if it must be, quoted */
extern char *migspec_world_table_name(const MigspecWorldTable *table);
extern char *migspec_world_index_name(const MigspecWorldIndex *index);

/*
 * Sizes in bytes of what exists now (0 for what the script creates): heap and
 * TOAST, or indexes, of the table and all its descendants if "all".
 */
extern uint64 migspec_world_heap_bytes(MigspecWorldTable *table, bool all);
extern uint64 migspec_world_index_bytes(MigspecWorldTable *table, bool all);
extern uint64 migspec_world_one_index_bytes(const MigspecWorldIndex *index);

/*
 * Expressions (world_expr.c).
 *
 * cook: parse analysis of a raw expression that may name the table's columns
 * (table may be NULL), as Vars of varno 1; coerced by assignment to "type"
 * unless that is InvalidOid; collations assigned; not planned.  Raises the
 * server's own errors, so call it inside migspec_check_try().
 */
extern Node *migspec_world_cook(MigspecWorld *world, MigspecWorldTable *table, Node *raw,
								ParseExprKind kind, Oid type, int32 typmod);

/*
 * A copy as the planner simplifies it, functions inlined, constants folded.
 * But nothing of the user is run: where the planner would call an immutable
 * function of his, there is a Param instead.
 */
extern Node *migspec_world_plan(Node *cooked);

/* that: does it contain a volatile function? */
extern bool migspec_world_is_volatile(MigspecWorld *world, Node *cooked);

/* the attnos (List of int) that it mentions; all of them for a whole row */
extern List *migspec_world_mentions(const MigspecWorldTable *table, Node *cooked);

/*
 * Do the table's NOT NULL marks and its valid CHECK constraints imply all of
 * "quals" (implicit AND, Vars of varno 1)?  The server's prover, see
 * ConstraintImpliedByRelConstraint() in commands/tablecmds.c.
 */
extern bool migspec_world_proves(MigspecWorldTable *table, List *quals);
extern bool migspec_world_proves_not_null(MigspecWorldTable *table, AttrNumber attno);

/* SQL text of a cooked expression, columns by their names */
extern char *migspec_world_deparse(const MigspecWorldTable *table, Node *cooked);

#endif							/* MIGSPEC_WORLD_H */
