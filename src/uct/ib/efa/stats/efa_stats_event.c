/*
 * The flight recorder: one ring for the process, several threads.
 *
 *   event --> as one of the ring that was last less than HOLD ago?
 *               yes: ++repeats, last
 *               no:  ticket n = next++
 *                    entry n % NUM:  seq = 0 -> all but seq -> seq = n + 1
 *
 * So a condition that lasts, a lack of resources or a peer that sends invalid
 * messages, has one entry for each kind of event, and earlier events stay.
 * Equal ones are found by a hash:
 *
 *   heads[hash] --> newest entry --> prevs[its place] --> older ... (LINKS)
 *
 * A link may lead to an entry that was overwritten, which has another seq, or
 * to none of this hash: both are noticed. The tables are private.
 *
 * A writer that dies in between leaves seq 0, which readers pass over. Two that
 * are a whole round apart and write at once may leave a mixture: a round is 512
 * rare events. Two that write the same at once may leave two entries. A forked
 * child adds nothing to its parent's ring.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <string.h>

/* Lines for an endpoint that fails, and how far back they are looked for */
#define UCT_EFA_STATS_LOG_MAX 12u

/* Quiet, in ns, before the same has an entry again */
#define UCT_EFA_STATS_HOLD    10000000000ull

/* Entries of one hash that are looked at; there is seldom more than one */
#define UCT_EFA_STATS_LINKS   16u

static_assert((EFA_STATS_EVENTS_NUM & (EFA_STATS_EVENTS_NUM - 1)) == 0,
              "tickets may wrap");

/* What makes two events the same, without a gap: from event to b */
#define UCT_EFA_STATS_SAME_OFF offsetof(efa_stats_event_entry_t, event)
#define UCT_EFA_STATS_SAME_LEN \
    (offsetof(efa_stats_event_entry_t, repeats) - UCT_EFA_STATS_SAME_OFF)

static_assert(UCT_EFA_STATS_SAME_LEN == 2 + 2 + 4 + 16 + 4 + 4 + 8,
              "compared as bytes");
static_assert(UCT_EFA_STATS_SAME_LEN % sizeof(uint64_t) == 0,
              "hashed as words");

typedef struct {
    efa_stats_events_t      head;
    efa_stats_event_entry_t entries[EFA_STATS_EVENTS_NUM];
} uct_efa_stats_ring_t;

/* seq of the newest of a hash, and of the one before an entry; 0: none */
static uint64_t uct_efa_stats_heads[EFA_STATS_EVENTS_NUM];
static uint64_t uct_efa_stats_prevs[EFA_STATS_EVENTS_NUM];

#define UCT_EFA_STATS_EVENT_NAME(_NAME, _name, _text) _name,
static const char *uct_efa_stats_event_names[] = {
    EFA_STATS_EVENTS_LIST(UCT_EFA_STATS_EVENT_NAME)
};

void uct_efa_stats_event_init(void)
{
    uct_efa_stats_ring_t *ring;

    ring = uct_efa_stats_record_get(EFA_STATS_EVENTS, sizeof(*ring));
    if (ring == NULL) {
        return;
    }

    memset(uct_efa_stats_heads, 0, sizeof(uct_efa_stats_heads));
    ring->head.rec.type    = EFA_STATS_EVENTS;
    ring->head.num         = EFA_STATS_EVENTS_NUM;
    ring->head.entries_off = offsetof(uct_efa_stats_ring_t, entries);
    uct_efa_stats_record_show(&ring->head.rec);
    uct_efa_stats_file_publish(&uct_efa_stats.file);
    uct_efa_stats.events = &ring->head;
}

static uct_efa_stats_ring_t *uct_efa_stats_ring(void)
{
    if ((uct_efa_stats.events == NULL) ||
        !uct_efa_stats_file_is_mine(&uct_efa_stats.file)) {
        return NULL;
    }

    return ucs_container_of(uct_efa_stats.events, uct_efa_stats_ring_t, head);
}

static unsigned uct_efa_stats_event_hash(const efa_stats_event_entry_t *entry)
{
    const uint64_t *words = UCS_PTR_BYTE_OFFSET(entry, UCT_EFA_STATS_SAME_OFF);
    uint64_t hash         = 0;
    unsigned i;

    for (i = 0; i < UCT_EFA_STATS_SAME_LEN / sizeof(*words); ++i) {
        hash = (hash ^ words[i]) * 0x9e3779b97f4a7c15ull;
        hash ^= hash >> 32;
    }

    return hash % EFA_STATS_EVENTS_NUM;
}

