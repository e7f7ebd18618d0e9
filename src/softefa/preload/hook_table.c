/* See hook_table.h. */
#define _GNU_SOURCE
#include "preload/hook_table.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    TABLE_MIN = 256
};

_Atomic(softefa_hook_table_t*) softefa_hook_table;

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

/* Locked. There is room. */
static void table_insert(softefa_hook_table_t *table, uintptr_t key,
                         softefa_hook_t *hook)
{
    size_t i = softefa_hook_table_hash(key) & table->mask;

    while (table->entries[i].key > SOFTEFA_HOOK_REMOVED) {
        i = (i + 1) & table->mask;
    }

    table->used += (table->entries[i].key == SOFTEFA_HOOK_EMPTY);
    table->live++;
    table->entries[i].hook = hook;
    atomic_store_explicit(&table->entries[i].key, key, memory_order_release);
}

/* Locked. A table with room for one more: the present one or its successor. */
static softefa_hook_table_t *table_grow(void)
{
    softefa_hook_table_t *old = softefa_hook_table, *table;
    size_t size, i;

    if ((old != NULL) && (old->used < old->mask - old->mask / 4)) {
        return old;
    }

    for (size = TABLE_MIN; (old != NULL) && (size < 4 * old->live); size *= 2) {
    }

    table = calloc(1, sizeof(*table) + size * sizeof(table->entries[0]));
    if (table == NULL) {
        return NULL;
    }

    table->mask     = size - 1;
    table->outgrown = old;
    for (i = 0; (old != NULL) && (i <= old->mask); ++i) {
        if (old->entries[i].key > SOFTEFA_HOOK_REMOVED) {
            table_insert(table, old->entries[i].key, old->entries[i].hook);
        }
    }
    atomic_store_explicit(&softefa_hook_table, table, memory_order_release);
    return table;
}

static void table_fork_prepare(void)
{
    pthread_mutex_lock(&table_lock);
}

static void table_fork_parent(void)
{
    pthread_mutex_unlock(&table_lock);
}

/* A child inherits patched objects but must not drive the parent's device. */
static void table_fork_child(void)
{
    softefa_hook_table_t *table = softefa_hook_table;
    size_t i;

    pthread_mutex_init(&table_lock, NULL);
    for (i = 0; (table != NULL) && (i <= table->mask); ++i) {
        if (table->entries[i].key > SOFTEFA_HOOK_REMOVED) {
            table->entries[i].hook->dev = NULL;
        }
    }
}

static void table_fork_init(void)
{
    pthread_atfork(table_fork_prepare, table_fork_parent, table_fork_child);
}

softefa_hook_t *softefa_hook_table_add(uintptr_t key, softefa_hooks_t *hooks,
                                       softefa_dev_t *dev)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    softefa_hook_t *hook       = calloc(1, sizeof(*hook));
    softefa_hook_table_t *table;
    softefa_hook_entry_t *entry;

    if (hook == NULL) {
        return NULL;
    }

    pthread_once(&once, table_fork_init);
    hook->hooks = hooks;
    hook->dev   = dev;

    pthread_mutex_lock(&table_lock);
    table = table_grow();
    if (table == NULL) {
        free(hook);
        hook = NULL;
    } else {
        entry = softefa_hook_table_find(table, key);
        if (entry != NULL) {
            /* freed and used again behind our back, as after fork() */
            free(entry->hook);
            entry->hook = hook;
        } else {
            table_insert(table, key, hook);
        }
    }
    pthread_mutex_unlock(&table_lock);
    return hook;
}

void softefa_hook_table_remove(const softefa_dev_t *dev, uintptr_t key)
{
    softefa_hook_table_t *table;
    softefa_hook_entry_t *entry;

    pthread_mutex_lock(&table_lock);
    table = softefa_hook_table;
    entry = ((table == NULL) || (key <= SOFTEFA_HOOK_REMOVED)) ?
                    NULL :
                    softefa_hook_table_find(table, key);
    if ((entry != NULL) && (entry->hook->dev == dev)) {
        free(entry->hook);
        entry->key = SOFTEFA_HOOK_REMOVED;
        table->live--;
    }
    pthread_mutex_unlock(&table_lock);
}

softefa_hook_t *softefa_hook_table_get(uint64_t user_handle)
{
    softefa_hook_entry_t *entry = NULL;

    pthread_mutex_lock(&table_lock);
    if ((softefa_hook_table != NULL) && (user_handle > SOFTEFA_HOOK_REMOVED)) {
        entry = softefa_hook_table_find(softefa_hook_table, user_handle);
    }
    pthread_mutex_unlock(&table_lock);
    return (entry == NULL) ? NULL : entry->hook;
}
