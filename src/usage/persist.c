/*-------------------------------------------------------------------------
 *
 * persist.c
 *		The counts of uses, in the catalog, and what they forbid.
 *
 * Shared memory does not outlive the server, nor does a standby have the
 * primary's.  So the scheduler of a database adds, each time it looks for work,
 * what is new to the table migspec.usage; what anybody reads is the sum of the
 * table and of what is not yet there (the view migspec.old_shape_usage).
 *
 * Runs in the scheduler (store) and in sessions (the rest), in a transaction.
 *
 * Crash behaviour: the counts since the last look are lost.  A crash between
 * the commit and the subtraction happens together with the loss of shared
 * memory, so nothing is counted twice.
 *
 * Interleavings that must be survived:
 * - The migration ends before its counts are stored: they belong to nobody,
 *	 and are not stored.
 * - Somebody sums up between the commit and the subtraction: uses of the last
 *	 second count twice, which hurts nobody.
 * - Counts are stored between the snapshot of a statement that sums up and its
 *	 look at shared memory: it sees them in neither place.  The next statement
 *	 sees them, so contract looks twice before it believes that there are none,
 *	 each time with a snapshot of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "migspec.h"
#include "usage/usage.h"

/* who is named in an error: the rest is in migspec_usage() */
#define MOST_NAMED	5

/* as in pg_stat_activity */
#define HIDDEN_QUERY	"<insufficient privilege>"

PG_FUNCTION_INFO_V1(migspec_usage_pending);

static MigspecParam
time_param(TimestampTz at)
{
	return MIGSPEC_DATUM(TIMESTAMPTZOID, TimestampTzGetDatum(at), at == 0);
}

/*
 * Add one key's counts to those of its migration, if it has one.
 */
static void
store_one(const MigspecUsage *usage)
{
	migspec_catalog_sql("INSERT INTO migspec.usage AS u (migration_id, relation, \"column\", role,"
						" application, reads, writes, last_read, last_write, query_id, pid, query)"
						" SELECT t.migration_id, $1, $2, $3, $4, $5, $6, $7, $8, nullif($9, 0), $10, $11"
						" FROM migspec.target AS t WHERE t.relation = $1"
						" ON CONFLICT (migration_id, relation, \"column\", role, application) DO UPDATE"
						" SET reads = u.reads + excluded.reads, writes = u.writes + excluded.writes,"
						" last_read = greatest(u.last_read, excluded.last_read),"
						" last_write = greatest(u.last_write, excluded.last_write),"
						" query_id = coalesce(excluded.query_id, u.query_id), pid = excluded.pid",
						MIGSPEC_PARAMS(MIGSPEC_REGCLASS(usage->key.relid),
									   MIGSPEC_TEXT(usage->key.column),
									   MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(usage->key.roleid), false),
									   MIGSPEC_TEXT(usage->key.application),
									   MIGSPEC_INT8(usage->reads),
									   MIGSPEC_INT8(usage->writes),
									   time_param(usage->last_read),
									   time_param(usage->last_write),
									   MIGSPEC_INT8(usage->query_id),
									   MIGSPEC_INT4(usage->pid),
									   MIGSPEC_TEXT(usage->query)));
}

static bool
is_news(const MigspecUsage *usage)
{
	return usage->reads > 0 || usage->writes > 0;
}

/*
 * Write what is new, in a transaction of its own, after which the places in
 * shared memory follow.
 */
static void
store_all(List *usages)
{
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	foreach(lc, usages)
		store_one(lfirst(lc));
	PopActiveSnapshot();
	CommitTransactionCommand();

	foreach(lc, usages)
		migspec_usage_stored(lfirst(lc));
}

/*
 * Applications may have a name for each session, and migrations end: now and
 * then places without news are given to others.  Who comes back gets one
 * again.
 */
#define LOOKS_UNTIL_IDLE	60

/*
 * migspec_usage_store -- see usage.h.
 */
void
migspec_usage_store(void)
{
	static int	looks = 0;
	MemoryContext context = CurrentMemoryContext;
	bool		retire = ++looks >= LOOKS_UNTIL_IDLE;
	List	   *usages = NIL;
	ListCell   *lc;

	if (retire)
		looks = 0;
	foreach(lc, migspec_usage_snapshot())
	{
		if (is_news(lfirst(lc)))
			usages = lappend(usages, lfirst(lc));
		else if (retire)
			migspec_usage_retire(lfirst(lc));
	}
	if (usages != NIL)
		store_all(usages);
	MemoryContextSwitchTo(context);
}

