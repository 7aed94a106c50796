/*-------------------------------------------------------------------------
 *
 * carry.c
 *		Carrying over what hangs on the old column to the new one.
 *
 * An operation's table and each of its partitions are looked at one by one:
 * what a partition has from its parent is carried with the parent, what it
 * has of its own is carried like that of a table.  Where columns of several
 * operations of a migration meet in one object (an index of two columns, a
 * foreign key between two tables), the last of these operations carries it,
 * for all of them; its steps come when all new columns are filled.
 *
 * Process: the caller's backend, while a migration is planned or checked.
 * Nothing is changed here, so a crash costs nothing.  Locks: ACCESS SHARE on
 * the table and its partitions, until the end of the transaction.
 *
 * Interleavings:
 * - Objects come or go between the plan and the phase that uses it: the
 *   caller compares migspec_carry_identities() with the plan's "carries".
 * - A partition is attached or detached meanwhile: see partitions.c.  Each
 *   step that is about one partition says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/comment.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "engine/carry.h"
#include "engine/carry_internal.h"

/* an object that is looked for among what hangs on a column */
typedef struct CarrySearch
{
	ObjectAddress object;
	bool		found;
} CarrySearch;

/* the problems found so far */
typedef struct CarryProblems
{
	StringInfoData detail;
	List	   *children;		/* other tables whose owner must be us */
} CarryProblems;

/*
 * Add a step on the table being looked at, for the item.
 */
MigspecStep *
migspec_carry_step(MigspecCarry *carry, const MigspecCarryItem *item,
				   MigspecPhase phase, LOCKMODE lockmode,
				   char *statement, char *undo)
{
	MigspecStep *step = migspec_plan_add(carry->plan, phase, carry->relid,
										 lockmode, statement, undo);

	step->carries = item->identity;
	if (!carry->is_root)
		step->partition = carry->relid;
	return step;
}

/*
 * The step looks at all rows of the table.
 */
void
migspec_carry_estimate(MigspecStep *step, Oid relid, double rows_per_second)
{
	double		rows = migspec_table_rows(relid);

	step->est_rows = (int64) rows;
	step->est_seconds = Max(rows / rows_per_second, step->est_seconds);
}

/*
 * The hidden name of what stands for an object of kind "what": within a
 * table's schema, nothing else has it.
 */
char *
migspec_carry_hidden(const MigspecCarry *carry, char what, Oid object)
{
	return migspec_hidden_name(carry->op, psprintf("%c%u", what, object));
}

/*
 * Comment on "what" (as in COMMENT ON) as the object is commented on.
 */
void
migspec_carry_comment(MigspecCarry *carry, const MigspecCarryItem *item,
					  Oid classid, Oid object, const char *what)
{
	char	   *comment = GetComment(object, classid, 0);

	if (comment != NULL)
		migspec_carry_step(carry, item, MIGSPEC_MIGRATING,
						   ShareUpdateExclusiveLock,
						   psprintf("COMMENT ON %s IS %s", what,
									migspec_literal(comment)),
						   NULL);
}

/*
 * Call visit() for one table of an operation.  "plan" may be NULL; "ops" are
 * all operations of the migration.
 */
void
migspec_carry_visit(MigspecPlan *plan, List *ops, const MigspecOperation *op,
					Oid relid, MigspecCarryVisit visit, void *arg)
{
	MigspecCarry carry = {.plan = plan,.op = op,.ops = ops,.relid = relid};

	carry.rel = table_open(relid, AccessShareLock);
	carry.is_root = relid == op->relid;
	carry.table = migspec_relation_name(relid);
	if (op->old_column != NULL)
	{
		carry.attno = get_attnum(relid, op->old_column);
		if (carry.attno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							op->old_column,
							RelationGetRelationName(carry.rel))));
		carry.att = TupleDescAttr(RelationGetDescr(carry.rel), carry.attno - 1);
		carry.new_type = migspec_carry_new_type(&carry, relid, carry.attno);
	}
	visit(&carry, arg);
	table_close(carry.rel, NoLock);
}

/*
 * Visit the operation's table, then its partitions, with the search_path that
 * makes the server qualify all names.
 */
static void
visit_tables(MigspecPlan *plan, List *ops, const MigspecOperation *op,
			 MigspecCarryVisit visit, void *arg)
{
	int			level = NewGUCNestLevel();
	List	   *relids = list_make1_oid(op->relid);
	ListCell   *lc;

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	if (get_rel_relkind(op->relid) == RELKIND_PARTITIONED_TABLE)
		relids = find_all_inheritors(op->relid, AccessShareLock, NULL);
	foreach(lc, relids)
		migspec_carry_visit(plan, ops, op, lfirst_oid(lc), visit, arg);
	AtEOXact_GUC(false, level);
}

