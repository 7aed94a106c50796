/*-------------------------------------------------------------------------
 *
 * alter_column.c
 *		alter_column: {table, column, type, up, down}
 *
 * A change of type.  The new column grows under a hidden name; at switch the
 * two columns swap names, and the old one stays in sync, hidden, until the
 * grace period is over.  Without up and down, the types are cast.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ops/ops.h"
#include "utils/builtins.h"

#include "base/errors.h"

static const char *const keys[] = {
	"table", "column", "type", "up", "down",
	"nullable", "default", "comment", "check", "unique", "references", NULL
};
static const char *const later[] = {
	"nullable", "default", "comment", "check", "unique", "references", NULL
};

static void
parse(MigspecChange *change)
{
	MigspecOperation *op = change->op;

	migspec_json_check_keys(change->json, keys);
	change->table = migspec_json_string(change->json, "table", true);
	op->old_name = migspec_json_string(change->json, "column", true);
	op->new_name = op->old_name;
	migspec_op_unsupported_fields(change->json, later);
	change->type_name = migspec_json_string(change->json, "type", true);
	op->up = migspec_json_string(change->json, "up", false);
	op->down = migspec_json_string(change->json, "down", false);
}

static void
columns_at(MigspecOperation *op, MigspecPhase phase)
{
	bool		swapped = phase == MIGSPEC_SWITCHED || phase == MIGSPEC_CONTRACTED ||
	phase == MIGSPEC_FINISHED;

	op->old_column = swapped ? migspec_hidden_name(op, "old") : op->old_name;
	op->new_column = swapped ? op->new_name : migspec_hidden_name(op, "new");
}

const MigspecOp migspec_op_alter_column = {"alter_column", parse, columns_at};
