/*
 * Buffers of send and put_bcopy, get_bcopy.
 */
#ifndef UCT_SRD_BUF_H
#define UCT_SRD_BUF_H

#include "srd/def/srd_iface_def.h"

/* A pool's element; also the one behind the slots */
void uct_srd_buf_init(uct_iface_h tl_iface, void *obj, uct_mem_h memh);

/* A bcopy buffer, NULL: none (tx.bufs_short is set). There is at least one,
 * which comes back: a send returns uct_srd_tx_no_resource() then. */
uct_srd_buf_t *uct_srd_buf_get_slow(uct_srd_iface_t *iface);

/* A pack callback wrote length bytes to buf, for which there was no room. Puts
 * buf back; UCS_ERR_INVALID_PARAM. */
ucs_status_t uct_srd_buf_overrun(uct_srd_iface_t *iface, uct_srd_buf_t *buf,
                                 size_t length, size_t max, const char *name);

static UCS_F_ALWAYS_INLINE uct_srd_buf_t *
uct_srd_buf_get(uct_srd_iface_t *iface)
{
    uct_srd_buf_t *buf = iface->tx.bufs;

    if (ucs_unlikely(buf == NULL)) {
        return uct_srd_buf_get_slow(iface);
    }

    iface->tx.bufs = buf->next;
    return buf;
}

static UCS_F_ALWAYS_INLINE void uct_srd_buf_put(uct_srd_iface_t *iface,
                                                uct_srd_buf_t *buf)
{
    buf->next            = iface->tx.bufs;
    iface->tx.bufs       = buf;
    iface->tx.bufs_short = 0;
}

#endif
