/*-------------------------------------------------------------------------
 *
 * program.h
 *		A compiled feature document; for src/flags/ only.
 *
 * What cannot be made sense of compiles to something that is never true, so
 * evaluation has no errors.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PROGRAM_H
#define MIGSPEC_PROGRAM_H

#include "postgres.h"
#include "datatype/timestamp.h"
#include "regex/regex.h"

#include "flags/flags.h"

/* A piece of text, not terminated */
typedef struct FlagText
{
	const char *bytes;
	int			length;
} FlagText;

static inline FlagText
migspec_flag_text(const char *bytes, int length)
{
	FlagText text = {bytes, length};

	return text;
}

/* A hash on its way (hash.c) */
typedef struct FlagHash
{
	uint32		h;
	uint32		block;			/* bytes that do not make four yet */
	int			filled;
	uint32		length;
} FlagHash;

extern FlagHash migspec_flag_hash_group(FlagText group, uint32 seed);
extern uint32 migspec_flag_hash_id(const FlagHash *group, FlagText id);
extern int	migspec_flag_part(FlagText group, FlagText id);

/* Texts to look up in constant time */
typedef struct FlagSet FlagSet;

extern FlagSet *migspec_flag_set(const FlagText *texts, int n);
extern bool migspec_flag_set_has(const FlagSet *set, FlagText text);

/* Where a value comes from: a field of the context */
typedef enum FlagSource
{
	FLAG_USER_ID,				/* the fast form has it at hand */
	FLAG_FIELD,					/* a field or a property */
	FLAG_DEFAULT,				/* stickiness: user id, else session id */
	FLAG_RANDOM					/* stickiness: a new value each time */
} FlagSource;

typedef struct FlagField
{
	FlagSource	source;
	FlagText	name;
} FlagField;

extern FlagField migspec_flag_field(FlagText name);
extern FlagField migspec_flag_stickiness(const FlagText *name);

/*
 * The value of a field; false if there is none.  Numbers and booleans are
 * converted; memory is the current context's.
 */
extern bool migspec_flag_value(const MigspecFlagContext *context,
							   const FlagField *field, FlagText *value);

/* An address range */
typedef struct FlagRange
{
	int			family;			/* PGSQL_AF_INET or PGSQL_AF_INET6; 0: none */
	int			bits;
	unsigned char address[16];
} FlagRange;

extern bool migspec_flag_parse_range(FlagText text, FlagRange *range);
extern bool migspec_flag_range_has(const FlagRange *range, const FlagRange *address);

/* semver 2.0; the numbers can be any size, so they stay texts */
typedef struct FlagVersion
{
	FlagText	numbers[3];
	FlagText	prerelease;		/* of length 0: none */
} FlagVersion;

extern bool migspec_flag_parse_version(FlagText text, FlagVersion *version);
extern int	migspec_flag_compare_versions(const FlagVersion *a, const FlagVersion *b);

extern bool migspec_flag_parse_number(FlagText text, double *number);
extern bool migspec_flag_parse_date(FlagText text, TimestampTz *date);

struct FlagConstraint;

/* An operator: how it compiles its values, and whether a value satisfies it */
typedef struct FlagOperator
{
	const char *name;
	bool		list;			/* "values" rather than "value" */
	bool		(*compile) (struct FlagConstraint *constraint);
	bool		(*holds) (const struct FlagConstraint *constraint, FlagText value);
	int			accept;			/* of comparisons: bits FLAG_LESS ... */
	bool		of_missing;		/* what it says of a missing value */
	bool		own_time;		/* currentTime has a default */
} FlagOperator;

#define FLAG_LESS		1
#define FLAG_EQUAL		2
#define FLAG_GREATER	4

typedef struct FlagConstraint
{
	const FlagOperator *op;		/* NULL: never holds */
	FlagField	field;
	bool		inverted;
	bool		case_insensitive;
	bool		is_useless;		/* its own value cannot be read */
	int			ntexts;			/* "values", or "value" as the only one */
	FlagText   *texts;
	FlagSet    *set;
	FlagRange  *ranges;
	int			nranges;
	double		number;
	TimestampTz date;
	FlagVersion version;
	regex_t    *regex;
} FlagConstraint;

