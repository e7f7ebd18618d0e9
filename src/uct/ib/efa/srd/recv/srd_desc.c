/*
 * Receive descriptors: a pool of registered buffers, posted in chains.
 *
 *   pool --> chain --> RQ --> completion --> chain (not kept)
 *             ^                    | kept by the ring or the user
 *             +---- free list <----+
 *
 * "missing" counts what users keep; it is replaced from the free list or the
 * pool. An empty pool slows senders down (RNR), no more. What the ring keeps is
 * replaced at once; if it cannot be, the ring keeps a copy: the awaited message
 * must always find a descriptor.
 */
#include "srd/recv/srd_desc.h"
#include "srd/queues/srd_direct_rq.h"

void uct_srd_desc_put(uct_srd_iface_t *iface, uct_srd_desc_t *desc)
{
    desc->kept     = 0;
    desc->wr.next  = (struct ibv_recv_wr *)iface->rx.free;
    iface->rx.free = desc;
}

/* The user gives back what its handler kept. */
static void uct_srd_desc_release(uct_recv_desc_t *self, void *user_desc)
{
    uct_srd_iface_t *iface = ucs_container_of(self, uct_srd_iface_t,
                                              rx.release);

    uct_srd_desc_put(iface,
                     UCS_PTR_BYTE_OFFSET(user_desc,
                                         -(ptrdiff_t)(iface->rx.offset -
                                                      iface->rx.headroom)));
}

static void uct_srd_desc_release_ext(uct_recv_desc_t *self, void *user_desc)
{
    uct_srd_iface_t *iface = ucs_container_of(self, uct_srd_iface_t,
                                              rx.release_ext);

    uct_srd_desc_release(&iface->rx.release,
                         UCS_PTR_BYTE_OFFSET(user_desc,
                                             -(ptrdiff_t)UCT_SRD_EXT_LEN));
}

void uct_srd_desc_set_release(uct_srd_iface_t *iface, void *data,
                              uct_recv_desc_t *release)
{
    void *user_desc = UCS_PTR_BYTE_OFFSET(data, -(ptrdiff_t)iface->rx.headroom);

    /* Of an odd headroom nothing in front is aligned. */
    memcpy(&uct_recv_desc(user_desc), &release, sizeof(release));
}

static void uct_srd_desc_init(uct_iface_h tl_iface, void *obj, uct_mem_h memh)
{
    uct_srd_iface_t *iface = ucs_derived_of(tl_iface, uct_srd_iface_t);
    uct_srd_desc_t *desc   = obj;
    void *message          = UCS_PTR_BYTE_OFFSET(desc, iface->rx.offset);

    ucs_assert(((uintptr_t)desc % alignof(uct_srd_desc_t)) == 0);
    desc->sge.addr   = (uintptr_t)message;
    desc->sge.length = uct_srd_iface_md(iface)->dev.max_msg_sz;
    desc->sge.lkey   = uct_efa_memh_lkey(memh);
    desc->wr.wr_id   = (uintptr_t)desc;
    desc->wr.sg_list = &desc->sge;
    desc->wr.num_sge = 1;
    desc->wr.next    = NULL;
    desc->memh       = memh;
    desc->kept       = 1; /* by the pool, which makes many at once */
    desc->all        = iface->rx.all;
    iface->rx.all    = desc;
    uct_srd_desc_set_release(iface, message, &iface->rx.release);
    VALGRIND_MAKE_MEM_DEFINED(message, desc->sge.length);
}

static void uct_srd_desc_post(uct_srd_iface_t *iface)
{
    struct ibv_recv_wr *bad, *next, *chain = iface->rx.chain;
    int ret;

    iface->rx.chain     = NULL;
    iface->rx.chain_len = 0;
    UCT_SRD_COUNT(iface, rx_refills);
    if (iface->queues.direct.on) {
        for (; chain != NULL; chain = chain->next) {
            uct_srd_direct_rq_put(&iface->queues.direct.rq,
                                  ucs_container_of(chain, uct_srd_desc_t, wr));
        }
        uct_srd_direct_rq_ring(&iface->queues.direct.rq);
        return;
    }

    ret = ibv_post_recv(iface->queues.qp, chain, &bad);

    if (ucs_unlikely(ret != 0)) {
        /* Refused: they are tried again with the next refill. */
        for (; bad != NULL; bad = next) {
            next = bad->next;
            uct_srd_desc_put(iface, (uct_srd_desc_t *)bad->wr_id);
            ++iface->rx.missing;
        }
    }
}

