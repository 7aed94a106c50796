/*-------------------------------------------------------------------------
 *
 * alter_type.c
 *		ALTER COLUMN ... TYPE and SET EXPRESSION, and what must follow them.
 *
 * The rows are rewritten unless the planner leaves of the conversion nothing
 * but the old value.  Then all that depends on the column is made anew:
 * indexes, which keep their files if they are still in order; constraints, for
 * which rows are read again; foreign keys, which lock the other table.  See
 * ATPrepAlterColumnType() and the following in commands/tablecmds.c.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "check/alter_table.h"

/*
 * Does the expression, as planned, give anything but the column's own bits?
 * See ATColumnChangeRequiresRewrite().
 */
static bool
changes_value(Node *expr, AttrNumber attno)
{
	while (!IsA(expr, Var) || ((Var *) expr)->varattno != attno)
	{
		if (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceToDomain) &&
				 !DomainHasConstraints(((CoerceToDomain *) expr)->resulttype))
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		else if (IsA(expr, FuncExpr) &&
				 (((FuncExpr *) expr)->funcid == F_TIMESTAMPTZ_TIMESTAMP ||
				  ((FuncExpr *) expr)->funcid == F_TIMESTAMP_TIMESTAMPTZ) &&
				 !TimestampTimestampTzRequiresRewrite())
			expr = linitial(((FuncExpr *) expr)->args);
		else
			return true;
	}
	return false;
}

/*
 * Is every value converted, or only called otherwise?
 */
static bool
requires_rewrite(MigspecWorldTable *table, const MigspecWorldColumn *column,
				 const ColumnDef *def, Oid type, int32 typmod)
{
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expr;

	if (!OidIsValid(type) || !OidIsValid(column->type))
		return true;			/* of the script: who knows */
	if (def->raw_default != NULL)
	{
		expr = migspec_alter_cook(table, copyObject(def->raw_default),
								  EXPR_KIND_ALTER_COL_TRANSFORM, InvalidOid, -1);
		if (expr == NULL)
			return true;
	}
	else
		expr = (Node *) makeVar(1, column->attno, column->type, column->typmod,
								column->collation, 0);
	expr = coerce_to_target_type(pstate, expr, exprType(expr), type, typmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL && def->raw_default != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("result of USING clause for column \"%s\" cannot be cast automatically to type %s",
						column->name, format_type_be(type)),
				 errhint("You might need to add an explicit cast.")));
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" cannot be cast automatically to type %s",
						column->name, format_type_be(type)),
				 errhint("You might need to specify \"USING %s::%s\".",
						 quote_identifier(column->name),
						 format_type_with_typemod(type, typmod))));
	assign_expr_collations(pstate, expr);
	return changes_value(migspec_world_plan(expr), column->attno);
}

static void
check_column(MigspecAlter *alter, const MigspecWorldTable *table,
			 const MigspecWorldColumn *column, const ColumnDef *def, bool recursing)
{
	if (column->generated != '\0' && def->raw_default != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_DEFINITION),
				 errmsg("cannot specify USING when altering type of generated column"),
				 errdetail("Column \"%s\" is a generated column.", column->name)));
	if (!recursing && migspec_is_inherited(table, column->name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot alter inherited column \"%s\"", column->name)));
	if (migspec_partitions_by(table, column->attno))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot alter column \"%s\" because it is part of the partition key of relation \"%s\"",
						column->name, table->name)));
}

/*
 * One table.
 */
static void
prepare_one(MigspecAlter *alter, MigspecAltered *altered, AlterTableCmd *cmd,
			bool recursing)
{
	MigspecWorldTable *table = altered->table;
	const ColumnDef *def = castNode(ColumnDef, cmd->def);
	MigspecWorldColumn *column = migspec_alter_column(table, cmd->name);
	bool		has_rows = table->kind == RELKIND_RELATION ||
	table->kind == RELKIND_PARTITIONED_TABLE;
	int32		typmod;
	Oid			type;

	check_column(alter, table, column, def, recursing);
	type = migspec_check_type(alter->stmt, def->typeName, &typmod);
	if (OidIsValid(type) && get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" has pseudo-type %s", column->name,
						format_type_be(type))));
	if (column->identity != '\0' && !table->is_partition && OidIsValid(type) &&
		type != INT2OID && type != INT4OID && type != INT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("identity column type must be smallint, integer, or bigint")));

	if (column->generated == ATTRIBUTE_GENERATED_VIRTUAL)
		migspec_check_virtual_type(column->name, type);
	if (column->generated != ATTRIBUTE_GENERATED_VIRTUAL && has_rows)
	{
		altered->new_values = true;
		altered->rewrite |= requires_rewrite(table, column, def, type, typmod);
	}
	else if (column->generated != ATTRIBUTE_GENERATED_VIRTUAL && def->raw_default != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", table->name)));
	if (!migspec_has_storage(table) || column->generated == ATTRIBUTE_GENERATED_VIRTUAL)
		migspec_alter_check_row_type(alter, table);
}

