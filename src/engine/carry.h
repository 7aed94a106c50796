/*-------------------------------------------------------------------------
 *
 * carry.h
 *		Carrying over what hangs on the old column to the new one.
 *
 * An operation puts its steps together in this order:
 *
 *		expanded	ADD COLUMN, migspec_carry_plan_column()
 *		migrating	the backfill, migspec_carry_plan()
 *		switched	(added by migspec_carry_plan()), then the swap of names
 *		finished	migspec_carry_plan_before_drop(), DROP COLUMN of the old
 *					column, migspec_carry_plan_after_drop()
 *
 * All of them need a transaction and read the catalogs as they are now, with
 * the old column under op->old_column and no column op->new_column yet; they
 * take ACCESS SHARE on the table and its partitions.  The operation must have
 * its id, which the names of the hidden objects are made of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_CARRY_H
#define MIGSPEC_CARRY_H

#include "postgres.h"
#include "engine/plan.h"

/*
 * Errors with MG106 if anything depends on the operation's old column that
 * cannot be carried over (views, materialised views, rules, SQL-body
 * functions, generated columns, partition keys, ...): all of them are named
 * in the detail.  MG107 if the present user does not own a table whose
 * foreign key has to be carried.  Warns of functions whose text mentions
 * table and column.
 */
extern void migspec_carry_check(const MigspecMigration *migration,
								const MigspecOperation *op);

/*
 * Add the steps of phase expanded that give the new column the properties of
 * the old one: comment, grants, statistics target and options, storage,
 * compression, security labels.
 */
extern void migspec_carry_plan_column(MigspecPlan *plan,
									  const MigspecOperation *op);

/*
 * Add the steps that carry everything else over, for the phases migrating
 * and switched.  Steps are only for what exists now; each has its "carries"
 * set to the identity of the object.
 */
extern void migspec_carry_plan(MigspecPlan *plan, const MigspecOperation *op);

/*
 * Add the steps of phase finished: those that make the old column ready to
 * be dropped, and those that give its names to what was carried over.
 */
extern void migspec_carry_plan_before_drop(MigspecPlan *plan,
										   const MigspecOperation *op);
extern void migspec_carry_plan_after_drop(MigspecPlan *plan,
										  const MigspecOperation *op);

/*
 * Add the steps of phases migrating and switched that make the new column
 * NOT NULL without a scan under a strong lock.  For operations without an old
 * column; where there is one, migspec_carry_plan() does it.
 */
extern void migspec_carry_not_null(MigspecPlan *plan,
								   const MigspecOperation *op);

/*
 * Identities (List of char *) of everything that hangs on the old column now,
 * to find what has come since the plan was made: those of things that cannot
 * be carried are among them, and no plan has such a step.
 */
extern List *migspec_carry_identities(const MigspecOperation *op);

#endif							/* MIGSPEC_CARRY_H */
