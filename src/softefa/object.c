/*
 * Making and taking apart devices, PDs, AHs, MRs; what a dead process left.
 * Numbers are those of the hardware:
 *
 *   lkey   24 bits   | generation, never 0 : 6 | index : 18 |
 *   rkey   32 bits   | random : 14             | index : 18 |
 *   AHN    16 bits   index; per PD and GID, counted
 *   QPN    16 bits   | generation | index : log2(roundup_pow2(max_qp)) |
 *
 * CQs and QPs: queue.c.
 */
#define _GNU_SOURCE
#include "log.h"
#include "object.h"
#include "sys.h"
#include "table.h"

#include <errno.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

#define MR_INDEX_MASK ((1u << SOFTEFA_MR_INDEX_BITS) - 1)

static_assert(SOFTEFA_MR_INDEX_BITS < 24, "lkey has no room for the index");
static_assert(SOFTEFA_TABLE_AH <= SOFTEFA_AH_UNKNOWN + 1, "AHN is 16 bits");

static softefa_shm_dev_t *shm_dev(unsigned index)
{
    return &softefa_fabric.shm->dev[index];
}

/*
 * Devices
 */

static int dev_init_shared(softefa_dev_t *dev, const softefa_profile_t *profile)
{
    softefa_shm_dev_t *shm = dev->shm;
    softefa_profile_t copy = *profile;
    uint32_t size;
    int ret;

    /* The name is a pointer of this process. */
    copy.name = NULL;
    if (shm->opens == 0) {
        ret = softefa_fabric_back(softefa_offset(shm),
                                  offsetof(softefa_shm_dev_t, pd));
        if (ret != 0) {
            return ret;
        }

        for (size = 1; size < profile->max_qp; size *= 2) {
        }
        shm->qp_mask = size - 1;
        shm->profile = copy;
        softefa_table_init(shm, profile);
        while (shm->random == 0) {
            if (getrandom(&shm->random, sizeof(shm->random), 0) < 0) {
                shm->random = softefa_now();
            }
        }
    } else if (memcmp(&shm->profile, &copy, sizeof(copy)) != 0) {
        softefa_error("device %u of fabric %s is in use with another profile "
                      "or other limits; give all processes the same "
                      "SOFTEFA_PROFILE, SOFTEFA_LIMITS and SOFTEFA_MTU, or "
                      "name another fabric (SOFTEFA_FABRIC)",
                      dev->index, softefa_fabric.dir);
        return EBUSY;
    }

    ++softefa_fabric.shm->proc[softefa_fabric.slot].opens[dev->index];
    ++shm->opens;
    return 0;
}

int softefa_dev_open(unsigned index, softefa_dev_t **dev_p)
{
    static _Atomic uint16_t next_file;
    const softefa_options_t *options;
    softefa_dev_t *dev;
    uint16_t file;
    int ret;

    ret = softefa_fabric_attach();
    if (ret != 0) {
        return ret;
    }

    options = softefa_options();
    if (index >= options->devices) {
        return ENODEV;
    }

    dev = calloc(1, sizeof(*dev));
    if (dev == NULL) {
        return ENOMEM;
    }

    file         = next_file++;
    dev->epoch   = softefa_fabric.epoch;
    dev->owner   = (softefa_fabric.slot << 16) | file;
    dev->index   = index;
    dev->shm     = shm_dev(index);
    dev->profile = options->profile;
    softefa_fabric_gid(index, dev->gid);
    pthread_mutex_init(&dev->lock, NULL);
    softefa_list_init(&dev->qps);
    softefa_list_init(&dev->cqs);
    softefa_list_init(&dev->mrs);
    softefa_list_init(&dev->channels);

    softefa_admin_lock();
    softefa_fabric_reap();
    ret = dev_init_shared(dev, &options->profile);
    softefa_admin_unlock();
    if (ret != 0) {
        pthread_mutex_destroy(&dev->lock);
        free(dev);
        return ret;
    }

    softefa_ticker_add(dev);
    *dev_p = dev;
    return 0;
}

