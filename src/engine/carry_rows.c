/*-------------------------------------------------------------------------
 *
 * carry_rows.c
 *		Looking at the rows of a table before a constraint binds its writers.
 *
 * For steps of a migration only: nobody but the extension's owner may call
 * these functions.  They read the table as its owner.
 *
 * Process: the worker's, one transaction each.  Locks: ACCESS SHARE on the
 * table.  Crash: nothing was changed, the step is taken again.
 *
 * Interleavings:
 * - Rows are written while we look: those are for the constraint, which comes
 *   right after (check_rows), or are checked already (check_unique).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/pg_index.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/security.h"
#include "base/sqlutil.h"

PG_FUNCTION_INFO_V1(migspec_check_rows);
PG_FUNCTION_INFO_V1(migspec_check_unique);

/*
 * migspec.check_rows(tab, condition): error 23514 if there is a row that makes
 * the condition false.  Scans the table and its partitions.
 */
Datum
migspec_check_rows(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	char	   *condition = text_to_cstring(PG_GETARG_TEXT_PP(1));
	MigspecIdentity identity;
	char	   *query;

	query = psprintf("SELECT FROM %s WHERE NOT (%s) LIMIT 1",
					 migspec_relation_name(RelationGetRelid(rel)), condition);
	SPI_connect();
	migspec_become_owner(rel->rd_rel->relowner, &identity);
	if (migspec_sql(query, 0, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("rows of table \"%s\" would violate a constraint after \"up\"",
						RelationGetRelationName(rel)),
				 errdetail("They do not satisfy: %s", condition),
				 errhint("Roll the migration back, and change \"up\", the rows or the constraint.")));
	migspec_restore_identity(&identity);
	SPI_finish();
	table_close(rel, AccessShareLock);
	PG_RETURN_VOID();
}

/*
 * The statement that finds a duplicate in the columns of the index.
 */
static char *
duplicate_query(Relation rel, Relation index)
{
	Form_pg_index form = index->rd_index;
	StringInfoData columns;
	StringInfoData not_null;
	int			i;

	initStringInfo(&columns);
	initStringInfo(&not_null);
	for (i = 0; i < form->indnkeyatts; i++)
	{
		const char *name = quote_identifier(get_attname(form->indrelid,
														form->indkey.values[i],
														false));

		appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "", name);
		appendStringInfo(&not_null, "%s%s IS NOT NULL",
						 i > 0 ? " AND " : " WHERE ", name);
	}
	return psprintf("SELECT concat_ws(', ', %s) AS key FROM ONLY %s%s"
					" GROUP BY %s HAVING count(*) > 1 LIMIT 1",
					columns.data,
					migspec_relation_name(RelationGetRelid(rel)),
					form->indnullsnotdistinct ? "" : not_null.data,
					columns.data);
}

/*
 * migspec.check_unique(tab, index): error 23505 if the rows that are there are
 * not unique in the index's columns.  Scans the table, as its owner.
 */
Datum
migspec_check_unique(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessShareLock);
	Relation	index = index_open(PG_GETARG_OID(1), AccessShareLock);
	char	   *query = duplicate_query(rel, index);
	MigspecIdentity identity;

	SPI_connect();
	migspec_become_owner(rel->rd_rel->relowner, &identity);
	if (migspec_sql(query, 0, NULL) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNIQUE_VIOLATION),
				 errmsg("could not create unique index \"%s\"",
						RelationGetRelationName(index)),
				 errdetail("Key (%s) is duplicated.",
						   migspec_spi_text(0, "key"))));
	migspec_restore_identity(&identity);
	SPI_finish();
	index_close(index, AccessShareLock);
	table_close(rel, AccessShareLock);
	PG_RETURN_VOID();
}
