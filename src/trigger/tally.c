/*-------------------------------------------------------------------------
 *
 * tally.c
 *		What the sync trigger counts, in shared memory.
 *
 * The trigger writes no table, and must not wait for anybody.  So it counts
 * in shared memory, with atomic operations, and the scheduler of the database
 * takes the counts into the catalog.  Like the server's own statistics, they
 * contain what transactions did that were rolled back, and a crash loses what
 * was not taken yet.
 *
 * A fixed number of places; one belongs to an operation on a table of a
 * database, from the first thing that is counted until its migration has ended.
 *
 * Runs in every process.  No lock: a place is claimed by compare-and-swap of
 * its table, and has an operation afterwards; counters are only added to and
 * subtracted from.
 *
 * Interleavings:
 * - Two backends claim a place for the same operation at the same time: it
 *	 may get two, which readers add up.
 * - A place is given back, and taken by another operation, while a backend
 *	 remembers it: each use compares the key first.  Places are given back
 *	 when the trigger is gone, so nobody is between comparing and adding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "trigger/tally.h"

#include "base/shared_area.h"

#define PLACES		256

typedef struct Place
{
	pg_atomic_uint64 table;		/* with its database; 0: free */
	pg_atomic_uint64 operation; /* 0: just being claimed */
	pg_atomic_uint64 counts[MIGSPEC_TALLIES];
} Place;

PG_FUNCTION_INFO_V1(migspec_conflicts_pending);

static Place *places = NULL;

static void
start(void *area, LWLockPadded *locks, bool is_new)
{
	places = area;
	for (int i = 0; i < PLACES && is_new; i++)
	{
		pg_atomic_init_u64(&places[i].table, 0);
		pg_atomic_init_u64(&places[i].operation, 0);
		for (int j = 0; j < MIGSPEC_TALLIES; j++)
			pg_atomic_init_u64(&places[i].counts[j], 0);
	}
}

/* see tally.h */
void
migspec_tally_init(void)
{
	migspec_shared_area("migspec_tallies", sizeof(Place) * PLACES, 0, start);
}

static uint64
table_key(Oid dboid, Oid relid)
{
	return ((uint64) dboid << 32) | relid;
}

static bool
place_is_for(int place, uint64 table, int64 operation_id)
{
	return pg_atomic_read_u64(&places[place].table) == table &&
		pg_atomic_read_u64(&places[place].operation) == (uint64) operation_id;
}

/*
 * The place of an operation, or a free one that is claimed for it; -1 if there
 * is none.
 */
static int
find_place(uint64 table, int64 operation_id)
{
	for (int i = 0; i < PLACES; i++)
	{
		if (place_is_for(i, table, operation_id))
			return i;
	}
	for (int i = 0; i < PLACES; i++)
	{
		uint64		expected = 0;

		if (pg_atomic_compare_exchange_u64(&places[i].table, &expected, table))
		{
			pg_atomic_write_u64(&places[i].operation, (uint64) operation_id);
			return i;
		}
	}
	return -1;
}

/* see tally.h */
void
migspec_tally_add(Oid relid, int64 operation_id, MigspecTally what, int *place)
{
	uint64		table = table_key(MyDatabaseId, relid);

	if (places == NULL || operation_id == 0)
		return;
	if (*place < 0 || !place_is_for(*place, table, operation_id))
		*place = find_place(table, operation_id);
	if (*place >= 0)
		pg_atomic_fetch_add_u64(&places[*place].counts[what], 1);
}

/* see tally.h */
List *
migspec_tally_read(void)
{
	List	   *result = NIL;

	for (int i = 0; places != NULL && i < PLACES; i++)
	{
		uint64		table = pg_atomic_read_u64(&places[i].table);
		int64		operation_id = (int64) pg_atomic_read_u64(&places[i].operation);
		MigspecTallied *tallied;

		if ((Oid) (table >> 32) != MyDatabaseId || operation_id == 0)
			continue;
		tallied = palloc(sizeof(MigspecTallied));
		tallied->place = i;
		tallied->relid = (Oid) table;
		tallied->operation_id = operation_id;
		for (int j = 0; j < MIGSPEC_TALLIES; j++)
			tallied->counts[j] = pg_atomic_read_u64(&places[i].counts[j]);
		result = lappend(result, tallied);
	}
	return result;
}

/* see tally.h */
void
migspec_tally_stored(const MigspecTallied *tallied)
{
	for (int j = 0; j < MIGSPEC_TALLIES; j++)
		pg_atomic_fetch_sub_u64(&places[tallied->place].counts[j],
								(int64) tallied->counts[j]);
}

static void
free_place(int place)
{
	for (int j = 0; j < MIGSPEC_TALLIES; j++)
		pg_atomic_write_u64(&places[place].counts[j], 0);
	pg_atomic_write_u64(&places[place].operation, 0);
	pg_write_barrier();
	pg_atomic_write_u64(&places[place].table, 0);
}

/* see tally.h */
void
migspec_tally_forget(const MigspecTallied *tallied)
{
	free_place(tallied->place);
}

/* see tally.h */
void
migspec_tally_forget_database(Oid dboid)
{
	for (int i = 0; places != NULL && i < PLACES; i++)
	{
		if ((Oid) (pg_atomic_read_u64(&places[i].table) >> 32) == dboid)
			free_place(i);
	}
}

/* see tally.h */
uint64
migspec_tally_pending(Oid relid, int64 operation_id, MigspecTally what)
{
	uint64		table = table_key(MyDatabaseId, relid);
	uint64		pending = 0;

	for (int i = 0; places != NULL && i < PLACES; i++)
	{
		if (place_is_for(i, table, operation_id))
			pending += pg_atomic_read_u64(&places[i].counts[what]);
	}
	return pending;
}

/*
 * migspec.conflicts_pending(relation, operation_id) -- conflicts that were
 * counted but are not in the catalog yet.
 */
Datum
migspec_conflicts_pending(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64((int64) migspec_tally_pending(PG_GETARG_OID(0),
												  PG_GETARG_INT64(1),
												  MIGSPEC_TALLY_CONFLICTS));
}
