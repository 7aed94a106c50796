/*-------------------------------------------------------------------------
 *
 * safe_way.c
 *		What safe ways are written with: names, types, expressions, statements.
 *
 * A safe way is SQL that runs as it stands, against this table on this server:
 * one statement after the other, each in a transaction of its own.  Where
 * migspec has an operation, it is a call of migspec.  What a person has to
 * decide or to fill in is a comment.
 *
 * Writers run inside migspec_check_try(): they may raise errors, and then
 * there is no safe way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "base/sqlutil.h"
#include "check/rules.h"

/* bytes of a name for what it is, so that the table's name shows as well */
#define MAX_LABEL		36

/* what safe ways set where nothing is set */
#define SHORT_TIMEOUT	2000

void
migspec_way_add(MigspecWay *way, const char *format,...)
{
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&way->sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&way->sql, needed);
	}
	appendStringInfoString(&way->sql, ";\n");
}

void
migspec_way_comment(MigspecWay *way, const char *format,...)
{
	StringInfoData text;

	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&text, needed);
	}

	/* a name may have line ends, behind which it would be SQL */
	appendStringInfoString(&way->sql, "-- ");
	for (const char *p = text.data; *p; p++)
	{
		if (*p == '\n' || *p == '\r')
			appendStringInfoString(&way->sql, "\n-- ");
		else
			appendStringInfoChar(&way->sql, *p);
	}
	appendStringInfoChar(&way->sql, '\n');
}

/*
 * The next statements ask for a lock that blocks others, and hold it only for
 * an instant: they give up rather than keep everybody waiting.
 */
void
migspec_way_short(MigspecWay *way)
{
	if (way->lock_timeout != 0)
		return;
	way->lock_timeout = SHORT_TIMEOUT;
	migspec_way_add(way, "SET lock_timeout = '%ds'", SHORT_TIMEOUT / 1000);
}

/*
 * The next statements block nobody, and wait for others in between, as
 * CONCURRENTLY does: a timeout would break them off half-way.
 */
void
migspec_way_long(MigspecWay *way)
{
	if (way->lock_timeout == 0)
		return;
	way->lock_timeout = 0;
	migspec_way_add(way, "SET lock_timeout = 0");
}

void
migspec_way_source(MigspecWay *way)
{
	const char *source = way->stmt->source;
	const char *last = strrchr(source, '\n');

	/* a comment at its end must not hide the semicolon */
	migspec_way_add(way, "%s%s", source, strstr(last ? last : source, "--") ? "\n" : "");
}

/*
 * A name that is in use neither for a constraint of the table nor for a
 * relation of its schema.
 */
char *
migspec_way_name(const MigspecWorldTable *table, const char *column,
				 const char *label)
{
	Oid			schema = get_namespace_oid(table->schema, true);
	char	   *name;

	label = pnstrdup(label, pg_mbcliplen(label, strlen(label), MAX_LABEL));
	name = makeObjectName(table->name, column, label);

	for (int n = 1; migspec_world_constraint(table, name) != NULL ||
		 (OidIsValid(schema) && OidIsValid(get_relname_relid(name, schema))); n++)
		name = makeObjectName(table->name, column, psprintf("%s%d", label, n));
	return name;
}

char *
migspec_way_strings(List *names)
{
	StringInfoData buf;
	ListCell   *cell;

	initStringInfo(&buf);
	foreach(cell, names)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
						 quote_identifier(strVal(lfirst(cell))));
	return buf.data;
}

char *
migspec_way_columns(const MigspecWorldTable *table, List *attnos)
{
	StringInfoData buf;
	ListCell   *cell;

	initStringInfo(&buf);
	foreach(cell, attnos)
	{
		MigspecWorldColumn *column = migspec_world_column_no(table, lfirst_int(cell));

		if (column != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
							 quote_identifier(column->name));
	}
	return buf.data;
}

/*
 * The integer type that a serial type stands for; NULL if it is none.
 */
const char *
migspec_way_serial_type(const TypeName *type)
{
	static const char *const serials[][2] = {
		{"smallserial", "smallint"}, {"serial2", "smallint"},
		{"serial", "integer"}, {"serial4", "integer"},
		{"bigserial", "bigint"}, {"serial8", "bigint"},
	};

	if (list_length(type->names) == 1 && type->typmods == NIL)
	{
		for (size_t i = 0; i < lengthof(serials); i++)
		{
			if (strcmp(strVal(linitial(type->names)), serials[i][0]) == 0)
				return serials[i][1];
		}
	}
	return NULL;
}

/*
 * As a person would write it, if the type exists already.
 */
char *
migspec_way_type(const MigspecStatement *stmt, TypeName *type)
{
	const char *serial = migspec_way_serial_type(type);
	int32		typmod;
	Oid			oid;

	if (serial != NULL)
		return pstrdup(serial);
	oid = migspec_check_type(unconstify(MigspecStatement *, stmt), type, &typmod);
	return OidIsValid(oid) ? format_type_with_typemod(oid, typmod) : TypeNameToString(type);
}

/*
 * The table as the script leaves it.
 */
MigspecWorldTable *
migspec_way_live(const MigspecWorldTable *table)
{
	return table->live ? table->live : unconstify(MigspecWorldTable *, table);
}

/*
 * The raw expression as the server reads it: USING sees the table as it was
 * before the statement; others also see the columns that this adds.
 */
char *
migspec_way_expr(const MigspecStatement *stmt, const MigspecWorldTable *table,
				 Node *raw, ParseExprKind kind)
{
	MigspecWorldTable *seen = unconstify(MigspecWorldTable *, table);

	if (table->live != NULL && kind != EXPR_KIND_ALTER_COL_TRANSFORM)
		seen = table->live;
	return migspec_world_deparse(seen, migspec_world_cook(stmt->world, seen, copyObject(raw),
														  kind, InvalidOid, -1));
}

