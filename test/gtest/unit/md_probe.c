#include "efa_md.h"
#include "md_probe.h"

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
    config.window = UCT_EFA_WINDOW_NO;
    return uct_efa_component.md_open(&uct_efa_component, name, &config.super,
                                     (uct_md_h*)md_p);
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
    attr->flags            = md_attr.flags;
    attr->max_reg          = md_attr.max_reg;
    attr->rkey_packed_size = md_attr.rkey_packed_size;
    attr->reg_mem_types    = md_attr.reg_mem_types;
    attr->bandwidth        = md->dev.bandwidth;
    attr->latency          = md->dev.latency;
    attr->max_msg_sz       = md->dev.max_msg_sz;
    attr->max_inline       = md->dev.max_inline;
    attr->has_sgid         = md->dev.has_sgid;
    attr->has_rnr_retry    = md->dev.has_rnr_retry;
    attr->has_rdma_read    = md->dev.has_rdma_read;
    attr->has_rdma_write   = md->dev.has_rdma_write;
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

ucs_status_t md_probe_reg(void *md, void *address, size_t length, int how,
                          void **memh_p)
{
    uint64_t flags = 0;

    if (how & MD_PROBE_REG_LOCAL_READ) {
        flags |= UCT_MD_MEM_ACCESS_LOCAL_READ;
    }
    if (how & MD_PROBE_REG_ALL) {
        flags |= UCT_MD_MEM_ACCESS_ALL;
    }
    if (how & MD_PROBE_REG_HIDE_ERRORS) {
        flags |= UCT_MD_MEM_FLAG_HIDE_ERRORS;
    }
    return uct_efa_md_mem_reg(md, address, length, flags, memh_p);
}

ucs_status_t md_probe_dereg(void *md, void *memh)
{
    return uct_efa_md_mem_dereg(md, memh);
}

uint64_t md_probe_rkey(void *md, void *memh)
{
    void *handle    = (void*)1;
    uct_rkey_t rkey = 0;
    char buffer[16];

    memset(buffer, 0xee, sizeof(buffer));
    if ((uct_efa_md_mkey_pack(md, memh, buffer) != UCS_OK) ||
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

double md_probe_bandwidth(unsigned speed, unsigned width)
{
    return uct_efa_port_bandwidth(speed, width);
}
