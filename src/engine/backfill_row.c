/*-------------------------------------------------------------------------
 *
 * backfill_row.c
 *		Rows that cannot be converted.
 *
 * Runs in job workers.  When a batch fails because of a row, the batch is
 * rolled back, and its range of rows is cut in half, again and again, each
 * half in a transaction of its own, until single rows are left.  Those that
 * fail are written to migspec.failed_row, and the others are converted on the
 * way, so that the batch, when it is tried again, has nothing left to do.
 *
 * Rows that were set aside are passed over from then on, as long as they keep
 * their address; at the end of the table they are tried once more.  A client
 * that updates such a row either succeeds, and then the row is in sync at
 * another address, or gets the error itself.
 *
 * Crash behaviour: the range is visited again from its begin; rows that were
 * set aside before stay so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "engine/backfill_internal.h"
#include "engine/retry.h"
#include "engine/tables.h"

/*
 * All tuple addresses of a table in one row of numbers: page times
 * ADDRESSES_PER_PAGE plus line pointer
 */
#define ADDRESSES_PER_PAGE	((uint64) MaxHeapTuplesPerPage + 1)

/*
 * Is this an error that a row's values can be the reason of?  Others are the
 * same for all rows, like a missing right or a dropped function, or do not
 * come from the statement that reads the rows.
 */
bool
backfill_is_row_error(const BackfillRun *run, const ErrorData *edata)
{
	if (!run->in_statement || migspec_error_is_transient(edata->sqlerrcode))
		return false;

	switch (edata->sqlerrcode)
	{
		case ERRCODE_MIGSPEC_EXPRESSION_FAILS:
		case ERRCODE_MIGSPEC_SYNC_CONFLICT:
		case ERRCODE_INTERNAL_ERROR:
			return true;
		default:
			break;
	}

	switch (ERRCODE_TO_CATEGORY(edata->sqlerrcode))
	{
		case ERRCODE_CARDINALITY_VIOLATION:
		case ERRCODE_DATA_EXCEPTION:
		case ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION:
		case ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION:
		case ERRCODE_SQL_ROUTINE_EXCEPTION:
		case ERRCODE_EXTERNAL_ROUTINE_EXCEPTION:
		case ERRCODE_EXTERNAL_ROUTINE_INVOCATION_EXCEPTION:
		case ERRCODE_WITH_CHECK_OPTION_VIOLATION:
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
		case ERRCODE_PLPGSQL_ERROR:
			return true;
		default:
			return false;
	}
}

/* The range of addresses from lo to before hi */
static BackfillRange
range_of_addresses(uint64 lo, uint64 hi)
{
	BackfillRange range = {0};

	range.first = (BlockNumber) (lo / ADDRESSES_PER_PAGE);
	range.first_offset = (OffsetNumber) (lo % ADDRESSES_PER_PAGE);
	range.last = (BlockNumber) (hi / ADDRESSES_PER_PAGE);
	range.last_offset = (OffsetNumber) (hi % ADDRESSES_PER_PAGE);
	range.passes = 1;
	return range;
}

/*
 * Convert the rows of a range that can be locked, in as many transactions as
 * it takes.  False if the worker has to stop, or the table has gone.
 */
static bool
convert_range(BackfillRun *run, const BackfillRange *range)
{
	BackfillTx	tx;
	int64		rows;

	do
	{
		migspec_worker_breathe();
		if (backfill_begin(run, &tx) != BACKFILL_READY)
			return false;
		rows = backfill_update(&tx, range, BACKFILL_MAX_ROWS, false);
		backfill_commit(&tx);
	} while (rows >= BACKFILL_MAX_ROWS);
	return true;
}

/*
 * The same, catching errors.  Returns the error if it is a row's; transient
 * ones are tried again, and others propagate.
 */
static ErrorData *
try_range(BackfillRun *run, const BackfillRange *range, bool *stopped)
{
	for (;;)
	{
		ErrorData  *volatile edata = NULL;

		PG_TRY();
		{
			*stopped = !convert_range(run, range);
		}
		PG_CATCH();
		{
			edata = migspec_error_caught(run->cxt, false);
		}
		PG_END_TRY();

		if (edata == NULL || backfill_is_row_error(run, edata))
			return edata;
		backfill_survive(run, edata);
	}
}

