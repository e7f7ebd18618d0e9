/*
 * The fabric: memory shared by all processes of one user that name the same
 * fabric. It holds every device, its tables and its rings.
 *
 *   /dev/shm/softefa.<uid>.<fabric>/      0700, owner checked
 *     lock     byte 0: held while a process attaches or detaches
 *              byte 1 + slot: held by the process in that slot as long as it
 *              lives (open file description lock: the kernel drops it)
 *     mem      softefa_shm_t, sparse, mapped whole; mmap key = offset in it
 *     ev<n>    FIFO of completion channel n
 *     as<...>  FIFO of the asynchronous events of an open context (async.c)
 *     sys/     the device's files (sysfs.c)
 *
 *   mem:  header | processes | channels | heap map | devices | heap
 *                                                     |         '- rings and
 *                                    tables of PD, AH,|            doorbells
 *                                    MR, CQ, QP ------'
 *
 * Who may touch what:
 *   admin lock     every allocation and release, in any table or the heap
 *   QP lock        its RQ: descriptors are taken, copied into, completed
 *   CQ lock        its ring: entries are written; never held over a copy
 *   order          admin -> QP -> CQ. All three are robust: who finds the
 *                  owner dead repairs what the lock protects; nobody waits for
 *                  one who is stopped (lock_wait.c).
 *   the rest of an object is constant from `state` alive to `state` free
 *
 * Life of the directory: who attaches and finds no living slot starts over
 * with an empty memory, so leftovers of kill -9 never count. Who detaches last
 * removes it. Dead processes' objects are reclaimed when a process attaches,
 * when a table or the heap is full, and when a sender meets one.
 */
#ifndef SOFTEFA_FABRIC_H
#define SOFTEFA_FABRIC_H

#include "nic/nic.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

enum {
    SOFTEFA_LAYOUT_VERSION = 4,
    SOFTEFA_MAX_PROCS      = 1024,
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

/* The stores before it are made before those after it, also if the process ends
 * here. The engine's tests, with a build of their own, stop and kill it at each
 * of these points. */
#ifdef SOFTEFA_TEST_POINTS
void softefa_point(const char *name);
#  define SOFTEFA_POINT(_name) softefa_point(_name)
#else
#  define SOFTEFA_POINT(_name) atomic_signal_fence(memory_order_seq_cst)
#endif

/* A robust mutex between processes. */
typedef struct {
    pthread_mutex_t mutex;
    uint32_t        ready;                   /* initialised, once for ever */
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
    /* Number of the AH for a device's GID, or SOFTEFA_AH_UNKNOWN. */
    _Atomic uint16_t  ah_of[SOFTEFA_MAX_DEVICES];
    uint8_t           pad[16];
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
    uint16_t          entry_size;
    uint16_t          num_sub_cqs;
    uint64_t          ring;                  /* offset of the first ring */
    uint64_t          db;                    /* offset of the doorbell */
    uint64_t          cookie;
    uint32_t          channel;               /* index + 1, 0: none */
    uint16_t          with_sgid;
    uint16_t          refs;                  /* QPs' send and receive queues */
    _Atomic uint32_t  behind;                /* so is the doorbell */
    softefa_extent_t  extent;

    /* Under the lock. */
    softefa_lock_t    lock;
    uint32_t          head[SOFTEFA_MAX_SUB_CQS]; /* entries written so far */
    uint32_t          armed;
    uint32_t          events;                /* raised so far */
    uint16_t          overrun;               /* already said */
    uint8_t           raising;               /* an event, just now */
    uint8_t           uncertain;             /* whether `events` has it */
    uint64_t          writer;                /* QP of the last receive, offset */
} __attribute__((aligned(SOFTEFA_CACHE_LINE))) softefa_shm_cq_t;

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
    uint16_t         opens[SOFTEFA_MAX_DEVICES];
    uint64_t         pad[2];
} softefa_shm_proc_t;

typedef struct {
    softefa_shm_obj_t obj;
    uint32_t          generation;            /* of this number, never reset */
    uint32_t          refs;                  /* CQs, plus one while open */
} softefa_shm_channel_t;

