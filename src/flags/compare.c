/*-------------------------------------------------------------------------
 *
 * compare.c
 *		Shadow comparison: the same question to the old and to the new shape.
 *
 * Both queries see the same snapshot, that of the calling statement, so a
 * difference is one of the data and not of the time.  The one that decides
 * runs first, as if there were no comparison.  The other, the candidate, runs
 * in a subtransaction that is always rolled back, with a timeout of its own:
 * whatever it does or fails to do, the caller does not notice.  Each runs once.
 *
 * Rows are compared by the position of their columns, because the names may be
 * what migrates, and without regard to their order.
 *
 * Runs in sessions, as the current user.  Locks: those of the queries, and
 * ROW EXCLUSIVE on migspec.flag_mismatch if a difference is found.
 *
 * Interleavings that must be survived:
 * - The caller is cancelled while the candidate runs: that is passed on, and
 *	 told from the candidate's timeout by who set off first.
 * - The transaction is read-only, or this is a standby: a difference is counted,
 *	 but its rows are not kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timeout.h"

#include "base/sqlutil.h"
#include "catalog/event.h"
#include "flags/compare.h"
#include "flags/sample.h"
#include "flags/stage.h"
#include "flags/store.h"

/* seed of the hash that samples, other than those of rollouts and variants */
#define SAMPLE_SEED		0x6d696773

/* differences of a flag that are kept, and the length of their values */
#define MOST_MISMATCHES	1000
#define LONGEST_VALUE	1000

/* What a query has returned */
typedef struct Answer
{
	Jsonb	   *rows;			/* objects, in the query's order */
	Jsonb	   *values;			/* arrays of values, sorted */
	ErrorData  *error;			/* or NULL */
} Answer;

static volatile sig_atomic_t timed_out = false;

/* signal handler: cancel what runs */
static void
candidate_timeout(void)
{
	timed_out = true;
	InterruptPending = true;
	QueryCancelPending = true;
	SetLatch(MyLatch);
}

static TimeoutId
timeout_id(void)
{
	static bool registered = false;
	static TimeoutId id;

	if (!registered)
		id = RegisterTimeout(USER_TIMEOUT, candidate_timeout);
	registered = true;
	return id;
}

static void
stop_timeout(void)
{
	disable_timeout(timeout_id(), false);

	/* it may have been too late to cancel anything */
	if (timed_out)
		QueryCancelPending = false;
}

/*
 * Run a query with the active snapshot.  The CTE sees to it that nothing is
 * computed twice.
 */
static void
ask(const char *query, Answer *answer)
{
	char	   *statement = psprintf(
									 "WITH _migspec_query AS MATERIALIZED (\n%s\n)"
									 " SELECT coalesce(pg_catalog.jsonb_agg(s.row ORDER BY s.n), '[]') AS rows,"
									 " coalesce(pg_catalog.jsonb_agg(s.vals ORDER BY s.vals), '[]') AS vals"
									 " FROM (SELECT pg_catalog.row_number() OVER () AS n,"
									 "  pg_catalog.to_jsonb(_migspec_query) AS row,"
									 "  (SELECT pg_catalog.jsonb_agg(e.value::pg_catalog.jsonb ORDER BY e.ordinality)"
									 "   FROM pg_catalog.json_each(pg_catalog.row_to_json(_migspec_query))"
									 "    WITH ORDINALITY AS e) AS vals"
									 "  FROM _migspec_query) AS s", query);
	MemoryContext caller = CurrentMemoryContext;
	int			result;
	bool		isnull;

	SPI_connect();
	result = SPI_execute(statement, true, 0);
	MemoryContextSwitchTo(caller);
	if (result != SPI_OK_SELECT)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("only queries can be compared"),
				 errhint("Give the text of a SELECT.")));
	answer->rows = DatumGetJsonbP(migspec_spi_datum(0, "rows", &isnull));
	answer->values = DatumGetJsonbP(migspec_spi_datum(0, "vals", &isnull));
	SPI_finish();
}

/*
 * The same for the candidate.
 */
static void
ask_candidate(const char *query, int timeout, Answer *answer)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;

	timed_out = false;
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		if (timeout > 0)
			enable_timeout_after(timeout_id(), timeout);
		ask(query, answer);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		answer->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	stop_timeout();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (answer->error && answer->error->sqlerrcode == ERRCODE_QUERY_CANCELED && !timed_out)
		ReThrowError(answer->error);
	if (answer->error && timed_out)
		answer->error->message = psprintf("the query took longer than %d ms", timeout);
}

static bool
can_write(void)
{
	return !XactReadOnly && !RecoveryInProgress();
}

/*
 * Count: in shared memory, or without it in the table.
 */
