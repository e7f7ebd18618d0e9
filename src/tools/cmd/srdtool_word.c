/*
 * Words of a command line: finds the one that is meant, reports a wrong one.
 */
#include "tools/cmd/srdtool.h"

#include <stdarg.h>
#include <string.h>

void srdtool_word_usage(FILE *out, const srdtool_object_t *object)
{
    /* the first line's indent makes room for the word */
    fprintf(out, "usage: %s", object->usage + strlen("usage: "));
    if (object->usage_end != NULL) {
        object->usage_end(out);
    }
}

int srdtool_word_wrong(const srdtool_object_t *object, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "srdtool: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);

    if (object != NULL) {
        srdtool_word_usage(stderr, object);
    } else {
        fprintf(stderr, "try: srdtool --help\n");
    }
    return SRDTOOL_USAGE;
}

int srdtool_word_find(const char *word, const char *const *names)
{
    int found = -1;
    int i;

    for (i = 0; names[i] != NULL; ++i) {
        if (strcmp(names[i], word) == 0) {
            return i;
        }
        if (*word != '\0' && strncmp(names[i], word, strlen(word)) == 0) {
            found = (found == -1) ? i : -2;
        }
    }
    return found;
}

/* " a b c", of those that begin with word */
static void list_names(const char *word, const char *const *names, char *out,
                       size_t max)
{
    size_t length = 0;

    out[0] = '\0';
    for (; *names != NULL && length < max; ++names) {
        if (strncmp(*names, word, strlen(word)) == 0) {
            length += (size_t)snprintf(out + length, max - length, " %s",
                                       *names);
        }
    }
}

int srdtool_word_command(const srdtool_object_t *object, const char *word,
                         const char *const *names)
{
    int found = srdtool_word_find(word, names);
    char list[256];

    if (found == -2) {
        list_names(word, names, list, sizeof(list));
        srdtool_word_wrong(object, "'%s' may be%s", word, list);
    } else if (found == -1) {
        srdtool_word_wrong(object, "unknown %s '%s'",
                           (object == NULL) ? "object" : "command", word);
    }
    return (found < 0) ? -1 : found;
}
