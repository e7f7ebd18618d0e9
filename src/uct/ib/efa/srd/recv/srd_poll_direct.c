/*
 * Polling without libefa: the entries of the completion queue, one after the
 * other. An entry tells the source GID where one is needed, so there is one way
 * of polling. What the device says is checked before it is used: an entry that
 * no work request explains fails the queue pair.
 */
#include "srd/recv/srd_poll_direct.h"
#include "srd/queues/srd_direct_rq.h"
#include "srd/queues/srd_queues.h"
#include "srd/recv/srd_poll_wc.h"

/* What a completion of the direct path says: of a send (id: its slot), */
static void uct_srd_poll_cqe_status(uint32_t first, uintptr_t id,
                                    uct_srd_rx_wc_t *rx)
{
    rx->has_gid       = 0;
    rx->wc.wr_id      = id;
    rx->wc.vendor_err = UCT_SRD_DIRECT_CQE_STATUS(first);
    rx->wc.status     = (rx->wc.vendor_err == UCT_EFA_STATUS_OK) ?
                                IBV_WC_SUCCESS :
                                IBV_WC_GENERAL_ERR;
}

/* and of the receive that desc was posted for. */
static void uct_srd_poll_cqe_rx(const uct_srd_iface_t *iface,
                                const uct_srd_direct_cqe_t *cqe, uint32_t first,
                                uct_srd_desc_t *desc, uct_srd_rx_wc_t *rx)
{
    uct_srd_poll_cqe_status(first, (uintptr_t)desc, rx);
    rx->wc.imm_data = htobe32(cqe->imm);
    rx->wc.byte_len = cqe->length;
    rx->wc.src_qp   = cqe->src_qpn;
    rx->wc.slid     = cqe->ahn;
    /* No message of ours is a WRITE: dropped, as one without */
    rx->wc.wc_flags = ((first & UCT_SRD_DIRECT_CQE_HAS_IMM) &&
                       !(first & UCT_SRD_DIRECT_CQE_OP)) ?
                              IBV_WC_WITH_IMM :
                              0;
    if ((iface->queues.cq_efa != NULL) && (cqe->ahn == UCT_EFA_AHN_UNKNOWN)) {
        rx->has_gid = 1;
        memcpy(rx->gid.raw, cqe->gid, sizeof(rx->gid.raw));
    }
}

/* A completion that no work request explains: its id is not in use, or more
 * bytes came than there was room for. Nothing that the device says of this
 * queue pair is believed from now on: it is given up, as one that failed. */
static UCS_F_NOINLINE void
uct_srd_poll_cqe_nonsense(uct_srd_iface_t *iface,
                          const uct_srd_direct_cqe_t *cqe, uint32_t first)
{
    if (uct_srd_queues_is_failed(iface)) {
        return; /* known, and perhaps what follows from it */
    }

    ucs_error("srd: %s wrote a completion that belongs to no work request "
              "(first word 0x%x, QPN %u, %u bytes): the queue pair is "
              "replaced; look for errors of the device in the kernel's log, "
              "else please report it",
              uct_efa_md_device_name(uct_srd_iface_md(iface)), first, cqe->qpn,
              cqe->length);
    uct_srd_queues_set_failed(iface);
}

/* The device has answered a receive with what cannot be. */
static UCS_F_NOINLINE void
uct_srd_poll_cqe_rx_nonsense(uct_srd_iface_t *iface,
                             const uct_srd_direct_cqe_t *cqe, uint32_t first,
                             uct_srd_desc_t *desc)
{
    uct_srd_poll_cqe_nonsense(iface, cqe, first);
    if (desc != NULL) {
        uct_srd_desc_chain(iface, desc);
    }
}

/* The descriptor that an entry gives back; NULL: it is not to be believed. Only
 * of a message does the length say what is in the buffer. */
static UCS_F_ALWAYS_INLINE uct_srd_desc_t *
uct_srd_poll_cqe_desc(uct_srd_iface_t *iface, const uct_srd_direct_cqe_t *cqe,
                      uint32_t first, int is_message)
{
    uct_srd_desc_t *desc = uct_srd_direct_rq_take(&iface->queues.direct.rq,
                                                  UCT_SRD_DIRECT_CQE_ID(first));

    if (ucs_unlikely((desc == NULL) ||
                     (is_message && (cqe->length > desc->sge.length)))) {
        uct_srd_poll_cqe_rx_nonsense(iface, cqe, first, desc);
        return NULL;
    }

    return desc;
}

