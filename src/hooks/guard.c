/*-------------------------------------------------------------------------
 *
 * guard.c
 *		DDL that would block others is told of, or refused.
 *
 * Runs in every session while migspec.guard is not off, before DDL takes its
 * first lock, in the transaction of the statement.  The statement is analysed
 * (check/), which takes ACCESS SHARE for moments, does not wait for it, and
 * lets it go: whoever kept it would upgrade his lock, and two that do so
 * deadlock.  Two questions are asked of what it would do to relations that
 * others can see, under locks that at least stop writers:
 *
 * - How much would it read or write?  Above migspec.guard_max_bytes it is not
 *   good for the time that the lock would be held.
 * - How long would it wait?  Everybody who comes later waits behind it.  As
 *   long as the oldest transaction in the way is open already, so long it may
 *   well stay; a lock_timeout ends the wait earlier.
 *
 * In a subtransaction that is always rolled back, so that nothing of it stays,
 * and nothing can go wrong with the statement by it: if the analysis fails,
 * this is noted in the server's log, and the statement goes its way.
 *
 * Interleavings:
 * - A name means another table when the server looks it up than when we did:
 *   guard_backstop.c is there if that one is rewritten.
 * - Who was not in the way when we looked, is later: lock_timeout limits the
 *   wait, of which we set one if there is none (migspec.guard_lock_timeout).
 *   It is set on a GUC nest level of its own, which an error ends as well.
 *   A commit would end it, too, and what it ends is not ours to end: for
 *   statements that work in transactions of their own (VACUUM, CLUSTER,
 *   REINDEX) the variable itself is set, which only we touch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "check/check.h"
#include "hooks/guard.h"

/* what the analysis has found out about a statement */
typedef struct Verdict
{
	bool		is_known;		/* false: the analysis has failed */
	bool		takes_strong_lock;
	uint64		bytes;			/* of all work under such locks */
	double		seconds;
	int			relations;		/* that have work */
	const MigspecEffect *worst; /* the one with the most of it */
	double		wait_ms;		/* the longest of all waits */
	const MigspecEffect *waiting;	/* for this one */
	char	   *waits_for;
	char	   *why;
	char	   *safe_way;
} Verdict;

typedef struct Analysis
{
	Node	   *tree;
	char	   *source;
	bool		in_transaction; /* of the client's making */
	Verdict		verdict;
} Analysis;

/*----------
 * The analysis
 *----------
 */

/*
 * Does the lock stop others from working with a relation that they can see?
 * Who only refreshes a materialised view concurrently stops nobody.
 */
static bool
stops_others(const MigspecEffect *effect)
{
	const MigspecWorldTable *table = effect->table;

	if (effect->lock < ShareLock || !OidIsValid(table->oid) || table->is_new ||
		table->persistence == RELPERSISTENCE_TEMP)
		return false;
	return table->kind != RELKIND_MATVIEW || effect->lock == AccessExclusiveLock;
}

/* What the effect adds to the verdict */
static void
judge_effect(Verdict *verdict, const MigspecEffect *effect)
{
	uint64		bytes;
	double		wait_ms;

	if (!stops_others(effect))
		return;
	verdict->takes_strong_lock = true;
	bytes = migspec_cost_bytes(effect);
	if (bytes > 0)
	{
		if (verdict->worst == NULL || bytes > migspec_cost_bytes(verdict->worst))
			verdict->worst = effect;
		verdict->bytes += bytes;
		verdict->seconds += migspec_cost_seconds(effect);
		verdict->relations++;
	}
	wait_ms = migspec_guard_max_wait < 0 ? 0 : migspec_waits_ms(effect);
	if (wait_ms > verdict->wait_ms)
	{
		verdict->wait_ms = wait_ms;
		verdict->waiting = effect;
	}
}

static bool
is_too_much(const Verdict *verdict)
{
	return migspec_guard_max_bytes >= 0 &&
		verdict->bytes > (uint64) migspec_guard_max_bytes * 1024;
}

/* lock_timeout of the statement, ours included; 0: none */
static int
effective_lock_timeout(void)
{
	return LockTimeout == 0 && migspec_guard == MIGSPEC_GUARD_ENFORCE ?
		migspec_guard_lock_timeout : LockTimeout;
}

static bool
is_too_long(const Verdict *verdict)
{
	int			timeout = effective_lock_timeout();

	return migspec_guard_max_wait >= 0 && verdict->wait_ms > migspec_guard_max_wait &&
		(timeout == 0 || timeout > migspec_guard_max_wait);
}

/*
 * Why that hurts, and the safe way: of the finding with the most work, or of
 * that about the wait.
 */
