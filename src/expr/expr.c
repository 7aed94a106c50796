/*-------------------------------------------------------------------------
 *
 * expr.c
 *		Resolved expressions as SQL functions, and back as trees and text.
 *
 * migspec.create_expression() turns a resolved expression (parameters for
 * columns) into a function of the table's row:
 *
 *		CREATE FUNCTION migspec.up_7(public.memories) RETURNS text
 *			LANGUAGE sql RETURN upper(($1).content)
 *
 * The server keeps the body as a tree with column numbers and OIDs, so that
 * it survives renames, dumps and major upgrades, and knows what it depends on.
 * The other functions here read that tree.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "expr/expr.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parser.h"
#include "rewrite/rewriteManip.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "migspec.h"

PG_FUNCTION_INFO_V1(migspec_create_expression);

/* what "$n" of a resolved expression stands for: a column of the row $1 */
typedef struct RowParams
{
	Relation	rel;
	Datum	   *columns;
	int			ncolumns;
} RowParams;

/* state of the walks over a body: fields of the row parameter are columns */
typedef struct VarContext
{
	Relation	rel;
	Oid			function_relid; /* the table whose row the function takes */
	Bitmapset  *inputs;
} VarContext;

/*
 * Parser hook: $n becomes ($1).column.
 */
static Node *
row_param(ParseState *pstate, ParamRef *pref)
{
	RowParams  *params = pstate->p_ref_hook_state;
	char	   *column;
	AttrNumber	attno;
	Form_pg_attribute att;
	Param	   *param = makeNode(Param);
	FieldSelect *field = makeNode(FieldSelect);

	if (pref->number < 1 || pref->number > params->ncolumns)
		elog(ERROR, "expression has no column for parameter $%d", pref->number);
	column = TextDatumGetCString(params->columns[pref->number - 1]);
	attno = get_attnum(RelationGetRelid(params->rel), column);
	if (attno == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist",
						column, RelationGetRelationName(params->rel)),
				 errdetail("An expression of the migration reads it.")));
	att = TupleDescAttr(RelationGetDescr(params->rel), attno - 1);

	param->paramkind = PARAM_EXTERN;
	param->paramid = 1;
	param->paramtype = params->rel->rd_rel->reltype;
	param->paramtypmod = -1;
	param->location = -1;

	field->arg = (Expr *) param;
	field->fieldnum = attno;
	field->resulttype = att->atttypid;
	field->resulttypmod = att->atttypmod;
	field->resultcollid = att->attcollation;
	return (Node *) field;
}

/*
 * The text of a resolved expression with columns as fields of $1.
 */
static char *
expression_over_row(const char *sql, RowParams *params)
{
	ParseState *pstate = make_parsestate(NULL);
	List	   *parsed = raw_parser(sql, RAW_PARSE_PLPGSQL_EXPR);
	SelectStmt *select = (SelectStmt *) linitial_node(RawStmt, parsed)->stmt;
	ResTarget  *target = linitial_node(ResTarget, select->targetList);
	Node	   *expr;

	pstate->p_sourcetext = sql;
	pstate->p_paramref_hook = row_param;
	pstate->p_ref_hook_state = params;
	expr = transformExpr(pstate, target->val, EXPR_KIND_SELECT_TARGET);
	assign_expr_collations(pstate, expr);
	return deparse_expression(expr, NIL, false, false);
}

/*
 * migspec.create_expression(function name, relation regclass,
 *							 expression text, columns text[], returns text)
 *
 * Runs as a step of expand, as the extension's owner, who must be a
 * superuser: the function is given to the owner of the table.
 */
