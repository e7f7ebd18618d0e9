/*
 * An srd interface: one SRD queue pair, one completion queue, its peers. Each
 * part has one folder or file that writes it, which stands above it.
 */
#ifndef UCT_SRD_IFACE_DEF_H
#define UCT_SRD_IFACE_DEF_H

#include "srd/def/srd_config_def.h"
#include "srd/def/srd_desc_def.h"
#include "srd/def/srd_ep_def.h"
#include "srd/def/srd_peer_def.h"
#include "srd/def/srd_queues_def.h"
#include "srd/def/srd_slot_def.h"

struct uct_srd_iface {
    uct_base_iface_t      super;

    uct_srd_queues_t      queues;     /* queues/, swapped by assoc/recovery/ */
    uct_efa_stats_iface_t *stats;     /* counters                            */

    /* send/ */
    struct {
        uct_srd_slot_t      **free;   /* stack of free slots                 */
        unsigned            num_free;
        unsigned            num_ctl;  /* of ctl_free                         */
        unsigned            max_inline;
        unsigned            batch;    /* sends waiting for the doorbell      */
        uint8_t             batching;
        uint8_t             rma_batching;
        uint8_t             bufs_short; /* a buffer was wanted in vain       */
        uct_srd_ep_t        *pending_ep;/* whose pending request is running  */
        struct ibv_send_wr  wr[UCT_SRD_WR_LAST]; /* for the fast path        */
        uct_srd_buf_t       *bufs;    /* free bcopy buffers                  */
        uct_srd_buf_t       *all;     /* and those in use                    */
        unsigned            num_bufs; /* that there are, one not of the pool */
        ucs_time_t          grow_at;  /* no memory: not to be tried before   */
        ucs_arbiter_t       arbiter;
        uct_srd_slot_t      *ctl_free[UCT_SRD_CTL_SLOTS];
        struct ibv_send_wr  wrs[UCT_SRD_POST_BATCH];
        struct ibv_sge      sges[UCT_SRD_POST_BATCH][2];
        const uct_srd_slot_ops_t *ops; /* of a free slot                     */
        uct_srd_slot_t      *slots;   /* the last ones: control messages'    */
        unsigned            num_slots;
        uct_srd_una_pool_t  unas;     /* bitmaps of peers' sequences         */
        ucs_list_link_t     rma_peers;/* with one-sided operations under way */
        unsigned            fence_seq; /* fences of the interface so far     */
        void                *slots_mem;
        size_t              slots_len;
        uct_mem_h           slots_memh;
        ucs_mpool_t         buf_mp;
        ucs_mpool_t         flush_mp;
    } tx;

    /* recv/; special, asserted, unverified, last_*: peer/srd_peer_ah.c */
    struct {
        struct uct_srd_poll *poll;    /* rounds under way, innermost first;  */
        unsigned            direct_rounds; /* of the direct path: how many   */
        uct_srd_rx_wc_t     *stash;   /* completions to be handled first     */
        unsigned            stash_len;/* room: all that can be in the CQ     */
        uint64_t            last_key; /* or UCT_SRD_NO_LAST                  */
        uct_srd_peer_t      *last_peer;
        uct_srd_rx_current_t *current;/* innermost                           */
        struct ibv_recv_wr  *chain;   /* descriptors to post again           */
        unsigned            chain_len;
        unsigned            missing;  /* kept by users and not yet replaced  */
        ucs_time_t          grow_at;  /* no memory: not to be tried before   */
        unsigned            depth;    /* buffers for today's peers           */
        unsigned            talkers;  /* peers that were ever heard from     */
        unsigned            special;  /* reasons not to poll in the plain way:
                                         peers that may be heard without AH, or
                                         whose GID only they themselves say;
                                         unverified; a stash                 */
        unsigned            asserted; /* peers that exist for no other reason
                                         than their own word                 */
        uint8_t             unverified; /* a peer had no AH until now: what it
                                         sent before may be in the CQ        */
        uct_srd_desc_t      *free;
        uct_srd_desc_t      *all;     /* wherever they are                   */
        uct_srd_ring_pool_t rings;    /* places of peers without a gap       */
        uct_recv_desc_t     release;
        uct_recv_desc_t     release_ext; /* payload behind an ext. header    */
        size_t              headroom; /* of the user, bytes                  */
        size_t              offset;   /* of the message in a descriptor      */
        size_t              align_mask; /* of the data, as asked; else 0     */
        ucs_mpool_t         mp;
    } rx;

