/*-------------------------------------------------------------------------
 *
 * backfill_internal.h
 *		What the files of the backfill share.
 *
 * backfill.c is the order of the work, backfill_batch.c one transaction of
 * it, backfill_row.c what is done about rows that cannot be converted, and
 * backfill_state.c the table migspec.backfill.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_BACKFILL_INTERNAL_H
#define MIGSPEC_BACKFILL_INTERNAL_H

#include "postgres.h"
#include "executor/spi.h"
#include "storage/block.h"
#include "storage/off.h"
#include "utils/rel.h"
#include "base/compat.h"
#include "catalog/migration.h"
#include "engine/strategy.h"

/* how many pages with rows left over are remembered one by one */
#define BACKFILL_MAX_SKIPPED	1000

/* so many rows are changed by one transaction where the strategy has no say */
#define BACKFILL_MAX_ROWS		5000

#define BACKFILL_NO_LIMIT		PG_INT64_MAX

typedef enum BackfillState
{
	BACKFILL_PENDING,			/* not begun */
	BACKFILL_RUNNING,			/* the strategy's scan, then the skipped pages */
	BACKFILL_SWEEPING,			/* looking over the whole table once more */
	BACKFILL_DONE
} BackfillState;

/*
 * A row of migspec.backfill.  While sweeping, the cursor's "pass" is 1 if the
 * present sweep has found anything, and "skipped" are the pages to wait for.
 */
typedef struct BackfillProgress
{
	BackfillState state;
	Oid			relfilenode;
	MigspecCursor cursor;
	int			nskipped;
	BlockNumber skipped[BACKFILL_MAX_SKIPPED];
	int64		rows_total;		/* estimate */
	int			restarts;
} BackfillProgress;

/* The statements for one table, kept from batch to batch */
typedef struct BackfillPlans
{
	char	   *key;			/* what they were made from, NULL if none are */
	SPIPlanPtr	update;			/* changes rows, passing over locked ones */
	SPIPlanPtr	update_wait;	/* changes rows, waiting for locked ones */
	SPIPlanPtr	look;			/* pages with rows that are left over */
} BackfillPlans;

/*
 * The backfill of one table by this process.  Nothing in here is needed to
 * go on after a crash.
 */
typedef struct BackfillRun
{
	int64		migration_id;
	Oid			relid;
	MemoryContext cxt;			/* lives as long as the run */
	BackfillPlans plans;

	/* the statement that ran last, for those who handle its error */
	bool		in_statement;
	BlockNumber first;
	BlockNumber last;

	/* what to do after the transaction */
	long		pause;			/* ms */
	int64		rows;			/* rows that it changed */
	int			max_rows_per_second;
	TimestampTz started;		/* when the transaction began */

	int			repeats;		/* of the batch at the cursor */
	int			errors;			/* transient ones in a row */
	int			revisits;		/* rounds over the skipped pages so far */
	int			revisits_left;	/* pages left in this round */
	int			sweeps;			/* complete ones so far */
	int			timeouts;		/* waits for locked rows in vain, in a row */
} BackfillRun;

/* One transaction; all of it is in the transaction's memory */
typedef struct BackfillTx
{
	BackfillRun *run;
	MigspecMigration *migration;
	BackfillProgress progress;
	Relation	rel;
	List	   *pairs;
	double		rows_per_page;
	int64		rows;			/* changed */
	int64		rows_hot;		/* of these, heap-only */
	Datum		failed;			/* tid[] of the rows that were set aside */
	bool		plans_checked;	/* the run's plans are for these pairs */
} BackfillTx;

typedef enum BackfillBegin
{
	BACKFILL_READY,
	BACKFILL_STOPPED,			/* paused, or not "migrating" any more */
	BACKFILL_GONE				/* there is no such table any more */
} BackfillBegin;

/* A range of tuples: from (first page, first line pointer) to before last */
typedef struct BackfillRange
{
	BlockNumber first;
	OffsetNumber first_offset;
	BlockNumber last;
	OffsetNumber last_offset;
	int			pass;
	int			passes;
} BackfillRange;

/* backfill_state.c */
extern void backfill_register(int64 migration_id, List *tables);
extern List *backfill_unfinished(int64 migration_id);
extern bool backfill_load(int64 migration_id, Oid relid,
						  BackfillProgress *progress);
extern void backfill_save(const BackfillTx *tx);
extern void backfill_restart(BackfillTx *tx);
extern Datum backfill_failed_rows(int64 migration_id, Oid relid, int *count);

/* backfill_batch.c */
extern BackfillBegin backfill_begin(BackfillRun *run, BackfillTx *tx);
extern void backfill_commit(BackfillTx *tx);
extern BackfillRange backfill_pages(BlockNumber first, BlockNumber last);
extern int64 backfill_update(BackfillTx *tx, const BackfillRange *range,
							 int64 limit, bool wait);
extern int	backfill_look(BackfillTx *tx, const BackfillRange *range,
						  BlockNumber *pages, int max_pages);
extern char *backfill_row_key(BackfillTx *tx, BlockNumber block,
							  OffsetNumber offset);

/* backfill_row.c */
extern bool backfill_is_row_error(const BackfillRun *run,
								  const ErrorData *edata);
extern void backfill_set_aside(BackfillRun *run, BlockNumber first,
							   BlockNumber last);
extern int	backfill_retry_rows(BackfillRun *run);
pg_noreturn extern void backfill_report_failed_rows(BackfillRun *run, int count);

/* backfill.c */
extern void backfill_survive(BackfillRun *run, ErrorData *edata);

#endif							/* MIGSPEC_BACKFILL_INTERNAL_H */
