/*
 * Gather and scatter lists: where a payload is, in the memory of one owner.
 * Addresses are those of the owner's process; see nic/host.h.
 */
#ifndef SOFTEFA_SGL_H
#define SOFTEFA_SGL_H

#include "nic/object.h"

#include <sys/uio.h>

enum {
    SOFTEFA_SGL_MAX = 16             /* of a receive; as options.c allows */
};

typedef struct {
    struct iovec iov[SOFTEFA_SGL_MAX];
    unsigned     count;
    uint64_t     length;             /* bytes, all together */
} softefa_sgl_t;

static inline uint64_t softefa_sgl_buf_addr(const softefa_io_buf_t *buf)
{
    return ((uint64_t)buf->addr_hi << 32) | buf->addr_lo;
}

/* Adds [iova, iova + length) of a region that covers it. The one place where an
 * IOVA becomes an address of the owner's memory. */
static inline void softefa_sgl_add(softefa_sgl_t *sgl,
                                   const softefa_shm_mr_t *mr, uint64_t iova,
                                   uint32_t length)
{
    sgl->iov[sgl->count].iov_base = (void *)(uintptr_t)(mr->addr +
                                                        (iova - mr->iova));
    sgl->iov[sgl->count].iov_len  = length;
    sgl->length += length;
    ++sgl->count;
}

/* The payload on our side in registered memory. OK or INVALID_LKEY. */
int softefa_sgl_buffers(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        softefa_sgl_t *sgl);

/* The whole payload on our side. The same. */
static inline int softefa_sgl_local(softefa_qp_t *qp,
                                    const softefa_io_wqe_t *wqe,
                                    softefa_sgl_t *sgl)
{
    if (!(wqe->ctrl1 & SOFTEFA_CTRL1_INLINE)) {
        return softefa_sgl_buffers(qp, wqe, sgl);
    }

    sgl->iov[0].iov_base = (void *)(((wqe->ctrl1 & SOFTEFA_CTRL1_OP) ==
                                     SOFTEFA_OP_SEND) ?
                                            wqe->data :
                                            wqe->rdma.data);
    sgl->iov[0].iov_len  = wqe->length;
    sgl->length          = wqe->length;
    sgl->count           = (wqe->length > 0) ? 1 : 0;
    return SOFTEFA_STATUS_OK;
}

/* Drops the first `length` bytes of a longer list. */
void softefa_sgl_skip(softefa_sgl_t *sgl, uint32_t length);

#endif
