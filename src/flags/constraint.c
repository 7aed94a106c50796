/*-------------------------------------------------------------------------
 *
 * constraint.c
 *		Constraints: an operator, a field of the context, and values.
 *
 * All that can be done once is done when a flag is compiled: lists become
 * sets, numbers, dates, versions, address ranges and regular expressions are
 * parsed.  As in Unleash's clients, a constraint with an unknown operator never
 * holds, not even when inverted; one whose own value cannot be read holds only
 * when inverted.
 *
 * Regular expressions are in RE2's dialect in the documents, and run on the
 * server's engine: the differences that can be are translated, and what RE2
 * has not (back-references, look-around) or the server has not never holds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_collation.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/formatting.h"
#include "utils/memutils.h"

#include "flags/program.h"

/* longer patterns, and longer values for them, never match */
#define LONGEST_PATTERN		1000
#define LONGEST_SUBJECT		10000

/* In one case, if the constraint asks for it */
static FlagText
fold(const FlagConstraint *constraint, FlagText text)
{
	char	   *lower;

	if (!constraint->case_insensitive)
		return text;

	lower = str_tolower(text.bytes, text.length, DEFAULT_COLLATION_OID);
	return FLAG_TEXT(lower);
}

static bool
compile_set(FlagConstraint *constraint)
{
	constraint->set = migspec_flag_set(constraint->texts, constraint->ntexts);
	return true;
}

static bool
is_in(const FlagConstraint *constraint, FlagText value)
{
	return migspec_flag_set_has(constraint->set, value);
}

static bool
is_not_in(const FlagConstraint *constraint, FlagText value)
{
	return !is_in(constraint, value);
}

static bool
compile_folded(FlagConstraint *constraint)
{
	for (int i = 0; i < constraint->ntexts; i++)
		constraint->texts[i] = fold(constraint, constraint->texts[i]);
	return true;
}

static bool
starts_with(FlagText value, FlagText part)
{
	return value.length >= part.length && memcmp(value.bytes, part.bytes, part.length) == 0;
}

static bool
ends_with(FlagText value, FlagText part)
{
	return value.length >= part.length &&
		memcmp(value.bytes + value.length - part.length, part.bytes, part.length) == 0;
}

static bool
contains(FlagText value, FlagText part)
{
	for (int i = 0; i + part.length <= value.length; i++)
	{
		if (memcmp(value.bytes + i, part.bytes, part.length) == 0)
			return true;
	}
	return false;
}

static bool
any_part(const FlagConstraint *constraint, FlagText value,
		 bool (*test) (FlagText value, FlagText part))
{
	value = fold(constraint, value);
	for (int i = 0; i < constraint->ntexts; i++)
	{
		if (test(value, constraint->texts[i]))
			return true;
	}
	return false;
}

static bool
starts_with_any(const FlagConstraint *constraint, FlagText value)
{
	return any_part(constraint, value, starts_with);
}

static bool
ends_with_any(const FlagConstraint *constraint, FlagText value)
{
	return any_part(constraint, value, ends_with);
}

static bool
contains_any(const FlagConstraint *constraint, FlagText value)
{
	return any_part(constraint, value, contains);
}

/* Is the result of a comparison one that the operator accepts? */
static bool
accepts(const FlagConstraint *constraint, double result)
{
	int			found = result < 0 ? FLAG_LESS : result > 0 ? FLAG_GREATER : FLAG_EQUAL;

	return (constraint->op->accept & found) != 0;
}

static bool
compile_number(FlagConstraint *constraint)
{
	return constraint->ntexts == 1 &&
		migspec_flag_parse_number(constraint->texts[0], &constraint->number);
}

static bool
compare_number(const FlagConstraint *constraint, FlagText value)
{
	double		number;

	return migspec_flag_parse_number(value, &number) &&
		accepts(constraint, (number > constraint->number) - (number < constraint->number));
}

static bool
compile_date(FlagConstraint *constraint)
{
	return constraint->ntexts == 1 &&
		migspec_flag_parse_date(constraint->texts[0], &constraint->date);
}

static bool
compare_date(const FlagConstraint *constraint, FlagText value)
{
	TimestampTz date;

	return migspec_flag_parse_date(value, &date) &&
		accepts(constraint, (date > constraint->date) - (date < constraint->date));
}

static bool
compile_version(FlagConstraint *constraint)
{
	return constraint->ntexts == 1 &&
		migspec_flag_parse_version(constraint->texts[0], &constraint->version);
}

static bool
compare_version(const FlagConstraint *constraint, FlagText value)
{
	FlagVersion version;

	return migspec_flag_parse_version(value, &version) &&
		accepts(constraint, migspec_flag_compare_versions(&version, &constraint->version));
}

static bool
compile_ranges(FlagConstraint *constraint)
{
	constraint->ranges = palloc(sizeof(FlagRange) * Max(constraint->ntexts, 1));
	for (int i = 0; i < constraint->ntexts; i++)
	{
		if (migspec_flag_parse_range(constraint->texts[i],
									 &constraint->ranges[constraint->nranges]))
			constraint->nranges++;
	}
	return true;
}

