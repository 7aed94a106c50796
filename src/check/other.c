/*-------------------------------------------------------------------------
 *
 * other.c
 *		All statements that have no file of their own.
 *
 * A registry says how each kind is analysed.  What is not in it locks no
 * relation: roles, settings, casts, text search, ...
 *
 * Runs in the process that analyses the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "commands/event_trigger.h"
#include "commands/extension.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "commands/user.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "rewrite/rewriteSupport.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "check/alter_table.h"
#include "check/check.h"
#include "check/statements.h"

/*
 * Nothing may be known of what it does.
 */
static void
analyse_opaque(MigspecStatement *stmt)
{
	migspec_opaque(stmt);
}

static void
analyse_query(MigspecStatement *stmt)
{
	IntoClause *into = NULL;

	if (IsA(stmt->tree, SelectStmt))
	{
		SelectStmt *first = (SelectStmt *) stmt->tree;

		while (first->op != SETOP_NONE)
			first = first->larg;
		into = first->intoClause;
	}
	if (into != NULL)
		migspec_analyse_select_into(stmt, into);
	else
		(void) migspec_analyse_query(stmt, stmt->tree);
}

static void
analyse_copy(MigspecStatement *stmt)
{
	CopyStmt   *copy = (CopyStmt *) stmt->tree;

	if (copy->query != NULL)
		(void) migspec_analyse_query(stmt, copy->query);
	else if (copy->is_from)
		migspec_lock_written(stmt, migspec_check_table(stmt, copy->relation, false));
	else
		(void) migspec_check_table(stmt, copy->relation, false);
}

/*
 * Statements around another one, which is planned at least.
 */
static void
analyse_wrapper(MigspecStatement *stmt)
{
	ExplainStmt *explain = (ExplainStmt *) stmt->tree;
	DefElem    *analyze;

	switch (nodeTag(stmt->tree))
	{
		case T_ExplainStmt:
			analyze = migspec_option(explain->options, "analyze");
			if (analyze != NULL && defGetBoolean(analyze))
				migspec_check_nested(stmt, explain->query);
			else
				migspec_parse_query(stmt, explain->query, true);
			break;
		case T_PrepareStmt:
			migspec_parse_query(stmt, ((PrepareStmt *) stmt->tree)->query, false);
			break;
		default:
			migspec_check_nested(stmt, ((DeclareCursorStmt *) stmt->tree)->query);
			break;
	}
}

/*
 * "trigger t on r"
 */
static void
creates_part(MigspecStatement *stmt, const char *kind, const char *name,
			 const MigspecWorldTable *table)
{
	migspec_script_creates(stmt, psprintf("%s %s on %s", kind, name, table->name));
	migspec_script_creates(stmt, name);
}

static void
refuse_duplicate_part(const char *kind, const char *name, const MigspecWorldTable *table,
					  bool exists)
{
	if (exists)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s \"%s\" for relation \"%s\" already exists", kind, name,
						table->name)));
}

static void
check_transition_tables(const CreateTrigStmt *create, const MigspecWorldTable *table)
{
	bool		partitioned = table->kind == RELKIND_PARTITIONED_TABLE;

	if (create->transitionRels == NIL)
		return;
	if (create->row && (partitioned || table->parent != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ROW triggers with transition tables are not supported on %s",
						partitioned ? "partitioned tables" :
						table->is_partition ? "partitions" : "inheritance children")));
	if (create->columns != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("transition tables cannot be specified for triggers with column lists")));
}

