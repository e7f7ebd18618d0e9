/*
 * The queues of the device of paper as a NIC has them, in memory: for the direct
 * data path, which writes and reads them without libefa. The transport finds
 * them as on Soft-EFA, and calls as it does there:
 *
 *   ring   the send queue's entries up to the doorbell become sends
 *          (fuzz_device.c), as by ibv_post_send()
 *   look   completions become entries, as many as there is room for
 *   sync   what the transport has posted to the receive queue and taken from
 *          the CQ since: asked for before anything is counted
 *
 * The layouts are those of docs/device-facts.md, written down once more. What
 * an entry must say is checked, and that no more are announced at once than the
 * device takes. Each queue is memory of its own, of its exact size, which goes
 * with it: AddressSanitizer sees who goes beyond, or comes too late.
 */
#include "fuzz_device.h"

#include "softefa/api/softefa_direct.h"

#include <stdlib.h>
#include <string.h>

enum {
    MAX_BATCH  = 3,
    SQ_ENTRY   = 64,
    RQ_ENTRY   = 16,

    OP_SEND    = 0,
    OP_READ    = 1,
    OP_WRITE   = 2,
    CTRL1_OP   = 0x0f,
    CTRL1_IMM  = 0x10,
    CTRL1_DATA = 0x20,           /* inline */
    CTRL1_META = 0x80,
    CTRL2_ALL  = 0x1c,           /* first, last, completion */
    CTRL2_PHASE = 0x01,

    CQE_PHASE  = 0x01,
    CQE_SEND   = 0x02,
    CQE_RECV   = 0x04,
    CQE_IMM    = 0x08,
    CQE_OP     = 0x70
};

typedef struct {
    uint16_t id;
    uint8_t  ctrl1, ctrl2;
    uint16_t qpn, length;
    uint32_t imm;
    uint16_t ahn, zero;
    uint32_t qkey;
    uint8_t  zeros[12];
    union {
        uint8_t data[32];
        struct {
            uint32_t length, key;
            uint64_t addr;
        } buffer[2];
    };
} wqe_t;

typedef struct {
    uint64_t addr;
    uint16_t id, length;
    uint32_t key;                /* upper bits: first, last */
} rqe_t;

typedef struct {
    uint16_t id;
    uint8_t  status, flags;
    uint16_t qpn, length, ahn, src_qpn;
    uint32_t imm;
    uint8_t  gid[16];
} cqe_t;

static_assert((sizeof(wqe_t) == SQ_ENTRY) && (sizeof(rqe_t) == RQ_ENTRY) &&
              (sizeof(cqe_t) == 32), "as the device has them");

/* struct efadv_wq_attr and efadv_cq_attr of rdma-core 60 */
typedef struct {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size, num_entries, *doorbell, max_batch;
    uint16_t caps;
    uint8_t  reserved[2];
} wq_attr_t;

typedef struct {
    uint64_t comp_mask;
    uint8_t  *buffer;
    uint32_t entry_size, num_entries, *doorbell;
} cq_attr_t;

int fuzz_direct;

/* ---- what the transport has done --------------------------------------- */

static const uct_srd_direct_cq_t *transport_cq(const fuzz_qp_t *qp)
{
    return ((fuzz_iface != NULL) && fuzz_iface->queues.direct.on &&
            (fuzz_iface->queues.direct.cq.ring == qp->direct.cq)) ?
                   &fuzz_iface->queues.direct.cq :
                   NULL;
}

/* Entries of the CQ that it has taken */
static void sync_cq(fuzz_qp_t *qp)
{
    const uct_srd_direct_cq_t *cq = transport_cq(qp);

    if (cq == NULL) {
        return;
    }

    FUZZ_CHECK((int32_t)(qp->direct.written - cq->consumed) >= 0,
               "%u completions were taken, %u written", cq->consumed,
               qp->direct.written);
    while (qp->direct.taken != cq->consumed) {
        ++qp->direct.taken;
        if (qp->super.num_cqes > 0) {
            (void)fuzz_cqe_pull(qp);
        } else { /* garbage comes last */
            FUZZ_CHECK(qp->direct.garbage, "a completion out of nothing");
            qp->direct.garbage = 0;
            qp->direct.broken  = 1;
            if (qp->direct.garbage_recv) {
                fuzz_recv_drop(qp);
            }
        }
    }
}

