/*-------------------------------------------------------------------------
 *
 * types.c
 *		Types and domains: finding them, and statements that change them.
 *
 * A type that only the script creates is known by its name and nothing else;
 * columns of it have no type in the world.  Runs in the process that analyses
 * the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_enum.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "check/check.h"
#include "check/statements.h"

/* see parser/parse_utilcmd.c, transformColumnDefinition() */
static const struct
{
	const char *name;
	Oid			type;
}			serials[] =

{
	{"bigserial", INT8OID},
	{"serial", INT4OID},
	{"serial2", INT2OID},
	{"serial4", INT4OID},
	{"serial8", INT8OID},
	{"smallserial", INT2OID},
};

static void
set_typmod(int32 *typmod, int32 value)
{
	if (typmod != NULL)
		*typmod = value;
}

/*
 * table.column%TYPE
 */
static Oid
type_of_column(MigspecStatement *stmt, const TypeName *name, int32 *typmod)
{
	List	   *names = list_copy(name->names);
	char	   *column_name = strVal(llast(names));
	MigspecWorldTable *table;
	MigspecWorldColumn *column;

	table = migspec_check_table(stmt, makeRangeVarFromNameList(list_delete_last(names)),
								false);
	column = migspec_world_column(table, column_name);
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						column_name, table->name)));
	set_typmod(typmod, column->typmod);
	return column->type;
}

/* see check.h */
Oid
migspec_check_type(MigspecStatement *stmt, const TypeName *name, int32 *typmod)
{
	int32		found_typmod = -1;
	Type		tuple;

	set_typmod(typmod, -1);
	if (name->pct_type)
		return type_of_column(stmt, name, typmod);
	if (list_length(name->names) == 1)
	{
		for (int i = 0; i < (int) lengthof(serials); i++)
		{
			if (strcmp(strVal(linitial(name->names)), serials[i].name) == 0)
				return serials[i].type;
		}
	}

	tuple = LookupTypeName(NULL, name, &found_typmod, true);
	if (tuple != NULL)
	{
		Form_pg_type form = (Form_pg_type) GETSTRUCT(tuple);
		Oid			type = form->oid;
		bool		exists = form->typisdefined &&
		!migspec_script_has_dropped(stmt->world, TypeRelationId, type) &&
		(!OidIsValid(form->typrelid) ||
		 migspec_world_find_oid(stmt->world, form->typrelid) != NULL);

		ReleaseSysCache(tuple);
		if (exists)
		{
			set_typmod(typmod, found_typmod);
			return type;
		}
	}

	if (name->names == NIL)
		return name->typeOid;
	if (migspec_world_is_new_name(stmt->world, migspec_last_name(name->names)) ||
		migspec_world_is_new_name(stmt->world, "") ||
		(list_length(name->names) <= 3 &&
		 migspec_world_find(stmt->world,
							makeRangeVarFromNameList(name->names)) != NULL))
		return InvalidOid;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("type \"%s\" does not exist", TypeNameToString(name))));
}

/* see check.h */
void
migspec_check_column_type(MigspecStatement *stmt, MigspecWorldTable *table,
						  const ColumnDef *column)
{
	int32		typmod;
	Oid			type;
	MigspecFact *fact;

	if (column->typeName == NULL)
		return;
	type = migspec_check_type(stmt, column->typeName, &typmod);

	/* an array is as good as its elements */
	if (OidIsValid(get_element_type(type)))
		type = get_element_type(type);
	switch (type)
	{
		case BPCHAROID:
		case VARCHAROID:
			if (typmod < 0)
				return;
			fact = migspec_check_fact(stmt, RULE_PREFER_TEXT, table, column->colname);
			fact->detail = format_type_with_typemod(type, typmod);
			break;
		case TIMESTAMPOID:
			migspec_check_fact(stmt, RULE_PREFER_TIMESTAMPTZ, table, column->colname);
			break;
		case JSONOID:
			migspec_check_fact(stmt, RULE_PREFER_JSONB, table, column->colname);
			break;
		case CASHOID:
			migspec_check_fact(stmt, RULE_AVOID_MONEY, table, column->colname);
			break;
		default:
			break;
	}
}

