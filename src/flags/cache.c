/*-------------------------------------------------------------------------
 *
 * cache.c
 *		Compiled flags, as the active snapshot sees them.
 *
 * A cache that is emptied by invalidation messages is wrong for ever in one
 * case: an old snapshot fills it after the message has come.  So this one
 * does not rest on messages at all.  Every change of a flag takes a new stamp
 * from a sequence, which is never used twice, not even after a rollback, and
 * writes it to the changed rows and to the one row of
 * migspec.flag_generation, whose lock puts all changes in an order.  Hence:
 *
 * - a generation (the stamp in that row) names one state of all flags;
 * - a stamp of a flag names one version of it, and what was compiled from it
 *	 is right wherever a snapshot sees that stamp.
 *
 * For each snapshot that is new to us the generation is read through it (one
 * page, about a microsecond a statement, nothing a row); a flag's row is read
 * again when it was last read under another generation, and compiled again
 * when its stamp differs.  Isolation levels, own changes, savepoints, cursors
 * with older snapshots, imported snapshots, parallel workers and standbys are
 * all the same case: what does the active snapshot see?
 *
 * Whether a snapshot is new is told by what decides visibility: xmin, xmax, the
 * numbers of transactions in progress (for one xmax they can only get fewer),
 * the command id, and a count of our own transactions and savepoints that
 * have ended.
 *
 * Two things are older than the first stamp: a restored dump, whose rows come
 * one table after the other, so until something changes each snapshot is a
 * generation of its own; and another extension of the same name, whose stamps
 * may be the same, so what is known of it is forgotten when its tables are
 * other ones.
 *
 * Runs in every process that evaluates a flag.  Takes ACCESS SHARE on the
 * tables while they are read.  Reads without regard to privileges: whoever
 * may call the functions may evaluate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "common/hashfn.h"
#include "executor/tuptable.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "base/errors.h"
#include "flags/flags.h"
#include "flags/sample.h"
#include "flags/stage.h"
#include "migspec.h"

/* names without a flag that are remembered; others are looked up each time */
#define MOST_UNKNOWN	1000

/* FlagEntry.checked: not yet; generations without a stamp are below */
#define NEVER			(-1)

/* columns of the tables that are read here; see 60_flags.sql */
#define Anum_flag_name			1
#define Anum_flag_document		2
#define Anum_flag_stamp			3
#define Anum_flag_owner			4
#define Anum_flag_stage			5
#define Anum_flag_next_stage	6
#define Anum_flag_migration		7
#define Anum_flag_sample		8
#define Anum_segment_id			1
#define Anum_segment_document	2
#define Anum_generation_stamp	1
#define Anum_generation_segments 2

/* a name, and what it stands for in the generation "checked" */
typedef struct FlagEntry
{
	char	   *name;
	int			length;
	int64		checked;
	MigspecFlag *flag;			/* NULL: there is no such flag */
} FlagEntry;

/* an element of the hash table: entries stay where they are */
typedef struct FlagElement
{
	FlagEntry  *entry;
	uint32		hash;
	char		status;
} FlagElement;

#define SH_PREFIX		names
#define SH_ELEMENT_TYPE	FlagElement
#define SH_KEY_TYPE		FlagEntry *
#define SH_KEY			entry
#define SH_HASH_KEY(tb, key) \
	hash_bytes((const unsigned char *) (key)->name, (key)->length)
#define SH_EQUAL(tb, a, b) \
	((a)->length == (b)->length && memcmp((a)->name, (b)->name, (a)->length) == 0)
#define SH_STORE_HASH
#define SH_GET_HASH(tb, a) (a)->hash
#define SH_SCOPE		static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

/* What decides what a snapshot sees */
typedef struct SnapshotMark
{
	uint64		ended;
	TransactionId xmin;
	TransactionId xmax;
	uint32		xcnt;
	int32		subxcnt;
	CommandId	curcid;
} SnapshotMark;

static MemoryContext cache_context = NULL;
static names_hash * names = NULL;
static int	unknown_names = 0;

/* how many of our own transactions and savepoints have ended */
static uint64 ended = 1;

static SnapshotMark mark;		/* of the snapshot that was looked through */
static int64 generation;		/* and what it sees */
static int64 segments_stamp;
static Oid	generation_table;	/* that this was read from */
static bool has_segments;		/* of what is being compiled */
static bool looked = false;		/* in the transaction that runs */

static void
xact_callback(XactEvent event, void *arg)
{
	ended++;
	looked = false;
}

static void
subxact_callback(SubXactEvent event, SubTransactionId self,
				 SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		ended++;
}

/*
 * With the callbacks first: there is no cache without them, and sessions
 * without a cache do not pay for them.
 */
static void
create_cache(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
	cache_context = AllocSetContextCreate(TopMemoryContext, "migspec flags",
										  ALLOCSET_DEFAULT_SIZES);
	names = names_create(cache_context, 64, NULL);
}

