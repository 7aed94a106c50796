/*-------------------------------------------------------------------------
 *
 * hook.c
 *		Noticing who uses an old column.
 *
 * A statement says which columns it reads and writes in its permission lists,
 * which the parser fills in from the names that occur, wherever they occur: a
 * SELECT list or "*", WHERE, RETURNING, the definition of a view, the query of
 * a function.  They are part of the plan, so a prepared one has them too.  The
 * hook looks at them when a statement starts; COPY of a table is no query, so
 * it is looked at where utility statements pass.
 *
 * This runs with every statement of every session, so tables that do not
 * migrate must cost next to nothing: a small table of its own, which each
 * backend keeps, has the old columns of the relations it met last, and most
 * have none.  Relation cache invalidation empties it, and every change of a
 * sync trigger sends one.
 *
 * What is read of an old column without any name is nobody's use: foreign key
 * checks, our own workers, and processes that only help (parallel workers).
 *
 * Runs in sessions.  Takes no lock but that of store.c.
 *
 * Interleavings that must be survived:
 * - The trigger comes or changes between two executions of a prepared plan:
 *	 the invalidation arrives when the second one locks the table.
 * - An invalidation arrives while a relation is looked up: the answer is used
 *	 once and not kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/parallel.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "commands/copy.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/relcache.h"
#include "utils/rls.h"
#include "utils/timestamp.h"

#include "base/compat.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "trigger/sync.h"
#include "usage/usage.h"

/* relations that a backend remembers; a power of two */
#define KNOWN_RELATIONS		256

/* An old column of a relation that migrates */
typedef struct OldColumn
{
	AttrNumber	attno;			/* in the relation that the statement names */
	bool		ignored;		/* whoever "key" says is not counted */
	int			ignore_version; /* of the setting that says so */
	uint64		number;			/* of the key in shared memory; 0: not known */
	MigspecUsageKey key;		/* who used it last, here */
} OldColumn;

typedef struct Known
{
	Oid			relid;			/* InvalidOid: nothing is known here */
	int			ncolumns;
	OldColumn  *columns;
} Known;

bool		migspec_usage_off = false;

static Known known[KNOWN_RELATIONS];
static MemoryContext context = NULL;
static uint64 generation = 0;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;
static ProcessUtility_hook_type prev_ProcessUtility = NULL;

static void
forget(Known *slot)
{
	slot->relid = InvalidOid;
	slot->ncolumns = 0;
	if (slot->columns)
		pfree(slot->columns);
	slot->columns = NULL;
}

static void
relcache_callback(Datum arg, Oid relid)
{
	generation++;
	if (OidIsValid(relid))
	{
		forget(&known[relid % KNOWN_RELATIONS]);
		return;
	}
	for (int i = 0; i < KNOWN_RELATIONS; i++)
		forget(&known[i]);
}

/*
 * Look up the old columns of a relation; "slot" is filled in memory that
 * stays.
 */
static void
look_up(Oid relid, Known *slot)
{
	Relation	rel = RelationIdGetRelation(relid);
	List	   *names;
	Oid			top;
	ListCell   *lc;

	slot->relid = relid;
	slot->ncolumns = 0;
	slot->columns = NULL;
	if (rel == NULL)
		return;
	names = rel->trigdesc ? migspec_sync_old_columns(rel) : NIL;
	if (names != NIL)
	{
		top = migspec_sync_root(rel);
		slot->columns = MemoryContextAllocZero(context, sizeof(OldColumn) * list_length(names));
		foreach(lc, names)
		{
			OldColumn  *column = &slot->columns[slot->ncolumns];

			column->attno = get_attnum(relid, lfirst(lc));
			column->key.dboid = MyDatabaseId;
			column->key.relid = top;
			strlcpy(column->key.column, lfirst(lc), NAMEDATALEN);
			if (column->attno != InvalidAttrNumber)
				slot->ncolumns++;
		}
	}
	RelationClose(rel);
}

/*
 * The old columns of a relation, NULL if there are none.  "scratch" is for an
 * answer that cannot be kept.
 */
static pg_attribute_hot Known *
old_columns(Oid relid, Known *scratch)
{
	Known	   *slot = &known[relid % KNOWN_RELATIONS];
	uint64		before = generation;

	if (likely(slot->relid == relid))
		return slot->ncolumns > 0 ? slot : NULL;
	look_up(relid, scratch);
	if (generation != before)
		return scratch->ncolumns > 0 ? scratch : NULL;
	forget(slot);
	*slot = *scratch;
	memset(scratch, 0, sizeof(Known));
	return slot->ncolumns > 0 ? slot : NULL;
}

/*
 * Is this application one that adapts itself, so that its use tells nothing?
 */
static bool
is_ignored(const char *application)
{
	List	   *names = migspec_split_list(migspec_usage_ignore);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, names)
		found = found || strcmp(lfirst(lc), application) == 0;
	list_free_deep(names);
	return found;
}

/*
 * Make the column's key that of the present role and application.  The role
 * is the one that a person would see: not that of a SECURITY DEFINER function.
 */
