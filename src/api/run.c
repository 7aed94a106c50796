/*-------------------------------------------------------------------------
 *
 * run.c
 *		CALL migspec_run(): drive a migration through its phases.
 *
 * Runs in the process of a session, outside of a transaction block: each move
 * is a transaction of its own, and while it waits for the worker it holds no
 * snapshot, so that vacuum goes on.
 *
 * Where the migration stands is read again before every move.  Being
 * cancelled, a crash, or another session that makes a move itself therefore
 * do no harm: the next call goes on from there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "api/api.h"
#include "base/compat.h"
#include "base/errors.h"
#include "base/sqlutil.h"
#include "bgw/bgw.h"
#include "engine/phase.h"

#define POLL_MS			100
#define PROGRESS_MS		1000

PG_FUNCTION_INFO_V1(migspec_sql_run);

/* What the user was told last */
typedef struct Progress
{
	char		line[256];
	TimestampTz at;
} Progress;

/*
 * The state of the backfill in one line, or, when that is done, the step that
 * is running.  Copied to "line".
 */
static void
describe_progress(int64 id, char *line, size_t size)
{
	MigspecIdentity saved;
	char	   *text;

	migspec_catalog_begin(&saved);
	migspec_sql("SELECT CASE WHEN b.open > 0 THEN"
				" format('%s %s %%  %s of %s rows  %s rows/s  ETA %s',"
				" migspec.progress_bar(b.percent), floor(b.percent),"
				" ltrim(to_char(b.done, '999,999,999,999,990')),"
				" ltrim(to_char(b.total, '999,999,999,999,990')),"
				" ltrim(to_char(b.rate, '999,999,999,990')),"
				" coalesce(to_char(b.eta, 'HH24:MI:SS'), 'unknown'))"
				" WHEN s.kind <> 'backfill' THEN format('step %s of %s: %s',"
				" s.number, s.total, left(s.statement, 120)) END AS line"
				" FROM (SELECT sum(rows_done) AS done,"
				" sum(rows_total) AS total, sum(rows_per_second) AS rate,"
				" max(eta) AS eta,"
				" count(*) FILTER (WHERE rows_total > 0 AND state <> 'done')"
				" AS open,"
				" sum(percent * rows_total) / nullif(sum(rows_total), 0)"
				" AS percent"
				" FROM migspec.progress WHERE migration_id = $1) AS b"
				" LEFT JOIN (SELECT kind, statement, done_at,"
				" row_number() OVER (ORDER BY ordinal) AS number,"
				" count(*) OVER () AS total FROM migspec.step"
				" WHERE migration_id = $1 AND phase = 'migrating') AS s"
				" ON s.done_at IS NULL ORDER BY s.number LIMIT 1",
				MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
	text = migspec_spi_text(0, "line");

	strlcpy(line, text !=NULL ? text : "", size);
	migspec_catalog_end(&saved);
}

/*
 * Tell the user how far the worker is, if that is news.
 */
static void
show_progress(const MigspecMigration *migration, const MigspecStatus *status,
			  Progress *progress)
{
	char		line[sizeof(progress->line)];
	TimestampTz now = GetCurrentTimestamp();

	if (!TimestampDifferenceExceeds(progress->at, now, PROGRESS_MS))
		return;
	if (status->paused)
		strlcpy(line, "paused", sizeof(line));
	else
		describe_progress(migration->id, line, sizeof(line));
	if (line[0] == '\0' || strcmp(line, progress->line) == 0)
		return;

	progress->at = now;
	strlcpy(progress->line, line, sizeof(progress->line));
	ereport(NOTICE, (errmsg_internal("%s", line)));
}

static void
nap(void)
{
	static uint32 wait_event = 0;

	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 POLL_MS, migspec_wait_event(&wait_event, "MigspecRun"));
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

/*
 * Look once whether the worker has made its move; wait a moment if not.
 * Without a snapshot; leaves a new transaction.
 */
static void
await_worker(const MigspecMigration *migration, Progress *progress)
{
	MigspecStatus *status;
	bool		waiting;

	PushActiveSnapshot(GetTransactionSnapshot());
	migspec_require_workers();
	status = migspec_migration_status(migration->id);
	waiting = status->phase == MIGSPEC_MIGRATING;
	if (waiting && status->stopped)
		migspec_worker_stopped(migration, status);
	if (waiting)
		show_progress(migration, status, progress);
	PopActiveSnapshot();
	SPI_commit();

	if (waiting)
		nap();
}

/*
 * Error MG405 that names the checks that failed.
 */
pg_noreturn static void
verification_failed(const char *name, List *checks)
{
	StringInfoData failed;
	ListCell   *cell;

	initStringInfo(&failed);
	foreach(cell, checks)
	{
		MigspecCheck *check = lfirst(cell);

		if (!check->ok)
			appendStringInfo(&failed, "%s%s: %s",
							 failed.len > 0 ? "; " : "",
							 check->name, check->detail);
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_ROWS_DIFFER),
			 errmsg("verification of migration \"%s\" failed", name),
			 failed.len > 0 ? errdetail_internal("%s.", failed.data) : 0,
			 errhint("The tables migspec.difference and migspec.failed_row show the rows.")));
}

