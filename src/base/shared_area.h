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
 * "area" is zeroed if "is_new" is set, and nobody else uses it yet; "lock" is
 * its lock.
 */
typedef void (*MigspecAreaStart) (void *area, LWLock *lock, bool is_new);

/*
 * Ask for an area of shared memory, with a lock of the same name.  Only from
 * _PG_init, while shared_preload_libraries are loaded.
 */
extern void migspec_shared_area(const char *name, Size size, MigspecAreaStart start);

#endif							/* MIGSPEC_SHARED_AREA_H */
