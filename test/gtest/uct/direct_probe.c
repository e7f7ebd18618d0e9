/*
 * Also compares the layouts of the transport with those of Soft-EFA, which has
 * its own.
 */
#include "base/ucx/ucx_compat.h"
#include "direct_probe.h"

#include "softefa/abi/efa_io.h"
#include "srd/queues/srd_direct_cq.h"
#include "srd/queues/srd_direct_rq.h"
#include "srd/queues/srd_direct_sq.h"

#include <stdlib.h>
#include <string.h>

/* ---- Soft-EFA's layouts ------------------------------------------------ */

#define WORD(_type, _field)  (offsetof(_type, _field) / 8)
#define SHIFT(_type, _field) (8 * (offsetof(_type, _field) % 8))

static_assert(((int)SOFTEFA_WQE_SHIFT == (int)UCT_SRD_DIRECT_SQ_SHIFT) &&
              ((int)SOFTEFA_WQE_SHIFT_EX == (int)UCT_SRD_DIRECT_SQ_SHIFT_WIDE) &&
              (sizeof(softefa_io_rx_t) == UCT_SRD_DIRECT_RQ_ENTRY) &&
              (sizeof(softefa_io_cqe_t) == UCT_SRD_DIRECT_CQ_ENTRY_EX),
              "sizes");
static_assert((SOFTEFA_OP_SEND == (int)UCT_SRD_DIRECT_SEND) &&
              (SOFTEFA_OP_RDMA_READ == (int)UCT_SRD_DIRECT_READ) &&
              (SOFTEFA_OP_RDMA_WRITE == (int)UCT_SRD_DIRECT_WRITE),
              "operations");
static_assert((SHIFT(softefa_io_wqe_t, ctrl1) == UCT_SRD_DIRECT_OP_SHIFT) &&
              ((SOFTEFA_CTRL1_HAS_IMM << 16) == UCT_SRD_DIRECT_HAS_IMM) &&
              ((SOFTEFA_CTRL1_INLINE << 16) == UCT_SRD_DIRECT_IS_INLINE) &&
              ((SOFTEFA_CTRL1_META << 16) == UCT_SRD_DIRECT_META), "ctrl1");
static_assert((SHIFT(softefa_io_wqe_t, ctrl2) == UCT_SRD_DIRECT_PHASE_SHIFT) &&
              (SOFTEFA_CTRL2_PHASE == 1) &&
              ((SOFTEFA_CTRL2_FIRST << 24) == UCT_SRD_DIRECT_FIRST) &&
              ((SOFTEFA_CTRL2_LAST << 24) == UCT_SRD_DIRECT_LAST) &&
              ((SOFTEFA_CTRL2_COMP_REQ << 24) == UCT_SRD_DIRECT_COMP_REQ),
              "ctrl2");
static_assert((SHIFT(softefa_io_wqe_t, dest_qpn) == UCT_SRD_DIRECT_QPN_SHIFT) &&
              (SHIFT(softefa_io_wqe_t, length) ==
               UCT_SRD_DIRECT_LENGTH_SHIFT) &&
              (WORD(softefa_io_wqe_t, imm) == 1) &&
              (SHIFT(softefa_io_wqe_t, ahn) == UCT_SRD_DIRECT_AH_SHIFT) &&
              (WORD(softefa_io_wqe_t, qkey) == 2) &&
              (WORD(softefa_io_wqe_t, sge) == 4), "send entry");
static_assert((SHIFT(softefa_io_rx_t, length) ==
               UCT_SRD_DIRECT_RX_LENGTH_SHIFT) &&
              (SHIFT(softefa_io_rx_t, lkey_ctrl) ==
               UCT_SRD_DIRECT_RX_KEY_SHIFT) &&
              (((uint64_t)SOFTEFA_RX_FIRST << 32) == UCT_SRD_DIRECT_RX_FIRST) &&
              (((uint64_t)SOFTEFA_RX_LAST << 32) == UCT_SRD_DIRECT_RX_LAST) &&
              (SOFTEFA_KEY_MASK == UCT_SRD_DIRECT_KEY_MASK), "receive entry");

#define SAME(_ours, _theirs) \
    (offsetof(uct_srd_direct_cqe_t, _ours) == \
     offsetof(softefa_io_cqe_t, _theirs))

static_assert(SAME(qpn, qpn) && SAME(length, length) && SAME(ahn, ahn) &&
              SAME(src_qpn, src_qpn) && SAME(imm, imm) && SAME(gid, sgid),
              "completion");
static_assert((SOFTEFA_CQE_PHASE == (UCT_SRD_DIRECT_CQE_PHASE >> 24)) &&
              (SOFTEFA_CQE_SEND_QUEUE == (UCT_SRD_DIRECT_CQE_SEND >> 24)) &&
              (SOFTEFA_CQE_RECV_QUEUE == (UCT_SRD_DIRECT_CQE_RECV >> 24)) &&
              (SOFTEFA_CQE_HAS_IMM == (UCT_SRD_DIRECT_CQE_HAS_IMM >> 24)) &&
              ((7u << SOFTEFA_CQE_OP_SHIFT) ==
               (UCT_SRD_DIRECT_CQE_OP >> 24)) &&
              (SOFTEFA_CQE_UNSOLICITED ==
               (UCT_SRD_DIRECT_CQE_UNSOLICITED >> 24)), "completion");
