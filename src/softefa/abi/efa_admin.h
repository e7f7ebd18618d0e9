/*
 * What the EFA driver and the device exchange besides rings: registers, the
 * admin queue and its completion queue (AQ, ACQ), asynchronous events (AENQ),
 * event queues (EQ). Little-endian.
 *
 *   AQ entry, 64 bytes         ACQ entry, 64 bytes    AENQ entry, 64 bytes
 *   0  command id              0  command id          0  group, syndrome
 *   2  opcode                  2  status              4  flags (phase bit)
 *   3  flags (phase bit)       3  flags (phase bit)   8  time
 *   4  of the command          8  of the command      16 of the event
 *
 *   EQ entry, 16 bytes         0 type, phase bit; 8 CQ number
 *
 * Source: Linux 6.1 and 7.2, drivers/infiniband/hw/efa: efa_regs_defs.h,
 * efa_admin_defs.h, efa_admin_cmds_defs.h. Fields that a later one appended are
 * here: an older driver does not read them.
 */
#ifndef SOFTEFA_EFA_ADMIN_H
#define SOFTEFA_EFA_ADMIN_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

/* ---- registers: offsets in BAR 0, 32 bits each ---- */

enum {
    SOFTEFA_REG_VERSION            = 0x00,
    SOFTEFA_REG_CONTROLLER_VERSION = 0x04,
    SOFTEFA_REG_CAPS               = 0x08,
    SOFTEFA_REG_AQ_BASE_LO         = 0x10,
    SOFTEFA_REG_AQ_BASE_HI         = 0x14,
    SOFTEFA_REG_AQ_CAPS            = 0x18,
    SOFTEFA_REG_ACQ_BASE_LO        = 0x20,
    SOFTEFA_REG_ACQ_BASE_HI        = 0x24,
    SOFTEFA_REG_ACQ_CAPS           = 0x28,
    SOFTEFA_REG_AQ_PROD_DB         = 0x2c,
    SOFTEFA_REG_AENQ_CAPS          = 0x34,
    SOFTEFA_REG_AENQ_BASE_LO       = 0x38,
    SOFTEFA_REG_AENQ_BASE_HI       = 0x3c,
    SOFTEFA_REG_AENQ_CONS_DB       = 0x40,
    SOFTEFA_REG_INTR_MASK          = 0x4c,
    SOFTEFA_REG_DEV_CTL            = 0x54,
    SOFTEFA_REG_DEV_STS            = 0x58,
    SOFTEFA_REG_MMIO_REG_READ      = 0x5c,
    SOFTEFA_REG_MMIO_RESP_LO       = 0x60,
    SOFTEFA_REG_MMIO_RESP_HI       = 0x64,
    SOFTEFA_REG_EQ_DB              = 0x68,
    SOFTEFA_REG_END                = 0x6c
};

/* CAPS: [5:1] reset timeout, [19:16] command timeout, both 100 ms (a command: 0
 * is the driver's own); [15:8] bits of a DMA address */
#define SOFTEFA_CAPS(_reset, _bits, _command)                                 \
    (((_reset) << 1) | ((_bits) << 8) | ((_command) << 16))

/* AQ_CAPS, ACQ_CAPS, AENQ_CAPS: [15:0] entries, [23:16] bytes of one, in
 * AQ_CAPS [31:16]; [31:24] MSI-X vector, not of the AQ */
enum {
    SOFTEFA_INTR_MASK_EN         = 1 << 0, /* no interrupts of the ACQ */

    SOFTEFA_DEV_CTL_RESET        = 1 << 0,

    SOFTEFA_DEV_STS_READY        = 1 << 0,
    SOFTEFA_DEV_STS_RESETTING    = 1 << 3,
    SOFTEFA_DEV_STS_RESET_DONE   = 1 << 4,
    SOFTEFA_DEV_STS_FATAL        = 1 << 5,

    SOFTEFA_EQ_DB_EQN            = 0xffff
};
#define SOFTEFA_EQ_DB_ARM (1u << 31)

/* What MMIO_REG_READ ([15:0] request, [31:16] offset) writes into memory; the
 * request is written last. */
typedef struct {
    uint16_t req_id;
    uint16_t offset;
    uint32_t value;
} softefa_mmio_resp_t;

static_assert(sizeof(softefa_mmio_resp_t) == 8, "register read response");

/* ---- queues ---- */

