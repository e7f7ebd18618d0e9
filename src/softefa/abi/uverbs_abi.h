/*
 * The ABI of ib_uverbs: what libibverbs and the kernel exchange by ioctl().
 *
 *   RDMA_VERBS_IOCTL --> softefa_abi_ioctl_t {object, method, driver}
 *                        softefa_abi_attr_t  {id, length, data} x n
 *
 *   OBJECT_DEVICE, METHOD_INVOKE_WRITE carries the commands that are older
 *   than the ioctl: ATTR_WRITE_CMD is the number, ATTR_CORE_IN and _OUT are
 *   the structures below.
 *
 * Numbers and layouts are the kernel's, which never change; their names in
 * the headers do (docs/soft-efa.md, "Versions of the ABI"). So these are our
 * own: nothing here is built from the headers of Linux or rdma-core, and what
 * the installed ones say is compared by test/gtest/unit/test_abi.cc.
 * Source: Linux, include/uapi/rdma/ib_user_ioctl_cmds.h, ib_user_verbs.h,
 * ib_user_ioctl_verbs.h, rdma_user_ioctl_cmds.h.
 */
#ifndef SOFTEFA_UVERBS_ABI_H
#define SOFTEFA_UVERBS_ABI_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* ---- the ioctl ---- */

typedef struct {
    uint16_t attr_id;
    uint16_t len;                    /* bytes, of what is behind a pointer */
    uint16_t flags;
    uint16_t reserved;
    union {
        uint64_t data;               /* up to 8 bytes, pointer or handle */
        int64_t  data_s64;           /* file descriptor */
    };
} softefa_abi_attr_t;

typedef struct {
    uint16_t           length;       /* bytes, with the attributes */
    uint16_t           object_id;
    uint16_t           method_id;
    uint16_t           num_attrs;
    uint64_t           reserved1;
    uint32_t           driver_id;
    uint32_t           reserved2;
    softefa_abi_attr_t attrs[];
} softefa_abi_ioctl_t;

#define SOFTEFA_ABI_VERBS_IOCTL _IOWR(0x1b, 1, softefa_abi_ioctl_t)

enum {
    SOFTEFA_ATTR_F_MANDATORY    = 1 << 0,
    SOFTEFA_ATTR_F_VALID_OUTPUT = 1 << 1
};

enum {
    SOFTEFA_DRIVER_EFA  = 17,

    SOFTEFA_NS_DRIVER   = 1 << 12,   /* the driver's ids begin here */
    SOFTEFA_ATTR_UHW_IN = SOFTEFA_NS_DRIVER,
    SOFTEFA_ATTR_UHW_OUT
};

enum {
    SOFTEFA_OBJECT_DEVICE      = 0,
    SOFTEFA_OBJECT_PD          = 1,
    SOFTEFA_OBJECT_CQ          = 3,
    SOFTEFA_OBJECT_QP          = 4,
    SOFTEFA_OBJECT_AH          = 6,
    SOFTEFA_OBJECT_MR          = 7,
    SOFTEFA_OBJECT_ASYNC_EVENT = 16
};

/* ---- methods, and their attributes ---- */

enum {
    SOFTEFA_METHOD_INVOKE_WRITE = 0,
    SOFTEFA_ATTR_CORE_IN        = 0,
    SOFTEFA_ATTR_CORE_OUT       = 1,
    SOFTEFA_ATTR_WRITE_CMD      = 2,

    SOFTEFA_METHOD_QUERY_PORT        = 2,
    SOFTEFA_ATTR_QUERY_PORT_PORT_NUM = 0,
    SOFTEFA_ATTR_QUERY_PORT_RESP     = 1,

    SOFTEFA_METHOD_GET_CONTEXT                = 3,
    SOFTEFA_ATTR_GET_CONTEXT_NUM_COMP_VECTORS = 0,
    SOFTEFA_ATTR_GET_CONTEXT_CORE_SUPPORT     = 1,

