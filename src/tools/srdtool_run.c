/*
 * srdtool [OPTIONS] OBJECT [COMMAND ...]
 *
 *   options, anywhere -> words -> object, by name or the beginning of one ->
 *   its run(), see srdtool.h. doctor and selftest parse what follows them.
 */
#include "tools/srdtool_run.h"
#include "tools/doctor/doctor.h"
#include "tools/selftest/selftest.h"

#include <string.h>

#ifndef EFA_STATS_LIBRARY_VERSION
#  define EFA_STATS_LIBRARY_VERSION "0.1"
#endif

static int run_doctor(srdtool_t *tool, int num_words, char **words)
{
    return doctor_run(num_words, words, &tool->out);
}

static int run_selftest(srdtool_t *tool, int num_words, char **words)
{
    return selftest_run(num_words, words, &tool->out);
}

/* Both have options and a usage of their own, and get their name, too */
static const srdtool_object_t object_doctor = {
    .name  = "doctor",
    .text  = "will srd work on this machine? checks before the run",
    .usage = "       srdtool doctor [DEVICE | echo ...]\n",
    .run   = run_doctor
};
static const srdtool_object_t object_selftest = {
    .name  = "selftest",
    .text  = "does the device do its work? tries it, leaves no trace",
    .usage = "       srdtool selftest [DEVICE]\n",
    .run   = run_selftest
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

    fprintf(out,
            "usage: srdtool [OPTIONS] OBJECT [COMMAND ...]\n"
            "       srdtool [-f] -b FILE\n\n"
            "Looks into programs that run on the srd transport, by the files\n"
            "in which they show what they do; needs no privilege and does not\n"
            "disturb them.\n\nObjects:\n");
    for (i = 0; i < NUM_OBJECTS; ++i) {
        fprintf(out, "  %-10s %s\n", objects[i]->name, objects[i]->text);
    }
    fprintf(out,
            "\n%s\n"
            "Names of objects, commands and filters may be shortened.\n"
            "Segments lie in $XDG_RUNTIME_DIR or /dev/shm, ucx-efa.<pid>.<n>.\n"
            "Exit status: 0 something was shown, 1 there was nothing or\n"
            "something failed, 2 wrong usage.\n",
            options_text);
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

    found = quiet ? srdtool_word_find(word, names) :
                    srdtool_word_command(NULL, word, names);
    return (found < 0 || found == NUM_OBJECTS) ? NULL : objects[found];
}

/* Does what follows the object belong to it? */
static bool has_options(const char *word)
{
    const srdtool_object_t *object = find_object(word, true);

    return object == &object_doctor || object == &object_selftest;
}

static bool is_help(const char *word)
{
    return strlen(word) > 1 && strncmp("help", word, strlen(word)) == 0;
}

int srdtool_run(const srdtool_t *defaults, int argc, char **argv, bool in_batch)
{
    srdtool_t tool = *defaults;
    const srdtool_object_t *object;
    srdtool_line_t line;
    int status;

    status = srdtool_line_parse(&tool, argc, argv, has_options, &line);
    if (status != 0) {
        return status;
    }

    if (line.version) {
        printf("srdtool " EFA_STATS_LIBRARY_VERSION
               ", stats segment format %d\n",
               EFA_STATS_VERSION);
        return SRDTOOL_SHOWN;
    }
    if (line.batch != NULL || line.force) {
        if (in_batch || line.batch == NULL || line.num_words > 0) {
            return srdtool_word_wrong(NULL, "%s",
                                      in_batch ? "a batch within a batch" :
                                      (line.batch == NULL) ?
                                                 "--force without --batch" :
                                                 "a command beside --batch");
        }
        return srdtool_batch(&tool, line.batch, line.force, srdtool_run);
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
        argv[line.rest - 1] = (char *)object->name;
        return object->run(&tool, argc - line.rest + 1, argv + line.rest - 1);
    }
    if (line.help || (line.num_words > 1 && is_help(line.words[1]))) {
        srdtool_word_usage(stdout, object);
        return SRDTOOL_SHOWN;
    }
    return object->run(&tool, line.num_words - 1, line.words + 1);
}