/* One entry, without handling it. False: it is not to be believed. */
static int uct_srd_poll_cqe_read(uct_srd_iface_t *iface,
                                 const uct_srd_direct_cqe_t *cqe,
                                 uint32_t first, uct_srd_rx_wc_t *rx)
{
    uint16_t id = UCT_SRD_DIRECT_CQE_ID(first);
    uct_srd_desc_t *desc;
    int is_message;

    if ((first & UCT_SRD_DIRECT_CQE_QUEUE) == UCT_SRD_DIRECT_CQE_SEND) {
        if (id >= iface->tx.num_slots) {
            uct_srd_poll_cqe_nonsense(iface, cqe, first);
            return 0;
        }
        uct_srd_poll_cqe_status(first,
                                (uintptr_t)&iface->tx.slots[id] |
                                        UCT_SRD_WR_ID_SEND,
                                rx);
        return 1;
    }

    is_message = (UCT_SRD_DIRECT_CQE_STATUS(first) == UCT_EFA_STATUS_OK) &&
                 (first & UCT_SRD_DIRECT_CQE_HAS_IMM) &&
                 !(first & UCT_SRD_DIRECT_CQE_OP);
    desc = uct_srd_poll_cqe_desc(iface, cqe, first, is_message);
    if (desc == NULL) {
        return 0;
    }

    uct_srd_poll_cqe_rx(iface, cqe, first, desc, rx);
    return 1;
}

unsigned uct_srd_poll_direct_read(uct_srd_iface_t *iface, uct_srd_rx_wc_t *rx,
                                  unsigned max)
{
    uct_srd_direct_cq_t *cq = &iface->queues.direct.cq;
    unsigned count          = 0;
    uint32_t first;

    uct_srd_direct_cq_look(cq);
    while ((count < max) && uct_srd_direct_cq_is_ready(cq, &first)) {
        count += uct_srd_poll_cqe_read(iface, uct_srd_direct_cq_next(cq), first,
                                       &rx[count]);
    }

    if (count > 0) {
        uct_srd_direct_cq_ring(cq, 0);
    }
    return count;
}

/* An entry that is not for the fast paths */
static UCS_F_NOINLINE void
uct_srd_poll_cqe_slow(uct_srd_iface_t *iface, const uct_srd_direct_cqe_t *cqe,
                      uint32_t first)
{
    uct_srd_rx_wc_t rx;

    if (uct_srd_poll_cqe_read(iface, cqe, first, &rx)) {
        uct_srd_poll_any_wc(iface, &rx);
    }
}

static UCS_F_ALWAYS_INLINE void
uct_srd_poll_cqe(uct_srd_iface_t *iface, const uct_srd_direct_cqe_t *cqe,
                 uint32_t first)
{
    uint16_t id = UCT_SRD_DIRECT_CQE_ID(first);
    uct_srd_desc_t *desc;
    uct_srd_rx_wc_t rx;

    if ((first & UCT_SRD_DIRECT_CQE_TX_MASK) == UCT_SRD_DIRECT_CQE_TX_PLAIN) {
        if (ucs_likely(id < iface->tx.num_slots)) {
            uct_srd_tx_done(iface, &iface->tx.slots[id]);
            return;
        }
    } else if (ucs_likely((first & UCT_SRD_DIRECT_CQE_RX_MASK) ==
                          UCT_SRD_DIRECT_CQE_RX_PLAIN)) {
        desc = uct_srd_poll_cqe_desc(iface, cqe, first, 1);
        if (ucs_unlikely(desc == NULL) ||
            ucs_likely(uct_srd_poll_rx(iface, desc,
                                       uct_srd_key(cqe->ahn, cqe->src_qpn),
                                       cqe->imm, cqe->length))) {
            return;
        }

        uct_srd_poll_cqe_rx(iface, cqe, first, desc, &rx);
        uct_srd_rx_slow(iface, &rx);
        return;
    }

    uct_srd_poll_cqe_slow(iface, cqe, first);
}

/* Handlers may start another round, or stash what the queue has: each entry is
 * taken out before it is handled. */
unsigned uct_srd_poll_direct(uct_srd_iface_t *iface)
{
    uct_srd_direct_cq_t *cq = &iface->queues.direct.cq;
    unsigned count          = 0;
    uint32_t first;

    /* uct_srd_poll_direct_is_idle() mostly was here, and looked. */
    if (!uct_srd_direct_cq_is_ready(cq, &first)) {
        uct_srd_direct_cq_look(cq);
        if (!uct_srd_direct_cq_is_ready(cq, &first)) {
            return 0;
        }
    }

    ++iface->rx.direct_rounds; /* the queues stay, whatever handlers do */
    do {
        uct_srd_poll_cqe(iface, uct_srd_direct_cq_next(cq), first);
    } while ((++count < iface->config.max_poll) &&
             uct_srd_direct_cq_is_ready(cq, &first));

    --iface->rx.direct_rounds;
    uct_srd_direct_cq_ring(cq, 0);
    return count;
}
