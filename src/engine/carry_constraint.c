/*-------------------------------------------------------------------------
 *
 * carry_constraint.c
 *		NOT NULL, CHECK and foreign keys for the new column.
 *
 * Each is added NOT VALID, which scans nothing, under a hidden name, and
 * validated in a transaction of its own under a lock that lets writers
 * through.  It gets the old constraint's name once that has gone with the old
 * column.  Until then both hold, so that no writer of either column can break
 * what the other one promises.
 *
 * Process: caller's backend, at plan time; nothing is changed here.  Locks:
 * ACCESS SHARE on the table, held by the caller.
 *
 * Interleavings:
 * - A row is written between ADD and VALIDATE: NOT VALID constraints bind new
 *   rows at once, so VALIDATE needs to look only at those from before.
 * - Both foreign keys of a pair have ON DELETE or ON UPDATE actions: the one
 *   that comes second finds the rows as the first has left them, in sync, and
 *   has nothing to do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/stratnum.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "nodes/parsenodes.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "base/compat.h"
#include "base/sqlutil.h"
#include "engine/carry_internal.h"

static HeapTuple
constraint_tuple(Oid constraint)
{
	HeapTuple	tuple = SearchSysCache1(CONSTROID,
										ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("constraint with OID %u does not exist", constraint)));
	return tuple;
}

/*
 * The step is one on other tables: the first one's owner runs it.
 */
static void
set_tables(MigspecStep *step, List *relids)
{
	step->relid = linitial_oid(relids);
	step->locked = relids;
}

static void
carry_validate(MigspecCarry *carry, const MigspecCarryItem *item,
			   Oid relid, const char *name)
{
	MigspecStep *step;

	step = migspec_carry_step(carry, item, MIGSPEC_MIGRATING,
							  ShareUpdateExclusiveLock,
							  psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
									   migspec_relation_name(relid),
									   quote_identifier(name)),
							  NULL);
	set_tables(step, list_make1_oid(relid));
	migspec_carry_estimate(step, relid, MIGSPEC_CARRY_SCAN_RATE);
}

/*
 * Where "up" makes other values, those of the rows that are there are looked
 * at before the constraint binds writers: if they do not satisfy it, writers
 * had better not find out.
 */
static void
carry_precheck(MigspecCarry *carry, const MigspecCarryItem *item,
			   const char *condition)
{
	MigspecStep *step;

	step = migspec_carry_step(carry, item, MIGSPEC_MIGRATING, AccessShareLock,
							  psprintf("SELECT migspec.check_rows(%s::regclass, %s)",
									   migspec_literal(carry->table),
									   migspec_literal(condition)),
							  NULL);
	step->as_extension = true;
	migspec_carry_estimate(step, carry->relid, MIGSPEC_CARRY_SCAN_RATE);
}

/*
 * Give the constraint under its hidden name the comment of the old one.
 */
static void
carry_constraint_comment(MigspecCarry *carry, const MigspecCarryItem *item,
						 Oid relid, const char *name)
{
	migspec_carry_comment(carry, item, ConstraintRelationId,
						  item->object.objectId,
						  psprintf("CONSTRAINT %s ON %s",
								   quote_identifier(name),
								   migspec_relation_name(relid)));
}

static void
carry_rename(MigspecCarry *carry, const MigspecCarryItem *item, Oid relid,
			 const char *from, const char *to)
{
	MigspecStep *step;

	step = migspec_carry_step(carry, item, MIGSPEC_FINISHED,
							  AccessExclusiveLock,
							  psprintf("ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
									   migspec_relation_name(relid),
									   quote_identifier(from),
									   quote_identifier(to)),
							  NULL);
	set_tables(step, list_make1_oid(relid));
}

/*
 * Where the server's command would not do: parts of a foreign key keep their
 * names, and what is inherited cannot be renamed.
 */
static MigspecStep *
carry_rename_internally(MigspecCarry *carry, const MigspecCarryItem *item,
						Oid relid, const char *from, const char *to)
{
	MigspecStep *step;

	step = migspec_carry_step(carry, item, MIGSPEC_FINISHED,
							  AccessExclusiveLock,
							  psprintf("SELECT migspec.rename_constraint(%s::regclass, %s, %s)",
									   migspec_literal(migspec_relation_name(relid)),
									   migspec_literal(from),
									   migspec_literal(to)),
							  NULL);
	set_tables(step, list_make1_oid(relid));
	step->as_extension = true;
	return step;
}

