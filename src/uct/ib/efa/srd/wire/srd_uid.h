/*
 * Who we are to one remote interface: a number that nobody else can know, so
 * that only we can go on with an association after a reset (srd-wire.md, 2).
 *
 *   UID = SipHash-2-4 (random key of the interface, identity of the remote)
 *
 * It is the same for all associations with that remote, and no record is kept
 * of it. Algorithm: Aumasson, Bernstein, "SipHash: a fast short-input PRF",
 * 2012. Plain C, no dependency: the unit tests include it.
 */
#ifndef UCT_SRD_UID_H
#define UCT_SRD_UID_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    uint64_t word[2];
} uct_srd_uid_key_t;

static inline uint64_t uct_srd_uid_rotate(uint64_t value, unsigned bits)
{
    return (value << bits) | (value >> (64 - bits));
}

static inline void uct_srd_uid_rounds(uint64_t v[4], unsigned count)
{
    while (count-- > 0) {
        v[0] += v[1];
        v[2] += v[3];
        v[1] = uct_srd_uid_rotate(v[1], 13) ^ v[0];
        v[3] = uct_srd_uid_rotate(v[3], 16) ^ v[2];
        v[0] = uct_srd_uid_rotate(v[0], 32);
        v[2] += v[1];
        v[0] += v[3];
        v[1] = uct_srd_uid_rotate(v[1], 17) ^ v[2];
        v[3] = uct_srd_uid_rotate(v[3], 21) ^ v[0];
        v[2] = uct_srd_uid_rotate(v[2], 32);
    }
}

/* length: bytes of data */
static inline uint64_t uct_srd_uid(const uct_srd_uid_key_t *key,
                                   const void *data, size_t length)
{
    const uint8_t *next = (const uint8_t *)data;
    uint64_t last       = (uint64_t)length << 56;
    uint64_t v[4], word;
    size_t left;

    v[0] = key->word[0] ^ 0x736f6d6570736575ull;
    v[1] = key->word[1] ^ 0x646f72616e646f6dull;
    v[2] = key->word[0] ^ 0x6c7967656e657261ull;
    v[3] = key->word[1] ^ 0x7465646279746573ull;

    for (left = length; left >= sizeof(word); left -= sizeof(word)) {
        memcpy(&word, next, sizeof(word));
        word = le64toh(word);
        next += sizeof(word);
        v[3] ^= word;
        uct_srd_uid_rounds(v, 2);
        v[0] ^= word;
    }

    while (left > 0) {
        --left;
        last |= (uint64_t)next[left] << (8 * left);
    }

    v[3] ^= last;
    uct_srd_uid_rounds(v, 2);
    v[0] ^= last;
    v[2] ^= 0xff;
    uct_srd_uid_rounds(v, 4);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

#endif
