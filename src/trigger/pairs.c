/*-------------------------------------------------------------------------
 *
 * pairs.c
 *		The column pairs of a table, compiled and cached for the trigger.
 *
 * All that the sync trigger needs to know stands in its own arguments, which
 * the server keeps in the relation cache:
 *
 *		conflict policy,
 *		old column, new column, marker column, up function, its columns,
 *			down function, its columns, primary side, "volatile"
 *			-- for each pair; pairs.h has the names
 *
 * so the hot path reads no table of ours, and a change of a pair reaches
 * every backend by the invalidation that DDL on the table sends anyway,
 * under the lock that this DDL takes: a statement that has started keeps the
 * definition it started with, because it holds a lock that DDL waits for.
 *
 * Interleavings:
 * - An invalidation arrives while a pair is in use (only an expression that
 *   runs SQL can let one in): the entry is marked and dropped from the hash,
 *   but its memory stays until the outermost user has released it.
 * - The trigger is entered again for the same table while an expression of
 *   that table runs: ExprStates are not re-entrant, so the inner call gets an
 *   entry of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/dependency.h"
#include "catalog/partition.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteManip.h"
#include "trigger/pairs.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "expr/expr.h"
#include "migspec.h"

/* hash entry: the relation's cached pairs */
typedef struct SyncEntry
{
	Oid			relid;
	SyncRelation *relation;
	bool		valid;
} SyncEntry;

PG_FUNCTION_INFO_V1(migspec_protect_columns);

static const char *overruling_trigger(Relation rel);

uint64		sync_generation = 1;

static HTAB *sync_cache = NULL;

/*
 * Does the expression run nothing but immutable built-in functions over
 * built-in types?  Such an expression cannot run SQL, cannot be influenced by
 * the search path, and needs nobody's rights: it can be evaluated as it is.
 */
static bool
not_trusted(Node *node, void *context)
{
	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_RelabelType:
		case T_FuncExpr:
		case T_OpExpr:
		case T_BoolExpr:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_CoalesceExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_List:
			break;
		default:
			return true;
	}
	if (IsA(node, FuncExpr))
	{
		Oid			funcid = ((FuncExpr *) node)->funcid;

		if (funcid >= FirstUnpinnedObjectId || func_volatile(funcid) != PROVOLATILE_IMMUTABLE)
			return true;
	}
	if (IsA(node, OpExpr))
	{
		Oid			funcid = ((OpExpr *) node)->opfuncid;

		if (funcid >= FirstUnpinnedObjectId || func_volatile(funcid) != PROVOLATILE_IMMUTABLE)
			return true;
	}
	if (!IsA(node, List) && !IsA(node, CaseWhen) &&
		exprType(node) >= FirstUnpinnedObjectId)
		return true;
	return expression_tree_walker(node, not_trusted, context);
}

/*
 * Compile one expression of a pair, as the owner of the table and under the
 * pinned search path: planning inlines SQL functions and evaluates immutable
 * ones, and initialising a call checks the right to execute it.
 */
static void
compile(SyncRelation *relation, Relation rel, const MigspecExpr *source,
		AttrNumber target, const char *what, SyncExpr *expr)
{
	MigspecIdentity identity;
	Node	   *tree;

	expr->expr = *source;
	expr->target = target;
	expr->what = what;
	if (!OidIsValid(source->funcid))
		return;
	tree = migspec_expr_tree(source, rel);
	if (checkExprHasSubLink(tree))
	{
		relation->runs_sql = true;
		return;
	}

	migspec_become_owner(relation->owner, &identity);
	expr->tree = (Node *) expression_planner((Expr *) tree);
	expr->state = ExecInitExpr((Expr *) expr->tree, NULL);
	migspec_restore_identity(&identity);
	expr->trusted = !not_trusted(expr->tree, NULL);
	if (!expr->trusted)
		relation->runs_sql = true;
}

/*
 * A column named in the trigger's arguments; 0 for the empty name.
 */
static AttrNumber
argument_column(Relation rel, const char *name)
{
	return name[0] == '\0' ? InvalidAttrNumber : migspec_column(rel, name);
}

static void
bad_arguments(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_VERSION_MISMATCH),
			 errmsg("trigger \"%s\" of table \"%s\" has arguments that this version of migspec does not understand",
					MIGSPEC_SYNC_TRIGGER, RelationGetRelationName(rel)),
			 errhint("Such triggers are made by migspec_expand only.")));
}

/*
 * An expression named in the trigger's arguments, with its columns.
 */
