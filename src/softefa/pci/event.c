/* See event.h. */
#include "pci/event.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "faults/fault.h"
#include "pci/irq.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define KEEP_ALIVE_NS 1000000000ull

bool softefa_pci_ring_put(softefa_pci_t *pci, softefa_pci_ring_t *ring,
                          void *entry, unsigned size, unsigned commit,
                          uint32_t phase_bit)
{
    uint64_t index = ring->count & (ring->depth - 1);
    uint32_t word;
    uint8_t *slot;

    if (ring->depth == 0) {
        return false;
    }

    slot = softefa_pci_dma_at(&pci->dma, ring->address + (index * size), size,
                              true);
    if (slot == NULL) {
        softefa_error("an event or admin completion is lost: the guest's queue "
                      "at %#llx is not in memory that the client mapped",
                      (unsigned long long)ring->address);
        ring->depth = 0;
        return false;
    }

    memcpy(&word, (uint8_t *)entry + commit, sizeof(word));
    word |= (ring->count & ring->depth) ? 0 : phase_bit;
    memcpy(slot, entry, commit);
    memcpy(slot + commit + sizeof(word),
           (uint8_t *)entry + commit + sizeof(word),
           size - commit - sizeof(word));
    atomic_store_explicit((_Atomic uint32_t *)(slot + commit), word,
                          memory_order_release);
    ++ring->count;
    return true;
}

int softefa_pci_eq_create(softefa_pci_t *pci,
                          const softefa_admin_create_eq_t *cmd, uint16_t *eqn)
{
    uint64_t address = ((uint64_t)cmd->addr_hi << 32) | cmd->addr_lo;
    softefa_pci_eq_t *eq;
    uint32_t i;

    if (!softefa_is_pow2(cmd->depth) ||
        ((cmd->words & 0x1f) * 4 != sizeof(softefa_eq_entry_t)) ||
        (cmd->vector >= pci->num_vectors) || (address % 16 != 0) ||
        (softefa_pci_dma_at(&pci->dma, address,
                            (uint64_t)cmd->depth * sizeof(softefa_eq_entry_t),
                            true) == NULL)) {
        return EINVAL;
    }

    for (i = 0; i < pci->num_vectors - 1; ++i) {
        eq = &pci->eq[i];
        if (eq->ring.depth == 0) {
            memset(eq, 0, sizeof(*eq));
            eq->ring.address = address;
            eq->ring.depth   = cmd->depth;
            eq->ring.vector  = cmd->vector;
            *eqn             = i;
            return 0;
        }
    }

    return ENOMEM;
}

bool softefa_pci_eq_exists(const softefa_pci_t *pci, uint32_t eqn)
{
    return (eqn < SOFTEFA_PCI_MAX_EQS) && (pci->eq[eqn].ring.depth > 0);
}

int softefa_pci_eq_destroy(softefa_pci_t *pci, uint32_t eqn)
{
    if (!softefa_pci_eq_exists(pci, eqn)) {
        return EINVAL;
    }

    pci->eq[eqn].ring.depth = 0;
    return 0;
}

static void eq_interrupt(softefa_pci_t *pci, softefa_pci_eq_t *eq)
{
    if (eq->armed && eq->unseen) {
        eq->armed  = false;
        eq->unseen = false;
        softefa_pci_irq_raise(pci, eq->ring.vector);
    }
}

void softefa_pci_eq_arm(softefa_pci_t *pci, uint32_t eqn)
{
    if (softefa_pci_eq_exists(pci, eqn)) {
        pci->eq[eqn].armed = true;
        eq_interrupt(pci, &pci->eq[eqn]);
    }
}

void softefa_pci_eq_completion(softefa_pci_t *pci, uint32_t eqn, uint16_t cqn)
{
    softefa_eq_entry_t entry = {.cqn = cqn};

    if (softefa_pci_eq_exists(pci, eqn) &&
        !softefa_fault_lose_event(pci->index) &&
        softefa_pci_ring_put(pci, &pci->eq[eqn].ring, &entry, sizeof(entry), 0,
                             SOFTEFA_ADMIN_PHASE)) {
        pci->eq[eqn].unseen = true;
        eq_interrupt(pci, &pci->eq[eqn]);
    }
}

void softefa_pci_aenq_raise(softefa_pci_t *pci, softefa_aenq_group_t group,
                            uint16_t syndrome)
{
    uint64_t now               = softefa_clock_now();
    softefa_aenq_entry_t entry = {
        .group    = group,
        .syndrome = syndrome,
        .time_lo  = now,
        .time_hi  = now >> 32
    };

    if (!(pci->aenq_groups & (1u << group)) ||
        (pci->aenq.count - pci->aenq_cons >= pci->aenq.depth)) {
        return;
    }

    if (softefa_pci_ring_put(pci, &pci->aenq, &entry, sizeof(entry),
                             offsetof(softefa_aenq_entry_t, flags),
                             SOFTEFA_ADMIN_PHASE)) {
        softefa_pci_irq_raise(pci, pci->aenq.vector);
    }
}

void softefa_pci_aenq_keep_alive(softefa_pci_t *pci, uint64_t now)
{
    if ((pci->keep_alive != 0) && (now >= pci->keep_alive)) {
        softefa_pci_aenq_raise(pci, SOFTEFA_AENQ_KEEP_ALIVE, 0);
        pci->keep_alive = now + KEEP_ALIVE_NS;
    }
}
