/*-------------------------------------------------------------------------
 *
 * safe_way_constraint.c
 *		Safe ways of adding, changing and dropping constraints.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "check/rules.h"

/*
 * The column that the statement adds together with this constraint, which is
 * known by its node or by kind and name; NULL if it is not written at one.
 */
static ColumnDef *
column_of_constraint(const MigspecWay *way, ConstrType type)
{
	const MigspecFact *fact = way->fact;
	ListCell   *cell;

	if (!IsA(way->stmt->tree, AlterTableStmt))
		return NULL;
	foreach(cell, castNode(AlterTableStmt, way->stmt->tree)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);
		ColumnDef  *column;
		ListCell   *lc;

		if (cmd->subtype == AT_AddConstraint && cmd->def != NULL &&
			(cmd->def == fact->node ||
			 (((Constraint *) cmd->def)->contype == type &&
			  ((Constraint *) cmd->def)->conname != NULL && fact->object != NULL &&
			  strcmp(((Constraint *) cmd->def)->conname, fact->object) == 0)))
			return NULL;
		if (cmd->subtype != AT_AddColumn)
			continue;
		column = castNode(ColumnDef, cmd->def);
		foreach(lc, column->constraints)
		{
			Constraint *constraint = lfirst_node(Constraint, lc);

			if (constraint->contype == type &&
				(constraint->conname == NULL || fact->object == NULL ||
				 strcmp(constraint->conname, fact->object) == 0))
				return column;
		}
	}
	return NULL;
}

/*
 * ADD CONSTRAINT ... NOT VALID and VALIDATE.
 */
static void
add_and_validate(MigspecWay *way, const char *table, const char *name, const char *definition)
{
	const char *quoted = quote_identifier(name);

	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", table, quoted,
					definition);
	migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", table, quoted);
}

void
migspec_way_add_check(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	ColumnDef  *column = column_of_constraint(way, CONSTR_CHECK);

	if (fact->detail == NULL)
		return;
	if (column != NULL)
		migspec_way_add_column(way, column);
	add_and_validate(way, fact->name, fact->object, psprintf("CHECK %s", migspec_way_parenthesized(fact->detail)));
}

/*
 * The constraint's text, without what says whether it is valid or enforced.
 */
static char *
definition_of(Oid oid)
{
	static const char *const ends[] = {" NOT VALID", " NOT ENFORCED"};
	char	   *def = TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
															  ObjectIdGetDatum(oid)));

	for (size_t i = 0; i < lengthof(ends); i++)
	{
		size_t		len = strlen(def);
		size_t		end = strlen(ends[i]);

		if (len > end && strcmp(def + len - end, ends[i]) == 0)
			def[len - end] = '\0';
	}
	return def;
}

/*
 * The same statement, which also drops the constraints that it would test and
 * adds them again, not valid; drops come first and additions last, however a
 * statement is written.
 */
void
migspec_way_recheck(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	StringInfoData sql;
	List	   *names = NIL;
	ListCell   *cell;

	initStringInfo(&sql);
	appendStringInfoString(&sql, way->stmt->source);
	foreach(cell, way->stmt->facts)
	{
		const MigspecFact *other = lfirst(cell);
		MigspecWorldConstraint *constraint;
		const char *quoted;

		if (other->rule != RULE_ALTER_TYPE_RECHECK || other->table->oid != fact->table->oid)
			continue;
		constraint = migspec_world_constraint(other->table, other->object);
		if (constraint == NULL || !OidIsValid(constraint->oid))
			return;
		quoted = quote_identifier(other->object);
		appendStringInfo(&sql, ",\n\tDROP CONSTRAINT %s,\n\tADD CONSTRAINT %s %s NOT VALID",
						 quoted, quoted, definition_of(constraint->oid));
		if (constraint->validated)
			names = lappend(names, other->object);
	}
	migspec_way_short(way);
	migspec_way_add(way, "%s", sql.data);
	foreach(cell, names)
		migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", fact->name,
						quote_identifier(lfirst(cell)));
}

/*
 * Names of the columns of a key, as its constraint names them; those of an
 * inline one are its column.
 */
static List *
key_columns(const Constraint *constraint, const ColumnDef *column)
{
	if (constraint->keys != NIL || column == NULL)
		return constraint->keys;
	return list_make1(makeString(column->colname));
}

static const char *
deferrability(const Constraint *constraint)
{
	if (!constraint->deferrable)
		return "";
	return constraint->initdeferred ? " DEFERRABLE INITIALLY DEFERRED" : " DEFERRABLE";
}

/*
 * Columns and options of the index of a key, after the table's name.
 */
