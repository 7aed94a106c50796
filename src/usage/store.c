/*-------------------------------------------------------------------------
 *
 * store.c
 *		The counts of uses, in shared memory.
 *
 * An array of places, each for one key: database, table, old column, role and
 * application.  A backend remembers the place of the key that it used last, so
 * the usual case is to take the lock shared, to compare the key, and to add.
 * The counters are atomic, because many backends add under the shared lock;
 * keys change under the exclusive lock only.
 *
 * Runs in sessions (count) and in schedulers (snapshot, stored, retire).  The
 * LWLock "migspec_usage" is held for these few instructions or for a search of
 * the array; no error is raised and no memory allocated under it.
 *
 * Crash behaviour: gone with shared memory; at most what was counted since the
 * last look of the scheduler, see persist.c.
 *
 * Interleavings that must be survived:
 * - A place is retired and taken by another key while a backend remembers
 *	 it: the key is compared before each use.
 * - A place is used after the scheduler has found it idle: it looks at the
 *	 counters again, under the exclusive lock.
 * - All places are taken: one whose counts are all stored goes to the new
 *	 key.  Are there none, it is not counted until the scheduler has looked.
 * - Two backends count the first use of one key: the second finds, under the
 *	 exclusive lock, what the first has made.
 * - The scheduler stores what it has seen while others go on counting: it
 *	 subtracts what it has seen, not what is there.
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

typedef struct Place
{
	MigspecUsageKey key;		/* dboid is InvalidOid: free */
	pg_atomic_uint64 reads;
	pg_atomic_uint64 writes;
	pg_atomic_uint64 last_read;
	pg_atomic_uint64 last_write;
	pg_atomic_uint64 query_id;
	pg_atomic_uint32 pid;
	char		query[MIGSPEC_USAGE_QUERY_SIZE];	/* written with the key */
} Place;

typedef struct Store
{
	LWLock	   *lock;			/* set once at start-up */
	int			used;			/* places below this may be in use */
	bool		full;			/* of what is not yet in the catalog */
	bool		overflow;		/* told already */
	Place		places[MAX_PLACES];
} Store;

static Store *store = NULL;

static void
clear(Place *place)
{
	memset(&place->key, 0, sizeof(place->key));
	pg_atomic_init_u64(&place->reads, 0);
	pg_atomic_init_u64(&place->writes, 0);
	pg_atomic_init_u64(&place->last_read, 0);
	pg_atomic_init_u64(&place->last_write, 0);
	pg_atomic_init_u64(&place->query_id, 0);
	pg_atomic_init_u32(&place->pid, 0);
	place->query[0] = '\0';
}

static void
start(void *area, LWLock *lock, bool is_new)
{
	store = area;
	if (!is_new)
		return;
	store->lock = lock;
	for (int i = 0; i < MAX_PLACES; i++)
		clear(&store->places[i]);
}

/*
 * migspec_usage_shmem_init -- ask for shared memory.
 */
