/*
 * Keys of memory after a reset: what the other side is told, and says.
 */
#ifndef UCT_SRD_REKEY_H
#define UCT_SRD_REKEY_H

#include "srd/def/srd_iface_def.h"

/* uct_srd_resume_ops_t: key_req, key_ack */
void uct_srd_rekey_req(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);
void uct_srd_rekey_ack(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

#endif
