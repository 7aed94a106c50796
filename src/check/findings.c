/*-------------------------------------------------------------------------
 *
 * findings.c
 *		From facts to findings: what depends on this database, and on now.
 *
 * How bad a finding is, is decided on two axes that have nothing to do with
 * each other:
 *
 * work		Rows are read or written under a lock that stops others.  It is
 *			harmless where there are no rows, and in so far as it takes no
 *			time; so these rules count bytes.
 *
 * wait		A lock that is held for an instant only.  How big the table is does
 *			not matter: while the statement waits for one long transaction,
 *			everybody who comes later waits behind it.  Only a lock_timeout
 *			limits that, and so these rules look for one.
 *
 * So a small table makes work less severe, but never the wait, which has rules
 * (no-lock-timeout, lock-wait-now) and findings of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "nodes/parsenodes.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "check/rules.h"
#include "check/safe_way_text.h"

/* work of less than this many seconds may go unnoticed */
#define SHORT_WORK		0.1

/* a transaction that has been open for longer is not over in a moment */
#define LONG_WAIT_MS	1000

/* more locks of other relations than this are summed up */
#define MAX_OTHER_LOCKS	50

/* somebody is in the way of a lock */
typedef struct Wait
{
	const MigspecEffect *effect;
	char	   *who;
	double		ms;
} Wait;

/* a statement, and what all of its findings tell */
typedef struct Told
{
	const MigspecStatement *stmt;
	List	   *statements;		/* of MigspecStatement *: the script */
	List	   *locks;			/* of MigspecEffect *: that concern others */
	List	   *waits;			/* of Wait *: in the same order */
} Told;

/*
 * The worst of the works in the mask.
 */
const char *
migspec_work_name(int work)
{
	if (work & MIGSPEC_WORK_REWRITE)
		return "rewrite";
	if (work & MIGSPEC_WORK_INDEX_BUILD)
		return "index build";
	if (work & (MIGSPEC_WORK_SCAN | MIGSPEC_WORK_QUIET_SCAN |
				MIGSPEC_WORK_FK_VALIDATION))
		return "scan";
	return "none";
}

/*
 * Are they the same relation?  The tables of effects and facts are copies.
 */
static bool
same_table(const MigspecWorldTable *a, const MigspecWorldTable *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->oid != b->oid)
		return false;
	return OidIsValid(a->oid) ||
		(strcmp(a->name, b->name) == 0 && strcmp(a->schema, b->schema) == 0);
}

/*
 * Is it the other, or below it as partition or child?
 */
static bool
is_below(const MigspecWorldTable *table, const MigspecWorldTable *top)
{
	while (table != NULL)
	{
		if (same_table(table, top) ||
			(OidIsValid(table->parent_oid) && table->parent_oid == top->oid))
			return true;
		table = table->parent;
	}
	return false;
}

/*
 * The effect that a fact is about: that of its table, else none.
 */
static const MigspecEffect *
effect_of(const MigspecStatement *stmt, const MigspecFact *fact)
{
	ListCell   *cell;

	if (fact->effect != NULL)
		return fact->effect;
	foreach(cell, stmt->effects)
	{
		const MigspecEffect *effect = lfirst(cell);

		if (effect->index == NULL && same_table(effect->table, fact->table))
			return effect;
	}
	return NULL;
}

/*
 * Does the effect concern others?
 */
static bool
is_seen(const MigspecEffect *effect)
{
	return !effect->table->is_new &&
		(effect->lock > AccessShareLock || effect->work != 0);
}

/*
 * Work, bytes and seconds of a finding: those of its table and of all below.
 */
static void
add_work(MigspecFinding *finding, const MigspecStatement *stmt,
		 const MigspecFact *fact, int mask)
{
	const MigspecEffect *own = effect_of(stmt, fact);
	ListCell   *cell;

	foreach(cell, stmt->effects)
	{
		const MigspecEffect *effect = lfirst(cell);

		if (!is_seen(effect) || (effect->work & mask) == 0 ||
			(effect != own && (fact->table == NULL ||
							   !is_below(effect->table, fact->table))))
			continue;
		finding->work |= effect->work & mask;
		finding->bytes += migspec_cost_bytes(effect);
		finding->seconds += migspec_cost_seconds(effect);
	}
}

