/*-------------------------------------------------------------------------
 *
 * expr.h
 *		Users' expressions (up and down), as the server keeps them.
 *
 * A resolved expression is the body of an SQL function, whose parameters are
 * the columns that it reads:
 *
 *		CREATE FUNCTION migspec.up_7(text) RETURNS text
 *			LANGUAGE sql RETURN upper($1)
 *
 * so names are resolved once, renames and dumps are followed by the server,
 * and what the expression uses cannot be dropped unnoticed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_EXPR_H
#define MIGSPEC_EXPR_H

#include "postgres.h"
#include "utils/rel.h"

/* An expression, and the columns of a relation that are its parameters */
typedef struct MigspecExpr
{
	Oid			funcid;			/* InvalidOid: there is none */
	int			ninputs;
	AttrNumber *inputs;
} MigspecExpr;

/*
 * The expression of function migspec.<name> over "ncolumns" named columns of
 * the relation, giving a value for column "target".  Errors if there is no
 * such function or column, or if their types do not fit.
 */
extern MigspecExpr migspec_expr_lookup(const char *name, char **columns,
									   int ncolumns, Relation rel,
									   AttrNumber target);

/* as a tree over the columns of "rel" (Vars with varno 1), palloc'd */
extern Node *migspec_expr_tree(const MigspecExpr *expr, Relation rel);

/* as SQL text, fully qualified, with columns as alias.column */
extern char *migspec_expr_sql(const MigspecExpr *expr, Relation rel,
							  const char *alias);

/* the column of that name; error MG102 if there is none */
extern AttrNumber migspec_column(Relation rel, const char *name);

#endif							/* MIGSPEC_EXPR_H */
