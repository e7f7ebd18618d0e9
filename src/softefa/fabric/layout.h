/*
 * What the memory of a fabric looks like: the same in all processes, only data.
 *
 *   mem:  header | processes | channels | heap map | devices | heap
 *                                                     |         '- rings and
 *                                    tables of PD, AH,|            doorbells
 *                                    MR, CQ, QP ------'
 *
 * Locks:
 *   admin lock     every allocation and release, in any table or the heap
 *   QP lock        its RQ: descriptors are taken, copied into, completed
 *   CQ lock        its ring: entries are written; its FIFO (nic/fifo.h).
 *                  Held over a copy only of what is in that
 *   order          admin -> QP -> CQ. All three are robust: a process that
 *                  finds the holder dead repairs what the lock protects. No
 *                  process waits for a holder that is stopped (lock.c).
 *   the rest of an object is constant from `state` alive to `state` free
 *
 * An MR's `addr` is an address in its owner's memory: the NIC model hands it to
 * softefa_host_write() and _read() (nic/host.h) and never looks behind it.
 * Rings and doorbells are part of this memory, so that any process can write a
 * completion to any CQ.
 */
#ifndef SOFTEFA_LAYOUT_H
#define SOFTEFA_LAYOUT_H

#include "config/options.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SOFTEFA_LAYOUT_VERSION = 7,
    SOFTEFA_MAX_PROCS      = 1024,
    SOFTEFA_SLOT_JOINING   = SOFTEFA_MAX_PROCS, /* of a process without one */
    SOFTEFA_MAX_CHANNELS   = 4096,
    SOFTEFA_MAX_SUB_CQS    = 4,
    SOFTEFA_MR_INDEX_BITS  = 18,

    /* Largest tables that options.c lets a profile ask for. */
    SOFTEFA_TABLE_PD       = 65536,
    SOFTEFA_TABLE_AH       = 65536,
    SOFTEFA_TABLE_MR       = 1 << SOFTEFA_MR_INDEX_BITS,
    SOFTEFA_TABLE_CQ       = 32768,
    SOFTEFA_TABLE_QP       = 32768
};

#define SOFTEFA_HEAP_UNIT  4096ull           /* also the smallest page size */
#define SOFTEFA_MAX_PAGE   65536ull
#define SOFTEFA_HEAP_SIZE  (4ull << 30)
#define SOFTEFA_HEAP_UNITS (SOFTEFA_HEAP_SIZE / SOFTEFA_HEAP_UNIT)
#define SOFTEFA_NO_DEVICE  0xffu
#define SOFTEFA_CACHE_LINE 64

/* Who holds a lock (lock.c): a thread, of the member that has this slot for
 * this time. Zero: nobody, so a lock in zeroed memory is ready. */
enum {
    SOFTEFA_HOLDER_TID_BITS  = 22,           /* as the kernel's PID_MAX_LIMIT */
    SOFTEFA_HOLDER_SLOT_BITS = 11,
    SOFTEFA_HOLDER_GENERATION_BITS = 31
};

typedef struct {
    _Atomic uint64_t holder;                 /* generation | slot | tid */
} softefa_lock_t;

/* Every table entry starts like this. */
typedef enum {
    SOFTEFA_STATE_FREE     = 0,
    SOFTEFA_STATE_RESERVED = 1,              /* being made or taken apart */
    SOFTEFA_STATE_ALIVE    = 2,              /* QP: 2 + enum ibv_qp_state */
    SOFTEFA_STATE_DEAD     = 16              /* its device died; its owner has
                                                it until the file is closed */
} softefa_state_t;

typedef struct {
    _Atomic uint32_t state;
    uint32_t         owner;                  /* process slot << 16 | file */
} softefa_shm_obj_t;

typedef struct {
    uint64_t offset;                         /* in the file, 0: none */
    uint64_t size;                           /* bytes, whole units */
} softefa_extent_t;

