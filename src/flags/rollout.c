/*-------------------------------------------------------------------------
 *
 * rollout.c
 *		Rollout plans: taking a flag to more users, step by step, by itself.
 *
 * A plan and where it stands are a row of migspec.flag_plan.  A look at it is
 * one transaction: it moves at most one step, together with the flag's document
 * and an event that has the numbers it went by.  So a crash, a restart or a
 * promoted standby costs nothing but the time that it takes.
 *
 * A step is over when it has lasted min_time, min_samples evaluations have said
 * "on" since it began, and its check says true; with "at least", so that a look
 * that comes late finds the same.  A check that says nothing (NULL, no row, an
 * error, a timeout) holds; one that says false counts as a failure, and at
 * failure_limit of them in a step the plan halts, after going back a step if it
 * is told to.  Somebody who changes the flag meanwhile has changed what is
 * measured: the step begins anew; if he has changed the percentage, the plan
 * halts, because he knows better.
 *
 * Runs in sessions and in the rollout worker.  Locks: the row of the generation,
 * then that of the plan; the worker takes them the other way round, because it
 * mostly needs only the latter, and lets go soon if it does not get the former.
 *
 * Interleavings that must be survived:
 * - A session changes the plan, or the flag, while the check runs: the look
 *	 sees what is there now, and uses the answer only if the step is still
 *	 the one that was begun then.
 * - A session has locked the plan's row: the next look is soon enough.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "flags/program.h"
#include "flags/rollout.h"
#include "flags/stage.h"

#define CHECK_TIMEOUT	"5 s"

/* seconds that a check may be given, and days that a step may take */
#define LONGEST_CHECK	3600
#define LONGEST_DAYS	36500

#define JSONB_PARAM(j) MIGSPEC_DATUM(JSONBOID, JsonbPGetDatum(j), false)

static const char *const verdicts[] = {
	[MIGSPEC_VERDICT_NONE] = NULL,
	[MIGSPEC_VERDICT_SUCCESS] = "success",
	[MIGSPEC_VERDICT_FAILURE] = "failure",
	[MIGSPEC_VERDICT_INCONCLUSIVE] = "inconclusive",
};

/* a plan, and what a look at it has to know */
typedef struct RolloutPlan
{
	MigspecFlagRow *flag;
	char	   *state;
	int			step;
	char	   *since;
	int			steps;
	int			failures;
	int			failure_limit;
	bool		step_back;
	bool		changed;		/* the flag, since the plan has moved it */
	bool		off;			/* the flag is switched off */
	char	   *percent;		/* that the step wants */
	char	   *actual;			/* that the flag has */
	char	   *frozen;			/* why, or NULL */
	bool		too_early;
	char	   *elapsed;
	char	   *min_time;
	int64		samples;
	int64		min_samples;
} RolloutPlan;

/*
 * Of the first strategy that is a rollout; as migspec_flag_set_rollout() finds
 * it.
 */
#define ACTUAL_PERCENT \
	"(SELECT coalesce(t.value #>> '{parameters,rollout}', t.value #>> '{parameters,percentage}')" \
	"  FROM jsonb_array_elements(" MIGSPEC_JSON("f.document -> 'strategies'", "[]") ") WITH ORDINALITY AS t" \
	"  WHERE t.value ->> 'name' IN ('flexibleRollout', 'gradualRollout'," \
	"   'gradualRolloutUserId', 'gradualRolloutSessionId', 'gradualRolloutRandom')" \
	"  ORDER BY t.ordinality LIMIT 1)"

/* the last percentage of the steps up to "step" */
#define WANTED_PERCENT(step) \
	"coalesce((SELECT t.value ->> 'percent' FROM jsonb_array_elements(p.plan -> 'steps')" \
	"  WITH ORDINALITY AS t WHERE t.ordinality <= " step " AND t.value ? 'percent'" \
	"  ORDER BY t.ordinality DESC LIMIT 1), '0')"

/*
 * A plan that is to be looked at.  A dump that is being restored has no event
 * numbers yet, and a plan that moves would take those of events to come.
 */
#define RUNNING \
	"p.state = 'running' AND (SELECT s.is_called FROM migspec.event_id_seq AS s)"