/* Store the error of a row, in the current transaction. */
static void
store_failed_row(BackfillTx *tx, BlockNumber block, OffsetNumber offset,
				 const ErrorData *edata)
{
	Datum		tid = migspec_tid_datum(block, offset);
	char	   *key = backfill_row_key(tx, block, offset);

	migspec_catalog_sql("DELETE FROM migspec.failed_row"
						" WHERE migration_id = $1 AND relation = $2 AND row_ctid = $3",
						MIGSPEC_PARAMS(MIGSPEC_INT8(tx->run->migration_id),
									   MIGSPEC_REGCLASS(tx->run->relid),
									   MIGSPEC_DATUM(TIDOID, tid, false)));
	migspec_catalog_sql("INSERT INTO migspec.failed_row (migration_id, relation,"
						" row_ctid, key, sqlstate, message, detail)"
						" VALUES ($1, $2, $3, $4::jsonb, $5, $6, $7)",
						MIGSPEC_PARAMS(MIGSPEC_INT8(tx->run->migration_id),
									   MIGSPEC_REGCLASS(tx->run->relid),
									   MIGSPEC_DATUM(TIDOID, tid, false),
									   MIGSPEC_TEXT(key),
									   MIGSPEC_TEXT(unpack_sql_state(edata->sqlerrcode)),
									   MIGSPEC_TEXT(edata->message),
									   MIGSPEC_TEXT(edata->detail)));
}

/* There are rows that cannot be converted: an error, whose detail names one. */
void
backfill_report_failed_rows(BackfillRun *run, int count)
{
	BackfillTx	tx;
	char	   *name = "";
	char	   *where = "";
	char	   *message = "";

	if (backfill_begin(run, &tx) == BACKFILL_READY)
	{
		MigspecIdentity saved;

		name = MemoryContextStrdup(run->cxt, tx.migration->name);
		migspec_catalog_begin(&saved);
		if (migspec_sql("SELECT relation::text AS relation,"
						" coalesce(key::text, 'ctid ' || row_ctid::text) AS place,"
						" message FROM migspec.failed_row"
						" WHERE migration_id = $1 AND relation = $2"
						" ORDER BY failed_at LIMIT 1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(run->migration_id),
									   MIGSPEC_REGCLASS(run->relid))) > 0)
		{
			where = MemoryContextStrdup(run->cxt,
										psprintf("%s %s",
												 migspec_spi_text(0, "relation"),
												 migspec_spi_text(0, "place")));
			message = MemoryContextStrdup(run->cxt,
										  migspec_spi_text(0, "message"));
		}
		migspec_catalog_end(&saved);
		backfill_commit(&tx);
	}

	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_ROWS_FAILED),
			 count > migspec_failed_rows_limit ?
			 errmsg("more than %d rows of a table cannot be converted",
					migspec_failed_rows_limit) :
			 errmsg_plural("%d row cannot be converted",
						   "%d rows cannot be converted", count, count),
			 errdetail("The first is %s: %s", where, message),
			 errhint("Correct the rows that migspec.failed_row shows, then call migspec_resume('%s'), "
					 "or roll the migration back.", name)));
}

/*
 * The row at an address cannot be converted: set it aside.  False if the
 * worker has to stop.
 */
static bool
set_aside_row(BackfillRun *run, uint64 address, const ErrorData *edata)
{
	BackfillRange range = range_of_addresses(address, address + 1);
	BackfillTx	tx;
	int			count;

	if (backfill_begin(run, &tx) != BACKFILL_READY)
		return false;
	store_failed_row(&tx, range.first, range.first_offset, edata);
	(void) backfill_failed_rows(run->migration_id, run->relid, &count);
	backfill_commit(&tx);
	if (count > migspec_failed_rows_limit)
		backfill_report_failed_rows(run, count);
	return true;
}

