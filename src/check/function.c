/*-------------------------------------------------------------------------
 *
 * function.c
 *		CREATE and ALTER FUNCTION and PROCEDURE.
 *
 * They lock no relation but those that a body in SQL writes to, and change no
 * row; but indexes and generated columns may rely on what a function is.
 *
 * Runs in the process that analyses the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"

#include "check/check.h"
#include "check/statements.h"

/*
 * The volatility that options of a function name; 0 if none do.
 */
static char
named_volatility(List *options)
{
	DefElem    *option = migspec_option(options, "volatility");
	const char *name = option == NULL ? "" : strVal(option->arg);

	if (strcmp(name, "immutable") == 0)
		return PROVOLATILE_IMMUTABLE;
	if (strcmp(name, "stable") == 0)
		return PROVOLATILE_STABLE;
	return option == NULL ? '\0' : PROVOLATILE_VOLATILE;
}

static void
tell_volatility(MigspecStatement *stmt, Oid function, char volatility)
{
	if (OidIsValid(function) && volatility != '\0' && func_volatile(function) != volatility)
	{
		migspec_check_fact(stmt, RULE_FUNCTION_VOLATILITY_CHANGE, NULL,
						   format_procedure(function));
		if (volatility == PROVOLATILE_VOLATILE)
			migspec_script_creates(stmt, psprintf("volatile function %u", function));
	}
}

/*
 * The function that CREATE OR REPLACE would replace.
 */
static Oid
replaced_function(MigspecStatement *stmt, CreateFunctionStmt *create)
{
	Oid			types[FUNC_MAX_ARGS];
	int			ntypes = 0;
	ListCell   *cell;

	foreach(cell, create->parameters)
	{
		FunctionParameter *parameter = lfirst(cell);

		if (parameter->mode == FUNC_PARAM_OUT || parameter->mode == FUNC_PARAM_TABLE)
			continue;
		if (ntypes == FUNC_MAX_ARGS)
			return InvalidOid;
		types[ntypes] = migspec_check_type(stmt, parameter->argType, NULL);
		if (!OidIsValid(types[ntypes++]))
			return InvalidOid;
	}

	return LookupFuncName(create->funcname, ntypes, types, true);
}

/*
 * OR REPLACE must not change what the function returns.
 */
static void
check_result(MigspecStatement *stmt, CreateFunctionStmt *create, Oid function)
{
	Oid			type;
	ListCell   *cell;

	foreach(cell, create->parameters)
	{
		FunctionParameterMode mode = ((FunctionParameter *) lfirst(cell))->mode;

		if (mode == FUNC_PARAM_OUT || mode == FUNC_PARAM_INOUT || mode == FUNC_PARAM_TABLE)
			return;
	}
	if (!OidIsValid(function) || create->returnType == NULL)
		return;
	type = migspec_check_type(stmt, create->returnType, NULL);
	if (OidIsValid(type) && (get_func_rettype(function) != type ||
							 get_func_retset(function) != create->returnType->setof))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
				 errmsg("cannot change return type of existing function"),
				 errhint("Use %s %s first.", "DROP FUNCTION",
						 format_procedure(function))));
}

/*
 * A body in SQL that is written as statements, in lists.
 */
static void
parse_statements(MigspecStatement *stmt, Node *body)
{
	ListCell   *cell;

	if (body == NULL)
		return;
	if (IsA(body, List))
	{
		foreach(cell, (List *) body)
			parse_statements(stmt, lfirst(cell));
	}
	else if (IsA(body, SelectStmt) || IsA(body, InsertStmt) || IsA(body, UpdateStmt) ||
			 IsA(body, DeleteStmt) || IsA(body, MergeStmt))
		migspec_parse_query(stmt, body, false);
}

/*
 * The body of a function in SQL is looked at when the function is created, and
 * what it writes to is locked.
 */
static void
parse_body(MigspecStatement *stmt, CreateFunctionStmt *create)
{
	DefElem    *language = migspec_option(create->options, "language");
	DefElem    *as = migspec_option(create->options, "as");
	ListCell   *cell;

	parse_statements(stmt, create->sql_body);
	if (language == NULL || strcmp(strVal(language->arg), "sql") != 0 || as == NULL ||
		!check_function_bodies || migspec_option(create->options, "set") != NULL)
		return;
	foreach(cell, pg_parse_query(strVal(linitial((List *) as->arg))))
		parse_statements(stmt, lfirst_node(RawStmt, cell)->stmt);
}

/* see statements.h */
void
migspec_analyse_function(MigspecStatement *stmt)
{
	CreateFunctionStmt *create = (CreateFunctionStmt *) stmt->tree;
	char		volatility = named_volatility(create->options);

	if (create->replace && !create->is_procedure)
	{
		Oid			replaced = replaced_function(stmt, create);

		check_result(stmt, create, replaced);
		tell_volatility(stmt, replaced,
						volatility == '\0' ? PROVOLATILE_VOLATILE : volatility);
	}
	parse_body(stmt, create);
	migspec_script_creates(stmt, migspec_last_name(create->funcname));
	if (volatility == PROVOLATILE_STABLE || volatility == PROVOLATILE_IMMUTABLE)
		migspec_script_creates(stmt, psprintf("stable function %s",
											  migspec_last_name(create->funcname)));
}

/* see statements.h */
void
migspec_analyse_alter_function(MigspecStatement *stmt)
{
	AlterFunctionStmt *alter = (AlterFunctionStmt *) stmt->tree;

	if (alter->objtype == OBJECT_FUNCTION &&
		!migspec_world_is_new_name(stmt->world, migspec_last_name(alter->func->objname)))
		tell_volatility(stmt, LookupFuncWithArgs(OBJECT_FUNCTION, alter->func, false),
						named_volatility(alter->actions));
}
