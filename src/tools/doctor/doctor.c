/*
 * srdtool doctor: will srd work on this machine? Every check runs, whatever the
 * one before it found.
 */
#include "tools/doctor/doctor.h"

#include <dlfcn.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARRAY_SIZE(_array) (sizeof(_array) / sizeof((_array)[0]))

enum {
    EXIT_USAGE = 2
};

static const char doctor_usage[] =
    "usage: srdtool doctor [DEVICE]\n"
    "       srdtool doctor echo --server [-P PORT] [-t SECONDS] [DEVICE]\n"
    "       srdtool doctor echo [-P PORT] [-t SECONDS] [-i DEVICE] HOST\n"
    "\n"
    "Looks whether programs can run on the srd transport here and now, in\n"
    "this environment: device and permissions, provider, UCX and module,\n"
    "settings of UCX and MPI, limits, directories. One line a check: ok,\n"
    "warn, FAIL or skip, what was found, and what to do next.\n"
    "\n"
    "echo: messages between two hosts (srdtool doctor echo --help).\n"
    "Below efarun --soft it looks at Soft-EFA.\n"
    "Options of srdtool: -j JSON, -p pretty JSON, -d measured values.\n"
    "Exit status: 0 nothing failed, 1 something did, 2 wrong usage.\n";

static void (*const doctor_checks[])(doctor_t *doctor) = {
    doctor_device_find, doctor_device_provider, doctor_device_abilities,
    doctor_device_counters, doctor_ucx_version, doctor_ucx_module,
    doctor_mpi_selection, doctor_mpi_openmpi, doctor_mpi_mpich,
    doctor_host_memlock, doctor_host_hugepages, doctor_host_gpu,
    doctor_host_fork, doctor_host_process_vm, doctor_host_stats,
    doctor_host_leftovers
};

static void doctor_init(doctor_t *doctor, const char *device)
{
    ssize_t length;

    doctor->device = device;
    doctor->soft   = dlsym(RTLD_DEFAULT, "softefa_inject") != NULL;
    length         = readlink("/proc/self/exe", doctor->self_dir,
                              sizeof(doctor->self_dir) - 1);
    if (length > 0) {
        doctor->self_dir[length]        = '\0';
        *strrchr(doctor->self_dir, '/') = '\0';
    }
}

int doctor_run(int argc, char **argv, const srdtool_output_t *given)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"pretty", no_argument, NULL, 'p'},
        {"details", no_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0}
    };
    srdtool_output_t out = *given;
    doctor_t doctor      = {0};
    const char *short_options;
    size_t i;
    int c;

    /* "+": the options behind echo are its own */
    optind        = 0;
    short_options = ((argc > 1) && !strcmp(argv[1], "echo")) ? "+jpdh" : "jpdh";
    while ((c = getopt_long(argc, argv, short_options, options, NULL)) != -1) {
        switch (c) {
        case 'h':
            fputs(doctor_usage, stdout);
            return EXIT_SUCCESS;
        default:
            if (srdtool_output_option(&out, c)) {
                break;
            }
            fputs(doctor_usage, stderr);
            return EXIT_USAGE;
        }
    }

    argc -= optind;
    argv += optind;
    if ((argc > 0) && !strcmp(argv[0], "echo")) {
        return echo_run(argc, argv, &out);
    }
    if ((argc == 1) && !strcmp(argv[0], "probe-ucx")) {
        return doctor_ucx_probe(); /* of doctor_ucx_module() */
    }
    if ((argc == 1) && !strcmp(argv[0], "help")) {
        fputs(doctor_usage, stdout);
        return EXIT_SUCCESS;
    }
    if (argc > 1) {
        fprintf(stderr, "srdtool: doctor %s %s: one DEVICE, or echo\n%s",
                argv[0], argv[1], doctor_usage);
        return EXIT_USAGE;
    }

    if (report_init(&doctor.report, &out) != 0) {
        return EXIT_FAILURE;
    }

    doctor_init(&doctor, (argc == 1) ? argv[0] : NULL);
    for (i = 0; i < ARRAY_SIZE(doctor_checks); ++i) {
        doctor_checks[i](&doctor);
    }
    return report_finish(&doctor.report);
}
