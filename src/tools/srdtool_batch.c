/*
 * srdtool -b FILE: a command a line, as on the command line.
 *
 *   # a comment
 *   res show ep why rnr-backoff
 *   -j stat
 *
 * Ends at the first line that fails, unless forced. Words are separated by
 * spaces; there is no quoting, no name of anything has a space in it.
 */
#include "srdtool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_WORDS_MAX 64

/* Splits the line in place; -1: too many words */
static int split(char *line, char *words[BATCH_WORDS_MAX + 2])
{
    int num = 0;
    char *word, *save;

    words[num++] = (char*)"srdtool";
    for (word = strtok_r(line, " \t\r\n", &save); word != NULL;
         word = strtok_r(NULL, " \t\r\n", &save)) {
        if (word[0] == '#') {
            break;
        }
        if (num == BATCH_WORDS_MAX + 1) {
            return -1;
        }
        words[num++] = word;
    }
    words[num] = NULL;
    return num;
}

int srdtool_batch(const srdtool_t *tool, const char *path, bool force)
{
    FILE *file = (strcmp(path, "-") == 0) ? stdin : fopen(path, "re");
    int worst  = SRDTOOL_SHOWN;
    char *words[BATCH_WORDS_MAX + 2];
    char *line      = NULL;
    size_t size     = 0;
    unsigned number = 0;
    int num, status;

    if (file == NULL) {
        fprintf(stderr, "srdtool: %s: %s\n", path, strerror(errno));
        return SRDTOOL_NOTHING;
    }

    while ((force || worst == SRDTOOL_SHOWN) &&
           getline(&line, &size, file) > 0) {
        ++number;
        num = split(line, words);
        if (num == 1) {
            continue;
        }
        status = (num < 0) ? srdtool_wrong(NULL, "more than %d words",
                                           BATCH_WORDS_MAX) :
                             srdtool_run(tool, num, words, true);
        fflush(stdout);
        if (status != SRDTOOL_SHOWN) {
            fprintf(stderr, "srdtool: %s:%u: the command failed%s\n", path,
                    number, force ? "" : ", the rest is left out (-f: go on)");
            worst = (status > worst) ? status : worst;
        }
    }

    free(line);
    if (file != stdin) {
        fclose(file);
    }
    return worst;
}
