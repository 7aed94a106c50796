/*-------------------------------------------------------------------------
 *
 * arbiter.h
 *		INSERT ... ON CONFLICT while two unique indexes stand for one key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_ARBITER_H
#define MIGSPEC_ARBITER_H

extern void migspec_arbiter_init(void);

#endif							/* MIGSPEC_ARBITER_H */
