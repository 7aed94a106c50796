/*-------------------------------------------------------------------------
 *
 * verify.c
 *		Comparing old and new over the whole table.
 *
 * Runs in a worker that a session has started for it, in many short
 * transactions, each of which reads some pages.  No lock but ACCESS SHARE is
 * taken, and no snapshot is held for long.
 *
 * Although the transactions do not share a snapshot, the outcome is exact:
 * the sync trigger synchronises every row version that is written, so one
 * that is written while we compare agrees by construction, and one that is
 * not written is met at its place.  What this rests on is checked in each
 * transaction: the trigger is there and fires always, and the table's file is
 * still the one that the comparison began with.
 *
 * Crash behaviour: the outcome of an earlier verification is removed at the
 * begin, the new one is stored at the end, in one transaction; what was found
 * until then is removed by the next verification.
 *
 * Interleavings that must be survived:
 *
 * - VACUUM FULL, CLUSTER or TRUNCATE: the table is compared from its begin.
 * - The table grows: the scan goes on up to the end that is there when it is
 *	 reached, a bounded number of times.
 * - A partition is attached: its rows are compared as well, by making the
 *	 list once more at the end.  One is dropped: it is left out.
 * - The session that waits for us is cancelled: it terminates us.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/bufmgr.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "engine/retry.h"
#include "engine/tables.h"
#include "engine/verify.h"
#include "expr/expr.h"
#include "trigger/sync.h"

/* pages that one transaction compares */
#define CHUNK_PAGES			2000

/* how often the end of a growing table is followed */
#define MAX_EXTENSIONS		10

/* differing rows that are stored for each operation */
#define MAX_STORED			100

/* The verification of a migration; lives as long as it takes */
typedef struct Verification
{
	int64		migration_id;
	MemoryContext cxt;
	int64		rows_compared;	/* of tables that are complete */
	int64		rows_differing;
	List	   *tables_done;	/* OIDs */
	List	   *targets;		/* of TargetCount *; a target is several
								 * tables if it is partitioned */
} Verification;

/* rows of one target */
typedef struct TargetCount
{
	Oid			root;
	int64		rows_compared;
} TargetCount;

/* The scan of one table, from transaction to transaction */
typedef struct VerifyScan
{
	Verification *verification;
	Oid			relid;
	Oid			root;
	Oid			relfilenode;
	BlockNumber next_block;
	BlockNumber end_block;
	int			extensions;
	int64		rows_compared;
	int64		rows_differing;
} VerifyScan;

/* one transaction of a scan */
typedef struct Chunk
{
	VerifyScan *scan;
	MigspecMigration *migration;
	Relation	rel;
	List	   *pairs;
	BlockNumber first;
	BlockNumber last;
} Chunk;


/* The operation that a pair belongs to, NULL if it was there before */
static MigspecOperation *
operation_of_pair(const Chunk *chunk, const MigspecPair *pair)
{
	char	   *column = get_attname(RelationGetRelid(chunk->rel),
									 pair->new_attno, false);
	ListCell   *lc;

	foreach(lc, chunk->migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid == chunk->scan->root &&
			strcmp(op->new_column, column) == 0)
			return op;
	}
	return NULL;
}

/* alias.column as text, or a null if there is no such column */
static char *
column_text_sql(Relation rel, AttrNumber attno)
{
	if (attno == 0)
		return pstrdup("NULL::pg_catalog.text");
	return psprintf("t.%s::pg_catalog.text",
					quote_identifier(get_attname(RelationGetRelid(rel), attno,
												 false)));
}

/* What the new column should be, as text */
static char *
expected_sql(Relation rel, const MigspecPair *pair)
{
	if (pair->is_volatile)
		return pstrdup("NULL::pg_catalog.text");
	if (!OidIsValid(pair->up.funcid))
		return column_text_sql(rel, pair->old_attno);
	return psprintf("(%s)::pg_catalog.text",
					migspec_expr_sql(&pair->up, rel, "t"));
}

