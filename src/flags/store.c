/*-------------------------------------------------------------------------
 *
 * store.c
 *		The one place that writes flags.
 *
 * A change takes a new stamp, writes it to the row of the generation, whose
 * lock it keeps until its transaction ends, and to every row that it changes.
 * So changes happen one after the other, and a snapshot that sees a generation
 * sees all that led to it; see cache.c for why that matters.
 *
 * A flag belongs to the role that created it, which alone (and its members,
 * and superusers) may change it.  To create one takes the right to create in
 * the database, as for a schema.
 *
 * Runs in sessions and in the rollout worker, in a transaction.  Locks: the row
 * of the generation, then those of the flags.
 *
 * Interleavings that must be survived:
 * - Two sessions change flags at the same time: the second waits for the first
 *	 one's end, and then changes what the first has left; in REPEATABLE READ it
 *	 fails with a serialization error, as with any row.
 * - A change is rolled back, also to a savepoint: its stamp is never used again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "catalog/migration.h"
#include "flags/program.h"
#include "flags/stage.h"
#include "flags/store.h"

#define JSONB_PARAM(j) MIGSPEC_DATUM(JSONBOID, JsonbPGetDatum(j), false)

/* see store.h */
bool
migspec_flag_begin_wait(void)
{
	if (IsolationUsesXactSnapshot() || migspec_flag_looked())
		return false;
	migspec_unaware_begin();
	return true;
}

/* see store.h */
void
migspec_flag_end_wait(bool begun)
{
	if (begun)
		migspec_unaware_end();
}

/*
 * migspec_flag_begin_change -- see store.h.
 */
int64
migspec_flag_begin_change(void)
{
	MigspecIdentity saved;
	int64		stamp = 0;
	bool		waits = migspec_flag_begin_wait();

	migspec_catalog_begin(&saved);
	if (migspec_sql("UPDATE migspec.flag_generation"
					" SET stamp = nextval('migspec.flag_stamp') RETURNING stamp", 0, NULL) == 1)
		stamp = migspec_spi_int8(0, "stamp");
	migspec_catalog_end(&saved);
	migspec_flag_end_wait(waits);

	/*
	 * others may act on it as soon as they see it, so a crash must not undo
	 * it
	 */
	ForceSyncCommit();
	if (stamp == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("table \"migspec.flag_generation\" has no row"),
				 errhint("Insert the row (0, 0) as a superuser.")));
	return stamp;
}

/* Segments are compiled into the flags that name them. */
static void
touch_segments(int64 stamp)
{
	(void) migspec_catalog_sql("UPDATE migspec.flag_generation SET segments = $1",
							   MIGSPEC_PARAMS(MIGSPEC_INT8(stamp)));
}

static void
require_create(void)
{
	if (migspec_may_create_in_database())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to create a flag"),
			 errdetail("It takes the right to create in the database."),
			 errhint("GRANT CREATE ON DATABASE gives it.")));
}

/*
 * Whoever imports locks out other changes, even if his document has none: it
 * takes the right to create flags, or some that are his.
 */
static void
require_import(void)
{
	MigspecIdentity saved;
	bool		owns;

	migspec_catalog_begin(&saved);
	owns = migspec_sql("SELECT FROM (SELECT owner FROM migspec.flag UNION SELECT owner FROM migspec.flag_segment) AS o"
					   " WHERE pg_has_role($1, o.owner, 'USAGE') LIMIT 1",
					   MIGSPEC_PARAMS(MIGSPEC_DATUM(OIDOID, ObjectIdGetDatum(saved.userid), false))) > 0;
	migspec_catalog_end(&saved);
	if (!owns)
		require_create();
}

static void
require_owner(const char *what, const char *name, Oid owner)
{
	if (has_privs_of_role(GetUserId(), owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_NOT_FLAG_OWNER),
			 errmsg("must be owner of %s \"%s\"", what, name),
			 errdetail("It belongs to role \"%s\".", GetUserNameFromId(owner, true)),
			 errhint("Evaluating it needs no rights; changing it is for its owner.")));
}

