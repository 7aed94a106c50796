/*-------------------------------------------------------------------------
 *
 * move.c
 *		Moves of the state machine.
 *
 * Runs in any process, inside a transaction, with which the move commits.
 * The allowed moves are rows of migspec.transition.
 *
 * Interleavings: of two sessions that move the same migration, the second
 * waits for the first one's row lock, finds the phase changed, and gets MG303.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "catalog/migration.h"
#include "migspec.h"

/*
 * The phases in which "call" can be made, as a list for people; NULL if the
 * state machine does not know the call.
 */
static char *
phases_of_call(const char *call)
{
	migspec_sql("SELECT string_agg(from_phase, ', ' ORDER BY array_position("
				"ARRAY['planned', 'expanded', 'migrating', 'migrated',"
				" 'verified', 'switched', 'contracted'], from_phase))"
				" AS phases"
				" FROM migspec.transition WHERE call = $1",
				MIGSPEC_PARAMS(MIGSPEC_TEXT(call)));
	return migspec_spi_text(0, "phases");
}

/*
 * The statement that takes the migration onward, NULL if none does.
 */
static char *
next_statement(const MigspecMigration *migration)
{
	char	   *call;
	char	   *next;

	if (migspec_sql("SELECT call, to_phase FROM migspec.transition"
					" WHERE from_phase = $1 AND to_phase <> 'rolled_back'",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(migspec_phase_name(migration->phase)))) == 0)
		return NULL;

	call = migspec_spi_text(0, "call");
	next = migspec_spi_text(0, "to_phase");
	if (strcmp(call, "migspec_wait") == 0)
		return psprintf("SELECT %s(%s, %s)", call,
						quote_literal_cstr(migration->name),
						quote_literal_cstr(next));
	return psprintf("SELECT %s(%s)", call,
					quote_literal_cstr(migration->name));
}

/*
 * Error MG303: this call cannot be made in the present phase; names the call
 * that comes next.
 */
void
migspec_wrong_phase(const MigspecMigration *migration, const char *call)
{
	MigspecIdentity saved;
	char	   *phases;
	char	   *next;

	migspec_catalog_begin(&saved);
	phases = phases_of_call(call);
	next = next_statement(migration);
	migspec_catalog_end(&saved);

	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WRONG_PHASE),
			 errmsg("migration \"%s\" is in phase \"%s\"", migration->name,
					migspec_phase_name(migration->phase)),
			 phases != NULL ?
			 errdetail("%s needs phase %s.", call, phases) :
			 errdetail("%s cannot be called in this phase.", call),
			 next != NULL ?
			 errhint("Next: %s;", next) :
			 errhint("Nothing remains to be done for this migration.")));
}

/*
 * Error MG303 for a move that is no row of migspec.transition.  Inside
 * migspec_catalog_begin().
 */
static void
check_transition(const MigspecMigration *migration, MigspecPhase to)
{
	char	   *call;

	if (migspec_sql("SELECT FROM migspec.transition"
					" WHERE from_phase = $1 AND to_phase = $2",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(migspec_phase_name(migration->phase)),
								   MIGSPEC_TEXT(migspec_phase_name(to)))) > 0)
		return;

	migspec_sql("SELECT min(call) AS call FROM migspec.transition"
				" WHERE to_phase = $1",
				MIGSPEC_PARAMS(MIGSPEC_TEXT(migspec_phase_name(to))));
	call = migspec_spi_text(0, "call");
	migspec_wrong_phase(migration, call != NULL ? call : "this call");
}

/*
 * Somebody else has moved the migration: error MG303.
 */
static void
moved_meanwhile(const MigspecMigration *migration, MigspecPhase to)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WRONG_PHASE),
			 errmsg("migration \"%s\" is no longer in phase \"%s\"",
					migration->name, migspec_phase_name(migration->phase)),
			 errdetail("Another session has moved it while this one was about to move it to phase \"%s\".",
					   migspec_phase_name(to)),
			 errhint("The view migspec.migrations shows its phase.")));
}

/*
 * Move a migration to another phase; see migration.h.  What concerned the
 * phase that it leaves is cleared: pause, failures, the deadline to finish.
 */
void
migspec_migration_set_phase(MigspecMigration *migration, MigspecPhase to)
{
	MigspecIdentity saved;
	const char *from_name = migspec_phase_name(migration->phase);
	const char *to_name = migspec_phase_name(to);

	migspec_catalog_begin(&saved);
	check_transition(migration, to);
	if (migspec_sql("UPDATE migspec.migration"
					" SET phase = $3, phase_since = now(), paused = false,"
					" finish_after = CASE WHEN $3 = 'contracted'"
					" THEN now() + contract_grace END,"
					" failures = 0, retry_at = NULL, last_error_at = NULL,"
					" last_sqlstate = NULL, last_error = NULL,"
					" last_detail = NULL, last_hint = NULL, last_step = NULL"
					" WHERE id = $1 AND phase = $2",
					MIGSPEC_PARAMS(MIGSPEC_INT8(migration->id),
								   MIGSPEC_TEXT(from_name),
								   MIGSPEC_TEXT(to_name))) == 0)
		moved_meanwhile(migration, to);
	migspec_catalog_end(&saved);

	migspec_event(migration->id, migration->name, "phase", true,
				  "from", from_name, "to", to_name, NULL);
	migration->phase = to;
	migration->paused = false;
	migration->failures = 0;
}
