/*
 * Deadlines of an interface: a binary heap, run from the progress call.
 *
 *   add/del  O(log n)     run  one comparison when nothing is due
 *
 * One-shot: a timer is out of the heap when its function is called, and may
 * add itself again or free itself. Not thread safe.
 */
#ifndef UCT_SRD_TIMER_H
#define UCT_SRD_TIMER_H

#include <ucs/time/time.h>
#include <ucs/type/status.h>

typedef struct uct_srd_timer uct_srd_timer_t;
typedef void (*uct_srd_timer_func_t)(uct_srd_timer_t *timer);

struct uct_srd_timer {
    ucs_time_t           deadline;
    uct_srd_timer_func_t func;
    unsigned             index;      /* place in the heap + 1; 0: not in it  */
};

/* So many are there without an allocation, that of a reset among them: all
 * those of peers are taken out before it is set. */
#define UCT_SRD_TIMERS_MIN 16

typedef struct {
    uct_srd_timer_t **heap;
    unsigned        count;
    unsigned        capacity;
    uct_srd_timer_t *first[UCT_SRD_TIMERS_MIN];
} uct_srd_timers_t;

void uct_srd_timers_init(uct_srd_timers_t *timers);
void uct_srd_timers_cleanup(uct_srd_timers_t *timers);

static inline void uct_srd_timer_init(uct_srd_timer_t *timer,
                                      uct_srd_timer_func_t func)
{
    timer->func  = func;
    timer->index = 0;
}

static inline int uct_srd_timer_is_set(const uct_srd_timer_t *timer)
{
    return timer->index != 0;
}

/* Sets or moves the deadline. UCS_ERR_NO_MEMORY: it is not set. */
ucs_status_t uct_srd_timer_set(uct_srd_timers_t *timers, uct_srd_timer_t *timer,
                               ucs_time_t deadline);
void uct_srd_timer_clear(uct_srd_timers_t *timers, uct_srd_timer_t *timer);

/* Calls what is due at now. Returns how many. */
unsigned uct_srd_timers_run(uct_srd_timers_t *timers, ucs_time_t now);

#endif
