/*
 * An srd interface: one SRD queue pair, one completion queue, its peers.
 *
 *   srd_iface.c    open, query, progress              srd_close.c   close
 *   srd_address.c  addresses
 *   srd_config.c   UCX_SRD_*                          srd_qp.c      CQ and QP
 *   srd_event.c    sleeping: completion channel and deadlines in one fd
 *   srd_ep.c       endpoints, pending requests
 *   srd_am.c       active messages                    srd_flush.c   flush, check
 *   srd_rma.c      put and get                        srd_rma_tx.c  their life
 *   srd_rma_sgl.c  several in one call
 *   srd_tx.c       windows, batches                   srd_slot.c    its memory
 *   srd_resend.c   errors, sending again
 *   srd_poll.c     polling, the fast path of receiving
 *   srd_rx.c       order, dispatch                    srd_desc.c    its memory
 *   srd_peer.c     peers: states, failure, leaving
 *   srd_peer_ah.c  their address handles, whom a completion means
 *   srd_control.c  control messages out               srd_receive.c and in
 *   srd_recover.c  a new device and queue pair after a reset
 *   srd_rejoin.c   peers, after our reset or theirs   srd_rekey.c  their keys
 *   srd_show.c     what is, at present, in the window
 *   srd_trace.c    packet lines in the log
 *   srd_vfs.c      and in UCX's own view
 *
 * Everything here belongs to the interface's worker thread.
 */
#ifndef UCT_SRD_IFACE_H
#define UCT_SRD_IFACE_H

#include "base/md/efa_md.h"
#include "stats/efa_status.h"

#include "srd/wire/srd_hash.h"
#include "srd/wire/srd_ring.h"
#include "srd/wire/srd_timer.h"
#include "srd/wire/srd_uid.h"
#include "srd/wire/srd_una.h"
#include "srd/wire/srd_wire.h"

#include <stdalign.h>

typedef struct uct_srd_iface uct_srd_iface_t;
typedef struct uct_srd_peer  uct_srd_peer_t;
typedef struct uct_srd_ep    uct_srd_ep_t;

#define UCT_SRD_POLL_BATCH     16u    /* completions of one ibv_poll_cq()    */
#define UCT_SRD_CTL_SLOTS      32u    /* kept for control messages           */
#define UCT_SRD_RETRY_MAX      254u   /* are counted in 8 bits               */
#define UCT_SRD_INLINE_AREA    192u   /* bytes of payload in a slot          */
#define UCT_SRD_RX_PER_PEER    256u   /* receive buffers                     */
#define UCT_SRD_GROW_PAUSE     1      /* between two tries to get memory, s  */
#define UCT_SRD_MAX_IOV        1      /* the device has 2, one is the header */
#define UCT_SRD_POST_BATCH     32u    /* sends of one doorbell               */
#define UCT_SRD_MAX_SGL        8u     /* operations of one call, one doorbell */

/* ---- sending: srd_tx.c ------------------------------------------------- */

/* What a slot holds besides a short message */
enum {
    UCT_SRD_SLOT_BUF    = UCS_BIT(0), /* buf and sge[2]: a bcopy buffer      */
    UCT_SRD_SLOT_ZCOPY  = UCS_BIT(1), /* sge[0,1], comp, ep: the user's      */
    UCT_SRD_SLOT_CTL    = UCS_BIT(2), /* control message, not in PSN order   */
    UCT_SRD_SLOT_AH     = UCS_BIT(3), /* ah: a reference to give back        */
    UCT_SRD_SLOT_CANCEL = UCS_BIT(4), /* complete as cancelled               */
    UCT_SRD_SLOT_QUEUED = UCS_BIT(5), /* in a queue of the peer, not posted  */
    UCT_SRD_SLOT_SILENT = UCS_BIT(6), /* the send call failed: no completion */
    UCT_SRD_SLOT_RMA    = UCS_BIT(7), /* rma, sge[1]; ZCOPY: comp, ep, too   */
    UCT_SRD_SLOT_READ   = UCS_BIT(8), /* of RMA: a get                       */
    UCT_SRD_SLOT_DEVICE = UCS_BIT(9), /* of ZCOPY: memory that no CPU reads  */
    UCT_SRD_SLOT_LOST   = UCS_BIT(10), /* a dead device has it: srd_recover.c */
    UCT_SRD_SLOT_AGAIN  = UCS_BIT(11) /* was posted before; retries counts   */
};

