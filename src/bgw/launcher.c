/*-------------------------------------------------------------------------
 *
 * launcher.c
 *		The launcher: sees to it that every database that has the extension
 *		has a scheduler.
 *
 * One static worker, connected to no database, so it can read shared catalogs
 * only and cannot know where the extension is.  It starts one scheduler in
 * every database, once; a scheduler that finds no extension says so and ends,
 * and the launcher remembers that until somebody pokes it: the install script
 * does, at its commit, and so does a session that has work and finds no
 * scheduler.
 *
 * It compares what should be with what is, whenever its latch is set and at
 * least every NAPS_PER_LOOK naps.  Being woken only makes it look sooner.
 *
 * Crash behaviour: it keeps nothing that matters.  A new launcher looks into
 * every database again; schedulers that still run keep their slots, so that
 * no second one starts.
 *
 * Interleavings that must be survived:
 *
 * - CREATE EXTENSION commits after a scheduler has looked for the extension
 *	 but before its end was noticed: the poke is remembered in the entry and
 *	 makes the launcher try once more.
 * - CREATE EXTENSION commits while there is no launcher: the poke waits in
 *	 shared memory, and a new launcher looks everywhere anyway.
 * - A database is dropped between the look at pg_database and the start of
 *	 its scheduler: the scheduler fails to connect and is forgotten with the
 *	 next look.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>
#include <signal.h>

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/guc.h"
#include "bgw/worker.h"
#include "engine/retry.h"

/* looks at pg_database that nothing has asked for */
#define NAPS_PER_LOOK	10

/* schedulers that look for the extension at the same time */
#define MAX_UNSETTLED	3

/* What the launcher knows of a database */
typedef struct Database
{
	Oid			dboid;			/* hash key */
	bool		absent;			/* it does not have the extension */
	bool		poked;			/* since its scheduler was started last */
	bool		seen;			/* in the look that is under way */
	TimestampTz last_start;		/* 0: never */
} Database;

static HTAB *databases;
static bool complained = false;

static void
create_databases(void)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(Database);
	databases = hash_create("migspec databases", 64, &ctl,
							HASH_ELEM | HASH_BLOBS);
}

static Database *
database_entry(Oid dboid)
{
	bool		found;
	Database   *entry = hash_search(databases, &dboid, HASH_ENTER, &found);

	if (!found)
	{
		memset(entry, 0, sizeof(Database));
		entry->dboid = dboid;
	}
	return entry;
}

/* Schedulers that have ended: why? */
static void
note_ended(void)
{
	List	   *ended = migspec_launcher_take_ended();
	ListCell   *lc;

	foreach(lc, ended)
	{
		MigspecEnded *end = lfirst(lc);
		Database   *entry = database_entry(end->dboid);

		if (end->outcome == MIGSPEC_OUTCOME_ABSENT && !entry->poked)
			entry->absent = true;
	}
}

static void
note_poke(Database *entry)
{
	entry->absent = false;
	entry->poked = true;
}

/* Databases to look into once more */
static void
note_pokes(void)
{
	bool		all;
	List	   *pokes = migspec_launcher_take_pokes(&all);
	ListCell   *lc;

	foreach(lc, pokes)
		note_poke(database_entry(lfirst_oid(lc)));
	if (all)
	{
		HASH_SEQ_STATUS status;
		Database   *entry;

		hash_seq_init(&status, databases);
		while ((entry = hash_seq_search(&status)) != NULL)
			note_poke(entry);
	}
}

/* Is this a database in which somebody could use the extension? */
static bool
is_candidate(Form_pg_database form)
{
	return form->datallowconn && !form->datistemplate &&
		!database_is_invalid_form(form);
}

/* Enter the databases that there are, and drop those that are gone. */
static void
look_at_databases(void)
{
	HASH_SEQ_STATUS status;
	Database   *entry;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	hash_seq_init(&status, databases);
	while ((entry = hash_seq_search(&status)) != NULL)
		entry->seen = false;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (is_candidate(form))
			database_entry(form->oid)->seen = true;
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	PopActiveSnapshot();
	CommitTransactionCommand();

	hash_seq_init(&status, databases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->seen)
			(void) hash_search(databases, &entry->dboid, HASH_REMOVE, NULL);
	}
}

