/*-------------------------------------------------------------------------
 *
 * resolve.c
 *		From the text of an up or down to a resolved, typed expression.
 *
 * An author writes an expression over the columns of a table, as one version
 * of the application sees it: the old shape for up, the new shape for down.
 * That shape is not the physical table: at plan time the new column does not
 * exist, and later the physical names change with the phases.  So the text is
 * analysed against a made-up sub-select whose columns bear the names of the
 * shape, and every reference to one of them becomes a numbered parameter.
 * Deparsed under an empty search path, the result is text that means the same
 * for ever, whatever names the columns bear and whatever the search path is.
 *
 * Nothing is executed and nothing is changed here.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "expr/resolve.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"

/* state of the walk that turns columns into parameters */
typedef struct ParamContext
{
	const MigspecShape *shape;
	const char *what;
	const char *target;
	int			sublevels_up;
	MigspecResolved *resolved;
} ParamContext;

/* passed to the error context and to the error conversion */
typedef struct ExpressionName
{
	const char *what;
	const char *target;
	const char *text;
} ExpressionName;

static Node *columns_to_params(Node *node, ParamContext *context);

/*
 * The shape of a table as it is now: every live column under its own name.
 */
MigspecShape *
migspec_shape_of(Relation rel)
{
	MigspecShape *shape = palloc0(sizeof(MigspecShape));
	TupleDesc	tupdesc = RelationGetDescr(rel);

	shape->alias = pstrdup(RelationGetRelationName(rel));
	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);
		MigspecShapeColumn *column;

		if (att->attisdropped)
			continue;
		column = palloc0(sizeof(MigspecShapeColumn));
		column->name = pstrdup(NameStr(att->attname));
		column->column = pstrdup(NameStr(att->attname));
		column->type = att->atttypid;
		column->typmod = att->atttypmod;
		column->collation = att->attcollation;
		column->attno = att->attnum;

		/*
		 * A BEFORE trigger sees no value in a generated column, so whoever
		 * reads one gets its expression instead.
		 */
		if (att->attgenerated)
			column->generated = build_column_default(rel, att->attnum);
		shape->columns = lappend(shape->columns, column);
	}
	return shape;
}

/*
 * The column of that name, or NULL.
 */
MigspecShapeColumn *
migspec_shape_find(const MigspecShape *shape, const char *name)
{
	ListCell   *lc;

	foreach(lc, shape->columns)
	{
		MigspecShapeColumn *column = lfirst(lc);

		if (strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

/*
 * Rethrow the error being handled as one of ours, keeping what it said.
 */
static void
rethrow_as(int sqlerrcode, const ExpressionName *name, MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();

	/* not about the expression: let it through as it is */
	if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES ||
		edata->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
		strncmp(unpack_sql_state(edata->sqlerrcode), "MG", 2) == 0)
		ReThrowError(edata);

	ereport(ERROR,
			(errcode(sqlerrcode),
			 errmsg("\"%s\" of column \"%s\" cannot be used: %s",
					name->what, name->target, edata->message),
			 errdetail("The expression is: %s%s%s", name->text,
					   edata->detail ? "\n" : "",
					   edata->detail ? edata->detail : ""),
			 edata->hint ? errhint("%s", edata->hint) : 0));
}

/*
 * Does the text begin with this keyword?
 */
static bool
begins_with(const char *text, const char *keyword)
{
	size_t		len = strlen(keyword);

	while (isspace((unsigned char) *text))
		text	  ++;

	return pg_strncasecmp(text, keyword, len) == 0 &&
		!(isalnum((unsigned char) text[len]) || text[len] == '_');
}

/*
 * Is this SELECT nothing but one expression?
 */
static bool
is_bare_expression(const SelectStmt *select)
{
	return select->op == SETOP_NONE &&
		list_length(select->targetList) == 1 &&
		select->distinctClause == NIL && select->intoClause == NULL &&
		select->fromClause == NIL && select->whereClause == NULL &&
		select->groupClause == NIL && select->havingClause == NULL &&
		select->windowClause == NIL && select->valuesLists == NIL &&
		select->sortClause == NIL && select->limitOffset == NULL &&
		select->limitCount == NULL && select->lockingClause == NIL &&
		select->withClause == NULL;
}

/*
 * The raw expression in the text.  A whole SELECT is accepted as well, as
 * pgroll's files have it: a bare one stands for its expression, any other for
 * a scalar sub-query.
 */
static Node *
parse_raw(const char *text)
{
	List	   *parsed;
	SelectStmt *select;

	if (begins_with(text, "select") || begins_with(text, "with"))
	{
		parsed = raw_parser(text, RAW_PARSE_DEFAULT);
		if (list_length(parsed) == 1)
		{
			Node	   *stmt = linitial_node(RawStmt, parsed)->stmt;

			if (IsA(stmt, SelectStmt) && !is_bare_expression((SelectStmt *) stmt))
			{
				SubLink    *sublink = makeNode(SubLink);

				sublink->subLinkType = EXPR_SUBLINK;
				sublink->subselect = stmt;
				sublink->location = -1;
				return (Node *) sublink;
			}
		}
	}
	else
		parsed = raw_parser(text, RAW_PARSE_PLPGSQL_EXPR);

	if (list_length(parsed) == 1 &&
		IsA(linitial_node(RawStmt, parsed)->stmt, SelectStmt))
	{
		select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
		if (is_bare_expression(select))
			return linitial_node(ResTarget, select->targetList)->val;
	}
	ereport(ERROR,
			(errcode(ERRCODE_SYNTAX_ERROR),
			 errmsg("it must be a single expression")));
	return NULL;				/* keep compiler quiet */
}

/*
 * A sub-select with the columns of the shape, for names to be resolved to.
 */
static void
add_shape(ParseState *pstate, const MigspecShape *shape)
{
	Query	   *query = makeNode(Query);
	ParseNamespaceItem *nsitem;
	ListCell   *lc;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, NULL);
	foreach(lc, shape->columns)
	{
		MigspecShapeColumn *column = lfirst(lc);
		Const	   *value = makeNullConst(column->type, column->typmod,
										  column->collation);

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) value,
													foreach_current_index(lc) + 1,
													column->name, false));
	}
	nsitem = addRangeTableEntryForSubquery(pstate, query,
										   makeAlias(shape->alias, NIL),
										   false, true);
	addNSItemToQuery(pstate, nsitem, true, true, true);
}

