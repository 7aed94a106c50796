/*-------------------------------------------------------------------------
 *
 * world_expr.c
 *		Expressions over the columns of a table in a world.
 *
 * The table may exist only in the world, or have other columns there than in
 * the catalog.  So a raw expression is analysed against a made-up sub-select
 * whose n-th column is the table's n-th, which gives the same Vars that the
 * server would have made for the table: varno 1, varattno as in the table.
 *
 * Parse analysis and simplification run in the backend of the caller, with
 * its rights; constant calls of the server's own immutable functions are
 * evaluated, as it does when it plans a query, those of others are not.
 * Everything here may raise errors, and so is called within
 * migspec_check_try().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/transam.h"
#include "catalog/heap.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/ruleutils.h"

#include "check/check.h"
#include "check/statements.h"
#include "check/world.h"
#include "expr/params.h"

/*
 * Numbers of parameters that stand for columns: system columns have negative
 * numbers, and the whole row is 0.
 */
#define PARAM_OF_COLUMN(attno) ((attno) - FirstLowInvalidHeapAttributeNumber)
#define COLUMN_OF_PARAM(n) ((n) + FirstLowInvalidHeapAttributeNumber)

/*
 * The name in the last part of a reference, or NULL.
 */
static const char *
field_name(const ColumnRef *cref, int n)
{
	Node	   *field = n < list_length(cref->fields) ? list_nth(cref->fields, n) : NULL;

	return field != NULL && IsA(field, String) ? strVal(field) : NULL;
}

/*
 * Before the sub-select is asked: the whole row gets its row type, system
 * columns are known, and nothing can be said about a column whose type only
 * the script creates.
 */
static Node *
resolve_special(ParseState *pstate, ColumnRef *cref)
{
	MigspecWorldTable *table = pstate->p_ref_hook_state;
	const char *first = field_name(cref, 0);
	const char *last = field_name(cref, list_length(cref->fields) - 1);
	const		FormData_pg_attribute *att;

	for (int i = 0; i < list_length(cref->fields); i++)
	{
		const char *name = field_name(cref, i);
		MigspecWorldColumn *column = name != NULL ? migspec_world_column(table, name) : NULL;

		if (column != NULL && !OidIsValid(column->type))
			migspec_check_give_up(table->world);
	}
	if (first == NULL || last == NULL || list_length(cref->fields) > 2 ||
		migspec_world_column(table, last) != NULL)
		return NULL;
	if (list_length(cref->fields) == 1 && strcmp(first, table->name) == 0 &&
		OidIsValid(table->row_type))
		return (Node *) makeVar(1, InvalidAttrNumber, table->row_type, -1, InvalidOid, 0);
	if (list_length(cref->fields) == 2 && strcmp(first, table->name) != 0)
		return NULL;
	att = SystemAttributeByName(last);
	return att == NULL ? NULL :
		(Node *) makeVar(1, att->attnum, att->atttypid, att->atttypmod,
						 att->attcollation, 0);
}

/*
 * The sub-select with the table's columns.
 */
static void
add_columns(ParseState *pstate, MigspecWorldTable *table)
{
	Query	   *query = makeNode(Query);
	ParseNamespaceItem *nsitem;
	ListCell   *lc;

	query->commandType = CMD_SELECT;
	query->canSetTag = true;
	query->jointree = makeFromExpr(NIL, NULL);
	foreach(lc, table->columns)
	{
		MigspecWorldColumn *column = lfirst(lc);
		bool		known = !column->dropped && OidIsValid(column->type);
		Const	   *value = known ?
		makeNullConst(column->type, column->typmod, column->collation) :
		makeNullConst(INT4OID, -1, InvalidOid);
		char	   *name = column->dropped ?
		psprintf("........pg.dropped.%d........", column->attno) : column->name;

		query->targetList = lappend(query->targetList,
									makeTargetEntry((Expr *) value, column->attno,
													name, false));
	}
	nsitem = addRangeTableEntryForSubquery(pstate, query, makeAlias(table->name, NIL),
										   false, true);
	addNSItemToQuery(pstate, nsitem, true, true, true);
	pstate->p_pre_columnref_hook = resolve_special;
	pstate->p_ref_hook_state = table;
}

