/* Errors of a device and of a queue pair. What they lead to: device.h. */
#ifndef SOFTEFA_DEVICE_ERROR_H
#define SOFTEFA_DEVICE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

/* Breaks device `index` for all processes: it returns after return_ns, or with
 * softefa_device_return() (UINT64_MAX). When this returns, no completion is
 * written any more, no message delivered, and every open context has its event
 * to read; `silent`: none has, as with Linux's driver. Not under a shared lock.
 * Does nothing to a dead device. ETIME: a process is stopped in a command. */
int softefa_device_error_fatal(unsigned index, uint64_t return_ns,
                               bool silent);

/* A queue pair goes to ERR as by an error of the device: pending receives
 * complete with status 1, the event is raised; its process's engine ends what
 * is to be sent when it next looks (softefa_engine_in_error). qpn 0: the first
 * one in RTS, of member `pid` if not 0. ENOENT: there is none; EBUSY: a process
 * is stopped that is sending to it; ETIME. Not under a shared lock. */
int softefa_device_error_qp(unsigned index, uint32_t qpn, int32_t pid);

#endif
