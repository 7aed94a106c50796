/*-------------------------------------------------------------------------
 *
 * strategy.c
 *		Activation strategies: who gets a flag.
 *
 * Unleash's own, those that it calls legacy, and "gradualRollout", which is
 * ours: flexibleRollout with "percentage" instead of "rollout".  A strategy
 * that is not known never matches, as everywhere.
 *
 * Whole percents are exactly Unleash's buckets; fractions of a percent, down
 * to a thousandth, are part of the next whole one (hash.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <unistd.h>

#include "common/pg_prng.h"

#include "flags/program.h"

static bool
matches_everybody(const FlagStrategy *strategy, const MigspecFlagContext *context,
				  MigspecDecision *decision)
{
	return true;
}

static bool
compile_nothing(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				char **problem)
{
	return true;
}

static bool
compile_user_ids(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				 char **problem)
{
	FlagText	list;
	FlagText   *parts = NULL;
	int			n = 0;

	if (migspec_flag_get_text(parameters, "userIds", &list))
		n = migspec_flag_split(list, &parts);
	strategy->ids = migspec_flag_set(parts, n);
	return true;
}

static bool
matches_user_id(const FlagStrategy *strategy, const MigspecFlagContext *context,
				MigspecDecision *decision)
{
	FlagField	user = {FLAG_USER_ID, {"", 0}};
	FlagText	id;

	return migspec_flag_value(context, &user, &id) && migspec_flag_set_has(strategy->ids, id);
}

/*
 * A percentage as thousandths of a percent.
 */
static bool
parse_percentage(FlagText text, int *threshold)
{
	double		percent;

	if (!migspec_flag_parse_number(text, &percent) || percent < 0 || percent > 100)
		return false;
	*threshold = (int) rint(percent * 1000);
	return true;
}

static bool
compile_percentage(FlagStrategy *strategy, const JsonbValue *parameters, const char *name,
				   FlagText flag, char **problem)
{
	FlagText	percentage = {"", 0};

	if (!migspec_flag_get_text(parameters, name, &percentage) ||
		!parse_percentage(percentage, &strategy->threshold))
	{
		*problem = psprintf("parameter \"%s\" must be a percentage, not \"%.*s\"", name,
							percentage.length, percentage.bytes);
		return false;
	}
	if (!migspec_flag_get_text(parameters, "groupId", &strategy->group))
		strategy->group = flag;
	strategy->group_hash = migspec_flag_hash_group(strategy->group, 0);
	return true;
}

static bool
compile_rollout(FlagStrategy *strategy, const JsonbValue *parameters, const char *name,
				FlagText flag, char **problem)
{
	FlagText	stickiness;
	bool		given = migspec_flag_get_text(parameters, "stickiness", &stickiness);

	strategy->stickiness = migspec_flag_stickiness(given ? &stickiness : NULL);
	return compile_percentage(strategy, parameters, name, flag, problem);
}

static bool
compile_flexible(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				 char **problem)
{
	return compile_rollout(strategy, parameters, "rollout", flag, problem);
}

static bool
compile_gradual(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				char **problem)
{
	return compile_rollout(strategy, parameters, "percentage", flag, problem);
}

static bool
compile_by_user(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				char **problem)
{
	strategy->stickiness.source = FLAG_USER_ID;
	return compile_percentage(strategy, parameters, "percentage", flag, problem);
}

static bool
compile_by_session(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				   char **problem)
{
	strategy->stickiness = (FlagField)
	{
		FLAG_FIELD, FLAG_TEXT("sessionId")
	};
	return compile_percentage(strategy, parameters, "percentage", flag, problem);
}

static bool
compile_by_chance(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				  char **problem)
{
	strategy->stickiness.source = FLAG_RANDOM;
	return compile_percentage(strategy, parameters, "percentage", flag, problem);
}

static bool
matches_by_chance(const FlagStrategy *strategy, const MigspecFlagContext *context)
{
	return !context->certain &&
		(int) pg_prng_uint64_range(&pg_global_prng_state, 1, 100000) <= strategy->threshold;
}

