/*-------------------------------------------------------------------------
 *
 * plan.h
 *		Making a plan: from an operations document to stored steps.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PLAN_H
#define MIGSPEC_PLAN_H

#include "postgres.h"
#include "catalog/step.h"
#include "ops/ops.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

typedef struct MigspecPlanOptions
{
	char	   *version_schema; /* NULL: none */
	Interval   *contract_grace; /* NULL: the default */
	bool		allow_irreversible;
	char	   *conflict_policy;
} MigspecPlanOptions;

typedef struct MigspecPlan
{
	MigspecMigration *migration;
	List	   *changes;		/* of MigspecChange * */
	List	   *steps;			/* of MigspecStep *, in the order of adding */
} MigspecPlan;

/*
 * Check the operations against the live catalog and on sample rows, and store
 * migration, operations and steps.  Changes nothing else.  The name may be
 * that of a migration which was only planned, or rolled back: it is replaced.
 * Errors of class MG0xx to MG3xx.  Returns the id.
 */
extern int64 migspec_plan_create(const char *name, Jsonb *operations,
								 const MigspecPlanOptions *options);

/*
 * Append a step and return it, so that the caller can set the rarer fields.
 * "statement" and "undo" (which may be NULL) are kept, not copied.  Steps of
 * a phase run in the order in which they were added.
 */
extern MigspecStep *migspec_plan_add(MigspecPlan *plan, MigspecPhase phase,
									 Oid relid, LOCKMODE lockmode,
									 char *statement, char *undo);

/* plan_steps.c: the steps of all changes */
extern void migspec_plan_steps(MigspecPlan *plan);

/* does the sync trigger keep the operation's columns in this phase? */
extern bool migspec_plan_is_synchronised(const MigspecOperation *op, MigspecPhase phase);

/* estimated rows of a table, with its partitions */
extern double migspec_table_rows(Oid relid);

/*
 * drift.c: what the plan of an operation is made for: the table, and those of
 * the columns that it names which exist, with their types.  NULL if there is
 * no such table.  Takes no lock.
 */
extern char *migspec_plan_subject(const MigspecOperation *op);

/*
 * drift.c: error MG305 if what the migration was planned for has changed
 * (only in phase planned), or if something has come to hang on an old column
 * that the plan does not carry (in any phase).
 */
extern void migspec_check_subjects(const MigspecMigration *migration);
extern void migspec_check_drift(const MigspecMigration *migration);

/* sample.c: run up and down on some rows of each table; errors MG203 */
extern void migspec_sample_check(MigspecPlan *plan);

#endif							/* MIGSPEC_PLAN_H */
