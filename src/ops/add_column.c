/*-------------------------------------------------------------------------
 *
 * add_column.c
 *		add_column: {table, column: {name, type, nullable, default, comment}, up}
 *
 * A new column, filled by "up" for rows that exist and for writers that do
 * not know it.  As in pgroll, a column is NOT NULL unless it says nullable.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ops/ops.h"

static const char *const keys[] = {"table", "column", "up", NULL};
static const char *const column_keys[] = {
	"name", "type", "nullable", "default", "comment",
	"pk", "unique", "check", "references", "generated", NULL
};
static const char *const later[] = {
	"pk", "unique", "check", "references", "generated", NULL
};

static void
parse(MigspecChange *change)
{
	MigspecOperation *op = change->op;
	MigspecJson *column;

	migspec_json_check_keys(change->json, keys);
	change->table = migspec_json_string(change->json, "table", true);
	column = migspec_json_object(change->json, "column", true);
	migspec_json_check_keys(column, column_keys);
	migspec_op_unsupported_fields(column, later);
	op->new_name = migspec_json_string(column, "name", true);
	op->up = migspec_json_string(change->json, "up", false);
	change->type_name = migspec_json_string(column, "type", true);
	change->not_null = !migspec_json_bool(column, "nullable", false);
	change->default_text = migspec_json_string(column, "default", false);
	change->comment = migspec_json_string(column, "comment", false);
	if (change->not_null && op->up == NULL && change->default_text == NULL)
		migspec_json_error(column, "nullable",
						   "a column that is not nullable needs an \"up\" or a default",
						   "Say \"nullable\": true, or how the existing rows are to be filled.");
}

static void
columns_at(MigspecOperation *op, MigspecPhase phase)
{
	op->new_column = op->new_name;
}

const MigspecOp migspec_op_add_column = {"add_column", parse, columns_at};
