/*
 * What follows when a control message has left, or not.
 */
#ifndef UCT_SRD_CTL_DONE_H
#define UCT_SRD_CTL_DONE_H

#include "srd/def/srd_iface_def.h"

extern const uct_srd_slot_ops_t uct_srd_ctl_done_ops;

#endif
