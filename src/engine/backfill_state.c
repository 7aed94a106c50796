/*-------------------------------------------------------------------------
 *
 * backfill_state.c
 *		The table migspec.backfill, and migspec.failed_row.
 *
 * Runs in job workers, in the transaction of each batch.  The progress is
 * read at the start and written at the end of every such transaction, never
 * remembered in between: what is committed is all there is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "engine/backfill_internal.h"
#include "engine/tables.h"

static const char *const state_names[] = {
	[BACKFILL_PENDING] = "pending",
	[BACKFILL_RUNNING] = "running",
	[BACKFILL_SWEEPING] = "sweeping",
	[BACKFILL_DONE] = "done",
};

/*
 * Let there be a row for each of the tables (MigspecTable), and none for a
 * table that is no partition any more.
 */
void
backfill_register(int64 migration_id, List *tables)
{
	Datum	   *oids = palloc(sizeof(Datum) * Max(list_length(tables), 1));
	int			n = 0;
	Datum		relids;
	ListCell   *lc;

	foreach(lc, tables)
		oids[n++] = ObjectIdGetDatum(((MigspecTable *) lfirst(lc))->relid);
	relids = PointerGetDatum(construct_array(oids, n, OIDOID, sizeof(Oid),
											 true, TYPALIGN_INT));

	migspec_catalog_sql("DELETE FROM migspec.backfill"
						" WHERE migration_id = $1 AND relation <> ALL ($2)",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_DATUM(OIDARRAYOID, relids, false)));
	migspec_catalog_sql("INSERT INTO migspec.backfill (migration_id, relation)"
						" SELECT $1, r FROM pg_catalog.unnest($2) AS r"
						" ON CONFLICT DO NOTHING",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_DATUM(OIDARRAYOID, relids, false)));
}

/* The tables that are not done, as a List of Oid */
List *
backfill_unfinished(int64 migration_id)
{
	MigspecIdentity saved;
	List	   *result = NIL;
	uint64		n;

	migspec_catalog_begin(&saved);
	n = migspec_sql("SELECT relation FROM migspec.backfill"
					" WHERE migration_id = $1 AND state <> 'done'"
					" ORDER BY relation",
					MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id)));
	for (uint64 i = 0; i < n; i++)
		result = lappend_oid(result, migspec_spi_oid(i, "relation"));
	migspec_catalog_end(&saved);
	return result;
}

static BackfillState
state_from_name(const char *name)
{
	for (size_t i = 0; i < lengthof(state_names); i++)
	{
		if (strcmp(state_names[i], name) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg_internal("unknown state \"%s\" of a backfill", name)));
}

static void
read_skipped(BackfillProgress *progress, Datum array)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64),
					  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &values, &nulls, &n);
	progress->nskipped = Min(n, BACKFILL_MAX_SKIPPED);
	for (int i = 0; i < progress->nskipped; i++)
		progress->skipped[i] = (BlockNumber) DatumGetInt64(values[i]);
}

/* Read the progress of a table; false if there is no row for it. */
bool
backfill_load(int64 migration_id, Oid relid, BackfillProgress *progress)
{
	MigspecIdentity saved;
	bool		found;
	bool		isnull;

	migspec_catalog_begin(&saved);
	found = migspec_sql("SELECT state, relfilenode, end_block, next_block,"
						" pass, passes, skipped, rows_total, restarts"
						" FROM migspec.backfill"
						" WHERE migration_id = $1 AND relation = $2",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_REGCLASS(relid))) > 0;
	if (found)
	{
		progress->state = state_from_name(migspec_spi_text(0, "state"));
		progress->relfilenode = migspec_spi_oid(0, "relfilenode");
		progress->cursor.end_block = (BlockNumber) migspec_spi_int8(0, "end_block");
		progress->cursor.next_block = (BlockNumber) migspec_spi_int8(0, "next_block");
		progress->cursor.pass = (int) migspec_spi_int8(0, "pass");
		progress->cursor.passes = (int) migspec_spi_int8(0, "passes");
		read_skipped(progress, migspec_spi_datum(0, "skipped", &isnull));
		progress->rows_total = migspec_spi_int8(0, "rows_total");
		progress->restarts = (int) migspec_spi_int8(0, "restarts");
	}
	migspec_catalog_end(&saved);
	return found;
}

