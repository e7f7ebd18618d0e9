/*
 * Open, close, progress of an srd interface.
 */
#include "srd/uct/srd_iface.h"
#include "srd/uct/srd_ep.h"
#include "srd/assoc/recovery/srd_recover.h"
#include "srd/assoc/srd_ctl_done.h"
#include "srd/assoc/srd_end.h"
#include "srd/assoc/srd_reclaim.h"
#include "srd/peer/srd_show.h"
#include "srd/peer/srd_trace.h"
#include "srd/queues/srd_queues.h"
#include "srd/recv/srd_desc.h"
#include "srd/recv/srd_poll.h"
#include "srd/send/srd_ctl.h"
#include "srd/send/srd_slot.h"
#include "srd/send/srd_tx_done.h"


#include <sys/random.h>

/* --------------------------------------------------------------- progress */

unsigned uct_srd_iface_progress(uct_iface_h tl_iface)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    unsigned count         = uct_srd_poll(iface);

    if (ucs_unlikely(iface->timers.count > 0)) {
        count += uct_srd_timers_run(&iface->timers, ucs_get_time());
    }

    if (ucs_unlikely(!ucs_list_is_empty(&iface->peers.failed) ||
                     !ucs_list_is_empty(&iface->peers.failed_eps))) {
        count += uct_srd_end_report(iface);
    }

    if (ucs_unlikely(!ucs_arbiter_is_empty(&iface->tx.arbiter))) {
        uct_srd_ep_pending_progress(iface);
    }

    return count;
}

/* From now on the user means to call progress. UCP arms the events of interfaces
 * that nobody uses yet: if it does not call, that is no sleep any more. */
static void uct_srd_iface_progress_enable(uct_iface_h tl_iface, unsigned flags)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    uct_base_iface_progress_enable(tl_iface, flags);
    iface->stats->asleep = 0;
}

static ucs_status_t uct_srd_iface_flush(uct_iface_h tl_iface,
                                        UCS_V_UNUSED unsigned flags,
                                        uct_completion_t *comp)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    if (comp != NULL) {
        return UCS_ERR_UNSUPPORTED;
    }

    if (iface->tx.num_free < iface->config.tx_queue_len) {
        UCT_TL_IFACE_STAT_FLUSH_WAIT(&iface->super);
        return UCS_INPROGRESS;
    }

    UCT_TL_IFACE_STAT_FLUSH(&iface->super);
    return UCS_OK;
}

/* ---------------------------------------------------------- open and close */

static ucs_status_t uct_srd_iface_self_init(uct_srd_iface_t *iface)
{
    const uct_efa_device_t *dev = &uct_srd_iface_md(iface)->dev;
    struct {
        uct_srd_uid_key_t uid_key;
        uint32_t          qkey;
        uint32_t          epoch;
    } random;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
        ucs_error("srd: getrandom: %m");
        return UCS_ERR_IO_ERROR;
    }

    memcpy(iface->queues.self.gid, dev->gid.raw,
           sizeof(iface->queues.self.gid));
    iface->queues.self.version  = UCT_SRD_WIRE_VERSION;
    iface->queues.self.len8     = UCT_SRD_EXT_LEN / 8;
    iface->queues.self.qkey     = random.qkey & UCT_SRD_QKEY_MASK;
    iface->peers.uid_key        = random.uid_key;
    iface->queues.self.window   = iface->config.rx_window;
    iface->queues.self.features = (dev->has_sgid ? UCT_SRD_FEATURE_SGID : 0) |
                                  (dev->has_rdma_read ? UCT_SRD_FEATURE_READ :
                                                        0) |
                                  (dev->has_rdma_write ? UCT_SRD_FEATURE_WRITE :
                                                         0) |
                                  (iface->queues.context->generation
                                   << UCT_SRD_GENERATION_SHIFT);
    iface->peers.epoch = random.epoch;
    return UCS_OK;
}

UCT_EFA_IFACE_INTERNAL_OPS_DEFINE(
        uct_srd_iface_internal_ops, uct_base_iface_estimate_perf,
        uct_srd_iface_vfs_refresh, uct_srd_ep_invalidate,
        uct_srd_iface_is_reachable_why, uct_srd_ep_is_connected,
        uct_srd_ep_sgl_max, uct_srd_ep_put_sgl, uct_srd_ep_get_sgl);

