/*-------------------------------------------------------------------------
 *
 * sample.c
 *		Trying up and down on some rows before anything is changed.
 *
 * Reads up to SAMPLE_ROWS rows of each table, computes the new value and from
 * it the old one again, and every default once, as the table's owner in a
 * security-restricted operation.  An error is reported with the row it happened on; an old value
 * that does not come back is a warning, since it may be meant.
 *
 * Runs in the author's transaction; takes ACCESS SHARE locks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "engine/plan.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"

#include "base/compat.h"
#include "base/errors.h"
#include "base/security.h"
#include "base/sqlutil.h"

#define SAMPLE_ROWS 1000

/* one expression, prepared, and where its parameters come from */
typedef struct SampleExpr
{
	SPIPlanPtr	plan;
	Oid			type;			/* of the result */
	int			nparams;
	int		   *columns;		/* column of the sample, or ... */
	int		   *changes;		/* ... index of the change whose new value it
								 * is, or -1 */
} SampleExpr;

/* one change of the table at hand */
typedef struct SampleChange
{
	MigspecChange *change;
	SampleExpr	up;
	SampleExpr	down;
	int			old_column;		/* of the sample, 0 if there is none */
	Datum		new_value;
	bool		new_isnull;
	bool		lossy;
} SampleChange;

typedef struct Sample
{
	Oid			relid;
	SPITupleTable *rows;
	uint64		nrows;
	SampleChange *changes;
	int			nchanges;
} Sample;

/*
 * Read the sample: blocks at random if the table is large.
 */
static void
read_rows(Sample *sample)
{
	double		rows = migspec_table_rows(sample->relid);
	char	   *clause = "";

	if (rows > 100.0 * SAMPLE_ROWS)
		clause = psprintf(" TABLESAMPLE SYSTEM (%g)", 200.0 * SAMPLE_ROWS / rows);
	sample->nrows = migspec_sql(psprintf("SELECT * FROM %s%s LIMIT %d",
										 migspec_relation_name(sample->relid),
										 clause, SAMPLE_ROWS), 0, NULL);
	sample->rows = SPI_tuptable;
}

/*
 * Prepare an expression, and find what its parameters stand for.
 */
static void
prepare(Sample *sample, SampleExpr *expr, const char *sql, List *columns, Oid type,
		bool is_down)
{
	Oid		   *types;
	ListCell   *lc;

	expr->type = type;
	expr->nparams = list_length(columns);
	expr->columns = palloc0(sizeof(int) * Max(expr->nparams, 1));
	expr->changes = palloc0(sizeof(int) * Max(expr->nparams, 1));
	types = palloc0(sizeof(Oid) * Max(expr->nparams, 1));
	foreach(lc, columns)
	{
		int			i = foreach_current_index(lc);

		expr->changes[i] = -1;
		for (int j = 0; is_down && j < sample->nchanges; j++)
		{
			MigspecChange *change = sample->changes[j].change;

			if (strcmp(change->op->new_column, lfirst(lc)) == 0)
			{
				expr->changes[i] = j;
				types[i] = change->type;
			}
		}
		if (expr->changes[i] < 0)
		{
			expr->columns[i] = SPI_fnumber(sample->rows->tupdesc, lfirst(lc));
			types[i] = SPI_gettypeid(sample->rows->tupdesc, expr->columns[i]);
		}
	}
	expr->plan = SPI_prepare(psprintf("SELECT %s", sql), expr->nparams, types);
	if (expr->plan == NULL)
		elog(ERROR, "SPI_prepare failed: %s", SPI_result_code_string(SPI_result));
}

/*
 * The value of a prepared expression for one row.
 */
