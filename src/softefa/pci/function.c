/* See function.h. */
#define _GNU_SOURCE
#include "pci/function.h"
#include "abi/uverbs_abi.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/options.h"
#include "nic/progress.h"
#include "pci/admin.h"
#include "pci/config_space.h"
#include "pci/event.h"
#include "pci/host.h"
#include "pci/irq.h"
#include "pci/queue.h"
#include "pci/regs.h"

#include <errno.h>
#include <fcntl.h>
#include <infiniband/verbs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REOPEN_NS   100000000ull     /* a dead device of the fabric */
#define PROGRESS_MS 1                /* while something waits */

static uint64_t round_pow2(uint64_t value)
{
    uint64_t size;

    for (size = 1; size < value; size *= 2) {
    }
    return size;
}

/* ---- the device of the fabric ---- */

static void function_close_dev(softefa_pci_t *pci)
{
    softefa_pci_admin_reset(pci);
    if (pci->dev == NULL) {
        return;
    }

    if (pci->channel != NULL) {
        (void)softefa_channel_destroy(pci->channel);
        pci->channel = NULL;
    }
    softefa_dev_close(pci->dev);
    pci->dev = NULL;
    if (pci->channel_fd >= 0) {
        close(pci->channel_fd);
        pci->channel_fd = -1;
    }
    if (pci->async_fd >= 0) {
        close(pci->async_fd);
        pci->async_fd = -1;
    }
}

static void function_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0) {
        (void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    }
}

static int function_open_dev(softefa_pci_t *pci)
{
    int ret;

    pci->channel_fd = -1;
    pci->async_fd   = -1;
    ret             = softefa_dev_open(pci->index, &pci->dev);
    if (ret != 0) {
        pci->dev = NULL;
        return ret;
    }

    ret = softefa_channel_create(pci->dev, &pci->channel, &pci->channel_fd);
    if (ret == 0) {
        ret = softefa_async_open(pci->dev, &pci->async_fd);
    }
    if (ret != 0) {
        function_close_dev(pci);
        return ret;
    }

    function_nonblock(pci->channel_fd);
    function_nonblock(pci->async_fd);
    pci->status |= SOFTEFA_DEV_STS_READY;
    return 0;
}

/* ---- life ---- */

/* BAR 2 and the tables */
static int function_alloc(softefa_pci_t *pci)
{
    pci->llq_fd = memfd_create("softefa-pci-llq", MFD_CLOEXEC);
    if ((pci->llq_fd < 0) || (ftruncate(pci->llq_fd, pci->llq_size) < 0)) {
        return errno;
    }

    pci->llq = mmap(NULL, pci->llq_size, PROT_READ | PROT_WRITE, MAP_SHARED,
                    pci->llq_fd, 0);
    if (pci->llq == MAP_FAILED) {
        pci->llq = NULL;
        return errno;
    }

    pci->qp    = calloc(pci->qp_slots, sizeof(*pci->qp));
    pci->cq    = calloc(pci->cq_slots, sizeof(*pci->cq));
    pci->cq_of = calloc(pci->cq_slots, sizeof(*pci->cq_of));
    pci->mr    = calloc(pci->profile.max_mr, sizeof(*pci->mr));
    return ((pci->qp != NULL) && (pci->cq != NULL) && (pci->cq_of != NULL) &&
            (pci->mr != NULL)) ?
                   0 :
                   ENOMEM;
}

/* Sizes that follow from the profile. EINVAL: places are 32-bit offsets in the
 * driver's commands. */
static int function_sizes(softefa_pci_t *pci)
{
    uint32_t vectors = pci->profile.comp_vectors + 1;

    pci->qp_slots = round_pow2(pci->profile.max_qp);
    pci->cq_slots = round_pow2(pci->profile.max_cq);
    pci->llq_slot = round_pow2(pci->profile.max_llq_size);
    if (pci->llq_slot < SOFTEFA_PCI_DB_SLOT) {
        pci->llq_slot = SOFTEFA_PCI_DB_SLOT;
    }
    pci->llq_size    = pci->llq_slot * pci->qp_slots;
    pci->db_size     = round_pow2(((uint64_t)pci->qp_slots + pci->cq_slots) *
                                  SOFTEFA_PCI_DB_SLOT);
    pci->num_vectors = (vectors < SOFTEFA_PCI_MAX_VECTORS) ?
                               vectors :
                               SOFTEFA_PCI_MAX_VECTORS;
    if ((pci->llq_size > UINT32_MAX) || (pci->db_size > UINT32_MAX)) {
        softefa_error("%u queue pairs and %u completion queues do not fit into "
                      "the BARs of a PCI function; lower max_qp and max_cq "
                      "(SOFTEFA_LIMITS), 8192 each fit",
                      pci->profile.max_qp, pci->profile.max_cq);
        return EINVAL;
    }

    return 0;
}

