/*
 * One registration: what uct_mem_h points to, and who made it.
 *
 *   uct_mem_h --> uct_efa_mem_t --> ibv_mr
 *
 *   alone    mem_reg of this library's own buffers, of memory for messages, of
 *            a dma-buf, and of everything where there is no cache
 *   cached   the second half of uct_efa_rcache_region_t (efa_rcache.h); may
 *            have several users and cover more than any of them asked for
 *
 * Access is what the caller wants and the device can do:
 *
 *   LOCAL_WRITE    always, except for memory that is only read
 *   REMOTE_READ    if the device answers RDMA reads
 *   REMOTE_WRITE   if the device answers RDMA writes
 *
 * Read-only mappings refuse LOCAL_WRITE (EFAULT): such memory is registered
 * again for reading, and its handle and key say so.
 */
#ifndef UCT_EFA_MEM_H
#define UCT_EFA_MEM_H

#include "base/def/efa_def.h"
#include "base/mem/efa_leak.h"
#include "stats/efa_stats.h"

#include <infiniband/verbs.h>
#include <ucs/datastruct/list.h>

typedef struct uct_efa_old_key uct_efa_old_key_t;

typedef struct {
    struct ibv_mr          *mr;        /* NULL: the device is away           */
    uint32_t               lkey;       /* mr's, beside the pointer for speed */
    uint32_t               rkey;       /* mr's, or what stands for it        */
    uint16_t               access;     /* IBV_ACCESS_ that it was made with  */
    uint8_t                is_cached;
    uint8_t                is_dmabuf;  /* may be memory that no CPU reads    */
    uint8_t                is_remote;  /* UCX asked for access by others     */
    uint8_t                is_packed;  /* a key was, to be invalidated       */
    unsigned               generation; /* of rkey                            */
    void                   *address;
    size_t                 length;     /* bytes                              */
    ucs_list_link_t        list;       /* in md->mems                        */
    uct_efa_old_key_t      *old;       /* what peers may still have          */
    const void             *caller;    /* who asked for it, efa_caller.h     */
    uint64_t               create_time; /* uct_efa_stats_now()               */
    uct_efa_stats_object_t *stats;
} uct_efa_mem_t;

/* What is to be registered */
typedef struct {
    uint64_t flags;                   /* UCT_MD_MEM_ACCESS_, _FLAG_          */
    int      is_remote;               /* UCX asked for access by others      */
    int      dmabuf_fd;               /* or UCT_DMABUF_FD_INVALID            */
    size_t   dmabuf_offset;           /* of the memory in it, bytes          */
    int      is_exact;                /* rather fail than grant less         */
} uct_efa_reg_params_t;

#define UCT_EFA_REG_PARAMS_INIT(_flags) \
    { \
        .flags = (_flags), .dmabuf_fd = UCT_DMABUF_FD_INVALID \
    }

/* The key for a local SGE of memory registered with this MD. */
static inline uint32_t uct_efa_memh_lkey(uct_mem_h memh)
{
    return ((const uct_efa_mem_t *)memh)->lkey;
}

static inline int uct_efa_memh_is_dmabuf(uct_mem_h memh)
{
    return ((const uct_efa_mem_t *)memh)->is_dmabuf;
}

/* IBV_ACCESS_ for UCT_MD_MEM_ACCESS_ flags on this device. */
unsigned uct_efa_mem_access(const uct_efa_md_t *md, uint64_t flags);

/* Registers [address, address + length) and fills mem, but for is_cached. While
 * the device is away, memory is taken as it is and registered when it is back.
 * dmabuf_fd: what the memory is part of, from dmabuf_offset on, or
 * UCT_DMABUF_FD_INVALID. Errors are logged as `flags` say
 * (UCT_MD_MEM_FLAG_HIDE_ERRORS), with what to do next:
 * UCS_ERR_NO_MEMORY: locked memory, or the device's regions, used up;
 * UCS_ERR_IO_ERROR: anything else. */
ucs_status_t uct_efa_mem_init(uct_efa_md_t *md, void *address, size_t length,
                              unsigned access,
                              const uct_efa_reg_params_t *params,
                              uct_efa_mem_t *mem);

/* Names it as what was not given back. */
void uct_efa_mem_leaked(const uct_efa_mem_t *mem, uct_efa_leak_t *leak);

/* The same memory with a new device: a new object in the stats segment. */
void uct_efa_mem_show_again(uct_efa_md_t *md, uct_efa_mem_t *mem);

/* After this no device reads or writes the memory by its keys. */
ucs_status_t uct_efa_mem_cleanup(uct_efa_md_t *md, uct_efa_mem_t *mem);

#endif