/* Releases AHs, then PDs of this file; the lists have the rest. */
static void dev_release_numbers(softefa_dev_t *dev)
{
    softefa_shm_ah_t *ah;
    uint32_t i;

    for (i = 0; i < dev->shm->table[SOFTEFA_KIND_AH].backed; ++i) {
        while ((ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner,
                                       i)) != NULL) {
            softefa_ah_destroy(dev, ah->pdn, i);
        }
    }

    for (i = 0; i < dev->shm->table[SOFTEFA_KIND_PD].backed; ++i) {
        if (softefa_table_get(dev->shm, SOFTEFA_KIND_PD, dev->owner, i)) {
            softefa_pd_free(dev, i);
        }
    }
}

void softefa_dev_close(softefa_dev_t *dev)
{
    uint32_t events;

    softefa_ticker_remove(dev);
    if (softefa_dev_valid(dev)) {
        while (dev->qps.next != &dev->qps) {
            softefa_qp_destroy(softefa_container_of(dev->qps.next,
                                                    softefa_qp_t, link));
        }
        while (dev->mrs.next != &dev->mrs) {
            softefa_mr_dereg(softefa_container_of(dev->mrs.next, softefa_mr_t,
                                                  link));
        }
        while (dev->cqs.next != &dev->cqs) {
            softefa_cq_destroy(softefa_container_of(dev->cqs.next,
                                                    softefa_cq_t, link),
                               &events);
        }
        while (dev->channels.next != &dev->channels) {
            softefa_channel_destroy(
                    softefa_container_of(dev->channels.next,
                                         softefa_channel_t, link));
        }

        dev_release_numbers(dev);
        softefa_admin_lock();
        --softefa_fabric.shm->proc[softefa_fabric.slot].opens[dev->index];
        --dev->shm->opens;
        softefa_admin_unlock();
    }

    pthread_mutex_destroy(&dev->lock);
    free(dev);
}

const softefa_profile_t *softefa_dev_profile(const softefa_dev_t *dev)
{
    return &dev->profile;
}

void softefa_dev_gid(const softefa_dev_t *dev, uint8_t gid[16])
{
    memcpy(gid, dev->gid, sizeof(dev->gid));
}

int softefa_dev_mmap_fd(const softefa_dev_t *dev)
{
    return softefa_dev_valid(dev) ? softefa_fabric.mem_fd : -1;
}

/*
 * Protection domains
 */

static softefa_shm_pd_t *pd_get(softefa_dev_t *dev, uint16_t pdn)
{
    return softefa_table_get(dev->shm, SOFTEFA_KIND_PD, dev->owner, pdn);
}

int softefa_pd_hold(softefa_dev_t *dev, uint16_t pdn, int count)
{
    softefa_shm_pd_t *pd = pd_get(dev, pdn);

    if (pd == NULL) {
        return EINVAL;
    }

    pd->refs += count;
    return 0;
}

int softefa_pd_alloc(softefa_dev_t *dev, uint16_t *pdn)
{
    softefa_shm_pd_t *pd;
    uint32_t index;
    int ret, i;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    softefa_admin_lock();
    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_PD, dev->owner, &index);
    if (ret == 0) {
        pd       = &dev->shm->pd[index];
        pd->refs = 0;
        for (i = 0; i < SOFTEFA_MAX_DEVICES; ++i) {
            pd->ah_of[i] = SOFTEFA_AH_UNKNOWN;
        }
        pd->obj.state = SOFTEFA_STATE_ALIVE;
        *pdn          = index;
    }
    softefa_admin_unlock();
    return ret;
}

int softefa_pd_free(softefa_dev_t *dev, uint16_t pdn)
{
    softefa_shm_pd_t *pd;
    int ret = 0;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    softefa_admin_lock();
    pd = pd_get(dev, pdn);
    if (pd == NULL) {
        ret = EINVAL;
    } else if (pd->refs > 0) {
        ret = EBUSY;
    } else {
        softefa_table_release(dev->shm, SOFTEFA_KIND_PD, pdn);
    }
    softefa_admin_unlock();
    return ret;
}

/*
 * Address handles
 */

