/*
 * Messages of the vfio-user protocol, version 0.x, as far as a PCI function
 * without migration needs them. In the byte order of the machine.
 *
 *   0  id | command   4  size   8  flags   12 errno   16 payload
 *
 * Source: QEMU, docs/interop/vfio-user.rst; numbers that it takes over from
 * VFIO: Linux, include/uapi/linux/vfio.h.
 */
#ifndef SOFTEFA_VFIO_USER_H
#define SOFTEFA_VFIO_USER_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
    SOFTEFA_VFU_VERSION         = 1,
    SOFTEFA_VFU_DMA_MAP         = 2,
    SOFTEFA_VFU_DMA_UNMAP       = 3,
    SOFTEFA_VFU_GET_INFO        = 4,
    SOFTEFA_VFU_GET_REGION_INFO = 5,
    SOFTEFA_VFU_GET_IRQ_INFO    = 7,
    SOFTEFA_VFU_SET_IRQS        = 8,
    SOFTEFA_VFU_REGION_READ     = 9,
    SOFTEFA_VFU_REGION_WRITE    = 10,
    SOFTEFA_VFU_RESET           = 13
} softefa_vfu_command_t;

enum {
    SOFTEFA_VFU_TYPE     = 0xf,            /* flags of a message */
    SOFTEFA_VFU_COMMAND  = 0,
    SOFTEFA_VFU_REPLY    = 1,
    SOFTEFA_VFU_NO_REPLY = 1 << 4,
    SOFTEFA_VFU_ERROR    = 1 << 5
};

typedef struct {
    uint16_t id;
    uint16_t command;
    uint32_t size;                         /* with this header */
    uint32_t flags;
    uint32_t error;
} softefa_vfu_header_t;

/* Text follows: JSON, with its terminating zero. */
typedef struct {
    uint16_t major;
    uint16_t minor;
} softefa_vfu_version_t;

enum {
    SOFTEFA_VFU_DMA_READ  = 1 << 0,
    SOFTEFA_VFU_DMA_WRITE = 1 << 1
};

typedef struct {
    uint32_t argsz;
    uint32_t flags;
    uint64_t offset;                       /* in the file */
    uint64_t address;
    uint64_t size;
} softefa_vfu_dma_map_t;

enum {
    SOFTEFA_VFU_UNMAP_ALL = 1 << 1
};

typedef struct {
    uint32_t argsz;
    uint32_t flags;
    uint64_t address;
    uint64_t size;
} softefa_vfu_dma_unmap_t;

enum {
    SOFTEFA_VFU_INFO_RESET = 1 << 0,
    SOFTEFA_VFU_INFO_PCI   = 1 << 1
};

typedef struct {
    uint32_t argsz;
    uint32_t flags;
    uint32_t num_regions;
    uint32_t num_irqs;
} softefa_vfu_info_t;

/* Regions: BARs 0 to 5, ROM 6, configuration space 7, VGA 8 */
enum {
    SOFTEFA_VFU_REGION_CONFIG = 7,
    SOFTEFA_VFU_NUM_REGIONS   = 9
};

enum {
    SOFTEFA_VFU_FLAG_READ  = 1 << 0,
    SOFTEFA_VFU_FLAG_WRITE = 1 << 1,
    SOFTEFA_VFU_FLAG_MMAP  = 1 << 2
};

typedef struct {
    uint32_t argsz;
    uint32_t flags;
    uint32_t index;
    uint32_t cap_offset;
    uint64_t size;
    uint64_t offset;                       /* for mmap() */
} softefa_vfu_region_info_t;

/* Interrupts: INTx, MSI, MSI-X, errors, requests */
enum {
    SOFTEFA_VFU_IRQ_MSIX = 2,
    SOFTEFA_VFU_NUM_IRQS = 5
};

enum {
    SOFTEFA_VFU_IRQ_EVENTFD = 1 << 0       /* info */
};

typedef struct {
    uint32_t argsz;
    uint32_t flags;
    uint32_t index;
    uint32_t count;
} softefa_vfu_irq_info_t;

enum {
    SOFTEFA_VFU_SET_NONE    = 1 << 0,
    SOFTEFA_VFU_SET_BOOL    = 1 << 1,
    SOFTEFA_VFU_SET_EVENTFD = 1 << 2,
    SOFTEFA_VFU_SET_MASK    = 1 << 3,
    SOFTEFA_VFU_SET_UNMASK  = 1 << 4,
    SOFTEFA_VFU_SET_TRIGGER = 1 << 5
};

/* With BOOL, `count` bytes follow. */
typedef struct {
    uint32_t argsz;
    uint32_t flags;
    uint32_t index;
    uint32_t start;
    uint32_t count;
} softefa_vfu_set_irqs_t;

/* A write's data follows, and that of a read's reply. */
typedef struct {
    uint64_t offset;
    uint32_t region;
    uint32_t count;
} softefa_vfu_access_t;

static_assert(sizeof(softefa_vfu_header_t) == 16, "header");
static_assert(sizeof(softefa_vfu_dma_map_t) == 32, "DMA map");
static_assert(sizeof(softefa_vfu_dma_unmap_t) == 24, "DMA unmap");
static_assert(sizeof(softefa_vfu_region_info_t) == 32, "region info");
static_assert(sizeof(softefa_vfu_set_irqs_t) == 20, "set IRQs");
static_assert(sizeof(softefa_vfu_access_t) == 16, "region access");

#endif