static void sync_rq(fuzz_qp_t *qp)
{
    uint16_t count = (uint16_t)(qp->direct.rq_doorbell - qp->direct.rq_head);
    struct ibv_sge sge;
    const rqe_t *rqe;

    FUZZ_CHECK(count <= qp->direct.rq_entries, "%u receives at once", count);
    for (; count > 0; --count, ++qp->direct.rq_head) {
        rqe = &((const rqe_t *)qp->direct
                        .rq)[qp->direct.rq_head & (qp->direct.rq_entries - 1)];
        FUZZ_CHECK((rqe->key >> 24) == 0xc0, "a receive with 0x%x", rqe->key);
        FUZZ_CHECK(rqe->id < qp->direct.rq_entries, "receive id %u", rqe->id);
        sge.addr   = rqe->addr;
        sge.length = rqe->length;
        sge.lkey   = rqe->key & 0xffffff;
        FUZZ_CHECK(fuzz_recv_add(qp, (uint64_t)rqe->id << 1, &sge) == 0,
                   "more receives than the queue has");
    }
}

static void sync_qp(fuzz_qp_t *qp)
{
    if (qp->direct.on && qp->has_qp) {
        FUZZ_CHECK((uint16_t)qp->direct.sq_doorbell == qp->direct.sq_head,
                   "a doorbell that nobody was told of");
        sync_cq(qp);
        sync_rq(qp);
    }
}

void fuzz_direct_sync(void)
{
    unsigned i;

    for (i = 0; i < FUZZ_MAX_QPS; ++i) {
        sync_qp(&fuzz_qps[i]);
    }
}

/* Between two calls of the transport */
void fuzz_direct_check(void)
{
    const uct_srd_direct_t *direct = &fuzz_iface->queues.direct;
    unsigned i;

    FUZZ_CHECK(direct->on == fuzz_qp_present()->direct.on,
               "the data path is another one than was asked for");
    FUZZ_CHECK(direct->on || !fuzz_direct || fuzz_device.alloc_failed,
               "the data path is libefa's");
    for (i = 0; i < FUZZ_MAX_QPS; ++i) {
        FUZZ_CHECK(!fuzz_qps[i].direct.broken ||
                           (transport_cq(&fuzz_qps[i]) == NULL) ||
                           fuzz_iface->queues.dead,
                   "a completion of nothing was believed");
    }
    if (direct->on) {
        FUZZ_CHECK((direct->sq.unrung == 0) && ((uint16_t)direct->sq.posted ==
                                                (uint16_t)*direct->sq.doorbell),
                   "%u sends without a doorbell", direct->sq.unrung);
        FUZZ_CHECK((uint16_t)direct->rq.posted ==
                           (uint16_t)*direct->rq.doorbell,
                   "receives without a doorbell");
    }
}

/* ---- sends ------------------------------------------------------------- */

