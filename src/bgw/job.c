/*-------------------------------------------------------------------------
 *
 * job.c
 *		The job worker: does the work of one migration, then ends.
 *
 * A dynamic worker, started by the scheduler of its database for a migration
 * in phase "migrating", or for one in phase "contracted" whose grace period
 * is over; or by a session that calls migspec_verify().
 *
 * It takes the migration's liveness lock first and holds it to its end.  Who
 * holds this lock may work on the migration, nobody else; a rollback waits
 * for it.  Everything it does is either one transaction that ends with the
 * note that it is done, or can be found out to be done.
 *
 * Crash behaviour: what was not committed is done again by the next worker.
 * An index that CREATE INDEX CONCURRENTLY left behind half-built is dropped.
 *
 * Interleavings that must be survived:
 *
 * - A session rolls the migration back: it cancels this worker, then waits
 *	 for the lock.  If the cancellation comes before the lock is taken, the
 *	 worker finds it in its slot; if it comes at any time later, it is an
 *	 error that is not recorded.  A worker that the scheduler starts meanwhile
 *	 does not get the lock, or sees who is about to wait for it, and ends.
 * - The migration is paused, or its phase changes: seen before each step,
 *	 each attempt to get a step's locks or to finish, and each batch.
 * - A session finishes the migration while this worker waits for its next
 *	 attempt to do so: the session has the lock of calls, or is done.
 * - The extension is dropped under the worker: the next query fails, which is
 *	 nothing to record, because there is nowhere to record it.
 * - pg_terminate_backend(), shutdown, DROP DATABASE: the process ends at
 *	 once, and nothing is recorded; the scheduler starts another after
 *	 MIGSPEC_RESTART_DELAY.
 * - pg_cancel_backend(): a failure that is tried again soon.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "base/debugpoint.h"
#include "base/errors.h"
#include "base/sqlutil.h"
#include "bgw/worker.h"
#include "catalog/migration.h"
#include "catalog/step.h"
#include "engine/backfill.h"
#include "engine/ddl.h"
#include "engine/partitions.h"
#include "engine/phase.h"
#include "engine/retry.h"
#include "engine/verify.h"
#include "migspec.h"

/* What the worker is about; lives in the job's memory context */
typedef struct Job
{
	int64		migration_id;
	MemoryContext cxt;			/* lives as long as the job */
	MemoryContext step_cxt;		/* reset before each step */
	const char *volatile what;	/* the step, for the record of an error */
} Job;

/* one step of kind "sql", while migspec_ddl_try() runs it */
typedef struct SqlStep
{
	const Job  *job;
	const MigspecMigration *migration;
	const MigspecStep *step;
} SqlStep;


/* Is the extension here, in the version of this library? */
static bool
extension_is_usable(MemoryContext cxt)
{
	char	   *version;
	bool		usable;

	migspec_worker_begin_xact();
	version = migspec_worker_extension_version();
	usable = version != NULL && strcmp(version, MIGSPEC_VERSION) == 0;
	migspec_worker_commit_xact(cxt);
	return usable;
}

/*
 * Become the one who works on the migration; false if somebody else is.
 *
 * A rollback takes the migration's lock, cancels the worker, and waits for
 * the liveness lock.  A worker that took the latter between these two steps
 * would not be cancelled, and be waited for until its work is done.  It can
 * tell by the former, and leaves.
 */
static bool
take_liveness_lock(const Job *job)
{
	bool		taken;

	migspec_worker_begin_xact();
	taken = migspec_worker_lock_try(job->migration_id);
	if (taken && !migspec_migration_lock_try(job->migration_id))
	{
		migspec_worker_lock_release(job->migration_id);
		taken = false;
	}
	migspec_worker_commit_xact(job->cxt);
	return taken;
}

/*
 * The migration, in the current transaction's memory; NULL if this worker
 * has nothing (more) to do in the given phase.
 */
static MigspecMigration *
load_if_wanted(const Job *job, MigspecPhase phase)
{
	MigspecMigration *migration =
	migspec_migration_load_by_id(job->migration_id, true);

	if (migration == NULL || migration->phase != phase || migration->paused)
		return NULL;
	return migration;
}

