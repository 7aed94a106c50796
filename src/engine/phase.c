/*-------------------------------------------------------------------------
 *
 * phase.c
 *		The moves of the state machine.
 *
 * A move is one transaction: the steps of the phase it leads to, and the new
 * phase in migspec.migration.  A crash leaves either all of it or nothing.
 *
 * Interleavings:
 * - Two calls on one migration: migspec_migration_lock() lets the second wait;
 *   it then finds the phase changed and fails with MG303.
 * - A call and the worker: the worker's only moves, to migrated and to
 *   finished, go through the same lock and the same compare-and-set.
 * - Rollback while the worker works: the worker is cancelled, and rollback
 *   waits for the lock that the worker holds while it lives.  No new worker
 *   can take that lock before rollback has committed, and afterwards the
 *   phase gives it nothing to do.
 * - Two migrations on one table: migspec.target lets one expand.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "engine/carry.h"
#include "engine/ddl.h"
#include "engine/partitions.h"
#include "engine/phase.h"
#include "engine/plan.h"
#include "miscadmin.h"
#include "ops/ops.h"
#include "trigger/sync.h"
#include "trigger/tally.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "catalog/step.h"
#include "flags/stage.h"
#include "migspec.h"
#include "usage/usage.h"

/* what one attempt of a move has to do */
typedef struct Move
{
	MigspecMigration *migration;
	List	   *steps;
	bool		undo;
	MigspecPhase to;
} Move;

void		(*migspec_worker_cancel) (int64 migration_id) = NULL;
void		(*migspec_worker_wake) (void) = NULL;
void		(*migspec_worker_note_failure) (int64 migration_id, const char *migration,
											const char *call,
											const ErrorData *edata) = NULL;

/*
 * Load a migration for a call that needs it in a certain phase: at once
 * without a lock, so that a wrong call fails at once, then under the lock.
 */
static MigspecMigration *
load_in_phase(const char *name, MigspecPhase phase, const char *call)
{
	MigspecMigration *migration = migspec_migration_load(name, false);

	if (migration->phase != phase)
		migspec_wrong_phase(migration, call);
	migspec_migration_lock(migration->id);
	migration = migspec_migration_load(name, false);
	if (migration->phase != phase)
		migspec_wrong_phase(migration, call);
	return migration;
}

/*
 * Only who owns the tables may change them.
 */
static void
check_owner(const MigspecMigration *migration)
{
	ListCell   *lc;

	foreach(lc, migration->relids)
		migspec_check_owner(lfirst_oid(lc));
}

/*
 * Is there something to undo?  What belonged to a table that is gone went with
 * it, but for our own functions.
 */
static bool
undo_makes_sense(const MigspecMigration *migration, const MigspecStep *step)
{
	if (!step->done || step->undo == NULL)
		return false;
	if (step->as_extension && step->lockmode == AccessShareLock)
		return true;			/* a function */
	return migspec_step_applies(migration, step);
}

/*
 * The steps that lead to a phase, or, for undo, those that were done.
 */
static List *
select_steps(int64 migration_id, MigspecPhase phase, bool undo)
{
	List	   *all = migspec_step_load(migration_id);
	List	   *selected = NIL;
	ListCell   *lc;

	foreach(lc, all)
	{
		MigspecStep *step = lfirst(lc);

		if (undo && step->done)
			selected = lcons(step, selected);
		if (!undo && step->phase == phase && !step->skipped)
			selected = lappend(selected, step);
	}
	return selected;
}

static bool
step_is_wanted(const Move *move, const MigspecStep *step)
{
	return move->undo ? undo_makes_sense(move->migration, step) :
		migspec_step_applies(move->migration, step);
}

/*
 * The tables that the steps lock, each once with its strongest mode.
 */
