/*-------------------------------------------------------------------------
 *
 * expr.c
 *		Users' expressions (up and down), as the server keeps them.
 *
 * Reads the parsed body of an expression's function.  An expression without
 * sub-queries can be evaluated over a row directly, with its parameters
 * replaced by columns; one with sub-queries has to be planned, which the
 * function does when it is called.
 *
 * Whoever makes a trigger can name any function and column in its arguments,
 * so nothing is believed: functions must be in migspec's schema, and their
 * types must be those of the columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "expr/expr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "migspec.h"

/* state of the walk from parameters to columns */
typedef struct VarContext
{
	const MigspecExpr *expr;
	Relation	rel;
} VarContext;

/*
 * migspec_column -- the column of that name.
 */
AttrNumber
migspec_column(Relation rel, const char *name)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_UNDEFINED_COLUMN),
			 errmsg("column \"%s\" of table \"%s\" does not exist, but a running migration needs it",
					name, RelationGetRelationName(rel)),
			 errhint("Give the column its name back: the migration finds it by that.")));
	return InvalidAttrNumber;	/* keep compiler quiet */
}

/*
 * The function of ours with that name; names are unique by operation.
 */
static HeapTuple
find_function(const char *name)
{
	CatCList   *list = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			namespace = get_namespace_oid(MIGSPEC_SCHEMA, false);
	HeapTuple	found = NULL;

	for (int i = 0; i < list->n_members && found == NULL; i++)
	{
		HeapTuple	tuple = &list->members[i]->tuple;

		if (((Form_pg_proc) GETSTRUCT(tuple))->pronamespace == namespace)
			found = heap_copytuple(tuple);
	}
	ReleaseSysCacheList(list);
	if (found == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("expression function \"%s.%s\" of a running migration does not exist",
						MIGSPEC_SCHEMA, name),
				 errhint("Restore it from a backup, or remove the trigger \"%s\" and roll the migration back.",
						 MIGSPEC_SYNC_TRIGGER)));
	return found;
}

/*
 * migspec_expr_lookup -- see expr.h.
 */
MigspecExpr
migspec_expr_lookup(const char *name, char **columns, int ncolumns,
					Relation rel, AttrNumber target)
{
	HeapTuple	tuple = find_function(name);
	Form_pg_proc form = (Form_pg_proc) GETSTRUCT(tuple);
	TupleDesc	tupdesc = RelationGetDescr(rel);
	MigspecExpr expr;
	bool		fits;

	expr.funcid = form->oid;
	expr.ninputs = ncolumns;
	expr.inputs = palloc(sizeof(AttrNumber) * Max(ncolumns, 1));
	for (int i = 0; i < ncolumns; i++)
		expr.inputs[i] = migspec_column(rel, columns[i]);

	fits = form->pronargs == ncolumns && !form->proretset &&
		form->prokind == PROKIND_FUNCTION &&
		form->prorettype == TupleDescAttr(tupdesc, target - 1)->atttypid &&
		!heap_attisnull(tuple, Anum_pg_proc_prosqlbody, NULL);
	for (int i = 0; fits && i < ncolumns; i++)
		fits = form->proargtypes.values[i] ==
			TupleDescAttr(tupdesc, expr.inputs[i] - 1)->atttypid;
	if (!fits)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_VERSION_MISMATCH),
				 errmsg("expression function \"%s.%s\" does not fit the columns of table \"%s\"",
						MIGSPEC_SCHEMA, name, RelationGetRelationName(rel)),
				 errdetail("The types of the table's columns, the function, or the arguments of trigger \"%s\" have been changed.",
						   MIGSPEC_SYNC_TRIGGER)));
	heap_freetuple(tuple);
	return expr;
}

static Node *
params_to_vars(Node *node, VarContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Param))
	{
		Param	   *param = (Param *) node;
		AttrNumber	attno = context->expr->inputs[param->paramid - 1];
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(context->rel), attno - 1);

		return (Node *) makeVar(1, attno, att->atttypid, att->atttypmod,
								att->attcollation, 0);
	}
	return expression_tree_mutator(node, params_to_vars, context);
}

/*
 * migspec_expr_tree -- see expr.h.
 *
 * If the expression has sub-queries, the tree is good for finding that out,
 * and for nothing else: only the function can evaluate it.
 */
Node *
migspec_expr_tree(const MigspecExpr *expr, Relation rel)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(expr->funcid));
	VarContext	context = {expr, rel};
	Datum		body;
	bool		isnull;
	Query	   *query;
	Node	   *tree;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", expr->funcid);
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (isnull)
		elog(ERROR, "function %u has no parsed body", expr->funcid);
	query = castNode(Query, stringToNode(TextDatumGetCString(body)));
	ReleaseSysCache(tuple);

	tree = (Node *) linitial_node(TargetEntry, query->targetList)->expr;
	if (checkExprHasSubLink(tree))
		return tree;
	return params_to_vars(tree, &context);
}

/*
 * A call of the expression's function.
 */
static char *
function_call(const MigspecExpr *expr, Relation rel, const char *alias)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "%s(",
					 quote_qualified_identifier(MIGSPEC_SCHEMA, get_func_name(expr->funcid)));
	for (int i = 0; i < expr->ninputs; i++)
		appendStringInfo(&sql, "%s%s.%s", i ? ", " : "", quote_identifier(alias),
						 quote_identifier(get_attname(RelationGetRelid(rel),
													  expr->inputs[i], false)));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/*
 * migspec_expr_sql -- see expr.h.
 */
char *
migspec_expr_sql(const MigspecExpr *expr, Relation rel, const char *alias)
{
	Node	   *tree = migspec_expr_tree(expr, rel);
	MigspecIdentity identity;
	char	   *sql;

	if (checkExprHasSubLink(tree))
		return function_call(expr, rel, alias);

	/* the pinned search path makes every name be printed in full */
	migspec_become_owner(GetUserId(), &identity);
	sql = psprintf("(%s)",
				   deparse_expression(tree,
									  deparse_context_for(alias, RelationGetRelid(rel)),
									  true, false));
	migspec_restore_identity(&identity);
	return sql;
}
