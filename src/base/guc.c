/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Settings.
 *
 * Those that a migration must not change under way are read when a step
 * starts.  Workers see changes after the reload that they do between batches.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "nodes/pg_list.h"
#include "tcop/cmdtag.h"
#include "utils/guc.h"

#include "base/guc.h"
#include "base/sqlutil.h"
#include "migspec.h"

int			migspec_batch_rows = 1000;
int			migspec_contract_quiet = 3600;
char	   *migspec_debug_point_setting = NULL;
int			migspec_failed_rows_limit = 100;
bool		migspec_fire_user_triggers = false;
int			migspec_guard = MIGSPEC_GUARD_OFF;
char	   *migspec_guard_allow_roles = NULL;
char	   *migspec_guard_allow_tags = NULL;
int			migspec_guard_lock_timeout = 2000;
int			migspec_guard_max_bytes = 100 * 1024;
int			migspec_guard_max_wait = 1000;
int			migspec_lock_retry_deadline = 600000;
int			migspec_lock_timeout = 50;
int			migspec_max_workers = 8;
int			migspec_naptime = 1000;
bool		migspec_phase_guard = true;
char	   *migspec_usage_ignore = NULL;
int			migspec_usage_ignore_version = 0;
int			migspec_window_pages = 1000;

typedef struct IntSetting
{
	const char *name;
	const char *description;
	const char *more;
	int		   *variable;
	int			boot;
	int			min;
	int			max;
	GucContext	context;
	int			flags;
} IntSetting;

static const IntSetting int_settings[] = {
	{
		"migspec.batch_rows",
		"Number of rows that the backfill changes in one transaction, about.",
		"Its rows stay locked until it commits.  A batch ends at a page, so it can be a little larger.",
		&migspec_batch_rows, 1000, 1, 1000000, PGC_USERSET, 0
	},
	{
		"migspec.contract_quiet",
		"How long nobody may have used the old shape before it is taken away.",
		"migspec_contract refuses otherwise; 0 lets it go ahead at once.",
		&migspec_contract_quiet, 3600, 0, INT_MAX, PGC_SUSET, GUC_UNIT_S
	},
	{
		"migspec.failed_rows_limit",
		"Number of rows that cannot be converted after which a backfill stops.",
		"Up to then they are set aside in migspec.failed_row.",
		&migspec_failed_rows_limit, 100, 0, INT_MAX, PGC_USERSET, 0
	},
	{
		"migspec.guard_lock_timeout",
		"Lock timeout of DDL that takes a strong lock without having one.",
		"Only while migspec.guard is enforce, and lock_timeout is 0.  0 leaves lock_timeout alone.",
		&migspec_guard_lock_timeout, 2000, 0, INT_MAX, PGC_SUSET, GUC_UNIT_MS
	},
	{
		"migspec.guard_max_bytes",
		"Work under a strong lock that the guard lets pass.",
		"What a statement scans, rewrites or builds indexes on.  -1 means no limit.",
		&migspec_guard_max_bytes, 100 * 1024, -1, INT_MAX, PGC_SUSET, GUC_UNIT_KB
	},
	{
		"migspec.guard_max_wait",
		"Wait for a strong lock that the guard lets pass.",
		"A statement is expected to wait as long as the oldest transaction in its way is open already, but no longer than lock_timeout.  -1 means no limit.",
		&migspec_guard_max_wait, 1000, -1, INT_MAX, PGC_SUSET, GUC_UNIT_MS
	},
	{
		"migspec.lock_retry_deadline",
		"How long a step tries to get its table locks before it gives up.",
		"Each single attempt waits no longer than migspec.lock_timeout.",
		&migspec_lock_retry_deadline, 600000, 0, INT_MAX, PGC_USERSET,
		GUC_UNIT_MS
	},
	{
		"migspec.lock_timeout",
		"How long one attempt to get table locks may wait.",
		"Statements of applications queue behind an attempt for this long.",
		&migspec_lock_timeout, 50, 1, INT_MAX, PGC_USERSET, GUC_UNIT_MS
	},
	{
		"migspec.max_workers",
		"Largest number of workers that run migrations, in the whole cluster.",
		"They count towards max_worker_processes.",
		&migspec_max_workers, 8, 0, MIGSPEC_WORKER_SLOTS, PGC_SIGHUP, 0
	},
	{
		"migspec.naptime",
		"How often the launcher and the schedulers look for work.",
		"They are woken up as well when a migration starts or resumes.",
		&migspec_naptime, 1000, 10, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_MS
	},
	{
		"migspec.window_pages",
		"Number of pages over which strategy \"window\" spreads its passes.",
		"Updates stay on their page if vacuum or pruning frees space between two passes.",
		&migspec_window_pages, 1000, 1, INT_MAX, PGC_USERSET, 0
	},
};

