/*-------------------------------------------------------------------------
 *
 * carry_misc.c
 *		Defaults, sequences, policies, publications and statistics for the new
 *		column.
 *
 * What decides who computes a value, or who may see one, must belong to one
 * column at a time.  So it changes hands in the transaction of the switch, and
 * every step has an undo that gives it back.
 *
 * Process: caller's backend, at plan time; nothing is changed here.  Locks:
 * ACCESS SHARE on the table, held by the caller.
 *
 * Interleavings:
 * - A session has values of the sequence cached: its position never changes,
 *   and the cache goes on being used.
 * - A session is between two INSERTs when the default moves: it plans again
 *   under its next lock, and the sync trigger fills the other column.
 * - A walsender decodes changes from before the switch: it uses the catalogs
 *   as of then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_publication.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "statistics/statistics.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "engine/carry_internal.h"
#include "engine/tables.h"
#include "expr/params.h"

/* One row of a catalog that has no cache, or no copy of what we need */
typedef struct CatalogRow
{
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;
} CatalogRow;

static void
open_row(Oid catalog, Oid index, AttrNumber oid_attno, Oid oid,
		 CatalogRow *row)
{
	ScanKeyData key;

	ScanKeyInit(&key, oid_attno, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(oid));
	row->rel = table_open(catalog, AccessShareLock);
	row->scan = systable_beginscan(row->rel, index, true, NULL, 1, &key);
	row->tuple = systable_getnext(row->scan);
	if (!HeapTupleIsValid(row->tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("object with OID %u was dropped while it was looked at",
						oid)));
}

static void
close_row(CatalogRow *row)
{
	systable_endscan(row->scan);
	table_close(row->rel, AccessShareLock);
}

/* A column of the row that holds an expression, or NULL */
static Node *
row_tree(const CatalogRow *row, AttrNumber attno)
{
	bool		isnull;
	Datum		datum = heap_getattr(row->tuple, attno,
									 RelationGetDescr(row->rel), &isnull);

	return isnull ? NULL : stringToNode(TextDatumGetCString(datum));
}

/*----------
 * Extended statistics
 *----------
 */

/* Kinds, in parentheses, unless there is no choice or all are chosen */
static char *
statistics_kinds(HeapTuple tuple)
{
	static const struct
	{
		char		kind;
		const char *name;
	}			names[] = {
		{STATS_EXT_NDISTINCT, "ndistinct"},
		{STATS_EXT_DEPENDENCIES, "dependencies"},
		{STATS_EXT_MCV, "mcv"}
	};
	bool		isnull;
	ArrayType  *kinds;
	char	   *data;
	StringInfoData buf;
	int			i;

	kinds = DatumGetArrayTypeP(SysCacheGetAttr(STATEXTOID, tuple,
											   Anum_pg_statistic_ext_stxkind,
											   &isnull));
	data = ARR_DATA_PTR(kinds);
	initStringInfo(&buf);
	for (i = 0; i < (int) lengthof(names); i++)
	{
		if (memchr(data, names[i].kind, ARR_DIMS(kinds)[0]) != NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : " (",
							 names[i].name);
	}
	if (buf.len == 0)
		return "";
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

static List *
statistics_expressions(HeapTuple tuple)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(STATEXTOID, tuple,
										Anum_pg_statistic_ext_stxexprs,
										&isnull);

	return isnull ? NIL : (List *) stringToNode(TextDatumGetCString(datum));
}

static char *
statistics_columns(const MigspecCarry *carry, HeapTuple tuple)
{
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	StringInfoData buf;
	ListCell   *lc;
	int			i;

	initStringInfo(&buf);
	for (i = 0; i < form->stxkeys.dim1; i++)
		appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
						 quote_identifier(migspec_carry_new_name(carry,
																 carry->relid,
																 form->stxkeys.values[i])));
	foreach(lc, statistics_expressions(tuple))
		appendStringInfo(&buf, "%s(%s)", buf.len > 0 ? ", " : "",
						 migspec_carry_new_expr(carry, lfirst(lc)));
	return buf.data;
}

