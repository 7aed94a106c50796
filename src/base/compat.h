/*-------------------------------------------------------------------------
 *
 * compat.h
 *		Differences between PostgreSQL 15, 16, 17 and 18.
 *
 * The only place that looks at PG_VERSION_NUM.  Code is written for the newest
 * version; what older ones lack or call otherwise is made up for here.  In
 * alphabetical order.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_COMPAT_H
#define MIGSPEC_COMPAT_H

#include "postgres.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/wait_event.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* in minor releases of 15 to 18 since November 2026, not in earlier ones */
#ifndef ATTRIBUTE_VERSION_ATTOPTION
#define ATTRIBUTE_VERSION_ATTOPTION "pg_attver"
#endif

#if PG_VERSION_NUM < 150000
#error "migspec needs PostgreSQL 15 or newer"
#endif

/* NOT ENFORCED and PERIOD exist since 18, and NOT NULL as a constraint */
#if PG_VERSION_NUM >= 180000
#define MIGSPEC_CONSTRAINT_ENFORCED(con)	((con)->conenforced)
#define MIGSPEC_CONSTRAINT_PERIOD(con)		((con)->conperiod)
#define MIGSPEC_NOT_NULL_CONSTRAINTS		true
#else
#define MIGSPEC_CONSTRAINT_ENFORCED(con)	true
#define MIGSPEC_CONSTRAINT_PERIOD(con)		false
#define MIGSPEC_NOT_NULL_CONSTRAINTS		false
#endif

/* one function for all classes since 16 */
static inline bool
migspec_may_create_in(Oid nspoid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(NamespaceRelationId, nspoid, roleid,
						   ACL_CREATE) == ACLCHECK_OK;
#else
	return pg_namespace_aclcheck(nspoid, roleid, ACL_CREATE) == ACLCHECK_OK;
#endif
}

static inline bool
migspec_may_create_in_database(void)
{
#if PG_VERSION_NUM >= 160000
	return object_aclcheck(DatabaseRelationId, MyDatabaseId, GetUserId(),
						   ACL_CREATE) == ACLCHECK_OK;
#else
	return pg_database_aclcheck(MyDatabaseId, GetUserId(), ACL_CREATE) == ACLCHECK_OK;
#endif
}

static inline bool
migspec_owns_database(Oid dboid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, dboid, roleid);
#else
	return pg_database_ownercheck(dboid, roleid);
#endif
}

static inline bool
migspec_owns_relation(Oid relid, Oid roleid)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(RelationRelationId, relid, roleid);
#else
	return pg_class_ownercheck(relid, roleid);
#endif
}

/* a statistics target, -1 for the default, which is NULL since 17 */
static inline int
migspec_stattarget(int cacheid, HeapTuple tuple, AttrNumber attno)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(cacheid, tuple, attno, &isnull);

#if PG_VERSION_NUM >= 170000
	return isnull ? -1 : DatumGetInt16(datum);
#else
	return isnull ? -1 : DatumGetInt32(datum);
#endif
}

/* arguments of hooks, for a function that is one and calls another */
#if PG_VERSION_NUM >= 180000
#define MIGSPEC_EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count
#define MIGSPEC_EXECUTOR_RUN_ARGS queryDesc, direction, count
#else
#define MIGSPEC_EXECUTOR_RUN_PARAMS \
	QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once
#define MIGSPEC_EXECUTOR_RUN_ARGS queryDesc, direction, count, execute_once
#endif

/* what a statement may do to a relation: lists of their own since 16 */
#if PG_VERSION_NUM >= 160000
typedef RTEPermissionInfo MigspecPermissions;
#define MIGSPEC_PERMISSIONS(stmt)		((stmt)->permInfos)
#define MIGSPEC_HAS_PERMISSIONS(perms)	true
#else
typedef RangeTblEntry MigspecPermissions;
#define MIGSPEC_PERMISSIONS(stmt)		((stmt)->rtable)
#define MIGSPEC_HAS_PERMISSIONS(perms) \
	((perms)->rtekind == RTE_RELATION && (perms)->requiredPerms != 0)
#endif

/* PortalRun: run_once is gone since 18 */
#if PG_VERSION_NUM >= 180000
#define MIGSPEC_PORTAL_RUN(portal, count, top, dest, altdest, completion) \
	PortalRun(portal, count, top, dest, altdest, completion)
#else
#define MIGSPEC_PORTAL_RUN(portal, count, top, dest, altdest, completion) \
	PortalRun(portal, count, top, true, dest, altdest, completion)
#endif

/* says more about errors since 16 */
#if PG_VERSION_NUM >= 160000
#define migspec_DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tzp) \
	DecodeDateTime(field, ftype, nf, dtype, tm, fsec, tzp, &(DateTimeErrorExtra) {0})
#else
#define migspec_DecodeDateTime	DecodeDateTime
#endif

/* parser of type names: an error context since 16 */
#if PG_VERSION_NUM >= 160000
#define migspec_typeStringToTypeName(s) typeStringToTypeName(s, NULL)
#else
#define migspec_typeStringToTypeName(s) typeStringToTypeName(s)
#endif

#define MIGSPEC_UTILITY_PARAMS \
	PlannedStmt *pstmt, const char *queryString, bool readOnlyTree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define MIGSPEC_UTILITY_ARGS \
	pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc

/*
 * Wait events with names of their own exist since 17.  "cache" is a static
 * variable of the caller, initially 0.
 */
static inline uint32
migspec_wait_event(uint32 *cache, const char *name)
{
#if PG_VERSION_NUM >= 170000
	if (*cache == 0)
		*cache = WaitEventExtensionNew(name);
#else
	*cache = PG_WAIT_EXTENSION;
#endif
	return *cache;
}

/* new name since 16 */
#if PG_VERSION_NUM < 160000
#define rd_firstRelfilelocatorSubid rd_firstRelfilenodeSubid
#endif

/* noreturn goes in front of a declaration since 18, and only there */
#ifndef pg_noreturn
#define pg_noreturn __attribute__((noreturn))
#endif

#endif							/* MIGSPEC_COMPAT_H */
