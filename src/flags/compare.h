/*-------------------------------------------------------------------------
 *
 * compare.h
 *		Shadow comparison: the same question to the old and to the new shape.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_COMPARE_H
#define MIGSPEC_COMPARE_H

#include "postgres.h"
#include "utils/jsonb.h"

#include "flags/flags.h"

typedef struct MigspecComparison
{
	const char *key;			/* the user, and what sampling goes by; or
								 * NULL */
	const char *old_query;
	const char *new_query;
	int			one_in;			/* compare one key in so many */
	int			timeout;		/* of the candidate, ms; 0: none */
} MigspecComparison;

/*
 * The rows of the query that decides for the user's stage, as a JSON array of
 * objects.  In stages shadow and live the other one runs as well, for a sample
 * of keys, and what differs is recorded.  Runs as the current user; errors are
 * those of the deciding query.
 */
extern Jsonb *migspec_flag_compare(MigspecFlag *flag, const MigspecComparison *comparison);

/* forget what has been compared so far, and what was found */
extern void migspec_flag_forget_comparisons(const char *flag);

#endif							/* MIGSPEC_COMPARE_H */
