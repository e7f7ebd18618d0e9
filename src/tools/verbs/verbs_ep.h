/*
 * One SRD queue pair with all that it needs, for selftest and doctor echo:
 *
 *   context -- PD -- MR (one buffer)
 *               '--- QP (SRD, RTS) -- CQ -- completion channel
 *
 * Few and small objects of its own: it can run beside applications. Plain verbs
 * and efadv, nothing of the transport's.
 */
#ifndef VERBS_EP_H
#define VERBS_EP_H

#include "tools/verbs/verbs_dl.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    VERBS_EP_DEPTH  = 16,            /* of SQ and RQ                */
    VERBS_EP_BUFFER = 65536          /* bytes, page aligned         */
};

typedef enum {
    VERBS_EP_SEND, VERBS_EP_READ, VERBS_EP_WRITE
} verbs_ep_op_t;

typedef struct {
    const verbs_dl_t        *dl;
    struct ibv_context      *context;
    struct efadv_device_attr attr;
    union ibv_gid           gid;
    struct ibv_pd           *pd;
    struct ibv_comp_channel *channel; /* NULL: the device has no events */
    struct ibv_cq           *cq;
    struct ibv_qp           *qp;
    struct ibv_mr           *mr;
    uint8_t                 *buffer;
    uint32_t                qkey;        /* random: keeps others out     */
    uint32_t                remote_qkey; /* of whom is sent to; else own */
    bool                    has_read, has_write;
    char                    failed[160]; /* what failed, with its reason */
} verbs_ep_t;

/* ep->context is open, the rest is made. Returns 0; or an errno, with
 * ep->failed and nothing to close but the context. */
int verbs_ep_create(verbs_ep_t *ep, const verbs_dl_t *dl);

/* Destroys it all, but the context; the first error, or 0. */
int verbs_ep_destroy(verbs_ep_t *ep);

/* Opens an EFA device by name (NULL: the first). Returns 0, or an errno with
 * ep->failed. */
int verbs_ep_open(verbs_ep_t *ep, const verbs_dl_t *dl, const char *device);
void verbs_ep_close(verbs_ep_t *ep);

struct ibv_ah *verbs_ep_ah(verbs_ep_t *ep, const union ibv_gid *gid);

/* Places in the buffer are bytes from its start. Return 0 or an errno. */
int verbs_ep_post_recv(verbs_ep_t *ep, uint32_t place, uint32_t length);
int verbs_ep_post(verbs_ep_t *ep, verbs_ep_op_t op, struct ibv_ah *ah,
                  uint32_t qpn, uint32_t place, uint32_t length,
                  uint64_t remote_addr, uint32_t rkey);

/* The next completion. 0; ETIMEDOUT: none within so many ms; EIO. */
int verbs_ep_wait(verbs_ep_t *ep, struct ibv_wc *wc, int timeout_ms);

/* Nanoseconds, monotonic. */
uint64_t verbs_ep_now(void);

/* "status UNRESPONSIVE, the remote side answered before...", of a completion
 * that failed. */
const char *verbs_ep_status(const struct ibv_wc *wc, char *buffer, size_t max);

#endif
