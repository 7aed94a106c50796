/*-------------------------------------------------------------------------
 *
 * dbhook.c
 *		Making room for commands that need a database for themselves.
 *
 * DROP DATABASE, ALTER DATABASE ... RENAME TO, ALTER DATABASE ... SET
 * TABLESPACE and CREATE DATABASE ... TEMPLATE fail while anybody is connected
 * to the database.  Our workers are, but nobody should have to know: this
 * hook runs in the session that gives the command, keeps new workers from
 * starting, sends those that run home, waits until they are gone, and lets
 * them come back when the command has ended, one way or the other.
 *
 * Takes no lock while it waits.
 *
 * Crash behaviour: the block is in shared memory and goes with it; if only
 * the session ends, an exit callback removes the block.
 *
 * Interleavings that must be survived:
 *
 * - A worker is started at the same moment: see shmem.c.
 * - Two sessions copy the same database: each has a block of its own.
 * - The command fails, or is cancelled while it waits: the block is removed,
 *	 and the launcher, which is woken by that, starts the scheduler again.
 * - A worker does not come to its end in time: the command is run anyway,
 *	 and says itself that the database is in use.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "tcop/utility.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "bgw/worker.h"
#include "flags/sample.h"
#include "trigger/tally.h"
#include "usage/usage.h"

/* how long to wait for workers to end (ms), and how often to look */
#define LONGEST_WAIT	30000
#define WAIT_SLICE		50

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* The string value of an option, NULL if it is not among the options */
static char *
option_value(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, name) == 0)
			return option->arg != NULL ? defGetString(option) : NULL;
	}
	return NULL;
}

/*
 * Name of the database that the command needs for itself, NULL if it needs
 * none.
 */
static const char *
database_of_command(Node *command)
{
	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			return castNode(DropdbStmt, command)->dbname;
		case T_RenameStmt:
			{
				RenameStmt *stmt = castNode(RenameStmt, command);

				return stmt->renameType == OBJECT_DATABASE ?
					stmt->subname : NULL;
			}
		case T_AlterDatabaseStmt:
			{
				AlterDatabaseStmt *stmt = castNode(AlterDatabaseStmt, command);

				return option_value(stmt->options, "tablespace") != NULL ?
					stmt->dbname : NULL;
			}
		case T_CreatedbStmt:
			{
				CreatedbStmt *stmt = castNode(CreatedbStmt, command);
				const char *source = option_value(stmt->options, "template");

				return source != NULL ? source : "template1";
			}
		default:
			return NULL;
	}
}

/*
 * The database whose workers have to go for this command, InvalidOid if
 * nothing is to be done.  Whoever may not give the command must not be able
 * to stop workers with it either; the command itself says so.
 */
static Oid
database_to_empty(Node *command)
{
	const char *name = database_of_command(command);
	Oid			dboid;

	if (name == NULL || !IsTransactionState())
		return InvalidOid;
	dboid = get_database_oid(name, true);
	if (!OidIsValid(dboid) || dboid == MyDatabaseId ||
		!migspec_owns_database(dboid, GetUserId()))
		return InvalidOid;
	return dboid;
}

static void
unblock(int code, Datum arg)
{
	migspec_database_unblock(DatumGetObjectId(arg));
}

/* Wait until no worker of the database is left. */
static void
empty_database(Oid dboid)
{
	static uint32 wait_event = 0;
	TimestampTz start = GetCurrentTimestamp();

	while (migspec_database_terminate(dboid) > 0)
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   LONGEST_WAIT))
			break;
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 WAIT_SLICE,
						 migspec_wait_event(&wait_event, "MigspecDatabaseEmpty"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
call_next(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
		  ProcessUtilityContext context, ParamListInfo params,
		  QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(pstmt, queryString, readOnlyTree, context,
							params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

static pg_attribute_hot void
process_utility(PlannedStmt *pstmt, const char *queryString,
				bool readOnlyTree, ProcessUtilityContext context,
				ParamListInfo params, QueryEnvironment *queryEnv,
				DestReceiver *dest, QueryCompletion *qc)
{
	Oid			dboid = database_to_empty(pstmt->utilityStmt);
	Datum		arg = ObjectIdGetDatum(dboid);

	if (!OidIsValid(dboid))
	{
		call_next(pstmt, queryString, readOnlyTree, context, params,
				  queryEnv, dest, qc);
		return;
	}

	migspec_database_block(dboid);
	PG_ENSURE_ERROR_CLEANUP(unblock, arg);
	{
		empty_database(dboid);
		call_next(pstmt, queryString, readOnlyTree, context, params,
				  queryEnv, dest, qc);
	}
	PG_END_ENSURE_ERROR_CLEANUP(unblock, arg);
	if (IsA(pstmt->utilityStmt, DropdbStmt))
	{
		migspec_tally_forget_database(dboid);
		migspec_sample_forget_database(dboid);
		migspec_usage_forget_database(dboid);
	}
	migspec_database_unblock(dboid);
}

/* Install the hook.  Only when the library is preloaded. */
void
migspec_dbhook_init(void)
{
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