static void
count(const char *flag, MigspecSample *sample, MigspecCount what)
{
	static const char *const columns[] = {
		[MIGSPEC_COUNT_COMPARED] = "comparisons",
		[MIGSPEC_COUNT_MISMATCHED] = "mismatches",
		[MIGSPEC_COUNT_FAILED] = "failures",
	};

	if (sample)
		migspec_sample_count(sample, what);
	else if (can_write())
		(void) migspec_catalog_sql(psprintf("INSERT INTO migspec.flag_count AS c (flag, %1$s) VALUES ($1, 1)"
											" ON CONFLICT (flag) DO UPDATE SET %1$s = c.%1$s + 1,"
											" updated_at = now()", columns[what]),
								   MIGSPEC_PARAMS(MIGSPEC_TEXT(flag)));
}

static char *
shorten(const Jsonb *rows)
{
	char	   *text;

	if (rows == NULL)
		return NULL;
	text = JsonbToCString(NULL, unconstify(JsonbContainer *, &rows->root), VARSIZE(rows));
	text[		pg_mbcliplen(text, strlen(text), LONGEST_VALUE)] = '\0';
	return text;
}

/*
 * Keep what differs, or how the candidate failed, unless there is enough of it.
 */
static void
keep(const char *flag, const char *key, MigspecStage stage, const Answer *old_side,
	 const Answer *new_side)
{
	const ErrorData *error = old_side->error ? old_side->error : new_side->error;
	MigspecIdentity saved;
	int64		kept;

	if (!can_write())
		return;
	migspec_catalog_begin(&saved);
	(void) migspec_sql("SELECT count(*) AS kept FROM (SELECT FROM migspec.flag_mismatch"
					   " WHERE flag = $1 LIMIT $2) AS m",
					   MIGSPEC_PARAMS(MIGSPEC_TEXT(flag), MIGSPEC_INT8(MOST_MISMATCHES)));
	kept = migspec_spi_int8(0, "kept");
	if (kept < MOST_MISMATCHES)
		(void) migspec_sql("INSERT INTO migspec.flag_mismatch"
						   " (flag, key, stage, old_value, new_value, sqlstate, message)"
						   " VALUES ($1, $2, $3, $4, $5, $6, $7)",
						   MIGSPEC_PARAMS(MIGSPEC_TEXT(flag), MIGSPEC_TEXT(key),
										  MIGSPEC_TEXT(migspec_stage_name(stage)),
										  MIGSPEC_TEXT(shorten(old_side->rows)),
										  MIGSPEC_TEXT(shorten(new_side->rows)),
										  MIGSPEC_TEXT(error ? unpack_sql_state(error->sqlerrcode) : NULL),
										  MIGSPEC_TEXT(error ? error->message : NULL)));
	migspec_catalog_end(&saved);
	if (kept == 0)
		migspec_event(0, NULL, "flag_mismatch", false, "flag", flag,
					  "stage", migspec_stage_name(stage),
					  "sqlstate", error ? unpack_sql_state(error->sqlerrcode) : NULL, NULL);
}

/*
 * Is the key among those that are compared?  Always the same ones, so that a
 * difference can be looked into.
 */
static bool
is_sampled(const char *flag, const MigspecComparison *comparison)
{
	const char *key = comparison->key ? comparison->key : "";

	if (comparison->one_in <= 1)
		return true;
	return migspec_flag_hash(flag, strlen(flag), key, strlen(key), SAMPLE_SEED) %
		(uint32) comparison->one_in == 0;
}

/*
 * migspec_flag_compare -- see compare.h.
 */
Jsonb *
migspec_flag_compare(MigspecFlag *flag, const MigspecComparison *comparison)
{
	MigspecFlagContext context = {comparison->key, comparison->key ? (int) strlen(comparison->key) : 0, NULL, true};
	MigspecStage stage = migspec_stage_of(flag, &context);
	bool		new_decides = migspec_stage_reads_new(stage);
	char	   *name = pstrdup(flag->name); /* queries can evaluate flags */
	MigspecSample *sample = flag->sample;
	Answer		sides[2] = {{0}};	/* old, new */
	Answer	   *deciding = &sides[new_decides];
	Answer	   *candidate = &sides[!new_decides];

	ask(new_decides ? comparison->new_query : comparison->old_query, deciding);
	if (!migspec_stage_compares(stage) || !is_sampled(name, comparison))
		return deciding->rows;
	ask_candidate(new_decides ? comparison->old_query : comparison->new_query,
				  comparison->timeout, candidate);
	if (candidate->error)
		count(name, sample, MIGSPEC_COUNT_FAILED);
	else
	{
		count(name, sample, MIGSPEC_COUNT_COMPARED);
		if (compareJsonbContainers(&deciding->values->root, &candidate->values->root) == 0)
			return deciding->rows;
		count(name, sample, MIGSPEC_COUNT_MISMATCHED);
	}
	keep(name, comparison->key, stage, &sides[0], &sides[1]);
	return deciding->rows;
}

/* see compare.h */
void
migspec_flag_forget_comparisons(const char *flag)
{
	(void) migspec_flag_require(flag, false);
	(void) migspec_catalog_sql("DELETE FROM migspec.flag_mismatch WHERE flag = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(flag)));
	(void) migspec_catalog_sql("UPDATE migspec.flag_count SET comparisons = 0, mismatches = 0,"
							   " failures = 0, updated_at = now() WHERE flag = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(flag)));
}
