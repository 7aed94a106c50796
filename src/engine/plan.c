/*-------------------------------------------------------------------------
 *
 * plan.c
 *		Making a plan: from an operations document to stored steps.
 *
 * Everything that can be known to go wrong is found here, while nothing has
 * changed yet: unknown tables and columns, missing rights, expressions that
 * do not parse, have the wrong type or fail on sample rows, objects that
 * cannot be carried over, a table that another migration holds.
 *
 * Runs in the author's transaction, with the author's rights and search path;
 * takes ACCESS SHARE locks on the tables, until the plan is made.  Two plans of one name at a time:
 * the lock on the name's row, or the unique index on it, lets one win.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/heap.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "engine/carry.h"
#include "engine/plan.h"
#include "expr/resolve.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteManip.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "migspec.h"

/*
 * migspec_table_rows -- estimated rows, of all partitions together.
 */
double
migspec_table_rows(Oid relid)
{
	List	   *relids = find_all_inheritors(relid, AccessShareLock, NULL);
	double		rows = 0;
	ListCell   *lc;

	foreach(lc, relids)
	{
		HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (((Form_pg_class) GETSTRUCT(tuple))->reltuples > 0)
			rows += ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return rows;
}

/*
 * Refuse tables that cannot be migrated.
 */
static void
check_table(Relation rel, const MigspecChange *change)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_TABLE_KIND),
				 errmsg("\"%s\" is not a table", RelationGetRelationName(rel)),
				 errdetail("At %s.table.", change->json->path)));
	if (rel->rd_rel->relispartition)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_TABLE_KIND),
				 errmsg("table \"%s\" is a partition", RelationGetRelationName(rel)),
				 errhint("Migrate the partitioned table.")));
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		(has_subclass(RelationGetRelid(rel)) || has_superclass(RelationGetRelid(rel))))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_TABLE_KIND),
				 errmsg("table \"%s\" takes part in inheritance", RelationGetRelationName(rel)),
				 errhint("Only partitioned tables and tables of their own can be migrated.")));
	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_TABLE_KIND),
				 errmsg("table \"%s\" is temporary", RelationGetRelationName(rel)),
				 errdetail("Background workers cannot read another session's temporary tables.")));
	if (IsCatalogRelation(rel) ||
		RelationGetNamespace(rel) == get_namespace_oid(MIGSPEC_SCHEMA, false))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_TABLE_KIND),
				 errmsg("table \"%s\" belongs to the system", RelationGetRelationName(rel))));
}

/*
 * Triggers fire in the order of their names; one that fires after ours could
 * change what we have put in agreement.
 */
static void
check_triggers(Relation rel)
{
	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		Trigger    *trigger = &rel->trigdesc->triggers[i];

		if (TRIGGER_FOR_BEFORE(trigger->tgtype) && TRIGGER_FOR_ROW(trigger->tgtype) &&
			strcmp(trigger->tgname, MIGSPEC_SYNC_TRIGGER) > 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_DEPENDENT_OBJECTS),
					 errmsg("trigger \"%s\" of table \"%s\" would fire after the sync trigger",
							trigger->tgname, RelationGetRelationName(rel)),
					 errdetail("BEFORE triggers fire in the order of their names; the sync trigger \"%s\" has to be the last.",
							   MIGSPEC_SYNC_TRIGGER),
					 errhint("Rename the trigger.")));
	}
}

/*
 * The statements for a table reach its partitions as well, and run as the
 * table's owner.
 */
static void
check_partition_owners(Relation rel, List *partitions)
{
	Oid			owner = rel->rd_rel->relowner;
	ListCell   *lc;

	foreach(lc, partitions)
	{
		Oid			other = migspec_relation_owner(lfirst_oid(lc));

		if (!has_privs_of_role(owner, other))
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_NOT_OWNER),
					 errmsg("partition \"%s\" of table \"%s\" has another owner",
							get_rel_name(lfirst_oid(lc)), RelationGetRelationName(rel)),
					 errdetail("Role \"%s\" owns the table, and has not the privileges of role \"%s\", who owns the partition.",
							   GetUserNameFromId(owner, true), GetUserNameFromId(other, true)),
					 errhint("Use ALTER TABLE ... OWNER TO on the partition.")));
	}
}

