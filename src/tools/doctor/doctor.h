/*
 * The checks of srdtool doctor: is this machine fit for srd? Each adds one line
 * to the report, or a few, and leaves nothing behind. Nothing here links
 * libibverbs, libefa or UCX, so that it can report that one of them is missing.
 *
 *   doctor_device.c   the NIC: sysfs, permission, provider, what it can do
 *   doctor_ucx.c      UCX, our module, the loader
 *   doctor_mpi.c      settings that would keep srd from being chosen
 *   doctor_host.c     limits, memory, directories of the machine
 *   echo.c            two hosts
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "tools/report/report.h"
#include "tools/host/efa_sysfs.h"
#include "tools/verbs/verbs_ep.h"

#include <limits.h>

typedef struct {
    report_t   report;
    const char *device;                      /* that is asked for, or NULL */
    bool       soft;                         /* Soft-EFA is preloaded      */
    unsigned   num_devices;
    char       devices[EFA_SYSFS_MAX][EFA_SYSFS_NAME];
    char       self_dir[PATH_MAX];           /* of this program            */
    verbs_dl_t dl;
    bool       has_dl;
} doctor_t;

/* argv[0] is "doctor"; what follows is [DEVICE], or "echo" and its arguments,
 * options (--server, --port N, --help) among them. -j, -p, -d of srdtool are
 * known here, too. Prints on stdout, wrong usage on stderr. Returns the exit
 * status: 0 all is well (or worth a warning), 1 something failed, 2 wrong
 * usage. */
int doctor_run(int argc, char **argv, const srdtool_output_t *out);

void doctor_device_find(doctor_t *doctor);  /* first: fills in devices    */
void doctor_device_provider(doctor_t *doctor);
void doctor_device_abilities(doctor_t *doctor);
void doctor_device_counters(doctor_t *doctor);

void doctor_ucx_version(doctor_t *doctor);
void doctor_ucx_module(doctor_t *doctor);

void doctor_mpi_selection(doctor_t *doctor);
void doctor_mpi_openmpi(doctor_t *doctor);
void doctor_mpi_mpich(doctor_t *doctor);

void doctor_host_memlock(doctor_t *doctor);
void doctor_host_hugepages(doctor_t *doctor);
void doctor_host_gpu(doctor_t *doctor);
void doctor_host_fork(doctor_t *doctor);
void doctor_host_process_vm(doctor_t *doctor);
void doctor_host_stats(doctor_t *doctor);
void doctor_host_leftovers(doctor_t *doctor);

/* What a process of its own does that the loader is preloaded into; prints one
 * line. Returns its exit status. */
int doctor_ucx_probe(void);

/* echo.c: argv[0] is "echo". Returns the exit status. */
int echo_run(int argc, char **argv, const srdtool_output_t *out);

/* Reads the first line of a file, without its newline. False: cannot. */
bool doctor_file_line(const char *path, char *line, size_t max);

#endif
