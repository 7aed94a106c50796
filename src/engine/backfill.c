/*-------------------------------------------------------------------------
 *
 * backfill.c
 *		The backfill: in which order its transactions follow each other.
 *
 * Runs in job workers, which hold the migration's liveness lock; no two
 * processes work on the same migration.  Between two transactions no lock is
 * held on any table.
 *
 * For each table (each leaf partition, if it is partitioned):
 *
 * 1. scan	The strategy's batches, from the first page to what was the last
 *			one at the start.  Rows that somebody has locked are passed over;
 *			the pages that they are on are noted.
 * 2. visit	Those pages again, a few times, still without waiting.
 * 3. sweep	The whole table: what is still pending is waited for.  Again and
 *			again, until a complete sweep finds nothing.
 * 4. end	Rows that could not be converted are tried once more.
 *
 * Rows inserted or moved beyond the end are written through the sync trigger,
 * and are in sync.  No transaction of before the trigger can still write: the
 * lock under which the trigger was made has waited for them all.
 *
 * Crash behaviour: progress commits with the rows, so nothing is lost, and at
 * most one transaction's work is done again.  What BackfillRun remembers only
 * steers pauses.
 *
 * Interleavings that must be survived (more in backfill_batch.c):
 *
 * - A row stays locked: its page is waited for with a time limit, then the
 *	 others', with growing pauses, until all have been had.
 * - A partition is attached while we run: after the last table the list is
 *	 made once more.  One is detached or dropped: its row in the list goes.
 * - Paused, tuned, rolled back: read anew in each transaction.
 * - The trigger is disabled: an error, and the worker tries again later.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "engine/backfill.h"
#include "engine/backfill_internal.h"
#include "engine/retry.h"
#include "engine/tables.h"
#include "trigger/sync.h"

/* rounds over the skipped pages, and pages visited in one transaction */
#define MAX_REVISITS		5
#define REVISIT_PAGES		50

/* pages that a sweep looks at in one transaction */
#define SWEEP_PAGES			2000

/* pauses (ms) before something is tried again, doubled with each try */
#define FIRST_PAUSE			100
#define LONGEST_PAUSE		30000

/* waits for locked rows in vain, in a row, that are worth an event */
#define TIMEOUTS_TO_REPORT	3

/* transient errors in a row after which the job is given up for a while */
#define MAX_ERRORS			5

/* while waiting for the next batch, look whether things have changed (ms) */
#define PACE_SLICE			1000

/* What a transaction leads to */
typedef enum Turn
{
	TURN_MORE,
	TURN_SWEPT,					/* a complete sweep has found nothing */
	TURN_DONE,
	TURN_STOPPED
} Turn;

/* The pause before try number n, from 0 */
static long
growing_pause(int n)
{
	return Min(FIRST_PAUSE * (1L << Min(n, 20)), LONGEST_PAUSE);
}

/*
 * After an error that is not a row's: wait and return if it may go away soon,
 * rethrow it otherwise.
 */
void
backfill_survive(BackfillRun *run, ErrorData *edata)
{
	if (!migspec_error_is_transient(edata->sqlerrcode) ||
		edata->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		edata->sqlerrcode == ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING ||
		run->errors >= MAX_ERRORS)
		ReThrowError(edata);
	migspec_worker_wait(growing_pause(run->errors++));
}

/* Remember the pages of a range on which rows are left over. */
static void
note_skipped(BackfillTx *tx, BlockNumber first, BlockNumber last)
{
	BackfillProgress *p = &tx->progress;
	BackfillRange range = backfill_pages(first, last);

	/* if there is no room for more, the sweep will find them */
	if (p->nskipped < BACKFILL_MAX_SKIPPED)
		p->nskipped += backfill_look(tx, &range, p->skipped + p->nskipped,
									 BACKFILL_MAX_SKIPPED - p->nskipped);
}

/* How many rows a transaction may change, given the pace that is allowed */
static int64
row_limit(const BackfillTx *tx, int64 limit)
{
	int			pace = tx->migration->max_rows_per_second;

	return pace > 0 ? Min(pace, limit) : limit;
}

/* One batch of the strategy */
static void
scan_batch(BackfillTx *tx, const MigspecStrategy *strategy,
		   const MigspecBatch *batch)
{
	BackfillRun *run = tx->run;
	BackfillRange range = backfill_pages(batch->first, batch->last);
	int64		limit = row_limit(tx, BACKFILL_NO_LIMIT);
	int64		most = (int64) (batch->last - batch->first) * MaxHeapTuplesPerPage;

	range.pass = batch->pass;
	range.passes = batch->passes;

	/* a batch that does not come to an end is left to the sweep */
	if (backfill_update(tx, &range, limit, false) >= limit &&
		++run->repeats <= most / limit)
		return;
	run->repeats = 0;
	if (batch->pass == batch->passes - 1)
		note_skipped(tx, batch->first, batch->last);
	strategy->advance(&tx->progress.cursor, batch);
}