static void
find_object(MigspecCarry *carry, void *arg)
{
	CarrySearch *search = arg;
	ListCell   *lc;

	foreach(lc, migspec_carry_items(carry))
	{
		const MigspecCarryItem *item = lfirst(lc);

		if (item->object.classId == search->object.classId &&
			item->object.objectId == search->object.objectId &&
			item->object.objectSubId == search->object.objectSubId)
			search->found = true;
	}
}

/*
 * Does the object hang on the column of another operation as well, one that
 * comes later (or earlier) than this one?
 */
static bool
is_shared(const MigspecCarry *carry, const MigspecCarryItem *item, bool later)
{
	CarrySearch search = {.object = item->object};
	ListCell   *lc;

	foreach(lc, carry->ops)
	{
		const MigspecOperation *other = lfirst(lc);

		if (other->old_column != NULL &&
			(later ? other->ordinal > carry->op->ordinal :
			 other->ordinal < carry->op->ordinal))
			visit_tables(NULL, carry->ops, other, find_object, &search);
	}
	return search.found;
}

static void
plan_item(MigspecCarry *carry, MigspecCarryItem *item)
{
	switch (item->kind)
	{
		case MIGSPEC_CARRY_NOT_NULL:
			migspec_carry_not_null_item(carry, item);
			break;
		case MIGSPEC_CARRY_INDEX:
		case MIGSPEC_CARRY_KEY:
			migspec_carry_index(carry, item);
			break;
		case MIGSPEC_CARRY_CHECK:
			migspec_carry_check_item(carry, item);
			break;
		case MIGSPEC_CARRY_STATISTICS:
			migspec_carry_statistics(carry, item);
			break;
		case MIGSPEC_CARRY_FOREIGN_KEY:
			migspec_carry_foreign_key(carry, item);
			break;
		case MIGSPEC_CARRY_IDENTITY:
			migspec_carry_identity(carry, item);
			break;
		case MIGSPEC_CARRY_SEQUENCE:
			migspec_carry_sequence(carry, item);
			break;
		case MIGSPEC_CARRY_DEFAULT:
			migspec_carry_default(carry, item);
			break;
		case MIGSPEC_CARRY_POLICY:
			migspec_carry_policy(carry, item);
			break;
		case MIGSPEC_CARRY_PUBLICATION:
			migspec_carry_publication(carry, item);
			break;
		case MIGSPEC_CARRY_REFUSED:
			break;				/* migspec_carry_check() has refused it */
	}
}

static void
plan_table(MigspecCarry *carry, void *arg)
{
	ListCell   *lc;

	foreach(lc, migspec_carry_items(carry))
	{
		if (!is_shared(carry, lfirst(lc), true))
			plan_item(carry, lfirst(lc));
	}
}

void
migspec_carry_plan(MigspecPlan *plan, const MigspecOperation *op)
{
	Assert(op->id != 0);
	visit_tables(plan, plan->migration->operations, op, plan_table, NULL);
}

static void
plan_column_of_table(MigspecCarry *carry, void *arg)
{
	migspec_carry_column(carry);
}

void
migspec_carry_plan_column(MigspecPlan *plan, const MigspecOperation *op)
{
	visit_tables(plan, plan->migration->operations, op, plan_column_of_table, NULL);
}

static void
plan_before_drop(MigspecCarry *carry, void *arg)
{
	ListCell   *lc;

	foreach(lc, migspec_carry_items(carry))
	{
		MigspecCarryItem *item = lfirst(lc);

		/* the first operation's DROP COLUMN is the one that needs it */
		if (item->kind == MIGSPEC_CARRY_FOREIGN_KEY &&
			!is_shared(carry, item, false))
			migspec_carry_foreign_key_drop(carry, item);
	}
}

void
migspec_carry_plan_before_drop(MigspecPlan *plan, const MigspecOperation *op)
{
	visit_tables(plan, plan->migration->operations, op, plan_before_drop, NULL);
}

static void
plan_after_drop(MigspecCarry *carry, void *arg)
{
	ListCell   *lc;

	foreach(lc, migspec_carry_items(carry))
	{
		MigspecCarryItem *item = lfirst(lc);

		if (is_shared(carry, item, true))
			continue;
		if (item->kind == MIGSPEC_CARRY_NOT_NULL)
			migspec_carry_not_null_finish(carry, item);
		else if (item->kind == MIGSPEC_CARRY_CHECK)
			migspec_carry_check_finish(carry, item);
		else if (item->kind == MIGSPEC_CARRY_STATISTICS)
			migspec_carry_statistics_finish(carry, item);
		else if (item->kind == MIGSPEC_CARRY_FOREIGN_KEY)
			migspec_carry_foreign_key_finish(carry, item);
	}
}

void
migspec_carry_plan_after_drop(MigspecPlan *plan, const MigspecOperation *op)
{
	visit_tables(plan, plan->migration->operations, op, plan_after_drop, NULL);
}

static void
plan_new_not_null(MigspecCarry *carry, void *arg)
{
	/* partitions follow their parent */
	if (carry->is_root)
		migspec_carry_new_not_null(carry);
}

