/*-------------------------------------------------------------------------
 *
 * shmem.c
 *		What migspec's processes know of each other.
 *
 * Runs in every process.  All of it is protected by one LWLock, the named
 * tranche "migspec", which is held for copying only: no memory is allocated,
 * no error raised and no catalog read under it.
 *
 * A slot stands for one dynamic worker, from before it is registered until
 * after it has ended:
 *
 *		FREE -> STARTING -> RUNNING -> ENDED -> FREE
 *
 * The starter claims it (FREE -> STARTING) and passes index and generation to
 * the worker, which attaches (-> RUNNING) before it connects to a database,
 * and detaches at its exit.  Its migration's liveness is told by a lock, not
 * by the slot; the slot is for finding and counting workers.
 *
 * Crash behaviour: a worker or backend that is killed makes the postmaster
 * initialise shared memory anew, so no slot outlives its worker that way.
 *
 * Interleavings that must be survived:
 *
 * - The worker never comes up (no memory to fork, shutdown).  Its starter
 *	 gives the slot back; if the starter has died too, the slot is free for
 *	 others after ATTACH_TIMEOUT, and the generation keeps a worker that comes
 *	 up even later from using it.
 * - A database is about to be dropped while a worker for it starts.  Claims
 *	 are refused from the moment the database is blocked, and slots in state
 *	 STARTING are taken away, so that their workers leave before connecting.
 * - A signal meets a process that got the pid of a worker which has ended.
 *	 Signals are sent under the lock, to slots in state RUNNING only, and a
 *	 worker leaves that state, under the lock, before its process ends.
 * - A worker that ends before its slot's starter has looked.  Its outcome
 *	 stays in the slot, in state ENDED, until it was read or has expired.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "postmaster/bgworker_internals.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/shared_area.h"
#include "bgw/shmem.h"

#define MAX_POKES			32
#define MAX_BLOCKS			64

/* a slot whose worker did not attach for so long is free again (ms) */
#define ATTACH_TIMEOUT		15000

/* an outcome that nobody has come to read is forgotten (ms) */
#define OUTCOME_TIMEOUT		60000

typedef enum SlotState
{
	SLOT_FREE,
	SLOT_STARTING,
	SLOT_RUNNING,
	SLOT_ENDED
} SlotState;

/* All fields are read and written under the lock. */
typedef struct Slot
{
	SlotState	state;			/* written by starter, worker and reader */
	uint32		generation;		/* starter: one more with each claim */
	MigspecWorkerKind kind;		/* starter */
	Oid			dboid;			/* starter */
	int64		migration_id;	/* starter; 0 for schedulers */
	TimestampTz changed_at;		/* when it was claimed, or ended */
	pid_t		pid;			/* worker; valid in state RUNNING */
	PGPROC	   *proc;			/* worker; valid in state RUNNING */
	bool		settled;		/* worker: a scheduler that found the
								 * extension */
	bool		cancelled;		/* a session: the job is to stop, silently */
	MigspecOutcome outcome;		/* worker; valid in state ENDED */
	char		message[MIGSPEC_MESSAGE_SIZE];	/* worker; with OUTCOME_FAILED */
} Slot;

/* All fields are read and written under the lock, but for nslots. */
typedef struct Shared
{
	LWLock	   *lock;			/* set once at start-up */
	PGPROC	   *launcher;		/* launcher; NULL while there is none */

	/* databases for the launcher to look at: sessions add, it takes away */
	int			npokes;
	bool		poke_all;		/* there were too many */
	Oid			pokes[MAX_POKES];

	/* databases that must stay free of workers, one entry per session */
	int			nblocks;
	Oid			blocks[MAX_BLOCKS];

	int			nslots;			/* set once at start-up */
	Slot		slots[FLEXIBLE_ARRAY_MEMBER];
} Shared;

static Shared *shared = NULL;
static MigspecSlotRef my_ref;
static bool attached = false;

/*
 * Every worker needs one of the server's worker slots, and some slots are
 * kept for a while by workers that have ended.
 */
static int
slot_count(void)
{
	return 2 * max_worker_processes;
}

static Size
shared_size(void)
{
	return add_size(offsetof(Shared, slots),
					mul_size(slot_count(), sizeof(Slot)));
}

static void
start(void *area, LWLockPadded *locks, bool is_new)
{
	shared = area;
	shared->lock = &locks->lock;
	shared->nslots = slot_count();
}

/*
 * Ask for shared memory.  Only while shared_preload_libraries are loaded.
 */
