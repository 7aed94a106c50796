/*-------------------------------------------------------------------------
 *
 * carry_index.c
 *		Indexes, and the keys that rest on them, for the new column.
 *
 * A worker builds each index CONCURRENTLY under a hidden name.  At the switch
 * the old index and the new one trade places, see keyswap.c: from then on the
 * index, and the key that rests on it, is one of the new column, and what goes
 * with the old column is an index of hidden name.
 *
 * Process: caller's backend, at plan time.  Locks: ACCESS SHARE on the table
 * (held by the caller) and on each index.  Crash: nothing is changed here; a
 * crash while a worker builds leaves an invalid index under the hidden name,
 * which the worker drops before it tries again.
 *
 * Interleavings:
 * - Somebody drops the index between the plan and the step: the plan no longer
 *   fits what is there, which the comparison of identities finds.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "engine/carry_internal.h"

/* An index, taken apart; the tuples stay pinned until close_index() */
typedef struct IndexParts
{
	Oid			oid;
	HeapTuple	tuple;			/* of pg_index */
	HeapTuple	class_tuple;	/* of pg_class */
	Form_pg_index form;
	Form_pg_class class_form;
	oidvector  *collations;
	oidvector  *opclasses;
	int2vector *options;
	List	   *expressions;
	Node	   *predicate;
} IndexParts;

static Node *
stored_tree(HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(INDEXRELID, tuple, attno, &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(datum));
}

static void *
index_vector(HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(INDEXRELID, tuple, attno, &isnull);

	Assert(!isnull);
	return DatumGetPointer(datum);
}

static void
open_index(Oid oid, IndexParts *parts)
{
	parts->oid = oid;
	parts->tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(oid));
	parts->class_tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(parts->tuple) ||
		!HeapTupleIsValid(parts->class_tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index with OID %u does not exist", oid)));
	parts->form = (Form_pg_index) GETSTRUCT(parts->tuple);
	parts->class_form = (Form_pg_class) GETSTRUCT(parts->class_tuple);
	parts->collations = index_vector(parts->tuple, Anum_pg_index_indcollation);
	parts->opclasses = index_vector(parts->tuple, Anum_pg_index_indclass);
	parts->options = index_vector(parts->tuple, Anum_pg_index_indoption);
	parts->expressions = (List *) stored_tree(parts->tuple,
											  Anum_pg_index_indexprs);
	parts->predicate = stored_tree(parts->tuple, Anum_pg_index_indpred);
}

static void
close_index(IndexParts *parts)
{
	ReleaseSysCache(parts->tuple);
	ReleaseSysCache(parts->class_tuple);
}

/* What key "keyno" is made of: attno is 0 for an expression */
static AttrNumber
index_key(const IndexParts *parts, int keyno, Node **expr)
{
	AttrNumber	attno = parts->form->indkey.values[keyno];
	int			before = 0;
	int			i;

	*expr = NULL;
	if (attno != 0)
		return attno;
	for (i = 0; i < keyno; i++)
	{
		if (parts->form->indkey.values[i] == 0)
			before++;
	}
	*expr = list_nth(parts->expressions, before);
	return 0;
}

static void
append_collation(StringInfo buf, const MigspecCarry *carry,
				 const IndexParts *parts, int keyno)
{
	Oid			collation = parts->collations->values[keyno];
	Node	   *expr;
	AttrNumber	attno = index_key(parts, keyno, &expr);
	Oid			type;
	int32		typmod;
	Oid			usual;

	if (!OidIsValid(collation))
		return;
	if (attno != 0)
	{
		get_atttypetypmodcoll(carry->relid, attno, &type, &typmod, &usual);
		if (!type_is_collatable(migspec_carry_new_type(carry, carry->relid,
													   attno)))
			return;
	}
	else
		usual = exprCollation(expr);
	if (collation != usual)
		appendStringInfo(buf, " COLLATE %s",
						 generate_collation_name(collation));
}

/*
 * The operator class, if it is not the one that the server would choose.
 * Options can only be given along with a name.
 */
static void
append_opclass(StringInfo buf, const MigspecCarry *carry,
			   const IndexParts *parts, int keyno)
{
	Oid			opclass = parts->opclasses->values[keyno];
	Oid			am = parts->class_form->relam;
	char	   *options = migspec_carry_options(get_attoptions(parts->oid,
															   keyno + 1));
	Node	   *expr;
	AttrNumber	attno = index_key(parts, keyno, &expr);
	Oid			old_type;
	Oid			new_type;
	bool		is_default;

	old_type = attno != 0 ? get_atttype(carry->relid, attno) : exprType(expr);
	new_type = attno != 0 ?
		migspec_carry_new_type(carry, carry->relid, attno) : old_type;
	is_default = GetDefaultOpClass(old_type, am) == opclass;

	if (is_default && options[0] == '\0')
		return;
	if (is_default && new_type != old_type)
		opclass = GetDefaultOpClass(new_type, am);
	appendStringInfo(buf, " %s", generate_opclass_name(opclass));
	if (options[0] != '\0')
		appendStringInfo(buf, " (%s)", options);
}

