/*-------------------------------------------------------------------------
 *
 * constraint.c
 *		Constraints are added: CHECK, UNIQUE, PRIMARY KEY, EXCLUDE.
 *
 * Foreign keys are in constraint_foreign.c, NOT NULL is in alter_not_null.c.
 * CREATE TABLE comes here as well, with a table that has no rows.
 *
 * Runs in the process that analyses a script; changes the world only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "check/alter_table.h"

/* see alter_table.h */
void
migspec_refuse_constraint(const MigspecWorldTable *table, const char *name)
{
	if (migspec_world_constraint(table, name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("constraint \"%s\" for relation \"%s\" already exists",
						name, table->name)));
}

/*
 * The name of a CHECK that has none.  It tells the column if there is only one.
 */
static char *
check_name(MigspecWorldTable *table, List *columns)
{
	MigspecWorldColumn *column = list_length(columns) != 1 ? NULL :
	migspec_world_column_no(table, linitial_int(columns));

	return migspec_alter_choose_name(table, column == NULL ? NULL : column->name,
									 "check", false);
}

/*
 * A child may have the constraint already.  See MergeWithExistingConstraint()
 * in catalog/heap.c.
 */
static bool
merges(const MigspecAlter *alter, const MigspecWorldTable *table, const char *name,
	   const Constraint *new, Node *expr, bool recursing)
{
	MigspecWorldConstraint *old = migspec_world_constraint(table, name);

	if (old == NULL)
		return false;
	if (old->type != CONSTRAINT_CHECK || !equal(old->expr, expr) ||
		(!recursing && (old->is_local || (table->is_partition && !alter->creating))))
		migspec_refuse_constraint(table, name);
	if (old->no_inherit)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("constraint \"%s\" conflicts with non-inherited constraint on relation \"%s\"",
						name, table->name)));
	if (new->initially_valid && old->enforced && !old->validated)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("constraint \"%s\" conflicts with NOT VALID constraint on relation \"%s\"",
						name, table->name)));
	if (!recursing && !table->is_partition)
		old->is_local = true;
	old->inherited += recursing;
	return true;
}

/*
 * For one table and its children.  True: rows are read.
 */
static bool
add_check(MigspecAlter *alter, MigspecAltered *altered, const Constraint *new,
		  const char *name, bool recurse, bool recursing)
{
	MigspecWorldTable *table = altered->table;
	MigspecWorldConstraint *constraint;
	Node	   *expr;
	List	   *columns;
	List	   *children;
	bool		scans = false;
	MemoryContext old;
	ListCell   *cell;

	check_stack_depth();
	expr = migspec_alter_cook(table, copyObject(new->raw_expr),
							  EXPR_KIND_CHECK_CONSTRAINT, BOOLOID, -1);
	columns = expr == NULL ? NIL : migspec_world_mentions(table, expr);
	if (name == NULL)
		name = check_name(table, columns);
	else if (merges(alter, table, name, new, expr, recursing))
		return false;

	constraint = migspec_world_add_constraint(table, name, CONSTRAINT_CHECK);
	old = MemoryContextSwitchTo(table->world->context);
	constraint->expr = copyObject(expr);
	constraint->columns = list_copy(columns);
	MemoryContextSwitchTo(old);
	constraint->enforced = MIGSPEC_RAW_ENFORCED(new);
	constraint->validated = new->initially_valid && constraint->enforced;
	constraint->no_inherit = new->is_no_inherit;
	constraint->is_local = !recursing;
	constraint->inherited = recursing ? 1 : 0;

	if (!new->skip_validation && constraint->enforced && !alter->creating &&
		migspec_has_storage(table))
	{
		scans = true;
		altered->scan = true;
	}
	if (new->is_no_inherit || alter->creating)
		return scans;

	children = migspec_world_children(table);
	if (!recurse && children != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("constraint must be added to child tables too")));
	foreach(cell, children)
		scans |= add_check(alter, migspec_alter_child(alter, lfirst(cell)), new,
						   constraint->name, true, true);
	return scans;
}

