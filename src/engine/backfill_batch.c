/*-------------------------------------------------------------------------
 *
 * backfill_batch.c
 *		One transaction of the backfill.
 *
 * Runs in job workers.  Each transaction holds ROW EXCLUSIVE on the table, as
 * any writer does, row locks on the rows that it changes, and commits
 * asynchronously, because the progress commits with the rows: a crash loses
 * both or none.
 *
 * The statement that changes rows sets the first new column to itself; all
 * synchronising is done by the sync trigger.  It finds its rows by a TID
 * range scan, which reads just the pages in question and prunes them, locks
 * those it wants, and updates them by their address:
 *
 *		CTE Scan on pending -> Nested Loop -> Tid Scan on the table
 *		  CTE pending: LockRows -> Tid Range Scan on the table
 *
 * Settings pin this plan; the generic plan is kept from batch to batch, until
 * the text of the statement changes with the table's pairs.
 *
 * Rights: as the table's owner, in a security-restricted operation.  Users'
 * triggers do not fire, because session_replication_role is "replica" (see
 * backfill.c); the sync trigger does, always.
 *
 * Interleavings that must be survived:
 *
 * - A client updates a row after our snapshot was taken: the lock follows the
 *	 row to its new version, which the trigger has synchronised; it is not
 *	 pending then, or not found by our snapshot, and left alone.
 * - A client holds a row: it is passed over, and its page is found by looking
 *	 again after the last pass; see backfill.c for what happens to it.
 * - The table gets another file (VACUUM FULL, CLUSTER, TRUNCATE): checked
 *	 under the lock in each transaction.
 * - The table or its partition is dropped: found when it is opened.
 * - The pairs change, or the trigger is disabled: read anew, under the lock,
 *	 in each transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/debugpoint.h"
#include "base/errors.h"
#include "base/guc.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "engine/backfill_internal.h"
#include "engine/retry.h"
#include "engine/tables.h"
#include "trigger/sync.h"

/* how much longer than for a table lock we wait for a row lock */
#define ROW_LOCK_FACTOR		20

/* parameters of the statements */
#define NPARAMS				6

typedef enum Statement
{
	LOOK,
	UPDATE,
	UPDATE_WAIT
} Statement;

/* What tells rows of a range that are to be visited; "t" is the table */
static char *
wanted_sql(BackfillTx *tx)
{
	StringInfoData sql;
	ListCell   *lc;

	initStringInfo(&sql);
	foreach(lc, tx->pairs)
	{
		appendStringInfo(&sql, "%s(%s)", sql.len > 0 ? " OR " : "",
						 migspec_sync_pending_sql(tx->rel, lfirst(lc), "t"));
	}

	/*
	 * CASE fixes the order: the expression of a row that was set aside, or
	 * that belongs to another pass, must not be evaluated.
	 */
	return psprintf("t.ctid >= $1 AND t.ctid < $2 AND"
					" CASE WHEN migspec.tid_offset(t.ctid) %% $3 <> $4 THEN false"
					" WHEN t.ctid = ANY ($5) THEN false"
					" ELSE %s END", sql.data);
}

static char *
update_sql(BackfillTx *tx, const char *wanted, const char *skip)
{
	MigspecPair *pair = linitial(tx->pairs);
	char	   *table = migspec_relation_name(RelationGetRelid(tx->rel));
	const char *column = quote_identifier(get_attname(RelationGetRelid(tx->rel),
													  pair->new_attno, false));

	return psprintf("WITH pending AS MATERIALIZED ("
					"SELECT t.ctid AS tid FROM ONLY %s t WHERE %s"
					" LIMIT $6 FOR NO KEY UPDATE OF t%s)"
					" UPDATE ONLY %s t SET %s = t.%s"
					" FROM pending WHERE t.ctid = pending.tid",
					table, wanted, skip, table, column, column);
}

static char *
look_sql(BackfillTx *tx, const char *wanted)
{
	return psprintf("SELECT DISTINCT migspec.tid_block(t.ctid) AS page"
					" FROM ONLY %s t WHERE %s ORDER BY page LIMIT $6",
					migspec_relation_name(RelationGetRelid(tx->rel)), wanted);
}

/* Prepare a statement that outlives the transaction.  SPI is connected. */
static SPIPlanPtr
prepare(const char *sql)
{
	Oid			types[NPARAMS] = {TIDOID, TIDOID, INT4OID, INT4OID,
	InvalidOid, INT8OID};
	SPIPlanPtr	plan;

	types[4] = get_array_type(TIDOID);
	plan = SPI_prepare(sql, NPARAMS, types);
	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg_internal("SPI_prepare failed: %s",
								 SPI_result_code_string(SPI_result)),
				 errdetail_internal("Statement: %s", sql)));
	SPI_keepplan(plan);
	return plan;
}

