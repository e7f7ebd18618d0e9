/*
 * What the device and libefa exchange through the rings, little-endian.
 *
 *   SQ entry, 64 or 128 bytes           RQ entry, 16 bytes
 *   0   meta: id, op, destination       0   address
 *   32  up to 2 buffers of 16 bytes     8   id (first of a WR), length
 *       | inline data                   12  lkey, first, last
 *       | remote buffer, local buffer
 *         or (128 only) inline data
 *
 *   CQ entry, 16 or 32 bytes
 *   0   id, status, flags (phase bit), local QP      both kinds
 *   6   upper id bits                                 send
 *   6   length, AH, source QP, immediate              receive
 *   16  upper length (RDMA write) | source GID        receive, 32 bytes
 *
 * Facts: docs/soft-efa.md, "Formats". The first four bytes of a CQE carry the
 * phase bit and are written last.
 */
#ifndef SOFTEFA_EFA_IO_H
#define SOFTEFA_EFA_IO_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define SOFTEFA_BITS(_value, _low, _count)                                    \
    (((_value) >> (_low)) & ((1u << (_count)) - 1))

typedef enum {
    SOFTEFA_OP_SEND       = 0,
    SOFTEFA_OP_RDMA_READ  = 1,
    SOFTEFA_OP_RDMA_WRITE = 2
} softefa_op_t;

/* Completion statuses that this device can produce; names as in the transport's
 * efa_status.h. */
typedef enum {
    SOFTEFA_STATUS_OK               = 0,
    SOFTEFA_STATUS_FLUSHED          = 1,
    SOFTEFA_STATUS_QP_INTERNAL      = 2,
    SOFTEFA_STATUS_UNSUPPORTED_OP   = 3,
    SOFTEFA_STATUS_INVALID_AH       = 4,
    SOFTEFA_STATUS_INVALID_LKEY     = 5,
    SOFTEFA_STATUS_LOCAL_LENGTH     = 6,
    SOFTEFA_STATUS_REMOTE_ADDRESS   = 7,
    SOFTEFA_STATUS_REMOTE_ABORT     = 8,
    SOFTEFA_STATUS_REMOTE_QPN       = 9,
    SOFTEFA_STATUS_RNR              = 10,
    SOFTEFA_STATUS_REMOTE_LENGTH    = 11,
    SOFTEFA_STATUS_REMOTE_STATUS    = 12,
    SOFTEFA_STATUS_UNRESPONSIVE     = 13,
    SOFTEFA_STATUS_UNKNOWN_PEER     = 14,
    SOFTEFA_STATUS_UNREACHABLE      = 15,
    SOFTEFA_STATUS_FEATURE_MISMATCH = 18,

    /* Not of a completion: hold and try again; the receiver's process died, to
     * be looked after without its lock */
    SOFTEFA_STATUS_AGAIN            = 0x100,
    SOFTEFA_STATUS_DIED             = 0x101
} softefa_status_t;

enum {
    SOFTEFA_WQE_SIZE        = 64,
    SOFTEFA_WQE_SIZE_EX     = 128,
    SOFTEFA_WQE_SHIFT       = 6,
    SOFTEFA_WQE_SHIFT_EX    = 7,
    SOFTEFA_WQE_SEND_SGE    = 2,
    SOFTEFA_AH_UNKNOWN      = 0xffff,
    SOFTEFA_GRH_SIZE        = 40,          /* before each UD payload */
    SOFTEFA_KEY_MASK        = 0xffffff     /* lkey, 24 bits */
};

/* ctrl1 of a send entry */
enum {
    SOFTEFA_CTRL1_OP        = 0x0f,
    SOFTEFA_CTRL1_HAS_IMM   = 0x10,
    SOFTEFA_CTRL1_INLINE    = 0x20,
    SOFTEFA_CTRL1_EXTENSION = 0x40,        /* must be zero */
    SOFTEFA_CTRL1_META      = 0x80         /* must be set */
};

/* ctrl2 of a send entry */
enum {
    SOFTEFA_CTRL2_PHASE     = 0x01,
    SOFTEFA_CTRL2_FIRST     = 0x04,        /* must be set */
    SOFTEFA_CTRL2_LAST      = 0x08,        /* must be set */
    SOFTEFA_CTRL2_COMP_REQ  = 0x10,
    SOFTEFA_CTRL2_ZERO      = 0xe2         /* must be zero */
};

typedef struct {
    uint32_t length;
    uint32_t key;                          /* local: 24 bits */
    uint32_t addr_lo;
    uint32_t addr_hi;
} softefa_io_buf_t;