static void
statistics_step(MigspecCarry *carry, const MigspecCarryItem *item,
				char *statement)
{
	migspec_carry_step(carry, item, MIGSPEC_MIGRATING,
					   ShareUpdateExclusiveLock, statement,
					   NULL)->as_extension = true;
}

/*
 * An object of extended statistics, which may have another owner and schema
 * than the table.
 */
void
migspec_carry_statistics(MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple = SearchSysCache1(STATEXTOID,
										ObjectIdGetDatum(item->object.objectId));
	Form_pg_statistic_ext form;
	char	   *name;
	bool		choice;
	int			target;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("statistics object with OID %u does not exist",
						item->object.objectId)));
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->stxnamespace),
									  migspec_carry_hidden(carry, 's', form->oid));
	choice = form->stxkeys.dim1 + list_length(statistics_expressions(tuple)) > 1;
	statistics_step(carry, item,
					psprintf("CREATE STATISTICS %s%s ON %s FROM %s", name,
							 choice ? statistics_kinds(tuple) : "",
							 statistics_columns(carry, tuple), carry->table));
	statistics_step(carry, item,
					psprintf("ALTER STATISTICS %s OWNER TO %s", name,
							 quote_identifier(GetUserNameFromId(form->stxowner,
																false))));
	target = migspec_stattarget(STATEXTOID, tuple,
								Anum_pg_statistic_ext_stxstattarget);
	if (target >= 0)
		statistics_step(carry, item,
						psprintf("ALTER STATISTICS %s SET STATISTICS %d",
								 name, target));
	ReleaseSysCache(tuple);
	migspec_carry_comment(carry, item, StatisticExtRelationId,
						  item->object.objectId,
						  psprintf("STATISTICS %s", name));
}

void
migspec_carry_statistics_finish(MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple = SearchSysCache1(STATEXTOID,
										ObjectIdGetDatum(item->object.objectId));
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);

	migspec_carry_step(carry, item, MIGSPEC_FINISHED, ShareUpdateExclusiveLock,
					   psprintf("ALTER STATISTICS %s RENAME TO %s",
								quote_qualified_identifier(get_namespace_name(form->stxnamespace),
														   migspec_carry_hidden(carry, 's', form->oid)),
								quote_identifier(NameStr(form->stxname))),
					   NULL)->as_extension = true;
	ReleaseSysCache(tuple);
}

static char *
statistics_problem(const MigspecCarry *carry, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(oid));
	Form_pg_statistic_ext form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	char	   *problem = NULL;
	ListCell   *lc;
	int			i;

	for (i = 0; problem == NULL && i < form->stxkeys.dim1; i++)
	{
		Oid			type = migspec_carry_new_type(carry, carry->relid,
												  form->stxkeys.values[i]);

		if (!OidIsValid(lookup_type_cache(type, TYPECACHE_LT_OPR)->lt_opr))
			problem = psprintf("type %s has no order", format_type_be(type));
	}
	foreach(lc, statistics_expressions(tuple))
	{
		if (problem == NULL)
			problem = migspec_carry_expr_problem(carry, lfirst(lc));
	}
	ReleaseSysCache(tuple);
	return problem;
}

/*----------
 * Identity, sequences, defaults
 *----------
 */

/* The spelling of a type that a sequence can have, or NULL */
static const char *
sequence_type_name(Oid type)
{
	switch (type)
	{
		case INT2OID:
			return "smallint";
		case INT4OID:
			return "integer";
		case INT8OID:
			return "bigint";
		default:
			return NULL;
	}
}

/*
 * Give the sequence the type of its new column.
 */