void
migspec_usage_shmem_init(void)
{
	migspec_shared_area("migspec_usage", sizeof(Store), start);
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
 * The place of a key, -1 if it has none.  Under the lock.
 */
static int
find(const MigspecUsageKey *key)
{
	for (int i = 0; i < store->used; i++)
	{
		if (is_key(&store->places[i].key, key))
			return i;
	}
	return -1;
}

static bool
is_idle(Place *place)
{
	return pg_atomic_read_u64(&place->reads) == 0 &&
		pg_atomic_read_u64(&place->writes) == 0;
}

/*
 * A place for a new key, -1 if there is none: a free one, or one of which the
 * catalog knows everything.  Under the exclusive lock.
 */
static int
take(const MigspecUsageKey *key, const char *query)
{
	int			i = 0;
	Place	   *place;
	int			len;

	while (i < store->used && OidIsValid(store->places[i].key.dboid))
		i++;
	if (i == MAX_PLACES)
	{
		for (i = 0; i < MAX_PLACES && !is_idle(&store->places[i]);)
			i++;
	}
	if (i == MAX_PLACES)
		return -1;
	store->used = Max(store->used, i + 1);

	place = &store->places[i];
	clear(place);
	place->key = *key;
	len = pg_mbcliplen(query, strlen(query), sizeof(place->query) - 1);
	memcpy(place->query, query, len);
	place->query[len] = '\0';
	return i;
}

/*
 * Find or make the place of a key.  Returns with the lock, at least shared,
 * unless there is no room.
 */
static int
find_or_take(const MigspecUsageKey *key, const char *query)
{
	int			i;
	bool		full;
	bool		tell;

	LWLockAcquire(store->lock, LW_SHARED);
	i = find(key);
	if (i >= 0)
		return i;
	full = store->full;
	LWLockRelease(store->lock);
	if (full)
		return -1;

	LWLockAcquire(store->lock, LW_EXCLUSIVE);
	i = find(key);
	if (i < 0)
		i = take(key, query);
	if (i >= 0)
		return i;
	tell = !store->overflow;
	store->full = store->overflow = true;
	LWLockRelease(store->lock);
	if (tell)
		ereport(LOG,
				(errmsg("migspec counts the uses of old columns for %d roles and applications at most",
						MAX_PLACES)));
	return -1;
}

static void
add(Place *place, bool read, bool write, TimestampTz at, uint64 query_id)
{
	if (read)
	{
		pg_atomic_fetch_add_u64(&place->reads, 1);
		pg_atomic_write_u64(&place->last_read, (uint64) at);
	}
	if (write)
	{
		pg_atomic_fetch_add_u64(&place->writes, 1);
		pg_atomic_write_u64(&place->last_write, (uint64) at);
	}
	if (query_id != 0)
		pg_atomic_write_u64(&place->query_id, query_id);
	pg_atomic_write_u32(&place->pid, (uint32) MyProcPid);
}

/*
 * migspec_usage_count -- see usage.h.
 */
int
migspec_usage_count(const MigspecUsageKey *key, int place, bool read,
					bool write, TimestampTz at, uint64 query_id,
					const char *query)
{
	if (place >= 0)
	{
		LWLockAcquire(store->lock, LW_SHARED);
		if (!is_key(&store->places[place].key, key))
		{
			LWLockRelease(store->lock);
			place = -1;
		}
	}
	if (place < 0)
		place = find_or_take(key, query);
	if (place < 0)
		return -1;
	add(&store->places[place], read, write, at, query_id);
	LWLockRelease(store->lock);
	return place;
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

		LWLockAcquire(store->lock, LW_SHARED);
		if (place->key.dboid == MyDatabaseId)
		{
			usage.key = place->key;
			usage.index = i;
			usage.reads = pg_atomic_read_u64(&place->reads);
			usage.writes = pg_atomic_read_u64(&place->writes);
			usage.last_read = (TimestampTz) pg_atomic_read_u64(&place->last_read);
			usage.last_write = (TimestampTz) pg_atomic_read_u64(&place->last_write);
			usage.query_id = pg_atomic_read_u64(&place->query_id);
			usage.pid = (int) pg_atomic_read_u32(&place->pid);
			memcpy(usage.query, place->query, sizeof(usage.query));
		}
		LWLockRelease(store->lock);
		if (OidIsValid(usage.key.dboid))
		{
			MigspecUsage *copy = palloc(sizeof(MigspecUsage));

			*copy = usage;
			result = lappend(result, copy);
		}
	}
	return result;
}

/*
 * migspec_usage_stored -- see usage.h.
 */
void
migspec_usage_stored(const MigspecUsage *usage)
{
	Place	   *place = &store->places[usage->index];

	LWLockAcquire(store->lock, LW_SHARED);
	if (is_key(&place->key, &usage->key))
	{
		pg_atomic_fetch_sub_u64(&place->reads, usage->reads);
		pg_atomic_fetch_sub_u64(&place->writes, usage->writes);
		store->full = false;
	}
	LWLockRelease(store->lock);
}

/*
 * Give a place back.  Under the exclusive lock.
 */
static void
give_back(Place *place)
{
	clear(place);
	while (store->used > 0 &&
		   !OidIsValid(store->places[store->used - 1].key.dboid))
		store->used--;
	store->full = store->overflow = false;
}

/*
 * migspec_usage_retire -- see usage.h.
 */
void
migspec_usage_retire(const MigspecUsage *usage)
{
	Place	   *place = &store->places[usage->index];

	LWLockAcquire(store->lock, LW_EXCLUSIVE);
	if (is_key(&place->key, &usage->key) && is_idle(place))
		give_back(place);
	LWLockRelease(store->lock);
}

/*
 * migspec_usage_forget_database -- see usage.h.
 */
void
migspec_usage_forget_database(Oid dboid)
{
	if (store == NULL)
		return;
	LWLockAcquire(store->lock, LW_EXCLUSIVE);
	for (int i = store->used - 1; i >= 0; i--)
	{
		if (store->places[i].key.dboid == dboid)
			give_back(&store->places[i]);
	}
	LWLockRelease(store->lock);
}
