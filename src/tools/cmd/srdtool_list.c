/*
 * Rows on their way to the output: text is printed at once, JSON when the list
 * ends.
 */
#include "tools/cmd/srdtool.h"

#include <stdio.h>

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
