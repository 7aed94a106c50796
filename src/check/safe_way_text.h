/*-------------------------------------------------------------------------
 *
 * safe_way_text.h
 *		Tokens of a statement's text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MIGSPEC_SAFE_WAY_TEXT_H
#define MIGSPEC_SAFE_WAY_TEXT_H

#include "check/check.h"

/* start = end: the text is at its end */
typedef struct MigspecToken
{
	const char *start;
	const char *end;
} MigspecToken;

/*
 * The first token at or after p: a word, a quoted thing, or one character.
 * Comments are skipped.
 */
extern MigspecToken migspec_token(const char *p);
extern bool migspec_token_is(MigspecToken token, const char *word);
extern MigspecToken migspec_token_find(const char *p, const char *word);

/* the place after the thing that begins at p */
extern const char *migspec_after_name(const char *p);
extern const char *migspec_after_parenthesis(const char *p);
extern const char *migspec_after_type(const char *p);

/*
 * Places in a statement's source: of a node that begins with this name, and
 * after the name of a relation.  They raise an error if it is not there.
 */
extern const char *migspec_text_of_node(const MigspecStatement *stmt, int location,
										const char *name);
extern const char *migspec_text_after_relation(const MigspecStatement *stmt,
											   const RangeVar *relation);

#endif							/* MIGSPEC_SAFE_WAY_TEXT_H */
