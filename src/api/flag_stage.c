/*-------------------------------------------------------------------------
 *
 * flag_stage.c
 *		SQL functions of migration flags: which side, and moving on.
 *
 * The first ones run for every row of a query, in any process, like those of
 * flag.c, and raise no errors.
 *
 * migspec_flag_move() commits after each stage, so that others see it; being
 * cancelled in between leaves the flag where it is, and another call goes on
 * from there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "nodes/parsenodes.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/snapmgr.h"

#include "api/api.h"
#include "base/errors.h"
#include "flags/stage.h"

PG_FUNCTION_INFO_V1(migspec_sql_flag_stage);
PG_FUNCTION_INFO_V1(migspec_sql_flag_reads_new);
PG_FUNCTION_INFO_V1(migspec_sql_flag_writes);
PG_FUNCTION_INFO_V1(migspec_sql_flag_attach);
PG_FUNCTION_INFO_V1(migspec_sql_flag_detach);
PG_FUNCTION_INFO_V1(migspec_sql_flag_advance);
PG_FUNCTION_INFO_V1(migspec_sql_flag_retreat);
PG_FUNCTION_INFO_V1(migspec_sql_flag_move);

/*
 * The stage of the user that the arguments (flag, user_id, context) name.
 */
static MigspecStage
stage_of(FunctionCallInfo fcinfo)
{
	MigspecFlagContext context = migspec_flag_context(fcinfo);

	return migspec_stage_of(migspec_flag_argument(fcinfo), &context);
}

/*
 * migspec_flag_stage(flag, user_id, context)
 */
Datum
migspec_sql_flag_stage(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(migspec_stage_name(stage_of(fcinfo))));
}

/*
 * migspec_flag_reads_new(flag, user_id, context)
 */
Datum
migspec_sql_flag_reads_new(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(migspec_stage_reads_new(stage_of(fcinfo)));
}

/*
 * migspec_flag_writes(flag, user_id, context): the sides to write, in order.
 */
Datum
migspec_sql_flag_writes(PG_FUNCTION_ARGS)
{
	int			n;
	const char *const *sides = migspec_stage_writes(stage_of(fcinfo), &n);
	Datum		elements[2];

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(sides[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * migspec_flag_attach(flag, migration, stages)
 */
Datum
migspec_sql_flag_attach(PG_FUNCTION_ARGS)
{
	char	   *flag = migspec_arg_text(fcinfo, 0, "flag");
	char	   *migration = migspec_arg_text(fcinfo, 1, "migration");

	migspec_stage_attach(flag, migration, PG_ARGISNULL(2) ? 6 : PG_GETARG_INT32(2));
	PG_RETURN_VOID();
}

/*
 * migspec_flag_detach(flag)
 */
Datum
migspec_sql_flag_detach(PG_FUNCTION_ARGS)
{
	migspec_stage_detach(migspec_arg_text(fcinfo, 0, "flag"));
	PG_RETURN_VOID();
}

/*
 * migspec_flag_advance(flag, percent)
 */
Datum
migspec_sql_flag_advance(PG_FUNCTION_ARGS)
{
	char	   *flag = migspec_arg_text(fcinfo, 0, "flag");

	migspec_stage_advance(flag, migspec_arg_percent(fcinfo, 1));
	PG_RETURN_VOID();
}

/*
 * migspec_flag_retreat(flag)
 */
Datum
migspec_sql_flag_retreat(PG_FUNCTION_ARGS)
{
	migspec_stage_retreat(migspec_arg_text(fcinfo, 0, "flag"));
	PG_RETURN_VOID();
}

/*
 * One transaction of the procedure; "step" is false when there is nothing left
 * to do but to wait.
 */
static bool
move_once(const char *flag, MigspecStage target, bool step)
{
	bool		moved = false;

	PushActiveSnapshot(GetTransactionSnapshot());
	if (step)
		moved = migspec_stage_step(flag, target);
	else
		migspec_stage_settle(flag);
	PopActiveSnapshot();
	SPI_commit();
	return moved;
}

/*
 * CALL migspec_flag_move(flag, stage)
 */
Datum
migspec_sql_flag_move(PG_FUNCTION_ARGS)
{
	MemoryContext context;
	MemoryContext old;
	MigspecStage target;
	char	   *flag;
	bool		moved;

	migspec_require_nonatomic(fcinfo, "migspec_flag_move", "Each stage is a transaction of its own.");
	SPI_connect_ext(SPI_OPT_NONATOMIC);
	context = AllocSetContextCreate(CurrentMemoryContext, "migspec_flag_move", ALLOCSET_SMALL_SIZES);
	flag = migspec_arg_text(fcinfo, 0, "flag");
	target = migspec_stage_from_name(migspec_arg_text(fcinfo, 1, "stage"));
	if (target == MIGSPEC_STAGE_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no such stage"),
				 errhint("Stages are off, dualwrite, shadow, live, rampdown and complete.")));

	/* from here on without the snapshot of the CALL */
	SPI_commit();
	do
	{
		old = MemoryContextSwitchTo(context);
		moved = move_once(flag, target, true);
		MemoryContextSwitchTo(old);
		MemoryContextReset(context);
	} while (moved);
	(void) move_once(flag, target, false);
	SPI_finish();
	PG_RETURN_VOID();
}
