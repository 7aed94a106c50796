/*-------------------------------------------------------------------------
 *
 * script_split.c
 *		The statements of a script.
 *
 * Normally the server's parser splits it.  If that finds an error, it gives
 * no statement at all; then the text is cut at its semicolons, as psql would,
 * and each piece is parsed by itself.  On that way, commands of psql (lines
 * that begin with a backslash) and the data of COPY FROM STDIN are skipped.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/keywords.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "parser/scanner.h"
#include "parser/scansup.h"

#include "check/check.h"
#include "check/script.h"

typedef struct Parse
{
	const char *sql;
	List	   *raw;			/* of RawStmt * */
} Parse;

/* what the server's scanner has found so far in a statement, see psqlscan.l */
typedef struct Cutter
{
	const char *sql;
	int			start;			/* of the statement */
	int			offset;			/* where the scanner was started */
	List	   *ends;			/* of int, pairs: begin and end of statements */
	int			tokens;			/* in this statement */
	int			paren_depth;
	int			begin_depth;	/* of BEGIN ATOMIC */
	int			words;
	char		initials[4];	/* of its first words */
} Cutter;

static void
parse(void *arg)
{
	Parse	   *p = arg;

	p->raw = raw_parser(p->sql, RAW_PARSE_DEFAULT);
}

/*
 * Go over white space and comments.
 */
static int
skip_leading(const char *sql, int from, int to)
{
	while (from < to)
	{
		if (scanner_isspace(sql[from]))
			from++;
		else if (sql[from] == '-' && from + 1 < to && sql[from + 1] == '-')
		{
			while (from < to && sql[from] != '\n' && sql[from] != '\r')
				from++;
		}
		else if (sql[from] == '/' && from + 1 < to && sql[from + 1] == '*')
		{
			int			depth = 0;

			do
			{
				if (from + 1 < to && sql[from] == '/' && sql[from + 1] == '*')
				{
					depth++;
					from += 2;
				}
				else if (from + 1 < to && sql[from] == '*' && sql[from + 1] == '/')
				{
					depth--;
					from += 2;
				}
				else
					from++;
			} while (depth > 0 && from < to);
		}
		else
			break;
	}
	return from;
}

static MigspecPiece *
make_piece(const char *sql, int from, int to)
{
	MigspecPiece *piece = palloc0(sizeof(MigspecPiece));

	from = skip_leading(sql, from, to);
	while (to > from && scanner_isspace(sql[to - 1]))
		to--;
	piece->location = from;
	piece->source = pnstrdup(sql + from, to - from);
	piece->tree = (Node *) makeNode(RawStmt);
	return piece;
}

static void
start_statement(Cutter *cutter, int offset)
{
	cutter->start = offset;
	cutter->tokens = 0;
	cutter->paren_depth = 0;
	cutter->begin_depth = 0;
	cutter->words = 0;
	memset(cutter->initials, 0, sizeof(cutter->initials));
}

static bool
is_word(const char *sql, const char *word)
{
	size_t		len = strlen(word);

	return pg_strncasecmp(sql, word, len) == 0 &&
		!(isalnum((unsigned char) sql[len]) || sql[len] == '_' || sql[len] == '$' ||
		  IS_HIGHBIT_SET(sql[len]));
}

/*
 * CREATE [OR REPLACE] FUNCTION or PROCEDURE may have semicolons in its body.
 */
static void
note_word(Cutter *cutter, const char *word)
{
	const char *is = cutter->initials;

	if (cutter->words < (int) lengthof(cutter->initials))
	{
		static const char *const telling[] = {
			"create", "function", "procedure", "or", "replace"
		};

		for (int i = 0; i < (int) lengthof(telling); i++)
		{
			if (is_word(word, telling[i]))
				cutter->initials[cutter->words] = telling[i][0];
		}
	}
	cutter->words++;
	if (cutter->paren_depth > 0 || is[0] != 'c' ||
		!(is[1] == 'f' || is[1] == 'p' ||
		  (is[1] == 'o' && is[2] == 'r' && (is[3] == 'f' || is[3] == 'p'))))
		return;
	if (is_word(word, "begin") || (is_word(word, "case") && cutter->begin_depth > 0))
		cutter->begin_depth++;
	else if (is_word(word, "end") && cutter->begin_depth > 0)
		cutter->begin_depth--;
}

static int
next_line(const char *sql, int offset)
{
	offset += strcspn(sql + offset, "\n");
	return sql[offset] == '\n' ? offset + 1 : offset;
}

