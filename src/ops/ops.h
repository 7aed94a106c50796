/*-------------------------------------------------------------------------
 *
 * ops.h
 *		The operations that migspec knows.
 *
 * Each is a column pair: an old column, a new one, and what lies between
 * them.  An operation says what its document means and what its columns are
 * called in each phase; the engine does the rest, the same way for all.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_OPS_H
#define MIGSPEC_OPS_H

#include "postgres.h"
#include "catalog/migration.h"
#include "expr/resolve.h"
#include "spec/json.h"

struct MigspecOp;

/* An operation while it is planned: more than has to be stored */
typedef struct MigspecChange
{
	const struct MigspecOp *class;
	MigspecJson *json;
	MigspecOperation *op;
	char	   *table;			/* as the document names it */
	char	   *type_name;		/* of the new column; NULL: the old one's */
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		not_null;		/* asked for by the document (add_column) */
	char	   *default_text;	/* asked for by the document (add_column) */
	char	   *default_sql;	/* the same, resolved */
	bool		default_volatile;
	char	   *comment;		/* asked for by the document (add_column) */
	MigspecResolved *up;		/* NULL if there is none */
	MigspecResolved *down;
} MigspecChange;

typedef struct MigspecOp
{
	const char *name;

	/* fill the change from its fields; errors of class MG0xx */
	void		(*parse) (MigspecChange *change);

	/* set old_column and new_column to their names in that phase */
	void		(*columns_at) (MigspecOperation *op, MigspecPhase phase);
} MigspecOp;

extern const MigspecOp migspec_op_add_column;
extern const MigspecOp migspec_op_alter_column;
extern const MigspecOp migspec_op_rename_column;

/* error MG002 if there is none */
extern const MigspecOp *migspec_op_lookup(const char *name, const MigspecJson *json);

/* hidden name "_migspec_<operation>_<what>" */
extern char *migspec_hidden_name(const MigspecOperation *op, const char *what);

/* set the names of a stored operation to those of a phase */
extern void migspec_op_columns_at(MigspecOperation *op, MigspecPhase phase);

/* error MG003 for fields that other versions will know */
extern void migspec_op_unsupported_fields(const MigspecJson *json,
										  const char *const *fields);

#endif							/* MIGSPEC_OPS_H */
