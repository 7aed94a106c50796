/*-------------------------------------------------------------------------
 *
 * carry_depend.c
 *		What hangs on a column, and which of it can be carried over.
 *
 * pg_depend knows everything but flags of the column itself and the texts of
 * functions.  Every kind of object that this file does not know how to carry
 * is refused: better no migration than half of one.
 *
 * Process: caller's backend.  Locks: ACCESS SHARE on the table (held by the
 * caller).  Changes nothing.
 *
 * Interleavings:
 * - An object is created or dropped while we look: either it is in the list
 *   or not; identities are compared again before what was planned is done.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "engine/carry_internal.h"
#include "engine/tables.h"
#include "migspec.h"

/* What to do with an object; none for those that are another one's part */
typedef enum Verdict
{
	SKIP,
	TAKE
} Verdict;

static bool
is_exclusion_index(Oid index)
{
	HeapTuple	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_index) GETSTRUCT(tuple))->indisexclusion;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Indexes: those of constraints are dealt with along with them, those of
 * partitions along with the parent's, and invalid ones serve nobody.  An
 * exclusion constraint may depend on the column only through its index.
 */
static Verdict
classify_index(MigspecCarryItem *item)
{
	Oid			index = item->object.objectId;
	Oid			constraint = get_index_constraint(index);

	item->kind = MIGSPEC_CARRY_INDEX;
	if (get_rel_relispartition(index) || !get_index_isvalid(index))
		return SKIP;
	if (!OidIsValid(constraint))
		return TAKE;
	if (!is_exclusion_index(index))
		return SKIP;
	item->kind = MIGSPEC_CARRY_REFUSED;
	ObjectAddressSet(item->object, ConstraintRelationId, constraint);
	return TAKE;
}

static Verdict
classify_relation(const MigspecCarry *carry, char deptype,
				  MigspecCarryItem *item)
{
	Oid			relid = item->object.objectId;

	switch (get_rel_relkind(relid))
	{
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return classify_index(item);
		case RELKIND_SEQUENCE:
			item->kind = deptype == DEPENDENCY_INTERNAL ?
				MIGSPEC_CARRY_IDENTITY : MIGSPEC_CARRY_SEQUENCE;
			return TAKE;
		default:
			/* the table itself, if the column is part of its partition key */
			item->kind = MIGSPEC_CARRY_REFUSED;
			if (relid == carry->relid)
				item->reason = pstrdup("its partition key");
			return TAKE;
	}
}

static Verdict
classify_constraint(const MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(item->object.objectId));
	Form_pg_constraint con;
	Verdict		verdict = TAKE;

	if (!HeapTupleIsValid(tuple))
		return SKIP;
	con = (Form_pg_constraint) GETSTRUCT(tuple);
	if (OidIsValid(con->conparentid) || con->coninhcount > 0)
		verdict = SKIP;
	switch (con->contype)
	{
		case CONSTRAINT_CHECK:
			item->kind = MIGSPEC_CARRY_CHECK;
			break;
		case CONSTRAINT_FOREIGN:
			item->kind = MIGSPEC_CARRY_FOREIGN_KEY;
			break;
		case CONSTRAINT_PRIMARY:
		case CONSTRAINT_UNIQUE:
			item->kind = MIGSPEC_CARRY_KEY;
			if (MIGSPEC_CONSTRAINT_PERIOD(con))
			{
				item->kind = MIGSPEC_CARRY_REFUSED;
				item->reason = pstrdup("it is over a period");
			}
			else if (con->condeferrable &&
					 carry->rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
			{
				item->kind = MIGSPEC_CARRY_REFUSED;
				item->reason = pstrdup("it is deferrable, and the table is partitioned");
			}
			break;
		case 'n':				/* a NOT NULL constraint, since version 18 */
			item->kind = MIGSPEC_CARRY_NOT_NULL;
			break;
		default:
			item->kind = MIGSPEC_CARRY_REFUSED;
	}
	ReleaseSysCache(tuple);
	return verdict;
}

/* The column whose default or expression this is; 0 if it has gone */
static AttrNumber
column_of_default(Oid attrdef)
{
	ObjectAddress column = GetAttrDefaultColumnAddress(attrdef);

	return column.objectSubId;
}

/*
 * Has the partition the column's default from its parent?
 */
static bool
default_is_inherited(const MigspecCarry *carry)
{
	const char *column = NameStr(carry->att->attname);

	/* like the partition, its parents are locked by whoever visits the tables */
	return !carry->is_root && carry->rel->rd_rel->relispartition &&
		equal(migspec_column_default(carry->relid, column),
			  migspec_column_default(get_partition_parent(carry->relid, true),
									 column));
}

