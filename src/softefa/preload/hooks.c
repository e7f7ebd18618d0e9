/*
 * Hooks: how the engine runs in the caller's thread.
 *
 *   ibv_post_send(qp) --> context->ops.post_send == hook_post_send
 *                            |-- libefa's post_send: WQEs, doorbell
 *                            '-- softefa_engine_doorbell(qp): send them now
 *   ibv_wr_complete   --> qp_ex->wr_complete   == hook_wr_complete    (same)
 *   ibv_poll_cq       --> context->ops.poll_cq == hook_poll_cq
 *   ibv_start_poll    --> cq_ex->start_poll    == hook_start_poll
 *                            |-- softefa_cq_poll(cq): what has come in, or was
 *                            |                        waiting
 *                            '-- libefa's poll
 *   ibv_req_notify_cq --> context->ops.req_notify_cq == hook_req_notify
 *                            |-- libefa's: writes the armed doorbell
 *                            '-- softefa_cq_arm(cq)
 *
 * Verbs objects are found by their address (hook_table.h).
 *
 * A program that stores doorbells itself (efadv_query_qp_wqs()): direct.c.
 */
#define _GNU_SOURCE
#include "preload/doorbell.h"
#include "preload/hook_table.h"
#include "preload/symbol.h"

#include <infiniband/verbs.h>

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The hook of an object in a patched context; there is a table. An object that
 * is not known (see handle_is_verbs_object()) has its context's: no dev. */
static inline softefa_hook_t *hook_find(const void *object,
                                        const struct ibv_context *context)
{
    softefa_hook_table_t *table = atomic_load_explicit(&softefa_hook_table,
                                                       memory_order_acquire);
    softefa_hook_entry_t *entry = softefa_hook_table_find(table,
                                                          (uintptr_t)object);

    if (__builtin_expect(entry == NULL, 0)) {
        entry = softefa_hook_table_find(table, (uintptr_t)context);
    }
    return entry->hook;
}

/* ---- the hooks ---- */

static int hook_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr,
                          struct ibv_send_wr **bad_wr)
{
    softefa_hook_t *hook = hook_find(qp, qp->context);
    int ret              = hook->hooks->post_send(qp, wr, bad_wr);

    /* also after an error: what precedes the bad request was posted */
    if (hook->dev != NULL) {
        softefa_engine_doorbell(hook->u.qp.qp);
    }
    return ret;
}

static int hook_wr_complete(struct ibv_qp_ex *qp_ex)
{
    softefa_hook_t *hook = hook_find(qp_ex, qp_ex->qp_base.context);
    int ret              = hook->u.qp.wr_complete(qp_ex);

    if (hook->dev != NULL) {
        softefa_engine_doorbell(hook->u.qp.qp);
    }
    return ret;
}

/* Entries were taken, or the doorbell rang. */
static inline void hook_set_behind(softefa_hook_t *hook, bool behind)
{
    if ((atomic_load_explicit(&hook->u.cq.behind, memory_order_relaxed) !=
         behind) &&
        (hook->dev != NULL)) {
        atomic_store_explicit(&hook->u.cq.behind, behind, memory_order_relaxed);
        softefa_cq_set_behind(hook->u.cq.cq, behind);
    }
}

static int hook_poll_cq(struct ibv_cq *cq, int num_entries, struct ibv_wc *wc)
{
    softefa_hook_t *hook = hook_find(cq, cq->context);
    int count;

    if (hook->dev != NULL) {
        softefa_cq_poll(hook->u.cq.cq);
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
    softefa_hook_t *hook = hook_find(cq_ex, cq_ex->context);
    int ret;

    if (hook->dev != NULL) {
        softefa_cq_poll(hook->u.cq.cq);
    }

    ret = hook->u.cq.start_poll(cq_ex, attr);
    if (ret == 0) {
        hook_set_behind(hook, true);
    }
    return ret;
}

static int hook_req_notify(struct ibv_cq *cq, int solicited_only)
{
    softefa_hook_t *hook = hook_find(cq, cq->context);
    int ret              = hook->hooks->req_notify_cq(cq, solicited_only);

    if ((ret == 0) && (hook->dev != NULL)) {
        hook_set_behind(hook, false);
        softefa_cq_arm(hook->u.cq.cq);
    }
    return ret;
}

/* ---- patching ---- */

/* Where process_vm_readv() is forbidden (seccomp) or missing (emulators): a
 * pipe takes nothing from where there is nothing. */
static bool safe_read_pipe(const void *from, void *to, size_t size)
{
    bool done;
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0) {
        return false;
    }

    done = (write(fds[1], from, size) == (ssize_t)size) &&
           (read(fds[0], to, size) == (ssize_t)size);
    close(fds[0]);
    close(fds[1]);
    return done;
}

static bool safe_read(const void *from, void *to, size_t size)
{
    struct iovec local  = {.iov_base = to, .iov_len = size};
    struct iovec remote = {.iov_base = (void *)from, .iov_len = size};
    ssize_t ret         = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);

    return (ret == (ssize_t)size) ||
           ((ret < 0) && ((errno == ENOSYS) || (errno == EPERM)) &&
            safe_read_pipe(from, to, size));
}

