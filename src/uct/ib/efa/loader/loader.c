/*
 * The loader: brings the srd transport into a UCX that does not know it, and
 * sees to it that there is one srd.
 *
 *   libuct:  ucs_load_modules("uct", ":ib:rdmacm:cma", ...)
 *     |
 *     '--> here (preloaded, so the first of that name)
 *            |-- whose srd?  ours, UCX's own, or none
 *            |-- libuct_efasrd.so: is it a UCX that ours was built for?
 *            |-- UCX_MODULES is given exceptions
 *            |-- the real ucs_load_modules
 *            |-- UCX_MODULES is what it was
 *            '-- once: libuct_efasrd.so loads the transport
 *
 *   asked for     exceptions                     srd is
 *   ours          efasrd; ib, rdmacm where all   ours. UCX's own is not loaded,
 *                 verbs devices are EFA          or taken off (efa_sole.c)
 *     refused     those, and efa                 not there, and why is said
 *   upstream      efasrd                         UCX's own; if it has none, why
 *   neither       efasrd                         UCX's own, if it has one
 *
 * Ours is asked for unless UCX_MODULES leaves efasrd out; upstream's by
 * EFARUN_TRANSPORT=upstream, as efarun sets it. Ours is opened by its path, not
 * by UCX: which directories UCX searches, and whether it does without a list,
 * depends on its version.
 *
 * It is loaded into every child process: libc only, no constructor, and not a
 * word unless somebody uses UCX and cannot have srd.
 */
#define _GNU_SOURCE
#include "ucx_efa_config.h"
#include "module.h"
#include "objects.h"

#include <dirent.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define LOADER_MODULE      "efasrd"
#define LOADER_FILE        "libuct_" LOADER_MODULE ".so.0"
#define LOADER_OWN         "libuct_ib_efa"
#define LOADER_VENDOR_EFA  0x1d0f
#define LOADER_VERBS_DIR   "/sys/class/infiniband_verbs"
#define LOADER_MODULES_MAX 1024
#define LOADER_UCX_MAX     4

typedef enum {
    LOADER_VERBS_NONE,  /* no verbs device                     */
    LOADER_VERBS_EFA,   /* EFA devices only, Soft-EFA included */
    LOADER_VERBS_MIXED  /* another device too                  */
} loader_verbs_t;

typedef enum {
    LOADER_SRD_OURS,
    LOADER_SRD_REFUSED,  /* ours, which does not fit            */
    LOADER_SRD_UPSTREAM, /* that of UCX                         */
    LOADER_SRD_ANY       /* that of UCX, if it has one          */
} loader_srd_t;

/* One for each UCX of the process */
typedef struct {
    const void   *base;   /* of its libuct; NULL: free */
    int           is_made;
    loader_srd_t  srd;
} loader_choice_t;

/* Of libucs. ucs_status_t is one byte, 0 is UCS_OK. */
typedef struct {
    void        (*load_modules)(const char *framework, const char *modules,
                                void *init_once, unsigned flags);
    signed char (*get_value)(const char *name, char *value, size_t max);
    signed char (*set_value)(const char *name, const char *value);
} loader_ucs_t;

void ucs_load_modules(const char *framework, const char *modules,
                      void *init_once, unsigned flags)
    __attribute__((visibility("default")));

static struct {
    int (*fits)(const char *libuct);
    int (*open)(const char *libuct);
} loader_module;

static loader_choice_t loader_choices[LOADER_UCX_MAX];

/*
 * The real functions, for a caller in libuct, libucs, libucm or a module.
 * dlsym() on a handle searches the object and its dependencies, and we are none
 * of those. Not RTLD_NEXT: that does not see a UCX that was loaded with
 * RTLD_LOCAL.
 */
