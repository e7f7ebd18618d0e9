/* See regs.h. */
#include "pci/regs.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/util.h"
#include "pci/admin.h"
#include "pci/event.h"
#include "pci/irq.h"

#include <stdatomic.h>
#include <string.h>

enum {
    /* The driver's queues have 32 and 16 entries. */
    MAX_DEPTH          = 1024,

    VERSION            = 0x0001,           /* 0.1: no checksums */
    CONTROLLER_VERSION = 0x00000001,       /* 0.0.1, the least for a driver */

    /* 3.1 s for a reset; commands: the driver's own 30 s. Time of a machine
     * that is slow counts as well. */
    CAPS               = SOFTEFA_CAPS(31, 48, 0)
};

static uint32_t regs_get(const softefa_pci_t *pci, uint32_t offset)
{
    switch (offset) {
    case SOFTEFA_REG_VERSION:
        return VERSION;
    case SOFTEFA_REG_CONTROLLER_VERSION:
        return CONTROLLER_VERSION;
    case SOFTEFA_REG_CAPS:
        return CAPS;
    case SOFTEFA_REG_AQ_CAPS:
        return pci->aq_caps;
    case SOFTEFA_REG_ACQ_CAPS:
        return pci->acq_caps;
    case SOFTEFA_REG_AENQ_CAPS:
        return pci->aenq_caps;
    case SOFTEFA_REG_INTR_MASK:
        return pci->intr_mask;
    case SOFTEFA_REG_DEV_STS:
        return pci->status;
    default:
        return 0;
    }
}

uint64_t softefa_pci_regs_read(const softefa_pci_t *pci, uint32_t offset,
                               uint32_t size)
{
    if ((offset >= SOFTEFA_PCI_MSIX_PBA) && (size == sizeof(uint64_t)) &&
        (offset % size == 0)) {
        return softefa_pci_irq_pending(pci,
                                       (offset - SOFTEFA_PCI_MSIX_PBA) * 8);
    }

    if ((size != sizeof(uint32_t)) || (offset % size != 0)) {
        return UINT64_MAX;
    }

    if (offset >= SOFTEFA_PCI_MSIX_PBA) {
        return (uint32_t)softefa_pci_irq_pending(pci, (offset -
                                                       SOFTEFA_PCI_MSIX_PBA) *
                                                              8);
    }

    return regs_get(pci, offset);
}

static void regs_low(uint64_t *address, uint32_t value)
{
    *address = (*address & ~(uint64_t)UINT32_MAX) | value;
}

static void regs_high(uint64_t *address, uint32_t value)
{
    *address = (*address & UINT32_MAX) | ((uint64_t)value << 32);
}

/* MMIO_REG_READ: the request's number is written last. */
static void regs_readless(softefa_pci_t *pci, uint32_t value)
{
    softefa_mmio_resp_t resp = {
        .req_id = value,
        .offset = value >> 16,
        .value  = regs_get(pci, value >> 16)
    };
    uint8_t *place = softefa_pci_dma_at(&pci->dma, pci->mmio_resp, sizeof(resp),
                                        true);
    uint32_t first;

    if (place == NULL) {
        softefa_error("the driver reads a register into %#llx, which is not in "
                      "memory that the client mapped",
                      (unsigned long long)pci->mmio_resp);
        return;
    }

    memcpy(place + sizeof(first), &resp.value, sizeof(resp.value));
    memcpy(&first, &resp, sizeof(first));
    atomic_store_explicit((_Atomic uint32_t *)place, first,
                          memory_order_release);
}

/* A queue in which the device writes */
static void regs_ring(softefa_pci_t *pci, softefa_pci_ring_t *ring,
                      const char *name, uint64_t base, uint32_t caps)
{
    uint32_t depth = caps & 0xffff;

    memset(ring, 0, sizeof(*ring));
    if (caps == 0) {
        return;
    }

    if (!softefa_is_pow2(depth) || (depth > MAX_DEPTH) || (base % 8 != 0) ||
        (((caps >> 16) & 0xff) != SOFTEFA_ADMIN_ENTRY_SIZE) ||
        ((caps >> 24) >= pci->num_vectors)) {
        softefa_error("the driver's %s cannot be: address %#llx, capabilities "
                      "%#x",
                      name, (unsigned long long)base, caps);
        return;
    }

    ring->address = base;
    ring->depth   = depth;
    ring->vector  = caps >> 24;
}

