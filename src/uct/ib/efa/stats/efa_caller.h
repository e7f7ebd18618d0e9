/*
 * Who called UCX: the first frame above it on the stack.
 *
 *   application   <-- this one        "app(function+0x1f)", "app+0x1234"
 *   libucp, libuct, libucs
 *   this library
 *
 * Finding it costs some microseconds of unwinding. Its name is looked up once
 * for each place; an object keeps the address alone.
 */
#ifndef UCT_EFA_CALLER_H
#define UCT_EFA_CALLER_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The address to which UCX will return; NULL: not found. Any thread. */
const void *uct_efa_caller(void);

/* Its name, for as long as its library is loaded; "?" for NULL. The function is
 * named if its library shows it, else the place in the file. */
void uct_efa_caller_name(const void *pc, char *site, size_t max);

#ifdef __cplusplus
}
#endif

#endif
