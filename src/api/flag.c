/*-------------------------------------------------------------------------
 *
 * flag.c
 *		SQL functions of flags: evaluating them.
 *
 * These run for every row of a query.  They are STABLE, since a flag is what
 * the statement's snapshot sees; never NULL, since a flag that is neither on
 * nor off would send a user nowhere; and raise no error for any flag, user or
 * context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

#include "api/api.h"
#include "flags/flags.h"
#include "flags/sample.h"
#include "flags/stage.h"

PG_FUNCTION_INFO_V1(migspec_sql_flag_enabled);
PG_FUNCTION_INFO_V1(migspec_sql_flag_enabled_int8);
PG_FUNCTION_INFO_V1(migspec_sql_flag_enabled_uuid);
PG_FUNCTION_INFO_V1(migspec_sql_flag_enabled_context);
PG_FUNCTION_INFO_V1(migspec_sql_flag_variant);
PG_FUNCTION_INFO_V1(migspec_sql_flag_variant_context);
PG_FUNCTION_INFO_V1(migspec_sql_flag_explain);
PG_FUNCTION_INFO_V1(migspec_sql_flag_explain_context);
PG_FUNCTION_INFO_V1(migspec_sql_flag_bucket);
PG_FUNCTION_INFO_V1(migspec_sql_flag_variant_bucket);
PG_FUNCTION_INFO_V1(migspec_sql_flag_specification);

static const char *const reasons[] = {
	[MIGSPEC_REASON_STATIC] = "STATIC",
	[MIGSPEC_REASON_TARGETING_MATCH] = "TARGETING_MATCH",
	[MIGSPEC_REASON_SPLIT] = "SPLIT",
	[MIGSPEC_REASON_DEFAULT] = "DEFAULT",
	[MIGSPEC_REASON_DISABLED] = "DISABLED",
	[MIGSPEC_REASON_ERROR] = "ERROR",
};

/*
 * The flag that the first argument names, NULL if there is none.
 */
MigspecFlag *
migspec_flag_argument(FunctionCallInfo fcinfo)
{
	MigspecFlagSite *site = fcinfo->flinfo->fn_extra;
	text	   *name;

	if (PG_ARGISNULL(0))
		return NULL;
	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(MigspecFlagSite));
		fcinfo->flinfo->fn_extra = site;
	}
	name = PG_GETARG_TEXT_PP(0);
	return migspec_flag_find(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), site);
}

/* user_id and, if there are three arguments, context */
MigspecFlagContext
migspec_flag_context(FunctionCallInfo fcinfo)
{
	MigspecFlagContext context = {0};

	if (!PG_ARGISNULL(1))
	{
		text	   *user = PG_GETARG_TEXT_PP(1);

		context.user_id = VARDATA_ANY(user);
		context.user_id_length = VARSIZE_ANY_EXHDR(user);
	}
	if (PG_NARGS() > 2 && !PG_ARGISNULL(2))
		context.json = PG_GETARG_JSONB_P(2);
	return context;
}

static MigspecFlagContext
json_context(FunctionCallInfo fcinfo)
{
	MigspecFlagContext context = {0};

	if (!PG_ARGISNULL(1))
		context.json = PG_GETARG_JSONB_P(1);
	return context;
}

static MigspecFlagContext
text_context(const char *user)
{
	return (MigspecFlagContext)
	{
		user, strlen(user), NULL, false
	};
}

static Datum
enabled(FunctionCallInfo fcinfo, const MigspecFlagContext *context)
{
	MigspecFlag *flag = migspec_flag_argument(fcinfo);
	bool		is_on = flag && migspec_flag_evaluate(flag, context, NULL).enabled;

	if (flag && unlikely(flag->sample != NULL))
		migspec_sample_count(flag->sample, is_on ? MIGSPEC_COUNT_ON : MIGSPEC_COUNT_OFF);
	PG_RETURN_BOOL(is_on);
}

/*
 * migspec_flag_enabled(flag, user_id, context)
 */
Datum
migspec_sql_flag_enabled(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = migspec_flag_context(fcinfo);

	return enabled(fcinfo, &context);
}

/*
 * migspec_flag_enabled(flag, user_id): numbers without leading zeros, as any
 * application writes them.
 */
Datum
migspec_sql_flag_enabled_int8(PG_FUNCTION_ARGS)
{
	char		user[MAXINT8LEN + 1];
	MigspecFlagContext context = {0};

	if (!PG_ARGISNULL(1))
	{
		(void) pg_lltoa(PG_GETARG_INT64(1), user);
		context = text_context(user);
	}
	return enabled(fcinfo, &context);
}

/*
 * migspec_flag_enabled(flag, user_id): in lower case, as the type prints it.
 */
Datum
migspec_sql_flag_enabled_uuid(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = {0};

	if (!PG_ARGISNULL(1))
		context = text_context(DatumGetCString(DirectFunctionCall1(uuid_out,
																   PG_GETARG_DATUM(1))));
	return enabled(fcinfo, &context);
}

/*
 * migspec_flag_enabled(flag, context)
 */
Datum
migspec_sql_flag_enabled_context(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = json_context(fcinfo);

	return enabled(fcinfo, &context);
}

static Datum
variant(FunctionCallInfo fcinfo, const MigspecFlagContext *context)
{
	MigspecFlag *flag = migspec_flag_argument(fcinfo);
	MigspecDecision decision = {0};

	if (flag)
		decision = migspec_flag_evaluate(flag, context, NULL);
	PG_RETURN_JSONB_P(migspec_flag_choose_variant(flag, &decision, context));
}

/*
 * migspec_flag_variant(flag, user_id, context)
 */