static void
analyse_trigger(MigspecStatement *stmt)
{
	CreateTrigStmt *create = (CreateTrigStmt *) stmt->tree;
	MigspecWorldTable *table = migspec_check_table(stmt, create->relation, false);
	ListCell   *cell;
	Oid			existing = get_trigger_oid(table->oid, create->trigname, true);

	if (table->kind != RELKIND_RELATION && table->kind != RELKIND_PARTITIONED_TABLE &&
		table->kind != RELKIND_VIEW && table->kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" cannot have triggers", table->name)));
	if (!create->replace)
		refuse_duplicate_part("trigger", create->trigname, table,
							  OidIsValid(existing) &&
							  !migspec_script_has_dropped(stmt->world, TriggerRelationId,
														  existing));
	check_transition_tables(create, table);
	foreach(cell, create->columns)
	{
		if (migspec_world_column(table, strVal(lfirst(cell))) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							strVal(lfirst(cell)), table->name)));
	}
	if (create->constrrel != NULL)
		(void) migspec_other_table(stmt, create->constrrel);
	(void) LookupFuncName(create->funcname, 0, NULL,
						  migspec_world_is_new_name(stmt->world,
													migspec_last_name(create->funcname)));

	migspec_lock_target(stmt, table, ShareRowExclusiveLock);
	migspec_lock_family(stmt, table, ShareRowExclusiveLock,
						create->row && table->kind == RELKIND_PARTITIONED_TABLE);
	migspec_check_fact(stmt, RULE_TRIGGER_DDL, table, create->trigname);
	creates_part(stmt, "trigger", create->trigname, table);
}

static void
analyse_rule(MigspecStatement *stmt)
{
	RuleStmt   *create = (RuleStmt *) stmt->tree;
	MigspecWorldTable *table = migspec_check_table(stmt, create->relation, false);
	ListCell   *cell;

	if (create->event == CMD_SELECT && table->kind != RELKIND_VIEW &&
		strcmp(create->rulename, ViewSelectRuleName) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("relation \"%s\" cannot have ON SELECT rules", table->name)));
	if (!create->replace)
		refuse_duplicate_part("rule", create->rulename, table,
							  OidIsValid(get_rewrite_oid(table->oid, create->rulename, true)));
	migspec_lock_target(stmt, table, AccessExclusiveLock);
	migspec_check_fact(stmt, RULE_POLICY_DDL, table, psprintf("rule %s", create->rulename));
	foreach(cell, create->actions)
		migspec_parse_query(stmt, lfirst(cell), false);
	creates_part(stmt, "rule", create->rulename, table);
}

static void
analyse_policy(MigspecStatement *stmt)
{
	bool		is_new = IsA(stmt->tree, CreatePolicyStmt);
	RangeVar   *relation = is_new ? ((CreatePolicyStmt *) stmt->tree)->table :
	((AlterPolicyStmt *) stmt->tree)->table;
	char	   *name = is_new ? ((CreatePolicyStmt *) stmt->tree)->policy_name :
	((AlterPolicyStmt *) stmt->tree)->policy_name;
	MigspecWorldTable *table = migspec_check_table(stmt, relation, false);
	Oid			policy = get_relation_policy_oid(table->oid, name, true);
	bool		exists = OidIsValid(policy) &&
	!migspec_script_has_dropped(stmt->world, PolicyRelationId, policy);

	if (table->kind != RELKIND_RELATION && table->kind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", table->name)));
	if (is_new)
		refuse_duplicate_part("policy", name, table, exists);
	else if (!exists && !migspec_world_is_new_name(stmt->world,
												   psprintf("policy %s on %s", name,
															table->name)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("policy \"%s\" for table \"%s\" does not exist", name, table->name)));
	migspec_lock_target(stmt, table, AccessExclusiveLock);
	migspec_check_fact(stmt, RULE_POLICY_DDL, table, psprintf("policy %s", name));
	if (is_new)
		creates_part(stmt, "policy", name, table);
}

static void
analyse_view(MigspecStatement *stmt)
{
	migspec_analyse_create_view(stmt);
}

/*
 * OWNED BY: the column must be there; the table is *owner, NULL for NONE.
 * False: the option is not given.
 */
static bool
check_owner(MigspecStatement *stmt, List *options, MigspecWorldTable **owner)
{
	DefElem    *option = migspec_option(options, "owned_by");
	List	   *names = option == NULL ? NIL : (List *) option->arg;
	MigspecWorldTable *table;

	if (list_length(names) < 2)
		return option != NULL;
	table = migspec_other_table(stmt,
								makeRangeVarFromNameList(list_truncate(list_copy(names),
																	   list_length(names) - 1)));
	if (migspec_world_column(table, migspec_last_name(names)) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						migspec_last_name(names), table->name)));
	*owner = table;
	return true;
}

