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
#ifndef UCT_SRD_PEER_DEF_H
#define UCT_SRD_PEER_DEF_H

#include "srd/def/srd_slot_def.h"

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
              "the segment shows the same states");

/* Why messages do not leave at once: srd_gate.h. The segment shows the same. */
enum {
    UCT_SRD_GATE_STATE      = EFA_STATS_GATE_STATE,
    UCT_SRD_GATE_NO_AH      = EFA_STATS_GATE_NO_AH,
    UCT_SRD_GATE_BLOCKED    = EFA_STATS_GATE_BLOCKED,
    UCT_SRD_GATE_SUCCESSOR  = EFA_STATS_GATE_SUCCESSOR,
    UCT_SRD_GATE_SUSPECTED  = EFA_STATS_GATE_SUSPECTED,
    UCT_SRD_GATE_FENCE      = EFA_STATS_GATE_FENCE,
    UCT_SRD_GATE_RETRANSMIT = EFA_STATS_GATE_RETRANSMIT,
    UCT_SRD_GATE_EP_FAILED  = EFA_STATS_GATE_EP_FAILED,
    UCT_SRD_GATE_TRACE      = EFA_STATS_GATE_TRACE,

    /* Nothing at all leaves, but REJOIN and PING */
    UCT_SRD_GATE_RESUME     = UCT_SRD_GATE_BLOCKED | UCT_SRD_GATE_SUCCESSOR
};

/* Why sends and completions of this peer leave the fast path */
enum {
    UCT_SRD_PEER_TX_CLOSED  = UCS_BIT(0), /* no send without looking closer  */
    UCT_SRD_PEER_TX_WAITERS = UCS_BIT(1), /* flushes or pending requests     */
    UCT_SRD_PEER_TX_NO_EP   = UCS_BIT(2), /* leaves when all is done         */
    UCT_SRD_PEER_TX_PAUSED  = UCS_BIT(3)  /* the segment shows a pause after
                                             RNR, which may be over          */
};

#define UCT_SRD_ALIASES 2 /* the first name and the last but one              */

/*
 * What few peers ever need: made with the first use, kept as long as the peer.
 * All others refer to one that is zero and that nobody writes to, so that what
 * is here can always be read.
 */
typedef struct {
    uct_srd_peer_t       *peer;

    /* assoc/recovery/srd_suspect.c */
    struct {                         /* suspected: does not answer           */
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
    } suspect;

    /* send/srd_rma_key.c; the answers: assoc/recovery/srd_rekey.c */
    struct {                         /* of its memory, after its reset       */
        khash_t(uct_srd_rkeys) map;  /* old key -> new one, 0: none          */
        uint64_t         asked;      /* the one that KEY_REQ is about        */
        ucs_time_t       time;       /* when                                 */
        uint8_t          asking;
    } keys;

    /* assoc/recovery/: a reset of our device, or of its */
    struct {
        uint8_t          rejoining;  /* REJOIN was sent                      */
        uint8_t          fresh;      /* to who may know nothing of us        */
        uint8_t          asked;      /* PINGs say whether it is still there  */
        uint32_t         prev_epoch; /* ours, before the reset               */
        ucs_time_t       deadline;   /* of REJOIN                            */
        uct_srd_peer_t   *predecessor; /* which this one may be, after a
                                        reset                                */
        uct_srd_peer_t   *successor; /* whose predecessor it is              */
    } resume;

    /* peer/srd_names.c */
    struct {
        uct_srd_ident_t  idents[UCT_SRD_ALIASES]; /* before its resets       */
        uint8_t          num;
    } aliases;
} uct_srd_peer_rare_t;

struct uct_srd_peer {
    uct_efa_stats_peer_t *stats;      /* what it counts, and what it is       */

    /* messages: send/; credit, flags, gate: peer/srd_gate.c, window: assoc/ */
    struct {
        uct_srd_dest_t   dest;
        uint32_t         imm_base;   /* our epoch, at its place              */
        uint16_t         psn;        /* of the next message                  */
        uint16_t         credit;     /* messages that may leave at once      */
        uint8_t          flags;      /* UCT_SRD_PEER_TX_                     */
        uint8_t          backoff;    /* doublings of the pause               */
        uint16_t         backoff_una;/* una when it began                    */
        uint16_t         window;     /* min(ours, WINDOW of the remote)      */
        uint16_t         gate;       /* UCT_SRD_GATE_                        */
        uct_srd_una_t    una;
        ucs_queue_head_t retransmit; /* slots that failed, by PSN             */
        ucs_queue_head_t held;       /* too long for the extended header     */
        ucs_queue_head_t waiters;    /* uct_srd_waiter_t, by PSN             */
        uct_srd_timer_t  timer;      /* RNR back-off                         */
    } tx;

