/*-------------------------------------------------------------------------
 *
 * stage.c
 *		Stages of migration flags.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "flags/stage.h"

static const char *const names[] = {
	[MIGSPEC_STAGE_OFF] = "off",
	[MIGSPEC_STAGE_DUALWRITE] = "dualwrite",
	[MIGSPEC_STAGE_SHADOW] = "shadow",
	[MIGSPEC_STAGE_LIVE] = "live",
	[MIGSPEC_STAGE_RAMPDOWN] = "rampdown",
	[MIGSPEC_STAGE_COMPLETE] = "complete",
};

/* see stage.h */
MigspecStage
migspec_stage_from_name(const char *name)
{
	for (size_t i = 0; name && i < lengthof(names); i++)
	{
		if (strcmp(names[i], name) == 0)
			return (MigspecStage) i;
	}
	return MIGSPEC_STAGE_NONE;
}

/* see stage.h */
const char *
migspec_stage_name(MigspecStage stage)
{
	return stage == MIGSPEC_STAGE_NONE ? NULL : names[stage];
}

void
migspec_stage_check_change(const MigspecFlagRow *row, Jsonb *feature)
{
}

void
migspec_stage_check_drop(const MigspecFlagRow *row)
{
}