void
migspec_shmem_init(void)
{
	migspec_shared_area("migspec", shared_size(), 1, start);
}

/* Is there shared memory, that is, was the library preloaded? */
bool
migspec_shmem_ready(void)
{
	return shared != NULL;
}

static bool
slot_is_live(const Slot *slot)
{
	return slot->state == SLOT_STARTING || slot->state == SLOT_RUNNING;
}

/* The slot that a reference stands for, NULL if it has passed on */
static Slot *
slot_of(const MigspecSlotRef *ref)
{
	Slot	   *slot = &shared->slots[ref->index];

	return slot->generation == ref->generation ? slot : NULL;
}

/* Does the scheduler start such a worker again when it has ended? */
static bool
is_restarted(MigspecWorkerKind kind)
{
	return kind == MIGSPEC_WORKER_JOB || kind == MIGSPEC_WORKER_ROLLOUT;
}

/*
 * May the slot be taken at time "now"?  What nobody came for does not keep it
 * for ever.
 */
static bool
slot_is_available(const Slot *slot, TimestampTz now)
{
	int			timeout = 0;

	if (slot->state == SLOT_STARTING)
		timeout = ATTACH_TIMEOUT;
	else if (slot->state == SLOT_RUNNING)
		return false;
	else if (slot->state == SLOT_ENDED)
		timeout = is_restarted(slot->kind) ?
			MIGSPEC_RESTART_DELAY : OUTCOME_TIMEOUT;

	return slot->state == SLOT_FREE ||
		TimestampDifferenceExceeds(slot->changed_at, now, timeout);
}

static bool
database_is_blocked(Oid dboid)
{
	for (int i = 0; i < shared->nblocks; i++)
	{
		if (shared->blocks[i] == dboid)
			return true;
	}
	return false;
}

/* Under the lock: is there anything against such a worker?  Find a slot. */
static MigspecClaim
check_claim(const MigspecSlotRef *ref, TimestampTz now, int *found)
{
	int			jobs = 0;

	*found = -1;
	if (database_is_blocked(ref->dboid))
		return MIGSPEC_CLAIM_BLOCKED;

	for (int i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (slot_is_available(slot, now))
		{
			if (*found < 0)
				*found = i;
			continue;
		}
		if (slot_is_live(slot) && slot->kind == MIGSPEC_WORKER_JOB)
			jobs++;
		if (slot->kind == ref->kind && slot->dboid == ref->dboid &&
			slot->migration_id == ref->migration_id &&
			ref->kind != MIGSPEC_WORKER_VERIFY)
			return slot_is_live(slot) ?
				MIGSPEC_CLAIM_RUNNING : MIGSPEC_CLAIM_TOO_SOON;
	}
	if (ref->kind == MIGSPEC_WORKER_JOB && jobs >= migspec_max_workers)
		return MIGSPEC_CLAIM_LIMIT;
	return *found < 0 ? MIGSPEC_CLAIM_LIMIT : MIGSPEC_CLAIM_OK;
}

/*
 * Claim a slot for a worker that is about to be registered.  In: kind, dboid
 * and migration_id of the reference; out, with MIGSPEC_CLAIM_OK: the rest.
 */
MigspecClaim
migspec_slot_claim(MigspecSlotRef *ref)
{
	TimestampTz now = GetCurrentTimestamp();
	MigspecClaim result;
	int			index;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	result = check_claim(ref, now, &index);
	if (result == MIGSPEC_CLAIM_OK)
	{
		Slot	   *slot = &shared->slots[index];

		slot->state = SLOT_STARTING;
		slot->generation++;
		slot->kind = ref->kind;
		slot->dboid = ref->dboid;
		slot->migration_id = ref->migration_id;
		slot->changed_at = now;
		slot->pid = 0;
		slot->proc = NULL;
		slot->settled = false;
		slot->cancelled = false;
		slot->outcome = MIGSPEC_OUTCOME_DIED;
		slot->message[0] = '\0';
		ref->index = index;
		ref->generation = slot->generation;
	}
	LWLockRelease(shared->lock);
	return result;
}

/*
 * The starter's part is over: free the slot unless a worker lives in it.  To
 * be called when the worker could not be started, or after its end.
 */
void
migspec_slot_give_back(const MigspecSlotRef *ref)
{
	Slot	   *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = slot_of(ref);
	if (slot != NULL && slot->state != SLOT_RUNNING)
		slot->state = SLOT_FREE;
	LWLockRelease(shared->lock);
}

