/*-------------------------------------------------------------------------
 *
 * shmem.h
 *		What migspec's processes know of each other: slots of workers,
 *		databases that must stay free of them, and wake-up calls.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SHMEM_H
#define MIGSPEC_SHMEM_H

#include "postgres.h"
#include "nodes/pg_list.h"

/* room for an error message on its way from a worker to a session */
#define MIGSPEC_MESSAGE_SIZE	1024

/* a worker that died is not started again any sooner (ms) */
#define MIGSPEC_RESTART_DELAY	5000

typedef enum MigspecWorkerKind
{
	MIGSPEC_WORKER_SCHEDULER,	/* one per database */
	MIGSPEC_WORKER_JOB,			/* one per migration that has work to do */
	MIGSPEC_WORKER_VERIFY,		/* one per call of migspec_verify() */
	MIGSPEC_WORKER_ROLLOUT		/* one per database with a running plan */
} MigspecWorkerKind;

/* how a worker ended */
typedef enum MigspecOutcome
{
	MIGSPEC_OUTCOME_DIED,		/* it never got to say anything else */
	MIGSPEC_OUTCOME_OK,
	MIGSPEC_OUTCOME_ABSENT,		/* scheduler: no extension here */
	MIGSPEC_OUTCOME_FAILED		/* verify: see the message */
} MigspecOutcome;

/*
 * A worker's place, as its starter and the worker itself remember it.  The
 * generation tells it from whoever has the same slot later.
 */
typedef struct MigspecSlotRef
{
	int			index;
	uint32		generation;
	MigspecWorkerKind kind;
	Oid			dboid;
	int64		migration_id;	/* of a job or a verification */
} MigspecSlotRef;

typedef enum MigspecClaim
{
	MIGSPEC_CLAIM_OK,
	MIGSPEC_CLAIM_RUNNING,		/* there is such a worker already */
	MIGSPEC_CLAIM_BLOCKED,		/* the database must stay free of workers */
	MIGSPEC_CLAIM_TOO_SOON,		/* the last one died just now */
	MIGSPEC_CLAIM_LIMIT			/* migspec.max_workers, or no slot left */
} MigspecClaim;

/* what the launcher is told of a scheduler that has ended */
typedef struct MigspecEnded
{
	Oid			dboid;
	MigspecOutcome outcome;
} MigspecEnded;

/* from _PG_init */
extern void migspec_shmem_init(void);
extern bool migspec_shmem_ready(void);

/* starter */
extern MigspecClaim migspec_slot_claim(MigspecSlotRef *ref);
extern void migspec_slot_give_back(const MigspecSlotRef *ref);
extern bool migspec_slot_outcome(const MigspecSlotRef *ref,
								 MigspecOutcome *outcome, char *message);

/* worker */
extern bool migspec_slot_attach(const MigspecSlotRef *ref);
extern void migspec_slot_set_settled(void);
extern void migspec_slot_set_outcome(MigspecOutcome outcome,
									 const char *message);
extern bool migspec_slot_cancelled(void);

/* anybody */
extern bool migspec_slot_cancel_job(Oid dboid, int64 migration_id);
extern void migspec_wake_database(Oid dboid);
extern void migspec_poke_launcher(Oid dboid);

/* launcher */
extern void migspec_launcher_attach(void);
extern List *migspec_launcher_take_pokes(bool *all);
extern List *migspec_launcher_take_ended(void);
extern int	migspec_launcher_count_unsettled(void);

/* sessions that need a database without workers */
extern void migspec_database_block(Oid dboid);
extern void migspec_database_unblock(Oid dboid);
extern int	migspec_database_terminate(Oid dboid);

#endif							/* MIGSPEC_SHMEM_H */