static void
analyse_create_sequence(MigspecStatement *stmt)
{
	CreateSeqStmt *create = (CreateSeqStmt *) stmt->tree;
	MigspecWorldTable *owner = NULL;

	if (create->if_not_exists && migspec_name_exists(stmt, create->sequence))
		return;
	migspec_refuse_duplicate(stmt, create->sequence);
	(void) check_owner(stmt, create->options, &owner);
	migspec_world_add_table(stmt->world, create->sequence, RELKIND_SEQUENCE)->owned_by = owner;
	migspec_script_creates(stmt, create->sequence->relname);
}

/*
 * All options but the owner give the sequence a new page.
 */
static void
analyse_alter_sequence(MigspecStatement *stmt)
{
	AlterSeqStmt *alter = (AlterSeqStmt *) stmt->tree;
	MigspecWorldTable *table = migspec_check_table(stmt, alter->sequence, alter->missing_ok);
	MigspecEffect *effect;
	MigspecWorldTable *owner = NULL;
	bool		gets_owner;
	Oid			owner_oid;
	int32		column;
	ListCell   *cell;

	if (table == NULL)
		return;
	if (table->kind != RELKIND_SEQUENCE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a sequence", table->name)));
	gets_owner = check_owner(stmt, alter->options, &owner);
	if (gets_owner && OidIsValid(table->oid) &&
		sequenceIsOwned(table->oid, DEPENDENCY_INTERNAL, &owner_oid, &column))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot change ownership of identity sequence")));
	effect = migspec_lock_target(stmt, table, ShareRowExclusiveLock);
	effect->no_data = true;
	if (gets_owner)
		table->owned_by = owner;
	foreach(cell, alter->options)
	{
		DefElem    *option = lfirst(cell);

		if (strcmp(option->defname, "owned_by") != 0)
			migspec_check_work(stmt, table, MIGSPEC_WORK_REWRITE);
	}
}

static bool
is_of_kind(ObjectType type, char kind)
{
	switch (type)
	{
		case OBJECT_TABLE:
			return kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_VIEW:
			return kind == RELKIND_VIEW;
		case OBJECT_MATVIEW:
			return kind == RELKIND_MATVIEW;
		case OBJECT_SEQUENCE:
			return kind == RELKIND_SEQUENCE;
		case OBJECT_FOREIGN_TABLE:
			return kind == RELKIND_FOREIGN_TABLE;
		default:
			return true;
	}
}

/*
 * COMMENT and SECURITY LABEL: relations are locked, their parts are not.
 */
static void
lock_described(MigspecStatement *stmt, ObjectType type, Node *object)
{
	List	   *names = IsA(object, List) ? list_copy((List *) object) : NIL;
	MigspecWorldTable *table;
	MigspecWorldIndex *index;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_SEQUENCE:
		case OBJECT_FOREIGN_TABLE:
			table = migspec_check_table(stmt, makeRangeVarFromNameList(names), false);
			if (!is_of_kind(type, table->kind))
				ereport(ERROR,
						(errcode(ERRCODE_WRONG_OBJECT_TYPE),
						 errmsg("\"%s\" is a relation of another kind", table->name)));
			migspec_lock_target(stmt, table, ShareUpdateExclusiveLock);
			break;
		case OBJECT_COLUMN:
			table = migspec_check_table(stmt, makeRangeVarFromNameList(list_truncate(list_copy(names), list_length(names) - 1)),
										false);
			if (table->loaded && migspec_world_column(table, migspec_last_name(names)) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("column \"%s\" of relation \"%s\" does not exist",
								migspec_last_name(names), table->name)));
			migspec_lock_target(stmt, table, ShareUpdateExclusiveLock);
			break;
		case OBJECT_INDEX:
			index = migspec_world_find_index(stmt->world, makeRangeVarFromNameList(names));
			if (index == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_TABLE),
						 errmsg("relation \"%s\" does not exist", migspec_last_name(names))));
			migspec_check_lock_index(stmt, index, ShareUpdateExclusiveLock)->is_target = true;
			break;
		case OBJECT_TABCONSTRAINT:
			table = migspec_check_table(stmt, makeRangeVarFromNameList(list_truncate(list_copy(names), list_length(names) - 1)),
										false);
			if (table->loaded &&
				migspec_world_constraint(table, migspec_last_name(names)) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_OBJECT),
						 errmsg("constraint \"%s\" for table \"%s\" does not exist",
								migspec_last_name(names), table->name)));
			break;
		default:
			break;
	}
}

