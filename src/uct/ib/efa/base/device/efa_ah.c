/*
 * The AH cache: see the picture in efa_ah.h.
 *
 *   hash   GID -> AH, used and idle ones
 *   idle   the idle ones, least recently put first
 *   owners who can give up references when nothing is idle
 *
 * Two locks. `lock` protects hash, idle and counters, and is held over
 * ibv_create_ah(), so that two threads do not make the same AH. `owners_lock`
 * protects the list of owners while they are called, and is taken without
 * `lock`: an owner puts AHs, which takes `lock`.
 */
#include "base/ucx/ucx_compat.h"
#include "base/device/efa_ah.h"
#include "base/device/efa_context.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

/* How many AHs an owner is asked for: enough that a burst of new peers does
 * not ask again for each one. */
#define UCT_EFA_AH_RECLAIM_BATCH 16

/* Rounds of "ask the owners, try again" before NO_RESOURCE: another thread may
 * have taken what was given up. */
#define UCT_EFA_AH_RECLAIM_ROUNDS 4

static inline khint_t uct_efa_ah_gid_hash(union ibv_gid gid)
{
    uint64_t hash = gid.global.interface_id ^
                    (gid.global.subnet_prefix * 0x9e3779b97f4a7c15ull);

    return kh_int64_hash_func(hash);
}

static inline int uct_efa_ah_gid_equal(union ibv_gid gid1, union ibv_gid gid2)
{
    return memcmp(&gid1, &gid2, sizeof(gid1)) == 0;
}

KHASH_INIT(uct_efa_ah, union ibv_gid, uct_efa_ah_t*, 1, uct_efa_ah_gid_hash,
           uct_efa_ah_gid_equal)

typedef struct {
    ucs_list_link_t           list;
    uct_efa_ah_reclaim_func_t func;
    void                      *arg;
} uct_efa_ah_owner_t;

struct uct_efa_ah_cache {
    struct ibv_pd          *pd;
    uct_efa_stats_device_t *device;  /* NULL: not shown */
    pthread_mutex_t        lock;
    khash_t(uct_efa_ah)    hash;
    ucs_list_link_t        idle;
    uct_efa_ah_stats_t     stats;
    uint64_t               wanted;   /* atomic: read without the lock */
    pthread_mutex_t        owners_lock;
    ucs_list_link_t        owners;
};

ucs_status_t uct_efa_ah_cache_create(struct ibv_pd *pd,
                                     uct_efa_ah_cache_t **cache_p)
{
    uct_efa_ah_cache_t *cache;

    cache = ucs_calloc(1, sizeof(*cache), "efa_ah_cache");
    if (cache == NULL) {
        ucs_error("cannot allocate the address handle cache");
        return UCS_ERR_NO_MEMORY;
    }

    cache->pd = pd;
    pthread_mutex_init(&cache->lock, NULL);
    pthread_mutex_init(&cache->owners_lock, NULL);
    kh_init_inplace(uct_efa_ah, &cache->hash);
    ucs_list_head_init(&cache->idle);
    ucs_list_head_init(&cache->owners);

    *cache_p = cache;
    return UCS_OK;
}

void uct_efa_ah_cache_show(uct_efa_ah_cache_t *cache,
                           uct_efa_stats_device_t *stats)
{
    cache->device = stats;
}

static void uct_efa_ah_destroy(uct_efa_ah_cache_t *cache, uct_efa_ah_t *ah)
{
    int ret;

    uct_efa_stats_object_put(cache->device, ah->stats, EFA_STATS_AH, 0);
    ret = ibv_destroy_ah(ah->ibv_ah);

    if ((ret != 0) && !uct_efa_err_is_gone(ret)) {
        ucs_diag("ibv_destroy_ah(ahn=%u) failed: %s; the device keeps it until "
                 "the process exits",
                 ah->ahn, strerror(ret));
    }

    ucs_free(ah);
}

void uct_efa_ah_cache_destroy(uct_efa_ah_cache_t *cache)
{
    uct_efa_ah_owner_t *owner, *tmp;
    uct_efa_ah_t *ah;

    if (cache->stats.used > 0) {
        ucs_diag("%u address handles are still in use", cache->stats.used);
    }

    kh_foreach_value(&cache->hash, ah, { uct_efa_ah_destroy(cache, ah); })
        ;

    ucs_list_for_each_safe(owner, tmp, &cache->owners, list) {
        ucs_list_del(&owner->list);
        ucs_free(owner);
    }

    kh_destroy_inplace(uct_efa_ah, &cache->hash);
    pthread_mutex_destroy(&cache->owners_lock);
    pthread_mutex_destroy(&cache->lock);
    ucs_free(cache);
}

