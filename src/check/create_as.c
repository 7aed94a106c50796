/*-------------------------------------------------------------------------
 *
 * create_as.c
 *		Relations made of a query: CREATE TABLE AS, SELECT INTO, views,
 *		materialized views.
 *
 * The columns of the new relation are those that parse analysis of the query
 * finds.  That locks the relations of the query ACCESS SHARE until the end of
 * the (sub)transaction, so it is done in a subtransaction of its own, which is
 * rolled back.  A query over what only the script creates fails there; then
 * names of columns are told from its text, as far as they can be.
 *
 * Runs in the process that analyses the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parse_target.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"

#include "check/check.h"
#include "check/statements.h"

/* one column of a query's result */
typedef struct ResultColumn
{
	char	   *name;
	Oid			type;			/* InvalidOid: not known */
	int32		typmod;
	Oid			collation;
} ResultColumn;

static List *
append_column(List *columns, const char *name, Oid type, int32 typmod, Oid collation)
{
	ResultColumn *column = palloc(sizeof(ResultColumn));

	column->name = pstrdup(name);
	column->type = type;
	column->typmod = typmod;
	column->collation = collation;
	return lappend(columns, column);
}

/*
 * Parse analysis.  On failure, *error is set.  Nothing of it stays but the
 * result.
 */
static List *
columns_by_analysis(MigspecStatement *stmt, Node *query, ErrorData **error)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	List	   *volatile columns = NIL;
	ErrorData  *volatile caught = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		RawStmt    *raw = makeNode(RawStmt);
		Query	   *result;
		ListCell   *cell;

		raw->stmt = copyObject(query);
		result = parse_analyze_fixedparams(raw, stmt->source, NULL, 0, NULL);
		foreach(cell, result->targetList)
		{
			TargetEntry *entry = lfirst(cell);
			Oid			type = exprType((Node *) entry->expr);

			/* literals become text */
			if (type == UNKNOWNOID)
				type = TEXTOID;
			if (!entry->resjunk)
				columns = append_column(columns, entry->resname, type,
										exprTypmod((Node *) entry->expr),
										exprCollation((Node *) entry->expr));
		}
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		caught = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	*error = caught;
	return columns;
}

/*
 * All columns of a FROM item that "*" stands for; false: not known.
 */
static bool
columns_of_item(MigspecStatement *stmt, Node *item, const char *alias, List **columns)
{
	MigspecWorldTable *table;
	RangeVar   *name = (RangeVar *) item;
	ListCell   *cell;

	if (IsA(item, JoinExpr))
	{
		JoinExpr   *join = (JoinExpr *) item;

		return !join->isNatural && join->usingClause == NIL && join->alias == NULL &&
			columns_of_item(stmt, join->larg, alias, columns) &&
			columns_of_item(stmt, join->rarg, alias, columns);
	}
	if (!IsA(item, RangeVar) || (name->alias != NULL && name->alias->colnames != NIL))
		return false;
	if (alias != NULL &&
		strcmp(alias, name->alias != NULL ? name->alias->aliasname : name->relname) != 0)
		return true;
	table = migspec_world_find(stmt->world, name);
	if (table == NULL || !table->loaded)
		return false;
	foreach(cell, table->columns)
	{
		MigspecWorldColumn *column = lfirst(cell);

		if (!column->dropped)
			*columns = append_column(*columns, column->name, column->type, column->typmod,
									 column->collation);
	}
	return true;
}

/*
 * From the text alone.  NIL: not known.
 */
static List *
columns_by_text(MigspecStatement *stmt, SelectStmt *select)
{
	List	   *columns = NIL;
	ListCell   *cell;

	while (select->op != SETOP_NONE)
		select = select->larg;
	foreach(cell, select->targetList)
	{
		ResTarget  *target = lfirst(cell);
		ColumnRef  *ref = (ColumnRef *) target->val;

		if (IsA(ref, ColumnRef) && IsA(llast(ref->fields), A_Star))
		{
			const char *alias = list_length(ref->fields) > 1 ?
			strVal(list_nth(ref->fields, list_length(ref->fields) - 2)) : NULL;
			ListCell   *lc;

			foreach(lc, select->fromClause)
			{
				if (!columns_of_item(stmt, lfirst(lc), alias, &columns))
					return NIL;
			}
		}
		else
			columns = append_column(columns, target->name != NULL ? target->name :
									FigureColname(target->val), InvalidOid, -1, InvalidOid);
	}

	return columns;
}

