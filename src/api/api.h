/*-------------------------------------------------------------------------
 *
 * api.h
 *		What the SQL-callable functions share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_API_H
#define MIGSPEC_API_H

#include "postgres.h"
#include "fmgr.h"
#include "catalog/migration.h"
#include "flags/flags.h"

/* require.c */
extern char *migspec_arg_text(FunctionCallInfo fcinfo, int argno,
							  const char *name);
extern char *migspec_arg_text_or_null(FunctionCallInfo fcinfo, int argno);
extern char *migspec_arg_percent(FunctionCallInfo fcinfo, int argno);
extern void migspec_require_nonatomic(FunctionCallInfo fcinfo, const char *call,
									  const char *why);
extern void migspec_require_workers(void);
extern void migspec_require_owner(const MigspecMigration *migration);
extern void migspec_require_read_committed(const char *call);
extern void migspec_require_committed(const MigspecMigration *migration,
									  const MigspecStatus *status,
									  const char *call);
extern void migspec_warn_in_block(const char *call);

/* flag.c: the flag, and the user and context, that arguments name */
extern MigspecFlag *migspec_flag_argument(FunctionCallInfo fcinfo);
extern MigspecFlagContext migspec_flag_context(FunctionCallInfo fcinfo);

/* control.c */
extern void migspec_api_tune(MigspecMigration *migration,
							 FunctionCallInfo fcinfo);

/* One row of migspec_verify() */
typedef struct MigspecCheck
{
	const char *name;
	bool		ok;
	char	   *detail;
} MigspecCheck;

/* verify.c */
extern MigspecMigration *migspec_verify_begin(const char *name);
extern List *migspec_verify_end(const char *name);

/* wait.c */
pg_noreturn extern void migspec_worker_stopped(const MigspecMigration *migration,
											   const MigspecStatus *status);

#endif							/* MIGSPEC_API_H */
