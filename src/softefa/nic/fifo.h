/*
 * A CQ's receive FIFO: where a message from another process waits for the
 * owner's next poll. Two copies in user space, of which each process makes one,
 * instead of a system call that copies into a stranger's memory.
 *
 *   sender, under RQ and CQ lock           owner, in its polls, under CQ lock
 *
 *   payload --> | record | record | ... |  --> receive buffer, CQ entry
 *               '---- the FIFO, in the fabric's memory ----'
 *               tail: moved           head: written
 *
 * The request is taken, and the sender told, when the record is there: as on a
 * NIC, whose own FIFO and DMA the program does not see either. What the program
 * sees is the completion, which is made after the payload is in its buffer.
 *
 *   mode    until                               senders
 *   OFF     the first poll that Soft-EFA sees   write to the buffer
 *   ON      a program asks for the CQ's memory  write to the FIFO
 *   NEVER   it says that it will call           write to the buffer
 *           (softefa_direct.h)
 *
 * Senders also write to the buffer while the CQ is armed, for a request of
 * several descriptors, and with a fault plan. Whoever completes a receive, or
 * finds the FIFO full, first moves what is in it: what a sender was told is
 * there is seen before what it sends afterwards.
 *
 * What is in the FIFO when its QP is destroyed is lost, as a completion that
 * nobody polled. Before a region is deregistered, or a QP reset, all is moved.
 */
#ifndef SOFTEFA_FIFO_H
#define SOFTEFA_FIFO_H

#include "fabric/member.h"
#include "nic/dest.h"
#include "nic/object.h"
#include "nic/sgl.h"

typedef struct {
    uint32_t         size;           /* of the record, whole cache lines */
    uint32_t         qp;             /* index in the table, or none */
    uint64_t         iova;           /* where the payload goes */
    uint32_t         lkey;
    uint32_t         length;         /* of the payload */
    uint32_t         sub_cq;
    uint32_t         pos;            /* of the entry, while it is moved */
    softefa_io_cqe_t cqe;
} softefa_fifo_record_t;

static inline softefa_fifo_record_t *softefa_fifo_at(const softefa_shm_cq_t *cq,
                                                     uint32_t pos)
{
    return softefa_fabric_at(cq->fifo + (pos & (cq->fifo_size - 1)));
}

/* Bytes of the FIFO of a CQ whose rings have so many. */
uint32_t softefa_fifo_size(uint64_t rings);

/* Under the RQ's lock: writes the message there, for the next request, which is
 * of one descriptor and has room for it behind `prefix` bytes. False: it cannot
 * be; nothing has happened. */
bool softefa_fifo_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      const softefa_dest_t *dest, const softefa_sgl_t *local,
                      uint32_t prefix);

/* Whether that is worth a try. */
static inline bool softefa_fifo_may(const softefa_qp_t *qp,
                                    const softefa_dest_t *dest)
{
    return (softefa_member_slot(dest->qp->obj.owner) != softefa_fabric.slot) &&
           (dest->dev->cq[dest->qp->recv_cq].fifo_mode == SOFTEFA_FIFO_ON) &&
           !qp->planned;
}

/* Under the CQ's lock, which is `dev`'s: moves all. */
void softefa_fifo_move_locked(const softefa_shm_dev_t *dev,
                              softefa_shm_cq_t *cq);

/* Under the CQ's lock, whose last holder died, after the ring's repair. */
static inline void softefa_fifo_repair(softefa_shm_cq_t *cq)
{
    const softefa_fifo_record_t *record;

    if (cq->fifo_next != cq->fifo_tail) {
        record = softefa_fifo_at(cq, cq->fifo_tail);
        if (cq->head[record->sub_cq] != record->pos) {
            cq->fifo_tail = cq->fifo_next;
        } else {
            cq->fifo_next = cq->fifo_tail;
        }
    }
}

/* By the owner, with the lock taken for it. False: it cannot be. */
bool softefa_fifo_move(softefa_cq_t *handle);

/* The same for all CQs of the device, as far as it can be. */
void softefa_fifo_move_all(softefa_dev_t *dev);

/* Whether something is in it, or nobody has polled yet. */
static inline bool softefa_fifo_waits(const softefa_shm_cq_t *cq)
{
    return atomic_load_explicit(&cq->fifo_head, memory_order_relaxed) !=
           atomic_load_explicit(&cq->fifo_tail, memory_order_relaxed);
}

/* A poll of the owner: also turns the FIFO on. */
void softefa_fifo_poll(softefa_cq_t *handle);

/* Under the admin lock, of a new CQ: OFF. */
void softefa_fifo_init(softefa_shm_cq_t *cq);

#endif
