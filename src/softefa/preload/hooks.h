/*
 * Hooks: how the engine runs in the caller's thread. See hooks.c.
 */
#ifndef SOFTEFA_HOOKS_H
#define SOFTEFA_HOOKS_H

#include "nic/nic.h"

typedef struct softefa_hooks softefa_hooks_t; /* list of ibv_contexts */

/* Patches the contexts and objects behind the user handles of create commands.
 * hooks_p: the file's hooks, a list of contexts. fd: of the command, to tell a
 * verbs object from a number that means something else to its sender; such
 * ones are left alone. ENOMEM is the only error. */
int softefa_hooks_add_cq(softefa_hooks_t **hooks_p, int fd, softefa_dev_t *dev,
                         uint64_t user_handle, softefa_cq_t *cq);
int softefa_hooks_add_qp(softefa_hooks_t **hooks_p, int fd, softefa_dev_t *dev,
                         uint64_t user_handle, softefa_qp_t *qp);

/* libibverbs fills in the pointers of extended objects after their create
 * commands. So this is called for a CQ when a QP is created on it, and for a
 * QP whenever it is modified. Unknown handles are ignored. */
void softefa_hooks_update_cq(uint64_t user_handle);
void softefa_hooks_update_qp(uint64_t user_handle);

/* How many events of a CQ the application has acknowledged. 0: not a CQ. */
uint32_t softefa_hooks_events_acked(uint64_t user_handle);

/* When the object is destroyed. Handles unknown to `dev` are ignored. */
void softefa_hooks_remove(const softefa_dev_t *dev, uint64_t user_handle);
/* The whole list, which may be NULL. */
void softefa_hooks_destroy(softefa_hooks_t *hooks);

#endif
