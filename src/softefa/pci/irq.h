/* MSI-X: an eventfd for each vector, given by the client, which has the table
 * and what the guest masks there. */
#ifndef SOFTEFA_PCI_IRQ_H
#define SOFTEFA_PCI_IRQ_H

#include "pci/function.h"

void softefa_pci_irq_init(softefa_pci_t *pci);

/* Takes fd over (-1: the vector has none from now on). */
void softefa_pci_irq_set(softefa_pci_t *pci, uint32_t vector, int fd);

/* Takes all of them back. */
void softefa_pci_irq_clear(softefa_pci_t *pci);

/* Raises it; later, if it has no descriptor. */
void softefa_pci_irq_raise(softefa_pci_t *pci, uint32_t vector);

/* Bits of the pending array that the client reads */
uint64_t softefa_pci_irq_pending(const softefa_pci_t *pci, uint32_t first);

#endif