/* for check_names() */
typedef struct NameCheck
{
	MigspecStatement *stmt;
	SelectStmt *select;
	List	   *tables;			/* of MigspecWorldTable * */
	List	   *aliases;		/* of char *: what these are called */
} NameCheck;

/*
 * Add the tables of a FROM item; false if it is anything else.
 */
static bool
collect_tables(NameCheck *check, Node *item)
{
	RangeVar   *name = (RangeVar *) item;
	MigspecWorldTable *table;

	if (IsA(item, JoinExpr))
		return collect_tables(check, ((JoinExpr *) item)->larg) &&
			collect_tables(check, ((JoinExpr *) item)->rarg) &&
			((JoinExpr *) item)->alias == NULL;
	if (!IsA(item, RangeVar) || (name->alias != NULL && name->alias->colnames != NIL))
		return false;
	table = migspec_world_find(check->stmt->world, name);
	if (table == NULL || !table->loaded)
		return false;
	check->tables = lappend(check->tables, table);
	check->aliases = lappend(check->aliases, name->alias != NULL ? name->alias->aliasname :
							 name->relname);
	return true;
}

/*
 * Could a name without qualification be meant for something that is there?
 */
static bool
is_known_name(const NameCheck *check, const char *name)
{
	ListCell   *cell;

	foreach(cell, check->tables)
	{
		if (migspec_world_column(lfirst(cell), name) != NULL)
			return true;
	}
	foreach(cell, check->aliases)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	}
	foreach(cell, check->select->targetList)
	{
		ResTarget  *target = lfirst(cell);

		if (target->name != NULL && strcmp(target->name, name) == 0)
			return true;
	}
	return SystemAttributeByName(name) != NULL;
}

static bool
check_name(Node *node, void *context)
{
	NameCheck  *check = context;

	if (node == NULL || (IsA(node, SelectStmt) && node != (Node *) check->select))
		return false;
	if (IsA(node, ColumnRef) && list_length(((ColumnRef *) node)->fields) == 1 &&
		IsA(linitial(((ColumnRef *) node)->fields), String) &&
		!is_known_name(check, strVal(linitial(((ColumnRef *) node)->fields))))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" does not exist",
						strVal(linitial(((ColumnRef *) node)->fields)))));
	return raw_expression_tree_walker(node, check_name, context);
}

/*
 * In a simple query that cannot be analysed, look for columns that the script
 * has dropped or renamed.
 */
static void
check_names(MigspecStatement *stmt, SelectStmt *select)
{
	NameCheck	check = {.stmt = stmt,.select = select};
	ListCell   *cell;

	if (select->op != SETOP_NONE || select->withClause != NULL)
		return;
	foreach(cell, select->fromClause)
	{
		if (!collect_tables(&check, lfirst(cell)))
			return;
	}
	check_name((Node *) select, &check);
}

/*
 * Columns of a query, NIL if they are not known; "certain" as told by
 * migspec_analyse_query().
 */
static List *
columns_of(MigspecStatement *stmt, Node *query, bool certain)
{
	ErrorData  *error = NULL;
	List	   *columns = NIL;

	if (!IsA(query, SelectStmt))
		return NIL;
	/* who may not wait must not touch relations that others have locked */
	if (certain && stmt->world->may_wait)
	{
		columns = columns_by_analysis(stmt, query, &error);
		if (error != NULL)
			ThrowErrorData(error);
	}
	if (!certain)
		check_names(stmt, (SelectStmt *) query);
	return columns != NIL ? columns : columns_by_text(stmt, (SelectStmt *) query);
}

/*
 * Give a relation its columns, under these names as far as there are some.
 */
static void
set_columns(MigspecWorldTable *table, List *columns, List *names)
{
	ListCell   *cell;
	int			i = 0;

	if (columns != NIL && list_length(names) > list_length(columns))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 table->kind == RELKIND_VIEW ?
				 errmsg("CREATE VIEW specifies more column names than columns") :
				 errmsg("too many column names were specified")));
	if (columns == NIL)
	{
		foreach(cell, names)
			(void) migspec_world_add_column(table, strVal(lfirst(cell)));
		table->loaded = names != NIL;
		return;
	}
	foreach(cell, columns)
	{
		ResultColumn *from = lfirst(cell);
		const char *name = i < list_length(names) ? strVal(list_nth(names, i)) : from->name;
		MigspecWorldColumn *column;

		if (migspec_world_column(table, name) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("column \"%s\" specified more than once", name)));
		migspec_refuse_pseudo_type(from->name, from->type);
		column = migspec_world_add_column(table, name);
		column->type = from->type;
		column->typmod = from->typmod;
		column->collation = from->collation;
		i++;
	}
}

