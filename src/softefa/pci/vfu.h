/*
 * The vfio-user protocol: a message of the client becomes a call of the
 * function, its result the reply.
 *
 *   first     VERSION; anything else before it: EINVAL
 *   then      DMA_MAP, DMA_UNMAP, GET_INFO, GET_REGION_INFO, GET_IRQ_INFO,
 *             SET_IRQS, REGION_READ, REGION_WRITE, RESET; others: EOPNOTSUPP
 *   wrong     a payload too short, a region, interrupt or range that is not
 *             there: EINVAL
 */
#ifndef SOFTEFA_PCI_VFU_H
#define SOFTEFA_PCI_VFU_H

#include "pci/conn.h"
#include "pci/function.h"

typedef struct {
    softefa_pci_conn_t conn;
    bool               agreed;       /* on a version */
} softefa_pci_client_t;

/* Handles the message that conn.c has, and replies. */
void softefa_pci_vfu_message(softefa_pci_client_t *client, softefa_pci_t *pci);

#endif
