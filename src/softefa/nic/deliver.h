/*
 * What the parts of delivery share: deliver.c (SEND), burst.c (several SENDs),
 * rdma.c (read and write).
 */
#ifndef SOFTEFA_DELIVER_H
#define SOFTEFA_DELIVER_H

#include "nic/object.h"

#include <sys/uio.h>

enum {
    SOFTEFA_DELIVER_MAX_SGE = 16     /* of a receive; as options.c allows */
};

typedef struct {
    softefa_shm_dev_t *dev;
    softefa_shm_qp_t  *qp;
    unsigned          index;         /* of the device */
} softefa_deliver_dest_t;

typedef struct {
    struct iovec iov[SOFTEFA_DELIVER_MAX_SGE];
    unsigned     count;
    uint64_t     length;             /* bytes, all together */
} softefa_deliver_sgl_t;

typedef struct {
    softefa_deliver_sgl_t sgl;
    uint32_t              descriptors;
    uint16_t              req_id;
    bool                  bad;       /* a descriptor's lkey is wrong */
} softefa_deliver_rx_t;

static inline uint64_t softefa_buf_addr(const softefa_io_buf_t *buf)
{
    return ((uint64_t)buf->addr_hi << 32) | buf->addr_lo;
}

/* deliver.c: adds [iova, iova + length) of a region that covers it. */
void softefa_sgl_add(softefa_deliver_sgl_t *sgl, const softefa_shm_mr_t *mr,
                     uint64_t iova, uint32_t length);

/* The whole payload on our side. OK or BAD_LKEY. */
int softefa_sgl_local(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      softefa_deliver_sgl_t *sgl);

/* The QP that a message goes to: OK, NO_QP, UNRESPONSIVE or UNREACHABLE. */
int softefa_dest_find(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      softefa_deliver_dest_t *dest);

/* Once more under its lock, with what does not change while it is held. */
int softefa_dest_check(const softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                       const softefa_shm_qp_t *dest);

/* The destination's process is gone: gives its objects back, looks again.
 * Not under a shared lock. */
int softefa_dest_died(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* Under the RQ's lock: reads a receive request without taking it; `skip`
 * descriptors before it are for other messages. OK or AGAIN. */
int softefa_rx_peek(softefa_shm_dev_t *dev, softefa_shm_qp_t *qp, uint32_t skip,
                    softefa_deliver_rx_t *rx);

/* Drops the first `length` bytes of a longer list. */
void softefa_rx_skip(softefa_deliver_sgl_t *sgl, uint32_t length);

/* Under the RQ's and the CQ's lock: takes the request (NULL: none) and tells
 * the receiver. */
void softefa_rx_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                    const softefa_deliver_dest_t *dest, softefa_shm_cq_t *cq,
                    const softefa_deliver_rx_t *rx, int status,
                    uint32_t length);

/* The same with the CQ's lock taken for it. OK, or the message has not been
 * delivered: AGAIN: the lock is not to be had; NO_QP: the CQ is dead. */
int softefa_rx_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_deliver_dest_t *dest,
                        const softefa_deliver_rx_t *rx, int status,
                        uint32_t length);

/* deliver.c: a message with its payload on our side; AGAIN, too. */
int softefa_deliver_sgl(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_deliver_sgl_t *local);

/* fault_deliver.c: the same with the faults that wqe->fault names. */
int softefa_fault_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          const softefa_deliver_sgl_t *local);

/* rdma.c */
int softefa_deliver_rdma(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         const softefa_deliver_dest_t *dest,
                         const softefa_deliver_sgl_t *local);

#endif
