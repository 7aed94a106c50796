/*-------------------------------------------------------------------------
 *
 * index.c
 *		CREATE INDEX and REINDEX.
 *
 * See DefineIndex() and ReindexIndex() in commands/indexcmds.c.  Runs in the
 * process that analyses the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_target.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/check.h"
#include "check/statements.h"

/* see statements.h */
void
migspec_build_all(MigspecStatement *stmt, MigspecWorldTable *table)
{
	ListCell   *cell;

	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);

		if (!index->dropped && !index->partitioned)
			migspec_check_build(stmt, table, index->name);
	}
}

/*
 * Is there a relation or an index of this name in the table's schema?
 */
static bool
name_is_taken(MigspecWorldTable *table, char *name)
{
	RangeVar   *full = makeRangeVar(table->schema, name, -1);

	return migspec_world_find(table->world, full) != NULL ||
		migspec_world_find_index(table->world, full) != NULL;
}

/*
 * A name like the server's, see ChooseRelationName().
 */
static char *
first_free_name(MigspecWorldTable *table, const char *columns, const char *label)
{
	char	   *name = makeObjectName(table->name, columns, label);

	for (int i = 1; name_is_taken(table, name); i++)
		name = makeObjectName(table->name, columns, psprintf("%s%d", label, i));
	return name;
}

/* see alter_table.h */
const char *
migspec_index_column_name(const IndexElem *elem)
{
	const char *name = elem->name != NULL ? elem->name : FigureIndexColname(elem->expr);

	return name != NULL ? name : "expr";
}

/*
 * The name that the server would choose, see ChooseIndexName().
 */
static char *
choose_name(MigspecWorldTable *table, IndexStmt *create)
{
	StringInfoData columns;
	ListCell   *cell;

	initStringInfo(&columns);
	foreach(cell, list_concat_copy(create->indexParams, create->indexIncludingParams))
	{
		IndexElem  *elem = lfirst(cell);

		appendStringInfo(&columns, "%s%s", columns.len > 0 ? "_" : "",
						 migspec_index_column_name(elem));
		if (columns.len >= NAMEDATALEN)
			break;
	}
	return first_free_name(table, columns.data, "idx");
}

static void
refuse_virtual(const MigspecWorldColumn *column)
{
	if (column != NULL && column->generated == ATTRIBUTE_GENERATED_VIRTUAL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("indexes on virtual generated columns are not supported")));
}

/*
 * Analyse an expression of the index.  One that needs what only the script
 * creates is not known; a constant of no known type stands for it.
 */
static Node *
cook(MigspecWorldIndex *index, Node *raw, ParseExprKind kind, Oid type)
{
	Node	   *expr = migspec_alter_cook(index->table, raw, kind, type, -1);
	ListCell   *cell;

	if (expr == NULL)
		return (Node *) makeNullConst(OidIsValid(type) ? type : UNKNOWNOID, -1, InvalidOid);
	foreach(cell, migspec_world_mentions(index->table, expr))
		refuse_virtual(migspec_world_column_no(index->table, lfirst_int(cell)));
	return expr;
}

/*
 * One column of the index, which may be an expression.
 */
static void
add_column(MigspecStatement *stmt, MigspecWorldIndex *index, IndexElem *elem,
		   const char *am, bool is_key)
{
	MigspecWorldTable *table = index->table;
	int			i = index->natts++;
	Oid			type;
	Oid			collation;

	if (elem->name != NULL)
	{
		MigspecWorldColumn *column = migspec_world_column(table, elem->name);

		if (column == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" does not exist", elem->name)));
		refuse_virtual(column);
		index->attnos[i] = column->attno;
		type = column->type;
		collation = column->collation;
	}
	else
	{
		Node	   *expr = cook(index, elem->expr, EXPR_KIND_INDEX_EXPRESSION, InvalidOid);

		index->expressions = lappend(index->expressions, expr);
		type = exprType(expr) == UNKNOWNOID ? InvalidOid : exprType(expr);
		collation = exprCollation(expr);

		if (contain_mutable_functions(migspec_world_plan(expr)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
					 errmsg("functions in index expression must be marked IMMUTABLE")));
	}
	if (!is_key)
		return;

	index->nkeys++;
	if (elem->collation != NIL)
		collation = get_collation_oid(elem->collation, false);
	index->collations[i] = collation;
	if (OidIsValid(type))
		index->opclasses[i] = ResolveOpClass(elem->opclass, type, am, index->am);
}

/*
 * The new index, as a part of the world.
 */
