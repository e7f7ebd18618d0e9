/*
 * Messages that could not be finished at once. Each is copied into a slot of
 * qp->flight, as the hardware keeps it in its own memory: libefa reuses an SQ
 * entry only after the completion, so sq_size slots are enough.
 *
 * Done: the CQ's lock cannot be taken, as its holder, a sender to this
 * process, is stopped: the completion is written as soon as it is. The engine
 * fetches nothing meanwhile: what is announced stays in the SQ.
 *
 * RNR: the messages that wait for one destination form a list in their order,
 * so a retry costs one look per destination. SRD has no order: other messages
 * are sent. A retry count of 7 waits for ever, n < 7 for n intervals of
 * RNR_INTERVAL_NS.
 *
 * LATE: messages that a fault holds (fault.c), each until its time.
 */
#include "nic/flight.h"
#include "base/clock.h"
#include "nic/complete.h"
#include "nic/dest.h"
#include "nic/device.h"
#include "nic/message.h"
#include "nic/reorder.h"
#include "nic/validate.h"
#include "nic/wait.h"

#include <string.h>

#define RNR_INTERVAL_NS 1000000ull
#define CHECK_PEER_NS   50000000ull

static softefa_msg_t *msg_get(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    const softefa_shm_dev_t *dev = qp->dev->shm;
    softefa_msg_t *msg           = qp->free;

    if (msg != NULL) {
        qp->free = msg->next;
    } else {
        /* Also when the application exceeded libefa's limit. */
        if (qp->num_flight == qp->sq_size) {
            return NULL;
        }
        msg = &qp->flight[qp->num_flight++];
    }

    memcpy(&msg->wqe, wqe, 1u << qp->wqe_shift);
    msg->next          = NULL;
    msg->ah_generation = (wqe->ahn < dev->table[SOFTEFA_KIND_AH].backed) ?
                                 dev->ah[wqe->ahn].generation :
                                 0;
    softefa_wait_qp(qp, 1);
    return msg;
}

static void msg_put(softefa_qp_t *qp, softefa_msg_t *msg)
{
    msg->state = SOFTEFA_MSG_FREE;
    msg->next  = qp->free;
    qp->free   = msg;
    softefa_wait_qp(qp, -1);
}

static void done_add(softefa_qp_t *qp, softefa_msg_t *msg, int status)
{
    msg->state  = SOFTEFA_MSG_DONE;
    msg->status = status;
    msg->next   = NULL;
    if (qp->done == NULL) {
        qp->done = msg;
    } else {
        qp->done_last->next = msg;
    }
    qp->done_last = msg;
}

static void msg_complete(softefa_qp_t *qp, softefa_msg_t *msg, int status)
{
    if (softefa_likely(softefa_complete(qp, &msg->wqe, status))) {
        msg_put(qp, msg);
    } else {
        done_add(qp, msg, status);
    }
}

/* The engine fetches nothing for which there is no slot. */
void softefa_flight_done(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         int status)
{
    softefa_msg_t *msg = msg_get(qp, wqe);

    if (msg != NULL) {
        done_add(qp, msg, status);
    }
}

static void done_retry(softefa_qp_t *qp)
{
    softefa_msg_t *msg;

    while (((msg = qp->done) != NULL) &&
           softefa_complete(qp, &msg->wqe, msg->status)) {
        qp->done = msg->next;
        msg_put(qp, msg);
    }
}

/* Sends a copy held in a flight slot, which this consumes. */
static void msg_finish(softefa_qp_t *qp, softefa_msg_t *msg, int status)
{
    if (qp->reorder > 0) {
        msg->state  = SOFTEFA_MSG_DONE;
        msg->status = status;
        softefa_reorder_hold(qp, msg);
        return;
    }

    msg_complete(qp, msg, status);
}

/* An AH destroyed under a waiting message flushes it. */
static bool msg_ah_valid(softefa_qp_t *qp, const softefa_msg_t *msg)
{
    return (softefa_validate_ah(qp, msg->wqe.ahn) == SOFTEFA_STATUS_OK) &&
           (qp->dev->shm->ah[msg->wqe.ahn].generation == msg->ah_generation);
}

