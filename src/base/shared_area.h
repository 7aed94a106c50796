/*-------------------------------------------------------------------------
 *
 * shared_area.h
 *		Areas of shared memory.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SHARED_AREA_H
#define MIGSPEC_SHARED_AREA_H

#include "postgres.h"
#include "storage/lwlock.h"

/*
 * Called when shared memory exists, in every process that attaches to it.
 * "area" is zeroed if "is_new" is set, and nobody else uses it yet; "locks" are
 * its locks, NULL if none were asked for.
 */
typedef void (*MigspecAreaStart) (void *area, LWLockPadded *locks, bool is_new);

/*
 * Ask for an area of shared memory, with so many locks of the same name.  Only
 * from _PG_init, while shared_preload_libraries are loaded.
 */
extern void migspec_shared_area(const char *name, Size size, int nlocks,
								MigspecAreaStart start);

#endif							/* MIGSPEC_SHARED_AREA_H */