int softefa_ah_create(softefa_dev_t *dev, uint16_t pdn, const uint8_t gid[16],
                      uint16_t *ahn)
{
    softefa_table_t *table = &dev->shm->table[SOFTEFA_KIND_AH];
    softefa_shm_ah_t *ah;
    softefa_shm_pd_t *pd;
    uint32_t index;
    int ret = 0;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    softefa_admin_lock();
    pd = pd_get(dev, pdn);
    if (pd == NULL) {
        ret = EINVAL;
        goto out;
    }

    for (index = 0; index < table->backed; ++index) {
        ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, index);
        if ((ah != NULL) && (ah->pdn == pdn) && !memcmp(ah->gid, gid, 16)) {
            ++ah->refs;
            *ahn = index;
            goto out;
        }
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_AH, dev->owner, &index);
    if (ret != 0) {
        goto out;
    }

    ah         = &dev->shm->ah[index];
    ah->pdn    = pdn;
    ah->refs   = 1;
    ah->device = softefa_fabric_find(gid);
    ++ah->generation;
    memcpy(ah->gid, gid, sizeof(ah->gid));
    ++pd->refs;
    if (ah->device != SOFTEFA_NO_DEVICE) {
        pd->ah_of[ah->device] = index;
        ++dev->shm->ah_for[ah->device];
    }
    ah->obj.state = SOFTEFA_STATE_ALIVE;
    *ahn          = index;
out:
    softefa_admin_unlock();
    return ret;
}

int softefa_ah_destroy(softefa_dev_t *dev, uint16_t pdn, uint16_t ahn)
{
    softefa_shm_ah_t *ah;
    softefa_shm_pd_t *pd;
    int ret = 0;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    softefa_admin_lock();
    ah = softefa_table_get(dev->shm, SOFTEFA_KIND_AH, dev->owner, ahn);
    if ((ah == NULL) || (ah->pdn != pdn)) {
        ret = EINVAL;
    } else if (--ah->refs == 0) {
        ah->obj.state = SOFTEFA_STATE_RESERVED;
        pd            = &dev->shm->pd[pdn];
        --pd->refs;
        if (ah->device != SOFTEFA_NO_DEVICE) {
            pd->ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
            --dev->shm->ah_for[ah->device];
        }
        softefa_table_release(dev->shm, SOFTEFA_KIND_AH, ahn);
    }
    softefa_admin_unlock();
    return ret;
}

/*
 * Memory regions
 */

int softefa_mr_reg(softefa_dev_t *dev, uint16_t pdn, uint64_t addr,
                   uint64_t length, uint64_t iova, uint32_t access,
                   softefa_mr_t **mr_p, uint32_t *lkey, uint32_t *rkey)
{
    softefa_shm_mr_t *shm;
    softefa_mr_t *mr;
    uint32_t index, generation;
    int ret;

    if (!softefa_dev_valid(dev)) {
        return EIO;
    }

    if ((length == 0) || (length > dev->profile.max_mr_size) ||
        (addr + length < addr) || (iova + length < iova)) {
        return EINVAL;
    }

    mr = calloc(1, sizeof(*mr));
    if (mr == NULL) {
        return ENOMEM;
    }

    softefa_admin_lock();
    ret = softefa_pd_hold(dev, pdn, 1);
    if (ret != 0) {
        goto err;
    }

    ret = softefa_table_alloc(dev->shm, SOFTEFA_KIND_MR, dev->owner, &index);
    if (ret != 0) {
        softefa_pd_hold(dev, pdn, -1);
        goto err;
    }

    shm         = &dev->shm->mr[index];
    generation  = ((shm->lkey >> SOFTEFA_MR_INDEX_BITS) % 63) + 1;
    shm->lkey   = (generation << SOFTEFA_MR_INDEX_BITS) | index;
    shm->rkey   = ((uint32_t)(softefa_random(&dev->shm->random) >> 32) &
                   ~MR_INDEX_MASK) | index;
    shm->pdn    = pdn;
    shm->addr   = addr;
    shm->length = length;
    shm->iova   = iova;
    shm->access = access;
    atomic_store_explicit(&shm->obj.state, SOFTEFA_STATE_ALIVE,
                          memory_order_release);
    softefa_admin_unlock();

    mr->dev = dev;
    mr->shm = shm;
    pthread_mutex_lock(&dev->lock);
    softefa_list_add(&dev->mrs, &mr->link);
    pthread_mutex_unlock(&dev->lock);

    *lkey = shm->lkey;
    *rkey = shm->rkey;
    *mr_p = mr;
    return 0;

err:
    softefa_admin_unlock();
    free(mr);
    return ret;
}

/* Waits until no RDMA copies from or to the region any more: its memory may be
 * freed once dereg returns. A killed peer's mark is no reason to wait. */
