/*-------------------------------------------------------------------------
 *
 * waits.c
 *		Who is in the way of a lock now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/check.h"

char *
migspec_waits_for(const MigspecEffect *effect)
{
	return NULL;
}

double
migspec_waits_ms(const MigspecEffect *effect)
{
	return 0;
}
