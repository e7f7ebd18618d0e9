/* Commands of completion queues and queue pairs. */
#include "pci/admin.h"
#include "base/util.h"
#include "pci/event.h"
#include "pci/queue.h"

#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <string.h>

static uint64_t db_offset(uint64_t slot)
{
    return slot * SOFTEFA_PCI_DB_SLOT;
}

/* ---- completion queues ---- */

static int cq_check(const softefa_pci_t *pci,
                    const softefa_admin_create_cq_t *cmd)
{
    uint64_t address = ((uint64_t)cmd->addr_hi << 32) | cmd->addr_lo;
    uint64_t size    = (uint64_t)cmd->depth * cmd->num_sub_cqs *
                    (cmd->caps_2 & SOFTEFA_ADMIN_CQ_WORDS) * 4;

    if (cmd->caps_1 & SOFTEFA_ADMIN_CQ_VIRT) {
        return EOPNOTSUPP;
    }

    if ((cmd->caps_1 & SOFTEFA_ADMIN_CQ_INTERRUPT) &&
        !softefa_pci_eq_exists(pci, cmd->eqn)) {
        return EINVAL;
    }

    return (softefa_is_pow2(cmd->depth) &&
            (cmd->depth <= pci->profile.max_cqe) &&
            (cmd->num_sub_cqs == pci->profile.sub_cqs) &&
            softefa_pci_uar_exists(pci, cmd->uar) && (address % 16 == 0) &&
            (softefa_pci_dma_at(&pci->dma, address, size, true) != NULL)) ?
                   0 :
                   EINVAL;
}

/* A cookie for the model's events: the number is known too late. There are as
 * many as CQs. */
static uint32_t cq_cookie(const softefa_pci_t *pci)
{
    uint32_t cookie;

    for (cookie = 0; pci->cq_of[cookie] != 0; ++cookie) {
        if (cookie + 1 == pci->cq_slots) {
            break; /* the model refuses the CQ */
        }
    }

    return cookie;
}

int softefa_pci_cmd_create_cq(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    const softefa_admin_create_cq_t *req = &cmd->create_cq;
    softefa_cq_attr_t attr               = {};
    softefa_cq_map_t map;
    softefa_pci_cq_t *entry;
    softefa_cq_t *cq;
    int ret;

    ret = cq_check(pci, req);
    if (ret != 0) {
        return ret;
    }

    attr.depth       = req->depth;
    attr.entry_size  = (req->caps_2 & SOFTEFA_ADMIN_CQ_WORDS) * 4;
    attr.num_sub_cqs = req->num_sub_cqs;
    attr.with_sgid   = !!(req->caps_2 & SOFTEFA_ADMIN_CQ_SGID);
    attr.channel     = pci->channel;
    attr.cookie      = cq_cookie(pci);
    ret              = softefa_cq_create(pci->dev, &attr, &cq, &map);
    if (ret != 0) {
        return ret;
    }

    entry = &pci->cq[map.cqn];
    memset(entry, 0, sizeof(*entry));
    entry->cq          = cq;
    entry->map         = map;
    entry->cookie      = attr.cookie;
    entry->address     = ((uint64_t)req->addr_hi << 32) | req->addr_lo;
    entry->depth       = attr.depth;
    entry->entry_size  = attr.entry_size;
    entry->num_sub_cqs = attr.num_sub_cqs;
    entry->uar         = req->uar;
    entry->eqn = (req->caps_1 & SOFTEFA_ADMIN_CQ_INTERRUPT) ? req->eqn : -1;
    pci->cq_of[entry->cookie] = map.cqn + 1;
    softefa_cq_arm(cq);

    resp->create_cq.cqn   = map.cqn;
    resp->create_cq.depth = req->depth;
    resp->create_cq.db    = db_offset((uint64_t)pci->qp_slots + map.cqn);
    resp->create_cq.flags = SOFTEFA_ADMIN_CQ_DB_VALID;
    return 0;
}

int softefa_pci_cmd_destroy_cq(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp)
{
    uint32_t cqn = cmd->object.number;
    uint32_t events;
    int ret;

    (void)resp;
    if ((cqn >= pci->cq_slots) || (pci->cq[cqn].cq == NULL)) {
        return EINVAL;
    }

    ret = softefa_cq_destroy(pci->cq[cqn].cq, &events);
    if (ret == 0) {
        pci->cq_of[pci->cq[cqn].cookie] = 0;
        pci->cq[cqn].cq                 = NULL;
    }
    return ret;
}