/* The next step to run, in "cxt"; NULL if all are done.  In a transaction. */
static MigspecStep *
next_step(const Job *job, MemoryContext cxt)
{
	MemoryContext old = MemoryContextSwitchTo(cxt);
	List	   *steps = migspec_step_load(job->migration_id);
	MigspecStep *found = NULL;
	ListCell   *lc;

	foreach(lc, steps)
	{
		MigspecStep *step = lfirst(lc);

		if (step->phase == MIGSPEC_MIGRATING && !step->done && !step->skipped)
		{
			found = step;
			break;
		}
	}
	MemoryContextSwitchTo(old);
	return found;
}

/* In a transaction: the step is done, and so is its last failure. */
static void
set_done(const Job *job, const MigspecStep *step)
{
	migspec_step_set_done(job->migration_id, step->ordinal, true);
	migspec_migration_clear_error(job->migration_id);
}

static void
commit_done(const Job *job, const MigspecStep *step)
{
	migspec_worker_begin_xact();
	set_done(job, step);
	migspec_worker_commit_xact(job->step_cxt);
}

/* callback of migspec_ddl_try() */
static void
run_sql_step_locked(void *arg)
{
	SqlStep    *sql = arg;

	if (!migspec_step_applies(sql->migration, sql->step))
	{
		migspec_step_leave_out(sql->migration, sql->step);
		return;
	}
	migspec_ddl_step(sql->step, false);
	set_done(sql->job, sql->step);
}

static List *
lock_targets(const MigspecMigration *migration, const MigspecStep *step)
{
	List	   *relids = step->locked != NIL ? step->locked :
	OidIsValid(step->relid) ? list_make1_oid(step->relid) : NIL;
	List	   *targets = NIL;
	ListCell   *lc;

	foreach(lc, relids)
	{
		MigspecLockTarget *target = palloc(sizeof(MigspecLockTarget));

		target->relid = lfirst_oid(lc);
		target->mode = step->lockmode;
		target->may_go = !list_member_oid(migration->relids, target->relid);
		targets = lappend(targets, target);
	}
	return targets;
}

/*
 * A step that runs in a transaction of its own.  False: not wanted any more.
 * Between two attempts to get its locks there is no transaction, whose snapshot
 * others would wait for (CREATE INDEX CONCURRENTLY of any table, vacuum).
 */
static bool
run_sql_step(const Job *job, const MigspecStep *step)
{
	MigspecRetry retry = {0};

	for (;;)
	{
		SqlStep		sql = {job, NULL, step};
		bool		done;

		migspec_worker_begin_xact();
		sql.migration = load_if_wanted(job, MIGSPEC_MIGRATING);
		done = sql.migration == NULL ||
			migspec_ddl_try(&retry, sql.migration, "migrate",
							lock_targets(sql.migration, step),
							run_sql_step_locked, &sql);
		migspec_worker_commit_xact(job->step_cxt);
		if (done)
			return sql.migration != NULL;
		migspec_worker_wait(retry.pause_ms);
	}
}

/*
 * The index that a CREATE INDEX statement is about: its OID (invalid if it
 * does not exist) and its name.  False if it is another kind of statement.
 */
static bool
index_of_statement(const MigspecStep *step, Oid *indexid, char **name)
{
	RawStmt    *raw = linitial_node(RawStmt, pg_parse_query(step->statement));
	IndexStmt  *stmt;
	Oid			relid;
	Oid			nspoid;

	if (!IsA(raw->stmt, IndexStmt))
		return false;
	stmt = castNode(IndexStmt, raw->stmt);
	relid = RangeVarGetRelid(stmt->relation, NoLock, false);
	nspoid = get_rel_namespace(relid);
	*indexid = get_relname_relid(stmt->idxname, nspoid);
	*name = quote_qualified_identifier(get_namespace_name(nspoid),
									   stmt->idxname);
	return true;
}

static bool
index_is_valid(Oid indexid)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID,
										ObjectIdGetDatum(indexid));
	bool		valid;

	if (!HeapTupleIsValid(tuple))
		return false;
	valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);
	return valid;
}

/*
 * Look for the index of a step.  Sets "drop" to a statement that removes what
 * an earlier try left behind, NULL if there is nothing of the kind; returns
 * whether the index is there and valid.
 */
static bool
look_for_index(const Job *job, const MigspecStep *step, char **drop)
{
	Oid			indexid;
	char	   *name;
	bool		valid = false;

	*drop = NULL;
	migspec_worker_begin_xact();
	if (index_of_statement(step, &indexid, &name) && OidIsValid(indexid))
	{
		valid = index_is_valid(indexid);
		if (!valid)
		{
			MemoryContext old = MemoryContextSwitchTo(job->step_cxt);

			*drop = psprintf("DROP INDEX CONCURRENTLY %s", name);
			MemoryContextSwitchTo(old);
		}
	}
	migspec_worker_commit_xact(job->step_cxt);
	return valid;
}

