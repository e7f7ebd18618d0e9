/*
 * See efa_module.h.
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/host/efa_module.h"
#include "uct/ib/efa/loader/objects.h"

#include <unistd.h>

#ifndef UCX_EFA_MODULE_DIR
#define UCX_EFA_MODULE_DIR "/usr/local/lib/ucx"
#endif

bool efa_module_find(const char *self_dir, const char *build_dir,
                     const char *installed_dir, const char *file,
                     char path[PATH_MAX])
{
    /* PREFIX/lib/... relative to PREFIX/bin */
    const char *relative = strstr(installed_dir, "/lib");

    if ((snprintf(path, PATH_MAX, "%s/%s/.libs/%s", self_dir, build_dir, file) <
         PATH_MAX) &&
        (access(path, R_OK) == 0)) {
        return true;
    }

    if ((relative != NULL) &&
        (snprintf(path, PATH_MAX, "%s/..%s/%s", self_dir, relative, file) <
         PATH_MAX) &&
        (access(path, R_OK) == 0)) {
        return true;
    }

    return (snprintf(path, PATH_MAX, "%s/%s", installed_dir, file) <
            PATH_MAX) &&
           (access(path, R_OK) == 0);
}

int efa_module_versions(const char *self_dir,
                        char text[EFA_MODULE_VERSIONS_MAX])
{
    const char *relative = strstr(UCX_EFA_MODULE_DIR, "/lib");
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/../uct/ib/efa/.libs", self_dir);
    if (ucx_efa_versions(path, text, EFA_MODULE_VERSIONS_MAX)) {
        return 1;
    }

    snprintf(path, sizeof(path), "%s/..%s", self_dir,
             (relative == NULL) ? "/lib/ucx" : relative);
    return ucx_efa_versions(path, text, EFA_MODULE_VERSIONS_MAX) ||
           ucx_efa_versions(UCX_EFA_MODULE_DIR, text, EFA_MODULE_VERSIONS_MAX);
}

int efa_module_versions_has(const char *text, const char *version)
{
    size_t length = strlen(version);
    const char *found;

    for (found = strstr(text, version); found != NULL;
         found = strstr(found + 1, version)) {
        if (((found == text) || (found[-1] == ' ')) &&
            ((found[length] == '\0') || strchr(",-", found[length]))) {
            return 1;
        }
    }
    return 0;
}