static void
explain(Verdict *verdict, MigspecStatement *stmt)
{
	const MigspecFinding *best = NULL;
	bool		is_work = is_too_much(verdict);
	ListCell   *lc;

	foreach(lc, migspec_check_findings(list_make1(stmt)))
	{
		const MigspecFinding *finding = lfirst(lc);

		if (is_work ? finding->work == 0 || finding->bytes == 0 :
			finding->rule_id != RULE_LOCK_WAIT_NOW)
			continue;
		if (best == NULL || finding->bytes > best->bytes ||
			(finding->bytes == best->bytes && best->safe_way == NULL))
			best = finding;
	}
	if (best != NULL)
	{
		verdict->why = best->why;
		verdict->safe_way = best->safe_way;
	}
	if (is_too_long(verdict))
		verdict->waits_for = migspec_waits_for(verdict->waiting);
}

static void
analyse(Analysis *analysis)
{
	MigspecStatement *stmt = migspec_check_one(analysis->tree, analysis->source, false,
											   analysis->in_transaction);
	Verdict    *verdict = &analysis->verdict;
	ListCell   *lc;

	verdict->is_known = true;
	if (stmt->error != NULL)
		return;					/* the server will say so */
	foreach(lc, stmt->effects)
		judge_effect(verdict, lfirst(lc));
	if (is_too_much(verdict) || is_too_long(verdict))
		explain(verdict, stmt);
}

/*
 * Analyse in a subtransaction, which is rolled back; an error is one only if
 * somebody wants us to stop.
 */
static void
analyse_safely(Analysis *analysis)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	bool		had_snapshot = ActiveSnapshotSet();

	analysis->in_transaction = IsTransactionBlock();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (!had_snapshot)
			PushActiveSnapshot(GetTransactionSnapshot());
		analyse(analysis);
		if (!had_snapshot)
			PopActiveSnapshot();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
			ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
			ReThrowError(error);
		memset(&analysis->verdict, 0, sizeof(Verdict));
		ereport(LOG_SERVER_ONLY,
				(errmsg("migspec.guard could not look at a statement: %s", error->message),
				 errdetail("The statement was let pass: %s", analysis->source)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
}

/*----------
 * What is said
 *----------
 */

static char *
pretty_bytes(uint64 bytes)
{
	return text_to_cstring(DatumGetTextPP(DirectFunctionCall1(pg_size_pretty,
															  Int64GetDatum((int64) bytes))));
}

static char *
pretty_ms(double ms)
{
	if (ms < 10000)
		return psprintf("%.0f ms", ms);
	if (ms < 600000)
		return psprintf("%.0f s", ms / 1000);
	return psprintf("%.0f min", ms / 60000);
}

static const char *
verb_of(int work)
{
	if (work & MIGSPEC_WORK_REWRITE)
		return "rewrite";
	if (work & MIGSPEC_WORK_INDEX_BUILD)
		return "build indexes on";
	return "read all of";
}

static const char *
lock_name(const MigspecEffect *effect)
{
	return GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lock);
}

static char *
hint_of(const Verdict *verdict, const char *otherwise)
{
	return psprintf("%s%s\nTo run it all the same: SELECT migspec_guard_override('why') in its transaction.",
					verdict->safe_way != NULL ? "The safe way:\n" : "",
					verdict->safe_way != NULL ? verdict->safe_way : otherwise);
}

static void
report_work(const Verdict *verdict, bool refuse)
{
	const char *verb = verb_of(verdict->worst->work);
	const char *lock = lock_name(verdict->worst);
	char	   *what = psprintf("%s%s (%s)", verdict->worst->name,
								verdict->relations > 1 ? psprintf(" and %d more", verdict->relations - 1) : "",
								pretty_bytes(verdict->bytes));

	ereport(refuse ? ERROR : WARNING,
			(errcode(refuse ? ERRCODE_MIGSPEC_GUARD_WORK : ERRCODE_WARNING),
			 refuse ? errmsg("migspec.guard refuses to %s %s under %s", verb, what, lock) :
			 errmsg("this is going to %s %s under %s", verb, what, lock),
			 errdetail("%s%sIt may take about %s; migspec.guard_max_bytes is %s.",
					   verdict->why ? verdict->why : "", verdict->why ? ".\n" : "",
					   pretty_ms(verdict->seconds * 1000),
					   pretty_bytes((uint64) migspec_guard_max_bytes * 1024)),
			 errhint("%s", hint_of(verdict, "Do it when nobody needs the table."))));
}

