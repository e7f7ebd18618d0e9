/*
 * What UCT is told of an interface: what it can do, and at what cost.
 */
#include "srd/uct/srd_ep.h"
#include "srd/uct/srd_iface.h"

/* What a send costs this library and libefa, seconds: docs/device-facts.md */
#define UCT_SRD_OVERHEAD 80e-9

ucs_status_t uct_srd_iface_query(uct_iface_h tl_iface, uct_iface_attr_t *attr)
{
    uct_srd_iface_t *iface      = ucs_derived_of(tl_iface, uct_srd_iface_t);
    const uct_efa_device_t *dev = &uct_srd_iface_md(iface)->dev;

    uct_base_iface_query(&iface->super, attr);

    attr->cap.flags = UCT_IFACE_FLAG_AM_SHORT | UCT_IFACE_FLAG_AM_BCOPY |
                      UCT_IFACE_FLAG_PENDING | UCT_IFACE_FLAG_CONNECT_TO_IFACE |
                      UCT_IFACE_FLAG_CB_SYNC |
                      UCT_IFACE_FLAG_ERRHANDLE_PEER_FAILURE |
                      UCT_IFACE_FLAG_EP_CHECK | UCT_EFA_IFACE_FLAG_INTER_NODE;

    if (iface->event.fd >= 0) {
        attr->cap.event_flags = UCT_IFACE_FLAG_EVENT_SEND_COMP |
                                UCT_IFACE_FLAG_EVENT_RECV |
                                UCT_IFACE_FLAG_EVENT_FD;
    }

    attr->cap.am.max_short = ucs_min((size_t)UCT_SRD_INLINE_AREA,
                                     iface->config.max_msg);
    attr->cap.am.max_bcopy = iface->config.max_msg;

    /* Header and payload are one buffer each */
    if (dev->efa.max_sq_sge >= 2) {
        attr->cap.flags |= UCT_IFACE_FLAG_AM_ZCOPY;
        attr->cap.am.min_zcopy       = 0;
        attr->cap.am.max_zcopy       = iface->config.max_msg;
        attr->cap.am.opt_zcopy_align = uct_srd_iface_zcopy_align(iface);
        attr->cap.am.align_mtu       = iface->config.max_msg;
        attr->cap.am.max_hdr         = UCT_SRD_INLINE_AREA;
        attr->cap.am.max_iov         = UCT_SRD_MAX_IOV;
    }

    uct_srd_ep_rma_query(iface, attr);

    attr->device_addr_len     = UCT_SRD_DEV_ADDR_LEN;
    attr->iface_addr_len      = UCT_SRD_IFACE_ADDR_LEN;
    attr->ep_addr_len         = 0;
    attr->max_conn_priv       = 0;
    attr->overhead            = UCT_SRD_OVERHEAD;
    attr->bandwidth.dedicated = 0;
    attr->bandwidth.shared    = dev->bandwidth;
    attr->latency             = ucs_linear_func_make(iface->config.latency, 0);
    attr->priority            = 30;
    UCT_EFA_IFACE_ATTR_CPU_CONTROLS(attr);
    return UCS_OK;
}
