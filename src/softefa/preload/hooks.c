/*
 * Hooks: how the engine runs in the caller's thread.
 *
 *   ibv_post_send(qp) --> context->ops.post_send == hook_post_send
 *                            |-- libefa's post_send: WQEs, doorbell
 *                            '-- softefa_qp_doorbell(qp): send them now
 *   ibv_wr_complete   --> qp_ex->wr_complete   == hook_wr_complete    (same)
 *   ibv_poll_cq       --> context->ops.poll_cq == hook_poll_cq
 *   ibv_start_poll    --> cq_ex->start_poll    == hook_start_poll
 *                            |-- softefa_dev_progress(dev): what was waiting
 *                            '-- libefa's poll
 *   ibv_req_notify_cq --> context->ops.req_notify_cq == hook_req_notify
 *                            |-- libefa's: writes the armed doorbell
 *                            '-- softefa_cq_arm(cq)
 *
 * Verbs objects are found by their address in one hash table for the process.
 * Readers take no lock: entries never move within a table, and a table that
 * was outgrown is kept until the process ends, for readers still in it. An
 * address enters before libibverbs hands the object out and leaves before the
 * object is freed, so a reader never meets a half-made entry of its own.
 *
 * Not covered: doorbells that the application itself rings through
 * efadv_query_qp_wqs() (rdma-core 59 and later).
 */
#define _GNU_SOURCE
#include "preload/hooks.h"

#include <infiniband/verbs.h>

#include <assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* libefa's own functions for the objects of one context. */
struct softefa_hooks {
    struct softefa_hooks *next;
    struct ibv_context   *context;
    int  (*post_send)(struct ibv_qp*, struct ibv_send_wr*,
                      struct ibv_send_wr**);
    int  (*poll_cq)(struct ibv_cq*, int, struct ibv_wc*);
    int  (*req_notify_cq)(struct ibv_cq*, int);
    struct ibv_qp_ex *(*to_qp_ex)(struct ibv_qp*);
};

typedef struct {
    softefa_hooks_t *hooks;
    softefa_dev_t   *dev;     /* NULL in a forked child */
    union {
        struct {
            softefa_cq_t *cq;
            int (*start_poll)(struct ibv_cq_ex*, struct ibv_poll_cq_attr*);
            atomic_bool  behind; /* softefa_cq_set_behind() */
        } cq;
        struct {
            softefa_qp_t *qp;
            int (*wr_complete)(struct ibv_qp_ex*);
        } qp;
    } u;
} hook_t;

typedef struct {
    _Atomic(uintptr_t) key;   /* address, EMPTY or REMOVED */
    hook_t             *hook;
} hook_entry_t;

typedef struct hook_table {
    struct hook_table *outgrown;
    size_t            mask;   /* number of entries - 1 */
    size_t            used;   /* entries not EMPTY */
    size_t            live;   /* entries with an address */
    hook_entry_t      entries[];
} hook_table_t;

enum {
    KEY_EMPTY   = 0,
    KEY_REMOVED = 1,
    TABLE_MIN   = 256
};

static _Atomic(hook_table_t*) hook_table;
static pthread_mutex_t hook_lock = PTHREAD_MUTEX_INITIALIZER;

static inline size_t hook_hash(uintptr_t key)
{
    return (key * 0x9e3779b97f4a7c15ull) >> 32;
}

static inline hook_entry_t *hook_entry_find(hook_table_t *table, uintptr_t key)
{
    size_t i = hook_hash(key) & table->mask;
    uintptr_t found;

    for (;;) {
        found = atomic_load_explicit(&table->entries[i].key,
                                     memory_order_acquire);
        if (found == key) {
            return &table->entries[i];
        } else if (found == KEY_EMPTY) {
            return NULL;
        }
        i = (i + 1) & table->mask;
    }
}

/* The hook of an object in a patched context; there is a table. An object that
 * is not known (see handle_is_verbs_object()) has its context's: no dev. */
static inline hook_t *hook_find(const void *object,
                                const struct ibv_context *context)
{
    hook_table_t *table = atomic_load_explicit(&hook_table,
                                               memory_order_acquire);
    hook_entry_t *entry = hook_entry_find(table, (uintptr_t)object);

    if (__builtin_expect(entry == NULL, 0)) {
        entry = hook_entry_find(table, (uintptr_t)context);
    }
    return entry->hook;
}