static bool
is_immutable_of_user(Oid function, void *context)
{
	return function >= FirstNormalObjectId &&
		func_volatile(function) == PROVOLATILE_IMMUTABLE;
}

static bool
contain_param(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, Param) || expression_tree_walker(node, contain_param, context);
}

/*
 * Hide what the planner would evaluate by calling a function of the user.
 */
static Node *
hide_calls(Node *node, void *context)
{
	if (node == NULL)
		return NULL;
	if (check_functions_in_node(node, is_immutable_of_user, NULL) &&
		!contain_mutable_functions(node) && !contain_var_clause(node) &&
		!contain_param(node, NULL))
	{
		Param	   *param = makeNode(Param);

		param->paramkind = PARAM_EXTERN;
		param->paramtype = exprType(node);
		param->paramtypmod = exprTypmod(node);
		param->paramcollid = exprCollation(node);
		param->location = -1;
		return (Node *) param;
	}
	return expression_tree_mutator(node, hide_calls, context);
}

Node *
migspec_world_plan(Node *cooked)
{
	return (Node *) expression_planner((Expr *) hide_calls(copyObject(cooked), NULL));
}

/*
 * What the server demands of the expression of a generated column, see
 * cookDefault() in catalog/heap.c.
 */
static void
check_generated(MigspecWorldTable *table, Node *expr)
{
	ListCell   *lc;

	foreach(lc, migspec_world_mentions(table, expr))
	{
		MigspecWorldColumn *column = migspec_world_column_no(table, lfirst_int(lc));

		if (column != NULL && column->generated != '\0')
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("cannot use generated column \"%s\" in column generation expression",
							column->name),
					 errdetail("A generated column cannot reference another generated column.")));
	}
	if (contain_mutable_functions(migspec_world_plan(expr)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("generation expression is not immutable")));
}

/*
 * A function that the script has dropped or given another name, and made no
 * other one of that name?
 */
static bool
is_gone(Oid function, void *context)
{
	const MigspecWorld *world = context;
	char	   *name;

	if (!migspec_script_has_dropped(world, ProcedureRelationId, function) ||
		migspec_world_is_new_name(world, ""))
		return false;
	name = get_func_name(function);
	return name != NULL && !migspec_world_is_new_name(world, name);
}

static bool
check_functions(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (check_functions_in_node(node, is_gone, context))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 IsA(node, FuncExpr) ?
				 errmsg("function %s does not exist",
						format_procedure(((FuncExpr *) node)->funcid)) :
				 errmsg("a function that is needed does not exist")));
	return expression_tree_walker(node, check_functions, context);
}

Node *
migspec_world_cook(MigspecWorld *world, MigspecWorldTable *table, Node *raw,
				   ParseExprKind kind, Oid type, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;

	if (table != NULL)
		add_columns(pstate, table);
	expr = transformExpr(pstate, copyObject(raw), kind);
	if (OidIsValid(type))
	{
		Oid			given = exprType(expr);

		expr = coerce_to_target_type(pstate, expr, given, type, typmod,
									 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
		if (expr == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("expression is of type %s, but type %s is needed",
							format_type_be(given), format_type_be(type)),
					 errhint("You will need to rewrite or cast the expression.")));
	}
	assign_expr_collations(pstate, expr);
	if (world->dropped_objects != NIL)
		check_functions(expr, world);
	if (kind == EXPR_KIND_GENERATED_COLUMN && table != NULL)
		check_generated(table, expr);
	free_parsestate(pstate);
	return expr;
}

/*
 * A function that the script has made volatile?
 */
static bool
is_made_volatile(Oid function, void *context)
{
	return migspec_world_is_new_name(context, psprintf("volatile function %u", function));
}

static bool
calls_made_volatile(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return check_functions_in_node(node, is_made_volatile, context) ||
		expression_tree_walker(node, calls_made_volatile, context);
}