/*
 * Look at the locks of a statement once, for all of its findings.
 */
static void
look_at_locks(Told *told)
{
	ListCell   *cell;

	foreach(cell, told->stmt->effects)
	{
		const MigspecEffect *effect = lfirst(cell);
		Wait		wait = {.effect = effect};

		if (!is_seen(effect) || effect->lock <= AccessShareLock)
			continue;
		told->locks = lappend(told->locks, unconstify(MigspecEffect *, effect));
		wait.who = migspec_waits_text(effect, told->stmt->is_concurrent, &wait.ms);
		if (wait.who != NULL)
		{
			Wait	   *copy = palloc(sizeof(Wait));

			*copy = wait;
			told->waits = lappend(told->waits, copy);
		}
	}
}

/*
 * What the statement locks besides the finding's relation.
 */
static List *
other_locks(const Told *told, const MigspecEffect *own)
{
	List	   *locks = NIL;
	int			more;
	ListCell   *cell;

	foreach(cell, told->locks)
	{
		const MigspecEffect *effect = lfirst(cell);

		if (effect == own)
			continue;
		if (list_length(locks) == MAX_OTHER_LOCKS)
			break;
		locks = lappend(locks, psprintf("%s on %s",
										GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lock),
										effect->name));
	}
	more = list_length(told->locks) - list_length(locks);
	if (own != NULL && is_seen(own) && own->lock > AccessShareLock)
		more--;
	if (more > 0)
		locks = lappend(locks, psprintf("%d more", more));
	return locks;
}

/*
 * Who is in the way of any lock of the statement, of "own" first.
 */
static const Wait *
wait_of(const Told *told, const MigspecEffect *own)
{
	ListCell   *cell;

	foreach(cell, told->waits)
	{
		const Wait *wait = lfirst(cell);

		if (wait->effect == own)
			return wait;
	}
	return told->waits == NIL ? NULL : linitial(told->waits);
}

static MigspecSeverity
severity_of(const MigspecRule *rule, const MigspecFinding *finding,
			const MigspecStatement *stmt, double wait_ms)
{
	/* writers that come and go are in the way of everything, for a moment */
	if (finding->rule_id == RULE_LOCK_WAIT_NOW && wait_ms < LONG_WAIT_MS)
		return MIGSPEC_INFO;
	switch (rule->axis)
	{
		case MIGSPEC_AXIS_WORK:
			if (finding->bytes == 0)
				return MIGSPEC_INFO;
			if (finding->seconds < SHORT_WORK)
				return Min(rule->severity, MIGSPEC_WARNING);
			return rule->severity;
		case MIGSPEC_AXIS_WAIT:
			return stmt->lock_timeout > 0 ? MIGSPEC_INFO : rule->severity;
		case MIGSPEC_AXIS_NONE:
			break;
	}
	return rule->severity;
}

/*
 * What a lock means to the others.
 */
static const char *
lock_means(LOCKMODE lock)
{
	if (lock >= AccessExclusiveLock)
		return "all queries wait, readers as well";
	if (lock >= ShareLock)
		return "writers wait, readers do not";
	if (lock >= ShareUpdateExclusiveLock)
		return "readers and writers go on";
	return NULL;
}

/*
 * The sentence of the rule with its names filled in, and what the lock means.
 */
static char *
why_of(const MigspecRule *rule, const MigspecFinding *finding,
	   const MigspecFact *fact)
{
	const char *means = rule->axis == MIGSPEC_AXIS_NONE ? NULL :
	lock_means(finding->lock);
	char	   *why = migspec_rule_why(rule, fact->name, fact->object ? fact->object : fact->name,
									   fact->detail,
									   fact->other ? migspec_world_table_name(fact->other) : NULL);

	if (means == NULL)
		return why;
	return psprintf("%s; %s: %s", why, GetLockmodeName(DEFAULT_LOCKMETHOD, finding->lock),
					means);
}