/*
 * migspec migrates tables and partitioned tables, not a partition alone, nor
 * what takes part in inheritance, nor temporary or system tables.
 */
bool
migspec_way_can_migrate(const MigspecWorldTable *table)
{
	return (table->kind == RELKIND_RELATION || table->kind == RELKIND_PARTITIONED_TABLE) &&
		!table->is_partition && !table->is_catalog &&
		table->persistence != RELPERSISTENCE_TEMP &&
		!OidIsValid(table->parent_oid) &&
		(table->kind == RELKIND_PARTITIONED_TABLE ||
		 migspec_world_children(unconstify(MigspecWorldTable *, table)) == NIL);
}

/*
 * Name of a migration: what it does, to which column.
 */
char *
migspec_way_migration(const MigspecWorldTable *table, const char *what,
					  const char *column)
{
	return migspec_literal(psprintf("%s_%s_%s", what, table->name, column));
}

void
migspec_way_migrate(MigspecWay *way, const char *what, const char *column,
					const char *call, const char *deploy)
{
	char	   *migration = migspec_way_migration(way->fact->table, what, column);

	migspec_way_add(way, "SELECT migspec_expand(%s, %s)", migration, call);
	if (deploy != NULL)
	{
		migspec_way_add(way, "CALL migspec_run(%s, 'verified')", migration);
		migspec_way_comment(way, "%s", deploy);
	}
	migspec_way_add(way, "CALL migspec_run(%s)", migration);
}

/*
 * The expression in parentheses, as few as possible: deparsed ones often have
 * some already.
 */
char *
migspec_way_parenthesized(const char *expr)
{
	int			depth = 0;

	for (const char *p = expr; *p && *expr == '('; p++)
	{
		if (*p == '(')
			depth++;
		else if (*p == ')')
			depth--;
		else if (*p == '\'' || *p == '"')
		{
			/* a parenthesis may be part of a literal or a name */
			const char *end = strchr(p + 1, *p);

			if (end == NULL)
				break;
			p = end;
		}
		if (depth == 0 && p[1] != '\0')
			break;
		if (depth == 0)
			return pstrdup(expr);
	}
	return psprintf("(%s)", expr);
}

/*
 * An UPDATE or DELETE in batches, by place in the table, each committed: it
 * needs no key, and reads each block once.  The loop runs for as long as the
 * largest partition; rows that come later are written by new code.
 */
void
migspec_way_batches(MigspecWay *way, const char *statement, const char *condition)
{
	const char *table = migspec_literal(way->fact->name);

	migspec_way_add(way,
					"DO $$\n"
					"DECLARE\n"
					"\tlast_block bigint := (SELECT coalesce(max(pg_relation_size(t.oid)), 0)\n"
					"\t\t/ current_setting('block_size')::bigint\n"
					"\t\tFROM (SELECT relid::oid AS oid FROM pg_partition_tree(%s)\n"
					"\t\t\tUNION SELECT %s::regclass::oid) AS t);\n"
					"BEGIN\n"
					"\tFOR block IN 0 .. last_block BY 200 LOOP\n"
					"\t\t%s\n"
					"\t\tWHERE ctid >= format('(%%s,0)', block)::tid\n"
					"\t\t\tAND ctid < format('(%%s,0)', block + 200)::tid%s%s%s;\n"
					"\t\tCOMMIT;\n"
					"\tEND LOOP;\n"
					"END $$", table, table, statement,
					condition ? "\n\t\t\tAND (" : "", condition ? condition : "",
					condition ? ")" : "");
}

/*
 * The ColumnDef that the fact is about: of the raw statement, or of what the
 * server makes of it, which names things alike.
 */
ColumnDef *
migspec_way_column(const MigspecWay *way)
{
	if (way->fact->node == NULL)
		elog(ERROR, "fact has no column definition");
	if (IsA(way->fact->node, AlterTableCmd))
		return castNode(ColumnDef, ((AlterTableCmd *) way->fact->node)->def);
	return castNode(ColumnDef, way->fact->node);
}

/*
 * The raw default of a column definition: as its own field, or among its
 * constraints.
 */
Node *
migspec_way_raw_default(const ColumnDef *column)
{
	ListCell   *cell;

	foreach(cell, column->constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_DEFAULT)
			return constraint->raw_expr;
	}
	return column->raw_default;
}

bool
migspec_way_is_not_null(const ColumnDef *column)
{
	ListCell   *cell;

	foreach(cell, column->constraints)
	{
		ConstrType	type = lfirst_node(Constraint, cell)->contype;

		if (type == CONSTR_NOTNULL || type == CONSTR_PRIMARY)
			return true;
	}
	return column->is_not_null;
}

/*
 * Add the column: an instant, without what would take longer.
 */
void
migspec_way_add_column(MigspecWay *way, ColumnDef *column)
{
	const MigspecWorldTable *table = way->fact->table;
	Node	   *raw = migspec_way_raw_default(column);
	char	   *options = "";

	if (raw != NULL)
	{
		MigspecWorldTable *live = migspec_way_live(table);
		Node	   *cooked = migspec_world_cook(way->stmt->world, live, copyObject(raw),
												EXPR_KIND_COLUMN_DEFAULT, InvalidOid, -1);

		if (!migspec_world_is_volatile(way->stmt->world, cooked))
			options = psprintf(" DEFAULT %s%s", migspec_world_deparse(live, cooked),
							   migspec_way_is_not_null(column) ? " NOT NULL" : "");
	}
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD COLUMN %s %s%s", way->fact->name,
					quote_identifier(column->colname),
					migspec_way_type(way->stmt, column->typeName), options);
}
