/*-------------------------------------------------------------------------
 *
 * safe_way_column.c
 *		Safe ways of adding, changing and dropping columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "check/rules.h"

/*
 * NOT NULL in steps that read the table while it can be written to.  A
 * constraint that is there already, but not valid, only has to be validated.
 * "column" is not quoted.
 */
void
migspec_way_not_null(MigspecWay *way, const MigspecWorldTable *table,
					 const char *name, const char *column)
{
	const char *quoted = quote_identifier(column);
	char	   *constraint = migspec_way_name(table, column, "not_null");
	ListCell   *cell;

	migspec_way_short(way);
	if (MIGSPEC_NOT_NULL_CONSTRAINTS)
	{
		foreach(cell, table->constraints)
		{
			MigspecWorldConstraint *old = lfirst(cell);
			MigspecWorldColumn *found = migspec_world_column(table, column);

			if (!old->dropped && old->type == CONSTRAINT_NOTNULL && found != NULL &&
				list_member_int(old->columns, found->attno))
			{
				migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", name,
								quote_identifier(old->name));
				return;
			}
		}
		migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s NOT VALID", name,
						quote_identifier(constraint), quoted);
		migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", name,
						quote_identifier(constraint));
		return;
	}
	migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
					name, quote_identifier(constraint), quoted);
	migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", name,
					quote_identifier(constraint));
	migspec_way_add(way, "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL", name, quoted);
	migspec_way_add(way, "ALTER TABLE %s DROP CONSTRAINT %s", name,
					quote_identifier(constraint));
}

void
migspec_way_set_not_null(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;

	migspec_way_not_null(way, fact->table, fact->name, fact->object);
}

/*
 * A column whose rows get their values by an expression: by migspec if it can,
 * else a default for new rows and batches for the others.
 */
static void
add_filled(MigspecWay *way, const char *column, const char *type,
		   const char *expr, bool not_null)
{
	const MigspecFact *fact = way->fact;
	const char *quoted = quote_identifier(column);

	if (migspec_way_can_migrate(fact->table))
	{
		migspec_way_migrate(way, "add", column,
							psprintf("migspec_add_column(%s, %s, %s,\n\t\"default\" => %s%s)",
									 migspec_literal(fact->name), migspec_literal(column),
									 migspec_literal(type), migspec_literal(expr),
									 not_null ? ", nullable => false" : ""), NULL);
		return;
	}
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD COLUMN %s %s", fact->name, quoted, type);
	migspec_way_add(way, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s", fact->name,
					quoted, expr);
	migspec_way_batches(way, psprintf("UPDATE %s SET %s = DEFAULT", fact->name, quoted),
						psprintf("%s IS NULL", quoted));
	if (not_null)
		migspec_way_not_null(way, fact->table, fact->name, column);
}

void
migspec_way_volatile_default(MigspecWay *way)
{
	ColumnDef  *column = migspec_way_column(way);
	Node	   *raw = migspec_way_raw_default(column);

	add_filled(way, column->colname, migspec_way_type(way->stmt, column->typeName),
			   migspec_way_expr(way->stmt, way->fact->table, raw, EXPR_KIND_COLUMN_DEFAULT),
			   migspec_way_is_not_null(column));
}

/*
 * How an identity column is to be: ALWAYS or BY DEFAULT; NULL if it is none.
 */
static const char *
identity_of(const ColumnDef *column)
{
	ListCell   *cell;

	foreach(cell, column->constraints)
	{
		const Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_IDENTITY)
			return constraint->generated_when == ATTRIBUTE_IDENTITY_ALWAYS ?
				"ALWAYS" : "BY DEFAULT";
	}
	if (column->identity == '\0')
		return NULL;
	return column->identity == ATTRIBUTE_IDENTITY_ALWAYS ? "ALWAYS" : "BY DEFAULT";
}

/*
 * A sequence first, whose numbers the rows get in batches; then it becomes the
 * column's own, or that of an identity takes over where it has got to.
 */
