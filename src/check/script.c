/*-------------------------------------------------------------------------
 *
 * script.c
 *		Analyse a script, statement by statement, or one statement alone.
 *
 * The script is thought to be run as psql would run it, here and now: each
 * statement is a transaction, unless there is a BEGIN, or was one before.  What a transaction has changed in the
 * world is undone if the script rolls it back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "check/check.h"
#include "check/script.h"

typedef struct Savepoint
{
	char	   *name;
	int			world;			/* marks */
	int			settings;
} Savepoint;

typedef struct Script
{
	MigspecWorld *world;
	MigspecScriptSettings *settings;
	MigspecScriptRules *rules;
	List	   *savepoints;		/* of Savepoint *, latest last */
} Script;

static void
end_transaction(Script *script, bool commit)
{
	MigspecWorld *world = script->world;

	if (commit)
	{
		migspec_script_settings_commit(script->settings);
		migspec_world_commit(world);
	}
	else
	{
		migspec_world_undo(world, 0);
		migspec_script_settings_rollback(script->settings, 0);
	}
	migspec_script_rules_end_transaction(script->rules);
	world->changes = NIL;
	world->new_values = NIL;
	world->in_transaction = false;
	script->savepoints = NIL;
}

/*
 * Forget the savepoints behind the one of this name; -1 if there is none.
 */
static Savepoint *
find_savepoint(Script *script, const char *name)
{
	for (int i = list_length(script->savepoints) - 1; i >= 0; i--)
	{
		Savepoint  *savepoint = list_nth(script->savepoints, i);

		if (strcmp(savepoint->name, name) == 0)
		{
			script->savepoints = list_truncate(script->savepoints, i + 1);
			return savepoint;
		}
	}
	ereport(ERROR,
			(errcode(ERRCODE_S_E_INVALID_SPECIFICATION),
			 errmsg("savepoint \"%s\" does not exist", name)));
	return NULL;				/* keep compiler quiet */
}

static void
add_savepoint(Script *script, const char *name)
{
	Savepoint  *savepoint = palloc0(sizeof(Savepoint));

	savepoint->name = pstrdup(name);
	savepoint->world = migspec_world_mark(script->world);
	savepoint->settings = migspec_script_settings_mark(script->settings);
	script->savepoints = lappend(script->savepoints, savepoint);
}

/*
 * BEGIN, COMMIT and the like.  Raises the server's errors.
 */
static void
control_transaction(Script *script, TransactionStmt *control)
{
	MigspecWorld *world = script->world;
	bool		inside = world->in_transaction;

	switch (control->kind)
	{
		case TRANS_STMT_BEGIN:
		case TRANS_STMT_START:
			world->in_transaction = true;
			break;
		case TRANS_STMT_COMMIT:
		case TRANS_STMT_PREPARE:
			end_transaction(script, true);
			world->in_transaction = inside && control->chain;
			break;
		case TRANS_STMT_ROLLBACK:
			end_transaction(script, false);
			world->in_transaction = inside && control->chain;
			break;
		case TRANS_STMT_SAVEPOINT:
		case TRANS_STMT_RELEASE:
		case TRANS_STMT_ROLLBACK_TO:
			if (!inside)
				ereport(ERROR,
						(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
						 errmsg("%s can only be used in transaction blocks",
								control->kind == TRANS_STMT_SAVEPOINT ? "SAVEPOINT" :
								control->kind == TRANS_STMT_RELEASE ? "RELEASE SAVEPOINT" :
								"ROLLBACK TO SAVEPOINT")));
			if (control->kind == TRANS_STMT_SAVEPOINT)
				add_savepoint(script, control->savepoint_name);
			else
			{
				Savepoint  *savepoint = find_savepoint(script, control->savepoint_name);

				if (control->kind == TRANS_STMT_RELEASE)
					script->savepoints = list_delete_last(script->savepoints);
				else
				{
					migspec_world_undo(world, savepoint->world);
					migspec_script_settings_rollback(script->settings,
													 savepoint->settings);
				}
			}
			break;
		case TRANS_STMT_COMMIT_PREPARED:
		case TRANS_STMT_ROLLBACK_PREPARED:
			break;
	}
}

/* for migspec_check_try() */
typedef struct Control
{
	Script	   *script;
	TransactionStmt *control;
} Control;

static void
try_control(void *arg)
{
	Control    *c = arg;

	control_transaction(c->script, c->control);
}

static void
analyse(Script *script, MigspecStatement *stmt)
{
	MigspecWorld *world = script->world;

	if (IsA(stmt->tree, TransactionStmt))
	{
		Control		control = {script, (TransactionStmt *) stmt->tree};

		stmt->in_transaction = world->in_transaction;
		stmt->error = migspec_check_try(try_control, &control);
		return;
	}
	migspec_analyse_statement(stmt, migspec_script_rules_apply, script->rules);
	if (stmt->error == NULL)
		stmt->error = migspec_script_settings_apply(script->settings, stmt->tree);
	if (!world->in_transaction)
		end_transaction(script, true);
}

/*
 * migspec_check_script -- see check.h.
 */
List *
migspec_check_script(const char *sql)
{
	Script		script = {.world = migspec_world_create(true)};
	int			nest_level = NewGUCNestLevel();
	List	   *statements = NIL;
	ListCell   *lc;

	script.world->in_transaction = IsTransactionBlock();
	script.settings = migspec_script_settings_create(script.world);
	script.rules = migspec_script_rules_create();
	foreach(lc, migspec_script_split(sql))
	{
		MigspecPiece *piece = lfirst(lc);
		MigspecStatement *stmt = palloc0(sizeof(MigspecStatement));

		stmt->world = script.world;
		stmt->number = list_length(statements) + 1;
		stmt->tree = piece->tree;
		stmt->source = piece->source;
		stmt->location = piece->location;
		stmt->error = piece->error;
		statements = lappend(statements, stmt);
		if (piece->error == NULL)
			analyse(&script, stmt);
		CHECK_FOR_INTERRUPTS();
	}
	migspec_script_rules_end_transaction(script.rules);
	AtEOXact_GUC(true, nest_level);
	return statements;
}

/*
 * migspec_check_one -- see check.h.
 */
MigspecStatement *
migspec_check_one(Node *tree, const char *source, bool may_wait, bool in_transaction)
{
	MigspecStatement *stmt = palloc0(sizeof(MigspecStatement));
	bool		need_snapshot = !ActiveSnapshotSet();

	stmt->world = migspec_world_create(may_wait);
	stmt->world->in_transaction = in_transaction;
	stmt->number = 1;
	stmt->tree = copyObject(tree);
	stmt->source = pstrdup(source);
	if (need_snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	migspec_analyse_statement(stmt, migspec_script_rules_apply,
							  migspec_script_rules_create());
	if (need_snapshot)
		PopActiveSnapshot();
	return stmt;
}
