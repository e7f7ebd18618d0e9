/*
 * A peer: what an interface keeps about one remote interface, shared by all
 * endpoints that lead there. States and transitions: srd-wire.md, section 7.
 *
 *                     first send             HELLO_ACK
 *             NEW ----------------> JOINING -----------> JOINED
 *              ^                     |  ^                 | |
 *              |                     |  | new endpoint    | |
 *              |      EXT_REQ        |  |                 | | no endpoint,
 *              +---------------------+--)-----------------+ | all completed
 *                                    v  |                   |
 *                                   LEAVING <---------------+
 *                                    | BYE_ACK
 *        any ---> FAILED             v
 *                    \----> GONE (out of the tables) ----> freed
 *
 * A FAILED or GONE peer is in no table, so that its successor can be. It is
 * freed when no endpoint, slot or list refers to it.
 */
#ifndef UCT_SRD_PEER_H
#define UCT_SRD_PEER_H

#include "srd/uct/srd_ep.h"

typedef enum {
    UCT_SRD_PEER_NEW,
    UCT_SRD_PEER_JOINING,
    UCT_SRD_PEER_JOINED,
    UCT_SRD_PEER_LEAVING,
    UCT_SRD_PEER_FAILED,
    UCT_SRD_PEER_GONE,
    UCT_SRD_PEER_LAST
} uct_srd_peer_state_t;

static_assert((int)UCT_SRD_PEER_FAILED == (int)EFA_STATS_PEER_FAILED,
              "the window shows the same states");

extern const char *uct_srd_peer_state_names[];

/* Why sends and completions of this peer leave the fast path */
enum {
    UCT_SRD_PEER_TX_CLOSED  = UCS_BIT(0), /* no send without looking closer  */
    UCT_SRD_PEER_TX_WAITERS = UCS_BIT(1), /* flushes or pending requests     */
    UCT_SRD_PEER_TX_NO_EP   = UCS_BIT(2), /* leaves when all is done         */
    UCT_SRD_PEER_TX_PAUSED  = UCS_BIT(3)  /* the window shows a pause after
                                             RNR, which may be over          */
};

/* Waits until una reaches psn, and rma.una rma_psn. comp NULL: an EXT_ACK is due instead. */
typedef struct {
    ucs_queue_elem_t queue;
    uct_completion_t *comp;
    uct_srd_ep_t     *ep;
    uint16_t         psn;
    uint16_t         rma_psn;
} uct_srd_waiter_t;

KHASH_MAP_INIT_INT64(uct_srd_rkeys, uct_rkey_t)

#define UCT_SRD_ALIASES 2 /* the first name and the last but one              */

struct uct_srd_peer {
    uct_efa_stats_peer_t *stats;      /* what it counts, and what it is       */

    struct {
        uct_srd_dest_t   dest;
        uint32_t         imm_base;   /* our epoch, at its place              */
        uint16_t         psn;        /* of the next message                  */
        uint16_t         credit;     /* messages that may leave at once      */
        uint8_t          flags;      /* UCT_SRD_PEER_TX_                     */
        uint8_t          backoff;    /* doublings of the pause               */
        uint16_t         backoff_una;/* una when it began                    */
        uint16_t         window;     /* min(ours, WINDOW of the remote)      */
        uct_srd_una_t    una;
        ucs_queue_head_t resend;     /* slots that failed, by PSN            */
        ucs_queue_head_t held;       /* too long for the extended header     */
        ucs_queue_head_t waiters;    /* uct_srd_waiter_t, by PSN             */
        unsigned         ctl;        /* control messages under way           */
        unsigned         byes;       /* BYEs among them                      */
        uct_srd_timer_t  timer;      /* RNR back-off                         */
    } tx;

    struct {
        uint16_t         psn;        /* of the next one-sided operation      */
        uint16_t         fence_psn;  /* message that must have completed
                                        before it, if fence_am               */
        uint8_t          fence_am;
        uint8_t          fence;      /* nothing starts before all operations
                                        have completed                       */
        uint8_t          logged;     /* a failed operation was               */
        unsigned         beat;       /* tx.fence_beat of the interface, when
                                        last looked at                       */
        uct_srd_una_t    una;        /* of psn                               */
        ucs_list_link_t  list;       /* in tx.rma_peers while not all have
                                        completed                            */
        ucs_queue_head_t held;       /* wait for the handshake or the timer  */
    } rma;