void
migspec_carry_not_null(MigspecPlan *plan, const MigspecOperation *op)
{
	visit_tables(plan, plan->migration->operations, op, plan_new_not_null, NULL);
}

static void
collect_identities(MigspecCarry *carry, void *arg)
{
	List	  **identities = arg;
	ListCell   *lc;

	foreach(lc, migspec_carry_items(carry))
		* identities = lappend(*identities,
							   ((MigspecCarryItem *) lfirst(lc))->identity);
}

List *
migspec_carry_identities(const MigspecOperation *op)
{
	List	   *identities = NIL;

	visit_tables(NULL, list_make1(unconstify(MigspecOperation *, op)), op,
				 collect_identities, &identities);
	return identities;
}

static void
add_problem(CarryProblems *problems, const char *object, const char *reason)
{
	StringInfo	buf = &problems->detail;

	if (buf->len > 0)
		appendStringInfoChar(buf, '\n');
	if (reason != NULL)
		appendStringInfo(buf, "%s: %s", object, reason);
	else
		appendStringInfoString(buf, object);
}

/*
 * Why the item cannot be carried; NULL if it can, or if it is of a kind that
 * never is.
 */
static char *
item_problem(const MigspecCarry *carry, const MigspecCarryItem *item)
{
	switch (item->kind)
	{
		case MIGSPEC_CARRY_REFUSED:
			return item->reason;
		case MIGSPEC_CARRY_INDEX:
			return migspec_carry_index_problem(carry, item->object.objectId);
		case MIGSPEC_CARRY_KEY:
			return migspec_carry_index_problem(carry,
											   get_constraint_index(item->object.objectId));
		case MIGSPEC_CARRY_CHECK:
		case MIGSPEC_CARRY_FOREIGN_KEY:
			return migspec_carry_constraint_problem(carry,
													item->object.objectId);
		default:
			return migspec_carry_misc_problem(carry, item);
	}
}

static void
check_items(MigspecCarry *carry, CarryProblems *problems)
{
	bool		needs_create = false;
	ListCell   *lc;

	foreach(lc, migspec_carry_items(carry))
	{
		MigspecCarryItem *item = lfirst(lc);
		char	   *reason = item_problem(carry, item);

		if (reason != NULL || item->kind == MIGSPEC_CARRY_REFUSED)
			add_problem(problems, getObjectDescription(&item->object, false),
						reason);
		if (item->kind == MIGSPEC_CARRY_INDEX ||
			item->kind == MIGSPEC_CARRY_KEY)
			needs_create = true;
		if (item->kind == MIGSPEC_CARRY_FOREIGN_KEY)
		{
			HeapTuple	tuple = SearchSysCache1(CONSTROID,
												ObjectIdGetDatum(item->object.objectId));
			Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);

			problems->children = list_append_unique_oid(problems->children,
														con->conrelid);
			ReleaseSysCache(tuple);
		}
	}
	if (needs_create &&
		!migspec_may_create_in(RelationGetNamespace(carry->rel),
							   carry->rel->rd_rel->relowner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("owner of table \"%s\" may not create indexes in schema \"%s\"",
						RelationGetRelationName(carry->rel),
						get_namespace_name(RelationGetNamespace(carry->rel))),
				 errhint("Grant the owner CREATE on the schema, at least until the migration has finished.")));
}

/*
 * Tables that inherit the column without being partitions keep their own.
 */
static void
check_inheritance(MigspecCarry *carry, CarryProblems *problems)
{
	ListCell   *lc;

	if (carry->is_root && carry->att != NULL && carry->att->attinhcount > 0)
		add_problem(problems, psprintf("column %s",
									   NameStr(carry->att->attname)),
					"it is inherited from another table");
	if (carry->rel->rd_rel->relkind != RELKIND_RELATION)
		return;
	foreach(lc, find_inheritance_children(carry->relid, NoLock))
		add_problem(problems, psprintf("table %s",
									   migspec_relation_name(lfirst_oid(lc))),
					"it inherits the column");
}

static void
check_table(MigspecCarry *carry, void *arg)
{
	CarryProblems *problems = arg;

	check_inheritance(carry, problems);
	check_items(carry, problems);
	if (carry->is_root)
		migspec_carry_warn_functions(carry);
}

void
migspec_carry_check(const MigspecMigration *migration,
					const MigspecOperation *op)
{
	CarryProblems problems = {.children = NIL};
	ListCell   *lc;

	if (op->old_column == NULL)
		return;
	initStringInfo(&problems.detail);
	visit_tables(NULL, migration->operations, op, check_table, &problems);
	if (problems.detail.len > 0)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_DEPENDENT_OBJECTS),
				 errmsg("column \"%s\" of table \"%s\" has objects depending on it that cannot be carried over",
						op->old_column, get_rel_name(op->relid)),
				 errdetail_internal("%s", problems.detail.data),
				 errhint("Drop them, and create them again for the new column.")));
	foreach(lc, problems.children)
		migspec_check_owner(lfirst_oid(lc));
}
