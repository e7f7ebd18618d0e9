/*
 * libuct_efasrd.so: the module as UCX sees it. It looks whether there is a
 * transport for this very UCX before anything of a transport is loaded.
 *
 *   loader ------------ ucx_efasrd_fits(), ucx_efasrd_open() --.
 *   UCX's own scan (from 1.22 on, UCX_PLUGIN_PATH)             |
 *      '-- ucs_module_global_init() ---------------------------+
 *                                                              v
 *          the libuct that asks    the one that `libuct.so.0` means?
 *          libucp beside it        ucp_get_version()
 *          libefasrd-1.22.so       beside this file, if there is one
 *
 * A transport shares structures with libuct. In another minor version of UCX
 * it overwrites memory, or symbols are missing, of which UCX says nothing;
 * with another copy of UCX than the one it links with (a Python wheel's), there
 * are two UCX in the process. So this file needs libc only, and there is one
 * libefasrd-VERSION.so for each UCX, as many beside each other as were
 * installed.
 */
#define _GNU_SOURCE
#include "module.h"
#include "objects.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#define MODULE_STATS "-stats"

typedef void (*ucp_get_version_func_t)(unsigned *major, unsigned *minor,
                                       unsigned *release);

int ucs_module_global_init(void) __attribute__((visibility("default")));
int ucx_efasrd_fits(const char *libuct) __attribute__((visibility("default")));
int ucx_efasrd_open(void) __attribute__((visibility("default")));

/* What follows a refusal where UCX has a srd of its own */
static const char *module_own_srd = ", or take UCX's own srd: efarun "
                                    "--transport upstream";

static char module_path[PATH_MAX + 64]; /* of the transport that fits */

/* A handle of an object that is loaded already, else NULL. */
static void *module_loaded(const char *name)
{
    return dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
}

/* Does a library use, or contain, the same libuct? */
static int module_is_beside(void *library, void *uct)
{
    return (library != NULL) && (dlsym(library, "uct_component_register") ==
                                 dlsym(uct, "uct_component_register"));
}

/* The directory of this file, links followed or as it was named. */
static void module_self_dir(char dir[PATH_MAX], int follow)
{
    Dl_info info;

    strcpy(dir, "./");
    if (dladdr((void*)ucx_efasrd_fits, &info) != 0) {
        if (!follow || (realpath(info.dli_fname, dir) == NULL)) {
            snprintf(dir, PATH_MAX, "%s", info.dli_fname);
        }
    }
    ucx_efa_dirname(dir);
}

/* Which version is it? libucs and libuct do not tell, libucp does; it lies
 * beside them, and most programs have it loaded already. */
static ucp_get_version_func_t module_ucp_version(const char *libuct, void *uct)
{
    ucx_efa_object_t object;
    char dir[PATH_MAX];
    char path[PATH_MAX + 16];
    void *ucp;

    /* The one that is there first: in a wheel libucp.so and libucp.so.0 may be
     * two files, and two copies of libucp are two sets of settings. */
    ucp = module_loaded("libucp.so.0");
    if (module_is_beside(ucp, uct)) {
        goto out;
    }

    snprintf(dir, sizeof(dir), "%s", libuct);
    ucx_efa_dirname(dir);
    if (ucx_efa_object_find(&object, dir, "libucp")) {
        ucp = dlopen(object.path, RTLD_LAZY | RTLD_LOCAL);
    } else {
        snprintf(path, sizeof(path), "%s/libucp.so.0", dir);
        ucp = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
        if (ucp == NULL) {
            ucp = dlopen("libucp.so.0", RTLD_LAZY | RTLD_LOCAL);
        }
    }

out:
    return !module_is_beside(ucp, uct) ? NULL :
           (ucp_get_version_func_t)dlsym(ucp, "ucp_get_version");
}

/* Where transports lie: beside this file, which may be a link; in a build tree
 * one directory above. */
static int module_find_in(char dir[PATH_MAX], const char *file)
{
    static const char *const subdirs[] = {"", "/../../.libs"};
    size_t i, length;
    int follow;

    for (i = 0; i < 2; ++i) {
        for (follow = 1; follow >= 0; --follow) {
            module_self_dir(dir, follow);
            length = strlen(dir);
            if (snprintf(dir + length, PATH_MAX - length, "%s", subdirs[i]) >=
                (int)(PATH_MAX - length)) {
                continue;
            }
            snprintf(module_path, sizeof(module_path), "%s/%s", dir, file);
            if (access(module_path, R_OK) == 0) {
                return 1;
            }
        }
    }
    return 0;
}