static MigspecExpr
argument_expression(Relation rel, const char *name, const char *columns,
					AttrNumber target)
{
	MigspecExpr none = {0};
	List	   *names = NIL;
	char	  **array;
	ListCell   *lc;

	if (name[0] == '\0')
		return none;
	if (target == InvalidAttrNumber ||
		(columns[0] != '\0' && !SplitIdentifierString(pstrdup(columns), ',', &names)))
		bad_arguments(rel);
	array = palloc(sizeof(char *) * Max(list_length(names), 1));
	foreach(lc, names)
		array[foreach_current_index(lc)] = lfirst(lc);
	return migspec_expr_lookup(name, array, list_length(names), rel, target);
}

/*
 * The pairs in a trigger's arguments.
 */
static List *
parse_pairs(Relation rel, const Trigger *trigger)
{
	TupleDesc	tupdesc = RelationGetDescr(rel);
	List	   *pairs = NIL;

	if (trigger->tgnargs % SYNC_ARGS_PER_PAIR != 1)
		bad_arguments(rel);
	for (int i = 1; i < trigger->tgnargs; i += SYNC_ARGS_PER_PAIR)
	{
		char	  **args = trigger->tgargs + i;
		MigspecPair *pair = palloc0(sizeof(MigspecPair));

		if (sscanf(args[SYNC_ARG_UP], "up_" INT64_FORMAT, &pair->operation_id) != 1)
			pair->operation_id = 0;
		pair->old_attno = argument_column(rel, args[SYNC_ARG_OLD]);
		pair->new_attno = argument_column(rel, args[SYNC_ARG_NEW]);
		pair->marker_attno = argument_column(rel, args[SYNC_ARG_MARKER]);
		if (pair->new_attno == 0 ||
			(pair->marker_attno != 0 &&
			 TupleDescAttr(tupdesc, pair->marker_attno - 1)->atttypid != BOOLOID))
			bad_arguments(rel);
		pair->up = argument_expression(rel, args[SYNC_ARG_UP],
									   args[SYNC_ARG_UP_COLUMNS], pair->new_attno);
		pair->down = argument_expression(rel, args[SYNC_ARG_DOWN],
										 args[SYNC_ARG_DOWN_COLUMNS], pair->old_attno);
		if (!OidIsValid(pair->up.funcid))
			bad_arguments(rel);
		pair->old_is_primary = strcmp(args[SYNC_ARG_PRIMARY], "old") == 0;
		pair->is_volatile = args[SYNC_ARG_VOLATILE][0] != '\0';
		pairs = lappend(pairs, pair);
	}
	return pairs;
}

/*
 * migspec_sync_root -- see sync.h.
 */
Oid
migspec_sync_root(Relation rel)
{
	List	   *ancestors;

	if (!rel->rd_rel->relispartition)
		return RelationGetRelid(rel);
	ancestors = get_partition_ancestors(RelationGetRelid(rel));
	return ancestors == NIL ? RelationGetRelid(rel) : llast_oid(ancestors);
}

/*
 * Compile the pairs of a relation in a memory context of their own.
 */
static SyncRelation *
build(Relation rel, const Trigger *trigger)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "migspec sync trigger",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext oldcontext = MemoryContextSwitchTo(context);
	SyncRelation *relation = palloc0(sizeof(SyncRelation));
	List	   *pairs;
	ListCell   *lc;

	relation->relid = RelationGetRelid(rel);
	relation->root = migspec_sync_root(rel);
	relation->context = context;
	relation->owner = rel->rd_rel->relowner;
	relation->tupdesc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	pairs = parse_pairs(rel, trigger);
	relation->overruled = overruling_trigger(rel) != NULL;
	relation->conflict_is_error = strcmp(trigger->tgargs[0], "error") == 0;
	relation->npairs = list_length(pairs);
	relation->pairs = palloc0(sizeof(SyncPair) * relation->npairs);
	foreach(lc, pairs)
	{
		SyncPair   *pair = &relation->pairs[foreach_current_index(lc)];

		pair->pair = *(MigspecPair *) lfirst(lc);
		pair->tally = -1;
		compile(relation, rel, &pair->pair.up, pair->pair.new_attno, "up", &pair->up);
		compile(relation, rel, &pair->pair.down, pair->pair.old_attno, "down", &pair->down);
	}
	relation->econtext = CreateStandaloneExprContext();
	relation->slot = MakeSingleTupleTableSlot(relation->tupdesc, &TTSOpsVirtual);
	relation->econtext->ecxt_scantuple = relation->slot;
	MemoryContextSwitchTo(oldcontext);

	/* from here on it stays; an error above has freed it */
	MemoryContextSetParent(context, CacheMemoryContext);
	return relation;
}

static void
destroy(SyncRelation *relation)
{
	FreeExprContext(relation->econtext, false);
	MemoryContextDelete(relation->context);
}

