/*-------------------------------------------------------------------------
 *
 * stage_move.c
 *		Moving migration flags from stage to stage.
 *
 * A flag's users are in one stage, or in two that follow each other; but a
 * transaction that has begun earlier may have seen what was before.  So the
 * row keeps the range of all stages (as positions in the flag's form) that some
 * running transaction may have seen: a move that stays within two neighbouring
 * stages of that range can be made at once, any other waits until all
 * transactions that began before the last move have ended.  No two transactions
 * that run at the same time ever see a user two stages apart, whatever their
 * isolation levels.  Changes of the document never have to wait: they move
 * users between the two stages that the flag has.
 *
 * Runs in sessions.  Locks, in this order: while it waits, those of the
 * transactions waited for, one after the other; then the call lock of the
 * migration, against a change of its phase; then the row of the generation.
 *
 * Interleavings that must be survived:
 * - Two sessions move a flag: the second finds the stages changed, and fails
 *	 with a serialization error.
 * - A transaction begins while a move waits for the older ones: it sees the last
 *	 move, and nobody needs to wait for it.
 * - The mover is cancelled, or its transaction fails, while it waits or later:
 *	 nothing has changed, and the range says what it said.
 * - The flag has been moved in this same transaction: others cannot see that
 *	 before it commits, so there is nothing to wait for; an error.
 * - Two sessions wait at the same time, to move different flags: neither waits
 *	 for the other while that waits, if it has seen no flag in its transaction,
 *	 because what it will see then is the present.
 * - Another transaction is waited for that waits for us: a deadlock, which the
 *	 server finds, since waiting is done by the lock manager.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/timestamp.h"

#include "base/errors.h"
#include "base/guc.h"
#include "base/sqlutil.h"
#include "catalog/event.h"
#include "flags/stage.h"

/* what a move has to know of a flag */
typedef struct StagedFlag
{
	MigspecFlagRow *row;
	int			form;
	uint64		moved;			/* transaction of the last move */
	int			seen_low;
	int			seen_high;
	MigspecMigration *migration;	/* NULL: none */
} StagedFlag;

/*
 * The flag, for its owner.
 */
static StagedFlag *
load(const char *name)
{
	StagedFlag *flag = palloc0(sizeof(StagedFlag));
	MigspecIdentity saved;

	flag->row = migspec_flag_require(name, false);
	migspec_catalog_begin(&saved);
	(void) migspec_sql("SELECT stages, coalesce(moved::text::bigint, 0) AS moved, seen_low, seen_high"
					   " FROM migspec.flag WHERE name = $1", MIGSPEC_PARAMS(MIGSPEC_TEXT(name)));
	flag->form = (int) migspec_spi_int8(0, "stages");
	flag->moved = (uint64) migspec_spi_int8(0, "moved");
	flag->seen_low = (int) migspec_spi_int8(0, "seen_low");
	flag->seen_high = (int) migspec_spi_int8(0, "seen_high");
	migspec_catalog_end(&saved);
	if (flag->row->migration)
		flag->migration = migspec_migration_load(flag->row->migration, true);
	return flag;
}

static StagedFlag *
load_attached(const char *name)
{
	StagedFlag *flag = load(name);

	if (flag->row->stage == MIGSPEC_STAGE_NONE || flag->migration == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("flag \"%s\" does not belong to a migration", name),
				 errhint("Use migspec_flag_attach.")));
	return flag;
}

/* No lock may be waited for any longer. */
static void
wait_until(TimestampTz deadline)
{
	long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), deadline);

	(void) set_config_option("lock_timeout", psprintf("%ld", Max(left, 1)),
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
}

/* Transactions that were prepared, and have not ended. */
static void
wait_for_prepared(TimestampTz deadline)
{
	MigspecIdentity saved;
	List	   *xids;
	ListCell   *lc;

	migspec_catalog_begin(&saved);
	(void) migspec_sql("SELECT array_agg(transaction::text) AS xids FROM pg_prepared_xacts"
					   " WHERE database = current_database()", 0, NULL);
	xids = migspec_spi_textlist(0, "xids");
	migspec_catalog_end(&saved);
	foreach(lc, xids)
	{
		wait_until(deadline);
		XactLockTableWait((TransactionId) strtoul(lfirst(lc), NULL, 10), NULL, NULL, XLTW_None);
	}
}

static bool
is_one_of(VirtualTransactionId one, const VirtualTransactionId *list, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (VirtualTransactionIdEquals(one, list[i]))
			return true;
	}
	return false;
}