static void
report_wait(const Verdict *verdict, bool refuse)
{
	const char *lock = lock_name(verdict->waiting);
	const char *name = verdict->waiting->name;

	ereport(refuse ? ERROR : WARNING,
			(errcode(refuse ? ERRCODE_MIGSPEC_GUARD_WAIT : ERRCODE_WARNING),
			 refuse ? errmsg("migspec.guard refuses to wait for %s on %s", lock, name) :
			 errmsg("this is going to wait for %s on %s", lock, name),
			 errdetail("A transaction that is in the way has been open for %s: %s.\n"
					   "Everybody who comes later would wait as well; migspec.guard_max_wait is %s.",
					   pretty_ms(verdict->wait_ms),
					   verdict->waits_for ? verdict->waits_for : "it has ended just now",
					   pretty_ms(migspec_guard_max_wait)),
			 errhint("%s", hint_of(verdict, "Try again when it has ended. With a lock_timeout of no more than migspec.guard_max_wait, the statement may try."))));
}

static void
report(const Verdict *verdict, const char *source)
{
	const char *reason = migspec_guard_override_reason();
	bool		refuse = migspec_guard == MIGSPEC_GUARD_ENFORCE;

	if (!is_too_much(verdict) && !is_too_long(verdict))
		return;
	if (reason != NULL)
	{
		ereport(LOG_SERVER_ONLY,
				(errmsg("migspec.guard was overridden: %s", reason),
				 errdetail("The statement: %s", source)));
		return;
	}
	if (is_too_much(verdict))
		report_work(verdict, refuse);
	if (is_too_long(verdict))
		report_wait(verdict, refuse);
}

/*----------
 * lock_timeout
 *----------
 */

/* Who runs into a timeout that he has not set should know whose it is */
static void
tell_timeout(void *arg)
{
	if (geterrcode() == ERRCODE_LOCK_NOT_AVAILABLE)
		errhint("migspec.guard_lock_timeout has set lock_timeout to %d ms for this statement.",
				migspec_guard_lock_timeout);
}

static void
set_timeout(MigspecGuardFrame *frame, const Node *statement)
{
	char		value[32];

	frame->commits = IsA(statement, VacuumStmt) || IsA(statement, ClusterStmt) ||
		IsA(statement, ReindexStmt);
	if (frame->commits)
		LockTimeout = migspec_guard_lock_timeout;
	else
	{
		snprintf(value, sizeof(value), "%d", migspec_guard_lock_timeout);
		frame->guc_level = NewGUCNestLevel();
		frame->lxid = MIGSPEC_MY_LXID;
		(void) set_config_option("lock_timeout", value, PGC_SUSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	}
	frame->has_timeout = true;
	frame->context.callback = tell_timeout;
	frame->context.arg = NULL;
	frame->context.previous = error_context_stack;
	error_context_stack = &frame->context;
}

/*----------
 * Around a statement
 *----------
 */

/* The text of the statement alone */
static char *
statement_text(const PlannedStmt *pstmt, const char *source)
{
	int			length;

	if (source == NULL)
		return pstrdup("");
	if (pstmt->stmt_location < 0 || pstmt->stmt_location > (int) strlen(source))
		return pstrdup(source);
	source += pstmt->stmt_location;
	length = pstmt->stmt_len > 0 ? pstmt->stmt_len : (int) strlen(source);
	while (length > 0 && isspace((unsigned char) *source))
	{
		source++;
		length--;
	}
	return pnstrdup(source, length);
}

/* see guard.h */
void
migspec_guard_begin(MigspecGuardFrame *frame, const PlannedStmt *pstmt, const char *source)
{
	MemoryContext context;
	MemoryContext old;
	Analysis	analysis = {0};

	memset(frame, 0, sizeof(MigspecGuardFrame));
	frame->was_limited = migspec_guard_limit_rewrites(false);
	if (migspec_guard == MIGSPEC_GUARD_OFF || migspec_guard_is_exempt(pstmt->utilityStmt))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "migspec guard",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	analysis.source = statement_text(pstmt, source);
	analysis.tree = copyObject(pstmt->utilityStmt);
	analyse_safely(&analysis);
	report(&analysis.verdict, analysis.source);
	MemoryContextSwitchTo(old);

	(void) migspec_guard_limit_rewrites(migspec_guard == MIGSPEC_GUARD_ENFORCE &&
										migspec_guard_override_reason() == NULL);
	if (analysis.verdict.takes_strong_lock && LockTimeout == 0 && effective_lock_timeout() > 0)
		set_timeout(frame, pstmt->utilityStmt);
	MemoryContextDelete(context);
}

/* see guard.h */
void
migspec_guard_end(MigspecGuardFrame *frame)
{
	if (!frame->has_timeout)
		return;
	error_context_stack = frame->context.previous;
	if (!frame->commits && frame->lxid == MIGSPEC_MY_LXID)
		AtEOXact_GUC(true, frame->guc_level);
}

/* see guard.h */
void
migspec_guard_release(MigspecGuardFrame *frame)
{
	if (frame->commits)
		LockTimeout = 0;
	(void) migspec_guard_limit_rewrites(frame->was_limited);
}
