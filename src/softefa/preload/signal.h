/* SIGSEGV, which doorbells that trap need and the program has. See signal.c. */
#ifndef SOFTEFA_SIGNAL_H
#define SOFTEFA_SIGNAL_H

#include <signal.h>

/* From now on trap() is what a fault calls first, on this thread and all that
 * do not block SIGSEGV already. May be called again: a handler that somebody
 * else put in its place without our knowing becomes the program's. */
void softefa_signal_begin(void (*trap)(int, siginfo_t *, void *));

/* In the child, which has the thread alone that called fork() */
void softefa_signal_fork_child(void);

/* It was none of trap()'s: as if that were not there. context: the handler's */
void softefa_signal_pass_on(int signal, siginfo_t *info, void *context);

/* func(arg), on the stack that the fault interrupted if the handler was given
 * another one, which may be small. */
void softefa_signal_call(const void *context, void (*func)(void *), void *arg);

#endif