/* Locked. There is room. */
static void hook_table_insert(hook_table_t *table, uintptr_t key, hook_t *hook)
{
    size_t i = hook_hash(key) & table->mask;

    while (table->entries[i].key > KEY_REMOVED) {
        i = (i + 1) & table->mask;
    }

    table->used += (table->entries[i].key == KEY_EMPTY);
    table->live++;
    table->entries[i].hook = hook;
    atomic_store_explicit(&table->entries[i].key, key, memory_order_release);
}

/* Locked. A table with room for one more: the present one or its successor. */
static hook_table_t *hook_table_grow(void)
{
    hook_table_t *old = hook_table, *table;
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
        if (old->entries[i].key > KEY_REMOVED) {
            hook_table_insert(table, old->entries[i].key,
                              old->entries[i].hook);
        }
    }
    atomic_store_explicit(&hook_table, table, memory_order_release);
    return table;
}

static void hooks_fork_prepare(void)
{
    pthread_mutex_lock(&hook_lock);
}

static void hooks_fork_parent(void)
{
    pthread_mutex_unlock(&hook_lock);
}

/* A child inherits patched objects but must not drive the parent's device. */
static void hooks_fork_child(void)
{
    hook_table_t *table = hook_table;
    size_t i;

    pthread_mutex_init(&hook_lock, NULL);
    for (i = 0; (table != NULL) && (i <= table->mask); ++i) {
        if (table->entries[i].key > KEY_REMOVED) {
            table->entries[i].hook->dev = NULL;
        }
    }
}

static void hooks_fork_init(void)
{
    pthread_atfork(hooks_fork_prepare, hooks_fork_parent, hooks_fork_child);
}

static hook_t *hook_add(uintptr_t key, softefa_hooks_t *hooks,
                        softefa_dev_t *dev)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    hook_t *hook               = calloc(1, sizeof(*hook));
    hook_table_t *table;
    hook_entry_t *entry;

    if (hook == NULL) {
        return NULL;
    }

    pthread_once(&once, hooks_fork_init);
    hook->hooks = hooks;
    hook->dev   = dev;

    pthread_mutex_lock(&hook_lock);
    table = hook_table_grow();
    if (table == NULL) {
        free(hook);
        hook = NULL;
    } else {
        entry = hook_entry_find(table, key);
        if (entry != NULL) {
            /* freed and used again behind our back, as after fork() */
            free(entry->hook);
            entry->hook = hook;
        } else {
            hook_table_insert(table, key, hook);
        }
    }
    pthread_mutex_unlock(&hook_lock);
    return hook;
}

/* Only the hook that is of `dev`: libibverbs frees an object of a dead device
 * (RDMAV_ALLOW_DISASSOC_DESTROY), its address may name another one's since. */
static void hook_remove(const softefa_dev_t *dev, uintptr_t key)
{
    hook_table_t *table;
    hook_entry_t *entry;

    pthread_mutex_lock(&hook_lock);
    table = hook_table;
    entry = ((table == NULL) || (key <= KEY_REMOVED)) ?
                    NULL : hook_entry_find(table, key);
    if ((entry != NULL) && (entry->hook->dev == dev)) {
        free(entry->hook);
        entry->key = KEY_REMOVED;
        table->live--;
    }
    pthread_mutex_unlock(&hook_lock);
}

/* ---- the hooks ---- */

static int hook_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
                          struct ibv_send_wr **bad_wr)
{
    hook_t *hook = hook_find(qp, qp->context);
    int ret      = hook->hooks->post_send(qp, wr, bad_wr);

    /* also after an error: what precedes the bad request was posted */
    if (hook->dev != NULL) {
        softefa_qp_doorbell(hook->u.qp.qp);
    }
    return ret;
}

static int hook_wr_complete(struct ibv_qp_ex *qp_ex)
{
    hook_t *hook = hook_find(qp_ex, qp_ex->qp_base.context);
    int ret      = hook->u.qp.wr_complete(qp_ex);

    if (hook->dev != NULL) {
        softefa_qp_doorbell(hook->u.qp.qp);
    }
    return ret;
}

