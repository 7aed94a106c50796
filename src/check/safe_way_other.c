/*-------------------------------------------------------------------------
 *
 * safe_way_other.c
 *		Safe ways around whole tables, transactions and waiting.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "check/rules.h"
#include "check/safe_way_text.h"

/*
 * There is no way that blocks nobody.
 */
void
migspec_way_window(MigspecWay *way)
{
	migspec_way_comment(way, "no way without blocking others: fill a new table beside it and swap the names, or do it at a quiet time");
}

void
migspec_way_set_logged(MigspecWay *way)
{
	migspec_way_window(way);
}

void
migspec_way_repack(MigspecWay *way)
{
	migspec_way_comment(way, "pg_repack moves tables while they are in use: pg_repack --table=%s --tablespace=...",
						way->fact->name);
}

void
migspec_way_vacuum(MigspecWay *way)
{
	const char *name = way->fact->name;

	if (name == NULL)
	{
		migspec_way_add(way, "VACUUM (ANALYZE)");
		return;
	}
	migspec_way_long(way);
	migspec_way_add(way, "VACUUM (ANALYZE) %s", name);
	migspec_way_add(way, "REINDEX TABLE CONCURRENTLY %s", name);
	migspec_way_comment(way, "to give disk space back while the table is in use: pg_repack --table=%s", name);
}

/*
 * By itself, and not at any price.
 */
void
migspec_way_alone(MigspecWay *way)
{
	migspec_way_short(way);
	migspec_way_comment(way, "alone in its transaction; repeat if it times out");
	migspec_way_source(way);
}

void
migspec_way_timeout(MigspecWay *way)
{
	migspec_way_alone(way);
}

void
migspec_way_wait_now(MigspecWay *way)
{
	migspec_way_comment(way, "wait until they are gone, or end them: SELECT pg_terminate_backend(pid);");
	migspec_way_alone(way);
}

void
migspec_way_in_use(MigspecWay *way)
{
	migspec_way_comment(way, "change first what uses it: %s", way->fact->detail);
}

/*
 * The statements of the transaction, each by itself.
 */
void
migspec_way_split(MigspecWay *way)
{
	int			first = way->stmt->number - 1;

	while (first > 0)
	{
		const MigspecStatement *before = list_nth(way->statements, first - 1);

		if (!before->in_transaction || IsA(before->tree, TransactionStmt))
			break;
		first--;
	}
	migspec_way_short(way);
	migspec_way_comment(way, "each in a transaction of its own");
	for (int i = first; i < list_length(way->statements); i++)
	{
		const MigspecStatement *stmt = list_nth(way->statements, i);

		if (i >= way->stmt->number && (!stmt->in_transaction || IsA(stmt->tree, TransactionStmt)))
			break;
		migspec_way_add(way, "%s", stmt->source);
	}
}

/*
 * One ALTER TABLE instead of several, from the statement that the fact names.
 */
void
migspec_way_merge_alter(MigspecWay *way)
{
	int			first = way->fact->detail ? atoi(way->fact->detail) : way->stmt->number - 1;
	const AlterTableStmt *alter;
	StringInfoData sql;

	if (!IsA(way->stmt->tree, AlterTableStmt))
		return;
	alter = castNode(AlterTableStmt, way->stmt->tree);
	initStringInfo(&sql);
	for (int i = Max(first, 1) - 1; i < way->stmt->number; i++)
	{
		const MigspecStatement *stmt = list_nth(way->statements, i);
		const AlterTableStmt *other = (const AlterTableStmt *) stmt->tree;

		if (IsA(stmt->tree, AlterTableStmt) &&
			strcmp(other->relation->relname, alter->relation->relname) == 0 &&
			other->relation->inh == alter->relation->inh)
			appendStringInfo(&sql, "%s\n\t%s", sql.len > 0 ? "," : "",
							 migspec_token(migspec_text_after_relation(stmt, other->relation)).start);
	}
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s%s%s", alter->relation->inh ? "" : "ONLY ",
					way->fact->name, sql.data);
}

/*
 * Does a raw expression name one of the columns that the UPDATE sets?
 */
static bool
names_target(Node *node, void *targets)
{
	ListCell   *cell;

	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node	   *last = llast(((ColumnRef *) node)->fields);

		if (!IsA(last, String))
			return true;
		foreach(cell, (List *) targets)
		{
			if (strcmp(lfirst_node(ResTarget, cell)->name, strVal(last)) == 0)
				return true;
		}
		return false;
	}
	return raw_expression_tree_walker(node, names_target, targets);
}

/*
 * May a row be visited twice?  An UPDATE puts rows into free space, which may
 * be ahead.
 */
