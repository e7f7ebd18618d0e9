/*
 * Suspected peers: srd_suspect.c. uct_srd_upcall_suspects() begins.
 */
#ifndef UCT_SRD_SUSPECT_H
#define UCT_SRD_SUSPECT_H

#include "srd/def/srd_iface_def.h"

/* It answers again (uct_srd_resume_ops_t: found). */
void uct_srd_suspect_found(uct_srd_peer_t *peer);

#endif
