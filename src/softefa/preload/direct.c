/*
 * Programs that go past libefa. Both ways in are by the object's address:
 *
 *   efadv_query_qp_wqs()    libefa's answer, but the doorbells that Soft-EFA
 *   efadv_query_cq()        must see trap (doorbell.c). Works for any program.
 *   softefa_direct_qp()     the same doorbells without the trap, for a program
 *   softefa_direct_cq()     that calls Soft-EFA itself (softefa_direct.h)
 *
 * With SOFTEFA_EFADV=y the first two also answer where libefa is too old to
 * have them, out of the model: so a program's direct path can be tested on any
 * rdma-core.
 */
#define _GNU_SOURCE
#include "abi/efa_io.h"
#include "base/util.h"
#include "config/options.h"
#include "preload/doorbell.h"
#include "preload/hook_table.h"
#include "preload/symbol.h"
#include "api/softefa_direct.h"

#include <infiniband/verbs.h>

#include <errno.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* efadv.h of rdma-core 59, whose older headers do not have them. `length` is
 * the caller's size of the structure: what is beyond it is not written. */
typedef struct {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size;             /* bytes */
    uint32_t num_entries;
    uint32_t *doorbell;
    uint32_t max_batch;              /* entries between two doorbells */
    uint16_t caps;
    uint8_t  reserved[2];
} direct_wq_attr_t;

typedef struct {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size;
    uint32_t num_entries;
    uint32_t *doorbell;              /* since 60; NULL: has none */
} direct_cq_attr_t;

#define DIRECT_LENGTH(_full, _length)                                         \
    (((_length) < sizeof(_full)) ? (_length) : sizeof(_full))

#define DIRECT_HAS(_type, _field, _length)                                    \
    ((_length) >= offsetof(_type, _field) + sizeof(((_type*)0)->_field))

static_assert(sizeof(direct_wq_attr_t) == 40, "struct efadv_wq_attr");
static_assert(sizeof(direct_cq_attr_t) == 32, "struct efadv_cq_attr");

typedef int (*direct_query_qp_t)(struct ibv_qp *, direct_wq_attr_t *,
                                 direct_wq_attr_t *, uint32_t);
typedef int (*direct_query_cq_t)(struct ibv_cq *, direct_cq_attr_t *, uint32_t);

EXPORT int efadv_query_qp_wqs(struct ibv_qp *qp, direct_wq_attr_t *sq,
                              direct_wq_attr_t *rq, uint32_t length);
EXPORT int efadv_query_cq(struct ibv_cq *cq, direct_cq_attr_t *attr,
                          uint32_t length);
EXPORT int softefa_direct_qp(struct ibv_qp *qp, softefa_direct_qp_t *direct);
EXPORT int softefa_direct_cq(struct ibv_cq *cq, softefa_direct_cq_t *direct);

/* NULL: the object is none of ours, or its device is closed. */
static softefa_hook_t *direct_find(const void *object)
{
    softefa_hook_t *hook = softefa_hook_table_get((uintptr_t)object);

    return ((hook != NULL) && (hook->dev != NULL)) ? hook : NULL;
}

/* What Soft-EFA is called for, by the trap or by the program. */
static void direct_ring(void *qp)
{
    softefa_engine_doorbell(qp);
}

static void direct_poll(void *cq)
{
    softefa_cq_poll(cq);
}

static void direct_arm(void *cq)
{
    softefa_cq_arm(cq);
}

static void direct_qp_stored(void *qp, uint32_t value)
{
    (void)value;
    direct_ring(qp);
}

static void direct_cq_stored(void *cq, uint32_t value)
{
    if (value & SOFTEFA_CQ_DB_ARM) {
        direct_arm(cq);
    }
}

/* The program takes entries without saying so by the doorbell. */
static void direct_cq_begin(softefa_hook_t *hook)
{
    atomic_store_explicit(&hook->u.cq.behind, true, memory_order_relaxed);
    softefa_cq_set_behind(hook->u.cq.cq, true);
}

/* ---- in place of an older libefa ---- */

static bool direct_is_enabled(void)
{
    const softefa_options_t *options = softefa_options();

    return (options != NULL) && options->efadv;
}

static void direct_wq_fill(direct_wq_attr_t *attr, const softefa_ring_t *ring,
                           unsigned max_batch, uint32_t length)
{
    direct_wq_attr_t full = {
        .buffer      = ring->ring,
        .entry_size  = ring->entry_size,
        .num_entries = ring->num_entries,
        .doorbell    = ring->doorbell,
        .max_batch   = max_batch
    };

    memcpy(attr, &full, DIRECT_LENGTH(full, length));
}

