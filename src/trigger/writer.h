/*-------------------------------------------------------------------------
 *
 * writer.h
 *		Which statement is running a row trigger, and what it names.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_WRITER_H
#define MIGSPEC_WRITER_H

#include "postgres.h"
#include "commands/trigger.h"
#include "nodes/bitmapset.h"

/*
 * The columns that the statement which fires this INSERT trigger names, as
 * attribute numbers of the trigger's relation.  Returns false if they cannot
 * be told: the row comes from logical replication, from an UPDATE that moves
 * it to another partition, or the library was not preloaded.
 *
 * "exact" is set to false if the set is the union over several actions of a
 * MERGE.
 */
extern bool migspec_writer_inserted(TriggerData *trigdata, Bitmapset **attnos,
									bool *exact);

/* Is the running statement the outermost one of this backend? */
extern bool migspec_writer_is_outermost(void);

extern void migspec_writer_init(void);

#endif							/* MIGSPEC_WRITER_H */
