/*
 * srdtool doctor, srdtool selftest: is this machine fit for srd, is the device?
 *
 *   srdtool.c --> doctor.c     checks before a run      --> doctor_report.c
 *             |     '--> doctor_echo.c   two hosts              |  text, JSON,
 *             '-> selftest.c   the device's own work    --------'  exit status
 *                   '--> verbs_dl.c    libibverbs, libefa, by dlopen()
 *
 * Neither links libibverbs, libefa or UCX: that one of them is missing is what
 * they are there to say.
 */
#ifndef SRDTOOL_DOCTOR_H
#define SRDTOOL_DOCTOR_H

#include "tools/cmd/srdtool_output.h"

/* argv[0] is "doctor"; what follows is [DEVICE], or "echo" and its arguments,
 * options (--server, --port N, --help) among them: a driver that looks for its
 * own options after the object must leave those alone. Its -j, -p, -d are known
 * here, too. Prints on stdout, wrong usage on stderr. Returns the exit status:
 * 0 all is well (or worth a warning), 1 something failed, 2 wrong usage. */
int srdtool_doctor(int argc, char **argv, const srdtool_output_t *out);

/* argv[0] is "selftest", what follows is [DEVICE]. As above. */
int srdtool_selftest(int argc, char **argv, const srdtool_output_t *out);

#endif
