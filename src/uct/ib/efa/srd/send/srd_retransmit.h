/*
 * Sends that the device did not bring to their end: srd_retransmit.c.
 */
#ifndef UCT_SRD_RETRANSMIT_H
#define UCT_SRD_RETRANSMIT_H

#include "srd/def/srd_iface_def.h"

/* For the flight recorder; not of those that are sent again anyway, and of a
 * suspected peer the first only. */
void uct_srd_retransmit_note(uct_srd_peer_t *peer, unsigned vendor_err,
                             unsigned retries);

/* What failed with this action: may it be sent again, now or later? retries:
 * how often it was, because of RETRY. The peer may be suspected afterwards. */
int uct_srd_retransmit_may(uct_srd_peer_t *peer, uct_efa_status_action_t action,
                           unsigned vendor_err, uint8_t *retries);

/* What the device did not take, or may not have: to be sent again. */
void uct_srd_retransmit_keep(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* Posts a queue's slots; stops at the first that is refused. */
void uct_srd_retransmit_queue(uct_srd_peer_t *peer, ucs_queue_head_t *queue);

/* Starts the pause before what has failed is sent again, unless it runs.
 * vendor_err: why, or UCT_EFA_STATUS_OK. */
void uct_srd_retransmit_start(uct_srd_peer_t *peer, unsigned vendor_err);

/* A message goes to the resend queue, and the pause starts. */
void uct_srd_retransmit_later(uct_srd_peer_t *peer, uct_srd_slot_t *slot,
                              unsigned vendor_err);

#endif