static uct_iface_ops_t uct_srd_iface_ops;

/* The device's present context. One that died while nobody had an interface is
 * replaced now or never. */
static uct_efa_context_t *uct_srd_iface_context(uct_efa_md_t *md)
{
    if (uct_efa_context_replace(md) != UCS_OK) {
        ucs_error("srd: %s was reset or removed and is not back: try again "
                  "later",
                  uct_efa_md_device_name(md));
        return NULL;
    }

    return uct_efa_context_get(md);
}

static ucs_status_t uct_srd_iface_check_params(const uct_efa_md_t *md,
                                               uct_worker_h worker,
                                               const uct_iface_params_t *params)
{
    UCT_CHECK_PARAM(params->field_mask & UCT_IFACE_PARAM_FIELD_OPEN_MODE,
                    "UCT_IFACE_PARAM_FIELD_OPEN_MODE is not defined");
    if (!(params->open_mode & UCT_IFACE_OPEN_MODE_DEVICE)) {
        ucs_error("srd: only UCT_IFACE_OPEN_MODE_DEVICE is supported");
        return UCS_ERR_UNSUPPORTED;
    }

    UCT_CHECK_PARAM(
            params->mode.device.dev_name != NULL,
            "srd: an interface needs the name of its device, such as %s",
            uct_efa_md_device_name(md));
    if (ucs_derived_of(worker, uct_priv_worker_t)->thread_mode ==
        UCS_THREAD_MODE_MULTI) {
        ucs_error(
                "srd: UCS_THREAD_MODE_MULTI is not supported: make the worker "
                "with UCS_THREAD_MODE_SERIALIZED, and lock around its use");
        return UCS_ERR_INVALID_PARAM;
    }

    return UCS_OK;
}

static void uct_srd_iface_tables_init(uct_srd_iface_t *iface)
{
    memset(UCS_PTR_BYTE_OFFSET(iface, sizeof(iface->super)), 0,
           sizeof(*iface) - sizeof(iface->super));
    ucs_list_head_init(&iface->peers.failed);
    ucs_list_head_init(&iface->peers.ended);
    ucs_list_head_init(&iface->peers.failed_eps);
    ucs_list_head_init(&iface->peers.alive);
    ucs_list_head_init(&iface->peers.with_ah);
    ucs_list_head_init(&iface->tx.rma_peers);
    kh_init_inplace(uct_srd_idents, &iface->peers.idents);
    kh_init_inplace(uct_srd_keys, &iface->peers.keys);
    kh_init_inplace(uct_srd_ahns, &iface->peers.ahns);
    iface->trace         = uct_srd_trace_is_wanted();
    iface->house.look    = uct_srd_housekeeping_look;
    iface->resume        = &uct_srd_recover_resume_ops;
    iface->peers.evicted = uct_srd_poll_stash_all;
    uct_srd_timers_init(&iface->timers);
    uct_srd_timer_init(&iface->recover.timer, uct_srd_recover_try);
}

/* The queues are there: shows them, posts receives, and makes them ready. */
static ucs_status_t uct_srd_iface_start(uct_srd_iface_t *iface)
{
    uct_efa_md_t *md = uct_srd_iface_md(iface);
    ucs_status_t status;

    iface->stats           = uct_efa_stats_iface_get(uct_efa_md_device_name(md),
                                                     iface->queues.self.gid,
                                                     iface->queues.self.qpn);
    iface->stats->device   = md->stats->index;
    iface->stats->tx_queue = iface->config.tx_queue_len;
    uct_srd_queues_show(iface);

    uct_srd_desc_refill(iface);
    if (iface->rx.missing > 0) {
        ucs_error("srd: no memory for %u receive buffers of %zu bytes: lower "
                  "UCX_SRD_RX_QUEUE_LEN, raise `ulimit -l`, or let "
                  "UCX_SRD_ALLOC name more ways to get memory (heap, mmap)",
                  iface->config.rx_queue_len, md->dev.max_msg_sz);
        status = UCS_ERR_NO_MEMORY;
        goto err;
    }

    status = uct_srd_qp_activate(iface);
    if (status != UCS_OK) {
        goto err;
    }

    status = uct_efa_ah_cache_add_owner(iface->queues.context->ahs,
                                        uct_srd_reclaim, iface);
    if (status != UCS_OK) {
        goto err;
    }

    return UCS_OK;

err:
    uct_srd_queues_hide(iface, &iface->queues);
    uct_efa_stats_iface_put(iface->stats);
    return status;
}