typedef enum {
    SOFTEFA_ADMIN_CREATE_QP = 1,
    SOFTEFA_ADMIN_MODIFY_QP,
    SOFTEFA_ADMIN_QUERY_QP,
    SOFTEFA_ADMIN_DESTROY_QP,
    SOFTEFA_ADMIN_CREATE_AH,
    SOFTEFA_ADMIN_DESTROY_AH,
    SOFTEFA_ADMIN_REG_MR,
    SOFTEFA_ADMIN_DEREG_MR,
    SOFTEFA_ADMIN_CREATE_CQ,
    SOFTEFA_ADMIN_DESTROY_CQ,
    SOFTEFA_ADMIN_GET_FEATURE,
    SOFTEFA_ADMIN_SET_FEATURE,
    SOFTEFA_ADMIN_GET_STATS,
    SOFTEFA_ADMIN_ALLOC_PD,
    SOFTEFA_ADMIN_DEALLOC_PD,
    SOFTEFA_ADMIN_ALLOC_UAR,
    SOFTEFA_ADMIN_DEALLOC_UAR,
    SOFTEFA_ADMIN_CREATE_EQ,
    SOFTEFA_ADMIN_DESTROY_EQ,
    SOFTEFA_ADMIN_LAST = SOFTEFA_ADMIN_DESTROY_EQ
} softefa_admin_opcode_t;

static_assert(SOFTEFA_ADMIN_LAST == 19, "admin opcodes");

typedef enum {
    SOFTEFA_ADMIN_OK                = 0,
    SOFTEFA_ADMIN_NO_RESOURCE       = 1,
    SOFTEFA_ADMIN_BAD_OPCODE        = 2,
    SOFTEFA_ADMIN_UNSUPPORTED       = 3,
    SOFTEFA_ADMIN_MALFORMED         = 4,
    SOFTEFA_ADMIN_ILLEGAL_PARAMETER = 5,
    SOFTEFA_ADMIN_UNKNOWN_ERROR     = 6,
    SOFTEFA_ADMIN_BUSY              = 7
} softefa_admin_status_t;

enum {
    SOFTEFA_ADMIN_ENTRY_SIZE    = 64,
    SOFTEFA_ADMIN_PHASE         = 1 << 0,  /* AQ, ACQ, AENQ, EQ */
    SOFTEFA_ADMIN_CTRL          = 1 << 1,  /* AQ: control buffer is valid */
    SOFTEFA_ADMIN_CTRL_INDIRECT = 1 << 2,  /* AQ: list of chunks */
    SOFTEFA_ADMIN_ID_MASK       = 0xfff    /* the rest comes back as it is */
};

typedef struct {
    uint16_t id;
    uint8_t  opcode;
    uint8_t  flags;
} softefa_admin_head_t;

typedef struct {
    uint16_t id;
    uint8_t  status;
    uint8_t  flags;
    uint16_t extended;                     /* checksum from version 0.2 on */
    uint16_t sq_head;
} softefa_admin_resp_head_t;

typedef struct {
    uint32_t length;
    uint32_t addr_lo;
    uint32_t addr_hi;
} softefa_admin_buf_t;

typedef struct {
    uint16_t group;
    uint16_t syndrome;
    uint8_t  flags;
    uint8_t  reserved[3];
    uint32_t time_lo;
    uint32_t time_hi;
    uint32_t data[12];
} softefa_aenq_entry_t;

typedef enum {
    SOFTEFA_AENQ_FATAL        = 1,
    SOFTEFA_AENQ_WARNING      = 2,
    SOFTEFA_AENQ_NOTIFICATION = 3,
    SOFTEFA_AENQ_KEEP_ALIVE   = 4
} softefa_aenq_group_t;

typedef struct {
    uint32_t common;                       /* [0] phase, [8:1] 0: completion */
    uint32_t reserved;
    uint16_t cqn;
    uint16_t reserved2;
    uint32_t reserved3;
} softefa_eq_entry_t;

static_assert(sizeof(softefa_admin_resp_head_t) == 8, "ACQ entry");
static_assert(sizeof(softefa_aenq_entry_t) == 64, "AENQ entry");
static_assert(sizeof(softefa_eq_entry_t) == 16, "EQ entry");

/* ---- features ---- */

typedef enum {
    SOFTEFA_FEATURE_DEVICE       = 1,
    SOFTEFA_FEATURE_AENQ         = 2,
    SOFTEFA_FEATURE_NETWORK      = 3,
    SOFTEFA_FEATURE_QUEUES       = 4,
    SOFTEFA_FEATURE_HINTS        = 5,
    SOFTEFA_FEATURE_HOST_INFO    = 6,
    SOFTEFA_FEATURE_EVENT_QUEUES = 7,
    SOFTEFA_FEATURE_QUEUES_2     = 9
} softefa_feature_t;

