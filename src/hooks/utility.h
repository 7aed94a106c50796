/*-------------------------------------------------------------------------
 *
 * utility.h
 *		The utility hook of the guards.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_UTILITY_H
#define MIGSPEC_UTILITY_H

/* Install the hooks of the guard and of the phase guard in this process. */
extern void migspec_guard_init(void);

#endif							/* MIGSPEC_UTILITY_H */