/*
 * The parameter that stands for a column; the same column gets the same one.
 */
static Node *
param_for_column(MigspecShapeColumn *column, MigspecResolved *resolved)
{
	Param	   *param = makeNode(Param);
	ListCell   *lc;
	int			number = 0;

	foreach(lc, resolved->params)
	{
		if (lfirst(lc) == column)
			number = foreach_current_index(lc) + 1;
	}
	if (number == 0)
	{
		resolved->params = lappend(resolved->params, column);
		resolved->columns = lappend(resolved->columns, column->column);
		number = list_length(resolved->params);
	}
	param->paramkind = PARAM_EXTERN;
	param->paramid = number;
	param->paramtype = column->type;
	param->paramtypmod = column->typmod;
	param->paramcollid = column->collation;
	param->location = -1;

	/* a parameter of a function has its type's collation: say which it is */
	if (OidIsValid(column->collation) &&
		column->collation != get_typcollation(column->type))
	{
		CollateExpr *collate = makeNode(CollateExpr);

		collate->arg = (Expr *) param;
		collate->collOid = column->collation;
		collate->location = -1;
		return (Node *) collate;
	}
	return (Node *) param;
}

/*
 * In the expression of a generated column, Vars are columns of the table.
 */
static Node *
generated_to_params(Node *node, ParamContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		ListCell   *lc;

		foreach(lc, context->shape->columns)
		{
			MigspecShapeColumn *column = lfirst(lc);

			if (column->attno == ((Var *) node)->varattno)
				return param_for_column(column, context->resolved);
		}
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_EXPRESSION_UNSUPPORTED),
				 errmsg("\"%s\" of column \"%s\" reads a generated column whose own columns are not in this shape",
						context->what, context->target)));
	}
	return expression_tree_mutator(node, generated_to_params, context);
}

/*
 * Replace references to the shape's columns, at any depth of sub-queries.
 */
static Node *
columns_to_params(Node *node, ParamContext *context)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Query))
	{
		Query	   *query;

		context->sublevels_up++;
		query = query_tree_mutator((Query *) node, columns_to_params, context, 0);
		context->sublevels_up--;
		return (Node *) query;
	}
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == (Index) context->sublevels_up)
	{
		Var		   *var = (Var *) node;
		MigspecShapeColumn *column;

		/* inside a sub-query, level 0 is the sub-query's own */
		if (var->varattno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_EXPRESSION_UNSUPPORTED),
					 errmsg("\"%s\" of column \"%s\" uses a whole row",
							context->what, context->target),
					 errhint("Name the columns one by one.")));
		column = list_nth(context->shape->columns, var->varattno - 1);
		if (column->generated)
			return generated_to_params(copyObject(column->generated), context);
		return param_for_column(column, context->resolved);
	}
	return expression_tree_mutator(node, columns_to_params, context);
}

/*
 * The casts that coerce the expression to the column's type are implicit, and
 * implicit casts are not printed.  Make the outermost ones explicit; those to
 * a length as calls of their functions, since a cast to varchar(3) that is
 * written out would truncate, while an assignment raises an error.
 */
