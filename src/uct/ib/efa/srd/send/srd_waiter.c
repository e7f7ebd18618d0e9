/*
 * Who waits until una of messages and of one-sided operations reach the PSNs of
 * the moment when it began to wait.
 */
#include "srd/send/srd_waiter.h"
#include "srd/peer/srd_peer.h"
#include "srd/peer/srd_peer_ep.h"
#include "srd/send/srd_ctl.h"

ucs_status_t uct_srd_waiter_add(uct_srd_iface_t *iface, uct_srd_ep_t *ep,
                                ucs_queue_head_t *queue, uct_completion_t *comp)
{
    uct_srd_waiter_t *waiter;

    if (comp == NULL) {
        return UCS_INPROGRESS;
    }

    waiter = ucs_mpool_get(&iface->tx.flush_mp);
    if (waiter == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    waiter->comp    = comp;
    waiter->ep      = ep;
    waiter->psn     = ep->peer->tx.psn;
    waiter->rma_psn = ep->peer->rma.psn;
    ucs_queue_push(queue, &waiter->queue);
    return UCS_INPROGRESS;
}

void uct_srd_waiter_cancel(ucs_queue_head_t *cancels)
{
    uct_srd_waiter_t *waiter;
    uct_completion_t *comp;

    while (!ucs_queue_is_empty(cancels)) {
        waiter = ucs_queue_pull_elem_non_empty(cancels, uct_srd_waiter_t,
                                               queue);
        comp   = waiter->comp;
        ucs_mpool_put(waiter);
        uct_invoke_completion(comp, UCS_ERR_CANCELED);
    }
}

void uct_srd_waiter_add_ext_ack(uct_srd_peer_t *peer)
{
    uct_srd_waiter_t *waiter;

    ucs_queue_for_each(waiter, &peer->tx.waiters, queue) {
        if (waiter->comp == NULL) {
            return;
        }
    }

    waiter = ucs_mpool_get(&peer->iface->tx.flush_mp);
    if (waiter != NULL) {
        waiter->comp    = NULL;
        waiter->ep      = NULL;
        waiter->psn     = peer->tx.psn;
        waiter->rma_psn = peer->rma.psn;
        peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
        ucs_queue_push(&peer->tx.waiters, &waiter->queue);
    }
}

void uct_srd_waiter_run(uct_srd_peer_t *peer)
{
    uct_srd_waiter_t *waiter;
    uct_completion_t *comp;

    peer->tx.flags &= ~UCT_SRD_PEER_TX_WAITERS;
    uct_srd_peer_hold(peer); /* the callbacks below may close endpoints */
    while (!ucs_queue_is_empty(&peer->tx.waiters)) {
        waiter = ucs_queue_head_elem_non_empty(&peer->tx.waiters,
                                               uct_srd_waiter_t, queue);
        if (((int16_t)(waiter->psn - peer->tx.una.una) > 0) ||
            ((int16_t)(waiter->rma_psn - peer->rma.una.una) > 0)) {
            peer->tx.flags |= UCT_SRD_PEER_TX_WAITERS;
            break;
        }

        ucs_queue_pull_non_empty(&peer->tx.waiters);
        comp = waiter->comp;
        ucs_mpool_put(waiter);
        if (comp != NULL) {
            uct_invoke_completion(comp, UCS_OK);
        } else {
            uct_srd_ctl_send(peer, UCT_SRD_OP_EXT_ACK, 0);
        }
    }

    uct_srd_peer_release(peer);
    uct_srd_peer_ep_wake(peer);
}

void uct_srd_waiter_purge(uct_srd_peer_t *peer)
{
    uct_srd_waiter_t *waiter;

    while (!ucs_queue_is_empty(&peer->tx.waiters)) {
        waiter = ucs_queue_pull_elem_non_empty(&peer->tx.waiters,
                                               uct_srd_waiter_t, queue);
        if (waiter->comp != NULL) {
            uct_invoke_completion(waiter->comp, peer->status);
        }
        ucs_mpool_put(waiter);
    }
}

void uct_srd_waiter_take(const uct_srd_ep_t *ep, ucs_queue_head_t *waiters)
{
    uct_srd_peer_t *peer = ep->peer;
    uct_srd_waiter_t *waiter;
    ucs_queue_iter_t iter;

    ucs_queue_head_init(waiters);
    ucs_queue_for_each_safe(waiter, iter, &peer->tx.waiters, queue) {
        if (waiter->ep == ep) {
            ucs_queue_del_iter(&peer->tx.waiters, iter);
            ucs_queue_push(waiters, &waiter->queue);
        }
    }
}