/* see alter_table.h */
void
migspec_alter_add_check(MigspecAlter *alter, MigspecAltered *altered,
						MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	Constraint *new = step->constraint;
	int			n = list_length(table->constraints);
	MigspecWorldConstraint *constraint;
	MigspecFact *fact;

	if (new->is_no_inherit && table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot add NO INHERIT constraint to partitioned table \"%s\"",
						table->name)));
	if (!add_check(alter, altered, new, new->conname, step->recurse, false) ||
		altered->rewrite)
		return;
	constraint = list_nth(table->constraints, n);
	fact = migspec_check_fact(alter->stmt, RULE_ADD_CHECK_VALIDATED, table,
							  constraint->name);
	fact->node = (Node *) new;
	if (constraint->expr != NULL)
		fact->detail = migspec_world_deparse(table, constraint->expr);
}

/*
 * One column of a key or exclusion constraint; NULL for an expression.
 */
static MigspecWorldColumn *
key_column(const MigspecWorldTable *table, const char *name)
{
	MigspecWorldColumn *column = migspec_world_column(table, name);

	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" named in key does not exist", name)));
	return column;
}

/* see parser/parse_utilcmd.c, transformIndexConstraint() */
static Oid
key_method(const Constraint *new)
{
	if (MIGSPEC_RAW_WITHOUT_OVERLAPS(new))
		return GIST_AM_OID;
	if (new->contype != CONSTR_EXCLUSION || new->access_method == NULL)
		return BTREE_AM_OID;
	return get_index_am_oid(new->access_method, false);
}

/*
 * Operator class and collation of a key column or expression.
 */
static void
set_key(MigspecWorldIndex *index, int i, Oid type, Oid collation, const IndexElem *elem)
{
	index->collations[i] = elem != NULL && elem->collation != NIL ?
		get_collation_oid(elem->collation, false) : collation;
	if (!OidIsValid(type))
		return;
	index->opclasses[i] = ResolveOpClass(elem == NULL ? NIL : elem->opclass, type,
										 get_am_name(index->am), index->am);
}

/*
 * The columns of the constraint, as an index.
 */
static void
set_columns(MigspecWorldIndex *index, const Constraint *new)
{
	MigspecWorldTable *table = index->table;
	bool		excludes = new->contype == CONSTR_EXCLUSION;
	List	   *keys = excludes ? new->exclusions : new->keys;
	MemoryContext old = MemoryContextSwitchTo(table->world->context);
	ListCell   *cell;

	index->am = key_method(new);
	index->nkeys = list_length(keys);
	index->natts = index->nkeys + list_length(new->including);
	index->attnos = palloc0(index->natts * sizeof(AttrNumber));
	index->opclasses = palloc0(index->nkeys * sizeof(Oid));
	index->collations = palloc0(index->nkeys * sizeof(Oid));
	foreach(cell, keys)
	{
		int			i = foreach_current_index(cell);
		IndexElem  *elem = excludes ? linitial((List *) lfirst(cell)) : NULL;

		if (elem == NULL || elem->name != NULL)
		{
			MigspecWorldColumn *column =
			key_column(table, excludes ? elem->name : strVal(lfirst(cell)));

			index->attnos[i] = column->attno;
			if (column->generated == ATTRIBUTE_GENERATED_VIRTUAL)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 excludes ?
						 errmsg("indexes on virtual generated columns are not supported") :
						 new->contype == CONSTR_PRIMARY ?
						 errmsg("primary keys on virtual generated columns are not supported") :
						 errmsg("unique constraints on virtual generated columns are not supported")));
			set_key(index, i, column->type, column->collation, elem);
		}
		else
		{
			Node	   *expr = migspec_world_cook(table->world, table, copyObject(elem->expr),
												  EXPR_KIND_INDEX_EXPRESSION, InvalidOid, -1);

			index->expressions = lappend(index->expressions, expr);
			set_key(index, i, exprType(expr), exprCollation(expr), elem);
		}
	}
	foreach(cell, new->including)
		index->attnos[index->nkeys + foreach_current_index(cell)] =
		key_column(table, strVal(lfirst(cell)))->attno;
	if (new->where_clause != NULL)
		index->predicate = migspec_world_cook(table->world, table,
											  copyObject(new->where_clause),
											  EXPR_KIND_INDEX_PREDICATE, BOOLOID, -1);
	MemoryContextSwitchTo(old);
}

