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

/* The whole payload on our side. OK or BAD_LKEY. */
int softefa_sgl_local(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                      softefa_sgl_t *sgl);

/* Drops the first `length` bytes of a longer list. */
void softefa_sgl_skip(softefa_sgl_t *sgl, uint32_t length);

#endif
