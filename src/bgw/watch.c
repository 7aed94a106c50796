/*-------------------------------------------------------------------------
 *
 * watch.c
 *		Whether the sync triggers of active migrations are at work.
 *
 * Somebody may drop or disable a sync trigger, or create one that fires after
 * it.  To refuse the writes would break applications, which can do nothing
 * about it; so it is told to those who can, within a naptime: as the last
 * error of the migration, as an event, and by NOTIFY.
 *
 * Runs in the scheduler of a database, at each look, while there is an active
 * migration.  Reads the system catalogs only and takes no lock on a user's
 * table, so it does not wait for anybody.
 *
 * Interleavings:
 * - A trigger that was wrong for less than a naptime is not seen here.  Rows
 *	 written while another one fired after ours are counted by ours
 *	 (trigger/tally.c).
 * - A dump is being restored: see scheduler.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "base/sqlutil.h"
#include "bgw/watch.h"
#include "catalog/migration.h"
#include "engine/retry.h"
#include "migspec.h"

/*
 * Active migrations, each with one thing that is wrong with a trigger, or
 * NULL if nothing is and the last error says something else.  The same as
 * migspec_sync_trouble() in trigger/pairs.c.
 */
static const char *const trouble_query =
"WITH RECURSIVE tree (id, relid) AS ("
" SELECT m.id, o.relation::oid FROM migspec.migration AS m"
"  JOIN migspec.operation AS o ON o.migration_id = m.id"
"  WHERE o.up IS NOT NULL AND (m.phase = ANY (ARRAY["
"    'expanded', 'migrating', 'migrated', 'verified', 'switched'])"
"   OR m.phase = 'contracted' AND o.old_name IS NOT NULL)"
" UNION"
" SELECT t.id, i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.relid),"
" wrong AS ("
" SELECT t.id, format('the sync trigger of table %s %s', t.relid::regclass,"
"   CASE WHEN g.oid IS NULL THEN 'is missing'"
"    WHEN g.tgenabled <> 'A' THEN 'is disabled, or not enabled ALWAYS'"
"    ELSE format('is followed by trigger %I', l.name) END) AS trouble"
"  FROM tree AS t JOIN pg_class AS c ON c.oid = t.relid AND c.relkind = 'r'"
"  LEFT JOIN pg_trigger AS g ON g.tgrelid = t.relid AND g.tgname = '" MIGSPEC_SYNC_TRIGGER "'"
"  LEFT JOIN LATERAL (SELECT min(x.tgname::text) AS name FROM pg_trigger AS x"
"   WHERE x.tgrelid = t.relid AND x.tgname > '" MIGSPEC_SYNC_TRIGGER "'"
"    AND x.tgtype & 3 = 3 AND x.tgtype & 20 <> 0 AND x.tgenabled <> 'D') AS l ON true"
"  WHERE g.oid IS NULL OR g.tgenabled <> 'A' OR l.name IS NOT NULL)"
" SELECT m.id, min(w.trouble) AS trouble FROM migspec.migration AS m"
" LEFT JOIN wrong AS w USING (id)"
" WHERE (w.id IS NOT NULL OR m.last_step = 'sync trigger')"
"  AND (SELECT s.is_called FROM migspec.event_id_seq AS s) GROUP BY m.id";

/* see watch.h */
void
migspec_watch_triggers(void)
{
	MemoryContext cxt = CurrentMemoryContext;
	SPITupleTable *rows;
	uint64		n;

	migspec_worker_begin_xact();
	SPI_connect();
	n = migspec_sql(trouble_query, 0, NULL);
	rows = SPI_tuptable;
	for (uint64 i = 0; i < n; i++)
	{
		/* noting uses SPI as well */
		SPI_tuptable = rows;
		migspec_migration_note_trouble(migspec_spi_int8(i, "id"),
									   migspec_spi_text(i, "trouble"));
	}
	SPI_finish();
	migspec_worker_commit_xact(cxt);
}