static void take_wqe(fuzz_qp_t *qp, const wqe_t *wqe)
{
    static const uint8_t zeros[sizeof(wqe->zeros)];
    unsigned op    = wqe->ctrl1 & CTRL1_OP;
    int is_inline  = !!(wqe->ctrl1 & CTRL1_DATA);
    unsigned round = qp->direct.sq_head / qp->direct.sq_entries;
    fuzz_ah_t *ah  = (wqe->ahn < FUZZ_MAX_AHS) ? qp->ctx->ahs[wqe->ahn] : NULL;
    fuzz_send_t *send = fuzz_send_add(qp);
    struct ibv_sge sge[2];
    unsigned i, first;

    FUZZ_CHECK(ah != NULL, "a send with AH %u", wqe->ahn);
    FUZZ_CHECK((wqe->ctrl1 & CTRL1_META) &&
                       (wqe->ctrl2 == (CTRL2_ALL | (round & CTRL2_PHASE))) &&
                       (wqe->zero == 0) &&
                       (memcmp(wqe->zeros, zeros, sizeof(zeros)) == 0),
               "a send entry with 0x%x, 0x%x in round %u", wqe->ctrl1,
               wqe->ctrl2, round);
    FUZZ_CHECK(wqe->id < fuzz_iface->tx.num_slots, "request id %u", wqe->id);
    FUZZ_CHECK((op <= OP_WRITE) &&
                       ((op == OP_SEND) == !!(wqe->ctrl1 & CTRL1_IMM)),
               "operation 0x%x", wqe->ctrl1);
    send->wr_id = (uintptr_t)&fuzz_iface->tx.slots[wqe->id] |
                  UCT_SRD_WR_ID_SEND;
    send->opcode = (op == OP_SEND) ? IBV_WR_SEND_WITH_IMM :
                   (op == OP_READ) ? IBV_WR_RDMA_READ :
                                     IBV_WR_RDMA_WRITE;
    send->imm    = wqe->imm;
    fuzz_send_set_ah(qp, send, &ah->super, wqe->qpn, wqe->qkey);
    if (is_inline) {
        FUZZ_CHECK((op == OP_SEND) && (wqe->length <= sizeof(wqe->data)),
                   "inline of %u", wqe->length);
        sge[0].addr   = (uintptr_t)wqe->data;
        sge[0].length = wqe->length;
        sge[0].lkey   = 0;
        fuzz_send_set_sges(qp, send, sge, 1, 1);
        return;
    }

    first = 0;
    if (op != OP_SEND) {
        FUZZ_CHECK((wqe->length == 1) &&
                           (wqe->buffer[0].length == wqe->buffer[1].length),
                   "an operation of %u buffers", wqe->length);
        send->rkey        = wqe->buffer[0].key;
        send->remote_addr = wqe->buffer[0].addr;
        first             = 1;
    }
    FUZZ_CHECK(wqe->length <= 2, "%u buffers", wqe->length);
    for (i = 0; i < wqe->length; ++i) {
        sge[i].addr   = wqe->buffer[first + i].addr;
        sge[i].length = wqe->buffer[first + i].length;
        sge[i].lkey   = wqe->buffer[first + i].key;
    }
    fuzz_send_set_sges(qp, send, sge, wqe->length, 0);
}

static void ring(void *arg)
{
    fuzz_qp_t *qp  = arg;
    uint16_t count = (uint16_t)(qp->direct.sq_doorbell - qp->direct.sq_head);

    sync_cq(qp);
    FUZZ_CHECK((count > 0) && (count <= MAX_BATCH), "%u sends at once", count);
    for (; count > 0; --count) {
        take_wqe(qp,
                 &((const wqe_t *)qp->direct.sq)[qp->direct.sq_head &
                                                 (qp->direct.sq_entries - 1)]);
        ++qp->direct.sq_head;
        fuzz_send_posted(qp);
    }
}

/* ---- completions ------------------------------------------------------- */

static void write_cqe(fuzz_qp_t *qp, cqe_t *cqe)
{
    unsigned size  = qp->direct.cqe_size;
    unsigned round = qp->direct.written / qp->cq.cqe;
    uint8_t *entry = qp->direct.cq +
                     (size_t)(qp->direct.written % qp->cq.cqe) * size;

    cqe->flags |= (round & 1) ? 0 : CQE_PHASE;
    memcpy(entry, cqe, size);
    ++qp->direct.written;
}

