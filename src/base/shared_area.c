/*-------------------------------------------------------------------------
 *
 * shared_area.c
 *		Areas of shared memory.
 *
 * One pair of hooks for all of them.  They exist from the start of the server
 * to its end; a restart after a crash makes them anew.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"

#include "base/shared_area.h"

#define MOST_AREAS		8

typedef struct Area
{
	const char *name;
	Size		size;
	int			nlocks;
	MigspecAreaStart start;
} Area;

static Area areas[MOST_AREAS];
static int	nareas = 0;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	for (int i = 0; i < nareas; i++)
	{
		RequestAddinShmemSpace(areas[i].size);
		if (areas[i].nlocks > 0)
			RequestNamedLWLockTranche(areas[i].name, areas[i].nlocks);
	}
}

static void
startup(void)
{
	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	for (int i = 0; i < nareas; i++)
	{
		bool		found;
		LWLockPadded *locks = areas[i].nlocks > 0 ?
		GetNamedLWLockTranche(areas[i].name) : NULL;
		void	   *area = ShmemInitStruct(areas[i].name, areas[i].size, &found);

		if (!found)
			memset(area, 0, areas[i].size);
		areas[i].start(area, locks, !found);
	}
	LWLockRelease(AddinShmemInitLock);
}

/* see shared_area.h */
void
migspec_shared_area(const char *name, Size size, int nlocks, MigspecAreaStart start)
{
	Assert(process_shared_preload_libraries_in_progress && nareas < MOST_AREAS);
	if (nareas == 0)
	{
		prev_shmem_request_hook = shmem_request_hook;
		shmem_request_hook = request;
		prev_shmem_startup_hook = shmem_startup_hook;
		shmem_startup_hook = startup;
	}
	areas[nareas].name = name;
	areas[nareas].size = size;
	areas[nareas].nlocks = nlocks;
	areas[nareas].start = start;
	nareas++;
}
