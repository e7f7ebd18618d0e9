/* See queue.h. */
#include "pci/queue.h"
#include "base/log.h"
#include "fabric/fabric.h"
#include "pci/event.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static void queue_broken(bool *broken, const char *what, unsigned number,
                         uint64_t address)
{
    if (!*broken) {
        *broken = true;
        softefa_error("%s of %u at %#llx is not in memory that the client "
                      "mapped; it does nothing any more",
                      what, number, (unsigned long long)address);
    }
}

/* How many entries a doorbell announces. More than there can be are nonsense:
 * none; the model says so. */
static uint32_t queue_announced(uint16_t copied, uint32_t doorbell,
                                uint32_t entries)
{
    uint32_t count = (uint16_t)(doorbell - copied);

    return (count <= entries) ? count : 0;
}

static void queue_ring(uint64_t key, uint32_t value)
{
    atomic_store_explicit((_Atomic uint32_t *)softefa_fabric_at(key), value,
                          memory_order_release);
}

static void queue_send(softefa_pci_t *pci, uint32_t slot, uint32_t doorbell)
{
    softefa_pci_qp_t *qp = &pci->qp[slot];
    const uint8_t *llq   = pci->llq + (slot * pci->llq_slot);
    uint8_t *ring        = softefa_fabric_at(qp->map.sq_key);
    uint32_t count;
    size_t place;

    for (count = queue_announced(qp->sq_copied, doorbell, qp->sq_entries);
         count > 0; --count) {
        place = (size_t)(qp->sq_copied & (qp->sq_entries - 1)) * qp->wqe_size;
        memcpy(ring + place, llq + place, qp->wqe_size);
        ++qp->sq_copied;
    }

    queue_ring(qp->map.sq_db_key, doorbell);
    softefa_engine_doorbell(qp->qp);
    softefa_pci_queue_drain(pci, qp->send_cq);
}

static void queue_receive(softefa_pci_t *pci, uint32_t slot, uint32_t doorbell)
{
    softefa_pci_qp_t *qp  = &pci->qp[slot];
    softefa_io_rx_t *ring = softefa_fabric_at(qp->map.rq_key);
    const softefa_io_rx_t *guest;
    uint32_t count, index;

    guest = softefa_pci_dma_at(&pci->dma, qp->rq_address,
                               (uint64_t)qp->rq_entries * sizeof(*guest),
                               false);
    if (guest == NULL) {
        queue_broken(&qp->broken, "the receive queue", qp->map.qpn,
                     qp->rq_address);
        return;
    }

    for (count = queue_announced(qp->rq_copied, doorbell, qp->rq_entries);
         count > 0; --count) {
        index       = qp->rq_copied & (qp->rq_entries - 1);
        ring[index] = guest[index];
        ++qp->rq_copied;
    }

    queue_ring(qp->map.rq_db_key, doorbell);
}

/* The guest is told when it armed the CQ and has not consumed everything. */
static void queue_notify(softefa_pci_t *pci, uint32_t cqn)
{
    softefa_pci_cq_t *cq = &pci->cq[cqn];

    if (cq->armed &&
        (((cq->total - cq->doorbell) & SOFTEFA_CQ_DB_CONSUMER) != 0)) {
        cq->armed = false;
        softefa_pci_eq_completion(pci, cq->eqn, cqn);
    }
}

static void queue_cq_doorbell(softefa_pci_t *pci, uint32_t cqn, uint32_t value)
{
    softefa_pci_cq_t *cq = &pci->cq[cqn];

    cq->doorbell = value;
    if ((value & SOFTEFA_CQ_DB_ARM) && (cq->eqn >= 0)) {
        cq->armed = true;
    }
    queue_notify(pci, cqn);
}

