/*
 * The flight recorder: one ring for the process, several threads.
 *
 *   ticket n = next++      entry n % NUM:  seq = 0 -> all but seq -> seq = n + 1
 *
 * A writer that dies in between leaves seq 0, which readers pass over. Two that
 * are a whole round apart and write at once may leave a mixture: a round is 512
 * rare events. A forked child adds nothing to its parent's ring.
 */
#include "ucx_compat.h"
#include "efa_window_record.h"

#include <string.h>

/* Lines for an endpoint that fails, and how far back they are looked for */
#define UCT_EFA_WINDOW_LOG_MAX 12u

static_assert((EFA_WINDOW_EVENTS_NUM & (EFA_WINDOW_EVENTS_NUM - 1)) == 0,
              "tickets may wrap");

typedef struct {
    efa_window_events_t      head;
    efa_window_event_entry_t entries[EFA_WINDOW_EVENTS_NUM];
} uct_efa_window_ring_t;

#define UCT_EFA_WINDOW_EVENT_NAME(_NAME, _name, _text) _name,
static const char *uct_efa_window_event_names[] = {
    EFA_WINDOW_EVENTS_LIST(UCT_EFA_WINDOW_EVENT_NAME)
};

void uct_efa_window_events_init(void)
{
    uct_efa_window_ring_t *ring;

    ring = uct_efa_window_record_get(EFA_WINDOW_EVENTS, sizeof(*ring));
    if (ring == NULL) {
        return;
    }

    ring->head.rec.type    = EFA_WINDOW_EVENTS;
    ring->head.num         = EFA_WINDOW_EVENTS_NUM;
    ring->head.entries_off = offsetof(uct_efa_window_ring_t, entries);
    uct_efa_window_record_show(&ring->head.rec);
    uct_efa_window_file_publish(&uct_efa_window.file);
    uct_efa_window.events = &ring->head;
}

static uct_efa_window_ring_t *uct_efa_window_ring(void)
{
    if ((uct_efa_window.events == NULL) ||
        !uct_efa_window_file_is_mine(&uct_efa_window.file)) {
        return NULL;
    }

    return ucs_container_of(uct_efa_window.events, uct_efa_window_ring_t, head);
}

void uct_efa_window_event(efa_window_event_t event,
                          const uct_efa_window_iface_t *iface, const void *gid,
                          uint32_t qpn, int status, uint32_t a, uint64_t b)
{
    uct_efa_window_ring_t *ring = uct_efa_window_ring();
    efa_window_event_entry_t *entry;
    uint64_t number;

    if (ring == NULL) {
        return;
    }

    number = __atomic_fetch_add(&ring->head.next, 1, __ATOMIC_RELAXED);
    entry  = &ring->entries[number % EFA_WINDOW_EVENTS_NUM];
    /* An exchange: what is written afterwards stays behind it */
    __atomic_exchange_n(&entry->seq, 0, __ATOMIC_ACQ_REL);
    entry->time   = uct_efa_window_now();
    entry->event  = event;
    entry->iface  = (iface == NULL) ? UINT16_MAX : (uint16_t)iface->index;
    entry->status = status;
    if (gid != NULL) {
        memcpy(entry->gid, gid, sizeof(entry->gid));
    } else {
        memset(entry->gid, 0, sizeof(entry->gid));
    }
    entry->qpn = qpn;
    entry->a   = a;
    entry->b   = b;
    __atomic_store_n(&entry->seq, number + 1, __ATOMIC_RELEASE);
}

void uct_efa_window_events_log(const void *gid, uint32_t qpn, const char *who)
{
    uct_efa_window_ring_t *ring = uct_efa_window_ring();
    const efa_window_event_entry_t *found[UCT_EFA_WINDOW_LOG_MAX], *entry;
    unsigned count              = 0;
    uint64_t next, i, now;

    if ((ring == NULL) || !ucs_log_is_enabled(UCS_LOG_LEVEL_DEBUG)) {
        return;
    }

    now  = uct_efa_window_now();
    next = __atomic_load_n(&ring->head.next, __ATOMIC_RELAXED);
    for (i = 0; (i < EFA_WINDOW_EVENTS_NUM) && (i < next) &&
                (count < UCT_EFA_WINDOW_LOG_MAX); ++i) {
        entry = &ring->entries[(next - 1 - i) % EFA_WINDOW_EVENTS_NUM];
        if ((__atomic_load_n(&entry->seq, __ATOMIC_ACQUIRE) == next - i) &&
            (entry->qpn == qpn) && (entry->event < EFA_WINDOW_EVENT_LAST) &&
            (memcmp(entry->gid, gid, sizeof(entry->gid)) == 0)) {
            found[count++] = entry;
        }
    }

    while (count-- > 0) {
        entry = found[count];
        ucs_debug("%s: %.6f s ago: %s, status %d, a %u, b %lu", who,
                  (double)(now - entry->time) * 1e-9,
                  uct_efa_window_event_names[entry->event], entry->status,
                  entry->a, (unsigned long)entry->b);
    }
}