static void
carry_sequence_type(MigspecCarry *carry, const MigspecCarryItem *item)
{
	HeapTuple	tuple = SearchSysCache1(SEQRELID,
										ObjectIdGetDatum(item->object.objectId));
	Oid			type = ((Form_pg_sequence) GETSTRUCT(tuple))->seqtypid;
	const char *new_type = sequence_type_name(getBaseType(carry->new_type));
	char	   *name = migspec_relation_name(item->object.objectId);

	ReleaseSysCache(tuple);
	if (new_type == NULL || getBaseType(carry->new_type) == type)
		return;
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessShareLock,
					   psprintf("ALTER SEQUENCE %s AS %s", name, new_type),
					   psprintf("ALTER SEQUENCE %s AS %s", name,
								sequence_type_name(type)));
}

static char *
move_identity_text(const MigspecCarry *carry, const char *from, const char *to)
{
	return psprintf("SELECT migspec.move_identity(%s::regclass, %s, %s)",
					migspec_literal(carry->table), migspec_literal(from),
					migspec_literal(to));
}

/*
 * GENERATED ... AS IDENTITY, with its sequence as it is.
 */
void
migspec_carry_identity(MigspecCarry *carry, MigspecCarryItem *item)
{
	const char *old_name = NameStr(carry->att->attname);

	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessExclusiveLock,
					   move_identity_text(carry, old_name,
										  carry->op->new_column),
					   move_identity_text(carry, carry->op->new_column,
										  old_name))->as_extension = true;
	carry_sequence_type(carry, item);
}

static char *
owned_by_text(const MigspecCarry *carry, Oid sequence, const char *column)
{
	return psprintf("ALTER SEQUENCE %s OWNED BY %s.%s",
					migspec_relation_name(sequence), carry->table,
					quote_identifier(column));
}

/*
 * A sequence that belongs to the column, as that of a serial one does.
 */
void
migspec_carry_sequence(MigspecCarry *carry, MigspecCarryItem *item)
{
	Oid			sequence = item->object.objectId;

	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessShareLock,
					   owned_by_text(carry, sequence, carry->op->new_column),
					   owned_by_text(carry, sequence,
									 NameStr(carry->att->attname)));
	carry_sequence_type(carry, item);
}

/* "up" applied to a default: what "$n" of it is replaced by */
typedef struct DefaultContext
{
	char	   *value;
	int			uses;
} DefaultContext;

static const char *
default_for_param(int n, void *arg)
{
	DefaultContext *context = arg;

	context->uses++;
	return context->value;
}

/* The default of the column in this table, or NULL */
static Node *
default_tree(const MigspecCarry *carry)
{
	return migspec_column_default(carry->relid, NameStr(carry->att->attname));
}

/*
 * The new column's default: that of the old one, converted as a value would
 * be.  Where that is a mere cast, SET DEFAULT does it by itself.  Sets *problem
 * if it cannot be done.
 */
static char *
default_text(const MigspecCarry *carry, char **problem)
{
	const MigspecOperation *op = carry->op;
	Node	   *tree = default_tree(carry);
	Oid			type = exprType(tree);
	char	   *text = deparse_expression(tree, NIL, false, false);
	DefaultContext context = {.value = psprintf("(%s)", text)};
	ListCell   *lc;

	*problem = NULL;
	if (op->up_sql == NULL || strcmp(op->kind, "rename_column") == 0)
		return text;

	foreach(lc, op->up_columns)
	{
		if (strcmp(lfirst(lc), op->old_column) != 0)
			*problem = pstrdup("\"up\" reads other columns, too");
	}
	if (migspec_carry_is_cast(op) &&
		can_coerce_type(1, &type, &carry->new_type, COERCION_ASSIGNMENT))
		return text;
	text = migspec_fill_params(op->up_sql, default_for_param, &context);

	if (context.uses > 1 && contain_volatile_functions(tree))
		*problem = pstrdup("it is volatile, and \"up\" reads it more than once");
	return text;
}

static char *
pass_default_text(const MigspecCarry *carry, const char *from, const char *to,
				  const char *expression, bool keep)
{
	return psprintf("SELECT migspec.pass_default(%s::regclass, %s, %s, %s, %s)",
					migspec_literal(carry->table), migspec_literal(from),
					migspec_literal(to), migspec_literal(expression),
					keep ? "true" : "false");
}