static Snapshot
active_snapshot(void)
{
	return ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot();
}

static Relation
open_table(const char *name)
{
	Oid			schema = get_namespace_oid(MIGSPEC_SCHEMA, false);
	Oid			relid = get_relname_relid(name, schema);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_MIGSPEC_VERSION_MISMATCH),
				 errmsg("table \"%s.%s\" does not exist", MIGSPEC_SCHEMA, name),
				 errhint("Use ALTER EXTENSION migspec UPDATE.")));
	return table_open(relid, AccessShareLock);
}

/* Another extension has been created: its stamps have begun anew. */
static void
forget_all(void)
{
	names_iterator it;
	FlagElement *element;

	names_start_iterate(names, &it);
	while ((element = names_iterate(names, &it)) != NULL)
	{
		FlagEntry  *entry = element->entry;

		entry->checked = NEVER;
		if (entry->flag)
			MemoryContextDelete(entry->flag->context);
		entry->flag = NULL;
	}
	unknown_names = 0;
}

/*
 * Read the row of the generation.
 */
static void
read_generation(Snapshot snapshot)
{
	static int64 unnamed = NEVER;
	Relation	rel = open_table("flag_generation");
	TableScanDesc scan = table_beginscan(rel, snapshot, 0, NULL);
	TupleTableSlot *slot = table_slot_create(rel, NULL);
	bool		isnull;

	if (RelationGetRelid(rel) != generation_table)
		forget_all();
	generation_table = RelationGetRelid(rel);
	generation = 0;
	segments_stamp = 0;
	if (table_scan_getnextslot(scan, ForwardScanDirection, slot))
	{
		generation = DatumGetInt64(slot_getattr(slot, Anum_generation_stamp, &isnull));
		segments_stamp = DatumGetInt64(slot_getattr(slot, Anum_generation_segments, &isnull));
	}
	if (generation == 0)
		generation = segments_stamp = --unnamed;
	ExecDropSingleTupleTableSlot(slot);
	table_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * Find out which generation the active snapshot sees, unless it is the one
 * that was looked through the last time.
 */
static inline void
check_snapshot(void)
{
	Snapshot	snapshot = active_snapshot();

	if (likely(mark.ended == ended &&
			   mark.curcid == snapshot->curcid &&
			   mark.xmax == snapshot->xmax &&
			   mark.xmin == snapshot->xmin &&
			   mark.xcnt == snapshot->xcnt &&
			   mark.subxcnt == snapshot->subxcnt))
		return;
	mark.ended = 0;				/* should reading fail */
	looked = true;
	read_generation(snapshot);
	mark.curcid = snapshot->curcid;
	mark.xmax = snapshot->xmax;
	mark.xmin = snapshot->xmin;
	mark.xcnt = snapshot->xcnt;
	mark.subxcnt = snapshot->subxcnt;
	mark.ended = ended;
}

/*
 * Read one row by its key into a copy, NULL if there is none.  The relation's
 * primary key is its only index that matters, on its first column.
 */
static HeapTuple
read_row(Relation rel, RegProcedure equals, Datum key)
{
	List	   *indexes = RelationGetIndexList(rel);
	ScanKeyData scankey;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&scankey, 1, BTEqualStrategyNumber, equals, key);
	scan = systable_beginscan(rel, rel->rd_pkindex, OidIsValid(rel->rd_pkindex),
							  active_snapshot(), 1, &scankey);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		tuple = heap_copytuple(tuple);
	systable_endscan(scan);
	list_free(indexes);
	return HeapTupleIsValid(tuple) ? tuple : NULL;
}

static char *
text_column(HeapTuple tuple, Relation rel, int attno)
{
	bool		isnull;
	Datum		datum = heap_getattr(tuple, attno, RelationGetDescr(rel), &isnull);

	return isnull ? NULL : TextDatumGetCString(datum);
}

/*
 * Compile a flag from its row, in a memory context of its own.
 */
static MigspecFlag *
compile(const FlagEntry *entry, HeapTuple tuple, Relation rel)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "migspec flag",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	MigspecFlag *flag = palloc0(sizeof(MigspecFlag));
	Datum		sample;
	bool		isnull;

	flag->context = context;
	flag->name = pnstrdup(entry->name, entry->length);
	flag->name_length = entry->length;
	flag->stamp = DatumGetInt64(heap_getattr(tuple, Anum_flag_stamp, RelationGetDescr(rel), &isnull));
	flag->owner = DatumGetObjectId(heap_getattr(tuple, Anum_flag_owner, RelationGetDescr(rel), &isnull));
	flag->stage = migspec_stage_from_name(text_column(tuple, rel, Anum_flag_stage));
	flag->next_stage = migspec_stage_from_name(text_column(tuple, rel, Anum_flag_next_stage));
	flag->migration = text_column(tuple, rel, Anum_flag_migration);
	sample = heap_getattr(tuple, Anum_flag_sample, RelationGetDescr(rel), &isnull);
	if (!isnull)
		flag->sample = migspec_sample_of(DatumGetInt64(sample));
	has_segments = false;
	flag->program = migspec_flag_compile(flag->name,
										 DatumGetJsonbPCopy(heap_getattr(tuple, Anum_flag_document,
																		 RelationGetDescr(rel), &isnull)));
	flag->has_segments = has_segments;
	flag->segments_stamp = segments_stamp;
	MemoryContextSwitchTo(old);
	return flag;
}