static Datum
evaluate(Sample *sample, uint64 row, SampleExpr *expr, bool *isnull)
{
	Datum	   *values = palloc0(sizeof(Datum) * Max(expr->nparams, 1));
	char	   *nulls = palloc0(Max(expr->nparams, 1) + 1);
	Datum		result;
	SPITupleTable *table;

	for (int i = 0; i < expr->nparams; i++)
	{
		bool		null;

		if (expr->changes[i] >= 0)
		{
			values[i] = sample->changes[expr->changes[i]].new_value;
			null = sample->changes[expr->changes[i]].new_isnull;
		}
		else
			values[i] = SPI_getbinval(sample->rows->vals[row], sample->rows->tupdesc,
									  expr->columns[i], &null);
		nulls[i] = null ? 'n' : ' ';
	}
	if (SPI_execute_plan(expr->plan, values, nulls, false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "sample expression did not return one row");
	table = SPI_tuptable;
	if (SPI_gettypeid(table->tupdesc, 1) != expr->type)
		elog(ERROR, "sample expression is of type %u instead of %u",
			 SPI_gettypeid(table->tupdesc, 1), expr->type);
	result = SPI_getbinval(table->vals[0], table->tupdesc, 1, isnull);
	if (!*isnull)
	{
		Form_pg_attribute att = TupleDescAttr(table->tupdesc, 0);

		result = datumCopy(result, att->attbyval, att->attlen);
	}
	SPI_freetuptable(table);
	return result;
}

/*
 * The error that is being handled, unless it is none of the expression.
 */
static ErrorData *
error_of_expression(MemoryContext context)
{
	ErrorData  *edata;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	if (ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
		ERRCODE_TO_CATEGORY(edata->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES)
		PG_RE_THROW();
	FlushErrorState();
	return edata;
}

/*
 * What the error has to say besides its message: a function of the user may
 * explain a lot.
 */
static char *
other_texts(const ErrorData *edata)
{
	return psprintf("%s%s%s%s",
					edata->detail ? "\nIts detail is: " : "",
					edata->detail ? edata->detail : "",
					edata->hint ? "\nIts hint is: " : "",
					edata->hint ? edata->hint : "");
}

/*
 * An error in an expression, as one of ours, with the row.
 */
static void
report(Sample *sample, uint64 row, const MigspecChange *change, const char *what,
	   const char *text, MemoryContext context)
{
	ErrorData  *edata = error_of_expression(context);
	char	   *value;

	value = change->op->old_name ?
		SPI_getvalue(sample->rows->vals[row], sample->rows->tupdesc,
					 SPI_fnumber(sample->rows->tupdesc, change->op->old_name)) : NULL;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_EXPRESSION_FAILS),
			 errmsg("\"%s\" of column \"%s\" fails on a row of table \"%s\": %s",
					what, change->op->new_name, get_rel_name(sample->relid), edata->message),
			 errdetail("The expression is: %s%s%s%s", text,
					   change->op->old_name ? psprintf("\nThe value of \"%s\" is: ", change->op->old_name) : "",
					   change->op->old_name ? (value ? value : "NULL") : "",
					   other_texts(edata)),
			 errhint("Write the expression so that it handles such rows, or change them.")));
}

/*
 * A default has to work once, rows or not: it is evaluated when the column is
 * added, or by the first writer who does not name it.
 */
static void
try_default(const MigspecChange *change)
{
	MemoryContext context = CurrentMemoryContext;

	if (change->default_sql == NULL)
		return;
	PG_TRY();
	{
		migspec_sql(psprintf("SELECT %s", change->default_sql), 0, NULL);
	}
	PG_CATCH();
	{
		ErrorData  *edata = error_of_expression(context);

		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_EXPRESSION_FAILS),
				 errmsg("the default of column \"%s\" fails: %s",
						change->op->new_name, edata->message),
				 errdetail("The expression is: %s%s", change->default_text,
						   other_texts(edata)),
				 errhint("Write the default so that it gives a value.")));
	}
	PG_END_TRY();
}

/*
 * Up or down of one row; an error becomes one of ours.
 */
static Datum
try_expression(Sample *sample, uint64 row, SampleChange *change, bool is_down,
			   bool *isnull)
{
	MemoryContext context = CurrentMemoryContext;
	MigspecOperation *op = change->change->op;
	Datum volatile value = 0;

	PG_TRY();
	{
		value = evaluate(sample, row, is_down ? &change->down : &change->up, isnull);
	}
	PG_CATCH();
	{
		report(sample, row, change->change, is_down ? "down" : "up",
			   is_down ? op->down : op->up, context);
	}
	PG_END_TRY();
	return value;
}

