/*-------------------------------------------------------------------------
 *
 * json.h
 *		Reading an operations document, with the JSON path in every error.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_JSON_H
#define MIGSPEC_JSON_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "base/compat.h"

/* a JSON object, and where in the document it stands ("$.operations[0].add_column") */
typedef struct MigspecJson
{
	char	   *path;
	JsonbContainer *object;
} MigspecJson;

/* one operation of a document */
typedef struct MigspecJsonOperation
{
	char	   *kind;			/* its only key */
	MigspecJson *fields;
} MigspecJsonOperation;

/*
 * The operations of a document: {"operations": [...]} (with optional "name",
 * which is ignored, and "version_schema", stored if not NULL) or a bare array.
 * Returns a List of MigspecJsonOperation *.  Errors MG001, with the path, for
 * anything else, an empty list included.
 */
extern List *migspec_json_operations(Jsonb *document, char **version_schema);

/* error MG001 for a key that is not in the NULL-terminated list */
extern void migspec_json_check_keys(const MigspecJson *json, const char *const *known);

/* error MG001 if the key is missing (when required), null or of another type */
extern char *migspec_json_string(const MigspecJson *json, const char *key, bool required);
extern bool migspec_json_bool(const MigspecJson *json, const char *key, bool fallback);
extern MigspecJson *migspec_json_object(const MigspecJson *json, const char *key, bool required);
extern bool migspec_json_has(const MigspecJson *json, const char *key);

/* error MG001 at json.key: "message", with optional hint */
pg_noreturn extern void migspec_json_error(const MigspecJson *json,
										   const char *key,
										   const char *message,
										   const char *hint);

#endif							/* MIGSPEC_JSON_H */