static void
precheck_not_null(MigspecCarry *carry, const MigspecCarryItem *item)
{
	if (carry->op->up_sql != NULL && !migspec_carry_is_cast(carry->op))
		carry_precheck(carry, item,
					   psprintf("%s IS NOT NULL",
								quote_identifier(carry->op->new_column)));
}

/*
 * NOT NULL where it is a flag of the column: a valid CHECK proves it, so that
 * SET NOT NULL needs no scan, and has then done its duty.
 */
static void
not_null_by_check(MigspecCarry *carry, const MigspecCarryItem *item)
{
	const char *column = quote_identifier(carry->op->new_column);
	char	   *hidden;

	precheck_not_null(carry, item);
	hidden = migspec_hidden_name(carry->op, "not_null");
	migspec_carry_step(carry, item, MIGSPEC_MIGRATING, AccessExclusiveLock,
					   psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) NOT VALID",
								carry->table, hidden, column),
					   NULL);
	carry_validate(carry, item, carry->relid, hidden);
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessExclusiveLock,
					   psprintf("ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
								carry->table, column),
					   NULL);
	migspec_carry_step(carry, item, MIGSPEC_SWITCHED, AccessExclusiveLock,
					   psprintf("ALTER TABLE %s DROP CONSTRAINT %s",
								carry->table, hidden),
					   NULL);
}

/*
 * NOT NULL where it is a constraint, which may be added NOT VALID.
 */
static void
not_null_by_constraint(MigspecCarry *carry, const MigspecCarryItem *item,
					   const char *name, bool no_inherit, bool validate)
{
	precheck_not_null(carry, item);
	migspec_carry_step(carry, item, MIGSPEC_MIGRATING, AccessExclusiveLock,
					   psprintf("ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s%s NOT VALID",
								carry->table, quote_identifier(name),
								quote_identifier(carry->op->new_column),
								no_inherit ? " NO INHERIT" : ""),
					   NULL);
	if (validate)
		carry_validate(carry, item, carry->relid, name);
}

void
migspec_carry_not_null_item(MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple;
	Form_pg_constraint con;
	char	   *hidden;

	if (item->object.classId != ConstraintRelationId)
	{
		not_null_by_check(carry, item);
		return;
	}
	tuple = constraint_tuple(item->object.objectId);
	con = (Form_pg_constraint) GETSTRUCT(tuple);
	hidden = migspec_carry_hidden(carry, 'c', con->oid);
	not_null_by_constraint(carry, item, hidden, con->connoinherit,
						   con->convalidated);
	carry_constraint_comment(carry, item, carry->relid, hidden);
	ReleaseSysCache(tuple);
}

/*
 * The name of the column's NOT NULL constraint in one of the partitions.
 */
static char *
not_null_name(Oid relid, AttrNumber attno)
{
	MigspecParam params[] = {MIGSPEC_REGCLASS(relid), MIGSPEC_INT4(attno)};
	MemoryContext caller = CurrentMemoryContext;
	char	   *name = NULL;

	SPI_connect();
	if (migspec_sql("SELECT conname::text AS name FROM pg_catalog.pg_constraint"
					" WHERE conrelid = $1 AND contype = 'n'"
					" AND conkey[1] = $2", lengthof(params), params) > 0)
		name = MemoryContextStrdup(caller, migspec_spi_text(0, "name"));
	SPI_finish();
	return name;
}

/*
 * All partitions have got the constraint from this table, with its name, unless
 * they had one already.  They may have called theirs otherwise.
 */
void
migspec_carry_not_null_finish(MigspecCarry *carry, MigspecCarryItem *item)
{
	char	   *name;
	ListCell   *lc;

	if (item->object.classId != ConstraintRelationId)
		return;
	name = get_constraint_name(item->object.objectId);
	carry_rename_internally(carry, item, carry->relid,
							migspec_carry_hidden(carry, 'c', item->object.objectId),
							name);
	foreach(lc, find_all_inheritors(carry->relid, AccessShareLock, NULL))
	{
		Oid			child = lfirst_oid(lc);
		char	   *own;

		own = not_null_name(child, get_attnum(child, carry->op->old_column));
		if (own != NULL && strcmp(own, name) != 0)
		{
			MigspecStep *step;

			/* the partition's name, but not an object of its own */
			step = carry_rename_internally(carry, item, child, name, own);
			step->partition = child;
			step->carries = NULL;
		}
	}
}