static int loader_real(const char *caller, loader_ucs_t *ucs)
{
    const char *names[] = {caller, NULL, "libucs.so.0", NULL};
    ucx_efa_object_t beside, any;
    void *handle, *func;
    char dir[PATH_MAX];
    size_t i;

    if (caller != NULL) {
        /* libucm does not depend on libucs, beside which it lies */
        snprintf(dir, sizeof(dir), "%s", caller);
        ucx_efa_dirname(dir);
        if (ucx_efa_object_find(&beside, dir, "libucs")) {
            names[1] = beside.path;
        }
    }
    /* A call that a constructor of UCX ends with seems to come from ld.so */
    if (ucx_efa_object_find(&any, NULL, "libucs")) {
        names[3] = any.path;
    }

    for (i = 0; i < sizeof(names) / sizeof(names[0]); ++i) {
        handle = (names[i] == NULL) ? NULL :
                 dlopen(names[i], RTLD_LAZY | RTLD_NOLOAD);
        if (handle == NULL) {
            continue;
        }

        func                       = dlsym(handle, "ucs_load_modules");
        *(void**)&ucs->get_value   = dlsym(handle, "ucs_global_opts_get_value");
        *(void**)&ucs->set_value   = dlsym(handle, "ucs_global_opts_set_value");
        dlclose(handle); /* it stays: somebody else has loaded it */
        if ((func != NULL) && (func != (void*)ucs_load_modules)) {
            *(void**)&ucs->load_modules = func;
            return 1;
        }
    }

    return 0;
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

/* Copies the items of a list, each behind a comma, but name. */
static void loader_list_copy(const char *list, const char *name, char *copy)
{
    size_t length;

    for (*copy = '\0';; list += length) {
        list  += strspn(list, ",");
        length = strcspn(list, ",");
        if (length == 0) {
            return;
        }
        if ((length != strlen(name)) || strncmp(list, name, length)) {
            strcat(copy, ",");
            strncat(copy, list, length);
        }
    }
}

/* Leaves name out of what UCX_MODULES allows, if there is room for that. */
static void loader_except(char modules[LOADER_MODULES_MAX], const char *name)
{
    char copy[LOADER_MODULES_MAX + 2];

    if (ucx_efa_modules_is_list(modules) && (*modules != '^')) {
        loader_list_copy(modules, name, copy);
        /* an empty list would be that of all; no module is called - */
        strcpy(modules, (*copy == '\0') ? "-" : copy + 1);
        return;
    }

    loader_list_copy(ucx_efa_modules_is_list(modules) ? modules + 1 : "", name,
                     copy);
    if (strlen(copy) + strlen(name) + 2 <= LOADER_MODULES_MAX) {
        strcat(copy, ",");
        strcat(copy, name);
        strcpy(modules, copy);
        *modules = '^';
    }
}

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

    if (dladdr((void*)ucs_load_modules, &info) == 0 ||
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

/* Our module, and whether it has a transport for this UCX. Says why not. */
static int loader_module_fits(const char *libuct)
{
    char path[PATH_MAX];
    void *module;

    if (!loader_find_module(libuct, path)) {
        ucx_efa_say("srd is not available: " LOADER_FILE " is neither in "
                    UCX_EFA_MODULE_DIR " nor beside UCX; install ucx-efa "
                    "completely (make install)");
        return 0;
    }

    module = dlopen(path, RTLD_LAZY | RTLD_LOCAL | RTLD_NODELETE);
    if (module == NULL) {
        ucx_efa_say("srd is not available: %s; install ucx-efa completely "
                    "(make install)", dlerror());
        return 0;
    }

    *(void**)&loader_module.fits = dlsym(module, "ucx_efasrd_fits");
    *(void**)&loader_module.open = dlsym(module, "ucx_efasrd_open");
    if ((loader_module.fits == NULL) || (loader_module.open == NULL)) {
        ucx_efa_say("srd is not available: %s is not of ucx-efa "
                    PACKAGE_VERSION "; install ucx-efa completely (make "
                    "install)", path);
        return 0;
    }

    return loader_module.fits(libuct);
}

static loader_srd_t loader_choose(const char *libuct, const char *modules)
{
    const char *transport = getenv("EFARUN_TRANSPORT");

    if ((transport != NULL) && !strcmp(transport, "upstream")) {
        return LOADER_SRD_UPSTREAM;
    }
    if (!ucx_efa_modules_allow(modules, LOADER_MODULE)) {
        return LOADER_SRD_ANY;
    }
    return loader_module_fits(libuct) ? LOADER_SRD_OURS : LOADER_SRD_REFUSED;
}

/* UCX_MODULES while UCX loads the modules of libuct, and those of its ib */
static void loader_set_exceptions(loader_srd_t srd,
                                  char modules[LOADER_MODULES_MAX])
{
    loader_except(modules, LOADER_MODULE);
    if ((srd != LOADER_SRD_OURS) && (srd != LOADER_SRD_REFUSED)) {
        return;
    }

    if (!loader_option_is_set("UCX_EFA_KEEP_IB") &&
        (loader_verbs_devices() == LOADER_VERBS_EFA)) {
        /* It would open EFA devices too and print errors about what they do not
         * offer. rdmacm links with it, so it would bring it back. */
        loader_except(modules, "ib");
        loader_except(modules, "rdmacm");
    }
    if (srd == LOADER_SRD_REFUSED) {
        loader_except(modules, "efa");
    }
}

static void loader_done(loader_srd_t srd, const char *libuct)
{
    ucx_efa_object_t object;

    if (srd == LOADER_SRD_OURS) {
        loader_module.open(libuct);
    } else if ((srd == LOADER_SRD_UPSTREAM) &&
               !ucx_efa_object_find(&object, NULL, LOADER_OWN)) {
        ucx_efa_say("srd is not available: %s has none of its own, which UCX "
                    "has since 1.19 where it was built with EFA; run without "
                    "--transport upstream for that of ucx-efa", libuct);
    }
}

/* What was chosen for the UCX whose libuct lies there; NULL: too many of them */
static loader_choice_t *loader_choice(const void *base)
{
    size_t i;

    for (i = 0; i < LOADER_UCX_MAX; ++i) {
        if (loader_choices[i].base == NULL) {
            loader_choices[i].base = base;
        }
        if (loader_choices[i].base == base) {
            return &loader_choices[i];
        }
    }
    return NULL;
}

/* Of the framework "uct", and of "uct_ib" within, whose libuct is NULL */
static void loader_load(const loader_ucs_t *ucs, const Dl_info *libuct,
                        const char *framework, const char *list,
                        void *init_once, unsigned flags)
{
    static loader_choice_t *current = NULL;
    loader_choice_t *previous       = current;
    char modules[LOADER_MODULES_MAX], except[LOADER_MODULES_MAX];
    int can_set, is_first = 0;

    can_set = (ucs->get_value != NULL) && (ucs->set_value != NULL) &&
              (ucs->get_value("MODULES", modules, sizeof(modules)) == 0);
    if (!can_set) {
        strcpy(modules, "all");
    }

    if (libuct != NULL) {
        current = loader_choice(libuct->dli_fbase);
    }
    if ((libuct != NULL) && (current != NULL) && !current->is_made) {
        is_first         = 1;
        current->is_made = 1;
        current->srd     = loader_choose(libuct->dli_fname, modules);
    }

    strcpy(except, modules);
    if (current != NULL) {
        loader_set_exceptions(current->srd, except);
    }
    if (can_set && (ucs->set_value("MODULES", except) != 0)) {
        can_set = 0;
    }

    ucs->load_modules(framework, list, init_once, flags);

    if (can_set) {
        ucs->set_value("MODULES", modules);
    }
    if (is_first) {
        loader_done(current->srd, libuct->dli_fname);
    }
    current = previous;
}

void ucs_load_modules(const char *framework, const char *modules,
                      void *init_once, unsigned flags)
{
    /* ib loads its modules while uct is loaded */
    static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
    loader_ucs_t ucs;
    Dl_info caller;
    int is_uct;

    if (dladdr(__builtin_return_address(0), &caller) == 0) {
        caller.dli_fname = NULL;
    }

    if (!loader_real(caller.dli_fname, &ucs)) {
        ucx_efa_say("ucs_load_modules of UCX not found, called by %s: no UCX "
                    "module is loaded; run the program without "
                    "libucx_efa_loader.so", caller.dli_fname);
        return;
    }

    is_uct = (caller.dli_fname != NULL) && !strcmp(framework, "uct");
    if (is_uct) {
        /* Before anybody starts libibverbs: objects of a device that was reset
         * can be freed then (docs/srd-wire.md, section 12). */
        setenv("RDMAV_ALLOW_DISASSOC_DESTROY", "1", 0);
    }

    if (is_uct || !strcmp(framework, "uct_ib")) {
        pthread_mutex_lock(&lock);
        loader_load(&ucs, is_uct ? &caller : NULL, framework, modules,
                    init_once, flags);
        pthread_mutex_unlock(&lock);
    } else {
        ucs.load_modules(framework, modules, init_once, flags);
    }
}
