/*
 * The command line of srdtool.
 *
 *   srdtool.c --> srdtool_run.c --> srdtool_line.c    options and words
 *                       |       --> srdtool_batch.c   a file of such lines
 *                       '--> cmd/srdtool.h, doctor/doctor.h,
 *                            selftest/selftest.h: the objects
 */
#ifndef SRDTOOL_RUN_H
#define SRDTOOL_RUN_H

#include "tools/cmd/srdtool.h"

enum {
    SRDTOOL_WORDS_MAX = 64
};

typedef struct {
    const char *batch;
    bool       force;
    bool       help;
    bool       version;
    int        num_words;
    char       *words[SRDTOOL_WORDS_MAX + 1];
    int        rest;    /* of argv, behind an object that parses it; 0: none */
} srdtool_line_t;

/* One command line, argv[0] not looked at. Returns SRDTOOL_. */
int srdtool_run(const srdtool_t *defaults, int argc, char **argv,
                bool in_batch);

/* Runs the lines of a file ("-": stdin) with the options of `tool`; run: as
 * srdtool_run(). */
int srdtool_batch(const srdtool_t *tool, const char *path, bool force,
                  int (*run)(const srdtool_t *defaults, int argc, char **argv,
                             bool in_batch));

/* Takes the options out of the line and into `tool`, up to an object that
 * has_options of its own. Returns 0, or SRDTOOL_USAGE after a message. */
int srdtool_line_parse(srdtool_t *tool, int argc, char **argv,
                       bool (*has_options)(const char *object),
                       srdtool_line_t *line);

#endif
