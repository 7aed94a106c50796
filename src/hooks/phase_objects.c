/*-------------------------------------------------------------------------
 *
 * phase_objects.c
 *		What an active migration needs unchanged.
 *
 * The answers come from the plan (migspec.operation, migspec.step) and from
 * the catalogs.  Runs in a session, before, in the middle of, or after a DDL
 * statement: reads only what is safe at any of these times, takes no lock on
 * anything of users, and never fails because something is not there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "catalog/step.h"
#include "engine/plan.h"
#include "hooks/phase_guard.h"
#include "migspec.h"

#define HIDDEN_PREFIX	"_migspec_"

char *
migspec_phase_column_label(Oid relid, const char *column)
{
	return psprintf("column \"%s\" of table \"%s\"", column, get_rel_name(relid));
}

char *
migspec_phase_object_label(const ObjectAddress *object)
{
	char	   *label = getObjectDescription(object, true);

	return label != NULL ? label : psprintf("object %u/%u", object->classId, object->objectId);
}

static bool
list_has(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	}
	return false;
}

static bool
same_name(const char *a, const char *b)
{
	return a != NULL && strcmp(a, b) == 0;
}

/* see phase_guard.h */
char *
migspec_phase_column_role(const MigspecActive *active, Oid root, const char *column)
{
	ListCell   *lc;

	foreach(lc, active->migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid != root)
			continue;
		if (same_name(op->old_column, column))
			return pstrdup("It is the old column of the migration, which the new one is kept in sync with.");
		if (same_name(op->new_column, column))
			return pstrdup("It is the new column of the migration.");
		if (same_name(op->marker_column, column))
			return pstrdup("The migration marks the rows in it that are still to be converted.");
		if (list_has(op->up_columns, column) || list_has(op->down_columns, column))
			return pstrdup("An expression of the migration reads it.");
	}
	return NULL;
}

/* see phase_guard.h */
char *
migspec_phase_column_needed(const MigspecActive *active, Oid root, const char *column)
{
	char	   *role = migspec_phase_column_role(active, root, column);

	if (role == NULL && migspec_phase_plan_names(active, column))
		role = pstrdup("Statements of the migration's plan name it.");
	return role;
}

/* see phase_guard.h */
bool
migspec_phase_is_old_column(const MigspecActive *active, Oid root, const char *column)
{
	ListCell   *lc;

	foreach(lc, active->migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid == root && (same_name(op->old_column, column) ||
								  same_name(op->marker_column, column)))
			return true;
	}
	return false;
}

/* see phase_guard.h */
bool
migspec_phase_is_paired_column(const MigspecActive *active, Oid root, const char *column)
{
	ListCell   *lc;

	foreach(lc, active->migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid == root && (same_name(op->old_column, column) ||
								  same_name(op->new_column, column)))
			return true;
	}
	return false;
}

static bool
is_word_character(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/*
 * Is the identifier in the SQL text, as a word?  Errs on the side of yes.
 */
static bool
mentions(const char *text, const char *word)
{
	size_t		length = strlen(word);
	const char *found = text;

	while (text !=NULL && (found = strstr(found, word)) != NULL)
	{
		if ((found == text ||!is_word_character(found[-1])) &&
			!is_word_character(found[length]))
			return true;
		found++;
	}
	return false;
}

/* see phase_guard.h */
bool
migspec_phase_plan_names(const MigspecActive *active, const char *name)
{
	const char *quoted = quote_identifier(name);
	ListCell   *lc;

	foreach(lc, active->steps)
	{
		MigspecStep *step = lfirst(lc);

		if (step->kind != MIGSPEC_STEP_BACKFILL &&
			(mentions(step->statement, quoted) || mentions(step->undo, quoted)))
			return true;
	}
	return false;
}

/* see phase_guard.h */
bool
migspec_phase_plan_locks(const MigspecActive *active, Oid relid)
{
	ListCell   *lc;

	foreach(lc, active->steps)
	{
		MigspecStep *step = lfirst(lc);

		if (step->relid == relid || list_member_oid(step->locked, relid))
			return true;
	}
	return false;
}

/* see phase_guard.h */
char *
migspec_phase_identity(const ObjectAddress *object)
{
	char	   *identity = getObjectIdentity(object, true);

	if (identity == NULL)
		return NULL;
	return psprintf("%s %s", getObjectTypeDescription(object, true), identity);
}

/* see phase_guard.h */
bool
migspec_phase_is_carried(const MigspecActive *active, const char *identity)
{
	ListCell   *lc;

	foreach(lc, active->steps)
	{
		const MigspecStep *step = lfirst(lc);

		/* a step that is left out carries nothing any more */
		if (identity != NULL && !step->skipped && same_name(step->carries, identity))
			return true;
	}
	return false;
}

/* see phase_guard.h */
bool
migspec_phase_has_operation(const MigspecActive *active, int64 id)
{
	ListCell   *lc;

	foreach(lc, active->migration->operations)
	{
		if (((MigspecOperation *) lfirst(lc))->id == id)
			return true;
	}
	return false;
}

/* see phase_guard.h */
bool
migspec_phase_is_hidden(const MigspecActive *active, const char *name)
{
	if (name == NULL || strncmp(name, HIDDEN_PREFIX, strlen(HIDDEN_PREFIX)) != 0)
		return false;
	return migspec_phase_has_operation(active, strtoll(name + strlen(HIDDEN_PREFIX), NULL, 10));
}

/* The name of an object that can have a hidden one, or NULL */
static char *
object_name(const ObjectAddress *object)
{
	char	   *name = NULL;
	HeapTuple	tuple;

	switch (object->classId)
	{
		case RelationRelationId:
			return get_rel_name(object->objectId);
		case ConstraintRelationId:
			return get_constraint_name(object->objectId);
		case TriggerRelationId:
			return migspec_phase_trigger_name(object->objectId, NULL);
		case StatisticExtRelationId:
			tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(object->objectId));
			if (HeapTupleIsValid(tuple))
			{
				name = pstrdup(NameStr(((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxname));
				ReleaseSysCache(tuple);
			}
			return name;
		default:
			return NULL;
	}
}

/* see phase_guard.h */
char *
migspec_phase_object_role(const MigspecActive *active, const ObjectAddress *object)
{
	char	   *name = object_name(object);

	if (object->classId == TriggerRelationId && same_name(name, MIGSPEC_SYNC_TRIGGER))
		return pstrdup("The trigger keeps the old and the new columns in sync.");
	if (migspec_phase_is_hidden(active, name))
		return pstrdup("The migration has created it.");
	if (migspec_phase_is_carried(active, migspec_phase_identity(object)))
		return pstrdup("The migration carries it from the old column to the new one.");
	return NULL;
}

/* see phase_guard.h */
List *
migspec_phase_references(MigspecPhaseFrame *frame, const ObjectAddress *object)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *references = NIL;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->classId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(object->objectId));
	scan = systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress *reference;

		if (form->refclassid != RelationRelationId ||
			!OidIsValid(migspec_phase_root(frame, form->refobjid)))
			continue;
		reference = palloc_object(ObjectAddress);
		ObjectAddressSubSet(*reference, RelationRelationId, form->refobjid,
							form->refobjsubid);
		references = lappend(references, reference);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return references;
}