void
migspec_way_serial(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	ColumnDef  *column = migspec_way_column(way);
	const char *quoted = quote_identifier(column->colname);
	const char *type = migspec_way_type(way->stmt, column->typeName);
	const char *identity = identity_of(column);
	char	   *sequence = quote_qualified_identifier(fact->table->schema,
													  migspec_way_name(fact->table,
																	   column->colname, "seq"));

	migspec_way_add(way, "CREATE SEQUENCE %s AS %s", sequence, type);
	add_filled(way, column->colname, type,
			   psprintf("nextval(%s)", migspec_literal(sequence)), true);
	migspec_way_short(way);
	if (identity == NULL)
	{
		migspec_way_add(way, "ALTER SEQUENCE %s OWNED BY %s.%s", sequence, fact->name, quoted);
		return;
	}
	migspec_way_add(way, "BEGIN");
	migspec_way_add(way, "ALTER TABLE %s ALTER COLUMN %s DROP DEFAULT,\n"
					"\tALTER COLUMN %s ADD GENERATED %s AS IDENTITY",
					fact->name, quoted, quoted, identity);
	migspec_way_add(way, "SELECT setval(pg_get_serial_sequence(%s, %s), nextval(%s))",
					migspec_literal(fact->name), migspec_literal(column->colname),
					migspec_literal(sequence));
	migspec_way_add(way, "DROP SEQUENCE %s", sequence);
	migspec_way_add(way, "COMMIT");
}

/*
 * A plain column that a trigger computes for rows that are written, and
 * batches for the others.
 */
static void
add_computed(MigspecWay *way, const char *column, const char *type, const char *expr)
{
	const MigspecFact *fact = way->fact;
	const char *quoted = quote_identifier(column);
	char	   *name = migspec_way_name(fact->table, column, "compute");
	char	   *function = quote_qualified_identifier(fact->table->schema, name);

	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD COLUMN %s %s", fact->name, quoted, type);
	migspec_way_add(way, "CREATE FUNCTION %s() RETURNS trigger LANGUAGE plpgsql AS $$\n"
					"BEGIN\n\tNEW.%s := (SELECT %s FROM (SELECT NEW.*) AS %s);\n"
					"\tRETURN NEW;\nEND $$", function, quoted, expr,
					quote_identifier(fact->table->name));
	migspec_way_add(way, "CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s\n"
					"\tFOR EACH ROW EXECUTE FUNCTION %s()",
					quote_identifier(name), fact->name, function);
	migspec_way_batches(way, psprintf("UPDATE %s SET %s = %s", fact->name, quoted, expr),
						psprintf("%s IS DISTINCT FROM %s", quoted,
								 migspec_way_parenthesized(expr)));
}

static char *
generated_expr(const MigspecWay *way, const ColumnDef *column)
{
	ListCell   *cell;

	foreach(cell, column->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, cell);

		if (constraint->contype == CONSTR_GENERATED)
			return migspec_way_expr(way->stmt, way->fact->table, constraint->raw_expr,
									EXPR_KIND_GENERATED_COLUMN);
	}
	elog(ERROR, "column is not generated");
}

/*
 * Since 18 there are virtual columns, which store nothing.
 */
void
migspec_way_generated(MigspecWay *way)
{
	ColumnDef  *column = migspec_way_column(way);
	char	   *type = migspec_way_type(way->stmt, column->typeName);
	char	   *expr = generated_expr(way, column);

	if (MIGSPEC_VIRTUAL_COLUMNS)
	{
		migspec_way_short(way);
		migspec_way_add(way, "ALTER TABLE %s ADD COLUMN %s %s GENERATED ALWAYS AS %s VIRTUAL",
						way->fact->name, quote_identifier(column->colname), type,
						migspec_way_parenthesized(expr));
	}
	else
		add_computed(way, column->colname, type, expr);
}

/*
 * A new column with the new expression takes the place of the old one.
 */
