/*-------------------------------------------------------------------------
 *
 * store.c
 *		The counts of uses, in shared memory.
 *
 * An array of places, each for one key: database, table, old column, role and
 * application.  A key gets a number when it gets its place, which no other key
 * ever has; a backend remembers the number of the key that it used last, so the
 * usual case is to take a lock shared, to compare two numbers, and to add.
 *
 * Many backends use one column at the same time, so that locks and counters are
 * in stripes, of which a backend uses one, and which others seldom touch.
 * Counters are atomic, because several backends may have the same stripe.  Who
 * changes a key takes the locks of all stripes.
 *
 * Runs in sessions (count) and in schedulers (snapshot, stored, retire).  The
 * LWLocks "migspec_usage" are held for these few instructions or for a search of
 * the array; no error is raised and no memory allocated under them.
 *
 * Crash behaviour: gone with shared memory; at most what was counted since the
 * last look of the scheduler, see persist.c.
 *
 * Interleavings that must be survived:
 * - A place is retired and taken by another key while a backend remembers
 *	 it: the number is compared before each use.
 * - A place is used after the scheduler has found it idle: it looks at the
 *	 counters again, under the exclusive locks.
 * - All places are taken: one whose counts are all stored goes to the new
 *	 key.  Are there none, it is not counted until the scheduler has looked.
 * - Two backends count the first use of one key: the second finds, under the
 *	 exclusive locks, what the first has made.
 * - The scheduler stores what it has seen while others go on counting: it
 *	 subtracts what it has seen, not what is there.
 * - It looks while a use is being counted: it sees the time of whatever it has
 *	 seen the count of, since a time without a count is never stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "storage/lwlock.h"

#include "base/shared_area.h"
#include "usage/usage.h"

/* keys in the whole cluster; a key more is not counted, and that is told */
#define MAX_PLACES	2048

/* a power of two; memory for counters is MAX_PLACES * STRIPES * 128 bytes */
#define STRIPES		8

/* What the backends of one stripe have counted of a key */
typedef union Counters
{
	struct
	{
		pg_atomic_uint64 reads;
		pg_atomic_uint64 writes;
		pg_atomic_uint64 last_read;
		pg_atomic_uint64 last_write;
		pg_atomic_uint64 query_id;
		pg_atomic_uint32 pid;
	};
	char		padding[PG_CACHE_LINE_SIZE];
} Counters;

typedef struct Place
{
	uint64		number;			/* of the key; its remainder by MAX_PLACES is
								 * the place's index; 0: free */
	MigspecUsageKey key;
	char		query[MIGSPEC_USAGE_QUERY_SIZE];	/* written with the key */
} Place;

typedef struct Store
{
	Counters	counters[STRIPES][MAX_PLACES];	/* first: aligned, as the area */
	uint64		keys;			/* that have had a place so far */
	int			used;			/* places below this may be in use */
	bool		full;			/* of what is not yet in the catalog */
	bool		overflow;		/* told already */
	Place		places[MAX_PLACES];
} Store;

static Store *store = NULL;
static LWLockPadded *locks;		/* one a stripe */

/* The stripe of this backend */
static inline int
my_stripe(void)
{
	return MyProcPid & (STRIPES - 1);
}

static inline LWLock *
my_lock(void)
{
	return &locks[my_stripe()].lock;
}

/* Nobody else may look at keys, or count. */
static void
lock_all(void)
{
	for (int i = 0; i < STRIPES; i++)
		LWLockAcquire(&locks[i].lock, LW_EXCLUSIVE);
}

static void
unlock_all(void)
{
	for (int i = STRIPES - 1; i >= 0; i--)
		LWLockRelease(&locks[i].lock);
}

static void
clear(int i)
{
	store->places[i].number = 0;
	for (int stripe = 0; stripe < STRIPES; stripe++)
	{
		Counters   *counters = &store->counters[stripe][i];

		pg_atomic_init_u64(&counters->reads, 0);
		pg_atomic_init_u64(&counters->writes, 0);
		pg_atomic_init_u64(&counters->last_read, 0);
		pg_atomic_init_u64(&counters->last_write, 0);
		pg_atomic_init_u64(&counters->query_id, 0);
		pg_atomic_init_u32(&counters->pid, 0);
	}
}

