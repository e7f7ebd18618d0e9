/*
 * What its user has not given back when a memory domain or interface is closed:
 * one warning each, with who made it and how long ago, and a count.
 *
 *   begin -> add, add ... -> end
 *
 * A warning begins with UCT_EFA_LEAK_TEXT: tests look for it.
 */
#ifndef UCT_EFA_LEAK_H
#define UCT_EFA_LEAK_H

#include "stats/efa_stats.h"

#define UCT_EFA_LEAK_TEXT "not given back"
#define UCT_EFA_LEAK_MAX  10u          /* lines; the others are counted      */

typedef struct {
    uct_efa_stats_device_t *device;
    const char             *where;     /* "efa_0 was closed"                 */
    unsigned               count;
} uct_efa_leak_t;

/* kind: EFA_STATS_KIND_LAST: an endpoint. what: as it is named in the log.
 * caller: efa_caller.h; create_time: uct_efa_stats_now(). */
void uct_efa_leak_add(uct_efa_leak_t *leak, efa_stats_kind_t kind,
                      const char *what, const void *caller,
                      uint64_t create_time);

/* Counts, and says how many more there were. */
void uct_efa_leak_end(uct_efa_leak_t *leak);

#endif
