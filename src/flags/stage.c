/*-------------------------------------------------------------------------
 *
 * stage.c
 *		What the stages of migration flags mean, and what documents they bear.
 *
 * Runs in every process that evaluates a flag; takes no locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "base/errors.h"
#include "base/sqlutil.h"
#include "flags/program.h"
#include "flags/sample.h"
#include "flags/stage.h"

typedef struct StageKind
{
	const char *name;
	bool		reads_new;
	bool		compares;
	int			nwrites;
	const char *writes[2];
	MigspecPhase first;			/* phases of the migration */
	MigspecPhase last;
	const char *needs;
	int			forms;			/* the smallest form that has it */
} StageKind;

/* the new column alone takes over what the old one had at the switch */
static const StageKind kinds[] = {
	[MIGSPEC_STAGE_OFF] = {"off", false, false, 1, {"old"},
	MIGSPEC_PLANNED, MIGSPEC_SWITCHED, "the old column", 2},
	[MIGSPEC_STAGE_DUALWRITE] = {"dualwrite", false, false, 2, {"old", "new"},
	MIGSPEC_EXPANDED, MIGSPEC_SWITCHED, "both columns, in sync (expanded to switched)", 6},
	[MIGSPEC_STAGE_SHADOW] = {"shadow", false, true, 2, {"old", "new"},
	MIGSPEC_VERIFIED, MIGSPEC_SWITCHED, "all rows migrated and verified (verified or switched)", 4},
	[MIGSPEC_STAGE_LIVE] = {"live", true, true, 2, {"new", "old"},
	MIGSPEC_VERIFIED, MIGSPEC_SWITCHED, "all rows migrated and verified (verified or switched)", 4},
	[MIGSPEC_STAGE_RAMPDOWN] = {"rampdown", true, false, 2, {"new", "old"},
	MIGSPEC_SWITCHED, MIGSPEC_SWITCHED, "that the new column has taken over (switched)", 6},
	[MIGSPEC_STAGE_COMPLETE] = {"complete", true, false, 1, {"new"},
	MIGSPEC_SWITCHED, MIGSPEC_FINISHED, "that the new column has taken over (switched or later)", 2},
};

/* see stage.h */
MigspecStage
migspec_stage_from_name(const char *name)
{
	for (size_t i = 0; name && i < lengthof(kinds); i++)
	{
		if (strcmp(kinds[i].name, name) == 0)
			return (MigspecStage) i;
	}
	return MIGSPEC_STAGE_NONE;
}

/* see stage.h */
const char *
migspec_stage_name(MigspecStage stage)
{
	return stage == MIGSPEC_STAGE_NONE ? NULL : kinds[stage].name;
}

/* see stage.h */
MigspecStage
migspec_stage_at(int form, int position)
{
	for (size_t i = 0; i < lengthof(kinds) && position >= 0; i++)
	{
		if (kinds[i].forms <= form && position-- == 0)
			return (MigspecStage) i;
	}
	return MIGSPEC_STAGE_NONE;
}

/* see stage.h */
int
migspec_stage_position(int form, MigspecStage stage)
{
	for (int i = 0; i < form; i++)
	{
		if (stage != MIGSPEC_STAGE_NONE && migspec_stage_at(form, i) == stage)
			return i;
	}
	return -1;
}

/* see stage.h */
bool
migspec_stage_reads_new(MigspecStage stage)
{
	return kinds[stage].reads_new;
}

/* see stage.h */
bool
migspec_stage_compares(MigspecStage stage)
{
	return kinds[stage].compares;
}

/* see stage.h */
const char *const *
migspec_stage_writes(MigspecStage stage, int *n)
{
	*n = kinds[stage].nwrites;
	return kinds[stage].writes;
}

/* see stage.h */
bool
migspec_stage_fits(MigspecStage stage, MigspecPhase phase)
{
	return phase >= kinds[stage].first && phase <= kinds[stage].last;
}

/* see stage.h */
const char *
migspec_stage_needs(MigspecStage stage)
{
	return kinds[stage].needs;
}

/*
 * migspec_stage_of -- see stage.h.
 *
 * Nothing is left to chance, since a reader and a writer have to come to the
 * same stage; and what fails is "off" here, which is the stage that everybody
 * has reached: old before the cut-over, new after it.
 */
MigspecStage
migspec_stage_of(const MigspecFlag *flag, const MigspecFlagContext *context)
{
	MigspecFlagContext certain = *context;
	bool		is_on;

	if (flag == NULL)
		return MIGSPEC_STAGE_OFF;
	if (flag->stage != MIGSPEC_STAGE_NONE && flag->next_stage == MIGSPEC_STAGE_NONE)
	{
		migspec_sample_count(flag->sample, MIGSPEC_COUNT_OFF);
		return flag->stage;
	}
	certain.certain = true;
	is_on = migspec_flag_evaluate(flag, &certain, NULL).enabled;
	migspec_sample_count(flag->sample, is_on ? MIGSPEC_COUNT_ON : MIGSPEC_COUNT_OFF);
	if (flag->stage == MIGSPEC_STAGE_NONE)
		return is_on ? MIGSPEC_STAGE_COMPLETE : MIGSPEC_STAGE_OFF;
	return is_on ? flag->next_stage : flag->stage;
}