static void
start(void *area, LWLockPadded *its_locks, bool is_new)
{
	store = (Store *) CACHELINEALIGN(area);
	locks = its_locks;
	for (int i = 0; i < MAX_PLACES && is_new; i++)
		clear(i);
}

/*
 * migspec_usage_shmem_init -- ask for shared memory.
 */
void
migspec_usage_shmem_init(void)
{
	migspec_shared_area("migspec_usage", sizeof(Store) + PG_CACHE_LINE_SIZE, STRIPES, start);
}

bool
migspec_usage_ready(void)
{
	return store != NULL;
}

static bool
is_key(const MigspecUsageKey *a, const MigspecUsageKey *b)
{
	return a->dboid == b->dboid && a->relid == b->relid &&
		a->roleid == b->roleid && strcmp(a->column, b->column) == 0 &&
		strcmp(a->application, b->application) == 0;
}

/*
 * The number of a key, 0 if it has no place.  Under a lock.
 */
static uint64
find(const MigspecUsageKey *key)
{
	for (int i = 0; i < store->used; i++)
	{
		if (store->places[i].number != 0 && is_key(&store->places[i].key, key))
			return store->places[i].number;
	}
	return 0;
}

/* Under all locks */
static bool
is_idle(int i)
{
	for (int stripe = 0; stripe < STRIPES; stripe++)
	{
		if (pg_atomic_read_u64(&store->counters[stripe][i].reads) != 0 ||
			pg_atomic_read_u64(&store->counters[stripe][i].writes) != 0)
			return false;
	}
	return true;
}

/*
 * A place for a new key, 0 if there is none: a free one, or one of which the
 * catalog knows everything.  Under all locks.
 */
static uint64
take(const MigspecUsageKey *key, const char *query)
{
	int			i = 0;
	Place	   *place;
	int			len;

	while (i < store->used && store->places[i].number != 0)
		i++;
	if (i == MAX_PLACES)
	{
		for (i = 0; i < MAX_PLACES && !is_idle(i);)
			i++;
	}
	if (i == MAX_PLACES)
		return 0;
	store->used = Max(store->used, i + 1);

	clear(i);
	place = &store->places[i];
	place->number = ++store->keys * MAX_PLACES + i;
	place->key = *key;
	len = pg_mbcliplen(query, strlen(query), sizeof(place->query) - 1);
	memcpy(place->query, query, len);
	place->query[len] = '\0';
	return place->number;
}

/*
 * Find or make the place of a key, 0 if there is no room.  It may be another
 * key's again when this returns.
 */
static uint64
find_or_take(const MigspecUsageKey *key, const char *query)
{
	uint64		number;
	bool		full;
	bool		tell;

	LWLockAcquire(my_lock(), LW_SHARED);
	number = find(key);
	full = store->full;
	LWLockRelease(my_lock());
	if (number != 0 || full)
		return number;

	lock_all();
	number = find(key);
	if (number == 0)
		number = take(key, query);
	tell = number == 0 && !store->overflow;
	if (number == 0)
		store->full = store->overflow = true;
	unlock_all();
	if (tell)
		ereport(LOG,
				(errmsg("migspec counts the uses of old columns for %d roles and applications at most",
						MAX_PLACES)));
	return number;
}

/*
 * Add to the counters of a key, if it still has its place.  The count last: it
 * is a barrier, so whoever sees it sees when and by whom it was made.
 */
static bool
add(uint64 number, bool read, bool write, TimestampTz at, uint64 query_id)
{
	int			i = number % MAX_PLACES;
	Counters   *counters = &store->counters[my_stripe()][i];
	bool		found;

	LWLockAcquire(my_lock(), LW_SHARED);
	found = store->places[i].number == number;
	if (found && query_id != 0)
		pg_atomic_write_u64(&counters->query_id, query_id);
	if (found)
		pg_atomic_write_u32(&counters->pid, (uint32) MyProcPid);
	if (found && read)
	{
		pg_atomic_write_u64(&counters->last_read, (uint64) at);
		pg_atomic_fetch_add_u64(&counters->reads, 1);
	}
	if (found && write)
	{
		pg_atomic_write_u64(&counters->last_write, (uint64) at);
		pg_atomic_fetch_add_u64(&counters->writes, 1);
	}
	LWLockRelease(my_lock());
	return found;
}