/* device_caps: other bits than the kernel tells programs (SOFTEFA_CAP_*) */
enum {
    SOFTEFA_ADMIN_CAP_READ        = 1 << 0,
    SOFTEFA_ADMIN_CAP_RNR_RETRY   = 1 << 1,
    SOFTEFA_ADMIN_CAP_POLLING_128 = 1 << 2,
    SOFTEFA_ADMIN_CAP_WRITE       = 1 << 3,
    SOFTEFA_ADMIN_CAP_UNSOLICITED = 1 << 4
};

typedef struct {
    uint64_t features;                     /* bit per softefa_feature_t */
    uint64_t page_sizes;
    uint32_t fw_version;
    uint32_t api_version;
    uint32_t device_version;
    uint16_t db_bar;
    uint8_t  phys_bits;
    uint8_t  virt_bits;
    uint32_t caps;
    uint32_t max_rdma_size;
    uint64_t guid;
    uint16_t link_gbps;
    uint16_t reserved0;
    uint32_t reserved1;
} softefa_feature_device_t;

typedef struct {
    uint32_t supported;                    /* bit per group */
    uint32_t enabled;
} softefa_feature_aenq_t;

typedef struct {
    uint8_t  gid[16];
    uint32_t mtu;
} softefa_feature_network_t;

typedef struct {
    uint32_t max_qp;
    uint32_t max_sq_depth;
    uint32_t inline_size;
    uint32_t max_rq_depth;
    uint32_t max_cq;
    uint32_t max_cq_depth;
    uint16_t sub_cqs;
    uint16_t min_sq_depth;
    uint16_t max_send_sge;
    uint16_t max_recv_sge;
    uint32_t max_mr;
    uint32_t max_mr_pages;
    uint32_t max_pd;
    uint32_t max_ah;
    uint32_t max_llq_size;
    uint16_t max_rdma_sge;
    uint16_t max_tx_batch;
} softefa_feature_queues_t;

typedef struct {
    uint16_t inline_size_ex;
} softefa_feature_queues_2_t;

typedef struct {
    uint16_t mmio_read_timeout;            /* ms, 0: the driver's own */
    uint16_t watchdog_timeout;
    uint16_t admin_timeout;
    uint16_t poll_interval;
} softefa_feature_hints_t;

typedef struct {
    uint32_t max_eq;
    uint32_t max_eq_depth;
    uint32_t events;                       /* bit 0: completions */
} softefa_feature_eq_t;

static_assert(offsetof(softefa_feature_device_t, guid) == 40, "device");
static_assert(sizeof(softefa_feature_device_t) == 56, "device");
static_assert(sizeof(softefa_feature_network_t) == 20, "network");
static_assert(sizeof(softefa_feature_queues_t) == 56, "queues");
static_assert(sizeof(softefa_feature_hints_t) == 8, "hints");
static_assert(sizeof(softefa_feature_eq_t) == 12, "event queues");

/* What the driver tells of itself; its text may have no end. */
typedef struct {
    char     os[128];
    uint32_t os_type;
    char     kernel[32];
    uint32_t kernel_version;
    uint32_t driver_version;
    uint16_t bdf;
    uint16_t spec_version;
    uint32_t flags;
} softefa_host_info_t;

static_assert(sizeof(softefa_host_info_t) == 180, "host info");

/* ---- commands: what follows the head, and responses behind theirs ---- */

/* Commands are aligned to 4 bytes: behind the head. */
typedef uint64_t softefa_admin_u64_t __attribute__((aligned(4)));

typedef struct {
    softefa_admin_buf_t ctrl;
    uint8_t             reserved0;
    uint8_t             feature;
    uint16_t            reserved1;
    softefa_feature_aenq_t aenq;           /* SET_FEATURE */
} softefa_admin_feature_t;

typedef struct {
    uint16_t pd;
    uint8_t  type;                         /* 1: UD, 2: SRD */
    uint8_t  flags;
    softefa_admin_u64_t sq_base;
    softefa_admin_u64_t rq_base;
    uint32_t send_cq;
    uint32_t recv_cq;
    uint32_t sq_lkey;
    uint32_t rq_lkey;
    uint32_t sq_ring_size;                 /* bytes */
    uint32_t sq_depth;                     /* requests */
    uint32_t rq_ring_size;
    uint32_t rq_depth;
    uint16_t uar;
    uint8_t  service_level;
    uint8_t  reserved;
    uint32_t reserved2;
} softefa_admin_create_qp_t;

