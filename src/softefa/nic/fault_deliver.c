/*
 * Faults of a message on its way: corrupted payload, a second delivery. What
 * the sender's memory holds is never changed.
 */
#include "nic/fault_deliver.h"
#include "nic/counters.h"
#include "nic/deliver.h"

#include <stdlib.h>
#include <string.h>

static void flip_bit(softefa_qp_t *qp, const softefa_sgl_t *sgl)
{
    uint64_t place = softefa_random(&qp->random);
    uint64_t byte  = place % sgl->length;
    unsigned i;

    for (i = 0; byte >= sgl->iov[i].iov_len; ++i) {
        byte -= sgl->iov[i].iov_len;
    }
    ((uint8_t *)sgl->iov[i].iov_base)[byte] ^= 1u << (place >> 61);
}

/* The payload in a copy with a bit changed. NULL: no memory. */
static void *corrupt_copy(softefa_qp_t *qp, const softefa_sgl_t *local,
                          softefa_sgl_t *copy)
{
    uint8_t *data = malloc(local->length);
    size_t offset = 0;
    unsigned i;

    if (data == NULL) {
        return NULL;
    }

    for (i = 0; i < local->count; ++i) {
        memcpy(data + offset, local->iov[i].iov_base, local->iov[i].iov_len);
        offset += local->iov[i].iov_len;
    }

    copy->iov[0].iov_base = data;
    copy->iov[0].iov_len  = local->length;
    copy->count           = 1;
    copy->length          = local->length;
    flip_bit(qp, copy);
    return data;
}

/* Apart, as the code of a delivery is long where it is called */
static int deliver_once(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        const softefa_sgl_t *local)
{
    return softefa_deliver(qp, wqe, local);
}

static int deliver_corrupt(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                           const softefa_sgl_t *local)
{
    bool read = (wqe->ctrl1 & SOFTEFA_CTRL1_OP) == SOFTEFA_OP_RDMA_READ;
    softefa_sgl_t copy;
    void *data = NULL;
    int status;

    if (!read) {
        data = corrupt_copy(qp, local, &copy);
    }

    status = deliver_once(qp, wqe, (data != NULL) ? &copy : local);
    if (read && (status == SOFTEFA_STATUS_OK)) {
        flip_bit(qp, local);
    }
    free(data);
    return status;
}

int softefa_fault_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          const softefa_sgl_t *local)
{
    int status;

    status = ((wqe->fault & SOFTEFA_WQE_CORRUPT) && (local->length > 0)) ?
                     deliver_corrupt(qp, wqe, local) :
                     deliver_once(qp, wqe, local);

    /* If the receiver has no second request, the network lost the duplicate. */
    if ((wqe->fault & SOFTEFA_WQE_DUPLICATE) && (status == SOFTEFA_STATUS_OK) &&
        (deliver_once(qp, wqe, local) == SOFTEFA_STATUS_OK)) {
        softefa_counters_again(qp, wqe, local->length);
    }
    return status;
}