    /* one-sided operations: send/ */
    struct {
        uint16_t         psn;        /* of the next one-sided operation      */
        uint16_t         fence_psn;  /* message that must have completed
                                        before it, if fence_am               */
        uint8_t          fence_am;
        uint8_t          logged;     /* a failed operation was               */
        unsigned         fence_seq;  /* tx.fence_seq of the interface, when
                                        last looked at                       */
        uct_srd_una_t    una;        /* of psn                               */
        ucs_list_link_t  list;       /* in tx.rma_peers while not all have
                                        completed                            */
        ucs_queue_head_t held;       /* wait for the handshake or the timer  */
    } rma;

    /* what it sends: recv/, the association's part assoc/srd_identity.c; blind
     * to asserted: peer/srd_peer_ah.c */
    struct {
        uint32_t         imm_base;   /* remote epoch at its place, or what
                                        no header-less message matches       */
        uint32_t         epoch;      /* of the remote; valid if known        */
        uct_srd_ring_t   ring;
        uint64_t         uid;
        uint8_t          known;      /* uid and epoch are valid; listed under
                                        UCT_SRD_ANY_QKEY                     */
        uint8_t          started;    /* ring.next is valid                   */
        uint8_t          acked;      /* a HELLO_ACK left: the remote may do
                                        without extended headers             */
        uint8_t          blind;      /* counted in rx.special                */
        uint8_t          no_ah;      /* likewise                             */
        uint8_t          asserted;   /* counted in rx.asserted               */
        uint8_t          generation; /* of its device                        */
        uint32_t         features;
        ucs_time_t       ack_time;   /* of the last HELLO_ACK                */
    } rx;

    /* control messages: send/srd_ctl.c, and what they have come to: assoc/ */
    struct {
        unsigned         num;        /* under way                            */
        unsigned         byes;       /* BYEs among them                      */
        uct_srd_timer_t  timer;      /* by state: HELLO, BYE, EXT_REQ, AH    */
        ucs_time_t       interval;   /* its present distance                 */
        uint8_t          retries;
        uint8_t          repeats;    /* what is sent now was sent before     */
        uint8_t          contacted;  /* an extended header was sent          */
        uint8_t          confirmed;  /* HELLO_ACK came, in this association  */
        uint8_t          ext_req;    /* we want to give up the AH            */
        uint8_t          bye_sent;   /* the remote may have forgotten us     */
        uint8_t          bye_taken;  /* by the device, since we are closing  */
    } ctl;

    uct_srd_iface_t      *iface;

    /* peer/srd_peer.c */
    uct_srd_peer_state_t state;
    ucs_status_t         status;     /* of the failure                       */
    uint8_t              cause;      /* device's status that failed it, or 0 */
    uint8_t              in_failed;  /* in the interface's failed list       */
    unsigned             holds;      /* callbacks run, after which it is used */
    uint32_t             epoch;      /* ours                                 */
    uint64_t             uid;        /* ours, to this remote                 */
    ucs_list_link_t      list;       /* in peers.alive, failed or ended      */

    /* peer/srd_names.c */
    uct_srd_ident_t      ident;

    uct_srd_peer_rare_t  *rare;      /* read only: peer/srd_peer_rare.c  */

    /* peer/srd_peer_ah.c */
    uct_efa_ah_t         *ah;
    struct {
        ucs_list_link_t  list;       /* in peers.with_ah, if ah              */
        uint32_t         key;        /* in the table, or UCT_SRD_NO_KEY      */
        uint16_t         sweep_psn;  /* sum of una when last looked at for
                                        reclaim                              */
        uct_srd_peer_t   *prev;      /* others with a key of that AH number  */
        uct_srd_peer_t   *next;
    } ahn;

    /* peer/srd_peer_ep.c */
    struct {
        ucs_list_link_t  list;       /* with pending requests first          */
        unsigned         num;
        unsigned         pending;    /* requests that wait in them           */
        unsigned         failed;     /* that failed by themselves: all sends
                                        look closer                          */
    } eps;
};

#endif
