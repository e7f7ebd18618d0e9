/*
 * BAR 0. The driver writes registers and, but for the first ones of a device,
 * reads none: it names one in MMIO_REG_READ, and the device writes its value
 * into memory. A direct read returns the same.
 *
 *   reset   DEV_CTL.RESET = 1   everything is gone, RESETTING is set
 *           DEV_CTL = 0         RESETTING is clear, READY set
 *   queues  ..._BASE_LO, _HI, then ..._CAPS makes the queue
 */
#ifndef SOFTEFA_PCI_REGS_H
#define SOFTEFA_PCI_REGS_H

#include "pci/function.h"

/* Within BAR 0. Accesses other than aligned ones of 32 bits do nothing and read
 * ones, as those of a PCIe function may. write: true: the driver resets the
 * device (softefa_pci_reset_by_driver). */
uint64_t softefa_pci_regs_read(const softefa_pci_t *pci, uint32_t offset,
                               uint32_t size);
bool     softefa_pci_regs_write(softefa_pci_t *pci, uint32_t offset,
                                uint32_t size, uint32_t value);

/* The registers' part of a reset */
void softefa_pci_regs_reset(softefa_pci_t *pci);

#endif
