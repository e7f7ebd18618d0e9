/*
 * Device completion statuses: one table for log, tools, tests and docs.
 * Source: docs/device-facts.md, "Completion status" (efa_io_defs.h of
 * rdma-core, checked against version 44 and 65).
 *
 * X(code, NAME, action of a message, of a control message, of a one-sided
 *   operation, ucs_status, text, cause and next step)
 *
 * text says what happened to one work request; the caller puts it behind the
 * names of both ends. The advice is a sentence of its own.
 */
#ifndef UCT_EFA_STATUS_H
#define UCT_EFA_STATUS_H

#include <ucs/type/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UCT_EFA_STATUS_TABLE(X) \
    X(0, OK, NONE, NONE, NONE, UCS_OK, \
      "success", \
      "nothing to do") \
    X(1, FLUSHED, FAIL_IFACE, FAIL_IFACE, FAIL_IFACE, UCS_ERR_CANCELED, \
      "flushed when the local queue pair was closed", \
      "expected while an interface closes; at any other time the queue pair " \
      "failed: look for an earlier error and at the kernel log (dmesg)") \
    X(2, QP_INTERNAL, FAIL_PEER, FAIL_PEER, FAIL_PEER, UCS_ERR_IO_ERROR, \
      "internal error of the local queue pair", \
      "a fault of the device or its driver: look at the kernel log (dmesg), " \
      "update the EFA driver and restart the program") \
    X(3, UNSUPPORTED_OP, FAIL_PEER, FAIL_PEER, FAIL_OP, UCS_ERR_UNSUPPORTED, \
      "the device does not know this operation", \
      "a fault of this transport or a device that is older than it says: " \
      "please report it with the output of ibv_devinfo -v") \
    X(4, INVALID_AH, FAIL_PEER, FAIL_PEER, FAIL_PEER, UCS_ERR_IO_ERROR, \
      "the address handle is not valid", \
      "a fault of this transport: please report it") \
    X(5, INVALID_LKEY, FAIL_PEER, FAIL_PEER, FAIL_OP, UCS_ERR_INVALID_PARAM, \
      "local memory is not registered, or not for this address or access", \
      "check that the buffer of a zero-copy send stays registered and mapped " \
      "until its completion") \
    X(6, LOCAL_LENGTH, FAIL_PEER, FAIL_PEER, FAIL_OP, UCS_ERR_EXCEEDS_LIMIT, \
      "the message is longer than the device can send", \
      "compare max_msg_sz of ibv_devinfo -v on both hosts; otherwise a fault " \
      "of this transport: please report it") \
    X(7, REMOTE_ADDRESS, FAIL_PEER, FAIL_PEER, FAIL_OP, UCS_ERR_IO_ERROR, \
      "remote memory is not registered, or not for this address or access", \
      "check that the remote buffer stays registered until the transfer has " \
      "finished, and that its key belongs to it") \
    X(8, REMOTE_ABORT, SUSPECT_QP, SUSPECT_QP, SUSPECT_QP, \
      UCS_ERR_CONNECTION_RESET, \
      "the remote side reset the connection", \
      "the remote process or its device went away: look at its output") \
    X(9, REMOTE_QPN, SUSPECT_QP, SUSPECT_QP, SUSPECT_QP, \
      UCS_ERR_ENDPOINT_TIMEOUT, \
      "the remote queue pair does not exist or is in an error state", \
      "the remote process has exited or closed its interface: look at its " \
      "output") \
    X(10, RNR, RESEND, REPEAT, RETRY, UCS_ERR_NO_RESOURCE, \
      "the remote side has no receive buffer", \
      "sent again after a pause; if it happens all the time the remote " \
      "process makes no progress or needs a larger UCX_SRD_RX_QUEUE_LEN") \
    X(11, REMOTE_LENGTH, FAIL_PEER, FAIL_PEER, FAIL_PEER, \
      UCS_ERR_EXCEEDS_LIMIT, \
      "the remote receive buffer is too small", \
      "compare max_msg_sz of ibv_devinfo -v on both hosts; otherwise a fault " \
      "of this transport: please report it") \
    X(12, REMOTE_STATUS, RETRY, RETRY, RETRY, UCS_ERR_IO_ERROR, \
      "the remote device answered with an unexpected status", \
      "sent again a few times; if it stays, update the EFA driver on both " \
      "hosts") \
    X(13, UNRESPONSIVE, SUSPECT_RETRY, SUSPECT_RETRY, SUSPECT_RETRY, \
      UCS_ERR_ENDPOINT_TIMEOUT, \
      "the remote side answered before and does no longer", \
      "sent again a few times; if it stays, the remote host is down or the " \
      "network between is broken") \
    X(14, UNKNOWN_PEER, RETRY, RETRY, HANDSHAKE, UCS_ERR_NOT_CONNECTED, \
      "the remote device has no address handle for us", \
      "one-sided operations need one; it is made by the handshake, which may " \
      "not have finished") \
    X(15, UNREACHABLE, SUSPECT_DEVICE, SUSPECT_DEVICE, SUSPECT_DEVICE, \
      UCS_ERR_UNREACHABLE, \
      "the remote address never answered", \
      "check the security group of both instances: it must allow all traffic " \
      "from and to itself (a rule whose source, and one whose destination, " \
      "is the group's own id), and that both are in the same subnet") \
    X(18, FEATURE_MISMATCH, FAIL_PEER, FAIL_PEER, FAIL_OP, \
      UCS_ERR_UNSUPPORTED, \
      "the remote queue pair was made with other features", \
      "use the same version of this library and of the EFA driver on both " \
      "hosts")