/*
 * Is the id's bucket among those that the percentage takes in?  Where nothing
 * says whose answer it is, the default stickiness leaves it to chance, as the
 * conformance suite demands; any other makes it "no".
 */
static bool
matches_rollout(const FlagStrategy *strategy, const MigspecFlagContext *context,
				MigspecDecision *decision)
{
	FlagText	id;

	if (strategy->stickiness.source == FLAG_RANDOM)
		return matches_by_chance(strategy, context);
	if (!migspec_flag_value(context, &strategy->stickiness, &id) || id.length == 0)
	{
		decision->error = "TARGETING_KEY_MISSING";
		return strategy->stickiness.source == FLAG_DEFAULT && matches_by_chance(strategy, context);
	}
	decision->bucket = migspec_flag_hash_id(&strategy->group_hash, id) % 100 + 1;

	/* the thousandths matter in one bucket only */
	if (decision->bucket * 1000 <= strategy->threshold)
		return true;
	return (decision->bucket - 1) * 1000 < strategy->threshold &&
		(decision->bucket - 1) * 1000 + migspec_flag_part(strategy->group, id) <= strategy->threshold;
}

static bool
compile_addresses(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				  char **problem)
{
	FlagText	list;
	FlagText   *parts;
	int			n;

	if (!migspec_flag_get_text(parameters, "IPs", &list))
		return true;
	n = migspec_flag_split(list, &parts);
	strategy->ids = migspec_flag_set(parts, n);
	strategy->ranges = palloc(sizeof(FlagRange) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		if (migspec_flag_parse_range(parts[i], &strategy->ranges[strategy->nranges]))
			strategy->nranges++;
	}
	return true;
}

static bool
matches_address(const FlagStrategy *strategy, const MigspecFlagContext *context,
				MigspecDecision *decision)
{
	FlagField	field = {FLAG_FIELD, FLAG_TEXT("remoteAddress")};
	FlagText	value;
	FlagRange	address;

	if (strategy->ids == NULL || !migspec_flag_value(context, &field, &value))
		return false;
	if (migspec_flag_set_has(strategy->ids, value))
		return true;
	if (!migspec_flag_parse_range(value, &address))
		return false;
	for (int i = 0; i < strategy->nranges; i++)
	{
		if (migspec_flag_range_has(&strategy->ranges[i], &address))
			return true;
	}
	return false;
}

/* The host is the database server's. */
static bool
compile_host_names(FlagStrategy *strategy, const JsonbValue *parameters, FlagText flag,
				   char **problem)
{
	char		host[256];
	FlagText	list;
	FlagText   *parts;
	int			n;

	if (gethostname(host, sizeof(host)) != 0 ||
		!migspec_flag_get_text(parameters, "hostNames", &list))
		return true;
	host[sizeof(host) - 1] = '\0';
	n = migspec_flag_split(list, &parts);
	for (int i = 0; i < n; i++)
	{
		if (parts[i].length == (int) strlen(host) &&
			pg_strncasecmp(parts[i].bytes, host, parts[i].length) == 0)
			strategy->host_matches = true;
	}
	return true;
}

static bool
matches_host(const FlagStrategy *strategy, const MigspecFlagContext *context,
			 MigspecDecision *decision)
{
	return strategy->host_matches;
}

static const FlagStrategyKind kinds[] = {
	{"default", compile_nothing, matches_everybody, MIGSPEC_REASON_STATIC},
	{"userWithId", compile_user_ids, matches_user_id, MIGSPEC_REASON_TARGETING_MATCH},
	{"flexibleRollout", compile_flexible, matches_rollout, MIGSPEC_REASON_SPLIT},
	{"gradualRollout", compile_gradual, matches_rollout, MIGSPEC_REASON_SPLIT},
	{"gradualRolloutUserId", compile_by_user, matches_rollout, MIGSPEC_REASON_SPLIT},
	{"gradualRolloutSessionId", compile_by_session, matches_rollout, MIGSPEC_REASON_SPLIT},
	{"gradualRolloutRandom", compile_by_chance, matches_rollout, MIGSPEC_REASON_SPLIT},
	{"remoteAddress", compile_addresses, matches_address, MIGSPEC_REASON_TARGETING_MATCH},
	{"applicationHostname", compile_host_names, matches_host, MIGSPEC_REASON_TARGETING_MATCH},
};

