/*-------------------------------------------------------------------------
 *
 * sample.c
 *		Counting what flags are asked, and what comparisons find.
 *
 * Only flags that somebody wants to know of are counted: migration flags, and
 * those with a rollout plan.  Evaluating is the hot path, and may happen on a
 * standby: so a backend counts in its own memory, adds that to shared memory
 * when its transaction ends, and the scheduler of the database takes it into
 * the catalog (bgw/collect.c).  Like the server's own statistics, the counts
 * contain what transactions did that were rolled back, and a crash loses what
 * was not taken yet: some seconds of samples, for which a plan waits again.
 *
 * A fixed number of places; one belongs to a flag from the first time that it
 * is counted until it is gone.
 *
 * Runs in every process.  No lock: a place is claimed by compare-and-swap of
 * its key, counters are only added to and subtracted from.
 *
 * Interleavings:
 * - Two backends claim a place for the same flag at the same time: it may get
 *	 two, which the reader treats as two parts of one sum.
 * - A place is given back while a backend adds to it: what it adds is lost, or
 *	 counted for another flag whose backend claims it just then.  Places are
 *	 given back a naptime after the flag is gone, at the earliest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "port/atomics.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "base/shared_area.h"
#include "flags/sample.h"

#define PLACES		1024

typedef struct Place
{
	pg_atomic_uint64 key;		/* 0: free */
	pg_atomic_uint64 counts[MIGSPEC_COUNTS];
} Place;

static Place *places = NULL;
static HTAB *samples = NULL;	/* of MigspecSample, by id */
static MigspecSample *listed = NULL;

static void
start(void *area, LWLockPadded *locks, bool is_new)
{
	places = area;
	for (int i = 0; i < PLACES && is_new; i++)
	{
		pg_atomic_init_u64(&places[i].key, 0);
		for (int j = 0; j < MIGSPEC_COUNTS; j++)
			pg_atomic_init_u64(&places[i].counts[j], 0);
	}
}

/* see sample.h */
void
migspec_sample_shmem_init(void)
{
	migspec_shared_area("migspec_samples", sizeof(Place) * PLACES, 0, start);
}

/*
 * Database and flag in one number.
 */
static uint64
key_of(int64 id)
{
	return ((uint64) MyDatabaseId << 32) | (uint32) id;
}

/*
 * The place of a key, or a free one that is claimed for it; NULL if there is
 * none.
 */
static Place *
find_place(uint64 key)
{
	for (int i = 0; i < PLACES; i++)
	{
		if (pg_atomic_read_u64(&places[i].key) == key)
			return &places[i];
	}
	for (int i = 0; i < PLACES; i++)
	{
		uint64		expected = 0;

		if (pg_atomic_compare_exchange_u64(&places[i].key, &expected, key) ||
			expected == key)
			return &places[i];
	}
	return NULL;
}

/* Pass on what the transaction has counted. */
static void
at_transaction_end(XactEvent event, void *arg)
{
	if (listed == NULL || event == XACT_EVENT_PRE_COMMIT ||
		event == XACT_EVENT_PARALLEL_PRE_COMMIT || event == XACT_EVENT_PRE_PREPARE)
		return;
	while (listed)
	{
		MigspecSample *sample = listed;
		Place	   *place = find_place(key_of(sample->id));

		for (int i = 0; i < MIGSPEC_COUNTS; i++)
		{
			if (place && sample->counts[i] > 0)
				pg_atomic_fetch_add_u64(&place->counts[i], (int64) sample->counts[i]);
			sample->counts[i] = 0;
		}
		sample->listed = false;
		listed = sample->next;
	}
}

/* see sample.h */
MigspecSample *
migspec_sample_of(int64 id)
{
	MigspecSample *sample;
	bool		found;

	if (places == NULL)
		return NULL;
	if (samples == NULL)
	{
		HASHCTL		control = {.keysize = sizeof(int64),.entrysize = sizeof(MigspecSample),
		.hcxt = TopMemoryContext};

		RegisterXactCallback(at_transaction_end, NULL);
		samples = hash_create("migspec samples", 32, &control,
							  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	sample = hash_search(samples, &id, HASH_ENTER, &found);
	if (!found)
	{
		memset(sample, 0, sizeof(MigspecSample));
		sample->id = id;
	}
	return sample;
}

/* To be passed on when the transaction ends; see migspec_sample_count(). */
void
migspec_sample_list(MigspecSample *sample)
{
	sample->next = listed;
	sample->listed = true;
	listed = sample;
}

/* see sample.h */
List *
migspec_sample_read(void)
{
	List	   *result = NIL;

	for (int i = 0; places != NULL && i < PLACES; i++)
	{
		uint64		key = pg_atomic_read_u64(&places[i].key);
		MigspecSampled *sampled;

		if ((Oid) (key >> 32) != MyDatabaseId)
			continue;
		sampled = palloc(sizeof(MigspecSampled));
		sampled->place = i;
		sampled->id = (int64) (key & PG_UINT32_MAX);
		for (int j = 0; j < MIGSPEC_COUNTS; j++)
			sampled->counts[j] = pg_atomic_read_u64(&places[i].counts[j]);
		result = lappend(result, sampled);
	}
	return result;
}

/* see sample.h */
void
migspec_sample_stored(const MigspecSampled *sampled)
{
	for (int j = 0; j < MIGSPEC_COUNTS; j++)
		pg_atomic_fetch_sub_u64(&places[sampled->place].counts[j],
								(int64) sampled->counts[j]);
}

static void
free_place(Place *place)
{
	for (int j = 0; j < MIGSPEC_COUNTS; j++)
		pg_atomic_write_u64(&place->counts[j], 0);
	pg_write_barrier();
	pg_atomic_write_u64(&place->key, 0);
}

/* see sample.h */
void
migspec_sample_forget(const MigspecSampled *sampled)
{
	free_place(&places[sampled->place]);
}

/* see sample.h */
void
migspec_sample_forget_database(Oid dboid)
{
	for (int i = 0; places != NULL && i < PLACES; i++)
	{
		if ((Oid) (pg_atomic_read_u64(&places[i].key) >> 32) == dboid)
			free_place(&places[i]);
	}
}