void softefa_pci_queue_doorbell(softefa_pci_t *pci, uint64_t offset,
                                uint32_t value)
{
    uint64_t slot  = offset / SOFTEFA_PCI_DB_SLOT;
    uint64_t place = offset % SOFTEFA_PCI_DB_SLOT;

    if (slot >= pci->qp_slots) {
        slot -= pci->qp_slots;
        if ((slot < pci->cq_slots) && (place == 0) &&
            (pci->cq[slot].cq != NULL)) {
            queue_cq_doorbell(pci, slot, value);
        }
    } else if (pci->qp[slot].qp == NULL) {
        return; /* of a queue pair that was just destroyed */
    } else if (place == 0) {
        queue_send(pci, slot, value);
    } else if ((place == SOFTEFA_PCI_DB_RQ) && (pci->qp[slot].rq_entries > 0)) {
        queue_receive(pci, slot, value);
    }
}

void softefa_pci_queue_reset_qp(softefa_pci_qp_t *qp)
{
    qp->sq_copied = 0;
    qp->rq_copied = 0;
}

/* The entry of the model's ring at `pos`, if it has been written */
static const softefa_io_cqe_t *queue_entry(const softefa_pci_cq_t *cq,
                                           unsigned sub, uint32_t pos)
{
    uint32_t phase = (pos & cq->depth) ? 0 : SOFTEFA_CQE_PHASE;
    uint64_t index = ((uint64_t)sub * cq->depth) + (pos & (cq->depth - 1));
    const softefa_io_cqe_t *entry = softefa_fabric_at(cq->map.ring_key +
                                                      (index * cq->entry_size));
    softefa_io_cqe_t first;

    first.first = atomic_load_explicit((_Atomic uint32_t *)&entry->first,
                                       memory_order_acquire);
    return ((first.flags & SOFTEFA_CQE_PHASE) == phase) ? entry : NULL;
}

/* Copies the new entries of a sub-CQ into the guest's ring. */
static void queue_copy(softefa_pci_cq_t *cq, unsigned sub, uint8_t *guest)
{
    uint8_t *ring = guest + ((uint64_t)sub * cq->depth * cq->entry_size);
    const softefa_io_cqe_t *entry;
    uint8_t *slot;

    while ((entry = queue_entry(cq, sub, cq->head[sub])) != NULL) {
        slot = ring +
               ((uint64_t)(cq->head[sub] & (cq->depth - 1)) * cq->entry_size);
        memcpy(slot + sizeof(entry->first), &entry->qpn,
               cq->entry_size - sizeof(entry->first));
        atomic_store_explicit((_Atomic uint32_t *)slot, entry->first,
                              memory_order_release);
        ++cq->head[sub];
        ++cq->total;
    }
}

void softefa_pci_queue_drain(softefa_pci_t *pci, uint32_t cqn)
{
    softefa_pci_cq_t *cq = &pci->cq[cqn];
    uint64_t size  = (uint64_t)cq->depth * cq->entry_size * cq->num_sub_cqs;
    uint32_t total = cq->total;
    uint8_t *guest;
    unsigned sub;

    if (cq->cq == NULL) {
        return;
    }

    guest = softefa_pci_dma_at(&pci->dma, cq->address, size, true);
    if (guest == NULL) {
        queue_broken(&cq->broken, "the completion queue", cqn, cq->address);
        return;
    }

    for (sub = 0; sub < cq->num_sub_cqs; ++sub) {
        queue_copy(cq, sub, guest);
    }

    if (cq->total != total) {
        queue_ring(cq->map.db_key, cq->total & SOFTEFA_CQ_DB_CONSUMER);
        queue_notify(pci, cqn);
    }
}

void softefa_pci_queue_events(softefa_pci_t *pci)
{
    uint64_t cookie[64];
    ssize_t size, i;
    uint32_t cqn;

    do {
        size = read(pci->channel_fd, cookie, sizeof(cookie));
        for (i = 0; i < size / (ssize_t)sizeof(cookie[0]); ++i) {
            if ((cookie[i] < pci->cq_slots) && (pci->cq_of[cookie[i]] != 0)) {
                cqn = pci->cq_of[cookie[i]] - 1;
                softefa_pci_queue_drain(pci, cqn);
                softefa_cq_arm(pci->cq[cqn].cq);
            }
        }
    } while (size == (ssize_t)sizeof(cookie));
}