    SOFTEFA_METHOD_QUERY_GID_TABLE                = 5,
    SOFTEFA_ATTR_QUERY_GID_TABLE_ENTRY_SIZE       = 0,
    SOFTEFA_ATTR_QUERY_GID_TABLE_FLAGS            = 1,
    SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_ENTRIES     = 2,
    SOFTEFA_ATTR_QUERY_GID_TABLE_RESP_NUM_ENTRIES = 3,

    SOFTEFA_METHOD_QUERY_GID_ENTRY          = 6,
    SOFTEFA_ATTR_QUERY_GID_ENTRY_PORT       = 0,
    SOFTEFA_ATTR_QUERY_GID_ENTRY_GID_INDEX  = 1,
    SOFTEFA_ATTR_QUERY_GID_ENTRY_FLAGS      = 2,
    SOFTEFA_ATTR_QUERY_GID_ENTRY_RESP_ENTRY = 3,

    SOFTEFA_METHOD_QUERY_PORT_SPEED        = 7,
    SOFTEFA_ATTR_QUERY_PORT_SPEED_PORT_NUM = 0,
    SOFTEFA_ATTR_QUERY_PORT_SPEED_RESP     = 1
};

enum {
    SOFTEFA_METHOD_ASYNC_EVENT_ALLOC         = 0,
    SOFTEFA_ATTR_ASYNC_EVENT_ALLOC_FD_HANDLE = 0,

    SOFTEFA_METHOD_PD_DESTROY      = 0,
    SOFTEFA_ATTR_DESTROY_PD_HANDLE = 0,

    SOFTEFA_METHOD_AH_DESTROY      = 0,
    SOFTEFA_ATTR_DESTROY_AH_HANDLE = 0
};

enum {
    SOFTEFA_METHOD_CQ_CREATE            = 0,
    SOFTEFA_ATTR_CREATE_CQ_HANDLE       = 0,
    SOFTEFA_ATTR_CREATE_CQ_CQE          = 1,
    SOFTEFA_ATTR_CREATE_CQ_USER_HANDLE  = 2,
    SOFTEFA_ATTR_CREATE_CQ_COMP_CHANNEL = 3,
    SOFTEFA_ATTR_CREATE_CQ_COMP_VECTOR  = 4,
    SOFTEFA_ATTR_CREATE_CQ_FLAGS        = 5,
    SOFTEFA_ATTR_CREATE_CQ_RESP_CQE     = 6,
    SOFTEFA_ATTR_CREATE_CQ_EVENT_FD     = 7,

    SOFTEFA_METHOD_CQ_DESTROY      = 1,
    SOFTEFA_ATTR_DESTROY_CQ_HANDLE = 0,
    SOFTEFA_ATTR_DESTROY_CQ_RESP   = 1
};

enum {
    SOFTEFA_METHOD_QP_CREATE              = 0,
    SOFTEFA_ATTR_CREATE_QP_HANDLE         = 0,
    SOFTEFA_ATTR_CREATE_QP_PD_HANDLE      = 2,
    SOFTEFA_ATTR_CREATE_QP_SEND_CQ_HANDLE = 4,
    SOFTEFA_ATTR_CREATE_QP_RECV_CQ_HANDLE = 5,
    SOFTEFA_ATTR_CREATE_QP_USER_HANDLE    = 7,
    SOFTEFA_ATTR_CREATE_QP_CAP            = 8,
    SOFTEFA_ATTR_CREATE_QP_TYPE           = 9,
    SOFTEFA_ATTR_CREATE_QP_FLAGS          = 10,
    SOFTEFA_ATTR_CREATE_QP_EVENT_FD       = 12,
    SOFTEFA_ATTR_CREATE_QP_RESP_CAP       = 13,
    SOFTEFA_ATTR_CREATE_QP_RESP_QP_NUM    = 14,

    SOFTEFA_METHOD_QP_DESTROY      = 1,
    SOFTEFA_ATTR_DESTROY_QP_HANDLE = 0,
    SOFTEFA_ATTR_DESTROY_QP_RESP   = 1
};

