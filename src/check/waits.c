/*-------------------------------------------------------------------------
 *
 * waits.c
 *		Who is in the way of a lock now.
 *
 * Looks into the lock table and at the status of sessions, as pg_locks and
 * pg_stat_activity do, and shows no more than these: the name of the program
 * and the role of everybody, how long a transaction has been open only to
 * those who may know (pg_read_all_stats, or the same role).
 *
 * Both are read one after the other, without a lock in between: a session may
 * have gone, or let its lock go, before this is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_authid.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "check/rules.h"

/* of the sessions in the way so many are told of, the oldest first */
#define MAX_TOLD	3

/* snapshots younger than this are gone before anybody notices */
#define OLD_SNAPSHOT_MS	1000

typedef struct Session
{
	int			pid;			/* 0: a prepared transaction */
	LOCKMODE	held;			/* strongest that conflicts; NoLock: it has an
								 * old snapshot */
	PgBackendStatus *status;	/* NULL: gone, or prepared */
	double		open_ms;		/* age of its transaction */
} Session;

/*
 * The status of a session, and its xmin.
 */
static PgBackendStatus *
find_status(int pid)
{
	int			count = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= count; i++)
	{
		LocalPgBackendStatus *local = migspec_local_beentry(i);

		if (local != NULL && local->backendStatus.st_procpid == pid)
			return &local->backendStatus;
	}
	return NULL;
}

/*
 * How long the oldest prepared transaction of this database is waiting to be
 * committed.  Which one holds a lock is not to be seen.
 */
static double
prepared_ms(void)
{
	double		ms = 0;
	bool		isnull;
	Datum		prepared;

	SPI_connect();
	(void) migspec_sql("SELECT pg_catalog.min(p.prepared) AS prepared FROM pg_catalog.pg_prepared_xact() AS p"
					   " WHERE p.dbid OPERATOR(pg_catalog.=) $1",
					   MIGSPEC_PARAMS(MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(MyDatabaseId), false)));
	prepared = migspec_spi_datum(0, "prepared", &isnull);
	if (!isnull)
		ms = (GetCurrentTimestamp() - DatumGetTimestampTz(prepared)) / 1000.0;
	SPI_finish();
	return ms;
}

static double
open_ms(const PgBackendStatus *status)
{
	if (status == NULL || status->st_xact_start_timestamp == 0)
		return 0;
	return (GetCurrentTimestamp() - status->st_xact_start_timestamp) / 1000.0;
}

static int
by_age(const ListCell *a, const ListCell *b)
{
	const Session *x = lfirst(a);
	const Session *y = lfirst(b);

	if (x->open_ms != y->open_ms)
		return x->open_ms > y->open_ms ? -1 : 1;
	return (x->pid > y->pid) - (x->pid < y->pid);
}

static Session *
make_session(int pid, LOCKMODE held, PgBackendStatus *status)
{
	Session    *session = palloc(sizeof(Session));

	session->pid = pid;
	session->held = held;
	session->status = status;
	session->open_ms = pid == 0 ? prepared_ms() : open_ms(status);
	return session;
}

/*
 * Sessions that hold a lock which conflicts, and how many wait for one.
 */
static List *
find_holders(const LOCKTAG *tag, LOCKMODE mode, int *waiting)
{
	List	   *holders = NIL;
	LockData   *locks;
	int			count;

	*waiting = 0;
	(void) GetLockConflicts(tag, mode, &count);
	if (count == 0)
		return NIL;

	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];
		LOCKMODE	held = NoLock;

		if (memcmp(&lock->locktag, tag, sizeof(LOCKTAG)) != 0 || lock->pid == MyProcPid)
			continue;
		if (lock->waitLockMode != NoLock)
			(*waiting)++;
		for (LOCKMODE m = AccessShareLock; m <= AccessExclusiveLock; m++)
		{
			if ((lock->holdMask & LOCKBIT_ON(m)) && DoLockModesConflict(mode, m))
				held = m;
		}
		if (held != NoLock)
			holders = lappend(holders, make_session(lock->pid, held,
													lock->pid ? find_status(lock->pid) : NULL));
	}
	return holders;
}

/*
 * Sessions of this database with a snapshot that CONCURRENTLY waits for, in
 * addition to those that are in "known".
 */
static List *
add_snapshots(List *known)
{
	int			count = pgstat_fetch_stat_numbackends();

	for (int i = 1; i <= count; i++)
	{
		LocalPgBackendStatus *local = migspec_local_beentry(i);
		PgBackendStatus *status;
		bool		found = false;
		ListCell   *cell;

		if (local == NULL || !TransactionIdIsValid(local->backend_xmin))
			continue;
		status = &local->backendStatus;
		if (status->st_procpid == MyProcPid || status->st_databaseid != MyDatabaseId ||
			open_ms(status) < OLD_SNAPSHOT_MS)
			continue;
		foreach(cell, known)
			found = found || ((Session *) lfirst(cell))->pid == status->st_procpid;
		if (!found)
			known = lappend(known, make_session(status->st_procpid, NoLock, status));
	}
	return known;
}