static void
analyse_comment(MigspecStatement *stmt)
{
	if (IsA(stmt->tree, CommentStmt))
		lock_described(stmt, ((CommentStmt *) stmt->tree)->objtype,
					   ((CommentStmt *) stmt->tree)->object);
	else
		lock_described(stmt, ((SecLabelStmt *) stmt->tree)->objtype,
					   ((SecLabelStmt *) stmt->tree)->object);
}

static void
analyse_create_statistics(MigspecStatement *stmt)
{
	CreateStatsStmt *create = (CreateStatsStmt *) stmt->tree;
	Oid			existing = create->defnames == NIL ? InvalidOid :
	get_statistics_object_oid(create->defnames, true);
	StatsElem  *first = linitial(create->exprs);
	ListCell   *cell;

	foreach(cell, create->relations)
	{
		if (IsA(lfirst(cell), RangeVar))
			migspec_lock_target(stmt, migspec_check_table(stmt, lfirst(cell), false),
								ShareUpdateExclusiveLock);
	}
	if (OidIsValid(existing) &&
		!migspec_script_has_dropped(stmt->world, StatisticExtRelationId, existing))
	{
		if (create->if_not_exists)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("statistics object \"%s\" already exists",
						migspec_last_name(create->defnames))));
	}
	if (list_length(create->exprs) == 1 && first->name != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
				 errmsg("extended statistics require at least 2 columns")));

	foreach(cell, create->relations)
	{
		MigspecWorldTable *table;
		ListCell   *lc;

		if (!IsA(lfirst(cell), RangeVar))
			continue;
		table = migspec_check_table(stmt, lfirst(cell), false);
		foreach(lc, create->exprs)
		{
			StatsElem  *element = lfirst(lc);

			if (element->name != NULL && migspec_world_column(table, element->name) == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_COLUMN),
						 errmsg("column \"%s\" does not exist", element->name)));
		}
	}
	if (create->defnames != NIL)
		migspec_script_creates(stmt, migspec_last_name(create->defnames));
}

/*
 * Tables of a publication; the children of tables that are not partitioned
 * are added as well.
 */
static void
lock_published(MigspecStatement *stmt, List *objects)
{
	ListCell   *cell;

	foreach(cell, objects)
	{
		PublicationObjSpec *object = lfirst(cell);
		MigspecWorldTable *table;

		if (object->pubobjtype != PUBLICATIONOBJ_TABLE)
			continue;
		table = migspec_check_table(stmt, object->pubtable->relation, false);
		migspec_lock_target(stmt, table, ShareUpdateExclusiveLock);
		migspec_lock_family(stmt, table, ShareUpdateExclusiveLock,
							object->pubtable->relation->inh &&
							table->kind != RELKIND_PARTITIONED_TABLE);
	}
}

static void
analyse_publication(MigspecStatement *stmt)
{
	AlterPublicationStmt *alter = (AlterPublicationStmt *) stmt->tree;
	Oid			publication;
	ListCell   *cell;

	if (IsA(stmt->tree, CreatePublicationStmt))
	{
		CreatePublicationStmt *create = (CreatePublicationStmt *) stmt->tree;

		publication = get_publication_oid(create->pubname, true);
		if (OidIsValid(publication) &&
			!migspec_script_has_dropped(stmt->world, PublicationRelationId, publication))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("publication \"%s\" already exists", create->pubname)));
		lock_published(stmt, create->pubobjects);
		migspec_script_creates(stmt, create->pubname);
		return;
	}

	lock_published(stmt, alter->pubobjects);
	if (alter->pubobjects == NIL || alter->action != AP_SetObjects)
		return;
	/* those that are taken out */
	publication = get_publication_oid(alter->pubname, true);
	foreach(cell, OidIsValid(publication) ?
			GetPublicationRelations(publication, PUBLICATION_PART_ROOT) : NIL)
	{
		MigspecWorldTable *table = migspec_world_find_oid(stmt->world, lfirst_oid(cell));

		if (table != NULL)
			migspec_check_lock(stmt, table, ShareUpdateExclusiveLock);
	}
}

/*
 * The statements inside of CREATE SCHEMA are about that schema.
 */
static void
put_in_schema(RangeVar *name, char *schema)
{
	if (name != NULL && name->schemaname == NULL)
		name->schemaname = schema;
}