typedef struct WriteArgs
{
	const MigspecRule *rule;
	MigspecWay *way;
} WriteArgs;

static void
write_way(void *arg)
{
	WriteArgs  *args = arg;

	args->rule->safe_way(args->way);
}

/*
 * The safe way.  What it is written from may be wrong, or only exist in the
 * script: then there is none.
 */
static char *
safe_way_of(const MigspecRule *rule, const MigspecFact *fact,
			const MigspecStatement *stmt, List *statements)
{
	MigspecWay	way = {.fact = fact,.stmt = stmt,.statements = statements};
	WriteArgs	args = {rule, &way};

	if (rule->safe_way == NULL)
		return NULL;
	initStringInfo(&way.sql);
	way.lock_timeout = stmt->lock_timeout;
	if (migspec_check_try(write_way, &args) != NULL || way.sql.len == 0)
		return NULL;
	way.sql.data[--way.sql.len] = '\0'; /* the last line end */
	return way.sql.data;
}

/*
 * Does a later ANALYZE collect the statistics of the table again?
 */
static bool
is_analyzed(const MigspecWorldTable *table, const MigspecStatement *later)
{
	const VacuumStmt *vacuum = (const VacuumStmt *) later->tree;
	ListCell   *cell;

	if (!IsA(later->tree, VacuumStmt) || vacuum->is_vacuumcmd)
		return false;
	foreach(cell, vacuum->rels)
	{
		const VacuumRelation *rel = lfirst_node(VacuumRelation, cell);

		if (rel->relation != NULL && strcmp(rel->relation->relname, table->name) == 0)
			return true;
	}
	return vacuum->rels == NIL;
}

/*
 * Is there an index, at the end of the script, that leads with the columns of
 * the foreign key?
 */
static bool
has_fk_index(const MigspecFact *fact)
{
	MigspecWorldTable *table = migspec_way_live(fact->table);
	MigspecWorldConstraint *constraint = fact->object ?
	migspec_world_constraint(table, fact->object) : NULL;
	ListCell   *cell;

	if (constraint == NULL)
		return false;
	foreach(cell, table->indexes)
	{
		const MigspecWorldIndex *index = lfirst(cell);
		int			found = 0;

		if (index->dropped || index->predicate != NULL ||
			index->nkeys < list_length(constraint->columns))
			continue;
		for (int i = 0; i < list_length(constraint->columns); i++)
			found += list_member_int(constraint->columns, index->attnos[i]);
		if (found == list_length(constraint->columns))
			return true;
	}
	return false;
}

/*
 * Facts that need not be told, because something else in the script takes
 * care of them.
 */
static bool
is_settled(const MigspecFact *fact, const MigspecStatement *stmt, List *statements)
{
	ListCell   *cell;

	if (fact->table == NULL)
		return false;
	if (fact->rule == RULE_TABLE_REQUIRES_PK)
		return migspec_way_live(fact->table)->dropped ||
			migspec_world_primary_key(migspec_way_live(fact->table)) != NULL;
	if (fact->rule == RULE_FK_MISSING_INDEX)
		return has_fk_index(fact);
	if (fact->rule != RULE_DROPS_COLUMN_STATISTICS && fact->rule != RULE_RENAME_TABLE)
		return false;
	for_each_from(cell, statements, stmt->number)
	{
		const MigspecStatement *later = lfirst(cell);

		if (fact->rule == RULE_DROPS_COLUMN_STATISTICS && is_analyzed(fact->table, later))
			return true;
		if (fact->rule == RULE_RENAME_TABLE && IsA(later->tree, ViewStmt) &&
			strcmp(((ViewStmt *) later->tree)->view->relname, fact->table->name) == 0)
			return true;
	}
	return false;
}

/*
 * The finding of a fact; NULL if it is about work, and there is none.
 */
