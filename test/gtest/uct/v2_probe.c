#include "base/ucx/ucx_compat.h"
#include "v2_probe.h"

int v2_has_lengths(void)
{
    return UCT_EFA_UCX(1, 18);
}

int v2_is_reachable(uct_iface_h iface, const v2_address_t *address, char *why,
                    size_t max)
{
#if UCT_EFA_UCX(1, 15)
    uct_iface_is_reachable_params_t params = {
        .field_mask         = UCT_IFACE_IS_REACHABLE_FIELD_INFO_STRING |
                              UCT_IFACE_IS_REACHABLE_FIELD_INFO_STRING_LENGTH |
                              UCT_IFACE_IS_REACHABLE_FIELD_SCOPE,
        .info_string        = why,
        .info_string_length = max,
        .scope              = address->same_device ?
                                      UCT_IFACE_REACHABILITY_SCOPE_DEVICE :
                                      UCT_IFACE_REACHABILITY_SCOPE_NETWORK
    };

    if (address->dev != NULL) {
        params.field_mask |= UCT_IFACE_IS_REACHABLE_FIELD_DEVICE_ADDR;
        params.device_addr = address->dev;
    }
    if (address->iface != NULL) {
        params.field_mask |= UCT_IFACE_IS_REACHABLE_FIELD_IFACE_ADDR;
        params.iface_addr = address->iface;
    }
#if UCT_EFA_UCX(1, 18)
    if (address->dev_length != V2_NO_LENGTH) {
        params.field_mask |= UCT_IFACE_IS_REACHABLE_FIELD_DEVICE_ADDR_LENGTH;
        params.device_addr_length = address->dev_length;
    }
    if (address->iface_length != V2_NO_LENGTH) {
        params.field_mask |= UCT_IFACE_IS_REACHABLE_FIELD_IFACE_ADDR_LENGTH;
        params.iface_addr_length = address->iface_length;
    }
#endif
    return uct_iface_is_reachable_v2(iface, &params);
#else
    (void)iface;
    (void)address;
    (void)why;
    (void)max;
    return -1;
#endif
}

int v2_is_connected(uct_ep_h ep, const void *dev, const void *iface)
{
#if UCT_EFA_UCX(1, 16)
    uct_ep_is_connected_params_t params = {
        .field_mask  = UCT_EP_IS_CONNECTED_FIELD_DEVICE_ADDR |
                       UCT_EP_IS_CONNECTED_FIELD_IFACE_ADDR,
        .device_addr = dev,
        .iface_addr  = iface
    };

    return uct_ep_is_connected(ep, &params) != 0;
#else
    (void)ep;
    (void)dev;
    (void)iface;
    return -1;
#endif
}

ucs_status_t v2_ep_create(uct_iface_h iface, const v2_address_t *address,
                          uct_ep_h *ep_p)
{
    uct_ep_params_t params = {
        .field_mask = UCT_EP_PARAM_FIELD_IFACE | UCT_EP_PARAM_FIELD_DEV_ADDR |
                      UCT_EP_PARAM_FIELD_IFACE_ADDR,
        .iface      = iface,
        .dev_addr   = address->dev,
        .iface_addr = address->iface
    };

#if UCT_EFA_UCX(1, 18)
    if (address->dev_length != V2_NO_LENGTH) {
        params.field_mask |= UCT_EP_PARAM_FIELD_DEV_ADDR_LENGTH;
        params.dev_addr_length = address->dev_length;
    }
    if (address->iface_length != V2_NO_LENGTH) {
        params.field_mask |= UCT_EP_PARAM_FIELD_IFACE_ADDR_LENGTH;
        params.iface_addr_length = address->iface_length;
    }
#endif
    return uct_ep_create(&params, ep_p);
}