/*
 * Wait for all other transactions of this database that run now, but for those
 * that only vacuum or build an index, or have seen no flag and wait themselves.
 */
static void
wait_for_running(const char *name)
{
	VirtualTransactionId *running;
	VirtualTransactionId *unaware;
	TimestampTz deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), migspec_lock_retry_deadline);
	int			level = NewGUCNestLevel();
	int			n;
	int			nunaware;

	running = GetCurrentVirtualXIDs(InvalidTransactionId, false, false,
									PROC_IS_AUTOVACUUM | PROC_IN_VACUUM | PROC_IN_SAFE_IC, &n);
	unaware = migspec_unaware(&nunaware);
	PG_TRY();
	{
		for (int i = 0; i < n; i++)
		{
			if (is_one_of(running[i], unaware, nunaware))
				continue;
			wait_until(deadline);
			(void) VirtualXactLock(running[i], true);
		}
		wait_for_prepared(deadline);
	}
	PG_CATCH();
	{
		if (geterrcode() != ERRCODE_LOCK_NOT_AVAILABLE)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_LOCK_NOT_GRANTED),
				 errmsg("transactions that may still see an earlier stage of flag \"%s\" did not end in time", name),
				 errdetail("They began before the flag was moved the last time; the next move would take users two stages away from what they see."),
				 errhint("Wait for the oldest transactions of pg_stat_activity and pg_prepared_xacts to end, and call again. "
						 "migspec.lock_retry_deadline (%d ms) says how long is waited.", migspec_lock_retry_deadline)));
	}
	PG_END_TRY();
	AtEOXact_GUC(false, level);
}

static void
check_committed(const StagedFlag *flag)
{
	FullTransactionId own = GetTopFullTransactionIdIfAny();

	if (flag->moved == 0 || !FullTransactionIdIsValid(own) ||
		U64FromFullTransactionId(own) != flag->moved)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
			 errmsg("flag \"%s\" has been moved in this transaction", flag->row->name),
			 errdetail("Other transactions have to see that before users go on to another stage."),
			 errhint("Commit, and call again.")));
}

/*
 * Have no running transaction see the flag but as it is now.
 */
static void
settle(StagedFlag *flag)
{
	int			low = migspec_stage_position(flag->form, flag->row->stage);
	int			high = migspec_stage_position(flag->form, flag->row->next_stage);

	check_committed(flag);
	wait_for_running(flag->row->name);
	flag->seen_low = low;
	flag->seen_high = Max(low, high);
}

/* Make sure that the flag can have the stages low to high. */
static void
settle_for(StagedFlag *flag, int low, int high)
{
	if (Max(high, flag->seen_high) - Min(low, flag->seen_low) > 1)
		settle(flag);
}

/*
 * Error unless there may be users in the stage.
 */
static void
check_phase(const StagedFlag *flag, MigspecStage stage)
{
	if (migspec_stage_fits(stage, flag->migration->phase))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
			 errmsg("flag \"%s\" cannot have users in stage %s while migration \"%s\" is %s",
					flag->row->name, migspec_stage_name(stage), flag->migration->name,
					migspec_phase_name(flag->migration->phase)),
			 errdetail("Stage %s needs %s.", migspec_stage_name(stage), migspec_stage_needs(stage))));
}

/* What was found when it was decided to move, and what the move leads to */
typedef struct Move
{
	StagedFlag *flag;
	MigspecStage stage;
	MigspecStage next;
} Move;

static void
check_unchanged(const StagedFlag *before, const StagedFlag *now)
{
	if (now->row->stage == before->row->stage && now->row->next_stage == before->row->next_stage &&
		now->moved == before->moved && now->form == before->form)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
			 errmsg("flag \"%s\" has been moved by another session meanwhile", before->row->name),
			 errhint("Look at migspec.flags, and call again if it is not where it should be.")));
}

static char *
stages_text(MigspecStage stage, MigspecStage next)
{
	return next == MIGSPEC_STAGE_NONE ? pstrdup(migspec_stage_name(stage)) :
		psprintf("%s to %s", migspec_stage_name(stage), migspec_stage_name(next));
}

static void
record(const MigspecFlagRow *row, const MigspecMigration *migration, const char *to, int64 stamp)
{
	migspec_event(migration->id, migration->name, "flag_stage", true, "flag", row->name,
				  "from", row->stage == MIGSPEC_STAGE_NONE ? NULL : stages_text(row->stage, row->next_stage),
				  "to", to, "generation", psprintf(INT64_FORMAT, stamp), NULL);
}

