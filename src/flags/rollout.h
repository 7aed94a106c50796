/*-------------------------------------------------------------------------
 *
 * rollout.h
 *		Rollout plans.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_ROLLOUT_H
#define MIGSPEC_ROLLOUT_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* what a check query says */
typedef enum MigspecVerdict
{
	MIGSPEC_VERDICT_NONE,		/* there is no check */
	MIGSPEC_VERDICT_SUCCESS,
	MIGSPEC_VERDICT_FAILURE,
	MIGSPEC_VERDICT_INCONCLUSIVE
} MigspecVerdict;

/* a check that is to be run now, as a role */
typedef struct MigspecCheckQuery
{
	char	   *flag;
	int			step;			/* the answer is for this step, ... */
	char	   *since;			/* ... begun at this time */
	char	   *query;			/* NULL: there is none */
	char	   *search_path;
	Oid			role;
	int			timeout;		/* ms */
	MigspecVerdict verdict;
	char	   *message;		/* of an error, or NULL */
} MigspecCheckQuery;

/*
 * For the flag's owner, in a transaction: errors MG601, MG603, MG604, and
 * MG602 with all that is wrong with a plan.
 */
extern void migspec_rollout_start(const char *flag, Jsonb *plan);
extern void migspec_rollout_resume(const char *flag);
extern void migspec_rollout_drop(const char *flag);

/* NULL: of all flags, which takes the right of the database's owner */
extern void migspec_rollout_freeze(const char *flag, bool frozen, const char *reason);

/*
 * For the worker.  The running plans, as a List of MigspecCheckQuery *; and a
 * look at one with the answer of its check, which may move it.  The look takes
 * its locks with lock_timeout as it is.
 */
extern bool migspec_rollout_any(void);
extern List *migspec_rollout_checks(void);
extern void migspec_rollout_look(const MigspecCheckQuery *check);

#endif							/* MIGSPEC_ROLLOUT_H */