/*
 * Find and check the table of a change.
 */
static void
resolve_table(MigspecChange *change)
{
	List	   *parts = NIL;
	List	   *names = NIL;
	ListCell   *lc;
	Relation	rel;

	/* as it stands, like a column's name; else as SQL would read it */
	change->op->relid = RangeVarGetRelid(makeRangeVar(NULL, change->table, -1),
										 AccessShareLock, true);
	if (!OidIsValid(change->op->relid) &&
		SplitIdentifierString(pstrdup(change->table), '.', &parts))
	{
		foreach(lc, parts)
			names = lappend(names, makeString(lfirst(lc)));
		if (names != NIL && list_length(names) <= 3)
			change->op->relid = RangeVarGetRelid(makeRangeVarFromNameList(names),
												 AccessShareLock, true);
	}
	if (!OidIsValid(change->op->relid))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_TABLE),
				 errmsg("table \"%s\" does not exist", change->table),
				 errdetail("At %s.table.", change->json->path),
				 errhint("Write the name as in SQL, with its schema if it is not in the search_path.")));
	migspec_check_owner(change->op->relid);
	change->op->partitions =
		list_delete_oid(find_all_inheritors(change->op->relid, AccessShareLock, NULL),
						change->op->relid);
	rel = relation_open(change->op->relid, NoLock);
	check_table(rel, change);
	check_triggers(rel);
	check_partition_owners(rel, change->op->partitions);
	relation_close(rel, NoLock);
}

/*
 * The type that the document names, as a type name of the parser.
 */
static TypeName *
parse_type_name(const MigspecChange *change)
{
	TypeName   *volatile name = NULL;
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		name = migspec_typeStringToTypeName(change->type_name);
	}
	PG_CATCH();
	{
		/* a syntax error, which needs no cleaning up */
		MemoryContextSwitchTo(context);
		FlushErrorState();
	}
	PG_END_TRY();
	return name != NULL && !name->setof ? name : NULL;
}

/*
 * Find the type of the new column.
 */
static void
resolve_type(MigspecChange *change)
{
	TypeName   *name = parse_type_name(change);
	Type		type = name ? LookupTypeName(NULL, name, &change->typmod, true) : NULL;

	if (type == NULL || !((Form_pg_type) GETSTRUCT(type))->typisdefined ||
		((Form_pg_type) GETSTRUCT(type))->typtype == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_TYPE),
				 errmsg("type \"%s\" does not exist, or no column can have it",
						change->type_name),
				 errdetail("At %s.type.", change->json->path)));
	if (change->type != typeTypeId(type))
		change->collation = typeTypeCollation(type);
	change->type = typeTypeId(type);
	ReleaseSysCache(type);
	CheckAttributeType(change->op->new_name, change->type, change->collation, NIL, 0);
}

/*
 * A column that decides in which partition a row is cannot give way to
 * another one.
 */
static void
check_partition_key(const MigspecChange *change)
{
	MigspecOperation *op = change->op;
	List	   *relids = find_all_inheritors(op->relid, AccessShareLock, NULL);
	ListCell   *lc;

	foreach(lc, relids)
	{
		Relation	rel = relation_open(lfirst_oid(lc), NoLock);
		AttrNumber	attno = get_attnum(lfirst_oid(lc), op->old_name);
		Bitmapset  *columns = bms_make_singleton(attno - FirstLowInvalidHeapAttributeNumber);
		bool		used_in_expr;

		if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
			has_partition_attrs(rel, columns, &used_in_expr))
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_DEPENDENT_OBJECTS),
					 errmsg("column \"%s\" is part of the partition key of table \"%s\"",
							op->old_name, RelationGetRelationName(rel)),
					 errdetail("At %s.", change->json->path),
					 errhint("A partition key cannot be changed in place.")));
		relation_close(rel, NoLock);
	}
}

