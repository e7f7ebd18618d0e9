/*
 * srdtool -b FILE: a command a line, as on the command line.
 *
 *   # a comment
 *   res show ep why rnr-backoff
 *   -j stat
 *
 * Ends at the first line that fails, unless forced, and at one that is too long
 * to be one. Words are separated by spaces; there is no quoting, no name of
 * anything has a space in it.
 */
#include "tools/srdtool_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_LINE_MAX  4096

/* A line, or the last one without its end. 0: there is none, -1: it cannot be
 * read, said. */
static int read_line(FILE *file, const char *path, unsigned number,
                     char line[BATCH_LINE_MAX])
{
    if (fgets(line, BATCH_LINE_MAX, file) == NULL) {
        if (ferror(file)) {
            fprintf(stderr, "srdtool: %s: %s\n", path, strerror(errno));
            return -1;
        }
        return 0;
    }

    /* A zero hides what is behind it: that is no text either */
    if (strchr(line, '\n') == NULL && !feof(file)) {
        fprintf(stderr,
                "srdtool: %s:%u: not a line of up to %d characters: "
                "commands are wanted, one a line\n",
                path, number, BATCH_LINE_MAX - 2);
        return -1;
    }
    return 1;
}

/* Splits the line in place; -1: too many words */
static int split(char *line, char *words[SRDTOOL_WORDS_MAX + 2])
{
    int num = 0;
    char *word, *save;

    words[num++] = (char *)"srdtool";
    for (word = strtok_r(line, " \t\r\n", &save); word != NULL;
         word = strtok_r(NULL, " \t\r\n", &save)) {
        if (word[0] == '#') {
            break;
        }
        if (num == SRDTOOL_WORDS_MAX + 1) {
            return -1;
        }
        words[num++] = word;
    }
    words[num] = NULL;
    return num;
}

int srdtool_batch(const srdtool_t *tool, const char *path, bool force,
                  int (*run)(const srdtool_t *defaults, int argc, char **argv,
                             bool in_batch))
{
    FILE *file = (strcmp(path, "-") == 0) ? stdin : fopen(path, "re");
    int worst  = SRDTOOL_SHOWN;
    char *words[SRDTOOL_WORDS_MAX + 2];
    unsigned number = 0;
    char line[BATCH_LINE_MAX];
    int num, got, status;

    if (file == NULL) {
        fprintf(stderr, "srdtool: %s: %s\n", path, strerror(errno));
        return SRDTOOL_NOTHING;
    }

    while (force || worst == SRDTOOL_SHOWN) {
        got = read_line(file, path, ++number, line);
        if (got <= 0) {
            if (got < 0 && worst == SRDTOOL_SHOWN) {
                worst = SRDTOOL_NOTHING;
            }
            break;
        }
        num = split(line, words);
        if (num == 1) {
            continue;
        }
        status = (num < 0) ? srdtool_word_wrong(NULL, "more than %d words",
                                                SRDTOOL_WORDS_MAX) :
                             run(tool, num, words, true);
        fflush(stdout);
        if (status != SRDTOOL_SHOWN) {
            fprintf(stderr, "srdtool: %s:%u: the command failed%s\n", path,
                    number, force ? "" : ", the rest is left out (-f: go on)");
            worst = (status > worst) ? status : worst;
        }
    }

    if (file != stdin) {
        fclose(file);
    }
    return worst;
}
