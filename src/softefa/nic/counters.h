/*
 * What the NIC counts, for all processes together, as long as the fabric lives.
 * Where a number stands, and which process writes it:
 *
 *   softefa_shm_qp_t   sent, read, written     its process, under its own lock
 *                      received                its senders, under the RQ's
 *   softefa_shm_dev_t  count[]                 anybody, atomically: the rest
 *
 * A message costs four additions to lines that its sender has anyway. The
 * numbers of a QP outlive it, and continue with the next QP of that table
 * entry: so nothing is added up when one is destroyed, or its process was
 * killed, and nothing counted twice. Readers add up the entries (counters.c).
 */
#ifndef SOFTEFA_COUNTERS_H
#define SOFTEFA_COUNTERS_H

#include "nic/object.h"

/* Which file of a device: its own, or those of its port */
typedef enum {
    SOFTEFA_COUNTERS_DEVICE,
    SOFTEFA_COUNTERS_PORT
} softefa_counters_t;

/* Name of counter `i` (0, 1, ...; NULL: there are no more), in the driver's
 * order. */
const char *softefa_counters_name(softefa_counters_t which, unsigned i);

/* Its value now, of the device `index`. Attached processes only. */
uint64_t softefa_counters_value(softefa_counters_t which, unsigned index,
                                unsigned i);

/* A request that completed with a status other than OK. All of these are called
 * under qp->lock. */
void softefa_counters_error(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                            int status);

/* An RDMA that was done; a UD message that was lost. */
void softefa_counters_rdma(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                           softefa_shm_dev_t *dest);
void softefa_counters_ud_lost(const softefa_qp_t *qp,
                              const softefa_io_wqe_t *wqe);

/* A message that a fault delivered twice: the second time. */
void softefa_counters_again(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                            uint64_t length);

/* A command of a device that ended with `ret`, and what it was counts as if it
 * failed (SOFTEFA_NUM_COUNTS: nothing of its own). */
void softefa_counters_command(unsigned index, softefa_count_t failed, int ret);

static inline void softefa_counters_add(softefa_shm_dev_t *dev,
                                        softefa_count_t what, uint64_t value)
{
    atomic_fetch_add_explicit(&dev->count[what], value, memory_order_relaxed);
}

/* `wrs` SENDs of `bytes` together went from qp to dest, whose lock is held. */
static inline void softefa_counters_send(softefa_qp_t *qp,
                                         softefa_shm_qp_t *dest, unsigned wrs,
                                         uint64_t bytes)
{
    qp->shm->sent.wrs += wrs;
    qp->shm->sent.bytes += bytes;
    dest->received.wrs += wrs;
    dest->received.bytes += bytes;
}

#endif