/* Entries were taken, or the doorbell rang. */
static inline void hook_set_behind(hook_t *hook, bool behind)
{
    if ((atomic_load_explicit(&hook->u.cq.behind, memory_order_relaxed) !=
         behind) && (hook->dev != NULL)) {
        atomic_store_explicit(&hook->u.cq.behind, behind,
                              memory_order_relaxed);
        softefa_cq_set_behind(hook->u.cq.cq, behind);
    }
}

static int hook_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc)
{
    hook_t *hook = hook_find(cq, cq->context);
    int count;

    if (hook->dev != NULL) {
        softefa_dev_progress(hook->dev);
    }

    count = hook->hooks->poll_cq(cq, num_entries, wc);
    if (count > 0) {
        hook_set_behind(hook, false);
    }
    return count;
}

static int hook_start_poll(struct ibv_cq_ex *cq_ex,
                           struct ibv_poll_cq_attr *attr)
{
    hook_t *hook = hook_find(cq_ex, cq_ex->context);
    int ret;

    if (hook->dev != NULL) {
        softefa_dev_progress(hook->dev);
    }

    ret = hook->u.cq.start_poll(cq_ex, attr);
    if (ret == 0) {
        hook_set_behind(hook, true);
    }
    return ret;
}

static int hook_req_notify(struct ibv_cq *cq, int solicited_only)
{
    hook_t *hook = hook_find(cq, cq->context);
    int ret      = hook->hooks->req_notify_cq(cq, solicited_only);

    if ((ret == 0) && (hook->dev != NULL)) {
        hook_set_behind(hook, false);
        softefa_cq_arm(hook->u.cq.cq);
    }
    return ret;
}

/* ---- patching ---- */

static int safe_read(const void *from, void *to, size_t size)
{
    struct iovec local  = {.iov_base = to, .iov_len = size};
    struct iovec remote = {.iov_base = (void*)from, .iov_len = size};

    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) ==
           (ssize_t)size;
}

/* Whether the user handle is the address of a verbs object of this fd. Reads
 * through the kernel, as the address may be nothing at all. */
static int handle_is_verbs_object(uint64_t user_handle, int fd)
{
    struct ibv_context *context;
    int cmd_fd;

    static_assert(offsetof(struct ibv_cq, context) ==
                  offsetof(struct ibv_qp, context), "same for both");

    return (user_handle > KEY_REMOVED) &&
           safe_read((char*)user_handle + offsetof(struct ibv_cq, context),
                     &context, sizeof(context)) &&
           safe_read(&context->cmd_fd, &cmd_fd, sizeof(cmd_fd)) &&
           (cmd_fd == fd);
}

static int find_libibverbs(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    if ((info->dlpi_name == NULL) ||
        (strstr(info->dlpi_name, "/libibverbs") == NULL) ||
        (strlen(info->dlpi_name) >= 4096)) {
        return 0;
    }

    strcpy(arg, info->dlpi_name);
    return 1;
}

/* libibverbs may have been loaded with RTLD_LOCAL, out of dlsym()'s sight. */
static void *libibverbs_symbol(const char *name)
{
    void *symbol = dlsym(RTLD_DEFAULT, name);
    char path[4096];
    void *handle;

    if ((symbol == NULL) && dl_iterate_phdr(find_libibverbs, path)) {
        handle = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
        if (handle != NULL) {
            symbol = dlsym(handle, name);
            dlclose(handle);
        }
    }
    return symbol;
}

static int hooks_get(softefa_hooks_t **hooks_p, struct ibv_context *context,
                     softefa_hooks_t **result)
{
    softefa_hooks_t *hooks;

    for (hooks = *hooks_p; hooks != NULL; hooks = hooks->next) {
        if (hooks->context == context) {
            *result = hooks;
            return 0;
        }
    }

    hooks = calloc(1, sizeof(*hooks));
    if (hooks == NULL) {
        return ENOMEM;
    }

    hooks->context       = context;
    hooks->to_qp_ex      = libibverbs_symbol("ibv_qp_to_qp_ex");
    hooks->post_send     = context->ops.post_send;
    hooks->poll_cq       = context->ops.poll_cq;
    hooks->req_notify_cq = context->ops.req_notify_cq;
    if (hook_add((uintptr_t)context, hooks, NULL) == NULL) {
        free(hooks);
        return ENOMEM;
    }

    context->ops.post_send     = hook_post_send;
    context->ops.poll_cq       = hook_poll_cq;
    context->ops.req_notify_cq = hook_req_notify;
    hooks->next                = *hooks_p;
    *hooks_p                   = hooks;
    *result                    = hooks;
    return 0;
}

