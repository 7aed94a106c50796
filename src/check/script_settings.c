/*-------------------------------------------------------------------------
 *
 * script_settings.c
 *		Settings that a script makes, as far as they matter to the analysis.
 *
 * Those that say what names and values mean are really set, at a level of
 * their own that the caller of the analysis ends: the server's functions for
 * parse analysis look at them.  Timeouts are only noted in the world.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"

#include "check/check.h"
#include "check/script.h"

/* a setting, and what it was before */
typedef struct Change
{
	const char *name;			/* one of those below */
	char	   *old;
	bool		is_local;		/* until the end of the transaction */
} Change;

struct MigspecScriptSettings
{
	MigspecWorld *world;
	List	   *changes;		/* of Change *, in this transaction */
	char	   *search_path;	/* of the session */
};

/* a setting to be tried */
typedef struct Trial
{
	const char *name;
	VariableSetStmt *stmt;
	char	   *value;			/* NULL: its default */
} Trial;

/* really set */
static const char *const meanings[] = {
	"search_path", "TimeZone", "DateStyle", "IntervalStyle",
	"default_tablespace", "default_table_access_method",
};

/* only noted */
static const char *const timeouts[] = {
	"lock_timeout", "statement_timeout",
};

MigspecScriptSettings *
migspec_script_settings_create(MigspecWorld *world)
{
	MigspecScriptSettings *settings = palloc0(sizeof(MigspecScriptSettings));

	settings->world = world;
	settings->search_path = pstrdup(namespace_search_path);
	return settings;
}

static const char *
known_name(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (name != NULL && pg_strcasecmp(name, names[i]) == 0)
			return names[i];
	}
	return NULL;
}

static bool
is_timeout(const char *name)
{
	return known_name(name, timeouts, lengthof(timeouts)) != NULL;
}

static int *
timeout_of(MigspecWorld *world, const char *name)
{
	return strcmp(name, "lock_timeout") == 0 ? &world->lock_timeout :
		&world->statement_timeout;
}

static GucContext
context(void)
{
	return superuser() ? PGC_SUSET : PGC_USERSET;
}

/*
 * The name of the setting, and the value it is given.
 */
static void
try_setting(void *arg)
{
	Trial	   *trial = arg;
	int			ms;

	if (trial->stmt != NULL)
		trial->value = ExtractSetVariableArgs(trial->stmt);
	if (trial->value == NULL)
		return;
	if (is_timeout(trial->name))
	{
		const char *hint = NULL;

		if (!parse_int(trial->value, &ms, GUC_UNIT_MS, &hint) || ms < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for parameter \"%s\": \"%s\"",
							trial->name, trial->value),
					 hint ? errhint("%s", hint) : 0));
	}
	else
		(void) set_config_option(trial->name, trial->value, context(), PGC_S_SESSION,
								 GUC_ACTION_SAVE, false, ERROR, false);
}

static char *
present_value(MigspecScriptSettings *settings, const char *name)
{
	if (is_timeout(name))
		return psprintf("%d", *timeout_of(settings->world, name));
	return GetConfigOptionByName(name, NULL, false);
}

static void
set(MigspecScriptSettings *settings, const char *name, const char *value)
{
	MigspecWorld *world = settings->world;

	if (is_timeout(name))
	{
		if (value == NULL)
			value = GetConfigOptionResetString(name);
		(void) parse_int(value, timeout_of(world, name), GUC_UNIT_MS, NULL);
		return;
	}
	(void) set_config_option(name, value, context(), PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, WARNING, false);
	if (strcmp(name, "search_path") == 0)
	{
		MemoryContext old = MemoryContextSwitchTo(world->context);

		world->search_path = NIL;
		if (strcmp(namespace_search_path, settings->search_path) != 0)
		{
			List	   *names;

			if (SplitIdentifierString(pstrdup(namespace_search_path), ',', &names) &&
				names != NIL)
				world->search_path = names;
			else
				world->search_path = list_make1(pstrdup(""));
		}
		MemoryContextSwitchTo(old);
	}
}

/*
 * The value of a constant in a function call, or NULL.
 */
