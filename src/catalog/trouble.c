/*-------------------------------------------------------------------------
 *
 * trouble.c
 *		What those who watch over the sync triggers write into the catalog.
 *
 * Runs in the scheduler, inside a transaction.  It must not wait for a session
 * that moves a migration, so a row that is locked is left for the next time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "catalog/migration.h"

/* "last_step" of what is wrong with a sync trigger */
#define TROUBLE_STEP	"sync trigger"

/*
 * The row of the operation's migration, locked without waiting if it is to be
 * changed: zero or one rows in SPI_tuptable.
 */
static bool
find_migration_of(Oid relid, int64 operation_id, bool lock)
{
	return migspec_sql(psprintf("SELECT m.id, m.name, m.phase, m.conflicts,"
								" m.rows_compared IS NOT NULL AS verified,"
								" o.relation::text AS relation, o.new_name"
								" FROM migspec.migration m"
								" JOIN migspec.operation o ON o.migration_id = m.id"
								" WHERE o.id = $1 AND o.relation = $2%s",
								lock ? " FOR NO KEY UPDATE OF m SKIP LOCKED" : ""),
					   MIGSPEC_PARAMS(MIGSPEC_INT8(operation_id), MIGSPEC_REGCLASS(relid))) > 0;
}

static int
digits(int64 n)
{
	int			result = 0;

	for (; n > 0; n /= 10)
		result++;
	return result;
}

/*
 * What the last verification found does not hold any more.
 */
static void
void_verification(int64 id, const char *name, const char *reason)
{
	migspec_catalog_sql("UPDATE migspec.migration SET verified_at = NULL,"
						" rows_compared = NULL, rows_differing = NULL WHERE id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
	migspec_event(id, name, "verification_void", true, "reason", reason, NULL);
}

/*
 * Add counts; see migration.h.
 */
MigspecAdded
migspec_migration_add_counts(Oid relid, int64 operation_id, int64 conflicts,
							 int64 overruled)
{
	MigspecIdentity saved;
	MigspecPhase phase;
	int64		id;
	int64		total;
	char	   *name;
	char	   *relation;
	char	   *column;
	bool		verified;

	migspec_catalog_begin(&saved);
	if (!find_migration_of(relid, operation_id, conflicts > 0 || overruled > 0))
	{
		bool		exists = find_migration_of(relid, operation_id, false);

		migspec_catalog_end(&saved);
		return exists ? MIGSPEC_ADDED_NOT : MIGSPEC_ADDED_ENDED;
	}
	id = migspec_spi_int8(0, "id");
	name = migspec_spi_text(0, "name");
	phase = migspec_phase_from_name(migspec_spi_text(0, "phase"));
	relation = migspec_spi_text(0, "relation");
	column = migspec_spi_text(0, "new_name");
	verified = migspec_spi_bool(0, "verified");
	total = migspec_spi_int8(0, "conflicts") + conflicts;
	if (conflicts > 0)
		migspec_sql("UPDATE migspec.migration SET conflicts = $2 WHERE id = $1",
					MIGSPEC_PARAMS(MIGSPEC_INT8(id), MIGSPEC_INT8(total)));
	migspec_catalog_end(&saved);

	if (digits(total) > digits(total - conflicts))
		migspec_event(id, name, "conflict", true, "relation", relation,
					  "column", column, "conflicts", psprintf(INT64_FORMAT, total), NULL);
	if (overruled > 0 && verified && phase < MIGSPEC_SWITCHED)
		void_verification(id, name, "rows were written while another trigger fired after the sync trigger");
	return phase == MIGSPEC_FINISHED || phase == MIGSPEC_ROLLED_BACK ?
		MIGSPEC_ADDED_ENDED : MIGSPEC_ADDED;
}

/*
 * The trouble is over.
 */
static void
forget_trouble(int64 id)
{
	migspec_catalog_sql("UPDATE migspec.migration SET last_error_at = NULL,"
						" last_sqlstate = NULL, last_error = NULL,"
						" last_detail = NULL, last_hint = NULL, last_step = NULL"
						" WHERE id = (SELECT id FROM migspec.migration WHERE id = $1"
						"  AND last_step = '" TROUBLE_STEP "'"
						"  FOR NO KEY UPDATE SKIP LOCKED)",
						MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
}

/*
 * Note what is wrong with a sync trigger; see migration.h.  A worker that has
 * met the same says it itself.
 */
void
migspec_migration_note_trouble(int64 id, const char *trouble)
{
	static const char *const detail = "Rows that are written meanwhile may be left with columns that disagree.";
	static const char *const hint = "Mend it; then call migspec_verify, which finds such rows, or roll back.";
	const char *sqlstate = unpack_sql_state(ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING);
	MigspecIdentity saved;
	char	   *name = NULL;
	bool		verified = false;

	if (trouble == NULL)
	{
		forget_trouble(id);
		return;
	}
	migspec_catalog_begin(&saved);
	if (migspec_sql("UPDATE migspec.migration m SET last_error_at = clock_timestamp(),"
					" last_sqlstate = $2, last_error = $3, last_detail = $4,"
					" last_hint = $5, last_step = '" TROUBLE_STEP "'"
					" WHERE id = (SELECT id FROM migspec.migration WHERE id = $1"
					"  AND last_error IS DISTINCT FROM $3"
					"  AND (last_step = '" TROUBLE_STEP "' OR last_sqlstate IS DISTINCT FROM $2)"
					"  FOR NO KEY UPDATE SKIP LOCKED)"
					" RETURNING name, phase = 'verified' AND rows_compared IS NOT NULL AS verified",
					MIGSPEC_PARAMS(MIGSPEC_INT8(id), MIGSPEC_TEXT(sqlstate),
								   MIGSPEC_TEXT(trouble), MIGSPEC_TEXT(detail),
								   MIGSPEC_TEXT(hint))) > 0)
	{
		name = migspec_spi_text(0, "name");
		verified = migspec_spi_bool(0, "verified");
	}
	migspec_catalog_end(&saved);
	if (name == NULL)
		return;

	migspec_event(id, name, "sync_trigger", true, "sqlstate", sqlstate,
				  "message", trouble, "detail", detail, "hint", hint, NULL);
	if (verified)
		void_verification(id, name, trouble);
}
