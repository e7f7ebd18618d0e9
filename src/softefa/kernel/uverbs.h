/* The entry of the kernel half: RDMA_VERBS_IOCTL. */
#ifndef SOFTEFA_UVERBS_H
#define SOFTEFA_UVERBS_H

#include "kernel/file.h"

/* Returns 0 or a positive errno. */
int softefa_uverbs_ioctl(softefa_file_t *file, int fd, void *arg);

#endif