typedef struct {
    softefa_shm_obj_t obj;
    uint32_t          refs;                  /* AHs, MRs and QPs in it */
    uint32_t          zero;
    /* Number of the AH for a device's GID on host 0, or SOFTEFA_AH_UNKNOWN. The
     * last one is always that: what senders on other hosts find. */
    _Atomic uint16_t  ah_of[SOFTEFA_MAX_DEVICES + 1];
    uint8_t           pad[14];
} softefa_shm_pd_t;

typedef struct {
    softefa_shm_obj_t obj;
    uint16_t          pdn;
    uint8_t           device;                /* or SOFTEFA_NO_DEVICE */
    uint8_t           zero;
    uint32_t          refs;
    uint32_t          generation;            /* of this number, never reset */
    uint8_t           gid[16];
    uint8_t           pad[28];
} softefa_shm_ah_t;

typedef struct {
    softefa_shm_obj_t obj;
    uint32_t          lkey;
    uint32_t          rkey;
    uint32_t          access;
    uint16_t          pdn;
    uint16_t          zero;
    uint64_t          addr;                  /* in the owner's memory */
    uint64_t          length;
    uint64_t          iova;
    uint64_t          pad[2];
} softefa_shm_mr_t;

typedef struct {
    softefa_shm_obj_t obj;
    uint32_t          depth;                 /* of each sub-CQ, power of two */
    uint32_t          capacity;              /* of all sub-CQs */
    uint16_t          entry_size;
    uint16_t          num_sub_cqs;
    uint64_t          ring[SOFTEFA_MAX_SUB_CQS]; /* offset of each sub-CQ */
    uint64_t          db;                    /* offset of the doorbell */
    uint64_t          cookie;
    uint32_t          channel;               /* index + 1, 0: none */
    uint16_t          with_sgid;
    uint16_t          refs;                  /* QPs' send and receive queues */
    _Atomic uint32_t  behind;                /* so is the doorbell */
    uint64_t          fifo;                  /* offset */
    uint32_t          fifo_size;             /* bytes, power of two */
    softefa_extent_t  extent;

    /* Under the lock. */
    softefa_lock_t    lock __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    uint32_t          head[SOFTEFA_MAX_SUB_CQS]; /* entries written so far */
    uint32_t          total;                 /* sum of these */
    uint32_t          armed;
    uint32_t          events;                /* raised so far */
    uint16_t          overrun;               /* already logged */
    uint8_t           raising;               /* an event, just now */
    uint8_t           uncertain;             /* whether `events` has it */
    uint64_t          writer;                /* offset: last receive's QP */
    /* The FIFO, see fifo.h: bytes written and moved so far; the owner's polls
     * compare them without the lock. Another `fifo_next` is the tail after a
     * record that is being moved. */
    uint32_t          fifo_mode;             /* softefa_fifo_mode_t */
    _Atomic uint32_t  fifo_head, fifo_tail;
    uint32_t          fifo_next;
} __attribute__((aligned(SOFTEFA_CACHE_LINE))) softefa_shm_cq_t;

typedef enum {
    SOFTEFA_FIFO_OFF,                        /* nobody has polled yet */
    SOFTEFA_FIFO_ON,                         /* polls move what is in it */
    SOFTEFA_FIFO_NEVER                       /* polls are not seen */
} softefa_fifo_mode_t;

/* See counters.h. */
typedef struct {
    uint64_t wrs;
    uint64_t bytes;
} softefa_traffic_t;

typedef enum {
    SOFTEFA_COUNT_RX_DROPS,
    SOFTEFA_COUNT_READ_ERR,
    SOFTEFA_COUNT_WRITE_ERR,
    SOFTEFA_COUNT_READ_RESP_BYTES,
    SOFTEFA_COUNT_WRITE_RECV_BYTES,
    SOFTEFA_COUNT_RDMA_TX_PKTS,
    SOFTEFA_COUNT_RDMA_RX_PKTS,
    SOFTEFA_COUNT_RETRANS_BYTES,
    SOFTEFA_COUNT_RETRANS_PKTS,
    SOFTEFA_COUNT_UNRESPONSIVE,
    SOFTEFA_COUNT_CMDS,
    SOFTEFA_COUNT_CMDS_ERR,
    SOFTEFA_COUNT_NO_COMPLETION,
    SOFTEFA_COUNT_ALLOC_PD_ERR,
    SOFTEFA_COUNT_CREATE_QP_ERR,
    SOFTEFA_COUNT_CREATE_CQ_ERR,
    SOFTEFA_COUNT_REG_MR_ERR,
    SOFTEFA_COUNT_ALLOC_UCONTEXT_ERR,
    SOFTEFA_COUNT_CREATE_AH_ERR,
    SOFTEFA_NUM_COUNTS
} softefa_count_t;

