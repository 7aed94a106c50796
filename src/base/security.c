/*-------------------------------------------------------------------------
 *
 * security.c
 *		Running code with somebody else's rights.
 *
 * Every switch sets the user and a safe search_path together: either half
 * alone can be used to make the other's code run.  The same is done by the
 * server's own maintenance commands since version 17.
 *
 * Abort of the (sub)transaction restores both the user and the settings, so
 * callers need no PG_TRY.  A transaction must not be committed in between.
 *
 * SECURITY_RESTRICTED_OPERATION keeps code of the owner from leaving traces
 * that would run later with the caller's rights: it cannot change role,
 * create temporary objects, LISTEN, open cursors, or queue deferred triggers.
 * None of the DDL that migrations run needs any of these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "migspec.h"

/*
 * Become "userid" with the given flags added, remembering who we were.
 */
static void
switch_identity(Oid userid, int flags, MigspecIdentity *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(userid, saved->sec_context | flags);
	saved->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}

/*
 * Become the owner of a user's table, for expressions and DML.  All rows are
 * visible, also those that FORCE ROW LEVEL SECURITY hides from the owner.
 */
void
migspec_become_owner(Oid owner, MigspecIdentity *saved)
{
	switch_identity(owner,
					SECURITY_RESTRICTED_OPERATION | SECURITY_NOFORCE_RLS,
					saved);
}

/*
 * Become the owner of a user's table, for DDL.  That can run functions of
 * users, too: in CHECK constraints, in index expressions, in event triggers.
 */
void
migspec_become_owner_for_ddl(Oid owner, MigspecIdentity *saved)
{
	switch_identity(owner, SECURITY_RESTRICTED_OPERATION, saved);
}

/*
 * Owner of our extension.  Errors out if it is not installed in this database.
 */
static Oid
extension_owner(void)
{
	Oid			extension = get_extension_oid(MIGSPEC_EXTENSION, false);
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;
	Oid			owner;

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("extension \"%s\" does not exist",
						MIGSPEC_EXTENSION)));
	owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);

	return owner;
}

/*
 * Become the owner of the extension, for our own catalog tables.  Only our
 * own code runs in this state.
 */
void
migspec_become_extension(MigspecIdentity *saved)
{
	switch_identity(extension_owner(), SECURITY_LOCAL_USERID_CHANGE, saved);
}

/*
 * Undo migspec_become_...().
 */
void
migspec_restore_identity(const MigspecIdentity *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}

/*
 * Error MG107 unless the current user owns the table, as itself, through
 * membership, or as a superuser.
 */
void
migspec_check_owner(Oid relid)
{
	Oid			owner;
	HeapTuple	tuple;
	char	   *owner_name;

	if (migspec_owns_relation(relid, GetUserId()))
		return;

	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	owner_name = GetUserNameFromId(owner, false);
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_NOT_OWNER),
			 errmsg("must be owner of table \"%s\"", get_rel_name(relid)),
			 errdetail("The table belongs to role \"%s\", and the current role is \"%s\".",
					   owner_name, GetUserNameFromId(GetUserId(), false)),
			 errhint("Do it as role \"%s\", as a member of that role, or as a superuser.",
					 owner_name)));
}