/*
 * A volatile default moves: nextval() must not be called twice for one row.
 *
 * Any other one stands on both columns, where applications know both: they
 * may write DEFAULT for the one that they name.
 *
 * Partitions that have the table's default are the same step's business.
 */
void
migspec_carry_default(MigspecCarry *carry, MigspecCarryItem *item)
{
	const char *old_column = NameStr(carry->att->attname);
	const char *new_column = carry->op->new_column;
	Node	   *tree = default_tree(carry);
	char	   *problem;
	char	   *text = default_text(carry, &problem);
	char	   *old_text = deparse_expression(tree, NIL, false, false);

	if (strcmp(carry->op->kind, "rename_column") == 0 &&
		!contain_volatile_functions(tree))
		migspec_carry_step(carry, item, MIGSPEC_EXPANDED, AccessExclusiveLock,
						   pass_default_text(carry, old_column, new_column,
											 text, true),
						   NULL)->as_extension = true;
	else
		migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessExclusiveLock,
						   pass_default_text(carry, old_column, new_column,
											 text, false),
						   pass_default_text(carry, new_column, old_column,
											 old_text, false))->as_extension = true;
}

/*----------
 * Policies, publications
 *----------
 */
static char *
policy_text(const MigspecCarry *carry, const CatalogRow *row, bool old)
{
	Form_pg_policy form = (Form_pg_policy) GETSTRUCT(row->tuple);
	Node	   *using = row_tree(row, Anum_pg_policy_polqual);
	Node	   *check = row_tree(row, Anum_pg_policy_polwithcheck);
	char	   *(*deparse) (const MigspecCarry *, Node *);
	StringInfoData buf;

	deparse = old ? migspec_carry_old_expr : migspec_carry_new_expr;
	initStringInfo(&buf);
	appendStringInfo(&buf, "ALTER POLICY %s ON %s",
					 quote_identifier(NameStr(form->polname)), carry->table);
	if (using != NULL)
		appendStringInfo(&buf, " USING (%s)",
						 deparse(carry, using));
	if (check != NULL)
		appendStringInfo(&buf, " WITH CHECK (%s)",
						 deparse(carry, check));
	return buf.data;
}

void
migspec_carry_policy(MigspecCarry *carry, MigspecCarryItem *item)
{
	CatalogRow	row;

	open_row(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid,
			 item->object.objectId, &row);
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessExclusiveLock,
					   policy_text(carry, &row, false),
					   policy_text(carry, &row, true));
	close_row(&row);
}

static char *
policy_problem(const MigspecCarry *carry, Oid oid)
{
	CatalogRow	row;
	Node	   *trees[2];
	char	   *problem = NULL;
	int			i;

	open_row(PolicyRelationId, PolicyOidIndexId, Anum_pg_policy_oid, oid, &row);
	trees[0] = row_tree(&row, Anum_pg_policy_polqual);
	trees[1] = row_tree(&row, Anum_pg_policy_polwithcheck);
	if (((Form_pg_policy) GETSTRUCT(row.tuple))->polrelid != carry->relid)
		problem = pstrdup("it is of another table");
	close_row(&row);
	for (i = 0; problem == NULL && i < (int) lengthof(trees); i++)
	{
		if (trees[i] == NULL)
			continue;
		if (migspec_carry_expr_reads_table(trees[i], carry->relid))
			problem = pstrdup("it has a subquery on the table itself");
		else if (migspec_carry_expr_converts(carry, trees[i]))
			problem = pstrdup("it was written for values before \"up\"");
		else
			problem = migspec_carry_expr_problem(carry, trees[i]);
	}
	return problem;
}

/*
 * ", ADD TABLE"'s argument: the table with columns and row filter.
 */
