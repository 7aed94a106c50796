/*-------------------------------------------------------------------------
 *
 * rules.h
 *		The registry of rules, and what their safe ways are written with.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_CHECK_RULES_H
#define MIGSPEC_CHECK_RULES_H

#include "check/check.h"
#include "lib/stringinfo.h"

/* What the writer of a safe way is given, and writes to */
typedef struct MigspecWay
{
	const MigspecFact *fact;
	const MigspecStatement *stmt;
	List	   *statements;		/* the whole script */
	StringInfoData sql;
	int			lock_timeout;	/* as the statements written so far leave it */
} MigspecWay;

/* Severity depends on two things that do not depend on each other */
typedef enum MigspecAxis
{
	MIGSPEC_AXIS_NONE,			/* neither */
	MIGSPEC_AXIS_WORK,			/* how much is done under the lock */
	MIGSPEC_AXIS_WAIT			/* how long others queue for it */
} MigspecAxis;

typedef struct MigspecRule
{
	const char *id;
	MigspecSeverity severity;
	MigspecAxis axis;
	int			work;			/* AXIS_WORK: which work it is about */

	/*
	 * One sentence without a full stop.  %t is the table, %o the object, %d
	 * the detail, %r the other table of the fact.
	 */
	const char *why;
	const char *title;			/* the same of any table */
	void		(*safe_way) (MigspecWay *way);	/* NULL: there is none */
} MigspecRule;

/* rules.c */
extern const MigspecRule migspec_rules[MIGSPEC_RULES];
extern char *migspec_rule_why(const MigspecRule *rule, const char *table, const char *object,
							  const char *detail, const char *other);

/*
 * in_use.c: who uses a column, or the table if that is NULL: "view v, function
 * f(integer)"; NULL if nobody is known.  A rename does not break what refers to
 * the column itself, only what names it in a text.  "sources" points to a
 * variable of the caller, NIL at first, that lives as long as the script.
 */
extern char *migspec_users_of(const MigspecWorldTable *table, const char *column,
							  bool only_texts, List **sources);

/*
 * waits.c: as migspec_waits_for() and, unless that is NULL, migspec_waits_ms();
 * CONCURRENTLY waits for more.
 */
extern char *migspec_waits_text(const MigspecEffect *effect, bool is_concurrent, double *ms);

/*
 * safe_way.c: statements are added one by one, with a semicolon and a line end.
 */
extern void migspec_way_add(MigspecWay *way, const char *format,...) pg_attribute_printf(2, 3);
extern void migspec_way_comment(MigspecWay *way, const char *format,...) pg_attribute_printf(2, 3);

/* for a lock that blocks others: give up soon; for a long one: do not */
extern void migspec_way_short(MigspecWay *way);
extern void migspec_way_long(MigspecWay *way);

/* the statement itself, and its text from after a keyword or a place on */
extern void migspec_way_source(MigspecWay *way);

/* a name for a new constraint or index: table_column_label, not yet in use */
extern char *migspec_way_name(const MigspecWorldTable *table, const char *column,
							  const char *label);

/* quoted, comma-separated list of String nodes */
extern char *migspec_way_strings(List *names);

/* names of the columns with these attnos */
extern char *migspec_way_columns(const MigspecWorldTable *table, List *attnos);

/* the table as the script leaves it, not as the statement finds it */
extern MigspecWorldTable *migspec_way_live(const MigspecWorldTable *table);

/* the type that a raw tree names; SQL text of a raw expression, or NULL */
extern char *migspec_way_type(const MigspecStatement *stmt, TypeName *type);
extern char *migspec_way_expr(const MigspecStatement *stmt, const MigspecWorldTable *table,
							  Node *raw, ParseExprKind kind);

extern const char *migspec_way_serial_type(const TypeName *type);

/* can migspec migrate this table? */
extern bool migspec_way_can_migrate(const MigspecWorldTable *table);

/* name of a migration, as a literal */
extern char *migspec_way_migration(const MigspecWorldTable *table, const char *what,
								   const char *column);

/* (expr), but not ((expr)) */
extern char *migspec_way_parenthesized(const char *expr);

/*
 * migspec_expand() of one operation, which "call" makes, and migspec_run(); in
 * two parts if something has to be deployed in between.
 */
extern void migspec_way_migrate(MigspecWay *way, const char *what, const char *column,
								const char *call, const char *deploy);

/* an UPDATE or DELETE in batches that commit; "statement" lacks its WHERE */
extern void migspec_way_batches(MigspecWay *way, const char *statement,
								const char *condition);