/*
 * The type whose name a statement gives as a list; InvalidOid: of the script.
 */
static Oid
named_type(MigspecStatement *stmt, List *names)
{
	return migspec_check_type(stmt, makeTypeNameFromNameList(names), NULL);
}

/*
 * Is a column's type this domain, or a domain over it?  (Not: an array or a
 * row type that contains it.)
 */
static bool
is_domain_over(Oid type, Oid domain)
{
	while (OidIsValid(type) && type != domain)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		Form_pg_type form;

		if (!HeapTupleIsValid(tuple))
			return false;
		form = (Form_pg_type) GETSTRUCT(tuple);
		type = form->typtype == TYPTYPE_DOMAIN ? form->typbasetype : InvalidOid;
		ReleaseSysCache(tuple);
	}

	return OidIsValid(type);
}

/*
 * All values of the domain are checked: every table that uses it is locked
 * and read, without a word in the log.  See get_rels_with_domain() in
 * commands/typecmds.c.
 */
static void
scan_users(MigspecStatement *stmt, Oid domain, const char *name)
{
	List	   *users = migspec_world_users_of_type(stmt->world, domain);
	ListCell   *cell;

	foreach(cell, users)
	{
		MigspecWorldTable *table = lfirst(cell);
		bool		direct = false;
		bool		inside = false;
		ListCell   *lc;

		foreach(lc, table->columns)
		{
			MigspecWorldColumn *column = lfirst(lc);

			if (column->dropped)
				continue;
			direct |= is_domain_over(column->type, domain);
			inside |= is_domain_over(get_element_type(column->type), domain);
		}
		if (table->kind != RELKIND_RELATION && table->kind != RELKIND_MATVIEW &&
			!(inside && table->kind == RELKIND_PARTITIONED_TABLE))
			continue;
		if (inside || !direct)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot alter type \"%s\" because table \"%s\" uses it inside of another type",
							name, table->name)));
		migspec_check_lock(stmt, table, ShareLock);
		migspec_check_work(stmt, table, MIGSPEC_WORK_QUIET_SCAN);
		migspec_check_fact(stmt, RULE_DOMAIN_CONSTRAINT, table, name);
	}
}

static bool
domain_is_not_null(Oid domain)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Raise an error unless the domain has the constraint, or the script has given
 * it one.
 */
static void
require_domain_constraint(MigspecStatement *stmt, Oid domain, List *names,
						  const char *constraint)
{
	const char *name = migspec_last_name(names);
	Oid			oid = OidIsValid(domain) ?
	get_domain_constraint_oid(domain, constraint, true) : InvalidOid;

	if ((OidIsValid(oid) &&
		 !migspec_script_has_dropped(stmt->world, ConstraintRelationId, oid)) ||
		migspec_world_is_new_name(stmt->world, psprintf("constraint %s of %s", constraint,
														name)) ||
		migspec_world_is_new_name(stmt->world, ""))
		return;
	/* of what else has become of the name nothing is known */
	if (!OidIsValid(domain) &&
		!migspec_world_is_new_name(stmt->world, psprintf("new domain %s", name)))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("constraint \"%s\" of domain \"%s\" does not exist",
					constraint, migspec_shown_name(names))));
}

/*
 * The script gives a domain this constraint.  Without a name it gets one, see
 * ChooseConstraintName().
 */
static void
add_domain_constraint(MigspecStatement *stmt, List *domain, const Constraint *constraint)
{
	const char *last = migspec_last_name(domain);
	char	   *label = constraint->contype == CONSTR_CHECK ? "check" : "not_null";
	char	   *name = constraint->conname;

	for (int i = 1; name == NULL; i++)
	{
		char	   *chosen = makeObjectName(last, NULL, label);

		if (!migspec_world_is_new_name(stmt->world,
									   psprintf("constraint %s of %s", chosen, last)))
			name = chosen;
		label = psprintf("%s%d", constraint->contype == CONSTR_CHECK ? "check" : "not_null",
						 i);
	}
	migspec_script_creates(stmt, psprintf("constraint %s of %s", name, last));
}