typedef struct {
    uint16_t req_id;
    uint8_t  ctrl1;
    uint8_t  ctrl2;
    uint16_t dest_qpn;
    uint16_t length;                       /* inline: bytes, else buffers */
    uint32_t imm;
    uint16_t ahn;
    uint8_t  hints;
    uint8_t  fault;                        /* zero; the device's own copy:
                                              SOFTEFA_WQE_* (fault_deliver.c) */
    uint32_t qkey;
    uint8_t  zero2[6];
    uint16_t req_id_ex[3];                 /* bits 63:16 of a 64-bit id */
    union {
        softefa_io_buf_t sge[SOFTEFA_WQE_SEND_SGE];
        uint8_t          data[SOFTEFA_WQE_SIZE_EX - 32];
        struct {
            softefa_io_buf_t remote;
            union {
                softefa_io_buf_t local;
                uint8_t          data[SOFTEFA_WQE_SIZE_EX - 48];
            };
        } rdma;
    };
} softefa_io_wqe_t;

enum {
    SOFTEFA_WQE_CORRUPT   = 1,
    SOFTEFA_WQE_DUPLICATE = 2
};

static_assert(sizeof(softefa_io_buf_t) == 16, "buffer descriptor");
static_assert(sizeof(softefa_io_wqe_t) == SOFTEFA_WQE_SIZE_EX, "send entry");
static_assert(offsetof(softefa_io_wqe_t, dest_qpn) == 4, "send entry");
static_assert(offsetof(softefa_io_wqe_t, imm) == 8, "send entry");
static_assert(offsetof(softefa_io_wqe_t, ahn) == 12, "send entry");
static_assert(offsetof(softefa_io_wqe_t, qkey) == 16, "send entry");
static_assert(offsetof(softefa_io_wqe_t, req_id_ex) == 26, "send entry");
static_assert(offsetof(softefa_io_wqe_t, sge) == 32, "send entry");
static_assert(offsetof(softefa_io_wqe_t, rdma.local) == 48, "send entry");

typedef struct {
    uint32_t addr_lo;
    uint32_t addr_hi;
    uint16_t req_id;
    uint16_t length;
    uint32_t lkey_ctrl;                    /* lkey, first, last */
} softefa_io_rx_t;

enum {
    SOFTEFA_RX_FIRST = 1u << 30,
};
#define SOFTEFA_RX_LAST (1u << 31)

static_assert(sizeof(softefa_io_rx_t) == 16, "receive entry");
static_assert(offsetof(softefa_io_rx_t, req_id) == 8, "receive entry");
static_assert(offsetof(softefa_io_rx_t, lkey_ctrl) == 12, "receive entry");

/* flags of a CQE */
enum {
    SOFTEFA_CQE_PHASE       = 0x01,
    SOFTEFA_CQE_SEND_QUEUE  = 1 << 1,
    SOFTEFA_CQE_RECV_QUEUE  = 2 << 1,
    SOFTEFA_CQE_HAS_IMM     = 0x08,
    SOFTEFA_CQE_OP_SHIFT    = 4,
    SOFTEFA_CQE_UNSOLICITED = 0x80
};

typedef struct {
    union {
        struct {
            uint16_t req_id;
            uint8_t  status;
            uint8_t  flags;
        };
        uint32_t first;                    /* what is written last */
    };
    uint16_t qpn;
    union {
        uint16_t req_id_ex[3];             /* send */
        struct {                           /* receive */
            uint16_t length;
            uint16_t ahn;
            uint16_t src_qpn;
        };
    };
    uint32_t imm;                          /* receive; send: zero */
    union {
        uint16_t length_hi;
        uint8_t  sgid[16];
    };
} softefa_io_cqe_t;

/* The first four bytes: of words, not of bytes, as they are stored at once. */
static inline uint32_t softefa_io_cqe_first(uint16_t req_id, uint8_t status,
                                            uint8_t flags)
{
    return req_id | ((uint32_t)status << 16) | ((uint32_t)flags << 24);
}

static_assert(sizeof(softefa_io_cqe_t) == 32, "completion");
static_assert(offsetof(softefa_io_cqe_t, flags) == 3, "completion");
static_assert(offsetof(softefa_io_cqe_t, req_id_ex) == 6, "completion");
static_assert(offsetof(softefa_io_cqe_t, src_qpn) == 10, "completion");
static_assert(offsetof(softefa_io_cqe_t, imm) == 12, "completion");
static_assert(offsetof(softefa_io_cqe_t, sgid) == 16, "completion");

/* CQ doorbell */
enum {
    SOFTEFA_CQ_DB_CONSUMER = 0xffff,
};
#define SOFTEFA_CQ_DB_ARM (1u << 31)

#endif