static void
append_order(StringInfo buf, const IndexParts *parts, int keyno)
{
	int16		option = parts->options->values[keyno];
	bool		descending = (option & INDOPTION_DESC) != 0;
	bool		nulls_first = (option & INDOPTION_NULLS_FIRST) != 0;

	if (!GetIndexAmRoutineByAmId(parts->class_form->relam, false)->amcanorder)
		return;
	if (descending)
		appendStringInfoString(buf, " DESC");
	if (nulls_first != descending)
		appendStringInfo(buf, " NULLS %s", nulls_first ? "FIRST" : "LAST");
}

/*
 * Everything between the parentheses: keys, and included columns.
 */
static void
append_columns(StringInfo buf, const MigspecCarry *carry,
			   const IndexParts *parts)
{
	int			keyno;

	for (keyno = 0; keyno < parts->form->indnatts; keyno++)
	{
		Node	   *expr;
		AttrNumber	attno = index_key(parts, keyno, &expr);
		bool		is_key = keyno < parts->form->indnkeyatts;

		if (keyno == parts->form->indnkeyatts)
			appendStringInfoString(buf, ") INCLUDE (");
		else if (keyno > 0)
			appendStringInfoString(buf, ", ");
		if (attno != 0)
			appendStringInfoString(buf,
								   quote_identifier(migspec_carry_new_name(carry, carry->relid, attno)));
		else
			appendStringInfo(buf, "(%s)",
							 migspec_carry_new_expr(carry, expr));
		if (!is_key)
			continue;
		append_collation(buf, carry, parts, keyno);
		append_opclass(buf, carry, parts, keyno);
		append_order(buf, parts, keyno);
	}
}

/*
 * Storage parameters and tablespace.  The latter is named even if it is the
 * database's unless nothing could make the worker choose another one.
 */
static void
append_storage(StringInfo buf, const IndexParts *parts)
{
	bool		isnull;
	Datum		options;
	Oid			tablespace = parts->class_form->reltablespace;

	options = SysCacheGetAttr(RELOID, parts->class_tuple,
							  Anum_pg_class_reloptions, &isnull);
	if (!isnull)
		appendStringInfo(buf, " WITH (%s)", migspec_carry_options(options));
	if (!OidIsValid(tablespace) &&
		GetConfigOption("default_tablespace", false, false)[0] != '\0')
		tablespace = MyDatabaseTableSpace;
	if (OidIsValid(tablespace))
		appendStringInfo(buf, " TABLESPACE %s",
						 quote_identifier(get_tablespace_name(tablespace)));
}

/*
 * The statement that builds the same index for the new shape.
 */
static char *
create_index_sql(const MigspecCarry *carry, const IndexParts *parts,
				 const char *name, bool unique, bool concurrently)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "CREATE %sINDEX %s%s ON %s%s USING %s (",
					 unique ? "UNIQUE " : "",
					 concurrently ? "CONCURRENTLY " : "",
					 quote_identifier(name),
					 concurrently ? "" : "ONLY ",
					 carry->table,
					 quote_identifier(get_am_name(parts->class_form->relam)));
	append_columns(&buf, carry, parts);
	appendStringInfoChar(&buf, ')');
	if (parts->form->indnullsnotdistinct)
		appendStringInfoString(&buf, " NULLS NOT DISTINCT");
	append_storage(&buf, parts);
	if (parts->predicate != NULL)
		appendStringInfo(&buf, " WHERE %s",
						 migspec_carry_new_expr(carry, parts->predicate));
	return buf.data;
}

static const char *
hidden_index(const MigspecCarry *carry, Oid index)
{
	return migspec_carry_hidden(carry, 'i', index);
}

/* the hidden name of the index, in the schema of its table */
static char *
hidden_index_name(const MigspecCarry *carry, Oid index)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(index)),
									  hidden_index(carry, index));
}

/*
 * Statistics targets of the index's columns (expressions have them).
 */
