/*-------------------------------------------------------------------------
 *
 * dml.c
 *		SELECT, INSERT, UPDATE, DELETE, MERGE: what they lock.
 *
 * Nothing of it is in the way of others for long, except for what happens to
 * many rows; but a script may well mix it with DDL.  Only the raw tree is
 * looked at: parse analysis would lock the target ROW EXCLUSIVE.
 *
 * Runs in the process that analyses the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "check/check.h"
#include "check/statements.h"

typedef struct QueryWalk
{
	MigspecStatement *stmt;
	List	   *ctes;			/* of char *: names of all WITH queries */
	bool		certain;		/* see migspec_analyse_query() */
	bool		opaque;
	bool		is_planned;		/* its relations are locked as for execution */
	bool		is_run;			/* its rows are touched */
} QueryWalk;

/*
 * What the script has changed in an earlier statement, or creates.
 */
static bool
is_touched(const MigspecStatement *stmt, const MigspecWorldTable *table)
{
	return table->is_new || !table->loaded ||
		(table->snapshot != NULL && table->snapshot_at != stmt->number);
}

static bool
collect_ctes(Node *node, void *context)
{
	QueryWalk  *walk = context;

	if (node == NULL)
		return false;
	if (IsA(node, CommonTableExpr))
		walk->ctes = lappend(walk->ctes, ((CommonTableExpr *) node)->ctename);
	return raw_expression_tree_walker(node, collect_ctes, context);
}

static bool
is_cte(const QueryWalk *walk, const RangeVar *name)
{
	ListCell   *cell;

	if (name->schemaname != NULL)
		return false;
	foreach(cell, walk->ctes)
	{
		if (strcmp(lfirst(cell), name->relname) == 0)
			return true;
	}
	return false;
}

/* see statements.h */
List *
migspec_base_relations(MigspecWorldTable *view)
{
	Oid			rule = OidIsValid(view->oid) ?
	get_rewrite_oid(view->oid, ViewSelectRuleName, true) : InvalidOid;
	Relation	catalog;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *tables = NIL;

	if (!OidIsValid(rule))
		return NIL;
	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RewriteRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(rule));
	scan = systable_beginscan(catalog, DependDependerIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		MigspecWorldTable *table;

		if (depend->refclassid != RelationRelationId || depend->refobjid == view->oid ||
			depend->deptype != DEPENDENCY_NORMAL)
			continue;
		table = migspec_world_find_oid(view->world, depend->refobjid);
		if (table != NULL)
			tables = list_append_unique_ptr(tables, table);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}

/*
 * A relation, and the one below it if it is a view that can be written to;
 * "above" are the views that led here.
 */
static void
lock_below(MigspecStatement *stmt, MigspecWorldTable *table, LOCKMODE lock, List *above)
{
	List	   *below;

	migspec_check_lock(stmt, table, lock);
	if (table->kind != RELKIND_VIEW)
		return;
	check_stack_depth();
	if (list_member_ptr(above, table))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("infinite recursion detected in rules for relation \"%s\"",
						table->name)));
	above = lcons(table, list_copy(above));
	below = migspec_base_relations(table);
	if (list_length(below) == 1 || lock == RowShareLock)
	{
		ListCell   *cell;

		foreach(cell, below)
			lock_below(stmt, lfirst(cell), lock, above);
	}
}

static void
lock_rows(MigspecStatement *stmt, MigspecWorldTable *table, LOCKMODE lock)
{
	lock_below(stmt, table, lock, NIL);
}

/* see statements.h */
void
migspec_lock_written(MigspecStatement *stmt, MigspecWorldTable *table)
{
	ListCell   *cell;

	lock_rows(stmt, table, RowExclusiveLock);
	table->is_empty = false;
	/* foreign keys look up, and keep, the row that is referred to */
	foreach(cell, table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->type == CONSTRAINT_FOREIGN &&
			constraint->enforced && constraint->referenced != NULL)
			migspec_check_lock(stmt, constraint->referenced, RowShareLock);
	}
}

/*
 * Does the list of ResTarget set one of the columns?
 */
