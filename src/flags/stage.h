/*-------------------------------------------------------------------------
 *
 * stage.h
 *		Stages of a migration flag.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_STAGE_H
#define MIGSPEC_STAGE_H

#include "postgres.h"

#include "flags/flags.h"
#include "flags/store.h"

/* "off" to "complete"; NULL is MIGSPEC_STAGE_NONE, both ways */
extern MigspecStage migspec_stage_from_name(const char *name);
extern const char *migspec_stage_name(MigspecStage stage);

/*
 * May the document of this flag change to that, may the flag be dropped?
 * Errors MG604 and MG605 for flags of migrations; nothing for others.
 */
extern void migspec_stage_check_change(const MigspecFlagRow *row, Jsonb *feature);
extern void migspec_stage_check_drop(const MigspecFlagRow *row);

#endif							/* MIGSPEC_STAGE_H */
