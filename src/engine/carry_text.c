/*-------------------------------------------------------------------------
 *
 * carry_text.c
 *		Stored expressions as SQL text, with other names for columns.
 *
 * What hangs on the old column is written down before the new column exists,
 * so a stored expression cannot be changed into one over the new column and
 * be deparsed.  Instead, each Var of a column that gets another name is
 * replaced by a parameter, the tree is deparsed by the server, and the
 * parameters in the text, found with the server's own scanner, are replaced
 * by names.  Never is a name looked for in text.
 *
 * Runs in the backend of the caller, changes nothing, takes no locks that the
 * caller does not hold.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "executor/spi.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "engine/carry_internal.h"
#include "expr/params.h"

/* added to the number of a parameter that is used in a subquery */
#define IN_SUBQUERY (MaxHeapAttributeNumber + 1)

/* state of the walk that puts parameters in place of columns */
typedef struct ParamContext
{
	const MigspecCarry *carry;
	Index		sublevels_up;
} ParamContext;

/*
 * The operation of this migration that replaces the column, or NULL.
 */
const MigspecOperation *
migspec_carry_operation(const MigspecCarry *carry, Oid relid, AttrNumber attno)
{
	const char *name = get_attname(relid, attno, true);
	ListCell   *lc;

	if (name == NULL)
		return NULL;
	foreach(lc, carry->ops)
	{
		const MigspecOperation *op = lfirst(lc);

		if (op->relid != relid &&
			!(get_rel_relispartition(relid) &&
			  list_member_oid(get_partition_ancestors(relid), op->relid)))
			continue;
		if (op->old_column != NULL && strcmp(op->old_column, name) == 0)
			return op;
	}
	return NULL;
}

/*
 * The name of the column that stands for column "attno" in the new shape: the
 * column itself unless an operation replaces it.
 *
 * All steps of carrying over run before any operation renames its columns, so
 * these names hold for all of them; what comes later names no column.
 */
char *
migspec_carry_new_name(const MigspecCarry *carry, Oid relid, AttrNumber attno)
{
	const MigspecOperation *op = migspec_carry_operation(carry, relid, attno);

	return op != NULL ? op->new_column : get_attname(relid, attno, false);
}

/*
 * Type in the new shape of what is column "attno" now.
 */
Oid
migspec_carry_new_type(const MigspecCarry *carry, Oid relid, AttrNumber attno)
{
	const MigspecOperation *op = migspec_carry_operation(carry, relid, attno);

	if (op == NULL)
		return get_atttype(relid, attno);
	return DatumGetObjectId(DirectFunctionCall1(regtypein,
												CStringGetDatum(op->new_type)));
}

/*
 * Does the cast keep values apart that are different, and cut nothing off?
 * That is what implicit casts promise; of the others, those between numbers,
 * or between dates and times, may round.
 */
static bool
cast_keeps_values(Oid old_type, int32 old_typmod, Oid new_type,
				  int32 new_typmod)
{
	bool		is_integer = new_type == INT2OID || new_type == INT4OID;

	if (new_typmod >= 0 &&
		(old_type != new_type || old_typmod < 0 || new_typmod < old_typmod ||
		 old_type == NUMERICOID))
		return old_type == new_type && old_typmod == new_typmod;
	if (TypeCategory(old_type) != TypeCategory(new_type) ||
		can_coerce_type(1, &old_type, &new_type, COERCION_IMPLICIT))
		return true;
	/* too large an integer is an error, not another value */
	return is_integer && (old_type == INT4OID || old_type == INT8OID);
}

/*
 * Are the new column's values the old ones, at most cast to another type?
 * Then whatever was written for the old column means the same for the new.
 */
bool
migspec_carry_is_cast(const MigspecOperation *op)
{
	RawStmt    *raw;
	Node	   *node;
	Oid			old_type;
	Oid			new_type;
	int32		old_typmod;
	int32		new_typmod;
	Oid			collation;

	if (op->up_sql == NULL || strcmp(op->kind, "rename_column") == 0)
		return true;
	raw = linitial(raw_parser(op->up_sql, RAW_PARSE_PLPGSQL_EXPR));
	node = linitial_node(ResTarget,
						 ((SelectStmt *) raw->stmt)->targetList)->val;
	if (IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (!IsA(node, ParamRef) || op->old_column == NULL ||
		strcmp(linitial(op->up_columns), op->old_column) != 0)
		return false;
	get_atttypetypmodcoll(op->relid, get_attnum(op->relid, op->old_column),
						  &old_type, &old_typmod, &collation);
	typenameTypeIdAndMod(NULL, migspec_typeStringToTypeName(op->new_type),
						 &new_type, &new_typmod);
	return cast_keeps_values(old_type, old_typmod, new_type, new_typmod);
}

static Node *
columns_to_params(Node *node, void *arg)
{
	ParamContext *context = arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		Param	   *param;

		if (var->varlevelsup != context->sublevels_up || var->varno != 1 ||
			var->varattno <= 0 ||
			migspec_carry_operation(context->carry, context->carry->relid,
									var->varattno) == NULL)
			return (Node *) copyObject(var);
		param = makeNode(Param);
		param->paramkind = PARAM_EXTERN;
		param->paramid = var->varattno +
			(context->sublevels_up > 0 ? IN_SUBQUERY : 0);
		param->paramtype = var->vartype;
		param->paramtypmod = var->vartypmod;
		param->paramcollid = var->varcollid;
		param->location = -1;
		return (Node *) param;
	}
	if (IsA(node, Query))
	{
		Query	   *query;

		context->sublevels_up++;
		query = query_tree_mutator((Query *) node, columns_to_params,
								   context, 0);
		context->sublevels_up--;
		return (Node *) query;
	}
	return expression_tree_mutator(node, columns_to_params, context);
}