/*
 * migspec_flag_require -- see store.h.
 */
MigspecFlagRow *
migspec_flag_require(const char *name, bool missing_ok)
{
	MigspecIdentity saved;
	MigspecFlagRow *row = NULL;

	migspec_catalog_begin(&saved);
	if (migspec_sql("SELECT name, document::text AS document, owner::oid AS owner, stage, next_stage, migration, frozen"
					" FROM migspec.flag WHERE name = $1",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(name))) == 1)
	{
		row = palloc0(sizeof(MigspecFlagRow));
		row->name = migspec_spi_text(0, "name");
		row->document = migspec_spi_text(0, "document");
		row->owner = migspec_spi_oid(0, "owner");
		row->stage = migspec_stage_from_name(migspec_spi_text(0, "stage"));
		row->next_stage = migspec_stage_from_name(migspec_spi_text(0, "next_stage"));
		row->migration = migspec_spi_text(0, "migration");
		row->frozen = migspec_spi_bool(0, "frozen");
	}
	migspec_catalog_end(&saved);
	if (row)
		require_owner("flag", name, row->owner);
	else if (!missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_FLAG),
				 errmsg("flag \"%s\" does not exist", name),
				 errhint("The view migspec.flags lists all flags; migspec_flag_put makes new ones.")));
	return row;
}

/* The problems as one text, a line each */
static char *
lines(List *list)
{
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, list)
		appendStringInfo(&text, "%s%s", text.len ? "\n" : "", (char *) lfirst(lc));
	return text.data;
}

/*
 * Refuse a document with problems, and warn of what never matches.
 */
static void
check_document(const char *what, const char *name, List *problems, List *warnings)
{
	if (problems != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_MALFORMED_FLAG),
				 errmsg("malformed %s \"%s\"", what, name ? name : ""),
				 errdetail_internal("%s", lines(problems)),
				 errhint("Nothing was stored. The format is that of Unleash's client features.")));
	if (warnings != NIL)
		ereport(WARNING,
				(errcode(ERRCODE_MIGSPEC_MALFORMED_FLAG),
				 errmsg("parts of %s \"%s\" never match", what, name),
				 errdetail_internal("%s", lines(warnings))));
}

/* A field of a document as text, NULL if there is none */
static char *
document_field(Jsonb *document, const char *field)
{
	JsonbValue *value;

	if (!JB_ROOT_IS_OBJECT(document))
		return NULL;
	value = getKeyJsonValueFromContainer(&document->root, field, strlen(field), NULL);
	if (value && value->type == jbvString)
		return pnstrdup(value->val.string.val, value->val.string.len);
	return value && value->type == jbvNumeric ?
		DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric))) : NULL;
}

static void
record(const char *event, const char *name, int64 stamp, const char *detail, const char *value)
{
	migspec_event(0, NULL, event, true, "flag", name,
				  "generation", psprintf(INT64_FORMAT, stamp), detail, value, NULL);
}

/*
 * What was counted and compared goes with its flag; what came too late, before
 * there is another one of its name.
 */
