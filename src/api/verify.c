/*-------------------------------------------------------------------------
 *
 * verify.c
 *		migspec_verify(): compare, and check that everything is in place.
 *
 * Runs in the process of a session.  The comparison itself is a worker's, in
 * short transactions; this session waits for it.  Locks that its transaction
 * already holds stay, so that a strong lock on one of the tables would make
 * both wait for each other until somebody cancels.
 *
 * Interleavings:
 * - The migration is moved or rolled back during the comparison: the checks
 *   are made on what is there afterwards, and the compare-and-set of the phase
 *   fails.
 * - The sync trigger is missing or disabled: the worker stops, and the check
 *   of the trigger says why nothing was compared.
 * - A row is written after it was compared: the sync trigger, whose presence
 *   is checked after the comparison, has kept its columns in agreement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "api/api.h"
#include "base/errors.h"
#include "base/sqlutil.h"
#include "bgw/bgw.h"
#include "engine/phase.h"
#include "engine/tables.h"
#include "trigger/sync.h"

PG_FUNCTION_INFO_V1(migspec_sql_verify);

static MigspecCheck *
make_check(const char *name, bool ok, char *detail)
{
	MigspecCheck *check = palloc(sizeof(MigspecCheck));

	check->name = name;
	check->ok = ok;
	check->detail = detail;
	return check;
}

/*
 * Is the sync trigger at work on the table and on all of its partitions?
 */
static MigspecCheck *
check_trigger(Oid relid)
{
	Relation	table = try_table_open(relid, AccessShareLock);
	char	   *name;
	char	   *trouble = NULL;
	int			others = -1;
	ListCell   *cell;

	if (table == NULL)
		return make_check("sync trigger", false,
						  psprintf("table with OID %u no longer exists", relid));
	name = migspec_relation_name(relid);

	foreach(cell, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Relation	rel = table_open(lfirst_oid(cell), NoLock);
		char	   *here = NULL;

		if (rel->rd_rel->relkind == RELKIND_RELATION)
			here = migspec_sync_trouble(rel);
		if (here != NULL && ++others == 0)
			trouble = psprintf("of %s %s", migspec_relation_name(lfirst_oid(cell)), here);
		table_close(rel, NoLock);
	}
	table_close(table, NoLock);

	if (trouble == NULL)
		return make_check("sync trigger", true, psprintf("enabled on %s", name));
	if (others > 0)
		trouble = psprintf("%s; also wrong on %d more", trouble, others);
	return make_check("sync trigger", false, trouble);
}

/*
 * One check that a query makes: columns ok and detail, any number of rows.
 * The query runs as the extension's owner, with the migration's id as $1.
 */
