/*
 * The stats segment: open, close; its records (efa_stats_record.h), and those
 * that interfaces and peers count in.
 *
 *   get: a record given back earlier -> one behind the last -> no room:
 *        an interface: private memory      a peer: its interface's overflow
 *
 * A record that is given back goes to a list of its type; the lists are
 * private, the file does not have them. In a file that is kept, closed
 * interfaces stay as they were, for whoever looks at it afterwards.
 *
 * A forked child counts on in its parent's blocks where it has some, and gets
 * private ones; its puts leave the file alone.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(uct_efa_stats_slot_t) ==
              sizeof(uct_efa_stats_iface_t) + sizeof(uct_efa_stats_peer_t) +
              sizeof(uct_efa_stats_ep_t),
              "records lie back to back");

/* A free record, as the owner links them. Lies in the body of the record. */
struct uct_efa_stats_free {
    efa_stats_record_t   rec;
    uct_efa_stats_free_t *next;
};

uct_efa_stats_t uct_efa_stats = {
    .lock = PTHREAD_MUTEX_INITIALIZER
};

/* Blocks for when even malloc fails: everybody counts here, nobody reads. */
static uct_efa_stats_slot_t uct_efa_stats_last_slot;
static uct_efa_stats_peer_t uct_efa_stats_last_peer;