/*
 * Up, then down of what up gave, for one row.
 */
static void
try_row(Sample *sample, uint64 row)
{
	for (int i = 0; i < sample->nchanges; i++)
	{
		SampleChange *change = &sample->changes[i];

		if (change->up.plan)
			change->new_value = try_expression(sample, row, change, false,
											   &change->new_isnull);
	}
	for (int i = 0; i < sample->nchanges; i++)
	{
		SampleChange *change = &sample->changes[i];
		Form_pg_attribute att;
		bool		isnull;
		bool		old_isnull;
		Datum		value;
		Datum		old;

		if (change->down.plan == NULL)
			continue;
		value = try_expression(sample, row, change, true, &isnull);
		old = SPI_getbinval(sample->rows->vals[row], sample->rows->tupdesc,
							change->old_column, &old_isnull);
		att = TupleDescAttr(sample->rows->tupdesc, change->old_column - 1);
		if (isnull != old_isnull ||
			(!isnull && !datum_image_eq(value, old, att->attbyval, att->attlen)))
			change->lossy = true;
	}
}

/*
 * All changes of one table.
 */
static void
check_table(MigspecPlan *plan, Oid relid)
{
	Sample		sample = {.relid = relid};
	MigspecIdentity identity;
	MemoryContext row_context;
	MemoryContext oldcontext;
	Relation	rel = table_open(relid, NoLock);
	ListCell   *lc;

	SPI_connect();
	migspec_become_owner(rel->rd_rel->relowner, &identity);
	read_rows(&sample);
	sample.changes = palloc0(sizeof(SampleChange) * list_length(plan->changes));
	foreach(lc, plan->changes)
	{
		MigspecChange *change = lfirst(lc);

		if (change->op->relid == relid)
			sample.changes[sample.nchanges++].change = change;
	}
	for (int i = 0; i < sample.nchanges; i++)
	{
		SampleChange *change = &sample.changes[i];
		MigspecOperation *op = change->change->op;

		try_default(change->change);
		if (op->up_sql)
			prepare(&sample, &change->up, op->up_sql, op->up_columns,
					change->change->type, false);
		if (op->down_sql)
			prepare(&sample, &change->down, op->down_sql, op->down_columns,
					get_atttype(relid, get_attnum(relid, op->old_name)), true);
		if (op->old_name)
			change->old_column = SPI_fnumber(sample.rows->tupdesc, op->old_name);
	}

	row_context = AllocSetContextCreate(CurrentMemoryContext, "migspec sample row",
										ALLOCSET_DEFAULT_SIZES);
	for (uint64 row = 0; row < sample.nrows; row++)
	{
		oldcontext = MemoryContextSwitchTo(row_context);
		try_row(&sample, row);
		MemoryContextSwitchTo(oldcontext);
		MemoryContextReset(row_context);
	}
	for (int i = 0; i < sample.nchanges; i++)
	{
		MigspecOperation *op = sample.changes[i].change->op;

		if (sample.changes[i].lossy)
			ereport(WARNING,
					(errmsg("\"down\" of column \"%s\" does not give back what \"up\" was given, in some rows of table \"%s\"",
							op->new_name, get_rel_name(relid)),
					 errdetail("Such rows count as equal in one direction only; a write to the new column replaces the old value.")));
	}
	migspec_restore_identity(&identity);
	SPI_finish();
	table_close(rel, NoLock);
}

/*
 * migspec_sample_check -- see plan.h.
 *
 * All of it is undone: the expressions may call functions that write.
 */
void
migspec_sample_check(MigspecPlan *plan)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile edata = NULL;
	ListCell   *lc;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		foreach(lc, plan->migration->relids)
			check_table(plan, lfirst_oid(lc));
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		edata = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	if (edata)
		ReThrowError(edata);
}
