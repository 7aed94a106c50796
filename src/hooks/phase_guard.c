/*-------------------------------------------------------------------------
 *
 * phase_guard.c
 *		DDL that would break an active migration is refused.
 *
 * Runs in every session, around DDL, in its transaction.  There are two looks
 * at a statement.  The first, before it takes any lock, knows the usual ways
 * to break a migration by the statement's text (phase_statement.c): it spares
 * the wait for a lock, the work, and the server's advice to use CASCADE.  The
 * second goes by what the statement really does, which the server tells an
 * object access hook: each object that is dropped, altered or created, also
 * by CASCADE, DROP OWNED, or within DO blocks and functions.
 *
 * - Dropped objects are still there when the hook is called; those that the
 *   migration needs are refused at once.  What a partition or a referring
 *   table loses is looked at again at the end: these tables may go.
 * - Altered objects are remembered as they were, which is what the catalog
 *   caches show to the hook, and compared when the statement has ended.
 * - Created objects are looked at in the end, when their dependencies exist.
 *
 * Statements of migrations themselves are not watched.  Commands that commit
 * on their way (CREATE INDEX CONCURRENTLY, ...) must be caught by the first
 * look, or while they drop something.
 *
 * A dump that was taken in the middle of a migration is restored table by
 * table, with its indexes and triggers after the rows, those of our own tables
 * among them: what it creates is what the migration knows.
 *
 * While migspec.phase_guard is off, which takes a superuser, everything is
 * found all the same, but recorded instead of refused.
 *
 * Locks: none on objects of users; ACCESS SHARE on our own tables.
 *
 * Interleavings:
 * - A migration expands, or moves on, while the statement waits for its lock:
 *   the hook is called under the lock, and then the targets are read again.
 * - A transaction with an old snapshot (REPEATABLE READ): our own tables are
 *   read with the newest one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/guc.h"
#include "engine/ddl.h"
#include "hooks/guard.h"
#include "hooks/phase_guard.h"
#include "migspec.h"

static object_access_hook_type prev_object_access = NULL;
static MigspecPhaseFrame *current_frame = NULL;

/*----------
 * Violations
 *----------
 */

static List *
add_violation(MigspecPhaseFrame *frame, List *list, MigspecActive *active, Oid relid,
			  Oid root, const char *what, const char *why)
{
	MemoryContext old = MemoryContextSwitchTo(frame->context);
	MigspecPhaseViolation *violation = palloc_object(MigspecPhaseViolation);

	violation->active = active;
	violation->relid = relid;
	violation->root = root;
	violation->what = pstrdup(what);
	violation->why = pstrdup(why);
	list = lappend(list, violation);
	MemoryContextSwitchTo(old);
	return list;
}

/* see phase_guard.h */
void
migspec_phase_violation(MigspecPhaseFrame *frame, MigspecActive *active,
						char *what, char *why)
{
	ListCell   *lc;

	if (migspec_phase_guard)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_PHASE_GUARD),
				 errmsg("cannot %s: migration \"%s\" is in phase %s", what,
						active->migration->name,
						migspec_phase_name(active->migration->phase)),
				 errdetail_internal("%s", why),
				 errhint("The next call is %s. To go back instead, call SELECT migspec_rollback(%s). "
						 "A superuser can SET migspec.phase_guard = off.",
						 active->next_call,
						 quote_literal_cstr(active->migration->name))));
	/* one note tells enough: the end of a statement finds the same again */
	foreach(lc, frame->overridden)
	{
		if (((MigspecPhaseViolation *) lfirst(lc))->active->migration->id == active->migration->id)
			return;
	}
	frame->overridden = add_violation(frame, frame->overridden, active, InvalidOid,
									  InvalidOid, what, why);
}

/*
 * Record what was done in spite of the guard.  The extension itself may have
 * gone by now.
 */
static void
record_overrides(MigspecPhaseFrame *frame)
{
	bool		installed = OidIsValid(get_extension_oid(MIGSPEC_EXTENSION, true));
	ListCell   *lc;

	foreach(lc, frame->overridden)
	{
		MigspecPhaseViolation *violation = lfirst(lc);
		const char *name = violation->active->migration->name;

		ereport(LOG_SERVER_ONLY,
				(errmsg("phase guard of migration \"%s\" was overridden: %s", name,
						violation->what)));
		ereport(WARNING,
				(errmsg("phase guard of migration \"%s\" is overridden: %s", name,
						violation->what),
				 errdetail_internal("%s", violation->why)));
		if (installed)
			migspec_active_mark_overridden(violation->active, violation->what,
										   violation->why);
	}
}