/*
 * Visit some of the skipped pages.  Those that still have pending rows go to
 * the end of the list.
 */
static void
revisit_pages(BackfillTx *tx)
{
	BackfillRun *run = tx->run;
	BackfillProgress *p = &tx->progress;
	BlockNumber again[BACKFILL_MAX_SKIPPED];
	int			n;
	int			nagain = 0;

	if (run->revisits_left <= 0)
		run->revisits_left = p->nskipped;
	n = Min(Min(run->revisits_left, p->nskipped), REVISIT_PAGES);
	for (int i = 0; i < n; i++)
	{
		BackfillRange range = backfill_pages(p->skipped[i], p->skipped[i] + 1);

		(void) backfill_update(tx, &range, BACKFILL_NO_LIMIT, false);
		nagain += backfill_look(tx, &range, &again[nagain], 1);
	}
	p->nskipped -= n;
	memmove(p->skipped, p->skipped + n, sizeof(BlockNumber) * p->nskipped);
	memcpy(p->skipped + p->nskipped, again, sizeof(BlockNumber) * nagain);
	p->nskipped += nagain;

	run->revisits_left -= n;
	if (run->revisits_left <= 0 && p->nskipped > 0)
		run->pause = growing_pause(run->revisits++);
}

static void
start_sweep(BackfillTx *tx)
{
	BackfillProgress *p = &tx->progress;

	p->state = BACKFILL_SWEEPING;
	p->cursor.next_block = 0;
	p->cursor.end_block = RelationGetNumberOfBlocks(tx->rel);
	p->cursor.pass = 0;
	p->cursor.passes = 1;
	p->nskipped = 0;
}

/* A transaction of the first two stages */
static void
scan_turn(BackfillTx *tx)
{
	const MigspecStrategy *strategy = migspec_strategy(tx->migration->strategy);
	BackfillProgress *p = &tx->progress;
	MigspecBatch batch;

	if (strategy->batch(&p->cursor, tx->rows_per_page, &batch))
		scan_batch(tx, strategy, &batch);
	else if (p->nskipped > 0 && tx->run->revisits < MAX_REVISITS)
		revisit_pages(tx);
	else
		start_sweep(tx);
}

/* The trigger has seen the rows, and yet they are not in sync. */
static void
report_stuck(BackfillTx *tx, BlockNumber page)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_ROWS_DIFFER),
			 errmsg("rows of table \"%s\" do not come into sync",
					RelationGetRelationName(tx->rel)),
			 errdetail("Rows on page %u have been updated, but their old and new columns still differ.",
					   page),
			 errhint("The expressions may give another value each time, or another trigger may change the columns.")));
}

/*
 * Wait for the locked rows of one page.  If that takes too long, error 55P03
 * leads to postpone_page().
 */
static void
sweep_page(BackfillTx *tx)
{
	BackfillProgress *p = &tx->progress;
	BlockNumber page = p->skipped[0];
	BackfillRange range = backfill_pages(page, page + 1);
	BlockNumber found;

	/* one row at a time: who waits for a lock must not hold another one */
	(void) backfill_update(tx, &range, 1, true);
	if (backfill_look(tx, &range, &found, 1) > 0)
	{
		if (++tx->run->repeats > MaxHeapTuplesPerPage)
			report_stuck(tx, page);
		return;
	}
	tx->run->repeats = 0;
	p->nskipped--;
	memmove(p->skipped, p->skipped + 1, sizeof(BlockNumber) * p->nskipped);
	tx->run->timeouts = 0;
}

/* Look at the next pages; what cannot be done at once is noted. */
static void
sweep_pages(BackfillTx *tx)
{
	BackfillProgress *p = &tx->progress;
	BlockNumber first = p->cursor.next_block;
	BlockNumber last = first + Min(p->cursor.end_block - first, SWEEP_PAGES);
	BackfillRange range = backfill_pages(first, last);
	int64		limit = row_limit(tx, BACKFILL_MAX_ROWS);
	int64		rows = backfill_update(tx, &range, limit, false);

	if (rows > 0)
		p->cursor.pass = 1;
	if (rows >= limit)
		return;
	note_skipped(tx, first, last);
	if (p->nskipped > 0)
		p->cursor.pass = 1;
	/* if not all fitted into the list, go on after those that did */
	if (p->nskipped == BACKFILL_MAX_SKIPPED)
		last = p->skipped[p->nskipped - 1] + 1;
	p->cursor.next_block = last;
}

