/*-------------------------------------------------------------------------
 *
 * analyse.c
 *		Which analyser a statement has, and what analysers are made of.
 *
 * Analysers raise errors as the server would, so each statement is analysed
 * in a subtransaction of its own.  Of a statement that fails, nothing remains
 * in the world.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "utils/errcodes.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "check/check.h"
#include "check/script.h"
#include "check/statements.h"

typedef struct AnalyserEntry
{
	NodeTag		tag;
	MigspecAnalyser analyse;
} AnalyserEntry;

/* whatever is not here goes to migspec_analyse_other() */
static const AnalyserEntry analysers[] = {
	{T_AlterTableStmt, migspec_analyse_alter_table},
	{T_CreateStmt, migspec_analyse_create_table},
	{T_CreateForeignTableStmt, migspec_analyse_create_table},
	{T_CreateTableAsStmt, migspec_analyse_create_table},
	{T_IndexStmt, migspec_analyse_create_index},
	{T_ReindexStmt, migspec_analyse_reindex},
	{T_DropStmt, migspec_analyse_drop},
	{T_TruncateStmt, migspec_analyse_truncate},
	{T_RenameStmt, migspec_analyse_rename},
	{T_AlterObjectSchemaStmt, migspec_analyse_set_schema},
	{T_AlterDomainStmt, migspec_analyse_domain},
	{T_CreateDomainStmt, migspec_analyse_domain},
	{T_AlterEnumStmt, migspec_analyse_enum},
	{T_CreateEnumStmt, migspec_analyse_enum},
	{T_CompositeTypeStmt, migspec_analyse_type},
	{T_CreateRangeStmt, migspec_analyse_type},
	{T_AlterTypeStmt, migspec_analyse_type},
};

/* these errors say nothing about the statement */
static const int not_its_fault[] = {
	ERRCODE_QUERY_CANCELED,
	ERRCODE_ADMIN_SHUTDOWN,
	ERRCODE_CRASH_SHUTDOWN,
	ERRCODE_OUT_OF_MEMORY,
	ERRCODE_DISK_FULL,
	ERRCODE_LOCK_NOT_AVAILABLE,
	ERRCODE_T_R_DEADLOCK_DETECTED,
	ERRCODE_STATEMENT_TOO_COMPLEX,
};

/* is it an error of the statement, to be told in its row? */
static bool
is_about_statement(const ErrorData *error)
{
	for (int i = 0; i < (int) lengthof(not_its_fault); i++)
	{
		if (error->sqlerrcode == not_its_fault[i])
			return false;
	}
	return true;
}

/*
 * migspec_check_try -- see check.h.
 *
 * Cancelling and the like are passed on.
 */
ErrorData *
migspec_check_try(void (*what) (void *arg), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		what(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (!is_about_statement(error))
			PG_RE_THROW();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return error;
}

void
migspec_check_give_up(MigspecWorld *world)
{
	world->unknown++;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this cannot be known before the script runs")));
}

static MigspecAnalyser
analyser_of(const Node *tree)
{
	for (int i = 0; i < (int) lengthof(analysers); i++)
	{
		if (analysers[i].tag == nodeTag(tree))
			return analysers[i].analyse;
	}
	return migspec_analyse_other;
}

/*
 * migspec_check_nested -- see check.h.
 */
void
migspec_check_nested(MigspecStatement *stmt, Node *tree)
{
	Node	   *outer = stmt->tree;

	check_stack_depth();
	stmt->tree = tree;
	analyser_of(tree) (stmt);
	stmt->tree = outer;
}

/*
 * Its effect on a table (index NULL) or on an index, or a new one.
 */
static MigspecEffect *
find_effect(MigspecStatement *stmt, MigspecWorldTable *table, MigspecWorldIndex *index)
{
	MigspecEffect *effect;
	ListCell   *lc;

	/* there may be thousands of partitions, but not of indexes that are named */
	if (index == NULL && table->effect_at == stmt->number)
		return table->effect;
	foreach(lc, index != NULL ? stmt->effects : NIL)
	{
		effect = lfirst(lc);
		if (effect->index == index)
			return effect;
	}
	migspec_world_remember(table);
	effect = palloc0(sizeof(MigspecEffect));
	effect->table = table;
	effect->index = index;
	effect->lock = AccessShareLock;
	effect->name = index != NULL ? migspec_world_index_name(index) :
		migspec_world_table_name(table);
	effect->was_empty = table->is_empty;
	if (index == NULL)
	{
		table->effect = effect;
		table->effect_at = stmt->number;
	}
	stmt->effects = lappend(stmt->effects, effect);
	return effect;
}

MigspecEffect *
migspec_check_lock(MigspecStatement *stmt, MigspecWorldTable *table, LOCKMODE lock)
{
	MigspecEffect *effect = find_effect(stmt, table, NULL);

	effect->lock = Max(effect->lock, lock);
	return effect;
}

MigspecEffect *
migspec_check_lock_index(MigspecStatement *stmt, MigspecWorldIndex *index, LOCKMODE lock)
{
	MigspecEffect *effect = find_effect(stmt, index->table, index);

	effect->lock = Max(effect->lock, lock);
	return effect;
}

void
migspec_check_work(MigspecStatement *stmt, MigspecWorldTable *table, int work)
{
	find_effect(stmt, table, NULL)->work |= work;
}

void
migspec_check_build(MigspecStatement *stmt, MigspecWorldTable *table, const char *index)
{
	MigspecEffect *effect = find_effect(stmt, table, NULL);

	effect->work |= MIGSPEC_WORK_INDEX_BUILD;
	effect->built = lappend(effect->built, pstrdup(index));
}

MigspecFact *
migspec_check_fact(MigspecStatement *stmt, MigspecRuleId rule, MigspecWorldTable *table,
				   const char *object)
{
	MigspecFact *fact = palloc0(sizeof(MigspecFact));

	fact->rule = rule;
	fact->table = table;
	fact->object = object != NULL ? pstrdup(object) : NULL;
	if (table != NULL)
	{
		migspec_world_remember(table);
		fact->name = migspec_world_table_name(table);
		fact->was_empty = table->is_empty;
	}
	stmt->facts = lappend(stmt->facts, fact);
	return fact;
}

/*
 * Say that there is no relation of this name, as the server does.
 */
pg_noreturn static void
no_such_table(MigspecStatement *stmt, const RangeVar *name)
{
	if (migspec_world_find_index(stmt->world, name) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is an index", name->relname)));
	if (name->schemaname == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation \"%s\" does not exist", name->relname)));
	if (!OidIsValid(LookupNamespaceNoError(name->schemaname)) &&
		!migspec_world_is_new_name(stmt->world, name->schemaname))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", name->schemaname)));
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("relation \"%s.%s\" does not exist", name->schemaname, name->relname)));
}

