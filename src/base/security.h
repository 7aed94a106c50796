/*-------------------------------------------------------------------------
 *
 * security.h
 *		Running code with somebody else's rights.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SECURITY_H
#define MIGSPEC_SECURITY_H

#include "postgres.h"

typedef struct MigspecIdentity
{
	Oid			userid;
	int			sec_context;
	int			guc_level;
} MigspecIdentity;

/* for user expressions and DML on a user's table: restricted operation */
extern void migspec_become_owner(Oid owner, MigspecIdentity *saved);

/* for DDL on a user's table, in the owner's name */
extern void migspec_become_owner_for_ddl(Oid owner, MigspecIdentity *saved);

/* for our own catalog tables */
extern void migspec_become_extension(MigspecIdentity *saved);

/* undo any of them; abort of the (sub)transaction does it as well */
extern void migspec_restore_identity(const MigspecIdentity *saved);

/* ereports unless the current user owns the table (or is a superuser) */
extern void migspec_check_owner(Oid relid);

#endif							/* MIGSPEC_SECURITY_H */
