/*-------------------------------------------------------------------------
 *
 * keyswap_column.c
 *		Changes to the catalogs that have no SQL command: identity, default and
 *		grants of a column pass to another one, and so do names of constraints.
 *
 * The functions are for steps of a migration only: nobody but the
 * extension's owner may call them.
 *
 * Process: any backend; all in the caller's transaction.  Locks: ACCESS
 * EXCLUSIVE on the table, but for grants SHARE UPDATE EXCLUSIVE.
 * Crash: the transaction never was.
 *
 * Interleavings:
 * - A session is about to insert: it computes the identity column's value
 *   with a lock on the table, so either before or after.
 * - GRANT on the table at the same time: its update of pg_attribute and ours
 *   cannot both succeed; one of them is tried again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "base/security.h"
#include "base/sqlutil.h"
#include "engine/tables.h"

PG_FUNCTION_INFO_V1(migspec_move_identity);
PG_FUNCTION_INFO_V1(migspec_pass_default);
PG_FUNCTION_INFO_V1(migspec_copy_column_grants);
PG_FUNCTION_INFO_V1(migspec_rename_constraint);

/* A copy of the column's row of pg_attribute; error if there is none */
static HeapTuple
column_tuple(Oid relid, const char *name)
{
	HeapTuple	tuple = SearchSysCacheCopyAttName(relid, name);

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of table \"%s\" does not exist", name,
						get_rel_name(relid))));
	return tuple;
}

/*
 * Let the sequence of the identity column "from" be that of "to".  Returns
 * whether there was one.
 */
static bool
move_sequence_dependency(Oid relid, AttrNumber from, AttrNumber to)
{
	Relation	catalog = table_open(DependRelationId, RowExclusiveLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	bool		found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(from));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 3,
							  key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->classid != RelationRelationId ||
			form->deptype != DEPENDENCY_INTERNAL ||
			get_rel_relkind(form->objid) != RELKIND_SEQUENCE)
			continue;
		tuple = heap_copytuple(tuple);
		((Form_pg_depend) GETSTRUCT(tuple))->refobjsubid = to;
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
		found = true;
	}
	systable_endscan(scan);
	table_close(catalog, RowExclusiveLock);
	return found;
}

/*
 * Move the flag that makes a column an identity column, in one table.
 */
static void
move_identity_flag(Oid relid, const char *from, const char *to)
{
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	from_tuple = column_tuple(relid, from);
	HeapTuple	to_tuple = column_tuple(relid, to);
	Form_pg_attribute a = (Form_pg_attribute) GETSTRUCT(from_tuple);
	Form_pg_attribute b = (Form_pg_attribute) GETSTRUCT(to_tuple);

	if (a->attidentity == '\0' || b->attidentity != '\0' || b->atthasdef ||
		!b->attnotnull || b->attgenerated != '\0' ||
		(b->atttypid != INT2OID && b->atttypid != INT4OID &&
		 b->atttypid != INT8OID))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" cannot take over the identity of column \"%s\"",
						to, from),
				 errdetail("It must be a NOT NULL integer column without default, and the other an identity column.")));
	b->attidentity = a->attidentity;
	a->attidentity = '\0';
	CatalogTupleUpdate(catalog, &from_tuple->t_self, from_tuple);
	CatalogTupleUpdate(catalog, &to_tuple->t_self, to_tuple);
	table_close(catalog, RowExclusiveLock);
}

/*
 * migspec.move_identity(tab, from_column, to_column): the other column becomes
 * GENERATED ... AS IDENTITY, with the same sequence.
 */
Datum
migspec_move_identity(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *from = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *to = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Relation	rel = table_open(relid, AccessExclusiveLock);
	ListCell   *lc;

	CheckTableNotInUse(rel, "move_identity");
	move_identity_flag(relid, from, to);
	if (!move_sequence_dependency(relid, get_attnum(relid, from),
								  get_attnum(relid, to)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of table \"%s\" has no sequence", from,
						RelationGetRelationName(rel))));
	/* since version 17 partitions share the identity of their parent */
	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		Oid			child = lfirst_oid(lc);
		HeapTuple	tuple;

		if (child == relid)
			continue;
		tuple = column_tuple(child, from);
		if (((Form_pg_attribute) GETSTRUCT(tuple))->attidentity != '\0')
			move_identity_flag(child, from, to);
	}
	CommandCounterIncrement();
	CacheInvalidateRelcache(rel);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/* SET DEFAULT, or DROP DEFAULT without an expression, in one table */
static void
set_default(Oid relid, const char *column, const char *expression)
{
	MigspecIdentity owner;

	SPI_connect();
	migspec_become_owner_for_ddl(migspec_relation_owner(relid), &owner);
	migspec_sql(psprintf("ALTER TABLE ONLY %s ALTER COLUMN %s %s DEFAULT%s%s",
						 migspec_relation_name(relid), quote_identifier(column),
						 expression != NULL ? "SET" : "DROP",
						 expression != NULL ? " " : "",
						 expression != NULL ? expression : ""), 0, NULL);
	migspec_restore_identity(&owner);
	SPI_finish();
}

/*
 * The table, and those of its partitions in which the column has the same
 * default: they have it from here.
 */
static List *
tables_with_default(Oid relid, const char *column)
{
	Node	   *model = migspec_column_default(relid, column);
	List	   *tables = list_make1_oid(relid);
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		if (lfirst_oid(lc) != relid && model != NULL &&
			equal(model, migspec_column_default(lfirst_oid(lc), column)))
			tables = lappend_oid(tables, lfirst_oid(lc));
	}
	return tables;
}

