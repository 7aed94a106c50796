/*-------------------------------------------------------------------------
 *
 * safe_way_index.c
 *		Safe ways of building, replacing and dropping indexes.
 *
 * CREATE INDEX CONCURRENTLY is not allowed on a partitioned table: there each
 * leaf gets its index without blocking anybody, and is then attached to an
 * empty shell on its parent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"

#include "check/rules.h"
#include "check/safe_way_text.h"

/*
 * The columns and options of a CREATE INDEX, from after the table's name on.
 */
static const char *
rest_of(const MigspecStatement *stmt)
{
	return migspec_text_after_relation(stmt, castNode(IndexStmt, stmt->tree)->relation);
}

/*
 * A name like that of the parent's index, with the child's name in place of
 * its table's.
 */
char *
migspec_way_name_on_child(const MigspecWorldTable *child, const MigspecWorldTable *table,
						  const char *index)
{
	size_t		len = strlen(table->name);

	if (strncmp(index, table->name, len) == 0 && index[len] == '_')
		return migspec_way_name(child, NULL, index + len + 1);
	return migspec_way_name(child, NULL, index);
}

static void
create_on_partitions(MigspecWay *way, MigspecWorldTable *table, const char *parent_name,
					 bool unique, const char *rest)
{
	char	   *parent_index = quote_qualified_identifier(table->schema, parent_name);
	ListCell   *cell;

	foreach(cell, migspec_world_children(table))
	{
		MigspecWorldTable *child = lfirst(cell);
		char	   *name = migspec_world_table_name(child);
		char	   *index = migspec_way_name_on_child(child, table, parent_name);
		char	   *qualified = quote_qualified_identifier(child->schema, index);

		if (child->kind == RELKIND_PARTITIONED_TABLE)
		{
			migspec_way_short(way);
			migspec_way_add(way, "CREATE %sINDEX %s ON ONLY %s%s", unique ? "UNIQUE " : "",
							quote_identifier(index), name, rest);
			create_on_partitions(way, child, index, unique, rest);
		}
		else if (child->kind == RELKIND_RELATION)
		{
			migspec_way_long(way);
			migspec_way_add(way, "CREATE %sINDEX CONCURRENTLY %s ON %s%s",
							unique ? "UNIQUE " : "", quote_identifier(index), name, rest);
		}
		else
			continue;
		migspec_way_short(way);
		migspec_way_add(way, "ALTER INDEX %s ATTACH PARTITION %s", parent_index, qualified);
	}
}

void
migspec_way_create_index(MigspecWay *way, const MigspecWorldTable *table,
						 bool unique, const char *name, const char *rest)
{
	char	   *shown = migspec_world_table_name(table);
	const char *quoted = quote_identifier(name);

	if (table->kind == RELKIND_PARTITIONED_TABLE)
	{
		migspec_way_comment(way, "each statement outside of a transaction block");
		migspec_way_short(way);
		migspec_way_add(way, "CREATE %sINDEX %s ON ONLY %s%s", unique ? "UNIQUE " : "",
						quoted, shown, rest);
		create_on_partitions(way, unconstify(MigspecWorldTable *, table),
							 name, unique, rest);
		return;
	}
	migspec_way_long(way);
	migspec_way_comment(way, "outside of a transaction block; if it fails, DROP INDEX CONCURRENTLY %s and repeat",
						quoted);
	migspec_way_add(way, "CREATE %sINDEX CONCURRENTLY %s ON %s%s", unique ? "UNIQUE " : "",
					quoted, shown, rest);
}

/*
 * The name that the server will give an index without one is not known yet:
 * find one of our own.
 */
static char *
name_of(const MigspecWay *way)
{
	const IndexStmt *index = castNode(IndexStmt, way->stmt->tree);

	if (index->idxname != NULL)
		return index->idxname;
	if (way->fact->object != NULL)
		return way->fact->object;
	return migspec_way_name(way->fact->table, NULL, "idx");
}

void
migspec_way_create_index_concurrently(MigspecWay *way)
{
	if (!IsA(way->stmt->tree, IndexStmt))
		return;
	migspec_way_create_index(way, way->fact->table,
							 castNode(IndexStmt, way->stmt->tree)->unique,
							 name_of(way), rest_of(way->stmt));
}

void
migspec_way_create_index_partitioned(MigspecWay *way)
{
	migspec_way_create_index_concurrently(way);
}

/*
 * The statement with CONCURRENTLY after a keyword.
 */
static void
add_concurrently(MigspecWay *way, const char *keyword)
{
	const char *source = way->stmt->source;
	MigspecToken token = migspec_token_find(source, keyword);

	if (token.end == token.start)
		return;
	migspec_way_long(way);
	migspec_way_add(way, "%.*s CONCURRENTLY%s", (int) (token.end - source), source, token.end);
}

