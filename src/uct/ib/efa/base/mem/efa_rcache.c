/*
 * The cache's registrations, and how a wider access replaces a narrower one;
 * the picture is in efa_rcache.h.
 */
#include "base/ucx/ucx_compat.h"
#include "base/mem/efa_rcache.h"

#include <ucm/api/ucm.h>

#include <stdio.h>

/* The device's regions are there for all processes of the host; one does not
 * keep more than this part of them. */
#define UCT_EFA_RCACHE_DEVICE_SHARE 16

typedef struct {
    unsigned access;
    uint64_t flags;
    int      is_remote;
} uct_efa_rcache_arg_t;

static uct_efa_rcache_region_t *uct_efa_rcache_region(uct_efa_mem_t *mem)
{
    return ucs_container_of(mem, uct_efa_rcache_region_t, mem);
}

static ucs_status_t uct_efa_rcache_mem_reg(void *context, ucs_rcache_t *rcache,
                                           void *arg,
                                           ucs_rcache_region_t *rregion,
                                           uint16_t rcache_flags)
{
    uct_efa_rcache_region_t *region   = ucs_derived_of(rregion,
                                                       uct_efa_rcache_region_t);
    uct_efa_md_t *md                  = context;
    const uct_efa_rcache_arg_t *asked = arg;
    uct_efa_reg_params_t params       = UCT_EFA_REG_PARAMS_INIT(0);
    ucs_status_t status;
    size_t length;

    (void)rcache;
    if (asked == NULL) {
        return UCS_ERR_CANCELED; /* uct_efa_rcache_sweep() */
    }

    params.flags     = asked->flags;
    params.is_remote = asked->is_remote;

    /* The cache tries the memory merged with its neighbours first, and alone
     * if that fails: not an error yet, nor a reason to grant less to both */
    if (rcache_flags & UCS_RCACHE_MEM_REG_HIDE_ERRORS) {
        params.flags |= UCT_MD_MEM_FLAG_HIDE_ERRORS;
        params.is_exact = 1;
    }

    length                = rregion->super.end - rregion->super.start;
    region->asked         = asked->access;
    region->mem.is_cached = 1;
    status = uct_efa_mem_init(md, (void *)rregion->super.start, length,
                              asked->access, &params, &region->mem);
    if (status == UCS_OK) {
        pthread_mutex_lock(&md->regions_lock);
        ucs_list_add_tail(&md->regions, &region->list);
        ++md->num_regions;
        pthread_mutex_unlock(&md->regions_lock);
    }

    return status;
}

static void uct_efa_rcache_mem_dereg(void *context, ucs_rcache_t *rcache,
                                     ucs_rcache_region_t *rregion)
{
    uct_efa_md_t *md                = context;
    uct_efa_rcache_region_t *region = ucs_derived_of(rregion,
                                                     uct_efa_rcache_region_t);

    (void)rcache;
    pthread_mutex_lock(&md->regions_lock);
    ucs_list_del(&region->list);
    --md->num_regions;
    pthread_mutex_unlock(&md->regions_lock);
    uct_efa_mem_cleanup(md, &region->mem);
}

#if UCT_EFA_UCX(1, 18)
static void uct_efa_rcache_merge(void *context, ucs_rcache_t *rcache, void *arg,
                                 ucs_rcache_region_t *rregion)
{
    uct_efa_rcache_arg_t *asked = arg;

    (void)context;
    (void)rcache;
    if (asked != NULL) {
        asked->access |= ucs_derived_of(rregion, uct_efa_rcache_region_t)
                                 ->asked;
    }
}
#endif

static void uct_efa_rcache_dump(void *context, ucs_rcache_t *rcache,
                                ucs_rcache_region_t *rregion, char *buf,
                                size_t max)
{
    const uct_efa_mem_t *mem = &ucs_derived_of(rregion, uct_efa_rcache_region_t)
                                        ->mem;

    (void)context;
    (void)rcache;
    snprintf(buf, max, "access 0x%x lkey 0x%x rkey 0x%x", mem->access,
             mem->lkey, mem->rkey);
}

