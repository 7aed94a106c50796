/*-------------------------------------------------------------------------
 *
 * utility.c
 *		The utility hook of the guards.
 *
 * Runs in every session, for every utility statement, and leaves at once if it
 * is no DDL: BEGIN, COMMIT, SET and EXECUTE cost a look-up in a bitmap.  DDL
 * gets the looks of the phase guard around it.
 *
 * Statements that are part of another one (PROCESS_UTILITY_SUBCOMMAND) are
 * looked at with that one.  Those of DO blocks, functions and extensions'
 * scripts come here one by one.
 *
 * Never looked at: statements that migrations run (engine/ddl.c), pg_upgrade,
 * single-user mode.  Standbys do not come here with DDL that could work.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "nodes/nodes.h"
#include "nodes/plannodes.h"
#include "tcop/utility.h"
#include "utils/memutils.h"

#include "base/compat.h"
#include "engine/ddl.h"
#include "hooks/phase_guard.h"
#include "hooks/utility.h"

static ProcessUtility_hook_type prev_ProcessUtility = NULL;

/* statements that the phase guard looks at */
static const NodeTag phase_statements[] = {
	T_AlterFunctionStmt,
	T_AlterObjectSchemaStmt,
	T_AlterPolicyStmt,
	T_AlterPublicationStmt,
	T_AlterSeqStmt,
	T_AlterStatsStmt,
	T_AlterTableStmt,
	T_CreateForeignTableStmt,
	T_CreateFunctionStmt,
	T_CreatePolicyStmt,
	T_CreatePublicationStmt,
	T_CreateSchemaStmt,
	T_CreateSeqStmt,
	T_CreateStatsStmt,
	T_CreateStmt,
	T_CreateTableAsStmt,
	T_CreateTrigStmt,
	T_DropOwnedStmt,
	T_DropStmt,
	T_IndexStmt,
	T_RenameStmt,
	T_RuleStmt,
	T_ViewStmt,
};

static Bitmapset *phase_tags = NULL;

static void
call_next(MIGSPEC_UTILITY_PARAMS)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(MIGSPEC_UTILITY_ARGS);
	else
		standard_ProcessUtility(MIGSPEC_UTILITY_ARGS);
}

/*
 * The statement between the two looks of the phase guard.
 */
static void
run_phase_guarded(MIGSPEC_UTILITY_PARAMS)
{
	MigspecPhaseFrame frame;

	PG_TRY();
	{
		migspec_phase_guard_begin(&frame, pstmt->utilityStmt);
		call_next(MIGSPEC_UTILITY_ARGS);
		migspec_phase_guard_end(&frame);
	}
	PG_CATCH();
	{
		migspec_phase_guard_release(&frame);
		PG_RE_THROW();
	}
	PG_END_TRY();
	migspec_phase_guard_release(&frame);
}

static void
process_utility(MIGSPEC_UTILITY_PARAMS)
{
	NodeTag		tag = nodeTag(pstmt->utilityStmt);

	if (!bms_is_member(tag, phase_tags) ||
		context == PROCESS_UTILITY_SUBCOMMAND ||
		migspec_ddl_running() || !IsUnderPostmaster || RecoveryInProgress())
		call_next(MIGSPEC_UTILITY_ARGS);
	else
		run_phase_guarded(MIGSPEC_UTILITY_ARGS);
}

/* see utility.h */
void
migspec_guard_init(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	for (size_t i = 0; i < lengthof(phase_statements); i++)
		phase_tags = bms_add_member(phase_tags, phase_statements[i]);
	MemoryContextSwitchTo(old);
	migspec_phase_guard_init();
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
