/*
 * Device completion statuses: one table for log, tools, tests and docs.
 * Source: docs/device-facts.md, "Completion status" (efa_io_defs.h of
 * rdma-core, checked against version 44 and 65).
 *
 * X(code, NAME, blame, ucs_status, text, cause and next step)
 */
#ifndef UCT_EFA_STATUS_H
#define UCT_EFA_STATUS_H

#include <ucs/type/status.h>

/* What the transport may do with the message that failed (srd-wire.md, 6) */
typedef enum {
    UCT_EFA_STATUS_ACTION_NONE,       /* success                            */
    UCT_EFA_STATUS_ACTION_RESEND,     /* back off, send again, without end  */
    UCT_EFA_STATUS_ACTION_RETRY,      /* send again, a bounded number       */
    UCT_EFA_STATUS_ACTION_FAIL_PEER,
    UCT_EFA_STATUS_ACTION_FAIL_IFACE
} uct_efa_status_action_t;

typedef struct {
    const char              *name;    /* e.g. "UNREACH"                     */
    uct_efa_status_action_t action;
    ucs_status_t            status;   /* what the user sees                 */
    const char              *text;    /* what happened                      */
    const char              *advice;  /* likely cause and what to do next   */
} uct_efa_status_desc_t;

/* Never NULL: codes without an entry get a generic one. */
const uct_efa_status_desc_t *uct_efa_status_desc(unsigned vendor_err);

#endif
