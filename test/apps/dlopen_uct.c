/*
 *   dlopen_uct [LIBUCT...]
 *
 * Opens libuct as a plugin of some program would: by dlopen, RTLD_LOCAL, with
 * nothing of UCX linked. Prints the names of UCX's components; of each LIBUCT,
 * all of which are opened before.
 */
#include <dlfcn.h>
#include <stdio.h>

#include <uct/api/uct.h>

#define UCT_MAX 4

static int print_components(void *uct)
{
    ucs_status_t (*query)(uct_component_h * *components, unsigned *count);
    ucs_status_t (*query_one)(uct_component_h component,
                              uct_component_attr_t * attr);
    uct_component_attr_t attr;
    uct_component_h *components;
    unsigned count, i;

    query     = (ucs_status_t(*)(uct_component_h **,
                             unsigned *))dlsym(uct, "uct_query_components");
    query_one = (ucs_status_t(*)(uct_component_h, uct_component_attr_t *))
            dlsym(uct, "uct_component_query");
    if ((query == NULL) || (query_one == NULL) ||
        (query(&components, &count) != UCS_OK)) {
        return 1;
    }

    for (i = 0; i < count; ++i) {
        attr.field_mask = UCT_COMPONENT_ATTR_FIELD_NAME |
                          UCT_COMPONENT_ATTR_FIELD_MD_RESOURCE_COUNT;
        if (query_one(components[i], &attr) != UCS_OK) {
            return 1;
        }
        printf("%s %u\n", attr.name, attr.md_resource_count);
    }
    return 0;
}

int main(int argc, char **argv)
{
    int count = (argc > 1) ? argc - 1 : 1;
    void *uct[UCT_MAX];
    int i;

    for (i = 0; (i < count) && (i < UCT_MAX); ++i) {
        uct[i] = dlopen((argc > 1) ? argv[i + 1] : "libuct.so.0",
                        RTLD_NOW | RTLD_LOCAL);
        if (uct[i] == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
    }

    for (i = 0; (i < count) && (i < UCT_MAX); ++i) {
        if (print_components(uct[i]) != 0) {
            return 1;
        }
    }
    return 0;
}