/* see alter_table.h */
void
migspec_alter_type_prepare(MigspecAlter *alter, MigspecAltered *altered,
						   MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	ColumnDef  *def = castNode(ColumnDef, step->cmd->def);
	bool		before = altered->rewrite;
	bool		rewrite;
	MigspecFact *fact;
	List	   *family;
	ListCell   *cell;

	altered->rewrite = false;
	prepare_one(alter, altered, step->cmd, step->recursing);
	rewrite = altered->rewrite;
	altered->rewrite |= before;
	if (!step->recurse && !step->recursing && migspec_world_children(table) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("type of inherited column \"%s\" must be changed in child tables too",
						step->cmd->name)));
	family = step->recurse ? lcons(table, migspec_world_descendants(table)) :
		list_make1(table);
	for_each_from(cell, family, 1)
	{
		MigspecAltered *child = migspec_alter_child(alter, lfirst(cell));
		MigspecWorldColumn *own = migspec_world_column(child->table, step->cmd->name);

		if (own != NULL &&
			own->inherited > migspec_world_count_parents(child->table, family))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
					 errmsg("cannot alter inherited column \"%s\" of relation \"%s\"",
							own->name, child->table->name)));
		prepare_one(alter, child, step->cmd, true);
		migspec_alter_schedule(child, MIGSPEC_PASS_ALTER_TYPE, migspec_alter_type,
							   step->cmd)->recursing = true;
	}

	if (rewrite && !step->recursing &&
		(migspec_has_storage(table) || table->kind == RELKIND_PARTITIONED_TABLE))
	{
		fact = migspec_check_fact(alter->stmt, RULE_ALTER_TYPE_REWRITE, table,
								  step->cmd->name);
		fact->node = (Node *) step->cmd;
		fact->detail = TypeNameToString(def->typeName);
	}
}

/*
 * Statistics of the column are of no use any more.
 */
static void
lose_statistics(MigspecAlter *alter, MigspecWorldTable *table, const char *column,
				bool recursing)
{
	MigspecEffect *effect = migspec_check_lock(alter->stmt, table, AccessShareLock);

	effect->stats_lost = lappend(effect->stats_lost, pstrdup(column));
	if (!recursing)
		migspec_check_fact(alter->stmt, RULE_DROPS_COLUMN_STATISTICS, table,
						   pstrdup(column));
}

static bool
index_needs(const MigspecWorldIndex *index, AttrNumber attno)
{
	for (int i = 0; i < index->natts; i++)
	{
		if (index->attnos[i] == attno)
			return true;
	}
	return (index->expressions != NIL &&
			list_member_int(migspec_world_mentions(index->table,
												   (Node *) index->expressions), attno)) ||
		(index->predicate != NULL &&
		 list_member_int(migspec_world_mentions(index->table, index->predicate), attno));
}

static MigspecRemade *
remember(MigspecAltered *altered, MigspecWorldConstraint *constraint,
		 MigspecWorldIndex *index)
{
	MigspecRemade *remade;
	ListCell   *cell;

	foreach(cell, altered->remade)
	{
		remade = lfirst(cell);
		if (remade->constraint == constraint && remade->index == index)
			return NULL;
	}
	remade = palloc0(sizeof(MigspecRemade));
	remade->constraint = constraint;
	remade->index = index;
	altered->remade = lappend(altered->remade, remade);
	return remade;
}

static void
remember_index(MigspecAltered *altered, MigspecWorldIndex *index)
{
	MigspecRemade *remade = remember(altered, NULL, index);
	ListCell   *cell;

	foreach(cell, remade == NULL ? NIL : index->expressions)
		remade->expressions = lappend(remade->expressions,
									  migspec_world_deparse(index->table, lfirst(cell)));
	if (remade != NULL && index->predicate != NULL)
		remade->predicate = migspec_world_deparse(index->table, index->predicate);
}

