/*-------------------------------------------------------------------------
 *
 * json.c
 *		Reading an operations document, with the JSON path in every error.
 *
 * Pure: looks at nothing but the document.  Paths are written the way
 * jsonpath writes them, counted from 0: $.operations[2].alter_column.type, or
 * $[2].alter_column.type if the document is a bare array.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/json.h"

#include "base/errors.h"
#include "spec/json.h"

/* the keys of a document that is an object */
static const char *const document_keys[] = {
	"name", "version_schema", "operations", NULL
};

/*
 * The path of a key of the object at "path"; keys that are no plain words are
 * quoted.
 */
static char *
key_path(const char *path, const char *key)
{
	StringInfoData result;
	size_t		plain;

	plain = strspn(key, "abcdefghijklmnopqrstuvwxyz"
				   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
	initStringInfo(&result);
	appendStringInfo(&result, "%s.", path);
	if (key[0] == '\0' || key[plain] != '\0')
		escape_json(&result, key);
	else
		appendStringInfoString(&result, key);

	return result.data;
}

/*
 * Error MG001.
 */
pg_noreturn static void
malformed(const char *path, const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_MALFORMED_OPERATIONS),
			 errmsg("malformed operations at %s: %s", path, message),
			 hint != NULL ? errhint("%s", hint) : 0));
}

/*
 * Error MG001 for a key; see json.h.
 */
void
migspec_json_error(const MigspecJson *json, const char *key,
				   const char *message, const char *hint)
{
	malformed(key_path(json->path, key), message, hint);
}

/*
 * What a value is, for people.
 */
static const char *
kind_of_value(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvString:
			return "a string";
		case jbvNumeric:
			return "a number";
		case jbvBool:
			return "a boolean";
		default:
			return JsonContainerIsArray(value->val.binary.data) ?
				"an array" : "an object";
	}
}

static bool
is_object(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsObject(value->val.binary.data);
}

static bool
is_array(const JsonbValue *value)
{
	return value->type == jbvBinary &&
		JsonContainerIsArray(value->val.binary.data);
}

/*
 * Error MG001: a value is not what it has to be.
 */
pg_noreturn static void
wrong_kind(const char *path, const JsonbValue *value, const char *wanted)
{
	malformed(path, psprintf("must be %s, but is %s", wanted,
							 kind_of_value(value)), NULL);
}

/*
 * The value of a key, NULL if there is none.
 */
static JsonbValue *
lookup(const MigspecJson *json, const char *key)
{
	return getKeyJsonValueFromContainer(json->object, key, strlen(key), NULL);
}

/*
 * The same; error MG001 if there is none although it is required.
 */
static JsonbValue *
lookup_field(const MigspecJson *json, const char *key, bool required)
{
	JsonbValue *value = lookup(json, key);

	if (value == NULL && required)
		migspec_json_error(json, key, "is missing", NULL);
	return value;
}

static MigspecJson *
make_object(char *path, JsonbContainer *object)
{
	MigspecJson *json = palloc(sizeof(MigspecJson));

	json->path = path;
	json->object = object;
	return json;
}

/*
 * Is the key there?  Also if its value is null.
 */
bool
migspec_json_has(const MigspecJson *json, const char *key)
{
	return lookup(json, key) != NULL;
}

/*
 * The string of a key; NULL if it is missing and not required.
 */
char *
migspec_json_string(const MigspecJson *json, const char *key, bool required)
{
	JsonbValue *value = lookup_field(json, key, required);

	if (value == NULL)
		return NULL;
	if (value->type != jbvString)
		wrong_kind(key_path(json->path, key), value, "a string");
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/*
 * The boolean of a key; "fallback" if it is missing.
 */
bool
migspec_json_bool(const MigspecJson *json, const char *key, bool fallback)
{
	JsonbValue *value = lookup(json, key);

	if (value == NULL)
		return fallback;
	if (value->type != jbvBool)
		wrong_kind(key_path(json->path, key), value, "a boolean");
	return value->val.boolean;
}

/*
 * The object of a key; NULL if it is missing and not required.
 */
MigspecJson *
migspec_json_object(const MigspecJson *json, const char *key, bool required)
{
	JsonbValue *value = lookup_field(json, key, required);

	if (value == NULL)
		return NULL;
	if (!is_object(value))
		wrong_kind(key_path(json->path, key), value, "an object");
	return make_object(key_path(json->path, key), value->val.binary.data);
}

/*
 * The keys of an object, a List of char *.
 */
static List *
object_keys(JsonbContainer *object)
{
	JsonbIterator *iterator = JsonbIteratorInit(object);
	JsonbIteratorToken token;
	JsonbValue	value;
	List	   *keys = NIL;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			keys = lappend(keys, pnstrdup(value.val.string.val,
										  value.val.string.len));
	}
	return keys;
}

