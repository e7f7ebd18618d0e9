/*
 * Where the queues are, for who writes and reads them without libefa.
 *
 *   efadv_query_qp_wqs()    rdma-core 59: both work queues
 *   efadv_query_cq()        rdma-core 59: completion queue; 60: its doorbell
 *   softefa_direct_qp(), softefa_direct_cq()
 *                           Soft-EFA, if it is there: whom to tell what a NIC
 *                           sees by itself
 *
 * They are looked up where the process is: one module for libefa of any
 * version. What is not as this file knows it is left to libefa, which is never
 * wrong about its own device.
 */
#include "srd/queues/srd_direct.h"
#include "srd/queues/srd_direct_io.h"
#include "srd/queues/srd_direct_mmio.h"
#include "softefa/api/softefa_direct.h"

#include <dlfcn.h>

/* struct efadv_wq_attr, efadv_cq_attr: older headers do not have them, a libefa
 * that is newer leaves alone what it is not told the room of. */
typedef struct {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size;
    uint32_t num_entries;
    uint32_t *doorbell;
    uint32_t max_batch;
    uint16_t caps;                   /* bit 0: ids of 64 bits (rdma-core 61) */
    uint8_t  reserved[2];
} uct_srd_direct_wq_attr_t;

typedef struct {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size;
    uint32_t num_entries;
    uint32_t *doorbell;              /* NULL: it has none, or not said       */
} uct_srd_direct_cq_attr_t;

static_assert(sizeof(uct_srd_direct_wq_attr_t) == 40, "struct efadv_wq_attr");
static_assert(sizeof(uct_srd_direct_cq_attr_t) == 32, "struct efadv_cq_attr");

typedef int (*uct_srd_direct_query_qp_t)(struct ibv_qp*,
                                         uct_srd_direct_wq_attr_t*,
                                         uct_srd_direct_wq_attr_t*, uint32_t);
typedef int (*uct_srd_direct_query_cq_t)(struct ibv_cq*,
                                         uct_srd_direct_cq_attr_t*, uint32_t);

/* Its CQs consist of two halves, of which nobody tells the transport. */
#define UCT_SRD_DIRECT_PART_SUB_CQS 0xefa0

static const char *uct_srd_direct_init_sq(uct_srd_direct_sq_t *sq,
                                          const uct_srd_direct_wq_attr_t *attr,
                                          const uct_srd_iface_t *iface)
{
    unsigned num_slots = iface->tx.num_slots;

    if ((attr->entry_size != (1u << UCT_SRD_DIRECT_SQ_SHIFT)) &&
        (attr->entry_size != (1u << UCT_SRD_DIRECT_SQ_SHIFT_WIDE))) {
        return "send entries have a size that srd does not know";
    }

    if (!ucs_is_pow2(attr->num_entries) || (attr->num_entries < num_slots) ||
        (attr->max_batch == 0) || (num_slots > UINT16_MAX + 1u)) {
        return "the send queue has a size that srd does not know";
    }

    if (iface->tx.max_inline >
        ((attr->entry_size == (1u << UCT_SRD_DIRECT_SQ_SHIFT)) ?
                 UCT_SRD_DIRECT_INLINE :
                 UCT_SRD_DIRECT_INLINE_WIDE)) {
        return "send entries have room for more inline data than srd knows";
    }

    sq->ring        = attr->buffer;
    sq->doorbell    = attr->doorbell;
    sq->mask        = attr->num_entries - 1;
    sq->max_batch   = attr->max_batch;
    sq->entry_shift = ucs_ilog2(attr->entry_size);
    sq->round_shift = ucs_ilog2(attr->num_entries);
    return NULL;
}

