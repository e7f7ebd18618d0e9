/*
 * What the segment shows of an interface and its peers besides counters:
 * srd_show.c.
 */
#ifndef UCT_SRD_SHOW_H
#define UCT_SRD_SHOW_H

#include "srd/def/srd_iface_def.h"

/* The segment's time, up to 1 ms old; cheap. Messages have shown.now, which the
 * last look around has left (srd_housekeeping.c): nothing. */
uint64_t uct_srd_show_now(uct_srd_iface_t *iface);

/* What the peer waits for has changed. */
void uct_srd_show_wait(uct_srd_peer_t *peer);

/* The same of a pause, which is shown: is it over? */
void uct_srd_show_pause(uct_srd_peer_t *peer);

/* The message awaited next is another one, or the first came that is early. */
void uct_srd_show_gap(uct_srd_peer_t *peer);

/* An event that is no peer's */
void uct_srd_show_event(const uct_srd_iface_t *iface, efa_stats_event_t event,
                        ucs_status_t status, uint32_t a, uint64_t b);

void uct_srd_show_state(uct_srd_iface_t *iface, efa_stats_iface_state_t state);

/* A progress call was here, the process may not be asleep. */
void uct_srd_show_progress(uct_srd_iface_t *iface);

/* The process may sleep now, for as long as it likes. */
void uct_srd_show_asleep(uct_srd_iface_t *iface);

#endif
