/*-------------------------------------------------------------------------
 *
 * flag_change.c
 *		SQL functions of flags: changing, importing and exporting them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "miscadmin.h"
#include "utils/jsonb.h"

#include "api/api.h"
#include "base/errors.h"
#include "base/sqlutil.h"
#include "flags/store.h"

PG_FUNCTION_INFO_V1(migspec_sql_flag_put);
PG_FUNCTION_INFO_V1(migspec_sql_flag_drop);
PG_FUNCTION_INFO_V1(migspec_sql_flag_rollout);
PG_FUNCTION_INFO_V1(migspec_sql_flag_import);
PG_FUNCTION_INFO_V1(migspec_sql_flag_export);

static Jsonb *
arg_document(FunctionCallInfo fcinfo, int argno, const char *name)
{
	if (PG_ARGISNULL(argno))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be null", name)));
	return PG_GETARG_JSONB_P(argno);
}

/*
 * migspec_flag_put(feature)
 */
Datum
migspec_sql_flag_put(PG_FUNCTION_ARGS)
{
	Jsonb	   *feature = arg_document(fcinfo, 0, "feature");

	migspec_flag_put(feature, migspec_flag_begin_change());
	PG_RETURN_VOID();
}

/*
 * migspec_flag_drop(flag)
 */
Datum
migspec_sql_flag_drop(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "flag");

	migspec_flag_drop(name, migspec_flag_begin_change());
	PG_RETURN_VOID();
}

/*
 * migspec_flag_rollout(flag, percent)
 */
Datum
migspec_sql_flag_rollout(PG_FUNCTION_ARGS)
{
	char	   *name = migspec_arg_text(fcinfo, 0, "flag");
	char	   *percent = migspec_arg_percent(fcinfo, 1);

	(void) migspec_flag_require(name, false);
	migspec_flag_set_rollout(name, percent, migspec_flag_begin_change());
	PG_RETURN_VOID();
}

/*
 * migspec_flag_import(document, replace): the number of flags or events.
 */
Datum
migspec_sql_flag_import(PG_FUNCTION_ARGS)
{
	Jsonb	   *document = arg_document(fcinfo, 0, "document");

	PG_RETURN_INT32(migspec_flag_import(document, PG_ARGISNULL(1) || PG_GETARG_BOOL(1)));
}

/*
 * migspec_flag_export(): what the current user may see of the documents.  The
 * strategy that only we know is written as the one that Unleash does.
 */
Datum
migspec_sql_flag_export(PG_FUNCTION_ARGS)
{
	static const char *const query =
	"SELECT jsonb_build_object('version', 2, 'features', coalesce((SELECT jsonb_agg("
	"  CASE WHEN f.document -> 'strategies' @> '[{\"name\": \"gradualRollout\"}]' THEN jsonb_set(f.document, '{strategies}',"
	"   (SELECT jsonb_agg(CASE WHEN s.value ->> 'name' = 'gradualRollout' THEN s.value ||"
	"     jsonb_build_object('name', 'flexibleRollout', 'parameters', jsonb_build_object("
	"      'rollout', s.value #> '{parameters,percentage}',"
	"      'stickiness', coalesce(s.value #> '{parameters,stickiness}', '\"default\"'),"
	"      'groupId', coalesce(s.value #> '{parameters,groupId}', to_jsonb(f.name))))"
	"     ELSE s.value END ORDER BY s.ordinality)"
	"    FROM jsonb_array_elements(f.document -> 'strategies') WITH ORDINALITY AS s))"
	"  ELSE f.document END ORDER BY f.name)"
	"  FROM migspec.flag AS f WHERE pg_has_role($1, f.owner, 'USAGE')), '[]'),"
	" 'segments', coalesce((SELECT jsonb_agg(s.document ORDER BY s.id)"
	"  FROM migspec.flag_segment AS s WHERE pg_has_role($1, s.owner, 'USAGE')), '[]')) AS document";
	MigspecIdentity saved;
	Oid			user = GetUserId();
	Datum		result;
	bool		isnull;

	migspec_catalog_begin(&saved);
	(void) migspec_sql(query, MIGSPEC_PARAMS(MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(user), false)));
	result = migspec_spi_datum(0, "document", &isnull);
	migspec_catalog_end(&saved);
	PG_RETURN_DATUM(result);
}