/*
 * Behind the data of COPY ... FROM STDIN, if the statement is one.
 */
static int
skip_copy_data(const char *sql, int from, int end)
{
	MigspecPiece *piece = make_piece(sql, from, end);
	Parse		p = {.sql = piece->source};
	int			offset;

	if (!is_word(piece->source, "copy") || migspec_check_try(parse, &p) != NULL ||
		list_length(p.raw) != 1 ||
		!IsA(linitial_node(RawStmt, p.raw)->stmt, CopyStmt))
		return end + 1;
	else
	{
		CopyStmt   *copy = (CopyStmt *) linitial_node(RawStmt, p.raw)->stmt;

		if (!copy->is_from || copy->filename != NULL || copy->is_program)
			return end + 1;
	}
	for (offset = next_line(sql, end); sql[offset] != '\0'; offset = next_line(sql, offset))
	{
		if (strncmp(sql + offset, "\\.", 2) == 0)
			return next_line(sql, offset);
	}
	return offset;
}

/*
 * Look at the text from cutter->offset to the end of the next statement or
 * line for psql.  Returns where to go on, or -1 at the end.
 */
static int
cut_one(Cutter *cutter, core_yyscan_t scanner)
{
	core_YYSTYPE value;
	YYLTYPE		location;
	int			token;

	while ((token = core_yylex(&value, &location, scanner)) != 0)
	{
		int			at = cutter->offset + location;
		const char *word = cutter->sql + at;

		if (token == '\\' && cutter->tokens == 0)
		{
			start_statement(cutter, next_line(cutter->sql, at));
			return cutter->start;
		}
		if (token == ';' && cutter->paren_depth == 0 && cutter->begin_depth == 0)
		{
			int			begin = cutter->start;
			int			next;

			cutter->ends = lappend_int(lappend_int(cutter->ends, begin), at);
			next = skip_copy_data(cutter->sql, begin, at);
			start_statement(cutter, next);
			if (next != at + 1)
				return next;
			continue;
		}
		cutter->tokens++;
		if (token == '(')
			cutter->paren_depth++;
		else if (token == ')' && cutter->paren_depth > 0)
			cutter->paren_depth--;
		else if (isalpha((unsigned char) *word))
			note_word(cutter, word);
	}
	return -1;
}

static void
cut(void *arg)
{
	Cutter	   *cutter = arg;

	do
	{
		core_yy_extra_type extra;
		core_yyscan_t scanner = scanner_init(cutter->sql + cutter->offset, &extra,
											 &ScanKeywords, ScanKeywordTokens);
		int			next = cut_one(cutter, scanner);

		scanner_finish(scanner);
		cutter->offset = next;
	} while (cutter->offset >= 0);
}

/*
 * The pieces between semicolons.  An error of the scanner, such as a quote
 * that does not end, makes all the rest one piece.
 */
static List *
pieces_by_hand(const char *sql)
{
	Cutter		cutter = {.sql = sql};
	List	   *pieces = NIL;

	(void) migspec_check_try(cut, &cutter);
	cutter.ends = lappend_int(lappend_int(cutter.ends, cutter.start), strlen(sql));
	for (int i = 0; i < list_length(cutter.ends); i += 2)
	{
		MigspecPiece *piece = make_piece(sql, list_nth_int(cutter.ends, i),
										 list_nth_int(cutter.ends, i + 1));
		Parse		p = {.sql = piece->source};

		if (piece->source[0] == '\0')
			continue;
		piece->error = migspec_check_try(parse, &p);
		if (piece->error == NULL && p.raw == NIL)
			continue;
		if (piece->error == NULL)
			piece->tree = linitial_node(RawStmt, p.raw)->stmt;
		pieces = lappend(pieces, piece);
	}
	return pieces;
}

/*
 * migspec_script_split -- see script.h.
 */
List *
migspec_script_split(const char *sql)
{
	Parse		p = {.sql = sql};
	List	   *pieces = NIL;
	ListCell   *lc;

	if (migspec_check_try(parse, &p) != NULL)
		return pieces_by_hand(sql);
	foreach(lc, p.raw)
	{
		RawStmt    *raw = lfirst_node(RawStmt, lc);
		int			from = Max(raw->stmt_location, 0);
		int			to = raw->stmt_len > 0 ? from + raw->stmt_len : (int) strlen(sql);
		MigspecPiece *piece = make_piece(sql, from, to);

		piece->tree = raw->stmt;
		pieces = lappend(pieces, piece);
	}
	return pieces;
}
