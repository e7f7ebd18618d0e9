/*
 * efarun: starts any program with the srd transport, on the EFA device that is
 * there or on Soft-EFA.
 *
 *   efarun [options] [--] CMD...
 *      |  options           -> SOFTEFA_* variables (efarun_options.c)
 *      |  look at CMD       one that cannot be served (efarun_program.c)
 *      |  choose device     sysfs: PCI vendor 0x1d0f, device 0xefa0..0xefa4
 *      |  choose transport  ours, or UCX's own: EFARUN_TRANSPORT
 *      |  find libraries    beside this program: build tree or installation
 *      |  LD_PRELOAD        what was there, the loader, libsoftefa if chosen
 *      '- execvp(CMD)       same pid: signals and exit status are the program's
 *
 *   efarun --inject ORDER    dlopen(libsoftefa), softefa_inject(ORDER)
 *
 * Its own failures end with 125, a command that cannot be run with 126, one
 * that is not found with 127, as env(1) does it.
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/efarun_options.h"
#include "tools/efarun_program.h"
#include "tools/host/efa_module.h"
#include "tools/host/efa_sysfs.h"
#include "softefa/config/options.h"
#include "uct/ib/efa/loader/objects.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif
#ifndef UCX_EFA_LIB_DIR
#define UCX_EFA_LIB_DIR "/usr/local/lib"
#endif
#ifndef UCX_EFA_MODULE_DIR
#define UCX_EFA_MODULE_DIR "/usr/local/lib/ucx"
#endif

/* The device that is used */
typedef struct {
    unsigned num_nics;                             /* 0: Soft-EFA           */
    char     nics[EFA_SYSFS_MAX][EFA_SYSFS_NAME];
    unsigned num_soft;                             /* Soft-EFA's devices    */
} efarun_device_t;

static bool efarun_find(const char *self_dir, const char *build_dir,
                        const char *installed_dir, const char *file,
                        char path[PATH_MAX])
{
    if (efa_module_find(self_dir, build_dir, installed_dir, file, path)) {
        return true;
    }

    fprintf(stderr,
            "efarun: %s is neither in %s nor in the build tree: install "
            "ucx-efa completely (make install; packages: ucx-efa and "
            "softefa)\n",
            file, installed_dir);
    return false;
}

/* Appends to a list variable, unless the item is in it: efarun may run under
 * efarun (mpirun efarun ... sh -c 'efarun ...'). What was there comes first:
 * a sanitizer's runtime must be the first library. */
static int efarun_list_append(const char *variable, const char *item)
{
    const char *old = getenv(variable);
    size_t length   = strlen(item);
    const char *found;
    char *value;
    int ret;

    if ((old == NULL) || (*old == '\0')) {
        return setenv(variable, item, 1);
    }

    for (found = strstr(old, item); found != NULL;
         found = strstr(found + 1, item)) {
        if (((found == old) || strchr(": ", found[-1])) &&
            ((found[length] == '\0') || strchr(": ", found[length]))) {
            return 0;
        }
    }

    if (asprintf(&value, "%s:%s", old, item) < 0) {
        return -1;
    }

    ret = setenv(variable, value, 1);
    free(value);
    return ret;
}

/* One line for a parallel program, not one for each of its ranks. */
static int efarun_is_first_rank(void)
{
    static const char *const variables[] = {
        "OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"
    };
    const char *value;
    size_t i;

    for (i = 0; i < sizeof(variables) / sizeof(variables[0]); ++i) {
        value = getenv(variables[i]);
        if (value != NULL) {
            return strcmp(value, "0") == 0;
        }
    }
    return 1;
}

