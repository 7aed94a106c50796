/*-------------------------------------------------------------------------
 *
 * check.h
 *		What a statement would do, and what is wrong with it.
 *
 * A statement is analysed against a world (world.h): its analyser records
 * *effects* (which relation is locked how, and what work is done under the
 * lock), *facts* (a rule that applies, to which object), and then changes the
 * world as the statement would change the catalog.  Rules (rules.c) turn facts
 * into findings, with sizes, waits, and the safe way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_CHECK_H
#define MIGSPEC_CHECK_H

#include "postgres.h"
#include "nodes/parsenodes.h"
#include "storage/lockdefs.h"

#include "base/compat.h"
#include "check/rule_ids.h"
#include "check/world.h"

/* work done on existing data while the lock is held; a bit mask */
#define MIGSPEC_WORK_SCAN			0x01	/* reads all rows */
#define MIGSPEC_WORK_INDEX_BUILD	0x02
#define MIGSPEC_WORK_FK_VALIDATION	0x04
#define MIGSPEC_WORK_REWRITE		0x08	/* new heap, and all indexes */
#define MIGSPEC_WORK_QUIET_SCAN		0x10	/* reads all rows, but the server
											 * does not say so in its log */

/* what a statement does to one relation */
typedef struct MigspecEffect
{
	MigspecWorldTable *table;	/* this one ... */
	MigspecWorldIndex *index;	/* ... or, if set, this index of it: only
								 * where the statement names the index */
	LOCKMODE	lock;			/* strongest one, never below ACCESS SHARE */
	int			work;
	List	   *built;			/* of char *: names of indexes that are built */
	List	   *stats_lost;		/* of char *: columns that lose statistics */
	bool		is_target;		/* the statement names it as its object */
	char	   *name;			/* of the relation, as the statement found it:
								 * set by check_lock and check_lock_index */
	bool		was_empty;		/* is_empty of the table, likewise */
	bool		no_data;		/* what is rewritten or built is new and
								 * empty, as by TRUNCATE: it costs nothing */
} MigspecEffect;

/* a rule applies */
typedef struct MigspecFact
{
	MigspecRuleId rule;
	MigspecWorldTable *table;	/* NULL: the statement as such */
	char	   *object;			/* column, constraint, index ...; or NULL */
	MigspecWorldTable *other;	/* partner of a foreign key, partition, ... */
	char	   *detail;			/* what the rule's safe way needs: see there */
	Node	   *node;			/* raw AlterTableCmd, Constraint, ...; or NULL */
	MigspecEffect *effect;		/* whose lock and work this is about; NULL:
								 * that of the table */
	char	   *name;			/* of the table, as the statement found it:
								 * set by check_fact */
	bool		was_empty;		/* is_empty of the table, likewise */
} MigspecFact;

typedef struct MigspecStatement
{
	MigspecWorld *world;
	int			number;			/* in the script, from 1 */
	Node	   *tree;			/* raw parse tree (not RawStmt) */
	char	   *source;			/* its text, trimmed */
	int			location;		/* where that begins in the script, in bytes */
	bool		is_concurrent;	/* CONCURRENTLY: not in a transaction block */
	List	   *effects;		/* of MigspecEffect * */
	List	   *facts;			/* of MigspecFact * */
	ErrorData  *error;			/* it would fail, and so; or NULL */
	bool		in_transaction; /* inside BEGIN ... COMMIT */
	int			lock_timeout;	/* ms, as it is set then; 0: none */
	int			statement_timeout;
	List	   *named;			/* of MigspecWorldTable *: by check_table() */
} MigspecStatement;

/*
 * When a statement has been analysed, the tables (and indexes) of its effects
 * and facts are replaced by copies of how they were before it (or right after,
 * if it creates them), see migspec_world_frozen().  So whoever shows them
 * later sees the names, columns and constraints of that moment, not those at
 * the end of the script.
 */

/*
 * For analysers.  check_lock finds or makes the effect on a table and raises
 * its lock mode; a table that only this script (or transaction) can see gets
 * its effects as well, and is filtered out when they are shown.
 */
extern MigspecEffect *migspec_check_lock(MigspecStatement *stmt, MigspecWorldTable *table,
										 LOCKMODE lock);
extern MigspecEffect *migspec_check_lock_index(MigspecStatement *stmt, MigspecWorldIndex *index,
											   LOCKMODE lock);
extern void migspec_check_work(MigspecStatement *stmt, MigspecWorldTable *table, int work);
extern void migspec_check_build(MigspecStatement *stmt, MigspecWorldTable *table,
								const char *index);
extern MigspecFact *migspec_check_fact(MigspecStatement *stmt, MigspecRuleId rule,
									   MigspecWorldTable *table, const char *object);

/*
 * The relation that a statement names.  Raises the server's error if there is
 * none, or returns NULL if missing_ok.
 */
extern MigspecWorldTable *migspec_check_table(MigspecStatement *stmt, const RangeVar *name,
											  bool missing_ok);

/*
 * The type that a name stands for (types.c), and its typmod, which may be
 * asked for as NULL.  InvalidOid if only the script creates that type; raises
 * the server's error if there is none.  serial and the like are integers.
 */
extern Oid	migspec_check_type(MigspecStatement *stmt, const TypeName *name,
							   int32 *typmod);

