/*-------------------------------------------------------------------------
 *
 * phase_statement.c
 *		The first look of the phase guard: what a statement says.
 *
 * Runs in a session, before a DDL statement that names a table of an active
 * migration, or the extension.  Only what the text says for certain is refused
 * here, so that nobody waits for a lock, and no index is built, in vain; what
 * it misses is found when the statement acts (phase_guard.c).
 *
 * Names are looked up without a lock, as in ProcessUtility hooks they must be:
 * the server looks them up again.  If it then finds another table, the other
 * look is what counts.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "nodes/nodeFuncs.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "hooks/phase_guard.h"
#include "migspec.h"

/* a table of an active migration that the statement names */
typedef struct Named
{
	MigspecPhaseFrame *frame;
	MigspecActive *active;
	Oid			relid;
	Oid			root;
} Named;

/* Does it name one?  From then on it is watched. */
static bool
name_table(MigspecPhaseFrame *frame, const RangeVar *name, Named *named)
{
	if (name == NULL)
		return false;
	named->frame = frame;
	named->relid = RangeVarGetRelid(name, NoLock, true);
	if (!OidIsValid(named->relid))
		return false;
	named->root = migspec_phase_root(frame, named->relid);
	if (!OidIsValid(named->root))
		return false;
	named->active = migspec_phase_active(frame, named->root);
	migspec_phase_watch(frame, named->relid, named->root, true);
	return true;
}

static void
refuse_column(const Named *named, const char *verb, const char *column, char *why)
{
	if (why != NULL)
		migspec_phase_violation(named->frame, named->active,
								psprintf("%s %s", verb,
										 migspec_phase_column_label(named->relid, column)),
								why);
}

static bool
is_old_column(const Named *named, const char *column)
{
	return migspec_phase_is_old_column(named->active, named->root, column);
}

/*----------
 * New things that need an old column
 *----------
 */

/* a search for an old column in a raw expression */
typedef struct ColumnSearch
{
	const Named *named;
	const char *column;			/* the one found */
} ColumnSearch;

static bool
find_old_column(Node *node, void *context)
{
	ColumnSearch *search = context;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);

		if (IsA(last, String) && is_old_column(search->named, strVal(last)))
			search->column = strVal(last);
		return search->column != NULL;
	}
	return raw_expression_tree_walker(node, find_old_column, context);
}

static void
search_names(ColumnSearch *search, List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (is_old_column(search->named, strVal(lfirst(lc))))
			search->column = strVal(lfirst(lc));
	}
}

static void
search_elements(ColumnSearch *search, List *elements)
{
	ListCell   *lc;

	foreach(lc, elements)
	{
		IndexElem  *element = lfirst_node(IndexElem, lc);

		if (element->name != NULL && is_old_column(search->named, element->name))
			search->column = element->name;
		(void) find_old_column(element->expr, search);
	}
}

static void
refuse_new(const ColumnSearch *search, const char *what)
{
	if (search->column != NULL)
		refuse_column(search->named, psprintf("create %s on", what), search->column,
					  "The plan was made without it: it would not pass to the new column, and would be lost with the old one. "
					  "It can be made before the migration is planned, or when it has finished.");
}

static void
check_index(MigspecPhaseFrame *frame, Node *node)
{
	IndexStmt  *stmt = castNode(IndexStmt, node);
	Named		named;
	ColumnSearch search = {&named, NULL};

	if (frame->restoring || !name_table(frame, stmt->relation, &named))
		return;
	search_elements(&search, stmt->indexParams);
	search_elements(&search, stmt->indexIncludingParams);
	(void) find_old_column(stmt->whereClause, &search);
	refuse_new(&search, "an index");
}

/*----------
 * ALTER TABLE
 *----------
 */

static void
check_drop_column(const Named *named, const AlterTableCmd *cmd)
{
	refuse_column(named, "drop", cmd->name,
				  migspec_phase_column_needed(named->active, named->root, cmd->name));
}

static void
check_column_type(const Named *named, const AlterTableCmd *cmd)
{
	refuse_column(named, "change the type of", cmd->name,
				  migspec_phase_column_role(named->active, named->root, cmd->name));
}

static void
check_not_null(const Named *named, const AlterTableCmd *cmd)
{
	if (is_old_column(named, cmd->name))
		refuse_column(named, "change NOT NULL of", cmd->name,
					  "The new column gets what the old one had when the plan was made, and a rollback restores that.");
}

