/*-------------------------------------------------------------------------
 *
 * partitions.c
 *		Partitions that come and go while a migration runs.
 *
 * A partition that comes gets everything from its parent, as always: both
 * columns, the sync trigger, and hidden indexes and constraints, which are on
 * the parent from the phase that makes them.  What later phases do to single
 * partitions they do to those that are there at that time.
 *
 * For a partition that goes, the plan has steps that nobody needs any more.
 * This file has the one rule that says which; phases and worker ask it for
 * every step.  When the migration ends, it tidies up what was made meanwhile.
 *
 * Runs in the process of a call, or in a job worker; in a transaction.
 *
 * Interleavings:
 * - A partition is dropped or detached after the rule has said that a step
 *   applies: the callers ask under the step's locks, with which that cannot
 *   happen.
 * - A partition is detached and attached again: if nothing looked meanwhile, it
 *   never was away; the server gives it the indexes that it lacks.  Otherwise
 *   what it has of its own is not carried any more, and the switch says so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "engine/partitions.h"
#include "lib/stringinfo.h"
#include "ops/ops.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "migspec.h"

/* see partitions.h */
bool
migspec_is_migrated(const MigspecMigration *migration, Oid relid)
{
	ListCell   *lc;

	if (list_member_oid(migration->relids, relid))
		return true;
	if (!get_rel_relispartition(relid))
		return false;
	foreach(lc, get_partition_ancestors(relid))
	{
		if (list_member_oid(migration->relids, lfirst_oid(lc)))
			return true;
	}
	return false;
}

/* see partitions.h */
bool
migspec_step_applies(const MigspecMigration *migration, const MigspecStep *step)
{
	ListCell   *lc;

	if (step->skipped)
		return false;
	if (OidIsValid(step->partition) &&
		!migspec_is_migrated(migration, step->partition))
		return false;
	foreach(lc, step->locked)
	{
		Oid			relid = lfirst_oid(lc);

		if (!list_member_oid(migration->relids, relid) && !migspec_relation_exists(relid))
			return false;
	}
	return true;
}

/* see partitions.h */
void
migspec_step_leave_out(const MigspecMigration *migration, const MigspecStep *step)
{
	if (step->skipped)
		return;
	migspec_step_skip(migration->id, step);
	migspec_event(migration->id, migration->name, "step_skipped", false,
				  "statement", step->statement,
				  "reason", OidIsValid(step->partition) ?
				  "the table is no partition any more" :
				  "a table was dropped", NULL);
}

/* see partitions.h */
void
migspec_check_partitions(const MigspecMigration *migration)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->old_name == NULL)
			continue;
		foreach(lc2, find_all_inheritors(op->relid, AccessShareLock, NULL))
		{
			Oid			relid = lfirst_oid(lc2);

			if (relid != op->relid && !list_member_oid(op->partitions, relid))
				ereport(ERROR,
						(errcode(ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN),
						 errmsg("partition \"%s\" has come since migration \"%s\" was planned",
								get_rel_name(relid), migration->name),
						 errdetail("The plan does not build its indexes."),
						 errhint("Call migspec_plan again.")));
		}
	}
}

/* The columns of a constraint, as part of its name */
static char *
columns_in_name(Oid relid, HeapTuple tuple)
{
	StringInfoData buf;
	bool		isnull;
	Datum		datum = SysCacheGetAttr(CONSTROID, tuple,
										Anum_pg_constraint_conkey, &isnull);
	ArrayType  *columns = DatumGetArrayTypeP(datum);
	int16	   *attnos = (int16 *) ARR_DATA_PTR(columns);

	initStringInfo(&buf);
	for (int i = 0; i < ARR_DIMS(columns)[0]; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? "_" : "",
						 get_attname(relid, attnos[i], false));
	return buf.data;
}

static void
name_key_part(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	Oid			relid;
	Relation	rel;

	if (!HeapTupleIsValid(tuple))
		return;
	relid = ((Form_pg_constraint) GETSTRUCT(tuple))->conrelid;
	rel = relation_open(relid, AccessExclusiveLock);
	RenameConstraintById(constraint,
						 ChooseConstraintName(RelationGetRelationName(rel),
											  columns_in_name(relid, tuple),
											  "fkey", RelationGetNamespace(rel),
											  NIL));
	CacheInvalidateRelcache(rel);
	relation_close(rel, NoLock);
	ReleaseSysCache(tuple);
	CommandCounterIncrement();
}