typedef struct {
    /* Read by senders. */
    softefa_shm_obj_t obj;
    uint16_t          qpn;
    uint16_t          pdn;
    uint32_t          qkey;
    uint16_t          recv_cq;
    uint8_t           recv_sub_cq;
    uint8_t           type;                  /* softefa_qp_type_t */
    uint8_t           unsolicited;
    uint8_t           zero;
    uint16_t          generation;            /* of this table entry */
    uint32_t          rq_mask;               /* descriptors - 1 */
    uint32_t          rq_size;               /* descriptors, 0: no RQ */
    uint64_t          rq_ring;
    uint64_t          rq_db;
    uint64_t          cookie;                /* of its asynchronous events */

    /* Under the lock. */
    softefa_lock_t    lock __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    _Atomic uint32_t  rq_head;               /* descriptors taken so far */
    /* Differs from rq_head while a completion is being written, so that the
     * writer's death in between is decided one way (cq.c). The last two are
     * also under the CQ's lock. */
    uint32_t          journal_head;          /* rq_head afterwards */
    uint32_t          journal_pos;           /* CQ entry that decides */
    uint32_t          journal_lost;          /* that + 1: was not written */
    uint32_t          journal_in_fifo;       /* the FIFO decides */
    uint32_t          journal_fifo;          /* its head before */

    /* MR that this QP's RDMA is copying from or to: device << 24 | index + 1;
     * its deregistration waits. */
    _Atomic uint32_t  rdma_target __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    uint16_t          send_cq;
    uint16_t          events;                /* asynchronous ones, raised */
    softefa_traffic_t sent, read, written;   /* by its process */

    softefa_traffic_t received               /* under the lock */
        __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    softefa_extent_t  extent;
} __attribute__((aligned(SOFTEFA_CACHE_LINE))) softefa_shm_qp_t;

static_assert(sizeof(softefa_shm_pd_t) == 64, "one cache line");
static_assert(sizeof(softefa_shm_ah_t) == 64, "one cache line");
static_assert(sizeof(softefa_shm_mr_t) == 64, "one cache line");
static_assert(sizeof(softefa_shm_qp_t) == 256, "four cache lines");
static_assert(sizeof(softefa_shm_cq_t) == 192, "three cache lines");
static_assert(sizeof(softefa_shm_cq_t) -
                              offsetof(softefa_shm_cq_t, lock) ==
                      SOFTEFA_CACHE_LINE,
              "what a completion writes to is one cache line");

typedef struct {
    uint32_t limit;                          /* of the profile */
    uint32_t count;
    _Atomic uint32_t backed;                 /* entries whose memory is there */
    uint32_t next;                           /* where to look first */
} softefa_table_t;

typedef enum {
    SOFTEFA_KIND_PD,
    SOFTEFA_KIND_AH,
    SOFTEFA_KIND_MR,
    SOFTEFA_KIND_CQ,
    SOFTEFA_KIND_QP,
    SOFTEFA_NUM_KINDS
} softefa_kind_t;

