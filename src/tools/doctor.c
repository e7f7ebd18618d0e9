/*
 * srdtool doctor: will srd work on this machine? One verdict a check.
 */
#include "doctor_report.h"
#include "hw_counters.h"
#include "srdtool_doctor.h"

#include <stdio.h>
#include <string.h>

enum {
    EXIT_USAGE = 2
};

int srdtool_doctor(int argc, char **argv, const srdtool_output_t *out)
{
    hw_counters_t counters;
    report_t report;
    int ret;

    if (argc > 2) {
        fprintf(stderr, "srdtool: usage: srdtool doctor [DEVICE]\n");
        return EXIT_USAGE;
    }
    if (report_init(&report, out) != 0) {
        return EXIT_USAGE;
    }

    ret = hw_counters_read((argc == 2) ? argv[1] : "efa_0", 1, &counters);
    if (ret == 0) {
        report_fact_int(&report, "count", counters.count);
        report_add(&report, REPORT_OK, "counters", NULL,
                   "%u of the device can be read", counters.count);
        hw_counters_free(&counters);
    } else {
        report_add(&report, REPORT_SKIP, "counters", NULL, "%s", strerror(ret));
    }
    return report_finish(&report);
}