ucs_status_t uct_efa_ah_cache_add_owner(uct_efa_ah_cache_t *cache,
                                        uct_efa_ah_reclaim_func_t func,
                                        void *arg)
{
    uct_efa_ah_owner_t *owner;

    owner = ucs_malloc(sizeof(*owner), "efa_ah_owner");
    if (owner == NULL) {
        ucs_error("cannot allocate an owner of address handles");
        return UCS_ERR_NO_MEMORY;
    }

    owner->func = func;
    owner->arg  = arg;
    pthread_mutex_lock(&cache->owners_lock);
    ucs_list_add_tail(&cache->owners, &owner->list);
    pthread_mutex_unlock(&cache->owners_lock);
    return UCS_OK;
}

void uct_efa_ah_cache_remove_owner(uct_efa_ah_cache_t *cache, void *arg)
{
    uct_efa_ah_owner_t *owner, *tmp;

    pthread_mutex_lock(&cache->owners_lock);
    ucs_list_for_each_safe(owner, tmp, &cache->owners, list) {
        if (owner->arg == arg) {
            ucs_list_del(&owner->list);
            ucs_free(owner);
        }
    }
    pthread_mutex_unlock(&cache->owners_lock);
}

/* Called with the lock held. Returns 0 if no AH is idle. */
static int uct_efa_ah_evict_one(uct_efa_ah_cache_t *cache)
{
    uct_efa_ah_t *ah;
    khiter_t iter;

    if (ucs_list_is_empty(&cache->idle)) {
        return 0;
    }

    ah   = ucs_list_extract_head(&cache->idle, uct_efa_ah_t, lru);
    iter = kh_get(uct_efa_ah, &cache->hash, ah->gid);
    ucs_assert(iter != kh_end(&cache->hash));
    kh_del(uct_efa_ah, &cache->hash, iter);
    --cache->stats.idle;
    ++cache->stats.evicts;
    uct_efa_stats_event(EFA_STATS_EVENT_AH_EVICT, NULL, &ah->gid, 0, 0, ah->ahn,
                        0);
    uct_efa_ah_destroy(cache, ah);
    return 1;
}

static void uct_efa_ah_log_refused(const union ibv_gid *gid, int err)
{
    char gid_str[INET6_ADDRSTRLEN];

    inet_ntop(AF_INET6, gid, gid_str, sizeof(gid_str));
    if (err == EINVAL) {
        ucs_error("the EFA device refuses the address %s (%s): it is not an "
                  "EFA address of this subnet; check that both instances are "
                  "in the same subnet and availability zone, and that the "
                  "address comes from an EFA device",
                  gid_str, strerror(err));
    } else {
        ucs_error("cannot make an address handle for %s: %s; look at the "
                  "kernel log (dmesg) for messages of the efa driver",
                  gid_str, strerror(err));
    }
}

/* Asks the device. Called with the lock held; returns an errno, 0 for success.
 * Logs nothing. */
static int uct_efa_ah_device_create(uct_efa_ah_cache_t *cache,
                                    const union ibv_gid *gid,
                                    struct ibv_ah **ibv_ah_p, uint16_t *ahn_p)
{
    struct efadv_ah_attr efa_attr = {0};
    struct ibv_ah_attr attr;
    struct ibv_ah *ibv_ah;
    int ret;

    /* The device looks at the GID alone; libibverbs wants the rest to be
     * plausible. Source: docs/device-facts.md, "Address handles". */
    memset(&attr, 0, sizeof(attr));
    attr.port_num       = UCT_EFA_PORT_NUM;
    attr.is_global      = 1;
    attr.grh.dgid       = *gid;
    attr.grh.sgid_index = UCT_EFA_GID_INDEX;

    errno  = 0;
    ibv_ah = ibv_create_ah(cache->pd, &attr);
    if (ibv_ah == NULL) {
        return (errno != 0) ? errno : EIO;
    }

    ret = efadv_query_ah(ibv_ah, &efa_attr, sizeof(efa_attr));
    if (ret != 0) {
        ibv_destroy_ah(ibv_ah);
        return (ret > 0) ? ret : EIO;
    }

    *ibv_ah_p = ibv_ah;
    *ahn_p    = efa_attr.ahn;
    return 0;
}

