/*
 * The memory of the guest: what the client handed over, and views of it.
 *
 *   region   [address, address + size) of the guest's physical memory: a part
 *            of a memfd, mapped here. Without a descriptor it is known but
 *            cannot be reached.
 *   view     pages of regions, in any order, as one piece of this process's
 *            address space: a place in a region where they lie so, else a
 *            mapping of its own. Valid until one of its regions is unmapped.
 *
 * Addresses are those of the guest's device: physical, without an IOMMU.
 */
#ifndef SOFTEFA_PCI_DMA_H
#define SOFTEFA_PCI_DMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SOFTEFA_PCI_MAX_REGIONS  = 1024,
    SOFTEFA_PCI_VIEW_REGIONS = 4
};

typedef struct {
    uint64_t address, size;
    uint64_t offset;                 /* in the file */
    uint8_t  *map;                   /* NULL: cannot be reached */
    int      fd;
    bool     writable;
    uint32_t serial;                 /* never comes again */
} softefa_pci_region_t;

typedef struct {
    softefa_pci_region_t region[SOFTEFA_PCI_MAX_REGIONS]; /* by address */
    unsigned             num_regions;
    uint32_t             next_serial;
} softefa_pci_dma_t;

typedef struct {
    uint8_t  *base;                  /* of the first byte */
    uint8_t  *mapping;               /* of its own, if any */
    uint64_t mapped;                 /* bytes of it, 0: none */
    unsigned num_regions;            /* above VIEW_REGIONS: any */
    uint32_t region[SOFTEFA_PCI_VIEW_REGIONS]; /* serials */
} softefa_pci_view_t;

void softefa_pci_dma_init(softefa_pci_dma_t *dma);

/* Takes fd (-1: none) over, also if it fails: EEXIST, EINVAL, ENOSPC, or what
 * mmap() says. */
int softefa_pci_dma_map(softefa_pci_dma_t *dma, uint64_t address, uint64_t size,
                        int fd, uint64_t offset, bool writable);

/* The region that was mapped so; NULL: none. `unmap` ends it. */
softefa_pci_region_t *softefa_pci_dma_find(softefa_pci_dma_t *dma,
                                           uint64_t address, uint64_t size);
void softefa_pci_dma_unmap(softefa_pci_dma_t *dma,
                           softefa_pci_region_t *region);

/* [address, address + size) in one region, here; NULL: is not, or cannot be
 * written. Until the region is unmapped. */
void *softefa_pci_dma_at(const softefa_pci_dma_t *dma, uint64_t address,
                         uint64_t size, bool write);

/* `length` bytes from `offset` on in the first of a list of pages of
 * 1 << shift bytes. 0; EFAULT: memory that cannot be reached; ENOMEM, logged;
 * EINVAL: pieces that are not whole pages of this process. */
int  softefa_pci_view_create(const softefa_pci_dma_t *dma,
                             const uint64_t *pages, unsigned shift,
                             uint64_t offset, uint64_t length, bool write,
                             softefa_pci_view_t *view);
void softefa_pci_view_destroy(softefa_pci_view_t *view);
bool softefa_pci_view_uses(const softefa_pci_view_t *view,
                           const softefa_pci_region_t *region);

#endif
