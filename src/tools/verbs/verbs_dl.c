/*
 * See verbs_dl.h.
 */
#include "tools/verbs/verbs_dl.h"

#include <dlfcn.h>
#include <stdio.h>

/* *func: the function's address; false: it is not in the library. */
static int dl_find(void *library, const char *name, void **func, char *error,
                   size_t max)
{
    *func = dlsym(library, name);
    if (*func == NULL) {
        snprintf(error, max, "%s", dlerror());
        return -1;
    }
    return 0;
}

int verbs_dl_open(verbs_dl_t *dl, char *error, size_t max)
{
    int ret = 0;

    dl->verbs = dlopen("libibverbs.so.1", RTLD_NOW | RTLD_GLOBAL);
    dl->efa   = (dl->verbs == NULL) ?
                        NULL :
                        dlopen("libefa.so.1", RTLD_NOW | RTLD_GLOBAL);
    if (dl->efa == NULL) {
        snprintf(error, max, "%s", dlerror());
        return -1;
    }

#define VERBS_DL_IBV_FIND(_name) \
    ret = ret ? ret : \
                dl_find(dl->verbs, "ibv_" #_name, (void **)&dl->_name, error, \
                        max);
#define VERBS_DL_EFADV_FIND(_name) \
    ret = ret ? ret : \
                dl_find(dl->efa, "efadv_" #_name, (void **)&dl->efa_##_name, \
                        error, max);
    VERBS_DL_IBV(VERBS_DL_IBV_FIND)
    VERBS_DL_EFADV(VERBS_DL_EFADV_FIND)
    return ret;
}
