/*-------------------------------------------------------------------------
 *
 * errors.h
 *		SQLSTATEs of migspec: class MG, one per thing a client may want to
 *		tell apart.  They never change their meaning.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_ERRORS_H
#define MIGSPEC_ERRORS_H

/* the operations document */
#define ERRCODE_MIGSPEC_MALFORMED_OPERATIONS	MAKE_SQLSTATE('M', 'G', '0', '0', '1')
#define ERRCODE_MIGSPEC_UNKNOWN_OPERATION		MAKE_SQLSTATE('M', 'G', '0', '0', '2')
#define ERRCODE_MIGSPEC_UNSUPPORTED_OPERATION	MAKE_SQLSTATE('M', 'G', '0', '0', '3')

/* what the operations name */
#define ERRCODE_MIGSPEC_UNDEFINED_TABLE			MAKE_SQLSTATE('M', 'G', '1', '0', '1')
#define ERRCODE_MIGSPEC_UNDEFINED_COLUMN		MAKE_SQLSTATE('M', 'G', '1', '0', '2')
#define ERRCODE_MIGSPEC_DUPLICATE_COLUMN		MAKE_SQLSTATE('M', 'G', '1', '0', '3')
#define ERRCODE_MIGSPEC_UNDEFINED_TYPE			MAKE_SQLSTATE('M', 'G', '1', '0', '4')
#define ERRCODE_MIGSPEC_WRONG_TABLE_KIND		MAKE_SQLSTATE('M', 'G', '1', '0', '5')
#define ERRCODE_MIGSPEC_DEPENDENT_OBJECTS		MAKE_SQLSTATE('M', 'G', '1', '0', '6')
#define ERRCODE_MIGSPEC_NOT_OWNER				MAKE_SQLSTATE('M', 'G', '1', '0', '7')
#define ERRCODE_MIGSPEC_IRREVERSIBLE			MAKE_SQLSTATE('M', 'G', '1', '0', '8')

/* up and down */
#define ERRCODE_MIGSPEC_EXPRESSION_SYNTAX		MAKE_SQLSTATE('M', 'G', '2', '0', '1')
#define ERRCODE_MIGSPEC_EXPRESSION_TYPE			MAKE_SQLSTATE('M', 'G', '2', '0', '2')
#define ERRCODE_MIGSPEC_EXPRESSION_FAILS		MAKE_SQLSTATE('M', 'G', '2', '0', '3')
#define ERRCODE_MIGSPEC_EXPRESSION_UNSUPPORTED	MAKE_SQLSTATE('M', 'G', '2', '0', '4')

/* phases */
#define ERRCODE_MIGSPEC_UNDEFINED_MIGRATION		MAKE_SQLSTATE('M', 'G', '3', '0', '1')
#define ERRCODE_MIGSPEC_DUPLICATE_MIGRATION		MAKE_SQLSTATE('M', 'G', '3', '0', '2')
#define ERRCODE_MIGSPEC_WRONG_PHASE				MAKE_SQLSTATE('M', 'G', '3', '0', '3')
#define ERRCODE_MIGSPEC_TABLE_BUSY				MAKE_SQLSTATE('M', 'G', '3', '0', '4')
#define ERRCODE_MIGSPEC_CHANGED_SINCE_PLAN		MAKE_SQLSTATE('M', 'G', '3', '0', '5')
#define ERRCODE_MIGSPEC_OLD_SHAPE_IN_USE		MAKE_SQLSTATE('M', 'G', '3', '0', '6')

/* running */
#define ERRCODE_MIGSPEC_LOCK_NOT_GRANTED		MAKE_SQLSTATE('M', 'G', '4', '0', '1')
#define ERRCODE_MIGSPEC_NOT_PRELOADED			MAKE_SQLSTATE('M', 'G', '4', '0', '2')
#define ERRCODE_MIGSPEC_SYNC_TRIGGER_MISSING	MAKE_SQLSTATE('M', 'G', '4', '0', '3')
#define ERRCODE_MIGSPEC_ROWS_FAILED				MAKE_SQLSTATE('M', 'G', '4', '0', '4')
#define ERRCODE_MIGSPEC_ROWS_DIFFER				MAKE_SQLSTATE('M', 'G', '4', '0', '5')
#define ERRCODE_MIGSPEC_SYNC_CONFLICT			MAKE_SQLSTATE('M', 'G', '4', '0', '6')
#define ERRCODE_MIGSPEC_WORKER					MAKE_SQLSTATE('M', 'G', '4', '0', '7')
#define ERRCODE_MIGSPEC_TIMEOUT					MAKE_SQLSTATE('M', 'G', '4', '0', '8')
#define ERRCODE_MIGSPEC_VERSION_MISMATCH		MAKE_SQLSTATE('M', 'G', '4', '0', '9')
#define ERRCODE_MIGSPEC_WORKER_FAILED			MAKE_SQLSTATE('M', 'G', '4', '1', '0')

/* guards */
#define ERRCODE_MIGSPEC_PHASE_GUARD				MAKE_SQLSTATE('M', 'G', '5', '0', '1')
#define ERRCODE_MIGSPEC_GUARD_WORK				MAKE_SQLSTATE('M', 'G', '5', '0', '2')
#define ERRCODE_MIGSPEC_GUARD_WAIT				MAKE_SQLSTATE('M', 'G', '5', '0', '3')

/* flags */
#define ERRCODE_MIGSPEC_UNDEFINED_FLAG			MAKE_SQLSTATE('M', 'G', '6', '0', '1')
#define ERRCODE_MIGSPEC_MALFORMED_FLAG			MAKE_SQLSTATE('M', 'G', '6', '0', '2')
#define ERRCODE_MIGSPEC_NOT_FLAG_OWNER			MAKE_SQLSTATE('M', 'G', '6', '0', '3')
#define ERRCODE_MIGSPEC_WRONG_STAGE				MAKE_SQLSTATE('M', 'G', '6', '0', '4')
#define ERRCODE_MIGSPEC_FLAG_FROZEN				MAKE_SQLSTATE('M', 'G', '6', '0', '5')

#endif							/* MIGSPEC_ERRORS_H */
