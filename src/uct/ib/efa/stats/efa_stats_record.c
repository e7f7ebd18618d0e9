/*
 * Records of the stats segment: see efa_stats_record.h.
 *
 *   get: a record given back earlier -> one behind the last -> none
 *
 * A record that is given back goes to a list of its type; the lists are
 * private, the file does not have them.
 */
#include "base/ucx/ucx_compat.h"
#include "stats/efa_stats_record.h"

#include <stdlib.h>
#include <string.h>

/* A free record, as the owner links them. Lies in the body of the record. */
struct uct_efa_stats_free {
    efa_stats_record_t   rec;
    uct_efa_stats_free_t *next;
};

uct_efa_stats_t uct_efa_stats = {
    .lock = PTHREAD_MUTEX_INITIALIZER
};

void uct_efa_stats_record_init(efa_stats_record_t *rec, uint32_t length)
{
    rec->length = length;
    rec->gen    = 1;
}

void uct_efa_stats_record_reset(efa_stats_record_t *rec)
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

void *uct_efa_stats_record_private(size_t length, void *last_resort)
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
