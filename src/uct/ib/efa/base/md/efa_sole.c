/*
 * One srd in a process, and it is this one.
 *
 *   UCX's own (from 1.19 on, where it was built with EFA) belongs to component
 *   `ib`. With both listed, UCP would take whichever comes first, and UCX_SRD_*
 *   would mean two things. So whoever loads us has us: every other transport of
 *   that name is taken off
 *     - the list of its component, from which UCX makes its list of resources
 *     - the list of all configuration tables
 *   and left as lists of its own, so that its module may still unregister it.
 *
 *   ib is loaded before us    here, when we are registered
 *   ib is loaded after us     it stands behind us in the list of components;
 *                             UCX asks us for our devices first, and so we are
 *                             here again before it asks ib
 *
 * UCX_MODULES=^efasrd keeps us out, and UCX's own in.
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_md.h"

#include <pthread.h>
#include <string.h>

static void uct_efa_sole_remove(ucs_list_link_t *link)
{
    ucs_list_del(link);
    ucs_list_head_init(link);
}

void uct_efa_sole_srd(const uct_component_t *ours)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    uct_component_t *component;
    uct_tl_t *tl, *next;

    pthread_mutex_lock(&lock);
    ucs_list_for_each(component, &uct_components_list, list) {
        if (component == ours) {
            continue;
        }

        ucs_list_for_each_safe(tl, next, &component->tl_list, list) {
            if (strcmp(tl->name, "srd") == 0) {
                uct_efa_sole_remove(&tl->list);
                uct_efa_sole_remove(&tl->config.list);
                ucs_info("srd is that of ucx-efa, not component %s's; for "
                         "that one set UCX_MODULES=^efasrd",
                         component->name);
            }
        }
    }
    pthread_mutex_unlock(&lock);
}
