#include "base/ucx/ucx_compat.h"
#include "memory_probe.h"

ucs_status_t memory_probe_reg_dmabuf(uct_md_h md, void *address, size_t length,
                                     int fd, size_t offset, uct_mem_h *memh_p)
{
#if UCT_EFA_UCX(1, 14)
    uct_md_mem_reg_params_t params = {
        .field_mask    = UCT_MD_MEM_REG_FIELD_FLAGS |
                         UCT_MD_MEM_REG_FIELD_DMABUF_FD |
                         UCT_MD_MEM_REG_FIELD_DMABUF_OFFSET,
        .flags         = UCT_MD_MEM_ACCESS_ALL,
        .dmabuf_fd     = fd,
        .dmabuf_offset = offset
    };
    uct_md_attr_v2_t attr = {.field_mask = UCT_MD_ATTR_FIELD_FLAGS};

    if ((uct_md_query_v2(md, &attr) != UCS_OK) ||
        !(attr.flags & UCT_MD_FLAG_REG_DMABUF)) {
        return UCS_ERR_UNSUPPORTED;
    }

    return uct_md_mem_reg_v2(md, address, length, &params, memh_p);
#else
    (void)md;
    (void)address;
    (void)length;
    (void)fd;
    (void)offset;
    (void)memh_p;
    return UCS_ERR_UNSUPPORTED;
#endif
}
