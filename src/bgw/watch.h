/*-------------------------------------------------------------------------
 *
 * watch.h
 *		Whether the sync triggers of active migrations are at work.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_WATCH_H
#define MIGSPEC_WATCH_H

/*
 * Look at the triggers of all active migrations of this database, and note in
 * migspec.migration what is wrong.  Scheduler only, outside a transaction.
 */
extern void migspec_watch_triggers(void);

#endif							/* MIGSPEC_WATCH_H */
