/*-------------------------------------------------------------------------
 *
 * collect.h
 *		What the sync triggers have counted, on its way into the catalog.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_COLLECT_H
#define MIGSPEC_COLLECT_H

/*
 * Take this database's counters into migspec.migration, in transactions of
 * its own.  Scheduler only, outside a transaction; allocates in the current
 * memory context.
 */
extern void migspec_collect(void);

#endif							/* MIGSPEC_COLLECT_H */