enum {
    SOFTEFA_METHOD_MR_DESTROY      = 1,
    SOFTEFA_ATTR_DESTROY_MR_HANDLE = 0,

    SOFTEFA_METHOD_REG_DMABUF_MR            = 4,
    SOFTEFA_ATTR_REG_DMABUF_MR_HANDLE       = 0,
    SOFTEFA_ATTR_REG_DMABUF_MR_PD_HANDLE    = 1,
    SOFTEFA_ATTR_REG_DMABUF_MR_OFFSET       = 2,
    SOFTEFA_ATTR_REG_DMABUF_MR_LENGTH       = 3,
    SOFTEFA_ATTR_REG_DMABUF_MR_IOVA         = 4,
    SOFTEFA_ATTR_REG_DMABUF_MR_FD           = 5,
    SOFTEFA_ATTR_REG_DMABUF_MR_ACCESS_FLAGS = 6,
    SOFTEFA_ATTR_REG_DMABUF_MR_RESP_LKEY    = 7,
    SOFTEFA_ATTR_REG_DMABUF_MR_RESP_RKEY    = 8
};

/* ---- values in attributes ---- */

enum {
    SOFTEFA_ABI_QPT_UD                = 4,
    SOFTEFA_ABI_QPT_DRIVER            = 0xff,
    SOFTEFA_ABI_QP_CREATE_SQ_SIG_ALL  = 1 << 12,
    /* flags that ib_uverbs knows: of QPs 1, 8, 9, 11 and the one above, of CQs
     * time stamps and overrun, of access to persistent memory */
    SOFTEFA_ABI_QP_CREATE_KNOWN       = 0x1b02,
    SOFTEFA_ABI_CQ_CREATE_KNOWN       = 0x3,
    SOFTEFA_ABI_ACCESS_FLUSH          = 3 << 8,
    SOFTEFA_ABI_GID_TYPE_IB           = 0,
    /* GET_CONTEXT: access flags of this range may be ignored */
    SOFTEFA_ABI_CORE_OPTIONAL_ACCESS  = 1 << 0,
    SOFTEFA_ABI_ACCESS_OPTIONAL_RANGE = 0x3ff00000
};

typedef struct {
    uint32_t max_send_wr;
    uint32_t max_recv_wr;
    uint32_t max_send_sge;
    uint32_t max_recv_sge;
    uint32_t max_inline_data;
} softefa_abi_qp_cap_t;

typedef struct {
    uint64_t gid[2];
    uint32_t gid_index;
    uint32_t port_num;
    uint32_t gid_type;
    uint32_t netdev_ifindex;
} softefa_abi_gid_entry_t;

typedef struct {
    uint32_t port_cap_flags;
    uint32_t max_msg_sz;
    uint32_t bad_pkey_cntr;
    uint32_t qkey_viol_cntr;
    uint32_t gid_tbl_len;
    uint16_t pkey_tbl_len;
    uint16_t lid;
    uint16_t sm_lid;
    uint8_t  state;
    uint8_t  max_mtu;
    uint8_t  active_mtu;
    uint8_t  lmc;
    uint8_t  max_vl_num;
    uint8_t  sm_sl;
    uint8_t  subnet_timeout;
    uint8_t  init_type_reply;
    uint8_t  active_width;
    uint8_t  active_speed;
    uint8_t  phys_state;
    uint8_t  link_layer;
    uint8_t  flags;
    uint8_t  reserved;
} softefa_abi_port_t;

typedef struct {
    softefa_abi_port_t legacy_resp;
    uint16_t           port_cap_flags2;
    uint8_t            reserved[2];
    uint32_t           active_speed_ex;
} softefa_abi_port_ex_t;

typedef struct {
    uint32_t comp_events_reported;
    uint32_t async_events_reported;
} softefa_abi_destroy_cq_resp_t;

typedef struct {
    uint32_t events_reported;
} softefa_abi_destroy_qp_resp_t;