static MigspecWorldIndex *
add_index(MigspecStatement *stmt, MigspecWorldTable *table, IndexStmt *create,
		  const char *name)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(stmt->world->context);
	MigspecWorldIndex *index = migspec_world_add_index(table, name);
	int			natts = list_length(create->indexParams) +
	list_length(create->indexIncludingParams);
	char	   *am = create->accessMethod;
	ListCell   *cell;

	if (strcmp(am, "rtree") == 0)
		am = "gist";
	index->am = get_index_am_oid(am, false);
	index->attnos = palloc0(natts * sizeof(AttrNumber));
	index->opclasses = palloc0(natts * sizeof(Oid));
	index->collations = palloc0(natts * sizeof(Oid));
	index->nkeys = index->natts = 0;
	index->unique = create->unique;
	index->immediate = true;
	index->partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	index->valid = !index->partitioned || create->relation->inh ||
		migspec_world_children(table) == NIL;
	foreach(cell, create->indexParams)
		add_column(stmt, index, lfirst(cell), am, true);
	foreach(cell, create->indexIncludingParams)
		add_column(stmt, index, lfirst(cell), am, false);
	if (create->whereClause != NULL)
		index->predicate = cook(index, create->whereClause, EXPR_KIND_INDEX_PREDICATE,
								BOOLOID);
	MemoryContextSwitchTo(oldcontext);
	return index;
}

/*
 * Can the child's index serve as its part of the parent's?  See
 * CompareIndexInfo().
 */
static bool
is_match(const MigspecWorldIndex *of_parent, const MigspecWorldIndex *of_child)
{
	const MigspecWorldTable *parent = of_parent->table;
	const MigspecWorldTable *child = of_child->table;

	if (of_child->dropped || of_child->am != of_parent->am ||
		of_child->unique != of_parent->unique || of_child->exclusion ||
		of_child->nkeys != of_parent->nkeys || of_child->natts != of_parent->natts)
		return false;
	/* attached to another one already */
	if (OidIsValid(of_child->oid) && get_rel_relispartition(of_child->oid))
		return false;
	for (int i = 0; i < of_parent->natts; i++)
	{
		if (migspec_child_attno(parent, child, of_parent->attnos[i]) != of_child->attnos[i])
			return false;
	}
	for (int i = 0; i < of_parent->nkeys; i++)
	{
		if (of_child->collations[i] != of_parent->collations[i] ||
			of_child->opclasses[i] != of_parent->opclasses[i])
			return false;
	}
	return equal(migspec_map_expr(parent, child, (Node *) of_parent->expressions),
				 of_child->expressions) &&
		equal(migspec_map_expr(parent, child, of_parent->predicate), of_child->predicate);
}

/* see statements.h */
MigspecWorldIndex *
migspec_clone_index(MigspecStatement *stmt, const MigspecWorldIndex *index,
					MigspecWorldTable *table)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(stmt->world->context);
	MigspecWorldIndex *clone;
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < index->natts && columns.len < NAMEDATALEN; i++)
	{
		MigspecWorldColumn *column = migspec_world_column_no(index->table, index->attnos[i]);

		appendStringInfo(&columns, "%s%s", columns.len > 0 ? "_" : "",
						 column == NULL ? "expr" : column->name);
	}
	clone = migspec_world_add_index(table,
									index->primary ? first_free_name(table, NULL, "pkey") :
									first_free_name(table, columns.data,
													index->exclusion ? "excl" :
													index->unique ? "key" : "idx"));
	clone->am = index->am;
	clone->nkeys = index->nkeys;
	clone->natts = index->natts;
	clone->attnos = palloc0(index->natts * sizeof(AttrNumber));
	for (int i = 0; i < index->natts; i++)
		clone->attnos[i] = migspec_child_attno(index->table, table, index->attnos[i]);
	clone->opclasses = index->opclasses;
	clone->collations = index->collations;
	clone->expressions = (List *) migspec_map_expr(index->table, table,
												   (Node *) index->expressions);
	clone->predicate = migspec_map_expr(index->table, table, index->predicate);
	clone->unique = index->unique;
	clone->primary = index->primary;
	clone->exclusion = index->exclusion;
	clone->immediate = index->immediate;
	clone->valid = true;
	clone->partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	MemoryContextSwitchTo(oldcontext);
	if (!clone->partitioned)
		migspec_check_build(stmt, table, clone->name);
	return clone;
}

/*
 * The parts of a partitioned index: those that exist are used, the others
 * are built.
 */
