/*-------------------------------------------------------------------------
 *
 * evaluate.c
 *		Is a flag on for somebody, and which variant does he get?
 *
 * On if it is switched on, and its parents are as it wants them, and one of its
 * strategies matches (or it has none).  A strategy matches if its constraints
 * and those of its segments hold, and its own rule does.  The first that
 * matches decides.
 *
 * No error is raised whatever the context holds.  Memory is taken from the
 * current context, which callers reset for each row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"

#include "flags/program.h"

/* costs nothing when nobody asks */
#define trace(to, ...) \
	do { \
		if (unlikely((to) != NULL)) \
			trace_line(to, __VA_ARGS__); \
	} while (0)

pg_attribute_printf(2, 3)
static void
trace_line(MigspecTrace *to, const char *format,...)
{
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(to->lines, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(to->lines, needed);
	}
	appendStringInfoChar(to->lines, '\n');
}

static bool
constraints_hold(const FlagStrategy *strategy, int number, const MigspecFlagContext *context,
				 MigspecTrace *to)
{
	if (strategy->segment_missing)
	{
		trace(to, "strategy %d names a segment that does not exist", number);
		return false;
	}
	for (int i = 0; i < strategy->nconstraints; i++)
	{
		const FlagConstraint *constraint = &strategy->constraints[i];

		if (migspec_flag_constraint_holds(constraint, context))
			continue;
		trace(to, "strategy %d: constraint %d (%s%s on \"%.*s\") does not hold", number, i + 1,
			  constraint->inverted ? "not " : "",
			  constraint->op ? constraint->op->name : "never",
			  constraint->field.name.length, constraint->field.name.bytes);
		return false;
	}
	return true;
}

static bool
strategy_matches(const FlagStrategy *strategy, int number, const MigspecFlagContext *context,
				 MigspecDecision *decision, MigspecTrace *to)
{
	bool		matches;

	if (strategy->kind == NULL)
	{
		trace(to, "strategy %d is not known or has wrong parameters", number);
		return false;
	}
	if (!constraints_hold(strategy, number, context, to))
		return false;
	matches = strategy->kind->matches(strategy, context, decision);
	if (decision->bucket > 0)
		trace(to, "strategy %d (%s): bucket %d of group \"%.*s\", rollout %g %%", number,
			  strategy->kind->name, decision->bucket, strategy->group.length,
			  strategy->group.bytes, strategy->threshold / 1000.0);
	trace(to, "strategy %d (%s) %s", number, strategy->kind->name,
		  matches ? "matches" : "does not match");
	return matches;
}

/*
 * Try the strategies; the first that matches decides.
 */
static void
try_strategies(const MigspecProgram *program, const MigspecFlagContext *context,
			   MigspecDecision *decision, MigspecTrace *to)
{
	for (int i = 0; i < program->nstrategies; i++)
	{
		const FlagStrategy *strategy = &program->strategies[i];

		if (!strategy_matches(strategy, i + 1, context, decision, to))
			continue;
		decision->enabled = true;
		decision->error = NULL;
		decision->strategy = i;
		decision->reason = strategy->kind->reason == MIGSPEC_REASON_STATIC &&
			strategy->nconstraints > 0 ? MIGSPEC_REASON_TARGETING_MATCH : strategy->kind->reason;
		if (strategy->variants && strategy->variants->total > 0)
			decision->variants = strategy->variants;
		return;
	}
	decision->reason = decision->error ? MIGSPEC_REASON_ERROR : MIGSPEC_REASON_DEFAULT;
}

static const FlagVariant *choose(const MigspecVariants *variants,
								 const MigspecFlagContext *context);

/*
 * Is the parent as this flag wants it?  A parent with parents of its own never
 * is, so nothing can go in circles.
 */
static bool
parent_agrees(const FlagParent *parent, const MigspecFlagContext *context, MigspecTrace *to)
{
	MigspecFlag *flag = migspec_flag_find(parent->name.bytes, parent->name.length, NULL);
	MigspecDecision decision;
	const FlagVariant *variant;

	if (flag == NULL || flag->program->nparents > 0)
	{
		trace(to, "parent \"%.*s\" %s", parent->name.length, parent->name.bytes,
			  flag ? "depends on another flag itself" : "does not exist");
		return false;
	}
	decision = migspec_flag_evaluate(flag, context, NULL);
	if (decision.enabled != parent->enabled)
	{
		trace(to, "parent \"%.*s\" is %s", parent->name.length, parent->name.bytes,
			  decision.enabled ? "on" : "off");
		return false;
	}
	if (!parent->enabled || parent->nvariants == 0)
		return true;
	variant = decision.variants ? choose(decision.variants, context) : NULL;
	for (int i = 0; i < parent->nvariants; i++)
	{
		FlagText	wanted = parent->variants[i];
		FlagText	name = variant ? variant->name : FLAG_TEXT("disabled");

		if (name.length == wanted.length && memcmp(name.bytes, wanted.bytes, name.length) == 0)
			return true;
	}
	trace(to, "parent \"%.*s\" has another variant", parent->name.length, parent->name.bytes);
	return false;
}