/* What a device may suffer for a time. */
typedef enum {
    SOFTEFA_PAUSED,                          /* messages wait */
    SOFTEFA_UNRESPONSIVE,                    /* status 13 */
    SOFTEFA_UNREACHABLE,                     /* status 15 */
    SOFTEFA_NUM_PLIGHTS
} softefa_plight_t;

/* What befell a device (fault_device.c). Written under the admin lock, but for
 * the step from dead to alive, which whoever notices the time makes. */
typedef struct {
    _Atomic uint32_t life;                   /* odd: dead; a context opened in
                                                another life is dead for ever */
    _Atomic uint32_t backed;                 /* was open: its tables exist */
    _Atomic uint64_t return_at;              /* of a dead one, monotonic ns */
    _Atomic uint64_t until[SOFTEFA_NUM_PLIGHTS]; /* same clock */
    uint64_t         pad[3];
} softefa_shm_fate_t;

static_assert(sizeof(softefa_shm_fate_t) == 64, "one cache line");

typedef struct {
    uint64_t              magic;             /* written last */
    uint64_t              layout;            /* of this build */
    uint64_t              size;              /* of the file, bytes */
    uint32_t              num_procs;         /* slots used so far */
    uint32_t              num_channels;
    uint64_t              heap_next;         /* unit to look at first */
    /* Set for ever once a device has met its fate: the one thing that the data
     * path looks at, and the rest only then. */
    _Atomic uint32_t      trouble;
    softefa_lock_t        admin __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    softefa_shm_proc_t    proc[SOFTEFA_MAX_PROCS]
        __attribute__((aligned(SOFTEFA_CACHE_LINE)));
    softefa_shm_fate_t    fate[SOFTEFA_MAX_DEVICES];
    softefa_shm_channel_t channel[SOFTEFA_MAX_CHANNELS];
    uint64_t              heap_map[SOFTEFA_HEAP_UNITS / 64];
    softefa_shm_dev_t     dev[SOFTEFA_MAX_DEVICES];
} softefa_shm_t;

/* The heap follows, at a multiple of any page size. */
#define SOFTEFA_HEAP_OFFSET                                                   \
    ((sizeof(softefa_shm_t) + SOFTEFA_MAX_PAGE - 1) &                         \
     ~(SOFTEFA_MAX_PAGE - 1))

/* This process's attachment. */
typedef struct {
    softefa_shm_t *shm;                      /* NULL: not attached */
    _Atomic uint32_t epoch;                  /* grows at fork and at exit */
    uint32_t      slot;
    int           dir_fd, lock_fd, mem_fd;
    char          dir[96];
} softefa_fabric_t;

extern softefa_fabric_t softefa_fabric;

/* Attaches this process if it is not yet. Logs and returns ENODEV, EACCES,
 * ENOMEM... if that cannot be. */
int softefa_fabric_attach(void);

/* The fabric's directory, attached on first use; NULL: logged why not. */
const char *softefa_fabric_dir(void);

/* GID of device `index` in the fabric that the options name. Needs no
 * attachment; equal in all processes of the fabric. */
void softefa_fabric_gid(unsigned index, uint8_t gid[16]);

/* Whether this process, attached, is the only one and has no device open. */
bool softefa_fabric_alone(void);

/* fcntl(): lock or ask for bytes of the lock file. Returns 0 or an errno;
 * F_OFD_GETLK: EAGAIN if another process holds one of them. */
int softefa_file_lock(int fd, int command, int type, off_t start,
                      off_t length);

#define SOFTEFA_SLOT_BYTE(_slot) (1 + (off_t)(_slot))

/* Index of the device with this GID, or SOFTEFA_NO_DEVICE. */
unsigned softefa_fabric_find(const uint8_t gid[16]);

/* Whether the process in `slot` lives. The answer may be 20 ms old, unless
 * `now`: then it costs a system call. */
bool softefa_proc_alive(uint32_t slot, bool now);

/* Makes the memory of [offset, offset + size) of the file exist. ENOMEM:
 * logged, /dev/shm is full. */
int softefa_fabric_back(uint64_t offset, uint64_t size);

