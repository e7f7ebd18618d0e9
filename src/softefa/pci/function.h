/*
 * The PCI function: all its state. One thread, so no locks.
 *
 *   client --> conn.c --> vfu.c --+--> config_space.c
 *                                 +--> regs.c     BAR 0: registers, reset
 *                                 |      '--> admin.c --> cmd_*.c --> nic.h
 *                                 +--> queue.c    BAR 4, doorbells --> nic.h
 *                                 +--> irq.c      MSI-X
 *                                 '--> dma.c      the guest's memory
 *   fabric --> an event of a CQ --> queue.c --> event.c --> irq.c
 *
 *   BAR 0   registers, MSI-X table and PBA                16 KiB, traps
 *   BAR 2   LLQ: a slot of max_llq_size for each QP       mapped into the guest
 *   BAR 4   doorbells: a slot of 64 KiB, a page of any    traps
 *           size, for each QP, then for each CQ
 *
 * A QP's slot is the index in its number, a CQ's is its number.
 */
#ifndef SOFTEFA_PCI_FUNCTION_H
#define SOFTEFA_PCI_FUNCTION_H

#include "abi/efa_admin.h"
#include "abi/efa_io.h"
#include "fabric/layout.h"
#include "nic/nic.h"
#include "pci/dma.h"

enum {
    SOFTEFA_PCI_BAR_REGS     = 0,
    SOFTEFA_PCI_BAR_LLQ      = 2,
    SOFTEFA_PCI_BAR_DB       = 4,
    SOFTEFA_PCI_REGS_SIZE    = 16384,
    SOFTEFA_PCI_MSIX_TABLE   = 8192,  /* in BAR 0 */
    SOFTEFA_PCI_MSIX_PBA     = 12288,
    SOFTEFA_PCI_CONFIG_SIZE  = 4096,
    SOFTEFA_PCI_DB_SLOT      = 65536,
    SOFTEFA_PCI_DB_RQ        = 8,     /* in a QP's slot; the SQ's is at 0 */
    SOFTEFA_PCI_MAX_VECTORS  = 65,    /* 0: admin queue and AENQ */
    SOFTEFA_PCI_MAX_UARS     = 1024,
    SOFTEFA_PCI_MAX_EQS      = SOFTEFA_PCI_MAX_VECTORS - 1
};

typedef struct {
    int  fd;                         /* eventfd of the client, -1: none */
    bool pending;                    /* raised while there was none */
} softefa_pci_vector_t;

/* A queue of the device in guest memory, with a phase bit */
typedef struct {
    uint64_t address;
    uint32_t depth;                  /* 0: there is no queue */
    uint32_t count;                  /* entries written so far */
    uint32_t vector;
} softefa_pci_ring_t;

typedef struct {
    softefa_pci_ring_t ring;
    bool               armed;
    bool               unseen;       /* written since the last interrupt */
} softefa_pci_eq_t;

typedef struct {
    softefa_cq_t     *cq;            /* NULL: free */
    softefa_cq_map_t map;
    uint32_t         cookie;
    uint64_t         address;        /* of the guest's ring */
    uint32_t         depth;
    uint16_t         entry_size;
    uint16_t         num_sub_cqs;
    uint16_t         uar;
    int              eqn;            /* -1: polled only */
    bool             armed;          /* by the guest */
    bool             broken;         /* its memory is gone: said once */
    uint32_t         doorbell;       /* of the guest */
    uint32_t         total;          /* entries copied so far */
    uint32_t         head[SOFTEFA_MAX_SUB_CQS]; /* the same, of each */
} softefa_pci_cq_t;

typedef struct {
    softefa_qp_t     *qp;            /* NULL: free */
    softefa_qp_map_t map;
    uint64_t         rq_address;     /* of the guest's ring */
    uint32_t         sq_entries, rq_entries;
    uint16_t         wqe_size;
    uint16_t         send_cq, recv_cq;
    uint16_t         uar;
    uint16_t         sq_copied, rq_copied;
    bool             broken;
} softefa_pci_qp_t;

