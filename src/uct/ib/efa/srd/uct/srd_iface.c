/*
 * Open, close, progress of an srd interface.
 */
#include "srd/uct/srd_iface.h"
#include "srd/uct/srd_ep.h"
#include "srd/assoc/recovery/srd_recover.h"
#include "srd/assoc/srd_ctl_done.h"
#include "srd/assoc/srd_end.h"
#include "srd/assoc/srd_reclaim.h"
#include "srd/peer/srd_names.h"
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

    if (ucs_unlikely(uct_srd_end_must_report(iface))) {
        count += uct_srd_end_report(iface);
    }

    if (ucs_unlikely(!ucs_arbiter_is_empty(&iface->tx.arbiter))) {
        uct_srd_ep_pending_progress(iface);
    }

    return count;
}

/* That of an interface which began with the direct path: most calls find
 * nothing to do, and see that at once. */
static unsigned uct_srd_iface_progress_direct(uct_iface_h tl_iface)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    if (ucs_likely((iface->timers.count == 0) &&
                   !uct_srd_end_must_report(iface) &&
                   ucs_arbiter_is_empty(&iface->tx.arbiter)) &&
        uct_srd_poll_direct_is_idle(iface)) {
        return 0;
    }

    return uct_srd_iface_progress(tl_iface);
}

/* From now on the user means to call progress. UCP arms the events of
 * interfaces that nobody uses yet: if it does not call, that is no sleep any
 * more. */
void uct_srd_iface_progress_enable(uct_iface_h tl_iface, unsigned flags)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);

    uct_base_iface_progress_enable(tl_iface, flags);
    iface->stats->asleep = 0;
}

ucs_status_t uct_srd_iface_flush(uct_iface_h tl_iface,
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

ucs_status_t uct_srd_iface_check_params(const uct_efa_md_t *md,
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
    if (strcmp(params->mode.device.dev_name, uct_efa_md_device_name(md)) != 0) {
        ucs_error("srd: no device %s here, only %s",
                  params->mode.device.dev_name, uct_efa_md_device_name(md));
        return UCS_ERR_NO_DEVICE;
    }

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
    uct_srd_names_init(iface);
    kh_init_inplace(uct_srd_keys, &iface->peers.keys);
    kh_init_inplace(uct_srd_ahns, &iface->peers.ahns);
    iface->trace         = uct_srd_trace_is_wanted();
    iface->house.look    = uct_srd_housekeeping_look;
    iface->resume        = &uct_srd_recover_resume_ops;
    iface->peers.evicted = uct_srd_poll_stash_all;
    uct_srd_timers_init(&iface->timers);
    uct_srd_timer_init(&iface->recover.timer, uct_srd_recover_try);
}

static void uct_srd_iface_queues_cleanup(uct_srd_iface_t *iface)
{
    uct_srd_qp_destroy(&iface->queues);
    uct_srd_cq_destroy(&iface->queues);
    uct_srd_iface_event_cleanup(iface);
}

/* Queues, and what sleepers wait on; events: ucs_ternary_auto_value_t */
static ucs_status_t uct_srd_iface_queues_init(uct_srd_iface_t *iface,
                                              int events)
{
    ucs_status_t status;

    status = uct_srd_iface_event_init(iface, events);
    if (status != UCS_OK) {
        return status;
    }

    status = uct_srd_queues_create(iface, &iface->queues);
    if (status != UCS_OK) {
        uct_srd_iface_event_cleanup(iface);
        return status;
    }

    if (iface->queues.direct.on) {
        iface->super.super.ops.iface_progress = uct_srd_iface_progress_direct;
    }

    if ((iface->event.fd >= 0) && (iface->queues.channel == NULL)) {
        uct_srd_iface_event_cleanup(iface); /* the CQ cannot have one */
    }
    if ((events == UCS_YES) && (iface->event.fd < 0)) {
        ucs_error("srd: UCX_SRD_EVENTS=y, but %s has no completion events",
                  uct_efa_md_device_name(uct_srd_iface_md(iface)));
        uct_srd_iface_queues_cleanup(iface);
        return UCS_ERR_UNSUPPORTED;
    }

    return UCS_OK;
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

ucs_status_t uct_srd_iface_init(uct_srd_iface_t *iface,
                                const uct_iface_params_t *params,
                                const uct_srd_iface_config_t *config)
{
    ucs_status_t status;

    uct_srd_iface_tables_init(iface);

    status = uct_srd_iface_config_check(iface, config);
    if (status != UCS_OK) {
        return status;
    }

    iface->queues.context = uct_srd_iface_context(uct_srd_iface_md(iface));
    if (iface->queues.context == NULL) {
        return UCS_ERR_NO_DEVICE;
    }

    status = uct_srd_iface_self_init(iface);
    if (status != UCS_OK) {
        goto err_context;
    }

    status = uct_srd_slots_init(iface, config, &uct_srd_tx_done_ops);
    if (status != UCS_OK) {
        goto err_context;
    }

    uct_srd_ctl_init(iface, &uct_srd_ctl_done_ops);

    status = uct_srd_desc_pool_init(iface, params, config);
    if (status != UCS_OK) {
        goto err_tx;
    }

    status = uct_srd_iface_queues_init(iface, config->events);
    if (status != UCS_OK) {
        goto err_rx;
    }

    status = uct_srd_iface_start(iface);
    if (status != UCS_OK) {
        goto err_queues;
    }

    return UCS_OK;

err_queues:
    uct_srd_iface_queues_cleanup(iface);
err_rx:
    uct_srd_desc_pool_cleanup(iface);
err_tx:
    uct_srd_slots_cleanup(iface);
err_context:
    uct_efa_context_put(iface->queues.context);
    return status;
}

void uct_srd_iface_cleanup(uct_srd_iface_t *iface)
{
    uct_base_iface_progress_disable(&iface->super.super,
                                    UCT_PROGRESS_SEND | UCT_PROGRESS_RECV);
    uct_srd_show_state(iface, EFA_STATS_IFACE_CLOSING);
    uct_srd_iface_close_eps(iface);
    uct_srd_iface_close_drain(iface);
    uct_efa_ah_cache_remove_owner(iface->queues.context->ahs, iface);
    uct_srd_qp_destroy(&iface->queues);
    uct_srd_iface_close_forget(iface);
    uct_srd_cq_destroy(&iface->queues);
    uct_srd_iface_event_cleanup(iface);
    uct_srd_queues_hide(iface, &iface->queues);
    uct_efa_stats_iface_put(iface->stats);
    uct_srd_desc_pool_cleanup(iface);
    uct_srd_slots_cleanup(iface);
    uct_efa_context_put(iface->queues.context);
    uct_srd_timers_cleanup(&iface->timers);
    kh_destroy_inplace(uct_srd_ahns, &iface->peers.ahns);
    kh_destroy_inplace(uct_srd_keys, &iface->peers.keys);
    uct_srd_names_cleanup(iface);
}
