/*
 * The interface's part in the AH cache's reclaim.
 */
#ifndef UCT_SRD_RECLAIM_H
#define UCT_SRD_RECLAIM_H

#include "srd/def/srd_iface_def.h"

#define UCT_SRD_RECLAIM 16u /* AHs given up for others at once               */

/* Peers give up so many AHs, or are asked whether they can; arg: the interface.
 * Returns how many were given up (uct_efa_ah_reclaim_func_t). */
unsigned uct_srd_reclaim(void *arg, unsigned wanted);

#endif