static void
remember_constraint(MigspecAltered *altered, MigspecWorldConstraint *constraint)
{
	MigspecRemade *remade;

	if (constraint->index != NULL)
		remember_index(altered, constraint->index);
	else
	{
		remade = remember(altered, constraint, NULL);
		if (remade != NULL && constraint->type == CONSTRAINT_CHECK &&
			constraint->expr != NULL)
			remade->check = migspec_world_deparse(constraint->table, constraint->expr);
	}
}

/*
 * Note what must be made anew because of a column, see
 * RememberAllDependentForRebuilding().
 */
static void
remember_dependents(MigspecAltered *altered, const MigspecWorldColumn *column)
{
	MigspecWorldTable *table = altered->table;
	ListCell   *cell;

	foreach(cell, table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->type != CONSTRAINT_NOTNULL &&
			(list_member_int(constraint->columns, column->attno) ||
			 (constraint->referenced == table &&
			  list_member_int(constraint->referenced_columns, column->attno))))
			remember_constraint(altered, constraint);
	}
	foreach(cell, migspec_world_referencing(table))
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (list_member_int(constraint->referenced_columns, column->attno))
			remember_constraint(altered, constraint);
	}
	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);

		if (!index->dropped && index_needs(index, column->attno))
			remember_index(altered, index);
	}
}

static MigspecWorldColumn *
old_column(const MigspecAltered *altered, AttrNumber attno)
{
	ListCell   *cell;

	foreach(cell, altered->old_columns)
	{
		MigspecWorldColumn *column = lfirst(cell);

		if (column->attno == attno)
			return column;
	}
	return NULL;
}

static void
keep_old_column(MigspecAltered *altered, const MigspecWorldColumn *column)
{
	MigspecWorldColumn *copy = palloc(sizeof(MigspecWorldColumn));

	*copy = *column;
	altered->old_columns = lappend(altered->old_columns, copy);
}

/* see alter_table.h: TYPE */
void
migspec_alter_type(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	ColumnDef  *def = castNode(ColumnDef, step->cmd->def);
	MigspecWorldColumn *column = migspec_alter_column(table, step->cmd->name);
	MigspecWorldColumn *old;
	int32		typmod;
	Oid			type = migspec_check_type(alter->stmt, def->typeName, &typmod);

	old = old_column(altered, column->attno);
	if (old != NULL && (old->type != column->type || old->typmod != column->typmod))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter type of column \"%s\" twice", column->name)));
	migspec_alter_check_dependents(alter, table, column);
	migspec_alter_check_default(table, column, type, typmod);

	if (old == NULL)
		keep_old_column(altered, column);
	remember_dependents(altered, column);
	migspec_world_remember(table);
	column->type = type;
	column->typmod = typmod;
	column->collation = OidIsValid(type) ? GetColumnDefCollation(NULL, def, type) : InvalidOid;
	if (table->kind != RELKIND_COMPOSITE_TYPE)
		lose_statistics(alter, table, column->name, step->recursing);
}

/* see alter_table.h: SET EXPRESSION */
void
migspec_alter_set_expression(MigspecAlter *alter, MigspecAltered *altered,
							 MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldColumn *column = migspec_alter_column(table, step->cmd->name);
	ListCell   *cell;

	if (column->generated == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of relation \"%s\" is not a generated column",
						column->name, table->name)));
	(void) migspec_alter_cook(table, copyObject(step->cmd->def), EXPR_KIND_GENERATED_COLUMN,
							  column->type, column->typmod);
	lose_statistics(alter, table, column->name, step->recursing);
	if (column->generated == ATTRIBUTE_GENERATED_STORED)
	{
		altered->rewrite = true;
		altered->new_values = true;
		keep_old_column(altered, column);
		remember_dependents(altered, column);
		if (!step->recursing)
			migspec_check_fact(alter->stmt, RULE_SET_EXPRESSION_STORED, table, column->name);
		return;
	}

	foreach(cell, table->constraints)
	{
		MigspecWorldConstraint *constraint = lfirst(cell);

		if (!constraint->dropped && constraint->type == CONSTRAINT_CHECK)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("ALTER TABLE / SET EXPRESSION is not supported for virtual generated columns in tables with check constraints"),
					 errdetail("Column \"%s\" of relation \"%s\" is a virtual generated column.",
							   column->name, table->name)));
	}
	if (OidIsValid(table->oid) && GetRelationPublications(table->oid) != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ALTER TABLE / SET EXPRESSION is not supported for virtual generated columns in tables that are part of a publication"),
				 errdetail("Column \"%s\" of relation \"%s\" is a virtual generated column.",
						   column->name, table->name)));
	altered->scan |= column->not_null;
}

