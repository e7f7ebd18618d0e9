/*
 * Reads windows (efa_window_format.h) of running and of dead processes.
 *
 * Whatever the file contains, these functions stay inside of it: sizes,
 * offsets and strings are checked before they are used. No dependency on UCX.
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

/* A copy of a file at one moment */
typedef struct {
    char                path[PATH_MAX];
    efa_window_header_t header;   /* checked; strings end in 0              */
    bool                alive;    /* its owner is running                   */
    uint8_t             *data;    /* [0, used) of the file                  */
    size_t              used;
} window_t;

/* A record's body, as far as both sides know it */
typedef struct {
    const char    *name;          /* interface: "device:port"; peer: ""     */
    const uint8_t *gid;           /* 16 bytes                               */
    uint32_t      qpn;
    uint32_t      index;          /* interface: own; peer: its interface's  */
    uint32_t      epoch, remote_epoch;          /* peer only                */
    const char    *state;                       /* peer only                */
    bool          overflow;       /* peer: counts for many                  */
    unsigned      num_counters;   /* at most EFA_WINDOW_..._NUM             */
    uint64_t      counters[EFA_WINDOW_IFACE_NUM];
} window_entry_t;

static_assert((int)EFA_WINDOW_PEER_NUM <= (int)EFA_WINDOW_IFACE_NUM,
              "counters[] holds either");

/* Returns 0; or -1 with the reason in error, and errno: that of open(), or
 * EINVAL for a file that is no window. window_free() after success. */
int window_read(const char *path, window_t *window, char *error, size_t max);
void window_free(window_t *window);

/* Walks the records of a type; pass 0 first. False: no more. *pos moves on. */
bool window_next(const window_t *window, efa_window_type_t type, size_t *pos,
                 window_entry_t *entry);

/* Names and texts by index; NULL behind the last. */
const char *window_iface_counter_name(unsigned index);
const char *window_iface_counter_text(unsigned index);
const char *window_peer_counter_name(unsigned index);

/* Calls func for the path of every file that is named like a window, belongs
 * to this user and lies in a directory where windows are made. pid 0: of any
 * process. Returns how many there were. */
unsigned window_find(uint32_t pid, void (*func)(const char *path, void *arg),
                     void *arg);

#ifdef __cplusplus
}
#endif

#endif
