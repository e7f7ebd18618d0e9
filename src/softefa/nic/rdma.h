/* RDMA read and write. */
#ifndef SOFTEFA_RDMA_H
#define SOFTEFA_RDMA_H

#include "nic/dest.h"
#include "nic/object.h"
#include "nic/sgl.h"

/* As softefa_deliver() */
int softefa_rdma_deliver(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         const softefa_dest_t *dest,
                         const softefa_sgl_t *local);

#endif