/*
 * Find the columns of a change, and the type of the new one.
 */
static void
resolve_columns(MigspecChange *change)
{
	MigspecOperation *op = change->op;
	AttrNumber	attno;

	if (op->old_name)
	{
		attno = get_attnum(op->relid, op->old_name);
		if (attno <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							op->old_name, get_rel_name(op->relid)),
					 errdetail("At %s.", change->json->path)));
		get_atttypetypmodcoll(op->relid, attno, &change->type, &change->typmod,
							  &change->collation);
		check_partition_key(change);
	}
	if ((op->old_name == NULL || strcmp(op->old_name, op->new_name) != 0) &&
		get_attnum(op->relid, op->new_name) != InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" already exists",
						op->new_name, get_rel_name(op->relid)),
				 errdetail("At %s.", change->json->path)));
	if (op->new_name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_MALFORMED_OPERATIONS),
				 errmsg("the name of the new column is empty"),
				 errdetail("At %s.", change->json->path)));
	if (strlen(op->new_name) >= NAMEDATALEN)
		ereport(ERROR,
				(errcode(ERRCODE_NAME_TOO_LONG),
				 errmsg("column name \"%s\" is too long", op->new_name)));
	if (change->type_name)
		resolve_type(change);
	op->new_type = migspec_type_name(change->type, change->typmod);
}

/*
 * The table as the new application sees it: new columns instead of old ones.
 */
static MigspecShape *
new_shape(Relation rel, List *changes)
{
	MigspecShape *shape = migspec_shape_of(rel);
	ListCell   *lc;

	foreach(lc, changes)
	{
		MigspecChange *change = lfirst(lc);
		MigspecShapeColumn *column;

		if (change->op->relid != RelationGetRelid(rel))
			continue;
		if (change->op->old_name)
			shape->columns = list_delete_ptr(shape->columns,
											 migspec_shape_find(shape, change->op->old_name));
		column = palloc0(sizeof(MigspecShapeColumn));
		column->name = change->op->new_name;
		column->column = change->op->new_column;
		column->type = change->type;
		column->typmod = change->typmod;
		column->collation = change->collation;
		shape->columns = lappend(shape->columns, column);
	}
	return shape;
}

/*
 * Resolve the default of an added column; without an up it fills the rows
 * that exist, too.
 */
static void
resolve_default(MigspecChange *change, const MigspecShape *shape)
{
	MigspecShape empty = {shape->alias, NIL};
	MigspecResolved *resolved;

	if (change->default_text == NULL)
		return;
	resolved = migspec_resolve(change->default_text, "default", change->op->new_name,
							   &empty, change->type, change->typmod);
	if (checkExprHasSubLink(resolved->tree))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_EXPRESSION_UNSUPPORTED),
				 errmsg("the default of column \"%s\" has a sub-query",
						change->op->new_name),
				 errdetail("At %s.column.default.", change->json->path)));
	change->default_sql = resolved->sql;
	if (change->op->up == NULL && resolved->is_volatile)
		change->op->up = change->default_text;
}

/*
 * Does a row that was never synchronised look the same as one whose new
 * column was set to NULL on purpose?  Not if both directions keep NULL, and
 * each reads the other's column.
 */
static bool
needs_marker(const MigspecOperation *op, const MigspecResolved *up,
			 const MigspecResolved *down)
{
	ListCell   *lc;
	bool		up_reads_old = false;
	bool		down_reads_new = false;

	if (op->old_name == NULL || down == NULL ||
		!up->is_strict || !down->is_strict || up->is_mutable || down->is_mutable)
		return true;
	foreach(lc, up->columns)
		up_reads_old = up_reads_old || strcmp(lfirst(lc), op->old_column) == 0;
	foreach(lc, down->columns)
		down_reads_new = down_reads_new || strcmp(lfirst(lc), op->new_column) == 0;
	return !up_reads_old || !down_reads_new;
}