bool
migspec_world_is_volatile(MigspecWorld *world, Node *cooked)
{
	return contain_volatile_functions(migspec_world_plan(cooked)) ||
		(world->new_types != NIL && calls_made_volatile(cooked, world));
}

List *
migspec_world_mentions(const MigspecWorldTable *table, Node *cooked)
{
	Bitmapset  *numbers = NULL;
	bool		whole_row;
	List	   *attnos = NIL;
	ListCell   *lc;

	pull_varattnos(cooked, 1, &numbers);
	whole_row = bms_is_member(-FirstLowInvalidHeapAttributeNumber, numbers);
	foreach(lc, table->columns)
	{
		MigspecWorldColumn *column = lfirst(lc);

		if (!column->dropped &&
			(whole_row ||
			 bms_is_member(column->attno - FirstLowInvalidHeapAttributeNumber, numbers)))
			attnos = lappend_int(attnos, column->attno);
	}
	return attnos;
}

/*
 * The test that a column is not null.  That of a composite column is not the
 * one of the SQL standard, hence argisrow is false for it, too.
 */
static NullTest *
not_null_test(const MigspecWorldColumn *column)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) makeVar(1, column->attno, column->type, column->typmod,
								 column->collation, 0);
	test->nulltesttype = IS_NOT_NULL;
	test->argisrow = false;
	test->location = -1;
	return test;
}

bool
migspec_world_proves(MigspecWorldTable *table, List *quals)
{
	List	   *known = NIL;
	ListCell   *lc;

	foreach(lc, table->columns)
	{
		MigspecWorldColumn *column = lfirst(lc);

		if (column->not_null && column->not_null_valid && !column->dropped)
			known = lappend(known, not_null_test(column));
	}
	foreach(lc, table->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);
		Node	   *expr;

		if (con->dropped || con->type != CONSTRAINT_CHECK || !con->validated ||
			!con->enforced || con->expr == NULL)
			continue;
		/* in the same form as the conditions that are to be proved */
		expr = eval_const_expressions(NULL, copyObject(con->expr));
		expr = (Node *) canonicalize_qual((Expr *) expr, true);
		known = list_concat(known, make_ands_implicit((Expr *) expr));
	}
	return predicate_implied_by(quals, known, true);
}

bool
migspec_world_proves_not_null(MigspecWorldTable *table, AttrNumber attno)
{
	MigspecWorldColumn *column = migspec_world_column_no(table, attno);

	return column != NULL &&
		migspec_world_proves(table, list_make1(not_null_test(column)));
}

static Node *
columns_to_params(Node *node, void *context)
{
	Param	   *param;
	Var		   *var;

	if (node == NULL)
		return NULL;
	if (!IsA(node, Var))
		return expression_tree_mutator(node, columns_to_params, context);
	var = (Var *) node;
	param = makeNode(Param);
	param->paramkind = PARAM_EXTERN;
	param->paramid = PARAM_OF_COLUMN(var->varattno);
	param->paramtype = var->vartype;
	param->paramtypmod = var->vartypmod;
	param->paramcollid = var->varcollid;
	param->location = -1;
	return (Node *) param;
}

static const char *
name_of_param(int n, void *arg)
{
	const MigspecWorldTable *table = arg;
	AttrNumber	attno = COLUMN_OF_PARAM(n);
	MigspecWorldColumn *column;

	if (attno == InvalidAttrNumber)
		return psprintf("%s.*", quote_identifier(table->name));
	if (attno < 0)
		return NameStr(SystemAttributeDefinition(attno)->attname);
	column = migspec_world_column_no(table, attno);
	return column != NULL ? quote_identifier(column->name) : "???";
}

char *
migspec_world_deparse(const MigspecWorldTable *table, Node *cooked)
{
	char	   *sql = deparse_expression(columns_to_params(cooked, NULL), NIL, false, false);

	return migspec_fill_params(sql, name_of_param,
							   unconstify(MigspecWorldTable *, table));
}
