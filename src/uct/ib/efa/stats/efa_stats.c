/*
 * The stats segment of this process: open, close; the picture is in
 * efa_stats.h.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <string.h>

void uct_efa_stats_open(uct_efa_stats_mode_t mode)
{
    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats.refs++ == 0) {
        uct_efa_stats.mode = mode;
        if (mode != UCT_EFA_STATS_NO) {
            uct_efa_stats_file_create(&uct_efa_stats.file,
                                      mode == UCT_EFA_STATS_KEEP);
            uct_efa_stats_event_init();
        }
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

void uct_efa_stats_close(void)
{
    pthread_mutex_lock(&uct_efa_stats.lock);
    ucs_assert(uct_efa_stats.refs > 0);
    if (--uct_efa_stats.refs == 0) {
        uct_efa_stats.events = NULL;
        uct_efa_stats_file_destroy(&uct_efa_stats.file);
        memset(uct_efa_stats.free, 0, sizeof(uct_efa_stats.free));
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

/* A program that exits without closing: the name goes, the mapping stays, in
 * case another thread still counts. */
static void __attribute__((destructor)) uct_efa_stats_at_exit(void)
{
    uct_efa_stats_file_unlink(&uct_efa_stats.file);
}