enum {
    SOFTEFA_ADMIN_QP_UD               = 1,
    SOFTEFA_ADMIN_QP_SRD              = 2,
    SOFTEFA_ADMIN_QP_SQ_VIRT          = 1 << 0,
    SOFTEFA_ADMIN_QP_RQ_VIRT          = 1 << 1,
    SOFTEFA_ADMIN_QP_UNSOLICITED      = 1 << 2
};

typedef struct {
    uint32_t handle;
    uint16_t qpn;
    uint16_t reserved;
    uint16_t send_sub_cq;
    uint16_t recv_sub_cq;
    uint32_t sq_db;                        /* offset in the doorbell BAR */
    uint32_t rq_db;
    uint32_t llq;                          /* offset in the LLQ BAR */
} softefa_admin_create_qp_resp_t;

enum {
    SOFTEFA_ADMIN_MOD_STATE     = 1 << 0,
    SOFTEFA_ADMIN_MOD_CUR_STATE = 1 << 1,
    SOFTEFA_ADMIN_MOD_QKEY      = 1 << 2,
    SOFTEFA_ADMIN_MOD_SQ_PSN    = 1 << 3,
    SOFTEFA_ADMIN_MOD_SQD_EVENT = 1 << 4,
    SOFTEFA_ADMIN_MOD_RNR_RETRY = 1 << 5,
    SOFTEFA_ADMIN_MOD_ALL       = (1 << 6) - 1
};

typedef struct {
    uint32_t mask;
    uint32_t handle;
    uint32_t state;
    uint32_t cur_state;
    uint32_t qkey;
    uint32_t sq_psn;
    uint8_t  sqd_event;
    uint8_t  rnr_retry;
    uint16_t reserved;
} softefa_admin_modify_qp_t;

typedef struct {
    uint32_t state;
    uint32_t qkey;
    uint32_t sq_psn;
    uint8_t  draining;
    uint8_t  rnr_retry;
    uint16_t reserved;
} softefa_admin_query_qp_resp_t;

typedef struct {
    uint8_t  gid[16];
    uint16_t pd;
    uint16_t reserved;
} softefa_admin_create_ah_t;

typedef struct {
    uint16_t ah;
    uint16_t pd;
} softefa_admin_destroy_ah_t;

enum {
    SOFTEFA_ADMIN_INLINE_PAGES = 4,
    SOFTEFA_ADMIN_CHUNK_SIZE   = 4096,     /* of an indirect page list: page */
    SOFTEFA_ADMIN_CHUNK_PAGES  = 510,      /* addresses of lists of pages, at
                                              its end the next chunk's buf */
    SOFTEFA_ADMIN_MR_SHIFT     = 0x3f,     /* 5 bits before Linux 7.3 */
    SOFTEFA_ADMIN_MR_PHYSICAL  = 1 << 7
};

typedef struct {
    uint16_t pd;
    uint16_t reserved1;
    union {
        softefa_admin_u64_t pages[SOFTEFA_ADMIN_INLINE_PAGES];
        softefa_admin_buf_t list;
    };
    softefa_admin_u64_t length;
    uint8_t  flags;                        /* page shift, physical */
    uint8_t  access;                       /* as IBV_ACCESS_* */
    uint16_t reserved5;
    uint32_t num_pages;
    softefa_admin_u64_t iova;
} softefa_admin_reg_mr_t;

typedef struct {
    uint32_t lkey;
    uint32_t rkey;
    uint8_t  ic_valid;                     /* 0: no interconnect ids */
    uint8_t  ic[3];
} softefa_admin_reg_mr_resp_t;

enum {
    SOFTEFA_ADMIN_CQ_INTERRUPT = 1 << 5,   /* caps_1 */
    SOFTEFA_ADMIN_CQ_VIRT      = 1 << 6,
    SOFTEFA_ADMIN_CQ_WORDS     = 0x1f,     /* caps_2 */
    SOFTEFA_ADMIN_CQ_SGID      = 1 << 5,
    SOFTEFA_ADMIN_CQ_DB_VALID  = 1 << 0    /* response */
};

typedef struct {
    uint8_t  caps_1;
    uint8_t  caps_2;
    uint16_t depth;
    uint16_t eqn;
    uint16_t reserved;
    uint32_t addr_lo;
    uint32_t addr_hi;
    uint32_t lkey;
    uint16_t num_sub_cqs;
    uint16_t uar;
} softefa_admin_create_cq_t;

typedef struct {
    uint16_t cqn;
    uint16_t depth;
    uint32_t db;                           /* offset in the doorbell BAR */
    uint32_t flags;
} softefa_admin_create_cq_resp_t;

