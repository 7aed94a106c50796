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
#include "catalog/pg_constraint.h"
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

/*
 * Since 18, ADD CONSTRAINT locks all children, SET LOGGED is refused for
 * partitioned tables, and ALTER CONSTRAINT stops where nothing changes.
 */
#if PG_VERSION_NUM >= 180000
#define MIGSPEC_ADD_CONSTRAINT_LOCKS_ALL	true
#define MIGSPEC_PARTITIONED_LOGGED			false
#define MIGSPEC_DEFERRABLE_ALWAYS_RECURSES	false
#define MIGSPEC_FK_COMPARES_COLLATIONS		true
#define MIGSPEC_RAW_PERIOD(con)				((con)->fk_with_period)
#else
#define MIGSPEC_ADD_CONSTRAINT_LOCKS_ALL	false
#define MIGSPEC_PARTITIONED_LOGGED			true
#define MIGSPEC_DEFERRABLE_ALWAYS_RECURSES	true
#define MIGSPEC_FK_COMPARES_COLLATIONS		false
#define MIGSPEC_RAW_PERIOD(con)				false
#endif

/* an index that takes two NULLs for equal cannot be a primary key's */
#if PG_VERSION_NUM >= 160000
#define MIGSPEC_KEY_NEEDS_DISTINCT_NULLS	true
#else
#define MIGSPEC_KEY_NEEDS_DISTINCT_NULLS	false
#endif

/* virtual generated columns exist since 18 */
#ifndef ATTRIBUTE_GENERATED_VIRTUAL
#define ATTRIBUTE_GENERATED_VIRTUAL 'v'
#endif

/* ALTER CONSTRAINT has a parse node of its own since 18, and can do more */
typedef struct MigspecAlterConstraint
{
	const char *name;
	bool		deferrability;	/* changes that */
	bool		deferrable;
	bool		deferred;
	bool		enforceability; /* likewise */
	bool		enforced;
	bool		inheritability; /* likewise */
	bool		no_inherit;
} MigspecAlterConstraint;

static inline MigspecAlterConstraint
migspec_alter_constraint_node(const Node *def)
{
	MigspecAlterConstraint result = {0};

#if PG_VERSION_NUM >= 180000
	const		ATAlterConstraint *node = (const ATAlterConstraint *) def;

	result.name = node->conname;
	result.deferrability = node->alterDeferrability;
	result.deferrable = node->deferrable;
	result.deferred = node->initdeferred;
	result.enforceability = node->alterEnforceability;
	result.enforced = node->is_enforced;
	result.inheritability = node->alterInheritability;
	result.no_inherit = node->noinherit;
#else
	const Constraint *node = (const Constraint *) def;

	result.name = node->conname;
	result.deferrability = true;
	result.deferrable = node->deferrable;
	result.deferred = node->initdeferred;
#endif
	return result;
}

/* number of the present transaction of this process: moved since 17 */
#if PG_VERSION_NUM >= 170000
#define MIGSPEC_MY_LXID (MyProc->vxid.lxid)
#else
#define MIGSPEC_MY_LXID (MyProc->lxid)
#endif

/* NOT ENFORCED and PERIOD exist since 18, and NOT NULL as a constraint */
#ifndef CONSTRAINT_NOTNULL
#define CONSTRAINT_NOTNULL 'n'
#endif
#if PG_VERSION_NUM >= 180000
#define MIGSPEC_CONSTRAINT_ENFORCED(con)	((con)->conenforced)
#define MIGSPEC_CONSTRAINT_PERIOD(con)		((con)->conperiod)
#define MIGSPEC_NOT_NULL_CONSTRAINTS		true
#define MIGSPEC_PARTITIONED_FK_NOT_VALID	true
#define MIGSPEC_RAW_WITHOUT_OVERLAPS(con)	((con)->without_overlaps)
#define MIGSPEC_RAW_ENFORCED(con)			((con)->is_enforced)
#define MIGSPEC_RAW_GENERATED_KIND(con)		((con)->generated_kind)
#define MIGSPEC_RAW_SET_NOT_ENFORCED(con)	((con)->is_enforced = false)
#define MIGSPEC_IS_NOT_ENFORCED(con)		((con)->contype == CONSTR_ATTR_NOT_ENFORCED)
#else
#define MIGSPEC_CONSTRAINT_ENFORCED(con)	true
#define MIGSPEC_CONSTRAINT_PERIOD(con)		false
#define MIGSPEC_NOT_NULL_CONSTRAINTS		false
#define MIGSPEC_PARTITIONED_FK_NOT_VALID	false
#define MIGSPEC_RAW_WITHOUT_OVERLAPS(con)	false
#define MIGSPEC_RAW_ENFORCED(con)			true
#define MIGSPEC_RAW_GENERATED_KIND(con)		ATTRIBUTE_GENERATED_STORED
#define MIGSPEC_RAW_SET_NOT_ENFORCED(con)	((void) 0)
#define MIGSPEC_IS_NOT_ENFORCED(con)		false
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

/* the i-th session, from 1; new name since 16 */
#if PG_VERSION_NUM >= 160000
#define migspec_local_beentry(i) pgstat_get_local_beentry_by_index(i)
#else
#define migspec_local_beentry(i) pgstat_fetch_stat_local_beentry(i)
#endif

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

/* what transformRelOptions() takes names of namespaces as */
#if PG_VERSION_NUM >= 180000
typedef const char *const MigspecOptionNamespace;
#else
typedef char *MigspecOptionNamespace;
#endif

/* the strategy of PARTITION BY is a word before 16 */
#if PG_VERSION_NUM >= 160000
#define MIGSPEC_PARTITION_STRATEGY(spec)	((char) (spec)->strategy)
#else
#define MIGSPEC_PARTITION_STRATEGY(spec)	((spec)->strategy[0])
#endif

/* since 17 */
#if PG_VERSION_NUM >= 170000
#define MIGSPEC_SET_EXPRESSION
#define MIGSPEC_PARTITIONED_IDENTITY	true
#define MIGSPEC_PARTITIONED_METHOD		true
#define MIGSPEC_PARTITIONED_EXCLUSION	true
#define MIGSPEC_REWRITE_NEEDS_ROW_TYPE	true
#else
#define MIGSPEC_PARTITIONED_IDENTITY	false
#define MIGSPEC_PARTITIONED_METHOD		false
#define MIGSPEC_PARTITIONED_EXCLUSION	false
#define MIGSPEC_REWRITE_NEEDS_ROW_TYPE	false
#endif

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

/* parsers of names: an error context since 16 */
#if PG_VERSION_NUM >= 160000
#define migspec_stringToQualifiedNameList(s) stringToQualifiedNameList(s, NULL)
#define migspec_typeStringToTypeName(s) typeStringToTypeName(s, NULL)
#else
#define migspec_stringToQualifiedNameList(s) stringToQualifiedNameList(s)
#define migspec_typeStringToTypeName(s) typeStringToTypeName(s)
#endif

#define MIGSPEC_UTILITY_PARAMS \
	PlannedStmt *pstmt, const char *queryString, bool readOnlyTree, \
	ProcessUtilityContext context, ParamListInfo params, \
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc
#define MIGSPEC_UTILITY_ARGS \
	pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc

/* generated columns that store nothing */
#define MIGSPEC_VIRTUAL_COLUMNS		(PG_VERSION_NUM >= 180000)

/* VACUUM and ANALYZE go to the children of any table, not only of partitioned
 * ones, since 18 */
#define MIGSPEC_VACUUM_CHILDREN		(PG_VERSION_NUM >= 180000)

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
