/*-------------------------------------------------------------------------
 *
 * in_use.c
 *		Who uses a column or table that is about to go, as far as the database
 *		knows.
 *
 * Two sources: dependencies that the server has recorded, of views, rules,
 * policies, triggers, generated columns and functions with a parsed body; and
 * the text of other functions, in which the names of table and column appear
 * as words.  The latter is a guess: it may be another column of that name, and
 * dynamic SQL hides from it.  What clients send is not known here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_language.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"

#include "check/rules.h"
#include "migspec.h"

/*
 * Is the word in the text, as a word of its own, in any case?
 */
static bool
has_word(const char *body, const char *word)
{
	size_t		len = strlen(word);

	if (len == 0)
		return false;
	for (const char *p = body; *p; p++)
	{
		unsigned char before = p == body ? ' ' : p[-1];
		unsigned char after;

		if (pg_strncasecmp(p, word, len) != 0)
			continue;
		after = p[len];
		if (!isalnum(before) && before != '_' && !IS_HIGHBIT_SET(before) &&
			!isalnum(after) && after != '_' && !IS_HIGHBIT_SET(after))
			return true;
	}
	return false;
}

/*
 * One function whose text the server does not understand.
 */
typedef struct Source
{
	char	   *name;
	char	   *body;
} Source;

/*
 * All functions that have only a text, but for those of the system and ours.
 */
static List *
load_sources(void)
{
	Relation	rel = table_open(ProcedureRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	Oid			own = get_namespace_oid(MIGSPEC_SCHEMA, true);
	List	   *sources = NIL;
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_proc proc = (Form_pg_proc) GETSTRUCT(tuple);
		Source	   *source;
		bool		isnull;
		Datum		body;

		if (proc->pronamespace == PG_CATALOG_NAMESPACE || proc->pronamespace == own ||
			proc->oid < FirstNormalObjectId ||
			proc->prolang == INTERNALlanguageId || proc->prolang == ClanguageId ||
			!heap_attisnull(tuple, Anum_pg_proc_prosqlbody, RelationGetDescr(rel)))
			continue;
		body = heap_getattr(tuple, Anum_pg_proc_prosrc, RelationGetDescr(rel), &isnull);
		if (isnull)
			continue;
		source = palloc(sizeof(Source));
		source->name = format_procedure(proc->oid);
		source->body = TextDatumGetCString(body);
		sources = lappend(sources, source);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return sources;
}

/*
 * The relation that a rule belongs to.
 */
static Oid
rule_relation(Oid rule)
{
	Relation	rel = table_open(RewriteRelationId, AccessShareLock);
	Oid			relid = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(rel, RewriteOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relid = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return relid;
}

static void
add_user(StringInfo users, const char *user)
{
	if (strstr(users->data, user) == NULL)
		appendStringInfo(users, "%s%s", users->len > 0 ? ", " : "", user);
}

/*
 * What the server knows to refer to the column (or any, or the table itself).
 */
static void
add_dependents(StringInfo users, Oid relid, AttrNumber attno)
{
	Relation	rel = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[3];
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	ScanKeyInit(&keys[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(attno));
	scan = systable_beginscan(rel, DependReferenceIndexId, true, NULL,
							  attno == 0 ? 2 : 3, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress object = {depend->classid, depend->objid, depend->objsubid};
		char	   *user = NULL;

		/* indexes, constraints and defaults are parts of the table */
		if (depend->deptype != DEPENDENCY_NORMAL ||
			depend->classid == RelationRelationId ||
			depend->classid == ConstraintRelationId ||
			depend->classid == AttrDefaultRelationId)
			continue;
		if (depend->classid == RewriteRelationId)
		{
			Oid			view = rule_relation(depend->objid);

			if (OidIsValid(view) && view != relid)
				user = psprintf("view %s",
								DatumGetCString(DirectFunctionCall1(regclassout,
																	ObjectIdGetDatum(view))));
		}
		else
			user = getObjectDescription(&object, true);
		if (user != NULL)
			add_user(users, user);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * The functions are read once for all statements of a script: *sources is the
 * caller's, NULL at first.
 */
char *
migspec_users_of(const MigspecWorldTable *table, const char *column,
				 bool only_texts, List **sources)
{
	AttrNumber	attno = 0;
	StringInfoData users;
	ListCell   *cell;

	if (!OidIsValid(table->oid) || table->is_new)
		return NULL;
	initStringInfo(&users);
	if (column != NULL)
	{
		MigspecWorldColumn *found = migspec_world_column(table, column);

		if (found == NULL || found->is_new)
			return NULL;
		attno = found->attno;
	}
	if (!only_texts)
		add_dependents(&users, table->oid, attno);
	if (*sources == NULL)
		*sources = lcons(NULL, load_sources());
	for_each_from(cell, *sources, 1)
	{
		const Source *source = lfirst(cell);

		if (has_word(source->body, table->name) &&
			(column == NULL || has_word(source->body, column)))
			add_user(&users, psprintf("function %s", source->name));
	}
	return users.len > 0 ? users.data : NULL;
}
