/*
 * Who waits until all that was sent so far has completed: flushes, and the
 * answer to EXT_REQ.
 */
#ifndef UCT_SRD_WAITER_H
#define UCT_SRD_WAITER_H

#include "srd/def/srd_iface_def.h"

/* comp waits in queue, the peer's waiters or ep's cancels. UCS_INPROGRESS;
 * UCS_ERR_NO_MEMORY. */
ucs_status_t uct_srd_waiter_add(uct_srd_iface_t *iface, uct_srd_ep_t *ep,
                                ucs_queue_head_t *queue,
                                uct_completion_t *comp);

/* EXT_ACK waits, once. */
void uct_srd_waiter_add_ext_ack(uct_srd_peer_t *peer);

/* una moved: those that it has reached end. They may close endpoints; the
 * caller sees to it that the peer stays. */
void uct_srd_waiter_run(uct_srd_peer_t *peer);

/* All of the peer end with its status. */
void uct_srd_waiter_purge(uct_srd_peer_t *peer);

/* Takes those of ep out of its peer's: uct_srd_waiter_cancel() ends them. */
void uct_srd_waiter_take(const uct_srd_ep_t *ep, ucs_queue_head_t *waiters);

/* All of a queue end with UCS_ERR_CANCELED. It is nobody's any more: the
 * callbacks may close the endpoint. */
void uct_srd_waiter_cancel(ucs_queue_head_t *waiters);

#endif