void
migspec_way_set_expression(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldColumn *column = migspec_world_column(fact->table, fact->object);
	char	   *type;
	ListCell   *cell;

	/* added by the same statement */
	if (column == NULL)
		return;
	type = format_type_with_typemod(column->type, column->typmod);
	foreach(cell, castNode(AlterTableStmt, way->stmt->tree)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
		char	   *expr;
		char	   *name;

		if (cmd->name == NULL || strcmp(cmd->name, fact->object) != 0 || cmd->def == NULL ||
			IsA(cmd->def, ColumnDef) || IsA(cmd->def, Constraint))
			continue;
		expr = migspec_way_expr(way->stmt, fact->table, cmd->def, EXPR_KIND_GENERATED_COLUMN);
		name = migspec_way_name(fact->table, fact->object, "new");
		if (!MIGSPEC_VIRTUAL_COLUMNS)
		{
			migspec_way_comment(way, "use %s in place of %s from then on, and drop %s when nobody reads it",
								name, fact->object, fact->object);
			add_computed(way, name, type, expr);
			return;
		}
		migspec_way_short(way);
		migspec_way_add(way, "ALTER TABLE %s DROP COLUMN %s,\n"
						"\tADD COLUMN %s %s GENERATED ALWAYS AS %s VIRTUAL",
						fact->name, quote_identifier(fact->object),
						quote_identifier(fact->object), type,
						migspec_way_parenthesized(expr));
		return;
	}
}

/*
 * A constraint of a domain, with the column's name for VALUE.
 */
static char *
replace_value(const char *text, const char *column)
{
	StringInfoData buf;
	char		quote = '\0';

	initStringInfo(&buf);
	for (const char *p = text; *p; p++)
	{
		bool		word_before = p > text &&(isalnum((unsigned char) p[-1]) || p[-1] == '_');

		if (quote != '\0' && *p == quote)
			quote = '\0';
		else if (quote == '\0' && (*p == '\'' || *p == '"'))
			quote = *p;
		if (quote == '\0' && !word_before && strncmp(p, "VALUE", 5) == 0 &&
			!isalnum((unsigned char) p[5]) && p[5] != '_')
		{
			appendStringInfoString(&buf, column);
			p += 4;
		}
		else
			appendStringInfoChar(&buf, *p);
	}
	return buf.data;
}

/*
 * A column of the base type, with the domain's constraints as its own.
 */
void
migspec_way_domain_column(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	ColumnDef  *column = migspec_way_column(way);
	const char *quoted = quote_identifier(column->colname);
	Node	   *raw = migspec_way_raw_default(column);
	Oid			domain = migspec_check_type(unconstify(MigspecStatement *, way->stmt),
											column->typeName, NULL);
	int32		typmod = -1;
	Oid			base = getBaseTypeAndTypmod(domain, &typmod);
	char	   *query = psprintf("SELECT pg_catalog.array_agg(pg_catalog.pg_get_constraintdef(oid)"
								 "  ORDER BY conname) AS defs"
								 " FROM pg_catalog.pg_constraint WHERE contypid = %u AND contype = 'c'",
								 domain);
	List	   *checks;
	ListCell   *cell;

	SPI_connect();
	migspec_sql(query, 0, NULL);
	checks = migspec_spi_textlist(0, "defs");
	SPI_finish();

	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD COLUMN %s %s%s%s", fact->name, quoted,
					format_type_with_typemod(base, typmod), raw ? " DEFAULT " : "",
					raw ? migspec_way_expr(way->stmt, fact->table, raw,
										   EXPR_KIND_COLUMN_DEFAULT) : "");
	foreach(cell, checks)
	{
		char	   *label = foreach_current_index(cell) == 0 ? "check" :
		psprintf("check%d", foreach_current_index(cell));
		char	   *name = migspec_way_name(fact->table, column->colname, label);

		migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", fact->name,
						quote_identifier(name), replace_value(lfirst(cell), quoted));
		migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", fact->name,
						quote_identifier(name));
	}
}

/*
 * The command of ALTER TABLE that changes the type of this column, or of any
 * if that is NULL.
 */