/* Counts the event with one that is there; false: it needs an entry. */
static int uct_efa_stats_event_repeat(uct_efa_stats_ring_t *ring,
                                      const efa_stats_event_entry_t *event,
                                      unsigned hash)
{
    efa_stats_event_entry_t *entry;
    uint64_t seq, last, since;
    unsigned i, place;

    seq = __atomic_load_n(&uct_efa_stats_heads[hash], __ATOMIC_RELAXED);
    for (i = 0; (i < UCT_EFA_STATS_LINKS) && (seq != 0); ++i) {
        place = (seq - 1) % EFA_STATS_EVENTS_NUM;
        entry = &ring->entries[place];
        if (__atomic_load_n(&entry->seq, __ATOMIC_ACQUIRE) != seq) {
            return 0; /* overwritten, as all that are older */
        }

        if (memcmp(&entry->event, &event->event, UCT_EFA_STATS_SAME_LEN)) {
            seq = __atomic_load_n(&uct_efa_stats_prevs[place],
                                  __ATOMIC_RELAXED);
            continue;
        }

        last  = __atomic_load_n(&entry->last, __ATOMIC_RELAXED);
        since = (event->time > entry->time) ? event->time - entry->time : 0;
        if ((since > last * 1000000 + UCT_EFA_STATS_HOLD) ||
            (since / 1000000 > UINT32_MAX)) {
            return 0;
        }

        __atomic_store_n(&entry->last, since / 1000000, __ATOMIC_RELAXED);
        if (__atomic_load_n(&entry->repeats, __ATOMIC_RELAXED) < UINT32_MAX) {
            __atomic_fetch_add(&entry->repeats, 1, __ATOMIC_RELAXED);
        }
        return 1;
    }

    return 0;
}

void uct_efa_stats_event(efa_stats_event_t event,
                         const uct_efa_stats_iface_t *iface, const void *gid,
                         uint32_t qpn, int status, uint32_t a, uint64_t b)
{
    uct_efa_stats_ring_t *ring = uct_efa_stats_ring();
    efa_stats_event_entry_t filled, *entry;
    uint64_t number, prev;
    unsigned hash;

    if (ring == NULL) {
        return;
    }

    filled = (efa_stats_event_entry_t){.time   = uct_efa_stats_now(),
                                       .event  = event,
                                       .iface  = (iface == NULL) ?
                                                         UINT16_MAX :
                                                         (uint16_t)iface->index,
                                       .status = status,
                                       .qpn    = qpn,
                                       .a      = a,
                                       .b      = b};
    if (gid != NULL) {
        memcpy(filled.gid, gid, sizeof(filled.gid));
    }

    hash = uct_efa_stats_event_hash(&filled);
    if (uct_efa_stats_event_repeat(ring, &filled, hash)) {
        return;
    }

    number = __atomic_fetch_add(&ring->head.next, 1, __ATOMIC_RELAXED);
    entry  = &ring->entries[number % EFA_STATS_EVENTS_NUM];
    /* An exchange: what is written afterwards stays behind it */
    __atomic_exchange_n(&entry->seq, 0, __ATOMIC_ACQ_REL);
    memcpy(&entry->time, &filled.time,
           sizeof(filled) - offsetof(efa_stats_event_entry_t, time));
    __atomic_store_n(&entry->seq, number + 1, __ATOMIC_RELEASE);

    prev = __atomic_exchange_n(&uct_efa_stats_heads[hash], number + 1,
                               __ATOMIC_RELAXED);
    __atomic_store_n(&uct_efa_stats_prevs[number % EFA_STATS_EVENTS_NUM], prev,
                     __ATOMIC_RELAXED);
}

void uct_efa_stats_events_log(const void *gid, uint32_t qpn, const char *who)
{
    uct_efa_stats_ring_t *ring = uct_efa_stats_ring();
    const efa_stats_event_entry_t *found[UCT_EFA_STATS_LOG_MAX], *entry;
    unsigned count = 0;
    uint64_t next, i, now;

    if ((ring == NULL) || !ucs_log_is_enabled(UCS_LOG_LEVEL_DEBUG)) {
        return;
    }

    now  = uct_efa_stats_now();
    next = __atomic_load_n(&ring->head.next, __ATOMIC_RELAXED);
    for (i = 0; (i < EFA_STATS_EVENTS_NUM) && (i < next) &&
                (count < UCT_EFA_STATS_LOG_MAX);
         ++i) {
        entry = &ring->entries[(next - 1 - i) % EFA_STATS_EVENTS_NUM];
        if ((__atomic_load_n(&entry->seq, __ATOMIC_ACQUIRE) == next - i) &&
            (entry->qpn == qpn) && (entry->event < EFA_STATS_EVENT_LAST) &&
            (memcmp(entry->gid, gid, sizeof(entry->gid)) == 0)) {
            found[count++] = entry;
        }
    }

    while (count-- > 0) {
        entry = found[count];
        ucs_debug("%s: %.6f s ago: %s, %s, a %u, b %lu; again %u times in "
                  "%u ms",
                  who, (double)(now - entry->time) * 1e-9,
                  uct_efa_stats_event_names[entry->event],
                  ucs_status_string((ucs_status_t)entry->status), entry->a,
                  (unsigned long)entry->b, entry->repeats, entry->last);
    }
}
