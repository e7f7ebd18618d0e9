/* What host.c, which implements nic/host.h, tells the rest of the process. */
#ifndef SOFTEFA_PCI_HOST_H
#define SOFTEFA_PCI_HOST_H

#include <stdbool.h>

/* Something waits in the model: softefa_progress_all() is to be called. */
bool softefa_pci_host_waiting(void);
void softefa_pci_host_set_waiting(bool waiting);

#endif