/* True: begins a reset */
static bool regs_control(softefa_pci_t *pci, uint32_t value)
{
    if (value & SOFTEFA_DEV_CTL_RESET) {
        return true;
    }

    if (pci->status & SOFTEFA_DEV_STS_RESETTING) {
        pci->status &= ~SOFTEFA_DEV_STS_RESETTING;
        pci->status |= SOFTEFA_DEV_STS_RESET_DONE;
    }
    return false;
}

/* True: one of the registers that only hold an address */
static bool regs_address(softefa_pci_t *pci, uint32_t offset, uint32_t value)
{
    const struct {
        uint32_t low, high;
        uint64_t *address;
    } table[] = {
        {SOFTEFA_REG_AQ_BASE_LO, SOFTEFA_REG_AQ_BASE_HI, &pci->aq_base},
        {SOFTEFA_REG_ACQ_BASE_LO, SOFTEFA_REG_ACQ_BASE_HI, &pci->acq_base},
        {SOFTEFA_REG_AENQ_BASE_LO, SOFTEFA_REG_AENQ_BASE_HI, &pci->aenq_base},
        {SOFTEFA_REG_MMIO_RESP_LO, SOFTEFA_REG_MMIO_RESP_HI, &pci->mmio_resp}
    };
    unsigned i;

    for (i = 0; i < SOFTEFA_ARRAY_SIZE(table); ++i) {
        if (offset == table[i].low) {
            regs_low(table[i].address, value);
            return true;
        }
        if (offset == table[i].high) {
            regs_high(table[i].address, value);
            return true;
        }
    }

    return false;
}

bool softefa_pci_regs_write(softefa_pci_t *pci, uint32_t offset, uint32_t size,
                            uint32_t value)
{
    if ((size != sizeof(uint32_t)) || (offset % size != 0) ||
        regs_address(pci, offset, value)) {
        return false;
    }

    switch (offset) {
    case SOFTEFA_REG_AQ_CAPS:
        pci->aq_caps = value;
        softefa_pci_admin_start(pci);
        break;
    case SOFTEFA_REG_ACQ_CAPS:
        pci->acq_caps = value;
        regs_ring(pci, &pci->acq, "admin completion queue", pci->acq_base,
                  value);
        break;
    case SOFTEFA_REG_AQ_PROD_DB:
        softefa_pci_admin_doorbell(pci, value);
        break;
    case SOFTEFA_REG_AENQ_CAPS:
        pci->aenq_caps = value;
        pci->aenq_cons = 0;
        regs_ring(pci, &pci->aenq, "asynchronous event queue", pci->aenq_base,
                  value);
        break;
    case SOFTEFA_REG_AENQ_CONS_DB:
        pci->aenq_cons = value;
        break;
    case SOFTEFA_REG_INTR_MASK:
        pci->intr_mask = value;
        break;
    case SOFTEFA_REG_DEV_CTL:
        return regs_control(pci, value);
    case SOFTEFA_REG_MMIO_REG_READ:
        regs_readless(pci, value);
        break;
    case SOFTEFA_REG_EQ_DB:
        if (value & SOFTEFA_EQ_DB_ARM) {
            softefa_pci_eq_arm(pci, value & SOFTEFA_EQ_DB_EQN);
        }
        break;
    default:
        break;
    }

    return false;
}

void softefa_pci_regs_reset(softefa_pci_t *pci)
{
    pci->intr_mask   = 0;
    pci->aq_base     = 0;
    pci->acq_base    = 0;
    pci->aenq_base   = 0;
    pci->mmio_resp   = 0;
    pci->aq_caps     = 0;
    pci->acq_caps    = 0;
    pci->aenq_caps   = 0;
    pci->aq_prod     = 0;
    pci->aq_head     = 0;
    pci->aenq_cons   = 0;
    pci->aenq_groups = 0;
    pci->keep_alive  = 0;
    memset(&pci->acq, 0, sizeof(pci->acq));
    memset(&pci->aenq, 0, sizeof(pci->aenq));
}
