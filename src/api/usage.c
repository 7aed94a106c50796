/*-------------------------------------------------------------------------
 *
 * usage.c
 *		migspec_usage(): who still uses the old shape.
 *
 * Runs in the process of a session, as its user: the view that it reads shows
 * everybody the counts, and the statements' texts to whom they belong.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "executor/spi.h"
#include "funcapi.h"

#include "api/api.h"
#include "base/compat.h"
#include "base/sqlutil.h"
#include "catalog/migration.h"

PG_FUNCTION_INFO_V1(migspec_sql_usage);

/*
 * migspec_usage(migration): one row per old column, role and application.
 */
Datum
migspec_sql_usage(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "migration");
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	(void) migspec_migration_load(name, false);

	SPI_connect();
	(void) migspec_sql("SELECT u.role, u.application, u.last_read, u.last_write, u.reads, u.writes,"
					   " u.relation, u.\"column\", u.pid, u.query_id, u.query"
					   " FROM migspec.old_shape_usage AS u"
					   " WHERE u.migration OPERATOR(pg_catalog.=) $1"
					   " ORDER BY greatest(u.last_read, u.last_write) DESC, 1, 2",
					   MIGSPEC_PARAMS(MIGSPEC_TEXT(name)));
	for (uint64 i = 0; i < SPI_tuptable->numvals; i++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	return (Datum) 0;
}
