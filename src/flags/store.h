/*-------------------------------------------------------------------------
 *
 * store.h
 *		Writing flags.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_STORE_H
#define MIGSPEC_STORE_H

#include "postgres.h"

#include "flags/flags.h"

/* SQL: what a null, of SQL or of JSON, stands for: an empty array or object */
#define MIGSPEC_JSON(value, empty) \
	"coalesce(nullif(" value ", 'null'), '" empty "')"

/* a row of migspec.flag, as its owner may know it */
typedef struct MigspecFlagRow
{
	char	   *name;
	char	   *document;		/* jsonb as text */
	Oid			owner;
	MigspecStage stage;
	MigspecStage next_stage;
	char	   *migration;		/* NULL: none */
	bool		frozen;			/* its buckets must not change any more */
} MigspecFlagRow;

/*
 * Begin a change: locks out other writers until the end of the transaction, and
 * gives the stamp of the new generation, which goes to all that is changed.
 */
extern int64 migspec_flag_begin_change(void);

/*
 * While a change waits for its turn: whoever waits for the transactions that may
 * have seen a flag passes over this one, if it has seen none, and sees the
 * present of each from now on.  "Begin" says whether to call "end".
 */
extern bool migspec_flag_begin_wait(void);
extern void migspec_flag_end_wait(bool begun);

/*
 * The flag, for somebody who may change it: error MG603 if the current user may
 * not, MG601 (or NULL) if there is none.
 */
extern MigspecFlagRow *migspec_flag_require(const char *name, bool missing_ok);

/*
 * Changes.  Errors MG602 (with all problems of the document), MG603, and those
 * of stage.c for migration flags; each writes an event and sends NOTIFY.
 */
extern void migspec_flag_put(Jsonb *feature, int64 stamp);
extern void migspec_flag_drop(const char *name, int64 stamp);
extern void migspec_flag_set_rollout(const char *name, const char *percent, int64 stamp);

/* an Unleash document or its delta events; the number of flags or events */
extern int	migspec_flag_import(Jsonb *document, bool replace);

#endif							/* MIGSPEC_STORE_H */