static const char *uct_srd_direct_init_rq(uct_srd_direct_rq_t *rq,
                                          const uct_srd_direct_wq_attr_t *attr,
                                          unsigned queue_len)
{
    uint32_t i;

    if ((attr->entry_size != UCT_SRD_DIRECT_RQ_ENTRY) ||
        !ucs_is_pow2(attr->num_entries) || (attr->num_entries < queue_len) ||
        (attr->num_entries > UINT16_MAX + 1u)) {
        return "receive entries have a form that srd does not know";
    }

    rq->ids = ucs_malloc(attr->num_entries * sizeof(*rq->ids),
                         "srd_direct_ids");
    if (rq->ids == NULL) {
        return "no memory";
    }

    for (i = 0; i < attr->num_entries; ++i) {
        rq->ids[i].next = i + 1;
    }

    rq->free_id  = 0;
    rq->ring     = (uint64_t *)attr->buffer;
    rq->doorbell = attr->doorbell;
    rq->mask     = attr->num_entries - 1;
    return NULL;
}

static const char *uct_srd_direct_init_cq(uct_srd_direct_cq_t *cq,
                                          const uct_srd_direct_cq_attr_t *attr,
                                          const uct_srd_queues_t *queues,
                                          unsigned num_wrs)
{
    if (((attr->entry_size != UCT_SRD_DIRECT_CQ_ENTRY) &&
         (attr->entry_size != UCT_SRD_DIRECT_CQ_ENTRY_EX)) ||
        (attr->num_entries < num_wrs)) {
        return "completions have a form that srd does not know";
    }

    if ((queues->cq_efa != NULL) &&
        (attr->entry_size != UCT_SRD_DIRECT_CQ_ENTRY_EX)) {
        return "completions have no room for source GIDs";
    }

    if ((queues->channel != NULL) && (attr->doorbell == NULL)) {
        return "libefa does not tell the doorbell of completion queues with "
               "events (rdma-core 60 and later do; UCX_SRD_EVENTS=n needs "
               "none)";
    }

    cq->ring       = attr->buffer;
    cq->next       = attr->buffer;
    cq->entry_size = attr->entry_size;
    cq->end      = attr->buffer + (size_t)attr->num_entries * attr->entry_size;
    cq->phase    = UCT_SRD_DIRECT_CQE_PHASE;
    cq->doorbell = attr->doorbell;
    return NULL;
}

/* Is the queue pair Soft-EFA's? Then its doorbell, and whom to tell. */
static int uct_srd_direct_softefa_qp(const uct_srd_queues_t *queues,
                                     softefa_direct_qp_t *qp)
{
    __typeof__(&softefa_direct_qp) query = (__typeof__(query))
            dlsym(RTLD_DEFAULT, "softefa_direct_qp");

    qp->size = sizeof(*qp);
    return (query != NULL) && (query(queues->qp, qp) == 0);
}

static int uct_srd_direct_softefa_cq(const uct_srd_queues_t *queues,
                                     softefa_direct_cq_t *cq)
{
    __typeof__(&softefa_direct_cq) query = (__typeof__(query))
            dlsym(RTLD_DEFAULT, "softefa_direct_cq");

    cq->size = sizeof(*cq);
    return (query != NULL) && (query(queues->cq, cq) == 0);
}

/* A function of libefa. Soft-EFA's in front of it makes doorbells that trap,
 * which who calls Soft-EFA does not need; it is also there where libefa's is
 * not. */
static void *uct_srd_direct_symbol(const char *name, int past_softefa)
{
    void *symbol = NULL;
    void *libefa;

    if (past_softefa) {
        libefa = dlopen("libefa.so.1", RTLD_LAZY | RTLD_NOLOAD);
        if (libefa != NULL) {
            symbol = dlsym(libefa, name);
            dlclose(libefa);
        }
    }

    return (symbol != NULL) ? symbol : dlsym(RTLD_DEFAULT, name);
}