static List *
lock_targets(const Move *move)
{
	List	   *targets = NIL;
	ListCell   *lc;
	ListCell   *lc2;
	ListCell   *lc3;

	foreach(lc, move->steps)
	{
		MigspecStep *step = lfirst(lc);
		LOCKMODE	mode = move->undo ? AccessExclusiveLock : step->lockmode;

		if (!step_is_wanted(move, step))
			continue;
		foreach(lc2, step->locked)
		{
			MigspecLockTarget *target = NULL;

			if (move->undo && !migspec_relation_exists(lfirst_oid(lc2)))
				continue;
			foreach(lc3, targets)
			{
				if (((MigspecLockTarget *) lfirst(lc3))->relid == lfirst_oid(lc2))
					target = lfirst(lc3);
			}
			if (target == NULL)
			{
				target = palloc0(sizeof(MigspecLockTarget));
				target->relid = lfirst_oid(lc2);
				target->may_go = !list_member_oid(move->migration->relids,
												  target->relid);
				targets = lappend(targets, target);
			}
			target->mode = Max(target->mode, mode);
		}
	}
	return targets;
}

/*
 * The operations' columns are called otherwise now.
 */
static void
rename_operations(MigspecMigration *migration, MigspecPhase phase)
{
	ListCell   *lc;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		migspec_op_columns_at(op, phase);
		migspec_operation_update_columns(op);
	}
}

/*
 * Refuse to go on if a table is not kept in sync any more.
 */
static void
check_sync_triggers(const MigspecMigration *migration)
{
	ListCell   *lc;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);
		Relation	rel;
		char	   *trouble;

		if (op->up == NULL)
			continue;
		rel = relation_open(op->relid, AccessShareLock);
		trouble = migspec_sync_trouble(rel);
		if (trouble)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING),
					 errmsg("the sync trigger of table \"%s\" %s",
							RelationGetRelationName(rel), trouble),
					 errhint("Roll the migration back, or mend the trigger \"%s\" (or rename the one that sorts after it) and verify again.",
							 MIGSPEC_SYNC_TRIGGER)));
		if (migspec_tally_pending(op->relid, op->id, MIGSPEC_TALLY_OVERRULED) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_ROWS_DIFFER),
					 errmsg("rows of table \"%s\" were written while another trigger fired after the sync trigger",
							RelationGetRelationName(rel)),
					 errdetail("Their old and new columns may differ."),
					 errhint("Call migspec_verify again.")));
		relation_close(rel, NoLock);
	}
}

/*
 * Run one step.  An error that says that the statement does not fit, of a
 * plan that fitted when it was made, is one of ours.
 */
static void
run_step(const Move *move, const MigspecStep *step)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		migspec_ddl_step(step, move->undo);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		if (move->to != MIGSPEC_EXPANDED ||
			ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION ||
			geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
			PG_RE_THROW();
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN),
				 errmsg("a statement of migration \"%s\" no longer fits the database: %s",
						move->migration->name, edata->message),
				 errdetail("Something has changed since the migration was planned. The statement is: %s",
						   step->statement),
				 errhint("Call migspec_plan again.")));
	}
	PG_END_TRY();
}

/*
 * One attempt of a move; the locks are held.
 */
static void
make_move(void *arg)
{
	Move	   *move = arg;
	MigspecMigration migration = *move->migration;
	ListCell   *lc;

	/* under the lock, so that nothing can come in between */
	if (move->to == MIGSPEC_EXPANDED)
	{
		migspec_check_subjects(&migration);
		migspec_check_partitions(&migration);
	}
	if (move->to == MIGSPEC_EXPANDED || move->to == MIGSPEC_SWITCHED)
		migspec_check_drift(&migration);
	if (move->to == MIGSPEC_SWITCHED)
		check_sync_triggers(&migration);
	if (move->to == MIGSPEC_EXPANDED)
		migspec_target_claim(&migration);
	foreach(lc, move->steps)
	{
		MigspecStep *step = lfirst(lc);

		if (!step_is_wanted(move, step))
		{
			if (move->undo)
				migspec_step_set_done(migration.id, step->ordinal, false);
			else
				migspec_step_leave_out(&migration, step);
			continue;
		}
		run_step(move, step);
		migspec_step_set_done(migration.id, step->ordinal, !move->undo);
		CommandCounterIncrement();
	}
	if (move->to == MIGSPEC_FINISHED || move->to == MIGSPEC_ROLLED_BACK)
	{
		migspec_name_key_parts(&migration);
		migspec_report_detached(&migration, move->to);
	}
	rename_operations(&migration, move->undo ? MIGSPEC_PLANNED : move->to);
	if (move->to == MIGSPEC_FINISHED || move->to == MIGSPEC_ROLLED_BACK)
		migspec_target_release(migration.id);
	if (move->to == MIGSPEC_FINISHED)
		migspec_stage_finished(&migration);
	if (move->to == MIGSPEC_ROLLED_BACK)
	{
		migspec_migration_forget_rows(migration.id);
		migspec_stage_rolled_back(&migration);
	}
	migspec_migration_set_phase(&migration, move->to);
	migspec_migration_clear_error(migration.id);
}