static void mr_quiesce(softefa_dev_t *dev, softefa_shm_mr_t *mr)
{
    uint32_t mark = (dev->index << 24) | ((mr - dev->shm->mr) + 1);
    softefa_shm_dev_t *other;
    softefa_shm_qp_t *qp;
    unsigned index;
    uint32_t i;

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        other = shm_dev(index);
        if (other->opens == 0) {
            continue;
        }

        for (i = 0; i < other->table[SOFTEFA_KIND_QP].backed; ++i) {
            qp = &other->qp[i];
            while ((qp->rdma_target == mark) &&
                   (qp->obj.state >= SOFTEFA_STATE_ALIVE) &&
                   softefa_proc_alive(softefa_owner_slot(qp->obj.owner),
                                      true)) {
                sched_yield();
            }
        }
    }
}

int softefa_mr_dereg(softefa_mr_t *mr)
{
    softefa_dev_t *dev    = mr->dev;
    softefa_shm_mr_t *shm = mr->shm;

    if (softefa_dev_valid(dev)) {
        atomic_store(&shm->obj.state, SOFTEFA_STATE_RESERVED);
        if (shm->access & (IBV_ACCESS_REMOTE_READ | IBV_ACCESS_REMOTE_WRITE)) {
            mr_quiesce(dev, shm);
        }

        softefa_admin_lock();
        softefa_pd_hold(dev, shm->pdn, -1);
        softefa_table_release(dev->shm, SOFTEFA_KIND_MR, shm - dev->shm->mr);
        softefa_admin_unlock();
    }

    pthread_mutex_lock(&dev->lock);
    softefa_list_del(&mr->link);
    pthread_mutex_unlock(&dev->lock);
    free(mr);
    return 0;
}

static inline bool mr_covers(const softefa_shm_mr_t *mr, uint16_t pdn,
                             uint64_t addr, uint64_t length, uint32_t access)
{
    return (atomic_load_explicit(&mr->obj.state, memory_order_acquire) ==
            SOFTEFA_STATE_ALIVE) &&
           (mr->pdn == pdn) && ((mr->access & access) == access) &&
           (addr >= mr->iova) && (length <= mr->length) &&
           (addr - mr->iova <= mr->length - length);
}

const softefa_shm_mr_t *
softefa_mr_find(const softefa_shm_dev_t *dev, uint32_t lkey, uint16_t pdn,
                uint64_t addr, uint64_t length, uint32_t access)
{
    uint32_t index             = lkey & MR_INDEX_MASK;
    const softefa_shm_mr_t *mr = &dev->mr[index];

    return ((index < dev->table[SOFTEFA_KIND_MR].backed) &&
            mr_covers(mr, pdn, addr, length, access) &&
            (mr->lkey == lkey)) ? mr : NULL;
}

softefa_shm_mr_t *
softefa_mr_find_remote(softefa_shm_dev_t *dev, uint32_t rkey, uint16_t pdn,
                       uint64_t addr, uint64_t length, uint32_t access)
{
    uint32_t index       = rkey & MR_INDEX_MASK;
    softefa_shm_mr_t *mr = &dev->mr[index];

    return ((index < dev->table[SOFTEFA_KIND_MR].backed) &&
            mr_covers(mr, pdn, addr, length, access) &&
            (mr->rkey == rkey)) ? mr : NULL;
}

/*
 * Reclaim and repair, under the admin lock
 */

static void reap_table(softefa_shm_dev_t *dev, softefa_kind_t kind,
                       uint32_t slot)
{
    softefa_shm_obj_t *obj;
    softefa_shm_pd_t *pd;
    softefa_shm_ah_t *ah;
    uint32_t index, pdn;

    for (index = 0; index < dev->table[kind].backed; ++index) {
        obj = softefa_table_entry(dev, kind, index);
        if ((obj->state == SOFTEFA_STATE_FREE) ||
            (softefa_owner_slot(obj->owner) != slot)) {
            continue;
        }

        /* PDs go last and as a whole: their counts do not matter. */
        switch (kind) {
        case SOFTEFA_KIND_QP:
            softefa_qp_reap(dev, &dev->qp[index]);
            break;
        case SOFTEFA_KIND_CQ:
            softefa_cq_reap(&dev->cq[index]);
            break;
        case SOFTEFA_KIND_AH:
            ah  = &dev->ah[index];
            pdn = ah->pdn;
            pd  = &dev->pd[pdn];
            if ((obj->state == SOFTEFA_STATE_ALIVE) &&
                (ah->device != SOFTEFA_NO_DEVICE)) {
                pd->ah_of[ah->device] = SOFTEFA_AH_UNKNOWN;
                --dev->ah_for[ah->device];
            }
            break;
        default:
            break;
        }

        softefa_table_release(dev, kind, index);
    }
}