/* The directory of this program; NULL: said why not. */
static const char *efarun_self_dir(void)
{
    static char self[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (length < 0) {
        fprintf(stderr, "efarun: /proc/self/exe: %s: is /proc mounted?\n",
                strerror(errno));
        return NULL;
    }

    self[length]        = '\0';
    *strrchr(self, '/') = '\0';
    return self;
}

/* Breaks something in a fabric where processes run: libsoftefa knows how. */
static int efarun_inject(const char *spec)
{
    const char *self = efarun_self_dir();
    int (*inject)(const char *spec);
    char path[PATH_MAX];
    void *library;

    if ((self == NULL) || !efarun_find(self, "../softefa", UCX_EFA_LIB_DIR,
                                       "libsoftefa.so", path)) {
        return EFARUN_EXIT_OWN;
    }

    library           = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *(void **)&inject = (library == NULL) ? NULL :
                                            dlsym(library, "softefa_inject");
    if (inject == NULL) {
        fprintf(stderr, "efarun: %s: install ucx-efa completely\n", dlerror());
        return EFARUN_EXIT_OWN;
    }

    return (inject(spec) == 0) ? 0 : EFARUN_EXIT_OWN;
}

/* False: there is none, said why. */
static bool efarun_choose_device(const efarun_options_t *options,
                                 efarun_device_t *device)
{
    softefa_options_t soft;
    char error[256];

    device->num_nics = options->soft ? 0 : efa_sysfs_list(device->nics);
    if (device->num_nics > 0) {
        return true;
    }

    if (options->no_soft) {
        fputs("efarun: no EFA device in /sys/class/infiniband: is the efa "
              "driver loaded and is the interface attached as EFA? "
              "Without --no-soft, Soft-EFA would be used\n",
              stderr);
        return false;
    }

    if (softefa_options_parse(&soft, error, sizeof(error)) != 0) {
        fprintf(stderr, "efarun: %s\n", error);
        return false;
    }

    device->num_soft = soft.devices;
    return true;
}

/* LD_PRELOAD, and whether what the loader will look for is there; versions: of
 * UCX that there is a transport for. False: not, said why. */
static bool efarun_set_preload(const efarun_options_t *options, int soft,
                               char versions[EFA_MODULE_VERSIONS_MAX])
{
    const char *self = efarun_self_dir();
    char path[PATH_MAX];
    int ret = 0;

    if (self == NULL) {
        return false;
    }

    if (soft) {
        if (!efarun_find(self, "../softefa", UCX_EFA_LIB_DIR, "libsoftefa.so",
                         path)) {
            return false;
        }
        ret |= efarun_list_append("LD_PRELOAD", path);
    }

    if (!efarun_find(self, "../uct/ib/efa/loader", UCX_EFA_LIB_DIR,
                     "libucx_efa_loader.so", path)) {
        return false;
    }
    ret |= efarun_list_append("LD_PRELOAD", path);
    if (ret != 0) {
        fprintf(stderr, "efarun: cannot set the environment: %s\n",
                strerror(errno));
        return false;
    }

    if (options->is_upstream) {
        return true;
    }

    /* The loader finds them in the same way: this is only to say so early */
    if (!efarun_find(self, "../uct/ib/efa/loader", UCX_EFA_MODULE_DIR,
                     "libuct_efasrd.so.0", path)) {
        return false;
    }
    if (!efa_module_versions(self, versions)) {
        fputs("efarun: there is no libefasrd-VERSION.so in " UCX_EFA_MODULE_DIR
              ": install ucx-efa completely (make "
              "install)\n",
              stderr);
        return false;
    }

    return true;
}

static void efarun_say(const efarun_options_t *options,
                       const efarun_device_t *device, const char *versions)
{
    const char *modules = getenv("UCX_MODULES");
    char name[EFA_SYSFS_NAME + 64];

    if (device->num_nics == 0) {
        snprintf(name, sizeof(name), "Soft-EFA, %u device%s", device->num_soft,
                 (device->num_soft == 1) ? "" : "s");
    } else if (device->num_nics == 1) {
        snprintf(name, sizeof(name), "EFA device %s", device->nics[0]);
    } else {
        snprintf(name, sizeof(name), "EFA device %s and %u more",
                 device->nics[0], device->num_nics - 1);
    }

    if (options->is_upstream) {
        fprintf(stderr, "efarun: %s, srd of UCX itself\n", name);
    } else if ((modules != NULL) && !ucx_efa_modules_allow(modules, "efasrd")) {
        fprintf(stderr,
                "efarun: %s, srd of UCX itself if it has one, as "
                "UCX_MODULES=%s leaves efasrd out\n",
                name, modules);
    } else {
        fprintf(stderr,
                "efarun: %s, srd of ucx-efa " PACKAGE_VERSION " for UCX %s\n",
                name, versions);
    }
}

/* What it cannot do for this program is said; nothing is in its way. */
static bool efarun_serves(const char *command)
{
    switch (efarun_program(command)) {
    case EFARUN_PROGRAM_PRIVILEGED:
        fprintf(stderr,
                "efarun: %s is setuid, setgid or has capabilities: the dynamic "
                "linker ignores LD_PRELOAD there, so it has no srd; run a copy "
                "of it without them\n",
                command);
        return false;
    case EFARUN_PROGRAM_MUSL:
        fprintf(stderr,
                "efarun: %s runs on the C library musl, ucx-efa on glibc: it "
                "has no srd; use a build of it for glibc\n",
                command);
        return false;
    case EFARUN_PROGRAM_ANY:
        break;
    }
    return true;
}

int main(int argc, char **argv)
{
    char versions[EFA_MODULE_VERSIONS_MAX] = "";
    efarun_options_t options;
    efarun_device_t device = {0};
    int status;

    status = efarun_options_parse(argc, argv, &options);
    if (status != EFARUN_GO_ON) {
        return status;
    }

    if (options.inject != NULL) {
        return efarun_inject(options.inject);
    }

    if (efarun_serves(options.command[0])) {
        if (!efarun_choose_device(&options, &device) ||
            !efarun_set_preload(&options, device.num_nics == 0, versions)) {
            return EFARUN_EXIT_OWN;
        }
        if (!options.quiet && efarun_is_first_rank()) {
            efarun_say(&options, &device, versions);
        }
    }

    execvp(options.command[0], options.command);
    fprintf(stderr, "efarun: cannot run %s: %s\n", options.command[0],
            strerror(errno));
    return (errno == ENOENT) ? EFARUN_EXIT_NOT_FOUND : EFARUN_EXIT_CANNOT;
}