/* in this order, however they are written: transformCreateSchemaStmtElements() */
static const NodeTag schema_order[] = {
	T_CreateSeqStmt, T_CreateStmt, T_ViewStmt, T_IndexStmt, T_CreateTrigStmt, T_GrantStmt
};

static void
analyse_in_schema(MigspecStatement *stmt, Node *element, char *name)
{
	switch (nodeTag(element))
	{
		case T_CreateStmt:
			put_in_schema(((CreateStmt *) element)->relation, name);
			break;
		case T_CreateSeqStmt:
			put_in_schema(((CreateSeqStmt *) element)->sequence, name);
			break;
		case T_ViewStmt:
			put_in_schema(((ViewStmt *) element)->view, name);
			break;
		case T_IndexStmt:
			put_in_schema(((IndexStmt *) element)->relation, name);
			break;
		case T_CreateTrigStmt:
			put_in_schema(((CreateTrigStmt *) element)->relation, name);
			break;
		default:
			break;
	}
	migspec_check_nested(stmt, element);
}

static void
analyse_schema(MigspecStatement *stmt)
{
	CreateSchemaStmt *create = (CreateSchemaStmt *) stmt->tree;
	char	   *name = create->schemaname;
	int			nest_level;
	ListCell   *cell;

	if (name == NULL)
		name = create->authrole->roletype == ROLESPEC_CSTRING &&
			migspec_world_is_new_name(stmt->world, create->authrole->rolename) ?
			create->authrole->rolename : get_rolespec_name(create->authrole);
	if (OidIsValid(get_namespace_oid(name, true)) &&
		!migspec_script_has_dropped(stmt->world, NamespaceRelationId,
									get_namespace_oid(name, true)))
	{
		if (create->if_not_exists)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", name)));
	}
	migspec_script_creates(stmt, name);
	if (create->schemaElts == NIL)
		return;

	/* names in there are looked for in the new schema first */
	nest_level = NewGUCNestLevel();
	(void) set_config_option("search_path",
							 namespace_search_path[strspn(namespace_search_path, " \t\n\r\f\v")] == '\0' ?
							 quote_identifier(name) :
							 psprintf("%s, %s", quote_identifier(name),
									  namespace_search_path),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < (int) lengthof(schema_order); i++)
	{
		foreach(cell, create->schemaElts)
		{
			if (nodeTag(lfirst(cell)) == schema_order[i])
				analyse_in_schema(stmt, copyObject(lfirst(cell)), name);
		}
	}
	AtEOXact_GUC(false, nest_level);
}

/*
 * What has no more to it than a name.
 */
static void
analyse_create_named(MigspecStatement *stmt)
{
	Node	   *tree = stmt->tree;

	switch (nodeTag(tree))
	{
		case T_CreateAmStmt:
			migspec_script_creates(stmt, ((CreateAmStmt *) tree)->amname);
			break;
		case T_CreateConversionStmt:
			migspec_script_creates(stmt, migspec_last_name(((CreateConversionStmt *) tree)->conversion_name));
			break;
		case T_CreateFdwStmt:
			migspec_script_creates(stmt, ((CreateFdwStmt *) tree)->fdwname);
			break;
		case T_CreateForeignServerStmt:
			migspec_script_creates(stmt, ((CreateForeignServerStmt *) tree)->servername);
			break;
		case T_CreateOpClassStmt:
			/* and its family, if that is not named */
			migspec_script_creates(stmt, migspec_last_name(((CreateOpClassStmt *) tree)->opclassname));
			break;
		case T_CreateOpFamilyStmt:
			migspec_script_creates(stmt, migspec_last_name(((CreateOpFamilyStmt *) tree)->opfamilyname));
			break;
		case T_CreatePLangStmt:
			migspec_script_creates(stmt, ((CreatePLangStmt *) tree)->plname);
			break;
		case T_CreateRoleStmt:
			migspec_script_creates(stmt, ((CreateRoleStmt *) tree)->role);
			break;
		case T_CreateSubscriptionStmt:
			migspec_script_creates(stmt, ((CreateSubscriptionStmt *) tree)->subname);
			break;
		default:
			break;
	}
}

static void
analyse_define(MigspecStatement *stmt)
{
	DefineStmt *define = (DefineStmt *) stmt->tree;

	migspec_script_creates(stmt, migspec_last_name(define->defnames));
}

