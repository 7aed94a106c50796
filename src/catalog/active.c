/*-------------------------------------------------------------------------
 *
 * active.c
 *		What the guards know about migrations that are under way.
 *
 * Runs in sessions, inside a transaction, before and during other people's
 * DDL.  So the question that is asked of every statement, whether there is
 * any migration at all, is answered by a scan of a table that is nearly always
 * empty, and with no more than ACCESS SHARE on it.
 *
 * Interleavings:
 * - A migration expands while we look: its tables are locked ACCESS EXCLUSIVE
 *   by then, and whoever gets a lock on one later asks again.
 * - The extension is being dropped: its tables may have gone already.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/sqlutil.h"
#include "catalog/active.h"
#include "catalog/event.h"
#include "catalog/step.h"
#include "migspec.h"

/* A column of the tuple, which must not be null */
static Datum
column_of(Relation rel, HeapTuple tuple, const char *name)
{
	bool		isnull;
	Datum		value = heap_getattr(tuple, get_attnum(RelationGetRelid(rel), name),
									 RelationGetDescr(rel), &isnull);

	Assert(!isnull);
	return value;
}

/* see active.h */
List *
migspec_target_list(void)
{
	Oid			nspoid = get_namespace_oid(MIGSPEC_SCHEMA, true);
	Oid			relid = OidIsValid(nspoid) ? get_relname_relid("target", nspoid) : InvalidOid;
	List	   *targets = NIL;
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	/* without the extension, a schema of that name is anybody's */
	if (!OidIsValid(relid) || !OidIsValid(get_extension_oid(MIGSPEC_EXTENSION, true)))
		return NIL;
	rel = try_table_open(relid, AccessShareLock);
	if (rel == NULL)
		return NIL;
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		MigspecTarget *target = palloc_object(MigspecTarget);

		target->relid = DatumGetObjectId(column_of(rel, tuple, "relation"));
		target->migration_id = DatumGetInt64(column_of(rel, tuple, "migration_id"));
		targets = lappend(targets, target);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return targets;
}

static MigspecActive *
load(int64 id)
{
	MigspecActive *active = palloc0_object(MigspecActive);
	MigspecIdentity saved;

	active->migration = migspec_migration_load_by_id(id, true);
	if (active->migration == NULL)
		return NULL;
	active->steps = migspec_step_load(id);

	migspec_catalog_begin(&saved);
	if (migspec_sql("SELECT next_call, overridden_at IS NOT NULL AS overridden"
					" FROM migspec.migrations WHERE name = $1",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(active->migration->name))) > 0)
	{
		active->next_call = migspec_spi_text(0, "next_call");
		active->overridden = migspec_spi_bool(0, "overridden");
	}
	migspec_catalog_end(&saved);
	return active;
}

/*
 * See active.h.  The command under way must not see its own unfinished work
 * earlier than it thinks, so the command counter has to stay what it is.
 */
MigspecActive *
migspec_active_load(int64 id)
{
	MigspecActive *volatile active = NULL;
	bool		saved = migspec_sql_read_only;

	PushActiveSnapshot(GetLatestSnapshot());
	migspec_sql_read_only = true;
	PG_TRY();
	{
		active = load(id);
	}
	PG_FINALLY();
	{
		migspec_sql_read_only = saved;
	}
	PG_END_TRY();
	PopActiveSnapshot();
	return active;
}

/* see active.h */
void
migspec_active_mark_overridden(const MigspecActive *active, const char *what,
							   const char *why)
{
	const MigspecMigration *migration = active->migration;

	migspec_catalog_sql("UPDATE migspec.migration SET overridden_at = clock_timestamp()"
						" WHERE id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration->id)));
	migspec_event(migration->id, migration->name, "phase_guard_overridden", true,
				  "what", what, "why", why,
				  "phase", migspec_phase_name(migration->phase), NULL);
}
