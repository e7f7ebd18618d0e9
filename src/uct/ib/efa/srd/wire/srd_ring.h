/*
 * Reorder ring: restores the order of a peer's messages (srd-wire.md, 6).
 *
 *     psn - next      0        awaited      deliver, then pop what follows
 *        1 .. 2W-1             early        put, unless the place is taken
 *       2W .. 32767            violation    fail the peer
 *   -32768 .. -1               duplicate    drop
 *
 *     places: psn modulo 2W, there while one is taken
 *
 *             first early message         the last one is popped
 *     pool -----------------------> entries ----------------------> pool
 *
 * Few peers have a gap at the same time. Places of a pool are empty, so that
 * none has to be cleared.
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

/* Empty places of rings with one window; its own link is in the first one */
typedef struct {
    void     **first;
    unsigned num;
} uct_srd_ring_pool_t;

#define UCT_SRD_RING_POOL_MAX 64u    /* more are freed                       */

typedef struct {
    uint16_t next;       /* PSN to be delivered next                         */
    uint16_t held;       /* occupied places                                  */
    uint16_t places;     /* 2W, a power of two                               */
    void     **entries;  /* NULL if held is 0                                */
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

static inline void uct_srd_ring_pool_init(uct_srd_ring_pool_t *pool)
{
    pool->first = NULL;
    pool->num   = 0;
}

static inline void uct_srd_ring_pool_cleanup(uct_srd_ring_pool_t *pool)
{
    void **entries;

    while ((entries = pool->first) != NULL) {
        pool->first = (void **)*entries;
        free(entries);
    }
    pool->num = 0;
}

/* False: no memory */
static inline int uct_srd_ring_take(uct_srd_ring_t *self,
                                    uct_srd_ring_pool_t *pool)
{
    self->entries = pool->first;
    if (self->entries != NULL) {
        pool->first      = (void **)self->entries[0];
        self->entries[0] = NULL;
        --pool->num;
        return 1;
    }

    self->entries = (void **)calloc(self->places, sizeof(void *));
    return self->entries != NULL;
}

/* An entry is out of it. */
static inline void uct_srd_ring_taken_out(uct_srd_ring_t *self,
                                          uct_srd_ring_pool_t *pool)
{
    if (--self->held > 0) {
        return;
    }

    if (pool->num < UCT_SRD_RING_POOL_MAX) {
        self->entries[0] = pool->first;
        pool->first      = self->entries;
        ++pool->num;
    } else {
        free(self->entries);
    }
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
                                                     uct_srd_ring_pool_t *pool,
                                                     uint16_t psn, void *entry)
{
    uct_srd_ring_result_t result = uct_srd_ring_classify(self, psn);
    void **place;

    if (result != UCT_SRD_RING_OUT_OF_ORDER) {
        return result;
    }

    if ((self->held == 0) && !uct_srd_ring_take(self, pool)) {
        return UCT_SRD_RING_NO_MEMORY;
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
static inline void *uct_srd_ring_pop(uct_srd_ring_t *self,
                                     uct_srd_ring_pool_t *pool)
{
    void **place, *entry;

    if (self->held == 0) {
        return NULL;
    }

    place = &self->entries[self->next & (self->places - 1)];
    entry = *place;
    if (entry != NULL) {
        *place = NULL;
        ++self->next;
        uct_srd_ring_taken_out(self, pool);
    }

    return entry;
}

/* Any entry, in no order, without advancing; NULL if none is left. */
static inline void *uct_srd_ring_purge(uct_srd_ring_t *self,
                                       uct_srd_ring_pool_t *pool)
{
    unsigned i;
    void *entry;

    for (i = 0; (self->held > 0) && (i < self->places); ++i) {
        entry = self->entries[i];
        if (entry != NULL) {
            self->entries[i] = NULL;
            uct_srd_ring_taken_out(self, pool);
            return entry;
        }
    }

    return NULL;
}

#endif