/*
 * migspec_flag_evaluate -- see flags.h.
 */
MigspecDecision
migspec_flag_evaluate(const MigspecFlag *flag, const MigspecFlagContext *context,
					  MigspecTrace *to)
{
	const MigspecProgram *program = flag->program;
	MigspecDecision decision = {.strategy = -1,.variants = program->variants};

	if (!program->valid)
	{
		decision.reason = MIGSPEC_REASON_ERROR;
		decision.error = "PARSE_ERROR";
		return decision;
	}
	if (!program->enabled)
	{
		trace(to, "the flag is switched off");
		decision.reason = MIGSPEC_REASON_DISABLED;
		return decision;
	}
	for (int i = 0; i < program->nparents; i++)
	{
		if (!parent_agrees(&program->parents[i], context, to))
		{
			decision.reason = MIGSPEC_REASON_DISABLED;
			return decision;
		}
	}
	if (program->nstrategies > 0)
		try_strategies(program, context, &decision, to);
	else
	{
		trace(to, "the flag has no strategies: it is on");
		decision.enabled = true;
		decision.reason = MIGSPEC_REASON_STATIC;
	}
	return decision;
}

/* A variant that is chosen by name or number of somebody, not by chance */
static const FlagVariant *
overridden(const MigspecVariants *variants, const MigspecFlagContext *context)
{
	for (int i = 0; i < variants->n; i++)
	{
		for (int j = 0; j < variants->items[i].noverrides; j++)
		{
			const FlagOverride *override = &variants->items[i].overrides[j];
			FlagText	value;

			if (migspec_flag_value(context, &override->field, &value) &&
				migspec_flag_set_has(override->values, value))
				return &variants->items[i];
		}
	}
	return NULL;
}

/*
 * The variant that somebody gets; NULL if there is none to be had, or only by
 * chance where nothing may be left to it.
 */
static const FlagVariant *
choose(const MigspecVariants *variants, const MigspecFlagContext *context)
{
	const FlagVariant *variant;
	FlagText	id;
	int			bucket;
	int			weight = 0;

	if (variants->total == 0)
		return NULL;
	variant = overridden(variants, context);
	if (variant)
		return variant;
	if (context->certain && variants->stickiness.source == FLAG_RANDOM)
		return NULL;
	if (!migspec_flag_value(context, &variants->stickiness, &id) || id.length == 0)
	{
		FlagField	random = {FLAG_RANDOM, {"", 0}};

		if (context->certain)
			return NULL;
		(void) migspec_flag_value(context, &random, &id);
	}
	bucket = migspec_flag_variant_bucket(variants->group.bytes, variants->group.length,
										 id.bytes, id.length, variants->total);
	for (int i = 0; i < variants->n; i++)
	{
		weight += variants->items[i].weight;
		if (variants->items[i].weight > 0 && weight >= bucket)
			return &variants->items[i];
	}
	return NULL;
}

static void
push_key(JsonbParseState **state, const char *key)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = unconstify(char *, key);
	value.val.string.len = strlen(key);
	(void) pushJsonbValue(state, WJB_KEY, &value);
}

static void
push_bool(JsonbParseState **state, const char *key, bool b)
{
	JsonbValue	value = {.type = jbvBool};

	push_key(state, key);
	value.val.boolean = b;
	(void) pushJsonbValue(state, WJB_VALUE, &value);
}

/*
 * migspec_flag_choose_variant -- see flags.h.
 */
Jsonb *
migspec_flag_choose_variant(const MigspecFlag *flag, const MigspecDecision *decision,
							const MigspecFlagContext *context)
{
	const FlagVariant *variant = NULL;
	JsonbParseState *state = NULL;
	JsonbValue	name = {.type = jbvString};
	FlagText text = FLAG_TEXT("disabled");

	if (decision->enabled && decision->variants)
		variant = choose(decision->variants, context);
	if (variant)
		text = variant->name;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	push_key(&state, "name");
	name.val.string.val = unconstify(char *, text.bytes);
	name.val.string.len = text.length;

	(void) pushJsonbValue(&state, WJB_VALUE, &name);
	push_bool(&state, "enabled", variant != NULL);
	push_bool(&state, "feature_enabled", decision->enabled);
	if (variant && variant->payload)
	{
		push_key(&state, "payload");
		(void) pushJsonbValue(&state, WJB_VALUE, variant->payload);
	}
	return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, NULL));
}
