/*-------------------------------------------------------------------------
 *
 * script_rules.c
 *		Rules about the shape of a script and of its transactions.
 *
 * They look at what the analysers have found out about each statement, and
 * remember what the transaction has locked, added and changed so far.  A
 * table that only the script can see is of no interest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "storage/lockdefs.h"
#include "utils/errcodes.h"
#include "utils/hsearch.h"

#include "check/check.h"
#include "check/script.h"

/* so many tables locked by one transaction are many */
#define MANY_TABLES 3

/* and so many of them are named */
#define NAMES_SHOWN 10

/* a table that the transaction has locked, and the statement that did it */
typedef struct Held
{
	MigspecWorldTable *table;	/* hash key */
	int			statement;
	LOCKMODE	lock;
} Held;

/* ALTER TABLE of this table */
typedef struct Altered
{
	MigspecWorldTable *table;
	int			statement;
	int			transaction;
	int			work;
	bool		stands_alone;
	bool		sets_not_null;
} Altered;

struct MigspecScriptRules
{
	HTAB	   *held;			/* of Held; NULL: none */
	Held	   *exclusive;		/* the first one ACCESS EXCLUSIVE */
	List	   *not_valid;		/* of MigspecWorldConstraint *: added so */
	MigspecFact *big_bang;		/* already told, to be completed */
	List	   *targets;		/* of MigspecWorldTable *: locked as objects
								 * of statements */
	char	   *target_names;	/* of the first of them */
	bool		has_ddl;
	MigspecWorldTable *written; /* by DML */
	bool		told_mix;

	/* beyond the transaction */
	int			transaction;	/* its number */
	List	   *altered;		/* of Altered *: in this transaction, or by
								 * the statement before */
	List	   *known;			/* of MigspecWorldConstraint *: added by any
								 * statement so far */
};

MigspecScriptRules *
migspec_script_rules_create(void)
{
	return palloc0(sizeof(MigspecScriptRules));
}

void
migspec_script_rules_end_transaction(MigspecScriptRules *rules)
{
	List	   *altered = rules->altered;
	List	   *known = rules->known;
	int			transaction = rules->transaction;

	memset(rules, 0, sizeof(MigspecScriptRules));
	rules->transaction = transaction + 1;
	rules->altered = altered;
	rules->known = known;
}

static bool
is_shared(const MigspecWorldTable *table)
{
	return !table->is_new && table->persistence != RELPERSISTENCE_TEMP;
}

/* the statement's work on data that others can see */
static int
shared_work(const MigspecStatement *stmt)
{
	int			work = 0;
	ListCell   *lc;

	foreach(lc, stmt->effects)
	{
		const MigspecEffect *effect = lfirst(lc);

		if (is_shared(effect->table) && !effect->was_empty && !effect->no_data)
			work |= effect->work;
	}
	return work;
}

/*
 * Does it change rows?  A single row is nothing: tools keep the number of the
 * migration in a table, in the transaction of the migration.
 */
static bool
changes_rows(const Node *tree)
{
	switch (nodeTag(tree))
	{
		case T_InsertStmt:
			{
				const SelectStmt *source = (const SelectStmt *) ((const InsertStmt *) tree)->selectStmt;

				return source != NULL && source->valuesLists == NIL;
			}
		case T_CopyStmt:
			return ((const CopyStmt *) tree)->is_from;
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return true;
		default:
			return false;
	}
}

/*
 * A fact about a table, under the name that the statement has for it.
 */
static MigspecFact *
tell(MigspecStatement *stmt, MigspecRuleId rule, MigspecWorldTable *table)
{
	MigspecFact *fact = migspec_check_fact(stmt, rule, table, NULL);
	ListCell   *lc;

	foreach(lc, stmt->effects)
	{
		MigspecEffect *effect = lfirst(lc);

		if (effect->table == table && effect->index == NULL)
		{
			fact->name = effect->name;
			fact->was_empty = effect->was_empty;
		}
	}
	return fact;
}

static Held *
find_held(const MigspecScriptRules *rules, const MigspecWorldTable *table)
{
	return rules->held == NULL ? NULL : hash_search(rules->held, &table, HASH_FIND, NULL);
}

/*
 * One fact is enough, whatever the statement locks.  What the transaction
 * holds already is not waited for.
 */
static void
look_for_timeout(const MigspecScriptRules *rules, MigspecStatement *stmt)
{
	ListCell   *lc;

	if (stmt->lock_timeout > 0 || stmt->is_concurrent)
		return;
	foreach(lc, stmt->effects)
	{
		MigspecEffect *effect = lfirst(lc);
		Held	   *held = find_held(rules, effect->table);

		if (effect->lock >= ShareLock && is_shared(effect->table) &&
			(held == NULL || held->lock < effect->lock))
		{
			tell(stmt, RULE_NO_LOCK_TIMEOUT, effect->table)->effect = effect;
			return;
		}
	}
}

