/*
 * efarun: starts any program with the srd transport, on the EFA device that is
 * there or on Soft-EFA.
 *
 *   efarun [options] [--] CMD...
 *      |  options           -> SOFTEFA_* variables
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
#include "tools/host/efa_sysfs.h"
#include "tools/host/module_files.h"
#include "softefa/config/options.h"
#include "uct/ib/efa/loader/objects.h"

#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
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

enum {
    EXIT_EFARUN   = 125,
    EXIT_CANNOT   = 126,
    EXIT_NOTFOUND = 127
};

enum {
    OPT_SOFT = 256, OPT_NO_SOFT, OPT_TRANSPORT, OPT_DEVICES, OPT_PROFILE,
    OPT_REORDER, OPT_SEED, OPT_FABRIC, OPT_FAULTS, OPT_INJECT, OPT_QUIET,
    OPT_HELP, OPT_VERSION
};

static const struct option efarun_options[] = {
    {"soft",    no_argument,       NULL, OPT_SOFT},
    {"no-soft", no_argument,       NULL, OPT_NO_SOFT},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"devices", required_argument, NULL, OPT_DEVICES},
    {"profile", required_argument, NULL, OPT_PROFILE},
    {"reorder", optional_argument, NULL, OPT_REORDER},
    {"seed",    required_argument, NULL, OPT_SEED},
    {"fabric",  required_argument, NULL, OPT_FABRIC},
    {"faults",  required_argument, NULL, OPT_FAULTS},
    {"inject",  required_argument, NULL, OPT_INJECT},
    {"quiet",   no_argument,       NULL, OPT_QUIET},
    {"help",    no_argument,       NULL, OPT_HELP},
    {"version", no_argument,       NULL, OPT_VERSION},
    {NULL,      0,                 NULL, 0}
};

static const char efarun_usage[] =
    "usage: efarun [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
    "\n"
    "Runs COMMAND with UCX's srd transport, on the EFA device of this machine\n"
    "or, where there is none, on Soft-EFA.\n"
    "\n"
    "  --soft         Soft-EFA even where there is an EFA device\n"
    "  --no-soft      never Soft-EFA: fail where there is no EFA device\n"
    "  --transport T  whose srd: ucx-efa (default), or upstream, that of UCX\n"
    "                 itself, where it has one             (EFARUN_TRANSPORT)\n"
    "  --devices N    Soft-EFA: number of devices           (SOFTEFA_DEVICES)\n"
    "  --profile P    Soft-EFA: device generation, efa0..efa4\n"
    "                                                       (SOFTEFA_PROFILE)\n"
    "  --reorder[=N]  Soft-EFA: deliver and complete out of order, holding\n"
    "                 back up to N messages (default 16)    (SOFTEFA_REORDER)\n"
    "  --seed N       Soft-EFA: of its random choices       (SOFTEFA_SEED)\n"
    "  --fabric NAME  Soft-EFA: whom its devices can reach: processes of\n"
    "                 this user that named the same fabric  (SOFTEFA_FABRIC)\n"
    "  --faults PLAN  Soft-EFA: what goes wrong, or @FILE (SOFTEFA_FAULTS)\n"
    "  --inject ORDER Soft-EFA: break something now in the fabric where\n"
    "                 processes run, without a COMMAND: 'fatal dev=N',\n"
    "                 'return dev=N', 'qp_error dev=N' (docs/soft-efa.md)\n"
    "  --quiet        do not say what was chosen\n"
    "  --help         this text\n"
    "  --version      version\n"
    "\n"
    "With Open MPI: mpirun -np 2 --mca pml ucx --mca opal_common_ucx_tls any\n"
    "               efarun ./app                          (docs/running.md)\n";

/* Where a library lies: beside this program in the build tree, beside it in an
 * installation that may have been moved, or where configure said. */