/*
 * Leave a note of the error that is being handled.
 */
static void
note_failure(const MigspecMigration *migration, const char *what)
{
	MemoryContext context = MemoryContextSwitchTo(TopTransactionContext);

	/* a worker records its errors itself */
	if (migspec_worker_note_failure && MyBackendType == B_BACKEND)
		migspec_worker_note_failure(migration->id, migration->name, what,
									CopyErrorData());
	MemoryContextSwitchTo(context);
}

static void
run_move(MigspecMigration *migration, MigspecPhase to, bool undo, const char *what)
{
	Move		move = {migration, select_steps(migration->id, to, undo), undo, to};

	PG_TRY();
	{
		migspec_ddl_run(migration, what, lock_targets(&move), make_move, &move);
	}
	PG_CATCH();
	{
		/* our transaction ends here, so somebody else has to record it */
		note_failure(migration, what);
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (migspec_worker_wake)
		migspec_worker_wake();
}

/*
 * The last comparison must have found every row equal; it may have been
 * repeated since the phase was reached.
 */
static void
check_no_difference(const MigspecMigration *migration)
{
	if (migration->rows_differing == 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_ROWS_DIFFER),
			 errmsg("old and new columns of migration \"%s\" were not found equal",
					migration->name),
			 migration->rows_differing < 0 ?
			 errdetail("The last verification did not compare all rows.") : 0,
			 errhint("Look at migspec.difference, mend the rows, and call migspec_verify again.")));
}

/*
 * migspec_phase_expand -- planned to expanded.
 */
void
migspec_phase_expand(const char *name)
{
	MigspecMigration *migration = load_in_phase(name, MIGSPEC_PLANNED, "migspec_expand");

	migspec_check_subjects(migration);
	check_owner(migration);
	run_move(migration, MIGSPEC_EXPANDED, false, "expand");
}

/*
 * migspec_phase_migrate -- expanded to migrating: the worker's part begins
 * when this transaction commits.
 */
void
migspec_phase_migrate(const char *name)
{
	MigspecMigration *migration = load_in_phase(name, MIGSPEC_EXPANDED, "migspec_migrate");

	check_owner(migration);
	migspec_migration_set_phase(migration, MIGSPEC_MIGRATING);
	if (migspec_worker_wake)
		migspec_worker_wake();
}

/*
 * migspec_phase_migrated -- migrating to migrated, by the worker.
 */
void
migspec_phase_migrated(int64 id)
{
	MigspecMigration *migration;
	ListCell   *lc;

	migspec_migration_lock(id);
	migration = migspec_migration_load_by_id(id, false);
	foreach(lc, select_steps(id, MIGSPEC_MIGRATING, false))
	{
		if (!((MigspecStep *) lfirst(lc))->done)
			elog(ERROR, "step %d of migration \"%s\" is not done",
				 ((MigspecStep *) lfirst(lc))->ordinal, migration->name);
	}
	migspec_migration_set_phase(migration, MIGSPEC_MIGRATED);
	migspec_migration_clear_error(id);
}

/*
 * migspec_phase_verified -- migrated to verified; the caller has compared.
 */
void
migspec_phase_verified(const char *name)
{
	MigspecMigration *migration = load_in_phase(name, MIGSPEC_MIGRATED, "migspec_verify");

	check_no_difference(migration);
	migspec_migration_set_phase(migration, MIGSPEC_VERIFIED);
}

/*
 * migspec_phase_switch -- verified to switched.
 */