    struct {
        uint32_t         imm_base;   /* remote epoch at its place, or what
                                        no header-less message matches       */
        uct_srd_ring_t   ring;
        uint32_t         epoch;      /* of the remote; valid if known        */
        uint64_t         uid;
        uint8_t          known;      /* uid and epoch are valid; listed under
                                        UCT_SRD_ANY_QKEY                     */
        uint8_t          started;    /* ring.next is valid                   */
        uint8_t          acked;      /* a HELLO_ACK left: the remote may do
                                        without extended headers             */
        uint8_t          blind;      /* counted in rx.special                */
        uint8_t          stranger;   /* likewise                             */
        uint8_t          claimed;    /* counted in rx.claimed                */
        ucs_time_t       ack_time;   /* of the last HELLO_ACK                */
        uint32_t         features;
        uint8_t          generation; /* of its device                        */
    } rx;

    struct {                         /* srd_rejoin.c: does not answer        */
        uint8_t          is;
        uint8_t          silent;     /* its device, not only its queue pair  */
        uint8_t          last;       /* one more answer is waited for        */
        uint8_t          code;       /* device's status                      */
        uint16_t         stale;      /* sends to its queue pair of before its
                                        reset, which may still fail          */
        uint16_t         done;       /* completions when it began            */
        ucs_time_t       since;
        ucs_time_t       deadline;
        uct_srd_timer_t  timer;
        const uct_efa_status_desc_t *desc;
    } lost;

    struct {                         /* srd_rekey.c: keys after its reset    */
        khash_t(uct_srd_rkeys) map;  /* old key -> new one, 0: none          */
        uint64_t         asked;      /* the one that KEY_REQ is about        */
        ucs_time_t       time;       /* when                                 */
        uint8_t          asking;
    } keys;

    uct_srd_iface_t      *iface;
    uct_srd_peer_state_t state;
    ucs_status_t         status;     /* of the failure                       */
    uint32_t             epoch;      /* ours                                 */
    uint32_t             key;        /* in the table, or UCT_SRD_NO_KEY      */
    uct_srd_peer_t       *key_prev;  /* others with a key of that AH number  */
    uct_srd_peer_t       *key_next;
    uint64_t             uid;        /* ours, to this remote                 */
    uct_srd_ident_t      ident;
    uct_srd_ident_t      aliases[UCT_SRD_ALIASES]; /* before its resets      */
    uint8_t              num_aliases;
    uint8_t              asked;      /* PINGs say whether it is still there  */
    uint8_t              blocked;    /* our device or queue pair was reset:
                                        nothing leaves before REJOIN_ACK; or
                                        it has an elder                      */
    uint8_t              rejoining;  /* REJOIN was sent                      */
    uint8_t              fresh;      /* to who may know nothing of us        */
    uint32_t             prev_epoch; /* ours, before the reset               */
    ucs_time_t           rejoin_deadline;
    uint8_t              bye_sent;   /* the remote may have forgotten us     */
    uint8_t              bye_taken;  /* by the device, since we are closing  */
    uint8_t              ext_req;    /* we want to give up the AH            */
    uint8_t              contacted;  /* an extended header was sent          */
    uint8_t              confirmed;  /* HELLO_ACK came, in this association  */
    uint8_t              in_failed;  /* in the interface's failed list       */
    uint8_t              ctl_retries;
    uint8_t              repeats;    /* what is sent now was sent before     */
    uint8_t              cause;      /* device's status that failed it, or 0 */
    uint16_t             sweep_psn;  /* sum of una when last looked at for
                                        reclaim                              */
    uct_srd_peer_t       *elder;     /* which this one may be, after a reset */
    uct_srd_peer_t       *heir;      /* whose elder it is                    */
    uct_efa_ah_t         *ah;
    ucs_list_link_t      ah_list;    /* in iface->ah_peers, if ah            */
    uct_srd_timer_t      timer;      /* by state: HELLO, BYE, EXT_REQ, AH    */
    ucs_time_t           interval;   /* its present distance                 */
    ucs_list_link_t      list;       /* in iface->peers, failed or told      */
    ucs_list_link_t      eps;        /* with pending requests first          */
    unsigned             num_eps;
    unsigned             num_pending; /* requests that wait in them          */
    unsigned             num_failed; /* endpoints that failed by themselves:
                                        all sends look closer                */
    uint64_t             una_bits[];
};

