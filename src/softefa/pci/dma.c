/* See dma.h. */
#define _GNU_SOURCE
#include "pci/dma.h"
#include "base/log.h"
#include "base/util.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void softefa_pci_dma_init(softefa_pci_dma_t *dma)
{
    memset(dma, 0, sizeof(*dma));
}

/* The first region that ends behind `address` */
static unsigned dma_search(const softefa_pci_dma_t *dma, uint64_t address)
{
    unsigned low = 0, high = dma->num_regions, middle;
    const softefa_pci_region_t *region;

    while (low < high) {
        middle = (low + high) / 2;
        region = &dma->region[middle];
        if (region->address + (region->size - 1) < address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }

    return low;
}

/* EINVAL: it is not all in the file, so touching it would end this process. A
 * client that cuts the file later does that; QEMU's memfds are sealed. */
static int dma_mmap(softefa_pci_region_t *region)
{
    int prot = PROT_READ | (region->writable ? PROT_WRITE : 0);
    struct stat info;

    if (fstat(region->fd, &info) < 0) {
        return errno;
    }

    if (S_ISREG(info.st_mode) &&
        ((uint64_t)info.st_size < region->offset + region->size)) {
        return EINVAL;
    }

    region->map = mmap(NULL, region->size, prot, MAP_SHARED, region->fd,
                       region->offset);
    if (region->map == MAP_FAILED) {
        region->map = NULL;
        return errno;
    }

    return 0;
}

int softefa_pci_dma_map(softefa_pci_dma_t *dma, uint64_t address, uint64_t size,
                        int fd, uint64_t offset, bool writable)
{
    softefa_pci_region_t region = {
        .address  = address,
        .size     = size,
        .offset   = offset,
        .fd       = fd,
        .writable = writable
    };
    unsigned place = dma_search(dma, address);
    int ret        = EINVAL;

    if ((size == 0) || (address + (size - 1) < address) ||
        (offset + size < offset)) {
        goto err;
    }

    if ((place < dma->num_regions) &&
        (dma->region[place].address <= address + (size - 1))) {
        ret = EEXIST;
        goto err;
    }

    if (dma->num_regions == SOFTEFA_PCI_MAX_REGIONS) {
        ret = ENOSPC;
        goto err;
    }

    if (fd >= 0) {
        ret = dma_mmap(&region);
        if (ret != 0) {
            softefa_error("cannot map %llu bytes of the guest's memory: %s",
                          (unsigned long long)size, strerror(ret));
            goto err;
        }
    }

    region.serial = ++dma->next_serial;
    memmove(&dma->region[place + 1], &dma->region[place],
            (dma->num_regions - place) * sizeof(region));
    dma->region[place] = region;
    ++dma->num_regions;
    return 0;

err:
    if (fd >= 0) {
        close(fd);
    }
    return ret;
}

softefa_pci_region_t *softefa_pci_dma_find(softefa_pci_dma_t *dma,
                                           uint64_t address, uint64_t size)
{
    unsigned place               = dma_search(dma, address);
    softefa_pci_region_t *region = &dma->region[place];

    return ((place < dma->num_regions) && (region->address == address) &&
            (region->size == size)) ?
                   region :
                   NULL;
}

void softefa_pci_dma_unmap(softefa_pci_dma_t *dma, softefa_pci_region_t *region)
{
    unsigned place = region - dma->region;

    if (region->map != NULL) {
        munmap(region->map, region->size);
    }
    if (region->fd >= 0) {
        close(region->fd);
    }
    --dma->num_regions;
    memmove(region, region + 1, (dma->num_regions - place) * sizeof(*region));
}

static const softefa_pci_region_t *dma_region(const softefa_pci_dma_t *dma,
                                              uint64_t address, uint64_t size,
                                              bool write)
{
    unsigned place                     = dma_search(dma, address);
    const softefa_pci_region_t *region = &dma->region[place];

    return ((place < dma->num_regions) && (region->map != NULL) &&
            (region->address <= address) && (size <= region->size) &&
            (address - region->address <= region->size - size) &&
            (region->writable || !write)) ?
                   region :
                   NULL;
}

void *softefa_pci_dma_at(const softefa_pci_dma_t *dma, uint64_t address,
                         uint64_t size, bool write)
{
    const softefa_pci_region_t *region = dma_region(dma, address, size, write);

    return (region == NULL) ? NULL : region->map + (address - region->address);
}

static void view_add_region(softefa_pci_view_t *view, uint32_t serial)
{
    unsigned i;

    for (i = 0; i < view->num_regions; ++i) {
        if ((i == SOFTEFA_PCI_VIEW_REGIONS) || (view->region[i] == serial)) {
            return;
        }
    }

    if (i < SOFTEFA_PCI_VIEW_REGIONS) {
        view->region[i] = serial;
    }
    view->num_regions = i + 1;
}

/* A list of pages, and how far it has been gone through */
typedef struct {
    const uint64_t *pages;
    unsigned       shift;
    uint64_t       offset;           /* in the first page that is left */
    uint64_t       length;           /* bytes that are left */
} view_list_t;

/* Takes the longest piece from the beginning whose bytes are neighbours in one
 * region. Only bytes in use count: a page may be larger than the guest's memory
 * that it lies in. NULL: the next byte cannot be reached. */
static const softefa_pci_region_t *view_piece(const softefa_pci_dma_t *dma,
                                              view_list_t *list, bool write,
                                              uint64_t *address, uint64_t *size)
{
    uint64_t page = 1ull << list->shift;
    const softefa_pci_region_t *region;
    uint64_t part, left;

    *address = *list->pages + list->offset;
    *size    = 0;
    region   = dma_region(dma, *address, 1, write);
    if (region == NULL) {
        return NULL;
    }

    left = region->size - (*address - region->address);
    while ((list->length > 0) && (*size < left) &&
           (*list->pages + list->offset == *address + *size)) {
        part = page - list->offset;
        part = (part < list->length) ? part : list->length;
        part = (part < left - *size) ? part : (left - *size);
        *size += part;
        list->length -= part;
        list->offset += part;
        if (list->offset == page) {
            list->offset = 0;
            ++list->pages;
        }
    }

    return region;
}

/* Maps the pieces of a list one behind the other, from `place` on. */
static int view_map(const softefa_pci_dma_t *dma, view_list_t *list, bool write,
                    uint8_t *place, softefa_pci_view_t *view)
{
    uint64_t mask = softefa_page_size() - 1;
    const softefa_pci_region_t *region;
    uint64_t address, size, offset;
    int prot;

    while (list->length > 0) {
        region = view_piece(dma, list, write, &address, &size);
        if (region == NULL) {
            return EFAULT;
        }

        /* In this process's pages, pieces begin and end as in the guest's. */
        offset = region->offset + (address - region->address);
        if ((((uintptr_t)place ^ offset) & mask) ||
            ((list->length > 0) && ((offset + size) & mask))) {
            return EINVAL;
        }

        prot = PROT_READ | (region->writable ? PROT_WRITE : 0);
        if (mmap((void *)((uintptr_t)place & ~mask), size + (offset & mask),
                 prot, MAP_SHARED | MAP_FIXED, region->fd,
                 offset & ~mask) == MAP_FAILED) {
            return errno;
        }

        place += size;
        view_add_region(view, region->serial);
    }

    return 0;
}

int softefa_pci_view_create(const softefa_pci_dma_t *dma, const uint64_t *pages,
                            unsigned shift, uint64_t offset, uint64_t length,
                            bool write, softefa_pci_view_t *view)
{
    view_list_t list = {pages, shift, offset, length};
    const softefa_pci_region_t *region;
    uint64_t address, size, lead;
    int ret;

    memset(view, 0, sizeof(*view));
    region = view_piece(dma, &list, write, &address, &size);
    if (region == NULL) {
        return EFAULT;
    }

    if (list.length == 0) {
        view->base = region->map + (address - region->address);
        view_add_region(view, region->serial);
        return 0;
    }

    lead       = address & (softefa_page_size() - 1);
    size       = softefa_page_align(lead + length);
    view->base = mmap(NULL, size, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (view->base == MAP_FAILED) {
        return ENOMEM;
    }

    view->mapping = view->base;
    view->mapped  = size;
    view->base += lead;
    list = (view_list_t){pages, shift, offset, length};
    ret  = view_map(dma, &list, write, view->base, view);
    if (ret != 0) {
        softefa_pci_view_destroy(view);
    }
    if (ret == ENOMEM) {
        softefa_error("no room for a memory region of %llu bytes in scattered "
                      "pages of the guest; raise vm.max_map_count of this "
                      "machine, or use huge pages in the guest",
                      (unsigned long long)length);
    }
    return ret;
}

void softefa_pci_view_destroy(softefa_pci_view_t *view)
{
    if (view->mapped > 0) {
        munmap(view->mapping, view->mapped);
        view->mapped = 0;
    }
    view->base = NULL;
}

bool softefa_pci_view_uses(const softefa_pci_view_t *view,
                           const softefa_pci_region_t *region)
{
    unsigned i;

    for (i = 0; (i < view->num_regions) && (i < SOFTEFA_PCI_VIEW_REGIONS);
         ++i) {
        if (view->region[i] == region->serial) {
            return true;
        }
    }

    return view->num_regions > SOFTEFA_PCI_VIEW_REGIONS;
}