static const char *const load_query =
"SELECT p.state, p.step, p.step_since::text AS since, jsonb_array_length(p.plan -> 'steps') AS steps, p.failures,"
" coalesce((p.plan ->> 'failure_limit')::numeric::integer, 1) AS failure_limit,"
" coalesce(p.plan ->> 'on_failure', 'halt') = 'step_back' AS step_back,"
" p.stamp <> f.stamp AS changed,"
" coalesce(f.document -> 'enabled' = 'false', false) AS off,"
" " WANTED_PERCENT("p.step") " AS percent,"
" " ACTUAL_PERCENT " AS actual,"
" coalesce(p.frozen, (SELECT reason FROM migspec.flag_freeze)) AS frozen,"
" clock_timestamp() - p.step_since < s.min_time AS too_early,"
" date_trunc('milliseconds', clock_timestamp() - p.step_since)::text AS elapsed, s.min_time::text AS min_time,"
" greatest(coalesce(c.evaluations_on, 0) - p.samples_before, 0) AS samples,"
" coalesce(s.step ->> 'min_samples', p.plan ->> 'min_samples', '0')::numeric::bigint AS min_samples"
" FROM migspec.flag_plan AS p JOIN migspec.flag AS f ON f.name = p.flag"
" LEFT JOIN migspec.flag_count AS c ON c.flag = p.flag"
" CROSS JOIN LATERAL (SELECT t.step, coalesce(t.step ->> 'min_time', p.plan ->> 'min_time', '0')::interval AS min_time"
"  FROM (SELECT p.plan -> 'steps' -> greatest(p.step - 1, 0) AS step) AS t) AS s"
" WHERE p.flag = $1 FOR UPDATE OF p";

/*
 * The plan, for the flag's owner; its row is locked.  NULL if there is none,
 * or, if "nowait", if somebody has locked it.
 */
static RolloutPlan *
load(const char *name, bool nowait)
{
	RolloutPlan *plan = NULL;
	MigspecFlagRow *flag = migspec_flag_require(name, nowait);
	MigspecIdentity saved;

	if (flag == NULL)
		return NULL;
	migspec_catalog_begin(&saved);
	if (migspec_sql(nowait ? psprintf("%s SKIP LOCKED", load_query) : load_query,
					MIGSPEC_PARAMS(MIGSPEC_TEXT(name))) == 1)
	{
		plan = palloc0(sizeof(RolloutPlan));
		plan->flag = flag;
		plan->state = migspec_spi_text(0, "state");
		plan->step = (int) migspec_spi_int8(0, "step");
		plan->since = migspec_spi_text(0, "since");
		plan->steps = (int) migspec_spi_int8(0, "steps");
		plan->failures = (int) migspec_spi_int8(0, "failures");
		plan->failure_limit = (int) migspec_spi_int8(0, "failure_limit");
		plan->step_back = migspec_spi_bool(0, "step_back");
		plan->changed = migspec_spi_bool(0, "changed");
		plan->off = migspec_spi_bool(0, "off");
		plan->percent = migspec_spi_text(0, "percent");
		plan->actual = migspec_spi_text(0, "actual");
		plan->frozen = migspec_spi_text(0, "frozen");
		plan->too_early = migspec_spi_bool(0, "too_early");
		plan->elapsed = migspec_spi_text(0, "elapsed");
		plan->min_time = migspec_spi_text(0, "min_time");
		plan->samples = migspec_spi_int8(0, "samples");
		plan->min_samples = migspec_spi_int8(0, "min_samples");
	}
	migspec_catalog_end(&saved);
	return plan;
}

static RolloutPlan *
require(const char *name)
{
	RolloutPlan *plan = load(name, false);

	if (plan == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_FLAG),
				 errmsg("flag \"%s\" has no rollout plan", name),
				 errhint("migspec_flag_plan makes one.")));
	return plan;
}

/*
 * An event, with the numbers that led to it.
 */
static void
record(const RolloutPlan *plan, const char *event, const char *to, const char *reason,
	   MigspecVerdict verdict)
{
	migspec_event(0, plan->flag->migration, event, true, "flag", plan->flag->name,
				  "step", psprintf("%d", plan->step), "to_step", to,
				  "percent", plan->percent, "elapsed", plan->elapsed,
				  "samples", psprintf(INT64_FORMAT, plan->samples),
				  "verdict", verdicts[verdict], "failures", psprintf("%d", plan->failures),
				  "reason", reason, NULL);
}