static char *
key_definition(const Constraint *constraint, List *keys)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, " (%s)", migspec_way_strings(keys));
	if (constraint->including != NIL)
		appendStringInfo(&buf, " INCLUDE (%s)", migspec_way_strings(constraint->including));
	if (constraint->nulls_not_distinct)
		appendStringInfoString(&buf, " NULLS NOT DISTINCT");
	if (constraint->indexspace != NULL)
		appendStringInfo(&buf, " TABLESPACE %s", quote_identifier(constraint->indexspace));
	return buf.data;
}

/*
 * Below a partitioned table, a key of each partition, built without blocking
 * anybody; the parents' are empty shells that the others are attached to.
 */
static void
add_key_of_partitions(MigspecWay *way, MigspecWorldTable *table, const char *parent_index,
					  const char *kind, const char *definition, const char *defer)
{
	ListCell   *cell;

	foreach(cell, migspec_world_children(table))
	{
		MigspecWorldTable *child = lfirst(cell);
		char	   *name = migspec_world_table_name(child);
		char	   *key = migspec_way_name(child, NULL, strstr(kind, "PRIMARY") ? "pkey" : "key");
		const char *index = quote_identifier(key);
		char	   *qualified = quote_qualified_identifier(child->schema, key);

		if (child->kind == RELKIND_PARTITIONED_TABLE)
		{
			migspec_way_short(way);
			migspec_way_add(way, "ALTER TABLE ONLY %s ADD CONSTRAINT %s %s%s%s", name, index,
							kind, definition, defer);
			add_key_of_partitions(way, child, qualified, kind, definition, defer);
		}
		else
		{
			migspec_way_long(way);
			migspec_way_add(way, "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s%s", index, name,
							definition);
			migspec_way_short(way);
			migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s", name,
							index, kind, index, defer);
		}
		migspec_way_short(way);
		migspec_way_add(way, "ALTER INDEX %s ATTACH PARTITION %s", parent_index, qualified);
	}
}

/*
 * Columns of a primary key that may be NULL so far.
 */
static void
make_not_null(MigspecWay *way, const MigspecWorldTable *table, List *keys)
{
	ListCell   *cell;

	foreach(cell, keys)
	{
		char	   *key = strVal(lfirst(cell));
		MigspecWorldColumn *column = migspec_world_column(table, key);

		if (column != NULL && !column->is_new &&
			(!column->not_null || !column->not_null_valid))
			migspec_way_not_null(way, table, way->fact->name, key);
	}
}

/*
 * UNIQUE and PRIMARY KEY: the index first, without blocking anybody, then the
 * constraint that takes it over.
 */
static void
add_key(MigspecWay *way, const Constraint *constraint, const char *name, ColumnDef *column)
{
	const MigspecFact *fact = way->fact;
	const char *quoted = quote_identifier(name);
	bool		primary = constraint->contype == CONSTR_PRIMARY;
	const char *kind = primary ? "PRIMARY KEY" : "UNIQUE";
	const char *defer = deferrability(constraint);
	List	   *keys = key_columns(constraint, column);
	char	   *definition = key_definition(constraint, keys);

	if (column != NULL)
		migspec_way_add_column(way, column);
	if (primary)
		make_not_null(way, fact->table, keys);
	if (fact->table->kind == RELKIND_PARTITIONED_TABLE)
	{
		migspec_way_short(way);
		migspec_way_add(way, "ALTER TABLE ONLY %s ADD CONSTRAINT %s %s%s%s", fact->name, quoted,
						kind, definition, defer);
		add_key_of_partitions(way, fact->table,
							  quote_qualified_identifier(fact->table->schema, name),
							  kind, definition, defer);
		return;
	}
	migspec_way_long(way);
	migspec_way_comment(way, "outside of a transaction block; if it fails, DROP INDEX CONCURRENTLY %s and repeat",
						quoted);
	migspec_way_add(way, "CREATE UNIQUE INDEX CONCURRENTLY %s ON %s%s", quoted, fact->name,
					definition);
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s%s", fact->name,
					quoted, kind, quoted, defer);
}

void
migspec_way_add_key(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	Constraint *constraint;

	if (fact->node == NULL || !IsA(fact->node, Constraint))
		return;
	constraint = (Constraint *) fact->node;
	if (MIGSPEC_RAW_WITHOUT_OVERLAPS(constraint))
	{
		migspec_way_comment(way, "WITHOUT OVERLAPS needs an exclusion index, which cannot be built concurrently");
		return;
	}
	add_key(way, constraint, fact->object, column_of_constraint(way, constraint->contype));
}

/*
 * The primary key that the statement adds.
 */
