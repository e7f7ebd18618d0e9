/*
 * The loader: brings the srd transport into a UCX that does not know it.
 *
 *   libuct:  ucs_load_modules("uct", ":ib:rdmacm:cma", ...)
 *     |
 *     '--> here (preloaded, so the first of that name)
 *            |-- ib and rdmacm taken off the list if all verbs devices are EFA
 *            |-- the real ucs_load_modules
 *            '-- once: UCX of our version?  -> dlopen libuct_ib_efa.so.0
 *
 * The module is opened by its path instead of being added to the list: UCX
 * searches its own directory first, which may hold an older copy of ours, or
 * upstream's module of the same name, and from 1.22 on it ignores the list. By
 * opening it here the check below comes before any of its code runs, whatever
 * the version. UCX_MODULES is respected as if UCX had loaded it.
 *
 * A module that was built for another minor version of UCX would overwrite
 * memory: structures differ. So would one that finds itself beside another
 * copy of UCX (a Python wheel's) than the one it links with.
 *
 * It is loaded into every child process: libc only, no constructor, and not a
 * word unless somebody uses UCX and cannot have srd.
 */
#define _GNU_SOURCE
#include "ucx_efa_config.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#ifdef UCX_EFA_TEST_UCX_MINOR
#  undef UCX_EFA_UCX_MINOR
#  define UCX_EFA_UCX_MINOR UCX_EFA_TEST_UCX_MINOR
#endif

#define LOADER_MODULE     "ib_efa"
#define LOADER_FILE       "libuct_" LOADER_MODULE ".so.0"
#define LOADER_VENDOR_EFA 0x1d0f
#define LOADER_VERBS_DIR  "/sys/class/infiniband_verbs"

typedef void (*ucs_load_modules_func_t)(const char *framework,
                                        const char *modules, void *init_once,
                                        unsigned flags);

typedef enum {
    LOADER_VERBS_NONE,  /* no verbs device                     */
    LOADER_VERBS_EFA,   /* EFA devices only, Soft-EFA included */
    LOADER_VERBS_MIXED  /* another device too                  */
} loader_verbs_t;

void ucs_load_modules(const char *framework, const char *modules,
                      void *init_once, unsigned flags)
    __attribute__((visibility("default")));

__attribute__((format(printf, 1, 2)))
static void loader_say(const char *format, ...)
{
    char line[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, "ucx-efa: %s\n", line);
}

/* A handle of an object that is loaded already, else NULL. */
static void *loader_loaded(const char *name)
{
    return dlopen(name, RTLD_LAZY | RTLD_NOLOAD);
}

/*
 * The real function, for a caller in libuct, libucs or libucm. dlsym() on a
 * handle searches the object and its dependencies, and we are none of those.
 * Not RTLD_NEXT: that does not see a UCX that was loaded with RTLD_LOCAL.
 */
static ucs_load_modules_func_t loader_real(const char *caller)
{
    const char *names[] = {caller, "libucs.so.0"};
    void *handle, *func;
    size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        handle = (names[i] == NULL) ? NULL : loader_loaded(names[i]);
        if (handle == NULL) {
            continue;
        }

        func = dlsym(handle, "ucs_load_modules");
        dlclose(handle); /* it stays: somebody else has loaded it */
        if ((func != NULL) && (func != (void*)ucs_load_modules)) {
            return (ucs_load_modules_func_t)func;
        }
    }

    return NULL;
}

static unsigned long loader_read_hex(const char *device, const char *attribute)
{
    char path[PATH_MAX];
    unsigned value = 0;
    FILE *file;

    snprintf(path, sizeof(path), LOADER_VERBS_DIR "/%s/device/%s", device,
             attribute);
    file = fopen(path, "re");
    if (file != NULL) {
        if (fscanf(file, "%x", &value) != 1) {
            value = 0;
        }
        fclose(file);
    }
    return value;
}

/* Soft-EFA has no PCI files, but a modalias as every PCI device. */
static int loader_is_efa(const char *device)
{
    char path[PATH_MAX];
    unsigned vendor = 0;
    FILE *file;

    vendor = loader_read_hex(device, "vendor");
    if (vendor == 0) {
        snprintf(path, sizeof(path), LOADER_VERBS_DIR "/%s/device/modalias",
                 device);
        file = fopen(path, "re");
        if (file != NULL) {
            if (fscanf(file, "pci:v%8x", &vendor) != 1) {
                vendor = 0;
            }
            fclose(file);
        }
    }
    return vendor == LOADER_VENDOR_EFA;
}

