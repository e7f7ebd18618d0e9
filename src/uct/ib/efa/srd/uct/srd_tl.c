/*
 * The transport as UCX knows it: the class of interfaces and the functions of
 * interfaces and endpoints, where there are devices, and how it is registered.
 */
#include "srd/uct/srd_iface.h"
#include "srd/uct/srd_ep.h"
#include "srd/send/srd_fence.h"

UCS_CLASS_DECLARE_NEW_FUNC(uct_srd_iface_t, uct_iface_t, uct_md_h, uct_worker_h,
                           const uct_iface_params_t*,
                           const uct_iface_config_t*);
UCS_CLASS_DECLARE_DELETE_FUNC(uct_srd_iface_t, uct_iface_t);

/* Two whose result is not a status */
static ssize_t
uct_srd_tl_tag_eager_bcopy(UCS_V_UNUSED uct_ep_h ep, UCS_V_UNUSED uct_tag_t tag,
                           UCS_V_UNUSED uint64_t imm,
                           UCS_V_UNUSED uct_pack_callback_t pack_cb,
                           UCS_V_UNUSED void *arg, UCS_V_UNUSED unsigned flags)
{
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_ptr_t
uct_srd_tl_tag_rndv_zcopy(UCS_V_UNUSED uct_ep_h ep, UCS_V_UNUSED uct_tag_t tag,
                          UCS_V_UNUSED const void *header,
                          UCS_V_UNUSED unsigned header_length,
                          UCS_V_UNUSED const uct_iov_t *iov,
                          UCS_V_UNUSED size_t iovcnt,
                          UCS_V_UNUSED unsigned flags,
                          UCS_V_UNUSED uct_completion_t *comp)
{
    return UCS_STATUS_PTR(UCS_ERR_UNSUPPORTED);
}

/* Those that are not offered are here for callers that do not look at flags:
 * they get a status. docs/uct-contract.md says why each is not. */
static uct_iface_ops_t uct_srd_tl_ops = {
    .ep_get_short = UCT_EFA_UNSUPPORTED(uct_ep_get_short_func_t),
    .ep_atomic_cswap64 = UCT_EFA_UNSUPPORTED(uct_ep_atomic_cswap64_func_t),
    .ep_atomic_cswap32 = UCT_EFA_UNSUPPORTED(uct_ep_atomic_cswap32_func_t),
    .ep_atomic32_post = UCT_EFA_UNSUPPORTED(uct_ep_atomic32_post_func_t),
    .ep_atomic64_post = UCT_EFA_UNSUPPORTED(uct_ep_atomic64_post_func_t),
    .ep_atomic32_fetch = UCT_EFA_UNSUPPORTED(uct_ep_atomic32_fetch_func_t),
    .ep_atomic64_fetch = UCT_EFA_UNSUPPORTED(uct_ep_atomic64_fetch_func_t),
    .ep_tag_eager_short = UCT_EFA_UNSUPPORTED(uct_ep_tag_eager_short_func_t),
    .ep_tag_eager_bcopy = uct_srd_tl_tag_eager_bcopy,
    .ep_tag_eager_zcopy = UCT_EFA_UNSUPPORTED(uct_ep_tag_eager_zcopy_func_t),
    .ep_tag_rndv_zcopy = uct_srd_tl_tag_rndv_zcopy,
    .ep_tag_rndv_cancel = UCT_EFA_UNSUPPORTED(uct_ep_tag_rndv_cancel_func_t),
    .ep_tag_rndv_request = UCT_EFA_UNSUPPORTED(uct_ep_tag_rndv_request_func_t),
    .iface_tag_recv_zcopy =
            UCT_EFA_UNSUPPORTED(uct_iface_tag_recv_zcopy_func_t),
    .iface_tag_recv_cancel =
            UCT_EFA_UNSUPPORTED(uct_iface_tag_recv_cancel_func_t),
    .ep_connect = UCT_EFA_UNSUPPORTED(uct_ep_connect_func_t),
    .ep_disconnect = UCT_EFA_UNSUPPORTED(uct_ep_disconnect_func_t),
    .cm_ep_conn_notify = UCT_EFA_UNSUPPORTED(uct_cm_ep_conn_notify_func_t),
    .ep_get_address = UCT_EFA_UNSUPPORTED(uct_ep_get_address_func_t),
    .ep_connect_to_ep = UCT_EFA_UNSUPPORTED(uct_ep_connect_to_ep_func_t),
    .iface_accept = UCT_EFA_UNSUPPORTED(uct_iface_accept_func_t),
    .iface_reject = UCT_EFA_UNSUPPORTED(uct_iface_reject_func_t),
    .ep_am_short              = uct_srd_ep_am_short,
    .ep_am_short_iov          = uct_srd_ep_am_short_iov,
    .ep_am_bcopy              = uct_srd_ep_am_bcopy,
    .ep_am_zcopy              = uct_srd_ep_am_zcopy,
    .ep_put_short             = uct_srd_ep_put_short,
    .ep_put_bcopy             = uct_srd_ep_put_bcopy,
    .ep_put_zcopy             = uct_srd_ep_put_zcopy,
    .ep_get_bcopy             = uct_srd_ep_get_bcopy,
    .ep_get_zcopy             = uct_srd_ep_get_zcopy,
    .ep_pending_add           = uct_srd_ep_pending_add,
    .ep_pending_purge         = uct_srd_ep_pending_purge,
    .ep_flush                 = uct_srd_ep_flush,
    .ep_fence                 = uct_srd_ep_fence,
    .ep_check                 = uct_srd_ep_check,
    .ep_create                = UCS_CLASS_NEW_FUNC_NAME(uct_srd_ep_t),
    .ep_destroy               = UCS_CLASS_DELETE_FUNC_NAME(uct_srd_ep_t),
    .iface_flush              = uct_srd_iface_flush,
    .iface_fence              = uct_srd_iface_fence,
    .iface_progress_enable    = uct_srd_iface_progress_enable,
    .iface_progress_disable   = uct_base_iface_progress_disable,
    .iface_progress           = uct_srd_iface_progress,
    .iface_event_fd_get       = uct_srd_iface_event_fd_get,
    .iface_event_arm          = uct_srd_iface_event_arm,
    .iface_close              = UCS_CLASS_DELETE_FUNC_NAME(uct_srd_iface_t),
    .iface_query              = uct_srd_iface_query,
    .iface_get_device_address = uct_srd_iface_get_device_address,
    .iface_get_address        = uct_srd_iface_get_address,
    .iface_is_reachable       = uct_srd_iface_is_reachable
};

UCT_EFA_IFACE_INTERNAL_OPS_DEFINE(
        uct_srd_tl_internal_ops, uct_base_iface_estimate_perf,
        uct_srd_iface_vfs_refresh, uct_srd_ep_invalidate,
        uct_srd_iface_is_reachable_why, uct_srd_ep_is_connected,
        uct_srd_ep_sgl_max, uct_srd_ep_put_sgl, uct_srd_ep_get_sgl);

static UCS_CLASS_INIT_FUNC(uct_srd_iface_t, uct_md_h tl_md, uct_worker_h worker,
                           const uct_iface_params_t *params,
                           const uct_iface_config_t *tl_config)
{
    uct_efa_md_t *md = ucs_derived_of(tl_md, uct_efa_md_t);
    ucs_status_t status;

    status = uct_srd_iface_check_params(md, worker, params);
    if (status != UCS_OK) {
        return status;
    }

    UCS_CLASS_CALL_SUPER_INIT(
            uct_base_iface_t, &uct_srd_tl_ops, &uct_srd_tl_internal_ops, tl_md,
            worker, params,
            tl_config UCS_STATS_ARG((params->field_mask &
                                     UCT_IFACE_PARAM_FIELD_STATS_ROOT) ?
                                            params->stats_root :
                                            NULL)
                    UCS_STATS_ARG(params->mode.device.dev_name));

    return uct_srd_iface_init(self, params,
                              ucs_derived_of(tl_config,
                                             uct_srd_iface_config_t));
}

static UCS_CLASS_CLEANUP_FUNC(uct_srd_iface_t)
{
    uct_srd_iface_cleanup(self);
}

UCS_CLASS_DEFINE(uct_srd_iface_t, uct_base_iface_t);
UCS_CLASS_DEFINE_NEW_FUNC(uct_srd_iface_t, uct_iface_t, uct_md_h, uct_worker_h,
                          const uct_iface_params_t*,
                          const uct_iface_config_t*);
UCS_CLASS_DEFINE_DELETE_FUNC(uct_srd_iface_t, uct_iface_t);

static ucs_status_t
uct_srd_tl_query_devices(uct_md_h tl_md,
                         uct_tl_device_resource_t **tl_devices_p,
                         unsigned *num_tl_devices_p)
{
    uct_efa_md_t *md = ucs_derived_of(tl_md, uct_efa_md_t);

    return uct_single_device_resource(tl_md, uct_efa_md_device_name(md),
                                      UCT_DEVICE_TYPE_NET, md->dev.sys_dev,
                                      tl_devices_p, num_tl_devices_p);
}

UCT_TL_DEFINE_ENTRY(&uct_efa_component, srd, uct_srd_tl_query_devices,
                    uct_srd_iface_t, "SRD_", uct_srd_iface_config_table,
                    uct_srd_iface_config_t);

/* --------------------------------------------------------------- register */

static int uct_srd_tl_is_registered = 0;

/* Of libuct_efasrd.so, which has bound this file to a UCX: loader/module.c. Not
 * a constructor: that would run before. */
void ucx_efasrd_register(void) __attribute__((visibility("default")));

void ucx_efasrd_register(void)
{
    uct_component_t *component;

    /* Of another installation, which UCX found before this one */
    ucs_list_for_each(component, &uct_components_list, list) {
        if (strcmp(component->name, uct_efa_component.name) == 0) {
            return;
        }
    }

    uct_efa_sole_srd(&uct_efa_component);
    uct_component_register(&uct_efa_component);
    uct_tl_register(&uct_efa_component, &UCT_TL_NAME(srd));
    uct_srd_tl_is_registered = 1;
}

static void __attribute__((destructor)) uct_srd_tl_unregister(void)
{
    if (uct_srd_tl_is_registered) {
        uct_tl_unregister(&UCT_TL_NAME(srd));
        uct_component_unregister(&uct_efa_component);
    }
}
