/*-------------------------------------------------------------------------
 *
 * hash.c
 *		Which bucket a user falls into.
 *
 * MurmurHash3 by Austin Appleby (public domain), the x86 variant with 32 bits,
 * over the bytes of the group, a colon, and the id, as all Unleash clients
 * compute it.  What a user's bucket is decides which data he sees, so nothing
 * here may ever change; the vectors in sql/flags_hash.sql are frozen.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "flags/flags.h"

/* of variants; rollouts have 0 */
#define VARIANT_SEED	86028157

/* of the thousandths of a percent: our own, hence independent of both */
#define FINE_SEED		1836280691

#define C1	0xcc9e2d51
#define C2	0x1b873593

/* The state while bytes come in, in pieces of any length */
typedef struct Murmur
{
	uint32		h;
	uint32		block;			/* bytes that do not make four yet */
	int			filled;
	uint32		length;
} Murmur;

static inline uint32
scramble(uint32 k)
{
	return pg_rotate_left32(k * C1, 15) * C2;
}

static inline void
add_byte(Murmur *state, unsigned char c)
{
	state->block |= (uint32) c << (8 * state->filled);
	if (++state->filled == 4)
	{
		state->h ^= scramble(state->block);
		state->h = pg_rotate_left32(state->h, 13) * 5 + 0xe6546b64;
		state->block = 0;
		state->filled = 0;
	}
}

static inline void
add_bytes(Murmur *state, const char *bytes, int length)
{
	for (int i = 0; i < length; i++)
		add_byte(state, (unsigned char) bytes[i]);
	state->length += length;
}

static inline uint32
finish(Murmur *state)
{
	uint32		h = state->h;

	if (state->filled > 0)
		h ^= scramble(state->block);
	h ^= state->length;
	h = (h ^ (h >> 16)) * 0x85ebca6b;
	h = (h ^ (h >> 13)) * 0xc2b2ae35;
	return h ^ (h >> 16);
}

/*
 * migspec_flag_hash -- see flags.h.
 */
uint32
migspec_flag_hash(const char *group, int group_length, const char *id,
				  int id_length, uint32 seed)
{
	Murmur		state = {.h = seed};

	add_bytes(&state, group, group_length);
	add_bytes(&state, ":", 1);
	add_bytes(&state, id, id_length);
	return finish(&state);
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
 * migspec_flag_fine_bucket -- 1 to 100000: the bucket, and within it a
 * thousandth of it by an independent hash.
 */
int
migspec_flag_fine_bucket(const char *group, int group_length, const char *id, int id_length)
{
	int			bucket = migspec_flag_bucket(group, group_length, id, id_length);
	int			part = migspec_flag_hash(group, group_length, id, id_length, FINE_SEED) % 1000;

	return (bucket - 1) * 1000 + part + 1;
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