/*
 * Leave the step out if its table has gone.  Otherwise true, and a lock keeps
 * the table where it is until the step is done: the one that CREATE INDEX
 * CONCURRENTLY takes anyway.  It is waited for without a snapshot: whoever
 * builds an index on the table now would wait for that, a deadlock.
 */
static bool
keep_step(const Job *job, const MigspecStep *step)
{
	LockRelId	table = {.relId = step->relid,.dbId = MyDatabaseId};
	MigspecMigration *migration;
	bool		applies;

	StartTransactionCommand();
	LockRelationIdForSession(&table, ShareUpdateExclusiveLock);
	CommitTransactionCommand();

	migspec_worker_begin_xact();
	migration = migspec_migration_load_by_id(job->migration_id, false);
	applies = migspec_step_applies(migration, step);
	if (!applies)
	{
		UnlockRelationIdForSession(&table, ShareUpdateExclusiveLock);
		migspec_step_leave_out(migration, step);
	}
	migspec_worker_commit_xact(job->step_cxt);
	return applies;
}

static void
release_step(const MigspecStep *step)
{
	LockRelId	table = {.relId = step->relid,.dbId = MyDatabaseId};

	UnlockRelationIdForSession(&table, ShareUpdateExclusiveLock);
}

/*
 * A step that cannot run inside a transaction block.  It waits for others'
 * transactions as long as it takes: while it waits, it is in nobody's way.
 */
static void
run_concurrently_step(const Job *job, const MigspecStep *step)
{
	char	   *drop;

	if (!keep_step(job, step))
		return;
	if (!look_for_index(job, step, &drop))
	{
		if (drop != NULL)
			migspec_ddl_toplevel(drop);
		migspec_debug_point("job_concurrently");
		migspec_ddl_toplevel(step->statement);
		MemoryContextSwitchTo(job->step_cxt);
		(void) look_for_index(job, step, &drop);
		if (drop != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the index is not valid after it was built"),
					 errdetail("Statement: %s", step->statement),
					 errhint("It is built again when the step is tried again.")));
	}
	commit_done(job, step);
	release_step(step);
}

/* False if the worker is to stop. */
static bool
run_step(const Job *job, const MigspecStep *step)
{
	switch (step->kind)
	{
		case MIGSPEC_STEP_BACKFILL:
			if (!migspec_backfill_run(job->migration_id))
				return false;
			MemoryContextSwitchTo(job->step_cxt);
			commit_done(job, step);
			break;
		case MIGSPEC_STEP_SQL:
			return run_sql_step(job, step);
		case MIGSPEC_STEP_CONCURRENTLY:
			run_concurrently_step(job, step);
			break;
	}
	return true;
}

/* All steps that are left, and then the phase.  False: stopped early. */
static void
run_migrating(Job *job)
{
	for (;;)
	{
		MigspecStep *step = NULL;
		bool		wanted;

		MemoryContextReset(job->step_cxt);
		MemoryContextSwitchTo(job->step_cxt);
		migspec_worker_breathe();
		migspec_worker_begin_xact();
		wanted = load_if_wanted(job, MIGSPEC_MIGRATING) != NULL;
		if (wanted)
			step = next_step(job, job->step_cxt);
		migspec_worker_commit_xact(job->step_cxt);
		if (!wanted)
			return;
		if (step == NULL)
			break;

		job->what = step->statement;
		migspec_worker_activity(step->statement);
		migspec_debug_point("job_step");
		if (!run_step(job, step))
			return;
	}

	job->what = "end of phase migrating";
	migspec_worker_begin_xact();
	migspec_phase_migrated(job->migration_id);
	migspec_migration_clear_error(job->migration_id);
	migspec_worker_commit_xact(job->cxt);
}

/*
 * The grace period is over.  The scheduler has looked at the clock.  No
 * transaction between two attempts, as in run_sql_step(), and so no call lock:
 * whoever has that by now moves the migration, and this worker ends.
 */