/*
 * The default of the column itself, or a generated column that reads it: then
 * the object to name is that column.
 */
static Verdict
classify_default(const MigspecCarry *carry, MigspecCarryItem *item)
{
	AttrNumber	attno = column_of_default(item->object.objectId);

	if (attno == carry->attno && carry->att->attgenerated == '\0')
	{
		item->kind = MIGSPEC_CARRY_DEFAULT;
		return default_is_inherited(carry) ? SKIP : TAKE;
	}
	item->kind = MIGSPEC_CARRY_REFUSED;
	item->reason = pstrdup(attno == carry->attno ?
						   "it is generated" : "it is generated from the column");
	ObjectAddressSubSet(item->object, RelationRelationId, carry->relid, attno);
	return TAKE;
}

/* A rule; that of a view stands for the view */
static Verdict
classify_rule(MigspecCarryItem *item)
{
	Relation	catalog = table_open(RewriteRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	item->kind = MIGSPEC_CARRY_REFUSED;
	ScanKeyInit(&key, Anum_pg_rewrite_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(item->object.objectId));
	scan = systable_beginscan(catalog, RewriteOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_rewrite rule = (Form_pg_rewrite) GETSTRUCT(tuple);

		if (strcmp(NameStr(rule->rulename), "_RETURN") == 0)
			ObjectAddressSet(item->object, RelationRelationId, rule->ev_class);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return HeapTupleIsValid(tuple) ? TAKE : SKIP;
}

/*
 * A trigger with a column list or condition on the column; those that
 * partitions have from their parent go with it.
 */
static Verdict
classify_trigger(MigspecCarryItem *item)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Verdict		verdict = SKIP;

	item->kind = MIGSPEC_CARRY_REFUSED;
	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(item->object.objectId));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (strcmp(NameStr(trigger->tgname), MIGSPEC_SYNC_TRIGGER) != 0 &&
			strncmp(NameStr(trigger->tgname), MIGSPEC_HIDDEN_PREFIX,
					strlen(MIGSPEC_HIDDEN_PREFIX)) != 0 &&
			!OidIsValid(trigger->tgparentid))
			verdict = TAKE;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return verdict;
}

/*
 * Decide on one row of pg_depend: sets the item's kind, reason and, where
 * another object is to be named, its object.
 */
static Verdict
classify(const MigspecCarry *carry, char deptype, MigspecCarryItem *item)
{
	switch (item->object.classId)
	{
		case RelationRelationId:
			return classify_relation(carry, deptype, item);
		case ConstraintRelationId:
			return classify_constraint(carry, item);
		case AttrDefaultRelationId:
			return classify_default(carry, item);
		case RewriteRelationId:
			return classify_rule(item);
		case TriggerRelationId:
			return classify_trigger(item);
		case PolicyRelationId:
			item->kind = MIGSPEC_CARRY_POLICY;
			return TAKE;
		case StatisticExtRelationId:
			item->kind = MIGSPEC_CARRY_STATISTICS;
			return TAKE;
		case PublicationRelRelationId:
			item->kind = MIGSPEC_CARRY_PUBLICATION;
			return TAKE;
		case ProcedureRelationId:
			item->kind = MIGSPEC_CARRY_REFUSED;
			/* the functions of our own expressions */
			if (get_func_namespace(item->object.objectId) ==
				get_namespace_oid(MIGSPEC_SCHEMA, true))
				return SKIP;
			return TAKE;
		default:
			item->kind = MIGSPEC_CARRY_REFUSED;
			return TAKE;
	}
}

static bool
have_item(List *items, const ObjectAddress *object)
{
	ListCell   *lc;

	foreach(lc, items)
	{
		const MigspecCarryItem *item = lfirst(lc);

		if (item->object.classId == object->classId &&
			item->object.objectId == object->objectId &&
			item->object.objectSubId == object->objectSubId)
			return true;
	}
	return false;
}

static List *
add_item(List *items, const MigspecCarryItem *item)
{
	MigspecCarryItem *copy = palloc_object(MigspecCarryItem);

	*copy = *item;
	if (copy->identity == NULL)
		copy->identity = psprintf("%s %s",
								  getObjectTypeDescription(&item->object, false),
								  getObjectIdentity(&item->object, false));
	return lappend(items, copy);
}

/*
 * Does an ancestor pass NOT NULL of the column down to this partition?
 */