static void
forget_findings(const char *name)
{
	(void) migspec_catalog_sql("WITH c AS (DELETE FROM migspec.flag_count WHERE flag = $1)"
							   " DELETE FROM migspec.flag_mismatch WHERE flag = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name)));
}

/*
 * migspec_flag_put -- see store.h.
 */
void
migspec_flag_put(Jsonb *feature, int64 stamp)
{
	char	   *name = document_field(feature, "name");
	MigspecFlagRow *row;
	bool		changed;

	check_document("flag", name, migspec_flag_problems(feature), NIL);
	row = migspec_flag_require(name, true);
	if (row == NULL)
	{
		require_create();
		forget_findings(name);
	}
	else
		migspec_stage_check_change(row, feature);
	check_document("flag", name, NIL, migspec_flag_warnings(feature));
	changed = migspec_catalog_sql("INSERT INTO migspec.flag AS f (name, document, stamp, owner)"
								  " VALUES ($1, $2, $3, $4)"
								  " ON CONFLICT (name) DO UPDATE SET document = excluded.document,"
								  " stamp = excluded.stamp, changed_at = now()"
								  " WHERE f.document <> excluded.document",
								  MIGSPEC_PARAMS(MIGSPEC_TEXT(name), JSONB_PARAM(feature), MIGSPEC_INT8(stamp),
												 MIGSPEC_DATUM(REGROLEOID, ObjectIdGetDatum(GetUserId()), false))) > 0;
	if (changed)
		record(row ? "flag_changed" : "flag_created", name, stamp, NULL, NULL);
}

/*
 * migspec_flag_drop -- see store.h.
 */
void
migspec_flag_drop(const char *name, int64 stamp)
{
	MigspecFlagRow *row = migspec_flag_require(name, false);

	migspec_stage_check_drop(row);
	(void) migspec_catalog_sql("DELETE FROM migspec.flag WHERE name = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name)));
	forget_findings(name);
	record("flag_dropped", name, stamp, NULL, NULL);
}

/*
 * migspec_flag_set_rollout -- see store.h.  The first strategy that is a
 * rollout gets the percentage; a flag without one gets one.
 */
void
migspec_flag_set_rollout(const char *name, const char *percent, int64 stamp)
{
	MigspecFlagRow *row = migspec_flag_require(name, false);
	MigspecIdentity saved;
	bool		isnull;
	Jsonb	   *document;

	migspec_catalog_begin(&saved);
	(void) migspec_sql(
					   "WITH place AS (SELECT (s.ordinality - 1)::text AS number,"
					   "   CASE s.value ->> 'name' WHEN 'flexibleRollout' THEN 'rollout' ELSE 'percentage' END AS parameter"
					   "  FROM migspec.flag AS f,"
					   "   jsonb_array_elements(" MIGSPEC_JSON("f.document -> 'strategies'", "[]") ") WITH ORDINALITY AS s"
					   "  WHERE f.name = $1 AND s.value ->> 'name' IN ('flexibleRollout', 'gradualRollout',"
					   "   'gradualRolloutUserId', 'gradualRolloutSessionId', 'gradualRolloutRandom')"
					   "  ORDER BY s.ordinality LIMIT 1)"
					   "UPDATE migspec.flag SET stamp = $3, changed_at = now(), document ="
					   " CASE WHEN EXISTS (SELECT FROM place) THEN"
					   "  (SELECT jsonb_set(jsonb_set(document, ARRAY['strategies', p.number, 'parameters'],"
					   "    " MIGSPEC_JSON("document #> ARRAY['strategies', p.number, 'parameters']", "{}") "),"
					   "    ARRAY['strategies', p.number, 'parameters', p.parameter], to_jsonb($2))"
					   "   FROM place AS p)"
					   " ELSE jsonb_set(document, ARRAY['strategies'],"
					   "  " MIGSPEC_JSON("document -> 'strategies'", "[]") " || jsonb_build_array(jsonb_build_object("
					   "   'name', 'flexibleRollout', 'parameters', jsonb_build_object("
					   "    'rollout', $2, 'stickiness', 'default', 'groupId', $1)))) END"
					   " WHERE name = $1 RETURNING document",
					   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_TEXT(percent), MIGSPEC_INT8(stamp)));
	document = DatumGetJsonbP(migspec_spi_datum(0, "document", &isnull));
	migspec_catalog_end(&saved);
	migspec_stage_check_change(row, document);
	record("flag_rollout", name, stamp, "percent", percent);
}

/* The id of a segment, which can be written in many ways; NULL if it is none */
static char *
segment_id(Jsonb *document, const char *field)
{
	char	   *text = document_field(document, field);
	double		id;

	if (text == NULL || !migspec_flag_parse_number(migspec_flag_text(text, strlen(text)), &id) ||
		id != rint(id) || id < 0 || id > PG_INT32_MAX)
		return NULL;
	return psprintf("%d", (int) id);
}

static void
put_segment(Jsonb *segment, int64 stamp)
{
	char	   *id = segment_id(segment, "id");
	MigspecIdentity saved;

	check_document("segment", document_field(segment, "id"), migspec_segment_problems(segment), NIL);
	require_create();
	migspec_catalog_begin(&saved);
	if (migspec_sql("SELECT owner::oid AS owner FROM migspec.flag_segment WHERE id = $1::integer",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(id))) == 1)
	{
		Oid			owner = migspec_spi_oid(0, "owner");

		migspec_restore_identity(&saved);
		require_owner("segment", id, owner);
		migspec_become_extension(&saved);
	}
	(void) migspec_sql("INSERT INTO migspec.flag_segment (id, document, stamp, owner)"
					   " VALUES ($1::integer, $2, $3, $4) ON CONFLICT (id) DO UPDATE"
					   " SET document = excluded.document, stamp = excluded.stamp",
					   MIGSPEC_PARAMS(MIGSPEC_TEXT(id), JSONB_PARAM(segment), MIGSPEC_INT8(stamp),
									  MIGSPEC_DATUM(REGROLEOID, ObjectIdGetDatum(saved.userid), false)));
	migspec_catalog_end(&saved);
}

