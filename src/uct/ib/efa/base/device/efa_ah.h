/*
 * Address handle cache: one AH per GID and protection domain.
 *
 *          get                put (last)            evict / cleanup
 *   absent ----> used (refs>0) ----> idle (LRU list) ----> absent
 *                 ^___________ get ____|
 *
 * The device has few AHs (1024 on 0xefa1): ENOMEM is normal life at scale. On
 * ENOMEM the cache destroys its least recently used idle AH and tries again;
 * if none is idle it asks the owner that wants one to give some up (an srd
 * iface puts the AHs of peers with nothing in flight).
 *
 * Thread safe, since workers may share an MD: the cache has two locks of its
 * own (efa_ah.c). Owners are asked in the thread that needs an AH.
 */
#ifndef UCT_EFA_AH_H
#define UCT_EFA_AH_H

#include "stats/efa_stats.h"

#include <infiniband/verbs.h>
#include <ucs/datastruct/list.h>
#include <ucs/type/status.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UCT_EFA_AHN_UNKNOWN 0xffffu   /* rx completion: no AH for the sender */

typedef struct uct_efa_ah_cache uct_efa_ah_cache_t;

typedef struct uct_efa_ah {
    struct ibv_ah          *ibv_ah;
    uint16_t               ahn;       /* device's number, efadv_query_ah     */
    uint16_t               reserved;
    unsigned               refs;
    union ibv_gid          gid;
    ucs_list_link_t        lru;       /* in the idle list when refs == 0     */
    uct_efa_stats_object_t *stats;
} uct_efa_ah_t;

/* Called when the device has no AH left, without the cache's lock, in the
 * thread that asked for an AH. Puts up to `wanted` references and returns their
 * number. Must not add or remove owners. */
typedef unsigned (*uct_efa_ah_reclaim_func_t)(void *arg, unsigned wanted);

ucs_status_t uct_efa_ah_cache_create(struct ibv_pd *pd,
                                     uct_efa_ah_cache_t **cache_p);

/* Shows AHs that are made from now on in the stats segment. */
void uct_efa_ah_cache_show(uct_efa_ah_cache_t *cache,
                           uct_efa_stats_device_t *stats);

/* All references must have been put; what is left is destroyed all the same. */
void uct_efa_ah_cache_destroy(uct_efa_ah_cache_t *cache);

ucs_status_t uct_efa_ah_cache_add_owner(uct_efa_ah_cache_t *cache,
                                        uct_efa_ah_reclaim_func_t func,
                                        void *arg);
void uct_efa_ah_cache_remove_owner(uct_efa_ah_cache_t *cache, void *arg);

/* Called after each AH that was destroyed on the device and before it may
 * give the number to another address: what carries the number in the owner's
 * completion queue has its old meaning then. The cache's lock is held: it must
 * not call the cache. */
typedef void (*uct_efa_ah_evicted_func_t)(void *owner_arg);

/* Returns a reference to the AH for gid, which it makes if there is none.
 * UCS_ERR_NO_RESOURCE: the device's table is full of AHs in use, or the device
 * is away for a reset (no log);
 * UCS_ERR_UNREACHABLE: the device refused the GID (logged, with the cause).
 *
 * If the table is full, the owner of that arg is asked to give up some, and no
 * other one, which may be at work in another thread: those learn from
 * uct_efa_ah_cache_wanted() that others go short. evicted may be NULL. */
ucs_status_t uct_efa_ah_get(uct_efa_ah_cache_t *cache, void *owner_arg,
                            uct_efa_ah_evicted_func_t evicted,
                            const union ibv_gid *gid,
                            uct_efa_ah_t **ah_p);

void uct_efa_ah_put(uct_efa_ah_cache_t *cache, uct_efa_ah_t *ah);

/* How many calls found no AH and gave up. Any thread, no lock. */
uint64_t uct_efa_ah_cache_wanted(const uct_efa_ah_cache_t *cache);

/* Totals since the cache was created. */
typedef struct {
    unsigned used;                    /* referenced now                     */
    unsigned idle;                    /* kept, not referenced now           */
    uint64_t creates;
    uint64_t evicts;
    uint64_t reclaims;                /* owners asked                       */
} uct_efa_ah_stats_t;

void uct_efa_ah_cache_stats(uct_efa_ah_cache_t *cache,
                            uct_efa_ah_stats_t *stats);

#ifdef __cplusplus
}
#endif

#endif
