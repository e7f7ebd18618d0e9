/*
 * See loader_module.h.
 */
#define _GNU_SOURCE
#include "ucx_efa_config.h"
#include "loader_module.h"
#include "objects.h"

#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

#define LOADER_FILE "libuct_" LOADER_MODULE ".so.0"

static struct {
    int (*fits)(const char *libuct);
    int (*open)(const char *libuct);
} loader_module;

/* Build tree and installation, which may have been moved (a wheel): beside this
 * file and below; where configure said; then below UCX's own directory. */
static int loader_find_module(const char *libuct, char path[PATH_MAX])
{
    char self_dir[PATH_MAX], uct_dir[PATH_MAX];
    const struct {
        const char *dir, *subdir;
    } places[] = {
        {self_dir, ""}, {self_dir, "/ucx"}, {UCX_EFA_MODULE_DIR, ""},
        {uct_dir, "/ucx"}
    };
    Dl_info info;
    size_t i;

    if (dladdr((void *)loader_module_fits, &info) == 0 ||
        (realpath(info.dli_fname, self_dir) == NULL)) {
        strcpy(self_dir, "./");
    }
    ucx_efa_dirname(self_dir);
    snprintf(uct_dir, sizeof(uct_dir), "%s", libuct);
    ucx_efa_dirname(uct_dir);

    for (i = 0; i < sizeof(places) / sizeof(places[0]); ++i) {
        if ((snprintf(path, PATH_MAX, "%s%s/" LOADER_FILE, places[i].dir,
                      places[i].subdir) < PATH_MAX) &&
            (access(path, R_OK) == 0)) {
            return 1;
        }
    }
    return 0;
}

int loader_module_fits(const char *libuct)
{
    char path[PATH_MAX];
    void *module;

    if (!loader_find_module(libuct, path)) {
        ucx_efa_say("srd is not available: " LOADER_FILE
                    " is neither in " UCX_EFA_MODULE_DIR
                    " nor beside UCX; install ucx-efa "
                    "completely (make install)");
        return 0;
    }

    module = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (module == NULL) {
        ucx_efa_say("srd is not available: %s; install ucx-efa completely "
                    "(make install)",
                    dlerror());
        return 0;
    }

    *(void **)&loader_module.fits = dlsym(module, "ucx_efasrd_fits");
    *(void **)&loader_module.open = dlsym(module, "ucx_efasrd_open");
    if ((loader_module.fits == NULL) || (loader_module.open == NULL)) {
        ucx_efa_say(
                "srd is not available: %s is not of ucx-efa " PACKAGE_VERSION
                "; install ucx-efa completely (make "
                "install)",
                path);
        return 0;
    }

    return loader_module.fits(libuct);
}

int loader_module_open(const char *libuct)
{
    return loader_module.open(libuct);
}
