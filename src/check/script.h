/*-------------------------------------------------------------------------
 *
 * script.h
 *		What analyse.c, script*.c share; nobody else includes it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SCRIPT_H
#define MIGSPEC_SCRIPT_H

#include "postgres.h"

#include "check/check.h"

/* what the rules about a whole script or transaction remember */
typedef struct MigspecScriptRules MigspecScriptRules;

/*
 * analyse.c: run the statement's analyser; then, before tables are frozen,
 * "then" (may be NULL).  Errors of the statement are in stmt->error.
 */
extern void migspec_analyse_statement(MigspecStatement *stmt,
									  void (*then) (MigspecStatement *stmt, void *arg),
									  void *arg);

/* script_rules.c */
extern MigspecScriptRules *migspec_script_rules_create(void);
extern void migspec_script_rules_apply(MigspecStatement *stmt, void *rules);
extern void migspec_script_rules_end_transaction(MigspecScriptRules *rules);

/*
 * script_split.c: the statements of a script, List of MigspecPiece *.  One
 * that cannot be parsed has the parser's error.
 */
typedef struct MigspecPiece
{
	Node	   *tree;			/* an empty RawStmt if it cannot be parsed */
	char	   *source;			/* trimmed */
	int			location;		/* where that begins, in bytes */
	ErrorData  *error;
} MigspecPiece;

extern List *migspec_script_split(const char *sql);

/*
 * script_settings.c: settings that the script makes.  apply looks at a
 * statement, and does nothing unless it is SET, RESET or SELECT set_config();
 * returns the error of the value, or NULL.  Must be called at a GUC nest level
 * that the caller ends.
 */
typedef struct MigspecScriptSettings MigspecScriptSettings;

extern MigspecScriptSettings *migspec_script_settings_create(MigspecWorld *world);
extern ErrorData *migspec_script_settings_apply(MigspecScriptSettings *settings, Node *tree);
extern int	migspec_script_settings_mark(const MigspecScriptSettings *settings);
extern void migspec_script_settings_rollback(MigspecScriptSettings *settings, int mark);
extern void migspec_script_settings_commit(MigspecScriptSettings *settings);

#endif							/* MIGSPEC_SCRIPT_H */