static void
build_partitions(MigspecStatement *stmt, IndexStmt *create, MigspecWorldIndex *parent)
{
	ListCell   *cell;

	foreach(cell, migspec_world_children(parent->table))
	{
		MigspecWorldTable *child = lfirst(cell);
		MigspecWorldIndex *part = NULL;
		ListCell   *lc;

		if (!child->loaded)
			continue;
		if (child->kind == RELKIND_FOREIGN_TABLE)
		{
			if (create->unique)
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("cannot create unique index on partitioned table \"%s\"",
								parent->table->name),
						 errdetail("Table \"%s\" contains partitions that are foreign tables.",
								   parent->table->name)));
			continue;
		}
		foreach(lc, child->indexes)
		{
			if (part == NULL && is_match(parent, lfirst(lc)))
				part = lfirst(lc);
		}
		if (part != NULL)
		{
			if (!part->valid)
				parent->valid = false;
			continue;
		}
		part = add_index(stmt, child, create, choose_name(child, create));
		if (part->partitioned)
			build_partitions(stmt, create, part);
		else
			migspec_check_build(stmt, child, part->name);
	}
}

/*
 * Rows that are equal must be in one partition, so that its index finds them.
 */
static void
check_partition_key(const MigspecWorldIndex *index)
{
	MigspecWorldTable *table = index->table;
	ListCell   *cell;

	foreach(cell, index->unique ? migspec_partition_key(table) : NIL)
	{
		AttrNumber	attno = lfirst_int(cell);
		MigspecWorldColumn *column = migspec_world_column_no(table, attno);
		bool		found = false;

		if (attno == 0)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("unsupported UNIQUE constraint with partition key definition")));
		for (int i = 0; i < index->nkeys; i++)
			found |= index->attnos[i] == attno;
		if (!found && column != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("unique constraint on partitioned table must include all partitioning columns"),
					 errdetail("UNIQUE constraint on table \"%s\" lacks column \"%s\" which is part of the partition key.",
							   table->name, column->name)));
	}
}

/*
 * Do the keys of "a" begin like those of "b", for as many as "a" has?
 */
static bool
is_prefix(const MigspecWorldIndex *a, const MigspecWorldIndex *b)
{
	if (a->nkeys > b->nkeys || a->am != b->am)
		return false;
	for (int i = 0; i < a->nkeys; i++)
	{
		if (a->attnos[i] != b->attnos[i] || a->attnos[i] == 0 ||
			a->opclasses[i] != b->opclasses[i] || a->collations[i] != b->collations[i])
			return false;
	}
	return equal(a->predicate, b->predicate);
}

/*
 * What is to be said about an index beside of its lock.
 */
static void
advise(MigspecStatement *stmt, MigspecWorldIndex *index)
{
	MigspecWorldTable *table = index->table;
	MigspecWorldIndex *dropped = NULL;
	bool		covered = false;
	ListCell   *cell;

	if (index->am == HASH_AM_OID)
		migspec_check_fact(stmt, RULE_HASH_INDEX, table, index->name);
	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *other = lfirst(cell);
		bool		is_ordered = index->am == BTREE_AM_OID || index->nkeys == other->nkeys;

		if (other == index)
			continue;
		if (other->dropped)
		{
			if (OidIsValid(other->oid) && (is_prefix(index, other) || is_prefix(other, index)))
				dropped = other;
			continue;
		}
		if (!other->valid || other->natts == 0)
			continue;
		covered |= index->attnos[0] != 0 && other->attnos[0] == index->attnos[0] &&
			other->predicate == NULL;
		if (is_ordered && is_prefix(index, other) && index->natts <= other->natts &&
			(!index->unique || (other->unique && index->nkeys == other->nkeys)))
			migspec_check_fact(stmt, RULE_REDUNDANT_INDEX, table, index->name)->detail =
				other->name;
	}
	if (dropped != NULL && !covered)
		migspec_check_fact(stmt, RULE_REPLACE_INDEX_ORDER, table, dropped->name)->detail =
			index->name;
}

/*
 * The name is taken.  True: that is all right, and nothing is to be done.
 */
