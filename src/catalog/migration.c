/*-------------------------------------------------------------------------
 *
 * migration.c
 *		migspec.migration, migspec.operation and migspec.target as structs.
 *
 * Runs in any process, inside a transaction.  Moves of the state machine are
 * in move.c, what the worker and its callers write is in steer.c.
 *
 * Interleavings: two sessions that plan migrations of the same name, or of the
 * same table, meet at the unique indexes of the catalog.  The second waits
 * until the first has ended, and then gets an error or goes on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/lsyscache.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/migration.h"
#include "migspec.h"

static const char *const phase_names[] = {
	[MIGSPEC_PLANNED] = "planned",
	[MIGSPEC_EXPANDED] = "expanded",
	[MIGSPEC_MIGRATING] = "migrating",
	[MIGSPEC_MIGRATED] = "migrated",
	[MIGSPEC_VERIFIED] = "verified",
	[MIGSPEC_SWITCHED] = "switched",
	[MIGSPEC_CONTRACTED] = "contracted",
	[MIGSPEC_FINISHED] = "finished",
	[MIGSPEC_ROLLED_BACK] = "rolled_back",
};

/*
 * The name of a phase, as it is stored and as users write it.
 */
const char *
migspec_phase_name(MigspecPhase phase)
{
	return phase_names[phase];
}

/*
 * The phase of that name; an error that lists all if there is none.
 */
MigspecPhase
migspec_phase_from_name(const char *name)
{
	int			i;

	for (i = 0; i < (int) lengthof(phase_names); i++)
	{
		if (strcmp(phase_names[i], name) == 0)
			return (MigspecPhase) i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no phase \"%s\"", name),
			 errhint("Phases are planned, expanded, migrating, migrated, verified, switched, contracted, finished, and rolled_back.")));
}

/*
 * Operation in row "row" of SPI_tuptable.
 */
static MigspecOperation *
read_operation(uint64 row)
{
	MigspecOperation *op = palloc0(sizeof(MigspecOperation));

	op->id = migspec_spi_int8(row, "id");
	op->ordinal = (int) migspec_spi_int8(row, "ordinal");
	op->kind = migspec_spi_text(row, "kind");
	op->relid = migspec_spi_oid(row, "relation");
	op->old_name = migspec_spi_text(row, "old_name");
	op->new_name = migspec_spi_text(row, "new_name");
	op->old_column = migspec_spi_text(row, "old_column");
	op->new_column = migspec_spi_text(row, "new_column");
	op->marker_column = migspec_spi_text(row, "marker_column");
	op->new_type = migspec_spi_text(row, "new_type");
	op->up = migspec_spi_text(row, "up");
	op->down = migspec_spi_text(row, "down");
	op->up_sql = migspec_spi_text(row, "up_sql");
	op->up_columns = migspec_spi_textlist(row, "up_columns");
	op->down_sql = migspec_spi_text(row, "down_sql");
	op->down_columns = migspec_spi_textlist(row, "down_columns");
	op->is_volatile = migspec_spi_bool(row, "volatile");
	op->planned_for = migspec_spi_text(row, "planned_for");
	op->partitions = migspec_spi_oidlist(row, "partitions");

	return op;
}

/*
 * Read the operations, and the tables they are for.
 */
static void
read_operations(MigspecMigration *migration)
{
	uint64		row;

	migspec_sql("SELECT id, ordinal, kind, relation, old_name, new_name,"
				" old_column, new_column, marker_column, new_type, up, down,"
				" up_sql, up_columns, down_sql, down_columns, volatile,"
				" planned_for, partitions"
				" FROM migspec.operation WHERE migration_id = $1"
				" ORDER BY ordinal",
				MIGSPEC_PARAMS(MIGSPEC_INT8(migration->id)));
	for (row = 0; row < SPI_tuptable->numvals; row++)
	{
		MigspecOperation *op = read_operation(row);

		migration->operations = lappend(migration->operations, op);
		migration->relids = list_append_unique_oid(migration->relids,
												   op->relid);
	}
	list_sort(migration->relids, list_oid_cmp);
}

/*
 * Migration in the only row of SPI_tuptable, without its operations.
 */
static MigspecMigration *
read_migration(void)
{
	MigspecMigration *migration = palloc0(sizeof(MigspecMigration));

	migration->id = migspec_spi_int8(0, "id");
	migration->name = migspec_spi_text(0, "name");
	migration->owner = migspec_spi_oid(0, "owner");
	migration->phase = migspec_phase_from_name(migspec_spi_text(0, "phase"));
	migration->author_search_path = migspec_spi_text(0, "author_search_path");
	migration->conflict_policy = migspec_spi_text(0, "conflict_policy");
	migration->allow_irreversible = migspec_spi_bool(0, "allow_irreversible");
	migration->paused = migspec_spi_bool(0, "paused");
	migration->strategy = migspec_spi_text(0, "strategy");
	migration->max_rows_per_second =
		(int) migspec_spi_int8(0, "max_rows_per_second");
	migration->failures = (int) migspec_spi_int8(0, "failures");
	migration->rows_differing = migspec_spi_int8(0, "rows_differing");

	return migration;
}

