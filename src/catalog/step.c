/*-------------------------------------------------------------------------
 *
 * step.c
 *		migspec.step: the plan as data.
 *
 * Runs in any process, inside a transaction.  Steps are written once, when
 * the plan is stored; later only done_at changes, in the transaction that
 * runs (or undoes) the step, so a step is done exactly if it says so; and
 * "skipped", when there is no table for it any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "storage/lock.h"

#include "base/sqlutil.h"
#include "catalog/step.h"

static const char *const kind_names[] = {
	[MIGSPEC_STEP_SQL] = "sql",
	[MIGSPEC_STEP_CONCURRENTLY] = "concurrently",
	[MIGSPEC_STEP_BACKFILL] = "backfill",
};

static MigspecStepKind
kind_from_name(const char *name)
{
	int			i;

	for (i = 0; i < (int) lengthof(kind_names); i++)
	{
		if (strcmp(kind_names[i], name) == 0)
			return (MigspecStepKind) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("unknown kind of step \"%s\"", name)));
}

/*
 * Lock modes are stored under the names that pg_locks has for them.
 */
static LOCKMODE
lockmode_from_name(const char *name)
{
	LOCKMODE	mode;

	for (mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
	{
		if (strcmp(GetLockmodeName(DEFAULT_LOCKMETHOD, mode), name) == 0)
			return mode;
	}
	return NoLock;
}

static const char *
lockmode_name(LOCKMODE mode)
{
	return mode == NoLock ? "none" : GetLockmodeName(DEFAULT_LOCKMETHOD, mode);
}

static void
store_step(int64 migration_id, const MigspecStep *step)
{
	migspec_sql("INSERT INTO migspec.step (migration_id, ordinal, phase, kind,"
				" as_extension, relation, partition, locked, lock_mode,"
				" statement, undo, carries, rewrites, est_rows, est_seconds)"
				" VALUES ($1, $2, $3, $4, $5, $6, nullif($7, 0::oid), $8, $9,"
				" $10, $11, $12, $13, nullif($14, -1), $15)",
				MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
							   MIGSPEC_INT4(step->ordinal),
							   MIGSPEC_TEXT(migspec_phase_name(step->phase)),
							   MIGSPEC_TEXT(kind_names[step->kind]),
							   MIGSPEC_BOOL(step->as_extension),
							   MIGSPEC_DATUM(REGCLASSOID, ObjectIdGetDatum(step->relid),
											 !OidIsValid(step->relid)),
							   MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(step->partition),
											 false),
							   MIGSPEC_DATUM(REGCLASSARRAYOID,
											 migspec_regclass_array(step->locked), false),
							   MIGSPEC_TEXT(lockmode_name(step->lockmode)),
							   MIGSPEC_TEXT(step->statement),
							   MIGSPEC_TEXT(step->undo),
							   MIGSPEC_TEXT(step->carries),
							   MIGSPEC_BOOL(step->rewrites),
							   MIGSPEC_INT8(step->est_rows),
							   MIGSPEC_DATUM(FLOAT8OID, Float8GetDatum(step->est_seconds),
											 step->est_seconds < 0)));
}

/*
 * Store the plan of a migration.  Numbers the steps, from 1 in the order of
 * the list.
 */
void
migspec_step_store(int64 migration_id, List *steps)
{
	MigspecIdentity saved;
	int			ordinal = 0;
	ListCell   *cell;

	migspec_catalog_begin(&saved);
	foreach(cell, steps)
	{
		MigspecStep *step = lfirst(cell);

		step->ordinal = ++ordinal;
		store_step(migration_id, step);
	}
	migspec_catalog_end(&saved);
}

/*
 * Step in row "row" of SPI_tuptable.
 */
static MigspecStep *
read_step(uint64 row)
{
	MigspecStep *step = palloc0(sizeof(MigspecStep));
	bool		isnull;
	Datum		value;

	step->ordinal = (int) migspec_spi_int8(row, "ordinal");
	step->phase = migspec_phase_from_name(migspec_spi_text(row, "phase"));
	step->kind = kind_from_name(migspec_spi_text(row, "kind"));
	step->as_extension = migspec_spi_bool(row, "as_extension");
	step->relid = migspec_spi_oid(row, "relation");
	step->partition = migspec_spi_oid(row, "partition");
	step->locked = migspec_spi_oidlist(row, "locked");
	step->lockmode = lockmode_from_name(migspec_spi_text(row, "lock_mode"));
	step->statement = migspec_spi_text(row, "statement");
	step->undo = migspec_spi_text(row, "undo");
	step->carries = migspec_spi_text(row, "carries");
	step->rewrites = migspec_spi_bool(row, "rewrites");
	step->est_rows = migspec_spi_int8(row, "est_rows");
	value = migspec_spi_datum(row, "est_seconds", &isnull);
	step->est_seconds = isnull ? -1 : DatumGetFloat8(value);
	step->done = migspec_spi_bool(row, "done");
	step->skipped = migspec_spi_bool(row, "skipped");

	return step;
}

/*
 * All steps of a migration in their order, a List of MigspecStep *.
 */
List *
migspec_step_load(int64 migration_id)
{
	MigspecIdentity saved;
	List	   *steps = NIL;
	uint64		row;

	migspec_catalog_begin(&saved);
	migspec_sql("SELECT ordinal, phase, kind, as_extension, relation, partition,"
				" locked, lock_mode, statement, undo, carries, rewrites,"
				" coalesce(est_rows, -1) AS est_rows, est_seconds,"
				" done_at IS NOT NULL AS done, skipped"
				" FROM migspec.step WHERE migration_id = $1 ORDER BY ordinal",
				MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id)));
	for (row = 0; row < SPI_tuptable->numvals; row++)
		steps = lappend(steps, read_step(row));
	migspec_catalog_end(&saved);

	return steps;
}

/*
 * Note that a step has been done, or undone.
 */
void
migspec_step_set_done(int64 migration_id, int ordinal, bool done)
{
	migspec_catalog_sql("UPDATE migspec.step"
						" SET done_at = CASE WHEN $3 THEN clock_timestamp() END"
						" WHERE migration_id = $1 AND ordinal = $2",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_INT4(ordinal),
									   MIGSPEC_BOOL(done)));
}

/*
 * Note that a step is not run, because its table has gone.  If that is a
 * partition, neither are its other steps: should it come back, it lacks what
 * was left out meanwhile.
 */
void
migspec_step_skip(int64 migration_id, const MigspecStep *step)
{
	migspec_catalog_sql("UPDATE migspec.step SET skipped = true"
						" WHERE migration_id = $1 AND done_at IS NULL"
						" AND (ordinal = $2 OR partition = $3)",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_INT4(step->ordinal),
									   MIGSPEC_REGCLASS(step->partition)));
}