/* What follows (srd-wire.md, 6 and 11). "Suspected": the peer may have been
 * reset, and is asked for some time; only if it was heard from. */
typedef enum {
    UCT_EFA_STATUS_ACTION_NONE,       /* success                            */
    UCT_EFA_STATUS_ACTION_RESEND,     /* back off, send again, without end  */
    UCT_EFA_STATUS_ACTION_REPEAT,     /* its peer's timer sends another one */
    UCT_EFA_STATUS_ACTION_RETRY,      /* send again, a bounded number, then
                                         FAIL_PEER                          */
    UCT_EFA_STATUS_ACTION_SUSPECT_QP, /* suspected for GONE_TIMEOUT, or
                                         FAIL_PEER                          */
    UCT_EFA_STATUS_ACTION_SUSPECT_DEVICE, /* for RECOVERY_TIMEOUT, likewise */
    UCT_EFA_STATUS_ACTION_SUSPECT_RETRY,  /* for RECOVERY_TIMEOUT, or RETRY */
    UCT_EFA_STATUS_ACTION_HANDSHAKE,  /* again after a new handshake        */
    UCT_EFA_STATUS_ACTION_FAIL_OP,    /* the operation alone fails          */
    UCT_EFA_STATUS_ACTION_FAIL_PEER,
    UCT_EFA_STATUS_ACTION_FAIL_IFACE  /* kept for another queue pair        */
} uct_efa_status_action_t;

typedef enum {
    UCT_EFA_STATUS_MESSAGE,
    UCT_EFA_STATUS_CONTROL,
    UCT_EFA_STATUS_RMA,
    UCT_EFA_STATUS_KIND_LAST
} uct_efa_status_kind_t;

#define UCT_EFA_STATUS_CODE(_code, _name, _message, _control, _rma, _status, \
                            _text, _advice) \
    UCT_EFA_STATUS_##_name = _code,
typedef enum {
    UCT_EFA_STATUS_TABLE(UCT_EFA_STATUS_CODE)
    UCT_EFA_STATUS_LAST               /* above the highest known code       */
} uct_efa_status_t;
#undef UCT_EFA_STATUS_CODE

typedef struct {
    const char              *name;    /* e.g. "UNREACHABLE"                 */
    uct_efa_status_action_t action[UCT_EFA_STATUS_KIND_LAST];
    ucs_status_t            status;   /* what the user sees                 */
    const char              *text;    /* what happened                      */
    const char              *advice;  /* likely cause and what to do next   */
} uct_efa_status_desc_t;

/* Never NULL: codes without an entry get a generic one. */
const uct_efa_status_desc_t *uct_efa_status_desc(unsigned vendor_err);

/* Its name; "77" for a code without an entry. Returns buffer. */
#define UCT_EFA_STATUS_NAME_MAX 32
const char *uct_efa_status_name(unsigned vendor_err,
                                char buffer[UCT_EFA_STATUS_NAME_MAX]);

#ifdef __cplusplus
}
#endif

#endif