/*
 * Type and collation of a column, before the change if "old".
 */
static void
column_type(MigspecAlter *alter, MigspecWorldTable *table, AttrNumber attno, bool old,
			Oid *type, Oid *collation)
{
	MigspecWorldColumn *column = old ?
	old_column(migspec_altered(alter, table), attno) : NULL;

	if (column == NULL)
		column = migspec_world_column_no(table, attno);
	*type = column == NULL ? InvalidOid : column->type;
	*collation = column == NULL ? InvalidOid : column->collation;
}

/*
 * Operator class and collation of a key after the change: what was the default
 * for the old type is the default for the new one.  False: the index must be
 * built anew.  See CheckIndexCompatible().
 */
static bool
adapt_key(MigspecAltered *altered, MigspecWorldIndex *index, int i)
{
	MigspecWorldColumn *old = old_column(altered, index->attnos[i]);
	MigspecWorldColumn *new = migspec_world_column_no(index->table, index->attnos[i]);
	Oid			opclass = index->opclasses[i];
	Oid			collation = index->collations[i];

	if (old == NULL || new == NULL)
		return true;
	if (!OidIsValid(old->type) || !OidIsValid(new->type))
		return false;
	if (opclass == GetDefaultOpClass(old->type, index->am))
		index->opclasses[i] = ResolveOpClass(NIL, new->type, get_am_name(index->am),
											 index->am);
	else if (!IsBinaryCoercible(new->type, get_opclass_input_type(opclass)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("operator class of index \"%s\" does not accept data type %s",
						index->name, format_type_be(new->type))));
	if (collation == old->collation)
		index->collations[i] = new->collation;
	else if (!OidIsValid(new->collation))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("collations are not supported by type %s",
						format_type_be(new->type))));

	return index->opclasses[i] == opclass && index->collations[i] == collation;
}

/*
 * Polymorphic operator classes treat each type differently; and the server
 * takes it for a difference if the index holds another type than the column,
 * as those of GIN do.
 */
static bool
keeps_type(const MigspecWorldIndex *index, int i)
{
	MigspecWorldColumn *column = migspec_world_column_no(index->table, index->attnos[i]);

	return !OidIsValid(index->opclasses[i]) || column == NULL ||
		!IsPolymorphicType(get_opclass_input_type(index->opclasses[i])) ||
		(OidIsValid(index->oid) && get_atttype(index->oid, i + 1) == column->type);
}

/*
 * Analyse an expression again: what it means may depend on the new type, or it
 * means nothing any more, which is an error.
 */
static Node *
analyse_again(MigspecWorldTable *table, const char *text, ParseExprKind kind, Oid type)
{
	List	   *trees = raw_parser(psprintf("SELECT %s", text), RAW_PARSE_DEFAULT);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, trees)->stmt);
	Node	   *raw = linitial_node(ResTarget, select->targetList)->val;
	Node	   *expr = migspec_alter_cook(table, raw, kind, type, -1);
	MemoryContext old = MemoryContextSwitchTo(table->world->context);

	expr = copyObject(expr);
	MemoryContextSwitchTo(old);
	return expr;
}

/*
 * Copies of tables share what their indexes point to, so that is replaced, not
 * changed.
 */
static void
unshare(MigspecWorldIndex *index)
{
	MemoryContext old = MemoryContextSwitchTo(index->table->world->context);
	Oid		   *opclasses = palloc0(Max(index->nkeys, 1) * sizeof(Oid));
	Oid		   *collations = palloc0(Max(index->nkeys, 1) * sizeof(Oid));

	for (int i = 0; i < index->nkeys; i++)
	{
		opclasses[i] = index->opclasses[i];
		collations[i] = index->collations[i];
	}
	index->opclasses = opclasses;
	index->collations = collations;
	index->expressions = list_copy(index->expressions);
	MemoryContextSwitchTo(old);
}

/*
 * Expressions and predicate of an index.
 */
