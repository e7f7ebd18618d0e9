/*
 * The stats segment: a small file in which a process shows what its transport
 * counts, holds, waits for and has met.
 *
 *   <dir>/ucx-efa.<pid>.<n>          dir: $XDG_RUNTIME_DIR or /dev/shm
 *
 *   0            efa_stats_header_t, 192 bytes
 *   header_len   record
 *                record                each: type, length, then what the type
 *                ...                   says; lengths are multiples of 64
 *   used         end of the records; what lies behind is reserved space
 *
 *   DEVICE   one for each open device: limits, and what is held of them
 *   IFACE    one for each interface                     -> its DEVICE
 *   PEER     one for each remote interface              -> its IFACE
 *   EP       one for each endpoint                      -> its IFACE and PEER
 *   OBJECT   one for each verbs object                  -> DEVICE, IFACE
 *   EVENTS   one ring for the process: the flight recorder
 *
 * Who writes: the owner alone, with plain stores; every counter is one 64-bit
 * word that only grows. Who reads: anybody with the owner's uid, with read()
 * (not mmap: the file may shrink under a reader). A reader skips types it does
 * not know, ignores what a record has beyond the part it knows, and treats
 * missing words at the end of a shorter record as absent.
 *
 * Records never move. One that is given back becomes type FREE and may be used
 * again; gen is odd while its identity changes.
 *
 * Times are CLOCK_MONOTONIC in ns, 0: never. The ones of a dead owner end with
 * the newest in its file. There are no keys and no payload in it.
 *
 * The owner holds flock(LOCK_EX) on the file as long as it lives. It takes the
 * lock before it writes the magic, so a file with a magic and without a lock
 * belongs to a process that is gone.
 *
 * Counters and events are listed in efa_stats_counters.h.
 *
 * Plain C, no dependency: included by the transport and by the tools.
 */
#ifndef EFA_STATS_FORMAT_H
#define EFA_STATS_FORMAT_H

#include "stats/efa_stats_counters.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define EFA_STATS_MAGIC       0x31574146452d5855ull   /* "UX-EFAW1" */
#define EFA_STATS_VERSION     3
#define EFA_STATS_FILE_PREFIX "ucx-efa."
#define EFA_STATS_ALIGN       64u
#define EFA_STATS_MAX_SIZE    (8u << 20)  /* no owner makes a larger file    */
#define EFA_STATS_NAME_MAX    32
#define EFA_STATS_SITE_MAX    48
#define EFA_STATS_NONE        UINT32_MAX              /* no index             */

enum {
    EFA_STATS_FLAG_KEEP = 1u << 0  /* leave the file when the owner is gone  */
};

typedef struct {
    uint64_t magic;          /* written last                                 */
    uint16_t version;        /* EFA_STATS_VERSION; another one: do not read  */
    uint16_t header_len;     /* offset of the first record                   */
    uint32_t flags;          /* EFA_STATS_FLAG_                              */
    uint64_t size;           /* of the file, bytes                           */
    uint64_t used;           /* end of the last record, offset               */
    uint32_t pid;            /* as the owner sees itself                     */
    uint32_t uid;
    uint64_t start_time;     /* field 22 of /proc/<pid>/stat                 */
    uint64_t create_time;    /* ns since the epoch, when the file was made   */
    uint32_t ucx_version;    /* major << 16 | minor, the module's            */
    uint32_t hidden;         /* record requests that found no room           */
    char     command[64];    /* name of the program, ends in 0               */
    char     library[32];    /* version of the library, ends in 0            */
    uint64_t open_time;      /* create_time, as CLOCK_MONOTONIC              */
    uint8_t  reserved[24];   /* zero */
} efa_stats_header_t;

typedef enum {
    EFA_STATS_FREE   = 0,
    EFA_STATS_IFACE  = 1,
    EFA_STATS_PEER   = 2,
    EFA_STATS_DEVICE = 3,
    EFA_STATS_OBJECT = 4,
    EFA_STATS_EP     = 5,
    EFA_STATS_EVENTS = 6,
    EFA_STATS_TYPE_LAST
} efa_stats_type_t;

enum {
    /* a PEER record that counts for all peers which found no record left */
    EFA_STATS_RECORD_OVERFLOW = 1u << 0
};

typedef struct {
    uint16_t type;           /* efa_stats_type_t                             */
    uint16_t flags;          /* EFA_STATS_RECORD_                            */
    uint32_t length;         /* of the whole record                          */
    uint32_t gen;            /* odd: being changed, skip it                  */
    uint32_t reserved;
} efa_stats_record_t;

