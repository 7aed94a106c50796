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

/* sample.c: run up and down on some rows of each table; errors MG203 */
extern void migspec_sample_check(MigspecPlan *plan);

#endif							/* MIGSPEC_PLAN_H */
