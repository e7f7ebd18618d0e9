/*
 * Which descriptors are ours. Lookups compare the inode, so a number that the
 * application closed behind our back and used again is never taken for ours.
 */
#ifndef SOFTEFA_FD_H
#define SOFTEFA_FD_H

#include "kernel/upcall.h"

#include <sys/stat.h>

typedef struct {
    softefa_file_t *file;             /* holds a reference */
    softefa_obj_t  *channel;          /* NULL: fd is the uverbs file itself */
    dev_t          st_dev;
    ino_t          st_ino;
} softefa_fd_t;

/* Cheap check without a lock or a system call. */
int  softefa_fd_maybe(int fd);
/* Before close(fd), after dup(from) == to, before close_range(). */
void softefa_fd_closing(int fd);
void softefa_fd_dup(int from, int to);
void softefa_fd_closing_range(unsigned first, unsigned last);

#endif