/*
 * NOT NULL for a column that replaces none: where it has a name, it gets the
 * one that the server would have given it.
 */
void
migspec_carry_new_not_null(MigspecCarry *carry)
{
	MigspecCarryItem item = {.kind = MIGSPEC_CARRY_NOT_NULL};
	char	   *name;

	if (!MIGSPEC_NOT_NULL_CONSTRAINTS)
	{
		not_null_by_check(carry, &item);
		return;
	}
	name = ChooseConstraintName(RelationGetRelationName(carry->rel),
								carry->op->new_name, "not_null",
								RelationGetNamespace(carry->rel), NIL);
	not_null_by_constraint(carry, &item, name, false, true);
}

/* The expression of a CHECK constraint */
static Node *
check_expression(HeapTuple tuple)
{
	bool		isnull;
	Datum		datum = SysCacheGetAttr(CONSTROID, tuple,
										Anum_pg_constraint_conbin, &isnull);

	if (isnull)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("CHECK constraint has no expression")));
	return stringToNode(TextDatumGetCString(datum));
}

/*
 * CHECK constraints are checked in the order of their names.  The old one
 * comes first, so that a violation is reported under the name that
 * applications know.
 */
static char *
hidden_check(const MigspecCarry *carry, Oid constraint)
{
	return psprintf("~%s", migspec_carry_hidden(carry, 'c', constraint));
}

void
migspec_carry_check_item(MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple = constraint_tuple(item->object.objectId);
	Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);
	char	   *hidden = hidden_check(carry, con->oid);
	bool		enforced = MIGSPEC_CONSTRAINT_ENFORCED(con);
	Node	   *tree = check_expression(tuple);
	char	   *condition = migspec_carry_new_expr(carry, tree);

	if (con->convalidated && enforced &&
		migspec_carry_expr_converts(carry, tree))
		carry_precheck(carry, item, condition);
	migspec_carry_step(carry, item, MIGSPEC_MIGRATING, AccessExclusiveLock,
					   psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s)%s%s",
								carry->table, quote_identifier(hidden),
								condition,
								con->connoinherit ? " NO INHERIT" : "",
								enforced ? " NOT VALID" : " NOT ENFORCED"),
					   NULL);
	if (con->convalidated && enforced)
		carry_validate(carry, item, carry->relid, hidden);
	carry_constraint_comment(carry, item, carry->relid, hidden);
	ReleaseSysCache(tuple);
}

void
migspec_carry_check_finish(MigspecCarry *carry, MigspecCarryItem *item)
{
	carry_rename(carry, item, carry->relid,
				 hidden_check(carry, item->object.objectId),
				 get_constraint_name(item->object.objectId));
}

/* A foreign key, taken apart */
typedef struct ForeignKey
{
	Form_pg_constraint con;
	HeapTuple	tuple;
	int			nkeys;
	AttrNumber	conkey[INDEX_MAX_KEYS];
	AttrNumber	confkey[INDEX_MAX_KEYS];
	Oid			pf_eq[INDEX_MAX_KEYS];
	Oid			pp_eq[INDEX_MAX_KEYS];
	Oid			ff_eq[INDEX_MAX_KEYS];
	int			nset;			/* columns of ON DELETE SET ... (columns) */
	AttrNumber	set[INDEX_MAX_KEYS];
} ForeignKey;

static void
open_foreign_key(Oid constraint, ForeignKey *fk)
{
	fk->tuple = constraint_tuple(constraint);
	fk->con = (Form_pg_constraint) GETSTRUCT(fk->tuple);
	DeconstructFkConstraintRow(fk->tuple, &fk->nkeys, fk->conkey, fk->confkey,
							   fk->pf_eq, fk->pp_eq, fk->ff_eq,
							   &fk->nset, fk->set);
}

static char *
column_list(const MigspecCarry *carry, Oid relid, const AttrNumber *attnos,
			int n)
{
	StringInfoData buf;
	int			i;

	initStringInfo(&buf);
	for (i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 quote_identifier(migspec_carry_new_name(carry, relid,
																 attnos[i])));
	return buf.data;
}