static void
warn_if_mutable(const MigspecResolved *resolved, const char *what,
				const MigspecOperation *op)
{
	if (resolved && resolved->is_mutable && !resolved->is_volatile)
		ereport(WARNING,
				(errmsg("\"%s\" of column \"%s\" depends on settings of the session, such as TimeZone",
						what, op->new_name),
				 errdetail("Writers and the backfill may compute different values: %s",
						   resolved->sql),
				 errhint("Write the expression so that it does not, for instance with AT TIME ZONE.")));
}

/*
 * What stands for an expression that was left out: the other column, cast.
 *
 * Where a length is involved the cast is left to the assignment, which raises
 * an error for a value that is too long, as ALTER TABLE does.
 */
static char *
default_cast(const char *column, Oid from, Oid to, int32 typmod)
{
	if (typmod >= 0 && can_coerce_type(1, &from, &to, COERCION_ASSIGNMENT))
		return pstrdup(quote_identifier(column));
	return psprintf("%s::%s", quote_identifier(column), migspec_type_name(to, typmod));
}

/*
 * Resolve up and down of a change.
 */
static void
resolve_expressions(MigspecChange *change, List *changes)
{
	MigspecOperation *op = change->op;
	Relation	rel = relation_open(op->relid, NoLock);
	MigspecShape *old_shape = migspec_shape_of(rel);
	MigspecResolved *up = NULL;
	MigspecResolved *down = NULL;
	Oid			type = InvalidOid;
	int32		typmod = -1;
	Oid			collation;

	resolve_default(change, old_shape);
	if (op->old_name)
	{
		get_atttypetypmodcoll(op->relid, get_attnum(op->relid, op->old_name),
							  &type, &typmod, &collation);
		if (op->up == NULL)
			op->up = default_cast(op->old_name, type, change->type, change->typmod);
		if (op->down == NULL)
			op->down = default_cast(op->new_name, change->type, type, typmod);
	}
	if (op->up)
		up = migspec_resolve(op->up, "up", op->new_name, old_shape,
							 change->type, change->typmod);
	if (op->down)
		down = migspec_resolve(op->down, "down", op->new_name,
							   new_shape(rel, changes), type, typmod);
	relation_close(rel, NoLock);
	if (up == NULL)
		return;

	change->up = up;
	change->down = down;
	op->up_sql = up->sql;
	op->up_columns = up->columns;
	op->down_sql = down ? down->sql : NULL;
	op->down_columns = down ? down->columns : NIL;
	op->is_volatile = up->is_volatile || (down && down->is_volatile);
	if (needs_marker(op, up, down))
		op->marker_column = migspec_hidden_name(op, "marker");
	warn_if_mutable(up, "up", op);
	warn_if_mutable(down, "down", op);
}

/*
 * A column that both operations change or make; NULL if there is none.
 */
static char *
common_column(const MigspecOperation *x, const MigspecOperation *y)
{
	if (x->relid != y->relid)
		return NULL;
	if (x->old_name && y->old_name && strcmp(x->old_name, y->old_name) == 0)
		return x->old_name;
	return strcmp(x->new_name, y->new_name) == 0 ? x->new_name : NULL;
}

/*
 * The same column in two operations cannot be.
 */
static void
check_overlap(List *changes)
{
	ListCell   *a;
	ListCell   *b;

	foreach(a, changes)
	{
		MigspecOperation *x = ((MigspecChange *) lfirst(a))->op;

		foreach(b, changes)
		{
			MigspecOperation *y = ((MigspecChange *) lfirst(b))->op;
			char	   *column = x == y ? NULL : common_column(x, y);

			if (column != NULL)
				ereport(ERROR,
						(errcode(ERRCODE_MIGSPEC_DUPLICATE_COLUMN),
						 errmsg("column \"%s\" of table \"%s\" is changed by two operations",
								column, get_rel_name(x->relid)),
						 errdetail("At %s and %s.", ((MigspecChange *) lfirst(a))->json->path,
								   ((MigspecChange *) lfirst(b))->json->path),
						 errhint("Make it one operation, or two migrations.")));
		}
	}
}

