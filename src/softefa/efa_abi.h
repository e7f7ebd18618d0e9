/*
 * The driver part of the uverbs commands, newest layout.
 *
 * The installed rdma/efa-abi.h may be as old as Linux 5.2; where structures
 * grew since, ours are the full ones. A command from an older libefa is
 * shorter, and a response to it is cut: both ends know.
 * Source: uapi rdma/efa-abi.h, ABI version 1; docs/soft-efa.md says which
 * kernel added what.
 */
#ifndef SOFTEFA_EFA_ABI_H
#define SOFTEFA_EFA_ABI_H

#include <rdma/efa-abi.h>
#include <rdma/ib_user_ioctl_cmds.h>

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* GET_CONTEXT, response: grew by the inline size of 128-byte WQEs. */
typedef struct {
    uint32_t comp_mask;
    uint32_t cmds_supp_udata_mask;
    uint16_t sub_cqs_per_cq;
    uint16_t inline_buf_size;
    uint32_t max_llq_size;           /* bytes */
    uint16_t max_tx_batch;           /* 64-byte units */
    uint16_t min_sq_wr;
    uint16_t inline_buf_size_ex;
    uint8_t  reserved_b0[2];
} softefa_abi_ucontext_resp_t;

static_assert(sizeof(softefa_abi_ucontext_resp_t) == 24, "uapi layout");

/* CREATE_QP, command: grew by flags and service level. */
typedef struct {
    uint32_t comp_mask;
    uint32_t rq_ring_size;           /* bytes */
    uint32_t sq_ring_size;           /* bytes */
    uint32_t driver_qp_type;
    uint16_t flags;
    uint8_t  sl;
    uint8_t  reserved_98[5];
} softefa_abi_create_qp_t;

static_assert(sizeof(softefa_abi_create_qp_t) == 24, "uapi layout");
static_assert(offsetof(softefa_abi_create_qp_t, flags) ==
              sizeof(struct efa_ibv_create_qp) -
              ((sizeof(struct efa_ibv_create_qp) > 16) ? 8 : 0),
              "grew at its end");

enum {
    SOFTEFA_ABI_QP_UNSOLICITED_WRITE_RECV = 1 << 0
};

/* CREATE_CQ: flags of struct efa_ibv_create_cq. */
enum {
    SOFTEFA_ABI_CQ_WITH_CHANNEL = 1 << 0,
    SOFTEFA_ABI_CQ_WITH_SGID    = 1 << 1
};

static_assert(sizeof(struct efa_ibv_create_cq) == 16, "uapi layout");
static_assert(sizeof(struct efa_ibv_create_cq_resp) == 40, "uapi layout");
static_assert(sizeof(struct efa_ibv_create_qp_resp) == 64, "uapi layout");
static_assert(sizeof(struct efa_ibv_ex_query_device_resp) == 24,
              "uapi layout");

/* Methods and attributes that older uapi headers lack. */
enum {
    SOFTEFA_METHOD_QUERY_PORT_SPEED     = 8,
    SOFTEFA_ATTR_QUERY_PORT_SPEED_PORT  = 0,
    SOFTEFA_ATTR_QUERY_PORT_SPEED_RESP  = 1,

    SOFTEFA_METHOD_MR_QUERY             = 1 << UVERBS_ID_NS_SHIFT,
    SOFTEFA_ATTR_MR_QUERY_HANDLE        = 1 << UVERBS_ID_NS_SHIFT,
    SOFTEFA_ATTR_MR_QUERY_VALIDITY,
    SOFTEFA_ATTR_MR_QUERY_RECV,
    SOFTEFA_ATTR_MR_QUERY_RDMA_READ,
    SOFTEFA_ATTR_MR_QUERY_RDMA_RECV
};

#endif
