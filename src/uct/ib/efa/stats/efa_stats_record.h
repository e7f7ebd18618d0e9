/*
 * Records of the stats segment, for those who hand them out.
 *
 *         get               show               put
 *   none -----> hidden ------------> shown ---------> free --+
 *                 ^    gen odd         gen even              | get of this type
 *                 '------------------------------------------'
 *
 * What is got is zero but for its head. Free records are listed by type in
 * private memory: those of one type have one length.
 */
#ifndef UCT_EFA_STATS_RECORD_H
#define UCT_EFA_STATS_RECORD_H

#include "stats/efa_stats.h"
#include "stats/efa_stats_file.h"

#include <pthread.h>

typedef struct uct_efa_stats_free uct_efa_stats_free_t;

typedef struct {
    pthread_mutex_t      lock;      /* all that follows                      */
    unsigned             refs;
    uct_efa_stats_mode_t mode;
    unsigned             num_devices; /* ever, as the next four              */
    unsigned             num_ifaces;
    unsigned             num_eps;
    unsigned             num_objects[EFA_STATS_KIND_LAST];
    uct_efa_stats_file_t file;
    uct_efa_stats_free_t *free[EFA_STATS_TYPE_LAST];
    efa_stats_events_t   *events;   /* NULL: no file, or no room in it       */
} uct_efa_stats_t;

extern uct_efa_stats_t uct_efa_stats;

/* A hidden record in the file; NULL: no file, not ours, or no room. length: of
 * what belongs to it. Lock held. */
void *uct_efa_stats_record_get(efa_stats_type_t type, size_t length);
void  uct_efa_stats_record_put(void *block, efa_stats_type_t type);

/* A further record behind the one just got, in its length */
void uct_efa_stats_record_init(efa_stats_record_t *rec, uint32_t length);

/* Empties a record that was given back, all but length and gen. */
void uct_efa_stats_record_reset(efa_stats_record_t *rec);

/* Shows a record to readers, after everything else in it was set. */
void uct_efa_stats_record_show(efa_stats_record_t *rec);
void uct_efa_stats_record_hide(efa_stats_record_t *rec);

/* Zeroed memory that nobody else sees; last_resort if there is none. */
void *uct_efa_stats_record_private(size_t length, void *last_resort);

/* In the file, and we are the process that made it */
static inline int uct_efa_stats_block_is_mine(const void *block)
{
    return uct_efa_stats_file_contains(&uct_efa_stats.file, block) &&
           uct_efa_stats_file_is_mine(&uct_efa_stats.file);
}

/* An interface always comes with the blocks for peers and endpoints that find
 * no room, one behind the other. That of peers is shown when it is first used,
 * that of endpoints never. */
typedef struct {
    uct_efa_stats_iface_t iface;
    uct_efa_stats_peer_t  overflow;
    uct_efa_stats_ep_t    no_ep;
} uct_efa_stats_slot_t;

/* efa_stats_event.c: makes the ring, if there is room. Lock held. */
void uct_efa_stats_event_init(void);

/* efa_stats_device.c: one object more or less is held. Lock held. */
void uct_efa_stats_device_count(uct_efa_stats_device_t *device,
                                efa_stats_kind_t kind, uint64_t size, int add);

#endif