static MigspecFinding *
make_finding(const MigspecFact *fact, const Told *told)
{
	const MigspecStatement *stmt = told->stmt;
	const MigspecRule *rule = &migspec_rules[fact->rule];
	const MigspecEffect *own = effect_of(stmt, fact);
	const Wait *wait = wait_of(told, own);
	MigspecFinding *finding = palloc0(sizeof(MigspecFinding));

	finding->statement = stmt->number;
	finding->source = stmt;
	finding->rule_id = fact->rule;
	finding->rule = rule->id;
	finding->object = fact->table ? fact->name : fact->object;
	if (own != NULL && is_seen(own))
		finding->lock = own->lock;
	finding->other_locks = other_locks(told, own);
	if (rule->axis == MIGSPEC_AXIS_WORK)
		add_work(finding, stmt, fact, rule->work);
	/* what is proved, or ON ONLY, is none */
	if (rule->axis == MIGSPEC_AXIS_WORK && finding->work == 0)
		return NULL;
	finding->waits_for = wait == NULL ? NULL : wait->who;
	finding->severity = severity_of(rule, finding, stmt, wait == NULL ? 0 : wait->ms);
	finding->why = why_of(rule, finding, fact);
	finding->safe_way = safe_way_of(rule, fact, stmt, told->statements);
	return finding;
}

/*
 * Facts that no analyser tells because they need no look at the statement:
 * that it would fail, who is in the way, and who uses what goes away.
 */
static MigspecFact *
new_fact(MigspecRuleId rule, const MigspecFact *like)
{
	MigspecFact *fact = palloc0(sizeof(MigspecFact));

	if (like != NULL)
		*fact = *like;
	fact->rule = rule;
	fact->detail = NULL;
	return fact;
}

static bool
has_fact(const MigspecStatement *stmt, MigspecRuleId rule)
{
	ListCell   *cell;

	foreach(cell, stmt->facts)
	{
		if (((MigspecFact *) lfirst(cell))->rule == rule)
			return true;
	}
	return false;
}

/*
 * Add a sentence of an error message: with a small beginning and no full stop.
 */
static void
add_sentence(StringInfo buf, const char *sentence)
{
	if (sentence == NULL)
		return;
	appendStringInfo(buf, "%s%s", buf->len > 0 ? "; " : "", sentence);
	while (buf->len > 0 && (buf->data[buf->len - 1] == '.' || buf->data[buf->len - 1] == '\n'))
		buf->data[--buf->len] = '\0';
}

static MigspecFact *
failure_fact(const MigspecStatement *stmt)
{
	MigspecFact *fact = new_fact(RULE_WOULD_FAIL, NULL);
	StringInfoData detail;

	initStringInfo(&detail);
	add_sentence(&detail, stmt->error->message);
	add_sentence(&detail, stmt->error->detail);
	add_sentence(&detail, stmt->error->hint);
	fact->detail = detail.data;
	return fact;
}

/*
 * Names that the parser cuts off; it does so before anybody can see it.
 */
static List *
add_long_names(List *facts, const MigspecStatement *stmt)
{
	MigspecToken token;

	if (strlen(stmt->source) < NAMEDATALEN)
		return facts;
	for (token = migspec_token(stmt->source); token.end > token.start;
		 token = migspec_token(token.end))
	{
		bool		quoted = *token.start == '"';
		int			len = token.end - token.start - (quoted ? 2 : 0);
		MigspecFact *fact;

		if (len < NAMEDATALEN || *token.start == '\'' || *token.start == '$')
			continue;
		fact = new_fact(RULE_IDENTIFIER_TOO_LONG, NULL);
		fact->object = pnstrdup(token.start + (quoted ? 1 : 0), len);
		facts = lappend(facts, fact);
	}
	return facts;
}

static MigspecFact *
wait_fact(const Wait *wait)
{
	MigspecFact *fact = new_fact(RULE_LOCK_WAIT_NOW, NULL);

	fact->table = wait->effect->table;
	fact->name = wait->effect->name;
	fact->effect = unconstify(MigspecEffect *, wait->effect);
	return fact;
}