/* A transaction of the third stage */
static Turn
sweep_turn(BackfillTx *tx)
{
	BackfillProgress *p = &tx->progress;

	if (p->nskipped > 0)
		sweep_page(tx);
	else if (p->cursor.next_block < p->cursor.end_block)
		sweep_pages(tx);
	else if (p->cursor.pass == 0)
		return TURN_SWEPT;
	else
	{
		start_sweep(tx);
		tx->run->pause = growing_pause(tx->run->sweeps++);
	}
	return TURN_MORE;
}

/* One transaction, with whatever is to be done next */
static Turn
table_turn(BackfillRun *run)
{
	BackfillTx	tx;
	Turn		turn = TURN_MORE;

	run->pause = 0;
	run->rows = 0;
	switch (backfill_begin(run, &tx))
	{
		case BACKFILL_READY:
			break;
		case BACKFILL_STOPPED:
			return TURN_STOPPED;
		case BACKFILL_GONE:
			return TURN_DONE;
	}

	switch (tx.progress.state)
	{
		case BACKFILL_PENDING:
		case BACKFILL_RUNNING:
			scan_turn(&tx);
			break;
		case BACKFILL_SWEEPING:
			turn = sweep_turn(&tx);
			break;
		case BACKFILL_DONE:
			turn = TURN_DONE;
			break;
	}
	backfill_commit(&tx);
	return turn;
}

/* Somebody has held a row of the first page in the list for too long. */
static void
postpone_page(BackfillRun *run)
{
	BackfillTx	tx;
	BackfillProgress *p = &tx.progress;

	if (backfill_begin(run, &tx) != BACKFILL_READY)
		return;
	if (p->nskipped > 0)
	{
		BlockNumber page = p->skipped[0];

		/* a page's turn comes again when the others have had theirs */
		memmove(p->skipped, p->skipped + 1,
				sizeof(BlockNumber) * (p->nskipped - 1));
		p->skipped[p->nskipped - 1] = page;
	}
	if (run->timeouts == TIMEOUTS_TO_REPORT)
		migspec_event(tx.migration->id, tx.migration->name,
					  "backfill_waits", true,
					  "relation", migspec_relation_name(run->relid),
					  "reason", "rows are locked by other transactions", NULL);
	backfill_commit(&tx);
	if (++run->timeouts >= p->nskipped)
		migspec_worker_wait(growing_pause(run->timeouts - p->nskipped));
}

/* The transaction has failed; what now?  Rethrows what cannot be helped. */
static void
handle_error(BackfillRun *run, ErrorData *edata)
{
	if (backfill_is_row_error(run, edata))
		backfill_set_aside(run, run->first, run->last);
	else if (edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE &&
			 run->in_statement)
		postpone_page(run);
	else
		backfill_survive(run, edata);
	FreeErrorData(edata);
}

/* One transaction with all its errors */
static Turn
table_turn_safely(BackfillRun *run)
{
	volatile Turn turn = TURN_MORE;
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		turn = table_turn(run);
	}
	PG_CATCH();
	{
		edata = migspec_error_caught(run->cxt, false);
	}
	PG_END_TRY();

	if (edata != NULL)
	{
		handle_error(run, edata);
		return TURN_MORE;
	}
	return turn;
}

/* Is the backfill still wanted?  Sets the pace that is allowed now. */
static bool
still_wanted(BackfillRun *run)
{
	MigspecMigration *migration;
	bool		wanted;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	migration = migspec_migration_load_by_id(run->migration_id, true);
	wanted = migration != NULL && !migration->paused &&
		migration->phase == MIGSPEC_MIGRATING;
	if (wanted)
		run->max_rows_per_second = migration->max_rows_per_second;
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(run->cxt);
	return wanted;
}

/*
 * Wait as long as the pace demands after a transaction, and as long as it has
 * asked for.  False if the worker has to stop.
 */
static bool
wait_for_turn(BackfillRun *run)
{
	TimestampTz since = run->started;

	for (;;)
	{
		long		passed = TimestampDifferenceMilliseconds(since, GetCurrentTimestamp());
		int64		due = run->pause;

		if (run->max_rows_per_second > 0)
			due = Max(due, run->rows * 1000 / run->max_rows_per_second);
		if (passed >= due)
			return true;
		migspec_worker_wait(Min(due - passed, PACE_SLICE));
		if (due - passed > PACE_SLICE && !still_wanted(run))
			return false;
	}
}