/*
 * sync_relation_lookup -- the compiled pairs of the trigger's relation.
 *
 * The result is good until the next call of this function, or, if it was
 * acquired, until sync_relation_release().
 */
SyncRelation *
sync_relation_lookup(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	SyncEntry  *entry;
	bool		found;

	entry = hash_search(sync_cache, &relid, HASH_ENTER, &found);
	if (!found)
		entry->relation = NULL;
	if (entry->relation && (entry->relation->depth > 0 || !entry->valid))
	{
		SyncRelation *stale = entry->relation;

		entry->relation = NULL;
		sync_generation++;
		if (stale->depth > 0)
			stale->orphan = true;	/* its user frees it */
		else
			destroy(stale);
	}
	if (entry->relation == NULL)
	{
		/* set before building: an invalidation meanwhile clears it again */
		SyncRelation *built;

		entry->valid = true;
		built = build(rel, trigger);

		/* building may run functions that come here, too */
		if (entry->relation)
			destroy(entry->relation);
		entry->relation = built;
	}
	return entry->relation;
}

/*
 * sync_relation_acquire, sync_relation_release -- keep a result while
 * expressions run that may come back here.
 */
void
sync_relation_acquire(SyncRelation *relation)
{
	relation->depth++;
}

void
sync_relation_release(SyncRelation *relation)
{
	if (--relation->depth == 0 && relation->orphan)
		destroy(relation);
}

static void
relcache_callback(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	SyncEntry  *entry;

	sync_generation++;
	if (OidIsValid(relid))
	{
		entry = hash_search(sync_cache, &relid, HASH_FIND, NULL);
		if (entry)
			entry->valid = false;
		return;
	}
	hash_seq_init(&status, sync_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->valid = false;
}

/*
 * A function, a type or a constraint (of a domain) has changed: what was
 * inlined or compiled from it is stale.  Built-in ones do not change.
 */
static void
object_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	HASH_SEQ_STATUS status;
	SyncEntry  *entry;

	hash_seq_init(&status, sync_cache);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (entry->relation && entry->relation->runs_sql)
		{
			entry->valid = false;
			sync_generation++;
		}
	}
}

/*
 * Set up the cache; from _PG_init.
 */
void
sync_pairs_init(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(SyncEntry);
	ctl.hcxt = TopMemoryContext;
	sync_cache = hash_create("migspec sync triggers", 16, &ctl,
							 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, object_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, object_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, object_callback, (Datum) 0);
}

/*
 * The sync trigger of a relation, or NULL.  A copy: the relation cache throws
 * its own away whenever it is told to, even under a lock.
 */
static const Trigger *
find_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		if (strcmp(triggers->triggers[i].tgname, MIGSPEC_SYNC_TRIGGER) == 0)
			return &CopyTriggerDesc(triggers)->triggers[i];
	}
	return NULL;
}

/*
 * The name of a trigger that changes rows after the sync trigger, NULL if
 * there is none.  They fire in the order of their names.
 */
static const char *
overruling_trigger(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	for (int i = 0; triggers && i < triggers->numtriggers; i++)
	{
		const Trigger *trigger = &triggers->triggers[i];

		if (TRIGGER_FOR_BEFORE(trigger->tgtype) && TRIGGER_FOR_ROW(trigger->tgtype) &&
			(TRIGGER_FOR_INSERT(trigger->tgtype) || TRIGGER_FOR_UPDATE(trigger->tgtype)) &&
			trigger->tgenabled != TRIGGER_DISABLED &&
			strcmp(trigger->tgname, MIGSPEC_SYNC_TRIGGER) > 0)
			return pstrdup(trigger->tgname);
	}
	return NULL;
}

/*
 * migspec_sync_trouble -- see sync.h.  trouble_query in bgw/watch.c is the
 * same as SQL.
 */
char *
migspec_sync_trouble(Relation rel)
{
	const Trigger *trigger = find_trigger(rel);
	const char *other;

	if (trigger == NULL)
		return pstrdup("is missing");
	if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
		return pstrdup("is disabled, or not enabled ALWAYS");
	other = overruling_trigger(rel);
	return other ? psprintf("is followed by trigger \"%s\"", other) : NULL;
}

/*
 * migspec_sync_pairs -- the pairs of a relation, or NIL if its sync trigger
 * is missing, would not fire for every writer, or would not fire last.
 */
List *
migspec_sync_pairs(Relation rel)
{
	return migspec_sync_trouble(rel) ? NIL : parse_pairs(rel, find_trigger(rel));
}

static bool
is_visible(const char *column)
{
	return column[0] != '\0' &&
		strncmp(column, MIGSPEC_HIDDEN_PREFIX, strlen(MIGSPEC_HIDDEN_PREFIX)) != 0;
}