static void
carry_targets(MigspecCarry *carry, const MigspecCarryItem *item,
			  MigspecPhase phase, const IndexParts *parts)
{
	int			keyno;

	for (keyno = 0; keyno < parts->form->indnkeyatts; keyno++)
	{
		HeapTuple	tuple = SearchSysCache2(ATTNUM,
											ObjectIdGetDatum(parts->oid),
											Int16GetDatum(keyno + 1));
		int			target;

		if (!HeapTupleIsValid(tuple))
			continue;
		target = migspec_stattarget(ATTNUM, tuple,
									Anum_pg_attribute_attstattarget);
		ReleaseSysCache(tuple);
		if (target < 0)
			continue;
		migspec_carry_step(carry, item, phase, ShareUpdateExclusiveLock,
						   psprintf("ALTER INDEX %s ALTER COLUMN %d SET STATISTICS %d",
									hidden_index_name(carry, parts->oid),
									keyno + 1, target),
						   NULL);
	}
}

/* One table's part of what is done for an index and those of the partitions */
typedef struct IndexTask
{
	const MigspecCarryItem *item;
	Oid			index;
	bool		unique;
} IndexTask;

/*
 * The step that makes the hidden index of a partition part of its parent's.
 * An index with storage can be there twice: the server builds one by itself in
 * a partition that is detached and attached again.
 */
static void
attach_index(MigspecCarry *carry, const IndexTask *task, Oid parent, Oid child)
{
	Oid			partition = IndexGetRelation(child, false);
	char	   *shell = hidden_index_name(carry, parent);
	MigspecStep *step;

	if (get_rel_relkind(child) == RELKIND_PARTITIONED_INDEX)
		step = migspec_carry_step(carry, task->item, MIGSPEC_EXPANDED,
								  ShareUpdateExclusiveLock,
								  psprintf("ALTER INDEX %s ATTACH PARTITION %s",
										   shell,
										   hidden_index_name(carry, child)),
								  NULL);
	else
	{
		step = migspec_carry_step(carry, task->item, MIGSPEC_MIGRATING,
								  ShareUpdateExclusiveLock,
								  psprintf("SELECT migspec.attach_index(%s::regclass, %s::regclass, %s)",
										   migspec_literal(shell),
										   migspec_literal(migspec_relation_name(partition)),
										   migspec_literal(hidden_index(carry, child))),
								  NULL);
		step->as_extension = true;
	}
	step->partition = partition;
}

/*
 * The index of a partitioned table is an empty shell, to which those of the
 * partitions are attached.  It comes with the new column, so that partitions
 * which come later get theirs from the server.
 */
static void
build_partitioned(MigspecCarry *carry, const IndexTask *task,
				  const IndexParts *parts)
{
	ListCell   *lc;

	migspec_carry_step(carry, task->item, MIGSPEC_EXPANDED, ShareLock,
					   create_index_sql(carry, parts,
										hidden_index(carry, parts->oid),
										task->unique, false),
					   NULL);
	foreach(lc, find_inheritance_children(parts->oid, AccessShareLock))
		attach_index(carry, task, parts->oid, lfirst_oid(lc));
	carry_targets(carry, task->item, MIGSPEC_EXPANDED, parts);
}

static void
build_index(MigspecCarry *carry, void *arg)
{
	const IndexTask *task = arg;
	MigspecStep *step;
	IndexParts	parts;

	open_index(task->index, &parts);
	if (parts.class_form->relkind == RELKIND_PARTITIONED_INDEX)
		build_partitioned(carry, task, &parts);
	else
	{
		step = migspec_carry_step(carry, task->item, MIGSPEC_MIGRATING,
								  ShareUpdateExclusiveLock,
								  create_index_sql(carry, &parts,
												   hidden_index(carry, parts.oid),
												   task->unique, true),
								  NULL);
		step->kind = MIGSPEC_STEP_CONCURRENTLY;
		migspec_carry_estimate(step, carry->relid, MIGSPEC_CARRY_BUILD_RATE);
		carry_targets(carry, task->item, MIGSPEC_MIGRATING, &parts);
	}
	close_index(&parts);
}

/*
 * Build the index, and, if its table is partitioned, first those of its
 * partitions.
 */
static void
build_indexes(MigspecCarry *carry, Oid index, IndexTask *task)
{
	List	   *indexes = list_make1_oid(index);

	if (get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX)
		indexes = find_all_inheritors(index, AccessShareLock, NULL);
	for (int i = list_length(indexes) - 1; i >= 0; i--)
	{
		task->index = list_nth_oid(indexes, i);
		migspec_carry_visit(carry->plan, carry->ops, carry->op,
							IndexGetRelation(task->index, false), build_index,
							task);
	}
}

/*
 * While a deferrable key is not yet the new column's, an index that checks at
 * once would reject statements that the old key accepts.  So the index is
 * built without uniqueness, becomes a deferrable key of its own, and then is
 * searched for duplicates, which only rows from before can be.
 */
