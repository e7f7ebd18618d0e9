/*
 * The window: open, close; its records (efa_window_record.h), and those that
 * interfaces and peers count in.
 *
 *   get: a record given back earlier -> one behind the last -> no room:
 *        an interface: private memory      a peer: its interface's overflow
 *
 * A record that is given back goes to a list of its type; the lists are
 * private, the file does not have them. In a file that is kept, closed
 * interfaces stay as they were, for who looks at it afterwards.
 *
 * A forked child counts on in its parent's blocks where it has some, and gets
 * private ones; its puts leave the file alone.
 */
#include "ucx_compat.h"
#include "efa_window_record.h"

#include <stdlib.h>
#include <string.h>

static_assert(sizeof(uct_efa_window_slot_t) ==
              sizeof(uct_efa_window_iface_t) + sizeof(uct_efa_window_peer_t) +
              sizeof(uct_efa_window_ep_t),
              "records lie back to back");

/* A free record, as the owner links them. Lies in the body of the record. */
struct uct_efa_window_free {
    efa_window_record_t   rec;
    uct_efa_window_free_t *next;
};

uct_efa_window_t uct_efa_window = {
    .lock = PTHREAD_MUTEX_INITIALIZER
};

/* Blocks for when even malloc fails: everybody counts here, nobody reads. */
static uct_efa_window_slot_t uct_efa_window_last_slot;
static uct_efa_window_peer_t uct_efa_window_last_peer;