/* see phase_guard.h */
List *
migspec_phase_referenced_columns(MigspecPhaseFrame *frame, const ObjectAddress *object)
{
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, migspec_phase_references(frame, object))
		columns = list_append_unique_int(columns, ((ObjectAddress *) lfirst(lc))->objectSubId);
	list_sort(columns, list_int_cmp);
	return columns;
}

/* see phase_guard.h */
Oid
migspec_phase_own_table(const ObjectAddress *object, Oid relid)
{
	HeapTuple	tuple;

	if (object->classId != ConstraintRelationId)
		return relid;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(object->objectId));
	if (HeapTupleIsValid(tuple))
	{
		relid = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
		ReleaseSysCache(tuple);
	}
	return relid;
}

/* see phase_guard.h */
bool
migspec_phase_is_inherited(const ObjectAddress *object)
{
	HeapTuple	tuple;
	bool		result;

	if (object->classId == RelationRelationId)
		return get_rel_relispartition(object->objectId);
	if (object->classId != ConstraintRelationId)
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(object->objectId));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = OidIsValid(((Form_pg_constraint) GETSTRUCT(tuple))->conparentid) ||
		((Form_pg_constraint) GETSTRUCT(tuple))->coninhcount > 0;
	ReleaseSysCache(tuple);
	return result;
}

/* see phase_guard.h */
char *
migspec_phase_trigger_name(Oid trigger, Oid *relid)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *name = NULL;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		name = pstrdup(NameStr(form->tgname));
		if (relid != NULL)
			*relid = form->tgrelid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return name;
}

/* see phase_guard.h */
Oid
migspec_phase_rule_table(Oid rule, bool *is_view)
{
	Relation	catalog = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;

	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(catalog, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	*is_view = false;
	if (HeapTupleIsValid(tuple))
	{
		relid = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_class;
		*is_view = ((Form_pg_rewrite) GETSTRUCT(tuple))->ev_type - '0' == CMD_SELECT;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relid;
}

/* see phase_guard.h */
bool
migspec_phase_needs_trigger(const MigspecActive *active, Oid root)
{
	ListCell   *lc;

	foreach(lc, active->migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid == root && migspec_plan_is_synchronised(op, active->migration->phase))
			return true;
	}
	return false;
}

/*
 * The same question as migspec_sync_pairs() asks of the relation cache, but
 * without a lock on the table, and with an answer that can be told.
 */
char *
migspec_phase_trigger_problem(const MigspecActive *active, Oid relid, Oid root)
{
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;
	char	   *problem = NULL;

	if (!migspec_phase_needs_trigger(active, root))
		return NULL;
	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);
		int			order = strcmp(NameStr(form->tgname), MIGSPEC_SYNC_TRIGGER);

		if (order == 0)
		{
			found = true;
			if (form->tgenabled != TRIGGER_FIRES_ALWAYS)
				problem = psprintf("Trigger \"%s\", which keeps the old and the new columns in sync, would no longer fire for every writer.",
								   MIGSPEC_SYNC_TRIGGER);
		}
		else if (order > 0 && TRIGGER_FOR_ROW(form->tgtype) && TRIGGER_FOR_BEFORE(form->tgtype))
			problem = psprintf("Trigger \"%s\" would change rows after \"%s\" has synchronised them: triggers fire in the order of their names.",
							   NameStr(form->tgname), MIGSPEC_SYNC_TRIGGER);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (!found)
		problem = psprintf("Trigger \"%s\", which keeps the old and the new columns in sync, would be missing.",
						   MIGSPEC_SYNC_TRIGGER);
	return problem;
}

/* see phase_guard.h */
int64
migspec_phase_function_operation(Oid function)
{
	Oid			nspoid = get_namespace_oid(MIGSPEC_SCHEMA, true);
	char	   *name;

	if (!OidIsValid(nspoid) || get_func_namespace(function) != nspoid)
		return 0;
	name = get_func_name(function);
	if (name != NULL && strncmp(name, "up_", 3) == 0)
		return strtoll(name + 3, NULL, 10);
	if (name != NULL && strncmp(name, "down_", 5) == 0)
		return strtoll(name + 5, NULL, 10);
	return 0;
}
