/*
 * Prints rows, as lines of text or as one JSON document.
 *
 *   {"ep": 3, "why": "rnr-backoff", "why_ns": 3200000000, "ah": {held, max}}
 *   ep 3 why rnr-backoff 3.2s ah 12/1024 (1.2%)
 *
 * A duration X_ns stands behind X without a name of its own; a true one is its
 * name, what is false or null is left out.
 */
#include "tools/cmd/srdtool.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

const char *srdtool_duration(uint64_t ns, char buffer[SRDTOOL_DURATION_MAX])
{
    uint64_t s = ns / 1000000000u;

    if (ns < 10000) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "ns", ns);
    } else if (ns < 10000000) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "us", ns / 1000);
    } else if (s < 1) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "ms", ns / 1000000);
    } else if (s < 60) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 ".%" PRIu64 "s", s,
                 ns / 100000000u % 10);
    } else if (s < 3600) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "m%02" PRIu64 "s",
                 s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "h%02" PRIu64 "m",
                 s / 3600, s / 60 % 60);
    } else {
        snprintf(buffer, SRDTOOL_DURATION_MAX, "%" PRIu64 "d%02" PRIu64 "h",
                 s / 86400, s / 3600 % 24);
    }
    return buffer;
}

const char *srdtool_wall_time(uint64_t ns, char buffer[SRDTOOL_TIME_MAX])
{
    time_t seconds = (time_t)(ns / 1000000000u);
    struct tm tm;
    size_t length = 0;

    if (ns != 0 && localtime_r(&seconds, &tm) != NULL) {
        length = strftime(buffer, SRDTOOL_TIME_MAX, "%F %T", &tm);
    }
    if (length == 0) {
        snprintf(buffer, SRDTOOL_TIME_MAX, "?");
    } else {
        snprintf(buffer + length, SRDTOOL_TIME_MAX - length, ".%06u",
                 (unsigned)(ns / 1000 % 1000000));
    }
    return buffer;
}

void srdtool_print_json(const srdtool_output_t *out, struct json_object *value)
{
    int flags = out->pretty ?
                        JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED :
                        JSON_C_TO_STRING_PLAIN;

    printf("%s\n", json_object_to_json_string_ext(
                           value, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(value);
}

static void print_share(struct json_object *value)
{
    uint64_t held = json_object_get_uint64(
            json_object_object_get(value, "held"));
    uint64_t max  = json_object_get_uint64(
            json_object_object_get(value, "max"));

    printf("%" PRIu64, held);
    if (max > 0) {
        printf("/%" PRIu64 " (%.1f%%)", max,
               100.0 * (double)held / (double)max);
    }
}

/* " why rnr-backoff"; previous: the key printed before it */
static bool print_field(const char *key, struct json_object *value,
                        const char *previous, bool first)
{
    static const char suffix[] = "_ns";
    const char *separator      = first ? "" : " ";
    size_t length              = strlen(key);
    char duration[SRDTOOL_DURATION_MAX];

    switch (json_object_get_type(value)) {
    case json_type_null:
        return false;
    case json_type_boolean:
        if (!json_object_get_boolean(value)) {
            return false;
        }
        printf("%s%s", separator, key);
        return true;
    case json_type_object:
        printf("%s%s ", separator, key);
        print_share(value);
        return true;
    case json_type_int:
        if (length > strlen(suffix) &&
            strcmp(key + length - strlen(suffix), suffix) == 0) {
            length -= strlen(suffix);
            srdtool_duration(json_object_get_uint64(value), duration);
            if (strlen(previous) == length &&
                strncmp(previous, key, length) == 0) {
                printf(" %s", duration);
            } else {
                printf("%s%.*s %s", separator, (int)length, key, duration);
            }
            return true;
        }
        break;
    default:
        break;
    }

    printf("%s%s %s", separator, key, json_object_get_string(value));
    return true;
}

void srdtool_print_row(const srdtool_output_t *out, const char *const *keys,
                       struct json_object *row)
{
    const char *previous = "";
    bool first           = true;
    const char *key;

    for (; *keys != NULL; ++keys) {
        key = *keys;
        if (key[0] == '+') {
            if (!out->details) {
                continue;
            }
            ++key;
        }
        if (print_field(key, json_object_object_get(row, key), previous,
                        first)) {
            first    = false;
            previous = key;
        }
    }
}

/* ------------------------------------------------------------------- lists */

void srdtool_list_init(srdtool_list_t *list, const srdtool_output_t *out)
{
    list->out   = out;
    list->num   = 0;
    list->array = out->json ? json_object_new_array() : NULL;
}

bool srdtool_list_add(srdtool_list_t *list, const srdtool_filter_t *filter,
                      const char *const *keys, struct json_object *row)
{
    if (filter != NULL && !srdtool_filter_match(filter, row)) {
        json_object_put(row);
        return false;
    }

    ++list->num;
    if (list->array != NULL) {
        if (json_object_array_add(list->array, row) != 0) {
            json_object_put(row);
        }
    } else {
        srdtool_print_row(list->out, keys, row);
        putchar('\n');
        json_object_put(row);
    }
    return true;
}

size_t srdtool_list_finish(srdtool_list_t *list)
{
    if (list->array != NULL) {
        srdtool_print_json(list->out, list->array);
        list->array = NULL;
    }
    return list->num;
}

bool srdtool_pause(unsigned ms)
{
    struct pollfd out = {.fd = STDOUT_FILENO}; /* errors alone wake us */

    return poll(&out, 1, (ms > INT_MAX) ? INT_MAX : (int)ms) <= 0;
}
