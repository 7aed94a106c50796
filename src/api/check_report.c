/*-------------------------------------------------------------------------
 *
 * check_report.c
 *		migspec_check_report(): findings for people, programs and reviewers.
 *
 * Runs in the process of a session, inside a transaction; what migspec_check()
 * says of locks holds here as well.
 *
 * A comment "-- migspec:ignore rule-id why it is good" in front of a statement,
 * inside of it or behind it on its last line hides findings of that rule, or
 * of several, separated by commas.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "api/api.h"
#include "check/check.h"
#include "migspec.h"

PG_FUNCTION_INFO_V1(migspec_sql_check_report);

#define IGNORE_MARK		"migspec:ignore"

/* 1-based, in characters */
typedef struct Place
{
	int			line;
	int			column;
} Place;

/* one report */
typedef struct Report
{
	const char *script;			/* with what is meant to run before */
	int			begin;			/* where the checked text begins in it */
	int			before;			/* statements that come before it */
	const char *uri;
	List	   *statements;
	List	   *findings;		/* those that are about the text */
	StringInfoData out;
	int			known;			/* a location, and where that is */
	Place		place;
} Report;

/*
 * Where a byte of the script is, in the text that is checked.  Findings come in
 * the order of the script, so that most of it need not be read again.
 */
static Place
place_of(Report *report, int location)
{
	const char *p;

	if (location < report->known || report->known == 0)
	{
		report->known = report->begin;
		report->place.line = report->place.column = 1;
	}
	for (p = report->script + report->known; p < report->script + location; p += pg_mblen(p))
	{
		if (*p == '\n')
		{
			report->place.line++;
			report->place.column = 1;
		}
		else
			report->place.column++;
	}
	report->known = p - report->script;
	return report->place;
}

static int
end_of(const MigspecStatement *stmt)
{
	return stmt->location + strlen(stmt->source);
}

/*
 * Does the comment's list name the rule?  Then, what comes after the list.
 */
static const char *
ignore_reason(const char *mark, const char *rule)
{
	const char *p = mark + strlen(IGNORE_MARK);
	bool		found = false;

	p += strspn(p, " \t:");
	for (;;)
	{
		size_t		len = strcspn(p, ", \t\r\n");

		found = found || (len == strlen(rule) && strncmp(p, rule, len) == 0);
		p += len;
		if (*p != ',')
			break;
		p++;
		p += strspn(p, " \t");
	}
	if (!found)
		return NULL;
	p += strspn(p, " \t");
	return pnstrdup(p, strcspn(p, "\r\n"));
}

/*
 * Why a finding is to be ignored; NULL if it is not.  A comment belongs to the
 * statement on whose last line it begins, else to the next.
 */
static const char *
ignored(const Report *report, const MigspecFinding *finding)
{
	const MigspecStatement *stmt = finding->source;
	int			from = report->begin;
	int			to = end_of(stmt);
	const char *p;
	char	   *text_of_stmt;

	if (stmt->number > 1)
	{
		from = Max(from, end_of(list_nth(report->statements, stmt->number - 2)));
		if (from > report->begin)
			from += strcspn(report->script + from, "\n");
		from = Min(from, stmt->location);
	}
	to += strcspn(report->script + to, "\n");
	if (to <= from)
		return NULL;
	text_of_stmt = pnstrdup(report->script + from, to - from);
	for (p = text_of_stmt; (p = strstr(p, IGNORE_MARK)) != NULL; p++)
	{
		const char *reason = ignore_reason(p, finding->rule);
		const char *dashes = p;

		while (dashes > text_of_stmt && (dashes[-1] == ' ' || dashes[-1] == '\t'))
			dashes--;
		if (reason != NULL && dashes - text_of_stmt >= 2 &&
			dashes[-1] == '-' && dashes[-2] == '-')
			return reason;
	}
	return NULL;
}

/*
 * The first line of a statement.
 */
static char *
first_line(const char *source)
{
	size_t		len = strcspn(source, "\r\n");
	bool		more = source[len] != '\0';

	if (len > 100)
	{
		len = pg_mbcliplen(source, len, 100);
		more = true;
	}
	return psprintf("%.*s%s", (int) len, source, more ? " ..." : "");
}

static char *
size_of(uint64 bytes)
{
	return TextDatumGetCString(DirectFunctionCall1(pg_size_pretty, Int64GetDatum((int64) bytes)));
}