/*
 * Have the flag take in those whom the steps up to "step" say: its own
 * strategies stay, those of earlier and of later steps come and go.
 */
static void
apply(const char *name, int step)
{
	int64		stamp = migspec_flag_begin_change();
	MigspecIdentity saved;
	char	   *percent;

	migspec_catalog_begin(&saved);
	(void) migspec_sql("UPDATE migspec.flag AS f SET stamp = $3, changed_at = now(),"
					   " sample = coalesce(f.sample, $3),"
					   " document = jsonb_set(f.document, '{strategies}',"
					   "  (SELECT coalesce(jsonb_agg(u.strategy ORDER BY u.part, u.ordinality), '[]') FROM ("
					   "   SELECT t.value AS strategy, 2 AS part, t.ordinality"
					   "    FROM jsonb_array_elements(" MIGSPEC_JSON("f.document -> 'strategies'", "[]") ") WITH ORDINALITY AS t"
					   "    WHERE coalesce(t.value ->> 'title', '') !~ '^migspec plan, step '"
					   "   UNION ALL"
					   "   SELECT jsonb_strip_nulls(jsonb_build_object('title', 'migspec plan, step ' || t.ordinality,"
					   "     'name', CASE WHEN t.value ? 'users' THEN 'userWithId' ELSE 'default' END,"
					   "     'segments', t.value -> 'segments', 'constraints', t.value -> 'constraints',"
					   "     'parameters', CASE WHEN t.value ? 'users' THEN jsonb_build_object('userIds',"
					   "      (SELECT string_agg(i.user_id, ',') FROM jsonb_array_elements_text(t.value -> 'users') AS i(user_id)))"
					   "      ELSE '{}' END)), 1, t.ordinality"
					   "    FROM jsonb_array_elements(p.plan -> 'steps') WITH ORDINALITY AS t"
					   "    WHERE t.ordinality <= $2 AND t.value ?| ARRAY['users', 'segments', 'constraints']) AS u))"
					   " FROM migspec.flag_plan AS p WHERE f.name = $1 AND p.flag = f.name"
					   " RETURNING " WANTED_PERCENT("$2") " AS percent",
					   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_INT4(step), MIGSPEC_INT8(stamp)));
	percent = migspec_spi_text(0, "percent");
	migspec_catalog_end(&saved);
	migspec_flag_set_rollout(name, percent, stamp);
}

/* The step begins now, with the flag as it is. */
static void
begin_step(const char *name, const char *state, int step)
{
	(void) migspec_catalog_sql("UPDATE migspec.flag_plan AS p SET state = $2, step = $3,"
							   " step_since = clock_timestamp(), failures = 0, verdict = NULL,"
							   " reason = NULL, message = NULL, looked_at = clock_timestamp(),"
							   " stamp = (SELECT f.stamp FROM migspec.flag AS f WHERE f.name = p.flag),"
							   " samples_before = coalesce((SELECT c.evaluations_on FROM migspec.flag_count AS c"
							   "  WHERE c.flag = p.flag), 0)"
							   " WHERE flag = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_TEXT(state), MIGSPEC_INT4(step)));
}

static void
move(const RolloutPlan *plan, int step, MigspecVerdict verdict)
{
	apply(plan->flag->name, step);
	begin_step(plan->flag->name, "running", step);
	record(plan, "flag_plan_step", psprintf("%d", step), NULL, verdict);
}

/* Write down what the look has found. */
static void
note(const RolloutPlan *plan, const char *state, MigspecVerdict verdict, const char *reason,
	 const char *message)
{
	(void) migspec_catalog_sql("UPDATE migspec.flag_plan SET state = $2, failures = $3, verdict = $4,"
							   " reason = $5, message = $6, looked_at = clock_timestamp()"
							   " WHERE flag = $1 AND (state, failures, coalesce(verdict, ''), coalesce(reason, ''),"
							   "  coalesce(message, '')) <>"
							   " ($2, $3, coalesce($4, ''), coalesce($5, ''), coalesce($6, ''))",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(plan->flag->name), MIGSPEC_TEXT(state),
											  MIGSPEC_INT4(plan->failures), MIGSPEC_TEXT(verdicts[verdict]),
											  MIGSPEC_TEXT(reason), MIGSPEC_TEXT(message)));
}

