/*
 * A registration that the public headers of UCT cannot ask for.
 */
#ifndef TEST_UCT_MEMORY_PROBE_H
#define TEST_UCT_MEMORY_PROBE_H

#include <uct/api/uct.h>

#ifdef __cplusplus
extern "C" {
#endif

/* length bytes of fd from offset on shall have the given address, for all
 * accesses. UCS_ERR_UNSUPPORTED: this UCX or memory domain knows no dma-buf. */
ucs_status_t memory_probe_reg_dmabuf(uct_md_h md, void *address, size_t length,
                                     int fd, size_t offset, uct_mem_h *memh_p);

#ifdef __cplusplus
}
#endif

#endif
