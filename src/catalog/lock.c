/*-------------------------------------------------------------------------
 *
 * lock.c
 *		The two locks of a migration, its calls and its worker; and one by
 *		which a transaction says that it has seen no flag.
 *
 * All are advisory locks of this database whose fourth field is none of
 * those that pg_advisory_lock() and its kin use, so that applications can
 * neither take nor block them.  pg_locks shows them: objsubid is the fourth
 * field, classid and objid are the halves of the migration's id.
 *
 * The lock manager releases them when the process dies, however it dies: a
 * lock that is held means that somebody is there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/lock.h"

#include "catalog/migration.h"

static LOCKTAG
lock_tag(int64 id, uint16 field4)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id,
						 field4);
	return tag;
}

/*
 * Serialise calls on a migration until the end of the transaction.  Whoever
 * gets it must read the migration again.
 */
void
migspec_migration_lock(int64 id)
{
	LOCKTAG		tag = lock_tag(id, MIGSPEC_LOCK_MIGRATION);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * The same without waiting: false if somebody has it, or waits for it.
 */
bool
migspec_migration_lock_try(int64 id)
{
	LOCKTAG		tag = lock_tag(id, MIGSPEC_LOCK_MIGRATION);

	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Take the worker's lock for the session; false if somebody has it, or waits
 * for it.
 */
bool
migspec_worker_lock_try(int64 id)
{
	LOCKTAG		tag = lock_tag(id, MIGSPEC_LOCK_WORKER);

	return LockAcquire(&tag, ExclusiveLock, true, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Undo migspec_worker_lock_try().
 */
void
migspec_worker_lock_release(int64 id)
{
	LOCKTAG		tag = lock_tag(id, MIGSPEC_LOCK_WORKER);

	(void) LockRelease(&tag, ExclusiveLock, true);
}

/*
 * Wait for the worker to be gone, and keep it away until the end of the
 * transaction.
 */
void
migspec_worker_lock_wait(int64 id)
{
	LOCKTAG		tag = lock_tag(id, MIGSPEC_LOCK_WORKER);

	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/*
 * Say that this transaction has seen no flag and waits, until
 * migspec_unaware_end().  Nobody waits for this lock.
 */
void
migspec_unaware_begin(void)
{
	LOCKTAG		tag = lock_tag(0, MIGSPEC_LOCK_UNAWARE);

	(void) LockAcquire(&tag, ShareLock, false, false);
}

/* see migspec_unaware_begin() */
void
migspec_unaware_end(void)
{
	LOCKTAG		tag = lock_tag(0, MIGSPEC_LOCK_UNAWARE);

	(void) LockRelease(&tag, ShareLock, false);
}

/*
 * Those others that say so now.
 */
VirtualTransactionId *
migspec_unaware(int *n)
{
	LOCKTAG		tag = lock_tag(0, MIGSPEC_LOCK_UNAWARE);

	return GetLockConflicts(&tag, ExclusiveLock, n);
}
