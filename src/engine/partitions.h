/*-------------------------------------------------------------------------
 *
 * partitions.h
 *		Partitions that come and go while a migration runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PARTITIONS_H
#define MIGSPEC_PARTITIONS_H

#include "postgres.h"
#include "catalog/migration.h"
#include "catalog/step.h"

/*
 * Is this one of the migration's tables, or a partition of one at present?
 * Needs a transaction; takes no lock, so the answer holds only as long as the
 * caller's locks keep the partition where it is.
 */
extern bool migspec_is_migrated(const MigspecMigration *migration, Oid relid);

/*
 * Are the tables there that the step is for?  Not, if its partition or the
 * other table of a foreign key was dropped, if its partition was detached,
 * or if the step was left out before.  That a table of the migration itself is
 * missing is no reason to leave a step out: running it fails, and says so.
 */
extern bool migspec_step_applies(const MigspecMigration *migration,
								 const MigspecStep *step);

/* Leave out a step that does not apply, with an event, for good */
extern void migspec_step_leave_out(const MigspecMigration *migration,
								   const MigspecStep *step);

/*
 * Error MG305 if one of the tables has a partition now that it had not when
 * the migration was planned.
 */
extern void migspec_check_partitions(const MigspecMigration *migration);

/*
 * For each partition of a table that is referred to, the server makes a part
 * of the foreign key, and up to version 17 names it after the columns as they
 * are called at that time.  Give the parts that are left after the last step
 * the names that the server would give them now.
 */
extern void migspec_name_key_parts(const MigspecMigration *migration);

/*
 * A NOTICE and an event for each partition that was detached since the plan
 * and still has columns of the migration, which is about to end in "to".  The
 * operations' columns must have their names from before that.
 */
extern void migspec_report_detached(const MigspecMigration *migration,
									MigspecPhase to);

#endif							/* MIGSPEC_PARTITIONS_H */
