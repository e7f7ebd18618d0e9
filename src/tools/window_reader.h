/*
 * Reads windows (efa_window_format.h) of running and of dead processes.
 *
 *   file --> window_read() --> window_t
 *             |                  header
 *             |                  devices[]  ifaces[]  peers[]  eps[]  objects[]
 *             |                  events[]   oldest first
 *             '- reads the file twice: what changed its identity meanwhile,
 *                or was written just then, is left out
 *
 * The arrays hold copies in today's layout: a word that the file does not have
 * is 0, strings end in 0 and are printable, a record too short to say what it
 * is of is left out. rec.reserved of a copy is its place: offset in the file /
 * EFA_WINDOW_ALIGN, by which an endpoint names its peer.
 *
 * Whatever the file contains, these functions stay inside of it: sizes, offsets
 * and strings are checked before they are used. Numbers are the writer's: an
 * index may lead nowhere, a time may lie in the future. No dependency on UCX.
 */
#ifndef WINDOW_READER_H
#define WINDOW_READER_H

#include "../uct/ib/efa/base/efa_window_format.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a file said at one moment */
typedef struct {
    char                     path[PATH_MAX];
    efa_window_header_t      header;
    bool                     alive;      /* its owner is running             */
    char                     proc_state; /* field 3 of /proc/<pid>/stat: 'T'
                                            stopped; 0: not known            */
    uint64_t                 now;        /* CLOCK_MONOTONIC, ns: when it was
                                            read; dead: newest time in it    */
    efa_window_device_t      *devices;   /* by index, ascending              */
    efa_window_iface_t       *ifaces;    /* by index, ascending              */
    efa_window_peer_t        *peers;     /* by place, ascending              */
    efa_window_ep_t          *eps;
    efa_window_object_t      *objects;
    efa_window_event_entry_t *events;
    unsigned                 num_devices, num_ifaces, num_peers, num_eps,
                             num_objects, num_events;
} window_t;

/* Returns 0; or -1 with the reason in error (one line), and errno: that of
 * open(), ENODATA for a window that is still being made, or EINVAL for a file
 * that is none. window_free() after success.
 */
int window_read(const char *path, window_t *window, char *error, size_t max);
void window_free(window_t *window);

/* ---------------------------------------------------------- window_parse.c */

/* The same from memory: a whole file of `size` bytes as it was seen first, and
 * as it was seen afterwards (the same pointer: it cannot have changed). Leaves
 * path, alive, proc_state and now to the caller. Returns NULL, or why not. */
const char *window_parse(const void *first, const void *second, size_t size,
                         window_t *window);

/* What is wrong with the header of a file of `size` bytes; NULL: nothing. */
const char *
window_check_header(const efa_window_header_t *header, size_t size);

/* --------------------------------------------------------- window_links.c */

/* Newest time in the window, 0: none. */
uint64_t window_newest(const window_t *window);

/* Where a record's links lead; NULL: nowhere. */
const efa_window_peer_t *
window_ep_peer(const window_t *window, const efa_window_ep_t *ep);
const efa_window_iface_t *window_iface(const window_t *window, uint32_t index);
const efa_window_device_t *
window_device(const window_t *window, uint32_t index);

/* Messages that were sent and are not acknowledged. Of two words of different
 * moments: 0 if there seem to be less than none. */
uint64_t window_unacked(const efa_window_peer_t *peer);

/* PSNs: of the next message to send, the lowest not acknowledged, and that which
 * is awaited */
uint16_t window_psn_next(const efa_window_peer_t *peer);
uint16_t window_psn_una(const efa_window_peer_t *peer);
uint16_t window_psn_rx(const efa_window_peer_t *peer);

/* When an event and what repeated it was last */
uint64_t window_event_last(const efa_window_event_entry_t *event);

/* From `time` to the window's now in ns; 0: never, or later. */
uint64_t window_age(const window_t *window, uint64_t time);

/* A time of the window in ns since the epoch, 0: never, or not known. */
uint64_t window_wall_clock(const window_t *window, uint64_t time);

/* -------------------------------------------------- records with counters */

/* What IFACE, PEER and DEVICE have in common; valid until window_free() */
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
} window_entry_t;

/* Walks the records of a type; pass 0 first. False: no more. *pos moves on. */
bool window_next(const window_t *window, efa_window_type_t type, size_t *pos,
                 window_entry_t *entry);

/* --------------------------------------------------------- window_names.c */

/* Names and texts by index; NULL behind the last. */
const char *window_iface_counter_name(unsigned index);
const char *window_iface_counter_text(unsigned index);
const char *window_peer_counter_name(unsigned index);
const char *window_peer_counter_text(unsigned index);
const char *window_device_counter_name(unsigned index);
const char *window_device_counter_text(unsigned index);
const char *window_event_name(unsigned event);
const char *window_event_text(unsigned event);

/* "?" for a value that has no name. */
const char *window_peer_state_name(uint32_t state);
const char *window_iface_state_name(uint32_t state);
const char *window_kind_name(uint32_t kind);
const char *window_control_name(uint32_t control);

/* Of a ucs_status_t: "endpoint-timeout"; NULL for one without a name. */
const char *window_status_name(int32_t status);

/* ---------------------------------------------------------- window_find.c */

/* Calls func for the path of every file that is named like a window, belongs
 * to this user and lies in a directory where windows are made; by process, then
 * number. pid 0: of any process. Returns how many there were. */
unsigned window_find(uint32_t pid, void (*func)(const char *path, void *arg),
                     void *arg);

/* Whether another user has a window of process `pid` there, and who. */
bool window_find_foreign(uint32_t pid, uint32_t *uid);

#ifdef __cplusplus
}
#endif

#endif
