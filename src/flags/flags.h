/*-------------------------------------------------------------------------
 *
 * flags.h
 *		Feature flags: what is stored, what is compiled, what comes out.
 *
 * A flag is an Unleash feature document (jsonb) in migspec.flag.  A backend
 * compiles it when it is first asked for, and asks the table again only when
 * what the caller's snapshot sees has changed (cache.c).
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_FLAGS_H
#define MIGSPEC_FLAGS_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* of the conformance suite that this evaluator passes */
#define MIGSPEC_UNLEASH_SPECIFICATION	"6.1.0"

/* Stages of a migration flag, in order; see stage.c */
typedef enum MigspecStage
{
	MIGSPEC_STAGE_NONE = -1,	/* not a migration flag */
	MIGSPEC_STAGE_OFF,
	MIGSPEC_STAGE_DUALWRITE,
	MIGSPEC_STAGE_SHADOW,
	MIGSPEC_STAGE_LIVE,
	MIGSPEC_STAGE_RAMPDOWN,
	MIGSPEC_STAGE_COMPLETE
} MigspecStage;

/* The compiled document; compile.c and evaluate.c only know what is in it */
typedef struct MigspecProgram MigspecProgram;

/* A flag as one version of its row has it */
typedef struct MigspecFlag
{
	char	   *name;
	int			name_length;
	int64		stamp;			/* unique to this version of the row */
	bool		has_segments;
	int64		segments_stamp; /* of those that were compiled in */
	MigspecProgram *program;
	MigspecStage stage;			/* users have reached this stage, at least */
	MigspecStage next_stage;	/* the rollout takes them to this one */
	char	   *migration;		/* it is tied to, or NULL */
	Oid			owner;
	struct MigspecSample *sample;	/* counts its evaluations; NULL: nobody
									 * wants to know */
	MemoryContext context;		/* of all of this */
} MigspecFlag;

/*
 * Who a flag is evaluated for.  "user_id" alone is the fast form; otherwise
 * all comes from the document: top-level fields of Unleash's context, and
 * "properties".
 */
typedef struct MigspecFlagContext
{
	const char *user_id;		/* not terminated; NULL: none, or in json */
	int			user_id_length;
	Jsonb	   *json;			/* NULL: only the user id */
	bool		certain;		/* leave nothing to chance: what would be, is
								 * off */
} MigspecFlagContext;

/* why; as OpenFeature calls it, and our own OVERRIDE */
typedef enum MigspecReason
{
	MIGSPEC_REASON_STATIC,		/* no condition */
	MIGSPEC_REASON_TARGETING_MATCH, /* a list or a constraint */
	MIGSPEC_REASON_SPLIT,		/* a percentage */
	MIGSPEC_REASON_DEFAULT,		/* no strategy matched */
	MIGSPEC_REASON_DISABLED,	/* switched off, or a parent is */
	MIGSPEC_REASON_ERROR		/* see error */
} MigspecReason;

/* one step of an explanation; collected only if asked for */
typedef struct MigspecTrace
{
	StringInfo	lines;			/* a line of text each */
} MigspecTrace;

typedef struct MigspecDecision
{
	bool		enabled;
	MigspecReason reason;
	const char *error;			/* FLAG_NOT_FOUND, PARSE_ERROR,
								 * TARGETING_KEY_MISSING; or NULL */
	int			strategy;		/* that matched, from 0; -1: none */
	int			bucket;			/* 1 to 100 of the deciding rollout; 0: none */
	const struct MigspecVariants *variants; /* that the variant is chosen
											 * from; NULL: none */
} MigspecDecision;

/*
 * hash.c: murmur3 (x86, 32 bits) of "group:id", UTF-8 bytes.  The buckets are
 * Unleash's: 1 to 100 for rollouts, 1 to "total" for variants.  They never
 * change; the vectors in the tests are frozen.
 */
extern uint32 migspec_flag_hash(const char *group, int group_length,
								const char *id, int id_length, uint32 seed);
extern int	migspec_flag_bucket(const char *group, int group_length,
								const char *id, int id_length);
extern int	migspec_flag_variant_bucket(const char *group, int group_length,
										const char *id, int id_length, int total);

/*
 * document.c: what is wrong with a document, as a List of char * with JSON
 * paths; NIL if nothing is.  Raises no error.
 */
extern List *migspec_flag_problems(Jsonb *feature);
extern List *migspec_segment_problems(Jsonb *segment);

/* the same for what is stored all the same, because it just never matches */
extern List *migspec_flag_warnings(Jsonb *feature);

/*
 * compile.c: never fails on a document without problems; what it cannot make
 * sense of compiles to "false".  Allocates in the current memory context.
 * Segments come from migspec_flag_segment() (cache.c).
 */
extern MigspecProgram *migspec_flag_compile(const char *name, Jsonb *feature);

/*
 * evaluate.c: never raises an error for any context.  "trace" may be NULL.
 * The variant is that of an enabled decision, as jsonb in Unleash's form:
 * name, enabled, feature_enabled, payload.
 */
extern MigspecDecision migspec_flag_evaluate(const MigspecFlag *flag,
											 const MigspecFlagContext *context,
											 MigspecTrace *trace);
extern Jsonb *migspec_flag_choose_variant(const MigspecFlag *flag,
										  const MigspecDecision *decision,
										  const MigspecFlagContext *context);

/*
 * cache.c: the flag as the active snapshot sees it, NULL if there is none.
 * "site" is where a call site remembers its last flag (fn_extra); may be NULL.
 * The result is good until the next call of this function.
 */
typedef struct MigspecFlagSite
{
	struct FlagEntry *entry;
} MigspecFlagSite;

extern MigspecFlag *migspec_flag_find(const char *name, int length, MigspecFlagSite *site);
extern Jsonb *migspec_flag_segment(int id); /* NULL: there is none */
extern int64 migspec_flag_generation(void); /* as the active snapshot sees it */
extern bool migspec_flag_looked(void);	/* has the transaction seen any? */

#endif							/* MIGSPEC_FLAGS_H */