/*
 * Something that takes long, while a table is locked against everybody.
 */
static void
look_for_held(MigspecScriptRules *rules, MigspecStatement *stmt)
{
	if (rules->exclusive != NULL &&
		(shared_work(stmt) != 0 || changes_rows(stmt->tree)))
		tell(stmt, RULE_STATEMENT_AFTER_AE, rules->exclusive->table)->detail =
			psprintf("%d", rules->exclusive->statement);
}

static void
hold(MigspecScriptRules *rules, MigspecEffect *effect, int statement)
{
	Held	   *held;
	bool		found;

	if (rules->held == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(MigspecWorldTable *);
		ctl.entrysize = sizeof(Held);
		ctl.hcxt = CurrentMemoryContext;
		rules->held = hash_create("migspec held tables", 64, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	}
	held = hash_search(rules->held, &effect->table, HASH_ENTER, &found);
	if (found && held->lock >= effect->lock)
		return;
	held->lock = effect->lock;
	held->statement = statement;
	if (held->lock == AccessExclusiveLock && rules->exclusive == NULL)
		rules->exclusive = held;
}

static void
note_held(MigspecScriptRules *rules, MigspecStatement *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->effects)
	{
		MigspecEffect *effect = lfirst(lc);

		if (effect->index == NULL && is_shared(effect->table) &&
			effect->lock >= ShareRowExclusiveLock)
			hold(rules, effect, stmt->number);
	}
}

/*
 * A table has been locked as the object of a statement.
 */
static void
add_target(MigspecScriptRules *rules, MigspecWorldTable *table)
{
	int			many = list_length(rules->targets);

	if (list_member_ptr(rules->targets, table))
		return;
	rules->targets = lappend(rules->targets, table);
	if (many == 0)
		rules->target_names = migspec_world_table_name(table);
	else if (many < NAMES_SHOWN)
		rules->target_names = psprintf("%s, %s", rules->target_names,
									   migspec_world_table_name(table));
}

static void
look_for_big_bang(MigspecScriptRules *rules, MigspecStatement *stmt)
{
	int			many;
	ListCell   *lc;

	foreach(lc, stmt->effects)
	{
		MigspecEffect *effect = lfirst(lc);

		if (effect->lock >= ShareLock && is_shared(effect->table) &&
			(effect->is_target || effect->index != NULL ||
			 list_member_ptr(stmt->named, effect->table)))
			add_target(rules, effect->table);
	}
	many = list_length(rules->targets);
	if (many < MANY_TABLES)
		return;
	if (rules->big_bang == NULL)
		rules->big_bang = tell(stmt, RULE_BIG_BANG, llast(rules->targets));
	rules->big_bang->detail = many <= NAMES_SHOWN ? rules->target_names :
		psprintf("%s and %d more", rules->target_names, many - NAMES_SHOWN);
}

static void
look_for_mix(MigspecScriptRules *rules, MigspecStatement *stmt)
{
	ListCell   *lc;
	bool		writes = changes_rows(stmt->tree);

	foreach(lc, stmt->effects)
	{
		MigspecEffect *effect = lfirst(lc);

		if (!is_shared(effect->table))
			continue;
		if (writes && effect->lock == RowExclusiveLock && rules->written == NULL)
			rules->written = effect->table;
		if (!writes && effect->lock >= ShareLock)
			rules->has_ddl = true;
	}
	if (rules->has_ddl && rules->written != NULL && !rules->told_mix)
	{
		tell(stmt, RULE_DML_WITH_DDL, rules->written);
		rules->told_mix = true;
	}
}

/*
 * The constraint is validated by this statement; was it added NOT VALID in
 * the same transaction?
 */
static void
look_for_validation(MigspecScriptRules *rules, MigspecStatement *stmt,
					AlterTableStmt *alter, MigspecWorldTable *table)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		MigspecWorldConstraint *con;

		if (cmd->subtype != AT_ValidateConstraint || cmd->name == NULL)
			continue;
		con = migspec_world_constraint(table, cmd->name);
		if (con != NULL && list_member_ptr(rules->not_valid, con))
			tell(stmt, RULE_NOT_VALID_VALIDATE_SAME_TXN, table)->object = cmd->name;
	}
}

/*
 * Constraints that this statement has added without looking at the rows.
 */
static void
note_not_valid(MigspecScriptRules *rules, AlterTableStmt *alter, MigspecWorldTable *table)
{
	bool		adds = false;
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddConstraint && cmd->def != NULL &&
			IsA(cmd->def, Constraint) && ((Constraint *) cmd->def)->skip_validation)
			adds = true;
	}
	foreach(lc, table->constraints)
	{
		MigspecWorldConstraint *con = lfirst(lc);

		if (OidIsValid(con->oid) || list_member_ptr(rules->known, con))
			continue;
		rules->known = lappend(rules->known, con);
		/* a later command of the same statement may have validated it */
		if (adds && !con->dropped)
			rules->not_valid = lappend(rules->not_valid, con);
	}
}

