/*
 * The component and its memory domain for C++: UCX's private headers are C.
 */
#ifndef TEST_UNIT_MD_PROBE_H
#define TEST_UNIT_MD_PROBE_H

#include <stddef.h>
#include <stdint.h>
#include <ucs/type/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint64_t flags;
    size_t   max_reg, rkey_packed_size;
    uint64_t reg_mem_types, cache_mem_types, access_mem_types;
    double   reg_cost, reg_cost_per_byte;
    double   bandwidth, latency;
    size_t   max_msg_sz;
    unsigned max_inline;
    int      has_sgid, has_rnr_retry, has_rdma_read, has_rdma_write;
    char     port_name[32], component_name[32];
    int      cpu_is_local[160];
    int      sys_dev_known;
    unsigned bus_domain, bus, bus_slot, bus_function;
} md_probe_attr_t;

enum {
    MD_PROBE_REG_LOCAL_READ   = 1,
    MD_PROBE_REG_ALL          = 2,
    MD_PROBE_REG_NONE         = 4,
    MD_PROBE_REG_HIDE_ERRORS  = 8,
    MD_PROBE_REG_GET          = 16,
    MD_PROBE_REG_PUT          = 32,
    MD_PROBE_REG_LOCAL_WRITE  = 64,
    MD_PROBE_REG_LOCK         = 128  /* as an interface's own buffers        */
};

/* Fills names (of 64 bytes each), returns how many, or -1 */
int md_probe_resources(char (*names)[64], int max);

/* options: pairs of name and value as in UCX_EFA_<name>, NULL at the end;
 * open() itself asks for as little as can be: no cache, nothing for GPUs */
ucs_status_t md_probe_open(const char *name, void **md_p);
ucs_status_t md_probe_open_with(const char *name, const char **options,
                                void **md_p);
void         md_probe_close(void *md);
void         md_probe_query(void *md, md_probe_attr_t *attr);
ucs_status_t md_probe_reg(void *md, void *address, size_t length, int how,
                          void **memh_p);
/* By the table of functions, that is, as UCX calls them. fd -1: no dma-buf */
ucs_status_t md_probe_ucx_reg(void *md, void *address, size_t length, int how,
                              int fd, size_t offset, void **memh_p);
/* done is incremented by the completion; NULL: without one */
ucs_status_t md_probe_ucx_invalidate(void *md, void *memh, int *done);
ucs_status_t md_probe_dereg(void *md, void *memh);
/* What this version of UCX has */
int          md_probe_has_dmabuf(void);
int          md_probe_caches_by_default(void);
int          md_probe_checks_access(void); /* of handles that UCP keeps      */
uint64_t     md_probe_flag_dmabuf(void);
uint64_t     md_probe_flag_invalidate(void);
/* Would munmap() be noticed? Not in every environment. */
int          md_probe_sees_unmap(void);
uint64_t     md_probe_rkey(void *md, void *memh); /* packed and unpacked */
uint32_t     md_probe_lkey(void *memh);
/* uct_component_h */
void        *md_probe_component(void);
/* Operations without a function, "" if there are none: UCX calls some without
 * a look at flags. */
const char  *md_probe_missing_ops(void *md);
/* As interfaces do when they look after their device: UCS_OK if it is there */
ucs_status_t md_probe_replace(void *md);
unsigned     md_probe_generation(void *md);
double       md_probe_bandwidth(unsigned speed, unsigned width);

#ifdef __cplusplus
}
#endif

#endif