/* ADD COLUMN of the fact's ColumnDef, without its constraints */
extern ColumnDef *migspec_way_column(const MigspecWay *way);
extern Node *migspec_way_raw_default(const ColumnDef *column);
extern bool migspec_way_is_not_null(const ColumnDef *column);
extern void migspec_way_add_column(MigspecWay *way, ColumnDef *column);

/* safe_way_constraint.c */
extern void migspec_way_not_null(MigspecWay *way, const MigspecWorldTable *table,
								 const char *name, const char *column);

/* safe_way_index.c */
extern char *migspec_way_name_on_child(const MigspecWorldTable *child,
									   const MigspecWorldTable *table,
									   const char *index);
extern void migspec_way_create_index(MigspecWay *way, const MigspecWorldTable *table,
									 bool unique, const char *name, const char *rest);

/* The writers of safe ways, of the rules that rules.c names them for */
extern void migspec_way_add_check(MigspecWay *way);
extern void migspec_way_add_fk(MigspecWay *way);
extern void migspec_way_add_key(MigspecWay *way);
extern void migspec_way_alone(MigspecWay *way);
extern void migspec_way_analyze(MigspecWay *way);
extern void migspec_way_attach_default(MigspecWay *way);
extern void migspec_way_attach_fk(MigspecWay *way);
extern void migspec_way_attach_index(MigspecWay *way);
extern void migspec_way_attach_scan(MigspecWay *way);
extern void migspec_way_backfill(MigspecWay *way);
extern void migspec_way_bigint(MigspecWay *way);
extern void migspec_way_btree_index(MigspecWay *way);
extern void migspec_way_cascade(MigspecWay *way);
extern void migspec_way_change_type(MigspecWay *way);
extern void migspec_way_create_index_concurrently(MigspecWay *way);
extern void migspec_way_create_index_partitioned(MigspecWay *way);
extern void migspec_way_detach(MigspecWay *way);
extern void migspec_way_domain(MigspecWay *way);
extern void migspec_way_domain_column(MigspecWay *way);
extern void migspec_way_drop_column(MigspecWay *way);
extern void migspec_way_drop_constraint(MigspecWay *way);
extern void migspec_way_drop_fk(MigspecWay *way);
extern void migspec_way_drop_index(MigspecWay *way);
extern void migspec_way_drop_schema(MigspecWay *way);
extern void migspec_way_drop_table(MigspecWay *way);
extern void migspec_way_enforce(MigspecWay *way);
extern void migspec_way_fk_index(MigspecWay *way);
extern void migspec_way_fk_type(MigspecWay *way);
extern void migspec_way_generated(MigspecWay *way);
extern void migspec_way_in_use(MigspecWay *way);
extern void migspec_way_jsonb(MigspecWay *way);
extern void migspec_way_leftover(MigspecWay *way);
extern void migspec_way_merge_alter(MigspecWay *way);
extern void migspec_way_numeric(MigspecWay *way);
extern void migspec_way_outside(MigspecWay *way);
extern void migspec_way_partition_of(MigspecWay *way);
extern void migspec_way_pk_nullable(MigspecWay *way);
extern void migspec_way_primary_key(MigspecWay *way);
extern void migspec_way_recheck(MigspecWay *way);
extern void migspec_way_redundant_index(MigspecWay *way);
extern void migspec_way_refresh(MigspecWay *way);
extern void migspec_way_reindex(MigspecWay *way);
extern void migspec_way_rename_column(MigspecWay *way);
extern void migspec_way_rename_table(MigspecWay *way);
extern void migspec_way_repack(MigspecWay *way);
extern void migspec_way_replace_index(MigspecWay *way);
extern void migspec_way_replica_identity(MigspecWay *way);
extern void migspec_way_required_column(MigspecWay *way);
extern void migspec_way_serial(MigspecWay *way);
extern void migspec_way_set_expression(MigspecWay *way);
extern void migspec_way_set_logged(MigspecWay *way);
extern void migspec_way_set_not_null(MigspecWay *way);
extern void migspec_way_split(MigspecWay *way);
extern void migspec_way_text(MigspecWay *way);
extern void migspec_way_timeout(MigspecWay *way);
extern void migspec_way_timestamptz(MigspecWay *way);
extern void migspec_way_truncate(MigspecWay *way);
extern void migspec_way_truncate_cascade(MigspecWay *way);
extern void migspec_way_vacuum(MigspecWay *way);
extern void migspec_way_volatile_default(MigspecWay *way);
extern void migspec_way_wait_now(MigspecWay *way);
extern void migspec_way_window(MigspecWay *way);

#endif							/* MIGSPEC_CHECK_RULES_H */
