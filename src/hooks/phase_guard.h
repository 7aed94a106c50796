/*-------------------------------------------------------------------------
 *
 * phase_guard.h
 *		DDL that would break an active migration is refused.
 *
 * phase_guard.c watches what a statement does, phase_objects.c knows what is
 * protected, phase_statement.c looks at a statement before it takes any lock,
 * phase_outcome.c at what has become of everything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PHASE_GUARD_H
#define MIGSPEC_PHASE_GUARD_H

#include "postgres.h"
#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"

#include "catalog/active.h"

/* a statement that is being watched; they nest */
typedef struct MigspecPhaseFrame
{
	struct MigspecPhaseFrame *previous;
	MemoryContext context;		/* outlives transactions; NULL until needed */
	bool		restoring;		/* a dump: what is new was there already */
	bool		concurrently;	/* it commits before it has ended */
	bool		targets_known;
	List	   *targets;		/* of MigspecTarget * */
	List	   *actives;		/* of MigspecActive *, as far as needed */
	List	   *watches;		/* of MigspecPhaseWatch * */
	List	   *created;		/* of ObjectAddress *: look at them at the end */
	List	   *altered;		/* of MigspecPhaseAltered * */
	List	   *deferred;		/* of MigspecPhaseViolation *: only if the
								 * object's own table is still there at the
								 * end */
	Oid			publication;	/* that is altered */
	char	   *publication_name;
	List	   *overridden;		/* of MigspecPhaseViolation *: to be recorded */
} MigspecPhaseFrame;

/* a column as it was before the statement */
typedef struct MigspecPhaseColumn
{
	AttrNumber	attno;
	char	   *name;
	Oid			type;
	int32		typmod;
	bool		not_null;
	char		identity;
} MigspecPhaseColumn;

/* a table (or partition) of a migration as it was before the statement */
typedef struct MigspecPhaseWatch
{
	Oid			relid;
	Oid			root;
	MigspecActive *active;
	Oid			namespace;
	char	   *schema;
	char	   *name;
	List	   *columns;		/* of MigspecPhaseColumn * */
	char	   *trigger_problem;	/* that was there already, or NULL */
} MigspecPhaseWatch;

/* an object that hangs on a guarded column, before it was altered */
typedef struct MigspecPhaseAltered
{
	ObjectAddress object;
	MigspecActive *active;
	bool		is_protected;
	char	   *identity;
	List	   *columns;		/* of int: guarded columns it hangs on */
} MigspecPhaseAltered;

typedef struct MigspecPhaseViolation
{
	MigspecActive *active;
	Oid			relid;			/* the object's own table, if deferred */
	Oid			root;			/* of which it must still be a partition */
	char	   *what;
	char	   *why;
} MigspecPhaseViolation;

/* phase_guard.c */

/*
 * Around a utility statement: begin looks at it before it takes any lock, end
 * looks at what it has done.  Both refuse with MG501.  Release must follow
 * begin in any case, also after an error.
 */
extern void migspec_phase_guard_begin(MigspecPhaseFrame *frame, Node *statement);
extern void migspec_phase_guard_end(MigspecPhaseFrame *frame);
extern void migspec_phase_guard_release(MigspecPhaseFrame *frame);
extern void migspec_phase_guard_init(void);

/*
 * Error MG501, or, while the guard is off, a note in the frame.  "what" is
 * what was about to be done, as in 'cannot <what>'.
 */
extern void migspec_phase_violation(MigspecPhaseFrame *frame, MigspecActive *active,
									char *what, char *why);

/* the targets as they are now; forgets older ones */
extern void migspec_phase_read_targets(MigspecPhaseFrame *frame);

/*
 * The target that a relation is, or is a partition of (InvalidOid: none), and
 * its migration.
 */
extern Oid	migspec_phase_root(MigspecPhaseFrame *frame, Oid relid);
extern MigspecActive *migspec_phase_active(MigspecPhaseFrame *frame, Oid root);

/* remember what the relation is like now, once */
extern void migspec_phase_watch(MigspecPhaseFrame *frame, Oid relid, Oid root,
								bool is_before);

/* phase_objects.c */

/* name of a column, table, or other object for messages */
extern char *migspec_phase_column_label(Oid relid, const char *column);
extern char *migspec_phase_object_label(const ObjectAddress *object);

/*
 * Why a column of a table must stay as it is (NULL: it need not).  The second
 * is stricter: its name alone matters, because the plan's statements have it.
 */
extern char *migspec_phase_column_role(const MigspecActive *active, Oid root,
									   const char *column);
extern char *migspec_phase_column_needed(const MigspecActive *active, Oid root,
										 const char *column);

/* is it an old column, or a marker: nothing new may hang on it? */
extern bool migspec_phase_is_old_column(const MigspecActive *active, Oid root,
										const char *column);

/* is it an old or a new column? */
extern bool migspec_phase_is_paired_column(const MigspecActive *active, Oid root,
										   const char *column);

/* do the statements of the plan name a column, or lock a table? */
extern bool migspec_phase_plan_names(const MigspecActive *active, const char *name);
extern bool migspec_phase_plan_locks(const MigspecActive *active, Oid relid);

/* "type identity", as step.carries has it; NULL if it cannot be told */
extern char *migspec_phase_identity(const ObjectAddress *object);

/* why an object must stay as it is; NULL if it need not */
extern char *migspec_phase_object_role(const MigspecActive *active,
									   const ObjectAddress *object);
extern bool migspec_phase_is_carried(const MigspecActive *active,
									 const char *identity);
extern bool migspec_phase_is_hidden(const MigspecActive *active,
									const char *name);

/*
 * What an object depends on: columns and tables that are targets or their
 * partitions.  List of ObjectAddress * of class pg_class.
 */
extern List *migspec_phase_references(MigspecPhaseFrame *frame,
									  const ObjectAddress *object);

/* the attnos among them, each once, in their order (List of int) */
extern List *migspec_phase_referenced_columns(MigspecPhaseFrame *frame,
											  const ObjectAddress *object);

/*
 * The table that an object goes with: for a foreign key, the referring one.
 * "relid" is one that it depends on.
 */
extern Oid	migspec_phase_own_table(const ObjectAddress *object, Oid relid);

/* does it come from a parent's object (a partition's index, constraint ...)? */
extern bool migspec_phase_is_inherited(const ObjectAddress *object);

/* name and table of a trigger; NULL if there is none */
extern char *migspec_phase_trigger_name(Oid trigger, Oid *relid);

/* the table or view that a rule is for, and whether it makes it a view */
extern Oid	migspec_phase_rule_table(Oid rule, bool *is_view);

/* does the migration need the sync trigger on this target now? */
extern bool migspec_phase_needs_trigger(const MigspecActive *active, Oid root);

/* what is wrong with the sync trigger of a table; NULL if it works */
extern char *migspec_phase_trigger_problem(const MigspecActive *active, Oid relid,
										   Oid root);

/* id of the operation whose up or down this function is, 0 if it is none */
extern int64 migspec_phase_function_operation(Oid function);
extern bool migspec_phase_has_operation(const MigspecActive *active, int64 id);

/* phase_statement.c */
extern void migspec_phase_check_statement(MigspecPhaseFrame *frame, Node *statement);

/* phase_outcome.c */
extern void migspec_phase_check_outcome(MigspecPhaseFrame *frame);

#endif							/* MIGSPEC_PHASE_GUARD_H */
