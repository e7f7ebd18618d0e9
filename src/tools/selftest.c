/*
 * srdtool selftest: does the device do its work?
 */
#include "doctor_report.h"
#include "srdtool_doctor.h"

#include <stdio.h>

enum {
    EXIT_USAGE = 2
};

int srdtool_selftest(int argc, char **argv, const srdtool_output_t *out)
{
    report_t report;

    (void)argv;
    if ((argc > 2) || (report_init(&report, out) != 0)) {
        fprintf(stderr, "srdtool: usage: srdtool selftest [DEVICE]\n");
        return EXIT_USAGE;
    }

    return report_finish(&report);
}
