/* See memory.h. */
#define _GNU_SOURCE
#include "fabric/memory.h"
#include "base/log.h"
#include "base/util.h"
#include "fabric/fabric.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

/* Linux 5.14; EINVAL before */
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int softefa_memory_back(uint64_t offset, uint64_t size)
{
    int ret;

    do {
        ret = fallocate(softefa_fabric.mem_fd, 0, offset, size);
    } while ((ret < 0) && (errno == EINTR));

    if (ret < 0) {
        softefa_error("no memory for a queue or table in %s (%s); enlarge "
                      "/dev/shm (docker run --shm-size=1g)",
                      softefa_fabric.dir, strerror(errno));
        return ENOMEM;
    }

    return 0;
}

void softefa_memory_populate(uint64_t offset, uint64_t size)
{
    uint64_t page  = softefa_page_size();
    uint64_t begin = offset / page * page;

    (void)madvise(softefa_fabric_at(begin), offset + size - begin,
                  MADV_POPULATE_WRITE);
}

void softefa_memory_unback(uint64_t offset, uint64_t size)
{
    if (fallocate(softefa_fabric.mem_fd,
                  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset,
                  size) < 0) {
        /* An old kernel: at least the next owner finds zeros. */
        memset(softefa_fabric_at(offset), 0, size);
    }
}
