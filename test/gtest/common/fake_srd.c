/*
 * Linked to the unit tests, and a library of its own that loader.sh preloads:
 * that one registers itself.
 */
#include "base/ucx/ucx_compat.h"
#include "base/md/efa_md.h"
#include "fake_srd.h"

#include <uct/base/uct_component.h>

#include <string.h>

#ifdef FAKE_SRD_PRELOADED
#  define FAKE_SRD_CTOR __attribute__((constructor))
#  define FAKE_SRD_DTOR __attribute__((destructor))
#else
#  define FAKE_SRD_CTOR
#  define FAKE_SRD_DTOR
#endif

static uct_tl_t fake_srd;

static ucs_config_field_t fake_srd_table[] = {
    {"", "", NULL, 0, UCS_CONFIG_TYPE_TABLE(uct_iface_config_table)},
    {"FAKE", "n", "Of the transport that is not ours",
     sizeof(uct_iface_config_t), UCS_CONFIG_TYPE_BOOL},
    {.name = NULL}
};

static uct_component_t *fake_srd_component(const char *name)
{
    uct_component_t *component;

    ucs_list_for_each(component, &uct_components_list, list) {
        if (strcmp(component->name, name) == 0) {
            return component;
        }
    }
    return NULL;
}

FAKE_SRD_CTOR void fake_srd_register(void)
{
    uct_component_t *self = fake_srd_component("self");
    uct_tl_t *tl          = ucs_list_head(&self->tl_list, uct_tl_t, list);

    fake_srd = *tl;
    strcpy(fake_srd.name, "srd");
    fake_srd.config.name   = "srd transport";
    fake_srd.config.prefix = "SRD_";
    fake_srd.config.table  = fake_srd_table;
    fake_srd.config.size   = sizeof(uct_iface_config_t) + sizeof(int);
    uct_tl_register(self, &fake_srd);
}

FAKE_SRD_DTOR void fake_srd_unregister(void)
{
    uct_tl_unregister(&fake_srd);
}

#ifndef FAKE_SRD_PRELOADED
unsigned fake_srd_count_transports(void)
{
    uct_component_t *component;
    unsigned count = 0;
    uct_tl_t *tl;

    ucs_list_for_each(component, &uct_components_list, list) {
        ucs_list_for_each(tl, &component->tl_list, list) {
            count += !strcmp(tl->name, "srd");
        }
    }
    return count;
}

unsigned fake_srd_count_tables(void)
{
    ucs_config_global_list_entry_t *entry;
    unsigned count = 0;

    ucs_list_for_each(entry, &ucs_config_global_list, list) {
        count += (entry->prefix != NULL) && !strcmp(entry->prefix, "SRD_");
    }
    return count;
}

int fake_srd_query_ours(void)
{
    uct_component_attr_t attr = {
        .field_mask = UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT
    };

    return uct_component_query(&uct_efa_component, &attr);
}
#endif
