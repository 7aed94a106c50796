/*-------------------------------------------------------------------------
 *
 * phase_outcome.c
 *		The last look of the phase guard: what a statement has led to.
 *
 * Runs in a session, when a DDL statement has done its work, so that the
 * catalogs show all of it.  The tables and objects that it touched, which
 * phase_guard.c has remembered as they were, are compared with what they are
 * now; new objects must not hang on an old column.  Takes no lock on anything
 * of users: the statement has those that matter.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "nodes/nodes.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "hooks/phase_guard.h"

/* One column of a watched table that is not what it was */
static void
check_column(MigspecPhaseFrame *frame, const MigspecPhaseWatch *watch,
			 const MigspecPhaseColumn *before)
{
	MigspecActive *active = watch->active;
	HeapTuple	tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(watch->relid),
										Int16GetDatum(before->attno));
	FormData_pg_attribute now;
	char	   *label = psprintf("column \"%s\" of table \"%s\"", before->name, watch->name);
	char	   *why;

	if (!HeapTupleIsValid(tuple))
		return;
	now = *(Form_pg_attribute) GETSTRUCT(tuple);
	ReleaseSysCache(tuple);
	if (now.attisdropped)
		return;					/* it has been noticed */

	why = strcmp(NameStr(now.attname), before->name) == 0 ? NULL :
		migspec_phase_column_needed(active, watch->root, before->name);
	if (why != NULL)
		migspec_phase_violation(frame, active, psprintf("rename %s", label), why);
	why = now.atttypid == before->type && now.atttypmod == before->typmod ? NULL :
		migspec_phase_column_role(active, watch->root, before->name);
	if (why != NULL)
		migspec_phase_violation(frame, active, psprintf("change the type of %s", label), why);
	if (before->identity && !now.attidentity &&
		migspec_phase_is_paired_column(active, watch->root, before->name))
		migspec_phase_violation(frame, active, psprintf("drop the identity of %s", label),
								"The plan passes the identity that the old column had when the plan was made to the new one, and a rollback passes it back.");
	if (now.attnotnull != before->not_null &&
		migspec_phase_is_old_column(active, watch->root, before->name))
		migspec_phase_violation(frame, active, psprintf("change NOT NULL of %s", label),
								"The new column gets what the old one had when the plan was made, and a rollback restores that.");
}

static void
check_watch(MigspecPhaseFrame *frame, const MigspecPhaseWatch *watch)
{
	char	   *name = get_rel_name(watch->relid);
	Oid			namespace = get_rel_namespace(watch->relid);
	MigspecActive *active = watch->active;
	char	   *problem;
	ListCell   *lc;

	/* a partition that has gone, or goes its own way */
	if (name == NULL || migspec_phase_root(frame, watch->relid) != watch->root)
		return;
	if (watch->relid == watch->root || migspec_phase_plan_locks(active, watch->relid))
	{
		if (strcmp(name, watch->name) != 0)
			migspec_phase_violation(frame, active,
									psprintf("rename table \"%s\"", watch->name),
									"Statements of the migration's plan name it.");
		if (namespace != watch->namespace ||
			strcmp(get_namespace_name(namespace), watch->schema) != 0)
			migspec_phase_violation(frame, active,
									psprintf("change the schema of table \"%s\"", watch->name),
									"Statements of the migration's plan name it.");
	}
	foreach(lc, watch->columns)
		check_column(frame, watch, lfirst(lc));
	problem = migspec_phase_trigger_problem(active, watch->relid, watch->root);
	if (problem != NULL && watch->trigger_problem == NULL)
		migspec_phase_violation(frame, active,
								psprintf("change triggers of table \"%s\" like this", watch->name),
								problem);
}