/*
 * What of ALTER TABLE cannot be put into one statement with something else.
 */
static void
describe_alter(const AlterTableStmt *alter, Altered *altered)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		switch (cmd->subtype)
		{
			case AT_AttachPartition:
			case AT_DetachPartition:
			case AT_DetachPartitionFinalize:
			case AT_ValidateConstraint:
				altered->stands_alone = true;
				break;
			case AT_AddConstraint:
				if (cmd->def != NULL && IsA(cmd->def, Constraint) &&
					((Constraint *) cmd->def)->skip_validation)
					altered->stands_alone = true;
				break;
			case AT_SetNotNull:
				altered->sets_not_null = true;
				break;
			case AT_DropConstraint:
				/* of the CHECK that has proved it, one statement later */
				altered->stands_alone |= altered->sets_not_null;
				break;
			default:
				break;
		}
	}
}

static bool
drops_constraint(const AlterTableStmt *alter)
{
	ListCell   *lc;

	foreach(lc, alter->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_DropConstraint)
			return true;
	}
	return false;
}

/*
 * Several ALTER TABLE of one table where one would do: in one transaction, or
 * in a row if each of them reads the table.
 */
static void
look_for_alters(MigspecScriptRules *rules, MigspecStatement *stmt,
				AlterTableStmt *alter, MigspecWorldTable *table)
{
	Altered    *altered = palloc0(sizeof(Altered));
	ListCell   *lc;
	bool		told = false;

	altered->table = table;
	altered->statement = stmt->number;
	altered->transaction = rules->transaction;
	altered->work = shared_work(stmt);
	describe_alter(alter, altered);
	foreach(lc, rules->altered)
	{
		Altered    *before = lfirst(lc);

		if (told || before->table != table || before->stands_alone ||
			altered->stands_alone ||
			(before->sets_not_null && drops_constraint(alter)))
			continue;
		if (before->transaction == altered->transaction ||
			(before->work != 0 && altered->work != 0))
		{
			tell(stmt, RULE_MULTIPLE_ALTER_SAME_TABLE, table)->detail =
				psprintf("%d", before->statement);
			told = true;
		}
	}
	rules->altered = lappend(rules->altered, altered);
}

/*
 * Forget ALTER TABLE statements that something has come after.
 */
static void
forget_alters(MigspecScriptRules *rules, const MigspecStatement *stmt)
{
	List	   *kept = NIL;
	ListCell   *lc;

	foreach(lc, rules->altered)
	{
		Altered    *altered = lfirst(lc);

		if (altered->statement == stmt->number - 1 ||
			altered->transaction == rules->transaction)
			kept = lappend(kept, altered);
	}
	rules->altered = kept;
}

/*
 * CONCURRENTLY was refused, if its analyser has not already said so.
 */
static void
look_for_concurrently(MigspecStatement *stmt)
{
	ListCell   *lc;

	if (stmt->error == NULL || !stmt->is_concurrent ||
		stmt->error->sqlerrcode != ERRCODE_ACTIVE_SQL_TRANSACTION)
		return;
	foreach(lc, stmt->facts)
	{
		if (((MigspecFact *) lfirst(lc))->rule == RULE_INDEX_CONCURRENTLY_IN_TXN)
			return;
	}
	migspec_check_fact(stmt, RULE_INDEX_CONCURRENTLY_IN_TXN,
					   stmt->named != NIL ? linitial(stmt->named) : NULL, NULL);
}

/*
 * migspec_script_rules_apply -- see script.h.
 */
void
migspec_script_rules_apply(MigspecStatement *stmt, void *arg)
{
	MigspecScriptRules *rules = arg;

	look_for_concurrently(stmt);
	if (stmt->error != NULL)
		return;
	look_for_timeout(rules, stmt);
	forget_alters(rules, stmt);
	if (stmt->in_transaction)
	{
		look_for_held(rules, stmt);
		look_for_big_bang(rules, stmt);
		look_for_mix(rules, stmt);
		note_held(rules, stmt);
	}
	if (IsA(stmt->tree, AlterTableStmt) && stmt->named != NIL &&
		((AlterTableStmt *) stmt->tree)->objtype == OBJECT_TABLE)
	{
		AlterTableStmt *alter = (AlterTableStmt *) stmt->tree;
		MigspecWorldTable *table = linitial(stmt->named);

		if (!is_shared(table))
			return;
		note_not_valid(rules, alter, table);
		look_for_validation(rules, stmt, alter, table);
		look_for_alters(rules, stmt, alter, table);
		if (!stmt->in_transaction)
			rules->not_valid = NIL;
	}
}
