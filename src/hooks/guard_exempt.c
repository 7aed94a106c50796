/*-------------------------------------------------------------------------
 *
 * guard_exempt.c
 *		Whom the guard must let pass.
 *
 * Runs in sessions.  There are those who are never hindered (extensions'
 * scripts, restores, processes of the server), those whom an administrator
 * has listed, and transactions that have called migspec_guard_override().
 *
 * A restore builds the indexes and keys of large tables after it has filled
 * them, in transactions of their own, and in several sessions if it is told
 * so: nothing about a table says that nobody uses it yet.  But everything that
 * pg_dump writes, be it for pg_restore or for psql, begins with a number of
 * settings that hardly anybody else makes: check_function_bodies and
 * row_security are off, and the search_path is empty.  This is no protection
 * against somebody who imitates it, nor need it be: the guard prevents
 * accidents.  The server's log tells once per session that it was let pass.
 *
 * The override is forgotten at the end of the transaction, and when the
 * subtransaction that made it is rolled back.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "replication/logicalworker.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/rls.h"

#include "base/guc.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "hooks/guard.h"

PG_FUNCTION_INFO_V1(migspec_guard_override);

/* the override of this transaction; NULL if there is none */
static char *override_reason = NULL;
static SubTransactionId override_subid = InvalidSubTransactionId;
static bool registered = false; /* the callbacks of the transaction */

/* see guard.h */
bool
migspec_guard_is_restoring(void)
{
	static bool told = false;

	if (check_function_bodies || row_security ||
		(namespace_search_path[0] != '\0' && strcmp(namespace_search_path, "\"\"") != 0))
		return false;
	if (!told)
		ereport(LOG_SERVER_ONLY,
				(errmsg("the guards of migspec let this session restore a dump")));
	told = true;
	return true;
}

/*
 * Is the role in the list, as itself or as a member?  That superusers are
 * members of everything does not count.
 */
static bool
is_allowed_role(Oid roleid)
{
	List	   *names = migspec_split_list(migspec_guard_allow_roles);
	bool		allowed = false;
	ListCell   *lc;

	foreach(lc, names)
	{
		Oid			listed = get_role_oid(lfirst(lc), true);

		allowed = allowed || (OidIsValid(listed) &&
							  is_member_of_role_nosuper(roleid, listed));
	}
	list_free_deep(names);
	return allowed;
}

static bool
is_allowed_tag(Node *statement)
{
	const char *tag = GetCommandTagName(CreateCommandTag(statement));
	List	   *tags = migspec_split_list(migspec_guard_allow_tags);
	bool		allowed = false;
	ListCell   *lc;

	foreach(lc, tags)
		allowed = allowed || pg_strcasecmp(lfirst(lc), tag) == 0;
	list_free_deep(tags);
	return allowed;
}

/*
 * A table that is created concerns others only if it is attached to one of
 * theirs.
 */
static bool
is_harmless_create(Node *statement)
{
	CreateStmt *create = (CreateStmt *) statement;

	return IsA(statement, CreateStmt) &&
		(create->relation->relpersistence == RELPERSISTENCE_TEMP ||
		 (create->inhRelations == NIL && create->partbound == NULL &&
		  create->tableElts == NIL && create->constraints == NIL));
}

/* see guard.h */
bool
migspec_guard_is_exempt(Node *statement)
{
	if (creating_extension || MyBackendType == B_AUTOVAC_WORKER || IsLogicalWorker() ||
		is_harmless_create(statement) || migspec_guard_is_restoring())
		return true;
	if (migspec_guard_allow_roles[0] != '\0' &&
		(is_allowed_role(GetUserId()) || is_allowed_role(GetSessionUserId())))
		return true;
	return migspec_guard_allow_tags[0] != '\0' && is_allowed_tag(statement);
}

/* see guard.h */
const char *
migspec_guard_override_reason(void)
{
	return override_reason;
}

static void
forget_override(void)
{
	override_reason = NULL;
	override_subid = InvalidSubTransactionId;
}

/* The text itself goes with the transaction's memory. */
static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_override();
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	if (override_subid != mySubid || override_reason == NULL)
		return;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		forget_override();
	else if (event == SUBXACT_EVENT_COMMIT_SUB)
		override_subid = parentSubid;
}

/*
 * migspec_guard_override(reason): what follows in this transaction is not
 * looked at.  Who may call it is a matter of EXECUTE.
 */
Datum
migspec_guard_override(PG_FUNCTION_ARGS)
{
	char	   *reason = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *role;

	if (reason[strspn(reason, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a reason is needed"),
				 errhint("It is recorded in migspec.events and in the server's log.")));
	if (!IsTransactionBlock() && ActivePortal != NULL &&
		ActivePortal->commandTag == CMDTAG_SELECT)
		ereport(WARNING,
				(errcode(ERRCODE_NO_ACTIVE_SQL_TRANSACTION),
				 errmsg("migspec_guard_override ends with its transaction"),
				 errhint("Begin a transaction block, call it there, and then run the statement.")));

	role = GetUserNameFromId(GetUserId(), false);
	migspec_event(0, NULL, "guard_overridden", true,
				  "reason", reason, "role", role, (char *) NULL);
	ereport(LOG_SERVER_ONLY,
			(errmsg("role \"%s\" overrides migspec.guard for a transaction: %s",
					role, reason)));
	if (!registered)
	{
		RegisterXactCallback(xact_callback, NULL);
		RegisterSubXactCallback(subxact_callback, NULL);
		registered = true;
	}
	if (override_reason == NULL)
		override_subid = GetCurrentSubTransactionId();
	override_reason = MemoryContextStrdup(TopTransactionContext, reason);

	PG_RETURN_VOID();
}
