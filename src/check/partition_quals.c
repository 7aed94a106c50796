/*-------------------------------------------------------------------------
 *
 * partition_quals.c
 *		What the rows of a partition must fulfil.
 *
 * Of a partitioned table that is in the catalog the server is asked, with the
 * relation opened for a moment.  Of one that only the script creates the
 * condition is put together from its PARTITION BY and the bounds, as
 * get_qual_from_partbound() would (partitioning/partbounds.c).
 *
 * Conditions are lists with an implicit AND, of expressions over the columns
 * of the partitioned table, as Vars of varno 1.
 *
 * Runs in the process that analyses a script.  Takes ACCESS SHARE on the
 * partitioned table, if it can be had at once, and lets go of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_partitioned_table.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_utilcmd.h"
#include "partitioning/partbounds.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/alter_table.h"

/* see alter_table.h */
List *
migspec_partition_key(const MigspecWorldTable *table)
{
	HeapTuple	tuple;
	Form_pg_partitioned_table row;
	List	   *attnos = NIL;
	ListCell   *cell;

	if (table->kind != RELKIND_PARTITIONED_TABLE)
		return NIL;
	foreach(cell, table->partition_by == NULL ? NIL : table->partition_by->partParams)
	{
		PartitionElem *element = lfirst(cell);
		MigspecWorldColumn *column = element->name == NULL ? NULL :
		migspec_world_column(table, element->name);

		attnos = lappend_int(attnos, column == NULL ? 0 : column->attno);
	}
	if (!OidIsValid(table->oid))
		return attnos;
	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(table->oid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	row = (Form_pg_partitioned_table) GETSTRUCT(tuple);
	for (int i = 0; i < row->partnatts; i++)
		attnos = lappend_int(attnos, row->partattrs.values[i]);
	ReleaseSysCache(tuple);
	return attnos;
}

/*
 * Columns that expressions of the key mention.
 */
static List *
columns_of_expressions(const MigspecWorldTable *table)
{
	HeapTuple	tuple;
	List	   *attnos = NIL;
	Datum		datum;
	bool		isnull;
	ListCell   *cell;

	foreach(cell, table->partition_by == NULL ? NIL : table->partition_by->partParams)
	{
		PartitionElem *element = lfirst(cell);
		MigspecWorldTable *live = unconstify(MigspecWorldTable *, table);

		if (element->expr != NULL)
			attnos = list_concat(attnos,
								 migspec_world_mentions(table,
														migspec_world_cook(table->world, live,
																		   element->expr,
																		   EXPR_KIND_PARTITION_EXPRESSION,
																		   InvalidOid, -1)));
	}
	if (!OidIsValid(table->oid))
		return attnos;
	tuple = SearchSysCache1(PARTRELID, ObjectIdGetDatum(table->oid));
	if (!HeapTupleIsValid(tuple))
		return NIL;
	datum = SysCacheGetAttr(PARTRELID, tuple, Anum_pg_partitioned_table_partexprs, &isnull);
	if (!isnull)
		attnos = migspec_world_mentions(table, stringToNode(TextDatumGetCString(datum)));
	ReleaseSysCache(tuple);
	return attnos;
}

/* see alter_table.h */
bool
migspec_partitions_by(const MigspecWorldTable *table, AttrNumber attno)
{
	return table->kind == RELKIND_PARTITIONED_TABLE &&
		(list_member_int(migspec_partition_key(table), attno) ||
		 list_member_int(columns_of_expressions(table), attno));
}

/*
 * Open the relation as the catalog has it.
 */
static Relation
open_briefly(const MigspecWorldTable *table)
{
	if (!ConditionalLockRelationOid(table->oid, AccessShareLock))
		migspec_check_give_up(table->world);
	return table_open(table->oid, NoLock);
}

/*
 * Are the partitions still those of the catalog?
 */
static bool
is_unchanged(MigspecWorldTable *parent)
{
	List	   *children = migspec_world_children(parent);
	ListCell   *cell;

	foreach(cell, children)
	{
		if (!OidIsValid(((MigspecWorldTable *) lfirst(cell))->oid))
			return false;
	}
	return list_length(children) ==
		list_length(find_inheritance_children(parent->oid, NoLock));
}

/*
 * Do all comparisons use this collation?  The first one found says which.
 */
static bool
mixes_collations(Node *node, void *arg)
{
	Oid		   *collation = arg;
	Oid			here = InvalidOid;

	if (node == NULL)
		return false;
	if (IsA(node, OpExpr))
		here = ((OpExpr *) node)->inputcollid;
	else if (IsA(node, ScalarArrayOpExpr))
		here = ((ScalarArrayOpExpr *) node)->inputcollid;
	if (!OidIsValid(*collation))
		*collation = here;
	return (OidIsValid(here) && here != *collation) ||
		expression_tree_walker(node, mixes_collations, arg);
}

/*
 * What rows of a partition fulfil, which is asked for again and again when a
 * script adds many; NIL if that is not known.
 */
static List *
quals_of_child(MigspecWorldTable *parent, MigspecWorldTable *child)
{
	bool		provable = true;
	List	   *quals;
	MemoryContext old;

	if (child->bound_quals_of == child->bound)
		return child->bound_quals;
	quals = migspec_partition_quals(parent, child->bound, &provable);
	old = MemoryContextSwitchTo(child->world->context);
	child->bound_quals = provable ? copyObject(quals) : NIL;
	MemoryContextSwitchTo(old);
	child->bound_quals_of = child->bound;
	return child->bound_quals;
}

/*
 * Do the bounds overlap those of a partition, where the catalog cannot tell?
 * Only of a single column it can be said for sure, and only of values that are
 * compared in the same way.
 */
static void
check_overlap(MigspecWorldTable *parent, const char *name, PartitionBoundSpec *bound)
{
	bool		provable = true;
	List	   *quals;
	ListCell   *cell;

	if (list_length(migspec_partition_key(parent)) != 1 || bound->is_default)
		return;
	quals = migspec_partition_quals(parent, bound, &provable);
	foreach(cell, provable ? migspec_world_children(parent) : NIL)
	{
		MigspecWorldTable *child = lfirst(cell);
		List	   *there;
		Oid			collation = InvalidOid;

		if (child->bound == NULL || child->is_default_partition ||
			strcmp(child->name, name) == 0)
			continue;
		there = quals_of_child(parent, child);
		if (there != NIL && bound->strategy != PARTITION_STRATEGY_HASH &&
			!mixes_collations((Node *) quals, &collation) &&
			!mixes_collations((Node *) there, &collation) &&
			!predicate_refuted_by(quals, there, false))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("partition \"%s\" would overlap partition \"%s\"",
							name, child->name)));
	}
}

