/*-------------------------------------------------------------------------
 *
 * guard_backstop.c
 *		Rewrites that nobody has foreseen are stopped.
 *
 * Runs in a session, in the middle of a DDL statement that the guard has let
 * begin.  Whatever rewrites a table (ALTER TABLE, VACUUM FULL, CLUSTER,
 * REFRESH) first creates a new, empty one, of which an object access hook is
 * told.  By then the lock is held, but no row has been copied.  (The event
 * table_rewrite would tell of ALTER TABLE only, and an event trigger makes
 * the server keep a list of what every DDL statement in the database does.)
 *
 * So this is where a statement ends up whose effect the analysis got wrong,
 * or whose name has got to mean another table meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/guc.h"
#include "engine/ddl.h"
#include "hooks/guard.h"

static object_access_hook_type prev_object_access = NULL;
static bool is_limited = false;

/* see guard.h */
bool
migspec_guard_limit_rewrites(bool limited)
{
	bool		before = is_limited;

	is_limited = limited;
	return before;
}

/*
 * The table that a new one, whose row is not visible yet, will replace;
 * InvalidOid if it is no such thing.  A temporary one is what REFRESH ...
 * CONCURRENTLY compares with; that stops nobody.
 */
static Oid
rewritten_table(Oid transient)
{
	Relation	catalog = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			relid = InvalidOid;

	ScanKeyInit(&key, Anum_pg_class_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(transient));
	scan = systable_beginscan(catalog, ClassOidIndexId, true, SnapshotSelf, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		((Form_pg_class) GETSTRUCT(tuple))->relkind == RELKIND_RELATION &&
		((Form_pg_class) GETSTRUCT(tuple))->relpersistence != RELPERSISTENCE_TEMP)
		relid = ((Form_pg_class) GETSTRUCT(tuple))->relrewrite;
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return relid;
}

/*
 * Can nobody but us see the table?
 */
static bool
is_ours_alone(Oid relid)
{
	Relation	rel = relation_open(relid, NoLock);
	bool		result = rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP ||
	rel->rd_createSubid != InvalidSubTransactionId;

	relation_close(rel, NoLock);
	return result;
}

/*
 * Refuse to go on if the table is too large.
 */
static void
check_rewrite(Oid relid)
{
	uint64		bytes;

	if (is_ours_alone(relid))
		return;
	bytes = DatumGetInt64(DirectFunctionCall1(pg_total_relation_size,
											  ObjectIdGetDatum(relid)));
	if (bytes <= (uint64) migspec_guard_max_bytes * 1024)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_GUARD_WORK),
			 errmsg("migspec.guard refuses to rewrite %s (%llu kB) under %s",
					quote_identifier(get_rel_name(relid)),
					(unsigned long long) bytes / 1024, "AccessExclusiveLock"),
			 errdetail("That was not foreseen before the statement began. migspec.guard_max_bytes is %d kB.",
					   migspec_guard_max_bytes),
			 errhint("To run it all the same: SELECT migspec_guard_override('why') in its transaction.")));
}

static pg_attribute_hot void
object_access(ObjectAccessType access, Oid classId, Oid objectId, int subId, void *arg)
{
	Oid			relid;

	if (prev_object_access)
		prev_object_access(access, classId, objectId, subId, arg);
	if (!is_limited || migspec_guard_max_bytes < 0 || access != OAT_POST_CREATE ||
		classId != RelationRelationId || subId != 0 || migspec_ddl_running() ||
		arg == NULL || !((ObjectAccessPostCreate *) arg)->is_internal)
		return;
	relid = rewritten_table(objectId);
	if (OidIsValid(relid))
		check_rewrite(relid);
}

/* see guard.h */
void
migspec_guard_backstop_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = object_access;
}
