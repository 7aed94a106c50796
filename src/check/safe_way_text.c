/*-------------------------------------------------------------------------
 *
 * safe_way_text.c
 *		Safe ways that change a few words of a statement and keep the rest.
 *
 * There is no way back from a raw parse tree to text, and a person recognises
 * their own statement best.  So its text is taken apart into tokens, as far as
 * that is needed to find keywords, names and parentheses.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "utils/builtins.h"

#include "check/safe_way_text.h"

static bool
is_word_char(char c)
{
	return isalnum((unsigned char) c) || c == '_' || c == '$' || IS_HIGHBIT_SET(c);
}

/*
 * The end of what is quoted by the character at p, which may be doubled.
 */
static const char *
end_of_quoted(const char *p)
{
	char		quote = *p++;

	while (*p)
	{
		if (*p == quote && p[1] == quote)
			p++;
		else if (*p == quote)
			return p + 1;
		p++;
	}
	return p;
}

/*
 * The end of $tag$...$tag$, or NULL if it is none.
 */
static const char *
end_of_dollar(const char *p)
{
	const char *tag = p + 1;
	const char *end;
	char	   *delimiter;

	while (is_word_char(*tag) && *tag != '$')
		tag++;
	if (*tag != '$')
		return NULL;
	delimiter = pnstrdup(p, tag + 1 - p);
	end = strstr(tag + 1, delimiter);
	return end ? end + strlen(delimiter) : NULL;
}

static const char *
skip_space(const char *p)
{
	for (;;)
	{
		if (isspace((unsigned char) *p))
			p++;
		else if (p[0] == '-' && p[1] == '-')
		{
			while (*p && *p != '\n')
				p++;
		}
		else if (p[0] == '/' && p[1] == '*')
		{
			const char *end = strstr(p + 2, "*/");

			p = end ? end + 2 : p + strlen(p);
		}
		else
			return p;
	}
}

/*
 * The first token at or after p; its length is 0 at the end.
 */
MigspecToken
migspec_token(const char *p)
{
	MigspecToken token;
	const char *end = NULL;

	p = skip_space(p);
	token.start = p;
	if (*p == '\0')
		end = p;
	else if (*p == '\'' || *p == '"')
		end = end_of_quoted(p);
	else if (*p == '$')
		end = end_of_dollar(p);
	else if (is_word_char(*p))
	{
		end = p;
		while (is_word_char(*end))
			end++;
	}
	token.end = end ? end : p + 1;
	return token;
}

bool
migspec_token_is(MigspecToken token, const char *word)
{
	size_t		len = token.end - token.start;

	return len == strlen(word) && pg_strncasecmp(token.start, word, len) == 0;
}

/*
 * The first token that is this word outside of parentheses, from p on; its
 * length is 0 if there is none.
 */
MigspecToken
migspec_token_find(const char *p, const char *word)
{
	int			depth = 0;
	MigspecToken token;

	for (token = migspec_token(p); token.end > token.start; token = migspec_token(token.end))
	{
		if (*token.start == '(')
			depth++;
		else if (*token.start == ')')
			depth--;
		else if (depth == 0 && migspec_token_is(token, word))
			break;
	}
	return token;
}

/*
 * After a name that may be qualified.
 */
const char *
migspec_after_name(const char *p)
{
	MigspecToken token = migspec_token(p);

	for (;;)
	{
		MigspecToken dot = migspec_token(token.end);

		if (!migspec_token_is(dot, "."))
			return token.end;
		token = migspec_token(dot.end);
	}
}

/*
 * After the parenthesis that closes the one at p.
 */
const char *
migspec_after_parenthesis(const char *p)
{
	int			depth = 0;
	MigspecToken token;

	for (token = migspec_token(p); token.end > token.start; token = migspec_token(token.end))
	{
		if (*token.start == '(')
			depth++;
		else if (*token.start == ')' && --depth == 0)
			return token.end;
	}
	return token.end;
}

/*
 * After a type's name: words that belong together, a precision, brackets.
 */
const char *
migspec_after_type(const char *p)
{
	static const char *const more[] = {
		"varying", "precision", "with", "without", "time", "zone"
	};
	const char *end = migspec_after_name(p);

	for (;;)
	{
		MigspecToken token = migspec_token(end);
		bool		belongs = false;

		for (size_t i = 0; i < lengthof(more); i++)
			belongs = belongs || migspec_token_is(token, more[i]);
		if (migspec_token_is(token, "("))
			end = migspec_after_parenthesis(token.start);
		else if (belongs)
			end = token.end;
		else if (migspec_token_is(token, "["))
		{
			while (token.end > token.start && *token.start != ']')
				token = migspec_token(token.end);
			end = token.end;
		}
		else
			return end;
	}
}

/*
 * Where a node is in the text of its statement.  Locations count from the
 * beginning of the script or, if that could not be parsed as a whole, of the
 * statement; the name that has to be there tells.
 */
const char *
migspec_text_of_node(const MigspecStatement *stmt, int location, const char *name)
{
	int			places[] = {location - stmt->location, location};

	for (size_t i = 0; i < lengthof(places); i++)
	{
		const char *p = stmt->source + places[i];

		if (location >= 0 && places[i] >= 0 && places[i] < (int) strlen(stmt->source) &&
			(*p == '"' || pg_strncasecmp(p, name, strlen(name)) == 0))
			return p;
	}
	elog(ERROR, "\"%s\" is not where the statement has it", name);
}

/*
 * The text of the statement after the name of the relation it is about.
 */
const char *
migspec_text_after_relation(const MigspecStatement *stmt, const RangeVar *relation)
{
	return migspec_after_name(migspec_text_of_node(stmt, relation->location,
												   relation->catalogname ? relation->catalogname :
												   relation->schemaname ? relation->schemaname :
												   relation->relname));
}