static bool
is_repeatable(const UpdateStmt *update)
{
	ListCell   *cell;

	foreach(cell, update->targetList)
	{
		if (names_target(lfirst_node(ResTarget, cell)->val, update->targetList))
			return false;
	}
	return true;
}

/*
 * An UPDATE or DELETE of one table, in batches.
 */
void
migspec_way_backfill(MigspecWay *way)
{
	const char *source = way->stmt->source;
	MigspecToken where = migspec_token_find(source, "WHERE");
	MigspecToken returning;
	bool		simple = false;

	if (IsA(way->stmt->tree, UpdateStmt))
	{
		const UpdateStmt *update = (const UpdateStmt *) way->stmt->tree;

		simple = update->fromClause == NIL && update->withClause == NULL &&
			is_repeatable(update);
	}
	else if (IsA(way->stmt->tree, DeleteStmt))
	{
		const DeleteStmt *delete = (const DeleteStmt *) way->stmt->tree;

		simple = delete->usingClause == NIL && delete->withClause == NULL;
	}
	returning = migspec_token_find(source, "RETURNING");
	simple = simple && returning.end == returning.start;
	if (simple && where.end > where.start)
		migspec_way_batches(way, pnstrdup(source, where.start - source), where.end);
	else if (simple)
		migspec_way_batches(way, source, NULL);
	else
		migspec_way_comment(way, "in batches of some thousand rows by key, so that each row is changed once, each batch in a transaction of its own");
}

/*
 * A name that nobody knows is as good as a drop, and can be taken back.
 */
void
migspec_way_drop_table(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	const MigspecWorldTable *table = fact->table;
	const char *what = table->kind == RELKIND_VIEW ? "VIEW" :
	table->kind == RELKIND_MATVIEW ? "MATERIALIZED VIEW" :
	table->kind == RELKIND_SEQUENCE ? "SEQUENCE" : "TABLE";
	char	   *name = migspec_way_name(table, NULL, "dropped");

	migspec_way_short(way);
	migspec_way_add(way, "ALTER %s %s RENAME TO %s", what, fact->name, quote_identifier(name));
	migspec_way_comment(way, "if anybody complains: ALTER %s %s RENAME TO %s;", what,
						quote_qualified_identifier(table->schema, name),
						quote_identifier(table->name));
	migspec_way_comment(way, "if nobody does for a while: DROP %s %s;", what,
						quote_qualified_identifier(table->schema, name));
}

void
migspec_way_drop_schema(MigspecWay *way)
{
	const char *object = way->fact->object;

	if (object == NULL || !IsA(way->stmt->tree, DropStmt))
		return;
	migspec_way_add(way, "ALTER SCHEMA %s RENAME TO %s", quote_identifier(object),
					quote_identifier(psprintf("%s_dropped", object)));
	migspec_way_comment(way, "drop it when nobody has missed it for a while");
}

/*
 * Without CASCADE, what is in the way has to be named.
 */
void
migspec_way_cascade(MigspecWay *way)
{
	MigspecToken token = migspec_token_find(way->stmt->source, "CASCADE");

	migspec_way_comment(way, "drop these first, each by its name, if they are to go: %s",
						way->fact->detail ? way->fact->detail : "");
	if (token.end > token.start && migspec_token(token.end).end == migspec_token(token.end).start)
		migspec_way_add(way, "%s",
						pnstrdup(way->stmt->source, token.start - way->stmt->source));
}

void
migspec_way_truncate(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;

	if (fact->table->kind == RELKIND_RELATION || fact->table->kind == RELKIND_PARTITIONED_TABLE)
	{
		migspec_way_comment(way, "rows that may be missed: pg_dump --data-only --table=%s",
							fact->name);
		migspec_way_batches(way, psprintf("DELETE FROM %s", fact->name), NULL);
	}
}

/*
 * All tables by their names, so that nobody is surprised.
 */
void
migspec_way_truncate_cascade(MigspecWay *way)
{
	const TruncateStmt *truncate;
	StringInfoData names;
	ListCell   *cell;

	if (!IsA(way->stmt->tree, TruncateStmt) || way->fact->detail == NULL)
		return;
	truncate = castNode(TruncateStmt, way->stmt->tree);
	initStringInfo(&names);
	foreach(cell, truncate->relations)
	{
		const RangeVar *relation = lfirst_node(RangeVar, cell);

		appendStringInfo(&names, "%s%s, ", relation->inh ? "" : "ONLY ",
						 quote_qualified_identifier(relation->schemaname, relation->relname));
	}
	migspec_way_short(way);
	migspec_way_add(way, "TRUNCATE %s%s%s", names.data, way->fact->detail,
					truncate->restart_seqs ? " RESTART IDENTITY" : "");
}