/* Work requests that are prepared as far as they are always the same. The user's
 * memory may be a GPU's, which libefa cannot copy. */
enum {
    UCT_SRD_WR_BUF,               /* one buffer of ours                      */
    UCT_SRD_WR_INLINE,            /* as above, which libefa copies           */
    UCT_SRD_WR_USER,              /* with the user's memory, 1 or 2          */
    UCT_SRD_WR_LAST
};

/* Part of a work request that depends on the peer alone; as in ibv_send_wr */
typedef struct {
    struct ibv_ah *ah;
    uint32_t      qpn;
    uint32_t      qkey;
} uct_srd_dest_t;

/* A one-sided operation; sge[1] is the local memory, buf or the user's */
typedef struct {
    uint64_t              remote_addr;
    struct uct_srd_buf    *buf;   /* put_bcopy, get_bcopy                    */
    uct_unpack_callback_t unpack; /* get_bcopy                               */
    void                  *arg;
    uct_srd_ep_t          *ep;    /* NULL: closed meanwhile                  */
    uint32_t              rkey;   /* as the user gave it,                    */
    uint8_t               generation; /* of the remote device then           */
} uct_srd_rma_t;

/*
 * One message from the send call until the device has delivered it:
 *
 *   +-------------+----------------+------------------------------+
 *   | bookkeeping | room for the   | payload of a short message,  |
 *   |             | extended header| header of a zero-copy one    |
 *   +-------------+----------------+------------------------------+
 *                 ^ registered memory; sge[0] -> payload, always
 */
typedef struct uct_srd_slot {
    uct_srd_peer_t   *peer;       /* NULL: control message to a stranger     */
    struct ibv_sge   sge[3];      /* data[], the user's memory, buf          */
    uct_completion_t *comp;
    union {
        struct uct_srd_buf *buf;
        uct_srd_ep_t       *ep;
        uct_efa_ah_t       *ah;
    };
    union {
        ucs_queue_elem_t queue;
        uct_srd_dest_t   dest;    /* of a control message                    */
    };
    uint32_t         imm;         /* AM id and PSN; epoch and flags if CTL;
                                     place in the peer's sequence if RMA     */
    uint16_t         flags;       /* 0 in a free slot and a short message    */
    uint8_t          retries;     /* 0 unless AGAIN                          */
    uint8_t          op;          /* of a control message                    */
    uct_mem_h        memh;        /* of sge[1], if it is the user's          */
    union {
        uint8_t       room[UCT_SRD_EXT_LEN];
        uct_srd_rma_t rma;        /* has no header                           */
    };
    uint8_t          data[UCT_SRD_INLINE_AREA];
} UCS_V_ALIGNED(UCS_SYS_CACHE_LINE_SIZE) uct_srd_slot_t;

static_assert(sizeof(uct_srd_rma_t) <= UCT_SRD_EXT_LEN,
              "the room of the header is right before the payload");

/* A bcopy buffer: registered, max_msg_sz of payload behind the room */
typedef struct uct_srd_buf {
    struct uct_srd_buf *next;
    struct uct_srd_buf *all;      /* next in iface->tx.all                   */
    uct_mem_h          memh;
    uint32_t           lkey;
    uint32_t           reserved;
    uint8_t            room[UCT_SRD_EXT_LEN];
    uint8_t            data[];
} uct_srd_buf_t;

/* Low bit of wr_id, which is the slot or the descriptor; a receive has 0 */
#define UCT_SRD_WR_ID_SEND     1ul

static_assert(alignof(uct_srd_slot_t) > UCT_SRD_WR_ID_SEND,
              "the low bit of its address is free");
