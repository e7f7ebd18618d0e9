/*
 * The receive side, and the poll that serves both (srd_rx.c).
 */
#ifndef UCT_SRD_RX_H
#define UCT_SRD_RX_H

#include "srd_tx.h"

#define UCT_SRD_RX_CHAIN_MAX 64

/* Replaces descriptors that users or rings keep; posts full chains. */
void uct_srd_rx_refill(uct_srd_iface_t *iface);

/* Handles up to max_poll completions. Returns how many. */
unsigned uct_srd_iface_poll(uct_srd_iface_t *iface);

#endif
