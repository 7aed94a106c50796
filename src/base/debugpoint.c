/*-------------------------------------------------------------------------
 *
 * debugpoint.c
 *		Named places where tests make a process fail, wait or crash.
 *
 * Runs in any process.  Waiting takes a session-level advisory lock, which
 * needs no transaction and is given back at once; it can be cancelled.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"

#include "base/debugpoint.h"

/*
 * Wait until nobody holds the advisory lock of this point.  The same lock as
 * pg_advisory_lock(19783, hashtext(name)) takes.
 */
static void
wait_for_release(const char *name)
{
	LOCKTAG		tag;
	uint32		key;

	key = hash_bytes((const unsigned char *) name, strlen(name));
	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, MIGSPEC_DEBUG_LOCK_CLASS, key, 2);
	(void) LockAcquire(&tag, ShareLock, true, false);
	(void) LockRelease(&tag, ShareLock, true);
}

/*
 * The slow path of migspec_debug_point(): some point is set, maybe this one.
 */
void
migspec_debug_point_reached(const char *name)
{
	const char *setting = migspec_debug_point_setting;
	size_t		length = strlen(name);
	const char *action;

	if (strncmp(setting, name, length) != 0 || setting[length] != ':')
		return;
	action = setting + length + 1;

	if (strcmp(action, "error") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("debug point \"%s\" reached", name)));
	else if (strcmp(action, "wait") == 0)
		wait_for_release(name);
	else if (strcmp(action, "panic") == 0)
		ereport(PANIC,
				(errcode(ERRCODE_CRASH_SHUTDOWN),
				 errmsg("debug point \"%s\" reached", name)));
}
