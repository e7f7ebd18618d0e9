/*
 * Upcalls: what the kernel half asks of the process that it is played in. A
 * kernel has a descriptor table; it needs no hooks, as a NIC sees doorbells.
 *
 *   preload/hooks.c   puts hooks into the verbs objects behind user handles
 *   preload/fd.c      knows which descriptors are ours
 */
#ifndef SOFTEFA_UPCALL_H
#define SOFTEFA_UPCALL_H

#include "kernel/file.h"

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

/* fd is a file's, or a completion channel's of it. */
int softefa_fd_add(int fd, softefa_file_t *file, softefa_obj_t *channel);
/* Returns a file with a reference for the caller, or NULL. channel_p is set to
 * the channel, or to NULL if fd is the uverbs file. */
softefa_file_t *softefa_fd_get(int fd, softefa_obj_t **channel_p);

#endif