static void
forget_plans(BackfillPlans *plans)
{
	if (plans->update != NULL)
		SPI_freeplan(plans->update);
	if (plans->update_wait != NULL)
		SPI_freeplan(plans->update_wait);
	if (plans->look != NULL)
		SPI_freeplan(plans->look);
	if (plans->key != NULL)
		pfree(plans->key);
	memset(plans, 0, sizeof(BackfillPlans));
}

/*
 * See to it that the kept plans are those for the table's present pairs.  As
 * the owner, with SPI connected.
 */
static void
refresh_plans(BackfillTx *tx)
{
	BackfillPlans *plans = &tx->run->plans;
	char	   *wanted;
	char	   *key;

	if (tx->plans_checked)
		return;
	tx->plans_checked = true;
	wanted = wanted_sql(tx);
	key = update_sql(tx, wanted, "");
	if (plans->key != NULL && strcmp(plans->key, key) == 0)
		return;
	forget_plans(plans);
	plans->update = prepare(update_sql(tx, wanted, " SKIP LOCKED"));
	plans->update_wait = prepare(key);
	plans->look = prepare(look_sql(tx, wanted));
	plans->key = MemoryContextStrdup(tx->run->cxt, key);
}

/*
 * Begin a transaction.  With BACKFILL_READY, tx is filled in and a snapshot
 * is active; otherwise there is no transaction any more.
 */
BackfillBegin
backfill_begin(BackfillRun *run, BackfillTx *tx)
{
	BackfillBegin result = BACKFILL_READY;
	int			nfailed;

	memset(tx, 0, sizeof(BackfillTx));
	tx->run = run;
	run->in_statement = false;
	run->started = GetCurrentTimestamp();
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());

	tx->migration = migspec_migration_load_by_id(run->migration_id, true);
	if (tx->migration == NULL || tx->migration->paused ||
		tx->migration->phase != MIGSPEC_MIGRATING)
		result = BACKFILL_STOPPED;
	else if (!backfill_load(run->migration_id, run->relid, &tx->progress))
		result = BACKFILL_GONE;
	else
	{
		tx->rel = migspec_table_open(tx->migration, run->relid,
									 RowExclusiveLock, &tx->pairs);
		if (tx->rel == NULL)
			result = BACKFILL_GONE;
	}
	if (result != BACKFILL_READY)
	{
		PopActiveSnapshot();
		CommitTransactionCommand();
		return result;
	}

	run->max_rows_per_second = tx->migration->max_rows_per_second;
	if (tx->progress.cursor.end_block > 0)
		tx->rows_per_page = Max((double) tx->progress.rows_total /
								tx->progress.cursor.end_block, 1.0);
	else
		tx->rows_per_page = 1.0;
	if (tx->progress.state == BACKFILL_PENDING ||
		tx->progress.relfilenode != tx->rel->rd_rel->relfilenode)
		backfill_restart(tx);
	tx->failed = backfill_failed_rows(run->migration_id, run->relid, &nfailed);
	return BACKFILL_READY;
}

/*
 * Save the progress and commit both.  The next state of a table is not made
 * known before it is safe on disk, all else is.
 */
void
backfill_commit(BackfillTx *tx)
{
	backfill_save(tx);
	migspec_debug_point("backfill_commit");
	if (tx->progress.state == BACKFILL_RUNNING ||
		tx->progress.state == BACKFILL_SWEEPING)
		migspec_set_local("synchronous_commit", "off");
	table_close(tx->rel, NoLock);
	tx->run->rows = tx->rows;
	PopActiveSnapshot();
	CommitTransactionCommand();
	MemoryContextSwitchTo(tx->run->cxt);
	tx->run->errors = 0;
	(void) pgstat_report_stat(false);
}

/* All rows on the pages from first to before last */
BackfillRange
backfill_pages(BlockNumber first, BlockNumber last)
{
	BackfillRange range = {0};

	range.first = first;
	range.first_offset = FirstOffsetNumber;
	range.last = last;
	range.last_offset = FirstOffsetNumber;
	range.passes = 1;
	return range;
}

/*
 * Run one of the kept statements on a range, as the table's owner.  SPI is
 * connected by the caller, who may want to see the result.  Returns the number
 * of rows.
 */