static ucs_rcache_ops_t uct_efa_rcache_ops = {
    .mem_reg     = uct_efa_rcache_mem_reg,
    .mem_dereg   = uct_efa_rcache_mem_dereg,
#if UCT_EFA_UCX(1, 18)
    .merge       = uct_efa_rcache_merge,
#endif
    .dump_region = uct_efa_rcache_dump
};

ucs_status_t uct_efa_rcache_init(uct_efa_md_t *md,
                                 ucs_ternary_auto_value_t mode,
                                 const uct_efa_rcache_config_t *config)
{
    ucs_rcache_params_t params;
    ucs_status_t status;

    md->rcache = NULL;
    ucs_list_head_init(&md->regions);
    pthread_mutex_init(&md->regions_lock, NULL);
    if (mode == UCS_NO) {
        return UCS_OK;
    }

    status = uct_efa_compat_rcache_check(config);
    if (status != UCS_OK) {
        return status;
    }

    uct_efa_compat_rcache_params(config, &params);
    params.region_struct_size = sizeof(uct_efa_rcache_region_t);
    params.ucm_events         = UCM_EVENT_VM_UNMAPPED;
    params.ops                = &uct_efa_rcache_ops;
    params.context            = md;
    params.max_regions =
            ucs_min(params.max_regions,
                    (unsigned long)ucs_max(md->dev.attr.max_mr /
                                                   UCT_EFA_RCACHE_DEVICE_SHARE,
                                           1));
    if (md->reg_mem_types & ~UCS_BIT(UCS_MEMORY_TYPE_HOST)) {
        params.ucm_events |= UCM_EVENT_MEM_TYPE_FREE;
    }

    status = ucs_rcache_create(&params, md->name, ucs_stats_get_root(),
                               &md->rcache);
    if (status == UCS_OK) {
        return UCS_OK;
    }

    md->rcache = NULL;
    if (mode == UCS_YES) {
        ucs_error("%s: cannot make a registration cache: %s; set "
                  "UCX_EFA_RCACHE=try to go on without",
                  md->name, ucs_status_string(status));
        return status;
    }

    ucs_debug("%s: no registration cache: %s", md->name,
              ucs_status_string(status));
    return UCS_OK;
}

void uct_efa_rcache_cleanup(uct_efa_md_t *md)
{
    if (md->rcache != NULL) {
        ucs_rcache_destroy(md->rcache);
    }

    pthread_mutex_destroy(&md->regions_lock);
}

/* References of users. The cache has one, too, to what can be found in it. */
static unsigned uct_efa_rcache_num_users(const uct_efa_rcache_region_t *region)
{
    return region->super.refcount -
           !!(region->super.flags & UCS_RCACHE_REGION_FLAG_PGTABLE);
}

static uct_efa_rcache_region_t *uct_efa_rcache_find_used(uct_efa_md_t *md)
{
    uct_efa_rcache_region_t *region;

    ucs_list_for_each(region, &md->regions, list) {
        if (uct_efa_rcache_num_users(region) > 0) {
            return region;
        }
    }

    return NULL;
}

void uct_efa_rcache_leaks(uct_efa_md_t *md, uct_efa_leak_t *leak)
{
    uct_efa_rcache_region_t *region;
    unsigned num;

    /* Their last reference may free them: from the start each time */
    while ((region = uct_efa_rcache_find_used(md)) != NULL) {
        uct_efa_mem_leaked(&region->mem, leak);
        for (num = uct_efa_rcache_num_users(region); num > 0; --num) {
            ucs_rcache_region_put(md->rcache, &region->super);
        }
    }
}

/* Takes the region out of the cache; its users keep it until they put it. */
static void uct_efa_rcache_retire(uct_efa_md_t *md,
                                  uct_efa_rcache_region_t *region,
                                  ucs_rcache_invalidate_comp_func_t func,
                                  void *arg)
{
    ucs_rcache_region_invalidate(md->rcache, &region->super, func, arg);
    ucs_rcache_region_put(md->rcache, &region->super);
}

static void uct_efa_rcache_retired(void *arg)
{
    (void)arg;
}

/* What was unmapped meanwhile is registered until the cache is next asked for
 * something that it has not. */
static void uct_efa_rcache_sweep(uct_efa_md_t *md)
{
    ucs_rcache_region_t *rregion;
    char nothing;

    if (uct_efa_compat_rcache_get(md->rcache, &nothing, sizeof(nothing), NULL,
                                  &rregion) == UCS_OK) {
        ucs_rcache_region_put(md->rcache, rregion);
    }
}

