/*-------------------------------------------------------------------------
 *
 * sqlutil.c
 *		Small helpers around SPI and quoting.
 *
 * Runs in any process, inside a transaction.  All statements are planned
 * anew: they run rarely, and a kept plan would have to be found again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "base/errors.h"
#include "base/sqlutil.h"

bool		migspec_sql_read_only = false;

/*
 * Run one statement through SPI, which must be connected; returns the number
 * of rows processed.  See sqlutil.h.
 */
uint64
migspec_sql(const char *statement, int nparams, const MigspecParam *params)
{
	MemoryContext caller = CurrentMemoryContext;
	Oid		   *types = palloc(sizeof(Oid) * Max(nparams, 1));
	Datum	   *values = palloc(sizeof(Datum) * Max(nparams, 1));
	char	   *nulls = palloc(Max(nparams, 1));
	int			result;
	int			i;

	for (i = 0; i < nparams; i++)
	{
		types[i] = params[i].type;
		values[i] = params[i].value;
		nulls[i] = params[i].isnull ? 'n' : ' ';
	}

	result = SPI_execute_with_args(statement, nparams, types, values, nulls,
								   migspec_sql_read_only, 0);
	if (result < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg_internal("SPI_execute_with_args failed: %s",
								 SPI_result_code_string(result)),
				 errdetail_internal("Statement: %s", statement)));

	/* SPI leaves us in a context of its own */
	MemoryContextSwitchTo(caller);
	pfree(types);
	pfree(values);
	pfree(nulls);

	return SPI_processed;
}

/*
 * Connect SPI and become the extension's owner.
 */
void
migspec_catalog_begin(MigspecIdentity *saved)
{
	MemoryContext caller = CurrentMemoryContext;

	SPI_connect();
	MemoryContextSwitchTo(caller);
	migspec_become_extension(saved);
}

/*
 * Undo migspec_catalog_begin(), the memory context included.
 */
void
migspec_catalog_end(const MigspecIdentity *saved)
{
	migspec_restore_identity(saved);
	SPI_finish();
}

/*
 * Run one statement on our catalog tables; returns the number of rows
 * processed.  SPI need not be connected.
 */
uint64
migspec_catalog_sql(const char *statement, int nparams,
					const MigspecParam *params)
{
	MigspecIdentity saved;
	uint64		processed;

	migspec_catalog_begin(&saved);
	processed = migspec_sql(statement, nparams, params);
	migspec_catalog_end(&saved);

	return processed;
}

/*
 * The memory context that was current when SPI was connected.  SPI has no
 * function that tells, but one that allocates there.
 */
static MemoryContext
spi_upper_context(void)
{
	void	   *chunk = SPI_palloc(1);
	MemoryContext context = GetMemoryChunkContext(chunk);

	pfree(chunk);
	return context;
}

/*
 * Number of the column of SPI_tuptable; errors out if there is no such column.
 */
static int
column_number(const char *name)
{
	int			attno = SPI_fnumber(SPI_tuptable->tupdesc, name);

	if (attno <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg_internal("no column \"%s\" in the result", name)));
	return attno;
}

/*
 * The value as it stands in the tuple; not copied.
 */
static Datum
raw_datum(uint64 row, const char *name, Form_pg_attribute *attribute,
		  bool *isnull)
{
	int			attno = column_number(name);

	Assert(row < SPI_tuptable->numvals);
	*attribute = TupleDescAttr(SPI_tuptable->tupdesc, attno - 1);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 attno, isnull);
}

/*
 * The value, copied.
 */
Datum
migspec_spi_datum(uint64 row, const char *name, bool *isnull)
{
	Form_pg_attribute attribute;
	Datum		value = raw_datum(row, name, &attribute, isnull);

	if (*isnull)
		return (Datum) 0;
	return SPI_datumTransfer(value, attribute->attbyval, attribute->attlen);
}

/*
 * The value as text, whatever its type is; NULL for null.
 */
char *
migspec_spi_text(uint64 row, const char *name)
{
	int			attno = column_number(name);
	MemoryContext old = MemoryContextSwitchTo(spi_upper_context());
	char	   *value;

	value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
						 attno);
	MemoryContextSwitchTo(old);
	return value;
}

/*
 * The value of a smallint, integer or bigint column; 0 for null.
 */
int64
migspec_spi_int8(uint64 row, const char *name)
{
	Form_pg_attribute attribute;
	bool		isnull;
	Datum		value = raw_datum(row, name, &attribute, &isnull);

	if (isnull)
		return 0;
	switch (attribute->atttypid)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg_internal("column \"%s\" is no integer", name)));
	}
}

/*
 * The value of a boolean column; false for null.
 */
