/*
 * Deadlines of an interface (srd_timer.h).
 */
#include "base/ucx/ucx_compat.h"

#include "srd/wire/srd_timer.h"

void uct_srd_timers_init(uct_srd_timers_t *timers)
{
    timers->heap     = timers->first;
    timers->count    = 0;
    timers->capacity = UCT_SRD_TIMERS_MIN;
}

void uct_srd_timers_cleanup(uct_srd_timers_t *timers)
{
    if (timers->heap != timers->first) {
        ucs_free(timers->heap);
    }
    uct_srd_timers_init(timers);
}

static ucs_status_t uct_srd_timers_grow(uct_srd_timers_t *timers)
{
    int is_first           = (timers->heap == timers->first);
    unsigned capacity      = timers->capacity * 2;
    uct_srd_timer_t **heap = ucs_realloc(is_first ? NULL : timers->heap,
                                         capacity * sizeof(*heap),
                                         "srd_timers");

    if (heap == NULL) {
        return UCS_ERR_NO_MEMORY;
    }

    if (is_first) {
        memcpy(heap, timers->first, sizeof(timers->first));
    }
    timers->heap     = heap;
    timers->capacity = capacity;
    return UCS_OK;
}

static void uct_srd_timers_place(uct_srd_timers_t *timers, unsigned i,
                                 uct_srd_timer_t *t)
{
    timers->heap[i] = t;
    t->index        = i + 1;
}

static void uct_srd_timers_up(uct_srd_timers_t *timers, unsigned i,
                              uct_srd_timer_t *t)
{
    unsigned parent;

    while (i > 0) {
        parent = (i - 1) / 2;
        if (timers->heap[parent]->deadline <= t->deadline) {
            break;
        }

        uct_srd_timers_place(timers, i, timers->heap[parent]);
        i = parent;
    }

    uct_srd_timers_place(timers, i, t);
}

static void uct_srd_timers_down(uct_srd_timers_t *timers, unsigned i,
                                uct_srd_timer_t *t)
{
    unsigned child;

    while ((child = (2 * i) + 1) < timers->count) {
        if ((child + 1 < timers->count) && (timers->heap[child + 1]->deadline <
                                            timers->heap[child]->deadline)) {
            ++child;
        }

        if (t->deadline <= timers->heap[child]->deadline) {
            break;
        }

        uct_srd_timers_place(timers, i, timers->heap[child]);
        i = child;
    }

    uct_srd_timers_place(timers, i, t);
}

ucs_status_t uct_srd_timer_set(uct_srd_timers_t *timers, uct_srd_timer_t *timer,
                               ucs_time_t deadline)
{
    uct_srd_timer_clear(timers, timer);
    if ((timers->count == timers->capacity) &&
        (uct_srd_timers_grow(timers) != UCS_OK)) {
        return UCS_ERR_NO_MEMORY;
    }

    timer->deadline = deadline;
    uct_srd_timers_up(timers, timers->count++, timer);
    return UCS_OK;
}

void uct_srd_timer_clear(uct_srd_timers_t *timers, uct_srd_timer_t *timer)
{
    uct_srd_timer_t *last;
    unsigned i;

    if (timer->index == 0) {
        return;
    }

    i            = timer->index - 1;
    timer->index = 0;
    last         = timers->heap[--timers->count];
    if (last == timer) {
        return;
    }

    uct_srd_timers_down(timers, i, last);
    uct_srd_timers_up(timers, last->index - 1, last);
}

unsigned uct_srd_timers_run(uct_srd_timers_t *timers, ucs_time_t now)
{
    unsigned count = 0;
    uct_srd_timer_t *timer;

    /* A function that sets its timer to a time not after now would keep us
     * here for ever: run at most what was there at the start. */
    unsigned max = timers->count;

    while ((timers->count > 0) && (count < max)) {
        timer = timers->heap[0];
        if (timer->deadline > now) {
            break;
        }

        uct_srd_timer_clear(timers, timer);
        timer->func(timer);
        ++count;
    }

    return count;
}