/* Whether the user handle is the address of a verbs object of this fd. Reads
 * through the kernel, as the address may be nothing at all. */
static bool handle_is_verbs_object(uint64_t user_handle, int fd)
{
    struct ibv_context *context;
    int cmd_fd;

    static_assert(offsetof(struct ibv_cq, context) ==
                          offsetof(struct ibv_qp, context),
                  "same for both");

    return (user_handle > SOFTEFA_HOOK_REMOVED) &&
           safe_read((char *)user_handle + offsetof(struct ibv_cq, context),
                     &context, sizeof(context)) &&
           safe_read(&context->cmd_fd, &cmd_fd, sizeof(cmd_fd)) &&
           (cmd_fd == fd);
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
    hooks->to_qp_ex      = softefa_symbol_next("libibverbs", "ibv_qp_to_qp_ex");
    hooks->post_send     = context->ops.post_send;
    hooks->poll_cq       = context->ops.poll_cq;
    hooks->req_notify_cq = context->ops.req_notify_cq;
    if (softefa_hook_table_add((uintptr_t)context, hooks, NULL) == NULL) {
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
    struct ibv_cq *ibv_cq = (void *)(uintptr_t)user_handle;
    softefa_hooks_t *hooks;
    softefa_hook_t *hook;

    if (!handle_is_verbs_object(user_handle, fd)) {
        return 0;
    }

    if (hooks_get(hooks_p, ibv_cq->context, &hooks)) {
        return ENOMEM;
    }

    hook = softefa_hook_table_add((uintptr_t)ibv_cq, hooks, dev);
    if (hook == NULL) {
        return ENOMEM;
    }

    hook->u.cq.cq = cq;
    return 0;
}

int softefa_hooks_add_qp(softefa_hooks_t **hooks_p, int fd, softefa_dev_t *dev,
                         uint64_t user_handle, softefa_qp_t *qp)
{
    struct ibv_qp *ibv_qp = (void *)(uintptr_t)user_handle;
    softefa_hooks_t *hooks;
    softefa_hook_t *hook;

    if (!handle_is_verbs_object(user_handle, fd)) {
        return 0;
    }

    if (hooks_get(hooks_p, ibv_qp->context, &hooks)) {
        return ENOMEM;
    }

    hook = softefa_hook_table_add((uintptr_t)ibv_qp, hooks, dev);
    if (hook == NULL) {
        return ENOMEM;
    }

    hook->u.qp.qp = qp;
    return 0;
}

void softefa_hooks_update_cq(uint64_t user_handle)
{
    /* every CQ of libefa is an extended one inside */
    struct ibv_cq_ex *cq_ex = (void *)(uintptr_t)user_handle;
    softefa_hook_t *hook    = softefa_hook_table_get(user_handle);

    if ((hook != NULL) && (cq_ex->start_poll != NULL) &&
        (cq_ex->start_poll != hook_start_poll)) {
        hook->u.cq.start_poll = cq_ex->start_poll;
        cq_ex->start_poll     = hook_start_poll;
    }
}

void softefa_hooks_update_qp(uint64_t user_handle)
{
    softefa_hook_t *hook = softefa_hook_table_get(user_handle);
    struct ibv_qp_ex *qp_ex;

    if ((hook == NULL) || (hook->hooks->to_qp_ex == NULL)) {
        return;
    }

    qp_ex = hook->hooks->to_qp_ex((struct ibv_qp *)(uintptr_t)user_handle);
    if ((qp_ex != NULL) && (qp_ex->wr_complete != NULL) &&
        (qp_ex->wr_complete != hook_wr_complete)) {
        hook->u.qp.wr_complete = qp_ex->wr_complete;
        qp_ex->wr_complete     = hook_wr_complete;
    }
}

uint32_t softefa_hooks_events_acked(uint64_t user_handle)
{
    struct ibv_cq *cq = (void *)(uintptr_t)user_handle;

    return (softefa_hook_table_get(user_handle) != NULL) ?
                   cq->comp_events_completed :
                   0;
}

void softefa_hooks_remove(const softefa_dev_t *dev, uint64_t user_handle)
{
    softefa_hook_t *hook = softefa_hook_table_get(user_handle);

    static_assert(offsetof(softefa_hook_t, u.qp.qp) ==
                          offsetof(softefa_hook_t, u.cq.cq),
                  "the object, of either kind");

    if ((hook != NULL) && (hook->dev == dev)) {
        softefa_doorbell_remove(hook->u.qp.qp);
    }
    softefa_hook_table_remove(dev, user_handle);
}

void softefa_hooks_destroy(softefa_hooks_t *hooks)
{
    softefa_hooks_t *next;

    for (; hooks != NULL; hooks = next) {
        next = hooks->next;
        softefa_hook_table_remove(NULL, (uintptr_t)hooks->context);
        free(hooks);
    }
}