static void
check_default(const Named *named, const AlterTableCmd *cmd)
{
	if (is_old_column(named, cmd->name))
		refuse_column(named, "change the default of", cmd->name,
					  "The new column gets the default that the old one had when the plan was made, and a rollback restores that.");
}

static void
check_constraint(const Named *named, const AlterTableCmd *cmd)
{
	ObjectAddress object;
	Oid			oid;
	const char *name = cmd->subtype == AT_DropConstraint ? cmd->name :
	migspec_alter_constraint_node(cmd->def).name;
	char	   *why;

	if (name == NULL)
		return;
	oid = get_relation_constraint_oid(named->relid, name, true);
	if (!OidIsValid(oid))
		return;
	ObjectAddressSet(object, ConstraintRelationId, oid);
	why = migspec_phase_object_role(named->active, &object);
	if (why != NULL)
		migspec_phase_violation(named->frame, named->active,
								psprintf("%s %s", cmd->subtype == AT_DropConstraint ? "drop" : "alter",
										 migspec_phase_object_label(&object)),
								why);
}

static void
check_add_constraint(const Named *named, const AlterTableCmd *cmd)
{
	Constraint *constraint = castNode(Constraint, cmd->def);
	ColumnSearch search = {named, NULL};

	(void) find_old_column(constraint->raw_expr, &search);
	search_names(&search, constraint->keys);
	search_names(&search, constraint->including);
	search_names(&search, constraint->fk_attrs);
	refuse_new(&search, "a constraint");
}

static void
check_add_column(const Named *named, const AlterTableCmd *cmd)
{
	ColumnDef  *column = castNode(ColumnDef, cmd->def);
	ColumnSearch search = {named, NULL};
	ListCell   *lc;

	foreach(lc, column->constraints)
		(void) find_old_column(lfirst_node(Constraint, lc)->raw_expr, &search);
	refuse_new(&search, "a column that depends");
}

static void
check_trigger_state(const Named *named, const AlterTableCmd *cmd)
{
	if (cmd->name != NULL && strcmp(cmd->name, MIGSPEC_SYNC_TRIGGER) != 0)
		return;
	if (!migspec_phase_needs_trigger(named->active, named->root) ||
		migspec_phase_trigger_problem(named->active, named->relid, named->root) != NULL)
		return;					/* or it cannot get worse */
	migspec_phase_violation(named->frame, named->active,
							psprintf("change when triggers of table \"%s\" fire",
									 get_rel_name(named->relid)),
							psprintf("Trigger \"%s\", which keeps the old and the new columns in sync, would no longer fire for every writer.",
									 MIGSPEC_SYNC_TRIGGER));
}

typedef void (*CheckSubcommand) (const Named *named, const AlterTableCmd *cmd);

static const struct
{
	AlterTableType type;
	bool		adds;			/* a restore does so, too */
	CheckSubcommand check;
}			subcommands[] = {
	{AT_AddColumn, true, check_add_column},
	{AT_AddConstraint, true, check_add_constraint},
	{AT_AlterColumnType, false, check_column_type},
	{AT_AlterConstraint, false, check_constraint},
	{AT_ColumnDefault, true, check_default},
	{AT_DisableTrig, false, check_trigger_state},
	{AT_DisableTrigAll, false, check_trigger_state},
	{AT_DisableTrigUser, false, check_trigger_state},
	{AT_DropColumn, false, check_drop_column},
	{AT_DropConstraint, false, check_constraint},
	{AT_DropNotNull, false, check_not_null},
	{AT_EnableReplicaTrig, false, check_trigger_state},
	{AT_EnableTrig, false, check_trigger_state},
	{AT_EnableTrigAll, false, check_trigger_state},
	{AT_EnableTrigUser, false, check_trigger_state},
	{AT_SetNotNull, true, check_not_null},
};

static void
check_alter_table(MigspecPhaseFrame *frame, Node *node)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, node);
	Named		named;
	ListCell   *lc;

	if (!name_table(frame, stmt->relation, &named))
		return;
	foreach(lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		for (size_t i = 0; i < lengthof(subcommands); i++)
		{
			if (subcommands[i].type == cmd->subtype &&
				!(subcommands[i].adds && frame->restoring))
				subcommands[i].check(&named, cmd);
		}
	}
}

