/*
 * See report.h.
 */
#include "tools/report/report.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *text;
    const char *json;
} report_verdicts[REPORT_NUM] = {
    [REPORT_OK]   = {"ok", "ok"},
    [REPORT_WARN] = {"warn", "warn"},
    [REPORT_FAIL] = {"FAIL", "fail"},
    [REPORT_SKIP] = {"skip", "skip"},
};

int report_init(report_t *report, const srdtool_output_t *out)
{
    *report = (report_t){.out = out};
    if (out->json) {
        report->checks = json_object_new_array();
        if (report->checks == NULL) {
            fprintf(stderr, "srdtool: no memory\n");
            return ENOMEM;
        }
        return 0;
    }

    /* Also into a pipe: who waits for a check sees which one it is. */
    setvbuf(stdout, NULL, _IOLBF, 0);
    return 0;
}

static void report_fact(report_t *report, const char *name,
                        struct json_object *value)
{
    if (report->facts == NULL) {
        report->facts = json_object_new_object();
    }
    json_object_object_add(report->facts, name, value);
}

void report_fact_int(report_t *report, const char *name, int64_t value)
{
    report_fact(report, name, json_object_new_int64(value));
}

void report_fact_string(report_t *report, const char *name, const char *value)
{
    report_fact(report, name, json_object_new_string(value));
}

/* "devices 1, path /usr/lib": in a line of its own, if there are any. */
static void report_print_facts(const report_t *report)
{
    const char *separator = "      ";

    if (report->facts == NULL) {
        return;
    }

    json_object_object_foreach(report->facts, name, value) {
        printf("%s%s %s", separator, name, json_object_get_string(value));
        separator = ", ";
    }
    printf("\n");
}

void report_add(report_t *report, report_verdict_t verdict, const char *name,
                const char *next, const char *format, ...)
{
    struct json_object *check;
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);

    ++report->count[verdict];
    if (report->checks == NULL) {
        printf("%-5s %-11s %s\n", report_verdicts[verdict].text, name, text);
        if (report->out->details) {
            report_print_facts(report);
        }
        if (next != NULL) {
            printf("      next: %s\n", next);
        }
        json_object_put(report->facts);
        report->facts = NULL;
        return;
    }

    check = json_object_new_object();
    json_object_object_add(check, "name", json_object_new_string(name));
    json_object_object_add(check, "verdict",
                           json_object_new_string(report_verdicts[verdict]
                                                          .json));
    json_object_object_add(check, "text", json_object_new_string(text));
    if (next != NULL) {
        json_object_object_add(check, "next", json_object_new_string(next));
    }
    if (report->facts != NULL) {
        json_object_object_add(check, "facts", report->facts);
        report->facts = NULL;
    }
    json_object_array_add(report->checks, check);
}

int report_finish(report_t *report)
{
    int status = (report->count[REPORT_FAIL] > 0) ? EXIT_FAILURE : EXIT_SUCCESS;
    struct json_object *root;
    int i;

    if (report->checks == NULL) {
        printf("%u ok, %u warn, %u fail, %u skip\n", report->count[REPORT_OK],
               report->count[REPORT_WARN], report->count[REPORT_FAIL],
               report->count[REPORT_SKIP]);
        return status;
    }

    root = json_object_new_object();
    json_object_object_add(root, "checks", report->checks);
    for (i = 0; i < REPORT_NUM; ++i) {
        json_object_object_add(root, report_verdicts[i].json,
                               json_object_new_int64(report->count[i]));
    }
    printf("%s\n",
           json_object_to_json_string_ext(
                   root, report->out->pretty ?
                                 JSON_C_TO_STRING_PRETTY |
                                         JSON_C_TO_STRING_NOSLASHESCAPE :
                                 JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(root);
    report->checks = NULL;
    return status;
}