/*
 * migspec_usage_count -- see usage.h.
 */
pg_attribute_hot uint64
migspec_usage_count(const MigspecUsageKey *key, uint64 number, bool read,
					bool write, TimestampTz at, uint64 query_id,
					const char *query)
{
	while (number == 0 || !add(number, read, write, at, query_id))
	{
		number = find_or_take(key, query);
		if (number == 0)
			break;
	}
	return number;
}

/* Add what one stripe has.  Under a lock.  The counts first, see add(). */
static void
add_up(MigspecUsage *usage, Counters *counters)
{
	TimestampTz last_read;
	TimestampTz last_write;
	uint64		query_id;

	usage->reads += pg_atomic_read_u64(&counters->reads);
	usage->writes += pg_atomic_read_u64(&counters->writes);
	pg_read_barrier();
	last_read = (TimestampTz) pg_atomic_read_u64(&counters->last_read);
	last_write = (TimestampTz) pg_atomic_read_u64(&counters->last_write);
	query_id = pg_atomic_read_u64(&counters->query_id);
	if (Max(last_read, last_write) >= Max(usage->last_read, usage->last_write))
	{
		usage->pid = (int) pg_atomic_read_u32(&counters->pid);
		if (query_id != 0)
			usage->query_id = query_id;
	}
	usage->last_read = Max(usage->last_read, last_read);
	usage->last_write = Max(usage->last_write, last_write);
}

/*
 * migspec_usage_snapshot -- see usage.h.
 */
List *
migspec_usage_snapshot(void)
{
	List	   *result = NIL;
	int			used = store ? store->used : 0;

	for (int i = 0; i < used; i++)
	{
		Place	   *place = &store->places[i];
		MigspecUsage usage = {0};

		LWLockAcquire(my_lock(), LW_SHARED);
		if (place->number != 0 && place->key.dboid == MyDatabaseId)
		{
			usage.number = place->number;
			usage.key = place->key;
			memcpy(usage.query, place->query, sizeof(usage.query));
			for (int stripe = 0; stripe < STRIPES; stripe++)
				add_up(&usage, &store->counters[stripe][i]);
		}
		LWLockRelease(my_lock());
		if (usage.number != 0)
		{
			MigspecUsage *copy = palloc(sizeof(MigspecUsage));

			*copy = usage;
			result = lappend(result, copy);
		}
	}
	return result;
}

/* Take at most "count" away, and tell how much is still to be taken. */
static uint64
subtract(pg_atomic_uint64 *counter, uint64 count)
{
	uint64		part = Min(count, pg_atomic_read_u64(counter));

	pg_atomic_fetch_sub_u64(counter, part);
	return count - part;
}

/*
 * migspec_usage_stored -- see usage.h.  Nobody else subtracts, so there is
 * never less than what was seen.
 */
void
migspec_usage_stored(const MigspecUsage *usage)
{
	int			i = usage->number % MAX_PLACES;
	uint64		reads = usage->reads;
	uint64		writes = usage->writes;

	LWLockAcquire(my_lock(), LW_SHARED);
	if (store->places[i].number == usage->number)
	{
		for (int stripe = 0; stripe < STRIPES; stripe++)
		{
			reads = subtract(&store->counters[stripe][i].reads, reads);
			writes = subtract(&store->counters[stripe][i].writes, writes);
		}
		store->full = false;
	}
	LWLockRelease(my_lock());
}

/*
 * Give a place back.  Under all locks.
 */
static void
give_back(int i)
{
	clear(i);
	while (store->used > 0 && store->places[store->used - 1].number == 0)
		store->used--;
	store->full = store->overflow = false;
}

/*
 * migspec_usage_retire -- see usage.h.
 */
void
migspec_usage_retire(const MigspecUsage *usage)
{
	int			i = usage->number % MAX_PLACES;

	lock_all();
	if (store->places[i].number == usage->number && is_idle(i))
		give_back(i);
	unlock_all();
}

/*
 * migspec_usage_forget_database -- see usage.h.
 */
void
migspec_usage_forget_database(Oid dboid)
{
	if (store == NULL)
		return;
	lock_all();
	for (int i = store->used - 1; i >= 0; i--)
	{
		if (store->places[i].number != 0 && store->places[i].key.dboid == dboid)
			give_back(i);
	}
	unlock_all();
}