static bool
sets_column(const MigspecWorldTable *table, List *targets, List *attnos)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		ResTarget  *target = lfirst(cell);
		MigspecWorldColumn *column = target->name == NULL ? NULL :
		migspec_world_column(table, target->name);

		if (column != NULL && list_member_int(attnos, column->attno))
			return true;
	}
	return false;
}

/*
 * What an action of the referenced table does to the others that refer to it;
 * the column of pg_constraint says which.
 */
static LOCKMODE
lock_of_action(const MigspecWorldConstraint *constraint, bool is_delete)
{
	HeapTuple	tuple;
	Form_pg_constraint form;
	char		action = FKCONSTR_ACTION_NOACTION;

	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint->oid));
	if (HeapTupleIsValid(tuple))
	{
		form = (Form_pg_constraint) GETSTRUCT(tuple);
		action = is_delete ? form->confdeltype : form->confupdtype;
		ReleaseSysCache(tuple);
	}
	return action == FKCONSTR_ACTION_NOACTION || action == FKCONSTR_ACTION_RESTRICT ?
		RowShareLock : RowExclusiveLock;
}

/*
 * Rows change (targets: List of ResTarget) or go (NIL).
 */
static void
lock_changed(MigspecStatement *stmt, MigspecWorldTable *table, bool inherit, List *targets)
{
	ListCell   *cell;

	lock_rows(stmt, table, RowExclusiveLock);
	migspec_lock_family(stmt, table, RowExclusiveLock, inherit);
	if (table->is_empty)
		return;
	foreach(cell, targets == NIL ? NIL : table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->type == CONSTRAINT_FOREIGN &&
			constraint->enforced && constraint->referenced != NULL &&
			sets_column(table, targets, constraint->columns))
			migspec_check_lock(stmt, constraint->referenced, RowShareLock);
	}
	foreach(cell, migspec_world_referencing(table))
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (constraint->enforced &&
			(targets == NIL || sets_column(table, targets, constraint->referenced_columns)))
			migspec_check_lock(stmt, constraint->table,
							   lock_of_action(constraint, targets == NIL));
	}
}

/*
 * Raise the server's error for a column that is not there.
 */
static void
check_columns(const MigspecWorldTable *table, List *targets)
{
	ListCell   *cell;

	foreach(cell, targets)
	{
		ResTarget  *target = lfirst(cell);

		if (target->name != NULL && migspec_world_column(table, target->name) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							target->name, table->name)));
	}
}

/*
 * Does it depend on something?
 */
static bool
is_not_constant(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, ColumnRef) || IsA(node, ParamRef) || IsA(node, FuncCall) ||
		IsA(node, SubLink) || IsA(node, CurrentOfExpr) ||
		raw_expression_tree_walker(node, is_not_constant, context);
}

/*
 * Is a condition none, or one that is always true, as 1 = 1?
 */
static bool
is_always_true(MigspecStatement *stmt, Node *where)
{
	Const	   *value;

	if (where == NULL)
		return true;
	if (is_not_constant(where, NULL))
		return false;
	value = (Const *) migspec_world_plan(migspec_world_cook(stmt->world, NULL, where,
															EXPR_KIND_WHERE, BOOLOID, -1));
	return IsA(value, Const) && !value->constisnull && DatumGetBool(value->constvalue);
}

/*
 * UPDATE or DELETE (targets NIL).
 */
static void
walk_change(QueryWalk *walk, RangeVar *name, List *targets, Node *where)
{
	MigspecStatement *stmt = walk->stmt;
	MigspecWorldTable *table = migspec_check_table(stmt, name, false);

	check_columns(table, targets);
	lock_rows(stmt, table, RowExclusiveLock);
	if (walk->is_planned)
		migspec_lock_family(stmt, table, RowExclusiveLock, name->inh);
	if (!walk->is_run)
		return;
	lock_changed(stmt, table, name->inh, targets);
	if (!table->is_empty && !table->is_new && is_always_true(stmt, where))
		migspec_check_fact(stmt, RULE_BACKFILL_IN_MIGRATION, table, NULL);
}

