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
    uint64_t reg_mem_types;
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
    MD_PROBE_REG_HIDE_ERRORS  = 8
};

/* Fills names (of 64 bytes each), returns how many, or -1 */
int md_probe_resources(char (*names)[64], int max);

ucs_status_t md_probe_open(const char *name, void **md_p);
void         md_probe_close(void *md);
void         md_probe_query(void *md, md_probe_attr_t *attr);
ucs_status_t md_probe_reg(void *md, void *address, size_t length, int how,
                          void **memh_p);
ucs_status_t md_probe_dereg(void *md, void *memh);
uint64_t     md_probe_rkey(void *md, void *memh); /* packed and unpacked */
uint32_t     md_probe_lkey(void *memh);
double       md_probe_bandwidth(unsigned speed, unsigned width);

#ifdef __cplusplus
}
#endif

#endif
