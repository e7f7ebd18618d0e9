/*
 * What is looked at now and then, at the begin of a poll (house.look): is our
 * device well, does another interface go short of address handles. Every
 * UCT_SRD_HOUSE_POLLS polls and completions, or sooner where these take long.
 */
#include "srd/uct/srd_iface.h"
#include "srd/assoc/recovery/srd_recover.h"
#include "srd/assoc/srd_reclaim.h"
#include "srd/peer/srd_show.h"

#define UCT_SRD_HOUSE_POLLS 128u  /* polls and completions between two looks */
#define UCT_SRD_HOUSE_TIME  10e-3 /* seconds: fewer polls, if they take more */

void uct_srd_housekeeping_look(uct_srd_iface_t *iface)
{
    uint64_t wanted = uct_efa_ah_cache_wanted(iface->queues.context->ahs);
    ucs_time_t now  = ucs_get_time();

    /* Who seldom calls progress must notice a reset all the same, before its
     * peers give it up. */
    if (now - iface->house.looked > ucs_time_from_sec(UCT_SRD_HOUSE_TIME)) {
        iface->house.interval /= 2;
    } else {
        iface->house.interval = ucs_min((2 * iface->house.interval) + 1,
                                        UCT_SRD_HOUSE_POLLS);
    }
    iface->house.looked  = now;
    iface->house.look_at = iface->stats->polls + iface->house.interval;
    uct_srd_show_progress(iface);
    uct_srd_recover_look(iface);

    /* Another interface of this device goes short of address handles */
    if (ucs_unlikely(wanted != iface->house.ahs_wanted)) {
        iface->house.ahs_wanted = wanted;
        uct_srd_reclaim(iface, UCT_SRD_RECLAIM);
    }
}