static void
walk_insert(QueryWalk *walk, InsertStmt *insert)
{
	MigspecWorldTable *table = migspec_check_table(walk->stmt, insert->relation, false);

	check_columns(table, insert->cols);
	lock_rows(walk->stmt, table, RowExclusiveLock);
	if (walk->is_run)
		migspec_lock_written(walk->stmt, table);
	if (insert->onConflictClause != NULL &&
		insert->onConflictClause->action == ONCONFLICT_UPDATE)
		check_columns(table, insert->onConflictClause->targetList);
}

static void
walk_merge(QueryWalk *walk, MergeStmt *merge)
{
	MigspecWorldTable *table = migspec_check_table(walk->stmt, merge->relation, false);
	ListCell   *cell;

	lock_rows(walk->stmt, table, RowExclusiveLock);
	migspec_lock_family(walk->stmt, table, RowExclusiveLock,
						walk->is_planned && merge->relation->inh);
	foreach(cell, merge->mergeWhenClauses)
	{
		MergeWhenClause *clause = lfirst(cell);

		check_columns(table, clause->targetList);
		if (!walk->is_run)
			continue;
		if (clause->commandType == CMD_INSERT)
			migspec_lock_written(walk->stmt, table);
		else if (clause->commandType == CMD_UPDATE)
			lock_changed(walk->stmt, table, merge->relation->inh, clause->targetList);
		else if (clause->commandType == CMD_DELETE)
			lock_changed(walk->stmt, table, merge->relation->inh, NIL);
	}
}

/*
 * FOR UPDATE and the like, of all relations in FROM or of those named.
 */
static void
lock_selected(QueryWalk *walk, Node *item, List *names)
{
	RangeVar   *name = (RangeVar *) item;
	MigspecWorldTable *table;
	ListCell   *cell;

	if (IsA(item, JoinExpr))
	{
		lock_selected(walk, ((JoinExpr *) item)->larg, names);
		lock_selected(walk, ((JoinExpr *) item)->rarg, names);
	}
	else if (IsA(item, RangeSubselect))
	{
		SelectStmt *select = (SelectStmt *) ((RangeSubselect *) item)->subquery;
		bool		wanted = names == NIL;

		foreach(cell, names)
			wanted |= ((RangeSubselect *) item)->alias != NULL &&
			strcmp(((RangeVar *) lfirst(cell))->relname,
				   ((RangeSubselect *) item)->alias->aliasname) == 0;
		foreach(cell, wanted && IsA(select, SelectStmt) ? select->fromClause : NIL)
			lock_selected(walk, lfirst(cell), NIL);
	}
	else if (IsA(item, RangeVar) && !is_cte(walk, name))
	{
		bool		wanted = names == NIL;

		foreach(cell, names)
			wanted |= strcmp(((RangeVar *) lfirst(cell))->relname,
							 name->alias != NULL ? name->alias->aliasname :
							 name->relname) == 0;
		table = wanted ? migspec_world_find(walk->stmt->world, name) : NULL;
		if (table != NULL)
		{
			lock_rows(walk->stmt, table, RowShareLock);
			migspec_lock_family(walk->stmt, table, RowShareLock, name->inh);
		}
	}
}

static void
walk_select(QueryWalk *walk, SelectStmt *select)
{
	ListCell   *cell;

	foreach(cell, select->lockingClause)
	{
		LockingClause *clause = lfirst(cell);
		ListCell   *lc;

		walk->certain = false;
		foreach(lc, select->fromClause)
			lock_selected(walk, lfirst(lc), clause->lockedRels);
	}
}

/*
 * A function that is somebody's own and volatile may do anything.
 */
static void
walk_function(QueryWalk *walk, FuncCall *call)
{
	FuncCandidateList candidate = FuncnameGetCandidates(call->funcname, -1, NIL, false, false,
														false, true);
	const char *name = migspec_last_name(call->funcname);
	bool		is_new = migspec_world_is_new_name(walk->stmt->world, name);
	bool		exists = candidate == NULL || is_new ||
	migspec_world_is_new_name(walk->stmt->world, "");

	if (candidate == NULL)
	{
		walk->certain = false;
		walk->opaque |= is_new &&
			!migspec_world_is_new_name(walk->stmt->world,
									   psprintf("stable function %s", name));
	}
	for (; candidate != NULL; candidate = candidate->next)
	{
		if (migspec_script_has_dropped(walk->stmt->world, ProcedureRelationId,
									   candidate->oid))
			continue;
		exists = true;
		if (candidate->oid >= FirstNormalObjectId &&
			func_volatile(candidate->oid) == PROVOLATILE_VOLATILE)
			walk->opaque = true;
	}
	if (!exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("function %s does not exist",
						NameListToString(call->funcname))));
}