bool
migspec_spi_bool(uint64 row, const char *name)
{
	Form_pg_attribute attribute;
	bool		isnull;
	Datum		value = raw_datum(row, name, &attribute, &isnull);

	Assert(isnull || attribute->atttypid == BOOLOID);
	return !isnull && DatumGetBool(value);
}

/*
 * The value of a column of type oid, regclass, regrole, ...; 0 for null.
 */
Oid
migspec_spi_oid(uint64 row, const char *name)
{
	Form_pg_attribute attribute;
	bool		isnull;
	Datum		value = raw_datum(row, name, &attribute, &isnull);

	Assert(isnull || attribute->attlen == sizeof(Oid));
	return isnull ? InvalidOid : DatumGetObjectId(value);
}

/*
 * The elements of a text[] column as a List of char *; NIL for null.
 */
List *
migspec_spi_textlist(uint64 row, const char *name)
{
	Form_pg_attribute attribute;
	bool		isnull;
	Datum		value = raw_datum(row, name, &attribute, &isnull);
	MemoryContext old;
	Datum	   *elements;
	int			count;
	int			i;
	List	   *result = NIL;

	if (isnull)
		return NIL;

	old = MemoryContextSwitchTo(spi_upper_context());
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &count);
	for (i = 0; i < count; i++)
		result = lappend(result, TextDatumGetCString(elements[i]));
	MemoryContextSwitchTo(old);

	return result;
}

/*
 * The elements of a regclass[] column as a List of Oid; NIL for null.
 */
List *
migspec_spi_oidlist(uint64 row, const char *name)
{
	Form_pg_attribute attribute;
	bool		isnull;
	Datum		value = raw_datum(row, name, &attribute, &isnull);
	MemoryContext old;
	Datum	   *elements;
	int			count;
	List	   *result = NIL;

	if (isnull)
		return NIL;
	old = MemoryContextSwitchTo(spi_upper_context());
	deconstruct_array(DatumGetArrayTypeP(value), REGCLASSOID, sizeof(Oid),
					  true, TYPALIGN_INT, &elements, NULL, &count);
	for (int i = 0; i < count; i++)
		result = lappend_oid(result, DatumGetObjectId(elements[i]));
	MemoryContextSwitchTo(old);
	return result;
}

/*
 * Is there a relation of this OID?
 */
bool
migspec_relation_exists(Oid relid)
{
	return SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid));
}

/*
 * Name of a relation for SQL text, with its schema; error MG101 if there is
 * no such relation (any more).
 */
char *
migspec_relation_name(Oid relid)
{
	char	   *name = get_rel_name(relid);
	char	   *schema = get_namespace_name(get_rel_namespace(relid));

	if (name == NULL || schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", relid)));

	return quote_qualified_identifier(schema, name);
}

/*
 * A string as a literal for SQL text.
 */
char *
migspec_literal(const char *s)
{
	return quote_literal_cstr(s);
}

/*
 * Name of a type for SQL text, independent of search_path.
 */
char *
migspec_type_name(Oid type, int32 typmod)
{
	return format_type_extended(type, typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN |
								FORMAT_TYPE_FORCE_QUALIFY);
}

/*
 * A text[] from a List of char *.
 */
Datum
migspec_text_array(List *strings)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(strings), 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, strings)
		elements[count++] = CStringGetTextDatum((char *) lfirst(cell));

	return PointerGetDatum(construct_array(elements, count, TEXTOID, -1,
										   false, TYPALIGN_INT));
}

/*
 * A regclass[] from a List of Oid.
 */
Datum
migspec_regclass_array(List *oids)
{
	Datum	   *elements = palloc(sizeof(Datum) * Max(list_length(oids), 1));
	int			count = 0;
	ListCell   *cell;

	foreach(cell, oids)
		elements[count++] = ObjectIdGetDatum(lfirst_oid(cell));

	return PointerGetDatum(construct_array(elements, count, REGCLASSOID,
										   sizeof(Oid), true, TYPALIGN_INT));
}

/*
 * The owner of a table.
 */
Oid
migspec_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_UNDEFINED_TABLE),
				 errmsg("table with OID %u of the migration no longer exists",
						relid),
				 errhint("Roll the migration back.")));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * The parts of a comma-separated list; see sqlutil.h.
 */
List *
migspec_split_list(const char *s)
{
	static const char blanks[] = " \t\r\n\"";
	List	   *parts = NIL;

	while (s != NULL && *s != '\0')
	{
		const char *end = s + strcspn(s, ",");
		const char *next = *end == ',' ? end + 1 : end;

		s += strspn(s, blanks);
		while (end > s && strchr(blanks, end[-1]) != NULL)
			end--;
		if (end > s)
			parts = lappend(parts, pnstrdup(s, end - s));
		s = next;
	}
	return parts;
}
