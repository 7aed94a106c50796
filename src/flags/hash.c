/*-------------------------------------------------------------------------
 *
 * hash.c
 *		Which bucket a user falls into.
 *
 * MurmurHash3 by Austin Appleby (public domain), the x86 variant with 32 bits,
 * over the UTF-8 bytes of the group, a colon, and the id, as Unleash clients
 * compute it.  What a user's bucket is decides which data he sees, so nothing
 * here may ever change; the vectors in sql/flags_hash.sql are frozen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "flags/program.h"

/* of variants; rollouts have 0 */
#define VARIANT_SEED	86028157

/* of the thousandths of a percent: our own, hence independent of both */
#define FINE_SEED		1836280691

#define C1	0xcc9e2d51
#define C2	0x1b873593

static inline uint32
scramble(uint32 k)
{
	return pg_rotate_left32(k * C1, 15) * C2;
}

static inline void
mix_block(FlagHash *state, uint32 block)
{
	state->h ^= scramble(block);
	state->h = pg_rotate_left32(state->h, 13) * 5 + 0xe6546b64;
}

static inline void
add_byte(FlagHash *state, unsigned char c)
{
	state->block |= (uint32) c << (8 * state->filled);
	if (++state->filled < 4)
		return;
	mix_block(state, state->block);
	state->block = 0;
	state->filled = 0;
}

/*
 * Bytes come in pieces of any length: up to where a block ends they are taken
 * one by one, then four at a time.
 */
static inline void
add_bytes(FlagHash *state, const char *bytes, int length)
{
	const unsigned char *at = (const unsigned char *) bytes;
	const unsigned char *end = at + length;

	state->length += length;
	while (at < end && state->filled > 0)
		add_byte(state, *at++);
	for (; end - at >= 4; at += 4)
		mix_block(state, (uint32) at[0] | (uint32) at[1] << 8 |
				  (uint32) at[2] << 16 | (uint32) at[3] << 24);
	while (at < end)
		add_byte(state, *at++);
}

static inline uint32
finish(const FlagHash *state)
{
	uint32		h = state->h;

	if (state->filled > 0)
		h ^= scramble(state->block);
	h ^= state->length;
	h = (h ^ (h >> 16)) * 0x85ebca6b;
	h = (h ^ (h >> 13)) * 0xc2b2ae35;
	return h ^ (h >> 16);
}

static bool
is_ascii_text(FlagText text)
{
	for (int i = 0; i < text.length; i++)
	{
		if (IS_HIGHBIT_SET(text.bytes[i]))
			return false;
	}
	return true;
}

/*
 * In UTF-8, whatever the database has, as far as that can be said.
 */
static FlagText
convert(FlagText text)
{
	int			encoding = GetDatabaseEncoding();
	int			size;
	unsigned char *result;
	Oid			proc;

	if (text.length >= (int) (MaxAllocSize / MAX_CONVERSION_GROWTH) || is_ascii_text(text))
		return text;
	size = text.length * MAX_CONVERSION_GROWTH + 1;

	proc = FindDefaultConversionProc(encoding, PG_UTF8);
	if (!OidIsValid(proc))
		return text;

	result = palloc(size);
	if (pg_do_encoding_conversion_buf(proc, encoding, PG_UTF8, (unsigned char *) text.bytes,
									  text.length, result, size, true) != text.length)
		return text;

	return FLAG_TEXT((char *) result);
}

static inline FlagText
in_utf8(FlagText text)
{
	return likely(GetDatabaseEncoding() == PG_UTF8) ? text : convert(text);
}

/*
 * migspec_flag_hash_group -- the hash as far as the group and the colon, which
 * are the same for all users of a flag.
 */
FlagHash
migspec_flag_hash_group(FlagText group, uint32 seed)
{
	FlagHash	state = {.h = seed};

	group = in_utf8(group);
	add_bytes(&state, group.bytes, group.length);
	add_bytes(&state, ":", 1);
	return state;
}

/*
 * migspec_flag_hash_id -- and the rest of it.
 */
uint32
migspec_flag_hash_id(const FlagHash *group, FlagText id)
{
	FlagHash	state = *group;

	id = in_utf8(id);
	add_bytes(&state, id.bytes, id.length);
	return finish(&state);
}

/*
 * migspec_flag_hash -- see flags.h.
 */
uint32
migspec_flag_hash(const char *group, int group_length, const char *id,
				  int id_length, uint32 seed)
{
	FlagHash	state = migspec_flag_hash_group(migspec_flag_text(group, group_length), seed);

	return migspec_flag_hash_id(&state, migspec_flag_text(id, id_length));
}

/*
 * migspec_flag_bucket -- 1 to 100.
 */
int
migspec_flag_bucket(const char *group, int group_length, const char *id, int id_length)
{
	return migspec_flag_hash(group, group_length, id, id_length, 0) % 100 + 1;
}

/*
 * migspec_flag_part -- which thousandth of its bucket an id is in, 1 to 1000,
 * by an independent hash.
 */
int
migspec_flag_part(FlagText group, FlagText id)
{
	return migspec_flag_hash(group.bytes, group.length, id.bytes, id.length, FINE_SEED) % 1000 + 1;
}

/*
 * migspec_flag_variant_bucket -- 1 to "total", which must not be 0.
 */
int
migspec_flag_variant_bucket(const char *group, int group_length, const char *id,
							int id_length, int total)
{
	return migspec_flag_hash(group, group_length, id, id_length, VARIANT_SEED) %
		(uint32) total + 1;
}