/*
 * The migration with this id, or with this name if the id is 0.
 */
static MigspecMigration *
load(int64 id, const char *name)
{
	MigspecIdentity saved;
	MigspecMigration *migration = NULL;

	migspec_catalog_begin(&saved);
	if (migspec_sql("SELECT id, name, owner, phase, author_search_path,"
					" conflict_policy, allow_irreversible, paused, strategy,"
					" max_rows_per_second, failures,"
					" coalesce(rows_differing, -1) AS rows_differing"
					" FROM migspec.migration WHERE id = $1 OR name = $2",
					MIGSPEC_PARAMS(MIGSPEC_INT8(id),
								   MIGSPEC_TEXT(name))) > 0)
	{
		migration = read_migration();
		read_operations(migration);
	}
	migspec_catalog_end(&saved);

	return migration;
}

/*
 * Read a migration with its operations, in the current memory context.  What
 * is read can change until migspec_migration_lock() is taken.
 */
MigspecMigration *
migspec_migration_load(const char *name, bool missing_ok)
{
	MigspecMigration *migration = load(0, name);

	if (migration == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_MIGRATION),
				 errmsg("migration \"%s\" does not exist", name),
				 errhint("The view migspec.migrations lists all migrations; migspec_plan makes new ones.")));
	return migration;
}

/*
 * The same, by id.
 */
MigspecMigration *
migspec_migration_load_by_id(int64 id, bool missing_ok)
{
	MigspecMigration *migration = load(id, NULL);

	if (migration == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_MIGRATION),
				 errmsg("migration with id %lld does not exist",
						(long long) id)));
	return migration;
}

/*
 * Take ids for operations that are not stored yet: the names of hidden
 * objects are made of them.
 */
void
migspec_operation_assign_ids(MigspecMigration *migration)
{
	MigspecIdentity saved;
	ListCell   *cell;

	migspec_catalog_begin(&saved);
	foreach(cell, migration->operations)
	{
		migspec_sql("SELECT nextval('migspec.operation_id_seq') AS id", 0, NULL);
		((MigspecOperation *) lfirst(cell))->id = migspec_spi_int8(0, "id");
	}
	migspec_catalog_end(&saved);
}

static void
insert_operation(int64 migration_id, const MigspecOperation *op)
{
	migspec_sql("INSERT INTO migspec.operation (id, migration_id, ordinal, kind,"
				" relation, old_name, new_name, old_column, new_column,"
				" marker_column, new_type, up, down, up_sql, up_columns,"
				" down_sql, down_columns, volatile, planned_for, partitions)"
				" OVERRIDING SYSTEM VALUE"
				" VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,"
				" $13, $14, $15, $16, $17, $18, $19, $20)",
				MIGSPEC_PARAMS(MIGSPEC_INT8(op->id),
							   MIGSPEC_INT8(migration_id),
							   MIGSPEC_INT4(op->ordinal),
							   MIGSPEC_TEXT(op->kind),
							   MIGSPEC_REGCLASS(op->relid),
							   MIGSPEC_TEXT(op->old_name),
							   MIGSPEC_TEXT(op->new_name),
							   MIGSPEC_TEXT(op->old_column),
							   MIGSPEC_TEXT(op->new_column),
							   MIGSPEC_TEXT(op->marker_column),
							   MIGSPEC_TEXT(op->new_type),
							   MIGSPEC_TEXT(op->up),
							   MIGSPEC_TEXT(op->down),
							   MIGSPEC_TEXT(op->up_sql),
							   MIGSPEC_DATUM(TEXTARRAYOID,
											 migspec_text_array(op->up_columns), false),
							   MIGSPEC_TEXT(op->down_sql),
							   MIGSPEC_DATUM(TEXTARRAYOID,
											 migspec_text_array(op->down_columns), false),
							   MIGSPEC_BOOL(op->is_volatile),
							   MIGSPEC_TEXT(op->planned_for),
							   MIGSPEC_DATUM(REGCLASSARRAYOID,
											 migspec_regclass_array(op->partitions), false)));
}

/*
 * Store a new migration in phase planned with its operations, which have ids
 * already, and set its own id, which is returned.  "grace" may be NULL for the default.
 * Error MG302 if the name is taken.
 */
