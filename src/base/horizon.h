/*-------------------------------------------------------------------------
 *
 * horizon.h
 *		Waiting in a function without holding back everybody else.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_HORIZON_H
#define MIGSPEC_HORIZON_H

#include "postgres.h"

/*
 * Stop holding back the xmin horizon, if the calling statement can do without
 * its snapshot.  To be called before each nap of a function that waits for a
 * worker.  Does nothing where it is not safe.
 */
extern void migspec_horizon_release(void);

#endif							/* MIGSPEC_HORIZON_H */