/* One-sided operations that have not completed */
static UCS_F_ALWAYS_INLINE unsigned
uct_srd_peer_rma_outstanding(const uct_srd_peer_t *peer)
{
    return uct_srd_una_outstanding(&peer->rma.una, peer->rma.psn);
}

/* And messages */
static UCS_F_ALWAYS_INLINE unsigned
uct_srd_peer_outstanding(const uct_srd_peer_t *peer)
{
    return uct_srd_una_outstanding(&peer->tx.una, peer->tx.psn) +
           uct_srd_peer_rma_outstanding(peer);
}

/* A message of so many bytes was given its PSN. */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_count_sent(uct_srd_peer_t *peer, size_t bytes)
{
    ++peer->stats->tx_msgs;
    peer->stats->tx_bytes += bytes;
}

/* A message from it is delivered. */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_count_received(const uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                            size_t bytes)
{
    ++peer->stats->rx_msgs;
    peer->stats->rx_bytes += bytes;
    peer->stats->rx_time   = iface->shown.now;
}

/* The message of that PSN has completed. Returns by how much una advanced. */
static UCS_F_ALWAYS_INLINE unsigned
uct_srd_peer_count_done(const uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                        uint16_t psn)
{
    unsigned advance = uct_srd_una_done(&peer->tx.una, psn);

    peer->stats->tx_done  += advance;
    peer->stats->done_time = iface->shown.now;
    return advance;
}

/* Nothing of ours is with the device. */
static UCS_F_ALWAYS_INLINE int
uct_srd_peer_is_quiet(const uct_srd_peer_t *peer)
{
    return (uct_srd_peer_outstanding(peer) == 0) && (peer->tx.ctl == 0);
}

/* NULL: no memory (logged). In the tables, no AH yet. */
uct_srd_peer_t *uct_srd_peer_create(uct_srd_iface_t *iface,
                                    const uct_srd_ident_t *ident);

/* For each of the peers, whatever is done with it, also if it or others end.
 * uct_srd_peers_take() once, then uct_srd_peers_next() until it returns NULL. */
static inline void
uct_srd_peers_take(uct_srd_iface_t *iface, ucs_list_link_t *todo)
{
    ucs_list_head_init(todo);
    ucs_list_splice_tail(todo, &iface->peers);
    ucs_list_head_init(&iface->peers);
}

static inline uct_srd_peer_t *
uct_srd_peers_next(uct_srd_iface_t *iface, ucs_list_link_t *todo)
{
    uct_srd_peer_t *peer;

    if (ucs_list_is_empty(todo)) {
        return NULL;
    }

    peer = ucs_list_extract_head(todo, uct_srd_peer_t, list);
    ucs_list_add_tail(&iface->peers, &peer->list);
    return peer;
}

/* Makes sure the peer has an AH. UCS_ERR_NO_RESOURCE: all in use, try again
 * later; UCS_ERR_UNREACHABLE: refused. */
ucs_status_t uct_srd_peer_ah_get(uct_srd_peer_t *peer);

/* A reference to an AH, whose number is noted. As uct_efa_ah_get(). */
ucs_status_t uct_srd_iface_ah_get(uct_srd_iface_t *iface, const void *gid,
                                  uct_efa_ah_t **ah_p);

/* The GID that an AH number means to us; NULL: none. */
const union ibv_gid *uct_srd_iface_ahn_gid(uct_srd_iface_t *iface,
                                           uint16_t ahn);

