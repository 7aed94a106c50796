/*-------------------------------------------------------------------------
 *
 * migspec.c
 *		Entry point of the library: sets up each part, in order.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "base/guc.h"
#include "bgw/bgw.h"
#include "bgw/outbox.h"
#include "engine/phase.h"
#include "flags/sample.h"
#include "hooks/utility.h"
#include "migspec.h"
#include "trigger/sync.h"
#include "usage/usage.h"

#ifdef PG_MODULE_MAGIC_EXT
PG_MODULE_MAGIC_EXT(.name = MIGSPEC_EXTENSION,.version = MIGSPEC_VERSION);
#else
PG_MODULE_MAGIC;
#endif

PGDLLEXPORT void _PG_init(void);

/*
 * Called when the library is loaded: by the postmaster if it is preloaded, as
 * it should be, else by a backend that calls one of our functions.
 */
void
_PG_init(void)
{
	migspec_guc_init();
	migspec_sync_init();
	migspec_usage_hooks_init();
	if (!IsBinaryUpgrade)
		migspec_guard_init();
	if (process_shared_preload_libraries_in_progress && !IsBinaryUpgrade)
	{
		migspec_bgw_init();
		migspec_usage_shmem_init();
		migspec_sample_shmem_init();
		migspec_worker_cancel = migspec_bgw_cancel_job;
		migspec_worker_wake = migspec_bgw_wake_at_commit;
		migspec_worker_note_failure = migspec_outbox_put;
	}
}
