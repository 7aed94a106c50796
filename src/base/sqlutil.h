/*-------------------------------------------------------------------------
 *
 * sqlutil.h
 *		Small helpers around SPI and quoting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SQLUTIL_H
#define MIGSPEC_SQLUTIL_H

#include "postgres.h"
#include "catalog/pg_type_d.h"
#include "executor/spi.h"
#include "utils/builtins.h"

#include "base/security.h"

/* one parameter of a statement */
typedef struct MigspecParam
{
	Oid			type;
	Datum		value;
	bool		isnull;
} MigspecParam;

/* a text parameter, null if s is NULL */
static inline MigspecParam
migspec_text_param(const char *s)
{
	MigspecParam param = {TEXTOID, (Datum) 0, s == NULL};

	if (s != NULL)
		param.value = CStringGetTextDatum(s);
	return param;
}

#define MIGSPEC_TEXT(s) migspec_text_param(s)
#define MIGSPEC_INT8(n) ((MigspecParam) {INT8OID, Int64GetDatum(n), false})
#define MIGSPEC_INT4(n) ((MigspecParam) {INT4OID, Int32GetDatum(n), false})
#define MIGSPEC_BOOL(b) ((MigspecParam) {BOOLOID, BoolGetDatum(b), false})
#define MIGSPEC_REGCLASS(o) ((MigspecParam) {REGCLASSOID, ObjectIdGetDatum(o), false})
#define MIGSPEC_DATUM(t, d, n) ((MigspecParam) {(t), (d), (n)})

/*
 * Number and array of the parameters, for the two arguments of migspec_sql(),
 * e.g. MIGSPEC_PARAMS(MIGSPEC_INT8(id), MIGSPEC_TEXT(name)).
 */
#define MIGSPEC_PARAMS(...) \
	lengthof(((MigspecParam[]) {__VA_ARGS__})), (MigspecParam[]) {__VA_ARGS__}

/*
 * While set, migspec_sql() only reads, with the active snapshot, and leaves
 * the command counter alone: for calls in the middle of somebody else's
 * command.
 */
extern bool migspec_sql_read_only;

/*
 * Run one statement through SPI, which must be connected.  Errors out unless
 * it completes.  Returns the number of rows processed; results are in
 * SPI_tuptable.  The statement gets a new snapshot (read_only = false).
 */
extern uint64 migspec_sql(const char *statement, int nparams,
						  const MigspecParam *params);

/*
 * Statements on our own catalog tables run as the extension's owner.  Between
 * begin, which connects SPI as well, and end, which finishes it, use
 * migspec_sql() and read SPI_tuptable.  The current memory context stays the
 * caller's.  If the (sub)transaction aborts in between, nothing is left to do.
 */
extern void migspec_catalog_begin(MigspecIdentity *saved);
extern void migspec_catalog_end(const MigspecIdentity *saved);

/* All of that for one statement whose result rows are of no interest */
extern uint64 migspec_catalog_sql(const char *statement, int nparams,
								  const MigspecParam *params);

/*
 * Column "name" of row "row" of SPI_tuptable.  The results are palloc'd in
 * the memory context that was current when SPI was connected, so they are
 * still there after SPI_finish().
 */
extern Datum migspec_spi_datum(uint64 row, const char *name, bool *isnull);
extern char *migspec_spi_text(uint64 row, const char *name);	/* NULL for null */
extern int64 migspec_spi_int8(uint64 row, const char *name);	/* 0 for null */
extern bool migspec_spi_bool(uint64 row, const char *name); /* false for null */
extern Oid	migspec_spi_oid(uint64 row, const char *name);	/* 0 for null */
extern List *migspec_spi_textlist(uint64 row, const char *name);	/* of char *, from
																	 * text[] */

extern List *migspec_spi_oidlist(uint64 row, const char *name); /* of Oid, from
																 * regclass[] */

/* is there such a table (index, ...)?  Takes no lock. */
extern bool migspec_relation_exists(Oid relid);

/* schema.table, quoted; errors if there is no such table */
extern char *migspec_relation_name(Oid relid);

/* the owner of a table; errors if there is no such table */
extern Oid	migspec_relation_owner(Oid relid);

/* 'literal', quoted */
extern char *migspec_literal(const char *s);

/* type name for SQL text, qualified, with its typmod */
extern char *migspec_type_name(Oid type, int32 typmod);

/*
 * The parts of a comma-separated list (List of char *), without the blanks and
 * double quotes around them; empty ones are left out.
 */
extern List *migspec_split_list(const char *s);

/* text[] Datum from a List of char * */
extern Datum migspec_text_array(List *strings);

/* regclass[] Datum from a List of Oid */
extern Datum migspec_regclass_array(List *oids);

#endif							/* MIGSPEC_SQLUTIL_H */