/*
 * migspec_sync_old_columns -- see sync.h.  A type change has no name to leave:
 * one of its columns is always hidden.
 */
List *
migspec_sync_old_columns(Relation rel)
{
	const Trigger *trigger = find_trigger(rel);
	List	   *names = NIL;

	for (int i = 1; trigger && i + SYNC_ARGS_PER_PAIR <= trigger->tgnargs;
		 i += SYNC_ARGS_PER_PAIR)
	{
		char	  **args = trigger->tgargs + i;

		if (is_visible(args[SYNC_ARG_OLD]) && is_visible(args[SYNC_ARG_NEW]))
			names = lappend(names, args[SYNC_ARG_OLD]);
	}
	return names;
}

/*
 * SQL that is true if a row's two columns agree.
 *
 * Without a marker, a new column that was never filled is NULL; there the
 * down direction proves nothing.  A volatile expression proves nothing
 * either.  See "agree" in sync.c, which is the same in C.
 */
static char *
agree_sql(Relation rel, const MigspecPair *pair, const char *alias)
{
	StringInfoData sql;
	const char *new = quote_identifier(get_attname(RelationGetRelid(rel), pair->new_attno, false));

	if (pair->old_attno == 0 || pair->is_volatile)
		return pstrdup("true");
	initStringInfo(&sql);
	appendStringInfo(&sql, "migspec.identical(%s.%s, %s)", alias, new,
					 migspec_expr_sql(&pair->up, rel, alias));
	if (OidIsValid(pair->down.funcid))
	{
		appendStringInfoString(&sql, " OR ");
		if (pair->marker_attno == 0)
			appendStringInfo(&sql, "pg_catalog.num_nonnulls(%s.%s) = 1 AND ",
							 alias, new);
		appendStringInfo(&sql, "migspec.identical(%s.%s, %s)", alias,
						 quote_identifier(get_attname(RelationGetRelid(rel), pair->old_attno, false)),
						 migspec_expr_sql(&pair->down, rel, alias));
	}
	return sql.data;
}

/*
 * migspec_sync_pending_sql -- a row that the backfill has to visit.
 */
char *
migspec_sync_pending_sql(Relation rel, const MigspecPair *pair, const char *alias)
{
	if (pair->marker_attno != 0)
		return psprintf("%s.%s IS TRUE", alias,
						quote_identifier(get_attname(RelationGetRelid(rel),
													 pair->marker_attno, false)));
	return psprintf("NOT (%s)", agree_sql(rel, pair, alias));
}

/*
 * migspec_sync_differs_sql -- a row that verify has to report.
 */
char *
migspec_sync_differs_sql(Relation rel, const MigspecPair *pair, const char *alias)
{
	char	   *agree = agree_sql(rel, pair, alias);

	if (pair->marker_attno != 0)
		return psprintf("(%s OR NOT (%s))",
						migspec_sync_pending_sql(rel, pair, alias), agree);
	return psprintf("NOT (%s)", agree);
}

/*
 * migspec.protect_columns(relation) -- let the sync trigger depend on every
 * column that it uses, as a trigger of a user would: such a column cannot be
 * dropped, nor its type changed, while the migration runs.
 */
Datum
migspec_protect_columns(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	Relation	rel;
	const Trigger *trigger;
	ObjectAddress self;
	Bitmapset  *attnos = NULL;
	int			attno = -1;
	ListCell   *lc;

	migspec_check_owner(relid);
	rel = relation_open(relid, ShareRowExclusiveLock);
	trigger = find_trigger(rel);
	if (trigger == NULL)
		bad_arguments(rel);
	foreach(lc, parse_pairs(rel, trigger))
	{
		MigspecPair *pair = lfirst(lc);

		attnos = bms_add_member(attnos, pair->old_attno);
		attnos = bms_add_member(attnos, pair->new_attno);
		attnos = bms_add_member(attnos, pair->marker_attno);
		for (int i = 0; i < pair->up.ninputs; i++)
			attnos = bms_add_member(attnos, pair->up.inputs[i]);
		for (int i = 0; i < pair->down.ninputs; i++)
			attnos = bms_add_member(attnos, pair->down.inputs[i]);
	}
	ObjectAddressSet(self, TriggerRelationId, trigger->tgoid);
	while ((attno = bms_next_member(attnos, attno)) >= 0)
	{
		ObjectAddress column;

		if (attno == 0)
			continue;
		ObjectAddressSubSet(column, RelationRelationId, relid, attno);
		recordDependencyOn(&self, &column, DEPENDENCY_NORMAL);
	}
	relation_close(rel, NoLock);
	PG_RETURN_VOID();
}
