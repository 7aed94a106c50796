/*-------------------------------------------------------------------------
 *
 * rename_column.c
 *		rename_column: {table, from, to}
 *
 * Two physical columns in sync.  Both names work from expand to contract;
 * then the old column hides until the grace period is over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ops/ops.h"
#include "utils/builtins.h"

static const char *const keys[] = {"table", "from", "to", NULL};

static void
parse(MigspecChange *change)
{
	MigspecOperation *op = change->op;

	migspec_json_check_keys(change->json, keys);
	change->table = migspec_json_string(change->json, "table", true);
	op->old_name = migspec_json_string(change->json, "from", true);
	op->new_name = migspec_json_string(change->json, "to", true);
	if (strcmp(op->old_name, op->new_name) == 0)
		migspec_json_error(change->json, "to", "the new name is the same as the old one", NULL);
	op->up = pstrdup(quote_identifier(op->old_name));
	op->down = pstrdup(quote_identifier(op->new_name));
}

static void
columns_at(MigspecOperation *op, MigspecPhase phase)
{
	op->old_column = phase == MIGSPEC_CONTRACTED ? migspec_hidden_name(op, "old") : op->old_name;
	op->new_column = op->new_name;
}

const MigspecOp migspec_op_rename_column = {"rename_column", parse, columns_at};