static bool
is_in_range(const FlagConstraint *constraint, FlagText value)
{
	FlagRange	address;

	if (!migspec_flag_parse_range(value, &address))
		return false;
	for (int i = 0; i < constraint->nranges; i++)
	{
		if (migspec_flag_range_has(&constraint->ranges[i], &address))
			return true;
	}
	return false;
}

/*
 * Options "(?ims)" at the start, also after "^": the server takes them at the
 * very start only.  Returns how many bytes they are.
 */
static int
take_options(FlagText pattern, int *flags)
{
	int			i = 2;

	if (pattern.length < 4 || memcmp(pattern.bytes, "(?", 2) != 0)
		return 0;
	while (i < pattern.length && strchr("ims", pattern.bytes[i]))
		i++;
	if (i == 2 || i == pattern.length || pattern.bytes[i] != ')')
		return 0;
	for (int j = 2; j < i; j++)
	{
		if (pattern.bytes[j] == 'i')
			*flags |= REG_ICASE;
		else if (pattern.bytes[j] == 'm')
			*flags |= REG_NLANCH;
		else
			*flags &= ~REG_NLSTOP;
	}
	return i + 1;
}

/* Names of groups are of no use here: "(?P<name>" is "(" */
static int
group_name_length(FlagText rest)
{
	int			from = starts_with(rest, FLAG_TEXT("(?P<")) ? 4 :
	starts_with(rest, FLAG_TEXT("(?<")) ? 3 : 0;
	const char *end;

	if (from == 0 || rest.length <= from || rest.bytes[from] == '=' || rest.bytes[from] == '!')
		return 0;
	end = memchr(rest.bytes, '>', rest.length);
	return end ? (int) (end - rest.bytes) + 1 : 0;
}

/*
 * From RE2's dialect to the server's.
 */
static FlagText
translate(FlagText pattern, int *flags)
{
	StringInfoData result;
	int			i = 0;
	bool		anchored;

	initStringInfo(&result);
	*flags = REG_ADVANCED | REG_NOSUB | REG_NLSTOP;
	i = take_options(pattern, flags);
	anchored = i < pattern.length && pattern.bytes[i] == '^';
	if (anchored)
	{
		appendStringInfoChar(&result, '^');
		i++;
		i += take_options(migspec_flag_text(pattern.bytes + i, pattern.length - i), flags);
	}
	while (i < pattern.length)
	{
		FlagText	rest = migspec_flag_text(pattern.bytes + i, pattern.length - i);
		int			group = group_name_length(rest);

		if (group > 0)
		{
			appendStringInfoChar(&result, '(');
			i += group;
		}
		else if (rest.bytes[0] == '\\' && rest.length > 1)
		{
			char		c = rest.bytes[1];

			appendStringInfo(&result, "\\%c", c == 'b' ? 'y' : c == 'B' ? 'Y' : c == 'z' ? 'Z' : c);
			i += 2;
		}
		else
			appendStringInfoChar(&result, pattern.bytes[i++]);
	}
	return migspec_flag_text(result.data, result.len);
}

static void
free_regex(void *regex)
{
	pg_regfree(regex);
}

static bool
compile_regex(FlagConstraint *constraint)
{
	FlagText	pattern;
	int			flags;
	pg_wchar   *wide;
	int			length;
	MemoryContextCallback *callback;

	if (constraint->ntexts != 1 || constraint->texts[0].length > LONGEST_PATTERN)
		return false;
	pattern = translate(constraint->texts[0], &flags);
	if (constraint->case_insensitive)
		flags |= REG_ICASE;
	wide = palloc(sizeof(pg_wchar) * (pattern.length + 1));
	length = pg_mb2wchar_with_len(pattern.bytes, wide, pattern.length);
	constraint->regex = palloc0(sizeof(regex_t));
	if (pg_regcomp(constraint->regex, wide, length, flags, DEFAULT_COLLATION_OID) != REG_OKAY)
		return false;

	/* before 16 a compiled expression is not in a memory context */
	callback = palloc0(sizeof(MemoryContextCallback));
	callback->func = free_regex;
	callback->arg = constraint->regex;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	return (constraint->regex->re_info & (REG_UBACKREF | REG_ULOOKAROUND)) == 0;
}

static bool
matches_regex(const FlagConstraint *constraint, FlagText value)
{
	pg_wchar   *wide;
	int			length;

	if (value.length > LONGEST_SUBJECT)
		return false;
	wide = palloc(sizeof(pg_wchar) * (value.length + 1));
	length = pg_mb2wchar_with_len(value.bytes, wide, value.length);
	return pg_regexec(constraint->regex, wide, length, 0, NULL, 0, NULL, 0) == REG_OKAY;
}