/*
 * Write the move.
 */
static void
store(const Move *move, int64 stamp)
{
	const StagedFlag *flag = move->flag;
	int			low = migspec_stage_position(flag->form, move->stage);
	int			high = Max(low, migspec_stage_position(flag->form, move->next));

	(void) migspec_catalog_sql("UPDATE migspec.flag SET stage = $2, next_stage = $3, stamp = $4,"
							   " changed_at = now(), stage_since = now(), moved = pg_current_xact_id(),"
							   " seen_low = $5, seen_high = $6 WHERE name = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(flag->row->name),
											  MIGSPEC_TEXT(migspec_stage_name(move->stage)),
											  MIGSPEC_TEXT(migspec_stage_name(move->next)),
											  MIGSPEC_INT8(stamp),
											  MIGSPEC_INT4(Min(low, flag->seen_low)),
											  MIGSPEC_INT4(Max(high, flag->seen_high))));
	record(flag->row, flag->migration, stages_text(move->stage, move->next), stamp);
}

/*
 * Make a move, with everything it needs.
 */
static void
make_move(Move *move, const char *percent)
{
	StagedFlag *before = move->flag;
	const char *name = before->row->name;
	int			low = migspec_stage_position(before->form, move->stage);
	int64		stamp;
	bool		waits;

	check_phase(before, move->stage);
	if (move->next != MIGSPEC_STAGE_NONE)
		check_phase(before, move->next);
	waits = migspec_flag_begin_wait();
	settle_for(before, low, Max(low, migspec_stage_position(before->form, move->next)));

	migspec_migration_lock(before->migration->id);
	stamp = migspec_flag_begin_change();
	migspec_flag_end_wait(waits);
	move->flag = load_attached(name);
	check_unchanged(before, move->flag);
	move->flag->seen_low = before->seen_low;
	move->flag->seen_high = before->seen_high;
	check_phase(move->flag, move->stage);
	if (move->next != MIGSPEC_STAGE_NONE)
		check_phase(move->flag, move->next);
	store(move, stamp);
	if (percent)
		migspec_flag_set_rollout(name, percent, stamp);
}

/*
 * migspec_stage_advance -- see stage.h.  From rest, the next stage opens for a
 * percentage of users; when that is 100, all come to rest there.
 */
void
migspec_stage_advance(const char *name, const char *percent)
{
	StagedFlag *flag = load_attached(name);
	MigspecFlagRow *row = flag->row;
	Move		move = {flag, row->stage, MIGSPEC_STAGE_NONE};

	if (row->next_stage != MIGSPEC_STAGE_NONE)
	{
		if (!migspec_document_for_all(name, row->document))
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
					 errmsg("flag \"%s\" has not taken all users to stage %s", name,
							migspec_stage_name(row->next_stage)),
					 errhint("Advance it when its rollout is at 100 %%, or use migspec_flag_retreat.")));
		move.stage = row->next_stage;
		make_move(&move, NULL);
		return;
	}
	move.next = migspec_stage_at(flag->form, migspec_stage_position(flag->form, row->stage) + 1);
	if (move.next == MIGSPEC_STAGE_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("flag \"%s\" is in its last stage", name),
				 errhint("The migration can be contracted.")));
	make_move(&move, percent);
}

/*
 * migspec_stage_retreat -- see stage.h.  From between two stages all go back
 * to the first one, at once; from rest, to the one before.
 */
void
migspec_stage_retreat(const char *name)
{
	StagedFlag *flag = load_attached(name);
	Move		move = {flag, flag->row->stage, MIGSPEC_STAGE_NONE};

	if (flag->row->next_stage == MIGSPEC_STAGE_NONE)
		move.stage = migspec_stage_at(flag->form,
									  migspec_stage_position(flag->form, flag->row->stage) - 1);
	if (move.stage == MIGSPEC_STAGE_NONE)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("flag \"%s\" is in its first stage", name)));
	make_move(&move, NULL);
}

/*
 * migspec_stage_step -- see stage.h.
 */
