/*-------------------------------------------------------------------------
 *
 * blockers.c
 *		Who is in the way of a table lock.
 *
 * As pg_blocking_pids() sees it: those who hold a conflicting lock, and those
 * who wait for one, since a queue is served in its order.  That function only
 * knows blockers of a process that waits right now; whoever can look is not
 * waiting.  So we look just before we begin to wait, when everybody in the
 * queue is ahead of us, and just after we gave up, when those in the queue may
 * have come later.
 *
 * Runs in sessions and workers.  Reads the shared lock table as the view
 * pg_locks does, only when a lock was not to be had at once.
 *
 * Interleaving: a blocker ends between being seen and being described.  Then
 * only its process ID is left.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "engine/blockers.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "base/security.h"
#include "base/sqlutil.h"

/* One who is in the way */
typedef struct Blocker
{
	Oid			relid;
	int			pid;			/* 0: a prepared transaction */
	LOCKMODE	mode;
	bool		waits;			/* it does not have the lock itself */
} Blocker;

/*
 * The strongest mode in a set that conflicts with another mode, NoLock if
 * none does.
 */
static LOCKMODE
strongest_conflict(LOCKMASK held, LOCKMODE mode)
{
	for (LOCKMODE other = AccessExclusiveLock; other > NoLock; other--)
	{
		if ((held & LOCKBIT_ON(other)) && DoLockModesConflict(other, mode))
			return other;
	}
	return NoLock;
}

static Blocker *
make_blocker(Oid relid, int pid, LOCKMODE mode, bool waits)
{
	Blocker    *blocker = palloc(sizeof(Blocker));

	blocker->relid = relid;
	blocker->pid = pid;
	blocker->mode = mode;
	blocker->waits = waits;
	return blocker;
}

/* see blockers.h */
List *
migspec_blockers(Oid relid, LOCKMODE mode, bool queued)
{
	LockData   *locks = GetLockStatusData();
	List	   *result = NIL;

	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];
		LOCKMODE	held = strongest_conflict(lock->holdMask, mode);

		if (lock->locktag.locktag_type != LOCKTAG_RELATION ||
			lock->locktag.locktag_field1 != MyDatabaseId ||
			lock->locktag.locktag_field2 != relid ||
			lock->pid == MyProcPid || lock->leaderPid == MyProcPid)
			continue;
		if (held != NoLock)
			result = lappend(result, make_blocker(relid, lock->leaderPid, held, false));
		else if (queued && lock->waitLockMode != NoLock &&
				 DoLockModesConflict(lock->waitLockMode, mode))
			result = lappend(result, make_blocker(relid, lock->leaderPid,
												  lock->waitLockMode, true));
	}
	return result;
}

/* see blockers.h */
List *
migspec_blockers_merge(List *begin, List *end)
{
	List	   *result = list_copy(end);
	ListCell   *lc;
	ListCell   *lc2;

	if (end == NIL)
		return begin;
	foreach(lc, begin)
	{
		Blocker    *blocker = lfirst(lc);
		bool		known = !blocker->waits;

		foreach(lc2, end)
			known = known || ((Blocker *) lfirst(lc2))->pid == blocker->pid;
		if (!known)
			result = lappend(result, blocker);
	}
	return result;
}

/*
 * The list as a statement's parameter: one array of texts, four for each.
 */
static Datum
blockers_parameter(List *blockers)
{
	List	   *strings = NIL;
	ListCell   *lc;

	foreach(lc, blockers)
	{
		Blocker    *blocker = lfirst(lc);

		strings = lappend(strings, psprintf("%d", blocker->pid));
		strings = lappend(strings, psprintf("%u", blocker->relid));
		strings = lappend(strings, blocker->waits ? "waits for" : "holds");
		strings = lappend(strings,
						  unconstify(char *, GetLockmodeName(DEFAULT_LOCKMETHOD, blocker->mode)));
	}
	return migspec_text_array(strings);
}

/* the same rule as in pg_stat_activity, for two who may read it later */
static const char *const describe_query =
"SELECT pg_catalog.format('%s %s %s on %s',"
" CASE WHEN b.pid = 0 THEN 'a prepared transaction'"
"  WHEN a.pid IS NULL THEN pg_catalog.format('pid %s (which has ended)', b.pid)"
"  ELSE pg_catalog.format('pid %s (%s%s, %s, in a transaction for %s s, last query %s s ago%s)',"
"   a.pid, a.usename,"
"   CASE WHEN a.application_name <> '' THEN ', ' || a.application_name END, a.state,"
"   pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 1),"
"   pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - a.query_start), 1),"
"   CASE WHEN s.allowed AND a.query <> '' THEN ': ' || pg_catalog.\"left\"(a.query, 200) END) END,"
" b.verb, b.mode, b.relid::pg_catalog.regclass) AS blocker"
" FROM (SELECT ($1)[i]::int AS pid, ($1)[i + 1]::oid AS relid, ($1)[i + 2] AS verb,"
"  ($1)[i + 3] AS mode FROM pg_catalog.generate_series(1, pg_catalog.cardinality($1), 4) AS i) AS b"
" LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = b.pid"
" CROSS JOIN LATERAL (SELECT pg_catalog.bool_and("
"   pg_catalog.pg_has_role(r.role, a.usesysid, 'USAGE')"
"   OR pg_catalog.pg_has_role(r.role, 'pg_read_all_stats', 'USAGE')) AS allowed"
"  FROM (VALUES ($2), ($3)) AS r (role)) AS s"
" ORDER BY b.verb, a.xact_start LIMIT 5";

/* see blockers.h */
char *
migspec_blockers_text(List *blockers, Oid owner)
{
	StringInfoData text;
	MigspecIdentity identity;
	Oid			caller = GetUserId();

	if (blockers == NIL)
		return pstrdup("no longer known");
	initStringInfo(&text);
	SPI_connect();
	migspec_become_extension(&identity);
	migspec_sql(describe_query,
				MIGSPEC_PARAMS(MIGSPEC_DATUM(TEXTARRAYOID, blockers_parameter(blockers), false),
							   MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(owner), false),
							   MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(caller), false)));
	for (uint64 i = 0; i < SPI_processed; i++)
		appendStringInfo(&text, "%s%s", text.len ? "; " : "",
						 migspec_spi_text(i, "blocker"));
	migspec_restore_identity(&identity);
	SPI_finish();
	return text.data;
}
