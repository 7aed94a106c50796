/*-------------------------------------------------------------------------
 *
 * sample.h
 *		Counting what flags are asked, and what comparisons find.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SAMPLE_H
#define MIGSPEC_SAMPLE_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef enum MigspecCount
{
	MIGSPEC_COUNT_ON,			/* evaluations that said "on", or "next stage" */
	MIGSPEC_COUNT_OFF,
	MIGSPEC_COUNT_COMPARED,		/* both sides of a comparison succeeded */
	MIGSPEC_COUNT_MISMATCHED,	/* and gave different answers */
	MIGSPEC_COUNT_FAILED		/* the candidate failed, or took too long */
} MigspecCount;

#define MIGSPEC_COUNTS		(MIGSPEC_COUNT_FAILED + 1)

/* What this backend has counted of a flag and not passed on yet */
typedef struct MigspecSample
{
	int64		id;				/* migspec.flag.sample */
	uint64		counts[MIGSPEC_COUNTS];
	struct MigspecSample *next; /* that has counts */
	bool		listed;
} MigspecSample;

/* the counts of one flag of this database, in shared memory */
typedef struct MigspecSampled
{
	int			place;
	int64		id;
	uint64		counts[MIGSPEC_COUNTS];
} MigspecSampled;

extern void migspec_sample_shmem_init(void);	/* when preloaded */

/*
 * The counters of a flag in this backend, which live as long as it does; NULL
 * without shared memory.
 */
extern MigspecSample *migspec_sample_of(int64 id);
extern void migspec_sample_list(MigspecSample *sample);

/*
 * Count one more.  It goes to shared memory when the transaction ends.
 */
static inline void
migspec_sample_count(MigspecSample *sample, MigspecCount what)
{
	if (sample == NULL)
		return;
	sample->counts[what]++;
	if (!sample->listed)
		migspec_sample_list(sample);
}

/*
 * What was counted in this database, as a List of MigspecSampled *; what of it
 * is stored now; and that a flag's place is not needed any more.
 */
extern List *migspec_sample_read(void);
extern void migspec_sample_stored(const MigspecSampled *sampled);
extern void migspec_sample_forget(const MigspecSampled *sampled);

/* the extension, or the database, is gone */
extern void migspec_sample_forget_database(Oid dboid);

#endif							/* MIGSPEC_SAMPLE_H */