static Constraint *
primary_key_of(const MigspecWay *way)
{
	ListCell   *cell;

	if (!IsA(way->stmt->tree, AlterTableStmt))
		return NULL;
	foreach(cell, castNode(AlterTableStmt, way->stmt->tree)->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, cell);

		if (cmd->subtype == AT_AddConstraint && cmd->def != NULL &&
			((Constraint *) cmd->def)->contype == CONSTR_PRIMARY)
			return (Constraint *) cmd->def;
	}
	return NULL;
}

/*
 * NOT NULL first, for all columns of the key that the statement would test;
 * then the key, on an index if the statement does not name one.
 */
void
migspec_way_pk_nullable(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	Constraint *constraint = primary_key_of(way);
	MigspecWorldConstraint *added = migspec_world_primary_key(migspec_way_live(fact->table));
	ListCell   *cell;

	if (constraint == NULL)
		return;
	if (constraint->indexname == NULL)
	{
		add_key(way, constraint, constraint->conname ? constraint->conname :
				added ? added->name : migspec_way_name(fact->table, NULL, "pkey"), NULL);
		return;
	}
	foreach(cell, way->stmt->facts)
	{
		const MigspecFact *other = lfirst(cell);

		if (other->rule == RULE_PK_NULLABLE_SCAN)
			migspec_way_not_null(way, other->table, other->name, other->object);
	}
	migspec_way_short(way);
	migspec_way_source(way);
}

/*
 * A foreign key's text after its name, without NOT VALID.
 */
static char *
fk_definition(const Constraint *constraint, List *columns)
{
	static const struct
	{
		char		action;
		const char *sql;
	}			actions[] = {
		{FKCONSTR_ACTION_RESTRICT, "RESTRICT"},
		{FKCONSTR_ACTION_CASCADE, "CASCADE"},
		{FKCONSTR_ACTION_SETNULL, "SET NULL"},
		{FKCONSTR_ACTION_SETDEFAULT, "SET DEFAULT"},
	};
	const RangeVar *other = constraint->pktable;
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "FOREIGN KEY (%s) REFERENCES %s", migspec_way_strings(columns),
					 quote_qualified_identifier(other->schemaname, other->relname));
	if (constraint->pk_attrs != NIL)
		appendStringInfo(&buf, " (%s)", migspec_way_strings(constraint->pk_attrs));
	if (constraint->fk_matchtype == FKCONSTR_MATCH_FULL)
		appendStringInfoString(&buf, " MATCH FULL");
	for (size_t i = 0; i < lengthof(actions); i++)
	{
		if (constraint->fk_upd_action == actions[i].action)
			appendStringInfo(&buf, " ON UPDATE %s", actions[i].sql);
	}
	for (size_t i = 0; i < lengthof(actions); i++)
	{
		if (constraint->fk_del_action == actions[i].action)
			appendStringInfo(&buf, " ON DELETE %s", actions[i].sql);
	}
	if (constraint->fk_del_set_cols != NIL)
		appendStringInfo(&buf, " (%s)", migspec_way_strings(constraint->fk_del_set_cols));
	appendStringInfoString(&buf, deferrability(constraint));
	return buf.data;
}

/*
 * Before 18 a partitioned table takes no NOT VALID foreign key: its leaves do,
 * and the server recognises theirs when the parent gets its own.
 */
static void
add_fk(MigspecWay *way, const char *name, const char *definition)
{
	const MigspecFact *fact = way->fact;
	ListCell   *cell;

	if (fact->table->kind != RELKIND_PARTITIONED_TABLE || MIGSPEC_PARTITIONED_FK_NOT_VALID)
	{
		add_and_validate(way, fact->name, name, definition);
		return;
	}
	foreach(cell, migspec_world_leaves(fact->table))
	{
		MigspecWorldTable *leaf = lfirst(cell);

		add_and_validate(way, migspec_world_table_name(leaf), name, definition);
	}
	migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s", fact->name,
					quote_identifier(name), definition);
}

void
migspec_way_add_fk(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	ColumnDef  *column = column_of_constraint(way, CONSTR_FOREIGN);
	Constraint *constraint;
	List	   *columns;

	if (fact->node == NULL || !IsA(fact->node, Constraint))
		return;
	constraint = (Constraint *) fact->node;
	columns = constraint->fk_attrs;
	if (column != NULL)
	{
		migspec_way_add_column(way, column);
		columns = list_make1(makeString(column->colname));
	}
	if (columns != NIL)
		add_fk(way, fact->object, fk_definition(constraint, columns));
}

/*
 * NOT ENFORCED to ENFORCED: another constraint of the same name.
 */
void
migspec_way_enforce(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldConstraint *constraint = migspec_world_constraint(fact->table, fact->object);
	const char *quoted = quote_identifier(fact->object);

	if (constraint == NULL || !OidIsValid(constraint->oid))
		return;
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s DROP CONSTRAINT %s,\n\tADD CONSTRAINT %s %s NOT VALID",
					fact->name, quoted, quoted, definition_of(constraint->oid));
	migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", fact->name, quoted);
}