Datum
migspec_create_expression(PG_FUNCTION_ARGS)
{
	char	   *function = NameStr(*PG_GETARG_NAME(0));
	Oid			relid = PG_GETARG_OID(1);
	char	   *sql = text_to_cstring(PG_GETARG_TEXT_PP(2));
	ArrayType  *columns = PG_GETARG_ARRAYTYPE_P(3);
	char	   *returns = text_to_cstring(PG_GETARG_TEXT_PP(4));
	MigspecIdentity identity;
	RowParams	params;
	char	   *body;
	char	   *table;
	char	   *signature;

	if (!superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be superuser to create an expression of a migration")));

	params.rel = relation_open(relid, AccessShareLock);
	deconstruct_array(columns, TEXTOID, -1, false, TYPALIGN_INT,
					  &params.columns, NULL, &params.ncolumns);

	migspec_become_extension(&identity);
	body = expression_over_row(sql, &params);
	table = migspec_relation_name(relid);
	signature = psprintf("%s(%s)",
						 quote_qualified_identifier(MIGSPEC_SCHEMA, function),
						 table);
	SPI_connect();
	migspec_sql(psprintf("CREATE FUNCTION %s RETURNS %s LANGUAGE sql RETURN %s",
						 signature, returns, body), 0, NULL);
	migspec_sql(psprintf("ALTER FUNCTION %s OWNER TO %s", signature,
						 quote_identifier(GetUserNameFromId(params.rel->rd_rel->relowner, false))),
				0, NULL);
	SPI_finish();
	migspec_restore_identity(&identity);
	relation_close(params.rel, NoLock);
	PG_RETURN_VOID();
}

/*
 * The column of "rel" that a node reads from the row parameter, or 0.
 */
static AttrNumber
row_column(const Node *node, const VarContext *context)
{
	const FieldSelect *field = (const FieldSelect *) node;
	const Param *param;

	if (!IsA(node, FieldSelect) || !IsA(field->arg, Param))
		return InvalidAttrNumber;
	param = (const Param *) field->arg;
	if (param->paramkind != PARAM_EXTERN || param->paramid != 1)
		return InvalidAttrNumber;
	if (context->function_relid == RelationGetRelid(context->rel))
		return field->fieldnum;
	return get_attnum(RelationGetRelid(context->rel),
					  get_attname(context->function_relid, field->fieldnum, false));
}

/*
 * The parsed body of an expression's function.
 */
static Node *
load_body(Oid funcoid, Relation rel, VarContext *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(funcoid));
	Form_pg_proc form;
	Datum		body;
	bool		isnull;
	Query	   *query;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", funcoid);
	form = (Form_pg_proc) GETSTRUCT(tuple);
	context->rel = rel;
	context->function_relid = get_typ_typrelid(form->proargtypes.values[0]);
	context->inputs = NULL;
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (isnull)
		elog(ERROR, "function %u has no parsed body", funcoid);
	query = castNode(Query, stringToNode(TextDatumGetCString(body)));
	ReleaseSysCache(tuple);
	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

static Node *
fields_to_vars(Node *node, VarContext *context)
{
	AttrNumber	attno;

	if (node == NULL)
		return NULL;
	attno = row_column(node, context);
	if (attno != InvalidAttrNumber)
	{
		FieldSelect *field = (FieldSelect *) node;

		return (Node *) makeVar(1, attno, field->resulttype,
								field->resulttypmod, field->resultcollid, 0);
	}
	return expression_tree_mutator(node, fields_to_vars, context);
}

static bool
collect_inputs(Node *node, VarContext *context)
{
	AttrNumber	attno;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, collect_inputs, context, 0);
	attno = row_column(node, context);
	if (attno != InvalidAttrNumber)
	{
		context->inputs = bms_add_member(context->inputs, attno);
		return false;
	}
	return expression_tree_walker(node, collect_inputs, context);
}

/*
 * migspec_expr_inputs -- the columns that an expression reads.
 */
Bitmapset *
migspec_expr_inputs(Oid funcoid, Relation rel)
{
	VarContext	context;
	Node	   *body = load_body(funcoid, rel, &context);

	collect_inputs(body, &context);
	return context.inputs;
}

/*
 * migspec_expr_tree -- an expression as a tree over the columns of "rel".
 *
 * "rel" is the table of the function or one of its partitions.  If the
 * expression has sub-queries, only the function itself can evaluate it, and
 * the tree is good for inspection alone.
 */
Node *
migspec_expr_tree(Oid funcoid, Relation rel)
{
	VarContext	context;
	Node	   *body = load_body(funcoid, rel, &context);

	return fields_to_vars(body, &context);
}

/*
 * migspec_expr_sql -- an expression as SQL over columns of "alias".
 *
 * Expressions with sub-queries become a call of their function.
 */
char *
migspec_expr_sql(Oid funcoid, Relation rel, const char *alias)
{
	Node	   *tree = migspec_expr_tree(funcoid, rel);
	MigspecIdentity identity;
	char	   *sql;

	migspec_become_owner(GetUserId(), &identity);
	if (checkExprHasSubLink(tree))
	{
		Oid		   *argtypes;
		int			nargs;

		get_func_signature(funcoid, &argtypes, &nargs);
		sql = psprintf("%s(%s::%s)",
					   quote_qualified_identifier(MIGSPEC_SCHEMA, get_func_name(funcoid)),
					   quote_identifier(alias), migspec_type_name(argtypes[0], -1));
	}
	else
		sql = psprintf("(%s)",
					   deparse_expression(tree,
										  deparse_context_for(alias, RelationGetRelid(rel)),
										  true, false));
	migspec_restore_identity(&identity);
	return sql;
}