static_assert(offsetof(uct_srd_buf_t, data) % alignof(uct_srd_buf_t) == 0,
              "aligned, since its data are");

/* ---- receiving: srd_rx.c ----------------------------------------------- */

/*
 *   +------+---------+----------+---------------+------------------------+
 *   | desc | padding | *release | user headroom | message                |
 *   +------+---------+----------+---------------+------------------------+
 *   ^ aligned                                   ^ aligned as the user asks;
 *                                                 what is before it as it falls
 */
typedef struct uct_srd_desc {
    struct ibv_recv_wr wr;        /* prepared once; next links a chain       */
    struct ibv_sge     sge;
    uint32_t           length;    /* while it waits in the reorder ring:     */
    uint16_t           am_id;     /* bytes, AM id,                           */
    uint16_t           offset;    /* of the payload: 0 or UCT_SRD_EXT_LEN    */
    struct uct_srd_desc *all;     /* next in iface->rx.all                   */
    uct_mem_h          memh;
    uint64_t           kept;      /* by the user, the reorder ring, the pool */
} uct_srd_desc_t;

static_assert(alignof(uct_srd_desc_t) > UCT_SRD_WR_ID_SEND,
              "the low bit of its address is free");

/* Whose messages are being delivered, one behind the other */
typedef struct uct_srd_rx_current {
    uct_srd_peer_t            *peer;  /* NULL: it has ended                  */
    struct uct_srd_rx_current *outer;
} uct_srd_rx_current_t;

typedef struct {
    struct ibv_wc wc;
    int           has_gid;
    union ibv_gid gid;            /* of the sender, if has_gid               */
} uct_srd_rx_wc_t;

/* ---- peer tables ------------------------------------------------------- */

/* Two peers may have one GID and QPN: one of them is stale, or was given a
 * wrong address. Under which of these a peer is listed: srd_names.c. */
typedef struct {
    uint8_t  gid[16];
    uint32_t qpn;
    uint32_t qkey;
} uct_srd_ident_t;

/* What an AH number means to us */
typedef struct {
    union ibv_gid  gid;
    uct_srd_peer_t *peers;            /* with a key of that number           */
} uct_srd_ahn_t;

#define UCT_SRD_ANY_QKEY 0xffffffffu  /* no interface has these              */
#define UCT_SRD_ANY_QPN  0xffffffffu

static UCS_F_ALWAYS_INLINE uint32_t uct_srd_ident_hash(uct_srd_ident_t id)
{
    return uct_srd_hash_ident(id.gid, id.qpn, id.qkey);
}

static UCS_F_ALWAYS_INLINE int
uct_srd_ident_equal(uct_srd_ident_t a, uct_srd_ident_t b)
{
    return (a.qpn == b.qpn) && (a.qkey == b.qkey) &&
           (memcmp(a.gid, b.gid, sizeof(a.gid)) == 0);
}

KHASH_INIT(uct_srd_idents, uct_srd_ident_t, uct_srd_peer_t*, 1,
           uct_srd_ident_hash, uct_srd_ident_equal)
KHASH_INIT(uct_srd_ahns, uint32_t, uct_srd_ahn_t, 1, uct_srd_hash_key,
           kh_int_hash_equal)
KHASH_INIT(uct_srd_keys, uint32_t, uct_srd_peer_t*, 1, uct_srd_hash_key,
           kh_int_hash_equal)

#define UCT_SRD_NO_KEY  0xffffffffu   /* AH number unknown: never in a table */
#define UCT_SRD_NO_LAST UINT64_MAX    /* the key of no completion            */

static UCS_F_ALWAYS_INLINE uint32_t uct_srd_key(uint16_t ahn, uint32_t qpn)
{
    return ((uint32_t)ahn << 16) | (qpn & 0xffff);
}

/* ---- configuration ----------------------------------------------------- */