static_assert((SOFTEFA_CQ_DB_CONSUMER == UCT_SRD_DIRECT_CQ_DB_CONSUMED) &&
              (SOFTEFA_CQ_DB_ARM == UCT_SRD_DIRECT_CQ_DB_ARM), "CQ doorbell");

/* ---- what a test calls ------------------------------------------------- */

uint32_t direct_probe_send(unsigned size, unsigned entries, uint32_t posted,
                           const direct_probe_wr_t *wr, void *out)
{
    uct_srd_dest_t dest    = {
        .qpn  = wr->qpn,
        .qkey = wr->qkey,
        .ahn  = wr->ahn
    };
    uint8_t *ring          = aligned_alloc(128, (size_t)size * entries);
    uint32_t doorbell      = ~0u;
    uct_srd_direct_sq_t sq = {
        .ring        = ring,
        .doorbell    = &doorbell,
        .mask        = entries - 1,
        .posted      = posted,
        .max_batch   = 1,
        .entry_shift = ucs_ilog2(size),
        .round_shift = ucs_ilog2(entries)
    };

    switch (wr->op) {
    case DIRECT_PROBE_INLINE:
        uct_srd_direct_sq_send_inline(&sq, &dest, wr->id, wr->imm, wr->data,
                                      wr->length);
        break;
    case DIRECT_PROBE_SEND:
        uct_srd_direct_sq_send(&sq, &dest, wr->id, wr->imm, wr->sge,
                               wr->num_sge);
        break;
    default:
        uct_srd_direct_sq_rdma(&sq, &dest, wr->id,
                               (wr->op == DIRECT_PROBE_READ) ?
                                       UCT_SRD_DIRECT_READ :
                                       UCT_SRD_DIRECT_WRITE,
                               wr->rkey, wr->remote_addr, wr->sge);
    }
    uct_srd_direct_sq_batch(&sq);

    memcpy(out, ring + (size_t)(posted % entries) * size, size);
    free(ring);
    return doorbell;
}

static void probe_count(void *arg)
{
    ++*(unsigned *)arg;
}

unsigned direct_probe_doorbells(unsigned max_batch, unsigned count)
{
    static uint8_t ring[64 * 64] __attribute__((aligned(128)));
    uct_srd_dest_t dest    = {};
    unsigned rung          = 0;
    uint32_t doorbell      = 0;
    uct_srd_direct_sq_t sq = {
        .ring        = ring,
        .doorbell    = &doorbell,
        .rung        = {.func = probe_count, .arg = &rung},
        .mask        = 63,
        .max_batch   = max_batch,
        .entry_shift = 6,
        .round_shift = 6
    };

    for (; count > 0; --count) {
        uct_srd_direct_sq_send(&sq, &dest, 0, 0, NULL, 0);
        uct_srd_direct_sq_batch(&sq);
    }
    if (sq.unrung > 0) {
        uct_srd_direct_sq_ring(&sq);
    }
    return (doorbell == sq.posted) ? rung : ~0u;
}

void direct_probe_recv(uint16_t id, const struct ibv_sge *sge, void *out)
{
    uct_srd_direct_id_t *ids = calloc(id + 1u, sizeof(*ids));
    uint64_t entry[2]        = {};
    uint32_t doorbell        = 0;
    uct_srd_desc_t desc      = {.sge = *sge};
    uct_srd_direct_rq_t rq   = {
        .ring     = entry,
        .doorbell = &doorbell,
        .ids      = ids,
        .free_id  = id,
        .mask     = id,      /* entry 0 is written, every id up to id is valid */
    };

    uct_srd_direct_rq_put(&rq, &desc);
    uct_srd_direct_rq_ring(&rq);
    memcpy(out, entry, sizeof(entry));
    free(ids);
}

int direct_probe_next(direct_probe_cq_t *probe, direct_probe_cqe_t *out)
{
    uint32_t doorbell      = 0;
    const uint8_t *ring    = probe->ring;
    unsigned round         = probe->consumed / probe->entries;
    uct_srd_direct_cq_t cq = {
        .ring       = ring,
        .next       = ring + (size_t)(probe->consumed % probe->entries) *
                                     probe->size,
        .end        = ring + (size_t)probe->entries * probe->size,
        .entry_size = probe->size,
        .phase      = (round % 2) ? 0 : UCT_SRD_DIRECT_CQE_PHASE,
        .consumed   = probe->consumed,
        .doorbell   = &doorbell
    };
    const uct_srd_direct_cqe_t *cqe;
    uint32_t first;

    if (!uct_srd_direct_cq_is_ready(&cq, &first)) {
        return 0;
    }

    cqe = uct_srd_direct_cq_next(&cq);
    uct_srd_direct_cq_ring(&cq, 0);
    probe->consumed = cq.consumed;
    out->is_send    = (first & UCT_SRD_DIRECT_CQE_QUEUE) ==
                   UCT_SRD_DIRECT_CQE_SEND;
    out->has_imm  = !!(first & UCT_SRD_DIRECT_CQE_HAS_IMM);
    out->id       = UCT_SRD_DIRECT_CQE_ID(first);
    out->status   = UCT_SRD_DIRECT_CQE_STATUS(first);
    out->length   = cqe->length;
    out->ahn      = cqe->ahn;
    out->src_qpn  = cqe->src_qpn;
    out->imm      = cqe->imm;
    out->doorbell = doorbell;
    return 1;
}