static UCS_CLASS_INIT_FUNC(uct_srd_iface_t, uct_md_h tl_md, uct_worker_h worker,
                           const uct_iface_params_t *params,
                           const uct_iface_config_t *tl_config)
{
    uct_efa_md_t *md = ucs_derived_of(tl_md, uct_efa_md_t);
    const uct_srd_iface_config_t
            *config = ucs_derived_of(tl_config, uct_srd_iface_config_t);
    ucs_status_t status;

    status = uct_srd_iface_check_params(md, worker, params);
    if (status != UCS_OK) {
        return status;
    }

    UCS_CLASS_CALL_SUPER_INIT(
            uct_base_iface_t, &uct_srd_iface_ops, &uct_srd_iface_internal_ops,
            tl_md, worker, params,
            tl_config UCS_STATS_ARG((params->field_mask &
                                     UCT_IFACE_PARAM_FIELD_STATS_ROOT) ?
                                            params->stats_root :
                                            NULL)
                    UCS_STATS_ARG(params->mode.device.dev_name));

    if (strcmp(params->mode.device.dev_name, uct_efa_md_device_name(md)) != 0) {
        ucs_error("srd: no device %s here, only %s",
                  params->mode.device.dev_name, uct_efa_md_device_name(md));
        return UCS_ERR_NO_DEVICE;
    }

    uct_srd_iface_tables_init(self);

    status = uct_srd_iface_config_check(self, config);
    if (status != UCS_OK) {
        return status;
    }

    self->queues.context = uct_srd_iface_context(md);
    if (self->queues.context == NULL) {
        return UCS_ERR_NO_DEVICE;
    }

    status = uct_srd_iface_self_init(self);
    if (status != UCS_OK) {
        goto err_context;
    }

    status = uct_srd_slots_init(self, config, &uct_srd_tx_done_ops);
    if (status != UCS_OK) {
        goto err_context;
    }

    uct_srd_ctl_init(self, &uct_srd_ctl_done_ops);

    status = uct_srd_desc_pool_init(self, params, config);
    if (status != UCS_OK) {
        goto err_tx;
    }

    status = uct_srd_iface_event_init(self, config->events);
    if (status != UCS_OK) {
        goto err_rx;
    }

    status = uct_srd_queues_create(self, &self->queues);
    if (status != UCS_OK) {
        goto err_event;
    }

    if ((self->event.fd >= 0) && (self->queues.channel == NULL)) {
        uct_srd_iface_event_cleanup(self); /* the CQ cannot have one */
    }
    if ((config->events == UCS_YES) && (self->event.fd < 0)) {
        ucs_error("srd: UCX_SRD_EVENTS=y, but %s has no completion events",
                  uct_efa_md_device_name(md));
        status = UCS_ERR_UNSUPPORTED;
        goto err_queues;
    }

    status = uct_srd_iface_start(self);
    if (status != UCS_OK) {
        goto err_queues;
    }

    return UCS_OK;

err_queues:
    uct_srd_qp_destroy(&self->queues);
    uct_srd_cq_destroy(&self->queues);
err_event:
    uct_srd_iface_event_cleanup(self);
err_rx:
    uct_srd_desc_pool_cleanup(self);
err_tx:
    uct_srd_slots_cleanup(self);
err_context:
    uct_efa_context_put(self->queues.context);
    return status;
}