static void
alter_domain(MigspecStatement *stmt, AlterDomainStmt *alter)
{
	char	   *name = migspec_shown_name(alter->typeName);
	Oid			domain = named_type(stmt, alter->typeName);
	Constraint *constraint = (Constraint *) alter->def;
	Oid			dropped;

	if (alter->subtype == 'C' || alter->subtype == 'O')
		migspec_script_creates(stmt, psprintf("constrained domain %s",
											  migspec_last_name(alter->typeName)));
	if ((alter->subtype == 'V' || alter->subtype == 'X') && !alter->missing_ok)
		require_domain_constraint(stmt, domain, alter->typeName, alter->name);
	if (!OidIsValid(domain))
	{
		if (alter->subtype == 'C')
			add_domain_constraint(stmt, alter->typeName, constraint);
		return;
	}
	if (get_typtype(domain) != TYPTYPE_DOMAIN)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not a domain", name)));

	switch (alter->subtype)
	{
		case 'C':				/* ADD CONSTRAINT */
			if (constraint->contype == CONSTR_NOTNULL && domain_is_not_null(domain))
				return;
			if (!constraint->skip_validation)
				scan_users(stmt, domain, name);
			add_domain_constraint(stmt, alter->typeName, constraint);
			break;
		case 'O':				/* SET NOT NULL */
			if (!domain_is_not_null(domain))
				scan_users(stmt, domain, name);
			break;
		case 'V':				/* VALIDATE CONSTRAINT */
			scan_users(stmt, domain, name);
			break;
		case 'X':				/* DROP CONSTRAINT */
			dropped = get_domain_constraint_oid(domain, alter->name, true);
			if (OidIsValid(dropped))
				migspec_script_drops(stmt, ConstraintRelationId, dropped);
			break;
		default:				/* SET DEFAULT, DROP DEFAULT, DROP NOT NULL */
			break;
	}
}

/*
 * Does the enumeration have this value?
 */
static bool
has_value(Oid type, const char *value)
{
	return SearchSysCacheExists2(ENUMTYPOIDNAME, ObjectIdGetDatum(type),
								 CStringGetDatum(value));
}

/*
 * A value that is new; the type's name does not matter much for those who look
 * for it in a text.
 */
static void
remember_value(MigspecStatement *stmt, const char *value)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(stmt->world->context);

	if (stmt->world->in_transaction)
		stmt->world->new_values = lappend(stmt->world->new_values, pstrdup(value));
	MemoryContextSwitchTo(oldcontext);
	/* as in the server's message */
	migspec_script_creates(stmt, psprintf("\"%s\"", value));
}

/* see statements.h */
void
migspec_tell_new_value(MigspecStatement *stmt, const char *value)
{
	ListCell   *cell;

	foreach(cell, stmt->world->new_values)
	{
		if (strcmp(lfirst(cell), value) == 0)
			migspec_check_fact(stmt, RULE_ENUM_VALUE_IN_TXN, NULL, NULL)->detail =
				pstrdup(value);
	}
}

/*
 * ALTER TYPE ... ADD VALUE, RENAME VALUE
 */