static char *
published_text(const MigspecCarry *carry, HeapTuple tuple, bool old)
{
	StringInfoData buf;
	bool		isnull;
	Datum		datum;

	initStringInfo(&buf);
	appendStringInfo(&buf, "TABLE ONLY %s", carry->table);
	datum = SysCacheGetAttr(PUBLICATIONREL, tuple,
							Anum_pg_publication_rel_prattrs, &isnull);
	if (!isnull)
	{
		int2vector *attnos = (int2vector *) DatumGetPointer(datum);
		int			i;

		for (i = 0; i < attnos->dim1; i++)
		{
			const char *name = old ?
			get_attname(carry->relid, attnos->values[i], false) :
			migspec_carry_new_name(carry, carry->relid,
								   attnos->values[i]);

			appendStringInfo(&buf, "%s%s", i > 0 ? ", " : " (",
							 quote_identifier(name));
		}
		appendStringInfoChar(&buf, ')');
	}
	datum = SysCacheGetAttr(PUBLICATIONREL, tuple,
							Anum_pg_publication_rel_prqual, &isnull);
	if (!isnull)
	{
		Node	   *tree = stringToNode(TextDatumGetCString(datum));

		appendStringInfo(&buf, " WHERE (%s)",
						 (old ? migspec_carry_old_expr :
						  migspec_carry_new_expr) (carry, tree));
	}
	return buf.data;
}

/*
 * A publication with a column list or row filter: what it publishes under the
 * column's name is the new column from now on.
 */
void
migspec_carry_publication(MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple = SearchSysCache1(PUBLICATIONREL,
										ObjectIdGetDatum(item->object.objectId));
	Oid			publication;
	char	   *prefix;
	char	   *drop;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("table \"%s\" was dropped from a publication while it was looked at",
						RelationGetRelationName(carry->rel))));
	publication = ((Form_pg_publication_rel) GETSTRUCT(tuple))->prpubid;
	prefix = psprintf("ALTER PUBLICATION %s",
					  quote_identifier(get_publication_name(publication, false)));
	drop = psprintf("%s DROP TABLE ONLY %s", prefix, carry->table);
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, ShareUpdateExclusiveLock,
					   drop,
					   psprintf("%s ADD %s", prefix,
								published_text(carry, tuple, true)))->as_extension = true;
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, ShareUpdateExclusiveLock,
					   psprintf("%s ADD %s", prefix,
								published_text(carry, tuple, false)),
					   pstrdup(drop))->as_extension = true;
	ReleaseSysCache(tuple);
}

static char *
publication_problem(const MigspecCarry *carry, Oid oid)
{
	HeapTuple	tuple = SearchSysCache1(PUBLICATIONREL, ObjectIdGetDatum(oid));
	bool		isnull;
	Datum		datum;
	char	   *problem = NULL;

	datum = SysCacheGetAttr(PUBLICATIONREL, tuple,
							Anum_pg_publication_rel_prqual, &isnull);
	if (!isnull)
	{
		Node	   *tree = stringToNode(TextDatumGetCString(datum));

		if (migspec_carry_expr_converts(carry, tree))
			problem = pstrdup("its row filter was written for values before \"up\"");
		else
			problem = migspec_carry_expr_problem(carry, tree);
	}
	ReleaseSysCache(tuple);
	return problem;
}

/*
 * Why the object cannot be carried over, or NULL if it can.
 */
char *
migspec_carry_misc_problem(const MigspecCarry *carry,
						   const MigspecCarryItem *item)
{
	char	   *problem = NULL;

	switch (item->kind)
	{
		case MIGSPEC_CARRY_STATISTICS:
			return statistics_problem(carry, item->object.objectId);
		case MIGSPEC_CARRY_IDENTITY:
			if (sequence_type_name(carry->new_type) == NULL)
				problem = psprintf("an identity column cannot be of type %s",
								   format_type_be(carry->new_type));
			return problem;
		case MIGSPEC_CARRY_DEFAULT:
			(void) default_text(carry, &problem);
			return problem;
		case MIGSPEC_CARRY_POLICY:
			return policy_problem(carry, item->object.objectId);
		case MIGSPEC_CARRY_PUBLICATION:
			return publication_problem(carry, item->object.objectId);
		default:
			return NULL;
	}
}
