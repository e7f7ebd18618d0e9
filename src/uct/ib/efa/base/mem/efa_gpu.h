/*
 * Memory that is not the host's: how the device can reach it.
 *
 *   dma-buf     UCX's module of the memory (cuda_copy, rocm_copy, from UCX 1.14
 *               on) gives a descriptor, ibv_reg_dmabuf_mr takes it; any kind of
 *               memory; Linux 5.16, rdma-core 38. UCP puts the two together for
 *               memory domains with UCT_MD_FLAG_REG_DMABUF.
 *   peer memory the kernel module efa_nv_peermem pins CUDA memory by its
 *               address in a plain ibv_reg_mr; any UCX
 *
 * What memory an address belongs to is found out by UCX; nothing here calls a
 * library of a GPU.
 */
#ifndef UCT_EFA_GPU_H
#define UCT_EFA_GPU_H

#include "base/ucx/ucx_compat.h"

#include <infiniband/verbs.h>

/* Can libibverbs, provider and kernel register a dma-buf of this PD? */
int uct_efa_gpu_has_dmabuf(struct ibv_pd *pd);

/* Memory types that ibv_reg_mr takes by address, host memory not among them. */
uint64_t uct_efa_gpu_peer_mem_types(void);

#endif
