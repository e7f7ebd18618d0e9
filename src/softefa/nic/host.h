/*
 * The host interface: what the NIC model needs of the way it is attached. A
 * real NIC has PCIe there: DMA, and a clock of its own. Each program has one
 * attachment, which implements these functions; nothing else of nic/ calls
 * upwards.
 *
 *   preload/   a process under libsoftefa.so. Its memory is the application's
 *              address space; other members' is reached by process_vm_*. The
 *              model runs in the thread that rings a doorbell or polls, and in
 *              a progress thread if the application does neither.
 *
 *   pci/       a PCI function of a virtual machine, softefa-pci: one thread.
 *              Guest memory is mapped; other members' as above.
 *
 * What an attachment does besides: it opens devices and makes objects
 * (nic/nic.h), calls softefa_engine_doorbell() for each doorbell and
 * softefa_progress() when the driver polls, and leaves the fabric when it ends
 * (fabric/membership.h). Liveness of members, and events to a member that
 * sleeps, are the same for all attachments, as the sender asks for one and
 * raises the other: fabric/member.h, fabric/event.h.
 *
 * Addresses of memory regions are those of the owner's process, as given to
 * softefa_mr_reg(). The model hands them through; those of the own member it
 * takes as pointers only to damage a payload (fault_deliver.c). Rings and
 * doorbells lie in the fabric's memory (softefa_fabric_at()).
 */
#ifndef SOFTEFA_HOST_H
#define SOFTEFA_HOST_H

#include "fabric/member.h"

#include <stddef.h>

struct iovec;

/* DMA: copies `length` bytes between lists of this member's memory and another
 * member's, or its own. Returns 0, ESRCH (the member is gone), EFAULT or EPERM
 * (logged once). */
int softefa_host_write(softefa_member_t member, const struct iovec *local,
                       unsigned num_local, const struct iovec *remote,
                       unsigned num_remote, size_t length);
int softefa_host_read(softefa_member_t member, const struct iovec *local,
                      unsigned num_local, const struct iovec *remote,
                      unsigned num_remote, size_t length);

/* A device was opened: from now on other members may reach this one's
 * memory. */
void softefa_host_dev_opened(void);

/* Something waits since just now: from now on softefa_progress_all() must be
 * called every so often, also if the application does not poll. Under a QP's
 * lock. */
void softefa_host_wake(void);

#endif