/* Called with the lock held, for a GID that is not in the hash. */
static ucs_status_t uct_efa_ah_create(uct_efa_ah_cache_t *cache,
                                      void *owner_arg,
                                      uct_efa_ah_evicted_func_t evicted,
                                      const union ibv_gid *gid,
                                      uct_efa_ah_t **ah_p)
{
    struct ibv_ah *ibv_ah                = NULL;
    uint16_t ahn                         = UCT_EFA_AHN_UNKNOWN;
    uct_efa_stats_object_params_t params = {
        .kind = EFA_STATS_AH,
        .gid  = gid,
        .site = "uct_efa_ah_get"
    };
    uct_efa_ah_t *ah;
    khiter_t iter;
    int ret;

    ah = ucs_calloc(1, sizeof(*ah), "efa_ah");
    if (ah == NULL) {
        ucs_error("cannot allocate an address handle");
        return UCS_ERR_NO_MEMORY;
    }

    for (;;) {
        ret = uct_efa_ah_device_create(cache, gid, &ibv_ah, &ahn);
        if ((ret != ENOMEM) || !uct_efa_ah_evict_one(cache)) {
            break;
        }
        if (evicted != NULL) {
            evicted(owner_arg);
        }
    }

    if (ret != 0) {
        ucs_free(ah);
        if (!uct_efa_err_is_gone(ret)) {
            uct_efa_stats_device_refused(cache->device, EFA_STATS_AH, ret);
        }
        if (ret == ENOMEM) {
            return UCS_ERR_NO_RESOURCE;
        } else if (uct_efa_err_is_gone(ret)) {
            return UCS_ERR_NO_DEVICE; /* away: a reset */
        }
        uct_efa_ah_log_refused(gid, ret);
        return UCS_ERR_UNREACHABLE;
    }

    ah->ibv_ah    = ibv_ah;
    ah->ahn       = ahn;
    ah->gid       = *gid;
    params.number = ahn;
    ah->stats     = uct_efa_stats_object_get(cache->device, &params);
    ++cache->stats.creates;

    /* After the evictions, which change the hash */
    iter = kh_put(uct_efa_ah, &cache->hash, *gid, &ret);
    if (ret == UCS_KH_PUT_FAILED) {
        uct_efa_ah_destroy(cache, ah);
        ucs_error("cannot extend the address handle cache");
        return UCS_ERR_NO_MEMORY;
    }

    kh_value(&cache->hash, iter) = ah;
    *ah_p                        = ah;
    return UCS_OK;
}

/* Returns how many references were put. */
static unsigned uct_efa_ah_reclaim(uct_efa_ah_cache_t *cache,
                                   const void *owner_arg)
{
    unsigned count = 0;
    uct_efa_ah_owner_t *owner;

    pthread_mutex_lock(&cache->owners_lock);
    ucs_list_for_each(owner, &cache->owners, list) {
        if (owner->arg == owner_arg) {
            count += owner->func(owner->arg, UCT_EFA_AH_RECLAIM_BATCH);
        }
    }
    pthread_mutex_unlock(&cache->owners_lock);
    return count;
}

ucs_status_t uct_efa_ah_get(uct_efa_ah_cache_t *cache, void *owner_arg,
                            uct_efa_ah_evicted_func_t evicted,
                            const union ibv_gid *gid, uct_efa_ah_t **ah_p)
{
    unsigned rounds = 0;
    ucs_status_t status;
    uct_efa_ah_t *ah;
    khiter_t iter;

    pthread_mutex_lock(&cache->lock);
    for (;;) {
        /* Every time: another thread may have made it meanwhile */
        iter = kh_get(uct_efa_ah, &cache->hash, *gid);
        if (iter != kh_end(&cache->hash)) {
            ah = kh_value(&cache->hash, iter);
            if (ah->refs == 0) {
                ucs_list_del(&ah->lru);
                --cache->stats.idle;
            }
            break;
        }

        status = uct_efa_ah_create(cache, owner_arg, evicted, gid, &ah);
        if (status == UCS_OK) {
            break;
        }

        if (status == UCS_ERR_NO_RESOURCE) {
            ++cache->stats.reclaims;
            pthread_mutex_unlock(&cache->lock);
            if ((rounds++ < UCT_EFA_AH_RECLAIM_ROUNDS) &&
                (uct_efa_ah_reclaim(cache, owner_arg) > 0)) {
                pthread_mutex_lock(&cache->lock);
                continue;
            }
            __atomic_fetch_add(&cache->wanted, 1, __ATOMIC_RELAXED);
            return status;
        }

        pthread_mutex_unlock(&cache->lock);
        return (status == UCS_ERR_NO_DEVICE) ? UCS_ERR_NO_RESOURCE : status;
    }

    if (ah->refs++ == 0) {
        ++cache->stats.used;
    }
    uct_efa_stats_object_resize(ah->stats, ah->refs);
    pthread_mutex_unlock(&cache->lock);

    *ah_p = ah;
    return UCS_OK;
}

void uct_efa_ah_put(uct_efa_ah_cache_t *cache, uct_efa_ah_t *ah)
{
    pthread_mutex_lock(&cache->lock);
    ucs_assertv(ah->refs > 0, "ahn=%u", ah->ahn);
    if (--ah->refs == 0) {
        ucs_list_add_tail(&cache->idle, &ah->lru);
        --cache->stats.used;
        ++cache->stats.idle;
    }
    uct_efa_stats_object_resize(ah->stats, ah->refs);
    pthread_mutex_unlock(&cache->lock);
}

uint64_t uct_efa_ah_cache_wanted(const uct_efa_ah_cache_t *cache)
{
    return __atomic_load_n(&cache->wanted, __ATOMIC_RELAXED);
}

void uct_efa_ah_cache_stats(uct_efa_ah_cache_t *cache,
                            uct_efa_ah_stats_t *stats)
{
    pthread_mutex_lock(&cache->lock);
    *stats = cache->stats;
    pthread_mutex_unlock(&cache->lock);
}