static const char *
action_text(char action)
{
	switch (action)
	{
		case FKCONSTR_ACTION_RESTRICT:
			return "RESTRICT";
		case FKCONSTR_ACTION_CASCADE:
			return "CASCADE";
		case FKCONSTR_ACTION_SETNULL:
			return "SET NULL";
		case FKCONSTR_ACTION_SETDEFAULT:
			return "SET DEFAULT";
		default:
			return NULL;		/* NO ACTION, which goes without saying */
	}
}

/*
 * Everything after the constraint's name.
 */
static char *
foreign_key_text(const MigspecCarry *carry, const ForeignKey *fk)
{
	StringInfoData buf;
	const char *on_update = action_text(fk->con->confupdtype);
	const char *on_delete = action_text(fk->con->confdeltype);

	initStringInfo(&buf);
	appendStringInfo(&buf, "FOREIGN KEY (%s) REFERENCES %s (%s)",
					 column_list(carry, fk->con->conrelid, fk->conkey,
								 fk->nkeys),
					 migspec_relation_name(fk->con->confrelid),
					 column_list(carry, fk->con->confrelid, fk->confkey,
								 fk->nkeys));
	if (fk->con->confmatchtype == FKCONSTR_MATCH_FULL)
		appendStringInfoString(&buf, " MATCH FULL");
	if (on_update != NULL)
		appendStringInfo(&buf, " ON UPDATE %s", on_update);
	if (on_delete != NULL)
		appendStringInfo(&buf, " ON DELETE %s", on_delete);
	if (fk->nset > 0)
		appendStringInfo(&buf, " (%s)", column_list(carry, fk->con->conrelid,
													fk->set, fk->nset));
	if (fk->con->condeferrable)
		appendStringInfoString(&buf, " DEFERRABLE");
	if (fk->con->condeferred)
		appendStringInfoString(&buf, " INITIALLY DEFERRED");
	appendStringInfoString(&buf, MIGSPEC_CONSTRAINT_ENFORCED(fk->con) ?
						   " NOT VALID" : " NOT ENFORCED");
	return buf.data;
}

/* The tables that adding or dropping the foreign key locks */
static List *
foreign_key_tables(const ForeignKey *fk)
{
	if (fk->con->conrelid == fk->con->confrelid)
		return list_make1_oid(fk->con->conrelid);
	return list_make2_oid(fk->con->conrelid, fk->con->confrelid);
}

static char *
drop_constraint_text(Oid relid, const char *name)
{
	return psprintf("ALTER TABLE %s DROP CONSTRAINT IF EXISTS %s",
					migspec_relation_name(relid), quote_identifier(name));
}

/*
 * A foreign key of the old column, or one that refers to it.  The owner of
 * the referring table runs the statements.  It would go with the new column
 * only if it is this table's, so the undo drops it.
 */
void
migspec_carry_foreign_key(MigspecCarry *carry, MigspecCarryItem *item)
{
	ForeignKey	fk;
	MigspecStep *step;
	char	   *hidden = migspec_carry_hidden(carry, 'f', item->object.objectId);

	open_foreign_key(item->object.objectId, &fk);
	step = migspec_carry_step(carry, item, MIGSPEC_MIGRATING,
							  ShareRowExclusiveLock,
							  psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s",
									   migspec_relation_name(fk.con->conrelid),
									   quote_identifier(hidden),
									   foreign_key_text(carry, &fk)),
							  drop_constraint_text(fk.con->conrelid, hidden));
	set_tables(step, foreign_key_tables(&fk));
	if (fk.con->convalidated && MIGSPEC_CONSTRAINT_ENFORCED(fk.con))
		carry_validate(carry, item, fk.con->conrelid, hidden);
	carry_constraint_comment(carry, item, fk.con->conrelid, hidden);
	ReleaseSysCache(fk.tuple);
}

/*
 * Explicitly, for one that refers to the old column would not go with it, and
 * one of the old column locks the other table too.
 */
void
migspec_carry_foreign_key_drop(MigspecCarry *carry, MigspecCarryItem *item)
{
	ForeignKey	fk;
	MigspecStep *step;

	open_foreign_key(item->object.objectId, &fk);
	step = migspec_carry_step(carry, item, MIGSPEC_FINISHED,
							  AccessExclusiveLock,
							  drop_constraint_text(fk.con->conrelid,
												   NameStr(fk.con->conname)),
							  NULL);
	set_tables(step, foreign_key_tables(&fk));
	ReleaseSysCache(fk.tuple);
}