static char
constraint_type(const Constraint *new)
{
	return new->contype == CONSTR_PRIMARY ? CONSTRAINT_PRIMARY :
		new->contype == CONSTR_UNIQUE ? CONSTRAINT_UNIQUE : CONSTRAINT_EXCLUSION;
}

static void
refuse_second_key(const MigspecWorldTable *table, const Constraint *new)
{
	if (new->contype == CONSTR_PRIMARY && migspec_world_primary_key(table) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("multiple primary keys for table \"%s\" are not allowed",
						table->name)));
}

static void
refuse_repeated(const Constraint *new)
{
	ListCell   *a;
	ListCell   *b;

	foreach(a, new->keys)
	{
		for_each_cell(b, new->keys, lnext(new->keys, a))
		{
			if (equal(lfirst(a), lfirst(b)))
				ereport(ERROR,
						(errcode(ERRCODE_DUPLICATE_COLUMN),
						 new->contype == CONSTR_PRIMARY ?
						 errmsg("column \"%s\" appears twice in primary key constraint",
								strVal(lfirst(a))) :
						 errmsg("column \"%s\" appears twice in unique constraint",
								strVal(lfirst(a)))));
		}
	}
}

/*
 * A unique index of a partitioned table must have the columns of its partition
 * key, or it could not tell rows of different partitions apart.
 */
static void
check_partition_key(const MigspecWorldIndex *index, const Constraint *new)
{
	ListCell   *cell;
	const char *what = new->contype == CONSTR_PRIMARY ? "PRIMARY KEY" :
	new->contype == CONSTR_UNIQUE ? "UNIQUE" : "EXCLUDE";

	foreach(cell, migspec_partition_key(index->table))
	{
		AttrNumber	attno = lfirst_int(cell);
		bool		found = false;

		if (attno == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("unsupported %s constraint with partition key definition", what)));
		for (int i = 0; i < index->nkeys; i++)
			found |= index->attnos[i] == attno;
		if (!found)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("unique constraint on partitioned table must include all partitioning columns"),
					 errdetail("%s constraint on table \"%s\" lacks column \"%s\" which is part of the partition key.",
							   what, index->table->name,
							   migspec_world_column_no(index->table, attno)->name)));
	}
}

/*
 * A key that will be too small one day.
 */
static void
advise_key(MigspecAlter *alter, const MigspecWorldIndex *index)
{
	MigspecWorldColumn *column;

	if (!index->primary || index->nkeys != 1 || alter->creating)
		return;
	column = migspec_world_column_no(index->table, index->attnos[0]);
	if (column != NULL && (column->type == INT4OID || column->type == INT2OID))
		migspec_check_fact(alter->stmt, RULE_INT_PRIMARY_KEY, index->table, column->name);
}

/*
 * Its columns and expressions, as the name of the constraint tells them.
 */
static char *
joined_names(const Constraint *new)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, new->exclusions)
		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "",
						 migspec_index_column_name(linitial(lfirst(cell))));
	foreach(cell, list_concat_copy(new->keys, new->including))
		appendStringInfo(&names, "%s%s", names.len > 0 ? "_" : "", strVal(lfirst(cell)));
	return names.data;
}