static void reap_channels(uint32_t slot)
{
    softefa_shm_t *shm = softefa_fabric.shm;
    char name[SOFTEFA_CHANNEL_NAME];
    uint32_t i;

    for (i = 0; i < shm->num_channels; ++i) {
        if ((shm->channel[i].obj.state != SOFTEFA_STATE_FREE) &&
            (softefa_owner_slot(shm->channel[i].obj.owner) == slot)) {
            snprintf(name, sizeof(name), "ev%u", i);
            unlinkat(softefa_fabric.dir_fd, name, 0);
            shm->channel[i].obj.state = SOFTEFA_STATE_FREE;
        }
    }
}

void softefa_object_reap(uint32_t slot)
{
    static const softefa_kind_t order[] = {
        SOFTEFA_KIND_QP, SOFTEFA_KIND_MR, SOFTEFA_KIND_CQ, SOFTEFA_KIND_AH,
        SOFTEFA_KIND_PD
    };
    softefa_shm_proc_t *proc = &softefa_fabric.shm->proc[slot];
    softefa_shm_dev_t *dev;
    unsigned index, i;

    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        if (proc->opens[index] == 0) {
            continue;
        }

        dev = shm_dev(index);
        for (i = 0; i < SOFTEFA_NUM_KINDS; ++i) {
            reap_table(dev, order[i], slot);
        }
        dev->opens        -= proc->opens[index];
        proc->opens[index] = 0;
    }

    reap_channels(slot);
}

bool softefa_pd_repair(softefa_shm_dev_t *dev, const softefa_shm_obj_t *obj,
                       uint16_t pdn)
{
    if ((obj->state == SOFTEFA_STATE_FREE) ||
        (softefa_table_get(dev, SOFTEFA_KIND_PD, obj->owner, pdn) == NULL)) {
        return false;
    }

    ++dev->pd[pdn].refs;
    return true;
}

static void repair_device(softefa_shm_dev_t *dev, unsigned index)
{
    softefa_table_t *table = dev->table;
    uint32_t opens         = 0;
    softefa_shm_t *shm     = softefa_fabric.shm;
    softefa_shm_ah_t *ah;
    uint32_t i;
    int j;

    softefa_table_rebuild(dev);
    for (i = 0; i < shm->num_procs; ++i) {
        opens += shm->proc[i].opens[index];
    }
    dev->opens = opens;

    for (j = 0; j < SOFTEFA_MAX_DEVICES; ++j) {
        dev->ah_for[j] = 0;
    }
    for (i = 0; i < table[SOFTEFA_KIND_PD].backed; ++i) {
        dev->pd[i].refs = 0;
        for (j = 0; j < SOFTEFA_MAX_DEVICES; ++j) {
            dev->pd[i].ah_of[j] = SOFTEFA_AH_UNKNOWN;
        }
    }
    for (i = 0; i < table[SOFTEFA_KIND_AH].backed; ++i) {
        ah = &dev->ah[i];
        if (softefa_pd_repair(dev, &ah->obj, ah->pdn) &&
            (ah->device != SOFTEFA_NO_DEVICE)) {
            dev->pd[ah->pdn].ah_of[ah->device] = i;
            ++dev->ah_for[ah->device];
        }
    }
    for (i = 0; i < table[SOFTEFA_KIND_MR].backed; ++i) {
        softefa_pd_repair(dev, &dev->mr[i].obj, dev->mr[i].pdn);
    }

    softefa_queue_repair(dev);
}

/* Who held the admin lock died anywhere in it. All derived state is made anew
 * from the entries; half-made entries of the dead are reaped later. */
void softefa_object_repair(void)
{
    unsigned index;

    softefa_heap_clear();
    for (index = 0; index < SOFTEFA_MAX_DEVICES; ++index) {
        if (shm_dev(index)->table[SOFTEFA_KIND_PD].limit != 0) {
            repair_device(shm_dev(index), index);
        }
    }
}