typedef struct {
    uct_iface_config_t super;
    size_t             seg_size;      /* bytes                               */
    struct {
        unsigned                 queue_len;
        unsigned                 window;
        unsigned                 rnr_retry;
        unsigned                 retry_count;
        uct_iface_mpool_config_t mp;
    } tx;
    struct {
        unsigned                 queue_len;
        unsigned                 window;
        unsigned                 batch;
        uct_iface_mpool_config_t mp;
    } rx;
    unsigned           max_poll;
    int                events;        /* ucs_ternary_auto_value_t            */
    int                rdma;          /* ucs_ternary_auto_value_t            */
    double             close_timeout; /* seconds                             */
    unsigned           max_claimed;
    double             gone_timeout;
    double             recovery_timeout;
} uct_srd_iface_config_t;

/* ---- the interface ----------------------------------------------------- */

/* Associations of which a message was dropped, for want of memory or room: what
 * follows must not be delivered. */
#define UCT_SRD_REFUSED 16

struct uct_srd_iface {
    uct_base_iface_t super;

    uct_efa_context_t *context;       /* of all that follows                 */
    struct ibv_cq    *cq;
    struct ibv_qp    *qp;
    struct ibv_qp_ex *qp_ex;          /* the same: one-sided operations      */
    uct_efa_stats_iface_t *stats;      /* counters                            */

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
        uct_srd_slot_t      *slots;
        unsigned            num_slots;
        ucs_list_link_t     rma_peers;/* with one-sided operations under way */
        unsigned            fence_beat; /* fences of the interface so far    */
        void                *slots_mem;
        size_t              slots_len;
        uct_mem_h           slots_memh;
        ucs_mpool_t         buf_mp;
        ucs_mpool_t         flush_mp;
    } tx;

    struct {
        struct uct_srd_poll *poll;    /* rounds under way, innermost first   */
        uct_srd_rx_wc_t     *stash;   /* completions to be handled first     */
        unsigned            stash_len;/* room: all that can be in the CQ     */
        uint64_t            last_key; /* or UCT_SRD_NO_LAST                  */
        uct_srd_peer_t      *last_peer;
        uct_srd_rx_current_t *current;/* innermost                           */
        struct ibv_recv_wr  *chain;   /* descriptors to post again           */
        unsigned            chain_len;
        uint64_t            look_at;  /* stats->polls of the next look around, */
        unsigned            effort;   /* so many after the last one,         */
        ucs_time_t          looked;   /* and when that was                   */
        unsigned            missing;  /* kept by users and not yet replaced  */
        ucs_time_t          grow_at;  /* no memory: not to be tried before   */
        unsigned            depth;    /* buffers for today's peers           */
        unsigned            talkers;  /* peers that were ever heard from     */
        unsigned            special;  /* reasons not to poll in the plain way:
                                         peers that may be heard without AH, or
                                         whose GID only they themselves say;
                                         wary; a stash                       */
        unsigned            claimed;  /* peers that exist for no other reason
                                         than their own word                 */
        uint8_t             wary;     /* a peer had no AH until now: the CQ may
                                         hold what it sent before            */
        uct_srd_desc_t      *free;
        uct_srd_desc_t      *all;     /* wherever they are                   */
        uct_recv_desc_t     release;
        uct_recv_desc_t     release_ext; /* payload behind an ext. header    */
        size_t              headroom; /* of the user, bytes                  */
        size_t              offset;   /* of the message in a descriptor      */
        size_t              align_mask; /* of the data, as asked; else 0     */
        ucs_mpool_t         mp;
    } rx;

    uct_srd_timers_t        timers;
    ucs_list_link_t         failed;   /* peers whose failure is to be told   */
    ucs_list_link_t         told;     /* it was, or nobody is there to hear  */
    ucs_list_link_t         failed_eps; /* and endpoints of living peers     */
    ucs_list_link_t         peers;    /* all that are in the tables          */
    ucs_list_link_t         ah_peers; /* of which have an AH; who was passed
                                         over is the last                    */
    unsigned                num_ah_peers;
    khash_t(uct_srd_idents) idents;
    khash_t(uct_srd_keys)   keys;
    khash_t(uct_srd_ahns)   ahns;     /* AH number -> as last seen           */

    uct_srd_ext_t           self;     /* who we are; the UID and from epoch
                                         on vary                             */
    uct_srd_uid_key_t       uid_key;
    uint32_t                epoch;    /* last one given out                  */
    uint8_t                 closing;
    uint8_t                 trace;    /* packet lines, in the slow paths     */
    uint64_t                ahs_wanted; /* of the AH cache, when last looked */
    uct_srd_ident_t         rejected; /* who spoke another version last      */
    struct {
        uct_srd_ident_t ident;
        uint32_t        epoch;
    }                       refused[UCT_SRD_REFUSED];
    unsigned                num_refused; /* ever: the last ones are kept     */

    struct {                          /* srd_recover.c                       */
        uint8_t             is;       /* no queue pair that works            */
        uint8_t             failed;   /* for too long: peers were failed     */
        int                 qp_dead;  /* set by any thread                   */
        uint8_t             flushed;  /* it gives its receives back          */
        ucs_time_t          looked;   /* at the device's events              */
        ucs_time_t          began;
        ucs_time_t          deadline;
        uct_srd_timer_t     timer;    /* next try                            */
    } recover;

    struct {
        int                     fd;       /* epoll set, -1: no events        */
        int                     timer_fd;
        uct_efa_watcher_t       watcher;  /* by timer_fd                     */
        struct ibv_comp_channel *channel;
        unsigned                unacked;
    } event;

    struct ibv_cq_ex        *cq_ex;
    struct efadv_cq         *cq_efa;  /* NULL: no source GIDs                */

    struct {                          /* srd_show.c: objects in the window   */
        uct_efa_stats_object_t *cq;
        uct_efa_stats_object_t *qp;
        uint64_t            now;      /* of the window, at                   */
        ucs_time_t          ticks;
        ucs_time_t          fresh;    /* and for how long                    */
    } shown;

    struct {
        size_t              max_msg;  /* bytes                               */
        unsigned            tx_window;   /* for which there is a bitmap      */
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
        unsigned            rdma_short;  /* bytes in a slot: put_short       */
        size_t              rdma_bcopy;  /* and in a buffer: put, get_bcopy  */
        size_t              rdma_zcopy;
        double              close_timeout; /* seconds                        */
        unsigned            max_claimed; /* peers                         */
        double              gone_timeout;
        double              recovery_timeout;
    } config;
};