bool
migspec_stage_step(const char *name, MigspecStage target)
{
	StagedFlag *flag = load_attached(name);
	int			at = migspec_stage_position(flag->form, flag->row->stage);
	int			to = migspec_stage_position(flag->form, target);
	Move		move = {flag, target, MIGSPEC_STAGE_NONE};

	if (to < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("flag \"%s\" does not have the stage %s", name, migspec_stage_name(target)),
				 errdetail("It has %d stages.", flag->form)));
	if (flag->row->next_stage == MIGSPEC_STAGE_NONE && at == to)
		return false;
	if (to > at)
		move.stage = migspec_stage_at(flag->form, at + 1);
	else if (to < at && flag->row->next_stage == MIGSPEC_STAGE_NONE)
		move.stage = migspec_stage_at(flag->form, at - 1);
	else
		move.stage = flag->row->stage;
	make_move(&move, NULL);
	return true;
}

/*
 * migspec_stage_settle -- see stage.h.
 */
void
migspec_stage_settle(const char *name)
{
	StagedFlag *flag = load_attached(name);
	int			low = migspec_stage_position(flag->form, flag->row->stage);
	bool		waits;

	if (flag->row->next_stage == MIGSPEC_STAGE_NONE &&
		flag->seen_low == low && flag->seen_high == low)
		return;
	waits = migspec_flag_begin_wait();
	settle(flag);
	migspec_flag_end_wait(waits);
	(void) migspec_catalog_sql("UPDATE migspec.flag SET seen_low = $2, seen_high = $3"
							   " WHERE name = $1 AND moved = $4::text::xid8",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_INT4(flag->seen_low),
											  MIGSPEC_INT4(flag->seen_high),
											  MIGSPEC_TEXT(psprintf(UINT64_FORMAT, flag->moved))));
}

static MigspecMigration *
load_migration(const char *name)
{
	MigspecMigration *migration = migspec_migration_load(name, false);

	if (!has_privs_of_role(GetUserId(), migration->owner))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_NOT_OWNER),
				 errmsg("must be owner of migration \"%s\"", name),
				 errdetail("It belongs to role \"%s\".", GetUserNameFromId(migration->owner, true))));
	if (migration->phase <= MIGSPEC_SWITCHED)
		return migration;
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
			 errmsg("no flag can be attached to migration \"%s\" in phase %s", name,
					migspec_phase_name(migration->phase)),
			 errdetail("The flag would start in stage off, which needs the old column.")));
}

/*
 * migspec_stage_attach -- see stage.h.  What transactions have seen of the flag
 * so far, they can have seen on or off.  A plan goes: it took users to "on", and
 * its check, which was another owner's, would run as the new one.
 */
void
migspec_stage_attach(const char *name, const char *migration_name, int form)
{
	MigspecMigration *migration = load_migration(migration_name);
	StagedFlag *flag;
	int64		stamp;

	if (form != 2 && form != 4 && form != 6)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a migration flag has 2, 4 or 6 stages, not %d", form)));
	migspec_migration_lock(migration->id);
	migration = load_migration(migration_name);
	stamp = migspec_flag_begin_change();
	flag = load(name);
	if (flag->row->migration)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("flag \"%s\" belongs to migration \"%s\" already", name, flag->row->migration),
				 errhint("Use migspec_flag_detach first.")));
	migspec_document_check_chance(name, flag->row->document);
	(void) migspec_catalog_sql("UPDATE migspec.flag SET stage = 'off', next_stage = NULL, stages = $2,"
							   " migration = $3, owner = $4, stamp = $5, changed_at = now(),"
							   " stage_since = now(), moved = pg_current_xact_id(), frozen = false,"
							   " seen_low = 0, seen_high = $2 - 1, sample = coalesce(sample, $5)"
							   " WHERE name = $1",
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_DATUM(INT2OID, Int16GetDatum(form), false),
											  MIGSPEC_TEXT(migration_name),
											  MIGSPEC_DATUM(REGROLEOID, ObjectIdGetDatum(migration->owner), false),
											  MIGSPEC_INT8(stamp)));
	(void) migspec_catalog_sql("DELETE FROM migspec.flag_plan WHERE flag = $1", MIGSPEC_PARAMS(MIGSPEC_TEXT(name)));
	record(flag->row, migration, "off", stamp);
}

/*
 * migspec_stage_detach -- see stage.h.  The stage stays.
 */
