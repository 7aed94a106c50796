/*-------------------------------------------------------------------------
 *
 * event.c
 *		The history table, migspec.event, and NOTIFY migspec.
 *
 * Runs in any process, inside a transaction, with which the event commits.
 * An event therefore never tells of something that did not happen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#include "base/sqlutil.h"
#include "catalog/event.h"
#include "migspec.h"

/* the server's limit for a payload, NUL included; see commands/async.c */
#define PAYLOAD_MAX		(BLCKSZ - NAMEDATALEN - 128)

static void
push_string(JsonbParseState **state, JsonbIteratorToken token,
			const char *string)
{
	JsonbValue	value;

	if (string == NULL)
		value.type = jbvNull;
	else
	{
		value.type = jbvString;
		value.val.string.val = unconstify(char *, string);
		value.val.string.len = strlen(string);
	}
	(void) pushJsonbValue(state, token, &value);
}

/*
 * Texts of errors and of statements can quote values of a table's rows, which
 * not everybody who may LISTEN may see.  The view migspec.events hides the
 * same.
 */
static bool
is_private(const char *name)
{
	static const char *const names[] = {
		"blocked_by", "detail", "hint", "message"
	};
	int			i;

	for (i = 0; i < (int) lengthof(names); i++)
	{
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/*
 * A JSON object from a List of names and texts in turn; a text may be NULL.
 */
static Jsonb *
object_from_pairs(List *pairs, bool public_only)
{
	JsonbParseState *state = NULL;
	JsonbValue *object;
	int			i;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (i = 0; i + 1 < list_length(pairs); i += 2)
	{
		const char *name = list_nth(pairs, i);

		if (public_only && is_private(name))
			continue;
		push_string(&state, WJB_KEY, name);
		push_string(&state, WJB_VALUE, list_nth(pairs, i + 1));
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);

	return JsonbValueToJsonb(object);
}

/*
 * Tell listeners.  A detail that is too long for a payload is left out; the
 * table has it.
 */
static void
notify_listeners(const char *migration, const char *event, Jsonb *detail)
{
	StringInfoData payload;
	int			length;

	initStringInfo(&payload);
	appendStringInfoString(&payload, "{\"migration\": ");
	if (migration == NULL)
		appendStringInfoString(&payload, "null");
	else
		escape_json(&payload, migration);
	appendStringInfoString(&payload, ", \"event\": ");
	escape_json(&payload, event);
	length = payload.len;

	appendStringInfoString(&payload, ", \"detail\": ");
	(void) JsonbToCString(&payload, &detail->root, VARSIZE(detail));
	if (payload.len + 1 >= PAYLOAD_MAX)
	{
		payload.len = length;
		payload.data[length] = '\0';
	}
	appendStringInfoChar(&payload, '}');

	if (payload.len < PAYLOAD_MAX)
		Async_Notify(MIGSPEC_CHANNEL, payload.data);
	pfree(payload.data);
}

/*
 * Append an event; see event.h.
 */
void
migspec_event(int64 migration_id, const char *migration, const char *event,
			  bool notify,...)
{
	va_list		arguments;
	char	   *name;
	List	   *pairs = NIL;
	Jsonb	   *detail;

	va_start(arguments, notify);
	while ((name = va_arg(arguments, char *)) != NULL)
	{
		pairs = lappend(pairs, name);
		pairs = lappend(pairs, va_arg(arguments, char *));
	}
	va_end(arguments);

	detail = object_from_pairs(pairs, false);
	migspec_catalog_sql("INSERT INTO migspec.event (migration_id, migration, event, detail)"
						" VALUES (nullif($1, 0), $2, $3, $4)",
						MIGSPEC_PARAMS(MIGSPEC_INT8(migration_id),
									   MIGSPEC_TEXT(migration),
									   MIGSPEC_TEXT(event),
									   MIGSPEC_DATUM(JSONBOID, JsonbPGetDatum(detail), false)));

	if (notify)
		notify_listeners(migration, event, object_from_pairs(pairs, true));
}
