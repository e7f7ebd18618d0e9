/*
 * srdtool [OPTIONS] OBJECT [COMMAND ...]
 *
 *   options, anywhere -> words -> object, by name or the beginning of one ->
 *   its run(), see srdtool.h. What follows doctor and selftest is theirs.
 */
#include "tools/cmd/srdtool.h"
#include "tools/cmd/srdtool_doctor.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifndef EFA_STATS_LIBRARY_VERSION
#  define EFA_STATS_LIBRARY_VERSION "0.1"
#endif

#define WORDS_MAX 64

enum {
    OPTION_PID = 256,
    OPTION_DEAD,
    OPTION_FILE
};

typedef struct {
    const char *batch;
    bool       force;
    bool       help;
    bool       version;
    int        num_words;
    char       *words[WORDS_MAX + 1];
    int        rest;       /* of argv, for doctor and selftest; 0: none */
} line_t;

static int run_doctor(srdtool_t *tool, int num_words, char **words)
{
    return srdtool_doctor(num_words, words, &tool->out);
}

static int run_selftest(srdtool_t *tool, int num_words, char **words)
{
    return srdtool_selftest(num_words, words, &tool->out);
}

/* Both have options and a usage of their own, and get their name, too */
static const srdtool_object_t object_doctor   = {
    "doctor", "will srd work on this machine? checks before the run",
    "       srdtool doctor [DEVICE | echo ...]\n", run_doctor
};
static const srdtool_object_t object_selftest = {
    "selftest", "does the device do its work? tries it, leaves no trace",
    "       srdtool selftest [DEVICE]\n", run_selftest
};

static const srdtool_object_t *const objects[] = {
    &srdtool_dev, &srdtool_link, &srdtool_res, &srdtool_stat, &srdtool_event,
    &srdtool_top, &object_doctor, &object_selftest
};

#define NUM_OBJECTS (sizeof(objects) / sizeof(objects[0]))

static const char options_text[] =
    "Options, anywhere on the line:\n"
    "  -j, --json         JSON, one document\n"
    "  -p, --pretty       with -j: with line breaks\n"
    "  -d, --details      more of everything\n"
    "      --pid N        only process N\n"
    "      --dead         processes that are gone and left their segment,\n"
    "                     instead of running ones\n"
    "      --file F       the segment F, whoever's and of whenever\n"
    "  -n, --count N      top: refresh N times; event monitor: N events\n"
    "  -i, --interval S   top, event monitor, stat show nic: seconds between\n"
    "                     two looks (1, 0.2, 0.1)\n"
    "  -b, --batch F      run the lines of F (-: standard input)\n"
    "  -f, --force        with -b: go on after a line that failed\n"
    "  -V, --version\n"
    "  -h, --help         also: srdtool OBJECT help\n";

static void print_usage(FILE *out)
{
    size_t i;

    fprintf(out, "usage: srdtool [OPTIONS] OBJECT [COMMAND ...]\n"
            "       srdtool [-f] -b FILE\n\n"
            "Looks into programs that run on the srd transport, by the files\n"
            "in which they show what they do; needs no privilege and does not\n"
            "disturb them.\n\nObjects:\n");
    for (i = 0; i < NUM_OBJECTS; ++i) {
        fprintf(out, "  %-10s %s\n", objects[i]->name, objects[i]->text);
    }
    fprintf(out, "\n%s\n"
            "Names of objects, commands and filters may be shortened.\n"
            "Segments lie in $XDG_RUNTIME_DIR or /dev/shm, ucx-efa.<pid>.<n>.\n"
            "Exit status: 0 something was shown, 1 there was nothing or\n"
            "something failed, 2 wrong usage.\n", options_text);
}

static void print_object_usage(FILE *out, const srdtool_object_t *object)
{
    /* the first line's indent makes room for the word */
    fprintf(out, "usage: %s", object->usage + strlen("usage: "));
}

int srdtool_wrong(const srdtool_object_t *object, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fprintf(stderr, "srdtool: ");
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n");
    va_end(args);

    if (object != NULL) {
        print_object_usage(stderr, object);
    } else {
        fprintf(stderr, "try: srdtool --help\n");
    }
    return SRDTOOL_USAGE;
}

int srdtool_find_word(const char *word, const char *const *names)
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

int srdtool_find_command(const srdtool_object_t *object, const char *word,
                         const char *const *names)
{
    int found = srdtool_find_word(word, names);
    char list[256];

    if (found == -2) {
        list_names(word, names, list, sizeof(list));
        srdtool_wrong(object, "'%s' may be%s", word, list);
    } else if (found == -1) {
        srdtool_wrong(object, "unknown %s '%s'",
                      (object == NULL) ? "object" : "command", word);
    }
    return (found < 0) ? -1 : found;
}

static const srdtool_object_t *find_object(const char *word, bool quiet)
{
    const char *names[NUM_OBJECTS + 2];
    size_t i;
    int found;

    for (i = 0; i < NUM_OBJECTS; ++i) {
        names[i] = objects[i]->name;
    }
    names[i]     = "help";
    names[i + 1] = NULL;

    found = quiet ? srdtool_find_word(word, names) :
                    srdtool_find_command(NULL, word, names);
    return (found < 0 || found == NUM_OBJECTS) ? NULL : objects[found];
}