/*
 * Mark the table as done, unless it has got another file meanwhile; returns
 * whether it is.
 */
static bool
finish_table(BackfillRun *run)
{
	BackfillTx	tx;
	BackfillProgress *p = &tx.progress;
	bool		done;

	if (backfill_begin(run, &tx) != BACKFILL_READY)
		return false;
	done = p->state == BACKFILL_SWEEPING && p->cursor.pass == 0 &&
		p->nskipped == 0 && p->cursor.next_block >= p->cursor.end_block;
	if (done)
	{
		p->state = BACKFILL_DONE;
		migspec_event(tx.migration->id, tx.migration->name, "backfill_done",
					  false, "relation", migspec_relation_name(run->relid), NULL);
	}
	backfill_commit(&tx);
	return done;
}

/* Users' triggers are not to take our updates for an application's. */
static void
set_replication_role(bool backfilling)
{
	const char *role = backfilling && !migspec_fire_user_triggers ?
	"replica" : "origin";
	const char *now = GetConfigOption("session_replication_role", false, false);

	/* setting it makes the server plan everything anew */
	if (strcmp(role, now) != 0)
		SetConfigOption("session_replication_role", role,
						PGC_SUSET, PGC_S_OVERRIDE);
}

/* All of one table.  False if the worker has to stop. */
static bool
run_table(BackfillRun *run)
{
	int			left;

	set_replication_role(true);
	(void) backfill_retry_rows(run);
	for (;;)
	{
		migspec_worker_breathe();
		set_replication_role(true);
		switch (table_turn_safely(run))
		{
			case TURN_MORE:
				if (!wait_for_turn(run))
					return false;
				break;
			case TURN_SWEPT:
				left = backfill_retry_rows(run);
				if (left > 0)
					backfill_report_failed_rows(run, left);
				if (finish_table(run))
					return true;
				break;
			case TURN_DONE:
				return true;
			case TURN_STOPPED:
				return false;
		}
	}
}

static void
report_activity(Oid relid)
{
	char		what[NAMEDATALEN + 64];
	char	   *name;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	/* no lock is held: a partition may have been dropped just now */
	name = get_rel_name(relid);
	snprintf(what, sizeof(what), "backfill of %s", name ? name : "a table that has gone");
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_RUNNING, what);
}

/* The backfill of one table, with memory of its own */
static bool
backfill_table(int64 migration_id, Oid relid)
{
	MemoryContext caller = CurrentMemoryContext;
	BackfillRun run = {0};
	bool		finished;

	run.migration_id = migration_id;
	run.relid = relid;
	run.cxt = AllocSetContextCreate(TopMemoryContext, "migspec backfill",
									ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(run.cxt);
	report_activity(relid);
	MemoryContextSwitchTo(run.cxt);
	finished = run_table(&run);
	if (run.plans.key != NULL)
	{
		SPI_freeplan(run.plans.update);
		SPI_freeplan(run.plans.update_wait);
		SPI_freeplan(run.plans.look);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(run.cxt);
	return finished;
}

/*
 * The tables that are to be done, as a List of Oid in the current memory
 * context.  False if the worker has to stop.
 */
static bool
tables_to_do(int64 migration_id, List **relids)
{
	MemoryContext caller = CurrentMemoryContext;
	MigspecMigration *migration;
	bool		wanted;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	migration = migspec_migration_load_by_id(migration_id, true);
	wanted = migration != NULL && !migration->paused &&
		migration->phase == MIGSPEC_MIGRATING;
	if (wanted)
	{
		List	   *found;

		backfill_register(migration_id, migspec_tables(migration));
		found = backfill_unfinished(migration_id);
		MemoryContextSwitchTo(caller);
		*relids = list_copy(found);
	}
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(caller);
	return wanted;
}

static bool
backfill_all(int64 migration_id)
{
	for (;;)
	{
		List	   *relids = NIL;
		ListCell   *lc;

		if (!tables_to_do(migration_id, &relids))
			return false;
		if (relids == NIL)
			return true;
		foreach(lc, relids)
		{
			if (!backfill_table(migration_id, lfirst_oid(lc)))
				return false;
		}
	}
}

/* see backfill.h */
bool
migspec_backfill_run(int64 migration_id)
{
	volatile bool finished = false;

	PG_TRY();
	{
		finished = backfill_all(migration_id);
	}
	PG_CATCH();
	{
		/* inside a transaction, its end would undo what is set here */
		AbortOutOfAnyTransaction();
		migspec_in_backfill = false;
		set_replication_role(false);
		PG_RE_THROW();
	}
	PG_END_TRY();
	set_replication_role(false);
	(void) pgstat_report_stat(true);
	return finished;
}