/*
 * Text of an expression over the table; columns that are replaced are
 * written as $attno, or $(attno + IN_SUBQUERY).
 */
static char *
deparse_with_params(const MigspecCarry *carry, Node *expr)
{
	ParamContext context = {.carry = carry};
	List	   *names = deparse_context_for(RelationGetRelationName(carry->rel),
											carry->relid);

	return deparse_expression(columns_to_params(expr, &context), names,
							  false, false);
}

/*
 * In a subquery the bare name could mean another column, so it is qualified by
 * the table there; elsewhere it must not be, since a constraint of a
 * partitioned table is read once more for each partition.
 */
static const char *
column_of_param(int n, void *arg)
{
	const MigspecCarry *carry = arg;

	if (n < IN_SUBQUERY)
		return quote_identifier(migspec_carry_new_name(carry, carry->relid, n));
	return quote_qualified_identifier(RelationGetRelationName(carry->rel),
									  migspec_carry_new_name(carry,
															 carry->relid,
															 n - IN_SUBQUERY));
}

/* one number for a column, wherever it is used */
static const char *
plain_param(int n, void *arg)
{
	return psprintf("$%d", n < IN_SUBQUERY ? n : n - IN_SUBQUERY);
}

/*
 * SQL text of a stored expression of the table (Vars of varno 1), reading the
 * columns of the new shape.
 */
char *
migspec_carry_new_expr(const MigspecCarry *carry, Node *expr)
{
	return migspec_fill_params(deparse_with_params(carry, expr),
							   column_of_param,
							   unconstify(MigspecCarry *, carry));
}

/*
 * The same, reading the columns it reads now.
 */
char *
migspec_carry_old_expr(const MigspecCarry *carry, Node *expr)
{
	List	   *names = deparse_context_for(RelationGetRelationName(carry->rel),
											carry->relid);

	return deparse_expression(expr, names, false, false);
}

/*
 * Is the statement, with parameters of these types, one that the server
 * takes?  Returns the error's message, or NULL.
 */
static char *
try_prepare(const char *statement, int ntypes, Oid *types)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile problem = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		SPI_connect();
		if (SPI_prepare(statement, ntypes, types) == NULL)
			problem = MemoryContextStrdup(caller, SPI_result_code_string(SPI_result));
		SPI_finish();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(caller);
		edata = CopyErrorData();
		if (edata->sqlerrcode == ERRCODE_QUERY_CANCELED)
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		problem = edata->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return problem;
}

/*
 * Does the expression still make sense for the types that its columns get?
 * Returns the server's message if not, or NULL.
 */
char *
migspec_carry_expr_problem(const MigspecCarry *carry, Node *expr)
{
	int			natts = RelationGetNumberOfAttributes(carry->rel);
	Oid		   *types = palloc0_array(Oid, natts);
	char	   *text;
	int			i;

	for (i = 0; i < natts; i++)
	{
		if (migspec_carry_operation(carry, carry->relid, i + 1) != NULL)
			types[i] = migspec_carry_new_type(carry, carry->relid, i + 1);
	}
	text = migspec_fill_params(deparse_with_params(carry, expr),
							   plain_param, NULL);

	return try_prepare(psprintf("SELECT %s FROM ONLY %s", text, carry->table),
					   natts, types);
}

static bool
converts_walker(Node *node, void *arg)
{
	ParamContext *context = arg;

	if (node == NULL)
		return false;
	if (IsA(node, Var))
	{
		Var		   *var = (Var *) node;
		const MigspecOperation *op;

		if (var->varlevelsup != context->sublevels_up || var->varno != 1)
			return false;
		op = migspec_carry_operation(context->carry, context->carry->relid,
									 var->varattno);
		return op != NULL && !migspec_carry_is_cast(op);
	}
	if (IsA(node, Query))
	{
		bool		found;

		context->sublevels_up++;
		found = query_tree_walker((Query *) node, converts_walker, context, 0);
		context->sublevels_up--;
		return found;
	}
	return expression_tree_walker(node, converts_walker, context);
}

/*
 * Does the expression read a column whose values are others in the new shape?
 */
bool
migspec_carry_expr_converts(const MigspecCarry *carry, Node *expr)
{
	ParamContext context = {.carry = carry};

	return converts_walker(expr, &context);
}

static bool
reads_table_walker(Node *node, void *context)
{
	Oid			relid = *(Oid *) context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
		return ((RangeTblEntry *) node)->rtekind == RTE_RELATION &&
			((RangeTblEntry *) node)->relid == relid;
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, reads_table_walker, context,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, reads_table_walker, context);
}

/*
 * Does the expression have a subquery that reads the table itself?  There,
 * columns may be merged, renamed or aliased in ways that a name put into the
 * text cannot follow.
 */
bool
migspec_carry_expr_reads_table(Node *expr, Oid relid)
{
	return reads_table_walker(expr, &relid);
}

/*
 * "name = 'value', ..." of options as they are stored; without the version of
 * a column's definition, which minor releases since 2026 keep among them.
 */
char *
migspec_carry_options(Datum options)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, untransformRelOptions(options))
	{
		DefElem    *def = lfirst(lc);

		if (strcmp(def->defname, ATTRIBUTE_VERSION_ATTOPTION) == 0)
			continue;
		appendStringInfo(&buf, "%s%s = %s", buf.len > 0 ? ", " : "",
						 quote_identifier(def->defname),
						 migspec_literal(def->arg ? defGetString(def) : "true"));
	}
	return buf.data;
}