static void
run_contracted(Job *job)
{
	MigspecRetry retry = {0};

	job->what = "finish";
	migspec_worker_activity("finish");
	for (;;)
	{
		MigspecMigration *migration = NULL;
		bool		done;

		migspec_worker_begin_xact();
		if (migspec_migration_lock_try(job->migration_id))
			migration = load_if_wanted(job, MIGSPEC_CONTRACTED);
		done = migration == NULL || migspec_phase_try_finish(&retry, migration);
		migspec_worker_commit_xact(job->cxt);
		if (done)
			return;
		migspec_worker_wait(retry.pause_ms);
	}
}

static MigspecPhase
current_phase(const Job *job)
{
	MigspecMigration *migration;
	MigspecPhase phase = MIGSPEC_ROLLED_BACK;

	migspec_worker_begin_xact();
	migration = migspec_migration_load_by_id(job->migration_id, true);
	if (migration != NULL)
		phase = migration->phase;
	migspec_worker_commit_xact(job->cxt);
	return phase;
}

static void
run_job(Job *job)
{
	if (!extension_is_usable(job->cxt) || !take_liveness_lock(job))
		return;

	switch (current_phase(job))
	{
		case MIGSPEC_MIGRATING:
			run_migrating(job);
			break;
		case MIGSPEC_CONTRACTED:
			run_contracted(job);
			break;
		default:
			break;
	}
}

/*
 * The job has failed.  Note it in the catalog, unless somebody wanted it to
 * stop or there is no catalog any more.
 */
static void
record_error(const Job *job, ErrorData *edata)
{
	if (migspec_slot_cancelled() || !extension_is_usable(job->cxt))
		return;
	migspec_worker_begin_xact();
	migspec_migration_record_error(job->migration_id, job->what, edata,
								   migspec_error_is_transient(edata->sqlerrcode));
	migspec_worker_commit_xact(job->cxt);
}

static void
error_context(void *arg)
{
	Job		   *job = arg;

	errcontext("worker for migspec migration " INT64_FORMAT ", %s",
			   job->migration_id, job->what);
}

/* Run the job with all its errors; those of recording an error propagate. */
static void
run_job_safely(Job *job)
{
	ErrorContextCallback callback;
	ErrorData  *volatile edata = NULL;

	callback.callback = error_context;
	callback.arg = job;
	callback.previous = error_context_stack;
	error_context_stack = &callback;
	PG_TRY();
	{
		run_job(job);
	}
	PG_CATCH();
	{
		edata = migspec_error_caught(job->cxt, !migspec_slot_cancelled());
	}
	PG_END_TRY();
	error_context_stack = callback.previous;

	if (edata != NULL)
		record_error(job, edata);
}

/* The same for a verification, whose errors are told to the session. */
static void
run_verify_safely(Job *job)
{
	PG_TRY();
	{
		/* the session that waits for us may hold what we would wait for */
		SetConfigOption("lock_timeout", "30s", PGC_SUSET, PGC_S_OVERRIDE);
		migspec_verify_run(job->migration_id);
		migspec_slot_set_outcome(MIGSPEC_OUTCOME_OK, NULL);
	}
	PG_CATCH();
	{
		bool		known = geterrcode() == ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING;
		ErrorData  *edata = migspec_error_caught(job->cxt, !known);
		char	   *message;

		message = psprintf("%s: %s", unpack_sql_state(edata->sqlerrcode),
						   edata->message);
		if (edata->detail != NULL)
			message = psprintf("%s (%s)", message, edata->detail);

		/* that without a trigger is a result: the session finds it as well */
		migspec_slot_set_outcome(known ? MIGSPEC_OUTCOME_OK : MIGSPEC_OUTCOME_FAILED,
								 message);
	}
	PG_END_TRY();
}

/* Main function of a job worker */
void
migspec_job_main(Datum arg)
{
	MigspecSlotRef ref;
	Job			job = {0};

	migspec_worker_begin(&ref);
	job.migration_id = ref.migration_id;
	job.what = "start";
	job.cxt = AllocSetContextCreate(TopMemoryContext, "migspec job",
									ALLOCSET_DEFAULT_SIZES);
	job.step_cxt = AllocSetContextCreate(job.cxt, "migspec step",
										 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(job.cxt);

	if (ref.kind == MIGSPEC_WORKER_VERIFY)
		run_verify_safely(&job);
	else
	{
		if (!migspec_slot_cancelled())
			run_job_safely(&job);
		migspec_slot_set_outcome(MIGSPEC_OUTCOME_OK, NULL);
	}
	(void) pgstat_report_stat(true);
	proc_exit(0);
}
