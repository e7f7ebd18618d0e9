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
#include <string.h>

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
    uint64_t held = json_object_get_uint64(json_object_object_get(value,
                                                                  "held"));
    uint64_t max = json_object_get_uint64(json_object_object_get(value, "max"));

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
            srdtool_time_duration(json_object_get_uint64(value), duration);
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
