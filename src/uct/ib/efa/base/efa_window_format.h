/*
 * The window: a small file in which a process shows its counters.
 *
 *   <dir>/ucx-efa.<pid>.<n>          dir: $XDG_RUNTIME_DIR or /dev/shm
 *
 *   0            efa_window_header_t, 192 bytes
 *   header_len   record
 *                record                each: type, length, then what the type
 *                ...                   says; lengths are multiples of 64
 *   used         end of the records; what lies behind is reserved space
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
 * The owner holds flock(LOCK_EX) on the file as long as it lives. It takes the
 * lock before it writes the magic, so a file with a magic and without a lock
 * belongs to a process that is gone.
 *
 * Plain C, no dependency: included by the transport and by the tools.
 */
#ifndef EFA_WINDOW_FORMAT_H
#define EFA_WINDOW_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define EFA_WINDOW_MAGIC       0x31574146452d5855ull  /* "UX-EFAW1" */
#define EFA_WINDOW_VERSION     1
#define EFA_WINDOW_FILE_PREFIX "ucx-efa."
#define EFA_WINDOW_ALIGN       64u
#define EFA_WINDOW_MAX_SIZE    (8u << 20) /* no owner makes a larger file    */
#define EFA_WINDOW_NAME_MAX    32

enum {
    EFA_WINDOW_FLAG_KEEP = 1u << 0 /* leave the file when the owner is gone  */
};

typedef struct {
    uint64_t magic;          /* written last                                 */
    uint16_t version;        /* EFA_WINDOW_VERSION; another one: do not read */
    uint16_t header_len;     /* offset of the first record                   */
    uint32_t flags;          /* EFA_WINDOW_FLAG_                             */
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
    uint8_t  reserved[32];   /* zero */
} efa_window_header_t;

typedef enum {
    EFA_WINDOW_FREE  = 0,
    EFA_WINDOW_IFACE = 1,
    EFA_WINDOW_PEER  = 2
} efa_window_type_t;

enum {
    /* a PEER record that counts for all peers which found no record left */
    EFA_WINDOW_RECORD_OVERFLOW = 1u << 0
};

typedef struct {
    uint16_t type;           /* efa_window_type_t                            */
    uint16_t flags;          /* EFA_WINDOW_RECORD_                           */
    uint32_t length;         /* of the whole record                          */
    uint32_t gen;            /* odd: being changed, skip it                  */
    uint32_t reserved;
} efa_window_record_t;

/* States of a peer, as in docs/srd-wire.md section 7. */
typedef enum {
    EFA_WINDOW_PEER_NEW,
    EFA_WINDOW_PEER_JOINING,
    EFA_WINDOW_PEER_JOINED,
    EFA_WINDOW_PEER_LEAVING,
    EFA_WINDOW_PEER_FAILED,
    EFA_WINDOW_PEER_LAST
} efa_window_peer_state_t;

#define EFA_WINDOW_PEER_STATE_NAMES \
    {"new", "joining", "joined", "leaving", "failed"}

/*
 * Counters of an interface, X(name, text). Append only: readers know words by
 * their place. Eight words are a cache line; the first line belongs to the
 * send path, the second to the receive path.
 */
#define EFA_WINDOW_IFACE_COUNTERS(X) \
    X(tx_msgs,      "messages sent, first sending only") \
    X(tx_bytes,     "bytes of UCT payload in them") \
    X(tx_ext,       "sent with the extended header") \
    X(tx_doorbells, "posts to the send queue (a batch is one)") \
    X(no_resource,  "sends refused for want of a slot, buffer or window") \
    X(resend,       "messages sent again") \
    X(rnr,          "sends that met a receiver without buffers") \
    X(tx_ctl,       "control messages sent") \
    X(rx_msgs,      "messages delivered to active message handlers") \
    X(rx_bytes,     "bytes of UCT payload in them") \
    X(rx_ext,       "received with the extended header") \
    X(early,        "arrived before an older one, kept") \
    X(dup,          "arrived twice, dropped") \
    X(rx_refills,   "posts to the receive queue (a batch is one)") \
    X(rx_starved,   "refills that found no receive buffer") \
    X(rx_ctl,       "control messages received") \
    X(drop_imm,     "dropped: reserved bits of the immediate set") \
    X(drop_header,  "dropped: extended header malformed") \
    X(drop_version, "dropped: another protocol version") \
    X(drop_forged,  "dropped: identity is not the sender's") \
    X(drop_epoch,   "dropped: from an earlier association") \
    X(drop_unknown, "dropped: no extended header, sender not known") \
    X(drop_failed,  "dropped: the peer has failed") \
    X(drop_nomem,   "dropped: no memory for a peer") \
    X(tx_errors,    "completions with an error that ended a peer") \
    X(rx_errors,    "receive completions with an error") \
    X(peers,        "peers made") \
    X(peers_gone,   "peers forgotten") \
    X(peers_failed, "peers failed") \
    X(eps,          "endpoints made") \
    X(eps_gone,     "endpoints closed") \
    X(ah_create,    "address handles made") \
    X(ah_evict,     "address handles given up to make room") \
    X(wakeups,      "completion events read") \
    X(hello,        "HELLO sent") \
    X(hello_ack,    "HELLO_ACK sent") \
    X(hello_retry,  "HELLO sent again") \
    X(rdma_read_ops,    "one-sided reads (get), first posting only") \
    X(rdma_read_bytes,  "bytes in them") \
    X(rdma_write_ops,   "one-sided writes (put), first posting only") \
    X(rdma_write_bytes, "bytes in them") \
    X(rdma_errors,      "one-sided operations that failed") \
    X(rdma_rejoin,      "operations that had to wait for a new handshake") \
    X(resets,           "times that the device or our queue pair was lost") \
    X(recovered,        "of which there is a new one") \
    X(rejoined,         "peers that went on with us after our reset") \
    X(followed,         "peers that we followed after theirs") \
    X(peers_lost,       "times that a peer stopped answering") \
    X(peers_found,      "of which it answered again") \
    X(rekeys,           "keys of peers' memory replaced after their reset")