/* Gives it back; reads as zeros afterwards. */
void softefa_fabric_unback(uint64_t offset, uint64_t size);

/* Under the admin lock: extent->size bytes (rounded up) of zeroed memory. The
 * extent must be part of a table entry: the repair finds it there. */
int softefa_heap_alloc(softefa_extent_t *extent, uint64_t size);
void softefa_heap_free(softefa_extent_t *extent);

/* For repair: all free; then mark what entries hold. */
void softefa_heap_clear(void);
void softefa_heap_mark(const softefa_extent_t *extent);

/* Initialises a lock in zeroed memory; later calls do nothing. A lock outlives
 * the object that it is in: a late sender may still hold it. */
void softefa_lock_setup(softefa_lock_t *lock);

/* lock_wait.c: 0: taken. EOWNERDEAD: taken, the last owner died holding it:
 * repair. EBUSY: not taken, its holder is stopped or does not go on. */
int softefa_lock_slow(softefa_lock_t *lock, int ret);

static inline int softefa_lock(softefa_lock_t *lock)
{
    int ret = pthread_mutex_trylock(&lock->mutex);

    if (__builtin_expect(ret != 0, 0)) {
        ret = softefa_lock_slow(lock, ret);
    }
    SOFTEFA_POINT("lock");
    return ret;
}

/* The same for a command: gives the holder, who has `what`, some seconds. Then
 * ETIME instead of EBUSY, as of an admin command without an answer; logged. */
int softefa_lock_command(softefa_lock_t *lock, const char *what);

/* Whether the lock's holder is known not to go on: cheaper than to try. */
bool softefa_lock_stuck(const softefa_lock_t *lock);

/* Whether a thread of any process is stopped or traced */
bool softefa_thread_stopped(int tid);

static inline void softefa_unlock(softefa_lock_t *lock)
{
    SOFTEFA_POINT("unlock");
    pthread_mutex_unlock(&lock->mutex);
    SOFTEFA_POINT("unlocked");
}

/* The admin lock, with repair of all tables (repair.c) if needed. 0, or not
 * taken: ETIME, logged; softefa_admin_lock_soon(), which does not wait for a
 * process that is stopped: EBUSY. */
int softefa_admin_lock(void);
int softefa_admin_lock_soon(void);
void softefa_admin_unlock(void);

/* repair.c: after the admin lock's owner died; at attach and reclaim. Reap
 * returns false if it must be tried again: a process is stopped that may yet
 * write into one of the objects. */
void softefa_object_repair(void);
bool softefa_object_reap(uint32_t slot);

/* Reclaims every process that died. Returns how many. Under the admin lock. */
unsigned softefa_fabric_reap(void);

static inline void *softefa_at(uint64_t offset)
{
    return (char*)softefa_fabric.shm + offset;
}

static inline uint64_t softefa_offset(const void *ptr)
{
    return (const char*)ptr - (const char*)softefa_fabric.shm;
}

/* Descriptors taken from an RQ; written under its lock only. */
static inline uint32_t softefa_rq_head(const softefa_shm_qp_t *qp)
{
    return atomic_load_explicit(&qp->rq_head, memory_order_relaxed);
}

static inline void softefa_rq_set_head(softefa_shm_qp_t *qp, uint32_t head)
{
    atomic_store_explicit(&qp->rq_head, head, memory_order_relaxed);
}

/* Descriptors posted, as the doorbell has it, and not taken; 0 for nonsense. */
static inline uint32_t softefa_rq_available(const softefa_shm_qp_t *qp)
{
    uint32_t db    = atomic_load_explicit((_Atomic uint32_t*)
                                          softefa_at(qp->rq_db),
                                          memory_order_acquire);
    uint32_t count = (uint16_t)(db - softefa_rq_head(qp));

    return (count <= qp->rq_size) ? count : 0;
}

/* Whether the data path must look closer. */
static inline bool softefa_trouble(void)
{
    return atomic_load_explicit(&softefa_fabric.shm->trouble,
                                memory_order_relaxed) != 0;
}

static inline uint32_t softefa_owner_slot(uint32_t owner)
{
    return owner >> 16;
}

#endif