/*
 * Parse the document into changes, and find what they name.
 */
static List *
parse_changes(Jsonb *operations, char **version_schema)
{
	List	   *parsed = migspec_json_operations(operations, version_schema);
	List	   *changes = NIL;
	ListCell   *lc;

	foreach(lc, parsed)
	{
		MigspecJsonOperation *json = lfirst(lc);
		MigspecChange *change = palloc0(sizeof(MigspecChange));

		change->json = json->fields;
		change->class = migspec_op_lookup(json->kind, json->fields);
		change->typmod = -1;
		change->op = palloc0(sizeof(MigspecOperation));
		change->op->kind = pstrdup(change->class->name);
		change->op->ordinal = foreach_current_index(lc) + 1;
		change->class->parse(change);
		resolve_table(change);
		resolve_columns(change);
		changes = lappend(changes, change);
	}
	check_overlap(changes);
	return changes;
}

static void
refuse_version_schema(const char *version_schema)
{
	if (version_schema)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNSUPPORTED_OPERATION),
				 errmsg("version schemas are not supported by this version of migspec"),
				 errhint("Leave version_schema out: both names then work on the table itself.")));
}

/*
 * A subscriber that lacks a published column stops applying changes: it needs
 * the new columns before we have them.
 */
static void
warn_if_published(Oid relid)
{
	MigspecParam params[1] = {MIGSPEC_REGCLASS(relid)};
	char	   *publications;

	SPI_connect();
	migspec_sql("SELECT pg_catalog.string_agg(p.pubname::pg_catalog.text, ', ' ORDER BY p.pubname) AS names"
				" FROM pg_catalog.pg_publication p WHERE p.puballtables"
				" OR EXISTS (SELECT FROM pg_catalog.pg_publication_rel r"
				"  WHERE r.prpubid = p.oid AND r.prrelid = $1 AND r.prattrs IS NULL)"
				" OR EXISTS (SELECT FROM pg_catalog.pg_publication_namespace n"
				"  JOIN pg_catalog.pg_class c ON c.relnamespace = n.pnnspid"
				"  WHERE n.pnpubid = p.oid AND c.oid = $1)", 1, params);
	publications = migspec_spi_text(0, "names");
	if (publications)
		ereport(WARNING,
				(errmsg("table \"%s\" is published with all its columns, also those that the migration adds",
						get_rel_name(relid)),
				 errdetail("Publications: %s.", publications),
				 errhint("Expand the same migration on the subscribers first: a subscriber without the columns stops applying changes.")));
	SPI_finish();
}

/*
 * Make room for a plan of that name: an earlier one that was only planned, or
 * was rolled back, goes.
 */
static void
replace_earlier(const char *name)
{
	MigspecMigration *earlier;
	MigspecParam params[1];

	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a migration cannot be empty")));
	earlier = migspec_migration_load(name, true);
	if (earlier == NULL)
		return;
	migspec_migration_lock(earlier->id);
	earlier = migspec_migration_load(name, true);
	if (earlier == NULL)
		return;
	if (!has_privs_of_role(GetUserId(), earlier->owner))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_NOT_OWNER),
				 errmsg("migration \"%s\" belongs to role \"%s\"", name,
						GetUserNameFromId(earlier->owner, true)),
				 errhint("Choose another name.")));
	if (earlier->phase != MIGSPEC_PLANNED && earlier->phase != MIGSPEC_ROLLED_BACK)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_DUPLICATE_MIGRATION),
				 errmsg("migration \"%s\" already exists", name),
				 errdetail("It is in phase \"%s\".", migspec_phase_name(earlier->phase)),
				 errhint("Choose another name.")));
	params[0] = MIGSPEC_INT8(earlier->id);
	migspec_catalog_sql("DELETE FROM migspec.migration WHERE id = $1", 1, params);
}