static void
analyse_index_again(MigspecWorldIndex *index, const MigspecRemade *remade)
{
	int			n = 0;

	for (int i = 0; i < index->nkeys && n < list_length(remade->expressions); i++)
	{
		ListCell   *cell;
		Node	   *expr;
		Oid			old;

		if (index->attnos[i] != 0)
			continue;
		cell = list_nth_cell(index->expressions, n);
		old = exprType(lfirst(cell));
		expr = analyse_again(index->table, list_nth(remade->expressions, n++),
							 EXPR_KIND_INDEX_EXPRESSION, InvalidOid);
		if (expr == NULL)
			continue;
		lfirst(cell) = expr;
		if (index->opclasses[i] == GetDefaultOpClass(old, index->am))
			index->opclasses[i] = ResolveOpClass(NIL, exprType(expr),
												 get_am_name(index->am), index->am);
	}
	if (remade->predicate != NULL)
		index->predicate = analyse_again(index->table, remade->predicate,
										 EXPR_KIND_INDEX_PREDICATE, BOOLOID);
}

/*
 * An index is made anew: with its old file, or built.
 */
static void
remake_index(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldIndex *index = step->remade->index;
	bool		keeps = index->expressions == NIL && index->predicate == NULL &&
	index->valid;
	bool		is_part;

	if (index->dropped)
		return;
	unshare(index);
	analyse_index_again(index, step->remade);
	for (int i = 0; i < index->nkeys; i++)
	{
		keeps &= adapt_key(altered, index, i);
		keeps &= keeps_type(index, i);
	}

	/* parts are dropped with their parent's, and then none is left to keep */
	is_part = OidIsValid(index->oid) ? get_rel_relispartition(index->oid) :
		altered->table->is_partition;

	/* made without ONLY, it gets the parts that it lacked */
	if (index->partitioned && !index->valid && !is_part)
	{
		index->valid = true;
		migspec_build_parts(alter, index, ShareLock);
	}
	if ((keeps && !is_part && !index->partitioned) || altered->rewrite)
		return;
	if (!index->partitioned)
	{
		migspec_check_build(alter->stmt, altered->table, index->name);
		index->valid = true;
	}
	if (!is_part || altered->table == alter->target)
		migspec_check_fact(alter->stmt, RULE_ALTER_TYPE_INDEX_REBUILD, altered->table,
						   index->name);
}

/*
 * How each pair of columns of a foreign key is compared.
 */
static List *
matches_of(MigspecAlter *alter, const MigspecWorldConstraint *key, bool old)
{
	MigspecWorldIndex *index = migspec_referenced_index(key);
	List	   *matches = NIL;
	ListCell   *referencing;
	ListCell   *referenced;

	forboth(referencing, key->columns, referenced, key->referenced_columns)
	{
		MigspecKeyMatch *match = palloc0(sizeof(MigspecKeyMatch));
		Oid			opclass = InvalidOid;
		Oid			from;
		Oid			to;
		Oid			of_from;
		Oid			of_to;

		for (int i = 0; index != NULL && i < index->nkeys; i++)
		{
			if (index->attnos[i] == lfirst_int(referenced))
				opclass = index->opclasses[i];
		}
		column_type(alter, key->referenced, lfirst_int(referenced), old, &to, &of_to);
		column_type(alter, key->table, lfirst_int(referencing), old, &from, &of_from);
		if (OidIsValid(from) && OidIsValid(to) &&
			!migspec_match_keys(opclass, to, from, match) && !old)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("foreign key constraint \"%s\" cannot be implemented", key->name),
					 errdetail("Key columns of the referencing and of the referenced table are of incompatible types: %s and %s.",
							   format_type_be(from), format_type_be(to))));
		if (!old)
			migspec_check_collations(key->name, of_to, of_from);
		matches = lappend(matches, match);
	}
	return matches;
}

/*
 * Does the foreign key hold because it did before?  It does if values are
 * compared just as they were.
 */
static bool
still_holds(MigspecAlter *alter, const MigspecWorldConstraint *key, List *before)
{
	ListCell   *of_old;
	ListCell   *of_new;
	ListCell   *referencing;

	forthree(of_old, before, of_new, matches_of(alter, key, false),
			 referencing, key->columns)
	{
		MigspecKeyMatch *old = lfirst(of_old);
		MigspecKeyMatch *new = lfirst(of_new);
		Oid			old_type;
		Oid			new_type;
		Oid			old_collation;
		Oid			new_collation;

		column_type(alter, key->table, lfirst_int(referencing), true, &old_type,
					&old_collation);
		column_type(alter, key->table, lfirst_int(referencing), false, &new_type,
					&new_collation);
		if (!OidIsValid(new->operator) || old->operator != new->operator ||
			old->path != new->path || old->cast != new->cast ||
			(IsPolymorphicType(new->input) && old_type != new_type))
			return false;
		if (old_collation != new_collation &&
			(!get_collation_isdeterministic(old_collation) ||
			 !get_collation_isdeterministic(new_collation)))
			return false;
	}
	return true;
}