static Datum
skipped_datum(const BackfillProgress *progress)
{
	Datum		values[BACKFILL_MAX_SKIPPED];

	for (int i = 0; i < progress->nskipped; i++)
		values[i] = Int64GetDatum((int64) progress->skipped[i]);
	return PointerGetDatum(construct_array(values, progress->nskipped, INT8OID,
										   sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/* Write the progress, with what this transaction has added to it. */
void
backfill_save(const BackfillTx *tx)
{
	const BackfillProgress *p = &tx->progress;
	long		secs;
	int			usecs;
	double		busy;

	TimestampDifference(tx->run->started, GetCurrentTimestamp(), &secs, &usecs);
	busy = secs + usecs / 1000000.0;
	migspec_catalog_sql("UPDATE migspec.backfill SET state = $3,"
						" relfilenode = $4, end_block = $5, next_block = $6,"
						" pass = $7, passes = $8, skipped = $9,"
						" rows_total = $10, restarts = $11,"
						" rows_done = rows_done + $12,"
						" rows_hot = rows_hot + $13,"
						" busy = busy + make_interval(secs => $14),"
						" started_at = coalesce(started_at, now()),"
						" updated_at = clock_timestamp(),"
						" finished_at = CASE WHEN $3 = 'done' THEN clock_timestamp() END"
						" WHERE migration_id = $1 AND relation = $2",
						MIGSPEC_PARAMS(MIGSPEC_INT8(tx->run->migration_id),
									   MIGSPEC_REGCLASS(tx->run->relid),
									   MIGSPEC_TEXT(state_names[p->state]),
									   MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(p->relfilenode), false),
									   MIGSPEC_INT8((int64) p->cursor.end_block),
									   MIGSPEC_INT8((int64) p->cursor.next_block),
									   MIGSPEC_INT4(p->cursor.pass),
									   MIGSPEC_INT4(p->cursor.passes),
									   MIGSPEC_DATUM(INT8ARRAYOID, skipped_datum(p), false),
									   MIGSPEC_INT8(p->rows_total),
									   MIGSPEC_INT4(p->restarts),
									   MIGSPEC_INT8(tx->rows),
									   MIGSPEC_INT8(tx->rows_hot),
									   MIGSPEC_DATUM(FLOAT8OID, Float8GetDatum(busy), false)));
}

/*
 * Begin with the table's file as it is now; row addresses of another file
 * mean nothing in it.
 */
void
backfill_restart(BackfillTx *tx)
{
	BackfillProgress *p = &tx->progress;
	const MigspecStrategy *strategy = migspec_strategy(tx->migration->strategy);
	BlockNumber pages;
	double		rows;
	double		allvisfrac;

	if (p->state != BACKFILL_PENDING)
	{
		p->restarts++;
		migspec_catalog_sql("DELETE FROM migspec.failed_row"
							" WHERE migration_id = $1 AND relation = $2",
							MIGSPEC_PARAMS(MIGSPEC_INT8(tx->migration->id),
										   MIGSPEC_REGCLASS(tx->run->relid)));
		migspec_event(tx->migration->id, tx->migration->name,
					  "backfill_restarted", false, "relation",
					  migspec_relation_name(tx->run->relid), NULL);
	}
	table_relation_estimate_size(tx->rel, NULL, &pages, &rows, &allvisfrac);
	p->state = BACKFILL_RUNNING;
	p->relfilenode = tx->rel->rd_rel->relfilenode;
	p->nskipped = 0;
	p->rows_total = (int64) rows;
	tx->rows_per_page = pages > 0 ? Max(rows / pages, 1.0) : 1.0;
	strategy->start(&p->cursor, RelationGetNumberOfBlocks(tx->rel),
					tx->rows_per_page);
}

/* The rows of a table that were set aside, as tid[], and their number */
Datum
backfill_failed_rows(int64 migration_id, Oid relid, int *count)
{
	MigspecIdentity saved;
	Datum		tids;
	bool		isnull;

	migspec_catalog_begin(&saved);
	migspec_sql("SELECT coalesce(pg_catalog.array_agg(row_ctid), '{}') AS tids,"
				" count(*) AS n FROM migspec.failed_row"
				" WHERE migration_id = $1 AND relation = $2",
				MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
							   MIGSPEC_REGCLASS(relid)));
	tids = migspec_spi_datum(0, "tids", &isnull);
	*count = (int) migspec_spi_int8(0, "n");
	migspec_catalog_end(&saved);
	return tids;
}
