/*-------------------------------------------------------------------------
 *
 * utility.c
 *		The utility hook of the guards.
 *
 * Runs in every session, for every utility statement, and leaves at once if it
 * is no DDL: BEGIN, COMMIT, SET and EXECUTE cost a look-up in a bitmap.  DDL
 * gets the looks of the phase guard (phase_guard.c) around it, and that of the
 * guard (guard.c) before it.
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
#include "base/guc.h"
#include "engine/ddl.h"
#include "hooks/guard.h"
#include "hooks/phase_guard.h"
#include "hooks/utility.h"

/* who looks at a statement */
#define LOOK_PHASE		0x01
#define LOOK_GUARD		0x02

typedef struct Look
{
	NodeTag		tag;
	int			who;
} Look;

static const Look looks[] = {
	{T_AlterDomainStmt, LOOK_GUARD},
	{T_AlterEnumStmt, LOOK_GUARD},
	{T_AlterFunctionStmt, LOOK_PHASE},
	{T_AlterObjectDependsStmt, LOOK_GUARD},
	{T_AlterObjectSchemaStmt, LOOK_PHASE | LOOK_GUARD},
	{T_AlterOwnerStmt, LOOK_GUARD},
	{T_AlterPolicyStmt, LOOK_PHASE | LOOK_GUARD},
	{T_AlterPublicationStmt, LOOK_PHASE | LOOK_GUARD},
	{T_AlterSeqStmt, LOOK_PHASE | LOOK_GUARD},
	{T_AlterStatsStmt, LOOK_PHASE},
	{T_AlterTableMoveAllStmt, LOOK_GUARD},
	{T_AlterTableStmt, LOOK_PHASE | LOOK_GUARD},
	{T_AlterTypeStmt, LOOK_GUARD},
	{T_ClusterStmt, LOOK_GUARD},
	{T_CreateForeignTableStmt, LOOK_PHASE | LOOK_GUARD},
	{T_CreateFunctionStmt, LOOK_PHASE},
	{T_CreatePolicyStmt, LOOK_PHASE | LOOK_GUARD},
	{T_CreatePublicationStmt, LOOK_PHASE},
	{T_CreateSchemaStmt, LOOK_PHASE | LOOK_GUARD},
	{T_CreateSeqStmt, LOOK_PHASE},
	{T_CreateStatsStmt, LOOK_PHASE},
	{T_CreateStmt, LOOK_PHASE | LOOK_GUARD},
	{T_CreateTableAsStmt, LOOK_PHASE},
	{T_CreateTrigStmt, LOOK_PHASE | LOOK_GUARD},
	{T_DropOwnedStmt, LOOK_PHASE | LOOK_GUARD},
	{T_DropStmt, LOOK_PHASE | LOOK_GUARD},
	{T_IndexStmt, LOOK_PHASE | LOOK_GUARD},
	{T_ReassignOwnedStmt, LOOK_GUARD},
	{T_RefreshMatViewStmt, LOOK_GUARD},
	{T_ReindexStmt, LOOK_GUARD},
	{T_RenameStmt, LOOK_PHASE | LOOK_GUARD},
	{T_RuleStmt, LOOK_PHASE | LOOK_GUARD},
	{T_TruncateStmt, LOOK_GUARD},
	{T_VacuumStmt, LOOK_GUARD},
	{T_ViewStmt, LOOK_PHASE | LOOK_GUARD},
};

/* a statement that is looked at */
typedef struct Frame
{
	MigspecPhaseFrame phase;
	MigspecGuardFrame guard;
	bool		has_phase;
	bool		has_guard;
} Frame;

static ProcessUtility_hook_type prev_ProcessUtility = NULL;
static Bitmapset *phase_tags = NULL;
static Bitmapset *guard_tags = NULL;

static void
call_next(MIGSPEC_UTILITY_PARAMS)
{
	if (prev_ProcessUtility)
		prev_ProcessUtility(MIGSPEC_UTILITY_ARGS);
	else
		standard_ProcessUtility(MIGSPEC_UTILITY_ARGS);
}

static void
begin(Frame *frame, PlannedStmt *pstmt, const char *source, int who)
{
	if (who & LOOK_PHASE)
	{
		frame->has_phase = true;
		migspec_phase_guard_begin(&frame->phase, pstmt->utilityStmt);
	}
	if (who & LOOK_GUARD)
	{
		frame->has_guard = true;
		migspec_guard_begin(&frame->guard, pstmt, source);
	}
}

static void
release(Frame *frame)
{
	if (frame->has_guard)
		migspec_guard_release(&frame->guard);
	if (frame->has_phase)
		migspec_phase_guard_release(&frame->phase);
}

/*
 * The statement, between the looks of the guards.
 */
static void
run_guarded(int who, MIGSPEC_UTILITY_PARAMS)
{
	Frame		frame;

	frame.has_phase = frame.has_guard = false;
	PG_TRY();
	{
		begin(&frame, pstmt, queryString, who);
		call_next(MIGSPEC_UTILITY_ARGS);
		if (frame.has_guard)
			migspec_guard_end(&frame.guard);
		if (frame.has_phase)
			migspec_phase_guard_end(&frame.phase);
	}
	PG_CATCH();
	{
		release(&frame);
		PG_RE_THROW();
	}
	PG_END_TRY();
	release(&frame);
}

/*
 * Who has to look at this statement, here and now?
 */
static int
who_looks(const PlannedStmt *pstmt, ProcessUtilityContext context)
{
	NodeTag		tag = nodeTag(pstmt->utilityStmt);
	int			who = 0;

	if (bms_is_member(tag, phase_tags))
		who |= LOOK_PHASE;
	if (migspec_guard != MIGSPEC_GUARD_OFF && bms_is_member(tag, guard_tags))
		who |= LOOK_GUARD;
	if (who == 0 || context == PROCESS_UTILITY_SUBCOMMAND || migspec_ddl_running() ||
		!IsUnderPostmaster || RecoveryInProgress())
		return 0;
	return who;
}

static pg_attribute_hot void
process_utility(MIGSPEC_UTILITY_PARAMS)
{
	int			who = who_looks(pstmt, context);

	if (who == 0)
		call_next(MIGSPEC_UTILITY_ARGS);
	else
		run_guarded(who, MIGSPEC_UTILITY_ARGS);
}

/* see utility.h */
void
migspec_guard_init(void)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	for (size_t i = 0; i < lengthof(looks); i++)
	{
		if (looks[i].who & LOOK_PHASE)
			phase_tags = bms_add_member(phase_tags, looks[i].tag);
		if (looks[i].who & LOOK_GUARD)
			guard_tags = bms_add_member(guard_tags, looks[i].tag);
	}
	MemoryContextSwitchTo(old);
	migspec_phase_guard_init();
	migspec_guard_backstop_init();
	prev_ProcessUtility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
}