/*
 * ALTER ... OWNER TO of what is not a table; but a composite type is one.
 */
static void
analyse_owner(MigspecStatement *stmt)
{
	AlterOwnerStmt *alter = (AlterOwnerStmt *) stmt->tree;
	Oid			type;
	MigspecWorldTable *table;

	if (alter->objectType != OBJECT_TYPE)
		return;
	type = migspec_check_type(stmt, makeTypeNameFromNameList((List *) alter->object), NULL);
	table = OidIsValid(type) ?
		migspec_world_find_oid(stmt->world, get_typ_typrelid(type)) : NULL;
	if (table != NULL)
		migspec_lock_target(stmt, table, AccessExclusiveLock);
}

static bool
is_owned(const FormData_pg_class * form, void *arg)
{
	return form->relkind != RELKIND_COMPOSITE_TYPE &&
		list_member_oid((List *) arg, form->relowner);
}

static void
analyse_reassign(MigspecStatement *stmt)
{
	ReassignOwnedStmt *reassign = (ReassignOwnedStmt *) stmt->tree;
	ListCell   *cell;

	foreach(cell, migspec_relations(stmt->world, is_owned, roleSpecsToIds(reassign->roles)))
	{
		migspec_check_lock(stmt, lfirst(cell), AccessExclusiveLock);
		migspec_check_fact(stmt, RULE_POLICY_DDL, lfirst(cell), "owner");
	}
}

/*
 * ALTER INDEX, MATERIALIZED VIEW ... DEPENDS ON EXTENSION
 */
static void
analyse_depends(MigspecStatement *stmt)
{
	AlterObjectDependsStmt *alter = (AlterObjectDependsStmt *) stmt->tree;

	if (alter->objectType == OBJECT_INDEX)
	{
		MigspecWorldIndex *index = migspec_world_find_index(stmt->world, alter->relation);

		if (index == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("relation \"%s\" does not exist", alter->relation->relname)));
		migspec_check_lock_index(stmt, index, AccessExclusiveLock)->is_target = true;
	}
	else if (alter->objectType == OBJECT_MATVIEW)
		migspec_lock_target(stmt, migspec_check_table(stmt, alter->relation, false),
							AccessExclusiveLock);
}

static void
analyse_extension(MigspecStatement *stmt)
{
	CreateExtensionStmt *create = (CreateExtensionStmt *) stmt->tree;

	if (OidIsValid(get_extension_oid(create->extname, true)))
	{
		if (create->if_not_exists)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("extension \"%s\" already exists", create->extname)));
	}
	migspec_opaque(stmt);
}

static void
analyse_database(MigspecStatement *stmt)
{
	if (IsA(stmt->tree, DropdbStmt))
		migspec_check_fact(stmt, RULE_DROP_SCHEMA, NULL, ((DropdbStmt *) stmt->tree)->dbname);
	migspec_refuse_in_transaction(stmt, IsA(stmt->tree, DropdbStmt) ? "DROP DATABASE" :
								  "CREATE DATABASE");
}

static void
analyse_event_trigger(MigspecStatement *stmt)
{
	const char *name = ((AlterEventTrigStmt *) stmt->tree)->trigname;

	(void) get_event_trigger_oid(name, migspec_world_is_new_name(stmt->world, name));
}

static void
analyse_create_event_trigger(MigspecStatement *stmt)
{
	migspec_script_creates(stmt, ((CreateEventTrigStmt *) stmt->tree)->trigname);
}

/*
 * Relations must exist; they are not locked.
 */
static void
analyse_grant(MigspecStatement *stmt)
{
	GrantStmt  *grant = (GrantStmt *) stmt->tree;
	ListCell   *cell;

	if (grant->targtype != ACL_TARGET_OBJECT ||
		(grant->objtype != OBJECT_TABLE && grant->objtype != OBJECT_SEQUENCE))
		return;
	foreach(cell, grant->objects)
		(void) migspec_other_table(stmt, lfirst(cell));
}