/*
 * migspec.pass_default(tab, from_column, to_column, expression, keep): where
 * the one column has a default, the other one gets that of the text; unless
 * "keep", the one has none any more.
 */
Datum
migspec_pass_default(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *from = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *to = text_to_cstring(PG_GETARG_TEXT_PP(2));
	char	   *expression = text_to_cstring(PG_GETARG_TEXT_PP(3));
	bool		keep = PG_GETARG_BOOL(4);
	ListCell   *lc;

	foreach(lc, tables_with_default(relid, from))
	{
		set_default(lfirst_oid(lc), to, expression);
		if (!keep)
			set_default(lfirst_oid(lc), from, NULL);
	}
	PG_RETURN_VOID();
}

/*
 * migspec.copy_column_grants(tab, from_column, to_column): give the other
 * column, which must have none, the same grants by the same grantors.
 */
Datum
migspec_copy_column_grants(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	char	   *to_name = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Relation	rel = table_open(relid, ShareUpdateExclusiveLock);
	Relation	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple	from = column_tuple(relid,
									text_to_cstring(PG_GETARG_TEXT_PP(1)));
	HeapTuple	to = column_tuple(relid, to_name);
	Datum		values[Natts_pg_attribute] = {0};
	bool		nulls[Natts_pg_attribute] = {0};
	bool		replaces[Natts_pg_attribute] = {0};
	bool		isnull;
	Acl		   *acl;
	Oid		   *members;
	int			nmembers;

	if (!heap_attisnull(to, Anum_pg_attribute_attacl, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of table \"%s\" has grants already",
						to_name, RelationGetRelationName(rel))));
	acl = (Acl *) DatumGetPointer(SysCacheGetAttr(ATTNUM, from,
												  Anum_pg_attribute_attacl,
												  &isnull));
	if (!isnull)
	{
		acl = DatumGetAclPCopy(PointerGetDatum(acl));
		values[Anum_pg_attribute_attacl - 1] = PointerGetDatum(acl);
		replaces[Anum_pg_attribute_attacl - 1] = true;
		to = heap_modify_tuple(to, RelationGetDescr(catalog), values, nulls,
							   replaces);
		CatalogTupleUpdate(catalog, &to->t_self, to);
		nmembers = aclmembers(acl, &members);
		updateAclDependencies(RelationRelationId, relid,
							  ((Form_pg_attribute) GETSTRUCT(to))->attnum,
							  rel->rd_rel->relowner, 0, NULL, nmembers,
							  members);
	}
	table_close(catalog, RowExclusiveLock);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}

/* The constraints that the server has made for the parts of this one */
static List *
child_constraints(Oid constraint)
{
	Relation	catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *children = NIL;

	ScanKeyInit(&key, Anum_pg_constraint_conparentid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(constraint));
	scan = systable_beginscan(catalog, ConstraintParentIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		children = lappend_oid(children,
							   ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return children;
}

/*
 * Since version 18, the constraints for the partitions of a table that is
 * referred to are called after the foreign key they are part of.
 */
static void
rename_parts(Oid relid, Oid constraint, const char *from, const char *to)
{
	ListCell   *lc;

	foreach(lc, child_constraints(constraint))
	{
		Oid			child = lfirst_oid(lc);
		char	   *name = get_constraint_name(child);

		if (strncmp(name, from, strlen(from)) == 0)
		{
			char	   *new_name = psprintf("%s%s", to, name + strlen(from));

			truncate_identifier(new_name, strlen(new_name), false);
			if (!ConstraintNameIsUsed(CONSTRAINT_RELATION, relid, new_name))
				RenameConstraintById(child, new_name);
		}
		rename_parts(relid, child, from, to);
	}
}

static bool
constraint_is_inherited(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool		inherited;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for constraint %u", constraint);
	inherited = ((Form_pg_constraint) GETSTRUCT(tuple))->coninhcount > 0;
	ReleaseSysCache(tuple);
	return inherited;
}

/*
 * Partitions have the constraint under the same name, unless they had the
 * like of it before.
 */
static void
rename_in_partitions(Oid relid, const char *from, const char *to)
{
	ListCell   *lc;

	foreach(lc, find_all_inheritors(relid, AccessExclusiveLock, NULL))
	{
		Oid			child = lfirst_oid(lc);
		Oid			constraint;

		constraint = get_relation_constraint_oid(child, from, true);
		if (child == relid || !OidIsValid(constraint) ||
			ConstraintNameIsUsed(CONSTRAINT_RELATION, child, to))
			continue;
		RenameConstraintById(constraint, to);
		CacheInvalidateRelcacheByRelid(child);
	}
}

/*
 * migspec.rename_constraint(tab, from_name, to_name): what ALTER TABLE ...
 * RENAME CONSTRAINT does, but a foreign key takes its parts along, and a
 * constraint that is inherited may have a name of its own.
 */
Datum
migspec_rename_constraint(PG_FUNCTION_ARGS)
{
	Relation	rel = table_open(PG_GETARG_OID(0), AccessExclusiveLock);
	char	   *from = text_to_cstring(PG_GETARG_TEXT_PP(1));
	char	   *to = text_to_cstring(PG_GETARG_TEXT_PP(2));
	Oid			constraint = get_relation_constraint_oid(RelationGetRelid(rel),
														 from, false);

	RenameConstraintById(constraint, to);
	rename_parts(RelationGetRelid(rel), constraint, from, to);
	if (!constraint_is_inherited(constraint))
		rename_in_partitions(RelationGetRelid(rel), from, to);
	CacheInvalidateRelcache(rel);
	table_close(rel, NoLock);
	PG_RETURN_VOID();
}