static void
make_deferrable(MigspecCarry *carry, const MigspecCarryItem *item, Oid index)
{
	char	   *table = migspec_literal(carry->table);
	char	   *hidden = migspec_literal(hidden_index_name(carry, index));
	MigspecStep *step;

	step = migspec_carry_step(carry, item, MIGSPEC_MIGRATING,
							  ShareRowExclusiveLock,
							  psprintf("SELECT migspec.make_deferrable_key(%s::regclass, %s, %s::regclass)",
									   table,
									   migspec_literal(get_constraint_name(item->object.objectId)),
									   hidden),
							  NULL);
	step->as_extension = true;
	step = migspec_carry_step(carry, item, MIGSPEC_MIGRATING, AccessShareLock,
							  psprintf("SELECT migspec.check_unique(%s::regclass, %s::regclass)",
									   table, hidden),
							  NULL);
	step->as_extension = true;
	migspec_carry_estimate(step, carry->relid, MIGSPEC_CARRY_SCAN_RATE);
}

/*
 * The index and its counterpart trade places, and so do those of all
 * partitions that are there by then.
 */
static void
swap_index(MigspecCarry *carry, const MigspecCarryItem *item, Oid index)
{
	char	   *swap;

	swap = psprintf("SELECT migspec.swap_index(%s::regclass, %s::regclass, %s::regclass)",
					migspec_literal(carry->table),
					migspec_literal(migspec_relation_name(index)),
					migspec_literal(hidden_index_name(carry, index)));
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessExclusiveLock,
					   swap, pstrdup(swap))->as_extension = true;
}

/*
 * The index of a partitioned table becomes valid with the last one that is
 * attached to it; but that one's partition may have gone meanwhile.
 */
static void
validation_step(MigspecCarry *carry, const MigspecCarryItem *item, Oid index)
{
	migspec_carry_step(carry, item, MIGSPEC_MIGRATING, ShareUpdateExclusiveLock,
					   psprintf("SELECT migspec.validate_index(%s::regclass)",
								migspec_literal(hidden_index_name(carry, index))),
					   NULL)->as_extension = true;
}

/*
 * An index, or the key that rests on it.
 */
void
migspec_carry_index(MigspecCarry *carry, MigspecCarryItem *item)
{
	Oid			index = item->object.objectId;
	IndexTask	task = {.item = item};
	IndexParts	parts;
	bool		deferrable;

	if (item->kind == MIGSPEC_CARRY_KEY)
		index = get_constraint_index(item->object.objectId);
	open_index(index, &parts);
	deferrable = !parts.form->indimmediate;
	task.unique = parts.form->indisunique && !deferrable;
	close_index(&parts);

	build_indexes(carry, index, &task);
	if (get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX)
		validation_step(carry, item, index);
	if (deferrable)
		make_deferrable(carry, item, index);
	swap_index(carry, item, index);
}

/*
 * Can an index column of another type have the same operator class?
 */
static char *
opclass_problem(const MigspecCarry *carry, const IndexParts *parts, int keyno)
{
	Oid			opclass = parts->opclasses->values[keyno];
	Oid			am = parts->class_form->relam;
	AttrNumber	attno = parts->form->indkey.values[keyno];
	Oid			old_type = get_atttype(carry->relid, attno);
	Oid			new_type = migspec_carry_new_type(carry, carry->relid, attno);
	Oid			input;

	if (old_type == new_type)
		return NULL;
	if (GetDefaultOpClass(old_type, am) == opclass)
	{
		if (OidIsValid(GetDefaultOpClass(new_type, am)))
			return NULL;
		return psprintf("type %s has no default operator class for access method %s",
						format_type_be(new_type), get_am_name(am));
	}
	input = get_opclass_input_type(opclass);
	if (IsBinaryCoercible(new_type, input))
		return NULL;
	return psprintf("its operator class does not accept type %s",
					format_type_be(new_type));
}

/*
 * Why the index cannot be built for the new shape, or NULL if it can.
 */
char *
migspec_carry_index_problem(const MigspecCarry *carry, Oid indexoid)
{
	IndexParts	parts;
	char	   *problem = NULL;
	int			keyno;
	ListCell   *lc;

	open_index(indexoid, &parts);
	for (keyno = 0; problem == NULL && keyno < parts.form->indnkeyatts; keyno++)
	{
		if (parts.form->indkey.values[keyno] != 0)
			problem = opclass_problem(carry, &parts, keyno);
	}
	foreach(lc, parts.expressions)
	{
		if (problem == NULL)
			problem = migspec_carry_expr_problem(carry, lfirst(lc));
	}
	if (problem == NULL && parts.predicate != NULL)
		problem = migspec_carry_expr_problem(carry, parts.predicate);
	close_index(&parts);
	return problem;
}