static loader_verbs_t loader_verbs_devices(void)
{
    loader_verbs_t verbs = LOADER_VERBS_NONE;
    struct dirent *entry;
    DIR *dir;

    dir = opendir(LOADER_VERBS_DIR);
    if (dir == NULL) {
        return verbs;
    }

    while ((entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, "uverbs", strlen("uverbs"))) {
            continue;
        }
        if (!loader_is_efa(entry->d_name)) {
            verbs = LOADER_VERBS_MIXED;
            break;
        }
        verbs = LOADER_VERBS_EFA;
    }

    closedir(dir);
    return verbs;
}

/* As UCX reads a boolean. The module documents the option (ucx_info -f). */
static int loader_option_is_set(const char *variable)
{
    const char *value = getenv(variable);

    return (value != NULL) &&
           (!strcasecmp(value, "y") || !strcasecmp(value, "yes") ||
            !strcasecmp(value, "on") || !strcmp(value, "1"));
}

/* list: separated by any of delimiters. */
static int loader_list_has(const char *list, const char *delimiters,
                           const char *name)
{
    size_t length;

    for (;;) {
        list  += strspn(list, delimiters);
        length = strcspn(list, delimiters);
        if (length == 0) {
            return 0;
        }
        if ((length == strlen(name)) && !strncmp(list, name, length)) {
            return 1;
        }
        list += length;
    }
}

/* UCX_MODULES: "all", a list of what is allowed, or ^ and what is not. */
static int loader_is_allowed(void)
{
    const char *list = getenv("UCX_MODULES");

    if ((list == NULL) || (*list == '\0') || !strcmp(list, "all")) {
        return 1;
    }
    if (*list == '^') {
        return !loader_list_has(list + 1, ",", LOADER_MODULE);
    }
    return loader_list_has(list, ",", LOADER_MODULE);
}

/*
 * UCX's `ib` would open EFA devices too and print errors about CQs that they
 * do not offer. `rdmacm` links with it, so it would bring it back. Copies
 * modules into kept without them; kept has room for all.
 */
static void loader_drop_ib(const char *modules, char *kept)
{
    size_t length;

    for (*kept = '\0'; *modules != '\0'; modules += length) {
        modules += (*modules == ':');
        length   = strcspn(modules, ":");
        if (((length == 2) && !strncmp(modules, "ib", length)) ||
            ((length == 6) && !strncmp(modules, "rdmacm", length)) ||
            (length == 0)) {
            continue;
        }
        strcat(kept, ":");
        strncat(kept, modules, length);
    }
}

/* Cuts a path at its last slash; "." if there is none. */
static void loader_dirname(char *path)
{
    char *slash = strrchr(path, '/');

    if (slash == NULL) {
        strcpy(path, ".");
    } else {
        *slash = '\0';
    }
}

static int loader_try_path(char path[PATH_MAX], const char *dir,
                           const char *subdir)
{
    return (snprintf(path, PATH_MAX, "%s/%s%s" LOADER_FILE, dir, subdir,
                     (*subdir == '\0') ? "" : "/") < PATH_MAX) &&
           (access(path, R_OK) == 0);
}

/* Build tree, then where configure said, then relative to this file (a tree
 * that was moved), then UCX's own directory. */
static int loader_find_module(const char *libuct, char path[PATH_MAX])
{
    char self_dir[PATH_MAX], uct_dir[PATH_MAX];
    Dl_info info;

    if (dladdr((void*)ucs_load_modules, &info) == 0 ||
        (realpath(info.dli_fname, self_dir) == NULL)) {
        strcpy(self_dir, "./");
    }
    loader_dirname(self_dir);
    snprintf(uct_dir, sizeof(uct_dir), "%s", libuct);
    loader_dirname(uct_dir);

    return loader_try_path(path, self_dir, "../../.libs") ||
           loader_try_path(path, UCX_EFA_MODULE_DIR, "") ||
           loader_try_path(path, self_dir, "ucx") ||
           loader_try_path(path, uct_dir, "ucx");
}

/* Does a library use, or contain, the same libuct? */
static int loader_is_beside(void *library, void *uct)
{
    return (library != NULL) && (dlsym(library, "uct_component_register") ==
                                 dlsym(uct, "uct_component_register"));
}

/*
 * Is it the UCX that the module was built for? libucs and libuct do not tell
 * their version, libucp does. It lies beside them, and most programs have it
 * loaded already. Says why not.
 */