/* ---- queue pairs ---- */

static bool qp_cq_exists(const softefa_pci_t *pci, uint32_t cqn)
{
    return (cqn < pci->cq_slots) && (pci->cq[cqn].cq != NULL);
}

static int qp_check(const softefa_pci_t *pci,
                    const softefa_admin_create_qp_t *cmd)
{
    const softefa_profile_t *profile = &pci->profile;

    if (cmd->flags & (SOFTEFA_ADMIN_QP_SQ_VIRT | SOFTEFA_ADMIN_QP_RQ_VIRT)) {
        return EOPNOTSUPP;
    }

    if ((cmd->flags & SOFTEFA_ADMIN_QP_UNSOLICITED) &&
        !(profile->caps & SOFTEFA_CAP_UNSOLICITED_WRITE_RECV)) {
        return EOPNOTSUPP;
    }

    return (((cmd->type == SOFTEFA_ADMIN_QP_UD) ||
             (cmd->type == SOFTEFA_ADMIN_QP_SRD)) &&
            qp_cq_exists(pci, cmd->send_cq) &&
            qp_cq_exists(pci, cmd->recv_cq) &&
            softefa_pci_uar_exists(pci, cmd->uar) &&
            (cmd->sq_ring_size <= profile->max_llq_size) &&
            (cmd->rq_ring_size / sizeof(softefa_io_rx_t) <=
             profile->max_rq_wr) &&
            ((cmd->rq_ring_size == 0) ||
             ((cmd->rq_base % sizeof(softefa_io_rx_t) == 0) &&
              (softefa_pci_dma_at(&pci->dma, cmd->rq_base, cmd->rq_ring_size,
                                  false) != NULL)))) ?
                   0 :
                   EINVAL;
}

/* libefa makes entries of 128 bytes for more inline data; the command says so
 * by the ring's size only. */
static uint32_t qp_wqe_size(const softefa_pci_t *pci,
                            const softefa_admin_create_qp_t *cmd)
{
    return ((pci->profile.inline_size_ex > 0) &&
            (cmd->sq_ring_size ==
             (uint64_t)SOFTEFA_WQE_SIZE_EX * cmd->sq_depth)) ?
                   SOFTEFA_WQE_SIZE_EX :
                   SOFTEFA_WQE_SIZE;
}

static void qp_fill(softefa_pci_t *pci, softefa_pci_qp_t *entry,
                    const softefa_admin_create_qp_t *cmd, uint32_t wqe_size)
{
    entry->rq_address = cmd->rq_base;
    entry->sq_entries = cmd->sq_ring_size / wqe_size;
    entry->rq_entries = cmd->rq_ring_size / sizeof(softefa_io_rx_t);
    entry->wqe_size   = wqe_size;
    entry->send_cq    = cmd->send_cq;
    entry->recv_cq    = cmd->recv_cq;
    entry->uar        = cmd->uar;
    entry->broken     = false;
    softefa_pci_queue_reset_qp(entry);

    /* What the slot's last QP left there has valid phase bits. */
    memset(pci->llq + ((entry - pci->qp) * pci->llq_slot), 0,
           cmd->sq_ring_size);
}

