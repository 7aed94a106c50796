/*-------------------------------------------------------------------------
 *
 * resolve.h
 *		From the text of an up or down to a resolved, typed expression.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_RESOLVE_H
#define MIGSPEC_RESOLVE_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "utils/rel.h"

/* One column that an expression may name */
typedef struct MigspecShapeColumn
{
	char	   *name;			/* as the expression calls it */
	char	   *column;			/* physical column, now or once it exists */
	Oid			type;
	int32		typmod;
	Oid			collation;
	Node	   *generated;		/* its expression (Vars of the table), or NULL */
	AttrNumber	attno;			/* 0 if the column does not exist yet */
} MigspecShapeColumn;

/* What a table looks like to the author of an expression */
typedef struct MigspecShape
{
	char	   *alias;			/* the table's name */
	List	   *columns;		/* of MigspecShapeColumn * */
} MigspecShape;

typedef struct MigspecResolved
{
	char	   *sql;			/* fully qualified, columns as $1, $2, ... */
	List	   *columns;		/* of char *: physical column of each
								 * parameter */
	List	   *params;			/* of MigspecShapeColumn *, parallel */
	Node	   *tree;			/* Params for the columns */
	bool		is_mutable;		/* not IMMUTABLE */
	bool		is_volatile;
	bool		is_strict;		/* NULL in any column gives NULL */
} MigspecResolved;

/*
 * Parse, resolve (under the present search_path) and type-check "source", which
 * is the "what" ("up", "down") of "target"; the result is coerced to the
 * given type by assignment rules.  Errors of class MG2xx; changes nothing.
 */
extern MigspecResolved *migspec_resolve(const char *source, const char *what,
										const char *target,
										const MigspecShape *shape,
										Oid type, int32 typmod);

/* the shape of a table as it is now; the caller may edit it */
extern MigspecShape *migspec_shape_of(Relation rel);
extern MigspecShapeColumn *migspec_shape_find(const MigspecShape *shape,
											  const char *name);

#endif							/* MIGSPEC_RESOLVE_H */