static const struct config_enum_entry guard_options[] = {
	{"off", MIGSPEC_GUARD_OFF, false},
	{"warn", MIGSPEC_GUARD_WARN, false},
	{"enforce", MIGSPEC_GUARD_ENFORCE, false},
	{"on", MIGSPEC_GUARD_ENFORCE, true},
	{NULL, 0, false}
};

/*
 * A comma-separated list of command tags.
 */
static bool
check_allow_tags(char **newval, void **extra, GucSource source)
{
	List	   *tags = migspec_split_list(*newval);
	bool		ok = true;
	ListCell   *lc;

	foreach(lc, tags)
	{
		if (GetCommandTagEnum(lfirst(lc)) == CMDTAG_UNKNOWN)
		{
			GUC_check_errdetail("There is no command tag \"%s\".", (char *) lfirst(lc));
			ok = false;
		}
	}
	list_free_deep(tags);
	return ok;
}

static void
assign_usage_ignore(const char *newval, void *extra)
{
	migspec_usage_ignore_version++;
}

/*
 * The settings of the guard that are no numbers.  Superusers set them, for a
 * database, a role or a session: others could let everything pass.
 */
static void
define_guard_settings(void)
{
	DefineCustomEnumVariable("migspec.guard",
							 "Whether DDL that would block others is looked at as it arrives.",
							 "off, warn, or enforce, which refuses it.",
							 &migspec_guard,
							 MIGSPEC_GUARD_OFF,
							 guard_options,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomStringVariable("migspec.guard_allow_roles",
							   "Roles whose DDL the guard lets pass.",
							   "Members count as well.",
							   &migspec_guard_allow_roles,
							   "",
							   PGC_SUSET,
							   GUC_LIST_INPUT,
							   NULL, NULL, NULL);
	DefineCustomStringVariable("migspec.guard_allow_tags",
							   "Command tags that the guard lets pass.",
							   "As psql shows them, such as \"CREATE INDEX, REINDEX\".",
							   &migspec_guard_allow_tags,
							   "",
							   PGC_SUSET,
							   GUC_LIST_INPUT,
							   check_allow_tags, NULL, NULL);
	DefineCustomBoolVariable("migspec.phase_guard",
							 "Refuse DDL that would break an active migration.",
							 "If it is off, such DDL is recorded, and the migration is marked.",
							 &migspec_phase_guard,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);
}

/*
 * Define all settings.  Called once in every process that loads the library.
 */
void
migspec_guc_init(void)
{
	size_t		i;

	for (i = 0; i < (int) lengthof(int_settings); i++)
	{
		const IntSetting *setting = &int_settings[i];

		DefineCustomIntVariable(setting->name, setting->description,
								setting->more, setting->variable,
								setting->boot, setting->min, setting->max,
								setting->context, setting->flags,
								NULL, NULL, NULL);
	}

	/* a superuser's: it crashes servers */
	DefineCustomStringVariable("migspec.debug_point",
							   "Where a process shall fail, wait or crash, for tests.",
							   "The name of the point, a colon, and error, wait or panic.",
							   &migspec_debug_point_setting,
							   NULL,
							   PGC_SUSET,
							   GUC_NOT_IN_SAMPLE | GUC_NO_SHOW_ALL,
							   NULL, NULL, NULL);

	/* a superuser's, because triggers can be somebody's audit */
	DefineCustomBoolVariable("migspec.fire_user_triggers",
							 "Whether the backfill's updates fire the triggers of users.",
							 "They do not change what an application can see.",
							 &migspec_fire_user_triggers,
							 false,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	DefineCustomStringVariable("migspec.usage_ignore",
							   "Applications whose use of old columns is not counted.",
							   "A list of application names: those that take a table as they find it.",
							   &migspec_usage_ignore,
							   "pg_dump",
							   PGC_SUSET,
							   GUC_LIST_INPUT,
							   NULL, assign_usage_ignore, NULL);

	define_guard_settings();
	MarkGUCPrefixReserved(MIGSPEC_EXTENSION);
}