Datum
migspec_sql_flag_variant(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = migspec_flag_context(fcinfo);

	return variant(fcinfo, &context);
}

/*
 * migspec_flag_variant(flag, context)
 */
Datum
migspec_sql_flag_variant_context(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = json_context(fcinfo);

	return variant(fcinfo, &context);
}

static void
push(JsonbParseState **state, const char *key, const char *value)
{
	JsonbValue	v = {.type = jbvString};

	v.val.string.val = unconstify(char *, key);
	v.val.string.len = strlen(key);
	(void) pushJsonbValue(state, WJB_KEY, &v);
	v.type = value ? jbvString : jbvNull;
	v.val.string.val = unconstify(char *, value);
	v.val.string.len = value ? strlen(value) : 0;
	(void) pushJsonbValue(state, WJB_VALUE, &v);
}

static void
push_value(JsonbParseState **state, const char *key, JsonbValue *value)
{
	JsonbValue	k = {.type = jbvString};

	k.val.string.val = unconstify(char *, key);
	k.val.string.len = strlen(key);
	(void) pushJsonbValue(state, WJB_KEY, &k);
	(void) pushJsonbValue(state, WJB_VALUE, value);
}

static void
push_number(JsonbParseState **state, const char *key, int64 number)
{
	JsonbValue	value = {.type = jbvNumeric};

	value.val.numeric = int64_to_numeric(number);
	push_value(state, key, &value);
}

/* The lines of the trace, as an array */
static void
push_steps(JsonbParseState **state, char *lines)
{
	JsonbValue	value = {.type = jbvString};
	char	   *line;
	char	   *rest = NULL;

	value.val.string.val = "steps";
	value.val.string.len = strlen("steps");
	(void) pushJsonbValue(state, WJB_KEY, &value);
	(void) pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
	for (line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
	{
		value.val.string.val = line;
		value.val.string.len = strlen(line);
		(void) pushJsonbValue(state, WJB_ELEM, &value);
	}
	(void) pushJsonbValue(state, WJB_END_ARRAY, NULL);
}

/*
 * Why is it so?  The texts tell what the caller's own context led to, not the
 * lists that the flag holds.
 */
static Datum
explain(FunctionCallInfo fcinfo, const MigspecFlagContext *context)
{
	MigspecFlag *flag = migspec_flag_argument(fcinfo);
	MigspecDecision decision = {.reason = MIGSPEC_REASON_ERROR,.error = "FLAG_NOT_FOUND",.strategy = -1};
	StringInfoData lines;
	MigspecTrace trace = {&lines};
	JsonbParseState *state = NULL;
	JsonbValue	value;
	Jsonb	   *chosen;

	initStringInfo(&lines);
	if (flag)
		decision = migspec_flag_evaluate(flag, context, &trace);
	else
		appendStringInfoString(&lines, "there is no such flag: it is off");
	chosen = migspec_flag_choose_variant(flag, &decision, context);

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push(&state, "flag", PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0)));
	value.type = jbvBool;
	value.val.boolean = decision.enabled;
	push_value(&state, "enabled", &value);
	push(&state, "reason", reasons[decision.reason]);
	push(&state, "error", decision.error);
	value.type = jbvNull;
	if (decision.strategy >= 0)
		push_number(&state, "strategy", decision.strategy + 1);
	else
		push_value(&state, "strategy", &value);
	value.type = jbvNull;
	if (decision.bucket > 0)
		push_number(&state, "bucket", decision.bucket);
	else
		push_value(&state, "bucket", &value);
	value.type = jbvBinary;
	value.val.binary.data = &chosen->root;
	value.val.binary.len = VARSIZE(chosen) - VARHDRSZ;
	push_value(&state, "variant", &value);
	push(&state, "stage", flag ? migspec_stage_name(flag->stage) : NULL);
	push(&state, "next_stage", flag ? migspec_stage_name(flag->next_stage) : NULL);
	push_number(&state, "generation", migspec_flag_generation());
	push_steps(&state, lines.data);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL)));
}

/*
 * migspec_flag_explain(flag, user_id, context)
 */
Datum
migspec_sql_flag_explain(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = migspec_flag_context(fcinfo);

	return explain(fcinfo, &context);
}

/*
 * migspec_flag_explain(flag, context)
 */
Datum
migspec_sql_flag_explain_context(PG_FUNCTION_ARGS)
{
	MigspecFlagContext context = json_context(fcinfo);

	return explain(fcinfo, &context);
}

/*
 * migspec_flag_bucket(group_id, id)
 */
Datum
migspec_sql_flag_bucket(PG_FUNCTION_ARGS)
{
	text	   *group = PG_GETARG_TEXT_PP(0);
	text	   *id = PG_GETARG_TEXT_PP(1);

	PG_RETURN_INT32(migspec_flag_bucket(VARDATA_ANY(group), VARSIZE_ANY_EXHDR(group),
										VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id)));
}

/*
 * migspec_flag_variant_bucket(group_id, id, total)
 */
Datum
migspec_sql_flag_variant_bucket(PG_FUNCTION_ARGS)
{
	text	   *group = PG_GETARG_TEXT_PP(0);
	text	   *id = PG_GETARG_TEXT_PP(1);
	int			total = PG_GETARG_INT32(2);

	if (total <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the sum of weights must be greater than zero")));
	PG_RETURN_INT32(migspec_flag_variant_bucket(VARDATA_ANY(group), VARSIZE_ANY_EXHDR(group),
												VARDATA_ANY(id), VARSIZE_ANY_EXHDR(id), total));
}

/*
 * migspec_flag_specification()
 */
Datum
migspec_sql_flag_specification(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(MIGSPEC_UNLEASH_SPECIFICATION));
}
