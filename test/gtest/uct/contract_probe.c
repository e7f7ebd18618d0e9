#include "base/ucx/ucx_compat.h"
#include "contract_probe.h"

#include <string.h>

unsigned contract_perf_num_ops(void)
{
    return UCT_EP_OP_LAST;
}

ucs_status_t contract_perf(uct_iface_h iface, unsigned op,
                           contract_perf_t *perf)
{
    uct_perf_attr_t attr;
    ucs_status_t status;

    memset(&attr, 0xee, sizeof(attr));
    attr.field_mask         = UINT64_MAX;
    attr.operation          = (uct_ep_operation_t)op;
    attr.local_memory_type  = UCS_MEMORY_TYPE_HOST;
    attr.remote_memory_type = UCS_MEMORY_TYPE_HOST;
    attr.local_sys_device   = UCS_SYS_DEVICE_ID_UNKNOWN;
    attr.remote_sys_device  = UCS_SYS_DEVICE_ID_UNKNOWN;
    status                  = uct_iface_estimate_perf(iface, &attr);
    perf->pre               = attr.send_pre_overhead;
    perf->post              = attr.send_post_overhead;
    perf->recv              = attr.recv_overhead;
    perf->bandwidth         = attr.bandwidth;
    perf->latency           = attr.latency;
    perf->max_inflight_eps  = attr.max_inflight_eps;
#if UCT_EFA_UCX(1, 19)
    perf->path = attr.path_bandwidth;
#else
    perf->path  = attr.bandwidth;
#endif
#if UCT_EFA_UCX(1, 17)
    perf->flags = attr.flags;
#else
    perf->flags = 0;
#endif
    return status;
}

int contract_perf_touches(uct_iface_h iface)
{
    uct_perf_attr_t attr, same;

    memset(&attr, 0x5a, sizeof(attr));
    attr.field_mask = 0;
    same            = attr;
    return (uct_iface_estimate_perf(iface, &attr) != UCS_OK) ||
           (memcmp(&attr, &same, sizeof(attr)) != 0);
}

int contract_has_ctl_device(const uct_iface_attr_t *attr)
{
#if UCT_EFA_UCX(1, 22)
    return attr->ctl_device != UCS_SYS_DEVICE_ID_UNKNOWN;
#else
    (void)attr;
    return 0;
#endif
}