static const FlagOperator operators[] = {
	{"IN", true, compile_set, is_in, 0, false, false},
	{"NOT_IN", true, compile_set, is_not_in, 0, true, false},
	{"STR_STARTS_WITH", true, compile_folded, starts_with_any, 0, false, false},
	{"STR_ENDS_WITH", true, compile_folded, ends_with_any, 0, false, false},
	{"STR_CONTAINS", true, compile_folded, contains_any, 0, false, false},
	{"NUM_EQ", false, compile_number, compare_number, FLAG_EQUAL, false, false},
	{"NUM_GT", false, compile_number, compare_number, FLAG_GREATER, false, false},
	{"NUM_GTE", false, compile_number, compare_number, FLAG_GREATER | FLAG_EQUAL, false, false},
	{"NUM_LT", false, compile_number, compare_number, FLAG_LESS, false, false},
	{"NUM_LTE", false, compile_number, compare_number, FLAG_LESS | FLAG_EQUAL, false, false},
	{"DATE_AFTER", false, compile_date, compare_date, FLAG_GREATER, false, true},
	{"DATE_BEFORE", false, compile_date, compare_date, FLAG_LESS, false, true},
	{"SEMVER_EQ", false, compile_version, compare_version, FLAG_EQUAL, false, false},
	{"SEMVER_GT", false, compile_version, compare_version, FLAG_GREATER, false, false},
	{"SEMVER_GTE", false, compile_version, compare_version, FLAG_GREATER | FLAG_EQUAL, false, false},
	{"SEMVER_LT", false, compile_version, compare_version, FLAG_LESS, false, false},
	{"SEMVER_LTE", false, compile_version, compare_version, FLAG_LESS | FLAG_EQUAL, false, false},
	{"REGEX", false, compile_regex, matches_regex, 0, false, false},
	{"IN_CIDR", true, compile_ranges, is_in_range, 0, false, false},
};

const FlagOperator *
migspec_flag_operator(FlagText name)
{
	for (size_t i = 0; i < lengthof(operators); i++)
	{
		if (migspec_flag_text_is(name, operators[i].name))
			return &operators[i];
	}
	return NULL;
}

/*
 * A list of values: trimmed, and without those that are empty.
 */
static void
get_values(const JsonbValue *json, FlagConstraint *constraint)
{
	int			n = migspec_flag_get_texts(json, "values", &constraint->texts);

	for (int i = 0; i < n; i++)
	{
		FlagText	value = migspec_flag_trim(constraint->texts[i]);

		if (constraint->texts[i].length > 0)
			constraint->texts[constraint->ntexts++] = value;
	}
}

/*
 * migspec_flag_compile_constraint -- see program.h.
 */
bool
migspec_flag_compile_constraint(const JsonbValue *json, FlagConstraint *constraint,
								char **problem)
{
	FlagText	field;
	FlagText	operator;
	FlagText	value;

	memset(constraint, 0, sizeof(FlagConstraint));
	if (!migspec_flag_get_text(json, "contextName", &field) ||
		!migspec_flag_get_text(json, "operator", &operator))
	{
		*problem = pstrdup("a constraint needs \"contextName\" and \"operator\"");
		return false;
	}
	constraint->op = migspec_flag_operator(operator);
	if (constraint->op == NULL)
	{
		*problem = psprintf("unknown operator \"%.*s\"", operator.length, operator.bytes);
		return false;
	}
	constraint->field = migspec_flag_field(field);
	constraint->inverted = migspec_flag_get_bool(json, "inverted", false);
	constraint->case_insensitive = migspec_flag_get_bool(json, "caseInsensitive", false);
	if (constraint->op->list)
		get_values(json, constraint);
	else if (migspec_flag_get_text(json, "value", &value))
	{
		constraint->ntexts = 1;
		constraint->texts = palloc(sizeof(FlagText));
		constraint->texts[0] = value;
	}
	if (constraint->op->compile(constraint))
		return true;
	*problem = psprintf("operator %s cannot use the value \"%.*s\"", constraint->op->name,
						constraint->ntexts > 0 ? constraint->texts[0].length : 0,
						constraint->ntexts > 0 ? constraint->texts[0].bytes : "");
	constraint->is_useless = true;
	return false;
}

/*
 * The time to compare with, if the context does not say: that of the
 * transaction, which stays the same.
 */
static bool
own_time(const FlagConstraint *constraint)
{
	TimestampTz now = GetCurrentTransactionStartTimestamp();

	return accepts(constraint, (now > constraint->date) - (now < constraint->date));
}

/*
 * Does the constraint hold?  Never raises an error.
 */
bool
migspec_flag_constraint_holds(const FlagConstraint *constraint,
							  const MigspecFlagContext *context)
{
	FlagText	value;
	bool		holds;

	if (constraint->op == NULL)
		return false;
	if (constraint->is_useless)
		holds = false;
	else if (migspec_flag_value(context, &constraint->field, &value))
		holds = constraint->op->holds(constraint, value);
	else if (constraint->op->own_time &&
			 migspec_flag_text_is(constraint->field.name, "currentTime"))
		holds = own_time(constraint);
	else
		holds = constraint->op->of_missing;
	return holds != constraint->inverted;
}