void uct_efa_window_open(uct_efa_window_mode_t mode)
{
    pthread_mutex_lock(&uct_efa_window.lock);
    if (uct_efa_window.refs++ == 0) {
        uct_efa_window.mode = mode;
        if (mode != UCT_EFA_WINDOW_NO) {
            uct_efa_window_file_create(&uct_efa_window.file,
                                       mode == UCT_EFA_WINDOW_KEEP);
            uct_efa_window_events_init();
        }
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

void uct_efa_window_close(void)
{
    pthread_mutex_lock(&uct_efa_window.lock);
    ucs_assert(uct_efa_window.refs > 0);
    if (--uct_efa_window.refs == 0) {
        uct_efa_window.events = NULL;
        uct_efa_window_file_destroy(&uct_efa_window.file);
        memset(uct_efa_window.free, 0, sizeof(uct_efa_window.free));
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

const char *uct_efa_window_path(void)
{
    return uct_efa_window.file.path;
}

/* A program that exits without closing: the name goes, the mapping stays, in
 * case another thread still counts. */
static void __attribute__((destructor)) uct_efa_window_at_exit(void)
{
    uct_efa_window_file_unlink(&uct_efa_window.file);
}

/* ------------------------------------------------------------- the records */

void uct_efa_window_record_init(efa_window_record_t *rec, uint32_t length)
{
    rec->length = length;
    rec->gen    = 1;
}

/* Empties a record that was given back, all but length and gen */
static void uct_efa_window_record_reset(efa_window_record_t *rec)
{
    rec->type  = EFA_WINDOW_FREE;
    rec->flags = 0;
    memset(rec + 1, 0, rec->length - sizeof(*rec));
}

void uct_efa_window_record_show(efa_window_record_t *rec)
{
    __atomic_store_n(&rec->gen, rec->gen + 1, __ATOMIC_RELEASE);
}

void uct_efa_window_record_hide(efa_window_record_t *rec)
{
    /* An exchange: what is written afterwards stays behind it */
    if ((rec->gen % 2) == 0) {
        __atomic_exchange_n(&rec->gen, rec->gen + 1, __ATOMIC_ACQ_REL);
    }
}

void *uct_efa_window_private_get(size_t length, void *last_resort)
{
    void *block;

    if (posix_memalign(&block, EFA_WINDOW_ALIGN, length) != 0) {
        return last_resort;
    }

    memset(block, 0, length);
    return block;
}

void *uct_efa_window_record_get(efa_window_type_t type, size_t length)
{
    uct_efa_window_free_t *entry = uct_efa_window.free[type];
    void *block;

    if (!uct_efa_window_file_is_mine(&uct_efa_window.file)) {
        return NULL;
    }

    if (entry != NULL) {
        uct_efa_window.free[type] = entry->next;
        uct_efa_window_record_reset(&entry->rec);
        return entry;
    }

    block = uct_efa_window_file_extend(&uct_efa_window.file, length);
    if (block == NULL) {
        ++uct_efa_window_file_header(&uct_efa_window.file)->hidden;
        return NULL;
    }

    uct_efa_window_record_init(block, length);
    return block;
}

void uct_efa_window_record_put(void *block, efa_window_type_t type)
{
    uct_efa_window_free_t *entry = block;

    uct_efa_window_record_hide(&entry->rec);
    uct_efa_window_record_reset(&entry->rec);
    entry->next               = uct_efa_window.free[type];
    uct_efa_window.free[type] = entry;
}

/* --------------------------------------------------- interfaces and peers */

/* Fills a hidden record and shows it */
static void uct_efa_window_peer_set(uct_efa_window_peer_t *peer,
                                    const uct_efa_window_iface_t *iface,
                                    const void *gid, uint32_t qpn,
                                    uint16_t flags)
{
    if (gid != NULL) {
        memcpy(peer->gid, gid, sizeof(peer->gid));
    }
    peer->rec.type     = EFA_WINDOW_PEER;
    peer->rec.flags    = flags;
    peer->qpn          = qpn;
    peer->num_counters = EFA_WINDOW_PEER_NUM;
    peer->counters_off = EFA_WINDOW_PEER_OFF;
    peer->iface        = iface->index;
    peer->state        = EFA_WINDOW_PEER_NEW;
    peer->state_time   = uct_efa_window_now();
    uct_efa_window_record_show(&peer->rec);
}

/* A slot of hidden records in the file; NULL: no file, or no room. */
static uct_efa_window_slot_t *uct_efa_window_slot_get(void)
{
    uct_efa_window_slot_t *slot;

    slot = uct_efa_window_record_get(EFA_WINDOW_IFACE, sizeof(*slot));
    if (slot == NULL) {
        return NULL;
    }

    if (slot->overflow.rec.length != 0) {
        uct_efa_window_record_reset(&slot->overflow.rec);
        uct_efa_window_record_reset(&slot->no_ep.rec);
        return slot;
    }

    slot->iface.rec.length = sizeof(slot->iface);
    uct_efa_window_record_init(&slot->overflow.rec, sizeof(slot->overflow));
    uct_efa_window_record_init(&slot->no_ep.rec, sizeof(slot->no_ep));
    uct_efa_window_file_publish(&uct_efa_window.file);
    return slot;
}

uct_efa_window_iface_t *uct_efa_window_iface_get(const char *name,
                                                 const void *gid, uint32_t qpn)
{
    uct_efa_window_iface_t *iface;
    uct_efa_window_slot_t *slot;

    pthread_mutex_lock(&uct_efa_window.lock);
    slot = uct_efa_window_slot_get();
    if (slot == NULL) {
        slot = uct_efa_window_private_get(sizeof(*slot),
                                          &uct_efa_window_last_slot);
    }

    iface = &slot->iface;
    memcpy(iface->gid, gid, sizeof(iface->gid));
    ucs_strncpy_zero(iface->name, name, sizeof(iface->name));
    iface->rec.type     = EFA_WINDOW_IFACE;
    iface->device       = EFA_WINDOW_NONE;
    iface->create_time  = uct_efa_window_now();
    iface->state_time   = iface->create_time;
    iface->qpn          = qpn;
    iface->num_counters = EFA_WINDOW_IFACE_NUM;
    iface->counters_off = EFA_WINDOW_IFACE_OFF;
    iface->index        = uct_efa_window.num_ifaces++;
    uct_efa_window_record_show(&iface->rec);
    pthread_mutex_unlock(&uct_efa_window.lock);
    return iface;
}

void uct_efa_window_iface_put(uct_efa_window_iface_t *iface)
{
    uct_efa_window_slot_t *slot = ucs_container_of(iface, uct_efa_window_slot_t,
                                                   iface);

    pthread_mutex_lock(&uct_efa_window.lock);
    if (!uct_efa_window_file_contains(&uct_efa_window.file, slot)) {
        if (slot != &uct_efa_window_last_slot) {
            free(slot);
        }
    } else if (uct_efa_window_file_is_mine(&uct_efa_window.file) &&
               (uct_efa_window.mode != UCT_EFA_WINDOW_KEEP)) {
        uct_efa_window_record_hide(&slot->overflow.rec);
        uct_efa_window_record_put(slot, EFA_WINDOW_IFACE);
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

/* A peer's record in the file, or the shared one of its interface; NULL if
 * there is no file. Lock held. */
static uct_efa_window_peer_t *
uct_efa_window_peer_get_in_file(uct_efa_window_iface_t *iface, const void *gid,
                                uint32_t qpn)
{
    uct_efa_window_slot_t *slot;
    uct_efa_window_peer_t *peer;

    if (!uct_efa_window_file_is_mine(&uct_efa_window.file) ||
        !uct_efa_window_file_contains(&uct_efa_window.file, iface)) {
        return NULL;
    }

    peer = uct_efa_window_record_get(EFA_WINDOW_PEER, sizeof(*peer));
    if (peer != NULL) {
        uct_efa_window_peer_set(peer, iface, gid, qpn, 0);
        uct_efa_window_file_publish(&uct_efa_window.file);
        return peer;
    }

    slot = ucs_container_of(iface, uct_efa_window_slot_t, iface);
    if (slot->overflow.rec.type != EFA_WINDOW_PEER) {
        uct_efa_window_peer_set(&slot->overflow, iface, NULL, 0,
                                EFA_WINDOW_RECORD_OVERFLOW);
    }

    return &slot->overflow;
}

uct_efa_window_peer_t *uct_efa_window_peer_get(uct_efa_window_iface_t *iface,
                                               const void *gid, uint32_t qpn)
{
    uct_efa_window_peer_t *peer;

    pthread_mutex_lock(&uct_efa_window.lock);
    peer = uct_efa_window_peer_get_in_file(iface, gid, qpn);
    pthread_mutex_unlock(&uct_efa_window.lock);

    return (peer != NULL) ? peer :
                            uct_efa_window_private_get(
                                    sizeof(*peer), &uct_efa_window_last_peer);
}

void uct_efa_window_peer_put(uct_efa_window_iface_t *iface,
                             uct_efa_window_peer_t *peer)
{
    (void)iface;

    pthread_mutex_lock(&uct_efa_window.lock);
    if (!uct_efa_window_file_contains(&uct_efa_window.file, peer)) {
        if (peer != &uct_efa_window_last_peer) {
            free(peer);
        }
    } else if (uct_efa_window_file_is_mine(&uct_efa_window.file) &&
               !(peer->rec.flags & EFA_WINDOW_RECORD_OVERFLOW)) {
        uct_efa_window_record_put(peer, EFA_WINDOW_PEER);
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}

void uct_efa_window_peers_each(const uct_efa_window_iface_t *iface,
                               void (*func)(const uct_efa_window_peer_t *peer,
                                            void *arg),
                               void *arg)
{
    const efa_window_record_t *rec;
    size_t pos;

    pthread_mutex_lock(&uct_efa_window.lock);
    if (uct_efa_window_block_is_mine(iface)) {
        for (pos = sizeof(efa_window_header_t);
             pos < uct_efa_window.file.used; pos += rec->length) {
            rec = (const efa_window_record_t*)(uct_efa_window.file.map + pos);
            if ((rec->type == EFA_WINDOW_PEER) && ((rec->gen % 2) == 0) &&
                (((const uct_efa_window_peer_t*)rec)->iface == iface->index)) {
                func((const uct_efa_window_peer_t*)rec, arg);
            }
        }
    }
    pthread_mutex_unlock(&uct_efa_window.lock);
}
