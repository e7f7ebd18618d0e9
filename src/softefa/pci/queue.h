/*
 * The data path: entries go from the guest's queues to the model's on a
 * doorbell, completions the other way on an event.
 *
 *   SQ   BAR 2 --copy--> model's ring --> softefa_engine_doorbell()
 *   RQ   guest --copy--> model's ring
 *   CQ   model's ring --copy--> guest, its first word last
 *          armed by the guest, and not all is consumed: an event (event.h)
 *
 * The model's CQ is always armed: its event says that there is something to
 * copy (softefa_pci_queue_events).
 */
#ifndef SOFTEFA_PCI_QUEUE_H
#define SOFTEFA_PCI_QUEUE_H

#include "pci/function.h"

/* A write of `value` at `offset` in BAR 4 */
void softefa_pci_queue_doorbell(softefa_pci_t *pci, uint64_t offset,
                                uint32_t value);

/* Reads the channel of the model's CQs. */
void softefa_pci_queue_events(softefa_pci_t *pci);

/* Copies what is new to the guest, and arms the model's CQ again. */
void softefa_pci_queue_drain(softefa_pci_t *pci, uint32_t cqn);

/* A QP's indices start again: it is in RESET. */
void softefa_pci_queue_reset_qp(softefa_pci_qp_t *qp);

#endif