/*
 * All that are in the way of the effect's lock, the oldest transaction first.
 * CONCURRENTLY takes a weak lock, but waits until nobody is left who writes
 * (builds), or uses the table at all (drops), and for old snapshots.
 */
static List *
find_sessions(const MigspecEffect *effect, bool is_concurrent, int *waiting)
{
	Oid			relid = effect->index ? effect->index->oid : effect->table->oid;
	LOCKMODE	mode = effect->lock;
	LOCKTAG		tag;
	List	   *sessions;

	*waiting = 0;
	if (!OidIsValid(relid) || effect->table->is_new)
		return NIL;
	if (is_concurrent && mode == ShareUpdateExclusiveLock)
		mode = (effect->work & MIGSPEC_WORK_INDEX_BUILD) ? ShareLock : AccessExclusiveLock;
	SET_LOCKTAG_RELATION(tag, MyDatabaseId, relid);
	pgstat_clear_backend_activity_snapshot();
	sessions = find_holders(&tag, mode, waiting);
	if (is_concurrent)
		sessions = add_snapshots(sessions);
	list_sort(sessions, by_age);
	return sessions;
}

static void
append_duration(StringInfo buf, double ms)
{
	int64		seconds = (int64) (ms / 1000);

	if (seconds >= SECS_PER_DAY)
		appendStringInfo(buf, "%d days ", (int) (seconds / SECS_PER_DAY));
	seconds %= SECS_PER_DAY;
	appendStringInfo(buf, "%02d:%02d:%02d", (int) (seconds / SECS_PER_HOUR),
					 (int) (seconds / SECS_PER_MINUTE % MINS_PER_HOUR),
					 (int) (seconds % SECS_PER_MINUTE));
}

/*
 * One session, e.g.: pid 4711 (app "billing", role web, transaction open for
 * 00:03:12) holds RowExclusiveLock
 */
static void
append_session(StringInfo buf, const Session *session)
{
	const PgBackendStatus *status = session->status;
	const char *sep = "";

	if (session->pid == 0)
		appendStringInfoString(buf, "a prepared transaction");
	else
		appendStringInfo(buf, "pid %d", session->pid);
	if (status != NULL)
	{
		char	   *role = OidIsValid(status->st_userid) ?
		GetUserNameFromId(status->st_userid, true) : NULL;

		appendStringInfoString(buf, " (");
		if (status->st_backendType != B_BACKEND)
		{
			appendStringInfoString(buf, GetBackendTypeDesc(status->st_backendType));
			sep = ", ";
		}
		if (status->st_appname[0] != '\0')
		{
			appendStringInfo(buf, "%sapp \"%s\"", sep, status->st_appname);
			sep = ", ";
		}
		if (role != NULL)
		{
			appendStringInfo(buf, "%srole %s", sep, role);
			sep = ", ";
		}
		if (has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS) ||
			has_privs_of_role(GetUserId(), status->st_userid))
		{
			appendStringInfo(buf, "%stransaction open for ", sep);
			append_duration(buf, session->open_ms);
		}
		appendStringInfoChar(buf, ')');
	}
	if (session->held != NoLock)
		appendStringInfo(buf, " holds %s",
						 GetLockmodeName(DEFAULT_LOCKMETHOD, session->held));
	else
		appendStringInfoString(buf, " has an old snapshot");
}

char *
migspec_waits_text(const MigspecEffect *effect, bool is_concurrent, double *ms)
{
	int			waiting;
	List	   *sessions = find_sessions(effect, is_concurrent, &waiting);
	StringInfoData buf;
	ListCell   *cell;

	if (sessions == NIL)
		return NULL;
	*ms = ((Session *) linitial(sessions))->open_ms;
	initStringInfo(&buf);
	foreach(cell, sessions)
	{
		if (foreach_current_index(cell) == MAX_TOLD)
		{
			appendStringInfo(&buf, "; %d more", list_length(sessions) - MAX_TOLD);
			break;
		}
		if (buf.len > 0)
			appendStringInfoString(&buf, "; ");
		append_session(&buf, lfirst(cell));
	}
	if (waiting > 0)
		appendStringInfo(&buf, "; %d waiting already", waiting);
	return buf.data;
}

char *
migspec_waits_for(const MigspecEffect *effect)
{
	double		ms;

	return migspec_waits_text(effect, false, &ms);
}

/*
 * Is it an autovacuum, which the server cancels for whoever waits for it?
 */
static bool
gives_way(const Session *session)
{
	PGPROC	   *proc = session->pid != 0 ? BackendPidGetProc(session->pid) : NULL;

	return proc != NULL &&
		(proc->statusFlags & (PROC_IS_AUTOVACUUM | PROC_VACUUM_FOR_WRAPAROUND)) == PROC_IS_AUTOVACUUM;
}

double
migspec_waits_ms(const MigspecEffect *effect)
{
	double		longest = 0;
	int			waiting;
	ListCell   *cell;

	foreach(cell, find_sessions(effect, false, &waiting))
	{
		const Session *session = lfirst(cell);

		longest = Max(longest, gives_way(session) ?
					  Min(session->open_ms, DeadlockTimeout) : session->open_ms);
	}
	return longest;
}
