/*
 * The host interface of a PCI function (nic/host.h).
 *
 * Memory regions are addresses of this process (dma.h): guest memory is mapped.
 * Between two members it is copied by process_vm_*, as between two processes
 * under libsoftefa.so (copy/process_vm.c); docs/softefa-pci.md, "Memory", says
 * why. The model runs in the one thread there is, which asks for progress while
 * something waits.
 */
#include "pci/host.h"
#include "nic/host.h"

#include <sys/prctl.h>

static bool host_waiting;

bool softefa_pci_host_waiting(void)
{
    return host_waiting;
}

void softefa_pci_host_set_waiting(bool waiting)
{
    host_waiting = waiting;
}

void softefa_host_wake(void)
{
    host_waiting = true;
}

/* Where Yama restricts process_vm_*, let this user's processes in. */
void softefa_host_dev_opened(void)
{
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0);
}