#define UCT_SRD_COUNT(_iface, _name)       (++(_iface)->stats->_name)
#define UCT_SRD_COUNT_ADD(_iface, _name, _n) ((_iface)->stats->_name += (_n))

static UCS_F_ALWAYS_INLINE uct_efa_md_t *
uct_srd_iface_md(const uct_srd_iface_t *iface)
{
    return ucs_derived_of(iface->super.md, uct_efa_md_t);
}

/* UCP begins with what is left of an MTU up to an address of this alignment:
 * 1 to an MTU. */
static inline size_t uct_srd_iface_zcopy_align(const uct_srd_iface_t *iface)
{
    return (iface->config.max_msg < UCS_SYS_PCI_MAX_PAYLOAD) ?
           1 : UCS_SYS_PCI_MAX_PAYLOAD;
}

extern ucs_config_field_t uct_srd_iface_config_table[];

/* "fe80::1/5": 64 bytes of buffer suffice */
const char *uct_srd_addr_str(const void *gid, uint32_t qpn, char *buf,
                             size_t max);

/* The same without the QPN */
const char *uct_srd_gid_str(const void *gid, char *buf, size_t max);

/* srd_address.c */
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
void uct_srd_ident_unpack(const void *dev_addr, const void *iface_addr,
                          uct_srd_ident_t *ident);

/* srd_config.c: checks config against the device, fills iface->config. */
ucs_status_t uct_srd_iface_config_check(uct_srd_iface_t *iface,
                                        const uct_srd_iface_config_t *config);