MigspecWorldTable *
migspec_check_table(MigspecStatement *stmt, const RangeVar *name, bool missing_ok)
{
	MigspecWorldTable *table = migspec_world_find(stmt->world, name);

	if (table == NULL)
	{
		if (!missing_ok)
			no_such_table(stmt, name);
		return NULL;
	}
	migspec_world_remember(table);
	stmt->named = list_append_unique_ptr(stmt->named, table);
	if (!table->loaded)
	{
		migspec_check_fact(stmt, RULE_UNKNOWN_RELATION_STATE, table, NULL);
		migspec_check_give_up(stmt->world);
	}
	return table;
}

/*
 * What the lock would be that nothing more is known about.
 */
static LOCKMODE
probable_lock(Node *tree)
{
	switch (nodeTag(tree))
	{
		case T_AlterTableStmt:
			return AlterTableGetLockLevel(((AlterTableStmt *) tree)->cmds);
		case T_IndexStmt:
			return ((IndexStmt *) tree)->concurrent ?
				ShareUpdateExclusiveLock : ShareLock;
		case T_CreateTrigStmt:
			return ShareRowExclusiveLock;
		case T_ReindexStmt:
			return migspec_option_is_on(((ReindexStmt *) tree)->params, "concurrently") ?
				ShareUpdateExclusiveLock : ShareLock;
		case T_VacuumStmt:
			return migspec_option_is_on(((VacuumStmt *) tree)->options, "full") ?
				AccessExclusiveLock : ShareUpdateExclusiveLock;
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			return RowExclusiveLock;
		case T_SelectStmt:
			return AccessShareLock;
		default:
			return AccessExclusiveLock;
	}
}

/*
 * What the first quoted name of a message is, or NULL.
 */
static char *
name_in_message(const char *message)
{
	const char *begin = strchr(message, '"');
	const char *end = begin != NULL ? strchr(begin + 1, '"') : NULL;

	return end != NULL ? pnstrdup(begin + 1, end - begin - 1) : NULL;
}

/*
 * Is the name in the text, not just as a part of another name?
 */
static bool
mentions_name(const char *sql, const char *name)
{
	size_t		len = strlen(name);
	const char *found = sql;

	while ((found = strstr(found, name)) != NULL)
	{
		char		before = found > sql ? found[-1] : ' ';
		char		after = found[len];

		if (!isalnum((unsigned char) before) && before != '_' &&
			!isalnum((unsigned char) after) && after != '_')
			return true;
		found++;
	}
	return false;
}

/*
 * Is or was there a relation of this name?  Then the world knows what has
 * become of it; else it is a type, which looks like a relation to some.
 */
