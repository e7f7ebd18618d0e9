/*
 * What is being sent: slots, bcopy buffers, and who waits for completions.
 * Written by send/; control messages also by assoc/ (done).
 */
#ifndef UCT_SRD_SLOT_DEF_H
#define UCT_SRD_SLOT_DEF_H

#include "srd/def/srd_def.h"

/*
 * What a slot holds besides a short message. ZCOPY of an operation: comp, ep.
 *
 * What differs by kind (message, control message, operation) is in the slot's
 * ops. These differ within a kind, and change while a slot is under way: a
 * message gets a buffer in place of the user's memory (BUF for ZCOPY), is
 * cancelled, waits, was lost. As tables of operations they would be one for
 * each combination. And the fast path tests all of them at once: nothing, or
 * BUF alone.
 */
enum {
    UCT_SRD_SLOT_BUF    = UCS_BIT(0), /* buf and sge[2]: a bcopy buffer      */
    UCT_SRD_SLOT_ZCOPY  = UCS_BIT(1), /* sge[0,1], comp, ep: the user's      */
    UCT_SRD_SLOT_OTHER  = UCS_BIT(2), /* no message: ops know                */
    UCT_SRD_SLOT_CANCEL = UCS_BIT(4), /* complete as cancelled               */
    UCT_SRD_SLOT_QUEUED = UCS_BIT(5), /* in a queue of the peer, not posted  */
    UCT_SRD_SLOT_READ   = UCS_BIT(8), /* of an operation: a get              */
    UCT_SRD_SLOT_DEVICE = UCS_BIT(9), /* of ZCOPY: memory that no CPU reads  */
    UCT_SRD_SLOT_LOST   = UCS_BIT(10), /* a dead device has it: srd_recover.c */
    UCT_SRD_SLOT_AGAIN  = UCS_BIT(11) /* was posted before; retries counts   */
};

/* Work requests that are prepared as far as they are always the same. The
 * user's memory may be a GPU's, which libefa cannot copy. */
typedef enum {
    UCT_SRD_WR_BUF,               /* one buffer of ours                      */
    UCT_SRD_WR_INLINE,            /* as above, which libefa copies           */
    UCT_SRD_WR_USER,              /* with the user's memory, 1 or 2          */
    UCT_SRD_WR_LAST
} uct_srd_wr_kind_t;

/* Part of a work request that depends on the peer alone; as in ibv_send_wr, and
 * for the direct path the number of the AH */
typedef struct {
    struct ibv_ah *ah;
    uint32_t      qpn;
    uint32_t      qkey;
    uint32_t      ahn;
} uct_srd_dest_t;

/* A one-sided operation; sge[1] is the local memory, buf or the user's */
typedef struct {
    uint64_t              remote_addr;
    uct_srd_buf_t         *buf;   /* put_bcopy, get_bcopy                    */
    uct_unpack_callback_t unpack; /* get_bcopy                               */
    void                  *arg;
    uct_srd_ep_t          *ep;    /* NULL: closed meanwhile                  */
    uint32_t              rkey;   /* as the user gave it,                    */
    uint8_t               generation; /* of the remote device then           */
} uct_srd_rma_t;

/*
 * What a slot's kind does with it: message, control message or one-sided
 * operation. A free slot is a message's, or a control message's, for ever.
 */
typedef struct {
    /* The device is done with it, with this status. */
    void (*done)(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                 unsigned vendor_err);

    /* The device that had it is gone: it may have been delivered, or not. */
    void (*keep)(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

    /* ibv_post_send() did not take it from a batch; its peer has failed. */
    void (*refused)(uct_srd_iface_t *iface, uct_srd_slot_t *slot);

    /* Its memory has new keys: those of the slot itself have been renewed. Not
     * of control messages, as the next one. */
    void (*renew)(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                  uint32_t slots_lkey);

    /* ep is closed: refer to nothing of it any more. */
    void (*detach)(uct_srd_iface_t *iface, uct_srd_slot_t *slot,
                   uct_srd_ep_t *ep);

    /* The interface is closed: gives back what the slot holds. */
    void (*drop)(uct_srd_iface_t *iface, uct_srd_slot_t *slot);
} uct_srd_slot_ops_t;

/*
 * One message from the send call until the device has delivered it:
 *
 *   +-------------+----------------+------------------------------+
 *   | bookkeeping | room for the   | payload of a short message,  |
 *   |             | extended header| header of a zero-copy one    |
 *   +-------------+----------------+------------------------------+
 *                 ^ registered memory; sge[0] -> payload, always
 */
struct uct_srd_slot {
    uct_srd_peer_t   *peer;       /* NULL: control message to nobody we know */
    struct ibv_sge   sge[3];      /* data[], the user's memory, buf          */
    uct_completion_t *comp;
    union {
        uct_srd_buf_t      *buf;
        uct_srd_ep_t       *ep;
        uct_efa_ah_t       *ah;   /* of a control message to nobody we know:
                                     a reference; else NULL                  */
    };
    union {
        ucs_queue_elem_t queue;
        uct_srd_dest_t   dest;    /* of a control message                    */
    };
    const uct_srd_slot_ops_t *ops; /* by kind                                */
    uint32_t         imm;         /* AM id and PSN; of a control message: epoch,
                                     flags; of an operation: its number      */
    uint16_t         flags;       /* 0 in a free slot and a short message    */
    uint8_t          retries;     /* 0 unless AGAIN                          */
    uint8_t          op;          /* of a control message                    */
    uct_mem_h        memh;        /* of sge[1], if it is the user's          */
    union {
        uint8_t       room[UCT_SRD_EXT_LEN];
        uct_srd_rma_t rma;        /* has no header                           */
    };
    uint8_t          data[UCT_SRD_INLINE_AREA];
} UCS_V_ALIGNED(UCS_SYS_CACHE_LINE_SIZE);

static_assert(sizeof(uct_srd_rma_t) <= UCT_SRD_EXT_LEN,
              "the room of the header is right before the payload");

/* A bcopy buffer: registered, max_msg_sz of payload behind the room */
struct uct_srd_buf {
    uct_srd_buf_t      *next;
    uct_srd_buf_t      *all;      /* next in iface->tx.all                   */
    uct_mem_h          memh;
    uint32_t           lkey;
    uint32_t           reserved;
    uint8_t            room[UCT_SRD_EXT_LEN];
    uint8_t            data[];
};

/* Waits until una reaches psn, and rma.una rma_psn. comp NULL: an EXT_ACK is
 * due instead. */
typedef struct {
    ucs_queue_elem_t queue;
    uct_completion_t *comp;
    uct_srd_ep_t     *ep;
    uint16_t         psn;
    uint16_t         rma_psn;
} uct_srd_waiter_t;

static_assert(alignof(uct_srd_slot_t) > UCT_SRD_WR_ID_SEND,
              "the low bit of its address is free");
static_assert(offsetof(uct_srd_buf_t, data) % alignof(uct_srd_buf_t) == 0,
              "aligned, since its data are");
static_assert(offsetof(uct_srd_dest_t, ahn) ==
              sizeof(((struct ibv_send_wr*)0)->wr.ud), "copied as one");
static_assert(offsetof(struct ibv_send_wr, wr.ud.remote_qkey) -
              offsetof(struct ibv_send_wr, wr.ud.ah) ==
              offsetof(uct_srd_dest_t, qkey), "copied as one");

#endif