/* ---- srd_recover.c ------------------------------------------------------ */

/* Has the device something to say? If it or our queue pair is lost, begins to
 * recover. At most every 10 ms. */
void uct_srd_recover_look(uct_srd_iface_t *iface);

/* Is there something to recover from that has been seen by somebody, but not by
 * recover_look()? Asks nobody. */
int uct_srd_recover_is_due(const uct_srd_iface_t *iface);

/* The queue pair is of no use any more, as a completion says. */
void uct_srd_recover_qp_dead(uct_srd_iface_t *iface);

/* The timer's function */
void uct_srd_recover_try(uct_srd_timer_t *timer);

/* srd_close.c, in this order; the QP is destroyed between the last two. The
 * first names and closes endpoints that are still open: later nobody can. */
void uct_srd_iface_close_eps(uct_srd_iface_t *iface);
void uct_srd_iface_drain(uct_srd_iface_t *iface);
void uct_srd_iface_forget_peers(uct_srd_iface_t *iface);

/* srd_qp.c. Log the cause of a failure. */
ucs_status_t uct_srd_cq_create(uct_srd_iface_t *iface);
void         uct_srd_cq_destroy(uct_srd_iface_t *iface);
ucs_status_t uct_srd_qp_create(uct_srd_iface_t *iface);
ucs_status_t uct_srd_qp_activate(uct_srd_iface_t *iface);
void         uct_srd_qp_destroy(uct_srd_iface_t *iface);

/* srd_vfs.c */
void uct_srd_iface_vfs_refresh(uct_iface_h iface);

/* srd_show.c: what the window shows of an interface beyond its counters. */

/* The window's time, up to 1 ms old; cheap. Messages have shown.now, which the
 * last look around has left (srd_poll.c): nothing. */
uint64_t uct_srd_iface_now(uct_srd_iface_t *iface);

/* An event that is no peer's */
void uct_srd_iface_event(const uct_srd_iface_t *iface,
                         efa_stats_event_t event, ucs_status_t status,
                         uint32_t a, uint64_t b);

/* The queues have their window objects, or new ones. */
void uct_srd_iface_show_queues(uct_srd_iface_t *iface);
void uct_srd_iface_hide_queues(const uct_srd_iface_t *iface,
                               uct_efa_stats_object_t *cq,
                               uct_efa_stats_object_t *qp);

void uct_srd_iface_show_state(uct_srd_iface_t *iface,
                              efa_stats_iface_state_t state);

/* A progress call was here, the process may not be asleep. */
void uct_srd_iface_show_progress(uct_srd_iface_t *iface);

/* The process may sleep now, for as long as it likes. */
void uct_srd_iface_show_asleep(uct_srd_iface_t *iface);

/* srd_event.c */
ucs_status_t uct_srd_event_init(uct_srd_iface_t *iface, int wanted);
/* The descriptors of iface->context: a channel for its CQ, asynchronous events.
 * UCS_ERR_UNSUPPORTED, not logged: the device has none. */
ucs_status_t uct_srd_event_watch(uct_srd_iface_t *iface);
void         uct_srd_event_cleanup(uct_srd_iface_t *iface);
ucs_status_t uct_srd_iface_event_fd_get(uct_iface_h iface, int *fd_p);
ucs_status_t uct_srd_iface_event_arm(uct_iface_h iface, unsigned events);

/* srd_tx.c: memory and queues of the send side */
ucs_status_t uct_srd_tx_init(uct_srd_iface_t *iface,
                             const uct_srd_iface_config_t *config);
void         uct_srd_tx_cleanup(uct_srd_iface_t *iface);

/* srd_rx.c */
ucs_status_t uct_srd_rx_init(uct_srd_iface_t *iface,
                             const uct_iface_params_t *params,
                             const uct_srd_iface_config_t *config);
void         uct_srd_rx_cleanup(uct_srd_iface_t *iface);

/* One round: completions, timers, failures, pending. Returns events handled. */
unsigned uct_srd_iface_progress(uct_iface_h iface);

#endif