/*
 * How did the worker end?  "message" has room for MIGSPEC_MESSAGE_SIZE bytes.
 * False if it lives, or if nothing is known of it any more.
 */
bool
migspec_slot_outcome(const MigspecSlotRef *ref, MigspecOutcome *outcome,
					 char *message)
{
	Slot	   *slot;
	bool		ended = false;

	LWLockAcquire(shared->lock, LW_SHARED);
	slot = slot_of(ref);
	if (slot != NULL && slot->state == SLOT_ENDED)
	{
		ended = true;
		*outcome = slot->outcome;
		memcpy(message, slot->message, MIGSPEC_MESSAGE_SIZE);
	}
	LWLockRelease(shared->lock);
	return ended;
}

/* Under the lock */
static void
set_latch_of(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

/* Under the lock: tell the scheduler of a database, if it has one */
static bool
wake_scheduler(Oid dboid)
{
	for (int i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (slot->kind == MIGSPEC_WORKER_SCHEDULER && slot->dboid == dboid &&
			slot_is_live(slot))
		{
			set_latch_of(slot->proc);
			return true;
		}
	}
	return false;
}

/*
 * before_shmem_exit callback.  It was registered before the worker connected,
 * so it runs after the transaction and the session's locks are gone.
 *
 * A job that did its work needs no grave: the next one may start at once.
 */
static void
detach(int code, Datum arg)
{
	TimestampTz now = GetCurrentTimestamp();
	Slot	   *slot;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = slot_of(&my_ref);
	if (attached && slot != NULL && slot->pid == MyProcPid)
	{
		bool		forget = is_restarted(slot->kind) &&
		slot->outcome == MIGSPEC_OUTCOME_OK;

		slot->state = forget ? SLOT_FREE : SLOT_ENDED;
		slot->changed_at = now;
		slot->pid = 0;
		slot->proc = NULL;
		if (slot->kind == MIGSPEC_WORKER_SCHEDULER)
			set_latch_of(shared->launcher);
		else
			wake_scheduler(slot->dboid);
	}
	attached = false;
	LWLockRelease(shared->lock);
}

/*
 * Called by a new worker before it connects to its database.  False if it is
 * not wanted any more.
 */
bool
migspec_slot_attach(const MigspecSlotRef *ref)
{
	Slot	   *slot;

	my_ref = *ref;
	before_shmem_exit(detach, (Datum) 0);

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	slot = slot_of(ref);
	if (slot != NULL && slot->state == SLOT_STARTING)
	{
		if (database_is_blocked(ref->dboid))
			slot->state = SLOT_ENDED;
		else
		{
			slot->state = SLOT_RUNNING;
			slot->pid = MyProcPid;
			slot->proc = MyProc;
			attached = true;
		}
	}
	LWLockRelease(shared->lock);
	return attached;
}

/* A scheduler found the extension, and is going to stay. */
void
migspec_slot_set_settled(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (attached)
		shared->slots[my_ref.index].settled = true;
	LWLockRelease(shared->lock);
}

/* What this worker has to say at its end; the message may be NULL. */
void
migspec_slot_set_outcome(MigspecOutcome outcome, const char *message)
{
	char		clipped[MIGSPEC_MESSAGE_SIZE] = "";

	if (message != NULL)
		strlcpy(clipped, message,
				1 + pg_mbcliplen(message, strlen(message),
								 MIGSPEC_MESSAGE_SIZE - 1));

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (attached)
	{
		Slot	   *slot = &shared->slots[my_ref.index];

		slot->outcome = outcome;
		memcpy(slot->message, clipped, MIGSPEC_MESSAGE_SIZE);
	}
	LWLockRelease(shared->lock);
}

/* Has somebody asked this worker's job to stop? */
bool
migspec_slot_cancelled(void)
{
	bool		cancelled;

	LWLockAcquire(shared->lock, LW_SHARED);
	cancelled = attached && shared->slots[my_ref.index].cancelled;
	LWLockRelease(shared->lock);
	return cancelled;
}

/*
 * Ask the job worker of a migration to stop what it does.  One that is just
 * starting will find out by itself.  False if there is none.
 */
bool
migspec_slot_cancel_job(Oid dboid, int64 migration_id)
{
	bool		found = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (slot->kind != MIGSPEC_WORKER_JOB || !slot_is_live(slot) ||
			slot->dboid != dboid || slot->migration_id != migration_id)
			continue;
		found = true;
		slot->cancelled = true;
		if (slot->state == SLOT_RUNNING)
			kill(slot->pid, SIGINT);
	}
	LWLockRelease(shared->lock);
	return found;
}