/*
 * Bring an entry up to the generation.  What is compiled stays, if the row is
 * still that version and the segments are those that went into it.
 */
static void
check_entry(FlagEntry *entry)
{
	MemoryContext scratch = AllocSetContextCreate(CurrentMemoryContext, "migspec flag row",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(scratch);
	Relation	rel = open_table("flag");
	HeapTuple	tuple = read_row(rel, F_TEXTEQ,
								 PointerGetDatum(cstring_to_text_with_len(entry->name, entry->length)));
	MigspecFlag *flag = NULL;
	bool		keep = false;

	if (tuple && entry->flag)
	{
		bool		isnull;
		Datum		stamp = heap_getattr(tuple, Anum_flag_stamp, RelationGetDescr(rel), &isnull);

		keep = DatumGetInt64(stamp) == entry->flag->stamp &&
			(!entry->flag->has_segments || segments_stamp == entry->flag->segments_stamp);
	}
	if (tuple && !keep)
		flag = compile(entry, tuple, rel);
	table_close(rel, AccessShareLock);
	MemoryContextSwitchTo(old);

	/* from here on nothing fails */
	if (!keep)
	{
		if (entry->flag)
			MemoryContextDelete(entry->flag->context);
		entry->flag = flag;
		if (flag)
			MemoryContextSetParent(flag->context, cache_context);
	}
	entry->checked = generation;
	MemoryContextDelete(scratch);
}

/*
 * The entry of a name; a new one if it is met for the first time.
 */
static FlagEntry *
find_entry(const char *name, int length)
{
	FlagEntry	key = {.name = unconstify(char *, name),.length = length};
	FlagElement *element;
	FlagEntry  *entry;
	bool		found;

	element = names_lookup(names, &key);
	if (element)
		return element->entry;
	entry = MemoryContextAllocZero(cache_context, sizeof(FlagEntry));
	entry->name = MemoryContextStrdup(cache_context, pnstrdup(name, length));
	entry->length = length;
	entry->checked = NEVER;
	(void) names_insert(names, entry, &found);
	return entry;
}

/*
 * A name that is no flag's, and too many of those are remembered already.
 */
static bool
is_one_unknown_too_many(const char *name, int length)
{
	FlagEntry	key = {.name = unconstify(char *, name),.length = length};

	return unknown_names >= MOST_UNKNOWN && names_lookup(names, &key) == NULL;
}

/* Is there such a flag?  Without remembering anything. */
static bool
exists(const char *name, int length)
{
	Relation	rel = open_table("flag");
	HeapTuple	tuple = read_row(rel, F_TEXTEQ,
								 PointerGetDatum(cstring_to_text_with_len(name, length)));

	table_close(rel, AccessShareLock);
	return tuple != NULL;
}

/*
 * migspec_flag_find -- see flags.h.
 */
MigspecFlag *
migspec_flag_find(const char *name, int length, MigspecFlagSite *site)
{
	FlagEntry  *entry = site ? site->entry : NULL;

	if (names == NULL)
		create_cache();
	check_snapshot();
	if (entry == NULL || entry->length != length ||
		memcmp(entry->name, name, length) != 0)
	{
		if (is_one_unknown_too_many(name, length) && !exists(name, length))
			return NULL;
		entry = find_entry(name, length);
		if (site)
			site->entry = entry;
	}
	if (unlikely(entry->checked != generation))
	{
		bool		is_new = entry->checked == NEVER;

		check_entry(entry);
		if (is_new && entry->flag == NULL)
			unknown_names++;
	}
	return entry->flag;
}

/*
 * migspec_flag_segment -- the document of a segment, palloc'd.
 */
Jsonb *
migspec_flag_segment(int id)
{
	Relation	rel = open_table("flag_segment");
	HeapTuple	tuple = read_row(rel, F_INT4EQ, Int32GetDatum(id));
	Jsonb	   *document = NULL;
	bool		isnull;

	has_segments = true;
	if (tuple)
		document = DatumGetJsonbPCopy(heap_getattr(tuple, Anum_segment_document,
												   RelationGetDescr(rel), &isnull));
	table_close(rel, AccessShareLock);
	return document;
}

/*
 * migspec_flag_looked -- see flags.h.
 */
bool
migspec_flag_looked(void)
{
	return looked;
}

/*
 * migspec_flag_generation -- what the active snapshot sees.
 */
int64
migspec_flag_generation(void)
{
	if (names == NULL)
		create_cache();
	check_snapshot();
	return Max(generation, 0);
}