static void
set_user(OldColumn *column)
{
	Oid			roleid = GetOuterUserId();
	const char *application = application_name ? application_name : "";

	if (column->key.roleid == roleid && column->ignore_version == migspec_usage_ignore_version &&
		strncmp(column->key.application, application, NAMEDATALEN - 1) == 0)
		return;
	column->key.roleid = roleid;
	strlcpy(column->key.application, application, NAMEDATALEN);
	column->ignored = is_ignored(column->key.application);
	column->ignore_version = migspec_usage_ignore_version;
	column->number = 0;
}

/*
 * One statement of a client may use the column for hours, in a function or a
 * procedure: what counts is the time of each use.
 */
static void
count_use(OldColumn *column, bool read, bool write, uint64 query_id,
		  const char *query)
{
	set_user(column);
	if (column->ignored)
		return;
	column->number = migspec_usage_count(&column->key, column->number, read, write,
										 GetCurrentTimestamp(), query_id,
										 query ? query : "");
}

/* Is the column among these of a permission list, or the whole row? */
static bool
mentions(const Bitmapset *columns, AttrNumber attno)
{
	return bms_is_member(attno - FirstLowInvalidHeapAttributeNumber, columns) ||
		bms_is_member(InvalidAttrNumber - FirstLowInvalidHeapAttributeNumber, columns);
}

/* Is what runs now a use that is not counted, whatever it reads? */
static bool
is_nobodys(void)
{
	return migspec_usage_off || !migspec_usage_ready() ||
		InNoForceRLSOperation() || IsParallelWorker();
}

/*
 * Count what a statement does to one relation.
 */
static void
note_permissions(const MigspecPermissions *perms, const PlannedStmt *stmt,
				 const char *query)
{
	Known		scratch = {0};
	Known	   *relation = old_columns(perms->relid, &scratch);

	if (relation && is_nobodys())
		relation = NULL;
	for (int i = 0; relation && i < relation->ncolumns; i++)
	{
		OldColumn  *column = &relation->columns[i];
		bool		read = mentions(perms->selectedCols, column->attno);
		bool		write = mentions(perms->insertedCols, column->attno) ||
		mentions(perms->updatedCols, column->attno);

		if (read || write)
			count_use(column, read, write, (uint64) stmt->queryId, query);
	}
	if (scratch.columns)
		pfree(scratch.columns);
}

static pg_attribute_hot void
usage_ExecutorStart(QueryDesc *queryDesc, int eflags)
{
	PlannedStmt *stmt = queryDesc->plannedstmt;
	ListCell   *lc;

	/* first, because it checks whether the user may do that at all */
	if (prev_ExecutorStart)
		prev_ExecutorStart(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);

	if (eflags & EXEC_FLAG_EXPLAIN_ONLY)
		return;
	foreach(lc, MIGSPEC_PERMISSIONS(stmt))
	{
		MigspecPermissions *perms = lfirst(lc);

		if (MIGSPEC_HAS_PERMISSIONS(perms))
			note_permissions(perms, stmt, queryDesc->sourceText);
	}
}

/* The columns that COPY names, as attnos; NULL: all of them */
static Bitmapset *
copied_columns(const CopyStmt *copy, Oid relid)
{
	Bitmapset  *attnos = NULL;
	ListCell   *lc;

	foreach(lc, copy->attlist)
	{
		AttrNumber	attno = get_attnum(relid, strVal(lfirst(lc)));

		if (attno > 0)
			attnos = bms_add_member(attnos, attno);
	}
	return attnos;
}

/*
 * Count what COPY of a table has done.  With row security, it was a query.
 */
static void
note_copy(const CopyStmt *copy, const PlannedStmt *stmt, const char *query)
{
	Oid			relid = RangeVarGetRelid(copy->relation, NoLock, true);
	Bitmapset  *named = copied_columns(copy, relid);
	Known		scratch = {0};
	Known	   *relation = OidIsValid(relid) ? old_columns(relid, &scratch) : NULL;

	if (relation && !copy->is_from && check_enable_rls(relid, InvalidOid, true) == RLS_ENABLED)
		relation = NULL;
	for (int i = 0; relation && i < relation->ncolumns; i++)
	{
		OldColumn  *column = &relation->columns[i];

		if (named == NULL || bms_is_member(column->attno, named))
			count_use(column, !copy->is_from, copy->is_from,
					  (uint64) stmt->queryId, query);
	}
	if (scratch.columns)
		pfree(scratch.columns);
}

static pg_attribute_hot void
usage_ProcessUtility(MIGSPEC_UTILITY_PARAMS)
{
	/* not to be looked at afterwards: ROLLBACK may have freed the statement */
	bool		is_copy = IsA(pstmt->utilityStmt, CopyStmt);

	if (prev_ProcessUtility)
		prev_ProcessUtility(MIGSPEC_UTILITY_ARGS);
	else
		standard_ProcessUtility(MIGSPEC_UTILITY_ARGS);

	if (is_copy && !is_nobodys() && ((CopyStmt *) pstmt->utilityStmt)->relation)
		note_copy((CopyStmt *) pstmt->utilityStmt, pstmt, queryString);
}

/*
 * migspec_usage_hooks_init -- install the hooks; from _PG_init.
 */
void
migspec_usage_hooks_init(void)
{
	context = AllocSetContextCreate(TopMemoryContext, "migspec usage",
									ALLOCSET_SMALL_SIZES);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = usage_ExecutorStart;
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = usage_ProcessUtility;
}
