/*
 * Operations that UCT has beyond its public headers (uct_v2.h), as UCP calls
 * them. -1 or UCS_ERR_NOT_IMPLEMENTED: this UCX has no such call, or does not ask
 * the transport.
 */
#ifndef TEST_UCT_V2_PROBE_H
#define TEST_UCT_V2_PROBE_H

#include <uct/api/uct.h>

#ifdef __cplusplus
extern "C" {
#endif

#define V2_NO_LENGTH ((size_t)-1)

/* An address of which is asked; NULL or V2_NO_LENGTH: not passed */
typedef struct {
    const void *dev;
    size_t     dev_length;
    const void *iface;
    size_t     iface_length;
    int        same_device; /* scope */
} v2_address_t;

/* Are there lengths of addresses? */
int v2_has_lengths(void);

int v2_is_reachable(uct_iface_h iface, const v2_address_t *address, char *why,
                    size_t max);
int v2_is_connected(uct_ep_h ep, const void *dev, const void *iface);

/* Endpoint from an address with lengths */
ucs_status_t v2_ep_create(uct_iface_h iface, const v2_address_t *address,
                          uct_ep_h *ep_p);

/* Pieces of one list */
typedef struct {
    void             *buffers[32];
    size_t           lengths[32];
    uct_mem_h        memhs[32];
    uint64_t         remote_addrs[32];
    uct_rkey_t       rkeys[32];
    size_t           counts[32];
    size_t           strides[32];
    size_t           count;
    int              has_strides;
} v2_sgl_t;

/* Most pieces, as told. 0: none, or this UCX knows no lists. *has_p: is the
 * capability there? */
size_t v2_sgl_max(uct_iface_h iface, int is_get, int *has_p);
ucs_status_t v2_sgl(uct_ep_h ep, int is_get, const v2_sgl_t *sgl,
                    uct_completion_t *comp);

/* What is not offered: UCS_ERR_UNSUPPORTED */
ucs_status_t v2_ep_query(uct_ep_h ep);
ucs_status_t v2_outstanding_purge(uct_ep_h ep);
ucs_status_t v2_connect_to_ep(uct_ep_h ep);
ucs_status_t v2_get_device_ep(uct_ep_h ep);
ucs_status_t v2_query_tokens(uct_iface_h iface);

ucs_status_t v2_invalidate(uct_ep_h ep);

#ifdef __cplusplus
}
#endif

#endif