static void
alter_enum(MigspecStatement *stmt, AlterEnumStmt *alter)
{
	char	   *name = migspec_shown_name(alter->typeName);
	Oid			type = named_type(stmt, alter->typeName);
	MigspecFact *fact;

	if (!OidIsValid(type))
		return;
	if (!type_is_enum(type))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s is not an enum", name)));

	if (alter->oldVal != NULL)
	{
		if (!has_value(type, alter->oldVal) &&
			!migspec_world_is_new_name(stmt->world,
									   psprintf("value %s of %s", alter->oldVal,
												migspec_last_name(alter->typeName))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not an existing enum label", alter->oldVal)));
		fact = migspec_check_fact(stmt, RULE_RENAME_OTHER, NULL,
								  psprintf("value %s of type %s",
										   quote_literal_cstr(alter->oldVal), name));
		fact->detail = alter->newVal;
	}
	else
	{
		if (has_value(type, alter->newVal))
		{
			if (alter->skipIfNewValExists)
				return;
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("enum label \"%s\" already exists", alter->newVal)));
		}
		if (alter->newValNeighbor != NULL && !has_value(type, alter->newValNeighbor) &&
			!migspec_world_is_new_name(stmt->world,
									   psprintf("value %s of %s", alter->newValNeighbor,
												migspec_last_name(alter->typeName))))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not an existing enum label",
							alter->newValNeighbor)));
		fact = migspec_check_fact(stmt, RULE_ENUM_ADD_VALUE, NULL, name);
		fact->detail = alter->newVal;
		remember_value(stmt, alter->newVal);
	}
	migspec_script_creates(stmt, psprintf("value %s of %s", alter->newVal,
										  migspec_last_name(alter->typeName)));
}

/* see statements.h */
void
migspec_refuse_pseudo_type(const char *column, Oid type)
{
	if (OidIsValid(type) && type != UNKNOWNOID && get_typtype(type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("column \"%s\" has pseudo-type %s", column, format_type_be(type))));
}

/*
 * CREATE TYPE name AS (...): it is a relation, too.
 */
static void
create_composite(MigspecStatement *stmt, CompositeTypeStmt *create)
{
	MigspecWorldTable *table;
	ListCell   *cell;

	migspec_refuse_duplicate(stmt, create->typevar);
	migspec_refuse_duplicate_type(stmt, create->typevar->schemaname,
								  create->typevar->relname);
	table = migspec_world_add_table(stmt->world, create->typevar,
									RELKIND_COMPOSITE_TYPE);
	foreach(cell, create->coldeflist)
	{
		ColumnDef  *def = lfirst(cell);
		int32		typmod;
		Oid			type = migspec_check_type(stmt, def->typeName, &typmod);
		MigspecWorldColumn *column = migspec_world_add_column(table, def->colname);

		column->type = type;
		column->typmod = typmod;
		column->collation = OidIsValid(type) ? get_typcollation(type) : InvalidOid;
	}
	migspec_script_creates(stmt, create->typevar->relname);
}

/*
 * Raise an error if there is such a type where it would be created.
 */
static void
refuse_duplicate_names(MigspecStatement *stmt, List *names)
{
	char	   *schema;
	char	   *name;

	DeconstructQualifiedName(names, &schema, &name);
	migspec_refuse_duplicate_type(stmt, schema, name);
}

/* see statements.h */
void
migspec_refuse_duplicate_type(MigspecStatement *stmt, const char *schema, const char *name)
{
	Oid			nspoid;
	Oid			type;
	Oid			relid;

	if (schema == NULL)
		schema = migspec_world_creation_schema(stmt->world);
	if (schema == NULL)
		return;
	nspoid = get_namespace_oid(schema, true);
	type = GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid, CStringGetDatum(name),
						   ObjectIdGetDatum(nspoid));
	if (!OidIsValid(type) || !get_typisdefined(type) ||
		migspec_script_has_dropped(stmt->world, TypeRelationId, type) ||
		OidIsValid(get_element_type(type)))
		return;
	relid = get_typ_typrelid(type);
	if (OidIsValid(relid))
	{
		MigspecWorldTable *table = migspec_world_find_oid(stmt->world, relid);

		/* it goes, or has gone, with the table's name */
		if (table == NULL || strcmp(table->name, name) != 0 ||
			strcmp(table->schema, schema) != 0)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("type \"%s\" already exists", name)));
}