/* ----------------------------------------------------------------- options */

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
        srdtool_wrong(NULL, "%s %s: not a number from %ld to %ld", option,
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
        srdtool_wrong(NULL, "--interval %s: not a number of seconds from 0.01 "
                      "to 86400", text);
        return -1;
    }
    *ms = (unsigned)(seconds * 1000 + 0.5);
    return 0;
}

/* Takes the options out of the line; returns 0 or SRDTOOL_USAGE. */
static int parse_line(srdtool_t *tool, int argc, char **argv, line_t *line)
{
    static const struct option options[] = {
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
    const srdtool_object_t *object;
    long value;
    int c;

    memset(line, 0, sizeof(*line));
    optind = 0; /* from the start, also on the second line of a batch */
    /* '-': words come in their place, as 1 */
    while ((c = getopt_long(argc, argv, "-:jpdb:fn:i:Vh", options, NULL)) !=
           -1) {
        switch (c) {
        case 1:
            if (line->num_words == WORDS_MAX) {
                return srdtool_wrong(NULL, "more than %d words", WORDS_MAX);
            }
            line->words[line->num_words++] = optarg;
            object = (line->num_words == 1) ? find_object(optarg, true) : NULL;
            if (object == &object_doctor || object == &object_selftest) {
                line->rest = optind;
                return 0;
            }
            break;
        case 'b':
            line->batch = optarg;
            break;
        case 'f':
            line->force = true;
            break;
        case 'n':
            value = parse_number("--count", optarg, 1, 1000000000);
            if (value < 0) {
                return SRDTOOL_USAGE;
            }
            tool->count = (unsigned)value;
            break;
        case 'i':
            if (parse_interval(optarg, &tool->interval_ms) != 0) {
                return SRDTOOL_USAGE;
            }
            break;
        case OPTION_PID:
            value = parse_number("--pid", optarg, 1, INT32_MAX);
            if (value < 0) {
                return SRDTOOL_USAGE;
            }
            tool->pid = (uint32_t)value;
            break;
        case OPTION_DEAD:
            tool->dead = true;
            break;
        case OPTION_FILE:
            tool->file = optarg;
            break;
        case 'V':
            line->version = true;
            break;
        case 'h':
            line->help = true;
            break;
        case ':':
            return srdtool_wrong(NULL, "%s needs a value", argv[optind - 1]);
        default:
            if (srdtool_output_option(&tool->out, c)) {
                break;
            }
            return srdtool_wrong(NULL, "unknown option '%s'",
                                 (optopt > 0 && optopt < 256) ?
                                 (char[]){'-', (char)optopt, '\0'} :
                                 argv[optind - 1]);
        }
    }

    /* behind "--" */
    while (optind < argc) {
        if (line->num_words == WORDS_MAX) {
            return srdtool_wrong(NULL, "more than %d words", WORDS_MAX);
        }
        line->words[line->num_words++] = argv[optind++];
    }
    if (tool->file != NULL && (tool->pid != 0 || tool->dead)) {
        return srdtool_wrong(NULL, "--file names the segment: not with --pid "
                             "or --dead");
    }
    return 0;
}

static bool is_help(const char *word)
{
    return strlen(word) > 1 && strncmp("help", word, strlen(word)) == 0;
}

int srdtool_run(const srdtool_t *defaults, int argc, char **argv,
                bool in_batch)
{
    srdtool_t tool = *defaults;
    const srdtool_object_t *object;
    line_t line;
    int status;

    status = parse_line(&tool, argc, argv, &line);
    if (status != 0) {
        return status;
    }

    if (line.version) {
        printf("srdtool " EFA_STATS_LIBRARY_VERSION
               ", stats segment format %d\n", EFA_STATS_VERSION);
        return SRDTOOL_SHOWN;
    }
    if (line.batch != NULL || line.force) {
        if (in_batch || line.batch == NULL || line.num_words > 0) {
            return srdtool_wrong(NULL, "%s",
                                 in_batch ? "a batch within a batch" :
                                 (line.batch == NULL) ?
                                 "--force without --batch" :
                                 "a command beside --batch");
        }
        return srdtool_batch(&tool, line.batch, line.force);
    }
    if (line.num_words == 0 || is_help(line.words[0])) {
        print_usage((line.help || line.num_words > 0) ? stdout : stderr);
        return (line.help || line.num_words > 0) ? SRDTOOL_SHOWN :
                                                   SRDTOOL_USAGE;
    }

    object = find_object(line.words[0], false);
    if (object == NULL) {
        return SRDTOOL_USAGE;
    }
    if (line.rest > 0) {
        argv[line.rest - 1] = (char*)object->name;
        return object->run(&tool, argc - line.rest + 1, argv + line.rest - 1);
    }
    if (line.help || (line.num_words > 1 && is_help(line.words[1]))) {
        print_object_usage(stdout, object);
        return SRDTOOL_SHOWN;
    }
    return object->run(&tool, line.num_words - 1, line.words + 1);
}

#ifndef SRDTOOL_NO_MAIN
int main(int argc, char **argv)
{
    static const srdtool_t defaults;
    int status;

    status = srdtool_run(&defaults, argc, argv, false);
    if ((fflush(stdout) != 0 || ferror(stdout)) && status == SRDTOOL_SHOWN) {
        fprintf(stderr, "srdtool: cannot write what there is: %s\n",
                strerror(errno));
        return SRDTOOL_NOTHING;
    }
    return status;
}
#endif
