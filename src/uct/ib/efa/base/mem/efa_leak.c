/*
 * Objects that were not given back: efa_leak.h.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_caller.h"
#include "base/mem/efa_leak.h"

void uct_efa_leak_add(uct_efa_leak_t *leak, efa_stats_kind_t kind,
                      const char *what, const void *caller,
                      uint64_t create_time)
{
    uint64_t age = uct_efa_stats_now() - create_time;
    char site[EFA_STATS_SITE_MAX];

    uct_efa_stats_event(EFA_STATS_EVENT_LEAK, NULL, NULL, 0, 0, kind,
                        age / 1000);
    if (++leak->count > UCT_EFA_LEAK_MAX) {
        return;
    }

    uct_efa_caller_name(caller, site, sizeof(site));
    ucs_warn(UCT_EFA_LEAK_TEXT " when %s: %s, made by %s %.1f s ago",
             leak->where, what, site, (double)age * 1e-9);
}

void uct_efa_leak_end(uct_efa_leak_t *leak)
{
    if (leak->count == 0) {
        return;
    }

    uct_efa_stats_device_leaked(leak->device, leak->count);
    if (leak->count > UCT_EFA_LEAK_MAX) {
        ucs_warn(UCT_EFA_LEAK_TEXT " when %s: %u more", leak->where,
                 leak->count - UCT_EFA_LEAK_MAX);
    }
}