static char *
duration_of(double seconds)
{
	if (seconds < 1)
		return psprintf("%d ms", (int) ceil(seconds * 1000));
	if (seconds < 120)
		return psprintf("%.0f s", seconds);
	if (seconds < 7200)
		return psprintf("%.0f min", seconds / 60);
	return psprintf("%.1f h", seconds / 3600);
}

/*
 * Lines of a text, indented.
 */
static void
append_indented(StringInfo out, const char *label, const char *lines)
{
	appendStringInfo(out, "      %s ", label);
	for (const char *p = lines; *p; p++)
	{
		appendStringInfoChar(out, *p);
		if (*p == '\n')
			appendStringInfoString(out, "        ");
	}
	appendStringInfoChar(out, '\n');
}

static void
append_locks(StringInfo out, const MigspecFinding *finding)
{
	ListCell   *cell;

	if (finding->lock == NoLock && finding->other_locks == NIL)
		return;
	appendStringInfoString(out, "      lock: ");
	if (finding->lock != NoLock)
		appendStringInfo(out, "%s on %s", GetLockmodeName(DEFAULT_LOCKMETHOD, finding->lock),
						 finding->object);
	foreach(cell, finding->other_locks)
		appendStringInfo(out, "%s%s", foreach_current_index(cell) > 0 || finding->lock != NoLock ?
						 ", " : "", (char *) lfirst(cell));
	appendStringInfoChar(out, '\n');
}

/*
 * A block for each statement with findings, and a line for each thing to know
 * about them.
 */
static void
report_text(Report *report)
{
	StringInfo	out = &report->out;
	int			counts[MIGSPEC_ERROR + 1] = {0};
	int			statement = 0;
	int			hidden = 0;
	ListCell   *cell;

	foreach(cell, report->findings)
	{
		const MigspecFinding *finding = lfirst(cell);

		if (ignored(report, finding) != NULL)
		{
			hidden++;
			continue;
		}
		counts[finding->severity]++;
		if (finding->statement != statement)
		{
			statement = finding->statement;
			appendStringInfo(out, "%sStatement %d, line %d: %s\n", out->len > 0 ? "\n" : "",
							 statement - report->before,
							 place_of(report, finding->source->location).line,
							 first_line(finding->source->source));
		}
		appendStringInfo(out, "  %s: %s%s%s\n", migspec_severity_name(finding->severity),
						 finding->rule, finding->object ? " on " : "",
						 finding->object ? finding->object : "");
		append_indented(out, "why:", finding->why);
		append_locks(out, finding);
		if (finding->work != 0)
			appendStringInfo(out, "      work: %s, %s, about %s\n",
							 migspec_work_name(finding->work), size_of(finding->bytes),
							 duration_of(finding->seconds));
		if (finding->waits_for != NULL)
			append_indented(out, "waits for:", finding->waits_for);
		if (finding->safe_way != NULL)
			append_indented(out, "safe way:\n       ", finding->safe_way);
	}
	if (out->len > 0)
		appendStringInfoChar(out, '\n');
	appendStringInfo(out, "statements: %d, errors: %d, dangers: %d, warnings: %d, infos: %d",
					 list_length(report->statements) - report->before, counts[MIGSPEC_ERROR],
					 counts[MIGSPEC_DANGER], counts[MIGSPEC_WARNING], counts[MIGSPEC_INFO]);
	if (hidden > 0)
		appendStringInfo(out, ", ignored: %d", hidden);
	appendStringInfoChar(out, '\n');
}

/*
 * "key": "value", or null.
 */
static void
json_text(StringInfo out, const char *key, const char *value)
{
	appendStringInfo(out, "\"%s\": ", key);
	if (value == NULL)
		appendStringInfoString(out, "null");
	else
		escape_json(out, value);
}

static void
json_strings(StringInfo out, const char *key, List *values)
{
	ListCell   *cell;

	appendStringInfo(out, "\"%s\": [", key);
	foreach(cell, values)
	{
		if (foreach_current_index(cell) > 0)
			appendStringInfoString(out, ", ");
		escape_json(out, lfirst(cell));
	}
	appendStringInfoChar(out, ']');
}

/*
 * What migspec_check() has in its columns, but for the statement.
 */
