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

/* "off" to "complete"; NULL is MIGSPEC_STAGE_NONE, both ways */
extern MigspecStage migspec_stage_from_name(const char *name);
extern const char *migspec_stage_name(MigspecStage stage);

#endif							/* MIGSPEC_STAGE_H */
