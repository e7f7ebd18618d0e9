/*
 * The owner's side of the stats segment (efa_stats_format.h): hands out records
 * in which the transport counts, and shows what it holds, waits for and meets.
 *
 *   md open  ---> open  (first one makes the file)
 *   device   ---> device_get ... device_put   between open and close
 *   iface    ---> iface_get ... iface_put     after that the block is gone
 *   peer     ---> peer_get ... peer_put       between its interface's get/put
 *   ep       ---> ep_get ... ep_put           likewise
 *   object   ---> object_get ... object_put   between its device's get/put
 *   event    ---> event                       anywhere between open and close
 *   md close ---> close (last one removes the file)
 *
 *   efa_stats.c                           open, close
 *     efa_stats_iface.c                   who counts: interfaces,
 *     efa_stats_peer.c, efa_stats_ep.c    their peers and endpoints
 *     efa_stats_device.c                  what is held of a device,
 *     efa_stats_object.c                  object by object
 *     efa_stats_event.c                   the flight recorder
 *       efa_stats_record.c                records
 *         efa_stats_file.c                the file
 *
 * The file is a convenience: without it (no room, no permission, STATS=n) the
 * blocks are private memory and everything else is the same. So no function
 * here fails and none returns NULL. Endpoints that find no room share one block
 * for each interface, objects one that nobody writes to.
 *
 * get/put/open/close take a lock and may be called from any thread. A block
 * has one writer, the thread of its interface; a device's counters are written
 * under the lock. Peers that find no room share one block for each interface,
 * flagged OVERFLOW: counters are right there, present values mean nothing.
 */
#ifndef UCT_EFA_STATS_H
#define UCT_EFA_STATS_H

#include "stats/efa_stats_format.h"

#include <stddef.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef efa_stats_device_t uct_efa_stats_device_t;
typedef efa_stats_iface_t  uct_efa_stats_iface_t;
typedef efa_stats_peer_t   uct_efa_stats_peer_t;
typedef efa_stats_object_t uct_efa_stats_object_t;
typedef efa_stats_ep_t     uct_efa_stats_ep_t;

/* UCX_EFA_STATS */
typedef enum {
    UCT_EFA_STATS_NO,    /* private memory only                              */
    UCT_EFA_STATS_YES,   /* removed at exit                                  */
    UCT_EFA_STATS_KEEP,  /* stays behind for `srdtool --file`                */
    UCT_EFA_STATS_LAST
} uct_efa_stats_mode_t;

/* The clock of the stats segment: CLOCK_MONOTONIC, ns */
static inline uint64_t uct_efa_stats_now(void)
{
    struct timespec now = {0, 0};

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)now.tv_sec * 1000000000u) + (uint64_t)now.tv_nsec;
}

/* Counted; the first caller's mode holds for the process. */
void uct_efa_stats_open(uct_efa_stats_mode_t mode);
void uct_efa_stats_close(void);

/* max: how many of each kind the device has, 0: not known. */
uct_efa_stats_device_t *
uct_efa_stats_device_get(const char *name,
                         const uint64_t max[EFA_STATS_KIND_LAST]);
void uct_efa_stats_device_put(uct_efa_stats_device_t *device);

/* An object was not made: counts it, and records the event. err: errno. */
void uct_efa_stats_device_refused(uct_efa_stats_device_t *device,
                                  efa_stats_kind_t kind, int err);

/* num objects were still held when their owner was closed */
void uct_efa_stats_device_leaked(uct_efa_stats_device_t *device,
                                 unsigned num);

/* What is shown of an object; what is not given is 0. */
typedef struct {
    efa_stats_kind_t            kind;
    const uct_efa_stats_iface_t *iface;   /* NULL: none                      */
    uint32_t                    number;   /* 0: the next of its kind         */
    uint64_t                    size;     /* efa_stats_object_t              */
    uint64_t                    size2;
    const void                  *gid;     /* 16 bytes, NULL: none            */
    const char                  *site;    /* NULL: not known                 */
} uct_efa_stats_object_params_t;

/* Counts the object as held. device NULL: nobody looks. */
uct_efa_stats_object_t *
uct_efa_stats_object_get(uct_efa_stats_device_t *device,
                         const uct_efa_stats_object_params_t *params);

/* kind, size: as they were given to get. */
void uct_efa_stats_object_put(uct_efa_stats_device_t *device,
                              uct_efa_stats_object_t *object,
                              efa_stats_kind_t kind, uint64_t size);

/* size of an AH changes. By one thread at a time. */
void uct_efa_stats_object_resize(uct_efa_stats_object_t *object,
                                 uint64_t size);

/* name: "device:port"; gid: 16 bytes of the own address; qpn: own QP. */
uct_efa_stats_iface_t *uct_efa_stats_iface_get(const char *name,
                                               const void *gid, uint32_t qpn);
void uct_efa_stats_iface_put(uct_efa_stats_iface_t *iface);

/* gid, qpn: of the remote interface. The state starts as NEW. */
uct_efa_stats_peer_t *uct_efa_stats_peer_get(uct_efa_stats_iface_t *iface,
                                             const void *gid, uint32_t qpn);
void uct_efa_stats_peer_put(uct_efa_stats_iface_t *iface,
                            uct_efa_stats_peer_t *peer);

/* Calls func for every peer of the interface that is in the file; others make
 * and forget none meanwhile. Any thread. */
void uct_efa_stats_peers_each(const uct_efa_stats_iface_t *iface,
                              void (*func)(const uct_efa_stats_peer_t *peer,
                                           void *arg),
                              void *arg);

/* Is it the block of those that found no room? */
static inline int uct_efa_stats_peer_is_shared(const uct_efa_stats_peer_t *peer)
{
    return peer->rec.flags & EFA_STATS_RECORD_OVERFLOW;
}

uct_efa_stats_ep_t *uct_efa_stats_ep_get(uct_efa_stats_iface_t *iface,
                                         const uct_efa_stats_peer_t *peer,
                                         const char *site);
void uct_efa_stats_ep_put(uct_efa_stats_iface_t *iface,
                          uct_efa_stats_ep_t *ep);

/* It leads to another peer now. */
void uct_efa_stats_ep_set_peer(uct_efa_stats_ep_t *ep,
                               const uct_efa_stats_peer_t *peer);

/* Adds to the flight recorder; lost if there is no file. An event that repeats
 * has one entry there, so callers need no rate limit. iface and gid (16 bytes)
 * may be NULL; a, b, status: as the event's text says. Any thread. */
void uct_efa_stats_event(efa_stats_event_t event,
                         const uct_efa_stats_iface_t *iface, const void *gid,
                         uint32_t qpn, int status, uint32_t a, uint64_t b);

/* The last events about this remote interface, oldest first, to the debug log.
 * who: what each line begins with. */
void uct_efa_stats_events_log(const void *gid, uint32_t qpn, const char *who);

#ifdef __cplusplus
}
#endif

#endif
