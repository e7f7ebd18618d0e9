/*
 * The device's queues of an interface (srd_queues_def.h), made and destroyed as
 * one.
 *
 *   create --> the struct takes its place in the interface --> activate the QP
 *
 * Between the two, receives are posted.
 */
#ifndef UCT_SRD_QUEUES_H
#define UCT_SRD_QUEUES_H

#include "srd/def/srd_iface_def.h"

/* CQ and QP. queues: context, self but for the QPN, and the channel, if there
 * is one, are set; the channel is destroyed if the device has no notifications.
 * Logs the cause of a failure. */
ucs_status_t
uct_srd_queues_create(uct_srd_iface_t *iface, uct_srd_queues_t *queues);

/* All but the context's reference. The device may be gone, and then refuses:
 * what it cannot free it has lost anyway. */
void uct_srd_queues_destroy(uct_srd_queues_t *queues);

/* iface->queues have their objects in the segment; and not any more. */
void uct_srd_queues_show(uct_srd_iface_t *iface);
void uct_srd_queues_hide(const uct_srd_iface_t *iface,
                         const uct_srd_queues_t *queues);

/* The queue pair is of no use any more, as a completion says; is it? */
void uct_srd_queues_set_failed(uct_srd_iface_t *iface);

/* As many events of the channel were read. */
void uct_srd_queues_count_events(uct_srd_iface_t *iface, unsigned count);

/* An event is raised for the next completion, or for those not polled yet. Logs
 * the cause of a failure. */
ucs_status_t uct_srd_queues_arm(uct_srd_iface_t *iface);

static inline int uct_srd_queues_is_failed(const uct_srd_iface_t *iface)
{
    return __atomic_load_n(&iface->queues.dead, __ATOMIC_RELAXED);
}

/* ---- the parts: each logs the cause of its failure --------------------- */

ucs_status_t uct_srd_cq_create(uct_srd_iface_t *iface,
                               uct_srd_queues_t *queues);
void         uct_srd_cq_destroy(uct_srd_queues_t *queues);
ucs_status_t uct_srd_qp_create(uct_srd_iface_t *iface,
                               uct_srd_queues_t *queues);
void         uct_srd_qp_destroy(uct_srd_queues_t *queues);

/* The QP of iface->queues is ready to send and receive. */
ucs_status_t uct_srd_qp_activate(uct_srd_iface_t *iface);

/* Asks the device for the queue pair's state. Nonzero: it has failed. A device
 * that is lost is marked as such in the context; one that does not answer lets
 * us wait for as long as its driver does, 30 s with Linux's. */
int          uct_srd_qp_ask(uct_srd_iface_t *iface);

/* A channel for the CQ that will be created, and the device's asynchronous
 * events, in iface->event.fd.
 * UCS_ERR_UNSUPPORTED, not logged, errno says why: the device has none. */
ucs_status_t uct_srd_channel_create(uct_srd_iface_t *iface,
                                    uct_srd_queues_t *queues);
void         uct_srd_channel_destroy(uct_srd_queues_t *queues);

/* What a create call was refused for: errno, which stays. */
void uct_srd_queues_log_error(const uct_efa_md_t *md, const char *what,
                              unsigned num_send, unsigned num_recv,
                              const char *limit_name, int limit);

#endif
