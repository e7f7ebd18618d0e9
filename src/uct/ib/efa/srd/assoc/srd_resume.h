/*
 * What assoc/recovery/ adds to an association: it survives a reset of either
 * device, which gives an interface another queue pair (srd-wire.md, 12).
 * Nothing of this happens where no device is reset, but that a peer which does
 * not answer is asked for some time before it fails.
 *
 *   REJOIN     "I am who had the queue pair ... before": resume a session
 *   KEY_REQ    "what is the key of today, for this one of before?"
 */
#ifndef UCT_SRD_RESUME_H
#define UCT_SRD_RESUME_H

#include "srd/def/srd_iface_def.h"

struct uct_srd_resume_ops {
    /* A suspected peer (uct_srd_upcall_suspects()) answers again. */
    void (*found)(uct_srd_peer_t *peer);

    /* A control message to the peer was taken, or met no buffer: it lives. */
    void (*lives)(uct_srd_peer_t *peer, uct_srd_op_t op);

    /* The peer is known to be one of its own, or has ended: nobody waits for
     * that any more. */
    void (*settled)(uct_srd_peer_t *peer);

    /* REJOIN, from (GID, QPN, QKEY) ident; peer: who has it today, or NULL. 0:
     * it is to be taken for a HELLO. */
    int  (*rejoin)(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                   const uct_srd_ident_t *ident, const uct_srd_ext_t *ext);

    /* REJOIN_ACK, or HELLO_ACK, for a peer to whom REJOIN was sent */
    void (*rejoined)(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

    void (*key_req)(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);
    void (*key_ack)(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);
};

#endif
