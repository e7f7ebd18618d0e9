/*
 * libuct_efasrd.so: the module as UCX sees it. It looks whether there is a
 * transport for this very UCX before anything of a transport is loaded.
 *
 *   loader ------------ ucx_efasrd_fits(), ucx_efasrd_open() --.
 *   UCX's own scan (from 1.22 on, UCX_PLUGIN_PATH)             |
 *      '-- ucs_module_global_init() ---------------------------+
 *                                                              v
 *          the libuct that asks    its layout: assertions, statistics
 *          libucp beside it        ucp_get_version()
 *          libefasrd-1.22.so       beside this file, if there is one
 *          ucx_efa_bind()          to that libuct, whatever its file name is
 *          ucx_efasrd_register()   of the transport
 *
 * A transport shares structures with libuct. In another minor version of UCX,
 * or in one that was configured otherwise, it overwrites memory, or symbols are
 * missing. So this file needs libc only, and there is one libefasrd-VERSION.so
 * for each UCX, as many beside each other as were installed.
 */
#define _GNU_SOURCE
#include "bind.h"
#include "module.h"
#include "objects.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

/* UCX of one process that have srd; there is rarely more than one */
#define MODULE_UCX_MAX 4

typedef void (*ucp_get_version_func_t)(unsigned *major, unsigned *minor,
                                       unsigned *release);

int ucs_module_global_init(void) __attribute__((visibility("default")));
int ucx_efasrd_fits(const char *libuct) __attribute__((visibility("default")));
int ucx_efasrd_open(const char *libuct)
    __attribute__((visibility("default")));

/* What follows a refusal where UCX has a srd of its own */
static const char *module_own_srd = ", or take UCX's own srd: efarun "
                                    "--transport upstream";

static char module_path[PATH_MAX + 64]; /* of the transport that fits */

/* What was opened: a transport can be bound to one UCX */
static struct {
    void *transport, *uct;
} module_opened[MODULE_UCX_MAX];

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
    if (dladdr((void *)ucx_efasrd_fits, &info) != 0) {
        if (!follow || (realpath(info.dli_fname, dir) == NULL)) {
            snprintf(dir, PATH_MAX, "%s", info.dli_fname);
        }
    }
    ucx_efa_dirname(dir);
}

/* libucp as a file, where nobody has loaded it: under the usual name, or under
 * one with a hash in it. */
static int module_find_ucp(const char *dir, char path[PATH_MAX])
{
    static const char *const prefixes[] = {"libucp.so.0", "libucp-"};
    struct dirent *entry;
    size_t i;
    int found = 0;
    DIR *list;

    for (i = 0; !found && (i < sizeof(prefixes) / sizeof(prefixes[0])); ++i) {
        list = opendir(dir);
        while ((list != NULL) && !found && ((entry = readdir(list)) != NULL)) {
            found = !strncmp(entry->d_name, prefixes[i], strlen(prefixes[i])) &&
                    (snprintf(path, PATH_MAX, "%s/%s", dir, entry->d_name) <
                     PATH_MAX);
        }
        if (list != NULL) {
            closedir(list);
        }
    }
    return found;
}

/* Which version is it? libucs and libuct do not tell, libucp does; it lies
 * beside them, and most programs have it loaded already. */
