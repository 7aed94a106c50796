/*-------------------------------------------------------------------------
 *
 * stage.h
 *		Stages of a migration flag.
 *
 * A migration flag is in one of two states:
 *
 * - at rest: "stage" is everybody's, whatever the document says;
 * - between two stages: "next_stage" is of those for whom the document is on,
 *	 "stage" of all others.
 *
 * So at any time there are at most two stages, which follow each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_STAGE_H
#define MIGSPEC_STAGE_H

#include "postgres.h"

#include "catalog/migration.h"
#include "flags/flags.h"
#include "flags/store.h"

/* "off" to "complete"; NULL is MIGSPEC_STAGE_NONE, both ways */
extern MigspecStage migspec_stage_from_name(const char *name);
extern const char *migspec_stage_name(MigspecStage stage);

/*
 * The stages of a form (2, 4 or 6 of them) by position, from 0; -1, or
 * MIGSPEC_STAGE_NONE, if the form does not have it.
 */
extern int	migspec_stage_position(int form, MigspecStage stage);
extern MigspecStage migspec_stage_at(int form, int position);

/*
 * The stage of somebody.  Never fails: who cannot be told is in "stage".  A
 * flag that is no migration's is off or complete; so is no flag (NULL): off.
 */
extern MigspecStage migspec_stage_of(const MigspecFlag *flag,
									 const MigspecFlagContext *context);

/* which side is read, and which are written, the one that decides first */
extern bool migspec_stage_reads_new(MigspecStage stage);
extern const char *const *migspec_stage_writes(MigspecStage stage, int *n);

/* both sides can be read: which differ is worth knowing */
extern bool migspec_stage_compares(MigspecStage stage);

/* may there be users in this stage while the migration is in that phase? */
extern bool migspec_stage_fits(MigspecStage stage, MigspecPhase phase);
extern const char *migspec_stage_needs(MigspecStage stage);

/* what a document does: is it on for everybody, for nobody? */
extern bool migspec_document_for_all(const char *name, const char *document);
extern bool migspec_document_for_none(const char *name, const char *document);

/* error MG605 if a migration flag's document leaves something to chance */
extern void migspec_document_check_chance(const char *name, const char *document);

/*
 * May the document of this flag change to that, may the flag be dropped?
 * Errors MG604 and MG605 for flags of migrations; nothing for others.
 */
extern void migspec_stage_check_change(const MigspecFlagRow *row, Jsonb *feature);
extern void migspec_stage_check_drop(const MigspecFlagRow *row);

/*
 * stage_move.c: moves.  All need the flag's owner, and a migration; errors
 * MG601, MG603, MG604.  Some wait for transactions that have seen a stage two
 * away from the new one, migspec.lock_retry_deadline at most.
 */
extern void migspec_stage_attach(const char *flag, const char *migration, int form);
extern void migspec_stage_detach(const char *flag);
extern void migspec_stage_advance(const char *flag, const char *percent);
extern void migspec_stage_retreat(const char *flag);

/*
 * All users one step towards a stage; false if they are there.  To be called
 * again in another transaction.
 */
extern bool migspec_stage_step(const char *flag, MigspecStage target);

/* nobody sees another stage any more */
extern void migspec_stage_settle(const char *flag);

/*
 * For the engine.  Error MG604 if a flag of the migration is not complete; and
 * the flags of a migration that has finished, or is rolled back, are on their
 * own again, the latter in stage off.
 */
extern void migspec_stage_check_contract(const MigspecMigration *migration);
extern void migspec_stage_finished(const MigspecMigration *migration);
extern void migspec_stage_rolled_back(const MigspecMigration *migration);

#endif							/* MIGSPEC_STAGE_H */