static uint64
run_statement(BackfillTx *tx, Statement which, const BackfillRange *range,
			  int64 limit)
{
	Datum		values[NPARAMS];
	MigspecIdentity owner;
	SPIPlanPtr	plan;
	int			result;

	tx->run->in_statement = true;
	tx->run->first = range->first;
	tx->run->last = range->last;

	values[0] = migspec_tid_datum(range->first, range->first_offset);
	values[1] = migspec_tid_datum(range->last, range->last_offset);
	values[2] = Int32GetDatum(range->passes);
	values[3] = Int32GetDatum(range->pass);
	values[4] = tx->failed;
	values[5] = Int64GetDatum(limit);

	migspec_become_owner(tx->rel->rd_rel->relowner, &owner);
	refresh_plans(tx);
	plan = which == LOOK ? tx->run->plans.look :
		which == UPDATE ? tx->run->plans.update : tx->run->plans.update_wait;
	migspec_in_backfill = which != LOOK;
	PG_TRY();
	{
		result = SPI_execute_plan(plan, values, NULL, false, 0);
	}
	PG_FINALLY();
	{
		migspec_in_backfill = false;
	}
	PG_END_TRY();
	migspec_restore_identity(&owner);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg_internal("SPI_execute_plan failed: %s",
								 SPI_result_code_string(result))));
	tx->run->in_statement = false;
	return SPI_processed;
}

/*
 * A trigger that fires at commit would not do so as the owner, which is why
 * the server refuses it in a restricted operation.
 */
static void
make_triggers_immediate(Relation rel)
{
	for (int i = 0; rel->trigdesc != NULL && i < rel->trigdesc->numtriggers; i++)
	{
		if (rel->trigdesc->triggers[i].tgdeferrable)
		{
			migspec_sql("SET CONSTRAINTS ALL IMMEDIATE", 0, NULL);
			return;
		}
	}
}

static int64
hot_updates(Relation rel)
{
	Datum		relid = ObjectIdGetDatum(RelationGetRelid(rel));

	return DatumGetInt64(DirectFunctionCall1(pg_stat_get_xact_tuples_hot_updated,
											 relid));
}

/* The settings for a statement, until the end of the GUC nest level */
static void
pin_settings(bool wait)
{
	migspec_pin_tid_plans();
	if (wait)
	{
		char		timeout[32];

		snprintf(timeout, sizeof(timeout), INT64_FORMAT,
				 Min((int64) migspec_lock_timeout * ROW_LOCK_FACTOR, INT_MAX));
		migspec_set_local("lock_timeout", timeout);
	}
}

/*
 * Synchronise the pending rows of a range, at most "limit" of them.  Rows
 * that are locked are passed over, or, with "wait", waited for, up to error
 * 55P03.  Returns the number of rows.
 */
int64
backfill_update(BackfillTx *tx, const BackfillRange *range, int64 limit,
				bool wait)
{
	int			level = NewGUCNestLevel();
	int64		hot = hot_updates(tx->rel);
	int64		rows;

	SPI_connect();
	pin_settings(wait);
	make_triggers_immediate(tx->rel);
	rows = (int64) run_statement(tx, wait ? UPDATE_WAIT : UPDATE, range, limit);
	SPI_finish();
	AtEOXact_GUC(false, level);

	tx->rows += rows;
	tx->rows_hot += hot_updates(tx->rel) - hot;
	return rows;
}

/*
 * Which pages of the range have rows that are pending (and were not set
 * aside)?  Fills in the first "max_pages" of them, and returns their number.
 */
int
backfill_look(BackfillTx *tx, const BackfillRange *range, BlockNumber *pages,
			  int max_pages)
{
	int			level = NewGUCNestLevel();
	int			n;

	SPI_connect();
	pin_settings(false);
	n = (int) run_statement(tx, LOOK, range, max_pages);
	for (int i = 0; i < n; i++)
		pages[i] = (BlockNumber) migspec_spi_int8(i, "page");
	SPI_finish();
	AtEOXact_GUC(false, level);
	return n;
}

/*
 * The primary key of a row as the text of a jsonb; NULL if there is none, or
 * the row is not there any more.
 */
char *
backfill_row_key(BackfillTx *tx, BlockNumber block, OffsetNumber offset)
{
	MigspecIdentity owner;
	char	   *key = NULL;
	char	   *sql;

	SPI_connect();
	migspec_become_owner(tx->rel->rd_rel->relowner, &owner);
	sql = psprintf("SELECT %s AS key FROM ONLY %s t WHERE t.ctid = $1",
				   migspec_table_key_sql(tx->rel, "t"),
				   migspec_relation_name(RelationGetRelid(tx->rel)));
	if (migspec_sql(sql, MIGSPEC_PARAMS(MIGSPEC_DATUM(TIDOID,
													  migspec_tid_datum(block, offset),
													  false))) > 0)
		key = migspec_spi_text(0, "key");
	migspec_restore_identity(&owner);
	SPI_finish();
	return key;
}
