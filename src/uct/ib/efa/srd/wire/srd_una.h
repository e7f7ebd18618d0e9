/*
 * Which messages of a sequence have completed: una and a bitmap behind it.
 *
 *        una           psn (next to send, kept by the caller)
 *         v             v
 *     ....0.1.1.0.0.1.0 |      1: completed out of order ("ahead")
 *         <---- <= capacity -->
 *
 * una is the lowest PSN that has not completed. The caller keeps
 * psn - una <= capacity and reports every PSN once. O(1) amortised.
 *
 *     bitmaps: there while something is ahead
 *
 *              first out of order             una has caught up
 *     pool --------------------------> set ----------------------> pool
 *
 * A sequence with a bitmap has a message that is under way, the one at una. So
 * a pool with as many sets as messages can be under way, of all its sequences
 * together, is never empty, and nothing fails here. Sets of a pool are zero.
 *
 * Plain C, no dependency beyond calloc: the unit tests include it.
 */
#ifndef UCT_SRD_UNA_H
#define UCT_SRD_UNA_H

#include <stdint.h>
#include <stdlib.h>

/* Bitmaps for many sequences. A free one has the number of the next in its
 * first word. */
typedef struct {
    uint64_t *bits;
    uint32_t words;      /* of a set                                         */
    uint32_t used;       /* sets that were ever taken: others are untouched  */
    uint32_t free;       /* the first one that was given back, or NO_SET     */
    uint16_t mask;       /* capacity - 1, bits                               */
} uct_srd_una_pool_t;

typedef struct {
    uint16_t una;
    uint16_t ahead;      /* number of set bits                               */
    uint32_t set;        /* valid if ahead is not 0                          */
} uct_srd_una_t;

#define UCT_SRD_UNA_NO_SET UINT32_MAX

/* capacity: a power of two, 64 at least and at most 32768; sets: messages that
 * can be under way. False: no memory */
static inline int uct_srd_una_pool_init(uct_srd_una_pool_t *pool,
                                        unsigned capacity, unsigned sets)
{
    pool->words = capacity / 64;
    pool->used  = 0;
    pool->free  = UCT_SRD_UNA_NO_SET;
    pool->mask  = (uint16_t)(capacity - 1);
    pool->bits  = (uint64_t *)calloc((size_t)sets * pool->words,
                                     sizeof(*pool->bits));
    return pool->bits != NULL;
}

static inline void uct_srd_una_pool_cleanup(uct_srd_una_pool_t *pool)
{
    free(pool->bits);
}

static inline void uct_srd_una_init(uct_srd_una_t *self, uint16_t first)
{
    self->una   = first;
    self->ahead = 0;
}

static inline uint64_t *uct_srd_una_bits(const uct_srd_una_t *self,
                                         uct_srd_una_pool_t *pool)
{
    return pool->bits + ((size_t)self->set * pool->words);
}

static inline void uct_srd_una_take(uct_srd_una_t *self,
                                    uct_srd_una_pool_t *pool)
{
    uint64_t *bits;

    if (pool->free == UCT_SRD_UNA_NO_SET) {
        self->set = pool->used++;
        return;
    }

    self->set  = pool->free;
    bits       = uct_srd_una_bits(self, pool);
    pool->free = (uint32_t)bits[0];
    bits[0]    = 0;
}

/* Its bits are zero. */
static inline void uct_srd_una_give(uct_srd_una_t *self,
                                    uct_srd_una_pool_t *pool)
{
    uct_srd_una_bits(self, pool)[0] = pool->free;
    pool->free                      = self->set;
}

/* Messages between una and psn that have not completed */
static inline unsigned uct_srd_una_outstanding(const uct_srd_una_t *self,
                                               uint16_t psn)
{
    return (uint16_t)(psn - self->una) - self->ahead;
}

static inline unsigned uct_srd_una_done_slow(uct_srd_una_t *self,
                                             uct_srd_una_pool_t *pool,
                                             uint16_t psn)
{
    unsigned count = 1;
    uint64_t *bits;
    unsigned bit;

    if (psn != self->una) {
        if (self->ahead++ == 0) {
            uct_srd_una_take(self, pool);
        }
        bit = psn & pool->mask;
        uct_srd_una_bits(self, pool)[bit / 64] |= 1ull << (bit % 64);
        return 0;
    }

    /* Something is ahead: uct_srd_una_is_next() */
    bits = uct_srd_una_bits(self, pool);
    ++self->una;
    for (;;) {
        bit = self->una & pool->mask;
        if (!(bits[bit / 64] & (1ull << (bit % 64)))) {
            return count;
        }

        bits[bit / 64] &= ~(1ull << (bit % 64));
        ++self->una;
        ++count;
        if (--self->ahead == 0) {
            uct_srd_una_give(self, pool);
            return count;
        }
    }
}

/* Does una advance by one if psn is done, and nothing else happen? */
static inline int uct_srd_una_is_next(const uct_srd_una_t *self, uint16_t psn)
{
    return (psn == self->una) && (self->ahead == 0);
}

/* Returns by how much una advanced. */
static inline unsigned uct_srd_una_done(uct_srd_una_t *self,
                                        uct_srd_una_pool_t *pool, uint16_t psn)
{
    if (__builtin_expect(uct_srd_una_is_next(self, psn), 1)) {
        ++self->una;
        return 1;
    }

    return uct_srd_una_done_slow(self, pool, psn);
}

/* All up to psn count as completed. */
static inline void uct_srd_una_forget(uct_srd_una_t *self,
                                      uct_srd_una_pool_t *pool, uint16_t psn)
{
    unsigned i;

    if (self->ahead > 0) {
        for (i = 0; i < pool->words; ++i) {
            uct_srd_una_bits(self, pool)[i] = 0;
        }
        uct_srd_una_give(self, pool);
    }
    uct_srd_una_init(self, psn);
}

#endif