static AlterTableCmd *
type_command(const MigspecStatement *stmt, const char *column)
{
	ListCell   *cell;

	if (!IsA(stmt->tree, AlterTableStmt))
		return NULL;
	foreach(cell, castNode(AlterTableStmt, stmt->tree)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		if (cmd->subtype == AT_AlterColumnType &&
			(column == NULL || strcmp(cmd->name, column) == 0))
			return cmd;
	}
	return NULL;
}

/*
 * A second column that is kept in step, and takes the place of the first.  A
 * USING expression is "up"; what leads back is for a person to say, unless the
 * types can be cast.
 */
void
migspec_way_change_type(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	AlterTableCmd *cmd = NULL;
	ColumnDef  *def;
	char	   *type;
	char	   *up = "";

	if (fact->rule == RULE_ALTER_TYPE_REWRITE)
		cmd = type_command(way->stmt, fact->object);
	if (cmd == NULL)
		cmd = type_command(way->stmt, NULL);
	if (cmd == NULL)
		return;
	def = castNode(ColumnDef, cmd->def);
	type = migspec_way_type(way->stmt, def->typeName);
	if (!migspec_way_can_migrate(fact->table))
	{
		migspec_way_comment(way, "migrate the whole table that %s is a part of", fact->name);
		return;
	}
	if (def->raw_default != NULL && !IsA(def->raw_default, TypeCast))
		up = psprintf(",\n\tup => %s",
					  migspec_literal(migspec_way_expr(way->stmt, fact->table, def->raw_default,
													   EXPR_KIND_ALTER_COL_TRANSFORM)));
	if (*up != '\0')
		migspec_way_comment(way, "add down => '...', which computes the old value from the new one, if the types alone do not say");
	migspec_way_migrate(way, "change", cmd->name,
						psprintf("migspec_change_type(%s, %s, %s%s)",
								 migspec_literal(fact->name), migspec_literal(cmd->name),
								 migspec_literal(type), up),
						"deploy code that copes with both types, if they are not alike to it");
}

void
migspec_way_rename_column(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;

	if (!migspec_way_can_migrate(fact->table) || fact->table->kind == RELKIND_VIEW)
		return;
	migspec_way_migrate(way, "rename", fact->object,
						psprintf("migspec_rename_column(%s, %s, %s)",
								 migspec_literal(fact->name), migspec_literal(fact->object),
								 migspec_literal(fact->detail)),
						psprintf("both names work: deploy code that uses %s only, then go on",
								 fact->detail));
}

/*
 * Without NOT NULL, until all writers know the column.
 */
void
migspec_way_required_column(MigspecWay *way)
{
	ColumnDef  *column = migspec_way_column(way);

	migspec_way_add_column(way, column);
	migspec_way_comment(way, "when all writers set %s, and the rows that have none are filled:",
						column->colname);
	migspec_way_not_null(way, way->fact->table, way->fact->name, column->colname);
}

/*
 * Nothing has to be dropped today: writers stop first.
 */
void
migspec_way_drop_column(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldColumn *column = migspec_world_column(fact->table, fact->object);
	const char *quoted = quote_identifier(fact->object);

	migspec_way_comment(way, "1. deploy code that neither reads nor writes %s (and no SELECT *)",
						fact->object);
	if (column != NULL && column->not_null && !column->has_default)
	{
		migspec_way_short(way);
		migspec_way_add(way, "ALTER TABLE %s ALTER COLUMN %s DROP NOT NULL", fact->name, quoted);
	}
	migspec_way_comment(way, "2. later, when nothing has used it for a while:");
	migspec_way_comment(way, "SET lock_timeout = '2s';");
	migspec_way_comment(way, "ALTER TABLE %s DROP COLUMN %s;", fact->name, quoted);
}

void
migspec_way_analyze(MigspecWay *way)
{
	migspec_way_source(way);
	migspec_way_add(way, "ANALYZE %s (%s)", way->fact->name,
					quote_identifier(way->fact->object));
}
