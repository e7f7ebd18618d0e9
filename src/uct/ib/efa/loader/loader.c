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
 *     refused     those, and efa                 not there; a line says why
 *   upstream      efasrd                         UCX's own; if it has none, why
 *   neither       efasrd                         UCX's own, if it has one
 *
 * Ours is asked for unless UCX_MODULES leaves efasrd out; upstream's by
 * EFARUN_TRANSPORT=upstream, as efarun sets it. Ours is opened by its path, not
 * by UCX: which directories UCX searches, and whether it does without a list,
 * depends on its version (loader_module.c). Exceptions: loader_except.c.
 *
 * It is loaded into every child process: libc only, no constructor, and not a
 * word unless the program uses UCX and cannot have srd.
 */
#define _GNU_SOURCE
#include "loader_environ.h"
#include "loader_except.h"
#include "loader_module.h"
#include "objects.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>

#define LOADER_OWN     "libuct_ib_efa"
#define LOADER_UCX_MAX 4

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

        func                      = dlsym(handle, "ucs_load_modules");
        *(void **)&ucs->get_value = dlsym(handle, "ucs_global_opts_get_value");
        *(void **)&ucs->set_value = dlsym(handle, "ucs_global_opts_set_value");
        dlclose(handle); /* it stays: somebody else has loaded it */
        if ((func != NULL) && (func != (void *)ucs_load_modules)) {
            *(void **)&ucs->load_modules = func;
            return 1;
        }
    }

    /* A UCX that is part of another library, or of the program */
    *(void **)&ucs->load_modules = dlsym(RTLD_NEXT, "ucs_load_modules");
    *(void **)&ucs->get_value = dlsym(RTLD_NEXT, "ucs_global_opts_get_value");
    *(void **)&ucs->set_value = dlsym(RTLD_NEXT, "ucs_global_opts_set_value");
    return ucs->load_modules != NULL;
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
    if ((srd == LOADER_SRD_OURS) || (srd == LOADER_SRD_REFUSED)) {
        loader_except_ib(modules);
    }
    if (srd == LOADER_SRD_REFUSED) {
        loader_except(modules, "efa");
    }
}

static void loader_done(loader_srd_t srd, const char *libuct)
{
    ucx_efa_object_t object;

    if (srd == LOADER_SRD_OURS) {
        loader_module_open(libuct);
    } else if ((srd == LOADER_SRD_UPSTREAM) &&
               !ucx_efa_object_find(&object, NULL, LOADER_OWN)) {
        ucx_efa_say("srd is not available: %s has none of its own, which UCX "
                    "has since 1.19 where it was built with EFA; run without "
                    "--transport upstream for that of ucx-efa",
                    libuct);
    }
}

/* The choice for the UCX whose libuct lies there; NULL: too many of them */
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
    static char disassoc[]      = "RDMAV_ALLOW_DISASSOC_DESTROY=1";
    static int is_said          = 0;
    loader_ucs_t ucs;
    Dl_info caller;
    int is_uct;

    if (dladdr(__builtin_return_address(0), &caller) == 0) {
        caller.dli_fname = NULL;
    }

    if (!loader_real(caller.dli_fname, &ucs)) {
        if (!is_said) {
            is_said = 1;
            ucx_efa_say("ucs_load_modules of UCX not found, called by %s: no "
                        "UCX module is loaded; run the program without "
                        "libucx_efa_loader.so",
                        caller.dli_fname);
        }
        return;
    }

    is_uct = (caller.dli_fname != NULL) && !strcmp(framework, "uct");
    if (is_uct) {
        /* Before anybody starts libibverbs: objects of a device that was reset
         * can be freed then (docs/srd-wire.md, section 12). Not in efarun:
         * verbs programs see the device as it is. */
        loader_environ_add(disassoc);
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
