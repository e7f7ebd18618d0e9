/*
 * The only calls that run up: how the floors below assoc/ tell it what concerns
 * an association. All are implemented in assoc/, but for suspect, which is
 * assoc/recovery/'s. (Timers' functions, slots' operations, the AH cache's
 * callbacks and srd_resume.h are pointers, which their owners set.)
 */
#ifndef UCT_SRD_UPCALL_H
#define UCT_SRD_UPCALL_H

#include "srd/def/srd_iface_def.h"

typedef enum {
    UCT_SRD_WANTS_SEND,   /* a message, which says HELLO itself: NEW, LEAVING */
    UCT_SRD_WANTS_JOINED  /* what must wait until it is JOINED: HELLO is sent.
                             In other states than NEW and JOINED a handshake is
                             under way, or refused. */
} uct_srd_wants_t;

/* Somebody wants an association with the peer, which has an AH. */
void uct_srd_upcall_wants(uct_srd_peer_t *peer, uct_srd_wants_t what);

/* A send to the peer ended with this status, whose action is SUSPECT_...
 * Nonzero: that may be a reset of its device; it is given time, send again. */
int uct_srd_upcall_suspects(uct_srd_peer_t *peer, unsigned vendor_err);

/* una moved, or the state changed: who waits for that goes on, what is over
 * ends. The peer may be gone afterwards. */
void uct_srd_upcall_moved(uct_srd_peer_t *peer);

/* The peer is FAILED since now, and in no table any more. */
void uct_srd_upcall_failed(uct_srd_peer_t *peer);

/* A message with an extended header. Returns its sender if it carries data that
 * is to be delivered, else NULL. *offset_p: where the data starts. */
uct_srd_peer_t *uct_srd_upcall_received(uct_srd_iface_t *iface,
                                        const uct_srd_rx_wc_t *rx, uint32_t imm,
                                        const void *message, size_t *offset_p);

#endif
