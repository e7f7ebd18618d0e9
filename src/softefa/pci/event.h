/*
 * Queues of the device in guest memory: admin completions (ACQ), asynchronous
 * events (AENQ), event queues (EQ).
 *
 *   entry i is at (i mod depth); its phase bit is 1 in the first round, then
 *   flips each round. The word with the phase bit is stored last.
 *
 *   EQ: an entry for each event of a CQ. The driver arms the EQ after it took
 *   entries; an entry of an EQ that is not armed interrupts when it is.
 */
#ifndef SOFTEFA_PCI_EVENT_H
#define SOFTEFA_PCI_EVENT_H

#include "pci/function.h"

/* Writes an entry of `size` bytes, given without the phase bit, whose word at
 * `commit` has it at `phase_bit`. False: the guest's memory is not there. */
bool softefa_pci_ring_put(softefa_pci_t *pci, softefa_pci_ring_t *ring,
                          void *entry, unsigned size, unsigned commit,
                          uint32_t phase_bit);

/* EQs: EINVAL, ENOMEM */
int  softefa_pci_eq_create(softefa_pci_t *pci,
                           const softefa_admin_create_eq_t *cmd, uint16_t *eqn);
int  softefa_pci_eq_destroy(softefa_pci_t *pci, uint32_t eqn);
void softefa_pci_eq_arm(softefa_pci_t *pci, uint32_t eqn);
void softefa_pci_eq_completion(softefa_pci_t *pci, uint32_t eqn, uint16_t cqn);
bool softefa_pci_eq_exists(const softefa_pci_t *pci, uint32_t eqn);

/* An event of a group that the driver enabled; lost if the AENQ is full. */
void softefa_pci_aenq_raise(softefa_pci_t *pci, softefa_aenq_group_t group,
                            uint16_t syndrome);

/* Once a second, while it is enabled */
void softefa_pci_aenq_keep_alive(softefa_pci_t *pci, uint64_t now);

#endif