static inline bool rnr_same(const softefa_io_wqe_t *a,
                            const softefa_io_wqe_t *b)
{
    return (a->ahn == b->ahn) && (a->dest_qpn == b->dest_qpn);
}

static void rnr_hold(softefa_qp_t *qp, softefa_msg_t *msg)
{
    uint64_t now = softefa_clock_now();
    softefa_msg_t *first;

    msg->state    = SOFTEFA_MSG_RNR;
    msg->next     = NULL;
    msg->check    = now + CHECK_PEER_NS;
    msg->deadline = (qp->rnr_retry == 7) ?
                            UINT64_MAX :
                            now + (qp->rnr_retry * RNR_INTERVAL_NS);
    for (first = qp->rnr; first != NULL; first = first->next_dest) {
        if (rnr_same(&first->wqe, &msg->wqe)) {
            first->last->next = msg;
            first->last       = msg;
            return;
        }
    }

    msg->last      = msg;
    msg->next_dest = qp->rnr;
    qp->rnr        = msg;
}

static int msg_send(softefa_qp_t *qp, const softefa_msg_t *msg)
{
    return msg_ah_valid(qp, msg) ? softefa_message_send(qp, &msg->wqe) :
                                   SOFTEFA_STATUS_FLUSHED;
}

/* Sends a held message, or completes it. */
static void msg_release(softefa_qp_t *qp, softefa_msg_t *msg)
{
    int status;

    if (msg->state == SOFTEFA_MSG_DONE) {
        msg_complete(qp, msg, msg->status);
        return;
    }

    status = msg_send(qp, msg);
    if (status != SOFTEFA_STATUS_AGAIN) {
        msg_finish(qp, msg, status);
    } else if (qp->rnr_retry == 0) {
        msg_finish(qp, msg, softefa_dest_rnr(qp, &msg->wqe));
    } else {
        rnr_hold(qp, msg);
    }
}

void softefa_flight_reordered(softefa_qp_t *qp, bool poll)
{
    uint32_t keep = softefa_reorder_keep(qp, poll);

    /* A pick may come back as DONE, once. */
    while (qp->num_held > keep) {
        msg_release(qp, softefa_reorder_pick(qp));
    }
}

bool softefa_flight_delay(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                          int status, uint64_t until)
{
    softefa_msg_t *msg = msg_get(qp, wqe);
    softefa_msg_t **last;

    if (msg == NULL) {
        return false;
    }

    for (last = &qp->late; *last != NULL; last = &(*last)->next) {
    }
    msg->state    = SOFTEFA_MSG_LATE;
    msg->status   = status;
    msg->deadline = until;
    *last         = msg;
    return true;
}

static void late_retry(softefa_qp_t *qp)
{
    softefa_msg_t **prev = &qp->late;
    uint64_t now         = softefa_clock_now();
    softefa_msg_t *msg;

    while ((msg = *prev) != NULL) {
        if ((now >= msg->deadline) && (msg->status == SOFTEFA_STATUS_OK)) {
            msg->deadline = softefa_device_paused(qp, &msg->wqe);
        }
        if (now < msg->deadline) {
            prev = &msg->next;
            continue;
        }

        *prev = msg->next;
        if (msg->status == SOFTEFA_STATUS_OK) {
            msg->state = SOFTEFA_MSG_HELD;
            msg_release(qp, msg);
        } else {
            msg_finish(qp, msg, msg->status);
        }
    }
}

bool softefa_flight_hold(softefa_qp_t *qp, const softefa_io_wqe_t *wqe,
                         int status)
{
    softefa_msg_t *msg = msg_get(qp, wqe);

    if (msg == NULL) {
        return false;
    }

    msg->state  = (status == SOFTEFA_STATUS_OK) ? SOFTEFA_MSG_HELD :
                                                  SOFTEFA_MSG_DONE;
    msg->status = status;
    softefa_reorder_hold(qp, msg);
    return true;
}

