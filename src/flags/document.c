/*-------------------------------------------------------------------------
 *
 * document.c
 *		What is wrong with a feature document or a segment.
 *
 * Looked at when a document comes in: everything that is wrong is listed, with
 * its JSON path, and nothing is stored.  An unknown strategy, an unknown
 * operator and a value that an operator cannot use are no errors to Unleash,
 * whose own documents may be newer than we are: those are only warnings,
 * and never match.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "flags/program.h"

static void
complain(List **problems, const char *path, const char *what)
{
	*problems = lappend(*problems, psprintf("%s: %s", path, what));
}

/* A field that must be of a type if it is there */
static bool
check_type(List **problems, const JsonbValue *object, const char *path, const char *key,
		   enum jbvType type, bool array, const char *what)
{
	JsonbValue *value = migspec_flag_get(object, key);

	if (value == NULL)
		return false;
	if (value->type == type &&
		(type != jbvBinary || JsonContainerIsArray(value->val.binary.data) == array))
		return true;
	complain(problems, psprintf("%s.%s", path, key), psprintf("must be %s", what));
	return false;
}

static void
check_name(List **problems, const JsonbValue *object, const char *path, const char *key)
{
	FlagText	name;

	if (!check_type(problems, object, path, key, jbvString, false, "a string"))
	{
		if (migspec_flag_get(object, key) == NULL)
			complain(problems, psprintf("%s.%s", path, key), "is missing");
	}
	else if (migspec_flag_get_text(object, key, &name) && name.length == 0)
		complain(problems, psprintf("%s.%s", path, key), "must not be empty");
}

/*
 * Call "check" for each element of an array, all of which must be objects.
 */
static void
check_elements(List **problems, const JsonbValue *object, const char *path, const char *key,
			   void (*check) (List **problems, const JsonbValue *element, const char *path))
{
	JsonbValue *elements;
	int			n;

	if (!check_type(problems, object, path, key, jbvBinary, true, "an array"))
		return;
	n = migspec_flag_get_array(object, key, &elements);
	for (int i = 0; i < n; i++)
	{
		char	   *element = psprintf("%s.%s[%d]", path, key, i);

		if (elements[i].type != jbvBinary || !JsonContainerIsObject(elements[i].val.binary.data))
			complain(problems, element, "must be an object");
		else
			check(problems, &elements[i], element);
	}
}

static void
check_constraint(List **problems, const JsonbValue *json, const char *path)
{
	check_name(problems, json, path, "contextName");
	check_name(problems, json, path, "operator");
	(void) check_type(problems, json, path, "values", jbvBinary, true, "an array");
	(void) check_type(problems, json, path, "inverted", jbvBool, false, "true or false");
	(void) check_type(problems, json, path, "caseInsensitive", jbvBool, false, "true or false");
}

static void
check_override(List **problems, const JsonbValue *json, const char *path)
{
	check_name(problems, json, path, "contextName");
	(void) check_type(problems, json, path, "values", jbvBinary, true, "an array");
}

static void
check_variant(List **problems, const JsonbValue *json, const char *path)
{
	FlagText text;
	double		weight;

	check_name(problems, json, path, "name");
	if (!migspec_flag_get_text(json, "weight", &text) ||
		!migspec_flag_parse_number(text, &weight) ||
		weight < 0 || weight > 1000000 || weight != rint(weight))
		complain(problems, psprintf("%s.weight", path), "must be a whole number from 0 to 1000000");
	(void) check_type(problems, json, path, "payload", jbvBinary, false, "an object");
	check_elements(problems, json, path, "overrides", check_override);
}

/* The percentages are the only parameters that can be wrong. */
static void
check_percentage(List **problems, const JsonbValue *json, const char *path)
{
	static const char *const names[] = {"rollout", "percentage"};
	JsonbValue *parameters = migspec_flag_get(json, "parameters");

	for (size_t i = 0; i < lengthof(names); i++)
	{
		FlagText text;
		double		percent;

		if (!migspec_flag_get_text(parameters, names[i], &text))
			continue;
		if (!migspec_flag_parse_number(text, &percent) || percent < 0 || percent > 100)
			complain(problems, psprintf("%s.parameters.%s", path, names[i]),
					 psprintf("must be a percentage from 0 to 100, not \"%.*s\"",
							  text.length, text.bytes));
	}
}

static void
check_strategy(List **problems, const JsonbValue *json, const char *path)
{
	check_name(problems, json, path, "name");
	(void) check_type(problems, json, path, "parameters", jbvBinary, false, "an object");
	(void) check_type(problems, json, path, "segments", jbvBinary, true, "an array");
	check_percentage(problems, json, path);
	check_elements(problems, json, path, "constraints", check_constraint);
	check_elements(problems, json, path, "variants", check_variant);
}

static void
check_parent(List **problems, const JsonbValue *json, const char *path)
{
	check_name(problems, json, path, "feature");
	(void) check_type(problems, json, path, "enabled", jbvBool, false, "true or false");
	(void) check_type(problems, json, path, "variants", jbvBinary, true, "an array");
}

/* The document as a value, or NULL and a problem */
static JsonbValue *
root_of(Jsonb *document, List **problems)
{
	JsonbValue *root = palloc(sizeof(JsonbValue));

	if (!JB_ROOT_IS_OBJECT(document))
	{
		complain(problems, "$", "must be an object");
		return NULL;
	}
	root->type = jbvBinary;
	root->val.binary.data = &document->root;
	root->val.binary.len = VARSIZE(document) - VARHDRSZ;
	return root;
}

/*
 * migspec_flag_problems -- see flags.h.
 */
List *
migspec_flag_problems(Jsonb *feature)
{
	List	   *problems = NIL;
	JsonbValue *root = root_of(feature, &problems);

	if (root == NULL)
		return problems;
	check_name(&problems, root, "$", "name");
	(void) check_type(&problems, root, "$", "enabled", jbvBool, false, "true or false");
	check_elements(&problems, root, "$", "strategies", check_strategy);
	check_elements(&problems, root, "$", "variants", check_variant);
	check_elements(&problems, root, "$", "dependencies", check_parent);
	return problems;
}

/*
 * migspec_segment_problems -- see flags.h.
 */
List *
migspec_segment_problems(Jsonb *segment)
{
	List	   *problems = NIL;
	JsonbValue *root = root_of(segment, &problems);
	JsonbValue *id;
	double		number;

	if (root == NULL)
		return problems;
	id = migspec_flag_get(root, "id");
	if (!migspec_flag_parse_number(migspec_flag_scalar_text(id), &number) ||
		number != rint(number) || number < 0 || number > PG_INT32_MAX)
		complain(&problems, "$.id", "must be a whole number");
	check_elements(&problems, root, "$", "constraints", check_constraint);
	return problems;
}

/*
 * migspec_flag_warnings -- see flags.h.
 */
List *
migspec_flag_warnings(Jsonb *feature)
{
	List	   *warnings = NIL;
	JsonbValue *root = root_of(feature, &warnings);
	JsonbValue *elements;
	int			n = root ? migspec_flag_get_array(root, "strategies", &elements) : 0;
	FlagText	name = {"", 0};

	if (root)
		(void) migspec_flag_get_text(root, "name", &name);
	for (int i = 0; i < n; i++)
	{
		FlagStrategy strategy;
		char	   *problem;

		if (!migspec_flag_compile_strategy(&elements[i], name, &strategy, &problem))
			complain(&warnings, psprintf("$.strategies[%d]", i), problem);
	}
	return warnings;
}