/* Finds the queues. NULL, or why not */
static const char *uct_srd_direct_query(const uct_srd_iface_t *iface,
                                        const uct_srd_queues_t *queues,
                                        int past_softefa,
                                        uct_srd_direct_t *direct)
{
    uct_srd_direct_query_qp_t query_qp = (uct_srd_direct_query_qp_t)
            uct_srd_direct_symbol("efadv_query_qp_wqs", past_softefa);
    uct_srd_direct_query_cq_t query_cq = (uct_srd_direct_query_cq_t)
            uct_srd_direct_symbol("efadv_query_cq", past_softefa);
    uct_srd_direct_wq_attr_t sq = {}, rq = {};
    uct_srd_direct_cq_attr_t cq = {};
    const char *reason;

    if ((query_qp == NULL) || (query_cq == NULL) ||
        (query_qp(queues->qp, &sq, &rq, sizeof(sq)) != 0) ||
        (query_cq(queues->cq, &cq, sizeof(cq)) != 0)) {
        return "libefa does not tell where its queues are (rdma-core 59 and "
               "later do)";
    }

    reason = uct_srd_direct_init_sq(&direct->sq, &sq, iface);
    if (reason == NULL) {
        reason = uct_srd_direct_init_cq(&direct->cq, &cq, queues,
                                        iface->tx.num_slots +
                                                iface->config.rx_queue_len);
    }
    if (reason == NULL) {
        reason = uct_srd_direct_init_rq(&direct->rq, &rq,
                                        iface->config.rx_queue_len);
    }
    return reason;
}

/* NULL, or why not */
static const char *uct_srd_direct_setup(const uct_srd_iface_t *iface,
                                        const uct_srd_queues_t *queues,
                                        uct_srd_direct_t *direct)
{
    const uct_efa_device_t *dev = &uct_srd_iface_md(iface)->dev;
    softefa_direct_qp_t qp;
    softefa_direct_cq_t cq;
    const char *reason;
    int is_soft;

    if (!UCT_SRD_DIRECT_ARCH) {
        return "srd knows the barriers of x86-64 and arm64 only";
    }

    if (dev->attr.vendor_part_id == UCT_SRD_DIRECT_PART_SUB_CQS) {
        return "completion queues of this device consist of parts (0xefa0)";
    }

    is_soft = uct_srd_direct_softefa_qp(queues, &qp);
    reason  = uct_srd_direct_query(iface, queues, is_soft, direct);
    if ((reason != NULL) || !is_soft) {
        return reason;
    }

    if (!uct_srd_direct_softefa_cq(queues, &cq)) {
        ucs_free(direct->rq.ids);
        return "Soft-EFA does not serve the completion queue";
    }

    direct->sq.doorbell   = qp.sq_doorbell;
    direct->sq.rung.func  = qp.ring;
    direct->sq.rung.arg   = qp.arg;
    direct->cq.doorbell   = cq.doorbell;
    direct->cq.look.func  = cq.poll;
    direct->cq.look.arg   = cq.poll_arg;
    direct->cq.armed.func = cq.armed;
    direct->cq.armed.arg  = cq.armed_arg;
    return NULL;
}

ucs_status_t uct_srd_direct_init(uct_srd_iface_t *iface,
                                 uct_srd_queues_t *queues, int wanted)
{
    const char *device = uct_efa_md_device_name(uct_srd_iface_md(iface));
    const char *reason;

    memset(&queues->direct, 0, sizeof(queues->direct));
    if (wanted == UCS_NO) {
        return UCS_OK;
    }

    reason = uct_srd_direct_setup(iface, queues, &queues->direct);
    if (reason == NULL) {
        queues->direct.on = 1;
        ucs_debug("srd: data path on %s: direct, send entries of %u bytes, %u "
                  "at once, doorbell of the CQ: %s",
                  device, 1u << queues->direct.sq.entry_shift,
                  queues->direct.sq.max_batch,
                  (queues->direct.cq.doorbell != NULL) ? "yes" : "no");
        return UCS_OK;
    }

    memset(&queues->direct, 0, sizeof(queues->direct));
    if (wanted == UCS_YES) {
        ucs_error(
                "srd: UCX_SRD_DIRECT=y, but on %s the direct data path cannot "
                "be had: %s; UCX_SRD_DIRECT=try leaves the queues to libefa "
                "then",
                device, reason);
        return UCS_ERR_UNSUPPORTED;
    }

    ucs_debug("srd: data path on %s: libefa, for %s", device, reason);
    return UCS_OK;
}

void uct_srd_direct_cleanup(uct_srd_queues_t *queues)
{
    ucs_free(queues->direct.rq.ids);
    queues->direct.rq.ids = NULL;
    queues->direct.on     = 0;
}