/*----------
 * Targets and their migrations
 *----------
 */

/* see phase_guard.h */
void
migspec_phase_read_targets(MigspecPhaseFrame *frame)
{
	MemoryContext old;

	frame->targets = NIL;
	frame->actives = NIL;
	if (frame->context == NULL)
	{
		/* nearly always there is nothing, and then nothing is to be kept */
		if (migspec_target_list() == NIL)
			return;
		frame->context = AllocSetContextCreate(TopMemoryContext, "migspec phase guard",
											   ALLOCSET_DEFAULT_SIZES);
	}
	old = MemoryContextSwitchTo(frame->context);
	frame->targets = migspec_target_list();
	MemoryContextSwitchTo(old);
}

static MigspecTarget *
find_target(MigspecPhaseFrame *frame, Oid relid)
{
	ListCell   *lc;

	foreach(lc, frame->targets)
	{
		MigspecTarget *target = lfirst(lc);

		if (target->relid == relid)
			return target;
	}
	return NULL;
}

/* see phase_guard.h */
Oid
migspec_phase_root(MigspecPhaseFrame *frame, Oid relid)
{
	ListCell   *lc;

	if (find_target(frame, relid) != NULL)
		return relid;
	if (frame->targets == NIL || !get_rel_relispartition(relid))
		return InvalidOid;
	foreach(lc, get_partition_ancestors(relid))
	{
		if (find_target(frame, lfirst_oid(lc)) != NULL)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* see phase_guard.h */
MigspecActive *
migspec_phase_active(MigspecPhaseFrame *frame, Oid root)
{
	MigspecTarget *target = find_target(frame, root);
	MigspecActive *active;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, frame->actives)
	{
		active = lfirst(lc);
		if (active->migration->id == target->migration_id)
			return active;
	}
	old = MemoryContextSwitchTo(frame->context);
	active = migspec_active_load(target->migration_id);
	if (active == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the migration of table \"%s\" has just ended",
						get_rel_name(root)),
				 errhint("Try again.")));
	frame->actives = lappend(frame->actives, active);
	MemoryContextSwitchTo(old);
	return active;
}

/*----------
 * What a table was like
 *----------
 */

static List *
columns_of(Oid relid)
{
	HeapTuple	relation = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	int			natts = 0;
	List	   *columns = NIL;

	if (HeapTupleIsValid(relation))
	{
		natts = ((Form_pg_class) GETSTRUCT(relation))->relnatts;
		ReleaseSysCache(relation);
	}
	for (int attno = 1; attno <= natts; attno++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(relid),
											Int16GetDatum(attno));
		Form_pg_attribute att;
		MigspecPhaseColumn *column;

		if (!HeapTupleIsValid(tuple))
			continue;
		att = (Form_pg_attribute) GETSTRUCT(tuple);
		if (!att->attisdropped)
		{
			column = palloc_object(MigspecPhaseColumn);
			column->attno = attno;
			column->name = pstrdup(NameStr(att->attname));
			column->type = att->atttypid;
			column->typmod = att->atttypmod;
			column->not_null = att->attnotnull;
			column->identity = att->attidentity;
			columns = lappend(columns, column);
		}
		ReleaseSysCache(tuple);
	}
	return columns;
}

/*
 * See phase_guard.h.  In the middle of a statement, the state of the trigger
 * from before cannot be told; it was in order unless somebody overrode us.
 */
void
migspec_phase_watch(MigspecPhaseFrame *frame, Oid relid, Oid root, bool is_before)
{
	MigspecActive *active = migspec_phase_active(frame, root);
	MigspecPhaseWatch *watch;
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, frame->watches)
	{
		if (((MigspecPhaseWatch *) lfirst(lc))->relid == relid)
			return;
	}
	old = MemoryContextSwitchTo(frame->context);
	watch = palloc0_object(MigspecPhaseWatch);
	watch->relid = relid;
	watch->root = root;
	watch->active = active;
	watch->namespace = get_rel_namespace(relid);
	watch->schema = get_namespace_name(watch->namespace);
	watch->name = get_rel_name(relid);
	watch->columns = columns_of(relid);
	if (is_before || active->overridden)
		watch->trigger_problem = migspec_phase_trigger_problem(active, relid, root);
	frame->watches = lappend(frame->watches, watch);
	MemoryContextSwitchTo(old);
}

/*
 * The first time that the statement does something, it has its locks: read
 * the targets again.  What was watched under another phase is forgotten; the
 * catalog caches still show what it was like before.
 */
