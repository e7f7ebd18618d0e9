/*
 * What the loader calls in libuct_efasrd.so; by dlsym().
 */
#ifndef UCX_EFA_MODULE_H
#define UCX_EFA_MODULE_H

/* Is there a transport for that libuct, a path? Loads none of it. 0: there is
 * none, and why was said. */
int ucx_efasrd_fits(const char *libuct);

/* Loads it, binds it to that libuct, and registers it; after ucx_efasrd_fits()
 * for the same. 0: that failed, and why was said. */
int ucx_efasrd_open(const char *libuct);

#endif
