/*
 * Slots: what a message, control message or operation is in until the device is
 * done with it. Their memory, and what they hold on to.
 */
#ifndef UCT_SRD_SLOT_H
#define UCT_SRD_SLOT_H

#include "srd/def/srd_iface_def.h"

static UCS_F_ALWAYS_INLINE uct_srd_slot_t *
uct_srd_slot_get(uct_srd_iface_t *iface)
{
    return iface->tx.free[--iface->tx.num_free];
}

static UCS_F_ALWAYS_INLINE void uct_srd_slot_put(uct_srd_iface_t *iface,
                                                 uct_srd_slot_t *slot)
{
    iface->tx.free[iface->tx.num_free++] = slot;
}

/* Its number, which is the request id of the direct path */
static UCS_F_ALWAYS_INLINE uint16_t
uct_srd_slot_index(const uct_srd_iface_t *iface, const uct_srd_slot_t *slot)
{
    return slot - iface->tx.slots;
}

/* The slot waits in a queue of its peer; does so no more, if it did. */
static UCS_F_ALWAYS_INLINE void uct_srd_slot_set_queued(uct_srd_slot_t *slot)
{
    slot->flags |= UCT_SRD_SLOT_QUEUED;
    ++slot->peer->stats->queued;
}

static UCS_F_ALWAYS_INLINE void uct_srd_slot_clear_queued(uct_srd_slot_t *slot)
{
    if (slot->flags & UCT_SRD_SLOT_QUEUED) {
        slot->flags &= ~UCT_SRD_SLOT_QUEUED;
        --slot->peer->stats->queued;
    }
}

/* Slots, buffers and waiters of an interface; ops: messages'. Logs the cause of
 * a failure. */
ucs_status_t uct_srd_slots_init(uct_srd_iface_t *iface,
                                const uct_srd_iface_config_t *config,
                                const uct_srd_slot_ops_t *ops);
void         uct_srd_slots_cleanup(uct_srd_iface_t *iface);

/* Gives back what the slot holds and the slot; completes with status, unless
 * comp is NULL: the send call failed. */
void uct_srd_slot_release(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                          ucs_status_t status);

/* Replaces the user's memory by a copy, so that the slot outlives it.
 * UCS_ERR_NO_MEMORY; UCS_ERR_UNSUPPORTED: no CPU can read it. */
ucs_status_t uct_srd_slot_detach(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

#endif
