/*
 * UCT's face of an interface.
 *
 *   srd_tl.c             UCX's table        srd_iface.c          open, progress
 *   srd_iface_config.c   UCX_SRD_*          srd_iface_address.c  addresses
 *   srd_iface_event.c    sleeping           srd_iface_vfs.c      ucx_vfs
 *   srd_iface_close.c    close              srd_housekeeping.c   now and then
 *   srd_iface_check.c    invariants         srd_iface_query.c    query
 */
#ifndef UCT_SRD_IFACE_H
#define UCT_SRD_IFACE_H

#include "srd/def/srd_iface_def.h"

/* ---- srd_iface.c ------------------------------------------------------- */

/* UCP begins with what is left of an MTU up to an address of this alignment:
 * 1 to an MTU. */
static inline size_t uct_srd_iface_zcopy_align(const uct_srd_iface_t *iface)
{
    return (iface->config.max_msg < UCS_SYS_PCI_MAX_PAYLOAD) ?
                   1 :
                   UCS_SYS_PCI_MAX_PAYLOAD;
}

/* What UCT asks for, before anything is made; logs what is wrong with it. */
ucs_status_t uct_srd_iface_check_params(const uct_efa_md_t *md,
                                        uct_worker_h worker,
                                        const uct_iface_params_t *params);

/* All behind UCT's part of an interface; logs the cause of a failure. */
ucs_status_t uct_srd_iface_init(uct_srd_iface_t *iface,
                                const uct_iface_params_t *params,
                                const uct_srd_iface_config_t *config);
void         uct_srd_iface_cleanup(uct_srd_iface_t *iface);

/* One round: completions, timers, failures, pending. Returns events handled. */
unsigned uct_srd_iface_progress(uct_iface_h iface);
void     uct_srd_iface_progress_enable(uct_iface_h iface, unsigned flags);

/* UCS_INPROGRESS until all messages and operations have completed; comp:
 * NULL */
ucs_status_t uct_srd_iface_flush(uct_iface_h iface, unsigned flags,
                                 uct_completion_t *comp);

/* ---- srd_iface_query.c ------------------------------------------------- */

ucs_status_t uct_srd_iface_query(uct_iface_h iface, uct_iface_attr_t *attr);

/* ---- srd_iface_config.c ------------------------------------------------ */

extern ucs_config_field_t uct_srd_iface_config_table[];

/* Checks config against the device, fills iface->config. */
ucs_status_t uct_srd_iface_config_check(uct_srd_iface_t *iface,
                                        const uct_srd_iface_config_t *config);

/* ---- srd_iface_address.c ----------------------------------------------- */

ucs_status_t uct_srd_iface_get_device_address(uct_iface_h iface,
                                              uct_device_addr_t *addr);
ucs_status_t uct_srd_iface_get_address(uct_iface_h iface,
                                       uct_iface_addr_t *addr);

/* Can there be such an address, and does it speak our protocol? 0: why says why
 * not. */
int uct_srd_iface_address_is_good(const uct_efa_remote_t *remote, char *why,
                                  size_t max);

/* As uct_efa_is_reachable_func_t, and without a reason */
int uct_srd_iface_is_reachable_why(uct_iface_h iface,
                                   const uct_efa_remote_t *remote, char *why,
                                   size_t max);
int uct_srd_iface_is_reachable(const uct_iface_h iface,
                               const uct_device_addr_t *dev_addr,
                               const uct_iface_addr_t *iface_addr);

/* The identity that a good address names */
void uct_srd_iface_address_ident(const void *dev_addr, const void *iface_addr,
                                 uct_srd_ident_t *ident);

/* ---- srd_iface_event.c ------------------------------------------------- */

/* iface->queues has its context; the channel is made here. */
ucs_status_t uct_srd_iface_event_init(uct_srd_iface_t *iface, int wanted);
void         uct_srd_iface_event_cleanup(uct_srd_iface_t *iface);
ucs_status_t uct_srd_iface_event_fd_get(uct_iface_h iface, int *fd_p);
ucs_status_t uct_srd_iface_event_arm(uct_iface_h iface, unsigned events);

/* ---- srd_iface_close.c, in this order ---------------------------------- */

/* Names and closes endpoints that are still open: later nobody can. */
void uct_srd_iface_close_eps(uct_srd_iface_t *iface);

/* Lets what is under way arrive, for a bounded time, and says goodbye. */
void uct_srd_iface_close_drain(uct_srd_iface_t *iface);

/* The queue pair is destroyed: the device has forgotten all work requests; so
 * do we. */
void uct_srd_iface_close_forget(uct_srd_iface_t *iface);

/* ---- srd_iface_check.c ------------------------------------------------- */

#if UCT_SRD_CHECKS
#define UCT_SRD_CHECK_MAX 128 /* characters, with the terminating zero        */

/* Writes which invariant is broken, or "". Not from within callbacks. */
void uct_srd_iface_check(uct_srd_iface_t *iface, char why[UCT_SRD_CHECK_MAX]);
#endif

/* ---- srd_iface_vfs.c, srd_housekeeping.c ------------------------------- */

void uct_srd_iface_vfs_refresh(uct_iface_h iface);

/* Looks around, and says when to do so again (house.look). */
void uct_srd_housekeeping_look(uct_srd_iface_t *iface);

#endif