static void
walk_relation(QueryWalk *walk, RangeVar *name)
{
	MigspecWorldTable *table;

	if (is_cte(walk, name))
		return;
	table = migspec_world_find(walk->stmt->world, name);
	if (table == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 name->schemaname != NULL ?
				 errmsg("relation \"%s.%s\" does not exist", name->schemaname, name->relname) :
				 errmsg("relation \"%s\" does not exist", name->relname)));
	if (is_touched(walk->stmt, table))
		walk->certain = false;
}

static bool
walk_query(Node *node, void *context)
{
	QueryWalk  *walk = context;
	UpdateStmt *update;
	DeleteStmt *delete;

	if (node == NULL)
		return false;
	check_stack_depth();
	switch (nodeTag(node))
	{
		case T_IntoClause:
		case T_LockingClause:
			return false;
		case T_RangeVar:
			walk_relation(walk, (RangeVar *) node);
			return false;
		case T_A_Const:
			if (IsA(&((A_Const *) node)->val, String))
				migspec_tell_new_value(walk->stmt, strVal(&((A_Const *) node)->val));
			break;
		case T_FuncCall:
			walk_function(walk, (FuncCall *) node);
			break;
		case T_SelectStmt:
			walk_select(walk, (SelectStmt *) node);
			break;
		case T_InsertStmt:
			walk_insert(walk, (InsertStmt *) node);
			break;
		case T_UpdateStmt:
			update = (UpdateStmt *) node;
			walk_change(walk, update->relation, update->targetList, update->whereClause);
			break;
		case T_DeleteStmt:
			delete = (DeleteStmt *) node;
			walk_change(walk, delete->relation, NIL, delete->whereClause);
			break;
		case T_MergeStmt:
			walk_merge(walk, (MergeStmt *) node);
			break;
		default:
			break;
	}
	/* they lock more than a reader of the tree may when it is analysed */
	if (IsA(node, InsertStmt) || IsA(node, UpdateStmt) || IsA(node, DeleteStmt) ||
		IsA(node, MergeStmt))
		walk->certain = false;
	return raw_expression_tree_walker(node, walk_query, context);
}

/*
 * The query in what EXPLAIN, COPY or a rule has: some have it inside of another
 * statement.  NULL: none, as in EXECUTE and NOTIFY.
 */
static Node *
query_in(Node *node)
{
	switch (nodeTag(node))
	{
		case T_CreateTableAsStmt:
			return query_in(((CreateTableAsStmt *) node)->query);
		case T_DeclareCursorStmt:
			return query_in(((DeclareCursorStmt *) node)->query);
		case T_ExecuteStmt:
		case T_NotifyStmt:
			return NULL;
		default:
			return node;
	}
}

/* see statements.h */
bool
migspec_analyse_query(MigspecStatement *stmt, Node *query)
{
	QueryWalk	walk = {.stmt = stmt,.certain = true,.is_planned = true,.is_run = true};

	query = query_in(query);
	if (query == NULL)
		return false;
	collect_ctes(query, &walk);
	walk_query(query, &walk);
	walk.certain &= stmt->world->new_types == NIL && stmt->world->dropped_objects == NIL;
	if (walk.opaque)
		migspec_opaque(stmt);
	return walk.certain;
}

/* see statements.h */
void
migspec_parse_query(MigspecStatement *stmt, Node *query, bool planned)
{
	QueryWalk	walk = {.stmt = stmt,.is_planned = planned};

	query = query_in(query);
	if (query == NULL)
		return;
	collect_ctes(query, &walk);
	walk_query(query, &walk);
}