/*
 * Verify; like await_worker() without a snapshot while it takes long.
 */
static void
verify(const char *name)
{
	MigspecMigration *migration;
	List	   *checks;

	PushActiveSnapshot(GetTransactionSnapshot());
	migration = migspec_verify_begin(name);
	PopActiveSnapshot();
	SPI_commit();

	migspec_bgw_verify(migration->id);

	PushActiveSnapshot(GetTransactionSnapshot());
	checks = migspec_verify_end(name);
	migration = migspec_migration_load(name, false);
	PopActiveSnapshot();
	SPI_commit();

	if (migration->phase == MIGSPEC_MIGRATED)
		verification_failed(name, checks);
}

/*
 * Make one of the moves that only take a moment.
 */
static void
move(const char *name, void (*function) (const char *name))
{
	PushActiveSnapshot(GetTransactionSnapshot());
	function(name);
	PopActiveSnapshot();
	SPI_commit();
}

/* never by force: that is for a person to say */
static void
contract(const char *name)
{
	migspec_phase_contract(name, false);
}

/*
 * Do what comes next for a migration.
 */
static void
advance(const MigspecMigration *migration, Progress *progress)
{
	switch (migration->phase)
	{
		case MIGSPEC_PLANNED:
			move(migration->name, migspec_phase_expand);
			break;
		case MIGSPEC_EXPANDED:
			migspec_require_workers();
			move(migration->name, migspec_phase_migrate);
			break;
		case MIGSPEC_MIGRATING:
			await_worker(migration, progress);
			break;
		case MIGSPEC_MIGRATED:
			verify(migration->name);
			break;
		case MIGSPEC_VERIFIED:
			move(migration->name, migspec_phase_switch);
			break;
		case MIGSPEC_SWITCHED:
			move(migration->name, contract);
			break;
		case MIGSPEC_CONTRACTED:
			move(migration->name, migspec_phase_finish);
			break;
		case MIGSPEC_FINISHED:
		case MIGSPEC_ROLLED_BACK:
			PushActiveSnapshot(GetTransactionSnapshot());
			migspec_wrong_phase(migration, "migspec_run");
	}
}

/*
 * Read where the migration stands, in a transaction of its own.
 */
static MigspecMigration *
look(const char *name)
{
	MigspecMigration *migration;

	PushActiveSnapshot(GetTransactionSnapshot());
	migration = migspec_migration_load(name, false);
	migspec_require_owner(migration);
	PopActiveSnapshot();
	SPI_commit();

	return migration;
}

/*
 * Advance the migration until it is in the phase "until", or past it.
 */
static void
drive(const char *name, MigspecPhase until)
{
	MemoryContext scratch;
	MemoryContext old;
	Progress	progress = {{0}, 0};
	int			told = -1;

	/* a child of the procedure's own context, which outlives commits */
	scratch = AllocSetContextCreate(CurrentMemoryContext, "migspec_run",
									ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(scratch);
	for (;;)
	{
		MigspecMigration *migration = look(name);

		if ((int) migration->phase != told)
			ereport(NOTICE,
					(errmsg("migration \"%s\" is in phase \"%s\"", name,
							migspec_phase_name(migration->phase))));
		told = (int) migration->phase;
		if (migration->phase >= until &&
			migration->phase != MIGSPEC_ROLLED_BACK)
			break;
		advance(migration, &progress);
		MemoryContextSwitchTo(scratch);
		MemoryContextReset(scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(scratch);
}

/*
 * CALL migspec_run(migration, until)
 */
Datum
migspec_sql_run(PG_FUNCTION_ARGS)
{
	char	   *name;
	MigspecPhase until;

	migspec_require_nonatomic(fcinfo, "migspec_run", "Each phase is a transaction of its own.");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	name = migspec_arg_text(fcinfo, 0, "migration");
	until = migspec_phase_from_name(migspec_arg_text(fcinfo, 1, "until"));
	if (until == MIGSPEC_ROLLED_BACK)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("migspec_run does not roll back"),
				 errhint("Call migspec_rollback.")));

	/* from here on without the snapshot of the CALL */
	SPI_commit();
	drive(name, until);
	SPI_finish();

	PG_RETURN_VOID();
}