static bool
skip_existing(MigspecStatement *stmt, IndexStmt *create, MigspecWorldTable *table)
{
	MigspecWorldIndex *existing;

	if (create->idxname == NULL || !name_is_taken(table, create->idxname))
		return false;
	if (!create->if_not_exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", create->idxname)));
	existing = migspec_world_find_index(stmt->world,
										makeRangeVar(table->schema, create->idxname, -1));
	if (existing != NULL && !existing->valid)
	{
		migspec_world_remember(existing->table);
		migspec_check_fact(stmt, RULE_INVALID_INDEX_LEFTOVER, existing->table,
						   existing->name);
	}
	return true;
}

/* see check.h */
void
migspec_analyse_create_index(MigspecStatement *stmt)
{
	IndexStmt  *create = (IndexStmt *) stmt->tree;
	MigspecWorldTable *table = migspec_check_table(stmt, create->relation, false);
	bool		partitioned = table->kind == RELKIND_PARTITIONED_TABLE;
	bool		concurrent = create->concurrent &&
	table->persistence != RELPERSISTENCE_TEMP;
	LOCKMODE	lock = concurrent ? ShareUpdateExclusiveLock : ShareLock;
	MigspecWorldIndex *index;
	MigspecFact *fact;

	if (create->concurrent)
	{
		stmt->is_concurrent = true;
		if (stmt->world->in_transaction)
			migspec_check_fact(stmt, RULE_INDEX_CONCURRENTLY_IN_TXN, table, create->idxname);
		migspec_refuse_in_transaction(stmt, "CREATE INDEX CONCURRENTLY");
	}
	if (table->kind != RELKIND_RELATION && table->kind != RELKIND_MATVIEW && !partitioned)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot create index on relation \"%s\"", table->name)));
	if (partitioned && create->concurrent)
	{
		fact = migspec_check_fact(stmt, RULE_CREATE_INDEX_PARTITIONED, table, create->idxname);
		fact->node = (Node *) create;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot create index on partitioned table \"%s\" concurrently",
						table->name)));
	}

	migspec_lock_target(stmt, table, lock);
	migspec_lock_family(stmt, table, lock, partitioned && create->relation->inh);
	if (!table->loaded || skip_existing(stmt, create, table))
		return;

	index = add_index(stmt, table, create, create->idxname != NULL ? create->idxname :
					  choose_name(table, create));
	check_partition_key(index);
	if (!partitioned)
		migspec_check_build(stmt, table, index->name);
	else if (create->relation->inh)
		build_partitions(stmt, create, index);
	if (partitioned || !concurrent)
	{
		fact = migspec_check_fact(stmt, partitioned ? RULE_CREATE_INDEX_PARTITIONED :
								  RULE_CREATE_INDEX_BLOCKING, table, index->name);
		fact->node = (Node *) create;
	}
	advise(stmt, index);
}

/*
 * A table and its partitions: all indexes anew.
 */
static void
reindex_table(MigspecStatement *stmt, MigspecWorldTable *table, bool concurrent)
{
	LOCKMODE	lock = concurrent ? ShareUpdateExclusiveLock : ShareLock;
	ListCell   *cell;

	migspec_check_lock(stmt, table, lock);
	foreach(cell, table->indexes)
	{
		MigspecWorldIndex *index = lfirst(cell);

		if (index->dropped || index->partitioned)
			continue;
		/* the server skips these, with a warning */
		if (concurrent && (index->exclusion || !index->valid))
			continue;
		migspec_check_build(stmt, table, index->name);
		index->valid = true;
	}
}

/*
 * The parts of a partitioned index; those that only the script creates are
 * those that look like it.
 */
static void
reindex_parts(MigspecStatement *stmt, MigspecWorldIndex *index)
{
	List	   *parts = OidIsValid(index->oid) ?
	find_all_inheritors(index->oid, NoLock, NULL) : NIL;
	ListCell   *cell;

	foreach(cell, migspec_world_descendants(index->table))
	{
		MigspecWorldTable *table = lfirst(cell);
		ListCell   *lc;

		foreach(lc, table->indexes)
		{
			MigspecWorldIndex *part = lfirst(lc);

			if (part->dropped || part->partitioned)
				continue;
			if (OidIsValid(part->oid) ? list_member_oid(parts, part->oid) :
				is_match(index, part))
				migspec_check_build(stmt, table, part->name);
		}
	}
}

