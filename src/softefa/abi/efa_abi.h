/*
 * The EFA driver's part of the uverbs commands, newest layout.
 *
 *   UHW_IN   what libefa adds to a command    UHW_OUT  what the driver answers
 *
 * Where structures grew, ours are the full ones. A command from an older
 * libefa is shorter, and a response to it is cut: both ends know. Names of our
 * own, for the same reason as in uverbs_abi.h: those in the kernel's header
 * have changed. docs/soft-efa.md, "Versions of the ABI", says what came when.
 * Source: Linux, include/uapi/rdma/efa-abi.h, ABI version 1.
 */
#ifndef SOFTEFA_EFA_ABI_H
#define SOFTEFA_EFA_ABI_H

#include "abi/uverbs_abi.h"

/* ---- GET_CONTEXT ---- */

/* What this libefa can cope with. */
enum {
    SOFTEFA_ABI_KNOWS_TX_BATCH  = 1 << 0,
    SOFTEFA_ABI_KNOWS_MIN_SQ_WR = 1 << 1
};

typedef struct {
    uint32_t knows;
    uint32_t reserved;
} softefa_abi_ucontext_t;

/* Commands that answer with a driver's part. */
enum {
    SOFTEFA_ABI_UDATA_QUERY_DEVICE = 1 << 0,
    SOFTEFA_ABI_UDATA_CREATE_AH    = 1 << 1
};

typedef struct {
    uint32_t comp_mask;
    uint32_t cmds_supp_udata_mask;
    uint16_t sub_cqs_per_cq;
    uint16_t inline_buf_size;
    uint32_t max_llq_size;           /* bytes */
    uint16_t max_tx_batch;           /* 64-byte units */
    uint16_t min_sq_wr;
    uint16_t inline_buf_size_ex;     /* of 128-byte WQEs */
    uint8_t  reserved_b0[2];
} softefa_abi_ucontext_resp_t;

/* ---- QUERY_DEVICE, extended; the capabilities: SOFTEFA_CAP_* ---- */

typedef struct {
    uint32_t comp_mask;
    uint32_t max_sq_wr;
    uint32_t max_rq_wr;
    uint16_t max_sq_sge;
    uint16_t max_rq_sge;
    uint32_t max_rdma_size;
    uint32_t device_caps;
} softefa_abi_efa_device_t;

/* ---- ALLOC_PD, CREATE_AH ---- */

typedef struct {
    uint32_t comp_mask;
    uint16_t pdn;
    uint8_t  reserved_30[2];
} softefa_abi_efa_pd_t;

typedef struct {
    uint32_t comp_mask;
    uint16_t efa_address_handle;
    uint8_t  reserved_30[2];
} softefa_abi_efa_ah_t;

/* ---- CREATE_CQ ---- */

enum {
    SOFTEFA_ABI_CQ_WITH_CHANNEL = 1 << 0,
    SOFTEFA_ABI_CQ_WITH_SGID    = 1 << 1
};

typedef struct {
    uint32_t comp_mask;
    uint32_t cq_entry_size;          /* bytes */
    uint16_t num_sub_cqs;
    uint8_t  flags;
    uint8_t  reserved_58[5];
} softefa_abi_create_cq_t;

enum {
    SOFTEFA_ABI_CQ_HAS_DB = 1 << 0   /* comp_mask: db_off, db_mmap_key */
};

typedef struct {
    uint32_t comp_mask;
    uint8_t  reserved_20[4];
    uint64_t q_mmap_key;
    uint64_t q_mmap_size;
    uint16_t cq_idx;
    uint8_t  reserved_d0[2];
    uint32_t db_off;
    uint64_t db_mmap_key;
} softefa_abi_create_cq_resp_t;

/* ---- CREATE_QP ---- */

enum {
    SOFTEFA_ABI_DRIVER_QP_SRD             = 0,
    SOFTEFA_ABI_QP_UNSOLICITED_WRITE_RECV = 1 << 0
};

typedef struct {
    uint32_t comp_mask;
    uint32_t rq_ring_size;           /* bytes */
    uint32_t sq_ring_size;           /* bytes */
    uint32_t driver_qp_type;
    uint16_t flags;
    uint8_t  sl;
    uint8_t  reserved_98[5];
} softefa_abi_create_qp_t;

typedef struct {
    uint32_t comp_mask;
    uint32_t rq_db_offset;           /* bytes, in the page of the key */
    uint32_t sq_db_offset;
    uint32_t llq_desc_offset;
    uint64_t rq_mmap_key;
    uint64_t rq_mmap_size;
    uint64_t rq_db_mmap_key;
    uint64_t sq_db_mmap_key;
    uint64_t llq_desc_mmap_key;
    uint16_t send_sub_cq_idx;
    uint16_t recv_sub_cq_idx;
    uint8_t  reserved_1e0[4];
} softefa_abi_create_qp_resp_t;

/* ---- a method of the driver's own: MR_QUERY ---- */

enum {
    SOFTEFA_METHOD_MR_QUERY         = SOFTEFA_NS_DRIVER,
    SOFTEFA_ATTR_MR_QUERY_HANDLE    = SOFTEFA_NS_DRIVER,
    SOFTEFA_ATTR_MR_QUERY_VALIDITY,
    SOFTEFA_ATTR_MR_QUERY_RECV,
    SOFTEFA_ATTR_MR_QUERY_RDMA_READ,
    SOFTEFA_ATTR_MR_QUERY_RDMA_RECV
};

static_assert(sizeof(softefa_abi_ucontext_t) == 8, "uapi layout");
static_assert(sizeof(softefa_abi_ucontext_resp_t) == 24, "uapi layout");
static_assert(sizeof(softefa_abi_efa_device_t) == 24, "uapi layout");
static_assert(sizeof(softefa_abi_efa_pd_t) == 8, "uapi layout");
static_assert(sizeof(softefa_abi_efa_ah_t) == 8, "uapi layout");
static_assert(sizeof(softefa_abi_create_cq_t) == 16, "uapi layout");
static_assert(sizeof(softefa_abi_create_cq_resp_t) == 40, "uapi layout");
static_assert(sizeof(softefa_abi_create_qp_t) == 24, "uapi layout");
static_assert(sizeof(softefa_abi_create_qp_resp_t) == 64, "uapi layout");

#endif
