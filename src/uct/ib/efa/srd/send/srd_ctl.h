/*
 * Control messages, sending, and the timer that repeats them. What one has come
 * to is assoc/srd_ctl_done.c's, what arrives assoc/srd_receive.c's.
 */
#ifndef UCT_SRD_CTL_H
#define UCT_SRD_CTL_H

#include "srd/def/srd_iface_def.h"

/* Once the slots are there: what they do with completions */
void uct_srd_ctl_init(uct_srd_iface_t *iface, const uct_srd_slot_ops_t *ops);

/* Posts a control message. Lost if there is no slot: timers repeat it. */
ucs_status_t uct_srd_ctl_send(uct_srd_peer_t *peer, uct_srd_op_t op,
                              uint32_t arg);

/* As above, with a tail. */
ucs_status_t
uct_srd_ctl_send_ext(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

/* An answer to somebody of whom no record is kept. May be lost, too. */
void uct_srd_ctl_answer(uct_srd_iface_t *iface, const uct_srd_ext_t *to,
                        uct_srd_op_t op, uint32_t arg);

/* Gives back a slot, of a control message that has ended. */
void uct_srd_ctl_slot_put(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

/* An extended header from us to peer, without tail */
void uct_srd_ctl_ext_init(const uct_srd_peer_t *peer, uct_srd_op_t op,
                          uint32_t arg, uct_srd_ext_t *ext);

/* The identity of who sent an extended header */
void uct_srd_ctl_ident(const uct_srd_ext_t *ext, uct_srd_ident_t *ident);

/* Sets the peer's timer to the given first interval, s, unless it runs; to
 * twice the last one, at most max; stops it. */
void uct_srd_ctl_timer_start(uct_srd_peer_t *peer, double first);
void uct_srd_ctl_timer_again(uct_srd_peer_t *peer, double max);
void uct_srd_ctl_timer_stop(uct_srd_peer_t *peer);

#endif