/*
 * Bounds may be expressions, which the server evaluates.  What calls functions
 * of the user must not be.
 */
static bool
calls_user(Node *raw, void *arg)
{
	FuncCandidateList candidate;

	if (raw == NULL)
		return false;
	if (IsA(raw, FuncCall))
	{
		candidate = FuncnameGetCandidates(((FuncCall *) raw)->funcname, -1, NIL, false,
										  false, false, true);
		if (candidate == NULL)
			return true;
		for (; candidate != NULL; candidate = candidate->next)
		{
			if (candidate->oid >= FirstNormalObjectId)
				return true;
		}
	}
	return raw_expression_tree_walker(raw, calls_user, arg);
}

static bool
bound_calls_user(const PartitionBoundSpec *bound)
{
	/* of a partition that is there already it has been analysed */
	return bound->location != -1 &&
		(calls_user((Node *) bound->listdatums, NULL) ||
		 calls_user((Node *) bound->lowerdatums, NULL) ||
		 calls_user((Node *) bound->upperdatums, NULL));
}

/* see alter_table.h */
void
migspec_check_bound(MigspecWorldTable *parent, const char *name, PartitionBoundSpec *bound)
{
	ParseState *pstate;
	Relation	rel;

	if (bound_calls_user(bound))
		return;
	if (!OidIsValid(parent->oid) || !is_unchanged(parent))
	{
		check_overlap(parent, name, bound);
		return;
	}
	pstate = make_parsestate(NULL);
	rel = open_briefly(parent);
	bound = transformPartitionBound(pstate, rel, copyObject(bound));
	check_new_partition_bound(pstrdup(name), rel, bound, pstate);
	table_close(rel, AccessShareLock);
}

/*
 * How a new table is partitioned: 'l', 'r', 'h'.
 */
static char
strategy_of(const PartitionSpec *spec)
{
	return MIGSPEC_PARTITION_STRATEGY(spec);
}

static Node *
compare(Node *key, const char *operator, Node *value)
{
	return (Node *) makeSimpleA_Expr(AEXPR_OP, pstrdup(operator), copyObject(key),
									 copyObject(value), -1);
}

static Node *
both(Node *a, Node *b)
{
	if (a == NULL || b == NULL)
		return a == NULL ? b : a;
	return (Node *) makeBoolExpr(AND_EXPR, list_make2(a, b), -1);
}

static Node *
is_null(Node *key, NullTestType type)
{
	NullTest   *test = makeNode(NullTest);

	test->arg = (Expr *) copyObject(key);
	test->nulltesttype = type;
	test->location = -1;
	return (Node *) test;
}

/*
 * MINVALUE or MAXVALUE, as the parser leaves them?
 */
static bool
is_infinite(const Node *value)
{
	const ColumnRef *ref = (const ColumnRef *) value;

	return IsA(value, ColumnRef) && list_length(ref->fields) == 1 &&
		IsA(linitial(ref->fields), String) &&
		(strcmp(strVal(linitial(ref->fields)), "minvalue") == 0 ||
		 strcmp(strVal(linitial(ref->fields)), "maxvalue") == 0);
}

/*
 * One end of a range: the keys, compared one after the other, are beyond the
 * values.  NULL: that end is open.
 */