/*
 * A new column of a domain is checked row by row if the domain, or one that it
 * is over, has constraints.
 */
static void
note_constraints(MigspecStatement *stmt, CreateDomainStmt *create)
{
	Oid			base = migspec_check_type(stmt, create->typeName, NULL);
	bool		constrained = migspec_is_constrained(stmt->world, base, create->typeName);
	ListCell   *cell;

	foreach(cell, create->constraints)
	{
		Constraint *constraint = lfirst(cell);

		constrained |= constraint->contype == CONSTR_CHECK ||
			constraint->contype == CONSTR_NOTNULL;
		if (constraint->contype == CONSTR_CHECK || constraint->contype == CONSTR_NOTNULL)
			add_domain_constraint(stmt, create->domainname, constraint);
	}
	migspec_script_creates(stmt, psprintf("new domain %s",
										  migspec_last_name(create->domainname)));
	if (constrained)
		migspec_script_creates(stmt, psprintf("constrained domain %s",
											  migspec_last_name(create->domainname)));
}

/* see statements.h */
bool
migspec_is_constrained(const MigspecWorld *world, Oid type, const TypeName *name)
{
	if (OidIsValid(type) && DomainHasConstraints(type))
		return true;
	return name->names != NIL && name->arrayBounds == NIL &&
		migspec_world_is_new_name(world, psprintf("constrained domain %s",
												  migspec_last_name(name->names)));
}

/*
 * The multirange type that comes with a range type.  See
 * makeMultirangeTypeName() in catalog/pg_type.c.
 */
static void
create_multirange(MigspecStatement *stmt, const CreateRangeStmt *create)
{
	DefElem    *option = migspec_option(create->params, "multirange_type_name");
	const char *name = migspec_last_name(create->typeName);
	const char *range = strstr(name, "range");

	if (option != NULL)
		name = migspec_last_name(defGetQualifiedName(option));
	else if (range != NULL)
		name = psprintf("%.*smulti%s", (int) (range - name), name, range);
	else
		name = psprintf("%.*s_multirange",
						pg_mbcliplen(name, strlen(name), NAMEDATALEN - 12), name);
	migspec_script_creates(stmt, name);
}

/* see check.h: CREATE TYPE in all its forms, and CREATE DOMAIN */
void
migspec_analyse_type(MigspecStatement *stmt)
{
	List	   *names = NIL;

	switch (nodeTag(stmt->tree))
	{
		case T_CompositeTypeStmt:
			create_composite(stmt, (CompositeTypeStmt *) stmt->tree);
			return;
		case T_CreateEnumStmt:
			names = ((CreateEnumStmt *) stmt->tree)->typeName;
			break;
		case T_CreateRangeStmt:
			names = ((CreateRangeStmt *) stmt->tree)->typeName;
			create_multirange(stmt, (CreateRangeStmt *) stmt->tree);
			break;
		case T_CreateDomainStmt:
			names = ((CreateDomainStmt *) stmt->tree)->domainname;
			note_constraints(stmt, (CreateDomainStmt *) stmt->tree);
			break;
		case T_DefineStmt:
			names = ((DefineStmt *) stmt->tree)->defnames;
			break;
		default:
			return;
	}

	if (!IsA(stmt->tree, DefineStmt))
		refuse_duplicate_names(stmt, names);
	migspec_script_creates(stmt, migspec_last_name(names));
}

/* see check.h */
void
migspec_analyse_domain(MigspecStatement *stmt)
{
	if (IsA(stmt->tree, AlterDomainStmt))
		alter_domain(stmt, (AlterDomainStmt *) stmt->tree);
	else
		migspec_analyse_type(stmt);
}

/* see check.h */
void
migspec_analyse_enum(MigspecStatement *stmt)
{
	if (IsA(stmt->tree, AlterEnumStmt))
		alter_enum(stmt, (AlterEnumStmt *) stmt->tree);
	else
		migspec_analyse_type(stmt);
}