static MigspecFact *
in_use_fact(const MigspecFact *fact, List **sources)
{
	bool		is_rename = fact->rule == RULE_RENAME_COLUMN ||
	fact->rule == RULE_RENAME_TABLE;
	bool		is_column = fact->rule == RULE_RENAME_COLUMN ||
	fact->rule == RULE_DROP_COLUMN;
	MigspecFact *use;
	char	   *users;

	if (!is_rename && fact->rule != RULE_DROP_COLUMN && fact->rule != RULE_DROP_TABLE)
		return NULL;
	if (fact->table == NULL || (is_column && fact->object == NULL))
		return NULL;
	users = migspec_users_of(fact->table, is_column ? fact->object : NULL, is_rename, sources);
	if (users == NULL)
		return NULL;
	use = new_fact(RULE_COLUMN_IN_USE, fact);
	if (!is_column)
		use->object = NULL;
	use->detail = users;
	return use;
}

/*
 * Has the failure already been told in other words?
 */
static bool
has_error_fact(List *facts)
{
	ListCell   *cell;

	foreach(cell, facts)
	{
		if (migspec_rules[((MigspecFact *) lfirst(cell))->rule].severity == MIGSPEC_ERROR)
			return true;
	}
	return false;
}

/*
 * All facts of a statement, with those that are added here.
 */
static List *
facts_of(const Told *told, List **sources)
{
	const MigspecStatement *stmt = told->stmt;
	bool		uses_told = has_fact(stmt, RULE_COLUMN_IN_USE);
	List	   *facts = NIL;
	ListCell   *cell;
	MigspecFact *fact;

	foreach(cell, stmt->facts)
	{
		facts = lappend(facts, lfirst(cell));
		if (!uses_told &&
			(fact = in_use_fact(lfirst(cell), sources)) != NULL)
			facts = lappend(facts, fact);
	}
	facts = add_long_names(facts, stmt);
	if (stmt->error == NULL)
	{
		if (told->waits != NIL && !has_fact(stmt, RULE_LOCK_WAIT_NOW))
			facts = lappend(facts, wait_fact(linitial(told->waits)));
	}
	else if (!has_error_fact(facts))
		facts = lappend(facts, failure_fact(stmt));
	return facts;
}

/*
 * Can nobody be disturbed, because no other session uses the table?
 */
static bool
is_private(const MigspecWorldTable *table)
{
	return table != NULL &&
		(table->is_new || table->persistence == RELPERSISTENCE_TEMP);
}

/*
 * Is a fact about what the change breaks for others, or destroys?  (A required
 * column fails where there are rows, whoever has written them.)
 */
static bool
is_about_users(const MigspecFact *fact)
{
	return fact->rule >= RULE_ADD_REQUIRED_COLUMN &&
		fact->rule <= RULE_FUNCTION_VOLATILITY_CHANGE &&
		migspec_rules[fact->rule].severity < MIGSPEC_ERROR &&
		(fact->rule != RULE_ADD_REQUIRED_COLUMN || fact->table->is_empty);
}

/*
 * The findings of a script, statement by statement.
 */
List *
migspec_check_findings(List *statements)
{
	List	   *findings = NIL;
	List	   *sources = NIL;
	ListCell   *cell;

	foreach(cell, statements)
	{
		const MigspecStatement *stmt = lfirst(cell);
		Told		told = {.stmt = stmt,.statements = statements};
		ListCell   *lc;

		look_at_locks(&told);
		foreach(lc, facts_of(&told, &sources))
		{
			const MigspecFact *fact = lfirst(lc);
			MigspecFinding *finding;

			if (is_private(fact->table) &&
				(migspec_rules[fact->rule].axis != MIGSPEC_AXIS_NONE ||
				 is_about_users(fact)))
				continue;
			if (is_settled(fact, stmt, statements))
				continue;
			finding = make_finding(fact, &told);
			if (finding != NULL)
				findings = lappend(findings, finding);
		}
	}
	return findings;
}