typedef struct {
    uint16_t depth;
    uint8_t  vector;
    uint8_t  words;                        /* of an entry, 32 bits */
    uint32_t addr_lo;
    uint32_t addr_hi;
    uint32_t events;
    uint32_t reserved;
} softefa_admin_create_eq_t;

typedef enum {
    SOFTEFA_STATS_BASIC,
    SOFTEFA_STATS_MESSAGES,
    SOFTEFA_STATS_READ,
    SOFTEFA_STATS_WRITE,
    SOFTEFA_STATS_NETWORK,
    SOFTEFA_STATS_TYPES
} softefa_stats_type_t;

enum {
    SOFTEFA_STATS_MAX = 7                  /* 64-bit values of a response */
};

typedef struct {
    uint32_t words[3];
    uint8_t  type;
    uint8_t  scope;                        /* 0: all */
    uint16_t scope_modifier;
} softefa_admin_get_stats_t;

/* One number: of a PD, CQ, EQ, UAR (16 bits); a QP's handle, an lkey (32) */
typedef union {
    uint16_t number;
    uint32_t handle;
} softefa_admin_number_t;

typedef struct {
    softefa_admin_head_t head;
    union {
        softefa_admin_feature_t    feature;
        softefa_admin_create_qp_t  create_qp;
        softefa_admin_modify_qp_t  modify_qp;
        softefa_admin_create_ah_t  create_ah;
        softefa_admin_destroy_ah_t destroy_ah;
        softefa_admin_reg_mr_t     reg_mr;
        softefa_admin_create_cq_t  create_cq;
        softefa_admin_create_eq_t  create_eq;
        softefa_admin_get_stats_t  stats;
        softefa_admin_number_t     object;
        uint8_t                    bytes[SOFTEFA_ADMIN_ENTRY_SIZE - 4];
    };
} softefa_admin_cmd_t;

typedef struct {
    softefa_admin_resp_head_t head;
    union {
        softefa_feature_device_t       device;
        softefa_feature_aenq_t         aenq;
        softefa_feature_network_t      network;
        softefa_feature_queues_t       queues;
        softefa_feature_queues_2_t     queues_2;
        softefa_feature_hints_t        hints;
        softefa_feature_eq_t           eq;
        softefa_admin_create_qp_resp_t create_qp;
        softefa_admin_query_qp_resp_t  query_qp;
        softefa_admin_reg_mr_resp_t    reg_mr;
        softefa_admin_create_cq_resp_t create_cq;
        uint64_t                       stats[SOFTEFA_STATS_MAX];
        uint16_t                       number;
    };
} softefa_admin_resp_t;

static_assert(sizeof(softefa_admin_cmd_t) == SOFTEFA_ADMIN_ENTRY_SIZE, "AQ");
static_assert(sizeof(softefa_admin_resp_t) == SOFTEFA_ADMIN_ENTRY_SIZE, "ACQ");
static_assert(offsetof(softefa_admin_cmd_t, feature.feature) == 17, "feature");
static_assert(offsetof(softefa_admin_cmd_t, feature.aenq) == 20, "feature");
static_assert(offsetof(softefa_admin_cmd_t, create_qp.rq_base) == 16, "QP");
static_assert(offsetof(softefa_admin_cmd_t, create_qp.sq_ring_size) == 40,
              "QP");
static_assert(offsetof(softefa_admin_cmd_t, create_qp.uar) == 56, "QP");
static_assert(offsetof(softefa_admin_cmd_t, modify_qp.rnr_retry) == 29, "QP");
static_assert(offsetof(softefa_admin_cmd_t, reg_mr.pages) == 8, "MR");
static_assert(offsetof(softefa_admin_cmd_t, reg_mr.length) == 40, "MR");
static_assert(offsetof(softefa_admin_cmd_t, reg_mr.num_pages) == 52, "MR");
static_assert(offsetof(softefa_admin_cmd_t, reg_mr.iova) == 56, "MR");
static_assert(offsetof(softefa_admin_cmd_t, create_cq.addr_lo) == 12, "CQ");
static_assert(offsetof(softefa_admin_cmd_t, create_cq.uar) == 26, "CQ");
static_assert(offsetof(softefa_admin_cmd_t, create_eq.addr_lo) == 8, "EQ");
static_assert(offsetof(softefa_admin_cmd_t, stats.type) == 16, "statistics");
static_assert(offsetof(softefa_admin_resp_t, create_qp.llq) == 28, "QP");

#endif