static bool
refresh(MigspecPhaseFrame *frame)
{
	List	   *watches = frame->watches;
	ListCell   *lc;

	if (frame->targets_known)
		return frame->targets != NIL;
	frame->watches = NIL;
	migspec_phase_read_targets(frame);
	frame->targets_known = true;
	foreach(lc, watches)
	{
		MigspecPhaseWatch *watch = lfirst(lc);
		Oid			root = migspec_phase_root(frame, watch->relid);
		MigspecActive *active;

		if (!OidIsValid(root))
			continue;
		active = migspec_phase_active(frame, root);
		if (active->migration->id == watch->active->migration->id &&
			active->migration->phase == watch->active->migration->phase)
		{
			MemoryContext old = MemoryContextSwitchTo(frame->context);

			watch->active = active;
			frame->watches = lappend(frame->watches, watch);
			MemoryContextSwitchTo(old);
		}
		else
			migspec_phase_watch(frame, watch->relid, root, false);
	}
	return frame->targets != NIL;
}

/*----------
 * Events
 *----------
 */

/*
 * Something that the migration needs goes.  What a partition has, or a table
 * that refers to one of the migration's, may go with its table.
 */
static void
needed_is_dropped(MigspecPhaseFrame *frame, MigspecActive *active, Oid relid, char *what,
				  char *why)
{
	if (find_target(frame, relid) != NULL || frame->concurrently)
		migspec_phase_violation(frame, active, what, why);
	else
		frame->deferred = add_violation(frame, frame->deferred, active, relid,
										migspec_phase_root(frame, relid), what, why);
}

static void
relation_dropped(MigspecPhaseFrame *frame, Oid relid, int attno)
{
	MigspecActive *active = migspec_phase_active(frame, relid);
	char	   *column;
	char	   *why;

	if (attno == 0)
	{
		migspec_phase_violation(frame, active,
								psprintf("drop table \"%s\"", get_rel_name(relid)),
								"The migration changes this table.");
		return;
	}
	column = get_attname(relid, attno, true);
	why = column == NULL ? NULL : migspec_phase_column_needed(active, relid, column);
	if (why != NULL)
		migspec_phase_violation(frame, active,
								psprintf("drop %s", migspec_phase_column_label(relid, column)),
								why);
}

/* One of our functions, or our extension */
static bool
own_object_touched(MigspecPhaseFrame *frame, const ObjectAddress *object, const char *verb)
{
	int64		operation;
	ListCell   *lc;

	if (object->classId == ExtensionRelationId &&
		object->objectId == get_extension_oid(MIGSPEC_EXTENSION, true) &&
		strcmp(verb, "drop") == 0)
	{
		MigspecTarget *target = linitial(frame->targets);

		migspec_phase_violation(frame, migspec_phase_active(frame, target->relid),
								"drop extension " MIGSPEC_EXTENSION,
								"The migration would stop half-way, with its trigger and columns left behind or dropped.");
		return true;
	}
	if (object->classId != ProcedureRelationId)
		return false;
	operation = migspec_phase_function_operation(object->objectId);
	if (operation == 0)
		return false;
	foreach(lc, frame->targets)
	{
		MigspecActive *active = migspec_phase_active(frame, ((MigspecTarget *) lfirst(lc))->relid);

		if (migspec_phase_has_operation(active, operation))
		{
			migspec_phase_violation(frame, active,
									psprintf("%s %s", verb, migspec_phase_object_label(object)),
									"The sync trigger and the backfill call it.");
			return true;
		}
	}
	return false;
}

/*
 * An object is about to be dropped.  Internal deletions are those of the
 * server's own, of things that it builds anew or that go with a partition.
 */
static void
object_dropped(MigspecPhaseFrame *frame, const ObjectAddress *object, int flags)
{
	ListCell   *lc;

	if ((flags & PERFORM_DELETION_INTERNAL) != 0)
		return;
	if ((flags & PERFORM_DELETION_CONCURRENTLY) != 0)
		frame->concurrently = true;
	if (own_object_touched(frame, object, "drop"))
		return;
	if (object->classId == RelationRelationId && find_target(frame, object->objectId) != NULL)
	{
		relation_dropped(frame, object->objectId, object->objectSubId);
		return;
	}
	foreach(lc, migspec_phase_references(frame, object))
	{
		const ObjectAddress *reference = lfirst(lc);
		Oid			root = migspec_phase_root(frame, reference->objectId);
		MigspecActive *active = migspec_phase_active(frame, root);
		char	   *why = migspec_phase_object_role(active, object);

		if (why != NULL)
		{
			needed_is_dropped(frame, active,
							  migspec_phase_own_table(object, reference->objectId),
							  psprintf("drop %s", migspec_phase_object_label(object)), why);
			return;
		}
	}
}

