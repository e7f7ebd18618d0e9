#include "base/md/efa_md.h"
#include "base/md/ucx_compat_md.h"
#include "md_probe.h"

#include <ucm/api/ucm.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int md_probe_resources(char (*names)[64], int max)
{
    uct_md_resource_desc_t *resources;
    unsigned i, count;

    if (uct_efa_component.query_md_resources(&uct_efa_component, &resources,
                                             &count) != UCS_OK) {
        return -1;
    }

    for (i = 0; (i < count) && ((int)i < max); ++i) {
        ucs_strncpy_zero(names[i], resources[i].md_name, sizeof(names[i]));
    }
    ucs_free(resources);
    return (int)count;
}

ucs_status_t md_probe_open(const char *name, void **md_p)
{
    uct_efa_md_config_t config;

    memset(&config, 0, sizeof(config));
    config.stats = UCT_EFA_STATS_NO;
    return uct_efa_component.md_open(&uct_efa_component, name, &config.super,
                                     (uct_md_h *)md_p);
}

ucs_status_t md_probe_open_with(const char *name, const char **options,
                                void **md_p)
{
    uct_md_config_t *config;
    ucs_status_t status;
    char full_name[64];

    status = uct_md_config_read(&uct_efa_component, NULL, NULL, &config);
    if (status != UCS_OK) {
        return status;
    }

    ((uct_efa_md_config_t *)config)->stats = UCT_EFA_STATS_NO;
    for (; (status == UCS_OK) && (*options != NULL); options += 2) {
        status = uct_config_modify(config, options[0], options[1]);
        if (status == UCS_ERR_NO_ELEM) { /* later versions want the prefix */
            ucs_snprintf_zero(full_name, sizeof(full_name), "EFA_%s",
                              options[0]);
            status = uct_config_modify(config, full_name, options[1]);
        }
    }
    if (status == UCS_OK) {
        status = uct_efa_component.md_open(&uct_efa_component, name, config,
                                           (uct_md_h *)md_p);
    }

    uct_config_release(config);
    return status;
}

void md_probe_close(void *md)
{
    ((uct_md_h)md)->ops->close(md);
}

void md_probe_query(void *uct_md, md_probe_attr_t *attr)
{
    uct_efa_md_t *md = ucs_derived_of((uct_md_h)uct_md, uct_efa_md_t);
    uct_efa_md_attr_t md_attr;
    ucs_sys_bus_id_t bus_id;
    int cpu;

    memset(attr, 0, sizeof(*attr));
    uct_efa_md_query(uct_md, &md_attr);
    attr->flags             = md_attr.flags;
    attr->max_reg           = md_attr.max_reg;
    attr->rkey_packed_size  = md_attr.rkey_packed_size;
    attr->reg_mem_types     = md_attr.reg_mem_types;
    attr->cache_mem_types   = md_attr.cache_mem_types;
    attr->access_mem_types  = md_attr.access_mem_types;
    attr->reg_cost          = md_attr.reg_cost.c;
    attr->reg_cost_per_byte = md_attr.reg_cost.m;
    attr->bandwidth         = md->dev.bandwidth;
    attr->latency           = md->dev.latency;
    attr->max_msg_sz        = md->dev.max_msg_sz;
    attr->max_inline        = md->dev.max_inline;
    attr->has_sgid          = md->dev.has_sgid;
    attr->has_rnr_retry     = md->dev.has_rnr_retry;
    attr->has_rdma_read     = md->dev.has_rdma_read;
    attr->has_rdma_write    = md->dev.has_rdma_write;
    ucs_strncpy_zero(attr->port_name, uct_efa_md_device_name(md),
                     sizeof(attr->port_name));
    ucs_strncpy_zero(attr->component_name, md_attr.component_name,
                     sizeof(attr->component_name));
    for (cpu = 0; cpu < 160; ++cpu) {
        attr->cpu_is_local[cpu] = ucs_cpu_is_set(cpu, &md_attr.local_cpus);
    }
    if ((md->dev.sys_dev != UCS_SYS_DEVICE_ID_UNKNOWN) &&
        (ucs_topo_get_device_bus_id(md->dev.sys_dev, &bus_id) == UCS_OK)) {
        attr->sys_dev_known = 1;
        attr->bus_domain    = bus_id.domain;
        attr->bus           = bus_id.bus;
        attr->bus_slot      = bus_id.slot;
        attr->bus_function  = bus_id.function;
    }
}

static uint64_t md_probe_flags(int how)
{
    uint64_t flags = 0;

    if (how & MD_PROBE_REG_LOCAL_READ) {
        flags |= UCT_MD_MEM_ACCESS_LOCAL_READ;
    }
    if (how & MD_PROBE_REG_LOCAL_WRITE) {
        flags |= UCT_MD_MEM_ACCESS_LOCAL_WRITE;
    }
    if (how & MD_PROBE_REG_GET) {
        flags |= UCT_MD_MEM_ACCESS_REMOTE_GET;
    }
    if (how & MD_PROBE_REG_PUT) {
        flags |= UCT_MD_MEM_ACCESS_REMOTE_PUT;
    }
    if (how & MD_PROBE_REG_ALL) {
        flags |= UCT_MD_MEM_ACCESS_ALL;
    }
    if (how & MD_PROBE_REG_HIDE_ERRORS) {
        flags |= UCT_MD_MEM_FLAG_HIDE_ERRORS;
    }
    if (how & MD_PROBE_REG_LOCK) {
        flags |= UCT_MD_MEM_FLAG_LOCK;
    }
    return flags;
}

