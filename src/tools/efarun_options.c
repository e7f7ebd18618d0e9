/*
 * Options of efarun, those of Soft-EFA among them, which it reads from the
 * environment.
 */
#ifdef HAVE_CONFIG_H
#  include "ucx_efa_config.h"
#endif
#include "tools/efarun_options.h"
#include "softefa/config/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

enum {
    OPT_SOFT = 256, OPT_NO_SOFT, OPT_TRANSPORT, OPT_DEVICES, OPT_PROFILE,
    OPT_REORDER, OPT_SEED, OPT_FABRIC, OPT_FAULTS, OPT_INJECT, OPT_QUIET,
    OPT_HELP, OPT_VERSION
};

static const struct option efarun_long_options[] = {
    {"soft",      no_argument,       NULL, OPT_SOFT},
    {"no-soft",   no_argument,       NULL, OPT_NO_SOFT},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"devices",   required_argument, NULL, OPT_DEVICES},
    {"profile",   required_argument, NULL, OPT_PROFILE},
    {"reorder",   optional_argument, NULL, OPT_REORDER},
    {"seed",      required_argument, NULL, OPT_SEED},
    {"fabric",    required_argument, NULL, OPT_FABRIC},
    {"faults",    required_argument, NULL, OPT_FAULTS},
    {"inject",    required_argument, NULL, OPT_INJECT},
    {"quiet",     no_argument,       NULL, OPT_QUIET},
    {"help",      no_argument,       NULL, OPT_HELP},
    {"version",   no_argument,       NULL, OPT_VERSION},
    {NULL,        0,                 NULL, 0}
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

static int efarun_wrong_option(const char *option, const char *value,
                               const char *expected)
{
    fprintf(stderr, "efarun: %s %s: expected %s (efarun --help)\n", option,
            value, expected);
    return EFARUN_EXIT_OWN;
}

/* An option that stands for a variable; NULL: another one */
static const char *efarun_variable(int option)
{
    static const struct {
        int        option;
        const char *name;
    } variables[] = {
        {OPT_TRANSPORT, "EFARUN_TRANSPORT"}, {OPT_DEVICES, "SOFTEFA_DEVICES"},
        {OPT_PROFILE, "SOFTEFA_PROFILE"},    {OPT_REORDER, "SOFTEFA_REORDER"},
        {OPT_SEED, "SOFTEFA_SEED"},          {OPT_FABRIC, "SOFTEFA_FABRIC"},
        {OPT_FAULTS, "SOFTEFA_FAULTS"}
    };
    size_t i;

    for (i = 0; i < sizeof(variables) / sizeof(variables[0]); ++i) {
        if (variables[i].option == option) {
            return variables[i].name;
        }
    }
    return NULL;
}

static int efarun_option(int option, efarun_options_t *options)
{
    const char *variable = efarun_variable(option);

    if (variable != NULL) {
        /* --reorder alone of them needs no value */
        setenv(variable, (optarg != NULL) ? optarg : "16", 1);
        return EFARUN_GO_ON;
    }

    switch (option) {
    case OPT_SOFT:
        options->soft = true;
        return EFARUN_GO_ON;
    case OPT_NO_SOFT:
        options->no_soft = true;
        return EFARUN_GO_ON;
    case OPT_INJECT:
        options->inject = optarg;
        return EFARUN_GO_ON;
    case 'q':
    case OPT_QUIET:
        options->quiet = true;
        return EFARUN_GO_ON;
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
        return EFARUN_EXIT_OWN;
    }
}

int efarun_options_parse(int argc, char **argv, efarun_options_t *options)
{
    const char *transport;
    int option, status;

    memset(options, 0, sizeof(*options));
    /* "+": stop at the command, its options are its own */
    while ((option = getopt_long(argc, argv, "+qhV", efarun_long_options,
                                 NULL)) != -1) {
        status = efarun_option(option, options);
        if (status != EFARUN_GO_ON) {
            return status;
        }
    }

    if (options->inject != NULL) {
        return EFARUN_GO_ON;
    }

    if (optind == argc) {
        fputs("efarun: a COMMAND is missing, behind the options\n"
              "efarun: try efarun --help\n",
              stderr);
        return EFARUN_EXIT_OWN;
    }
    options->command = argv + optind;

    if (options->soft && options->no_soft) {
        return efarun_wrong_option("--soft", "--no-soft", "one of the two");
    }

    transport = getenv("EFARUN_TRANSPORT");
    if ((transport == NULL) || (*transport == '\0')) {
        transport = "ucx-efa";
    }
    options->is_upstream = !strcmp(transport, "upstream");
    if (!options->is_upstream && strcmp(transport, "ucx-efa")) {
        return efarun_wrong_option("--transport", transport,
                                   "ucx-efa or upstream");
    }

    return EFARUN_GO_ON;
}