static void
show_casts(Node *node)
{
	if (IsA(node, FuncExpr) &&
		((FuncExpr *) node)->funcformat == COERCE_IMPLICIT_CAST)
	{
		FuncExpr   *call = (FuncExpr *) node;

		call->funcformat = list_length(call->args) > 1 ?
			COERCE_EXPLICIT_CALL : COERCE_EXPLICIT_CAST;
		show_casts(linitial(call->args));
	}
	else if (IsA(node, RelabelType) &&
			 ((RelabelType *) node)->relabelformat == COERCE_IMPLICIT_CAST)
	{
		((RelabelType *) node)->relabelformat = COERCE_EXPLICIT_CAST;
		show_casts((Node *) ((RelabelType *) node)->arg);
	}
	else if (IsA(node, CoerceViaIO) &&
			 ((CoerceViaIO *) node)->coerceformat == COERCE_IMPLICIT_CAST)
	{
		((CoerceViaIO *) node)->coerceformat = COERCE_EXPLICIT_CAST;
		show_casts((Node *) ((CoerceViaIO *) node)->arg);
	}
	else if (IsA(node, ArrayCoerceExpr) &&
			 ((ArrayCoerceExpr *) node)->coerceformat == COERCE_IMPLICIT_CAST)
	{
		((ArrayCoerceExpr *) node)->coerceformat = COERCE_EXPLICIT_CAST;
		show_casts((Node *) ((ArrayCoerceExpr *) node)->arg);
	}
	else if (IsA(node, CoerceToDomain) &&
			 ((CoerceToDomain *) node)->coercionformat == COERCE_IMPLICIT_CAST)
	{
		((CoerceToDomain *) node)->coercionformat = COERCE_EXPLICIT_CAST;
		show_casts((Node *) ((CoerceToDomain *) node)->arg);
	}
}

/*
 * Analyse the raw expression against the shape and coerce it to the type.
 */
static Node *
analyse(Node *raw, const ExpressionName *name, const MigspecShape *shape,
		Oid type, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;
	Node	   *coerced;

	pstate->p_sourcetext = name->text;
	add_shape(pstate, shape);
	expr = transformExpr(pstate, raw, EXPR_KIND_SELECT_TARGET);
	if (pstate->p_hasAggs || pstate->p_hasWindowFuncs || pstate->p_hasTargetSRFs)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_EXPRESSION_UNSUPPORTED),
				 errmsg("\"%s\" of column \"%s\" uses an aggregate, a window function or a set-returning function",
						name->what, name->target),
				 errdetail("The expression gives one value for each row: %s", name->text),
				 errhint("Put it into a sub-query.")));
	coerced = coerce_to_target_type(pstate, expr, exprType(expr), type, typmod,
									COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_EXPRESSION_TYPE),
				 errmsg("\"%s\" of column \"%s\" has the wrong type",
						name->what, name->target),
				 errdetail("The expression is of type %s, but the column is of type %s: %s",
						   format_type_be(exprType(expr)),
						   format_type_with_typemod(type, typmod), name->text),
				 errhint("Cast the expression to %s.", format_type_be(type))));
	show_casts(coerced);
	assign_expr_collations(pstate, coerced);
	free_parsestate(pstate);
	return coerced;
}

/*
 * The expression as a tree.  Errors become ours: up to the raw expression
 * those of syntax, afterwards those of type.
 */
static Node *
parse_and_analyse(const ExpressionName *name, const MigspecShape *shape,
				  Oid type, int32 typmod)
{
	MemoryContext context = CurrentMemoryContext;
	Node	   *volatile raw = NULL;
	Node	   *volatile expr = NULL;

	PG_TRY();
	{
		raw = parse_raw(name->text);
		expr = analyse(raw, name, shape, type, typmod);
	}
	PG_CATCH();
	{
		rethrow_as(raw == NULL ? ERRCODE_MIGSPEC_EXPRESSION_SYNTAX :
				   ERRCODE_MIGSPEC_EXPRESSION_TYPE, name, context);
	}
	PG_END_TRY();
	return expr;
}

/*
 * migspec_resolve -- parse, resolve and type-check an up or a down.
 *
 * Takes ACCESS SHARE locks on tables of sub-queries.  The result is palloc'd
 * in the current context.
 */
MigspecResolved *
migspec_resolve(const char *source, const char *what, const char *target,
				const MigspecShape *shape, Oid type, int32 typmod)
{
	ExpressionName name = {what, target, source};
	MigspecResolved *resolved = palloc0(sizeof(MigspecResolved));
	ParamContext context = {shape, what, target, 0, resolved};
	MigspecIdentity identity;
	Node	   *expr;

	expr = parse_and_analyse(&name, shape, type, typmod);
	resolved->tree = columns_to_params(expr, &context);
	if (list_length(resolved->params) > FUNC_MAX_ARGS)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_EXPRESSION_UNSUPPORTED),
				 errmsg("\"%s\" of column \"%s\" reads more than %d columns",
						what, target, FUNC_MAX_ARGS)));
	resolved->is_mutable = contain_mutable_functions(resolved->tree);
	resolved->is_volatile = contain_volatile_functions(resolved->tree);
	resolved->is_strict = resolved->params != NIL &&
		!contain_nonstrict_functions(resolved->tree);

	/* under a search path with nothing in it, every name is printed in full */
	migspec_become_owner(GetUserId(), &identity);
	resolved->sql = deparse_expression(resolved->tree, NIL, false, false);
	migspec_restore_identity(&identity);
	return resolved;
}
