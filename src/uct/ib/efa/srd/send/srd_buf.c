/*
 * Buffers of send and put_bcopy, get_bcopy: made when they are needed. If there
 * is no memory then, the one behind the slots carries all messages, one after
 * the other: who asks UCT for a send can wait for a buffer, but not all users
 * can do without the message. UCP, for one, does not tell the other side that
 * an answer could not be sent.
 */
#include "srd/send/srd_buf.h"

void uct_srd_buf_init(uct_iface_h tl_iface, void *obj, uct_mem_h memh)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    uct_srd_buf_t *buf     = obj;

    buf->lkey     = uct_efa_memh_lkey(memh);
    buf->memh     = memh;
    buf->all      = iface->tx.all;
    iface->tx.all = buf;
}

uct_srd_buf_t *uct_srd_buf_get_slow(uct_srd_iface_t *iface)
{
    uct_srd_buf_t *buf = NULL;

    if ((iface->tx.grow_at == 0) || (ucs_get_time() >= iface->tx.grow_at)) {
        iface->tx.grow_at = 0;
        buf               = ucs_mpool_get(&iface->tx.buf_mp);
        if (buf != NULL) {
            ++iface->tx.num_bufs; /* stays in tx.bufs when it is free again */
            return buf;
        }

        if (!ucs_mpool_is_empty(&iface->tx.buf_mp)) {
            /* Each try is an error in the log */
            iface->tx.grow_at = ucs_get_time() +
                                ucs_time_from_sec(UCT_SRD_GROW_PAUSE);
            ucs_warn("srd: no memory for more than %u send buffers, sends wait "
                     "for these: raise `ulimit -l`, or lower "
                     "UCX_SRD_TX_BUFS_GROW; see the error above",
                     iface->tx.num_bufs);
        }
    }

    iface->tx.bufs_short = 1;
    UCT_TL_IFACE_STAT_TX_NO_DESC(&iface->super);
    return NULL;
}

/* In the words of UCT_CHECK_LENGTH */
ucs_status_t uct_srd_buf_overrun(uct_srd_iface_t *iface, uct_srd_buf_t *buf,
                                 size_t length, size_t max, const char *name)
{
    uct_srd_buf_put(iface, buf);
    ucs_error("Invalid %s length: %zu (expected: <= %zu)", name, length, max);
    return UCS_ERR_INVALID_PARAM;
}
