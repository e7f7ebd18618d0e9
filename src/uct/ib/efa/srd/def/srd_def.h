/*
 * What all files of the transport name: types, limits, identities.
 *
 *   srd_def.h         this file                srd_iface_def.h  an interface
 *   srd_queues_def.h  a device's queues        srd_peer_def.h   a remote one
 *   srd_slot_def.h    what is being sent       srd_ep_def.h     a user's view
 *   srd_desc_def.h    what has arrived         srd_upcall.h     who calls up
 *   srd_config_def.h  UCX_SRD_*
 *
 * The folders are floors. A file includes and calls only what is below its own:
 *
 *   uct > assoc/recovery > assoc > recv > send > peer, queues > def > wire
 *
 * Everything here belongs to the interface's worker thread.
 */
#ifndef UCT_SRD_DEF_H
#define UCT_SRD_DEF_H

#include "base/md/efa_md.h"
#include "stats/efa_status.h"

#include "srd/wire/srd_hash.h"
#include "srd/wire/srd_ring.h"
#include "srd/wire/srd_timer.h"
#include "srd/wire/srd_uid.h"
#include "srd/wire/srd_una.h"
#include "srd/wire/srd_wire.h"

#include <stdalign.h>

/* Are invariants checked? They are in a UCX with assertions, and by the
 * fuzzer. */
#if ENABLE_ASSERT || defined(UCT_SRD_WITH_CHECKS)
#  define UCT_SRD_CHECKS 1
#else
#  define UCT_SRD_CHECKS 0
#endif

typedef struct uct_srd_iface  uct_srd_iface_t;
typedef struct uct_srd_peer   uct_srd_peer_t;
typedef struct uct_srd_ep     uct_srd_ep_t;
typedef struct uct_srd_slot   uct_srd_slot_t;
typedef struct uct_srd_buf    uct_srd_buf_t;
typedef struct uct_srd_desc   uct_srd_desc_t;
typedef struct uct_srd_resume_ops uct_srd_resume_ops_t; /* srd_resume.h     */

#define UCT_SRD_POLL_BATCH     16u    /* completions of one ibv_poll_cq()    */
#define UCT_SRD_CTL_SLOTS      32u    /* kept for control messages           */
#define UCT_SRD_RETRY_MAX      254u   /* are counted in 8 bits               */
#define UCT_SRD_INLINE_AREA    192u   /* bytes of payload in a slot          */
#define UCT_SRD_RX_PER_PEER    256u   /* receive buffers                     */
#define UCT_SRD_GROW_PAUSE     1      /* between two tries to get memory, s  */
#define UCT_SRD_MAX_IOV        1      /* the device has 2, one is the header */
#define UCT_SRD_POST_BATCH     32u    /* sends of one doorbell               */
#define UCT_SRD_MAX_SGL        8u     /* operations of one call, one doorbell */
#define UCT_SRD_REFUSED        16u    /* associations that lost a message   */

/* Peers of an interface whose GID no completion has confirmed. The only senders
 * that need more than a few are those that invent GIDs: this bounds the memory
 * that one costs (some 20 MB), and is beyond the peers of any job whose device
 * does not report source GIDs. docs/security.md, "Who may attack". */
#define UCT_SRD_MAX_ASSERTED   16384u

/* Low bit of wr_id, which is the slot or the descriptor; a receive has 0 */
#define UCT_SRD_WR_ID_SEND     1ul

/* ---- who a peer is ----------------------------------------------------- */

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

static UCS_F_ALWAYS_INLINE int uct_srd_ident_equal(uct_srd_ident_t a,
                                                   uct_srd_ident_t b)
{
    return (a.qpn == b.qpn) && (a.qkey == b.qkey) &&
           (memcmp(a.gid, b.gid, sizeof(a.gid)) == 0);
}

/* A name of a peer: its address, and which of its names: srd_names.c */
typedef uintptr_t uct_srd_name_t;

KHASH_TYPE(uct_srd_names, uct_srd_name_t, char)
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

KHASH_MAP_INIT_INT64(uct_srd_rkeys, uct_rkey_t)

#endif