static Node *
range_end(List *keys, List *values, const char *beyond, const char *last)
{
	Node	   *result = NULL;
	Node	   *equal = NULL;
	ListCell   *key;
	ListCell   *value;

	forboth(key, keys, value, values)
	{
		bool		is_last = lnext(keys, key) == NULL;
		Node	   *here;

		if (is_infinite(lfirst(value)))
		{
			/* what comes later does not matter */
			if (equal == NULL)
				return NULL;
			here = equal;
			is_last = true;
		}
		else
			here = both(equal, compare(lfirst(key), is_last ? last : beyond,
									   lfirst(value)));
		result = result == NULL ? here :
			(Node *) makeBoolExpr(OR_EXPR, list_make2(result, here), -1);
		if (is_last)
			break;
		equal = both(equal, compare(lfirst(key), "=", lfirst(value)));
	}
	return result;
}

/*
 * One of these values, of which one may be NULL.
 */
static Node *
in_list(Node *key, List *values)
{
	Node	   *result = NULL;
	bool		has_null = false;
	ListCell   *cell;

	foreach(cell, values)
	{
		Node	   *here;

		if (IsA(lfirst(cell), A_Const) && ((A_Const *) lfirst(cell))->isnull)
		{
			has_null = true;
			here = is_null(key, IS_NULL);
		}
		else
			here = compare(key, "=", lfirst(cell));
		result = result == NULL ? here :
			(Node *) makeBoolExpr(OR_EXPR, list_make2(result, here), -1);
	}
	return has_null ? result : both(is_null(key, IS_NOT_NULL), result);
}

static Node *raw_condition(MigspecWorldTable *parent, const PartitionBoundSpec *bound,
						   bool *provable);

/*
 * The default partition has what the others have not.
 */
static Node *
in_no_other(MigspecWorldTable *parent, bool *provable)
{
	Node	   *result = NULL;
	ListCell   *cell;

	foreach(cell, migspec_world_children(parent))
	{
		MigspecWorldTable *child = lfirst(cell);
		Node	   *there;

		if (child->is_default_partition || child->bound == NULL)
			continue;
		there = raw_condition(parent, child->bound, provable);
		if (there != NULL)
			result = both(result, (Node *) makeBoolExpr(NOT_EXPR, list_make1(there), -1));
	}
	return result;
}

/*
 * The condition of a partitioned table that the script creates, not analysed.
 */
static Node *
raw_condition(MigspecWorldTable *parent, const PartitionBoundSpec *bound, bool *provable)
{
	List	   *keys = NIL;
	Node	   *result = NULL;
	ListCell   *cell;

	foreach(cell, parent->partition_by == NULL ? NIL : parent->partition_by->partParams)
	{
		PartitionElem *element = lfirst(cell);
		ColumnRef  *ref = makeNode(ColumnRef);

		ref->fields = list_make1(makeString(element->name));
		ref->location = -1;
		keys = lappend(keys, element->name != NULL ? (Node *) ref : element->expr);
	}
	if (keys == NIL || strategy_of(parent->partition_by) == PARTITION_STRATEGY_HASH)
	{
		*provable = false;
		return NULL;
	}
	if (bound->is_default)
		return in_no_other(parent, provable);
	if (strategy_of(parent->partition_by) == PARTITION_STRATEGY_LIST)
		return in_list(linitial(keys), bound->listdatums);
	foreach(cell, keys)
		result = both(result, is_null(lfirst(cell), IS_NOT_NULL));
	result = both(result, range_end(keys, bound->lowerdatums, ">", ">="));
	return both(result, range_end(keys, bound->upperdatums, "<", "<"));
}

/* see alter_table.h */
List *
migspec_partition_quals(MigspecWorldTable *parent, PartitionBoundSpec *bound,
						bool *provable)
{
	List	   *quals;
	Node	   *raw;

	if (bound_calls_user(bound))
	{
		*provable = false;
		return NIL;
	}
	if (OidIsValid(parent->oid))
	{
		Relation	rel = open_briefly(parent);

		if (bound->location != -1)
			bound = transformPartitionBound(make_parsestate(NULL), rel, copyObject(bound));
		quals = get_qual_from_partbound(rel, bound);
		table_close(rel, AccessShareLock);
	}
	else
	{
		raw = raw_condition(parent, bound, provable);
		if (raw == NULL)
			return NIL;
		raw = migspec_world_cook(parent->world, parent, raw, EXPR_KIND_CHECK_CONSTRAINT,
								 BOOLOID, -1);
		quals = make_ands_implicit((Expr *) raw);
	}
	return (List *) eval_const_expressions(NULL, (Node *) quals);
}

/* see alter_table.h */
List *
migspec_ancestor_quals(MigspecWorldTable *parent, bool *provable)
{
	List	   *quals;

	if (parent->parent == NULL || parent->bound == NULL)
		return NIL;
	quals = list_concat_copy(migspec_partition_quals(parent->parent, parent->bound, provable),
							 migspec_ancestor_quals(parent->parent, provable));
	return (List *) migspec_map_expr(parent->parent, parent, (Node *) quals);
}

/* see alter_table.h */
List *
migspec_default_quals(List *quals)
{
	return get_proposed_default_constraint(copyObject(quals));
}

/* see alter_table.h */
bool
migspec_is_detaching(const MigspecWorldTable *table)
{
	return PartitionHasPendingDetach(table->oid);
}