static bool
was_table(const MigspecWorld *world, const char *name)
{
	ListCell   *lc;

	foreach(lc, migspec_world_named(world, name))
	{
		if (strcmp(((MigspecWorldTable *) lfirst(lc))->name, name) == 0)
			return true;
	}
	return false;
}

/*
 * migspec_check_is_expected -- see check.h.
 */
bool
migspec_check_is_expected(const MigspecWorld *world, const ErrorData *error)
{
	const char *missing;
	char	   *name;
	ListCell   *lc;

	if (error->message == NULL)
		return false;
	name = name_in_message(error->message);

	/* a statement that may have created anything, see migspec_opaque() */
	if ((error->sqlerrcode == ERRCODE_UNDEFINED_TABLE ||
		 error->sqlerrcode == ERRCODE_UNDEFINED_COLUMN) &&
		migspec_world_is_new_name(world, ""))
		return true;

	/*
	 * What only the catalog could know, like a function, or a value of an
	 * enumeration.
	 */
	if (error->sqlerrcode == ERRCODE_UNDEFINED_FUNCTION ||
		error->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION ||
		error->sqlerrcode == ERRCODE_UNDEFINED_OBJECT ||
		error->sqlerrcode == ERRCODE_UNDEFINED_SCHEMA)
	{
		/* of several names, the first is that of what is missing */
		missing = name == NULL || error->sqlerrcode == ERRCODE_INVALID_TEXT_REPRESENTATION ?
			error->message : name;
		foreach(lc, world->new_types)
		{
			const char *created = lfirst(lc);

			if (created[0] == '\0' || mentions_name(missing, created))
				return true;
		}
	}
	else if (error->sqlerrcode != ERRCODE_UNDEFINED_TABLE &&
			 error->sqlerrcode != ERRCODE_UNDEFINED_COLUMN)
		return false;

	if (name != NULL && error->sqlerrcode == ERRCODE_UNDEFINED_TABLE &&
		migspec_world_is_new_name(world, name) && !was_table(world, name))
		return true;
	foreach(lc, world->given_up)
	{
		if (name != NULL && mentions_name(lfirst(lc), name))
			return true;
	}
	return false;
}

/*
 * Nothing more can be known of it; what is known stays.
 */
static void
give_up(MigspecStatement *stmt)
{
	MemoryContext old;
	ListCell   *lc;

	foreach(lc, stmt->named)
		migspec_check_lock(stmt, lfirst(lc), probable_lock(stmt->tree));
	old = MemoryContextSwitchTo(stmt->world->context);
	stmt->world->given_up = lappend(stmt->world->given_up, pstrdup(stmt->source));
	MemoryContextSwitchTo(old);
}

static void
run_analyser(void *arg)
{
	MigspecStatement *stmt = arg;

	migspec_check_nested(stmt, stmt->tree);
}

/*
 * May the statement make a name hide others?  Tables that come and go are
 * noticed elsewhere.
 */
static bool
moves_names(const Node *tree)
{
	return IsA(tree, RenameStmt) || IsA(tree, AlterObjectSchemaStmt);
}

/*
 * Give the effects and facts tables that do not change any more.
 */
static void
freeze(MigspecStatement *stmt)
{
	ListCell   *lc;

	foreach(lc, stmt->effects)
	{
		MigspecEffect *effect = lfirst(lc);

		if (list_member_ptr(stmt->named, effect->table))
			effect->is_target = true;
		if (effect->index != NULL)
			effect->index = migspec_world_frozen_index(effect->index);
		effect->table = migspec_world_frozen(effect->table);
	}
	foreach(lc, stmt->facts)
	{
		MigspecFact *fact = lfirst(lc);

		if (fact->table != NULL)
			fact->table = migspec_world_frozen(fact->table);
		if (fact->other != NULL)
			fact->other = migspec_world_frozen(fact->other);
	}
}

/*
 * migspec_analyse_statement -- see script.h.
 */
void
migspec_analyse_statement(MigspecStatement *stmt, void (*then) (MigspecStatement *stmt, void *arg),
						  void *arg)
{
	MigspecWorld *world = stmt->world;
	int			unknown = world->unknown;
	int			mark = migspec_world_mark(world);
	ErrorData  *error;

	stmt->in_transaction = world->in_transaction;
	stmt->lock_timeout = world->lock_timeout;
	stmt->statement_timeout = world->statement_timeout;
	migspec_world_begin_statement(world, stmt->number);

	error = migspec_check_try(run_analyser, stmt);
	if (moves_names(stmt->tree))
		world->names++;
	if (error != NULL && (world->unknown > unknown || migspec_check_is_expected(world, error)))
		give_up(stmt);
	else if (error != NULL)
	{
		stmt->error = error;
		stmt->effects = NIL;
	}
	if (then != NULL)
		then(stmt, arg);
	freeze(stmt);
	if (stmt->error != NULL)
		migspec_world_undo(world, mark);
	world->statement = 0;
}
