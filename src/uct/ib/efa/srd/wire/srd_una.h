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
 * Plain C, no dependency: the unit tests include it.
 */
#ifndef UCT_SRD_UNA_H
#define UCT_SRD_UNA_H

#include <stdint.h>
#include <string.h>

typedef struct {
    uint16_t una;
    uint16_t ahead;      /* number of set bits                               */
    uint16_t mask;       /* capacity - 1, bits                               */
    uint64_t *bits;      /* capacity / 64 words, owned by the caller         */
} uct_srd_una_t;

#define UCT_SRD_UNA_WORDS(_capacity) (((_capacity) + 63) / 64)

/* capacity: a power of two, at most 32768 */
static inline void uct_srd_una_init(uct_srd_una_t *self, uint64_t *bits,
                                    unsigned capacity, uint16_t first)
{
    self->una   = first;
    self->ahead = 0;
    self->mask  = (uint16_t)(capacity - 1);
    self->bits  = bits;
    memset(bits, 0, UCT_SRD_UNA_WORDS(capacity) * sizeof(*bits));
}

/* Messages between una and psn that have not completed */
static inline unsigned uct_srd_una_outstanding(const uct_srd_una_t *self,
                                               uint16_t psn)
{
    return (uint16_t)(psn - self->una) - self->ahead;
}

static inline unsigned uct_srd_una_done_slow(uct_srd_una_t *self, uint16_t psn)
{
    unsigned count = 1;
    unsigned bit;

    if (psn != self->una) {
        bit = psn & self->mask;
        self->bits[bit / 64] |= 1ull << (bit % 64);
        ++self->ahead;
        return 0;
    }

    ++self->una;
    while (self->ahead > 0) {
        bit = self->una & self->mask;
        if (!(self->bits[bit / 64] & (1ull << (bit % 64)))) {
            break;
        }

        self->bits[bit / 64] &= ~(1ull << (bit % 64));
        --self->ahead;
        ++self->una;
        ++count;
    }

    return count;
}

/* Does una advance by one if psn is done, and nothing else happen? */
static inline int uct_srd_una_is_next(const uct_srd_una_t *self, uint16_t psn)
{
    return (psn == self->una) && (self->ahead == 0);
}

/* Returns by how much una advanced. */
static inline unsigned uct_srd_una_done(uct_srd_una_t *self, uint16_t psn)
{
    if (__builtin_expect(uct_srd_una_is_next(self, psn), 1)) {
        ++self->una;
        return 1;
    }

    return uct_srd_una_done_slow(self, psn);
}

#endif
