/*
 * What the loader calls in libuct_efasrd.so; by dlsym().
 */
#ifndef UCX_EFA_MODULE_H
#define UCX_EFA_MODULE_H

/* Is there a transport for that libuct, a path? Loads none of it. 0: there is
 * none, and why was said. */
int ucx_efasrd_fits(const char *libuct);

/* Loads it, after ucx_efasrd_fits(). 0: that failed, and why was said. */
int ucx_efasrd_open(void);

#endif
