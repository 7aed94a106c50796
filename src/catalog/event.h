/*-------------------------------------------------------------------------
 *
 * event.h
 *		The history table, migspec.event.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_EVENT_H
#define MIGSPEC_EVENT_H

#include "postgres.h"

/*
 * Append an event in the current transaction, and NOTIFY migspec when
 * "notify".  Detail is given as pairs (name, text value), ended by NULL.
 */
extern void migspec_event(int64 migration_id, const char *migration,
						  const char *event, bool notify,...);

#endif							/* MIGSPEC_EVENT_H */
