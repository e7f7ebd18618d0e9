/* See irq.h. */
#include "pci/irq.h"
#include "faults/fault.h"

#include <unistd.h>

void softefa_pci_irq_init(softefa_pci_t *pci)
{
    uint32_t i;

    for (i = 0; i < SOFTEFA_PCI_MAX_VECTORS; ++i) {
        pci->vector[i].fd      = -1;
        pci->vector[i].pending = false;
    }
}

/* The eventfd is the client's: one that is full has an interrupt pending. */
static void irq_signal(softefa_pci_vector_t *vector)
{
    uint64_t one = 1;

    vector->pending = false;
    if (write(vector->fd, &one, sizeof(one)) < 0) {
        /* nothing that this side could do */
    }
}

void softefa_pci_irq_set(softefa_pci_t *pci, uint32_t index, int fd)
{
    softefa_pci_vector_t *vector = &pci->vector[index];

    if (vector->fd >= 0) {
        close(vector->fd);
    }
    vector->fd = fd;
    if ((fd >= 0) && vector->pending) {
        irq_signal(vector);
    }
}

void softefa_pci_irq_clear(softefa_pci_t *pci)
{
    uint32_t i;

    for (i = 0; i < SOFTEFA_PCI_MAX_VECTORS; ++i) {
        softefa_pci_irq_set(pci, i, -1);
        pci->vector[i].pending = false;
    }
}

void softefa_pci_irq_raise(softefa_pci_t *pci, uint32_t index)
{
    softefa_pci_vector_t *vector;

    if ((index >= pci->num_vectors) || pci->gone ||
        softefa_fault_lose_interrupt(pci->index, index)) {
        return;
    }

    vector = &pci->vector[index];
    if (vector->fd >= 0) {
        irq_signal(vector);
    } else {
        vector->pending = true;
    }
}

uint64_t softefa_pci_irq_pending(const softefa_pci_t *pci, uint32_t first)
{
    uint64_t bits = 0;
    uint32_t i;

    for (i = 0; (i < 64) && (first + i < pci->num_vectors); ++i) {
        bits |= (uint64_t)pci->vector[first + i].pending << i;
    }

    return bits;
}
