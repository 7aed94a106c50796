/*-------------------------------------------------------------------------
 *
 * registry.c
 *		The list of operations, and what they share.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "ops/ops.h"

#include "base/compat.h"
#include "base/errors.h"
#include "migspec.h"

static const MigspecOp *const registry[] = {
	&migspec_op_add_column,
	&migspec_op_alter_column,
	&migspec_op_rename_column,
};

/* in the vocabulary of the document, but not of this version */
static const char *const known_elsewhere[] = {
	"create_constraint", "create_index", "create_table", "drop_column",
	"drop_constraint", "drop_index", "drop_multicolumn_constraint",
	"drop_table", "rename_constraint", "rename_table",
	"set_replica_identity", "sql",
};

static const MigspecOp *
find(const char *name)
{
	for (size_t i = 0; i < lengthof(registry); i++)
	{
		if (strcmp(registry[i]->name, name) == 0)
			return registry[i];
	}
	return NULL;
}

/*
 * migspec_op_lookup -- the operation of that name.
 */
const MigspecOp *
migspec_op_lookup(const char *name, const MigspecJson *json)
{
	const MigspecOp *op = find(name);
	StringInfoData names;

	if (op)
		return op;
	for (size_t i = 0; i < lengthof(known_elsewhere); i++)
	{
		if (strcmp(known_elsewhere[i], name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_UNSUPPORTED_OPERATION),
					 errmsg("operation \"%s\" is not supported by this version of migspec", name),
					 errdetail("At %s.", json->path)));
	}
	initStringInfo(&names);
	for (size_t i = 0; i < lengthof(registry); i++)
		appendStringInfo(&names, "%s%s", i ? ", " : "", registry[i]->name);
	ereport(ERROR,
			(errcode(ERRCODE_MIGSPEC_UNKNOWN_OPERATION),
			 errmsg("unknown operation \"%s\"", name),
			 errdetail("At %s.", json->path),
			 errhint("Operations are: %s.", names.data)));
	return NULL;				/* keep compiler quiet */
}

/*
 * migspec_op_unsupported_fields -- refuse fields of later versions.
 */
void
migspec_op_unsupported_fields(const MigspecJson *json, const char *const *fields)
{
	for (; *fields; fields++)
	{
		if (migspec_json_has(json, *fields))
			ereport(ERROR,
					(errcode(ERRCODE_MIGSPEC_UNSUPPORTED_OPERATION),
					 errmsg("field \"%s\" is not supported by this version of migspec", *fields),
					 errdetail("At %s.%s.", json->path, *fields)));
	}
}

/*
 * migspec_hidden_name -- name of an object of ours, unique by operation.
 */
char *
migspec_hidden_name(const MigspecOperation *op, const char *what)
{
	return psprintf(MIGSPEC_HIDDEN_PREFIX INT64_FORMAT "_%s", op->id, what);
}

/*
 * migspec_op_columns_at -- what the columns are called in a phase.
 */
void
migspec_op_columns_at(MigspecOperation *op, MigspecPhase phase)
{
	find(op->kind)->columns_at(op, phase);
}
