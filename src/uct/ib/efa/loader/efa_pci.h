/*
 * Is a device of the machine an EFA device? Asked by loader and tools, before
 * anything is opened. libc only.
 */
#ifndef UCX_EFA_PCI_H
#define UCX_EFA_PCI_H

#include <limits.h>
#include <stdio.h>

#define UCX_EFA_PCI_VENDOR 0x1d0f

/* A hexadecimal number that the PCI function of device `name` of class `dir`
 * shows, such as /sys/class/infiniband; 0: it shows none. */
static inline unsigned ucx_efa_pci_number(const char *dir, const char *name,
                                          const char *attribute)
{
    char path[PATH_MAX];
    unsigned value = 0;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s/device/%s", dir, name, attribute);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%x", &value) != 1) {
            value = 0;
        }
        fclose(file);
    }
    return value;
}

/* EFA's devices are Amazon's only ones with verbs: the transport goes by the
 * vendor, too (base/md/efa_probe.c), whatever id a later generation has. */
static inline int ucx_efa_pci_is_efa(const char *dir, const char *name)
{
    return ucx_efa_pci_number(dir, name, "vendor") == UCX_EFA_PCI_VENDOR;
}

#endif