static void
remove_segment(const char *id)
{
	MigspecIdentity saved;

	migspec_catalog_begin(&saved);
	if (id && migspec_sql("SELECT owner::oid AS owner FROM migspec.flag_segment WHERE id::text = $1",
						  MIGSPEC_PARAMS(MIGSPEC_TEXT(id))) == 1)
	{
		Oid			owner = migspec_spi_oid(0, "owner");

		migspec_restore_identity(&saved);
		require_owner("segment", id, owner);
		migspec_become_extension(&saved);
		(void) migspec_sql("DELETE FROM migspec.flag_segment WHERE id::text = $1",
						   MIGSPEC_PARAMS(MIGSPEC_TEXT(id)));
	}
	migspec_catalog_end(&saved);
}

/* The elements of an array in a document, each as a document */
static List *
elements_of(JsonbContainer *object, const char *key)
{
	List	   *result = NIL;
	JsonbValue *array = getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;

	if (array == NULL || array->type != jbvBinary ||
		!JsonContainerIsArray(array->val.binary.data))
		return NIL;
	it = JsonbIteratorInit(array->val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_ELEM)
			result = lappend(result, JsonbValueToJsonb(&value));
	}
	return result;
}

/* A member of an object, as a document; NULL if there is none */
static Jsonb *
member_of(Jsonb *object, const char *key)
{
	JsonbValue *value;

	if (!JB_ROOT_IS_OBJECT(object))
		return NULL;
	value = getKeyJsonValueFromContainer(&object->root, key, strlen(key), NULL);
	return value && value->type != jbvNull ? JsonbValueToJsonb(value) : NULL;
}

/*
 * What a complete document does not have goes, but for the flags of
 * migrations, which nobody's export knows.
 */
static void
drop_others(List *names, List *segments, int64 stamp)
{
	MigspecIdentity saved;
	List	   *gone;
	ListCell   *lc;

	migspec_catalog_begin(&saved);
	(void) migspec_sql("SELECT coalesce(array_agg(name::text ORDER BY name), '{}') AS names"
					   " FROM migspec.flag WHERE stage IS NULL AND name <> ALL ($1)",
					   MIGSPEC_PARAMS(MIGSPEC_DATUM(TEXTARRAYOID, migspec_text_array(names), false)));
	gone = migspec_spi_textlist(0, "names");
	migspec_catalog_end(&saved);
	foreach(lc, gone)
		migspec_flag_drop(lfirst(lc), stamp);

	migspec_catalog_begin(&saved);
	(void) migspec_sql("SELECT coalesce(array_agg(id::text ORDER BY id), '{}') AS ids"
					   " FROM migspec.flag_segment WHERE id::text <> ALL ($1)",
					   MIGSPEC_PARAMS(MIGSPEC_DATUM(TEXTARRAYOID, migspec_text_array(segments), false)));
	gone = migspec_spi_textlist(0, "ids");
	migspec_catalog_end(&saved);
	foreach(lc, gone)
		remove_segment(lfirst(lc));
}

