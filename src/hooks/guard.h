/*-------------------------------------------------------------------------
 *
 * guard.h
 *		DDL that would block others is told of, or refused.
 *
 * guard.c looks at a statement before it runs, guard_exempt.c knows whom it
 * must let pass, guard_backstop.c stops rewrites that nobody has foreseen.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_GUARD_H
#define MIGSPEC_GUARD_H

#include "postgres.h"
#include "nodes/plannodes.h"

/* a statement that the guard has let begin; they nest */
typedef struct MigspecGuardFrame
{
	bool		was_limited;	/* were rewrites limited around it? */
	bool		has_timeout;	/* lock_timeout is ours */
	bool		commits;		/* across transactions */
	int			guc_level;
	LocalTransactionId lxid;	/* transaction in which it was set */
	ErrorContextCallback context;
} MigspecGuardFrame;

/*
 * Around a statement.  begin refuses it with MG502 or MG503, or warns of it,
 * and gives it a lock_timeout; end takes that back.  release must follow
 * begin in any case, also after an error.
 */
extern void migspec_guard_begin(MigspecGuardFrame *frame, const PlannedStmt *pstmt,
								const char *source);
extern void migspec_guard_end(MigspecGuardFrame *frame);
extern void migspec_guard_release(MigspecGuardFrame *frame);

/* guard_exempt.c */

/* must the guard not even look at the statement? */
extern bool migspec_guard_is_exempt(Node *statement);

/* is this session restoring a dump?  Notes so in the server's log, once. */
extern bool migspec_guard_is_restoring(void);

/* has this transaction overridden it, and why?  NULL: no */
extern const char *migspec_guard_override_reason(void);

/* guard_backstop.c */

/* while "limited", rewrites of more than the limit are refused; returns what it was */
extern bool migspec_guard_limit_rewrites(bool limited);
extern void migspec_guard_backstop_init(void);

#endif							/* MIGSPEC_GUARD_H */
