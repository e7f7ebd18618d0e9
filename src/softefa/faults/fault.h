/*
 * Faults: what may befall a device, a queue pair, a message.
 *
 *   SOFTEFA_FAULTS --.                    .-- efarun --inject, softefa_inject()
 *                    v                    v
 *   fault_plan.c   rules             orders, from outside, into a fabric
 *                    |                    |       with running processes
 *   fault.c        decides, counts        |
 *                    |                    v
 *   engine, uverbs: this process    fault_device.c: a device in the shared
 *   and its messages                memory, for all processes
 *
 * Life of a device:
 *
 *   ALIVE(even) --fatal--> DEAD(odd) --return, or its time--> ALIVE(even)
 *                            |
 *        contexts of that life stay dead until they are closed:
 *        commands EIO, doorbells nothing, no completion, no delivery;
 *        their QPs, CQs, MRs and AHs are in state DEAD
 */
#ifndef SOFTEFA_FAULT_H
#define SOFTEFA_FAULT_H

#include "config/fault_plan.h"
#include "nic/object.h"

/* Whether device `index` can be opened and answers. Lets it return if its time
 * has come. */
bool softefa_device_lives(unsigned index);

/* Breaks device `index` for all processes: it returns after return_ns, or with
 * softefa_device_return() (UINT64_MAX). When this returns, no completion is
 * written any more, no message delivered, and every open context has its event
 * to read. Not under a shared lock. Does nothing to a dead device. ETIME: a
 * process is stopped in a command. */
int softefa_device_fatal(unsigned index, uint64_t return_ns);
int softefa_device_return(unsigned index);

/* A plight for `duration` ns (UINT64_MAX: until softefa_device_return()), of all
 * messages from and to the device. ETIME. */
int  softefa_device_plight(unsigned index, softefa_plight_t plight,
                           uint64_t duration);
bool softefa_device_is(unsigned index, softefa_plight_t plight);

/* Until when (ns) a message with a valid AH waits as a device is paused, 0: it
 * need not. */
uint64_t softefa_device_paused(const softefa_qp_t *qp,
                               const softefa_io_wqe_t *wqe);

/* A queue pair goes to ERR by itself: pending receives complete with status 1,
 * the event is raised; its process's engine ends what is to be sent when it
 * next looks (softefa_fault_fallen). qpn 0: the first one in RTS, of process
 * `pid` if not 0. ENOENT: there is none; EBUSY: a process is stopped that is
 * sending to it; ETIME. Not under a shared lock. */
int softefa_device_qp_error(unsigned index, uint32_t qpn, int32_t pid);

/* Under qp->lock: whether the device is dead, or the QP in ERR, perhaps by
 * itself; then what is to be sent has been ended. */
bool softefa_fault_fallen(softefa_qp_t *qp);

/* fault.c: whether there is a plan; how deep its reorder rule for a device. */
bool     softefa_fault_planned(void);
unsigned softefa_fault_reorder(unsigned index);

/* What the plan makes of a message. */
typedef struct {
    int      status;                 /* not OK: not sent, completes with it */
    uint64_t until;                  /* held till then (ns), 0: not */
    bool     hit;                    /* for fault.c */
} softefa_verdict_t;

/* Under qp->lock, of a valid message, once: may change wqe->imm and sets
 * wqe->fault for softefa_fault_deliver(). */
void softefa_fault_judge(softefa_qp_t *qp, softefa_io_wqe_t *wqe,
                         softefa_verdict_t *verdict);

/* Under qp->lock, of every entry fetched: fatal, qp_error, kill. True: the
 * queue pair has fallen, and this entry with it. */
bool softefa_fault_strikes(softefa_qp_t *qp, const softefa_io_wqe_t *wqe);

/* The errno with which a command fails, 0: carry it out. */
int softefa_fault_command(unsigned index, softefa_fault_cmd_t cmd);

void softefa_fault_fork_child(void);

/* async.c: raise events. A QP's: false if nobody can read it. */
bool softefa_async_raise_qp(unsigned device, uint32_t life, uint32_t owner,
                            uint64_t cookie);
void softefa_async_raise_fatal(unsigned device, uint32_t life);
void softefa_async_close(softefa_dev_t *dev);

#endif