static void
note_created(MigspecPhaseFrame *frame, const ObjectAddress *object)
{
	MemoryContext old = MemoryContextSwitchTo(frame->context);
	ObjectAddress *copy = palloc_object(ObjectAddress);

	*copy = *object;
	frame->created = lappend(frame->created, copy);
	MemoryContextSwitchTo(old);
}

/* The default of a column; the hook gets table and column */
static void
default_created(MigspecPhaseFrame *frame, Oid relid, int attno)
{
	Oid			root = migspec_phase_root(frame, relid);
	char	   *column = get_attname(relid, attno, true);
	MigspecActive *active;

	if (!OidIsValid(root) || column == NULL)
		return;
	active = migspec_phase_active(frame, root);
	if (migspec_phase_is_old_column(active, root, column))
		migspec_phase_violation(frame, active,
								psprintf("change the default of %s",
										 migspec_phase_column_label(relid, column)),
								"The new column gets the default that the old one had when the plan was made, and a rollback restores that.");
}

static void
object_created(MigspecPhaseFrame *frame, const ObjectAddress *object, bool is_internal)
{
	Oid			relid = InvalidOid;

	if (object->classId == AttrDefaultRelationId && !frame->restoring)
	{
		default_created(frame, object->objectId, object->objectSubId);
		return;
	}
	if (is_internal || (!frame->restoring && own_object_touched(frame, object, "replace")))
		return;
	switch (object->classId)
	{
		case TriggerRelationId:
			/* it becomes visible to this statement when it is complete */
			(void) migspec_phase_trigger_name(object->objectId, &relid);
			note_created(frame, object);
			break;
		case RelationRelationId:
		case ConstraintRelationId:
		case PolicyRelationId:
		case ProcedureRelationId:
		case PublicationRelRelationId:
		case RewriteRelationId:
		case StatisticExtRelationId:
			note_created(frame, object);
			break;
		default:
			break;
	}
	if (OidIsValid(relid) && OidIsValid(migspec_phase_root(frame, relid)))
		migspec_phase_watch(frame, relid, migspec_phase_root(frame, relid), false);
}

/*
 * Something that hangs on a table of ours is being altered: remember what it
 * was.
 */
static void
note_altered(MigspecPhaseFrame *frame, const ObjectAddress *object)
{
	List	   *references = migspec_phase_references(frame, object);
	MigspecPhaseAltered *altered;
	MemoryContext old;
	ListCell   *lc;

	/* what hung on no table of ours may do so in the end */
	note_created(frame, object);
	if (references == NIL)
		return;
	foreach(lc, frame->altered)
	{
		altered = lfirst(lc);
		if (altered->object.classId == object->classId &&
			altered->object.objectId == object->objectId)
			return;
	}
	old = MemoryContextSwitchTo(frame->context);
	altered = palloc0_object(MigspecPhaseAltered);
	altered->object = *object;
	altered->active = migspec_phase_active(frame,
										   migspec_phase_root(frame, ((ObjectAddress *) linitial(references))->objectId));
	altered->identity = migspec_phase_identity(object);
	altered->is_protected = migspec_phase_object_role(altered->active, object) != NULL;
	altered->columns = migspec_phase_referenced_columns(frame, object);
	frame->altered = lappend(frame->altered, altered);
	MemoryContextSwitchTo(old);
}

static void
watch_schema(MigspecPhaseFrame *frame, Oid nspoid)
{
	ListCell   *lc;

	foreach(lc, frame->targets)
	{
		Oid			relid = ((MigspecTarget *) lfirst(lc))->relid;

		if (get_rel_namespace(relid) == nspoid)
			migspec_phase_watch(frame, relid, relid, false);
	}
}

static void
note_publication(MigspecPhaseFrame *frame, Oid publication)
{
	MemoryContext old = MemoryContextSwitchTo(frame->context);

	frame->publication = publication;
	frame->publication_name = get_publication_name(publication, true);
	MemoryContextSwitchTo(old);
}

/* A table gets a parent; one of them may be ours */
static void
inheritance_changed(MigspecPhaseFrame *frame, Oid child, Oid parent)
{
	if (find_target(frame, child) != NULL)
		migspec_phase_violation(frame, migspec_phase_active(frame, child),
								psprintf("let table \"%s\" inherit", get_rel_name(child)),
								"Inherited columns cannot be renamed or dropped.");
	if (find_target(frame, parent) == NULL ||
		get_rel_relkind(parent) == RELKIND_PARTITIONED_TABLE)
		return;
	migspec_phase_violation(frame, migspec_phase_active(frame, parent),
							psprintf("let another table inherit from table \"%s\"",
									 get_rel_name(parent)),
							"Rows of the other table would not be kept in sync.");
}