static ucp_get_version_func_t module_ucp_version(const char *libuct, void *uct)
{
    ucx_efa_object_t object;
    char dir[PATH_MAX];
    void *ucp;

    /* All of UCX in one library */
    if (dlsym(uct, "ucp_get_version") != NULL) {
        return (ucp_get_version_func_t)dlsym(uct, "ucp_get_version");
    }

    /* The one that is there first: in a wheel libucp.so and libucp.so.0 may be
     * two files, and two copies of libucp are two sets of settings. */
    ucp = module_loaded("libucp.so.0");
    if (module_is_beside(ucp, uct)) {
        goto out;
    }

    snprintf(dir, sizeof(dir), "%s", libuct);
    ucx_efa_dirname(dir);
    ucp = (ucx_efa_object_find(&object, dir, "libucp") ||
           module_find_ucp(dir, object.path)) ?
                  dlopen(object.path, RTLD_LAZY | RTLD_LOCAL) :
                  NULL;

out:
    return !module_is_beside(ucp, uct) ?
                   NULL :
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

/* Are a group's fields for assertions there? They follow its first word, and
 * whoever has them initializes them. */
static int module_has_assert(void *uct)
{
    void (*group_init)(void *group);
    void *words[8];

    *(void **)&group_init = dlsym(uct, "ucs_arbiter_group_init");
    if (group_init == NULL) {
        return 0;
    }

    memset(words, 0xff, sizeof(words));
    group_init(words);
    return (words[1] != words[7]) || (words[2] != words[7]);
}

/* Looks for the transport of that version; says what there is instead. */
static int module_find(const char *libuct, void *uct, unsigned major,
                       unsigned minor, unsigned release)
{
    int has_assert = module_has_assert(uct);
    int has_stats  = dlsym(uct, "ucs_stats_node_free") != NULL;
    char file[64];
    char versions[256];
    char dir[PATH_MAX];
    const char *own;

    snprintf(file, sizeof(file), UCX_EFA_TRANSPORT "%u.%u%s%s.so", major, minor,
             has_assert ? "-assert" : "", has_stats ? "-stats" : "");
    if (module_find_in(dir, file)) {
        return 1;
    }

    own = ucx_efa_has_own_srd(libuct) ? module_own_srd : "";
    /* dir is that of a build tree now */
    if (!ucx_efa_versions(dir, versions, sizeof(versions))) {
        module_self_dir(dir, 1);
    }
    if (ucx_efa_versions(dir, versions, sizeof(versions))) {
        ucx_efa_say("srd is not available: ucx-efa was built for UCX %s, but "
                    "%s is %u.%u.%u%s%s; install or build ucx-efa for that "
                    "one%s",
                    versions, libuct, major, minor, release,
                    has_assert ? " with assertions" : "",
                    has_stats ? " with statistics" : "", own);
    } else {
        ucx_efa_say("srd is not available: %s is not in %s; install ucx-efa "
                    "completely (make install)%s",
                    file, dir, own);
    }
    return 0;
}

int ucx_efasrd_fits(const char *libuct)
{
    unsigned major, minor, release;
    ucp_get_version_func_t get_version;
    void *uct;

    uct = module_loaded(libuct);
    if (uct == NULL) {
        ucx_efa_say("srd is not available: %s is not loaded; reinstall UCX",
                    libuct);
        return 0;
    }

    get_version = module_ucp_version(libuct, uct);
    if (get_version == NULL) {
        ucx_efa_say("srd is not available: the version of UCX is unknown, "
                    "libucp.so.0 beside %s is missing or broken; reinstall UCX",
                    libuct);
        return 0;
    }

    get_version(&major, &minor, &release);
    return module_find(libuct, uct, major, minor, release);
}

/* Is the transport free for this UCX? Remembers that it is its now. */
static int module_take(void *transport, void *uct, const char *libuct)
{
    size_t i;

    for (i = 0; i < MODULE_UCX_MAX; ++i) {
        if (module_opened[i].transport == NULL) {
            module_opened[i].transport = transport;
            module_opened[i].uct       = uct;
            return 1;
        } else if (module_opened[i].transport == transport) {
            break;
        }
    }

    if ((i == MODULE_UCX_MAX) || (module_opened[i].uct != uct)) {
        ucx_efa_say("srd is not available: another UCX of this process has "
                    "taken %s, %s goes without; make the program use one UCX",
                    module_path, libuct);
    }
    return 0;
}

int ucx_efasrd_open(const char *libuct)
{
    void *uct = module_loaded(libuct);
    void (*enlist)(void);
    void *transport;
    char why[256];

    transport = dlopen(module_path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (transport == NULL) {
        ucx_efa_say("srd is not available: %s; are libibverbs and libefa "
                    "installed (Debian: ibverbs-providers, RPM: libibverbs)?",
                    dlerror());
        return 0;
    }

    if (!module_take(transport, uct, libuct)) {
        return 0;
    }

    *(void **)&enlist = dlsym(transport, "ucx_efasrd_register");
    if (enlist == NULL) {
        ucx_efa_say("srd is not available: %s is of another ucx-efa; install "
                    "ucx-efa completely (make install)",
                    module_path);
        return 0;
    }

    if (!ucx_efa_bind(transport, uct, why, sizeof(why))) {
        ucx_efa_say("srd is not available: %s cannot be bound to %s: %s; build "
                    "ucx-efa with that UCX",
                    module_path, libuct, why);
        return 0;
    }

    enlist();
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
                    "libucs in %s that loads modules; reinstall UCX",
                    dir);
        return 0;
    }

    module_own_srd = "; srd is UCX's own here";
    if (ucx_efasrd_fits(object.path)) {
        ucx_efasrd_open(object.path);
    }
    return 0;
}