int softefa_pci_create(unsigned index, softefa_pci_t **pci_p)
{
    const softefa_options_t *options = softefa_options();
    softefa_pci_t *pci;
    int ret;

    if (options == NULL) {
        return EINVAL; /* logged */
    }

    pci = calloc(1, sizeof(*pci));
    if (pci == NULL) {
        return ENOMEM;
    }

    pci->index   = index;
    pci->profile = options->profile;
    pci->llq_fd  = -1;
    softefa_pci_dma_init(&pci->dma);
    softefa_pci_irq_init(pci);
    ret = function_sizes(pci);
    if (ret == 0) {
        ret = function_alloc(pci);
    }
    if (ret == 0) {
        softefa_pci_config_init(pci);
        ret = function_open_dev(pci);
    }
    if (ret != 0) {
        softefa_error("no function for device %u: %s", index, strerror(ret));
        softefa_pci_destroy(pci);
        return ret;
    }

    *pci_p = pci;
    return 0;
}

void softefa_pci_destroy(softefa_pci_t *pci)
{
    if ((pci->qp != NULL) && (pci->cq != NULL) && (pci->cq_of != NULL) &&
        (pci->mr != NULL)) {
        function_close_dev(pci);
    }
    softefa_pci_irq_clear(pci);
    softefa_pci_unmap_all(pci);
    if (pci->llq != NULL) {
        munmap(pci->llq, pci->llq_size);
    }
    if (pci->llq_fd >= 0) {
        close(pci->llq_fd);
    }
    free(pci->qp);
    free(pci->cq);
    free(pci->cq_of);
    free(pci->mr);
    free(pci);
}

void softefa_pci_reset(softefa_pci_t *pci)
{
    function_close_dev(pci);
    softefa_pci_regs_reset(pci);
    pci->status  = 0;
    pci->open_at = 0;
    if (!pci->gone && (function_open_dev(pci) != 0)) {
        pci->open_at = softefa_clock_now() + REOPEN_NS;
    }
}

void softefa_pci_reset_by_driver(softefa_pci_t *pci)
{
    softefa_pci_reset(pci);
    pci->status |= SOFTEFA_DEV_STS_RESETTING;
}

void softefa_pci_vanish(softefa_pci_t *pci)
{
    pci->gone = true;
    function_close_dev(pci);
}

void softefa_pci_return(softefa_pci_t *pci)
{
    pci->gone = false;
    softefa_pci_config_init(pci);
    softefa_pci_reset(pci);
}

void softefa_pci_detach(softefa_pci_t *pci)
{
    softefa_pci_reset(pci);
    softefa_pci_irq_clear(pci);
    softefa_pci_unmap_all(pci);
    softefa_pci_config_init(pci);
}

/* ---- memory that goes away ---- */

int softefa_pci_unmap(softefa_pci_t *pci, uint64_t address, uint64_t size)
{
    softefa_pci_region_t *region = softefa_pci_dma_find(&pci->dma, address,
                                                        size);

    if (region == NULL) {
        return EINVAL;
    }

    softefa_pci_admin_unmap(pci, region);
    softefa_pci_dma_unmap(&pci->dma, region);
    return 0;
}

void softefa_pci_unmap_all(softefa_pci_t *pci)
{
    while (pci->dma.num_regions > 0) {
        softefa_pci_admin_unmap(pci, &pci->dma.region[0]);
        softefa_pci_dma_unmap(&pci->dma, &pci->dma.region[0]);
    }
}

/* ---- what happens without the client ---- */

static int time_until(uint64_t when, uint64_t now)
{
    return (when <= now) ? 0 : (int)((when - now) / 1000000) + 1;
}

int softefa_pci_timeout(const softefa_pci_t *pci)
{
    uint64_t now = softefa_clock_now();

    if (pci->gone) {
        return -1;
    }

    if (softefa_pci_host_waiting()) {
        return PROGRESS_MS;
    }

    if (pci->dev == NULL) {
        return time_until(pci->open_at, now);
    }

    return (pci->keep_alive != 0) ? time_until(pci->keep_alive, now) : -1;
}

/* What a dead device, or one of its queue pairs, means to the driver */
static void function_async(softefa_pci_t *pci)
{
    softefa_abi_async_event_t event;
    uint32_t i;

    while (read(pci->async_fd, &event, sizeof(event)) ==
           (ssize_t)sizeof(event)) {
        if (event.event_type == IBV_EVENT_DEVICE_FATAL) {
            pci->status |= SOFTEFA_DEV_STS_FATAL;
            softefa_pci_aenq_raise(pci, SOFTEFA_AENQ_FATAL, 0);
            continue;
        }

        /* the engine ends what is to be sent when it looks */
        for (i = 0; i < pci->qp_slots; ++i) {
            if (pci->qp[i].qp != NULL) {
                softefa_engine_doorbell(pci->qp[i].qp);
            }
        }
    }
}

void softefa_pci_progress(softefa_pci_t *pci)
{
    uint64_t now = softefa_clock_now();

    if (pci->gone) {
        return;
    }

    if (pci->dev == NULL) {
        if ((now >= pci->open_at) && (function_open_dev(pci) != 0)) {
            pci->open_at = now + REOPEN_NS;
        }
        return;
    }

    if (softefa_pci_host_waiting()) {
        softefa_pci_host_set_waiting(softefa_progress_all());
    }
    function_async(pci);
    softefa_pci_queue_events(pci);
    softefa_pci_aenq_keep_alive(pci, now);
}
