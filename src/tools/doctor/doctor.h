/*
 * The checks of srdtool doctor. Each adds one line to the report, or a few, and
 * leaves nothing behind.
 *
 *   doctor_device.c   the NIC: sysfs, permission, provider, what it can do
 *   doctor_ucx.c      UCX, our module, the loader
 *   doctor_mpi.c      settings that would keep srd from being chosen
 *   doctor_host.c     limits, memory, directories of the machine
 *   doctor_echo.c     two hosts
 */
#ifndef DOCTOR_H
#define DOCTOR_H

#include "tools/doctor/doctor_report.h"
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

void doctor_check_device(doctor_t *doctor);  /* first: finds the devices  */
void doctor_check_provider(doctor_t *doctor);
void doctor_check_abilities(doctor_t *doctor);
void doctor_check_counters(doctor_t *doctor);

void doctor_check_ucx(doctor_t *doctor);
void doctor_check_module(doctor_t *doctor);

void doctor_check_selection(doctor_t *doctor);
void doctor_check_openmpi(doctor_t *doctor);
void doctor_check_mpich(doctor_t *doctor);

void doctor_check_memlock(doctor_t *doctor);
void doctor_check_hugepages(doctor_t *doctor);
void doctor_check_gpu(doctor_t *doctor);
void doctor_check_fork(doctor_t *doctor);
void doctor_check_process_vm(doctor_t *doctor);
void doctor_check_stats(doctor_t *doctor);
void doctor_check_leftovers(doctor_t *doctor);

/* doctor_ucx.c: what a process of its own does that the loader is preloaded
 * into; prints one line. Returns its exit status. */
int doctor_probe_ucx(void);

/* doctor_echo.c: argv[0] is "echo". Returns the exit status. */
int doctor_echo(int argc, char **argv, const srdtool_output_t *out);

/* Reads the first line of a file, without its newline. False: cannot. */
bool doctor_read_line(const char *path, char *line, size_t max);

#endif
