/* See sgl.h. */
#include "nic/sgl.h"
#include "nic/mr.h"

#include <infiniband/verbs.h>

/* Adds a buffer of this QP's process. Nothing is done to an empty buffer. */
static int sgl_add_local(softefa_sgl_t *sgl, softefa_qp_t *qp,
                         const softefa_io_buf_t *buf, uint32_t access)
{
    const softefa_shm_mr_t *mr;

    if (buf->length == 0) {
        return SOFTEFA_STATUS_OK;
    }

    if (buf->key & ~SOFTEFA_KEY_MASK) {
        return SOFTEFA_STATUS_INVALID_LKEY;
    }

    mr = softefa_mr_find(qp->dev->shm, buf->key, qp->pdn,
                         softefa_sgl_buf_addr(buf), buf->length, access);
    if (mr == NULL) {
        return SOFTEFA_STATUS_INVALID_LKEY;
    }

    softefa_sgl_add(sgl, mr, softefa_sgl_buf_addr(buf), buf->length);
    return SOFTEFA_STATUS_OK;
}

int softefa_sgl_buffers(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                        softefa_sgl_t *sgl)
{
    unsigned op = wqe->ctrl1 & SOFTEFA_CTRL1_OP;
    unsigned i;
    int status;

    sgl->count  = 0;
    sgl->length = 0;
    if (op != SOFTEFA_OP_SEND) {
        return (wqe->length == 0) ?
                       SOFTEFA_STATUS_OK :
                       sgl_add_local(sgl, qp, &wqe->rdma.local,
                                     (op == SOFTEFA_OP_RDMA_READ) ?
                                             IBV_ACCESS_LOCAL_WRITE :
                                             0);
    }

    for (i = 0; i < wqe->length; ++i) {
        status = sgl_add_local(sgl, qp, &wqe->sge[i], 0);
        if (status != SOFTEFA_STATUS_OK) {
            return status;
        }
    }

    return SOFTEFA_STATUS_OK;
}

void softefa_sgl_skip(softefa_sgl_t *sgl, uint32_t length)
{
    uint32_t part;
    unsigned i;

    for (i = 0; length > 0; ++i) {
        part = (length < sgl->iov[i].iov_len) ? length : sgl->iov[i].iov_len;
        sgl->iov[i].iov_base = (char *)sgl->iov[i].iov_base + part;
        sgl->iov[i].iov_len -= part;
        length -= part;
    }
}