/* The peer's (AH number, QPN) means nobody any more; means it, if it has an
 * AH. */
void         uct_srd_peer_key_del(uct_srd_peer_t *peer);
ucs_status_t uct_srd_peer_key_add(uct_srd_peer_t *peer);

/* Does the peer exist because of its own word alone? Of those there is a limit. */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_set_claimed(uct_srd_peer_t *peer, uint8_t claimed)
{
    peer->iface->rx.claimed += claimed - peer->rx.claimed;
    peer->rx.claimed         = claimed;
}

/* Has the device named our AH for the peer yet? Until it has all completions are
 * read with source GIDs, where there are such. */
static UCS_F_ALWAYS_INLINE void
uct_srd_peer_set_stranger(uct_srd_peer_t *peer, uint8_t stranger)
{
    peer->iface->rx.special += stranger - peer->rx.stranger;
    peer->rx.stranger        = stranger;
    if (!stranger) {
        uct_srd_peer_set_claimed(peer, 0);
    }
}

/* May the CQ hold what a peer sent before it had an AH? */
static UCS_F_ALWAYS_INLINE void
uct_srd_iface_set_wary(uct_srd_iface_t *iface, uint8_t wary)
{
    iface->rx.special += wary - iface->rx.wary;
    iface->rx.wary     = wary;
}

/* To be called when ah, acked or state changed. */
void uct_srd_peer_set_blind(uct_srd_peer_t *peer);

/* The interface's part in the AH cache's reclaim. */
unsigned uct_srd_peer_reclaim(void *arg, unsigned wanted);
void     uct_srd_peer_ah_drop(uct_srd_peer_t *peer);

/* What follows must not overtake what there is: srd_flush.c. */
void uct_srd_peer_fence(uct_srd_peer_t *peer);

/* Recomputes credit and flags after something that may have changed them. */
void uct_srd_peer_tx_update(uct_srd_peer_t *peer);

/* After una moved or the state changed: waiters, pending, leaving. */
void uct_srd_peer_tx_progress(uct_srd_peer_t *peer);

void uct_srd_peer_set_state(uct_srd_peer_t *peer, uct_srd_peer_state_t state);

/* Ends the association; the endpoints are told in progress. Callable from
 * anywhere. The caller has logged the cause, or does. */
void uct_srd_peer_fail(uct_srd_peer_t *peer, ucs_status_t status);

/* At which level a failure is logged: UCX_SRD_FAILURE where UCT says so. */
ucs_log_level_t
uct_srd_failure_log_level(const uct_srd_iface_t *iface, ucs_status_t status);

/* As above, logs: what is "sent HELLO" or so, desc the device's status. */
void uct_srd_peer_fail_log(uct_srd_peer_t *peer, ucs_status_t status,
                           const char *cause, const char *advice);

/* As above, of a peer in whose place another one speaks: that one would meet a
 * REJECT, or nobody, and one message would have two answers. */
void uct_srd_peer_superseded(uct_srd_peer_t *peer, const char *cause,
                             const char *advice);

/* Takes the peer out of the tables. It is freed as soon as nothing refers to
 * it: not to be touched afterwards. */
void uct_srd_peer_forget(uct_srd_peer_t *peer);

/* Frees the peer if it is FAILED or GONE and unused. */
void uct_srd_peer_try_free(uct_srd_peer_t *peer);

/* Tells endpoints of failed peers, and failed ones. Returns how many. */
unsigned uct_srd_peers_tell(uct_srd_iface_t *iface);

/* An endpoint came or went, or goes to another peer, with nothing under way. */
void uct_srd_peer_ep_add(uct_srd_peer_t *peer, uct_srd_ep_t *ep);
void uct_srd_peer_ep_del(uct_srd_peer_t *peer, uct_srd_ep_t *ep);
void uct_srd_peer_ep_move(uct_srd_ep_t *ep, uct_srd_peer_t *to);

/* srd_show.c: what the peer waits for has changed. */
void uct_srd_peer_show_wait(uct_srd_peer_t *peer);

