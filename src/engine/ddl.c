/*-------------------------------------------------------------------------
 *
 * ddl.c
 *		The DDL runner: short waits for strong locks, and steps as SQL.
 *
 * A request for a strong lock makes everybody who comes later queue behind
 * it, also while it waits.  So no request may wait long: all locks of a
 * change are asked for first, within migspec.lock_timeout together; if that
 * is not enough, everything is let go and tried again after a pause.  A pause
 * holds no lock on any table of a user (only the lock that serialises calls
 * on one migration, which nobody else takes).  For a worker's step each attempt
 * is a transaction (bgw/job.c), so a pause holds no snapshot either.
 *
 * Every attempt is a subtransaction, so that letting go works inside a
 * client's own transaction as well: an aborted subtransaction gives back the
 * locks it took.
 *
 * Interleavings:
 * - Deadlock with a client, or between two migrations: one side gets 40P01 or
 *   times out after milliseconds; both are tried again.
 * - The table is dropped or replaced while we wait: the lock is taken by OID
 *   and the table is looked up again under the lock.
 * - The client is cancelled in a pause: the transaction aborts, nothing was
 *   changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/portalcmds.h"
#include "common/pg_prng.h"
#include "engine/blockers.h"
#include "engine/ddl.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "catalog/event.h"

#define FIRST_PAUSE_MS		50
#define LONGEST_PAUSE_MS	5000

/* one attempt to get all locks */
typedef struct Attempt
{
	TimestampTz start;
	bool		planned;		/* the migration has not changed anything yet */
	Oid			relid;			/* what is being waited for, or InvalidOid */
	LOCKMODE	mode;
	List	   *blockers;		/* who was in the way; see blockers.h */
} Attempt;

/* statements of migrations that are running, one inside the other */
static int	running = 0;

/* see ddl.h */
bool
migspec_ddl_running(void)
{
	return running > 0;
}

/*
 * Give lock waits at most so many milliseconds, until the end of the
 * (sub)transaction or GUC nest level.
 */
static void
set_lock_timeout(int ms)
{
	char		value[32];

	snprintf(value, sizeof(value), "%d", Max(ms, 1));
	(void) set_config_option("lock_timeout", value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static int
compare_targets(const ListCell *a, const ListCell *b)
{
	return oid_cmp(&((MigspecLockTarget *) lfirst(a))->relid,
				   &((MigspecLockTarget *) lfirst(b))->relid);
}

/*
 * Lock one relation, if need be waiting for what is left of the time.
 */
static void
lock_relation(Attempt *attempt, Oid relid, LOCKMODE mode)
{
	long		waited;

	if (ConditionalLockRelationOid(relid, mode))
		return;
	attempt->relid = relid;
	attempt->mode = mode;
	attempt->blockers = migspec_blockers(relid, mode, true);
	waited = TimestampDifferenceMilliseconds(attempt->start, GetCurrentTimestamp());
	set_lock_timeout(migspec_lock_timeout - (int) waited);
	LockRelationOid(relid, mode);
	attempt->relid = InvalidOid;
}

/*
 * Lock one table and its partitions.
 */
static void
lock_target(Attempt *attempt, const MigspecLockTarget *target)
{
	ListCell   *lc;

	lock_relation(attempt, target->relid, target->mode);
	if (!migspec_relation_exists(target->relid))
	{
		if (target->may_go)
			return;
		ereport(ERROR,
				(errcode(attempt->planned ? ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN :
						 ERRCODE_MIGSPEC_UNDEFINED_TABLE),
				 errmsg("table with OID %u of the migration no longer exists",
						target->relid),
				 attempt->planned ? errhint("Call migspec_plan again.") :
				 errhint("Roll the migration back.")));
	}
	if (get_rel_relkind(target->relid) != RELKIND_PARTITIONED_TABLE)
		return;
	foreach(lc, find_all_inheritors(target->relid, NoLock, NULL))
		lock_relation(attempt, lfirst_oid(lc), target->mode);

	/* those that came before we had the lock of their parent */
	(void) find_all_inheritors(target->relid, target->mode, NULL);
}

/*
 * Lock all targets, waiting at most migspec.lock_timeout for all of them.
 */
static void
lock_targets(Attempt *attempt, List *targets)
{
	ListCell   *lc;

	set_lock_timeout(migspec_lock_timeout);
	foreach(lc, targets)
		lock_target(attempt, lfirst(lc));
	set_lock_timeout(migspec_lock_timeout);
}

/*
 * Wait, holding nothing, interruptible.
 */
static void
pause_for(int ms)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static bool
is_lock_failure(const ErrorData *edata)
{
	return edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		edata->sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
}

/*
 * A lock was not granted: who has it now?
 */
static void
look_for_blockers(Attempt *attempt)
{
	if (OidIsValid(attempt->relid))
		attempt->blockers =
			migspec_blockers_merge(attempt->blockers,
								   migspec_blockers(attempt->relid, attempt->mode, false));
	else
		attempt->blockers = NIL;	/* a statement of "work" wanted another
									 * lock */
}

/*
 * One attempt in a subtransaction.  Returns NULL if it succeeded, the error
 * and who was in the way if it may be tried again; other errors propagate.
 */
static ErrorData *
attempt_once(const MigspecMigration *migration, List *targets,
			 void (*work) (void *arg), void *arg, List **blockers)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;
	Attempt    *attempt = palloc0(sizeof(Attempt)); /* survives a longjmp */

	attempt->start = GetCurrentTimestamp();
	attempt->planned = migration->phase == MIGSPEC_PLANNED;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		int			level = NewGUCNestLevel();

		lock_targets(attempt, targets);
		work(arg);
		AtEOXact_GUC(false, level);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		if (is_lock_failure(edata))
			look_for_blockers(attempt);
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (edata != NULL && !is_lock_failure(edata))
		ReThrowError(edata);
	*blockers = attempt->blockers;
	return edata;
}

/*
 * No lock: note who was in the way, and how long to wait.  Error if that would
 * be too long.
 */
static void
note_failure(MigspecRetry *retry, const MigspecMigration *migration,
			 const char *what, const ErrorData *edata, List *blockers)
{
	char	   *who = migspec_blockers_text(blockers, migration->owner);
	int			pause_ms = Min(FIRST_PAUSE_MS << Min(retry->tries - 1, 16), LONGEST_PAUSE_MS);
	long		waited;

	waited = TimestampDifferenceMilliseconds(retry->start, GetCurrentTimestamp());
	if (waited + pause_ms > migspec_lock_retry_deadline)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_LOCK_NOT_GRANTED),
				 errmsg("could not %s migration \"%s\": a lock was not granted in %d attempts",
						what, migration->name, retry->tries),
				 errdetail("Blocked by: %s.", who),
				 errhint("Wait for these sessions to end their transactions, or end them, and call again. "
						 "migspec.lock_timeout (%d ms) and migspec.lock_retry_deadline (%d ms) say how long is tried.",
						 migspec_lock_timeout, migspec_lock_retry_deadline)));
	migspec_event(migration->id, migration->name, "lock_retry", false,
				  "for", what, "attempt", psprintf("%d", retry->tries),
				  "sqlstate", unpack_sql_state(edata->sqlerrcode),
				  "blocked_by", who, NULL);

	/* full jitter around the pause, so that two retrying calls part */
	retry->pause_ms = pause_ms * (0.5 + pg_prng_double(&pg_global_prng_state));
}