static MigspecProgram *
compile(const char *name, const char *document)
{
	Jsonb	   *feature = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(document)));

	return migspec_flag_compile(name, feature);
}

static bool
is_rollout(const FlagStrategy *strategy)
{
	return strategy->kind && strategy->kind->reason == MIGSPEC_REASON_SPLIT;
}

/*
 * migspec_document_for_all -- see stage.h.  Those whose id is missing do not
 * count: they are told by nothing else.
 */
bool
migspec_document_for_all(const char *name, const char *document)
{
	MigspecProgram *program = compile(name, document);

	if (!program->valid || !program->enabled || program->nparents > 0)
		return false;
	for (int i = 0; i < program->nstrategies; i++)
	{
		const FlagStrategy *strategy = &program->strategies[i];

		if (strategy->kind == NULL || strategy->nconstraints > 0 || strategy->segment_missing)
			continue;
		if (strategy->kind->reason == MIGSPEC_REASON_STATIC ||
			(is_rollout(strategy) && strategy->threshold >= 100000))
			return true;
	}
	return program->nstrategies == 0;
}

/* see stage.h */
bool
migspec_document_for_none(const char *name, const char *document)
{
	MigspecProgram *program = compile(name, document);

	if (!program->valid || !program->enabled)
		return true;
	for (int i = 0; i < program->nstrategies; i++)
	{
		const FlagStrategy *strategy = &program->strategies[i];

		if (strategy->kind && !strategy->segment_missing &&
			(!is_rollout(strategy) || strategy->threshold > 0))
			return false;
	}
	return program->nstrategies > 0;
}

static void
check_chance(const char *name, const MigspecProgram *program)
{
	for (int i = 0; i < program->nstrategies; i++)
	{
		if (!is_rollout(&program->strategies[i]) ||
			program->strategies[i].stickiness.source != FLAG_RANDOM)
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_FLAG_FROZEN),
				 errmsg("migration flag \"%s\" cannot choose users at random", name),
				 errdetail("Strategy %d does: a user would read one side and write the other.", i + 1),
				 errhint("Use a rollout with a stickiness, as userId.")));
	}
}

/* see stage.h */
void
migspec_document_check_chance(const char *name, const char *document)
{
	check_chance(name, compile(name, document));
}

/* The i-th rollout of a program, NULL if there are not so many */
static const FlagStrategy *
rollout_at(const MigspecProgram *program, int i)
{
	for (int j = 0; j < program->nstrategies; j++)
	{
		if (is_rollout(&program->strategies[j]) && i-- == 0)
			return &program->strategies[j];
	}
	return NULL;
}

static bool
same_text(FlagText a, FlagText b)
{
	return a.length == b.length && memcmp(a.bytes, b.bytes, a.length) == 0;
}

/* Do two rollouts put everybody into the same bucket? */
static bool
same_buckets(const FlagStrategy *a, const FlagStrategy *b)
{
	return same_text(a->group, b->group) && a->stickiness.source == b->stickiness.source &&
		(a->stickiness.source != FLAG_FIELD ||
		 same_text(a->stickiness.name, b->stickiness.name));
}

/*
 * Once users have been moved by their buckets, other buckets would move them
 * between the sides.
 */
static void
check_buckets(const char *name, const MigspecProgram *before, const MigspecProgram *after)
{
	const FlagStrategy *a;
	const FlagStrategy *b;

	for (int i = 0;; i++)
	{
		a = rollout_at(before, i);
		b = rollout_at(after, i);
		if (a == NULL || b == NULL || !same_buckets(a, b))
			break;
	}
	if (a == NULL && b == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_FLAG_FROZEN),
			 errmsg("the rollouts of migration flag \"%s\" are frozen", name),
			 errdetail("It has been above 0 %%: other rollouts, or another groupId or stickiness, would move users between the old and the new side."),
			 errhint("Change percentages, lists, constraints and segments only.")));
}

/*
 * migspec_stage_check_change -- see stage.h.  Also notes that the flag has
 * been on for somebody.
 */
void
migspec_stage_check_change(const MigspecFlagRow *row, Jsonb *feature)
{
	MigspecProgram *after;
	char	   *document;

	if (row->stage == MIGSPEC_STAGE_NONE)
		return;
	document = JsonbToCString(NULL, &feature->root, VARSIZE(feature));
	after = compile(row->name, document);
	check_chance(row->name, after);
	if (row->frozen)
		check_buckets(row->name, compile(row->name, row->document), after);
	else if (row->next_stage != MIGSPEC_STAGE_NONE &&
			 !migspec_document_for_none(row->name, document))
		(void) migspec_catalog_sql("UPDATE migspec.flag SET frozen = true WHERE name = $1",
								   MIGSPEC_PARAMS(MIGSPEC_TEXT(row->name)));
}

/* see stage.h */
void
migspec_stage_check_drop(const MigspecFlagRow *row)
{
	if (row->migration == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
			 errmsg("flag \"%s\" belongs to migration \"%s\"", row->name, row->migration),
			 errdetail("It is in stage %s; a flag that is not there is off for everybody.",
					   migspec_stage_name(row->stage)),
			 errhint("Finish the migration or roll it back, or use migspec_flag_detach in stage off or complete.")));
}