static int efarun_find_library(const char *self_dir, const char *build_dir,
                               const char *installed_dir, const char *file,
                               char *path, size_t path_size)
{
    const char *relative;

    if ((size_t)snprintf(path, path_size, "%s/%s/.libs/%s", self_dir,
                         build_dir, file) < path_size &&
        access(path, R_OK) == 0) {
        return 0;
    }

    /* PREFIX/lib/... relative to PREFIX/bin, so that a tree unpacked
     * elsewhere works. */
    relative = strstr(installed_dir, "/lib");
    if (relative != NULL &&
        (size_t)snprintf(path, path_size, "%s/..%s/%s", self_dir, relative,
                         file) < path_size &&
        access(path, R_OK) == 0) {
        return 0;
    }

    if ((size_t)snprintf(path, path_size, "%s/%s", installed_dir, file) <
        path_size &&
        access(path, R_OK) == 0) {
        return 0;
    }

    fprintf(stderr,
            "efarun: %s is neither in %s nor in the build tree: install "
            "ucx-efa completely (make install)\n",
            file, installed_dir);
    return -1;
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

static int efarun_wrong_option(const char *option, const char *value,
                               const char *expected)
{
    fprintf(stderr, "efarun: %s %s: expected %s (efarun --help)\n", option,
            value, expected);
    return EXIT_EFARUN;
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

    if ((self == NULL) ||
        (efarun_find_library(self, "../softefa", UCX_EFA_LIB_DIR,
                             "libsoftefa.so", path, sizeof(path)) != 0)) {
        return EXIT_EFARUN;
    }

    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    *(void**)&inject = (library == NULL) ? NULL :
                       dlsym(library, "softefa_inject");
    if (inject == NULL) {
        fprintf(stderr, "efarun: %s: install ucx-efa completely\n",
                dlerror());
        return EXIT_EFARUN;
    }

    return (inject(spec) == 0) ? 0 : EXIT_EFARUN;
}

int main(int argc, char **argv)
{
    int soft = 0, no_soft = 0, quiet = 0, opt, ret;
    int is_upstream;
    char nics[EFA_SYSFS_MAX][EFA_SYSFS_NAME];
    char path[PATH_MAX], device[EFA_SYSFS_NAME + 64];
    const char *self;
    const char *inject = NULL;
    const char *transport, *modules;
    char versions[EFA_MODULE_VERSIONS_MAX];
    softefa_options_t options;
    char error[256];
    unsigned num_nics;

    /* "+": stop at the command, its options are its own */
    while ((opt = getopt_long(argc, argv, "+qhV", efarun_options, NULL)) !=
           -1) {
        switch (opt) {
        case OPT_SOFT:
            soft = 1;
            break;
        case OPT_NO_SOFT:
            no_soft = 1;
            break;
        case OPT_TRANSPORT:
            setenv("EFARUN_TRANSPORT", optarg, 1);
            break;
        case OPT_DEVICES:
            setenv("SOFTEFA_DEVICES", optarg, 1);
            break;
        case OPT_PROFILE:
            setenv("SOFTEFA_PROFILE", optarg, 1);
            break;
        case OPT_REORDER:
            setenv("SOFTEFA_REORDER", (optarg != NULL) ? optarg : "16", 1);
            break;
        case OPT_SEED:
            setenv("SOFTEFA_SEED", optarg, 1);
            break;
        case OPT_FABRIC:
            setenv("SOFTEFA_FABRIC", optarg, 1);
            break;
        case OPT_FAULTS:
            setenv("SOFTEFA_FAULTS", optarg, 1);
            break;
        case OPT_INJECT:
            inject = optarg;
            break;
        case 'q':
        case OPT_QUIET:
            quiet = 1;
            break;
        case 'h':
        case OPT_HELP:
            fputs(efarun_usage, stdout);
            putchar('\n');
            softefa_options_print(stdout);
            return 0;
        case 'V':
        case OPT_VERSION:
            printf("efarun (ucx-efa) %s\n", PACKAGE_VERSION);
            return 0;
        default:
            fputs("efarun: try efarun --help\n", stderr);
            return EXIT_EFARUN;
        }
    }

    if (inject != NULL) {
        return efarun_inject(inject);
    }

    if (optind == argc) {
        fputs("efarun: a COMMAND is missing, behind the options\n"
              "efarun: try efarun --help\n", stderr);
        return EXIT_EFARUN;
    }

    if (soft && no_soft) {
        return efarun_wrong_option("--soft", "--no-soft", "one of the two");
    }

    transport = getenv("EFARUN_TRANSPORT");
    if ((transport == NULL) || (*transport == '\0')) {
        transport = "ucx-efa";
    }
    is_upstream = !strcmp(transport, "upstream");
    if (!is_upstream && strcmp(transport, "ucx-efa")) {
        return efarun_wrong_option("--transport", transport,
                                   "ucx-efa or upstream");
    }

    num_nics = soft ? 0 : efa_sysfs_list(nics);
    if (num_nics == 0) {
        if (no_soft) {
            fputs("efarun: no EFA device in /sys/class/infiniband: is the efa "
                  "driver loaded and is the interface attached as EFA? "
                  "Without --no-soft, Soft-EFA would be used\n", stderr);
            return EXIT_EFARUN;
        }
        soft = 1;
        if (softefa_options_parse(&options, error, sizeof(error)) != 0) {
            fprintf(stderr, "efarun: %s\n", error);
            return EXIT_EFARUN;
        }
    }

    self = efarun_self_dir();
    if (self == NULL) {
        return EXIT_EFARUN;
    }

    ret = 0;
    if (soft) {
        if (efarun_find_library(self, "../softefa", UCX_EFA_LIB_DIR,
                                "libsoftefa.so", path, sizeof(path)) != 0) {
            return EXIT_EFARUN;
        }
        ret |= efarun_list_append("LD_PRELOAD", path);
    }

    if (efarun_find_library(self, "../uct/ib/efa/loader", UCX_EFA_LIB_DIR,
                            "libucx_efa_loader.so", path, sizeof(path)) != 0) {
        return EXIT_EFARUN;
    }
    ret |= efarun_list_append("LD_PRELOAD", path);

    /* The loader finds them in the same way: this is only to say so early */
    if (!is_upstream &&
        (efarun_find_library(self, "../uct/ib/efa/loader", UCX_EFA_MODULE_DIR,
                             "libuct_efasrd.so.0", path, sizeof(path)) != 0)) {
        return EXIT_EFARUN;
    }
    if (!is_upstream && !efa_module_versions(self, versions)) {
        fputs("efarun: there is no libefasrd-VERSION.so in "
              UCX_EFA_MODULE_DIR ": install ucx-efa completely (make "
              "install)\n", stderr);
        return EXIT_EFARUN;
    }
    if (ret != 0) {
        fprintf(stderr, "efarun: cannot set the environment: %s\n",
                strerror(errno));
        return EXIT_EFARUN;
    }

    if (!quiet && efarun_is_first_rank()) {
        if (soft) {
            snprintf(device, sizeof(device), "Soft-EFA, %u device%s",
                     options.devices, (options.devices == 1) ? "" : "s");
        } else if (num_nics == 1) {
            snprintf(device, sizeof(device), "EFA device %s", nics[0]);
        } else {
            snprintf(device, sizeof(device), "EFA device %s and %u more",
                     nics[0], num_nics - 1);
        }
        modules = getenv("UCX_MODULES");
        if (is_upstream) {
            fprintf(stderr, "efarun: %s, srd of UCX itself\n", device);
        } else if ((modules != NULL) &&
                   !ucx_efa_modules_allow(modules, "efasrd")) {
            fprintf(stderr, "efarun: %s, srd of UCX itself if it has one, as "
                    "UCX_MODULES=%s leaves efasrd out\n", device, modules);
        } else {
            fprintf(stderr, "efarun: %s, srd of ucx-efa " PACKAGE_VERSION
                    " for UCX %s\n", device, versions);
        }
    }

    execvp(argv[optind], &argv[optind]);
    fprintf(stderr, "efarun: cannot run %s: %s\n", argv[optind],
            strerror(errno));
    return (errno == ENOENT) ? EXIT_NOTFOUND : EXIT_CANNOT;
}
