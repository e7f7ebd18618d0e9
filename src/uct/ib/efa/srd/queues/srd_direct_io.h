/*
 * What the device reads and writes in its queues, little-endian; the transport
 * puts it together in words of 64 bits.
 *
 *   send entry, 64 or 128 bytes          receive entry, 16 bytes
 *   word 0  id, ctrl1, ctrl2,            word 0  address
 *           QPN, length                  word 1  id, length,
 *   word 1  immediate, AH number                 lkey with first and last
 *   word 2  QKEY
 *   word 3  0, upper bits of the id      completion, 16 or 32 bytes:
 *   word 4  payload: inline data, or     uct_srd_direct_cqe_t
 *           (length, lkey), address,
 *           for one or two buffers, or
 *           (length, rkey), address,
 *           (length, lkey), address
 *
 * Length is the number of bytes inline, else that of buffers. Where a queue has
 * ids of 64 bits, they come back as they were: ours of 16 bits serve, too.
 *
 * Facts: docs/device-facts.md. test/gtest/uct/test_direct.cc compares them with
 * what libefa writes, direct_probe.c there with Soft-EFA's own.
 */
#ifndef UCT_SRD_DIRECT_IO_H
#define UCT_SRD_DIRECT_IO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

enum {
    UCT_SRD_DIRECT_SQ_SHIFT      = 6,   /* entry of 64 bytes                  */
    UCT_SRD_DIRECT_SQ_SHIFT_WIDE = 7,   /* of 128                             */
    UCT_SRD_DIRECT_RQ_ENTRY      = 16,
    UCT_SRD_DIRECT_CQ_ENTRY      = 16,
    UCT_SRD_DIRECT_CQ_ENTRY_EX   = 32,  /* with source GID                    */
    UCT_SRD_DIRECT_INLINE        = 32,  /* payload words of 64 bytes          */
    UCT_SRD_DIRECT_INLINE_WIDE   = 80   /* of 96 in 128 bytes                 */
};

/* ---- send entry, word 0 ------------------------------------------------ */

typedef enum {
    UCT_SRD_DIRECT_SEND  = 0,
    UCT_SRD_DIRECT_READ  = 1,
    UCT_SRD_DIRECT_WRITE = 2
} uct_srd_direct_op_t;

#define UCT_SRD_DIRECT_OP_SHIFT     16
#define UCT_SRD_DIRECT_HAS_IMM      (0x10ull << 16)
#define UCT_SRD_DIRECT_IS_INLINE    (0x20ull << 16)
#define UCT_SRD_DIRECT_META         (0x80ull << 16)
#define UCT_SRD_DIRECT_PHASE_SHIFT  24
#define UCT_SRD_DIRECT_FIRST        (0x04ull << 24)
#define UCT_SRD_DIRECT_LAST         (0x08ull << 24)
#define UCT_SRD_DIRECT_COMP_REQ     (0x10ull << 24)
#define UCT_SRD_DIRECT_QPN_SHIFT    32
#define UCT_SRD_DIRECT_LENGTH_SHIFT 48

/* word 1 */
#define UCT_SRD_DIRECT_AH_SHIFT     32

#define UCT_SRD_DIRECT_KEY_MASK     0xffffffu

/* ---- receive entry, word 1 --------------------------------------------- */

#define UCT_SRD_DIRECT_RX_LENGTH_SHIFT 16
#define UCT_SRD_DIRECT_RX_KEY_SHIFT    32
#define UCT_SRD_DIRECT_RX_FIRST        (1ull << 62)
#define UCT_SRD_DIRECT_RX_LAST         (1ull << 63)

/* ---- completion -------------------------------------------------------- */

typedef struct {
    uint32_t first;                     /* id, status, flags; phase bit:
                                           written last                       */
    uint16_t qpn;                       /* ours                               */
    uint16_t length;                    /* of a receive: from here            */
    uint16_t ahn;
    uint16_t src_qpn;
    uint32_t imm;
    uint8_t  gid[16];                   /* entries of 32: if ahn is unknown   */
} uct_srd_direct_cqe_t;

static_assert(sizeof(uct_srd_direct_cqe_t) == UCT_SRD_DIRECT_CQ_ENTRY_EX,
              "completion");
static_assert(offsetof(uct_srd_direct_cqe_t, gid) == UCT_SRD_DIRECT_CQ_ENTRY,
              "completion");

/* first */
#define UCT_SRD_DIRECT_CQE_ID(_first)     ((uint16_t)(_first))
#define UCT_SRD_DIRECT_CQE_STATUS(_first) ((uint8_t)((_first) >> 16))
#define UCT_SRD_DIRECT_CQE_PHASE          (0x01u << 24)
#define UCT_SRD_DIRECT_CQE_QUEUE          (0x06u << 24)
#define UCT_SRD_DIRECT_CQE_SEND           (0x02u << 24)
#define UCT_SRD_DIRECT_CQE_RECV           (0x04u << 24)
#define UCT_SRD_DIRECT_CQE_HAS_IMM        (0x08u << 24)
#define UCT_SRD_DIRECT_CQE_OP             (0x70u << 24)
#define UCT_SRD_DIRECT_CQE_UNSOLICITED    (0x80u << 24)

/* All that the fast path of a send looks at, and what it finds: success */
#define UCT_SRD_DIRECT_CQE_TX_MASK        (0x06ffu << 16)
#define UCT_SRD_DIRECT_CQE_TX_PLAIN       UCT_SRD_DIRECT_CQE_SEND

/* The same of a receive: a SEND with immediate data, success. */
#define UCT_SRD_DIRECT_CQE_RX_MASK        (0xfeffu << 16)
#define UCT_SRD_DIRECT_CQE_RX_PLAIN \
    (UCT_SRD_DIRECT_CQE_RECV | UCT_SRD_DIRECT_CQE_HAS_IMM)

/* doorbell of a CQ */
#define UCT_SRD_DIRECT_CQ_DB_CONSUMED     0xffffu
#define UCT_SRD_DIRECT_CQ_DB_SN_SHIFT     29
#define UCT_SRD_DIRECT_CQ_DB_SN_MASK      3u
#define UCT_SRD_DIRECT_CQ_DB_ARM          (1u << 31)

#endif
