/*
 * Events to any member, also one that sleeps: FIFOs in the fabric's directory.
 * The sender of a message or of an order raises an event, so all members need
 * the same way. The descriptors that create returns are the application's.
 *
 *   ev<n>                          completion channel n: 8-byte cookies
 *   as<device>.<incarnation>.<owner>   an open context: asynchronous events,
 *                                  softefa_abi_async_event_t; hexadecimal
 */
#ifndef SOFTEFA_EVENT_H
#define SOFTEFA_EVENT_H

#include <stdbool.h>
#include <stdint.h>

/* Completion channel `index`. fd: for the application; reader: for purge; an
 * errno. remove: the name; close: this process's descriptor for raising. */
int  softefa_event_channel_create(unsigned index, int *fd, int *reader);
void softefa_event_channel_remove(unsigned index);
void softefa_event_channel_close(unsigned index);

/* A descriptor that create returned */
void softefa_event_close(int fd);

/* False: the channel is full, or gone. */
bool softefa_event_channel_raise(unsigned index, uint64_t cookie);

/* Takes the events with this cookie out, as the kernel does when a CQ is
 * destroyed. Returns how many; the others go back in their order. */
uint32_t softefa_event_channel_purge(int reader, uint64_t cookie);

/* The context that `owner` opened on a device in that incarnation. */
typedef struct {
    unsigned device;
    uint32_t incarnation;
    uint32_t owner;
} softefa_event_context_t;

int  softefa_event_async_create(const softefa_event_context_t *context,
                                int *fd);
void softefa_event_async_remove(const softefa_event_context_t *context);

/* False: there is no reader. A reader that never reads loses events, as raising
 * never waits. */
bool softefa_event_async_raise(const softefa_event_context_t *context,
                               unsigned type, uint64_t element);

/* To all contexts that were opened on the device in that incarnation */
void softefa_event_async_raise_all(unsigned device, uint32_t incarnation,
                                   unsigned type);

/* Takes the events of this type and element out that were not read. */
uint32_t softefa_event_async_purge(const softefa_event_context_t *context,
                                   unsigned type, uint64_t element);

void softefa_event_fork_child(void);

#endif