static void
halt(const RolloutPlan *plan, MigspecVerdict verdict, const char *reason, const char *message)
{
	note(plan, "halted", verdict, reason, message);
	record(plan, "flag_plan_halted", NULL, reason, verdict);
}

/*
 * The check has said no too often: halt, here or a step back.
 */
static void
fail(RolloutPlan *plan, const char *message)
{
	char	   *reason = psprintf("step %d halted after %d failed checks", plan->step, plan->failures);
	int			step = plan->step_back ? plan->step - 1 : plan->step;

	if (plan->step_back)
	{
		apply(plan->flag->name, step);
		begin_step(plan->flag->name, "halted", step);
	}
	note(plan, "halted", MIGSPEC_VERDICT_FAILURE, reason, message);
	record(plan, "flag_plan_halted", psprintf("%d", step), reason, MIGSPEC_VERDICT_FAILURE);
}

/*
 * What a look has to heed before it asks whether the step is over: true if
 * something was in the way.
 */
static bool
is_disturbed(const RolloutPlan *plan, MigspecVerdict verdict)
{
	if (plan->flag->stage != MIGSPEC_STAGE_NONE && plan->flag->next_stage == MIGSPEC_STAGE_NONE)
	{
		halt(plan, verdict, "the migration flag is at rest in a stage", NULL);
		return true;
	}
	if (plan->step == 0)
	{
		if (plan->frozen)
			note(plan, "running", verdict, psprintf("frozen: %s", plan->frozen), NULL);
		else
			move(plan, 1, MIGSPEC_VERDICT_NONE);
		return true;
	}
	if (plan->changed)
	{
		if (plan->actual == NULL ||
			strtod(plan->actual, NULL) != strtod(plan->percent, NULL))
			halt(plan, verdict, "somebody has changed the percentage of the flag", NULL);
		else
		{
			begin_step(plan->flag->name, "running", plan->step);
			record(plan, "flag_plan_restarted", NULL, "somebody has changed the flag", verdict);
		}
		return true;
	}
	if (plan->off)
	{
		note(plan, "running", verdict, "the flag is switched off", NULL);
		return true;
	}
	return false;
}

/*
 * Why the step is not over; NULL if it is.
 */
static char *
why_not(const RolloutPlan *plan, const MigspecCheckQuery *check)
{
	if (check->verdict == MIGSPEC_VERDICT_FAILURE)
		return psprintf("the check has failed %d of %d times", plan->failures, plan->failure_limit);
	if (check->verdict == MIGSPEC_VERDICT_INCONCLUSIVE)
		return pstrdup(check->message ? "the check cannot be run" : "the check is inconclusive");
	if (plan->too_early)
		return psprintf("min_time: %s", plan->min_time);
	if (plan->samples < plan->min_samples)
		return psprintf("min_samples: " INT64_FORMAT, plan->min_samples);
	if (plan->frozen)
		return psprintf("frozen: %s", plan->frozen);
	return NULL;
}

/*
 * migspec_rollout_look -- see rollout.h.
 */
void
migspec_rollout_look(const MigspecCheckQuery *check)
{
	RolloutPlan *plan = load(check->flag, true);
	char	   *reason;

	if (plan == NULL || strcmp(plan->state, "running") != 0 ||
		plan->step != check->step || strcmp(plan->since, check->since) != 0 ||
		is_disturbed(plan, check->verdict))
		return;
	if (check->verdict == MIGSPEC_VERDICT_FAILURE && ++plan->failures >= plan->failure_limit)
	{
		fail(plan, check->message);
		return;
	}
	reason = why_not(plan, check);
	if (reason)
		note(plan, "running", check->verdict, reason, check->message);
	else if (plan->step < plan->steps)
		move(plan, plan->step + 1, check->verdict);
	else
	{
		note(plan, "done", check->verdict, NULL, NULL);
		record(plan, "flag_plan_done", NULL, NULL, check->verdict);
	}
}

