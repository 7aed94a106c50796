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

#include "utils/guc.h"

#include "base/guc.h"
#include "migspec.h"

int			migspec_batch_rows = 1000;
char	   *migspec_debug_point_setting = NULL;
int			migspec_failed_rows_limit = 100;
bool		migspec_fire_user_triggers = false;
int			migspec_lock_retry_deadline = 600000;
int			migspec_lock_timeout = 50;
int			migspec_max_workers = 8;
int			migspec_naptime = 1000;
bool		migspec_phase_guard = true;
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
		"migspec.failed_rows_limit",
		"Number of rows that cannot be converted after which a backfill stops.",
		"Up to then they are set aside in migspec.failed_row.",
		&migspec_failed_rows_limit, 100, 0, INT_MAX, PGC_USERSET, 0
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

	/* a superuser's: whoever turns it off can break a migration */
	DefineCustomBoolVariable("migspec.phase_guard",
							 "Refuse DDL that would break an active migration.",
							 "If it is off, such DDL is recorded, and the migration is marked.",
							 &migspec_phase_guard,
							 true,
							 PGC_SUSET,
							 0,
							 NULL, NULL, NULL);

	MarkGUCPrefixReserved(MIGSPEC_EXTENSION);
}