/*
 * Hint for an unknown key: those that are known.
 */
static char *
known_keys_hint(const char *const *known)
{
	StringInfoData hint;
	int			i;

	initStringInfo(&hint);
	appendStringInfoString(&hint, "Known keys here are ");
	for (i = 0; known[i] != NULL; i++)
		appendStringInfo(&hint, "%s\"%s\"",
						 i == 0 ? "" : known[i + 1] == NULL ? " and " : ", ",
						 known[i]);
	appendStringInfoChar(&hint, '.');

	return hint.data;
}

/*
 * Error MG001 for a key that is not in the NULL-terminated list.
 */
void
migspec_json_check_keys(const MigspecJson *json, const char *const *known)
{
	ListCell   *cell;

	foreach(cell, object_keys(json->object))
	{
		const char *key = lfirst(cell);
		int			i = 0;

		while (known[i] != NULL && strcmp(known[i], key) != 0)
			i++;
		if (known[i] == NULL)
			migspec_json_error(json, key, "unknown key",
							   known_keys_hint(known));
	}
}

/*
 * One element of the array of operations: an object whose only key says what
 * to do.
 */
static MigspecJsonOperation *
read_operation(char *path, JsonbValue *element)
{
	MigspecJsonOperation *operation = palloc(sizeof(MigspecJsonOperation));
	MigspecJson *object;
	List	   *keys;

	if (!is_object(element))
		wrong_kind(path, element, "an object");
	object = make_object(path, element->val.binary.data);
	keys = object_keys(object->object);
	if (list_length(keys) != 1)
		malformed(path,
				  psprintf("an operation must have exactly one key, but this one has %d",
						   list_length(keys)),
				  "The key says what to do, for instance {\"rename_column\": {\"table\": \"t\", \"from\": \"a\", \"to\": \"b\"}}.");

	operation->kind = linitial(keys);
	operation->fields = migspec_json_object(object, operation->kind, true);

	return operation;
}

/*
 * All elements of the array of operations at "path".
 */
static List *
read_array(const char *path, JsonbContainer *array)
{
	List	   *operations = NIL;
	uint32		count = JsonContainerSize(array);
	uint32		i;

	if (count == 0)
		malformed(path, "there is no operation", NULL);
	for (i = 0; i < count; i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(array, i);

		operations = lappend(operations,
							 read_operation(psprintf("%s[%u]", path, i),
											element));
	}
	return operations;
}

/*
 * The operations of a document; see json.h.
 */
List *
migspec_json_operations(Jsonb *document, char **version_schema)
{
	MigspecJson *root;
	JsonbValue *operations;
	char	   *schema;

	if (JB_ROOT_IS_ARRAY(document) && !JB_ROOT_IS_SCALAR(document))
		return read_array("$", &document->root);
	if (!JB_ROOT_IS_OBJECT(document))
		malformed("$", "must be an array of operations, or an object with the key \"operations\"",
				  NULL);

	root = make_object("$", &document->root);
	migspec_json_check_keys(root, document_keys);
	(void) migspec_json_string(root, "name", false);
	schema = migspec_json_string(root, "version_schema", false);
	if (schema != NULL && version_schema != NULL)
		*version_schema = schema;

	operations = lookup_field(root, "operations", true);
	if (!is_array(operations))
		wrong_kind("$.operations", operations, "an array");
	return read_array("$.operations", operations->val.binary.data);
}