/*
 * A statement's text may hold values: the rule is that of pg_stat_activity.
 */
static bool
may_see(Oid roleid)
{
	return has_privs_of_role(GetUserId(), roleid) ||
		has_privs_of_role(GetUserId(), ROLE_PG_READ_ALL_STATS);
}

/*
 * migspec.usage_pending() -- what is not yet in the table.
 */
Datum
migspec_usage_pending(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, migspec_usage_snapshot())
	{
		MigspecUsage *usage = lfirst(lc);
		Datum		values[11];
		bool		nulls[11] = {0};

		if (!is_news(usage))
			continue;
		values[0] = ObjectIdGetDatum(usage->key.relid);
		values[1] = CStringGetTextDatum(usage->key.column);
		values[2] = ObjectIdGetDatum(usage->key.roleid);
		values[3] = CStringGetTextDatum(usage->key.application);
		values[4] = Int64GetDatum(usage->reads);
		values[5] = Int64GetDatum(usage->writes);
		values[6] = TimestampTzGetDatum(usage->last_read);
		nulls[6] = usage->last_read == 0;
		values[7] = TimestampTzGetDatum(usage->last_write);
		nulls[7] = usage->last_write == 0;
		values[8] = Int64GetDatum(usage->query_id);
		nulls[8] = usage->query_id == 0;
		values[9] = Int32GetDatum(usage->pid);
		values[10] = CStringGetTextDatum(may_see(usage->key.roleid) ? usage->query : HIDDEN_QUERY);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* One line of the detail: who, what, and when the last time was */
static void
append_user(StringInfo detail, uint64 row)
{
	appendStringInfo(detail, "%sRole \"%s\", application \"%s\": column \"%s\" of table %s, last used %s s ago.",
					 row > 0 ? "\n" : "",
					 migspec_spi_text(row, "role"),
					 migspec_spi_text(row, "application"),
					 migspec_spi_text(row, "column"),
					 migspec_spi_text(row, "relation"),
					 migspec_spi_text(row, "age"));
}

/*
 * The rows for append_user(); their number.  With a new snapshot, even in a
 * transaction that has had one for long.
 */
static uint64
find_recent(const MigspecMigration *migration)
{
	volatile uint64 n = 0;
	bool		saved = migspec_sql_read_only;

	PushActiveSnapshot(GetLatestSnapshot());
	migspec_sql_read_only = true;
	PG_TRY();
	{
		n = migspec_sql("SELECT u.role, u.application, u.\"column\", u.relation,"
						" round(extract(epoch FROM clock_timestamp() - greatest(u.last_read, u.last_write)))::text AS age"
						" FROM migspec.old_shape_usage AS u WHERE u.migration = $1"
						" AND greatest(u.last_read, u.last_write) > clock_timestamp() - make_interval(secs => $2)"
						" ORDER BY greatest(u.last_read, u.last_write) DESC",
						MIGSPEC_PARAMS(MIGSPEC_TEXT(migration->name),
									   MIGSPEC_DATUM(FLOAT8OID, Float8GetDatum(migspec_contract_quiet), false)));
	}
	PG_FINALLY();
	{
		migspec_sql_read_only = saved;
	}
	PG_END_TRY();
	PopActiveSnapshot();
	return n;
}

/*
 * migspec_usage_recent -- see usage.h.
 */
char *
migspec_usage_recent(const MigspecMigration *migration)
{
	StringInfoData detail;
	MigspecIdentity saved;
	uint64		n = 0;

	if (migspec_contract_quiet == 0)
		return NULL;
	initStringInfo(&detail);
	migspec_catalog_begin(&saved);
	for (int look = 0; look < 2 && n == 0; look++)
		n = find_recent(migration);
	for (uint64 i = 0; i < Min(n, MOST_NAMED); i++)
		append_user(&detail, i);
	if (n > MOST_NAMED)
		appendStringInfo(&detail, "\nAnd " UINT64_FORMAT " more.", n - MOST_NAMED);
	migspec_catalog_end(&saved);
	return n > 0 ? detail.data : NULL;
}
