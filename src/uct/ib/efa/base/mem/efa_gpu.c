/*
 * Asks what the kernel can do for device memory; see efa_gpu.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/mem/efa_gpu.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int uct_efa_gpu_has_dmabuf(struct ibv_pd *pd)
{
#if UCT_EFA_UCX(1, 14)
    struct ibv_mr *mr;

    /* Nobody has descriptor -1. Who knows the call says so (EBADF), who does
     * not, at any of the three levels, complains about the call. */
    errno = 0;
    mr    = ibv_reg_dmabuf_mr(pd, 0, ucs_get_page_size(), 0, -1,
                              IBV_ACCESS_LOCAL_WRITE);
    if (mr != NULL) {
        ibv_dereg_mr(mr);
        return 0;
    }

    ucs_debug("%s: dma-buf %ssupported (%s)",
              ibv_get_device_name(pd->context->device),
              (errno == EBADF) ? "" : "not ", strerror(errno));
    return errno == EBADF;
#else
    (void)pd;
    return 0; /* UCX 1.13 has no way to hand over a descriptor */
#endif
}

uint64_t uct_efa_gpu_peer_mem_types(void)
{
    const char *sysfs = getenv("SYSFS_PATH"); /* as libibverbs looks for it */
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/module/efa_nv_peermem/version",
             (sysfs == NULL) ? "/sys" : sysfs);
    if (access(path, F_OK) != 0) {
        return 0;
    }

    return UCS_BIT(UCS_MEMORY_TYPE_CUDA);
}
