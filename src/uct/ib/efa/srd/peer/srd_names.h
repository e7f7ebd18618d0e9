/*
 * The names under which a peer is found: srd_names.c.
 */
#ifndef UCT_SRD_NAMES_H
#define UCT_SRD_NAMES_H

#include "srd/def/srd_iface_def.h"

void uct_srd_names_init(uct_srd_iface_t *iface);
void uct_srd_names_cleanup(uct_srd_iface_t *iface);

/* Whose name is in that place of the table; NULL: nobody's */
uct_srd_peer_t *uct_srd_names_at(const uct_srd_iface_t *iface, unsigned place);

/* By any name it has, an alias too. NULL: none */
uct_srd_peer_t *uct_srd_names_find(uct_srd_iface_t *iface,
                                   const uct_srd_ident_t *ident);

/* Who was heard from and has this GID and QPN, whatever its QKEY; this GID and
 * QKEY, whatever its QPN. NULL: none */
uct_srd_peer_t *uct_srd_names_find_any_qkey(uct_srd_iface_t *iface,
                                            const uct_srd_ident_t *ident);
uct_srd_peer_t *uct_srd_names_find_any_qpn(uct_srd_iface_t *iface,
                                           const uct_srd_ident_t *ident);

/* Does the endpoint's user mean this peer by ident, today's name or one of
 * before a reset? Of a failed one only its last name is known. */
int uct_srd_names_has(const uct_srd_peer_t *peer, const uct_srd_ident_t *ident);

/* Who was found by ident, if it is who sent a message with that UID, else NULL:
 * an alias counts only for whom it belonged to, and is none after another used
 * it. peer: may be NULL. */
uct_srd_peer_t *uct_srd_names_as_sender(uct_srd_peer_t *peer,
                                        const uct_srd_ident_t *ident,
                                        uint64_t uid);

/* A new peer's ident, which nobody has; and all names of one that goes */
ucs_status_t uct_srd_names_add(uct_srd_peer_t *peer);
void         uct_srd_names_del(uct_srd_peer_t *peer);

/* The peer was heard from: it is who sends from its GID and QPN from now on.
 * Nobody else is. */
ucs_status_t uct_srd_names_set_known(uct_srd_peer_t *peer);

/* From now on the peer is known by ident. Nobody else has that name, nor, if
 * the peer was heard from, sends from there. */
ucs_status_t uct_srd_names_move(uct_srd_peer_t *peer,
                                const uct_srd_ident_t *ident);

#endif