/*
 * migspec_ddl_try -- lock, change, and say whether it has to be tried again.
 * See ddl.h.
 */
bool
migspec_ddl_try(MigspecRetry *retry, const MigspecMigration *migration,
				const char *what, List *targets,
				void (*work) (void *arg), void *arg)
{
	List	   *blockers = NIL;
	ErrorData  *edata;

	if (retry->tries++ == 0)
		retry->start = GetCurrentTimestamp();
	list_sort(targets, compare_targets);
	edata = attempt_once(migration, targets, work, arg, &blockers);
	if (edata == NULL)
		return true;
	note_failure(retry, migration, what, edata, blockers);
	FreeErrorData(edata);
	return false;
}

/* see ddl.h */
void
migspec_ddl_run(const MigspecMigration *migration, const char *what,
				List *targets, void (*work) (void *arg), void *arg)
{
	MigspecRetry retry = {0};

	while (!migspec_ddl_try(&retry, migration, what, targets, work, arg))
		pause_for(retry.pause_ms);
}

static void
step_error_context(void *arg)
{
	errcontext("migspec step: %s", (char *) arg);
}

/*
 * migspec_ddl_step -- run one step's statement, or its undo.
 *
 * Needs a transaction with a snapshot; the locks are the caller's business.
 */
void
migspec_ddl_step(const MigspecStep *step, bool undo)
{
	char	   *statement = undo ? step->undo : step->statement;
	ErrorContextCallback callback;
	MigspecIdentity identity;

	if (statement == NULL)
		return;
	callback.callback = step_error_context;
	callback.arg = statement;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	SPI_connect();
	if (step->as_extension)
		migspec_become_extension(&identity);
	else
		migspec_become_owner_for_ddl(migspec_relation_owner(step->relid), &identity);
	running++;
	PG_TRY();
	{
		migspec_sql(statement, 0, NULL);
	}
	PG_FINALLY();
	{
		running--;
	}
	PG_END_TRY();
	migspec_restore_identity(&identity);
	SPI_finish();

	error_context_stack = callback.previous;
}

/*
 * migspec_ddl_toplevel -- run a statement as a client's top-level command.
 *
 * For commands that refuse to run inside a transaction block or a function.
 * Worker only, outside a transaction; starts and ends its own.  The portal is
 * what exec_simple_query() would make of the statement.
 */
void
migspec_ddl_toplevel(const char *statement)
{
	MemoryContext context = AllocSetContextCreate(TopMemoryContext,
												  "migspec statement",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	RawStmt    *parsed;
	List	   *plans;
	Portal		portal;
	QueryCompletion completion;

	Assert(!IsTransactionState());
	debug_query_string = statement;
	pgstat_report_activity(STATE_RUNNING, statement);
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	MemoryContextSwitchTo(context);

	parsed = linitial_node(RawStmt, pg_parse_query(statement));
	PushActiveSnapshot(GetTransactionSnapshot());
	plans = pg_plan_queries(pg_analyze_and_rewrite_fixedparams(parsed, statement, NULL, 0, NULL),
							statement, CURSOR_OPT_PARALLEL_OK, NULL);
	PopActiveSnapshot();

	portal = CreatePortal("", true, true);
	portal->visible = false;
	PortalDefineQuery(portal, NULL, statement, CreateCommandTag(parsed->stmt), plans, NULL);
	PortalStart(portal, NULL, 0, InvalidSnapshot);
	running++;
	PG_TRY();
	{
		MIGSPEC_PORTAL_RUN(portal, FETCH_ALL, true, None_Receiver, None_Receiver, &completion);
	}
	PG_FINALLY();
	{
		running--;
	}
	PG_END_TRY();
	PortalDrop(portal, false);
	CommitTransactionCommand();

	debug_query_string = NULL;
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(oldcontext);
	MemoryContextDelete(context);
}