bool softefa_flight_rnr(softefa_qp_t *qp, const softefa_io_wqe_t *wqe)
{
    softefa_msg_t *msg = (qp->rnr_retry == 0) ? NULL : msg_get(qp, wqe);

    if (msg == NULL) {
        return false;
    }

    rnr_hold(qp, msg);
    return true;
}

/* What to do with the first message of a destination; AGAIN: leave it. */
static int rnr_status(softefa_qp_t *qp, softefa_msg_t *msg, uint64_t *now)
{
    int status = SOFTEFA_STATUS_AGAIN;

    if (softefa_dest_ready(qp, &msg->wqe)) {
        status = msg_send(qp, msg);
        if (status != SOFTEFA_STATUS_AGAIN) {
            return status;
        }
    }

    /* Most wait for ever: the cheap clock, of the same base, will do. */
    if ((*now == 0) || (msg->deadline != UINT64_MAX)) {
        *now = (msg->deadline == UINT64_MAX) ? softefa_clock_coarse() :
                                               softefa_clock_now();
    }
    if (*now >= msg->deadline) {
        return softefa_dest_rnr(qp, &msg->wqe);
    }
    if (*now >= msg->check) {
        msg->check = *now + CHECK_PEER_NS;
        if (!msg_ah_valid(qp, msg)) {
            return SOFTEFA_STATUS_FLUSHED;
        }
        return softefa_dest_ask(qp, &msg->wqe);
    }

    return SOFTEFA_STATUS_AGAIN;
}

static void rnr_retry(softefa_qp_t *qp)
{
    softefa_msg_t **prev = &qp->rnr;
    softefa_msg_t *msg, *next;
    uint64_t now = 0;
    int status;

    while ((msg = *prev) != NULL) {
        status = rnr_status(qp, msg, &now);
        if (status == SOFTEFA_STATUS_AGAIN) {
            prev = &msg->next_dest;
            continue;
        }

        next = msg->next;
        if (next != NULL) {
            next->next_dest = msg->next_dest;
            next->last      = msg->last;
            *prev           = next;
        } else {
            *prev = msg->next_dest;
        }
        msg_finish(qp, msg, status);
    }
}

void softefa_flight_retry(softefa_qp_t *qp)
{
    if (qp->done != NULL) {
        done_retry(qp);
    }
    if (qp->rnr != NULL) {
        rnr_retry(qp);
    }
    if (qp->late != NULL) {
        late_retry(qp);
    }
    if (qp->num_held > 0) {
        softefa_flight_reordered(qp, true);
    }
}

/* Ends a message that waits. */
static void msg_drop(softefa_qp_t *qp, softefa_msg_t *msg, bool complete)
{
    if (complete) {
        msg_complete(qp, msg,
                     (msg->state == SOFTEFA_MSG_DONE) ? msg->status :
                                                        SOFTEFA_STATUS_FLUSHED);
    } else {
        msg_put(qp, msg);
    }
}

void softefa_flight_flush(softefa_qp_t *qp, bool complete)
{
    softefa_msg_t *first, *next_dest, *msg, *next;

    for (first = qp->rnr; first != NULL; first = next_dest) {
        next_dest = first->next_dest;
        for (msg = first; msg != NULL; msg = next) {
            next = msg->next;
            msg_drop(qp, msg, complete);
        }
    }
    qp->rnr = NULL;

    for (msg = qp->late; msg != NULL; msg = next) {
        next = msg->next;
        msg_drop(qp, msg, complete);
    }
    qp->late = NULL;

    while (qp->num_held > 0) {
        msg_drop(qp, qp->held[--qp->num_held], complete);
    }

    if (!complete) {
        while ((msg = qp->done) != NULL) {
            qp->done = msg->next;
            msg_put(qp, msg);
        }
        if (qp->flush_later) {
            qp->flush_later = false;
            softefa_wait_qp(qp, -1);
        }
    }
}