/* States of a peer, as in docs/srd-wire.md section 7. */
typedef enum {
    EFA_STATS_PEER_NEW,
    EFA_STATS_PEER_JOINING,
    EFA_STATS_PEER_JOINED,
    EFA_STATS_PEER_LEAVING,
    EFA_STATS_PEER_FAILED,
    EFA_STATS_PEER_LAST
} efa_stats_peer_state_t;

#define EFA_STATS_PEER_STATE_NAMES \
    {"new", "joining", "joined", "leaving", "failed"}

typedef enum {
    EFA_STATS_IFACE_READY,
    EFA_STATS_IFACE_RECOVERING,  /* its device or queue pair is lost         */
    EFA_STATS_IFACE_DOWN,        /* for longer than RECOVERY_TIMEOUT         */
    EFA_STATS_IFACE_CLOSING,
    EFA_STATS_IFACE_STATE_LAST
} efa_stats_iface_state_t;

#define EFA_STATS_IFACE_STATE_NAMES \
    {"ready", "recovering", "down", "closing"}

/* Who writes and reads the queues of an interface: docs/architecture.md, "The
 * direct data path" */
typedef enum {
    EFA_STATS_PATH_UNKNOWN,
    EFA_STATS_PATH_LIBEFA,
    EFA_STATS_PATH_DIRECT,
    EFA_STATS_PATH_LAST
} efa_stats_path_t;

#define EFA_STATS_PATH_NAMES {"?", "libefa", "direct"}

typedef enum {
    EFA_STATS_PD,
    EFA_STATS_CQ,
    EFA_STATS_QP,
    EFA_STATS_MR,
    EFA_STATS_AH,
    EFA_STATS_KIND_LAST
} efa_stats_kind_t;

#define EFA_STATS_KIND_NAMES {"pd", "cq", "qp", "mr", "ah"}

#define EFA_STATS_FIELD(_name, _text) uint64_t _name;

typedef struct {
    efa_stats_record_t rec;
    uint8_t            gid[16];
    uint32_t           qpn;
    uint32_t           num_counters;  /* words that follow at counters       */
    char               name[EFA_STATS_NAME_MAX]; /* "rdmap0s6:1", ends in 0  */
    uint32_t           index;         /* of the interface in its process     */
    uint32_t           counters_off;  /* from the start of the record        */
    uint32_t           device;        /* index of its DEVICE                 */
    uint32_t           state;         /* efa_stats_iface_state_t             */
    uint32_t           asleep;        /* 1: events armed, need not progress  */
    uint32_t           tx_queue;      /* messages that the device may have   */
    uint64_t           create_time;
    uint64_t           state_time;    /* when it came into its state         */
    uint64_t           progress_time; /* a recent progress call; polls tells
                                         whether there were more             */
    uint32_t           data_path;     /* efa_stats_path_t; 0: not told       */
    uint32_t           reserved;
    EFA_STATS_IFACE_COUNTERS(EFA_STATS_FIELD)
} __attribute__((aligned(64))) efa_stats_iface_t;

typedef struct {
    efa_stats_record_t rec;
    uint8_t            gid[16];
    uint32_t           qpn;
    uint32_t           num_counters;
    uint32_t           counters_off;
    uint32_t           iface;         /* index of its interface              */
    uint32_t           state;         /* efa_stats_peer_state_t              */
    uint32_t           epoch;         /* ours                                */
    uint32_t           remote_epoch;
    int32_t            status;        /* ucs_status_t of its failure, or 0   */
    EFA_STATS_PEER_COUNTERS(EFA_STATS_FIELD)
} __attribute__((aligned(64))) efa_stats_peer_t;

typedef struct {
    efa_stats_record_t rec;
    char               name[EFA_STATS_NAME_MAX]; /* "rdmap0s6"               */
    uint32_t           index;         /* of the device in its process        */
    uint32_t           num_counters;
    uint32_t           counters_off;
    uint32_t           reserved;
    EFA_STATS_DEVICE_COUNTERS(EFA_STATS_FIELD)
} __attribute__((aligned(64))) efa_stats_device_t;

/* A verbs object. size, size2: QP: entries of the send and receive queue; CQ:
 * entries; MR: bytes, address; AH: references. */
typedef struct {
    efa_stats_record_t rec;
    uint32_t           kind;          /* efa_stats_kind_t                    */
    uint32_t           number;        /* QPN, AH number; else counted by us  */
    uint32_t           device;        /* index                               */
    uint32_t           iface;         /* index, or NONE                      */
    uint64_t           create_time;
    uint64_t           size;
    uint64_t           size2;
    uint8_t            gid[16];       /* of an AH                            */
    char               site[EFA_STATS_SITE_MAX]; /* who made it, ends in 0:
                                         "app(main+0x1f)"                    */
    uint64_t           reserved;
} __attribute__((aligned(64))) efa_stats_object_t;

