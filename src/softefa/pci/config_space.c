/*
 * See config_space.h.
 *
 *   00  vendor 1d0f, device efaN     10  BAR 0: 32 bits, registers
 *   04  command, status              18  BAR 2: 64 bits, prefetchable, LLQ
 *   08  class: Ethernet controller   20  BAR 4: 64 bits, doorbells
 *   2c  subsystem: the same ids      34  first capability
 *   40  MSI-X                        60  PCI Express endpoint
 *
 * The device id of the subsystem is what the driver reports as hw_ver. Sources:
 * PCI Local Bus 3.0, PCI Express 3.0 (link registers); ids:
 * docs/device-facts.md, "Generations".
 */
#include "pci/config_space.h"

#include <string.h>

enum {
    VENDOR_AMAZON  = 0x1d0f,
    CLASS_ETHERNET = 0x020000,
    CAP_MSIX       = 0x40,
    CAP_EXPRESS    = 0x60,
    COMMAND_BITS   = 0x0406,         /* memory, bus master, INTx disable */
    MSIX_BITS      = 0xc000,         /* enable, mask */
    BAR_64         = 0x4,
    BAR_PREFETCH   = 0x8
};

static void put16(softefa_pci_t *pci, unsigned offset, uint16_t value)
{
    memcpy(pci->config + offset, &value, sizeof(value));
}

static void put32(softefa_pci_t *pci, unsigned offset, uint32_t value)
{
    memcpy(pci->config + offset, &value, sizeof(value));
}

static void config_msix(softefa_pci_t *pci)
{
    put16(pci, CAP_MSIX, 0x11 | (CAP_EXPRESS << 8));
    put16(pci, CAP_MSIX + 2, pci->num_vectors - 1);
    put32(pci, CAP_MSIX + 4, SOFTEFA_PCI_MSIX_TABLE | SOFTEFA_PCI_BAR_REGS);
    put32(pci, CAP_MSIX + 8, SOFTEFA_PCI_MSIX_PBA | SOFTEFA_PCI_BAR_REGS);
}

/* Link: 16 GT/s (code 4), 16 lanes; 8 GT/s (code 3) up to 200 Gb/s */
static void config_express(softefa_pci_t *pci)
{
    uint32_t speed = (pci->profile.link_gbps > 200) ? 4 : 3;

    put16(pci, CAP_EXPRESS, 0x10);
    put16(pci, CAP_EXPRESS + 2, 0x0002);     /* version 2, endpoint */
    put32(pci, CAP_EXPRESS + 4, 0x00008001); /* payload 256, role based */
    put16(pci, CAP_EXPRESS + 8, 0x2010);     /* relaxed order, read 512 */
    put32(pci, CAP_EXPRESS + 0xc, speed | (16 << 4));
    put16(pci, CAP_EXPRESS + 0x12, speed | (16 << 4));
    put32(pci, CAP_EXPRESS + 0x2c, speed << 1);
    put16(pci, CAP_EXPRESS + 0x30, speed);
}

void softefa_pci_config_init(softefa_pci_t *pci)
{
    memset(pci->config, 0, sizeof(pci->config));
    put16(pci, 0x00, VENDOR_AMAZON);
    put16(pci, 0x02, pci->profile.pci_device);
    put16(pci, 0x06, 0x0010); /* has capabilities */
    put32(pci, 0x08, CLASS_ETHERNET << 8);
    put32(pci, 0x18, BAR_64 | BAR_PREFETCH);
    put32(pci, 0x20, BAR_64);
    put16(pci, 0x2c, VENDOR_AMAZON);
    put16(pci, 0x2e, pci->profile.pci_device);
    pci->config[0x34] = CAP_MSIX;
    config_msix(pci);
    config_express(pci);
}

/* Bits of the byte at `offset` that the guest may write */
static uint8_t config_mask(uint32_t offset)
{
    switch (offset) {
    case 0x04:
        return COMMAND_BITS & 0xff;
    case 0x05:
        return COMMAND_BITS >> 8;
    case 0x0c: /* cache line size */
    case 0x3c: /* interrupt line */
        return 0xff;
    case CAP_MSIX + 3:
        return MSIX_BITS >> 8;
    case CAP_EXPRESS + 8:
    case CAP_EXPRESS + 9:
        return 0xff;
    default:
        return 0;
    }
}

void softefa_pci_config_write(softefa_pci_t *pci, uint32_t offset,
                              const uint8_t *data, uint32_t size)
{
    uint8_t mask;
    uint32_t i;

    for (i = 0; i < size; ++i) {
        mask                    = config_mask(offset + i);
        pci->config[offset + i] = (pci->config[offset + i] & ~mask) |
                                  (data[i] & mask);
    }
}
