/* See symbol.h. */
#define _GNU_SOURCE
#include "preload/symbol.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    char begin[32];                  /* "/libefa" */
    char path[4096];
} symbol_search_t;

static int symbol_find_library(struct dl_phdr_info *info, size_t size,
                               void *arg)
{
    symbol_search_t *search = arg;

    (void)size;
    if ((info->dlpi_name == NULL) ||
        (strstr(info->dlpi_name, search->begin) == NULL) ||
        (strlen(info->dlpi_name) >= sizeof(search->path))) {
        return 0;
    }

    strcpy(search->path, info->dlpi_name);
    return 1;
}

void *softefa_symbol_next(const char *library, const char *name)
{
    void *symbol = dlsym(RTLD_NEXT, name);
    symbol_search_t search;
    void *handle;

    if (symbol != NULL) {
        return symbol;
    }

    snprintf(search.begin, sizeof(search.begin), "/%s", library);
    if (!dl_iterate_phdr(symbol_find_library, &search)) {
        return NULL;
    }

    handle = dlopen(search.path, RTLD_LAZY | RTLD_NOLOAD);
    if (handle != NULL) {
        symbol = dlsym(handle, name);
        dlclose(handle);
    }
    return symbol;
}