/*
 * Refuse tables that another migration holds.
 */
static void
check_not_busy(MigspecMigration *migration)
{
	ListCell   *lc;

	foreach(lc, migration->relids)
		migspec_target_check(lfirst_oid(lc), migration->id);
}

static int
compare_oids(const ListCell *a, const ListCell *b)
{
	return oid_cmp(&lfirst_oid(a), &lfirst_oid(b));
}

/*
 * Find, check and try everything that the document names, and make the steps.
 */
static void
make_plan(MigspecPlan *plan, Jsonb *operations, char *version_schema)
{
	MigspecMigration *migration = plan->migration;
	MigspecIdentity identity;
	ListCell   *lc;

	plan->changes = parse_changes(operations, version_schema ? NULL : &version_schema);
	refuse_version_schema(version_schema);
	foreach(lc, plan->changes)
	{
		MigspecOperation *op = ((MigspecChange *) lfirst(lc))->op;

		migration->operations = lappend(migration->operations, op);
		migration->relids = list_append_unique_oid(migration->relids, op->relid);
	}
	list_sort(migration->relids, compare_oids);
	check_not_busy(migration);

	/* ids come first: the names of hidden columns are made of them */
	migspec_operation_assign_ids(migration);
	foreach(lc, plan->changes)
		migspec_op_columns_at(((MigspecChange *) lfirst(lc))->op, MIGSPEC_PLANNED);
	foreach(lc, plan->changes)
		resolve_expressions(lfirst(lc), plan->changes);
	foreach(lc, plan->changes)
	{
		MigspecOperation *op = ((MigspecChange *) lfirst(lc))->op;

		op->planned_for = migspec_plan_subject(op);
		if (op->old_name)
			migspec_carry_check(migration, op);
	}
	migspec_sample_check(plan);
	foreach(lc, migration->relids)
		warn_if_published(lfirst_oid(lc));

	migspec_become_owner(GetUserId(), &identity);
	migspec_plan_steps(plan);
	migspec_restore_identity(&identity);
}

/*
 * The same, and let go of the locks that it took: what follows may wait for
 * locks of its own, with pauses in which no lock may be held.  Whoever acts on
 * the plan looks whether the tables are still what they were (drift.c).
 *
 * Locks belong to a resource owner, hence one of its own.
 */
static void
make_plan_and_unlock(MigspecPlan *plan, Jsonb *operations, char *version_schema)
{
	ResourceOwner caller = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(caller, "migspec plan");

	/* an abort gives it up with its parent */
	CurrentResourceOwner = owner;
	make_plan(plan, operations, version_schema);
	CurrentResourceOwner = caller;

	ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, true, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
	ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, true, false);
	ResourceOwnerDelete(owner);
}

/*
 * migspec_plan_create -- see plan.h.
 */
int64
migspec_plan_create(const char *name, Jsonb *operations,
					const MigspecPlanOptions *options)
{
	MigspecMigration migration = {0};
	MigspecPlan plan = {&migration, NIL, NIL};

	replace_earlier(name);
	migration.name = pstrdup(name);
	migration.owner = GetUserId();
	migration.phase = MIGSPEC_PLANNED;
	migration.author_search_path = pstrdup(namespace_search_path);
	migration.conflict_policy = options->conflict_policy;
	migration.allow_irreversible = options->allow_irreversible;
	make_plan_and_unlock(&plan, operations, options->version_schema);

	migspec_migration_insert(&migration, JsonbPGetDatum(operations), options->contract_grace);
	migspec_step_store(migration.id, plan.steps);
	migspec_event(migration.id, migration.name, "planned", false,
				  "steps", psprintf("%d", list_length(plan.steps)), NULL);
	return migration.id;
}
