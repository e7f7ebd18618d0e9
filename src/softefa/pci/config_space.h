/* The PCI configuration space; what the guest may write of it. BARs, and all
 * that the guest does with MSI-X but for enabling it, are the client's. */
#ifndef SOFTEFA_PCI_CONFIG_SPACE_H
#define SOFTEFA_PCI_CONFIG_SPACE_H

#include "pci/function.h"

void softefa_pci_config_init(softefa_pci_t *pci);

/* Within the space */
void softefa_pci_config_write(softefa_pci_t *pci, uint32_t offset,
                              const uint8_t *data, uint32_t size);

#endif