/*
 * The relation and its columns.
 */
static void
create_relation(MigspecStatement *stmt, IntoClause *into, Node *query, char kind)
{
	MigspecWorldTable *table;
	List	   *columns = NIL;

	if (IsA(query, ExecuteStmt))
		migspec_opaque(stmt);
	else
		columns = columns_of(stmt, query, migspec_analyse_query(stmt, query));
	table = migspec_world_add_table(stmt->world, into->rel, kind);
	table->is_empty = into->skipData;
	table->drop_on_commit = into->onCommit == ONCOMMIT_DROP;
	stmt->world->drops_on_commit |= table->drop_on_commit;
	set_columns(table, columns, into->colNames);
	if (kind == RELKIND_MATVIEW)
		migspec_note_uses(table, query);
}

/* see statements.h */
void
migspec_analyse_create_as(MigspecStatement *stmt)
{
	CreateTableAsStmt *create = (CreateTableAsStmt *) stmt->tree;

	if (create->if_not_exists && migspec_name_exists(stmt, create->into->rel))
		return;
	migspec_refuse_duplicate(stmt, create->into->rel);
	create_relation(stmt, create->into, create->query,
					create->objtype == OBJECT_MATVIEW ? RELKIND_MATVIEW : RELKIND_RELATION);
}

/* see statements.h */
void
migspec_analyse_select_into(MigspecStatement *stmt, IntoClause *into)
{
	SelectStmt *query = copyObject((SelectStmt *) stmt->tree);
	SelectStmt *first = query;

	while (first->op != SETOP_NONE)
		first = first->larg;
	first->intoClause = NULL;
	migspec_refuse_duplicate(stmt, into->rel);
	create_relation(stmt, into, (Node *) query, RELKIND_RELATION);
}

/*
 * OR REPLACE may only add columns.  See checkViewColumns().
 */
static void
check_replaced(const MigspecWorldTable *view, List *columns, List *names)
{
	int			i = 0;
	ListCell   *cell;

	foreach(cell, view->columns)
	{
		MigspecWorldColumn *old = lfirst(cell);
		ResultColumn *new;
		const char *name;

		if (i >= list_length(columns))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot drop columns from view")));
		new = list_nth(columns, i);
		name = i < list_length(names) ? strVal(list_nth(names, i)) : new->name;
		if (strcmp(old->name, name) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot change name of view column \"%s\" to \"%s\"",
							old->name, name),
					 errhint("Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.")));
		if (OidIsValid(old->type) && OidIsValid(new->type) &&
			(old->type != new->type || old->typmod != new->typmod))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot change data type of view column \"%s\" from %s to %s",
							old->name, format_type_with_typemod(old->type, old->typmod),
							format_type_with_typemod(new->type, new->typmod))));
		i++;
	}
}

/* see statements.h */
void
migspec_analyse_create_view(MigspecStatement *stmt)
{
	ViewStmt   *create = (ViewStmt *) stmt->tree;
	bool		certain = migspec_analyse_query(stmt, create->query);
	List	   *columns = columns_of(stmt, create->query, certain);
	MigspecWorldTable *view;
	RangeVar	name = *create->view;

	if (name.schemaname == NULL && name.relpersistence != RELPERSISTENCE_TEMP)
		name.schemaname = unconstify(char *, migspec_world_creation_schema(stmt->world));
	view = create->replace ? migspec_world_find(stmt->world, &name) : NULL;
	if (view == NULL)
	{
		migspec_refuse_duplicate(stmt, create->view);
		view = migspec_world_add_table(stmt->world, create->view, RELKIND_VIEW);
		set_columns(view, columns, create->aliases);
		migspec_note_uses(view, create->query);
		return;
	}

	if (view->kind != RELKIND_VIEW)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a view", view->name)));
	migspec_lock_target(stmt, view, AccessExclusiveLock);
	migspec_note_uses(view, create->query);
	migspec_check_fact(stmt, RULE_POLICY_DDL, view,
					   psprintf("view %s", migspec_world_table_name(view)));
	if (columns == NIL || !view->loaded)
		return;
	check_replaced(view, columns, create->aliases);
	columns = list_copy_tail(columns, list_length(view->columns));
	if (columns != NIL)
		set_columns(view, columns, list_length(create->aliases) <= list_length(view->columns) ?
					NIL : list_copy_tail(create->aliases, list_length(view->columns)));
}