static const FlagStrategyKind *
find_kind(FlagText name)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (migspec_flag_text_is(name, kinds[i].name))
			return &kinds[i];
	}
	return NULL;
}

/* Append the constraints of an array; remember the first problem */
static void
append_constraints(FlagStrategy *strategy, const JsonbValue *object, char **problem)
{
	JsonbValue *elements;
	int			n = migspec_flag_get_array(object, "constraints", &elements);
	int			total = strategy->nconstraints + n;

	if (n == 0)
		return;
	strategy->constraints = strategy->constraints ?
		repalloc(strategy->constraints, sizeof(FlagConstraint) * total) :
		palloc(sizeof(FlagConstraint) * total);
	for (int i = 0; i < n; i++)
		(void) migspec_flag_compile_constraint(&elements[i],
											   &strategy->constraints[strategy->nconstraints++],
											   problem);
}

/* The constraints of the segments belong to the strategy as its own do. */
static void
append_segments(FlagStrategy *strategy, const JsonbValue *json, char **problem)
{
	JsonbValue *elements;
	int			n = migspec_flag_get_array(json, "segments", &elements);

	for (int i = 0; i < n; i++)
	{
		double		id;
		Jsonb	   *segment = NULL;
		JsonbValue	root;

		if (migspec_flag_parse_number(migspec_flag_scalar_text(&elements[i]), &id) &&
			id >= 0 && id <= PG_INT32_MAX)
			segment = migspec_flag_segment((int) id);
		if (segment == NULL)
		{
			strategy->segment_missing = true;
			continue;
		}
		root.type = jbvBinary;
		root.val.binary.data = &segment->root;
		root.val.binary.len = VARSIZE(segment) - VARHDRSZ;
		append_constraints(strategy, &root, problem);
	}
}

/*
 * The variants of a strategy: group and, unless the first variant has its own,
 * stickiness are its parameters, whatever its own rule makes of them.
 */
static void
compile_variants(FlagStrategy *strategy, const JsonbValue *json, FlagText flag)
{
	JsonbValue *parameters = migspec_flag_get(json, "parameters");
	FlagText	group;
	FlagText	name;
	FlagField	stickiness = migspec_flag_stickiness(NULL);

	if (!migspec_flag_get_text(parameters, "groupId", &group))
		group = flag;
	if (migspec_flag_get_text(parameters, "stickiness", &name))
		stickiness = migspec_flag_stickiness(&name);
	strategy->variants = migspec_flag_compile_variants(json, group, &stickiness);
}

/*
 * migspec_flag_compile_strategy -- see program.h; false, with a reason, if it
 * makes no sense and never matches.
 */
bool
migspec_flag_compile_strategy(const JsonbValue *json, FlagText flag,
							  FlagStrategy *strategy, char **problem)
{
	FlagText	name;
	JsonbValue *variants;

	memset(strategy, 0, sizeof(FlagStrategy));
	*problem = NULL;
	if (!migspec_flag_get_text(json, "name", &name))
	{
		*problem = pstrdup("a strategy needs a \"name\"");
		return false;
	}
	strategy->kind = find_kind(name);
	if (strategy->kind == NULL)
		*problem = psprintf("unknown strategy \"%.*s\"", name.length, name.bytes);
	else if (!strategy->kind->compile(strategy, migspec_flag_get(json, "parameters"), flag, problem))
		strategy->kind = NULL;
	append_constraints(strategy, json, problem);
	append_segments(strategy, json, problem);
	if (migspec_flag_get_array(json, "variants", &variants) > 0)
		compile_variants(strategy, json, flag);
	return *problem == NULL;
}