extern const FlagOperator *migspec_flag_operator(FlagText name);

/* false, with a reason, if the constraint makes no sense */
extern bool migspec_flag_compile_constraint(const JsonbValue *json, FlagConstraint *constraint,
											char **problem);
extern bool migspec_flag_constraint_holds(const FlagConstraint *constraint,
										  const MigspecFlagContext *context);

/* One variant of several */
typedef struct FlagOverride
{
	FlagField	field;
	FlagSet    *values;
} FlagOverride;

typedef struct FlagVariant
{
	FlagText	name;
	int			weight;
	JsonbValue *payload;		/* NULL: none */
	int			noverrides;
	FlagOverride *overrides;
} FlagVariant;

typedef struct MigspecVariants
{
	int			n;
	int			total;			/* of the weights */
	FlagText	group;
	FlagField	stickiness;
	FlagVariant *items;
} MigspecVariants;

struct FlagStrategy;

/* A kind of strategy */
typedef struct FlagStrategyKind
{
	const char *name;
	bool		(*compile) (struct FlagStrategy *strategy, const JsonbValue *parameters,
							FlagText flag, char **problem);
	bool		(*matches) (const struct FlagStrategy *strategy,
							const MigspecFlagContext *context, MigspecDecision *decision);
	MigspecReason reason;		/* if it matches without constraints */
} FlagStrategyKind;

typedef struct FlagStrategy
{
	const FlagStrategyKind *kind;	/* NULL: never matches */
	bool		segment_missing;
	int			nconstraints;
	FlagConstraint *constraints;	/* its own, then those of its segments */
	MigspecVariants *variants;	/* NULL: the flag's */
	/* of rollouts */
	FlagText	group;
	FlagHash	group_hash;
	FlagField	stickiness;
	int			threshold;		/* thousandths of a percent */
	/* of lists */
	FlagSet    *ids;
	FlagRange  *ranges;
	int			nranges;
	bool		host_matches;
} FlagStrategy;

extern bool migspec_flag_compile_strategy(const JsonbValue *json, FlagText flag,
										  FlagStrategy *strategy, char **problem);

/* What has to hold of another flag */
typedef struct FlagParent
{
	FlagText	name;
	bool		enabled;
	int			nvariants;
	FlagText   *variants;
} FlagParent;

struct MigspecProgram
{
	bool		valid;
	bool		enabled;
	int			nparents;
	FlagParent *parents;
	int			nstrategies;
	FlagStrategy *strategies;
	MigspecVariants *variants;	/* NULL: none */
};

extern MigspecVariants *migspec_flag_compile_variants(const JsonbValue *json, FlagText group,
													  const FlagField *stickiness);

/*
 * Fields of jsonb objects (values of type jbvBinary); NULL or false if there
 * is none, or it is of another type.  A null is none.
 */
extern JsonbValue *migspec_flag_get(const JsonbValue *object, const char *key);
extern bool migspec_flag_get_text(const JsonbValue *object, const char *key, FlagText *value);
extern bool migspec_flag_get_bool(const JsonbValue *object, const char *key, bool otherwise);

/* the elements of an array, 0 if it is none */
extern int	migspec_flag_get_array(const JsonbValue *object, const char *key,
								   JsonbValue **elements);
extern int	migspec_flag_get_texts(const JsonbValue *object, const char *key, FlagText **texts);
extern FlagText migspec_flag_scalar_text(const JsonbValue *value);	/* length -1: none */
extern FlagText migspec_flag_trim(FlagText text);

/* the parts of a comma-separated list, trimmed, without empty ones */
extern int	migspec_flag_split(FlagText list, FlagText **parts);

#define FLAG_TEXT(s)	(migspec_flag_text((s), (int) strlen(s)))

static inline bool
migspec_flag_text_is(FlagText text, const char *s)
{
	return text.length == (int) strlen(s) && memcmp(text.bytes, s, text.length) == 0;
}

#endif							/* MIGSPEC_PROGRAM_H */