static void write_next(fuzz_qp_t *qp, unsigned i)
{
    fuzz_cqe_t *from = &qp->cqes[(qp->cqe_head + i) % FUZZ_MAX_CQES];
    cqe_t cqe        = {
        .status = from->wc.vendor_err,
        .qpn    = qp->qp.qp_base.qp_num
    };

    if (from->wc.wr_id & UCT_SRD_WR_ID_SEND) {
        cqe.id = (const uct_srd_slot_t *)(from->wc.wr_id &
                                          ~UCT_SRD_WR_ID_SEND) -
                 fuzz_iface->tx.slots;
        cqe.flags = CQE_SEND;
    } else {
        cqe.id    = from->wc.wr_id >> 1;
        cqe.flags = CQE_RECV;
        cqe.flags |= (from->wc.wc_flags & IBV_WC_WITH_IMM) ? CQE_IMM : 0;
        cqe.flags |= from->odd_flags;
        cqe.qpn += from->odd_qpn;
        cqe.length = from->wc.byte_len;
        if ((cqe.status != 0) || (from->odd_flags & CQE_OP)) {
            cqe.length = 0xfff0; /* of what did not come, or went elsewhere */
        }
        cqe.ahn     = from->wc.slid;
        cqe.src_qpn = from->wc.src_qp;
        cqe.imm     = be32toh(from->wc.imm_data);
        memcpy(cqe.gid, from->gid.raw, sizeof(cqe.gid));
        fuzz_cqe_count(from);
    }
    write_cqe(qp, &cqe);
}

static void look(void *arg)
{
    fuzz_qp_t *qp = arg;
    unsigned unread;

    sync_qp(qp);
    fuzz_device_complete_all(qp);
    unread = qp->direct.written - qp->direct.taken;
    if ((unread == 0) && (qp->super.num_cqes == 0)) {
        fuzz_device.now += fuzz_device.idle_step;
    }

    for (; (unread < qp->super.num_cqes) && !qp->direct.garbage; ++unread) {
        write_next(qp, unread);
    }
}

/* ---- a device that has gone mad ---------------------------------------- */

int fuzz_direct_may_garbage(void)
{
    const fuzz_qp_t *qp = fuzz_qp_present();

    fuzz_direct_sync();
    return qp->direct.on && qp->has_qp && !qp->super.dead &&
           (transport_cq(qp) != NULL) && (qp->super.num_cqes == 0) &&
           (qp->direct.written == qp->direct.taken);
}

void fuzz_direct_garbage(unsigned kind, unsigned value)
{
    fuzz_qp_t *qp = fuzz_qp_present();
    unsigned used = qp->cap.max_recv_wr; /* ids beyond are never used */
    cqe_t cqe     = {.status  = (kind & 4) ? value : 0,
                     .length  = value,
                     .src_qpn = value};

    switch (kind & 3) {
    case 0: /* of a send that cannot be */
        cqe.flags = CQE_SEND;
        cqe.id    = fuzz_iface->tx.num_slots +
                 (value % (0x10000 - fuzz_iface->tx.num_slots));
        break;
    case 1: /* of a receive that cannot be; of no queue, or of both */
    case 2:
        cqe.flags = ((kind & 8) ? 0 : CQE_RECV) | ((kind >> 1) & 0xf8);
        cqe.flags |= ((kind & 3) == 2) ? CQE_SEND | CQE_RECV : 0;
        cqe.id = used + (value % (qp->direct.rq_entries - used)) +
                 qp->direct.rq_entries * (value >> 12);
        break;
    default: /* of one that is, but of more than it has room for */
        if (qp->super.num_recvs == 0) {
            return;
        }
        cqe.flags  = CQE_RECV | CQE_IMM;
        cqe.status = 0;
        cqe.id     = qp->recvs[qp->recv_head].wr_id >> 1;
        cqe.length = qp->recvs[qp->recv_head].sge.length + 1 + (value & 0x3fff);
        qp->direct.garbage_recv = 1;
        break;
    }

    FUZZ_SAY("  garbage: id %u, status %u, flags 0x%x, %u bytes\n", cqe.id,
             cqe.status, cqe.flags, cqe.length);
    qp->direct.garbage = 1;
    write_cqe(qp, &cqe);
}

/* ---- what the transport asks ------------------------------------------- */