size_t v2_sgl_max(uct_iface_h iface, int is_get, int *has_p)
{
    size_t max = 0;

    *has_p = 0;
#if UCT_EFA_UCX(1, 22)
    {
        uct_iface_attr_v2_t attr = {
            .field_mask = UCT_IFACE_ATTR_FIELD_CAP_FLAGS |
                          UCT_IFACE_ATTR_FIELD_MAX_PUT_SGL_ZCOPY_COUNT
        };

#if UCT_EFA_UCX(1, 23)
        attr.field_mask |= UCT_IFACE_ATTR_FIELD_MAX_GET_SGL_ZCOPY_COUNT;
#endif
        if (uct_iface_query_v2(iface, &attr) != UCS_OK) {
            return 0;
        }

        if (!is_get) {
            max    = attr.max_put_sgl_zcopy_count;
            *has_p = !!(attr.cap.flags & UCT_IFACE_FLAG_V2_PUT_SGL_ZCOPY);
        }
#if UCT_EFA_UCX(1, 23)
        if (is_get) {
            max    = attr.max_get_sgl_zcopy_count;
            *has_p = !!(attr.cap.flags & UCT_IFACE_FLAG_V2_GET_SGL_ZCOPY);
        }
#endif
    }
#else
    (void)iface;
    (void)is_get;
#endif
    return max;
}

ucs_status_t v2_sgl(uct_ep_h ep, int is_get, const v2_sgl_t *sgl,
                    uct_completion_t *comp)
{
#if UCT_EFA_UCX(1, 22)
    const size_t *counts  = sgl->has_strides ? sgl->counts : NULL;
    const size_t *strides = sgl->has_strides ? sgl->strides : NULL;

    if (!is_get) {
        return uct_ep_put_sgl_zcopy(ep, sgl->buffers, sgl->lengths, sgl->memhs,
                                    sgl->remote_addrs, sgl->rkeys, counts,
                                    strides, sgl->count, comp);
    }
#if UCT_EFA_UCX(1, 23)
    return uct_ep_get_sgl_zcopy(ep, sgl->buffers, sgl->lengths, sgl->memhs,
                                sgl->remote_addrs, sgl->rkeys, counts, strides,
                                sgl->count, comp);
#endif
#else
    (void)ep;
    (void)is_get;
    (void)sgl;
    (void)comp;
#endif
    return UCS_ERR_NOT_IMPLEMENTED;
}

ucs_status_t v2_ep_query(uct_ep_h ep)
{
    uct_ep_attr_t attr;

    memset(&attr, 0, sizeof(attr));
    attr.field_mask = UCT_EP_ATTR_FIELD_LOCAL_SOCKADDR |
                      UCT_EP_ATTR_FIELD_REMOTE_SOCKADDR;
    return uct_ep_query(ep, &attr);
}

#if UCT_EFA_UCX(1, 23)
static void v2_purged(const uct_ep_op_info_t *info, void *arg)
{
    (void)info;
    (void)arg;
}
#endif

ucs_status_t v2_outstanding_purge(uct_ep_h ep)
{
#if UCT_EFA_UCX(1, 23)
    uct_ep_outstanding_purge_params_t params = {
        .field_mask = UCT_EP_OUTSTANDING_FIELD_RX_TOKEN |
                      UCT_EP_OUTSTANDING_FIELD_CB,
        .rx_token   = "",
        .cb         = v2_purged
    };

    return uct_ep_outstanding_purge(ep, &params);
#else
    (void)ep;
    return UCS_ERR_NOT_IMPLEMENTED;
#endif
}

ucs_status_t v2_connect_to_ep(uct_ep_h ep)
{
#if UCT_EFA_UCX(1, 14)
    uct_ep_connect_to_ep_params_t params = {};

    return uct_ep_connect_to_ep_v2(ep, NULL, NULL, &params);
#else
    (void)ep;
    return UCS_ERR_NOT_IMPLEMENTED; /* UCX before 1.14 does not ask who has none */
#endif
}

ucs_status_t v2_get_device_ep(uct_ep_h ep)
{
#if UCT_EFA_UCX(1, 20)
    uct_device_ep_h device_ep;

    return uct_ep_get_device_ep(ep, &device_ep);
#else
    (void)ep;
    return UCS_ERR_NOT_IMPLEMENTED;
#endif
}

ucs_status_t v2_query_tokens(uct_iface_h iface)
{
#if UCT_EFA_UCX(1, 23)
    uct_iface_attr_v2_t attr = {
        .field_mask = UCT_IFACE_ATTR_FIELD_TX_TOKEN_LENGTH
    };

    return uct_iface_query_v2(iface, &attr);
#else
    (void)iface;
    return UCS_ERR_NOT_IMPLEMENTED;
#endif
}

ucs_status_t v2_invalidate(uct_ep_h ep)
{
#if UCT_EFA_UCX(1, 21)
    uct_ep_invalidate_params_t params = {};

    return uct_ep_invalidate(ep, &params);
#else
    return uct_ep_invalidate(ep, 0);
#endif
}