typedef struct {
    _Atomic uint32_t  opens;                 /* files open, all processes */
    uint32_t          qp_mask;               /* roundup_pow2(max_qp) - 1 */
    _Atomic uint32_t  responded;             /* bit per device heard from */
    softefa_profile_t profile;               /* name is not valid here */
    uint64_t          random;                /* state of the key generator */
    /* AHs of this device for each device, over all PDs. */
    _Atomic uint32_t  ah_for[SOFTEFA_MAX_DEVICES];
    _Atomic uint64_t  count[SOFTEFA_NUM_COUNTS]
        __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    softefa_table_t   table[SOFTEFA_NUM_KINDS];
    uint64_t          pd_map[SOFTEFA_TABLE_PD / 64];
    uint64_t          ah_map[SOFTEFA_TABLE_AH / 64];
    uint64_t          mr_map[SOFTEFA_TABLE_MR / 64];
    uint64_t          cq_map[SOFTEFA_TABLE_CQ / 64];
    uint64_t          qp_map[SOFTEFA_TABLE_QP / 64];
    softefa_shm_pd_t  pd[SOFTEFA_TABLE_PD] __attribute__((aligned(4096)));
    softefa_shm_ah_t  ah[SOFTEFA_TABLE_AH] __attribute__((aligned(4096)));
    softefa_shm_mr_t  mr[SOFTEFA_TABLE_MR] __attribute__((aligned(4096)));
    softefa_shm_cq_t  cq[SOFTEFA_TABLE_CQ] __attribute__((aligned(4096)));
    softefa_shm_qp_t  qp[SOFTEFA_TABLE_QP] __attribute__((aligned(4096)));
} softefa_shm_dev_t;

typedef struct {
    _Atomic uint32_t state;                  /* softefa_state_t */
    int32_t          pid;
    uint64_t         pidns;                  /* inode of the PID namespace */
    _Atomic uint32_t generation;             /* of the slot, never reset */
    uint32_t         zero;
    uint16_t         opens[SOFTEFA_MAX_DEVICES];
    uint64_t         pad;
} softefa_shm_proc_t;

typedef struct {
    softefa_shm_obj_t obj;
    uint32_t          generation;            /* of this number, never reset */
    uint32_t          refs;                  /* CQs, plus one while open */
} softefa_shm_channel_t;

/* What may be wrong with a device for a time. */
typedef enum {
    SOFTEFA_PAUSED,                          /* messages wait */
    SOFTEFA_UNRESPONSIVE,                    /* status 13 */
    SOFTEFA_UNREACHABLE,                     /* status 15 */
    SOFTEFA_NUM_CONDITIONS
} softefa_condition_t;

/* Status of a device (nic/device.c). Written under the admin lock, but for the
 * step from dead to alive, which the first process makes that sees the time. */
typedef struct {
    _Atomic uint32_t incarnation;            /* odd: dead; a context opened in
                                                another one stays dead */
    _Atomic uint32_t backed;                 /* was open: its tables exist */
    _Atomic uint64_t return_at;              /* of a dead one, monotonic ns */
    _Atomic uint64_t until[SOFTEFA_NUM_CONDITIONS]; /* same clock */
    uint64_t         pad[3];
} softefa_shm_status_t;

static_assert(sizeof(softefa_shm_status_t) == 64, "one cache line");

typedef struct {
    uint64_t              magic;             /* written last */
    uint64_t              layout;            /* of this build */
    uint64_t              size;              /* of the file, bytes */
    uint32_t              num_procs;         /* slots used so far */
    uint32_t              num_channels;
    uint64_t              heap_next;         /* unit to look at first */
    /* Set for ever once a device has had a fault: the one thing that the data
     * path looks at, and at `status` only then. */
    _Atomic uint32_t      faulted;
    softefa_lock_t        admin __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    softefa_shm_proc_t    proc[SOFTEFA_MAX_PROCS]
        __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    softefa_shm_status_t    status[SOFTEFA_MAX_DEVICES];
    softefa_shm_channel_t channel[SOFTEFA_MAX_CHANNELS];
    uint64_t              heap_map[SOFTEFA_HEAP_UNITS / 64];
    softefa_shm_dev_t     dev[SOFTEFA_MAX_DEVICES];
} softefa_shm_t;

/* The heap follows, at a multiple of any page size. */
#define SOFTEFA_HEAP_OFFSET                                                   \
    ((sizeof(softefa_shm_t) + SOFTEFA_MAX_PAGE - 1) &                         \
     ~(SOFTEFA_MAX_PAGE - 1))

#endif