/* see rollout.h */
bool
migspec_rollout_any(void)
{
	MigspecIdentity saved;
	bool		any;

	migspec_catalog_begin(&saved);
	any = migspec_sql("SELECT FROM migspec.flag_plan AS p WHERE " RUNNING " LIMIT 1", 0, NULL) > 0;
	migspec_catalog_end(&saved);
	return any;
}

/*
 * migspec_rollout_checks -- see rollout.h.
 */
List *
migspec_rollout_checks(void)
{
	List	   *result = NIL;
	MigspecIdentity saved;
	uint64		n;

	migspec_catalog_begin(&saved);
	n = migspec_sql("SELECT p.flag, p.step, p.step_since::text AS since, coalesce(s.step ->> 'check', p.plan ->> 'check') AS query,"
					" p.author_search_path, f.owner::oid AS role,"
					" (extract(epoch FROM coalesce(p.plan ->> 'check_timeout', '" CHECK_TIMEOUT "')::interval)"
					"  * 1000)::bigint AS timeout"
					" FROM migspec.flag_plan AS p JOIN migspec.flag AS f ON f.name = p.flag"
					" CROSS JOIN LATERAL (SELECT CASE WHEN p.step > 0 THEN p.plan -> 'steps' -> (p.step - 1) END AS step) AS s"
					" WHERE " RUNNING " ORDER BY p.flag", 0, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MigspecCheckQuery *check = palloc0(sizeof(MigspecCheckQuery));

		check->flag = migspec_spi_text(i, "flag");
		check->step = (int) migspec_spi_int8(i, "step");
		check->since = migspec_spi_text(i, "since");
		check->query = check->step > 0 ? migspec_spi_text(i, "query") : NULL;
		check->search_path = migspec_spi_text(i, "author_search_path");
		check->role = migspec_spi_oid(i, "role");
		check->timeout = (int) migspec_spi_int8(i, "timeout");
		result = lappend(result, check);
	}
	migspec_catalog_end(&saved);
	return result;
}

static void
complain(List **problems, const char *path, const char *key, const char *what)
{
	*problems = lappend(*problems, psprintf("%s.%s: %s", path, key, what));
}

/* Keys of a plan or a step: how their values are checked */
typedef enum KeyKind
{
	KEY_PERCENT, KEY_INTERVAL, KEY_COUNT, KEY_TEXT, KEY_ARRAY, KEY_ON_FAILURE
} KeyKind;

typedef struct Key
{
	const char *name;
	KeyKind		kind;
	bool		of_plan;
	bool		of_step;
} Key;

static const Key keys[] = {
	{"check", KEY_TEXT, true, true},
	{"check_timeout", KEY_INTERVAL, true, false},
	{"constraints", KEY_ARRAY, false, true},
	{"failure_limit", KEY_COUNT, true, false},
	{"min_samples", KEY_COUNT, true, true},
	{"min_time", KEY_INTERVAL, true, true},
	{"on_failure", KEY_ON_FAILURE, true, false},
	{"percent", KEY_PERCENT, false, true},
	{"segments", KEY_ARRAY, false, true},
	{"steps", KEY_ARRAY, true, false},
	{"users", KEY_ARRAY, false, true},
};

/*
 * An interval that can be waited for; a check must come to an end, because the
 * others wait for it.
 */
static void
check_interval(List **problems, const char *path, const char *key, char *text)
{
	Interval   *interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
																 ObjectIdGetDatum(InvalidOid),
																 Int32GetDatum(-1)));
	double		seconds = (double) interval->time / USECS_PER_SEC +
	((double) interval->day + (double) interval->month * DAYS_PER_MONTH) * SECS_PER_DAY;

	if (strcmp(key, "check_timeout") == 0 && (seconds < 0.001 || seconds > LONGEST_CHECK))
		complain(problems, path, key, "must be between 1 millisecond and 1 hour");
	else if (seconds < 0 || seconds > (double) LONGEST_DAYS * SECS_PER_DAY)
		complain(problems, path, key, "must be between 0 and 100 years");
}