ucs_status_t md_probe_reg(void *md, void *address, size_t length, int how,
                          void **memh_p)
{
    uct_efa_reg_params_t params = UCT_EFA_REG_PARAMS_INIT(md_probe_flags(how));

    return uct_efa_md_mem_reg_user(md, address, length, &params, memh_p);
}

ucs_status_t md_probe_ucx_reg(void *md, void *address, size_t length, int how,
                              int fd, size_t offset, void **memh_p)
{
#if UCT_EFA_UCX(1, 14)
    uct_md_mem_reg_params_t params = {
        .field_mask    = UCT_MD_MEM_REG_FIELD_FLAGS,
        .flags         = md_probe_flags(how),
        .dmabuf_fd     = fd,
        .dmabuf_offset = offset
    };

    if (fd != -1) {
        params.field_mask |= UCT_MD_MEM_REG_FIELD_DMABUF_FD |
                             UCT_MD_MEM_REG_FIELD_DMABUF_OFFSET;
    }
    return ((uct_md_h)md)->ops->mem_reg(md, address, length, &params, memh_p);
#else
    (void)offset;
    return (fd != -1) ? UCS_ERR_UNSUPPORTED :
                        ((uct_md_h)md)
                                ->ops->mem_reg(md, address, length,
                                               md_probe_flags(how), memh_p);
#endif
}

typedef struct {
    uct_completion_t super;
    int              *done;
} md_probe_comp_t;

static void md_probe_invalidated(uct_completion_t *self)
{
    md_probe_comp_t *comp = ucs_derived_of(self, md_probe_comp_t);

    *comp->done += (self->status == UCS_OK) ? 1 : 100;
    free(comp);
}

ucs_status_t md_probe_ucx_invalidate(void *md, void *memh, int *done)
{
    uct_md_mem_dereg_params_t params = {
        .field_mask = UCT_MD_MEM_DEREG_FIELD_MEMH |
                      UCT_MD_MEM_DEREG_FIELD_FLAGS,
        .flags      = UCT_MD_MEM_DEREG_FLAG_INVALIDATE,
        .memh       = memh
    };
    md_probe_comp_t *comp = NULL;
    ucs_status_t status;

    if (done != NULL) {
        comp               = calloc(1, sizeof(*comp));
        comp->super.func   = md_probe_invalidated;
        comp->super.count  = 1;
        comp->super.status = UCS_OK;
        comp->done         = done;
        params.comp        = &comp->super;
        params.field_mask |= UCT_MD_MEM_DEREG_FIELD_COMPLETION;
    }

    status = ((uct_md_h)md)->ops->mem_dereg(md, &params);
    if (status != UCS_OK) {
        free(comp);
    }
    return status;
}

int md_probe_has_dmabuf(void)
{
    return UCT_EFA_UCX(1, 14);
}

int md_probe_caches_by_default(void)
{
    return !UCT_EFA_UCX(1, 16);
}

int md_probe_checks_access(void)
{
    return UCT_EFA_UCX(1, 17);
}

uint64_t md_probe_flag_dmabuf(void)
{
    return UCT_EFA_MD_FLAG_REG_DMABUF;
}

uint64_t md_probe_flag_invalidate(void)
{
    return UCT_EFA_MD_FLAG_INVALIDATE;
}

int md_probe_sees_unmap(void)
{
    return ucm_test_events(UCM_EVENT_VM_UNMAPPED) == UCS_OK;
}

ucs_status_t md_probe_dereg(void *md, void *memh)
{
    return uct_efa_md_mem_dereg(md, memh);
}

uint64_t md_probe_rkey(void *md, void *memh)
{
    void *handle    = (void *)1;
    uct_rkey_t rkey = 0;
    char buffer[16];

    memset(buffer, 0xee, sizeof(buffer));
    if ((uct_efa_md_mkey_pack(md, memh, 0, buffer) != UCS_OK) ||
        (uct_efa_rkey_unpack(buffer, &rkey, &handle) != UCS_OK) ||
        (handle != NULL)) {
        return 0;
    }
    return rkey;
}

uint32_t md_probe_lkey(void *memh)
{
    return uct_efa_memh_lkey(memh);
}

void *md_probe_component(void)
{
    return &uct_efa_component;
}

const char *md_probe_missing_ops(void *md)
{
    /* A table of functions and of nothing else */
    void (*const *ops)(void) = (void (*const *)(void))((uct_md_h)md)->ops;
    static char text[64];
    unsigned i;

    text[0] = '\0';
    for (i = 0; i < sizeof(uct_md_ops_t) / sizeof(*ops); ++i) {
        if (ops[i] == NULL) {
            snprintf(text, sizeof(text), "operation %u", i);
        }
    }
    return text;
}

ucs_status_t md_probe_replace(void *md)
{
    return uct_efa_context_replace(ucs_derived_of((uct_md_h)md, uct_efa_md_t));
}

unsigned md_probe_generation(void *md)
{
    return ucs_derived_of((uct_md_h)md, uct_efa_md_t)->context->generation;
}

double md_probe_bandwidth(unsigned speed, unsigned width)
{
    return uct_efa_device_port_bandwidth(speed, width);
}