void fuzz_direct_create_cq(fuzz_qp_t *qp, int has_gid)
{
    memset(&qp->direct, 0, sizeof(qp->direct));
    qp->direct.cqe_size = has_gid ? 32 : 16;
    qp->direct.cq       = calloc(qp->cq.cqe, qp->direct.cqe_size);
}

/* Of twice the size that was asked for: there are ids that are never used. */
void fuzz_direct_create_qp(fuzz_qp_t *qp)
{
    qp->direct.sq_entries = ucs_roundup_pow2(qp->cap.max_send_wr);
    qp->direct.rq_entries = 2 * ucs_roundup_pow2(qp->cap.max_recv_wr);
    qp->direct.sq         = calloc(qp->direct.sq_entries, SQ_ENTRY);
    qp->direct.rq         = calloc(qp->direct.rq_entries, RQ_ENTRY);
}

void fuzz_direct_destroy_cq(fuzz_qp_t *qp)
{
    free(qp->direct.cq);
    qp->direct.cq = NULL;
}

void fuzz_direct_destroy_qp(fuzz_qp_t *qp)
{
    sync_cq(qp);
    free(qp->direct.sq);
    free(qp->direct.rq);
}

/* Found by dlsym(); headers that are newer declare them otherwise. */
#define EXPORT(_name) __asm__(#_name) __attribute__((visibility("default")))

int fuzz_query_qp_wqs(struct ibv_qp *ibv_qp, wq_attr_t *sq, wq_attr_t *rq,
                      uint32_t length) EXPORT(efadv_query_qp_wqs);
int fuzz_query_cq(struct ibv_cq *cq, cq_attr_t *attr, uint32_t length)
        EXPORT(efadv_query_cq);

int fuzz_query_qp_wqs(struct ibv_qp *ibv_qp, wq_attr_t *sq, wq_attr_t *rq,
                      uint32_t length)
{
    fuzz_qp_t *qp = fuzz_qp(ibv_qp);

    FUZZ_CHECK(length == sizeof(*sq), "attributes of %u bytes", length);
    sq->buffer      = qp->direct.sq;
    sq->entry_size  = SQ_ENTRY;
    sq->num_entries = qp->direct.sq_entries;
    sq->doorbell    = &qp->direct.sq_doorbell;
    sq->max_batch   = MAX_BATCH;
    rq->buffer      = qp->direct.rq;
    rq->entry_size  = RQ_ENTRY;
    rq->num_entries = qp->direct.rq_entries;
    rq->doorbell    = &qp->direct.rq_doorbell;
    rq->max_batch   = qp->direct.rq_entries;
    return 0;
}

int fuzz_query_cq(struct ibv_cq *cq, cq_attr_t *attr, uint32_t length)
{
    fuzz_qp_t *qp = ucs_container_of((struct ibv_cq_ex *)cq, fuzz_qp_t, cq);

    FUZZ_CHECK(length == sizeof(*attr), "attributes of %u bytes", length);
    attr->buffer      = qp->direct.cq;
    attr->entry_size  = qp->direct.cqe_size;
    attr->num_entries = qp->cq.cqe;
    attr->doorbell    = NULL;
    return 0;
}

__attribute__((visibility("default"))) int
softefa_direct_qp(struct ibv_qp *ibv_qp, softefa_direct_qp_t *direct)
{
    fuzz_qp_t *qp = fuzz_qp(ibv_qp);

    direct->sq_doorbell = &qp->direct.sq_doorbell;
    direct->ring        = ring;
    direct->arg         = qp;
    return 0;
}

/* The last one that is asked: from now on it is the transport's. */
__attribute__((visibility("default"))) int
softefa_direct_cq(struct ibv_cq *cq, softefa_direct_cq_t *direct)
{
    fuzz_qp_t *qp = ucs_container_of((struct ibv_cq_ex *)cq, fuzz_qp_t, cq);

    qp->direct.on     = 1;
    direct->doorbell  = &qp->direct.cq_doorbell;
    direct->poll      = look;
    direct->poll_arg  = qp;
    direct->armed     = NULL;
    direct->armed_arg = NULL;
    return 0;
}