void
migspec_phase_switch(const char *name)
{
	MigspecMigration *migration = load_in_phase(name, MIGSPEC_VERIFIED, "migspec_switch");

	check_owner(migration);
	check_no_difference(migration);
	run_move(migration, MIGSPEC_SWITCHED, false, "switch");
}

/*
 * The old shape goes: nobody may have used it lately, unless the caller knows
 * better.
 */
static void
check_usage(const MigspecMigration *migration, bool force)
{
	char	   *users = migspec_usage_recent(migration);

	if (users == NULL)
		return;
	if (!force)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_OLD_SHAPE_IN_USE),
				 errmsg("the old shape of migration \"%s\" was used within the last %d seconds",
						migration->name, migspec_contract_quiet),
				 errdetail_internal("%s", users),
				 errhint("Deploy applications that use only the new names, and call migspec_contract again when migspec.contract_quiet has passed without use;"
						 " migspec_usage(%s) shows who uses the old ones.  To go on all the same, call it with force => true.",
						 migspec_literal(migration->name))));
	migspec_event(migration->id, migration->name, "contract_forced", true,
				  "used_by", users, NULL);
}

/*
 * migspec_phase_contract -- switched to contracted; the grace period starts.
 */
void
migspec_phase_contract(const char *name, bool force)
{
	MigspecMigration *migration = load_in_phase(name, MIGSPEC_SWITCHED, "migspec_contract");

	check_owner(migration);
	migspec_stage_check_contract(migration);
	check_usage(migration, force);
	run_move(migration, MIGSPEC_CONTRACTED, false, "contract");
}

/*
 * migspec_phase_finish -- contracted to finished, by a person.
 */
void
migspec_phase_finish(const char *name)
{
	MigspecMigration *migration = load_in_phase(name, MIGSPEC_CONTRACTED, "migspec_finish");

	check_owner(migration);
	run_move(migration, MIGSPEC_FINISHED, false, "finish");
}

/*
 * migspec_phase_try_finish -- the same, by the worker when the grace period is
 * over.  It has the call lock, and has found the migration contracted since.
 * False if a lock was not granted: to be called again after the pause, in
 * another transaction.
 */
bool
migspec_phase_try_finish(MigspecRetry *retry, MigspecMigration *migration)
{
	Move		move = {migration, select_steps(migration->id, MIGSPEC_FINISHED, false),
	false, MIGSPEC_FINISHED};

	check_owner(migration);
	return migspec_ddl_try(retry, migration, "finish", lock_targets(&move), make_move, &move);
}

/*
 * There is nothing to restore on a table that is gone.  If none is left, it
 * takes the migration's owner to clean up.
 */
static void
forget_dropped_tables(MigspecMigration *migration)
{
	List	   *left = NIL;
	ListCell   *lc;

	foreach(lc, migration->relids)
	{
		if (migspec_relation_exists(lfirst_oid(lc)))
			left = lappend_oid(left, lfirst_oid(lc));
	}
	migration->relids = left;
	if (left == NIL && !has_privs_of_role(GetUserId(), migration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_NOT_OWNER),
				 errmsg("migration \"%s\" belongs to role \"%s\"",
						migration->name, GetUserNameFromId(migration->owner, true))));
}

/*
 * migspec_phase_rollback -- from any phase before finished to rolled_back.
 */
void
migspec_phase_rollback(const char *name)
{
	MigspecMigration *migration = migspec_migration_load(name, false);

	if (migration->phase == MIGSPEC_FINISHED || migration->phase == MIGSPEC_ROLLED_BACK)
		migspec_wrong_phase(migration, "migspec_rollback");
	forget_dropped_tables(migration);
	check_owner(migration);
	migspec_migration_lock(migration->id);

	/* a worker may be in the middle of a batch or of an index build */
	if (migspec_worker_cancel)
		migspec_worker_cancel(migration->id);
	migspec_worker_lock_wait(migration->id);

	migration = migspec_migration_load(name, false);
	if (migration->phase == MIGSPEC_FINISHED || migration->phase == MIGSPEC_ROLLED_BACK)
		migspec_wrong_phase(migration, "migspec_rollback");
	forget_dropped_tables(migration);
	run_move(migration, MIGSPEC_ROLLED_BACK, true, "roll back");
}
