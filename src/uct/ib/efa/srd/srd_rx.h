/*
 * The receive side, and the poll that serves both (srd_rx.c).
 */
#ifndef UCT_SRD_RX_H
#define UCT_SRD_RX_H

#include "srd_tx.h"

#define UCT_SRD_RX_CHAIN_MAX 64
#define UCT_SRD_EFFORT       32768u /* polls and completions between two ...  */
#define UCT_SRD_RECLAIM      16u    /* AHs given up for others at once        */

static_assert(UCT_SRD_EFFORT + UCT_SRD_POLL_BATCH < 65536,
              "a PSN does not wrap unseen");

/* Replaces descriptors that users or rings keep; posts full chains. */
void uct_srd_rx_refill(uct_srd_iface_t *iface);

/* Handles up to max_poll completions. Returns how many. */
unsigned uct_srd_iface_poll(uct_srd_iface_t *iface);

#endif