static void
check_value(List **problems, const char *path, const Key *key, const JsonbValue *object)
{
	FlagText text;
	JsonbValue *value = migspec_flag_get(object, key->name);
	bool		scalar = migspec_flag_get_text(object, key->name, &text);
	double		number = 0;

	switch (key->kind)
	{
		case KEY_PERCENT:
			if (!scalar || !migspec_flag_parse_number(text, &number) || number < 0 || number > 100)
				complain(problems, path, key->name, "must be a number from 0 to 100");
			break;
		case KEY_COUNT:
			if (!scalar || text.length == 0 || text.length > 9 ||
				strspn(pnstrdup(text.bytes, text.length), "0123456789") != (size_t) text.length)
				complain(problems, path, key->name, "must be a whole number");
			break;
		case KEY_INTERVAL:
			if (!scalar)
				complain(problems, path, key->name, "must be an interval");
			else
				check_interval(problems, path, key->name, pnstrdup(text.bytes, text.length));
			break;
		case KEY_TEXT:
			if (value == NULL || value->type != jbvString)
				complain(problems, path, key->name, "must be a text");
			break;
		case KEY_ARRAY:
			if (value == NULL || value->type != jbvBinary ||
				!JsonContainerIsArray(value->val.binary.data))
				complain(problems, path, key->name, "must be an array");
			break;
		case KEY_ON_FAILURE:
			if (!scalar || (!migspec_flag_text_is(text, "halt") && !migspec_flag_text_is(text, "step_back")))
				complain(problems, path, key->name, "must be \"halt\" or \"step_back\"");
			break;
	}
}

static void
check_keys(List **problems, const char *path, const JsonbValue *object, bool step)
{
	JsonbIterator *it = JsonbIteratorInit(object->val.binary.data);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		FlagText	name = {value.val.string.val, value.val.string.len};
		const Key  *found = NULL;

		if (token != WJB_KEY)
			continue;
		for (size_t i = 0; i < lengthof(keys); i++)
		{
			if (migspec_flag_text_is(name, keys[i].name) && (step ? keys[i].of_step : keys[i].of_plan))
				found = &keys[i];
		}
		if (found)
			check_value(problems, path, found, object);
		else
			complain(problems, path, pnstrdup(name.bytes, name.length), "is not known here");
	}
}

/*
 * Whom does a step take in?  At least somebody, and not fewer than the one
 * before it.
 */
static void
check_step(List **problems, const char *path, const JsonbValue *step, double *percent)
{
	FlagText text;
	double		number;

	if (step->type != jbvBinary || !JsonContainerIsObject(step->val.binary.data))
	{
		*problems = lappend(*problems, psprintf("%s: must be an object", path));
		return;
	}
	check_keys(problems, path, step, true);
	if (migspec_flag_get_text(step, "percent", &text) && migspec_flag_parse_number(text, &number))
	{
		if (number < *percent)
			complain(problems, path, "percent", "must not be less than that of the step before");
		*percent = number;
	}
	else if (migspec_flag_get(step, "users") == NULL && migspec_flag_get(step, "segments") == NULL &&
			 migspec_flag_get(step, "constraints") == NULL)
		*problems = lappend(*problems, psprintf("%s: must have \"percent\", \"users\", \"segments\" or \"constraints\"", path));
}

/*
 * Error MG602 with everything that is wrong.
 */
static void
check_plan(const char *name, Jsonb *plan)
{
	List	   *problems = NIL;
	StringInfoData lines;
	ListCell   *lc;

	if (!JB_ROOT_IS_OBJECT(plan))
		problems = list_make1(pstrdup("$: must be an object"));
	else
	{
		JsonbValue	root = {.type = jbvBinary};
		JsonbValue *steps;
		double		percent = 0;
		int			n;

		root.val.binary.data = &plan->root;
		root.val.binary.len = VARSIZE(plan) - VARHDRSZ;
		check_keys(&problems, "$", &root, false);
		n = migspec_flag_get_array(&root, "steps", &steps);
		if (n == 0)
			complain(&problems, "$", "steps", "must have at least one step");
		for (int i = 0; i < n; i++)
			check_step(&problems, psprintf("$.steps[%d]", i), &steps[i], &percent);
	}
	if (problems == NIL)
		return;
	initStringInfo(&lines);
	foreach(lc, problems)
		appendStringInfo(&lines, "%s%s", lines.len ? "\n" : "", (char *) lfirst(lc));
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_MALFORMED_FLAG),
			 errmsg("malformed rollout plan for flag \"%s\"", name),
			 errdetail_internal("%s", lines.data)));
}