static void
check_altered(MigspecPhaseFrame *frame, const MigspecPhaseAltered *altered)
{
	char	   *identity = migspec_phase_identity(&altered->object);
	bool		is_sequence = altered->object.classId == RelationRelationId &&
	get_rel_relkind(altered->object.objectId) == RELKIND_SEQUENCE;
	const char *why = "The plan carries it as it was when the plan was made.";

	if (!altered->is_protected || altered->identity == NULL || identity == NULL)
		return;
	if (strcmp(identity, altered->identity) != 0)
		migspec_phase_violation(frame, altered->active,
								psprintf("rename or move %s", altered->identity),
								"Statements of the migration's plan name it.");
	else if (altered->object.classId == PolicyRelationId)
		migspec_phase_violation(frame, altered->active,
								psprintf("alter %s", altered->identity), unconstify(char *, why));
	else if (is_sequence &&
			 !equal(altered->columns, migspec_phase_referenced_columns(frame, &altered->object)))
		migspec_phase_violation(frame, altered->active,
								psprintf("give %s to another column", altered->identity),
								unconstify(char *, why));
}

static void
check_publication(MigspecPhaseFrame *frame)
{
	char	   *name = get_publication_name(frame->publication, true);
	ListCell   *lc;

	if (name == NULL || frame->publication_name == NULL ||
		strcmp(name, frame->publication_name) == 0)
		return;
	foreach(lc, frame->targets)
	{
		MigspecActive *active = migspec_phase_active(frame, ((MigspecTarget *) lfirst(lc))->relid);

		if (migspec_phase_plan_names(active, frame->publication_name))
			migspec_phase_violation(frame, active,
									psprintf("rename publication \"%s\"", frame->publication_name),
									"Statements of the migration's plan name it.");
	}
}

/* Something new: does it hang on an old column? */
static void
check_created(MigspecPhaseFrame *frame, const ObjectAddress *object)
{
	ObjectAddress shown = *object;
	Oid			rule_table = InvalidOid;
	bool		is_view = false;
	ListCell   *lc;

	if (migspec_phase_is_inherited(object))
		return;
	if (object->classId == RewriteRelationId)
		rule_table = migspec_phase_rule_table(object->objectId, &is_view);
	if (is_view)
		ObjectAddressSet(shown, RelationRelationId, rule_table);
	foreach(lc, migspec_phase_references(frame, object))
	{
		const ObjectAddress *reference = lfirst(lc);
		Oid			relid = reference->objectId;
		Oid			root = migspec_phase_root(frame, relid);
		MigspecActive *active = migspec_phase_active(frame, root);
		char	   *column;

		if (object->classId == RewriteRelationId && reference->objectSubId == 0 &&
			relid == root && rule_table == relid)
			migspec_phase_violation(frame, active,
									psprintf("create %s", migspec_phase_object_label(object)),
									"Rules would rewrite the statements of the migration.");
		if (reference->objectSubId == 0 ||
			(object->classId == TriggerRelationId && relid != root))
			continue;
		column = get_attname(relid, reference->objectSubId, true);
		if (column == NULL || !migspec_phase_is_old_column(active, root, column) ||
			migspec_phase_object_role(active, object) != NULL)
			continue;
		migspec_phase_violation(frame, active,
								psprintf("let %s use %s", migspec_phase_object_label(&shown),
										 migspec_phase_column_label(relid, column)),
								psprintf("The plan was made without it: it would not pass to the new column, and would be lost with the old one. "
										 "It can be made before the migration is planned, or when it has finished."));
	}
}

/* see phase_guard.h */
void
migspec_phase_check_outcome(MigspecPhaseFrame *frame)
{
	ListCell   *lc;

	foreach(lc, frame->watches)
		check_watch(frame, lfirst(lc));
	foreach(lc, frame->altered)
		check_altered(frame, lfirst(lc));
	if (OidIsValid(frame->publication))
		check_publication(frame);
	/* what a restore creates was there when the plan was made */
	if (frame->restoring)
		return;
	foreach(lc, frame->created)
		check_created(frame, lfirst(lc));
}
