/*-------------------------------------------------------------------------
 *
 * carry_internal.h
 *		What the files carry*.c share; nobody else includes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_CARRY_INTERNAL_H
#define MIGSPEC_CARRY_INTERNAL_H

#include "postgres.h"
#include "catalog/objectaddress.h"
#include "utils/rel.h"

#include "engine/plan.h"

/*
 * Kinds of things that hang on a column, in the order in which they are
 * carried: constraints need the indexes, identity columns and primary keys
 * need NOT NULL, foreign keys need the keys they refer to.
 */
typedef enum MigspecCarryKind
{
	MIGSPEC_CARRY_NOT_NULL,
	MIGSPEC_CARRY_INDEX,		/* one that belongs to no constraint */
	MIGSPEC_CARRY_KEY,			/* PRIMARY KEY or UNIQUE */
	MIGSPEC_CARRY_CHECK,
	MIGSPEC_CARRY_STATISTICS,
	MIGSPEC_CARRY_FOREIGN_KEY,	/* in either direction */
	MIGSPEC_CARRY_IDENTITY,
	MIGSPEC_CARRY_SEQUENCE,		/* owned by the column */
	MIGSPEC_CARRY_DEFAULT,
	MIGSPEC_CARRY_POLICY,
	MIGSPEC_CARRY_PUBLICATION,
	MIGSPEC_CARRY_REFUSED		/* cannot be carried; last */
} MigspecCarryKind;

typedef struct MigspecCarryItem
{
	MigspecCarryKind kind;
	ObjectAddress object;
	char	   *identity;		/* for step.carries */
	char	   *reason;			/* why it is refused, NULL: it always is */
} MigspecCarryItem;

/* One table of an operation: the table itself or one of its partitions */
typedef struct MigspecCarry
{
	MigspecPlan *plan;			/* NULL when there is nothing to plan */
	const MigspecOperation *op;
	List	   *ops;			/* all operations of the migration */
	Relation	rel;
	Oid			relid;
	bool		is_root;		/* the operation's own table */
	char	   *table;			/* name, for SQL text */
	AttrNumber	attno;			/* of the old column; 0 if there is none */
	Form_pg_attribute att;		/* its row, NULL if there is none */
	Oid			new_type;
} MigspecCarry;

/* rough figures for the estimates, rows per second */
#define MIGSPEC_CARRY_BUILD_RATE	500000.0
#define MIGSPEC_CARRY_SCAN_RATE		2000000.0

/* what is done for a table */
typedef void (*MigspecCarryVisit) (MigspecCarry *carry, void *arg);

/* carry.c */
extern void migspec_carry_visit(MigspecPlan *plan, List *ops,
								const MigspecOperation *op, Oid relid,
								MigspecCarryVisit visit, void *arg);
extern MigspecStep *migspec_carry_step(MigspecCarry *carry,
									   const MigspecCarryItem *item,
									   MigspecPhase phase, LOCKMODE lockmode,
									   char *statement, char *undo);
extern void migspec_carry_estimate(MigspecStep *step, Oid relid,
								   double rows_per_second);
extern char *migspec_carry_hidden(const MigspecCarry *carry, char what,
								  Oid object);
extern void migspec_carry_comment(MigspecCarry *carry,
								  const MigspecCarryItem *item, Oid classid,
								  Oid object, const char *what);

/* carry_text.c */
extern const MigspecOperation *migspec_carry_operation(const MigspecCarry *carry,
													   Oid relid,
													   AttrNumber attno);
extern bool migspec_carry_is_cast(const MigspecOperation *op);
extern char *migspec_carry_new_name(const MigspecCarry *carry, Oid relid,
									AttrNumber attno);
extern Oid	migspec_carry_new_type(const MigspecCarry *carry, Oid relid,
								   AttrNumber attno);
extern char *migspec_carry_new_expr(const MigspecCarry *carry, Node *expr);
extern char *migspec_carry_old_expr(const MigspecCarry *carry, Node *expr);
extern char *migspec_carry_expr_problem(const MigspecCarry *carry, Node *expr);
extern bool migspec_carry_expr_converts(const MigspecCarry *carry, Node *expr);
extern bool migspec_carry_expr_reads_table(Node *expr, Oid relid);

extern char *migspec_carry_options(Datum options);

/* carry_depend.c */
extern List *migspec_carry_items(const MigspecCarry *carry);
extern void migspec_carry_warn_functions(const MigspecCarry *carry);

/* carry_index.c */
extern void migspec_carry_index(MigspecCarry *carry, MigspecCarryItem *item);
extern char *migspec_carry_index_problem(const MigspecCarry *carry,
										 Oid indexoid);

/* carry_constraint.c */
extern void migspec_carry_not_null_item(MigspecCarry *carry,
										MigspecCarryItem *item);
extern void migspec_carry_not_null_finish(MigspecCarry *carry,
										  MigspecCarryItem *item);
extern void migspec_carry_new_not_null(MigspecCarry *carry);
extern void migspec_carry_check_item(MigspecCarry *carry,
									 MigspecCarryItem *item);
extern void migspec_carry_check_finish(MigspecCarry *carry,
									   MigspecCarryItem *item);
extern void migspec_carry_foreign_key(MigspecCarry *carry,
									  MigspecCarryItem *item);
extern void migspec_carry_foreign_key_drop(MigspecCarry *carry,
										   MigspecCarryItem *item);
extern void migspec_carry_foreign_key_finish(MigspecCarry *carry,
											 MigspecCarryItem *item);
extern char *migspec_carry_constraint_problem(const MigspecCarry *carry,
											  Oid constraint);

/* carry_misc.c */
extern void migspec_carry_statistics(MigspecCarry *carry,
									 MigspecCarryItem *item);
extern void migspec_carry_statistics_finish(MigspecCarry *carry,
											MigspecCarryItem *item);
extern void migspec_carry_identity(MigspecCarry *carry, MigspecCarryItem *item);
extern void migspec_carry_sequence(MigspecCarry *carry, MigspecCarryItem *item);
extern void migspec_carry_default(MigspecCarry *carry, MigspecCarryItem *item);
extern void migspec_carry_policy(MigspecCarry *carry, MigspecCarryItem *item);
extern void migspec_carry_publication(MigspecCarry *carry,
									  MigspecCarryItem *item);
extern char *migspec_carry_misc_problem(const MigspecCarry *carry,
										const MigspecCarryItem *item);

/* carry_column.c */
extern void migspec_carry_column(MigspecCarry *carry);

#endif							/* MIGSPEC_CARRY_INTERNAL_H */