int softefa_hooks_add_cq(softefa_hooks_t **hooks_p, int fd, softefa_dev_t *dev,
                         uint64_t user_handle, softefa_cq_t *cq)
{
    struct ibv_cq *ibv_cq = (void*)(uintptr_t)user_handle;
    softefa_hooks_t *hooks;
    hook_t *hook;

    if (!handle_is_verbs_object(user_handle, fd)) {
        return 0;
    }

    if (hooks_get(hooks_p, ibv_cq->context, &hooks)) {
        return ENOMEM;
    }

    hook = hook_add((uintptr_t)ibv_cq, hooks, dev);
    if (hook == NULL) {
        return ENOMEM;
    }

    hook->u.cq.cq = cq;
    return 0;
}

int softefa_hooks_add_qp(softefa_hooks_t **hooks_p, int fd, softefa_dev_t *dev,
                         uint64_t user_handle, softefa_qp_t *qp)
{
    struct ibv_qp *ibv_qp = (void*)(uintptr_t)user_handle;
    softefa_hooks_t *hooks;
    hook_t *hook;

    if (!handle_is_verbs_object(user_handle, fd)) {
        return 0;
    }

    if (hooks_get(hooks_p, ibv_qp->context, &hooks)) {
        return ENOMEM;
    }

    hook = hook_add((uintptr_t)ibv_qp, hooks, dev);
    if (hook == NULL) {
        return ENOMEM;
    }

    hook->u.qp.qp = qp;
    return 0;
}

static hook_t *hook_find_locked(uint64_t user_handle)
{
    hook_entry_t *entry = NULL;

    pthread_mutex_lock(&hook_lock);
    if ((hook_table != NULL) && (user_handle > KEY_REMOVED)) {
        entry = hook_entry_find(hook_table, user_handle);
    }
    pthread_mutex_unlock(&hook_lock);
    return (entry == NULL) ? NULL : entry->hook;
}

void softefa_hooks_update_cq(uint64_t user_handle)
{
    /* every CQ of libefa is an extended one inside */
    struct ibv_cq_ex *cq_ex = (void*)(uintptr_t)user_handle;
    hook_t *hook            = hook_find_locked(user_handle);

    if ((hook != NULL) && (cq_ex->start_poll != NULL) &&
        (cq_ex->start_poll != hook_start_poll)) {
        hook->u.cq.start_poll = cq_ex->start_poll;
        cq_ex->start_poll     = hook_start_poll;
    }
}

void softefa_hooks_update_qp(uint64_t user_handle)
{
    hook_t *hook = hook_find_locked(user_handle);
    struct ibv_qp_ex *qp_ex;

    if ((hook == NULL) || (hook->hooks->to_qp_ex == NULL)) {
        return;
    }

    qp_ex = hook->hooks->to_qp_ex((struct ibv_qp*)(uintptr_t)user_handle);
    if ((qp_ex != NULL) && (qp_ex->wr_complete != NULL) &&
        (qp_ex->wr_complete != hook_wr_complete)) {
        hook->u.qp.wr_complete = qp_ex->wr_complete;
        qp_ex->wr_complete     = hook_wr_complete;
    }
}

uint32_t softefa_hooks_events_acked(uint64_t user_handle)
{
    struct ibv_cq *cq = (void*)(uintptr_t)user_handle;

    return (hook_find_locked(user_handle) != NULL) ?
           cq->comp_events_completed : 0;
}

void softefa_hooks_remove(const softefa_dev_t *dev, uint64_t user_handle)
{
    hook_remove(dev, user_handle);
}

void softefa_hooks_destroy(softefa_hooks_t *hooks)
{
    softefa_hooks_t *next;

    for (; hooks != NULL; hooks = next) {
        next = hooks->next;
        hook_remove(NULL, (uintptr_t)hooks->context);
        free(hooks);
    }
}
