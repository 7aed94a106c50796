/*-------------------------------------------------------------------------
 *
 * guc.h
 *		Settings.  All are documented in guc.c and in the README.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_GUC_H
#define MIGSPEC_GUC_H

#include "postgres.h"

/* the most that migspec.max_workers can be set to */
#define MIGSPEC_WORKER_SLOTS	64

typedef enum MigspecGuard
{
	MIGSPEC_GUARD_OFF,
	MIGSPEC_GUARD_WARN,
	MIGSPEC_GUARD_ENFORCE
} MigspecGuard;

extern int	migspec_batch_rows; /* rows per batch, about */
extern char *migspec_debug_point_setting;	/* see debugpoint.h */
extern int	migspec_failed_rows_limit;	/* quarantined rows before giving up */
extern int	migspec_contract_quiet; /* s without use of the old shape */
extern bool migspec_fire_user_triggers; /* in the backfill */
extern int	migspec_guard;		/* a MigspecGuard */
extern char *migspec_guard_allow_roles;
extern char *migspec_guard_allow_tags;
extern int	migspec_guard_lock_timeout; /* ms, 0: none */
extern int	migspec_guard_max_bytes;	/* kB, -1: no limit */
extern int	migspec_guard_max_wait; /* ms, -1: no limit */
extern int	migspec_lock_retry_deadline;	/* ms */
extern int	migspec_lock_timeout;	/* ms */
extern int	migspec_max_workers;	/* job workers in the cluster */
extern int	migspec_naptime;	/* ms, launcher and scheduler */
extern bool migspec_phase_guard;
extern char *migspec_usage_ignore;	/* applications whose use does not count */
extern int	migspec_usage_ignore_version;	/* of that list, in this process */
extern int	migspec_window_pages;

extern void migspec_guc_init(void);

#endif							/* MIGSPEC_GUC_H */