/* The document that the plan makes is one that the flag may have. */
static void
check_document(const char *name)
{
	MigspecFlagRow *row = migspec_flag_require(name, false);
	List	   *problems = migspec_flag_problems(DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
																					CStringGetDatum(row->document))));

	if (problems != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_MALFORMED_FLAG),
				 errmsg("malformed rollout plan for flag \"%s\"", name),
				 errdetail_internal("%s", (char *) linitial(problems))));
}

static void
check_flag(const MigspecFlagRow *flag)
{
	if (flag->stage != MIGSPEC_STAGE_NONE && flag->next_stage == MIGSPEC_STAGE_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("migration flag \"%s\" is at rest in stage %s", flag->name,
						migspec_stage_name(flag->stage)),
				 errdetail("A plan takes users from one stage to the next."),
				 errhint("Open the next stage with migspec_flag_advance first.")));
}

/*
 * migspec_rollout_start -- see rollout.h.  All steps are tried, so that the
 * worker does not find later that one of them cannot be.
 */
void
migspec_rollout_start(const char *name, Jsonb *document)
{
	RolloutPlan *plan;

	check_plan(name, document);
	(void) migspec_flag_begin_change();
	check_flag(migspec_flag_require(name, false));
	(void) migspec_catalog_sql("INSERT INTO migspec.flag_plan AS p (flag, plan, author_search_path) VALUES ($1, $2, $3)"
							   " ON CONFLICT (flag) DO UPDATE SET plan = excluded.plan, state = 'running', step = 0,"
							   " author_search_path = excluded.author_search_path, frozen = NULL",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), JSONB_PARAM(document),
											  MIGSPEC_TEXT(namespace_search_path)));
	plan = require(name);
	apply(name, plan->steps);
	check_document(name);
	apply(name, plan->frozen ? 0 : 1);
	begin_step(name, "running", plan->frozen ? 0 : 1);
	record(require(name), "flag_plan_started", NULL, NULL, MIGSPEC_VERDICT_NONE);
}

/* see rollout.h */
void
migspec_rollout_resume(const char *name)
{
	RolloutPlan *plan;
	int			step;

	(void) migspec_flag_begin_change();
	plan = require(name);
	step = Max(plan->step, plan->frozen ? 0 : 1);
	if (strcmp(plan->state, "halted") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("the rollout plan of flag \"%s\" has not halted", name),
				 errdetail("It is %s.", plan->state)));
	check_flag(plan->flag);
	apply(name, step);
	begin_step(name, "running", step);
	record(require(name), "flag_plan_resumed", NULL, NULL, MIGSPEC_VERDICT_NONE);
}

/* see rollout.h */
void
migspec_rollout_drop(const char *name)
{
	RolloutPlan *plan = require(name);

	(void) migspec_catalog_sql("DELETE FROM migspec.flag_plan WHERE flag = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name)));
	record(plan, "flag_plan_dropped", NULL, NULL, MIGSPEC_VERDICT_NONE);
}

/* see rollout.h */
void
migspec_rollout_freeze(const char *name, bool frozen, const char *reason)
{
	if (reason == NULL)
		reason = "no reason given";
	if (name)
	{
		(void) require(name);
		(void) migspec_catalog_sql("UPDATE migspec.flag_plan SET frozen = $2 WHERE flag = $1",
								   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_TEXT(frozen ? reason : NULL)));
	}
	else
	{
		if (!migspec_owns_database(MyDatabaseId, GetUserId()))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("permission denied to freeze all rollout plans"),
					 errdetail("It is for the owner of the database."),
					 errhint("Give the flag as an argument to freeze one plan of yours.")));
		(void) migspec_catalog_sql(frozen ? "INSERT INTO migspec.flag_freeze (reason) VALUES ($1)"
								   " ON CONFLICT (one_row) DO UPDATE SET reason = excluded.reason, at = excluded.at"
								   : "DELETE FROM migspec.flag_freeze WHERE $1 IS NOT NULL",
								   MIGSPEC_PARAMS(MIGSPEC_TEXT(reason)));
	}
	migspec_event(0, NULL, frozen ? "flag_frozen" : "flag_unfrozen", true,
				  "flag", name, "reason", reason, NULL);
}
