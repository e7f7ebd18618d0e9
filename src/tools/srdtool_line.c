/*
 * Options, wherever they stand, and words of a command line.
 */
#include "tools/srdtool_run.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPTION_PID = 256,
    OPTION_DEAD,
    OPTION_FILE
};

/* '-': words come in their place, as 1 */
static const char short_options[] = "-:jpdb:fn:i:Vh";

static const struct option long_options[] = {
    {"json", no_argument, NULL, 'j'},
    {"pretty", no_argument, NULL, 'p'},
    {"details", no_argument, NULL, 'd'},
    {"batch", required_argument, NULL, 'b'},
    {"force", no_argument, NULL, 'f'},
    {"count", required_argument, NULL, 'n'},
    {"interval", required_argument, NULL, 'i'},
    {"version", no_argument, NULL, 'V'},
    {"help", no_argument, NULL, 'h'},
    {"pid", required_argument, NULL, OPTION_PID},
    {"dead", no_argument, NULL, OPTION_DEAD},
    {"file", required_argument, NULL, OPTION_FILE},
    {NULL, 0, NULL, 0}
};

/* A number in [min, max] or -1 after saying what is wrong */
static long parse_number(const char *option, const char *text, long min,
                         long max)
{
    char *end;
    long value;

    errno = 0;
    value = strtol(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0' ||
        value < min || value > max) {
        srdtool_word_wrong(NULL, "%s %s: not a number from %ld to %ld", option,
                           text, min, max);
        return -1;
    }
    return value;
}

static int parse_interval(const char *text, unsigned *ms)
{
    char *end;
    double seconds;

    /* strtod() takes hexadecimal numbers, exponents and words, too */
    seconds = strtod(text, &end);
    if (end == text || *end != '\0' ||
        text[strspn(text, "0123456789.")] != '\0' ||
        !(seconds >= 0.01 && seconds <= 86400)) {
        srdtool_word_wrong(NULL,
                           "--interval %s: not a number of seconds from "
                           "0.01 to 86400",
                           text);
        return -1;
    }
    *ms = (unsigned)(seconds * 1000 + 0.5);
    return 0;
}

static int add_word(srdtool_line_t *line, char *word)
{
    if (line->num_words == SRDTOOL_WORDS_MAX) {
        return srdtool_word_wrong(NULL, "more than %d words",
                                  SRDTOOL_WORDS_MAX);
    }

    line->words[line->num_words++] = word;
    return 0;
}

static int parse_option(srdtool_t *tool, int option, char **argv,
                        srdtool_line_t *line)
{
    long value;

    switch (option) {
    case 'b':
        line->batch = optarg;
        return 0;
    case 'f':
        line->force = true;
        return 0;
    case 'V':
        line->version = true;
        return 0;
    case 'h':
        line->help = true;
        return 0;
    case 'n':
        value       = parse_number("--count", optarg, 1, 1000000000);
        tool->count = (unsigned)value;
        return (value < 0) ? SRDTOOL_USAGE : 0;
    case 'i':
        return (parse_interval(optarg, &tool->interval_ms) != 0) ?
                       SRDTOOL_USAGE :
                       0;
    case OPTION_PID:
        value     = parse_number("--pid", optarg, 1, INT32_MAX);
        tool->pid = (uint32_t)value;
        return (value < 0) ? SRDTOOL_USAGE : 0;
    case OPTION_DEAD:
        tool->dead = true;
        return 0;
    case OPTION_FILE:
        tool->file = optarg;
        return 0;
    case ':':
        return srdtool_word_wrong(NULL, "%s needs a value", argv[optind - 1]);
    default:
        if (srdtool_output_option(&tool->out, option)) {
            return 0;
        }
        return srdtool_word_wrong(NULL, "unknown option '%s'",
                                  (optopt > 0 && optopt < 256) ?
                                          (char[]){'-', (char)optopt, '\0'} :
                                          argv[optind - 1]);
    }
}

int srdtool_line_parse(srdtool_t *tool, int argc, char **argv,
                       bool (*has_options)(const char *object),
                       srdtool_line_t *line)
{
    int c, status;

    memset(line, 0, sizeof(*line));
    optind = 0; /* from the start, also on the second line of a batch */
    while ((c = getopt_long(argc, argv, short_options, long_options, NULL)) !=
           -1) {
        status = (c == 1) ? add_word(line, optarg) :
                            parse_option(tool, c, argv, line);
        if (status != 0) {
            return status;
        }
        if (c == 1 && line->num_words == 1 && has_options(optarg)) {
            line->rest = optind;
            return 0;
        }
    }

    /* behind "--" */
    while (optind < argc) {
        status = add_word(line, argv[optind++]);
        if (status != 0) {
            return status;
        }
    }

    if (tool->file != NULL && (tool->pid != 0 || tool->dead)) {
        return srdtool_word_wrong(NULL, "--file names the segment: not with "
                                        "--pid or --dead");
    }
    return 0;
}