static UCS_CLASS_CLEANUP_FUNC(uct_srd_iface_t)
{
    uct_base_iface_progress_disable(&self->super.super,
                                    UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
    uct_srd_show_state(self, EFA_STATS_IFACE_CLOSING);
    uct_srd_iface_close_eps(self);
    uct_srd_iface_close_drain(self);
    uct_efa_ah_cache_remove_owner(self->queues.context->ahs, self);
    uct_srd_qp_destroy(&self->queues);
    uct_srd_iface_close_forget(self);
    uct_srd_cq_destroy(&self->queues);
    uct_srd_iface_event_cleanup(self);
    uct_srd_queues_hide(self, &self->queues);
    uct_efa_stats_iface_put(self->stats);
    uct_srd_desc_pool_cleanup(self);
    uct_srd_slots_cleanup(self);
    uct_efa_context_put(self->queues.context);
    uct_srd_timers_cleanup(&self->timers);
    kh_destroy_inplace(uct_srd_ahns, &self->peers.ahns);
    kh_destroy_inplace(uct_srd_keys, &self->peers.keys);
    kh_destroy_inplace(uct_srd_idents, &self->peers.idents);
}

UCS_CLASS_DEFINE(uct_srd_iface_t, uct_base_iface_t);
static UCS_CLASS_DEFINE_NEW_FUNC(uct_srd_iface_t, uct_iface_t, uct_md_h,
                                 uct_worker_h, const uct_iface_params_t*,
                                 const uct_iface_config_t*);
static UCS_CLASS_DEFINE_DELETE_FUNC(uct_srd_iface_t, uct_iface_t);

/* Two whose result is not a status */
static ssize_t
uct_srd_ep_tag_eager_bcopy(UCS_V_UNUSED uct_ep_h ep, UCS_V_UNUSED uct_tag_t tag,
                           UCS_V_UNUSED uint64_t imm,
                           UCS_V_UNUSED uct_pack_callback_t pack_cb,
                           UCS_V_UNUSED void *arg, UCS_V_UNUSED unsigned flags)
{
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_ptr_t
uct_srd_ep_tag_rndv_zcopy(UCS_V_UNUSED uct_ep_h ep, UCS_V_UNUSED uct_tag_t tag,
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
static uct_iface_ops_t uct_srd_iface_ops = {
    .ep_get_short = UCT_EFA_UNSUPPORTED(uct_ep_get_short_func_t),
    .ep_atomic_cswap64 = UCT_EFA_UNSUPPORTED(uct_ep_atomic_cswap64_func_t),
    .ep_atomic_cswap32 = UCT_EFA_UNSUPPORTED(uct_ep_atomic_cswap32_func_t),
    .ep_atomic32_post = UCT_EFA_UNSUPPORTED(uct_ep_atomic32_post_func_t),
    .ep_atomic64_post = UCT_EFA_UNSUPPORTED(uct_ep_atomic64_post_func_t),
    .ep_atomic32_fetch = UCT_EFA_UNSUPPORTED(uct_ep_atomic32_fetch_func_t),
    .ep_atomic64_fetch = UCT_EFA_UNSUPPORTED(uct_ep_atomic64_fetch_func_t),
    .ep_tag_eager_short = UCT_EFA_UNSUPPORTED(uct_ep_tag_eager_short_func_t),
    .ep_tag_eager_bcopy = uct_srd_ep_tag_eager_bcopy,
    .ep_tag_eager_zcopy = UCT_EFA_UNSUPPORTED(uct_ep_tag_eager_zcopy_func_t),
    .ep_tag_rndv_zcopy = uct_srd_ep_tag_rndv_zcopy,
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

static ucs_status_t
uct_srd_query_tl_devices(uct_md_h tl_md,
                         uct_tl_device_resource_t **tl_devices_p,
                         unsigned *num_tl_devices_p)
{
    uct_efa_md_t *md = ucs_derived_of(tl_md, uct_efa_md_t);

    return uct_single_device_resource(tl_md, uct_efa_md_device_name(md),
                                      UCT_DEVICE_TYPE_NET, md->dev.sys_dev,
                                      tl_devices_p, num_tl_devices_p);
}

UCT_TL_DEFINE_ENTRY(&uct_efa_component, srd, uct_srd_query_tl_devices,
                    uct_srd_iface_t, "SRD_", uct_srd_iface_config_table,
                    uct_srd_iface_config_t);

/* --------------------------------------------------------------- register */

static int uct_srd_is_registered = 0;

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
    uct_srd_is_registered = 1;
}

static void __attribute__((destructor)) uct_srd_unregister(void)
{
    if (uct_srd_is_registered) {
        uct_tl_unregister(&UCT_TL_NAME(srd));
        uct_component_unregister(&uct_efa_component);
    }
}
