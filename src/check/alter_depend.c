/*-------------------------------------------------------------------------
 *
 * alter_depend.c
 *		What keeps the type of a column from being changed.
 *
 * Views, rules, functions, triggers, policies, generated columns and filters
 * of publications that use a column were analysed for its old type.  The server
 * does not do that again, but refuses.  Only what the catalog knows is found
 * here, less what the script has dropped.
 *
 * Runs in the process that analyses a script; changes nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "base/compat.h"
#include "check/alter_table.h"
#include "check/statements.h"

/* catalogs whose objects are in the way, and what the server says then */
typedef struct Obstacle
{
	Oid			class;
	const char *message;
} Obstacle;

static const Obstacle obstacles[] = {
	{ProcedureRelationId, "cannot alter type of a column used by a function or procedure"},
	{RewriteRelationId, "cannot alter type of a column used by a view or rule"},
	{TriggerRelationId, "cannot alter type of a column used in a trigger definition"},
	{PolicyRelationId, "cannot alter type of a column used in a policy definition"},
	{AttrDefaultRelationId, "cannot alter type of a column used by a generated column"},
	{PublicationRelRelationId,
	"cannot alter type of a column used by a publication WHERE clause"},
};

/*
 * Has the script taken the object away?
 */
static bool
is_gone(MigspecWorld *world, Oid class, Oid object)
{
	LOCKMODE	lock;
	Oid			relid = migspec_object_relation(class, object, &lock);

	return migspec_script_has_dropped(world, class, object) ||
		(OidIsValid(relid) && migspec_world_find_oid(world, relid) == NULL);
}

/*
 * A default that depends on the column: its own, which is no obstacle, or that
 * of a generated column.
 */
static bool
is_generated(MigspecWorldTable *table, const MigspecWorldColumn *column, Oid attrdef)
{
	ObjectAddress address = GetAttrDefaultColumnAddress(attrdef);
	MigspecWorldColumn *other;

	if (address.objectId != table->oid || address.objectSubId == column->attno)
		return false;
	other = migspec_world_column_no(table, address.objectSubId);
	return other != NULL && other->generated != '\0';
}

/* see alter_table.h */
void
migspec_alter_check_dependents(MigspecAlter *alter, MigspecWorldTable *table,
							   MigspecWorldColumn *column)
{
	Relation	catalog;
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *users;

	users = migspec_new_users(table, column->attno);
	if (users != NIL)
	{
		char	   *name = psprintf("view %s", migspec_world_table_name(linitial(users)));

		migspec_check_fact(alter->stmt, RULE_DEPENDENT_OBJECTS, table,
						   column->name)->detail = name;
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot alter type of a column used by a view or rule"),
				 errdetail("%s depends on column \"%s\"", name, column->name)));
	}
	if (!OidIsValid(table->oid) || column->is_new)
		return;
	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table->oid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(column->attno));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend depend = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress address;
		char	   *name;

		ObjectAddressSubSet(address, depend->classid, depend->objid, depend->objsubid);
		for (size_t i = 0; i < lengthof(obstacles); i++)
		{
			if (obstacles[i].class != depend->classid ||
				(depend->classid == AttrDefaultRelationId ?
				 !is_generated(table, column, depend->objid) :
				 is_gone(table->world, depend->classid, depend->objid)))
				continue;
			name = getObjectDescription(&address, false);
			migspec_check_fact(alter->stmt, RULE_DEPENDENT_OBJECTS, table,
							   column->name)->detail = name;
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg_internal("%s", obstacles[i].message),
					 errdetail("%s depends on column \"%s\"", name, column->name)));
		}
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/*
 * The default or generation expression as the catalog has it.
 */
static Node *
stored_default(const MigspecWorldTable *table, const MigspecWorldColumn *column)
{
	Relation	catalog = table_open(AttrDefaultRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	Node	   *expr = NULL;

	ScanKeyInit(&key[0], Anum_pg_attrdef_adrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(table->oid));
	ScanKeyInit(&key[1], Anum_pg_attrdef_adnum, BTEqualStrategyNumber, F_INT2EQ,
				Int16GetDatum(column->attno));
	scan = systable_beginscan(catalog, AttrDefaultIndexId, true, NULL, 2, key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool		isnull;
		Datum		datum = heap_getattr(tuple, Anum_pg_attrdef_adbin,
										 RelationGetDescr(catalog), &isnull);

		if (!isnull)
			expr = stringToNode(TextDatumGetCString(datum));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return expr;
}

/* see alter_table.h */
void
migspec_alter_check_default(MigspecWorldTable *table, const MigspecWorldColumn *column,
							Oid type, int32 typmod)
{
	Node	   *expr = NULL;

	if (!column->has_default || !OidIsValid(type))
		return;
	if (column->default_changed)
		expr = copyObject(column->default_expr);
	else if (OidIsValid(table->oid) && !column->is_new)
		expr = stored_default(table, column);
	if (expr == NULL)
		return;

	expr = strip_implicit_coercions(expr);
	expr = coerce_to_target_type(NULL, expr, exprType(expr), type, typmod,
								 COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 column->generated != '\0' ?
				 errmsg("generation expression for column \"%s\" cannot be cast automatically to type %s",
						column->name, format_type_be(type)) :
				 errmsg("default for column \"%s\" cannot be cast automatically to type %s",
						column->name, format_type_be(type))));
}