/* A query that counts the rows of a chunk, and those of each pair that differ */
static char *
count_sql(const Chunk *chunk)
{
	StringInfoData sql;
	int			n = 0;
	ListCell   *lc;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.count(*) AS compared");
	foreach(lc, chunk->pairs)
		appendStringInfo(&sql,
						 ", pg_catalog.count(*) FILTER (WHERE %s) AS differing%d",
						 migspec_sync_differs_sql(chunk->rel, lfirst(lc), "t"),
						 n++);
	appendStringInfo(&sql, " FROM ONLY %s t WHERE t.ctid >= $1 AND t.ctid < $2",
					 migspec_relation_name(RelationGetRelid(chunk->rel)));
	return sql.data;
}

/* A query for the rows of a chunk that differ in one pair */
static char *
rows_sql(const Chunk *chunk, const MigspecPair *pair)
{
	return psprintf("SELECT t.ctid AS row_ctid, %s AS key, %s AS old_value,"
					" %s AS new_value, %s AS expected FROM ONLY %s t"
					" WHERE t.ctid >= $1 AND t.ctid < $2 AND (%s) LIMIT %d",
					migspec_table_key_sql(chunk->rel, "t"),
					column_text_sql(chunk->rel, pair->old_attno),
					column_text_sql(chunk->rel, pair->new_attno),
					expected_sql(chunk->rel, pair),
					migspec_relation_name(RelationGetRelid(chunk->rel)),
					migspec_sync_differs_sql(chunk->rel, pair, "t"),
					MAX_STORED);
}

/* Run a query with the chunk's bounds as the owner; SPI is connected. */
static uint64
query_chunk(const Chunk *chunk, const char *sql)
{
	MigspecIdentity owner;
	uint64		n;

	migspec_become_owner(chunk->rel->rd_rel->relowner, &owner);
	n = migspec_sql(sql, MIGSPEC_PARAMS(MIGSPEC_DATUM(TIDOID,
													  migspec_tid_datum(chunk->first, FirstOffsetNumber),
													  false),
										MIGSPEC_DATUM(TIDOID,
													  migspec_tid_datum(chunk->last, FirstOffsetNumber),
													  false)));
	migspec_restore_identity(&owner);
	return n;
}

/* Store the row of SPI's result, if there is room for its operation. */
static void
store_difference(const Chunk *chunk, const MigspecOperation *op,
				 Datum row_ctid, char *key, char *old_value, char *new_value,
				 char *expected)
{
	migspec_catalog_sql("INSERT INTO migspec.difference (migration_id, relation,"
						" new_name, row_ctid, key, old_value, new_value, expected)"
						" SELECT $1, $2, $3, $4, $5::jsonb, $6, $7, $8"
						" WHERE (SELECT count(*) FROM migspec.difference d"
						"  WHERE d.migration_id = $1 AND d.new_name = $3"
						"  AND coalesce(pg_partition_root(d.relation), d.relation)"
						"    = coalesce(pg_partition_root($2), $2)) < $9",
						MIGSPEC_PARAMS(MIGSPEC_INT8(chunk->migration->id),
									   MIGSPEC_REGCLASS(RelationGetRelid(chunk->rel)),
									   MIGSPEC_TEXT(op->new_name),
									   MIGSPEC_DATUM(TIDOID, row_ctid, false),
									   MIGSPEC_TEXT(key),
									   MIGSPEC_TEXT(old_value),
									   MIGSPEC_TEXT(new_value),
									   MIGSPEC_TEXT(expected),
									   MIGSPEC_INT4(MAX_STORED)));
}

/* Find and store the rows of a chunk that differ in a pair. */
static void
store_differences(const Chunk *chunk, const MigspecPair *pair)
{
	MigspecOperation *op = operation_of_pair(chunk, pair);
	SPITupleTable *rows;
	uint64		n;

	if (op == NULL)
		return;
	SPI_connect();
	n = query_chunk(chunk, rows_sql(chunk, pair));
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		bool		isnull;

		/* storing a row uses SPI as well */
		SPI_tuptable = rows;
		store_difference(chunk, op,
						 migspec_spi_datum(i, "row_ctid", &isnull),
						 migspec_spi_text(i, "key"),
						 migspec_spi_text(i, "old_value"),
						 migspec_spi_text(i, "new_value"),
						 migspec_spi_text(i, "expected"));
	}
	SPI_finish();
}