/*
 * REINDEX has CONCURRENTLY after INDEX, TABLE, SCHEMA or DATABASE, but not for
 * the system's tables, nor for exclusion constraints.
 */
void
migspec_way_reindex(MigspecWay *way)
{
	static const char *const keywords[] = {"INDEX", "TABLE", "SCHEMA", "DATABASE"};
	const MigspecFact *fact = way->fact;
	MigspecWorldIndex *index = fact->table && fact->object ?
	migspec_world_index(fact->table, fact->object) : NULL;
	const ReindexStmt *reindex = castNode(ReindexStmt, way->stmt->tree);

	if (reindex->kind == REINDEX_OBJECT_SYSTEM || (fact->table && fact->table->is_catalog))
	{
		migspec_way_comment(way, "indexes of system catalogs cannot be built concurrently; at a quiet time");
		return;
	}
	if (index != NULL && index->exclusion)
	{
		migspec_way_comment(way, "the index of an exclusion constraint cannot be built concurrently; at a quiet time");
		return;
	}
	add_concurrently(way, keywords[reindex->kind]);
}

/*
 * Does the view have what REFRESH CONCURRENTLY needs: a unique index of plain
 * columns over all rows?
 */
static bool
has_unique_index(const MigspecWorldTable *table)
{
	ListCell   *cell;

	foreach(cell, table->indexes)
	{
		const MigspecWorldIndex *index = lfirst(cell);

		if (!index->dropped && index->unique && index->valid && index->immediate &&
			index->predicate == NULL && index->expressions == NIL)
			return true;
	}
	return false;
}

void
migspec_way_refresh(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;

	if (!has_unique_index(fact->table))
	{
		migspec_way_comment(way, "CONCURRENTLY needs a unique index over columns of the view, without WHERE:");
		migspec_way_comment(way, "CREATE UNIQUE INDEX ON %s (...);", fact->name);
	}
	migspec_way_add(way, "REFRESH MATERIALIZED VIEW CONCURRENTLY %s", fact->name);
}

void
migspec_way_outside(MigspecWay *way)
{
	migspec_way_comment(way, "outside of a transaction block");
	migspec_way_source(way);
}

void
migspec_way_leftover(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldIndex *index = migspec_world_index(fact->table, fact->object);

	migspec_way_long(way);
	migspec_way_add(way, "DROP INDEX CONCURRENTLY %s",
					index ? migspec_world_index_name(index) : quote_identifier(fact->object));
	migspec_way_source(way);
}

/*
 * CONCURRENTLY drops one index at a time, and none of a partitioned table.
 */
void
migspec_way_drop_index(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldIndex *index = migspec_world_index(fact->table, fact->object);
	const char *name = index ? migspec_world_index_name(index) : quote_identifier(fact->object);

	if (fact->table->kind == RELKIND_PARTITIONED_TABLE || (index && index->partitioned))
	{
		migspec_way_comment(way, "the index of a partitioned table cannot be dropped concurrently; give up soon, and repeat");
		migspec_way_short(way);
		migspec_way_add(way, "DROP INDEX %s", name);
		return;
	}
	migspec_way_long(way);
	migspec_way_add(way, "DROP INDEX CONCURRENTLY %s", name);
}

/*
 * First the new one, then the drop that came before it.
 */
void
migspec_way_replace_index(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecToken token;

	migspec_way_long(way);
	if (IsA(way->stmt->tree, IndexStmt))
	{
		const IndexStmt *index = castNode(IndexStmt, way->stmt->tree);

		token = migspec_token_find(way->stmt->source, "INDEX");
		if (index->concurrent || token.end == token.start ||
			fact->table->kind == RELKIND_PARTITIONED_TABLE)
			migspec_way_source(way);
		else
			add_concurrently(way, "INDEX");
	}
	migspec_way_add(way, "DROP INDEX CONCURRENTLY %s.%s", quote_identifier(fact->table->schema),
					quote_identifier(fact->object));
}

void
migspec_way_redundant_index(MigspecWay *way)
{
	migspec_way_comment(way, "nothing: %s is there", way->fact->detail);
}

/*
 * The same index without USING hash.
 */
void
migspec_way_btree_index(MigspecWay *way)
{
	const IndexStmt *index;
	const char *rest;
	MigspecToken token;

	if (!IsA(way->stmt->tree, IndexStmt))
		return;
	index = castNode(IndexStmt, way->stmt->tree);
	rest = rest_of(way->stmt);
	token = migspec_token(rest);
	if (migspec_token_is(token, "USING"))
		rest = migspec_token(token.end).end;
	if (way->fact->table->is_new)
		migspec_way_add(way, "CREATE %sINDEX %s ON %s%s", index->unique ? "UNIQUE " : "",
						quote_identifier(name_of(way)), way->fact->name, rest);
	else
		migspec_way_create_index(way, way->fact->table, index->unique, name_of(way), rest);
}
