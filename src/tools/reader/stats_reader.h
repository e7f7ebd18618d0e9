/*
 * Reads stats segments (efa_stats_format.h) of running and of dead processes.
 *
 *   file --> stats_read() --> stats_segment_t
 *             |                  header
 *             |                  devices[]  ifaces[]  peers[]  eps[]  objects[]
 *             |                  events[]   oldest first
 *             '- reads the file twice: what changed its identity meanwhile,
 *                or was written just then, is left out
 *
 * The arrays hold copies in the present layout: a word that the file does not
 * have is 0, strings end in 0 and are printable, a record too short to say what
 * it belongs to is left out. rec.reserved of a copy is its place: offset in the
 * file / EFA_STATS_ALIGN, by which an endpoint names its peer.
 *
 * Whatever the file contains, these functions stay inside of it: sizes, offsets
 * and strings are checked before they are used. Numbers are the writer's: an
 * index may lead nowhere, a time may lie in the future. No dependency on UCX.
 */
#ifndef STATS_READER_H
#define STATS_READER_H

#include "stats/efa_stats_format.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a file said at one moment */
typedef struct {
    char                    path[PATH_MAX];
    efa_stats_header_t      header;
    bool                    alive;      /* its owner is running              */
    char                    proc_state; /* field 3 of /proc/<pid>/stat: 'T'
                                            stopped; 0: not known            */
    uint64_t                now;        /* CLOCK_MONOTONIC, ns: when it was
                                            read; dead: newest time in it    */
    efa_stats_device_t      *devices;   /* by index, ascending               */
    efa_stats_iface_t       *ifaces;    /* by index, ascending               */
    efa_stats_peer_t        *peers;     /* by place, ascending               */
    efa_stats_ep_t          *eps;
    efa_stats_object_t      *objects;
    efa_stats_event_entry_t *events;
    unsigned                num_devices, num_ifaces, num_peers, num_eps,
                            num_objects, num_events;
} stats_segment_t;

/* Returns 0; or -1 with the reason in error (one line), and errno: that of
 * open(), ENODATA for a stats segment that is still being made, or EINVAL for a
 * file that is none. stats_free() after success. */
int stats_read(const char *path, stats_segment_t *segment, char *error,
               size_t max);
void stats_free(stats_segment_t *segment);

/* ---------------------------------------------------------- stats_parse.c */

/* The same from memory: a whole file of `size` bytes as it was seen first, and
 * as it was seen afterwards (the same pointer: it cannot have changed). Leaves
 * path, alive, proc_state and now to the caller. Returns NULL, or why not. */
const char *stats_parse(const void *first, const void *second, size_t size,
                        stats_segment_t *segment);

/* What is wrong with the header of a file of `size` bytes; NULL: nothing. */
const char *
stats_parse_header(const efa_stats_header_t *header, size_t size);

/* --------------------------------------------------------- stats_link.c */

/* Newest time in the segment, 0: none. */
uint64_t stats_time_newest(const stats_segment_t *segment);

/* Where a record's links lead; NULL: nowhere. */
const efa_stats_peer_t *
stats_link_peer(const stats_segment_t *segment, const efa_stats_ep_t *ep);
const efa_stats_iface_t *
stats_link_iface(const stats_segment_t *segment, uint32_t index);
const efa_stats_device_t *
stats_link_device(const stats_segment_t *segment, uint32_t index);

/* Messages that were sent and are not acknowledged. Of two words of different
 * moments: 0 if there seem to be less than none. */
uint64_t stats_peer_unacked(const efa_stats_peer_t *peer);

/* PSNs: of the next message to send, the lowest not acknowledged, the next one
 * expected */
uint16_t stats_peer_psn_next(const efa_stats_peer_t *peer);
uint16_t stats_peer_psn_una(const efa_stats_peer_t *peer);
uint16_t stats_peer_psn_rx(const efa_stats_peer_t *peer);

/* When an event and what repeated it was last */
uint64_t stats_time_event_last(const efa_stats_event_entry_t *event);

/* From `time` to the segment's now in ns; 0: never, or later. */
uint64_t stats_time_age(const stats_segment_t *segment, uint64_t time);

/* A time of the segment in ns since the epoch, 0: never, or not known. */
uint64_t stats_time_wall(const stats_segment_t *segment, uint64_t time);

/* -------------------------------------------------- records with counters */

/* What IFACE, PEER and DEVICE have in common; valid until stats_free() */
typedef struct {
    const char     *name;         /* interface: "device:port"; peer: ""     */
    const uint8_t  *gid;          /* 16 bytes; NULL: of a device            */
    uint32_t       qpn;
    uint32_t       index;         /* own; peer: its interface's             */
    uint32_t       epoch, remote_epoch;         /* peer only                */
    const char     *state;        /* device: ""                             */
    bool           overflow;      /* peer: counts for many                  */
    unsigned       num_counters;  /* words that the file has and we know    */
    const uint64_t *counters;
} stats_entry_t;

/* Walks the records of a type; pass 0 first. False: no more. *pos moves on. */
bool stats_entry_next(const stats_segment_t *segment, efa_stats_type_t type,
                size_t *pos, stats_entry_t *entry);

/* --------------------------------------------------------- stats_name.c */

/* Names and texts by index; NULL behind the last. */
const char *stats_name_iface_counter(unsigned index);
const char *stats_name_iface_counter_text(unsigned index);
const char *stats_name_peer_counter(unsigned index);
const char *stats_name_peer_counter_text(unsigned index);
const char *stats_name_device_counter(unsigned index);
const char *stats_name_device_counter_text(unsigned index);
const char *stats_name_event(unsigned event);
const char *stats_name_event_text(unsigned event);

/* "?" for a value that has no name. */
const char *stats_name_peer_state(uint32_t state);
const char *stats_name_iface_state(uint32_t state);
const char *stats_name_data_path(uint32_t path);
const char *stats_name_kind(uint32_t kind);
const char *stats_name_control(uint32_t control);

/* Of a ucs_status_t: "endpoint-timeout"; NULL for one without a name. */
const char *stats_name_status(int32_t status);

/* ---------------------------------------------------------- stats_find.c */

/* Calls func for the path of every file that is named like a stats segment,
 * belongs to this user and lies in a directory where those are made, ordered by
 * process and number. pid 0: of any process. Returns how many there were. */
unsigned stats_find(uint32_t pid, void (*func)(const char *path, void *arg),
                    void *arg);

/* Whether another user has a segment of process `pid` there, and who. */
bool stats_find_foreign(uint32_t pid, uint32_t *uid);

#ifdef __cplusplus
}
#endif

#endif