/* Compare the rows of a chunk, and add what comes out to the scan. */
static void
compare_chunk(Chunk *chunk)
{
	int			level = NewGUCNestLevel();
	int64	   *differing = palloc(sizeof(int64) * list_length(chunk->pairs));
	int			n = 0;
	ListCell   *lc;

	migspec_pin_tid_plans();
	SPI_connect();
	query_chunk(chunk, count_sql(chunk));
	chunk->scan->rows_compared += migspec_spi_int8(0, "compared");
	for (int i = 0; i < list_length(chunk->pairs); i++)
		differing[i] = migspec_spi_int8(0, psprintf("differing%d", i));
	SPI_finish();

	foreach(lc, chunk->pairs)
	{
		chunk->scan->rows_differing += differing[n];
		if (differing[n++] > 0)
			store_differences(chunk, lfirst(lc));
	}
	AtEOXact_GUC(false, level);
}

static void
forget_differences(int64 migration_id, Oid relid)
{
	migspec_catalog_sql("DELETE FROM migspec.difference"
						" WHERE migration_id = $1 AND ($2 = 0::oid OR relation = $2)",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(relid), false)));
}

/* Begin with the table's present file. */
static void
restart_scan(Chunk *chunk)
{
	VerifyScan *scan = chunk->scan;

	if (scan->relfilenode != InvalidOid)
		forget_differences(chunk->migration->id, scan->relid);
	scan->relfilenode = chunk->rel->rd_rel->relfilenode;
	scan->next_block = 0;
	scan->end_block = RelationGetNumberOfBlocks(chunk->rel);
	scan->extensions = 0;
	scan->rows_compared = 0;
	scan->rows_differing = 0;
}

static void
report_progress(const Chunk *chunk)
{
	char		what[NAMEDATALEN * 2 + 100];

	snprintf(what, sizeof(what), "comparing %s, page %u of %u",
			 migspec_relation_name(chunk->scan->relid),
			 chunk->scan->next_block, chunk->scan->end_block);
	pgstat_report_activity(STATE_RUNNING, what);
}

/* Is there another chunk?  If so, its bounds are set. */
static bool
next_chunk(Chunk *chunk)
{
	VerifyScan *scan = chunk->scan;

	if (scan->next_block >= scan->end_block &&
		scan->extensions++ < MAX_EXTENSIONS)
		scan->end_block = RelationGetNumberOfBlocks(chunk->rel);
	if (scan->next_block >= scan->end_block)
		return false;
	chunk->first = scan->next_block;
	chunk->last = chunk->first + Min(scan->end_block - chunk->first,
									 CHUNK_PAGES);
	return true;
}

static void
chunk_error_context(void *arg)
{
	Chunk	   *chunk = arg;

	errcontext("comparing the rows of table \"%s\" on pages %u to %u",
			   RelationGetRelationName(chunk->rel), chunk->first,
			   chunk->last - 1);
}

/* One transaction of a scan.  False: it is complete, or the table has gone. */
static bool
scan_chunk(VerifyScan *scan)
{
	ErrorContextCallback callback;
	Chunk		chunk = {0};
	bool		more = false;

	migspec_worker_begin_xact();
	chunk.scan = scan;
	chunk.migration =
		migspec_migration_load_by_id(scan->verification->migration_id, false);
	chunk.rel = migspec_table_open(chunk.migration, scan->relid, AccessShareLock,
								   &chunk.pairs);
	if (chunk.rel == NULL)
	{
		forget_differences(chunk.migration->id, scan->relid);
		scan->rows_compared = 0;
		scan->rows_differing = 0;
	}
	else
	{
		if (scan->relfilenode != chunk.rel->rd_rel->relfilenode)
			restart_scan(&chunk);
		report_progress(&chunk);
		more = next_chunk(&chunk);
		if (more)
		{
			callback.callback = chunk_error_context;
			callback.arg = &chunk;
			callback.previous = error_context_stack;
			error_context_stack = &callback;
			compare_chunk(&chunk);
			error_context_stack = callback.previous;
			scan->next_block = chunk.last;
		}
		table_close(chunk.rel, NoLock);
	}
	migspec_worker_commit_xact(scan->verification->cxt);
	return more;
}