/*----------
 * Names
 *----------
 */

static void
refuse_table(const Named *named, const char *verb)
{
	bool		needed = named->relid == named->root ||
	migspec_phase_plan_locks(named->active, named->relid);

	if (needed)
		migspec_phase_violation(named->frame, named->active,
								psprintf("%s table \"%s\"", verb, get_rel_name(named->relid)),
								"Statements of the migration's plan name it.");
}

static void
check_rename(MigspecPhaseFrame *frame, Node *node)
{
	RenameStmt *stmt = castNode(RenameStmt, node);
	Named		named;

	if (!name_table(frame, stmt->relation, &named))
		return;
	if (stmt->renameType == OBJECT_TABLE)
		refuse_table(&named, "rename");
	else if (stmt->renameType == OBJECT_COLUMN)
		refuse_column(&named, "rename", stmt->subname,
					  migspec_phase_column_needed(named.active, named.root, stmt->subname));
}

static void
check_set_schema(MigspecPhaseFrame *frame, Node *node)
{
	Named		named;

	if (name_table(frame, castNode(AlterObjectSchemaStmt, node)->relation, &named))
		refuse_table(&named, "change the schema of");
}

/*
 * Otherwise the server would say first that a constraint needs the index, and
 * advise to drop that.
 */
static void
check_drop_index(MigspecPhaseFrame *frame, const RangeVar *name)
{
	Oid			index = RangeVarGetRelid(name, NoLock, true);
	Oid			relid = OidIsValid(index) ? IndexGetRelation(index, true) : InvalidOid;
	Oid			root = OidIsValid(relid) ? migspec_phase_root(frame, relid) : InvalidOid;
	MigspecActive *active;
	ObjectAddress object;
	char	   *why;

	if (!OidIsValid(root))
		return;
	active = migspec_phase_active(frame, root);
	ObjectAddressSet(object, RelationRelationId, index);
	why = migspec_phase_object_role(active, &object);
	if (why != NULL)
		migspec_phase_violation(frame, active,
								psprintf("drop %s", migspec_phase_object_label(&object)), why);
}

static void
check_drop(MigspecPhaseFrame *frame, Node *node)
{
	DropStmt   *stmt = castNode(DropStmt, node);
	Named		named;
	ListCell   *lc;

	foreach(lc, stmt->objects)
	{
		if (stmt->removeType == OBJECT_EXTENSION &&
			strcmp(strVal(lfirst(lc)), MIGSPEC_EXTENSION) == 0)
			migspec_phase_violation(frame,
									migspec_phase_active(frame, ((MigspecTarget *) linitial(frame->targets))->relid),
									"drop extension " MIGSPEC_EXTENSION,
									"The migration would stop half-way, with its trigger and columns left behind or dropped.");
		else if (stmt->removeType == OBJECT_INDEX)
			check_drop_index(frame, makeRangeVarFromNameList(lfirst(lc)));
		/* partitions may go */
		else if (stmt->removeType == OBJECT_TABLE &&
				 name_table(frame, makeRangeVarFromNameList(lfirst(lc)), &named) &&
				 named.relid == named.root)
			migspec_phase_violation(frame, named.active,
									psprintf("drop table \"%s\"", get_rel_name(named.relid)),
									"The migration changes this table.");
	}
}

static void
check_create_trigger(MigspecPhaseFrame *frame, Node *node)
{
	Named		named;

	(void) name_table(frame, castNode(CreateTrigStmt, node)->relation, &named);
}

static const struct
{
	NodeTag		tag;
	void		(*check) (MigspecPhaseFrame *frame, Node *statement);
}			statements[] = {
	{T_AlterObjectSchemaStmt, check_set_schema},
	{T_AlterTableStmt, check_alter_table},
	{T_CreateTrigStmt, check_create_trigger},
	{T_DropStmt, check_drop},
	{T_IndexStmt, check_index},
	{T_RenameStmt, check_rename},
};

/* see phase_guard.h */
void
migspec_phase_check_statement(MigspecPhaseFrame *frame, Node *statement)
{
	for (size_t i = 0; i < lengthof(statements); i++)
	{
		if (statements[i].tag == nodeTag(statement))
			statements[i].check(frame, statement);
	}
}