/* What is read from the descriptor of asynchronous events. */
typedef struct {
    uint64_t element;                /* the user's handle */
    uint32_t event_type;             /* enum ibv_event_type */
    uint32_t reserved;
} softefa_abi_async_event_t;

/* ---- the older commands ---- */

enum {
    SOFTEFA_WRITE_QUERY_DEVICE        = 1,
    SOFTEFA_WRITE_ALLOC_PD            = 3,
    SOFTEFA_WRITE_CREATE_AH           = 5,
    SOFTEFA_WRITE_REG_MR              = 9,
    SOFTEFA_WRITE_CREATE_COMP_CHANNEL = 17,
    SOFTEFA_WRITE_QUERY_QP            = 25,
    SOFTEFA_WRITE_MODIFY_QP           = 26
};

/* An extended command has this bit. */
#define SOFTEFA_WRITE_EXTENDED (1u << 31)

/* All commands begin with the address for the response, which the ioctl does
 * not use, and may end with the driver's part, which EFA does not have. */
typedef struct {
    uint64_t response;
} softefa_abi_cmd_t;                 /* QUERY_DEVICE, ALLOC_PD, ..CHANNEL */

typedef struct {
    uint64_t fw_ver;
    uint64_t node_guid;              /* big-endian */
    uint64_t sys_image_guid;         /* big-endian */
    uint64_t max_mr_size;
    uint64_t page_size_cap;
    uint32_t vendor_id;
    uint32_t vendor_part_id;
    uint32_t hw_ver;
    uint32_t max_qp;
    uint32_t max_qp_wr;
    uint32_t device_cap_flags;
    uint32_t max_sge;
    uint32_t max_sge_rd;
    uint32_t max_cq;
    uint32_t max_cqe;
    uint32_t max_mr;
    uint32_t max_pd;
    uint32_t rdma_atomics[6];        /* EFA has none */
    uint32_t max_ee;
    uint32_t max_rdd;
    uint32_t max_mw;
    uint32_t raw_qps[2];             /* EFA has none */
    uint32_t multicast[3];           /* EFA has none */
    uint32_t max_ah;
    uint32_t fmrs[2];                /* EFA has none */
    uint32_t srqs[3];                /* EFA has none */
    uint16_t max_pkeys;
    uint8_t  local_ca_ack_delay;
    uint8_t  phys_port_cnt;
    uint8_t  reserved[4];
} softefa_abi_device_t;

typedef struct {
    uint32_t comp_mask;
    uint32_t reserved;
} softefa_abi_ex_query_device_t;

typedef struct {
    softefa_abi_device_t base;
    uint32_t             comp_mask;
    uint32_t             response_length;
    uint8_t              not_efa[120]; /* ODP, clock, RSS, tag matching */
} softefa_abi_device_ex_t;

typedef struct {
    uint32_t pd_handle;
} softefa_abi_alloc_pd_resp_t;

typedef struct {
    uint8_t  dgid[16];
    uint32_t flow_label;
    uint8_t  sgid_index;
    uint8_t  hop_limit;
    uint8_t  traffic_class;
    uint8_t  reserved;
} softefa_abi_grh_t;

typedef struct {
    softefa_abi_grh_t grh;
    uint16_t          dlid;
    uint8_t           sl;
    uint8_t           src_path_bits;
    uint8_t           static_rate;
    uint8_t           is_global;
    uint8_t           port_num;
    uint8_t           reserved;
} softefa_abi_ah_attr_t;

typedef struct {
    uint64_t              response;
    uint64_t              user_handle;
    uint32_t              pd_handle;
    uint32_t              reserved;
    softefa_abi_ah_attr_t attr;
} softefa_abi_create_ah_t;

typedef struct {
    uint32_t ah_handle;
} softefa_abi_create_ah_resp_t;

typedef struct {
    uint64_t response;
    uint64_t start;
    uint64_t length;
    uint64_t hca_va;
    uint32_t pd_handle;
    uint32_t access_flags;
} softefa_abi_reg_mr_t;