static int
import_state(Jsonb *state, bool replace, int64 stamp)
{
	List	   *features = elements_of(&state->root, "features");
	List	   *segments = elements_of(&state->root, "segments");
	List	   *names = NIL;
	List	   *ids = NIL;
	ListCell   *lc;

	foreach(lc, segments)
	{
		put_segment(lfirst(lc), stamp);
		ids = lappend(ids, segment_id(lfirst(lc), "id"));
	}
	touch_segments(stamp);
	foreach(lc, features)
	{
		migspec_flag_put(lfirst(lc), stamp);
		names = lappend(names, document_field(lfirst(lc), "name"));
	}
	if (replace)
		drop_others(names, ids, stamp);
	return list_length(features);
}

static void
event_feature_updated(Jsonb *event, int64 stamp)
{
	Jsonb	   *feature = member_of(event, "feature");

	if (feature)
		migspec_flag_put(feature, stamp);
}

static void
event_feature_removed(Jsonb *event, int64 stamp)
{
	char	   *name = document_field(event, "featureName");

	if (name && migspec_flag_require(name, true))
		migspec_flag_drop(name, stamp);
}

static void
event_segment_updated(Jsonb *event, int64 stamp)
{
	Jsonb	   *segment = member_of(event, "segment");

	if (segment)
		put_segment(segment, stamp);
	touch_segments(stamp);
}

static void
event_segment_removed(Jsonb *event, int64 stamp)
{
	remove_segment(segment_id(event, "segmentId"));
	touch_segments(stamp);
}

static void
event_hydration(Jsonb *event, int64 stamp)
{
	(void) import_state(event, true, stamp);
}

static const struct
{
	const char *type;
	void		(*apply) (Jsonb *event, int64 stamp);
}			events[] =

{
	{"feature-removed", event_feature_removed},
	{"feature-updated", event_feature_updated},
	{"hydration", event_hydration},
	{"segment-removed", event_segment_removed},
	{"segment-updated", event_segment_updated},
};

static void
apply_event(Jsonb *event, int64 stamp)
{
	char	   *type = document_field(event, "type");

	for (size_t i = 0; type && i < lengthof(events); i++)
	{
		if (strcmp(type, events[i].type) == 0)
		{
			events[i].apply(event, stamp);
			return;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_MALFORMED_FLAG),
			 errmsg("unknown event type \"%s\" in a delta document", type ? type : ""),
			 errhint("Events are hydration, feature-updated, feature-removed, segment-updated and segment-removed.")));
}

/*
 * migspec_flag_import -- see store.h.
 */
int
migspec_flag_import(Jsonb *document, bool replace)
{
	int64		stamp;
	List	   *list;
	ListCell   *lc;

	if (!JB_ROOT_IS_OBJECT(document) ||
		(member_of(document, "features") == NULL && member_of(document, "events") == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_MALFORMED_FLAG),
				 errmsg("malformed document of flags"),
				 errdetail("$: must be an object with \"features\" or \"events\"."),
				 errhint("A single feature goes to migspec_flag_put.")));
	require_import();
	stamp = migspec_flag_begin_change();
	if (member_of(document, "events") == NULL)
		return import_state(document, replace, stamp);
	list = elements_of(&document->root, "events");
	foreach(lc, list)
		apply_event(lfirst(lc), stamp);
	return list_length(list);
}