/* The server has no worker slot left: say so once. */
static void
complain(void)
{
	if (!complained)
		ereport(WARNING,
				(errcode(ERRCODE_MIGSPEC_WORKER),
				 errmsg("could not start a migspec scheduler"),
				 errdetail("All worker slots of the server are in use."),
				 errhint("Increase \"max_worker_processes\".")));
	complained = true;
}

/*
 * Start the scheduler of a database that may need one.  Returns how long to
 * wait, in ms, before it makes sense to try again.
 */
static long
start_scheduler(Database *entry, TimestampTz now)
{
	long		since = entry->last_start == 0 ? LONG_MAX :
	TimestampDifferenceMilliseconds(entry->last_start, now);
	MigspecSlotRef ref = {0};

	if (!entry->poked && since < MIGSPEC_RESTART_DELAY)
		return MIGSPEC_RESTART_DELAY - since;

	ref.kind = MIGSPEC_WORKER_SCHEDULER;
	ref.dboid = entry->dboid;
	switch (migspec_worker_start(&ref, NULL))
	{
		case MIGSPEC_START_DONE:
			entry->last_start = now;
			entry->poked = false;
			complained = false;
			break;
		case MIGSPEC_START_RUNNING:
			break;
		case MIGSPEC_START_NOT_NOW:
			/* the session that is in the way wakes us when it has ended */
			break;
		case MIGSPEC_START_LIMIT:
		case MIGSPEC_START_NO_SLOT:
			complain();
			return MIGSPEC_RESTART_DELAY;
	}
	return LONG_MAX;
}

/* Databases that may lack a scheduler, as a List of Database * */
static List *
databases_in_question(void)
{
	HASH_SEQ_STATUS status;
	Database   *entry;
	List	   *result = NIL;

	hash_seq_init(&status, databases);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		if (!entry->absent)
			result = lappend(result, entry);
	}
	return result;
}

/* Start what should run.  Returns how long to wait at most, in ms. */
static long
start_schedulers(void)
{
	TimestampTz now = GetCurrentTimestamp();
	long		wait = Min((long) migspec_naptime, INT_MAX / NAPS_PER_LOOK) *
	NAPS_PER_LOOK;
	List	   *candidates = databases_in_question();
	ListCell   *lc;

	foreach(lc, candidates)
	{
		/* they wake us when they end; the time is for those that stay */
		if (migspec_launcher_count_unsettled() >= MAX_UNSETTLED)
			return Min(wait, 100);
		wait = Min(wait, start_scheduler(lfirst(lc), now));
	}
	return wait;
}

/* One turn of the main loop */
static long
turn(void)
{
	migspec_worker_breathe();
	note_pokes();
	note_ended();
	look_at_databases();
	return start_schedulers();
}

/*
 * Main function of the launcher.  It never ends by itself: an exit code of 0
 * would make the postmaster forget it.
 */
void
migspec_launcher_main(Datum arg)
{
	MemoryContext cxt;

	migspec_worker_signals();
	/* cancelling makes no sense here, and must not end us */
	pqsignal(SIGINT, SIG_IGN);
	migspec_launcher_attach();
	BackgroundWorkerInitializeConnectionByOid(InvalidOid, InvalidOid, 0);
	migspec_worker_pin_settings(MIGSPEC_LAUNCHER_TYPE);
	migspec_worker_activity(NULL);

	create_databases();
	cxt = AllocSetContextCreate(TopMemoryContext, "migspec launcher",
								ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		volatile long wait = MIGSPEC_RESTART_DELAY;

		MemoryContextSwitchTo(cxt);
		PG_TRY();
		{
			wait = turn();
		}
		PG_CATCH();
		{
			(void) migspec_error_caught(cxt, true);
		}
		PG_END_TRY();
		MemoryContextSwitchTo(cxt);
		MemoryContextReset(cxt);
		migspec_worker_wait(wait);
	}
}
