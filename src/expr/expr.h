/*-------------------------------------------------------------------------
 *
 * expr.h
 *		Users' expressions (up and down): resolve, check, store, compile.
 *
 * A resolved expression is kept by PostgreSQL itself, as the body of an SQL
 * function migspec.up_<operation>(table) or migspec.down_<operation>(table):
 * names are resolved once, renames and dumps are followed by the server, and
 * what the expression uses cannot be dropped unnoticed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_EXPR_H
#define MIGSPEC_EXPR_H

#include "postgres.h"
#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/*
 * The expression of function "funcoid" as a tree over the columns of
 * "rel" (Vars with varno 1), which is the function's table or one of its
 * partitions.  Palloc'd in the current context.
 */
extern Node *migspec_expr_tree(Oid funcoid, Relation rel);

/*
 * The same as SQL text, fully qualified, with columns as alias.column.
 */
extern char *migspec_expr_sql(Oid funcoid, Relation rel, const char *alias);

/*
 * The columns of "rel" that the expression reads, as attribute numbers.
 */
extern Bitmapset *migspec_expr_inputs(Oid funcoid, Relation rel);

#endif							/* MIGSPEC_EXPR_H */