static char *
const_string(Node *node)
{
	if (node != NULL && IsA(node, TypeCast))
		node = ((TypeCast *) node)->arg;
	if (node == NULL || !IsA(node, A_Const) || ((A_Const *) node)->isnull)
		return NULL;
	if (IsA(&((A_Const *) node)->val, String))
		return strVal(&((A_Const *) node)->val);
	if (IsA(&((A_Const *) node)->val, Boolean))
		return boolVal(&((A_Const *) node)->val) ? "true" : "false";
	return NULL;
}

/*
 * SELECT [pg_catalog.]set_config('name', 'value', is_local), as in dumps.
 */
static bool
is_set_config(Node *tree, char **name, char **value, bool *is_local)
{
	SelectStmt *select = (SelectStmt *) tree;
	FuncCall   *call;
	char	   *local;

	if (!IsA(tree, SelectStmt) || list_length(select->targetList) != 1 ||
		select->fromClause != NIL)
		return false;
	call = (FuncCall *) linitial_node(ResTarget, select->targetList)->val;
	if (!IsA(call, FuncCall) || list_length(call->args) != 3 ||
		strcmp(strVal(llast(call->funcname)), "set_config") != 0)
		return false;
	*name = const_string(linitial(call->args));
	*value = const_string(lsecond(call->args));
	local = const_string(lthird(call->args));
	if (*name == NULL || *value == NULL || local == NULL)
		return false;
	*is_local = local[0] == 't';
	return true;
}

/*
 * migspec_script_settings_apply -- see script.h.
 *
 * Returns the error of the value, or NULL.
 */
ErrorData *
migspec_script_settings_apply(MigspecScriptSettings *settings, Node *tree)
{
	Trial		trial = {0};
	char	   *name = NULL;
	bool		is_local = false;
	ErrorData  *error;

	if (IsA(tree, VariableSetStmt))
	{
		VariableSetStmt *stmt = (VariableSetStmt *) tree;

		if (stmt->kind == VAR_SET_CURRENT || stmt->kind == VAR_SET_MULTI)
			return NULL;
		if (stmt->kind == VAR_RESET_ALL)
		{
			for (int i = 0; i < (int) lengthof(timeouts); i++)
				set(settings, timeouts[i], NULL);
			for (int i = 0; i < (int) lengthof(meanings); i++)
				set(settings, meanings[i], NULL);
			return NULL;
		}
		name = stmt->name;
		is_local = stmt->is_local;
		trial.stmt = stmt->kind == VAR_SET_VALUE ? stmt : NULL;
	}
	else if (!is_set_config(tree, &name, &trial.value, &is_local))
		return NULL;

	trial.name = known_name(name, meanings, lengthof(meanings));
	if (trial.name == NULL)
		trial.name = known_name(name, timeouts, lengthof(timeouts));
	if (trial.name == NULL)
		return NULL;
	error = migspec_check_try(try_setting, &trial);
	/* of a table space or method that the script creates nothing is known */
	if (error != NULL && trial.value != NULL &&
		migspec_world_is_new_name(settings->world, trial.value))
		return NULL;
	if (error != NULL || (is_local && !settings->world->in_transaction))
		return error;
	if (settings->world->in_transaction)
	{
		Change	   *change = palloc0(sizeof(Change));

		change->name = trial.name;
		change->old = present_value(settings, trial.name);
		change->is_local = is_local;
		settings->changes = lappend(settings->changes, change);
	}
	set(settings, trial.name, trial.value);
	return NULL;
}

int
migspec_script_settings_mark(const MigspecScriptSettings *settings)
{
	return list_length(settings->changes);
}

void
migspec_script_settings_rollback(MigspecScriptSettings *settings, int mark)
{
	while (list_length(settings->changes) > mark)
	{
		Change	   *change = llast(settings->changes);

		set(settings, change->name, change->old);
		settings->changes = list_delete_last(settings->changes);
	}
}

/*
 * SET LOCAL ends with the transaction, unless SET came after it.
 */
void
migspec_script_settings_commit(MigspecScriptSettings *settings)
{
	List	   *kept = NIL;		/* of char *: set for the session */

	while (settings->changes != NIL)
	{
		Change	   *change = llast(settings->changes);

		if (!change->is_local)
			kept = lappend(kept, unconstify(char *, change->name));
		else if (!list_member_ptr(kept, change->name))
			set(settings, change->name, change->old);
		settings->changes = list_delete_last(settings->changes);
	}
}
