/*
 * The results of doctor and selftest, one line for each check:
 *
 *   ok    device      efa_0: EFA 0xefa1, driver efa
 *   FAIL  memlock     64 KiB may be locked, 512 MiB are needed
 *         next: ulimit -l unlimited
 *
 * A check's verdict stands when it is added: text is printed at once, so that
 * it is seen which check takes its time. JSON is printed at the end:
 *
 *   {"checks": [{"name": "memlock", "verdict": "fail", "text": "...",
 *                "next": "...", "facts": {...}}, ...],
 *    "ok": 7, "warn": 0, "fail": 1, "skip": 2}
 */
#ifndef REPORT_H
#define REPORT_H

#include "tools/report/output.h"

#include <json-c/json.h>

typedef enum {
    REPORT_OK,
    REPORT_WARN,         /* works, but not as well or not for everybody     */
    REPORT_FAIL,         /* srd will not work; the exit status says so, too */
    REPORT_SKIP,         /* does not apply here, or could not be looked at  */
    REPORT_NUM
} report_verdict_t;

typedef struct {
    const srdtool_output_t *out;
    struct json_object     *checks;       /* NULL unless JSON */
    struct json_object     *facts;        /* of the next check, or NULL */
    unsigned               count[REPORT_NUM];
} report_t;

/* Returns 0; or ENOMEM, said. */
int report_init(report_t *report, const srdtool_output_t *out);

/* Measured values of the check that is added next: in JSON, and with -d. */
void report_fact_int(report_t *report, const char *name, int64_t value);
void report_fact_string(report_t *report, const char *name, const char *value);

/* One check. `format`: the finding, one line without a newline; `next`: what to
 * do (NULL: nothing). */
void report_add(report_t *report, report_verdict_t verdict, const char *name,
                const char *next, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

/* Prints what is left to print. Returns the exit status: 1 if a check failed,
 * else 0. */
int report_finish(report_t *report);

#endif
