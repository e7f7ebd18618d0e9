/*
 * Binds a transport to the UCX of the process.
 */
#ifndef UCX_EFA_BIND_H
#define UCX_EFA_BIND_H

#include <stddef.h>

/*
 * Gives every undefined weak symbol of a loaded object, the transport, the
 * address that it has in another one, libuct, and in the libraries which that
 * one is linked with. Both are handles of dlopen(). Nothing of the transport
 * may run before. 0: that failed, and why says why, in at most max bytes.
 */
int ucx_efa_bind(void *transport, void *libuct, char *why, size_t max);

#endif