void
migspec_stage_detach(const char *name)
{
	StagedFlag *flag;
	MigspecFlagRow *row;
	int64		stamp;

	flag = load_attached(name);
	migspec_migration_lock(flag->migration->id);
	stamp = migspec_flag_begin_change();
	flag = load_attached(name);
	row = flag->row;
	if (row->next_stage != MIGSPEC_STAGE_NONE ||
		(row->stage != MIGSPEC_STAGE_OFF && row->stage != MIGSPEC_STAGE_COMPLETE))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("flag \"%s\" is needed in stage %s", name, stages_text(row->stage, row->next_stage)),
				 errhint("Detach it in stage off or complete.")));
	(void) migspec_catalog_sql("UPDATE migspec.flag SET migration = NULL, stamp = $2, changed_at = now()"
							   " WHERE name = $1", MIGSPEC_PARAMS(MIGSPEC_TEXT(name), MIGSPEC_INT8(stamp)));
	migspec_event(flag->migration->id, flag->migration->name, "flag_detached", true,
				  "flag", name, "stage", migspec_stage_name(row->stage), NULL);
}

/*
 * migspec_stage_check_contract -- see stage.h.  A transaction that saw an
 * earlier stage may be about to write the old side: it is waited for.
 */
void
migspec_stage_check_contract(const MigspecMigration *migration)
{
	MigspecIdentity saved;
	uint64		n;
	char	   *incomplete = NULL;
	bool		unsettled = false;
	bool		uncommitted = false;
	char	   *name = NULL;

	migspec_catalog_begin(&saved);
	n = migspec_sql("SELECT min(name COLLATE \"C\") AS name, bool_or(seen_low <> stages - 1) AS unsettled,"
					" bool_or(moved = pg_current_xact_id_if_assigned()) AS uncommitted,"
					" string_agg(format('flag %I is in stage %s%s', name, stage, ' to ' || next_stage), '; ' ORDER BY name)"
					"  FILTER (WHERE stage <> 'complete' OR next_stage IS NOT NULL) AS incomplete"
					" FROM migspec.flag WHERE migration = $1",
					MIGSPEC_PARAMS(MIGSPEC_TEXT(migration->name)));
	if (n == 1)
	{
		name = migspec_spi_text(0, "name");
		incomplete = migspec_spi_text(0, "incomplete");
		unsettled = migspec_spi_bool(0, "unsettled");
		uncommitted = migspec_spi_bool(0, "uncommitted");
	}
	migspec_catalog_end(&saved);
	if (incomplete)
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_WRONG_STAGE),
				 errmsg("a flag still sends users to the old shape of migration \"%s\"", migration->name),
				 errdetail_internal("%s", incomplete),
				 errhint("Move it to stage complete with migspec_flag_advance or migspec_flag_move first.")));
	if (uncommitted)
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("flag \"%s\" of migration \"%s\" has been moved in this transaction", name, migration->name),
				 errdetail("Other transactions still go by its old stage."),
				 errhint("Commit, and call again.")));
	if (unsettled)
		wait_for_running(name);
}

/* The flags of a migration: what is to be set, and what it is called */
static void
release_flags(const MigspecMigration *migration, const char *set, const char *event)
{
	MigspecIdentity saved;
	List	   *names;
	ListCell   *lc;
	int64		stamp;

	migspec_catalog_begin(&saved);
	(void) migspec_sql("SELECT array_agg(name::text ORDER BY name) AS names"
					   " FROM migspec.flag WHERE migration = $1",
					   MIGSPEC_PARAMS(MIGSPEC_TEXT(migration->name)));
	names = migspec_spi_textlist(0, "names");
	migspec_catalog_end(&saved);
	if (names == NIL)
		return;
	stamp = migspec_flag_begin_change();
	(void) migspec_catalog_sql(psprintf("UPDATE migspec.flag SET migration = NULL, stamp = $2,"
										" changed_at = now()%s WHERE migration = $1", set),
							   MIGSPEC_PARAMS(MIGSPEC_TEXT(migration->name), MIGSPEC_INT8(stamp)));
	foreach(lc, names)
		migspec_event(migration->id, migration->name, event, true, "flag", lfirst(lc), NULL);
}

/* see stage.h */
void
migspec_stage_finished(const MigspecMigration *migration)
{
	release_flags(migration, "", "flag_detached");
}

/*
 * migspec_stage_rolled_back -- see stage.h.  At once for everybody: the new
 * columns go in the same transaction, for which nobody can use the tables.
 */
void
migspec_stage_rolled_back(const MigspecMigration *migration)
{
	release_flags(migration, ", stage = 'off', next_stage = NULL, stage_since = now(),"
				  " moved = pg_current_xact_id(), seen_low = 0, seen_high = stages - 1",
				  "flag_rolled_back");
}
