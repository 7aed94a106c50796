/*-------------------------------------------------------------------------
 *
 * values.c
 *		The values that constraints compare: texts, numbers, dates, versions,
 *		address ranges; and where they come from.
 *
 * Nothing here raises an error: what cannot be read is "no value".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>
#include <sys/socket.h>

#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "fmgr.h"
#include "port.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/inet.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "flags/program.h"

/* An element of a FlagSet */
typedef struct SetElement
{
	FlagText text;
	uint32		hash;
	char		status;
} SetElement;

#define SH_PREFIX		texts
#define SH_ELEMENT_TYPE	SetElement
#define SH_KEY_TYPE		FlagText
#define SH_KEY			text
#define SH_HASH_KEY(tb, key) \
	hash_bytes((const unsigned char *) (key).bytes, (key).length)
#define SH_EQUAL(tb, a, b) \
	((a).length == (b).length && memcmp((a).bytes, (b).bytes, (a).length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

struct FlagSet
{
	texts_hash *hash;
};

/* A set of texts, in the current memory context; the texts are not copied */
FlagSet *
migspec_flag_set(const FlagText *members, int n)
{
	FlagSet    *set = palloc(sizeof(FlagSet));
	bool		found;

	set->hash = texts_create(CurrentMemoryContext, Max(n, 4), NULL);
	for (int i = 0; i < n; i++)
		(void) texts_insert(set->hash, members[i], &found);
	return set;
}

bool
migspec_flag_set_has(const FlagSet *set, FlagText text)
{
	return texts_lookup(set->hash, text) != NULL;
}

JsonbValue *
migspec_flag_get(const JsonbValue *object, const char *key)
{
	JsonbValue *value;

	if (object == NULL || object->type != jbvBinary ||
		!JsonContainerIsObject(object->val.binary.data))
		return NULL;
	value = getKeyJsonValueFromContainer(object->val.binary.data, key, strlen(key), NULL);
	return value && value->type != jbvNull ? value : NULL;
}

/* Without blanks around it */
FlagText
migspec_flag_trim(FlagText part)
{
	while (part.length > 0 && isspace((unsigned char) part.bytes[0]))
	{
		part.bytes++;
		part.length--;
	}
	while (part.length > 0 && isspace((unsigned char) part.bytes[part.length - 1]))
		part.length--;
	return part;
}

/* A scalar as text */
FlagText
migspec_flag_scalar_text(const JsonbValue *value)
{
	switch (value ? value->type : jbvNull)
	{
		case jbvString:
			return migspec_flag_text(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return FLAG_TEXT(numeric_normalize(value->val.numeric));
		case jbvBool:
			return value->val.boolean ? FLAG_TEXT("true") : FLAG_TEXT("false");
		default:
			return migspec_flag_text(NULL, -1);
	}
}

bool
migspec_flag_get_text(const JsonbValue *object, const char *key, FlagText *value)
{
	*value = migspec_flag_scalar_text(migspec_flag_get(object, key));
	return value->length >= 0;
}

bool
migspec_flag_get_bool(const JsonbValue *object, const char *key, bool otherwise)
{
	JsonbValue *value = migspec_flag_get(object, key);

	return value && value->type == jbvBool ? value->val.boolean : otherwise;
}

int
migspec_flag_get_array(const JsonbValue *object, const char *key, JsonbValue **elements)
{
	JsonbValue *array = migspec_flag_get(object, key);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	int			n = 0;

	*elements = NULL;
	if (array == NULL || array->type != jbvBinary ||
		!JsonContainerIsArray(array->val.binary.data))
		return 0;
	*elements = palloc(sizeof(JsonbValue) *
					   Max(JsonContainerSize(array->val.binary.data), 1));
	it = JsonbIteratorInit(array->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			(*elements)[n++] = value;
	}
	return n;
}

int
migspec_flag_get_texts(const JsonbValue *object, const char *key, FlagText **result)
{
	JsonbValue *elements;
	int			n = migspec_flag_get_array(object, key, &elements);
	int			used = 0;

	*result = palloc(sizeof(FlagText) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		FlagText text = migspec_flag_scalar_text(&elements[i]);

		if (text.length >= 0)
			(*result)[used++] = text;
	}
	return used;
}

int
migspec_flag_split(FlagText list, FlagText **parts)
{
	int			commas = 0;
	int			n = 0;
	const char *from = list.bytes;
	const char *end = list.bytes + list.length;

	for (int i = 0; i < list.length; i++)
		commas += list.bytes[i] == ',';
	*parts = palloc(sizeof(FlagText) * (commas + 1));
	while (from <= end)
	{
		const char *to = memchr(from, ',', end - from);
		FlagText	part;

		if (to == NULL)
			to = end;
		part = migspec_flag_trim(migspec_flag_text(from, (int) (to - from)));
		if (part.length > 0)
			(*parts)[n++] = part;
		from = to + 1;
	}
	return n;
}

FlagField
migspec_flag_field(FlagText name)
{
	FlagField	field = {FLAG_FIELD, name};

	if (migspec_flag_text_is(name, "userId"))
		field.source = FLAG_USER_ID;
	return field;
}

/* What makes an answer stick to somebody; NULL or "default": his id */
FlagField
migspec_flag_stickiness(const FlagText *name)
{
	FlagField	field = {FLAG_DEFAULT, {"", 0}};

	if (name == NULL || name->length == 0 || migspec_flag_text_is(*name, "default"))
		return field;
	if (!migspec_flag_text_is(*name, "random"))
		return migspec_flag_field(*name);
	field.source = FLAG_RANDOM;
	return field;
}

/* A field of the context's document, or else one of its properties */
static bool
json_value(const MigspecFlagContext *context, FlagText name, FlagText *value)
{
	char	   *key;
	JsonbValue	root;

	if (context->json == NULL || !JB_ROOT_IS_OBJECT(context->json))
		return false;
	key = pnstrdup(name.bytes, name.length);
	root.type = jbvBinary;
	root.val.binary.data = &context->json->root;
	root.val.binary.len = VARSIZE(context->json) - VARHDRSZ;
	if (migspec_flag_get_text(&root, key, value))
		return true;
	return migspec_flag_get_text(migspec_flag_get(&root, "properties"), key, value);
}

bool
migspec_flag_value(const MigspecFlagContext *context, const FlagField *field,
				   FlagText *value)
{
	static char number[16];

	switch (field->source)
	{
		case FLAG_USER_ID:
			if (context->user_id == NULL)
				return json_value(context, FLAG_TEXT("userId"), value);
			*value = migspec_flag_text(context->user_id, context->user_id_length);
			return true;
		case FLAG_FIELD:
			return json_value(context, field->name, value);
		case FLAG_DEFAULT:
			*value = migspec_flag_text(context->user_id, context->user_id_length);
			if (context->user_id == NULL &&
				!json_value(context, FLAG_TEXT("userId"), value))
				value->length = 0;
			return value->length > 0 ||
				json_value(context, FLAG_TEXT("sessionId"), value);
		case FLAG_RANDOM:
			snprintf(number, sizeof(number), "%d",
					 (int) pg_prng_uint64_range(&pg_global_prng_state, 1, 10000));
			*value = FLAG_TEXT(number);
			return true;
	}
	return false;
}

/*
 * A decimal number; neither NaN nor infinite nor hexadecimal.
 */
bool
migspec_flag_parse_number(FlagText text, double *number)
{
	char		buffer[64];
	char	   *end;

	text = migspec_flag_trim(text);

	if (text.length <= 0 || text.length >= (int) sizeof(buffer) ||
		memchr(text.bytes, 'x', text.length) || memchr(text.bytes, 'X', text.length))
		return false;
	memcpy(buffer, text.bytes, text.length);
	buffer[text.length] = '\0';
	*number = strtod(buffer, &end);
	return *end == '\0' && isfinite(*number);
}

/*
 * Parse a date with a time zone (which goes to "tz"), or one without (NULL).
 */
static bool
decode_date(const char *text, int *tz, TimestampTz *date)
{
	char		work[MAXDATELEN + MAXDATEFIELDS];
	char	   *field[MAXDATEFIELDS];
	int			ftype[MAXDATEFIELDS];
	int			nf;
	int			dtype;
	struct pg_tm tm;
	fsec_t		fsec;

	return ParseDateTime(text, work, sizeof(work), field, ftype, MAXDATEFIELDS, &nf) == 0 &&
		migspec_DecodeDateTime(field, ftype, nf, &dtype, &tm, &fsec, tz) == 0 &&
		dtype == DTK_DATE && tm2timestamp(&tm, fsec, tz, date) == 0;
}

/*
 * A date and time in ISO 8601; none of the words that the type knows as well.
 * Without a time zone it is in UTC, whatever the session's is.
 */
bool
migspec_flag_parse_date(FlagText text, TimestampTz *date)
{
	char		buffer[MAXDATELEN + 1];
	int			tz = 0;

	text = migspec_flag_trim(text);

	if (text.length < 10 || text.length >= (int) sizeof(buffer))
		return false;
	memcpy(buffer, text.bytes, text.length);
	buffer[text.length] = '\0';
	if (strspn(buffer, "0123456789") != 4 || buffer[4] != '-')
		return false;
	return decode_date(buffer, NULL, date) || decode_date(buffer, &tz, date);
}

/* One number of a version, at the start of the rest: no leading zeros */
static bool
take_number(FlagText *rest, FlagText *number)
{
	int			n = 0;

	while (n < rest->length && isdigit((unsigned char) rest->bytes[n]))
		n++;
	*number = migspec_flag_text(rest->bytes, n);
	rest->bytes += n;
	rest->length -= n;
	return n == 1 || (n > 1 && number->bytes[0] != '0');
}

static bool
take_char(FlagText *rest, char c)
{
	if (rest->length == 0 || rest->bytes[0] != c)
		return false;
	rest->bytes++;
	rest->length--;
	return true;
}

static bool
is_numeric(FlagText text)
{
	for (int i = 0; i < text.length; i++)
	{
		if (!isdigit((unsigned char) text.bytes[i]))
			return false;
	}
	return text.length > 0;
}

/* Identifiers between dots; numbers among them without leading zeros */
static bool
take_identifiers(FlagText *rest, FlagText *all, bool numbers_are_strict)
{
	all->bytes = rest->bytes;
	do
	{
		FlagText	one = {rest->bytes, 0};

		while (rest->length > 0 &&
			   (isalnum((unsigned char) rest->bytes[0]) || rest->bytes[0] == '-'))
			rest->bytes++, rest->length--, one.length++;
		if (one.length == 0 ||
			(numbers_are_strict && one.length > 1 && one.bytes[0] == '0' && is_numeric(one)))
			return false;
	} while (take_char(rest, '.'));
	all->length = (int) (rest->bytes - all->bytes);
	return true;
}

/*
 * A version as semver.org defines it.
 */
bool
migspec_flag_parse_version(FlagText text, FlagVersion *version)
{
	FlagText	build;

	memset(version, 0, sizeof(FlagVersion));
	if (!take_number(&text, &version->numbers[0]) || !take_char(&text, '.') ||
		!take_number(&text, &version->numbers[1]) || !take_char(&text, '.') ||
		!take_number(&text, &version->numbers[2]))
		return false;
	if (take_char(&text, '-') && !take_identifiers(&text, &version->prerelease, true))
		return false;
	if (take_char(&text, '+') && !take_identifiers(&text, &build, false))
		return false;
	return text.length == 0;
}

static int
compare_texts(FlagText a, FlagText b)
{
	int			n = Min(a.length, b.length);
	int			result = n > 0 ? memcmp(a.bytes, b.bytes, n) : 0;

	return result != 0 ? result : a.length - b.length;
}

/* Numbers without leading zeros: the longer one is greater */
static int
compare_numbers(FlagText a, FlagText b)
{
	return a.length != b.length ? a.length - b.length : compare_texts(a, b);
}

static int
compare_identifiers(FlagText a, FlagText b)
{
	bool		a_number = is_numeric(a);
	bool		b_number = is_numeric(b);

	if (a_number != b_number)
		return a_number ? -1 : 1;
	return a_number ? compare_numbers(a, b) : compare_texts(a, b);
}

static FlagText
take_identifier(FlagText *rest)
{
	const char *dot = rest->length > 0 ? memchr(rest->bytes, '.', rest->length) : NULL;
	FlagText	one = {rest->bytes, dot ? (int) (dot - rest->bytes) : rest->length};
	int			taken = one.length + (dot ? 1 : 0);

	rest->bytes += taken;
	rest->length -= taken;
	return one;
}

/* Section 11 of semver 2.0: without a pre-release part comes last */
static int
compare_prereleases(FlagText a, FlagText b)
{
	if (a.length == 0 || b.length == 0)
		return (a.length == 0) - (b.length == 0);
	while (a.length > 0 && b.length > 0)
	{
		int			result = compare_identifiers(take_identifier(&a), take_identifier(&b));

		if (result != 0)
			return result;
	}
	return (a.length > 0) - (b.length > 0);
}

int
migspec_flag_compare_versions(const FlagVersion *a, const FlagVersion *b)
{
	for (int i = 0; i < 3; i++)
	{
		int			result = compare_numbers(a->numbers[i], b->numbers[i]);

		if (result != 0)
			return result;
	}
	return compare_prereleases(a->prerelease, b->prerelease);
}

/*
 * An address, or a range of them.  Bits to the right of the mask may be set.
 */
bool
migspec_flag_parse_range(FlagText text, FlagRange *range)
{
	char		buffer[64];

	text = migspec_flag_trim(text);

	if (text.length <= 0 || text.length >= (int) sizeof(buffer))
		return false;
	memcpy(buffer, text.bytes, text.length);
	buffer[text.length] = '\0';
	memset(range, 0, sizeof(FlagRange));
	range->family = strchr(buffer, ':') ? PGSQL_AF_INET6 : PGSQL_AF_INET;
	range->bits = pg_inet_net_pton(range->family, buffer, range->address, -1);
	return range->bits >= 0;
}

bool
migspec_flag_range_has(const FlagRange *range, const FlagRange *address)
{
	return range->family == address->family && range->bits <= address->bits &&
		bitncmp(range->address, address->address, range->bits) == 0;
}
