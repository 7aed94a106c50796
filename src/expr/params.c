/*-------------------------------------------------------------------------
 *
 * params.c
 *		Put something in the place of the parameters of an SQL text.
 *
 * To print an expression with other names for its columns, they are replaced
 * by parameters, the server deparses it, and then the names are filled in.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/keywords.h"
#include "lib/stringinfo.h"
#include "parser/scanner.h"

#include "expr/params.h"

/*
 * The scanner's code for "$n".  It is fixed: gram.y lists the tokens that are
 * no keywords first, so that PL/pgSQL can share the scanner.
 */
#define TOKEN_PARAM 267

/*
 * migspec_fill_params -- see params.h.
 */
char *
migspec_fill_params(const char *sql, const char *(*fill) (int n, void *arg),
					void *arg)
{
	StringInfoData result;
	core_yyscan_t scanner;
	core_yy_extra_type extra;
	core_YYSTYPE value;
	YYLTYPE		location;
	int			token;
	int			copied = 0;

	initStringInfo(&result);
	scanner = scanner_init(sql, &extra, &ScanKeywords, ScanKeywordTokens);
	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		if (token != TOKEN_PARAM)
			continue;
		appendBinaryStringInfo(&result, sql + copied, location - copied);
		appendStringInfoString(&result, fill(value.ival, arg));
		copied = location + 1 + strspn(sql + location + 1, "0123456789");
	}
	scanner_finish(scanner);
	appendStringInfoString(&result, sql + copied);
	return result.data;
}
