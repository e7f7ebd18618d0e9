/*
 * The memory behind a dma-buf, seen through a mapping of this library's own:
 *
 *   fd   |......[ offset ........ offset + length )......|
 *               ^addr
 *        ^map, page aligned                     ^map + map_length
 *
 * The kernel's driver gives the device a list of the pages. Here the engine
 * copies, so the memory needs an address: any descriptor that can be mapped
 * will do, a real dma-buf (udmabuf, a dma-buf heap), a memfd, a file.
 */
#ifndef SOFTEFA_DMABUF_H
#define SOFTEFA_DMABUF_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    void     *map;
    size_t   map_length;
    uint64_t addr;
} softefa_dmabuf_t;

/* EBADF: no such descriptor; EINVAL: no memory behind it, or not so much. The
 * mapping does not need fd any more. */
int  softefa_dmabuf_map(int fd, uint64_t offset, uint64_t length, int writable,
                        softefa_dmabuf_t *dmabuf);
void softefa_dmabuf_unmap(softefa_dmabuf_t *dmabuf);

#endif