static void
analyse_alone(MigspecStatement *stmt)
{
	switch (nodeTag(stmt->tree))
	{
		case T_AlterSystemStmt:
			migspec_refuse_in_transaction(stmt, "ALTER SYSTEM");
			break;
		case T_CreateTableSpaceStmt:
			migspec_refuse_in_transaction(stmt, "CREATE TABLESPACE");
			migspec_script_creates(stmt, ((CreateTableSpaceStmt *) stmt->tree)->tablespacename);
			break;
		default:
			migspec_refuse_in_transaction(stmt, "DROP TABLESPACE");
			break;
	}
}

static void
analyse_move_all(MigspecStatement *stmt)
{
	migspec_alter_move_all(stmt, (AlterTableMoveAllStmt *) stmt->tree);
}

static const struct
{
	NodeTag		tag;
	MigspecAnalyser analyse;
}			analysers[] =

{
	{T_AlterEventTrigStmt, analyse_event_trigger},
	{T_AlterExtensionStmt, analyse_opaque},
	{T_AlterFunctionStmt, migspec_analyse_alter_function},
	{T_AlterObjectDependsStmt, analyse_depends},
	{T_AlterOwnerStmt, analyse_owner},
	{T_AlterPolicyStmt, analyse_policy},
	{T_AlterPublicationStmt, analyse_publication},
	{T_AlterSeqStmt, analyse_alter_sequence},
	{T_AlterSystemStmt, analyse_alone},
	{T_AlterTableMoveAllStmt, analyse_move_all},
	{T_CallStmt, analyse_opaque},
	{T_ClusterStmt, migspec_analyse_cluster},
	{T_CommentStmt, analyse_comment},
	{T_CopyStmt, analyse_copy},
	{T_CreateAmStmt, analyse_create_named},
	{T_CreateConversionStmt, analyse_create_named},
	{T_CreateEventTrigStmt, analyse_create_event_trigger},
	{T_CreateExtensionStmt, analyse_extension},
	{T_CreateFdwStmt, analyse_create_named},
	{T_CreateForeignServerStmt, analyse_create_named},
	{T_CreateFunctionStmt, migspec_analyse_function},
	{T_CreateOpClassStmt, analyse_create_named},
	{T_CreateOpFamilyStmt, analyse_create_named},
	{T_CreatePLangStmt, analyse_create_named},
	{T_CreatePolicyStmt, analyse_policy},
	{T_CreatePublicationStmt, analyse_publication},
	{T_CreateRoleStmt, analyse_create_named},
	{T_CreateSchemaStmt, analyse_schema},
	{T_CreateSeqStmt, analyse_create_sequence},
	{T_CreateStatsStmt, analyse_create_statistics},
	{T_CreateSubscriptionStmt, analyse_create_named},
	{T_CreateTableSpaceStmt, analyse_alone},
	{T_CreateTrigStmt, analyse_trigger},
	{T_CreatedbStmt, analyse_database},
	{T_DeclareCursorStmt, analyse_wrapper},
	{T_DefineStmt, analyse_define},
	{T_DeleteStmt, analyse_query},
	{T_DoStmt, analyse_opaque},
	{T_DropOwnedStmt, migspec_analyse_drop_owned},
	{T_DropTableSpaceStmt, analyse_alone},
	{T_DropdbStmt, analyse_database},
	{T_ExecuteStmt, analyse_opaque},
	{T_ExplainStmt, analyse_wrapper},
	{T_GrantStmt, analyse_grant},
	{T_ImportForeignSchemaStmt, analyse_opaque},
	{T_InsertStmt, analyse_query},
	{T_LockStmt, migspec_analyse_lock},
	{T_MergeStmt, analyse_query},
	{T_PrepareStmt, analyse_wrapper},
	{T_ReassignOwnedStmt, analyse_reassign},
	{T_RefreshMatViewStmt, migspec_analyse_refresh},
	{T_RuleStmt, analyse_rule},
	{T_SecLabelStmt, analyse_comment},
	{T_SelectStmt, analyse_query},
	{T_UpdateStmt, analyse_query},
	{T_VacuumStmt, migspec_analyse_vacuum},
	{T_ViewStmt, analyse_view},
};

/* see check.h */
void
migspec_analyse_other(MigspecStatement *stmt)
{
	for (int i = 0; i < (int) lengthof(analysers); i++)
	{
		if (analysers[i].tag == nodeTag(stmt->tree))
		{
			analysers[i].analyse(stmt);
			return;
		}
	}
}