/* see partitions.h */
void
migspec_name_key_parts(const MigspecMigration *migration)
{
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, migration->operations)
	{
		const char *hidden = migspec_hidden_name(lfirst(lc), "");
		MigspecIdentity saved;
		List	   *parts = NIL;
		uint64		n;

		migspec_catalog_begin(&saved);
		n = migspec_sql("SELECT oid, conrelid, confrelid FROM pg_constraint WHERE contype = 'f'"
						" AND conparentid <> 0 AND strpos(conname, $1) > 0"
						" ORDER BY oid", MIGSPEC_PARAMS(MIGSPEC_TEXT(hidden)));
		for (uint64 i = 0; i < n; i++)
		{
			/* anybody may give such a name to a key of his own */
			if (migspec_is_migrated(migration, migspec_spi_oid(i, "conrelid")) ||
				migspec_is_migrated(migration, migspec_spi_oid(i, "confrelid")))
				parts = lappend_oid(parts, migspec_spi_oid(i, "oid"));
		}
		migspec_catalog_end(&saved);
		foreach(lc2, parts)
			name_key_part(lfirst_oid(lc2));
	}
}

/*
 * Is there an index of ours on the column?  If it is the old one, the table
 * was detached after the switch, which gave all other indexes to the new one.
 */
static bool
has_hidden_index(Relation rel, AttrNumber attno)
{
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		bool		found = false;

		for (int i = 0; i < index->rd_index->indnatts; i++)
			found = found || index->rd_index->indkey.values[i] == attno;
		found = found && strncmp(RelationGetRelationName(index), MIGSPEC_HIDDEN_PREFIX,
								 strlen(MIGSPEC_HIDDEN_PREFIX)) == 0;
		index_close(index, NoLock);
		if (found)
			return true;
	}
	return false;
}

/*
 * The visible column of the operation that a table is better off without: the
 * one with the fewer indexes and constraints, where it has both columns.
 */
static char *
superfluous_column(const MigspecOperation *op, Relation rel, MigspecPhase to)
{
	AttrNumber	old_attno = InvalidAttrNumber;

	if (op->old_name == NULL)
		return to == MIGSPEC_ROLLED_BACK ? op->new_name : NULL;
	if (strcmp(op->old_name, op->new_name) != 0)
		old_attno = get_attnum(RelationGetRelid(rel), op->old_name);
	if (old_attno == InvalidAttrNumber)
		return NULL;
	return has_hidden_index(rel, old_attno) ? op->old_name : op->new_name;
}

/*
 * The columns of the operation that are left on a table: hidden ones, and one
 * of two visible ones.
 */
static List *
columns_left(const MigspecOperation *op, Relation rel, MigspecPhase to)
{
	char	   *hidden = migspec_hidden_name(op, "");
	char	   *superfluous = superfluous_column(op, rel, to);
	List	   *columns = NIL;

	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);
		char	   *name = NameStr(att->attname);

		if (!att->attisdropped &&
			(strncmp(name, hidden, strlen(hidden)) == 0 ||
			 (superfluous != NULL && strcmp(name, superfluous) == 0)))
			columns = lappend(columns, pstrdup(name));
	}
	return columns;
}

/*
 * ALTER TABLE ... DROP COLUMN for all that is left on a table; NULL if
 * nothing is.
 */
static char *
drop_statement(const MigspecMigration *migration, Oid root, Relation rel,
			   MigspecPhase to)
{
	StringInfoData sql;
	bool		any = false;
	ListCell   *lc;
	ListCell   *lc2;

	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s",
					 migspec_relation_name(RelationGetRelid(rel)));
	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		if (op->relid != root)
			continue;
		foreach(lc2, columns_left(op, rel, to))
		{
			appendStringInfo(&sql, "%s DROP COLUMN %s", any ? "," : "",
							 quote_identifier(lfirst(lc2)));
			any = true;
		}
	}
	return any ? sql.data : NULL;
}

static void
report_table(const MigspecMigration *migration, Oid root, Oid relid,
			 MigspecPhase to)
{
	Relation	rel = try_relation_open(relid, AccessShareLock);
	char	   *statement;

	if (rel == NULL)
		return;
	statement = drop_statement(migration, root, rel, to);
	if (statement != NULL)
	{
		ereport(NOTICE,
				(errmsg("table \"%s\" was detached while it was migrated, and keeps columns of the migration",
						RelationGetRelationName(rel)),
				 errhint("Nothing fills them any more. To drop them: %s", statement)));
		migspec_event(migration->id, migration->name, "detached_partition", false,
					  "relation", migspec_relation_name(relid),
					  "statement", statement, NULL);
	}
	relation_close(rel, NoLock);
}

/* see partitions.h */
void
migspec_report_detached(const MigspecMigration *migration, MigspecPhase to)
{
	List	   *seen = NIL;
	ListCell   *lc;
	ListCell   *lc2;

	foreach(lc, migration->operations)
	{
		MigspecOperation *op = lfirst(lc);

		foreach(lc2, op->partitions)
		{
			Oid			relid = lfirst_oid(lc2);

			/* one that is a partition went with its parent, which is told */
			if (list_member_oid(seen, relid) || get_rel_relispartition(relid))
				continue;
			seen = lappend_oid(seen, relid);
			report_table(migration, op->relid, relid, to);
		}
	}
}
