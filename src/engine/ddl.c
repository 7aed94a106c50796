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
 * on one migration, which nobody else takes).
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
#include "catalog/pg_type.h"
#include "commands/portalcmds.h"
#include "common/pg_prng.h"
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
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "catalog/event.h"

#define FIRST_PAUSE_MS		50
#define LONGEST_PAUSE_MS	5000

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
 * Lock one table and its partitions.
 */
static void
lock_target(const MigspecLockTarget *target)
{
	LockRelationOid(target->relid, target->mode);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(target->relid)))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_TABLE),
				 errmsg("table with OID %u of the migration no longer exists",
						target->relid),
				 errhint("Roll the migration back.")));
	if (get_rel_relkind(target->relid) == RELKIND_PARTITIONED_TABLE)
		(void) find_all_inheritors(target->relid, target->mode, NULL);
}

/*
 * Lock all targets, waiting at most migspec.lock_timeout for all of them.
 */
static void
lock_targets(List *targets)
{
	TimestampTz start = GetCurrentTimestamp();
	ListCell   *lc;

	foreach(lc, targets)
	{
		long		waited = TimestampDifferenceMilliseconds(start, GetCurrentTimestamp());

		set_lock_timeout(migspec_lock_timeout - (int) waited);
		lock_target(lfirst(lc));
	}
	set_lock_timeout(migspec_lock_timeout);
}

/*
 * Those who hold locks on the targets that conflict with ours, as text.
 */
static char *
blockers(List *targets)
{
	StringInfoData text;
	MigspecIdentity identity;
	ListCell   *lc;

	initStringInfo(&text);
	SPI_connect();
	migspec_become_extension(&identity);
	foreach(lc, targets)
	{
		MigspecLockTarget *target = lfirst(lc);
		List	   *modes = NIL;
		MigspecParam params[2];

		for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
		{
			if (DoLockModesConflict(mode, target->mode))
				modes = lappend(modes, unconstify(char *, GetLockmodeName(DEFAULT_LOCKMETHOD, mode)));
		}
		params[0] = MIGSPEC_REGCLASS(target->relid);
		params[1] = MIGSPEC_DATUM(TEXTARRAYOID, migspec_text_array(modes), false);
		migspec_sql("SELECT pg_catalog.format('%s holds %s on %s',"
					" coalesce(pg_catalog.format('pid %s (%s%s, %s since %s)', a.pid, a.usename,"
					"   CASE WHEN a.application_name <> '' THEN ', ' || a.application_name END,"
					"   a.state, a.xact_start::pg_catalog.timestamptz(0)),"
					"  'a prepared transaction'), l.mode, l.relation::pg_catalog.regclass) AS blocker"
					" FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a USING (pid)"
					" WHERE l.locktype = 'relation' AND l.granted AND l.relation = $1::pg_catalog.oid"
					" AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
					" AND l.mode = ANY ($2) AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"
					" ORDER BY a.xact_start LIMIT 5", 2, params);
		for (uint64 i = 0; i < SPI_processed; i++)
			appendStringInfo(&text, "%s%s", text.len ? "; " : "",
							 migspec_spi_text(i, "blocker"));
	}
	migspec_restore_identity(&identity);
	SPI_finish();
	return text.len ? text.data : pstrdup("no longer known");
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

/*
 * One attempt in a subtransaction.  Returns NULL if it succeeded, the error
 * if it may be tried again; other errors propagate.
 */
static ErrorData *
attempt(List *targets, void (*work) (void *arg), void *arg)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		int			level = NewGUCNestLevel();

		lock_targets(targets);
		work(arg);
		AtEOXact_GUC(false, level);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (edata != NULL && edata->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
		edata->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED)
		ReThrowError(edata);
	return edata;
}

/*
 * migspec_ddl_run -- lock, change, and try again if a lock is not granted.
 * See ddl.h.
 */
void
migspec_ddl_run(const MigspecMigration *migration, const char *what,
				List *targets, void (*work) (void *arg), void *arg)
{
	TimestampTz start = GetCurrentTimestamp();
	int			pause_ms = FIRST_PAUSE_MS;

	list_sort(targets, compare_targets);
	for (int tries = 1;; tries++)
	{
		ErrorData  *edata = attempt(targets, work, arg);
		long		waited;
		char	   *who;

		if (edata == NULL)
			return;
		who = blockers(targets);
		waited = TimestampDifferenceMilliseconds(start, GetCurrentTimestamp());
		if (waited + pause_ms > migspec_lock_retry_deadline)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_LOCK_NOT_GRANTED),
					 errmsg("could not %s migration \"%s\": a lock was not granted in %d attempts",
							what, migration->name, tries),
					 errdetail("Blocked by: %s.", who),
					 errhint("Wait for these sessions to end their transactions, or end them, and call again. "
							 "migspec.lock_timeout (%d ms) and migspec.lock_retry_deadline (%d ms) say how long is tried.",
							 migspec_lock_timeout, migspec_lock_retry_deadline)));
		migspec_event(migration->id, migration->name, "lock_retry", false,
					  "for", what, "attempt", psprintf("%d", tries),
					  "sqlstate", unpack_sql_state(edata->sqlerrcode),
					  "blocked_by", who, NULL);
		FreeErrorData(edata);

		/* full jitter around the pause, so that two retrying calls part */
		pause_for((int) (pause_ms * (0.5 + pg_prng_double(&pg_global_prng_state))));
		pause_ms = Min(pause_ms * 2, LONGEST_PAUSE_MS);
	}
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
