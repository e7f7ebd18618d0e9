/*
 * UCX_MODULES, which says what UCX may load: "all", a list, or ^ and a list of
 * exceptions.
 */
#ifndef LOADER_EXCEPT_H
#define LOADER_EXCEPT_H

#define LOADER_MODULES_MAX 1024

/* Leaves name out of what modules allows, if there is room for that. */
void loader_except(char modules[LOADER_MODULES_MAX], const char *name);

/* Leaves out UCX's ib and what brings it back where all verbs devices are EFA
 * devices, unless UCX_EFA_KEEP_IB is set: it would open them, too, and print
 * errors about what they do not offer. */
void loader_except_ib(char modules[LOADER_MODULES_MAX]);

#endif
