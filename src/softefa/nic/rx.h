/* The receiver's side of a message: its request, its completion. */
#ifndef SOFTEFA_RX_H
#define SOFTEFA_RX_H

#include "nic/dest.h"
#include "nic/object.h"
#include "nic/sgl.h"

typedef struct {
    softefa_sgl_t sgl;
    uint32_t      descriptors;
    uint16_t      req_id;
    bool          bad;               /* a descriptor's lkey is wrong */
} softefa_rx_t;

/* Under the RQ's lock: reads a receive request without taking it; `skip`
 * descriptors before it are for other messages. OK or AGAIN. */
int softefa_rx_peek(softefa_shm_dev_t *dev, softefa_shm_qp_t *qp, uint32_t skip,
                    softefa_rx_t *rx);

/* Under the RQ's and the CQ's lock: takes the request (NULL: none) and
 * completes it. */
void softefa_rx_put(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                    const softefa_dest_t *dest, softefa_shm_cq_t *cq,
                    const softefa_rx_t *rx, int status, uint32_t length);

/* The same with the CQ's lock taken for it. OK, or the message has not been
 * delivered: AGAIN: the lock cannot be taken; NO_QP: the CQ is dead. */
int softefa_rx_complete(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_dest_t *dest, const softefa_rx_t *rx,
                        int status, uint32_t length);

#endif
