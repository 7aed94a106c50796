/*-------------------------------------------------------------------------
 *
 * collect.c
 *		What sync triggers and flags have counted, on its way into the catalog.
 *
 * Runs in the scheduler of a database, at each look.  A transaction for each
 * operation and each flag; no lock but that of the row that counts are added
 * to, for which it does not wait: a session that moves a migration may take
 * its time.
 *
 * Interleavings:
 * - More is counted meanwhile: what was stored is subtracted after the commit.
 * - The row is locked: the next look is soon enough.
 * - The migration has ended: nobody counts any more, so the last counts are
 *	 stored and the place is free for others.
 * - A flag is dropped when its last counts are stored: who is not counted is
 *	 looked for, so that its place is free for others.
 * - It is not there (any more, or yet: a transaction that makes it has not
 *	 committed), or is about another table, because somebody has made such a
 *	 trigger on a table of his own: what was counted so far is forgotten.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"

#include "base/sqlutil.h"
#include "bgw/collect.h"
#include "catalog/migration.h"
#include "engine/retry.h"
#include "flags/sample.h"
#include "trigger/tally.h"

/*
 * Take the counts of one operation.
 */
static void
collect(const MigspecTallied *tallied, MemoryContext cxt)
{
	MigspecAdded added;

	migspec_worker_begin_xact();
	added = migspec_migration_add_counts(tallied->relid, tallied->operation_id,
										 (int64) tallied->counts[MIGSPEC_TALLY_CONFLICTS],
										 (int64) tallied->counts[MIGSPEC_TALLY_OVERRULED]);
	migspec_worker_commit_xact(cxt);

	if (added == MIGSPEC_ADDED)
		migspec_tally_stored(tallied);
	else if (added == MIGSPEC_ADDED_ENDED)
		migspec_tally_forget(tallied);
}

/* what became of counts of a flag */
typedef enum Stored
{
	STORED,
	STORED_NOT,					/* its row is locked */
	STORED_NO_FLAG
} Stored;

/*
 * Add what was counted of a flag to its row, without waiting.
 */
static Stored
store_sample(const MigspecSampled *sampled)
{
	const uint64 *n = sampled->counts;
	MigspecIdentity saved;
	Stored		result = STORED;

	migspec_catalog_begin(&saved);
	(void) migspec_sql("INSERT INTO migspec.flag_count (flag)"
					   " SELECT name FROM migspec.flag WHERE sample IS NOT NULL AND sample & 4294967295 = $1"
					   "  AND name NOT IN (SELECT flag FROM migspec.flag_count)",
					   MIGSPEC_PARAMS(MIGSPEC_INT8(sampled->id)));
	if (migspec_sql("UPDATE migspec.flag_count SET updated_at = now(),"
					" evaluations_on = evaluations_on + $2,"
					" evaluations_off = evaluations_off + $3,"
					" comparisons = comparisons + $4, mismatches = mismatches + $5,"
					" failures = failures + $6"
					" WHERE flag = (SELECT c.flag FROM migspec.flag_count AS c"
					"  JOIN migspec.flag AS f ON f.name = c.flag"
					"  WHERE f.sample IS NOT NULL AND f.sample & 4294967295 = $1 FOR UPDATE OF c SKIP LOCKED)",
					MIGSPEC_PARAMS(MIGSPEC_INT8(sampled->id),
								   MIGSPEC_INT8((int64) n[MIGSPEC_COUNT_ON]),
								   MIGSPEC_INT8((int64) n[MIGSPEC_COUNT_OFF]),
								   MIGSPEC_INT8((int64) n[MIGSPEC_COUNT_COMPARED]),
								   MIGSPEC_INT8((int64) n[MIGSPEC_COUNT_MISMATCHED]),
								   MIGSPEC_INT8((int64) n[MIGSPEC_COUNT_FAILED]))) == 0)
		result = migspec_sql("SELECT FROM migspec.flag WHERE sample IS NOT NULL AND sample & 4294967295 = $1",
							 MIGSPEC_PARAMS(MIGSPEC_INT8(sampled->id))) > 0 ? STORED_NOT : STORED_NO_FLAG;
	migspec_catalog_end(&saved);
	return result;
}

static bool
is_idle(const MigspecSampled *sampled)
{
	for (int i = 0; i < MIGSPEC_COUNTS; i++)
	{
		if (sampled->counts[i] > 0)
			return false;
	}
	return true;
}

/*
 * Free the places of those flags that are gone.
 */
static void
forget_gone(List *idle, MemoryContext cxt)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(list_length(idle), 1));
	MigspecIdentity saved;
	ListCell   *lc;
	uint64		n;

	if (idle == NIL)
		return;
	foreach(lc, idle)
		ids[foreach_current_index(lc)] = Int64GetDatum(((MigspecSampled *) lfirst(lc))->id);
	migspec_worker_begin_xact();
	migspec_catalog_begin(&saved);
	n = migspec_sql("SELECT i.n FROM unnest($1) WITH ORDINALITY AS i(id, n) WHERE NOT EXISTS"
					" (SELECT FROM migspec.flag WHERE sample IS NOT NULL AND sample & 4294967295 = i.id)",
					MIGSPEC_PARAMS(MIGSPEC_DATUM(INT8ARRAYOID,
												 PointerGetDatum(construct_array(ids, list_length(idle), INT8OID, sizeof(int64),
																				 FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)), false)));
	for (uint64 i = 0; i < n; i++)
		migspec_sample_forget(list_nth(idle, (int) migspec_spi_int8(i, "n") - 1));
	migspec_catalog_end(&saved);
	migspec_worker_commit_xact(cxt);
}

/*
 * Take the counts of flags.
 */
static void
collect_samples(MemoryContext cxt)
{
	List	   *idle = NIL;
	ListCell   *lc;

	foreach(lc, migspec_sample_read())
	{
		MigspecSampled *sampled = lfirst(lc);
		Stored		stored;

		if (is_idle(sampled))
		{
			idle = lappend(idle, sampled);
			continue;
		}
		migspec_worker_begin_xact();
		stored = store_sample(sampled);
		migspec_worker_commit_xact(cxt);
		if (stored == STORED)
			migspec_sample_stored(sampled);
		else if (stored == STORED_NO_FLAG)
			migspec_sample_forget(sampled);
	}
	forget_gone(idle, cxt);
}

/* see collect.h */
void
migspec_collect(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *all = migspec_tally_read();
	ListCell   *lc;

	foreach(lc, all)
		collect(lfirst(lc), cxt);
	collect_samples(cxt);
}