/*
 * Facts about the type that a new column is given: text, timestamptz, ... are
 * to be preferred (types.c).
 */
extern void migspec_check_column_type(MigspecStatement *stmt, MigspecWorldTable *table,
									  const ColumnDef *column);

/* Analysers, by node tag; the registry is in analyse.c */
typedef void (*MigspecAnalyser) (MigspecStatement *stmt);

/* the analyser of this kind of statement, called with the tree */
extern void migspec_check_nested(MigspecStatement *stmt, Node *tree);

extern void migspec_analyse_alter_table(MigspecStatement *stmt);	/* alter_table.c */
extern void migspec_analyse_create_table(MigspecStatement *stmt);	/* create_table.c */
extern void migspec_analyse_create_index(MigspecStatement *stmt);	/* index.c */
extern void migspec_analyse_reindex(MigspecStatement *stmt);
extern void migspec_analyse_drop(MigspecStatement *stmt);	/* drop.c */
extern void migspec_analyse_truncate(MigspecStatement *stmt);
extern void migspec_analyse_rename(MigspecStatement *stmt); /* rename.c */
extern void migspec_analyse_set_schema(MigspecStatement *stmt);
extern void migspec_analyse_domain(MigspecStatement *stmt); /* types.c */
extern void migspec_analyse_enum(MigspecStatement *stmt);
extern void migspec_analyse_type(MigspecStatement *stmt);
extern void migspec_analyse_other(MigspecStatement *stmt);	/* other.c */

/*
 * Shared by ALTER TABLE ... ADD and CREATE TABLE (constraint.c): what adding
 * this raw constraint to a table does.  "column" is the column it was written
 * at, or NULL; "column_is_new" that the same statement adds that column.
 */
extern void migspec_check_constraint(MigspecStatement *stmt, MigspecWorldTable *table,
									 Constraint *constraint, MigspecWorldColumn *column,
									 bool column_is_new);

/*
 * Does the error complain that something does not exist which an earlier
 * statement creates: one that only the catalog could know, or of which the
 * statement could not be analysed?
 */
extern bool migspec_check_is_expected(const MigspecWorld *world, const ErrorData *error);

/*
 * Something cannot be known (a relation that somebody has locked, a type that
 * only the script creates): give up on this statement without calling it
 * wrong.  Does not return.
 */
pg_noreturn extern void migspec_check_give_up(MigspecWorld *world);

/*
 * Analyse a script, or one statement that is about to run (the guard).  The
 * former gives a List of MigspecStatement *, in order, even for statements
 * that would fail; one that cannot be parsed has the parser's error, and an
 * empty RawStmt as its tree.  Takes ACCESS SHARE only, briefly; must be called
 * in a transaction.
 */
extern List *migspec_check_script(const char *sql);
extern MigspecStatement *migspec_check_one(Node *tree, const char *source, bool may_wait,
										   bool in_transaction);

/*
 * Call "what" in a subtransaction; an error is caught and returned (NULL: no
 * error), in the current memory context.
 */
extern ErrorData *migspec_check_try(void (*what) (void *arg), void *arg);

/* Severities, mildest first */
typedef enum MigspecSeverity
{
	MIGSPEC_INFO,				/* good to know */
	MIGSPEC_WARNING,			/* may hurt on a busy system */
	MIGSPEC_DANGER,				/* will block or break something */
	MIGSPEC_ERROR				/* would fail */
} MigspecSeverity;

/* One row of migspec_check() */
typedef struct MigspecFinding
{
	int			statement;
	const char *rule;
	MigspecSeverity severity;
	char	   *object;
	LOCKMODE	lock;			/* NoLock: none */
	List	   *other_locks;	/* of char *: "AccessExclusiveLock on child" */
	int			work;
	uint64		bytes;			/* that the work reads or writes */
	double		seconds;		/* estimate, under the lock */
	char	   *waits_for;		/* who is in the way now, or NULL */
	char	   *why;
	char	   *safe_way;		/* SQL that runs, or a call of migspec */
	MigspecRuleId rule_id;
	const MigspecStatement *source; /* the one that it is about */
} MigspecFinding;

/* The findings (List of MigspecFinding *) of a script's statements (findings.c) */
extern List *migspec_check_findings(List *statements);

/* What is to be known of a rule (rules.c) */
extern const char *migspec_rule_name(MigspecRuleId rule);
extern const char *migspec_rule_title(MigspecRuleId rule);	/* one line */
extern char *migspec_rule_help(MigspecRuleId rule); /* some sentences */
extern MigspecSeverity migspec_rule_severity(MigspecRuleId rule);

extern const char *migspec_severity_name(MigspecSeverity severity);
extern const char *migspec_work_name(int work); /* none, scan, index build,
												 * rewrite: the worst */

/*
 * Bytes and seconds that an effect's work costs (cost.c), and who would make
 * the lock wait now (waits.c; NULL: nobody, else a text that names sessions).
 */
extern uint64 migspec_cost_bytes(const MigspecEffect *effect);
extern double migspec_cost_seconds(const MigspecEffect *effect);
extern char *migspec_waits_for(const MigspecEffect *effect);

/* longest that such a statement would have to wait as things are, in ms: the
 * age of the oldest transaction in the way; 0: nobody is in the way */
extern double migspec_waits_ms(const MigspecEffect *effect);

#endif							/* MIGSPEC_CHECK_H */
