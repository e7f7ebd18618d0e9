/*
 * Maps what a descriptor stands for; see dmabuf.h.
 */
#define _GNU_SOURCE
#include "kernel/dmabuf.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Bytes behind fd, 0 if it has none. fstat() does not know a dma-buf's size. */
static uint64_t dmabuf_size(int fd, const struct stat *st)
{
    off_t size = S_ISREG(st->st_mode) ? st->st_size : lseek(fd, 0, SEEK_END);

    return (size > 0) ? (uint64_t)size : 0;
}

int softefa_dmabuf_map(int fd, uint64_t offset, uint64_t length, int writable,
                       softefa_dmabuf_t *dmabuf)
{
    uint64_t page = sysconf(_SC_PAGESIZE);
    uint64_t skip = offset & (page - 1);
    uint64_t size;
    struct stat st;
    int prot;

    if (softefa_sys_fstat(fd, &st) != 0) {
        return EBADF;
    }

    size = dmabuf_size(fd, &st);
    if ((offset > size) || (length > size - offset)) {
        return EINVAL;
    }

    prot               = PROT_READ | (writable ? PROT_WRITE : 0);
    dmabuf->map_length = length + skip;
    dmabuf->map = softefa_sys_mmap_at(length + skip, prot, MAP_SHARED, fd,
                                      offset - skip);
    if (dmabuf->map == MAP_FAILED) {
        return (errno == ENOMEM) ? ENOMEM : EINVAL;
    }

    dmabuf->addr = (uintptr_t)dmabuf->map + skip;
    return 0;
}

void softefa_dmabuf_unmap(softefa_dmabuf_t *dmabuf)
{
    softefa_sys_munmap(dmabuf->map, dmabuf->map_length);
}