/*
 * The foreign key alone, which holds both locks for an instant; then what else
 * is to be done locks one table only.
 */
void
migspec_way_drop_fk(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	bool		alone = false;

	if (IsA(way->stmt->tree, AlterTableStmt))
	{
		List	   *cmds = castNode(AlterTableStmt, way->stmt->tree)->cmds;

		alone = list_length(cmds) == 1 &&
			linitial_node(AlterTableCmd, cmds)->subtype == AT_DropConstraint;
	}
	migspec_way_short(way);
	if (!alone && fact->object != NULL &&
		migspec_world_constraint(fact->table, fact->object) != NULL)
		migspec_way_add(way, "ALTER TABLE %s DROP CONSTRAINT %s", fact->name,
						quote_identifier(fact->object));
	migspec_way_source(way);
}

/*
 * CREATE INDEX on the columns of the foreign key.
 */
void
migspec_way_fk_index(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	StringInfoData columns;
	char	   *name;

	if (fact->detail == NULL)
		return;
	initStringInfo(&columns);
	for (const char *p = fact->detail; *p; p++)
	{
		if (*p == ',')
			appendStringInfoChar(&columns, '_');
		else if (*p != '"' && *p != ' ')
			appendStringInfoChar(&columns, *p);
	}
	name = migspec_way_name(fact->table, columns.data, "idx");
	if (fact->table->is_new)
		migspec_way_add(way, "CREATE INDEX ON %s (%s)", fact->name, fact->detail);
	else
		migspec_way_create_index(way, fact->table, false, name,
								 psprintf(" (%s)", fact->detail));
}

/*
 * Give the referencing columns the types of the others.
 */
void
migspec_way_fk_type(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldTable *live = migspec_way_live(fact->table);
	MigspecWorldConstraint *constraint = migspec_world_constraint(live, fact->object);
	ListCell   *cell;
	ListCell   *other;

	if (constraint == NULL || constraint->referenced == NULL ||
		!migspec_way_can_migrate(fact->table))
		return;
	forboth(cell, constraint->columns, other, constraint->referenced_columns)
	{
		MigspecWorldColumn *from = migspec_world_column_no(live, lfirst_int(cell));
		MigspecWorldColumn *to = migspec_world_column_no(constraint->referenced,
														 lfirst_int(other));

		if (from == NULL || to == NULL || from->type == to->type)
			continue;
		if (from->is_new || fact->table->is_new)
			migspec_way_comment(way, "column %s as %s", quote_identifier(from->name),
								format_type_with_typemod(to->type, to->typmod));
		else
			migspec_way_migrate(way, "change", from->name,
								psprintf("migspec_change_type(%s, %s, %s)",
										 migspec_literal(fact->name), migspec_literal(from->name),
										 migspec_literal(format_type_with_typemod(to->type,
																				  to->typmod))),
								"deploy code that copes with both types, if they are not alike to it");
	}
}

/*
 * Only new values are tested at first; the tables that use the domain are read
 * when the constraint is validated, at a time when writers can wait.
 */
void
migspec_way_domain(MigspecWay *way)
{
	AlterDomainStmt *alter;

	if (!IsA(way->stmt->tree, AlterDomainStmt))
		return;
	alter = (AlterDomainStmt *) way->stmt->tree;
	if (alter->def == NULL || !IsA(alter->def, Constraint) ||
		((Constraint *) alter->def)->contype != CONSTR_CHECK)
	{
		migspec_way_comment(way, "no way to do this without reading all tables that use the domain; at a quiet time");
		return;
	}
	migspec_way_add(way, "%s NOT VALID", way->stmt->source);
	migspec_way_comment(way, "existing values: correct them first, then, at a quiet time:");
	migspec_way_comment(way, "ALTER DOMAIN %s VALIDATE CONSTRAINT %s;",
						NameListToQuotedString(alter->typeName),
						((Constraint *) alter->def)->conname ?
						quote_identifier(((Constraint *) alter->def)->conname) : "...");
}

/*
 * What adds it again, for the way back.
 */
void
migspec_way_drop_constraint(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldConstraint *constraint = fact->table && fact->object ?
	migspec_world_constraint(fact->table, fact->object) : NULL;

	if (constraint == NULL || !OidIsValid(constraint->oid))
		return;
	migspec_way_comment(way, "the way back: ALTER TABLE %s ADD CONSTRAINT %s %s%s;", fact->name,
						quote_identifier(fact->object), definition_of(constraint->oid),
						constraint->type == CONSTRAINT_CHECK || constraint->type == CONSTRAINT_FOREIGN ?
						" NOT VALID" : "");
}
