/*-------------------------------------------------------------------------
 *
 * debugpoint.h
 *		Named places where tests make a process fail, wait or crash.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_DEBUGPOINT_H
#define MIGSPEC_DEBUGPOINT_H

#include "base/guc.h"

/* first key of the advisory lock that action "wait" waits for: "MG" */
#define MIGSPEC_DEBUG_LOCK_CLASS	0x4D47

/*
 * If the setting migspec.debug_point is "name:action", do that:
 *
 * error	raise an error, sqlstate XX000
 * wait		wait while somebody holds the advisory lock
 *			(19783, pg_catalog.hashtext('name'))
 * panic	crash the server
 */
#define migspec_debug_point(name) \
	do { \
		if (unlikely(migspec_debug_point_setting != NULL)) \
			migspec_debug_point_reached(name); \
	} while (0)

extern void migspec_debug_point_reached(const char *name);

#endif							/* MIGSPEC_DEBUGPOINT_H */
