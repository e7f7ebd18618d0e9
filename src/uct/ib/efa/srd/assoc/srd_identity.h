/*
 * Who sent a message with an extended header, and in which association.
 */
#ifndef UCT_SRD_IDENTITY_H
#define UCT_SRD_IDENTITY_H

#include "srd/def/srd_iface_def.h"

/* Is the identity in the header the one that the device saw? */
typedef enum {
    UCT_SRD_IDENTITY_PROVEN,
    UCT_SRD_IDENTITY_ASSERTED, /* the QPN is, the device does not say the GID */
    UCT_SRD_IDENTITY_FORGED
} uct_srd_identity_t;

uct_srd_identity_t uct_srd_identity_check(uct_srd_iface_t *iface,
                                          const uct_srd_rx_wc_t *rx,
                                          const uct_srd_ext_t *ext);

/* The remote's incarnation, from its header. Returns NULL if the header is an
 * old one, else the peer to go on with: peer, its successor, or a new one. */
uct_srd_peer_t *
uct_srd_identity_peer(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                      const uct_srd_ident_t *ident, const uct_srd_ext_t *ext,
                      uint8_t asserted);

/* What an extended header that was believed says about its sender */
void uct_srd_identity_heard(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

/* peer will send from ident's GID and QPN: whoever was heard from there before
 * fails. */
void uct_srd_identity_supersede(uct_srd_peer_t *peer,
                                const uct_srd_ident_t *ident);

/* Why it fails */
extern const char uct_srd_identity_moved[];

/* Speaks another version: says so, once for each sender while it is the last */
void uct_srd_identity_bad_version(uct_srd_iface_t *iface,
                                  const uct_srd_rx_wc_t *rx,
                                  const uct_srd_ident_t *ident,
                                  const uct_srd_ext_t *ext);

#endif
