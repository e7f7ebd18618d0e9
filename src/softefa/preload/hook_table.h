/*
 * Verbs objects by their address: one hash table for the process.
 *
 * Readers take no lock: entries never move within a table, and a table that was
 * outgrown is kept until the process ends, for readers still in it. An address
 * enters before libibverbs hands the object out and leaves before the object is
 * freed, so a reader never meets a half-made entry of its own.
 */
#ifndef SOFTEFA_HOOK_TABLE_H
#define SOFTEFA_HOOK_TABLE_H

#include "kernel/upcall.h"

#include <infiniband/verbs.h>
#include <stdatomic.h>
#include <stdbool.h>

/* libefa's own functions for the objects of one context. */
struct softefa_hooks {
    struct softefa_hooks *next;
    struct ibv_context   *context;
    int  (*post_send)(struct ibv_qp*, struct ibv_send_wr*,
                      struct ibv_send_wr**);
    int  (*poll_cq)(struct ibv_cq*, int, struct ibv_wc*);
    int  (*req_notify_cq)(struct ibv_cq*, int);
    struct ibv_qp_ex *(*to_qp_ex)(struct ibv_qp*);
};

typedef struct {
    softefa_hooks_t *hooks;
    softefa_dev_t   *dev;     /* NULL in a forked child */
    union {
        struct {
            softefa_cq_t *cq;
            int (*start_poll)(struct ibv_cq_ex*, struct ibv_poll_cq_attr*);
            atomic_bool  behind; /* softefa_cq_set_behind() */
        } cq;
        struct {
            softefa_qp_t *qp;
            int (*wr_complete)(struct ibv_qp_ex*);
        } qp;
    } u;
} softefa_hook_t;

typedef struct {
    _Atomic(uintptr_t) key;   /* address, EMPTY or REMOVED */
    softefa_hook_t             *hook;
} softefa_hook_entry_t;

typedef struct softefa_hook_table {
    struct softefa_hook_table *outgrown;
    size_t                    mask;      /* number of entries - 1 */
    size_t                    used;      /* entries not EMPTY */
    size_t                    live;      /* entries with an address */
    softefa_hook_entry_t              entries[];
} softefa_hook_table_t;

enum {
    SOFTEFA_HOOK_EMPTY   = 0,
    SOFTEFA_HOOK_REMOVED = 1
};

extern _Atomic(softefa_hook_table_t*) softefa_hook_table;

static inline size_t softefa_hook_table_hash(uintptr_t key)
{
    return (key * 0x9e3779b97f4a7c15ull) >> 32;
}

static inline softefa_hook_entry_t *
softefa_hook_table_find(softefa_hook_table_t *table, uintptr_t key)
{
    size_t i = softefa_hook_table_hash(key) & table->mask;
    uintptr_t found;

    for (;;) {
        found = atomic_load_explicit(&table->entries[i].key,
                                     memory_order_acquire);
        if (found == key) {
            return &table->entries[i];
        } else if (found == SOFTEFA_HOOK_EMPTY) {
            return NULL;
        }
        i = (i + 1) & table->mask;
    }
}

/* NULL: no memory. A hook that had the address is freed. */
softefa_hook_t *softefa_hook_table_add(uintptr_t key, softefa_hooks_t *hooks,
                                       softefa_dev_t *dev);

/* Frees the hook, if it is of `dev`: libibverbs frees an object of a dead
 * device (RDMAV_ALLOW_DISASSOC_DESTROY), its address may name another one's
 * since. */
void softefa_hook_table_remove(const softefa_dev_t *dev, uintptr_t key);

/* NULL: unknown, or no address at all */
softefa_hook_t *softefa_hook_table_get(uint64_t user_handle);

#endif
