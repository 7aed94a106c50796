/*-------------------------------------------------------------------------
 *
 * steer.c
 *		What steers the worker of a migration, and what it tells of failures.
 *
 * Runs in any process, inside a transaction.  The worker records a failure in
 * a transaction of its own, after that of the failed step was rolled back, so
 * a crash in between only means that the step is tried again at once.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "catalog/migration.h"

/*
 * Pause or resume; resuming also forgets failures, so that the worker tries
 * again at once.
 */
void
migspec_migration_set_paused(MigspecMigration *migration, bool paused)
{
	migspec_catalog_sql("UPDATE migspec.migration SET paused = $2,"
						" failures = CASE WHEN $2 THEN failures ELSE 0 END,"
						" retry_at = CASE WHEN $2 THEN retry_at END"
						" WHERE id = $1 AND (NOT $2 OR phase = 'migrating')",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration->id),
									   MIGSPEC_BOOL(paused)));
	migspec_event(migration->id, migration->name,
				  paused ? "pause" : "resume", true, NULL);
	migration->paused = paused;
}

/*
 * Set speed and strategy of the backfill; see migration.h.
 */
void
migspec_migration_tune(MigspecMigration *migration, int max_rows_per_second,
					   const char *strategy)
{
	if (max_rows_per_second >= 0)
		migration->max_rows_per_second = max_rows_per_second;
	if (strategy != NULL)
		migration->strategy = pstrdup(strategy);

	migspec_catalog_sql("UPDATE migspec.migration"
						" SET max_rows_per_second = nullif($2, 0),"
						" strategy = $3 WHERE id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration->id),
									   MIGSPEC_INT4(migration->max_rows_per_second),
									   MIGSPEC_TEXT(migration->strategy)));
	migspec_event(migration->id, migration->name, "tune", false,
				  "max_rows_per_second",
				  migration->max_rows_per_second == 0 ? NULL :
				  psprintf("%d", migration->max_rows_per_second),
				  "strategy", migration->strategy, NULL);
}

/*
 * Record a failure of the worker in migspec.migration and as an event, and
 * say when to try again: after 5 s, 20 s, then 60 s, spread a little so that
 * workers that failed together do not come back together.  What will not go
 * away by itself is tried three times only.
 */
void
migspec_migration_record_error(int64 id, const char *step, ErrorData *edata,
							   bool transient)
{
	const char *sqlstate = unpack_sql_state(edata->sqlerrcode);
	MigspecIdentity saved;
	char	   *name = NULL;
	char	   *retry_at = NULL;

	migspec_catalog_begin(&saved);
	if (migspec_sql("UPDATE migspec.migration SET failures = failures + 1,"
					" retry_at = CASE WHEN NOT $2 AND failures >= 2"
					" THEN 'infinity'"
					" ELSE clock_timestamp() + (0.875 + 0.25 * random()) *"
					" CASE failures WHEN 0 THEN interval '5 s'"
					" WHEN 1 THEN interval '20 s' ELSE interval '60 s' END END,"
					" last_error_at = clock_timestamp(), last_sqlstate = $3,"
					" last_error = $4, last_detail = $5, last_hint = $6,"
					" last_step = $7"
					" WHERE id = $1 RETURNING name, retry_at::text",
					MIGSPEC_PARAMS(MIGSPEC_INT8(id),
								   MIGSPEC_BOOL(transient),
								   MIGSPEC_TEXT(sqlstate),
								   MIGSPEC_TEXT(edata->message),
								   MIGSPEC_TEXT(edata->detail),
								   MIGSPEC_TEXT(edata->hint),
								   MIGSPEC_TEXT(step))) > 0)
	{
		name = migspec_spi_text(0, "name");
		retry_at = migspec_spi_text(0, "retry_at");
	}
	migspec_catalog_end(&saved);

	if (name != NULL)
		migspec_event(id, name, "error", true,
					  "sqlstate", sqlstate, "message", edata->message,
					  "detail", edata->detail, "hint", edata->hint,
					  "step", step, "retry_at", retry_at, NULL);
}