int softefa_pci_cmd_create_qp(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    const softefa_admin_create_qp_t *req = &cmd->create_qp;
    uint32_t wqe_size                    = qp_wqe_size(pci, req);
    softefa_qp_attr_t attr               = {};
    softefa_qp_map_t map;
    softefa_qp_t *qp;
    uint32_t slot;
    int ret;

    ret = qp_check(pci, req);
    if (ret != 0) {
        return ret;
    }

    attr.type          = (req->type == SOFTEFA_ADMIN_QP_UD) ? SOFTEFA_QP_UD :
                                                              SOFTEFA_QP_SRD;
    attr.pdn           = req->pd;
    attr.send_cq       = pci->cq[req->send_cq].cq;
    attr.recv_cq       = pci->cq[req->recv_cq].cq;
    attr.sq_ring_size  = req->sq_ring_size;
    attr.rq_ring_size  = req->rq_ring_size;
    attr.sq_entry_size = wqe_size;
    attr.max_inline    = (wqe_size == SOFTEFA_WQE_SIZE) ?
                                 pci->profile.inline_size :
                                 pci->profile.inline_size_ex;
    attr.unsolicited_write_recv = !!(req->flags & SOFTEFA_ADMIN_QP_UNSOLICITED);
    ret                         = softefa_qp_create(pci->dev, &attr, &qp, &map);
    if (ret != 0) {
        return ret;
    }

    slot              = map.qpn & (pci->qp_slots - 1);
    pci->qp[slot].qp  = qp;
    pci->qp[slot].map = map;
    qp_fill(pci, &pci->qp[slot], req, wqe_size);

    resp->create_qp.handle      = map.qpn;
    resp->create_qp.qpn         = map.qpn;
    resp->create_qp.send_sub_cq = map.send_sub_cq;
    resp->create_qp.recv_sub_cq = map.recv_sub_cq;
    resp->create_qp.sq_db       = db_offset(slot);
    resp->create_qp.rq_db       = db_offset(slot) + SOFTEFA_PCI_DB_RQ;
    resp->create_qp.llq         = slot * pci->llq_slot;
    return 0;
}

/* NULL: there is none */
static softefa_pci_qp_t *qp_find(softefa_pci_t *pci, uint32_t handle)
{
    softefa_pci_qp_t *entry = &pci->qp[handle & (pci->qp_slots - 1)];

    return ((entry->qp != NULL) && (entry->map.qpn == handle)) ? entry : NULL;
}

int softefa_pci_cmd_modify_qp(softefa_pci_t *pci,
                              const softefa_admin_cmd_t *cmd,
                              softefa_admin_resp_t *resp)
{
    const softefa_admin_modify_qp_t *req = &cmd->modify_qp;
    softefa_pci_qp_t *entry              = qp_find(pci, req->handle);
    softefa_qp_mod_t mod;
    int ret;

    (void)resp;
    if ((entry == NULL) || (req->mask & ~(uint32_t)SOFTEFA_ADMIN_MOD_ALL) ||
        ((req->mask & SOFTEFA_ADMIN_MOD_STATE) && (req->state > IBV_QPS_ERR))) {
        return EINVAL;
    }

    mod.state  = (req->mask & SOFTEFA_ADMIN_MOD_STATE) ? (int)req->state : -1;
    mod.qkey   = (req->mask & SOFTEFA_ADMIN_MOD_QKEY) ? (int64_t)req->qkey : -1;
    mod.sq_psn = (req->mask & SOFTEFA_ADMIN_MOD_SQ_PSN) ? (int64_t)req->sq_psn :
                                                          -1;
    mod.rnr_retry = (req->mask & SOFTEFA_ADMIN_MOD_RNR_RETRY) ? req->rnr_retry :
                                                                -1;
    ret           = softefa_qp_modify(entry->qp, &mod);
    if ((ret == 0) && (mod.state == IBV_QPS_RESET)) {
        softefa_pci_queue_reset_qp(entry);
    }
    return ret;
}

int softefa_pci_cmd_query_qp(softefa_pci_t *pci, const softefa_admin_cmd_t *cmd,
                             softefa_admin_resp_t *resp)
{
    softefa_pci_qp_t *entry = qp_find(pci, cmd->object.handle);
    softefa_qp_mod_t mod;

    if (entry == NULL) {
        return EINVAL;
    }

    softefa_qp_query(entry->qp, &mod);
    resp->query_qp.state     = mod.state;
    resp->query_qp.qkey      = mod.qkey;
    resp->query_qp.sq_psn    = mod.sq_psn;
    resp->query_qp.rnr_retry = mod.rnr_retry;
    return 0;
}

int softefa_pci_cmd_destroy_qp(softefa_pci_t *pci,
                               const softefa_admin_cmd_t *cmd,
                               softefa_admin_resp_t *resp)
{
    softefa_pci_qp_t *entry = qp_find(pci, cmd->object.handle);
    int ret;

    (void)resp;
    if (entry == NULL) {
        return EINVAL;
    }

    ret = softefa_qp_destroy(entry->qp);
    if (ret == 0) {
        entry->qp = NULL;
    }
    return ret;
}
