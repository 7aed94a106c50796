/*-------------------------------------------------------------------------
 *
 * migration.h
 *		migspec.migration, migspec.operation and migspec.target as structs.
 *		The only code that reads or writes them.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_MIGRATION_H
#define MIGSPEC_MIGRATION_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"
#include "utils/timestamp.h"

#include "base/compat.h"

/* In the order of their phases; rolled_back stands outside it */
typedef enum MigspecPhase
{
	MIGSPEC_PLANNED,
	MIGSPEC_EXPANDED,
	MIGSPEC_MIGRATING,
	MIGSPEC_MIGRATED,
	MIGSPEC_VERIFIED,
	MIGSPEC_SWITCHED,
	MIGSPEC_CONTRACTED,
	MIGSPEC_FINISHED,
	MIGSPEC_ROLLED_BACK
} MigspecPhase;

/* One operation: an old column, a new one, and what lies between them */
typedef struct MigspecOperation
{
	int64		id;				/* 0 before it is stored */
	int			ordinal;		/* 1-based, in the order of the document */
	char	   *kind;			/* "rename_column", ... */
	Oid			relid;
	char	   *old_name;		/* name in the old shape, NULL if none */
	char	   *new_name;		/* name in the new shape */
	char	   *old_column;		/* name now, NULL if there is no old column */
	char	   *new_column;		/* name now (or once it exists) */
	char	   *marker_column;	/* "not synced yet" flag, or NULL */
	char	   *new_type;		/* of the new column, as SQL */
	char	   *up;				/* as the author wrote it */
	char	   *down;			/* NULL if there is none */
	char	   *up_sql;			/* resolved: names qualified, columns as $n */
	List	   *up_columns;		/* of char *: the column that $n stands for */
	char	   *down_sql;
	List	   *down_columns;
	bool		is_volatile;	/* up or down gives another value each time */
	char	   *planned_for;	/* table and columns, as text for comparison */
	List	   *partitions;		/* of Oid: those of the table when planned */
} MigspecOperation;

typedef struct MigspecMigration
{
	int64		id;
	char	   *name;
	Oid			owner;
	MigspecPhase phase;
	char	   *author_search_path;
	char	   *conflict_policy;	/* "new_wins" or "error" */
	bool		allow_irreversible;
	bool		paused;
	char	   *strategy;		/* name of a MigspecStrategy */
	int			max_rows_per_second;	/* 0: no limit */
	int			failures;
	int64		rows_differing; /* of the last verification, -1: none */
	List	   *operations;		/* of MigspecOperation *, by ordinal */
	List	   *relids;			/* tables, each once, ascending OID */
} MigspecMigration;

extern const char *migspec_phase_name(MigspecPhase phase);
extern MigspecPhase migspec_phase_from_name(const char *name);

/* NULL (or an error of class MG301 with a hint) if there is none */
extern MigspecMigration *migspec_migration_load(const char *name, bool missing_ok);
extern MigspecMigration *migspec_migration_load_by_id(int64 id, bool missing_ok);

/* take ids for the operations, before they are stored: names are made of them */
extern void migspec_operation_assign_ids(MigspecMigration *migration);

/* store the migration and its operations (whose ids are assigned); sets the id */
extern int64 migspec_migration_insert(MigspecMigration *migration,
									  Datum operations_jsonb, Interval *grace);
extern void migspec_operation_update_columns(const MigspecOperation *op);

/* error MG304 if another migration (than that id) holds the table */
extern void migspec_target_check(Oid relid, int64 migration_id);
extern void migspec_target_claim(MigspecMigration *migration);
extern void migspec_target_release(int64 migration_id);

/*
 * Compare and set: move the migration from the phase in the struct to
 * another, in the caller's transaction, together with an event and a NOTIFY.
 * Errors with MG303 if migspec.transition does not allow the move or if
 * somebody else has moved it meanwhile.  Updates the struct.
 */
extern void migspec_migration_set_phase(MigspecMigration *migration,
										MigspecPhase to);