static List *
query_checks(List *checks, const char *name, const char *query, int64 id)
{
	MigspecIdentity saved;
	uint64		row;

	migspec_catalog_begin(&saved);
	migspec_sql(query, MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
	for (row = 0; row < SPI_tuptable->numvals; row++)
		checks = lappend(checks, make_check(name, migspec_spi_bool(row, "ok"),
											migspec_spi_text(row, "detail")));
	migspec_catalog_end(&saved);

	return checks;
}

/* is it the table of operation "o", or one of its partitions? */
#define IS_MIGRATED(relation) \
	relation " IN (SELECT o.relation UNION ALL" \
	" SELECT relid FROM pg_partition_tree(o.relation))"

static const char *const backfill_query =
"SELECT b.done = b.tables AND f.rows = 0 AS ok,"
" format('%s of %s tables done, %s rows failed', b.done, b.tables, f.rows)"
" AS detail"
" FROM (SELECT count(*) AS tables, count(*) FILTER (WHERE state = 'done')"
"  AS done FROM migspec.backfill WHERE migration_id = $1) AS b,"
" (SELECT count(*) AS rows FROM migspec.failed_row WHERE migration_id = $1)"
" AS f";

/*
 * By their hidden names, which start with the operation's id.  A partition that
 * was detached keeps some, which are of no interest any more.
 */
static const char *const indexes_query =
"SELECT count(*) FILTER (WHERE NOT i.indisvalid) = 0 AS ok,"
" format('%s of %s built', count(*) FILTER (WHERE i.indisvalid), count(*))"
" AS detail"
" FROM migspec.operation AS o"
" JOIN pg_class AS c ON starts_with(c.relname, '_migspec_' || o.id || '_')"
" JOIN pg_index AS i ON i.indexrelid = c.oid"
" WHERE o.migration_id = $1 AND " IS_MIGRATED("i.indrelid");

/*
 * One that stands for a constraint which is not validated either, whose OID
 * its name ends with, is as it should be.
 */
static const char *const constraints_query =
"SELECT count(*) FILTER (WHERE NOT t.ok) = 0 AS ok,"
" format('%s of %s validated', count(*) FILTER (WHERE t.ok), count(*))"
" AS detail"
" FROM (SELECT c.convalidated OR NOT coalesce(origin.convalidated, true) AS ok"
" FROM migspec.operation AS o JOIN pg_constraint AS c"
" ON starts_with(ltrim(c.conname, '~'), '_migspec_' || o.id || '_')"
" LEFT JOIN pg_constraint AS origin"
" ON origin.oid = substring(c.conname from '_[cf]([0-9]+)$')::oid"
" WHERE o.migration_id = $1"
" AND (" IS_MIGRATED("c.conrelid") " OR " IS_MIGRATED("c.confrelid") ")) AS t";

/* of each operation the first 100 differences are kept */
static const char *const rows_query =
"SELECT m.rows_compared IS NOT NULL AND d.n = 0 AS ok,"
" format('%s.%s: %s', o.relation, o.new_name,"
"  CASE WHEN m.rows_compared IS NULL THEN 'not compared'"
"  WHEN o.up IS NULL THEN 'not computed from other columns, nothing to compare'"
"  ELSE format('%s rows compared, %s%s differ', coalesce(o.rows_compared, 0),"
"   d.n, CASE WHEN d.n >= 100 THEN ' or more' END) END) AS detail"
" FROM migspec.migration AS m"
" JOIN migspec.operation AS o ON o.migration_id = m.id"
" CROSS JOIN LATERAL (SELECT count(*) AS n FROM migspec.difference AS d"
"  WHERE d.migration_id = m.id AND d.new_name = o.new_name"
"  AND " IS_MIGRATED("d.relation") ") AS d"
" WHERE m.id = $1 ORDER BY o.ordinal";

/*
 * Is the migration one that can be verified by the current user, now?
 */
MigspecMigration *
migspec_verify_begin(const char *name)
{
	MigspecMigration *migration = migspec_migration_load(name, false);

	migspec_require_owner(migration);
	migspec_require_read_committed("migspec_verify");
	migspec_require_workers();
	if (migration->phase != MIGSPEC_MIGRATED &&
		migration->phase != MIGSPEC_VERIFIED)
		migspec_wrong_phase(migration, "migspec_verify");
	migspec_require_committed(migration,
							  migspec_migration_status(migration->id),
							  "migspec_verify");
	return migration;
}

/*
 * After the comparison: all checks, a List of MigspecCheck *.  If all are ok,
 * the migration is moved to phase verified, unless it is there already.
 */
List *
migspec_verify_end(const char *name)
{
	MigspecMigration *migration = migspec_migration_load(name, false);
	List	   *checks = NIL;
	bool		ok = migration->rows_differing == 0;
	ListCell   *cell;

	foreach(cell, migration->relids)
	{
		if (migspec_table_is_synchronised(migration, lfirst_oid(cell)))
			checks = lappend(checks, check_trigger(lfirst_oid(cell)));
	}
	checks = query_checks(checks, "backfill", backfill_query, migration->id);
	checks = query_checks(checks, "indexes", indexes_query, migration->id);
	checks = query_checks(checks, "constraints", constraints_query,
						  migration->id);
	checks = query_checks(checks, "rows", rows_query, migration->id);

	foreach(cell, checks)
		ok = ok && ((MigspecCheck *) lfirst(cell))->ok;
	if (ok && migration->phase == MIGSPEC_MIGRATED)
		migspec_phase_verified(name);

	return checks;
}

/*
 * migspec_verify(migration): one row per check.
 */
Datum
migspec_sql_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");
	MigspecMigration *migration;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	migration = migspec_verify_begin(name);
	migspec_bgw_verify(migration->id);

	foreach(cell, migspec_verify_end(name))
	{
		MigspecCheck *check = lfirst(cell);
		Datum		values[3];
		bool		nulls[3] = {false};

		values[0] = CStringGetTextDatum(check->name);
		values[1] = BoolGetDatum(check->ok);
		values[2] = CStringGetTextDatum(check->detail);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
							 nulls);
	}

	PG_RETURN_NULL();
}