/* see alter_table.h: UNIQUE, PRIMARY KEY and EXCLUDE that build their index */
void
migspec_alter_add_key(MigspecAlter *alter, MigspecAltered *altered, MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	const Constraint *new = step->constraint;
	MigspecWorldIndex like = {.table = table};
	MigspecWorldIndex *index;
	MigspecWorldConstraint *constraint;
	const char *name = new->conname;

	refuse_second_key(table, new);
	refuse_repeated(new);
	if (new->contype == CONSTR_EXCLUSION && table->kind == RELKIND_PARTITIONED_TABLE &&
		!MIGSPEC_PARTITIONED_EXCLUSION)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("exclusion constraints are not supported on partitioned tables")));
	if (table->kind == RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("primary key, unique and exclusion constraints are not supported on foreign tables")));
	like.primary = new->contype == CONSTR_PRIMARY;
	like.exclusion = new->contype == CONSTR_EXCLUSION;
	like.unique = !like.exclusion;
	like.immediate = !new->deferrable;
	set_columns(&like, new);
	if (name == NULL)
		name = like.primary ? migspec_alter_choose_name(table, NULL, "pkey", true) :
			migspec_alter_choose_name(table, joined_names(new),
									  like.exclusion ? "excl" : "key", true);
	else
	{
		RangeVar   *rv = makeRangeVar(table->schema, unconstify(char *, name), -1);

		if (migspec_world_find(table->world, rv) != NULL ||
			migspec_world_find_index(table->world, rv) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("relation \"%s\" already exists", name)));
		migspec_refuse_constraint(table, name);
	}
	if (table->kind == RELKIND_PARTITIONED_TABLE)
		check_partition_key(&like, new);

	index = migspec_add_index_like(table, &like, name);
	constraint = migspec_add_key_constraint(index, constraint_type(new));
	if (!alter->creating)
	{
		migspec_check_fact(alter->stmt, like.primary ? RULE_ADD_PRIMARY_KEY :
						   like.exclusion ? RULE_ADD_EXCLUSION : RULE_ADD_UNIQUE,
						   table, constraint->name)->node = (Node *) new;
		migspec_build_index(alter, index);
		if (step->recurse && index->partitioned)
			migspec_build_parts(alter, index,
								index->immediate ? ShareLock : ShareRowExclusiveLock);
		else if (index->partitioned)
			index->valid = migspec_world_children(table) == NIL;
	}
	advise_key(alter, index);
}

/*
 * What only the catalog has of an index: its order, and how it takes NULL.
 */
static void
check_key_options(const MigspecWorldIndex *index, const Constraint *new)
{
	HeapTuple	tuple = OidIsValid(index->oid) ?
	SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index->oid)) : NULL;
	Form_pg_index row;
	bool		isnull;
	int2vector *options;

	if (!HeapTupleIsValid(tuple))
		return;
	row = (Form_pg_index) GETSTRUCT(tuple);
	options = (int2vector *) DatumGetPointer(SysCacheGetAttr(INDEXRELID, tuple,
															 Anum_pg_index_indoption,
															 &isnull));
	for (int i = 0; !isnull && i < row->indnkeyatts; i++)
	{
		if (options->values[i] != 0)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("index \"%s\" column number %d does not have default sorting behavior",
							index->name, i + 1),
					 errdetail("Cannot create a primary key or unique constraint using such an index.")));
	}
	if (MIGSPEC_KEY_NEEDS_DISTINCT_NULLS && row->indnullsnotdistinct &&
		new->contype == CONSTR_PRIMARY)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("primary keys cannot use NULLS NOT DISTINCT indexes")));
	ReleaseSysCache(tuple);
}

/*
 * Can the index be the constraint's?  See transformIndexConstraint().
 */
static void
check_key_index(const MigspecWorldIndex *index, const Constraint *new)
{
	const MigspecWorldTable *table = index->table;

	if (migspec_constraint_of(index) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is already associated with a constraint", index->name)));
	if (!index->valid)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" is not valid", index->name)));
	if (!index->unique)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a unique index", index->name),
				 errdetail("Cannot create a primary key or unique constraint using such an index.")));
	if (index->expressions != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("index \"%s\" contains expressions", index->name),
				 errdetail("Cannot create a primary key or unique constraint using such an index.")));
	if (index->predicate != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partial index", index->name),
				 errdetail("Cannot create a primary key or unique constraint using such an index.")));
	if (!index->immediate && !new->deferrable)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a deferrable index", index->name),
				 errdetail("Cannot create a non-deferrable constraint using a deferrable index.")));
	if (index->am != BTREE_AM_OID)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("index \"%s\" is not a btree", index->name)));
	check_key_options(index, new);
	for (int i = 0; i < index->nkeys; i++)
	{
		MigspecWorldColumn *column = migspec_world_column_no(table, index->attnos[i]);

		if (column == NULL || !OidIsValid(column->type))
			continue;
		if (index->opclasses[i] != GetDefaultOpClass(column->type, index->am) ||
			index->collations[i] != column->collation)
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("index \"%s\" column number %d does not have default sorting behavior",
							index->name, i + 1),
					 errdetail("Cannot create a primary key or unique constraint using such an index.")));
	}
}