static void
json_facts(StringInfo out, const MigspecFinding *finding)
{
	json_text(out, "severity", migspec_severity_name(finding->severity));
	appendStringInfoString(out, ", ");
	json_text(out, "object", finding->object);
	appendStringInfoString(out, ", ");
	json_text(out, "lock_mode", finding->lock == NoLock ? NULL :
			  GetLockmodeName(DEFAULT_LOCKMETHOD, finding->lock));
	appendStringInfoString(out, ", ");
	json_strings(out, "other_locks", finding->other_locks);
	appendStringInfoString(out, ", ");
	json_text(out, "work", migspec_work_name(finding->work));
	appendStringInfo(out, ", \"work_bytes\": " UINT64_FORMAT ", \"est_seconds\": %.3f, ",
					 finding->bytes, finding->seconds);
	json_text(out, "waits_for", finding->waits_for);
	appendStringInfoString(out, ", ");
	json_text(out, "safe_way", finding->safe_way);
}

static void
report_json(Report *report)
{
	StringInfo	out = &report->out;
	ListCell   *cell;

	appendStringInfoChar(out, '{');
	json_text(out, "uri", report->uri);
	appendStringInfo(out, ", \"statements\": %d, \"findings\": [",
					 list_length(report->statements) - report->before);
	foreach(cell, report->findings)
	{
		const MigspecFinding *finding = lfirst(cell);
		Place		place = place_of(report, finding->source->location);

		appendStringInfo(out, "%s\n{\"statement\": %d, \"line\": %d, \"column\": %d, ",
						 foreach_current_index(cell) > 0 ? "," : "",
						 finding->statement - report->before, place.line, place.column);
		json_text(out, "rule", finding->rule);
		appendStringInfoString(out, ", ");
		json_facts(out, finding);
		appendStringInfoString(out, ", ");
		json_text(out, "why", finding->why);
		appendStringInfoString(out, ", ");
		json_text(out, "ignored", ignored(report, finding));
		appendStringInfoChar(out, '}');
	}
	appendStringInfoString(out, "]}\n");
}

static const char *
sarif_level(MigspecSeverity severity)
{
	return severity >= MIGSPEC_DANGER ? "error" :
		severity == MIGSPEC_WARNING ? "warning" : "note";
}

/*
 * The name of a file as a URI: what has a meaning there, or none at all, is
 * escaped.
 */
static char *
uri_of(const char *path)
{
	StringInfoData uri;

	initStringInfo(&uri);
	for (const char *p = path; *p; p++)
	{
		if (isalnum((unsigned char) *p) && !IS_HIGHBIT_SET(*p))
			appendStringInfoChar(&uri, *p);
		else if (strchr("-._~/:@!$&'()*+,;=", *p) != NULL)
			appendStringInfoChar(&uri, *p);
		else
			appendStringInfo(&uri, "%%%02X", (unsigned char) *p);
	}
	return uri.data;
}

/*
 * All rules, so that their numbers are the same in every report.
 */
static void
sarif_rules(StringInfo out)
{
	for (int rule = 0; rule < MIGSPEC_RULES; rule++)
	{
		appendStringInfo(out, "%s\n{", rule > 0 ? "," : "");
		json_text(out, "id", migspec_rule_name(rule));
		appendStringInfoString(out, ", \"shortDescription\": {");
		json_text(out, "text", migspec_rule_title(rule));
		appendStringInfoString(out, "}, \"help\": {");
		json_text(out, "text", migspec_rule_help(rule));
		appendStringInfo(out, "}, \"defaultConfiguration\": {\"level\": \"%s\"}}",
						 sarif_level(migspec_rule_severity(rule)));
	}
}

/*
 * Tells the same finding in the next version of a file from another one: by
 * rule, relation and the statement's text.
 */
static uint64
fingerprint(const MigspecFinding *finding)
{
	char	   *key = psprintf("%s\n%s\n%s", finding->rule, finding->object ? finding->object : "",
							   finding->source->source);

	return hash_bytes_extended((const unsigned char *) key, strlen(key), 0);
}