/*
 * Both names work, until all code knows the new one.  A view of one table can
 * be written to.
 */
void
migspec_way_rename_table(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	char	   *name;

	if (fact->detail == NULL ||
		(fact->table->kind != RELKIND_RELATION &&
		 fact->table->kind != RELKIND_PARTITIONED_TABLE))
		return;
	name = quote_qualified_identifier(fact->table->schema, fact->detail);
	migspec_way_short(way);
	migspec_way_add(way, "BEGIN");
	migspec_way_source(way);
	migspec_way_add(way, "CREATE VIEW %s AS SELECT * FROM %s", fact->name, name);
	migspec_way_add(way, "COMMIT");
	migspec_way_comment(way, "when all code uses %s: DROP VIEW %s;", name, fact->name);
}

/*
 * Another unique index over columns that are NOT NULL, or else whole rows.
 */
void
migspec_way_replica_identity(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	const MigspecWorldTable *table = fact->table;
	ListCell   *cell;

	migspec_way_short(way);
	foreach(cell, table->indexes)
	{
		const MigspecWorldIndex *index = lfirst(cell);
		bool		fits = index->unique && index->immediate && index->valid && !index->primary &&
		!index->dropped && index->predicate == NULL && index->expressions == NIL &&
		!index->replica_identity;

		for (int i = 0; fits && i < index->nkeys; i++)
		{
			MigspecWorldColumn *column = migspec_world_column_no(table, index->attnos[i]);

			fits = column != NULL && column->not_null;
		}
		if (!fits)
			continue;
		migspec_way_add(way, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s", fact->name,
						quote_identifier(index->name));
		migspec_way_source(way);
		return;
	}
	migspec_way_add(way, "ALTER TABLE %s REPLICA IDENTITY FULL", fact->name);
	migspec_way_source(way);
}

/*
 * The statement with another type for the column.
 */
static void
replace_type(MigspecWay *way, const char *type)
{
	const MigspecStatement *stmt = way->stmt;
	List	   *columns = NIL;
	ListCell   *cell;

	if (IsA(stmt->tree, CreateStmt))
		columns = castNode(CreateStmt, stmt->tree)->tableElts;
	else if (IsA(stmt->tree, AlterTableStmt))
	{
		foreach(cell, castNode(AlterTableStmt, stmt->tree)->cmds)
		{
			AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

			if (cmd->subtype == AT_AddColumn)
				columns = lappend(columns, cmd->def);
		}
	}
	foreach(cell, columns)
	{
		const ColumnDef *column = lfirst(cell);
		MigspecToken name;
		const char *begin;
		const char *new_type = type;

		if (!IsA(column, ColumnDef) || strcmp(column->colname, way->fact->object) != 0 ||
			column->typeName == NULL)
			continue;
		name = migspec_token(migspec_text_of_node(stmt, column->location, column->colname));
		begin = migspec_token(name.end).start;
		if (strcmp(type, "bigint") == 0 && migspec_way_serial_type(column->typeName) != NULL)
			new_type = "bigserial";
		migspec_way_add(way, "%.*s%s%s", (int) (begin - stmt->source), stmt->source, new_type,
						migspec_after_type(begin));
		return;
	}
}

void
migspec_way_bigint(MigspecWay *way)
{
	replace_type(way, "bigint");
}

void
migspec_way_text(MigspecWay *way)
{
	replace_type(way, "text");
}

void
migspec_way_timestamptz(MigspecWay *way)
{
	replace_type(way, "timestamptz");
}

void
migspec_way_jsonb(MigspecWay *way)
{
	replace_type(way, "jsonb");
}

void
migspec_way_numeric(MigspecWay *way)
{
	replace_type(way, "numeric");
}

/*
 * An identity column as the first one, unless there is one of this name.
 */
void
migspec_way_primary_key(MigspecWay *way)
{
	const CreateStmt *create;
	MigspecToken token;
	const char *source = way->stmt->source;
	const char *name;

	if (!IsA(way->stmt->tree, CreateStmt))
		return;
	create = castNode(CreateStmt, way->stmt->tree);
	name = migspec_world_column(way->fact->table, "id") ? "row_id" : "id";
	token = migspec_token(migspec_text_after_relation(way->stmt, create->relation));
	if (!migspec_token_is(token, "("))
		return;
	migspec_way_add(way, "%.*s%s bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY%s%s",
					(int) (token.end - source), source, name,
					create->tableElts != NIL ? ", " : "", token.end);
}
