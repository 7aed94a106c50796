/*-------------------------------------------------------------------------
 *
 * migspec.h
 *		Names that every part of migspec shares.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_H
#define MIGSPEC_H

#define MIGSPEC_VERSION		"0.1.0"
#define MIGSPEC_EXTENSION	"migspec"
#define MIGSPEC_SCHEMA		"migspec"
#define MIGSPEC_LIBRARY		"migspec"
#define MIGSPEC_CHANNEL		"migspec"	/* NOTIFY channel */

/* what the names of our own columns, indexes ... on a user's table begin with */
#define MIGSPEC_HIDDEN_PREFIX	"_migspec_"

/*
 * Name of the sync trigger.  BEFORE triggers fire in the order of their names,
 * and this one must see what the others have done.
 */
#define MIGSPEC_SYNC_TRIGGER	"~migspec_sync"

#endif							/* MIGSPEC_H */
