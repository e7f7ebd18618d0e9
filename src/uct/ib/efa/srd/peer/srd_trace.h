/*
 * Packet lines: every packet that is sent or has arrived, at UCX_LOG_LEVEL=data
 * or above, with what the tracer of uct_iface_set_am_tracer() makes of it:
 *
 *   srd: SEND fe80::1/5 -> fe80::2/7 AM psn 3 epoch 77 header am_id 2 len 8 ...
 *   srd: RECV fe80::2/7 <- fe80::1/5 AM psn 3 epoch 77 header am_id 2 len 8 ...
 *   srd: SEND fe80::2/7 -> fe80::1/5 HELLO_ACK epoch 12 arg 77 window 512 ...
 *   srd: SEND fe80::1/5 -> fe80::2/7 READ op 0 len 64 [va 0x lkey 0x] [rva ...
 *   srd: RECV fe80::2/7 <- ?/5 dropped: from an earlier association
 *
 * How talkative a log can be is fixed when UCX is built:
 *
 *   to "data"     the level counts at each packet, as in UCX's own transports
 *   less          (distributions') it counts when an interface is opened. Such
 *                 an interface takes the slow path for every packet, so that
 *                 the fast path of the others has no look at it; the lines have
 *                 the last level that there is.
 */
#ifndef UCT_SRD_TRACE_H
#define UCT_SRD_TRACE_H

#include "srd/def/srd_iface_def.h"

/* Of a packet of the fast path */
#define UCT_SRD_TRACE_FAST() ucs_log_is_enabled(UCS_LOG_LEVEL_TRACE_DATA)

/* Of any other */
#define UCT_SRD_TRACE(_iface) \
    (UCT_SRD_TRACE_FAST() || ucs_unlikely((_iface)->trace))

/* For iface->trace */
int uct_srd_trace_is_wanted(void);

/* A message is posted, or is about to be. imm: the whole immediate */
void uct_srd_trace_send(uct_srd_iface_t *iface, const uct_srd_slot_t *slot,
                        uint32_t imm);

/* Likewise, a control message */
void uct_srd_trace_send_ctl(uct_srd_iface_t *iface,
                            const uct_srd_slot_t *slot);

/* Likewise, a one-sided operation; rkey: as the device is told it */
void uct_srd_trace_rma(uct_srd_iface_t *iface, const uct_srd_slot_t *slot,
                       uint32_t rkey);

/* A message has arrived. result: what becomes of it */
void uct_srd_trace_recv(uct_srd_peer_t *peer, uint32_t imm, const void *data,
                        size_t length, uct_srd_ring_result_t result);

/* A control message has arrived. */
void uct_srd_trace_recv_ctl(uct_srd_iface_t *iface, const uct_srd_ext_t *ext);

/* What was dropped before it had a sender; gid NULL: not known. counter: as
 * in uct_srd_rx_drop() */
void uct_srd_trace_dropped(const uct_srd_iface_t *iface, const void *gid,
                           uint32_t qpn, unsigned counter);

#endif