static int direct_query_qp(const softefa_hook_t *hook, direct_wq_attr_t *sq,
                           direct_wq_attr_t *rq, uint32_t length)
{
    const softefa_profile_t *profile;
    softefa_ring_t sq_ring, rq_ring;
    unsigned max_batch;

    if ((hook == NULL) || !direct_is_enabled()) {
        return EOPNOTSUPP;
    } else if (!DIRECT_HAS(direct_wq_attr_t, max_batch, length)) {
        return EINVAL;
    }

    profile = softefa_dev_profile(hook->dev);
    softefa_qp_rings(hook->u.qp.qp, &sq_ring, &rq_ring);
    max_batch = (profile->max_tx_batch == 0) ?
                        sq_ring.num_entries :
                        (profile->max_tx_batch * 64 / sq_ring.entry_size);
    direct_wq_fill(sq, &sq_ring, max_batch, length);
    direct_wq_fill(rq, &rq_ring, rq_ring.num_entries, length);
    return 0;
}

static int direct_query_cq(const softefa_hook_t *hook, direct_cq_attr_t *attr,
                           uint32_t length)
{
    direct_cq_attr_t full = {0};
    softefa_ring_t ring;

    if ((hook == NULL) || !direct_is_enabled()) {
        return EOPNOTSUPP;
    } else if (!DIRECT_HAS(direct_cq_attr_t, num_entries, length)) {
        return EINVAL;
    }

    softefa_cq_ring(hook->u.cq.cq, &ring);
    full.buffer      = ring.ring;
    full.entry_size  = ring.entry_size;
    full.num_entries = ring.num_entries;
    full.doorbell    = ring.doorbell;
    memcpy(attr, &full, DIRECT_LENGTH(full, length));
    return 0;
}

/* ---- in place of libefa's: what is none of ours keeps its doorbell ---- */

int efadv_query_qp_wqs(struct ibv_qp *qp, direct_wq_attr_t *sq,
                       direct_wq_attr_t *rq, uint32_t length)
{
    direct_query_qp_t query = (direct_query_qp_t)
            softefa_symbol_next("libefa", "efadv_query_qp_wqs");
    softefa_hook_t *hook = direct_find(qp);
    int ret;

    ret = (query != NULL) ? query(qp, sq, rq, length) :
                            direct_query_qp(hook, sq, rq, length);
    if ((ret != 0) || (hook == NULL)) {
        return ret;
    }

    sq->doorbell = softefa_doorbell_add(hook->u.qp.qp, sq->doorbell,
                                        direct_qp_stored);
    return (sq->doorbell == NULL) ? ENOMEM : 0;
}

int efadv_query_cq(struct ibv_cq *cq, direct_cq_attr_t *attr, uint32_t length)
{
    direct_query_cq_t query = (direct_query_cq_t)
            softefa_symbol_next("libefa", "efadv_query_cq");
    softefa_hook_t *hook = direct_find(cq);
    int ret;

    ret = (query != NULL) ? query(cq, attr, length) :
                            direct_query_cq(hook, attr, length);
    if ((ret != 0) || (hook == NULL)) {
        return ret;
    }

    direct_cq_begin(hook);
    softefa_fifo_set_seen(hook->u.cq.cq, false);
    if (!DIRECT_HAS(direct_cq_attr_t, doorbell, length) ||
        (attr->doorbell == NULL)) {
        return 0;
    }

    attr->doorbell = softefa_doorbell_add(hook->u.cq.cq, attr->doorbell,
                                          direct_cq_stored);
    return (attr->doorbell == NULL) ? ENOMEM : 0;
}

/* ---- softefa_direct.h ---- */

int softefa_direct_qp(struct ibv_qp *qp, softefa_direct_qp_t *direct)
{
    softefa_hook_t *hook = direct_find(qp);
    softefa_ring_t sq, rq;

    if (hook == NULL) {
        return ENOENT;
    } else if (direct->size < sizeof(*direct)) {
        return EINVAL;
    }

    softefa_qp_rings(hook->u.qp.qp, &sq, &rq);
    direct->sq_doorbell = sq.doorbell;
    direct->ring        = direct_ring;
    direct->arg         = hook->u.qp.qp;
    return 0;
}

int softefa_direct_cq(struct ibv_cq *cq, softefa_direct_cq_t *direct)
{
    softefa_hook_t *hook = direct_find(cq);
    softefa_ring_t ring;

    if (hook == NULL) {
        return ENOENT;
    } else if (direct->size < sizeof(*direct)) {
        return EINVAL;
    }

    softefa_cq_ring(hook->u.cq.cq, &ring);
    direct_cq_begin(hook);
    softefa_fifo_set_seen(hook->u.cq.cq, true);
    direct->doorbell  = ring.doorbell;
    direct->poll      = direct_poll;
    direct->poll_arg  = hook->u.cq.cq;
    direct->armed     = direct_arm;
    direct->armed_arg = hook->u.cq.cq;
    return 0;
}