/* see alter_table.h */
MigspecWorldIndex *
migspec_key_index(MigspecWorldTable *table, const Constraint *new)
{
	MigspecWorldIndex *index =
	migspec_world_find_index(table->world,
							 makeRangeVar(table->schema, new->indexname, -1));

	if (index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("index \"%s\" does not exist", new->indexname)));
	if (index->table != table)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("index \"%s\" does not belong to table \"%s\"",
						index->name, table->name)));
	check_key_index(index, new);
	return index;
}

/* see alter_table.h: USING INDEX */
void
migspec_alter_add_key_using(MigspecAlter *alter, MigspecAltered *altered,
							MigspecAlterStep *step)
{
	MigspecWorldTable *table = altered->table;
	const Constraint *new = step->constraint;
	MigspecWorldIndex *index = migspec_key_index(table, new);
	MemoryContext old;

	if (table->kind == RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ALTER TABLE / ADD CONSTRAINT USING INDEX is not supported on partitioned tables")));
	refuse_second_key(table, new);
	if (new->conname != NULL && strcmp(new->conname, index->name) != 0)
	{
		RangeVar   *rv = makeRangeVar(table->schema, new->conname, -1);

		if (migspec_world_find(table->world, rv) != NULL ||
			migspec_world_find_index(table->world, rv) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_TABLE),
					 errmsg("relation \"%s\" already exists", new->conname)));
		old = MemoryContextSwitchTo(table->world->context);
		index->name = pstrdup(new->conname);
		migspec_world_note_name(table, index->name);
		MemoryContextSwitchTo(old);
	}
	migspec_refuse_constraint(table, index->name);
	index->primary |= new->contype == CONSTR_PRIMARY;
	index->immediate = !new->deferrable;
	(void) migspec_add_key_constraint(index, constraint_type(new));
	advise_key(alter, index);
}

/* see check.h */
void
migspec_check_constraint(MigspecStatement *stmt, MigspecWorldTable *table,
						 Constraint *constraint, MigspecWorldColumn *column,
						 bool column_is_new)
{
	bool		creating = table->is_new && table->is_empty;
	MigspecAlter alter = {.stmt = stmt,.target = table,.lock = AccessExclusiveLock,
	.creating = creating};
	MigspecAltered *altered = migspec_altered(&alter, table);
	MigspecAlterStep step = {.recurse = true,.constraint = copyObject(constraint),
	.column = column_is_new ? column : NULL};

	if (column != NULL && constraint->contype == CONSTR_FOREIGN)
		step.constraint->fk_attrs = list_make1(makeString(column->name));
	else if (column != NULL && constraint->contype != CONSTR_CHECK &&
			 constraint->keys == NIL && constraint->exclusions == NIL)
		step.constraint->keys = list_make1(makeString(column->name));
	if (creating && constraint->contype == CONSTR_PRIMARY)
	{
		ListCell   *cell;

		foreach(cell, step.constraint->keys)
		{
			MigspecWorldColumn *key = key_column(table, strVal(lfirst(cell)));

			if (MIGSPEC_NOT_NULL_CONSTRAINTS &&
				migspec_not_null_constraint(table, key->attno) == NULL)
				(void) migspec_note_not_null(table, key, NULL);
			key->not_null = true;
			key->not_null_valid = true;
		}
	}
	if (creating)
		step.constraint->initially_valid = MIGSPEC_RAW_ENFORCED(constraint);

	/* into the passes, and through them */
	step.exec = migspec_alter_add_constraint;
	step.exec(&alter, altered, &step);
	migspec_alter_run(&alter);
}