/* Counters of a peer, X(name, text). Append only. psn_* are not counters but
 * the present value, 16 bits. */
#define EFA_WINDOW_PEER_COUNTERS(X) \
    X(tx_msgs,  "messages sent, first sending only") \
    X(tx_bytes, "bytes of UCT payload in them") \
    X(psn_next, "PSN of the next message to send") \
    X(psn_una,  "lowest PSN not yet acknowledged") \
    X(resend,   "messages sent again") \
    X(rnr,      "sends that met a receiver without buffers") \
    X(rx_msgs,  "messages delivered") \
    X(rx_bytes, "bytes of UCT payload in them") \
    X(psn_rx,   "PSN awaited next") \
    X(early,    "arrived before an older one, kept") \
    X(dup,      "arrived twice, dropped") \
    X(eps,      "endpoints that use this peer now") \
    X(lost,     "1: it does not answer, at present")

#define EFA_WINDOW_FIELD(_name, _text) uint64_t _name;

typedef struct {
    efa_window_record_t rec;
    uint8_t             gid[16];
    uint32_t            qpn;
    uint32_t            num_counters; /* words that follow at counters       */
    char                name[EFA_WINDOW_NAME_MAX]; /* "rdmap0s6:1", ends in 0 */
    uint32_t            index;        /* of the interface in its process     */
    uint32_t            counters_off; /* from the start of the record        */
    uint8_t             reserved[48];
    EFA_WINDOW_IFACE_COUNTERS(EFA_WINDOW_FIELD)
} __attribute__((aligned(64))) efa_window_iface_t;

typedef struct {
    efa_window_record_t rec;
    uint8_t             gid[16];
    uint32_t            qpn;
    uint32_t            num_counters;
    uint32_t            counters_off;
    uint32_t            iface;        /* index of the interface it belongs to */
    uint32_t            state;        /* efa_window_peer_state_t             */
    uint32_t            epoch;        /* ours                                */
    uint32_t            remote_epoch;
    uint32_t            reserved;
    EFA_WINDOW_PEER_COUNTERS(EFA_WINDOW_FIELD)
} __attribute__((aligned(64))) efa_window_peer_t;

#define EFA_WINDOW_COUNT(_name, _text) +1
enum {
    EFA_WINDOW_IFACE_NUM = 0 EFA_WINDOW_IFACE_COUNTERS(EFA_WINDOW_COUNT),
    EFA_WINDOW_PEER_NUM  = 0 EFA_WINDOW_PEER_COUNTERS(EFA_WINDOW_COUNT),

    EFA_WINDOW_IFACE_OFF = 128, /* of the first counter in the record */
    EFA_WINDOW_PEER_OFF  = 64
};

#ifndef __cplusplus
static_assert(sizeof(efa_window_header_t) == 192, "header layout");
static_assert(offsetof(efa_window_header_t, command) == 64, "header layout");
static_assert(sizeof(efa_window_record_t) == 16, "record layout");
static_assert(offsetof(efa_window_iface_t, tx_msgs) == EFA_WINDOW_IFACE_OFF,
              "the first counter has its fixed place");
static_assert(offsetof(efa_window_iface_t, rx_msgs) ==
                      EFA_WINDOW_IFACE_OFF + 64,
              "send and receive counters are in different cache lines");
static_assert(offsetof(efa_window_peer_t, tx_msgs) == EFA_WINDOW_PEER_OFF,
              "the first counter has its fixed place");
static_assert(sizeof(efa_window_iface_t) % EFA_WINDOW_ALIGN == 0, "stride");
static_assert(sizeof(efa_window_peer_t) % EFA_WINDOW_ALIGN == 0, "stride");
#endif

#endif
