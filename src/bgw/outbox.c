/*-------------------------------------------------------------------------
 *
 * outbox.c
 *		Failed calls, on their way into the catalog.
 *
 * A session whose call fails cannot record that itself: its transaction, and
 * with it whatever it writes, is rolled back.  So it leaves a note in shared
 * memory, and the scheduler of its database, which has transactions of its
 * own, writes it to migspec.migration (last_error ...) and migspec.event.
 *
 * Runs in sessions (put) and schedulers (deliver).  Protected by an LWLock of
 * its own, held for copying only.  A note that finds no room replaces the
 * oldest one; a crash loses notes, as it loses the sessions that left them.
 *
 * Interleavings:
 * - The call is tried again and succeeds before the note is delivered: the
 *	 note is older than the phase, and goes only into the history.
 * - The row of the migration is locked, by a session that has moved it and
 *	 takes its time: the note stays until the next look.
 * - The migration was planned in the same, failed transaction: it does not
 *	 exist, and the history names it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/lwlock.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/shared_area.h"
#include "bgw/bgw.h"
#include "bgw/outbox.h"
#include "bgw/shmem.h"
#include "catalog/migration.h"

#define MAX_NOTES	16

/* All fields are read and written under the lock. */
typedef struct Note
{
	Oid			dboid;			/* InvalidOid: free */
	int64		migration_id;
	TimestampTz at;
	int			sqlerrcode;
	char		migration[NAMEDATALEN * 2];
	char		call[NAMEDATALEN];
	char		role[NAMEDATALEN];
	char		message[512];
	char		detail[1024];	/* empty: none */
	char		hint[512];		/* empty: none */
} Note;

typedef struct Outbox
{
	LWLock	   *lock;			/* set once at start-up */
	Note		notes[MAX_NOTES];
} Outbox;

static Outbox *outbox = NULL;

static void
start(void *area, LWLockPadded *locks, bool is_new)
{
	outbox = area;
	outbox->lock = &locks->lock;
}

/*
 * Ask for shared memory.
 */
void
migspec_outbox_init(void)
{
	migspec_shared_area("migspec_outbox", sizeof(Outbox), 1, start);
}

/*
 * Copy a text of any length, cut at a character.
 */
static void
copy_text(char *to, size_t size, const char *from)
{
	int			len = from ? pg_mbcliplen(from, strlen(from), size - 1) : 0;

	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
}

/*
 * A free place, or the one of the oldest note.  Under the lock.
 */
static Note *
find_place(void)
{
	Note	   *place = &outbox->notes[0];

	for (int i = 0; i < MAX_NOTES; i++)
	{
		Note	   *note = &outbox->notes[i];

		if (!OidIsValid(note->dboid))
			return note;
		if (note->at < place->at)
			place = note;
	}
	return place;
}

/*
 * Leave a note, or leave it once more.
 */
static void
put(const Note *note)
{
	LWLockAcquire(outbox->lock, LW_EXCLUSIVE);
	*find_place() = *note;
	LWLockRelease(outbox->lock);
}

/*
 * migspec_outbox_put -- leave a note of a call that is about to fail.
 *
 * Raises no error and allocates no memory that outlives the transaction.
 */
void
migspec_outbox_put(int64 migration_id, const char *migration, const char *call,
				   const ErrorData *edata)
{
	Note		note = {0};

	note.dboid = MyDatabaseId;
	note.migration_id = migration_id;
	note.at = GetCurrentTimestamp();
	note.sqlerrcode = edata->sqlerrcode;
	copy_text(note.migration, sizeof(note.migration), migration);
	copy_text(note.call, sizeof(note.call), call);
	copy_text(note.role, sizeof(note.role), GetUserNameFromId(GetSessionUserId(), true));
	copy_text(note.message, sizeof(note.message), edata->message);
	copy_text(note.detail, sizeof(note.detail), edata->detail);
	copy_text(note.hint, sizeof(note.hint), edata->hint);

	put(&note);
	migspec_wake_database(MyDatabaseId);
}

/*
 * Take a note if it is one of this database.
 */
static bool
take(int i, Note *note)
{
	bool		found;

	LWLockAcquire(outbox->lock, LW_EXCLUSIVE);
	found = outbox->notes[i].dboid == MyDatabaseId;
	if (found)
	{
		*note = outbox->notes[i];
		outbox->notes[i].dboid = InvalidOid;
	}
	LWLockRelease(outbox->lock);
	return found;
}

/*
 * Record a note; false if that would have to wait.
 */
static bool
record(const Note *note)
{
	bool		done;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	done = migspec_migration_record_failed_call(note->migration_id, note->migration,
												note->call, note->role, note->at,
												note->sqlerrcode, note->message,
												note->detail[0] ? note->detail : NULL,
												note->hint[0] ? note->hint : NULL);
	PopActiveSnapshot();
	CommitTransactionCommand();
	return done;
}

/*
 * migspec_outbox_deliver -- write this database's notes into the catalog.
 */
void
migspec_outbox_deliver(void)
{
	Note		note;

	for (int i = 0; i < MAX_NOTES; i++)
	{
		if (take(i, &note) && !record(&note))
			put(&note);
	}
}