/*
 * A foreign key is made anew.  Both tables are rewritten by now, or not.
 */
static void
remake_foreign_key(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldConstraint *key = step->remade->constraint;
	bool		rewrites = altered->rewrite || step->cause->rewrite;
	bool		holds = still_holds(alter, key, step->remade->matches);
	ListCell   *cell;

	if ((holds && !rewrites) || !key->validated || !key->enforced)
		return;
	foreach(cell, key->table->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_leaves(key->table) : list_make1(key->table))
	{
		MigspecWorldTable *leaf = lfirst(cell);

		if (leaf->kind == RELKIND_RELATION)
			migspec_check_work(alter->stmt, leaf, MIGSPEC_WORK_FK_VALIDATION);
	}
}

/*
 * It is dropped first, which takes the strongest lock on both tables.
 */
static void
drop_foreign_key(MigspecAlter *alter, MigspecAltered *altered, MigspecRemade *remade)
{
	MigspecWorldConstraint *key = remade->constraint;
	MigspecWorldTable *target = alter->target;
	MigspecAlterStep *step;
	MigspecFact *fact;
	ListCell   *cell;

	if (key->referenced == NULL || migspec_is_action_only(key))
		return;
	migspec_check_lock(alter->stmt, key->table, AccessExclusiveLock);
	foreach(cell, key->table->kind == RELKIND_PARTITIONED_TABLE ?
			migspec_world_descendants(key->table) : NIL)
		migspec_check_lock(alter->stmt, lfirst(cell), AccessExclusiveLock);
	migspec_lock_referenced(alter, key->referenced,
							key->enforced ? AccessExclusiveLock : ShareRowExclusiveLock);
	if (key->table != key->referenced && (key->table == target || key->referenced == target) &&
		(key->is_local || !key->table->is_partition))
	{
		fact = migspec_check_fact(alter->stmt, RULE_DROP_FK_LOCKS_REFERENCED, target,
								  key->name);
		fact->other = key->table == target ? key->referenced : key->table;
	}

	/* that of a partition comes with its parent's */
	if (key->table->is_partition && !key->is_local)
		return;
	step = migspec_alter_schedule(migspec_altered(alter, key->table),
								  MIGSPEC_PASS_OLD_CONSTRAINT, remake_foreign_key, NULL);
	step->remade = remade;
	step->cause = altered;
	remade->matches = matches_of(alter, key, true);
}

/*
 * A CHECK is made anew, and all rows must fulfil it again.
 */
static void
remake_check(MigspecAlter *alter, MigspecAltered *altered, const MigspecRemade *remade)
{
	MigspecWorldConstraint *constraint = remade->constraint;

	if (remade->check != NULL)
		constraint->expr = analyse_again(altered->table, remade->check,
										 EXPR_KIND_CHECK_CONSTRAINT, BOOLOID);
	if (!constraint->validated || !constraint->enforced)
		return;
	altered->scan = true;

	/* what is inherited has been told of the parent */
	if (!altered->rewrite && (constraint->is_local || altered->table == alter->target))
		migspec_check_fact(alter->stmt, RULE_ALTER_TYPE_RECHECK, altered->table,
						   constraint->name);
}

/* see alter_table.h */
void
migspec_alter_rebuild(MigspecAlter *alter, MigspecAltered *altered)
{
	ListCell   *cell;

	foreach(cell, altered->remade)
	{
		MigspecRemade *remade = lfirst(cell);

		if (remade->index != NULL)
			migspec_alter_schedule(altered, MIGSPEC_PASS_OLD_INDEX, remake_index,
								   NULL)->remade = remade;
		else if (remade->constraint->dropped)
			continue;
		else if (remade->constraint->type == CONSTRAINT_FOREIGN)
			drop_foreign_key(alter, altered, remade);
		else if (remade->constraint->type == CONSTRAINT_CHECK)
			remake_check(alter, altered, remade);
	}
	altered->remade = NIL;
}