uct_srd_desc_t *uct_srd_desc_get(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc = iface->rx.free;

    if (desc != NULL) {
        iface->rx.free = (uct_srd_desc_t *)desc->wr.next;
    } else {
        /* Each try is an error in the log: not with every progress call */
        if ((iface->rx.grow_at != 0) && (ucs_get_time() < iface->rx.grow_at)) {
            return NULL;
        }

        iface->rx.grow_at = 0;
        desc              = ucs_mpool_get(&iface->rx.mp);
        if (desc == NULL) {
            if (!ucs_mpool_is_empty(&iface->rx.mp)) {
                iface->rx.grow_at = ucs_get_time() +
                                    ucs_time_from_sec(UCT_SRD_GROW_PAUSE);
            }
            return NULL;
        }
    }

    /* By the pool, or by a user who gave it back before its handler returned */
    desc->kept = 0;
    return desc;
}

void uct_srd_desc_refill(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc;

    while (iface->rx.missing > 0) {
        desc = uct_srd_desc_get(iface);
        if (desc == NULL) {
            UCT_SRD_COUNT(iface, rx_starved);
            break;
        }

        --iface->rx.missing;
        uct_srd_desc_chain(iface, desc);
        if (iface->rx.chain_len >= UCT_SRD_RX_CHAIN_MAX) {
            uct_srd_desc_post(iface);
        }
    }

    /* Without replacements a short chain may be all there is. */
    if ((iface->rx.chain_len >= iface->config.rx_batch) ||
        ((iface->rx.chain_len > 0) &&
         (iface->rx.missing + iface->rx.chain_len + iface->config.rx_batch >
          iface->rx.depth))) {
        uct_srd_desc_post(iface);
    }
}

void uct_srd_desc_repost(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc;

    for (desc = iface->rx.free; desc != NULL;
         desc = (uct_srd_desc_t *)desc->wr.next) {
        desc->kept = 0; /* given back before its handler returned: kept after */
    }

    iface->rx.free      = NULL;
    iface->rx.chain     = NULL;
    iface->rx.chain_len = 0;
    iface->rx.missing   = iface->rx.depth;
    for (desc = iface->rx.all; desc != NULL; desc = desc->all) {
        if (!desc->kept) {
            uct_srd_desc_put(iface, desc);
        }
    }
}

/* As many buffers as the peers may fill at once: fewer stay in the caches. */
void uct_srd_desc_grow(uct_srd_iface_t *iface)
{
    unsigned depth = ++iface->rx.talkers * UCT_SRD_RX_PER_PEER;

    depth = ucs_min(depth, iface->config.rx_queue_len);
    if (depth > iface->rx.depth) {
        iface->rx.missing += depth - iface->rx.depth;
        iface->rx.depth = depth;
    }
}