static void
reindex_index(MigspecStatement *stmt, const RangeVar *name, bool concurrent)
{
	LOCKMODE	lock = concurrent ? ShareUpdateExclusiveLock : ShareLock;
	MigspecWorldIndex *index = migspec_world_find_index(stmt->world, name);

	if (index == NULL && migspec_world_find(stmt->world, name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", name->relname)));
	if (index == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", name->relname)));
	migspec_world_remember(index->table);
	if (concurrent && index->exclusion)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("concurrent index creation for exclusion constraints is not supported")));

	migspec_check_lock_index(stmt, index, concurrent ? ShareUpdateExclusiveLock :
							 AccessExclusiveLock)->is_target = true;
	migspec_check_lock(stmt, index->table, lock);
	if (index->partitioned)
	{
		migspec_refuse_in_transaction(stmt, "REINDEX INDEX");
		migspec_lock_family(stmt, index->table, lock, true);
		reindex_parts(stmt, index);
	}
	else
		migspec_check_build(stmt, index->table, index->name);
	index->valid = true;
	if (!concurrent)
		migspec_check_fact(stmt, RULE_REINDEX_BLOCKING, index->table, index->name);
}

/* which relations REINDEX goes through */
typedef struct ReindexScope
{
	ReindexObjectType kind;
	Oid			nspoid;
} ReindexScope;

static bool
is_in_scope(const FormData_pg_class * form, void *arg)
{
	const ReindexScope *scope = arg;

	if ((form->relkind != RELKIND_RELATION && form->relkind != RELKIND_MATVIEW) ||
		form->relpersistence == RELPERSISTENCE_TEMP)
		return false;
	if (scope->kind == REINDEX_OBJECT_SCHEMA)
		return form->relnamespace == scope->nspoid;
	return (form->relnamespace == PG_CATALOG_NAMESPACE) ==
		(scope->kind == REINDEX_OBJECT_SYSTEM);
}

/*
 * SCHEMA, DATABASE, SYSTEM: each table in a transaction of its own.
 */
static void
reindex_many(MigspecStatement *stmt, ReindexStmt *reindex, bool concurrent)
{
	ReindexScope scope = {.kind = reindex->kind};
	ListCell   *cell;

	migspec_refuse_in_transaction(stmt, reindex->kind == REINDEX_OBJECT_SCHEMA ?
								  "REINDEX SCHEMA" :
								  reindex->kind == REINDEX_OBJECT_SYSTEM ?
								  "REINDEX SYSTEM" : "REINDEX DATABASE");
	if (reindex->kind == REINDEX_OBJECT_SCHEMA)
	{
		scope.nspoid = get_namespace_oid(reindex->name,
										 migspec_world_is_new_name(stmt->world,
																   reindex->name));
		if (!OidIsValid(scope.nspoid))
			return;
	}
	if (reindex->kind == REINDEX_OBJECT_SYSTEM && concurrent)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot reindex system catalogs concurrently")));

	foreach(cell, migspec_relations(stmt->world, is_in_scope, &scope))
		reindex_table(stmt, lfirst(cell), concurrent);
	if (!concurrent)
		migspec_check_fact(stmt, RULE_REINDEX_BLOCKING, NULL, NULL);
}

/* see check.h */
void
migspec_analyse_reindex(MigspecStatement *stmt)
{
	ReindexStmt *reindex = (ReindexStmt *) stmt->tree;
	bool		concurrent = migspec_option_is_on(reindex->params, "concurrently");
	bool		is_one = reindex->kind == REINDEX_OBJECT_INDEX ||
	reindex->kind == REINDEX_OBJECT_TABLE;
	MigspecWorldTable *table;
	ListCell   *cell;

	if (concurrent)
	{
		stmt->is_concurrent = true;
		if (stmt->world->in_transaction)
			migspec_check_fact(stmt, RULE_INDEX_CONCURRENTLY_IN_TXN, NULL,
							   is_one ? reindex->relation->relname :
							   reindex->name);
		migspec_refuse_in_transaction(stmt, "REINDEX CONCURRENTLY");
	}
	switch (reindex->kind)
	{
		case REINDEX_OBJECT_INDEX:
			reindex_index(stmt, reindex->relation, concurrent);
			break;
		case REINDEX_OBJECT_TABLE:
			table = migspec_check_table(stmt, reindex->relation, false);
			if (table->kind != RELKIND_RELATION && table->kind != RELKIND_MATVIEW &&
				table->kind != RELKIND_PARTITIONED_TABLE)
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("\"%s\" is not a table or materialized view", table->name)));
			migspec_lock_target(stmt, table, concurrent ? ShareUpdateExclusiveLock : ShareLock);
			if (table->kind == RELKIND_PARTITIONED_TABLE)
			{
				migspec_refuse_in_transaction(stmt, "REINDEX TABLE");
				/* for a moment, before the first is begun with */
				migspec_lock_family(stmt, table, ShareLock, true);
				foreach(cell, migspec_world_descendants(table))
					reindex_table(stmt, lfirst(cell), concurrent);
			}
			reindex_table(stmt, table, concurrent);
			if (!concurrent)
				migspec_check_fact(stmt, RULE_REINDEX_BLOCKING, table, NULL);
			break;
		default:
			reindex_many(stmt, reindex, concurrent);
			break;
	}
}