void
migspec_carry_foreign_key_finish(MigspecCarry *carry, MigspecCarryItem *item)
{
	HeapTuple	tuple = constraint_tuple(item->object.objectId);
	Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);

	char	   *hidden = migspec_carry_hidden(carry, 'f', con->oid);

	if (get_rel_relkind(con->confrelid) == RELKIND_PARTITIONED_TABLE)
		carry_rename_internally(carry, item, con->conrelid, hidden,
								NameStr(con->conname));
	else
		carry_rename(carry, item, con->conrelid, hidden,
					 NameStr(con->conname));
	ReleaseSysCache(tuple);
}

/*
 * May a column of type "referring" refer to one of type "referred"?  The
 * same rules as when the server adds a foreign key: an operator of the
 * index's family, or an implicit cast.
 */
static bool
types_fit(Oid referred, Oid referring)
{
	Oid			opclass = GetDefaultOpClass(referred, BTREE_AM_OID);
	Oid			input;
	Oid			family;
	Oid			base = getBaseType(referring);
	Oid			given[2];
	Oid			wanted[2];

	if (!OidIsValid(opclass))
		return false;
	input = get_opclass_input_type(opclass);
	family = get_opclass_family(opclass);
	if (OidIsValid(get_opfamily_member(family, input, base,
									   BTEqualStrategyNumber)) &&
		OidIsValid(get_opfamily_member(family, base, base,
									   BTEqualStrategyNumber)))
		return true;
	given[0] = referred;
	given[1] = referring;
	wanted[0] = wanted[1] = input;
	return can_coerce_type(2, given, wanted, COERCION_IMPLICIT);
}

/*
 * Do the values of two columns go on matching, if these are the operations
 * that replace them (NULL for none)?
 */
static bool
values_fit(const MigspecOperation *referring, const MigspecOperation *referred)
{
	bool		same_referring = referring == NULL ||
	migspec_carry_is_cast(referring);
	bool		same_referred = referred == NULL ||
	migspec_carry_is_cast(referred);

	if (same_referring || same_referred)
		return same_referring && same_referred;
	return strcmp(referring->up_sql, referred->up_sql) == 0;
}

static char *
foreign_key_problem(const MigspecCarry *carry, const ForeignKey *fk)
{
	int			i;

	if (MIGSPEC_CONSTRAINT_PERIOD(fk->con))
		return pstrdup("it is over a period");
	if (get_rel_relkind(fk->con->conrelid) == RELKIND_PARTITIONED_TABLE)
		return pstrdup("the referring table is partitioned");
	/* while both columns refer, only one of them has the default */
	if (fk->con->confupdtype == FKCONSTR_ACTION_SETDEFAULT ||
		fk->con->confdeltype == FKCONSTR_ACTION_SETDEFAULT)
		return pstrdup("it has an action SET DEFAULT");
	for (i = 0; i < fk->nkeys; i++)
	{
		Oid			referring;
		Oid			referred;

		if (!values_fit(migspec_carry_operation(carry, fk->con->conrelid,
												fk->conkey[i]),
						migspec_carry_operation(carry, fk->con->confrelid,
												fk->confkey[i])))
			return pstrdup("\"up\" changes the values of only one side");
		referring = migspec_carry_new_type(carry, fk->con->conrelid,
										   fk->conkey[i]);
		referred = migspec_carry_new_type(carry, fk->con->confrelid,
										  fk->confkey[i]);
		if (!types_fit(referred, referring))
			return psprintf("a column of type %s cannot refer to one of type %s",
							format_type_be(referring),
							format_type_be(referred));
	}
	return NULL;
}

/*
 * Why the constraint cannot be carried over, or NULL if it can.
 */
char *
migspec_carry_constraint_problem(const MigspecCarry *carry, Oid constraint)
{
	HeapTuple	tuple = constraint_tuple(constraint);
	Form_pg_constraint con = (Form_pg_constraint) GETSTRUCT(tuple);
	char	   *problem = NULL;
	ForeignKey	fk;

	if (con->contype == CONSTRAINT_CHECK)
		problem = migspec_carry_expr_problem(carry, check_expression(tuple));
	else if (con->contype == CONSTRAINT_FOREIGN)
	{
		open_foreign_key(constraint, &fk);
		problem = foreign_key_problem(carry, &fk);
		ReleaseSysCache(fk.tuple);
	}
	ReleaseSysCache(tuple);
	return problem;
}