/*
 * Find the rows of a range that fail, knowing that there is one.  False if
 * the worker has to stop.
 */
static bool
bisect(BackfillRun *run, uint64 lo, uint64 hi, const ErrorData *error)
{
	uint64		middle = lo + (hi - lo) / 2;
	uint64		bounds[3] = {lo, middle, hi};

	if (hi - lo == 1)
		return error == NULL || set_aside_row(run, lo, error);

	for (int i = 0; i < 2; i++)
	{
		BackfillRange range = range_of_addresses(bounds[i], bounds[i + 1]);
		bool		stopped = false;
		ErrorData  *edata = try_range(run, &range, &stopped);

		if (edata != NULL)
			stopped = !bisect(run, bounds[i], bounds[i + 1], edata);
		if (stopped)
			return false;
	}
	return true;
}

/*
 * A statement on the pages from first to before last has failed because of a
 * row: set aside all rows there that fail.  Outside a transaction.  If it
 * stops early, the caller will find out why.
 */
void
backfill_set_aside(BackfillRun *run, BlockNumber first, BlockNumber last)
{
	(void) bisect(run, first * ADDRESSES_PER_PAGE, last * ADDRESSES_PER_PAGE,
				  NULL);
}

/* Convert one row that was set aside, waiting for its lock; it is so no more. */
static void
convert_row(BackfillRun *run, const BackfillRange *range)
{
	BackfillTx	tx;
	Datum		tid;

	if (backfill_begin(run, &tx) != BACKFILL_READY)
		return;
	tid = migspec_tid_datum(range->first, range->first_offset);
	tx.failed = PointerGetDatum(construct_empty_array(TIDOID));
	(void) backfill_update(&tx, range, BACKFILL_NO_LIMIT, true);
	migspec_catalog_sql("DELETE FROM migspec.failed_row"
						" WHERE migration_id = $1 AND relation = $2 AND row_ctid = $3",
						MIGSPEC_PARAMS(MIGSPEC_INT8(run->migration_id),
									   MIGSPEC_REGCLASS(run->relid),
									   MIGSPEC_DATUM(TIDOID, tid, false)));
	backfill_commit(&tx);
}

/* The same, catching a row's error: then it returns false. */
static bool
try_row(BackfillRun *run, const BackfillRange *range)
{
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		convert_row(run, range);
	}
	PG_CATCH();
	{
		edata = migspec_error_caught(run->cxt, false);
	}
	PG_END_TRY();
	if (edata != NULL && !backfill_is_row_error(run, edata))
		ReThrowError(edata);
	return edata == NULL;
}

/* The rows that were set aside, in the run's memory */
static ItemPointer
failed_rows(BackfillRun *run, int *count)
{
	BackfillTx	tx;
	ItemPointer tids = NULL;
	Datum	   *values;
	bool	   *nulls;

	*count = 0;
	if (backfill_begin(run, &tx) != BACKFILL_READY)
		return NULL;
	deconstruct_array(DatumGetArrayTypeP(tx.failed), TIDOID,
					  sizeof(ItemPointerData), false, TYPALIGN_SHORT,
					  &values, &nulls, count);
	tids = MemoryContextAlloc(run->cxt,
							  sizeof(ItemPointerData) * Max(*count, 1));
	for (int i = 0; i < *count; i++)
		tids[i] = *(ItemPointer) DatumGetPointer(values[i]);
	backfill_commit(&tx);
	return tids;
}

/*
 * Try the rows that were set aside once more.  Returns how many are left.
 * Outside a transaction.
 */
int
backfill_retry_rows(BackfillRun *run)
{
	int			count;
	int			left = 0;
	ItemPointer tids = failed_rows(run, &count);

	for (int i = 0; i < count; i++)
	{
		uint64		address = ItemPointerGetBlockNumber(&tids[i]) *
		ADDRESSES_PER_PAGE + ItemPointerGetOffsetNumber(&tids[i]);
		BackfillRange range = range_of_addresses(address, address + 1);

		migspec_worker_breathe();
		if (!try_row(run, &range))
			left++;
	}
	return left;
}