/* Where the message stands in a descriptor, and how the pool aligns these. */
static ucs_status_t uct_srd_desc_layout(uct_srd_iface_t *iface,
                                        const uct_iface_params_t *params,
                                        size_t *align_p, size_t *align_offset_p)
{
    size_t align, place;
    ucs_status_t status;

    /* UCP asks for an offset beyond the alignment, too: the remainder
     * counts. */
    status = uct_iface_param_am_alignment(params, SIZE_MAX, 0, 0, &align,
                                          &place);
    if (status != UCS_OK) {
        return status;
    }

    iface->rx.headroom = UCT_IFACE_PARAM_VALUE(params, rx_headroom, RX_HEADROOM,
                                               0);
    if (!ucs_is_pow2(align) || (align > UCT_SRD_RX_ROOM_MAX)) {
        ucs_error("srd: am_alignment %zu: must be a power of two, at most %zu",
                  align, UCT_SRD_RX_ROOM_MAX);
        return UCS_ERR_INVALID_PARAM;
    }

    if (iface->rx.headroom > UCT_SRD_RX_ROOM_MAX) {
        ucs_error("srd: rx_headroom %zu: must be at most %zu",
                  iface->rx.headroom, UCT_SRD_RX_ROOM_MAX);
        return UCS_ERR_INVALID_PARAM;
    }

    iface->rx.align_mask = (params->field_mask &
                            UCT_IFACE_PARAM_FIELD_AM_ALIGNMENT) ?
                                   align - 1 :
                                   0;

    /* The pool aligns the data; the descriptor is whole words before them. */
    align            = ucs_max(align, UCS_SYS_CACHE_LINE_SIZE);
    place            = place % align;
    iface->rx.offset = ucs_align_up_pow2(sizeof(uct_srd_desc_t) +
                                                 sizeof(uct_recv_desc_t *) +
                                                 iface->rx.headroom + place,
                                         alignof(uct_srd_desc_t)) -
                       place;
    *align_p        = align;
    *align_offset_p = (iface->rx.offset + place) % align;
    return UCS_OK;
}

ucs_status_t uct_srd_desc_pool_init(uct_srd_iface_t *iface,
                                    const uct_iface_params_t *params,
                                    const uct_srd_iface_config_t *config)
{
    size_t max_msg = uct_srd_iface_md(iface)->dev.max_msg_sz;
    size_t max_wcs = iface->tx.num_slots + iface->config.rx_queue_len;
    uct_iface_mpool_config_t mp = config->rx.mp;
    size_t elem_size, align, align_offset;
    ucs_status_t status;

    iface->rx.last_key       = UCT_SRD_NO_LAST;
    iface->rx.release.cb     = uct_srd_desc_release;
    iface->rx.release_ext.cb = uct_srd_desc_release_ext;
    uct_srd_ring_pool_init(&iface->rx.rings);

    status = uct_srd_desc_layout(iface, params, &align, &align_offset);
    if (status != UCS_OK) {
        return status;
    }

    elem_size = ucs_max(iface->rx.offset + max_msg, align_offset);
    uct_efa_compat_mpool_limit(&mp, iface->config.rx_queue_len,
                               elem_size + align);
    status = uct_iface_mpool_init(&iface->super, &iface->rx.mp, elem_size,
                                  align_offset, align, &mp,
                                  ucs_min(iface->config.rx_queue_len,
                                          UCT_SRD_RX_PER_PEER),
                                  uct_srd_desc_init, "srd_rx");
    if (status != UCS_OK) {
        return status;
    }

    /* Here, as nobody could be told when it is needed */
    iface->rx.stash = ucs_malloc(max_wcs * sizeof(*iface->rx.stash),
                                 "srd_stash");
    if (iface->rx.stash == NULL) {
        ucs_error("srd: no memory for %zu completions", max_wcs);
        ucs_mpool_cleanup(&iface->rx.mp, 1);
        return UCS_ERR_NO_MEMORY;
    }

    iface->rx.depth = ucs_min(UCT_SRD_RX_PER_PEER, iface->config.rx_queue_len);
    iface->rx.missing = iface->rx.depth;
    return UCS_OK;
}

void uct_srd_desc_pool_cleanup(uct_srd_iface_t *iface)
{
    uct_srd_desc_t *desc;

    while ((desc = iface->rx.free) != NULL) {
        iface->rx.free = (uct_srd_desc_t *)desc->wr.next;
        ucs_mpool_put(desc);
    }

    uct_srd_ring_pool_cleanup(&iface->rx.rings);
    ucs_free(iface->rx.stash);
    /* What was posted comes back with the pool's memory. */
    ucs_mpool_cleanup(&iface->rx.mp, 0);
}