static bool
not_null_is_inherited(const MigspecCarry *carry)
{
	ListCell   *lc;

	if (!carry->rel->rd_rel->relispartition)
		return false;
	foreach(lc, get_partition_ancestors(carry->relid))
	{
		Oid			ancestor = lfirst_oid(lc);
		HeapTuple	tuple = SearchSysCacheAttName(ancestor,
												  NameStr(carry->att->attname));
		bool		not_null;

		if (!HeapTupleIsValid(tuple))
			continue;
		not_null = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
		ReleaseSysCache(tuple);
		if (not_null)
			return true;
	}
	return false;
}

/*
 * Where NOT NULL is a flag, the object is the column.
 */
static List *
add_not_null(const MigspecCarry *carry, List *items)
{
	MigspecCarryItem item = {.kind = MIGSPEC_CARRY_NOT_NULL};

	if (MIGSPEC_NOT_NULL_CONSTRAINTS || !carry->att->attnotnull ||
		not_null_is_inherited(carry))
		return items;
	ObjectAddressSubSet(item.object, RelationRelationId, carry->relid,
						carry->attno);
	item.identity = psprintf("not null of %s",
							 getObjectIdentity(&item.object, false));
	return add_item(items, &item);
}

static int
compare_items(const ListCell *a, const ListCell *b)
{
	const MigspecCarryItem *left = lfirst(a);
	const MigspecCarryItem *right = lfirst(b);

	if (left->kind != right->kind)
		return left->kind < right->kind ? -1 : 1;
	return strcmp(left->identity, right->identity);
}

/*
 * Everything (List of MigspecCarryItem *) that hangs on the column in this
 * table, in the order of carrying it over.
 */
List *
migspec_carry_items(const MigspecCarry *carry)
{
	Relation	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple	tuple;
	List	   *items = NIL;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(carry->relid));
	ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(carry->attno));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		MigspecCarryItem item = {0};

		ObjectAddressSubSet(item.object, form->classid, form->objid,
							form->objsubid);
		if (classify(carry, form->deptype, &item) == TAKE &&
			!have_item(items, &item.object))
			items = add_item(items, &item);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	items = add_not_null(carry, items);
	list_sort(items, compare_items);
	return items;
}

/*
 * Is "word" in the text, neither preceded nor followed by a character that an
 * unquoted name can have?  Both in lower case.
 */
static bool
has_word(const char *text, const char *word)
{
	size_t		length = strlen(word);
	const char *found = text;

	while ((found = strstr(found, word)) != NULL)
	{
		unsigned char before = found > text ? found[-1] : ' ';
		unsigned char after = found[length];

		if (!isalnum(before) && before != '_' && !IS_HIGHBIT_SET(before) &&
			!isalnum(after) && after != '_' && !IS_HIGHBIT_SET(after))
			return true;
		found++;
	}
	return false;
}

static char *
lower_case(const char *s)
{
	return TextDatumGetCString(DirectFunctionCall1Coll(lower, DEFAULT_COLLATION_OID,
													   CStringGetTextDatum(s)));
}

/*
 * Warn of functions whose body may name the column: what they would do without
 * it, nobody can know.
 */
void
migspec_carry_warn_functions(const MigspecCarry *carry)
{
	char	   *table = lower_case(RelationGetRelationName(carry->rel));
	char	   *column = lower_case(NameStr(carry->att->attname));
	MigspecParam params[] = {MIGSPEC_TEXT(table), MIGSPEC_TEXT(column)};
	StringInfoData names;
	uint64		rows;
	uint64		i;

	initStringInfo(&names);
	SPI_connect();
	rows = migspec_sql("SELECT p.oid::regprocedure::text AS name, lower(p.prosrc) AS body"
					   " FROM pg_catalog.pg_proc p"
					   " JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
					   " JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace"
					   " WHERE l.lanname <> 'c' AND l.lanname <> 'internal'"
					   " AND p.prosqlbody IS NULL"
					   " AND n.nspname <> 'pg_catalog'"
					   " AND n.nspname <> 'information_schema'"
					   " AND n.nspname <> 'migspec'"
					   " AND strpos(lower(p.prosrc), $1) > 0"
					   " AND strpos(lower(p.prosrc), $2) > 0"
					   " ORDER BY 1", lengthof(params), params);
	for (i = 0; i < rows; i++)
	{
		char	   *body = migspec_spi_text(i, "body");

		if (has_word(body, table) && has_word(body, column))
			appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "",
							 migspec_spi_text(i, "name"));
	}
	SPI_finish();
	if (names.len > 0)
		ereport(WARNING,
				(errmsg("functions may use column \"%s\" of table \"%s\"",
						NameStr(carry->att->attname),
						RelationGetRelationName(carry->rel)),
				 errdetail("Their text mentions both: %s.", names.data),
				 errhint("Change them before the migration contracts.")));
}