typedef struct {
    efa_stats_record_t rec;
    uint32_t           index;         /* of the endpoint in its process      */
    uint32_t           iface;         /* index                               */
    uint32_t           peer;          /* its record: offset in the file / 64;
                                         0: none                             */
    int32_t            status;        /* ucs_status_t, or 0                  */
    uint64_t           create_time;
    uint32_t           pending;       /* requests that wait                  */
    uint32_t           zcopy;         /* sends that read the user's memory   */
    uint32_t           rma;           /* one-sided operations in flight      */
    uint32_t           reserved;
    uint64_t           wait_time;     /* pending is not 0 since then; 0: is  */
    char               site[EFA_STATS_SITE_MAX];
    uint64_t           reserved2;
} __attribute__((aligned(64))) efa_stats_ep_t;

/* Written as a whole before seq, except repeats and last; a reader drops an
 * entry whose seq differs afterwards, or is not the one of its place. The same
 * event again, a, b and status included, within 10 s of the last one counts
 * here and has no entry of its own. */
typedef struct {
    uint64_t seq;                     /* 1 + number of the event; 0: none    */
    uint64_t time;                    /* when it was first                   */
    uint16_t event;                   /* efa_stats_event_t                   */
    uint16_t iface;                   /* index; 0xffff: none                 */
    int32_t  status;
    uint8_t  gid[16];                 /* of the peer, or 0                   */
    uint32_t qpn;
    uint32_t a;
    uint64_t b;
    uint32_t repeats;                 /* how often again, up to UINT32_MAX    */
    uint32_t last;                    /* ms after time, when it was last     */
} efa_stats_event_entry_t;

#define EFA_STATS_EVENTS_NUM 512u     /* entries of a ring that we make       */

/* Event number n is in entry n % num. */
typedef struct {
    efa_stats_record_t rec;
    uint32_t           num;           /* entries, at entries_off             */
    uint32_t           entries_off;
    uint64_t           next;          /* number of the next event            */
    uint64_t           reserved[4];
} __attribute__((aligned(64))) efa_stats_events_t;

#define EFA_STATS_EVENT_ENUM(_NAME, _name, _text) EFA_STATS_EVENT_##_NAME,
typedef enum {
    EFA_STATS_EVENTS_LIST(EFA_STATS_EVENT_ENUM)
    EFA_STATS_EVENT_LAST
} efa_stats_event_t;

#define EFA_STATS_COUNT(_name, _text) +1
enum {
    EFA_STATS_IFACE_NUM = 0 EFA_STATS_IFACE_COUNTERS(EFA_STATS_COUNT),
    EFA_STATS_PEER_NUM  = 0 EFA_STATS_PEER_COUNTERS(EFA_STATS_COUNT),
    EFA_STATS_DEVICE_NUM = 0 EFA_STATS_DEVICE_COUNTERS(EFA_STATS_COUNT),

    EFA_STATS_IFACE_OFF  = 128,  /* of the first counter in the record */
    EFA_STATS_PEER_OFF   = 64,
    EFA_STATS_DEVICE_OFF = 64
};

#ifndef __cplusplus
static_assert(sizeof(efa_stats_header_t) == 192, "header layout");
static_assert(offsetof(efa_stats_header_t, command) == 64, "header layout");
static_assert(sizeof(efa_stats_record_t) == 16, "record layout");
static_assert(offsetof(efa_stats_iface_t, tx_msgs) == EFA_STATS_IFACE_OFF,
              "the first counter has its fixed place");
static_assert(offsetof(efa_stats_iface_t, rx_msgs) ==
                      EFA_STATS_IFACE_OFF + 64,
              "send and receive counters are in different cache lines");
static_assert(offsetof(efa_stats_peer_t, tx_msgs) == EFA_STATS_PEER_OFF,
              "the first counter has its fixed place");
static_assert(offsetof(efa_stats_peer_t, rx_time) ==
                      EFA_STATS_PEER_OFF + 56,
              "what messages change is one cache line");
static_assert(offsetof(efa_stats_device_t, pd) == EFA_STATS_DEVICE_OFF,
              "the first counter has its fixed place");
static_assert(sizeof(efa_stats_object_t) == 128, "object layout");
static_assert(sizeof(efa_stats_ep_t) == 128, "endpoint layout");
static_assert(sizeof(efa_stats_events_t) == 64, "ring layout");
static_assert(sizeof(efa_stats_event_entry_t) == 64, "event layout");
static_assert(sizeof(efa_stats_iface_t) % EFA_STATS_ALIGN == 0, "stride");
static_assert(sizeof(efa_stats_peer_t) % EFA_STATS_ALIGN == 0, "stride");
#endif

#endif