/* The same of a pause, which is shown: is it over? */
void uct_srd_peer_show_pause(uct_srd_peer_t *peer);

/* The message awaited next is another one, or the first came that is early. */
void uct_srd_peer_show_gap(uct_srd_peer_t *peer);

void uct_srd_peer_event(const uct_srd_peer_t *peer, efa_stats_event_t event,
                        ucs_status_t status, uint32_t a, uint64_t b);

/* Into the list of its endpoints, by whether it has pending requests */
static inline void uct_srd_peer_ep_place(uct_srd_peer_t *peer, uct_srd_ep_t *ep)
{
    if (ep->num_pending > 0) {
        ucs_list_add_head(&peer->eps, &ep->list);
    } else {
        ucs_list_add_tail(&peer->eps, &ep->list);
    }
}

/* Schedules the pending requests of all its endpoints. */
void uct_srd_peer_wake(uct_srd_peer_t *peer);

/* A peer was heard from for the first time (srd_desc.c). */
void uct_srd_rx_grow(uct_srd_iface_t *iface);

/* Gives back what the reorder ring holds (srd_rx.c). */
void uct_srd_rx_ring_purge(uct_srd_peer_t *peer);

/* Takes all completions out of the CQ, for later, with the senders that AH
 * numbers mean now (srd_rx.c). arg: the interface. */
void uct_srd_rx_stash(void *arg);

/* ---- srd_names.c -------------------------------------------------------- */

/* By any name it has, an alias too. NULL: none */
uct_srd_peer_t *uct_srd_peer_find(uct_srd_iface_t *iface,
                                  const uct_srd_ident_t *ident);

/* Does the endpoint's user mean this peer by ident, today's name or one of
 * before a reset? Of a failed one only its last name is known. */
int uct_srd_peer_is_named(const uct_srd_peer_t *peer,
                          const uct_srd_ident_t *ident);

/* Who was found by ident, if it is who sent a message with that UID, else NULL:
 * an alias counts only for whom it belonged to, and is none after another used
 * it. peer: may be NULL. */
uct_srd_peer_t *uct_srd_peer_as_sender(uct_srd_peer_t *peer,
                                       const uct_srd_ident_t *ident,
                                       uint64_t uid);

/* A new peer's ident, which nobody has; and all names of one that goes */
ucs_status_t uct_srd_names_add(uct_srd_peer_t *peer);
void         uct_srd_names_del(uct_srd_peer_t *peer);

/* The peer was heard from: it is who sends from its GID and QPN from now on.
 * Fails a predecessor. */
void uct_srd_peer_set_known(uct_srd_peer_t *peer);

/* From now on the peer is known by ident; who had that name before fails.
 * *told_p: whether a REJECT went there. */
ucs_status_t uct_srd_names_move(uct_srd_peer_t *peer,
                                const uct_srd_ident_t *ident, int *told_p);

/* A new peer, made for an endpoint, waits if it may be one that we know. */
void uct_srd_heir_wait(uct_srd_peer_t *peer);

/* Is the elder still there? Not for ever: srd_rejoin.c, lost peers. */
void uct_srd_heir_ask(uct_srd_peer_t *peer);

/* A control message to the peer was taken, or met no buffer. */
void uct_srd_heir_answer(uct_srd_peer_t *elder, uct_srd_op_t op);

/* Nothing waits any more, whether the peer is heir or elder, or neither. */
void uct_srd_heir_end(uct_srd_peer_t *peer);

/* ---- srd_control.c ----------------------------------------------------- */

/* Posts a control message. Lost if there is no slot: timers repeat it. */
ucs_status_t uct_srd_ctl_send(uct_srd_peer_t *peer, uct_srd_op_t op,
                              uint32_t arg);

/* An answer to somebody of whom no record is kept. May be lost, too. */
void uct_srd_ctl_answer(uct_srd_iface_t *iface, const uct_srd_ext_t *to,
                        uct_srd_op_t op, uint32_t arg);

/* NEW or LEAVING: starts the handshake. The AH is there. */
void uct_srd_ctl_join(uct_srd_peer_t *peer);