void uct_efa_stats_open(uct_efa_stats_mode_t mode)
{
    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats.refs++ == 0) {
        uct_efa_stats.mode = mode;
        if (mode != UCT_EFA_STATS_NO) {
            uct_efa_stats_file_create(&uct_efa_stats.file,
                                      mode == UCT_EFA_STATS_KEEP);
            uct_efa_stats_events_init();
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

const char *uct_efa_stats_path(void)
{
    return uct_efa_stats.file.path;
}

/* A program that exits without closing: the name goes, the mapping stays, in
 * case another thread still counts. */
static void __attribute__((destructor)) uct_efa_stats_at_exit(void)
{
    uct_efa_stats_file_unlink(&uct_efa_stats.file);
}

/* ------------------------------------------------------------- the records */

void uct_efa_stats_record_init(efa_stats_record_t *rec, uint32_t length)
{
    rec->length = length;
    rec->gen    = 1;
}

/* Empties a record that was given back, all but length and gen */
static void uct_efa_stats_record_reset(efa_stats_record_t *rec)
{
    rec->type  = EFA_STATS_FREE;
    rec->flags = 0;
    memset(rec + 1, 0, rec->length - sizeof(*rec));
}

void uct_efa_stats_record_show(efa_stats_record_t *rec)
{
    __atomic_store_n(&rec->gen, rec->gen + 1, __ATOMIC_RELEASE);
}

void uct_efa_stats_record_hide(efa_stats_record_t *rec)
{
    /* An exchange: what is written afterwards stays behind it */
    if ((rec->gen % 2) == 0) {
        __atomic_exchange_n(&rec->gen, rec->gen + 1, __ATOMIC_ACQ_REL);
    }
}

void *uct_efa_stats_private_get(size_t length, void *last_resort)
{
    void *block;

    if (posix_memalign(&block, EFA_STATS_ALIGN, length) != 0) {
        return last_resort;
    }

    memset(block, 0, length);
    return block;
}

void *uct_efa_stats_record_get(efa_stats_type_t type, size_t length)
{
    uct_efa_stats_free_t *entry = uct_efa_stats.free[type];
    void *block;

    if (!uct_efa_stats_file_is_mine(&uct_efa_stats.file)) {
        return NULL;
    }

    if (entry != NULL) {
        uct_efa_stats.free[type] = entry->next;
        uct_efa_stats_record_reset(&entry->rec);
        return entry;
    }

    block = uct_efa_stats_file_extend(&uct_efa_stats.file, length);
    if (block == NULL) {
        ++uct_efa_stats_file_header(&uct_efa_stats.file)->hidden;
        return NULL;
    }

    uct_efa_stats_record_init(block, length);
    return block;
}

void uct_efa_stats_record_put(void *block, efa_stats_type_t type)
{
    uct_efa_stats_free_t *entry = block;

    uct_efa_stats_record_hide(&entry->rec);
    uct_efa_stats_record_reset(&entry->rec);
    entry->next              = uct_efa_stats.free[type];
    uct_efa_stats.free[type] = entry;
}

/* --------------------------------------------------- interfaces and peers */

/* Fills a hidden record and shows it */
static void uct_efa_stats_peer_set(uct_efa_stats_peer_t *peer,
                                   const uct_efa_stats_iface_t *iface,
                                   const void *gid, uint32_t qpn,
                                   uint16_t flags)
{
    if (gid != NULL) {
        memcpy(peer->gid, gid, sizeof(peer->gid));
    }
    peer->rec.type     = EFA_STATS_PEER;
    peer->rec.flags    = flags;
    peer->qpn          = qpn;
    peer->num_counters = EFA_STATS_PEER_NUM;
    peer->counters_off = EFA_STATS_PEER_OFF;
    peer->iface        = iface->index;
    peer->state        = EFA_STATS_PEER_NEW;
    peer->state_time   = uct_efa_stats_now();
    uct_efa_stats_record_show(&peer->rec);
}

/* A slot of hidden records in the file; NULL: no file, or no room. */
static uct_efa_stats_slot_t *uct_efa_stats_slot_get(void)
{
    uct_efa_stats_slot_t *slot;

    slot = uct_efa_stats_record_get(EFA_STATS_IFACE, sizeof(*slot));
    if (slot == NULL) {
        return NULL;
    }

    if (slot->overflow.rec.length != 0) {
        uct_efa_stats_record_reset(&slot->overflow.rec);
        uct_efa_stats_record_reset(&slot->no_ep.rec);
        return slot;
    }

    slot->iface.rec.length = sizeof(slot->iface);
    uct_efa_stats_record_init(&slot->overflow.rec, sizeof(slot->overflow));
    uct_efa_stats_record_init(&slot->no_ep.rec, sizeof(slot->no_ep));
    uct_efa_stats_file_publish(&uct_efa_stats.file);
    return slot;
}

uct_efa_stats_iface_t *uct_efa_stats_iface_get(const char *name,
                                               const void *gid, uint32_t qpn)
{
    uct_efa_stats_iface_t *iface;
    uct_efa_stats_slot_t *slot;

    pthread_mutex_lock(&uct_efa_stats.lock);
    slot = uct_efa_stats_slot_get();
    if (slot == NULL) {
        slot = uct_efa_stats_private_get(sizeof(*slot),
                                         &uct_efa_stats_last_slot);
    }

    iface = &slot->iface;
    memcpy(iface->gid, gid, sizeof(iface->gid));
    ucs_strncpy_zero(iface->name, name, sizeof(iface->name));
    iface->rec.type     = EFA_STATS_IFACE;
    iface->device       = EFA_STATS_NONE;
    iface->create_time  = uct_efa_stats_now();
    iface->state_time   = iface->create_time;
    iface->qpn          = qpn;
    iface->num_counters = EFA_STATS_IFACE_NUM;
    iface->counters_off = EFA_STATS_IFACE_OFF;
    iface->index        = uct_efa_stats.num_ifaces++;
    uct_efa_stats_record_show(&iface->rec);
    pthread_mutex_unlock(&uct_efa_stats.lock);
    return iface;
}

void uct_efa_stats_iface_put(uct_efa_stats_iface_t *iface)
{
    uct_efa_stats_slot_t *slot = ucs_container_of(iface, uct_efa_stats_slot_t,
                                                  iface);

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (!uct_efa_stats_file_contains(&uct_efa_stats.file, slot)) {
        if (slot != &uct_efa_stats_last_slot) {
            free(slot);
        }
    } else if (uct_efa_stats_file_is_mine(&uct_efa_stats.file) &&
               (uct_efa_stats.mode != UCT_EFA_STATS_KEEP)) {
        uct_efa_stats_record_hide(&slot->overflow.rec);
        uct_efa_stats_record_put(slot, EFA_STATS_IFACE);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

/* A peer's record in the file, or the shared one of its interface; NULL if
 * there is no file. Lock held. */
static uct_efa_stats_peer_t *
uct_efa_stats_peer_get_in_file(uct_efa_stats_iface_t *iface, const void *gid,
                               uint32_t qpn)
{
    uct_efa_stats_slot_t *slot;
    uct_efa_stats_peer_t *peer;

    if (!uct_efa_stats_file_is_mine(&uct_efa_stats.file) ||
        !uct_efa_stats_file_contains(&uct_efa_stats.file, iface)) {
        return NULL;
    }

    peer = uct_efa_stats_record_get(EFA_STATS_PEER, sizeof(*peer));
    if (peer != NULL) {
        uct_efa_stats_peer_set(peer, iface, gid, qpn, 0);
        uct_efa_stats_file_publish(&uct_efa_stats.file);
        return peer;
    }

    slot = ucs_container_of(iface, uct_efa_stats_slot_t, iface);
    if (slot->overflow.rec.type != EFA_STATS_PEER) {
        uct_efa_stats_peer_set(&slot->overflow, iface, NULL, 0,
                               EFA_STATS_RECORD_OVERFLOW);
    }

    return &slot->overflow;
}

uct_efa_stats_peer_t *uct_efa_stats_peer_get(uct_efa_stats_iface_t *iface,
                                             const void *gid, uint32_t qpn)
{
    uct_efa_stats_peer_t *peer;

    pthread_mutex_lock(&uct_efa_stats.lock);
    peer = uct_efa_stats_peer_get_in_file(iface, gid, qpn);
    pthread_mutex_unlock(&uct_efa_stats.lock);

    return (peer != NULL) ? peer :
                            uct_efa_stats_private_get(
                                    sizeof(*peer), &uct_efa_stats_last_peer);
}

void uct_efa_stats_peer_put(uct_efa_stats_iface_t *iface,
                            uct_efa_stats_peer_t *peer)
{
    (void)iface;

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (!uct_efa_stats_file_contains(&uct_efa_stats.file, peer)) {
        if (peer != &uct_efa_stats_last_peer) {
            free(peer);
        }
    } else if (uct_efa_stats_file_is_mine(&uct_efa_stats.file) &&
               !(peer->rec.flags & EFA_STATS_RECORD_OVERFLOW)) {
        uct_efa_stats_record_put(peer, EFA_STATS_PEER);
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}

void uct_efa_stats_peers_each(const uct_efa_stats_iface_t *iface,
                              void (*func)(const uct_efa_stats_peer_t *peer,
                                           void *arg),
                              void *arg)
{
    const efa_stats_record_t *rec;
    size_t pos;

    pthread_mutex_lock(&uct_efa_stats.lock);
    if (uct_efa_stats_block_is_mine(iface)) {
        for (pos = sizeof(efa_stats_header_t);
             pos < uct_efa_stats.file.used; pos += rec->length) {
            rec = (const efa_stats_record_t*)(uct_efa_stats.file.map + pos);
            if ((rec->type == EFA_STATS_PEER) && ((rec->gen % 2) == 0) &&
                (((const uct_efa_stats_peer_t*)rec)->iface == iface->index)) {
                func((const uct_efa_stats_peer_t*)rec, arg);
            }
        }
    }
    pthread_mutex_unlock(&uct_efa_stats.lock);
}