static void
object_altered(MigspecPhaseFrame *frame, const ObjectAddress *object,
			   const ObjectAccessPostAlter *details)
{
	Oid			relid = InvalidOid;

	if (own_object_touched(frame, object, "alter"))
		return;
	switch (object->classId)
	{
		case InheritsRelationId:
			inheritance_changed(frame, object->objectId, details->auxiliary_id);
			break;
		case NamespaceRelationId:
			watch_schema(frame, object->objectId);
			break;
		case PublicationRelationId:
			note_publication(frame, object->objectId);
			break;
		case TriggerRelationId:
			(void) migspec_phase_trigger_name(object->objectId, &relid);
			break;
		case RelationRelationId:
			relid = object->objectId;
			if (!OidIsValid(migspec_phase_root(frame, relid)) && object->objectSubId == 0)
				note_altered(frame, object);
			break;
		case ConstraintRelationId:
		case PolicyRelationId:
		case StatisticExtRelationId:
			note_altered(frame, object);
			break;
		default:
			break;
	}
	if (OidIsValid(relid) && OidIsValid(migspec_phase_root(frame, relid)))
		migspec_phase_watch(frame, relid, migspec_phase_root(frame, relid), false);
}

/*
 * The hook.
 */
static pg_attribute_hot void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	MigspecPhaseFrame *frame = current_frame;
	ObjectAddress object;

	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);
	if (frame == NULL || migspec_ddl_running() ||
		(access != OAT_DROP && access != OAT_POST_CREATE && access != OAT_POST_ALTER) ||
		!refresh(frame))
		return;
	ObjectAddressSubSet(object, classId, objectId, subId);
	switch (access)
	{
		case OAT_DROP:
			object_dropped(frame, &object, ((ObjectAccessDrop *) arg)->dropflags);
			break;
		case OAT_POST_CREATE:
			object_created(frame, &object,
						   arg != NULL && ((ObjectAccessPostCreate *) arg)->is_internal);
			break;
		case OAT_POST_ALTER:
			object_altered(frame, &object, arg);
			break;
		default:
			break;
	}
}

/*----------
 * Around a statement
 *----------
 */

/*
 * Can the statement drop our own tables, so that nothing could be looked up
 * any more while it goes on?
 */
static bool
may_drop_us(Node *statement)
{
	return IsA(statement, DropOwnedStmt) ||
		(IsA(statement, DropStmt) &&
		 (((DropStmt *) statement)->removeType == OBJECT_EXTENSION ||
		  ((DropStmt *) statement)->removeType == OBJECT_SCHEMA));
}

/* see phase_guard.h */
void
migspec_phase_guard_begin(MigspecPhaseFrame *frame, Node *statement)
{
	ListCell   *lc;

	memset(frame, 0, sizeof(MigspecPhaseFrame));
	frame->previous = current_frame;
	current_frame = frame;
	migspec_phase_read_targets(frame);
	if (frame->targets == NIL)
		return;
	if (may_drop_us(statement))
	{
		foreach(lc, frame->targets)
			(void) migspec_phase_active(frame, ((MigspecTarget *) lfirst(lc))->relid);
		frame->targets_known = true;
	}
	frame->restoring = migspec_guard_is_restoring();
	migspec_phase_check_statement(frame, statement);
}

/* see phase_guard.h */
void
migspec_phase_guard_end(MigspecPhaseFrame *frame)
{
	ListCell   *lc;

	/* nothing to compare with if nothing was known before */
	if (frame->context == NULL)
		return;
	(void) refresh(frame);
	migspec_phase_check_outcome(frame);
	foreach(lc, frame->deferred)
	{
		MigspecPhaseViolation *violation = lfirst(lc);

		if (get_rel_name(violation->relid) != NULL &&
			migspec_phase_root(frame, violation->relid) == violation->root)
			migspec_phase_violation(frame, violation->active, violation->what, violation->why);
	}
	record_overrides(frame);
}

/* see phase_guard.h */
void
migspec_phase_guard_release(MigspecPhaseFrame *frame)
{
	current_frame = frame->previous;
	if (frame->context != NULL)
		MemoryContextDelete(frame->context);
}

/* see phase_guard.h */
void
migspec_phase_guard_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
}
