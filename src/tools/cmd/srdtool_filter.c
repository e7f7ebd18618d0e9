/*
 * Filters: "pid 0-100,654 state ready qpn 12 why rnr-backoff".
 *
 *   KEY LIST KEY LIST ...    a row passes if it passes each
 *   LIST                     values with commas between: it is one of them
 *   value                    a word; where the row has a number: it, or
 *                            FIRST-LAST, both included
 *
 * Durations are not filtered by; of a share of a limit it is what is held.
 */
#include "tools/cmd/srdtool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEYS_MAX 64

static bool is_number(const char *text, uint64_t *value, const char **end)
{
    char *rest;

    if (*text < '0' || *text > '9') {
        return false;
    }
    errno  = 0;
    *value = strtoull(text, &rest, 0);
    *end   = rest;
    return errno == 0;
}

/* "7", "0-100"; end: behind it */
static bool is_range(const char *text, uint64_t *first, uint64_t *last,
                     const char **end)
{
    if (!is_number(text, first, end)) {
        return false;
    }
    *last = *first;
    return **end != '-' || is_number(*end + 1, last, end);
}

static bool match_number(const char *list, uint64_t value)
{
    uint64_t first, last;
    const char *end;

    for (;; list = end + 1) {
        if (!is_range(list, &first, &last, &end) ||
            (*end != ',' && *end != '\0')) {
            end = strchrnul(list, ','); /* a word is no number */
        } else if (value >= first && value <= last) {
            return true;
        }
        if (*end == '\0') {
            return false;
        }
    }
}

static bool match_word(const char *list, const char *value)
{
    const char *end;

    for (;; list = end + 1) {
        end = strchrnul(list, ',');
        if (strlen(value) == (size_t)(end - list) &&
            strncmp(list, value, (size_t)(end - list)) == 0) {
            return true;
        }
        if (*end == '\0') {
            return false;
        }
    }
}

bool srdtool_filter_match(const srdtool_filter_t *filter,
                          struct json_object *row)
{
    struct json_object *value;
    unsigned i;
    bool match;

    for (i = 0; i < filter->num; ++i) {
        value = json_object_object_get(row, filter->key[i]);
        if (json_object_get_type(value) == json_type_object) {
            value = json_object_object_get(value, "held");
        }
        if (json_object_get_type(value) == json_type_int) {
            match = match_number(filter->list[i],
                                 json_object_get_uint64(value));
        } else {
            match = value != NULL &&
                    match_word(filter->list[i], json_object_get_string(value));
        }
        if (!match) {
            return false;
        }
    }
    return true;
}

/* What looks like numbers must be numbers: "5-", "9-2"; a GID does not */
static bool is_list(const char *list)
{
    const char *end, *after;
    uint64_t first, last;

    if (*list == '\0') {
        return false;
    }
    for (;; list = end + 1) {
        end = strchrnul(list, ',');
        if (end == list) {
            return false;
        }
        if (strspn(list, "0123456789-") == (size_t)(end - list) &&
            (!is_range(list, &first, &last, &after) || after != end ||
             first > last)) {
            return false;
        }
        if (*end == '\0') {
            return true;
        }
    }
}

static bool is_filter_key(const char *key)
{
    size_t length = strlen(key);

    return length < 3 || strcmp(key + length - 3, "_ns") != 0;
}

int srdtool_filter_parse(const srdtool_object_t *object,
                         const char *const *keys, int num_words, char **words,
                         srdtool_filter_t *filter)
{
    const char *names[KEYS_MAX];
    char list[1024] = "";
    unsigned num    = 0;
    size_t length;
    int i, found;

    for (; *keys != NULL && num < KEYS_MAX - 1; ++keys) {
        names[num] = *keys + ((*keys)[0] == '+');
        if (is_filter_key(names[num])) {
            length = strlen(list);
            snprintf(list + length, sizeof(list) - length, " %s", names[num]);
            ++num;
        }
    }
    names[num] = NULL;

    filter->num = 0;
    for (i = 0; i < num_words; i += 2) {
        found = srdtool_word_find(words[i], names);
        if (found < 0) {
            return srdtool_word_wrong(object, "'%s' %s: one of%s", words[i],
                                      (found == -2) ? "may be several" :
                                                      "is nothing to filter by",
                                      list);
        }
        if (i + 1 == num_words) {
            return srdtool_word_wrong(object, "%s which?", names[found]);
        }
        if (!is_list(words[i + 1])) {
            return srdtool_word_wrong(object,
                                      "%s '%s': values or ranges, with "
                                      "commas between",
                                      names[found], words[i + 1]);
        }
        if (filter->num == SRDTOOL_FILTERS_MAX) {
            return srdtool_word_wrong(object, "more than %d filters",
                                      SRDTOOL_FILTERS_MAX);
        }
        filter->key[filter->num]  = names[found];
        filter->list[filter->num] = words[i + 1];
        ++filter->num;
    }
    return 0;
}