/* Likewise NEW or JOINED, for what waits until the peer is JOINED: sends HELLO.
 * In other states one is under way, or refused. */
void uct_srd_ctl_join_again(uct_srd_peer_t *peer);

/* JOINING: HELLO_ACK came. */
void uct_srd_ctl_joined(uct_srd_peer_t *peer);

/* JOINED or JOINING, nothing left to say: starts to leave. */
void uct_srd_ctl_leave(uct_srd_peer_t *peer);

/* What the peer's timer does, by its state. */
void uct_srd_ctl_timer(uct_srd_timer_t *timer);

/* Sets the timer to now + interval, or the given first interval. */
void uct_srd_ctl_timer_start(uct_srd_peer_t *peer, double first);
void uct_srd_ctl_timer_stop(uct_srd_peer_t *peer);

/* srd_receive.c: a message with an extended header. Returns its sender if it carries data
 * that is to be delivered, else NULL. *offset_p: where the data starts. */
uct_srd_peer_t *uct_srd_ctl_receive(uct_srd_iface_t *iface,
                                    const uct_srd_rx_wc_t *rx, uint32_t imm,
                                    const void *message, size_t *offset_p);

/* A control message has completed, with the device's status. */
void uct_srd_ctl_done(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                      unsigned vendor_err);

/* An extended header from us to peer, without tail */
void uct_srd_ext_init(const uct_srd_peer_t *peer, uct_srd_op_t op, uint32_t arg,
                      uct_srd_ext_t *ext);

/* As uct_srd_ctl_send(), with a tail. */
ucs_status_t
uct_srd_ctl_send_ext(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

/* What an extended header that was believed says about its sender */
void uct_srd_ctl_heard(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

/* The identity of who sent an extended header */
void uct_srd_ext_ident(const uct_srd_ext_t *ext, uct_srd_ident_t *ident);

/* ---- srd_rejoin.c ------------------------------------------------------- */

/* Our queue pair is a new one: tell the peer. old: who we were. */
void uct_srd_rejoin_start(uct_srd_peer_t *peer, const uct_srd_ident_t *old);

/* Sends REJOIN, or fails the peer if that took too long. */
void uct_srd_rejoin_send(uct_srd_peer_t *peer);

/* REJOIN, from (GID, QPN, QKEY) ident; peer: who has it today, or NULL. 0: it
 * is to be taken for a HELLO. */
int uct_srd_rejoin_receive(uct_srd_iface_t *iface, uct_srd_peer_t *peer,
                           const uct_srd_ident_t *ident,
                           const uct_srd_ext_t *ext);

/* REJOIN_ACK, or a HELLO_ACK that a FRESH one was answered with */
void uct_srd_rejoin_done(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

/* A send to the peer ended with this status. Nonzero: that may be a reset of
 * its device; it is given time, send again. */
int  uct_srd_peer_lose(uct_srd_peer_t *peer, unsigned vendor_err);

/* It answers again. */
void uct_srd_peer_found(uct_srd_peer_t *peer);
void uct_srd_peer_lost_timer(uct_srd_timer_t *timer);

/* Sends, ever, that have completed with success, modulo 65536 */
static UCS_F_ALWAYS_INLINE uint16_t
uct_srd_peer_done_count(const uct_srd_peer_t *peer)
{
    return peer->tx.una.una + peer->tx.una.ahead + peer->rma.una.una +
           peer->rma.una.ahead;
}

/* ---- srd_rekey.c -------------------------------------------------------- */

/* The key to use now for a slot's: UCS_OK; UCS_INPROGRESS: it was asked for;
 * UCS_ERR_NO_ELEM: there is none any more. */
ucs_status_t uct_srd_rekey(uct_srd_peer_t *peer, const uct_srd_rma_t *rma,
                           uint32_t *rkey_p);
void uct_srd_rekey_req(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);
void uct_srd_rekey_ack(uct_srd_peer_t *peer, const uct_srd_ext_t *ext);

/* The remote's device has another generation: forget its keys. */
void uct_srd_rekey_reset(uct_srd_peer_t *peer);

#endif
