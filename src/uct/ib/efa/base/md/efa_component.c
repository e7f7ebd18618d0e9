/*
 * The component: finds the EFA devices that this process can use, and has UCX
 * call the memory domain.
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_md.h"
#include "base/md/efa_probe.h"
#include "base/md/ucx_compat_md.h"

#include <stdio.h>

static ucs_status_t
uct_efa_component_query_mds(uct_component_t *component,
                            uct_md_resource_desc_t **resources_p,
                            unsigned *num_resources_p)
{
    uct_md_resource_desc_t *resources;
    struct ibv_device **list;
    unsigned count = 0;
    int i, num = 0;

    (void)component;

    uct_efa_sole_srd(&uct_efa_component);

    list = ibv_get_device_list(&num);
    if (list == NULL) {
        uct_efa_probe_check_files();
        /* No verbs in this kernel */
        return uct_md_query_empty_md_resource(resources_p, num_resources_p);
    }

    uct_efa_probe_unlisted(list, num);

    resources = ucs_calloc(ucs_max(num, 1), sizeof(*resources),
                           "efa_md_resources");
    if (resources == NULL) {
        ucs_error("cannot allocate a list of %d devices", num);
        ibv_free_device_list(list);
        return UCS_ERR_NO_MEMORY;
    }

    for (i = 0; i < num; ++i) {
        if (uct_efa_probe_device(list[i]) == UCT_EFA_PROBE_YES) {
            ucs_snprintf_zero(resources[count].md_name,
                              sizeof(resources[count].md_name), "%s",
                              ibv_get_device_name(list[i]));
            ++count;
        }
    }

    ibv_free_device_list(list);

    if (count == 0) {
        uct_efa_probe_check_files();
        ucs_free(resources);
        return uct_md_query_empty_md_resource(resources_p, num_resources_p);
    }

    *resources_p     = resources;
    *num_resources_p = count;
    return UCS_OK;
}

static ucs_status_t uct_efa_component_md_open(uct_component_t *component,
                                              const char *md_name,
                                              const uct_md_config_t *config,
                                              uct_md_h *md_p)
{
    return uct_efa_md_open(component, &uct_efa_md_ops, md_name, config, md_p);
}

static ucs_status_t uct_efa_component_cm_open(uct_component_t *component,
                                              uct_worker_h worker,
                                              const uct_cm_config_t *config,
                                              uct_cm_h *cm_p)
{
    (void)component;
    (void)worker;
    (void)config;
    (void)cm_p;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t uct_efa_component_rkey_ptr(uct_component_t *component,
                                               uct_rkey_t rkey, void *handle,
                                               uint64_t remote_addr,
                                               void **local_addr_p)
{
    (void)component;
    (void)rkey;
    (void)handle;
    (void)remote_addr;
    (void)local_addr_p;
    return UCS_ERR_UNSUPPORTED;
}

static ucs_status_t uct_efa_component_rkey_release(uct_component_t *component,
                                                   uct_rkey_t rkey,
                                                   void *handle)
{
    (void)component;
    (void)rkey;
    (void)handle;
    return UCS_OK;
}

static void uct_efa_component_md_vfs_init(uct_md_h md)
{
    (void)md;
}

UCT_EFA_RKEY_UNPACK_DEFINE(uct_efa_component_rkey_unpack, uct_efa_rkey_unpack)

/* Registered together with its transport, by srd_tl.c. Not `efa`: that is a
 * module of UCX's ib. */
uct_component_t uct_efa_component = {
    .name               = "efasrd",
    .query_md_resources = uct_efa_component_query_mds,
    .md_open            = uct_efa_component_md_open,
    .cm_open            = uct_efa_component_cm_open,
    .rkey_unpack        = uct_efa_component_rkey_unpack,
    .rkey_ptr           = uct_efa_component_rkey_ptr,
    .rkey_release       = uct_efa_component_rkey_release,
    UCT_EFA_COMPONENT_RKEY_COMPARE
    .md_config          = {
        .name           = "EFA memory domain",
        .prefix         = "EFA_",
        .table          = uct_efa_md_config_table,
        .size           = sizeof(uct_efa_md_config_t)
    },
    .cm_config          = UCS_CONFIG_EMPTY_GLOBAL_LIST_ENTRY,
    .tl_list            = UCT_COMPONENT_TL_LIST_INITIALIZER(&uct_efa_component),
    .flags              = 0,
    .md_vfs_init        = uct_efa_component_md_vfs_init
};
