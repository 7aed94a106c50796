/*-------------------------------------------------------------------------
 *
 * safe_way_partition.c
 *		Safe ways of attaching, creating and detaching partitions.
 *
 * What ATTACH PARTITION would do under its lock can be done before: a CHECK
 * constraint that proves the bounds, indexes and foreign keys that match.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/ruleutils.h"

#include "check/rules.h"
#include "check/safe_way_text.h"

/*
 * A CHECK constraint proves the condition, so that the statement need not
 * read the rows; it has done its work afterwards.
 */
static void
prove_first(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	const char *name = quote_identifier(migspec_way_name(fact->table, NULL, "bounds"));

	if (fact->detail == NULL)
		return;
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s CHECK %s NOT VALID", fact->name,
					name, migspec_way_parenthesized(fact->detail));
	migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", fact->name, name);
	migspec_way_source(way);
	migspec_way_add(way, "ALTER TABLE %s DROP CONSTRAINT %s", fact->name, name);
}

void
migspec_way_attach_scan(MigspecWay *way)
{
	prove_first(way);
}

/*
 * The CHECK on the default partition keeps rows of the new one out, so it goes
 * only when those have a place: after the statement.
 */
void
migspec_way_attach_default(MigspecWay *way)
{
	prove_first(way);
}

/*
 * The text of an index definition after the table's name.
 */
static const char *
definition_after_table(Oid index)
{
	const char *def = TextDatumGetCString(DirectFunctionCall1(pg_get_indexdef,
															  ObjectIdGetDatum(index)));
	MigspecToken token = migspec_token_find(def, "ON");
	MigspecToken only = migspec_token(token.end);

	return migspec_after_name(migspec_token_is(only, "ONLY") ? only.end : token.end);
}

/*
 * A matching index; for that of a key, a matching key as well.
 */
void
migspec_way_attach_index(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldTable *parent = fact->other;
	MigspecWorldIndex *index = parent ? migspec_world_index(parent, fact->object) : NULL;
	MigspecWorldConstraint *key = parent ? migspec_world_constraint(parent, fact->object) : NULL;
	char	   *name;

	if (index == NULL || !OidIsValid(index->oid))
		return;
	name = migspec_way_name_on_child(fact->table, parent, index->name);
	if (key != NULL && key->type == CONSTRAINT_PRIMARY)
	{
		for (int i = 0; i < index->nkeys; i++)
		{
			MigspecWorldColumn *column = migspec_world_column_no(parent, index->attnos[i]);
			MigspecWorldColumn *own = column ?
			migspec_world_column(fact->table, column->name) : NULL;

			if (own != NULL && !own->not_null)
				migspec_way_not_null(way, fact->table, fact->name, own->name);
		}
	}
	migspec_way_create_index(way, fact->table, index->unique, name,
							 definition_after_table(index->oid));
	migspec_way_short(way);
	if (key != NULL && (key->type == CONSTRAINT_PRIMARY || key->type == CONSTRAINT_UNIQUE))
		migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s", fact->name,
						quote_identifier(name),
						key->type == CONSTRAINT_PRIMARY ? "PRIMARY KEY" : "UNIQUE",
						quote_identifier(name));
	migspec_way_source(way);
}

/*
 * The same foreign key, added and validated before.
 */
void
migspec_way_attach_fk(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	MigspecWorldTable *parent;
	MigspecWorldConstraint *parents;
	const char *name = quote_identifier(fact->object);

	if (!IsA(way->stmt->tree, AlterTableStmt))
		return;
	parent = migspec_world_find(way->stmt->world,
								castNode(AlterTableStmt, way->stmt->tree)->relation);
	parents = parent ? migspec_world_constraint(parent, fact->object) : NULL;
	if (parents == NULL || !OidIsValid(parents->oid))
		return;
	if (migspec_world_constraint(fact->table, fact->object) != NULL)
		name = quote_identifier(migspec_way_name(fact->table, NULL, "fkey"));
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ADD CONSTRAINT %s %s NOT VALID", fact->name, name,
					TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
															ObjectIdGetDatum(parents->oid))));
	migspec_way_add(way, "ALTER TABLE %s VALIDATE CONSTRAINT %s", fact->name, name);
	migspec_way_source(way);
}

/*
 * FOR VALUES ..., or DEFAULT, of a CREATE TABLE ... PARTITION OF.
 */
static char *
bound_of(const MigspecStatement *stmt)
{
	const char *parent = migspec_token_find(stmt->source, "PARTITION").end;
	MigspecToken begin = migspec_token_find(parent, "FOR");
	MigspecToken kind;
	const char *end;

	if (castNode(CreateStmt, stmt->tree)->partbound->is_default)
		return "DEFAULT";
	kind = migspec_token(migspec_token(begin.end).end); /* FOR VALUES kind */
	end = migspec_after_parenthesis(kind.end);
	if (migspec_token_is(kind, "FROM"))
		end = migspec_after_parenthesis(migspec_token(end).end);
	return pnstrdup(begin.start, end - begin.start);
}

/*
 * A table of the same shape first, which is then attached; ATTACH PARTITION
 * lets queries on the partitioned table go on.
 */
void
migspec_way_partition_of(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;
	const CreateStmt *create;
	char	   *name;

	if (!IsA(way->stmt->tree, CreateStmt))
		return;
	create = castNode(CreateStmt, way->stmt->tree);
	if (create->partbound == NULL)
		return;
	name = create->relation->schemaname ?
		quote_qualified_identifier(create->relation->schemaname, create->relation->relname) :
		pstrdup(quote_identifier(create->relation->relname));
	migspec_way_add(way, "CREATE TABLE %s (LIKE %s INCLUDING ALL EXCLUDING IDENTITY)", name,
					fact->name);
	migspec_way_short(way);
	migspec_way_add(way, "ALTER TABLE %s ATTACH PARTITION %s %s", fact->name, name,
					bound_of(way->stmt));
}

/*
 * CONCURRENTLY is refused where there is a default partition.
 */
void
migspec_way_detach(MigspecWay *way)
{
	const MigspecFact *fact = way->fact;

	if (fact->other == NULL)
		return;
	if (migspec_world_default_partition(fact->other) != NULL)
	{
		migspec_way_comment(way, "CONCURRENTLY is not possible beside a default partition; give up soon, and repeat");
		migspec_way_short(way);
		migspec_way_source(way);
		return;
	}
	migspec_way_long(way);
	migspec_way_comment(way, "outside of a transaction block; if it is broken off, DETACH PARTITION %s FINALIZE",
						fact->name);
	migspec_way_add(way, "ALTER TABLE %s DETACH PARTITION %s CONCURRENTLY",
					migspec_world_table_name(fact->other), fact->name);
}