/* Looks for the transport of that version; says what there is instead. */
static int module_find(const char *libuct, unsigned major, unsigned minor,
                       unsigned release, int stats)
{
    char file[64], other[64];
    char versions[256];
    char dir[PATH_MAX];
    const char *own;

    snprintf(file, sizeof(file), UCX_EFA_TRANSPORT "%u.%u%s.so", major, minor,
             stats ? MODULE_STATS : "");
    if (module_find_in(dir, file)) {
        return 1;
    }

    own = ucx_efa_has_own_srd(libuct) ? module_own_srd : "";
    snprintf(other, sizeof(other), UCX_EFA_TRANSPORT "%u.%u%s.so", major, minor,
             stats ? "" : MODULE_STATS);
    if (module_find_in(dir, other)) {
        ucx_efa_say("srd is not available: ucx-efa was built for a UCX %s "
                    "statistics, but %s was built %s them; build ucx-efa with "
                    "this one%s", stats ? "without" : "with", libuct,
                    stats ? "with" : "without", own);
        return 0;
    }

    /* dir is that of a build tree now */
    if (!ucx_efa_versions(dir, versions, sizeof(versions))) {
        module_self_dir(dir, 1);
    }
    if (ucx_efa_versions(dir, versions, sizeof(versions))) {
        ucx_efa_say("srd is not available: ucx-efa was built for UCX %s, but "
                    "%s is %u.%u.%u; build ucx-efa with that version%s",
                    versions, libuct, major, minor, release, own);
    } else {
        ucx_efa_say("srd is not available: %s is not in %s; install ucx-efa "
                    "completely (make install)%s", file, dir, own);
    }
    return 0;
}

int ucx_efasrd_fits(const char *libuct)
{
    unsigned major, minor, release;
    ucp_get_version_func_t get_version;
    void *same, *uct;
    int is_same;

    uct = module_loaded(libuct);
    if (uct == NULL) {
        ucx_efa_say("srd is not available: %s is not loaded; reinstall UCX",
                    libuct);
        return 0;
    }

    get_version = module_ucp_version(libuct, uct);
    major = minor = release = 0;
    if (get_version != NULL) {
        get_version(&major, &minor, &release);
    }

    /* What the transport's dependency libuct.so.0 would be bound to */
    same    = module_loaded("libuct.so.0");
    is_same = module_is_beside(same, uct);
    if (same != NULL) {
        dlclose(same);
    }
    if (!is_same) {
        ucx_efa_say("srd is not available: this program brings a UCX of its "
                    "own, %s, which is not the system's; make it use that "
                    "(ucx-py: RAPIDS_LIBUCX_PREFER_SYSTEM_LIBRARY=1)%s", libuct,
                    ucx_efa_has_own_srd(libuct) ? module_own_srd : "");
        return 0;
    }

    if (get_version == NULL) {
        ucx_efa_say("srd is not available: the version of UCX is unknown, "
                    "libucp.so.0 beside %s is missing or broken; reinstall UCX",
                    libuct);
        return 0;
    }

    return module_find(libuct, major, minor, release,
                       dlsym(uct, "ucs_stats_node_free") != NULL);
}

int ucx_efasrd_open(void)
{
    /* Its constructor registers it */
    if (dlopen(module_path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE) == NULL) {
        ucx_efa_say("srd is not available: %s; are libibverbs and libefa "
                    "(Debian: ibverbs-providers) installed?", dlerror());
        return 0;
    }

    return 1;
}

/*
 * UCX has loaded this file by itself. Called by libucs; libuct lies beside it.
 * Always UCS_OK: UCX would close us after an error.
 */
int ucs_module_global_init(void)
{
    ucx_efa_object_t object;
    char dir[PATH_MAX] = "";
    Dl_info info;

    if (dladdr(__builtin_return_address(0), &info) != 0) {
        snprintf(dir, sizeof(dir), "%s", info.dli_fname);
        ucx_efa_dirname(dir);
    }

    if (!ucx_efa_object_find(&object, dir, "libuct")) {
        ucx_efa_say("srd is not available: no libuct is loaded beside the "
                    "libucs in %s that loads modules; reinstall UCX", dir);
        return 0;
    }

    module_own_srd = "; srd is UCX's own here";
    if (ucx_efasrd_fits(object.path)) {
        ucx_efasrd_open();
    }
    return 0;
}