/*
 * Is the migration's row locked by somebody else?  Locks it if it is not.
 */
static bool
is_locked(int64 id)
{
	MigspecIdentity saved;
	bool		locked;

	migspec_catalog_begin(&saved);
	locked = migspec_sql("SELECT FROM migspec.migration WHERE id = $1"
						 " FOR NO KEY UPDATE SKIP LOCKED",
						 MIGSPEC_PARAMS(MIGSPEC_INT8(id))) == 0 &&
		migspec_sql("SELECT FROM migspec.migration WHERE id = $1",
					MIGSPEC_PARAMS(MIGSPEC_INT8(id))) > 0;
	migspec_catalog_end(&saved);
	return locked;
}

/*
 * Record a call that failed in a session; see migration.h.  It says nothing
 * of the worker, whose next try stays as it is.
 */
bool
migspec_migration_record_failed_call(int64 id, const char *name,
									 const char *call, const char *role,
									 TimestampTz at, int sqlerrcode,
									 const char *message, const char *detail,
									 const char *hint)
{
	const char *sqlstate = unpack_sql_state(sqlerrcode);

	if (is_locked(id))
		return false;
	migspec_catalog_sql("UPDATE migspec.migration SET last_error_at = $2,"
						" last_sqlstate = $3, last_error = $4,"
						" last_detail = $5, last_hint = $6, last_step = $7"
						" WHERE id = $1 AND phase_since < $2",
						MIGSPEC_PARAMS(MIGSPEC_INT8(id),
									   MIGSPEC_DATUM(TIMESTAMPTZOID,
													 TimestampTzGetDatum(at), false),
									   MIGSPEC_TEXT(sqlstate),
									   MIGSPEC_TEXT(message),
									   MIGSPEC_TEXT(detail),
									   MIGSPEC_TEXT(hint),
									   MIGSPEC_TEXT(call)));
	migspec_event(id, name, "call_failed", true,
				  "call", call, "by", role, "sqlstate", sqlstate,
				  "message", message, "detail", detail, "hint", hint, NULL);
	return true;
}

/*
 * The worker has succeeded: forget the last failure.
 */
void
migspec_migration_clear_error(int64 id)
{
	migspec_catalog_sql("UPDATE migspec.migration SET failures = 0,"
						" retry_at = NULL, last_error_at = NULL,"
						" last_sqlstate = NULL, last_error = NULL,"
						" last_detail = NULL, last_hint = NULL,"
						" last_step = NULL"
						" WHERE id = $1 AND last_error_at IS NOT NULL",
						MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
}

/*
 * Where the migration and its worker stand; error MG301 if the migration has
 * gone.
 */
MigspecStatus *
migspec_migration_status(int64 id)
{
	MigspecStatus *status = palloc0(sizeof(MigspecStatus));
	MigspecIdentity saved;
	bool		isnull;
	Datum		xmin;

	migspec_catalog_begin(&saved);
	if (migspec_sql("SELECT phase, paused, xmin,"
					" coalesce(retry_at = 'infinity', false) AS stopped,"
					" last_error, last_detail, last_hint, last_step"
					" FROM migspec.migration WHERE id = $1",
					MIGSPEC_PARAMS(MIGSPEC_INT8(id))) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_MIGRATION),
				 errmsg("the migration has been removed")));

	xmin = migspec_spi_datum(0, "xmin", &isnull);
	status->phase = migspec_phase_from_name(migspec_spi_text(0, "phase"));
	status->paused = migspec_spi_bool(0, "paused");
	status->own_change =
		TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
	status->stopped = migspec_spi_bool(0, "stopped");
	status->error = migspec_spi_text(0, "last_error");
	status->detail = migspec_spi_text(0, "last_detail");
	status->hint = migspec_spi_text(0, "last_hint");
	status->step = migspec_spi_text(0, "last_step");
	migspec_catalog_end(&saved);

	return status;
}
