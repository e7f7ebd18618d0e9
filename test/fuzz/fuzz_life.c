/*
 * How the device of paper dies and returns, as docs/soft-efa.md says ("A device
 * that dies"):
 *
 *   works ---- fuzz_device_die(), or the n-th command from now ----> away
 *     ^   \                                                            |
 *     |    \-- DIE_QP: the queue pair alone; status 1, QP_FATAL        |
 *     |                                                                |
 *     +------------------- fuzz_device_return() -----------------------+
 *
 *   completions   that were written stay, there will be no other ones
 *   sends         are swallowed; which of those under way arrived, the input says
 *   commands      fail with EIO, and free what they were to free
 *   open          is refused, nothing is listed
 *   event         at once, or later: at the return at the latest
 *
 * Of a queue pair that falls alone all that is posted comes back with status 1,
 * then or later, or only the event says so.
 */
#include "fuzz_device.h"

#include <string.h>

int fuzz_command(struct ibv_context *ctx)
{
    if ((fuzz_device.die_in > 0) && (--fuzz_device.die_in == 0)) {
        fuzz_device_die(fuzz_device.die_how);
    }

    if (fuzz_ctx(ctx)->dead) {
        errno = EIO;
        return EIO;
    }
    return 0;
}

static void die_qp(fuzz_qp_t *qp, unsigned how)
{
    unsigned bits = how >> FUZZ_DIE_BITS;
    fuzz_send_t send;

    if (!qp->has_qp || qp->super.dead) {
        return;
    }

    fuzz_direct_sync();
    qp->super.dead = 1;
    for (; qp->super.num_sends > 0; bits = (bits >> 1) | ((bits & 1) << 4)) {
        send = qp->super.sends[0];
        if (bits & 1) {
            fuzz_steps_arrive(&send);
        }
        fuzz_send_lose(qp, 0, !!(how & FUZZ_DIE_FLUSH));
    }

    if (!(how & FUZZ_DIE_QP) || !(how & FUZZ_DIE_FLUSH)) {
        return;
    }

    qp->flush = 1;
    while (qp->super.num_recvs > 0) {
        fuzz_recv_error(qp, 1);
    }
}

void fuzz_device_die(unsigned how)
{
    int told = !(how & FUZZ_DIE_LATE);
    unsigned i;

    fuzz_device.die_in = 0;
    if (!fuzz_honest_may_die()) {
        return;
    }

    FUZZ_SAY("  the %s dies%s%s\n",
             (how & FUZZ_DIE_QP) ? "queue pair" : "device",
             told ? "" : ", the event comes later",
             (how & FUZZ_DIE_FLUSH) ? ", sends are flushed" : "");
    if (how & FUZZ_DIE_QP) {
        if (fuzz_queues->dead || !fuzz_qp_present()->has_qp) {
            return;
        }
        fuzz_honest_died();
        die_qp(fuzz_qp_present(), how);
        fuzz_qp_present()->event = told;
        return;
    }

    fuzz_honest_died();
    fuzz_device.away = 1;
    for (i = 0; i < FUZZ_MAX_QPS; ++i) {
        die_qp(&fuzz_qps[i], how);
    }
    for (i = 0; i < FUZZ_MAX_CTXS; ++i) {
        if ((fuzz_ctxs[i] != NULL) && !fuzz_ctxs[i]->dead) {
            fuzz_ctxs[i]->dead  = 1;
            fuzz_ctxs[i]->event = told;
        }
    }
}

void fuzz_device_tell(void)
{
    unsigned i;

    for (i = 0; i < FUZZ_MAX_CTXS; ++i) {
        if (fuzz_ctxs[i] != NULL) {
            fuzz_ctxs[i]->event |= fuzz_ctxs[i]->dead;
        }
    }
    for (i = 0; i < FUZZ_MAX_QPS; ++i) {
        fuzz_qps[i].event |= fuzz_qps[i].has_qp && fuzz_qps[i].super.dead &&
                             !fuzz_qps[i].ctx->dead;
    }
}

void fuzz_device_return(void)
{
    if (fuzz_device.away) {
        FUZZ_SAY("  the device is back\n");
    }
    fuzz_device_tell();
    fuzz_device.away = 0;
}

int ibv_get_async_event(struct ibv_context *ibv_ctx,
                        struct ibv_async_event *event)
{
    fuzz_ctx_t *ctx = fuzz_ctx(ibv_ctx);
    unsigned i;

    memset(event, 0, sizeof(*event));
    for (i = 0; i < FUZZ_MAX_QPS; ++i) {
        if (fuzz_qps[i].has_qp && (fuzz_qps[i].ctx == ctx) &&
            fuzz_qps[i].event) {
            fuzz_qps[i].event = 0;
            event->event_type = IBV_EVENT_QP_FATAL;
            event->element.qp = &fuzz_qps[i].qp.qp_base;
            return 0;
        }
    }

    if (ctx->event) {
        ctx->event        = 0;
        event->event_type = IBV_EVENT_DEVICE_FATAL;
        return 0;
    }

    errno = EAGAIN;
    return -1;
}

void ibv_ack_async_event(UCS_V_UNUSED struct ibv_async_event *event)
{
}
