/*-------------------------------------------------------------------------
 *
 * params.h
 *		Put something in the place of the parameters of an SQL text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_PARAMS_H
#define MIGSPEC_PARAMS_H

/*
 * The text, palloc'd, with every "$n" (as the server's scanner finds it)
 * replaced by what fill(n, arg) returns.
 */
extern char *migspec_fill_params(const char *sql,
								 const char *(*fill) (int n, void *arg),
								 void *arg);

#endif							/* MIGSPEC_PARAMS_H */