    /* when to look around: uct/srd_housekeeping.c; look_at = 0: by whoever has
     * something to be looked at soon */
    struct {
        uint64_t            look_at;  /* stats->polls of the next look,      */
        unsigned            interval; /* so many after the last one,         */
        ucs_time_t          looked;   /* and when that was                   */
        void                (*look)(uct_srd_iface_t *iface);
        uint64_t            ahs_wanted; /* of the AH cache, at the last look */
    } house;

    uct_srd_timers_t      timers;

    /* peer/ */
    struct {
        khash_t(uct_srd_names)  names;
        khash_t(uct_srd_keys)   keys;
        khash_t(uct_srd_ahns)   ahns; /* AH number -> as last seen           */
        ucs_list_link_t     alive;    /* all that are in the tables          */
        ucs_list_link_t     failed;   /* whose failure is to be reported     */
        ucs_list_link_t     ended;    /* it was, or nobody is there to hear  */
        ucs_list_link_t     failed_eps; /* and endpoints of living peers     */
        ucs_list_link_t     with_ah;  /* who was passed over is the last     */
        unsigned            num_with_ah;
        uint32_t            epoch;    /* last one given out                  */
        uct_srd_uid_key_t   uid_key;
        uct_efa_ah_evicted_func_t evicted; /* recv/srd_poll.c, arg: iface    */
    } peers;

    /* assoc/srd_identity.c: whom we did not listen to */
    struct {
        uct_srd_ident_t     rejected; /* spoke another version last          */
        struct {
            uct_srd_ident_t ident;
            uint32_t        epoch;
        }                   refused[UCT_SRD_REFUSED]; /* for want of memory or
                                         room: what follows must not be
                                         delivered                           */
        unsigned            num_refused; /* ever: the last ones are kept     */
    } assoc;

    const uct_srd_resume_ops_t *resume; /* what assoc/recovery/ adds         */

    /* assoc/recovery/srd_recover.c */
    struct {
        uint8_t             is;       /* no queue pair that works            */
        uint8_t             failed;   /* for too long: peers were failed     */
        uint8_t             flushed;  /* it gives its receives back          */
        ucs_time_t          looked;   /* at the device's events              */
        ucs_time_t          began;
        ucs_time_t          deadline;
        uct_srd_timer_t     timer;    /* next try                            */
        uint64_t            quiet_at; /* srd_lost.c: so much has ended and   */
        ucs_time_t          quiet_since; /* come, and no more since          */
    } recover;

    /* uct/srd_iface_event.c */
    struct {
        int                 fd;       /* epoll set, -1: no events            */
        int                 timer_fd;
        uct_efa_watcher_t   watcher;  /* by timer_fd                         */
    } event;

    /* peer/srd_show.c: the time of the segment */
    struct {
        uint64_t            now;      /* of the segment, at                  */
        ucs_time_t          ticks;
        ucs_time_t          fresh;    /* and for how long                    */
    } shown;

    uint8_t               closing;    /* uct/srd_iface_close.c               */
    uint8_t               trace;      /* packet lines, in the slow paths     */

    /* uct/srd_iface_config.c */
    struct {
        size_t              max_msg;  /* bytes                               */
        unsigned            tx_window;   /* for which bitmaps are long enough*/
        unsigned            peer_window; /* and what a peer may use of it    */
        unsigned            rx_window;
        unsigned            tx_queue_len;
        unsigned            rx_queue_len;
        unsigned            rx_batch;
        unsigned            rnr_retry;
        unsigned            retry_count;
        unsigned            max_poll;
        uint8_t             rdma_read;   /* the device does it, and may      */
        uint8_t             rdma_write;
        int                 direct;      /* ucs_ternary_auto_value_t         */
        unsigned            rdma_short;  /* bytes in a slot: put_short       */
        size_t              rdma_bcopy;  /* and in a buffer: put, get_bcopy  */
        size_t              rdma_zcopy;
        double              close_timeout; /* seconds                        */
        double              gone_timeout;
        double              recovery_timeout;
        double              latency;       /* that UCX is told, one way      */
    } config;
};

#define UCT_SRD_COUNT(_iface, _name)       (++(_iface)->stats->_name)
#define UCT_SRD_COUNT_ADD(_iface, _name, _n) ((_iface)->stats->_name += (_n))

static UCS_F_ALWAYS_INLINE uct_efa_md_t *
uct_srd_iface_md(const uct_srd_iface_t *iface)
{
    return ucs_derived_of(iface->super.md, uct_efa_md_t);
}

#endif