int uct_efa_rcache_give_back(uct_efa_md_t *md)
{
    uct_efa_rcache_region_t *region, *victim = NULL;
    unsigned num_regions = md->num_regions;

    if (num_regions == 0) {
        return 0;
    }

    uct_efa_rcache_sweep(md);
    if (md->num_regions < num_regions) {
        return 1;
    }

    /* In the cache, and by no other reference than the cache's own. One whose
     * last reference is being put has a count of 0; it leaves the list before
     * it is freed. */
    pthread_mutex_lock(&md->regions_lock);
    ucs_list_for_each(region, &md->regions, list) {
        if ((region->super.flags & UCS_RCACHE_REGION_FLAG_PGTABLE) &&
            (ucs_atomic_cswap32(&region->super.refcount, 1, 2) == 1)) {
            victim = region;
            break;
        }
    }
    pthread_mutex_unlock(&md->regions_lock);

    if (victim != NULL) {
        uct_efa_rcache_retire(md, victim, uct_efa_rcache_retired, NULL);
    }

    return victim != NULL;
}

/* Does the region grant less than was asked for, because of pages that are not
 * the caller's? */
static int uct_efa_rcache_is_poorer(const uct_efa_rcache_region_t *region,
                                    void *address, size_t length,
                                    unsigned access)
{
    size_t page = ucs_get_page_size();

    return ucs_unlikely(!ucs_test_all_flags(region->mem.access, access)) &&
           ((ucs_align_down_pow2(region->super.super.start, page) !=
             ucs_align_down_pow2((uintptr_t)address, page)) ||
            (ucs_align_up_pow2(region->super.super.end, page) !=
             ucs_align_up_pow2((uintptr_t)address + length, page)));
}

ucs_status_t uct_efa_rcache_get(uct_efa_md_t *md, void *address, size_t length,
                                unsigned access,
                                const uct_efa_reg_params_t *params,
                                uct_efa_mem_t **mem_p)
{
    uint64_t flags           = params->flags;
    uct_efa_rcache_arg_t arg = {access, flags | UCT_MD_MEM_FLAG_HIDE_ERRORS,
                                params->is_remote};
    uct_efa_rcache_region_t *region;
    ucs_rcache_region_t *rregion;
    ucs_status_t status;

    for (;;) {
        status = uct_efa_compat_rcache_get(md->rcache, address, length, &arg,
                                           &rregion);
        if (status != UCS_OK) {
            if ((status == UCS_ERR_NO_MEMORY) && uct_efa_rcache_give_back(md)) {
                continue;
            } else if (arg.flags != flags) {
                arg.flags = flags; /* once more, to say why */
                continue;
            }
            return status;
        }

        region = ucs_derived_of(rregion, uct_efa_rcache_region_t);
        if (ucs_likely(ucs_test_all_flags(region->asked, access))) {
            if (uct_efa_rcache_is_poorer(region, address, length, access)) {
                ucs_rcache_region_put(md->rcache, rregion);
                return UCS_ERR_NO_ELEM;
            }

            if (params->is_remote) {
                __atomic_store_n(&region->mem.is_remote, 1, __ATOMIC_RELAXED);
            }
            *mem_p = &region->mem;
            return UCS_OK;
        }

        /* Registered for less. Replace it by one for both, or two users would
         * replace each other's for ever. */
        arg.access |= region->asked;
        uct_efa_rcache_retire(md, region, uct_efa_rcache_retired, NULL);
    }
}

void uct_efa_rcache_put(uct_efa_md_t *md, uct_efa_mem_t *mem)
{
    ucs_rcache_region_put(md->rcache, &uct_efa_rcache_region(mem)->super);
}

static void uct_efa_rcache_invalidated(void *arg)
{
    uct_invoke_completion(arg, UCS_OK);
}

void uct_efa_rcache_invalidate(uct_efa_md_t *md, uct_efa_mem_t *mem,
                               uct_completion_t *comp)
{
    uct_efa_rcache_retire(md, uct_efa_rcache_region(mem),
                          uct_efa_rcache_invalidated, comp);
}
