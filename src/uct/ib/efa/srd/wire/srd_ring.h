/*
 * Reorder ring: restores the order of a peer's messages (srd-wire.md, 6).
 *
 *     psn - next      0        awaited      deliver, then pop what follows
 *        1 .. 2W-1             early        put, unless the place is taken
 *       2W .. 32767            violation    fail the peer
 *   -32768 .. -1               duplicate    drop
 *
 *     places: psn modulo 2W, allocated when the first early message comes
 *
 * Entries belong to the caller. Plain C, no dependency beyond calloc: the unit
 * tests include it.
 */
#ifndef UCT_SRD_RING_H
#define UCT_SRD_RING_H

#include <stdint.h>
#include <stdlib.h>

typedef enum {
    UCT_SRD_RING_AWAITED,
    UCT_SRD_RING_OUT_OF_ORDER,
    UCT_SRD_RING_DUPLICATE,
    UCT_SRD_RING_VIOLATION,
    UCT_SRD_RING_NO_MEMORY
} uct_srd_ring_result_t;

typedef struct {
    uint16_t next;       /* PSN to be delivered next                         */
    uint16_t held;       /* occupied places                                  */
    uint16_t places;     /* 2W, a power of two                               */
    void     **entries;  /* NULL until the first early message               */
} uct_srd_ring_t;

/* window: a power of two, at most 8192 */
static inline void uct_srd_ring_init(uct_srd_ring_t *self, unsigned window,
                                     uint16_t first)
{
    self->next    = first;
    self->held    = 0;
    self->places  = (uint16_t)(2 * window);
    self->entries = NULL;
}

/* All entries must have been popped. */
static inline void uct_srd_ring_cleanup(uct_srd_ring_t *self)
{
    free(self->entries);
    self->entries = NULL;
}

static inline uct_srd_ring_result_t
uct_srd_ring_classify(const uct_srd_ring_t *self, uint16_t psn)
{
    uint16_t distance = (uint16_t)(psn - self->next);

    if (distance == 0) {
        return UCT_SRD_RING_AWAITED;
    } else if (distance < self->places) {
        return UCT_SRD_RING_OUT_OF_ORDER;
    } else if (distance < 32768) {
        return UCT_SRD_RING_VIOLATION;
    }

    return UCT_SRD_RING_DUPLICATE;
}

/* Keeps entry if psn is early (EARLY is returned). In all other cases, AWAITED
 * included, the ring is as before and the entry remains the caller's. */
static inline uct_srd_ring_result_t uct_srd_ring_put(uct_srd_ring_t *self,
                                                     uint16_t psn, void *entry)
{
    uct_srd_ring_result_t result = uct_srd_ring_classify(self, psn);
    void **place;

    if (result != UCT_SRD_RING_OUT_OF_ORDER) {
        return result;
    }

    if (self->entries == NULL) {
        self->entries = (void **)calloc(self->places, sizeof(void *));
        if (self->entries == NULL) {
            return UCT_SRD_RING_NO_MEMORY;
        }
    }

    place = &self->entries[psn & (self->places - 1)];
    if (*place != NULL) {
        return UCT_SRD_RING_DUPLICATE;
    }

    *place = entry;
    ++self->held;
    return UCT_SRD_RING_OUT_OF_ORDER;
}

/* The entry of PSN next, which it advances past; NULL if it is not there. */
static inline void *uct_srd_ring_pop(uct_srd_ring_t *self)
{
    void **place, *entry;

    if (self->held == 0) {
        return NULL;
    }

    place = &self->entries[self->next & (self->places - 1)];
    entry = *place;
    if (entry != NULL) {
        *place = NULL;
        --self->held;
        ++self->next;
    }

    return entry;
}

/* Any entry, in no order, without advancing; NULL if none is left. */
static inline void *uct_srd_ring_purge(uct_srd_ring_t *self)
{
    unsigned i;
    void *entry;

    for (i = 0; (self->held > 0) && (i < self->places); ++i) {
        entry = self->entries[i];
        if (entry != NULL) {
            self->entries[i] = NULL;
            --self->held;
            return entry;
        }
    }

    return NULL;
}

#endif