static void
count_for_target(Verification *verification, Oid root, int64 rows_compared)
{
	TargetCount *count;
	ListCell   *lc;

	foreach(lc, verification->targets)
	{
		count = lfirst(lc);
		if (count->root == root)
		{
			count->rows_compared += rows_compared;
			return;
		}
	}
	count = palloc(sizeof(TargetCount));
	count->root = root;
	count->rows_compared = rows_compared;
	verification->targets = lappend(verification->targets, count);
}

static void
verify_table(Verification *verification, const MigspecTable *table)
{
	VerifyScan	scan = {0};

	scan.verification = verification;
	scan.relid = table->relid;
	scan.root = table->root;
	do
		migspec_worker_breathe();
	while (scan_chunk(&scan));
	verification->rows_compared += scan.rows_compared;
	verification->rows_differing += scan.rows_differing;
	count_for_target(verification, scan.root, scan.rows_compared);
	verification->tables_done = lappend_oid(verification->tables_done,
											table->relid);
}

/* The next table that was not compared yet; false if there is none. */
static bool
next_table(Verification *verification, MigspecTable *next)
{
	MigspecMigration *migration;
	List	   *tables;
	ListCell   *lc;
	bool		found = false;

	migspec_worker_begin_xact();
	migration = migspec_migration_load_by_id(verification->migration_id, false);
	tables = migspec_tables(migration);
	foreach(lc, tables)
	{
		MigspecTable *table = lfirst(lc);

		if (!list_member_oid(verification->tables_done, table->relid))
		{
			*next = *table;
			found = true;
			break;
		}
	}
	migspec_worker_commit_xact(verification->cxt);
	return found;
}

/*
 * What an earlier verification found does not hold any more: if this one
 * comes to no end, there is no outcome.
 */
static void
forget_outcome(const Verification *verification)
{
	migspec_worker_begin_xact();
	forget_differences(verification->migration_id, InvalidOid);
	migspec_catalog_sql("UPDATE migspec.migration SET verified_at = NULL,"
						" rows_compared = NULL, rows_differing = NULL"
						" WHERE id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(verification->migration_id)));
	migspec_catalog_sql("UPDATE migspec.operation SET rows_compared = NULL"
						" WHERE migration_id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(verification->migration_id)));
	migspec_worker_commit_xact(verification->cxt);
}

static void
store_outcome(const Verification *verification)
{
	ListCell   *lc;

	migspec_worker_begin_xact();
	foreach(lc, verification->targets)
	{
		TargetCount *count = lfirst(lc);

		migspec_catalog_sql("UPDATE migspec.operation SET rows_compared = $3"
							" WHERE migration_id = $1 AND relation = $2 AND up IS NOT NULL",
							MIGSPEC_PARAMS(MIGSPEC_INT8(verification->migration_id),
										   MIGSPEC_REGCLASS(count->root),
										   MIGSPEC_INT8(count->rows_compared)));
	}
	migspec_catalog_sql("UPDATE migspec.migration SET verified_at = now(),"
						" rows_compared = $2, rows_differing = $3"
						" WHERE id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(verification->migration_id),
									   MIGSPEC_INT8(verification->rows_compared),
									   MIGSPEC_INT8(verification->rows_differing)));
	migspec_worker_commit_xact(verification->cxt);
}

/* see verify.h */
void
migspec_verify_run(int64 migration_id)
{
	MemoryContext caller = CurrentMemoryContext;
	Verification verification = {0};
	MigspecTable table;

	verification.migration_id = migration_id;
	verification.cxt = AllocSetContextCreate(TopMemoryContext,
											 "migspec verification",
											 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(verification.cxt);

	forget_outcome(&verification);
	while (next_table(&verification, &table))
		verify_table(&verification, &table);
	store_outcome(&verification);

	(void) pgstat_report_stat(true);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(verification.cxt);
}