typedef struct {
    uint32_t mr_handle;
    uint32_t lkey;
    uint32_t rkey;
} softefa_abi_reg_mr_resp_t;

typedef struct {
    uint32_t fd;
} softefa_abi_create_comp_channel_resp_t;

typedef struct {
    uint64_t response;
    uint32_t qp_handle;
    uint32_t attr_mask;
} softefa_abi_query_qp_t;

/* What MODIFY_QP gives and QUERY_QP returns begins with two paths, which EFA
 * does not have: each QP reaches all. */
typedef struct {
    uint8_t  paths[64];
    uint32_t max_send_wr;
    uint32_t max_recv_wr;
    uint32_t max_send_sge;
    uint32_t max_recv_sge;
    uint32_t max_inline_data;
    uint32_t qkey;
    uint32_t rq_psn;
    uint32_t sq_psn;
    uint32_t dest_qp_num;
    uint32_t qp_access_flags;
    uint16_t pkey_index;
    uint16_t alt_pkey_index;
    uint8_t  qp_state;
    uint8_t  cur_qp_state;
    uint8_t  path_mtu;
    uint8_t  path_mig_state;
    uint8_t  sq_draining;
    uint8_t  max_rd_atomic;
    uint8_t  max_dest_rd_atomic;
    uint8_t  min_rnr_timer;
    uint8_t  port_num;
    uint8_t  timeout;
    uint8_t  retry_cnt;
    uint8_t  rnr_retry;
    uint8_t  alt_port_num;
    uint8_t  alt_timeout;
    uint8_t  sq_sig_all;
    uint8_t  reserved[5];
} softefa_abi_query_qp_resp_t;

typedef struct {
    uint8_t  paths[64];
    uint32_t qp_handle;
    uint32_t attr_mask;
    uint32_t qkey;
    uint32_t rq_psn;
    uint32_t sq_psn;
    uint32_t dest_qp_num;
    uint32_t qp_access_flags;
    uint16_t pkey_index;
    uint16_t alt_pkey_index;
    uint8_t  qp_state;
    uint8_t  cur_qp_state;
    uint8_t  path_mtu;
    uint8_t  path_mig_state;
    uint8_t  en_sqd_async_notify;
    uint8_t  max_rd_atomic;
    uint8_t  max_dest_rd_atomic;
    uint8_t  min_rnr_timer;
    uint8_t  port_num;
    uint8_t  timeout;
    uint8_t  retry_cnt;
    uint8_t  rnr_retry;
    uint8_t  alt_port_num;
    uint8_t  alt_timeout;
    uint8_t  reserved[2];
} softefa_abi_modify_qp_t;

static_assert(sizeof(softefa_abi_attr_t) == 16, "uapi layout");
static_assert(sizeof(softefa_abi_ioctl_t) == 24, "uapi layout");
static_assert(sizeof(softefa_abi_qp_cap_t) == 20, "uapi layout");
static_assert(sizeof(softefa_abi_gid_entry_t) == 32, "uapi layout");
static_assert(sizeof(softefa_abi_port_t) == 40, "uapi layout");
static_assert(sizeof(softefa_abi_port_ex_t) == 48, "uapi layout");
static_assert(sizeof(softefa_abi_async_event_t) == 16, "uapi layout");
static_assert(sizeof(softefa_abi_device_t) == 176, "uapi layout");
static_assert(sizeof(softefa_abi_device_ex_t) == 304, "uapi layout");
static_assert(sizeof(softefa_abi_ah_attr_t) == 32, "uapi layout");
static_assert(sizeof(softefa_abi_create_ah_t) == 56, "uapi layout");
static_assert(sizeof(softefa_abi_reg_mr_t) == 40, "uapi layout");
static_assert(sizeof(softefa_abi_query_qp_t) == 16, "uapi layout");
static_assert(sizeof(softefa_abi_query_qp_resp_t) == 128, "uapi layout");
static_assert(sizeof(softefa_abi_modify_qp_t) == 112, "uapi layout");

#endif