/* Under the lock */
static void
add_poke(Oid dboid)
{
	set_latch_of(shared->launcher);
	for (int i = 0; i < shared->npokes; i++)
	{
		if (shared->pokes[i] == dboid)
			return;
	}
	if (shared->npokes < MAX_POKES)
		shared->pokes[shared->npokes++] = dboid;
	else
		shared->poke_all = true;
}

/*
 * There is work in this database.  If it has no scheduler, the launcher does
 * not know yet that the extension is there.
 */
void
migspec_wake_database(Oid dboid)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (!wake_scheduler(dboid))
		add_poke(dboid);
	LWLockRelease(shared->lock);
}

/* The extension has come into being in this database. */
void
migspec_poke_launcher(Oid dboid)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	add_poke(dboid);
	LWLockRelease(shared->lock);
}

static void
launcher_detach(int code, Datum arg)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->launcher == MyProc)
		shared->launcher = NULL;
	LWLockRelease(shared->lock);
}

/* Called by the launcher when it starts */
void
migspec_launcher_attach(void)
{
	before_shmem_exit(launcher_detach, (Datum) 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = MyProc;
	LWLockRelease(shared->lock);
}

/*
 * The databases that were poked since the last call, as a List of Oid in the
 * current memory context.  "all" is set if some did not find room.
 */
List *
migspec_launcher_take_pokes(bool *all)
{
	Oid			pokes[MAX_POKES];
	int			npokes;
	List	   *result = NIL;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	npokes = shared->npokes;
	memcpy(pokes, shared->pokes, sizeof(Oid) * npokes);
	*all = shared->poke_all;
	shared->npokes = 0;
	shared->poke_all = false;
	LWLockRelease(shared->lock);

	for (int i = 0; i < npokes; i++)
		result = lappend_oid(result, pokes[i]);
	return result;
}

/*
 * The schedulers that have ended since the last call, as a List of
 * MigspecEnded in the current memory context; their slots are free now.
 */
List *
migspec_launcher_take_ended(void)
{
	MigspecEnded *ended = palloc(sizeof(MigspecEnded) * shared->nslots);
	List	   *result = NIL;
	int			n = 0;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (slot->kind != MIGSPEC_WORKER_SCHEDULER ||
			slot->state != SLOT_ENDED)
			continue;
		ended[n].dboid = slot->dboid;
		ended[n++].outcome = slot->outcome;
		slot->state = SLOT_FREE;
	}
	LWLockRelease(shared->lock);

	for (int i = 0; i < n; i++)
		result = lappend(result, &ended[i]);
	return result;
}

/* How many schedulers do not know yet whether they are going to stay? */
int
migspec_launcher_count_unsettled(void)
{
	int			n = 0;

	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (slot->kind == MIGSPEC_WORKER_SCHEDULER && slot_is_live(slot) &&
			!slot->settled)
			n++;
	}
	LWLockRelease(shared->lock);
	return n;
}

/*
 * Let no worker start in this database until migspec_database_unblock().
 * The caller sees to it that this comes, whatever happens.
 */
void
migspec_database_block(Oid dboid)
{
	bool		done = false;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (shared->nblocks < MAX_BLOCKS)
	{
		shared->blocks[shared->nblocks++] = dboid;
		done = true;
	}
	LWLockRelease(shared->lock);

	if (!done)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WORKER),
				 errmsg("could not stop the workers of migspec"),
				 errdetail("%d other sessions need a database without them.",
						   MAX_BLOCKS),
				 errhint("Try again.")));
}

/* Take one of this database's blocks away, and let its workers come back. */
void
migspec_database_unblock(Oid dboid)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->nblocks; i++)
	{
		if (shared->blocks[i] == dboid)
		{
			shared->blocks[i] = shared->blocks[--shared->nblocks];
			break;
		}
	}
	set_latch_of(shared->launcher);
	LWLockRelease(shared->lock);
}

/*
 * Send all workers of a database home, and return how many are left.  To be
 * called again until none is.
 */
int
migspec_database_terminate(Oid dboid)
{
	int			left = 0;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < shared->nslots; i++)
	{
		Slot	   *slot = &shared->slots[i];

		if (!slot_is_live(slot) || slot->dboid != dboid)
			continue;
		if (slot->state == SLOT_STARTING)
			slot->state = SLOT_ENDED;
		else
		{
			kill(slot->pid, SIGTERM);
			left++;
		}
	}
	LWLockRelease(shared->lock);
	return left;
}
