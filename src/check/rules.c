/*-------------------------------------------------------------------------
 *
 * rules.c
 *		The rules: what a fact means to the people who run the script.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "check/check.h"

const char *
migspec_severity_name(MigspecSeverity severity)
{
	static const char *const names[] = {
		[MIGSPEC_INFO] = "info",
		[MIGSPEC_WARNING] = "warning",
		[MIGSPEC_DANGER] = "danger",
		[MIGSPEC_ERROR] = "error",
	};

	return names[severity];
}

/*
 * The worst of the works in the mask.
 */
const char *
migspec_work_name(int work)
{
	if (work & MIGSPEC_WORK_REWRITE)
		return "rewrite";
	if (work & MIGSPEC_WORK_INDEX_BUILD)
		return "index build";
	if (work & (MIGSPEC_WORK_SCAN | MIGSPEC_WORK_FK_VALIDATION))
		return "scan";
	return "none";
}

List *
migspec_check_findings(List *statements)
{
	List	   *findings = NIL;
	ListCell   *cell;

	foreach(cell, statements)
	{
		MigspecStatement *stmt = lfirst(cell);
		ListCell   *lc;

		foreach(lc, stmt->facts)
		{
			MigspecFact *fact = lfirst(lc);
			MigspecFinding *finding = palloc0(sizeof(MigspecFinding));

			finding->statement = stmt->number;
			finding->rule = psprintf("rule-%d", fact->rule);
			finding->severity = MIGSPEC_WARNING;
			finding->object = fact->name;
			finding->why = "";
			findings = lappend(findings, finding);
		}
	}

	return findings;
}