typedef struct {
    softefa_mr_t       *mr;          /* NULL: its memory is gone, or free */
    uint32_t           lkey;         /* 0: free */
    softefa_pci_view_t view;
} softefa_pci_mr_t;

typedef struct {
    unsigned               index;    /* of the device in the fabric */
    bool                   trace;    /* admin commands, on stderr */
    bool                   gone;     /* off the bus: all reads are ones */
    softefa_dev_t          *dev;     /* NULL: none (dead, or being reset) */
    softefa_profile_t      profile;
    uint32_t               qp_slots, cq_slots; /* powers of two */
    softefa_pci_dma_t      dma;
    uint8_t                config[SOFTEFA_PCI_CONFIG_SIZE];
    uint32_t               num_vectors;
    softefa_pci_vector_t   vector[SOFTEFA_PCI_MAX_VECTORS];

    /* BAR 2 */
    int                    llq_fd;
    uint8_t                *llq;
    uint64_t               llq_size, llq_slot, db_size;

    /* BAR 0 */
    uint32_t               status;   /* DEV_STS */
    uint32_t               intr_mask;
    uint64_t               aq_base, acq_base, aenq_base, mmio_resp;
    uint32_t               aq_caps, acq_caps, aenq_caps;
    uint32_t               aq_prod;
    uint32_t               aq_head;  /* commands taken so far */
    softefa_pci_ring_t     acq, aenq;
    uint32_t               aenq_cons;
    uint32_t               aenq_groups; /* enabled */
    uint64_t               keep_alive;  /* next one, ns; 0: none */
    uint64_t               open_at;     /* without dev: when to try, ns */

    /* Objects of the driver */
    softefa_pci_qp_t       *qp;      /* qp_slots */
    softefa_pci_cq_t       *cq;      /* cq_slots */
    uint32_t               *cq_of;   /* cookie of a CQ in the model's events ->
                                        its number + 1, 0: free; cq_slots */
    softefa_pci_mr_t       *mr;      /* by the index in the lkey */
    uint32_t               num_mrs;
    softefa_pci_eq_t       eq[SOFTEFA_PCI_MAX_EQS];
    uint64_t               uar_used[SOFTEFA_PCI_MAX_UARS / 64];

    /* What the model tells */
    softefa_channel_t      *channel;
    int                    channel_fd, async_fd; /* -1: none */
} softefa_pci_t;

/* The function and its BARs, without objects. 0, or an errno that is logged. */
int  softefa_pci_create(unsigned index, softefa_pci_t **pci_p);
void softefa_pci_destroy(softefa_pci_t *pci);

/* As after power on: no objects, no queues, no interrupts. A device of the
 * fabric that is dead stays not READY. */
void softefa_pci_reset(softefa_pci_t *pci);

/* The same by the driver, who ends it through the register (regs.h). */
void softefa_pci_reset_by_driver(softefa_pci_t *pci);

/* Surprise removal: the function is off the bus without a word, and so are its
 * objects. Reads are ones, writes nothing. Coming back is a power on. */
void softefa_pci_vanish(softefa_pci_t *pci);
void softefa_pci_return(softefa_pci_t *pci);

/* The client is gone: reset, and its memory and interrupts as well. */
void softefa_pci_detach(softefa_pci_t *pci);

/* When the function wants to be called next (ms, -1: at no time); the call,
 * also when one of its descriptors is readable. */
int  softefa_pci_timeout(const softefa_pci_t *pci);
void softefa_pci_progress(softefa_pci_t *pci);

/* Memory [address, address + size) goes away; EINVAL: it was not mapped so. */
int softefa_pci_unmap(softefa_pci_t *pci, uint64_t address, uint64_t size);
void softefa_pci_unmap_all(softefa_pci_t *pci);

#endif