int64
migspec_migration_insert(MigspecMigration *migration, Datum operations_jsonb,
						 Interval *grace)
{
	MigspecIdentity saved;
	ListCell   *cell;

	migspec_catalog_begin(&saved);
	if (migspec_sql("INSERT INTO migspec.migration (name, owner, operations,"
					" author_search_path, conflict_policy, allow_irreversible,"
					" contract_grace, strategy, max_rows_per_second)"
					" VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, '24 hours'),"
					" coalesce($8, 'window'), nullif($9, 0))"
					" ON CONFLICT (name) DO NOTHING RETURNING id",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(migration->name),
								   MIGSPEC_DATUM(REGROLEOID,
												 ObjectIdGetDatum(migration->owner), false),
								   MIGSPEC_DATUM(JSONBOID, operations_jsonb, false),
								   MIGSPEC_TEXT(migration->author_search_path),
								   MIGSPEC_TEXT(migration->conflict_policy),
								   MIGSPEC_BOOL(migration->allow_irreversible),
								   MIGSPEC_DATUM(INTERVALOID, IntervalPGetDatum(grace),
												 grace == NULL),
								   MIGSPEC_TEXT(migration->strategy),
								   MIGSPEC_INT4(migration->max_rows_per_second))) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_DUPLICATE_MIGRATION),
				 errmsg("migration \"%s\" exists already", migration->name),
				 errhint("Choose another name. Only that of a migration that was rolled back, or not expanded yet, can be used again.")));

	migration->id = migspec_spi_int8(0, "id");
	foreach(cell, migration->operations)
		insert_operation(migration->id, lfirst(cell));
	migspec_catalog_end(&saved);

	migration->phase = MIGSPEC_PLANNED;
	return migration->id;
}

/*
 * Store the names that the columns of an operation bear now.
 */
void
migspec_operation_update_columns(const MigspecOperation *op)
{
	migspec_catalog_sql("UPDATE migspec.operation SET old_column = $2,"
						" new_column = $3, marker_column = $4 WHERE id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(op->id),
									   MIGSPEC_TEXT(op->old_column),
									   MIGSPEC_TEXT(op->new_column),
									   MIGSPEC_TEXT(op->marker_column)));
}

/*
 * The name of the migration that holds the table, if it is not the one with
 * this id; NULL if none does.  Inside migspec_catalog_begin().
 */
static char *
target_holder(Oid relid, int64 migration_id)
{
	if (migspec_sql("SELECT m.name FROM migspec.target AS t"
					" JOIN migspec.migration AS m ON m.id = t.migration_id"
					" WHERE t.relation = $1 AND m.id <> $2",
					MIGSPEC_PARAMS(MIGSPEC_REGCLASS(relid),
								   MIGSPEC_INT8(migration_id))) == 0)
		return NULL;
	return migspec_spi_text(0, "name");
}

/*
 * Error MG304; "holder" may be NULL if it has just let go.
 */
pg_noreturn static void
table_busy(Oid relid, const char *holder)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_TABLE_BUSY),
			 errmsg("table \"%s\" is held by another migration",
					get_rel_name(relid)),
			 holder ? errdetail("Migration \"%s\" is active on it.", holder) : 0,
			 errhint("A table takes part in one migration at a time; finish the other one or roll it back.")));
}

/*
 * Error MG304 if another migration (than the one with this id) holds the
 * table.  One that has not committed yet is not seen; the claim finds it.
 */
void
migspec_target_check(Oid relid, int64 migration_id)
{
	MigspecIdentity saved;
	char	   *holder;

	migspec_catalog_begin(&saved);
	holder = target_holder(relid, migration_id);
	migspec_catalog_end(&saved);

	if (holder != NULL)
		table_busy(relid, holder);
}

/*
 * Claim all tables of a migration for it; error MG304 if another active
 * migration holds one.  In ascending order of OID, as every lock is taken.
 */
void
migspec_target_claim(MigspecMigration *migration)
{
	MigspecIdentity saved;
	ListCell   *cell;

	migspec_catalog_begin(&saved);
	foreach(cell, migration->relids)
	{
		if (migspec_sql("INSERT INTO migspec.target (relation, migration_id)"
						" VALUES ($1, $2) ON CONFLICT (relation) DO NOTHING",
						MIGSPEC_PARAMS(MIGSPEC_REGCLASS(lfirst_oid(cell)),
									   MIGSPEC_INT8(migration->id))) == 0)
			table_busy(lfirst_oid(cell),
					   target_holder(lfirst_oid(cell), migration->id));
	}
	migspec_catalog_end(&saved);
}

/*
 * Give back the tables of a migration.
 */
void
migspec_target_release(int64 migration_id)
{
	migspec_catalog_sql("DELETE FROM migspec.target WHERE migration_id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id)));
}

/*
 * Forget rows with errors; see migration.h.
 */
void
migspec_migration_forget_rows(int64 id)
{
	migspec_catalog_sql("DELETE FROM migspec.failed_row WHERE migration_id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
	migspec_catalog_sql("DELETE FROM migspec.difference WHERE migration_id = $1",
						MIGSPEC_PARAMS(MIGSPEC_INT8(id)));
}