/* Error MG303: names the present phase and the call that comes next */
pg_noreturn extern void migspec_wrong_phase(const MigspecMigration *migration,
											const char *call);

/*
 * Fourth field of our advisory locks ("MG"): none of those that the server's
 * own advisory lock functions use.
 */
#define MIGSPEC_LOCK_MIGRATION	0x4D47
#define MIGSPEC_LOCK_WORKER		0x4D48
#define MIGSPEC_LOCK_UNAWARE	0x4D49

/*
 * Serialise calls on one migration until the end of the transaction.  The
 * lock is ours alone (an advisory lock in a class of its own); nothing that
 * applications take conflicts with it.
 */
extern void migspec_migration_lock(int64 id);

/* the same without waiting: false if somebody has it, or waits for it */
extern bool migspec_migration_lock_try(int64 id);

/*
 * The worker's liveness: a session-level lock, held while a worker works on
 * the migration and by nobody else.  Try returns false if it is held.
 */
extern bool migspec_worker_lock_try(int64 id);
extern void migspec_worker_lock_release(int64 id);

/* transaction-level hold on the same lock: waits for the worker to be gone */
extern void migspec_worker_lock_wait(int64 id);

/*
 * This transaction has seen no flag, and waits to change one: who waits for
 * those that have seen flags need not wait for it (flags/stage_move.c).  A list
 * of all such transactions.
 */
extern void migspec_unaware_begin(void);
extern void migspec_unaware_end(void);
extern VirtualTransactionId *migspec_unaware(int *n);

/*
 * Steer the worker, which looks before every batch.  Rows per second: 0 for
 * no limit, -1 for no change; strategy: NULL for no change.
 */
extern void migspec_migration_set_paused(MigspecMigration *migration, bool paused);
extern void migspec_migration_tune(MigspecMigration *migration,
								   int max_rows_per_second, const char *strategy);

/* what one who waits for the worker wants to know; reads afresh */
typedef struct MigspecStatus
{
	MigspecPhase phase;
	bool		paused;
	bool		own_change;		/* changed by the current transaction */
	bool		stopped;		/* the worker does not try again */
	char	   *error;			/* of the last failure, NULL if none */
	char	   *detail;
	char	   *hint;
	char	   *step;
} MigspecStatus;

extern MigspecStatus *migspec_migration_status(int64 id);

/* what became of counts that were to be added */
typedef enum MigspecAdded
{
	MIGSPEC_ADDED,
	MIGSPEC_ADDED_NOT,			/* the migration's row is locked */
	MIGSPEC_ADDED_ENDED			/* the migration has ended, or is not there */
} MigspecAdded;

/*
 * Add what an operation's trigger has counted on a table to its migration, in the current
 * transaction, without waiting: conflicts, the first of which is an event, and
 * so is each time that their number has one more digit; and rows that were
 * written while another trigger fired after the sync trigger, after which the
 * last verification is void.
 */
extern MigspecAdded migspec_migration_add_counts(Oid relid, int64 operation_id,
												 int64 conflicts, int64 overruled);

/*
 * Note what is wrong with a sync trigger (or, with NULL, that nothing is any
 * more) as the last error and as an event, once, without waiting.
 */
extern void migspec_migration_note_trouble(int64 id, const char *trouble);

/*
 * Forget the rows that could not be converted, or were found different: they
 * hold values of the table, and mean nothing any more.
 */
extern void migspec_migration_forget_rows(int64 id);

/* record a failure of the worker (in the current transaction) */
extern void migspec_migration_record_error(int64 id, const char *step,
										   ErrorData *edata, bool transient);
extern void migspec_migration_clear_error(int64 id);

/*
 * Record a call that failed in a session, whose transaction is gone: as an
 * event, and as the last error unless the migration has moved since.  False
 * if somebody has locked the migration's row: nothing is recorded then.
 */
extern bool migspec_migration_record_failed_call(int64 id, const char *name,
												 const char *call,
												 const char *role,
												 TimestampTz at,
												 int sqlerrcode,
												 const char *message,
												 const char *detail,
												 const char *hint);

#endif							/* MIGSPEC_MIGRATION_H */