static int loader_check_ucx(const char *libuct, void *uct)
{
    void (*get_version)(unsigned *major, unsigned *minor, unsigned *release);
    unsigned major, minor, release;
    char path[PATH_MAX];
    void *same, *ucp;
    int is_same, stats;

    /* What the module's dependency libuct.so.0 would be bound to */
    same    = loader_loaded("libuct.so.0");
    is_same = loader_is_beside(same, uct);
    if (same != NULL) {
        dlclose(same);
    }
    if (!is_same) {
        loader_say("srd is not available: this program brings a UCX of its "
                   "own, %s, which is not the system's; make it use that "
                   "(ucx-py: RAPIDS_LIBUCX_PREFER_SYSTEM_LIBRARY=1)", libuct);
        return 0;
    }

    snprintf(path, sizeof(path) - strlen("/libucp.so.0"), "%s", libuct);
    loader_dirname(path);
    strcat(path, "/libucp.so.0");
    /* The one that is there first: in a wheel libucp.so and libucp.so.0 are two
     * files, and two copies of libucp are two sets of settings. */
    ucp = loader_loaded("libucp.so.0");
    if (!loader_is_beside(ucp, uct)) {
        ucp = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    }
    if (ucp == NULL) {
        ucp = dlopen("libucp.so.0", RTLD_LAZY | RTLD_LOCAL);
    }
    get_version = (ucp == NULL) ? NULL :
                  (void (*)(unsigned*, unsigned*, unsigned*))
                  dlsym(ucp, "ucp_get_version");
    if (get_version == NULL) {
        loader_say("srd is not available: the version of UCX is unknown, "
                   "%s is missing or broken; reinstall UCX", path);
        return 0;
    }

    get_version(&major, &minor, &release);
    if ((major != UCX_EFA_UCX_MAJOR) || (minor != UCX_EFA_UCX_MINOR)) {
        loader_say("srd is not available: ucx-efa was built for UCX %d.%d, "
                   "but %s is %u.%u.%u; build ucx-efa with that version",
                   UCX_EFA_UCX_MAJOR, UCX_EFA_UCX_MINOR, libuct, major, minor,
                   release);
        return 0;
    }

    stats = dlsym(uct, "ucs_stats_node_free") != NULL;
    if (stats != UCX_EFA_UCX_STATS) {
        loader_say("srd is not available: ucx-efa was built for a UCX %s "
                   "statistics, but %s was built %s them; build ucx-efa with "
                   "this one", UCX_EFA_UCX_STATS ? "with" : "without", libuct,
                   stats ? "with" : "without");
        return 0;
    }

    return 1;
}

static const char *loader_libuct; /* for loader_load(), set before each call */

static void loader_load(void)
{
    const char *libuct = __atomic_load_n(&loader_libuct, __ATOMIC_ACQUIRE);
    char path[PATH_MAX];
    int (*init)(void);
    void *uct, *module;

    if (!loader_is_allowed()) {
        return;
    }

    uct = loader_loaded(libuct);
    if ((uct == NULL) || !loader_check_ucx(libuct, uct)) {
        return;
    }

    if (!loader_find_module(libuct, path)) {
        loader_say("srd is not available: " LOADER_FILE " is neither in "
                   UCX_EFA_MODULE_DIR " nor beside UCX; install ucx-efa "
                   "completely (make install)");
        return;
    }

    /* UCX's directory scan (1.22) may have loaded it, under another name */
    module = loader_loaded(path);
    if (module != NULL) {
        return;
    }

    module = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (module == NULL) {
        loader_say("srd is not available: %s; are libibverbs and libefa "
                   "(Debian: ibverbs-providers) installed?", dlerror());
        return;
    }

    init = (int (*)(void))dlsym(module, "ucs_module_global_init");
    if (init != NULL) {
        init();
    }
}

void ucs_load_modules(const char *framework, const char *modules,
                      void *init_once, unsigned flags)
{
    static pthread_once_t load_once = PTHREAD_ONCE_INIT;
    ucs_load_modules_func_t real;
    Dl_info caller;
    char *kept = NULL;
    int is_uct;

    if (dladdr(__builtin_return_address(0), &caller) == 0) {
        caller.dli_fname = NULL;
    }

    real = loader_real(caller.dli_fname);
    if (real == NULL) {
        loader_say("ucs_load_modules of UCX not found, called by %s: no UCX "
                   "module is loaded; run the program without "
                   "libucx_efa_loader.so", caller.dli_fname);
        return;
    }

    is_uct = (caller.dli_fname != NULL) && !strcmp(framework, "uct");
    if (is_uct && (modules != NULL) &&
        !loader_option_is_set("UCX_EFA_KEEP_IB") &&
        (loader_verbs_devices() == LOADER_VERBS_EFA)) {
        kept = malloc(strlen(modules) + 2);
        if (kept != NULL) {
            loader_drop_ib(modules, kept);
        }
    }

    if (is_uct) {
        /* Before anybody starts libibverbs: objects of a device that was reset
         * can be freed then (docs/srd-wire.md, section 12). */
        setenv("RDMAV_ALLOW_DISASSOC_DESTROY", "1", 0);
    }

    real(framework, (kept != NULL) ? kept : modules, init_once, flags);
    free(kept);

    if (is_uct) {
        __atomic_store_n(&loader_libuct, caller.dli_fname, __ATOMIC_RELEASE);
        pthread_once(&load_once, loader_load);
    }
}