static void
sarif_result(Report *report, const MigspecFinding *finding)
{
	StringInfo	out = &report->out;
	Place		begin = place_of(report, finding->source->location);
	Place		end = place_of(report, end_of(finding->source));
	const char *reason = ignored(report, finding);
	char	   *message = psprintf("%s%s%s.%s%s", finding->object ? finding->object : "",
								   finding->object ? ": " : "", finding->why,
								   finding->safe_way ? "\n\nSafe way:\n" : "",
								   finding->safe_way ? finding->safe_way : "");

	appendStringInfoChar(out, '{');
	json_text(out, "ruleId", finding->rule);
	appendStringInfo(out, ", \"ruleIndex\": %d, \"level\": \"%s\", \"message\": {",
					 (int) finding->rule_id, sarif_level(finding->severity));
	json_text(out, "text", message);
	appendStringInfoString(out, "}, \"locations\": [{\"physicalLocation\": {\"artifactLocation\": {");
	json_text(out, "uri", uri_of(report->uri));
	appendStringInfo(out, "}, \"region\": {\"startLine\": %d, \"startColumn\": %d,"
					 " \"endLine\": %d, \"endColumn\": %d}}}]",
					 begin.line, begin.column, end.line, end.column);
	appendStringInfo(out, ", \"partialFingerprints\": {\"migspec/v1\": \"%016llx\"}",
					 (unsigned long long) fingerprint(finding));
	if (reason != NULL)
	{
		appendStringInfoString(out, ", \"suppressions\": [{\"kind\": \"inSource\", ");
		json_text(out, "justification", reason);
		appendStringInfoString(out, "}]");
	}
	appendStringInfoString(out, ", \"properties\": {");
	json_facts(out, finding);
	appendStringInfoString(out, "}}");
}

/*
 * SARIF 2.1.0.  The results come last, so that reports of several files are
 * easily made one.
 */
static void
report_sarif(Report *report)
{
	StringInfo	out = &report->out;
	ListCell   *cell;

	appendStringInfoString(out, "{\"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\","
						   " \"version\": \"2.1.0\", \"runs\": [{\"tool\": {\"driver\": {"
						   "\"name\": \"migspec\", \"version\": \"" MIGSPEC_VERSION "\","
						   " \"semanticVersion\": \"" MIGSPEC_VERSION "\", \"rules\": [");
	sarif_rules(out);
	appendStringInfoString(out, "]}}, \"columnKind\": \"unicodeCodePoints\", \"results\": [");
	foreach(cell, report->findings)
	{
		appendStringInfoString(out, foreach_current_index(cell) > 0 ? ",\n" : "\n");
		sarif_result(report, lfirst(cell));
	}
	appendStringInfoString(out, "]}]}\n");
}

typedef struct Format
{
	const char *name;
	void		(*write) (Report *report);
	bool		lines;			/* a row for each line, as EXPLAIN has them */
} Format;

static const Format formats[] = {
	{"text", report_text, true},
	{"json", report_json, false},
	{"sarif", report_sarif, false},
};

static const Format *
find_format(const char *name)
{
	for (size_t i = 0; i < lengthof(formats); i++)
	{
		if (strcmp(formats[i].name, name) == 0)
			return &formats[i];
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("format \"%s\" is not known", name),
			 errhint("Formats are \"text\", \"json\" and \"sarif\".")));
}

/*
 * Check the text as it would be after "before" has run.
 */
static void
check(Report *report, char *sql, char *before)
{
	ListCell   *cell;

	if (before == NULL)
		report->script = sql;
	else
	{
		/* a comment without an end of line must not swallow the text */
		char	   *prefix = psprintf("%s\n;\n", before);

		report->script = psprintf("%s%s", prefix, sql);
		report->begin = strlen(prefix);
	}
	report->statements = migspec_check_script(report->script);
	foreach(cell, report->statements)
	{
		if (((MigspecStatement *) lfirst(cell))->location < report->begin)
			report->before++;
	}
	foreach(cell, migspec_check_findings(report->statements))
	{
		MigspecFinding *finding = lfirst(cell);

		if (finding->source->location >= report->begin)
			report->findings = lappend(report->findings, finding);
	}
}

static void
put_row(ReturnSetInfo *rsinfo, const char *s, size_t len)
{
	Datum		value = PointerGetDatum(cstring_to_text_with_len(s, len));
	bool		isnull = false;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &isnull);
}

/*
 * migspec_check_report(sql, format, uri, before)
 */
Datum
migspec_sql_check_report(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Report		report = {0};
	const Format *format;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	format = find_format(migspec_arg_text(fcinfo, 1, "format"));
	report.uri = migspec_arg_text(fcinfo, 2, "uri");
	check(&report, migspec_arg_text(fcinfo, 0, "sql"), migspec_arg_text_or_null(fcinfo, 3));

	initStringInfo(&report.out);
	format->write(&report);
	if (!format->lines)
		put_row(rsinfo, report.out.data, report.out.len - 1);
	else
	{
		for (const char *p = report.out.data; *p; p += strcspn(p, "\n") + 1)
			put_row(rsinfo, p, strcspn(p, "\n"));
	}

	PG_RETURN_NULL();
}
